//! Search with snippets over messages and what stands in documents, and a page of pictures' previews.
//! `HAUSPOST_BENCH_MESSAGES` makes it smaller.

use std::time::{Duration, Instant};

use hauspost_core::file::preview::Preview;
use hauspost_core::file::text::Inside;
use hauspost_core::read::{SearchKind, SearchQuery, Window, previews, search, timeline};
use hauspost_core::store::rows::message::{self, MessageKind};
use hauspost_core::store::rows::{file, file_text, preview};
use hauspost_core::store::{Store, StoreError};
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::ids::Digest;
use hauspost_protocol::statement::{File, FileRole};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use crate::store::Feed;
use crate::table::{Times, ms, remark, row, title};
use crate::world::World;

const DOCUMENTS: usize = 2_000;
/// Pictures in the dialog that is opened, and in how many others as many lie.
const PICTURES: usize = 50;
const DIALOGS: usize = 40;
/// A preview as phones make them, in bytes.
const PICTURE_BYTES: usize = 14_000;

pub async fn print() {
    let asked = std::env::var("HAUSPOST_BENCH_MESSAGES").ok().and_then(|text| text.parse().ok());
    let messages: usize = asked.unwrap_or(200_000);
    let mut world = World::found().await;
    let phone = world.phone("anna").await;
    let store = phone.account.store();
    let mut feed = Feed::new(store).await;
    for _ in 0..messages / 500 {
        feed.store(store, 500).await;
    }
    let documents = messages.min(200_000) * DOCUMENTS / 200_000;
    let mut bytes = 0;
    for number in 0..documents {
        bytes += document(store, &mut feed, number).await;
    }
    searches(store, &feed, messages, documents).await;
    remark(&format!("the documents hold {:.0} MB of text", bytes as f64 / 1e6));
    pictures(store, &mut feed).await;
}

fn named(name: &str, media_type: &str, role: FileRole, of: Option<u64>) -> File {
    File {
        blob_root: Digest([1; 32]),
        blob_size: 17,
        key: Secret::new([1; 32]),
        plain_size: 1,
        plain_hash: Digest([2; 32]),
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        role,
        of,
    }
}

/// A document as offices have them: most of two pages, some of twenty, few of five hundred.
async fn document(store: &Store, feed: &mut Feed, number: usize) -> usize {
    let (log, _, mut message) = feed.next_message(number * 7 % 1_000);
    message.kind = MessageKind::File;
    let size = match number % 200 {
        0 => 1_000_000,
        1..=10 => 50_000,
        _ => 5_000,
    };
    let text = feed.texts.text(size);
    let size = text.len();
    let name = format!("Rechnung {number}.pdf");
    store
        .write::<_, StoreError, _>(move |tx| {
            let id = message.message_id;
            message::insert(tx, log, &message)?;
            let file = named(&name, "application/pdf", FileRole::Original, None);
            file::insert(tx, log, id, &[file])?;
            file_text::begin(tx, log, id, 0)?;
            file_text::end(tx, log, (id, 0), Ok(Inside { text, pages: Some(2) }))
        })
        .await
        .unwrap();
    size
}

async fn searches(store: &Store, feed: &Feed, messages: usize, documents: usize) {
    let name = format!("Search with snippets, {messages} messages, {documents} documents, ms");
    title(&name, &["p50", "p95", "goal p95"]);
    let mut all = Vec::new();
    for (name, wanted) in usual(feed).into_iter().chain(hard(feed)) {
        let (mut times, mut hits) = (Vec::new(), 0);
        for _ in 0..60 {
            let wanted = wanted.clone();
            let began = Instant::now();
            let page = store.read(move |conn| search(conn, &wanted, None, 50)).await.unwrap();
            times.push(began.elapsed());
            hits = page.hits.len();
        }
        all.extend(times.iter().copied());
        print_times(&format!("{name} ({hits} hits)"), times, "≤ 15");
    }
    print_times("all of them", all, "≤ 15");
}

type Question = (&'static str, SearchQuery);

fn of(words: &str) -> SearchQuery {
    SearchQuery::words(words)
}

fn with_documents(words: &str) -> SearchQuery {
    SearchQuery { has_document: true, ..of(words) }
}

/// A word of some ten messages; the last ones are in none.
fn rare(feed: &Feed) -> &str {
    &feed.texts.words[feed.texts.words.len() * 3 / 4]
}

/// What people ask.
fn usual(feed: &Feed) -> Vec<Question> {
    let words = &feed.texts.words;
    let (frequent, rare) = (words[0].as_str(), rare(feed));
    let person = Some(feed.author());
    let conversation = Some(feed.logs[7].id);
    let middle = feed.t_ms - (feed.t_ms - crate::store::START_MS) / 2;
    vec![
        ("a rare word", of(rare)),
        ("the most frequent word", of(frequent)),
        ("two words", of(&format!("{} {}", words[1], words[30]))),
        (
            "three words, in documents only",
            with_documents(&format!("{} {} {}", words[3], words[9], words[200])),
        ),
        ("a frequent word in documents", with_documents(frequent)),
        ("a rare word in documents", with_documents(rare)),
        ("a name of documents", with_documents("rechnung 17")),
        ("a beginning of five letters", of("liefe")),
        ("a beginning of one letter", of("a")),
        (
            "by a person, of half the time",
            SearchQuery { person, before_ms: Some(middle), ..of(&words[5]) },
        ),
        ("in one conversation", SearchQuery { conversation, ..of(&words[2]) }),
        (
            "documents alone, without a word",
            SearchQuery { kind: Some(SearchKind::Document), ..SearchQuery::default() },
        ),
        ("nothing that is there", of("nirgends")),
    ]
}

/// What costs the index most: beginnings of very many words ("trag", "größe" begin eight hundred here,
/// each twice with an umlaut or ß), and frequent words that are nowhere together.
fn hard(feed: &Feed) -> Vec<Question> {
    let words = &feed.texts.words;
    let often = format!("{} {} {}", words[0], words[1], words[2]);
    let rare = rare(feed);
    let apart = format!("{often} {rare}");
    let conversation = Some(feed.logs[7].id);
    vec![
        ("a beginning of two letters", of("li")),
        ("a beginning of three letters", of("lie")),
        ("a beginning of four letters", of("trag")),
        ("a beginning with ß and umlaut", of("größe")),
        ("a beginning with ß, in documents", with_documents("straße")),
        ("three long beginnings", of("straße größe schein")),
        ("three long beginnings in documents", with_documents("größe schein trag")),
        ("three beginnings of three letters", of("mül mor kun")),
        ("the same in documents", with_documents("mül mor kun")),
        ("three beginnings of two letters", of("li st pl")),
        ("three beginnings of one letter", of("a b g")),
        ("three beginnings in one conversation", SearchQuery { conversation, ..of("größe l ver") }),
        ("three frequent words", of(&often)),
        ("three frequent words and a rare one", of(&apart)),
        ("three frequent words and one that is nowhere", of(&format!("{often} nirgends"))),
        ("two long beginnings and one that is nowhere", of("größe trag nirgends")),
        ("two long beginnings and a rare word", of(&format!("größe trag {rare}"))),
    ]
}

async fn pictures(store: &Store, feed: &mut Feed) {
    let mut rng = StdRng::seed_from_u64(5);
    for picture in 0..PICTURES * DIALOGS {
        let (log, _, mut message) = feed.next_message(picture % DIALOGS);
        message.kind = MessageKind::File;
        let mut bytes = vec![0; rng.random_range(PICTURE_BYTES / 2..PICTURE_BYTES * 3 / 2)];
        rng.fill_bytes(&mut bytes);
        store
            .write::<_, StoreError, _>(move |tx| {
                let id = message.message_id;
                message::insert(tx, log, &message)?;
                let photo = named("Foto.jpg", "image/jpeg", FileRole::Original, None);
                let small = named("preview", "image/jpeg", FileRole::Preview, Some(0));
                file::insert(tx, log, id, &[photo, small])?;
                let waiting = preview::next_waiting(tx, i64::MAX)?;
                let waiting = waiting.ok_or(StoreError::Missing("preview"))?;
                let media_type = "image/jpeg";
                let looked = Preview { width: 320, height: 240, media_type, picture: bytes };
                preview::end(tx, log, waiting.id, Ok(looked))
            })
            .await
            .unwrap();
    }
    title("First page of a dialog with 50 pictures, ms", &["p50", "p95", "goal"]);
    let (mut times, mut alone) = (Vec::new(), Vec::new());
    for round in 0..200 {
        let log = feed.logs[round % DIALOGS].id;
        let began = Instant::now();
        let page = store.read(move |conn| timeline(conn, log, Window::Newest, 50)).await.unwrap();
        alone.push(began.elapsed());
        let ids: Vec<_> = page.rows.iter().map(|row| row.message_id).collect();
        let shown = store.read(move |conn| previews(conn, log, &ids)).await.unwrap();
        times.push(began.elapsed());
        assert_eq!(shown.len(), PICTURES);
    }
    print_times("the page and its previews", times, "≤ 5");
    print_times("the page alone", alone, "");
}

fn print_times(name: &str, times: Vec<Duration>, goal: &str) {
    let times = Times::of(times);
    row(name, &[ms(times.median()), ms(times.at(0.95)), goal.into()]);
}
