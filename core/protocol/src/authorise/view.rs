//! What the verdicts ask of the company log.

use crate::company::body::{ArchiveSide, CompanyBody};
use crate::company::handover::Handover;
use crate::company::view::CompanyAt;
use crate::crypto::PublicKey;
use crate::ids::{CompanyId, DeviceId, Digest, EntryHash, KeyId, LogId, Seq, TimeMs, UserId};
use crate::mls::member::Suite;

/// A device as the company log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Whose it is.
    pub user: UserId,
    /// Its signature key.
    pub signature_key: PublicKey,
    /// Whether it is not revoked.
    pub active: bool,
}

/// The company log up to a size.
pub trait CompanyView {
    /// The size.
    fn size(&self) -> u64;
    /// The hash of its entry size − 1.
    fn hash(&self) -> EntryHash;
    /// The company.
    fn company(&self) -> Option<CompanyId>;
    /// A device, revoked or not.
    fn device(&self, device: DeviceId) -> Option<DeviceFacts>;
    /// Whether an entry of this device names this certificate.
    fn has_certificate(&self, device: DeviceId, certificate: &Digest) -> bool;
    /// The ids of the newest archive keys, A and B.
    fn archive_keys(&self) -> Option<(KeyId, KeyId)>;
    /// Whether both archive keys may still be used at this time (S8).
    fn archive_keys_good(&self, id_a: KeyId, id_b: KeyId, t_ms: TimeMs) -> bool;
    /// Whether an admin ordered a reset of this log by company entry `from` or a later one.
    fn reset_ordered(&self, log: LogId, from: Seq) -> bool;
    /// The suite that the policy names for every group, if it names one.
    fn suite(&self) -> Option<Suite>;
    /// The calendar day of this time on the company's clock, counted from 1970 on (R4).
    fn day(&self, t_ms: TimeMs) -> u64;
    /// Whether the policy gives members what was said before they came, also where a conversation was not
    /// begun so (docs/protocol.md §10).
    fn history_for_members(&self) -> bool;

    /// The handover that this company entry says, while it is in force.
    fn handover(&self, seq: Seq) -> Option<&Handover>;

    /// Whether the device is known and not revoked.
    fn is_active(&self, device: DeviceId) -> bool {
        self.device(device).is_some_and(|device| device.active)
    }
}

impl CompanyView for CompanyAt<'_> {
    fn size(&self) -> u64 {
        self.size()
    }
    fn hash(&self) -> EntryHash {
        self.hash()
    }
    fn company(&self) -> Option<CompanyId> {
        self.company()
    }
    fn history_for_members(&self) -> bool {
        self.terms().council.history_for_members
    }
    fn device(&self, device: DeviceId) -> Option<DeviceFacts> {
        let active = self.is_active(device);
        let found = self.device(device)?;
        Some(DeviceFacts { user: found.user, signature_key: found.signature_key, active })
    }
    fn has_certificate(&self, device: DeviceId, certificate: &Digest) -> bool {
        self.has_certificate(device, certificate)
    }
    fn archive_keys(&self) -> Option<(KeyId, KeyId)> {
        self.archive_keys().map(|(a, b)| (a.id, b.id))
    }
    fn archive_keys_good(&self, id_a: KeyId, id_b: KeyId, t_ms: TimeMs) -> bool {
        self.archive_key_is_good(ArchiveSide::A, id_a, t_ms)
            && self.archive_key_is_good(ArchiveSide::B, id_b, t_ms)
    }
    fn reset_ordered(&self, log: LogId, from: Seq) -> bool {
        self.entries_from(from)
            .any(|(_, body)| matches!(body, CompanyBody::ResetOrder(order) if order.log == log))
    }
    fn handover(&self, seq: Seq) -> Option<&Handover> {
        self.handover(seq)
    }
    fn suite(&self) -> Option<Suite> {
        self.terms().general.suite()
    }
    fn day(&self, t_ms: TimeMs) -> u64 {
        u64::try_from(self.terms().general.zone().local(t_ms).day).unwrap_or_default()
    }
}
