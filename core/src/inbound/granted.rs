//! What this device could not read when it came: which records those are, who is asked for them, what
//! grants give, and the reading of what they open (docs/protocol.md §10).
//!
//! A record that a grant opens goes the way of all others from there on: the same checks of its content,
//! the same lines, the same tables. It only makes nothing unread, and answers nothing that was asked
//! long ago.

use hauspost_protocol::authorise::{AuthorisedGrant, Judgement, Person};
use hauspost_protocol::body::{GrantBasis, LogType};
use hauspost_protocol::company::handover::Handover;
use hauspost_protocol::entry::{Entry, Head, Ranges};
use hauspost_protocol::epoch::RecordKey;
use hauspost_protocol::ids::{DeviceId, Seq, TimeMs};
use hauspost_protocol::mls::public::Member;
use hauspost_protocol::rules::change;
use hauspost_protocol::rules::client::{self, GrantedFault};
use hauspost_protocol::rules::form::Parsed;
use hauspost_protocol::wire::LogNews;

use super::records::Taken;
use super::store::Line;
use super::{Code, Halt, Reader, Walk};
use crate::inbound::Changes;
use crate::ledger::Ledger;
use crate::store::rows::alarm::{self, Alarm};
use crate::store::rows::handover::{self, Handed};
use crate::store::rows::history::{self, Granted, Unread};
use crate::store::rows::log::{LocalLog, LogState};
use crate::store::rows::message::{Event, Place};
use crate::store::rows::{conversation, entry};
use crate::store::{StoreError, Tx};

/// How long a phone waits for the one that gives already before it gives what is left.
const AFTER_ANOTHER_MS: TimeMs = 60_000;

/// What became readable or not, and what was given and asked for.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Records that this device cannot open.
    pub unread: Vec<Unread>,
    /// And those that are not this person's past.
    pub passed: Vec<Unread>,
    /// Keys of records that are no messages.
    pub keys: Vec<(Seq, RecordKey)>,
    /// Records that are settled: read, or found not to be right.
    pub settled: Vec<Seq>,
    /// Keys that open nothing, and the grants that gave them.
    pub wrong_keys: Vec<(Seq, Alarm)>,
    /// Grants to this device.
    pub grants: Vec<Seq>,
    /// What others were given and asked for, in the log's order.
    pub others: Vec<Other>,
}

/// Something between other devices and this one.
#[derive(Debug)]
pub(super) enum Other {
    /// A device asks.
    Asks(DeviceId, Ranges),
    /// A device was given something, by another one than this.
    Given(DeviceId, Ranges, TimeMs),
    /// By this grant a device of a successor was given something, on the ground of this company entry.
    HandedOver(Seq, (Seq, DeviceId), Ranges),
}

impl History {
    pub(super) fn store(&self, tx: &Tx<'_>, log: LocalLog) -> Result<(), StoreError> {
        for unread in &self.unread {
            history::add_unread(tx, log, unread)?;
        }
        for passed in &self.passed {
            history::add_passed(tx, log, passed)?;
        }
        if let Some(newest) = self.unread.last() {
            conversation::skip_unreadable(tx, log, newest.seq)?;
        }
        for (seq, key) in &self.keys {
            history::keep_key(tx, log, *seq, key)?;
        }
        for seq in &self.settled {
            history::settle(tx, log, *seq)?;
        }
        for (seq, alarm) in &self.wrong_keys {
            history::drop_key(tx, log, *seq)?;
            alarm::raise_once(tx, alarm)?;
        }
        for seq in &self.grants {
            history::grant_came(tx, log, *seq)?;
        }
        for other in &self.others {
            match other {
                Other::Asks(device, ranges) => history::ask(tx, log, *device, ranges)?,
                Other::Given(device, ranges, not_before_ms) => {
                    history::given(tx, log, *device, ranges, *not_before_ms)?;
                }
                Other::HandedOver(seq, to, ranges) => {
                    handover::note_given(tx, log, *seq, *to, ranges)?;
                }
            }
        }
        Ok(())
    }
}

impl Walk<'_> {
    /// Who wrote a record of an epoch whose keys this device does not have, if its place is right as far as
    /// that can be told without them.
    pub(super) fn place_of(
        &mut self,
        reader: &Reader<'_>,
        ledger: &Ledger,
        entry: &Entry,
        head: &Head,
    ) -> Option<Unread> {
        self.note_revoked(reader, ledger, entry.co);
        let conversation = ledger.conversation.as_ref()?;
        let in_force = conversation.in_force() == Some((head.r#gen, head.epoch));
        let member = head.slot.and_then(|slot| conversation.roster.member(slot.leaf))?;
        // What is transient is nobody's past.
        if !in_force || head.transient || !self.revoked.1.is_empty() {
            return None;
        }
        let company = reader.company.at(entry.co);
        let may_write = conversation.may_write(member.user, &company);
        let owned = conversation.is_owner(member.user, &company);
        let (seq, author) = (entry.seq, member.device);
        Some(Unread { seq, author, may_write, owned, handed: false })
    }

    /// A device asks for records. Whether this phone has them shows when it gives.
    pub(super) fn asked(
        &mut self,
        reader: &Reader<'_>,
        ledger: &Ledger,
        slot: &Taken,
        ranges: &Ranges,
    ) {
        let Some(conversation) = &ledger.conversation else { return };
        let mine = slot.member.user == reader.me.user;
        let may = mine || conversation.shares_past(&reader.company.at(slot.co));
        let earlier = ranges.last().is_some_and(|(_, to)| *to < slot.seq);
        if may && earlier && slot.member.device != reader.me.device {
            let asks = Other::Asks(slot.member.device, ranges.clone());
            self.changes.history.others.push(asks);
        }
    }

    /// A grant: to this device, or to another one that needs it from here no more.
    pub(super) fn grant(
        &mut self,
        reader: &mut Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
        parsed: &Parsed,
    ) -> Result<(), Halt> {
        let conversation = ledger.conversation.as_ref().ok_or(Halt::Stop(Code::Mismatch))?;
        let at = parsed.payload.at().ok_or(Halt::Stop(Code::Form))?;
        let (at, link) = (reader.company.at(at.co), reader.company.at(entry.co));
        let judgement = Judgement { at: &at, link: &link, t_ms: entry.t_ms };
        let granted = change::grant(parsed, entry.seq, conversation, &judgement)?;
        if let GrantBasis::Handover(handover) = granted.basis() {
            self.handed_over(reader, ledger, entry, (&granted, handover))?;
        }
        let me = reader.me.device;
        if granted.grantee() == me {
            self.changes.history.grants.push(entry.seq);
        } else {
            let by_me = granted.by() == me;
            let wait_ms = if by_me { 0 } else { AFTER_ANOTHER_MS };
            let (device, ranges) = (granted.grantee(), granted.ranges().clone());
            let not_before_ms = reader.now_ms.saturating_add(wait_ms);
            self.changes.history.others.push(Other::Given(device, ranges, not_before_ms));
        }
        Ok(())
    }
}

impl Walk<'_> {
    /// A grant by which something goes to a successor. The first one in a log by its handover is a line
    /// for everybody who is there: nobody is read behind his back.
    fn handed_over(
        &mut self,
        reader: &Reader<'_>,
        ledger: &Ledger,
        entry: &Entry,
        (granted, handover): (&AuthorisedGrant, Seq),
    ) -> Result<(), Halt> {
        let to = (handover, granted.grantee());
        let others = &mut self.changes.history.others;
        let before = others.iter().any(
            |other| matches!(other, Other::HandedOver(_, (known, _), _) if *known == handover),
        );
        others.push(Other::HandedOver(entry.seq, to, granted.ranges().clone()));
        if before || handover::is_begun(reader.conn, ledger.row.local, handover)? {
            return Ok(());
        }
        let at = reader.company.at(entry.co);
        let giver = at.user_of_device(granted.by());
        let Some((known, giver)) = at.handover(handover).zip(giver) else { return Ok(()) };
        let event = Event::HandedOver { from: known.from, to: known.to, at_ms: known.t_ms };
        let (seq, t_ms, by) = (entry.seq, entry.t_ms, (giver, granted.by()));
        self.changes.lines.push(Line::Event { seq, event, by, t_ms });
        Ok(())
    }

    /// The handover to this person that covers an entry in which its leaver has a leaf.
    pub(super) fn handover_of<'r>(
        reader: &Reader<'r>,
        ledger: &Ledger,
        entry: &Entry,
    ) -> Option<&'r Handover> {
        let conversation = ledger.conversation.as_ref()?;
        if conversation.genesis.r#type == LogType::SelfNotes {
            return None;
        }
        let log = ledger.row.local.id;
        reader.company.now().handovers().find(|known| {
            known.to == reader.me.user
                && known.covers(log, entry.seq, entry.t_ms, entry.co)
                && conversation.roster.has_user(known.from)
        })
    }

    /// A conversation that this person may not enter, and reads because somebody's past in it was handed
    /// over to him; or one in which he is all the same.
    pub(super) fn note_succession(&mut self, reader: &Reader<'_>, ledger: &mut Ledger) {
        let Some(conversation) = &ledger.conversation else { return };
        let me = reader.me.user;
        let is_outside = !conversation.may_enter(me);
        let (log, state) = (ledger.row.local.id, ledger.row.state);
        if !is_outside || !matches!(state, LogState::Active | LogState::Left) {
            if state == LogState::HandedOver && !is_outside {
                ledger.row.state = LogState::Active;
            }
            return;
        }
        let known = reader.company.now().handovers().find(|known| {
            let was_there = conversation.person(known.from) != Person::default()
                || conversation.roster.has_user(known.from);
            known.to == me && known.is_about(log) && was_there
        });
        let is_own = conversation.genesis.r#type == LogType::SelfNotes;
        let Some(known) = known.filter(|_| !is_own) else { return };
        let genesis = &conversation.genesis;
        let is_pair = genesis.r#type == LogType::Dm;
        let mut pair = genesis.members.iter().chain([&genesis.creator]);
        let with = pair.find(|user| is_pair && **user != known.from).copied();
        ledger.row.state = LogState::HandedOver;
        self.changes.handed = Some(Handed { from: known.from, with, t_ms: known.t_ms });
    }
}

/// Reads records by the keys that grants gave: `entries` as the server sent them for `granted`.
///
/// Nothing is believed but that a key fits. What does not open is the grantor's fault: its key goes, an
/// alarm names the grant, and the line goes on saying that something is not readable. What opens and is
/// not right is its author's, and becomes a gap.
pub fn take_granted(
    reader: &mut Reader<'_>,
    ledger: &mut Ledger,
    granted: &[Granted],
    entries: &[Entry],
) -> Result<Changes, StoreError> {
    let log = ledger.row.local.id;
    let news = LogNews { log, entries: Vec::new(), welcomes: Vec::new(), size: 0 };
    let mut walk = Walk::begin(ledger, &news);
    for entry in entries {
        let Some(row) = granted.iter().find(|row| row.seq == entry.seq) else { continue };
        walk.granted(reader, ledger, row, entry)?;
    }
    for line in &mut walk.changes.lines {
        if let Line::Message(message, _) = line {
            message.unread = false;
            let is_it = |row: &&Granted| message.place == Place::At(row.seq);
            message.handed = granted.iter().find(is_it).is_some_and(|row| row.handed);
        }
    }
    // What was asked for in the past was answered then, or is asked for again.
    walk.changes.history.others.clear();
    Ok(walk.changes)
}

impl Walk<'_> {
    fn granted(
        &mut self,
        reader: &mut Reader<'_>,
        ledger: &mut Ledger,
        row: &Granted,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let (seq, company) = (row.seq, reader.company.at(row.co));
        let opened = client::granted_record(entry, &row.key, &row.slot, &company);
        let statement = match opened {
            Ok(record) => record.into_statement(),
            Err(GrantedFault::Entry) => {
                // It stands in the chain otherwise: the server lies, now or then.
                let absent = entry.payload.bytes().is_none();
                let code = if absent { Code::Payload } else { Code::Fork };
                self.alarm(reader, ledger, code, seq, Some(entry));
                return Ok(());
            }
            Err(GrantedFault::Key(_)) => {
                let log = ledger.row.local.id;
                tracing::warn!(%log, seq = seq.0, by = row.by.0, "a granted key opens nothing");
                let alarm = Alarm {
                    log: Some(log),
                    code: Code::Grant as u64,
                    seq: Some(row.by),
                    evidence: None,
                    t_ms: reader.now_ms,
                };
                self.changes.history.wrong_keys.push((seq, alarm));
                return Ok(());
            }
            Err(fault) => {
                let code = match fault {
                    GrantedFault::Content(fault) => fault.into(),
                    GrantedFault::Author => Code::Author,
                    _ => Code::Sealed,
                };
                self.changes.history.settled.push(seq);
                self.quarantine(ledger, seq, row.t_ms, Some(row.slot.author), code);
                return Ok(());
            }
        };
        self.changes.history.settled.push(seq);
        let held = match statement.seen.seq < seq {
            true => entry::hash_at(reader.conn, ledger.row.local, statement.seen.seq)?,
            false => None,
        };
        if held != Some(statement.seen.hash) {
            let code = if held.is_some() { Code::Fork } else { Code::Seen };
            if code == Code::Fork {
                self.alarm(reader, ledger, code, seq, Some(entry));
                ledger.row.state = LogState::Stopped;
                ledger.row.stop_code = Some(code as u64);
                ledger.row.stop_seq = Some(seq);
            }
            self.quarantine(ledger, seq, row.t_ms, Some(row.slot.author), code);
            return Ok(());
        }
        let author = company.device(row.slot.author);
        let Some((author, head)) = author.zip(Head::parse(&entry.head).ok()) else {
            return Ok(());
        };
        let slot = Taken {
            seq,
            t_ms: row.t_ms,
            after: Seq(0),
            member: Member {
                device: author.device,
                user: author.user,
                signature_key: author.signature_key,
                certificate: author.certificate,
                entered: Seq(0),
                renewed_t_ms: 0,
            },
            core: row.slot.core,
            key: row.key.clone(),
            co: row.co,
            head,
            owned: Some(row.owned),
        };
        self.show_and_keep(reader, &slot, ledger, &statement, 0);
        Ok(())
    }
}
