//! What Hauspost's phones, server and archive share: ids, wire types, the log with its hashes, the
//! sealing of records, and the rules by which each of them judges an entry. No I/O: no clock, no
//! socket, no database. A function here takes values, keys, `now` and randomness, and returns what
//! to store and what to send, so that tests, simulation, server, phone and verifier run the very
//! same rules.
//!
//! Data meets the modules in this order:
//!
//! 1. [`encoding`] turns bytes into values and refuses what has a second encoding; [`ids`] names
//!    things; [`crypto`] is the labelled hash, derivation and signature; [`limits`] bounds it all.
//! 2. [`entry`] is a log's entry and its hashes; [`body`] what stands in an entry's payload.
//! 3. [`epoch`] makes the keys of an epoch, [`capsule`] seals the epoch to the archive, [`record`]
//!    seals one message with its [`statement`], whose [`content`] people read; [`mod@file`] seals the
//!    documents that it names. [`hint`] is what is said and never kept.
//! 4. [`mls`] wraps what we need of MLS: storage, certificates, the public group that server and
//!    verifier follow.
//! 5. [`company`] is the company log: devices, roles, keys, openings, and who had to sign.
//! 6. [`authorise`] says who may change a conversation; [`rules`] when a server and when a client
//!    accepts an entry.
//! 7. [`tree`] ties all logs together: heads, checkpoints, proofs.
//! 8. [`archive_key`] and [`key_list`] open the archive, in two halves that never meet; [`xwing`] and
//!    [`hpke`] seal to a key that may be needed in ten years.
//! 9. [`mod@grant`] hands record keys to a device that comes later.
//! 10. [`wire`] is what travels between phone and server, [`invitation`] what a new phone is given;
//!     [`unseen`] lists what nobody may put into a text unseen.
//!
//! `fuzz` plays them all with bytes that nobody meant; the product is built without it.

pub mod crypto;
pub mod encoding;
pub mod ids;
pub mod limits;

pub mod body;
pub mod entry;

pub mod capsule;
pub mod content;
pub mod epoch;
pub mod file;
pub mod hint;
pub mod record;
pub mod statement;

pub mod mls;

pub mod company;

pub mod authorise;
pub mod rules;

pub mod tree;

pub mod archive_key;
pub mod grant;
pub mod hpke;
pub mod key_list;
pub mod xwing;

pub mod invitation;
pub mod unseen;
pub mod wire;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
