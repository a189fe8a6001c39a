//! A conversation that goes on in a new group (docs/protocol.md §7, "Reset").

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hauspost_core::env::seeded::ManualClock;
use hauspost_core::env::system::SystemClock;
use hauspost_core::env::{Clock as _, Env};
use hauspost_core::inbound::Code;
use hauspost_core::read::Window;
use hauspost_core::store::FaultPoint;
use hauspost_core::store::rows::log::{self, LogState};
use hauspost_core::store::rows::message::{Event, MessageKind};
use hauspost_core::sync::{NetworkError, Response};
use hauspost_protocol::company::body::ReportCode;
use hauspost_protocol::company::policy::{GeneralPart, Terms};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::ids::{Gen, LogId};
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::wire::path;
use hauspost_tests::bomb;
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World, env};

use super::large::suite_and_size;

/// The state and the generation of a conversation on a phone.
async fn place(phone: &Phone, log: LogId) -> (LogState, Gen) {
    let row = phone.account.store().read(move |conn| log::find(conn, log)).await.unwrap().unwrap();
    (row.state, row.r#gen)
}

/// Who made resets, as the timeline shows it.
async fn resets(phone: &Phone, log: LogId) -> Vec<hauspost_protocol::ids::UserId> {
    let page = phone.account.timeline(log, Window::Newest, 500).await.unwrap();
    let is_reset = |content: &[u8]| Event::from_content(content) == Event::Reset;
    let lines = page.rows.into_iter().filter(|row| row.kind == MessageKind::Event);
    lines
        .filter(|row| is_reset(row.content.as_deref().unwrap_or_default()))
        .map(|row| row.author)
        .collect()
}

async fn group(world: &mut World) -> ([Phone; 3], [Hostile; 3], LogId) {
    let networks: [Hostile; 3] = Default::default();
    let anna = world.phone_over("anna", networks[0].network()).await;
    let ben = world.phone_over("ben", networks[1].network()).await;
    let carla = world.phone_over("carla", networks[2].network()).await;
    anna.account.sync_all().await.unwrap();
    let members = vec![ben.account.user(), carla.account.user()];
    let log = anna.account.create_group(Some("Lager"), members).await.unwrap();
    anna.account.send_text(log, "eins").await.unwrap();
    for phone in [&anna, &ben, &carla] {
        phone.settle().await;
    }
    ben.account.send_text(log, "zwei").await.unwrap();
    for phone in [&ben, &anna, &carla] {
        phone.settle().await;
    }
    ([anna, ben, carla], networks, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_the_admin_moves_everybody_to_a_new_group_and_loses_nothing() {
    let mut world = World::found().await;
    let ([anna, ben, carla], networks, log) = group(&mut world).await;
    // What Carla wrote is sealed for the old group and has not left her phone.
    networks[2].answers(|request| {
        request.path.starts_with(path::APPEND).then_some(Err(NetworkError::Timeout))
    });
    carla.account.send_text(log, "unterwegs").await.unwrap();
    carla.account.send_once().await.unwrap_err();
    networks[2].is_honest_again();

    world.orders_reset(log).await;
    ben.settle().await;
    assert_eq!(place(&ben, log).await, (LogState::Active, Gen(1)));
    for phone in [&carla, &anna, &ben] {
        phone.settle().await;
        phone.settle().await;
    }
    anna.account.send_text(log, "geht wieder").await.unwrap();
    for phone in [&anna, &ben, &carla] {
        phone.settle().await;
        assert_eq!(place(phone, log).await, (LogState::Active, Gen(1)));
        assert_eq!(phone.texts(log).await, ["eins", "zwei", "unterwegs", "geht wieder"]);
        assert_eq!(phone.gaps(log).await, 0);
        assert_eq!(resets(phone, log).await, [ben.account.user()]);
        assert_eq!(phone.account.members(log).await.unwrap().len(), 3);
    }
    ben.account.report_alarms().await.unwrap();
    let reports = world.reports().await;
    let told: Vec<_> = reports.iter().map(|report| (report.device, report.code)).collect();
    assert_eq!(told, [(ben.account.device(), ReportCode::Reset)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_2_a_commit_bomb_that_cannot_be_entered_past_is_healed_by_a_reset() {
    let mut world = World::found().await;
    let ([anna, ben, carla], networks, log) = group(&mut world).await;
    let dora = world.phone("dora").await;
    anna.account.sync_all().await.unwrap();
    bomb::arm(&anna, &networks[0]).await;
    anna.account.add_members(log, vec![dora.account.user()]).await.unwrap();
    anna.account.send_once().await.unwrap();
    networks[0].is_honest_again();
    for network in &networks[1..] {
        let none = encode(&Vec::<Bytes>::new());
        network.answers(move |request| {
            let asked = request.path.starts_with(path::GROUP_INFO);
            asked.then(|| Ok(Response { status: 200, body: none.clone() }))
        });
    }
    ben.account.sync_all().await.unwrap();
    assert_eq!(place(&ben, log).await, (LogState::Broken, Gen(0)));
    carla.account.send_text(log, "hört ihr mich?").await.unwrap();
    ben.settle().await;
    assert_eq!(place(&ben, log).await, (LogState::Active, Gen(1)));
    for phone in [&carla, &anna, &dora, &ben] {
        phone.settle().await;
        phone.settle().await;
    }
    carla.account.send_text(log, "wieder da").await.unwrap();
    for phone in [&carla, &anna, &dora, &ben] {
        phone.settle().await;
        assert_eq!(place(phone, log).await, (LogState::Active, Gen(1)));
    }
    for phone in [&anna, &ben, &carla] {
        assert_eq!(phone.texts(log).await, ["eins", "zwei", "hört ihr mich?", "wieder da"]);
        assert_eq!(resets(phone, log).await, [ben.account.user()]);
    }
    assert_eq!(dora.texts(log).await, ["hört ihr mich?", "wieder da"]);
    let alarms = ben.alarm_codes().await;
    assert_eq!(alarms, [Code::Mls as u64, Code::Reset as u64]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_killed_again_and_again_waits_between_its_attempts_to_enter() {
    let mut world = World::found().await;
    let (lies, nets) = (Hostile::default(), Hostile::default());
    let anna = world.phone_over("anna", lies.network()).await;
    let clock = Arc::new(ManualClock::at(SystemClock.now_ms()));
    let (user, invitation) = world.invited("ben").await;
    let env = Env { clock: clock.clone(), ..env(nets.network()) };
    let mut ben = world.try_to_enrol("ben", &invitation, env).await.unwrap();
    let dora = world.phone("dora").await;
    anna.account.sync_all().await.unwrap();
    let log = anna.account.create_group(None, vec![user]).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    bomb::arm_once(&anna, &lies).await;
    anna.account.add_members(log, vec![dora.account.user()]).await.unwrap();
    anna.account.send_once().await.unwrap();

    // There is no way in, and none to a new group.
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    nets.answers(move |request| {
        if request.path == path::PACKAGES_TAKE {
            return Some(Err(NetworkError::Broken));
        }
        let asks = request.path.starts_with(path::GROUP_INFO);
        count.fetch_add(usize::from(asks), Ordering::SeqCst);
        asks.then(|| Ok(Response { status: 200, body: encode(&Vec::<Bytes>::new()) }))
    });
    for attempts in [1, 2, 3, 3, 3] {
        ben.try_to_settle().await;
        assert_eq!(asked.load(Ordering::SeqCst), attempts);
        ben = ben.restart().await;
    }
    clock.advance(2_000);
    ben.try_to_settle().await;
    ben = ben.restart().await;
    ben.try_to_settle().await;
    assert_eq!(asked.load(Ordering::SeqCst), 4, "and then it waits twice as long");
    nets.is_honest_again();
    clock.advance(4_000);
    ben.settle().await;
    assert_eq!(place(&ben, log).await.0, LogState::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_killed_at_any_write_of_its_reset_makes_it_once() {
    let (mut world, [mut anna, ben]) = World::of(["anna", "ben"]).await;
    anna.settle().await;
    let mut deaths = 0;
    for nth in 1..=6 {
        for point in [FaultPoint::BeforeCommit, FaultPoint::AfterCommit] {
            let log = anna.account.create_group(None, vec![ben.account.user()]).await.unwrap();
            anna.account.send_text(log, "vorher").await.unwrap();
            anna.settle().await;
            world.orders_reset(log).await;
            anna.account.send_text(log, "nachher").await.unwrap();
            anna.kill_at(nth, point);
            anna.try_to_settle().await;
            deaths += u32::from(anna.is_dead().await);
            anna = anna.restart().await;
            anna.settle().await;
            anna.settle().await;
            ben.settle().await;
            for phone in [&anna, &ben] {
                assert_eq!(place(phone, log).await, (LogState::Active, Gen(1)));
                assert_eq!(phone.texts(log).await, ["vorher", "nachher"], "{nth} {point:?}");
                assert_eq!(resets(phone, log).await, [anna.account.user()]);
                assert_eq!(phone.gaps(log).await, 0);
            }
        }
    }
    assert!(deaths >= 6, "the phone died {deaths} times only");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_move_by_themselves_to_the_suite_that_the_policy_names_and_new_ones_begin_in_it() {
    let (mut world, [anna, ben, carla]) = World::of(["anna", "ben", "carla"]).await;
    let members = vec![ben.account.user(), carla.account.user()];
    let log = anna.account.create_group(None, members.clone()).await.unwrap();
    anna.account.send_text(log, "vorher").await.unwrap();
    let dm = anna.writes_first(&ben, "unter uns").await;
    for phone in [&anna, &ben, &carla] {
        phone.settle().await;
        assert_eq!(suite_and_size(phone, log).await, (Suite::Hybrid, 3));
    }
    let general = GeneralPart { suite_code: Some(Suite::Classic.code()), ..GeneralPart::default() };
    world.policy(Terms { general, ..Terms::default() }).await;
    // Ben is no owner, and nobody asked him.
    ben.settle().await;
    for phone in [&anna, &carla, &ben] {
        phone.settle().await;
        assert_eq!(suite_and_size(phone, log).await, (Suite::Classic, 3));
    }
    assert_eq!(suite_and_size(&anna, dm).await, (Suite::Classic, 2));
    carla.account.send_text(log, "nachher").await.unwrap();
    for phone in [&carla, &anna, &ben] {
        phone.settle().await;
        assert_eq!(phone.texts(log).await, ["vorher", "nachher"]);
    }
    let reset = Code::Reset as u64;
    assert_eq!(ben.alarm_codes().await, [reset, reset], "an admin hears of each");
    assert!(ben.account.alarms(9).await.unwrap().iter().all(|alarm| alarm.is_acknowledged));
    assert_eq!(anna.alarms().await + carla.alarms().await, 0);

    let later = anna.account.create_group(None, members).await.unwrap();
    anna.settle().await;
    assert_eq!(suite_and_size(&anna, later).await, (Suite::Classic, 3));
}
