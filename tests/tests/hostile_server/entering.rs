//! External commits that the server should have refused (C7, C9): each stops whoever is shown it, and
//! nothing more is said in the conversation.

mod forged;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hauspost_core::group::Member;
use hauspost_core::group::commit::{self, OwnCommit};
use hauspost_core::group::{EpochKeys, enter, provider};
use hauspost_core::inbound::{self, Code, Snapshot, archive_keys};
use hauspost_core::ledger::Ledger;
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::account;
use hauspost_core::store::rows::company;
use hauspost_core::store::rows::log::{self, LogState};
use hauspost_core::store::rows::message::MessageState;
use hauspost_protocol::body::{CommitBody, SignedPayload};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::PublicKey;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::entry::{At, Entry, Payload, Seen};
use hauspost_protocol::epoch::EpochContext;
use hauspost_protocol::ids::{Digest, LogId, Seq};
use hauspost_protocol::mls::certificate::DeviceCertificate;
use hauspost_protocol::wire::{LogNews, NewEntry, path};
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Anna's group with Ben and Carla. Dora was let in when she had no phone, and has not entered; Eva is
/// in the company only. Ben's and Dora's server lies, and a text of Ben's waits to be sent.
struct Scene {
    world: World,
    anna: Phone,
    ben: Phone,
    carla: Phone,
    dora: Phone,
    eva: Phone,
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
        let eva = world.phone("eva").await;
        let (user, invitation) = world.invited("dora").await;
        anna.account.sync_all().await.unwrap();
        let members = vec![ben.account.user(), carla.account.user(), user];
        let log = anna.account.create_group(None, members).await.unwrap();
        anna.account.send_text(log, "eins").await.unwrap();
        for phone in [&anna, &ben, &carla] {
            phone.settle().await;
        }
        let env = hauspost_tests::real::env(lies.network());
        let dora = world.try_to_enrol("dora", &invitation, env).await.unwrap();
        for phone in [&ben, &dora, &eva] {
            phone.account.sync_all().await.unwrap();
        }
        ben.account.send_text(log, "vertraulich").await.unwrap();
        Self { world, anna, ben, carla, dora, eva, lies, log }
    }

    /// An external commit that this phone signs, with its capsule, as the next entries of what Ben
    /// knows; it judges by the company log as it was at `at`, and `change` has a hand in it.
    async fn entry_of(
        &self,
        author: &Phone,
        at: u64,
        change: impl FnOnce(&mut CommitBody),
    ) -> Vec<Entry> {
        self.entry_without(author, None, at, change).await
    }

    /// As [`entry_of`](Self::entry_of), and the leaf with this key goes.
    async fn entry_without(
        &self,
        author: &Phone,
        removes: Option<PublicKey>,
        at: u64,
        change: impl FnOnce(&mut CommitBody),
    ) -> Vec<Entry> {
        let log = self.log;
        let member = author.account.store().read(account::find).await.unwrap().unwrap();
        let certificate = member.certificate.as_deref().unwrap();
        let certificate = DeviceCertificate::parse(certificate).unwrap();
        let key = member.signing_key.clone();
        let pin = member.pin;
        let info = self.group_info().await;
        let read = self.ben.account.store().read(move |conn| {
            let ledger = Ledger::load(conn, log)?.unwrap();
            let stored = company::entries(conn, Seq(0))?;
            let mut company = Company::new(pin);
            for entry in &stored {
                let payload = Payload::Kept(Bytes(entry.payload.clone().unwrap()));
                let (head, seq) = (Bytes(entry.head.clone()), entry.seq);
                let entry = Entry { head, payload, seq, t_ms: entry.t_ms, co: seq.0 };
                company.apply(&entry).unwrap();
            }
            let follower = inbound::outside(conn, &ledger)?.unwrap();
            let mut rng = StdRng::seed_from_u64(3);
            let provider = provider(Nothing, &mut rng);
            let member = Member { key: &key, certificate: &certificate };
            let own = match removes {
                None => enter::enter(&provider, member, &follower, &info).unwrap(),
                Some(removed) => forged::enter(&provider, member, &follower, &info, removed),
            };
            let hash = stored[at as usize - 1].hash;
            let at = At { co: at, company_hash: hash };
            Ok::<_, StoreError>((ledger, company, own, at))
        });
        let (ledger, company, own, at) = read.await.unwrap();
        let (t_ms, co) = (ledger.row.last_t_ms, company.size());
        let batch = batch(&ledger, &company, &own, at, change, &member);
        let seqs = ledger.row.next_seq.0..;
        let entries = batch.into_iter().zip(seqs).map(|((head, payload), seq)| Entry {
            head,
            payload: Payload::Kept(payload),
            seq: Seq(seq),
            t_ms,
            co,
        });
        entries.collect()
    }

    /// What a member's phone could pass on: the GroupInfo of the epoch in force.
    async fn group_info(&self) -> Bytes {
        let log = self.log;
        let stored = self.anna.account.store().read(account::find).await.unwrap().unwrap();
        let made = self.anna.account.store().read(move |conn| {
            let row = log::find(conn, log)?.unwrap();
            let mut rng = StdRng::seed_from_u64(4);
            let provider = provider(Snapshot(conn), &mut rng);
            let id = hauspost_protocol::mls::extension::group_id(log, row.r#gen);
            let group = commit::load(&provider, &id).unwrap();
            let certificate = DeviceCertificate::parse(stored.certificate.as_deref().unwrap());
            let certificate = certificate.unwrap();
            let member = Member { key: &stored.signing_key, certificate: &certificate };
            Ok::<_, StoreError>(enter::group_info(&provider, member, &group).unwrap())
        });
        made.await.unwrap()
    }

    /// The server shows these entries to Ben and Dora; what they send afterwards is counted.
    async fn are_shown(&self, entries: Vec<Entry>) -> usize {
        let log = self.log;
        self.lies.twists_news(move |answer| {
            let (size, news) = (entries.last().unwrap().seq.0 + 1, entries.clone());
            answer.logs.retain(|news| news.log != log);
            answer.logs.push(LogNews { log, entries: news, welcomes: vec![], size });
            answer.more = false;
        });
        let sent = Arc::new(AtomicUsize::new(0));
        let count = sent.clone();
        self.lies.changes_requests(path::APPEND, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        for phone in [&self.ben, &self.dora] {
            let _ = phone.account.sync_all().await;
            let _ = phone.account.send_once().await;
        }
        self.lies.is_honest_again();
        sent.load(Ordering::SeqCst)
    }

    /// The conversation stopped for this reason on both phones, with an alarm, and nothing was sent:
    /// neither what waited, nor another way in.
    async fn stops_both(&self, entries: Vec<Entry>, code: Code) {
        assert_eq!(self.are_shown(entries).await, 0, "nothing is revealed");
        for phone in [&self.ben, &self.dora] {
            assert_eq!(phone.stopped(self.log).await, Some(code as u64));
            assert_eq!(phone.alarm_codes().await, [code as u64]);
            assert!(phone.account.send_text(self.log, "hört ihr mich?").await.is_err());
            phone.account.sync_all().await.unwrap();
            let _ = phone.account.send_once().await;
        }
        assert_eq!(self.ben.texts(self.log).await, ["eins", "vertraulich"]);
        assert_eq!(self.ben.state(self.log, "vertraulich").await, Some(MessageState::Queued));
        assert_eq!(self.ben.account.members(self.log).await.unwrap().len(), 3);
        self.anna.settle().await;
        assert_eq!(self.anna.texts(self.log).await, ["eins"]);
    }

    async fn company_size(&self) -> u64 {
        let read = self.ben.account.store().read(company::cursor);
        read.await.unwrap().0.0
    }

    async fn ben_stands(&self) -> (LogState, u64) {
        let log = self.log;
        let row = self.ben.account.store().read(move |conn| log::find(conn, log)).await.unwrap();
        row.map(|row| (row.state, row.epoch.0)).unwrap()
    }
}

/// The store of a phone that has nothing of the group.
struct Nothing;

impl hauspost_protocol::mls::storage::Backend for Nothing {
    type Error = StoreError;
    fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
    fn put(&self, _: &[u8], _: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::Suspended)
    }
    fn delete(&self, _: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::Suspended)
    }
}

/// Commit and capsule, head and payload each.
fn batch(
    ledger: &Ledger,
    company: &Company,
    own: &OwnCommit,
    at: At,
    change: impl FnOnce(&mut CommitBody),
    author: &account::Account,
) -> [NewEntry; 2] {
    let (log, r#gen) = (ledger.row.local.id, ledger.row.r#gen);
    let epoch = ledger.row.epoch.next();
    let binding = ledger.conversation.as_ref().unwrap().binding();
    let keys = archive_keys(company, &binding).unwrap();
    let context = EpochContext { log, r#gen, epoch, ga: own.ga };
    let keys = EpochKeys::derive(&own.exported, context, own.leaves.iter().copied(), &keys);
    let capsule = encode(&keys.capsule);
    let seen = Seen { seq: Seq(ledger.row.next_seq.0 - 1), hash: ledger.row.last_hash };
    let mut body = own.body(Some(seen), at, None, &capsule);
    change(&mut body);
    commit::entries(&context, &body, capsule, (&author.signing_key, author.device))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_commit_of_whom_the_rules_let_in_is_taken_in() {
    let scene = Scene::open().await;
    let entry = scene.entry_of(&scene.dora, scene.company_size().await, |_| {}).await;
    scene.are_shown(entry).await;
    assert_eq!(scene.ben.alarms().await, 0);
    assert_eq!(scene.ben_stands().await, (LogState::Active, 2));
    assert_eq!(scene.ben.account.members(scene.log).await.unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_1_an_external_commit_of_somebody_uninvited_stops_the_conversation() {
    let scene = Scene::open().await;
    let entry = scene.entry_of(&scene.eva, scene.company_size().await, |_| {}).await;
    scene.stops_both(entry, Code::Authorise).await;
}

/// Whichever company log she says that she judged by: the one in which she was still active, too.
#[tokio::test(flavor = "multi_thread")]
async fn attacks_1_an_external_commit_of_a_revoked_device_stops_the_conversation() {
    for judges_by_the_past in [true, false] {
        let mut scene = Scene::open().await;
        let before = scene.company_size().await;
        scene.world.revoke("carla").await;
        for phone in [&scene.ben, &scene.dora] {
            phone.account.sync_all().await.unwrap();
        }
        let now = scene.company_size().await;
        assert!(now > before);
        let at = if judges_by_the_past { before } else { now };
        let entry = scene.entry_of(&scene.carla, at, |_| {}).await;
        scene.stops_both(entry, Code::Authorise).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_9_an_external_commit_that_names_another_context_stops_the_conversation() {
    let scene = Scene::open().await;
    let other = |body: &mut CommitBody| body.ga = Digest([7; 32]);
    let entry = scene.entry_of(&scene.dora, scene.company_size().await, other).await;
    scene.stops_both(entry, Code::Mismatch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_1_an_external_commit_that_another_device_signs_stops_the_conversation() {
    let scene = Scene::open().await;
    let mut entry = scene.entry_of(&scene.dora, scene.company_size().await, |_| {}).await;
    let evas = scene.eva.account.store().read(account::find).await.unwrap().unwrap();
    let payload: SignedPayload = decode(entry[0].payload.bytes().unwrap()).unwrap();
    let signed =
        SignedPayload::sign(&evas.signing_key, &entry[0].head, payload.body.0, evas.device);
    entry[0].payload = Payload::Kept(Bytes(encode(&signed)));
    scene.stops_both(entry, Code::Authorise).await;
}

/// A patched phone: somebody who may enter takes another's leaf away with the same commit.
#[tokio::test(flavor = "multi_thread")]
async fn attacks_9_an_external_commit_that_removes_somebody_else_stops_the_conversation() {
    let scene = Scene::open().await;
    let carla = scene.carla.account.store().read(account::find).await.unwrap().unwrap();
    let removed = Some(carla.signing_key.public());
    let at = scene.company_size().await;
    let entry = scene.entry_without(&scene.dora, removed, at, |_| {}).await;
    scene.stops_both(entry, Code::Authorise).await;
}
