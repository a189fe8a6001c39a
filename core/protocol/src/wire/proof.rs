//! Checkpoints and what is proven by them.

use crate::array_item;
use crate::encoding::Bytes;
use crate::ids::{Digest, LogId, LogNo};

array_item! {
    /// A checkpoint with what it takes to believe it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CheckpointNews {
        /// The signed note (C2SP tlog-checkpoint).
        pub note: String,
        /// The newest outer leaf.
        pub leaf: Bytes,
        /// Its inclusion proof; its position is size − 1.
        pub inclusion: Vec<Digest>,
        /// Consistency with the checkpoint named in the request; empty without one.
        pub consistency: Vec<Digest>,
        /// The company log's place under the leaf: how much of it the checkpoint covers, and so by
        /// which key it is signed.
        pub company: HeadsProof,
    }
}

array_item! {
    /// Asks what the company's witnesses said of an outer tree.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct WitnessedRequest {
        /// The era.
        pub era: u64,
        /// The size of a tree that the asker believes.
        pub size: u64,
    }
}

array_item! {
    /// An older checkpoint with cosignatures of witnesses.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Witnessed {
        /// The note with the cosignatures' lines.
        pub note: String,
        /// Consistency of the tree asked for with this one.
        pub consistency: Vec<Digest>,
    }
}

array_item! {
    /// Asks for the places of logs in the heads tree of the newest outer leaf of a checkpoint.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct HeadsProofRequest {
        /// The era.
        pub era: u64,
        /// The checkpoint's outer size.
        pub size: u64,
        /// The logs.
        pub logs: Vec<LogId>,
    }
}

array_item! {
    /// One log's place in the heads tree.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct HeadsProof {
        /// The heads leaf.
        pub leaf: Bytes,
        /// The log's number, which is the leaf's position.
        pub position: LogNo,
        /// Inclusion proof under heads_root.
        pub path: Vec<Digest>,
    }
}

array_item! {
    /// Asks that two outer trees of an era be shown to be one.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ConsistencyRequest {
        /// The era.
        pub era: u64,
        /// The older size.
        pub old: u64,
        /// The newer size.
        pub new: u64,
    }
}
