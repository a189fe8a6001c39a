//! GroupInfos and trees: what lets somebody into a group.

use openmls::group::GroupContext;
use openmls::messages::group_info::{GroupInfo, VerifiableGroupInfo};
use openmls::prelude::{Extensions, MlsMessageBodyIn, MlsMessageIn, RatchetTreeIn};
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::types::SignatureScheme;
use tls_codec::{Deserialize as _, Serialize as _, VLBytes};

use crate::crypto::PublicKey;
use crate::ids::LeafIndex;
use crate::mls::{MlsError, MlsObject};

/// Reads a GroupInfo (an MLSMessage) without judging it.
pub fn parse_group_info(bytes: &[u8]) -> Result<VerifiableGroupInfo, MlsError> {
    let form = |_| MlsError::Form(MlsObject::GroupInfo);
    match MlsMessageIn::tls_deserialize_exact(bytes).map_err(form)?.extract() {
        MlsMessageBodyIn::GroupInfo(info) => Ok(info),
        _ => Err(MlsError::Form(MlsObject::GroupInfo)),
    }
}

/// Reads a ratchet tree as it travels, without judging it.
pub fn parse_tree(bytes: &[u8]) -> Result<RatchetTreeIn, MlsError> {
    RatchetTreeIn::tls_deserialize_exact(bytes).map_err(|_| MlsError::Form(MlsObject::Tree))
}

/// The external key that a GroupInfo (an MLSMessage) names; none if it is no GroupInfo, or names none.
/// Whether it is the group's, only members know.
pub fn external_key(group_info: &[u8]) -> Option<Vec<u8>> {
    let info = parse_group_info(group_info).ok()?;
    Some(info.extensions().external_pub()?.external_pub().as_slice().to_vec())
}

pub(super) fn against_group_info(rule: &'static str) -> MlsError {
    MlsError::Against { object: MlsObject::GroupInfo, rule }
}

/// A GroupInfo taken apart, since OpenMLS shows neither confirmation tag nor signer (RFC 9420
/// §12.4.3).
pub(super) struct GroupInfoParts {
    context: GroupContext,
    confirmation_tag: VLBytes,
    pub(super) signer: LeafIndex,
    signed: Vec<u8>,
    signature: VLBytes,
    has_tree: bool,
    has_external_key: bool,
}

/// Length of an MLSMessage's version and wire format in bytes (RFC 9420 §6).
const MESSAGE_HEADER_BYTES: usize = 4;

impl GroupInfoParts {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, MlsError> {
        parse_group_info(bytes)?;
        let form = |_| MlsError::Form(MlsObject::GroupInfo);
        let body = &bytes[MESSAGE_HEADER_BYTES..];
        let mut rest = body;
        let context = GroupContext::tls_deserialize(&mut rest).map_err(form)?;
        let extensions = Extensions::<GroupInfo>::tls_deserialize(&mut rest).map_err(form)?;
        let confirmation_tag = VLBytes::tls_deserialize(&mut rest).map_err(form)?;
        let signer = LeafIndex(u32::tls_deserialize(&mut rest).map_err(form)?);
        let signed = body[..body.len() - rest.len()].to_vec();
        let signature = VLBytes::tls_deserialize(&mut rest).map_err(form)?;
        Ok(Self {
            context,
            confirmation_tag,
            signer,
            signed,
            signature,
            has_tree: extensions.ratchet_tree().is_some(),
            has_external_key: extensions.external_pub().is_some(),
        })
    }

    pub(super) fn check(
        &self,
        context: &GroupContext,
        confirmation_tag: &[u8],
    ) -> Result<(), MlsError> {
        let tag = self.confirmation_tag.tls_serialize_detached();
        let tag = tag.map_err(|_| MlsError::Form(MlsObject::GroupInfo))?;
        if self.context != *context {
            return Err(against_group_info("its context is the commit's"));
        }
        if tag != confirmation_tag {
            return Err(against_group_info("its confirmation tag is the commit's"));
        }
        if self.has_tree || !self.has_external_key {
            return Err(against_group_info("it has an external key and no tree"));
        }
        Ok(())
    }

    /// `VerifyWithLabel(., "GroupInfoTBS", …)` (RFC 9420 §5.1.2).
    pub(super) fn verify(&self, key: &PublicKey) -> Result<(), MlsError> {
        let label = VLBytes::new(b"MLS 1.0 GroupInfoTBS".to_vec());
        let content = [label, VLBytes::new(self.signed.clone())]
            .map(|part| part.tls_serialize_detached().expect("shorter than 2^30 bytes"))
            .concat();
        RustCrypto::default()
            .verify_signature(SignatureScheme::ED25519, &content, &key.0, self.signature.as_slice())
            .map_err(|_| against_group_info("its signature is the signer's"))
    }
}
