use hauspost_protocol::crypto::Secret;
use hauspost_protocol::ids::{Digest, LogId, Seq, UserId};
use hauspost_protocol::statement::{File, FileRole};
use hauspost_protocol::wire::Person;

use super::*;
use crate::store::fixture::{ANNA, ME, enrolled, group, own, text};
use crate::store::rows::log::{self, LocalLog, Log};
use crate::store::rows::message::{self, Event, MessageKind, MessageState, NewMessage, Place};
use crate::store::rows::{conversation as rows, file, person};
use crate::store::{Store, StoreError};

mod alarms;
mod inside;
mod scan;

async fn add(store: &Store, log: LocalLog, messages: Vec<NewMessage>) -> Vec<bool> {
    store
        .write::<_, StoreError, _>(move |tx| {
            messages.iter().map(|message| message::insert(tx, log, message)).collect()
        })
        .await
        .unwrap()
}

async fn list(store: &Store) -> Vec<ConversationRow> {
    store.read(|conn| conversations(conn, None, 50)).await.unwrap()
}

async fn texts(store: &Store, log: LocalLog, window: Window, limit: u32) -> Vec<String> {
    let page = store.read(move |conn| timeline(conn, log.id, window, limit)).await.unwrap();
    page.rows.into_iter().map(|row| row.text.unwrap_or_default()).collect()
}

async fn found(store: &Store, query: &'static str, only: Option<LogId>) -> Vec<Option<Seq>> {
    found_by(store, SearchQuery { conversation: only, ..SearchQuery::words(query) }).await
}

async fn found_by(store: &Store, wanted: SearchQuery) -> Vec<Option<Seq>> {
    let page = store.read(move |conn| search(conn, &wanted, None, 50)).await.unwrap();
    page.hits.into_iter().map(|hit| hit.seq).collect()
}

#[tokio::test]
async fn the_list_shows_the_newest_conversation_first_with_its_last_line_and_unread_count() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let (lager, team) = (group(&store, 1, "Lager").await, group(&store, 2, "Team").await);
    assert_eq!(list(&store).await[0].title.as_deref(), Some("Team"));

    add(&store, lager, vec![text(1, "erste"), text(2, "zweite")]).await;
    let rows = list(&store).await;
    assert_eq!(rows[0].title.as_deref(), Some("Lager"));
    assert_eq!(rows[0].last.as_ref().unwrap().text.as_deref(), Some("zweite"));
    assert_eq!((rows[0].unread, rows[1].unread), (2, 0));

    add(&store, team, vec![text(5, "neu")]).await;
    let first: Vec<_> = store.read(|conn| conversations(conn, None, 1)).await.unwrap();
    let cursor = first[0].cursor;
    let second: Vec<_> =
        store.read(move |conn| conversations(conn, Some(cursor), 5)).await.unwrap();
    assert_eq!((first[0].log, second[0].log, second.len()), (team.id, lager.id, 1));
}

#[tokio::test]
async fn a_dm_bears_its_peers_name_also_after_the_directory_forgot_another() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let mut dm = Log::new(LogId([7; 16]), hauspost_protocol::body::LogType::Dm);
    dm.peer = Some(ANNA);
    let person = |user, name: Option<&str>| Person {
        user,
        handle: "anna".to_owned(),
        name: name.map(str::to_owned),
    };
    let people = [person(ANNA, Some("Anna Groß")), person(UserId([8; 16]), None)];
    store
        .write::<_, StoreError, _>(move |tx| {
            log::insert(tx, &dm, None, 1)?;
            person::put(tx, &people)
        })
        .await
        .unwrap();
    assert_eq!(list(&store).await[0].title.as_deref(), Some("Anna Groß"));
}

#[tokio::test]
async fn reading_up_to_an_entry_leaves_the_later_ones_unread_and_never_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    add(&store, log, (1..=5).map(|seq| text(seq, "x")).collect()).await;
    for (up_to, unread) in [(3, 2), (1, 2), (5, 0)] {
        store
            .write::<_, StoreError, _>(move |tx| rows::mark_read(tx, log, Seq(up_to)).map(|_| ()))
            .await
            .unwrap();
        assert_eq!(list(&store).await[0].unread, unread, "read up to {up_to}");
    }
    assert_eq!(store.read(unread_total).await.unwrap(), 0);
    add(&store, log, vec![text(6, "y")]).await;
    assert_eq!(store.read(unread_total).await.unwrap(), 1);
}

#[tokio::test]
async fn a_timeline_pages_both_ways_without_a_gap_or_a_double() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let (log, other) = (group(&store, 1, "Lager").await, group(&store, 2, "Team").await);
    add(&store, log, (1..=10).map(|seq| text(seq, &seq.to_string())).collect()).await;
    add(&store, other, vec![text(1, "elsewhere")]).await;

    let newest = store.read(move |c| timeline(c, log.id, Window::Newest, 4)).await.unwrap();
    assert!(newest.more_before && !newest.more_after);
    let before = Window::Before(newest.rows[0].key);
    assert_eq!(texts(&store, log, Window::Newest, 4).await, ["7", "8", "9", "10"]);
    assert_eq!(texts(&store, log, before, 4).await, ["3", "4", "5", "6"]);
    assert_eq!(texts(&store, log, Window::After(newest.rows[1].key), 4).await, ["9", "10"]);
    assert_eq!(texts(&store, log, Window::Around(Seq(5)), 5).await, ["3", "4", "5", "6", "7"]);
    let around = store.read(move |c| timeline(c, log.id, Window::Around(Seq(2)), 4)).await;
    let around: TimelinePage = around.unwrap();
    assert_eq!((around.more_before, around.more_after), (false, true));
}

#[tokio::test]
async fn what_is_not_sent_stands_last_and_moves_to_its_place_when_the_server_ordered_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    let mine = own(3, "meins");
    let id = mine.message_id;
    add(&store, log, vec![mine, text(1, "eins")]).await;
    assert_eq!(texts(&store, log, Window::Newest, 9).await, ["eins", "meins"]);
    store
        .write::<_, StoreError, _>(move |tx| {
            message::place(tx, log, id, Place::At(Seq(2)), 1_002, MessageState::Sent)?;
            message::insert(tx, log, &text(3, "drei")).map(|_| ())
        })
        .await
        .unwrap();
    assert_eq!(texts(&store, log, Window::Newest, 9).await, ["eins", "meins", "drei"]);
    assert_eq!(list(&store).await[0].last.as_ref().unwrap().text.as_deref(), Some("drei"));
    assert_eq!(found(&store, "meins", None).await, [Some(Seq(2))]);
}

#[tokio::test]
async fn a_message_id_that_comes_again_is_not_shown_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let (log, other) = (group(&store, 1, "Lager").await, group(&store, 2, "Team").await);
    let again = NewMessage { place: Place::At(Seq(2)), ..text(1, "eins") };
    assert_eq!(add(&store, log, vec![text(1, "eins"), again.clone()]).await, [true, false]);
    assert_eq!(add(&store, other, vec![again]).await, [true], "ids are unique per log only");
    assert_eq!(texts(&store, log, Window::Newest, 9).await, ["eins"]);
    assert_eq!(list(&store).await.iter().map(|row| row.unread).sum::<u64>(), 2);
}

#[tokio::test]
async fn events_and_gaps_stand_in_the_timeline_and_do_not_count_as_unread() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    let by = (ANNA, hauspost_protocol::ids::DeviceId([2; 16]));
    store
        .write::<_, StoreError, _>(move |tx| {
            message::event(tx, log, Seq(1), &Event::Joined(vec![ANNA]), by, 1)?;
            message::gap(tx, log, Seq(2), by, 2)
        })
        .await
        .unwrap();
    let page = store.read(move |c| timeline(c, log.id, Window::Newest, 9)).await.unwrap();
    assert_eq!(
        Event::from_content(page.rows[0].content.as_ref().unwrap()),
        Event::Joined(vec![ANNA])
    );
    assert_eq!(page.rows[1].kind, MessageKind::Gap);
    assert_eq!(list(&store).await[0].unread, 0);
}

#[tokio::test]
async fn search_finds_by_beginning_umlaut_and_conversation_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let (log, other) = (group(&store, 1, "Lager").await, group(&store, 2, "Team").await);
    // The newest arrives first, as in a catch-up.
    add(&store, other, vec![text(9, "Müller ruft an")]).await;
    add(&store, log, vec![text(1, "Frau Mueller kommt"), text(2, "Lieferschein KB-4711")]).await;

    assert_eq!(found(&store, "müll", None).await, [Some(Seq(9)), Some(Seq(1))]);
    assert_eq!(found(&store, "MUELLER", None).await, [Some(Seq(9)), Some(Seq(1))]);
    assert_eq!(found(&store, "mueller", Some(log.id)).await, [Some(Seq(1))]);
    assert_eq!(found(&store, "kb-47 liefer", None).await, [Some(Seq(2))]);
    assert_eq!(found(&store, "lieferschein mueller", None).await, []);
    assert_eq!(
        found(&store, " \"*\u{E000}1 ", None).await,
        [],
        "syntax and our marks are no words"
    );
    let page =
        store.read(|conn| search(conn, &SearchQuery::words("muller"), None, 1)).await.unwrap();
    assert_eq!((page.hits.len(), page.hits[0].seq), (1, Some(Seq(9))));
    let page =
        store.read(move |c| search(c, &SearchQuery::words("mueller"), page.next, 1)).await.unwrap();
    assert_eq!(page.hits[0].seq, Some(Seq(1)));
}

fn document(seq: u64, said: &str, files: &[(&str, &str)]) -> (NewMessage, Vec<File>) {
    let file = |(name, media_type): &(&str, &str)| File {
        blob_root: Digest([seq as u8; 32]),
        blob_size: 17,
        key: Secret::new([1; 32]),
        plain_size: 1,
        plain_hash: Digest([2; 32]),
        name: (*name).to_owned(),
        media_type: (*media_type).to_owned(),
        role: FileRole::Original,
        of: None,
    };
    let message = NewMessage { kind: MessageKind::File, ..text(seq, said) };
    (message, files.iter().map(file).collect())
}

async fn add_documents(store: &Store, log: LocalLog, all: Vec<(NewMessage, Vec<File>)>) {
    store
        .write::<_, StoreError, _>(move |tx| {
            for (message, files) in all {
                message::insert(tx, log, &message)?;
                file::insert(tx, log, message.message_id, &files)?;
            }
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_search_is_narrowed_to_a_person_a_kind_a_period_and_to_messages_with_documents() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let (log, other) = (group(&store, 1, "Lager").await, group(&store, 2, "Team").await);
    let mine = NewMessage { author: ME, ..text(3, "Angebot von mir") };
    add(&store, log, vec![text(1, "Angebot"), text(2, "nichts"), mine]).await;
    let files = [("Angebot Größe 4.pdf", "application/pdf"), ("Foto.jpg", "image/jpeg")];
    let both = document(4, "anbei", &files);
    let voice = document(5, "Angebot besprochen", &[("Notiz.ogg", "audio/ogg")]);
    let film = document(6, "Angebot gefilmt", &[("Film.mp4", "video/mp4")]);
    add_documents(&store, log, vec![both, voice, film]).await;
    add(&store, other, vec![text(7, "Angebot an alle")]).await;

    let seqs = |seqs: &[u64]| seqs.iter().map(|seq| Some(Seq(*seq))).collect::<Vec<_>>();
    let words = || SearchQuery::words("angebot");
    let kind = |kind| SearchQuery { kind: Some(kind), ..words() };
    for (wanted, found) in [
        (words(), &[7, 6, 5, 4, 3, 1][..]),
        (SearchQuery { person: Some(ME), ..words() }, &[3]),
        (SearchQuery { person: Some(UserId([7; 16])), ..words() }, &[]),
        (SearchQuery { conversation: Some(other.id), ..words() }, &[7]),
        (SearchQuery { has_document: true, ..words() }, &[6, 5, 4]),
        (kind(SearchKind::Text), &[7, 3, 1]),
        (kind(SearchKind::Document), &[4]),
        (kind(SearchKind::Picture), &[4]),
        (kind(SearchKind::Sound), &[5]),
        (kind(SearchKind::Video), &[6]),
        (SearchQuery { from_ms: Some(1_005), ..words() }, &[7, 6, 5]),
        (SearchQuery { before_ms: Some(1_004), ..words() }, &[3, 1]),
        (SearchQuery { from_ms: Some(1_003), before_ms: Some(1_005), ..words() }, &[4, 3]),
        (SearchQuery { from_ms: Some(1_005), before_ms: Some(1_003), ..words() }, &[]),
        (SearchQuery { person: Some(ME), kind: Some(SearchKind::Picture), ..words() }, &[]),
        (SearchQuery { has_document: true, ..SearchQuery::default() }, &[6, 5, 4]),
        (SearchQuery { from_ms: Some(1_006), ..SearchQuery::default() }, &[7, 6]),
        (SearchQuery::default(), &[]),
        (SearchQuery { from_ms: Some(1_000), ..SearchQuery::words("...") }, &[7, 6, 5, 4, 3, 2, 1]),
    ] {
        assert_eq!(found_by(&store, wanted.clone()).await, seqs(found), "{wanted:?}");
    }
}

fn shown(parts: &[SnippetPart]) -> String {
    let mark = |part: &SnippetPart| {
        if part.found { format!("[{}]", part.text) } else { part.text.clone() }
    };
    parts.iter().map(mark).collect()
}

#[tokio::test]
async fn a_document_is_found_by_its_name_which_is_shown_marked() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    let files = [("Foto.jpg", "image/jpeg"), ("Rechnung Müller & Söhne.pdf", "application/pdf")];
    add_documents(&store, log, vec![document(1, "Bitte prüfen", &files)]).await;
    let hit = |words: &'static str| {
        let store = store.clone();
        async move {
            let wanted = SearchQuery::words(words);
            store.read(move |conn| search(conn, &wanted, None, 9)).await.unwrap().hits.pop()
        }
    };
    let found = hit("soehne prüfen").await.unwrap();
    assert_eq!(shown(&found.snippet), "Bitte [prüfen]");
    let document = found.document.unwrap();
    assert_eq!((document.position, &*shown(&document.name)), (1, "Rechnung Müller & [Söhne].pdf"));
    assert_eq!(hit("prüfen").await.unwrap().document, None, "found in the text");
    assert_eq!(hit("soehne fehlt").await, None);
}

#[tokio::test]
async fn an_erased_document_is_found_by_nothing_and_the_next_one_still_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    let file = |seq| document(seq, "anbei", &[("Gehaltsliste.pdf", "application/pdf")]);
    add_documents(&store, log, vec![file(1), file(2)]).await;
    store.write::<_, StoreError, _>(move |tx| message::erase(tx, log, Seq(1))).await.unwrap();
    for query in ["gehalts", "anbei"] {
        assert_eq!(found(&store, query, None).await, [Some(Seq(2))], "{query}");
    }
    let documents = SearchQuery { has_document: true, ..SearchQuery::default() };
    assert_eq!(found_by(&store, documents).await, [Some(Seq(2))]);
}

#[tokio::test]
async fn an_erased_message_is_in_no_page_no_hit_and_no_word_of_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    add(&store, log, vec![text(1, "geheimniskrämerei"), text(2, "bleibt")]).await;
    store.write::<_, StoreError, _>(move |tx| message::erase(tx, log, Seq(1))).await.unwrap();
    assert_eq!(texts(&store, log, Window::Newest, 9).await, ["", "bleibt"]);
    assert_eq!(found(&store, "geheim", None).await, []);
    let words: Vec<String> = store
        .write::<_, StoreError, _>(|tx| {
            tx.execute_batch("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, search, row)")?;
            let mut select = tx.prepare("SELECT term FROM temp.words ORDER BY term")?;
            Ok(select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
        .unwrap();
    let author = "02".repeat(16);
    let marks = ["\u{E000}1", &format!("\u{E001}{author}"), "\u{E002}t"];
    assert_eq!(words[0], "bleibt");
    assert_eq!(words[1..], marks);
}

#[tokio::test]
async fn a_clock_that_is_off_by_years_misplaces_a_message_only_until_the_server_ordered_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let (log, other) = (group(&store, 1, "Lager").await, group(&store, 2, "Team").await);
    let wrong_clock = NewMessage { t_ms: 9_000_000_000_000, ..own(1, "Angebot von morgen") };
    let id = wrong_clock.message_id;
    add(&store, log, vec![wrong_clock]).await;
    add(&store, other, vec![text(7, "Angebot von heute")]).await;
    assert_eq!(list(&store).await[0].log, log.id);
    assert_eq!(found(&store, "angebot", None).await, [None, Some(Seq(7))]);
    store
        .write::<_, StoreError, _>(move |tx| {
            message::place(tx, log, id, Place::At(Seq(1)), 1_001, MessageState::Sent)
        })
        .await
        .unwrap();
    assert_eq!(list(&store).await[0].log, other.id);
    assert_eq!(found(&store, "angebot", None).await, [Some(Seq(7)), Some(Seq(1))]);
}

#[tokio::test]
async fn a_frequent_word_and_a_rare_one_are_found_by_the_same_rule_on_every_page() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let (log, other) = (group(&store, 1, "Lager").await, group(&store, 2, "Team").await);
    let words = |seq: u64| match seq % 5 {
        0 => "Haustür defekt",
        1 | 2 => "im Haus, Müller",
        3 => "Gartenhaus",
        _ => "Mueller im Hause",
    };
    add(&store, log, (0..300).map(|seq| text(seq, words(seq))).collect()).await;
    add(&store, other, (0..5).map(|seq| text(1_000 + seq, words(seq))).collect()).await;
    // The store's page of 500 never finds enough to be a frequent word's; pages of 7 always do.
    for query in ["haus", "müller haus", "hause", "garten"] {
        for only in [None, Some(log.id), Some(other.id)] {
            let wanted = SearchQuery { conversation: only, ..SearchQuery::words(query) };
            let all = wanted.clone();
            let whole = store.read(move |c| search(c, &all, None, 500)).await.unwrap();
            let (mut paged, mut after) = (Vec::new(), None);
            loop {
                let wanted = wanted.clone();
                let page = store.read(move |c| search(c, &wanted, after, 7)).await.unwrap();
                paged.extend(page.hits);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(paged, whole.hits, "{query}");
        }
    }
}
