//! One log's chain: which entries are missing, changed, moved or cut off.
//!
//! An export carries each entry with the hash of the one before it, so that a break can be laid at
//! the door of the entry that caused it and not only at the first place that no longer fits. Whoever
//! rebuilds all later hashes as well ends at another head than the checkpoint's.

use std::fmt;

use hauspost_protocol::entry::{ArchivedEntry, Entry};
use hauspost_protocol::ids::{EntryHash, Seq};

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
            | Self::CompanySize(seq) => *seq,
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
        }
    }
}

/// What a checkpoint says of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// How many entries it covers.
    pub size: u64,
    /// The hash of the last of them.
    pub head: EntryHash,
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

/// Walks a log's entries as they stand in the file.
pub fn walk(archived: Vec<ArchivedEntry>, covered: Option<Covered>) -> Walked {
    let (archived, mut breaks) = in_order(archived);
    let mut walk = Walk { entries: &archived, covered, breaks: Vec::new() };
    walk.links();
    walk.clocks();
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

/// The entries sorted by number, each once, and what that shows.
fn in_order(mut archived: Vec<ArchivedEntry>) -> (Vec<ArchivedEntry>, Vec<Break>) {
    let mut breaks = Vec::new();
    let mut newest = None;
    for entry in &archived {
        let seq = entry.entry.seq;
        if newest.is_some_and(|newest| seq < newest) {
            breaks.push(Break::Moved(seq));
        }
        newest = newest.max(Some(seq));
    }
    archived.sort_by_key(|archived| archived.entry.seq);
    for pair in archived.windows(2) {
        if pair[0].entry.seq == pair[1].entry.seq {
            breaks.push(Break::Twice(pair[0].entry.seq));
        }
    }
    archived.dedup_by_key(|archived| archived.entry.seq);
    let twice: Vec<_> =
        breaks.iter().filter(|b| matches!(b, Break::Twice(_))).map(Break::seq).collect();
    breaks.retain(|b| !matches!(b, Break::Moved(seq) if twice.contains(seq)));
    (archived, breaks)
}

struct Walk<'a> {
    entries: &'a [ArchivedEntry],
    covered: Option<Covered>,
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
        if seq.0 + 1 != covered.size || hash == covered.head {
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
                self.covered.filter(|c| c.size == self.entries[at].entry.seq.0 + 1).map(|c| c.head)
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
        let fits = self.covered.is_none_or(|covered| covered.head == hash);
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::export::tests::chain;
    use hauspost_protocol::encoding::Bytes;
    use hauspost_protocol::entry::Payload;
    use hauspost_protocol::ids::LogId;

    const LOG: LogId = LogId([7; 16]);

    fn covered(entries: &[ArchivedEntry]) -> Option<Covered> {
        let last = entries.last()?;
        Some(Covered { size: last.entry.seq.0 + 1, head: last.entry.hash(last.prev) })
    }

    /// The breaks that a change of an honest chain of ten entries leads to.
    fn breaks(change: impl FnOnce(&mut Vec<ArchivedEntry>)) -> Vec<Break> {
        let mut entries = chain(LOG, 10);
        let covered = covered(&entries);
        change(&mut entries);
        walk(entries, covered).breaks
    }

    fn rebuild(entries: &mut [ArchivedEntry], from: usize) {
        for at in from.max(1)..entries.len() {
            entries[at].prev = entries[at - 1].entry.hash(entries[at - 1].prev);
        }
    }

    #[test]
    fn an_honest_chain_has_no_break() {
        assert_eq!(breaks(|_| ()), []);
        assert_eq!(walk(chain(LOG, 10), None).uncovered, 10);
    }

    #[test]
    fn a_removed_entry_is_named_also_when_the_rest_is_renumbered() {
        for at in [0, 4, 8] {
            let seq = Seq(at as u64);
            assert_eq!(breaks(|entries| drop(entries.remove(at))), [Break::Missing(seq, seq)]);
        }
        let renumber = |entries: &mut Vec<ArchivedEntry>| {
            entries.remove(4);
            entries.iter_mut().skip(4).for_each(|archived| archived.entry.seq.0 -= 1);
        };
        let found = breaks(renumber);
        assert_eq!(found[0], Break::Renumbered(Seq(4), Seq(4)));
        assert_eq!(found.last(), Some(&Break::Cut(Seq(9), Seq(9))));
    }

    #[test]
    fn a_changed_entry_is_named_whatever_of_it_changed() {
        for at in [0, 4, 8] {
            let seq = Seq(at as u64);
            let payload = breaks(|e| e[at].entry.payload = Payload::Kept(Bytes(vec![1; 8])));
            assert_eq!(payload, [Break::Changed(seq)]);
            let company = breaks(|e| e[at].entry.head = Bytes(vec![0x80]));
            assert_eq!(company, [Break::Changed(seq)]);
        }
        assert_eq!(breaks(|e| e[4].entry.t_ms += 1), [Break::Changed(Seq(4))]);
        let last = breaks(|e| e[9].entry.payload = Payload::Kept(Bytes(vec![1; 8])));
        assert_eq!(last, [Break::Head(Seq(9))]);
    }

    #[test]
    fn a_forged_link_is_named_and_its_neighbours_are_not() {
        for at in [0, 1, 4, 9] {
            let seq = Seq(at as u64);
            assert_eq!(breaks(|e| e[at].prev = EntryHash([5; 32])), [Break::Link(seq)], "{at}");
        }
    }

    #[test]
    fn reordered_entries_are_named_with_and_without_new_numbers() {
        assert_eq!(breaks(|e| e.swap(4, 5)), [Break::Moved(Seq(4))]);
        let renumbered = breaks(|e| {
            e.swap(4, 5);
            (e[4].entry.seq, e[5].entry.seq) = (Seq(4), Seq(5));
        });
        assert!(
            renumbered.contains(&Break::Moved(Seq(4)))
                && renumbered.contains(&Break::Moved(Seq(5)))
        );
        assert!(
            renumbered.iter().all(|b| matches!(b, Break::Moved(_) | Break::Time(_))),
            "{renumbered:?}"
        );
        let at_the_end = breaks(|e| {
            e.swap(8, 9);
            (e[8].entry.seq, e[9].entry.seq) = (Seq(8), Seq(9));
        });
        assert!(
            at_the_end.contains(&Break::Moved(Seq(8)))
                && at_the_end.contains(&Break::Moved(Seq(9)))
        );
    }

    #[test]
    fn a_cut_tail_is_named() {
        assert_eq!(breaks(|e| e.truncate(7)), [Break::Cut(Seq(7), Seq(9))]);
        assert_eq!(breaks(Vec::clear), [Break::Cut(Seq(0), Seq(9))]);
    }

    #[test]
    fn a_chain_made_anew_does_not_end_at_the_checkpoint() {
        let found = breaks(|e| {
            e[4].entry.payload = Payload::Kept(Bytes(vec![1; 8]));
            rebuild(e, 5);
        });
        assert_eq!(found, [Break::Head(Seq(9))]);
    }

    #[test]
    fn an_entry_that_is_there_twice_is_named() {
        assert_eq!(breaks(|e| e.insert(5, e[4].clone())), [Break::Twice(Seq(4))]);
    }

    #[test]
    fn what_a_checkpoint_does_not_cover_is_counted_and_not_blamed() {
        let entries = chain(LOG, 10);
        let walked = walk(entries.clone(), covered(&entries[..6]));
        assert_eq!((walked.breaks.as_slice(), walked.uncovered), (&[][..], 4));
    }
}
