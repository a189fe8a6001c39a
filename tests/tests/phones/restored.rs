//! Phones that are put back to a backup (C12).

use hauspost_core::account::AccountError;
use hauspost_core::outbox::REASON_MAYBE_SENT;
use hauspost_core::read::Window;
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::message::{Message, MessageState};
use hauspost_core::sync::NetworkError;
use hauspost_protocol::content::TextForm;
use hauspost_protocol::encoding::decode;
use hauspost_protocol::entry::{Head, Kind};
use hauspost_protocol::ids::LogId;
use hauspost_protocol::wire::{AppendRequest, path};
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World};

#[tokio::test(flavor = "multi_thread")]
async fn attacks_20_a_phone_restored_from_an_old_backup_enters_anew_before_it_sends() {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    let log = anna.writes_first(&ben, "vorher").await;
    let anna = anna.backed_up().await;
    anna.account.send_text(log, "nach der Sicherung").await.unwrap();
    anna.settle().await;
    let anna = anna.restored().await;
    anna.account.send_text(log, "mit altem Schlüssel").await.unwrap();
    anna.settle().await;
    assert_eq!(anna.alarms().await, 1);
    ben.settle().await;
    // She entered anew before she sent; what she had written meanwhile she reads again.
    assert_eq!(ben.texts(log).await, ["vorher", "nach der Sicherung", "mit altem Schlüssel"]);
    assert_eq!(anna.texts(log).await, ben.texts(log).await);
    assert_eq!(anna.stopped(log).await, None);
    assert_eq!(ben.gaps(log).await + ben.alarms().await, 0);
    assert_eq!(ben.missing(log).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_20_what_waited_in_the_backup_and_was_sent_after_it_is_not_sent_twice() {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    let log = anna.writes_first(&ben, "vorher").await;
    anna.account.send_text(log, "wartet").await.unwrap();
    let anna = anna.backed_up().await;
    anna.settle().await;
    let anna = anna.restored().await;
    anna.settle().await;
    anna.account.send_text(log, "danach").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["vorher", "wartet", "danach"]);
    assert_eq!(anna.texts(log).await, ["vorher", "wartet", "danach"]);
    assert_eq!(ben.gaps(log).await + ben.alarms().await, 0);
    assert_eq!(records(&ben).await, 3, "and not hidden as a double either");
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_20_a_conversation_that_waited_in_the_backup_and_was_begun_after_it_goes_on() {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    anna.account.sync_all().await.unwrap();
    let log = anna.account.create_group(None, vec![ben.account.user()]).await.unwrap();
    anna.account.send_text(log, "wartet").await.unwrap();
    let anna = anna.backed_up().await;
    anna.settle().await;
    let anna = anna.restored().await;
    anna.settle().await;
    anna.account.send_text(log, "danach").await.unwrap();
    for phone in [&anna, &ben, &anna] {
        phone.settle().await;
    }
    assert_eq!(ben.texts(log).await, ["wartet", "danach"]);
    assert_eq!(records(&ben).await, 2);
    assert_eq!(waiting(&anna, log).await.reason, Some(REASON_MAYBE_SENT));
    assert_ne!(anna.state(log, "danach").await, Some(MessageState::Failed));
    assert_eq!(ben.gaps(log).await + ben.alarms().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_20_what_waited_in_the_backup_and_moved_to_the_other_s_conversation_is_not_sent_twice()
 {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    anna.account.sync_all().await.unwrap();
    let waits = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.account.send_text(waits, "wartet").await.unwrap();
    let anna = anna.backed_up().await;
    let log = ben.account.create_dm(anna.account.user()).await.unwrap();
    ben.settle().await;
    anna.settle().await;
    let anna = anna.restored().await;
    for phone in [&anna, &anna, &ben] {
        phone.settle().await;
    }
    assert_eq!(records(&ben).await, 1);
    assert_eq!(ben.texts(log).await, ["wartet"]);
    assert_eq!(anna.texts(log).await, ["wartet"]);
    assert_ne!(waiting(&anna, log).await.state, MessageState::Failed);
}

/// A text waits on Anna's phone when it is copied. Before it goes out, her phone removes Carla, who
/// was revoked meanwhile, by a commit that it cannot follow once it is put back; then the text goes out
/// in the new epoch, if `sent`.
async fn put_back_while_a_text_waits(sent: bool) -> (World, Phone, Phone, LogId) {
    let mut world = World::found().await;
    let lies = Hostile::default();
    let anna = world.phone_over("anna", lies.network()).await;
    let ben = world.phone("ben").await;
    let carla = world.phone("carla").await;
    let members = vec![ben.account.user(), carla.account.user()];
    let log = anna.account.create_group(None, members).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    anna.account.send_text(log, "wartet").await.unwrap();
    let anna = anna.backed_up().await;
    world.revoke("carla").await;
    if !sent {
        lies.answers(|request| {
            is_of_records(&request.path, &request.body).then_some(Err(NetworkError::Broken))
        });
    }
    anna.try_to_settle().await;
    lies.is_honest_again();
    ben.settle().await;
    assert_eq!(ben.account.members(log).await.unwrap().len(), 2);
    assert_eq!(records(&ben).await, u32::from(sent));
    (world, anna.restored().await, ben, log)
}

fn is_of_records(at: &str, body: &[u8]) -> bool {
    let batch = (at == path::APPEND).then(|| decode::<AppendRequest>(body).unwrap());
    let kind = |head: &[u8]| Head::parse(head).unwrap().kind;
    batch.is_some_and(|batch| batch.entries.iter().all(|(head, _)| kind(head) == Kind::Record))
}

async fn records(phone: &Phone) -> u32 {
    let count = phone.account.store().read(move |conn| {
        let sql = "SELECT count(*) FROM entry WHERE kind = 3";
        Ok::<_, StoreError>(conn.query_row(sql, [], |row| row.get(0))?)
    });
    count.await.unwrap()
}

async fn waiting(phone: &Phone, log: LogId) -> Message {
    let page = phone.account.timeline(log, Window::Newest, 50).await.unwrap();
    let is = |row: &Message| row.text.as_deref() == Some("wartet");
    page.rows.into_iter().find(is).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_20_what_may_have_been_sent_where_a_restored_phone_cannot_read_is_left_to_its_person()
 {
    let (_world, anna, ben, log) = put_back_while_a_text_waits(true).await;
    anna.account.send_text(log, "nach der Rückkehr").await.unwrap();
    for phone in [&anna, &anna, &ben] {
        phone.settle().await;
    }
    let text = waiting(&anna, log).await;
    assert_eq!((text.state, text.reason), (MessageState::Failed, Some(REASON_MAYBE_SENT)));
    assert_eq!(ben.texts(log).await, ["wartet", "nach der Rückkehr"]);
    assert_eq!(records(&ben).await, 2, "nothing was sent again, and nothing new was held back");

    anna.account.retry(log, text.message_id).await.unwrap();
    for phone in [&anna, &ben] {
        phone.settle().await;
    }
    assert_eq!(records(&ben).await, 3, "the person wanted it");
    assert_eq!(ben.texts(log).await, ["wartet", "nach der Rückkehr"], "and it is shown once");
    let there = waiting(&anna, log).await.state;
    assert!(matches!(there, MessageState::Sent | MessageState::Secured), "{there:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_20_what_may_have_been_sent_can_be_taken_out_of_the_conversation() {
    let (_world, anna, ben, log) = put_back_while_a_text_waits(true).await;
    anna.settle().await;
    let text = waiting(&anna, log).await;
    let changed = anna.account.edit(log, text.message_id, "anders", TextForm::Plain).await;
    assert!(matches!(changed, Err(AccountError::NotSent)), "it may stand there as it was");
    anna.account.discard(log, text.message_id).await.unwrap();
    let anna = anna.restart().await;
    for phone in [&anna, &ben] {
        phone.settle().await;
    }
    assert_eq!(anna.texts(log).await, [""; 0]);
    assert_eq!(records(&ben).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_20_what_cannot_have_been_sent_goes_on_when_the_phone_was_restored() {
    let (_world, anna, ben, log) = put_back_while_a_text_waits(false).await;
    for phone in [&anna, &anna, &ben] {
        phone.settle().await;
    }
    assert_eq!(anna.alarms().await, 1, "the commit was not of this phone as it is");
    assert_eq!(waiting(&anna, log).await.reason, None);
    assert_eq!(ben.texts(log).await, ["wartet"]);
    assert_eq!(records(&ben).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_20_a_restored_phone_stays_out_of_what_it_had_left() {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    anna.account.sync_all().await.unwrap();
    let log = anna.account.create_group(None, vec![ben.account.user()]).await.unwrap();
    anna.settle().await;
    let anna = anna.backed_up().await;
    anna.account.leave(log).await.unwrap();
    anna.account.send_text(log, "noch eins").await.unwrap();
    anna.settle().await;
    let anna = anna.restored().await;
    anna.settle().await;
    assert_eq!(anna.stopped(log).await, None);
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["noch eins"]);
}
