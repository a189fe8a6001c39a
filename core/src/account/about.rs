//! What people say about messages: change, take back, hide, react, pin, star, pass on; and what they
//! ask about them.
//!
//! Each of it but a star is an intent like a message: shown at once, sent when the server can be
//! reached, and failed, with a reason, among the failed changes of the conversation.

use hauspost_protocol::authorise::Conversation;
use hauspost_protocol::content::{AnnouncementId, Card, Message, OwnFact, TextForm, Voice};
use hauspost_protocol::encoding::decode;
use hauspost_protocol::ids::{CompanyId, LogId, MessageId, UserId};

use super::marks::Wish;
use super::talk::found;
use super::unsent::Change;
use super::{Account, AccountError};
use crate::format;
use crate::inbound::Room;
use crate::read::{self, Version};
use crate::store::StoreError;
use crate::store::rows::log::{self, LogPart};
use crate::store::rows::message::{self, MessageKind, Saying};
use crate::store::rows::person;

/// People among whom a name is looked for.
const PEOPLE: u32 = 20_000;
/// What everybody is called behind an @.
pub(super) const EVERYBODY_NAMES: [&str; 2] = ["alle", "all"];

/// A text that a person wrote, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draft<'t> {
    /// The text.
    pub text: &'t str,
    /// How it is to be read.
    pub form: TextForm,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// Who wrote it elsewhere, if it is passed on.
    pub origin: Option<UserId>,
    /// Whether everybody who is there is to confirm it; in groups and among announcements.
    pub asks: bool,
    /// Under which id it is one announcement with others.
    pub announcement: Option<AnnouncementId>,
    /// What it shows besides.
    pub shows: Shows<'t>,
}

/// What a message shows besides its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows<'t> {
    /// Nothing.
    Nothing,
    /// A card, in the place of its text.
    Card(&'t Card),
    /// Of the sound that is its document how it goes.
    Voice(&'t Voice),
    /// Its text, as an alarm: it rings in quiet hours, if the policy lets its author send them.
    Alarm,
}

impl<'t> Draft<'t> {
    /// A text as it is.
    pub fn plain(text: &'t str) -> Self {
        Self {
            text,
            form: TextForm::Plain,
            reply_to: None,
            origin: None,
            asks: false,
            announcement: None,
            shows: Shows::Nothing,
        }
    }

    /// A text as it was typed: formatted if it asks for it.
    pub fn typed(text: &'t str) -> Self {
        let formatted = format::is_formatted(text);
        let form = if formatted { TextForm::Markdown } else { TextForm::Plain };
        Self { form, ..Self::plain(text) }
    }

    /// This text as the answer to a message.
    #[must_use]
    pub fn replying_to(self, message: MessageId) -> Self {
        Self { reply_to: Some(message), ..self }
    }

    /// This text as one that everybody who is there is to confirm.
    #[must_use]
    pub fn to_be_confirmed(self) -> Self {
        Self { asks: true, ..self }
    }

    pub(super) fn message(&self, salt: [u8; 16], company: CompanyId) -> Message {
        let mut message = match (self.shows, self.form) {
            (Shows::Card(card), _) => Message::with_card(salt, card, self.text, company),
            (_, TextForm::Plain) => Message::text(salt, self.text),
            (_, TextForm::Markdown) => Message::markdown(salt, self.text),
        };
        match self.shows {
            Shows::Voice(voice) => message = message.spoken(voice),
            Shows::Alarm => message = message.as_alarm(),
            Shows::Nothing | Shows::Card(_) => {}
        }
        if let Some(to) = self.reply_to {
            message = message.replying_to(to);
        }
        if self.asks {
            message = message.asking_to_confirm();
        }
        if let Some(id) = self.announcement {
            message = message.announced_as(id);
        }
        match self.origin {
            Some(author) => message.passed_on_from(author),
            None => message,
        }
    }
}

impl Account {
    /// Writes a text. Returns when it is stored on this phone.
    pub async fn send(&self, log: LogId, draft: Draft<'_>) -> Result<MessageId, AccountError> {
        self.send_message(log, draft, Vec::new()).await
    }

    /// Writes a text as it was typed: formatted if it asks for it, and with mentions for the handles of
    /// members behind an @; `@alle` and `@all` are everybody.
    pub async fn send_typed(
        &self,
        log: LogId,
        text: &str,
        reply_to: Option<MessageId>,
    ) -> Result<MessageId, AccountError> {
        let (text, form) = self.typed(log, text).await?;
        self.send(log, Draft { form, reply_to, ..Draft::plain(&text) }).await
    }

    /// Changes a message of one's own to a text as it was typed, as [`Account::send_typed`] reads it.
    pub async fn edit_typed(
        &self,
        log: LogId,
        message: MessageId,
        text: &str,
    ) -> Result<(), AccountError> {
        let (text, form) = self.typed(log, text).await?;
        self.edit(log, message, &text, form).await
    }

    pub(super) async fn typed(
        &self,
        log: LogId,
        text: &str,
    ) -> Result<(String, TextForm), AccountError> {
        if !text.contains('@') {
            return Ok(format::typed(text, |_| None));
        }
        let company = self.core.me.company;
        let read = self.core.store.read(move |conn| {
            let known = conversation(conn, log)?;
            let people = person::all(conn, PEOPLE)?;
            Ok::<_, AccountError>((known, people))
        });
        let (known, people) = read.await?;
        Ok(format::typed(text, |name| {
            let is_called = |handle: &str| handle.eq_ignore_ascii_case(name);
            if EVERYBODY_NAMES.iter().any(|all| is_called(all)) {
                return Some(format::everybody_uri(company, log));
            }
            let called = people.iter().find(|person| is_called(&person.handle))?;
            // Before it has begun, nobody can say who will be there; readers judge for themselves.
            let is_here = known.as_ref().is_none_or(|known| known.roster.has_user(called.user));
            is_here.then(|| format::person_uri(company, called.user))
        }))
    }

    /// Changes a message of one's own, an announcement in all its rooms or in none. Everybody sees the last
    /// text, and that it was changed; all of them stay in the log. One that is not sent yet is changed in its
    /// place, under another id, and nobody sees that; one that failed is sent so.
    pub async fn edit(
        &self,
        log: LogId,
        message: MessageId,
        text: &str,
        form: TextForm,
    ) -> Result<(), AccountError> {
        let places = self.own_places(log, message).await?;
        self.change(places, Change::Text(text.to_owned(), form)).await
    }

    /// Takes a message of one's own back, an announcement in all its rooms or in none: people see that it
    /// was, the archive keeps it. One that is not sent yet is taken out, and nobody ever sees it.
    pub async fn delete(&self, log: LogId, message: MessageId) -> Result<(), AccountError> {
        let places = self.own_places(log, message).await?;
        self.change(places, Change::TakeBack).await
    }

    /// Hides anybody's message from people, as an owner of the conversation; the archive keeps it.
    pub async fn redact(&self, log: LogId, message: MessageId) -> Result<(), AccountError> {
        self.mark(log, message, Wish::Redact).await
    }

    /// Reacts to a message by an emoji. Who does already changes nothing.
    pub async fn react(
        &self,
        log: LogId,
        message: MessageId,
        emoji: &str,
    ) -> Result<(), AccountError> {
        self.mark(log, message, Wish::React(emoji.to_owned())).await
    }

    /// Takes one's reaction back.
    pub async fn unreact(
        &self,
        log: LogId,
        message: MessageId,
        emoji: &str,
    ) -> Result<(), AccountError> {
        self.mark(log, message, Wish::Unreact(emoji.to_owned())).await
    }

    /// Pins a message in the conversation for everybody, or takes the pin off.
    pub async fn pin(
        &self,
        log: LogId,
        message: MessageId,
        pinned: bool,
    ) -> Result<(), AccountError> {
        self.mark(log, message, Wish::Pin(pinned)).await
    }

    /// Marks a message as one to come back to, on all devices of this person. Nobody else learns it.
    pub async fn star(
        &self,
        log: LogId,
        message: MessageId,
        starred: bool,
    ) -> Result<(), AccountError> {
        let now_ms = self.core.env.clock.now_ms();
        self.core
            .tell_own(move |tx, tell| {
                let local = found(tx, log)?;
                let starred_ms = starred.then_some(now_ms);
                if !message::set_starred(tx, local, message, starred_ms)? {
                    return Err(AccountError::NoMessage);
                }
                let at_ms = starred_ms.unwrap_or_default();
                tell.push(OwnFact::Starred { log, message, at_ms });
                Ok(())
            })
            .await
    }

    /// Passes a message on into another conversation, with the name of who wrote it first and nothing of
    /// where. Its documents are sent anew, each under a new key.
    pub async fn forward(
        &self,
        log: LogId,
        message: MessageId,
        to: LogId,
    ) -> Result<MessageId, AccountError> {
        let found = self.core.store.read(move |conn| {
            let local = log::local(conn, log)?.ok_or(AccountError::NoConversation)?;
            Ok::<_, AccountError>(message::find(conn, local, message)?)
        });
        let message = found.await?.filter(|message| !message.fate.is_hidden());
        let message = message.ok_or(AccountError::NoMessage)?;
        let (text, form) = match (&message.saying.markdown, &message.text) {
            (Some(markdown), _) => (markdown.as_str(), TextForm::Markdown),
            (None, Some(text)) => (text.as_str(), TextForm::Plain),
            (None, None) => return Err(AccountError::NoMessage),
        };
        let origin = Some(message.saying.origin.unwrap_or(message.author));
        let (card, voice) = self.shown(log, &message).await?;
        let shows = match (&card, &voice) {
            (Some(card), _) => Shows::Card(card),
            (None, Some(voice)) => Shows::Voice(voice),
            (None, None) => Shows::Nothing,
        };
        let draft = Draft { form, origin, shows, ..Draft::plain(text) };
        if message.kind != MessageKind::File {
            return self.send(to, draft).await;
        }
        let attachments = self.attachments(log, message.message_id).await?;
        // Without a word to them, the text is the first one's name.
        let is_name = attachments.first().is_some_and(|first| first.name == draft.text);
        let text = if is_name { "" } else { draft.text };
        self.send_with(to, attachments, Draft { text, ..draft }).await
    }

    /// What a message said before it was changed, and now: each version, the first one first. Empty if it was
    /// taken back.
    pub async fn versions(
        &self,
        log: LogId,
        message: MessageId,
    ) -> Result<Vec<Version>, AccountError> {
        self.core.store.read(move |conn| Ok(read::versions(conn, log, message)?)).await
    }

    /// Who reacts to a message and by what, the earliest first.
    pub async fn reactions(
        &self,
        log: LogId,
        message: MessageId,
        limit: u32,
    ) -> Result<Vec<(UserId, String)>, AccountError> {
        self.core.store.read(move |conn| Ok(read::reactions(conn, log, message, limit)?)).await
    }

    /// The pinned messages of a conversation, in the log's order.
    pub async fn pinned(&self, log: LogId) -> Result<Vec<message::Message>, AccountError> {
        self.core.store.read(move |conn| Ok(read::pinned(conn, log)?)).await
    }

    /// The messages that this person starred, the last one first, each with its conversation.
    pub async fn starred(
        &self,
        limit: u32,
    ) -> Result<Vec<(LogId, message::Message)>, AccountError> {
        self.core.store.read(move |conn| Ok(read::starred(conn, limit)?)).await
    }

    /// What a text of this person's says here.
    pub(super) async fn saying(
        &self,
        log: LogId,
        draft: Draft<'_>,
    ) -> Result<(Option<String>, Saying), AccountError> {
        let text = draft.text.to_owned();
        let mut said = (Some(text.clone()), Saying::default());
        if draft.form == TextForm::Markdown {
            let (company, form) = (self.core.me.company, draft.form);
            let mentions = draft.origin.is_none();
            said = self
                .core
                .store
                .read(move |conn| {
                    let conversation = conversation(conn, log)?;
                    let room = Room { conversation: conversation.as_ref(), company, log };
                    Ok::<_, AccountError>(room.saying(&text, form, mentions))
                })
                .await?;
        }
        let (reply_to, origin, asks) = (draft.reply_to, draft.origin, draft.asks);
        let alarm = draft.shows == Shows::Alarm;
        let announcement = draft.announcement;
        Ok((said.0, Saying { reply_to, origin, asks, alarm, announcement, ..said.1 }))
    }
}

pub(super) fn conversation(
    conn: &rusqlite::Connection,
    log: LogId,
) -> Result<Option<Conversation>, StoreError> {
    let Some(local) = log::local(conn, log)? else { return Ok(None) };
    let part = log::part(conn, local, LogPart::Conversation)?;
    let part = part.map(|bytes| decode(&bytes)).transpose();
    part.map_err(|_| StoreError::Unreadable("conversation"))
}
