//! The rules by which a phone, or the verifier, believes an entry (C1 to C5, C8).
//!
//! They trust the server in nothing: the chain is recomputed, slots and counters are kept, and what
//! the server should have refused is refused here. C6 and C9 are [`crate::authorise`] and
//! [`crate::mls::public`]; opening a record is [`crate::record`].
//!
//! Source: docs/protocol.md §6, §7.

use crate::authorise::{CompanyView, Conversation};
use crate::body::LogType;
use crate::content::{Content, Control};
use crate::entry::{Entry, Head, Kind};
use crate::epoch::RecordKey;
use crate::ids::{
    CoreHash, DeviceId, Digest, EntryHash, LeafIndex, LogId, RecordIndex, Seq, TimeMs,
};
use crate::limits::{EPOCH_AGE_MS, LEAF_AGE_MS};
use crate::mls::public::Member;
use crate::record::{self, RecordError, VerifiedRecord};
use crate::rules::server;
use crate::statement::{PayloadType, Statement};

/// How far a reader has come in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// The log.
    pub log: LogId,
    /// The number of the entry that comes next.
    pub next: Seq,
    /// The hash of the entry before it.
    pub hash: EntryHash,
    /// That entry's time.
    pub t_ms: TimeMs,
    /// That entry's company size.
    pub co: u64,
}

/// Why an entry does not continue a chain. But for [`CompanyAhead`](Self::CompanyAhead), after which
/// the reader fetches the company log and asks again, each stops the log (C1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// The head names another log.
    #[error("the entry is of another log")]
    OtherLog,
    /// Another number was due.
    #[error("entry {0} was due")]
    Number(Seq),
    /// Time or company size goes back.
    #[error("time or company size goes back")]
    WentBack,
    /// The entry relies on more company entries than the reader has.
    #[error("the entry relies on {0} company entries")]
    CompanyAhead(u64),
    /// The same bytes stand in the log already.
    #[error("the entry stands in the log twice")]
    Repeated,
    /// The reader has seen another entry under this number: two histories.
    #[error("another entry was seen under this number")]
    Fork,
}

/// An entry that continues the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The chain after it.
    pub chain: Chain,
    /// The hash of the sender's half.
    pub core: CoreHash,
}

impl Chain {
    /// A log of which nothing is known.
    pub fn begin(log: LogId) -> Self {
        Self { log, next: Seq(0), hash: EntryHash::ZERO, t_ms: 0, co: 0 }
    }

    /// C1: the chain after this entry. `company_size` is the reader's; `is_known` says whether an
    /// entry of another kind than a record has this core (a record's slot shows the same at less
    /// cost).
    pub fn step(
        &self,
        entry: &Entry,
        head: &Head,
        company_size: u64,
        is_known: impl FnOnce(CoreHash) -> bool,
    ) -> Result<Step, ChainFault> {
        if head.log != self.log {
            return Err(ChainFault::OtherLog);
        }
        if entry.seq != self.next {
            return Err(ChainFault::Number(self.next));
        }
        if entry.t_ms < self.t_ms || entry.co < self.co {
            return Err(ChainFault::WentBack);
        }
        if entry.co > company_size {
            return Err(ChainFault::CompanyAhead(entry.co));
        }
        let core = entry.core();
        if head.kind != Kind::Record && is_known(core) {
            return Err(ChainFault::Repeated);
        }
        let chain = Self {
            log: self.log,
            next: self.next.next(),
            hash: entry.link(self.hash).hash(core),
            t_ms: entry.t_ms,
            co: entry.co,
        };
        Ok(Step { chain, core })
    }
}

/// C1: whether an entry is the one that this reader, or a colleague's statement, has seen under its
/// number.
pub fn same_history(seen: EntryHash, offered: EntryHash) -> Result<(), ChainFault> {
    if seen == offered { Ok(()) } else { Err(ChainFault::Fork) }
}

/// Why a record's place is not right (C2); the record goes to quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SlotFault {
    /// Its epoch is not in force.
    #[error("the record's epoch is not in force")]
    Epoch,
    /// Nobody sits at its leaf.
    #[error("nobody sits at the record's leaf")]
    Leaf,
    /// Another index was due.
    #[error("index {0} was due")]
    Index(RecordIndex),
    /// A device of its epoch is revoked.
    #[error("a device of the record's epoch is revoked")]
    Revoked,
    /// The capsule that it names is not the right one.
    #[error("the record's capsule is not the right one")]
    Capsule,
    /// Its archive keys are past their time.
    #[error("the epoch's archive keys are past their time")]
    ArchiveKeys,
}

impl SlotFault {
    /// Whether the record uses up its slot all the same: the leaf's chain and counter move on, so
    /// that the records after it open (C8). A wrong index never moves anything, so that no index
    /// makes a reader hash for long (docs/attacks.md 23).
    pub fn uses_slot(self) -> bool {
        matches!(self, Self::Revoked | Self::Capsule | Self::ArchiveKeys)
    }
}

/// What a reader knows of a record's epoch.
#[derive(Debug, Clone, Copy)]
pub struct SlotFacts<'a> {
    /// The index due at the head's leaf.
    pub expected: RecordIndex,
    /// SHA-256 of the capsule's body that the reader computed itself; `None` for who was not in the
    /// epoch, and takes any of its capsule entries until the archive opens them.
    pub capsule: Option<Digest>,
    /// The leaves of devices revoked in company[0..link.co): [`Conversation::revoked`].
    pub revoked: &'a [LeafIndex],
}

/// C2: whose record it is, if its place is right. `company` is the company log at `link.co`.
pub fn record_slot<'a>(
    head: &Head,
    t_ms: TimeMs,
    conversation: &'a Conversation,
    company: &impl CompanyView,
    facts: &SlotFacts<'_>,
) -> Result<&'a Member, SlotFault> {
    let slot = head.slot.ok_or(SlotFault::Leaf)?;
    if conversation.in_force() != Some((head.r#gen, head.epoch)) {
        return Err(SlotFault::Epoch);
    }
    let member = conversation.roster.member(slot.leaf).ok_or(SlotFault::Leaf)?;
    if slot.index != facts.expected {
        return Err(SlotFault::Index(facts.expected));
    }
    if !facts.revoked.is_empty() {
        return Err(SlotFault::Revoked);
    }
    let capsule = conversation.capsule(slot.cap);
    let is_right = |digest| facts.capsule.is_none_or(|computed| computed == digest);
    if !capsule.is_some_and(|capsule| is_right(capsule.digest)) {
        return Err(SlotFault::Capsule);
    }
    let (id_a, id_b) = conversation.archive_keys;
    if company.archive_keys_good(id_a, id_b, t_ms) {
        Ok(member)
    } else {
        Err(SlotFault::ArchiveKeys)
    }
}

/// Why an opened record is not shown (C3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentFault {
    /// The statement names another device than the leaf's.
    #[error("the statement names another device than the leaf's")]
    Device,
    /// Transient, and of a kind that is not, or the other way round; the author is reported
    /// (docs/attacks.md 39).
    #[error("the record's class does not fit what it is")]
    Class,
    /// The statement's files are not the head's.
    #[error("the statement's files are not the head's")]
    Files,
    /// An announcement by somebody who is no owner.
    #[error("only owners write here")]
    Announcement,
}

/// C3, after opening and signature: whether head, statement and author fit together. `may_write` says
/// whether the author writes here more than answers ([`Conversation::may_write`]).
pub fn record_content(
    head: &Head,
    statement: &Statement,
    author: DeviceId,
    may_write: bool,
) -> Result<(), ContentFault> {
    if statement.device != author {
        return Err(ContentFault::Device);
    }
    if head.transient != statement.ptype.is_transient() {
        return Err(ContentFault::Class);
    }
    if !statement.blobs().eq(head.blobs.iter().copied()) {
        return Err(ContentFault::Files);
    }
    let answers = || answers(statement.ptype, &statement.content);
    if may_write || answers() { Ok(()) } else { Err(ContentFault::Announcement) }
}

/// Whether this is one of the things that everybody may say among announcements (C3): that he has
/// taken note, his vote, that his device lacks something, what he has read.
pub fn answers(ptype: PayloadType, content: &[u8]) -> bool {
    let control = || Content::read(ptype, content);
    ptype == PayloadType::Receipt
        || matches!(
            control(),
            Content::Control(Control::Acknowledge(_) | Control::Ask(_) | Control::Vote(..))
        )
}

/// C3: what a person's devices agree on stands in his own log only; in any other it would be a way to
/// say something that no archive opens.
pub fn own_state_at_home(ptype: PayloadType, r#type: LogType) -> Result<(), ContentFault> {
    let is_home = r#type == LogType::SelfNotes;
    if ptype == PayloadType::OwnState && !is_home { Err(ContentFault::Class) } else { Ok(()) }
}

/// What a reader knows of a record that he could not open when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnreadSlot {
    /// The core that his chain has at its number.
    pub core: CoreHash,
    /// The device at its leaf, in its epoch.
    pub author: DeviceId,
    /// Whether the author wrote there more than answers.
    pub may_write: bool,
}

/// Why a granted record is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantedFault {
    /// The server sent another entry than the one that stands in the chain, or not all of it.
    #[error("this is not the entry that stands in the log")]
    Entry,
    /// The grantor's key does not open it, or opens it to what its author never sealed
    /// (docs/attacks.md 21). Another grant may bring the right one.
    #[error("the granted key is not the record's: {0}")]
    Key(RecordError),
    /// It opens, and its author did not make it right.
    #[error(transparent)]
    Record(RecordError),
    /// It opens, and its author's device is not in the company log.
    #[error("the record's author is not in the company log")]
    Author,
    /// Head and statement do not fit.
    #[error(transparent)]
    Content(#[from] ContentFault),
}

/// Opens a record by a granted key, in whose giver nothing is believed: the entry is the one in the
/// reader's chain, the nonce commits to key, head and text, the signature is by the key that the
/// company log has for the author, and the author is the device at the head's leaf (docs/protocol.md
/// §10; C2 but for capsule and chain, C3).
pub fn granted_record(
    entry: &Entry,
    key: &RecordKey,
    slot: &UnreadSlot,
    company: &impl CompanyView,
) -> Result<VerifiedRecord, GrantedFault> {
    let payload = entry.payload.bytes().ok_or(GrantedFault::Entry)?;
    if entry.core() != slot.core {
        return Err(GrantedFault::Entry);
    }
    let head = Head::parse(&entry.head).map_err(|_| GrantedFault::Entry)?;
    let opened = record::open(key, &entry.head, payload).map_err(|error| match error {
        RecordError::Sealed | RecordError::Nonce => GrantedFault::Key(error),
        error => GrantedFault::Record(error),
    })?;
    let author = company.device(opened.claimed_device()).ok_or(GrantedFault::Author)?;
    let record = opened.verify(&author.signature_key).map_err(GrantedFault::Record)?;
    record_content(&head, record.statement(), slot.author, slot.may_write)?;
    Ok(record)
}

/// What a reader remembers of a device's records in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorPlace {
    /// The device.
    pub device: DeviceId,
    /// The number that its next record should bear.
    pub next_dctr: u64,
    /// The newest entry that it said to have seen.
    pub seen: Seq,
}

/// A record in its author's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InOrder {
    /// How many of its records are missing before it; shown, and asked for.
    pub missing: u64,
    /// What to remember.
    pub place: AuthorPlace,
}

/// Why a record is out of its author's order (C4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderFault {
    /// What the author saw is not what this reader holds: stop the log, keep both, alarm.
    #[error("the author saw another history")]
    Fork,
    /// `seen` lies before the epoch or capsule that the record is sealed for, or not before it.
    #[error("the author claims to have seen what he cannot have")]
    SeenRange,
    /// `seen` goes back.
    #[error("what the author saw goes back")]
    SeenBack,
    /// The counter goes back.
    #[error("the author's counter goes back")]
    Counter,
}

/// C4: whether a record is in its author's order. `place` is what is remembered of the device, if
/// anything; `earliest` the later of the epoch's commit and the capsule; `held` the hash that the
/// reader has at the statement's `seen`.
pub fn order(
    statement: &Statement,
    seq: Seq,
    place: Option<&AuthorPlace>,
    earliest: Seq,
    held: Option<EntryHash>,
) -> Result<InOrder, OrderFault> {
    let seen = statement.seen;
    if seen.seq < earliest || seen.seq >= seq {
        return Err(OrderFault::SeenRange);
    }
    if held != Some(seen.hash) {
        return Err(OrderFault::Fork);
    }
    let mut missing = 0;
    if let Some(place) = place {
        if seen.seq < place.seen {
            return Err(OrderFault::SeenBack);
        }
        missing = statement.dctr.checked_sub(place.next_dctr).ok_or(OrderFault::Counter)?;
    }
    let place =
        AuthorPlace { device: statement.device, next_dctr: statement.dctr + 1, seen: seen.seq };
    Ok(InOrder { missing, place })
}

impl AuthorPlace {
    /// After a record that used up its slot and was not believed: it counts one (C8).
    #[must_use]
    pub fn after_quarantine(self) -> Self {
        Self { next_dctr: self.next_dctr + 1, ..self }
    }
}

/// Whether this leaf renews its keys before its next record (C13): it is older than 90 days, or its epoch
/// than 30, and the server's budget allows it.
pub fn renews_first(conversation: &Conversation, leaf: LeafIndex, now_ms: TimeMs) -> bool {
    let renewed = conversation.roster.member(leaf).map_or(now_ms, |member| member.renewed_t_ms);
    let is_old = now_ms > renewed.saturating_add(LEAF_AGE_MS)
        || now_ms > conversation.began_t_ms.saturating_add(EPOCH_AGE_MS);
    is_old && server::budget(conversation, leaf) <= now_ms
}

#[cfg(test)]
mod tests;
