//! Commits of this phone: made in memory, stored as pending, and only then sent.

use hauspost_protocol::authorise::Conversation;
use hauspost_protocol::body::{Genesis, SignedPayload};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::sha256;
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{At, Head, Kind, Seen};
use hauspost_protocol::epoch::EpochContext;
use hauspost_protocol::ids::{Epoch, Gen, LeafIndex, TimeMs};
use hauspost_protocol::mls::extension::{GroupBinding, group_id};
use hauspost_protocol::mls::member::{Suite, parse_key_package};
use hauspost_protocol::mls::public::Follower;
use hauspost_protocol::wire::NewEntry;
use openmls::group::MlsGroup;
use openmls::prelude::KeyPackage;
use rand::rngs::StdRng;
use rusqlite::Connection;

use super::intent::{Add, Create, Package};
use super::seal::seen;
use crate::group::commit::{self, Change, OwnCommit};
use crate::group::enter;
use crate::group::{self, EpochKeys, GroupError, MlsChanges, ScratchProvider};
use crate::inbound::{After, Me, Snapshot, archive_keys};
use crate::ledger::Ledger;
use crate::store::rows::mls::MlsTable;
use crate::store::rows::outbox::{self, PendingCommit};
use crate::store::{StoreError, Tx};

/// A change that is wanted.
pub enum Wanted {
    /// A new conversation.
    Create(i64, Create),
    /// People who come.
    Add(i64, Add),
    /// Leaves that go, for an intent or because their devices are revoked.
    Remove(Option<i64>, Vec<LeafIndex>),
    /// Nothing but new keys.
    Update(Option<i64>),
    /// The newest archive keys, before anything else is said.
    Rekey,
}

impl Wanted {
    /// The intent that it is for.
    pub fn intent(&self) -> Option<i64> {
        match self {
            Self::Create(id, _) | Self::Add(id, _) => Some(*id),
            Self::Remove(id, _) | Self::Update(id) => *id,
            Self::Rekey => None,
        }
    }

    /// How many devices it may bring in.
    pub fn adds(&self) -> usize {
        let packages = match self {
            Self::Create(_, create) => &create.packages,
            Self::Add(_, add) => &add.packages,
            Self::Remove(..) | Self::Update(_) | Self::Rekey => &None,
        };
        packages.as_ref().map_or(0, Vec::len)
    }
}

/// Up to so many devices, and so many more that come, a commit is made in the transaction that stores
/// it. One of a thousand takes a tenth of a second: too long for a transaction.
pub const FEW: usize = 16;

/// Why a change cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Nobody of those named has a key package that can be used.
    #[error("nobody of those named can be added now")]
    Nobody,
    /// The company has no archive keys yet, so nothing may be written.
    #[error("the company has no archive keys")]
    NoArchiveKeys,
    /// The group refuses.
    #[error(transparent)]
    Group(#[from] GroupError),
}

/// A commit that is ready to be stored as pending.
pub struct Prepared {
    /// What OpenMLS changed.
    pub mls: MlsChanges,
    /// The pending commit.
    pub pending: PendingCommit,
}

impl Prepared {
    /// Stores it, to be sent.
    pub fn store(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        self.mls.apply(&MlsTable(tx))?;
        outbox::put_pending(tx, &self.pending)
    }
}

/// Makes the commit for a change.
pub fn prepare(
    conn: &Connection,
    me: &Me,
    company: &Company,
    ledger: &Ledger,
    wanted: &Wanted,
    mut rng: StdRng,
    now_ms: TimeMs,
) -> Result<Prepared, ChangeError> {
    let provider = group::provider(Snapshot(conn), &mut rng);
    let at = at(company);
    let id = group_id(ledger.row.local.id, ledger.row.r#gen);
    let mut entries = Vec::new();
    let mut base = None;
    let (mut group, bound, change) = match wanted {
        Wanted::Create(_, create) => {
            let genesis = genesis(me, company, ledger, create, at)?;
            let bound = Conversation::begin(genesis.clone(), &encode(&genesis)).binding();
            let suite = Suite::from_code(genesis.suite).ok_or(GroupError::State)?;
            let (group, info) = commit::create(&provider, me.member(), suite, &bound)?;
            base = Some(info);
            let head = encode(&Head::plain(Kind::Genesis, genesis.log, ledger.row.r#gen, Epoch(0)));
            let signed = SignedPayload::sign(&me.key, &head, encode(&genesis), me.device);
            entries.push((Bytes(head), Bytes(encode(&signed))));
            let adds = packages(suite, create.packages.as_deref().unwrap_or_default());
            (group, bound, Change { adds, ..Change::default() })
        }
        Wanted::Add(_, add) => {
            let group = commit::load(&provider, &id)?;
            let mut taken = add.packages.clone().unwrap_or_default();
            taken.retain(|(device, _)| ledger.leaf_of(*device).is_none());
            let suite = Suite::of(group.ciphersuite()).ok_or(GroupError::State)?;
            let adds = packages(suite, &taken);
            if adds.is_empty() {
                return Err(ChangeError::Nobody);
            }
            let bound = bound_to(&group)?;
            (group, bound, Change { adds, ..Change::default() })
        }
        Wanted::Remove(_, leaves) => {
            let group = commit::load(&provider, &id)?;
            let bound = bound_to(&group)?;
            (group, bound, Change { removes: leaves.clone(), ..Change::default() })
        }
        Wanted::Rekey => {
            let group = commit::load(&provider, &id)?;
            let (a, b) = company.now().archive_keys().ok_or(ChangeError::NoArchiveKeys)?;
            let bound = GroupBinding { id_a: a.id, id_b: b.id, ..bound_to(&group)? };
            (group, bound.clone(), Change { binding: Some(bound), ..Change::default() })
        }
        Wanted::Update(_) => {
            let group = commit::load(&provider, &id)?;
            let bound = bound_to(&group)?;
            (group, bound, Change::default())
        }
    };
    // A commit left over from a lost race is not in anybody's way.
    commit::drop_own(&provider, &mut group)?;
    let own = commit::commit(&provider, &mut group, me.member(), change)?;
    let place = match base {
        Some(_) => Place { seen: None, ..Place::next(ledger) },
        None => Place::next(ledger),
    };
    let (core, after) = batch(me, company, ledger, &mut entries, &own, (bound, base, at), place)?;
    let pending = PendingCommit {
        log: ledger.row.local.id,
        outbox: wanted.intent(),
        core,
        batch: encode(&entries),
        group_info: own.group_info.0,
        welcome: own.welcome.map(|welcome| welcome.0),
        after: after.to_bytes(),
        scratch: None,
        made_ms: now_ms,
    };
    Ok(Prepared { mls: provider.backend().take_changes(), pending })
}

/// Makes the external commit by which this phone enters the group on this GroupInfo. `follower` has
/// followed the group from outside to its newest epoch.
pub fn enter(
    conn: &Connection,
    me: &Me,
    company: &Company,
    (ledger, follower): (&Ledger, &Follower),
    group_info: &[u8],
    mut rng: StdRng,
    now_ms: TimeMs,
) -> Result<PendingCommit, ChangeError> {
    let provider = group::provider(Snapshot(conn), &mut rng);
    let own = enter::enter(&provider, me.member(), follower, group_info)?;
    let staged = follower.stage(&own.message).map_err(GroupError::from)?;
    if staged.facts().ga != own.ga {
        return Err(GroupError::State.into());
    }
    let bound = (follower.binding().clone(), None, at(company));
    let mut entries = Vec::new();
    let place = Place::next(ledger);
    let (core, after) = batch(me, company, ledger, &mut entries, &own, bound, place)?;
    Ok(PendingCommit {
        log: ledger.row.local.id,
        outbox: None,
        core,
        batch: encode(&entries),
        group_info: own.group_info.0,
        welcome: None,
        after: after.to_bytes(),
        scratch: Some(provider.backend().take_changes().to_bytes()),
        made_ms: now_ms,
    })
}

/// The epoch that a commit begins, and what its author had seen.
pub(super) struct Place {
    pub r#gen: Gen,
    pub epoch: Epoch,
    pub seen: Option<Seen>,
}

impl Place {
    /// After the epoch in force.
    fn next(ledger: &Ledger) -> Self {
        let row = &ledger.row;
        Self { r#gen: row.r#gen, epoch: row.epoch.next(), seen: Some(seen(ledger)) }
    }
}

/// Commit and capsule as entries, and what merging will store.
pub(super) fn batch(
    me: &Me,
    company: &Company,
    ledger: &Ledger,
    entries: &mut Vec<NewEntry>,
    own: &OwnCommit,
    (bound, base, at): (GroupBinding, Option<Bytes>, At),
    place: Place,
) -> Result<(hauspost_protocol::ids::CoreHash, After), ChangeError> {
    let Place { r#gen, epoch, seen } = place;
    let log = ledger.row.local.id;
    let keys = archive_keys(company, &bound).ok_or(ChangeError::NoArchiveKeys)?;
    let context = EpochContext { log, r#gen, epoch, ga: own.ga };
    let keys = EpochKeys::derive(&own.exported, context, own.leaves.iter().copied(), &keys);
    let capsule = encode(&keys.capsule);
    let body = own.body(seen, at, base, &capsule);
    let made = commit::entries(&context, &body, capsule.clone(), (&me.key, me.device));
    let (head, payload) = &made[0];
    let core = Head::core(head, sha256(payload), payload.len() as u64);
    entries.extend(made);
    Ok((
        core,
        After { ga: own.ga, chains: keys.chains, hints: Some(keys.hints), capsule: Bytes(capsule) },
    ))
}

fn genesis(
    me: &Me,
    company: &Company,
    ledger: &Ledger,
    create: &Create,
    at: At,
) -> Result<Genesis, ChangeError> {
    let (a, b) = company.now().archive_keys().ok_or(ChangeError::NoArchiveKeys)?;
    let devices = create.packages.as_ref().map_or(0, Vec::len) + 1;
    Ok(Genesis {
        log: ledger.row.local.id,
        log_no: create.log_no.ok_or(GroupError::State)?,
        r#type: create.r#type,
        creator: me.user,
        members: create.members.clone(),
        class: 0,
        history: create.history,
        suite: suite_for(company, devices).code(),
        archive_keys: (a.id, b.id),
        at,
    })
}

/// The suite of a new group of so many devices: the policy's, if it names one.
pub fn suite_for(company: &Company, devices: usize) -> Suite {
    let named = company.now().terms().general.suite();
    named.unwrap_or_else(|| Suite::for_devices(devices))
}

/// The company log that this phone judges by.
pub fn at(company: &Company) -> At {
    At { co: company.size(), company_hash: company.now().hash() }
}

fn bound_to(group: &MlsGroup) -> Result<GroupBinding, GroupError> {
    Ok(GroupBinding::of(group.public_group().group_context())?)
}

/// The packages that can be used: one that is bad, of another suite or missing does not hold up the
/// others (docs/attacks.md 41).
fn packages(suite: Suite, taken: &[Package]) -> Vec<KeyPackage> {
    let there = taken.iter().filter_map(|(_, package)| package.as_ref());
    let whole = there.filter_map(|package| parse_key_package(package).ok());
    whole.filter(|package| package.ciphersuite() == suite.ciphersuite()).collect()
}

/// The commit was refused for good, or its race is lost and nothing came instead: the group is as
/// it was before.
pub fn abandon(
    conn: &Connection,
    ledger: &Ledger,
    pending: &PendingCommit,
    mut rng: StdRng,
) -> Result<MlsChanges, GroupError> {
    if pending.scratch.is_some() {
        // It never touched the group's state.
        return Ok(MlsChanges::default());
    }
    let provider: ScratchProvider<_> = group::provider(Snapshot(conn), &mut rng);
    let id = group_id(ledger.row.local.id, ledger.row.r#gen);
    match commit::load(&provider, &id) {
        Ok(mut group) if ledger.epoch.is_some() => commit::drop_own(&provider, &mut group)?,
        // A group that never left epoch 0 is nobody's.
        Ok(mut group) => {
            use openmls_traits::OpenMlsProvider as _;
            group.delete(provider.storage()).map_err(|_| GroupError::State)?;
        }
        Err(GroupError::NoGroup) => {}
        Err(error) => return Err(error),
    }
    Ok(provider.backend().take_changes())
}
