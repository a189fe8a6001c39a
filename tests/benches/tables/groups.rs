//! Groups of 2, 10 and 100: making a commit, joining, and taking a commit in, with capsule, chains,
//! rules and database, beside OpenMLS alone with its own store in memory.

use std::time::{Duration, Instant};

use hauspost_core::group::EpochKeys;
use hauspost_core::inbound::archive_keys;
use hauspost_core::outbox::change::{self, Wanted};
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::mls::MlsTable;
use hauspost_core::store::rows::outbox;
use hauspost_protocol::epoch::EpochContext;
use hauspost_protocol::ids::{Digest, LeafIndex, LogId, Seq};
use hauspost_protocol::mls::extension::GroupBinding;
use hauspost_protocol::wire::{LogNews, SyncRequest};
use rand::rngs::StdRng;

use crate::log::PhoneLog;
use crate::table::{Times, ms, remark, row, title};
use crate::world::{Phone, World, now_ms};

mod alone;

const SIZES: [usize; 3] = [2, 10, 100];
const ROUNDS: usize = 7;

pub async fn print() {
    let mut world = World::found().await;
    let mut phones = vec![world.phone("anna").await];
    title("Groups, hybrid suite, ms", &["ours", "OpenMLS", "capsule", "ratio", "goal"]);
    for size in SIZES {
        // One more, who is added later.
        while phones.len() <= size {
            phones.push(world.phone(&format!("phone{}", phones.len())).await);
        }
        for phone in &phones {
            phone.account.sync_all().await.unwrap();
        }
        let ours = Ours::measure(&world, &phones, size).await;
        let alone = alone::measure(size, ROUNDS);
        let capsule = ours.capsule.median();
        for (name, ours, alone) in [
            ("commit", ours.commit, alone.commit),
            ("join", ours.join, alone.join),
            ("a member takes a commit in", ours.process, alone.process),
        ] {
            let (ours, alone) = (ours.median(), alone.median());
            let ratio = ours.saturating_sub(capsule).as_secs_f64() / alone.as_secs_f64();
            let cells = [ms(ours), ms(alone), ms(capsule), format!("{ratio:.2}"), "≤ 1.3".into()];
            row(&format!("{name}, {size} members"), &cells);
        }
    }
    remark("ratio: ours without the capsule, to OpenMLS with its own store in memory");
}

struct Ours {
    commit: Times,
    join: Times,
    process: Times,
    capsule: Times,
}

impl Ours {
    async fn measure(world: &World, phones: &[Phone], size: usize) -> Self {
        let (anna, others) = phones.split_first().unwrap();
        let members: Vec<&Phone> = others[..size - 1].iter().collect();
        let log = anna.group(&format!("Gruppe {size}"), &members).await;
        let mut joined = Vec::new();
        let mut join = Vec::new();
        for phone in members.iter().take(ROUNDS) {
            let mut reader = PhoneLog::open(phone, log).await;
            let news = fetch(world, phone, &reader, log).await;
            let began = Instant::now();
            reader = reader.take(news).await;
            join.push(began.elapsed());
            assert!(reader.ledger.epoch.is_some(), "joined");
            joined.push((*phone, reader));
        }
        let (commit, capsule) = commits(anna, log).await;
        let user = phones[size].account.user();
        anna.account.add_members(log, vec![user]).await.unwrap();
        anna.settle().await;
        let mut process = Vec::new();
        for (phone, reader) in joined {
            let news = fetch(world, phone, &reader, log).await;
            let before = reader.ledger.row.epoch;
            let began = Instant::now();
            let reader = reader.take(news).await;
            process.push(began.elapsed());
            assert_eq!(reader.ledger.row.epoch, before.next(), "took the commit in");
        }
        let [commit, join, process, capsule] = [commit, join, process, capsule].map(Times::of);
        Self { commit, join, process, capsule }
    }
}

/// What the server has of the log for this phone.
async fn fetch(world: &World, phone: &Phone, reader: &PhoneLog, log: LogId) -> LogNews {
    let cursors = vec![(log, reader.ledger.row.next_seq)];
    let company_next = Seq(reader.company.size());
    let request = SyncRequest { cursors, company_next, checkpoint: None };
    let answer = phone.server(world).sync(&request).await.unwrap();
    answer.logs.into_iter().find(|news| news.log == log).unwrap()
}

/// Commits that renew the own keys, each made and stored as pending; and the capsule's share.
async fn commits(phone: &Phone, log: LogId) -> (Vec<Duration>, Vec<Duration>) {
    let author = PhoneLog::open(phone, log).await;
    let (store, me, company) = (author.store, author.me, author.company);
    let mut ledger = author.ledger;
    let mut commits = Vec::new();
    for _ in 0..ROUNDS {
        let (me, company) = (me.clone(), company.clone());
        let rng: StdRng = rand::make_rng();
        let began = Instant::now();
        let (prepared, back) = store
            .read::<_, StoreError, _>(move |conn| {
                let wanted = Wanted::Update(None);
                let made =
                    change::prepare(conn, &me, &company, &ledger, &wanted, rng, now_ms()).unwrap();
                Ok((made, ledger))
            })
            .await
            .unwrap();
        ledger = back;
        store
            .write::<_, StoreError, _>(move |tx| {
                prepared.mls.apply(&MlsTable(tx))?;
                outbox::put_pending(tx, &prepared.pending)
            })
            .await
            .unwrap();
        commits.push(began.elapsed());
    }
    // None of them is sent.
    store.write::<_, StoreError, _>(move |tx| outbox::delete_pending(tx, log)).await.unwrap();
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
