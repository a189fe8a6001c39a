//! The data folder: one server at a time, secrets readable by its user only.
//!
//! | file | what |
//! | --- | --- |
//! | `lock` | held as long as a server runs on the folder |
//! | `address` | the URL of the running server; gone when it stopped |
//! | `ca.pem`, `ca.key` | the company's own certificate authority for TLS, unless files were named |
//! | `keys/…` | issuing key and log keys as hexadecimal seeds |
//! | `founding-token` | allows the founding of the company, once; deleted after use |
//! | `hauspost.db`, `shred.db` | the store |
//! | `blobs/…` | the ciphertexts of documents, sealed under keys in `shred.db` |

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hauspost_protocol::crypto::Secret;
use rand::CryptoRng;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another server runs on it.
    #[error(
        "another hauspost serve is using the data folder {0}; stop it first or name another folder"
    )]
    InUse(PathBuf),
    /// A file in it is not what it should be.
    #[error("the file {0} in the data folder is damaged; restore it from a backup")]
    Damaged(PathBuf),
    /// The file system refuses.
    #[error("cannot use {path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A data folder that this process alone uses.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    lock: File,
}

impl DataFolder {
    /// Creates the folder when it is not there, and takes its lock.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let io = |source| FolderError::Io { path: path.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// Lets the next server have the folder. Nothing is written here after this.
    pub fn release(&self) -> Result<(), FolderError> {
        self.lock.unlock().map_err(|source| FolderError::Io { path: self.file("lock"), source })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file's bytes, or nothing when there is none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        let path = self.file(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FolderError::Io { path, source }),
        }
    }

    /// Writes a file whole or not at all, durably; a secret for the server's user only.
    pub fn write(&self, name: &str, bytes: &[u8], access: Access) -> Result<(), FolderError> {
        let path = self.file(name);
        let io = |source| FolderError::Io { path: path.clone(), source };
        let parent = path.parent().expect("a file in the folder has a parent");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(io)?;
        let draft = path.with_extension("draft");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(access.mode())
            .open(&draft)
            .map_err(io)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io)?;
        fs::rename(&draft, &path).map_err(io)?;
        File::open(parent).and_then(|folder| folder.sync_all()).map_err(io)
    }

    /// Deletes a file; that it is gone already is no error.
    pub fn remove(&self, name: &str) -> Result<(), FolderError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(FolderError::Io { path, source })
            }
            _ => Ok(()),
        }
    }

    /// The 32-byte secret of this name, drawn at the first call and kept from then on.
    pub fn secret(&self, name: &str, rng: &mut impl CryptoRng) -> Result<Secret, FolderError> {
        if let Some(text) = self.read(name)? {
            let bytes =
                std::str::from_utf8(&text).ok().and_then(|text| hex::decode(text.trim()).ok());
            let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
            return bytes.map(Secret::new).ok_or_else(|| FolderError::Damaged(self.file(name)));
        }
        let secret = Secret::random(rng);
        self.write(name, hex::encode(secret.expose()).as_bytes(), Access::Secret)?;
        Ok(secret)
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        // Unlocked and not only closed: a process forked meanwhile holds a copy of the handle until
        // it becomes another program, and with it the lock.
        if let Err(error) = self.release() {
            tracing::warn!(%error, "the data folder's lock was not released");
        }
    }
}

/// Who may read a file of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The server's user only.
    Secret,
    /// Whoever may enter the folder.
    Public,
}

impl Access {
    fn mode(self) -> u32 {
        match self {
            Self::Secret => 0o600,
            Self::Public => 0o644,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_folder_serves_one_server_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataFolder::open(folder.path()).unwrap();
        assert!(matches!(DataFolder::open(folder.path()), Err(FolderError::InUse(_))));
        drop(first);
        DataFolder::open(folder.path()).unwrap();
    }

    #[test]
    fn a_secret_is_drawn_once_and_readable_by_its_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::open(folder.path()).unwrap();
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let first = data.secret("keys/issuing", &mut rng).unwrap();
        assert_eq!(data.secret("keys/issuing", &mut rng).unwrap(), first);
        let mode = fs::metadata(data.file("keys/issuing")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_secret_is_named_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::open(folder.path()).unwrap();
        data.write("keys/issuing", b"not hexadecimal", Access::Secret).unwrap();
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let refused = data.secret("keys/issuing", &mut rng).unwrap_err();
        assert!(matches!(refused, FolderError::Damaged(_)));
        assert_eq!(data.read("keys/issuing").unwrap().unwrap(), b"not hexadecimal");
    }
}
