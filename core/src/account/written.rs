//! Messages as they are written: each is stored with the intent to send it, one announcement in all its rooms at
//! once.

use hauspost_protocol::ids::{LogId, MessageId};
use rand::Rng as _;

use super::documents::{self, Attached};
use super::talk::writable;
use super::{Account, AccountError, Draft, Shows};
use crate::inbound::said;
use crate::store::Tx;
use crate::store::rows::message::{self, MessageKind, MessageState, NewMessage, Place};
use crate::store::rows::outbox::{self, NewIntent};

/// A message ready to be stored.
pub(super) struct Written {
    log: LogId,
    message: NewMessage,
    attached: Vec<Attached>,
}

impl Account {
    /// Writes a message with documents, if any.
    pub(super) async fn send_message(
        &self,
        log: LogId,
        draft: Draft<'_>,
        attached: Vec<Attached>,
    ) -> Result<MessageId, AccountError> {
        let written = self.written(log, draft, attached).await?;
        let message_id = written.message.message_id;
        self.store_written(vec![written]).await?;
        Ok(message_id)
    }

    /// What is stored of a message, if this person may write it there.
    pub(super) async fn written(
        &self,
        log: LogId,
        draft: Draft<'_>,
        attached: Vec<Attached>,
    ) -> Result<Written, AccountError> {
        if draft.text.trim().is_empty() && attached.is_empty() {
            return Err(AccountError::Message);
        }
        self.core.check_may_write(log).await?;
        if draft.asks {
            self.core.check_is_room(log).await?;
        }
        let mut salt = [0; 16];
        self.core.env.randomness.rng().fill_bytes(&mut salt);
        let pages: Vec<Option<u32>> = attached.iter().map(|attached| attached.pages).collect();
        let me = &self.core.me;
        let message = draft.message(salt, me.company).with_pages(&pages);
        let card = match draft.shows {
            Shows::Card(card) => Some(MessageKind::of(card)),
            _ => None,
        };
        let (text, saying) = self.saying(log, draft).await?;
        let text = text.unwrap_or_default();
        let content = message.to_bytes().map_err(|_| AccountError::Message)?;
        let (kind, text) = match attached.first() {
            None => (card.unwrap_or(MessageKind::Text), text),
            Some(first) => (MessageKind::File, said(&text, &first.file.name)),
        };
        let now_ms = self.core.env.clock.now_ms();
        let message = NewMessage {
            // The number of its intent is known when that is stored.
            place: Place::Pending(0),
            message_id: message.id(&content, me.company, me.user, log),
            author: me.user,
            device: me.device,
            kind,
            state: MessageState::Queued,
            t_ms: now_ms,
            sent_ms: now_ms,
            missing: 0,
            text: Some(text),
            content: Some(content),
            record_key: None,
            unread: false,
            handed: false,
            saying,
        };
        Ok(Written { log, message, attached })
    }

    /// Stores messages and what sends them, all of them or none; their ids, in this order.
    pub(super) async fn store_written(
        &self,
        all: Vec<Written>,
    ) -> Result<Vec<MessageId>, AccountError> {
        let logs: Vec<LogId> = all.iter().map(|written| written.log).collect();
        let ids = all.iter().map(|written| written.message.message_id).collect();
        let vault = self.core.documents.vault.clone();
        let store = move |tx: &Tx<'_>| {
            for Written { log, mut message, attached } in all {
                let (local, message_id, now_ms) =
                    (writable(tx, log)?, message.message_id, message.t_ms);
                let id = outbox::insert(tx, &NewIntent::message(log, message_id, now_ms))?;
                message.place = Place::Pending(id);
                message::insert(tx, local, &message)?;
                if !attached.is_empty() {
                    documents::attach(tx, &vault, (local, message_id), id, attached, now_ms)?;
                }
            }
            Ok::<_, AccountError>(())
        };
        self.core.say_in(&logs, store).await?;
        self.core.to_send.notify_one();
        Ok(ids)
    }
}
