//! Blobs in a folder: one file a blob, each chunk at its own place in it.
//!
//! A file is made durable with its folders before any chunk goes into it, and its chunks before they are
//! noted, so that no rename is needed: a chunk torn by a crash is one that nobody noted, and the
//! next upload writes it again.
//!
//! Of our own rather than `object_store`'s local file system, whose objects are whole files: a chunk
//! each would be ten thousands of files for a document, several together would be held in memory until
//! they are whole, and it writes durably only where asked to.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{BlobError, BlobId, BlobStore, STORED_CHUNK_BYTES};

/// A folder of blobs, in 256 folders by the first byte of their ids.
pub struct FolderBlobs {
    folder: PathBuf,
}

impl FolderBlobs {
    /// The blobs in this folder, which is made with the first of them.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn path(&self, blob: BlobId) -> PathBuf {
        let name = hex::encode(blob.0);
        self.folder.join(&name[..2]).join(name)
    }
}

impl BlobStore for FolderBlobs {
    fn create(&self, blob: BlobId) -> Result<(), BlobError> {
        let failed = failed("make room for a document");
        let path = self.path(blob);
        let shelf = path.parent().expect("a blob lies in a folder");
        DirBuilder::new().recursive(true).mode(0o700).create(shelf).map_err(&failed)?;
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        file.and_then(|file| file.sync_all()).map_err(&failed)?;
        let above = self.folder.parent().unwrap_or(Path::new("/"));
        for folder in [shelf, &self.folder, above] {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(&failed)?;
        }
        Ok(())
    }

    fn write(&self, blob: BlobId, chunk: u32, stored: &[u8]) -> Result<(), BlobError> {
        let file = OpenOptions::new().write(true).open(self.path(blob));
        file.and_then(|file| file.write_all_at(stored, offset(chunk)))
            .map_err(failed("keep a chunk"))
    }

    fn sync(&self, blob: BlobId) -> Result<(), BlobError> {
        let file = OpenOptions::new().write(true).open(self.path(blob));
        file.and_then(|file| file.sync_data()).map_err(failed("make a document durable"))
    }

    fn read(&self, blob: BlobId, chunk: u32, len: usize) -> Result<Vec<u8>, BlobError> {
        let mut stored = vec![0; len];
        File::open(self.path(blob))
            .and_then(|file| file.read_exact_at(&mut stored, offset(chunk)))
            .map_err(failed("read a chunk"))?;
        Ok(stored)
    }

    fn found(&self, blob: BlobId) -> Result<Vec<u32>, BlobError> {
        let len = match fs::metadata(self.path(blob)) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(failed("look for chunks")(error)),
        };
        // The last chunk may be shorter than the others.
        let chunks = len.div_ceil(STORED_CHUNK_BYTES as u64);
        Ok((0..u32::try_from(chunks).unwrap_or(u32::MAX)).collect())
    }

    fn remove(&self, blob: BlobId) -> Result<(), BlobError> {
        match fs::remove_file(self.path(blob)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove a document")(error))
            }
            _ => Ok(()),
        }
    }

    fn list(&self) -> Result<Vec<BlobId>, BlobError> {
        let failed = failed("list the documents");
        let mut found = Vec::new();
        for shelf in entries(&self.folder).map_err(&failed)? {
            for path in entries(&shelf).map_err(&failed)? {
                let name = path.file_name().and_then(|name| name.to_str());
                let id = name.and_then(|name| hex::decode(name).ok());
                found.extend(id.and_then(|id| id.try_into().ok()).map(BlobId));
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// What lies in a folder; nothing, if it is no folder or not there.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn offset(chunk: u32) -> u64 {
    u64::from(chunk) * STORED_CHUNK_BYTES as u64
}

fn failed(action: &'static str) -> impl Fn(io::Error) -> BlobError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobError::Full,
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => BlobError::Damaged,
        _ => BlobError::Backend { action, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: BlobId = BlobId([1; 16]);
    const TWO: BlobId = BlobId([2; 16]);

    fn folder() -> (tempfile::TempDir, FolderBlobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FolderBlobs::new(folder.path().join("blobs"));
        (folder, blobs)
    }

    #[test]
    fn chunks_come_in_any_order_and_more_than_once_and_are_read_in_their_places() {
        let (_keep, blobs) = folder();
        blobs.create(ONE).unwrap();
        let full = vec![3; STORED_CHUNK_BYTES];
        for (chunk, bytes) in [(2, &b"last"[..]), (0, &full), (2, b"last"), (1, &full)] {
            blobs.write(ONE, chunk, bytes).unwrap();
            assert_eq!(blobs.read(ONE, chunk, bytes.len()).unwrap(), bytes);
        }
        blobs.create(ONE).unwrap();
        assert_eq!(blobs.read(ONE, 2, 4).unwrap(), b"last");
        assert_eq!(blobs.found(ONE).unwrap(), [0, 1, 2]);
        assert!(blobs.found(TWO).unwrap().is_empty());
    }

    #[test]
    fn a_chunk_that_is_not_there_or_cut_off_is_damage_and_no_other_error() {
        let (keep, blobs) = folder();
        assert!(matches!(blobs.read(ONE, 0, 4), Err(BlobError::Damaged)));
        assert!(
            matches!(blobs.write(ONE, 0, b"late"), Err(BlobError::Damaged)),
            "collected before"
        );
        blobs.create(ONE).unwrap();
        blobs.write(ONE, 0, b"four").unwrap();
        assert!(matches!(blobs.read(ONE, 1, 4), Err(BlobError::Damaged)));
        let file = keep.path().join("blobs/01").join(hex::encode(ONE.0));
        OpenOptions::new().write(true).open(file).unwrap().set_len(3).unwrap();
        assert!(matches!(blobs.read(ONE, 0, 4), Err(BlobError::Damaged)));
    }

    #[test]
    fn what_was_removed_is_not_listed_and_may_be_removed_again() {
        let (keep, blobs) = folder();
        assert_eq!(blobs.list().unwrap(), []);
        blobs.create(TWO).unwrap();
        blobs.create(ONE).unwrap();
        fs::write(keep.path().join("blobs/README"), "not ours").unwrap();
        assert_eq!(blobs.list().unwrap(), [ONE, TWO]);
        blobs.remove(ONE).unwrap();
        blobs.remove(ONE).unwrap();
        assert_eq!(blobs.list().unwrap(), [TWO]);
    }

    #[test]
    fn a_full_disk_is_named_as_such() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(failed("keep a chunk")(full), BlobError::Full));
    }
}
