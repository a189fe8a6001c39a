//! One message of 1 KiB: sealed, opened, and stored, alone and a hundred together.
//!
//! Sealing waits for the disk, since what was sent must not be forgotten; others' figures do not. So
//! the databases lie in memory here, and the disk's time stands apart.

use std::time::{Duration, Instant};

use hauspost_core::inbound::Me;
use hauspost_core::outbox::plan::{self, Step};
use hauspost_core::outbox::seal::{self, NewSealed};
use hauspost_core::outbox::{intent, outcome};
use hauspost_core::store::rows::log::LocalLog;
use hauspost_core::store::rows::message::{
    self, MessageKind, MessageState, NewMessage, Place, Saying,
};
use hauspost_core::store::rows::outbox::{self, NewIntent};
use hauspost_core::store::{StoreError, Tx};
use hauspost_protocol::content::Message;
use hauspost_protocol::crypto::sha256;
use hauspost_protocol::encoding::encode;
use hauspost_protocol::entry::Entry;
use hauspost_protocol::ids::MessageId;
use hauspost_protocol::wire::Outcome;

use crate::log::{PhoneLog, entries, news};
use crate::table::{Times, remark, row, title, us};
use crate::texts::Texts;
use crate::world::{Phone, World, memory, now_ms};
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

    title("A message of 1 KiB with its database commit, µs each", &["p50", "p95", "goal", "pages"]);
    let mut texts = Texts::new(3);
    for (together, goals) in [(1, ["≤ 144", "≤ 205"]), (100, ["≤ 65", "≤ 73"])] {
        for (name, indexed) in [("", false), (", with its full-text row", true)] {
            let goals = if indexed { ["", ""] } else { goals };
            let rounds = if together == 1 { ROUNDS } else { 20 };
            let (mut sealed, mut opened) = (Vec::new(), Vec::new());
            let (mut pages_sealed, mut pages_opened) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                let said = (0..together).map(|_| Said::new(&mut texts, indexed)).collect();
                let before = log_pages(&anna);
                let (taken, then, made) = author_says(author, said).await;
                sealed.push(taken);
                pages_sealed.extend(log_pages(&anna).checked_sub(before));
                let entries = entries(&reader, &made);
                author = author_is_answered(then, &made, &entries).await;
                let before = log_pages(&ben);
                let began = Instant::now();
                reader = reader.take(news(log, entries)).await;
                opened.push(began.elapsed());
                pages_opened.extend(log_pages(&ben).checked_sub(before));
            }
            let of = if together == 1 { "one".into() } else { format!("each of {together}") };
            for (what, times, pages, goal) in [
                ("written and sealed", sealed, pages_sealed, goals[0]),
                ("opened and stored", opened, pages_opened, goals[1]),
            ] {
                let (times, each) = (Times::of(times), together as u32);
                let pages = pages.iter().sum::<u32>() as f64 / (pages.len() * together) as f64;
                let [median, high] = [times.median(), times.at(0.95)].map(|time| us(time / each));
                let cells = [median, high, goal.into(), format!("{pages:.1}")];
                row(&format!("{of}: {what}{name}"), &cells);
            }
        }
    }
    parts(&world);
    let disk = yardsticks::sync_to_disk(&disk);
    remark(
        "pages: how many each message puts into the write-ahead log, encrypted and authenticated",
    );
    remark(&format!("sealing waits for the disk besides, once a batch: {} µs here", us(disk)));
}

/// Pages in the write-ahead log of a phone, as the index beside it counts them (SQLite's "WAL-index
/// header", `mxFrame`). They are fewer again when the log begins anew.
fn log_pages(phone: &Phone) -> u32 {
    let index = std::fs::read(phone.folder.join("hauspost.db-shm")).unwrap();
    u32::from_ne_bytes(*index[16..].first_chunk().unwrap())
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

/// Stores messages with their intents and seals them, in one transaction: what the core does when a
/// conversation can send at once.
async fn author_says(
    mut author: PhoneLog,
    said: Vec<Said>,
) -> (Duration, PhoneLog, Vec<NewSealed>) {
    let (me, company, ledger) = (author.me.clone(), author.company.clone(), author.ledger);
    let began = Instant::now();
    let (ledger, sealed) = author
        .store
        .write::<_, StoreError, _>(move |tx| {
            let local = ledger.row.local;
            let together = said.len();
            said.into_iter().try_for_each(|said| store(tx, &me, local, said))?;
            let clocks = (Some(now_ms()), now_ms());
            let next = plan::next(tx, &me, &company, &ledger, clocks)?;
            let Step::Seal(mut intents) = next else { panic!("it can be sent at once") };
            // The account seals as many as go into one request.
            if intents.len() < together {
                intents = outbox::open(tx, local.id, together as u32)?;
                for intent in &mut intents {
                    intent.body = encode(&intent::said(tx, local, intent)?.unwrap());
                }
            }
            let sealed = seal::records(&me, &ledger, intents, None, now_ms());
            assert_eq!(sealed.len(), together);
            for new in &sealed {
                let (bytes, key) = new.sealed.as_ref().unwrap();
                outbox::seal(tx, new.intent.id, bytes)?;
                message::set_record_key(tx, local, new.intent.message_id.unwrap(), key)?;
            }
            assert!(plan::just_sealed(local.id, &sealed).is_some(), "ready to be sent");
            Ok((ledger, sealed))
        })
        .await
        .unwrap();
    let taken = began.elapsed();
    author.ledger = ledger;
    (taken, author, sealed)
}

fn store(tx: &Tx<'_>, me: &Me, local: LocalLog, said: Said) -> Result<(), StoreError> {
    let message_id = MessageId(sha256(&said.content).0);
    let id = outbox::insert(tx, &NewIntent::message(local.id, message_id, now_ms()))?;
    let message = NewMessage {
        place: Place::Pending(id),
        message_id,
        author: me.user,
        device: me.device,
        kind: if said.text.is_some() { MessageKind::Text } else { MessageKind::Unknown },
        state: MessageState::Queued,
        t_ms: now_ms(),
        sent_ms: now_ms(),
        missing: 0,
        text: said.text,
        content: Some(said.content),
        record_key: None,
        unread: false,
        handed: false,
        saying: Saying::default(),
    };
    message::insert(tx, local, &message).map(|_| ())
}

/// The server took them: they leave the outbox, and the own chain moves on.
async fn author_is_answered(
    mut author: PhoneLog,
    sealed: &[NewSealed],
    entries: &[Entry],
) -> PhoneLog {
    let mut ledger = author.ledger;
    let sent = sealed.iter().map(|new| {
        let (sealed, _) = new.sealed.as_ref().unwrap();
        (new.intent.id, sealed.core, sealed.leaf_index)
    });
    let sent: Vec<_> = sent.collect();
    let outcomes: Vec<_> = entries.iter().map(|entry| Outcome::Ok(entry.seq)).collect();
    author.ledger = author
        .store
        .write::<_, StoreError, _>(move |tx| {
            outcome::sealed(tx, &mut ledger, &sent, &outcomes, now_ms())?;
            Ok(ledger)
        })
        .await
        .unwrap();
    author
}
