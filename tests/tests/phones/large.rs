//! Groups of more than a hundred devices: the classic suite, many added at once.

use std::sync::Arc;

use hauspost_core::env::seeded::{ManualClock, SeededRandomness};
use hauspost_core::env::system::SystemClock;
use hauspost_core::env::{Clock as _, Env};
use hauspost_core::ledger::Ledger;
use hauspost_core::store::StoreError;
use hauspost_core::sync::Https;
use hauspost_protocol::ids::LogId;
use hauspost_protocol::limits::HYBRID_LEAVES;
use hauspost_protocol::mls::member::Suite;
use hauspost_tests::real::{Phone, World, env};

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_hundreds_is_created_in_the_classic_suite_talks_and_grows_by_many_at_once() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let carla = world.phone("carla").await;
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
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
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

async fn suite_and_size(phone: &Phone, log: LogId) -> (Suite, usize) {
    let read = phone.account.store().read(move |conn| {
        let ledger = Ledger::load(conn, log)?.unwrap();
        let suite = ledger.conversation.as_ref().unwrap().suite;
        Ok::<_, StoreError>((Suite::from_code(suite).unwrap(), ledger.members().count()))
    });
    read.await.unwrap()
}
