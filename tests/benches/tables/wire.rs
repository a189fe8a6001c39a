//! Bytes on the wire for one text, counted on a TCP proxy between each phone and the server: TLS
//! records, HTTP headers and everything else included.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hauspost_core::sync::{Connection, Https, Network, NetworkError};
use hauspost_protocol::content::Message;
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::invitation::Trust;
use hauspost_protocol::wire::AppendRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::log::{PhoneLog, entries, intent, news};
use crate::table::{remark, row, title};
use crate::texts::Texts;
use crate::world::World;

const TEXT: usize = 100;
const MESSAGES: usize = 15;

pub async fn print() {
    let mut world = World::found().await;
    let (network_a, network_b) = (Proxied::start(&world).await, Proxied::start(&world).await);
    let anna = world.phone_over("anna", network_a.clone()).await;
    let ben = world.phone_over("ben", network_b.clone()).await;
    let log = anna.group("Baustelle", &[&ben]).await;
    ben.settle().await;

    let mut texts = Texts::new(6);
    let content = Message::text([1; 16], &texts.text(TEXT)).to_bytes().unwrap();
    let author = PhoneLog::open(&anna, log).await;
    let sealed = author.seal(vec![intent(log, content)]);
    let (bytes, _) = sealed[0].sealed.as_ref().unwrap();
    let body = vec![(Bytes(bytes.head.clone()), Bytes(bytes.payload.clone()))];
    let append = AppendRequest { log, entries: body, group_info: None, welcome: None };
    let news = news(log, entries(&author, &sealed));

    anna.account.start();
    ben.account.start();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut counts: [Vec<u64>; 4] = Default::default();
    for _ in 0..MESSAGES {
        let before = [network_a.counts(), network_b.counts()].concat();
        anna.account.send_text(log, &texts.text(TEXT)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(800)).await;
        let after = [network_a.counts(), network_b.counts()].concat();
        for (counts, (after, before)) in counts.iter_mut().zip(after.iter().zip(before)) {
            counts.push(after - before);
        }
    }
    title(
        "Bytes for a text of 100 characters, TLS and headers included",
        &["median", "most", "goal"],
    );
    let names = [
        ("the author, up", "≤ 700"),
        ("the author, down", ""),
        ("a receiver, up", ""),
        ("a receiver, down", "≤ 500"),
    ];
    for ((name, goal), mut counts) in names.into_iter().zip(counts) {
        counts.sort_unstable();
        let most = counts[counts.len() - 1].to_string();
        row(name, &[counts[counts.len() / 2].to_string(), most, goal.into()]);
    }
    row("the CBOR of the append alone", &[encode(&append).len().to_string()]);
    row("the CBOR of the news alone", &[encode(&news).len().to_string()]);
    row("the sealed record alone", &[bytes.payload.len().to_string()]);
    remark("a checkpoint (every 10 s at most while there is news) comes with one of the pulls");
}

/// The network through a proxy that counts.
struct Proxied {
    url: String,
    up: Arc<AtomicU64>,
    down: Arc<AtomicU64>,
}

impl Proxied {
    async fn start(world: &World) -> Arc<Self> {
        let server = world.url.strip_prefix("https://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let proxied = Arc::new(Self { url, up: Arc::default(), down: Arc::default() });
        let (up, down) = (proxied.up.clone(), proxied.down.clone());
        tokio::spawn(async move {
            while let Ok((phone, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                phone.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let ((from_phone, to_phone), (from_server, to_server)) =
                    (phone.into_split(), server.into_split());
                tokio::spawn(copy(from_phone, to_server, up.clone()));
                tokio::spawn(copy(from_server, to_phone, down.clone()));
            }
        });
        proxied
    }

    fn counts(&self) -> [u64; 2] {
        [self.up.load(Ordering::Relaxed), self.down.load(Ordering::Relaxed)]
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, count: Arc<AtomicU64>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        count.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
}

impl Network for Proxied {
    fn connect(&self, _: &str, trust: &Trust) -> Result<Arc<dyn Connection>, NetworkError> {
        Https.connect(&self.url, trust)
    }
}
