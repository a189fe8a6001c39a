//! Cards and voice messages: what people send that is more than a text, and what they do with polls.

use hauspost_protocol::content::{Card, Choice, Voice};
use hauspost_protocol::ids::{LogId, MessageId, UserId};

use super::about::Shows;
use super::marks::Wish;
use super::{Account, AccountError, Attachment, Draft};
use crate::read;
use crate::store::rows::message::{self, Message};
use crate::store::rows::{file, log};

impl Account {
    /// Sends a place, a contact or a poll. An app that does not know it shows its words.
    pub async fn send_card(
        &self,
        log: LogId,
        card: &Card,
        reply_to: Option<MessageId>,
    ) -> Result<MessageId, AccountError> {
        let of = card.clone();
        let read =
            self.core.store.read(move |conn| Ok::<_, AccountError>(message::words_of(conn, &of)?));
        let words = read.await?;
        let shows = Shows::Card(card);
        self.send(log, Draft { reply_to, shows, ..Draft::plain(&words) }).await
    }

    /// Sends a recording as it was encoded, with its length and its waveform for those who have not fetched
    /// it yet. What plays no sound is refused.
    pub async fn send_voice(
        &self,
        log: LogId,
        recording: Attachment,
        voice: &Voice,
        reply_to: Option<MessageId>,
    ) -> Result<MessageId, AccountError> {
        let shows = Shows::Voice(voice);
        self.send_with(log, vec![recording], Draft { reply_to, shows, ..Draft::plain("") }).await
    }

    /// Chooses options of a poll, in the place of what was chosen before; none takes the vote back.
    /// Everybody in the conversation sees who chose what.
    pub async fn vote(
        &self,
        log: LogId,
        message: MessageId,
        choice: Choice,
    ) -> Result<(), AccountError> {
        self.mark(log, message, Wish::Vote(choice)).await
    }

    /// Closes a poll of one's own, or anybody's as an owner of the conversation: later votes do not count.
    pub async fn close_poll(&self, log: LogId, message: MessageId) -> Result<(), AccountError> {
        self.mark(log, message, Wish::ClosePoll).await
    }

    /// Who chose what in a poll, in the order of their votes.
    pub async fn voters(
        &self,
        log: LogId,
        message: MessageId,
        limit: u32,
    ) -> Result<Vec<(UserId, Choice)>, AccountError> {
        self.core.store.read(move |conn| Ok(read::voters(conn, log, message, limit)?)).await
    }

    /// What a message shows besides its text.
    pub(super) async fn shown(
        &self,
        log: LogId,
        message: &Message,
    ) -> Result<(Option<Card>, Option<Voice>), AccountError> {
        let mut message = message.clone();
        let read = self.core.store.read(move |conn| {
            let local = log::local(conn, log)?.ok_or(AccountError::NoConversation)?;
            message.files = file::shown(conn, local.number, message.message_id)?;
            Ok::<_, AccountError>((message::card(conn, &message)?, message::voice(&message)))
        });
        read.await
    }
}
