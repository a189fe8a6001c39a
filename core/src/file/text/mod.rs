//! The text inside a document, so that it can be found by its words.
//!
//! A document comes from somebody else, and so it can at worst fail: everything here works on bytes
//! in memory, never calls out, and gives up at a limit. [`read`] runs a reader on a thread of its
//! own; a reader that panics or outlives its deadline ends as a reason, and nothing else of the phone
//! notices. What a document is, its first bytes say, never its name.
//!
//! [`pdf`] reads what pages show, [`package`] the ZIP packages of office programs by their [`xml`],
//! [`plain`] text in its encodings. What comes out passes [`Output`], which has a limit of its own.

mod output;
mod package;
mod pdf;
mod plain;
#[cfg(test)]
mod tests;
mod xml;

use futures_util::future::BoxFuture;

use self::output::{Full, Output};
use super::apart::{self, Broken, Stop};

/// A larger document is not looked into, in bytes.
pub const INPUT_BYTES: u64 = 32 << 20;
/// More text of one document is not kept, in bytes: what is behind it is not found.
pub const TEXT_BYTES: usize = 2 << 20;
/// Bytes that everything decompressed of one document may take together.
const DECOMPRESSED_BYTES: usize = 64 << 20;

/// Why a document's text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It is of a kind that has no text, or none that is read.
    #[error("no text is read of documents of this kind")]
    Kind,
    /// It is larger than what is looked into.
    #[error("the document is too large to be looked into")]
    TooLarge,
    /// It would grow beyond every measure.
    #[error("the document grows beyond the limit when it is decompressed")]
    Bomb,
    /// It is not what it says that it is.
    #[error("the document is damaged")]
    Damaged,
    /// It needs a password.
    #[error("the document is locked by a password")]
    Locked,
    /// It took too long.
    #[error("reading the document took too long")]
    Late,
    /// The reader broke down over it.
    #[error("the document could not be read")]
    Broke,
}

impl From<Full> for TextError {
    fn from(full: Full) -> Self {
        match full {
            // Who reads to the end of the limit has read enough; see `inside`.
            Full::Limit => Self::TooLarge,
            Full::Stopped => Self::Late,
        }
    }
}

/// What a document holds.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Inside {
    /// Its text, or the beginning of it.
    pub text: String,
    /// How many pages it has, if it has pages.
    pub pages: Option<u32>,
}

/// Reads a document on a thread of its own, until `deadline` ends. A reader that does not end then is
/// left behind; `running` is dropped when it does.
pub(crate) async fn read(
    document: Vec<u8>,
    deadline: BoxFuture<'static, ()>,
    running: impl Send + 'static,
) -> Result<Inside, TextError> {
    match apart::run(move |stop| inside(&document, stop), deadline, running).await {
        Ok(read) => read,
        Err(Broken::Late) => Err(TextError::Late),
        Err(Broken::Panicked) => Err(TextError::Broke),
    }
}

/// How many pages a document has, counted as [`read`] reads; none if it has none or cannot be read.
pub(crate) async fn pages(document: Vec<u8>, deadline: BoxFuture<'static, ()>) -> Option<u32> {
    let count = move |_: &Stop| match Kind::of(&document) {
        Kind::Pdf => pdf::pages(&document),
        _ => None,
    };
    apart::run(count, deadline, ()).await.ok().flatten()
}

/// The text of a document, by what its first bytes say that it is.
fn inside(document: &[u8], stop: &Stop) -> Result<Inside, TextError> {
    let mut out = Output::new(stop);
    let read = match Kind::of(document) {
        Kind::Pdf => pdf::read(document, &mut out),
        Kind::Package => package::read(document, &mut out).map(|()| None),
        Kind::Plain => plain::read(document, &mut out).map(|()| None),
        Kind::Opaque => Err(TextError::Kind),
    };
    match read {
        Ok(pages) => Ok(Inside { text: out.into_text(), pages }),
        Err(_) if out.is_full() => Ok(Inside { text: out.into_text(), pages: None }),
        Err(error) => Err(error),
    }
}

/// What the first bytes say that a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pdf,
    Package,
    Plain,
    Opaque,
}

impl Kind {
    fn of(document: &[u8]) -> Self {
        // Readers of PDF look for its mark in the first kilobyte.
        let head = &document[..document.len().min(1024)];
        if document.starts_with(b"PK\x03\x04") {
            Self::Package
        } else if head.windows(5).any(|five| five == b"%PDF-") {
            Self::Pdf
        } else if plain::is_text(document) {
            Self::Plain
        } else {
            Self::Opaque
        }
    }
}
