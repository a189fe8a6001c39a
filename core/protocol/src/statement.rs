//! What an author says in one record, with everything that makes it his: device, time, counter, and
//! the newest entry that he had seen.
//!
//! Members, archive and verifier read these same bytes; they are signed together with the entry's
//! head, and that signature is meant as evidence (docs/attacks.md 37). Content is a byte string
//! that [`content`](crate::content) opens.

use std::fmt;

use crate::code_item;
use crate::crypto::Secret;
use crate::encoding::{Bytes, FormError, Item, Reader, Writer, decode, encode};
use crate::entry::{BlobRef, Seen};
use crate::file::Layout;
use crate::ids::{DeviceId, Digest, TimeMs};
use crate::limits;
use crate::tree::checkpoint::TreeHead;

code_item! {
    /// What a statement's content is.
    pub enum PayloadType {
        /// A message (MIMI content).
        Content = 0,
        /// Something about a message: redaction, acknowledgement, notice.
        Control = 1,
        /// Read receipts; transient.
        Receipt = 2,
        /// What the devices of one person agree on: where he has read, drafts, what he put away.
        /// Transient, and in his own log only.
        OwnState = 3,
    }
}

impl PayloadType {
    /// Whether such a record is transient: how people behave and not what they said. No archive opens
    /// it, and no grant gives it.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Receipt | Self::OwnState)
    }
}

/// One message's statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The author's device.
    pub device: DeviceId,
    /// The author's clock; information only, the server's time orders and retention counts by it.
    pub t_ms: TimeMs,
    /// The number of this device's earlier records in this log, over all epochs and generations:
    /// the author's signed claim that nothing of his is missing (docs/attacks.md 7).
    pub dctr: u64,
    /// The newest entry of this log that the author had processed.
    pub seen: Seen,
    /// The newest checkpoint that the author verified: a server that shows two people two histories
    /// is caught by the first statement that crosses between them.
    pub checkpoint: Option<TreeHead>,
    /// What the content is.
    pub ptype: PayloadType,
    /// The content's bytes.
    pub content: Bytes,
    /// The files that belong to it.
    pub files: Vec<File>,
}

const VERSION: u64 = 1;

impl Statement {
    /// The statement's bytes, ready to be sealed.
    ///
    /// # Errors
    /// The statement exceeds a limit. One that does not always fits into a payload.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormError> {
        self.check()?;
        Ok(encode(self))
    }

    /// Reads a statement within its limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        decode(bytes)
    }

    /// The files as the head must name them: in their order, each once.
    pub fn blobs(&self) -> impl Iterator<Item = BlobRef> + '_ {
        self.files.iter().map(|file| (file.blob_root, file.blob_size))
    }

    fn check(&self) -> Result<(), FormError> {
        if self.content.len() > limits::CONTENT_BYTES || self.files.len() > limits::FILES {
            return Err(FormError::TooLarge);
        }
        self.files.iter().try_for_each(|file| file.check(self.files.len()))
    }
}

impl Item for Statement {
    fn write(&self, to: &mut Writer) {
        to.array(9);
        to.uint(VERSION);
        self.device.write(to);
        self.t_ms.write(to);
        self.dctr.write(to);
        self.seen.write(to);
        self.checkpoint.write(to);
        self.ptype.write(to);
        self.content.write(to);
        self.files.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let statement = from.array(9, |from| {
            if from.uint()? != VERSION {
                return Err(FormError::Unlisted);
            }
            Ok(Self {
                device: Item::read(from)?,
                t_ms: Item::read(from)?,
                dctr: Item::read(from)?,
                seen: Item::read(from)?,
                checkpoint: Item::read(from)?,
                ptype: Item::read(from)?,
                content: Item::read(from)?,
                files: Item::read(from)?,
            })
        })?;
        statement.check()?;
        Ok(statement)
    }
}

code_item! {
    /// What a file is to its message.
    pub enum FileRole {
        /// The document itself.
        Original = 0,
        /// A small picture of another file of the statement.
        Preview = 1,
        /// Another file of the statement in another form.
        Rendition = 2,
    }
}

/// A file of a record: where its ciphertext lies, the key that opens it, and what it is
/// (docs/protocol.md §8).
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Root of the ciphertext's tree hash.
    pub blob_root: Digest,
    /// The ciphertext's size in bytes.
    pub blob_size: u64,
    /// FK, drawn anew for every upload.
    pub key: Secret,
    /// The plaintext's size in bytes.
    pub plain_size: u64,
    /// SHA-256 of the plaintext.
    pub plain_hash: Digest,
    /// The file's name, as the author's phone had it.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// What it is to the message.
    pub role: FileRole,
    /// The position in the statement's file list of the file that this one belongs to.
    pub of: Option<u64>,
}

impl File {
    fn check(&self, files: usize) -> Result<(), FormError> {
        if self.blob_size > limits::BLOB_BYTES
            || self.name.len() > limits::NAME_BYTES
            || self.media_type.len() > limits::NAME_BYTES
        {
            return Err(FormError::TooLarge);
        }
        let layout = Layout::of_blob(self.blob_size);
        let fits = layout.is_some_and(|layout| layout.plain_size() == self.plain_size);
        if !fits || self.of.is_some_and(|of| of >= files as u64) {
            Err(FormError::Malformed)
        } else {
            Ok(())
        }
    }
}

/// Shows the ciphertext's root only: name and type of a file are content.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({}, {} B)", self.blob_root, self.blob_size)
    }
}

impl Item for File {
    fn write(&self, to: &mut Writer) {
        to.array(9);
        self.blob_root.write(to);
        self.blob_size.write(to);
        self.key.write(to);
        self.plain_size.write(to);
        self.plain_hash.write(to);
        to.text(&self.name);
        to.text(&self.media_type);
        self.role.write(to);
        self.of.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.array(9, |from| {
            Ok(Self {
                blob_root: Item::read(from)?,
                blob_size: Item::read(from)?,
                key: Item::read(from)?,
                plain_size: Item::read(from)?,
                plain_hash: Item::read(from)?,
                name: Item::read(from)?,
                media_type: Item::read(from)?,
                role: Item::read(from)?,
                of: Item::read(from)?,
            })
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ids::{EntryHash, Seq};

    pub(crate) fn statement(content: &[u8]) -> Statement {
        Statement {
            device: DeviceId([4; 16]),
            t_ms: 1_795_000_000_000,
            dctr: 3,
            seen: Seen { seq: Seq(9), hash: EntryHash([5; 32]) },
            checkpoint: Some(TreeHead { era: 0, size: 12, root: Digest([6; 32]) }),
            ptype: PayloadType::Content,
            content: content.into(),
            files: Vec::new(),
        }
    }

    pub(crate) fn file(name: &str) -> File {
        File {
            blob_root: Digest([7; 32]),
            blob_size: 116,
            key: Secret::new([8; 32]),
            plain_size: 100,
            plain_hash: Digest([9; 32]),
            name: name.to_owned(),
            media_type: "application/pdf".to_owned(),
            role: FileRole::Original,
            of: None,
        }
    }

    #[test]
    fn a_statement_reads_back() {
        let with_file = Statement { files: vec![file("Lieferschein.pdf")], ..statement(b"x") };
        for statement in
            [statement(b""), Statement { checkpoint: None, ..statement(b"") }, with_file]
        {
            assert_eq!(Statement::parse(&statement.to_bytes().unwrap()), Ok(statement));
        }
    }

    #[test]
    fn a_statement_over_a_limit_is_neither_made_nor_read() {
        let base = statement(b"");
        let too_many = Statement { files: vec![file("a"); limits::FILES + 1], ..base.clone() };
        let too_long = Statement { files: vec![file(&"ä".repeat(128))], ..base.clone() };
        let too_big = File { blob_size: limits::BLOB_BYTES + 1, ..file("a") };
        let cases = [
            statement(&vec![0; limits::CONTENT_BYTES + 1]),
            too_many,
            too_long,
            Statement { files: vec![too_big], ..base },
        ];
        for statement in cases {
            assert_eq!(statement.to_bytes(), Err(FormError::TooLarge));
            assert_eq!(Statement::parse(&encode(&statement)), Err(FormError::TooLarge));
        }
    }

    #[test]
    fn a_file_belongs_to_a_file_of_the_same_statement_only() {
        let preview = File { role: FileRole::Preview, of: Some(1), ..file("a") };
        let mut statement = Statement { files: vec![preview], ..statement(b"") };
        assert_eq!(statement.to_bytes(), Err(FormError::Malformed));
        statement.files.push(file("b"));
        assert!(statement.to_bytes().is_ok());
    }

    #[test]
    fn a_file_whose_two_sizes_do_not_fit_each_other_is_refused() {
        for (blob_size, plain_size) in [(116, 101), (116, 0), (15, 0), (65_568, 65_536)] {
            let lying = File { blob_size, plain_size, ..file("a") };
            let statement = Statement { files: vec![lying], ..statement(b"") };
            assert_eq!(statement.to_bytes(), Err(FormError::Malformed));
        }
    }

    #[test]
    fn an_unlisted_payload_type_and_another_version_are_refused() {
        let bytes = statement(b"").to_bytes().unwrap();
        let other_version = [&bytes[..1], &[2], &bytes[2..]].concat();
        assert_eq!(Statement::parse(&other_version), Err(FormError::Unlisted));
        let ptype = bytes.len() - 3;
        let other_type = [&bytes[..ptype], &[23], &bytes[ptype + 1..]].concat();
        assert_eq!(Statement::parse(&other_type), Err(FormError::Unlisted));
    }

    #[test]
    fn debug_shows_neither_text_nor_file_name_nor_key() {
        let statement = Statement { files: vec![file("Kündigung.pdf")], ..statement(b"geheim") };
        let text = format!("{statement:?}");
        assert!(!text.contains("Kündigung") && !text.contains("geheim") && !text.contains("pdf"));
    }
}
