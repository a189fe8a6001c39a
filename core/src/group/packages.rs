//! Key packages: by them others add this device while it is offline.
//!
//! The server keeps a stock of packages that are each used once, and one of last resort, so that a
//! phone that was away for months can still be added (docs/attacks.md 41). It keeps both for each
//! suite, since a device may be added to groups of both. A package counts for 84 days from when it
//! was made.

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

/// New packages of a suite: `count` of one use, and one of last resort if asked for.
pub fn make<B: Backend>(
    provider: &Provider<B>,
    member: Member<'_>,
    suite: Suite,
    count: u64,
    last_resort: bool,
    now_ms: TimeMs,
) -> Result<PackagesPut, MlsError> {
    let package = |last_resort| {
        let credential = member.certificate.credential();
        member::key_package(provider, suite, member.key, credential, now_ms, last_resort)
            .map(|bundle| Bytes(member::key_package_bytes(bundle.key_package())))
    };
    Ok(PackagesPut {
        suite: suite.code(),
        packages: (0..count).map(|_| package(false)).collect::<Result<_, _>>()?,
        last_resort: last_resort.then(|| package(true)).transpose()?,
    })
}
