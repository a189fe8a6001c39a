//! A key store in a file, for machines without a keystore: a terminal, a test, a server-side demo.
//!
//! Whoever reads the file reads the database and can pass for the device. It says so itself, lies
//! under mode 600, and refuses to work when others may read it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hauspost_protocol::crypto::Secret;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use rand::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::{DatabaseKey, KeyStore, KeyStoreError, Randomness};

const TITLE: &str = "hauspost key file 1";
const WARNING: &str = "# Opens this device's database and passes for this device at the server. \
                       Never copy it, never send it, never back it up with the database.";

/// A P-256 key in memory, for those key stores that are not hardware.
pub(super) struct DeviceKey(SigningKey);

impl DeviceKey {
    pub(super) fn random(rng: &mut impl CryptoRng) -> Self {
        loop {
            // Only zero and what exceeds the curve's order is refused: once in 2^32 draws.
            if let Some(key) = Self::from_bytes(Secret::random(rng).expose()) {
                return key;
            }
        }
    }

    fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(bytes).ok().map(Self)
    }

    pub(super) fn public(&self) -> [u8; 33] {
        let point = self.0.verifying_key().to_encoded_point(true);
        point.as_bytes().try_into().expect("a compressed P-256 point has 33 bytes")
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature = self.0.sign(message);
        signature.to_bytes().into()
    }
}

/// Keys in a file under mode 600.
pub struct FileKeyStore {
    path: PathBuf,
    randomness: Arc<dyn Randomness>,
    keys: Mutex<Option<Arc<Keys>>>,
}

struct Keys {
    database: DatabaseKey,
    device: DeviceKey,
}

impl FileKeyStore {
    /// The key store in this file, which is made at the first use if it does not exist.
    pub fn new(path: impl Into<PathBuf>, randomness: Arc<dyn Randomness>) -> Self {
        Self { path: path.into(), randomness, keys: Mutex::new(None) }
    }

    fn keys(&self) -> Result<Arc<Keys>, KeyStoreError> {
        let mut kept = self.keys.lock().expect("nothing panics while the keys are read");
        if let Some(keys) = &*kept {
            return Ok(keys.clone());
        }
        let keys = Arc::new(match read(&self.path)? {
            Some(keys) => keys,
            None => create(&self.path, &mut self.randomness.rng())?,
        });
        *kept = Some(keys.clone());
        Ok(keys)
    }
}

impl KeyStore for FileKeyStore {
    fn database_key(&self) -> Result<DatabaseKey, KeyStoreError> {
        self.keys().map(|keys| keys.database.clone())
    }

    fn public_key(&self) -> Result<[u8; 33], KeyStoreError> {
        self.keys().map(|keys| keys.device.public())
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyStoreError> {
        self.keys().map(|keys| keys.device.sign(message))
    }
}

fn read(path: &Path) -> Result<Option<Keys>, KeyStoreError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unavailable(path, &error.to_string())),
    };
    refuse_readable_by_others(path)?;
    let damaged = |what: &str| KeyStoreError::Damaged(format!("{}: {what}", path.display()));
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    if lines.next() != Some(TITLE) {
        return Err(damaged("this is not a hauspost key file of version 1"));
    }
    let mut field = |name: &str| {
        let line = lines.next()?.strip_prefix(name)?.strip_prefix(": ")?;
        (line.len() == 64).then(|| unhex(line)).flatten()
    };
    let key = field("database key").ok_or_else(|| damaged("the database key is missing"))?;
    let salt = field("database salt").ok_or_else(|| damaged("the database salt is missing"))?;
    let device = field("device key").ok_or_else(|| damaged("the device key is missing"))?;
    let device = DeviceKey::from_bytes(device.expose());
    Ok(Some(Keys {
        database: DatabaseKey {
            key,
            salt: salt.expose()[..16].try_into().expect("16 of 32 bytes"),
        },
        device: device.ok_or_else(|| damaged("the device key is not one of P-256"))?,
    }))
}

/// Writes the file beside its place, syncs it, and then names it, so that a crash leaves all or none.
fn create(path: &Path, rng: &mut impl CryptoRng) -> Result<Keys, KeyStoreError> {
    let key = Secret::random(rng);
    let salt = Secret::random(rng);
    let device = loop {
        let bytes = Secret::random(rng);
        if DeviceKey::from_bytes(bytes.expose()).is_some() {
            break bytes;
        }
    };
    let mut text = Zeroizing::new(format!("{TITLE}\n{WARNING}\n"));
    for (name, value) in [("database key", &key), ("database salt", &salt), ("device key", &device)]
    {
        text.push_str(name);
        text.push_str(": ");
        value.expose().iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
        text.push('\n');
    }
    let beside = path.with_extension("new");
    write_private(&beside, text.as_bytes())
        .and_then(|()| match fs::hard_link(&beside, path) {
            // Another process was quicker: its keys are the ones.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            done => done,
        })
        .map_err(|error| unavailable(path, &error.to_string()))?;
    // A left-over name harms nobody: it is as private, and replaced by the next attempt.
    let _ = fs::remove_file(&beside);
    read(path)?.ok_or_else(|| unavailable(path, "the file just written is gone"))
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(unix)]
fn refuse_readable_by_others(path: &Path) -> Result<(), KeyStoreError> {
    use std::os::unix::fs::PermissionsExt;
    let meta = fs::metadata(path).map_err(|error| unavailable(path, &error.to_string()))?;
    if meta.permissions().mode() & 0o077 != 0 {
        return Err(unavailable(path, "others may read it; set its mode to 600"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_readable_by_others(_: &Path) -> Result<(), KeyStoreError> {
    Ok(())
}

fn unavailable(path: &Path, why: &str) -> KeyStoreError {
    KeyStoreError::Unavailable(format!("{}: {why}", path.display()))
}

fn unhex(text: &str) -> Option<Secret> {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    let secret = Secret::new(bytes);
    bytes.zeroize();
    Some(secret)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use p256::ecdsa::VerifyingKey;
    use p256::ecdsa::signature::Verifier;

    use super::super::seeded::SeededRandomness;
    use super::*;

    fn store(path: &Path, seed: u64) -> FileKeyStore {
        FileKeyStore::new(path, Arc::new(SeededRandomness::new(seed)))
    }

    #[test]
    fn the_file_is_private_says_what_it_is_and_gives_the_same_keys_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let first = store(&path, 1);
        let (key, public) = (first.database_key().unwrap(), first.public_key().unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&path).unwrap().contains("Never copy it"));

        let second = store(&path, 2);
        assert_eq!(second.database_key().unwrap().key.expose(), key.key.expose());
        assert_eq!(second.database_key().unwrap().salt, key.salt);
        assert_eq!(second.public_key().unwrap(), public);
    }

    #[test]
    fn a_signature_verifies_by_the_public_key() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder.path().join("keys"), 1);
        let signature = Signature::from_slice(&store.sign(b"challenge").unwrap()).unwrap();
        let public = VerifyingKey::from_sec1_bytes(&store.public_key().unwrap()).unwrap();
        assert!(public.verify(b"challenge", &signature).is_ok());
        assert!(public.verify(b"another", &signature).is_err());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        store(&path, 1).database_key().unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(store(&path, 1).database_key(), Err(KeyStoreError::Unavailable(_))));
    }

    #[test]
    fn a_damaged_file_is_named_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        store(&path, 1).database_key().unwrap();
        let text = fs::read_to_string(&path).unwrap().replace("device key: ", "device key: z");
        fs::write(&path, &text).unwrap();
        assert!(matches!(store(&path, 1).database_key(), Err(KeyStoreError::Damaged(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
