//! docs/protocol.md §12: tree hashes and proofs, heads and outer leaves, a signed checkpoint.

use hauspost_protocol::crypto::Secret;
use hauspost_protocol::encoding::{Item, encode};
use hauspost_protocol::ids::{Digest, EntryHash, LogId, LogNo};
use hauspost_protocol::tree::checkpoint::{LogSigner, TreeHead};
use hauspost_protocol::tree::heads::{HeadsLeaf, LogHead, OuterLeaf, heads_tree};
use hauspost_protocol::tree::merkle::{Tree, leaf_hash};
use serde_json::{Value, json};

use super::{COMPANY, LOG, T_MS, fields, hex};

/// The file `tree.json`.
pub fn tree() -> Value {
    let heads = [
        head(0, Some((LogId(COMPANY.0), 12, 0xc1))),
        head(1, Some((LOG, 5, 0x11))),
        head(2, None),
        head(3, Some((LogId([0x13; 16]), 1, 0x31))),
    ];
    let heads_root = heads_tree(&heads).root();
    let outer = [
        OuterLeaf {
            t_ms: T_MS,
            logs: 2,
            heads_root: heads_tree(&heads[..2]).root(),
            durable: None,
        },
        OuterLeaf { t_ms: T_MS + 10_000, logs: 3, heads_root: Digest([0x4e; 32]), durable: None },
        OuterLeaf { t_ms: T_MS + 20_000, logs: 4, heads_root, durable: Some(1) },
    ];
    let outer_root = Tree::new(outer.iter().map(OuterLeaf::leaf_hash)).root();
    json!({
        "merkle": merkle(),
        "heads": { "leaves": heads.iter().map(shown).collect::<Vec<_>>(), "root": hex(&heads_root.0) },
        "outer": { "leaves": outer.iter().map(shown).collect::<Vec<_>>(), "root": hex(&outer_root.0) },
        "checkpoint": checkpoint(outer.len() as u64, outer_root),
    })
}

fn merkle() -> Value {
    let leaves: Vec<Vec<u8>> = (0..9u8).map(|i| vec![i; usize::from(i)]).collect();
    let of = |size: usize| Tree::new(leaves[..size].iter().map(|leaf| leaf_hash(leaf)));
    let path = |nodes: Vec<Digest>| nodes.iter().map(|node| hex(&node.0)).collect::<Vec<_>>();
    let inclusion =
        [(0, 1), (0, 2), (0, 7), (3, 7), (6, 7), (8, 9), (4, 8)].map(|(index, size)| {
            let found = of(size as usize).inclusion(index).expect("a leaf that is there");
            json!({ "index": index, "size": size, "path": path(found) })
        });
    let consistency = [(1, 1), (1, 2), (3, 7), (4, 7), (6, 8), (8, 9), (2, 9)].map(|(old, new)| {
        let found = of(new as usize).consistency(old).expect("a tree that grew");
        json!({ "old": old, "new": new, "proof": path(found) })
    });
    json!({
        "leaves": leaves.iter().map(|leaf| hex(leaf)).collect::<Vec<_>>(),
        "roots": (0..=leaves.len()).map(|size| hex(&of(size).root().0)).collect::<Vec<_>>(),
        "inclusion": inclusion,
        "consistency": consistency,
    })
}

fn checkpoint(size: u64, root: Digest) -> Value {
    let signer = LogSigner::from_seeds(Secret::new([0x61; 32]), Secret::new([0x62; 32]));
    let (ed25519, ml_dsa) = signer.public();
    let time_s = T_MS / 1_000;
    let note = signer.sign(COMPANY, &TreeHead { era: 0, size, root }, time_s);
    json!({
        "company": hex(&COMPANY.0), "era": 0, "time_s": time_s,
        "ed25519": hex(&ed25519.0), "ml_dsa": hex(&ml_dsa), "note": note,
    })
}

fn head(number: u64, log: Option<(LogId, u64, u8)>) -> HeadsLeaf {
    let log = log.map(|(log, size, byte)| LogHead { log, size, hash: EntryHash([byte; 32]) });
    HeadsLeaf { log_no: LogNo(number), log }
}

fn shown(item: &impl Item) -> Value {
    let bytes = encode(item);
    json!({ "fields": fields(&bytes), "bytes": hex(&bytes) })
}
