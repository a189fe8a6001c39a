//! Entering a group by oneself, by an external commit: a further device of a person, somebody who was
//! let in while his phone had no key package, and who lost the way and enters anew.
//!
//! OpenMLS merges such a commit and stores the group at once (docs/attacks.md 18). So it is built in a
//! scratch, which is kept beside the commit's bytes and becomes real only when the commit comes back
//! in the log; if another was first, both are dropped.

use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::mls::MlsObject;
use hauspost_protocol::mls::extension::context_hash;
use hauspost_protocol::mls::member;
use hauspost_protocol::mls::public::{Follower, parse_group_info};
use hauspost_protocol::mls::storage::Backend;
use openmls::group::MlsGroup;
use openmls::prelude::LeafNodeParameters;
use openmls_traits::OpenMlsProvider;

use super::commit::{self, OwnCommit};
use super::{GroupError, Member, ScratchProvider, refused};

/// Makes an external commit on this GroupInfo. `follower` has followed the group from outside, commit
/// by commit, so that its tree is checked; the GroupInfo must be one of its epoch.
///
/// What this phone had of the group before goes with the scratch: when that becomes real, the old
/// state is gone. Nothing pends, since the group of the scratch is in the new epoch already.
pub fn enter<B: Backend>(
    provider: &ScratchProvider<B>,
    member: Member<'_>,
    follower: &Follower,
    group_info: &[u8],
) -> Result<OwnCommit, GroupError> {
    follower.check_group_info(group_info)?;
    let info = parse_group_info(group_info)?;
    // What cannot be read any more is in nobody's way either.
    if let Ok(mut old) = commit::load(provider, &follower.binding().group_id()) {
        old.delete(provider.storage()).map_err(|_| GroupError::State)?;
    }
    let id = follower.binding().group_id();
    provider.crypto().verify_tree_ahead(id.as_slice(), &follower.tree_bytes());
    let leaf = LeafNodeParameters::builder().with_capabilities(member::capabilities()).build();
    let (mut group, bundle) = MlsGroup::external_commit_builder()
        .with_ratchet_tree(follower.tree())
        .with_config(member::join_config())
        .skip_lifetime_validation()
        .build_group(provider, info, member.certificate.credential())
        .map_err(refused(MlsObject::GroupInfo))?
        .leaf_node_parameters(leaf)
        .load_psks(provider.storage())
        .map_err(refused(MlsObject::GroupInfo))?
        .create_group_info(true)
        .use_ratchet_tree_extension(false)
        .build(provider.rand(), provider.crypto(), member.key, |_| true)
        .map_err(refused(MlsObject::GroupInfo))?
        .finalize(provider)
        .map_err(refused(MlsObject::GroupInfo))?;
    let ga = context_hash(group.public_group().group_context());
    let exported = member::exported_secret(&mut group, provider)?;
    OwnCommit::of(bundle, ga, exported, commit::leaves(&group))
}

/// This member's own GroupInfo of the group's epoch, by which others may enter (C6).
pub fn group_info<B: Backend>(
    provider: &ScratchProvider<B>,
    member: Member<'_>,
    group: &MlsGroup,
) -> Result<Bytes, GroupError> {
    let info = group
        .export_group_info(provider.crypto(), member.key, false)
        .map_err(refused(MlsObject::GroupInfo))?;
    Ok(Bytes(member::message_bytes(&info)))
}
