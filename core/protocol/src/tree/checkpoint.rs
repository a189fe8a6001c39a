//! Signed checkpoints.

use crate::array_item;
use crate::ids::Digest;

array_item! {
    /// One state of an outer tree; `cp` of a statement.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct TreeHead {
        /// The era, each of which has an outer tree of its own.
        pub era: u64,
        /// The outer tree's size.
        pub size: u64,
        /// The outer tree's root.
        pub root: Digest,
    }
}
