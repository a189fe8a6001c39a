//! What people change about a conversation besides talking: its name, its sound; and what became of
//! changes that could not be made.

use hauspost_protocol::content::Control;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::ids::LogId;
use hauspost_protocol::limits::NAME_BYTES;
use hauspost_protocol::statement::PayloadType;

use super::talk::{found, writable};
use super::{Account, AccountError};
use crate::outbox::intent::{Add, Say};
use crate::read::{self, FailedChange};
use crate::store::Tx;
use crate::store::rows::conversation;
use crate::store::rows::mark;
use crate::store::rows::message::{self, MessageState};
use crate::store::rows::outbox::{self, Intent, IntentKind, IntentState, NewIntent};

impl Account {
    /// Names a conversation anew; the name travels sealed, like a message.
    pub async fn rename(&self, log: LogId, title: &str) -> Result<(), AccountError> {
        let title = title.trim().to_owned();
        if title.is_empty() || title.len() > NAME_BYTES {
            return Err(AccountError::Message);
        }
        self.core.check_may_write(log).await?;
        let now_ms = self.core.env.clock.now_ms();
        self.core
            .store
            .write(move |tx| {
                let local = writable(tx, log)?;
                conversation::set_title(tx, local, Some(&title), None)?;
                let content = Bytes(encode(&Control::Title(title)));
                let body = encode(&Say { ptype: PayloadType::Control, content });
                let kind = IntentKind::Record;
                let intent = NewIntent { log, kind, message_id: None, body, made_ms: now_ms };
                outbox::insert(tx, &intent)?;
                Ok::<_, AccountError>(())
            })
            .await?;
        self.core.to_send.notify_one();
        Ok(())
    }

    /// The changes of a conversation that this person wanted and that could not be made, oldest
    /// first, until each is dismissed or tried again. [`Change::Outbox`](crate::observe::Change)
    /// says when to look.
    pub async fn failed_changes(&self, log: LogId) -> Result<Vec<FailedChange>, AccountError> {
        self.core.store.read(move |conn| Ok(read::failed_changes(conn, log)?)).await
    }

    /// The person knows that a change failed.
    pub async fn dismiss(&self, log: LogId, change: i64) -> Result<(), AccountError> {
        self.core
            .store
            .write(move |tx| {
                let intent = failed_change(tx, log, change)?;
                if let Some(mark) = intent.message_id {
                    mark::discard(tx, found(tx, log)?, mark)?;
                }
                Ok::<_, AccountError>(outbox::discard(tx, intent.id)?)
            })
            .await
    }

    /// Tries a change once more that failed.
    pub async fn try_again(&self, log: LogId, change: i64) -> Result<(), AccountError> {
        self.core
            .store
            .write(move |tx| {
                let local = writable(tx, log)?;
                let intent = failed_change(tx, log, change)?;
                outbox::retry(tx, intent.id)?;
                if let Some(mark) = intent.message_id {
                    message::set_state(tx, local, mark, MessageState::Queued)?;
                }
                // Key packages that were taken may be used up, or too old by now.
                if intent.kind == IntentKind::Add
                    && let Ok(add) = decode::<Add>(&intent.body)
                {
                    outbox::set_body(tx, intent.id, &encode(&Add { packages: None, ..add }))?;
                }
                Ok::<_, AccountError>(())
            })
            .await?;
        self.core.to_send.notify_one();
        Ok(())
    }
}

/// A change of this conversation that failed, and not a message.
fn failed_change(tx: &Tx<'_>, log: LogId, id: i64) -> Result<Intent, AccountError> {
    let intent = outbox::find(tx, id)?.filter(|intent| intent.log == log);
    let intent = intent.filter(|intent| intent.state == IntentState::Failed);
    let intent = intent.ok_or(AccountError::NoChange)?;
    let is_message = match intent.message_id {
        Some(id) => message::find(tx, found(tx, log)?, id)?.is_some(),
        None => false,
    };
    if is_message { Err(AccountError::NoChange) } else { Ok(intent) }
}
