//! The offline verifier's eyes: what is missing, changed, reordered or cut off in a whole log, and
//! whether two checkpoints tell one history.
//!
//! A log is compared with the heads that checkpoints signed. Every finding names the log and the
//! entries that it is about, so that a person can look there.

use std::collections::{HashMap, HashSet};

use crate::body::{EraseBody, parse_unsigned};
use crate::encoding::decode;
use crate::entry::{ArchivedEntry, Head, Kind, Payload, Skeleton};
use crate::ids::{Digest, EntryHash, LogId, LogNo, Seq, TimeMs};
use crate::tree::checkpoint::TreeHead;
use crate::tree::heads::{HeadsLeaf, LogHead, OuterLeaf, heads_tree};
use crate::tree::merkle::{ProofError, verify_consistency};
use crate::tree::proof::{TreeError, follow};

/// How far an entry's time may lie outside of its checkpoint interval.
const SKEW_MS: TimeMs = 5_000;

/// Something wrong, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("log {log}: {what}")]
pub struct Finding {
    /// The log.
    pub log: LogId,
    /// What is wrong with it.
    pub what: What,
}

/// What is wrong with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// Entries are missing, both ends included.
    #[error("entries {from} to {to} are missing")]
    Missing {
        /// The first that is missing.
        from: Seq,
        /// The last that is missing.
        to: Seq,
    },
    /// An entry does not stand in its place.
    #[error("entry {seq} is out of its order")]
    Reordered {
        /// The entry.
        seq: Seq,
    },
    /// A number stands twice.
    #[error("entry {seq} stands there twice")]
    Twice {
        /// The number.
        seq: Seq,
    },
    /// The entry is not the one that its successor, or a checkpoint, names. Several in a row cannot
    /// be told apart from one whose link was changed.
    #[error("entries {from} to {to} were changed")]
    Changed {
        /// The first of them.
        from: Seq,
        /// The last of them.
        to: Seq,
    },
    /// The chain is whole, but not the one that a checkpoint signed.
    #[error("entries {from} to {to} are not those that the checkpoint signed")]
    Rebuilt {
        /// The first that no checkpoint confirms.
        from: Seq,
        /// The last that the checkpoint covers.
        to: Seq,
    },
    /// The log's end is missing.
    #[error("the log ends before entry {have}, the checkpoint covers {size} entries")]
    CutOff {
        /// How many entries there are.
        have: u64,
        /// How many there should be.
        size: u64,
    },
    /// An entry of another log, or without a readable head.
    #[error("entry {seq} is not of this log")]
    Foreign {
        /// The entry.
        seq: Seq,
    },
    /// The server's time or the company log's size goes back.
    #[error("time or company size go back at entry {seq}")]
    Back {
        /// The entry.
        seq: Seq,
    },
    /// A payload that no erase entry accounts for is missing.
    #[error("the payload of entry {seq} is missing, and no erasure accounts for it")]
    PayloadMissing {
        /// The entry.
        seq: Seq,
    },
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

/// Examines a whole log against the heads that checkpoints signed for it, oldest first.
///
/// The last head says how long the log has to be; entries beyond it are examined as a chain and are
/// covered by no checkpoint yet. Older heads narrow down where a rebuilt chain begins.
pub fn examine_log(log: LogId, entries: &[ArchivedEntry], heads: &[LogHead]) -> Vec<Finding> {
    let mut what = Vec::new();
    let entries = in_order(entries, &mut what);
    gaps(&entries, &mut what);
    let hashes: Vec<_> = entries.iter().map(|entry| entry.entry.hash(entry.prev)).collect();
    let broken = broken_links(&entries, &hashes, &mut what);
    against_heads(&entries, &hashes, heads, &broken, &mut what);
    let size = heads.last().map_or(0, |head| head.size);
    let have = entries.last().map_or(0, |entry| entry.entry.seq.0 + 1);
    if have < size {
        what.push(What::CutOff { have, size });
    }
    forms(log, &entries, &mut what);
    payloads(&entries, &mut what);
    what.into_iter().map(|what| Finding { log, what }).collect()
}

/// The entries in the order of their numbers, each once.
///
/// Those outside of a longest ascending run are the ones that were moved.
fn in_order<'e>(entries: &'e [ArchivedEntry], what: &mut Vec<What>) -> Vec<&'e ArchivedEntry> {
    let kept = longest_run(entries);
    for (i, entry) in entries.iter().enumerate() {
        let seq = entry.entry.seq;
        if !kept.contains(&i) && entries.iter().filter(|other| other.entry.seq == seq).count() == 1
        {
            what.push(What::Reordered { seq });
        }
    }
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by_key(|entry| entry.entry.seq);
    sorted.dedup_by(|second, first| {
        let seq = first.entry.seq;
        let twice = second.entry.seq == seq;
        if twice && what.last() != Some(&What::Twice { seq }) {
            what.push(What::Twice { seq });
        }
        twice
    });
    sorted
}

/// The places of a longest strictly ascending subsequence of the numbers.
fn longest_run(entries: &[ArchivedEntry]) -> HashSet<usize> {
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![None; entries.len()];
    for (i, entry) in entries.iter().enumerate() {
        let len = ends.partition_point(|end| entries[*end].entry.seq < entry.entry.seq);
        before[i] = len.checked_sub(1).map(|len| ends[len]);
        if len == ends.len() {
            ends.push(i);
        } else {
            ends[len] = i;
        }
    }
    let mut run = HashSet::new();
    let mut place = ends.last().copied();
    while let Some(i) = place {
        run.insert(i);
        place = before[i];
    }
    run
}

fn gaps(entries: &[&ArchivedEntry], what: &mut Vec<What>) {
    let mut next = 0;
    for entry in entries {
        let seq = entry.entry.seq.0;
        if seq > next {
            what.push(What::Missing { from: Seq(next), to: Seq(seq - 1) });
        }
        next = seq.saturating_add(1);
    }
}

/// Entries that are not the ones their successors name, in runs; whether each one is.
fn broken_links(
    entries: &[&ArchivedEntry],
    hashes: &[EntryHash],
    what: &mut Vec<What>,
) -> Vec<bool> {
    let broken: Vec<bool> = (0..entries.len())
        .map(|i| match entries.get(i + 1) {
            Some(next) if next.entry.seq.0 - 1 == entries[i].entry.seq.0 => hashes[i] != next.prev,
            _ => false,
        })
        .collect();
    if let Some(first) = entries.first()
        && first.entry.seq == Seq(0)
        && first.prev != EntryHash::ZERO
        && !broken[0]
    {
        what.push(What::Changed { from: Seq(0), to: Seq(0) });
    }
    let mut i = 0;
    while i < broken.len() {
        if broken[i] {
            let run = broken[i..].iter().take_while(|broken| **broken).count();
            let (from, to) = (entries[i].entry.seq, entries[i + run - 1].entry.seq);
            what.push(What::Changed { from, to });
            i += run;
        }
        i += 1;
    }
    broken
}

fn against_heads(
    entries: &[&ArchivedEntry],
    hashes: &[EntryHash],
    heads: &[LogHead],
    broken: &[bool],
    what: &mut Vec<What>,
) {
    let mut confirmed = 0;
    for head in heads {
        let Some(newest) = head.size.checked_sub(1) else { continue };
        let Ok(i) = entries.binary_search_by_key(&newest, |entry| entry.entry.seq.0) else {
            continue;
        };
        if hashes[i] == head.hash {
            confirmed = head.size;
        } else {
            // A changed entry whose successor still names the original is known already.
            if !broken[i] {
                what.push(What::Rebuilt { from: Seq(confirmed), to: Seq(newest) });
            }
            return;
        }
    }
}

fn forms(log: LogId, entries: &[&ArchivedEntry], what: &mut Vec<What>) {
    let (mut t_ms, mut co) = (0, 0);
    for entry in entries {
        let entry = &entry.entry;
        if Head::parse(&entry.head).map(|head| head.log) != Ok(log) {
            what.push(What::Foreign { seq: entry.seq });
        }
        if entry.t_ms < t_ms || entry.co < co {
            what.push(What::Back { seq: entry.seq });
        }
        (t_ms, co) = (t_ms.max(entry.t_ms), co.max(entry.co));
    }
}

/// Payloads of other kinds than records, which a verifier always gets; of records, those that an
/// export leaves out are a matter of its scope.
fn payloads(entries: &[&ArchivedEntry], what: &mut Vec<What>) {
    let kind = |entry: &ArchivedEntry| Head::parse(&entry.entry.head).ok().map(|head| head.kind);
    let erased: Vec<_> = entries
        .iter()
        .filter(|entry| kind(entry) == Some(Kind::Erase))
        .filter_map(|entry| {
            let body = parse_unsigned(entry.entry.payload.bytes()?).ok()?;
            decode::<EraseBody>(&body).ok()
        })
        .flat_map(|body| body.ranges)
        .collect();
    for entry in entries {
        let seq = entry.entry.seq;
        let absent = matches!(entry.entry.payload, Payload::Absent { .. });
        if absent
            && kind(entry) != Some(Kind::Record)
            && !erased.iter().any(|(from, to)| (*from..=*to).contains(&seq))
        {
            what.push(What::PayloadMissing { seq });
        }
    }
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
    let interval = old.outer.t_ms.saturating_sub(SKEW_MS)..=new.outer.t_ms.saturating_add(SKEW_MS);
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
