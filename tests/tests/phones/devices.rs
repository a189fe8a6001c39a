//! A person's second phone: let in by the first or by an admin, and then in every conversation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hauspost_core::account::AccountError;
use hauspost_core::env::Env;
use hauspost_core::read::Window;
use hauspost_core::store::rows::log::LogState;
use hauspost_core::store::rows::message::{Event, MessageKind};
use hauspost_core::sync::{Https, Response};
use hauspost_protocol::encoding::encode;
use hauspost_protocol::ids::LogId;
use hauspost_protocol::wire::path;
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World, env};

/// How many messages a conversation says are not readable on this phone yet.
async fn unreadable(phone: &Phone, log: LogId) -> u64 {
    let page = phone.account.timeline(log, Window::Newest, 500).await.unwrap();
    let lines = page.rows.iter().filter(|row| row.kind == MessageKind::Unreadable);
    lines.map(|row| row.missing).sum()
}

/// The code that a further phone shows, and what it goes on with.
async fn waits(world: &mut World, handle: &str, folder: &str) -> (String, String, Env) {
    let (_, invitation) = world.invited(handle).await;
    let env = env(Arc::new(Https));
    match world.try_to_enrol(folder, &invitation, env.clone()).await {
        Err(AccountError::NeedsApproval(code)) => (code, invitation, env),
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_phone_enters_every_conversation_and_reads_what_is_said_from_then_on() {
    let (mut world, [anna, ben]) = World::of(["anna", "ben"]).await;
    let pair = anna.account.create_dm(ben.account.user()).await.unwrap();
    let group = ben.account.create_group(None, vec![anna.account.user()]).await.unwrap();
    anna.account.send_text(pair, "vorher").await.unwrap();
    ben.account.send_text(group, "auch vorher").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    anna.settle().await;

    let tablet = world.second_phone("anna", &anna).await;
    assert_eq!(tablet.account.user(), anna.account.user());
    tablet.settle().await;
    assert_eq!(tablet.account.own_devices().await.unwrap().len(), 2);
    for log in [pair, group] {
        assert_eq!((tablet.texts(log).await.len(), unreadable(&tablet, log).await), (0, 1));
    }
    ben.settle().await;
    ben.account.send_text(pair, "für beide").await.unwrap();
    ben.settle().await;
    tablet.settle().await;
    tablet.account.send_text(pair, "vom Tablet").await.unwrap();
    tablet.settle().await;
    anna.settle().await;
    ben.settle().await;
    assert_eq!(tablet.texts(pair).await, ["für beide", "vom Tablet"]);
    assert_eq!(anna.texts(pair).await, ["vorher", "für beide", "vom Tablet"]);
    assert_eq!(ben.texts(pair).await, anna.texts(pair).await);
    assert_eq!(ben.account.members(pair).await.unwrap().len(), 2, "people, not devices");
    for phone in [&anna, &ben, &tablet] {
        assert_eq!(phone.alarms().await + phone.gaps(pair).await, 0);
    }
    assert_eq!(anna.missing(pair).await + ben.missing(pair).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_1_nobody_but_the_person_s_phone_or_an_admin_lets_a_second_phone_in() {
    let (mut world, [anna, ben]) = World::of(["anna", "ben"]).await;
    anna.settle().await;
    let (code, invitation, env) = waits(&mut world, "anna", "anna-2").await;
    // The server shows Ben nothing of it, and he could not sign for it.
    assert!(ben.account.waiting_devices().await.unwrap().is_empty());
    let refused = ben.account.approve_device(&code, None).await.err().unwrap();
    assert_eq!(refused.code(), "no-such-code");
    // It goes on waiting, under the same code, however often it asks.
    let asked = world.try_to_enrol("anna-2", &invitation, env.clone()).await.err().unwrap();
    assert_eq!((asked.code(), asked.is_retryable()), ("needs-approval", true));
    assert!(asked.to_string().contains(&code));
    // Anna's phone does not take another code than the one that is shown.
    let refused = anna.account.approve_device("0000-0000-0000", None).await.err().unwrap();
    assert_eq!(refused.code(), "no-such-code");
    assert!(!world.approves("0000-0000-0000", None).await);

    assert_eq!(anna.account.waiting_devices().await.unwrap()[0].code, code);
    let approved = anna.account.approve_device(&code.to_lowercase(), None).await.unwrap();
    assert!(anna.account.waiting_devices().await.unwrap().is_empty());
    let tablet = world.try_to_enrol("anna-2", &invitation, env).await.unwrap();
    assert_eq!(tablet.account.device(), approved);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_1_who_stole_an_invitation_shows_another_code() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let (theirs, invitation, _) = waits(&mut world, "anna", "thief").await;
    // Anna's own tablet comes second, and is told so; nothing that it could show is the thief's code.
    let refused = world.try_to_enrol("anna-2", &invitation, env(Arc::new(Https))).await;
    assert_eq!(refused.err().unwrap().code(), "invitation-refused");
    let (code, _, _) = waits(&mut world, "anna", "anna-3").await;
    assert_ne!(code, theirs);
    anna.account.approve_device(&code, None).await.unwrap();
    assert_eq!(anna.account.own_devices().await.unwrap().len(), 2);
    assert_eq!(anna.account.waiting_devices().await.unwrap()[0].code, theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_19_a_phone_that_takes_a_lost_one_s_place_revokes_it_in_the_same_entry() {
    let (mut world, [anna, ben]) = World::of(["anna", "ben"]).await;
    let log = anna.writes_first(&ben, "vorher").await;
    ben.settle().await;
    let lost = anna.account.device();
    let (code, invitation, env) = waits(&mut world, "anna", "anna-2").await;
    assert!(!world.approves(&code, Some(ben.account.device())).await, "that is Ben's");
    assert!(world.approves(&code, Some(lost)).await);
    assert_eq!(anna.account.sync_all().await.err().unwrap().code(), "revoked");

    let new = world.try_to_enrol("anna-2", &invitation, env).await.unwrap();
    new.settle().await;
    new.account.send_text(log, "mit dem neuen").await.unwrap();
    new.settle().await;
    ben.settle().await;
    ben.account.send_text(log, "gut").await.unwrap();
    ben.settle().await;
    new.settle().await;
    assert_eq!(ben.texts(log).await, ["vorher", "mit dem neuen", "gut"]);
    assert_eq!(new.texts(log).await, ["mit dem neuen", "gut"]);
    assert_eq!(ben.alarms().await + new.alarms().await, 0);
    assert!(new.account.own_devices().await.unwrap().iter().all(|own| own.is_this));
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_41_who_had_no_key_package_enters_by_himself_when_he_comes() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let (ben, invitation) = world.invited("ben").await;
    let log = anna.account.create_group(None, vec![ben]).await.unwrap();
    anna.account.send_text(log, "noch allein").await.unwrap();
    anna.settle().await;
    // Nobody adds him: Anna's phone is off by now.
    let ben = world.enrol("ben", &invitation).await;
    ben.settle().await;
    ben.account.send_text(log, "bin da").await.unwrap();
    ben.settle().await;
    anna.settle().await;
    assert_eq!(anna.texts(log).await, ["noch allein", "bin da"]);
    assert_eq!(ben.texts(log).await, ["bin da"]);
    assert_eq!(unreadable(&ben, log).await, 0, "what was said before was not for him");
}

/// Anna's group with Ben, and her tablet, which has no leaf in it yet, and nothing by which others
/// could give it one.
async fn a_tablet_without_a_leaf() -> (World, [Phone; 3], LogId) {
    let (mut world, [anna, ben]) = World::of(["anna", "ben"]).await;
    let log = ben.account.create_group(None, vec![anna.account.user()]).await.unwrap();
    ben.account.send_text(log, "vorher").await.unwrap();
    ben.settle().await;
    anna.settle().await;
    let network = Hostile::default();
    network.answers_with(path::PACKAGES_PUT, || encode(&1_000u64));
    let tablet = world.second_phone_over("anna", &anna, network.network()).await;
    tablet.account.sync_all().await.unwrap();
    assert_eq!(unreadable(&tablet, log).await, 1);
    (world, [anna, ben, tablet], log)
}

async fn removals(phone: &Phone, log: LogId) -> Vec<Event> {
    let page = phone.account.timeline(log, Window::Newest, 500).await.unwrap();
    let rows = page.rows.into_iter().filter(|row| row.kind == MessageKind::Event);
    let events = rows.filter_map(|row| Some(Event::from_content(&row.content?)));
    events.filter(|event| matches!(event, Event::Removed(_) | Event::Left(_))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tablet_without_a_leaf_is_shown_that_its_person_was_removed() {
    let (mut world, [anna, ben, tablet], log) = a_tablet_without_a_leaf().await;
    ben.account.remove_member(log, anna.account.user()).await.unwrap();
    ben.account.send_text(log, "ohne Anna").await.unwrap();
    ben.settle().await;
    tablet.settle().await;
    assert_eq!(removals(&tablet, log).await, [Event::Removed(vec![anna.account.user()])]);
    assert!(tablet.account.send_text(log, "noch da?").await.is_err());
    assert_eq!((tablet.alarms().await, unreadable(&tablet, log).await), (0, 1));

    // A phone that she gets later is not shown a room that she is out of.
    let (code, invitation, env) = waits(&mut world, "anna", "anna-3").await;
    anna.account.approve_device(&code, None).await.unwrap();
    let phone = world.try_to_enrol("anna-3", &invitation, env).await.unwrap();
    phone.settle().await;
    assert!(phone.account.conversation(log).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_stays_out_though_another_enters_before_his_leaf_is_taken() {
    let (_world, [anna, ben, tablet], log) = a_tablet_without_a_leaf().await;
    ben.account.leave(log).await.unwrap();
    ben.settle().await;
    // An external commit takes nobody else's leaf.
    tablet.settle().await;
    ben.settle().await;
    let row = ben.account.conversation(log).await.unwrap().unwrap();
    assert_eq!(row.state, LogState::Left);
    assert!(ben.account.send_text(log, "noch da?").await.is_err());
    tablet.account.send_text(log, "ohne Ben").await.unwrap();
    tablet.settle().await;
    anna.settle().await;
    ben.settle().await;
    assert_eq!(anna.texts(log).await, ["vorher", "ohne Ben"]);
    assert_eq!(ben.texts(log).await, ["vorher"]);
    assert_eq!(ben.alarms().await + anna.alarms().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tablet_without_a_leaf_is_shown_that_its_person_left() {
    let (_world, [anna, ben, tablet], log) = a_tablet_without_a_leaf().await;
    anna.account.leave(log).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    tablet.settle().await;
    assert_eq!(removals(&tablet, log).await, [Event::Left(vec![anna.account.user()])]);
    assert!(tablet.account.send_text(log, "noch da?").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_41_a_tablet_comes_back_with_its_person_though_nobody_can_add_it() {
    let (_world, [anna, ben, tablet], log) = a_tablet_without_a_leaf().await;
    ben.account.remove_member(log, anna.account.user()).await.unwrap();
    ben.settle().await;
    tablet.account.sync_all().await.unwrap();
    assert!(tablet.account.send_text(log, "noch da?").await.is_err());
    ben.account.add_members(log, vec![anna.account.user()]).await.unwrap();
    ben.settle().await;
    tablet.settle().await;
    ben.settle().await;
    ben.account.send_text(log, "wieder alle").await.unwrap();
    ben.settle().await;
    tablet.settle().await;
    assert_eq!(tablet.texts(log).await, ["wieder alle"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_1_a_server_that_puts_another_person_s_device_forward_is_not_believed() {
    let mut world = World::found().await;
    let (annas, bens) = (Hostile::default(), Hostile::default());
    let anna = world.phone_over("anna", annas.network()).await;
    let ben = world.phone_over("ben", bens.network()).await;
    let (code, _, _) = waits(&mut world, "ben", "ben-2").await;
    assert_eq!(ben.account.waiting_devices().await.unwrap().len(), 1);
    let seen = bens.answers_seen();
    let (_, listed) = seen.into_iter().rfind(|(at, _)| at.starts_with(path::WAITING)).unwrap();
    annas.answers_with(path::WAITING, move || listed.clone());
    assert_eq!(anna.account.waiting_devices().await.unwrap(), []);
    let approved = anna.account.approve_device(&code, None).await;
    assert!(matches!(approved, Err(AccountError::NoSuchCode)));
    ben.account.approve_device(&code, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_19_a_person_s_phone_lets_a_new_one_take_the_place_of_a_lost_one() {
    let (mut world, [anna]) = World::of(["anna"]).await;
    let tablet = world.second_phone("anna", &anna).await;
    let (code, invitation, env) = waits(&mut world, "anna", "anna-3").await;
    let lost = tablet.account.device();
    anna.account.approve_device(&code, Some(lost)).await.unwrap();
    let third = world.try_to_enrol("anna-3", &invitation, env).await.unwrap();
    let mut devices: Vec<_> = anna.account.own_devices().await.unwrap();
    devices.retain(|one| !one.is_this);
    let devices: Vec<_> = devices.into_iter().map(|one| one.device).collect();
    assert_eq!(devices, [third.account.device()]);
    assert!(tablet.account.sync_all().await.is_err(), "it is revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_was_just_switched_on_shows_and_signs_for_what_waits() {
    let (mut world, [anna]) = World::of(["anna"]).await;
    let (code, _, _) = waits(&mut world, "anna", "anna-2").await;
    let anna = anna.restart().await;
    let waiting = anna.account.waiting_devices().await.unwrap();
    assert!(waiting.len() == 1 && waiting[0].code == code);
    let anna = anna.restart().await;
    anna.account.approve_device(&code, None).await.unwrap();
    assert_eq!(anna.account.own_devices().await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_signed_anew_when_the_company_log_moved_on_and_not_for_ever() {
    let mut world = World::found().await;
    let network = Hostile::default();
    let anna = world.phone_over("anna", network.network()).await;
    let (code, _, _) = waits(&mut world, "anna", "anna-2").await;
    let asked = Arc::new(AtomicUsize::new(0));
    let refuses = |times: usize| {
        let asked = Arc::clone(&asked);
        asked.store(0, Ordering::SeqCst);
        network.answers(move |request| {
            let is_asked = request.path.starts_with(path::APPROVE);
            let before = asked.fetch_add(usize::from(is_asked), Ordering::SeqCst);
            (is_asked && before < times).then(|| Ok(Response { status: 409, body: Vec::new() }))
        });
    };
    refuses(usize::MAX);
    assert!(anna.account.approve_device(&code, None).await.is_err());
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    refuses(2);
    anna.account.approve_device(&code, None).await.unwrap();
    // At once it knows the device that it let in.
    network.is_honest_again();
    assert_eq!(anna.account.own_devices().await.unwrap().len(), 2);
}
