//! What a checkpoint says of each log, once its signatures and proofs hold.

use hauspost_protocol::company::state::Company;
use hauspost_protocol::encoding::decode;
use hauspost_protocol::ids::{CompanyId, LogId, TimeMs};
use hauspost_protocol::tree::checkpoint::{Checkpoint, TreeHead};
use hauspost_protocol::tree::heads::{HeadsLeaf, LogHead, OuterLeaf};
use hauspost_protocol::tree::merkle;

use super::chain::Covered;
use crate::archive::export::Proofs;

/// How far an entry's time may lie outside of its checkpoint's interval (`docs/protocol.md` §1).
pub const SLACK_MS: TimeMs = 5_000;

/// Why a checkpoint, or a place under it, is not believed.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointFault {
    /// Not of the form of a note.
    #[error("it cannot be read: {0}")]
    Note(#[from] hauspost_protocol::tree::checkpoint::NoteError),
    /// The signatures do not hold.
    #[error("{0}")]
    Signature(#[from] hauspost_protocol::tree::checkpoint::CheckpointError),
    /// The company log names no key for checkpoints.
    #[error("the company log names no key for checkpoints")]
    NoKey,
    /// The outer leaf is not in the tree that is signed.
    #[error("its newest leaf is not in the tree that it signs")]
    Outer,
    /// The log has no place under this checkpoint in the export.
    #[error("the export does not show the log's place under the checkpoint")]
    NoPlace,
    /// The log's place is not proven.
    #[error("the log's place under the checkpoint is not proven")]
    Place,
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
    ) -> Result<Self, CheckpointFault> {
        let checkpoint = Checkpoint::parse(note)?;
        let outer = OuterLeaf::parse(&proofs.outer_leaf).map_err(|_| CheckpointFault::Outer)?;
        // The size in the company log's place is proven below, under the very root that is signed.
        let size = place_of(proofs, id.log()).map_or(company.size(), |(_, head)| head.size);
        let key = company.at(size).log_key().ok_or(CheckpointFault::NoKey)?;
        let head = checkpoint.verify(id, key)?;
        let position = head.size.checked_sub(1).ok_or(CheckpointFault::Outer)?;
        let leaf = outer.leaf_hash();
        merkle::verify_inclusion(leaf, position, head.size, &proofs.inclusion, head.root)
            .map_err(|_| CheckpointFault::Outer)?;
        Ok(Self { head, t_ms: outer.t_ms, outer, proofs })
    }

    /// How much of a log the checkpoint covers.
    pub fn covered(&self, log: LogId) -> Result<Covered, CheckpointFault> {
        let (leaf, head) = place_of(self.proofs, log).ok_or(CheckpointFault::NoPlace)?;
        let place = self
            .proofs
            .heads
            .iter()
            .find(|place| place.log == log)
            .ok_or(CheckpointFault::NoPlace)?;
        let position = leaf.log_no.0;
        merkle::verify_inclusion(
            leaf.leaf_hash(),
            position,
            self.outer.logs,
            &place.path,
            self.outer.heads_root,
        )
        .map_err(|_| CheckpointFault::Place)?;
        Ok(Covered { size: head.size, head: head.hash })
    }
}

/// The leaf that is claimed for a log.
fn place_of(proofs: &Proofs, log: LogId) -> Option<(HeadsLeaf, LogHead)> {
    let place = proofs.heads.iter().find(|place| place.log == log)?;
    let leaf: HeadsLeaf = decode(&place.leaf).ok()?;
    let head = leaf.log.filter(|head| head.log == log && leaf.log_no == place.position)?;
    Some((leaf, head))
}
