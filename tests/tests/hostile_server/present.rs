//! Whether the server shows the present, and one history (C10; docs/attacks.md 8, 43).

use std::sync::Arc;

use hauspost_core::env::Env;
use hauspost_core::env::seeded::ManualClock;
use hauspost_core::inbound::Code;
use hauspost_protocol::company::body::ReportCode;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::ids::{CompanyId, Digest, LogNo};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::tree::checkpoint::{LogSigner, TreeHead};
use hauspost_protocol::tree::heads::{HeadsLeaf, OuterLeaf, heads_tree};
use hauspost_protocol::tree::merkle::Tree;
use hauspost_protocol::wire::{CheckpointNews, ConsistencyRequest, HeadsProof, SyncAnswer, path};
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World, env};

use crate::company::seed;

const NO_ALARM: [u64; 0] = [];
const MINUTE: u64 = 60_000;
const YEAR: u64 = 365 * DAY_MS;

/// A phone with a clock of its own that nobody moves but the test.
async fn phone_at(world: &mut World, now_ms: u64) -> (Phone, Arc<ManualClock>, Hostile) {
    let (clock, lies) = (Arc::new(ManualClock::at(now_ms)), Hostile::default());
    let env = Env { clock: clock.clone(), ..env(lies.network()) };
    let (_, invitation) = world.invited("ben").await;
    let phone = world.try_to_enrol("ben", &invitation, env).await.unwrap();
    (phone, clock, lies)
}

async fn pulls(phone: &Phone, clock: &ManualClock, minutes: u64) {
    for _ in 0..minutes {
        clock.advance(MINUTE);
        phone.account.sync_once().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_and_shows_no_newer_checkpoint_for_ten_minutes_raises_one_alarm() {
    let mut world = World::found().await;
    let (ben, clock, lies) = phone_at(&mut world, 5 * YEAR).await;
    lies.twists_news(|answer| answer.checkpoint = None);
    pulls(&ben, &clock, 10).await;
    assert_eq!(ben.alarm_codes().await, NO_ALARM, "ten minutes are allowed");
    pulls(&ben, &clock, 30).await;
    assert_eq!(ben.alarm_codes().await, [Code::CheckpointAge as u64]);
    ben.account.report_alarms().await.unwrap();
    let reports = world.reports().await;
    assert_eq!(
        reports.iter().map(|report| report.code).collect::<Vec<_>>(),
        [ReportCode::ServerBrokeRule]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_was_offline_or_whose_clock_jumps_does_not_accuse_the_server() {
    let mut world = World::found().await;
    let (ben, clock, lies) = phone_at(&mut world, 5 * YEAR).await;
    lies.twists_news(|answer| answer.checkpoint = None);
    for now_ms in [5 * YEAR + 3 * DAY_MS, YEAR, 40 * YEAR] {
        clock.set(now_ms);
        ben.account.sync_once().await.unwrap();
    }
    assert_eq!(ben.alarm_codes().await, NO_ALARM);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_clock_is_off_by_years_raises_no_alarm_and_can_be_added() {
    for now_ms in [0, 3 * YEAR, 90 * YEAR] {
        let mut world = World::found().await;
        let anna = world.phone("anna").await;
        let (ben, clock, _) = phone_at(&mut world, now_ms).await;
        anna.settle().await;
        let log = anna.writes_first(&ben, "hallo").await;
        for _ in 0..20 {
            world.checkpoint().await;
            anna.account.send_text(log, "weiter").await.unwrap();
            anna.settle().await;
            pulls(&ben, &clock, 1).await;
        }
        assert_eq!(ben.texts(log).await.len(), 21, "made by {now_ms}");
        assert_eq!(ben.alarm_codes().await, NO_ALARM, "by the clock {now_ms}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_own_clock_says_that_its_checkpoint_is_old_has_two_minutes() {
    let mut world = World::found().await;
    let (ben, clock, lies) = phone_at(&mut world, 0).await;
    world.checkpoint().await;
    ben.account.sync_once().await.unwrap();
    lies.twists_news(|answer| answer.t_ms += 11 * MINUTE);
    pulls(&ben, &clock, 2).await;
    assert_eq!(ben.alarm_codes().await, NO_ALARM);
    pulls(&ben, &clock, 10).await;
    assert_eq!(ben.alarm_codes().await, [Code::CheckpointAge as u64]);
}

/// Whoever holds the server's keys, with a history of his own for one phone.
struct Forger {
    company: CompanyId,
    signer: LogSigner,
    outer: Tree,
    heads: Vec<HeadsLeaf>,
    told: u64,
}

impl Forger {
    fn new(world: &World, company: CompanyId) -> Self {
        let keys = ["log-ed25519", "log-ml-dsa-44"].map(|name| seed(world, name));
        let [ed25519, ml_dsa] = keys;
        let outer = Tree::new((0..1_000).map(|_| Digest([3; 32])));
        let signer = LogSigner::from_seeds(ed25519, ml_dsa);
        Self { company, signer, outer, heads: Vec::new(), told: 0 }
    }

    /// The honest checkpoint, but of this history, and so much later.
    fn forge(&mut self, honest: &CheckpointNews, later_ms: u64) -> CheckpointNews {
        let mut leaf: OuterLeaf = decode(&honest.leaf).unwrap();
        let company: HeadsLeaf = decode(&honest.company.leaf).unwrap();
        match self.heads.first_mut() {
            Some(first) => *first = company,
            None => self.heads.push(company),
        }
        leaf.t_ms += later_ms;
        leaf.logs = self.heads.len() as u64;
        leaf.heads_root = heads_tree(&self.heads).root();
        self.outer.push(leaf.leaf_hash());
        let size = self.outer.size();
        let tree = TreeHead { era: 0, size, root: self.outer.root() };
        let consistency = match std::mem::replace(&mut self.told, size) {
            0 => Vec::new(),
            told => self.outer.consistency(told).unwrap(),
        };
        CheckpointNews {
            note: self.signer.sign(self.company, &tree, leaf.t_ms / 1_000),
            leaf: Bytes(encode(&leaf)),
            inclusion: self.outer.inclusion(size - 1).unwrap(),
            consistency,
            company: self.place(0),
        }
    }

    fn place(&self, position: u64) -> HeadsProof {
        HeadsProof {
            leaf: Bytes(encode(&self.heads[position as usize])),
            position: LogNo(position),
            path: heads_tree(&self.heads).inclusion(position).unwrap(),
        }
    }
}

/// Ben, whose server tells him another history than Anna; both are in one conversation.
struct Fork {
    world: World,
    anna: Phone,
    ben: Phone,
    lies: Hostile,
    forger: Forger,
    log: hauspost_protocol::ids::LogId,
}

impl Fork {
    async fn open() -> Self {
        let mut world = World::found().await;
        let anna = world.phone("anna").await;
        let lies = Hostile::default();
        lies.twists_news(|answer| answer.checkpoint = None);
        let ben = world.phone_over("ben", lies.network()).await;
        world.checkpoint().await;
        anna.settle().await;
        let log = anna.account.create_group(None, vec![ben.account.user()]).await.unwrap();
        anna.account.send_text(log, "eins").await.unwrap();
        anna.settle().await;
        ben.account.sync_all().await.unwrap();
        let forger = Forger::new(&world, anna.account.company());
        Self { world, anna, ben, lies, forger, log }
    }

    /// Ben pulls once more, and is shown the next checkpoint of the forged history. The honest one of
    /// that moment is only material.
    async fn ben_is_shown(&mut self, later_ms: u64) {
        let taken: Arc<std::sync::Mutex<Option<CheckpointNews>>> = Arc::default();
        let take = taken.clone();
        self.lies.twists_news(move |answer: &mut SyncAnswer| {
            *take.lock().unwrap() = answer.checkpoint.take();
        });
        self.ben.account.sync_once().await.unwrap();
        let honest = taken.lock().unwrap().take().expect("there is a checkpoint");
        let forged = self.forger.forge(&honest, later_ms);
        self.lies.twists_news(move |answer: &mut SyncAnswer| {
            answer.checkpoint = Some(forged.clone());
        });
        self.ben.account.sync_once().await.unwrap();
    }

    /// Anna says something and names her newest checkpoint by it; Ben reads it.
    async fn anna_names_hers(&self) {
        self.world.checkpoint().await;
        self.anna.settle().await;
        // The first record of an epoch names it.
        self.anna.account.renew_keys(self.log).await.unwrap();
        self.anna.account.send_text(self.log, "zwei").await.unwrap();
        self.anna.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_8_a_colleagues_checkpoint_of_another_history_raises_an_alarm() {
    let mut fork = Fork::open().await;
    fork.ben_is_shown(0).await;
    assert_eq!(fork.ben.alarm_codes().await, NO_ALARM, "alone he cannot know");
    fork.anna_names_hers().await;
    fork.ben.account.sync_all().await.unwrap();
    // The best that the server can do is a proof of its own history.
    let outer = fork.forger.outer.clone();
    fork.lies.answers(move |request| {
        (request.path == path::PROOF_CONSISTENCY).then(|| {
            let ConsistencyRequest { old, .. } = decode(&request.body).unwrap();
            let mut outer = outer.clone();
            outer.push(Digest([9; 32]));
            let body = encode(&outer.consistency(old).unwrap());
            Ok(hauspost_core::sync::Response { status: 200, body })
        })
    });
    fork.ben_is_shown(1).await;
    assert_eq!(fork.ben.alarm_codes().await, [Code::Gossip as u64]);
    fork.ben.account.report_alarms().await.unwrap();
    let reports = fork.world.reports().await;
    assert_eq!(reports.iter().map(|report| report.code).collect::<Vec<_>>(), [ReportCode::Fork]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_8_a_colleagues_checkpoint_that_is_not_proven_within_a_day_raises_an_alarm() {
    let mut fork = Fork::open().await;
    fork.ben_is_shown(0).await;
    fork.anna_names_hers().await;
    fork.ben.account.sync_all().await.unwrap();
    // The server says that it cannot prove it.
    fork.lies.answers(|request| {
        let answer = hauspost_core::sync::Response { status: 404, body: Vec::new() };
        (request.path == path::PROOF_CONSISTENCY).then_some(Ok(answer))
    });
    fork.ben_is_shown(DAY_MS / 2).await;
    assert_eq!(fork.ben.alarm_codes().await, NO_ALARM, "it has a day");
    fork.ben_is_shown(DAY_MS + MINUTE).await;
    // The forged history has no place for the conversation either.
    let codes = fork.ben.alarm_codes().await;
    assert_eq!(codes, [Code::Uncovered as u64, Code::Gossip as u64]);
    fork.ben_is_shown(2 * DAY_MS).await;
    assert_eq!(fork.ben.alarm_codes().await, codes, "each is told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_colleagues_name_of_an_honest_server_is_proven_and_forgotten() {
    let mut world = World::found().await;
    let (anna, ben) = (world.phone("anna").await, world.phone("ben").await);
    anna.settle().await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    for text in ["eins", "zwei", "drei"] {
        world.checkpoint().await;
        anna.account.sync_all().await.unwrap();
        anna.account.renew_keys(log).await.unwrap();
        anna.account.send_text(log, text).await.unwrap();
        anna.settle().await;
        ben.settle().await;
    }
    world.checkpoint().await;
    ben.account.sync_all().await.unwrap();
    use hauspost_core::store::rows::checkpoint;
    assert_eq!(ben.account.store().read(checkpoint::unproven).await.unwrap(), []);
    assert_eq!(ben.alarm_codes().await, NO_ALARM);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_7_a_checkpoint_that_leaves_out_what_is_long_there_raises_an_alarm() {
    let mut fork = Fork::open().await;
    // The forged history has no place for the conversation.
    fork.lies.answers(|request| {
        let answer = hauspost_core::sync::Response { status: 404, body: Vec::new() };
        (request.path == path::PROOF_HEADS).then_some(Ok(answer))
    });
    fork.ben_is_shown(0).await;
    assert_eq!(fork.ben.alarm_codes().await, NO_ALARM, "a checkpoint follows within a minute");
    fork.ben_is_shown(DAY_MS / 2).await;
    assert_eq!(fork.ben.alarm_codes().await, NO_ALARM, "nobody looked, and the day is not over");
    assert_eq!(fork.ben.texts(fork.log).await, ["eins"]);
    fork.ben_is_shown(DAY_MS / 2 + MINUTE).await;
    assert_eq!(fork.ben.alarm_codes().await, [Code::Uncovered as u64]);
    assert_eq!(fork.ben.stopped(fork.log).await, None, "messages go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_8_a_log_that_is_opened_is_compared_with_the_next_checkpoint() {
    let mut fork = Fork::open().await;
    fork.ben_is_shown(0).await;
    // The day's proof is done. Now the history has another entry in the conversation.
    let numbers = fork.ben.account.store().read(hauspost_core::store::rows::log::all).await;
    let row = numbers.unwrap().into_iter().find(|row| row.local.id == fork.log).unwrap();
    let log_no = row.log_no.unwrap();
    while fork.forger.heads.len() < log_no.0 as usize {
        let reserved = LogNo(fork.forger.heads.len() as u64);
        fork.forger.heads.push(HeadsLeaf::reserved(reserved));
    }
    let head = hauspost_protocol::tree::heads::LogHead {
        log: fork.log,
        size: row.next_seq.0,
        hash: hauspost_protocol::ids::EntryHash([7; 32]),
    };
    fork.forger.heads.push(HeadsLeaf { log_no, log: Some(head) });
    let places = Arc::new(std::sync::Mutex::new(Vec::new()));
    let shown = places.clone();
    fork.lies.answers_with(path::PROOF_HEADS, move || encode(&*shown.lock().unwrap()));
    *places.lock().unwrap() = vec![fork.forger.place(log_no.0)];
    fork.ben_is_shown(1).await;
    assert_eq!(fork.ben.alarm_codes().await, NO_ALARM, "nobody looked");
    assert_eq!(fork.ben.texts(fork.log).await, ["eins"], "he looks");
    fork.ben_is_shown(2).await;
    assert_eq!(fork.ben.alarm_codes().await, [Code::Fork as u64]);
}
