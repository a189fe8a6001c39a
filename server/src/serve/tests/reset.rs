//! Resets: a new group for the same conversation.

use hauspost_core::group::commit::{self, Change};
use hauspost_protocol::body::{LogType, ResetBody, ResetReason, SignedPayload};
use hauspost_protocol::company::body::ResetOrder;
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{At, Entry, Head, Kind, Seen};
use hauspost_protocol::ids::{Epoch, Gen, LeafIndex, LogId, Seq};
use hauspost_protocol::mls::extension::GroupBinding;
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::wire::{AppendRequest, LogNews, Outcome};

use super::world::{ADMIN, HR, Phone, Room, World, newest};

/// Anna's group with Ben and Clara.
async fn three() -> (World, [Phone; 3], Room) {
    let world = World::founded().await;
    let (mut anna, ben, clara) = (world.phone(1).await, world.phone(2).await, world.phone(3).await);
    let room = anna.create(&world, LogType::Group, &[&ben, &clara]).await;
    (world, [anna, ben, clara], room)
}

async fn news(world: &World, phone: &Phone, log: LogId) -> LogNews {
    let answer = phone.sync(world, vec![]).await;
    answer.logs.into_iter().find(|news| news.log == log).unwrap()
}

async fn seen(world: &World, phone: &Phone, log: LogId) -> Seen {
    newest(&news(world, phone, log).await.entries)
}

async fn at(world: &World, phone: &Phone) -> At {
    let company = world.company(&phone.token).await;
    At { co: company.size(), company_hash: company.now().hash() }
}

/// The batch of a reset that adds these phones, and the room that it makes.
async fn reset(
    world: &World,
    phone: &mut Phone,
    room: &Room,
    (reason, bad_seq): (ResetReason, Option<Seq>),
    others: &[&Phone],
) -> (Room, AppendRequest) {
    let (seen, at) = (seen(world, phone, room.log).await, at(world, phone).await);
    let r#gen = Gen(room.binding.r#gen.0 + 1);
    let binding = GroupBinding { r#gen, ..room.binding.clone() };
    let mut roster: Vec<_> = others.iter().map(|other| other.device()).collect();
    roster.push(phone.device());
    roster.sort();
    let body = ResetBody { seen: Some(seen), at, reason, bad_seq, roster, missing: vec![] };
    let head = encode(&Head::plain(Kind::Reset, room.log, r#gen, Epoch(0)));
    let signed = SignedPayload::sign(&phone.key, &head, encode(&body), phone.device());
    let base = phone.run(|provider, member| {
        commit::forget(provider, &binding.group_id()).unwrap();
        commit::create(provider, member, Suite::Hybrid, &binding).unwrap().1
    });
    let adds = phone.take(world, others).await;
    let mut room = Room { log: room.log, binding, epoch: Epoch(0), cap: Seq(seen.seq.0 + 3) };
    let change = Change { adds, ..Change::default() };
    let mut request = phone.commit(&mut room, change, Some(seen), at, Some(base));
    request.entries.insert(0, (Bytes(head), Bytes(encode(&signed))));
    (room, request)
}

const BROKEN: (ResetReason, Option<Seq>) = (ResetReason::Broken, Some(Seq(1)));

fn oks(from: u64) -> [Outcome; 3] {
    [from, from + 1, from + 2].map(|seq| Outcome::Ok(Seq(seq)))
}

fn payloads(entries: &[Entry]) -> Vec<bool> {
    entries.iter().map(|entry| entry.payload.bytes().is_some()).collect()
}

#[tokio::test]
async fn attacks_2_a_reset_ends_the_old_epoch_and_everybody_gets_the_new_groups_welcome() {
    let (world, [anna, ben, mut clara], room) = three().await;
    anna.append(&world, &room.request(vec![room.record(0, 0, b"alt")])).await;
    let (new, request) = reset(&world, &mut clara, &room, BROKEN, &[&anna, &ben]).await;
    assert_eq!(clara.append(&world, &request).await, oks(4));
    assert_eq!(clara.append(&world, &request).await, [4, 5, 6].map(|seq| Outcome::Dup(Seq(seq))));
    for phone in [&anna, &ben] {
        let news = news(&world, phone, room.log).await;
        assert_eq!(news.entries.len(), 7);
        assert!(payloads(&news.entries).into_iter().all(|kept| kept), "the old gen stays readable");
        let welcomes: Vec<_> = news.welcomes.iter().map(|(seq, _)| *seq).collect();
        assert!(welcomes.contains(&Seq(5)), "{welcomes:?}");
    }
    let late = anna.append(&world, &room.request(vec![room.record(0, 1, b"zu spaet")])).await;
    assert_eq!(late, [Outcome::Stale(Gen(1), Epoch(1))]);
    let record = new.request(vec![new.record(0, 0, b"neu")]);
    assert_eq!(clara.append(&world, &record).await, [Outcome::Ok(Seq(7))]);
    let (seen, at) = (seen(&world, &clara, room.log).await, at(&world, &clara).await);
    let change = Change { removes: vec![LeafIndex(1)], ..Change::default() };
    let mut new = new;
    let removal = clara.commit(&mut new, change, Some(seen), at, None);
    let refused = clara.append(&world, &removal).await;
    assert_eq!(refused[0], Outcome::Authorise(10), "who makes a reset does not become an owner");
}

#[tokio::test]
async fn attacks_2_a_reset_without_ground_appends_nothing() {
    let (world, [mut anna, mut ben, clara], room) = three().await;
    let ground = Outcome::Authorise(18);
    let own = reset(&world, &mut anna, &room, BROKEN, &[&ben, &clara]).await.1;
    assert_eq!(anna.append(&world, &own).await, vec![ground.clone(); 3], "her own commit");
    let other = (ResetReason::Broken, Some(Seq(2)));
    let not_newest = reset(&world, &mut ben, &room, other, &[&anna, &clara]).await.1;
    assert_eq!(ben.append(&world, &not_newest).await, vec![ground.clone(); 3]);
    let outsider = world.phone(4).await;
    assert_eq!(outsider.append(&world, &not_newest).await, vec![Outcome::Role; 3]);
    clara.append(&world, &room.request(vec![room.record(2, 0, b"hier")])).await;
    let answered = reset(&world, &mut ben, &room, BROKEN, &[&anna, &clara]).await.1;
    assert_eq!(ben.append(&world, &answered).await, vec![ground; 3]);
    assert_eq!(news(&world, &anna, room.log).await.size, 4);
}

#[tokio::test]
async fn an_admins_order_serves_one_reset() {
    let (world, [anna, ben, mut clara], room) = three().await;
    anna.append(&world, &room.request(vec![room.record(0, 0, b"a")])).await;
    ben.append(&world, &room.request(vec![room.record(1, 0, b"b")])).await;
    let order =
        ResetOrder { seen: world.seen().await, log: room.log, reason: "steht still".into() };
    assert_eq!(world.append_company(order.clone().into(), &[HR]).await, Outcome::Role);
    assert!(matches!(world.append_company(order.into(), &[ADMIN]).await, Outcome::Ok(_)));
    let admin = (ResetReason::Admin, None);
    let (new, request) = reset(&world, &mut clara, &room, admin, &[&anna, &ben]).await;
    assert_eq!(clara.append(&world, &request).await, oks(5));
    let mut ben = ben;
    let again = reset(&world, &mut ben, &new, admin, &[&anna, &clara]).await.1;
    assert_eq!(ben.append(&world, &again).await, vec![Outcome::Authorise(18); 3]);
}

#[tokio::test]
async fn who_is_missing_in_the_new_group_reads_up_to_its_first_capsule() {
    let (world, [anna, ben, mut clara], room) = three().await;
    let (_, mut request) = reset(&world, &mut clara, &room, BROKEN, &[&anna]).await;
    let head = request.entries[0].0.clone();
    let seen = seen(&world, &clara, room.log).await;
    let body = ResetBody {
        seen: Some(seen),
        at: at(&world, &clara).await,
        reason: ResetReason::Broken,
        bad_seq: Some(Seq(1)),
        roster: vec![anna.device(), clara.device()],
        missing: vec![ben.device()],
    };
    let signed = SignedPayload::sign(&clara.key, &head, encode(&body), clara.device());
    request.entries[0].1 = Bytes(encode(&signed));
    assert_eq!(clara.append(&world, &request).await, oks(3));
    let news = news(&world, &ben, room.log).await;
    assert_eq!(news.entries.len(), 6);
    assert!(news.welcomes.iter().all(|(seq, _)| *seq == Seq(1)));
}

#[tokio::test]
async fn a_second_reset_of_one_device_on_one_day_is_refused() {
    let (world, [anna, ben, mut clara], room) = three().await;
    let (new, request) = reset(&world, &mut clara, &room, BROKEN, &[&anna, &ben]).await;
    clara.append(&world, &request).await;
    let order = ResetOrder { seen: world.seen().await, log: room.log, reason: "nochmals".into() };
    world.append_company(order.into(), &[ADMIN]).await;
    let admin = (ResetReason::Admin, None);
    let (_, again) = reset(&world, &mut clara, &new, admin, &[&anna, &ben]).await;
    assert_eq!(clara.append(&world, &again).await, vec![Outcome::Authorise(19); 3]);
    world.advance(86_400_000);
    clara.token = world.session(&clara.sign_in(&world).await).await.unwrap();
    assert_eq!(clara.append(&world, &again).await, oks(6));
}
