//! The platform's key store as the core needs it, and as Android and iOS can give it.
//!
//! Neither lets an app read a key out of its hardware. So the hardware wraps: the core draws the database's
//! key once, the platform encrypts it, and the wrapped form lies beside the database. The device's P-256 key
//! is made in the hardware and never leaves it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hauspost_core::env;
use hauspost_protocol::crypto::Secret;
use p256::PublicKey;
use p256::ecdsa::Signature;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use rand::rngs::StdRng;
use zeroize::Zeroizing;

/// The wrapped key's file, in the account's folder.
const WRAPPED: &str = "database-key";
const KEY_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

/// What the app gives: Android Keystore, or Apple's Keychain with the Secure Enclave.
///
/// Each call may take long, and comes on a thread that may wait.
#[uniffi::export(with_foreign)]
pub trait KeyStore: Send + Sync {
    /// Encrypts the database's key under a key that the hardware keeps; makes that key at the first call.
    fn wrap(&self, key: Vec<u8>) -> Result<Vec<u8>, KeyStoreError>;

    /// Decrypts what `wrap` gave. Fails with `Damaged` if that hardware key is gone.
    fn unwrap(&self, wrapped: Vec<u8>) -> Result<Vec<u8>, KeyStoreError>;

    /// The public half of the device's P-256 key, as X9.63 point (33 or 65 bytes); makes the key at the
    /// first call. It must not be one that the app could read or copy.
    fn public_key(&self) -> Result<Vec<u8>, KeyStoreError>;

    /// ECDSA over P-256 with SHA-256 of the message, as X9.62 DER: what Android's `SHA256withECDSA` and
    /// CryptoKit's `derRepresentation` give.
    fn sign(&self, message: Vec<u8>) -> Result<Vec<u8>, KeyStoreError>;
}

/// Why the platform gave no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum KeyStoreError {
    /// Not now, for instance because the phone was not unlocked since its start. Nothing is lost.
    #[error("the key store is not available: {reason}")]
    Unavailable {
        /// Why, without any key in it.
        reason: String,
    },
    /// The key is gone or was changed. Enrol anew.
    #[error("the key store is damaged: {reason}")]
    Damaged {
        /// Why, without any key in it.
        reason: String,
    },
}

/// An exception that the app did not mean to throw: nothing is known to be lost.
impl From<uniffi::UnexpectedUniFFICallbackError> for KeyStoreError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unavailable { reason: error.reason }
    }
}

impl From<KeyStoreError> for env::KeyStoreError {
    fn from(error: KeyStoreError) -> Self {
        match error {
            KeyStoreError::Unavailable { reason } => Self::Unavailable(reason),
            KeyStoreError::Damaged { reason } => Self::Damaged(reason),
        }
    }
}

/// The platform's key store for one account's folder.
pub(crate) struct PlatformKeyStore {
    platform: Arc<dyn KeyStore>,
    folder: PathBuf,
    randomness: Arc<dyn env::Randomness>,
}

impl PlatformKeyStore {
    pub(crate) fn new(
        platform: Arc<dyn KeyStore>,
        folder: impl Into<PathBuf>,
        randomness: Arc<dyn env::Randomness>,
    ) -> Self {
        Self { platform, folder: folder.into(), randomness }
    }
}

impl env::KeyStore for PlatformKeyStore {
    fn database_key(&self) -> Result<env::DatabaseKey, env::KeyStoreError> {
        match fs::read(self.folder.join(WRAPPED)) {
            Ok(wrapped) => join(&Zeroizing::new(self.platform.unwrap(wrapped)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Another key would never open the database that is there.
                if is_used(&self.folder) {
                    return Err(env::KeyStoreError::Damaged(format!(
                        "{WRAPPED} is missing from a folder that is in use"
                    )));
                }
                self.make(&mut self.randomness.rng())
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    fn public_key(&self) -> Result<[u8; 33], env::KeyStoreError> {
        let point = self.platform.public_key()?;
        let key = PublicKey::from_sec1_bytes(&point)
            .map_err(|_| damaged("the device's public key is not a point of P-256"))?;
        let compressed = key.to_encoded_point(true);
        Ok(compressed.as_bytes().try_into().expect("a compressed P-256 point has 33 bytes"))
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], env::KeyStoreError> {
        let signature = self.platform.sign(message.to_vec())?;
        Signature::from_der(&signature)
            .map(|signature| signature.to_bytes().into())
            .map_err(|_| damaged("the device key's signature is not one of ECDSA in DER"))
    }
}

impl PlatformKeyStore {
    fn make(&self, rng: &mut StdRng) -> Result<env::DatabaseKey, env::KeyStoreError> {
        let key = env::DatabaseKey::random(rng);
        let wrapped = self.platform.wrap([key.key.expose().as_slice(), &key.salt].concat())?;
        fs::create_dir_all(&self.folder)
            .and_then(|()| write_durably(&self.folder, &wrapped))
            .map_err(unavailable)?;
        Ok(key)
    }
}

/// Writes the file beside its place, syncs it, then names it, so that a crash leaves all or none.
fn write_durably(folder: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let (place, beside) = (folder.join(WRAPPED), folder.join("database-key.new"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, &place)?;
    File::open(folder)?.sync_all()
}

/// Whether the folder holds anything that was written under a key.
fn is_used(folder: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(folder) else { return false };
    entries.any(|entry| {
        entry.is_ok_and(|entry| {
            entry.path().extension().is_some_and(|kind| kind == "db" || kind == "sqlite")
        })
    })
}

fn join(bytes: &[u8]) -> Result<env::DatabaseKey, env::KeyStoreError> {
    let wrong = || damaged("what was unwrapped is not the key that was wrapped");
    if bytes.len() != KEY_BYTES + SALT_BYTES {
        return Err(wrong());
    }
    let (key, salt) = bytes.split_first_chunk::<KEY_BYTES>().ok_or_else(wrong)?;
    Ok(env::DatabaseKey { key: Secret::new(*key), salt: salt.try_into().map_err(|_| wrong())? })
}

fn damaged(what: &str) -> env::KeyStoreError {
    env::KeyStoreError::Damaged(what.into())
}

fn unavailable(error: std::io::Error) -> env::KeyStoreError {
    env::KeyStoreError::Unavailable(format!("{WRAPPED}: {error}"))
}

#[cfg(test)]
mod tests {
    use hauspost_core::env::KeyStore as _;
    use hauspost_core::env::seeded::SeededRandomness;
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::{Signer, Verifier};

    use super::*;

    /// A platform whose wrapping is an exclusive or with a byte of its own.
    struct Hardware(u8);

    impl Hardware {
        fn key(&self) -> SigningKey {
            SigningKey::from_slice(&[self.0; 32]).unwrap()
        }
    }

    impl KeyStore for Hardware {
        fn wrap(&self, key: Vec<u8>) -> Result<Vec<u8>, KeyStoreError> {
            Ok(key.iter().map(|byte| byte ^ self.0).collect())
        }
        fn unwrap(&self, wrapped: Vec<u8>) -> Result<Vec<u8>, KeyStoreError> {
            self.wrap(wrapped)
        }
        fn public_key(&self) -> Result<Vec<u8>, KeyStoreError> {
            Ok(self.key().verifying_key().to_encoded_point(false).as_bytes().into())
        }
        fn sign(&self, message: Vec<u8>) -> Result<Vec<u8>, KeyStoreError> {
            let signature: Signature = self.key().sign(&message);
            Ok(signature.to_der().as_bytes().into())
        }
    }

    fn store(folder: &Path) -> PlatformKeyStore {
        let randomness = Arc::new(SeededRandomness::new(1));
        PlatformKeyStore::new(Arc::new(Hardware(7)), folder, randomness)
    }

    #[test]
    fn the_key_is_made_once_and_lies_wrapped_beside_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let first = store(folder.path()).database_key().unwrap();
        let again = store(folder.path()).database_key().unwrap();
        assert_eq!(first.key.expose(), again.key.expose());
        assert_eq!(first.salt, again.salt);
        let file = fs::read(folder.path().join(WRAPPED)).unwrap();
        assert!(!file.windows(KEY_BYTES).any(|window| window == first.key.expose()));
    }

    #[test]
    fn a_database_without_its_key_is_damaged_and_gets_no_other_key() {
        let folder = tempfile::tempdir().unwrap();
        store(folder.path()).database_key().unwrap();
        fs::remove_file(folder.path().join(WRAPPED)).unwrap();
        fs::write(folder.path().join("account.db"), b"x").unwrap();
        let again = store(folder.path()).database_key();
        assert!(matches!(again, Err(env::KeyStoreError::Damaged(_))));
        assert!(!folder.path().join(WRAPPED).exists());
    }

    #[test]
    fn a_wrapped_key_that_was_cut_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(WRAPPED), [0; 47]).unwrap();
        assert!(matches!(store(folder.path()).database_key(), Err(env::KeyStoreError::Damaged(_))));
    }

    #[test]
    fn the_platforms_point_and_der_signature_become_the_protocols_forms() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let signature = Signature::from_slice(&store.sign(b"challenge").unwrap()).unwrap();
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&store.public_key().unwrap()).unwrap();
        assert!(key.verify(b"challenge", &signature).is_ok());
    }
}
