//! One message of 1 KiB: sealed, opened, and stored, alone and a hundred together.
//!
//! Sealing waits for the disk, since what was sent must not be forgotten; others' figures do not. So
//! the databases lie in memory here, and the disk's time stands apart.

use std::time::{Duration, Instant};

use hauspost_core::outbox::seal::NewSealed;
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::message::{
    self, MessageKind, MessageState, NewMessage, Place, Saying,
};
use hauspost_core::store::rows::outbox::{self, Intent, IntentKind, NewIntent};
use hauspost_protocol::content::Message;
use hauspost_protocol::crypto::sha256;
use hauspost_protocol::ids::{LogId, MessageId};

use crate::log::{PhoneLog, entries, intent, news};
use crate::table::{Times, remark, row, row_us, title, us};
use crate::texts::Texts;
use crate::world::{World, memory, now_ms};
use crate::yardsticks::{self, PlainSqlcipher};

const SIZE: usize = 1024;
const ROUNDS: usize = 300;

pub async fn print() {
    let disk = std::env::temp_dir();
    let mut world = World::found_in(&memory()).await;
    let (anna, ben) = (world.phone("anna").await, world.phone("ben").await);
    let log = anna.group("Baustelle", &[&ben]).await;
    ben.settle().await;
    let mut author = PhoneLog::open(&anna, log).await;
    let mut reader = PhoneLog::open(&ben, log).await;

    title("A message of 1 KiB with its database commit, µs each", &["p50", "p95", "goal"]);
    let mut texts = Texts::new(3);
    for (together, goals) in [(1, ["≤ 144", "≤ 205"]), (100, ["≤ 65", "≤ 73"])] {
        for (name, indexed) in [("", false), (", with its full-text row", true)] {
            let goals = if indexed { ["", ""] } else { goals };
            let rounds = if together == 1 { ROUNDS } else { 20 };
            let mut written = Vec::new();
            let mut sealed = Vec::new();
            let mut opened = Vec::new();
            for _ in 0..rounds {
                let said: Vec<Said> =
                    (0..together).map(|_| Said::new(&mut texts, indexed)).collect();
                let (write, seal, made) = author_says(&mut author, log, said).await;
                written.push(write + seal);
                sealed.push(seal);
                let entries = entries(&reader, &made);
                let began = Instant::now();
                reader = reader.take(news(log, entries)).await;
                opened.push(began.elapsed());
            }
            let each = together as u32;
            let of = if together == 1 { "one".into() } else { format!("each of {together}") };
            row_us(&format!("{of}: sealed{name}"), &Times::of(sealed), each, goals[0]);
            row_us(&format!("{of}: written and sealed{name}"), &Times::of(written), each, goals[0]);
            row_us(&format!("{of}: opened and stored{name}"), &Times::of(opened), each, goals[1]);
        }
    }
    parts(&world);
    let disk = yardsticks::sync_to_disk(&disk);
    remark(&format!("sealing waits for the disk besides, once a batch: {} µs here", us(disk)));
}

/// What the parts cost alone.
fn parts(world: &World) {
    let (one, batch) = yardsticks::verify(SIZE);
    row("alone: Ed25519 signature", &[us(yardsticks::sign(SIZE))]);
    row("alone: Ed25519 verification", &[us(one)]);
    row("alone: Ed25519 verification, in a batch", &[us(batch)]);
    row("alone: XChaCha20-Poly1305", &[us(yardsticks::open(SIZE))]);
    let mut texts = Texts::new(2);
    let texts: Vec<_> = (0..2_000).map(|_| texts.text(SIZE)).collect();
    let mut plain = PlainSqlcipher::create(&world.folder().join("plain"));
    for (batch, indexed) in [(1, false), (100, false), (100, true)] {
        let name = format!(
            "alone: SQLCipher, a row of 1 KiB, {batch} a commit{}",
            if indexed { ", with its full-text row" } else { "" }
        );
        row(&name, &[us(plain.insert(&texts, batch, indexed))]);
    }
}

/// Content of 1 KiB: a text, or what this build does not show and so does not index.
struct Said {
    content: Vec<u8>,
    text: Option<String>,
}

impl Said {
    fn new(texts: &mut Texts, indexed: bool) -> Self {
        let text = texts.text(SIZE);
        if indexed {
            let salt = *sha256(text.as_bytes()).0.first_chunk().unwrap();
            Self { content: Message::text(salt, &text).to_bytes().unwrap(), text: Some(text) }
        } else {
            Self { content: text.into_bytes(), text: None }
        }
    }
}

/// Stores messages with their intents, then seals them and stores their bytes: two commits.
async fn author_says(
    author: &mut PhoneLog,
    log: LogId,
    said: Vec<Said>,
) -> (Duration, Duration, Vec<NewSealed>) {
    let local = author.ledger.row.local;
    let (user, device) = (author.me.user, author.me.device);
    let began = Instant::now();
    let intents: Vec<Intent> = author
        .store
        .write::<_, StoreError, _>(move |tx| {
            let add = |said: Said| {
                let mut intent = intent(log, said.content.clone());
                let message_id = MessageId(sha256(&said.content).0);
                intent.message_id = Some(message_id);
                let new = NewIntent {
                    log,
                    kind: IntentKind::Record,
                    message_id: intent.message_id,
                    body: intent.body.clone(),
                    made_ms: now_ms(),
                };
                intent.id = outbox::insert(tx, &new)?;
                let kind =
                    if said.text.is_some() { MessageKind::Text } else { MessageKind::Unknown };
                let message = NewMessage {
                    place: Place::Pending(intent.id),
                    message_id,
                    author: user,
                    device,
                    kind,
                    state: MessageState::Queued,
                    t_ms: now_ms(),
                    sent_ms: now_ms(),
                    missing: 0,
                    text: said.text,
                    content: Some(said.content),
                    record_key: None,
                    unread: false,
                    saying: Saying::default(),
                };
                message::insert(tx, local, &message)?;
                Ok(intent)
            };
            said.into_iter().map(add).collect()
        })
        .await
        .unwrap();
    let write = began.elapsed();
    let began = Instant::now();
    let sealed = author.seal(intents);
    let sealed = author
        .store
        .write::<_, StoreError, _>(move |tx| {
            for new in &sealed {
                let (bytes, key) = new.sealed.as_ref().unwrap();
                outbox::seal(tx, new.intent.id, bytes)?;
                message::set_record_key(tx, local, new.intent.message_id.unwrap(), key)?;
            }
            Ok(sealed)
        })
        .await
        .unwrap();
    let seal = began.elapsed();
    author.accepted(&sealed);
    (write, seal, sealed)
}
