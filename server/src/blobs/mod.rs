//! Where the ciphertexts of documents lie, chunk by chunk.
//!
//! A [`BlobStore`] keeps bytes under an id and a chunk's number, and knows nothing else: which log
//! a blob belongs to, which chunks are there and who may read them stands in the transaction store
//! ([`crate::store`]). A chunk is written and made durable first and noted there after, so that a crash between the two
//! leaves bytes that nobody refers to, never a note without its bytes.
//!
//! Each chunk is sealed once more under its blob's shred key ([`seal`], [`open`]), so that deleting
//! one small key erases the document, in replicas and in old backups too (docs/protocol.md §11).
//!
//! A blob lies in a folder of this machine ([`FolderBlobs`]) or, where several nodes serve one company, in
//! S3-compatible storage ([`s3`]). No store relies on being the only one that writes: a chunk has one right
//! content, so that two nodes that write it write the same.

mod folder;
pub mod s3;

use std::io;

use chacha20poly1305::aead::{AeadInPlace as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::file::{SEALED_CHUNK_BYTES, TAG_BYTES};

pub use folder::FolderBlobs;

/// What a blob is called here: random, so that a listing says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId(pub [u8; 16]);

/// A full chunk as it is stored, in bytes.
pub const STORED_CHUNK_BYTES: usize = SEALED_CHUNK_BYTES + TAG_BYTES;

/// Why a chunk cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No room is left; nothing of the chunk counts.
    #[error("the place that holds the documents is full")]
    Full,
    /// The backend cannot do what was asked.
    #[error("the blob store failed to {action}: {source}")]
    Backend {
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A chunk that should be there is not, or is not what was stored.
    #[error("a stored chunk is missing or damaged")]
    Damaged,
}

/// A place for the chunks of blobs. All chunks of a blob but its last have [`STORED_CHUNK_BYTES`]. Its calls block.
pub trait BlobStore: Send + Sync {
    /// Makes room for a blob; one that is there stays as it is. Durable.
    fn create(&self, blob: BlobId) -> Result<(), BlobError>;
    /// Writes a chunk of a blob that was created; the same chunk may be written again. It is read at once,
    /// and durable after the next [`sync`](Self::sync).
    fn write(&self, blob: BlobId, chunk: u32, stored: &[u8]) -> Result<(), BlobError>;
    /// Makes all chunks durable that were written.
    fn sync(&self, blob: BlobId) -> Result<(), BlobError>;
    /// Reads a chunk of this length.
    fn read(&self, blob: BlobId, chunk: u32, len: usize) -> Result<Vec<u8>, BlobError>;
    /// Something that was read of a blob did not open: nothing that is remembered of it counts any more.
    fn doubt(&self, _: BlobId) {}
    /// The chunks that may be there whole, in any order. Each is to be opened before it counts: this asks for
    /// room that is taken, not for what is in it.
    fn found(&self, blob: BlobId) -> Result<Vec<u32>, BlobError>;
    /// Removes a blob; that it is gone already is no error.
    fn remove(&self, blob: BlobId) -> Result<(), BlobError>;
    /// All blobs that take room.
    fn list(&self) -> Result<Vec<BlobId>, BlobError>;
}

/// Seals a chunk in its place under its blob's shred key. That key is for one blob, and a chunk of a
/// blob has one content only (its hash is in the root), so that a counter is a right nonce.
pub fn seal(key: &Secret, blob: BlobId, chunk: u32, bytes: &mut Vec<u8>) {
    ChaCha20Poly1305::new(key.expose().into())
        .encrypt_in_place(&nonce(chunk), &blob.0, bytes)
        .expect("a chunk is far below the cipher's limit");
}

/// Opens a stored chunk in its place.
pub fn open(key: &Secret, blob: BlobId, chunk: u32, bytes: &mut Vec<u8>) -> Result<(), BlobError> {
    ChaCha20Poly1305::new(key.expose().into())
        .decrypt_in_place(&nonce(chunk), &blob.0, bytes)
        .map_err(|_| BlobError::Damaged)
}

fn nonce(chunk: u32) -> Nonce {
    let mut nonce = [0; 12];
    nonce[8..].copy_from_slice(&chunk.to_be_bytes());
    nonce.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOB: BlobId = BlobId([1; 16]);

    #[test]
    fn attacks_11_a_stored_chunk_opens_under_its_blobs_shred_key_in_its_place_only() {
        let key = Secret::new([7; 32]);
        let mut stored = b"ciphertext".to_vec();
        seal(&key, BLOB, 3, &mut stored);
        assert_eq!(stored.len(), 10 + TAG_BYTES);
        let attempts = [
            (Secret::new([8; 32]), BLOB, 3),
            (key.clone(), BlobId([2; 16]), 3),
            (key.clone(), BLOB, 2),
        ];
        for (key, blob, chunk) in attempts {
            assert!(open(&key, blob, chunk, &mut stored.clone()).is_err());
        }
        open(&key, BLOB, 3, &mut stored).unwrap();
        assert_eq!(stored, b"ciphertext");
    }
}
