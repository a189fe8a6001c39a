//! What a checkpoint says of each log, once its signatures and proofs hold.

use hauspost_protocol::company::state::Company;
use hauspost_protocol::ids::{CompanyId, LogId, TimeMs};
use hauspost_protocol::tree::checkpoint::TreeHead;
use hauspost_protocol::tree::heads::{HeadsLeaf, LogHead, OuterLeaf};
use hauspost_protocol::tree::proof::{TreeError, heads_leaf, signed};
use hauspost_protocol::tree::witness::{Seen, seen_by};
use hauspost_protocol::wire::{CheckpointNews, HeadsProof};

use super::Witnessing;

use crate::archive::export::{HeadPlace, Proofs};

/// Why a place under a checkpoint is not believed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceFault {
    /// The log has no place under this checkpoint in the export.
    #[error("the export does not show the log's place under the checkpoint")]
    NoPlace,
    /// The log's place is not proven.
    #[error("the log's place under the checkpoint is not proven: {0}")]
    Unproven(#[from] TreeError),
}

/// A checkpoint whose signatures hold, with the places of logs that are claimed under it.
pub struct Believed<'a> {
    /// What is signed.
    pub head: TreeHead,
    /// When it was made.
    pub t_ms: TimeMs,
    outer: OuterLeaf,
    proofs: &'a Proofs,
}

impl<'a> Believed<'a> {
    /// Verifies a checkpoint by the key that the company log named where the checkpoint covers it.
    pub fn read(
        note: &str,
        proofs: &'a Proofs,
        company: &Company,
        id: CompanyId,
    ) -> Result<Self, TreeError> {
        let place = place_of(proofs, id.log()).ok_or(TreeError::NoLog)?;
        let news = CheckpointNews {
            note: note.to_owned(),
            leaf: proofs.outer_leaf.clone(),
            inclusion: proofs.inclusion.clone(),
            consistency: Vec::new(),
            company: proof_of(place),
        };
        // Whether the company log at hand is the one covered shows when it is walked.
        let (believed, _) = signed(&news, company)?;
        let (head, outer) = (believed.tree, believed.outer);
        Ok(Self { head, t_ms: outer.t_ms, outer, proofs })
    }

    /// Who vouches that the tree only grew up to this checkpoint.
    pub fn witnesses(&self, company: &Company) -> Vec<Witnessing> {
        let seen = seen_by(&self.proofs.witnessed, &self.head, &company.now());
        let witnessing = |seen: Seen<'_>| Witnessing {
            name: seen.witness.name.clone(),
            size: seen.size,
            t_ms: seen.time_s.saturating_mul(1_000),
        };
        seen.into_iter().map(witnessing).collect()
    }

    /// How much of a log the checkpoint covers.
    pub fn covered(&self, log: LogId) -> Result<LogHead, PlaceFault> {
        let place = place_of(self.proofs, log).ok_or(PlaceFault::NoPlace)?;
        let proven = heads_leaf(&self.outer, &proof_of(place))?;
        head_of(&proven, log).ok_or(PlaceFault::NoPlace)
    }
}

fn proof_of(place: &HeadPlace) -> HeadsProof {
    let HeadPlace { leaf, position, path, .. } = place.clone();
    HeadsProof { leaf, position, path }
}

/// The place that the export claims for a log.
fn place_of(proofs: &Proofs, log: LogId) -> Option<&HeadPlace> {
    proofs.heads.iter().find(|place| place.log == log)
}

fn head_of(leaf: &HeadsLeaf, log: LogId) -> Option<LogHead> {
    leaf.log.filter(|head| head.log == log)
}
