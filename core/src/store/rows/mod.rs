//! The tables' rows, one module for each subject, and the only statements that touch them.
//!
//! What reads takes a connection and so works in a snapshot as well as in a transaction; what writes
//! takes a [`Tx`](super::Tx) and says itself which observers are to hear of it.

pub mod account;
pub mod alarm;
pub mod attempt;
pub mod author;
pub mod checkpoint;
pub mod company;
pub mod confirmation;
pub mod conversation;
pub mod delivered;
pub mod entry;
pub mod epoch;
pub mod file;
pub mod file_text;
pub mod handover;
pub mod history;
pub(crate) mod index;
pub mod key_package;
pub mod log;
pub mod mark;
pub mod message;
pub mod mls;
pub mod notified;
pub mod outbox;
pub mod own;
pub mod person;
pub mod picture;
pub mod poll;
pub mod presence;
pub mod preview;
pub mod quarantine;
pub mod reaction;
pub mod receipt;
pub mod stay;

use hauspost_protocol::ids::Seq;

use self::log::LocalLog;

/// How many bits of a key are the place in the log.
const PLACE_BITS: u32 = 40;
/// The places of what the server has not ordered yet, behind all others.
const PENDING: i64 = 1 << (PLACE_BITS - 1);

/// The key of an entry or message: `log << 40 | place`, so that a log's rows lie together in order.
fn key(log: LocalLog, place: i64) -> i64 {
    debug_assert!((0..1 << PLACE_BITS).contains(&place), "a place has 40 bits");
    log.number << PLACE_BITS | place
}

pub(crate) fn seq_key(log: LocalLog, seq: Seq) -> i64 {
    // Half a trillion entries of one log are beyond its lifetime; the last key stands for them.
    key(log, i64::try_from(seq.0).unwrap_or(i64::MAX).min(PENDING - 1))
}

/// All keys of a log, first and last.
pub(crate) fn keys(log: LocalLog) -> (i64, i64) {
    (key(log, 0), key(log, (PENDING << 1) - 1))
}

/// The seq that a key names; `None` for what is pending.
pub(crate) fn key_seq(key: i64) -> Option<Seq> {
    let place = key & ((1 << PLACE_BITS) - 1);
    (place < PENDING).then(|| Seq(place.unsigned_abs()))
}

#[cfg(test)]
mod tests;
