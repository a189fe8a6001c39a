//! What the core takes from the world around it, as traits: time, randomness, and the keys that the
//! platform guards.
//!
//! Nothing in the core asks the system itself. So a simulation runs many phones in one process under
//! one seed, and a platform puts its own keystore in. [`system`] is a desktop's or terminal's real
//! world, [`key_file`] the key store of a machine without a keystore, [`seeded`] the world of tests.

mod key_file;
pub mod seeded;
pub mod system;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::ids::TimeMs;
use rand::SeedableRng;
use rand::rngs::StdRng;

pub use key_file::FileKeyStore;

use crate::sync::Network;

/// The world that one core lives in. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub randomness: Arc<dyn Randomness>,
    /// The keys that the platform guards.
    pub key_store: Arc<dyn KeyStore>,
    /// The way to the company's server.
    pub network: Arc<dyn Network>,
}

/// The phone's clock. It may be wrong by years; the protocol's rules judge by the log's clock.
pub trait Clock: Send + Sync {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> TimeMs;
    /// Ends when `duration_ms` have passed on this clock.
    fn sleep(&self, duration_ms: u64) -> BoxFuture<'static, ()>;
}

/// Where random numbers come from.
pub trait Randomness: Send + Sync {
    /// 32 bytes that were never given out before.
    fn seed(&self) -> [u8; 32];

    /// A cryptographic generator of its own for one task.
    fn rng(&self) -> StdRng {
        StdRng::from_seed(self.seed())
    }
}

/// The database's key: 32 random bytes, and the 16 bytes of salt that SQLCipher would otherwise keep
/// in the file's first page, which stays readable so that iOS knows the file.
#[derive(Clone)]
pub struct DatabaseKey {
    /// The key itself.
    pub key: Secret,
    /// The salt; not secret, but lost is lost.
    pub salt: [u8; 16],
}

impl DatabaseKey {
    /// A fresh random key.
    pub fn random(rng: &mut impl rand::CryptoRng) -> Self {
        let key = Secret::random(rng);
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        Self { key, salt }
    }
}

impl std::fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseKey(…)")
    }
}

/// The keys that the platform guards: Android Keystore, Apple Keychain with Secure Enclave, or a file.
///
/// Calls may block for tens of milliseconds; the core makes them outside of any lock.
pub trait KeyStore: Send + Sync {
    /// The database's key; made and kept at the first call.
    ///
    /// A key store that had a key and lost it must say [`KeyStoreError::Damaged`] or
    /// [`KeyStoreError::Unavailable`], not make another: the database would never open again.
    fn database_key(&self) -> Result<DatabaseKey, KeyStoreError>;

    /// The public half of the P-256 key by which the device gets its sessions, compressed (SEC 1
    /// §2.3.3); made at the first call, and never given out.
    fn public_key(&self) -> Result<[u8; 33], KeyStoreError>;

    /// ECDSA over P-256 with SHA-256 of `message`, r ‖ s.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyStoreError>;
}

/// Why the key store gave no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyStoreError {
    /// Not now: the phone was not unlocked since its start, or the folder cannot be read. Try later.
    #[error("the key store is not available: {0}")]
    Unavailable(String),
    /// What is kept there is not what was put there. Nothing was changed.
    #[error("the key store is damaged: {0}")]
    Damaged(String),
}
