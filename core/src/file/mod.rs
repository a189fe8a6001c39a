//! Documents outside of the database: the source that is sent, the copy that is kept, the file that
//! is opened.
//!
//! Nothing here holds more of a document than a chunk. [`source`] reads what a person chose, twice:
//! once to hash it, once to send it. [`vault`] keeps what was fetched, encrypted chunk by chunk under
//! a key that lies in the database, and knows by the chunks themselves how far it came. [`name`]
//! makes a name that somebody else chose safe for a file system, only when a file is written out;
//! [`kind`] says what a document is by its content, and whether a phone opens it. [`text`] reads the words
//! inside a document and [`preview`] makes and judges small pictures, both [`apart`] from everything else.

mod apart;
#[cfg(test)]
pub(crate) mod corpus;
pub mod kind;
pub mod name;
pub mod preview;
pub mod source;
pub mod text;
pub mod vault;

use std::io;

/// Why a document cannot be sent or fetched.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The source cannot be read.
    #[error("the document cannot be read")]
    Unreadable(#[source] io::Error),
    /// The source is not what it was when it was chosen.
    #[error("the document was changed while it was sent")]
    Changed,
    /// It is larger than any document may be.
    #[error("the document is too large")]
    TooLarge,
    /// It is larger than the company's policy allows, in bytes.
    #[error("the document is too large: the company lets people send {} at most", size(*.0))]
    AboveLimit(u64),
    /// Its name or media type is longer than 255 bytes, or its path is not text.
    #[error("the document's name is too long")]
    Name,
    /// A message has room for sixteen.
    #[error("a message has room for sixteen documents")]
    TooMany,
    /// The company's policy does not let people send or open documents of this kind, or it would be run
    /// where it is opened.
    #[error("documents of this kind are not sent or opened")]
    Blocked,
    /// A voice message's recording is no sound.
    #[error("the recording is not a sound that a voice message can have")]
    NoSound,
    /// The message has no such document.
    #[error("there is no such document")]
    Missing,
    /// The server does not have it, though a record names it.
    #[error("the server does not have the document")]
    Gone,
    /// Nobody asked for it, and the network costs by the byte.
    #[error("the document is not fetched over this network unless somebody asks for it")]
    Metered,
    /// Somebody gave the fetching up.
    #[error("the fetching was given up")]
    Stopped,
    /// What the server sent is not what the author signed.
    #[error("the document is damaged")]
    Damaged,
    /// The phone's disk is full.
    #[error("this phone has no room for the document")]
    Full,
    /// The phone's folder cannot be used.
    #[error("this phone cannot keep the document")]
    Folder(#[source] io::Error),
    /// The folder in which it was to be saved cannot be used.
    #[error("the document cannot be saved in that folder")]
    Target(#[source] io::Error),
}

/// A size as people say it.
pub fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        bytes if bytes >= 10 << 20 => format!("{} MiB", bytes >> 20),
        bytes if bytes >= 10 << 10 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} bytes"),
    }
}

impl DocumentError {
    fn folder(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Folder(error),
        }
    }
}
