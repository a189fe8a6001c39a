use std::collections::BTreeSet;

use hauspost_protocol::epoch::{Chains, EpochContext, EpochSecret};
use hauspost_protocol::ids::{
    Digest, EntryHash, Epoch, Gen, LeafIndex, MessageId, RecordIndex, UserId,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use super::super::entry::{self, EntryRow};
use super::super::message::{Message, NewMessage};
use super::*;
use crate::read::{Window, timeline};
use crate::store::Store;
use crate::store::fixture::{enrolled, group, text};

const OTHER: DeviceId = DeviceId([7; 16]);
const KINDS: [u64; 7] = [0, 1, 2, 3, 3, 5, 3];

async fn within(job: impl FnOnce(&Tx<'_>, LocalLog) -> Result<(), StoreError> + Send + 'static) {
    let folder = tempfile::tempdir().unwrap();
    let store: Store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    store.write(move |tx| job(tx, log)).await.unwrap();
}

fn append(tx: &Tx<'_>, log: LocalLog, seq: u64, kind: u64) -> Result<(), StoreError> {
    let mut core = [0; 32];
    core[..8].copy_from_slice(&seq.to_be_bytes());
    let (core, hash) = (CoreHash(core), EntryHash([0; 32]));
    entry::append(tx, log, &EntryRow { seq: Seq(seq), kind, t_ms: seq, co: 1, core, hash }, None)
}

fn chains() -> Chains {
    let log = LogId([1; 16]);
    let context = EpochContext { log, r#gen: Gen(0), epoch: Epoch(1), ga: Digest([2; 32]) };
    Chains::new(EpochSecret::from_exporter(&[9; 32], context))
}

fn key() -> RecordKey {
    chains().take(LeafIndex(0), RecordIndex(0)).unwrap()
}

fn unread(seq: u64) -> Unread {
    Unread { seq: Seq(seq), author: OTHER, may_write: true, owned: false, handed: false }
}

fn ranges(ranges: &[(u64, u64)]) -> Ranges {
    ranges.iter().map(|(from, to)| (Seq(*from), Seq(*to))).collect()
}

#[tokio::test]
async fn what_is_not_readable_is_asked_for_in_stretches_that_pass_over_what_is_no_record() {
    within(|tx, log| {
        for (seq, kind) in (0..).zip(KINDS) {
            append(tx, log, seq, kind)?;
        }
        for seq in 7..12 {
            append(tx, log, seq, 3)?;
        }
        for seq in [3, 4, 6, 7, 11] {
            add_unread(tx, log, &unread(seq))?;
        }
        assert_eq!(unread_ranges(tx, log)?, ranges(&[(3, 7), (11, 11)]));
        assert_eq!(count_unread(tx, log)?, 5);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn no_more_stretches_are_asked_for_than_a_record_may_name_and_the_newest_come_first() {
    within(|tx, log| {
        for seq in 0..1_000 {
            append(tx, log, seq, 3)?;
            if seq % 2 == 0 {
                add_unread(tx, log, &unread(seq))?;
            }
        }
        let asked = unread_ranges(tx, log)?;
        assert_eq!(grant::check_ranges(&asked), Ok(()));
        assert_eq!((asked.len(), asked.last()), (limits::RANGES, Some(&(Seq(998), Seq(998)))));
        assert_eq!(asked[0], (Seq(488), Seq(488)));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_long_past_is_given_in_pieces_of_bounded_size_the_newest_first_and_without_a_gap() {
    within(|tx, log| {
        const RECORDS: u64 = 10_000;
        for seq in 0..RECORDS {
            append(tx, log, seq, 3)?;
            keep_key(tx, log, Seq(seq), &key())?;
        }
        let mut left = ranges(&[(100, RECORDS - 1)]);
        let mut given = 0;
        while !left.is_empty() {
            let piece = piece(tx, log, &left, &|_, _, _| true)?;
            assert!(piece.keys.len() <= limits::GRANT_KEYS && !piece.keys.is_empty());
            let newest = left.last().map(|(_, to)| *to);
            assert_eq!(piece.keys.first().map(|(seq, _)| *seq), newest);
            assert!(piece.keys.iter().all(|(seq, _)| grant::names(&piece.ranges, *seq)));
            given += piece.keys.len() as u64;
            left = grant::without(&left, &piece.ranges);
        }
        assert_eq!(given, RECORDS - 100);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_piece_names_only_what_it_has_keys_for_and_prefers_the_key_of_the_bytes_in_the_log() {
    within(|tx, log| {
        for seq in 0..8 {
            append(tx, log, seq, if seq == 4 { 1 } else { 3 })?;
        }
        let mut chains = chains();
        let mut next = |index| chains.take(LeafIndex(0), RecordIndex(index)).unwrap();
        let (of_message, of_log) = (next(0), next(1));
        for seq in [2, 3, 5] {
            let message = NewMessage { record_key: Some(of_message.clone()), ..text(seq, "a") };
            message::insert(tx, log, &message)?;
        }
        // The message at 3 was sealed by this phone in other bytes than those that stand there.
        keep_key(tx, log, Seq(3), &of_log)?;
        let found = piece(tx, log, &ranges(&[(0, 3), (5, 7)]), &|_, _, _| true)?;
        assert_eq!(found.ranges, ranges(&[(2, 3), (5, 5)]));
        let keys = [(Seq(5), of_message.clone()), (Seq(3), of_log), (Seq(2), of_message)];
        assert_eq!(found.keys, keys);
        let across = piece(tx, log, &ranges(&[(0, 7)]), &|_, _, _| true)?;
        assert_eq!(across.ranges, ranges(&[(2, 5)]), "a commit is nothing to give");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_key_of_an_own_record_without_a_message_is_kept_once_it_stands_in_the_log() {
    within(|tx, log| {
        for seq in 0..3 {
            append(tx, log, seq, 3)?;
        }
        seal_key(tx, 5, &key())?;
        keep_sealed(tx, log, 5, Seq(1), true)?;
        seal_key(tx, 6, &key())?;
        keep_sealed(tx, log, 6, Seq(2), false)?;
        keep_sealed(tx, log, 6, Seq(2), true)?;
        assert_eq!(piece(tx, log, &ranges(&[(0, 2)]), &|_, _, _| true)?.keys, [(Seq(1), key())]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_key_is_given_to_what_is_not_readable_only_and_a_wrong_one_makes_room_for_another() {
    within(|tx, log| {
        for seq in 0..3 {
            append(tx, log, seq, 3)?;
        }
        add_unread(tx, log, &unread(1))?;
        assert!(!give_key(tx, log, Seq(0), &key(), Seq(9))?, "it is readable");
        assert_eq!(granted_logs(tx)?, []);
        assert!(give_key(tx, log, Seq(1), &key(), Seq(9))?);
        assert!(!give_key(tx, log, Seq(1), &key(), Seq(10))?, "the first one is tried first");
        assert_eq!(granted_logs(tx)?, [log.id]);
        let waiting = granted(tx, log, 9)?;
        assert_eq!((waiting.len(), waiting[0].seq, waiting[0].by), (1, Seq(1), Seq(9)));
        assert_eq!((waiting[0].slot.author, waiting[0].slot.may_write), (OTHER, true));
        drop_key(tx, log, Seq(1))?;
        assert_eq!((granted_logs(tx)?, count_unread(tx, log)?), (vec![], 1));
        assert!(give_key(tx, log, Seq(1), &key(), Seq(10))?);
        settle(tx, log, Seq(1))?;
        assert_eq!((granted_logs(tx)?, count_unread(tx, log)?), (vec![], 0));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_was_given_is_asked_for_no_more_and_the_rest_waits_for_whoever_gives_already() {
    within(|tx, log| {
        ask(tx, log, OTHER, &ranges(&[(1, 5), (8, 9)]))?;
        put_off(tx, &asked(tx)?[0], 10)?;
        given(tx, log, DeviceId([8; 16]), &ranges(&[(1, 9)]), 99)?;
        given(tx, log, OTHER, &ranges(&[(4, 8)]), 50)?;
        let left = asked(tx)?;
        assert_eq!((left.len(), left[0].due_ms), (1, 50));
        assert_eq!(left[0].ranges, ranges(&[(1, 3), (9, 9)]));
        given(tx, log, OTHER, &ranges(&[(1, 3)]), 0)?;
        assert_eq!(asked(tx)?[0].due_ms, 50, "nothing brings it forward");
        ask(tx, log, OTHER, &ranges(&[(2, 2)]))?;
        assert_eq!(asked(tx)?[0].due_ms, 50, "asking again does not either");
        assert_eq!(asked(tx)?[0].ranges, ranges(&[(2, 2)]));
        given(tx, log, OTHER, &ranges(&[(0, 7)]), 0)?;
        assert_eq!(asked(tx)?, []);
        Ok(())
    })
    .await;
}

/// The lines that say that something is not readable: where each stands, and how many it counts.
fn lines(tx: &Tx<'_>, log: LocalLog) -> Vec<(u64, u64)> {
    let page = timeline(tx, log.id, Window::Newest, 500).unwrap();
    let is_line = |row: &Message| row.kind == message::MessageKind::Unreadable;
    let lines = page.rows.into_iter().filter(is_line);
    lines.map(|row| (row.seq.unwrap().0, row.missing)).collect()
}

#[tokio::test]
async fn in_whatever_order_records_become_readable_the_lines_count_those_that_are_not() {
    for seed in 0..16 {
        let mut order: Vec<u64> = (2..12).filter(|seq| *seq != 7).collect();
        order.shuffle(&mut StdRng::seed_from_u64(seed));
        within(move |tx, log| {
            // Records 2 to 6, an event at 7, records 8 to 11.
            for (first, count) in [(2, 5), (8, 4)] {
                message::unreadable(tx, log, Seq(first), count, 5)?;
                for seq in first..first + count {
                    append(tx, log, seq, 3)?;
                    add_unread(tx, log, &unread(seq))?;
                }
                if first == 2 {
                    let by = (UserId([2; 16]), OTHER);
                    message::event(tx, log, Seq(7), &message::Event::Created, by, 5)?;
                }
            }
            let mut left: BTreeSet<u64> = order.iter().copied().collect();
            for seq in order {
                settle(tx, log, Seq(seq))?;
                let message_id = MessageId([seq as u8; 32]);
                assert!(message::insert(tx, log, &NewMessage { message_id, ..text(seq, "a") })?);
                left.remove(&seq);
                let shown = lines(tx, log);
                let counted: u64 = shown.iter().map(|(_, count)| count).sum();
                assert_eq!(counted, left.len() as u64, "seed {seed}");
                // Each line stands where something is not readable.
                assert!(shown.iter().all(|(at, _)| left.contains(at)), "{shown:?} of {left:?}");
            }
            Ok(())
        })
        .await;
    }
}

#[tokio::test]
async fn in_whatever_order_what_had_passed_is_handed_over_and_read_the_lines_count_what_is_not_readable()
 {
    // 2 to 5 and 9 to 10 were noted as one stretch, though 6 to 8 and 11 are somebody else's past.
    const HANDED: [u64; 4] = [6, 7, 8, 11];
    for seed in 0..64 {
        let mut rng = StdRng::seed_from_u64(seed);
        within(move |tx, log| {
            message::unreadable(tx, log, Seq(2), 6, 5)?;
            let mut left: BTreeSet<u64> = (2..6).chain(9..11).collect();
            for seq in 2..12 {
                append(tx, log, seq, 3)?;
                match HANDED.contains(&seq) {
                    true => add_passed(tx, log, &unread(seq))?,
                    false => add_unread(tx, log, &unread(seq))?,
                }
            }
            assert_eq!(unread_ranges(tx, log)?, ranges(&[(2, 5), (9, 10)]), "asked for");
            // A number that comes first is handed over, one that is there is read.
            let mut order: Vec<u64> = (2..12).chain(HANDED).collect();
            order.shuffle(&mut rng);
            let mut passed: BTreeSet<u64> = HANDED.into_iter().collect();
            for seq in order {
                if passed.remove(&seq) {
                    assert!(
                        !give_key(tx, log, Seq(seq), &key(), Seq(20))?,
                        "it is not handed over"
                    );
                    hand_passed(tx, log, Seq(seq), 5)?;
                    assert!(give_key(tx, log, Seq(seq), &key(), Seq(20))?);
                    left.insert(seq);
                } else {
                    settle(tx, log, Seq(seq))?;
                    let message_id = MessageId([seq as u8; 32]);
                    assert!(message::insert(
                        tx,
                        log,
                        &NewMessage { message_id, ..text(seq, "a") }
                    )?);
                    left.remove(&seq);
                }
                hand_passed(tx, log, Seq(seq), 5)?;
                let shown = lines(tx, log);
                let counted: u64 = shown.iter().map(|(_, count)| count).sum();
                assert_eq!(counted, left.len() as u64, "seed {seed}: {shown:?} of {left:?}");
                assert!(shown.iter().all(|(at, _)| left.contains(at)), "{shown:?} of {left:?}");
            }
            Ok(())
        })
        .await;
    }
}

#[tokio::test]
async fn who_asks_is_counted_by_device_and_conversation_until_it_was_quiet_for_long() {
    within(|tx, log| {
        let count = |device, now_ms| count_ask(tx, log, device, now_ms, 1_000);
        assert_eq!((count(OTHER, 5_000)?, count(OTHER, 5_000)?, count(OTHER, 6_000)?), (1, 2, 3));
        assert_eq!(count(DeviceId([8; 16]), 6_000)?, 1);
        assert_eq!(count(OTHER, 6_999)?, 4);
        assert_eq!(count(OTHER, 8_000)?, 1, "a thousand quiet milliseconds");
        Ok(())
    })
    .await;
}
