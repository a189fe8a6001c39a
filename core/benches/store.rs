//! What the store does in a second, with 200,000 messages in 1,000 conversations:
//! `cargo bench -p hauspost-core --bench store`. `HAUSPOST_BENCH_MESSAGES` makes it smaller.
//!
//! Ingest stands beside plain SQLCipher on the same machine in the same run: one table and the same
//! full-text row, nothing of ours. Pages and searches are measured at rest and while a catch-up runs.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hauspost_core::env::DatabaseKey;
use hauspost_core::read::{Window, conversations, search, timeline};
use hauspost_core::store::rows::entry::{self, EntryRow};
use hauspost_core::store::rows::log::{self, LocalLog, Log};
use hauspost_core::store::rows::message::{self, MessageKind, MessageState, NewMessage, Place};
use hauspost_core::store::{Store, StoreError};
use hauspost_protocol::body::LogType;
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::ids::{CoreHash, DeviceId, EntryHash, LogId, MessageId, Seq, UserId};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

const CONVERSATIONS: usize = 1_000;
const START_MS: u64 = 1_700_000_000_000;

#[tokio::main]
async fn main() {
    // `cargo test --benches` only asks whether it runs.
    let testing = !std::env::args().any(|argument| argument == "--bench");
    let asked = std::env::var("HAUSPOST_BENCH_MESSAGES").ok().and_then(|text| text.parse().ok());
    let messages = asked.unwrap_or(if testing { 2_000 } else { 200_000 });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let key = || DatabaseKey { key: Secret::new([7; 32]), salt: [8; 16] };

    println!("{messages} messages of about 100 characters in {CONVERSATIONS} conversations\n");
    let plain = plain_sqlcipher(folder.path(), messages.min(20_000));
    let store = Store::open(&path, key()).unwrap();
    let mut feed = Feed::new(&store).await;
    ingest(&store, &mut feed, messages, plain).await;
    store.suspend().await;
    drop(store);
    size(&path);

    let store = start(&path, key).await;
    println!("\n{:<58}{:>9}{:>9}{:>9}", "ms", "p50", "p95", "max");
    let (logs, words) = (feed.logs.clone(), feed.words.clone());
    questions(&store, &logs, &words, "at rest").await;
    let stop = Arc::new(AtomicBool::new(false));
    let stored = Arc::new(AtomicU64::new(0));
    let catch_up = tokio::spawn({
        let (store, stop, stored) = (store.clone(), stop.clone(), stored.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
                feed.store(&store, 200).await;
                stored.fetch_add(200, Ordering::Relaxed);
            }
        }
    });
    let began = Instant::now();
    questions(&store, &logs, &words, "during a catch-up").await;
    stop.store(true, Ordering::Relaxed);
    catch_up.await.unwrap();
    let rate = stored.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    println!("\nthe catch-up stored {rate:.0} messages/s meanwhile, 200 a transaction");
}

/// Messages as a company writes them: a thousand words, some often, in any conversation.
struct Feed {
    logs: Vec<LocalLog>,
    next: Vec<u64>,
    words: Arc<Vec<String>>,
    rng: StdRng,
    t_ms: u64,
}

impl Feed {
    async fn new(store: &Store) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let logs = store
            .write::<_, StoreError, _>(|tx| {
                (0..CONVERSATIONS)
                    .map(|number| {
                        let log = Log::new(id(number as u64), LogType::Group);
                        log::insert(tx, &log, Some(&format!("Gruppe {number}")), START_MS)
                    })
                    .collect()
            })
            .await
            .unwrap();
        let words = Arc::new((0..20_000).map(|_| word(&mut rng)).collect());
        Self { logs, next: vec![0; CONVERSATIONS], words, rng, t_ms: START_MS }
    }

    /// The next messages, up to 50 of one conversation together, as a sync brings them.
    fn batch(&mut self, count: usize) -> Vec<(LocalLog, EntryRow, NewMessage)> {
        let mut which = 0;
        let next = |number| {
            if number % 50 == 0 {
                which = self.rng.random_range(0..CONVERSATIONS);
            }
            self.next_message(which)
        };
        (0..count).map(next).collect()
    }

    fn next_message(&mut self, which: usize) -> (LocalLog, EntryRow, NewMessage) {
        let seq = Seq(self.next[which]);
        self.next[which] += 1;
        self.t_ms += self.rng.random_range(1..2_000);
        let text = self.text();
        let mut unique = [0; 32];
        self.rng.fill_bytes(&mut unique);
        let entry = EntryRow {
            seq,
            kind: 3,
            t_ms: self.t_ms,
            co: 10,
            core: CoreHash(unique),
            hash: EntryHash(unique),
        };
        let message = NewMessage {
            place: Place::At(seq),
            message_id: MessageId(unique),
            author: UserId([2; 16]),
            device: DeviceId([2; 16]),
            kind: MessageKind::Text,
            state: MessageState::Received,
            t_ms: self.t_ms,
            sent_ms: self.t_ms,
            missing: 0,
            content: None,
            text: Some(text),
            record_key: None,
            unread: true,
        };
        (self.logs[which], entry, message)
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        while text.len() < 95 {
            // Word n comes about 1/n as often as the first, as in any language.
            let rank = (self.words.len() as f64).powf(self.rng.random::<f64>()) as usize - 1;
            text.push_str(&self.words[rank.min(self.words.len() - 1)]);
            text.push(' ');
        }
        text
    }

    async fn store(&mut self, store: &Store, count: usize) {
        let batch = self.batch(count);
        store
            .write::<_, StoreError, _>(move |tx| {
                for (log, entry, message) in &batch {
                    entry::append(tx, *log, entry, None)?;
                    message::insert(tx, *log, message)?;
                }
                Ok(())
            })
            .await
            .unwrap();
    }
}

fn id(number: u64) -> LogId {
    let mut id = [9; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    LogId(id)
}

fn word(rng: &mut StdRng) -> String {
    const PARTS: [&str; 24] = [
        "ver", "lie", "fer", "schein", "auf", "trag", "straße", "mül", "ler", "bau", "stel", "le",
        "größe", "mor", "gen", "kun", "de", "an", "ge", "bot", "rech", "nung", "zeit", "plan",
    ];
    (0..rng.random_range(1..5)).map(|_| PARTS[rng.random_range(0..PARTS.len())]).collect()
}

async fn ingest(store: &Store, feed: &mut Feed, messages: usize, plain: [f64; 2]) {
    println!("{:<58}{:>12}{:>9}", "ingest", "messages/s", "ratio");
    println!("{:<58}{:>12.0}{:>9.2}", "plain SQLCipher, 500 a transaction", plain[0], 1.0);
    println!("{:<58}{:>12.0}{:>9.2}", "plain SQLCipher, 1 a transaction", plain[1], 1.0);
    for (name, count, batch) in [
        ("the store, 500 a transaction", messages, 500),
        ("the store, 1 a transaction", (messages / 100).min(2_000), 1),
    ] {
        let began = Instant::now();
        for _ in 0..count / batch {
            feed.store(store, batch).await;
        }
        let rate = count as f64 / began.elapsed().as_secs_f64();
        println!("{name:<58}{rate:>12.0}{:>9.2}", rate / plain[usize::from(batch == 1)]);
    }
}

/// Messages a second into one table and a full-text row each, with the cipher's settings.
fn plain_sqlcipher(folder: &std::path::Path, messages: usize) -> [f64; 2] {
    let mut conn = rusqlite::Connection::open(folder.join("plain")).unwrap();
    let key = format!("x'{}{}'", "07".repeat(32), "08".repeat(16));
    conn.key(None::<&str>, key, false).unwrap();
    conn.execute_batch(
        "PRAGMA cipher_hmac_algorithm = HMAC_SHA256; PRAGMA cipher_memory_security = OFF;
         PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         CREATE TABLE message (id INTEGER PRIMARY KEY, log INTEGER, unique_id BLOB, text TEXT);
         CREATE INDEX message_log ON message (log, id);
         CREATE VIRTUAL TABLE search USING fts5 (words, content = '', columnsize = 0, detail = none, prefix = '1 2 3');",
    )
    .unwrap();
    let mut rng = StdRng::seed_from_u64(2);
    let words: Arc<Vec<String>> = Arc::new((0..20_000).map(|_| word(&mut rng)).collect());
    let mut feed = Feed { logs: Vec::new(), next: Vec::new(), words, rng, t_ms: START_MS };
    let texts: Vec<_> = (0..messages).map(|_| feed.text()).collect();
    [500, 1].map(|size| {
        let began = Instant::now();
        let texts = &texts[..if size == 1 { texts.len() / 10 } else { texts.len() }];
        for batch in texts.chunks(size) {
            let tx = conn.transaction().unwrap();
            for text in batch {
                let mut unique = [0; 32];
                feed.rng.fill_bytes(&mut unique);
                tx.prepare_cached("INSERT INTO message (log, unique_id, text) VALUES (?1, ?2, ?3)")
                    .unwrap()
                    .execute(rusqlite::params![feed.rng.random_range(0..1_000), unique, text])
                    .unwrap();
                let id = tx.last_insert_rowid();
                tx.prepare_cached("INSERT INTO search (rowid, words) VALUES (?1, ?2)")
                    .unwrap()
                    .execute(rusqlite::params![id, text])
                    .unwrap();
            }
            tx.commit().unwrap();
        }
        texts.len() as f64 / began.elapsed().as_secs_f64()
    })
}

/// Opens the database and asks for the first page, as an app does when it starts.
async fn start(path: &std::path::Path, key: impl Fn() -> DatabaseKey) -> Store {
    println!("\n{:<58}{:>9}{:>9}{:>9}", "ms", "p50", "p95", "max");
    for rows in [50, 500] {
        let mut times = Vec::new();
        for _ in 0..21 {
            let began = Instant::now();
            let store = Store::open(path, key()).unwrap();
            let page = store.read(move |conn| conversations(conn, None, rows)).await.unwrap();
            times.push(began.elapsed());
            assert_eq!(page.len(), rows as usize);
            store.suspend().await;
        }
        print(&format!("start to the first {rows} conversations"), times);
    }
    Store::open(path, key()).unwrap()
}

async fn questions(store: &Store, logs: &[LocalLog], words: &[String], when: &str) {
    let mut rng = StdRng::seed_from_u64(3);
    let mut times = Vec::new();
    for _ in 0..300 {
        let log = logs[rng.random_range(0..logs.len())].id;
        let began = Instant::now();
        store.read(move |conn| timeline(conn, log, Window::Newest, 50)).await.unwrap();
        times.push(began.elapsed());
    }
    print(&format!("page of 50, {when}"), times);
    for (name, query) in [
        ("a rare word", words[words.len() - 1].as_str()),
        ("the most frequent word", words[0].as_str()),
        ("two words", &format!("{} {}", words[1], words[30])),
        ("a beginning of five letters", "liefe"),
        ("a beginning of three letters", "ver"),
        ("a beginning of one letter", "a"),
        ("nothing that is there", "nirgends"),
    ] {
        let query: Arc<str> = query.into();
        let mut times = Vec::new();
        let mut hits = 0;
        for _ in 0..60 {
            let began = Instant::now();
            let query = query.clone();
            hits = store
                .read(move |conn| search(conn, &query, None, None, 50))
                .await
                .unwrap()
                .hits
                .len();
            times.push(began.elapsed());
        }
        print(&format!("search {name} ({hits} hits), {when}"), times);
    }
}

fn print(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| {
        times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1_000.0
    };
    println!("{name:<58}{:>9.2}{:>9.2}{:>9.2}", at(0.5), at(0.95), at(1.0));
}

fn size(path: &std::path::Path) {
    let bytes = std::fs::metadata(path).unwrap().len();
    println!("\nthe database has {:.1} MB", bytes as f64 / 1e6);
}
