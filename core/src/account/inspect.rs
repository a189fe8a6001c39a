//! Reading the text of documents that are on this phone, so that they are found by their words.
//!
//! Background work of its own: one document after the other, in memory and on a thread that may die,
//! and no transaction is open meanwhile. How far each document is stands in the database. A kill
//! leaves it begun, and what kills the phone each time it is begun is given up.

use std::path::Path;
use std::sync::{Arc, Mutex};

use hauspost_protocol::crypto::sha256;
use hauspost_protocol::file::Layout;
use hauspost_protocol::ids::MessageId;
use hauspost_protocol::statement::FileRole;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::documents::{blocking, lock};
use super::engine::Core;
use super::{Account, AccountError};
use crate::file::DocumentError;
use crate::file::text::{self, INPUT_BYTES, TextError};
use crate::file::vault::Vault;
use crate::store::rows::file;
use crate::store::rows::file_text::{self, Lies, Waiting};
use crate::store::rows::log::LocalLog;

/// How long reading one document may take.
const DEADLINE_MS: u64 = 20_000;
/// Readers that did not end in time and still run; while there are so many none begins.
const LEFT_BEHIND: usize = 2;

/// A document of a message.
type Which = (LocalLog, MessageId, u32);

/// What an account knows of this work while it is open.
pub(super) struct Inspecting {
    /// A document has come, or was sent.
    pub(super) to_inspect: Notify,
    /// One at a time.
    one: tokio::sync::Mutex<()>,
    /// What is being read now.
    now: Mutex<Option<Which>>,
    running: Arc<Semaphore>,
}

impl Default for Inspecting {
    fn default() -> Self {
        let running = Arc::new(Semaphore::new(LEFT_BEHIND));
        let one = tokio::sync::Mutex::default();
        Self { to_inspect: Notify::new(), one, now: Mutex::default(), running }
    }
}

impl Account {
    /// Reads the text of every document on this phone that was not read yet.
    pub async fn inspect_documents(&self) -> Result<(), AccountError> {
        self.core.inspect_all().await
    }
}

impl Core {
    pub(super) async fn inspect_all(&self) -> Result<(), AccountError> {
        let _one = self.inspecting.one.lock().await;
        let next = |conn: &_| Ok::<_, AccountError>(file_text::next_waiting(conn)?);
        while let Some(waiting) = self.store.read(next).await? {
            // Who waits behind a reader that never ends waits for the next start.
            let running = Arc::clone(&self.inspecting.running).acquire_owned().await;
            let Ok(running) = running else { return Ok(()) };
            self.inspect(waiting, running).await?;
        }
        Ok(())
    }

    async fn inspect(
        &self,
        waiting: Waiting,
        running: OwnedSemaphorePermit,
    ) -> Result<(), AccountError> {
        let (log, message_id, position) = (waiting.log, waiting.message_id, waiting.position);
        // Before it is begun: a suspension in between is no fault of the document's either.
        *lock(&self.inspecting.now) = Some((log, message_id, position));
        let begun = self.store.write(move |tx| {
            Ok::<_, AccountError>(file_text::begin(tx, log, message_id, position)?)
        });
        if !begun.await? {
            *lock(&self.inspecting.now) = None;
            tracing::warn!(log = %log.id, "a document was given up over which the process ended");
            return Ok(());
        }
        let vault = self.documents.vault.clone();
        let is_kept = matches!(waiting.lies, Lies::Kept(_));
        let read = match blocking(move || Ok(bytes(&vault, &waiting))).await? {
            Ok(document) => {
                let deadline = self.env.clock.sleep(DEADLINE_MS);
                text::read(document, deadline, running).await
            }
            Err(error) => Err(error),
        };
        let ended = self.store.write(move |tx| {
            let which = (message_id, position);
            // Its copy had to make room meanwhile: it is read when it is fetched again.
            if is_kept && read.is_err() && file::copy(tx, log, message_id, position)?.is_none() {
                return Ok(file_text::put_off(tx, log, message_id, position)?);
            }
            Ok::<_, AccountError>(file_text::end(tx, log, which, read)?)
        });
        ended.await?;
        *lock(&self.inspecting.now) = None;
        Ok(())
    }

    /// Puts off what was being read when this account was suspended: the document is not to blame.
    pub(super) async fn settle_inspection(&self) {
        let Some((log, message_id, position)) = lock(&self.inspecting.now).take() else { return };
        let put_off = self.store.write(move |tx| {
            Ok::<_, AccountError>(file_text::put_off(tx, log, message_id, position)?)
        });
        if let Err(error) = put_off.await {
            tracing::debug!(code = error.code(), "a document stays begun");
        }
    }
}

/// The whole document, which has to be the one that its author signed.
fn bytes(vault: &Vault, waiting: &Waiting) -> Result<Vec<u8>, TextError> {
    // Previews are pictures, and their originals are read.
    if waiting.file.role != FileRole::Original {
        return Err(TextError::Kind);
    }
    let size = waiting.file.plain_size;
    if size > INPUT_BYTES {
        return Err(TextError::TooLarge);
    }
    let document = match &waiting.lies {
        Lies::Kept(copy) => {
            let layout = Layout::of_plain(size).ok_or(TextError::Damaged)?;
            let kept = vault.open(copy.id, &copy.key, layout).map_err(gone)?;
            let chunks = (0..kept.chunks()).map(|chunk| kept.chunk(chunk));
            chunks.collect::<Result<Vec<_>, _>>().map_err(gone)?.concat()
        }
        Lies::Chosen(path) => {
            let path = Path::new(path);
            let is_same_size = std::fs::metadata(path).is_ok_and(|about| about.len() == size);
            let read = is_same_size.then(|| std::fs::read(path).ok()).flatten();
            read.ok_or(TextError::Damaged)?
        }
    };
    let is_signed = sha256(&document) == waiting.file.plain_hash;
    if is_signed { Ok(document) } else { Err(TextError::Damaged) }
}

fn gone(_: DocumentError) -> TextError {
    TextError::Damaged
}
