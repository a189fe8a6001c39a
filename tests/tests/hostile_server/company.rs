//! The company log and its checkpoints (C10, C11).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hauspost_core::inbound::Code;
use hauspost_core::store::rows::person;
use hauspost_core::sync::Response;
use hauspost_protocol::company::body::DeviceEntry;
use hauspost_protocol::company::entry::{CompanyPayload, company_entry};
use hauspost_protocol::crypto::{Secret, SigningKey};
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::entry::{Entry, Payload, Seen};
use hauspost_protocol::ids::{DeviceId, Digest, EntryHash, Seq};
use hauspost_protocol::tree::checkpoint::{LogSigner, TreeHead};
use hauspost_protocol::wire::{PackageTaken, PackagesTake, SyncAnswer, path};
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::World;

use crate::Scene;

/// A key of the server's own, as whoever holds the server has it.
pub(crate) fn seed(world: &World, name: &str) -> Secret {
    let text = std::fs::read_to_string(world.data().join("keys").join(name)).unwrap();
    let seed: [u8; 32] = hex::decode(text.trim()).unwrap().try_into().unwrap();
    Secret::new(seed)
}

fn issuing_key(world: &World) -> SigningKey {
    SigningKey::from_seed(seed(world, "issuing"))
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_1_a_ghost_device_of_the_server_enters_no_conversation() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let lies = Hostile::default();
    let ben = world.phone_over("ben", lies.network()).await;
    ben.account.sync_all().await.unwrap();

    let (company, user, ghost) = (anna.account.company(), anna.account.user(), DeviceId([66; 16]));
    let issuing = issuing_key(&world);
    let genesis: Arc<Mutex<Option<(Seq, EntryHash, u64)>>> = Arc::default();
    // The hash of the newest company entry, computed as every reader does.
    let mut hash = EntryHash::ZERO;
    let whole = whole_company_log(&ben).await;
    for entry in &whole {
        hash = entry.hash(hash);
    }
    let last = whole.last().unwrap();
    *genesis.lock().unwrap() = Some((last.seq, hash, last.t_ms));
    let body = DeviceEntry {
        seen: Some(Seen { seq: last.seq, hash }),
        user,
        device: ghost,
        signature_key: SigningKey::from_seed(Secret::new([67; 32])).public(),
        certificate: Digest([68; 32]),
        history_key: Digest([69; 32]),
        keystore_key: [2; 33],
        voucher: None,
        seed_signature: None,
        replaces: None,
    };
    let (head, payload) = company_entry(company, body, &[&issuing]);
    let seq = last.seq.next();
    let minted = Entry { head, payload: Payload::Kept(payload), seq, t_ms: last.t_ms, co: seq.0 };
    lies.twists_news(move |answer| {
        answer.company.push(minted.clone());
        answer.company_size = seq.0 + 1;
    });
    ben.account.sync_all().await.unwrap();
    assert_eq!(ben.alarm_codes().await, [Code::Company as u64], "somebody hears of it, once");

    // Ben writes to Anna: he asks for key packages of her real phone only.
    let asked: Arc<Mutex<BTreeSet<DeviceId>>> = Arc::default();
    let noted = asked.clone();
    lies.answers(move |request| {
        if request.path == path::PACKAGES_TAKE {
            let take: PackagesTake = decode(&request.body).unwrap();
            noted.lock().unwrap().extend(take.devices);
            return Some(Ok(Response { status: 200, body: encode(&Vec::<PackageTaken>::new()) }));
        }
        None
    });
    ben.account.create_dm(user).await.unwrap();
    let _ = ben.account.send_once().await;
    assert_eq!(*asked.lock().unwrap(), BTreeSet::from([anna.account.device()]));
}

/// A revocation without its signatures has no effect; the real one, played later, would not count
/// twice, and who sees the stripped one raises an alarm.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_signatures_were_taken_off_has_no_effect_and_raises_one_alarm() {
    let mut scene = Scene::open().await;
    scene.world.revoke("anna").await;
    scene.lies.twists_news(|answer| {
        for entry in &mut answer.company {
            let payload = entry.payload.bytes().unwrap().to_vec();
            let mut payload: CompanyPayload = decode(&payload).unwrap();
            payload.signatures.clear();
            entry.payload = Payload::Kept(encode(&payload).into());
        }
        // One that fits it takes the keys of the checkpoints as well.
        answer.checkpoint = None;
    });
    scene.ben.account.sync_once().await.unwrap();
    scene.ben.account.sync_once().await.unwrap();
    assert_eq!(scene.ben.alarm_codes().await, [Code::Company as u64]);
    let company = whole_company_log(&scene.ben).await;
    assert_eq!(company.last().map(|entry| entry.head.is_empty()), Some(false));
}

pub(crate) async fn whole_company_log(phone: &hauspost_tests::real::Phone) -> Vec<Entry> {
    let stored = phone
        .account
        .store()
        .read(|conn| hauspost_core::store::rows::company::entries(conn, Seq(0)))
        .await
        .unwrap();
    stored
        .into_iter()
        .map(|entry| Entry {
            head: entry.head.into(),
            payload: Payload::Kept(entry.payload.unwrap().into()),
            seq: entry.seq,
            t_ms: entry.t_ms,
            co: entry.seq.0,
        })
        .collect()
}

/// News of the company, changed on the way to Ben, and then the truth.
async fn company_news(twist: impl FnMut(&mut SyncAnswer) + Send + 'static) -> (Scene, String) {
    let mut scene = Scene::open().await;
    let _carla = scene.world.phone("carla").await;
    scene.lies.twists_news(twist);
    let failed = scene.ben.account.sync_all().await.unwrap_err();
    let code = failed.code().to_owned();
    scene.lies.is_honest_again();
    (scene, code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_log_with_an_entry_left_out_is_not_taken() {
    let (scene, code) = company_news(|answer| {
        for entry in &mut answer.company {
            entry.seq = entry.seq.next();
            entry.co += 1;
        }
    })
    .await;
    assert_eq!(code, "company-log");
    scene.ends_well(&["eins", "zwei", "drei"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_log_whose_time_goes_back_is_not_taken() {
    let (scene, code) =
        company_news(|answer| answer.company.iter_mut().for_each(|entry| entry.t_ms = 1)).await;
    assert_eq!(code, "company-log");
    scene.ends_well(&["eins", "zwei", "drei"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_log_of_another_company_is_not_taken() {
    let mut other = World::found_as(8).await;
    let stranger = other.phone("stranger").await;
    let foreign = whole_company_log(&stranger).await;
    let (scene, code) = company_news(move |answer| {
        for entry in &mut answer.company {
            entry.head = foreign[1].head.clone();
        }
    })
    .await;
    assert_eq!(code, "company-log");
    scene.ends_well(&["eins", "zwei", "drei"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_15_news_that_rely_on_company_entries_kept_back_wait_for_them() {
    let mut scene = Scene::open().await;
    let carla = scene.world.phone("carla").await;
    scene.anna.account.add_members(scene.log, vec![carla.account.user()]).await.unwrap();
    scene.anna.account.send_text(scene.log, "vier").await.unwrap();
    scene.anna.settle().await;
    scene.lies.twists_news(|answer| answer.company.clear());
    scene.ben.account.sync_all().await.unwrap();
    assert_eq!(scene.ben.texts(scene.log).await, ["eins", "zwei", "drei"]);
    scene.ends_well(&["eins", "zwei", "drei", "vier"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_15_a_sender_from_whom_a_leaver_is_hidden_says_nothing_into_the_leavers_epoch() {
    let mut scene = Scene::open().await;
    let carla = scene.world.phone("carla").await;
    scene.anna.account.add_members(scene.log, vec![carla.account.user()]).await.unwrap();
    scene.anna.settle().await;
    scene.ben.settle().await;
    scene.world.revoke("carla").await;
    scene.lies.twists_news(|answer| answer.company.clear());
    scene.ben.account.send_text(scene.log, "vier").await.unwrap();
    let _ = scene.ben.account.send_once().await;
    scene.anna.settle().await;
    assert_eq!(scene.anna.texts(scene.log).await, ["eins", "zwei", "drei"]);
    scene.ends_well(&["eins", "zwei", "drei", "vier"]).await;
    assert_eq!(scene.ben.account.members(scene.log).await.unwrap().len(), 2);
}

/// Ben is doubtful when a checkpoint comes to which these changes were made.
async fn doubted(twist: impl FnMut(&mut SyncAnswer) + Send + 'static) {
    doubted_in(Scene::open().await, twist).await;
}

async fn doubted_in(scene: Scene, twist: impl FnMut(&mut SyncAnswer) + Send + 'static) {
    scene.lies.twists_news(twist);
    scene.anna.account.send_text(scene.log, "weiter").await.unwrap();
    scene.anna.settle().await;
    scene.world.checkpoint().await;
    scene.ben.account.sync_all().await.unwrap();
    assert_eq!(scene.ben.alarm_codes().await, [Code::Checkpoint as u64]);
    assert_eq!(scene.ben.stopped(scene.log).await, None, "messages go on");
    assert!(scene.ben.texts(scene.log).await.len() > 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_8_a_checkpoint_with_another_root_raises_an_alarm() {
    doubted(|answer| {
        if let Some(news) = &mut answer.checkpoint {
            let mut lines: Vec<_> = news.note.lines().map(str::to_owned).collect();
            lines[2] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into();
            news.note = lines.join("\n") + "\n";
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_8_a_checkpoint_that_is_not_the_last_one_grown_raises_an_alarm() {
    doubted(|answer| {
        if let Some(news) = &mut answer.checkpoint {
            news.consistency = vec![Digest([1; 32]); news.consistency.len().max(1)];
        }
    })
    .await;
}

/// Whoever holds the server signs what he likes; a new era would excuse him from consistency.
#[tokio::test(flavor = "multi_thread")]
async fn attacks_8_a_new_era_that_no_restore_entry_begins_raises_an_alarm() {
    let scene = Scene::open().await;
    let (ed25519, ml_dsa) = ("log-ed25519", "log-ml-dsa-44");
    let signer = LogSigner::from_seeds(seed(&scene.world, ed25519), seed(&scene.world, ml_dsa));
    let company = scene.ben.account.company();
    let mut once = false;
    doubted_in(scene, move |answer| {
        // Once: a second one would have to continue the first, and be doubted for that.
        if let Some(news) =
            answer.checkpoint.as_mut().filter(|_| !std::mem::replace(&mut once, true))
        {
            let mut lines = news.note.lines().skip(1);
            let size = lines.next().unwrap().parse().unwrap();
            let root = STANDARD.decode(lines.next().unwrap()).unwrap().try_into().unwrap();
            let head = TreeHead { era: 1, size, root: Digest(root) };
            news.note = signer.sign(company, &head, 0);
            news.consistency.clear();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_43_a_checkpoint_with_another_time_raises_an_alarm() {
    doubted(|answer| {
        if let Some(news) = &mut answer.checkpoint {
            let last = news.leaf.0.len() / 2;
            news.leaf.0[last] ^= 1;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_8_a_checkpoint_that_has_another_history_than_the_phone_is_a_fork() {
    let scene = Scene::open().await;
    // Ben is shown another time for the last message, and nobody says a word that would tell him.
    scene.ben_pulls(|news| news.entries[1].t_ms += 1).await;
    // The server makes checkpoints by its own clock, too: one of them may have told him already.
    let _ = scene.ben.account.send_text(scene.log, "vier").await;
    let _ = scene.ben.account.send_once().await;
    scene.world.checkpoint().await;
    scene.ben.account.sync_all().await.unwrap();
    assert_eq!(scene.ben.alarm_codes().await, [Code::Fork as u64]);
    assert_eq!(scene.ben.stopped(scene.log).await, Some(Code::Fork as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_29_no_entry_of_the_company_log_holds_a_name() {
    let mut world = World::found().await;
    let anna = world.phone("anna-mustermann").await;
    for entry in whole_company_log(&anna).await {
        let bytes = encode(&entry);
        let named = bytes.windows(10).any(|window| window == b"mustermann");
        assert!(!named, "entry {}", entry.seq);
    }
    let people = anna.account.store().read(|conn| person::all(conn, 10)).await.unwrap();
    assert_eq!(people.len(), 1, "the directory does hold it");
}
