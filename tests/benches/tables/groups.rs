//! Groups of 2, 10, 100 and 1,000: making a commit, joining, and taking a commit in, with capsule,
//! chains, rules and database, beside OpenMLS alone ([`alone`]).

use std::time::{Duration, Instant};

use hauspost_core::group::EpochKeys;
use hauspost_core::inbound::archive_keys;
use hauspost_core::outbox::change::{self, Wanted};
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::mls::MlsTable;
use hauspost_core::store::rows::outbox;
use hauspost_protocol::entry::{Entry, Head, Kind};
use hauspost_protocol::epoch::EpochContext;
use hauspost_protocol::ids::{Digest, LeafIndex, LogId, Seq, UserId};
use hauspost_protocol::limits::LEAVES;
use hauspost_protocol::mls::extension::GroupBinding;
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::wire::{LogNews, SyncRequest};
use rand::rngs::StdRng;
use rusqlite::Connection;

use crate::log::PhoneLog;
use crate::table::{Times, ms, remark, row, title};
use crate::world::{self, Phone, World, now_ms};

mod alone;
mod basic;

const SIZES: [usize; 4] = [2, 10, 100, 1_000];
const ROUNDS: usize = 7;

/// What is measured of a group.
pub struct Measured {
    pub commit: Times,
    pub join: Times,
    pub process: Times,
}

pub async fn print() {
    // In memory, so that the disk's time is in none of the figures.
    let mut world = World::found_in(&world::memory()).await;
    let mut phones = Vec::new();
    for number in 0..ROUNDS + 2 {
        phones.push(world.phone(&format!("phone{number}")).await);
    }
    let crowd = world.crowd(&phones[0], SIZES[3] - ROUNDS - 1).await;
    for phone in &phones {
        phone.account.sync_all().await.unwrap();
    }
    // What a phone prepares once, as its statements, is in none of the figures either.
    Box::pin(ours(&world, &phones, &crowd, ROUNDS + 1)).await;
    let columns = ["ours", "OpenMLS", "capsule", "ratio", "basic", "ratio"];
    title("Groups, ms; goal of the first ratio ≤ 1.3", &columns);
    for size in SIZES {
        let suite = Suite::for_devices(size);
        let name = size;
        // One more is added later.
        let size = size.min(LEAVES - 1);
        let (ours, capsule, created) = Box::pin(ours(&world, &phones, &crowd, size)).await;
        let alone = alone::measure(&phones, size, suite).await;
        let basic = basic::measure(size, suite, ROUNDS);
        let capsule = capsule.median();
        for (what, ours, alone, basic) in [
            ("commit", ours.commit, alone.commit, basic.commit),
            ("join", ours.join, alone.join, basic.join),
            ("a member takes a commit in", ours.process, alone.process, basic.process),
        ] {
            let (ours, alone, basic) = (ours.median(), alone.median(), basic.median());
            let own = ours.saturating_sub(capsule).as_secs_f64();
            let ratio = |other: Duration| format!("{:.2}", own / other.as_secs_f64());
            let cells = [ms(ours), ms(alone), ms(capsule), ratio(alone), ms(basic), ratio(basic)];
            row(&format!("{what}, {name} members, {suite:?}"), &cells);
        }
        row(&format!("created and taken by the server, {name} members"), &[ms(created)]);
    }
    remark("ratio: ours without the capsule, to what stands left of it");
    remark("OpenMLS: X.509 leaves, state read from and stored in the same SQLCipher database;");
    remark("no company log, no rules, no chains. All databases lie in memory.");
    remark("basic: OpenMLS with short names as leaves, the group in memory and stored nowhere");
}

async fn ours(
    world: &World,
    phones: &[Phone],
    crowd: &[UserId],
    size: usize,
) -> (Measured, Times, Duration) {
    let (anna, others) = phones.split_first().unwrap();
    let (last, others) = others.split_last().unwrap();
    let (mut commit, mut join, mut process, mut capsule) = (vec![], vec![], vec![], vec![]);
    let mut created = Vec::new();
    for with in others.chunks(size - 1) {
        let users = with.iter().map(|phone| phone.account.user());
        let users = users.chain(crowd.iter().copied()).take(size - 1).collect();
        let began = Instant::now();
        let log = anna.group_of(&format!("Gruppe {size}"), users).await;
        created.push(began.elapsed());
        let mut joined = Vec::new();
        for phone in with {
            let mut reader = PhoneLog::open(phone, log).await;
            let news = fetch(world, phone, &reader, log).await;
            let began = Instant::now();
            reader = reader.take(news).await;
            join.push(began.elapsed());
            assert!(reader.ledger.epoch.is_some(), "joined");
            joined.push((phone, reader));
        }
        let (commits, capsules) = commits(anna, log).await;
        commit.extend(commits);
        capsule.extend(capsules);
        anna.account.add_members(log, vec![last.account.user()]).await.unwrap();
        anna.settle().await;
        for (phone, reader) in joined {
            let mut news = fetch(world, phone, &reader, log).await;
            // The invitation comes by itself, and is none of MLS'.
            let is_commit = |entry: &Entry| Head::parse(&entry.head).unwrap().kind == Kind::Commit;
            let commit = news.entries.iter().position(is_commit).unwrap();
            let before = news.entries.drain(..commit).collect();
            let reader = reader.take(LogNews { entries: before, ..news.clone() }).await;
            let before = reader.ledger.row.epoch;
            let began = Instant::now();
            let reader = reader.take(news).await;
            process.push(began.elapsed());
            assert_eq!(reader.ledger.row.epoch, before.next(), "took the commit in");
        }
    }
    let created = Times::of(created).median();
    let [commit, join, process, capsule] = [commit, join, process, capsule].map(Times::of);
    (Measured { commit, join, process }, capsule, created)
}

/// What the server has of the log for this phone.
async fn fetch(world: &World, phone: &Phone, reader: &PhoneLog, log: LogId) -> LogNews {
    let cursors = vec![(log, reader.ledger.row.next_seq)];
    let company_next = Seq(reader.company.size());
    let request = SyncRequest { since: None, cursors, company_next, checkpoint: None };
    let answer = phone.server(world).sync(&request).await.unwrap();
    answer.logs.into_iter().find(|news| news.log == log).unwrap()
}

/// Commits that renew the own keys, each made and stored as pending, as the account does it; and the
/// capsule's share.
async fn commits(phone: &Phone, log: LogId) -> (Vec<Duration>, Vec<Duration>) {
    let author = PhoneLog::open(phone, log).await;
    let (store, me, company) = (author.store, author.me, author.company);
    let mut ledger = author.ledger;
    let mut commits = Vec::new();
    for _ in 0..ROUNDS {
        let (me, company) = (me.clone(), company.clone());
        let rng: StdRng = rand::make_rng();
        let began = Instant::now();
        let few = ledger.members().count() <= change::FEW;
        let prepare = move |conn: &Connection| {
            let wanted = Wanted::Update(None);
            let made = change::prepare(conn, &me, &company, &ledger, &wanted, rng, now_ms());
            Ok::<_, StoreError>((made.unwrap(), ledger))
        };
        ledger = if few {
            let made = store.write::<_, StoreError, _>(move |tx| {
                let (prepared, ledger) = prepare(tx)?;
                prepared.store(tx)?;
                Ok(ledger)
            });
            made.await.unwrap()
        } else {
            let (prepared, ledger) = store.read(prepare).await.unwrap();
            store.write::<_, StoreError, _>(move |tx| prepared.store(tx)).await.unwrap();
            ledger
        };
        commits.push(began.elapsed());
        // It is not sent, and not in the way of the next one.
        let rng: StdRng = rand::make_rng();
        let (given_up, back) = store
            .read::<_, StoreError, _>(move |conn| {
                let pending = outbox::pending(conn, log)?.unwrap();
                Ok((change::abandon(conn, &ledger, &pending, rng).unwrap(), ledger))
            })
            .await
            .unwrap();
        ledger = back;
        store
            .write::<_, StoreError, _>(move |tx| {
                given_up.apply(&MlsTable(tx))?;
                outbox::delete_pending(tx, log)
            })
            .await
            .unwrap();
    }
    let (id_a, id_b) = {
        let now = company.now();
        let (a, b) = now.archive_keys().unwrap();
        (a.id, b.id)
    };
    let row = &ledger.row;
    let genesis = Digest([0; 32]);
    let binding = GroupBinding {
        log,
        log_no: hauspost_protocol::ids::LogNo(1),
        r#gen: row.r#gen,
        genesis,
        id_a,
        id_b,
    };
    let keys = archive_keys(&company, &binding).unwrap();
    let leaves: Vec<LeafIndex> = ledger.members().map(|(leaf, _)| leaf).collect();
    let context = EpochContext { log, r#gen: row.r#gen, epoch: row.epoch, ga: Digest([1; 32]) };
    let capsules = (0..20).map(|_| {
        let began = Instant::now();
        let keys = EpochKeys::derive(&[2; 32], context, leaves.iter().copied(), &keys);
        assert_eq!(keys.chains.len(), leaves.len());
        began.elapsed()
    });
    (commits, capsules.collect())
}
