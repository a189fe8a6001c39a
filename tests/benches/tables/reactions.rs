//! What a page of a dialog costs that everybody reacts in: 10,000 reactions by 500 people, on the
//! messages of one page and on a single one, with edits and answers among them; and 10,000 votes in polls.

use std::time::{Duration, Instant};

use hauspost_core::read::{Window, confirmations, conversations, timeline};
use hauspost_core::store::rows::log::{self, LocalLog, Log};
use hauspost_core::store::rows::mark::{self, MarkKind, NewMark};
use hauspost_core::store::rows::message::{
    self, MessageKind, MessageState, NewMessage, Place, Saying,
};
use hauspost_core::store::rows::stay::{self, Move};
use hauspost_core::store::{Store, StoreError};
use hauspost_protocol::body::LogType;
use hauspost_protocol::content::{Card, Choice, Control, Message, Poll};
use hauspost_protocol::encoding::encode;
use hauspost_protocol::ids::{CompanyId, DeviceId, LogId, MessageId, Seq, UserId};

use crate::table::{Times, ms, remark, row, title, us};
use crate::world::World;

const MESSAGES: u64 = 200;
const REACTIONS: u64 = 10_000;
const PEOPLE: u64 = 500;
const EMOJI: [&str; 6] = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

pub async fn print() {
    let mut world = World::found().await;
    let phone = world.phone("anna").await;
    let store = phone.account.store();
    title("10,000 reactions in one dialog", &["p50", "p95", "goal p95"]);
    let quiet = dialog(store, 1).await;
    pages(store, quiet, "page of 50 without a reaction, ms").await;
    let spread = dialog(store, 2).await;
    react(store, spread, "one reaction on the last 50 messages, stored, µs", |number| {
        MESSAGES - 50 + number % 50
    })
    .await;
    pages(store, spread, "page of 50 with all of them, ms").await;
    let single = dialog(store, 3).await;
    react(store, single, "one reaction on one message, stored, µs", |_| MESSAGES - 1).await;
    pages(store, single, "page of 50 with all of them on one message, ms").await;
    edit(store, single).await;
    pages(store, single, "the same, and each message changed 10 times, ms").await;
    let list = store.read(|conn| conversations(conn, None, 50)).await.unwrap();
    let unread = list.iter().map(|row| row.unread).max().unwrap_or_default();
    remark(&format!("the list counts {unread} unread messages of {MESSAGES}, and no reaction"));
    title("10,000 votes in one dialog", &["p50", "p95", "goal p95"]);
    let company = phone.account.company();
    let polls = polls(store, 4, company).await;
    pages(store, polls, "page of 50 polls without a vote, ms").await;
    vote(store, polls, "one vote in the last 50 polls, stored, µs", |number| {
        MESSAGES - 50 + number % 50
    })
    .await;
    pages(store, polls, "page of 50 polls with all of them, ms").await;
    let single = self::polls(store, 5, company).await;
    vote(store, single, "one vote in one poll, stored, µs", |_| MESSAGES - 1).await;
    pages(store, single, "page of 50 polls with all of them in one, ms").await;
    title("Who has confirmed, 1,000 people", &["p50", "p95", "goal p95"]);
    let asked = confirmed(store, 6).await;
    list_of(store, asked).await;
}

/// People in a room for announcements.
const MEMBERS: u64 = 1_000;

fn member(number: u64) -> UserId {
    let mut id = [0xaa; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    UserId(id)
}

/// A room of a thousand in which all but a hundred have confirmed the one message.
async fn confirmed(store: &Store, number: u8) -> LocalLog {
    let made = store.write::<_, StoreError, _>(move |tx| {
        let log = Log::new(LogId([number; 16]), LogType::Announce);
        let log = log::insert(tx, &log, Some("Aushang"), 1)?;
        let came = |number| Move { seq: Seq(0), user: member(number), is_in: true };
        stay::note(tx, log, &(0..MEMBERS).map(came).collect::<Vec<_>>())?;
        let mut asks = said(1);
        asks.saying.asks = true;
        message::insert(tx, log, &asks)?;
        for number in 0..MEMBERS - 100 {
            let mut message_id = MessageId([4; 32]);
            message_id.0[8..16].copy_from_slice(&number.to_be_bytes());
            let seq = Seq(2 + number);
            mark::insert(
                tx,
                log,
                &NewMark {
                    place: Place::At(seq),
                    message_id,
                    about: asks.message_id,
                    kind: MarkKind::Acknowledgement,
                    valid: true,
                    author: member(number),
                    device: DeviceId(member(number).0),
                    state: MessageState::Received,
                    t_ms: 9_000 + number,
                    sent_ms: 9_000 + number,
                    text: None,
                    saying: Saying::default(),
                    content: encode(&Control::Acknowledge(asks.message_id)),
                    record_key: None,
                },
            )?;
        }
        Ok(log)
    });
    made.await.unwrap()
}

async fn list_of(store: &Store, log: LocalLog) {
    let mut times = Vec::new();
    for _ in 0..200 {
        let spent = store.read::<_, StoreError, _>(move |conn| {
            let began = Instant::now();
            let found = confirmations(conn, log.id, said(1).message_id)?.unwrap();
            assert_eq!(found.people.len() as u64, MEMBERS);
            Ok(began.elapsed())
        });
        times.push(spent.await.unwrap());
    }
    let times = Times::of(times);
    let cells = [ms(times.median()), ms(times.at(0.95)), "10".to_owned()];
    row("the list of who has and who has not, ms", &cells);
}

/// A dialog in which each message is a poll.
async fn polls(store: &Store, number: u8, company: CompanyId) -> LocalLog {
    let options = (0..12).map(|option| format!("Tour {option}")).collect();
    let poll = Poll::new("Wer fährt welche Tour?".to_owned(), options, 3).unwrap();
    let card = Card::Poll(poll);
    let text = card.text().unwrap();
    let content = Message::with_card([0; 16], &card, &text, company).to_bytes().unwrap();
    store
        .write::<_, StoreError, _>(move |tx| {
            let log = Log::new(LogId([number; 16]), LogType::Group);
            let log = log::insert(tx, &log, Some("Touren"), 1)?;
            for seq in 0..MESSAGES {
                let (text, content) = (Some(text.clone()), Some(content.clone()));
                let kind = MessageKind::Poll;
                message::insert(tx, log, &NewMessage { kind, text, content, ..said(seq) })?;
            }
            Ok(log)
        })
        .await
        .unwrap()
}

/// Stores all votes, 200 a transaction as a catch-up does; each person changes the vote again and again.
async fn vote(store: &Store, log: LocalLog, name: &str, about: impl Fn(u64) -> u64) {
    let cast = |number: u64, seq, author| {
        let choice = Choice::of([number as usize % 12, number as usize % 7]).unwrap();
        let about = about(number);
        let content = encode(&Control::Vote(id(about), choice));
        let said = mark(seq, author, about, MarkKind::Vote, String::new());
        NewMark { content, text: None, ..said }
    };
    storm(store, log, name, cast).await;
}

fn id(number: u64) -> MessageId {
    let mut id = [1; 32];
    id[24..].copy_from_slice(&number.to_be_bytes());
    MessageId(id)
}

async fn dialog(store: &Store, number: u8) -> LocalLog {
    store
        .write::<_, StoreError, _>(move |tx| {
            let log = Log::new(LogId([number; 16]), LogType::Group);
            let log = log::insert(tx, &log, Some("Lager"), 1)?;
            for seq in 0..MESSAGES {
                message::insert(tx, log, &said(seq))?;
            }
            Ok(log)
        })
        .await
        .unwrap()
}

fn said(seq: u64) -> NewMessage {
    let text = format!("Lieferschein {seq}: die Palette steht am Tor, bitte abholen");
    let reply_to = (seq > 0).then(|| id(seq - 1));
    NewMessage {
        place: Place::At(Seq(seq)),
        message_id: id(seq),
        author: UserId([2; 16]),
        device: DeviceId([2; 16]),
        kind: MessageKind::Text,
        state: MessageState::Received,
        t_ms: 1_000 + seq,
        sent_ms: 0,
        missing: 0,
        text: Some(text),
        content: None,
        record_key: None,
        unread: true,
        handed: false,
        saying: Saying { reply_to, ..Saying::default() },
    }
}

fn mark(seq: u64, author: UserId, about: u64, kind: MarkKind, text: String) -> NewMark {
    NewMark {
        place: Place::At(Seq(seq)),
        message_id: id(seq),
        about: id(about),
        kind,
        valid: true,
        author,
        device: DeviceId([3; 16]),
        state: MessageState::Received,
        t_ms: 1_000 + seq,
        sent_ms: 0,
        text: Some(text),
        saying: Saying::default(),
        content: vec![0; 100],
        record_key: None,
    }
}

/// Stores all reactions, 200 a transaction as a catch-up does.
async fn react(store: &Store, log: LocalLog, name: &str, about: impl Fn(u64) -> u64) {
    let made = |number: u64, seq, author| {
        let emoji = EMOJI[(number / PEOPLE) as usize % EMOJI.len()].to_owned();
        mark(seq, author, about(number), MarkKind::Reaction, emoji)
    };
    storm(store, log, name, made).await;
}

async fn storm(
    store: &Store,
    log: LocalLog,
    name: &str,
    made: impl Fn(u64, u64, UserId) -> NewMark,
) {
    let marks: Vec<_> = (0..REACTIONS)
        .map(|number| {
            let mut user = [4; 16];
            user[..8].copy_from_slice(&(number % PEOPLE).to_be_bytes());
            made(number, MESSAGES + number, UserId(user))
        })
        .collect();
    let mut times = Vec::new();
    for batch in marks.chunks(200) {
        let batch = batch.to_vec();
        let began = Instant::now();
        store
            .write::<_, StoreError, _>(move |tx| {
                batch.iter().try_for_each(|said| mark::insert(tx, log, said).map(|_| ()))
            })
            .await
            .unwrap();
        times.push(began.elapsed() / 200);
    }
    let times = Times::of(times);
    row(name, &[us(times.median()), us(times.at(0.95)), String::new()]);
}

async fn edit(store: &Store, log: LocalLog) {
    let author = UserId([2; 16]);
    store
        .write::<_, StoreError, _>(move |tx| {
            (0..MESSAGES * 10).try_for_each(|number| {
                let (seq, about) = (MESSAGES + REACTIONS + number, number % MESSAGES);
                let text = format!("Lieferschein {about}, Fassung {number}");
                let said = mark(seq, author, about, MarkKind::Edit, text);
                mark::insert(tx, log, &said).map(|_| ())
            })
        })
        .await
        .unwrap();
}

async fn pages(store: &Store, log: LocalLog, name: &str) {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        let page = store.read(move |conn| timeline(conn, log.id, Window::Newest, 50)).await;
        times.push(began.elapsed());
        assert_eq!(page.unwrap().rows.len(), 50);
    }
    let times = Times::of(times);
    row(name, &[ms(times.median()), ms(times.at(0.95)), "≤ 2".into()]);
}
