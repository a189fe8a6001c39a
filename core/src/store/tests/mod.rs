//! The store's promises, each broken on purpose: by dropped futures, panics, second processes, kills,
//! full disks, wrong keys and damaged pages.

mod files;
mod here;
mod kills;
mod lifecycle;

use std::sync::mpsc;

use hauspost_protocol::ids::LogId;
use rusqlite::StatementStatus;

use super::fixture::{enrolled, open};
use super::rows::{account, log};
use super::*;
use crate::observe::Change;

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
    let group = log::Log::new(id, hauspost_protocol::body::LogType::Group);
    store.write(move |tx| log::insert(tx, &group, Some("Büro"), 1)).await.unwrap();
    assert_eq!(observer.next().await, Some(vec![Change::Conversations, Change::Log(id)]));
    assert!(!has(&store, "rolled back").await);
}

#[tokio::test]
async fn what_an_observer_is_told_of_can_be_read_when_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let observer = store.observe();
    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .write::<_, StoreError, _>(|tx| {
                    account::put_fact(tx, "told", b"")?;
                    tx.touch(Change::Account);
                    Ok(())
                })
                .await
        }
    });
    assert_eq!(observer.next().await, Some(vec![Change::Account]));
    assert!(has(&store, "told").await);
    writing.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_write_whose_future_is_dropped_runs_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (go, gate) = mpsc::channel::<()>();
    let (began, begun) = oneshot::channel();
    let write = store.write::<_, StoreError, _>(move |tx| {
        account::put_fact(tx, "first half", b"")?;
        let _ = began.send(());
        let _ = gate.recv();
        account::put_fact(tx, "second half", b"")
    });
    tokio::select! {
        _ = write => panic!("the job is held back"),
        _ = begun => {} // and the future is dropped here, in the middle of the job
    }
    go.send(()).unwrap();
    put(&store, "after").await.unwrap();
    assert!(has(&store, "first half").await && has(&store, "second half").await);
}

#[tokio::test]
async fn a_write_that_was_not_handed_over_never_runs() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    drop(put(&store, "never polled"));
    put(&store, "after").await.unwrap();
    assert!(!has(&store, "never polled").await);
}

#[tokio::test]
async fn readers_see_the_last_commit_and_do_not_wait_for_a_running_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (go, gate) = mpsc::channel::<()>();
    let (began, begun) = oneshot::channel();
    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .write::<_, StoreError, _>(move |tx| {
                    account::put_fact(tx, "running", b"")?;
                    let _ = began.send(());
                    let _ = gate.recv();
                    Ok(())
                })
                .await
        }
    });
    begun.await.unwrap();
    for _ in 0..10 {
        assert!(!has(&store, "running").await);
    }
    go.send(()).unwrap();
    writing.await.unwrap().unwrap();
    assert!(has(&store, "running").await);
}

#[tokio::test]
async fn a_job_that_panics_is_rolled_back_and_the_store_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let wrote: Result<(), StoreError> = store
        .write(|tx| {
            account::put_fact(tx, "panicked", b"")?;
            panic!("on purpose");
        })
        .await;
    assert!(matches!(wrote, Err(StoreError::Panicked)));
    for _ in 0..10 {
        let read: Result<(), StoreError> = store.read(|_| panic!("on purpose")).await;
        assert!(matches!(read, Err(StoreError::Panicked)));
    }
    put(&store, "after").await.unwrap();
    assert!(has(&store, "after").await && !has(&store, "panicked").await);
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let tried: Result<usize, StoreError> =
        store.read(|conn| Ok(conn.execute("DELETE FROM fact", [])?)).await;
    assert!(matches!(tried, Err(StoreError::Sqlite(_))));
}

#[tokio::test]
async fn a_statement_is_planned_once_whatever_is_bound_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    // Each of them could use a partial index, depending on a value.
    let statements = [
        "SELECT key FROM mark WHERE key >> 40 = ?1 AND target = x'' AND waits = 1",
        "SELECT id FROM outbox WHERE log = ?1 AND state IN (0, 1) AND state <> 3",
        "SELECT key FROM message WHERE key = ?1 AND kind = 5",
    ];
    store
        .write::<_, StoreError, _>(move |tx| {
            for sql in statements {
                let mut select = tx.prepare_cached(sql)?;
                for value in 0..5 {
                    assert!(select.query([value])?.next()?.is_none());
                }
                assert_eq!(select.get_status(StatementStatus::RePrepare), 0, "{sql}");
            }
            Ok(())
        })
        .await
        .unwrap();
}
