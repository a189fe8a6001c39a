//! The server in a process of its own: durable appends from 16 phones, and what a connection costs.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use hauspost_core::sync::Server;
use hauspost_protocol::content::Message;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::LogId;
use hauspost_protocol::limits::BATCH_ENTRIES;
use hauspost_protocol::wire::{AppendRequest, NewEntry, Outcome};

use crate::log::{PhoneLog, intent};
use crate::table::{remark, row, title, us};
use crate::texts::Texts;
use crate::world::{Phone, World};
use crate::yardsticks;

const CLIENTS: usize = 16;
const TEXT: usize = 100;
/// Batches of each client, and records that it sends one by one.
const BATCHES: usize = 100;
const SINGLES: usize = 300;
/// Idle streams of each client; a session may have 16 requests under way.
const STREAMS: usize = 15;

pub async fn print() {
    let mut world = World::found_apart().await;
    let mut phones = Vec::new();
    for number in 0..CLIENTS {
        phones.push(world.phone(&format!("phone{number}")).await);
    }
    let mut clients = Vec::new();
    for phone in &phones {
        clients.push(Client::new(&world, phone).await);
    }
    title(
        "Durable appends of 16 phones over loopback TLS, real syncs",
        &["records/s", "server ms", "goal"],
    );
    for (count, batch, goal) in
        [(BATCHES * BATCH_ENTRIES, BATCH_ENTRIES, "≥ 10000"), (SINGLES, 1, "≥ 1500")]
    {
        let (busy, began) = (processor_time(&world), Instant::now());
        let running: Vec<_> = clients
            .drain(..)
            .map(|mut client| {
                tokio::spawn(async move {
                    for _ in 0..count / batch {
                        client.append(batch).await;
                    }
                    client
                })
            })
            .collect();
        for client in running {
            clients.push(client.await.unwrap());
        }
        let taken = began.elapsed();
        let all = (count * CLIENTS) as f64;
        let name = if batch == 1 { "one by one".into() } else { format!("in batches of {batch}") };
        let busy = (processor_time(&world) - busy).as_secs_f64() * 1e3 / all;
        let cells =
            [format!("{:.0}", all / taken.as_secs_f64()), format!("{busy:.3}"), goal.into()];
        row(&name, &cells);
    }
    let disk = yardsticks::sync_to_disk(world.folder());
    remark(&format!("writing 4 KiB and syncing it takes this disk {} µs", us(disk)));
    remark("`server ms`: processor time of the server for each record; phones share the two cores");

    title("Memory of an idle live connection with TLS", &["KiB", "goal"]);
    let before = memory(&world);
    let mut streams = Vec::new();
    for phone in &phones {
        for _ in 0..STREAMS {
            let server = phone.server(&world);
            let mut stream = server.live().await.unwrap();
            stream.next().await.unwrap().unwrap();
            streams.push((server, stream));
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let each = (memory(&world) - before) / streams.len() as f64 / 1024.0;
    row(
        &format!("each of {}, HTTP/2, as our phones connect", streams.len()),
        &[format!("{each:.1}"), "≤ 30".into()],
    );
}

/// A phone's conversation, with records sealed in advance.
struct Client {
    server: Server,
    log: LogId,
    sealed: VecDeque<NewEntry>,
}

impl Client {
    async fn new(world: &World, phone: &Phone) -> Self {
        let log = phone.group("Notizen", &[]).await;
        let author = PhoneLog::open(phone, log).await;
        let mut texts = Texts::new(7);
        let mut say =
            |_| intent(log, Message::text([2; 16], &texts.text(TEXT)).to_bytes().unwrap());
        let count = BATCHES * BATCH_ENTRIES + SINGLES;
        let sealed = author.seal((0..count).map(&mut say).collect());
        let bytes = sealed.into_iter().map(|new| new.sealed.unwrap().0);
        let sealed = bytes.map(|sealed| (Bytes(sealed.head), Bytes(sealed.payload))).collect();
        Self { server: phone.server(world), log, sealed }
    }

    async fn append(&mut self, count: usize) {
        let entries: Vec<NewEntry> = self.sealed.drain(..count).collect();
        let request = AppendRequest { log: self.log, entries, group_info: None, welcome: None };
        let outcomes = self.server.append(&request).await.unwrap();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Ok(_))), "{outcomes:?}");
    }
}

/// User and system time of the server so far.
fn processor_time(world: &World) -> Duration {
    let id = world.server_id().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    // Fields 14 and 15 of the file, in hundredths of a second.
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Memory of the server, in bytes.
fn memory(world: &World) -> f64 {
    let id = world.server_id().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}
