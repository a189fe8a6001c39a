//! What is kept of receipts and what of the own is to be said: only what the policy and the person let be.

use hauspost_protocol::ids::DeviceId;

use super::*;
use crate::store::Store;
use crate::store::fixture::{ANNA, ME, enrolled, group, text};
use crate::store::rows::message::{self, MessageKind, NewMessage};

const BEN: UserId = UserId([3; 16]);

fn id(seq: u64) -> MessageId {
    text(seq, "").message_id
}

async fn write(
    store: &Store,
    job: impl FnOnce(&Tx<'_>) -> Result<(), StoreError> + Send + 'static,
) {
    store.write(job).await.unwrap();
}

/// Anna's texts 1 and 2, a line, my own text, and Anna's text 5; the policy has receipts.
async fn conversation(store: &Store) -> LocalLog {
    let log = group(store, 1, "Lager").await;
    let mine = NewMessage { author: ME, device: DeviceId([1; 16]), ..text(4, "meins") };
    let line = NewMessage { kind: MessageKind::Event, ..text(3, "") };
    write(store, move |tx| {
        set_policy(tx, true, 30)?;
        for message in [text(1, "eins"), text(2, "zwei"), line, mine, text(5, "fünf")] {
            message::insert(tx, log, &message)?;
        }
        Ok(())
    })
    .await;
    log
}

async fn read(store: &Store, log: LocalLog) -> Option<Vec<(UserId, i64)>> {
    let read = store.read::<_, StoreError, _>(move |conn| read_up_to(conn, log)).await.unwrap();
    read.map(|all| all.into_iter().map(|one| (one.user, one.key - key(log, 0))).collect())
}

/// The messages of which a receipt is due now.
async fn due_at(store: &Store, now_ms: TimeMs) -> Vec<MessageId> {
    let due = store.read::<_, StoreError, _>(move |conn| due(conn, now_ms)).await.unwrap();
    due.into_iter().map(|due| due.message_id).collect()
}

async fn next(store: &Store, after_ms: TimeMs) -> Option<TimeMs> {
    store.read::<_, StoreError, _>(move |conn| next_due(conn, after_ms)).await.unwrap()
}

async fn reads(store: &Store, log: LocalLog, up_to: u64, now_ms: TimeMs) {
    write(store, move |tx| want(tx, log, Seq(up_to), now_ms)).await;
}

async fn says(store: &Store, log: LocalLog, up_to: u64, next_ms: TimeMs) {
    write(store, move |tx| said(tx, log, seq_key(log, Seq(up_to)), next_ms)).await;
}

#[tokio::test]
async fn what_others_read_does_not_go_back_and_names_what_is_here() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = conversation(&store).await;
    for (seq, expected) in [(2, 2), (1, 2), (9, 2), (5, 5)] {
        write(&store, move |tx| note(tx, log, BEN, id(seq), 7)).await;
        assert_eq!(read(&store, log).await, Some(vec![(BEN, expected)]));
    }
}

#[tokio::test]
async fn receipts_go_with_the_policy_that_let_them_be_and_none_comes_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = conversation(&store).await;
    write(&store, move |tx| note(tx, log, BEN, id(2), 7)).await;
    reads(&store, log, 2, 100).await;
    assert_eq!(due_at(&store, 100).await, [id(2)]);
    write(&store, |tx| set_policy(tx, false, 30)).await;
    assert_eq!(read(&store, log).await, None);
    write(&store, move |tx| note(tx, log, ANNA, id(2), 7)).await;
    reads(&store, log, 5, 100).await;
    // When it is turned on again, nothing of before is there.
    write(&store, |tx| set_policy(tx, true, 30)).await;
    assert_eq!(read(&store, log).await, Some(vec![]));
    assert_eq!(due_at(&store, 1_000).await, []);
}

#[tokio::test]
async fn who_begins_to_withhold_what_he_reads_says_nothing_of_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = conversation(&store).await;
    reads(&store, log, 2, 100).await;
    write(&store, |tx| set_withheld(tx, true)).await;
    reads(&store, log, 5, 100).await;
    write(&store, |tx| set_withheld(tx, false)).await;
    assert_eq!(due_at(&store, 1_000).await, []);
}

#[tokio::test]
async fn what_is_older_than_the_policy_keeps_it_is_forgotten_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = conversation(&store).await;
    write(&store, move |tx| {
        note(tx, log, BEN, id(1), 10)?;
        note(tx, log, ANNA, id(2), 50)?;
        forget(tx, 50)
    })
    .await;
    assert_eq!(read(&store, log).await, Some(vec![(ANNA, 2)]));
}

#[tokio::test]
async fn a_receipt_names_the_newest_message_of_others_that_was_read_and_no_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = conversation(&store).await;
    // Behind it stand a line and a message of my own.
    reads(&store, log, 4, 100).await;
    assert_eq!(due_at(&store, 100).await, [id(2)]);
    reads(&store, log, 1, 100).await;
    assert_eq!(due_at(&store, 100).await, [id(2)], "what was read stays read");
    reads(&store, log, 5, 100).await;
    assert_eq!(due_at(&store, 100).await, [id(5)]);
}

#[tokio::test]
async fn a_receipt_is_said_once_in_its_time_and_the_next_one_waits() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = conversation(&store).await;
    reads(&store, log, 1, 100).await;
    assert_eq!((due_at(&store, 99).await, next(&store, 99).await), (vec![], Some(100)));
    assert_eq!(due_at(&store, 100).await, [id(1)]);
    says(&store, log, 1, 5_000).await;
    assert_eq!((due_at(&store, 9_000).await, next(&store, 200).await), (vec![], None));
    reads(&store, log, 2, 200).await;
    assert_eq!((due_at(&store, 4_999).await, next(&store, 200).await), (vec![], Some(5_000)));
    assert_eq!(due_at(&store, 5_000).await, [id(2)]);
    // One that comes late does not bring back what was said since.
    says(&store, log, 2, 6_000).await;
    says(&store, log, 1, 6_000).await;
    assert_eq!(due_at(&store, 9_000).await, []);
}

#[tokio::test]
async fn a_clock_that_was_set_back_holds_a_receipt_up_for_a_minute_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = conversation(&store).await;
    reads(&store, log, 1, 10_000_000).await;
    says(&store, log, 1, 10_005_000).await;
    reads(&store, log, 2, 1_000).await;
    assert_eq!(next(&store, 1_000).await, Some(61_000));
}

#[tokio::test]
async fn where_nothing_can_be_sent_no_receipt_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = conversation(&store).await;
    reads(&store, log, 2, 100).await;
    write(&store, |tx| Ok(tx.execute("UPDATE log SET state = 1", []).map(|_| ())?)).await;
    assert_eq!(due_at(&store, 1_000).await, []);
}
