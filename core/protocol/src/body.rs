//! What stands in the payloads of a conversation's entries, and who signed it.
//!
//! Every kind but the record travels in the clear, as a *body* that a device signed together with
//! the head ([`SignedPayload`]). Three stand alone without a signature, since something signed
//! holds their hash: a capsule in a commit's batch, and the erase and restore entries of the server.

use crate::crypto::{BadSignature, PublicKey, Signature, SigningKey, sha256};
use crate::encoding::{Bytes, FormError, Item, Reader, Writer, decode, encode};
use crate::entry::{At, Ranges, Seen};
use crate::ids::{DeviceId, Digest, EntryHash, KeyId, LogId, LogNo, Seq, UserId};
use crate::xwing::CIPHERTEXT_BYTES;
use crate::{array_item, code_item};

const LABEL: &str = "hauspost/1 entry-body";

array_item! {
    /// A body with its author's signature over head, body and device.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct SignedPayload {
        /// The body's bytes.
        pub body: Bytes,
        /// The author's device; in a grant under an opening or handover it may be a role key's id.
        pub device: DeviceId,
        /// `Sig(key, "hauspost/1 entry-body", CBOR[bstr head, bstr body, device])`.
        pub signature: Signature,
    }
}

impl SignedPayload {
    /// Signs a body for the entry that has this head.
    pub fn sign(key: &SigningKey, head: &[u8], body: Vec<u8>, device: DeviceId) -> Self {
        let signature = key.sign(LABEL, &Self::signed(head, &body, device));
        Self { body: Bytes(body), device, signature }
    }

    /// Verifies the author's signature; `key` is the device's, from the company log.
    pub fn verify(&self, key: &PublicKey, head: &[u8]) -> Result<(), BadSignature> {
        key.verify(LABEL, &Self::signed(head, &self.body, self.device), &self.signature)
    }

    fn signed(head: &[u8], body: &[u8], device: DeviceId) -> Vec<u8> {
        encode(&(Bytes::from(head), Bytes::from(body), device))
    }
}

/// The payload of an unsigned entry: CBOR[bstr body].
pub fn unsigned_payload(body: Vec<u8>) -> Vec<u8> {
    encode(&(Bytes(body),))
}

/// The body of an unsigned entry.
pub fn parse_unsigned(payload: &[u8]) -> Result<Vec<u8>, FormError> {
    decode::<(Bytes,)>(payload).map(|(body,)| body.0)
}

code_item! {
    /// What kind of conversation a log is.
    pub enum LogType {
        /// Two people; one log for each pair.
        Dm = 0,
        /// A group; every member may invite.
        Group = 1,
        /// Announcements; owners write, the others acknowledge.
        Announce = 2,
        /// A person's own devices among themselves.
        SelfNotes = 3,
    }
}

code_item! {
    /// Whether members give those who come later the keys of earlier records.
    pub enum HistoryRule {
        /// Nobody does.
        None = 0,
        /// Every member's device does, by itself.
        Members = 1,
    }
}

array_item! {
    /// The first entry of a conversation: what never changes about it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Genesis {
        /// The log's id, new and random.
        pub log: LogId,
        /// The log's number, reserved at the server before.
        pub log_no: LogNo,
        /// What kind of conversation it is.
        pub r#type: LogType,
        /// Who created it.
        pub creator: UserId,
        /// Those whom the creator means to add, without himself; for a dm exactly the peer.
        pub members: Vec<UserId>,
        /// The retention class of the policy; 0 is the longest.
        pub class: u64,
        /// Whether later members get earlier records.
        pub history: HistoryRule,
        /// The MLS cipher suite of generation 0 (RFC 9420 §17.1).
        pub suite: u16,
        /// The archive keys of the first epoch, A and B.
        pub archive_keys: (KeyId, KeyId),
        /// The company log that the creator judged by.
        pub at: At,
    }
}

array_item! {
    /// A change of the conversation's members or keys.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CommitBody {
        /// The newest entry that the committer had processed; null in a creation batch only. In a
        /// reset batch it is the reset's, whose own hash nobody knows yet.
        pub seen: Option<Seen>,
        /// The company log that the committer judged by.
        pub at: At,
        /// The commit as an MLSMessage.
        pub mls_message: Bytes,
        /// GroupInfo of epoch 0 with its one-leaf tree, in the first commit of a generation only.
        pub base: Option<Bytes>,
        /// SHA-256 of the new epoch's GroupContext.
        pub ga: Digest,
        /// SHA-256 of the capsule's body.
        pub capsule_hash: Digest,
        /// SHA-256 of the GroupInfo as MLSMessage.
        pub gi_hash: Digest,
        /// SHA-256 of the Welcome as MLSMessage, if anybody was added.
        pub welcome_hash: Option<Digest>,
    }
}

/// Length of a capsule's box in bytes: 32 of the epoch secret and 16 of the tag.
pub const CAPSULE_BOX_BYTES: usize = 48;

array_item! {
    /// The epoch's secret, sealed to both archive keys at once: neither opens it alone.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CapsuleBody {
        /// SHA-256 of the epoch's GroupContext.
        pub ga: Digest,
        /// Id of the officers' key.
        pub id_a: KeyId,
        /// Id of the council's key.
        pub id_b: KeyId,
        /// X-Wing ciphertext to A.
        pub c_a: [u8; CIPHERTEXT_BYTES],
        /// X-Wing ciphertext to B.
        pub c_b: [u8; CIPHERTEXT_BYTES],
        /// ChaCha20-Poly1305 of the epoch's secret.
        pub sealed: [u8; CAPSULE_BOX_BYTES],
    }
}

impl CapsuleBody {
    /// What a commit and a comparing member call the capsule: SHA-256 of its body.
    pub fn digest(&self) -> Digest {
        sha256(&encode(self))
    }
}

code_item! {
    /// What an invite entry says of its user.
    pub enum InviteOp {
        /// May be added.
        Invite = 0,
        /// Leaves; only oneself.
        Leave = 1,
        /// Becomes an owner.
        Owner = 2,
        /// Is no owner any more.
        NoOwner = 3,
    }
}

array_item! {
    /// An invitation, a leaving or a change of owners.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct InviteBody {
        /// The newest entry that the author had processed.
        pub seen: Option<Seen>,
        /// The company log that the author judged by.
        pub at: At,
        /// What is said.
        pub op: InviteOp,
        /// Of whom.
        pub user: UserId,
    }
}

code_item! {
    /// Why a conversation gets a new MLS group.
    pub enum ResetReason {
        /// Nobody can process the newest commit.
        Broken = 0,
        /// The suite or the protocol's version changes.
        Migrate = 1,
        /// An admin ordered it.
        Admin = 2,
    }
}

array_item! {
    /// The beginning of the next generation.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ResetBody {
        /// The newest entry that the author had processed.
        pub seen: Option<Seen>,
        /// The company log that the author judged by.
        pub at: At,
        /// Why.
        pub reason: ResetReason,
        /// The commit that nobody can process, for [`ResetReason::Broken`].
        pub bad_seq: Option<Seq>,
        /// The devices of the new group, its author's among them: ascending, each once.
        pub roster: Vec<DeviceId>,
        /// The other devices of the conversation, without a key package: ascending, each once. They may
        /// join by themselves.
        pub missing: Vec<DeviceId>,
    }
}

/// On what ground a grant gives keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantBasis {
    /// Another device of the same user.
    Own,
    /// A user who has a leaf in the conversation.
    Member,
    /// A handover of the company log.
    Handover(Seq),
    /// An opening of the company log.
    Opening(Seq),
}

impl Item for GrantBasis {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Own => (0u64,).write(to),
            Self::Member => (1u64,).write(to),
            Self::Handover(seq) => (2u64, *seq).write(to),
            Self::Opening(seq) => (3u64, *seq).write(to),
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.list(|from, len| match (from.uint()?, len) {
            (0, 1) => Ok(Self::Own),
            (1, 1) => Ok(Self::Member),
            (2, 2) => Item::read(from).map(Self::Handover),
            (3, 2) => Item::read(from).map(Self::Opening),
            _ => Err(FormError::Unlisted),
        })
    }
}

array_item! {
    /// Record keys for one device; the keys themselves lie in the head's blob.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct GrantBody {
        /// The newest entry that the author had processed.
        pub seen: Option<Seen>,
        /// The company log that the author judged by.
        pub at: At,
        /// The device, or the role key, that gets the keys.
        pub grantee: KeyId,
        /// On what ground.
        pub basis: GrantBasis,
        /// Which entries.
        pub ranges: Ranges,
        /// HPKE's encapsulated key.
        pub enc: Bytes,
        /// The blob's key, sealed.
        pub ct: Bytes,
    }
}

array_item! {
    /// This log's part of a company-wide erasure.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct EraseBody {
        /// The company entry `erase`.
        pub company_seq: Seq,
        /// The place in its list.
        pub position: u64,
        /// Inclusion proof under its list_root (RFC 9162 §2.1.3).
        pub path: Vec<Digest>,
        /// Which entries of this log.
        pub ranges: Ranges,
    }
}

array_item! {
    /// This log's part of a restore with a gap.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RestoreBody {
        /// The company entry `restore`.
        pub company_seq: Seq,
        /// The place in its list.
        pub position: u64,
        /// Inclusion proof under its list_root (RFC 9162 §2.1.3).
        pub path: Vec<Digest>,
        /// The first entry that is void.
        pub from_seq: Seq,
        /// The hash of the entry before it.
        pub from_hash: EntryHash,
    }
}

/// The hash of a conversation's genesis body, which the MLS group's context names.
pub fn genesis_hash(genesis_body: &[u8]) -> Digest {
    Digest(crate::crypto::hash("hauspost/1 genesis", genesis_body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Secret;

    #[test]
    fn a_body_signed_for_one_head_does_not_stand_under_another() {
        let key = SigningKey::from_seed(Secret::new([3; 32]));
        let signed = SignedPayload::sign(&key, b"head", b"body".to_vec(), DeviceId([1; 16]));
        assert_eq!(signed.verify(&key.public(), b"head"), Ok(()));
        assert_eq!(signed.verify(&key.public(), b"other"), Err(BadSignature));
    }

    #[test]
    fn each_basis_of_a_grant_has_exactly_one_form() {
        for basis in [GrantBasis::Own, GrantBasis::Member, GrantBasis::Opening(Seq(9))] {
            assert_eq!(decode(&encode(&basis)), Ok(basis));
        }
        assert_eq!(decode::<GrantBasis>(&encode(&(0u64, 1u64))), Err(FormError::Unlisted));
    }
}
