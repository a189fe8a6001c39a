//! Records: slot, opening, signature, order (C2 to C5, C8).
//!
//! Opening and checking lie apart, so that the signatures of a whole backlog are verified together:
//! first each record takes its key from its leaf's chain and is opened; then all signatures are
//! checked in one batch; then the authors' counters are followed in the log's order.

use hauspost_protocol::content::{Content, Control, Shown};
use hauspost_protocol::entry::{BlobRef, Entry, Head};
use hauspost_protocol::epoch::RecordKey;
use hauspost_protocol::ids::{CoreHash, DeviceId, LeafIndex, MessageId, Seq, TimeMs};
use hauspost_protocol::mls::public::Member;
use hauspost_protocol::record::{self, UnverifiedRecord, VerifiedRecord};
use hauspost_protocol::statement::{PayloadType, Statement};

use super::store::{Line, OwnRecord};
use super::{Code, Halt, Reader, Walk};
use crate::ledger::Ledger;
use crate::store::StoreError;
use crate::store::rows::author::Author;
use crate::store::rows::log::LogState;
use crate::store::rows::message::{MessageKind, MessageState, NewMessage, Place};
use crate::store::rows::outbox::IntentState;
use crate::store::rows::quarantine::Quarantined;

/// A record that took its slot, whatever is in it.
pub(super) struct Opened {
    slot: Taken,
    content: Result<UnverifiedRecord, Code>,
}

/// The slot that a record took.
struct Taken {
    seq: Seq,
    t_ms: TimeMs,
    /// What its author must have seen at least: its epoch's commit and the capsule that it names.
    after: Seq,
    member: Member,
    core: CoreHash,
    key: RecordKey,
    transient: bool,
    blobs: Vec<BlobRef>,
}

impl Walk<'_> {
    /// C2, and opening.
    pub(super) fn record(
        &mut self,
        reader: &Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
        head: &Head,
        core: CoreHash,
    ) -> Result<(), Halt> {
        // Without a leaf there is nothing to open; the chain is checked all the same.
        if ledger.epoch.is_none() {
            return Ok(());
        }
        let Some(slot) = head.slot else { return Err(Halt::Stop(Code::Form)) };
        if (head.r#gen, head.epoch) != (ledger.row.r#gen, ledger.row.epoch) {
            return self.refuse(reader, ledger, entry, None, Code::Epoch);
        }
        let Some(member) = ledger.member(slot.leaf).copied() else {
            return self.refuse(reader, ledger, entry, None, Code::Leaf);
        };
        if ledger.row.own_leaf == Some(slot.leaf) {
            if let Some(intent) = self.own_intent(reader, ledger, core)? {
                return self.own(ledger, entry, slot.index, &intent);
            }
            // Written under this device's leaf, but not by this database (C12).
            ledger.row.state = LogState::Broken;
            ledger.row.stop_code = Some(Code::Rollback as u64);
            ledger.row.stop_seq = Some(entry.seq);
            self.alarm(reader, ledger, Code::Rollback, entry.seq, None);
        }
        let tainted = self.is_tainted(reader, ledger, entry.co);
        let right_capsule = ledger.is_right_capsule(slot.cap);
        let after = ledger.row.epoch_seq.unwrap_or_default().max(slot.cap);
        let Some(epoch) = ledger.epoch.as_mut() else { return Ok(()) };
        let Some(chain) = epoch.chains.get(&slot.leaf) else {
            return self.refuse(reader, ledger, entry, Some(member.device), Code::Leaf);
        };
        if chain.index() != slot.index {
            return self.refuse(reader, ledger, entry, Some(member.device), Code::Index);
        }
        let (key, next) = chain.clone().advance();
        epoch.chains.insert(slot.leaf, next);
        self.changes.touched.chains.insert(slot.leaf);
        self.note_own_index(ledger, slot.leaf);
        let content = if tainted {
            Err(Code::Revoked)
        } else if !right_capsule {
            Err(Code::Cap)
        } else {
            match entry.payload.bytes() {
                Some(payload) => record::open(&key, &entry.head, payload).map_err(|_| Code::Sealed),
                None => Err(Code::Payload),
            }
        };
        let slot = Taken {
            seq: entry.seq,
            t_ms: entry.t_ms,
            after,
            member,
            core,
            key,
            transient: head.transient,
            blobs: head.blobs.clone(),
        };
        self.opened.push(Opened { slot, content });
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
        ledger: &mut Ledger,
        entry: &Entry,
        index: hauspost_protocol::ids::RecordIndex,
        intent: &crate::store::rows::outbox::Intent,
    ) -> Result<(), Halt> {
        if intent.state != IntentState::Accepted && intent.state != IntentState::Secured {
            ledger.row.own_dctr += 1;
        }
        ledger.own_accepted(index, &mut self.changes.touched);
        self.changes.own.push(OwnRecord {
            intent: intent.id,
            message_id: intent.message_id,
            seq: entry.seq,
            t_ms: entry.t_ms,
            state: intent.state,
        });
        Ok(())
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

    fn quarantine(
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

    /// Whether a device of the roster is revoked at this size of the company log.
    fn is_tainted(&mut self, reader: &Reader<'_>, ledger: &Ledger, co: u64) -> bool {
        if let Some((size, tainted)) = self.tainted
            && size == co
        {
            return tainted;
        }
        let company = reader.company.at(co);
        let tainted = ledger.members().any(|(_, member)| company.is_revoked(member.device));
        self.tainted = Some((co, tainted));
        tainted
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
        if statement.device != device {
            return Err(Code::Author);
        }
        if slot.transient != (statement.ptype == PayloadType::Receipt) {
            self.alarm(reader, ledger, Code::Class, slot.seq, None);
            return Err(Code::Class);
        }
        if !statement.blobs().eq(slot.blobs.iter().copied()) {
            return Err(Code::Files);
        }
        let before = ledger.authors.get(&device).copied();
        let seen = statement.seen.seq;
        let not_before = before.map_or(slot.after, |author| author.seen_seq.max(slot.after));
        if seen >= slot.seq || seen < not_before {
            return Err(Code::Seen);
        }
        if self.hash_at(reader, ledger, seen).ok().flatten() != Some(statement.seen.hash) {
            self.alarm(reader, ledger, Code::Fork, slot.seq, None);
            ledger.row.state = LogState::Stopped;
            ledger.row.stop_code = Some(Code::Fork as u64);
            ledger.row.stop_seq = Some(slot.seq);
            return Err(Code::Fork);
        }
        let missing = match before {
            None => 0,
            Some(author) => statement.dctr.checked_sub(author.next_dctr).ok_or(Code::Counter)?,
        };
        let author = Author { device, next_dctr: statement.dctr + 1, seen_seq: seen };
        ledger.authors.insert(device, author);
        self.changes.touched.authors.insert(device);
        self.show(reader, slot, ledger, &statement, missing);
        Ok(())
    }

    fn show(
        &mut self,
        reader: &Reader<'_>,
        slot: &Taken,
        ledger: &Ledger,
        statement: &Statement,
        missing: u64,
    ) {
        let user = slot.member.user;
        let content = Content::read(statement.ptype, &statement.content);
        let (message_id, kind, text) = match &content {
            Content::Message(message) => {
                let log = ledger.row.local.id;
                let id = message.id(&statement.content, reader.me.company, user, log);
                match message.shown() {
                    Shown::Text { text, .. } => (id, MessageKind::Text, Some(text.to_owned())),
                    _ => (id, MessageKind::Unknown, None),
                }
            }
            Content::Control(Control::Title(title)) => {
                self.changes.lines.push(Line::Title(title.clone()));
                return;
            }
            Content::Unknown => (unknown_id(slot.core), MessageKind::Unknown, None),
            Content::Control(_) | Content::Receipt(_) => return,
        };
        self.changes.lines.push(Line::Message(Box::new(NewMessage {
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
        })));
    }
}

/// The id under which content of an unknown form is kept; a message's begins with 0x01.
fn unknown_id(core: CoreHash) -> MessageId {
    let mut id = core.0;
    id[0] = 0x02;
    MessageId(id)
}
