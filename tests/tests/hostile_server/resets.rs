//! Resets that the server should have refused (R1 to R4): each stops the reader.

use hauspost_core::inbound::Code;
use hauspost_core::ledger::Ledger;
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::log::{self, LogState};
use hauspost_core::store::rows::{account, company};
use hauspost_protocol::body::{ResetBody, ResetReason, SignedPayload};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{At, Entry, Head, Kind, Payload, Seen};
use hauspost_protocol::ids::{DeviceId, Epoch, Gen, LogId, Seq};
use hauspost_protocol::wire::LogNews;
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World};

/// Anna's group with Ben, whose server lies, and Carla; Dora is in the company only. Anna committed
/// last, and nobody else has written since.
struct Scene {
    world: World,
    anna: Phone,
    ben: Phone,
    carla: Phone,
    dora: Phone,
    lies: Hostile,
    log: LogId,
}

impl Scene {
    async fn open() -> Self {
        let mut world = World::found().await;
        let anna = world.phone("anna").await;
        let lies = Hostile::default();
        let ben = world.phone_over("ben", lies.network()).await;
        let carla = world.phone("carla").await;
        let dora = world.phone("dora").await;
        anna.account.sync_all().await.unwrap();
        let members = vec![ben.account.user(), carla.account.user()];
        let log = anna.account.create_group(None, members).await.unwrap();
        anna.account.send_text(log, "eins").await.unwrap();
        for phone in [&anna, &ben, &carla] {
            phone.settle().await;
        }
        Self { world, anna, ben, carla, dora, lies, log }
    }

    /// A reset that this phone signs, as the next entry of what Ben knows: right for Carla, but for
    /// what `change` makes of it.
    async fn reset_by(&self, author: &Phone, change: impl FnOnce(&mut ResetBody)) -> Entry {
        let log = self.log;
        let read = self.ben.account.store().read(move |conn| {
            Ok::<_, StoreError>((Ledger::load(conn, log)?, company::cursor(conn)?.0.0))
        });
        let (ledger, co) = read.await.unwrap();
        let ledger = ledger.unwrap();
        let known = ledger.conversation.as_ref().unwrap();
        let mut roster: Vec<_> = known.roster.iter().map(|(_, member)| member.device).collect();
        roster.sort();
        let seen = Seen { seq: Seq(ledger.row.next_seq.0 - 1), hash: ledger.row.last_hash };
        let mut body = ResetBody {
            seen: Some(seen),
            at: self.at(co).await,
            reason: ResetReason::Broken,
            bad_seq: Some(known.began),
            roster,
            missing: Vec::new(),
        };
        change(&mut body);
        let stored = author.account.store().read(account::find).await.unwrap().unwrap();
        let head = encode(&Head::plain(Kind::Reset, log, Gen(known.r#gen.0 + 1), Epoch(0)));
        let signed = SignedPayload::sign(&stored.signing_key, &head, encode(&body), stored.device);
        Entry {
            head: Bytes(head),
            payload: Payload::Kept(Bytes(encode(&signed))),
            seq: ledger.row.next_seq,
            t_ms: ledger.row.last_t_ms,
            co,
        }
    }

    /// The company log at this size.
    async fn at(&self, co: u64) -> At {
        let read =
            self.ben.account.store().read(move |conn| {
                Ok::<_, StoreError>(company::entries(conn, Seq(co - 1))?[0].hash)
            });
        At { co, company_hash: read.await.unwrap() }
    }

    /// The server shows Ben this entry.
    async fn ben_is_shown(&self, entries: Vec<Entry>) {
        let log = self.log;
        self.lies.twists_news(move |answer| {
            let (size, news) = (entries.last().unwrap().seq.0 + 1, entries.clone());
            answer.logs.retain(|news| news.log != log);
            answer.logs.push(LogNews { log, entries: news, welcomes: vec![], size });
            answer.more = false;
        });
        let _ = self.ben.account.sync_all().await;
        self.lies.is_honest_again();
    }

    async fn ben_stops_for(&self, code: Code) {
        assert_eq!(self.ben.stopped(self.log).await, Some(code as u64));
        assert_eq!(self.ben.alarm_codes().await, [code as u64]);
        assert_eq!(self.ben.texts(self.log).await, ["eins"]);
    }

    async fn place(&self) -> (LogState, Gen) {
        let log = self.log;
        let read = self.ben.account.store().read(move |conn| log::find(conn, log));
        let row = read.await.unwrap().unwrap();
        (row.state, row.r#gen)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_by_whom_the_rules_allow_is_taken_in() {
    let scene = Scene::open().await;
    let reset = scene.reset_by(&scene.carla, |_| {}).await;
    scene.ben_is_shown(vec![reset]).await;
    assert_eq!(scene.ben.alarms().await, 0);
    assert_eq!(scene.place().await, (LogState::Active, Gen(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_2_a_reset_by_somebody_who_may_not_stops_the_conversation() {
    let scene = Scene::open().await;
    let reset = scene.reset_by(&scene.dora, |_| {}).await;
    scene.ben_is_shown(vec![reset]).await;
    scene.ben_stops_for(Code::Authorise).await;

    let scene = Scene::open().await;
    let own = scene.reset_by(&scene.anna, |_| {}).await;
    scene.ben_is_shown(vec![own]).await;
    scene.ben_stops_for(Code::Authorise).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_2_a_reset_of_a_commit_that_is_not_the_newest_stops_the_conversation() {
    let scene = Scene::open().await;
    let reset = scene.reset_by(&scene.carla, |body| body.bad_seq = Some(Seq(0))).await;
    scene.ben_is_shown(vec![reset]).await;
    scene.ben_stops_for(Code::Authorise).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_9_a_reset_that_leaves_out_an_active_device_stops_the_conversation() {
    let scene = Scene::open().await;
    let ben = scene.ben.account.device();
    let without = move |body: &mut ResetBody| body.roster.retain(|device| *device != ben);
    let reset = scene.reset_by(&scene.carla, without).await;
    scene.ben_is_shown(vec![reset]).await;
    scene.ben_stops_for(Code::Authorise).await;

    let scene = Scene::open().await;
    let ghost = |body: &mut ResetBody| body.missing.push(DeviceId([0xff; 16]));
    let reset = scene.reset_by(&scene.carla, ghost).await;
    scene.ben_is_shown(vec![reset]).await;
    scene.ben_stops_for(Code::Authorise).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_whose_commit_is_withheld_stops_the_conversation() {
    let scene = Scene::open().await;
    let reset = scene.reset_by(&scene.carla, |_| {}).await;
    let other = scene.reset_by(&scene.carla, |body| body.reason = ResetReason::Admin).await;
    let other = Entry { seq: reset.seq.next(), ..other };
    scene.ben_is_shown(vec![reset, other]).await;
    assert_eq!(scene.ben.stopped(scene.log).await, Some(Code::Mismatch as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_played_again_stops_the_conversation() {
    let scene = Scene::open().await;
    let reset = scene.reset_by(&scene.carla, |_| {}).await;
    let again = Entry { seq: reset.seq.next(), ..reset.clone() };
    scene.ben_is_shown(vec![reset, again]).await;
    assert_eq!(scene.ben.stopped(scene.log).await, Some(Code::Repeated as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_reset_by_one_device_on_one_day_stops_the_conversation() {
    let mut scene = Scene::open().await;
    scene.world.orders_reset(scene.log).await;
    for phone in [&scene.carla, &scene.anna, &scene.ben] {
        phone.settle().await;
        phone.settle().await;
    }
    assert_eq!(scene.place().await, (LogState::Active, Gen(1)));
    scene.world.orders_reset(scene.log).await;
    scene.ben.account.sync_all().await.unwrap();
    let again = |body: &mut ResetBody| (body.reason, body.bad_seq) = (ResetReason::Admin, None);
    let reset = scene.reset_by(&scene.carla, again).await;
    scene.ben_is_shown(vec![reset]).await;
    assert_eq!(scene.ben.stopped(scene.log).await, Some(Code::Authorise as u64));
}
