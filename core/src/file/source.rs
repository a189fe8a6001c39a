//! The plaintext that a person chose.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use hauspost_protocol::file::{CHUNK_BYTES, FileCipher, Layout, Leaves, PlainHash};
use hauspost_protocol::ids::Digest;

use super::DocumentError;

/// An open source, of the size that it had when it was chosen.
pub struct Source {
    file: File,
    layout: Layout,
    cipher: FileCipher,
}

/// What reading a source through showed.
pub struct Read {
    /// The hashes of the sealed chunks.
    pub leaves: Leaves,
    /// SHA-256 of the plaintext.
    pub plain_hash: Digest,
}

/// The size of a source.
pub fn size(path: &Path) -> Result<u64, DocumentError> {
    let about = std::fs::metadata(path).map_err(DocumentError::Unreadable)?;
    if about.is_file() { Ok(about.len()) } else { Err(unreadable()) }
}

fn unreadable() -> DocumentError {
    DocumentError::Unreadable(io::ErrorKind::InvalidInput.into())
}

impl Source {
    /// Opens a source that must have this layout, to be sealed by this cipher.
    pub fn open(path: &Path, layout: Layout, cipher: FileCipher) -> Result<Self, DocumentError> {
        if size(path)? != layout.plain_size() {
            return Err(DocumentError::Changed);
        }
        let file = File::open(path).map_err(DocumentError::Unreadable)?;
        Ok(Self { file, layout, cipher })
    }

    /// Reads the source from its beginning to its end.
    pub fn read_through(&mut self) -> Result<Read, DocumentError> {
        let mut buffer = Vec::with_capacity(CHUNK_BYTES + 16);
        let (mut leaves, mut hash) = (Leaves::default(), PlainHash::default());
        self.file.rewind().map_err(DocumentError::Unreadable)?;
        for chunk in 0..self.layout.chunks() {
            self.fill(chunk, &mut buffer)?;
            hash.update(&buffer);
            self.seal(chunk, &mut buffer)?;
            leaves.push(&buffer);
        }
        let mut beyond = [0];
        match self.file.read(&mut beyond) {
            Ok(0) => Ok(Read { leaves, plain_hash: hash.finish() }),
            Ok(_) => Err(DocumentError::Changed),
            Err(error) => Err(DocumentError::Unreadable(error)),
        }
    }

    /// Seals one chunk, which must be the one that was there when the source was read through.
    pub fn sealed(&mut self, leaves: &Leaves, chunk: u32) -> Result<Vec<u8>, DocumentError> {
        let mut buffer = Vec::with_capacity(CHUNK_BYTES + 16);
        let at = u64::from(chunk) * CHUNK_BYTES as u64;
        self.file.seek(SeekFrom::Start(at)).map_err(DocumentError::Unreadable)?;
        self.fill(chunk, &mut buffer)?;
        self.seal(chunk, &mut buffer)?;
        if leaves.is_chunk(chunk, &buffer) { Ok(buffer) } else { Err(DocumentError::Changed) }
    }

    fn seal(&self, chunk: u32, buffer: &mut Vec<u8>) -> Result<(), DocumentError> {
        self.cipher.seal(chunk, buffer).map_err(|_| DocumentError::Changed)
    }

    fn fill(&mut self, chunk: u32, buffer: &mut Vec<u8>) -> Result<(), DocumentError> {
        buffer.clear();
        buffer.resize(self.layout.plain_len(chunk).ok_or(DocumentError::Changed)?, 0);
        self.file.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => DocumentError::Changed,
            _ => DocumentError::Unreadable(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use hauspost_protocol::crypto::{Secret, sha256};
    use hauspost_protocol::ids::LogId;

    use super::*;

    fn chosen(text: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Rechnung.pdf");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn open(path: &Path, size: usize) -> Result<Source, DocumentError> {
        let layout = Layout::of_plain(size as u64).unwrap();
        let cipher = FileCipher::new(&Secret::new([1; 32]), LogId([2; 16]), layout);
        Source::open(path, layout, cipher)
    }

    #[test]
    fn both_passes_seal_the_same_chunks() {
        for size in [0, 1, 65_536, 150_000] {
            let text: Vec<u8> = (0..size).map(|at| (at % 253) as u8).collect();
            let (_keep, path) = chosen(&text);
            let mut source = open(&path, size).unwrap();
            let read = source.read_through().unwrap();
            assert_eq!(read.plain_hash, sha256(&text));
            for chunk in (0..read.leaves.len() as u32).rev() {
                let sealed = source.sealed(&read.leaves, chunk).unwrap();
                assert!(read.leaves.is_chunk(chunk, &sealed), "{size} {chunk}");
            }
        }
    }

    #[test]
    fn a_source_that_changes_is_noticed_whenever_it_does() {
        let (_keep, path) = chosen(&[7; 100_000]);
        let read = open(&path, 100_000).unwrap().read_through().unwrap();
        fs::write(&path, [&[7; 99_999][..], &[8]].concat()).unwrap();
        let mut source = open(&path, 100_000).unwrap();
        assert!(source.sealed(&read.leaves, 0).is_ok());
        let last = source.sealed(&read.leaves, 1);
        assert!(matches!(last, Err(DocumentError::Changed)));
        fs::write(&path, [7; 99_999]).unwrap();
        assert!(matches!(source.sealed(&read.leaves, 1), Err(DocumentError::Changed)));
        assert!(matches!(source.read_through(), Err(DocumentError::Changed)), "shorter");
        assert!(matches!(open(&path, 100_000), Err(DocumentError::Changed)));
        fs::write(&path, [7; 100_001]).unwrap();
        assert!(matches!(source.read_through(), Err(DocumentError::Changed)), "longer");
        fs::remove_file(&path).unwrap();
        assert!(matches!(open(&path, 100_000), Err(DocumentError::Unreadable(_))));
    }

    #[test]
    fn a_folder_is_no_document() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(size(folder.path()), Err(DocumentError::Unreadable(_))));
    }
}
