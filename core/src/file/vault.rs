//! Documents as they lie on this phone: one file each, sealed chunk by chunk under a key of its own,
//! which lies in the database.
//!
//! A chunk opens at its place only, so the file says by itself how far it came: after a kill the
//! chunks that open are there, and nothing else is written down.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hauspost_protocol::crypto::Secret;
use hauspost_protocol::file::{
    CHUNK_BYTES, FileCipher, Layout, Leaves, PlainHash, SEALED_CHUNK_BYTES,
};
use hauspost_protocol::ids::LogId;
use hauspost_protocol::statement;

use super::{DocumentError, name};

/// Documents of one name that a folder takes.
const SAME_NAMES: u32 = 1_000;

/// The folders of an account's documents.
#[derive(Debug, Clone)]
pub struct Vault {
    kept: PathBuf,
    opened: PathBuf,
}

impl Vault {
    /// The documents of the account in this folder.
    pub fn new(account: &Path) -> Self {
        Self { kept: account.join("documents"), opened: account.join("opened") }
    }

    /// Removes every decrypted document, and the files of copies that are not among these.
    pub fn tidy(&self, copies: &[i64]) -> Result<(), DocumentError> {
        self.close_opened()?;
        let entries = match fs::read_dir(&self.kept) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(DocumentError::folder(error)),
        };
        for entry in entries {
            let path = entry.map_err(DocumentError::folder)?.path();
            let id = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            if id.is_none_or(|id| !copies.contains(&id)) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Removes every decrypted document.
    pub fn close_opened(&self) -> Result<(), DocumentError> {
        match fs::remove_dir_all(&self.opened) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DocumentError::folder(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the file of a copy.
    pub fn remove(&self, copy: i64) -> Result<(), DocumentError> {
        remove(&self.path(copy))
    }

    fn path(&self, copy: i64) -> PathBuf {
        self.kept.join(copy.to_string())
    }

    /// Opens the copy of a document, whole or begun.
    pub fn open(&self, copy: i64, key: &Secret, layout: Layout) -> Result<Kept, DocumentError> {
        make_folder(&self.kept)?;
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(self.path(copy)).map_err(DocumentError::folder)?;
        // The log in the key's derivation only parts the two uses of one cipher.
        let cipher = FileCipher::new(key, LogId([0; 16]), layout);
        Ok(Kept { file, cipher, layout })
    }

    /// Writes a document out, decrypted, into a folder of its own that goes with the next suspend,
    /// under a name that is safe.
    pub fn write_out(
        &self,
        kept: &Kept,
        copy: i64,
        called: &str,
    ) -> Result<PathBuf, DocumentError> {
        make_folder(&self.opened)?;
        let folder = self.opened.join(copy.to_string());
        make_folder(&folder)?;
        let path = folder.join(name::safe(called));
        kept.write_to(&path)?;
        Ok(path)
    }
}

fn make_folder(path: &Path) -> Result<(), DocumentError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(DocumentError::folder)
}

fn remove(path: &Path) -> Result<(), DocumentError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DocumentError::folder(error)),
        _ => Ok(()),
    }
}

/// A copy of a document, whole or begun.
pub struct Kept {
    file: File,
    cipher: FileCipher,
    layout: Layout,
}

impl Kept {
    /// Keeps a chunk: its plaintext.
    pub fn put(&self, chunk: u32, mut plain: Vec<u8>) -> Result<(), DocumentError> {
        self.cipher.seal(chunk, &mut plain).map_err(|_| DocumentError::Damaged)?;
        self.file.write_all_at(&plain, offset(chunk)).map_err(DocumentError::folder)
    }

    /// Keeps a whole document that is in memory, durably.
    pub fn put_all(&self, plain: &[u8]) -> Result<(), DocumentError> {
        for chunk in 0..self.chunks() {
            let at = chunk as usize * CHUNK_BYTES;
            let len = self.layout.plain_len(chunk).ok_or(DocumentError::Damaged)?;
            let piece = plain.get(at..at + len).ok_or(DocumentError::Damaged)?;
            self.put(chunk, piece.to_vec())?;
        }
        self.sync()
    }

    /// A chunk's plaintext, if it is there.
    pub fn chunk(&self, chunk: u32) -> Result<Vec<u8>, DocumentError> {
        let mut sealed = vec![0; self.layout.sealed_len(chunk).ok_or(DocumentError::Missing)?];
        self.file.read_exact_at(&mut sealed, offset(chunk)).map_err(|error| {
            match error.kind() {
                io::ErrorKind::UnexpectedEof => DocumentError::Damaged,
                _ => DocumentError::folder(error),
            }
        })?;
        self.cipher.open(chunk, &mut sealed).map_err(|_| DocumentError::Damaged)?;
        Ok(sealed)
    }

    /// How many chunks there are.
    pub fn chunks(&self) -> u32 {
        self.layout.chunks()
    }

    /// Makes all chunks durable.
    pub fn sync(&self) -> Result<(), DocumentError> {
        self.file.sync_all().map_err(DocumentError::folder)
    }

    /// How the document lies in chunks.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Writes the plaintext into a new file; what stood there is replaced. A file that cannot be written
    /// to its end does not stay.
    pub fn write_to(&self, path: &Path) -> Result<(), DocumentError> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let out = options.open(path).map_err(DocumentError::folder)?;
        self.write_out(out, path)
    }

    /// Writes the plaintext into a new file of this folder, under a safe name; where something of that
    /// name is there already, with a number behind it.
    pub fn save_in(&self, folder: &Path, called: &str) -> Result<PathBuf, DocumentError> {
        for number in 1..=SAME_NAMES {
            let path = folder.join(name::numbered(called, number));
            let mut options = OpenOptions::new();
            match options.write(true).create_new(true).mode(0o600).open(&path) {
                Ok(out) => return self.write_out(out, &path).map(|()| path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(match DocumentError::folder(error) {
                        DocumentError::Folder(error) => DocumentError::Target(error),
                        full => full,
                    });
                }
            }
        }
        Err(DocumentError::Target(io::ErrorKind::AlreadyExists.into()))
    }

    fn write_out(&self, mut out: File, path: &Path) -> Result<(), DocumentError> {
        let mut write = || {
            for chunk in 0..self.chunks() {
                out.write_all(&self.chunk(chunk)?).map_err(DocumentError::folder)?;
            }
            out.sync_all().map_err(DocumentError::folder)
        };
        write().inspect_err(|_| {
            // What is there is not the document; that it cannot be removed adds nothing.
            let _ = fs::remove_file(path);
        })
    }
}

fn offset(chunk: u32) -> u64 {
    u64::from(chunk) * SEALED_CHUNK_BYTES as u64
}

/// A document that is being fetched, checked as it comes: each chunk by the cipher, all of it by root
/// and hash.
pub struct Fetching {
    kept: Kept,
    cipher: FileCipher,
    leaves: Leaves,
    hash: PlainHash,
    next: u32,
}

impl Fetching {
    /// Goes on after the chunks that are there already.
    pub fn resume(kept: Kept, file: &statement::File, log: LogId) -> Result<Self, DocumentError> {
        let cipher = FileCipher::new(&file.key, log, kept.layout);
        let (leaves, hash) = (Leaves::default(), PlainHash::default());
        let mut fetching = Self { kept, cipher, leaves, hash, next: 0 };
        while fetching.next < fetching.kept.chunks() {
            let Ok(plain) = fetching.kept.chunk(fetching.next) else { break };
            let mut sealed = plain.clone();
            let again = fetching.cipher.seal(fetching.next, &mut sealed);
            again.map_err(|_| DocumentError::Damaged)?;
            fetching.count(&sealed, &plain);
        }
        Ok(fetching)
    }

    /// The chunk that is wanted next; the number of chunks when none is.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Takes in the chunk that was wanted next, as the server sent it.
    pub fn take(&mut self, mut sealed: Vec<u8>) -> Result<(), DocumentError> {
        let leaf = sealed.clone();
        self.cipher.open(self.next, &mut sealed).map_err(|_| DocumentError::Damaged)?;
        let chunk = self.next;
        self.count(&leaf, &sealed);
        self.kept.put(chunk, sealed)
    }

    fn count(&mut self, sealed: &[u8], plain: &[u8]) {
        self.leaves.push(sealed);
        self.hash.update(plain);
        self.next += 1;
    }

    /// All of it is there: whether it is what the author signed.
    pub fn finish(self, file: &statement::File) -> Result<(), DocumentError> {
        self.kept.sync()?;
        let right = self.leaves.root() == file.blob_root && self.hash.finish() == file.plain_hash;
        if right { Ok(()) } else { Err(DocumentError::Damaged) }
    }
}

#[cfg(test)]
mod tests;
