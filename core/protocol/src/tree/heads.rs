//! The heads tree and the outer tree.
