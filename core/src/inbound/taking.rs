//! How MLS takes a commit in: the phone's own, another member's, one seen from outside, one by whose
//! Welcome the phone enters.

use hauspost_protocol::archive_key::ArchiveKeys;
use hauspost_protocol::authorise::{AuthorisedCommit, Judgement};
use hauspost_protocol::body::{CommitBody, parse_unsigned};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::sha256;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::entry::Entry;
use hauspost_protocol::epoch::{Chain, EpochContext, HintKey};
use hauspost_protocol::ids::{Digest, LeafIndex};
use hauspost_protocol::mls::crypto::Crypto;
use hauspost_protocol::mls::extension::{GroupBinding, group_id};
use hauspost_protocol::mls::public::{CommitFacts, Follower, Roster, parse_tree};
use hauspost_protocol::rules::change;
use hauspost_protocol::rules::form::Parsed;
use hauspost_protocol::wire::NewEntry;
use openmls::group::GroupId;
use openmls::prelude::{LeafNodeIndex, Sender};

use super::{Code, Halt, Reader, Snapshot};
use crate::group::{self, EpochKeys, MlsChanges, commit, join};
use crate::ledger::{EpochState, Ledger};
use crate::store::rows::outbox::PendingCommit;

/// What merging an own pending commit stores; made when the commit was, since the exporter answers
/// once.
pub struct After {
    /// SHA-256 of the new epoch's context.
    pub ga: Digest,
    /// The chains of the new epoch.
    pub chains: Vec<(LeafIndex, Chain)>,
    /// What seals its hints; an older build stored none.
    pub hints: Option<HintKey>,
    /// The body of the capsule that belongs to it.
    pub capsule: Bytes,
}

impl After {
    /// For the store, beside the batch, which has the capsule.
    pub fn to_bytes(&self) -> Vec<u8> {
        let chains: Vec<_> =
            self.chains.iter().map(|(leaf, chain)| (*leaf, Bytes(encode(chain)))).collect();
        encode(&(self.ga, chains, Bytes(Vec::new()), self.hints.clone()))
    }

    fn of(pending: &PendingCommit) -> Option<Self> {
        type Stored = (Digest, Vec<(LeafIndex, Bytes)>, Bytes, Option<HintKey>);
        // As builds before hints stored it.
        type Older = (Digest, Vec<(LeafIndex, Bytes)>, Bytes);
        let stored = decode::<Stored>(&pending.after).ok().or_else(|| {
            let (ga, chains, capsule) = decode::<Older>(&pending.after).ok()?;
            Some((ga, chains, capsule, None))
        });
        let (ga, chains, mut capsule, hints) = stored?;
        if capsule.is_empty() {
            // A commit's batch ends with its capsule.
            let batch: Vec<NewEntry> = decode(&pending.batch).ok()?;
            capsule = Bytes(parse_unsigned(&batch.last()?.1).ok()?);
        }
        let chains = chains.into_iter().map(|(leaf, bytes)| Some((leaf, decode(&bytes).ok()?)));
        Some(Self { ga, chains: chains.collect::<Option<_>>()?, hints, capsule })
    }

    fn into_state(self) -> EpochState {
        epoch_state(self.chains, self.hints, self.capsule.0)
    }
}

/// A commit that is being taken in.
pub(super) struct Work<'w, 'r> {
    pub reader: &'w mut Reader<'r>,
    pub ledger: &'w mut Ledger,
    pub entry: &'w Entry,
    pub parsed: &'w Parsed,
    pub body: &'w CommitBody,
}

/// Where a commit leaves this phone.
pub(super) enum Came {
    /// In the new epoch.
    In(EpochState),
    /// Without a leaf, or without the keys of the epoch.
    Out,
    /// With a leaf whose Welcome is missing or does not fit: it has to enter by itself.
    Lost(Code),
}

pub(super) type Entered = (AuthorisedCommit, Came);

impl Work<'_, '_> {
    /// The phone's own commit came back: the group enters the epoch that was prepared.
    pub fn merge_own(
        &mut self,
        pending: &PendingCommit,
        mls: &mut MlsChanges,
    ) -> Result<Entered, Halt> {
        let provider = group::provider_above(Snapshot(self.reader.conn), mls, &mut self.reader.rng);
        let mut group =
            commit::load(&provider, &self.group_id()).map_err(|_| Halt::Broken(Code::Mls))?;
        let sender = Sender::Member(LeafNodeIndex::new(group.own_leaf_index().u32()));
        let staged = group.pending_commit().ok_or(Halt::Broken(Code::Mls))?;
        let facts = self.roster()?.facts(&sender, staged);
        let (facts, binding) = facts.map_err(|_| Halt::Stop(Code::Mls))?;
        let authorised = self.authorised(&facts, &binding)?;
        commit::merge_own(&provider, &mut group).map_err(|_| Halt::Broken(Code::Mls))?;
        *mls = provider.backend().take_changes();
        let after = After::of(pending).ok_or(Halt::Broken(Code::Mls))?;
        Ok((authorised, Came::In(after.into_state())))
    }

    /// The phone's own external commit came back: what it prepared becomes real.
    pub fn enter(
        &mut self,
        pending: &PendingCommit,
        mls: &mut MlsChanges,
    ) -> Result<Entered, Halt> {
        let (seq, t_ms) = (self.entry.seq, self.entry.t_ms);
        let before = self.ledger.follower.take().ok_or(Halt::Stop(Code::Mismatch))?;
        // These are the bytes that this phone made.
        let next = before.ahead_unproven(&self.body.mls_message, seq, t_ms);
        let next = next.map_err(|_| Halt::Stop(Code::Mls))?;
        let authorised = self.authorised(next.facts(), next.binding())?;
        let scratch = pending.scratch.as_ref().and_then(|bytes| MlsChanges::from_bytes(bytes).ok());
        let after = After::of(pending);
        let (scratch, after) = scratch.zip(after).ok_or(Halt::Broken(Code::Mls))?;
        mls.then(scratch);
        Ok((authorised, Came::In(after.into_state())))
    }

    /// Another member's commit, seen from inside.
    pub fn merge_as_member(&mut self, mls: &mut MlsChanges) -> Result<Entered, Halt> {
        let provider = group::provider_above(Snapshot(self.reader.conn), mls, &mut self.reader.rng);
        let mut group =
            commit::load(&provider, &self.group_id()).map_err(|_| Halt::Broken(Code::Mls))?;
        commit::drop_own(&provider, &mut group).map_err(|_| Halt::Broken(Code::Mls))?;
        let taken = commit::take(&provider, &mut group, &self.body.mls_message)
            .map_err(|_| Halt::Broken(Code::Mls))?;
        let facts = self.roster()?.facts(&taken.sender, &taken.staged);
        let (mut facts, binding) = facts.map_err(|_| Halt::Stop(Code::Mls))?;
        if taken.staged.self_removed() {
            // Whom a commit removes cannot compute the new context (RFC 9420 §12.4.2).
            facts.ga = self.body.ga;
        }
        let authorised = self.authorised(&facts, &binding)?;
        let exported =
            commit::merge(&provider, &mut group, taken).map_err(|_| Halt::Broken(Code::Mls))?;
        *mls = provider.backend().take_changes();
        let came = match exported {
            Some(exported) => Came::In(self.keys(&facts, &binding, &exported)?),
            None => Came::Out,
        };
        Ok((authorised, came))
    }

    /// A commit seen from outside; if its Welcome is for this device, the phone enters.
    pub fn follow(
        &mut self,
        welcome: Option<&[u8]>,
        mls: &mut MlsChanges,
    ) -> Result<Entered, Halt> {
        let follower = self.ledger.follower.as_ref().ok_or(Halt::Stop(Code::Mismatch))?;
        // Whom the commit adds meets the same signatures again in the tree that he joins.
        let (crypto, message) = (Crypto::default(), &self.body.mls_message);
        crypto.verify_ahead(message);
        let staged = follower.stage_by(&crypto, message).map_err(|_| Halt::Stop(Code::Mls))?;
        let (binding, facts) = (staged.binding().clone(), staged.facts().clone());
        let authorised = self.authorised(&facts, &binding)?;
        let (seq, t_ms) = (self.entry.seq, self.entry.t_ms);
        let follower = self.ledger.follower.as_mut().ok_or(Halt::Stop(Code::Mismatch))?;
        follower.merge(staged, seq, t_ms).map_err(|_| Halt::Stop(Code::Mls))?;
        let follower = self.ledger.follower.as_ref();
        if !self.adds_me(&facts) {
            return Ok((authorised, Came::Out));
        }
        let Some(welcome) = welcome else {
            return Ok((authorised, Came::Lost(Code::Welcome)));
        };
        if Some(sha256(welcome)) != self.body.welcome_hash {
            return Err(Halt::Stop(Code::Welcome));
        }
        let tree = follower.ok_or(Halt::Stop(Code::Mismatch))?.tree();
        let provider = group::provider_above(Snapshot(self.reader.conn), mls, &mut self.reader.rng)
            .with_crypto(crypto);
        let Ok(joined) = join::join(&provider, welcome, tree) else {
            return Ok((authorised, Came::Lost(Code::Welcome)));
        };
        if joined.ga != self.body.ga {
            return Err(Halt::Stop(Code::Welcome));
        }
        *mls = provider.backend().take_changes();
        let entered = self.keys(&facts, &binding, &joined.exported)?;
        Ok((authorised, Came::In(entered)))
    }

    /// Enters by a Welcome, if the epoch that it leads to proves the commit: `before` is the group from
    /// outside, and the commit's signatures are not checked but for what MLS checks of the Welcome and
    /// the tree. None: nothing is proven, and nothing has changed.
    pub fn join(
        &mut self,
        before: Follower,
        welcome: &[u8],
        mls: &mut MlsChanges,
    ) -> Result<Option<Entered>, Halt> {
        let (seq, t_ms) = (self.entry.seq, self.entry.t_ms);
        let staged = before.stage_unproven(&self.body.mls_message);
        let named = Some(sha256(welcome)) == self.body.welcome_hash;
        let Some(staged) = staged.ok().filter(|staged| named && self.adds_me(staged.facts()))
        else {
            // A server may show anybody any Welcome: that must not cost him what he has followed.
            self.ledger.follower = Some(before);
            return Ok(None);
        };
        let Ok(next) = before.take_unproven(staged, seq, t_ms) else { return Ok(None) };
        let (facts, binding) = (next.facts().clone(), next.binding().clone());
        let Ok(authorised) = self.authorised(&facts, &binding) else { return Ok(None) };
        let (crypto, tree) = (Crypto::default(), next.tree_bytes());
        crypto.verify_tree_ahead(self.group_id().as_slice(), &tree);
        let Ok(tree) = parse_tree(&tree) else { return Ok(None) };
        let provider = group::provider_above(Snapshot(self.reader.conn), mls, &mut self.reader.rng)
            .with_crypto(crypto);
        let Ok(joined) = join::join(&provider, welcome, tree) else { return Ok(None) };
        let Some(after) = next.proven_by(joined.group.public_group()) else { return Ok(None) };
        let changes = provider.backend().take_changes();
        self.ledger.follower = Some(after);
        let entered = self.keys(&facts, &binding, &joined.exported)?;
        *mls = changes;
        Ok(Some((authorised, Came::In(entered))))
    }

    fn adds_me(&self, facts: &CommitFacts) -> bool {
        let device = self.reader.me.device;
        facts.adds.iter().any(|(leaf, _)| leaf.certificate.device == device)
    }

    fn group_id(&self) -> GroupId {
        group_id(self.ledger.row.local.id, self.ledger.row.r#gen)
    }

    /// The roster before the commit; of a generation's first commit it is its base's.
    fn roster(&self) -> Result<&Roster, Halt> {
        let of_base = self.ledger.follower.as_ref().map(Follower::roster);
        let known = self.ledger.conversation.as_ref().map(|known| &known.roster);
        of_base.or(known).ok_or(Halt::Stop(Code::Mismatch))
    }

    /// C9: by everybody, at both sizes of the company log.
    fn authorised(
        &self,
        facts: &CommitFacts,
        binding: &GroupBinding,
    ) -> Result<AuthorisedCommit, Halt> {
        let company = self.reader.company;
        let (at, link) = (company.at(self.body.at.co), company.at(self.entry.co));
        let judgement = Judgement { at: &at, link: &link, t_ms: self.entry.t_ms };
        let conversation = self.ledger.conversation.as_ref().ok_or(Halt::Stop(Code::Mismatch))?;
        change::commit(self.parsed, conversation, facts, binding, &judgement).map_err(|fault| {
            let (log, seq) = (self.ledger.row.local.id, self.entry.seq.0);
            tracing::warn!(%log, seq, %fault, "commit not believed");
            fault.into()
        })
    }

    fn keys(
        &self,
        facts: &CommitFacts,
        binding: &GroupBinding,
        exported: &[u8],
    ) -> Result<EpochState, Halt> {
        let company = self.reader.company;
        let keys = archive_keys(company, binding).ok_or(Halt::Stop(Code::Mismatch))?;
        let context = EpochContext {
            log: self.ledger.row.local.id,
            r#gen: facts.r#gen,
            epoch: facts.epoch,
            ga: facts.ga,
        };
        let mut after = self.roster()?.clone();
        after.apply(facts, self.entry.seq, self.entry.t_ms);
        let leaves = after.iter().map(|(leaf, _)| leaf);
        let keys = EpochKeys::derive(exported, context, leaves, &keys);
        Ok(epoch_state(keys.chains, Some(keys.hints), encode(&keys.capsule)))
    }
}

/// The archive keys that a group is bound to.
pub fn archive_keys(company: &Company, binding: &GroupBinding) -> Option<ArchiveKeys> {
    let key = |id| Some(company.now().archive_key(id)?.key.clone());
    Some(ArchiveKeys { a: key(binding.id_a)?, b: key(binding.id_b)? })
}

fn epoch_state(
    chains: Vec<(LeafIndex, Chain)>,
    hints: Option<HintKey>,
    capsule: Vec<u8>,
) -> EpochState {
    EpochState {
        capsule_hash: sha256(&capsule),
        capsule_body: Some(capsule),
        hints,
        chains: chains.into_iter().collect(),
    }
}
