//! The member's side of MLS: how our groups and key packages are set up, the same on every phone.
//!
//! Handshakes are public messages, so that the server can check them; the ratchet tree travels
//! apart from Welcome and GroupInfo; nothing of past epochs is kept. The epoch's secret comes from
//! the safe exporter, which answers once for an epoch (docs/protocol.md §4).

use openmls::group::{
    MlsGroupCreateConfig, MlsGroupJoinConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, StagedCommit,
};
use openmls::prelude::{
    Capabilities, Ciphersuite, CredentialType, CredentialWithKey, ExtensionType, KeyPackage,
    KeyPackageBundle, KeyPackageIn, Lifetime, MlsGroup, MlsMessageBodyIn, MlsMessageIn,
    MlsMessageOut, ProtocolVersion,
};
use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use tls_codec::{Deserialize as _, Serialize as _};
use zeroize::Zeroizing;

use crate::crypto::SigningKey;
use crate::ids::TimeMs;
use crate::limits;
use crate::mls::extension::{AGE, Age, EXPORTER_COMPONENT, GROUP_BINDING, GroupBinding};
use crate::mls::{MlsError, MlsObject};

/// A cipher suite that our groups use (RFC 9420 §17.1). It belongs to a generation of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// X-Wing, AES-128-GCM, SHA-256, Ed25519; the code point is provisional.
    Hybrid = 0x004F,
    /// X25519, ChaCha20-Poly1305, SHA-256, Ed25519.
    Classic = 0x0003,
}

impl Suite {
    /// All of them. A device has key packages of each, so that it can be added to any group.
    pub const ALL: [Self; 2] = [Self::Hybrid, Self::Classic];

    /// The suite for a group of so many devices.
    pub fn for_devices(count: usize) -> Self {
        if count <= limits::HYBRID_LEAVES { Self::Hybrid } else { Self::Classic }
    }

    /// The suite with this number; none for one that our groups do not use.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.code() == code)
    }

    /// The suite that OpenMLS calls so; none for one that our groups do not use.
    pub fn of(ciphersuite: Ciphersuite) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.ciphersuite() == ciphersuite)
    }

    /// Its number in MLS and in genesis.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// OpenMLS' name for it.
    pub fn ciphersuite(self) -> Ciphersuite {
        match self {
            Self::Hybrid => Ciphersuite::MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519,
            Self::Classic => Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
        }
    }
}

impl Signer for SigningKey {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.sign_raw(payload).0.to_vec())
    }
    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// What each leaf of ours can do: both suites, both extensions, last-resort packages, X.509.
pub fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&Suite::ALL.map(Suite::ciphersuite)),
        Some(&[
            ExtensionType::Unknown(GROUP_BINDING),
            ExtensionType::Unknown(AGE),
            ExtensionType::LastResort,
        ]),
        Some(&[]),
        Some(&[CredentialType::X509]),
    )
}

/// The lifetime of every leaf: for ever. What counts is [`Age`], judged by the log's clock.
pub fn lifetime() -> Lifetime {
    Lifetime::init(0, u64::MAX)
}

/// How a member of a group of ours behaves.
pub fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .max_past_epochs(0)
        .number_of_resumption_psks(0)
        .use_ratchet_tree_extension(false)
        .build()
}

/// How a group of ours begins, with one leaf and in epoch 0, which nothing belongs to.
pub fn create_config(suite: Suite, binding: &GroupBinding) -> MlsGroupCreateConfig {
    MlsGroupCreateConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .max_past_epochs(0)
        .number_of_resumption_psks(0)
        .use_ratchet_tree_extension(false)
        .ciphersuite(suite.ciphersuite())
        .lifetime(lifetime())
        .capabilities(capabilities())
        .with_group_context_extensions(binding.extensions())
        .build()
}

/// Makes a key package and stores its secrets in the provider's storage.
pub fn key_package<P: OpenMlsProvider>(
    provider: &P,
    suite: Suite,
    key: &SigningKey,
    credential: CredentialWithKey,
    made_t_ms: TimeMs,
    last_resort: bool,
) -> Result<KeyPackageBundle, MlsError> {
    let mut builder = KeyPackage::builder()
        .key_package_lifetime(lifetime())
        .leaf_node_capabilities(capabilities())
        .key_package_extensions(Age { made_t_ms }.extensions());
    if last_resort {
        builder = builder.mark_as_last_resort();
    }
    builder
        .build(suite.ciphersuite(), provider, key, credential)
        .map_err(|error| MlsError::refused(MlsObject::KeyPackage)(&error))
}

/// A key package as it travels: an MLSMessage.
pub fn key_package_bytes(package: &KeyPackage) -> Vec<u8> {
    message_bytes(&MlsMessageOut::from(package.clone()))
}

/// An MLS message as it travels.
pub fn message_bytes(message: &MlsMessageOut) -> Vec<u8> {
    message.tls_serialize_detached().expect("a message that OpenMLS made can be written")
}

/// Reads a key package and checks its signatures. Whose it is, and whether it may be added, is for
/// the leaf rule and `authorise`.
pub fn parse_key_package(bytes: &[u8]) -> Result<KeyPackage, MlsError> {
    let message = MlsMessageIn::tls_deserialize_exact(bytes)
        .map_err(|_| MlsError::Form(MlsObject::KeyPackage))?;
    let MlsMessageBodyIn::KeyPackage(package) = message.extract() else {
        return Err(MlsError::Form(MlsObject::KeyPackage));
    };
    let package: KeyPackageIn = package;
    package
        .validate(&RustCrypto::default(), ProtocolVersion::Mls10)
        .map_err(|error| MlsError::refused(MlsObject::KeyPackage)(&error))
}

/// X, the new epoch's exported secret, from a commit that is not merged yet. The exporter answers
/// once.
pub fn exported_secret_of_staged(
    commit: &mut StagedCommit,
) -> Result<Zeroizing<Vec<u8>>, MlsError> {
    commit
        .safe_export_secret(&RustCrypto::default(), EXPORTER_COMPONENT)
        .map(Zeroizing::new)
        .map_err(|error| MlsError::refused(MlsObject::Commit)(&error))
}

/// X of the own commit that waits for the server's answer.
pub fn exported_secret_of_pending<P: OpenMlsProvider>(
    group: &mut MlsGroup,
    provider: &P,
) -> Result<Zeroizing<Vec<u8>>, MlsError> {
    group
        .safe_export_secret_from_pending(provider.crypto(), provider.storage(), EXPORTER_COMPONENT)
        .map(Zeroizing::new)
        .map_err(|error| MlsError::refused(MlsObject::Commit)(&error))
}

/// X of the current epoch, for a member who just joined.
pub fn exported_secret<P: OpenMlsProvider>(
    group: &mut MlsGroup,
    provider: &P,
) -> Result<Zeroizing<Vec<u8>>, MlsError> {
    group
        .safe_export_secret(provider.crypto(), provider.storage(), EXPORTER_COMPONENT)
        .map(Zeroizing::new)
        .map_err(|error| MlsError::refused(MlsObject::Welcome)(&error))
}
