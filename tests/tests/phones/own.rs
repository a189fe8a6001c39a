//! What the devices of one person agree on, and nobody else learns: how far he has read, drafts, stars,
//! silence, archive, favourites, settings; and his notes.

use std::sync::Arc;

use hauspost_core::account::AccountError;
use hauspost_core::outbox::intent::Say;
use hauspost_core::read::ConversationRow;
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::log;
use hauspost_core::store::rows::message::Message;
use hauspost_core::store::rows::outbox::{self, IntentKind, NewIntent};
use hauspost_core::sync::Https;
use hauspost_core::{ledger::Ledger, read, read::Window};
use hauspost_protocol::body::LogType;
use hauspost_protocol::content::{FOR_EVER, OwnFact, OwnSaid, OwnState};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::ids::{LogId, Seq};
use hauspost_protocol::statement::PayloadType;
use hauspost_tests::real::{Phone, World, env};

/// Anna with a phone and a tablet, in a group with Ben, who wrote one line.
struct Company {
    world: World,
    anna: Phone,
    tablet: Phone,
    ben: Phone,
    log: LogId,
}

async fn company() -> Company {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let tablet = world.second_phone("anna", &anna).await;
    anna.settle().await;
    let people = vec![anna.account.user()];
    let log = ben.account.create_group(Some("Lager"), people).await.unwrap();
    ben.account.send_text(log, "Montag?").await.unwrap();
    ben.settle().await;
    settle(&[&anna, &tablet]).await;
    Company { world, anna, tablet, ben, log }
}

/// Lets all of them hear all that was said, and what is said about that.
async fn settle(phones: &[&Phone]) {
    for _ in 0..3 {
        for phone in phones {
            phone.settle().await;
        }
    }
}

async fn row(phone: &Phone, log: LogId) -> ConversationRow {
    phone.account.conversation(log).await.unwrap().unwrap()
}

async fn said(phone: &Phone, log: LogId, text: &str) -> Message {
    let page = phone.account.timeline(log, Window::Newest, 100).await.unwrap();
    page.rows.into_iter().find(|row| row.text.as_deref() == Some(text)).unwrap()
}

/// The person's own log.
async fn own_log(phone: &Phone) -> LogId {
    phone.account.store().read(log::own).await.unwrap().unwrap().local.id
}

async fn devices_in(phone: &Phone, log: LogId) -> usize {
    let ledger = phone.account.store().read(move |conn| Ledger::load(conn, log)).await.unwrap();
    ledger.unwrap().members().count()
}

/// What a row shows of the person's own, but for what belongs to this device alone.
fn shown(row: &ConversationRow) -> impl PartialEq + std::fmt::Debug + use<> {
    let draft = row.draft.clone();
    (row.unread, row.read_seq, row.muted_until, row.archived, row.favourite, draft)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_does_on_one_device_shows_on_the_other() {
    let Company { world: _world, anna, tablet, ben, log, .. } = company().await;
    assert_eq!((row(&anna, log).await.unread, row(&tablet, log).await.unread), (1, 1));
    let message = said(&anna, log, "Montag?").await;
    anna.account.mark_read(log, message.seq.unwrap()).await.unwrap();
    anna.account.star(log, message.message_id, true).await.unwrap();
    anna.account.set_draft(log, Some("Ja, um".to_owned())).await.unwrap();
    anna.account.mute_until(log, Some(9_000_000_000_000)).await.unwrap();
    anna.account.set_own_setting("quiet", Some(b"22-6".to_vec())).await.unwrap();
    settle(&[&anna, &tablet]).await;
    let there = row(&tablet, log).await;
    assert_eq!((there.unread, there.read_seq), (0, message.seq));
    assert_eq!(there.draft.as_deref(), Some("Ja, um"));
    assert_eq!(there.muted_until, Some(9_000_000_000_000));
    assert!(said(&tablet, log, "Montag?").await.is_starred);
    let quiet = tablet.account.own_setting("quiet").await.unwrap();
    assert_eq!(quiet.as_deref(), Some(b"22-6".as_slice()));

    // And the other way round, each of it taken back.
    tablet.account.star(log, message.message_id, false).await.unwrap();
    tablet.account.set_draft(log, None).await.unwrap();
    tablet.account.set_muted(log, false).await.unwrap();
    tablet.account.set_own_setting("quiet", None).await.unwrap();
    settle(&[&tablet, &anna]).await;
    let here = row(&anna, log).await;
    assert_eq!((here.draft, here.muted_until, here.unread), (None, None, 0));
    assert!(!said(&anna, log, "Montag?").await.is_starred);
    assert_eq!(anna.account.own_setting("quiet").await.unwrap(), None);

    // Ben hears of nothing, and his list is as it was.
    ben.settle().await;
    assert_eq!(ben.account.conversations(None, 10).await.unwrap().len(), 1);
    for phone in [&anna, &tablet, &ben] {
        assert_eq!(phone.alarms().await + phone.gaps(log).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_in_the_same_order_on_both_devices_with_favourites_first_and_the_archive_apart()
{
    let Company { world: _world, anna, tablet, ben, log, .. } = company().await;
    let mut logs = vec![log];
    for title in ["Tour", "Werkstatt", "Büro"] {
        let people = vec![anna.account.user()];
        logs.push(ben.account.create_group(Some(title), people).await.unwrap());
    }
    settle(&[&ben, &anna, &tablet]).await;
    let list = async |phone: &Phone| -> Vec<LogId> {
        let rows = phone.account.conversations(None, 10).await.unwrap();
        rows.into_iter().map(|row| row.log).collect()
    };
    for favourite in [logs[0], logs[2], logs[1]] {
        anna.account.set_favourite(favourite, true).await.unwrap();
    }
    settle(&[&anna, &tablet]).await;
    tablet.account.move_favourite(logs[1], Some(logs[0])).await.unwrap();
    tablet.account.set_archived(logs[3], true).await.unwrap();
    settle(&[&tablet, &anna]).await;
    let expected = vec![logs[1], logs[0], logs[2]];
    assert_eq!((list(&anna).await, list(&tablet).await), (expected.clone(), expected.clone()));
    // A page at a time it is the same list.
    let mut pages = Vec::new();
    let mut after = None;
    while let [row] = &anna.account.conversations(after, 1).await.unwrap()[..] {
        pages.push(row.log);
        after = Some(row.cursor);
    }
    assert_eq!(pages, expected);
    for phone in [&anna, &tablet] {
        let away = phone.account.archived(None, 10).await.unwrap();
        assert_eq!(away.iter().map(|row| row.log).collect::<Vec<_>>(), [logs[3]]);
    }
    // What comes does not bring it back, and does not count.
    ben.account.send_text(logs[3], "noch jemand da?").await.unwrap();
    settle(&[&ben, &anna, &tablet]).await;
    assert_eq!(anna.account.archived(None, 10).await.unwrap()[0].unread, 1);
    let total = anna.account.store().read(read::unread_total).await.unwrap();
    assert_eq!(total, 1, "of “Lager” alone");
    anna.account.set_archived(logs[3], false).await.unwrap();
    settle(&[&anna, &tablet]).await;
    assert_eq!(list(&tablet).await, [expected, vec![logs[3]]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_comes_later_learns_all_of_it_and_what_was_unread_stays_unread() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = ben.account.create_group(Some("Lager"), vec![anna.account.user()]).await.unwrap();
    for text in ["eins", "zwei", "drei"] {
        ben.account.send_text(log, text).await.unwrap();
    }
    ben.settle().await;
    anna.settle().await;
    let first = said(&anna, log, "eins").await;
    anna.account.mark_read(log, first.seq.unwrap()).await.unwrap();
    anna.account.star(log, first.message_id, true).await.unwrap();
    anna.account.set_draft(log, Some("gleich".to_owned())).await.unwrap();
    anna.account.set_muted(log, true).await.unwrap();
    anna.account.set_favourite(log, true).await.unwrap();
    settle(&[&anna]).await;
    // One device tells nobody.
    assert!(anna.account.store().read(log::own).await.unwrap().is_none());

    let tablet = world.second_phone("anna", &anna).await;
    settle(&[&tablet, &anna, &tablet]).await;
    for _ in 0..4 {
        for phone in [&tablet, &anna, &ben] {
            phone.settle().await;
            phone.account.share_history().await.unwrap();
            phone.settle().await;
        }
    }
    let there = row(&tablet, log).await;
    assert_eq!(tablet.texts(log).await, anna.texts(log).await);
    assert_eq!((there.unread, there.muted_until), (2, Some(FOR_EVER)));
    assert_eq!(shown(&there), shown(&row(&anna, log).await));
    assert!(said(&tablet, log, "eins").await.is_starred, "its star came before the message");

    // A third one asks, though what it asks for was said before it came.
    let network = Arc::new(Https);
    let third = world.further_phone("anna", "anna-3", &anna, network).await;
    settle(&[&third, &anna, &tablet, &third]).await;
    let third = row(&third, log).await;
    assert_eq!((third.muted_until, third.favourite), (there.muted_until, there.favourite));
    assert_eq!(third.draft.as_deref(), Some("gleich"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_that_begin_the_log_at_once_end_in_one() {
    let Company { world: _world, anna, tablet, log, .. } = company().await;
    anna.account.set_draft(log, Some("vom Telefon".to_owned())).await.unwrap();
    tablet.account.set_muted(log, true).await.unwrap();
    // Both have made one before either sends.
    anna.account.agree().await.unwrap();
    tablet.account.agree().await.unwrap();
    assert_ne!(own_log(&anna).await, own_log(&tablet).await);
    let notes = tablet.account.notes().await.unwrap();
    tablet.account.send_text(notes, "Milch").await.unwrap();
    settle(&[&anna, &tablet]).await;
    settle(&[&tablet, &anna]).await;
    assert_eq!(own_log(&anna).await, own_log(&tablet).await);
    assert_eq!(shown(&row(&anna, log).await), shown(&row(&tablet, log).await));
    assert_eq!(row(&anna, log).await.draft.as_deref(), Some("vom Telefon"));
    assert_eq!(row(&anna, log).await.muted_until, Some(FOR_EVER));
    assert_eq!(anna.texts(own_log(&anna).await).await, ["Milch"], "the note moved there");
    assert_eq!(anna.alarms().await + tablet.alarms().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_words_of_two_drafts_are_lost_and_none_is_changed_under_the_fingers() {
    let Company { world: _world, anna, tablet, log, .. } = company().await;
    anna.account.set_draft(log, Some("Ich komme".to_owned())).await.unwrap();
    settle(&[&anna, &tablet]).await;
    // Written without knowing of each other; the tablet's is sent first.
    anna.account.set_draft(log, Some("Ich komme um acht".to_owned())).await.unwrap();
    tablet.account.set_draft(log, Some("Bin krank".to_owned())).await.unwrap();
    tablet.settle().await;
    settle(&[&anna, &tablet]).await;
    let both = "Bin krank\nIch komme um acht";
    assert_eq!(row(&anna, log).await.draft.as_deref(), Some(both));
    assert_eq!(row(&tablet, log).await.draft.as_deref(), Some(both));

    // Anna types on the tablet while the phone's draft comes: what she types stays.
    let before = row(&tablet, log).await;
    let typed = |text: &str| Some(text.to_owned());
    tablet.account.note_draft(log, typed("Doch nicht"), before.draft_version).await.unwrap();
    anna.account.set_draft(log, typed("Um neun")).await.unwrap();
    settle(&[&anna, &tablet]).await;
    let now = row(&tablet, log).await;
    assert_eq!(now.draft.as_deref(), Some("Doch nicht"));
    assert_ne!(now.draft_version, before.draft_version);
    // She leaves the conversation: both stand there, on both.
    tablet.account.set_draft_from(log, typed("Doch nicht!"), before.draft_version).await.unwrap();
    settle(&[&tablet, &anna]).await;
    let both = "Um neun\nDoch nicht!";
    assert_eq!(row(&tablet, log).await.draft.as_deref(), Some(both));
    assert_eq!(row(&anna, log).await.draft.as_deref(), Some(both));
    // What was sent leaves nothing behind.
    anna.account.set_draft(log, None).await.unwrap();
    settle(&[&anna, &tablet]).await;
    assert_eq!(row(&tablet, log).await.draft, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_killed_tells_what_it_had_not_told() {
    let Company { world: _world, anna, tablet, log, .. } = company().await;
    anna.account.set_muted(log, true).await.unwrap();
    let version = row(&anna, log).await.draft_version;
    anna.account.note_draft(log, Some("halb".to_owned()), version).await.unwrap();
    let anna = anna.restart().await;
    assert_eq!(row(&anna, log).await.draft.as_deref(), Some("halb"));
    settle(&[&anna, &tablet]).await;
    let there = row(&tablet, log).await;
    assert_eq!((there.draft.as_deref(), there.muted_until), (Some("halb"), Some(FOR_EVER)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_in_a_row_is_one_record_and_the_last_word_of_each() {
    let Company { world: _world, anna, tablet, log, .. } = company().await;
    anna.account.set_muted(log, true).await.unwrap();
    settle(&[&anna, &tablet]).await;
    let own = own_log(&anna).await;
    let size = async || {
        anna.account.sync_all().await.unwrap();
        let row = anna.account.store().read(move |conn| log::find(conn, own)).await.unwrap();
        row.unwrap().next_seq.0
    };
    let before = size().await;
    for text in ["a", "ab", "abc"] {
        anna.account.set_draft(log, Some(text.to_owned())).await.unwrap();
    }
    for muted in [false, true, false] {
        anna.account.set_muted(log, muted).await.unwrap();
    }
    anna.settle().await;
    assert_eq!(size().await, before + 1);
    settle(&[&tablet]).await;
    assert_eq!(row(&tablet, log).await.draft.as_deref(), Some("abc"));
    assert_eq!(row(&tablet, log).await.muted_until, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_stand_in_the_list_once_they_are_opened_and_on_the_other_device_once_there_are_any() {
    let Company { world: _world, anna, tablet, ben, log, .. } = company().await;
    let logs = async |phone: &Phone| -> Vec<LogType> {
        let rows = phone.account.conversations(None, 10).await.unwrap();
        rows.into_iter().map(|row| row.r#type).collect()
    };
    anna.account.set_muted(log, true).await.unwrap();
    settle(&[&anna, &tablet]).await;
    assert_eq!(logs(&anna).await, [LogType::Group], "state alone is nothing to see");
    let notes = anna.account.notes().await.unwrap();
    assert_eq!(notes, own_log(&anna).await);
    settle(&[&anna, &tablet]).await;
    assert_eq!(logs(&anna).await.len(), 2);
    assert_eq!(logs(&tablet).await, [LogType::Group]);
    anna.account.send_text(notes, "Zange kaufen").await.unwrap();
    settle(&[&anna, &tablet, &ben]).await;
    assert_eq!(logs(&tablet).await, [LogType::SelfNotes, LogType::Group]);
    assert_eq!(tablet.texts(notes).await, ["Zange kaufen"]);
    assert_eq!(row(&tablet, notes).await.unread, 0);
    assert_eq!(logs(&ben).await, [LogType::Group]);
    let left = anna.account.leave(notes).await.err().unwrap();
    assert!(matches!(left, AccountError::NotAllowed));
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_48_a_revoked_device_is_out_of_the_own_log_before_the_next_record() {
    let Company { mut world, anna, tablet, log, .. } = company().await;
    anna.account.set_muted(log, true).await.unwrap();
    settle(&[&anna, &tablet]).await;
    let own = own_log(&anna).await;
    assert_eq!(devices_in(&anna, own).await, 2);
    // A new phone takes the tablet's place, and revokes it.
    let (_, invitation) = world.invited("anna").await;
    let env = env(Arc::new(Https));
    let code = match world.try_to_enrol("anna-3", &invitation, env.clone()).await {
        Err(AccountError::NeedsApproval(code)) => code,
        other => panic!("{:?}", other.err()),
    };
    assert!(world.approves(&code, Some(tablet.account.device())).await);
    anna.account.set_draft(log, Some("nicht fürs Tablet".to_owned())).await.unwrap();
    anna.settle().await;
    assert_eq!(devices_in(&anna, own).await, 1);
    let third = world.try_to_enrol("anna-3", &invitation, env).await.unwrap();
    settle(&[&third, &anna, &third]).await;
    assert_eq!(devices_in(&anna, own).await, 2);
    assert_eq!(row(&third, log).await.draft.as_deref(), Some("nicht fürs Tablet"));
    assert!(tablet.account.sync_all().await.is_err());
    assert_eq!(row(&tablet, log).await.draft, None);
}

/// What a patched device of the person says, and nobody asks whether it may.
async fn says(phone: &Phone, log: LogId, content: Vec<u8>) {
    let body = encode(&Say { ptype: PayloadType::OwnState, content: Bytes(content) });
    let intent = NewIntent { log, kind: IntentKind::Record, message_id: None, body, made_ms: 0 };
    let said = phone
        .account
        .store()
        .write::<_, StoreError, _>(move |tx| outbox::insert(tx, &intent).map(|_| ()));
    said.await.unwrap();
    phone.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_48_hostile_own_state_does_no_harm() {
    let Company { world: _world, anna, tablet, ben, log, .. } = company().await;
    anna.account.set_draft(log, Some("bleibt".to_owned())).await.unwrap();
    settle(&[&anna, &tablet]).await;
    let own = own_log(&tablet).await;
    let before = shown(&row(&anna, log).await);
    let unknown = LogId([9; 16]);
    let fact = |fact, place| OwnState { said: vec![OwnSaid { fact, place }], asks: false };
    says(&tablet, own, b"no list".to_vec()).await;
    says(&tablet, own, encode(&vec![((77u64, log, "x".to_owned()), None::<Seq>)])).await;
    let long = OwnFact::Draft { log, text: Some("x".repeat(9_000)), based: Seq(9) };
    says(&tablet, own, encode(&fact(long, None))).await;
    let elsewhere = OwnFact::Muted { log: unknown, until_ms: FOR_EVER };
    says(&tablet, own, encode(&fact(elsewhere, None))).await;
    // Nothing that was read is unread again, whatever place it claims.
    let unread = OwnFact::Read { log, below: Seq(0) };
    says(&tablet, own, encode(&fact(unread, Some(Seq(1 << 40))))).await;
    settle(&[&anna]).await;
    assert_eq!(shown(&row(&anna, log).await), before);
    assert_eq!(anna.alarms().await + anna.gaps(log).await + anna.gaps(own).await, 0);

    // In a group it would be a word that no archive opens: a gap, and the admin hears of it.
    let hidden = OwnFact::Draft { log, text: Some("am Archiv vorbei".to_owned()), based: Seq(0) };
    says(&ben, log, encode(&fact(hidden, None))).await;
    settle(&[&anna]).await;
    assert_eq!((anna.gaps(log).await, anna.alarms().await), (1, 1));
    assert_eq!(row(&anna, log).await.draft.as_deref(), Some("bleibt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_phone_learns_again_what_its_backup_did_not_know() {
    let Company { world: _world, anna, tablet, log, .. } = company().await;
    anna.account.set_draft(log, Some("alt".to_owned())).await.unwrap();
    settle(&[&anna, &tablet]).await;
    let anna = anna.backed_up().await;
    anna.account.set_draft(log, Some("neu".to_owned())).await.unwrap();
    settle(&[&anna, &tablet]).await;
    tablet.account.set_muted(log, true).await.unwrap();
    settle(&[&tablet, &anna]).await;
    let anna = anna.restored().await;
    settle(&[&anna, &tablet, &anna]).await;
    assert_eq!(shown(&row(&anna, log).await), shown(&row(&tablet, log).await));
    assert_eq!(row(&anna, log).await.draft.as_deref(), Some("neu"));
}
