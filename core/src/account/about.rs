//! What people say about messages: change, take back, hide, react, pin, star, pass on; and what they
//! ask about them.
//!
//! Each of it but a star is an intent like a message: shown at once, sent when the server can be
//! reached, and failed, with a reason, among the failed changes of the conversation.

use hauspost_protocol::authorise::Conversation;
use hauspost_protocol::content::{
    AnnouncementId, Card, CardError, Choice, Control, Message, OwnFact, TextForm, Voice, is_emoji,
};
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::ids::{CompanyId, LogId, MessageId, UserId};
use hauspost_protocol::statement::PayloadType;
use rand::Rng as _;

use super::talk::{found, writable};
use super::{Account, AccountError};
use crate::format;
use crate::inbound::{Room, may};
use crate::outbox::intent::{Say, id_of_this_phone};
use crate::read::{self, Version};
use crate::store::rows::log::{self, LocalLog, LogPart};
use crate::store::rows::mark::{self, MarkKind, NewMark};
use crate::store::rows::message::{self, Fate, MessageKind, MessageState, Place, Saying};
use crate::store::rows::outbox::{self, NewIntent};
use crate::store::rows::{person, poll, reaction};
use crate::store::{StoreError, Tx};

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

/// What a person wants to say about a message.
pub(super) enum Wish {
    Edit(String, TextForm),
    Delete,
    Redact,
    React(String),
    Unreact(String),
    Pin(bool),
    Vote(Choice),
    ClosePoll,
    Acknowledge,
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

    /// Changes a message of one's own, an announcement in all its rooms. Everybody sees the last text, and that it was changed; all of
    /// them stay in the log. One that is not sent yet is changed in its place, under another id, and nobody
    /// sees that; one that failed is sent so.
    pub async fn edit(
        &self,
        log: LogId,
        message: MessageId,
        text: &str,
        form: TextForm,
    ) -> Result<(), AccountError> {
        if text.trim().is_empty() {
            return Err(AccountError::Message);
        }
        let mut done = Ok(());
        for (log, message) in self.own_places(log, message).await? {
            let changed = match self.rewrite(log, message, text, form).await {
                Ok(false) => self.mark(log, message, Wish::Edit(text.to_owned(), form)).await,
                changed => changed.map(|_| ()),
            };
            // A room that refuses holds up no other one.
            done = done.and(changed);
        }
        done
    }

    /// Takes a message of one's own back, an announcement in all its rooms: people see that it was, the archive keeps it. One that is not
    /// sent yet is taken out, and nobody ever sees it.
    pub async fn delete(&self, log: LogId, message: MessageId) -> Result<(), AccountError> {
        let mut done = Ok(());
        for (log, message) in self.own_places(log, message).await? {
            let taken = match self.take_out(log, message).await {
                Ok(false) => self.mark(log, message, Wish::Delete).await,
                taken => taken.map(|_| ()),
            };
            done = done.and(taken);
        }
        done
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

    pub(super) async fn mark(
        &self,
        log: LogId,
        message: MessageId,
        wish: Wish,
    ) -> Result<(), AccountError> {
        if !matches!(wish, Wish::Acknowledge) {
            self.core.check_may_write(log).await?;
        }
        let draft = match &wish {
            Wish::Edit(text, _) if text.trim().is_empty() => return Err(AccountError::Message),
            Wish::React(emoji) if !is_emoji(emoji) => return Err(AccountError::Message),
            Wish::Edit(text, form) => Draft { form: *form, ..Draft::plain(text) },
            Wish::React(emoji) | Wish::Unreact(emoji) => Draft::plain(emoji),
            _ => Draft::plain(""),
        };
        let (text, saying) = self.saying(log, draft).await?;
        let mut rng = self.core.env.randomness.rng();
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        let of_control = id_of_this_phone(&mut rng);
        let company = {
            let mut engine = self.core.engine.lock().await;
            self.core.company(&mut engine).await?
        };
        let me = self.core.me.clone();
        let now_ms = self.core.env.clock.now_ms();
        self.core
            .say(log, move |tx| {
                let local = writable(tx, log)?;
                let Some(wish) = wanted(tx, local, me.user, message, &wish)? else {
                    return Ok(());
                };
                let by_role =
                    [MarkKind::Redaction, MarkKind::Pin, MarkKind::Unpin, MarkKind::ClosePoll];
                if !wish.own && by_role.contains(&wish.kind) {
                    let known = conversation(tx, log)?.ok_or(AccountError::NoConversation)?;
                    if !may(&known, me.user, &company.now(), wish.kind) {
                        return Err(AccountError::NotAllowed);
                    }
                }
                let (ptype, content, message_id) = match wish.said(salt) {
                    Said::Message(message) => {
                        let content = message.to_bytes().map_err(|_| AccountError::Message)?;
                        let id = message.id(&content, me.company, me.user, log);
                        (PayloadType::Content, content, id)
                    }
                    Said::Control(control) => (PayloadType::Control, encode(&control), of_control),
                };
                let say = Say { ptype, content: Bytes(content.clone()) };
                let intent = NewIntent::saying(log, Some(message_id), encode(&say), now_ms);
                let id = outbox::insert(tx, &intent)?;
                let mark = NewMark {
                    place: Place::Pending(id),
                    message_id,
                    about: wish.about,
                    kind: wish.kind,
                    valid: true,
                    author: me.user,
                    device: me.device,
                    state: MessageState::Queued,
                    t_ms: now_ms,
                    sent_ms: now_ms,
                    text: matches!(wish.kind, MarkKind::Edit | MarkKind::Reaction)
                        .then_some(text)
                        .flatten(),
                    saying,
                    content,
                    record_key: None,
                };
                mark::insert(tx, local, &mark)?;
                Ok::<_, AccountError>(())
            })
            .await?;
        self.core.to_send.notify_one();
        Ok(())
    }
}

/// A wish that can be granted, as a mark.
struct Wanted<'w> {
    about: MessageId,
    kind: MarkKind,
    wish: &'w Wish,
    /// Whether the person may do it, whatever the role: it is the person's own poll.
    own: bool,
}

/// How a wish is said.
enum Said {
    Message(Message),
    Control(Control),
}

impl Wanted<'_> {
    fn said(&self, salt: [u8; 16]) -> Said {
        let about = self.about;
        match self.wish {
            Wish::Edit(text, TextForm::Plain) => {
                Said::Message(Message::text(salt, text).replacing(about))
            }
            Wish::Edit(text, TextForm::Markdown) => {
                Said::Message(Message::markdown(salt, text).replacing(about))
            }
            Wish::Delete | Wish::Unreact(_) => Said::Message(Message::deletion(salt, about)),
            Wish::React(emoji) => Said::Message(Message::reaction(salt, about, emoji)),
            Wish::Redact => Said::Control(Control::Redact(about)),
            Wish::Pin(true) => Said::Control(Control::Pin(about)),
            Wish::Pin(false) => Said::Control(Control::Unpin(about)),
            Wish::Vote(choice) => Said::Control(Control::Vote(about, *choice)),
            Wish::ClosePoll => Said::Control(Control::ClosePoll(about)),
            Wish::Acknowledge => Said::Control(Control::Acknowledge(about)),
        }
    }
}

/// Whether this person may have that wish; `None` if it is so already.
fn wanted<'w>(
    tx: &Tx<'_>,
    log: LocalLog,
    me: UserId,
    message_id: MessageId,
    wish: &'w Wish,
) -> Result<Option<Wanted<'w>>, AccountError> {
    let message = message::find(tx, log, message_id)?.filter(|message| message.is_said());
    let message = message.ok_or(AccountError::NoMessage)?;
    // What nobody else has, nothing can be said about yet.
    if message.seq.is_none() {
        return Err(AccountError::NotSent);
    }
    let is_hidden = message.fate.is_hidden() || message.state == MessageState::Erased;
    let about = |kind| Ok(Some(Wanted { about: message_id, kind, wish, own: false }));
    match wish {
        Wish::Delete | Wish::Redact if message.fate.is_hidden() => Ok(None),
        Wish::Pin(pinned) if *pinned == message.is_pinned => Ok(None),
        Wish::Pin(false) => about(MarkKind::Unpin),
        Wish::Acknowledge => match message.asking {
            Some(asking) if asking.is_mine => Ok(None),
            Some(_) if message.author != me && !is_hidden => about(MarkKind::Acknowledgement),
            _ => Err(AccountError::NoMessage),
        },
        Wish::Unreact(emoji) => match mark::reaction_of(tx, log, message_id, (me, emoji))? {
            Some(mark) => {
                let (about, kind) = (mark.message_id, MarkKind::Deletion);
                Ok(Some(Wanted { about, kind, wish, own: false }))
            }
            None => Ok(None),
        },
        _ if is_hidden => Err(AccountError::NoMessage),
        Wish::Edit(..) if message.kind.is_card() => Err(AccountError::NotAllowed),
        Wish::Edit(..) | Wish::Delete if message.author != me => Err(AccountError::NotAllowed),
        Wish::Edit(text, form) => {
            let is_markdown = *form == TextForm::Markdown;
            let now = if is_markdown { &message.saying.markdown } else { &message.text };
            let is_same =
                now.as_deref() == Some(text) && is_markdown == message.saying.markdown.is_some();
            if is_same && message.fate != Fate::Deleted { Ok(None) } else { about(MarkKind::Edit) }
        }
        Wish::Delete => about(MarkKind::Deletion),
        Wish::Redact => about(MarkKind::Redaction),
        Wish::Pin(true) => about(MarkKind::Pin),
        Wish::React(emoji) => {
            let who = (message_id, me);
            if reaction::is_there(tx, log, who, emoji)? {
                return Ok(None);
            }
            if reaction::count_of(tx, log, who)? >= reaction::REACTIONS {
                return Err(AccountError::TooMany);
            }
            about(MarkKind::Reaction)
        }
        Wish::Vote(_) | Wish::ClosePoll => {
            let Some(Card::Poll(poll)) = message::card(tx, &message)? else {
                return Err(AccountError::NoPoll);
            };
            let votes = poll::votes(tx, log.number, message_id)?;
            match wish {
                Wish::Vote(choice) if !poll.takes(*choice) => Err(CardError::Options.into()),
                Wish::Vote(_) if votes.closed_by.is_some() => Err(AccountError::PollClosed),
                Wish::Vote(choice) if votes.mine == *choice => Ok(None),
                Wish::Vote(_) => about(MarkKind::Vote),
                _ if votes.closed_by.is_some() => Ok(None),
                _ => {
                    let own = message.author == me;
                    let (about, kind) = (message_id, MarkKind::ClosePoll);
                    Ok(Some(Wanted { about, kind, wish, own }))
                }
            }
        }
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
