use std::path::Path;

use hauspost_protocol::company::state::LogKey;
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::ids::{CompanyId, Digest, Seq};
use hauspost_protocol::invitation::Trust;
use hauspost_protocol::tree::checkpoint::{LogSigner, TreeHead};
use hauspost_protocol::tree::merkle::{Tree, leaf_hash};
use hauspost_protocol::tree::witness::{AddCheckpoint, Refused};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::keeper::{AnswerError, Keeper, KeeperError};
use crate::company::card::Card;
use crate::serve::folder::FolderError;

const COMPANY: CompanyId = CompanyId([0xc0; 16]);
const NAME: &str = "betriebsrat.example/w1";
const NOW_MS: u64 = 1_800_000_000_000;

fn signer(seed: u8) -> LogSigner {
    LogSigner::from_seeds(Secret::new([seed; 32]), Secret::new([seed + 1; 32]))
}

fn log_key(seed: u8) -> LogKey {
    let (ed25519, ml_dsa) = signer(seed).public();
    LogKey { ed25519, ml_dsa, entered: Seq(3) }
}

fn card() -> Card {
    Card {
        name: "Muster GmbH".into(),
        company: COMPANY,
        pin: Digest([1; 32]),
        server: "https://127.0.0.1:1".into(),
        trust: Trust::PublicRoots,
        history_keys: Vec::new(),
    }
}

fn init(path: &Path, era: u64, key: &LogKey) -> Result<Keeper, KeeperError> {
    Keeper::init(path, NAME, &card(), (era, Some(key)), &mut StdRng::seed_from_u64(1))
}

fn tree(size: u8, history: u8) -> Tree {
    Tree::new((0..size).map(|leaf| leaf_hash(&[leaf, if leaf < 3 { 0 } else { history }])))
}

fn ask(tree: &Tree, old: u64, by: u8) -> AddCheckpoint {
    let head = TreeHead { era: 0, size: tree.size(), root: tree.root() };
    let proof = if old == 0 { Vec::new() } else { tree.consistency(old).unwrap() };
    AddCheckpoint { old, proof, note: signer(by).sign(COMPANY, &head, 9) }
}

fn refused(keeper: &Keeper, request: &AddCheckpoint) -> Refused {
    match keeper.answer(request, NOW_MS) {
        Err(AnswerError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_witness_that_starts_again_signs_no_second_history() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = init(folder.path(), 0, &log_key(1)).unwrap();
    keeper.answer(&ask(&tree(5, 1), 0, 1), NOW_MS).unwrap();
    let public = keeper.public();
    drop(keeper);
    let keeper = Keeper::open(folder.path()).unwrap();
    assert_eq!(keeper.public(), public);
    assert_eq!(keeper.cosigned().unwrap().tree.size, 5);
    assert_eq!(refused(&keeper, &ask(&tree(5, 2), 5, 1)), Refused::Fork(5));
    assert_eq!(refused(&keeper, &ask(&tree(4, 1), 4, 1)), Refused::Conflict(5));
    assert_eq!(refused(&keeper, &ask(&tree(9, 2), 5, 1)), Refused::Proof);
    keeper.answer(&ask(&tree(9, 1), 5, 1), NOW_MS).unwrap();
    // What shows two histories is kept as it came.
    let files = std::fs::read_dir(folder.path()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("evidence-")).count(), 2);
}

#[test]
fn what_cannot_be_remembered_is_not_signed() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = init(folder.path(), 0, &log_key(1)).unwrap();
    // The memory's draft cannot be written: a folder stands in its place.
    let draft = folder.path().join("cosigned-0.draft");
    std::fs::create_dir(&draft).unwrap();
    let failed = keeper.answer(&ask(&tree(5, 1), 0, 1), NOW_MS);
    assert!(matches!(failed, Err(AnswerError::Folder(_))), "{failed:?}");
    assert_eq!(keeper.cosigned(), None);
    std::fs::remove_dir(&draft).unwrap();
    keeper.answer(&ask(&tree(5, 2), 0, 1), NOW_MS).unwrap();
}

#[test]
fn a_witness_without_its_memory_or_its_key_does_not_run() {
    for lost in ["cosigned-0.json", "key"] {
        let folder = tempfile::tempdir().unwrap();
        drop(init(folder.path(), 0, &log_key(1)).unwrap());
        std::fs::remove_file(folder.path().join(lost)).unwrap();
        let failed = Keeper::open(folder.path()).err().unwrap();
        assert!(matches!(failed, KeeperError::Folder(FolderError::Damaged(_))), "{lost}: {failed}");
    }
    let folder = tempfile::tempdir().unwrap();
    drop(init(folder.path(), 0, &log_key(1)).unwrap());
    std::fs::write(folder.path().join("cosigned-0.json"), "{\"size\":").unwrap();
    assert!(Keeper::open(folder.path()).is_err());
    assert!(matches!(Keeper::open(&folder.path().join("none")), Err(KeeperError::None(_))));
}

#[test]
fn a_new_log_key_is_told_and_the_memory_stays() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = init(folder.path(), 0, &log_key(1)).unwrap();
    keeper.answer(&ask(&tree(5, 1), 0, 1), NOW_MS).unwrap();
    assert_eq!(refused(&keeper, &ask(&tree(9, 1), 5, 7)), Refused::Signature);
    drop(keeper);
    let keeper = init(folder.path(), 0, &log_key(7)).unwrap();
    assert_eq!(refused(&keeper, &ask(&tree(9, 2), 5, 7)), Refused::Proof);
    keeper.answer(&ask(&tree(9, 1), 5, 7), NOW_MS).unwrap();
    assert_eq!(refused(&keeper, &ask(&tree(9, 1), 9, 1)), Refused::Signature);
}

#[test]
fn a_folder_is_of_one_witness_and_its_era_does_not_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let key = log_key(1);
    drop(init(folder.path(), 1, &key).unwrap());
    assert!(matches!(init(folder.path(), 0, &key), Err(KeeperError::EraBack { .. })));
    let mut rng = StdRng::seed_from_u64(1);
    let other = Keeper::init(folder.path(), "other/w", &card(), (1, Some(&key)), &mut rng);
    assert!(matches!(other, Err(KeeperError::Other(_))));
    let foreign = Card { company: CompanyId([2; 16]), ..card() };
    let other = Keeper::init(folder.path(), NAME, &foreign, (1, Some(&key)), &mut rng);
    assert!(matches!(other, Err(KeeperError::Other(_))));
    let spaced = Keeper::init(folder.path(), "a b", &card(), (1, Some(&key)), &mut rng);
    assert!(matches!(spaced, Err(KeeperError::Name(_))));
    let none = Keeper::init(folder.path(), NAME, &card(), (1, None), &mut rng);
    assert!(matches!(none, Err(KeeperError::NoLogKey)));
}

mod endpoint {
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum_server::Handle;
    use tower::ServiceExt as _;

    use super::*;
    use crate::serve::door::Door;
    use crate::serve::{Tls, socket, tls};

    async fn send(keeper: &Arc<Keeper>, body: String) -> (StatusCode, String, String) {
        let router = crate::witness::endpoint::router(keeper.clone(), Arc::new(|| NOW_MS));
        let request = Request::post("/add-checkpoint").body(Body::from(body)).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let kind = response.headers().get("content-type");
        let kind = kind.map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn add_checkpoint_answers_as_the_standard_says() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Arc::new(init(folder.path(), 0, &log_key(1)).unwrap());
        let (status, _, lines) = send(&keeper, ask(&tree(5, 1), 0, 1).to_text()).await;
        assert_eq!(status, StatusCode::OK);
        assert!(lines.starts_with("\u{2014} betriebsrat.example/w1 ") && lines.ends_with('\n'));
        // The standard's size with the standard's type.
        let stale = send(&keeper, ask(&tree(9, 1), 0, 1).to_text()).await;
        assert_eq!(stale, (StatusCode::CONFLICT, "text/x.tlog.size".into(), "5\n".into()));
        let (status, ..) = send(&keeper, ask(&tree(5, 2), 5, 1).to_text()).await;
        assert_eq!(status, StatusCode::CONFLICT);
        let (status, ..) = send(&keeper, ask(&tree(9, 2), 5, 1).to_text()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        let (status, ..) = send(&keeper, ask(&tree(9, 1), 5, 7).to_text()).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        let (status, ..) = send(&keeper, "old 1\n\nnothing\n".into()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let (status, ..) = send(&keeper, "x".repeat(1 << 20)).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_connection_with_large_headers_is_refused_and_another_one_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Arc::new(init(folder.path(), 0, &log_key(1)).unwrap());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let names = Tls::CompanyCa { names: Vec::new() };
        let now_ms = crate::serve::system_clock()();
        let config = tls::server_config(&names, keeper.folder(), address, now_ms).unwrap();
        let door = Door::new(crate::witness::endpoint::CONNECTIONS);
        let server = socket::server(listener, config, &door, Handle::new()).unwrap();
        let router = crate::witness::endpoint::router(keeper.clone(), Arc::new(|| NOW_MS));
        tokio::spawn(server.serve(router.into_make_service()));
        let ca = std::fs::read(folder.path().join("ca.pem")).unwrap();
        let ca = reqwest::Certificate::from_pem(&ca).unwrap();
        let url = format!("https://{address}/add-checkpoint");
        for only_http1 in [true, false] {
            // A client of its own for each: the connection of the first may be ending still.
            let post = || {
                let client = reqwest::Client::builder().tls_certs_only([ca.clone()]);
                let client = if only_http1 { client.http1_only() } else { client };
                client.build().unwrap().post(&url).body("old 1\n\nnothing\n")
            };
            let large = post().header("x-large", "x".repeat(100_000)).send().await;
            let large = large.ok().map(|answer| answer.status().as_u16());
            assert!(large.is_none_or(|answer| answer == 431), "{only_http1}: {large:?}");
            let answer = post().send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 400);
        }
    }
}
