//! Entering a group by a Welcome.

use hauspost_protocol::ids::Digest;
use hauspost_protocol::mls::extension::context_hash;
use hauspost_protocol::mls::member;
use hauspost_protocol::mls::storage::Backend;
use hauspost_protocol::mls::{MlsError, MlsObject};
use openmls::group::{MlsGroup, ProcessedWelcome, StagedWelcome};
use openmls::prelude::{MlsMessageBodyIn, MlsMessageIn, RatchetTreeIn};
use tls_codec::Deserialize as _;
use zeroize::Zeroizing;

use super::{GroupError, ScratchProvider, refused};

/// A group just joined.
pub struct Joined {
    /// The group.
    pub group: MlsGroup,
    /// SHA-256 of its GroupContext.
    pub ga: Digest,
    /// X of the epoch.
    pub exported: Zeroizing<Vec<u8>>,
}

/// Enters the group. `tree` is the ratchet tree, checked against the Welcome's tree hash by MLS.
/// Lifetimes are not checked: what counts is the company log (docs/attacks.md 17).
pub fn join<B: Backend>(
    provider: &ScratchProvider<B>,
    welcome: &[u8],
    tree: RatchetTreeIn,
) -> Result<Joined, GroupError> {
    let welcome = MlsMessageIn::tls_deserialize_exact(welcome)
        .map_err(|_| MlsError::Form(MlsObject::Welcome))?;
    let MlsMessageBodyIn::Welcome(welcome) = welcome.extract() else {
        return Err(MlsError::Form(MlsObject::Welcome).into());
    };
    let processed = ProcessedWelcome::new_from_welcome(provider, &member::join_config(), welcome)
        .map_err(refused(MlsObject::Welcome))?;
    let mut group = openmls::group::JoinBuilder::new(provider, processed)
        .with_ratchet_tree(tree)
        .skip_lifetime_validation()
        .replace_old_group()
        .build()
        .and_then(|staged: StagedWelcome| staged.into_group(provider))
        .map_err(refused(MlsObject::Welcome))?;
    let exported = member::exported_secret(&mut group, provider)?;
    let ga = context_hash(group.public_group().group_context());
    Ok(Joined { group, ga, exported })
}
