//! How far messages have come, as the server tells it: to whom, of what, and how often.

use axum::http::StatusCode;
use hauspost_core::group::commit::Change;
use hauspost_protocol::body::LogType;
use hauspost_protocol::ids::{LeafIndex, Seq};
use hauspost_protocol::wire::{Delivered, DeliveredRequest, Outcome, SyncRequest, path};

use super::conversation::{at, entries, two};
use super::world::{Phone, Room, World, newest};
use crate::serve::limits::DELIVERED_AT_ONCE;
use crate::serve::{Allowance, Quotas};

/// What the server says of these entries, or with which status it refuses.
async fn asked(
    world: &World,
    phone: &Phone,
    room: &Room,
    seqs: impl IntoIterator<Item = u64>,
) -> Result<Vec<(u64, u64)>, StatusCode> {
    let seqs: Vec<_> = seqs.into_iter().map(Seq).collect();
    let request = DeliveredRequest { log: room.log, seqs: seqs.clone() };
    let (status, body) = world.post(path::DELIVERED, Some(&phone.token), &request).await;
    if status != StatusCode::OK {
        return Err(status);
    }
    let told: Vec<Delivered> = hauspost_protocol::encoding::decode(&body).unwrap();
    assert_eq!(told.iter().map(|told| told.seq).collect::<Vec<_>>(), seqs);
    Ok(told.into_iter().map(|told| (told.count, told.of)).collect())
}

/// Pulls, and says by the next pull what it has; or only that it has less.
async fn takes_in(world: &World, phone: &Phone, since: Option<u64>) -> u64 {
    let company_next = world.company(&phone.token).await.size();
    let pull = async |since| {
        let company_next = Seq(company_next);
        let request = SyncRequest { since, cursors: vec![], company_next, checkpoint: None };
        world
            .ask::<_, hauspost_protocol::wire::SyncAnswer>(path::SYNC, &phone.token, &request)
            .await
    };
    let now = pull(None).await.now.unwrap();
    pull(Some(since.unwrap_or(now))).await;
    now
}

async fn says(world: &World, phone: &Phone, room: &Room, leaf: u32, index: u32) -> u64 {
    let record = room.record(leaf, index, format!("{leaf} {index}").as_bytes());
    match phone.append(world, &room.request(vec![record])).await[..] {
        [Outcome::Ok(seq)] => seq.0,
        ref refused => panic!("{refused:?}"),
    }
}

#[tokio::test]
async fn an_author_hears_how_many_people_have_his_entry_and_nobody_else_does() {
    let (world, anna, ben, room) = two().await;
    let stranger = world.phone(3).await;
    let before = takes_in(&world, &ben, None).await;
    let own = says(&world, &anna, &room, 0, 0).await;
    assert_eq!(asked(&world, &anna, &room, [own]).await, Ok(vec![(0, 1)]));
    takes_in(&world, &ben, None).await;
    assert_eq!(asked(&world, &anna, &room, [own]).await, Ok(vec![(1, 1)]));
    // Whoever named less afterwards, as a pull that was under way does, still has it.
    takes_in(&world, &ben, Some(before)).await;
    assert_eq!(asked(&world, &anna, &room, [own]).await, Ok(vec![(1, 1)]));
    // An entry behind what he has, and one that is not there.
    let next = says(&world, &anna, &room, 0, 1).await;
    assert_eq!(
        asked(&world, &anna, &room, [own, next, 99]).await,
        Ok(vec![(1, 1), (0, 1), (0, 1)])
    );
    // Of a colleague's entry nobody hears where it has come, though he has it himself.
    takes_in(&world, &anna, None).await;
    assert_eq!(asked(&world, &ben, &room, [own]).await, Ok(vec![(0, 1)]));
    assert_eq!(asked(&world, &stranger, &room, [own]).await, Err(StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn who_was_removed_neither_counts_nor_asks() {
    let world = World::founded().await;
    let (mut anna, ben, carol) = (world.phone(1).await, world.phone(2).await, world.phone(3).await);
    let mut room = anna.create(&world, LogType::Group, &[&ben, &carol]).await;
    let bens = says(&world, &ben, &room, 1, 0).await;
    let own = says(&world, &anna, &room, 0, 0).await;
    assert_eq!(asked(&world, &anna, &room, [own]).await, Ok(vec![(0, 2)]));
    assert_eq!(asked(&world, &ben, &room, [bens]).await, Ok(vec![(0, 2)]));
    let seen = Some(newest(&entries(&world, &anna, room.log).await));
    let judged_by = at(&world, &anna).await;
    let change = Change { removes: vec![LeafIndex(1)], ..Change::default() };
    let request = anna.commit(&mut room, change, seen, judged_by, None);
    assert!(matches!(anna.append(&world, &request).await[..], [Outcome::Ok(_), Outcome::Ok(_)]));
    assert_eq!(asked(&world, &anna, &room, [own]).await, Ok(vec![(0, 1)]));
    assert_eq!(asked(&world, &ben, &room, [bens]).await, Err(StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn so_many_entries_are_asked_about_at_once() {
    let (world, anna, _, room) = two().await;
    let most = DELIVERED_AT_ONCE as u64;
    assert!(asked(&world, &anna, &room, 0..most).await.is_ok());
    let refused = asked(&world, &anna, &room, 0..=most).await;
    assert_eq!(refused, Err(StatusCode::PAYLOAD_TOO_LARGE));
}

#[tokio::test]
async fn who_asks_again_and_again_waits_until_his_looks_are_paid_off_and_nobody_else_does() {
    let looks = Allowance { at_once: 7, a_day: 86_400 };
    let quotas = Quotas { looks, ..Quotas::default() };
    let world = World::founded_with(|config| config.quotas = quotas).await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let room = anna.create(&world, LogType::Group, &[&ben]).await;
    let own = says(&world, &anna, &room, 0, 0).await;
    // Two devices and one entry are three looks, of which a second pays one off.
    for _ in 0..2 {
        assert_eq!(asked(&world, &anna, &room, [own]).await, Ok(vec![(0, 1)]));
    }
    let busy = Err(StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(asked(&world, &anna, &room, [own]).await, busy);
    assert_eq!(asked(&world, &ben, &room, [own]).await, Ok(vec![(0, 1)]));
    world.advance(1_999);
    assert_eq!(asked(&world, &anna, &room, [own]).await, busy, "what was refused costs nothing");
    world.advance(1);
    assert_eq!(asked(&world, &anna, &room, [own]).await, Ok(vec![(0, 1)]));
}
