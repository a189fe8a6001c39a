//! The offline verifier's eyes: which entries of a log are missing, changed, moved or cut off.
//!
//! A phone takes entries one by one and stops at the first that does not fit
//! ([`Chain::step`](crate::rules::client::Chain::step)). Whoever holds a whole log wants to know more:
//! which entry is at fault. An export carries each entry with the hash of the one before it, so that a break can be laid at
//! the door of the entry that caused it and not only at the first place that no longer fits. Whoever
//! rebuilds all later hashes as well ends at another head than the checkpoint's.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::body::{EraseBody, parse_unsigned};
use crate::encoding::decode;
use crate::entry::{ArchivedEntry, Entry, Head, Kind, Payload};
use crate::ids::{EntryHash, LogId, Seq};
use crate::tree::heads::LogHead;

/// How far a moved or renumbered entry is looked for.
const REACH: u64 = 64;

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Entries from … to … are not there.
    Missing(Seq, Seq),
    /// Entries from … to … are not there, and what follows was renumbered to hide it.
    Renumbered(Seq, Seq),
    /// The entry is there twice.
    Twice(Seq),
    /// The entry does not stand in its place.
    Moved(Seq),
    /// The entry's hash is not the one that the next entry, or the checkpoint, names.
    Changed(Seq),
    /// The entry names another hash as the one before it than it did.
    Link(Seq),
    /// The log is shorter than the checkpoint says: entries from … to … were cut off.
    Cut(Seq, Seq),
    /// Every link fits, and yet the log does not end at the checkpoint's head: this entry was changed,
    /// or an earlier one and all hashes after it.
    Head(Seq),
    /// The entry's time is before that of the entry before it.
    Time(Seq),
    /// The entry saw a smaller company log than the entry before it.
    CompanySize(Seq),
    /// The entry is of another log, or its head cannot be read.
    Foreign(Seq),
    /// The entry's payload is missing, although it is no record's and no erasure names it.
    PayloadMissing(Seq),
}

impl Break {
    /// The entry that is named.
    pub fn seq(&self) -> Seq {
        match self {
            Self::Missing(seq, _)
            | Self::Renumbered(seq, _)
            | Self::Twice(seq)
            | Self::Moved(seq)
            | Self::Changed(seq)
            | Self::Link(seq)
            | Self::Cut(seq, _)
            | Self::Head(seq)
            | Self::Time(seq)
            | Self::CompanySize(seq)
            | Self::Foreign(seq)
            | Self::PayloadMissing(seq) => *seq,
        }
    }
}

fn stretch(from: Seq, to: Seq) -> String {
    if from == to { format!("entry {from} is") } else { format!("entries {from} to {to} are") }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(from, to) => write!(f, "{} missing", stretch(*from, *to)),
            Self::Renumbered(from, to) => {
                write!(f, "{} missing, and what follows was renumbered", stretch(*from, *to))
            }
            Self::Twice(seq) => write!(f, "entry {seq} is there twice"),
            Self::Moved(seq) => {
                write!(f, "entry {seq} was reordered: it does not stand in its place")
            }
            Self::Changed(seq) => {
                write!(f, "entry {seq} was changed: its hash is not the one that stands for it")
            }
            Self::Link(seq) => {
                write!(f, "entry {seq} was changed: it names another hash as the one before it")
            }
            Self::Cut(from, to) => {
                write!(
                    f,
                    "the log is cut off: {} missing at the end, the checkpoint covers more than is here",
                    stretch(*from, *to)
                )
            }
            Self::Head(seq) => {
                write!(
                    f,
                    "entry {seq} is not the one that the checkpoint covers: it was changed, or an earlier one and all hashes after it"
                )
            }
            Self::Time(seq) => {
                write!(f, "entry {seq} has a time before that of the entry before it")
            }
            Self::CompanySize(seq) => {
                write!(f, "entry {seq} saw a smaller company log than the entry before it")
            }
            Self::Foreign(seq) => write!(f, "entry {seq} is not of this log"),
            Self::PayloadMissing(seq) => {
                write!(f, "the payload of entry {seq} is missing, and no erasure took it")
            }
        }
    }
}

/// A chain that was walked.
#[derive(Debug)]
pub struct Walked {
    /// The entries in their order, each once, with the hash of each as it stands in the file.
    pub entries: Vec<(Entry, EntryHash)>,
    /// What is wrong, in order of the entries named.
    pub breaks: Vec<Break>,
    /// How many entries at the end no checkpoint covers.
    pub uncovered: u64,
}

/// Walks a log's entries as they stand in the file. `covered` is the head that a checkpoint signed.
pub fn walk(log: LogId, archived: Vec<ArchivedEntry>, covered: Option<LogHead>) -> Walked {
    let (archived, mut breaks) = in_order(archived);
    let mut walk = Walk { entries: &archived, covered, breaks: Vec::new() };
    walk.links();
    walk.clocks();
    walk.heads(log);
    breaks.append(&mut walk.breaks);
    let end = archived.last().map_or(0, |last| last.entry.seq.0 + 1);
    let size = covered.map_or(0, |covered| covered.size);
    if end < size {
        breaks.push(Break::Cut(Seq(end), Seq(size - 1)));
    }
    breaks.sort_by_key(Break::seq);
    let entries = archived
        .into_iter()
        .map(|archived| {
            let hash = archived.entry.hash(archived.prev);
            (archived.entry, hash)
        })
        .collect();
    Walked { entries, breaks, uncovered: end.saturating_sub(size) }
}

/// The entries sorted by number, each once, and what that shows: those outside of a longest ascending
/// run are the ones that were moved.
fn in_order(mut archived: Vec<ArchivedEntry>) -> (Vec<ArchivedEntry>, Vec<Break>) {
    let mut breaks = Vec::new();
    let mut copies: HashMap<Seq, usize> = HashMap::new();
    for entry in &archived {
        *copies.entry(entry.entry.seq).or_default() += 1;
    }
    let kept = longest_run(&archived);
    for (place, entry) in archived.iter().enumerate() {
        let seq = entry.entry.seq;
        if !kept.contains(&place) && copies[&seq] == 1 {
            breaks.push(Break::Moved(seq));
        }
    }
    breaks.extend(copies.into_iter().filter(|(_, n)| *n > 1).map(|(seq, _)| Break::Twice(seq)));
    archived.sort_by_key(|archived| archived.entry.seq);
    archived.dedup_by_key(|archived| archived.entry.seq);
    (archived, breaks)
}

/// The places of a longest strictly ascending run of numbers, found from its end.
fn longest_run(archived: &[ArchivedEntry]) -> HashSet<usize> {
    let seq = |place: usize| archived[place].entry.seq;
    // The beginning, with the greatest number, of a run of each length; and what follows each place.
    let mut begins: Vec<usize> = Vec::new();
    let mut after = vec![None; archived.len()];
    for place in (0..archived.len()).rev() {
        let len = begins.partition_point(|begin| seq(*begin) > seq(place));
        after[place] = len.checked_sub(1).map(|len| begins[len]);
        if len == begins.len() {
            begins.push(place);
        } else {
            begins[len] = place;
        }
    }
    std::iter::successors(begins.last().copied(), |place| after[*place]).collect()
}

struct Walk<'a> {
    entries: &'a [ArchivedEntry],
    covered: Option<LogHead>,
    breaks: Vec<Break>,
}

impl Walk<'_> {
    /// Follows the hashes from entry to entry.
    fn links(&mut self) {
        let mut at = 0;
        let mut shift = 0;
        let mut expected = Seq(0);
        let mut hash = Some(EntryHash::ZERO);
        while let Some(next) = self.entries.get(at) {
            let seq = next.entry.seq;
            if seq > expected {
                self.breaks.push(Break::Missing(expected, Seq(seq.0 - 1)));
                hash = None;
            }
            expected = seq.next();
            if let Some(before) = hash.filter(|before| *before != next.prev) {
                if let Some(last) = self.moved_until(at, before) {
                    at = last + 1;
                    expected = self.entries[last].entry.seq.next();
                    hash = self.entries.get(at).map(|rejoined| rejoined.prev);
                    continue;
                }
                match self.renumbered_by(at, shift) {
                    Some(by) => {
                        let first = seq.0 + shift;
                        self.breaks.push(Break::Renumbered(Seq(first), Seq(first + by - 1)));
                        shift += by;
                    }
                    None if self.link_alone(at, before) => self.breaks.push(Break::Link(seq)),
                    None if seq.0 == 0 => self.breaks.push(Break::Link(seq)),
                    None => self.breaks.push(Break::Changed(Seq(seq.0 - 1))),
                }
            }
            hash = Some(self.hash_as(at, next.prev, Seq(seq.0 + shift)));
            if self.breaks.last() == Some(&Break::Link(seq)) {
                hash = self.entries.get(at + 1).map(|next| next.prev);
            }
            self.check_head(at, hash);
            at += 1;
        }
    }

    /// Compares the hash of the last covered entry with the checkpoint's.
    fn check_head(&mut self, at: usize, hash: Option<EntryHash>) {
        let seq = self.entries[at].entry.seq;
        let (Some(covered), Some(hash)) = (self.covered, hash) else { return };
        if seq.0 + 1 != covered.size || hash == covered.hash {
            return;
        }
        // Without another break either this entry alone was changed, or all hashes were made anew; only a
        // later entry that names this one could tell, and there is none.
        self.breaks.push(if self.breaks.is_empty() {
            Break::Head(seq)
        } else {
            Break::Changed(seq)
        });
    }

    fn hash_as(&self, at: usize, prev: EntryHash, seq: Seq) -> EntryHash {
        let entry = &self.entries[at].entry;
        let mut link = entry.link(prev);
        link.seq = seq;
        link.hash(entry.core())
    }

    /// What stands for the hash of the entry at this place: the next one's `prev`, or the checkpoint's head.
    fn witness(&self, at: usize) -> Option<EntryHash> {
        match self.entries.get(at + 1) {
            Some(next) => Some(next.prev),
            None => {
                self.covered.filter(|c| c.size == self.entries[at].entry.seq.0 + 1).map(|c| c.hash)
            }
        }
    }

    /// Whether only the `prev` of the entry at this place was changed.
    fn link_alone(&self, at: usize, before: EntryHash) -> bool {
        let seq = self.entries[at].entry.seq;
        self.witness(at) == Some(self.hash_as(at, before, seq))
    }

    /// By how much the entries from this place on were renumbered, if they were.
    fn renumbered_by(&self, at: usize, shift: u64) -> Option<u64> {
        let next = self.entries.get(at + 1)?;
        let entry = &self.entries[at];
        (1..=REACH).find(|by| {
            self.hash_as(at, entry.prev, Seq(entry.entry.seq.0 + shift + by)) == next.prev
        })
    }

    /// Whether the entries from this place on only changed places, numbers included; names them and
    /// gives the last of them.
    fn moved_until(&mut self, from: usize, before: EntryHash) -> Option<usize> {
        let end = self.entries.len().min(from + REACH as usize);
        let mut hash = before;
        let mut moved = Vec::new();
        for at in from..end {
            if at > from && self.entries[at].prev == hash && moved.len() > 1 {
                self.breaks.extend(moved.into_iter().map(Break::Moved));
                return Some(at - 1);
            }
            let belongs = (from..end).find(|other| self.entries[*other].prev == hash)?;
            let seq = self.entries[at].entry.seq;
            if belongs != at {
                moved.push(seq);
            }
            hash = self.hash_as(belongs, hash, seq);
        }
        let at_end = end == self.entries.len() && moved.len() > 1;
        let fits = self.covered.is_none_or(|covered| covered.hash == hash);
        if at_end && fits {
            self.breaks.extend(moved.into_iter().map(Break::Moved));
            return Some(end - 1);
        }
        None
    }

    fn clocks(&mut self) {
        for pair in self.entries.windows(2) {
            let (before, after) = (&pair[0].entry, &pair[1].entry);
            if after.t_ms < before.t_ms {
                self.breaks.push(Break::Time(after.seq));
            }
            if after.co < before.co {
                self.breaks.push(Break::CompanySize(after.seq));
            }
        }
    }

    /// Reads each head: whose entry it is, and whether its payload may be missing. Those of records may,
    /// since an export leaves out what is not of its scope.
    fn heads(&mut self, log: LogId) {
        let mut absent = Vec::new();
        let mut erased = Vec::new();
        for ArchivedEntry { entry, .. } in self.entries {
            let head = match Head::parse(&entry.head) {
                Ok(head) if head.log == log => head,
                _ => {
                    self.breaks.push(Break::Foreign(entry.seq));
                    continue;
                }
            };
            match &entry.payload {
                Payload::Absent { .. } if head.kind != Kind::Record => absent.push(entry.seq),
                Payload::Kept(payload) if head.kind == Kind::Erase => {
                    let body = parse_unsigned(payload).and_then(|body| decode::<EraseBody>(&body));
                    erased.extend(body.into_iter().flat_map(|body| body.ranges));
                }
                _ => {}
            }
        }
        let kept = |seq: &Seq| !erased.iter().any(|(from, to)| (from..=to).contains(&seq));
        self.breaks.extend(absent.into_iter().filter(kept).map(Break::PayloadMissing));
    }
}

#[cfg(test)]
pub(super) mod tests;
