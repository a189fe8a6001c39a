//! External commits: who may enter by himself, and the GroupInfos by which he does (C6, C9, S9, S10).

use axum::http::StatusCode;
use hauspost_core::group::commit::Change;
use hauspost_protocol::authorise::Rule;
use hauspost_protocol::body::{InviteBody, InviteOp, LogType, SignedPayload};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{At, Entry, Head, Kind};
use hauspost_protocol::ids::{Epoch, Gen, LogId, Seq, UserId};
use hauspost_protocol::wire::{NewEntry, Outcome, path};

use super::world::{Phone, Room, World, newest};

async fn two() -> (World, Phone, Phone, Room) {
    let world = World::founded().await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let room = anna.create(&world, LogType::Group, &[&ben]).await;
    (world, anna, ben, room)
}

async fn entries(world: &World, phone: &Phone, log: LogId) -> Vec<Entry> {
    let answer = phone.sync(world, vec![]).await;
    answer.logs.into_iter().find(|news| news.log == log).map_or(vec![], |news| news.entries)
}

async fn at(world: &World, phone: &Phone) -> At {
    let company = world.company(&phone.token).await;
    At { co: company.size(), company_hash: company.now().hash() }
}

async fn word(world: &World, by: &Phone, room: &Room, op: InviteOp, user: UserId) -> NewEntry {
    let seen = Some(newest(&entries(world, by, room.log).await));
    let body = InviteBody { seen, at: at(world, by).await, op, user };
    let head = encode(&Head::plain(Kind::Invite, room.log, Gen(0), room.epoch));
    let signed = SignedPayload::sign(&by.key, &head, encode(&body), by.device());
    (Bytes(head), Bytes(encode(&signed)))
}

async fn invite(world: &World, by: &Phone, room: &Room, user: UserId) {
    let entry = word(world, by, room, InviteOp::Invite, user).await;
    let outcomes = by.append(world, &room.request(vec![entry])).await;
    assert!(matches!(outcomes[0], Outcome::Ok(_)), "{outcomes:?}");
}

fn infos_of(room: &Room) -> String {
    format!("{}/{}/0/{}", path::GROUP_INFO, room.log, room.epoch)
}

async fn infos(world: &World, phone: &Phone, room: &Room) -> Vec<Bytes> {
    world.get(&infos_of(room), Some(&phone.token)).await
}

async fn put(world: &World, phone: &Phone, room: &Room, info: &Bytes) -> StatusCode {
    world.raw("PUT", &infos_of(room), Some(&phone.token), encode(info)).await.0
}

#[tokio::test]
async fn attacks_41_who_is_invited_enters_by_himself_and_gets_what_is_said_from_then_on() {
    let (world, anna, _ben, mut room) = two().await;
    anna.append(&world, &room.request(vec![room.record(0, 0, b"before")])).await;
    let mut carol = world.phone(3).await;
    assert!(entries(&world, &carol, room.log).await.is_empty(), "nobody has let her in");
    invite(&world, &anna, &room, carol.user()).await;
    let seen = entries(&world, &carol, room.log).await;
    assert_eq!(seen.len(), 5, "the log is there to be followed from outside");
    assert_eq!(seen[3].payload.bytes(), None, "but no record");

    let entry = carol.entering(&world, &mut room).await;
    assert_eq!(carol.append(&world, &entry).await, [Outcome::Ok(Seq(5)), Outcome::Ok(Seq(6))]);
    assert_eq!(carol.append(&world, &entry).await, [Outcome::Dup(Seq(5)), Outcome::Dup(Seq(6))]);
    room.cap = Seq(6);
    let hers = room.record(2, 0, b"here I am");
    assert_eq!(carol.append(&world, &room.request(vec![hers])).await, [Outcome::Ok(Seq(7))]);
    let seen = entries(&world, &carol, room.log).await;
    assert_eq!(seen[3].payload.bytes(), None);
    assert_eq!(seen[7].payload.bytes(), Some(&b"here I am"[..]));
}

#[tokio::test]
async fn attacks_1_an_external_commit_of_somebody_uninvited_is_refused() {
    let (world, anna, _ben, mut room) = two().await;
    let mut carol = world.phone(3).await;
    let (status, _) = world.raw("GET", &infos_of(&room), Some(&carol.token), vec![]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // Even with all that a member could pass on to her.
    let (own, member) = (carol.token.clone(), anna.token.clone());
    carol.token = member;
    let entry = carol.entering(&world, &mut room).await;
    carol.token = own;
    let refused = Outcome::Authorise(Rule::Enter.code());
    assert_eq!(carol.append(&world, &entry).await, [refused.clone(), refused]);
    // Nor does a member bring it in for her.
    assert_eq!(anna.append(&world, &entry).await, [Outcome::Role, Outcome::Role]);
    assert_eq!(entries(&world, &anna, room.log).await.len(), 3);
}

#[tokio::test]
async fn who_left_sees_no_more_of_the_log_and_does_not_enter_again() {
    let (world, mut anna, mut ben, mut room) = two().await;
    let leave = word(&world, &ben, &room, InviteOp::Leave, ben.user()).await;
    assert_eq!(ben.append(&world, &room.request(vec![leave])).await, [Outcome::Ok(Seq(3))]);
    let (status, _) = world.raw("GET", &infos_of(&room), Some(&ben.token), vec![]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let token = std::mem::replace(&mut ben.token, anna.token.clone());
    let entry = ben.entering(&world, &mut room).await;
    ben.token = token;
    let refused = Outcome::Authorise(Rule::Enter.code());
    assert_eq!(ben.append(&world, &entry).await, [refused.clone(), refused]);
    let mut room = Room { epoch: Epoch(1), ..room };
    let seen = newest(&entries(&world, &anna, room.log).await);
    let removes = vec![hauspost_protocol::ids::LeafIndex(1)];
    let change = Change { removes, ..Default::default() };
    let judged_by = at(&world, &anna).await;
    let request = anna.commit(&mut room, change, Some(seen), judged_by, None);
    assert!(matches!(anna.append(&world, &request).await[..], [Outcome::Ok(_), Outcome::Ok(_)]));
    room.cap = Seq(5);
    anna.append(&world, &room.request(vec![room.record(0, 0, b"alone")])).await;
    assert_eq!(entries(&world, &ben, room.log).await.len(), 6);
}

#[tokio::test]
async fn who_lost_the_way_enters_anew_in_his_own_leaf_s_place_and_reads_what_he_missed_to_be_able_to()
 {
    let (world, anna, mut ben, mut room) = two().await;
    anna.append(&world, &room.request(vec![room.record(0, 0, b"heard")])).await;
    let entry = ben.entering(&world, &mut room).await;
    assert!(matches!(ben.append(&world, &entry).await[..], [Outcome::Ok(_), Outcome::Ok(_)]));
    room.cap = Seq(5);
    let his = room.record(1, 0, b"back");
    assert_eq!(ben.append(&world, &room.request(vec![his])).await, [Outcome::Ok(Seq(6))]);
    let seen = entries(&world, &ben, room.log).await;
    assert_eq!(seen[3].payload.bytes(), Some(&b"heard"[..]), "he was a member all the time");
}

#[tokio::test]
async fn of_two_who_enter_at_once_the_second_is_told_that_the_epoch_is_over() {
    let (world, anna, _ben, room) = two().await;
    let (mut carol, mut dora) = (world.phone(3).await, world.phone(4).await);
    invite(&world, &anna, &room, carol.user()).await;
    invite(&world, &anna, &room, dora.user()).await;
    let copy = || Room { binding: room.binding.clone(), ..room };
    let first = carol.entering(&world, &mut copy()).await;
    let second = dora.entering(&world, &mut copy()).await;
    assert!(matches!(carol.append(&world, &first).await[..], [Outcome::Ok(_), Outcome::Ok(_)]));
    let stale = Outcome::Stale(Gen(0), Epoch(2));
    assert_eq!(dora.append(&world, &second).await, [stale.clone(), stale]);
    let again = dora.entering(&world, &mut Room { epoch: Epoch(2), ..copy() }).await;
    assert!(matches!(dora.append(&world, &again).await[..], [Outcome::Ok(_), Outcome::Ok(_)]));
}

#[tokio::test]
async fn c6_a_member_puts_its_own_group_info_and_three_are_kept() {
    let (world, mut anna, _ben, mut room) = two().await;
    let mut others = Vec::new();
    for number in 3..7 {
        let mut phone = world.phone(number).await;
        invite(&world, &anna, &room, phone.user()).await;
        let entry = phone.entering(&world, &mut room).await;
        let taken = phone.append(&world, &entry).await;
        assert!(matches!(taken[..], [Outcome::Ok(_), Outcome::Ok(_)]), "{taken:?}");
        others.push(phone);
    }
    // The last one came by itself, and its own GroupInfo with it; the others follow its commit.
    let commits: Vec<_> = entries(&world, &anna, room.log).await;
    let last = others.pop().unwrap();
    let mut put_by = Vec::new();
    for phone in [&mut anna].into_iter().chain(&mut others) {
        follow(phone, &commits, &room);
        let info = phone.group_info(&room);
        assert_eq!(put(&world, phone, &room, &info).await, StatusCode::OK);
        put_by.push(info);
    }
    let kept = infos(&world, &anna, &room).await;
    assert_eq!(kept.len(), 3, "the committer's, and the newest of two others");
    assert_eq!(kept[1..], put_by[put_by.len() - 2..]);

    // Put again, it is the newest; nobody puts another's, or one of an epoch that is over.
    assert_eq!(put(&world, &others[1], &room, &put_by[2]).await, StatusCode::OK);
    assert_eq!(infos(&world, &anna, &room).await[2], put_by[2]);
    assert_eq!(put(&world, &anna, &room, &put_by[2]).await, StatusCode::BAD_REQUEST);
    let mut wrong = put_by[2].clone();
    let end = wrong.len() - 1;
    wrong.0[end] ^= 1;
    assert_eq!(put(&world, &others[1], &room, &wrong).await, StatusCode::BAD_REQUEST);
    let old = Room { epoch: Epoch(room.epoch.0 - 1), binding: room.binding.clone(), ..room };
    assert_eq!(put(&world, &anna, &old, &put_by[0]).await, StatusCode::CONFLICT);
    let stranger = world.phone(9).await;
    assert_eq!(put(&world, &stranger, &room, &put_by[0]).await, StatusCode::NOT_FOUND);
    drop(last);
}

/// Takes in the commits that came since the phone's own.
fn follow(phone: &mut Phone, commits: &[Entry], room: &Room) {
    use hauspost_core::group::commit;
    use hauspost_protocol::rules::form::{ParsedPayload, parse};
    let id = room.binding.group_id();
    for entry in commits {
        let payload = entry.payload.bytes().unwrap_or_default();
        let Ok(parsed) = parse(&entry.head, payload) else { continue };
        let ParsedPayload::Commit(_, body) = &parsed.payload else { continue };
        phone.run(|provider, _| {
            let mut group = commit::load(provider, &id).unwrap();
            if group.epoch().as_u64() + 1 == parsed.head.epoch.0 {
                let taken = commit::take(provider, &mut group, &body.mls_message).unwrap();
                commit::merge(provider, &mut group, taken).unwrap();
            }
        });
    }
}
