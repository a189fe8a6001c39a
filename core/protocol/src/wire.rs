//! What travels between phone and server: one struct for each request and answer.
//!
//! All of it is the same deterministic CBOR, over TLS. Every request but the first few carries a
//! session token, which a device gets by signing a challenge with the key that its hardware
//! keystore never gives out (S1), and a role's tool by signing it with the role key.

pub mod path;
mod proof;
mod sync;

pub use proof::*;
pub use sync::*;

use crate::array_item;
use crate::crypto::hash;
use crate::encoding::{Bytes, FormError, Item, Reader, Writer, encode};
use crate::entry::Entry;
use crate::file::Leaves;
use crate::hint::SealedHint;
use crate::ids::{
    CompanyId, DeviceId, Digest, Epoch, Gen, KeyId, LogId, LogNo, Seq, TimeMs, UserId,
};

/// The media type of requests and answers.
pub const MEDIA_TYPE: &str = "application/cbor";

/// The header that carries a token: a session's, base64url without padding, or the founding token.
///
/// Not `authorization`: HTTP libraries write that one out in every request, while a header of our own
/// is written once for a connection and then named by a byte (HPACK, RFC 7541 §2.3). What §7.1 of
/// that RFC fears, guessing a header by the length of others, needs somebody who chooses headers on
/// the same connection, and guesses whole values only; a connection of ours has one owner, and a token
/// ends with an authenticator of 32 bytes.
pub const TOKEN_HEADER: &str = "hauspost-token";

array_item! {
    /// Who the server is, for a phone that has only an address and a pin.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Hello = 1 {
        /// The company log's first entry, once the company is founded.
        pub genesis: Option<Entry>,
        /// The key that certifies devices online; the root certifies it in turn.
        pub issuing_key: [u8; 32],
        /// Ed25519 key of the checkpoints.
        pub log_key: [u8; 32],
        /// ML-DSA-44 key of the checkpoints, encoded as FIPS 204 says.
        pub log_key_pq: Bytes,
        /// The server's time.
        pub t_ms: TimeMs,
    }
}

array_item! {
    /// The keys by which the server will sign checkpoints once the root names them.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct NextLogKey {
        /// The Ed25519 key.
        pub ed25519: [u8; 32],
        /// The ML-DSA-44 key, encoded as FIPS 204 says.
        pub ml_dsa: Bytes,
    }
}

array_item! {
    /// The company log's first entries, all at once: heads and payloads, genesis first.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Found {
        /// The company's id, random.
        pub company: CompanyId,
        /// The entries.
        pub entries: Vec<NewEntry>,
        /// The first people of the directory.
        pub people: Vec<Person>,
    }
}

/// An entry as its author offers it: head and payload.
pub type NewEntry = (Bytes, Bytes);

array_item! {
    /// A new device asks for its certificate and its place in the company log.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct EnrolRequest {
        /// Whose device it is.
        pub user: UserId,
        /// Its id, drawn by the phone.
        pub device: DeviceId,
        /// Its Ed25519 key, which is its MLS signature key too.
        pub signature_key: [u8; 32],
        /// Its keystore key, P-256, compressed (SEC 1 §2.3.3).
        pub keystore_key: [u8; 33],
        /// Its X-Wing key for history, 1,216 bytes.
        pub history_key: Bytes,
        /// The voucher's encoding.
        pub voucher: Bytes,
        /// The signature by the voucher's seed.
        pub seed_signature: [u8; 64],
        /// Proof of possession: the device key's signature over the same bytes as the seed's.
        pub possession: [u8; 64],
    }
}

array_item! {
    /// The device's certificate, and where its entry stands.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct EnrolAnswer {
        /// X.509 v3, DER.
        pub certificate: Bytes,
        /// The `device` entry's number in the company log; null while somebody has yet to sign for the
        /// device ([`approval`](crate::company::approval)).
        pub company_seq: Option<Seq>,
    }
}

/// Who asks for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// A phone, by its keystore key.
    Device(DeviceId),
    /// A role's tool, by the role key.
    Role(KeyId),
}

impl Item for Principal {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Device(device) => (0u64, *device).write(to),
            Self::Role(key) => (1u64, *key).write(to),
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.array(2, |from| match from.uint()? {
            0 => Item::read(from).map(Self::Device),
            1 => Item::read(from).map(Self::Role),
            _ => Err(FormError::Unlisted),
        })
    }
}

array_item! {
    /// A signed challenge.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct SessionRequest {
        /// Who asks.
        pub principal: Principal,
        /// The challenge as the server gave it.
        pub challenge: Bytes,
        /// Over H("hauspost/1 session", CBOR[company, principal, bstr challenge]) as message: for a device
        /// ECDSA P-256 with SHA-256, r ‖ s; for a role `Sig(role key, "hauspost/1 session", …)` of the list.
        pub signature: [u8; 64],
    }
}

impl SessionRequest {
    /// What a role key signs, under the label [`SESSION_LABEL`]: CBOR[company, principal, bstr challenge].
    pub fn signed(company: CompanyId, principal: Principal, challenge: &[u8]) -> Vec<u8> {
        encode(&(company, principal, Bytes::from(challenge)))
    }

    /// The message that a device's keystore signs: the labelled hash of the same list.
    pub fn device_message(company: CompanyId, principal: Principal, challenge: &[u8]) -> [u8; 32] {
        hash(SESSION_LABEL, &Self::signed(company, principal, challenge))
    }
}

/// The label of a signed challenge.
pub const SESSION_LABEL: &str = "hauspost/1 session";

array_item! {
    /// A session.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct SessionAnswer {
        /// Sent in [`TOKEN_HEADER`], base64url without padding.
        pub token: Bytes,
        /// When the token ends, by the server's clock.
        pub not_after: TimeMs,
        /// The server's clock now.
        pub t_ms: TimeMs,
    }
}

array_item! {
    /// A batch for one log: all or nothing, but for what the log has already.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct AppendRequest {
        /// The log.
        pub log: LogId,
        /// The entries, in order.
        pub entries: Vec<NewEntry>,
        /// GroupInfo as MLSMessage, with a commit.
        pub group_info: Option<Bytes>,
        /// Welcome as MLSMessage, with a commit that adds.
        pub welcome: Option<Bytes>,
    }
}

/// What became of one entry of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Accepted under this number.
    Ok(Seq),
    /// Known already under this number.
    Dup(Seq),
    /// The epoch is over; the one named is in force.
    Stale(Gen, Epoch),
    /// The index expected.
    Gap(u32),
    /// The slot holds another record: two phones use one leaf.
    Conflict,
    /// Devices at these leaves are revoked; remove them first.
    RemoveFirst(Vec<u32>),
    /// A newer archive key must enter the group first.
    RekeyFirst,
    /// The session is not, or no longer, a device's.
    Session,
    /// Not the form that the protocol demands.
    Form,
    /// Above a limit.
    TooLarge,
    /// The device's quota is used up until then; the same bytes are taken later.
    Quota(TimeMs),
    /// No such log, or its number is not reserved for this user.
    NoLog,
    /// The kind is not for this device or role.
    Role,
    /// A class that this entry may not have.
    Class,
    /// Not the leaf of this device.
    Leaf,
    /// No such capsule in that epoch.
    Cap,
    /// A file is missing or of another log.
    Blob(Digest),
    /// Not authorised, by the rule named.
    Authorise(u64),
    /// MLS refuses it.
    Mls,
    /// A pure update too early.
    Budget(TimeMs),
    /// The policy forbids it.
    Policy,
    /// The user has left.
    Left,
    /// The company log moved on; judge by this size.
    Behind(u64),
    /// The server is being restored; later.
    Restoring,
}

impl Outcome {
    /// The stable code of protocol §7, "Results".
    pub fn code(&self) -> u64 {
        match self {
            Self::Ok(_) => 0,
            Self::Dup(_) => 1,
            Self::Stale(..) => 2,
            Self::Gap(_) => 3,
            Self::Conflict => 4,
            Self::RemoveFirst(_) => 5,
            Self::RekeyFirst => 6,
            Self::Session => 7,
            Self::Form => 8,
            Self::TooLarge => 9,
            Self::Quota(_) => 10,
            Self::NoLog => 11,
            Self::Role => 12,
            Self::Class => 13,
            Self::Leaf => 14,
            Self::Cap => 15,
            Self::Blob(_) => 16,
            Self::Authorise(_) => 17,
            Self::Mls => 18,
            Self::Budget(_) => 19,
            Self::Policy => 20,
            Self::Left => 21,
            Self::Behind(_) => 22,
            Self::Restoring => 23,
        }
    }
}

impl Item for Outcome {
    fn write(&self, to: &mut Writer) {
        let code = self.code();
        match self {
            Self::Ok(seq) | Self::Dup(seq) => (code, *seq).write(to),
            Self::Stale(r#gen, epoch) => (code, *r#gen, *epoch).write(to),
            Self::Gap(index) => (code, *index).write(to),
            Self::RemoveFirst(leaves) => (code, leaves.clone()).write(to),
            Self::Blob(root) => (code, *root).write(to),
            Self::Quota(number)
            | Self::Authorise(number)
            | Self::Budget(number)
            | Self::Behind(number) => (code, *number).write(to),
            _ => (code,).write(to),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.list(|from, len| {
            let outcome = match (from.uint()?, len) {
                (0, 2) => Self::Ok(Item::read(from)?),
                (1, 2) => Self::Dup(Item::read(from)?),
                (2, 3) => Self::Stale(Item::read(from)?, Item::read(from)?),
                (3, 2) => Self::Gap(Item::read(from)?),
                (4, 1) => Self::Conflict,
                (5, 2) => Self::RemoveFirst(Item::read(from)?),
                (6, 1) => Self::RekeyFirst,
                (7, 1) => Self::Session,
                (8, 1) => Self::Form,
                (9, 1) => Self::TooLarge,
                (10, 2) => Self::Quota(Item::read(from)?),
                (11, 1) => Self::NoLog,
                (12, 1) => Self::Role,
                (13, 1) => Self::Class,
                (14, 1) => Self::Leaf,
                (15, 1) => Self::Cap,
                (16, 2) => Self::Blob(Item::read(from)?),
                (17, 2) => Self::Authorise(Item::read(from)?),
                (18, 1) => Self::Mls,
                (19, 2) => Self::Budget(Item::read(from)?),
                (20, 1) => Self::Policy,
                (21, 1) => Self::Left,
                (22, 2) => Self::Behind(Item::read(from)?),
                (23, 1) => Self::Restoring,
                _ => return Err(FormError::Unlisted),
            };
            Ok(outcome)
        })
    }
}

array_item! {
    /// An upload begins, or goes on.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct BlobBegin {
        /// The ciphertext's size in bytes.
        pub size: u64,
        /// The hashes of its chunks, whose tree hash is its root.
        pub leaves: Leaves,
    }
}

array_item! {
    /// Records that were granted to the session's device.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct HistoryRequest {
        /// The log.
        pub log: LogId,
        /// The records, in the order in which they are wanted.
        pub seqs: Vec<Seq>,
    }
}

array_item! {
    /// Hints for the members of conversations who are connected.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct HintsRequest {
        /// The hints, [`AT_ONCE`](crate::hint::AT_ONCE) at most.
        pub hints: Vec<SealedHint>,
    }
}

array_item! {
    /// Entries of one's own, and how many of the others have them.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct DeliveredRequest {
        /// The log.
        pub log: LogId,
        /// The entries.
        pub seqs: Vec<Seq>,
    }
}

array_item! {
    /// How far an entry has come, as the server says.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Delivered {
        /// The entry.
        pub seq: Seq,
        /// How many of the other people have a device that took it in; 0 for an entry of somebody else.
        pub count: u64,
        /// How many other people there are.
        pub of: u64,
    }
}

array_item! {
    /// Key packages of the session's device, all of one suite, for those who add it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PackagesPut {
        /// The suite's number in MLS. Each suite has a stock and a last resort of its own.
        pub suite: u16,
        /// One-time packages, as MLSMessage.
        pub packages: Vec<Bytes>,
        /// The one that is used when the others are gone; replaces the one before.
        pub last_resort: Option<Bytes>,
    }
}

array_item! {
    /// Asks for a key package of each of these devices.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PackagesTake {
        /// The suite of the group that they are for.
        pub suite: u16,
        /// The devices.
        pub devices: Vec<DeviceId>,
    }
}

array_item! {
    /// A key package taken for one device, if it has one.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PackageTaken {
        /// The device.
        pub device: DeviceId,
        /// Its package, as MLSMessage.
        pub package: Option<Bytes>,
    }
}

array_item! {
    /// A person of the directory. The directory is the only place with names, and it can forget.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Person {
        /// The person's id.
        pub user: UserId,
        /// The short name by which admins call them; letters, digits, `.`, `-`, `_`.
        pub handle: String,
        /// The name that colleagues see; null = forgotten.
        pub name: Option<String>,
    }
}

array_item! {
    /// The directory, as far as it changed, with the history keys of devices.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Directory {
        /// The version of this answer.
        pub version: u64,
        /// People who changed.
        pub people: Vec<Person>,
    }
}

array_item! {
    /// Officers or council fetch what an opening entitles them to.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ArchiveRequest {
        /// The company entry `opening`; null for an export of chains without any record's payload.
        pub opening: Option<Seq>,
        /// The log.
        pub log: LogId,
        /// From this entry on.
        pub from: Seq,
    }
}

array_item! {
    /// A stretch of one log for officers or council.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ArchiveAnswer {
        /// The entries. Records' payloads are there for officers only, and in the scope only.
        pub entries: Vec<Entry>,
        /// The log's size.
        pub size: u64,
        /// The newest checkpoint that covers it.
        pub checkpoint: Option<CheckpointNews>,
        /// The log's place in it.
        pub proof: Option<HeadsProof>,
    }
}

array_item! {
    /// A log that exists, for those who export a whole archive.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct LogPlace {
        /// Its number.
        pub position: LogNo,
        /// The log.
        pub log: LogId,
        /// Its size.
        pub size: u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::decode;

    #[test]
    fn every_outcome_has_one_form_under_its_own_code() {
        let outcomes = [
            Outcome::Ok(Seq(1)),
            Outcome::Dup(Seq(2)),
            Outcome::Stale(Gen(1), Epoch(2)),
            Outcome::Gap(3),
            Outcome::Conflict,
            Outcome::RemoveFirst(vec![4, 5]),
            Outcome::RekeyFirst,
            Outcome::Session,
            Outcome::Form,
            Outcome::TooLarge,
            Outcome::Quota(10),
            Outcome::NoLog,
            Outcome::Role,
            Outcome::Class,
            Outcome::Leaf,
            Outcome::Cap,
            Outcome::Blob(Digest([6; 32])),
            Outcome::Authorise(7),
            Outcome::Mls,
            Outcome::Budget(8),
            Outcome::Policy,
            Outcome::Left,
            Outcome::Behind(9),
            Outcome::Restoring,
        ];
        for (code, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(outcome.code(), code as u64);
            assert_eq!(decode(&encode(&outcome)), Ok(outcome));
        }
        assert_eq!(decode::<Outcome>(&encode(&(24u64,))), Err(FormError::Unlisted));
    }
}
