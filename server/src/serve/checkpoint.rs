//! Checkpoints: the heads of all logs under one signed root, and the proofs that go with it.
//!
//! Which heads the newest checkpoint covers, and the outer tree's nodes, stand in the store, so that any
//! node may make the next one. What is remembered between two calls ([`HeadsTrees`]) can be made
//! again by any of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::ids::{CompanyId, Digest, LogId, LogNo, TimeMs};
use hauspost_protocol::tree::checkpoint::{LogSigner, TreeHead};
use hauspost_protocol::tree::heads::{HeadsLeaf, LogHead, OuterLeaf, heads_tree};
use hauspost_protocol::tree::merkle::{self, Nodes, Tree};
use hauspost_protocol::wire::{
    CheckpointNews, ConsistencyRequest, HeadsProof, HeadsProofRequest, Principal,
};

use super::CheckpointTimes;
use super::answer::{Answer, Cbor, Refusal};
use super::company::COMPANY_LOG;
use super::limits::PROVED_AT_ONCE;
use super::material;
use super::node::{Node, ServerKeys};
use super::session::{Claim, Session};
use crate::store::{OuterRow, ReadTx, StoreError, Tx};

/// An outer tree in the store.
pub struct Outer<'a> {
    /// The store.
    pub tx: &'a dyn ReadTx,
    /// The tree's era.
    pub era: u64,
}

impl Nodes for Outer<'_> {
    type Error = StoreError;

    fn node(&self, level: u8, index: u64) -> Result<Digest, StoreError> {
        let node = self.tx.outer_node(self.era, level, index)?;
        node.ok_or(StoreError::Damaged("outer tree"))
    }
}

/// Makes checkpoints until the server stops.
pub async fn keep_making(node: Arc<Node>, times: CheckpointTimes) {
    loop {
        tokio::select! {
            () = node.stopping.cancelled() => return,
            () = tokio::time::sleep(times.after_append) => {}
        }
        if let Err(error) = make(&node, times.at_least_every).await {
            tracing::error!(%error, "no checkpoint");
        }
    }
}

/// Makes a checkpoint if something was appended since the newest, or that is as old as
/// `at_least_every`. Returns the outer tree's new size.
pub async fn make(node: &Arc<Node>, at_least_every: Duration) -> Result<Option<u64>, Refusal> {
    let (now_ms, at_least_every) = (node.now_ms(), at_least_every.as_millis() as TimeMs);
    let shared = Arc::clone(node);
    let due = node
        .database
        .read(move |tx| {
            let company = match shared.company.read(tx) {
                Err(Refusal::NotFounded) => return Ok(false),
                company => company?,
            };
            if covers_all(tx, company.now().era(), now_ms, at_least_every)? {
                return Ok(false);
            }
            let draft = Draft::new(tx, &company, &shared.keys, now_ms)?;
            Ok::<_, Refusal>(draft.signer.is_some() && draft.is_due(now_ms, at_least_every))
        })
        .await?;
    if !due {
        return Ok(None);
    }
    let shared = Arc::clone(node);
    let size = node
        .database
        .write::<_, Refusal>(move |tx| {
            let company = shared.company.write(tx)?;
            let draft = Draft::new(tx, &company, &shared.keys, now_ms)?;
            // Another node may have been quicker.
            if !draft.is_due(now_ms, at_least_every) {
                return Ok(None);
            }
            let made = draft.write(tx)?;
            if made.is_some() {
                let covered = everything(tx, company.now().era())?;
                tx.put_setting(COVERED, &covered)?;
            }
            Ok(made)
        })
        .await?;
    if let Some(size) = size {
        node.metrics.checkpoint();
        node.live.hint_checkpoint();
        tracing::debug!(size, "a checkpoint is made");
    }
    Ok(size)
}

/// The setting that says what the newest checkpoint covers.
const COVERED: &str = "checkpoint-covers";

/// All that a checkpoint may cover, as it stands: the outer tree, the newest change, the numbers reserved.
fn everything(tx: &dyn ReadTx, era: u64) -> Result<Vec<u8>, StoreError> {
    Ok(encode(&(era, tx.outer_size(era)?, tx.newest_change()?, tx.reserved()?)))
}

/// Whether the newest checkpoint covers everything and is not too old, which is so most of the time and
/// asked without a look at every log.
fn covers_all(
    tx: &dyn ReadTx,
    era: u64,
    now_ms: TimeMs,
    at_least_every: TimeMs,
) -> Result<bool, Refusal> {
    let Some(newest) = tx.outer_size(era)?.checked_sub(1) else { return Ok(false) };
    if tx.setting(COVERED)? != Some(everything(tx, era)?) {
        return Ok(false);
    }
    Ok(now_ms.saturating_sub(outer_leaf(tx, era, newest)?.t_ms) < at_least_every)
}

/// The next outer leaf.
struct Draft {
    company: CompanyId,
    era: u64,
    size: u64,
    newest_ms: Option<TimeMs>,
    leaf: OuterLeaf,
    changed: Vec<(LogNo, Vec<u8>)>,
    /// The company log's place.
    place: HeadsProof,
    /// The keys that the company log names, if they are here.
    signer: Option<LogSigner>,
}

impl Draft {
    fn new(
        tx: &dyn ReadTx,
        company: &Company,
        keys: &ServerKeys,
        now_ms: TimeMs,
    ) -> Result<Self, Refusal> {
        let era = company.now().era();
        let size = tx.outer_size(era)?;
        let newest = size.checked_sub(1).map(|newest| outer_leaf(tx, era, newest)).transpose()?;
        let newest_ms = newest.map(|leaf| leaf.t_ms);
        let logs = tx.logs()?;
        let covered_ms = logs.iter().map(|log| log.t_ms).max().unwrap_or(0);
        let mut heads: Vec<_> = (0..tx.reserved()?).map(LogNo).map(HeadsLeaf::reserved).collect();
        for log in logs.iter().filter(|log| log.size > 0) {
            let place = usize::try_from(log.no.0).ok().and_then(|place| heads.get_mut(place));
            let leaf = place.ok_or(StoreError::Damaged("log numbers"))?;
            leaf.log = Some(LogHead { log: log.log, size: log.size, hash: log.head });
        }
        let known: BTreeMap<LogNo, Vec<u8>> = match size.checked_sub(1) {
            Some(newest) => tx.heads(era, newest)?.into_iter().collect(),
            None => BTreeMap::new(),
        };
        let tree = heads_tree(&heads);
        let place = heads.first().ok_or(StoreError::Damaged("log numbers"))?;
        let path = tree.inclusion(0).map_err(|_| StoreError::Damaged("log numbers"))?;
        let place = HeadsProof { leaf: Bytes(encode(place)), position: COMPANY_LOG, path };
        let changed = heads.iter().map(|leaf| (leaf.log_no, encode(leaf)));
        let changed = changed.filter(|(no, leaf)| known.get(no) != Some(leaf)).collect();
        Ok(Self {
            company: company.id().ok_or(Refusal::NotFounded)?,
            era,
            size,
            newest_ms,
            leaf: OuterLeaf {
                t_ms: now_ms.max(covered_ms).max(newest_ms.unwrap_or(0)),
                logs: heads.len() as u64,
                heads_root: tree.root(),
                durable: newest.and_then(|leaf| leaf.durable),
            },
            changed,
            place,
            signer: keys.log.named(company),
        })
    }

    fn is_due(&self, now_ms: TimeMs, at_least_every: TimeMs) -> bool {
        let age = self.newest_ms.map(|newest| now_ms.saturating_sub(newest));
        !self.changed.is_empty() || age.is_none_or(|age| age >= at_least_every)
    }

    /// Signs and keeps it; returns the outer tree's new size.
    fn write(self, tx: &mut dyn Tx) -> Result<Option<u64>, Refusal> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let (era, size) = (self.era, self.size + 1);
        let nodes = merkle::append(&Outer { tx, era }, self.size, self.leaf.leaf_hash())?;
        let outer = Appended { tx, era, nodes: &nodes };
        let head = TreeHead { era, size, root: merkle::root(&outer, size)? };
        let note = signer.sign(self.company, &head, self.leaf.t_ms / 1_000);
        let row = OuterRow { leaf: encode(&self.leaf), note, company: encode(&self.place) };
        tx.put_outer(era, self.size, &row, &nodes, &self.changed)?;
        Ok(Some(size))
    }
}

/// An outer tree with nodes that are not stored yet.
struct Appended<'a> {
    tx: &'a dyn ReadTx,
    era: u64,
    nodes: &'a [(u8, u64, Digest)],
}

impl Nodes for Appended<'_> {
    type Error = StoreError;

    fn node(&self, level: u8, index: u64) -> Result<Digest, StoreError> {
        match self.nodes.iter().find(|node| (node.0, node.1) == (level, index)) {
            Some((.., hash)) => Ok(*hash),
            None => Outer { tx: self.tx, era: self.era }.node(level, index),
        }
    }
}

fn outer_leaf(tx: &dyn ReadTx, era: u64, index: u64) -> Result<OuterLeaf, Refusal> {
    let row = tx.outer(era, index)?.ok_or(StoreError::Damaged("outer tree"))?;
    Ok(OuterLeaf::parse(&row.leaf).map_err(|_| StoreError::Damaged("outer leaf"))?)
}

/// The newest checkpoint, unless it is the one known (era, size), with what it takes to believe it.
pub fn newest_after(
    tx: &dyn ReadTx,
    era: u64,
    known: Option<(u64, u64)>,
) -> Result<Option<CheckpointNews>, Refusal> {
    let size = tx.outer_size(era)?;
    let Some(newest) = size.checked_sub(1).filter(|_| known != Some((era, size))) else {
        return Ok(None);
    };
    let row = tx.outer(era, newest)?.ok_or(StoreError::Damaged("outer tree"))?;
    let outer = Outer { tx, era };
    let company = decode(&row.company).map_err(|_| StoreError::Damaged("heads proof"))?;
    let old = known.filter(|(known_era, old)| *known_era == era && *old <= size);
    Ok(Some(CheckpointNews {
        note: row.note,
        leaf: Bytes(row.leaf),
        inclusion: merkle::inclusion(&outer, newest, size)?,
        consistency: old
            .map_or(Ok(Vec::new()), |(_, old)| merkle::consistency(&outer, old, size))?,
        company,
    }))
}

/// POST: the places of logs in the heads tree of a checkpoint.
pub async fn heads(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(request): Cbor<HeadsProofRequest>,
) -> Result<Answer<Vec<HeadsProof>>, Refusal> {
    if request.logs.len() > PROVED_AT_ONCE {
        return Err(Refusal::TooLarge);
    }
    let shared = Arc::clone(&node);
    let job = move |tx: &dyn ReadTx, session: &Session| {
        let places = request.logs.iter().map(|log| place(tx, session, *log));
        let places: Vec<LogNo> = places.collect::<Result<_, _>>()?;
        shared.heads_trees.prove(tx, (request.era, request.size), &places)
    };
    node.read_as(&claim, job).await.map(Answer)
}

/// A log's number, for those who may know that it exists.
fn place(tx: &dyn ReadTx, session: &Session, log: LogId) -> Result<LogNo, Refusal> {
    let is_device = matches!(session.principal, Principal::Device(_));
    if is_device && log != session.company_id()?.log() {
        return material::readable(tx, session, log).map(|log| log.no);
    }
    tx.log(log)?.map(|log| log.no).ok_or(Refusal::NotFound)
}

/// Heads trees that proofs were asked of, by their roots: the leaves of a root never change, so every
/// node may keep its own.
#[derive(Default)]
pub struct HeadsTrees(Mutex<VecDeque<(Digest, Arc<HeadsOf>)>>);

/// A heads tree with its leaves.
struct HeadsOf {
    leaves: Vec<HeadsLeaf>,
    tree: Tree,
}

/// Trees that are kept: the newest, and those that phones still ask about meanwhile.
const KEPT_TREES: usize = 4;

impl HeadsTrees {
    /// Proves places in the heads tree of the newest leaf of an outer tree (era, size).
    pub fn prove(
        &self,
        tx: &dyn ReadTx,
        (era, size): (u64, u64),
        places: &[LogNo],
    ) -> Result<Vec<HeadsProof>, Refusal> {
        let newest = size.checked_sub(1).filter(|newest| *newest < u64::MAX >> 1);
        let newest = newest.filter(|_| era < u64::MAX >> 1).ok_or(Refusal::NotFound)?;
        let row = tx.outer(era, newest)?.ok_or(Refusal::NotFound)?;
        let outer = OuterLeaf::parse(&row.leaf).map_err(|_| StoreError::Damaged("outer leaf"))?;
        let heads = self.heads(tx, (era, newest), outer.heads_root)?;
        let prove = |no: &LogNo| {
            let place = usize::try_from(no.0).ok();
            let leaf = place.and_then(|place| heads.leaves.get(place)).ok_or(Refusal::NotFound)?;
            let path = heads.tree.inclusion(no.0).map_err(|_| Refusal::NotFound)?;
            Ok(HeadsProof { leaf: Bytes(encode(leaf)), position: *no, path })
        };
        places.iter().map(prove).collect()
    }

    fn heads(
        &self,
        tx: &dyn ReadTx,
        (era, newest): (u64, u64),
        root: Digest,
    ) -> Result<Arc<HeadsOf>, Refusal> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, heads)) = kept().iter().find(|(of, _)| *of == root) {
            return Ok(Arc::clone(heads));
        }
        let leaves = tx.heads(era, newest)?;
        let leaves = leaves.iter().map(|(_, leaf)| decode(leaf));
        let leaves: Vec<HeadsLeaf> =
            leaves.collect::<Result<_, _>>().map_err(|_| StoreError::Damaged("heads leaf"))?;
        let tree = heads_tree(&leaves);
        if tree.root() != root {
            return Err(StoreError::Damaged("heads tree").into());
        }
        let heads = Arc::new(HeadsOf { leaves, tree });
        let mut trees = kept();
        trees.truncate(KEPT_TREES - 1);
        trees.push_front((root, Arc::clone(&heads)));
        Ok(heads)
    }
}

/// POST: shows that two outer trees of an era are one.
pub async fn consistency(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(request): Cbor<ConsistencyRequest>,
) -> Result<Answer<Vec<Digest>>, Refusal> {
    let job = move |tx: &dyn ReadTx, _: &Session| {
        let ConsistencyRequest { era, old, new } = request;
        if old > new || era >= u64::MAX >> 1 || new > tx.outer_size(era)? {
            return Err(Refusal::NotFound);
        }
        Ok(merkle::consistency(&Outer { tx, era }, old, new)?)
    };
    node.read_as(&claim, job).await.map(Answer)
}
