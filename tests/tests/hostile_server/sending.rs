//! What the server says of what a phone sends, and does not do (§8).

use std::sync::{Arc, Mutex};

use hauspost_core::inbound::Code;
use hauspost_core::store::rows::message::MessageState;
use hauspost_core::sync::{NetworkError, Response};
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::entry::{Head, Kind};
use hauspost_protocol::ids::{Epoch, Gen, Seq};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::wire::{AppendRequest, Outcome, path};

use crate::Scene;

/// The server answers every append like this, and appends nothing.
fn claims(scene: &Scene, outcome: impl Fn(usize) -> Outcome + Send + 'static) {
    scene.lies.answers(move |request| {
        if request.path != path::APPEND {
            return None;
        }
        let append: AppendRequest = decode(&request.body).unwrap();
        let outcomes: Vec<_> = (0..append.entries.len()).map(&outcome).collect();
        Some(Ok(Response { status: 200, body: encode(&outcomes) }))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_7_a_message_that_the_server_dropped_is_sent_again() {
    let scene = Scene::open().await;
    scene.ben.settle().await;
    claims(&scene, |place| Outcome::Ok(Seq(6 + place as u64)));
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    scene.ben.account.send_once().await.unwrap();
    assert_eq!(scene.ben.state(scene.log, "vier").await, Some(MessageState::Sent));
    scene.lies.is_honest_again();
    // Something happens elsewhere, so that the server makes a checkpoint, and it lacks the entry.
    scene.anna.account.create_group(None, Vec::new()).await.unwrap();
    for _ in 0..2 {
        scene.anna.settle().await;
        scene.world.checkpoint().await;
        scene.ben.settle().await;
    }
    assert_eq!(scene.ben.state(scene.log, "vier").await, Some(MessageState::Secured));
    scene.ends_well(&["eins", "zwei", "drei", "vier"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_7_a_place_claimed_for_a_message_and_given_to_another_is_noticed() {
    let scene = Scene::open().await;
    scene.ben.settle().await;
    claims(&scene, |place| Outcome::Ok(Seq(6 + place as u64)));
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    scene.ben.account.send_once().await.unwrap();
    scene.lies.is_honest_again();
    scene.anna.account.send_text(scene.log, "fünf").await.unwrap();
    scene.anna.settle().await;
    scene.ben.settle().await;
    scene.ben.settle().await;
    scene.anna.settle().await;
    assert_eq!(scene.anna.texts(scene.log).await, ["eins", "zwei", "drei", "fünf", "vier"]);
    assert_eq!(scene.ben.texts(scene.log).await, ["eins", "zwei", "drei", "fünf", "vier"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_22_an_answer_that_never_comes_sends_nothing_twice() {
    let scene = Scene::open().await;
    scene.ben.settle().await;
    let network = scene.lies.clone();
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    network.loses_answers(path::APPEND);
    assert!(scene.ben.account.send_once().await.is_err());
    assert!(scene.ben.account.send_once().await.is_err());
    scene.ends_well(&["eins", "zwei", "drei", "vier"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_22_an_epoch_that_ended_while_the_answer_was_lost_doubles_nothing() {
    let mut scene = Scene::open().await;
    let carla = scene.world.phone("carla").await;
    scene.ben.settle().await;
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    scene.lies.loses_answers(path::APPEND);
    assert!(scene.ben.account.send_once().await.is_err());
    scene.anna.account.add_members(scene.log, vec![carla.account.user()]).await.unwrap();
    scene.anna.settle().await;
    scene.ends_well(&["eins", "zwei", "drei", "vier"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_word_that_the_epoch_is_over_loses_and_doubles_nothing() {
    let scene = Scene::open().await;
    claims(&scene, |_| Outcome::Stale(Gen(0), Epoch(9)));
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    let _ = scene.ben.account.send_once().await;
    scene.ends_well(&["eins", "zwei", "drei", "vier"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_word_that_the_index_is_another_loses_and_doubles_nothing() {
    let scene = Scene::open().await;
    claims(&scene, |_| Outcome::Gap(0));
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    let _ = scene.ben.account.send_once().await;
    scene.ends_well(&["eins", "zwei", "drei", "vier"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_20_an_index_above_the_own_next_means_that_somebody_else_wrote() {
    enters_anew_before_it_sends(Outcome::Gap(7)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_30_a_conflict_alarms_and_nothing_more_is_sent_before_the_group_is_entered_anew() {
    enters_anew_before_it_sends(Outcome::Conflict).await;
}

/// The server answers one record like this: that somebody else uses this phone's leaf.
async fn enters_anew_before_it_sends(answer: Outcome) {
    let scene = Scene::open().await;
    let sent = Arc::new(Mutex::new(Vec::new()));
    let (kinds, mut answer) = (sent.clone(), Some(answer));
    scene.lies.answers(move |request| {
        if request.path != path::APPEND {
            return None;
        }
        let append: AppendRequest = decode(&request.body).unwrap();
        kinds.lock().unwrap().push(Head::parse(&append.entries[0].0).unwrap().kind);
        let outcomes = vec![answer.take()?; append.entries.len()];
        Some(Ok(Response { status: 200, body: encode(&outcomes) }))
    });
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    scene.ben.settle().await;
    assert_eq!(*sent.lock().unwrap(), [Kind::Record, Kind::Commit, Kind::Record]);
    assert_eq!(scene.ben.alarm_codes().await, [Code::Rollback as u64]);
    assert_eq!(scene.ben.stopped(scene.log).await, None);
    scene.anna.settle().await;
    assert_eq!(scene.anna.texts(scene.log).await, ["eins", "zwei", "drei", "vier"]);
    assert_eq!(scene.ben.texts(scene.log).await, ["eins", "zwei", "drei", "vier"]);
    assert_eq!(scene.anna.alarms().await + scene.anna.gaps(scene.log).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_30_a_server_that_goes_on_saying_so_gets_no_more_than_a_few_commits() {
    let scene = Scene::open().await;
    let commits = Arc::new(Mutex::new(0));
    let counted = commits.clone();
    scene.lies.answers(move |request| {
        if request.path != path::APPEND {
            return None;
        }
        let append: AppendRequest = decode(&request.body).unwrap();
        if Head::parse(&append.entries[0].0).unwrap().kind == Kind::Commit {
            *counted.lock().unwrap() += 1;
            return None;
        }
        let outcomes = vec![Outcome::Conflict; append.entries.len()];
        Some(Ok(Response { status: 200, body: encode(&outcomes) }))
    });
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    scene.ben.settle().await;
    assert!(*commits.lock().unwrap() <= 3, "then it waits, longer each time");
    assert_eq!(scene.ben.stopped(scene.log).await, Some(Code::Rollback as u64));
    assert_eq!(scene.ben.texts(scene.log).await, ["eins", "zwei", "drei", "vier"], "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_shown_to_who_wrote() {
    let scene = Scene::open().await;
    scene.ben.settle().await;
    claims(&scene, |_| Outcome::Role);
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    let _ = scene.ben.account.send_once().await;
    assert_eq!(scene.ben.state(scene.log, "vier").await, Some(MessageState::Failed));
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_or_more_outcomes_than_entries_lose_and_double_nothing() {
    for count in [0, 3] {
        let scene = Scene::open().await;
        scene.ben.settle().await;
        scene.lies.answers(move |request| {
            let outcomes = vec![Outcome::Behind(1); count];
            (request.path == path::APPEND)
                .then(|| Ok(Response { status: 200, body: encode(&outcomes) }))
        });
        scene.ben.account.send_text(scene.log, "vier").await.unwrap();
        let _ = scene.ben.account.send_once().await;
        scene.ends_well(&["eins", "zwei", "drei", "vier"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_the_server_claims_to_have_taken_is_made_in_the_end() {
    let mut scene = Scene::open().await;
    let carla = scene.world.phone("carla").await;
    scene.ben.settle().await;
    claims(&scene, |place| Outcome::Ok(Seq(6 + place as u64)));
    scene.ben.account.add_members(scene.log, vec![carla.account.user()]).await.unwrap();
    let _ = scene.ben.account.send_once().await;
    scene.lies.is_honest_again();
    scene.ben.settle().await;
    scene.ben.settle().await;
    scene.anna.settle().await;
    assert_eq!(scene.ben.account.members(scene.log).await.unwrap().len(), 3);
    assert_eq!(scene.anna.account.members(scene.log).await.unwrap().len(), 3);
    scene.ends_well(&["eins", "zwei", "drei"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_unreachable_keeps_what_is_written_waiting() {
    let scene = Scene::open().await;
    scene.lies.answers(|_| Some(Err(NetworkError::Unreachable)));
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    let failed = scene.ben.account.send_once().await.unwrap_err();
    assert_eq!((failed.code(), failed.is_retryable()), ("offline", true));
    assert_eq!(scene.ben.state(scene.log, "vier").await, Some(MessageState::Queued));
    scene.ends_well(&["eins", "zwei", "drei", "vier"]).await;
}

/// C13: a phone that takes its epoch for old, since its server lies about the time, wants to renew its
/// keys first. The server refuses that, and the message goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_comes_too_early_does_not_hold_up_the_message() {
    let scene = Scene::open().await;
    scene.lies.twists_news(|answer| answer.t_ms += 40 * DAY_MS);
    scene.ben.account.sync_all().await.unwrap();
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    scene.ben.account.send_once().await.unwrap();
    let asked: Vec<_> = scene.lies.answers_seen();
    let appends = asked.iter().filter(|(at, _)| at == path::APPEND);
    let outcomes: Vec<Vec<Outcome>> = appends.map(|(_, body)| decode(body).unwrap()).collect();
    let refused = |outcomes: &Vec<Outcome>| matches!(outcomes.first(), Some(Outcome::Budget(_)));
    assert_eq!(outcomes.iter().filter(|outcomes| refused(outcomes)).count(), 1, "{outcomes:?}");
    let sent = outcomes.last().is_some_and(|last| matches!(last[..], [Outcome::Ok(_)]));
    assert!(sent, "the message went in the same round: {outcomes:?}");
    scene.ben.account.send_text(scene.log, "fünf").await.unwrap();
    scene.ends_well(&["eins", "zwei", "drei", "vier", "fünf"]).await;
}
