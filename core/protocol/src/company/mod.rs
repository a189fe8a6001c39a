//! The company log: who belongs to the company, with which keys, and who had to sign for it.
//!
//! [`body`] holds what each kind of entry says, [`entry`] how it is signed, [`voucher`] how a new
//! device proves that it was invited, and [`state`] what the log says at any size of it.

pub mod body;
pub mod entry;
pub mod state;
pub mod voucher;
