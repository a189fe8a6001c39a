//! The names of things: ids, hashes and positions, each a type of its own.
//!
//! Company, user, device and log are random UUIDs (version 4); as text they read as RFC 9562 says.
//! No id carries a name of a person or a room: names live in the directory, which can forget.

use std::fmt;
use std::str::FromStr;

use crate::encoding::{FormError, Item, Reader, Writer};

macro_rules! uuid_ids {
    ($($(#[$meta:meta])* $name:ident)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// A new random id from these 16 random bytes; the version bits of RFC 9562 are set here.
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid().into_bytes())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = FormError;
            /// Reads the lower-case hyphenated form and no other.
            fn from_str(text: &str) -> Result<Self, FormError> {
                let id = Self(uuid::Uuid::try_parse(text).map_err(|_| FormError::Malformed)?.into_bytes());
                if id.to_string() != text {
                    return Err(FormError::NotCanonical);
                }
                Ok(id)
            }
        }

        impl Item for $name {
            fn write(&self, to: &mut Writer) {
                to.bytes(&self.0);
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
                Ok(Self(<[u8; 16]>::read(from)?))
            }
        }
    )+};
}

uuid_ids! {
    /// A company.
    CompanyId
    /// A person of the company, for as long as the company knows them.
    UserId
    /// One installation on one phone; a new installation is a new device.
    DeviceId
    /// A log: a conversation's, or the company's own.
    LogId
}

impl CompanyId {
    /// The company log's id is the company's.
    pub fn log(self) -> LogId {
        LogId(self.0)
    }
}

macro_rules! byte_ids {
    ($($(#[$meta:meta])* $name:ident[$len:literal])+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Item for $name {
            fn write(&self, to: &mut Writer) {
                to.bytes(&self.0);
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
                Ok(Self(<[u8; $len]>::read(from)?))
            }
        }
    )+};
}

byte_ids! {
    /// The first 16 bytes of a key's hash: `H("hauspost/1 key", pk)` or `H("hauspost/1 archive-key", pk)`.
    KeyId[16]
    /// SHA-256 of something that the field's name says.
    Digest[32]
    /// The hash of the sender's half of an entry: known before the server ordered it.
    CoreHash[32]
    /// The hash of an entry in its place; the next entry's `prev`.
    EntryHash[32]
    /// A message's id (draft-ietf-mimi-content), the same on every phone and in the archive.
    MessageId[32]
}

impl EntryHash {
    /// What stands before entry 0.
    pub const ZERO: Self = Self([0; 32]);
}

macro_rules! numbers {
    ($($(#[$meta:meta])* $name:ident($inner:ty))+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub $inner);

        impl $name {
            /// The one after it.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Item for $name {
            fn write(&self, to: &mut Writer) {
                self.0.write(to);
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
                <$inner>::read(from).map(Self)
            }
        }
    )+};
}

numbers! {
    /// An entry's number in its log, from 0, without gaps.
    Seq(u64)
    /// A log's number in the company, from 0 (the company log), dense, never used again.
    LogNo(u64)
    /// The number of the MLS group that serves a conversation; a reset begins the next.
    Gen(u16)
    /// An epoch of an MLS group (RFC 9420 §8). Nothing belongs to epoch 0.
    Epoch(u64)
    /// A member's place in the ratchet tree (RFC 9420 §7).
    LeafIndex(u32)
    /// A record's number in its leaf's chain of an epoch, from 0, without gaps.
    RecordIndex(u32)
}

/// Unix time in milliseconds.
pub type TimeMs = u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text_and_from_no_other_spelling() {
        let id = UserId::from_random([0xff; 16]);
        let text = id.to_string();
        assert_eq!(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse::<UserId>(), Err(FormError::NotCanonical));
    }
}
