//! Whom the company trusts: its root, the keys that root certifies, devices and roles.

use crate::company::voucher::Voucher;
use crate::crypto::{PublicKey, Signature};
use crate::encoding::Bytes;
use crate::entry::Seen;
use crate::ids::{CompanyId, DeviceId, Digest, UserId};
use crate::{array_item, code_item};

array_item! {
    /// The first entry: which company this is, and the key that everything else hangs from.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CompanyGenesis = 1 {
        /// The company, whose log has the same id.
        pub company: CompanyId,
        /// The root key. The pin that a phone is given is its hash.
        pub root: PublicKey,
    }
}

array_item! {
    /// The root key is followed by another.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RootRotation {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// The new root key.
        pub key: PublicKey,
    }
}

array_item! {
    /// A key begins or ceases to be an issuing key or an enrolment authority.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct KeySwitch {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// The key.
        pub key: PublicKey,
        /// Whether it is good from now on.
        pub active: bool,
    }
}

array_item! {
    /// The keys that sign checkpoints from now on.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct LogKeyEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// The Ed25519 key.
        pub ed25519: PublicKey,
        /// The ML-DSA-44 key, 1,312 bytes (FIPS 204).
        pub ml_dsa: Bytes,
    }
}

array_item! {
    /// A witness begins or ceases to cosign checkpoints.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct WitnessEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// The witness's key name, as its note signatures say it.
        pub name: String,
        /// Its ML-DSA-44 key, 1,312 bytes (FIPS 204).
        pub key: Bytes,
        /// Whether it is good from now on.
        pub active: bool,
    }
}

array_item! {
    /// A device, or a renewed certificate for one.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct DeviceEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// Whose device it is.
        pub user: UserId,
        /// The device.
        pub device: DeviceId,
        /// Its signature key, which is its MLS key too.
        pub signature_key: PublicKey,
        /// SHA-256 of its certificate's DER.
        pub certificate: Digest,
        /// `H("hauspost/1 history-key", pk)` of its X-Wing key.
        pub history_key: Digest,
        /// Its keystore key, P-256, compressed (SEC 1 §2.3.3).
        pub keystore_key: [u8; 33],
        /// The voucher by which it enrolled, if it came by one.
        pub voucher: Option<Voucher>,
        /// The voucher's seed over the enrolment; set exactly if the voucher is.
        pub seed_signature: Option<Signature>,
        /// A device of the same user that this one takes the place of, and revokes.
        pub replaces: Option<DeviceId>,
    }
}

code_item! {
    /// Why a device is no longer trusted.
    pub enum RevokeReason {
        /// Its user left the company.
        Left = 0,
        /// The phone is lost.
        Lost = 1,
        /// Another device took its place.
        Replaced = 2,
        /// Two phones used one leaf.
        Conflict = 3,
    }
}

array_item! {
    /// A device is no longer trusted, for good.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RevokeEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// The device.
        pub device: DeviceId,
        /// Why.
        pub reason: RevokeReason,
    }
}

code_item! {
    /// What a role key may do.
    pub enum Role {
        /// Runs devices and roles.
        Admin = 0,
        /// Human resources: leavers and successors.
        Hr = 1,
        /// Compliance officer, with a share of archive key A.
        Officer = 2,
        /// Works council (Betriebsrat), with archive key B.
        Council = 3,
        /// The directory service that reports leavers; an online key.
        Scim = 4,
        /// The server's key for expired retention; an online key.
        Retention = 5,
    }
}

array_item! {
    /// A key begins or ceases to have a role.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RoleEntry {
        /// The newest entry that the signers had processed.
        pub seen: Option<Seen>,
        /// The role's signing key.
        pub key: PublicKey,
        /// `H("hauspost/1 history-key", pk)` of the role's X-Wing key, if it may be given record keys.
        pub history_key: Option<Digest>,
        /// Whose key it is; null for a machine's.
        pub user: Option<UserId>,
        /// The role.
        pub role: Role,
        /// Whether it has it from now on.
        pub active: bool,
    }
}

/// `H("hauspost/1 history-key", pk)`, which device and role entries carry.
pub fn history_key_hash(key: &[u8]) -> Digest {
    Digest(crate::crypto::hash("hauspost/1 history-key", key))
}

/// The hash at which a phone is pinned: `H("hauspost/1 root", root pk)`.
pub fn company_pin(root: &PublicKey) -> Digest {
    Digest(crate::crypto::hash("hauspost/1 root", &root.0))
}
