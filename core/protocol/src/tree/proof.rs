//! Proofs that need nothing but the company's log: a checkpoint that continues the last one, a
//! log's place in it, and one record for a judge.

use crate::array_item;
use crate::company::state::Company;
use crate::company::view::CompanyAt;
use crate::crypto::sha256;
use crate::encoding::{Bytes, FormError, decode};
use crate::entry::{Head, Link, Skeleton};
use crate::ids::{Digest, EntryHash, LogId, LogNo, Seq, TimeMs};
use crate::tree::checkpoint::{Checkpoint, CheckpointError, NoteError, TreeHead};
use crate::tree::heads::{HeadsLeaf, LogHead, OuterLeaf};
use crate::tree::merkle::{ProofError, leaf_hash, verify_consistency, verify_inclusion};
use crate::wire::{CheckpointNews, HeadsProof};

/// What a proof fails by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The note is not a checkpoint.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The checkpoint is not believed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The company's log names no log key yet.
    #[error("the company's log names no key for checkpoints")]
    NoLogKey,
    /// The checkpoint covers nothing.
    #[error("the checkpoint covers nothing")]
    Empty,
    /// The company log knows no such era, or the checkpoint is of an earlier one than the last.
    #[error("the checkpoint is of era {0}, which is not the company's")]
    Era(u64),
    /// The checkpoint covers more of the company log than is known here: that comes first. No alarm.
    #[error("the checkpoint covers {0} entries of the company log, and fewer are known")]
    CompanyAhead(u64),
    /// The checkpoint covers less of the company log than the one before: something was taken back.
    #[error(
        "the checkpoint covers {0} entries of the company log, and the one before covered more"
    )]
    CompanyBack(u64),
    /// The checkpoint covers another company log: two histories.
    #[error("the checkpoint covers another entry {0} of the company log than the one known")]
    OtherCompanyLog(Seq),
    /// The checkpoint does not continue the last one: two histories (docs/attacks.md 8).
    #[error("the checkpoint does not continue the one before: {0}")]
    Consistency(ProofError),
    /// The outer leaf is malformed.
    #[error("outer leaf: {0}")]
    OuterLeaf(FormError),
    /// The outer leaf does not stand in the checkpoint's tree.
    #[error("the outer leaf is not in the checkpoint's tree: {0}")]
    Outer(ProofError),
    /// The heads leaf is malformed.
    #[error("heads leaf: {0}")]
    HeadsLeaf(FormError),
    /// The heads leaf does not stand at its position.
    #[error("the log is not at its place in the heads tree: {0}")]
    Heads(ProofError),
    /// The heads leaf names another position than it stands at.
    #[error("the heads leaf names another number than its place")]
    Position,
    /// The number is reserved, and no log has it.
    #[error("no log has this number")]
    NoLog,
    /// The entries of a skeleton do not follow one another.
    #[error("entry {0} does not follow the one before it")]
    Skeleton(Seq),
    /// The skeleton does not lead to the log's head.
    #[error("the entries up to {0} do not lead to the log's head")]
    OtherHead(Seq),
    /// Head and payload are not the skeleton's first entry.
    #[error("head and payload are not those of entry {0}")]
    OtherEntry(Seq),
    /// The head is malformed, or of another log than the one proven.
    #[error("the entry's head is of another log")]
    OtherLog,
}

/// A checkpoint that is believed, with the newest outer leaf under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Believed {
    /// What is signed.
    pub tree: TreeHead,
    /// The newest outer leaf.
    pub outer: OuterLeaf,
    /// How many entries of the company log it covers.
    pub company_size: u64,
}

/// The newest checkpoint that was believed, as far as the next one is judged by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// What was signed.
    pub tree: TreeHead,
    /// How many entries of the company log it covered.
    pub company_size: u64,
}

/// Believes a checkpoint (C10): the newest outer leaf's inclusion, the company log's place under it,
/// both signatures by the newest log key of that much of the company log, and that it continues
/// `before`, the newest that was believed.
///
/// So a log key that was rotated away signs nothing any more: what it could sign covers less of the
/// company log than the checkpoint before. A new era is believed only if the company log has the
/// `restore` entry that begins it; between eras there is no consistency to prove here. An error is
/// an alarm, but for [`TreeError::CompanyAhead`], and for a checkpoint that is no newer than `before`
/// and simply says the same.
pub fn believe(
    news: &CheckpointNews,
    company: &Company,
    before: Option<Before>,
) -> Result<Believed, TreeError> {
    let covered = company_place(news, company)?.2;
    if covered.size > company.size() {
        return Err(TreeError::CompanyAhead(covered.size));
    }
    let (believed, covered) = signed(news, company)?;
    let Believed { tree, company_size, .. } = believed;
    if company.hash_at(company_size) != Some(covered.hash) {
        return Err(TreeError::OtherCompanyLog(Seq(company_size - 1)));
    }
    if before.is_some_and(|before| before.tree.era > tree.era) {
        return Err(TreeError::Era(tree.era));
    }
    if before.is_some_and(|before| before.company_size > company_size) {
        return Err(TreeError::CompanyBack(company_size));
    }
    if let Some(Before { tree: before, .. }) = before.filter(|before| before.tree.era == tree.era) {
        let (old, new) = ((before.size, before.root), (tree.size, tree.root));
        verify_consistency(old, new, &news.consistency).map_err(TreeError::Consistency)?;
    }
    Ok(believed)
}

/// A checkpoint that is signed by the log key of as much of the company log as it covers, and the head
/// that it claims for the company log. Whether that is the company log at hand is for the caller to see.
pub fn signed(news: &CheckpointNews, company: &Company) -> Result<(Believed, LogHead), TreeError> {
    let (checkpoint, outer, covered) = company_place(news, company)?;
    let tree = checkpoint.head;
    let at = company.at(covered.size);
    let (id, key) = at.company().zip(at.log_key()).ok_or(TreeError::NoLogKey)?;
    checkpoint.verify(id, key)?;
    if tree.era != at.era() {
        return Err(TreeError::Era(tree.era));
    }
    Ok((Believed { tree, outer, company_size: covered.size }, covered))
}

/// A note with the newest outer leaf under it, and the company log's place under that.
fn company_place(
    news: &CheckpointNews,
    company: &Company,
) -> Result<(Checkpoint, OuterLeaf, LogHead), TreeError> {
    let checkpoint = Checkpoint::parse(&news.note)?;
    let newest = checkpoint.head.size.checked_sub(1).ok_or(TreeError::Empty)?;
    let outer = outer_leaf(&checkpoint.head, newest, &news.leaf, &news.inclusion)?;
    if news.company.position != LogNo(0) {
        return Err(TreeError::Position);
    }
    let covered = heads_leaf(&outer, &news.company)?.log.ok_or(TreeError::NoLog)?;
    if company.id().is_some_and(|company| company.log() != covered.log) {
        return Err(TreeError::OtherLog);
    }
    Ok((checkpoint, outer, covered))
}

/// A note's text, if the log key of this company signed it.
fn signed_head(note: &str, company: &CompanyAt<'_>) -> Result<TreeHead, TreeError> {
    let checkpoint = Checkpoint::parse(note)?;
    let (id, key) = company.company().zip(company.log_key()).ok_or(TreeError::NoLogKey)?;
    Ok(checkpoint.verify(id, key)?)
}

/// The outer leaf at this index of a tree.
pub fn outer_leaf(
    tree: &TreeHead,
    index: u64,
    leaf: &[u8],
    path: &[Digest],
) -> Result<OuterLeaf, TreeError> {
    verify_inclusion(leaf_hash(leaf), index, tree.size, path, tree.root)
        .map_err(TreeError::Outer)?;
    OuterLeaf::parse(leaf).map_err(TreeError::OuterLeaf)
}

/// A log's place in the heads tree of an outer leaf.
pub fn heads_leaf(outer: &OuterLeaf, proof: &HeadsProof) -> Result<HeadsLeaf, TreeError> {
    let HeadsProof { leaf, position, path } = proof;
    verify_inclusion(leaf_hash(leaf), position.0, outer.logs, path, outer.heads_root)
        .map_err(TreeError::Heads)?;
    let leaf: HeadsLeaf = decode(leaf).map_err(TreeError::HeadsLeaf)?;
    if leaf.log_no == *position { Ok(leaf) } else { Err(TreeError::Position) }
}

/// The hash of a skeleton's last entry, if its entries follow one another: numbers without gaps,
/// times and company sizes never decreasing.
pub fn follow(skeleton: &Skeleton) -> Result<EntryHash, TreeError> {
    let mut hash = skeleton.prev;
    for (i, bone) in skeleton.bones.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| &skeleton.bones[i]);
        let follows = before.is_none_or(|before| {
            bone.seq.0.checked_sub(1) == Some(before.seq.0)
                && bone.t_ms >= before.t_ms
                && bone.co >= before.co
        });
        if !follows || (bone.seq == Seq(0) && skeleton.prev != EntryHash::ZERO) {
            return Err(TreeError::Skeleton(bone.seq));
        }
        let link = Link { seq: bone.seq, prev: hash, t_ms: bone.t_ms, co: bone.co };
        hash = link.hash(bone.core);
    }
    Ok(hash)
}

array_item! {
    /// That one entry stood in its place when a checkpoint was signed. It shows nothing of the
    /// entries after it but their number.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RecordProof = 1 {
        /// The checkpoint.
        pub note: String,
        /// The outer leaf's place.
        pub outer_index: u64,
        /// The outer leaf.
        pub outer_leaf: Bytes,
        /// Its inclusion proof.
        pub outer_path: Vec<Digest>,
        /// The log's place in the heads tree.
        pub heads: HeadsProof,
        /// From the entry to the log's head.
        pub skeleton: Skeleton,
        /// The entry's head.
        pub head: Bytes,
        /// The entry's payload.
        pub payload: Bytes,
    }
}

/// What a [`RecordProof`] proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenEntry {
    /// The log.
    pub log: LogId,
    /// The entry's number.
    pub seq: Seq,
    /// The entry's hash.
    pub hash: EntryHash,
    /// The server's time.
    pub t_ms: TimeMs,
    /// The company log's size when the entry was accepted.
    pub co: u64,
    /// The tree that the checkpoint signed.
    pub tree: TreeHead,
}

impl RecordProof {
    /// Verifies the proof. The company is the one in force when the checkpoint was signed.
    pub fn verify(&self, company: &CompanyAt<'_>) -> Result<ProvenEntry, TreeError> {
        let tree = signed_head(&self.note, company)?;
        let outer = outer_leaf(&tree, self.outer_index, &self.outer_leaf, &self.outer_path)?;
        let log = heads_leaf(&outer, &self.heads)?.log.ok_or(TreeError::NoLog)?;
        let reached = follow(&self.skeleton)?;
        let (first, last) = match &self.skeleton.bones[..] {
            [] => return Err(TreeError::OtherHead(Seq(log.size))),
            [first, ..] => (first, self.skeleton.bones.last().unwrap_or(first)),
        };
        if last.seq.0 + 1 != log.size || reached != log.hash {
            return Err(TreeError::OtherHead(last.seq));
        }
        let (payload, len) = (sha256(&self.payload), self.payload.len() as u64);
        if Head::core(&self.head, payload, len) != first.core {
            return Err(TreeError::OtherEntry(first.seq));
        }
        if Head::parse(&self.head).map(|head| head.log) != Ok(log.log) {
            return Err(TreeError::OtherLog);
        }
        let (seq, t_ms, co) = (first.seq, first.t_ms, first.co);
        let hash = Link { seq, prev: self.skeleton.prev, t_ms, co }.hash(first.core);
        Ok(ProvenEntry { log: log.log, seq, hash, t_ms, co, tree })
    }
}

#[cfg(test)]
mod tests;
