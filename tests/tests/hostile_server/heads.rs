//! A log's place in the tree that a checkpoint signs (C10).

use hauspost_core::store::rows::message::MessageState;
use hauspost_core::store::rows::{company, log};
use hauspost_core::sync::Response;
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::ids::{EntryHash, LogNo};
use hauspost_protocol::tree::checkpoint::{LogSigner, TreeHead};
use hauspost_protocol::tree::heads::{HeadsLeaf, LogHead, OuterLeaf, heads_tree};
use hauspost_protocol::wire::{CheckpointNews, HeadsProof, path};
use hauspost_tests::hostile::Hostile;

use crate::Scene;
use crate::company::seed;

/// Under a second number a server could show Ben his own history of the log, and everybody else
/// another one under the first, in one and the same tree.
#[tokio::test(flavor = "multi_thread")]
async fn attacks_8_only_the_place_of_the_logs_own_number_in_the_heads_tree_secures_a_message() {
    assert_eq!(after_a_proof_at(true).await, Some(MessageState::Secured));
    assert_eq!(after_a_proof_at(false).await, Some(MessageState::Sent));
}

/// What Ben's message is after a signed checkpoint has his history of the log at its own place or at
/// another one, and he is shown that place.
async fn after_a_proof_at(own_place: bool) -> Option<MessageState> {
    let lies = Hostile::default();
    lies.twists_news(|answer| answer.checkpoint = None);
    let scene = Scene::open_under(lies).await;
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    scene.ben.settle().await;
    assert_eq!(scene.ben.state(scene.log, "vier").await, Some(MessageState::Sent));

    let id = scene.log;
    let row = scene.ben.account.store().read(move |conn| log::find(conn, id)).await;
    let row = row.unwrap().unwrap();
    let number = row.log_no.unwrap();
    let known = LogHead { log: scene.log, size: row.next_seq.0, hash: row.last_hash };
    let other = LogHead { hash: EntryHash([66; 32]), ..known };
    let mut leaves: Vec<_> = (0..number.0).map(|n| HeadsLeaf::reserved(LogNo(n))).collect();
    let company = scene.ben.account.store().read(company::cursor).await.unwrap();
    let log = scene.ben.account.company().log();
    leaves[0].log = Some(LogHead { log, size: company.0.0, hash: company.1 });
    let (first, second) = if own_place { (known, other) } else { (other, known) };
    leaves.push(HeadsLeaf { log_no: number, log: Some(first) });
    leaves.push(HeadsLeaf { log_no: LogNo(number.0 + 1), log: Some(second) });
    let shown = number.0 + u64::from(!own_place);
    let heads = heads_tree(&leaves);
    let place = |position: u64| HeadsProof {
        leaf: Bytes(encode(&leaves[position as usize])),
        position: LogNo(position),
        path: heads.inclusion(position).unwrap(),
    };
    let proof = place(shown);

    let outer = OuterLeaf {
        t_ms: row.last_t_ms,
        logs: leaves.len() as u64,
        heads_root: heads.root(),
        durable: None,
    };
    let signer = LogSigner::from_seeds(
        seed(&scene.world, "log-ed25519"),
        seed(&scene.world, "log-ml-dsa-44"),
    );
    let head = TreeHead { era: 0, size: 1, root: outer.leaf_hash() };
    let news = CheckpointNews {
        note: signer.sign(scene.ben.account.company(), &head, outer.t_ms / 1_000),
        leaf: Bytes(encode(&outer)),
        inclusion: Vec::new(),
        consistency: Vec::new(),
        company: place(0),
    };
    scene.lies.twists_news(move |answer| answer.checkpoint = Some(news.clone()));
    scene.lies.answers(move |request| {
        let body = encode(&vec![proof.clone()]);
        (request.path == path::PROOF_HEADS).then_some(Ok(Response { status: 200, body }))
    });
    scene.ben.account.sync_all().await.unwrap();
    assert_eq!(scene.ben.alarms().await, 0);
    assert_eq!(scene.ben.stopped(scene.log).await, None);
    scene.ben.state(scene.log, "vier").await
}
