//! A phone that was away: 10,000 messages of 100 characters in 10 rooms, over loopback TLS.

use std::time::{Duration, Instant};

use hauspost_core::store::rows::outbox;

use crate::table::{Times, remark, row, title, us};
use crate::texts::Texts;
use crate::world::{Phone, World};
use crate::yardsticks::{self, PlainSqlcipher};

/// In 2100: whatever waits until then waits for the next attempt only.
const FAR_MS: u64 = 4_102_444_800_000;
const ROOMS: usize = 10;
const EACH: usize = 1_000;
const TEXT: usize = 100;
/// A sealed statement with a text of this size.
const STATEMENT: usize = 320;

pub async fn print() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let mut away = Vec::new();
    for name in ["ben", "clara", "david"] {
        away.push(world.phone(name).await);
    }
    let everybody: Vec<_> = away.iter().collect();
    let mut texts = Texts::new(4);
    for room in 0..ROOMS {
        let log = anna.group(&format!("Raum {room}"), &everybody).await;
        for _ in 0..EACH {
            anna.account.send_text(log, &texts.text(TEXT)).await.unwrap();
        }
        while has_work(&anna).await {
            anna.account.send_once().await.unwrap();
        }
    }

    let count = ROOMS * EACH;
    title(
        "Catch-up of 10,000 messages in 10 rooms over loopback TLS",
        &["µs each", "msgs/s", "goal"],
    );
    let mut times = Vec::new();
    for phone in &away {
        let began = Instant::now();
        phone.account.sync_all().await.unwrap();
        times.push(began.elapsed());
        let rooms = phone.account.conversations(None, 20).await.unwrap();
        assert_eq!(rooms.len(), ROOMS);
        assert!(rooms.iter().all(|room| room.unread >= EACH as u64), "all are there");
    }
    let ours = Times::of(times).median() / count as u32;
    row("fetched, verified, opened, stored, indexed", &[us(ours), rate(ours), "≥ 6000".into()]);
    let (one, batch) = yardsticks::verify(STATEMENT);
    let open = yardsticks::open(STATEMENT);
    let sample: Vec<_> = (0..10_000).map(|_| texts.text(TEXT)).collect();
    let insert = PlainSqlcipher::create(&world.folder().join("plain")).insert(&sample, 500, true);
    row("alone: Ed25519 verification", &[us(one)]);
    row("alone: Ed25519 verification, in a batch", &[us(batch)]);
    row("alone: XChaCha20-Poly1305", &[us(open)]);
    row("alone: SQLCipher insert with full text, 500 a commit", &[us(insert)]);
    let ratio = |sum: Duration| format!("{:.0} %", 100.0 * sum.as_secs_f64() / ours.as_secs_f64());
    let sum = one + open + insert;
    row("the sum of them", &[us(sum), rate(sum)]);
    row("ratio to the sum", &[ratio(sum), String::new(), "≥ 50 %".into()]);
    row("ratio to the sum with batched verification", &[ratio(batch + open + insert)]);
    remark("the server runs in the same process and shares its two cores");
}

async fn has_work(phone: &Phone) -> bool {
    let logs = phone.account.store().read(|conn| outbox::logs_with_work(conn, FAR_MS));
    !logs.await.unwrap().is_empty()
}

fn rate(each: Duration) -> String {
    format!("{:.0}", 1.0 / each.as_secs_f64())
}
