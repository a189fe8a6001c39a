//! A phone killed at every write of sending and receiving, and switched on again.

use hauspost_core::store::rows::outbox::{self, IntentState};
use hauspost_core::store::{FaultPoint, StoreError};

use hauspost_tests::real::{Phone, World};

/// More writes than any of the rounds needs, so that the last rounds run without a kill.
const WRITES: u64 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_killed_at_any_write_loses_and_doubles_nothing() {
    let (_world, [mut anna, ben, carla]) = World::of(["anna", "ben", "carla"]).await;
    anna.settle().await;
    let log = anna.account.create_group(None, vec![ben.account.user()]).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    let mut written = Vec::new();
    let mut deaths = 0;
    for nth in 1..=WRITES {
        for point in [FaultPoint::BeforeCommit, FaultPoint::AfterCommit] {
            let text = format!("Nachricht {nth} {point:?}");
            // Before each second message a commit: Carla comes or goes.
            let change = nth % 2 == 0;
            anna.kill_at(nth, point);
            if change && point == FaultPoint::BeforeCommit {
                let _ = anna.account.add_members(log, vec![carla.account.user()]).await;
            } else if change {
                let _ = anna.account.remove_member(log, carla.account.user()).await;
            }
            let stored = anna.account.send_text(log, &text).await;
            anna.try_to_settle().await;
            deaths += u32::from(anna.is_dead().await);
            anna = anna.restart().await;
            anna.settle().await;
            anna.settle().await;
            ben.settle().await;
            let texts = ben.texts(log).await;
            let times = texts.iter().filter(|known| **known == text).count();
            // Who was not told that it is stored may find it stored all the same, once.
            assert!(times == 1 || (stored.is_err() && times == 0), "{times} times: {text}");
            if times == 1 {
                written.push(text);
            }
            assert_eq!(texts, written);
            assert_eq!(anna.texts(log).await, written);
        }
    }
    assert_eq!(ben.gaps(log).await + ben.alarms().await + anna.alarms().await, 0);
    assert!(deaths >= 12, "the phone died {deaths} times only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_sealed_by_the_transaction_that_stores_it_and_outlives_a_kill_behind_it() {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    let log = anna.writes_first(&ben, "eins").await;
    anna.account.send_text(log, "zwei").await.unwrap();
    // What is said before the first one is answered waits for its turn.
    anna.account.send_text(log, "drei").await.unwrap();
    let states = |phone: &Phone| {
        let store = phone.account.store().clone();
        async move {
            let open = store.read::<_, StoreError, _>(move |conn| outbox::open(conn, log, 9));
            open.await.unwrap().iter().map(|intent| intent.state).collect::<Vec<_>>()
        }
    };
    assert_eq!(states(&anna).await, [IntentState::Sealed, IntentState::Queued]);
    let anna = anna.restart().await;
    assert_eq!(states(&anna).await, [IntentState::Sealed, IntentState::Queued]);
    anna.settle().await;
    assert!(states(&anna).await.is_empty());
    // There is one write, and killed in it the phone has neither the text nor its bytes.
    anna.kill_at(1, FaultPoint::BeforeCommit);
    anna.account.send_text(log, "verloren").await.unwrap_err();
    let anna = anna.restart().await;
    assert!(states(&anna).await.is_empty(), "nothing of it was stored");
    anna.account.send_text(log, "vier").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["eins", "zwei", "drei", "vier"]);
    assert_eq!(ben.gaps(log).await + ben.alarms().await + anna.alarms().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_killed_at_any_write_loses_and_doubles_nothing() {
    let (_world, [anna, mut ben, carla]) = World::of(["anna", "ben", "carla"]).await;
    anna.settle().await;
    let log = anna.account.create_group(Some("Lager"), vec![ben.account.user()]).await.unwrap();
    let mut written = Vec::new();
    for nth in 1..=4 {
        for point in [FaultPoint::BeforeCommit, FaultPoint::AfterCommit] {
            let text = format!("Nachricht {nth} {point:?}");
            anna.account.send_text(log, &text).await.unwrap();
            written.push(text);
            if point == FaultPoint::BeforeCommit {
                anna.account.add_members(log, vec![carla.account.user()]).await.unwrap();
            } else {
                anna.account.remove_member(log, carla.account.user()).await.unwrap();
            }
            anna.settle().await;
            ben.kill_at(nth, point);
            ben.try_to_settle().await;
            ben = ben.restart().await;
            ben.settle().await;
            assert_eq!(ben.texts(log).await, written);
        }
    }
    assert_eq!(ben.gaps(log).await + ben.alarms().await, 0);
    ben.account.send_text(log, "alles da").await.unwrap();
    ben.settle().await;
    anna.settle().await;
    assert_eq!(anna.texts(log).await.last().map(String::as_str), Some("alles da"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_that_broke_off_goes_on_as_the_same_device() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let (_, invitation) = world.invited("ben").await;
    let ben = world.enrol_in_two_tries("ben", &invitation).await;
    anna.settle().await;
    let log = anna.writes_first(&ben, "willkommen").await;
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["willkommen"]);
}
