//! Previews: made of the pictures that this phone sends, fetched by themselves with the messages of
//! others, and looked at before anything is shown.
//!
//! A preview travels as a document of its message, so the archive has it and nobody can slip in
//! another. What others sent is small or it is dropped unfetched; it is decoded apart, encoded anew,
//! and lies in the database from then on, so that a page of a dialog is read in one go.

use std::path::Path;

use hauspost_protocol::content;
use hauspost_protocol::ids::{LogId, MessageId};
use hauspost_protocol::limits;
use hauspost_protocol::statement::FileRole;
use tokio::sync::Notify;

use super::documents::{Attachment, DocumentOrigin, Worked, blocking, document, lock};
use super::engine::Core;
use super::{Account, AccountError};
use crate::file::DocumentError;
use crate::file::preview::{self, Bounds, PREVIEW_BYTES, Preview, PreviewFault};
use crate::read;
use crate::store::Tx;
use crate::store::rows::file::DocumentId;
use crate::store::rows::log::LocalLog;
use crate::store::rows::picture as pictures;
use crate::store::rows::preview::{self as rows, ShownPreview, Waiting};

/// How long making or looking at one may take.
const DEADLINE_MS: u64 = 10_000;
/// What a preview is called: its picture's name says nothing to anybody.
const NAME: &str = "preview";

/// What an account knows of this work while it is open.
#[derive(Default)]
pub(super) struct Previews {
    /// A message has come, or was written.
    pub(super) to_look: Notify,
    /// One round at a time.
    one: tokio::sync::Mutex<()>,
    /// What is being looked at now.
    now: std::sync::Mutex<Option<(LocalLog, i64)>>,
    /// The conversation whose picture is being looked at now.
    picture: std::sync::Mutex<Option<LocalLog>>,
}

/// What became of fetching something that is to be looked at; an error, if it is tried again.
fn judged(
    picture: Result<Vec<u8>, AccountError>,
) -> Result<Result<Vec<u8>, PreviewFault>, AccountError> {
    match picture {
        Ok(picture) => Ok(Ok(picture)),
        Err(AccountError::Document(DocumentError::TooLarge)) => Ok(Err(PreviewFault::TooLarge)),
        Err(AccountError::Document(DocumentError::Damaged)) => Ok(Err(PreviewFault::Damaged)),
        Err(AccountError::Document(DocumentError::Gone)) => Ok(Err(PreviewFault::Gone)),
        Err(error) => Err(error),
    }
}

impl Account {
    /// Fetches the previews that wait, newest first, and looks at them.
    pub async fn fetch_previews(&self) -> Result<(), AccountError> {
        self.core.look_at_previews().await
    }

    /// The previews of the documents of these messages, as far as they are on this phone.
    pub async fn previews(
        &self,
        log: LogId,
        messages: Vec<MessageId>,
    ) -> Result<Vec<ShownPreview>, AccountError> {
        self.core.store.read(move |conn| Ok(read::previews(conn, log, &messages)?)).await
    }
}

impl Core {
    /// Documents with a preview behind them for each that is a picture and has none.
    pub(super) async fn with_previews(&self, mut all: Vec<Attachment>) -> Vec<Attachment> {
        for position in 0..all.len() {
            let of = Some(position as u64);
            let has_one = all.iter().any(|one| one.role == FileRole::Preview && one.of == of);
            let DocumentOrigin::Path(path) = &all[position].origin else { continue };
            if has_one || all[position].role != FileRole::Original || all.len() >= limits::FILES {
                continue;
            }
            let made = self.made_small(path, Bounds::PREVIEW).await.unwrap_or_else(|error| {
                tracing::debug!(code = error.code(), "a picture goes without a preview");
                None
            });
            if let Some(Preview { media_type, picture, .. }) = made {
                all.push(Attachment {
                    origin: DocumentOrigin::Bytes(picture),
                    name: NAME.to_owned(),
                    media_type: Some(media_type.to_owned()),
                    role: FileRole::Preview,
                    of,
                });
            }
        }
        all
    }

    /// A picture that is to be sent, made small; nothing of what is none, or cannot be decoded in time.
    pub(super) async fn made_small(
        &self,
        path: &Path,
        bounds: Bounds,
    ) -> Result<Option<Preview>, AccountError> {
        let worked = Worked::path(path.to_owned()).await?;
        if !preview::is_picture(&worked.beginning) {
            return Ok(None);
        }
        let deadline = self.env.clock.sleep(DEADLINE_MS);
        self.work_on(&worked, preview::of(path, bounds, deadline)).await
    }

    pub(super) async fn look_at_previews(&self) -> Result<(), AccountError> {
        let _one = self.previews.one.lock().await;
        let mut before = i64::MAX;
        loop {
            let next = move |conn: &_| Ok::<_, AccountError>(rows::next_waiting(conn, before)?);
            let Some(waiting) = self.store.read(next).await? else { break };
            before = waiting.id;
            self.look_at(waiting).await?;
        }
        self.look_at_pictures().await
    }

    async fn look_at(&self, waiting: Waiting) -> Result<(), AccountError> {
        let (log, id) = (waiting.log, waiting.id);
        let is_small = waiting.file.plain_size <= PREVIEW_BYTES as u64;
        let which = document(waiting.log.id, waiting.message_id, waiting.position);
        let picture = match is_small {
            true => self.small_bytes(which, waiting.is_here).await,
            false => Err(DocumentError::TooLarge.into()),
        };
        let picture = judged(picture)?;
        // Before it is begun: a suspension in between is no fault of the preview's either.
        *lock(&self.previews.now) = Some((log, id));
        let begin = move |tx: &Tx<'_>| Ok::<_, AccountError>(rows::begin(tx, log, id)?);
        if !self.store.write(begin).await? {
            *lock(&self.previews.now) = None;
            return Ok(());
        }
        let looked = match picture {
            Ok(picture) => {
                let deadline = self.env.clock.sleep(DEADLINE_MS);
                let named = waiting.file.media_type;
                preview::examine(picture, named, Bounds::PREVIEW, deadline).await
            }
            Err(fault) => Err(fault),
        };
        if let Err(fault) = &looked {
            tracing::info!(log = %log.id, %fault, "a preview is not shown");
        }
        let end = move |tx: &Tx<'_>| Ok::<_, AccountError>(rows::end(tx, log, id, looked)?);
        self.store.write(end).await?;
        *lock(&self.previews.now) = None;
        Ok(())
    }

    /// The pictures of conversations that wait to be looked at.
    async fn look_at_pictures(&self) -> Result<(), AccountError> {
        let mut after = 0;
        loop {
            let next = move |conn: &_| Ok::<_, AccountError>(pictures::next_waiting(conn, after)?);
            let Some(waiting) = self.store.read(next).await? else { return Ok(()) };
            after = waiting.log.number;
            let (log, seq) = (waiting.log, waiting.seq);
            let which = document(log.id, waiting.message_id, 0);
            let picture = match content::picture(std::slice::from_ref(&waiting.file)) {
                Some(Some(_)) => self.small_bytes(which, waiting.is_here).await,
                _ => Err(DocumentError::TooLarge.into()),
            };
            let picture = judged(picture)?;
            *lock(&self.previews.picture) = Some(log);
            let begin = move |tx: &Tx<'_>| Ok::<_, AccountError>(pictures::begin(tx, log, seq)?);
            if !self.store.write(begin).await? {
                *lock(&self.previews.picture) = None;
                continue;
            }
            let looked = match picture {
                Ok(picture) => {
                    let deadline = self.env.clock.sleep(DEADLINE_MS);
                    let named = waiting.file.media_type;
                    preview::examine(picture, named, Bounds::PICTURE, deadline).await
                }
                Err(fault) => Err(fault),
            };
            if let Err(fault) = &looked {
                tracing::info!(log = %log.id, %fault, "a picture is not shown");
            }
            let end =
                move |tx: &Tx<'_>| Ok::<_, AccountError>(pictures::end(tx, log, seq, looked)?);
            self.store.write(end).await?;
            *lock(&self.previews.picture) = None;
        }
    }

    /// A small document as it came, no larger than a chunk; its copy goes, if it was fetched for this
    /// only.
    async fn small_bytes(&self, which: DocumentId, is_here: bool) -> Result<Vec<u8>, AccountError> {
        let kept = match is_here {
            true => self.own_copy(which).await?,
            false => self.fetch(which, false).await?.kept,
        };
        let bytes = blocking(move || kept.chunk(0)).await?;
        if !is_here {
            self.drop_copy_of(which).await?;
        }
        Ok(bytes)
    }

    /// Gives back the try at what was being looked at when this account was suspended.
    pub(super) async fn settle_previews(&self) {
        let picture = lock(&self.previews.picture).take();
        if let Some(log) = picture {
            let put_off = move |tx: &Tx<'_>| Ok::<_, AccountError>(pictures::put_off(tx, log)?);
            if let Err(error) = self.store.write(put_off).await {
                tracing::debug!(code = error.code(), "a picture stays begun");
            }
        }
        let Some((_, id)) = lock(&self.previews.now).take() else { return };
        let put_off = move |tx: &Tx<'_>| Ok::<_, AccountError>(rows::put_off(tx, id)?);
        if let Err(error) = self.store.write(put_off).await {
            tracing::debug!(code = error.code(), "a preview stays begun");
        }
    }
}
