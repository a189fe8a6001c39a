//! From what a person wants to what the log holds.
//!
//! An intent is stored, sealed, sent, and ends as secured or failed with a reason; killed at any
//! instruction it goes on where it was (docs/protocol.md §8):
//!
//! ```text
//! Queued ─seal─▶ Sealed ─send─▶ Accepted ─checkpoint─▶ Secured
//!    ▲             │ the epoch ended, or the server asks for something first
//!    └─────────────┘
//! ```
//!
//! A record with documents is `Uploading` before it is queued: it is sealed when they are
//! there, and holds nothing up meanwhile.
//!
//! The bytes are stored before they are sent and sent unchanged until they are answered, so the
//! server recognises what it has (S2). [`plan`] says what a log needs next, [`seal`] makes records,
//! [`change`] makes commits, [`reset`] the next generation of a group, [`outcome`] takes the server's answer in.
//!
//! An own commit enters the group when it comes back in the log, like anybody's: there is one place
//! where epochs begin, and it is `inbound`.

pub mod change;
pub mod intent;
pub mod jitter;
pub mod outcome;
pub mod plan;
pub mod reset;
pub mod seal;

/// Failed because this person is not in the conversation any more.
pub const REASON_LEFT: u64 = 100;
/// Failed because the intent cannot be read or made.
pub const REASON_DEFECT: u64 = 101;
/// Failed because it waited longer than the policy lets it.
pub const REASON_TOO_OLD: u64 = 106;
/// Failed because its document was changed while it was sent.
pub const REASON_CHANGED: u64 = 110;
/// Failed because its document cannot be read.
pub const REASON_UNREADABLE: u64 = 111;
/// Failed because the person gave the upload up.
pub const REASON_GIVEN_UP: u64 = 112;
/// Failed because the company does not let people send documents of this kind.
pub const REASON_POLICY: u64 = 113;
/// Failed because nobody of those named can be added.
pub const REASON_NOBODY: u64 = 102;
/// Failed because a conversation has no room for so many devices.
pub const REASON_FULL: u64 = 103;
/// Failed because only owners write in this conversation, and this person is none.
pub const REASON_MAY_NOT_WRITE: u64 = 105;
/// Failed because the phone was put back to a backup, and may have sent it since then, where it cannot
/// read any more; only a person can know.
pub const REASON_MAYBE_SENT: u64 = 104;
