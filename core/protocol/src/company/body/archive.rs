//! How long things are kept, who may read them, and what happened to them: policy, archive keys,
//! openings, holds, erasures, and what devices report.

use crate::encoding::Bytes;
use crate::entry::Seen;
use crate::ids::{DeviceId, Digest, KeyId, LogId, Seq, TimeMs, UserId};
use crate::tree::checkpoint::TreeHead;
use crate::{array_item, code_item};

array_item! {
    /// The policy's next version.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PolicyEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// The version: the one before it + 1; the first is 1.
        pub version: u64,
        /// The document, a [`PolicyDocument`](crate::company::policy::PolicyDocument).
        pub document: Bytes,
    }
}

code_item! {
    /// Which of the two archive keys.
    pub enum ArchiveSide {
        /// The officers', in shares.
        A = 0,
        /// The works council's.
        B = 1,
    }
}

array_item! {
    /// An archive key for the epochs to come.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ArchiveKeyEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// Which of the two it is.
        pub side: ArchiveSide,
        /// The X-Wing key, 1,216 bytes.
        pub key: Bytes,
        /// `H("hauspost/1 share", share)` of each share.
        pub shares: Vec<Digest>,
    }
}

impl ArchiveKeyEntry {
    /// `H("hauspost/1 archive-key", pk)[0..16]`.
    pub fn id(&self) -> KeyId {
        archive_key_id(&self.key)
    }
}

/// `H("hauspost/1 archive-key", pk)[0..16]`.
pub fn archive_key_id(key: &[u8]) -> KeyId {
    let digest = crate::crypto::hash("hauspost/1 archive-key", key);
    KeyId(digest[..16].try_into().expect("16 of 32 bytes"))
}

array_item! {
    /// What an opening, a hold or a handover is about. Bounds are inclusive; an empty list or null
    /// is no limit.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    pub struct Scope {
        /// Stretches of logs: from, and to or without an end.
        pub logs: Vec<(LogId, Seq, Option<Seq>)>,
        /// Not before this time.
        pub t_from: Option<TimeMs>,
        /// Not after this time.
        pub t_to: Option<TimeMs>,
        /// Only what these people wrote.
        pub users: Vec<UserId>,
    }
}

impl Scope {
    /// Whether an entry lies in the scope.
    pub fn covers(&self, log: LogId, seq: Seq, t_ms: TimeMs, author: UserId) -> bool {
        self.may_touch(log, seq, t_ms) && (self.users.is_empty() || self.users.contains(&author))
    }

    /// Whether an entry whose author is not known yet may lie in the scope.
    pub fn may_touch(&self, log: LogId, seq: Seq, t_ms: TimeMs) -> bool {
        let in_logs = self.logs.is_empty()
            || self.logs.iter().any(|(named, from, to)| {
                *named == log && *from <= seq && to.is_none_or(|to| seq <= to)
            });
        in_logs
            && self.t_from.is_none_or(|from| from <= t_ms)
            && self.t_to.is_none_or(|to| t_ms <= to)
    }
}

array_item! {
    /// The archive is to be opened. Written before anything is released.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct OpeningEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// What for.
        pub purpose: String,
        /// What may be read.
        pub scope: Scope,
        /// The notice to the person affected.
        pub notice: Option<String>,
        /// Why there is none yet; exactly one of the two is set.
        pub block_reason: Option<String>,
    }
}

array_item! {
    /// The archive was opened: how many record keys left the council's machine.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct OpenedEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// The entry `opening`.
        pub opening: Seq,
        /// Keys given, for each log.
        pub counts: Vec<(LogId, u64)>,
    }
}

array_item! {
    /// A legal hold: nothing in the scope is erased.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct HoldEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// What is held.
        pub scope: Scope,
        /// Why.
        pub reason: String,
    }
}

array_item! {
    /// The end of a legal hold.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ReleaseEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// The entry `hold`.
        pub hold: Seq,
    }
}

code_item! {
    /// Why payloads are erased.
    pub enum EraseReason {
        /// Their retention ended.
        Expiry = 0,
        /// Before that, by two roles.
        Early = 1,
        /// Old capsules, after they were sealed to new keys.
        Rewrap = 2,
    }
}

array_item! {
    /// An erasure; its list stands in the logs.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CompanyErase {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// Why.
        pub reason: EraseReason,
        /// The retention class, for an expiry.
        pub class: Option<u64>,
        /// How many entries.
        pub count: u64,
        /// How many logs, the leaves of the list's tree.
        pub logs: u64,
        /// Root of the list's tree.
        pub list_root: Digest,
    }
}

array_item! {
    /// A successor takes over.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct HandoverEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// Who leaves.
        pub from: UserId,
        /// Who takes over.
        pub to: UserId,
        /// What.
        pub scope: Scope,
    }
}

array_item! {
    /// Old capsules were sealed to new archive keys.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RewrapEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// The archive keys before.
        pub old: Vec<KeyId>,
        /// The archive keys now.
        pub new: Vec<KeyId>,
        /// How many capsules.
        pub count: u64,
        /// SHA-256 of the list.
        pub list: Digest,
    }
}

array_item! {
    /// A restore from a backup that left a gap; it begins the next era.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CompanyRestore {
        /// The newest company entry that is left.
        pub seen: Option<Seen>,
        /// The newest checkpoint known.
        pub checkpoint: TreeHead,
        /// How many logs, the leaves of the list's tree.
        pub count: u64,
        /// Root of the list's tree.
        pub list_root: Digest,
    }
}

array_item! {
    /// A device's last counters.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CloseEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// The device.
        pub device: DeviceId,
        /// SHA-256 of CBOR[[log, last dctr]*].
        pub counters: Digest,
        /// How many messages it could not send.
        pub unsent: u64,
    }
}

array_item! {
    /// What is in the scope gets another retention class.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ClassEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// What.
        pub scope: Scope,
        /// The class; 0 is the longest.
        pub class: u64,
        /// Why.
        pub reason: String,
    }
}

array_item! {
    /// An admin asks for a new MLS group of a conversation.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ResetOrder {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// The conversation.
        pub log: LogId,
        /// Why.
        pub reason: String,
    }
}

code_item! {
    /// What a device reports.
    pub enum ReportCode {
        /// Two histories.
        Fork = 0,
        /// Its own phone was set back.
        Rollback = 1,
        /// The server broke a rule.
        ServerBrokeRule = 2,
        /// A class that does not fit what it holds.
        Class = 3,
        /// A reset.
        Reset = 4,
    }
}

array_item! {
    /// A device reports a breach; one for each device, log, code and day.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ReportEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// The device that reports.
        pub device: DeviceId,
        /// Where it happened.
        pub log: LogId,
        /// What happened.
        pub code: ReportCode,
        /// At which entry.
        pub seq: Seq,
        /// SHA-256 of the evidence that the device keeps.
        pub evidence: Digest,
    }
}
