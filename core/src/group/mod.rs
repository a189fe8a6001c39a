//! The phone's own side of MLS: creating a group, changing it, following others' changes, joining.
//!
//! Everything here runs on a [`Scratch`] above the stored state; what changed is stored with the
//! rest in one transaction. [`commit`] makes and takes in changes of a group, [`join`] enters by a
//! Welcome, [`enter`] by an external commit, [`packages`] makes the key packages by which others add this device. Who may change what
//! is not judged here, but by the protocol's `authorise`.
//!
//! A new epoch comes out as [`EpochKeys`]: its chains, and the capsule that every member expects.
//! The exported secret and the epoch's secret live no longer than the call (docs/protocol.md §4).

pub mod commit;
pub mod enter;
pub mod join;
pub mod packages;
pub mod scratch;

use hauspost_protocol::archive_key::ArchiveKeys;
use hauspost_protocol::body::CapsuleBody;
use hauspost_protocol::capsule;
use hauspost_protocol::crypto::SigningKey;
use hauspost_protocol::epoch::{Chain, EpochContext, EpochSecret, HintKey};
use hauspost_protocol::ids::LeafIndex;
use hauspost_protocol::mls::certificate::DeviceCertificate;
use hauspost_protocol::mls::storage::{Backend, Provider};
use hauspost_protocol::mls::{MlsError, MlsObject};

pub use scratch::{MlsChanges, Scratch};

/// OpenMLS over a scratch.
pub type ScratchProvider<B> = Provider<Scratch<B>>;

/// Who acts: this device, with its key and its certificate.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    /// The device's key.
    pub key: &'a SigningKey,
    /// Its certificate.
    pub certificate: &'a DeviceCertificate,
}

/// Why a group operation failed.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// MLS refuses it.
    #[error(transparent)]
    Mls(#[from] MlsError),
    /// The group's state could not be read.
    #[error("the group's MLS state cannot be read")]
    State,
    /// There is no such group on this phone.
    #[error("this phone has no MLS state of the group")]
    NoGroup,
    /// The message is something else than a commit.
    #[error("the handshake message is no commit")]
    NoCommit,
}

/// OpenMLS refuses this object; the reason is its own text.
fn refused<E: std::fmt::Display>(object: MlsObject) -> impl Fn(E) -> GroupError {
    move |reason| MlsError::Refused { object, reason: reason.to_string() }.into()
}

/// The keys of an epoch, as far as a member keeps them.
#[derive(Debug, Clone)]
pub struct EpochKeys {
    /// What they are bound to.
    pub context: EpochContext,
    /// One chain for each leaf, ascending.
    pub chains: Vec<(LeafIndex, Chain)>,
    /// What seals its hints.
    pub hints: HintKey,
    /// The capsule that every member expects.
    pub capsule: CapsuleBody,
}

impl EpochKeys {
    /// Derives what is kept; the exported secret and the epoch's secret end here.
    pub fn derive(
        exported: &[u8],
        context: EpochContext,
        leaves: impl IntoIterator<Item = LeafIndex>,
        archive_keys: &ArchiveKeys,
    ) -> Self {
        let hints = HintKey::from_exporter(exported, &context);
        let secret = EpochSecret::from_exporter(exported, context);
        let chains = leaves.into_iter().map(|leaf| (leaf, secret.chain(leaf))).collect();
        Self { context, chains, hints, capsule: capsule::seal(&secret, archive_keys) }
    }
}

/// A provider above changes that are not stored yet; it gives them back with its own.
pub fn provider_above<B: Backend>(
    below: B,
    earlier: &MlsChanges,
    rng: &mut impl rand::CryptoRng,
) -> ScratchProvider<B> {
    Provider::new(Scratch::above(below, earlier.clone()), rng)
}

/// A provider whose changes are collected.
pub fn provider<B: Backend>(below: B, rng: &mut impl rand::CryptoRng) -> ScratchProvider<B> {
    Provider::new(Scratch::new(below), rng)
}

#[cfg(test)]
mod tests;
