//! The plaintext that a person chose, or that this phone keeps of another message.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use hauspost_protocol::file::{CHUNK_BYTES, FileCipher, Layout, Leaves, PlainHash, leaf};
use hauspost_protocol::ids::Digest;

use super::DocumentError;
use super::kind::LOOKED_AT;
use super::vault::Kept;

/// Threads that seal while one reads.
const SEALERS: u32 = 2;

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

    /// Reads the source from its beginning to its end. The plaintext is hashed in its order on this thread,
    /// while others seal the chunks and hash what comes of them.
    pub fn read_through(&self) -> Result<Read, DocumentError> {
        let mut hash = PlainHash::default();
        let mut beginning = Vec::new();
        let (give_back, used) = mpsc::channel();
        let leaves = thread::scope(|scope| {
            let sealers: Vec<_> = (0..SEALERS.min(self.layout.chunks()))
                .map(|_| {
                    let (hand, chunks) = mpsc::sync_channel(1);
                    let give_back = give_back.clone();
                    (hand, scope.spawn(move || self.seal_all(&chunks, &give_back)))
                })
                .collect();
            for chunk in 0..self.layout.chunks() {
                let mut buffer = used.try_recv().unwrap_or_default();
                self.fill(chunk, &mut buffer)?;
                if chunk == 0 {
                    beginning = buffer[..buffer.len().min(LOOKED_AT)].to_vec();
                }
                hash.update(&buffer);
                // A sealer that ended says why when it is joined.
                if sealers[chunk as usize % sealers.len()].0.send((chunk, buffer)).is_err() {
                    break;
                }
            }
            let mut sealed = Vec::new();
            for (hand, sealer) in sealers {
                drop(hand);
                let leaves = sealer.join().map_err(|_| DocumentError::Changed)??;
                sealed.push(leaves.into_iter());
            }
            let count = sealed.len();
            let in_order = (0..self.layout.chunks() as usize).map(|at| sealed[at % count].next());
            in_order.collect::<Option<Leaves>>().ok_or(DocumentError::Changed)
        })?;
        if self.goes_on()? {
            return Err(DocumentError::Changed);
        }
        Ok(Read { leaves, plain_hash: hash.finish(), beginning })
    }

    /// Seals every so many-th chunk, and gives the buffers back to be used again.
    fn seal_all(
        &self,
        chunks: &mpsc::Receiver<(u32, Vec<u8>)>,
        give_back: &mpsc::Sender<Vec<u8>>,
    ) -> Result<Vec<Digest>, DocumentError> {
        let mut leaves = Vec::new();
        for (chunk, mut buffer) in chunks {
            self.seal(chunk, &mut buffer)?;
            leaves.push(leaf(&buffer));
            // Nobody needs another buffer when all is read.
            let _ = give_back.send(buffer);
        }
        Ok(leaves)
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
