//! Trees: proofs, checkpoints, and the walk along a changed log.

use arbitrary::Arbitrary;

use super::{draw, one_form};
use crate::encoding::{Bytes, decode, encode};
use crate::entry::{ArchivedEntry, Entry, Head, Kind, Payload, Skeleton};
use crate::ids::{Digest, EntryHash, Epoch, Gen, LogId, Seq};
use crate::tree::chain::walk;
use crate::tree::checkpoint::{Checkpoint, TreeHead, parse_verifier_key};
use crate::tree::heads::{HeadsLeaf, LogHead, OuterLeaf};
use crate::tree::merkle::{Tree, leaf_hash, verify_consistency, verify_inclusion};
use crate::tree::proof::{RecordProof, follow};
use crate::tree::witness::AddCheckpoint;

/// Leaves, proofs and notes from anywhere; then proofs of a true tree and a log that somebody changed.
pub fn trees(data: &[u8]) {
    one_form!(data; HeadsLeaf, OuterLeaf, RecordProof, TreeHead);
    if let Ok(skeleton) = decode::<Skeleton>(data) {
        let _ = follow(&skeleton);
    }
    if let Ok(note) = std::str::from_utf8(data) {
        let _ = Checkpoint::parse(note);
        let _ = parse_verifier_key(note);
        if let Ok(request) = AddCheckpoint::parse(note) {
            assert_eq!(AddCheckpoint::parse(&request.to_text()), Ok(request));
        }
    }
    if let Ok(entries) = decode::<Vec<ArchivedEntry>>(data) {
        let _ = walk(LOG, entries, None);
    }
    if let Some(proof) = draw::<Proof>(data) {
        proof.check();
    }
    if let Some(changes) = draw::<Changes>(data) {
        changes.check();
    }
}

/// A claim about a tree that has `size` leaves.
#[derive(Debug, Arbitrary)]
struct Proof {
    size: u8,
    place: u8,
    forged: Vec<[u8; 32]>,
    index: u64,
    of: u64,
}

impl Proof {
    fn check(self) {
        let leaf = |n: u8| leaf_hash(&[n]);
        let tree = Tree::new((0..self.size).map(leaf));
        let (size, root) = (tree.size(), tree.root());
        let place = u64::from(self.place);
        if let Ok(path) = tree.inclusion(place) {
            assert!(verify_inclusion(leaf(self.place), place, size, &path, root).is_ok());
            let other = leaf(self.place.wrapping_add(1));
            assert!(verify_inclusion(other, place, size, &path, root).is_err());
        }
        if let Ok(path) = tree.consistency(place) {
            let old = Tree::new((0..self.place).map(leaf)).root();
            assert!(verify_consistency((place, old), (size, root), &path).is_ok());
        }
        let forged: Vec<_> = self.forged.into_iter().map(Digest).collect();
        let _ = verify_inclusion(leaf(0), self.index, self.of, &forged, root);
        let _ = verify_consistency((self.index, root), (self.of, root), &forged);
    }
}

const LOG: LogId = LogId([7; 16]);

/// What somebody does to a log that a checkpoint covers.
#[derive(Debug, Arbitrary)]
struct Changes {
    len: u8,
    steps: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
enum Step {
    Remove(u8),
    Double(u8, u8),
    Exchange(u8, u8),
    Move(u8, u8),
    Cut(u8),
    Payload(u8, u8),
    Time(u8, u64),
    Company(u8, u8),
    Number(u8, u8),
    Link(u8, u8),
    /// Makes all links from here on anew.
    Rebuild(u8),
    /// Numbers all entries anew.
    Renumber,
}

impl Changes {
    /// Whatever was done, the walk ends, and it is silent only about the log that was covered.
    fn check(self) {
        let honest = chain(u64::from(self.len % 24) + 1);
        let last = honest.last().expect("at least one entry");
        let hash = last.entry.hash(last.prev);
        let covered = LogHead { log: LOG, size: honest.len() as u64, hash };
        let mut entries = honest.clone();
        for step in &self.steps {
            step.take(&mut entries);
        }
        let walked = walk(LOG, entries.clone(), Some(covered));
        if walked.breaks.is_empty() {
            assert_eq!(entries, honest, "a change that nobody named");
        }
        assert!(walked.breaks.is_sorted_by_key(crate::tree::chain::Break::seq));
        let _ = walk(LOG, entries, None);
    }
}

impl Step {
    fn take(&self, entries: &mut Vec<ArchivedEntry>) {
        let len = entries.len();
        if len == 0 {
            return;
        }
        let at = |n: u8| usize::from(n) % len;
        match *self {
            Self::Remove(n) => drop(entries.remove(at(n))),
            Self::Double(n, to) => entries.insert(at(to), entries[at(n)].clone()),
            Self::Exchange(n, m) => entries.swap(at(n), at(m)),
            Self::Move(n, to) => {
                let moved = entries.remove(at(n));
                entries.insert(at(to).min(entries.len()), moved);
            }
            Self::Cut(n) => entries.truncate(at(n)),
            Self::Payload(n, to) => {
                entries[at(n)].entry.payload = Payload::Kept(Bytes(vec![to; 9]))
            }
            Self::Time(n, to) => entries[at(n)].entry.t_ms = to >> 1,
            Self::Company(n, to) => entries[at(n)].entry.co = to.into(),
            Self::Number(n, to) => entries[at(n)].entry.seq = Seq(to.into()),
            Self::Link(n, to) => entries[at(n)].prev = EntryHash([to; 32]),
            Self::Rebuild(n) => {
                for at in at(n).max(1)..len {
                    entries[at].prev = entries[at - 1].entry.hash(entries[at - 1].prev);
                }
            }
            Self::Renumber => {
                for (n, entry) in entries.iter_mut().enumerate() {
                    entry.entry.seq = Seq(n as u64);
                }
            }
        }
    }
}

fn chain(len: u64) -> Vec<ArchivedEntry> {
    let head = encode(&Head::plain(Kind::Invite, LOG, Gen(0), Epoch(1)));
    let mut prev = EntryHash::ZERO;
    let mut entries = Vec::new();
    for seq in 0..len {
        let payload = Payload::Kept(Bytes(vec![seq as u8; 9]));
        let head = head.clone().into();
        let entry = Entry { head, payload, seq: Seq(seq), t_ms: 1_000 * seq, co: 1 };
        let archived = ArchivedEntry { prev, entry };
        prev = archived.entry.hash(prev);
        entries.push(archived);
    }
    entries
}
