//! What is said about a message, as a mark: shown at once, and sent like a message.

use std::sync::Arc;

use hauspost_protocol::body::LogType;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::content::{Card, CardError, Choice, Control, Message, TextForm, is_emoji};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::ids::{LogId, MessageId, TimeMs, UserId};
use hauspost_protocol::rules::client;
use hauspost_protocol::statement::PayloadType;
use rand::Rng as _;

use super::about::{Draft, conversation};
use super::places::{At, in_each};
use super::talk::open;
use super::{Account, AccountError};
use crate::inbound::{Me, may};
use crate::outbox::intent::{Say, id_of_this_phone};
use crate::store::Tx;
use crate::store::rows::log::LocalLog;
use crate::store::rows::mark::{self, MarkKind, NewMark};
use crate::store::rows::message::{self, Fate, MessageState, Place, Saying};
use crate::store::rows::outbox::{self, NewIntent};
use crate::store::rows::{poll, reaction};

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

/// A wish about a message wherever it stands, ready to be stored.
pub(super) struct Marking {
    wish: Wish,
    pub me: Arc<Me>,
    company: Arc<Company>,
    now_ms: TimeMs,
}

/// What a wish draws and says in one of the places.
pub(super) struct Drawn {
    pub at: At,
    /// What people read, if the wish is a text.
    pub text: Option<String>,
    pub saying: Saying,
    salt: [u8; 16],
    of_control: MessageId,
}

impl Account {
    pub(super) async fn mark(
        &self,
        log: LogId,
        message: MessageId,
        wish: Wish,
    ) -> Result<(), AccountError> {
        self.mark_in(vec![(log, message)], wish).await
    }

    /// Says this about a message in each of these places, or in none; see [`in_each`].
    pub(super) async fn mark_in(&self, places: Vec<At>, wish: Wish) -> Result<(), AccountError> {
        let logs: Vec<LogId> = places.iter().map(|(log, _)| *log).collect();
        let (marking, drawn) = self.marking(places, wish).await?;
        let store = move |tx: &Tx<'_>| in_each(drawn, |drawn| marking.mark(tx, drawn));
        self.core.say_in(&logs, store).await?;
        self.core.to_send.notify_one();
        Ok(())
    }

    /// All that a wish needs before it is stored.
    pub(super) async fn marking(
        &self,
        places: Vec<At>,
        wish: Wish,
    ) -> Result<(Marking, Vec<Drawn>), AccountError> {
        let draft = match &wish {
            Wish::Edit(text, _) if text.trim().is_empty() => return Err(AccountError::Message),
            Wish::React(emoji) if !is_emoji(emoji) => return Err(AccountError::Message),
            Wish::Edit(text, form) => Draft { form: *form, ..Draft::plain(text) },
            Wish::React(emoji) | Wish::Unreact(emoji) => Draft::plain(emoji),
            _ => Draft::plain(""),
        };
        let mut all = Vec::with_capacity(places.len());
        for at in places {
            let (text, saying) = self.saying(at.0, draft).await?;
            let mut rng = self.core.env.randomness.rng();
            let mut salt = [0; 16];
            rng.fill_bytes(&mut salt);
            all.push(Drawn { at, text, saying, salt, of_control: id_of_this_phone(&mut rng) });
        }
        let company = {
            let mut engine = self.core.engine.lock().await;
            self.core.company(&mut engine).await?
        };
        let (me, now_ms) = (self.core.me.clone(), self.core.env.clock.now_ms());
        Ok((Marking { wish, me, company, now_ms }, all))
    }
}

impl Marking {
    /// Stores the wish in one place: its mark, and the intent to send it.
    pub(super) fn mark(&self, tx: &Tx<'_>, drawn: Drawn) -> Result<(), AccountError> {
        let Drawn { at: (log, message), text, saying, salt, of_control } = drawn;
        let row = open(tx, log)?;
        let (local, me, now_ms) = (row.local, &self.me, self.now_ms);
        let Some(wish) = wanted(tx, local, me.user, message, &self.wish)? else {
            return Ok(());
        };
        let (ptype, content, message_id) = match wish.said(salt) {
            Said::Message(message) => {
                let content = message.to_bytes().map_err(|_| AccountError::Message)?;
                let id = message.id(&content, me.company, me.user, log);
                (PayloadType::Content, content, id)
            }
            Said::Control(control) => (PayloadType::Control, encode(&control), of_control),
        };
        let answers = || client::answers(ptype, &content);
        if row.r#type == LogType::Announce && !answers() {
            let known = conversation(tx, log)?;
            if !known.is_none_or(|known| known.may_write(me.user, &self.company.now())) {
                return Err(AccountError::MayNotWrite);
            }
        }
        let by_role = [MarkKind::Redaction, MarkKind::Pin, MarkKind::Unpin, MarkKind::ClosePoll];
        if !wish.own && by_role.contains(&wish.kind) {
            let known = conversation(tx, log)?.ok_or(AccountError::NoConversation)?;
            if !may(&known, me.user, &self.company.now(), wish.kind) {
                return Err(AccountError::NotAllowed);
            }
        }
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
