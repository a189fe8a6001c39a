//! Uploads: several documents side by side, each from where the server has it.
//!
//! An upload belongs to the intent that waits for it: the source is read through once, so that root
//! and hash can be signed, and then what the server does not have is sent. Killed at any instruction
//! it goes on with the server's own list.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::{self, FuturesUnordered};
use hauspost_protocol::file::{FileCipher, Layout, Leaves};
use hauspost_protocol::ids::LogId;
use hauspost_protocol::wire::{BlobBegin, Outcome};

use super::{IN_FLIGHT, Progress, Transfer, TransferState, UPLOADS, blocking, document, lock};
use crate::account::engine::Core;
use crate::account::{Account, AccountError};
use crate::file::DocumentError;
use crate::file::kind;
use crate::file::source::Source;
use crate::observe::Change;
use crate::outbox::{REASON_CHANGED, REASON_DEFECT, REASON_LEFT, REASON_POLICY, REASON_UNREADABLE};
use crate::store::rows::file::{self, Origin, Upload};
use crate::store::rows::log::{self, LogState};
use crate::store::rows::message::{self, MessageState};
use crate::store::rows::outbox::{self, IntentState};
use crate::sync::SyncError;

impl Account {
    /// Uploads what waits, as far as it can be uploaded now.
    pub async fn upload_once(&self) -> Result<(), AccountError> {
        self.core.upload_all().await.map(|_| ())
    }
}

/// What became of an upload in this round.
enum Carried {
    /// All of it is at the server.
    Whole,
    /// It failed for good, for this reason.
    Failed(u64),
    /// It has to wait for something else, or was given up.
    Waits,
    /// The network became metered.
    Held,
}

impl Core {
    /// Uploads what waits, and says whether a message was waiting for what came through. One document
    /// that fails does not hold up the others; the first failure is told at the end. What is added
    /// meanwhile goes with the same round.
    pub(in crate::account) async fn upload_all(&self) -> Result<bool, AccountError> {
        let _one = self.documents.uploading.lock().await;
        let (mut failed, mut any) = (None, false);
        let mut tried = HashSet::new();
        let mut going = FuturesUnordered::new();
        loop {
            if going.len() < UPLOADS {
                for upload in self.waiting_uploads().await? {
                    let key = (upload.message_id, upload.position, upload.attempt);
                    if going.len() == UPLOADS || !tried.insert(key) {
                        continue;
                    }
                    lock(&self.documents.given_up).remove(&upload.message_id);
                    going.push(self.carry(upload, key));
                }
            }
            if going.is_empty() {
                break;
            }
            let has_room = going.len() < UPLOADS;
            let (key, carried) = tokio::select! {
                Some(done) = going.next() => done,
                () = self.documents.to_upload.notified(), if has_room => continue,
            };
            match carried {
                Ok(Carried::Held) => _ = tried.remove(&key),
                Ok(carried) => any |= matches!(carried, Carried::Whole),
                Err(error) => _ = failed.get_or_insert(error),
            }
        }
        failed.map_or(Ok(any), Err)
    }

    /// The uploads that may go now, the oldest first; those that wait for another network are shown so.
    async fn waiting_uploads(&self) -> Result<Vec<Upload>, AccountError> {
        let uploads = self.store.read(|conn| Ok::<_, AccountError>(file::uploads(conn)?)).await?;
        let held =
            |upload: &Upload| !upload.anyway && self.documents.holds_upload(upload.file.plain_size);
        let (held, free): (Vec<_>, Vec<_>) = uploads.into_iter().partition(held);
        let mut transfers = lock(&self.documents.transfers);
        transfers.retain(|_, transfer| transfer.state == TransferState::Running);
        for upload in &held {
            let which = document(upload.log.id, upload.message_id, upload.position);
            let total = upload.file.blob_size;
            let state = TransferState::Held;
            let shown = Transfer { document: which, is_upload: true, state, done: 0, total };
            transfers.entry(which).or_insert(shown);
        }
        drop(transfers);
        for upload in &held {
            self.store.tell(Change::Log(upload.log.id));
        }
        Ok(free)
    }

    /// Uploads a document as far as it goes now, and notes its end.
    async fn carry<K>(&self, upload: Upload, key: K) -> (K, Result<Carried, AccountError>) {
        let (local, intent) = (upload.log, upload.intent);
        let (message_id, position) = (upload.message_id, upload.position);
        let carried = match self.upload(upload).await {
            Err(error) => match reason(&error) {
                Some(reason) => Carried::Failed(reason),
                None => return (key, Err(error)),
            },
            Ok(carried) => carried,
        };
        let (is_whole, reason) = match carried {
            Carried::Whole => (true, 0),
            Carried::Failed(reason) => (false, reason),
            Carried::Waits | Carried::Held => return (key, Ok(carried)),
        };
        if !is_whole {
            // Nor do the others of its message leave any more.
            lock(&self.documents.given_up).insert(message_id);
        }
        let noted = self.store.write(move |tx| {
            let state = outbox::find(tx, intent)?.map(|intent| intent.state);
            let is_wanted = file::is_wanted(tx, local, (message_id, position))?;
            if state != Some(IntentState::Uploading) || !is_wanted {
                // Given up meanwhile, taken back, or changed.
            } else if is_whole {
                if file::arrive(tx, local, (message_id, position))? {
                    outbox::uploaded(tx, intent)?;
                }
            } else {
                if reason == REASON_CHANGED {
                    file::forget_read(tx, local, (message_id, position))?;
                }
                outbox::fail(tx, intent, reason)?;
                message::set_state(tx, local, message_id, MessageState::Failed)?;
            }
            Ok::<_, AccountError>(file::drop_done(tx)?)
        });
        let noted = noted.await;
        self.to_send.notify_one();
        self.inspecting.to_inspect.notify_one();
        (key, noted.map(|()| carried))
    }

    async fn upload(&self, mut upload: Upload) -> Result<Carried, AccountError> {
        let id = upload.log.id;
        let log = self.store.read(move |conn| Ok::<_, AccountError>(log::find(conn, id)?)).await?;
        match log {
            Some(log) if log.state == LogState::Active && log.own_leaf.is_some() => {}
            Some(log) if matches!(log.state, LogState::Left | LogState::HandedOver) => {
                return Ok(Carried::Failed(REASON_LEFT));
            }
            // The conversation is not at the server yet, or cannot be written to now.
            _ => return Ok(Carried::Waits),
        }
        let layout = Layout::of_blob(upload.file.blob_size).ok_or(DocumentError::TooLarge)?;
        let source = Arc::new(self.source(&upload, layout).await?);
        let leaves = match upload.leaves.take() {
            Some(leaves) => leaves,
            None => self.read_through(&source, &mut upload).await?,
        };
        let root = upload.file.blob_root;
        let begin = BlobBegin { size: layout.blob_size(), leaves };
        let present = match self.server.begin_blob(id, root, &begin).await {
            Err(SyncError::Refused(404)) => return self.not_taken(id).await,
            begun => begun?,
        };
        let missing: Vec<u32> = present.missing(layout).collect();
        let waiting = missing.iter().filter_map(|chunk| layout.sealed_len(*chunk));
        let waiting: u64 = waiting.map(|len| len as u64).sum();
        let (message_id, total) = (upload.message_id, layout.blob_size());
        let mut progress = Progress::begin(
            self,
            Transfer {
                document: document(id, message_id, upload.position),
                is_upload: true,
                state: TransferState::Running,
                done: total - waiting,
                total,
            },
        );
        let leaves = Arc::new(begin.leaves);
        // What is in flight arrives, whatever becomes of the others, so that it is not sent twice.
        let stopped = AtomicBool::new(false);
        let send = |chunk| {
            let (source, leaves, stopped) = (Arc::clone(&source), Arc::clone(&leaves), &stopped);
            async move {
                if stopped.load(Ordering::Relaxed) {
                    return Ok(0);
                }
                let sealed = blocking(move || source.sealed(&leaves, chunk)).await?;
                let len = sealed.len() as u64;
                self.server.put_chunk(id, root, chunk, sealed).await?;
                Ok::<_, AccountError>(len)
            }
        };
        let mut sending =
            std::pin::pin!(stream::iter(missing).map(send).buffer_unordered(IN_FLIGHT));
        let (mut failed, mut given_up, mut held) = (None, false, false);
        while let Some(sent) = sending.next().await {
            match sent {
                Ok(len) => progress.advance(len),
                Err(error) => failed = failed.or(Some(error)),
            }
            given_up |= lock(&self.documents.given_up).contains(&message_id);
            held |= !upload.anyway && self.documents.holds_upload(upload.file.plain_size);
            stopped.fetch_or(failed.is_some() || given_up || held, Ordering::Relaxed);
        }
        match failed {
            Some(error) => Err(error),
            None if given_up => Ok(Carried::Waits),
            None if held => Ok(Carried::Held),
            None => Ok(Carried::Whole),
        }
    }

    /// The server knows no such conversation of this device. What was not pulled yet shows why; if
    /// that was everything, it is so for good.
    async fn not_taken(&self, id: LogId) -> Result<Carried, AccountError> {
        self.pull_all().await?;
        let log = self.store.read(move |conn| Ok::<_, AccountError>(log::find(conn, id)?)).await?;
        Ok(match log {
            Some(log) if matches!(log.state, LogState::Left | LogState::HandedOver) => {
                Carried::Failed(REASON_LEFT)
            }
            Some(log) if log.state == LogState::Active && log.own_leaf.is_some() => {
                Carried::Failed(Outcome::NoLog.code())
            }
            _ => Carried::Waits,
        })
    }

    /// What an upload reads from. The document of another message is fetched if it is not here.
    async fn source(&self, upload: &Upload, layout: Layout) -> Result<Source, AccountError> {
        let cipher = FileCipher::new(&upload.file.key, upload.log.id, layout);
        let of = match &upload.origin {
            Origin::Path(path) => {
                let path = PathBuf::from(path);
                return blocking(move || Source::open(&path, layout, cipher)).await;
            }
            Origin::Document(of) => *of,
            Origin::Copy => document(upload.log.id, upload.message_id, upload.position),
        };
        let kept = match upload.origin {
            Origin::Copy => self.own_copy(of).await?,
            _ => self.fetch(of, true).await?.kept,
        };
        if kept.layout() != layout {
            return Err(DocumentError::Changed.into());
        }
        Ok(Source::kept(kept, layout, cipher))
    }

    /// The first pass over a source: root and hash are known and stored before anything leaves.
    async fn read_through(
        &self,
        source: &Arc<Source>,
        upload: &mut Upload,
    ) -> Result<Leaves, AccountError> {
        let source = Arc::clone(source);
        let read = blocking(move || source.read_through()).await?;
        let (name, said) = (&upload.file.name, &upload.file.media_type);
        let rule = self.document_rule().await?;
        if !rule.lets_send(name, &read.beginning) {
            return Err(DocumentError::Blocked.into());
        }
        // The policy may have changed since the document was chosen.
        if upload.file.plain_size > rule.most_bytes {
            return Err(DocumentError::AboveLimit(rule.most_bytes).into());
        }
        upload.file.media_type = kind::media_type(&read.beginning, name, Some(said));
        upload.file.blob_root = read.leaves.root();
        upload.file.plain_hash = read.plain_hash;
        let (local, file) = (upload.log, upload.file.clone());
        let which = (upload.message_id, upload.position);
        self.store
            .write(move |tx| {
                file::set_read(tx, local, which, &file, &read.leaves)?;
                tx.touch(Change::Log(local.id));
                Ok::<_, AccountError>(read.leaves)
            })
            .await
    }
}

/// Why an upload failed for good; nothing, if it is tried again.
fn reason(error: &AccountError) -> Option<u64> {
    match error {
        AccountError::Document(DocumentError::Changed) => Some(REASON_CHANGED),
        AccountError::Document(DocumentError::Blocked) => Some(REASON_POLICY),
        AccountError::Document(
            DocumentError::Unreadable(_)
            | DocumentError::Missing
            | DocumentError::Gone
            | DocumentError::Damaged,
        ) => Some(REASON_UNREADABLE),
        AccountError::NoConversation => Some(REASON_UNREADABLE),
        AccountError::Document(DocumentError::TooLarge | DocumentError::AboveLimit(_))
        | AccountError::Sync(SyncError::Refused(413)) => Some(Outcome::TooLarge.code()),
        AccountError::Sync(SyncError::Refused(403)) => Some(Outcome::Quota(0).code()),
        // The server let go of the upload meanwhile: it is begun anew.
        AccountError::Sync(SyncError::Refused(404)) => None,
        AccountError::Sync(SyncError::Refused(_) | SyncError::Form(_)) => Some(REASON_DEFECT),
        _ => None,
    }
}
