//! Documents on their way: uploads that go on where they stopped, fetching, opening.
//!
//! [`send`] is what people do with a message's documents, [`ended`] leaves alone what the process ended over,
//! [`upload`] carries documents to the server, several side by side, [`fetch`] brings them onto this phone
//! and opens them. A transfer is seen while it is
//! under way ([`Transfer`]), may be given up at any chunk, and waits on a metered network as long as the
//! person wants it so ([`MeteredLimits`]). No database lock is held meanwhile, and nothing in memory but
//! the chunks that are in flight.

mod ended;
mod fetch;
mod send;
mod upload;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hauspost_protocol::array_item;
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::ids::{LogId, MessageId};
use tokio::sync::Notify;

pub(super) use ended::Worked;
pub(super) use send::{Attached, attach, retry};
pub use send::{Attachment, DocumentOrigin};

use super::engine::Core;
use super::{Account, AccountError};
use crate::file::DocumentError;
use crate::file::kind::Rule;
use crate::file::vault::Vault;
use crate::observe::Change;
use crate::store::rows::account;
use crate::store::rows::file::DocumentId;

/// Chunks of one document that are under way at once.
const IN_FLIGHT: usize = 4;
/// Documents that are under way to the server at once.
const UPLOADS: usize = 3;
/// Chunks after which observers are told how far a document is.
const TOLD_EVERY: u32 = 16;
/// What fetched documents take on this phone, unless an app says otherwise.
const CACHE_BYTES: u64 = 2 << 30;
/// The fact that holds the [`MeteredLimits`].
const METERED: &str = "metered limits";

/// What an account knows of documents while it is open.
pub(super) struct Documents {
    pub(super) vault: Vault,
    /// One round of uploads at a time.
    uploading: tokio::sync::Mutex<()>,
    /// Something waits to be uploaded.
    pub(super) to_upload: Notify,
    transfers: Mutex<BTreeMap<DocumentId, Transfer>>,
    /// Messages of which nothing more is to leave in this round.
    given_up: Mutex<HashSet<MessageId>>,
    /// What is worked on that is to be sent.
    begun: ended::Begun,
    /// Fetches that are to end.
    stopped: Mutex<HashSet<DocumentId>>,
    /// Whoever fetches a document holds its lock.
    fetching: Mutex<HashMap<DocumentId, Arc<tokio::sync::Mutex<()>>>>,
    cache_bytes: AtomicU64,
    is_metered: AtomicBool,
    limits: Mutex<MeteredLimits>,
}

array_item! {
    /// From which size on documents wait, on a metered network, until somebody asks for them; nothing is
    /// no limit. Of the account, and kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct MeteredLimits {
        /// Documents to be sent that are larger, in bytes.
        pub upload_bytes: Option<u64>,
        /// Documents to be fetched by itself that are larger, in bytes.
        pub download_bytes: Option<u64>,
    }
}

/// How a transfer is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferState {
    /// Bytes are on their way.
    Running,
    /// It waits for a network that is not metered, or for the person.
    Held,
}

/// How far a document is that is being sent or fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Which document.
    pub document: DocumentId,
    /// Whether it leaves this phone.
    pub is_upload: bool,
    /// How it is going.
    pub state: TransferState,
    /// Bytes that arrived.
    pub done: u64,
    /// Bytes in all, as they travel.
    pub total: u64,
}

pub(super) fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics between two writes.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Documents {
    pub(super) fn new(account: &Path) -> Self {
        Self {
            vault: Vault::new(account),
            uploading: tokio::sync::Mutex::default(),
            to_upload: Notify::new(),
            transfers: Mutex::default(),
            given_up: Mutex::default(),
            begun: ended::Begun::default(),
            stopped: Mutex::default(),
            fetching: Mutex::default(),
            cache_bytes: AtomicU64::new(CACHE_BYTES),
            is_metered: AtomicBool::new(false),
            limits: Mutex::default(),
        }
    }

    fn fetch_lock(&self, which: DocumentId) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = lock(&self.fetching);
        fetching.retain(|_, held| Arc::strong_count(held) > 1);
        Arc::clone(fetching.entry(which).or_default())
    }

    /// Whether an upload of this size waits for another network.
    fn holds_upload(&self, bytes: u64) -> bool {
        let limit = lock(&self.limits).upload_bytes;
        self.is_metered.load(Ordering::Relaxed) && limit.is_some_and(|limit| bytes > limit)
    }

    /// Whether nothing of this size is fetched that nobody asked for.
    fn holds_download(&self, bytes: u64) -> bool {
        let limit = lock(&self.limits).download_bytes;
        self.is_metered.load(Ordering::Relaxed) && limit.is_some_and(|limit| bytes > limit)
    }
}

/// A transfer as long as it is under way.
struct Progress<'c> {
    core: &'c Core,
    which: DocumentId,
    chunks: u32,
}

impl<'c> Progress<'c> {
    fn begin(core: &'c Core, transfer: Transfer) -> Self {
        let which = transfer.document;
        lock(&core.documents.transfers).insert(which, transfer);
        core.store.tell(Change::Log(which.log));
        Self { core, which, chunks: 0 }
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(transfer) = lock(&self.core.documents.transfers).get_mut(&self.which) {
            transfer.done += bytes;
        }
        self.chunks += 1;
        if self.chunks.is_multiple_of(TOLD_EVERY) {
            self.core.store.tell(Change::Log(self.which.log));
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        lock(&self.core.documents.transfers).remove(&self.which);
        self.core.store.tell(Change::Log(self.which.log));
    }
}

impl Account {
    /// The documents that are being sent or fetched now, and those that wait for another network.
    pub fn transfers(&self) -> Vec<Transfer> {
        lock(&self.core.documents.transfers).values().copied().collect()
    }

    /// What fetched documents may take on this phone; those that were not used for longest go first.
    pub fn set_document_cache(&self, bytes: u64) {
        self.core.documents.cache_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Says whether the network that the phone is on costs by the byte. Documents above the limits pause
    /// on one that does, and go on by themselves on another. Not kept.
    pub fn set_metered(&self, is_metered: bool) {
        self.core.documents.is_metered.store(is_metered, Ordering::Relaxed);
        self.core.documents.to_upload.notify_one();
    }

    /// From which size on documents wait on a metered network.
    pub fn metered_limits(&self) -> MeteredLimits {
        *lock(&self.core.documents.limits)
    }

    /// Changes from which size on documents wait on a metered network.
    pub async fn set_metered_limits(&self, limits: MeteredLimits) -> Result<(), AccountError> {
        let kept = encode(&limits);
        let write = self.core.store.write(move |tx| Ok(account::put_fact(tx, METERED, &kept)?));
        write.await.map_err(|error: AccountError| error)?;
        *lock(&self.core.documents.limits) = limits;
        self.core.documents.to_upload.notify_one();
        Ok(())
    }
}

impl Core {
    /// Removes what a kill left behind and every decrypted document, and reads the person's limits.
    pub(super) async fn tidy_documents(&self) -> Result<(), AccountError> {
        let (copies, limits) = self
            .store
            .read(|conn| {
                let copies = crate::store::rows::file::copies(conn)?;
                Ok::<_, AccountError>((copies, account::fact(conn, METERED)?))
            })
            .await?;
        let limits = limits.and_then(|limits| decode(&limits).ok());
        *lock(&self.documents.limits) = limits.unwrap_or_default();
        let vault = self.documents.vault.clone();
        blocking(move || vault.tidy(&copies)).await
    }

    /// Removes every decrypted document.
    pub(super) async fn close_documents(&self) {
        let vault = self.documents.vault.clone();
        if let Err(error) = blocking(move || vault.close_opened()).await {
            tracing::warn!(code = error.code(), "decrypted documents could not be removed");
        }
    }

    /// Which documents the company lets people send and open, and how large they may be.
    async fn document_rule(&self) -> Result<Rule, AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        let general = &company.now().terms().general;
        Ok(Rule { kinds: general.documents.clone(), most_bytes: general.document_bytes })
    }
}

/// Runs what waits for the disk beside everything else.
pub(super) async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, DocumentError> + Send + 'static,
) -> Result<T, AccountError> {
    match tokio::task::spawn_blocking(job).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(AccountError::Folder),
    }
}

/// The document at this place of a message.
pub(super) fn document(log: LogId, message_id: MessageId, position: u32) -> DocumentId {
    DocumentId { log, message_id, position }
}
