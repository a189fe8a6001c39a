//! Answers that are no answers.

use hauspost_core::sync::{NetworkError, Response};
use hauspost_protocol::wire::path;
use hauspost_tests::real::PATIENCE;

use crate::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_as_such_and_nothing_is_lost() {
    let scene = Scene::open().await;
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    let garbage: [&[u8]; 6] = [
        b"",
        b"<html>Bitte melden Sie sich im WLAN an</html>",
        &[0x80],
        &[0x9f, 0xff],
        // A list that says that it has 2^62 elements.
        &[0x9b, 0x40, 0, 0, 0, 0, 0, 0, 0],
        &[0x81; 100_000],
    ];
    for body in garbage {
        scene.lies.answers_with("/v1/", move || body.to_vec());
        let failed = scene.ben.account.sync_all().await.unwrap_err();
        assert_eq!(failed.code(), "server-refused", "{failed}");
        let failed = scene.ben.account.send_once().await.unwrap_err();
        assert_eq!(failed.code(), "server-refused", "{failed}");
    }
    scene.ends_well(&["eins", "zwei", "drei", "vier"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_without_an_answer_loses_nothing() {
    let scene = Scene::open().await;
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    for status in [204, 302, 400, 404, 413, 429, 500, 503, 599] {
        scene.lies.answers(move |_| Some(Ok(Response { status, body: Vec::new() })));
        assert!(scene.ben.account.sync_all().await.is_err(), "{status}");
        assert!(scene.ben.account.send_once().await.is_err(), "{status}");
        assert_eq!(scene.ben.account.is_revoked().await.ok(), Some(false), "{status}");
    }
    scene.ends_well(&["eins", "zwei", "drei", "vier"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_an_end_is_an_error_of_the_network() {
    let scene = Scene::open().await;
    for error in [NetworkError::TooLarge, NetworkError::Broken, NetworkError::Timeout] {
        scene.lies.answers(move |_| Some(Err(error)));
        let failed = scene.ben.account.sync_all().await.unwrap_err();
        assert_eq!((failed.code(), failed.is_retryable()), ("offline", true));
    }
    scene.ends_well(&["eins", "zwei", "drei"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_always_has_more_and_says_nothing_new_does_not_keep_the_phone_asking() {
    let scene = Scene::open().await;
    scene.lies.twists_news(|answer| {
        answer.more = true;
        answer.logs.clear();
        answer.company.clear();
    });
    let pulled = scene.ben.account.sync_all();
    tokio::time::timeout(PATIENCE, pulled).await.unwrap().unwrap();
    scene.ben_names_his_cursors().await;
    scene.ends_well(&["eins", "zwei", "drei"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_word_that_the_device_is_unknown_is_not_the_end_of_the_account() {
    let scene = Scene::open().await;
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    scene.lies.answers(|request| {
        (request.path == path::SYNC).then(|| Ok(Response { status: 401, body: Vec::new() }))
    });
    let failed = scene.ben.account.sync_all().await.unwrap_err();
    assert_eq!(failed.code(), "revoked");
    assert_eq!(scene.ben.texts(scene.log).await, ["eins", "vier"], "nothing is deleted");
    scene.ends_well(&["eins", "zwei", "drei", "vier"]).await;
    assert!(!scene.ben.account.is_revoked().await.unwrap(), "the company log is what counts (C11)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_keeps_silent_holds_up_nothing_that_is_sent() {
    let scene = Scene::open().await;
    scene.lies.keeps_silent();
    scene.ben.account.start();
    scene.ben.hears(scene.log, "drei").await;
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    scene.anna.account.start();
    scene.anna.hears(scene.log, "vier").await;
    assert_eq!(scene.anna.texts(scene.log).await, ["eins", "zwei", "drei", "vier"]);
    scene.ben.account.suspend().await;
}
