//! Changes of a group: made by this phone, or taken in from another.

use hauspost_protocol::body::{CommitBody, SignedPayload, unsigned_payload};
use hauspost_protocol::crypto::{SigningKey, sha256};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{At, Head, Kind, Seen};
use hauspost_protocol::epoch::EpochContext;
use hauspost_protocol::ids::{DeviceId, Digest, LeafIndex};
use hauspost_protocol::mls::extension::{GroupBinding, context_hash};
use hauspost_protocol::mls::member::{self, Suite};
use hauspost_protocol::mls::storage::Backend;
use hauspost_protocol::mls::{MlsError, MlsObject};
use hauspost_protocol::wire::NewEntry;
use openmls::group::{CommitMessageBundle, GroupId, MlsGroup, StagedCommit};
use openmls::prelude::{
    KeyPackage, LeafNodeIndex, LeafNodeParameters, MlsMessageIn, ProcessedMessageContent, Sender,
};
use openmls_traits::OpenMlsProvider;
use tls_codec::Deserialize as _;
use zeroize::Zeroizing;

use super::{GroupError, Member, ScratchProvider, refused};

/// What a commit of this phone changes, besides its own leaf's keys, which every commit renews.
#[derive(Default)]
pub struct Change {
    /// Devices that come, by their key packages.
    pub adds: Vec<KeyPackage>,
    /// Leaves that go.
    pub removes: Vec<LeafIndex>,
    /// The binding with newer archive keys.
    pub binding: Option<GroupBinding>,
}

/// The two entries of a commit that begins this epoch: its own, signed by its author, and its capsule's.
pub fn entries(
    context: &EpochContext,
    body: &CommitBody,
    capsule: Vec<u8>,
    (key, device): (&SigningKey, DeviceId),
) -> [NewEntry; 2] {
    let head = |kind| encode(&Head::plain(kind, context.log, context.r#gen, context.epoch));
    let (of_commit, of_capsule) = (head(Kind::Commit), head(Kind::Capsule));
    let signed = SignedPayload::sign(key, &of_commit, encode(body), device);
    [
        (Bytes(of_commit), Bytes(encode(&signed))),
        (Bytes(of_capsule), Bytes(unsigned_payload(capsule))),
    ]
}

/// A commit of this phone that is not accepted yet. In the group's state it is pending.
pub struct OwnCommit {
    /// The commit as MLSMessage.
    pub message: Bytes,
    /// The new epoch's GroupInfo as MLSMessage.
    pub group_info: Bytes,
    /// The Welcome as MLSMessage, if anybody was added.
    pub welcome: Option<Bytes>,
    /// SHA-256 of the new epoch's GroupContext.
    pub ga: Digest,
    /// X of the new epoch.
    pub exported: Zeroizing<Vec<u8>>,
    /// The leaves of the new epoch, ascending.
    pub leaves: Vec<LeafIndex>,
}

impl OwnCommit {
    /// What its entry says, with this capsule's bytes beside it.
    pub fn body(
        &self,
        seen: Option<Seen>,
        at: At,
        base: Option<Bytes>,
        capsule: &[u8],
    ) -> CommitBody {
        CommitBody {
            seen,
            at,
            mls_message: self.message.clone(),
            base,
            ga: self.ga,
            capsule_hash: sha256(capsule),
            gi_hash: sha256(&self.group_info),
            welcome_hash: self.welcome.as_ref().map(|welcome| sha256(welcome)),
        }
    }

    pub(super) fn of(
        made: CommitMessageBundle,
        ga: Digest,
        exported: Zeroizing<Vec<u8>>,
        leaves: Vec<LeafIndex>,
    ) -> Result<Self, GroupError> {
        let bytes = |message| Bytes(member::message_bytes(&message));
        let (message, welcome, group_info) = made.into_messages();
        let none = "no GroupInfo was made";
        Ok(Self {
            message: bytes(message),
            group_info: bytes(group_info.ok_or(none).map_err(refused(MlsObject::GroupInfo))?),
            welcome: welcome.map(bytes),
            ga,
            exported,
            leaves,
        })
    }
}

/// Begins a group of one leaf in epoch 0, and gives the GroupInfo with its tree, from which all
/// rosters are replayed.
pub fn create<B: Backend>(
    provider: &ScratchProvider<B>,
    member: Member<'_>,
    suite: Suite,
    binding: &GroupBinding,
) -> Result<(MlsGroup, Bytes), GroupError> {
    let group = MlsGroup::new_with_group_id(
        provider,
        member.key,
        &member::create_config(suite, binding),
        binding.group_id(),
        member.certificate.credential(),
    )
    .map_err(refused(MlsObject::GroupInfo))?;
    let base = group
        .export_group_info(provider.crypto(), member.key, true)
        .map_err(refused(MlsObject::GroupInfo))?;
    Ok((group, Bytes(member::message_bytes(&base))))
}

/// The stored group.
pub fn load<B: Backend>(
    provider: &ScratchProvider<B>,
    group_id: &GroupId,
) -> Result<MlsGroup, GroupError> {
    MlsGroup::load(provider.storage(), group_id)
        .map_err(|_| GroupError::State)?
        .ok_or(GroupError::NoGroup)
}

/// Forgets a group whose generation is over, or that came to nothing. None is no fault.
pub fn forget<B: Backend>(
    provider: &ScratchProvider<B>,
    group_id: &GroupId,
) -> Result<(), GroupError> {
    match load(provider, group_id) {
        Ok(mut group) => group.delete(provider.storage()).map_err(|_| GroupError::State),
        Err(GroupError::NoGroup) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a commit and leaves it pending. Every commit has a path, so that it renews the own keys.
pub fn commit<B: Backend>(
    provider: &ScratchProvider<B>,
    group: &mut MlsGroup,
    member: Member<'_>,
    change: Change,
) -> Result<OwnCommit, GroupError> {
    let leaves = leaves_after(group, &change);
    let mut builder = group
        .commit_builder()
        .consume_proposal_store(false)
        .force_self_update(true)
        .leaf_node_parameters(LeafNodeParameters::default())
        .propose_removals(change.removes.iter().map(|leaf| LeafNodeIndex::new(leaf.0)))
        .propose_adds(change.adds);
    if let Some(binding) = &change.binding {
        builder = builder
            .propose_group_context_extensions(binding.extensions())
            .map_err(refused(MlsObject::Commit))?;
    }
    let bundle = builder
        .load_psks(provider.storage())
        .map_err(refused(MlsObject::Commit))?
        .create_group_info(true)
        .use_ratchet_tree_extension(false)
        .build(provider.rand(), provider.crypto(), member.key, |_| true)
        .map_err(refused(MlsObject::Commit))?
        // Stored once, by the export below, which changes it.
        .stage_commit(&provider.unstored())
        .map_err(refused(MlsObject::Commit))?;
    let exported = member::exported_secret_of_pending(group, provider)?;
    let pending = group.pending_commit().ok_or(GroupError::State)?;
    OwnCommit::of(bundle, context_hash(pending.group_context()), exported, leaves)
}

/// Who has a leaf once the change is made: those added take the leftmost free leaves, after those
/// removed are gone (RFC 9420 §12.1.1).
fn leaves_after(group: &MlsGroup, change: &Change) -> Vec<LeafIndex> {
    let mut leaves: Vec<_> = leaves(group);
    leaves.retain(|leaf| !change.removes.contains(leaf));
    for _ in &change.adds {
        let gap = leaves.iter().enumerate().find(|(place, leaf)| *place as u32 != leaf.0);
        let place = gap.map_or(leaves.len(), |(place, _)| place);
        leaves.insert(place, LeafIndex(place as u32));
    }
    leaves
}

/// The leaves of the group's current epoch, ascending.
pub fn leaves(group: &MlsGroup) -> Vec<LeafIndex> {
    group.members().map(|member| LeafIndex(member.index.u32())).collect()
}

/// The pending commit was accepted: the group enters the new epoch.
pub fn merge_own<B: Backend>(
    provider: &ScratchProvider<B>,
    group: &mut MlsGroup,
) -> Result<(), GroupError> {
    if group.pending_commit().is_none() {
        return Err(GroupError::State);
    }
    group.merge_pending_commit(provider).map_err(|_| GroupError::State)
}

/// The pending commit lost its race or was refused: the group stays in its epoch.
pub fn drop_own<B: Backend>(
    provider: &ScratchProvider<B>,
    group: &mut MlsGroup,
) -> Result<(), GroupError> {
    group.clear_pending_commit(provider.storage()).map_err(|_| GroupError::State)
}

/// Another member's commit, verified by MLS and not merged: who may do what it does is still to be
/// judged.
pub struct Taken {
    /// The commit.
    pub staged: Box<StagedCommit>,
    /// Who made it.
    pub sender: Sender,
    /// SHA-256 of the new epoch's GroupContext.
    pub ga: Digest,
}

/// Verifies another member's commit.
pub fn take<B: Backend>(
    provider: &ScratchProvider<B>,
    group: &mut MlsGroup,
    message: &[u8],
) -> Result<Taken, GroupError> {
    provider.crypto().verify_ahead(message);
    let message = MlsMessageIn::tls_deserialize_exact(message)
        .map_err(|_| MlsError::Form(MlsObject::Commit))?
        .try_into_protocol_message()
        .map_err(|_| MlsError::Form(MlsObject::Commit))?;
    let processed = group.process_message(provider, message).map_err(refused(MlsObject::Commit))?;
    let sender = processed.sender().clone();
    match processed.into_content() {
        ProcessedMessageContent::StagedCommitMessage(staged) => {
            let ga = context_hash(staged.group_context());
            Ok(Taken { staged, sender, ga })
        }
        _ => Err(GroupError::NoCommit),
    }
}

/// Enters the epoch that the commit begins, and gives X of it. If the commit removed this device,
/// there is none.
pub fn merge<B: Backend>(
    provider: &ScratchProvider<B>,
    group: &mut MlsGroup,
    mut taken: Taken,
) -> Result<Option<Zeroizing<Vec<u8>>>, GroupError> {
    let removed = taken.staged.self_removed();
    let exported =
        if removed { None } else { Some(member::exported_secret_of_staged(&mut taken.staged)?) };
    group.merge_staged_commit(provider, *taken.staged).map_err(|_| GroupError::State)?;
    Ok(exported)
}
