use super::*;
use crate::encoding::{Bytes, encode};
use crate::ids::{Epoch, Gen, LeafIndex, RecordIndex};

pub(in crate::tree) const LOG: LogId = LogId([7; 16]);

/// A chain of entries without meaning, one a second.
pub(in crate::tree) fn chain(len: u64) -> Vec<ArchivedEntry> {
    let mut prev = EntryHash::ZERO;
    (0..len)
        .map(|seq| {
            let head = encode(&Head::plain(Kind::Invite, LOG, Gen(0), Epoch(1))).into();
            let payload = Payload::Kept(Bytes(vec![seq as u8; 9]));
            let entry = Entry { head, payload, seq: Seq(seq), t_ms: 1_000 * seq, co: 1 };
            let archived = ArchivedEntry { prev, entry };
            prev = archived.entry.hash(prev);
            archived
        })
        .collect()
}

/// The head that a checkpoint signed when the chain had `size` entries.
pub(in crate::tree) fn head_of(entries: &[ArchivedEntry], size: u64) -> LogHead {
    let last = &entries[size as usize - 1];
    LogHead { log: LOG, size, hash: last.entry.hash(last.prev) }
}

/// Makes all links from this entry on anew.
pub(in crate::tree) fn rebuild(entries: &mut [ArchivedEntry], from: usize) {
    for at in from.max(1)..entries.len() {
        entries[at].prev = entries[at - 1].entry.hash(entries[at - 1].prev);
    }
}

/// The breaks that a change of an honest chain of ten entries leads to.
fn breaks(change: impl FnOnce(&mut Vec<ArchivedEntry>)) -> Vec<Break> {
    let mut entries = chain(10);
    let covered = head_of(&entries, 10);
    change(&mut entries);
    walk(LOG, entries, Some(covered)).breaks
}

#[test]
fn an_honest_chain_has_no_break() {
    assert_eq!(breaks(|_| ()), []);
    assert_eq!(walk(LOG, chain(10), None).uncovered, 10);
}

#[test]
fn a_removed_entry_is_named_also_when_the_rest_is_renumbered() {
    for at in 0..9 {
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
    for at in 0..9 {
        let seq = Seq(at as u64);
        let payload = breaks(|e| e[at].entry.payload = Payload::Kept(Bytes(vec![1; 8])));
        assert_eq!(payload, [Break::Changed(seq)]);
        let head = breaks(|e| e[at].entry.head = Bytes(vec![0x80]));
        assert_eq!(head, [Break::Changed(seq), Break::Foreign(seq)]);
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
    // One that was moved far is named, and not those that it passed.
    let backwards = breaks(|e| {
        let moved = e.remove(2);
        e.insert(7, moved);
    });
    assert_eq!(backwards, [Break::Moved(Seq(2))]);
    let forwards = breaks(|e| {
        let moved = e.remove(7);
        e.insert(2, moved);
    });
    assert_eq!(forwards, [Break::Moved(Seq(7))]);
    let renumbered = breaks(|e| {
        e.swap(4, 5);
        (e[4].entry.seq, e[5].entry.seq) = (Seq(4), Seq(5));
    });
    assert!(
        renumbered.contains(&Break::Moved(Seq(4))) && renumbered.contains(&Break::Moved(Seq(5)))
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
        at_the_end.contains(&Break::Moved(Seq(8))) && at_the_end.contains(&Break::Moved(Seq(9)))
    );
}

#[test]
fn a_cut_tail_is_named() {
    for have in 0..10 {
        let cut = breaks(|e| e.truncate(have));
        assert_eq!(cut, [Break::Cut(Seq(have as u64), Seq(9))]);
    }
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
    for place in [0, 4, 5, 8] {
        assert_eq!(breaks(|e| e.insert(place, e[4].clone())), [Break::Twice(Seq(4))], "{place}");
    }
}

#[test]
fn what_a_checkpoint_does_not_cover_is_counted_and_not_blamed() {
    let entries = chain(10);
    let covered = head_of(&entries, 6);
    let walked = walk(LOG, entries, Some(covered));
    assert_eq!((walked.breaks.as_slice(), walked.uncovered), (&[][..], 4));
}

#[test]
fn a_foreign_entry_and_a_clock_that_goes_back_are_named() {
    let walked = walk(LogId([8; 16]), chain(2), None);
    assert_eq!(walked.breaks, [Break::Foreign(Seq(0)), Break::Foreign(Seq(1))]);
    let went_back = |change: fn(&mut Entry)| {
        let mut entries = chain(10);
        change(&mut entries[6].entry);
        rebuild(&mut entries, 6);
        let covered = head_of(&entries, 10);
        walk(LOG, entries, Some(covered)).breaks
    };
    assert_eq!(went_back(|entry| entry.t_ms = 1), [Break::Time(Seq(6))]);
    assert_eq!(went_back(|entry| entry.co = 0), [Break::CompanySize(Seq(6))]);
}

#[test]
fn a_missing_payload_is_a_break_unless_it_is_a_records_or_an_erasure_names_it() {
    let mut entries = chain(10);
    for at in [3, 4] {
        let (hash, len) = entries[at].entry.payload.facts();
        entries[at].entry.payload = Payload::Absent { hash, len };
    }
    let breaks =
        |entries: &[ArchivedEntry]| walk(LOG, entries.to_vec(), Some(head_of(entries, 10))).breaks;
    let missing = |seq| Break::PayloadMissing(Seq(seq));
    assert_eq!(breaks(&entries), [missing(3), missing(4)]);
    let body = EraseBody {
        company_seq: Seq(1),
        position: 0,
        path: Vec::new(),
        ranges: vec![(Seq(2), Seq(3))],
    };
    entries[9].entry.head = encode(&Head::plain(Kind::Erase, LOG, Gen(0), Epoch(1))).into();
    entries[9].entry.payload = Payload::Kept(Bytes(crate::body::unsigned_payload(encode(&body))));
    assert_eq!(breaks(&entries), [missing(4)]);
    let slot = crate::entry::Slot { leaf: LeafIndex(0), index: RecordIndex(0), cap: Seq(0) };
    let record = Head { slot: Some(slot), ..Head::plain(Kind::Record, LOG, Gen(0), Epoch(1)) };
    entries[4].entry.head = encode(&record).into();
    rebuild(&mut entries, 5);
    assert_eq!(breaks(&entries), []);
}
