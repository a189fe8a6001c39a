use super::*;
use crate::company::body::WitnessEntry;
use crate::company::fixture::{COMPANY, Founded};
use crate::crypto::Secret;
use crate::ids::Seq;
use crate::tree::checkpoint::{CosigningKey, LogSigner};
use crate::tree::merkle::{self, Tree, leaf_hash};

fn signer() -> LogSigner {
    LogSigner::from_seeds(Secret::new([1; 32]), Secret::new([2; 32]))
}

fn watched() -> Watched {
    let (ed25519, ml_dsa) = signer().public();
    Watched { company: COMPANY, era: 0, key: LogKey { ed25519, ml_dsa, entered: Seq(3) } }
}

/// A tree of so many leaves; `history` tells one history from another.
fn tree(size: u8, history: u8) -> Tree {
    Tree::new((0..size).map(|leaf| leaf_hash(&[leaf, if leaf < 3 { 0 } else { history }])))
}

fn head(tree: &Tree) -> TreeHead {
    TreeHead { era: 0, size: tree.size(), root: tree.root() }
}

fn ask(tree: &Tree, old: u64) -> AddCheckpoint {
    let proof = if old == 0 { Vec::new() } else { tree.consistency(old).unwrap() };
    AddCheckpoint { old, proof, note: signer().sign(COMPANY, &head(tree), 9) }
}

#[test]
fn a_tree_that_grew_is_cosigned_and_the_same_one_again() {
    let (five, nine) = (tree(5, 1), tree(9, 1));
    assert_eq!(judge(&ask(&five, 0), &watched(), None), Ok(head(&five)));
    let last = Some(head(&five));
    assert_eq!(judge(&ask(&nine, 5), &watched(), last), Ok(head(&nine)));
    assert_eq!(judge(&ask(&five, 5), &watched(), last), Ok(head(&five)), "an answer was lost");
}

#[test]
fn each_refusal_has_the_status_that_the_standard_names() {
    let (five, nine) = (tree(5, 1), tree(9, 1));
    let last = Some(head(&five));
    let refused = |request: &AddCheckpoint, last| {
        let refused = judge(request, &watched(), last).unwrap_err();
        (refused, refused.status())
    };
    // A roll-back, and a request that does not know what was cosigned, get the size.
    assert_eq!(refused(&ask(&tree(3, 1), 3), last), (Refused::Conflict(5), 409));
    assert_eq!(refused(&ask(&nine, 0), last), (Refused::Conflict(5), 409));
    assert_eq!(refused(&ask(&nine, 5), None), (Refused::Conflict(0), 409));
    // Two histories: of the same size, and of a larger one.
    assert_eq!(refused(&ask(&tree(5, 2), 5), last), (Refused::Fork(5), 409));
    assert_eq!(refused(&ask(&tree(9, 2), 5), last), (Refused::Proof, 422));
    let unproven = AddCheckpoint { proof: Vec::new(), ..ask(&nine, 5) };
    assert_eq!(refused(&unproven, last), (Refused::Proof, 422));
    let above = AddCheckpoint { old: 10, ..ask(&nine, 0) };
    assert_eq!(refused(&above, last), (Refused::OldAbove, 400));
    assert_eq!(refused(&ask(&tree(0, 1), 0), None), (Refused::Proof, 422));

    let stranger = LogSigner::from_seeds(Secret::new([8; 32]), Secret::new([9; 32]));
    let note = stranger.sign(COMPANY, &head(&nine), 9);
    let forged = AddCheckpoint { note, ..ask(&nine, 5) };
    assert_eq!(refused(&forged, last), (Refused::Signature, 403));
    let era = TreeHead { era: 1, ..head(&nine) };
    let elsewhere = AddCheckpoint { old: 0, proof: vec![], note: signer().sign(COMPANY, &era, 9) };
    assert_eq!(refused(&elsewhere, None), (Refused::Origin, 404));
    let nothing = AddCheckpoint { note: "hallo\n".into(), ..ask(&nine, 5) };
    assert_eq!(refused(&nothing, last).1, 400);
}

#[test]
fn a_request_has_one_form() {
    let request = ask(&tree(9, 1), 5);
    let text = request.to_text();
    assert!(text.starts_with("old 5\n"), "{text}");
    assert!(text.contains("\n\nhauspost/"), "{text}");
    assert_eq!(AddCheckpoint::parse(&text), Ok(request.clone()));
    let first = ask(&tree(9, 1), 0);
    assert_eq!(AddCheckpoint::parse(&first.to_text()), Ok(first));
    let proof_of_nothing = AddCheckpoint { old: 0, ..request.clone() }.to_text();
    let long = AddCheckpoint { proof: vec![Digest([1; 32]); 64], ..request }.to_text();
    for bad in [
        "",
        "old 5\n",
        &text.replace("old 5", "old 05"),
        &text.replace("old 5", "old -1"),
        &text.replace("old 5", "Old 5"),
        &text.replace("old 5\n", "old 5\nAAAA\n"),
        &proof_of_nothing,
        &long,
    ] {
        assert_eq!(AddCheckpoint::parse(bad), Err(Refused::Form), "{bad:.60}");
    }
}

#[test]
fn readers_count_a_witness_only_for_what_it_cosigned_of_this_very_tree() {
    let key = CosigningKey::from_seed(Secret::new([7; 32]));
    let name = "council.example/w";
    let mut founded = Founded::new();
    let root = founded.keys.root.clone();
    let switch = |founded: &Founded, active| WitnessEntry {
        seen: founded.seen(),
        name: name.to_owned(),
        key: key.public(),
        active,
    };
    founded.must(switch(&founded, true), &[&root]);
    let (five, nine) = (tree(5, 1), tree(9, 1));
    let cosigned = |tree: &Tree, key: &CosigningKey, time_s| {
        let note = signer().sign(COMPANY, &head(tree), 9);
        let line = key.cosign(name, COMPANY, &head(tree), time_s);
        let consistency = merkle::consistency(&nine, tree.size(), 9).unwrap();
        Witnessed { note: note + &line, consistency }
    };
    let seen = |witnessed: &[Witnessed], founded: &Founded| -> Vec<(u64, u64)> {
        let seen = seen_by(witnessed, &head(&nine), &founded.company.now());
        seen.iter().map(|seen| (seen.size, seen.time_s)).collect()
    };
    let good = cosigned(&five, &key, 77);
    assert_eq!(seen(std::slice::from_ref(&good), &founded), [(5, 77)]);
    let newer = cosigned(&tree(8, 1), &key, 99);
    assert_eq!(seen(&[newer.clone(), good.clone()], &founded), [(8, 99)]);
    assert_eq!(seen(&[good.clone(), newer], &founded), [(8, 99)]);
    // Another history, another key, no proof.
    assert_eq!(seen(&[cosigned(&tree(5, 2), &key, 77)], &founded), []);
    let stranger = CosigningKey::from_seed(Secret::new([8; 32]));
    assert_eq!(seen(&[cosigned(&five, &stranger, 77)], &founded), []);
    assert_eq!(seen(&[Witnessed { consistency: vec![], ..good.clone() }], &founded), []);
    // A witness that is none any more.
    founded.must(switch(&founded, false), &[&root]);
    assert_eq!(seen(&[good], &founded), []);
}
