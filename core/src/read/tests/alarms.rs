use super::*;
use crate::inbound::Code;
use crate::observe::Change;
use crate::store::rows::alarm::{self, Alarm};

async fn raise(store: &Store, log: Option<LogId>, code: Code, t_ms: u64) -> i64 {
    let alarm = Alarm { log, code: code as u64, seq: None, evidence: None, t_ms };
    store.write::<_, StoreError, _>(move |tx| alarm::raise(tx, &alarm)).await.unwrap()
}

async fn rows(store: &Store) -> Vec<AlarmRow> {
    store.read(|conn| alarms(conn, 50)).await.unwrap()
}

#[tokio::test]
async fn alarms_of_one_kind_in_one_place_are_one_row_and_the_newest_stands_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let lager = Some(LogId([1; 16]));
    raise(&store, lager, Code::Index, 10).await;
    raise(&store, None, Code::Gossip, 20).await;
    raise(&store, Some(LogId([2; 16])), Code::Index, 30).await;
    let newest = raise(&store, lager, Code::Index, 40).await;
    let rows = rows(&store).await;
    let said: Vec<_> = rows.iter().map(|row| (row.kind, row.count, row.first_ms)).collect();
    let broken = AlarmKind::BrokenRule;
    assert_eq!(said, [(broken, 2, 10), (broken, 1, 30), (AlarmKind::TwoHistories, 1, 20)]);
    assert_eq!((rows[0].number, rows[0].log, rows[0].last_ms), (newest, lager, 40));
    assert_eq!(store.read(|conn| alarms(conn, 1)).await.unwrap().len(), 1, "a page");
}

#[tokio::test]
async fn a_page_of_alarms_has_so_many_rows_however_many_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let many = |tx: &crate::store::Tx<'_>| {
        for code in 0..u64::from(PAGE_ROWS) + 1 {
            let alarm = Alarm { log: None, code, seq: None, evidence: None, t_ms: 1 };
            alarm::raise(tx, &alarm)?;
        }
        Ok::<_, StoreError>(())
    };
    store.write(many).await.unwrap();
    let page = store.read(|conn| alarms(conn, u32::MAX)).await.unwrap();
    assert_eq!(page.len(), PAGE_ROWS as usize);
}

#[tokio::test]
async fn the_same_of_the_same_entry_is_raised_once_and_of_another_entry_or_place_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let (here, there) = (Some(LogId([1; 16])), Some(LogId([2; 16])));
    let alarm = |log, seq: Option<u64>| {
        let (code, seq) = (Code::Grant as u64, seq.map(Seq));
        Alarm { log, code, seq, evidence: None, t_ms: 1 }
    };
    for (log, seq, expected) in [
        (here, Some(5), 1),
        (here, Some(5), 1),
        (here, Some(6), 2),
        (there, Some(5), 3),
        (None, Some(5), 4),
        (here, None, 5),
        (here, None, 5),
    ] {
        let alarm = alarm(log, seq);
        let raise = move |tx: &crate::store::Tx<'_>| alarm::raise_once(tx, &alarm);
        store.write::<_, StoreError, _>(raise).await.unwrap();
        assert_eq!(store.read(alarm::all).await.unwrap().len(), expected);
    }
}

#[tokio::test]
async fn what_was_acknowledged_stands_behind_what_was_not_and_what_comes_later_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let seen = raise(&store, None, Code::Fork, 10).await;
    raise(&store, None, Code::CheckpointAge, 20).await;
    raise(&store, None, Code::Reset, 25).await;
    let observer = store.observe();
    store.write::<_, StoreError, _>(move |tx| alarm::acknowledge(tx, seen)).await.unwrap();
    assert_eq!(observer.next().await, Some(vec![Change::Alarms]));
    raise(&store, None, Code::Fork, 30).await;
    let said: Vec<_> =
        rows(&store).await.iter().map(|row| (row.kind, row.is_acknowledged)).collect();
    let (forked, past, reset) = (AlarmKind::TwoHistories, AlarmKind::Past, AlarmKind::Reset);
    assert_eq!(said, [(forked, false), (past, false), (reset, true), (forked, true)]);
}

#[tokio::test]
async fn a_row_says_whether_an_admin_hears_of_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let first = raise(&store, None, Code::Rollback, 10).await;
    let second = raise(&store, None, Code::Rollback, 20).await;
    raise(&store, None, Code::Mls, 30).await;
    let said = async || rows(&store).await.iter().map(|row| row.report).collect::<Vec<_>>();
    let tell = |id: i64| store.write::<_, StoreError, _>(move |tx| alarm::reported(tx, id));
    tell(first).await.unwrap();
    assert_eq!(said().await, [AlarmReport::None, AlarmReport::Waits], "a member's doing; half");
    tell(second).await.unwrap();
    assert_eq!(said().await, [AlarmReport::None, AlarmReport::Made]);
}

#[test]
fn each_code_means_something_to_a_person() {
    for (code, kind) in [
        (Code::Fork, AlarmKind::TwoHistories),
        (Code::Gossip, AlarmKind::TwoHistories),
        (Code::Checkpoint, AlarmKind::Checkpoint),
        (Code::CheckpointAge, AlarmKind::Past),
        (Code::Uncovered, AlarmKind::Past),
        (Code::Missing, AlarmKind::Past),
        (Code::Rollback, AlarmKind::Copied),
        (Code::Company, AlarmKind::CompanyLog),
        (Code::Grant, AlarmKind::Colleague),
        (Code::Reset, AlarmKind::Reset),
        (Code::Newer, AlarmKind::Newer),
        (Code::Authorise, AlarmKind::BrokenRule),
    ] {
        assert_eq!(AlarmKind::of(code as u64), kind, "{code:?}");
    }
    assert_eq!(AlarmKind::of(9_999), AlarmKind::BrokenRule, "of a newer build");
}
