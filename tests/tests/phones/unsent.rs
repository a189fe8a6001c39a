//! What is changed before it is sent: nobody else ever sees that, and what answers it follows.

use hauspost_core::account::{Attachment, Draft};
use hauspost_core::store::rows::message::{self, Message as Row, MessageKind, MessageState, Quote};
use hauspost_core::store::rows::{log, outbox};
use hauspost_core::store::{StoreError, Tx};
use hauspost_core::sync::NetworkError;
use hauspost_protocol::content::{Card, Place, TextForm};
use hauspost_protocol::ids::LogId;
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World};

use super::rooms::{code, room, rows, settle};

/// What a phone shows as the quote of each of these texts, in their order.
async fn quotes(phone: &Phone, log: LogId) -> Vec<(String, Option<String>)> {
    let said = rows(phone, log).await.into_iter().filter(Row::is_said);
    let quoted = |quote| match quote {
        Some(Quote::Known { text, .. }) => text,
        Some(_) => Some("unknown".to_owned()),
        None => None,
    };
    said.map(|row| (row.text.unwrap(), quoted(row.quote))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_sent_yet_follows_the_message_that_is_changed_before_it_is_sent() {
    let (world, [anna, ben, _carla], log) = room(false).await;
    let path = world.data().parent().unwrap().join("plan.txt");
    std::fs::write(&path, b"Fluchtplan").unwrap();
    let one = anna.account.send_text(log, "eins").await.unwrap();
    let answer = anna.account.reply(log, "dazu", one).await.unwrap();
    anna.account.reply(log, "und dazu", answer).await.unwrap();
    let plan = Attachment::path(&path);
    let draft = Draft::plain("samt Plan").replying_to(one);
    anna.account.send_with(log, vec![plan], draft).await.unwrap();
    anna.account.edit(log, one, "Eins", TextForm::Plain).await.unwrap();
    let expected = [
        ("Eins", None),
        ("dazu", Some("Eins")),
        ("und dazu", Some("dazu")),
        ("samt Plan", Some("Eins")),
    ];
    let expected = expected.map(|(text, quote)| (text.to_owned(), quote.map(str::to_owned)));
    assert_eq!(quotes(&anna, log).await, expected);
    settle(&[&anna, &ben]).await;
    assert_eq!(quotes(&anna, log).await, expected);
    assert_eq!(quotes(&ben, log).await, expected);
    let with_plan = rows(&ben, log).await.pop().unwrap();
    let opened = ben.account.open_file(log, with_plan.message_id, 0).await.unwrap();
    assert_eq!(std::fs::read(opened).unwrap(), b"Fluchtplan");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_moves_with_its_message_to_the_conversation_that_the_other_began_first() {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    anna.account.sync_all().await.unwrap();
    let first = anna.account.create_dm(ben.account.user()).await.unwrap();
    let second = ben.account.create_dm(anna.account.user()).await.unwrap();
    anna.account.send_text(first, "Hallo Ben").await.unwrap();
    let hello = ben.account.send_text(second, "Hallo Anna").await.unwrap();
    let answer = ben.account.reply(second, "ich bin's", hello).await.unwrap();
    ben.account.reply(second, "Ben", answer).await.unwrap();
    anna.account.send_once().await.unwrap();
    ben.account.send_once().await.unwrap();
    for phone in [&ben, &anna, &ben] {
        phone.settle().await;
    }
    for phone in [&anna, &ben] {
        let quotes = quotes(phone, first).await;
        let shown: Vec<_> = quotes.iter().map(|it| (it.0.as_str(), it.1.as_deref())).collect();
        let expected = [
            ("Hallo Ben", None),
            ("Hallo Anna", None),
            ("ich bin's", Some("Hallo Anna")),
            ("Ben", Some("ich bin's")),
        ];
        assert_eq!(shown, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_changed_before_it_is_sent_is_what_it_was_but_for_its_text() {
    let (_world, [anna, ben, _carla], log) = room(false).await;
    let one = anna.account.send_text(log, "Frage").await.unwrap();
    settle(&[&anna, &ben]).await;
    let draft = Draft::plain("Antwort").replying_to(one).to_be_confirmed();
    let answer = anna.account.send(log, draft).await.unwrap();
    let place = Place::new(52_000_000, 13_000_000, None, None).unwrap();
    let card = anna.account.send_card(log, &Card::Place(place), None).await.unwrap();
    anna.account.edit(log, answer, "bessere Antwort", TextForm::Plain).await.unwrap();
    assert_eq!(code(anna.account.edit(log, card, "hier", TextForm::Plain).await), "not-sent");
    settle(&[&anna, &ben]).await;
    let seen: Vec<Row> = rows(&ben, log).await.into_iter().filter(Row::is_said).collect();
    assert_eq!(seen[1].text.as_deref(), Some("bessere Antwort"));
    assert_eq!(seen[1].saying.reply_to, Some(one));
    assert!(seen[1].asking.is_some() && seen[2].kind == MessageKind::Place);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_left_the_phone_may_be_changed_and_what_failed_is_sent_as_it_is_changed() {
    let (_world, [anna, ben, _carla], log) = room(false).await;
    let id = anna.account.send_text(log, "falsch").await.unwrap();
    let fails = move |tx: &Tx<'_>| {
        let intent = outbox::by_message(tx, log, id)?.unwrap();
        outbox::fail(tx, intent.id, 21)?;
        let local = log::local(tx, log)?.unwrap();
        message::set_state(tx, local, id, MessageState::Failed)
    };
    anna.account.store().write::<_, StoreError, _>(fails).await.unwrap();
    anna.account.edit(log, id, "richtig", TextForm::Plain).await.unwrap();
    assert_eq!(anna.state(log, "richtig").await, Some(MessageState::Queued));
    settle(&[&anna, &ben]).await;
    assert_eq!(ben.texts(log).await, ["richtig"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_found_no_server_is_changed_in_its_place() {
    let mut world = World::found().await;
    let ben = world.phone("ben").await;
    let network = Hostile::default();
    let anna = world.phone_over("anna", network.network()).await;
    let log = anna.writes_first(&ben, "online").await;
    let id = anna.account.send_text(log, "offline").await.unwrap();
    network.answers(|_| Some(Err(NetworkError::Unreachable)));
    assert!(anna.account.send_once().await.is_err(), "nobody is there");
    anna.account.edit(log, id, "wieder da", TextForm::Plain).await.unwrap();
    network.is_honest_again();
    settle(&[&anna, &ben]).await;
    assert_eq!(ben.texts(log).await, ["online", "wieder da"]);
}
