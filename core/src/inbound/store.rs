//! What reading a log changed, and how it is written down: all of it in one transaction.

use hauspost_protocol::authorise::Conversation;
use hauspost_protocol::body::LogType;
use hauspost_protocol::content::OwnState;
use hauspost_protocol::ids::{DeviceId, LogId, MessageId, Seq, TimeMs, UserId};
use hauspost_protocol::mls::public::Member;
use hauspost_protocol::statement::File;
use hauspost_protocol::tree::checkpoint::TreeHead;

use super::granted::History;
use super::{Code, Me, adopt};
use crate::group::MlsChanges;
use crate::ledger::{Ledger, Touched};
use crate::observe::Change;
use crate::outbox::{REASON_MAY_NOT_WRITE, outcome};
use crate::own::{self, By};
use crate::store::rows::alarm::{self, Alarm};
use crate::store::rows::entry::{self, EntryRow};
use crate::store::rows::file;
use crate::store::rows::handover::{self, Handed};
use crate::store::rows::mark::{self, NewMark};
use crate::store::rows::message::{self, Event, MessageState, NewMessage, Place};
use crate::store::rows::mls::MlsTable;
use crate::store::rows::outbox::{self, IntentKind, IntentState};
use crate::store::rows::quarantine::{self, Quarantined};
use crate::store::rows::stay::{self, Move};
use crate::store::rows::{checkpoint, conversation, history, picture, receipt};
use crate::store::{StoreError, Tx};

/// What reading a log changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// New entries, with head and payload of those that are kept.
    pub(super) entries: Vec<(EntryRow, Option<Held>)>,
    /// What views show, in the log's order.
    pub(super) lines: Vec<Line>,
    pub(super) quarantined: Vec<Quarantined>,
    pub(super) alarms: Vec<Alarm>,
    /// Checkpoints that colleagues named, and when.
    pub(super) named: Vec<(TreeHead, TimeMs)>,
    /// Records of this phone that the server ordered.
    pub(super) own: Vec<OwnRecord>,
    /// Set if there was a record of this phone that it neither knows nor can read: the newest intent
    /// that may be in it.
    pub(super) own_unread: Option<i64>,
    /// What this phone said and might not say at its place.
    pub(super) void: Vec<MessageId>,
    /// What this phone said where nobody heeds it: the intents and their messages.
    pub(super) unheard: Vec<(i64, Option<MessageId>)>,
    /// Who came in and who is out, in the log's order.
    pub(super) moves: Vec<Move>,
    /// Whose past this person reads here, if it turned out that he does.
    pub(super) handed: Option<Handed>,
    /// Whether the log's genesis was taken in.
    pub(super) begun: bool,
    pub(super) mls: MlsChanges,
    pub(super) touched: Touched,
    /// What became of the own pending commit.
    pub(super) pending: Pending,
    /// Whether an epoch ended, and with it what was sealed in it.
    pub(super) epoch_ended: bool,
    /// What became readable or not, and what was given and asked for.
    pub(super) history: History,
    moved: bool,
}

/// Head and payload of an entry that is kept.
pub(super) type Held = (Vec<u8>, Vec<u8>);

/// Something that a timeline shows.
#[derive(Debug)]
pub(super) enum Line {
    Message(Box<NewMessage>, Vec<File>),
    Mark(Box<NewMark>),
    Event {
        seq: Seq,
        event: Event,
        by: (UserId, DeviceId),
        t_ms: TimeMs,
    },
    Gap {
        seq: Seq,
        by: (UserId, DeviceId),
        t_ms: TimeMs,
    },
    Unreadable {
        seq: Seq,
        count: u64,
        t_ms: TimeMs,
    },
    Title {
        seq: Seq,
        title: String,
        by: (UserId, DeviceId),
        t_ms: TimeMs,
    },
    Picture {
        seq: Seq,
        message_id: Option<MessageId>,
    },
    /// Somebody has read up to this message.
    Read {
        user: UserId,
        message_id: MessageId,
        t_ms: TimeMs,
    },
    Own(Box<OwnLine>),
    /// This device has the keys of the person's own log from here on; whether it asks the others.
    InOwn {
        asks: bool,
        now_ms: TimeMs,
    },
}

/// What a record of own state says.
#[derive(Debug)]
pub(super) struct OwnLine {
    pub seq: Seq,
    pub state: OwnState,
    pub by: By,
    pub now_ms: TimeMs,
    /// When this device answers, if it asks.
    pub answer_ms: TimeMs,
}

/// A record of this phone in its place.
#[derive(Debug)]
pub(super) struct OwnRecord {
    pub intent: i64,
    pub message_id: Option<MessageId>,
    pub seq: Seq,
    pub t_ms: TimeMs,
    pub state: IntentState,
    /// Whether it was sealed by this phone as it was before it was restored; what this one sealed of it
    /// is not sent.
    pub in_other_bytes: bool,
}

/// What became of the own pending commit.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    /// Nothing.
    #[default]
    Waits,
    /// It is in the log under this number.
    Won(Option<i64>, Seq),
    /// Another commit was first, or this device is out.
    Lost,
}

impl Changes {
    pub(super) fn ledger_moved(&mut self, _: &Ledger) {
        self.moved = !self.entries.is_empty() || !self.alarms.is_empty();
    }

    /// Whether there is anything to store.
    pub fn is_empty(&self) -> bool {
        !self.moved
    }

    /// Whether a record that was not readable is settled, or a key for one turned out to be wrong.
    pub fn settles_any(&self) -> bool {
        !self.history.settled.is_empty() || !self.history.wrong_keys.is_empty()
    }

    /// How many entries were new.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Writes it all down, with the ledger that it belongs to.
    pub fn store(mut self, tx: &Tx<'_>, me: &Me, ledger: &mut Ledger) -> Result<(), StoreError> {
        adopt::make_room(tx, me, ledger)?;
        ledger.begin(tx)?;
        self.take_back(tx, ledger)?;
        ledger.store(tx, &self.touched)?;
        let local = ledger.row.local;
        let id = local.id;
        for (row, held) in &self.entries {
            let held = held.as_ref().map(|(head, payload)| (head.as_slice(), payload.as_slice()));
            entry::append(tx, local, row, held)?;
        }
        if let Some(handed) = &self.handed {
            handover::put(tx, local, handed)?;
        }
        self.find_own(tx, me, id)?;
        self.note_stays(tx, ledger)?;
        // Before what takes the places of its lines.
        self.history.store(tx, local)?;
        self.mls.apply(&MlsTable(tx))?;
        for own in &self.own {
            history::keep_sealed(tx, local, own.intent, own.seq, !own.in_other_bytes)?;
            if own.in_other_bytes {
                outbox::unseal(tx, own.intent)?;
            }
            if !own.state.is_ordered() {
                outbox::accept(tx, own.intent, own.seq)?;
            }
            if let Some(message_id) = own.message_id {
                let secured = own.state == IntentState::Secured;
                let state = if secured { MessageState::Secured } else { MessageState::Sent };
                message::place(tx, local, message_id, Place::At(own.seq), own.t_ms, state)?;
            }
        }
        if let Some(inherited) = self.own_unread {
            outcome::maybe_sent(tx, local, inherited)?;
        }
        for (intent, message_id) in &self.unheard {
            outbox::fail(tx, *intent, REASON_MAY_NOT_WRITE)?;
            if let Some(message_id) = message_id {
                message::set_state(tx, local, *message_id, MessageState::Failed)?;
            }
        }
        for void in &self.void {
            mark::set_void(tx, local, *void)?;
        }
        if self.epoch_ended {
            // What was sealed in it and is not in the log before this commit can never be: the
            // chain has answered for each.
            outbox::unseal_log(tx, id)?;
        }
        match self.pending {
            Pending::Waits => {}
            Pending::Won(intent, seq) => {
                outbox::delete_pending(tx, id)?;
                if let Some(intent) = intent {
                    outbox::accept(tx, intent, seq)?;
                }
            }
            Pending::Lost => outbox::delete_pending(tx, id)?,
        }
        if self.begun {
            // Made by this phone before it was restored, or just now.
            let open = outbox::open(tx, id, u32::MAX)?;
            for create in open.iter().filter(|intent| intent.kind == IntentKind::Create) {
                outbox::accept(tx, create.id, Seq(0))?;
            }
        }
        for line in self.lines {
            match line {
                Line::Message(message, files) => {
                    if message::insert(tx, local, &message)? {
                        file::insert(tx, local, message.message_id, &files)?;
                    } else if let (Place::At(seq), Some(key)) = (message.place, &message.record_key)
                    {
                        history::keep_key(tx, local, seq, key)?;
                    }
                }
                Line::Mark(said) => {
                    if !mark::insert(tx, local, &said)?
                        && let (Place::At(seq), Some(key)) = (said.place, &said.record_key)
                    {
                        history::keep_key(tx, local, seq, key)?;
                    }
                }
                Line::Event { seq, event, by, t_ms } => {
                    message::event(tx, local, seq, &event, by, t_ms)?;
                }
                Line::Gap { seq, by, t_ms } => message::gap(tx, local, seq, by, t_ms)?,
                Line::Unreadable { seq, count, t_ms } => {
                    message::unreadable(tx, local, seq, count, t_ms)?;
                }
                Line::Read { user, message_id, t_ms } => {
                    receipt::note(tx, local, user, message_id, t_ms)?;
                }
                Line::Title { seq, title, by, t_ms } => {
                    let named = Some(title.as_str()).filter(|title| !title.is_empty());
                    conversation::set_title(tx, local, named, Some(seq))?;
                    message::event(tx, local, seq, &Event::Titled(title), by, t_ms)?;
                }
                Line::Own(line) => {
                    let OwnLine { seq, state, by, now_ms, answer_ms } = *line;
                    own::heard(tx, local, (seq, &state), by, (now_ms, answer_ms))?;
                }
                Line::InOwn { asks, now_ms } => own::entered(tx, local, asks, now_ms)?,
                Line::Picture { seq, message_id } => picture::set(tx, local, seq, message_id)?,
            }
        }
        for gap in &self.quarantined {
            quarantine::insert(tx, local, gap)?;
        }
        for raised in &self.alarms {
            alarm::raise(tx, raised)?;
        }
        for (named, t_ms) in &self.named {
            checkpoint::note(tx, named, *t_ms)?;
        }
        tx.touch(Change::Log(id));
        Ok(())
    }

    /// Who belongs to the conversation from when to when: whom a message asks, and what a leaver leaves to
    /// his successor. A person's own notes are nobody else's.
    fn note_stays(&self, tx: &Tx<'_>, ledger: &Ledger) -> Result<(), StoreError> {
        let others = |known: &&Conversation| known.genesis.r#type != LogType::SelfNotes;
        let Some(known) = ledger.conversation.as_ref().filter(others) else {
            return Ok(());
        };
        let asks = |line: &Line| matches!(line, Line::Message(said, _) if said.saying.asks);
        if self.moves.is_empty() && !self.lines.iter().any(asks) {
            return Ok(());
        }
        // Who moves here is told of by that: he may have come, gone and come again meanwhile.
        let moves = |user| self.moves.iter().any(|known| known.user == user);
        let is_still = |member: &Member| known.is_member(member.user) && !moves(member.user);
        let here = known.roster.iter().filter(|(_, member)| is_still(member));
        stay::begin(tx, ledger.row.local, here.map(|(_, member)| (member.user, member.entered)))?;
        stay::note(tx, ledger.row.local, &self.moves)
    }

    /// Messages of this device that still wait to be sent here: the phone was restored from a time
    /// before it sent them. They are sent, in these places, and not again.
    fn find_own(&mut self, tx: &Tx<'_>, me: &Me, log: LogId) -> Result<(), StoreError> {
        for line in &self.lines {
            let (place, message_id, device, t_ms) = match line {
                Line::Message(said, _) => (said.place, said.message_id, said.device, said.t_ms),
                Line::Mark(said) => (said.place, said.message_id, said.device, said.t_ms),
                _ => continue,
            };
            let Place::At(seq) = place else { continue };
            if device != me.device {
                continue;
            }
            let waits = outbox::by_message(tx, log, message_id)?
                .filter(|intent| !intent.state.is_ordered());
            self.own.extend(waits.map(|intent| OwnRecord {
                intent: intent.id,
                message_id: intent.message_id,
                seq,
                t_ms,
                state: intent.state,
                in_other_bytes: true,
            }));
        }
        Ok(())
    }

    /// Records for which the server had named a place that it has given to another entry.
    fn take_back(&self, tx: &Tx<'_>, ledger: &mut Ledger) -> Result<(), StoreError> {
        let log = ledger.row.local.id;
        let Some((first, _)) = self.entries.first() else { return Ok(()) };
        for (intent, seq) in outbox::accepted(tx, log)? {
            let Some(place) = seq.0.checked_sub(first.seq.0) else { continue };
            let Some((row, _)) = self.entries.get(place as usize) else { continue };
            let sealed = outbox::find(tx, intent)?.and_then(|intent| intent.sealed);
            if sealed.is_none_or(|sealed| sealed.core == row.core) {
                continue;
            }
            tracing::warn!(%log, seq = seq.0, "the place of an accepted entry was given away");
            outcome::take_back(tx, ledger, intent)?;
            let (code, t_ms) = (Code::Missing as u64, row.t_ms);
            let alarm = Alarm { log: Some(log), code, seq: Some(seq), evidence: None, t_ms };
            alarm::raise(tx, &alarm)?;
        }
        Ok(())
    }
}
