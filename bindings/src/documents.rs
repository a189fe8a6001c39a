//! The documents of one conversation: sent, fetched, opened, listed, and how far each is.
//!
//! `Change.Conversation` says when to look at transfers again. What is opened lies decrypted in a private
//! folder of the account until the app suspends it; a stream leaves nothing behind.

use std::path::PathBuf;
use std::sync::Arc;

use hauspost_core::account::{self, Account as Core, Attachment};
use hauspost_core::file::vault::Kept;
use hauspost_core::read;
use hauspost_protocol::ids::{LogId, MessageId};

use crate::cancel::{CancelHandle, until_cancelled};
use crate::error::HauspostError;
use crate::timeline::Document;
use crate::{ids, runtime};

/// A file to be sent.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct NewDocument {
    /// Where it lies. It has to stay as it is until its message is sent.
    pub path: String,
    /// Its name; that of the file when nothing is said.
    #[uniffi(default = None)]
    pub name: Option<String>,
    /// Its media type, as the app was told it. What the content shows counts more.
    #[uniffi(default = None)]
    pub media_type: Option<String>,
}

impl From<NewDocument> for Attachment {
    fn from(file: NewDocument) -> Self {
        let attachment = Self::path(&file.path);
        let name = file.name.unwrap_or_else(|| attachment.name.clone());
        Self { name, media_type: file.media_type, ..attachment }
    }
}

/// How a transfer is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum TransferState {
    /// Bytes are on their way.
    Running,
    /// It waits for a network that is not metered, or for the person.
    Held,
}

/// A document on its way.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Transfer {
    /// The conversation.
    pub conversation: String,
    /// The message.
    pub message_id: String,
    /// The document's place among the message's.
    pub position: u32,
    /// Whether it leaves this phone.
    pub is_upload: bool,
    /// How it is going.
    pub state: TransferState,
    /// Bytes that arrived.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

impl From<account::Transfer> for Transfer {
    fn from(transfer: account::Transfer) -> Self {
        Self {
            conversation: transfer.document.log.to_string(),
            message_id: transfer.document.message_id.to_string(),
            position: transfer.document.position,
            is_upload: transfer.is_upload,
            state: match transfer.state {
                account::TransferState::Running => TransferState::Running,
                account::TransferState::Held => TransferState::Held,
            },
            done: transfer.done,
            total: transfer.total,
        }
    }
}

/// From which size on documents wait on a metered network until somebody asks for them; null is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct MeteredLimits {
    /// Documents to be sent that are larger, in bytes.
    pub upload_bytes: Option<u64>,
    /// Documents to be fetched by itself that are larger, in bytes.
    pub download_bytes: Option<u64>,
}

impl From<account::MeteredLimits> for MeteredLimits {
    fn from(limits: account::MeteredLimits) -> Self {
        let account::MeteredLimits { upload_bytes, download_bytes } = limits;
        Self { upload_bytes, download_bytes }
    }
}

impl From<MeteredLimits> for account::MeteredLimits {
    fn from(limits: MeteredLimits) -> Self {
        let MeteredLimits { upload_bytes, download_bytes } = limits;
        Self { upload_bytes, download_bytes }
    }
}

/// Which documents are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum DocumentKind {
    /// All of them.
    All,
    /// Pictures and videos.
    Pictures,
    /// Everything else.
    Files,
}

/// A document with the message that it came with.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct DocumentRow {
    /// The message.
    pub message_id: String,
    /// Its number, once the server took it.
    pub seq: Option<u64>,
    /// Who sent it.
    pub author: String,
    /// When: Unix time in milliseconds.
    pub time_ms: i64,
    /// The document.
    pub document: Document,
}

/// A page of documents.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct DocumentPage {
    /// The newest message's first; a few more than asked for, where a message has several.
    pub rows: Vec<DocumentRow>,
    /// What to ask the next page with; null at the end.
    pub next: Option<i64>,
}

/// The documents of one conversation.
#[derive(uniffi::Object)]
pub struct Documents {
    core: Core,
    log: LogId,
}

impl Documents {
    pub(crate) fn new(core: Core, log: LogId) -> Arc<Self> {
        Arc::new(Self { core, log })
    }

    /// A call about one document, with all that it needs of its own.
    async fn about<T: Send + 'static, F>(
        &self,
        message_id: &str,
        cancel: Option<Arc<CancelHandle>>,
        call: impl FnOnce(Core, LogId, MessageId) -> F,
    ) -> Result<T, HauspostError>
    where
        F: Future<Output = Result<T, HauspostError>> + Send + 'static,
    {
        let message_id = ids::message(message_id)?;
        let work = runtime::run(call(self.core.clone(), self.log, message_id));
        until_cancelled(cancel, Box::pin(work)).await
    }
}

#[uniffi::export]
impl Documents {
    /// Sends files, sixteen at most, with a text that may be empty, and gives the message's id. It is stored when
    /// this returns, and is sent when all files are at the server, also after the app was killed.
    pub async fn send(
        &self,
        files: Vec<NewDocument>,
        text: String,
    ) -> Result<String, HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        let attachments = files.into_iter().map(Attachment::from).collect();
        runtime::run(async move { Ok(core.send_files(log, attachments, &text).await?.to_string()) })
            .await
    }

    /// The same as a message that everybody who is there is to confirm; its text is read as it was typed.
    pub async fn ask(
        &self,
        files: Vec<NewDocument>,
        text: String,
    ) -> Result<String, HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        let attachments = files.into_iter().map(Attachment::from).collect();
        runtime::run(async move {
            Ok(core.send_to_be_confirmed(log, &text, attachments).await?.to_string())
        })
        .await
    }

    /// Sends the documents of a message to another conversation, as new uploads. What is not on this phone is
    /// fetched first.
    pub async fn forward(
        &self,
        message_id: String,
        to: String,
        text: String,
    ) -> Result<String, HauspostError> {
        let to = ids::conversation(&to)?;
        self.about(&message_id, None, move |core, log, id| async move {
            Ok(core.forward_files((log, id), to, &text).await?.to_string())
        })
        .await
    }

    /// Gives up the upload of a message's documents: the message fails visibly.
    pub async fn give_up(&self, message_id: String) -> Result<(), HauspostError> {
        self.about(&message_id, None, |core, log, id| async move {
            Ok(core.give_up_upload(log, id).await?)
        })
        .await
    }

    /// Lets a message's documents go over a metered network, whatever their size.
    pub async fn upload_anyway(&self, message_id: String) -> Result<(), HauspostError> {
        self.about(&message_id, None, |core, log, id| async move {
            Ok(core.upload_anyway(log, id).await?)
        })
        .await
    }

    /// Fetches a document onto this phone. A call that is cancelled keeps what has come.
    #[uniffi::method(default(cancel = None))]
    pub async fn fetch(
        &self,
        message_id: String,
        position: u32,
        cancel: Option<Arc<CancelHandle>>,
    ) -> Result<(), HauspostError> {
        self.about(&message_id, cancel, move |core, log, id| async move {
            Ok(core.fetch_file(log, id, position).await?)
        })
        .await
    }

    /// Fetches a document that nobody asked for. On a metered network it fails with `metered` above the account's
    /// limit.
    #[uniffi::method(default(cancel = None))]
    pub async fn fetch_by_itself(
        &self,
        message_id: String,
        position: u32,
        cancel: Option<Arc<CancelHandle>>,
    ) -> Result<(), HauspostError> {
        self.about(&message_id, cancel, move |core, log, id| async move {
            Ok(core.fetch_file_by_itself(log, id, position).await?)
        })
        .await
    }

    /// Ends the fetching of a document for whoever waits for it; what has come is kept.
    pub fn stop_fetch(&self, message_id: String, position: u32) -> Result<(), HauspostError> {
        self.core.stop_fetch(self.log, ids::message(&message_id)?, position);
        Ok(())
    }

    /// Writes a document into a private folder, under a safe name, and gives its path. It is gone when the app
    /// suspends the account. What would be run is not opened: `document-blocked`.
    #[uniffi::method(default(cancel = None))]
    pub async fn open(
        &self,
        message_id: String,
        position: u32,
        cancel: Option<Arc<CancelHandle>>,
    ) -> Result<String, HauspostError> {
        self.about(&message_id, cancel, move |core, log, id| async move {
            let path = core.open_file(log, id, position).await?;
            path.into_os_string().into_string().map_err(|_| HauspostError::internal())
        })
        .await
    }

    /// Writes a document to where the person wants it; what stood there is replaced.
    #[uniffi::method(default(cancel = None))]
    pub async fn save(
        &self,
        message_id: String,
        position: u32,
        path: String,
        cancel: Option<Arc<CancelHandle>>,
    ) -> Result<(), HauspostError> {
        self.about(&message_id, cancel, move |core, log, id| async move {
            Ok(core.save_file(log, id, position, &PathBuf::from(path)).await?)
        })
        .await
    }

    /// A document as a stream: nothing of it lies decrypted anywhere.
    #[uniffi::method(default(cancel = None))]
    pub async fn read(
        &self,
        message_id: String,
        position: u32,
        cancel: Option<Arc<CancelHandle>>,
    ) -> Result<Arc<DocumentStream>, HauspostError> {
        self.about(&message_id, cancel, move |core, log, id| async move {
            Ok(Arc::new(DocumentStream(Arc::new(core.read_file(log, id, position).await?))))
        })
        .await
    }

    /// At most `limit` documents (500 at most), newest first, of messages before those of an earlier page.
    pub async fn page(
        &self,
        kind: DocumentKind,
        before: Option<i64>,
        limit: u32,
    ) -> Result<DocumentPage, HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        let kind = match kind {
            DocumentKind::All => read::DocumentKind::All,
            DocumentKind::Pictures => read::DocumentKind::Pictures,
            DocumentKind::Files => read::DocumentKind::Files,
        };
        runtime::run(async move {
            let page = core.documents(log, kind, before, limit).await?;
            let row = |row: read::DocumentRow| DocumentRow {
                message_id: row.message_id.to_string(),
                seq: row.seq.map(|seq| seq.0),
                author: row.author.to_string(),
                time_ms: row.t_ms as i64,
                document: row.file.into(),
            };
            Ok(DocumentPage { rows: page.rows.into_iter().map(row).collect(), next: page.next })
        })
        .await
    }

    /// The documents of this conversation that are on their way, or wait for another network.
    pub fn transfers(&self) -> Vec<Transfer> {
        let all = self.core.transfers().into_iter();
        let own = all.filter(|transfer| transfer.document.log == self.log);
        own.map(Transfer::from).collect()
    }
}

/// A document that is read piece by piece.
#[derive(uniffi::Object)]
pub struct DocumentStream(Arc<Kept>);

#[uniffi::export]
impl DocumentStream {
    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.0.layout().plain_size()
    }

    /// How many pieces it has; all have 65,536 bytes but the last.
    pub fn pieces(&self) -> u32 {
        self.0.chunks()
    }

    /// One piece, from 0 on, in any order.
    pub async fn piece(&self, number: u32) -> Result<Vec<u8>, HauspostError> {
        let kept = self.0.clone();
        runtime::run(async move {
            let piece = tokio::task::spawn_blocking(move || kept.chunk(number)).await;
            let piece = piece.map_err(|_| HauspostError::internal())?;
            Ok(piece.map_err(account::AccountError::from)?)
        })
        .await
    }
}
