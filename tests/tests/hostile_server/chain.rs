//! The order of a conversation, and what stands in it (C1 to C9).

use hauspost_core::inbound::Code;
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{Entry, Head, Kind, Payload};
use hauspost_protocol::ids::Seq;
use hauspost_protocol::wire::LogNews;

use crate::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_left_out_of_the_middle_stops_the_conversation() {
    let scene = Scene::open().await;
    scene.ben_pulls(|news| drop(news.entries.remove(0))).await;
    scene.is_stopped_for(Code::Missing, &["eins"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_in_another_order_stop_the_conversation() {
    let scene = Scene::open().await;
    scene.ben_pulls(|news| news.entries.reverse()).await;
    scene.is_stopped_for(Code::Missing, &["eins"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_numbered_anew_is_a_gap_and_an_alarm() {
    let scene = Scene::open().await;
    scene
        .ben_pulls(|news| {
            if let [first, second] = &mut news.entries[..] {
                std::mem::swap(first, second);
                std::mem::swap(&mut first.seq, &mut second.seq);
                std::mem::swap(&mut first.t_ms, &mut second.t_ms);
            }
        })
        .await;
    is_out_of_turn(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_was_cut_off_comes_when_the_phone_next_says_what_it_has() {
    let scene = Scene::open().await;
    scene
        .ben_pulls(|news| {
            news.entries.pop();
            news.size -= 1;
        })
        .await;
    assert_eq!(scene.ben.texts(scene.log).await, ["eins", "zwei"]);
    scene.ben_names_his_cursors().await;
    scene.ends_well(&["eins", "zwei", "drei"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_sent_again_changes_nothing() {
    let scene = Scene::open().await;
    scene
        .ben_pulls(|news| {
            let again = news.entries[0].clone();
            news.entries.push(again);
        })
        .await;
    scene.ends_well(&["eins", "zwei", "drei"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_played_again_under_a_new_number_is_a_gap_and_an_alarm() {
    let scene = Scene::open().await;
    scene
        .ben_pulls(|news| {
            let mut again = news.entries[0].clone();
            again.seq = news.entries.last().unwrap().seq.next();
            again.t_ms = news.entries.last().unwrap().t_ms;
            news.entries.push(again);
        })
        .await;
    assert_eq!(scene.ben.texts(scene.log).await, ["eins", "zwei", "drei"]);
    assert_eq!(scene.ben.alarm_codes().await, [Code::Index as u64]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_8_another_entry_under_a_known_number_is_a_fork() {
    let scene = Scene::open().await;
    scene.ben.account.sync_all().await.unwrap();
    scene.anna.account.send_text(scene.log, "vier").await.unwrap();
    scene.anna.settle().await;
    scene
        .ben_pulls(|news| {
            let mut other = news.entries[0].clone();
            other.seq = Seq(other.seq.0 - 1);
            news.entries.insert(0, other);
        })
        .await;
    scene.is_stopped_for(Code::Fork, &["eins", "zwei", "drei"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_8_two_who_were_shown_two_histories_hear_of_it_from_each_other() {
    let scene = Scene::open().await;
    // Ben is shown another time for the same messages: a history of his own.
    scene.ben_pulls(|news| news.entries.iter_mut().for_each(|entry| entry.t_ms += 1)).await;
    assert_eq!(scene.ben.texts(scene.log).await, ["eins", "zwei", "drei"]);
    hears_of_the_fork(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_43_time_that_goes_back_stops_the_conversation() {
    let scene = Scene::open().await;
    scene.ben_pulls(|news| news.entries[1].t_ms -= 86_400_000).await;
    scene.is_stopped_for(Code::WentBack, &["eins", "zwei"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_another_conversation_stops_this_one() {
    let scene = Scene::open().await;
    let other = scene.anna.account.create_dm(scene.ben.account.user()).await.unwrap();
    scene.anna.account.send_text(other, "woanders").await.unwrap();
    scene.anna.settle().await;
    let log = scene.log;
    scene.lies.twists_news(move |answer| {
        let foreign: Option<Entry> = answer
            .logs
            .iter()
            .find(|news| news.log != log)
            .and_then(|news| news.entries.last().cloned());
        for news in answer.logs.iter_mut().filter(|news| news.log == log) {
            if let Some(foreign) = &foreign {
                let entry = &mut news.entries[0];
                entry.head = foreign.head.clone();
                entry.payload = foreign.payload.clone();
            }
        }
    });
    let _ = scene.ben.account.sync_all().await;
    scene.lies.is_honest_again();
    assert_eq!(scene.ben.stopped(log).await, Some(Code::OtherLog as u64));
    assert_eq!(scene.ben.texts(other).await, ["woanders"], "one log does not hold up another");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_with_one_bit_changed_is_a_gap_and_its_reader_hears_of_the_fork() {
    let scene = Scene::open().await;
    scene.ben_pulls(|news| flips_a_bit(&mut news.entries[0], |_| 30)).await;
    hears_of_a_fork_after_a_gap(&scene).await;
}

/// The first of the news is not what its author wrote.
fn changes_head(news: &mut LogNews, change: impl FnOnce(&mut Head)) {
    let entry = &mut news.entries[0];
    let mut head = Head::parse(&entry.head).unwrap();
    change(&mut head);
    entry.head = Bytes(encode(&head));
}

/// A bit of this byte of a payload of so many bytes is another.
fn flips_a_bit(entry: &mut Entry, at: impl FnOnce(usize) -> usize) {
    let Payload::Kept(Bytes(payload)) = &mut entry.payload else { panic!("it was sent") };
    let at = at(payload.len());
    payload[at] ^= 1;
}

/// A message stands where it is not its author's turn.
async fn is_out_of_turn(scene: &Scene) {
    assert_eq!(scene.ben.alarm_codes().await.first(), Some(&(Code::Index as u64)));
    assert!(scene.ben.gaps(scene.log).await > 0);
}

/// What Anna writes next names a history that is not Ben's.
async fn hears_of_the_fork(scene: &Scene) {
    scene.anna.account.send_text(scene.log, "vier").await.unwrap();
    scene.anna.settle().await;
    let _ = scene.ben.account.sync_all().await;
    assert_eq!(scene.ben.stopped(scene.log).await, Some(Code::Fork as u64));
    assert_eq!(scene.ben.alarm_codes().await, [Code::Fork as u64]);
}

/// The second message does not open; the third does, since a gap uses up its turn. The first message
/// that was written in the knowledge of the true second one shows that Ben's is another.
async fn hears_of_a_fork_after_a_gap(scene: &Scene) {
    assert_eq!(scene.ben.gaps(scene.log).await, 1);
    assert_eq!(scene.ben.texts(scene.log).await, ["eins", "drei"]);
    hears_of_the_fork(scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_kept_back_without_an_erasure_is_a_gap() {
    let scene = Scene::open().await;
    scene
        .ben_pulls(|news| {
            let entry = &mut news.entries[0];
            let (hash, len) = entry.payload.facts();
            entry.payload = Payload::Absent { hash, len };
        })
        .await;
    assert_eq!(scene.ben.gaps(scene.log).await, 1);
    assert_eq!(scene.ben.texts(scene.log).await, ["eins", "drei"]);
    assert_eq!(scene.ben.stopped(scene.log).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_23_an_index_far_off_costs_the_reader_nothing() {
    let scene = Scene::open().await;
    let far_off = |head: &mut Head| head.slot.as_mut().unwrap().index.0 = 1 << 31;
    scene.ben_pulls(move |news| changes_head(news, far_off)).await;
    is_out_of_turn(&scene).await;
}

/// A third person is added, and the news of it are changed on the way to Ben.
async fn after_a_commit(twist: impl FnMut(&mut LogNews) + Send + 'static) -> Scene {
    let mut scene = Scene::open().await;
    let carla = scene.world.phone("carla").await;
    scene.anna.account.add_members(scene.log, vec![carla.account.user()]).await.unwrap();
    scene.anna.account.send_text(scene.log, "vier").await.unwrap();
    scene.anna.settle().await;
    scene.ben_pulls(twist).await;
    scene
}

fn place(news: &LogNews, kind: Kind) -> usize {
    let is = |entry: &Entry| Head::parse(&entry.head).unwrap().kind == kind;
    news.entries.iter().position(is).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_36_a_commit_withheld_stops_the_conversation_and_is_not_stepped_over() {
    let scene = after_a_commit(|news| drop(news.entries.remove(place(news, Kind::Commit)))).await;
    scene.is_stopped_for(Code::Missing, &["eins", "zwei", "drei"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_its_capsule_waits_for_it() {
    let scene = after_a_commit(|news| {
        let capsule = place(news, Kind::Capsule);
        news.entries.truncate(capsule);
    })
    .await;
    assert_eq!(scene.ben.stopped(scene.log).await, None);
    assert_eq!(scene.ben.texts(scene.log).await, ["eins", "zwei", "drei"]);
    scene.ends_well(&["eins", "zwei", "drei", "vier"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_5_a_capsule_that_the_commit_does_not_name_stops_the_conversation() {
    let scene = after_a_commit(|news| {
        let capsule = place(news, Kind::Capsule);
        flips_a_bit(&mut news.entries[capsule], |length| length - 1);
    })
    .await;
    scene.is_stopped_for(Code::Capsule, &["eins", "zwei", "drei"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_2_a_commit_changed_by_the_server_stops_the_conversation() {
    let scene = after_a_commit(|news| {
        let commit = place(news, Kind::Commit);
        // The device's outer signature covers all of it.
        flips_a_bit(&mut news.entries[commit], |length| length / 2);
    })
    .await;
    let stopped = scene.ben.stopped(scene.log).await.unwrap();
    assert!(stopped <= Code::Welcome as u64, "{stopped}");
    assert_eq!(scene.ben.alarms().await, 1);
    assert_eq!(scene.ben.account.members(scene.log).await.unwrap().len(), 2);
    assert_eq!(scene.ben.texts(scene.log).await, ["eins", "zwei", "drei"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_6_a_head_changed_by_the_server_does_not_open() {
    let scene = Scene::open().await;
    scene.ben_pulls(|news| changes_head(news, |head| head.transient = true)).await;
    hears_of_a_fork_after_a_gap(&scene).await;
}
