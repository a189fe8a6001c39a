//! A group as those who are not in it can follow it: which device sits at which leaf, epoch by epoch.
//!
//! A [`Follower`] starts from the GroupInfo that the first commit of a generation carries, takes
//! every commit in order, and says of each what it does ([`CommitFacts`]) before it is merged. The
//! server does so before it accepts a commit, a phone before it believes one, the verifier and the
//! council's tool years later; all from the log alone.
//!
//! What it cannot check is what only members can: the confirmation tag, the membership tag and the
//! encrypted path secrets (docs/attacks.md 2).
//!
//! Source: docs/protocol.md §3, S9, S10.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use openmls::group::{
    GroupContext, InterimTranscriptHash, ProposalStore, PublicGroup, StagedCommit,
};
use openmls::messages::proposals::{Proposal, ProposalOrRefType};
use openmls::prelude::{
    KeyPackage, LeafNode, MlsMessageBodyIn, MlsMessageIn, ProcessedMessageContent, PublicMessageIn,
    RatchetTreeIn, Sender,
};
use openmls_traits::storage::{CURRENT_VERSION, StorageProvider};
use tls_codec::{Deserialize as _, Serialize as _};

use crate::array_item;
use crate::crypto::{PublicKey, sha256};
use crate::encoding::{Bytes, FormError, Item, Reader, Writer, decode, encode};
use crate::ids::{DeviceId, Digest, Epoch, Gen, LeafIndex, Seq, TimeMs, UserId};
use crate::limits;
use crate::mls::certificate::{CertificateFacts, DeviceCertificate};
use crate::mls::crypto::Crypto;
use crate::mls::extension::{Age, GroupBinding, context_hash, group_id};
use crate::mls::member::{Suite, lifetime};
use crate::mls::storage::{KeyValueStorage, MemoryBackend, Nowhere};
use crate::mls::{MlsError, MlsObject};

mod group_info;
mod unproven;

use group_info::{GroupInfoParts, against_group_info};
pub use group_info::{external_key, parse_group_info, parse_tree};
pub use unproven::{Unproven, UnprovenCommit};

array_item! {
    /// A device at a leaf.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Member {
        /// The device.
        pub device: DeviceId,
        /// Whose it is.
        pub user: UserId,
        /// The key that signs its records and handshakes.
        pub signature_key: PublicKey,
        /// SHA-256 of its certificate.
        pub certificate: Digest,
        /// The commit by which it entered.
        pub entered: Seq,
        /// When its leaf was last made anew, by the log's clock.
        pub renewed_t_ms: TimeMs,
    }
}

/// The devices of an epoch by their leaves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster(BTreeMap<LeafIndex, Member>);

impl Roster {
    /// The device at this leaf.
    pub fn member(&self, leaf: LeafIndex) -> Option<&Member> {
        self.0.get(&leaf)
    }

    /// All devices, by ascending leaf.
    pub fn iter(&self) -> impl Iterator<Item = (LeafIndex, &Member)> {
        self.0.iter().map(|(leaf, member)| (*leaf, member))
    }

    /// Where this device sits.
    pub fn leaf_of(&self, device: DeviceId) -> Option<LeafIndex> {
        self.iter().find(|(_, member)| member.device == device).map(|(leaf, _)| leaf)
    }

    /// Whether a device of this user has a leaf.
    pub fn has_user(&self, user: UserId) -> bool {
        self.0.values().any(|member| member.user == user)
    }

    /// How many leaves are taken.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a commit does to this roster, and the new epoch's binding; refused if it is against what
    /// our commits may be. A member asks it of the commit that its own group staged.
    ///
    /// Whom the commit removes cannot compute the new context (RFC 9420 §12.4.2): of the `ga` and tree
    /// hash that he gets here nothing follows.
    pub fn facts(
        &self,
        sender: &Sender,
        commit: &StagedCommit,
    ) -> Result<(CommitFacts, GroupBinding), MlsError> {
        let context = commit.group_context();
        let binding = GroupBinding::of(context)?;
        if !binding.is_whole(context) {
            return Err(against_commit("the context holds our extensions and no others"));
        }
        let mut adds = Vec::new();
        let mut removes = Vec::new();
        let mut rebinds = None;
        for queued in commit.queued_proposals() {
            if queued.proposal_or_ref_type() != ProposalOrRefType::Proposal {
                return Err(against_commit("proposals stand in the commit itself"));
            }
            match queued.proposal() {
                Proposal::Add(add) => adds.push(add.key_package()),
                Proposal::Remove(remove) => {
                    let leaf = LeafIndex(remove.removed().u32());
                    let member = self.member(leaf);
                    removes.push((leaf, *member.ok_or(MlsError::Form(MlsObject::State))?));
                }
                Proposal::GroupContextExtensions(_) => rebinds = Some(binding.clone()),
                Proposal::ExternalInit(_) => {}
                _ => return Err(against_commit("it adds, removes or sets archive keys")),
            }
        }
        let mut after = self.clone();
        for (leaf, _) in &removes {
            after.0.remove(leaf);
        }
        let (leaf, external) = match sender {
            Sender::Member(leaf) => (LeafIndex(leaf.u32()), false),
            Sender::NewMemberCommit => (after.free(), true),
            _ => return Err(against_commit("a member or a new member commits")),
        };
        let path = commit.update_path_leaf_node();
        let path = path.ok_or(against_commit("each commit has a path"))?;
        let committer = NewLeaf::read(leaf, path)?;
        // Before a log's first commit the roster is still empty, and its creator sits here already.
        after.0.entry(leaf).or_insert(committer.member(Seq(0), 0));
        let mut added = Vec::with_capacity(adds.len());
        let mut next = LeafIndex(0);
        for package in adds {
            if *package.life_time() != lifetime() {
                return Err(against_commit("a leaf's MLS lifetime is for ever"));
            }
            next = after.free_from(next);
            let leaf = NewLeaf::read(next, package.leaf_node())?;
            after.0.insert(leaf.leaf, leaf.member(Seq(0), 0));
            added.push((leaf, Age::of(package)?.made_t_ms));
        }
        if after.len() > limits::LEAVES {
            return Err(against_commit("a tree has at most 1,000 leaves"));
        }
        let facts = CommitFacts {
            r#gen: binding.r#gen,
            epoch: Epoch(context.epoch().as_u64()),
            committer,
            external,
            adds: added,
            removes,
            rebinds,
            ga: context_hash(context),
            tree_hash: tree_hash(context),
        };
        Ok((facts, binding))
    }

    /// Takes a commit as the entry with this number and time: removes, then adds, then the
    /// committer's new leaf (RFC 9420 §12.3).
    pub fn apply(&mut self, facts: &CommitFacts, seq: Seq, t_ms: TimeMs) {
        for (leaf, _) in &facts.removes {
            self.0.remove(leaf);
        }
        for (new, _) in &facts.adds {
            self.0.insert(new.leaf, new.member(seq, t_ms));
        }
        let committer = &facts.committer;
        let entered = self.member(committer.leaf).map_or(seq, |member| member.entered);
        self.0.insert(committer.leaf, committer.member(entered, t_ms));
    }

    /// The roster of a group that begins with this one leaf.
    fn of_base(leaf: NewLeaf) -> Self {
        Self(BTreeMap::from([(leaf.leaf, leaf.member(Seq(0), 0))]))
    }

    /// The leaf that the next device gets: the leftmost blank one (RFC 9420 §12.1.1).
    fn free(&self) -> LeafIndex {
        self.free_from(LeafIndex(0))
    }

    /// The same, if all before `from` are taken.
    fn free_from(&self, from: LeafIndex) -> LeafIndex {
        let taken = self.0.range(from..).zip(from.0..).take_while(|((leaf, _), at)| leaf.0 == *at);
        LeafIndex(from.0 + u32::try_from(taken.count()).expect("a tree has fewer than 2^32 leaves"))
    }
}

impl Item for Roster {
    fn write(&self, to: &mut Writer) {
        let pairs: Vec<(LeafIndex, Member)> = self.0.iter().map(|(l, m)| (*l, *m)).collect();
        pairs.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let pairs: Vec<(LeafIndex, Member)> = Item::read(from)?;
        Ok(Self(pairs.into_iter().collect()))
    }
}

/// A leaf that enters with a commit, or that its committer makes anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLeaf {
    /// Its place.
    pub leaf: LeafIndex,
    /// What its certificate says; the certificate's key is the leaf's.
    pub certificate: CertificateFacts,
    /// SHA-256 of the certificate.
    pub certificate_hash: Digest,
}

impl NewLeaf {
    /// The leaf that this key package would bring in, its place left open.
    pub fn of_package(package: &KeyPackage) -> Result<Self, MlsError> {
        Self::read(LeafIndex(0), package.leaf_node())
    }

    fn read(leaf: LeafIndex, node: &LeafNode) -> Result<Self, MlsError> {
        let object = MlsObject::Credential;
        let certificate = DeviceCertificate::from_credential(node.credential())
            .map_err(|error| MlsError::refused(object)(&error))?;
        if certificate.facts().signature_key.0.as_slice() != node.signature_key().as_slice() {
            return Err(MlsError::Against { object, rule: "the certificate's key is the leaf's" });
        }
        let certificate_hash = certificate.hash();
        Ok(Self { leaf, certificate: *certificate.facts(), certificate_hash })
    }

    fn member(&self, entered: Seq, renewed_t_ms: TimeMs) -> Member {
        Member {
            device: self.certificate.device,
            user: self.certificate.user,
            signature_key: self.certificate.signature_key,
            certificate: self.certificate_hash,
            entered,
            renewed_t_ms,
        }
    }
}

/// What a commit does, as far as it can be seen from outside. It has a path: the others are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitFacts {
    /// The generation.
    pub r#gen: Gen,
    /// The epoch that it begins.
    pub epoch: Epoch,
    /// The committer's leaf, made anew; for an external commit the one that it takes.
    pub committer: NewLeaf,
    /// Whether the committer comes from outside.
    pub external: bool,
    /// The devices that it adds, each with its key package's `made_t_ms`.
    pub adds: Vec<(NewLeaf, TimeMs)>,
    /// The leaves that it empties, and who sat there.
    pub removes: Vec<(LeafIndex, Member)>,
    /// The binding of the new epoch, if the commit sets the context's extensions.
    pub rebinds: Option<GroupBinding>,
    /// SHA-256 of the new epoch's context.
    pub ga: Digest,
    /// The new tree's hash.
    pub tree_hash: Digest,
}

impl CommitFacts {
    /// Whether it does nothing but make the committer's own leaf anew (S12).
    pub fn is_pure_update(&self) -> bool {
        !self.external && self.adds.is_empty() && self.removes.is_empty() && self.rebinds.is_none()
    }
}

/// A commit that the group would take, and what it does; nothing is changed yet.
#[derive(Debug)]
pub struct StagedEpoch {
    facts: CommitFacts,
    binding: GroupBinding,
    commit: StagedCommit,
    confirmation_tag: Vec<u8>,
    roster: Roster,
}

impl StagedEpoch {
    /// What the commit does.
    pub fn facts(&self) -> &CommitFacts {
        &self.facts
    }

    /// The new epoch's binding.
    pub fn binding(&self) -> &GroupBinding {
        &self.binding
    }

    /// The devices of the new epoch. Entered and renewed are those of the epochs before: the entry
    /// has no number yet.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Whether these are a GroupInfo of the new epoch by the committer (S10): without a tree, with
    /// an external key, its context and confirmation tag equal to the commit's.
    pub fn check_group_info(&self, bytes: &[u8]) -> Result<(), MlsError> {
        let parts = GroupInfoParts::parse(bytes)?;
        parts.check(self.commit.group_context(), &self.confirmation_tag)?;
        if parts.signer != self.facts.committer.leaf {
            return Err(against_group_info("the committer signs it"));
        }
        parts.verify(&self.facts.committer.certificate.signature_key)
    }
}

/// Follows one generation of a conversation's MLS group.
#[derive(Debug)]
pub struct Follower {
    group: PublicGroup,
    binding: GroupBinding,
    roster: Roster,
    /// What [`stage_ahead`](Self::stage_ahead) found, for the bytes with this hash.
    ahead: Mutex<Option<(Digest, Result<StagedEpoch, MlsError>)>>,
}

impl Follower {
    /// Begins with the base of a generation: the GroupInfo of epoch 0 with its one-leaf tree, in
    /// this suite and with this binding, which genesis or reset demand.
    pub fn begin(base: &[u8], suite: Suite, binding: &GroupBinding) -> Result<Self, MlsError> {
        Self::begin_by(&Crypto::default(), base, suite, binding)
    }

    fn begin_by(
        crypto: &Crypto,
        base: &[u8],
        suite: Suite,
        binding: &GroupBinding,
    ) -> Result<Self, MlsError> {
        let info = parse_group_info(base)?;
        let tree = info.extensions().ratchet_tree();
        let tree = tree.ok_or(against_group_info("a base holds its tree"))?.ratchet_tree().clone();
        if info.ciphersuite() != suite.ciphersuite() {
            return Err(against_group_info("the suite is the one demanded"));
        }
        if info.epoch().as_u64() != 0 || *info.group_id() != binding.group_id() {
            return Err(against_group_info("a base is epoch 0 of the group demanded"));
        }
        if !binding.is_whole(info.group_context()) {
            return Err(against_group_info("the binding is the one demanded"));
        }
        let nowhere = KeyValueStorage::new(Nowhere);
        let (group, _) =
            PublicGroup::from_external(crypto, &nowhere, tree, info, ProposalStore::new())
                .map_err(|error| MlsError::refused(MlsObject::GroupInfo)(&error))?;
        let leaves: Vec<_> = group.treesync().full_leaves().collect();
        let [(first, node)] = leaves.as_slice() else {
            return Err(against_group_info("a base has one leaf"));
        };
        let roster = Roster::of_base(NewLeaf::read(LeafIndex(first.u32()), node)?);
        let (binding, ahead) = (binding.clone(), Mutex::default());
        Ok(Self { group, binding, roster, ahead })
    }

    /// The generation.
    pub fn r#gen(&self) -> Gen {
        self.binding.r#gen
    }

    /// The newest epoch.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.group.group_context().epoch().as_u64())
    }

    /// What the group belongs to.
    pub fn binding(&self) -> &GroupBinding {
        &self.binding
    }

    /// The devices of the newest epoch.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// SHA-256 of the newest epoch's context.
    pub fn ga(&self) -> Digest {
        context_hash(self.group.group_context())
    }

    /// The tree's hash, by which phones fetch it.
    pub fn tree_hash(&self) -> Digest {
        tree_hash(self.group.group_context())
    }

    /// The ratchet tree, for who enters the group.
    pub fn tree(&self) -> RatchetTreeIn {
        self.group.export_ratchet_tree().into()
    }

    /// The ratchet tree as it travels.
    pub fn tree_bytes(&self) -> Vec<u8> {
        let tree = self.group.export_ratchet_tree().tls_serialize_detached();
        tree.expect("a tree that OpenMLS holds can be written")
    }

    /// Stages a commit for whoever stages the very same bytes next, while nobody waits: in a group of
    /// a thousand it is the costly part of a verdict, and depends on nothing but group and bytes.
    pub fn stage_ahead(&mut self, mls_message: &[u8]) {
        let staged = self.stage(mls_message);
        self.ahead = Mutex::new(Some((sha256(mls_message), staged)));
    }

    /// What this commit (an MLSMessage) would do. Nothing changes before [`merge`](Self::merge).
    pub fn stage(&self, mls_message: &[u8]) -> Result<StagedEpoch, MlsError> {
        self.stage_by(&Crypto::default(), mls_message)
    }

    /// The same by a cryptography that remembers: for who joins by the Welcome of this commit next.
    pub fn stage_by(&self, crypto: &Crypto, mls_message: &[u8]) -> Result<StagedEpoch, MlsError> {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((_, staged)) = ahead.filter(|(of, _)| *of == sha256(mls_message)) {
            return staged;
        }
        let message = parse_commit(mls_message)?;
        let tag = message.confirmation_tag().ok_or(MlsError::Form(MlsObject::Commit))?;
        let confirmation_tag =
            tag.tls_serialize_detached().map_err(|_| MlsError::Form(MlsObject::Commit))?;
        let processed = self
            .group
            .process_message(crypto, message)
            .map_err(|error| MlsError::refused(MlsObject::Commit)(&error))?;
        let sender = processed.sender().clone();
        let ProcessedMessageContent::StagedCommitMessage(commit) = processed.into_content() else {
            return Err(MlsError::Form(MlsObject::Commit));
        };
        let (facts, binding) = self.roster.facts(&sender, &commit)?;
        let mut roster = self.roster.clone();
        roster.apply(&facts, Seq(0), 0);
        Ok(StagedEpoch { facts, binding, commit: *commit, confirmation_tag, roster })
    }

    /// Takes a staged commit as the entry with this number and time.
    pub fn merge(
        &mut self,
        staged: StagedEpoch,
        seq: Seq,
        t_ms: TimeMs,
    ) -> Result<CommitFacts, MlsError> {
        self.group
            .merge_commit(&KeyValueStorage::new(Nowhere), staged.commit)
            .map_err(|error| MlsError::refused(MlsObject::Commit)(&error))?;
        self.ahead = Mutex::default();
        self.roster.apply(&staged.facts, seq, t_ms);
        self.binding = staged.binding;
        let leaves = self.group.treesync().full_leaves();
        let tree: Vec<_> = leaves.map(|(at, node)| (at.u32(), node.signature_key())).collect();
        let same = tree.len() == self.roster.len()
            && self.roster.iter().zip(tree).all(|((leaf, member), (at, key))| {
                leaf.0 == at && member.signature_key.0.as_slice() == key.as_slice()
            });
        if same { Ok(staged.facts) } else { Err(MlsError::Form(MlsObject::State)) }
    }

    /// Whether these are a GroupInfo of the newest epoch by one of its devices, whose leaf is
    /// returned. Who cannot follow joins by it (docs/attacks.md 2).
    pub fn check_group_info(&self, bytes: &[u8]) -> Result<LeafIndex, MlsError> {
        let parts = GroupInfoParts::parse(bytes)?;
        let tag = self.group.confirmation_tag().tls_serialize_detached();
        let tag = tag.map_err(|_| MlsError::Form(MlsObject::State))?;
        parts.check(self.group.group_context(), &tag)?;
        let signer = self.roster.member(parts.signer);
        parts.verify(&signer.ok_or(against_group_info("a member signs it"))?.signature_key)?;
        Ok(parts.signer)
    }

    /// Everything as one blob, for a store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let storage = KeyValueStorage::new(MemoryBackend::default());
        self.store(&storage).expect("a group that OpenMLS holds can be written to memory");
        let group = Bytes(storage.backend().to_bytes());
        encode(&(self.binding.clone(), self.roster.clone(), group))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlsError> {
        let form = MlsError::Form(MlsObject::State);
        let (binding, roster, group): (GroupBinding, Roster, Bytes) =
            decode(bytes).map_err(|_| form.clone())?;
        let backend = MemoryBackend::from_bytes(&group).map_err(|_| form.clone())?;
        let storage = KeyValueStorage::new(backend);
        let id = group_id(binding.log, binding.r#gen);
        let group = PublicGroup::load(&storage, &id).map_err(|_| form.clone())?.ok_or(form)?;
        Ok(Self { group, binding, roster, ahead: Mutex::default() })
    }

    /// What OpenMLS' own loading reads. It would store after every commit, of which all but the last
    /// are for nobody.
    fn store<S: StorageProvider<CURRENT_VERSION>>(&self, storage: &S) -> Result<(), S::Error> {
        let (context, tag) = (self.group.group_context(), self.group.confirmation_tag());
        let id = context.group_id();
        // RFC 9420 §8.2: Hash(confirmed_transcript_hash ‖ InterimTranscriptHashInput).
        let tag_bytes = tag.tls_serialize_detached().expect("a tag is short");
        let interim = sha256(&[context.confirmed_transcript_hash(), &tag_bytes].concat());
        storage.write_tree(id, self.group.treesync())?;
        storage.write_confirmation_tag(id, tag)?;
        storage.write_context(id, context)?;
        storage.write_interim_transcript_hash(id, &InterimTranscriptHash(interim.0.to_vec()))
    }
}

fn tree_hash(context: &GroupContext) -> Digest {
    let hash = context.tree_hash().try_into();
    Digest(hash.expect("both of our suites hash with SHA-256"))
}

fn parse_commit(bytes: &[u8]) -> Result<PublicMessageIn, MlsError> {
    let form = |_| MlsError::Form(MlsObject::Commit);
    match MlsMessageIn::tls_deserialize_exact(bytes).map_err(form)?.extract() {
        MlsMessageBodyIn::PublicMessage(message) => Ok(message),
        _ => Err(MlsError::Form(MlsObject::Commit)),
    }
}

fn against_commit(rule: &'static str) -> MlsError {
    MlsError::Against { object: MlsObject::Commit, rule }
}

#[cfg(test)]
mod tests;
