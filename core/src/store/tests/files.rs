use std::fs;

use hauspost_protocol::ids::{MessageId, Seq};
use rusqlite::Connection;

use super::super::fixture::{ANNA, group, key, text};
use super::super::opening::{self, Purpose};
use super::super::rows::message::NewMessage;
use super::super::rows::{file_text, index, log, message};
use super::super::schema::{INDEX_EMPTIED, MIGRATIONS};
use super::super::search::Spellings;
use super::*;
use crate::read;

const CANARY: &str = "Kanarienvogel";

fn pragma(conn: &Connection, name: &str) -> String {
    conn.query_row(&format!("PRAGMA {name}"), [], |row| {
        let value: rusqlite::types::Value = row.get(0)?;
        Ok(match value {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        })
    })
    .unwrap()
}

#[tokio::test]
async fn every_connection_has_the_same_settings() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    for purpose in [Purpose::Write, Purpose::Read] {
        let conn = opening::open(&folder.path().join("db"), &key(1), purpose).unwrap();
        for (name, value) in [
            ("cipher_page_size", "4096"),
            ("cipher_hmac_algorithm", "HMAC_SHA256"),
            ("cipher_use_hmac", "1"),
            ("cipher_plaintext_header_size", "32"),
            ("cipher_memory_security", "0"),
            ("journal_mode", "wal"),
            ("temp_store", "2"),
            ("foreign_keys", "1"),
            ("secure_delete", "1"),
            ("trusted_schema", "0"),
            ("synchronous", "1"),
        ] {
            assert_eq!(pragma(&conn, name), value, "{name} of {purpose:?}");
        }
    }
}

#[test]
fn the_bundled_sqlite_has_the_mend_of_the_write_ahead_logs_reset() {
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}

#[test]
fn temporary_tables_stay_in_memory_by_compilation_and_by_setting() {
    let conn = Connection::open_in_memory().unwrap();
    let mut options = conn.prepare("PRAGMA compile_options").unwrap();
    let options: Vec<String> =
        options.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    // 2: in memory unless a pragma says otherwise, and ours says the same.
    assert!(options.iter().any(|option| option == "TEMP_STORE=2" || option == "TEMP_STORE=3"));
}

#[tokio::test]
async fn no_file_holds_a_word_of_a_message_and_the_header_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, CANARY).await;
    store
        .write::<_, StoreError, _>(move |tx| message::insert(tx, log, &text(1, CANARY)))
        .await
        .unwrap();
    for open in [true, false] {
        if !open {
            store.suspend().await;
        }
        for file in fs::read_dir(folder.path()).unwrap() {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            for word in [CANARY.to_owned(), CANARY.to_lowercase()] {
                let found = bytes.windows(word.len()).any(|part| part == word.as_bytes());
                assert!(!found, "{word} in {}", path.display());
            }
        }
    }
    let bytes = fs::read(folder.path().join("db")).unwrap();
    assert!(bytes.starts_with(b"SQLite format 3\0"));
    assert!(!bytes.windows(12).any(|part| part == b"CREATE TABLE"));
}

#[tokio::test]
async fn a_wrong_key_is_named_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let store = open(folder.path());
    put(&store, "a").await.unwrap();
    drop(store);
    let before = fs::read(&path).unwrap();
    let mut other_salt = key(1);
    other_salt.salt[0] ^= 1;
    for wrong in [key(2), other_salt] {
        assert!(matches!(Store::open(&path, wrong), Err(StoreError::WrongKey)));
    }
    assert!(fs::read(&path).unwrap() == before);
    assert!(has(&open(folder.path()), "a").await);
}

#[tokio::test]
async fn a_damaged_page_is_named_and_nothing_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    store
        .write::<_, StoreError, _>(move |tx| {
            (0..500).try_for_each(|seq| message::insert(tx, log, &text(seq, CANARY)).map(|_| ()))
        })
        .await
        .unwrap();
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    let pages = bytes.len() / 4096;
    // The last pages: they came with the messages, and no schema lies there.
    for page in pages - 20..pages {
        bytes[page * 4096 + 2_000] ^= 1;
    }
    fs::write(&path, &bytes).unwrap();
    let store = open(folder.path());
    let read = store
        .read::<i64, StoreError, _>(|conn| {
            Ok(conn.query_row("SELECT sum(length(text)) FROM message", [], |row| row.get(0))?)
        })
        .await;
    assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
    drop(store);
    assert!(fs::read(&path).unwrap() == bytes);
}

#[tokio::test]
async fn a_damaged_first_page_is_told_as_a_key_that_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    drop(open(folder.path()));
    let mut bytes = fs::read(&path).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(Store::open(&path, key(1)), Err(StoreError::WrongKey)));
    assert!(fs::read(&path).unwrap() == bytes);
}

#[test]
fn a_database_of_a_newer_build_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    drop(open(folder.path()));
    let conn = opening::open(&path, &key(1), Purpose::Write).unwrap();
    conn.pragma_update(None, "user_version", VERSION + 1).unwrap();
    drop(conn);
    let before = fs::read(&path).unwrap();
    let refused = |result: Result<(), StoreError>| {
        let Err(StoreError::NewerVersion { found, known }) = result else {
            panic!("a newer database is refused, not {result:?}")
        };
        assert_eq!((found, known), (VERSION + 1, VERSION));
    };
    refused(Store::open(&path, key(1)).map(|_| ()));
    refused(ReadOnlyStore::open(&path, &key(1)).map(|_| ()));
    assert!(fs::read(&path).unwrap() == before);
}

/// A database as the build of version 3 left it, with one text of Anna's.
fn of_version_3(path: &Path) {
    let conn = opening::open(path, &key(1), Purpose::Write).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    conn.execute_batch(include_str!("../migrations/001.sql")).unwrap();
    conn.execute_batch(include_str!("../migrations/002.sql")).unwrap();
    conn.execute_batch(include_str!("../migrations/003.sql")).unwrap();
    conn.execute_batch(
        "INSERT INTO log VALUES (1, x'01010101010101010101010101010101', NULL, 1, NULL, 0, NULL,
             NULL, 1, zeroblob(32), 5, 0, 0, 0, NULL, NULL, 0, 0);
         INSERT INTO message VALUES (1 << 40, zeroblob(32), x'02020202020202020202020202020202',
             zeroblob(16), 0, 0, 5, 5, 0, 5 << 20, 'Angebot für Müller', NULL, NULL);
         INSERT INTO search (rowid, words) VALUES (5 << 20, 'angebot fuer fur mueller muller');
         PRAGMA user_version = 3;",
    )
    .unwrap();
}

async fn fill(store: &Store) {
    while store.write::<_, StoreError, _>(index::fill_piece).await.unwrap() {}
}

#[tokio::test]
async fn an_emptied_index_is_filled_in_pieces_the_newest_first_whatever_happens_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Halle 3").await;
    let said = |seq: u64| text(seq, &format!("Lieferschein{seq:03}"));
    let all = (0..600).map(said).collect::<Vec<_>>();
    let put = async |store: &Store, all: Vec<NewMessage>| {
        let put = move |tx: &Tx<'_>| {
            all.iter().try_for_each(|new| message::insert(tx, log, new).map(drop))
        };
        store.write::<_, StoreError, _>(put).await.unwrap();
    };
    put(&store, all).await;
    let emptied = store.write::<_, StoreError, _>(|tx| {
        tx.execute_batch(MIGRATIONS[INDEX_EMPTIED as usize - 1])?;
        index::emptied(tx)
    });
    emptied.await.unwrap();
    let found = async |store: &Store, seq: u64| {
        let wanted = read::SearchQuery::words(format!("lieferschein{seq:03}"));
        let page = store.read::<_, StoreError, _>(move |c| read::search(c, &wanted, None, 9)).await;
        page.map(|page| (page.hits.len(), page.is_whole)).unwrap()
    };
    assert_eq!(found(&store, 599).await, (0, false));
    // What is in no index is not taken out of it: SQLite would call that a damage.
    let erase = |seq: u64| move |tx: &Tx<'_>| message::erase(tx, log, Seq(seq));
    store.write::<_, StoreError, _>(erase(5)).await.unwrap();
    assert!(store.write::<_, StoreError, _>(index::fill_piece).await.unwrap());
    assert_eq!(found(&store, 599).await, (1, false));
    assert_eq!(found(&store, 100).await, (0, false), "its turn is still to come");

    // A new one, one of the past that is given meanwhile, and two that go: one in the index, one not.
    put(&store, vec![said(600), NewMessage { t_ms: 900, ..said(601) }]).await;
    for seq in [100, 598] {
        store.write::<_, StoreError, _>(erase(seq)).await.unwrap();
    }
    assert_eq!(found(&store, 600).await, (1, false));
    assert_eq!(found(&store, 601).await, (0, false));
    assert_eq!(found(&store, 598).await, (0, false));
    drop(store);
    let store = open(folder.path());
    fill(&store).await;
    for seq in 0..=601 {
        let hits = usize::from(![5, 100, 598].contains(&seq));
        assert_eq!(found(&store, seq).await, (hits, true), "{seq}");
    }
}

#[tokio::test]
async fn what_an_older_build_indexed_is_found_by_person_after_the_update_and_erased_whole() {
    let folder = tempfile::tempdir().unwrap();
    of_version_3(&folder.path().join("db"));
    let store = open(folder.path());
    let of_anna = read::SearchQuery { person: Some(ANNA), ..read::SearchQuery::words("mueller") };
    let hits = |wanted: read::SearchQuery| {
        let found = store.read::<_, StoreError, _>(move |c| read::search(c, &wanted, None, 9));
        async { found.await.unwrap().hits.len() }
    };
    assert_eq!(hits(of_anna.clone()).await, 0, "its turn is still to come");
    fill(&store).await;
    assert_eq!(hits(of_anna.clone()).await, 1);
    let log = store.read(|conn| log::local(conn, LogId([1; 16]))).await.unwrap().unwrap();
    let erase = move |tx: &Tx<'_>| message::erase(tx, log, Seq(0));
    store.write::<_, StoreError, _>(erase).await.unwrap();
    assert_eq!(hits(of_anna).await, 0);
}

/// A database as a build left it that did not cut documents' words into pieces, with a document of four thousand words: word n stands
/// first in part n mod 50.
fn with_a_document_of_an_older_build(path: &Path, document: MessageId) {
    let conn = opening::open(path, &key(1), Purpose::Write).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    let cuts = |migration: &&str| migration.contains("CREATE TABLE file_word");
    let version = MIGRATIONS.iter().position(cuts).unwrap();
    for migration in &MIGRATIONS[..version] {
        conn.execute_batch(migration).unwrap();
    }
    let words: String =
        (0..4_000).map(|number| format!("wort{number:04} {}\n", number % 50)).collect();
    conn.execute_batch(
        "INSERT INTO log (id, log, type, state, next_seq, last_hash, last_t_ms, last_co, gen, epoch,
             own_index, own_dctr)
         VALUES (1, zeroblob(16), 1, 0, 1, zeroblob(32), 5, 0, 0, 0, 0, 0)",
    )
    .unwrap();
    conn.execute(
        "INSERT INTO file_text (id, log, message_id, position, state, tries, words)
         VALUES (7, 1, ?1, 0, 1, 1, ?2), (8, 1, ?1, 1, 0, 1, '')",
        rusqlite::params![document.0, words],
    )
    .unwrap();
    conn.pragma_update(None, "user_version", version as u32).unwrap();
}

#[tokio::test]
async fn the_words_of_documents_that_an_older_build_read_are_found_after_the_update() {
    let folder = tempfile::tempdir().unwrap();
    let document = MessageId([3; 32]);
    with_a_document_of_an_older_build(&folder.path().join("db"), document);
    let store = open(folder.path());
    let parts = store.read::<_, StoreError, _>(move |conn| {
        let known = file_text::known(conn, 1, document)?;
        assert_eq!(known.len(), 1, "the one that was read");
        let part = |word: &str| known[0].part_with(conn, &Spellings::of(word));
        ["Wort0000", "wort1234", "wort3999", "wort01", "wort4000", "wörter"]
            .into_iter()
            .map(part)
            .collect::<Result<Vec<_>, _>>()
    });
    let parts = parts.await.unwrap();
    assert_eq!(parts, [Some(0), Some(34), Some(49), Some(0), None, None]);
}

#[test]
fn the_schema_is_the_one_that_was_reviewed() {
    const SNAPSHOT: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/migrations/snapshot.sql");
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let conn = opening::open(&folder.path().join("db"), &key(1), Purpose::Read).unwrap();
    let mut select = conn
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name")
        .unwrap();
    let statements: Vec<String> =
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let found = format!("-- version {VERSION}\n{};\n", statements.join(";\n"));
    if std::env::var_os("HAUSPOST_BLESS").is_some() {
        fs::write(SNAPSHOT, &found).unwrap();
    }
    let reviewed = fs::read_to_string(SNAPSHOT).unwrap();
    assert!(found == reviewed, "run with HAUSPOST_BLESS=1 and review the difference");
}

#[test]
fn every_table_is_strict_and_every_number_that_ids_come_from_is_never_used_again() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let conn = opening::open(&folder.path().join("db"), &key(1), Purpose::Read).unwrap();
    let mut select = conn
        .prepare(
            "SELECT name FROM pragma_table_list
             WHERE schema = 'main' AND type = 'table' AND NOT strict ORDER BY name",
        )
        .unwrap();
    let loose: Vec<String> =
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(loose, ["sqlite_schema", "sqlite_sequence"], "SQLite's own, and no other");
    for table in ["log", "alarm"] {
        let sql: String = conn
            .query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [table], |row| row.get(0))
            .unwrap();
        assert!(sql.contains("AUTOINCREMENT"), "{table}");
    }
}
