//! What every store must hold, as tests. An implementation calls [`contract_tests!`] with an
//! expression that makes an empty store.

use std::sync::Arc;

use hauspost_protocol::crypto::sha256;
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{Head, Kind, Link, Payload};
use hauspost_protocol::ids::{
    DeviceId, Digest, EntryHash, Epoch, Gen, LeafIndex, LogId, LogNo, Seq, UserId,
};
use hauspost_protocol::wire::{EnrolRequest, Person};
use tokio::sync::Barrier;

use super::*;

mod blobs;
mod grants;
pub(crate) use blobs::*;
pub(crate) use grants::*;

macro_rules! contract_tests {
    ($make:expr) => {
        $crate::store::contract::contract_tests!(@ $make;
            what_was_written_is_read_and_nothing_of_what_was_undone
            an_undone_job_leaves_its_neighbours_alone
            a_job_that_panics_is_undone_and_the_store_goes_on
            appends_that_race_get_one_place_each
            an_entry_stands_only_in_the_next_place_of_its_chain
            a_core_is_known_in_its_own_log_only
            a_read_stops_at_its_budget_but_returns_one_entry_at_least
            a_shredded_payload_is_gone_and_its_hash_stays
            log_numbers_are_dense_and_taken_once
            a_pair_keeps_its_first_conversation_whoever_asks
            a_membership_ends_with_the_commit_that_took_the_leaf
            chains_count_by_leaf_and_start_anew_with_an_epoch
            changes_ascend_and_say_what_a_log_had_before_them
            a_key_package_is_taken_once_and_the_last_resort_again_and_again
            each_suite_has_a_stock_and_a_last_resort_of_its_own
            a_key_package_of_another_time_is_not_handed_out
            two_takers_never_get_the_same_one_time_package
            a_tree_is_kept_under_its_hash_until_it_is_dropped
            a_device_has_one_group_info_for_each_epoch
            who_may_enter_a_log_is_known_until_it_is_taken_back
            a_device_waits_under_its_seed_until_it_waits_no_more
            what_a_device_used_is_its_own
            a_change_in_the_directory_is_seen_by_its_version
            heads_are_read_as_they_were
            a_document_is_complete_with_its_last_chunk_and_known_in_its_own_log_only
            the_hash_of_every_chunk_is_read_back_across_rows
            a_named_document_is_never_abandoned_and_counts_for_no_device
            a_dropped_document_is_gone_with_its_key_and_may_begin_anew
            a_document_is_named_between_the_numbers_of_the_records_that_name_it
            a_grant_lets_its_device_read_these_entries_of_this_log_and_no_other
            a_key_list_is_known_until_it_is_forgotten_and_what_it_granted_stays
            the_newest_cosignature_of_each_witness_is_kept
        );
    };
    (@ $make:expr; $($name:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let (database, _keep) = $make;
            $crate::store::contract::$name(database).await;
        }
    )+};
}
pub(crate) use contract_tests;

const USER: UserId = UserId([1; 16]);
const OTHER: UserId = UserId([2; 16]);
const DEVICE: DeviceId = DeviceId([3; 16]);
const LOG: LogId = LogId([4; 16]);
const EVERYTHING: Budget = Budget { entries: 1_000, bytes: usize::MAX };

type Done = Result<(), StoreError>;

async fn write<T: Send + 'static>(
    database: &Database,
    job: impl FnMut(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
) -> T {
    database.write(job).await.unwrap()
}

async fn read<T: Send + 'static>(
    database: &Database,
    job: impl FnOnce(&dyn ReadTx) -> Result<T, StoreError> + Send + 'static,
) -> T {
    database.read(job).await.unwrap()
}

/// The company log and one conversation, numbers 0 and 1, both empty.
pub(crate) async fn two_logs(database: &Database) {
    write(database, |tx| {
        for log in [LogId([9; 16]), LOG] {
            let no = tx.reserve(USER)?;
            tx.create_log(no, log)?;
        }
        Ok(())
    })
    .await;
}

/// Appends an entry with this payload.
pub(crate) fn append(tx: &mut dyn Tx, no: LogNo, payload: &[u8]) -> Result<Seq, StoreError> {
    let log = tx.log_by_no(no)?.unwrap();
    let head = encode(&Head::plain(Kind::Invite, log.log, Gen(0), Epoch(0)));
    let core = Head::core(&head, sha256(payload), payload.len() as u64);
    let link = Link { seq: Seq(log.size), prev: log.head, t_ms: log.t_ms + 1, co: log.co };
    tx.append(no, &NewRow { kind: Kind::Invite, head: &head, payload, core, link, author: None })?;
    Ok(link.seq)
}

pub(crate) async fn what_was_written_is_read_and_nothing_of_what_was_undone(database: Database) {
    write(&database, |tx| tx.put_setting("a", b"1")).await;
    let undone: Done = database
        .write(|tx| {
            tx.put_setting("a", b"2")?;
            tx.put_setting("b", b"2")?;
            Err(StoreError::Closed)
        })
        .await;
    assert!(matches!(undone, Err(StoreError::Closed)));
    let found = read(&database, |tx| Ok((tx.setting("a")?, tx.setting("b")?))).await;
    assert_eq!(found, (Some(b"1".to_vec()), None));
}

pub(crate) async fn an_undone_job_leaves_its_neighbours_alone(database: Database) {
    two_logs(&database).await;
    let start = Arc::new(Barrier::new(40));
    let jobs = (0..40u8).map(|i| {
        let (database, start) = (database.clone(), Arc::clone(&start));
        tokio::spawn(async move {
            start.wait().await;
            let end: Done = database
                .write(move |tx| {
                    append(tx, LogNo(1), &[i])?;
                    if i % 3 == 0 { Err(StoreError::Closed) } else { Ok(()) }
                })
                .await;
            end.is_ok()
        })
    });
    let mut accepted = 0;
    for job in jobs.collect::<Vec<_>>() {
        accepted += u64::from(job.await.unwrap());
    }
    let rows = read(&database, |tx| tx.entries(LogNo(1), Seq(0), EVERYTHING, &|_| true)).await;
    assert_eq!((rows.len() as u64, accepted), (26, 26));
    assert!(rows.iter().all(|row| row.entry.payload.bytes().unwrap()[0] % 3 != 0));
}

pub(crate) async fn a_job_that_panics_is_undone_and_the_store_goes_on(database: Database) {
    let end: Done = database
        .write(|tx| {
            tx.put_setting("a", b"1")?;
            panic!("a defect, on purpose")
        })
        .await;
    assert!(matches!(end, Err(StoreError::Defect)));
    let end: Result<(), StoreError> = database.read(|_| panic!("a defect, on purpose")).await;
    assert!(end.is_err());
    assert_eq!(read(&database, |tx| tx.setting("a")).await, None);
    write(&database, |tx| tx.put_setting("a", b"2")).await;
}

pub(crate) async fn appends_that_race_get_one_place_each(database: Database) {
    two_logs(&database).await;
    let jobs = (0..100u8).map(|i| {
        let database = database.clone();
        tokio::spawn(async move { write(&database, move |tx| append(tx, LogNo(1), &[i])).await })
    });
    let mut places = Vec::new();
    for job in jobs.collect::<Vec<_>>() {
        places.push(job.await.unwrap().0);
    }
    places.sort_unstable();
    assert_eq!(places, (0..100).collect::<Vec<_>>());
    let rows = read(&database, |tx| tx.entries(LogNo(1), Seq(0), EVERYTHING, &|_| true)).await;
    let mut prev = EntryHash::ZERO;
    for row in rows {
        assert_eq!(row.entry.hash(prev), row.hash);
        prev = row.hash;
    }
    assert_eq!(read(&database, |tx| tx.log(LOG)).await.unwrap().head, prev);
}

pub(crate) async fn an_entry_stands_only_in_the_next_place_of_its_chain(database: Database) {
    two_logs(&database).await;
    write(&database, |tx| append(tx, LogNo(1), b"first")).await;
    let log = read(&database, |tx| tx.log(LOG)).await.unwrap();
    let right = Link { seq: Seq(1), prev: log.head, t_ms: log.t_ms, co: log.co };
    let wrong = [
        Link { seq: Seq(0), ..right },
        Link { seq: Seq(2), ..right },
        Link { prev: EntryHash::ZERO, ..right },
        Link { t_ms: log.t_ms - 1, ..right },
    ];
    for link in wrong {
        let end = database.write(move |tx| place(tx, link)).await;
        assert!(matches!(end, Err(StoreError::Damaged(_))), "{link:?}");
    }
    write(&database, move |tx| place(tx, right)).await;
}

fn place(tx: &mut dyn Tx, link: Link) -> Done {
    let head = encode(&Head::plain(Kind::Invite, LOG, Gen(0), Epoch(0)));
    let core = Head::core(&head, sha256(b"second"), 6);
    tx.append(
        LogNo(1),
        &NewRow { kind: Kind::Invite, head: &head, payload: b"second", core, link, author: None },
    )
}

pub(crate) async fn a_core_is_known_in_its_own_log_only(database: Database) {
    two_logs(&database).await;
    write(&database, |tx| append(tx, LogNo(1), b"text")).await;
    let core = read(&database, |tx| tx.entry(LogNo(1), Seq(0))).await.unwrap().core;
    let found = read(&database, move |tx| {
        Ok((tx.seq_of_core(LogNo(1), core)?, tx.seq_of_core(LogNo(0), core)?))
    })
    .await;
    assert_eq!(found, (Some(Seq(0)), None));
}

pub(crate) async fn a_read_stops_at_its_budget_but_returns_one_entry_at_least(database: Database) {
    two_logs(&database).await;
    write(&database, |tx| (0..5u8).try_for_each(|i| append(tx, LogNo(1), &[i; 1_000]).map(|_| ())))
        .await;
    let count = |budget| {
        let database = database.clone();
        async move {
            read(&database, move |tx| tx.entries(LogNo(1), Seq(1), budget, &|_| true)).await.len()
        }
    };
    assert_eq!(count(EVERYTHING).await, 4);
    assert_eq!(count(Budget { entries: 2, ..EVERYTHING }).await, 2);
    assert_eq!(count(Budget { bytes: 2_500, ..EVERYTHING }).await, 2);
    assert_eq!(count(Budget { bytes: 0, ..EVERYTHING }).await, 1);
    let without = read(&database, |tx| {
        tx.entries(LogNo(1), Seq(0), EVERYTHING, &|row| row.entry.seq != Seq(2))
    })
    .await;
    let absent: Vec<_> = without.iter().map(|row| row.entry.payload.bytes().is_none()).collect();
    assert_eq!(absent, [false, false, true, false, false]);
}

pub(crate) async fn a_shredded_payload_is_gone_and_its_hash_stays(database: Database) {
    two_logs(&database).await;
    write(&database, |tx| append(tx, LogNo(1), b"text")).await;
    let before = read(&database, |tx| tx.entry(LogNo(1), Seq(0))).await.unwrap();
    write(&database, |tx| tx.shred(LogNo(1), Seq(0))).await;
    let after = read(&database, |tx| tx.entry(LogNo(1), Seq(0))).await.unwrap();
    assert_eq!(before.entry.payload.bytes(), Some(&b"text"[..]));
    assert_eq!(after.entry.payload, Payload::Absent { hash: sha256(b"text"), len: 4 });
    assert_eq!(after.hash, before.hash);
}

pub(crate) async fn log_numbers_are_dense_and_taken_once(database: Database) {
    let numbers = write(&database, |tx| Ok([tx.reserve(USER)?, tx.reserve(OTHER)?])).await;
    assert_eq!(numbers, [LogNo(0), LogNo(1)]);
    let undone: Result<(), StoreError> =
        database.write(|tx| tx.reserve(USER).and(Err(StoreError::Closed))).await;
    assert!(undone.is_err());
    assert_eq!(write(&database, |tx| tx.reserve(USER)).await, LogNo(2));
    let open = |user| read(&database, move |tx| tx.open_reservations(user));
    assert_eq!((open(USER).await, open(OTHER).await), (2, 1));
    write(&database, |tx| tx.create_log(LogNo(1), LOG)).await;
    assert_eq!((open(USER).await, open(OTHER).await), (2, 0));
    let taken = read(&database, |tx| tx.reservation(LogNo(1))).await;
    assert_eq!(taken, Some(Reservation { user: OTHER, log: Some(LOG) }));
    assert!(database.write(|tx| tx.create_log(LogNo(1), LogId([8; 16]))).await.is_err());
    assert!(database.write(|tx| tx.create_log(LogNo(2), LOG)).await.is_err());
    assert!(database.write(|tx| tx.create_log(LogNo(7), LogId([8; 16]))).await.is_err());
}

pub(crate) async fn a_pair_keeps_its_first_conversation_whoever_asks(database: Database) {
    write(&database, |tx| tx.put_pair((OTHER, USER), LOG)).await;
    write(&database, |tx| tx.put_pair((USER, OTHER), LogId([8; 16]))).await;
    let found = read(&database, |tx| {
        Ok((tx.pair((USER, OTHER))?, tx.pair((OTHER, USER))?, tx.pair((USER, USER))?))
    })
    .await;
    assert_eq!(found, (Some(LOG), Some(LOG), None));
}

pub(crate) async fn a_membership_ends_with_the_commit_that_took_the_leaf(database: Database) {
    two_logs(&database).await;
    write(&database, |tx| {
        tx.join(LogNo(1), DEVICE, Seq(1))?;
        tx.leave(LogNo(1), DEVICE, Seq(5))?;
        tx.join(LogNo(1), DEVICE, Seq(9))
    })
    .await;
    let found = read(&database, |tx| tx.memberships(DEVICE)).await;
    assert_eq!(found, read(&database, |tx| tx.members(LogNo(1))).await);
    let covered: Vec<_> =
        (0..12).filter(|seq| found.iter().any(|stay| stay.covers(Seq(*seq)))).collect();
    assert_eq!(covered, [1, 2, 3, 4, 5, 9, 10, 11]);
}

pub(crate) async fn chains_count_by_leaf_and_start_anew_with_an_epoch(database: Database) {
    two_logs(&database).await;
    write(&database, |tx| {
        tx.advance_chain(LogNo(1), LeafIndex(0))?;
        tx.advance_chain(LogNo(1), LeafIndex(0))
    })
    .await;
    let next = |leaf| read(&database, move |tx| tx.chain(LogNo(1), LeafIndex(leaf)));
    assert_eq!((next(0).await, next(1).await), (2, 0));
    write(&database, |tx| tx.restart_chains(LogNo(1))).await;
    assert_eq!(next(0).await, 0);
}

pub(crate) async fn changes_ascend_and_say_what_a_log_had_before_them(database: Database) {
    two_logs(&database).await;
    let newest = || read(&database, |tx| tx.newest_change());
    let size_at = |no, change| read(&database, move |tx| tx.size_at(LogNo(no), change));
    write(&database, |tx| append(tx, LogNo(1), b"one")).await;
    let first = newest().await;
    write(&database, |tx| append(tx, LogNo(0), b"two")).await;
    let second = newest().await;
    write(&database, |tx| {
        append(tx, LogNo(1), b"three")?;
        append(tx, LogNo(1), b"four")
    })
    .await;
    let last = newest().await;
    assert!(first < second && second < last);
    let changed = |after| read(&database, move |tx| tx.changed_after(after));
    assert_eq!(changed(0).await, [LogNo(0), LogNo(1)]);
    assert_eq!(changed(first).await, [LogNo(0), LogNo(1)]);
    assert_eq!(changed(second).await, [LogNo(1)]);
    assert_eq!(changed(last).await, []);
    let sizes = [size_at(1, first).await, size_at(1, second).await, size_at(1, last).await];
    assert_eq!(sizes, [1, 1, 3]);
    assert_eq!((size_at(0, first).await, size_at(0, last).await), (0, 1));
}

pub(crate) async fn a_key_package_is_taken_once_and_the_last_resort_again_and_again(
    database: Database,
) {
    write(&database, |tx| {
        tx.put_packages(DEVICE, 1, &[made(b"one", 5), made(b"two", 5)])?;
        tx.put_last_resort(DEVICE, 1, made(b"old", 5))?;
        tx.put_last_resort(DEVICE, 1, made(b"last", 5))
    })
    .await;
    assert_eq!(read(&database, |tx| tx.packages(DEVICE, 1)).await, 2);
    for expected in ["one", "two", "last", "last"] {
        let taken = write(&database, |tx| tx.take_package(DEVICE, 1, 0..=9)).await;
        assert_eq!(taken.as_deref(), Some(expected.as_bytes()));
    }
    write(&database, |tx| tx.drop_packages(DEVICE, 1)).await;
    assert_eq!(write(&database, |tx| tx.take_package(DEVICE, 1, 0..=9)).await, None);
}

pub(crate) async fn each_suite_has_a_stock_and_a_last_resort_of_its_own(database: Database) {
    write(&database, |tx| {
        tx.put_packages(DEVICE, 1, &[made(b"one", 5)])?;
        tx.put_last_resort(DEVICE, 1, made(b"last one", 5))?;
        tx.put_packages(DEVICE, 2, &[made(b"two", 5)])?;
        tx.put_last_resort(DEVICE, 2, made(b"last two", 5))
    })
    .await;
    let take = |suite| write(&database, move |tx| tx.take_package(DEVICE, suite, 0..=9));
    assert_eq!(take(1).await.as_deref(), Some(b"one".as_slice()));
    assert_eq!(read(&database, |tx| tx.packages(DEVICE, 2)).await, 1);
    assert_eq!(take(1).await.as_deref(), Some(b"last one".as_slice()));
    write(&database, |tx| tx.drop_packages(DEVICE, 1)).await;
    assert_eq!(take(1).await, None);
    assert_eq!(take(2).await.as_deref(), Some(b"two".as_slice()));
    assert_eq!(take(2).await.as_deref(), Some(b"last two".as_slice()));
    assert_eq!(take(3).await, None);
}

pub(crate) async fn a_key_package_of_another_time_is_not_handed_out(database: Database) {
    let take = || write(&database, |tx| tx.take_package(DEVICE, 1, 10..=20));
    write(&database, |tx| {
        let times = [9, 10, 20, 21].map(|made_ms| (made_ms, [made_ms as u8]));
        let packages = times.each_ref().map(|(made_ms, package)| made(package, *made_ms));
        tx.put_packages(DEVICE, 1, &packages)?;
        tx.put_last_resort(DEVICE, 1, made(b"old", 9))
    })
    .await;
    assert_eq!([take().await, take().await, take().await], [Some(vec![10]), Some(vec![20]), None]);
    assert_eq!(read(&database, |tx| tx.packages(DEVICE, 1)).await, 0);
    // The last resort stays until its owner replaces it.
    let late = write(&database, |tx| tx.take_package(DEVICE, 1, 0..=9)).await;
    assert_eq!(late.as_deref(), Some(b"old".as_slice()));
}

fn made(package: &[u8], made_ms: u64) -> NewPackage<'_> {
    NewPackage { package, made_ms }
}

pub(crate) async fn two_takers_never_get_the_same_one_time_package(database: Database) {
    let packages: Vec<Vec<u8>> = (0..20u8).map(|i| vec![i]).collect();
    write(&database, move |tx| {
        let packages: Vec<_> = packages.iter().map(|package| made(package, 5)).collect();
        tx.put_packages(DEVICE, 1, &packages)
    })
    .await;
    let takers = (0..20).map(|_| {
        let database = database.clone();
        tokio::spawn(async move { write(&database, |tx| tx.take_package(DEVICE, 1, 0..=9)).await })
    });
    let mut taken = Vec::new();
    for taker in takers.collect::<Vec<_>>() {
        taken.push(taker.await.unwrap().unwrap());
    }
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 20);
}

pub(crate) async fn a_tree_is_kept_under_its_hash_until_it_is_dropped(database: Database) {
    let hash = Digest([6; 32]);
    write(&database, move |tx| tx.put_tree(LogNo(1), hash, b"tree")).await;
    let trees =
        || read(&database, move |tx| Ok((tx.tree(LogNo(1), hash)?, tx.tree(LogNo(2), hash)?)));
    assert_eq!(trees().await, (Some(b"tree".to_vec()), None));
    write(&database, move |tx| tx.drop_tree(LogNo(1), hash)).await;
    assert_eq!(trees().await, (None, None));
}

pub(crate) async fn a_device_has_one_group_info_for_each_epoch(database: Database) {
    let other = DeviceId([5; 16]);
    write(&database, move |tx| {
        tx.put_group_info(LogNo(1), Gen(0), Epoch(1), DEVICE, b"first")?;
        tx.put_group_info(LogNo(1), Gen(0), Epoch(1), other, b"second")?;
        tx.put_group_info(LogNo(1), Gen(0), Epoch(1), DEVICE, b"mended")?;
        tx.put_group_info(LogNo(1), Gen(0), Epoch(2), other, b"later")
    })
    .await;
    let found = || read(&database, |tx| tx.group_infos(LogNo(1), Gen(0), Epoch(1)));
    assert_eq!(found().await, [(other, b"second".to_vec()), (DEVICE, b"mended".to_vec())]);
    write(&database, move |tx| tx.drop_group_info(LogNo(1), Gen(0), Epoch(1), other)).await;
    assert_eq!(found().await, [(DEVICE, b"mended".to_vec())]);
    let later = read(&database, |tx| tx.group_infos(LogNo(1), Gen(0), Epoch(2))).await;
    assert_eq!(later, [(other, b"later".to_vec())]);
}

pub(crate) async fn a_device_waits_under_its_seed_until_it_waits_no_more(database: Database) {
    let waiting = |user, seed: u8| WaitingDevice {
        request: EnrolRequest {
            user,
            device: DeviceId([seed; 16]),
            signature_key: [seed; 32],
            keystore_key: [2; 33],
            history_key: Bytes(vec![seed]),
            voucher: Bytes(vec![seed]),
            seed_signature: [seed; 64],
            possession: [seed; 64],
        },
        certificate: Bytes(vec![seed]),
    };
    let (hers, his) = (waiting(USER, 1), waiting(OTHER, 2));
    let put = (hers.clone(), his.clone());
    write(&database, move |tx| {
        tx.put_waiting([1; 32], &put.0)?;
        tx.put_waiting([2; 32], &put.1)
    })
    .await;
    let of = |user| read(&database, move |tx| tx.waiting_of(user));
    assert_eq!(of(Some(USER)).await, std::slice::from_ref(&hers));
    assert_eq!(of(None).await, [hers.clone(), his.clone()]);
    assert_eq!(read(&database, |tx| tx.waiting([1; 32])).await, Some(hers));
    write(&database, |tx| tx.drop_waiting([1; 32])).await;
    assert_eq!((of(None).await, of(Some(USER)).await), (vec![his], vec![]));
}

pub(crate) async fn who_may_enter_a_log_is_known_until_it_is_taken_back(database: Database) {
    two_logs(&database).await;
    write(&database, |tx| {
        tx.set_let_in(LogNo(1), USER, None)?;
        tx.set_let_in(LogNo(1), USER, None)?;
        tx.set_let_in(LogNo(2), USER, None)?;
        tx.set_let_in(LogNo(1), OTHER, None)
    })
    .await;
    let logs = |user| read(&database, move |tx| tx.let_in(user));
    assert_eq!(logs(USER).await, [(LogNo(1), None), (LogNo(2), None)]);
    write(&database, |tx| tx.set_let_in(LogNo(1), USER, Some(9))).await;
    assert_eq!(logs(USER).await, [(LogNo(1), Some(9)), (LogNo(2), None)]);
    assert_eq!(logs(OTHER).await, [(LogNo(1), None)]);
    let may = |user| read(&database, move |tx| tx.is_let_in(LogNo(1), user));
    assert!(!may(USER).await && may(OTHER).await);
    write(&database, |tx| tx.set_let_in(LogNo(1), USER, None)).await;
    assert!(may(USER).await, "let in again");
}

pub(crate) async fn what_a_device_used_is_its_own(database: Database) {
    let usage = |entries_ms| Usage { entries_ms, bytes_ms: 7 };
    assert_eq!(read(&database, |tx| tx.usage(DEVICE)).await, Usage::default());
    write(&database, move |tx| tx.put_usage(DEVICE, usage(5))).await;
    write(&database, move |tx| tx.put_usage(DEVICE, usage(6))).await;
    assert_eq!(read(&database, |tx| tx.usage(DEVICE)).await, usage(6));
    let other = DeviceId([9; 16]);
    assert_eq!(read(&database, move |tx| tx.usage(other)).await, Usage::default());
}

pub(crate) async fn a_change_in_the_directory_is_seen_by_its_version(database: Database) {
    let person = |user, name: Option<&str>| Person {
        user,
        handle: "anna".into(),
        name: name.map(Into::into),
    };
    let (anna, ben, forgotten) =
        (person(USER, Some("Anna")), person(OTHER, Some("Ben")), person(USER, None));
    let put = |person: &Person| {
        let (database, person) = (database.clone(), person.clone());
        async move { write(&database, move |tx| tx.put_person(&person)).await }
    };
    assert_eq!([put(&anna).await, put(&ben).await, put(&forgotten).await], [1, 2, 3]);
    let since = |version| read(&database, move |tx| tx.people(version));
    assert_eq!(since(0).await, (3, vec![ben, forgotten.clone()]));
    assert_eq!(since(2).await, (3, vec![forgotten]));
    assert_eq!(since(3).await, (3, vec![]));
}

pub(crate) async fn heads_are_read_as_they_were(database: Database) {
    two_logs(&database).await;
    let row = |n: u8| OuterRow { leaf: vec![n], note: format!("note {n}"), company: vec![n; 3] };
    let (first, second) = (row(1), row(2));
    let rows = (first.clone(), second.clone());
    let hash = |n: u8| Digest([n; 32]);
    write(&database, move |tx| {
        let heads = [(LogNo(0), vec![10]), (LogNo(1), vec![11])];
        tx.put_outer(0, 0, &rows.0, &[(0, 0, hash(1))], &heads)?;
        let nodes = [(0, 1, hash(2)), (1, 0, hash(3))];
        tx.put_outer(0, 1, &rows.1, &nodes, &[(LogNo(1), vec![21])])
    })
    .await;
    let heads = |index| read(&database, move |tx| tx.heads(0, index));
    assert_eq!(heads(0).await, [(LogNo(0), vec![10]), (LogNo(1), vec![11])]);
    assert_eq!(heads(1).await, [(LogNo(0), vec![10]), (LogNo(1), vec![21])]);
    let sizes = read(&database, |tx| Ok((tx.outer_size(0)?, tx.outer_size(1)?))).await;
    assert_eq!(sizes, (2, 0));
    let leaves = read(&database, |tx| Ok((tx.outer(0, 1)?, tx.outer(1, 1)?))).await;
    assert_eq!(leaves, (Some(second), None));
    let nodes = read(&database, |tx| Ok((tx.outer_node(0, 1, 0)?, tx.outer_node(0, 1, 1)?))).await;
    assert_eq!(nodes, (Some(hash(3)), None));
}

pub(crate) async fn the_newest_cosignature_of_each_witness_is_kept(database: Database) {
    let (council, auditor) = (Digest([1; 32]), Digest([2; 32]));
    write(&database, move |tx| {
        tx.put_cosignature(0, 4, council, "four")?;
        tx.put_cosignature(0, 7, council, "seven")?;
        // An answer that comes late.
        tx.put_cosignature(0, 5, council, "five")?;
        tx.put_cosignature(0, 6, auditor, "six")?;
        tx.put_cosignature(0, 6, auditor, "six again")
    })
    .await;
    let kept = |era, witness| read(&database, move |tx| tx.cosigned(era, witness));
    assert_eq!(kept(0, council).await, Some((7, "seven".into())));
    assert_eq!(kept(0, auditor).await, Some((6, "six again".into())));
    assert_eq!(kept(1, council).await, None);
}
