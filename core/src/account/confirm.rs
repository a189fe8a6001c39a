//! Messages that are to be confirmed: confirming, who has and who has not, reminding.
//!
//! Everybody's phone has the confirmations, since they are records of the conversation; who asks and the
//! owners see them as a list. The person's own phone reminds by itself of what is still to be confirmed.

use std::collections::BTreeSet;

use hauspost_protocol::content::TextForm;
use hauspost_protocol::ids::{LogId, MessageId, TimeMs};

use super::about::Draft;
use super::marks::Wish;
use super::places::At;
use super::{Account, AccountError, Attachment};
use crate::format::{calling, everybody_uri};
use crate::inbound::may_call_all;
use crate::read::{self, Confirmations};
use crate::store::rows::confirmation::{self, Due};

/// How often a phone reminds of what is to be confirmed.
const REMIND_EVERY_MS: TimeMs = 86_400_000;
/// Messages to be confirmed that are listed, at most.
const DUE: u32 = 500;

/// A message that the person of this phone has still to confirm.
#[derive(Clone, PartialEq, Eq)]
pub struct ToConfirm {
    /// The message.
    pub message: Due,
    /// When to remind the person the next time: a day after it was asked, and daily. An app that holds
    /// quiet hours reminds when they are over.
    pub remind_ms: TimeMs,
}

impl Account {
    /// Writes a text as it was typed, which everybody who is there is to confirm.
    pub async fn send_to_be_confirmed(
        &self,
        log: LogId,
        text: &str,
        attachments: Vec<Attachment>,
    ) -> Result<MessageId, AccountError> {
        let (text, form) = self.typed(log, text).await?;
        let draft = Draft { form, ..Draft::plain(&text) }.to_be_confirmed();
        match attachments.is_empty() {
            true => self.send(log, draft).await,
            false => self.send_with(log, attachments, draft).await,
        }
    }

    /// Confirms that this person has taken note of a message that asks for it; of an announcement in each room
    /// in which he has it, at once. Who has already changes nothing; nobody can take it back.
    pub async fn confirm(&self, log: LogId, message: MessageId) -> Result<(), AccountError> {
        let places = self.places_to_confirm(log, message).await?;
        self.mark_in(places, Wish::Acknowledge).await
    }

    /// Who was asked to confirm a message and who has, for its author and the owners; of an announcement its
    /// author sees all rooms as one, each person once.
    pub async fn confirmations(
        &self,
        log: LogId,
        message: MessageId,
    ) -> Result<Confirmations, AccountError> {
        let me = self.user();
        let read =
            self.core.store.read(move |conn| Ok(read::confirmations_of(conn, me, log, message)?));
        let found = read.await.and_then(|found| found.ok_or(AccountError::NoMessage))?;
        if found.author == self.user() || self.standing(log).await?.is_owner {
            return Ok(found);
        }
        Err(AccountError::NotAllowed)
    }

    /// Reminds those who were asked to confirm a message, are still there and have not: an answer to it with
    /// this text that mentions everybody, which calls those alone. Nobody else reads who they are. Where the
    /// policy does not let this person mention everybody, it is an answer and no more.
    pub async fn remind(
        &self,
        log: LogId,
        message: MessageId,
        text: &str,
    ) -> Result<MessageId, AccountError> {
        let missing: Vec<_> = self.confirmations(log, message).await?.missing().cloned().collect();
        if missing.is_empty() {
            return Err(AccountError::NobodyMissing);
        }
        // Of an announcement each is reminded in the room in which he is asked.
        let rooms = missing.into_iter().map(|person| (person.place.0, person.place.1));
        let rooms: BTreeSet<At> = rooms.collect();
        let mut written = Vec::with_capacity(rooms.len());
        for (log, message) in rooms {
            let text = self.calling(log, text).await?;
            let draft = Draft { form: TextForm::Markdown, ..Draft::plain(&text) };
            match self.written(log, draft.replying_to(message), Vec::new()).await {
                // Who has no right to write there any more reminds those in the other rooms.
                Err(AccountError::MayNotWrite | AccountError::NoConversation) => {}
                reminder => written.push(reminder?),
            }
        }
        let said = self.store_written(written).await?;
        said.first().copied().ok_or(AccountError::MayNotWrite)
    }

    /// A text that calls everybody, if the policy lets this person do so.
    async fn calling(&self, log: LogId, text: &str) -> Result<String, AccountError> {
        let (known, _, company) = self.core.known(log).await?;
        let may_call = |known: &_| may_call_all(known, self.user(), &company.now());
        let everybody = known
            .as_ref()
            .filter(|known| may_call(known))
            .map(|_| (super::about::EVERYBODY_NAMES[0], everybody_uri(self.company(), log)));
        Ok(calling(text, everybody))
    }

    /// What the person of this phone has still to confirm, the longest known first, each with the time of the
    /// next reminder.
    pub async fn to_confirm(&self) -> Result<Vec<ToConfirm>, AccountError> {
        let now_ms = self.core.env.clock.now_ms();
        let due = self.core.store.read(|conn| Ok::<_, AccountError>(confirmation::due(conn, DUE)?));
        let remind = |message: Due| {
            let days = now_ms.saturating_sub(message.t_ms) / REMIND_EVERY_MS + 1;
            let remind_ms = message.t_ms.saturating_add(days * REMIND_EVERY_MS);
            ToConfirm { message, remind_ms }
        };
        Ok(due.await?.into_iter().map(remind).collect())
    }
}
