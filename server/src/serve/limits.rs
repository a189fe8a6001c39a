//! How much one session, and all of them together, may ask at once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hauspost_protocol::company::policy::GeneralPart;
use hauspost_protocol::file::Leaves;
use hauspost_protocol::ids::{DeviceId, KeyId, TimeMs};
use hauspost_protocol::limits as protocol;
use hauspost_protocol::wire::Principal;

/// Requests of one session at the same time, live streams among them.
pub const SESSION_REQUESTS: u32 = 16;
/// Requests of all sessions at the same time, live streams apart.
pub const SERVER_REQUESTS: usize = 2_048;
/// A request that takes longer is given up.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);
/// A connection whose request headers take longer is closed.
pub const HEADER_TIME: Duration = Duration::from_secs(10);
/// A connection that stands idle so long between two requests is asked over HTTP/2 whether it lives.
pub const PING_TIME: Duration = Duration::from_secs(60);
/// Requests of one HTTP/2 connection at the same time.
pub const CONNECTION_STREAMS: u32 = 32;
/// What an HTTP/1 connection buffers, and so its longest headers, in bytes.
pub const CONNECTION_BUFFER: usize = 64 * 1024;
/// Headers of a request over HTTP/2, in bytes.
pub const HEADER_BYTES: u32 = 16 * 1024;

/// A body of a route that takes little, in bytes.
pub const SMALL_BODY: usize = 16 * 1024;
/// A sync request: 1,000s of cursors of some 20 bytes.
pub const SYNC_BODY: usize = 1024 * 1024;
/// An append: a batch at its limit with what CBOR adds.
pub const APPEND_BODY: usize = protocol::BATCH_BYTES + 64 * 1024;
/// A company's first entries, its first people with them.
pub const FOUND_BODY: usize = 4 * 1024 * 1024;
/// Key packages, or people of the directory.
pub const LIST_BODY: usize = 2 * 1024 * 1024;

/// What one answer carries of entries, in bytes.
pub const PAGE_BYTES: usize = 1024 * 1024;
/// What one answer carries of entries, in number.
pub const PAGE_ENTRIES: usize = 4_096;
/// Cursors of a sync request.
pub const CURSORS: usize = 20_000;
/// Log numbers that a user may have reserved without a log.
pub const OPEN_RESERVATIONS: u64 = 100;
/// One-time key packages that a device may have in stock.
pub const PACKAGES: u64 = 500;
/// A key package in bytes.
pub const PACKAGE_BYTES: usize = 16 * 1024;
/// Devices whose key packages are taken at once.
pub const TAKEN_AT_ONCE: usize = protocol::LEAVES;
/// Logs of one proof request.
pub const PROVED_AT_ONCE: usize = 100;
/// People changed at once.
pub const PEOPLE: usize = 10_000;

/// The beginning of an upload: 32 bytes for each chunk of the largest document.
pub const BLOB_BODY: usize = 32 * Leaves::MOST + 1024;

/// Entries of which is asked at once whom they have reached.
pub const DELIVERED_AT_ONCE: usize = 64;
/// Hints that a device may send in a row, and after how long one more: typing and being there take four in
/// five of it.
pub const HINTS_IN_A_ROW: u64 = 128;
/// The same.
pub const HINT_EVERY_MS: TimeMs = 1_000;
/// Hints that are kept for phones that are switched on later, of the whole company: 10 MB.
pub const HINTS_KEPT: usize = 20_000;
/// Entries that are asked for at once by a grant.
pub const GRANTED_AT_ONCE: usize = 256;
/// How long the key list of a grant is kept after it was picked up (docs/protocol.md §10).
pub const GRANT_KEPT_MS: TimeMs = 14 * protocol::DAY_MS;

/// What documents may take at this server, whatever the company's policy says; what is not named here it decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobLimits {
    /// Plaintext bytes of one document.
    pub document_bytes: Option<u64>,
    /// Bytes that a device may have uploaded, or begun to, without a record that names them.
    pub device_bytes: u64,
    /// How many such uploads it may have.
    pub device_uploads: u64,
    /// Bytes of all documents of the company; without a limit here or in the policy as much as there is room for.
    pub company_bytes: Option<u64>,
    /// How long an upload is kept that no record names, after it was begun or last taken up.
    pub unnamed_ms: Option<TimeMs>,
}

impl Default for BlobLimits {
    fn default() -> Self {
        Self {
            document_bytes: None,
            device_bytes: 8 << 30,
            device_uploads: 256,
            company_bytes: None,
            unnamed_ms: None,
        }
    }
}

/// What holds for documents: of the server's limits and the policy's the lower one each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobTerms {
    /// Plaintext bytes of one document.
    pub document_bytes: u64,
    /// Bytes that a device may have uploaded without a record that names them.
    pub unnamed_bytes: u64,
    /// How many such uploads it may have.
    pub unnamed_uploads: u64,
    /// Bytes of all documents that a device uploaded.
    pub device_bytes: Option<u64>,
    /// Bytes of all documents of the company.
    pub company_bytes: Option<u64>,
    /// How long an upload is kept that no record names.
    pub unnamed_ms: TimeMs,
}

impl BlobLimits {
    /// What holds under this policy.
    pub fn under(&self, policy: &GeneralPart) -> BlobTerms {
        let hours_ms = policy.upload_hours.saturating_mul(HOUR_MS);
        let lower = |own: Option<u64>, said: u64| own.map_or(said, |own| own.min(said));
        BlobTerms {
            document_bytes: lower(self.document_bytes, policy.document_bytes),
            unnamed_bytes: self.device_bytes,
            unnamed_uploads: self.device_uploads,
            device_bytes: policy.device_bytes,
            company_bytes: [self.company_bytes, policy.company_bytes].into_iter().flatten().min(),
            unnamed_ms: lower(self.unnamed_ms, hours_ms),
        }
    }
}

const HOUR_MS: TimeMs = 3_600_000;

/// Why no more documents of a device are taken, with the limit and, where it ends by itself, the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobQuota {
    /// So many uploads of the device wait for a record that names them; the oldest goes then.
    Uploads(u64, TimeMs),
    /// So many bytes of such uploads.
    Unnamed(u64, TimeMs),
    /// So many bytes of all that the device uploaded.
    Device(u64),
    /// So many bytes of all documents of the company.
    Company(u64),
}

impl fmt::Display for BlobQuota {
    /// Words and numbers that a program may read: what, the limit, and the time from which there is more room.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uploads(most, until_ms) => write!(out, "quota uploads {most} {until_ms}"),
            Self::Unnamed(most, until_ms) => write!(out, "quota unnamed {most} {until_ms}"),
            Self::Device(most) => write!(out, "quota device {most}"),
            Self::Company(most) => write!(out, "quota company {most}"),
        }
    }
}

/// Counts the requests under way of each session.
#[derive(Default)]
pub struct Limits {
    busy: Arc<Mutex<HashMap<Owner, u32>>>,
}

type Owner = (bool, [u8; 16]);

fn owner(principal: Principal) -> Owner {
    match principal {
        Principal::Device(DeviceId(id)) => (false, id),
        Principal::Role(KeyId(id)) => (true, id),
    }
}

impl Limits {
    /// A place for one more request of this session, if there is one.
    pub fn enter(&self, principal: Principal) -> Option<Slot> {
        let owner = owner(principal);
        let mut busy = lock(&self.busy);
        let count = busy.entry(owner).or_default();
        if *count >= SESSION_REQUESTS {
            return None;
        }
        *count += 1;
        Some(Slot { busy: Arc::clone(&self.busy), owner })
    }
}

/// A request's place, given back when it goes away.
pub struct Slot {
    busy: Arc<Mutex<HashMap<Owner, u32>>>,
    owner: Owner,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut busy = lock(&self.busy);
        let left = busy.get_mut(&self.owner).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            busy.remove(&self.owner);
        }
    }
}

fn lock(busy: &Mutex<HashMap<Owner, u32>>) -> MutexGuard<'_, HashMap<Owner, u32>> {
    // Nothing under the lock panics between two writes, so a poisoned map is whole.
    busy.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_servers_limits_and_the_policys_the_lower_one_holds() {
        let policy = GeneralPart {
            document_bytes: 500,
            company_bytes: Some(900),
            device_bytes: Some(700),
            upload_hours: 48,
            ..GeneralPart::default()
        };
        let terms = BlobLimits::default().under(&policy);
        assert_eq!((terms.document_bytes, terms.unnamed_ms), (500, 48 * HOUR_MS));
        assert_eq!((terms.company_bytes, terms.device_bytes), (Some(900), Some(700)));
        let own = |bytes| BlobLimits {
            document_bytes: Some(bytes),
            company_bytes: Some(bytes),
            unnamed_ms: Some(bytes),
            ..BlobLimits::default()
        };
        let terms = own(400).under(&policy);
        assert_eq!(terms.document_bytes, 400);
        assert_eq!((terms.company_bytes, terms.unnamed_ms), (Some(400), 400));
        let terms = own(u64::MAX).under(&policy);
        assert_eq!((terms.document_bytes, terms.company_bytes), (500, Some(900)));
        let terms = BlobLimits::default().under(&GeneralPart::default());
        assert_eq!((terms.document_bytes, terms.company_bytes), (2 << 30, None));
        assert_eq!(terms.unnamed_ms, 7 * protocol::DAY_MS);
    }

    #[test]
    fn a_session_has_so_many_places_and_gets_them_back() {
        let limits = Limits::default();
        let who = Principal::Device(DeviceId([1; 16]));
        let mut slots: Vec<_> = (0..SESSION_REQUESTS).map(|_| limits.enter(who).unwrap()).collect();
        assert!(limits.enter(who).is_none());
        // The same id as a role key is another session.
        assert!(limits.enter(Principal::Role(KeyId([1; 16]))).is_some());
        slots.pop();
        assert!(limits.enter(who).is_some());
        drop(slots);
        assert!(lock(&limits.busy).is_empty());
    }
}
