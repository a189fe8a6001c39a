//! C13 in a company with a clock of its own: keys that are old are renewed before the next message.

// clippy knows tests by #[test]; the helpers of an integration test are tests as well.
#![allow(clippy::unwrap_used)]

use hauspost_core::store::rows::log;
use hauspost_protocol::ids::{Epoch, LogId};
use hauspost_tests::sim::world::World;
use hauspost_tests::sim::{Harm, Plan};

const DAY_MS: u64 = 86_400_000;

async fn pulls(world: &mut World, phone: usize) {
    world.act(phone, "pulls", |account| async move { account.sync_all().await }).await;
}

/// A phone says something, and everybody reads it; the epoch that it was said in.
async fn says(world: &mut World, phone: usize, log: LogId, text: &'static str) -> Epoch {
    pulls(world, phone).await;
    let said = world
        .act(phone, "says", |account| async move {
            account.send_text(log, text).await?;
            account.send_once().await?;
            account.sync_all().await
        })
        .await;
    assert!(matches!(said, Some(Ok(()))), "{text}: {said:?}");
    for other in 0..world.phones.len() {
        pulls(world, other).await;
    }
    let account = world.wire.account(phone).unwrap();
    let row = account.store().read(move |conn| log::find(conn, log)).await.unwrap().unwrap();
    row.epoch
}

/// Days pass, with the checkpoints that the server makes by itself.
async fn days(world: &mut World, days: u64) {
    world.pass(days * DAY_MS);
    world.checkpoint().await;
}

#[tokio::test]
async fn who_speaks_in_an_old_epoch_renews_his_keys_first_and_nobody_does_so_twice() {
    let plan = Plan { phones: 3, steps: 0, harm: Harm::None, events: &[] };
    let mut world = World::found(4711, plan).await;
    pulls(&mut world, 0).await;
    let members = world.phones[1..].iter().map(|phone| phone.user).collect();
    let log = world
        .act(0, "begins a group", |account| async move {
            let log = account.create_group(None, members).await?;
            account.send_once().await?;
            Ok(log)
        })
        .await;
    let log = log.unwrap().unwrap();
    assert_eq!(says(&mut world, 0, log, "am ersten Tag").await, Epoch(1));
    days(&mut world, 29).await;
    assert_eq!(says(&mut world, 1, log, "nach 29 Tagen").await, Epoch(1));
    days(&mut world, 2).await;
    assert_eq!(says(&mut world, 1, log, "nach 31 Tagen").await, Epoch(2), "the epoch was old");
    assert_eq!(says(&mut world, 0, log, "gleich danach").await, Epoch(2), "and is young now");
    days(&mut world, 20).await;
    assert_eq!(says(&mut world, 2, log, "drei Wochen später").await, Epoch(2));
    days(&mut world, 11).await;
    // Two that know nothing of each other want to renew; one wins, and the other goes on with it.
    for phone in [0, 2] {
        pulls(&mut world, phone).await;
    }
    for (phone, text) in [(0, "ich zuerst"), (2, "ich auch")] {
        let said = world
            .act(phone, "says", |account| async move { account.send_text(log, text).await })
            .await;
        assert!(matches!(said, Some(Ok(_))));
    }
    for phone in [0, 2] {
        let sent = world.act(phone, "sends", |a| async move { a.send_once().await }).await;
        assert!(matches!(sent, Some(Ok(()))), "{sent:?}");
    }
    assert_eq!(says(&mut world, 1, log, "zum Schluss").await, Epoch(3));
    let broken = world.heal().await;
    assert_eq!(broken, Vec::<String>::new());
    let (broken, _) = hauspost_tests::sim::check::all(&mut world).await;
    assert_eq!(broken, Vec::<String>::new());
}
