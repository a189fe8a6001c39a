//! A member, or the server, leads phones astray; they find the way back by themselves (C6, C7, C12).

use hauspost_core::inbound::Code;
use hauspost_core::read::Window;
use hauspost_core::store::rows::log;
use hauspost_core::store::rows::message::MessageKind;
use hauspost_protocol::encoding::{Bytes, decode};
use hauspost_protocol::ids::LogId;
use hauspost_protocol::wire::{AppendRequest, path};
use hauspost_tests::bomb;
use hauspost_tests::real::Phone;

use crate::Scene;

async fn unreadable(phone: &Phone, log: LogId) -> u64 {
    let page = phone.account.timeline(log, Window::Newest, 500).await.unwrap();
    let lines = page.rows.iter().filter(|row| row.kind == MessageKind::Unreadable);
    lines.map(|row| row.missing).sum()
}

/// Ben's phone is patched: the commit by which it adds this person is a bomb.
async fn ben_throws_a_bomb(scene: &Scene, adding: &Phone) {
    scene.ben.settle().await;
    bomb::arm_once(&scene.ben, &scene.lies).await;
    scene.ben.account.add_members(scene.log, vec![adding.account.user()]).await.unwrap();
    let _ = scene.ben.account.send_once().await;
    scene.lies.is_honest_again();
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_2_after_a_commit_bomb_every_phone_enters_anew_and_the_conversation_goes_on() {
    let mut scene = Scene::open().await;
    let carla = scene.world.phone("carla").await;
    scene.anna.account.add_members(scene.log, vec![carla.account.user()]).await.unwrap();
    for phone in [&scene.anna, &scene.ben, &carla] {
        phone.settle().await;
    }
    let dora = scene.world.phone("dora").await;
    ben_throws_a_bomb(&scene, &dora).await;

    scene.anna.account.send_text(scene.log, "vier").await.unwrap();
    for _ in 0..3 {
        for phone in [&scene.anna, &scene.ben, &carla, &dora] {
            phone.settle().await;
        }
    }
    carla.account.send_text(scene.log, "fünf").await.unwrap();
    carla.settle().await;
    for phone in [&scene.anna, &scene.ben, &carla, &dora] {
        phone.settle().await;
        assert_eq!(phone.stopped(scene.log).await, None);
        let texts = phone.texts(scene.log).await;
        assert_eq!(texts.last().map(String::as_str), Some("fünf"));
        let shown = texts.iter().filter(|text| *text == "vier").count() as u64;
        let missed = unreadable(phone, scene.log).await;
        assert!(shown == 1 || missed > 0, "what was missed is said to be missed");
        assert_eq!(phone.gaps(scene.log).await, 0);
    }
    assert_eq!(scene.anna.alarm_codes().await, [Code::Mls as u64]);
    assert_eq!(carla.alarm_codes().await, [Code::Mls as u64]);
    assert_eq!(scene.ben.alarm_codes().await, [Code::Rollback as u64], "not the commit he made");
}

/// Which epoch of the conversation this phone has come to.
async fn epoch(phone: &Phone, log: LogId) -> u64 {
    let row = phone.account.store().read(move |conn| log::find(conn, log)).await.unwrap();
    row.unwrap().epoch.0
}

/// Anna's tablet enters and is heard: nobody lost the way, and its commit is the only one.
async fn a_tablet_enters(scene: &mut Scene, colleague: &Phone) {
    let (anna, log) = (&scene.anna, scene.log);
    let before = epoch(anna, log).await;
    let tablet = scene.world.second_phone("anna", anna).await;
    tablet.settle().await;
    tablet.account.send_text(log, "vom Tablet").await.unwrap();
    tablet.settle().await;
    for phone in [anna, colleague, &tablet] {
        phone.settle().await;
        assert_eq!(epoch(phone, log).await, before + 1, "one commit, the tablet's");
        assert_eq!(phone.texts(log).await.last().unwrap(), "vom Tablet");
        assert_eq!(phone.alarms().await + phone.gaps(log).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_2_a_commit_whose_group_info_leads_nowhere_is_mended_by_those_who_took_it_in() {
    let mut scene = Scene::open().await;
    let carla = scene.world.phone("carla").await;
    scene.ben.settle().await;
    bomb::arm_way_in(&scene.ben, &scene.lies).await;
    // And that is the last that is heard of Ben's phone.
    scene.lies.loses_chosen(path::APPEND, |request| {
        decode::<AppendRequest>(&request.body).is_ok_and(|append| append.group_info.is_some())
    });
    scene.ben.account.add_members(scene.log, vec![carla.account.user()]).await.unwrap();
    let _ = scene.ben.account.send_once().await;
    scene.anna.settle().await;
    carla.settle().await;
    scene.anna.account.look_at_ways_in().await.unwrap();
    carla.account.look_at_ways_in().await.unwrap();
    a_tablet_enters(&mut scene, &carla).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_2_a_member_who_puts_a_group_info_that_leads_nowhere_leads_nobody_astray() {
    let mut scene = Scene::open().await;
    let carla = scene.world.phone("carla").await;
    scene.anna.account.add_members(scene.log, vec![carla.account.user()]).await.unwrap();
    for phone in [&scene.anna, &scene.ben, &carla] {
        phone.settle().await;
    }
    // Ben's phone is patched: whatever is there, it puts its own, and that one is false.
    scene.lies.twists(path::GROUP_INFO, |infos: &mut Vec<Bytes>| infos.clear());
    bomb::arm_group_infos(&scene.ben, &scene.lies).await;
    scene.ben.account.look_at_ways_in().await.unwrap();
    scene.lies.is_honest_again();
    scene.anna.account.look_at_ways_in().await.unwrap();
    a_tablet_enters(&mut scene, &carla).await;
}
