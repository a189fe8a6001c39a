//! What we need of MLS (RFC 9420), by OpenMLS.
//!
//! [`storage`] keeps MLS state where the rest of our state is, [`crypto`] checks no signature twice. [`certificate`] is the credential of
//! a leaf, [`extension`] what binds a group to its log and a key package to its age. [`member`]
//! sets up groups and key packages, the same on every phone. [`public`] follows a group from its
//! first commit on, without being in it: the server, the verifier and every phone do.

pub mod certificate;
pub mod crypto;
pub mod extension;
pub mod member;
pub mod public;
mod signatures;
pub mod storage;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used, dead_code, reason = "for tests; a fuzzer uses part of it")]
pub(crate) mod testing;

/// An object of MLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MlsObject {
    /// A key package.
    KeyPackage,
    /// A commit.
    Commit,
    /// A GroupInfo.
    GroupInfo,
    /// A Welcome.
    Welcome,
    /// A ratchet tree.
    Tree,
    /// A credential.
    Credential,
    /// The extension of the group context, 0xFF01.
    GroupBinding,
    /// The extension of the key package, 0xFF02.
    Age,
    /// The stored state of a public group.
    State,
}

/// MLS refuses something, or it is not what we demand of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MlsError {
    /// The bytes are not such an object.
    #[error("the bytes are not a {0:?}")]
    Form(MlsObject),
    /// OpenMLS refuses it; the reason is its own text.
    #[error("OpenMLS refuses the {object:?}: {reason}")]
    Refused {
        /// What.
        object: MlsObject,
        /// OpenMLS' text.
        reason: String,
    },
    /// It is well-formed, but not as our protocol demands.
    #[error("the {object:?} is against the protocol: {rule}")]
    Against {
        /// What.
        object: MlsObject,
        /// The demand that it fails.
        rule: &'static str,
    },
}

impl MlsError {
    pub(crate) fn refused(object: MlsObject) -> impl Fn(&dyn std::fmt::Display) -> Self {
        move |reason| Self::Refused { object, reason: reason.to_string() }
    }
}
