//! What people see of each other, and only where the signed policy lets them: how far a message has come,
//! who has read it, when a phone is quiet.

use hauspost_core::account::{Draft, Shows};
use hauspost_core::notify::Loudness;
use hauspost_core::outbox::intent::Say;
use hauspost_core::read::Window;
use hauspost_core::store::rows::message::{Message, MessageState, Reach};
use hauspost_core::store::rows::outbox::{self, IntentKind, NewIntent};
use hauspost_core::store::{StoreError, Tx};
use hauspost_protocol::company::policy::{
    Callers, CouncilPart, GeneralPart, QuietPlan, QuietSpan, Terms, WhoMayCallAll, Zone,
};
use hauspost_protocol::content;
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::ids::{LogId, MessageId, Seq};
use hauspost_protocol::statement::PayloadType;
use hauspost_protocol::wire::path;
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World};

/// The policy that turns read receipts on.
fn with_receipts() -> Terms {
    let council = CouncilPart { read_receipts: true, ..CouncilPart::default() };
    Terms { council, ..Terms::default() }
}

async fn rows(phone: &Phone, log: LogId) -> Vec<Message> {
    let mut rows = phone.account.timeline(log, Window::Newest, 50).await.unwrap().rows;
    rows.retain(Message::is_said);
    rows
}

async fn newest(phone: &Phone, log: LogId) -> Message {
    rows(phone, log).await.pop().unwrap()
}

async fn reach(phone: &Phone, log: LogId) -> Reach {
    newest(phone, log).await.reach.unwrap()
}

async fn reads_all(phone: &Phone, log: LogId) {
    let newest = newest(phone, log).await.seq.unwrap();
    phone.account.mark_read(log, newest).await.unwrap();
    phone.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_33_a_message_is_at_the_server_then_delivered_and_no_record_says_so() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let carla = world.phone("carla").await;
    let members = vec![ben.account.user(), carla.account.user()];
    let log = anna.account.create_group(None, members).await.unwrap();
    anna.account.send_text(log, "Schicht morgen ab sechs").await.unwrap();
    anna.settle().await;
    assert!(anna.account.ask_delivered(log).await.unwrap());
    assert_eq!(reach(&anna, log).await, Reach { of: 2, delivered: 0, read: None });

    // A phone has what it named in the pull after the one that brought it.
    ben.settle().await;
    ben.account.sync_all().await.unwrap();
    assert!(anna.account.ask_delivered(log).await.unwrap());
    assert_eq!(reach(&anna, log).await, Reach { of: 2, delivered: 1, read: None });
    carla.settle().await;
    carla.account.sync_all().await.unwrap();
    assert!(!anna.account.ask_delivered(log).await.unwrap());
    assert_eq!(reach(&anna, log).await, Reach { of: 2, delivered: 2, read: None });
    let size = newest(&anna, log).await.seq;
    ben.settle().await;
    anna.settle().await;
    assert_eq!(newest(&anna, log).await.seq, size, "nobody wrote anything");

    // Somebody else's message is nobody's business.
    assert!(!ben.account.ask_delivered(log).await.unwrap());
    assert_eq!(newest(&ben, log).await.reach, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_colleague_signs_proves_that_he_has_a_message_whatever_the_server_says() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.account.send_text(log, "Lieferschein 4711 ist da").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    ben.account.send_text(log, "danke").await.unwrap();
    ben.settle().await;
    anna.settle().await;
    let rows = rows(&anna, log).await;
    assert_eq!(rows[0].reach, Some(Reach { of: 1, delivered: 1, read: None }));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_who_read_what_until_the_policy_says_so() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.account.send_text(log, "eins").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    reads_all(&ben, log).await;
    anna.settle().await;
    assert_eq!(reach(&anna, log).await.read, None);
    let before = newest(&anna, log).await.seq.unwrap();

    world.policy(with_receipts()).await;
    anna.account.sync_all().await.unwrap();
    ben.account.sync_all().await.unwrap();
    assert_eq!(reach(&anna, log).await.read, Some(0), "he read it before anybody might know");
    anna.account.send_text(log, "zwei").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert_eq!(reach(&anna, log).await.read, Some(0));
    reads_all(&ben, log).await;
    anna.settle().await;
    let rows = rows(&anna, log).await;
    let read: Vec<_> = rows.iter().map(|row| row.reach.unwrap().read).collect();
    assert_eq!(read, [Some(1), Some(1)], "who read the second read the first");
    assert!(rows[1].seq.unwrap() > before);

    // The policy takes it back, and what was known goes.
    world.policy(Terms::default()).await;
    anna.account.sync_all().await.unwrap();
    assert_eq!(reach(&anna, log).await.read, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_withholds_what_he_reads_does_not_see_what_others_read() {
    let mut world = World::found().await;
    world.policy(with_receipts()).await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    ben.account.withhold_receipts(true).await.unwrap();
    anna.account.send_text(log, "eins").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    reads_all(&ben, log).await;
    ben.account.send_text(log, "zwei").await.unwrap();
    ben.settle().await;
    anna.settle().await;
    assert_eq!(rows(&anna, log).await[0].reach.unwrap().read, Some(0));
    reads_all(&anna, log).await;
    ben.settle().await;
    assert_eq!(reach(&ben, log).await.read, None);
    assert!(ben.account.withholds_receipts().await.unwrap());
    ben.account.withhold_receipts(false).await.unwrap();
    assert_eq!(reach(&ben, log).await.read, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_and_mute_decide_how_loud_a_message_is_and_it_rings_once() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    let send = async |text: &str| {
        anna.account.send_text(log, text).await.unwrap();
        anna.settle().await;
        ben.settle().await;
        let told = ben.account.take_notifications(10).await.unwrap();
        assert!(ben.account.take_notifications(10).await.unwrap().is_empty());
        told.into_iter().map(|told| (told.message.text.unwrap(), told.loudness)).collect::<Vec<_>>()
    };
    assert_eq!(send("laut").await, [("laut".to_owned(), Loudness::Loud)]);
    let always = QuietSpan { days: QuietSpan::EVERY_DAY, from_minute: 0, to_minute: 0 };
    let general = GeneralPart {
        quiet_hours: QuietPlan(vec![always]),
        zone: Some(Zone::berlin()),
        ..GeneralPart::default()
    };
    world.policy(Terms { general, ..Terms::default() }).await;
    ben.account.sync_all().await.unwrap();
    assert_eq!(send("leise").await, [("leise".to_owned(), Loudness::Silent)]);
    ben.account.set_quiet_hours(Some(QuietPlan::default())).await.unwrap();
    assert_eq!(send("wieder laut").await, [("wieder laut".to_owned(), Loudness::Loud)]);
    let too_long = QuietSpan { days: 200, from_minute: 0, to_minute: 0 };
    assert!(ben.account.set_quiet_hours(Some(QuietPlan(vec![too_long]))).await.is_err());
    // What was read elsewhere does not ring.
    anna.account.send_text(log, "gelesen").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    let seq = newest(&ben, log).await.seq.unwrap();
    ben.account.mark_read(log, seq).await.unwrap();
    assert!(ben.account.take_notifications(10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_of_whom_the_policy_names_breaks_through_and_nobody_elses_does() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    let always = QuietSpan { days: QuietSpan::EVERY_DAY, from_minute: 0, to_minute: 0 };
    ben.account.set_quiet_hours(Some(QuietPlan(vec![always]))).await.unwrap();
    assert!(anna.account.send_alarm(log, "Feuer").await.is_err(), "nobody may, so far");
    let alarm = Draft { shows: Shows::Alarm, ..Draft::plain("falscher Alarm") };
    anna.account.send(log, alarm).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    let told = ben.account.take_notifications(9).await.unwrap();
    assert_eq!(told[0].loudness, Loudness::Silent, "her phone was changed, his was not");

    let alarms = Callers { roles: Vec::new(), users: vec![anna.account.user()] };
    let council = CouncilPart { alarms, ..CouncilPart::default() };
    let general = GeneralPart { at_all: WhoMayCallAll::Nobody, ..GeneralPart::default() };
    world.policy(Terms { council, general }).await;
    anna.account.sync_all().await.unwrap();
    anna.account.send_alarm(log, "Feuer in Halle 3").await.unwrap();
    anna.account.send_typed(log, "und das an @alle", None).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    let told = ben.account.take_notifications(9).await.unwrap();
    let told: Vec<_> = told.iter().map(|told| (told.loudness, told.message.mentions_me)).collect();
    assert_eq!(told, [(Loudness::Silent, false), (Loudness::Alarm, false)]);
    assert!(ben.account.send_alarm(log, "ich auch").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_longer_than_the_policy_lets_it_fails_and_goes_when_it_is_tried_again() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let general = GeneralPart { queue_hours: 1, ..GeneralPart::default() };
    world.policy(Terms { general, ..Terms::default() }).await;
    anna.account.sync_all().await.unwrap();
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    let old = anna.account.send_text(log, "vor zwei Stunden").await.unwrap();
    let age = |tx: &Tx<'_>| {
        tx.execute("UPDATE outbox SET made_ms = made_ms - 7200000 WHERE message_id NOT NULL", [])?;
        Ok::<_, StoreError>(())
    };
    anna.account.store().write(age).await.unwrap();
    anna.account.send_text(log, "eben").await.unwrap();
    anna.settle().await;
    assert_eq!(anna.state(log, "vor zwei Stunden").await, Some(MessageState::Failed));
    let there = anna.state(log, "eben").await;
    assert!(matches!(there, Some(MessageState::Sent | MessageState::Secured)), "{there:?}");
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["eben"]);
    anna.account.retry(log, old).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["eben", "vor zwei Stunden"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_in_force_is_there_with_its_fingerprints() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let first = anna.account.policy().await.unwrap();
    assert_eq!((first.version, first.officers, first.council), (Some(1), 3, 2));
    assert!(!first.terms.council.read_receipts);
    let general = GeneralPart { queue_hours: 5, ..GeneralPart::default() };
    world.policy(Terms { general, ..Terms::default() }).await;
    anna.account.sync_all().await.unwrap();
    let second = anna.account.policy().await.unwrap();
    assert_eq!(second.version, Some(2));
    assert_eq!(second.council_fingerprint, first.council_fingerprint, "the council was not asked");
    assert_ne!(second.fingerprint, first.fingerprint);
    assert_eq!(content::receipt(Vec::new()).len(), 2);
    assert!(second.entry > first.entry && second.entry > Some(Seq(0)));
}

/// What a patched phone says of what it read.
async fn says_read(phone: &Phone, log: LogId, ids: Vec<MessageId>) {
    let say = Say { ptype: PayloadType::Receipt, content: Bytes(content::receipt(ids)) };
    let (body, message_id) = (encode(&say), None);
    let intent = NewIntent { log, kind: IntentKind::Record, message_id, body, made_ms: 0 };
    let said = move |tx: &Tx<'_>| outbox::insert(tx, &intent).map(|_| ());
    phone.account.store().write::<_, StoreError, _>(said).await.unwrap();
    phone.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_33_a_receipt_counts_where_the_policy_let_it_be_said_and_names_a_few() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    let one = anna.account.send_text(log, "eins").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    says_read(&ben, log, vec![one]).await;
    // Anna reads it when there is a policy that would let him say so.
    world.policy(with_receipts()).await;
    anna.settle().await;
    assert_eq!(reach(&anna, log).await.read, Some(0));
    let mut many: Vec<_> = (0..16).map(|number| MessageId([number; 32])).collect();
    many.push(one);
    says_read(&ben, log, many).await;
    anna.settle().await;
    assert_eq!(reach(&anna, log).await.read, Some(0), "behind sixteen nobody looks");
    says_read(&ben, log, vec![one]).await;
    anna.settle().await;
    assert_eq!(reach(&anna, log).await.read, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_reads_on_another_phone_is_no_receipt_to_himself() {
    let mut world = World::found().await;
    world.policy(with_receipts()).await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = ben.account.create_dm(anna.account.user()).await.unwrap();
    ben.account.send_text(log, "von Ben").await.unwrap();
    ben.settle().await;
    let tablet = world.second_phone("ben", &ben).await;
    for phone in [&ben, &tablet, &anna, &ben, &tablet] {
        phone.settle().await;
    }
    ben.account.send_text(log, "noch etwas").await.unwrap();
    ben.settle().await;
    anna.settle().await;
    anna.account.send_text(log, "von Anna").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    reads_all(&ben, log).await;
    tablet.settle().await;
    let rows = rows(&tablet, log).await;
    let own = rows.iter().find(|row| row.text.as_deref() == Some("noch etwas")).unwrap();
    assert_eq!(own.reach.unwrap().read, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_called_by_whom_the_policy_lets_and_by_no_change_of_a_text() {
    let mut world = World::found().await;
    let general = GeneralPart { at_all: WhoMayCallAll::Owners, ..GeneralPart::default() };
    world.policy(Terms { general, ..Terms::default() }).await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = anna.account.create_group(None, vec![ben.account.user()]).await.unwrap();
    anna.account.send_typed(log, "an @alle", None).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert!(newest(&ben, log).await.mentions_me, "by an owner");
    let id = ben.account.send_typed(log, "auch an @alle", None).await.unwrap();
    ben.settle().await;
    anna.settle().await;
    assert!(!newest(&anna, log).await.mentions_me, "he is none");
    ben.account.edit_typed(log, id, "doch an @alle").await.unwrap();
    ben.settle().await;
    anna.settle().await;
    let changed = newest(&anna, log).await;
    assert_eq!(changed.text.as_deref(), Some("doch an @alle"));
    assert!(!changed.mentions_me);
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_that_only_a_newer_app_understands_leave_those_of_the_policy() {
    let (_world, [anna]) = World::of(["anna"]).await;
    let nonsense = QuietPlan(vec![QuietSpan { days: 200, from_minute: 0, to_minute: 0 }]);
    for newer in [encode(&nonsense), encode(&(1u64, 2u64))] {
        anna.account.set_own_setting("quiet", Some(newer)).await.unwrap();
        assert_eq!(anna.account.quiet_hours().await.unwrap().own, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_reached_a_person_when_one_of_his_phones_has_it_whichever() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let tablet = world.second_phone("ben", &ben).await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.account.send_text(log, "null").await.unwrap();
    for phone in [&anna, &ben, &tablet, &ben, &tablet] {
        phone.settle().await;
    }
    for phone in [&ben, &tablet] {
        anna.account.send_text(log, "noch eins").await.unwrap();
        anna.settle().await;
        assert!(anna.account.ask_delivered(log).await.unwrap());
        phone.settle().await;
        phone.account.sync_all().await.unwrap();
        assert!(!anna.account.ask_delivered(log).await.unwrap());
        assert_eq!(reach(&anna, log).await, Reach { of: 1, delivered: 1, read: None });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_33_nobody_asks_how_far_anything_is_who_has_nothing_under_way() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let network = Hostile::default();
    let ben = world.phone_over("ben", network.network()).await;
    let log = anna.writes_first(&ben, "von Anna").await;
    ben.settle().await;
    assert!(!ben.account.ask_delivered(log).await.unwrap());
    assert!(network.answers_seen().iter().all(|(at, _)| !at.starts_with(path::DELIVERED)));
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_kept_for_as_many_days_as_the_policy_says() {
    let mut world = World::found().await;
    let mut terms = with_receipts();
    terms.council.behaviour_days = 7;
    world.policy(terms).await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = anna.writes_first(&ben, "eins").await;
    ben.settle().await;
    reads_all(&ben, log).await;
    anna.settle().await;
    for (days, read) in [(0, 1), (6, 1), (2, 0)] {
        let age = move |tx: &Tx<'_>| {
            tx.execute("UPDATE read_up_to SET t_ms = t_ms - ?1 * 86400000", [days])?;
            Ok::<_, StoreError>(())
        };
        anna.account.store().write(age).await.unwrap();
        anna.account.forget_behaviour().await.unwrap();
        assert_eq!(reach(&anna, log).await.read, Some(read), "{days} days more");
    }
}
