use super::*;
use crate::company::body::{LogKeyEntry, RootRotation};
use crate::company::fixture::{COMPANY, Founded, key};
use crate::crypto::Secret;
use crate::encoding::encode;
use crate::entry::{Bone, Entry, Kind, Payload};
use crate::ids::{Epoch, Gen, LogNo};
use crate::tree::checkpoint::LogSigner;
use crate::tree::heads::{LogHead, heads_tree};
use crate::tree::merkle::Tree;

const LOG: LogId = LogId([7; 16]);

/// A server with a log of ten entries, and the company that believes it.
struct Stage {
    founded: Founded,
    signer: LogSigner,
    outer: Tree,
    heads: Vec<HeadsLeaf>,
    leaf: OuterLeaf,
    entries: Vec<Entry>,
}

fn stage() -> Stage {
    let signer = LogSigner::from_seeds(key(4).seed().clone(), Secret::new([2; 32]));
    let founded = Founded::with_log_key(&signer.public().1);
    let entries: Vec<_> = (0..10)
        .map(|seq| Entry {
            head: encode(&Head::plain(Kind::Invite, LOG, Gen(0), Epoch(1))).into(),
            payload: Payload::Kept(Bytes(vec![seq as u8; 9])),
            seq: Seq(seq),
            t_ms: 1_000 * seq,
            co: 1,
        })
        .collect();
    let hash = entries.iter().fold(EntryHash::ZERO, |prev, entry| entry.hash(prev));
    let company = founded.company.newest().unwrap();
    let company = LogHead { log: COMPANY.log(), size: company.seq.0 + 1, hash: company.hash };
    let heads = vec![
        HeadsLeaf { log_no: LogNo(0), log: Some(company) },
        HeadsLeaf::reserved(LogNo(1)),
        HeadsLeaf { log_no: LogNo(2), log: Some(LogHead { log: LOG, size: 10, hash }) },
    ];
    let heads_root = heads_tree(&heads).root();
    let leaf = OuterLeaf { t_ms: 9_000, logs: 3, heads_root, durable: None };
    let mut outer = Tree::new((0..6u8).map(|i| leaf_hash(&[i])));
    outer.push(leaf.leaf_hash());
    Stage { founded, signer, outer, heads, leaf, entries }
}

impl Stage {
    fn tree(&self) -> TreeHead {
        TreeHead { era: 0, size: self.outer.size(), root: self.outer.root() }
    }

    fn news(&self, before: u64) -> CheckpointNews {
        CheckpointNews {
            note: self.signer.sign(COMPANY, &self.tree(), 9),
            leaf: Bytes(encode(&self.leaf)),
            inclusion: self.outer.inclusion(self.outer.size() - 1).unwrap(),
            consistency: self.outer.consistency(before).unwrap(),
            company: self.heads_proof(0),
        }
    }

    fn before(&self, size: u64) -> Before {
        let root = crate::tree::merkle::root(&self.outer, size).unwrap();
        let company_size = self.founded.company.size();
        Before { tree: TreeHead { era: 0, size, root }, company_size }
    }

    /// The next checkpoint, which covers all of the company log.
    fn goes_on(&mut self) {
        let newest = self.founded.company.newest().unwrap();
        let company = LogHead { log: COMPANY.log(), size: newest.seq.0 + 1, hash: newest.hash };
        self.covers(company);
    }

    /// The next checkpoint, which covers this much of the company log.
    fn covers(&mut self, company: LogHead) {
        self.heads[0].log = Some(company);
        self.leaf.heads_root = heads_tree(&self.heads).root();
        self.outer.push(self.leaf.leaf_hash());
    }

    fn heads_proof(&self, position: u64) -> HeadsProof {
        HeadsProof {
            leaf: Bytes(encode(&self.heads[position as usize])),
            position: LogNo(position),
            path: heads_tree(&self.heads).inclusion(position).unwrap(),
        }
    }

    fn proof(&self, seq: usize) -> RecordProof {
        let prev = self.entries[..seq].iter().fold(EntryHash::ZERO, |prev, entry| entry.hash(prev));
        let bones = self.entries[seq..].iter().map(|entry| Bone {
            seq: entry.seq,
            t_ms: entry.t_ms,
            co: entry.co,
            core: entry.core(),
        });
        let news = self.news(0);
        RecordProof {
            note: news.note,
            outer_index: 6,
            outer_leaf: news.leaf,
            outer_path: news.inclusion,
            heads: self.heads_proof(2),
            skeleton: Skeleton { prev, bones: bones.collect() },
            head: self.entries[seq].head.clone(),
            payload: Bytes::from(self.entries[seq].payload.bytes().unwrap()),
        }
    }
}

#[test]
fn a_checkpoint_that_continues_the_last_one_is_believed() {
    let stage = stage();
    let company = &stage.founded.company;
    let (tree, outer, company_size) = (stage.tree(), stage.leaf, company.size());
    let expected = Ok(Believed { tree, outer, company_size });
    assert_eq!(believe(&stage.news(0), company, None), expected);
    for size in 1..=7 {
        let before = Some(stage.before(size));
        assert_eq!(believe(&stage.news(size), company, before), expected, "{size}");
    }
}

#[test]
fn a_checkpoint_that_tells_another_history_is_not_believed() {
    let stage = stage();
    let company = &stage.founded.company;
    let before = |size, change: fn(&mut TreeHead)| {
        let mut before = stage.before(size);
        change(&mut before.tree);
        Some(before)
    };
    let fork = before(5, |tree| tree.root = Digest([1; 32]));
    let found = believe(&stage.news(5), company, fork);
    assert_eq!(found, Err(TreeError::Consistency(ProofError::Root)));
    let rolled_back = before(7, |tree| tree.size = 8);
    let found = believe(&stage.news(0), company, rolled_back);
    assert_eq!(found, Err(TreeError::Consistency(ProofError::Range)));
    let later = before(5, |tree| tree.era = 1);
    assert_eq!(believe(&stage.news(5), company, later), Err(TreeError::Era(0)));

    let other_leaf = CheckpointNews { leaf: Bytes(vec![6]), ..stage.news(0) };
    let found = believe(&other_leaf, company, None);
    assert_eq!(found, Err(TreeError::Outer(ProofError::Root)));
    // An era that no restore entry began.
    let era = TreeHead { era: 1, ..stage.tree() };
    let news = CheckpointNews { note: stage.signer.sign(COMPANY, &era, 9), ..stage.news(0) };
    assert_eq!(believe(&news, company, None), Err(TreeError::Era(1)));
    let empty = TreeHead { era: 0, size: 0, root: crate::tree::merkle::empty_root() };
    let news = CheckpointNews { note: stage.signer.sign(COMPANY, &empty, 9), ..stage.news(0) };
    assert_eq!(believe(&news, company, None), Err(TreeError::Empty));
}

#[test]
fn a_checkpoint_covers_the_company_log_that_is_known_and_never_less_of_it_than_before() {
    let mut stage = stage();
    let size = stage.founded.company.size();
    let none = Company::new(stage.founded.company.pin());
    assert_eq!(believe(&stage.news(0), &none, None), Err(TreeError::CompanyAhead(size)));
    let more = Before { company_size: size + 1, ..stage.before(7) };
    assert_eq!(
        believe(&stage.news(7), &stage.founded.company, Some(more)),
        Err(TreeError::CompanyBack(size))
    );

    // Its place is the first one, and a place of the company's log.
    let elsewhere = CheckpointNews { company: stage.heads_proof(2), ..stage.news(0) };
    assert_eq!(believe(&elsewhere, &stage.founded.company, None), Err(TreeError::Position));
    let honest = stage.heads[0].log.unwrap();
    stage.covers(LogHead { log: LOG, ..honest });
    assert_eq!(believe(&stage.news(0), &stage.founded.company, None), Err(TreeError::OtherLog));
    stage.covers(LogHead { hash: EntryHash([1; 32]), ..honest });
    let found = believe(&stage.news(0), &stage.founded.company, None);
    assert_eq!(found, Err(TreeError::OtherCompanyLog(Seq(size - 1))));
}

#[test]
fn a_retired_log_key_signs_no_checkpoint_any_more() {
    let mut stage = stage();
    let root = stage.founded.keys.root.clone();
    let next = LogSigner::from_seeds(Secret::new([8; 32]), Secret::new([9; 32]));
    let (ed25519, ml_dsa) = next.public();
    let seen = stage.founded.seen();
    let known = Some(stage.before(7));
    stage.founded.must(LogKeyEntry { seen, ed25519, ml_dsa }, &[&root]);
    // The newest checkpoint from before the rotation is still by the old key.
    assert!(believe(&stage.news(7), &stage.founded.company, known).is_ok());
    let old = stage.heads[0].log.unwrap();
    stage.goes_on();
    let found = believe(&stage.news(7), &stage.founded.company, known);
    assert_eq!(found, Err(TreeError::Checkpoint(CheckpointError::Ed25519)));
    let rotated = |stage: &Stage, before| {
        let note = next.sign(COMPANY, &stage.tree(), 9);
        CheckpointNews { note, ..stage.news(before) }
    };
    let believed = believe(&rotated(&stage, 7), &stage.founded.company, known).unwrap();
    // Whoever holds the old key goes back behind the rotation, and is found there.
    let before = Some(Before { tree: believed.tree, company_size: believed.company_size });
    stage.covers(old);
    let found = believe(&stage.news(8), &stage.founded.company, before);
    assert_eq!(found, Err(TreeError::CompanyBack(old.size)));
    // The root's rotation changes nothing about it.
    let new_root = key(77);
    let rotation = RootRotation { seen: stage.founded.seen(), key: new_root.public() };
    stage.founded.must(rotation, &[&root, &new_root]);
    stage.goes_on();
    assert!(believe(&rotated(&stage, 8), &stage.founded.company, before).is_ok());
}

#[test]
fn a_log_stands_at_its_number_and_nowhere_else() {
    let stage = stage();
    for position in 0..3 {
        let found = heads_leaf(&stage.leaf, &stage.heads_proof(position));
        assert_eq!(found, Ok(stage.heads[position as usize]));
    }
    let moved = HeadsProof { position: LogNo(1), ..stage.heads_proof(0) };
    assert_eq!(heads_leaf(&stage.leaf, &moved), Err(TreeError::Heads(ProofError::Root)));
    let outside = HeadsProof { position: LogNo(3), ..stage.heads_proof(2) };
    assert_eq!(heads_leaf(&stage.leaf, &outside), Err(TreeError::Heads(ProofError::Range)));
    // A server that signed a leaf with another number than its place.
    let mut heads = stage.heads.clone();
    heads[1].log_no = LogNo(5);
    let tree = heads_tree(&heads);
    let leaf = OuterLeaf { heads_root: tree.root(), ..stage.leaf };
    let proof = HeadsProof {
        leaf: Bytes(encode(&heads[1])),
        position: LogNo(1),
        path: tree.inclusion(1).unwrap(),
    };
    assert_eq!(heads_leaf(&leaf, &proof), Err(TreeError::Position));
}

#[test]
fn one_record_is_proven_from_its_place_to_the_checkpoint() {
    let stage = stage();
    for seq in 0..10 {
        let proof = stage.proof(seq);
        let read: RecordProof = decode(&encode(&proof)).unwrap();
        let proven = read.verify(&stage.founded.company.now()).unwrap();
        assert_eq!(
            (proven.log, proven.seq, proven.t_ms),
            (LOG, Seq(seq as u64), 1_000 * seq as u64)
        );
        assert_eq!(proven.hash, stage.entries[seq].hash(proof.skeleton.prev));
    }
}

#[test]
fn each_part_of_a_record_s_proof_is_needed() {
    let stage = stage();
    let company = stage.founded.company.now();
    type Change = fn(&mut RecordProof);
    let table: [(&str, Change, TreeError); 10] = [
        ("payload", |p| p.payload.0[0] ^= 1, TreeError::OtherEntry(Seq(4))),
        ("head", |p| p.head.0[20] ^= 1, TreeError::OtherEntry(Seq(4))),
        ("prev", |p| p.skeleton.prev.0[0] ^= 1, TreeError::OtherHead(Seq(9))),
        ("a bone's time", |p| p.skeleton.bones[1].t_ms += 1, TreeError::OtherHead(Seq(9))),
        (
            "a bone left out",
            |p| {
                p.skeleton.bones.remove(1);
            },
            TreeError::Skeleton(Seq(6)),
        ),
        (
            "the last bone left out",
            |p| {
                p.skeleton.bones.pop();
            },
            TreeError::OtherHead(Seq(8)),
        ),
        ("no bones", |p| p.skeleton.bones.clear(), TreeError::OtherHead(Seq(10))),
        ("outer index", |p| p.outer_index = 5, TreeError::Outer(ProofError::Root)),
        ("heads path", |p| p.heads.path[0].0[0] ^= 1, TreeError::Heads(ProofError::Root)),
        ("note", |p| p.note.clear(), TreeError::Note(NoteError::Lines)),
    ];
    for (name, change, expected) in table {
        let mut proof = stage.proof(4);
        change(&mut proof);
        let found = proof.verify(&company);
        // Another inclusion index needs another path length; either way it is the outer tree.
        let same_part =
            matches!((found, expected), (Err(TreeError::Outer(_)), TreeError::Outer(_)));
        assert!(found == Err(expected) || same_part, "{name}: {found:?}");
    }
    let mut reserved = stage.proof(4);
    reserved.heads = stage.heads_proof(1);
    assert_eq!(reserved.verify(&company), Err(TreeError::NoLog));
    let mut company_log = stage.proof(4);
    company_log.heads = stage.heads_proof(0);
    assert_eq!(company_log.verify(&company), Err(TreeError::OtherHead(Seq(9))));
}

#[test]
fn times_and_company_sizes_of_a_skeleton_never_go_back() {
    let stage = stage();
    let skeleton = stage.proof(2).skeleton;
    assert!(follow(&skeleton).is_ok());
    let mut time = skeleton.clone();
    time.bones[3].t_ms = 1;
    assert_eq!(follow(&time), Err(TreeError::Skeleton(Seq(5))));
    let mut company = skeleton.clone();
    company.bones[3].co = 0;
    assert_eq!(follow(&company), Err(TreeError::Skeleton(Seq(5))));
    let mut genesis = stage.proof(0).skeleton;
    genesis.prev = EntryHash([1; 32]);
    assert_eq!(follow(&genesis), Err(TreeError::Skeleton(Seq(0))));
}
