//! Records: slot, opening, signature, order (C2 to C5, C8).
//!
//! Opening and checking lie apart, so that the signatures of a whole backlog are verified together:
//! first each record takes its key from its leaf's chain and is opened; then all signatures are
//! checked in one batch; then the authors' counters are followed in the log's order. What a record says
//! becomes of it in `show`.

use hauspost_protocol::entry::{Entry, Head};
use hauspost_protocol::epoch::{Chain, RecordKey};
use hauspost_protocol::ids::{CoreHash, DeviceId, LeafIndex, Seq, TimeMs};
use hauspost_protocol::mls::public::Member;
use hauspost_protocol::record::{self, UnverifiedRecord, VerifiedRecord};
use hauspost_protocol::rules::client::{
    self, AuthorPlace, ContentFault, OrderFault, SlotFacts, SlotFault,
};
use hauspost_protocol::statement::Statement;

use super::store::{Line, OwnRecord};
use super::{Code, Halt, Reader, Walk};
use crate::ledger::Ledger;
use crate::store::StoreError;
use crate::store::rows::author::Author;
use crate::store::rows::history::Unread;
use crate::store::rows::log::LogState;
use crate::store::rows::outbox;
use crate::store::rows::quarantine::Quarantined;

/// A record that took its slot, whatever is in it.
pub(super) struct Opened {
    slot: Taken,
    content: Result<UnverifiedRecord, Code>,
}

/// The slot that a record took.
pub(super) struct Taken {
    pub(super) seq: Seq,
    pub(super) t_ms: TimeMs,
    /// What its author must have seen at least: its epoch's commit and the capsule that it names.
    pub(super) after: Seq,
    pub(super) member: Member,
    pub(super) core: CoreHash,
    pub(super) key: RecordKey,
    pub(super) co: u64,
    pub(super) head: Head,
    /// Whether the author was an owner there, where the conversation is further on by now.
    pub(super) owned: Option<bool>,
}

impl Walk<'_> {
    /// C2, and opening.
    pub(super) fn record(
        &mut self,
        reader: &mut Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
        head: &Head,
        core: CoreHash,
    ) -> Result<(), Halt> {
        // Without a leaf there is nothing to open; the chain is checked all the same.
        if ledger.epoch.is_none() {
            // What was opened before in this walk comes first in its author's count.
            self.judge_records(reader, ledger)?;
            return self.unread(reader, ledger, entry, head, core);
        }
        let Some(slot) = head.slot else { return Err(Halt::Stop(Code::Form)) };
        let in_force = (head.r#gen, head.epoch) == (ledger.row.r#gen, ledger.row.epoch);
        if in_force && ledger.row.own_leaf == Some(slot.leaf) {
            if let Some(intent) = self.own_intent(reader, ledger, core)? {
                return self.own(reader, ledger, entry, slot.index, &intent);
            }
            self.rolled_back(reader, ledger, entry.seq);
        }
        let company = reader.company.at(entry.co);
        self.note_revoked(reader, ledger, entry.co);
        let Some((conversation, epoch)) = ledger.conversation.as_ref().zip(ledger.epoch.as_mut())
        else {
            return Ok(());
        };
        let chain = epoch.chains.get(&slot.leaf);
        let facts = SlotFacts {
            expected: chain.map(Chain::index).unwrap_or_default(),
            capsule: Some(epoch.capsule_hash),
            revoked: &self.revoked.1,
        };
        let fault = client::record_slot(head, entry.t_ms, conversation, &company, &facts).err();
        let member = conversation.roster.member(slot.leaf).copied();
        let (Some(member), Some(chain)) = (member, chain) else {
            return self.refuse(reader, ledger, entry, None, Code::Leaf);
        };
        if let Some(fault) = fault.filter(|fault| !fault.uses_slot()) {
            return self.refuse(reader, ledger, entry, Some(member.device), fault.into());
        }
        let after = conversation.began.max(slot.cap);
        let (key, next) = chain.clone().advance();
        epoch.chains.insert(slot.leaf, next);
        self.changes.touched.chains.insert(slot.leaf);
        self.note_own_index(ledger, slot.leaf);
        let content = match (fault, entry.payload.bytes()) {
            (Some(fault), _) => Err(fault.into()),
            (None, None) => Err(Code::Payload),
            (None, Some(payload)) => {
                record::open(&key, &entry.head, payload).map_err(|_| Code::Sealed)
            }
        };
        let slot = Taken {
            seq: entry.seq,
            t_ms: entry.t_ms,
            after,
            member,
            core,
            key,
            co: entry.co,
            head: head.clone(),
            owned: None,
        };
        self.opened.push(Opened { slot, content });
        Ok(())
    }

    /// Something stands under this device's leaf that this database does not know: it is a copy, or
    /// was restored. What the others write is read on, as long as the epoch lasts; nothing is sent
    /// before the group is entered anew, and somebody has to hear of it (C12).
    fn rolled_back(&mut self, reader: &Reader<'_>, ledger: &mut Ledger, seq: Seq) {
        match ledger.row.state {
            LogState::Broken => return,
            // Who left sends nothing, and does not enter anew.
            LogState::Left => {}
            _ => {
                ledger.row.state = LogState::Broken;
                ledger.row.stop_code = Some(Code::Rollback as u64);
                ledger.row.stop_seq = Some(seq);
            }
        }
        self.alarm(reader, ledger, Code::Rollback, seq, None);
    }

    /// A record of an epoch whose keys this device does not have. It counts for its author, so that who
    /// comes back later does not miss what was never his (C4: a jump over unread entries is no
    /// finding). If it was for this person, the timeline says that it is not readable here yet; if not,
    /// its place is noted all the same, since it may be handed over to him one day.
    fn unread(
        &mut self,
        reader: &Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
        head: &Head,
        core: CoreHash,
    ) -> Result<(), Halt> {
        let Some(slot) = head.slot else { return Err(Halt::Stop(Code::Form)) };
        let member = ledger.member(slot.leaf).copied();
        if member.is_some_and(|member| member.device == reader.me.device) {
            if let Some(intent) = self.own_intent(reader, ledger, core)? {
                return self.own(reader, ledger, entry, slot.index, &intent);
            }
            self.rolled_back(reader, ledger, entry.seq);
            self.changes.own_unread = Some(reader.inherited);
            ledger.row.own_dctr += 1;
        }
        let author = member.and_then(|member| ledger.authors.get_mut(&member.device));
        if let Some(author) = author {
            author.next_dctr += 1;
            self.changes.touched.authors.insert(author.device);
        }
        let conversation = ledger.conversation.as_ref();
        let for_me = conversation.is_some_and(|known| {
            known.roster.has_user(reader.me.user) || known.shares_past(&reader.company.at(entry.co))
        });
        let Some(unread) = self.place_of(reader, ledger, entry, head) else { return Ok(()) };
        let is_mine = for_me && ledger.row.state != LogState::Left;
        let handed = !is_mine && Self::handover_of(reader, ledger, entry).is_some();
        if !is_mine && !handed {
            self.changes.history.passed.push(unread);
            return Ok(());
        }
        self.changes.history.unread.push(Unread { handed, ..unread });
        match self.changes.lines.last_mut() {
            Some(Line::Unreadable { count, .. }) => *count += 1,
            _ => {
                let (seq, t_ms) = (entry.seq, entry.t_ms);
                self.changes.lines.push(Line::Unreadable { seq, count: 1, t_ms });
            }
        }
        Ok(())
    }

    fn note_own_index(&self, ledger: &mut Ledger, leaf: LeafIndex) {
        if ledger.row.own_leaf == Some(leaf)
            && let Some(chain) = ledger.epoch.as_ref().and_then(|epoch| epoch.chains.get(&leaf))
        {
            ledger.row.own_index = chain.index();
            ledger.row.own_dctr += 1;
        }
    }

    /// A record of this phone, as it was sealed: the server ordered it.
    fn own(
        &mut self,
        reader: &Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
        index: hauspost_protocol::ids::RecordIndex,
        intent: &outbox::Intent,
    ) -> Result<(), Halt> {
        if !intent.state.is_ordered() {
            ledger.row.own_dctr += 1;
        }
        ledger.own_accepted(index, &mut self.changes.touched);
        self.changes.own.push(OwnRecord {
            intent: intent.id,
            message_id: intent.message_id,
            seq: entry.seq,
            t_ms: entry.t_ms,
            state: intent.state,
            in_other_bytes: false,
        });
        Ok(self.judge_own(reader, ledger, entry, intent)?)
    }

    /// A record that the server should not have taken: nothing of its leaf moves, however far off
    /// its index is (C8).
    fn refuse(
        &mut self,
        reader: &Reader<'_>,
        ledger: &Ledger,
        entry: &Entry,
        device: Option<DeviceId>,
        code: Code,
    ) -> Result<(), Halt> {
        self.quarantine(ledger, entry.seq, entry.t_ms, device, code);
        self.alarm(reader, ledger, code, entry.seq, Some(entry));
        Ok(())
    }

    pub(super) fn quarantine(
        &mut self,
        ledger: &Ledger,
        seq: Seq,
        t_ms: TimeMs,
        device: Option<DeviceId>,
        code: Code,
    ) {
        let log = ledger.row.local.id;
        tracing::warn!(%log, seq = seq.0, code = code as u64, "record quarantined");
        self.changes.quarantined.push(Quarantined { seq, code: code as u64, device, t_ms });
        let by = device.and_then(|device| {
            let mut members = ledger.members();
            members.find(|(_, member)| member.device == device).map(|(_, member)| member.user)
        });
        let by = (
            by.unwrap_or(hauspost_protocol::ids::UserId([0; 16])),
            device.unwrap_or(DeviceId([0; 16])),
        );
        self.changes.lines.push(Line::Gap { seq, by, t_ms });
    }

    /// The leaves of devices that are revoked at this size of the company log.
    pub(super) fn note_revoked(&mut self, reader: &Reader<'_>, ledger: &Ledger, co: u64) {
        if self.revoked.0 != Some(co) {
            let conversation = ledger.conversation.as_ref();
            let revoked = conversation.map(|known| known.revoked(&reader.company.at(co)));
            self.revoked = (Some(co), revoked.unwrap_or_default());
        }
    }

    /// The signatures of all opened records together, then each one's content and order.
    pub(super) fn judge_records(
        &mut self,
        reader: &mut Reader<'_>,
        ledger: &mut Ledger,
    ) -> Result<(), StoreError> {
        let opened = std::mem::take(&mut self.opened);
        let mut slots = Vec::with_capacity(opened.len());
        let mut to_verify = Vec::with_capacity(opened.len());
        for record in opened {
            let failed = match record.content {
                Ok(unverified) => {
                    to_verify.push((unverified, record.slot.member.signature_key));
                    None
                }
                Err(code) => Some(code),
            };
            slots.push((record.slot, failed));
        }
        let mut verified = record::verify_all(to_verify, &mut reader.rng).into_iter();
        for (slot, failed) in slots {
            let content = match failed {
                Some(code) => Err(code),
                None => verified.next().and_then(Result::ok).ok_or(Code::Author),
            };
            match content.and_then(|record| self.statement(reader, ledger, &slot, record)) {
                Ok(()) => {}
                Err(code) => {
                    if slot.member.device == reader.me.device {
                        self.changes.own_unread = Some(reader.inherited);
                    }
                    // The slot is used up, so it counts one for its author (C8).
                    if let Some(author) = ledger.authors.get_mut(&slot.member.device) {
                        author.next_dctr += 1;
                        self.changes.touched.authors.insert(slot.member.device);
                    }
                    self.quarantine(ledger, slot.seq, slot.t_ms, Some(slot.member.device), code);
                }
            }
        }
        Ok(())
    }

    /// C3 and C4 of a record whose signature holds, then what views show of it.
    fn statement(
        &mut self,
        reader: &Reader<'_>,
        ledger: &mut Ledger,
        slot: &Taken,
        record: VerifiedRecord,
    ) -> Result<(), Code> {
        let statement = record.into_statement();
        let device = slot.member.device;
        let Some(conversation) = &ledger.conversation else { return Err(Code::Mismatch) };
        let may_write = conversation.may_write(slot.member.user, &reader.company.at(slot.co));
        let content = client::record_content(&slot.head, &statement, device, may_write)
            .and_then(|()| client::own_state_at_home(statement.ptype, conversation.genesis.r#type));
        if let Err(fault) = content {
            if fault == ContentFault::Class {
                self.alarm(reader, ledger, Code::Class, slot.seq, None);
            }
            return Err(fault.into());
        }
        let held = self.hash_at(reader, ledger, statement.seen.seq).ok().flatten();
        let place = ledger.authors.get(&device).map(|author| AuthorPlace {
            device,
            next_dctr: author.next_dctr,
            seen: author.seen_seq,
        });
        let order = client::order(&statement, slot.seq, place.as_ref(), slot.after, held);
        let order = match order {
            Err(OrderFault::Fork) => {
                self.alarm(reader, ledger, Code::Fork, slot.seq, None);
                ledger.row.state = LogState::Stopped;
                ledger.row.stop_code = Some(Code::Fork as u64);
                ledger.row.stop_seq = Some(slot.seq);
                return Err(Code::Fork);
            }
            order => order.map_err(Code::from)?,
        };
        let (next_dctr, seen_seq) = (order.place.next_dctr, order.place.seen);
        ledger.authors.insert(device, Author { device, next_dctr, seen_seq });
        self.changes.touched.authors.insert(device);
        if let Some(named) = statement.checkpoint.filter(|_| device != reader.me.device) {
            self.changes.named.push((named, slot.t_ms));
        }
        let missing = order.missing;
        self.show_and_keep(reader, slot, ledger, &statement, missing);
        Ok(())
    }

    /// Shows what a record says, and keeps its key where neither message nor mark does: a later device
    /// of this person is to read it too.
    pub(super) fn show_and_keep(
        &mut self,
        reader: &Reader<'_>,
        slot: &Taken,
        ledger: &Ledger,
        statement: &Statement,
        missing: u64,
    ) {
        let before = self.changes.lines.len();
        self.show(reader, slot, ledger, statement, missing);
        let mut lines = self.changes.lines[before..].iter();
        let is_kept = lines.any(|line| matches!(line, Line::Message(..) | Line::Mark(_)));
        if !is_kept && !slot.head.transient {
            self.changes.history.keys.push((slot.seq, slot.key.clone()));
        }
    }
}

/// What a message with documents says: its text, or the first one's name.
pub(crate) fn said(text: &str, name: &str) -> String {
    if text.trim().is_empty() { name.to_owned() } else { text.to_owned() }
}

impl From<SlotFault> for Code {
    fn from(fault: SlotFault) -> Self {
        match fault {
            SlotFault::Epoch => Self::Epoch,
            SlotFault::Leaf => Self::Leaf,
            SlotFault::Index(_) => Self::Index,
            SlotFault::Revoked => Self::Revoked,
            SlotFault::Capsule => Self::Cap,
            SlotFault::ArchiveKeys => Self::ArchiveKeys,
        }
    }
}

impl From<ContentFault> for Code {
    fn from(fault: ContentFault) -> Self {
        match fault {
            ContentFault::Device => Self::Author,
            ContentFault::Class => Self::Class,
            ContentFault::Files => Self::Files,
            ContentFault::Announcement => Self::Announcement,
        }
    }
}

impl From<OrderFault> for Code {
    fn from(fault: OrderFault) -> Self {
        match fault {
            OrderFault::Fork => Self::Fork,
            OrderFault::SeenRange | OrderFault::SeenBack => Self::Seen,
            OrderFault::Counter => Self::Counter,
        }
    }
}
