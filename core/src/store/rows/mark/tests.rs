//! What marks do to messages, in whatever order a phone comes to know of them.

use hauspost_protocol::ids::{DeviceId, LogId, Seq};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use super::*;
use crate::read::{self, Window};
use crate::store::Store;
use crate::store::fixture::{ANNA, ME, enrolled, group, own, text};
use crate::store::rows::message::{Fate, Message, NewMessage, Quote};
use crate::store::rows::{conversation, reaction};

const BEN: UserId = UserId([3; 16]);

fn id(seq: u64) -> MessageId {
    text(seq, "").message_id
}

fn mark(seq: u64, author: UserId, kind: MarkKind, about: MessageId, said: &str) -> NewMark {
    NewMark {
        place: Place::At(Seq(seq)),
        message_id: id(seq),
        about,
        kind,
        valid: true,
        author,
        device: DeviceId([2; 16]),
        state: MessageState::Received,
        t_ms: 1_000 + seq,
        sent_ms: 0,
        text: (!said.is_empty()).then(|| said.to_owned()),
        saying: Saying::default(),
        content: Vec::new(),
        record_key: None,
    }
}

fn edit(seq: u64, author: UserId, about: u64, said: &str) -> NewMark {
    mark(seq, author, MarkKind::Edit, id(about), said)
}

fn deletion(seq: u64, author: UserId, about: u64) -> NewMark {
    mark(seq, author, MarkKind::Deletion, id(about), "")
}

fn reacts(seq: u64, author: UserId, about: u64, emoji: &str) -> NewMark {
    mark(seq, author, MarkKind::Reaction, id(about), emoji)
}

/// A message as it stands in the log, with its content, so that it can be worked out anew.
fn said(seq: u64, words: &str) -> NewMessage {
    let content = hauspost_protocol::content::Message::text([0; 16], words).to_bytes().unwrap();
    NewMessage { content: Some(content), ..text(seq, words) }
}

enum Row {
    Message(NewMessage),
    Mark(NewMark),
}

async fn put(store: &Store, log: LocalLog, rows: Vec<Row>) {
    for row in rows {
        store
            .write::<_, StoreError, _>(move |tx| match &row {
                Row::Message(message) => message::insert(tx, log, message).map(|_| ()),
                Row::Mark(mark) => insert(tx, log, mark).map(|_| ()),
            })
            .await
            .unwrap();
    }
}

async fn marks(store: &Store, log: LocalLog, marks: Vec<NewMark>) {
    put(store, log, marks.into_iter().map(Row::Mark).collect()).await;
}

async fn rows(store: &Store, log: LocalLog) -> Vec<Message> {
    let page = store.read(move |conn| read::timeline(conn, log.id, Window::Newest, 500)).await;
    page.unwrap().rows
}

/// A message with what was made of it, for people.
fn shown(row: &Message) -> String {
    let mut shown = format!("{} {:?} {:?}", row.key & 0xffff, row.fate, row.text);
    for tally in &row.reactions {
        shown.push_str(&format!(" {}{}", tally.emoji, tally.count));
    }
    shown + if row.is_pinned { " pinned" } else { "" }
}

async fn one(store: &Store, log: LocalLog) -> String {
    shown(&rows(store, log).await[0])
}

async fn found(store: &Store, words: &'static str) -> usize {
    store
        .read(move |conn| read::search(conn, &read::SearchQuery::words(words), None, 50))
        .await
        .unwrap()
        .hits
        .len()
}

#[tokio::test]
async fn the_last_edit_of_the_author_is_shown_and_found_and_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    put(&store, log, vec![Row::Message(said(1, "Montag"))]).await;
    marks(&store, log, vec![edit(2, ANNA, 1, "Dienstag"), edit(3, BEN, 1, "nie")]).await;
    assert_eq!(one(&store, log).await, "1 Edited Some(\"Dienstag\")");
    assert_eq!(
        (
            found(&store, "Montag").await,
            found(&store, "Dienstag").await,
            found(&store, "nie").await
        ),
        (0, 1, 0)
    );
    // A change of the change is one of the message.
    marks(&store, log, vec![edit(4, ANNA, 2, "Mittwoch"), edit(5, BEN, 2, "nie")]).await;
    assert_eq!(one(&store, log).await, "1 Edited Some(\"Mittwoch\")");
    let versions = store.read(move |conn| read::versions(conn, log.id, id(1))).await.unwrap();
    let texts: Vec<_> = versions.iter().map(|version| version.text.as_deref().unwrap()).collect();
    assert_eq!(texts, ["Montag", "Dienstag", "Mittwoch"]);
    let list = store.read(|conn| read::conversations(conn, None, 5)).await.unwrap();
    assert_eq!(list[0].last.as_ref().unwrap().text.as_deref(), Some("Mittwoch"));
    assert_eq!((list[0].unread, list[0].last_ms), (1, 1_001), "a change is no news");
}

#[tokio::test]
async fn what_was_taken_back_stays_so_whatever_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    put(&store, log, vec![Row::Message(said(1, "Montag")), Row::Message(said(2, "ja"))]).await;
    marks(&store, log, vec![deletion(3, BEN, 1)]).await;
    assert_eq!(one(&store, log).await, "1 Stands Some(\"Montag\")", "not his own");
    marks(
        &store,
        log,
        vec![deletion(4, ANNA, 1), edit(5, ANNA, 1, "doch"), edit(6, ANNA, 4, "doch")],
    )
    .await;
    assert_eq!(one(&store, log).await, "1 Deleted None");
    assert_eq!((found(&store, "Montag").await, found(&store, "doch").await), (0, 0));
    assert!(store.read(move |c| read::versions(c, log.id, id(1))).await.unwrap().is_empty());
    let list = store.read(|conn| read::conversations(conn, None, 5)).await.unwrap();
    assert_eq!(list[0].unread, 1, "there is one less to read");
}

#[tokio::test]
async fn a_redaction_counts_only_if_its_author_was_an_owner_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    put(&store, log, vec![Row::Message(said(1, "Montag"))]).await;
    let redaction = |seq| mark(seq, BEN, MarkKind::Redaction, id(1), "");
    marks(&store, log, vec![NewMark { valid: false, ..redaction(2) }]).await;
    assert_eq!(one(&store, log).await, "1 Stands Some(\"Montag\")");
    marks(&store, log, vec![redaction(3), deletion(4, ANNA, 1)]).await;
    assert_eq!(one(&store, log).await, "1 Redacted None", "the first that ends it says how");
}

#[tokio::test]
async fn reactions_are_counted_once_for_each_person_and_emoji_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    put(&store, log, vec![Row::Message(said(1, "Feierabend"))]).await;
    let mut said = vec![reacts(2, ANNA, 1, "👍"), reacts(3, BEN, 1, "👍"), reacts(4, BEN, 1, "❤️")];
    // The same once more, by another device of his.
    said.push(reacts(5, BEN, 1, "👍"));
    marks(&store, log, said).await;
    assert_eq!(one(&store, log).await, "1 Stands Some(\"Feierabend\") 👍2 ❤️1");
    // Naming either of the two takes both back; nobody else's can be.
    marks(&store, log, vec![deletion(6, BEN, 3), deletion(7, BEN, 2), deletion(8, ME, 4)]).await;
    assert_eq!(one(&store, log).await, "1 Stands Some(\"Feierabend\") ❤️1 👍1");
    let who = store.read(move |conn| read::reactions(conn, log.id, id(1), 10)).await.unwrap();
    assert_eq!(who, [(ANNA, "👍".to_owned()), (BEN, "❤️".to_owned())]);
    let list = store.read(|conn| read::conversations(conn, None, 5)).await.unwrap();
    assert_eq!((list[0].unread, list[0].last_ms), (1, 1_001), "a reaction is no news");
    assert_eq!(list[0].last.as_ref().unwrap().text.as_deref(), Some("Feierabend"));
}

#[tokio::test]
async fn one_person_reacts_to_a_message_by_so_many_emoji_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    put(&store, log, vec![Row::Message(said(1, "Feierabend"))]).await;
    let emoji = ["😀", "😁", "😂", "😃", "😄", "😅", "😆", "😇", "😈", "😉"];
    let said = (2..).zip(emoji).map(|(seq, emoji)| reacts(seq, BEN, 1, emoji)).collect();
    marks(&store, log, said).await;
    let count = |row: &Message| row.reactions.len();
    assert_eq!(count(&rows(&store, log).await[0]), REACTIONS as usize);
    // Room that is made is for what comes then.
    marks(&store, log, vec![deletion(20, BEN, 2), reacts(21, BEN, 1, "👍")]).await;
    let row = rows(&store, log).await.remove(0);
    assert_eq!(count(&row), REACTIONS as usize);
    assert!(row.reactions.iter().any(|tally| tally.emoji == "👍"));
}

#[tokio::test]
async fn a_mark_on_what_is_not_here_waits_for_it_and_shows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    let early = vec![
        reacts(2, BEN, 1, "👍"),
        edit(4, ANNA, 3, "Mittwoch"),
        edit(3, ANNA, 1, "Dienstag"),
        deletion(6, BEN, 5),
        reacts(5, BEN, 1, "🎉"),
    ];
    marks(&store, log, early).await;
    assert!(rows(&store, log).await.is_empty());
    put(&store, log, vec![Row::Message(said(1, "Montag"))]).await;
    assert_eq!(one(&store, log).await, "1 Edited Some(\"Mittwoch\") 👍1");
}

#[tokio::test]
async fn nothing_can_be_said_about_a_line_that_nobody_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    store
        .write::<_, StoreError, _>(move |tx| {
            let by = (ANNA, DeviceId([2; 16]));
            message::event(tx, log, Seq(1), &message::Event::Created, by, 1)
        })
        .await
        .unwrap();
    let line = rows(&store, log).await[0].message_id;
    let said = [MarkKind::Edit, MarkKind::Deletion, MarkKind::Reaction, MarkKind::Pin];
    let said = (2..).zip(said).map(|(seq, kind)| mark(seq, ANNA, kind, line, "👍")).collect();
    marks(&store, log, said).await;
    assert_eq!(one(&store, log).await, "1 Stands None");
}

#[tokio::test]
async fn an_own_change_shows_at_once_and_is_gone_again_when_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    let mine = NewMessage { author: ME, ..said(1, "Montag") };
    put(&store, log, vec![Row::Message(mine)]).await;
    let waiting = own(7, "").message_id;
    let change = NewMark {
        place: Place::Pending(7),
        message_id: waiting,
        state: MessageState::Queued,
        ..edit(0, ME, 1, "Dienstag")
    };
    marks(&store, log, vec![change]).await;
    let row = rows(&store, log).await.remove(0);
    assert_eq!((row.text.as_deref(), row.is_changing), (Some("Dienstag"), true));
    let failed = MessageState::Failed;
    store
        .write::<_, StoreError, _>(move |tx| message::set_state(tx, log, waiting, failed))
        .await
        .unwrap();
    let row = rows(&store, log).await.remove(0);
    assert_eq!(
        (row.text.as_deref(), row.fate, row.is_changing),
        (Some("Montag"), Fate::Stands, false)
    );
    store
        .write::<_, StoreError, _>(move |tx| {
            message::set_state(tx, log, waiting, MessageState::Queued)?;
            message::place(tx, log, waiting, Place::At(Seq(2)), 1_002, MessageState::Sent)
        })
        .await
        .unwrap();
    let row = rows(&store, log).await.remove(0);
    assert_eq!((row.text.as_deref(), row.is_changing), (Some("Dienstag"), false));
}

#[tokio::test]
async fn a_quote_says_what_the_original_says_now_or_that_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    let answer = |seq, to| {
        let saying = Saying { reply_to: Some(to), ..Saying::default() };
        Row::Message(NewMessage { saying, ..said(seq, "ja") })
    };
    put(&store, log, vec![Row::Message(said(1, "Montag?")), answer(2, id(1)), answer(3, id(99))])
        .await;
    let quotes = async |store: &Store| {
        let rows = rows(store, log).await;
        rows.into_iter().filter_map(|row| row.quote).collect::<Vec<_>>()
    };
    let known = |words: &str| Quote::Known {
        message_id: id(1),
        seq: Some(Seq(1)),
        author: ANNA,
        text: Some(words.to_owned()),
    };
    assert_eq!(quotes(&store).await, [known("Montag?"), Quote::Unknown]);
    marks(&store, log, vec![edit(4, ANNA, 1, "Dienstag?")]).await;
    assert_eq!(quotes(&store).await[0], known("Dienstag?"));
    // Erasing the original erases every quote of it (docs/attacks.md 32).
    store.write::<_, StoreError, _>(move |tx| message::erase(tx, log, Seq(1))).await.unwrap();
    assert_eq!(quotes(&store).await[0], Quote::Gone);
}

#[tokio::test]
async fn who_is_mentioned_sees_it_in_the_list_until_he_has_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    let calls = |seq, who| {
        let saying = Saying { mentions: vec![who], ..Saying::default() };
        Row::Message(NewMessage { saying, ..said(seq, "@jemand") })
    };
    let everybody = message::EVERYBODY;
    put(&store, log, vec![calls(1, ME), calls(2, BEN), calls(3, everybody)]).await;
    let counts = async |store: &Store| {
        let list = store.read(|conn| read::conversations(conn, None, 5)).await.unwrap();
        (list[0].unread, list[0].unread_mentions)
    };
    assert_eq!(counts(&store).await, (3, 2));
    let read = async |seq| {
        let read =
            store.write::<_, StoreError, _>(move |tx| conversation::mark_read(tx, log, Seq(seq)));
        read.await.unwrap();
    };
    read(1).await;
    assert_eq!(counts(&store).await, (2, 1));
    marks(&store, log, vec![deletion(4, ANNA, 3)]).await;
    assert_eq!(counts(&store).await, (1, 0));
}

#[tokio::test]
async fn pins_and_stars_are_listed_and_only_pins_are_for_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    put(&store, log, (1..=3).map(|seq| Row::Message(said(seq, "x"))).collect()).await;
    let pin = |seq, kind, about| mark(seq, BEN, kind, id(about), "");
    let pins = vec![pin(4, MarkKind::Pin, 1), pin(5, MarkKind::Pin, 3), pin(6, MarkKind::Unpin, 1)];
    marks(&store, log, pins).await;
    let pinned = store.read(move |conn| read::pinned(conn, log.id)).await.unwrap();
    assert_eq!(pinned.iter().map(|row| row.seq).collect::<Vec<_>>(), [Some(Seq(3))]);
    let star = |about, at: Option<u64>| {
        store.write::<_, StoreError, _>(move |tx| message::set_starred(tx, log, id(about), at))
    };
    assert!(star(1, Some(5)).await.unwrap() && star(2, Some(9)).await.unwrap());
    assert!(!star(77, Some(9)).await.unwrap(), "what is not here cannot be starred");
    let starred = store.read(|conn| read::starred(conn, 10)).await.unwrap();
    let starred: Vec<_> = starred.iter().map(|(log, row)| (*log, row.seq)).collect();
    let log_id: LogId = log.id;
    assert_eq!(starred, [(log_id, Some(Seq(2))), (log_id, Some(Seq(1)))]);
}

/// A conversation at random: three messages and marks of all kinds on them and on each other.
fn talk(rng: &mut StdRng) -> Vec<Row> {
    let users = [ANNA, BEN, ME];
    let mut rows: Vec<Row> = (1..=3)
        .map(|seq| {
            let author = users[rng.random_range(0..3)];
            Row::Message(NewMessage { author, ..said(seq, &format!("wort{seq}")) })
        })
        .collect();
    for seq in 4..40 {
        let author = users[rng.random_range(0..3)];
        let about = rng.random_range(1..seq);
        let emoji = ["👍", "❤️", "😀", "🎉"][rng.random_range(0..4)];
        rows.push(Row::Mark(match rng.next_u32() % 12 {
            0..=2 => edit(seq, author, about, &format!("neu{seq}")),
            3..=4 => deletion(seq, author, about),
            5 => mark(seq, author, MarkKind::Redaction, id(about.min(3)), ""),
            6 => mark(seq, author, MarkKind::Pin, id(about), ""),
            7 => mark(seq, author, MarkKind::Unpin, id(about), ""),
            _ => reacts(seq, author, about, emoji),
        }));
    }
    rows
}

#[tokio::test]
async fn in_whatever_order_a_phone_comes_to_know_of_marks_it_shows_the_same() {
    for seed in 0..20 {
        let mut views = Vec::new();
        for order in 0..4 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut talk = talk(&mut rng);
            let mut rng = StdRng::seed_from_u64(seed * 10 + order);
            if order > 0 {
                talk.shuffle(&mut rng);
            }
            let folder = tempfile::tempdir().unwrap();
            let store = enrolled(folder.path()).await;
            let log = group(&store, 1, "Lager").await;
            put(&store, log, talk).await;
            let rows = rows(&store, log).await;
            let mut view: Vec<_> = rows.iter().map(shown).collect();
            for row in &rows {
                let message = row.message_id;
                let who = store.read(move |conn| reaction::people(conn, log, message, 100)).await;
                let mut who: Vec<_> = who.unwrap();
                who.sort();
                view.push(format!("{who:?}"));
            }
            views.push(view);
        }
        assert!(views.iter().all(|view| *view == views[0]), "seed {seed}: {views:#?}");
    }
}

#[tokio::test]
async fn a_mark_that_began_to_wait_in_a_transaction_takes_effect_in_the_same_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    store
        .write::<_, StoreError, _>(move |tx| {
            // Nothing waits yet, as the first message finds.
            message::insert(tx, log, &said(1, "Guten Morgen"))?;
            insert(tx, log, &reacts(2, ANNA, 3, "👍"))?;
            message::insert(tx, log, &said(3, "Mahlzeit"))?;
            Ok(())
        })
        .await
        .unwrap();
    let shown: Vec<_> = rows(&store, log).await.iter().map(shown).collect();
    assert_eq!(shown.iter().filter(|row| row.contains("👍1")).count(), 1, "{shown:?}");
}
