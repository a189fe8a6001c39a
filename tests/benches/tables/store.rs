//! What the store does in a second, with 200,000 messages in 1,000 conversations, and how long a
//! core takes to start on it. `HAUSPOST_BENCH_MESSAGES` makes it smaller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hauspost_core::account::Account;
use hauspost_core::read::{SearchQuery, Window, search, timeline};
use hauspost_core::store::rows::entry::{self, EntryRow};
use hauspost_core::store::rows::log::{self, LocalLog, Log};
use hauspost_core::store::rows::message::{
    self, MessageKind, MessageState, NewMessage, Place, Saying,
};
use hauspost_core::store::{Store, StoreError};
use hauspost_protocol::body::LogType;
use hauspost_protocol::ids::{CoreHash, DeviceId, EntryHash, LogId, MessageId, Seq, UserId};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use crate::table::{Times, ms, remark, row, title};
use crate::texts::Texts;
use crate::world::{Phone, World};
use crate::yardsticks::PlainSqlcipher;

const CONVERSATIONS: usize = 1_000;
pub const START_MS: u64 = 1_700_000_000_000;

pub async fn print() {
    let asked = std::env::var("HAUSPOST_BENCH_MESSAGES").ok().and_then(|text| text.parse().ok());
    let messages = asked.unwrap_or(200_000);
    let mut world = World::found().await;
    let phone = world.phone("anna").await;
    let mut feed = Feed::new(phone.account.store()).await;
    ingest(&world, phone.account.store(), &mut feed, messages).await;
    let account = start(&phone).await;
    let store = account.store();

    title("Pages and searches, ms", &["p50", "p95", "goal p95"]);
    let (logs, words) = (feed.logs.clone(), feed.texts.words.clone());
    questions(store, &logs, &words, "at rest").await;
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
    questions(store, &logs, &words, "during a catch-up").await;
    stop.store(true, Ordering::Relaxed);
    catch_up.await.unwrap();
    let rate = stored.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    remark(&format!("the catch-up stored {rate:.0} messages/s meanwhile, 200 a transaction"));
}

/// Messages as a company writes them: a thousand words, some often, in any conversation.
pub struct Feed {
    pub logs: Vec<LocalLog>,
    next: Vec<u64>,
    pub texts: Texts,
    pub t_ms: u64,
}

impl Feed {
    pub async fn new(store: &Store) -> Self {
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
        Self { logs, next: vec![0; CONVERSATIONS], texts: Texts::new(1), t_ms: START_MS }
    }

    /// The next messages, up to 50 of one conversation together, as a sync brings them.
    fn batch(&mut self, count: usize) -> Vec<(LocalLog, EntryRow, NewMessage)> {
        let mut which = 0;
        let next = |number| {
            if number % 50 == 0 {
                which = self.texts.rng.random_range(0..CONVERSATIONS);
            }
            self.next_message(which)
        };
        (0..count).map(next).collect()
    }

    pub fn next_message(&mut self, which: usize) -> (LocalLog, EntryRow, NewMessage) {
        let seq = Seq(self.next[which]);
        self.next[which] += 1;
        self.t_ms += self.texts.rng.random_range(1..2_000);
        let text = self.texts.text(100);
        let mut unique = [0; 32];
        self.texts.rng.fill_bytes(&mut unique);
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
            author: UserId([1 + (which % 50) as u8; 16]),
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
            handed: false,
            saying: Saying::default(),
        };
        (self.logs[which], entry, message)
    }

    /// One of fifty who write.
    pub fn author(&self) -> UserId {
        UserId([7; 16])
    }

    pub async fn store(&mut self, store: &Store, count: usize) {
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

async fn ingest(world: &World, store: &Store, feed: &mut Feed, messages: usize) {
    let name = format!("Storing {messages} messages of 100 characters in {CONVERSATIONS} rooms");
    title(&name, &["messages/s", "ratio"]);
    let mut texts = Texts::new(2);
    let texts: Vec<_> = (0..messages.min(20_000)).map(|_| texts.text(100)).collect();
    let mut plain = PlainSqlcipher::create(&world.folder().join("plain"));
    let plain = [500, 1].map(|batch| {
        let rate = 1.0
            / plain
                .insert(&texts[..texts.len() / if batch == 1 { 10 } else { 1 }], batch, true)
                .as_secs_f64();
        row(
            &format!("plain SQLCipher, {batch} a transaction"),
            &[format!("{rate:.0}"), "1.00".into()],
        );
        rate
    });
    for (count, batch) in [(messages, 500), ((messages / 100).min(2_000), 1)] {
        let began = Instant::now();
        for _ in 0..count / batch {
            feed.store(store, batch).await;
        }
        let rate = count as f64 / began.elapsed().as_secs_f64();
        let ratio = rate / plain[usize::from(batch == 1)];
        let cells = [format!("{rate:.0}"), format!("{ratio:.2}")];
        row(&format!("the store, {batch} a transaction"), &cells);
    }
}

/// Opens the account and asks for the first page, as an app does when it starts.
async fn start(phone: &Phone) -> Account {
    title("Core start, ms", &["p50", "p95", "goal"]);
    for rows in [50, 500] {
        let mut times = Vec::new();
        for _ in 0..21 {
            phone.account.suspend().await;
            let began = Instant::now();
            let account = phone.reopen().await.unwrap();
            let page = account.conversations(None, rows).await.unwrap();
            times.push(began.elapsed());
            assert_eq!(page.len(), rows as usize);
            account.suspend().await;
        }
        print_times(&format!("open the account, first {rows} conversations"), times, "≤ 10");
    }
    phone.reopen().await.unwrap()
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
    print_times(&format!("page of 50, {when}"), times, "≤ 1");
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
                .read(move |conn| search(conn, &SearchQuery::words(&*query), None, 50))
                .await
                .unwrap()
                .hits
                .len();
            times.push(began.elapsed());
        }
        print_times(&format!("search {name} ({hits} hits), {when}"), times, "≤ 10");
    }
}

fn print_times(name: &str, times: Vec<Duration>, goal: &str) {
    let times = Times::of(times);
    row(name, &[ms(times.median()), ms(times.at(0.95)), goal.into()]);
}
