use hauspost_protocol::ids::{DeviceId, Seq};

use super::super::mark::{self, MarkKind, NewMark};
use super::super::message::{self, MessageState, NewMessage, Place, Saying};
use super::super::picture;
use super::super::stay::{self, Move};
use super::*;
use crate::read;
use crate::store::Store;
use crate::store::fixture::{ANNA, ME, enrolled, group, own, text};

const BEN: UserId = UserId([3; 16]);
const CEM: UserId = UserId([4; 16]);

async fn write<T: Send + 'static>(
    store: &Store,
    job: impl FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> T {
    store.write::<_, StoreError, _>(job).await.unwrap()
}

async fn asking(store: &Store, log: LocalLog, id: MessageId) -> Asking {
    let read = move |conn: &_| message::find(conn, log, id);
    store.read::<_, StoreError, _>(read).await.unwrap().unwrap().asking.unwrap()
}

fn moves(seq: u64, users: &[UserId], is_in: bool) -> Vec<Move> {
    users.iter().map(|user| Move { seq: Seq(seq), user: *user, is_in }).collect()
}

fn asks(message: NewMessage) -> NewMessage {
    NewMessage { saying: Saying { asks: true, ..Saying::default() }, ..message }
}

/// Somebody's confirmation of a message at this place.
fn confirms(place: Place, number: u8, about: MessageId, author: UserId) -> NewMark {
    let mut id = [2; 32];
    id[31] = number;
    NewMark {
        place,
        message_id: MessageId(id),
        about,
        kind: MarkKind::Acknowledgement,
        valid: true,
        author,
        device: DeviceId(author.0),
        state: if author == ME { MessageState::Queued } else { MessageState::Received },
        t_ms: 7,
        sent_ms: 7,
        text: None,
        saying: Saying::default(),
        content: Vec::new(),
        record_key: None,
    }
}

#[tokio::test]
async fn confirmations_count_once_for_each_person_in_whatever_order_they_come() {
    let asked = asks(text(5, "Helme tragen"));
    let id = asked.message_id;
    let at = |seq, number, author| confirms(Place::At(Seq(seq)), number, id, author);
    let marks = [at(6, 1, BEN), at(7, 2, BEN), at(9, 3, CEM), at(10, 4, ANNA), at(11, 5, ME)];
    for first in 0..marks.len() + 1 {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = group(&store, 1, "Sicherheit").await;
        let (asked, marks) = (asked.clone(), marks.clone());
        write(&store, move |tx| {
            stay::note(tx, log, &moves(1, &[ME, ANNA, BEN], true))?;
            // Cem came later, and the author asks himself nothing.
            stay::note(tx, log, &moves(8, &[CEM], true))?;
            for mark in &marks[..first] {
                mark::insert(tx, log, mark)?;
            }
            message::insert(tx, log, &asked)?;
            marks[first..].iter().try_for_each(|mark| mark::insert(tx, log, mark).map(|_| ()))
        })
        .await;
        let now = asking(&store, log, id).await;
        assert_eq!((now.asked, now.confirmed, now.is_mine), (2, 2, true), "{first} before it");
        let found = store.read::<_, StoreError, _>(move |conn| of_message(conn, log, id));
        let found: Vec<_> = found.await.unwrap().iter().map(|one| (one.user, one.seq)).collect();
        let right = [(BEN, Some(Seq(6))), (CEM, Some(Seq(9))), (ME, Some(Seq(11)))];
        assert_eq!(found, right);
    }
}

#[tokio::test]
async fn what_is_due_is_asked_of_who_was_there_until_he_confirms_or_it_is_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Sicherheit").await;
    let before = asks(text(3, "vor meiner Zeit"));
    let (asked, hidden) = (asks(text(5, "Helme tragen")), asks(text(6, "Unsinn")));
    let (id, hidden_id) = (asked.message_id, hidden.message_id);
    write(&store, move |tx| {
        stay::note(tx, log, &moves(1, &[ANNA], true))?;
        stay::note(tx, log, &moves(4, &[ME], true))?;
        for message in [before, asked, hidden] {
            message::insert(tx, log, &message)?;
        }
        Ok(())
    })
    .await;
    let due = || async {
        let found = store.read::<_, StoreError, _>(|conn| due(conn, 9)).await.unwrap();
        let listed = store.read::<_, StoreError, _>(move |c| read::conversation(c, log.id)).await;
        assert_eq!(listed.unwrap().unwrap().to_confirm, found.len() as u64);
        found.into_iter().map(|due| due.message_id).collect::<Vec<_>>()
    };
    assert_eq!(due().await, [id, hidden_id]);
    let mut deletion = confirms(Place::At(Seq(7)), 9, hidden_id, ANNA);
    deletion.kind = MarkKind::Deletion;
    write(&store, move |tx| mark::insert(tx, log, &deletion)).await;
    assert_eq!(due().await, [id]);
    let mine = confirms(Place::Pending(1), 1, id, ME);
    let mine_id = mine.message_id;
    write(&store, move |tx| mark::insert(tx, log, &mine)).await;
    assert!(due().await.is_empty());
    assert!(asking(&store, log, id).await.is_waiting);
    // It fails, and is due again; tried again, it counts.
    write(&store, move |tx| message::set_state(tx, log, mine_id, MessageState::Failed)).await;
    assert_eq!(due().await, [id]);
    write(&store, move |tx| {
        message::set_state(tx, log, mine_id, MessageState::Queued)?;
        message::place(tx, log, mine_id, Place::At(Seq(8)), 8, MessageState::Sent)
    })
    .await;
    let now = asking(&store, log, id).await;
    assert!(due().await.is_empty() && now.is_mine && !now.is_waiting);
    assert_eq!((now.asked, now.confirmed), (1, 1));
}

#[tokio::test]
async fn an_own_message_asks_those_who_are_there_at_its_place_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Sicherheit").await;
    let asked = asks(own(1, "Helme tragen"));
    let id = asked.message_id;
    write(&store, move |tx| {
        stay::note(tx, log, &moves(1, &[ME, ANNA, BEN], true))?;
        message::insert(tx, log, &asked).map(|_| ())
    })
    .await;
    assert_eq!(asking(&store, log, id).await.asked, 0, "it is not sent");
    write(&store, move |tx| {
        stay::note(tx, log, &moves(4, &[BEN], false))?;
        stay::note(tx, log, &moves(6, &[CEM], true))?;
        message::place(tx, log, id, Place::At(Seq(5)), 5, MessageState::Sent)
    })
    .await;
    assert_eq!(asking(&store, log, id).await.asked, 1, "Ben had left, Cem was not there");
}

#[tokio::test]
async fn stays_that_this_database_did_not_keep_from_the_beginning_are_taken_from_the_roster() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Sicherheit").await;
    write(&store, move |tx| {
        stay::begin(tx, log, [(ANNA, Seq(1))].into_iter())?;
        stay::note(tx, log, &moves(9, &[CEM], false))?;
        stay::note(tx, log, &moves(9, &[CEM], false))?;
        stay::begin(tx, log, [(BEN, Seq(1))].into_iter())?;
        stay::note(tx, log, &moves(12, &[ANNA], true))
    })
    .await;
    let all = store.read::<_, StoreError, _>(move |conn| stay::all(conn, log)).await.unwrap();
    let told: Vec<_> = all.iter().map(|stay| (stay.user, stay.from, stay.to)).collect();
    assert_eq!(told, [(ANNA, Seq(1), None), (CEM, Seq(0), Some(Seq(9)))]);
    assert!(all[1].covers(Seq(3)) && !all[1].covers(Seq(9)));
}

#[tokio::test]
async fn the_picture_that_the_newest_record_sets_is_shown_in_whatever_order_they_are_read() {
    for order in [[3, 5], [5, 3]] {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = group(&store, 1, "Lager").await;
        write(&store, move |tx| {
            for seq in order {
                picture::set(tx, log, Seq(seq), (seq == 3).then_some(MessageId([1; 32])))?;
            }
            Ok(())
        })
        .await;
        let found = store.read::<_, StoreError, _>(move |conn| picture::find(conn, log)).await;
        assert!(found.unwrap().is_none(), "the newer one takes it away");
    }
}
