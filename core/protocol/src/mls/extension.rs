//! Our two extensions: what binds an MLS group to its log, and what says how old a key package is.
//!
//! 0xFF01 stands in the group context of every group, so that every member's secrets depend on the
//! log, its genesis and the archive keys. 0xFF02 stands in every key package: its leaf lives for
//! ever by MLS' own lifetime, since OpenMLS checks that one against the wall clock whenever it
//! processes an old commit; the real age is judged by the log's clock (docs/attacks.md 17, 41).
//!
//! Source: docs/protocol.md §3.

use openmls::extensions::{Extension, Extensions, RequiredCapabilitiesExtension, UnknownExtension};
use openmls::group::{GroupContext, GroupId};
use openmls::prelude::{CredentialType, ExtensionType, KeyPackage};
use tls_codec::Serialize as _;

use crate::array_item;
use crate::crypto::sha256;
use crate::encoding::{decode, encode};
use crate::ids::{Digest, Gen, KeyId, LogId, LogNo, TimeMs};
use crate::limits;
use crate::mls::{MlsError, MlsObject};

/// The extension type of [`GroupBinding`] (RFC 9420 §17.3, private use).
pub const GROUP_BINDING: u16 = 0xFF01;
/// The version of [`GroupBinding`] that new groups have.
pub const GROUP_BINDING_VERSION: u64 = 1;
/// The extension type of [`Age`] (RFC 9420 §17.3, private use).
pub const AGE: u16 = 0xFF02;
/// The component of the safe exporter that gives an epoch's secret (draft-ietf-mls-extensions,
/// private use).
pub const EXPORTER_COMPONENT: u16 = 0x8A01;

array_item! {
    /// What an MLS group belongs to; extension 0xFF01 of its context.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct GroupBinding = 1 {
        /// The log.
        pub log: LogId,
        /// The log's number.
        pub log_no: LogNo,
        /// The generation of the group.
        pub r#gen: Gen,
        /// `H("hauspost/1 genesis", genesis body)`.
        pub genesis: Digest,
        /// The officers' archive key.
        pub id_a: KeyId,
        /// The council's archive key.
        pub id_b: KeyId,
    }
}

impl GroupBinding {
    /// The binding in this context.
    pub fn of(context: &GroupContext) -> Result<Self, MlsError> {
        find(context.extensions(), GROUP_BINDING, MlsObject::GroupBinding)
    }

    /// The MLS group's id.
    pub fn group_id(&self) -> GroupId {
        group_id(self.log, self.r#gen)
    }

    /// All extensions of a group context, exactly: this one, and that every member must know it.
    ///
    /// A GroupContextExtensions proposal replaces all of them (RFC 9420 §12.1.7), so it carries
    /// this list too.
    pub fn extensions(&self) -> Extensions<GroupContext> {
        let binding = Extension::Unknown(GROUP_BINDING, UnknownExtension(encode(self)));
        let required = RequiredCapabilitiesExtension::new(
            &[ExtensionType::Unknown(GROUP_BINDING)],
            &[],
            &[CredentialType::X509],
        );
        Extensions::from_vec(vec![binding, Extension::RequiredCapabilities(required)])
            .expect("two different types that a group context may have")
    }

    /// Whether the context has exactly our extensions with this binding, and nothing besides.
    pub fn is_whole(&self, context: &GroupContext) -> bool {
        *context.extensions() == self.extensions()
    }
}

/// The MLS group's id: log ‖ u32 gen.
pub fn group_id(log: LogId, r#gen: Gen) -> GroupId {
    let mut id = log.0.to_vec();
    id.extend_from_slice(&u32::from(r#gen.0).to_be_bytes());
    GroupId::from_slice(&id)
}

/// `ga`: SHA-256 of the TLS encoding of a group context.
pub fn context_hash(context: &GroupContext) -> Digest {
    let bytes = context.tls_serialize_detached();
    sha256(&bytes.expect("a context that OpenMLS holds can be written"))
}

array_item! {
    /// When a key package was made, by its phone's clock; extension 0xFF02.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Age = 1 {
        /// Unix time in milliseconds.
        pub made_t_ms: TimeMs,
    }
}

impl Age {
    /// The age of this key package.
    pub fn of(package: &KeyPackage) -> Result<Self, MlsError> {
        find(package.extensions(), AGE, MlsObject::Age)
    }

    /// Whether a commit of this time may add by it: made at most 84 days before, and at most an hour
    /// after it by the phone's clock (docs/protocol.md §1, "Periods").
    pub fn is_fit_at(self, t_ms: TimeMs) -> bool {
        let too_new = self.made_t_ms > t_ms.saturating_add(limits::CLOCK_SKEW_MS);
        let too_old = t_ms > self.made_t_ms.saturating_add(limits::KEY_PACKAGE_AGE_MS);
        !too_new && !too_old
    }

    /// The extensions of a key package of this age.
    pub fn extensions(self) -> Extensions<KeyPackage> {
        Extensions::single(Extension::Unknown(AGE, UnknownExtension(encode(&self))))
            .expect("a type that a key package may have")
    }
}

fn find<T: crate::encoding::Item, O: openmls::extensions::ExtensionValidator>(
    extensions: &Extensions<O>,
    wanted: u16,
    object: MlsObject,
) -> Result<T, MlsError> {
    let bytes = extensions.iter().find_map(|extension| match extension {
        Extension::Unknown(kind, UnknownExtension(bytes)) if *kind == wanted => Some(bytes),
        _ => None,
    });
    let bytes = bytes.ok_or(MlsError::Against { object, rule: "the extension is there" })?;
    decode(bytes).map_err(|_| MlsError::Form(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_id_is_the_log_and_the_generation() {
        let id = group_id(LogId([7; 16]), Gen(258));
        let mut expected = vec![7; 16];
        expected.extend([0, 0, 1, 2]);
        assert_eq!(id.as_slice(), expected);
    }

    #[test]
    fn the_binding_is_a_list_of_seven_with_its_version_first() {
        let binding = GroupBinding {
            log: LogId([1; 16]),
            log_no: LogNo(5),
            r#gen: Gen(0),
            genesis: Digest([2; 32]),
            id_a: KeyId([3; 16]),
            id_b: KeyId([4; 16]),
        };
        let bytes = encode(&binding);
        assert_eq!(bytes[..2], [0x87, 0x01]);
        assert_eq!(decode(&bytes), Ok(binding));
    }
}
