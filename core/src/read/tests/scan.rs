//! Search finds what a plain look at every word of every message finds, no more and no less.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::file::text::Inside;
use crate::store::rows::file_text;
use crate::store::search::{Spellings, spans};

const MESSAGES: u64 = 2_500;
/// Every so many messages have a document.
const DOCUMENTS: u64 = 10;
const PARTS: [&str; 30] = [
    "ver", "lie", "fer", "schein", "auf", "trag", "straße", "mül", "ler", "bau", "le", "größe",
    "über", "kun", "de", "an", "ge", "bot", "rech", "nung", "zeit", "é", "a", "ß", "ö", "7",
    "2026", "Ł", "x", "und",
];

/// Words of which thousands begin alike, most rare.
fn word(rng: &mut StdRng) -> String {
    let parts = rng.random_range(1..5);
    (0..parts).map(|_| PARTS[rng.random_range(0..PARTS.len())]).collect()
}

fn words(rng: &mut StdRng, count: usize) -> String {
    let common = ["und", "die", "Größe", "an"];
    let word = |rng: &mut StdRng| match rng.random_range(0..4) {
        0 => common[rng.random_range(0..common.len())].to_owned(),
        _ => word(rng),
    };
    (0..count).map(|_| word(rng)).collect::<Vec<_>>().join(" ")
}

/// Beginnings of what is there, mostly, and words that nobody wrote.
fn asked(rng: &mut StdRng) -> String {
    let one = |rng: &mut StdRng| {
        let mut word = match rng.random_range(0..8) {
            0 => "nirgends".to_owned(),
            1 => {
                ["und", "die", "GRÖSSE", "groe", "strasse", "ue"][rng.random_range(0..6)].to_owned()
            }
            _ => word(rng),
        };
        let letters = rng.random_range(1..=word.chars().count().min(10));
        word = word.chars().take(letters).collect();
        if rng.random() { word.to_uppercase() } else { word }
    };
    let count = rng.random_range(1..=3);
    (0..count).map(|_| one(rng)).collect::<Vec<_>>().join(" ")
}

/// All that a message is found by.
struct Written {
    conversation: LogId,
    has_document: bool,
    words: Vec<Spellings>,
}

impl Written {
    fn is_found_by(&self, wanted: &SearchQuery) -> bool {
        let asked: Vec<_> =
            spans(&wanted.words).map(|span| Spellings::of(&wanted.words[span])).collect();
        wanted.conversation.is_none_or(|log| log == self.conversation)
            && (self.has_document || !wanted.has_document)
            && asked.iter().all(|asked| self.words.iter().any(|word| word.begins_with(asked)))
    }
}

/// Fills a store; what it holds, by number.
async fn filled(store: &Store, rng: &mut StdRng) -> BTreeMap<u64, Written> {
    let logs = [group(store, 1, "Lager").await, group(store, 2, "Team").await];
    let (mut all, mut texts) = (BTreeMap::new(), [Vec::new(), Vec::new()]);
    for seq in 1..=MESSAGES {
        let at = rng.random_range(0..logs.len());
        let log = logs[at];
        let said = words(rng, 8);
        let mut found_by = said.clone();
        let has_document = seq % DOCUMENTS == 0;
        if has_document {
            let (name, inside) = (format!("{}.pdf", word(rng)), words(rng, 60));
            found_by = format!("{said} {name} {inside}");
            let (message, files) = document(seq, &said, &[(&name, "application/pdf")]);
            let id = message.message_id;
            add_documents(store, log, vec![(message, files)]).await;
            store
                .write::<_, StoreError, _>(move |tx| {
                    file_text::begin(tx, log, id, 0)?;
                    let inside = Inside { text: inside, pages: None };
                    file_text::end(tx, log, (id, 0), Ok(inside))
                })
                .await
                .unwrap();
        } else {
            texts[at].push(text(seq, &said));
        }
        let words = spans(&found_by).map(|span| Spellings::of(&found_by[span])).collect();
        all.insert(seq, Written { conversation: log.id, has_document, words });
    }
    for (log, texts) in logs.into_iter().zip(texts) {
        add(store, log, texts).await;
    }
    all
}

#[tokio::test]
async fn a_search_finds_what_a_plain_look_at_every_word_finds_in_the_same_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let mut rng = StdRng::seed_from_u64(7);
    let all = filled(&store, &mut rng).await;
    let (mut some, mut none) = (0, 0);
    for round in 0..400 {
        let wanted = SearchQuery {
            conversation: (rng.random_range(0..3) == 0).then_some(LogId([1; 16])),
            has_document: rng.random_range(0..3) == 0,
            ..SearchQuery::words(asked(&mut rng))
        };
        let expected = all.iter().rev().filter(|(_, written)| written.is_found_by(&wanted));
        let expected: Vec<_> = expected.map(|(seq, _)| Some(Seq(*seq))).collect();
        // Whole pages, and small ones, which begin in the middle of every list.
        let limit = if round % 8 == 0 { 7 } else { 500 };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let wanted = wanted.clone();
            let page = store.read(move |c| search(c, &wanted, after, limit)).await.unwrap();
            found.extend(page.hits.into_iter().map(|hit| hit.seq));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{wanted:?}");
        *(if found.is_empty() { &mut none } else { &mut some }) += 1;
    }
    assert!(some > 200 && none > 20, "questions of both kinds: {some}, {none}");
}
