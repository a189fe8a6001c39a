//! The company log: who belongs to the company, with which keys, and who had to sign for it.
//!
//! [`body`] holds what each kind of entry says, [`entry`] how it is signed, [`voucher`] how a new
//! device proves that it was invited, [`approval`] what is checked of a person's further one, [`policy`] what
//! is decided for everybody, [`founding`] what it begins with, [`handover`] what a successor gets. [`state`] builds the company
//! from its log, entry by entry:
//! `judge` says whether an entry counts, with the table of `signers` and in batches of `checked`,
//! and each fact is kept as a `timeline`. [`view`] answers questions at any size of the log, and
//! [`finding`] names what is wrong.

pub mod approval;
pub mod body;
mod checked;
pub mod entry;
pub mod finding;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used, dead_code, reason = "for tests; a fuzzer uses part of it")]
pub(crate) mod fixture;
pub mod founding;
pub mod handover;
mod judge;
pub mod policy;
mod signers;
pub mod state;
mod timeline;
pub mod view;
pub mod voucher;

#[cfg(test)]
mod tests;
