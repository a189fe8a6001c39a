//! What a checkpoint says of each log, once its signatures and proofs hold.

use hauspost_protocol::company::state::Company;
use hauspost_protocol::encoding::decode;
use hauspost_protocol::ids::{CompanyId, LogId, TimeMs};
use hauspost_protocol::tree::checkpoint::TreeHead;
use hauspost_protocol::tree::heads::{HeadsLeaf, LogHead, OuterLeaf};
use hauspost_protocol::tree::proof::{TreeError, believe, heads_leaf};
use hauspost_protocol::wire::{CheckpointNews, HeadsProof};

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
        // The company log's place is only claimed here. A false claim chooses another key of this very
        // company, and `covered` proves the place under the root that is signed.
        let claimed = place_of(proofs, id.log())
            .and_then(|place| decode::<HeadsLeaf>(&place.leaf).ok())
            .and_then(|leaf| head_of(&leaf, id.log()));
        let size = claimed.map_or(company.size(), |head| head.size);
        let news = CheckpointNews {
            note: note.to_owned(),
            leaf: proofs.outer_leaf.clone(),
            inclusion: proofs.inclusion.clone(),
            consistency: Vec::new(),
        };
        let believed = believe(&news, &company.at(size), None)?;
        let (head, outer) = (believed.tree, believed.outer);
        Ok(Self { head, t_ms: outer.t_ms, outer, proofs })
    }

    /// How much of a log the checkpoint covers.
    pub fn covered(&self, log: LogId) -> Result<LogHead, PlaceFault> {
        let place = place_of(self.proofs, log).ok_or(PlaceFault::NoPlace)?;
        let proof = HeadsProof {
            leaf: place.leaf.clone(),
            position: place.position,
            path: place.path.clone(),
        };
        let proven = heads_leaf(&self.outer, &proof)?;
        head_of(&proven, log).ok_or(PlaceFault::NoPlace)
    }
}

/// The place that the export claims for a log.
fn place_of(proofs: &Proofs, log: LogId) -> Option<&HeadPlace> {
    proofs.heads.iter().find(|place| place.log == log)
}

fn head_of(leaf: &HeadsLeaf, log: LogId) -> Option<LogHead> {
    leaf.log.filter(|head| head.log == log)
}
