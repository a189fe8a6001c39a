//! The directory: the only place with names, and it can forget.

use std::sync::Arc;

use axum::extract::State;
use hauspost_protocol::company::body::Role;
use hauspost_protocol::wire::{Directory, Person};

use super::answer::{Answer, Cbor, Refusal};
use super::limits::PEOPLE;
use super::node::Node;
use super::session::Claim;

/// A name or handle, in bytes.
const NAME_BYTES: usize = 255;

/// POST: the people who changed since a version.
pub async fn directory(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(since): Cbor<u64>,
) -> Result<Answer<Directory>, Refusal> {
    let job = move |tx: &dyn crate::store::ReadTx, _: &_| {
        let (version, people) = tx.people(since)?;
        Ok(Directory { version, people })
    };
    node.read_as(&claim, job).await.map(Answer)
}

/// POST: changes people; admins only.
pub async fn put(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(people): Cbor<Vec<Person>>,
) -> Result<Answer<u64>, Refusal> {
    if people.len() > PEOPLE {
        return Err(Refusal::TooLarge);
    }
    people.iter().try_for_each(check_person)?;
    node.write_as(&claim, move |tx, session| {
        session.must_have(&[Role::Admin])?;
        let (mut version, _) = tx.people(u64::MAX >> 1)?;
        for person in &people {
            version = tx.put_person(person)?;
        }
        Ok(Answer(version))
    })
    .await
}

/// Whether a person's names are of the form that the directory keeps.
pub fn check_person(person: &Person) -> Result<(), Refusal> {
    let name_len = person.name.as_ref().map_or(0, String::len);
    if person.handle.len() > NAME_BYTES || name_len > NAME_BYTES {
        return Err(Refusal::TooLarge);
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if person.handle.is_empty() || !person.handle.chars().all(fits) {
        return Err(Refusal::Form);
    }
    Ok(())
}
