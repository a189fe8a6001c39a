//! Witnesses and the rotation of the log key, at the server.

use axum::http::StatusCode;
use hauspost_protocol::company::body::{CompanyBody, LogKeyEntry, WitnessEntry};
use hauspost_protocol::crypto::{PublicKey, Secret};
use hauspost_protocol::encoding::{Bytes, decode};
use hauspost_protocol::tree::checkpoint::{CosigningKey, TreeHead};
use hauspost_protocol::tree::proof::{Before, believe};
use hauspost_protocol::tree::witness::{AddCheckpoint, Watched, judge, seen_by};
use hauspost_protocol::wire::{Hello, NextLogKey, Outcome, Witnessed, WitnessedRequest, path};

use super::world::{ADMIN, COMPANY, HR, ROOT, World};
use crate::serve::answer::Empty;

const NAME: &str = "betriebsrat.example/w1";

fn witness_key() -> CosigningKey {
    CosigningKey::from_seed(Secret::new([77; 32]))
}

async fn switch_witness(world: &World, active: bool) -> Outcome {
    let (seen, name, key) = (world.seen().await, NAME.to_owned(), witness_key().public());
    let body = WitnessEntry { seen, name, key, active };
    world.append_company(CompanyBody::Witness(body), &[ROOT]).await
}

/// What a witness that cosigned this size is asked.
async fn asked(world: &World, old: u64) -> AddCheckpoint {
    let path = format!("{}/{old}", path::WITNESS_CHECKPOINT);
    let (status, body) = world.raw("GET", &path, None, Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
    AddCheckpoint::parse(std::str::from_utf8(&body).unwrap()).unwrap()
}

async fn watched(world: &World) -> Watched {
    let token = world.role(ADMIN).await;
    let company = world.company(&token).await;
    Watched { company: COMPANY, era: 0, key: company.now().log_key().unwrap().clone() }
}

/// Hands over a cosignature by this key.
async fn cosign(world: &World, key: &CosigningKey, tree: &TreeHead) -> StatusCode {
    let line = key.cosign(NAME, COMPANY, tree, 1_800_000_000);
    let path = format!("{}/{}/{}", path::WITNESS_COSIGNATURE, tree.era, tree.size);
    world.raw("POST", &path, None, line.into_bytes()).await.0
}

async fn said(world: &World, size: u64) -> Vec<Witnessed> {
    let token = world.role(HR).await;
    world.ask(path::WITNESSED, &token, &WitnessedRequest { era: 0, size }).await
}

#[tokio::test]
async fn a_witness_comes_asks_and_is_heard_by_everybody() {
    let world = World::founded().await;
    assert_eq!(switch_witness(&world, true).await, Outcome::Ok(hauspost_protocol::ids::Seq(11)));
    world.make_checkpoint().await.unwrap();
    let watched = watched(&world).await;
    let first = judge(&asked(&world, 0).await, &watched, None).unwrap();
    assert_eq!(cosign(&world, &witness_key(), &first).await, StatusCode::OK);
    // It goes on from what it cosigned, by the proof that it is given.
    world.advance(400_000);
    world.make_checkpoint().await.unwrap();
    let second = judge(&asked(&world, 1).await, &watched, Some(first)).unwrap();
    assert_eq!(second.size, 2);
    let witnessed = said(&world, 2).await;
    let token = world.role(ADMIN).await;
    let company = world.company(&token).await;
    let seen = seen_by(&witnessed, &second, &company.now());
    assert_eq!(seen.iter().map(|seen| seen.size).collect::<Vec<_>>(), [1]);
    assert_eq!(cosign(&world, &witness_key(), &second).await, StatusCode::OK);
    assert_eq!(said(&world, 1).await, [], "what is newer than the asker's tree proves nothing");
    let witnessed = said(&world, 2).await;
    assert_eq!(seen_by(&witnessed, &second, &company.now())[0].size, 2);

    assert!(matches!(switch_witness(&world, false).await, Outcome::Ok(_)));
    assert_eq!(said(&world, 2).await, [], "a witness that was ended");
    assert_eq!(cosign(&world, &witness_key(), &second).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_no_witness_of_the_company_signed_is_not_kept() {
    let world = World::founded().await;
    switch_witness(&world, true).await;
    world.make_checkpoint().await.unwrap();
    let tree = judge(&asked(&world, 0).await, &watched(&world).await, None).unwrap();
    let stranger = CosigningKey::from_seed(Secret::new([78; 32]));
    assert_eq!(cosign(&world, &stranger, &tree).await, StatusCode::FORBIDDEN);
    let other = TreeHead { root: hauspost_protocol::ids::Digest([1; 32]), ..tree };
    assert_eq!(cosign(&world, &witness_key(), &other).await, StatusCode::FORBIDDEN);
    for (size, status) in [(7, StatusCode::NOT_FOUND), (0, StatusCode::NOT_FOUND)] {
        let nowhere = TreeHead { size, ..tree };
        assert_eq!(cosign(&world, &witness_key(), &nowhere).await, status);
    }
    let path = format!("{}/0/1", path::WITNESS_COSIGNATURE);
    for garbage in ["", "hallo\n", "\u{2014} betriebsrat.example/w1 AAAA\n"] {
        let (status, _) = world.raw("POST", &path, None, garbage.into()).await;
        assert!(status.is_client_error(), "{garbage}: {status}");
    }
    assert_eq!(said(&world, 1).await, []);
}

#[tokio::test]
async fn a_witness_that_saw_more_than_there_is_learns_that_the_server_was_set_back() {
    let world = World::founded().await;
    let path = |old: u64| format!("{}/{old}", path::WITNESS_CHECKPOINT);
    let (status, _) = world.raw("GET", &path(0), None, Vec::new()).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "there is no checkpoint yet");
    world.make_checkpoint().await.unwrap();
    let (status, body) = world.raw("GET", &path(2), None, Vec::new()).await;
    assert_eq!((status, &body[..]), (StatusCode::CONFLICT, &b"1\n"[..]));
}

/// Names keys as the next log key.
async fn name(world: &World, next: &NextLogKey) -> Outcome {
    let NextLogKey { ed25519, ml_dsa } = next.clone();
    let seen = world.seen().await;
    let body = LogKeyEntry { seen, ed25519: PublicKey(ed25519), ml_dsa };
    world.append_company(CompanyBody::LogKey(body), &[ROOT]).await
}

#[tokio::test]
async fn a_new_log_key_signs_from_the_entry_on_that_names_it() {
    let world = World::founded().await;
    world.make_checkpoint().await.unwrap();
    let phone = world.phone(1).await;
    let before = phone.sync(&world, vec![]).await;
    let admin = world.role(ADMIN).await;
    let company = world.company(&admin).await;
    let known = believe(&before.checkpoint.unwrap(), &company, None).unwrap();
    let known = Before { tree: known.tree, company_size: known.company_size };

    let next: NextLogKey = world.ask(path::LOG_KEY, &admin, &Empty).await;
    let again: NextLogKey = world.ask(path::LOG_KEY, &admin, &Empty).await;
    assert_eq!(next, again, "a key that waits is not drawn twice");
    assert!(matches!(name(&world, &next).await, Outcome::Ok(_)));
    let hello: Hello = world.get(path::HELLO, None).await;
    assert_eq!((hello.log_key, &hello.log_key_pq), (next.ed25519, &next.ml_dsa));
    world.make_checkpoint().await.unwrap();
    let company = world.company(&admin).await;
    assert_eq!(company.now().log_key().unwrap().ed25519, PublicKey(next.ed25519));
    let request = hauspost_protocol::wire::SyncRequest {
        since: None,
        cursors: vec![],
        company_next: hauspost_protocol::ids::Seq(0),
        checkpoint: Some((0, known.tree.size)),
    };
    let answer: hauspost_protocol::wire::SyncAnswer =
        world.ask(path::SYNC, &phone.token, &request).await;
    let believed = believe(&answer.checkpoint.unwrap(), &company, Some(known)).unwrap();
    assert_eq!(believed.company_size, company.size());

    // After a restart the server knows both, and the newest is in force.
    let other: NextLogKey = world.ask(path::LOG_KEY, &admin, &Empty).await;
    assert_ne!(other, next);
}

#[tokio::test]
async fn a_log_key_that_the_server_does_not_hold_is_not_taken() {
    let world = World::founded().await;
    let foreign =
        NextLogKey { ed25519: super::world::key(99).public().0, ml_dsa: Bytes(vec![1; 1312]) };
    assert_eq!(name(&world, &foreign).await, Outcome::Policy);
    let token = world.role(HR).await;
    let (status, body) = world.post(path::LOG_KEY, Some(&token), &Empty).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{:?}", decode::<NextLogKey>(&body));
}
