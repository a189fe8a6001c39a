use super::*;
use crate::encoding::{Bytes, encode};
use crate::entry::{Bone, Entry};
use crate::ids::{Epoch, Gen};
use crate::tree::merkle::Tree;

const LOG: LogId = LogId([7; 16]);
const COMPANY: LogId = LogId([0xc0; 16]);

fn log(count: u64) -> Vec<ArchivedEntry> {
    let mut prev = EntryHash::ZERO;
    (0..count)
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

fn head_of(entries: &[ArchivedEntry], size: u64) -> LogHead {
    let last = &entries[size as usize - 1];
    LogHead { log: LOG, size, hash: last.entry.hash(last.prev) }
}

fn rebuilt_from(entries: &mut [ArchivedEntry], from: usize) {
    for i in from.max(1)..entries.len() {
        entries[i].prev = entries[i - 1].entry.hash(entries[i - 1].prev);
    }
}

fn found(entries: &[ArchivedEntry]) -> Vec<What> {
    let honest = log(10);
    let findings = examine_log(LOG, entries, &[head_of(&honest, 10)]);
    findings.into_iter().map(|finding| finding.what).collect()
}

#[test]
fn an_honest_log_has_no_findings_also_when_it_went_on() {
    assert_eq!(found(&log(10)), []);
    assert_eq!(found(&log(13)), []);
}

#[test]
fn a_removed_entry_is_named() {
    for seq in 0..9 {
        let mut entries = log(10);
        entries.remove(seq as usize);
        assert_eq!(found(&entries), [What::Missing { from: Seq(seq), to: Seq(seq) }]);
    }
}

#[test]
fn a_cut_off_tail_is_named() {
    for have in 0..10 {
        let entries = log(have);
        assert_eq!(found(&entries), [What::CutOff { have, size: 10 }]);
    }
}

#[test]
fn a_changed_payload_time_or_size_is_named() {
    for seq in 0..9 {
        let named = [What::Changed { from: Seq(seq), to: Seq(seq) }];
        let mut entries = log(10);
        entries[seq as usize].entry.payload = Payload::Kept(Bytes(vec![99; 9]));
        assert_eq!(found(&entries), named);
        let mut entries = log(10);
        entries[seq as usize].entry.t_ms += 1;
        assert_eq!(found(&entries), named);
    }
    // Nothing follows the last one but the checkpoint, which cannot tell it from a rebuilt chain.
    let mut entries = log(10);
    entries[9].entry.payload = Payload::Kept(Bytes(vec![99; 9]));
    assert_eq!(found(&entries), [What::Rebuilt { from: Seq(0), to: Seq(9) }]);
    let honest = log(10);
    let heads = [head_of(&honest, 9), head_of(&honest, 10)];
    let findings = examine_log(LOG, &entries, &heads);
    assert_eq!(findings[0].what, What::Rebuilt { from: Seq(9), to: Seq(9) });
    // A changed link points at two entries, one of which is to blame.
    let mut entries = log(10);
    entries[4].prev = EntryHash([1; 32]);
    assert_eq!(found(&entries), [What::Changed { from: Seq(3), to: Seq(4) }]);
}

#[test]
fn a_reordered_entry_is_named_and_not_those_that_it_passed() {
    let mut entries = log(10);
    let moved = entries.remove(2);
    entries.insert(7, moved);
    assert_eq!(found(&entries), [What::Reordered { seq: Seq(2) }]);
    let mut entries = log(10);
    let moved = entries.remove(7);
    entries.insert(2, moved);
    assert_eq!(found(&entries), [What::Reordered { seq: Seq(7) }]);
    // Two neighbours that changed places and numbers are two changed entries.
    let mut entries = log(10);
    let (a, b) = (entries[4].entry.payload.clone(), entries[5].entry.payload.clone());
    (entries[4].entry.payload, entries[5].entry.payload) = (b, a);
    assert_eq!(found(&entries), [What::Changed { from: Seq(4), to: Seq(5) }]);
}

#[test]
fn an_entry_that_stands_twice_is_named() {
    let mut entries = log(10);
    let copy = entries[3].clone();
    entries.insert(8, copy);
    assert_eq!(found(&entries), [What::Twice { seq: Seq(3) }]);
}

#[test]
fn a_rebuilt_chain_is_found_between_the_checkpoints_around_it() {
    let honest = log(10);
    let mut entries = log(10);
    entries[5].entry.payload = Payload::Kept(Bytes(vec![99; 9]));
    rebuilt_from(&mut entries, 5);
    let heads = [3, 8, 10].map(|size| head_of(&honest, size));
    let findings = examine_log(LOG, &entries, &heads);
    let what = What::Rebuilt { from: Seq(3), to: Seq(7) };
    assert_eq!(findings, [Finding { log: LOG, what }]);
    // A removed entry with all numbers after it moved up is one short of the checkpoint.
    let mut entries = log(10);
    entries.remove(5);
    for (i, entry) in entries.iter_mut().enumerate() {
        entry.entry.seq = Seq(i as u64);
    }
    rebuilt_from(&mut entries, 5);
    let findings = examine_log(LOG, &entries, &heads);
    assert_eq!(findings[0].what, What::Rebuilt { from: Seq(3), to: Seq(7) });
    assert_eq!(findings[1].what, What::CutOff { have: 9, size: 10 });
}

#[test]
fn a_foreign_entry_and_a_time_that_goes_back_are_named() {
    let findings = examine_log(COMPANY, &log(2), &[]);
    assert_eq!(findings.len(), 2);
    assert_eq!(findings[0], Finding { log: COMPANY, what: What::Foreign { seq: Seq(0) } });
    let mut entries = log(10);
    entries[6].entry.t_ms = 1;
    rebuilt_from(&mut entries, 6);
    let heads = [head_of(&entries, 10)];
    let findings = examine_log(LOG, &entries, &heads);
    assert_eq!(findings, [Finding { log: LOG, what: What::Back { seq: Seq(6) } }]);
}

#[test]
fn a_missing_payload_is_a_finding_unless_an_erase_entry_accounts_for_it() {
    let mut entries = log(10);
    for i in [3, 4] {
        let (hash, len) = entries[i].entry.payload.facts();
        entries[i].entry.payload = Payload::Absent { hash, len };
    }
    let missing = |seq| What::PayloadMissing { seq: Seq(seq) };
    assert_eq!(found(&entries), [missing(3), missing(4)]);
    let body = EraseBody {
        company_seq: Seq(1),
        position: 0,
        path: Vec::new(),
        ranges: vec![(Seq(2), Seq(3))],
    };
    entries[9].entry.head = encode(&Head::plain(Kind::Erase, LOG, Gen(0), Epoch(1))).into();
    entries[9].entry.payload = Payload::Kept(Bytes(crate::body::unsigned_payload(encode(&body))));
    let findings = examine_log(LOG, &entries, &[head_of(&entries, 10)]);
    assert_eq!(findings, [Finding { log: LOG, what: missing(4) }]);
}

/// Two checkpoints: the company log with 5 and 6 entries, the log with `old` and `new`.
struct Pair {
    old: Snapshot,
    new: Snapshot,
    consistency: Vec<Digest>,
    stretches: HashMap<LogId, Skeleton>,
}

fn snapshot(company_size: u64, log: Option<LogHead>, t_ms: TimeMs, outer: &mut Tree) -> Snapshot {
    let company = LogHead { log: COMPANY, size: company_size, hash: EntryHash([5; 32]) };
    let heads = vec![
        HeadsLeaf { log_no: LogNo(0), log: Some(company) },
        HeadsLeaf { log_no: LogNo(1), log },
    ];
    let heads_root = heads_tree(&heads).root();
    let leaf = OuterLeaf { t_ms, logs: 2, heads_root, durable: None };
    outer.push(leaf.leaf_hash());
    let tree = TreeHead { era: 0, size: outer.size(), root: outer.root() };
    Snapshot { company_log: COMPANY, tree, outer: leaf, heads }
}

fn skeleton(entries: &[ArchivedEntry]) -> Skeleton {
    let bones = entries.iter().map(|ArchivedEntry { entry, .. }| Bone {
        seq: entry.seq,
        t_ms: entry.t_ms,
        co: entry.co,
        core: entry.core(),
    });
    Skeleton { prev: entries[0].prev, bones: bones.collect() }
}

fn pair(company_size: u64, entries: &[ArchivedEntry]) -> Pair {
    let (old, new) = (Some(head_of(entries, 6)), Some(head_of(entries, 10)));
    of_heads(company_size, (old, 5_500), new, &entries[6..])
}

fn of_heads(
    company_size: u64,
    (old, old_t_ms): (Option<LogHead>, TimeMs),
    new: Option<LogHead>,
    stretch: &[ArchivedEntry],
) -> Pair {
    let mut outer = Tree::default();
    let old = snapshot(company_size, old, old_t_ms, &mut outer);
    let new = snapshot(company_size, new, 9_000, &mut outer);
    let consistency = outer.consistency(1).unwrap();
    Pair { old, new, consistency, stretches: HashMap::from([(LOG, skeleton(stretch))]) }
}

fn found_in(pair: &Pair) -> Vec<Finding> {
    examine_pair(&pair.old, &pair.new, &pair.consistency, &pair.stretches)
}

fn of_log(what: What) -> Vec<Finding> {
    vec![Finding { log: LOG, what }]
}

#[test]
fn two_honest_checkpoints_tell_one_history() {
    assert_eq!(found_in(&pair(1, &log(10))), []);
    let honest = log(10);
    let first = of_heads(1, (None, 0), Some(head_of(&honest, 10)), &honest);
    assert_eq!(found_in(&first), []);
}

#[test]
fn an_entry_judged_by_an_older_company_log_than_was_signed_is_named() {
    let mut entries = log(10);
    entries.iter_mut().skip(8).for_each(|entry| entry.entry.co = 5);
    rebuilt_from(&mut entries, 8);
    let old = |seq| What::OldCompany { seq: Seq(seq), co: 1, signed: 5 };
    let expected: Vec<_> = [6, 7].into_iter().flat_map(|seq| of_log(old(seq))).collect();
    assert_eq!(found_in(&pair(5, &entries)), expected);
}

#[test]
fn a_backdated_entry_is_named() {
    // Five seconds before the first checkpoint is still its interval.
    let honest = log(10);
    let (old, new) = (head_of(&honest, 6), head_of(&honest, 10));
    let late = of_heads(1, (Some(old), 12_001), Some(new), &honest[6..]);
    let what = [6, 7].map(|seq| What::Time { seq: Seq(seq), t_ms: 1_000 * seq });
    let expected: Vec<_> = what.into_iter().flat_map(of_log).collect();
    assert_eq!(found_in(&late), expected);
}

#[test]
fn a_fork_between_two_checkpoints_is_named() {
    let honest = log(10);
    // The chain after the older checkpoint does not continue the older head.
    let mut forked = log(10);
    forked[3].entry.payload = Payload::Kept(Bytes(vec![99; 9]));
    rebuilt_from(&mut forked, 3);
    let (old, new) = (Some(head_of(&honest, 6)), Some(head_of(&forked, 10)));
    let fork = of_heads(1, (old, 5_500), new, &forked[6..]);
    assert_eq!(found_in(&fork), of_log(What::Stretch { from: Seq(6) }));

    let mut none = pair(1, &honest);
    none.stretches.clear();
    assert_eq!(found_in(&none), of_log(What::Stretch { from: Seq(6) }));
    let mut hole = pair(1, &honest);
    hole.stretches.get_mut(&LOG).unwrap().bones.remove(1);
    assert_eq!(found_in(&hole), of_log(What::Stretch { from: Seq(8) }));

    let (short, long) = (Some(head_of(&honest, 6)), Some(head_of(&honest, 10)));
    let shrunk = of_heads(1, (long, 9_000), short, &honest);
    assert_eq!(found_in(&shrunk), of_log(What::Shrunk { old: 10, new: 6 }));
    let gone = of_heads(1, (long, 9_000), None, &honest);
    assert_eq!(found_in(&gone), of_log(What::Gone(LogNo(1))));
}

#[test]
fn an_outer_tree_or_heads_other_than_signed_are_named() {
    let company = |what| vec![Finding { log: COMPANY, what }];
    let mut outer = pair(1, &log(10));
    outer.consistency[0].0[0] ^= 1;
    assert_eq!(found_in(&outer), company(What::Outer(ProofError::Root)));
    let mut heads = pair(1, &log(10));
    heads.new.heads[1].log = None;
    assert_eq!(found_in(&heads), company(What::Heads));
    let mut swapped = pair(1, &log(10));
    swapped.new.heads.swap(0, 1);
    swapped.new.outer.heads_root = heads_tree(&swapped.new.heads).root();
    assert_eq!(found_in(&swapped), company(What::Heads));
}
