//! Phones that talk over real TLS to the real server.

mod announce;
mod behaviour;
mod cards;
mod crashes;
mod devices;
mod documents;
mod handover;
mod hints;
mod history;
mod inside;
mod large;
mod looks;
mod own;
mod pulls;
mod resets;
mod restored;
mod rooms;
mod talk;
mod terminal;
mod unsent;

use hauspost_core::store::rows::message::MessageState;
use hauspost_tests::real::World;

#[tokio::test(flavor = "multi_thread")]
async fn two_phones_talk_and_one_catches_up_after_it_was_off() {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    let log = anna.writes_first(&ben, "Guten Morgen, Ben").await;
    ben.settle().await;
    assert_eq!(ben.only_log().await, log);
    assert_eq!(ben.texts(log).await, ["Guten Morgen, Ben"]);

    ben.account.send_text(log, "Morgen!").await.unwrap();
    ben.settle().await;
    let ben = ben.restart().await;
    anna.settle().await;
    for number in 0..40 {
        anna.account.send_text(log, &format!("Lieferschein {number}")).await.unwrap();
    }
    anna.settle().await;
    ben.settle().await;
    assert_eq!(ben.texts(log).await, anna.texts(log).await);
    assert_eq!(ben.texts(log).await.len(), 42);
    assert_eq!(ben.gaps(log).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_grows_shrinks_and_who_was_removed_reads_nothing_more() {
    let (_world, [anna, ben, carla, dora]) = World::of(["anna", "ben", "carla", "dora"]).await;
    anna.account.sync_all().await.unwrap();
    let members = vec![ben.account.user(), carla.account.user()];
    let log = anna.account.create_group(Some("Baustelle Nord"), members).await.unwrap();
    anna.account.send_text(log, "eins").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    carla.settle().await;
    let row = carla.account.conversation(log).await.unwrap().unwrap();
    assert_eq!(row.title.as_deref(), Some("Baustelle Nord"));

    ben.account.add_members(log, vec![dora.account.user()]).await.unwrap();
    ben.account.send_text(log, "zwei").await.unwrap();
    ben.settle().await;
    anna.account.remove_member(log, carla.account.user()).await.unwrap();
    anna.account.send_text(log, "drei").await.unwrap();
    anna.settle().await;
    for phone in [&ben, &carla, &dora] {
        phone.settle().await;
    }
    assert_eq!(anna.texts(log).await, ["eins", "zwei", "drei"]);
    assert_eq!(ben.texts(log).await, ["eins", "zwei", "drei"]);
    assert_eq!(carla.texts(log).await, ["eins", "zwei"]);
    assert_eq!(dora.texts(log).await, ["zwei", "drei"]);
    assert!(carla.account.send_text(log, "noch da?").await.is_err());

    anna.account.add_members(log, vec![carla.account.user()]).await.unwrap();
    anna.account.send_text(log, "vier").await.unwrap();
    anna.settle().await;
    carla.settle().await;
    assert_eq!(carla.texts(log).await, ["eins", "zwei", "vier"]);
    carla.account.send_text(log, "wieder da").await.unwrap();
    carla.settle().await;
    dora.settle().await;
    assert_eq!(dora.texts(log).await, ["zwei", "drei", "vier", "wieder da"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_phones_that_commit_at_once_both_get_their_change() {
    let (_world, [anna, ben, carla, dora]) = World::of(["anna", "ben", "carla", "dora"]).await;
    let log = anna.account.create_group(None, vec![ben.account.user()]).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    ben.account.sync_all().await.unwrap();
    anna.account.add_members(log, vec![carla.account.user()]).await.unwrap();
    ben.account.add_members(log, vec![dora.account.user()]).await.unwrap();
    anna.account.send_text(log, "von Anna").await.unwrap();
    ben.account.send_text(log, "von Ben").await.unwrap();
    let (sent, also) = tokio::join!(anna.account.send_once(), ben.account.send_once());
    sent.unwrap();
    also.unwrap();
    for phone in [&anna, &ben, &carla, &dora] {
        phone.settle().await;
        phone.settle().await;
    }
    assert_eq!(anna.account.members(log).await.unwrap().len(), 4);
    assert_eq!(anna.texts(log).await.len(), 2);
    assert_eq!(anna.texts(log).await, ben.texts(log).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_phone_is_removed_by_the_next_sender_before_anything_is_said() {
    let (mut world, [anna, ben, carla]) = World::of(["anna", "ben", "carla"]).await;
    let members = vec![ben.account.user(), carla.account.user()];
    let log = anna.account.create_group(None, members).await.unwrap();
    anna.account.send_text(log, "alle").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    carla.settle().await;

    world.revoke("carla").await;
    ben.account.send_text(log, "ohne Carla").await.unwrap();
    ben.account.send_once().await.unwrap();
    ben.settle().await;
    anna.settle().await;
    assert_eq!(anna.texts(log).await, ["alle", "ohne Carla"]);
    assert_eq!(anna.account.members(log).await.unwrap().len(), 2);
    assert!(carla.account.sync_all().await.is_err());
    assert_eq!(carla.texts(log).await, ["alle"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_secured_when_a_checkpoint_covers_it() {
    let (world, [anna, ben]) = World::of(["anna", "ben"]).await;
    let log = anna.writes_first(&ben, "sicher").await;
    world.checkpoint().await;
    anna.settle().await;
    assert_eq!(anna.state(log, "sicher").await, Some(MessageState::Secured));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_begin_a_conversation_with_each_other_at_once_end_in_one() {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    anna.account.sync_all().await.unwrap();
    let first = anna.account.create_dm(ben.account.user()).await.unwrap();
    let second = ben.account.create_dm(anna.account.user()).await.unwrap();
    anna.account.send_text(first, "Hallo Ben").await.unwrap();
    ben.account.send_text(second, "Hallo Anna").await.unwrap();
    anna.account.send_once().await.unwrap();
    ben.account.send_once().await.unwrap();
    for phone in [&ben, &anna, &ben] {
        phone.settle().await;
    }
    assert_eq!(ben.only_log().await, first);
    assert_eq!(anna.only_log().await, first);
    assert_eq!(ben.texts(first).await, ["Hallo Ben", "Hallo Anna"]);
    assert_eq!(anna.texts(first).await, ["Hallo Ben", "Hallo Anna"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn started_phones_talk_by_themselves_and_stop_when_they_are_suspended() {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    anna.account.start();
    ben.account.start();
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.account.send_text(log, "bist du da?").await.unwrap();
    ben.hears(log, "bist du da?").await;
    for number in 0..50 {
        let text = format!("Nummer {number}");
        ben.account.send_text(log, &text).await.unwrap();
        anna.hears(log, &text).await;
    }
    ben.account.suspend().await;
    assert!(ben.account.send_text(log, "zu spät").await.is_err());
    anna.account.send_text(log, "schlaf gut").await.unwrap();
    ben.account.resume().await.unwrap();
    ben.account.start();
    ben.hears(log, "schlaf gut").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_got_his_phone_since_the_last_pull_is_in_the_conversation_from_its_first_word_on() {
    let (mut world, [anna, ben, carla]) = World::of(["anna", "ben", "carla"]).await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.account.send_text(log, "bist du da?").await.unwrap();
    anna.account.send_once().await.unwrap();
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["bist du da?"]);
    let dora = world.phone("dora").await;
    let group = carla.account.create_group(None, vec![anna.account.user()]).await.unwrap();
    carla.settle().await;
    carla.account.add_members(group, vec![dora.account.user()]).await.unwrap();
    carla.account.send_text(group, "alle da?").await.unwrap();
    carla.account.send_once().await.unwrap();
    dora.settle().await;
    assert_eq!(dora.texts(group).await, ["alle da?"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_had_no_phone_when_the_conversation_began_is_added_when_he_has_one() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let (ben, invitation) = world.invited("ben").await;
    let log = anna.account.create_dm(ben).await.unwrap();
    anna.account.send_text(log, "noch allein").await.unwrap();
    anna.settle().await;
    let ben = world.enrol("ben", &invitation).await;
    anna.settle().await;
    anna.account.add_missing().await.unwrap();
    anna.account.send_text(log, "willkommen").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["willkommen"]);
    assert_eq!(ben.alarms().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_failed_shows_why_and_can_be_taken_back() {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    let log = anna.account.create_group(None, vec![ben.account.user()]).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    anna.account.remove_member(log, ben.account.user()).await.unwrap();
    anna.settle().await;
    let lost = ben.account.send_text(log, "zu spät").await.unwrap();
    ben.settle().await;
    ben.settle().await;
    assert_eq!(ben.state(log, "zu spät").await, Some(MessageState::Failed));
    assert!(ben.account.retry(log, lost).await.is_err());
    ben.account.discard(log, lost).await.unwrap();
    assert!(ben.texts(log).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_group_is_out_before_the_next_word() {
    let (_world, [anna, ben, carla]) = World::of(["anna", "ben", "carla"]).await;
    let members = vec![ben.account.user(), carla.account.user()];
    let log = anna.account.create_group(None, members).await.unwrap();
    anna.account.send_text(log, "alle").await.unwrap();
    for phone in [&anna, &ben, &carla] {
        phone.settle().await;
    }
    ben.account.leave(log).await.unwrap();
    ben.settle().await;
    assert!(ben.account.send_text(log, "doch noch").await.is_err());
    carla.account.sync_all().await.unwrap();
    carla.account.send_text(log, "ohne Ben").await.unwrap();
    carla.settle().await;
    for phone in [&anna, &ben] {
        phone.settle().await;
    }
    assert_eq!(anna.texts(log).await, ["alle", "ohne Ben"]);
    assert_eq!(ben.texts(log).await, ["alle"]);
    assert_eq!(anna.account.members(log).await.unwrap().len(), 2);
    assert_eq!(anna.alarms().await + ben.alarms().await + carla.alarms().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_misses_nothing_of_what_was_said_while_he_was_out() {
    for reads_before in [true, false] {
        come_back(reads_before).await;
    }
}

/// Ben is out for one text, and has read what came before it by then, or reads it all at once.
async fn come_back(reads_before: bool) {
    let (_world, [anna, ben, carla]) = World::of(["anna", "ben", "carla"]).await;
    anna.account.sync_all().await.unwrap();
    let members = vec![ben.account.user(), carla.account.user()];
    let log = anna.account.create_group(None, members).await.unwrap();
    anna.account.send_text(log, "alle").await.unwrap();
    anna.settle().await;
    carla.settle().await;
    if reads_before {
        ben.settle().await;
    }
    anna.account.remove_member(log, ben.account.user()).await.unwrap();
    anna.account.send_text(log, "ohne Ben").await.unwrap();
    anna.account.add_members(log, vec![ben.account.user()]).await.unwrap();
    anna.account.send_text(log, "wieder alle").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["alle", "wieder alle"]);
    assert_eq!(ben.missing(log).await, 0);
}
