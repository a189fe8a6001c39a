//! What exceeds one of these is refused before anything else is computed.

use crate::ids::TimeMs;

/// A payload of any kind but a commit, in bytes.
pub const PAYLOAD_BYTES: u64 = 64 * 1024;
/// A commit's payload, in bytes.
pub const COMMIT_PAYLOAD_BYTES: u64 = 4 * 1024 * 1024;
/// A policy's payload in the company log, in bytes.
pub const POLICY_PAYLOAD_BYTES: u64 = 1024 * 1024;
/// The content of a statement, in bytes.
pub const CONTENT_BYTES: usize = 32 * 1024;
/// Files of a record.
pub const FILES: usize = 16;
/// A file's name or media type, in bytes of UTF-8.
pub const NAME_BYTES: usize = 255;
/// A file's ciphertext, in bytes.
pub const BLOB_BYTES: u64 = 1 << 32;
/// Entries appended at once.
pub const BATCH_ENTRIES: usize = 16;
/// A batch with GroupInfo and Welcome, in bytes.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Stretches of entries that a grant names, or that a device asks for.
pub const RANGES: usize = 256;
/// Record keys of one grant.
pub const GRANT_KEYS: usize = 4_096;
/// The blob of a grant, in bytes: so many keys at 45 bytes each, and some room.
pub const GRANT_BYTES: u64 = 256 * 1024;
/// What a record of own state says, in facts.
pub const OWN_FACTS: usize = 1_024;
/// A draft that the devices of a person share, in bytes.
pub const DRAFT_BYTES: usize = 8 * 1024;
/// The name of a setting that they share, in bytes.
pub const SETTING_NAME_BYTES: usize = 64;
/// Its value, in bytes.
pub const SETTING_BYTES: usize = 4 * 1024;
/// Leaves of a conversation's tree.
pub const LEAVES: usize = 1_000;
/// Devices up to which a conversation's MLS group uses the hybrid suite.
pub const HYBRID_LEAVES: usize = 100;
/// Signatures of a company entry.
pub const COMPANY_SIGNATURES: usize = 8;
/// Lines of a checkpoint note, the empty one included.
pub const NOTE_LINES: usize = 16;
/// Hashes of a consistency proof that a witness is sent (C2SP tlog-witness).
pub const CONSISTENCY_HASHES: usize = 63;

/// A day of a log's clock.
pub const DAY_MS: TimeMs = 86_400_000;
/// How long a key package may be used after it was made.
pub const KEY_PACKAGE_AGE_MS: TimeMs = 84 * DAY_MS;
/// How far a phone's clock may be ahead when it makes a key package.
pub const CLOCK_SKEW_MS: TimeMs = 3_600_000;
/// How long an archive key is still good after its successor's entry.
pub const ARCHIVE_KEY_GRACE_MS: TimeMs = 30 * DAY_MS;
/// A leaf that is older renews its keys before it says anything (C13).
pub const LEAF_AGE_MS: TimeMs = 90 * DAY_MS;
/// In an epoch that is older, who speaks next renews his keys first (C13).
pub const EPOCH_AGE_MS: TimeMs = 30 * DAY_MS;
/// The oldest a newest checkpoint may be while a phone is online.
pub const CHECKPOINT_AGE_MS: TimeMs = 10 * 60_000;
/// How far an entry's time may lie outside of its checkpoint interval.
pub const CHECKPOINT_SKEW_MS: TimeMs = 5_000;
