//! A server, or somebody between, that changes what a phone is told.

use hauspost_core::inbound::Code;
use hauspost_core::store::rows::log::{self, LogState};
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::entry::{Entry, Payload};
use hauspost_protocol::ids::LogId;

use crate::world::{Phone, World};

/// Anna and Ben talk; Ben's phone is told a changed story of the last three messages.
async fn told(lie: fn(&mut Vec<Entry>)) -> (World, Phone, LogId) {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.account.send_text(log, "vorher").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    for text in ["eins", "zwei", "drei"] {
        anna.account.send_text(log, text).await.unwrap();
        anna.settle().await;
    }
    let ben = ben.lied_to(lie).await;
    let _ = ben.account.sync_all().await;
    (world, ben, log)
}

/// Whether the log is stopped, and why.
async fn stopped(phone: &Phone, log: LogId) -> Option<u64> {
    let row = phone.account.store().read(move |conn| log::find(conn, log)).await.unwrap().unwrap();
    row.stop_code.filter(|_| row.state == LogState::Stopped)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_left_out_stops_the_log() {
    let (_world, ben, log) = told(|entries| {
        if entries.len() == 3 {
            entries.remove(1);
        }
    })
    .await;
    assert_eq!(stopped(&ben, log).await, Some(Code::Missing as u64));
    assert_eq!(ben.texts(log).await, ["vorher", "eins"]);
    assert_eq!(ben.alarms().await, 1);
    assert!(ben.account.send_text(log, "?").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_in_another_order_stop_the_log() {
    let (_world, ben, log) = told(|entries| {
        if entries.len() == 3 {
            entries.swap(0, 1);
        }
    })
    .await;
    assert_eq!(stopped(&ben, log).await, Some(Code::Missing as u64));
    assert_eq!(ben.texts(log).await, ["vorher"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_message_is_a_gap_and_the_next_word_of_a_colleague_shows_the_fork() {
    let (_world, ben, log) = told(|entries| {
        if entries.len() == 3
            && let Payload::Kept(bytes) = &mut entries[0].payload
        {
            let mut changed = bytes.to_vec();
            changed[40] ^= 1;
            *bytes = Bytes(changed);
        }
    })
    .await;
    assert_eq!(stopped(&ben, log).await, Some(Code::Fork as u64));
    assert_eq!(ben.texts(log).await, ["vorher"]);
    assert!(ben.gaps(log).await >= 1);
    assert!(ben.alarms().await >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_is_withheld_is_a_gap_and_the_cursor_goes_on() {
    let (_world, ben, log) = told(|entries| {
        if entries.len() == 3 {
            let (hash, len) = entries[1].payload.facts();
            entries[1].payload = Payload::Absent { hash, len };
        }
    })
    .await;
    assert_eq!(stopped(&ben, log).await, None);
    assert_eq!(ben.texts(log).await, ["vorher", "eins", "drei"]);
    assert_eq!(ben.gaps(log).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_told_twice_is_the_same_or_the_log_stops() {
    let (_world, ben, log) = told(|entries| {
        if entries.len() == 3 {
            entries.insert(1, entries[0].clone());
        }
    })
    .await;
    assert_eq!(stopped(&ben, log).await, None);
    assert_eq!(ben.texts(log).await, ["vorher", "eins", "zwei", "drei"]);

    let (_world, ben, log) = told(|entries| {
        if entries.len() == 3 {
            let mut other = entries[0].clone();
            other.t_ms += 1;
            entries.insert(1, other);
        }
    })
    .await;
    assert_eq!(stopped(&ben, log).await, Some(Code::Fork as u64));
}
