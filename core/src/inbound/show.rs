//! What becomes of a record that was accepted: a line of the timeline, or a mark on one.

use hauspost_protocol::authorise::{CompanyView, Conversation};
use hauspost_protocol::body::LogType;
use hauspost_protocol::company::policy::WhoMayCallAll;
use hauspost_protocol::company::view::CompanyAt;
use hauspost_protocol::content::{self, Act, Content, Control, Message, TextForm};
use hauspost_protocol::entry::Entry;
use hauspost_protocol::ids::{CompanyId, CoreHash, LogId, MessageId, UserId};
use hauspost_protocol::rules::client;
use hauspost_protocol::statement::Statement;

use super::records::{Taken, said};
use super::store::{Line, OwnLine};
use super::{Reader, Walk};
use crate::format;
use crate::ledger::Ledger;
use crate::outbox::intent;
use crate::own::By;
use crate::store::StoreError;
use crate::store::rows::file;
use crate::store::rows::mark::{MarkKind, NewMark};
use crate::store::rows::message::{
    EVERYBODY, Event, MessageKind, MessageState, NewMessage, Place, Saying,
};
use crate::store::rows::outbox::Intent;

/// How long each device gives the one before it to answer one that asks.
const ANSWER_AFTER_MS: u64 = 3_000;

impl Walk<'_> {
    /// Lets people see what a record says.
    pub(super) fn show(
        &mut self,
        reader: &Reader<'_>,
        slot: &Taken,
        ledger: &Ledger,
        statement: &Statement,
        missing: u64,
    ) {
        let (user, log) = (slot.member.user, ledger.row.local.id);
        let content = Content::read(statement.ptype, &statement.content);
        let (message_id, act, message) = match &content {
            Content::Message(message) => {
                let id = message.id(&statement.content, reader.me.company, user, log);
                (id, message.act(), Some(message))
            }
            Content::Control(Control::Title(title)) => {
                let (seq, by, t_ms) = (slot.seq, (user, slot.member.device), slot.t_ms);
                self.changes.lines.push(Line::Title { seq, title: title.clone(), by, t_ms });
                return;
            }
            Content::Control(Control::Picture) => return self.picture(ledger, slot, statement),
            Content::Control(Control::Ask(ranges)) => {
                return self.asked(reader, ledger, slot, ranges);
            }
            Content::Control(control) => match control.act() {
                Some(act) => (id_of_unnamed(slot.core), act, None),
                None => return,
            },
            Content::Unknown => (id_of_unnamed(slot.core), Act::Unknown, None),
            Content::Receipt(read) => return self.receipt(reader, slot, read),
            Content::OwnState(_) => return self.own_state(reader, ledger, slot, content),
        };
        let Some(conversation) = &ledger.conversation else { return };
        let room = Room { conversation: Some(conversation), company: reader.me.company, log };
        if let Some((about, kind)) = marks(&act) {
            if missing > 0 {
                // The line that would say so is not this one's.
                let (seq, t_ms) = (slot.seq, slot.t_ms);
                self.changes.lines.push(Line::Unreadable { seq, count: missing, t_ms });
            }
            // What documents an edit brings only a newer app can show.
            let (text, saying) = match act {
                Act::Edit(_, Some((text, form))) if statement.files.is_empty() => {
                    room.saying(text, form, true)
                }
                Act::React(_, emoji) => (Some(emoji.to_owned()), Saying::default()),
                _ => (None, Saying::default()),
            };
            let saying = by_policy(reader, slot, conversation, None, saying);
            let mark = NewMark {
                place: Place::At(slot.seq),
                message_id,
                about,
                kind,
                valid: match slot.owned {
                    Some(owned) => may_as(conversation, kind, || owned),
                    None => may(conversation, user, &reader.company.at(slot.co), kind),
                },
                author: user,
                device: slot.member.device,
                state: MessageState::Received,
                t_ms: slot.t_ms,
                sent_ms: statement.t_ms,
                text,
                saying,
                content: statement.content.0.clone(),
                record_key: Some(slot.key.clone()),
            };
            self.changes.lines.push(Line::Mark(Box::new(mark)));
            return;
        }
        let origin = message.and_then(Message::origin);
        let reply_to = message.and_then(|message| message.in_reply_to);
        let card = message.filter(|_| statement.files.is_empty());
        let card = card.and_then(|message| message.card(reader.me.company));
        let (kind, text, saying) = match (act, statement.files.first()) {
            (Act::Write(..), _) if let Some(card) = &card => {
                let saying = Saying { reply_to, origin, ..Saying::default() };
                (MessageKind::of(card), card.text(), saying)
            }
            (Act::Write(text, form), first) => {
                // Whom the author elsewhere meant he did not mean here.
                let (text, saying) = room.saying(text, form, origin.is_none());
                let asks = is_room(conversation) && message.is_some_and(Message::asks_to_confirm);
                // Only among announcements one stands in several rooms.
                let announces = conversation.genesis.r#type == LogType::Announce;
                let announcement = message.filter(|_| announces).and_then(Message::announcement);
                let saying = Saying { reply_to, origin, asks, announcement, ..saying };
                match (first, text) {
                    (Some(first), text) => {
                        let text = said(&text.unwrap_or_default(), &first.name);
                        (MessageKind::File, Some(text), saying)
                    }
                    (None, text) => (MessageKind::Text, text, saying),
                }
            }
            _ => (MessageKind::Unknown, None, Saying::default()),
        };
        let saying = by_policy(reader, slot, conversation, message, saying);
        let message = NewMessage {
            place: Place::At(slot.seq),
            message_id,
            author: user,
            device: slot.member.device,
            kind,
            state: MessageState::Received,
            t_ms: slot.t_ms,
            sent_ms: statement.t_ms,
            missing,
            text,
            content: Some(statement.content.0.clone()),
            record_key: Some(slot.key.clone()),
            unread: user != reader.me.user,
            handed: false,
            saying,
        };
        self.changes.lines.push(Line::Message(Box::new(message), statement.files.clone()));
    }

    /// How far somebody has read, where the policy lets people say so (L-24).
    fn receipt(&mut self, reader: &Reader<'_>, slot: &Taken, read: &[MessageId]) {
        let user = slot.member.user;
        let lets = reader.company.at(slot.co).terms().council.read_receipts;
        if !lets || user == reader.me.user {
            return;
        }
        let t_ms = slot.t_ms;
        let read = read.iter().take(RECEIPT_MESSAGES);
        self.changes.lines.extend(read.map(|id| Line::Read { user, message_id: *id, t_ms }));
    }

    /// What another device of this person says of what they agree on, or this one before it was
    /// restored.
    fn own_state(&mut self, reader: &Reader<'_>, ledger: &Ledger, slot: &Taken, content: Content) {
        let Content::OwnState(state) = content else { return };
        // Of those that may answer one is first, and the others hear it before their turn.
        let others = ledger.members().map(|(_, member)| member.device);
        let before_me =
            others.filter(|device| *device != slot.member.device && *device < reader.me.device);
        let wait_ms = before_me.count() as u64 * ANSWER_AFTER_MS;
        let now_ms = reader.now_ms;
        let answer_ms = now_ms.saturating_add(wait_ms);
        let line = OwnLine { seq: slot.seq, state, by: By::Another, now_ms, answer_ms };
        self.changes.lines.push(Line::Own(Box::new(line)));
    }

    /// The conversation is given a picture, or has none any more. Its file comes by itself, and is looked at
    /// before it is shown.
    fn picture(&mut self, ledger: &Ledger, slot: &Taken, statement: &Statement) {
        let is_room = ledger.conversation.as_ref().is_some_and(is_room);
        let Some(set) = content::picture(&statement.files).filter(|_| is_room) else { return };
        let message_id = id_of_unnamed(slot.core);
        let message = NewMessage {
            place: Place::At(slot.seq),
            message_id,
            author: slot.member.user,
            device: slot.member.device,
            kind: MessageKind::Event,
            state: MessageState::Received,
            t_ms: slot.t_ms,
            sent_ms: statement.t_ms,
            missing: 0,
            text: None,
            content: Event::Pictured(set.is_some()).to_content(),
            record_key: Some(slot.key.clone()),
            unread: false,
            handed: false,
            saying: Saying::default(),
        };
        let seq = slot.seq;
        self.changes.lines.push(Line::Message(Box::new(message), statement.files.clone()));
        let message_id = set.map(|_| message_id);
        self.changes.lines.push(Line::Picture { seq, message_id });
    }

    /// What this phone said itself, in its place: whether it might say so there, as everybody else
    /// judges it. A name that another one was given meanwhile stands before or after this one.
    pub(super) fn judge_own(
        &mut self,
        reader: &Reader<'_>,
        ledger: &Ledger,
        entry: &Entry,
        intent: &Intent,
    ) -> Result<(), StoreError> {
        let Some(say) = intent::said(reader.conn, ledger.row.local, intent)? else { return Ok(()) };
        let Some(conversation) = &ledger.conversation else { return Ok(()) };
        let (me, company) = (reader.me.user, reader.company.at(entry.co));
        let answers = || client::answers(say.ptype, &say.content);
        if !conversation.may_write(me, &company) && !answers() {
            // Somebody took this person's right to write away, and the server ordered that first:
            // nobody shows it.
            self.changes.unheard.push((intent.id, intent.message_id));
            return Ok(());
        }
        let control = match Content::read(say.ptype, &say.content) {
            Content::Control(control) => control,
            Content::OwnState(state) => {
                let (seq, by, now_ms) = (entry.seq, By::Me(intent.id), reader.now_ms);
                let line = OwnLine { seq, state, by, now_ms, answer_ms: now_ms };
                self.changes.lines.push(Line::Own(Box::new(line)));
                return Ok(());
            }
            _ => return Ok(()),
        };
        let kind = control.act().as_ref().and_then(marks).map(|(_, kind)| kind);
        let by = (me, reader.me.device);
        let (seq, t_ms) = (entry.seq, entry.t_ms);
        match (control, kind) {
            (Control::Title(title), _) => {
                self.changes.lines.push(Line::Title { seq, title, by, t_ms });
            }
            (Control::Picture, _) => {
                let Some(line) = intent.message_id else { return Ok(()) };
                let files = file::of_message(reader.conn, ledger.row.local.number, line)?;
                let message_id = Some(line).filter(|_| !files.is_empty());
                self.changes.lines.push(Line::Picture { seq, message_id });
            }
            (_, Some(kind)) => {
                let may = may(conversation, me, &company, kind);
                self.changes.void.extend(intent.message_id.filter(|_| !may));
            }
            _ => {}
        }
        Ok(())
    }
}

/// What a message says as far as the policy lets its author say it: call everybody, raise an alarm.
fn by_policy(
    reader: &Reader<'_>,
    slot: &Taken,
    conversation: &Conversation,
    message: Option<&Message>,
    mut saying: Saying,
) -> Saying {
    let (user, company) = (slot.member.user, reader.company.at(slot.co));
    if !may_call_all(conversation, user, &company) {
        saying.mentions.retain(|user| *user != EVERYBODY);
    }
    let alarm = message.is_some_and(Message::is_alarm);
    saying.alarm = alarm && company.terms().council.alarms.include(user, &company);
    saying
}

/// Whether the policy lets this person call everybody in the conversation.
pub(crate) fn may_call_all(
    conversation: &Conversation,
    user: UserId,
    company: &CompanyAt<'_>,
) -> bool {
    match company.terms().general.at_all {
        WhoMayCallAll::Everyone => true,
        WhoMayCallAll::Owners => conversation.is_owner(user, company),
        WhoMayCallAll::Nobody => false,
    }
}

/// Messages that one receipt names, as far as they are looked at; ours name one.
const RECEIPT_MESSAGES: usize = 16;

/// What an act does to which other message, if it is about one.
pub(crate) fn marks(act: &Act<'_>) -> Option<(MessageId, MarkKind)> {
    Some(match act {
        Act::Edit(message, _) => (*message, MarkKind::Edit),
        Act::Delete(message) => (*message, MarkKind::Deletion),
        Act::React(message, _) => (*message, MarkKind::Reaction),
        Act::Redact(message) => (*message, MarkKind::Redaction),
        Act::Pin(message) => (*message, MarkKind::Pin),
        Act::Unpin(message) => (*message, MarkKind::Unpin),
        Act::Vote(message, _) => (*message, MarkKind::Vote),
        Act::ClosePoll(message) => (*message, MarkKind::ClosePoll),
        Act::Acknowledge(message) => (*message, MarkKind::Acknowledgement),
        Act::Write(..) | Act::Unknown => return None,
    })
}

/// Whether this is a conversation of several people, which has owners, a picture, and messages that ask to
/// be confirmed.
pub(crate) fn is_room(conversation: &Conversation) -> bool {
    matches!(conversation.genesis.r#type, LogType::Group | LogType::Announce)
}

/// Whether this person may say so in the conversation, whosever the message is (docs/protocol.md §6). Who
/// asked may close his poll besides.
pub(crate) fn may(
    conversation: &Conversation,
    user: UserId,
    company: &impl CompanyView,
    kind: MarkKind,
) -> bool {
    may_as(conversation, kind, || conversation.is_owner(user, company))
}

/// The same of somebody who was an owner, or was not.
fn may_as(conversation: &Conversation, kind: MarkKind, owned: impl Fn() -> bool) -> bool {
    match kind {
        MarkKind::Redaction | MarkKind::ClosePoll => owned(),
        MarkKind::Pin | MarkKind::Unpin => {
            conversation.genesis.r#type != LogType::Announce || owned()
        }
        _ => true,
    }
}

/// Where something is said.
pub(crate) struct Room<'a> {
    /// What is known of it, once it has begun.
    pub conversation: Option<&'a Conversation>,
    pub company: CompanyId,
    pub log: LogId,
}

impl Room<'_> {
    /// What people read of a text, and what it says besides. Only members are mentioned: the name of
    /// anybody else is a text like any other.
    pub fn saying(&self, text: &str, form: TextForm, mentions: bool) -> (Option<String>, Saying) {
        if form == TextForm::Plain {
            return (Some(text.to_owned()), Saying::default());
        }
        let found = if mentions {
            format::mentions(text, self.company, self.log)
        } else {
            format::Mentions::default()
        };
        let mut people = found.people;
        if let Some(known) = self.conversation {
            people.retain(|user| known.roster.has_user(*user));
        }
        people.extend(found.everybody.then_some(EVERYBODY));
        let markdown = Some(text.to_owned());
        let saying = Saying { markdown, mentions: people, ..Saying::default() };
        (Some(format::plain(text, form)), saying)
    }
}

/// The id under which this phone keeps what has none of its own; a message's begins with 0x01.
fn id_of_unnamed(core: CoreHash) -> MessageId {
    let mut id = core.0;
    id[0] = 0x02;
    MessageId(id)
}
