use hauspost_protocol::body::LogType;
use hauspost_protocol::ids::LogId;

use super::fixture::open;
use super::rows::account;
use super::*;
use crate::observe::Change;
use crate::store::rows::log;

async fn put(store: &Store, name: &'static str) -> Result<(), StoreError> {
    store.write(move |tx| account::put_fact(tx, name, b"value")).await
}

async fn has(store: &Store, name: &'static str) -> bool {
    store.read(move |conn| account::fact(conn, name)).await.unwrap().is_some()
}

#[tokio::test]
async fn what_was_written_is_read_also_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, "a").await.unwrap();
    assert!(has(&store, "a").await);
    drop(store);
    assert!(has(&open(folder.path()), "a").await);
}

#[tokio::test]
async fn observers_hear_of_a_commit_and_never_of_a_rollback() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let observer = store.observe();
    let refused: Result<(), StoreError> = store
        .write(|tx| {
            account::put_fact(tx, "rolled back", b"")?;
            tx.touch(Change::People);
            Err(StoreError::Missing("reason to go on"))
        })
        .await;
    assert!(matches!(refused, Err(StoreError::Missing(_))));
    let id = LogId([7; 16]);
    store
        .write(move |tx| log::insert(tx, &log::Log::new(id, LogType::Group), Some("Büro"), 1))
        .await
        .unwrap();
    assert_eq!(observer.next().await, Some(vec![Change::Conversations, Change::Log(id)]));
    assert!(!has(&store, "rolled back").await);
}
