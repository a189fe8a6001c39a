//! From one phone's `send_text` to the message in the other phone's database, over loopback TLS.

use std::time::{Duration, Instant};

use hauspost_core::read::Window;

use crate::table::{Times, ms, row, title};
use crate::texts::Texts;
use crate::world::World;

const MESSAGES: usize = 400;

pub async fn print() {
    let mut world = World::found().await;
    let (anna, ben) = (world.phone("anna").await, world.phone("ben").await);
    let log = anna.group("Baustelle", &[&ben]).await;
    ben.settle().await;
    anna.account.start();
    ben.account.start();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let observer = ben.account.observe();
    let mut texts = Texts::new(5);
    let mut times = Vec::new();
    for number in 0..MESSAGES + 20 {
        let text = format!("{number} {}", texts.text(95));
        let began = Instant::now();
        anna.account.send_text(log, &text).await.unwrap();
        loop {
            let page = ben.account.timeline(log, Window::Newest, 1).await.unwrap();
            if page.rows.iter().any(|row| row.text.as_deref() == Some(&text)) {
                break;
            }
            observer.next().await.unwrap();
        }
        // The first ones open sessions and streams.
        if number >= 20 {
            times.push(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    let times = Times::of(times);
    title("Send → stored on the other phone, loopback TLS, ms", &["p50", "p95", "p99", "goal"]);
    let cells = [ms(times.median()), ms(times.at(0.95)), ms(times.at(0.99)), "≤ 5 / 20".into()];
    row("a text of 100 characters, phones and server in one process", &cells);
}
