//! The past of a phone that comes later, or was restored: it comes back by grants, over the real server.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hauspost_core::inbound::Code;
use hauspost_core::read::{History, Window};
use hauspost_core::store::rows::alarm;
use hauspost_core::store::rows::message::{Message, MessageKind};
use hauspost_core::store::{FaultPoint, StoreError};
use hauspost_core::sync::{Https, NetworkError};
use hauspost_protocol::body::HistoryRule;
use hauspost_protocol::encoding::{Bytes, decode};
use hauspost_protocol::entry::{Entry, Head, Kind, Payload};
use hauspost_protocol::ids::LogId;
use hauspost_protocol::wire::{AppendRequest, path};
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{PATIENCE, Phone, World};

/// One round of everything that a phone does by itself.
async fn round(phone: &Phone) {
    phone.account.sync_all().await.unwrap();
    phone.account.share_history().await.unwrap();
    phone.account.send_once().await.unwrap();
    phone.account.sync_all().await.unwrap();
}

/// All phones do what they do by themselves, until each has answered the others.
async fn exchange(phones: &[&Phone]) {
    for _ in 0..4 {
        for phone in phones {
            round(phone).await;
        }
    }
}

/// Goes on until the phone has its past: of several that could give, each draws when its turn is.
pub(super) async fn gets_its_past(phone: &Phone, log: LogId, others: &[&Phone]) {
    let comes = async {
        loop {
            exchange(&[&[phone], others].concat()).await;
            if phone.account.history(log).await.unwrap() == NOTHING {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, comes).await.expect("the past comes at all");
}

async fn rows(phone: &Phone, log: LogId) -> Vec<Message> {
    phone.account.timeline(log, Window::Newest, 500).await.unwrap().rows
}

/// What a person sees of a conversation, whichever of his devices he holds.
async fn seen(phone: &Phone, log: LogId) -> Vec<(Option<u64>, MessageKind, Option<String>, u64)> {
    let rows = rows(phone, log).await.into_iter();
    rows.map(|row| (row.seq.map(|seq| seq.0), row.kind, row.text, row.missing)).collect()
}

async fn grants(phone: &Phone) -> i64 {
    let count = phone.account.store().read(|conn| {
        let sql = "SELECT count(*) FROM entry WHERE kind = 6";
        Ok::<_, StoreError>(conn.query_row(sql, [], |row| row.get(0))?)
    });
    count.await.unwrap()
}

async fn codes(phone: &Phone) -> Vec<u64> {
    let codes = phone.account.store().read(|conn| {
        Ok::<_, StoreError>(alarm::all(conn)?.into_iter().map(|(_, alarm)| alarm.code).collect())
    });
    codes.await.unwrap()
}

const NOTHING: History = History { missing: 0, asked: 0 };

fn written(world: &World, bytes: &[u8]) -> PathBuf {
    let path = world.data().parent().unwrap().join("Lieferschein.pdf");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Anna and Ben with a group in which much was said, before Anna's tablet came.
async fn with_tablet() -> (World, Phone, Phone, Phone, LogId) {
    with_tablet_after(20).await
}

/// The same after so many messages.
async fn with_tablet_after(messages: usize) -> (World, Phone, Phone, Phone, LogId) {
    let (mut world, [anna, ben]) = World::of(["anna", "ben"]).await;
    let log = anna.account.create_group(Some("Halle 3"), vec![ben.account.user()]).await.unwrap();
    for number in 0..messages {
        let phone = if number % 2 == 0 { &anna } else { &ben };
        phone.settle().await;
        phone.account.send_text(log, &format!("Nachricht {number}")).await.unwrap();
        phone.settle().await;
    }
    let source = written(&world, b"ein Lieferschein");
    ben.account.send_file(log, &source, "Lieferschein.pdf", "application/pdf", "").await.unwrap();
    ben.settle().await;
    anna.settle().await;
    let tablet = world.second_phone("anna", &anna).await;
    (world, anna, ben, tablet, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_device_ends_with_the_same_conversation_as_the_first() {
    let (mut world, anna, ben, tablet, log) = with_tablet().await;
    tablet.settle().await;
    let missing = tablet.account.history(log).await.unwrap().missing;
    assert_eq!(missing, 22, "20 messages, a document, and a name");
    round(&tablet).await;
    assert_eq!(tablet.account.history(log).await.unwrap(), History { missing, asked: missing });
    exchange(&[&anna, &ben, &tablet]).await;

    assert_eq!(seen(&tablet, log).await, seen(&anna, log).await);
    assert_eq!(tablet.account.history(log).await.unwrap(), NOTHING);
    let row = tablet.account.conversation(log).await.unwrap().unwrap();
    let first = anna.account.conversation(log).await.unwrap().unwrap();
    assert_eq!((row.unread, row.title, row.last), (0, first.title, first.last));
    let document = rows(&tablet, log).await.pop().unwrap();
    let path = tablet.account.open_file(log, document.message_id, 0).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"ein Lieferschein");
    assert_eq!(grants(&ben).await, 1, "one device gave, and it gave once");
    for phone in [&anna, &ben, &tablet] {
        assert_eq!(phone.alarms().await + phone.gaps(log).await, 0);
    }

    // What was given can be given on, by a device that never heard it said.
    anna.account.suspend().await;
    let third = world.further_phone("anna", "anna-3", &tablet, Arc::new(Https)).await;
    gets_its_past(&third, log, &[&tablet, &ben]).await;
    assert_eq!(seen(&third, log).await, seen(&tablet, log).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn started_phones_bring_the_past_to_a_new_one_by_themselves() {
    let (_world, anna, ben, tablet, log) = with_tablet().await;
    for phone in [&anna, &ben, &tablet] {
        phone.account.start();
    }
    tablet.hears(log, "Nachricht 0").await;
    tablet.hears(log, "Nachricht 19").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_give_who_comes_later_the_past_where_the_conversation_says_so_and_nowhere_else() {
    let (_world, [anna, ben, carla]) = World::of(["anna", "ben", "carla"]).await;
    anna.account.sync_all().await.unwrap();
    let members = vec![ben.account.user()];
    let open = anna.account.create_group_as(None, members.clone(), HistoryRule::Members);
    let open = open.await.unwrap();
    let closed = anna.account.create_group(None, members).await.unwrap();
    for log in [open, closed] {
        anna.account.send_text(log, "vor Carla").await.unwrap();
        anna.settle().await;
        anna.account.add_members(log, vec![carla.account.user()]).await.unwrap();
        anna.settle().await;
        anna.account.send_text(log, "mit Carla").await.unwrap();
        anna.settle().await;
    }
    // Of two who could give one does; the other one's turn is drawn for later.
    gets_its_past(&carla, open, &[&anna, &ben]).await;
    assert_eq!(carla.texts(open).await, ["vor Carla", "mit Carla"]);
    assert_eq!(carla.texts(closed).await, ["mit Carla"]);
    assert_eq!(carla.account.history(closed).await.unwrap(), NOTHING);
    assert_eq!(carla.alarms().await + ben.alarms().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_phone_reads_what_it_missed_by_its_person_s_other_phone() {
    let (_world, anna, ben, tablet, log) = with_tablet().await;
    exchange(&[&anna, &ben, &tablet]).await;
    let anna = anna.backed_up().await;
    anna.account.send_text(log, "nach der Sicherung").await.unwrap();
    anna.settle().await;
    anna.account.renew_keys(log).await.unwrap();
    anna.settle().await;
    for phone in [&anna, &ben] {
        phone.account.send_text(log, "in einer Epoche ohne Schlüssel").await.unwrap();
        phone.settle().await;
        anna.settle().await;
        tablet.settle().await;
    }
    let anna = anna.restored().await;
    anna.settle().await;
    exchange(&[&anna, &tablet, &ben]).await;
    assert_eq!(anna.account.history(log).await.unwrap(), NOTHING);
    assert_eq!(seen(&anna, log).await, seen(&tablet, log).await);
    assert_eq!(codes(&anna).await, [Code::Rollback as u64]);
    anna.account.send_text(log, "wieder da").await.unwrap();
    exchange(&[&anna, &ben]).await;
    assert_eq!(ben.texts(log).await.last().unwrap(), "wieder da");
    assert_eq!(ben.gaps(log).await + ben.missing(log).await as usize, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_dies_at_any_write_while_its_past_comes_ends_with_all_of_it() {
    for nth in 1.. {
        let (_world, anna, ben, tablet, log) = with_tablet_after(3).await;
        tablet.settle().await;
        round(&tablet).await;
        round(&anna).await;
        tablet.kill_at(nth, FaultPoint::BeforeCommit);
        let _ = tablet.account.sync_all().await;
        let _ = tablet.account.share_history().await;
        let died = tablet.is_dead().await;
        let tablet = tablet.restart().await;
        exchange(&[&tablet, &anna, &ben]).await;
        assert_eq!(seen(&tablet, log).await, seen(&anna, log).await, "killed at write {nth}");
        if !died {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_dies_while_it_gives_gives_the_rest_when_it_is_back() {
    let mut world = World::found().await;
    let network = Hostile::default();
    let anna = world.phone_over("anna", network.network()).await;
    let ben = world.phone("ben").await;
    let log = anna.writes_first(&ben, "vorher").await;
    let tablet = world.second_phone("anna", &anna).await;
    tablet.settle().await;
    round(&tablet).await;
    // The grant stands in the log, and Anna's phone never hears of it.
    network.loses_answers(path::APPEND);
    anna.account.sync_all().await.unwrap();
    assert!(anna.account.share_history().await.is_err());
    let anna = anna.restart().await;
    network.is_honest_again();
    exchange(&[&tablet, &anna]).await;
    assert_eq!(tablet.texts(log).await, ["vorher"]);
    assert_eq!(grants(&tablet).await, 1, "what stands in the log is not given again");
}

/// What Anna's phone says of one of her messages' keys: another message's.
async fn lies_about_keys(phone: &Phone) {
    let lies = phone.account.store().write(|tx| {
        let sql = "UPDATE message SET record_key = (
                       SELECT record_key FROM message WHERE text = 'Nachricht 4')
                   WHERE text IN ('Nachricht 7', 'Nachricht 12')";
        tx.execute(sql, [])?;
        Ok::<_, StoreError>(())
    });
    lies.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_25_a_grantor_that_lies_about_keys_is_named_and_costs_what_he_lied_about_only() {
    let (mut world, anna, ben, tablet, log) = with_tablet().await;
    exchange(&[&anna, &ben, &tablet]).await;
    lies_about_keys(&anna).await;
    let third = world.further_phone("anna", "anna-3", &tablet, Arc::new(Https)).await;
    third.settle().await;
    // Whichever of the two gives: the tablet is away.
    tablet.account.suspend().await;
    let given = async {
        while third.account.history(log).await.unwrap().missing != 2 {
            exchange(&[&third, &anna]).await;
        }
    };
    tokio::time::timeout(PATIENCE, given).await.unwrap();
    assert_eq!(codes(&third).await, [Code::Grant as u64]);
    assert_eq!(third.gaps(log).await, 0);
    let lines: Vec<u64> = rows(&third, log)
        .await
        .into_iter()
        .filter(|row| row.kind == MessageKind::Unreadable)
        .map(|row| row.missing)
        .collect();
    assert_eq!(lines.iter().sum::<u64>(), 2, "it says what is not readable");
    assert!(!third.texts(log).await.contains(&"Nachricht 7".to_owned()));

    // The honest one is asked, and gives what is missing.
    anna.account.suspend().await;
    tablet.account.resume().await.unwrap();
    let again = async {
        while third.account.history(log).await.unwrap() != NOTHING {
            third.account.ask_again(log).await.unwrap();
            exchange(&[&third, &tablet]).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
    assert_eq!(third.texts(log).await, tablet.texts(log).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_25_a_server_that_hands_out_other_entries_is_told_and_changes_nothing() {
    let (mut world, anna, _ben, tablet, log) = with_tablet().await;
    exchange(&[&anna, &tablet]).await;
    let network = Hostile::default();
    let third = world.further_phone("anna", "anna-3", &tablet, network.network()).await;
    third.settle().await;
    network.twists::<Vec<Entry>>(path::HISTORY, |entries| {
        let other = entries[0].payload.clone();
        for entry in &mut entries[1..] {
            entry.payload = other.clone();
        }
        if let Payload::Kept(Bytes(bytes)) = &mut entries[0].payload {
            bytes[30] ^= 1;
        }
    });
    let told = async {
        while codes(&third).await.is_empty() {
            for phone in [&tablet, &anna] {
                round(phone).await;
            }
            third.account.sync_all().await.unwrap();
            let _ = third.account.share_history().await;
            third.account.send_once().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert!(codes(&third).await.iter().all(|code| *code == Code::Fork as u64));
    assert_eq!(third.texts(log).await.len(), 0, "nothing that was changed is shown");
    network.is_honest_again();
    exchange(&[&third, &tablet, &anna]).await;
    assert_eq!(third.texts(log).await, tablet.texts(log).await, "the keys were kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_given_to_a_device_that_was_revoked() {
    let (mut world, anna, _ben, tablet, log) = with_tablet().await;
    tablet.settle().await;
    round(&tablet).await;
    anna.account.sync_all().await.unwrap();
    let lost = tablet.account.device();
    let (code, invitation, env) = {
        let (_, invitation) = world.invited("anna").await;
        let env = hauspost_tests::real::env(Arc::new(Https));
        match world.try_to_enrol("anna-3", &invitation, env.clone()).await {
            Err(hauspost_core::account::AccountError::NeedsApproval(code)) => {
                (code, invitation, env)
            }
            other => panic!("{:?}", other.err()),
        }
    };
    anna.account.approve_device(&code, Some(lost)).await.unwrap();
    let new = world.try_to_enrol("anna-3", &invitation, env).await.unwrap();
    round(&anna).await;
    assert_eq!(grants(&anna).await, 0, "what the lost one asked for is not given");
    exchange(&[&new, &anna]).await;
    assert_eq!(new.texts(log).await, anna.texts(log).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_grant_is_not_answered_backs_off_and_the_past_comes_later() {
    let mut world = World::found().await;
    let network = Hostile::default();
    let anna = world.phone_over("anna", network.network()).await;
    let ben = world.phone("ben").await;
    let log = anna.writes_first(&ben, "vorher").await;
    let tablet = world.second_phone("anna", &anna).await;
    tablet.settle().await;
    round(&tablet).await;
    let tried = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tried);
    network.answers(move |request| {
        let append = decode::<AppendRequest>(&request.body).ok()?;
        let head = Head::parse(&append.entries.first()?.0).ok()?;
        (request.path == path::APPEND && head.kind == Kind::Grant).then(|| {
            counted.fetch_add(1, Ordering::Relaxed);
            Err(NetworkError::Broken)
        })
    });
    anna.account.sync_all().await.unwrap();
    assert!(anna.account.share_history().await.is_err());
    assert_eq!(tried.load(Ordering::Relaxed), 1, "it backs off");
    anna.account.share_history().await.unwrap();
    assert_eq!(tried.load(Ordering::Relaxed), 1, "and waits its time");
    assert_eq!(tablet.account.history(log).await.unwrap().missing, 1);
}
