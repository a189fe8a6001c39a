//! What people do with a message's documents: attach them, give them up, send them again.

use std::path::{Path, PathBuf};

use hauspost_protocol::crypto::Secret;
use hauspost_protocol::file::Layout;
use hauspost_protocol::ids::{Digest, LogId, MessageId, TimeMs};
use hauspost_protocol::limits;
use hauspost_protocol::statement::{File, FileRole};

use super::{Documents, Worked, blocking, lock};
use crate::account::engine::Core;
use crate::account::{Account, AccountError, Draft, Shows};
use crate::file::kind::{self, Rule};
use crate::file::source;
use crate::file::text::{self, INPUT_BYTES};
use crate::file::vault::Vault;
use crate::file::{DocumentError, kind::LOOKED_AT};
use crate::outbox::{REASON_CHANGED, REASON_GIVEN_UP};
use crate::store::rows::file::{self, DocumentId, Origin};
use crate::store::rows::log::{self, LocalLog};
use crate::store::rows::message::{self, MessageState};
use crate::store::rows::outbox::{self, Intent, IntentState};
use crate::store::{StoreError, Tx};

/// How long counting the pages of one document may take.
const PAGES_MS: u64 = 3_000;
/// Bytes of a document that is handed over in memory, at most.
const MEMORY_BYTES: usize = 1 << 20;

/// Where a document comes from that is to be sent.
#[derive(Clone, PartialEq, Eq)]
pub enum DocumentOrigin {
    /// A file, which has to stay as it is until the message is sent.
    Path(PathBuf),
    /// Something small that was made for this message, such as a preview. It is kept on this phone.
    Bytes(Vec<u8>),
    /// A document of another message. It is sent anew under a new key from this phone's own copy, and
    /// fetched first if it is not here (`docs/attacks.md` 31).
    Document(DocumentId),
}

/// A document to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Where it comes from.
    pub origin: DocumentOrigin,
    /// Its name, 255 bytes at most.
    pub name: String,
    /// Its media type, as the app was told it; what its content shows counts more.
    pub media_type: Option<String>,
    /// What it is to the message.
    pub role: FileRole,
    /// The place in the list of the document that it belongs to.
    pub of: Option<u64>,
}

impl Attachment {
    /// A file under its own name.
    pub fn path(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Self {
            name: name.unwrap_or_default(),
            origin: DocumentOrigin::Path(path),
            media_type: None,
            role: FileRole::Original,
            of: None,
        }
    }
}

/// A document that was looked at and is to be noted with its message.
pub(in crate::account) struct Attached {
    pub file: File,
    /// How many pages it has, if it has pages and they were counted.
    pub pages: Option<u32>,
    origin: Origin,
    bytes: Option<(Vec<u8>, Secret)>,
}

impl Account {
    /// Sends documents, sixteen at most, with a text, if any. Returns when the message is stored on this
    /// phone; the files have to stay as they are until the message is sent.
    pub async fn send_files(
        &self,
        log: LogId,
        attachments: Vec<Attachment>,
        text: &str,
    ) -> Result<MessageId, AccountError> {
        self.send_with(log, attachments, Draft::plain(text)).await
    }

    /// Sends documents with a text in any form, if any, as [`Account::send_files`] does.
    pub async fn send_with(
        &self,
        log: LogId,
        attachments: Vec<Attachment>,
        draft: Draft<'_>,
    ) -> Result<MessageId, AccountError> {
        if attachments.is_empty() {
            return Err(DocumentError::Missing.into());
        }
        let attachments = self.core.with_previews(attachments).await;
        let attached = self.core.attached(attachments).await?;
        let is_sound = |attached: &Attached| attached.file.media_type.starts_with("audio/");
        if matches!(draft.shows, Shows::Voice(_)) && !attached.iter().all(is_sound) {
            return Err(DocumentError::NoSound.into());
        }
        let id = self.send_message(log, draft, attached).await?;
        self.core.documents.to_upload.notify_one();
        self.core.previews.to_look.notify_one();
        Ok(id)
    }

    /// Sends one document with a text, if any, as [`Account::send_files`] does.
    pub async fn send_file(
        &self,
        log: LogId,
        source: &Path,
        name: &str,
        media_type: &str,
        caption: &str,
    ) -> Result<MessageId, AccountError> {
        let media_type = Some(media_type.to_owned()).filter(|said| !said.is_empty());
        let attachment =
            Attachment { name: name.to_owned(), media_type, ..Attachment::path(source) };
        self.send_files(log, vec![attachment], caption).await
    }

    /// The documents of a message as they are sent with another one: for forwarding.
    pub async fn attachments(
        &self,
        log: LogId,
        message_id: MessageId,
    ) -> Result<Vec<Attachment>, AccountError> {
        let files = self.core.store.read(move |conn| {
            let local = log::local(conn, log)?.ok_or(AccountError::NoConversation)?;
            Ok::<_, AccountError>(file::of_message(conn, local.number, message_id)?)
        });
        let of = |(position, file): (u32, File)| Attachment {
            origin: DocumentOrigin::Document(super::document(log, message_id, position)),
            name: file.name,
            media_type: Some(file.media_type),
            role: file.role,
            of: file.of,
        };
        Ok((0u32..).zip(files.await?).map(of).collect())
    }

    /// Sends the documents of a message to another conversation, each under a new key, with a text, if
    /// any. What is not on this phone is fetched before it is sent.
    pub async fn forward_files(
        &self,
        from: (LogId, MessageId),
        to: LogId,
        text: &str,
    ) -> Result<MessageId, AccountError> {
        let attachments = self.attachments(from.0, from.1).await?;
        self.send_files(to, attachments, text).await
    }

    /// Gives up the upload of a message's documents: the message fails, and may be sent again or taken
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
                let (local, intent) = uploading(tx, log, message_id)?;
                outbox::fail(tx, intent.id, REASON_GIVEN_UP)?;
                Ok::<_, AccountError>(message::set_state(
                    tx,
                    local,
                    message_id,
                    MessageState::Failed,
                )?)
            })
            .await?;
        self.core.documents.forget_held(log, message_id);
        Ok(())
    }

    /// Lets a message's documents go over a metered network, whatever their size.
    pub async fn upload_anyway(
        &self,
        log: LogId,
        message_id: MessageId,
    ) -> Result<(), AccountError> {
        self.core
            .store
            .write(move |tx| {
                let (local, _) = uploading(tx, log, message_id)?;
                Ok::<_, AccountError>(file::send_anyway(tx, local, message_id)?)
            })
            .await?;
        self.core.documents.to_upload.notify_one();
        Ok(())
    }
}

/// The intent of a message whose documents are on their way.
fn uploading(
    tx: &Tx<'_>,
    log: LogId,
    message_id: MessageId,
) -> Result<(LocalLog, Intent), AccountError> {
    let local = log::local(tx, log)?.ok_or(AccountError::NoConversation)?;
    let intent = outbox::by_message(tx, log, message_id)?;
    let intent = intent.filter(|intent| intent.state == IntentState::Uploading);
    Ok((local, intent.ok_or(AccountError::Message)?))
}

impl Documents {
    /// Nothing of this message waits for another network any more.
    pub(super) fn forget_held(&self, log: LogId, message_id: MessageId) {
        lock(&self.transfers).retain(|which, transfer| {
            (which.log, which.message_id) != (log, message_id)
                || transfer.state != super::TransferState::Held
        });
    }
}

impl Core {
    /// Looks at documents before they are sent: each is there, no larger than allowed, and what it is
    /// called and shows may be sent.
    pub(in crate::account) async fn attached(
        &self,
        attachments: Vec<Attachment>,
    ) -> Result<Vec<Attached>, AccountError> {
        if attachments.len() > limits::FILES {
            return Err(DocumentError::TooMany.into());
        }
        let count = attachments.len() as u64;
        let rule = self.document_rule().await?;
        let mut attached = Vec::with_capacity(attachments.len());
        for attachment in attachments {
            let rng = &mut self.env.randomness.rng();
            let keys = (Secret::random(rng), Secret::random(rng));
            if attachment.name.len() > limits::NAME_BYTES
                || attachment.of.is_some_and(|of| of >= count)
            {
                return Err(DocumentError::Name.into());
            }
            let known = match &attachment.origin {
                DocumentOrigin::Document(of) => Some(self.named(*of).await?),
                _ => None,
            };
            let rule = rule.clone();
            let looked = move || look(attachment, known, keys, &rule);
            let mut one = blocking(looked).await?;
            if one.file.media_type == kind::PDF && one.file.role == FileRole::Original {
                one.pages = self.pages(&one).await?;
            }
            attached.push(one);
        }
        Ok(attached)
    }

    /// How many pages a PDF has: receivers are to see it before they fetch it. None of one that cannot be
    /// read, or not in a moment.
    async fn pages(&self, attached: &Attached) -> Result<Option<u32>, AccountError> {
        let document = match (&attached.origin, &attached.bytes) {
            (Origin::Document(of), _) => {
                let of = *of;
                return self
                    .store
                    .read(move |conn| {
                        let local =
                            log::local(conn, of.log)?.ok_or(AccountError::NoConversation)?;
                        let files = file::shown(conn, local.number, of.message_id)?;
                        let file = files.into_iter().find(|file| file.position == of.position);
                        Ok(file.and_then(|file| file.pages))
                    })
                    .await;
            }
            (_, Some((bytes, _))) => bytes.clone(),
            (Origin::Path(path), None) if attached.file.plain_size <= INPUT_BYTES => {
                let path = path.clone();
                blocking(move || std::fs::read(path).map_err(DocumentError::Unreadable)).await?
            }
            _ => return Ok(None),
        };
        let worked = Worked::bytes(&document);
        self.work_on(&worked, text::pages(document, self.env.clock.sleep(PAGES_MS))).await
    }

    /// A document of a message, as its author named it.
    async fn named(&self, of: DocumentId) -> Result<File, AccountError> {
        self.store
            .read(move |conn| {
                let local = log::local(conn, of.log)?.ok_or(AccountError::NoConversation)?;
                let file = file::find(conn, local, of.message_id, of.position)?;
                file.ok_or(DocumentError::Missing.into())
            })
            .await
    }
}

fn look(
    attachment: Attachment,
    known: Option<File>,
    (key, copy_key): (Secret, Secret),
    rule: &Rule,
) -> Result<Attached, DocumentError> {
    let Attachment { origin, name, media_type, role, of } = attachment;
    let (size, beginning, origin, bytes) = match origin {
        DocumentOrigin::Path(path) => {
            let (size, beginning) = source::look(&path)?;
            let path = path.into_os_string().into_string().map_err(|_| DocumentError::Name)?;
            (size, beginning, Origin::Path(path), None)
        }
        DocumentOrigin::Bytes(bytes) if bytes.len() > MEMORY_BYTES => {
            return Err(DocumentError::TooLarge);
        }
        DocumentOrigin::Bytes(bytes) => {
            let beginning = bytes[..bytes.len().min(LOOKED_AT)].to_vec();
            (bytes.len() as u64, beginning, Origin::Copy, Some((bytes, copy_key)))
        }
        // What it shows was looked at when it was sent first, and is again when it is read.
        DocumentOrigin::Document(of) => {
            let size = known.as_ref().map_or(0, |known| known.plain_size);
            (size, Vec::new(), Origin::Document(of), None)
        }
    };
    if !rule.lets_send(&name, &beginning) {
        return Err(DocumentError::Blocked);
    }
    if size > rule.most_bytes {
        return Err(DocumentError::AboveLimit(rule.most_bytes));
    }
    let media_type = match known {
        Some(known) => known.media_type,
        None => kind::media_type(&beginning, &name, media_type.as_deref()),
    };
    let file = File { name, media_type, role, of, ..unread(key, size)? };
    Ok(Attached { file, pages: None, origin, bytes })
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

/// Notes a message's documents with it: they are uploaded before it is sealed.
pub(in crate::account) fn attach(
    tx: &Tx<'_>,
    vault: &Vault,
    (log, message_id): (LocalLog, MessageId),
    intent: i64,
    attached: Vec<Attached>,
    now_ms: TimeMs,
) -> Result<(), AccountError> {
    let files: Vec<File> = attached.iter().map(|attached| attached.file.clone()).collect();
    file::insert(tx, log, message_id, &files)?;
    for (position, attached) in (0u32..).zip(attached) {
        let which = (message_id, position);
        file::put_upload(tx, log, which, intent, &attached.origin)?;
        if let Some((bytes, key)) = attached.bytes {
            let size = attached.file.blob_size;
            let copy = file::begin_copy(tx, log, which, (&key, size), now_ms)?;
            let layout = Layout::of_blob(size).ok_or(DocumentError::TooLarge)?;
            // The row is committed after the bytes are durable; bytes without a row are tidied away.
            vault.open(copy.id, &copy.key, layout)?.put_all(&bytes)?;
            file::complete_copy(tx, log, copy.id)?;
        }
    }
    Ok(outbox::wait_for_upload(tx, intent)?)
}

/// A failed message is sent again: what was changed is read anew and gets a new key, the rest goes on
/// where it stopped.
pub(in crate::account) fn retry(
    tx: &Tx<'_>,
    local: LocalLog,
    intent: &Intent,
    keys: &[Secret],
) -> Result<(), AccountError> {
    let Some(message_id) = intent.message_id else { return Ok(()) };
    if !file::ask_again(tx, local, message_id)? {
        return Ok(());
    }
    if intent.reason == Some(REASON_CHANGED) {
        for ((position, path), key) in file::sources(tx, local, message_id)?.into_iter().zip(keys) {
            let old = file::find(tx, local, message_id, position)?;
            let old = old.ok_or(StoreError::Missing("document"))?;
            let (size, beginning) = source::look(Path::new(&path))?;
            let media_type = kind::media_type(&beginning, &old.name, Some(&old.media_type));
            let (name, role, of) = (old.name, old.role, old.of);
            let new = File { name, media_type, role, of, ..unread(key.clone(), size)? };
            file::begin_anew(tx, local, (message_id, position), &new)?;
        }
    }
    Ok(outbox::wait_for_upload(tx, intent.id)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_above_the_policys_limit_is_refused_with_the_limit_before_anything_is_read() {
        let attached = |bytes: usize, most_bytes| {
            let attachment = Attachment {
                origin: DocumentOrigin::Bytes(vec![b'a'; bytes]),
                name: "a.txt".to_owned(),
                media_type: None,
                role: FileRole::Original,
                of: None,
            };
            let rule = Rule { most_bytes, ..Rule::default() };
            let keys = (Secret::new([1; 32]), Secret::new([2; 32]));
            look(attachment, None, keys, &rule).map(|attached| attached.file.plain_size)
        };
        assert_eq!(attached(20_480, 20_480).unwrap(), 20_480);
        let refused = attached(20_481, 20_480).err().unwrap();
        assert!(matches!(refused, DocumentError::AboveLimit(20_480)));
        assert!(refused.to_string().contains("20 KiB"), "{refused}");
        for (bytes, said) in [(2 << 30, "2 GiB"), (100 << 20, "100 MiB"), (999, "999 bytes")] {
            assert!(DocumentError::AboveLimit(bytes).to_string().contains(said), "{bytes}");
        }
    }
}
