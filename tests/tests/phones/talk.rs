//! What people say about messages: answers, changes, reactions, mentions, and what they pass on.

use std::sync::Arc;

use hauspost_core::account::{AccountError, Draft};
use hauspost_core::env::Env;
use hauspost_core::env::seeded::ManualClock;
use hauspost_core::format::{everybody_uri, person_uri};
use hauspost_core::outbox::intent::Say;
use hauspost_core::read::{SearchQuery, WantedChange, Window};
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::mark::MarkKind;
use hauspost_core::store::rows::message::{EVERYBODY, Fate, Message as Row, MessageKind, Quote};
use hauspost_core::store::rows::outbox::{self, IntentKind, NewIntent};
use hauspost_core::sync::Https;
use hauspost_protocol::content::{Control, FOR_EVER, Message, TextForm};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::ids::{LogId, MessageId};
use hauspost_protocol::statement::PayloadType;
use hauspost_tests::real::{Phone, World, env};

async fn rows(phone: &Phone, log: LogId) -> Vec<Row> {
    let page = phone.account.timeline(log, Window::Newest, 500).await.unwrap();
    page.rows.into_iter().filter(Row::is_said).collect()
}

/// The messages of a conversation as people see them, one a line.
async fn seen(phone: &Phone, log: LogId) -> Vec<String> {
    let show = |row: Row| {
        let mut line = match row.fate {
            Fate::Deleted => "(zurückgenommen)".to_owned(),
            Fate::Redacted => "(verborgen)".to_owned(),
            _ => row.text.unwrap_or_else(|| "(neuere App)".to_owned()),
        };
        if row.fate == Fate::Edited {
            line.push_str(" (geändert)");
        }
        for tally in row.reactions {
            line.push_str(&format!(" {}{}", tally.emoji, tally.count));
        }
        line
    };
    rows(phone, log).await.into_iter().map(show).collect()
}

async fn id(phone: &Phone, log: LogId, text: &str) -> MessageId {
    let rows = rows(phone, log).await;
    let row = rows.into_iter().find(|row| row.text.as_deref() == Some(text));
    row.unwrap_or_else(|| panic!("{text} is not there")).message_id
}

async fn settle(phones: &[&Phone]) {
    for phone in phones {
        phone.settle().await;
    }
    for phone in phones {
        phone.account.sync_all().await.unwrap();
    }
}

/// Anna and Ben in a group that Anna began, with one message of hers.
async fn group() -> (World, Phone, Phone, LogId) {
    let (world, [anna, ben]) = World::of(["anna", "ben"]).await;
    anna.account.sync_all().await.unwrap();
    let log = anna.account.create_group(Some("Lager"), vec![ben.account.user()]).await.unwrap();
    anna.account.send_text(log, "Montag?").await.unwrap();
    settle(&[&anna, &ben]).await;
    (world, anna, ben, log)
}

/// What a patched phone says: any content, and nobody asks whether it may.
async fn says(phone: &Phone, log: LogId, ptype: PayloadType, content: Vec<u8>) {
    let body = encode(&Say { ptype, content: Bytes(content) });
    let intent = NewIntent { log, kind: IntentKind::Record, message_id: None, body, made_ms: 0 };
    let said = phone
        .account
        .store()
        .write::<_, StoreError, _>(move |tx| outbox::insert(tx, &intent).map(|_| ()));
    said.await.unwrap();
    phone.settle().await;
}

async fn says_message(phone: &Phone, log: LogId, message: Message) {
    says(phone, log, PayloadType::Content, message.to_bytes().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_32_a_reply_carries_an_id_and_each_phone_shows_the_quote_from_its_own_store() {
    let (_world, anna, ben, log) = group().await;
    let asked = id(&ben, log, "Montag?").await;
    ben.account.reply(log, "passt", asked).await.unwrap();
    ben.account.send(log, Draft::plain("worauf?").replying_to(MessageId([7; 32]))).await.unwrap();
    settle(&[&ben, &anna]).await;
    let quotes = async |phone: &Phone| -> Vec<_> {
        rows(phone, log).await.into_iter().filter_map(|row| row.quote).collect()
    };
    let said = |quote: &Quote| match quote {
        Quote::Known { text, .. } => text.clone(),
        Quote::Gone | Quote::Unknown => None,
    };
    for phone in [&anna, &ben] {
        let quotes = quotes(phone).await;
        assert_eq!(said(&quotes[0]).as_deref(), Some("Montag?"));
        assert_eq!(quotes[1], Quote::Unknown);
        // Jump to the original.
        let Quote::Known { seq: Some(seq), .. } = &quotes[0] else { panic!("it is in the log") };
        let page = phone.account.timeline(log, Window::Around(*seq), 2).await.unwrap();
        assert!(page.rows.iter().any(|row| row.message_id == asked));
    }
    let content = rows(&anna, log).await[1].content.clone().unwrap();
    assert!(!String::from_utf8_lossy(&content).contains("Montag"));
    anna.account.edit(log, asked, "Dienstag?", TextForm::Plain).await.unwrap();
    settle(&[&anna, &ben]).await;
    assert_eq!(said(&quotes(&ben).await[0]).as_deref(), Some("Dienstag?"));
    anna.account.delete(log, asked).await.unwrap();
    settle(&[&anna, &ben]).await;
    assert_eq!(quotes(&ben).await[0], Quote::Gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_shown_at_once_and_everywhere_with_its_history_after_a_restart_too() {
    let (_world, anna, ben, log) = group().await;
    let message = id(&anna, log, "Montag?").await;
    anna.account.edit(log, message, "**Dienstag**?", TextForm::Markdown).await.unwrap();
    let row = rows(&anna, log).await.remove(0);
    assert_eq!((row.text.as_deref(), row.is_changing), (Some("Dienstag?"), true));
    settle(&[&anna, &ben]).await;
    let ben = ben.restart().await;
    for phone in [&anna, &ben] {
        let row = rows(phone, log).await.remove(0);
        assert!(!row.is_changing);
        assert_eq!(row.saying.markdown.as_deref(), Some("**Dienstag**?"));
        assert_eq!(seen(phone, log).await, ["Dienstag? (geändert)"]);
        let versions = phone.account.versions(log, message).await.unwrap();
        let texts: Vec<_> = versions.iter().map(|version| version.text.as_deref()).collect();
        assert_eq!(texts, [Some("Montag?"), Some("Dienstag?")]);
        let found = async |word| {
            phone.account.search(SearchQuery::words(word), None, 9).await.unwrap().hits.len()
        };
        assert_eq!((found("montag").await, found("dienstag").await), (0, 1));
    }
    let list = ben.account.conversation(log).await.unwrap().unwrap();
    assert_eq!(list.last.unwrap().text.as_deref(), Some("Dienstag?"));
    assert_eq!(list.unread, 1, "a change makes nothing unread");
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_32_only_the_author_changes_a_message_and_only_an_owner_hides_one() {
    let (mut world, anna, ben, log) = group().await;
    let carla = world.phone("carla").await;
    ben.account.add_members(log, vec![carla.account.user()]).await.unwrap();
    settle(&[&ben, &anna, &carla]).await;
    let message = id(&ben, log, "Montag?").await;
    // The product refuses it,
    let no = |result: Result<(), AccountError>| matches!(result, Err(AccountError::NotAllowed));
    assert!(no(ben.account.edit(log, message, "nie", TextForm::Plain).await));
    assert!(no(ben.account.delete(log, message).await));
    assert!(no(ben.account.redact(log, message).await));
    // and what a patched phone says anyway has no effect, on none of the phones.
    says_message(&ben, log, Message::text([1; 16], "nie").replacing(message)).await;
    says_message(&ben, log, Message::deletion([2; 16], message)).await;
    let redaction = encode(&Control::Redact(message));
    says(&ben, log, PayloadType::Control, redaction).await;
    ben.account.send_text(log, "egal").await.unwrap();
    settle(&[&ben, &anna, &carla]).await;
    assert_eq!(seen(&anna, log).await, ["Montag?", "egal"]);
    assert_eq!(seen(&carla, log).await, ["egal"], "she came later");

    let rude = id(&anna, log, "egal").await;
    anna.account.redact(log, rude).await.unwrap();
    settle(&[&anna, &ben, &carla]).await;
    for phone in [&anna, &ben] {
        assert_eq!(seen(phone, log).await, ["Montag?", "(verborgen)"]);
        assert_eq!(phone.gaps(log).await + phone.alarms().await, 0);
    }
    assert_eq!(seen(&carla, log).await, ["(verborgen)"]);
    assert!(ben.account.versions(log, rude).await.unwrap().is_empty());
    assert!(ben.account.edit(log, rude, "doch", TextForm::Plain).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_are_counted_taken_back_and_make_nothing_unread() {
    let (_world, anna, ben, log) = group().await;
    let message = id(&ben, log, "Montag?").await;
    ben.account.react(log, message, "👍").await.unwrap();
    ben.account.react(log, message, "👍").await.unwrap();
    let tally = rows(&ben, log).await[0].reactions[0].clone();
    assert!(tally.mine && tally.is_waiting);
    anna.account.react(log, message, "👍").await.unwrap();
    settle(&[&ben, &anna, &ben]).await;
    for phone in [&anna, &ben] {
        assert_eq!(seen(phone, log).await, ["Montag? 👍2"]);
        let who = phone.account.reactions(log, message, 10).await.unwrap();
        assert_eq!(who.len(), 2);
        let list = phone.account.conversation(log).await.unwrap().unwrap();
        assert_eq!(list.last.unwrap().text.as_deref(), Some("Montag?"));
    }
    assert_eq!(anna.account.conversation(log).await.unwrap().unwrap().unread, 0);
    ben.account.unreact(log, message, "👍").await.unwrap();
    assert_eq!(seen(&ben, log).await, ["Montag? 👍1"]);
    settle(&[&ben, &anna]).await;
    assert_eq!(seen(&anna, log).await, ["Montag? 👍1"]);
    let refused = ben.account.react(log, message, "gefällt mir").await;
    assert!(matches!(refused, Err(AccountError::Message)));
    for emoji in ["😀", "😁", "😂", "😃", "😄", "😅", "😆", "😇"] {
        ben.account.react(log, message, emoji).await.unwrap();
    }
    let refused = ben.account.react(log, message, "😈").await;
    assert!(matches!(refused, Err(AccountError::TooMany)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_about_unknown_messages_shows_nothing_and_what_is_senseless_shows_itself() {
    let (_world, anna, ben, log) = group().await;
    let unknown = MessageId([9; 32]);
    says_message(&anna, log, Message::reaction([1; 16], unknown, "👍")).await;
    says_message(&anna, log, Message::text([2; 16], "neu").replacing(unknown)).await;
    says_message(&anna, log, Message::deletion([3; 16], unknown)).await;
    ben.settle().await;
    assert_eq!(seen(&ben, log).await, ["Montag?"]);
    // A reaction that is no emoji is not a reaction: it is shown as what this app does not know.
    says_message(&anna, log, Message::reaction([4; 16], unknown, "kein Emoji")).await;
    ben.settle().await;
    assert_eq!(seen(&ben, log).await, ["Montag?", "(neuere App)"]);
    assert_eq!(ben.gaps(log).await + ben.alarms().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_in_a_form_of_a_newer_app_asks_for_an_update_in_the_messages_place() {
    let (_world, anna, ben, log) = group().await;
    let message = id(&anna, log, "Montag?").await;
    let mut newer = Message::text([1; 16], "?").replacing(message);
    newer.body.kind = hauspost_protocol::content::PartKind::Single {
        content_type: "application/vnd.example.hologram".to_owned(),
        content: Bytes(vec![1, 2, 3]),
    };
    says_message(&anna, log, newer).await;
    // And one that has the newer form beside one for everybody.
    let text = Message::text([2; 16], "Dienstag").body;
    let newer = Message::text([2; 16], "?");
    let hologram = hauspost_protocol::content::Part {
        kind: hauspost_protocol::content::PartKind::Single {
            content_type: "application/vnd.example.hologram".to_owned(),
            content: Bytes(vec![1]),
        },
        ..text.clone()
    };
    let both = hauspost_protocol::content::PartKind::Multi {
        semantics: hauspost_protocol::content::Semantics::ChooseOne,
        parts: vec![hologram, text.clone()],
    };
    let body = hauspost_protocol::content::Part { kind: both, ..text };
    says_message(&anna, log, Message { body, ..newer }).await;
    ben.settle().await;
    assert_eq!(seen(&ben, log).await, ["(neuere App) (geändert)", "Dienstag"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_of_one_person_agree_and_a_new_one_shows_no_edit_of_what_it_never_had() {
    let (mut world, anna, ben, log) = group().await;
    let old = id(&anna, log, "Montag?").await;
    let second = world.second_phone("anna", &anna).await;
    settle(&[&second, &anna, &ben, &second]).await;
    ben.account.send_text(log, "wer bringt was?").await.unwrap();
    settle(&[&ben, &anna, &second]).await;
    anna.account.edit(log, old, "Dienstag?", TextForm::Plain).await.unwrap();
    let asked = id(&second, log, "wer bringt was?").await;
    // Both react, each before it knows of the other; one takes it back for both.
    anna.account.react(log, asked, "👍").await.unwrap();
    second.account.react(log, asked, "👍").await.unwrap();
    settle(&[&anna, &second, &ben, &anna]).await;
    assert_eq!(seen(&ben, log).await, ["Dienstag? (geändert)", "wer bringt was? 👍1"]);
    assert_eq!(seen(&second, log).await, ["wer bringt was? 👍1"]);
    second.account.unreact(log, asked, "👍").await.unwrap();
    let from_second = second.account.send_text(log, "Kuchen").await.unwrap();
    settle(&[&second, &anna, &ben]).await;
    // What she wrote on one device she changes on the other.
    anna.account.edit(log, from_second, "Kaffee", TextForm::Plain).await.unwrap();
    settle(&[&anna, &second, &ben]).await;
    let all = ["Dienstag? (geändert)", "wer bringt was?", "Kaffee (geändert)"];
    assert_eq!(seen(&anna, log).await, all);
    assert_eq!(seen(&ben, log).await, all);
    assert_eq!(seen(&second, log).await, all[1..]);
    assert_eq!(second.gaps(log).await + second.alarms().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_counts_for_members_and_is_a_text_like_any_other_for_the_rest() {
    let (mut world, anna, ben, log) = group().await;
    let outside = world.phone("dora").await;
    let company = anna.account.company();
    ben.account.set_muted(log, true).await.unwrap();
    let names = |phone: &Phone| person_uri(company, phone.account.user());
    let text = format!("[@ben]({}) und [@dora]({}), bitte", names(&ben), names(&outside));
    anna.account.send(log, Draft::typed(&text)).await.unwrap();
    anna.account.send_text(log, "danke").await.unwrap();
    let everybody = format!("[@alle]({}) Pause", everybody_uri(company, log));
    anna.account.send(log, Draft::typed(&everybody)).await.unwrap();
    settle(&[&anna, &ben]).await;
    let list = ben.account.conversation(log).await.unwrap().unwrap();
    assert_eq!((list.unread, list.unread_mentions, list.muted_until), (4, 2, Some(FOR_EVER)));
    let rows = rows(&ben, log).await;
    assert_eq!(rows[1].text.as_deref(), Some("@ben und @dora, bitte"));
    assert_eq!(rows[1].saying.mentions, [ben.account.user()], "Dora is not here");
    assert_eq!(rows[3].saying.mentions, [EVERYBODY]);
    assert!(rows[1].mentions_me && !rows[2].mentions_me && rows[3].mentions_me);
    ben.account.mark_read(log, rows[1].seq.unwrap()).await.unwrap();
    let list = ben.account.conversation(log).await.unwrap().unwrap();
    assert_eq!((list.unread, list.unread_mentions), (2, 1));
    let list = anna.account.conversation(log).await.unwrap().unwrap();
    assert_eq!(list.unread_mentions, 0, "one does not call oneself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_passed_on_with_its_author_and_without_its_conversation() {
    let (mut world, anna, ben, log) = group().await;
    let carla = world.phone("carla").await;
    ben.account.sync_all().await.unwrap();
    let to = ben.account.create_dm(carla.account.user()).await.unwrap();
    let text = format!("**Achtung** [@alle]({})", everybody_uri(anna.account.company(), log));
    anna.account.send(log, Draft::typed(&text)).await.unwrap();
    settle(&[&anna, &ben]).await;
    let message = id(&ben, log, "Achtung @alle").await;
    ben.account.forward(log, message, to).await.unwrap();
    settle(&[&ben, &carla]).await;
    let row = rows(&carla, to).await.remove(0);
    assert_eq!(row.author, ben.account.user());
    assert_eq!(row.saying.origin, Some(anna.account.user()));
    assert_eq!(row.text.as_deref(), Some("Achtung @alle"));
    assert!(row.saying.mentions.is_empty() && !row.mentions_me);
    // Once more: the first author stays.
    let back = carla.account.forward(to, row.message_id, to).await.unwrap();
    settle(&[&carla, &ben]).await;
    let rows = rows(&ben, to).await;
    assert_eq!(rows[1].message_id, back);
    assert_eq!(rows[1].saying.origin, Some(anna.account.user()));
    anna.account.delete(log, message).await.unwrap();
    settle(&[&anna, &ben]).await;
    let gone = ben.account.forward(log, message, to).await;
    assert!(matches!(gone, Err(AccountError::NoMessage)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_server_refuses_is_undone_visibly_and_can_be_tried_again() {
    let (_world, anna, ben, log) = group().await;
    let message = id(&anna, log, "Montag?").await;
    anna.account.edit(log, message, "Dienstag?", TextForm::Plain).await.unwrap();
    let failed = anna.account.store().write::<_, StoreError, _>(move |tx| {
        let intent = outbox::open(tx, log, 1)?.remove(0);
        outbox::fail(tx, intent.id, 20)?;
        let id = intent.message_id.unwrap();
        let local = hauspost_core::store::rows::log::local(tx, log)?.unwrap();
        let state = hauspost_core::store::rows::message::MessageState::Failed;
        hauspost_core::store::rows::message::set_state(tx, local, id, state)
    });
    failed.await.unwrap();
    assert_eq!(seen(&anna, log).await, ["Montag?"]);
    let changes = anna.account.failed_changes(log).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].wanted, WantedChange::About(message, MarkKind::Edit));
    assert_eq!(changes[0].reason, 20);
    anna.account.try_again(log, changes[0].id).await.unwrap();
    assert_eq!(seen(&anna, log).await, ["Dienstag? (geändert)"]);
    settle(&[&anna, &ben]).await;
    assert_eq!(seen(&ben, log).await, ["Dienstag? (geändert)"]);
    assert!(anna.account.failed_changes(log).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_orders_counts_however_far_the_clocks_are_off() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let (_, invitation) = world.invited("ben").await;
    // His clock is nine hours slow.
    let slow = env(Arc::new(Https)).clock.now_ms() - 9 * 3_600_000;
    let slow = Env { clock: Arc::new(ManualClock::at(slow)), ..env(Arc::new(Https)) };
    let ben = world.try_to_enrol("ben", &invitation, slow).await.unwrap();
    let log = ben.account.create_dm(anna.account.user()).await.unwrap();
    let first = ben.account.send_text(log, "eins").await.unwrap();
    settle(&[&ben, &anna]).await;
    anna.account.reply(log, "zwei", first).await.unwrap();
    anna.account.react(log, first, "👍").await.unwrap();
    settle(&[&anna, &ben]).await;
    ben.account.edit(log, first, "eins, neu", TextForm::Plain).await.unwrap();
    ben.account.edit(log, first, "eins, ganz neu", TextForm::Plain).await.unwrap();
    settle(&[&ben, &anna]).await;
    for phone in [&anna, &ben] {
        assert_eq!(seen(phone, log).await, ["eins, ganz neu (geändert) 👍1", "zwei"]);
        let versions = phone.account.versions(log, first).await.unwrap();
        assert!(versions.is_sorted_by_key(|version| (version.seq, version.t_ms)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_for_everybody_and_a_star_for_oneself() {
    let (_world, anna, ben, log) = group().await;
    let message = id(&ben, log, "Montag?").await;
    ben.account.pin(log, message, true).await.unwrap();
    ben.account.star(log, message, true).await.unwrap();
    settle(&[&ben, &anna]).await;
    assert_eq!(anna.account.pinned(log).await.unwrap().len(), 1);
    assert!(rows(&anna, log).await[0].is_pinned && !rows(&anna, log).await[0].is_starred);
    assert_eq!(ben.account.starred(10).await.unwrap()[0].0, log);
    anna.account.pin(log, message, false).await.unwrap();
    settle(&[&anna, &ben]).await;
    assert!(ben.account.pinned(log).await.unwrap().is_empty());
    assert!(rows(&ben, log).await[0].kind == MessageKind::Text);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_about_a_message_that_nobody_else_has_yet() {
    let (_world, anna, _ben, log) = group().await;
    let waiting = anna.account.send_text(log, "unterwegs").await.unwrap();
    for refused in
        [anna.account.react(log, waiting, "👍").await, anna.account.pin(log, waiting, true).await]
    {
        assert!(matches!(refused, Err(AccountError::NotSent)));
    }
    let unknown = anna.account.react(log, MessageId([9; 32]), "👍").await;
    assert!(matches!(unknown, Err(AccountError::NoMessage)));
}
