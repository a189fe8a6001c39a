//! The trees that tie all logs together, and what can be proven by them.
//!
//! [`merkle`] is the tree hash of RFC 9162 with its proofs; [`heads`] says what the two trees hold,
//! [`checkpoint`] how their state is signed; [`proof`] proves single things to a phone or a judge,
//! [`witness`] says when somebody else vouches that the tree only grew. [`chain`] finds what is wrong
//! in a whole log, [`examine`] what is wrong between two checkpoints.

pub mod chain;
pub mod checkpoint;
pub mod examine;
pub mod heads;
pub mod merkle;
pub mod proof;
pub mod witness;
