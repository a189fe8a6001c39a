//! One announcement in several rooms, as a company of more than a thousand needs it: written once, told of
//! once, confirmed once (docs/attacks.md 42).

use hauspost_core::account::{Account, AccountError, NewRoom};
use hauspost_core::outbox::REASON_MAYBE_SENT;
use hauspost_core::read::{SearchQuery, Window};
use hauspost_core::store::rows::message::{self, Fate, Message, MessageState};
use hauspost_core::store::rows::{log, outbox};
use hauspost_core::store::{FaultPoint, StoreError, Tx};
use hauspost_protocol::body::HistoryRule;
use hauspost_protocol::content::TextForm;
use hauspost_protocol::ids::{LogId, MessageId};
use hauspost_tests::real::{Phone, World};

async fn settle(phones: &[&Phone]) {
    for _ in 0..2 {
        for phone in phones {
            phone.settle().await;
        }
    }
}

async fn rows(phone: &Phone, log: LogId) -> Vec<Message> {
    let mut rows = phone.account.timeline(log, Window::Newest, 50).await.unwrap().rows;
    rows.retain(Message::is_said);
    rows
}

async fn row(phone: &Phone, log: LogId, id: MessageId) -> Message {
    rows(phone, log).await.into_iter().find(|row| row.message_id == id).unwrap()
}

async fn unread(phone: &Phone) -> u64 {
    phone.account.store().read(hauspost_core::read::unread_total).await.unwrap()
}

async fn hits(phone: &Phone, word: &str) -> usize {
    phone.account.search(SearchQuery::words(word), None, 9).await.unwrap().hits.len()
}

/// Anna owns two rooms; Ben is in both, Carla in the first, Dora in the second.
async fn rooms() -> (World, [Phone; 4], [LogId; 2]) {
    let (world, phones) = World::of(["anna", "ben", "carla", "dora"]).await;
    let [anna, ben, carla, dora] = &phones;
    anna.account.sync_all().await.unwrap();
    anna.account.refresh_people().await.unwrap();
    let mut logs = Vec::new();
    for (title, other) in [("Halle 3", carla), ("Büro", dora)] {
        let people = vec![ben.account.user(), other.account.user()];
        let title = Some(title.to_owned());
        let room = NewRoom { title, people, announces: true, history: HistoryRule::None };
        logs.push(anna.account.create_room(room).await.unwrap());
    }
    settle(&[anna, ben, carla, dora]).await;
    (world, phones, [logs[0], logs[1]])
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_42_one_announcement_in_several_rooms_is_told_of_once_and_counts_each_person_once()
{
    let (_world, [anna, ben, carla, dora], [hall, office]) = rooms().await;
    let own = anna.account.announcement_rooms().await.unwrap();
    let named: Vec<_> = own.iter().map(|room| room.title.as_deref().unwrap()).collect();
    assert_eq!(named, ["Büro", "Halle 3"]);
    assert!(ben.account.announcement_rooms().await.unwrap().is_empty());
    let text = "Betriebsversammlung am Montag";
    let said = anna.account.announce(&[hall, office], text, true).await.unwrap();
    settle(&[&anna, &ben, &carla, &dora]).await;

    // Ben is in both: it stands in both, and is new, told of, found and due once.
    for (log, id) in [(hall, said[0]), (office, said[1])] {
        assert_eq!(row(&ben, log, id).await.text.as_deref(), Some(text));
    }
    assert_eq!((unread(&ben).await, hits(&ben, "betriebs").await), (1, 1));
    assert_eq!(ben.account.take_notifications(9).await.unwrap().len(), 1);
    assert_eq!(ben.account.to_confirm().await.unwrap().len(), 1);
    assert_eq!(
        (unread(&carla).await, unread(&dora).await, hits(&anna, "betriebs").await),
        (1, 1, 1)
    );
    let newest = row(&ben, hall, said[0]).await.seq.unwrap();
    ben.account.mark_read(hall, newest).await.unwrap();
    assert_eq!(unread(&ben).await, 0, "read in one room it is read");

    // He confirms once; whoever asks sees all rooms as one list.
    ben.account.confirm(office, said[1]).await.unwrap();
    carla.account.confirm(hall, said[0]).await.unwrap();
    settle(&[&ben, &carla, &anna, &dora]).await;
    assert!(ben.account.to_confirm().await.unwrap().is_empty());
    for (log, id) in [(hall, said[0]), (office, said[1])] {
        let list = anna.account.confirmations(log, id).await.unwrap();
        assert_eq!((list.asked(), list.confirmed()), (3, 2));
        let missing: Vec<_> = list.missing().map(|person| person.user).collect();
        assert_eq!(missing, [dora.account.user()]);
        assert_eq!(list.to_csv().lines().count(), 4, "a head, and each person once");
        let standing = anna.account.announcement(log, id).await.unwrap().unwrap();
        assert_eq!((standing.asked, standing.confirmed, standing.rooms.len()), (3, 2, 2));
    }
    // The reminder goes where she is asked.
    anna.account.remind(hall, said[0], "Bitte noch bestätigen:").await.unwrap();
    settle(&[&anna, &ben, &carla, &dora]).await;
    assert_eq!((rows(&dora, office).await.len(), rows(&carla, hall).await.len()), (2, 1));
    assert!(rows(&dora, office).await[1].mentions_me);

    // What is changed and taken back goes to all rooms.
    let changed = "Betriebsversammlung am Dienstag";
    anna.account.edit(office, said[1], changed, TextForm::Plain).await.unwrap();
    settle(&[&anna, &ben, &carla, &dora]).await;
    assert_eq!(row(&carla, hall, said[0]).await.text.as_deref(), Some(changed));
    assert_eq!(row(&dora, office, said[1]).await.text.as_deref(), Some(changed));
    assert_eq!((hits(&ben, "dienstag").await, hits(&ben, "montag").await), (1, 0));
    anna.account.delete(hall, said[0]).await.unwrap();
    settle(&[&anna, &ben, &carla, &dora]).await;
    assert_eq!(row(&carla, hall, said[0]).await.fate, Fate::Deleted);
    assert_eq!(row(&dora, office, said[1]).await.fate, Fate::Deleted);
    for phone in [&anna, &ben, &carla, &dora] {
        assert_eq!(phone.alarms().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_in_which_an_announcement_fails_is_named_and_tried_again_and_the_others_have_it() {
    let (_world, [anna, ben, carla, dora], [hall, office]) = rooms().await;
    anna.account.set_owner(office, ben.account.user(), true).await.unwrap();
    settle(&[&anna, &ben]).await;
    // Ben takes her right away in one of them, and she hears of it too late.
    ben.account.set_owner(office, anna.account.user(), false).await.unwrap();
    let said = anna.account.announce(&[hall, office], "Halle gesperrt", false).await.unwrap();
    settle(&[&ben, &anna, &carla, &dora]).await;
    let states = async || {
        let standing = anna.account.announcement(hall, said[0]).await.unwrap().unwrap();
        let of = |log| standing.rooms.iter().find(|room| room.log == log).unwrap().state;
        (of(hall) == MessageState::Failed, of(office) == MessageState::Failed)
    };
    assert_eq!(states().await, (false, true));
    assert_eq!(carla.texts(hall).await, ["Halle gesperrt"]);
    assert_eq!(dora.texts(office).await, Vec::<String>::new());
    ben.account.set_owner(office, anna.account.user(), true).await.unwrap();
    settle(&[&ben, &anna]).await;
    anna.account.announce_again(hall, said[0]).await.unwrap();
    settle(&[&anna, &dora]).await;
    assert_eq!(states().await, (false, false));
    assert_eq!(dora.texts(office).await, ["Halle gesperrt"]);
}

/// What is told of in the first room counts there; without that message, in the next one.
#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_that_is_put_aside_in_one_room_is_found_in_the_other() {
    let (_world, [anna, ben, ..], [hall, office]) = rooms().await;
    let (first, other) = (hall.min(office), hall.max(office));
    anna.account.set_owner(first, ben.account.user(), true).await.unwrap();
    settle(&[&anna, &ben]).await;
    ben.account.set_owner(first, anna.account.user(), false).await.unwrap();
    let said = anna.account.announce(&[first, other], "Halle gesperrt", false).await.unwrap();
    settle(&[&ben, &anna]).await;
    assert_eq!(row(&anna, first, said[0]).await.state, MessageState::Failed);
    assert_eq!(hits(&anna, "gesperrt").await, 1);
    anna.account.discard(first, said[0]).await.unwrap();
    assert_eq!((rows(&anna, first).await.len(), hits(&anna, "gesperrt").await), (0, 1));
    let found = anna.account.search(SearchQuery::words("gesperrt"), None, 9).await.unwrap();
    assert_eq!(found.hits[0].log, other);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_is_written_into_all_rooms_or_into_none() {
    let (_world, [anna, ben, ..], [hall, office]) = rooms().await;
    let group = anna.account.create_group(None, vec![ben.account.user()]).await.unwrap();
    let code = |done: Result<_, AccountError>| done.err().map(|error: AccountError| error.code());
    let to = async |rooms: &[LogId]| code(anna.account.announce(rooms, "Montag", true).await);
    assert_eq!(to(&[hall, group]).await, Some("not-here"));
    assert_eq!(to(&[hall, LogId([9; 16])]).await, Some("no-conversation"));
    assert_eq!(to(&[hall, hall]).await, Some("message"));
    assert_eq!(to(&[]).await, Some("message"));
    let denied = ben.account.announce(&[hall, office], "Unsinn", false).await;
    assert_eq!(code(denied), Some("may-not-write"));
    for log in [hall, office] {
        assert!(rows(&anna, log).await.is_empty() && rows(&ben, log).await.is_empty());
    }
}

/// What a phone has of each room: what is said there, and how much waits to be sent.
async fn held(phone: &Phone, rooms: [LogId; 2]) -> [(String, usize); 2] {
    let mut held = Vec::new();
    for log in rooms {
        let said = rows(phone, log).await.into_iter();
        let said: Vec<_> = said.map(|row| (row.text, row.fate, row.state)).collect();
        let open = phone.account.store().read(move |conn| outbox::open(conn, log, 9));
        held.push((format!("{said:?}"), open.await.unwrap().len()));
    }
    held.try_into().unwrap()
}

/// A phone that dies right before it has stored this has done nothing of it, and one that dies right behind that
/// all of it: in between there is no write.
async fn all_or_nothing(
    phone: Phone,
    rooms: [LogId; 2],
    act: impl AsyncFn(&Account, LogId, MessageId) -> Result<(), AccountError>,
) -> Phone {
    let dies = async |phone: Phone, point| {
        let id = rows(&phone, rooms[0]).await[0].message_id;
        phone.kill_at(1, point);
        act(&phone.account, rooms[0], id).await.unwrap_err();
        phone.restart().await
    };
    let before = held(&phone, rooms).await;
    let phone = dies(phone, FaultPoint::BeforeCommit).await;
    assert_eq!(held(&phone, rooms).await, before);
    let phone = dies(phone, FaultPoint::AfterCommit).await;
    let after = held(&phone, rooms).await;
    assert!(before[0] != after[0] && before[1] != after[1], "{before:?}, then {after:?}");
    phone
}

/// Lets what a phone has queued of an announcement fail in these rooms.
async fn fails(phone: &Phone, rooms: &[LogId], reason: u64) {
    for log in rooms.iter().copied() {
        let id = rows(phone, log).await[0].message_id;
        let fail = move |tx: &Tx<'_>| {
            let intent = outbox::by_message(tx, log, id)?.unwrap();
            outbox::fail(tx, intent.id, reason)?;
            let local = log::local(tx, log)?.unwrap();
            message::set_state(tx, local, id, MessageState::Failed)
        };
        phone.account.store().write::<_, StoreError, _>(fail).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_done_to_an_announcement_is_done_in_all_rooms_or_in_none_by_a_phone_that_dies()
{
    let (_world, [anna, ben, carla, dora], rooms) = rooms().await;
    anna.account.announce(&rooms, "Versammlung", true).await.unwrap();
    let edit =
        async |phone: &Account, log, id| phone.edit(log, id, "am Dienstag", TextForm::Plain).await;
    let delete = async |phone: &Account, log, id| phone.delete(log, id).await;
    // Before it is sent.
    let anna = all_or_nothing(anna, rooms, edit).await;
    fails(&anna, &rooms, 21).await;
    let retry = async |phone: &Account, log, id| phone.retry(log, id).await;
    let anna = all_or_nothing(anna, rooms, retry).await;
    fails(&anna, &rooms, 21).await;
    let discard = async |phone: &Account, log, id| phone.discard(log, id).await;
    let anna = all_or_nothing(anna, rooms, discard).await;
    anna.account.announce(&rooms, "Versammlung", true).await.unwrap();
    let anna = all_or_nothing(anna, rooms, delete).await;
    // Afterwards.
    anna.account.announce(&rooms, "Versammlung", true).await.unwrap();
    settle(&[&anna, &ben, &carla, &dora]).await;
    let confirm = async |phone: &Account, log, id| phone.confirm(log, id).await;
    let ben = all_or_nothing(ben, rooms, confirm).await;
    let remind = async |phone: &Account, log, id| phone.remind(log, id, "Bitte:").await.map(|_| ());
    let anna = all_or_nothing(anna, rooms, remind).await;
    let anna = all_or_nothing(anna, rooms, edit).await;
    settle(&[&anna, &ben, &carla, &dora]).await;
    let anna = all_or_nothing(anna, rooms, delete).await;
    settle(&[&anna, &ben, &carla, &dora]).await;
    for log in rooms {
        assert_eq!(rows(&ben, log).await[0].fate, Fate::Deleted);
        assert_eq!(rows(&ben, log).await.len(), 2, "and one reminder");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_in_which_the_author_may_not_write_any_more_holds_up_no_other_one() {
    let (_world, [anna, ben, carla, dora], [hall, office]) = rooms().await;
    let said = anna.account.announce(&[hall, office], "Montag", true).await.unwrap();
    anna.account.set_owner(office, ben.account.user(), true).await.unwrap();
    settle(&[&anna, &ben]).await;
    ben.account.set_owner(office, anna.account.user(), false).await.unwrap();
    settle(&[&ben, &anna, &carla, &dora]).await;
    let texts = async || {
        let text = |row: Message| row.text.unwrap_or_default();
        [text(row(&anna, hall, said[0]).await), text(row(&anna, office, said[1]).await)]
    };
    // Where she acts it has to be possible, else nothing happens anywhere.
    let done = anna.account.edit(office, said[1], "Freitag", TextForm::Plain).await;
    assert_eq!(done.unwrap_err().code(), "may-not-write");
    assert_eq!(texts().await, ["Montag", "Montag"]);
    anna.account.edit(hall, said[0], "Dienstag", TextForm::Plain).await.unwrap();
    anna.account.remind(hall, said[0], "Bitte:").await.unwrap();
    settle(&[&anna, &ben, &carla, &dora]).await;
    assert_eq!(texts().await, ["Dienstag", "Montag"]);
    assert_eq!((rows(&carla, hall).await.len(), rows(&dora, office).await.len()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_that_may_be_on_its_way_to_one_room_is_changed_in_none() {
    let (_world, [anna, ..], [hall, office]) = rooms().await;
    let said = anna.account.announce(&[hall, office], "Montag", true).await.unwrap();
    fails(&anna, &[office], REASON_MAYBE_SENT).await;
    let before = held(&anna, [hall, office]).await;
    let done = anna.account.edit(hall, said[0], "Dienstag", TextForm::Plain).await;
    assert_eq!(done.unwrap_err().code(), "not-sent");
    let done = anna.account.delete(hall, said[0]).await;
    assert_eq!(done.unwrap_err().code(), "not-sent");
    assert_eq!(held(&anna, [hall, office]).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_that_failed_in_several_rooms_is_put_aside_and_tried_again_in_all_of_those()
{
    let (_world, [anna, ..], [hall, office]) = rooms().await;
    let said = anna.account.announce(&[hall, office], "Montag", true).await.unwrap();
    let code = |done: Result<(), AccountError>| done.unwrap_err().code();
    assert_eq!(code(anna.account.discard(hall, said[0]).await), "message", "nothing failed");
    fails(&anna, &[office], 21).await;
    assert_eq!(code(anna.account.retry(hall, said[0]).await), "message", "not there");
    anna.account.announce_again(hall, said[0]).await.unwrap();
    fails(&anna, &[hall, office], 21).await;
    anna.account.discard(office, said[1]).await.unwrap();
    assert!(rows(&anna, hall).await.is_empty() && rows(&anna, office).await.is_empty());
}

/// Who reads late reads it as those do who read it at once.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_owner_announced_before_he_was_withdrawn_is_read_by_who_comes_to_it_later() {
    let (_world, [anna, ben, _carla, dora], [_hall, office]) = rooms().await;
    anna.account.set_owner(office, ben.account.user(), true).await.unwrap();
    settle(&[&anna, &ben]).await;
    anna.account.send_text(office, "Montag").await.unwrap();
    anna.account.send_once().await.unwrap();
    ben.account.sync_all().await.unwrap();
    ben.account.set_owner(office, anna.account.user(), false).await.unwrap();
    settle(&[&ben]).await;
    dora.account.sync_all().await.unwrap();
    assert_eq!((dora.texts(office).await, dora.gaps(office).await), (vec!["Montag".to_owned()], 0));
}
