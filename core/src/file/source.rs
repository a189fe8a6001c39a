//! The plaintext that a person chose, or that this phone keeps of another message.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use hauspost_protocol::file::{CHUNK_BYTES, FileCipher, Layout, Leaves, PlainHash};
use hauspost_protocol::ids::Digest;

use super::DocumentError;
use super::kind::LOOKED_AT;
use super::vault::Kept;

/// An open source, of the size that it had when it was chosen.
pub struct Source {
    plain: Plain,
    layout: Layout,
    cipher: FileCipher,
}

enum Plain {
    File(File),
    Kept(Kept),
}

/// What reading a source through showed.
pub struct Read {
    /// The hashes of the sealed chunks.
    pub leaves: Leaves,
    /// SHA-256 of the plaintext.
    pub plain_hash: Digest,
    /// The beginning of the plaintext.
    pub beginning: Vec<u8>,
}

/// The size of a source.
pub fn size(path: &Path) -> Result<u64, DocumentError> {
    let about = std::fs::metadata(path).map_err(DocumentError::Unreadable)?;
    if about.is_file() { Ok(about.len()) } else { Err(unreadable()) }
}

/// The size of a source, and what it begins with.
pub fn look(path: &Path) -> Result<(u64, Vec<u8>), DocumentError> {
    let size = size(path)?;
    let mut beginning = Vec::with_capacity(LOOKED_AT);
    let file = File::open(path).map_err(DocumentError::Unreadable)?;
    let read = file.take(LOOKED_AT as u64).read_to_end(&mut beginning);
    read.map_err(DocumentError::Unreadable)?;
    Ok((size, beginning))
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
        Ok(Self { plain: Plain::File(file), layout, cipher })
    }

    /// A document of this layout that this phone keeps.
    pub fn kept(kept: Kept, layout: Layout, cipher: FileCipher) -> Self {
        Self { plain: Plain::Kept(kept), layout, cipher }
    }

    /// Reads the source from its beginning to its end.
    pub fn read_through(&self) -> Result<Read, DocumentError> {
        let mut buffer = Vec::with_capacity(CHUNK_BYTES + 16);
        let (mut leaves, mut hash) = (Leaves::default(), PlainHash::default());
        let mut beginning = Vec::new();
        for chunk in 0..self.layout.chunks() {
            self.fill(chunk, &mut buffer)?;
            if chunk == 0 {
                beginning = buffer[..buffer.len().min(LOOKED_AT)].to_vec();
            }
            hash.update(&buffer);
            self.seal(chunk, &mut buffer)?;
            leaves.push(&buffer);
        }
        if self.goes_on()? {
            return Err(DocumentError::Changed);
        }
        Ok(Read { leaves, plain_hash: hash.finish(), beginning })
    }

    /// Seals one chunk, which must be the one that was there when the source was read through.
    pub fn sealed(&self, leaves: &Leaves, chunk: u32) -> Result<Vec<u8>, DocumentError> {
        let mut buffer = Vec::with_capacity(CHUNK_BYTES + 16);
        self.fill(chunk, &mut buffer)?;
        self.seal(chunk, &mut buffer)?;
        if leaves.is_chunk(chunk, &buffer) { Ok(buffer) } else { Err(DocumentError::Changed) }
    }

    fn seal(&self, chunk: u32, buffer: &mut Vec<u8>) -> Result<(), DocumentError> {
        self.cipher.seal(chunk, buffer).map_err(|_| DocumentError::Changed)
    }

    fn fill(&self, chunk: u32, buffer: &mut Vec<u8>) -> Result<(), DocumentError> {
        buffer.clear();
        let file = match &self.plain {
            Plain::Kept(kept) => {
                buffer.extend_from_slice(&kept.chunk(chunk)?);
                return Ok(());
            }
            Plain::File(file) => file,
        };
        buffer.resize(self.layout.plain_len(chunk).ok_or(DocumentError::Changed)?, 0);
        let at = u64::from(chunk) * CHUNK_BYTES as u64;
        file.read_exact_at(buffer, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => DocumentError::Changed,
            _ => DocumentError::Unreadable(error),
        })
    }

    /// Whether there is more than the layout says.
    fn goes_on(&self) -> Result<bool, DocumentError> {
        let Plain::File(file) = &self.plain else { return Ok(false) };
        let read = file.read_at(&mut [0], self.layout.plain_size());
        Ok(read.map_err(DocumentError::Unreadable)? > 0)
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
            let source = open(&path, size).unwrap();
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
        let source = open(&path, 100_000).unwrap();
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
