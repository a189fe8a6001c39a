//! The two levels that make one promise of all logs (docs/attacks.md 8).
//!
//! The *heads tree* is an array: at position n stands the newest hash of the log with number n, so
//! a log has one history at a time. The *outer tree* is a log of heads trees, so no head is ever
//! taken back. A checkpoint signs the outer tree.

use crate::array_item;
use crate::encoding::{FormError, Item, Reader, Writer, decode, encode};
use crate::ids::{Digest, EntryHash, LogId, LogNo, TimeMs};
use crate::tree::merkle::{self, Tree};

/// A leaf of the heads tree: CBOR[n, log, size, head hash].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadsLeaf {
    /// The log's number, which is the leaf's position.
    pub log_no: LogNo,
    /// The log with its newest entry; `None` while the number is only reserved.
    pub log: Option<LogHead>,
}

/// A log as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHead {
    /// The log.
    pub log: LogId,
    /// How many entries it has.
    pub size: u64,
    /// The hash of its entry size − 1.
    pub hash: EntryHash,
}

impl Item for HeadsLeaf {
    fn write(&self, to: &mut Writer) {
        let (log, size, hash) = match self.log {
            Some(LogHead { log, size, hash }) => (Some(log), size, hash),
            None => (None, 0, EntryHash::ZERO),
        };
        (self.log_no, log, size, hash).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let (log_no, log, size, hash) = <(LogNo, Option<LogId>, u64, EntryHash)>::read(from)?;
        let log = match (log, size) {
            (Some(log), 1..) => Some(LogHead { log, size, hash }),
            (None, 0) if hash == EntryHash::ZERO => None,
            _ => return Err(FormError::Malformed),
        };
        Ok(Self { log_no, log })
    }
}

impl HeadsLeaf {
    /// A number that is reserved and has no log yet.
    pub fn reserved(log_no: LogNo) -> Self {
        Self { log_no, log: None }
    }

    /// Its hash as a leaf.
    pub fn leaf_hash(&self) -> Digest {
        merkle::leaf_hash(&encode(self))
    }
}

/// The heads tree of these leaves, which stand in the order of their numbers, from 0, without gaps.
pub fn heads_tree(leaves: &[HeadsLeaf]) -> Tree {
    Tree::new(leaves.iter().map(HeadsLeaf::leaf_hash))
}

array_item! {
    /// A leaf of the outer tree: CBOR[1, t_ms, N, heads_root, durable|null].
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct OuterLeaf = 1 {
        /// The time, not before that of any entry that it covers.
        pub t_ms: TimeMs,
        /// How many numbers are reserved: the size of the heads tree.
        pub logs: u64,
        /// The heads tree's root.
        pub heads_root: Digest,
        /// The newest outer size of which everything is in a backup on another machine.
        pub durable: Option<u64>,
    }
}

impl OuterLeaf {
    /// Reads a leaf.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        decode(bytes)
    }

    /// Its hash as a leaf.
    pub fn leaf_hash(&self) -> Digest {
        merkle::leaf_hash(&encode(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_number_has_one_form_and_a_log_has_entries() {
        let reserved = HeadsLeaf::reserved(LogNo(3));
        assert_eq!(decode::<HeadsLeaf>(&encode(&reserved)), Ok(reserved));
        let log = Some(LogId([1; 16]));
        let (hash, none) = (EntryHash([2; 32]), EntryHash::ZERO);
        for (log, size, hash) in
            [(log, 0u64, none), (None, 1, none), (None, 0, hash), (None, 1, hash)]
        {
            let bytes = encode(&(LogNo(3), log, size, hash));
            assert_eq!(decode::<HeadsLeaf>(&bytes), Err(FormError::Malformed), "{size} {hash}");
        }
    }

    #[test]
    fn an_outer_leaf_reads_back() {
        for durable in [None, Some(7)] {
            let leaf = OuterLeaf { t_ms: 5, logs: 2, heads_root: Digest([1; 32]), durable };
            assert_eq!(OuterLeaf::parse(&encode(&leaf)), Ok(leaf));
        }
    }
}
