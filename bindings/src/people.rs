//! The company's people, as far as the directory has told this phone.

use std::sync::Arc;

use hauspost_core::account::Account as Core;
use hauspost_core::store::rows::person;
use hauspost_protocol::wire;

use crate::error::HauspostError;
use crate::{ids, runtime};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Person {
    /// The person's id.
    pub id: String,
    /// The short name by which admins call them.
    pub short_name: String,
    /// The name that colleagues see; null when the directory forgot it.
    pub name: Option<String>,
}

/// The company's people.
#[derive(uniffi::Object)]
pub struct People(Core);

impl People {
    pub(crate) fn new(core: Core) -> Arc<Self> {
        Arc::new(Self(core))
    }
}

#[uniffi::export]
impl People {
    /// At most `limit` people, sorted by name as a phone book does.
    pub async fn list(&self, limit: u32) -> Result<Vec<Person>, HauspostError> {
        let core = self.0.clone();
        runtime::run(async move {
            Ok(core.people(limit).await?.into_iter().map(Person::from).collect())
        })
        .await
    }

    /// Asks the directory for what is new. The account does so by itself; this is for a person who pulls down.
    pub async fn refresh(&self) -> Result<(), HauspostError> {
        let core = self.0.clone();
        runtime::run(async move { Ok(core.refresh_people().await?) }).await
    }

    /// One person; null if the directory has not named them to this phone.
    pub async fn find(&self, id: String) -> Result<Option<Person>, HauspostError> {
        let user = ids::user(&id)?;
        let store = self.0.store().clone();
        runtime::run(async move {
            let person = store.read(move |conn| person::find(conn, user)).await?;
            Ok(person.map(Person::from))
        })
        .await
    }
}

impl From<wire::Person> for Person {
    fn from(person: wire::Person) -> Self {
        Self { id: person.user.to_string(), short_name: person.handle, name: person.name }
    }
}
