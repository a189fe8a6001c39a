//! History for a successor, where the server would like to be the one who says who that is.

use std::sync::{Arc, Mutex};

use hauspost::company::handover::Wanted;
use hauspost_core::inbound::Code;
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::log::LogState;
use hauspost_protocol::company::body::{HandoverEntry, Scope};
use hauspost_protocol::company::entry::company_entry;
use hauspost_protocol::crypto::SigningKey;
use hauspost_protocol::encoding::decode;
use hauspost_protocol::entry::{Entry, Payload, Seen};
use hauspost_protocol::ids::{EntryHash, LogId};
use hauspost_protocol::wire::{LogNews, SyncAnswer, path};
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{PATIENCE, Phone, World};

use crate::company::{seed, whole_company_log};

async fn grants(phone: &Phone) -> i64 {
    let count = phone.account.store().read(|conn| {
        let sql = "SELECT count(*) FROM entry WHERE kind = 6";
        Ok::<_, StoreError>(conn.query_row(sql, [], |row| row.get(0))?)
    });
    count.await.unwrap()
}

async fn round(phone: &Phone) {
    phone.account.sync_all().await.unwrap();
    phone.account.share_history().await.unwrap();
    phone.account.send_once().await.unwrap();
    phone.account.sync_all().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handover_that_the_server_made_up_gives_nobody_anything() {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let lies = Hostile::default();
    let ben = world.phone_over("ben", lies.network()).await;
    let spy = world.phone("spy").await;
    ben.account.sync_all().await.unwrap();
    let log = ben.writes_first(&anna, "unter uns").await;
    for phone in [&anna, &ben, &spy] {
        phone.settle().await;
    }
    let mut hash = EntryHash::ZERO;
    let whole = whole_company_log(&ben).await;
    for entry in &whole {
        hash = entry.hash(hash);
    }
    let last = whole.last().unwrap();
    let body = HandoverEntry {
        seen: Some(Seen { seq: last.seq, hash }),
        from: anna.account.user(),
        to: spy.account.user(),
        scope: Scope::default(),
    };
    // The best key that whoever holds the server has.
    let key = SigningKey::from_seed(seed(&world, "issuing"));
    let (head, payload) = company_entry(anna.account.company(), body, &[&key]);
    let seq = last.seq.next();
    let made_up = Entry { head, payload: Payload::Kept(payload), seq, t_ms: last.t_ms, co: seq.0 };
    lies.twists_news(move |answer| {
        answer.company.push(made_up.clone());
        answer.company_size = seq.0 + 1;
    });
    ben.account.sync_all().await.unwrap();
    ben.account.share_history().await.unwrap();
    assert_eq!(ben.alarm_codes().await, [Code::Company as u64], "somebody hears of it");
    assert_eq!((grants(&ben).await, ben.account.policy().await.unwrap().handovers), (0, vec![]));
    assert_eq!(spy.account.conversation(log).await.unwrap(), None);
}

/// What a server sends of a conversation to one of those who are in it.
fn news_seen(lies: &Hostile, log: LogId) -> Vec<LogNews> {
    let answers = lies.answers_seen().into_iter().filter(|(at, _)| at.starts_with(path::SYNC));
    let answers = answers.filter_map(|(_, body)| decode::<SyncAnswer>(&body).ok());
    answers.flat_map(|answer| answer.logs).filter(|news| news.log == log).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_shows_a_successor_a_conversation_that_was_not_handed_over_shows_nothing_of_it()
 {
    let mut world = World::found().await;
    let listening = Hostile::default();
    let (lies, ben) = (Hostile::default(), world.phone("ben").await);
    let carla = world.phone_over("carla", listening.network()).await;
    let anna = world.phone_over("anna", lies.network()).await;
    ben.account.sync_all().await.unwrap();
    let given = ben.writes_first(&carla, "geht über").await;
    let group = ben.account.create_group(None, vec![carla.account.user()]).await.unwrap();
    ben.account.send_text(group, "bleibt hier").await.unwrap();
    for phone in [&ben, &carla] {
        phone.settle().await;
    }
    let wanted = Wanted { logs: vec![given], ..Wanted::default() };
    world.hands_over(("ben", "anna"), &wanted, &["hr", "council-1"]).await.unwrap();
    // Ben could give it as well, so Carla's phone draws when its turn is.
    let given_over = async {
        while anna.account.history(given).await.is_err() || anna.texts(given).await.is_empty() {
            round(&carla).await;
            round(&anna).await;
        }
    };
    tokio::time::timeout(PATIENCE, given_over).await.unwrap();
    let other = news_seen(&listening, group);
    assert!(!other.is_empty());
    let other = Arc::new(Mutex::new(other));
    let shown = other.clone();
    lies.twists_news(move |answer| answer.logs.append(&mut shown.lock().unwrap()));
    let _ = anna.account.sync_all().await;
    let _ = anna.account.share_history().await;
    assert!(other.lock().unwrap().is_empty(), "she was shown it");
    assert_eq!(anna.texts(given).await, ["geht über"]);
    if let Some(row) = anna.account.conversation(group).await.unwrap() {
        assert_ne!(row.state, LogState::HandedOver);
        assert_eq!(anna.texts(group).await, Vec::<String>::new());
    }
    assert_eq!(grants(&carla).await, 1, "of what was handed over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_shows_a_successor_the_leavers_own_notes_shows_nothing_of_them() {
    let mut world = World::found().await;
    let (listening, lies) = (Hostile::default(), Hostile::default());
    let ben = world.phone_over("ben", listening.network()).await;
    let anna = world.phone_over("anna", lies.network()).await;
    ben.account.sync_all().await.unwrap();
    let notes = ben.account.notes().await.unwrap();
    ben.account.send_text(notes, "nur für mich").await.unwrap();
    ben.settle().await;
    world.hands_over(("ben", "anna"), &Wanted::default(), &["hr", "council-1"]).await.unwrap();
    let shown = news_seen(&listening, notes);
    assert!(!shown.is_empty());
    let shown = Arc::new(Mutex::new(shown));
    let left = shown.clone();
    lies.twists_news(move |answer| answer.logs.append(&mut shown.lock().unwrap()));
    let _ = anna.account.sync_all().await;
    assert!(left.lock().unwrap().is_empty(), "she was shown them");
    if let Some(row) = anna.account.conversation(notes).await.unwrap() {
        assert_ne!(row.state, LogState::HandedOver);
        assert_eq!(anna.missing(notes).await, 0, "nothing to be asked for");
    }
}
