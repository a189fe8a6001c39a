//! The rows that a store keeps.

use hauspost_protocol::entry::{Entry, Kind, Link};
use hauspost_protocol::ids::{
    CoreHash, DeviceId, Digest, EntryHash, LogId, LogNo, Seq, TimeMs, UserId,
};

/// A reserved log number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// For whom.
    pub user: UserId,
    /// The log that took it.
    pub log: Option<LogId>,
}

/// A log and its newest entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Its number.
    pub no: LogNo,
    /// Its id.
    pub log: LogId,
    /// How many entries it has.
    pub size: u64,
    /// The hash of the newest.
    pub head: EntryHash,
    /// The time of the newest.
    pub t_ms: TimeMs,
    /// The company log's size that the newest stamped.
    pub co: u64,
}

/// A stored entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// The entry as it is sent.
    pub entry: Entry,
    /// What it is.
    pub kind: Kind,
    /// The hash of the sender's half.
    pub core: CoreHash,
    /// The hash of the entry.
    pub hash: EntryHash,
    /// A record's device.
    pub author: Option<DeviceId>,
}

impl EntryRow {
    /// What the entry weighs in an answer, in bytes.
    pub fn size_bytes(&self) -> usize {
        /// Numbers, array and string heads.
        const FRAME: usize = 40;
        FRAME + self.entry.head.len() + self.entry.payload.bytes().map_or(40, <[u8]>::len)
    }
}

/// An entry to append.
#[derive(Debug, Clone, Copy)]
pub struct NewRow<'a> {
    /// What it is.
    pub kind: Kind,
    /// The head's bytes.
    pub head: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
    /// The hash of the sender's half.
    pub core: CoreHash,
    /// The server's half.
    pub link: Link,
    /// A record's device.
    pub author: Option<DeviceId>,
}

/// How much one read returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Entries at most.
    pub entries: usize,
    /// Bytes of heads and payloads at most, but for a first entry that alone is larger.
    pub bytes: usize,
}

/// The rules' state of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationRow {
    /// The state that changes with commits and decides on records.
    pub state: Vec<u8>,
    /// The MLS group as those who are not in it can follow it; read for commits only.
    pub public: Vec<u8>,
}

/// A stretch of a log during which a device had a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The log.
    pub no: LogNo,
    /// The device.
    pub device: DeviceId,
    /// The commit that gave it the leaf.
    pub from: Seq,
    /// The commit that took it.
    pub to: Option<Seq>,
}

impl Membership {
    /// Whether the device had a leaf in the epoch that the entry at `seq` belongs to, or ends.
    pub fn covers(&self, seq: Seq) -> bool {
        self.from <= seq && self.to.is_none_or(|to| seq <= to)
    }
}

/// An enrolment that took place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentRow {
    /// The voucher's seed key, which counts once.
    pub seed: [u8; 32],
    /// SHA-256 of the request.
    pub request: Digest,
    /// The device's entry in the company log.
    pub company_seq: Seq,
    /// The certificate issued, DER.
    pub certificate: Vec<u8>,
}

/// A leaf of an outer tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OuterRow {
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// The signed note over the tree up to and with this leaf.
    pub note: String,
    /// The company log's place in the heads tree under it, as it is sent.
    pub company: Vec<u8>,
}

/// What a device has appended, as the times when it will be paid off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Of entries.
    pub entries_ms: TimeMs,
    /// Of bytes.
    pub bytes_ms: TimeMs,
}

/// A key package to keep.
#[derive(Debug, Clone, Copy)]
pub struct NewPackage<'a> {
    /// As MLSMessage.
    pub package: &'a [u8],
    /// When it was made, as it says itself.
    pub made_ms: TimeMs,
}
