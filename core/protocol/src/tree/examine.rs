//! Whether two checkpoints tell one history: nothing that the older covers is gone or changed in the
//! newer, and what came in between came in its time.
//!
//! Every finding names the log and the entries that it is about, so that a person can look there.

use std::collections::HashMap;

use crate::entry::Skeleton;
use crate::ids::{Digest, EntryHash, LogId, LogNo, Seq, TimeMs};
use crate::limits::CHECKPOINT_SKEW_MS;
use crate::tree::checkpoint::TreeHead;
use crate::tree::heads::{HeadsLeaf, LogHead, OuterLeaf, heads_tree};
use crate::tree::merkle::{ProofError, verify_consistency};
use crate::tree::proof::{TreeError, follow};

/// Something wrong, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("log {log}: {what}")]
pub struct Finding {
    /// The log.
    pub log: LogId,
    /// What is wrong with it.
    pub what: What,
}

/// What is wrong with a log, or with the trees above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// The heads under a checkpoint are not those of its outer leaf.
    #[error("the heads given are not those that the checkpoint signed")]
    Heads,
    /// The newer outer tree does not continue the older.
    #[error("the newer checkpoint does not continue the older: {0}")]
    Outer(ProofError),
    /// A number that had a log has another, or none.
    #[error("number {0} had this log and has it no more")]
    Gone(LogNo),
    /// A log is shorter than it was.
    #[error("the log had {old} entries and has {new}")]
    Shrunk {
        /// Its size at the older checkpoint.
        old: u64,
        /// Its size at the newer checkpoint.
        new: u64,
    },
    /// The stretch between two checkpoints is not given, or does not lead from head to head.
    #[error("the entries from {from} on do not lead from the older head to the newer")]
    Stretch {
        /// The first entry after the older checkpoint.
        from: Seq,
    },
    /// The server let an entry in by an older company log than it had signed before
    /// (docs/attacks.md 15).
    #[error("entry {seq} was judged by company size {co}, {signed} was signed before")]
    OldCompany {
        /// The entry.
        seq: Seq,
        /// The size that it names.
        co: u64,
        /// The size at the older checkpoint.
        signed: u64,
    },
    /// An entry's time lies outside of its checkpoint interval (docs/attacks.md 43).
    #[error("entry {seq} has time {t_ms}, outside of its checkpoints")]
    Time {
        /// The entry.
        seq: Seq,
        /// Its time.
        t_ms: TimeMs,
    },
}

/// A checkpoint with all the heads under it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The company log, in whose name findings on the trees stand.
    pub company_log: LogId,
    /// What is signed.
    pub tree: TreeHead,
    /// Its newest outer leaf.
    pub outer: OuterLeaf,
    /// All heads leaves, in the order of their numbers.
    pub heads: Vec<HeadsLeaf>,
}

impl Snapshot {
    fn is_whole(&self) -> bool {
        let in_place = self.heads.iter().zip(0..).all(|(leaf, n)| leaf.log_no == LogNo(n));
        in_place
            && self.heads.len() as u64 == self.outer.logs
            && heads_tree(&self.heads).root() == self.outer.heads_root
    }

    fn company_size(&self) -> u64 {
        self.heads.first().and_then(|leaf| leaf.log).map_or(0, |company| company.size)
    }
}

/// Examines two checkpoints of one era that were both [believed](crate::tree::proof::believe), with
/// the skeleton of each log's entries in between.
pub fn examine_pair(
    old: &Snapshot,
    new: &Snapshot,
    consistency: &[Digest],
    stretches: &HashMap<LogId, Skeleton>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut company_finding = |what| findings.push(Finding { log: new.company_log, what });
    let (from, to) = ((old.tree.size, old.tree.root), (new.tree.size, new.tree.root));
    if let Err(error) = verify_consistency(from, to, consistency) {
        company_finding(What::Outer(error));
    }
    if !old.is_whole() || !new.is_whole() {
        company_finding(What::Heads);
        return findings;
    }
    for (i, leaf) in new.heads.iter().enumerate() {
        let before = old.heads.get(i).and_then(|leaf| leaf.log);
        match (before, leaf.log) {
            (Some(before), after) if after.map(|after| after.log) != Some(before.log) => {
                findings.push(Finding { log: before.log, what: What::Gone(leaf.log_no) });
            }
            (before, Some(after)) => {
                let stretch = stretches.get(&after.log);
                let what = examine_stretch(before, after, stretch, old, new);
                findings.extend(what.into_iter().map(|what| Finding { log: after.log, what }));
            }
            (_, None) => {}
        }
    }
    let gone =
        old.heads.iter().skip(new.heads.len()).filter_map(|leaf| Some((leaf.log_no, leaf.log?)));
    findings.extend(gone.map(|(n, log)| Finding { log: log.log, what: What::Gone(n) }));
    findings
}

fn examine_stretch(
    before: Option<LogHead>,
    after: LogHead,
    stretch: Option<&Skeleton>,
    old: &Snapshot,
    new: &Snapshot,
) -> Vec<What> {
    let (size, hash) = before.map_or((0, EntryHash::ZERO), |before| (before.size, before.hash));
    if after.size < size {
        return vec![What::Shrunk { old: size, new: after.size }];
    }
    if after.size == size {
        return if after.hash == hash {
            Vec::new()
        } else {
            vec![What::Stretch { from: Seq(size) }]
        };
    }
    let Some(stretch) = stretch else { return vec![What::Stretch { from: Seq(size) }] };
    let begins = stretch.bones.first().is_some_and(|bone| bone.seq == Seq(size));
    let ends = stretch.bones.last().is_some_and(|bone| bone.seq.0 + 1 == after.size);
    let leads = match follow(stretch) {
        Ok(reached) => begins && ends && stretch.prev == hash && reached == after.hash,
        Err(TreeError::Skeleton(seq)) => return vec![What::Stretch { from: seq }],
        Err(_) => false,
    };
    if !leads {
        return vec![What::Stretch { from: Seq(size) }];
    }
    let mut what = Vec::new();
    let interval = old.outer.t_ms.saturating_sub(CHECKPOINT_SKEW_MS)
        ..=new.outer.t_ms.saturating_add(CHECKPOINT_SKEW_MS);
    for bone in &stretch.bones {
        let (seq, co, t_ms) = (bone.seq, bone.co, bone.t_ms);
        if co < old.company_size() {
            what.push(What::OldCompany { seq, co, signed: old.company_size() });
        }
        if !interval.contains(&t_ms) {
            what.push(What::Time { seq, t_ms });
        }
    }
    what
}

#[cfg(test)]
mod tests;
