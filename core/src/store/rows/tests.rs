use hauspost_protocol::body::LogType;
use hauspost_protocol::encoding::decode;
use hauspost_protocol::epoch::Chain;
use hauspost_protocol::ids::{
    CoreHash, DeviceId, Digest, EntryHash, Epoch, Gen, LeafIndex, LogId, MessageId, RecordIndex,
    UserId,
};
use hauspost_protocol::mls::storage::Backend;
use hauspost_protocol::wire::Person;

use super::checkpoint::CheckpointRow;
use super::entry::EntryRow;
use super::epoch::EpochRow;
use super::log::{Log, LogPart};
use super::outbox::{IntentKind, IntentState, NewIntent, Sealed};
use super::*;
use crate::store::fixture::{enrolled, group};
use crate::store::{Store, StoreError, Tx};

/// Runs what a test does in one write transaction.
async fn within(job: impl FnOnce(&Tx<'_>, LocalLog) -> Result<(), StoreError> + Send + 'static) {
    let folder = tempfile::tempdir().unwrap();
    let store: Store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    store.write(move |tx| job(tx, log)).await.unwrap();
}

#[tokio::test]
async fn an_account_reads_back_with_its_keys() {
    within(|tx, _| {
        let account = account::find(tx)?.unwrap();
        assert_eq!(account.signing_key.seed().expose(), &[4; 32]);
        assert_eq!(account.history_seed.expose(), &[5; 32]);
        assert_eq!(account.state, account::AccountState::Enrolled);
        account::put_fact(tx, "cursor", b"1")?;
        account::put_fact(tx, "cursor", b"2")?;
        assert_eq!(account::fact(tx, "cursor")?.as_deref(), Some(&b"2"[..]));
        account::forget_fact(tx, "cursor")?;
        assert_eq!(account::fact(tx, "cursor")?, None);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_log_reads_back_as_it_was_stored_and_its_number_is_never_used_again() {
    within(|tx, first| {
        let mut row = Log::new(LogId([5; 16]), LogType::Dm);
        row.peer = Some(UserId([6; 16]));
        row.local = log::insert(tx, &row, None, 9)?;
        row.next_seq = Seq(4);
        row.epoch = Epoch(2);
        row.own_leaf = Some(LeafIndex(1));
        row.state = log::LogState::Broken;
        log::update(tx, &row)?;
        assert_eq!(log::find(tx, row.local.id)?.as_ref(), Some(&row));
        assert_eq!(log::dm_with(tx, UserId([6; 16]))?, Some(row.clone()));
        let all: Vec<_> = log::all(tx)?.into_iter().map(|log| log.local).collect();
        assert_eq!(all, [row.local, first], "the newest conversation first");

        log::put_part(tx, row.local, LogPart::Roster, b"old")?;
        log::put_part(tx, row.local, LogPart::Roster, b"new")?;
        assert_eq!(log::part(tx, row.local, LogPart::Roster)?.as_deref(), Some(&b"new"[..]));
        assert_eq!(log::part(tx, first, LogPart::Roster)?, None);

        tx.execute("DELETE FROM log WHERE id = ?1", [row.local.number])?;
        let next = log::insert(tx, &Log::new(LogId([8; 16]), LogType::Group), None, 1)?;
        assert!(next.number > row.local.number);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_entry_is_found_by_its_number_and_by_its_core_unless_it_is_a_record() {
    within(|tx, log| {
        let entry = |seq, kind| EntryRow {
            seq: Seq(seq),
            kind,
            t_ms: 5,
            co: 3,
            core: CoreHash([seq as u8; 32]),
            hash: EntryHash([seq as u8; 32]),
        };
        entry::append(tx, log, &entry(0, 1), Some((b"head", b"payload")))?;
        entry::append(tx, log, &entry(1, 3), Some((b"head", b"payload")))?;
        assert!(entry::append(tx, log, &entry(1, 3), None).is_err(), "a number is given once");
        assert_eq!(entry::hash_at(tx, log, Seq(1))?, Some(EntryHash([1; 32])));
        assert_eq!(entry::hash_at(tx, log, Seq(2))?, None);
        assert!(entry::has_core(tx, CoreHash([0; 32]))?);
        assert!(!entry::has_core(tx, CoreHash([1; 32]))?);
        assert_eq!(entry::skeleton(tx, log, Seq(1), 9)?, [entry(1, 3)]);
        entry::append(tx, log, &entry(2, 2), Some((b"head", b"payload")))?;
        entry::append(tx, log, &entry(3, 2), Some((b"head", b"payload")))?;
        entry::release(tx, log, Seq(3))?;
        assert!(entry::held(tx, log, Seq(0))?.is_some(), "a commit stays as long as the log");
        assert_eq!(entry::held(tx, log, Seq(1))?, None);
        assert_eq!(entry::held(tx, log, Seq(2))?, None);
        assert!(entry::held(tx, log, Seq(3))?.is_some(), "not covered yet");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_epoch_replaces_all_chains_of_the_one_before() {
    within(|tx, log| {
        let chain = |index: u8, secret: u8| -> Chain {
            let mut bytes = vec![0x82, index, 0x58, 0x20];
            bytes.extend([secret; 32]);
            decode(&bytes).unwrap()
        };
        let row = |epoch| EpochRow {
            r#gen: Gen(0),
            epoch: Epoch(epoch),
            capsule_hash: Digest([1; 32]),
            capsule_body: Some(vec![1, 2, 3]),
            capsule_seq: None,
            hints: None,
        };
        let (zero, one) = (LeafIndex(0), LeafIndex(1));
        epoch::begin(tx, log, &row(1), &[(zero, chain(0, 1)), (one, chain(0, 2))])?;
        epoch::put_chains(tx, log, &[(one, &chain(5, 3))])?;
        assert_eq!(epoch::chains(tx, log)?, [(zero, chain(0, 1)), (one, chain(5, 3))]);
        epoch::set_capsule_seq(tx, log, Seq(7))?;
        let found = epoch::find(tx, log)?.unwrap();
        assert_eq!((found.capsule_seq, found.capsule_body), (Some(Seq(7)), None));
        epoch::begin(tx, log, &row(2), &[(zero, chain(0, 4))])?;
        assert_eq!(epoch::chain(tx, log, zero)?, Some(chain(0, 4)));
        assert_eq!(epoch::chain(tx, log, one)?, None);
        epoch::end(tx, log)?;
        assert!(epoch::find(tx, log)?.is_none() && epoch::chains(tx, log)?.is_empty());
        Ok(())
    })
    .await;
}

fn sealed(byte: u8) -> Sealed {
    Sealed {
        r#gen: Gen(0),
        epoch: Epoch(1),
        leaf_index: RecordIndex(u32::from(byte)),
        dctr: 4,
        core: CoreHash([byte; 32]),
        head: vec![byte],
        payload: vec![byte, byte],
    }
}

#[tokio::test]
async fn an_intent_walks_from_queued_to_secured_and_back_when_it_must_be_sealed_again() {
    within(|tx, log| {
        let intent = |id: u8| NewIntent {
            log: log.id,
            kind: IntentKind::Record,
            message_id: Some(MessageId([id; 32])),
            body: vec![id],
            made_ms: 1,
        };
        let first = outbox::insert(tx, &intent(1))?;
        let second = outbox::insert(tx, &intent(2))?;
        assert_eq!(outbox::logs_with_work(tx, 0)?, [log.id]);

        assert!(!tx.is_flushed(), "what is only wanted may go with the phone's power");
        outbox::seal(tx, first, &sealed(1))?;
        assert!(tx.is_flushed(), "what is sealed may be sent, so it is kept for good");
        outbox::seal(tx, second, &sealed(2))?;
        assert_eq!(outbox::by_core(tx, log.id, CoreHash([2; 32]))?.unwrap().id, second);
        outbox::unseal_log(tx, log.id)?;
        let open = outbox::open(tx, log.id, 9)?;
        assert!(open.iter().all(|i| i.state == IntentState::Queued && i.sealed.is_none()));
        assert_eq!((open.len(), open[0].attempt), (2, 1));

        outbox::seal(tx, first, &sealed(3))?;
        outbox::accept(tx, first, Seq(8))?;
        assert_eq!(outbox::secure(tx, log.id, Seq(8))?, []);
        assert_eq!(outbox::accepted(tx, log.id)?, [(first, Seq(8))], "8 is not below 8");
        assert_eq!(outbox::secure(tx, log.id, Seq(9))?, [CoreHash([3; 32])]);
        let done = outbox::find(tx, first)?.unwrap();
        assert_eq!((done.state, done.sealed), (IntentState::Secured, None));

        outbox::fail(tx, second, 13)?;
        assert_eq!(outbox::find(tx, second)?.unwrap().reason, Some(13));
        assert!(
            outbox::open(tx, log.id, 9)?.is_empty() && outbox::logs_with_work(tx, 0)?.is_empty()
        );
        outbox::retry(tx, second)?;
        let again = outbox::open(tx, log.id, 9)?;
        assert_eq!((again[0].id, again[0].reason), (second, None));

        outbox::discard(tx, second)?;
        assert!(outbox::open(tx, log.id, 9)?.is_empty());
        assert!(outbox::by_message(tx, log.id, MessageId([2; 32]))?.is_none());
        let third = outbox::insert(tx, &intent(3))?;
        assert!(third > second, "no number is used again, not even the newest");
        outbox::discard(tx, second)?;
        assert!(outbox::find(tx, second)?.is_none(), "nor is it kept for ever");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_checkpoint_that_somebody_names_does_not_replace_the_verified_one() {
    within(|tx, _| {
        let named = CheckpointRow {
            era: 0,
            size: 5,
            root: Digest([1; 32]),
            verified: false,
            note: None,
            company_size: None,
            durable: None,
            t_ms: 1,
        };
        let verified = CheckpointRow {
            verified: true,
            note: Some("note".to_owned()),
            company_size: Some(3),
            ..named.clone()
        };
        checkpoint::put(tx, &named)?;
        assert_eq!((checkpoint::newest(tx)?, checkpoint::unproven(tx)?.len()), (None, 1));
        checkpoint::put(tx, &verified)?;
        checkpoint::put(tx, &named)?;
        assert_eq!(checkpoint::newest(tx)?, Some(verified.clone()));
        assert!(checkpoint::unproven(tx)?.is_empty());
        let newer = CheckpointRow { size: 6, ..verified };
        checkpoint::put(tx, &newer)?;
        checkpoint::prune(tx, 0, 6)?;
        assert_eq!(checkpoint::newest(tx)?, Some(newer));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn mls_state_is_a_table_of_the_running_transaction() {
    within(|tx, _| {
        let table = mls::MlsTable(tx);
        table.put(b"key", b"old")?;
        table.put(b"key", b"new")?;
        assert_eq!(table.get(b"key")?.as_deref(), Some(&b"new"[..]));
        table.delete(b"key")?;
        assert_eq!(mls::get(tx, b"key")?, None);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn people_are_sorted_as_a_phone_book_sorts_them_and_the_forgotten_have_no_name() {
    within(|tx, _| {
        let person = |id: u8, handle: &str, name: Option<&str>| Person {
            user: UserId([id; 16]),
            handle: handle.to_owned(),
            name: name.map(str::to_owned),
        };
        let people = [
            person(1, "zoe", Some("Zoe Zahn")),
            person(2, "oezlem", Some("Özlem Öz")),
            person(3, "paul", Some("Paul Otto")),
        ];
        person::put(tx, &people)?;
        let names: Vec<_> =
            person::all(tx, 9)?.into_iter().filter_map(|person| person.name).collect();
        assert_eq!(names, ["Özlem Öz", "Paul Otto", "Zoe Zahn"]);
        person::put(tx, &[person(3, "paul", None)])?;
        assert_eq!(person::by_handle(tx, "paul")?.unwrap().name, None);
        let left: i64 = tx.query_row(
            "SELECT count(*) FROM person WHERE folded LIKE '%paul%' OR name LIKE '%Paul%'",
            [],
            |row| row.get(0),
        )?;
        assert_eq!(left, 0);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_devices_said_alarms_and_quarantined_entries_read_back() {
    within(|tx, log| {
        let author = author::Author { device: DeviceId([1; 16]), next_dctr: 3, seen_seq: Seq(2) };
        author::put(tx, log, &[author, author::Author { next_dctr: 4, ..author }])?;
        assert_eq!(author::all(tx, log)?, [author::Author { next_dctr: 4, ..author }]);

        let entry = quarantine::Quarantined { seq: Seq(9), code: 3, device: None, t_ms: 1 };
        quarantine::insert(tx, log, &entry)?;
        assert_eq!(quarantine::all(tx, log)?, [entry]);

        let raised =
            alarm::Alarm { log: Some(log.id), code: 0, seq: None, evidence: None, t_ms: 1 };
        let id = alarm::raise(tx, &raised)?;
        assert_eq!(alarm::unreported(tx)?, [(id, raised)]);
        alarm::reported(tx, id)?;
        assert!(alarm::unreported(tx)?.is_empty());
        Ok(())
    })
    .await;
}
