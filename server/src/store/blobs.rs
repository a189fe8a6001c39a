//! What the store knows of documents: to which log a blob belongs, which of its chunks are there,
//! and which records name it. The bytes lie in [`crate::blobs`].

use hauspost_protocol::crypto::Secret;
use hauspost_protocol::file::{Layout, Leaves, Present};
use hauspost_protocol::ids::{DeviceId, Digest, LogNo, Seq, TimeMs};

use super::StoreError;
use crate::blobs::BlobId;

/// A blob of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    /// Where its bytes lie.
    pub id: BlobId,
    /// The layout of its ciphertext.
    pub layout: Layout,
    /// The device that uploads it.
    pub uploader: DeviceId,
    /// When the upload was last begun or taken up again.
    pub begun_ms: TimeMs,
    /// The chunks that are there.
    pub present: Present,
    /// Whether a record names it.
    pub is_named: bool,
}

impl BlobRow {
    /// Whether all chunks are there.
    pub fn is_complete(&self) -> bool {
        self.present.is_complete(self.layout)
    }
}

/// A blob whose upload begins.
#[derive(Debug, Clone, Copy)]
pub struct NewBlob<'a> {
    /// The tree hash of its chunks.
    pub root: Digest,
    /// The layout of its ciphertext.
    pub layout: Layout,
    /// The hashes of its chunks.
    pub leaves: &'a Leaves,
    /// The device that uploads it.
    pub uploader: DeviceId,
    /// Now.
    pub begun_ms: TimeMs,
}

/// A number of blobs and the bytes that they have, or will have when they are complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlobSum {
    /// Blobs.
    pub count: u64,
    /// Bytes of ciphertext.
    pub bytes: u64,
}

/// Reads of one state of the store.
pub trait BlobReads {
    /// A blob of a log by its root.
    fn blob(&self, no: LogNo, root: Digest) -> Result<Option<BlobRow>, StoreError>;
    /// The hash of one chunk of a blob.
    fn blob_leaf(&self, blob: BlobId, chunk: u32) -> Result<Option<Digest>, StoreError>;
    /// A blob's shred key. Without one what lies under its id can never be read again.
    fn blob_key(&self, blob: BlobId) -> Result<Option<Secret>, StoreError>;
    /// Whether a record from `from` to `to`, both inclusive, names the blob.
    fn is_blob_named(
        &self,
        no: LogNo,
        root: Digest,
        from: Seq,
        to: Option<Seq>,
    ) -> Result<bool, StoreError>;
    /// The records that name the blob, in their order.
    fn blob_names(&self, no: LogNo, root: Digest) -> Result<Vec<Seq>, StoreError>;
    /// What a device has uploaded, or begun to, that no record names.
    fn unnamed_blobs(&self, uploader: DeviceId) -> Result<BlobSum, StoreError>;
    /// When the oldest upload of a device was begun, or last taken up, that no record names.
    fn oldest_unnamed_blob(&self, uploader: DeviceId) -> Result<Option<TimeMs>, StoreError>;
    /// What a device has uploaded, or begun to, and is there.
    fn blobs_of(&self, uploader: DeviceId) -> Result<BlobSum, StoreError>;
    /// All that there is.
    fn all_blobs(&self) -> Result<BlobSum, StoreError>;
    /// Blobs that no record names and whose upload was begun before then, so many at most.
    fn abandoned_blobs(
        &self,
        before_ms: TimeMs,
        most: usize,
    ) -> Result<Vec<(LogNo, Digest)>, StoreError>;
}

/// Changes in one transaction.
pub trait BlobWrites: BlobReads {
    /// Begins a blob with a shred key of its own; the log has none of this root.
    fn begin_blob(&mut self, no: LogNo, blob: &NewBlob<'_>) -> Result<BlobId, StoreError>;
    /// Notes that the upload of a blob goes on.
    fn resume_blob(&mut self, no: LogNo, root: Digest, now_ms: TimeMs) -> Result<(), StoreError>;
    /// Notes that these chunks are there and durable; twice is once.
    fn put_chunks(&mut self, no: LogNo, root: Digest, chunks: &[u32]) -> Result<(), StoreError>;
    /// Notes that a record names the blob, which stays from now on.
    fn name_blob(&mut self, no: LogNo, root: Digest, seq: Seq) -> Result<(), StoreError>;
    /// Forgets a blob and deletes its shred key; its bytes are for the caller to remove.
    fn drop_blob(&mut self, no: LogNo, root: Digest) -> Result<Option<BlobId>, StoreError>;
    /// Deletes shred keys that no blob has, of at most `most` behind `after`: a crash came between a key
    /// and its blob. How many, and where to go on.
    fn drop_idle_keys(
        &mut self,
        after: Option<BlobId>,
        most: usize,
    ) -> Result<(usize, Option<BlobId>), StoreError>;
}
