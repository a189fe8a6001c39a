//! What a phone says of itself when it pulls, and what it takes from what it is told.

use std::sync::{Arc, Mutex};

use hauspost_protocol::encoding::decode;
use hauspost_protocol::wire::{SyncRequest, path};
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::World;

/// The pulls of a phone over this network, from now on.
fn pulls(network: &Hostile) -> Arc<Mutex<Vec<SyncRequest>>> {
    let pulls: Arc<Mutex<Vec<SyncRequest>>> = Arc::default();
    let noted = pulls.clone();
    network.answers(move |request| {
        if request.path == path::SYNC {
            noted.lock().unwrap().push(decode(&request.body).unwrap());
        }
        None
    });
    pulls
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_pull_of_a_phone_names_the_cursor_of_each_room() {
    let mut world = World::found().await;
    let network = Hostile::default();
    let anna = world.phone("anna").await;
    let ben = world.phone_over("ben", network.network()).await;
    let mut logs = Vec::new();
    for number in 0..5 {
        let title = format!("Baustelle {number}");
        let members = vec![ben.account.user()];
        logs.push(anna.account.create_group(Some(&title), members).await.unwrap());
    }
    anna.settle().await;
    ben.settle().await;
    let ben = ben.restart().await;
    let seen = pulls(&network);
    ben.settle().await;
    anna.account.send_text(logs[3], "Der Kran ist da").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert_eq!(ben.texts(logs[3]).await, ["Der Kran ist da"]);
    let seen = seen.lock().unwrap();
    assert_eq!((seen[0].since, seen[0].cursors.len()), (None, 5));
    for pull in &seen[1..] {
        assert!(pull.since.is_some() && pull.cursors.is_empty(), "{pull:?}");
    }
    assert!(seen.len() > 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_asks_for_what_a_server_skips_and_misses_nothing() {
    let mut world = World::found().await;
    let network = Hostile::default();
    let anna = world.phone("anna").await;
    let ben = world.phone_over("ben", network.network()).await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.settle().await;
    ben.settle().await;

    // The server tells nothing of the first text, and claims that this was all.
    network.twists_news(|answer| answer.logs.clear());
    anna.account.send_text(log, "eins").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert!(ben.texts(log).await.is_empty());
    network.is_honest_again();
    anna.account.send_text(log, "zwei").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["eins", "zwei"]);
    assert_eq!((ben.alarms().await, ben.gaps(log).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_come_late_do_not_take_the_place_of_newer_ones() {
    let mut world = World::found().await;
    let network = Hostile::default();
    let ben = world.phone("ben").await;
    let anna = world.phone_over("anna", network.network()).await;
    let user = ben.account.user();
    world.renames(user, "ben", "Ben Krüger").await;
    let held = network.holds_back(path::DIRECTORY);
    let refresh = || {
        let account = anna.account.clone();
        tokio::spawn(async move { account.refresh_people().await })
    };
    let first = refresh();
    held.came().await;
    world.renames(user, "ben", "Ben Kurz").await;
    let second = refresh();
    // Time enough to be answered, for a second question that did not wait for the first one's answer.
    for _ in 0..5 {
        anna.account.sync_all().await.unwrap();
    }
    held.release();
    for asked in [first, second] {
        asked.await.unwrap().unwrap();
    }
    let people = anna.account.people(9).await.unwrap();
    let named = people.into_iter().find(|person| person.user == user).unwrap();
    assert_eq!(named.name.as_deref(), Some("Ben Kurz"));
}
