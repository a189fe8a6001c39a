//! An entry of a log: the sender's head and payload, the server's link, and the hashes over them.
//!
//! The sender makes `head` and payload, and knows their `core` before anyone ordered them. The
//! server adds the `link`: the number, the hash of the entry before, its time and the size of the
//! company log. The entry's `hash` covers both halves, so a log is a chain, and an erased payload
//! leaves the chain whole, since only its hash and length are in the core.

use crate::crypto::{hash, sha256};
use crate::encoding::{Bytes, FormError, Item, Reader, Writer, decode, encode};
use crate::ids::{
    CoreHash, Digest, EntryHash, Epoch, Gen, LeafIndex, LogId, RecordIndex, Seq, TimeMs,
};
use crate::limits;
use crate::{array_item, code_item};

code_item! {
    /// What an entry is.
    pub enum Kind {
        /// The first entry of a log.
        Genesis = 0,
        /// An MLS commit; it begins an epoch.
        Commit = 1,
        /// An epoch's secret, sealed to the archive keys.
        Capsule = 2,
        /// A message.
        Record = 3,
        /// The beginning of a new MLS group for the same conversation.
        Reset = 4,
        /// An invitation, a leaving or a change of owners.
        Invite = 5,
        /// Record keys for a device that may read but could not.
        Grant = 6,
        /// Payloads of this log erased by a rule.
        Erase = 7,
        /// Entries of this log lost in a disaster.
        Restore = 8,
        /// Company: the next root key.
        RootRotation = 32,
        /// Company: a key that certifies devices.
        IssuingKey = 33,
        /// Company: a key that vouches for enrolments.
        EnrolmentAuthority = 34,
        /// Company: the keys that sign checkpoints.
        LogKey = 35,
        /// Company: a witness of checkpoints.
        Witness = 36,
        /// Company: a device.
        Device = 37,
        /// Company: a device is no longer trusted.
        Revoke = 38,
        /// Company: a role and its key.
        Role = 39,
        /// Company: the policy.
        Policy = 40,
        /// Company: an archive key.
        ArchiveKey = 41,
        /// Company: the archive is to be opened.
        Opening = 42,
        /// Company: the archive was opened.
        Opened = 43,
        /// Company: a legal hold.
        Hold = 44,
        /// Company: the end of a legal hold.
        Release = 45,
        /// Company: an erasure.
        CompanyErase = 46,
        /// Company: a successor takes over.
        Handover = 47,
        /// Company: old capsules sealed to new keys.
        Rewrap = 48,
        /// Company: a restore from a backup with a gap.
        CompanyRestore = 49,
        /// Company: a device's last counters.
        Close = 50,
        /// Company: a retention class.
        Class = 51,
        /// Company: an admin asks for a reset.
        ResetOrder = 52,
        /// Company: a device reports a breach.
        Report = 53,
    }
}

impl Kind {
    /// Whether the kind belongs to the company log (genesis belongs to both).
    pub fn is_company(self) -> bool {
        self.code() >= 32
    }
}

/// A file that a record names: root of its ciphertext's tree hash, and the ciphertext's size in bytes.
pub type BlobRef = (Digest, u64);

/// The sender's half of an entry, without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What the entry is.
    pub kind: Kind,
    /// The log it is for.
    pub log: LogId,
    /// The generation of the MLS group.
    pub r#gen: Gen,
    /// The epoch: for a commit the one it begins, for a record the one whose key seals it.
    pub epoch: Epoch,
    /// A record's place, and nothing for other kinds.
    pub slot: Option<Slot>,
    /// Whether a record is a receipt, which is kept for a short time only.
    pub transient: bool,
    /// The files of a record, or the key list of a grant.
    pub blobs: Vec<BlobRef>,
}

/// A record's place in its author's chain, and the capsule that it relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The author's leaf.
    pub leaf: LeafIndex,
    /// The number in the leaf's chain.
    pub index: RecordIndex,
    /// The capsule entry of the epoch that the author verified.
    pub cap: Seq,
}

const HEAD_VERSION: u64 = 1;

impl Head {
    /// A head of any kind but record and grant.
    pub fn plain(kind: Kind, log: LogId, r#gen: Gen, epoch: Epoch) -> Self {
        Self { kind, log, r#gen, epoch, slot: None, transient: false, blobs: Vec::new() }
    }

    /// Reads a head and checks the form that its kind demands.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        decode(bytes)
    }

    /// `core` = H("hauspost/1 core", CBOR[bstr head, SHA-256(payload), len(payload)]).
    ///
    /// `head` are the transmitted bytes.
    pub fn core(head: &[u8], payload: Digest, payload_len: u64) -> CoreHash {
        CoreHash(hash("hauspost/1 core", &encode(&(Bytes::from(head), payload, payload_len))))
    }

    fn check(&self) -> Result<(), FormError> {
        let fits = match self.kind {
            Kind::Record => {
                self.slot.is_some() && self.epoch.0 >= 1 && self.blobs.len() <= limits::FILES
            }
            _ if self.slot.is_some() || self.transient => false,
            Kind::Genesis => self.r#gen.0 == 0 && self.epoch.0 == 0 && self.blobs.is_empty(),
            Kind::Commit | Kind::Capsule => self.epoch.0 >= 1 && self.blobs.is_empty(),
            Kind::Reset => self.epoch.0 == 0 && self.r#gen.0 >= 1 && self.blobs.is_empty(),
            Kind::Invite | Kind::Erase | Kind::Restore => self.blobs.is_empty(),
            Kind::Grant => self.blobs.len() == 1,
            _ => self.r#gen.0 == 0 && self.epoch.0 == 0 && self.blobs.is_empty(),
        };
        if !fits {
            return Err(FormError::Malformed);
        }
        if self.blobs.iter().any(|(_, size)| *size > limits::BLOB_BYTES) {
            return Err(FormError::TooLarge);
        }
        let twice = self.blobs.iter().enumerate().any(|(i, blob)| self.blobs[..i].contains(blob));
        if twice { Err(FormError::Malformed) } else { Ok(()) }
    }
}

impl Item for Head {
    fn write(&self, to: &mut Writer) {
        to.array(10);
        to.uint(HEAD_VERSION);
        self.kind.write(to);
        self.log.write(to);
        self.r#gen.write(to);
        self.epoch.write(to);
        self.slot.map(|slot| slot.leaf).write(to);
        self.slot.map(|slot| slot.index).write(to);
        self.slot.map(|slot| slot.cap).write(to);
        self.transient.write(to);
        self.blobs.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let head = from.array(10, |from| {
            if from.uint()? != HEAD_VERSION {
                return Err(FormError::Unlisted);
            }
            Ok(Self {
                kind: Item::read(from)?,
                log: Item::read(from)?,
                r#gen: Item::read(from)?,
                epoch: Item::read(from)?,
                slot: match (Item::read(from)?, Item::read(from)?, Item::read(from)?) {
                    (Some(leaf), Some(index), Some(cap)) => Some(Slot { leaf, index, cap }),
                    (None, None, None) => None,
                    _ => return Err(FormError::Malformed),
                },
                transient: Item::read(from)?,
                blobs: Item::read(from)?,
            })
        })?;
        head.check()?;
        Ok(head)
    }
}

/// The server's half of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The entry's number.
    pub seq: Seq,
    /// The hash of entry seq − 1.
    pub prev: EntryHash,
    /// The server's time, which never decreases in a log.
    pub t_ms: TimeMs,
    /// The size of the company log when the entry was accepted; in the company log, seq itself.
    pub co: u64,
}

impl Link {
    /// `hash` = H("hauspost/1 entry", CBOR[seq, prev, t_ms, co, core]).
    pub fn hash(&self, core: CoreHash) -> EntryHash {
        let fields = (self.seq, self.prev, self.t_ms, self.co, core);
        EntryHash(hash("hauspost/1 entry", &encode(&fields)))
    }
}

/// What is left of an entry's payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The payload itself.
    Kept(Bytes),
    /// Only its hash and its length in bytes: erased, or not for this reader.
    Absent {
        /// SHA-256 of the payload.
        hash: Digest,
        /// Its length in bytes.
        len: u64,
    },
}

impl Payload {
    /// SHA-256 and length of the payload, whether it is still there or not.
    pub fn facts(&self) -> (Digest, u64) {
        match self {
            Self::Kept(bytes) => (sha256(bytes), bytes.len() as u64),
            Self::Absent { hash, len } => (*hash, *len),
        }
    }

    /// The payload, if it is there.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Kept(bytes) => Some(bytes),
            Self::Absent { .. } => None,
        }
    }
}

/// An entry as the server sends it; the reader computes `prev` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The head's bytes, unchanged.
    pub head: Bytes,
    /// The payload, or what is left of it.
    pub payload: Payload,
    /// The entry's number.
    pub seq: Seq,
    /// The server's time.
    pub t_ms: TimeMs,
    /// The size of the company log.
    pub co: u64,
}

impl Entry {
    /// The hash of the sender's half.
    pub fn core(&self) -> CoreHash {
        let (hash, len) = self.payload.facts();
        Head::core(&self.head, hash, len)
    }

    /// The link, once the hash of the entry before is known.
    pub fn link(&self, prev: EntryHash) -> Link {
        Link { seq: self.seq, prev, t_ms: self.t_ms, co: self.co }
    }

    /// The entry's hash, once the hash of the entry before is known.
    pub fn hash(&self, prev: EntryHash) -> EntryHash {
        self.link(prev).hash(self.core())
    }

    fn write_seven(&self, to: &mut Writer) {
        let (kept, hash, len) = match &self.payload {
            Payload::Kept(bytes) => (Some(bytes.clone()), None, None),
            Payload::Absent { hash, len } => (None, Some(*hash), Some(*len)),
        };
        self.head.write(to);
        kept.write(to);
        hash.write(to);
        len.write(to);
        self.seq.write(to);
        self.t_ms.write(to);
        self.co.write(to);
    }

    fn read_seven(from: &mut Reader<'_>) -> Result<Self, FormError> {
        Ok(Self {
            head: Item::read(from)?,
            payload: match (Item::read(from)?, Item::read(from)?, Item::read(from)?) {
                (Some(bytes), None, None) => Payload::Kept(bytes),
                (None, Some(hash), Some(len)) => Payload::Absent { hash, len },
                _ => return Err(FormError::Malformed),
            },
            seq: Item::read(from)?,
            t_ms: Item::read(from)?,
            co: Item::read(from)?,
        })
    }
}

impl Item for Entry {
    fn write(&self, to: &mut Writer) {
        to.array(7);
        self.write_seven(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.array(7, Self::read_seven)
    }
}

/// An entry in the archive and in exports: with `prev`, so that a verifier can name the one that
/// was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedEntry {
    /// The entry as it was sent.
    pub entry: Entry,
    /// The hash of the entry before it.
    pub prev: EntryHash,
}

impl Item for ArchivedEntry {
    fn write(&self, to: &mut Writer) {
        to.array(8);
        self.entry.write_seven(to);
        self.prev.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.array(8, |from| Ok(Self { entry: Entry::read_seven(from)?, prev: Item::read(from)? }))
    }
}

array_item! {
    /// One entry of a skeleton: enough for the chain, and nothing of content or authors.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Bone {
        /// The entry's number.
        pub seq: Seq,
        /// The server's time.
        pub t_ms: TimeMs,
        /// The size of the company log.
        pub co: u64,
        /// The hash of the sender's half.
        pub core: CoreHash,
    }
}

array_item! {
    /// A stretch of a log's chain: shows that entries follow one another without showing them.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Skeleton {
        /// The hash of the entry before the first.
        pub prev: EntryHash,
        /// The entries, in order.
        pub bones: Vec<Bone>,
    }
}

array_item! {
    /// `seen`: the newest entry of this log that the signer had processed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Seen {
        /// Its number.
        pub seq: Seq,
        /// Its hash.
        pub hash: EntryHash,
    }
}

array_item! {
    /// `at`: the company log that the signer judged by.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct At {
        /// Its size.
        pub co: u64,
        /// The hash of its entry co − 1.
        pub company_hash: EntryHash,
    }
}

/// Entry numbers as inclusive stretches, ascending and disjoint.
pub type Ranges = Vec<(Seq, Seq)>;

#[cfg(test)]
mod tests {
    use super::*;

    fn record_head() -> Head {
        Head {
            kind: Kind::Record,
            log: LogId([1; 16]),
            r#gen: Gen(0),
            epoch: Epoch(1),
            slot: Some(Slot { leaf: LeafIndex(0), index: RecordIndex(0), cap: Seq(2) }),
            transient: false,
            blobs: Vec::new(),
        }
    }

    #[test]
    fn a_head_reads_back_and_only_in_the_form_of_its_kind() {
        let head = record_head();
        assert_eq!(Head::parse(&encode(&head)), Ok(head.clone()));
        let forms = [
            Head { slot: None, ..head.clone() },
            Head { epoch: Epoch(0), ..head.clone() },
            Head { kind: Kind::Commit, ..head.clone() },
            Head { blobs: vec![(Digest([0; 32]), 1); 2], ..head.clone() },
            Head { transient: true, ..Head::plain(Kind::Invite, head.log, Gen(0), Epoch(1)) },
            Head::plain(Kind::Genesis, head.log, Gen(1), Epoch(0)),
            Head::plain(Kind::Device, head.log, Gen(0), Epoch(1)),
        ];
        for form in forms {
            assert_eq!(Head::parse(&encode(&form)), Err(FormError::Malformed), "{form:?}");
        }
    }

    #[test]
    fn an_erased_payload_leaves_the_hash_as_it_was() {
        let kept = Entry {
            head: encode(&record_head()).into(),
            payload: Payload::Kept(Bytes(vec![5; 40])),
            seq: Seq(3),
            t_ms: 1,
            co: 1,
        };
        let (hash, len) = kept.payload.facts();
        let erased = Entry { payload: Payload::Absent { hash, len }, ..kept.clone() };
        assert_eq!(kept.hash(EntryHash::ZERO), erased.hash(EntryHash::ZERO));
        assert_eq!(decode::<Entry>(&encode(&erased)), Ok(erased));
    }
}
