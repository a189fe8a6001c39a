//! The keys of an epoch: one chain for each leaf.
