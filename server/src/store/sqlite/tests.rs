use futures_util::FutureExt as _;
use hauspost_protocol::file::{Layout, Leaves};
use hauspost_protocol::ids::{DeviceId, Digest, EntryHash, LogNo, Seq};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::store::blobs::NewBlob;
use crate::store::contract::{append, contract_tests, two_logs};
use crate::store::{Budget, Database, StoreError, Tx};

fn open(folder: &Path) -> Result<Database, StoreError> {
    SqliteStore::open(folder, StdRng::seed_from_u64(1)).map(Database::new)
}

fn empty() -> (Database, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open(folder.path()).unwrap(), folder)
}

contract_tests!(empty());

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let (database, folder) = empty();
    database.write::<_, StoreError>(|tx| tx.put_setting("a", b"1")).await.unwrap();
    drop(database);
    let database = open(folder.path()).unwrap();
    let found = database.read::<_, StoreError>(|tx| tx.setting("a")).await.unwrap();
    assert_eq!(found, Some(b"1".to_vec()));
}

/// Keys are committed before the blobs that they seal, so a crash may come between the two.
#[tokio::test]
async fn attacks_11_a_shred_key_without_a_document_is_deleted_and_no_other() {
    let (database, folder) = empty();
    two_logs(&database).await;
    let begin = |tx: &mut dyn Tx| {
        let layout = Layout::of_plain(1).unwrap();
        let (root, leaves) = (Digest([7; 32]), [Digest([8; 32])].into_iter().collect::<Leaves>());
        let uploader = DeviceId([1; 16]);
        tx.begin_blob(LogNo(1), &NewBlob { root, layout, leaves: &leaves, uploader, begun_ms: 1 })
    };
    let begun = database.write::<_, StoreError>(begin).await.unwrap();
    drop(database);
    let shred = Connection::open(folder.path().join(SHRED_FILE)).unwrap();
    for idle in 0..5u8 {
        let key = rusqlite::params![[idle; 16], [idle; 32]];
        shred.execute("INSERT INTO blob_keys (id, key) VALUES (?1, ?2)", key).unwrap();
    }
    let database = open(folder.path()).unwrap();
    let (mut dropped, mut after) = (0, None);
    loop {
        let job = move |tx: &mut dyn Tx| tx.drop_idle_keys(after, 2);
        let (more, next) = database.write::<_, StoreError>(job).await.unwrap();
        dropped += more;
        after = next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(dropped, 5);
    let left = shred.query_row("SELECT count(*) FROM blob_keys", [], |row| row.get::<_, i64>(0));
    assert_eq!(left.unwrap(), 1);
    let key = database.read::<_, StoreError>(move |tx| tx.blob_key(begun)).await.unwrap();
    assert!(key.is_some());
}

#[tokio::test]
async fn a_closed_store_has_finished_what_was_queued_and_holds_no_file_whoever_still_has_it() {
    let (database, folder) = empty();
    let writes: Vec<_> = (0..20u8)
        .map(|number| {
            let job = move |tx: &mut dyn Tx| tx.put_setting(&format!("{number}"), b"1");
            let mut write = Box::pin(database.write::<_, StoreError>(job));
            assert!((&mut write).now_or_never().is_none_or(|done| done.is_ok()), "handed over");
            write
        })
        .collect();
    database.close().await;
    database.close().await;
    let late = database.write::<_, StoreError>(|tx| tx.put_setting("late", b"1")).await;
    assert!(matches!(late, Err(StoreError::Closed)), "{late:?}");
    let read = database.read::<_, StoreError>(|tx| tx.setting("0")).await;
    assert!(matches!(read, Err(StoreError::Closed)), "{read:?}");
    drop(writes);
    for name in [MAIN_FILE, SHRED_FILE] {
        let log = folder.path().join(format!("{name}-wal"));
        assert!(!log.exists(), "the write-ahead log of {name} is moved and gone");
    }
    let again = open(folder.path()).unwrap();
    for number in 0..20u8 {
        let find = move |tx: &dyn crate::store::ReadTx| tx.setting(&format!("{number}"));
        assert!(again.read::<_, StoreError>(find).await.unwrap().is_some(), "{number}");
    }
}

#[test]
fn a_database_of_a_newer_program_is_refused_and_left_alone() {
    let (database, folder) = empty();
    drop(database);
    let path = folder.path().join(MAIN_FILE);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = open(folder.path()).err().unwrap();
    assert!(matches!(refused, StoreError::Newer { found: 99, .. }), "{refused}");
}

#[test]
fn a_file_that_is_no_database_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(MAIN_FILE);
    let bytes = vec![7; 8_192];
    std::fs::write(&path, &bytes).unwrap();
    let refused = open(folder.path()).err().unwrap();
    assert!(matches!(refused, StoreError::Backend { action: "open the database", .. }));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

/// SQLite before 3.51.3 could corrupt a database when it reset its write-ahead log.
#[test]
fn the_bundled_sqlite_is_newer_than_the_wal_reset_defect() {
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}

#[test]
fn every_commit_is_synced_to_disk() {
    let (_database, folder) = empty();
    let connections = Connections::open(folder.path()).unwrap();
    for connection in [&connections.main, &connections.shred] {
        let pragma =
            |name| connection.pragma_query_value(None, name, |row| row.get::<_, String>(0));
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        assert_eq!(pragma("journal_mode").unwrap(), "wal");
        assert_eq!(number("synchronous").unwrap(), 2);
    }
}

/// `docs/attacks.md` 11: a payload that was shredded must not survive in the main database, of which
/// backups live for years.
#[tokio::test]
async fn the_main_database_holds_no_payload_in_the_clear() {
    const CANARY: &[u8] = b"Kanarienvogel im Kontor";
    let (database, folder) = empty();
    two_logs(&database).await;
    database
        .write(|tx| {
            append(tx, LogNo(0), b"the company log is clear").and(append(tx, LogNo(1), CANARY))
        })
        .await
        .unwrap();
    // The store stays open: when it closes, its own thread moves the log into the file, and a reader
    // could come between.
    let files = [MAIN_FILE, SHRED_FILE, "hauspost.db-wal", "shred.db-wal"];
    let holders = |text: &[u8]| {
        files
            .into_iter()
            .filter(|file| {
                let bytes = std::fs::read(folder.path().join(file)).unwrap();
                bytes.windows(text.len()).any(|window| window == text)
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(holders(b"the company log is clear"), ["hauspost.db-wal"]);
    assert_eq!(holders(CANARY), Vec::<&str>::new());
    drop(database);
}

#[tokio::test]
async fn a_job_may_be_the_last_to_hold_the_store() {
    let (database, folder) = empty();
    let (begun, wait) = std::sync::mpsc::channel::<()>();
    let held = database.clone();
    let job = tokio::spawn(async move {
        let kept = held.clone();
        held.write::<_, StoreError>(move |tx| {
            let _ = (&kept, wait.recv());
            tx.put_setting("a", b"1")
        })
        .await
    });
    tokio::task::yield_now().await;
    drop(database);
    job.abort();
    assert!(job.await.unwrap_err().is_cancelled());
    begun.send(()).unwrap();
    // The store closes on its own thread; whoever comes next finds what was written.
    let database = open(folder.path()).unwrap();
    while database.read::<_, StoreError>(|tx| tx.setting("a")).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
}

/// Names the folder to the process that the next test kills.
const CRASH_FOLDER: &str = "HAUSPOST_TEST_CRASH_FOLDER";

/// Not a test by itself: the process that the next test starts and kills. It appends from eight
/// tasks at once, and prints each number after its append was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_until_it_is_killed() {
    let Ok(folder) = std::env::var(CRASH_FOLDER) else { return };
    let database = open(Path::new(&folder)).unwrap();
    two_logs(&database).await;
    let writers = (0..8u8).map(|writer| {
        let database = database.clone();
        tokio::spawn(async move {
            for number in 0u64.. {
                let payload = format!("durable {writer} {number}");
                let job = move |tx: &mut dyn Tx| append(tx, LogNo(1), payload.as_bytes());
                let seq = database.write(job).await.unwrap();
                println!("\nanswered {}", seq.0);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_kill_in_the_middle_of_a_group_commit() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::sqlite::tests::appends_until_it_is_killed", "--nocapture"])
        .env(CRASH_FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let answered = lines.filter_map(|line| line.strip_prefix("answered ")?.parse::<u64>().ok());
    let mut newest = 0;
    for (count, seq) in answered.enumerate() {
        newest = newest.max(seq);
        if count == 200 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();

    let database = open(folder.path()).unwrap();
    let everything = Budget { entries: usize::MAX >> 1, bytes: usize::MAX };
    let rows = database
        .read::<_, StoreError>(move |tx| tx.entries(LogNo(1), Seq(0), everything, &|_| true))
        .await
        .unwrap();
    assert!(newest >= 150 && rows.len() as u64 > newest, "{} of {newest}", rows.len());
    let mut prev = EntryHash::ZERO;
    for (seq, row) in (0..).zip(rows) {
        assert_eq!(row.entry.seq, Seq(seq));
        assert!(row.entry.payload.bytes().unwrap().starts_with(b"durable"));
        assert_eq!(row.entry.hash(prev), row.hash);
        prev = row.hash;
    }
}

/// A small file system of its own, so that the disk is really full.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None for who may not mount, and then a test has to do with a limit of SQLite's own.
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }

    /// Takes what room is left, but for some bytes; remove the file to give it back.
    fn fill(&self, but: usize) -> PathBuf {
        use std::io::Write as _;
        let path = self.0.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        let mut len = 0;
        while file.write_all(&[7; 4_096]).is_ok() {
            len += 4_096;
        }
        file.set_len((len as u64).saturating_sub(but as u64)).unwrap();
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// One of 20 KiB, like no other.
fn payload(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(2_500)
}

/// Appends payloads of 20 KiB until the store refuses one; how many were answered.
async fn append_until_full(database: &Database) -> u64 {
    for answered in 0u64.. {
        match database.write(move |tx| append(tx, LogNo(1), &payload(answered))).await {
            Ok(_) => {}
            Err(StoreError::Full) => return answered,
            Err(other) => panic!("{other}"),
        }
        assert!(answered < 10_000, "the disk is never full");
    }
    unreachable!()
}

async fn is_whole(database: &Database, answered: u64) {
    let everything = Budget { entries: usize::MAX >> 1, bytes: usize::MAX };
    let rows = database
        .read::<_, StoreError>(move |tx| tx.entries(LogNo(1), Seq(0), everything, &|_| true))
        .await
        .unwrap();
    assert_eq!(rows.len() as u64, answered);
    let mut prev = EntryHash::ZERO;
    for row in rows {
        assert_eq!(row.entry.payload.bytes().unwrap().len(), 20_000);
        assert_eq!(row.entry.hash(prev), row.hash);
        prev = row.hash;
    }
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_half_written_and_space_again_mends_it() {
    let Some(disk) = SmallDisk::mount("16m") else {
        println!("may not mount: only the limit of pages is tested");
        return;
    };
    let database = open(disk.0.path()).unwrap();
    two_logs(&database).await;
    let filler = disk.fill(1_000_000);
    let answered = append_until_full(&database).await;
    assert!(answered > 0);
    is_whole(&database, answered).await;
    // Small things, and many at once, are refused or kept, and never half of one.
    let small: Vec<_> = (0..50u8)
        .map(|number| {
            let database = database.clone();
            tokio::spawn(async move {
                let name = format!("small {number}");
                let put = move |tx: &mut dyn Tx| tx.put_setting(&name, &[number; 3_000]);
                database.write::<_, StoreError>(put).await
            })
        })
        .collect();
    let mut kept = Vec::new();
    for (number, small) in small.into_iter().enumerate() {
        match small.await.unwrap() {
            Ok(()) => kept.push(number),
            Err(StoreError::Full) => {}
            Err(other) => panic!("{other}"),
        }
    }
    std::fs::remove_file(filler).unwrap();
    database.write(move |tx| append(tx, LogNo(1), &payload(answered))).await.unwrap();
    is_whole(&database, answered + 1).await;
    for number in 0..50usize {
        let find = move |tx: &dyn crate::store::ReadTx| tx.setting(&format!("small {number}"));
        let found = database.read::<_, StoreError>(find).await.unwrap();
        assert_eq!(found.is_some(), kept.contains(&number), "{number}");
    }
    // And all of it is on the disk.
    database.close().await;
    let database = open(disk.0.path()).unwrap();
    is_whole(&database, answered + 1).await;
}

#[tokio::test]
async fn a_job_that_finds_the_disk_full_takes_no_other_of_its_group_along() {
    let folder = tempfile::tempdir().unwrap();
    let writing = Connections::open(folder.path()).unwrap();
    writing.migrate().unwrap();
    // Few pages more than there are, so that one large job does not fit and small ones do.
    let pages: i64 = writing.main.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    writing.main.pragma_update(None, "max_page_count", pages + 40).unwrap();
    let reading = vec![Connections::open(folder.path()).unwrap()];
    let store = SqliteStore {
        writer: Writer::start(writing, StdRng::seed_from_u64(1)),
        readers: Readers::start(reading),
        folder: folder.path().to_owned(),
    };
    let database = Database::new(store);
    let put = |name: String, len: usize| {
        let mut write = Box::pin(database.write::<_, StoreError>(move |tx: &mut dyn Tx| {
            tx.put_setting(&name, &vec![7; len])?;
            tx.put_setting(&format!("{name} again"), &vec![7; len])
        }));
        // Handed over at once, so that what follows is in the same group or the next.
        assert!((&mut write).now_or_never().is_none_or(|done| done.is_ok()));
        write
    };
    for round in 0..20 {
        let before = put(format!("before {round}"), 100);
        let large = put(format!("large {round}"), 400_000);
        let after = put(format!("after {round}"), 100);
        before.await.unwrap();
        assert!(matches!(large.await, Err(StoreError::Full)), "{round}");
        after.await.unwrap();
    }
    for round in 0..20 {
        for (name, there) in [("before", true), ("large", false), ("after", true)] {
            for name in [format!("{name} {round}"), format!("{name} {round} again")] {
                let find = move |tx: &dyn crate::store::ReadTx| tx.setting(&name);
                let found = database.read::<_, StoreError>(find).await.unwrap();
                assert_eq!(found.is_some(), there);
            }
        }
    }
}
