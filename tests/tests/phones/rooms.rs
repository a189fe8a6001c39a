//! Groups and announcements as people know them: who writes, who owns, who has confirmed, what they look
//! like.

use super::history::gets_its_past;
use hauspost_core::account::{AccountError, Draft, NewRoom, Role};
use hauspost_core::format::everybody_uri;
use hauspost_core::inbound::Code;
use hauspost_core::outbox::REASON_MAY_NOT_WRITE;
use hauspost_core::read::{WantedChange, Window};
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::message::{
    Event, Message as Row, MessageKind, MessageState, Quote,
};
use hauspost_core::store::rows::{log, quarantine};
use hauspost_protocol::body::HistoryRule;
use hauspost_protocol::content::TextForm;
use hauspost_protocol::ids::{LogId, MessageId, UserId};
use hauspost_protocol::wire::path;
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World};

pub(super) async fn rows(phone: &Phone, log: LogId) -> Vec<Row> {
    phone.account.timeline(log, Window::Newest, 500).await.unwrap().rows
}

async fn row(phone: &Phone, log: LogId, id: MessageId) -> Row {
    rows(phone, log).await.into_iter().find(|row| row.message_id == id).unwrap()
}

/// What happened to the conversation, in the log's order.
async fn events(phone: &Phone, log: LogId) -> Vec<Event> {
    let rows = rows(phone, log).await.into_iter();
    let events = rows.filter(|row| row.kind == MessageKind::Event);
    events.map(|row| Event::from_content(row.content.as_deref().unwrap())).collect()
}

pub(super) async fn settle(phones: &[&Phone]) {
    for phone in phones {
        phone.settle().await;
    }
    for phone in phones {
        phone.account.sync_all().await.unwrap();
    }
}

/// Anna, Ben and Carla, in a room that Anna began.
pub(super) async fn room(announces: bool) -> (World, [Phone; 3], LogId) {
    let mut world = World::found().await;
    let phones = [world.phone("anna").await, world.phone("ben").await, world.phone("carla").await];
    let [anna, ben, carla] = &phones;
    anna.account.sync_all().await.unwrap();
    anna.account.refresh_people().await.unwrap();
    let room = NewRoom {
        title: Some("Sicherheit".to_owned()),
        people: vec![ben.account.user(), carla.account.user()],
        announces,
        history: HistoryRule::None,
    };
    let log = anna.account.create_room(room).await.unwrap();
    settle(&[anna, ben, carla]).await;
    (world, phones, log)
}

pub(super) fn code<T>(done: Result<T, AccountError>) -> &'static str {
    done.err().map_or("ok", |error| error.code())
}

async fn ask(phone: &Phone, log: LogId, text: &str) -> MessageId {
    phone.account.send(log, Draft::plain(text).to_be_confirmed()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_42_among_announcements_others_than_owners_confirm_and_say_nothing_else() {
    let (world, [anna, ben, carla], log) = room(true).await;
    let id = ask(&anna, log, "Helme tragen").await;
    settle(&[&anna, &ben, &carla]).await;
    let standing = ben.account.standing(log).await.unwrap();
    assert!(standing.is_member && !standing.may_write && !standing.may_add && !standing.is_owner);
    let picture = world.data().parent().unwrap().join("none.png");
    assert_eq!(code(ben.account.send_text(log, "warum?").await), "may-not-write");
    assert_eq!(code(ben.account.reply(log, "warum?", id).await), "may-not-write");
    assert_eq!(code(ben.account.react(log, id, "👍").await), "may-not-write");
    assert_eq!(code(ben.account.pin(log, id, true).await), "may-not-write");
    assert_eq!(code(ben.account.rename(log, "Unsinn").await), "may-not-write");
    assert_eq!(code(ben.account.set_picture(log, Some(&picture)).await), "may-not-write");
    assert_eq!(code(ben.account.add_members(log, vec![UserId([7; 16])]).await), "not-allowed");
    ben.account.confirm(log, id).await.unwrap();
    settle(&[&ben, &anna, &carla]).await;
    for phone in [&anna, &ben, &carla] {
        assert_eq!(phone.texts(log).await, ["Helme tragen"]);
        assert_eq!((phone.gaps(log).await, phone.alarms().await), (0, 0));
        let asking = row(phone, log, id).await.asking.unwrap();
        assert_eq!((asking.asked, asking.confirmed), (2, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_42_what_an_owner_wrote_who_is_none_by_then_is_heeded_by_nobody_and_fails() {
    let (_world, [anna, ben, carla], log) = room(true).await;
    anna.account.set_owner(log, ben.account.user(), true).await.unwrap();
    settle(&[&anna, &ben, &carla]).await;
    // Written and sealed while he is one; the server orders the other word first.
    let id = ben.account.send_text(log, "Feierabend!").await.unwrap();
    anna.account.set_owner(log, ben.account.user(), false).await.unwrap();
    anna.settle().await;
    ben.account.send_once().await.unwrap();
    settle(&[&ben, &anna, &carla]).await;
    for phone in [&anna, &carla] {
        assert_eq!((phone.texts(log).await.len(), phone.gaps(log).await), (0, 1));
        let quarantined = phone.account.store().read(move |conn| {
            let local = log::local(conn, log)?.ok_or(StoreError::Missing("log"))?;
            quarantine::all(conn, local)
        });
        let codes: Vec<_> = quarantined.await.unwrap().iter().map(|gap| gap.code).collect();
        assert_eq!(codes, [Code::Announcement as u64]);
    }
    let own = row(&ben, log, id).await;
    assert_eq!((own.state, own.reason), (MessageState::Failed, Some(REASON_MAY_NOT_WRITE)));
    // What waits when the right is gone is not even sent.
    anna.account.set_owner(log, ben.account.user(), true).await.unwrap();
    settle(&[&anna, &ben]).await;
    ben.account.rename(log, "Bens Raum").await.unwrap();
    anna.account.set_owner(log, ben.account.user(), false).await.unwrap();
    anna.settle().await;
    ben.account.sync_all().await.unwrap();
    ben.account.send_once().await.unwrap();
    let failed = ben.account.failed_changes(log).await.unwrap();
    assert_eq!(failed[0].wanted, WantedChange::Rename("Bens Raum".to_owned()));
    assert_eq!(failed[0].reason, REASON_MAY_NOT_WRITE);
    carla.account.sync_all().await.unwrap();
    assert_eq!(carla.gaps(log).await, 1, "nothing more came");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_confirmed_is_counted_by_people_and_by_the_logs_order() {
    let (mut world, [anna, ben, carla], log) = room(false).await;
    let ben2 = world.second_phone("ben", &ben).await;
    settle(&[&ben2, &ben, &anna]).await;
    let id = ask(&anna, log, "Fluchtwege frei halten").await;
    settle(&[&anna, &ben, &ben2, &carla]).await;
    let due = ben.account.to_confirm().await.unwrap();
    assert_eq!((due.len(), due[0].message.message_id), (1, id));
    assert_eq!(due[0].remind_ms, due[0].message.t_ms + 86_400_000);
    assert_eq!(ben.account.conversation(log).await.unwrap().unwrap().to_confirm, 1);
    // Carla leaves, Dora comes: neither changes who was asked.
    carla.account.leave(log).await.unwrap();
    carla.settle().await;
    let dora = world.phone("dora").await;
    anna.account.sync_all().await.unwrap();
    anna.account.refresh_people().await.unwrap();
    anna.account.add_members(log, vec![dora.account.user()]).await.unwrap();
    settle(&[&anna, &dora, &ben, &ben2]).await;
    ben2.account.confirm(log, id).await.unwrap();
    ben.account.confirm(log, id).await.unwrap();
    settle(&[&ben2, &ben, &anna]).await;
    for phone in [&anna, &ben, &ben2] {
        let asking = row(phone, log, id).await.asking.unwrap();
        assert_eq!((asking.asked, asking.confirmed), (2, 1), "two devices are one person");
    }
    assert!(ben.account.to_confirm().await.unwrap().is_empty());
    let asking = row(&ben, log, id).await.asking.unwrap();
    assert!(asking.is_mine && !asking.is_due);
    let list = anna.account.confirmations(log, id).await.unwrap();
    let told: Vec<_> = list
        .people
        .iter()
        .map(|one| (one.user, one.was_asked, one.is_here, one.confirmed.is_some()))
        .collect();
    let [ben_is, carla_is, dora_is] =
        [ben.account.user(), carla.account.user(), dora.account.user()];
    let right =
        [(dora_is, false, true, false), (carla_is, true, false, false), (ben_is, true, true, true)];
    assert_eq!(told, right);
    assert_eq!(list.people[2].confirmed.unwrap().device, ben2.account.device());
    assert!(list.to_csv().contains("ben") && list.to_json().contains("\"asked\": true"));
    assert_eq!(code(ben.account.confirmations(log, id).await), "not-allowed");
    // A text that changes is another one than was confirmed.
    anna.account.edit(log, id, "Fluchtwege frei halten!", TextForm::Plain).await.unwrap();
    settle(&[&anna]).await;
    let list = anna.account.confirmations(log, id).await.unwrap();
    assert!(list.people[2].confirmed.unwrap().before_change);
    assert_eq!(code(anna.account.remind(log, id, "Bitte:").await), "nobody-missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_answers_the_message_and_calls_those_who_are_missing_without_naming_them() {
    let (_world, [anna, ben, carla], log) = room(true).await;
    let id = ask(&anna, log, "Helme tragen").await;
    settle(&[&anna, &ben, &carla]).await;
    ben.account.confirm(log, id).await.unwrap();
    settle(&[&ben, &anna]).await;
    let reminder = anna.account.remind(log, id, "Bitte noch bestätigen:").await.unwrap();
    settle(&[&anna, &ben, &carla]).await;
    let seen = row(&carla, log, reminder).await;
    assert_eq!(seen.text.as_deref(), Some("Bitte noch bestätigen: @alle"));
    let content = row(&ben, log, reminder).await.content.unwrap();
    let names = |id: UserId| content.windows(16).any(|bytes| bytes == id.0);
    assert!(!names(carla.account.user()) && !String::from_utf8_lossy(&content).contains("carla"));
    assert!(seen.mentions_me && !row(&ben, log, reminder).await.mentions_me);
    // Whoever has confirmed is called by no answer to it; by an answer to another message as ever.
    carla.account.confirm(log, id).await.unwrap();
    settle(&[&carla, &anna, &ben]).await;
    let call = format!("[@alle]({}) Danke", everybody_uri(anna.account.company(), log));
    let thanks = anna.account.send(log, Draft::typed(&call).replying_to(id)).await.unwrap();
    let other = anna.account.send(log, Draft::typed(&call).replying_to(reminder)).await.unwrap();
    settle(&[&anna, &ben, &carla]).await;
    for phone in [&ben, &carla] {
        assert!(!row(phone, log, thanks).await.mentions_me, "both have confirmed");
        assert!(row(phone, log, other).await.mentions_me);
    }
    assert!(matches!(seen.quote, Some(Quote::Known { message_id, .. }) if message_id == id));
    assert!(seen.asking.is_none(), "a reminder asks for no confirmation of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_named_and_withdrawn_for_all_to_see_and_without_one_each_member_is_one() {
    let (_world, [anna, ben, carla], log) = room(false).await;
    let me = anna.account.user();
    let [ben_is, carla_is] = [ben.account.user(), carla.account.user()];
    assert_eq!(code(ben.account.set_owner(log, ben_is, true).await), "not-allowed");
    assert_eq!(code(anna.account.set_owner(log, UserId([7; 16]), true).await), "not-there");
    anna.account.set_owner(log, ben_is, true).await.unwrap();
    anna.account.set_owner(log, ben_is, true).await.unwrap();
    settle(&[&anna, &ben, &carla]).await;
    ben.account.set_owner(log, me, false).await.unwrap();
    ben.account.rename(log, "Lager").await.unwrap();
    settle(&[&ben, &anna, &carla]).await;
    let mut right = vec![(me, Role::Member), (ben_is, Role::Owner), (carla_is, Role::Member)];
    right.sort();
    for phone in [&anna, &ben, &carla] {
        assert_eq!(phone.account.roles(log).await.unwrap(), right);
        let told = events(phone, log).await;
        let right = [
            Event::Created,
            Event::Titled("Sicherheit".to_owned()),
            Event::Owner(ben_is),
            Event::NoOwner(me),
            Event::Titled("Lager".to_owned()),
        ];
        assert_eq!(told, right);
    }
    assert_eq!(code(anna.account.set_owner(log, me, true).await), "not-allowed");
    // The last owner goes: by rule each member is one.
    ben.account.leave(log).await.unwrap();
    settle(&[&ben, &anna, &carla]).await;
    for phone in [&anna, &carla] {
        assert!(phone.account.standing(log).await.unwrap().is_owner);
        assert_eq!(events(phone, log).await.last(), Some(&Event::Left(vec![ben_is])));
    }
    carla.account.set_owner(log, me, true).await.unwrap();
    settle(&[&carla, &anna]).await;
    assert!(!carla.account.standing(log).await.unwrap().is_owner);
    assert!(anna.account.standing(log).await.unwrap().is_owner);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_has_the_picture_that_was_set_last_on_all_phones() {
    let (world, [anna, ben, carla], log) = room(false).await;
    let path = world.data().parent().unwrap().join("bild.png");
    let plain = image::RgbImage::from_pixel(900, 600, image::Rgb([20, 30, 200]));
    plain.save(&path).unwrap();
    let text = path.with_file_name("kein-bild.png");
    std::fs::write(&text, b"kein Bild").unwrap();
    assert_eq!(code(ben.account.set_picture(log, Some(&text)).await), "picture");
    ben.account.set_picture(log, Some(&path)).await.unwrap();
    settle(&[&ben, &anna, &carla]).await;
    for phone in [&anna, &ben, &carla] {
        phone.account.fetch_previews().await.unwrap();
        let shown = phone.account.picture(log).await.unwrap().unwrap();
        assert_eq!((shown.width, shown.height), (512, 341));
        let pixels = image::load_from_memory(&shown.picture).unwrap().into_rgb8();
        let [red, _, blue] = pixels.get_pixel(100, 100).0;
        assert!(red < 60 && blue > 160, "{red} {blue}");
        let listed = phone.account.conversation(log).await.unwrap().unwrap();
        assert_eq!(listed.picture, Some(shown.seq));
        assert_eq!(listed.last.unwrap().event, Some(Event::Pictured(true)));
        assert_eq!(events(phone, log).await.last(), Some(&Event::Pictured(true)));
        assert_eq!(phone.gaps(log).await, 0);
    }
    carla.account.set_picture(log, None).await.unwrap();
    settle(&[&carla, &ben, &anna]).await;
    for phone in [&anna, &ben, &carla] {
        phone.account.fetch_previews().await.unwrap();
        assert!(phone.account.picture(log).await.unwrap().is_none());
        assert_eq!(events(phone, log).await.last(), Some(&Event::Pictured(false)));
    }
    let pair = anna.account.create_dm(ben.account.user()).await.unwrap();
    assert_eq!(code(anna.account.set_picture(pair, Some(&path)).await), "not-here");
    assert_eq!(
        code(anna.account.send(pair, Draft::plain("x").to_be_confirmed()).await),
        "not-here"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_later_gets_what_was_said_before_if_the_room_was_begun_so() {
    let mut world = World::found().await;
    let (anna, ben) = (world.phone("anna").await, world.phone("ben").await);
    anna.account.sync_all().await.unwrap();
    let room = NewRoom {
        title: Some("Aushang".to_owned()),
        people: vec![ben.account.user()],
        announces: true,
        history: HistoryRule::Members,
    };
    let log = anna.account.create_room(room).await.unwrap();
    let id = ask(&anna, log, "Brandschutz").await;
    settle(&[&anna, &ben]).await;
    ben.account.confirm(log, id).await.unwrap();
    settle(&[&ben, &anna]).await;
    let carla = world.phone("carla").await;
    anna.account.sync_all().await.unwrap();
    anna.account.add_members(log, vec![carla.account.user()]).await.unwrap();
    settle(&[&anna, &carla]).await;
    gets_its_past(&carla, log, &[&anna, &ben]).await;
    assert_eq!(carla.texts(log).await, ["Brandschutz"]);
    let asking = row(&carla, log, id).await.asking.unwrap();
    assert_eq!((asking.asked, asking.confirmed, asking.is_due), (1, 1, false));
    assert!(carla.account.to_confirm().await.unwrap().is_empty(), "who came later is not asked");
    carla.account.confirm(log, id).await.unwrap();
    settle(&[&carla, &anna]).await;
    let list = anna.account.confirmations(log, id).await.unwrap();
    assert_eq!((list.asked(), list.confirmed(), list.people.len()), (1, 1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sent_yet_is_changed_in_its_place_or_taken_out_and_nobody_sees_that() {
    let (_world, [anna, ben, _carla], log) = room(false).await;
    let (one, two) = (
        anna.account.send_text(log, "eins").await.unwrap(),
        anna.account.send_text(log, "zwei").await.unwrap(),
    );
    anna.account.send_text(log, "drei").await.unwrap();
    anna.account.edit_typed(log, one, "**Eins** @ben").await.unwrap();
    anna.account.delete(log, two).await.unwrap();
    assert_eq!(anna.texts(log).await, ["Eins @ben", "drei"]);
    let first = rows(&anna, log).await.into_iter().find(|row| row.is_said()).unwrap();
    assert!(first.message_id != one && first.state == MessageState::Queued);
    settle(&[&anna, &ben]).await;
    for phone in [&anna, &ben] {
        let said: Vec<Row> =
            rows(phone, log).await.into_iter().filter(|row| row.is_said()).collect();
        assert_eq!(said.len(), 2);
        assert_eq!(said[0].text.as_deref(), Some("Eins @ben"));
        assert!(said.iter().all(|row| row.seq.is_some() && row.missing == 0));
        assert_eq!(said[0].fate, hauspost_core::store::rows::message::Fate::Stands);
    }
    let mentioned = row(&ben, log, first.message_id).await;
    assert!(mentioned.mentions_me);
    assert_eq!((anna.alarms().await, ben.alarms().await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_at_the_server_waits_until_it_is_and_its_place_is_never_used_twice() {
    let mut world = World::found().await;
    let ben = world.phone("ben").await;
    let network = Hostile::default();
    let anna = world.phone_over("anna", network.network()).await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.account.send_text(log, "null").await.unwrap();
    settle(&[&anna, &ben]).await;
    let id = anna.account.send_text(log, "eins").await.unwrap();
    // The server takes it, and the answer is lost: nobody may change it in its place any more.
    network.loses_answers(path::APPEND);
    assert!(anna.account.send_once().await.is_err());
    assert_eq!(code(anna.account.edit(log, id, "zwei", TextForm::Plain).await), "not-sent");
    assert_eq!(code(anna.account.delete(log, id).await), "not-sent");
    // What stands behind it and never left may be.
    let behind = anna.account.send_text(log, "drei").await.unwrap();
    anna.account.edit(log, behind, "vier", TextForm::Plain).await.unwrap();
    network.is_honest_again();
    settle(&[&anna, &ben]).await;
    assert_eq!(ben.texts(log).await, ["null", "eins", "vier"]);
    anna.account.edit(log, id, "zwei", TextForm::Plain).await.unwrap();
    settle(&[&anna, &ben]).await;
    assert_eq!(ben.texts(log).await, ["null", "zwei", "vier"]);
    assert_eq!((anna.alarms().await, ben.gaps(log).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_not_sent_yet_keeps_its_bytes_when_its_text_changes() {
    let (world, [anna, ben, _carla], log) = room(false).await;
    let path = world.data().parent().unwrap().join("plan.txt");
    std::fs::write(&path, b"Fluchtplan").unwrap();
    let attachment = hauspost_core::account::Attachment::path(&path);
    let id = anna.account.send_files(log, vec![attachment], "altt").await.unwrap();
    anna.account.edit(log, id, "alt", TextForm::Plain).await.unwrap();
    settle(&[&anna, &ben]).await;
    let seen = rows(&ben, log).await.into_iter().find(|row| row.is_said()).unwrap();
    assert_eq!(seen.text.as_deref(), Some("alt"));
    let opened = ben.account.open_file(log, seen.message_id, 0).await.unwrap();
    assert_eq!(std::fs::read(opened).unwrap(), b"Fluchtplan");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_conversation_is_not_made_for_is_refused_at_once() {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    let ben_is = ben.account.user();
    let pair = anna.writes_first(&ben, "Hallo").await;
    assert_eq!(code(anna.account.set_owner(pair, ben_is, true).await), "not-here");
    assert_eq!(code(anna.account.set_picture(pair, None).await), "not-here");
    let asks = anna.account.send(pair, Draft::plain("gelesen?").to_be_confirmed()).await;
    assert_eq!(code(asks), "not-here");
    let notes = anna.account.notes().await.unwrap();
    assert_eq!(code(anna.account.leave(notes).await), "not-allowed");

    let room = |title: usize| NewRoom {
        title: Some("x".repeat(title)),
        people: vec![ben_is],
        announces: true,
        history: HistoryRule::None,
    };
    assert_eq!(code(anna.account.create_room(room(256)).await), "message");
    let log = anna.account.create_room(room(255)).await.unwrap();
    let standing = anna.account.standing(log).await.unwrap();
    assert!(standing.is_owner && standing.may_write && standing.may_add, "it has not begun yet");
    settle(&[&anna, &ben]).await;
    let id = ask(&anna, log, "Helme tragen").await;
    settle(&[&anna, &ben]).await;
    assert_eq!(code(ben.account.confirmations(log, id).await), "not-allowed");
    let plain = anna.account.send_text(log, "nur so").await.unwrap();
    assert_eq!(code(anna.account.confirmations(log, plain).await), "no-message");
    assert_eq!(anna.account.confirmations(log, id).await.unwrap().asked(), 1);
}
