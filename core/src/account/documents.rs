//! Documents on their way: uploads that go on where they stopped, fetching, opening.
//!
//! An upload belongs to the intent that waits for it: the source is read through once, so that root
//! and hash can be signed, and then what the server does not have is sent. Killed at any instruction
//! it goes on with the server's own list. No database lock is held meanwhile, and nothing in memory
//! but the chunks that are in flight.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream;
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::file::{FileCipher, Layout, Leaves, SEALED_CHUNK_BYTES};
use hauspost_protocol::ids::{Digest, LogId, MessageId};
use hauspost_protocol::limits;
use hauspost_protocol::statement::{File, FileRole};
use hauspost_protocol::wire::{BlobBegin, Outcome};
use tokio::sync::Notify;

use super::engine::Core;
use super::{Account, AccountError};
use crate::file::DocumentError;
use crate::file::source::{self, Source};
use crate::file::vault::{Fetching, Kept, Vault};
use crate::observe::Change;
use crate::outbox::{
    REASON_CHANGED, REASON_DEFECT, REASON_GIVEN_UP, REASON_LEFT, REASON_UNREADABLE,
};
use crate::store::Tx;
use crate::store::rows::file::{self, Upload};
use crate::store::rows::log::{self, LocalLog, LogState};
use crate::store::rows::message::{self, MessageState};
use crate::store::rows::outbox::{self, IntentState};
use crate::sync::SyncError;

/// Chunks of one document that are under way at once.
const IN_FLIGHT: usize = 4;
/// Chunks after which observers are told how far a document is.
const TOLD_EVERY: u32 = 16;
/// What fetched documents take on this phone, unless an app says otherwise.
const CACHE_BYTES: u64 = 2 << 30;

/// A document of a message: the message, and the document's place in it.
type Which = (MessageId, u32);

/// What an account knows of documents while it is open.
pub(super) struct Documents {
    vault: Vault,
    /// One upload at a time; its chunks travel side by side.
    uploading: tokio::sync::Mutex<()>,
    /// Something waits to be uploaded.
    pub(super) to_upload: Notify,
    transfers: Mutex<BTreeMap<Which, Transfer>>,
    given_up: Mutex<HashSet<MessageId>>,
    /// Whoever fetches a document holds its lock.
    fetching: Mutex<HashMap<Which, Arc<tokio::sync::Mutex<()>>>>,
    cache_bytes: AtomicU64,
}

/// How far a document is that is being sent or fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// The conversation.
    pub log: LogId,
    /// The message.
    pub message_id: MessageId,
    /// The document's place among the message's.
    pub position: u32,
    /// Whether it leaves this phone.
    pub is_upload: bool,
    /// Bytes that arrived.
    pub done: u64,
    /// Bytes in all, as they travel.
    pub total: u64,
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
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
            fetching: Mutex::default(),
            cache_bytes: AtomicU64::new(CACHE_BYTES),
        }
    }

    fn fetch_lock(&self, which: Which) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = lock(&self.fetching);
        fetching.retain(|_, held| Arc::strong_count(held) > 1);
        Arc::clone(fetching.entry(which).or_default())
    }
}

/// A transfer as long as it is under way.
struct Progress<'c> {
    core: &'c Core,
    which: Which,
    log: LogId,
    chunks: u32,
}

impl<'c> Progress<'c> {
    fn begin(core: &'c Core, transfer: Transfer) -> Self {
        let (which, log) = ((transfer.message_id, transfer.position), transfer.log);
        lock(&core.documents.transfers).insert(which, transfer);
        Self { core, which, log, chunks: 0 }
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(transfer) = lock(&self.core.documents.transfers).get_mut(&self.which) {
            transfer.done += bytes;
        }
        self.chunks += 1;
        if self.chunks.is_multiple_of(TOLD_EVERY) {
            self.core.store.tell(Change::Log(self.log));
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        lock(&self.core.documents.transfers).remove(&self.which);
        self.core.store.tell(Change::Log(self.log));
    }
}

impl Account {
    /// Sends a document with a text, if any. Returns when the message is stored on this phone; the
    /// source has to stay as it is until the message is sent.
    pub async fn send_file(
        &self,
        log: LogId,
        source: &Path,
        name: &str,
        media_type: &str,
        caption: &str,
    ) -> Result<MessageId, AccountError> {
        let short = |text: &str| text.len() <= limits::NAME_BYTES;
        let path = source.to_str().filter(|_| short(name) && short(media_type));
        let path = path.ok_or(DocumentError::Name)?.to_owned();
        let from = PathBuf::from(&path);
        let size = blocking(move || source::size(&from)).await?;
        let key = Secret::random(&mut self.core.env.randomness.rng());
        let (name, media_type) = (name.to_owned(), media_type.to_owned());
        let file = File { name, media_type, ..unread(key, size)? };
        let id = self.send_message(log, caption, None, Some((file, path))).await?;
        self.core.documents.to_upload.notify_one();
        Ok(id)
    }

    /// Gives up the upload of a message's document: the message fails, and may be sent again or taken
    /// back.
    pub async fn give_up_upload(
        &self,
        log: LogId,
        message_id: MessageId,
    ) -> Result<(), AccountError> {
        lock(&self.core.documents.given_up).insert(message_id);
        self.core
            .store
            .write(move |tx| {
                let local = log::local(tx, log)?.ok_or(AccountError::NoConversation)?;
                let intent = outbox::by_message(tx, log, message_id)?;
                let intent = intent.filter(|intent| intent.state == IntentState::Uploading);
                let intent = intent.ok_or(AccountError::Message)?;
                outbox::fail(tx, intent.id, REASON_GIVEN_UP)?;
                Ok(message::set_state(tx, local, message_id, MessageState::Failed)?)
            })
            .await
    }

    /// Uploads what waits, as far as it can be uploaded now.
    pub async fn upload_once(&self) -> Result<(), AccountError> {
        self.core.upload_all().await.map(|_| ())
    }

    /// The documents that are being sent or fetched now.
    pub fn transfers(&self) -> Vec<Transfer> {
        lock(&self.core.documents.transfers).values().copied().collect()
    }

    /// What fetched documents may take on this phone; those that were not used for longest go first.
    pub fn set_document_cache(&self, bytes: u64) {
        self.core.documents.cache_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Fetches a document of a message onto this phone, if it is not there. A dropped future keeps
    /// what has come.
    pub async fn fetch_file(
        &self,
        log: LogId,
        message_id: MessageId,
        position: u32,
    ) -> Result<(), AccountError> {
        self.core.fetch(log, (message_id, position)).await.map(|_| ())
    }

    /// A document as a stream of chunks; it is fetched if it is not on this phone.
    pub async fn read_file(
        &self,
        log: LogId,
        message_id: MessageId,
        position: u32,
    ) -> Result<Kept, AccountError> {
        self.core.fetch(log, (message_id, position)).await.map(|fetched| fetched.kept)
    }

    /// Writes a document into a private folder, under a name that is safe, for an app that shows it.
    /// It is gone with the next suspend, or start.
    pub async fn open_file(
        &self,
        log: LogId,
        message_id: MessageId,
        position: u32,
    ) -> Result<PathBuf, AccountError> {
        let fetched = self.core.fetch(log, (message_id, position)).await?;
        let vault = self.core.documents.vault.clone();
        blocking(move || vault.write_out(&fetched.kept, fetched.copy, &fetched.name)).await
    }

    /// Writes a document to where the person wants it; what stood there is replaced.
    pub async fn save_file(
        &self,
        log: LogId,
        message_id: MessageId,
        position: u32,
        path: &Path,
    ) -> Result<(), AccountError> {
        let fetched = self.core.fetch(log, (message_id, position)).await?;
        let path = path.to_owned();
        blocking(move || fetched.kept.write_to(&path)).await
    }
}

/// What the statement will name of a document that nobody has read yet.
fn unread(key: Secret, size: u64) -> Result<File, DocumentError> {
    let layout = Layout::of_plain(size).ok_or(DocumentError::TooLarge)?;
    Ok(File {
        blob_root: Digest([0; 32]),
        blob_size: layout.blob_size(),
        key,
        plain_size: size,
        plain_hash: Digest([0; 32]),
        name: String::new(),
        media_type: String::new(),
        role: FileRole::Original,
        of: None,
    })
}

/// A failed message is sent again: what was changed is read anew and gets a new key, the rest goes on
/// where it stopped.
pub(super) fn retry(
    tx: &Tx<'_>,
    local: LocalLog,
    intent: &outbox::Intent,
    key: Secret,
) -> Result<(), AccountError> {
    let Some(message_id) = intent.message_id else { return Ok(()) };
    let Some(source) = file::source(tx, local, message_id)? else { return Ok(()) };
    if intent.reason == Some(REASON_CHANGED)
        && let Some(old) = file::find(tx, local, message_id, 0)?
    {
        let new = unread(key, source::size(Path::new(&source))?)?;
        let (name, media_type) = (old.name, old.media_type);
        file::begin_anew(tx, local, message_id, &File { name, media_type, ..new })?;
    }
    Ok(outbox::wait_for_upload(tx, intent.id)?)
}

/// A document that is on this phone.
struct Fetched {
    kept: Kept,
    copy: i64,
    name: String,
}

impl Core {
    /// Removes what a kill left behind, and every decrypted document.
    pub(super) async fn tidy_documents(&self) -> Result<(), AccountError> {
        let copies = self.store.read(|conn| Ok::<_, AccountError>(file::copies(conn)?)).await?;
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

    /// Uploads what waits, and says whether a message was waiting for what came through. One document
    /// that fails does not hold up the others; the first failure is told at the end.
    pub(super) async fn upload_all(&self) -> Result<bool, AccountError> {
        let _one = self.documents.uploading.lock().await;
        let uploads = self.store.read(|conn| Ok::<_, AccountError>(file::uploads(conn)?)).await?;
        let (mut failed, mut any) = (None, false);
        for upload in uploads {
            let (local, intent) = (upload.log, upload.intent);
            let message_id = upload.message_id;
            lock(&self.documents.given_up).remove(&message_id);
            let ended = match self.upload(upload).await {
                Ok(None) => continue,
                Ok(Some(ended)) => ended,
                Err(error) => match reason(&error) {
                    Some(reason) => Ended::Failed(reason),
                    None => {
                        failed.get_or_insert(error);
                        continue;
                    }
                },
            };
            any |= matches!(ended, Ended::Whole);
            self.end_upload(local, intent, message_id, ended).await?;
        }
        failed.map_or(Ok(any), Err)
    }

    async fn end_upload(
        &self,
        local: LocalLog,
        intent: i64,
        message_id: MessageId,
        ended: Ended,
    ) -> Result<(), AccountError> {
        self.store
            .write(move |tx| {
                let state = outbox::find(tx, intent)?.map(|intent| intent.state);
                match ended {
                    // Given up meanwhile, or taken back.
                    _ if state != Some(IntentState::Uploading) => {}
                    Ended::Whole => outbox::uploaded(tx, intent)?,
                    Ended::Failed(reason) => {
                        outbox::fail(tx, intent, reason)?;
                        message::set_state(tx, local, message_id, MessageState::Failed)?;
                    }
                }
                Ok::<_, AccountError>(file::drop_done(tx)?)
            })
            .await?;
        self.to_send.notify_one();
        Ok(())
    }

    /// Uploads one document. Nothing, if it has to wait or was given up.
    async fn upload(&self, mut upload: Upload) -> Result<Option<Ended>, AccountError> {
        let id = upload.log.id;
        let log = self.store.read(move |conn| Ok::<_, AccountError>(log::find(conn, id)?)).await?;
        match log {
            Some(log) if log.state == LogState::Active && log.own_leaf.is_some() => {}
            Some(log) if log.state == LogState::Left => {
                return Ok(Some(Ended::Failed(REASON_LEFT)));
            }
            // The conversation is not at the server yet, or cannot be written to now.
            _ => return Ok(None),
        }
        let layout = Layout::of_blob(upload.file.blob_size).ok_or(DocumentError::TooLarge)?;
        let cipher = FileCipher::new(&upload.file.key, id, layout);
        let path = PathBuf::from(&upload.source);
        let source = blocking(move || Source::open(&path, layout, cipher)).await?;
        let (source, leaves) = match upload.leaves.take() {
            Some(leaves) => (source, leaves),
            None => self.read_through(source, &mut upload).await?,
        };
        let root = upload.file.blob_root;
        let begin = BlobBegin { size: layout.blob_size(), leaves };
        let present = self.server.begin_blob(id, root, &begin).await?;
        let missing: Vec<u32> = present.missing(layout).collect();
        let waiting = missing.iter().filter_map(|chunk| layout.sealed_len(*chunk));
        let waiting: u64 = waiting.map(|len| len as u64).sum();
        let (message_id, total) = (upload.message_id, layout.blob_size());
        let done = total - waiting;
        let transfer = Transfer { log: id, message_id, position: 0, is_upload: true, done, total };
        let mut progress = Progress::begin(self, transfer);
        let reader = Arc::new((Mutex::new(source), begin.leaves));
        // What is in flight arrives, whatever becomes of the others, so that it is not sent twice.
        let stopped = AtomicBool::new(false);
        let send = |chunk| {
            let (reader, stopped) = (Arc::clone(&reader), &stopped);
            async move {
                if stopped.load(Ordering::Relaxed) {
                    return Ok(0);
                }
                let read = move || lock(&reader.0).sealed(&reader.1, chunk);
                let sealed = blocking(read).await?;
                let len = sealed.len() as u64;
                self.server.put_chunk(id, root, chunk, sealed).await?;
                Ok::<_, AccountError>(len)
            }
        };
        let mut sending =
            std::pin::pin!(stream::iter(missing).map(send).buffer_unordered(IN_FLIGHT));
        let (mut failed, mut given_up) = (None, false);
        while let Some(sent) = sending.next().await {
            match sent {
                Ok(len) => progress.advance(len),
                Err(error) => failed = failed.or(Some(error)),
            }
            given_up |= lock(&self.documents.given_up).contains(&message_id);
            stopped.fetch_or(failed.is_some() || given_up, Ordering::Relaxed);
        }
        match failed {
            Some(error) => Err(error),
            None if given_up => Ok(None),
            None => Ok(Some(Ended::Whole)),
        }
    }

    /// The first pass over a source: root and hash are known and stored before anything leaves.
    async fn read_through(
        &self,
        mut source: Source,
        upload: &mut Upload,
    ) -> Result<(Source, Leaves), AccountError> {
        let (source, read) = blocking(move || {
            let read = source.read_through()?;
            Ok((source, read))
        })
        .await?;
        upload.file.blob_root = read.leaves.root();
        upload.file.plain_hash = read.plain_hash;
        let (local, message_id, file) = (upload.log, upload.message_id, upload.file.clone());
        let leaves = self
            .store
            .write(move |tx| {
                file::set_read(tx, local, message_id, &file, &read.leaves)?;
                Ok::<_, AccountError>(read.leaves)
            })
            .await?;
        Ok((source, leaves))
    }

    /// A document's copy on this phone, whole and verified.
    async fn fetch(&self, log: LogId, which: Which) -> Result<Fetched, AccountError> {
        let (message_id, position) = which;
        let one = self.documents.fetch_lock(which);
        let _one = one.lock().await;
        let (key, now_ms) =
            (Secret::random(&mut self.env.randomness.rng()), self.env.clock.now_ms());
        let (local, file, copy) = self
            .store
            .write(move |tx| {
                let local = log::local(tx, log)?.ok_or(AccountError::NoConversation)?;
                let file = file::find(tx, local, message_id, position)?;
                let file = file.ok_or(DocumentError::Missing)?;
                let size = file.blob_size;
                let copy = file::begin_copy(tx, local, which, (&key, size), now_ms)?;
                Ok::<_, AccountError>((local, file, copy))
            })
            .await?;
        let layout = Layout::of_blob(file.blob_size).ok_or(DocumentError::Damaged)?;
        let (id, vault) = (copy.id, self.documents.vault.clone());
        let (complete, name) = (copy.complete, file.name.clone());
        let open = move || vault.open(id, &copy.key, layout);
        let kept = blocking(open.clone()).await?;
        if complete {
            return Ok(Fetched { kept, copy: id, name });
        }
        match self.fetch_chunks(log, which, &file, kept).await {
            Ok(()) => {}
            Err(error) => {
                if matches!(error, AccountError::Document(DocumentError::Damaged)) {
                    self.drop_copies(vec![id], true).await?;
                }
                return Err(error);
            }
        }
        let most = self.documents.cache_bytes.load(Ordering::Relaxed);
        let evicted = self
            .store
            .write(move |tx| {
                file::complete_copy(tx, local, id)?;
                Ok::<_, AccountError>(file::evict(tx, most, id)?)
            })
            .await?;
        self.drop_copies(evicted, false).await?;
        Ok(Fetched { kept: blocking(open).await?, copy: id, name })
    }

    async fn fetch_chunks(
        &self,
        log: LogId,
        (message_id, position): Which,
        file: &File,
        kept: Kept,
    ) -> Result<(), AccountError> {
        let (root, chunks, named) = (file.blob_root, kept.chunks(), file.clone());
        let mut fetching = blocking(move || Fetching::resume(kept, &named, log)).await?;
        let (first, total) = (fetching.next(), file.blob_size);
        let done = (u64::from(first) * SEALED_CHUNK_BYTES as u64).min(total);
        let transfer = Transfer { log, message_id, position, is_upload: false, done, total };
        let mut progress = Progress::begin(self, transfer);
        let get = |chunk| self.server.chunk(log, root, chunk);
        let mut coming = std::pin::pin!(stream::iter(first..chunks).map(get).buffered(IN_FLIGHT));
        while let Some(sealed) = coming.next().await {
            let sealed = sealed?;
            let len = sealed.len() as u64;
            fetching = blocking(move || {
                fetching.take(sealed)?;
                Ok(fetching)
            })
            .await?;
            progress.advance(len);
        }
        let file = file.clone();
        blocking(move || fetching.finish(&file)).await
    }

    /// Removes copies' files, and their rows where they are still there.
    async fn drop_copies(&self, copies: Vec<i64>, rows: bool) -> Result<(), AccountError> {
        if rows {
            let copies = copies.clone();
            let drop_rows = move |tx: &Tx<'_>| {
                copies
                    .iter()
                    .try_for_each(|copy| Ok::<_, AccountError>(file::drop_copy(tx, *copy)?))
            };
            self.store.write(drop_rows).await?;
        }
        let vault = self.documents.vault.clone();
        blocking(move || copies.into_iter().try_for_each(|copy| vault.remove(copy))).await
    }
}

/// How an upload ended.
enum Ended {
    /// All of it is at the server.
    Whole,
    /// For good, for this reason.
    Failed(u64),
}

/// Why an upload failed for good; nothing, if it is tried again.
fn reason(error: &AccountError) -> Option<u64> {
    match error {
        AccountError::Document(DocumentError::Changed) => Some(REASON_CHANGED),
        AccountError::Document(DocumentError::Unreadable(_)) => Some(REASON_UNREADABLE),
        AccountError::Document(DocumentError::TooLarge)
        | AccountError::Sync(SyncError::Refused(413)) => Some(Outcome::TooLarge.code()),
        AccountError::Sync(SyncError::Refused(403)) => Some(Outcome::Quota(0).code()),
        // Not in the log, as the server knows it: the next pull shows why.
        AccountError::Sync(SyncError::Refused(404)) => None,
        AccountError::Sync(SyncError::Refused(_) | SyncError::Form(_)) => Some(REASON_DEFECT),
        _ => None,
    }
}

/// Runs what waits for the disk beside everything else.
async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, DocumentError> + Send + 'static,
) -> Result<T, AccountError> {
    match tokio::task::spawn_blocking(job).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(AccountError::Folder),
    }
}
