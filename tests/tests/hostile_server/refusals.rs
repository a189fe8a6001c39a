//! Changes that the server refuses: the person sees which and why, and nothing waits behind them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hauspost_core::read::WantedChange;
use hauspost_core::store::rows::message::MessageState;
use hauspost_core::sync::Response;
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::ids::LogId;
use hauspost_protocol::wire::{AppendRequest, Outcome, path};
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::Phone;

use crate::Scene;

const POLICY: u64 = 20;

/// The server refuses every commit, and takes everything else.
fn refuses_commits(lies: &Hostile) {
    lies.answers(|request| {
        if request.path != path::APPEND {
            return None;
        }
        let append: AppendRequest = decode(&request.body).unwrap();
        append.group_info.as_ref()?;
        let outcomes = vec![Outcome::Policy; append.entries.len()];
        Some(Ok(Response { status: 200, body: encode(&outcomes) }))
    });
}

async fn reason(phone: &Phone, log: LogId, text: &str) -> Option<u64> {
    let page = phone.account.timeline(log, hauspost_core::read::Window::Newest, 50).await.unwrap();
    page.rows.iter().find(|row| row.text.as_deref() == Some(text)).and_then(|row| row.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_into_a_conversation_that_never_began_fails_for_the_reason_of_that() {
    let scene = Scene::open().await;
    scene.ben.settle().await;
    refuses_commits(&scene.lies);
    let log = scene.ben.account.create_group(Some("Lager"), Vec::new()).await.unwrap();
    scene.ben.account.send_text(log, "ist hier wer?").await.unwrap();
    scene.ben.account.send_once().await.unwrap();
    assert_eq!(scene.ben.state(log, "ist hier wer?").await, Some(MessageState::Failed));
    assert_eq!(reason(&scene.ben, log, "ist hier wer?").await, Some(POLICY));
    let failed = scene.ben.account.failed_changes(log).await.unwrap();
    let wanted: Vec<_> = failed.iter().map(|failed| (&failed.wanted, failed.reason)).collect();
    let title = WantedChange::Rename("Lager".into());
    assert_eq!(wanted, [(&WantedChange::Create(Vec::new()), POLICY), (&title, POLICY)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_change_is_named_with_its_reason_and_what_was_said_behind_it_goes_on() {
    let mut scene = Scene::open().await;
    let carla = scene.world.phone("carla").await.account.user();
    let anna = scene.anna.account.user();
    scene.ben.settle().await;
    refuses_commits(&scene.lies);
    let account = &scene.ben.account;
    account.add_members(scene.log, vec![carla]).await.unwrap();
    account.remove_member(scene.log, anna).await.unwrap();
    account.send_text(scene.log, "vier").await.unwrap();
    account.send_once().await.unwrap();
    let failed = account.failed_changes(scene.log).await.unwrap();
    let wanted: Vec<_> = failed.iter().map(|failed| failed.wanted.clone()).collect();
    assert_eq!(wanted, [WantedChange::Add(vec![carla]), WantedChange::Remove(anna)]);
    assert!(failed.iter().all(|failed| failed.reason == POLICY));
    scene.anna.settle().await;
    assert_eq!(scene.anna.texts(scene.log).await, ["eins", "zwei", "drei", "vier"]);

    // One is tried again, at a server that is honest by then, and the other is put aside.
    scene.lies.is_honest_again();
    let [add, remove] = [failed[0].id, failed[1].id];
    account.dismiss(scene.log, remove).await.unwrap();
    account.try_again(scene.log, add).await.unwrap();
    assert_eq!(account.failed_changes(scene.log).await.unwrap(), []);
    for refused in [account.dismiss(scene.log, remove), account.dismiss(scene.log, add)] {
        Box::pin(refused).await.unwrap_err();
    }
    scene.ben.settle().await;
    assert_eq!(account.members(scene.log).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_failed_is_no_change_that_could_be_put_aside() {
    let scene = Scene::open().await;
    scene.ben.settle().await;
    scene.lies.answers(|request| {
        let refused = || Ok(Response { status: 200, body: encode(&vec![Outcome::Policy]) });
        (request.path == path::APPEND).then(refused)
    });
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    scene.ben.account.send_once().await.unwrap();
    assert_eq!(scene.ben.state(scene.log, "vier").await, Some(MessageState::Failed));
    assert_eq!(scene.ben.account.failed_changes(scene.log).await.unwrap(), []);
    for id in 0..20 {
        scene.ben.account.dismiss(scene.log, id).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_rests_until_the_time_that_the_server_named_and_others_go_on() {
    let scene = Scene::open().await;
    scene.ben.settle().await;
    let other = scene.ben.account.create_group(None, Vec::new()).await.unwrap();
    scene.ben.settle().await;
    let (asked, log) = (Arc::new(AtomicUsize::new(0)), scene.log);
    let counted = asked.clone();
    scene.lies.answers(move |request| {
        if request.path != path::APPEND {
            return None;
        }
        let append: AppendRequest = decode(&request.body).unwrap();
        if append.log != log {
            return None;
        }
        counted.fetch_add(1, Ordering::Relaxed);
        let outcomes = vec![Outcome::Quota(u64::MAX >> 1); append.entries.len()];
        Some(Ok(Response { status: 200, body: encode(&outcomes) }))
    });
    for text in ["vier", "fünf"] {
        scene.ben.account.send_text(log, text).await.unwrap();
        scene.ben.account.send_text(other, text).await.unwrap();
        scene.ben.account.send_once().await.unwrap();
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(scene.ben.state(log, "fünf").await, Some(MessageState::Queued));
    assert_eq!(scene.ben.state(other, "fünf").await, Some(MessageState::Sent));
    // A phone that is opened anew asks once more; then the server takes both, in their order.
    scene.lies.is_honest_again();
    let ben = scene.ben.restart().await;
    ben.settle().await;
    scene.anna.settle().await;
    assert_eq!(scene.anna.texts(log).await, ["eins", "zwei", "drei", "vier", "fünf"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_names_the_later_one_in_the_log_stays_for_everybody() {
    let scene = Scene::open().await;
    scene.ben.settle().await;
    scene.anna.account.rename(scene.log, "Lager").await.unwrap();
    scene.ben.account.rename(scene.log, "  Baustelle Nord ").await.unwrap();
    scene.anna.settle().await;
    scene.ben.settle().await;
    scene.anna.settle().await;
    for phone in [&scene.anna, &scene.ben] {
        let row = phone.account.conversation(scene.log).await.unwrap().unwrap();
        assert_eq!(row.title.as_deref(), Some("Baustelle Nord"));
    }
    for title in ["", "  ", &"ä".repeat(128)] {
        let refused = scene.ben.account.rename(scene.log, title).await.unwrap_err();
        assert_eq!(refused.code(), "message", "{title:?}");
    }
    let long = scene.ben.account.create_group(Some(&"ä".repeat(128)), Vec::new()).await;
    assert_eq!(long.unwrap_err().code(), "message");
}
