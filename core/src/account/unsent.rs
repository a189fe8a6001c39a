//! What is not sent yet: changed in its place, or taken out, and nobody else ever sees that.
//!
//! That is possible as long as nothing of it can have reached the server. What was handed to the network
//! and not answered may be there: it waits until it is sent, and is changed like anything that is. The
//! bytes of what was sealed and never left are dropped, with those behind it, whose places they take
//! (docs/protocol.md §8); a place that may have been used is never used for another text.

use std::collections::HashSet;

use hauspost_protocol::content::{Message, TextForm};
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::ids::{CoreHash, LogId, MessageId, RecordIndex};
use hauspost_protocol::limits::FILES;
use hauspost_protocol::wire::Outcome;

use super::documents::{self, lock};
use super::engine::Core;
use super::talk::writable;
use super::{Account, AccountError, Draft};
use crate::inbound::said;
use crate::outbox::REASON_MAYBE_SENT;
use crate::store::StoreError;
use crate::store::rows::log::LocalLog;
use crate::store::rows::message::{self, MessageKind, MessageState};
use crate::store::rows::outbox::{self, Intent, IntentState};
use crate::store::rows::{file, log};

/// What was handed to the network in this process and not answered yet, and what was taken out of its way
/// before.
#[derive(Default)]
pub(super) struct Handed {
    /// On its way now.
    going: HashSet<CoreHash>,
    /// Was on its way, and nobody knows whether it came there, or stays.
    doubtful: HashSet<CoreHash>,
    withdrawn: HashSet<CoreHash>,
}

/// Sealed records, as a batch names them.
type Sealed = [(i64, CoreHash, RecordIndex)];

impl Core {
    /// Before sealed records go to the network: from here on they may be at the server. `false` if one of
    /// them was taken back meanwhile; then none goes.
    pub(super) fn hand_over(&self, sealed: &Sealed) -> bool {
        let mut handed = lock(&self.handed);
        if sealed.iter().any(|(_, core, _)| handed.withdrawn.contains(core)) {
            return false;
        }
        for (_, core, _) in sealed {
            // The try before was broken off in the middle.
            if !handed.going.insert(*core) {
                handed.doubtful.insert(*core);
            }
        }
        true
    }

    /// What became of handing them over: nothing of them left this phone, or nobody knows.
    pub(super) fn not_answered(&self, sealed: &Sealed, left_nothing: bool) {
        let mut handed = lock(&self.handed);
        for (_, core, _) in sealed {
            handed.going.remove(core);
            if !left_nothing {
                handed.doubtful.insert(*core);
            }
        }
    }

    /// They were answered, and the answer was taken in. What the server took is doubtful for good: it may
    /// say later that it did not.
    pub(super) fn answered(&self, sealed: &Sealed, outcomes: &[Outcome]) {
        let mut handed = lock(&self.handed);
        for ((_, core, _), outcome) in sealed.iter().zip(outcomes) {
            handed.going.remove(core);
            if matches!(outcome, Outcome::Ok(_) | Outcome::Dup(_)) {
                handed.doubtful.insert(*core);
            } else {
                handed.doubtful.remove(core);
            }
        }
    }

    /// A batch that is made now holds nothing that was taken back before.
    pub(super) fn forget_withdrawn(&self) {
        lock(&self.handed).withdrawn.clear();
    }

    /// Takes sealed records out of the sender's way, if none of them can have left this phone.
    fn withdraw(&self, sealed: &[(i64, CoreHash)]) -> bool {
        let mut handed = lock(&self.handed);
        let may_be_there = |(id, core): &(i64, CoreHash)| {
            *id <= self.inherited || handed.going.contains(core) || handed.doubtful.contains(core)
        };
        if sealed.iter().any(may_be_there) {
            return false;
        }
        handed.withdrawn.extend(sealed.iter().map(|(_, core)| *core));
        true
    }
}

/// What becomes of an unsent message.
enum Change {
    /// Another text, with what else it says.
    Text(String, TextForm),
    /// Nothing is sent.
    TakeOut,
}

impl Account {
    /// Gives a message that is not sent yet another text. `false` if it is sent.
    pub(super) async fn rewrite(
        &self,
        log: LogId,
        message: MessageId,
        text: &str,
        form: TextForm,
    ) -> Result<bool, AccountError> {
        self.change_unsent(log, message, Change::Text(text.to_owned(), form)).await
    }

    /// Takes a message out that is not sent yet. `false` if it is sent.
    pub(super) async fn take_out(
        &self,
        log: LogId,
        message: MessageId,
    ) -> Result<bool, AccountError> {
        self.change_unsent(log, message, Change::TakeOut).await
    }

    async fn change_unsent(
        &self,
        log: LogId,
        message: MessageId,
        change: Change,
    ) -> Result<bool, AccountError> {
        let found = self.core.store.read(move |conn| {
            let Some(local) = log::local(conn, log)? else { return Ok(false) };
            let message = message::find(conn, local, message)?;
            Ok::<_, AccountError>(message.is_some_and(|it| it.is_said() && it.seq.is_none()))
        });
        if !found.await? {
            return Ok(false);
        }
        let saying = match &change {
            Change::Text(text, form) => {
                self.saying(log, Draft { form: *form, ..Draft::plain(text) }).await?.1
            }
            Change::TakeOut => Default::default(),
        };
        let keys: Vec<Secret> = {
            let rng = &mut self.core.env.randomness.rng();
            (0..FILES).map(|_| Secret::random(rng)).collect()
        };
        // Nobody seals, plans or takes an answer in meanwhile.
        let _engine = self.core.engine.lock().await;
        self.core.forget_ready(log);
        let behind = self.core.store.read(move |conn| {
            let intent = outbox::by_message(conn, log, message)?.ok_or(AccountError::NotSent)?;
            let sealed = intent.sealed.as_ref().filter(|_| intent.state == IntentState::Sealed);
            Ok::<_, AccountError>(match sealed {
                Some(sealed) => outbox::sealed_from(conn, log, sealed.leaf_index)?,
                None => Vec::new(),
            })
        });
        let behind = behind.await?;
        if !self.core.withdraw(&behind) {
            return Err(AccountError::NotSent);
        }
        let (me, what) = (self.core.me.clone(), change);
        self.core
            .store
            .write(move |tx| {
                let local = writable(tx, log)?;
                for (id, _) in &behind {
                    outbox::unseal(tx, *id)?;
                }
                let intent = outbox::by_message(tx, log, message)?.ok_or(AccountError::NotSent)?;
                if !is_here_alone(&intent) {
                    return Err(AccountError::NotSent);
                }
                let (text, form) = match what {
                    Change::TakeOut => {
                        outbox::discard(tx, intent.id)?;
                        return Ok(message::discard(tx, local, message)?);
                    }
                    Change::Text(text, form) => (text, form),
                };
                let row = message::find(tx, local, message)?.ok_or(AccountError::NoMessage)?;
                // A card is another one, or none.
                if !matches!(row.kind, MessageKind::Text | MessageKind::File) {
                    return Err(AccountError::NotSent);
                }
                let content = row.content.as_deref().unwrap_or_default();
                let old = Message::parse(content).map_err(|_| AccountError::Message)?;
                let body = match form {
                    TextForm::Plain => Message::text(old.salt, &text).body,
                    TextForm::Markdown => Message::markdown(old.salt, &text).body,
                };
                let new = Message { body, ..old };
                let content = new.to_bytes().map_err(|_| AccountError::Message)?;
                let new_id = new.id(&content, me.company, me.user, log);
                let shown = shown(tx, local, &row, crate::format::plain(&text, form))?;
                let markdown = (form == TextForm::Markdown).then_some(text);
                let mentions = saying.mentions;
                let said = message::Saying { markdown, mentions, ..row.saying };
                message::rewrite(tx, local, (message, new_id), &shown, &said, &content)?;
                outbox::rewrite(tx, intent.id, new_id)?;
                if intent.state == IntentState::Failed {
                    outbox::retry(tx, intent.id)?;
                }
                message::set_state(tx, local, new_id, MessageState::Queued)?;
                if row.kind == MessageKind::File {
                    let intent = Intent { message_id: Some(new_id), ..intent };
                    documents::retry(tx, local, &intent, &keys)?;
                }
                Ok::<_, AccountError>(())
            })
            .await?;
        drop(_engine);
        self.core.to_send.notify_one();
        self.core.documents.to_upload.notify_one();
        Ok(true)
    }
}

/// Whether nothing of an intent can be at the server.
fn is_here_alone(intent: &Intent) -> bool {
    match intent.state {
        IntentState::Queued | IntentState::Uploading => true,
        // What a restored phone may have sent before is somebody else's already.
        IntentState::Failed => intent.reason != Some(REASON_MAYBE_SENT),
        _ => false,
    }
}

/// What a message with documents says without a word is the first one's name.
fn shown(
    conn: &rusqlite::Connection,
    local: LocalLog,
    row: &message::Message,
    text: String,
) -> Result<String, StoreError> {
    if row.kind != MessageKind::File {
        return Ok(text);
    }
    let files = file::of_message(conn, local.number, row.message_id)?;
    Ok(files.first().map_or(text.clone(), |first| said(&text, &first.name)))
}
