//! Hints: who may have one passed on, to whom it goes, and what the server keeps of it.

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use futures_util::{FutureExt as _, StreamExt as _};
use hauspost_core::group::commit::Change;
use hauspost_protocol::body::LogType;
use hauspost_protocol::company::body::{CompanyBody, PolicyEntry};
use hauspost_protocol::company::policy::{CouncilPart, PolicyDocument, Terms};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::hint::{AT_ONCE, SEALED_BYTES, SealedHint};
use hauspost_protocol::ids::{Epoch, Gen, LeafIndex, LogId};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::wire::{HintsRequest, Outcome, TOKEN_HEADER, path};

use super::conversation::{at, entries};
use super::world::{ADMIN, COUNCIL, HR, Phone, World, newest};
use crate::serve::limits::{HINT_EVERY_MS, HINTS_IN_A_ROW};

async fn policy(world: &World, typing: bool, last_seen: bool) {
    let council = CouncilPart { typing, last_seen, ..CouncilPart::default() };
    let document = PolicyDocument::of(&Terms { council, ..Terms::default() });
    let token = world.role(ADMIN).await;
    let version = world.company(&token).await.now().policy().map_or(1, |policy| policy.version + 1);
    let document = Bytes(encode(&document));
    let body = PolicyEntry { seen: world.seen().await, version, document };
    let appended = world.append_company(CompanyBody::Policy(body), &[ADMIN, HR, COUNCIL]).await;
    assert!(matches!(appended, Outcome::Ok(_)), "{appended:?}");
}

/// What only the members of a conversation could open.
fn hint(log: LogId, byte: u8) -> SealedHint {
    SealedHint { log, r#gen: Gen(0), epoch: Epoch(1), sealed: Bytes(vec![byte; SEALED_BYTES]) }
}

async fn send(world: &World, phone: &Phone, hints: Vec<SealedHint>) -> (StatusCode, String) {
    let request = HintsRequest { hints };
    let (status, body) = world.post(path::HINTS, Some(&phone.token), &request).await;
    (status, String::from_utf8_lossy(&body).into_owned())
}

async fn passes(world: &World, phone: &Phone, hints: Vec<SealedHint>) {
    let (status, said) = send(world, phone, hints).await;
    assert_eq!(status, StatusCode::OK, "{said}");
}

async fn live(world: &World, phone: &Phone) -> BodyDataStream {
    let request = Request::builder().uri(path::LIVE).header(TOKEN_HEADER, &phone.token);
    let request = request.body(Body::empty()).unwrap();
    let answer = tower::ServiceExt::oneshot(world.router.clone(), request).await.unwrap();
    answer.into_body().into_data_stream()
}

/// The lines that wait on a stream, in which an empty one is news.
fn lines(stream: &mut BodyDataStream) -> Vec<String> {
    let mut said = Vec::new();
    while let Some(piece) = stream.next().now_or_never() {
        said.extend_from_slice(&piece.unwrap().unwrap());
    }
    String::from_utf8(said).unwrap().lines().map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn attacks_33_without_a_policy_that_has_hints_the_server_passes_none_on() {
    let world = World::founded().await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let log = anna.create(&world, LogType::Dm, &[&ben]).await.log;
    let mut bens = live(&world, &ben).await;
    lines(&mut bens);
    let refused = (StatusCode::FORBIDDEN, "policy".to_owned());
    assert_eq!(send(&world, &anna, vec![hint(log, 1)]).await, refused);
    policy(&world, true, false).await;
    passes(&world, &anna, vec![hint(log, 2)]).await;
    assert!(lines(&mut bens).contains(&hint(log, 2).to_line()));
    policy(&world, false, false).await;
    assert_eq!(send(&world, &anna, vec![hint(log, 3)]).await, refused);
}

#[tokio::test]
async fn attacks_33_a_hint_reaches_the_other_devices_of_its_conversation_and_no_further() {
    let world = World::founded().await;
    policy(&world, true, true).await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let carla = world.phone(3).await;
    let log = anna.create(&world, LogType::Group, &[&ben]).await.log;
    let mut streams = [live(&world, &anna).await, live(&world, &ben).await];
    let mut carlas = live(&world, &carla).await;
    streams.iter_mut().chain([&mut carlas]).for_each(|stream| drop(lines(stream)));
    passes(&world, &anna, vec![hint(log, 1), hint(log, 2)]).await;
    let [annas, bens] = &mut streams;
    assert_eq!(lines(bens), [hint(log, 2).to_line()], "the newest, and no word of news");
    assert!(lines(annas).is_empty() && lines(&mut carlas).is_empty());

    // Who is no member has nothing to say there, nor has a role, nor anybody in no conversation.
    let not_found = (StatusCode::NOT_FOUND, "not_found".to_owned());
    assert_eq!(send(&world, &carla, vec![hint(log, 3)]).await, not_found);
    assert_eq!(send(&world, &anna, vec![hint(LogId([77; 16]), 3)]).await, not_found);
    let one_of_two = vec![hint(log, 4), hint(LogId([77; 16]), 4)];
    assert_eq!(send(&world, &anna, one_of_two).await, not_found);
    let request = HintsRequest { hints: vec![hint(log, 5)] };
    let admin = world.role(ADMIN).await;
    assert_eq!(world.post(path::HINTS, Some(&admin), &request).await.0, StatusCode::FORBIDDEN);
    assert_eq!(world.post(path::HINTS, None, &request).await.0, StatusCode::UNAUTHORIZED);
    assert!(lines(bens).is_empty(), "all or nothing");

    // A revoked device is not told, whatever the group has still to do.
    world.revoke(ben.device()).await;
    passes(&world, &anna, vec![hint(log, 6)]).await;
    assert!(lines(bens).iter().all(String::is_empty));
    assert_eq!(send(&world, &ben, vec![hint(log, 7)]).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn attacks_33_who_was_removed_is_passed_nothing_on_and_has_nothing_passed_on() {
    let world = World::founded().await;
    policy(&world, true, true).await;
    let (mut anna, ben, carla) = (world.phone(1).await, world.phone(2).await, world.phone(3).await);
    let mut room = anna.create(&world, LogType::Group, &[&ben, &carla]).await;
    let seen = Some(newest(&entries(&world, &anna, room.log).await));
    let judged_by = at(&world, &anna).await;
    let change = Change { removes: vec![LeafIndex(1)], ..Change::default() };
    let request = anna.commit(&mut room, change, seen, judged_by, None);
    assert!(matches!(anna.append(&world, &request).await[..], [Outcome::Ok(_), Outcome::Ok(_)]));

    let mut streams = [live(&world, &ben).await, live(&world, &carla).await];
    streams.iter_mut().for_each(|stream| drop(lines(stream)));
    passes(&world, &anna, vec![hint(room.log, 1)]).await;
    let [bens, carlas] = &mut streams;
    assert_eq!(lines(carlas), [hint(room.log, 1).to_line()]);
    assert!(lines(bens).is_empty());
    let not_found = (StatusCode::NOT_FOUND, "not_found".to_owned());
    assert_eq!(send(&world, &ben, vec![hint(room.log, 2)]).await, not_found);
}

#[tokio::test]
async fn attacks_33_hints_of_another_size_too_many_and_a_flood_are_refused() {
    let world = World::founded().await;
    policy(&world, true, true).await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let log = anna.create(&world, LogType::Dm, &[&ben]).await.log;
    for bytes in [0, SEALED_BYTES - 1, SEALED_BYTES + 1] {
        let other = SealedHint { sealed: Bytes(vec![1; bytes]), ..hint(log, 1) };
        let refused = send(&world, &anna, vec![hint(log, 1), other]).await;
        assert_eq!(refused, (StatusCode::BAD_REQUEST, "form".to_owned()));
    }
    assert_eq!(send(&world, &anna, Vec::new()).await.0, StatusCode::BAD_REQUEST);
    let many = vec![hint(log, 1); AT_ONCE + 1];
    assert_eq!(send(&world, &anna, many).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    for _ in 0..HINTS_IN_A_ROW / AT_ONCE as u64 {
        passes(&world, &anna, vec![hint(log, 1); AT_ONCE]).await;
    }
    let busy = (StatusCode::TOO_MANY_REQUESTS, "busy".to_owned());
    assert_eq!(send(&world, &anna, vec![hint(log, 1)]).await, busy);
    passes(&world, &ben, vec![hint(log, 1)]).await;
    world.advance(HINT_EVERY_MS);
    passes(&world, &anna, vec![hint(log, 1)]).await;
    assert_eq!(send(&world, &anna, vec![hint(log, 1)]).await, busy);
}

#[tokio::test]
async fn who_is_switched_on_later_gets_the_newest_hint_of_a_conversation_of_two_for_a_day() {
    let world = World::founded().await;
    policy(&world, true, true).await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let carla = world.phone(3).await;
    let dm = anna.create(&world, LogType::Dm, &[&ben]).await.log;
    let group = anna.create(&world, LogType::Group, &[&ben, &carla]).await.log;
    passes(&world, &anna, vec![hint(dm, 1), hint(dm, 2), hint(group, 3)]).await;
    let kept = vec![hint(dm, 2).to_line(), String::new()];
    for _ in 0..2 {
        assert_eq!(lines(&mut live(&world, &ben).await), kept);
    }
    for other in [&anna, &carla] {
        assert_eq!(lines(&mut live(&world, other).await), [""]);
    }
    world.advance(DAY_MS);
    let ben = world.sign_in_again(ben).await;
    assert_eq!(lines(&mut live(&world, &ben).await), [""], "a day later it is gone");

    // While only typing is to be seen, nothing is kept; and what was kept goes with the policy.
    let anna = world.sign_in_again(anna).await;
    passes(&world, &anna, vec![hint(dm, 4)]).await;
    assert_eq!(lines(&mut live(&world, &ben).await).len(), 2);
    policy(&world, true, false).await;
    assert_eq!(lines(&mut live(&world, &ben).await), [""]);
    passes(&world, &anna, vec![hint(dm, 5)]).await;
    assert_eq!(lines(&mut live(&world, &ben).await), [""]);
}

#[tokio::test]
async fn attacks_33_hints_are_counted_together_and_nothing_of_them_is_stored_or_survives_a_restart()
{
    let world = World::founded().await;
    policy(&world, true, true).await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let dm = anna.create(&world, LogType::Dm, &[&ben]).await.log;
    let mut bens = live(&world, &ben).await;
    passes(&world, &anna, vec![hint(dm, 0xAB)]).await;
    assert_eq!(lines(&mut bens).len(), 2);
    let metrics = world.raw("GET", "/metrics", None, Vec::new()).await.1;
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(metrics.contains("hauspost_hints_total 1\n"), "{metrics}");
    assert!(metrics.contains("hauspost_hints_passed_total 1\n"));
    let World { app, router, folder, clock } = world;
    drop((router, bens));
    app.close().await.unwrap();
    let mut folders = vec![folder.path().to_owned()];
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let stored = std::fs::read(&path).unwrap();
        assert!(!stored.windows(64).any(|bytes| bytes == [0xAB; 64]), "{}", path.display());
    }
    let app = crate::serve::App::open(&super::world::config(&folder, &clock)).await.unwrap();
    let world = World { router: app.router(), app, folder, clock };
    assert_eq!(lines(&mut live(&world, &ben).await), [""]);
}
