//! Key packages: by them others add this device while it is offline.
//!
//! The server keeps a stock of packages that are each used once, and one of last resort, so that a
//! phone that was away for months can still be added (docs/attacks.md 41). A package counts for 84
//! days from when it was made.

use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::TimeMs;
use hauspost_protocol::mls::MlsError;
use hauspost_protocol::mls::member::{self, Suite};
use hauspost_protocol::mls::storage::{Backend, Provider};
use hauspost_protocol::wire::PackagesPut;

use super::Member;

/// Packages that the server is brought up to, for each suite.
pub const STOCK: u64 = 20;
/// Below so many one-time packages in stock, new ones are handed over.
pub const LOW_WATER: u64 = 10;

/// New packages: `count` of one use, and one of last resort if asked for.
///
/// They are of the hybrid suite, that of every group up to a hundred devices.
pub fn make<B: Backend>(
    provider: &Provider<B>,
    member: Member<'_>,
    count: u64,
    last_resort: bool,
    now_ms: TimeMs,
) -> Result<PackagesPut, MlsError> {
    let package = |last_resort| {
        let credential = member.certificate.credential();
        let suite = Suite::Hybrid;
        member::key_package(provider, suite, member.key, credential, now_ms, last_resort)
            .map(|bundle| Bytes(member::key_package_bytes(bundle.key_package())))
    };
    Ok(PackagesPut {
        packages: (0..count).map(|_| package(false)).collect::<Result<_, _>>()?,
        last_resort: last_resort.then(|| package(true)).transpose()?,
    })
}
