//! Search in what documents hold.

use super::*;
use crate::file::text::{Inside, TextError};
use crate::store::rows::file_text::{self, TextState};

fn invoice(seq: u64, said: &str) -> (NewMessage, Vec<File>) {
    let files = [("Foto.jpg", "image/jpeg"), ("Rechnung 118.pdf", "application/pdf")];
    document(seq, said, &files)
}

/// What reading a document showed.
async fn inspected(store: &Store, log: LocalLog, seq: u64, read: Result<&str, TextError>) {
    let read = read.map(|text| Inside { text: text.to_owned(), pages: Some(3) });
    let message_id = text(seq, "").message_id;
    store
        .write::<_, StoreError, _>(move |tx| {
            assert!(file_text::begin(tx, log, message_id, 1)?);
            file_text::end(tx, log, (message_id, 1), read)
        })
        .await
        .unwrap();
}

async fn hit(store: &Store, words: &'static str) -> Option<SearchHit> {
    let wanted = SearchQuery::words(words);
    let mut page = store.read(move |conn| search(conn, &wanted, None, 9)).await.unwrap();
    assert!(
        page.hits.len() <= 1,
        "each message once, however many of its documents have the words"
    );
    page.hits.pop()
}

async fn index_words(store: &Store) -> Vec<String> {
    store
        .write::<_, StoreError, _>(|tx| {
            tx.execute_batch(
                "CREATE VIRTUAL TABLE IF NOT EXISTS temp.words USING fts5vocab(main, search, row)",
            )?;
            let mut select = tx.prepare("SELECT term FROM temp.words ORDER BY term")?;
            Ok(select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn a_message_is_found_by_words_of_its_text_its_documents_names_and_what_stands_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    add_documents(&store, log, vec![invoice(1, "Bitte prüfen")]).await;
    assert_eq!(hit(&store, "paletten").await, None, "nobody has looked inside yet");
    let long = format!("{} Zahlbar an Weiß & Söhne für 12 Paletten Öl", "Lieferung ".repeat(900));
    inspected(&store, log, 1, Ok(&long)).await;

    let found = hit(&store, "soehne paletten prüf").await.unwrap();
    assert_eq!(shown(&found.snippet), "Bitte [prüfen]");
    let document = found.document.unwrap();
    assert_eq!((document.position, &*shown(&document.name)), (1, "Rechnung 118.pdf"));
    let inside = shown(&document.inside);
    assert!(inside.ends_with("Zahlbar an Weiß & [Söhne] für 12 [Paletten] Öl"), "{inside}");
    let document = hit(&store, "rechnung oel").await.unwrap().document.unwrap();
    assert_eq!(shown(&document.name), "[Rechnung] 118.pdf");
    assert!(shown(&document.inside).ends_with("Paletten [Öl]"));
    let by_name = hit(&store, "rechnung").await.unwrap().document.unwrap();
    assert_eq!((&*shown(&by_name.name), by_name.inside), ("[Rechnung] 118.pdf", Vec::new()));
    assert_eq!(hit(&store, "paletten fehlt").await, None);
    let page = store.read(move |conn| timeline(conn, log.id, Window::Newest, 9)).await.unwrap();
    let pages: Vec<_> = page.rows[0].files.iter().map(|file| file.pages).collect();
    assert_eq!(pages, [None, Some(3)]);
}

#[tokio::test]
async fn an_erased_document_leaves_no_word_and_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    add_documents(&store, log, vec![invoice(1, "anbei"), invoice(2, "anbei")]).await;
    inspected(&store, log, 1, Ok("Gehälter der Geschäftsführung")).await;
    inspected(&store, log, 2, Ok("Gehälter")).await;
    store.write::<_, StoreError, _>(move |tx| message::erase(tx, log, Seq(1))).await.unwrap();
    let words = index_words(&store).await;
    assert!(words.contains(&"gehalter".to_owned()), "of the other one: {words:?}");
    assert!(!words.iter().any(|word| word.starts_with("gesch")), "{words:?}");
    let parts: i64 = store
        .read::<_, StoreError, _>(|conn| {
            Ok(conn.query_row("SELECT count(*) FROM file_text_part", [], |row| row.get(0))?)
        })
        .await
        .unwrap();
    assert_eq!(parts, 1);
    assert_eq!(found(&store, "gehälter", None).await, [Some(Seq(2))]);
}

#[tokio::test]
async fn what_fails_is_found_by_its_name_and_a_message_that_moves_keeps_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    let (pending, files) = invoice(7, "anbei");
    let pending = NewMessage { place: Place::Pending(4), t_ms: 9_000_000_000_000, ..pending };
    let id = pending.message_id;
    add_documents(&store, log, vec![(pending, files), invoice(1, "zuvor")]).await;
    inspected(&store, log, 7, Ok("Frachtbrief")).await;
    inspected(&store, log, 1, Err(TextError::Bomb)).await;
    assert_eq!(found(&store, "fracht", None).await, [None]);
    store
        .write::<_, StoreError, _>(move |tx| {
            message::place(tx, log, id, Place::At(Seq(9)), 1_009, MessageState::Sent)
        })
        .await
        .unwrap();
    assert_eq!(found(&store, "fracht rechn", None).await, [Some(Seq(9))]);
    assert_eq!(found(&store, "rechnung", None).await, [Some(Seq(9)), Some(Seq(1))]);
}

#[tokio::test]
async fn a_document_over_which_the_process_ended_twice_is_not_begun_a_third_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    add_documents(&store, log, vec![invoice(1, "anbei")]).await;
    let id = text(1, "").message_id;
    let begin = || store.write::<_, StoreError, _>(move |tx| file_text::begin(tx, log, id, 1));
    assert!(begin().await.unwrap());
    // Suspended meanwhile: that does not count.
    store.write::<_, StoreError, _>(move |tx| file_text::put_off(tx, log, id, 1)).await.unwrap();
    assert!(begin().await.unwrap());
    assert!(begin().await.unwrap());
    assert!(!begin().await.unwrap());
    let state: (TextState, Option<u64>) =
        store.read(move |conn| file_text::state(conn, log.number, id, 1)).await.unwrap().unwrap();
    assert_eq!(state, (TextState::Failed, Some(file_text::REASON_CRASHED)));
}

/// Sentences as an office writes them, of so many forms that few are equal.
fn sentence(number: usize) -> String {
    const WHO: [&str; 8] = [
        "Frau Müller",
        "Herr Groß",
        "die Spedition Weiß & Söhne",
        "Jörg",
        "der Zoll",
        "Łukasz",
        "das Büro in Köln",
        "René",
    ];
    const DOES: [&str; 7] = [
        "prüft",
        "schließt",
        "überweist",
        "größtenteils verlädt",
        "übergibt",
        "bestätigt",
        "misst",
    ];
    const WHAT: [&str; 11] = [
        "die Rechnung",
        "den Lieferschein",
        "zwölf Paletten Öl",
        "die Maße",
        "das Café-Angebot",
        "den Schlüssel",
        "Gefahrgut der Klasse 3",
        "die Straßenkarte",
        "Äpfel und Nüsse",
        "den Frachtbrief",
        "die Übergröße",
    ];
    const WHEN: [&str; 13] = [
        "heute",
        "am Montag",
        "nächste Woche",
        "um zehn",
        "sofort",
        "später",
        "im März",
        "früh",
        "gegen Mittag",
        "zum Quartalsende",
        "nie",
        "täglich",
        "zwischen den Jahren",
    ];
    format!(
        "{} {} {} {}, Vorgang {}.",
        WHO[number % 8],
        DOES[number % 7],
        WHAT[number % 11],
        WHEN[number % 13],
        number % 997
    )
}

#[tokio::test]
async fn ten_thousand_german_sentences_are_found_by_every_spelling_and_by_no_other_word() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    add(&store, log, (0..10_000).map(|at| text(at, &sentence(at as usize))).collect()).await;
    // What is written, and how it may be asked for.
    let table = [
        ("Müller", &["müller", "mueller", "MULLER", "mül"][..]),
        ("Weiß", &["weiss", "weiß", "WEISS"]),
        ("Söhne", &["soehne", "sohne", "söhn"]),
        ("Straßenkarte", &["strassenk", "straßenkarte"]),
        ("Übergröße", &["uebergroesse", "übergrö", "ubergros"]),
        ("Łukasz", &["lukasz", "Łukasz"]),
        ("Café", &["cafe", "café"]),
        ("René", &["rene"]),
        ("Maße", &["masse", "maße"]),
        ("Vorgang 417.", &["417 vorgang"]),
        ("Äpfel", &["aepfel", "apfel", "äpf"]),
    ];
    for (written, asked) in table {
        let expected = (0..10_000).filter(|at| sentence(*at).contains(written)).count();
        assert!(expected > 0, "{written}");
        for words in asked {
            let (mut count, mut after) = (0, None);
            loop {
                let wanted = SearchQuery::words(*words);
                let page = store.read(move |c| search(c, &wanted, after, 500)).await.unwrap();
                let marked = page.hits.iter().all(|hit| hit.snippet.iter().any(|part| part.found));
                assert!(marked, "every hit shows what was found: {words}");
                count += page.hits.len();
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(count, expected, "{words} for {written}");
        }
    }
}
