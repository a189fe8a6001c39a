//! Large groups: many added at once, the classic suite, and what costs too much when all do it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hauspost_core::env::seeded::{ManualClock, SeededRandomness};
use hauspost_core::env::system::SystemClock;
use hauspost_core::env::{Clock as _, Env};
use hauspost_core::ledger::Ledger;
use hauspost_core::store::rows::entry;
use hauspost_core::store::rows::log::{self, LogState};
use hauspost_core::sync::Https;
use hauspost_protocol::ids::{LogId, Seq};
use hauspost_protocol::limits::HYBRID_LEAVES;
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::wire::path;
use hauspost_tests::bomb;
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World, env};

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_hundreds_is_created_in_the_classic_suite_talks_and_grows_by_many_at_once() {
    let (world, [anna, ben, carla]) = World::of(["anna", "ben", "carla"]).await;
    let mut crowd = world.crowd(anna.account.company(), &[Suite::Classic], 240).await;
    let later = crowd.split_off(200);
    anna.account.sync_all().await.unwrap();

    let members = crowd.into_iter().chain([ben.account.user()]).collect();
    let log = anna.account.create_group(Some("Alle"), members).await.unwrap();
    anna.account.send_text(log, "An alle").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["An alle"]);
    assert_eq!(suite_and_size(&ben, log).await, (Suite::Classic, 202));

    let more = later.into_iter().chain([carla.account.user()]).collect();
    ben.account.add_members(log, more).await.unwrap();
    ben.account.send_text(log, "Und noch mehr").await.unwrap();
    ben.settle().await;
    carla.settle().await;
    carla.account.send_text(log, "Hallo zusammen").await.unwrap();
    carla.settle().await;
    anna.settle().await;
    assert_eq!(anna.texts(log).await, ["An alle", "Und noch mehr", "Hallo zusammen"]);
    assert_eq!(carla.texts(log).await, ["Und noch mehr", "Hallo zusammen"]);
    assert_eq!(suite_and_size(&anna, log).await, (Suite::Classic, 243));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_group_stays_in_the_hybrid_suite_while_it_grows_until_its_owner_changes_it() {
    let (world, [anna, ben]) = World::of(["anna", "ben"]).await;
    let crowd = world.crowd(anna.account.company(), &Suite::ALL, HYBRID_LEAVES).await;
    anna.account.sync_all().await.unwrap();
    let log = anna.account.create_group(None, vec![ben.account.user()]).await.unwrap();
    anna.settle().await;
    anna.account.add_members(log, crowd).await.unwrap();
    anna.account.send_text(log, "Jetzt sind wir viele").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["Jetzt sind wir viele"]);
    assert_eq!(suite_and_size(&ben, log).await, (Suite::Hybrid, HYBRID_LEAVES + 2));

    ben.account.change_suite(log).await.unwrap();
    ben.settle().await;
    assert_eq!(suite_and_size(&ben, log).await.0, Suite::Hybrid, "he is no owner");
    anna.account.change_suite(log).await.unwrap();
    anna.account.send_text(log, "Auf ein Neues").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    ben.account.send_text(log, "Läuft").await.unwrap();
    ben.settle().await;
    anna.settle().await;
    for phone in [&anna, &ben] {
        let said = ["Jetzt sind wir viele", "Auf ein Neues", "Läuft"];
        assert_eq!(phone.texts(log).await, said);
        assert_eq!(suite_and_size(phone, log).await, (Suite::Classic, HYBRID_LEAVES + 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_26_in_a_large_group_a_phone_waits_before_it_adds_by_itself_unless_a_message_does()
{
    let mut world = World::found().await;
    let clock = Arc::new(ManualClock::at(SystemClock.now_ms()));
    let (_, invitation) = world.invited("anna").await;
    // Drawn from a seed, so that the wait is not by chance none.
    let randomness = Arc::new(SeededRandomness::new(26));
    let env = Env { clock: clock.clone(), randomness, ..env(Arc::new(Https)) };
    let anna = world.try_to_enrol("anna", &invitation, env).await.unwrap();
    let crowd = world.crowd(anna.account.company(), &[Suite::Hybrid], 64).await;
    let (ben, bens) = world.invited("ben").await;
    let (carla, carlas) = world.invited("carla").await;
    anna.account.sync_all().await.unwrap();
    let members = crowd.into_iter().chain([ben, carla]).collect();
    let log = anna.account.create_group(None, members).await.unwrap();
    anna.settle().await;

    // Ben comes, and nobody waits for him: other phones might be at it.
    let ben = world.enrol("ben", &bens).await;
    anna.settle().await;
    anna.account.add_missing().await.unwrap();
    anna.settle().await;
    assert_eq!(suite_and_size(&anna, log).await.1, 65);
    clock.advance(4_100);
    anna.settle().await;
    assert_eq!(suite_and_size(&anna, log).await.1, 66);

    // Carla comes, and Anna writes.
    let carla = world.enrol("carla", &carlas).await;
    anna.settle().await;
    anna.account.add_missing().await.unwrap();
    anna.account.send_text(log, "Willkommen").await.unwrap();
    anna.settle().await;
    for phone in [&ben, &carla] {
        phone.settle().await;
        assert_eq!(phone.texts(log).await, ["Willkommen"]);
    }
}

/// Above 64 devices nobody tries to enter a group that nobody can follow: if all did, one by one, that
/// would be a storm of commits. The first who finds it makes it anew.
#[tokio::test(flavor = "multi_thread")]
async fn attacks_2_after_a_commit_bomb_a_large_group_is_made_anew_and_nobody_tries_to_enter() {
    let (devices, shown) = after_a_bomb_among(61).await;
    assert_eq!(devices, 65);
    assert_eq!(shown, Shown { group_infos: 0, kinds: vec![4, 1, 2], read: 2 });
}

/// With one device less the phone enters by an external commit.
#[tokio::test(flavor = "multi_thread")]
async fn attacks_2_after_a_commit_bomb_a_group_that_is_not_large_is_entered_anew() {
    let (devices, shown) = after_a_bomb_among(60).await;
    assert_eq!(devices, 64);
    assert_eq!(shown, Shown { group_infos: 1, kinds: vec![1, 2], read: 1 });
}

/// How a phone went on after a bomb.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    /// How often it asked for GroupInfos.
    group_infos: usize,
    /// What it put into the log before anybody wrote.
    kinds: Vec<u64>,
    /// How many texts Anna's phone reads then: it is taken into a new group, and has to enter an old one
    /// by itself.
    read: usize,
}

/// Anna's group with Ben, Carla and a crowd of so many devices. Ben adds Dora by a bomb, and Carla's
/// phone is the first that hears of it. How many devices there are then, and how her phone goes on.
async fn after_a_bomb_among(crowd: usize) -> (usize, Shown) {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let (bens, carlas) = (Hostile::default(), Hostile::default());
    let ben = world.phone_over("ben", bens.network()).await;
    let clock = Arc::new(ManualClock::at(SystemClock.now_ms()));
    let (_, invitation) = world.invited("carla").await;
    // Drawn from a seed, so that the wait is not by chance none.
    let randomness = Arc::new(SeededRandomness::new(2));
    let env = Env { clock: clock.clone(), randomness, ..env(carlas.network()) };
    let carla = world.try_to_enrol("carla", &invitation, env).await.unwrap();
    let crowd = world.crowd(anna.account.company(), &[Suite::Hybrid], crowd).await;
    let dora = world.phone("dora").await;
    anna.account.sync_all().await.unwrap();
    let all = crowd.into_iter().chain([ben.account.user(), carla.account.user()]).collect();
    let log = anna.account.create_group(None, all).await.unwrap();
    anna.account.send_text(log, "eins").await.unwrap();
    for phone in [&anna, &ben, &carla] {
        phone.settle().await;
    }
    ben.account.sync_all().await.unwrap();
    bomb::arm_once(&ben, &bens).await;
    ben.account.add_members(log, vec![dora.account.user()]).await.unwrap();
    let _ = ben.account.send_once().await;
    bens.is_honest_again();

    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    carlas.changes_requests(path::GROUP_INFO, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    carla.settle().await;
    let broken = ledger(&carla, log).await.row;
    assert_eq!(broken.state, LogState::Broken, "her phone waits for its turn");
    let devices = suite_and_size(&carla, log).await.1;
    // Longer than any wait in a group of this size.
    clock.advance(4_200);
    carla.settle().await;
    let kinds = kinds_from(&carla, log, broken.next_seq).await;
    carla.account.send_text(log, "weiter").await.unwrap();
    carla.settle().await;
    anna.settle().await;
    anna.settle().await;
    assert_eq!(carla.texts(log).await, ["eins", "weiter"]);
    let read = anna.texts(log).await.len();
    (devices, Shown { group_infos: asked.load(Ordering::SeqCst), kinds, read })
}

async fn ledger(phone: &Phone, log: LogId) -> Ledger {
    let read = phone.account.store().read(move |conn| Ledger::load(conn, log));
    read.await.unwrap().unwrap()
}

async fn kinds_from(phone: &Phone, log: LogId, from: Seq) -> Vec<u64> {
    let read = phone.account.store().read(move |conn| {
        let local = log::local(conn, log)?.unwrap();
        entry::skeleton(conn, local, from, u32::MAX)
    });
    read.await.unwrap().into_iter().map(|row| row.kind).collect()
}

pub(super) async fn suite_and_size(phone: &Phone, log: LogId) -> (Suite, usize) {
    let ledger = ledger(phone, log).await;
    let suite = ledger.conversation.as_ref().unwrap().suite;
    (Suite::from_code(suite).unwrap(), ledger.members().count())
}
