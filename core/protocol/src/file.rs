//! A document's ciphertext: chunks that are sealed, checked, resumed and read one by one, in memory
//! of one chunk whatever the document's size (docs/protocol.md §8).
//!
//! [`Layout`] says how many chunks a document has and how long each is. [`FileCipher`] seals and
//! opens a chunk at its place: a chunk that was moved, cut off, doubled or taken from another
//! document or conversation does not open. [`Leaves`] are the chunks' hashes, whose root stands in
//! the record's signed head, so that server and phone check each chunk as it comes.
//!
//! The key is drawn anew for every upload of a document to a conversation and never used for another
//! plaintext; that is why the nonces may begin with zeroes. Sealing is deterministic, so an upload
//! that was broken off goes on by sealing the same chunks again, and nothing is kept beside.

mod present;

use chacha20poly1305::{AeadInPlace, KeyInit as _, XChaCha20Poly1305};

use sha2::{Digest as _, Sha256};

use crate::crypto::{Context, Secret};
use crate::encoding::{FormError, Item, Reader, Writer};
use crate::ids::{Digest, LogId};
use crate::limits;
use crate::tree::merkle;

pub use present::Present;

/// Plaintext bytes of a chunk; only the last may have fewer.
pub const CHUNK_BYTES: usize = 65_536;
/// What sealing adds to each chunk, in bytes.
pub const TAG_BYTES: usize = 16;
/// A full chunk's ciphertext with its tag, in bytes.
pub const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;

const AAD: &[u8] = b"hauspost/1 file";

/// How a document of some size lies in chunks. An empty one is one chunk without plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    plain_size: u64,
}

impl Layout {
    /// The layout of a plaintext, unless its ciphertext would exceed the limit.
    pub fn of_plain(plain_size: u64) -> Option<Self> {
        (plain_size <= limits::BLOB_BYTES && Self { plain_size }.blob_size() <= limits::BLOB_BYTES)
            .then_some(Self { plain_size })
    }

    /// The layout of a ciphertext, if there is a plaintext that has one of this size.
    pub fn of_blob(blob_size: u64) -> Option<Self> {
        let chunks = blob_size.div_ceil(SEALED_CHUNK_BYTES as u64);
        let plain_size = blob_size.checked_sub(chunks * TAG_BYTES as u64)?;
        Self::of_plain(plain_size).filter(|layout| layout.blob_size() == blob_size)
    }

    /// The plaintext's size in bytes.
    pub fn plain_size(self) -> u64 {
        self.plain_size
    }

    /// The ciphertext's size in bytes.
    pub fn blob_size(self) -> u64 {
        self.plain_size + u64::from(self.chunks()) * TAG_BYTES as u64
    }

    /// How many chunks there are; at least one.
    pub fn chunks(self) -> u32 {
        let chunks = self.plain_size.div_ceil(CHUNK_BYTES as u64).max(1);
        u32::try_from(chunks).expect("a document within the limit has fewer than 2¹⁶ chunks")
    }

    /// The plaintext bytes of a chunk, if there is such a chunk.
    pub fn plain_len(self, chunk: u32) -> Option<usize> {
        let before = u64::from(chunk) * CHUNK_BYTES as u64;
        let left = self.plain_size.saturating_sub(before).min(CHUNK_BYTES as u64);
        (chunk < self.chunks()).then(|| usize::try_from(left).expect("at most a chunk"))
    }

    /// The ciphertext bytes of a chunk, if there is such a chunk.
    pub fn sealed_len(self, chunk: u32) -> Option<usize> {
        Some(self.plain_len(chunk)? + TAG_BYTES)
    }
}

/// Why a chunk cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The document has no such chunk, or it is of another length.
    #[error("chunk {0} is not one of this document, or not of its length")]
    Shape(u32),
    /// The chunk was changed, moved, or belongs to another document.
    #[error("chunk {0} does not open")]
    Sealed(u32),
}

/// Seals and opens the chunks of one document in one conversation: STREAM (Hoang, Reyhanitabar,
/// Rogaway, Vizár 2015) over XChaCha20-Poly1305 with a 32-bit counter.
pub struct FileCipher {
    cipher: XChaCha20Poly1305,
    layout: Layout,
}

impl FileCipher {
    /// The cipher of a document of this layout under FK, in this conversation.
    pub fn new(key: &Secret, log: LogId, layout: Layout) -> Self {
        let key = key.derive("file", Context::Bytes(&log.0));
        Self { cipher: XChaCha20Poly1305::new(key.expose().into()), layout }
    }

    /// Seals a chunk in place: `buffer` is its plaintext before, its ciphertext and tag after.
    ///
    /// # Errors
    /// The document has no such chunk, or the plaintext is not of its length.
    pub fn seal(&self, chunk: u32, buffer: &mut Vec<u8>) -> Result<(), FileError> {
        if self.layout.plain_len(chunk) != Some(buffer.len()) {
            return Err(FileError::Shape(chunk));
        }
        let sealed = self.cipher.encrypt_in_place(&self.nonce(chunk).into(), AAD, buffer);
        sealed.map_err(|_| FileError::Shape(chunk))
    }

    /// Opens a chunk in place: `buffer` is its ciphertext and tag before, its plaintext after.
    ///
    /// # Errors
    /// It is not this chunk of this document; `buffer` then holds nothing to use.
    pub fn open(&self, chunk: u32, buffer: &mut Vec<u8>) -> Result<(), FileError> {
        if self.layout.sealed_len(chunk) != Some(buffer.len()) {
            return Err(FileError::Shape(chunk));
        }
        let opened = self.cipher.decrypt_in_place(&self.nonce(chunk).into(), AAD, buffer);
        opened.map_err(|_| FileError::Sealed(chunk))
    }

    /// 19 zero bytes, the chunk's number, and whether it is the last.
    fn nonce(&self, chunk: u32) -> [u8; 24] {
        let mut nonce = [0; 24];
        nonce[19..23].copy_from_slice(&chunk.to_be_bytes());
        nonce[23] = u8::from(chunk + 1 == self.layout.chunks());
        nonce
    }
}

/// SHA-256 of a plaintext, piece by piece: what the statement signs.
#[derive(Clone, Default)]
pub struct PlainHash(Sha256);

impl PlainHash {
    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The hash of all pieces.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// The hash of a chunk's ciphertext with its tag, as a leaf of the document's tree.
pub fn leaf(sealed: &[u8]) -> Digest {
    merkle::leaf_hash(sealed)
}

/// The hashes of all chunks of one ciphertext, in order: 32 bytes for each 64 KiB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leaves(Vec<Digest>);

impl Leaves {
    /// Adds the next chunk, by its ciphertext with its tag.
    pub fn push(&mut self, sealed: &[u8]) {
        self.0.push(leaf(sealed));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `blob_root`: the tree hash of RFC 9162 over the chunks.
    pub fn root(&self) -> Digest {
        merkle::Tree::new(self.0.iter().copied()).root()
    }

    /// The hash of a chunk, if there is such a chunk.
    pub fn get(&self, chunk: u32) -> Option<Digest> {
        self.0.get(chunk as usize).copied()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Digest> + '_ {
        self.0.iter().copied()
    }

    /// Whether these are the chunks of a ciphertext with this root and layout.
    pub fn are_of(&self, root: Digest, layout: Layout) -> bool {
        self.0.len() == layout.chunks() as usize && self.root() == root
    }

    /// Whether these bytes are the ciphertext of this chunk.
    pub fn is_chunk(&self, chunk: u32, sealed: &[u8]) -> bool {
        self.get(chunk).is_some_and(|known| known == leaf(sealed))
    }
}

/// One byte string, 32 bytes for each chunk.
impl Item for Leaves {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0.iter().flat_map(|leaf| leaf.0).collect::<Vec<_>>());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let (leaves, rest) = from.bytes()?.as_chunks::<32>();
        if !rest.is_empty() || leaves.is_empty() {
            return Err(FormError::Malformed);
        }
        if leaves.len() > Self::MOST {
            return Err(FormError::TooLarge);
        }
        Ok(Self(leaves.iter().map(|leaf| Digest(*leaf)).collect()))
    }
}

impl FromIterator<Digest> for Leaves {
    fn from_iter<I: IntoIterator<Item = Digest>>(leaves: I) -> Self {
        Self(leaves.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
