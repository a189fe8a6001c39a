use super::*;
use crate::encoding::Bytes;
use crate::entry::{ArchivedEntry, Bone, Payload};
use crate::tree::chain::tests::{LOG, chain, head_of, rebuild};
use crate::tree::merkle::Tree;

const COMPANY: LogId = LogId([0xc0; 16]);

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
    assert_eq!(found_in(&pair(1, &chain(10))), []);
    let honest = chain(10);
    let first = of_heads(1, (None, 0), Some(head_of(&honest, 10)), &honest);
    assert_eq!(found_in(&first), []);
}

#[test]
fn an_entry_judged_by_an_older_company_log_than_was_signed_is_named() {
    let mut entries = chain(10);
    entries.iter_mut().skip(8).for_each(|entry| entry.entry.co = 5);
    rebuild(&mut entries, 8);
    let old = |seq| What::OldCompany { seq: Seq(seq), co: 1, signed: 5 };
    let expected: Vec<_> = [6, 7].into_iter().flat_map(|seq| of_log(old(seq))).collect();
    assert_eq!(found_in(&pair(5, &entries)), expected);
}

#[test]
fn a_backdated_entry_is_named() {
    // Five seconds before the first checkpoint is still its interval.
    let honest = chain(10);
    let (old, new) = (head_of(&honest, 6), head_of(&honest, 10));
    let late = of_heads(1, (Some(old), 12_001), Some(new), &honest[6..]);
    let what = [6, 7].map(|seq| What::Time { seq: Seq(seq), t_ms: 1_000 * seq });
    let expected: Vec<_> = what.into_iter().flat_map(of_log).collect();
    assert_eq!(found_in(&late), expected);
}

#[test]
fn a_fork_between_two_checkpoints_is_named() {
    let honest = chain(10);
    // The chain after the older checkpoint does not continue the older head.
    let mut forked = chain(10);
    forked[3].entry.payload = Payload::Kept(Bytes(vec![99; 9]));
    rebuild(&mut forked, 3);
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
    let mut outer = pair(1, &chain(10));
    outer.consistency[0].0[0] ^= 1;
    assert_eq!(found_in(&outer), company(What::Outer(ProofError::Root)));
    let mut heads = pair(1, &chain(10));
    heads.new.heads[1].log = None;
    assert_eq!(found_in(&heads), company(What::Heads));
    let mut swapped = pair(1, &chain(10));
    swapped.new.heads.swap(0, 1);
    swapped.new.outer.heads_root = heads_tree(&swapped.new.heads).root();
    assert_eq!(found_in(&swapped), company(What::Heads));
}
