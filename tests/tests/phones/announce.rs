//! One announcement in several rooms, as a company of more than a thousand needs it: written once, told of
//! once, confirmed once (docs/attacks.md 42).

use hauspost_core::account::{AccountError, NewRoom};
use hauspost_core::read::{SearchQuery, Window};
use hauspost_core::store::rows::message::{Fate, Message, MessageState};
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
