//! How an app hears that something changed: where to look again, and no data.
//!
//! Changes are collected while the app's object is being called, each once, so a slow one holds nobody up
//! and misses nothing.

use std::sync::Arc;

use hauspost_core::observe;
use tokio::task::JoinHandle;

use crate::error::HauspostError;
use crate::runtime;

/// Where to look again.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Change {
    /// The account: enrolled, renewed, revoked.
    Account,
    /// The company: devices, policy, archive keys.
    Company,
    /// The directory.
    People,
    /// The list of conversations: order, unread counts, last lines, drafts.
    Conversations,
    /// One conversation's timeline or members.
    Conversation {
        /// Which.
        id: String,
    },
    /// So many conversations that they are not named.
    EveryConversation,
    /// What this person wants sent: it moved on or failed.
    Outbox,
    /// An alarm was raised, reported or acknowledged: `Account.alarms`.
    Alarms,
    /// Who is typing, who is there, who was last there, in whichever conversation: `Timeline.presence`.
    Presence,
}

/// What the app gives to hear of changes.
#[uniffi::export(with_foreign)]
pub trait Observer: Send + Sync {
    /// These things changed, and are stored. Calls come one after another; a failure is not the core's
    /// concern and ends nothing.
    fn changed(&self, changes: Vec<Change>) -> Result<(), ObserverError>;
}

/// The app's object threw something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum ObserverError {
    /// It did not take the changes.
    #[error("the observer failed")]
    Failed,
}

impl From<uniffi::UnexpectedUniFFICallbackError> for ObserverError {
    fn from(_: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed
    }
}

/// The telling. It ends with `stop`, or when the app lets go of it.
#[derive(uniffi::Object)]
pub struct Subscription(JoinHandle<()>);

impl Subscription {
    pub(crate) fn start(
        core: observe::Observer,
        app: Arc<dyn Observer>,
    ) -> Result<Arc<Self>, HauspostError> {
        let telling = runtime::start(async move {
            while let Some(changes) = core.next().await {
                let app = app.clone();
                let changes = changes.into_iter().map(Change::from).collect();
                let call = tokio::task::spawn_blocking(move || app.changed(changes));
                // Whatever the app threw, it hears of the next change all the same.
                let _ = call.await;
            }
        })?;
        Ok(Arc::new(Self(telling)))
    }
}

#[uniffi::export]
impl Subscription {
    /// Ends the telling. A call that is under way ends by itself; no other begins.
    pub fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl From<observe::Change> for Change {
    fn from(change: observe::Change) -> Self {
        match change {
            observe::Change::Account => Self::Account,
            observe::Change::Company => Self::Company,
            observe::Change::People => Self::People,
            observe::Change::Conversations => Self::Conversations,
            observe::Change::Outbox => Self::Outbox,
            observe::Change::Alarms => Self::Alarms,
            observe::Change::Presence => Self::Presence,
            observe::Change::EveryLog => Self::EveryConversation,
            observe::Change::Log(log) => Self::Conversation { id: log.to_string() },
        }
    }
}
