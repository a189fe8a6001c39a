//! What can be wrong with an entry of the company log, by name.

use crate::encoding::FormError;
use crate::ids::{DeviceId, EntryHash, KeyId, Seq, TimeMs};

/// What became of an entry that continues the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It counts.
    Counts(EntryHash),
    /// It stays in the chain and has no effect.
    Ignored(EntryHash, Finding),
}

impl Applied {
    /// The entry's hash.
    pub fn hash(&self) -> EntryHash {
        match self {
            Self::Counts(hash) | Self::Ignored(hash, _) => *hash,
        }
    }

    /// Why it does not count, if it does not.
    pub fn finding(&self) -> Option<Finding> {
        match self {
            Self::Counts(_) => None,
            Self::Ignored(_, finding) => Some(*finding),
        }
    }
}

/// The entry does not continue this company's log; nothing was changed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainBreak {
    /// The first entry is not a genesis signed by the root that the pin names.
    #[error("the company's first entry is not the one that the pin names")]
    Pin,
    /// The entry belongs to another log.
    #[error("entry {0} belongs to another log")]
    WrongLog(Seq),
    /// Another number was expected.
    #[error("entry {found} came where {expected} was expected")]
    Gap {
        /// The number expected.
        expected: Seq,
        /// The number found.
        found: Seq,
    },
    /// In the company log, co is the entry's own number.
    #[error("entry {0} names another size of the company log than its own place")]
    CompanySize(Seq),
    /// The server's time goes back.
    #[error("the time of entry {seq} is before {after}")]
    TimeBack {
        /// The entry.
        seq: Seq,
        /// The time of the entry before it.
        after: TimeMs,
    },
    /// A payload of the company log is never erased, so its absence is a finding.
    #[error("the payload of entry {0} is missing")]
    PayloadMissing(Seq),
}

/// Why an entry of the company log has no effect (docs/protocol.md §7 C11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// Not of the form that its kind demands, or of a kind that this version does not know.
    #[error("form: {0}")]
    Form(#[from] FormError),
    /// A kind that has no place in the company log.
    #[error("an entry of this kind has no place in the company log")]
    Kind,
    /// The same body counted before: something signed is played again.
    #[error("the same body counted before")]
    Repeated,
    /// The signers name no entry that they had seen, and the founding is over.
    #[error("the signers name no entry that they had seen")]
    SeenMissing,
    /// The entry that the signers saw does not stand in this log: they saw another history.
    #[error("the signers saw another entry {0} than the one in this log")]
    SeenElsewhere(Seq),
    /// The signers had not seen the newest entry on the same subject.
    #[error("the signers had not seen entry {0}, which is about the same")]
    Replay(Seq),
    /// A signature by a key that the company does not know as a signer.
    #[error("signed by {0}, which is no signer of this company")]
    UnknownSigner(KeyId),
    /// A signature by a key that is not active, or not yet, or not any more.
    #[error("signed by {0}, which is not active")]
    InactiveSigner(KeyId),
    /// A signature that does not verify.
    #[error("the signature of {0} does not verify")]
    BadSignature(KeyId),
    /// The signatures are good but not those that the kind needs.
    #[error("the signatures do not suffice for an entry of this kind")]
    Signatures,
    /// A key that would verify what nobody signed.
    #[error("a key of small order")]
    SmallOrder,
    /// A key has one purpose and one holder in the company's life.
    #[error("key {0} already has another purpose or holder")]
    KeyInUse(KeyId),
    /// A key of a wrong length or an impossible value.
    #[error("a key that cannot be one")]
    KeyForm,
    /// A witness's name that no checkpoint could carry.
    #[error("a name that no checkpoint could carry")]
    Name,
    /// A device keeps its user and its signature key.
    #[error("device {0} keeps its user and its signature key")]
    DeviceChanged(DeviceId),
    /// A revoked device does not come back, and is not revoked twice.
    #[error("device {0} is revoked")]
    DeviceRevoked(DeviceId),
    /// No such device.
    #[error("there is no device {0}")]
    NoDevice(DeviceId),
    /// The device to be replaced is not another active device of the same user.
    #[error("device {0} cannot be replaced by this one")]
    Replaces(DeviceId),
    /// A voucher without its seed's signature, or the other way round.
    #[error("voucher and seed signature come together")]
    VoucherForm,
    /// The voucher is by no active enrolment authority.
    #[error("no active enrolment authority signed the voucher")]
    VoucherAuthority,
    /// The voucher is for another user.
    #[error("the voucher is for another user")]
    VoucherUser,
    /// The voucher had expired when the entry was ordered.
    #[error("the voucher had expired")]
    VoucherExpired,
    /// The voucher's seed enrolled a device before.
    #[error("the voucher was used before")]
    VoucherUsed,
    /// The seed did not sign this enrolment.
    #[error("the voucher's seed did not sign this enrolment")]
    SeedSignature,
    /// A policy's version follows the one before it.
    #[error("the policy's version is not {0}")]
    PolicyVersion(u64),
    /// What should end does not exist, or ended before.
    #[error("there is nothing to end")]
    NothingToEnd,
    /// The entry that this one names is not there, or of another kind.
    #[error("entry {0} is not what this one needs it to be")]
    NoEntry(Seq),
    /// Of notice and reason for its absence exactly one is given; an expiry names a class.
    #[error("two fields contradict each other")]
    Contradiction,
    /// One report for each device, log, code and day.
    #[error("the same was reported today")]
    ReportedToday,
    /// A restore stands right behind the newest entry that is left.
    #[error("a restore stands right behind the newest entry that is left")]
    RestorePlace,
}
