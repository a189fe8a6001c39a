//! Documents onto this phone, and out of it: fetched, verified, kept, opened.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use futures_util::StreamExt as _;
use futures_util::{future, stream};
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::file::{Layout, SEALED_CHUNK_BYTES};
use hauspost_protocol::ids::{LogId, MessageId};
use hauspost_protocol::statement::File;

use super::{IN_FLIGHT, Progress, Transfer, TransferState, blocking, document, lock};
use crate::account::engine::Core;
use crate::account::{Account, AccountError};
use crate::file::DocumentError;
use crate::file::vault::{Fetching, Kept};
use crate::store::Tx;
use crate::store::rows::file::{self, DocumentId};
use crate::store::rows::{log, message};
use crate::sync::SyncError;

impl Account {
    /// Fetches a document of a message onto this phone, if it is not there. A dropped future keeps
    /// what has come.
    pub async fn fetch_file(
        &self,
        log: LogId,
        message_id: MessageId,
        position: u32,
    ) -> Result<(), AccountError> {
        self.core.fetch(document(log, message_id, position), true).await.map(|_| ())
    }

    /// Fetches a document that nobody asked for, such as a preview; on a metered network not above the
    /// account's limit ([`DocumentError::Metered`]).
    pub async fn fetch_file_by_itself(
        &self,
        log: LogId,
        message_id: MessageId,
        position: u32,
    ) -> Result<(), AccountError> {
        self.core.fetch(document(log, message_id, position), false).await.map(|_| ())
    }

    /// Ends the fetching of a document; what has come is kept. Whoever waits for it gets
    /// [`DocumentError::Stopped`].
    pub fn stop_fetch(&self, log: LogId, message_id: MessageId, position: u32) {
        let which = document(log, message_id, position);
        let transfers = lock(&self.core.documents.transfers);
        if transfers.get(&which).is_some_and(|transfer| !transfer.is_upload) {
            lock(&self.core.documents.stopped).insert(which);
        }
    }

    /// A document as a stream of chunks; it is fetched if it is not on this phone.
    pub async fn read_file(
        &self,
        log: LogId,
        message_id: MessageId,
        position: u32,
    ) -> Result<Kept, AccountError> {
        let which = document(log, message_id, position);
        self.core.fetch(which, true).await.map(|fetched| fetched.kept)
    }

    /// Writes a document into a private folder, under a name that is safe, for an app that shows it.
    /// It is gone with the next suspend, or start. What would be run, or what the company blocks, is not
    /// opened ([`DocumentError::Blocked`]).
    pub async fn open_file(
        &self,
        log: LogId,
        message_id: MessageId,
        position: u32,
    ) -> Result<PathBuf, AccountError> {
        let which = document(log, message_id, position);
        let rule = self.core.document_rule().await?;
        let fetched = self.core.fetch(which, true).await?;
        let vault = self.core.documents.vault.clone();
        blocking(move || {
            if !rule.allows(&fetched.name, &fetched.kept.chunk(0)?) {
                return Err(DocumentError::Blocked);
            }
            vault.write_out(&fetched.kept, fetched.copy, &fetched.name)
        })
        .await
    }

    /// Writes a document to where the person wants it; what stood there is replaced.
    pub async fn save_file(
        &self,
        log: LogId,
        message_id: MessageId,
        position: u32,
        path: &Path,
    ) -> Result<(), AccountError> {
        let fetched = self.core.fetch(document(log, message_id, position), true).await?;
        let path = path.to_owned();
        blocking(move || fetched.kept.write_to(&path)).await
    }

    /// Writes a document into a folder, under its own name made safe, or with a number behind it where
    /// something of that name is there already. Returns where it is.
    pub async fn save_file_in(
        &self,
        log: LogId,
        message_id: MessageId,
        position: u32,
        folder: &Path,
    ) -> Result<PathBuf, AccountError> {
        let fetched = self.core.fetch(document(log, message_id, position), true).await?;
        let folder = folder.to_owned();
        blocking(move || fetched.kept.save_in(&folder, &fetched.name)).await
    }
}

/// A document that is on this phone.
pub(in crate::account) struct Fetched {
    pub(in crate::account) kept: Kept,
    copy: i64,
    name: String,
}

impl Core {
    /// A document's copy on this phone, whole and verified. `asked` is whether a person wants it, over
    /// whatever network.
    pub(in crate::account) async fn fetch(
        &self,
        which: DocumentId,
        asked: bool,
    ) -> Result<Fetched, AccountError> {
        let one = self.documents.fetch_lock(which);
        let _one = one.lock().await;
        lock(&self.documents.stopped).remove(&which);
        let (key, now_ms) =
            (Secret::random(&mut self.env.randomness.rng()), self.env.clock.now_ms());
        let (local, file, copy) = self
            .store
            .write(move |tx| {
                let local = log::local(tx, which.log)?.ok_or(AccountError::NoConversation)?;
                let message = message::find(tx, local, which.message_id)?;
                // What was taken back or hidden is not shown any more; the archive has it.
                if message.is_some_and(|message| message.fate.is_hidden()) {
                    return Err(DocumentError::Missing.into());
                }
                let file = file::find(tx, local, which.message_id, which.position)?;
                let file = file.ok_or(DocumentError::Missing)?;
                let size = file.blob_size;
                let place = (which.message_id, which.position);
                let copy = file::begin_copy(tx, local, place, (&key, size), now_ms)?;
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
        match self.fetch_chunks(which, &file, kept, asked).await {
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
        self.inspecting.to_inspect.notify_one();
        Ok(Fetched { kept: blocking(open).await?, copy: id, name })
    }

    /// Removes the copy of a document that was fetched for one look at it.
    pub(in crate::account) async fn drop_copy_of(
        &self,
        which: DocumentId,
    ) -> Result<(), AccountError> {
        let found = self.store.read(move |conn| {
            let local = log::local(conn, which.log)?.ok_or(AccountError::NoConversation)?;
            Ok::<_, AccountError>(file::copy(conn, local, which.message_id, which.position)?)
        });
        match found.await? {
            Some(copy) => self.drop_copies(vec![copy.id], true).await,
            None => Ok(()),
        }
    }

    /// The copy of a document that was made on this phone and never came from the server.
    pub(in crate::account) async fn own_copy(
        &self,
        which: DocumentId,
    ) -> Result<Kept, AccountError> {
        let found = self.store.read(move |conn| {
            let local = log::local(conn, which.log)?.ok_or(AccountError::NoConversation)?;
            let copy = file::copy(conn, local, which.message_id, which.position)?;
            let file = file::find(conn, local, which.message_id, which.position)?;
            let copy = copy.filter(|copy| copy.complete).zip(file);
            copy.ok_or(AccountError::Document(DocumentError::Missing))
        });
        let (copy, file) = found.await?;
        let layout = Layout::of_blob(file.blob_size).ok_or(DocumentError::Damaged)?;
        let vault = self.documents.vault.clone();
        blocking(move || vault.open(copy.id, &copy.key, layout)).await
    }

    async fn fetch_chunks(
        &self,
        which: DocumentId,
        file: &File,
        kept: Kept,
        asked: bool,
    ) -> Result<(), AccountError> {
        let held = || !asked && self.documents.holds_download(file.plain_size);
        if held() {
            return Err(DocumentError::Metered.into());
        }
        let (log, root, chunks) = (which.log, file.blob_root, kept.chunks());
        let named = file.clone();
        let mut fetching = blocking(move || Fetching::resume(kept, &named, log)).await?;
        let (first, total) = (fetching.next(), file.blob_size);
        let done = (u64::from(first) * SEALED_CHUNK_BYTES as u64).min(total);
        let state = TransferState::Running;
        let transfer = Transfer { document: which, is_upload: false, state, done, total };
        let mut progress = Progress::begin(self, transfer);
        let get = |chunk| self.server.chunk(log, root, chunk);
        let mut coming = std::pin::pin!(stream::iter(first..chunks).map(get).buffered(IN_FLIGHT));
        let mut came = coming.next().await;
        while let Some(sealed) = came {
            let sealed = sealed.map_err(|error| match error {
                SyncError::Refused(404) => DocumentError::Gone.into(),
                error => AccountError::from(error),
            })?;
            let len = sealed.len() as u64;
            let take = blocking(move || {
                fetching.take(sealed)?;
                Ok(fetching)
            });
            // The next ones travel while this one is taken in.
            let (taken, next) = future::join(take, coming.next()).await;
            (fetching, came) = (taken?, next);
            progress.advance(len);
            if lock(&self.documents.stopped).remove(&which) {
                return Err(DocumentError::Stopped.into());
            }
            if held() {
                return Err(DocumentError::Metered.into());
            }
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
