//! What the server refuses though its form is right, and what it forgets.

use axum::http::StatusCode;
use hauspost_core::group::commit::Change;
use hauspost_protocol::body::{InviteBody, InviteOp, LogType, SignedPayload};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{Head, Kind, Seen};
use hauspost_protocol::ids::{EntryHash, Gen, LeafIndex, Seq, UserId};
use hauspost_protocol::limits::{DAY_MS, KEY_PACKAGE_AGE_MS};
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::wire::{Outcome, PackageTaken, PackagesTake, path};

use super::conversation::{at, entries, two};
use super::world::{World, newest};

#[tokio::test]
async fn a_number_that_was_reserved_for_somebody_else_begins_no_conversation() {
    let world = World::founded().await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let own = std::mem::replace(&mut anna.token, ben.token.clone());
    let (_, request) = anna.draft(&world, LogType::Group, &[&ben]).await;
    anna.token = own;
    assert_eq!(anna.append(&world, &request).await, vec![Outcome::NoLog; 3]);
}

#[tokio::test]
async fn nobody_s_word_is_put_into_another_history() {
    let (world, anna, _ben, room) = two().await;
    let true_one = newest(&entries(&world, &anna, room.log).await);
    for wrong in [Seen { hash: EntryHash([7; 32]), ..true_one }, Seen { seq: Seq(9), ..true_one }] {
        let body = InviteBody {
            seen: Some(wrong),
            at: at(&world, &anna).await,
            op: InviteOp::Invite,
            user: UserId([3; 16]),
        };
        let head = encode(&Head::plain(Kind::Invite, room.log, Gen(0), room.epoch));
        let signed = SignedPayload::sign(&anna.key, &head, encode(&body), anna.device());
        let request = room.request(vec![(Bytes(head), Bytes(encode(&signed)))]);
        assert_eq!(anna.append(&world, &request).await, [Outcome::Form]);
    }
}

#[tokio::test]
async fn a_commit_names_what_its_author_had_seen_of_this_very_log() {
    let (world, anna, _ben, mut room) = two().await;
    let true_one = newest(&entries(&world, &anna, room.log).await);
    let (judged_by, epoch) = (at(&world, &anna).await, room.epoch);
    let taken = vec![Outcome::Ok(Seq(3)), Outcome::Ok(Seq(4))];
    for (seen, outcomes) in [
        (Seen { hash: EntryHash([7; 32]), ..true_one }, vec![Outcome::Form; 2]),
        (Seen { seq: Seq(9), ..true_one }, vec![Outcome::Form; 2]),
        (true_one, taken),
    ] {
        let mut twin = anna.twin();
        room.epoch = epoch;
        let change = Change { removes: vec![LeafIndex(1)], ..Change::default() };
        let request = twin.commit(&mut room, change, Some(seen), judged_by, None);
        assert_eq!(twin.append(&world, &request).await, outcomes);
    }
}

#[tokio::test]
async fn a_log_s_time_stands_still_while_the_server_s_clock_is_set_back() {
    let (world, anna, _ben, room) = two().await;
    let before = entries(&world, &anna, room.log).await.last().unwrap().t_ms;
    world.clock.fetch_sub(10 * 60_000, std::sync::atomic::Ordering::SeqCst);
    let sent = anna.append(&world, &room.request(vec![room.record(0, 0, b"a")])).await;
    assert_eq!(sent, [Outcome::Ok(Seq(3))]);
    assert_eq!(entries(&world, &anna, room.log).await.last().unwrap().t_ms, before);
}

#[tokio::test]
async fn a_tree_is_for_those_who_have_a_leaf_or_had_one() {
    let (world, anna, ben, room) = two().await;
    let stranger = world.phone(3).await;
    let info = format!("{}/{}/0/1", path::GROUP_INFO, room.log);
    let infos: Vec<Bytes> = world.get(&info, Some(&ben.token)).await;
    let info = hauspost_protocol::mls::public::parse_group_info(&infos[0]).unwrap();
    let hash = hex::encode(info.group_context().tree_hash());
    let tree = format!("{}/{}/{hash}", path::TREE, room.log);
    let ask = async |token: &str| world.raw("GET", &tree, Some(token), vec![]).await.0;
    assert_eq!(ask(&anna.token).await, StatusCode::OK);
    assert_eq!(ask(&ben.token).await, StatusCode::OK);
    assert_eq!(ask(&stranger.token).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_package_that_grows_too_old_within_a_day_is_given_to_nobody() {
    let world = World::founded().await;
    let (anna, ben) = (world.phone(1).await, world.phone(2).await);
    let request = PackagesTake { suite: Suite::Hybrid.code(), devices: vec![ben.device()] };
    world.advance(KEY_PACKAGE_AGE_MS - DAY_MS - 60_000);
    let anna = world.sign_in_again(anna).await;
    let mut fit = Vec::new();
    for _ in 0..2 {
        let taken: Vec<PackageTaken> = world.ask(path::PACKAGES_TAKE, &anna.token, &request).await;
        fit.push(taken[0].package.is_some());
        world.advance(120_000);
    }
    assert_eq!(fit, [true, false], "whoever took the second would have his commit refused");
}
