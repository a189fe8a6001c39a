//! What the store knows of history grants: who may read which entries by them, and how long their key
//! lists are kept.

use hauspost_protocol::ids::{DeviceId, Digest, LogNo, Seq, TimeMs, UserId};

use super::StoreError;

/// A grant that is accepted.
#[derive(Debug, Clone, Copy)]
pub struct NewGrant<'a> {
    /// Its entry.
    pub seq: Seq,
    /// Who gets it.
    pub device: DeviceId,
    /// The blob that holds the keys.
    pub root: Digest,
    /// Which entries.
    pub ranges: &'a [(Seq, Seq)],
}

/// Reads of one state of the store.
pub trait GrantReads {
    /// The stretches of a log that were granted to a device, by ascending beginning; they may overlap.
    fn granted(&self, no: LogNo, device: DeviceId) -> Result<Vec<(Seq, Seq)>, StoreError>;
    /// Whether this entry was granted to a device.
    fn is_granted(&self, no: LogNo, device: DeviceId, seq: Seq) -> Result<bool, StoreError>;
    /// Whether this blob holds keys that were granted to a device.
    fn is_granted_list(
        &self,
        no: LogNo,
        root: Digest,
        device: DeviceId,
    ) -> Result<bool, StoreError>;
    /// The logs in which something was handed over to this user, with their size just after the newest
    /// grant that did.
    fn handed_over(&self, user: UserId) -> Result<Vec<(LogNo, u64)>, StoreError>;
    /// Key lists that were picked up before then, so many at most.
    fn lists_picked_before(
        &self,
        before_ms: TimeMs,
        most: usize,
    ) -> Result<Vec<(LogNo, Digest)>, StoreError>;
}

/// Changes in one transaction.
pub trait GrantWrites: GrantReads {
    /// Notes a grant; its blob stays until it is picked up.
    fn put_grant(&mut self, no: LogNo, grant: &NewGrant<'_>) -> Result<(), StoreError>;
    /// By the grant at `seq` something is handed over to this user.
    fn hand_over(&mut self, no: LogNo, user: UserId, seq: Seq) -> Result<(), StoreError>;
    /// The grantee picked up a key list; the first time counts.
    fn pick_list(&mut self, no: LogNo, root: Digest, now_ms: TimeMs) -> Result<(), StoreError>;
    /// A key list is gone; what its grant lets the device read stays.
    fn forget_list(&mut self, no: LogNo, root: Digest) -> Result<(), StoreError>;
}
