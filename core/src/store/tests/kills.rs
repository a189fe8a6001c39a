use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::super::fixture::{group, key, text};
use super::super::rows::log::LocalLog;
use super::super::rows::message;
use super::*;
use crate::read;

const FOLDER: &str = "HAUSPOST_TEST_KILL_FOLDER";

/// One message of a catch-up with all that changes with it: the cursor, the message, its words, the
/// row in the list.
async fn receive(store: &Store, log: LocalLog, seq: u64) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            let mut row = log::find(tx, log.id)?.ok_or(StoreError::Missing("log"))?;
            message::insert(tx, log, &text(seq, &format!("wort{seq}")))?;
            row.next_seq = hauspost_protocol::ids::Seq(seq + 1);
            log::update(tx, &row)
        })
        .await
}

/// Everything that changes together agrees, and how many messages there are.
async fn whole(store: &Store, id: LogId) -> u64 {
    store
        .read::<_, StoreError, _>(move |conn| {
            let row = log::find(conn, id)?.ok_or(StoreError::Missing("log"))?;
            let messages: i64 =
                conn.query_row("SELECT count(*) FROM message", [], |row| row.get(0))?;
            let listed =
                read::conversation(conn, id)?.ok_or(StoreError::Missing("conversation"))?;
            let next = row.next_seq.0;
            assert_eq!(next, u64::try_from(messages).unwrap(), "cursor and messages");
            assert_eq!(listed.unread, next, "unread count and messages");
            for (seq, hits) in [(next.saturating_sub(1), next.min(1)), (next, 0)] {
                let found =
                    read::search(conn, &read::SearchQuery::words(format!("wort{seq}")), None, 500)?;
                let exact = found.hits.iter().filter(|hit| hit.seq.unwrap().0 == seq).count();
                assert_eq!(exact as u64, hits, "index and messages");
            }
            let check: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
            assert_eq!(check, "ok");
            Ok(next)
        })
        .await
        .unwrap()
}

/// Not a test of its own: the child of the next one, which writes until it is killed.
#[tokio::test]
async fn child_that_receives_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = open(Path::new(&folder));
    let id = LogId([1; 16]);
    let row = store.read(move |conn| log::find(conn, id)).await.unwrap().unwrap();
    for seq in row.next_seq.0.. {
        receive(&store, row.local, seq).await.unwrap();
        println!("stored {seq}");
    }
}

#[tokio::test]
async fn a_process_killed_while_it_writes_leaves_every_message_whole_or_absent() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    drop(store);
    let mut last = 0;
    for round in 0..8u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_receives_until_it_is_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut told = None;
        // Killed after a different number of messages each time, somewhere inside the next one.
        let mut left = 3 + round * 7;
        for line in out.lines() {
            let line = line.unwrap();
            if let Some((_, seq)) = line.split_once("stored ") {
                told = Some(seq.trim().parse::<u64>().unwrap());
                left -= 1;
            }
            if left == 0 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let store = open(folder.path());
        let next = whole(&store, log.id).await;
        assert!(next > told.expect("the child wrote"), "what was acknowledged is there");
        assert!(next > last, "and the child before it is not undone");
        last = next;
    }
}

#[tokio::test]
async fn a_fault_before_the_commit_leaves_nothing_and_one_after_it_everything() {
    for (point, stored) in [(FaultPoint::BeforeCommit, 2), (FaultPoint::AfterCommit, 3)] {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = group(&store, 1, "Lager").await;
        let observer = store.observe();
        store.fail_at(3, point);
        receive(&store, log, 0).await.unwrap();
        receive(&store, log, 1).await.unwrap();
        observer.next().await.unwrap();
        assert!(matches!(receive(&store, log, 2).await, Err(StoreError::Fault)));
        assert!(matches!(receive(&store, log, 2).await, Err(StoreError::Fault)));
        let read = store.read(|conn| account::fact(conn, "a")).await;
        assert!(matches!(read, Err(StoreError::Fault)));
        drop(store);
        assert_eq!(observer.next().await, None, "a killed process tells nobody");
        assert_eq!(whole(&open(folder.path()), log.id).await, stored);
    }
}

#[tokio::test]
async fn a_full_disk_refuses_the_whole_write_and_the_next_goes_on_when_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    receive(&store, log, 0).await.unwrap();
    let limit = |pages: &'static str| {
        store.write::<_, StoreError, _>(move |tx| {
            tx.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
            Ok(())
        })
    };
    limit("1").await.unwrap(); // SQLite raises it to the pages that are there.
    let refused: Result<(), StoreError> = store
        .write(move |tx| {
            for seq in 1..2_000 {
                message::insert(tx, log, &text(seq, "viel zu viel"))?;
            }
            Ok(())
        })
        .await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    assert_eq!(whole(&store, log.id).await, 1);
    limit("1000000").await.unwrap();
    receive(&store, log, 1).await.unwrap();
    assert_eq!(whole(&store, log.id).await, 2);
    drop(store);
    assert_eq!(whole(&Store::open(folder.path().join("db"), key(1)).unwrap(), log.id).await, 2);
}
