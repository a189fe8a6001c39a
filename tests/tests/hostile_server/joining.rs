//! The commit that adds somebody, and the Welcome with it, as a lying server shows them to him (C6). He
//! checks the commit's signatures only if the Welcome does not prove it.

use hauspost_core::inbound::Code;
use hauspost_core::store::rows::account;
use hauspost_core::store::rows::log::LogState;
use hauspost_protocol::body::{CommitBody, SignedPayload};
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::entry::{Entry, Head, Kind, Payload};
use hauspost_protocol::ids::{LogId, Seq};
use hauspost_protocol::mls::public::Follower;
use hauspost_protocol::wire::LogNews;
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World};

/// Anna's group, which Ben's server shows him for the first time, changed.
struct Scene {
    anna: Phone,
    ben: Phone,
    lies: Hostile,
    log: LogId,
    _world: World,
}

impl Scene {
    async fn shown(twist: impl FnMut(&mut LogNews) + Send + 'static) -> Self {
        Self::shown_by(|_| twist).await
    }

    /// The same, with the help of Anna, whose account it gets.
    async fn shown_by<T: FnMut(&mut LogNews) + Send + 'static>(
        twist: impl FnOnce(account::Account) -> T,
    ) -> Self {
        let mut world = World::found().await;
        let (anna, lies) = (world.phone("anna").await, Hostile::default());
        let ben = world.phone_over("ben", lies.network()).await;
        anna.settle().await;
        let log = anna.account.create_group(None, vec![ben.account.user()]).await.unwrap();
        anna.account.send_text(log, "eins").await.unwrap();
        anna.settle().await;
        let annas = anna.account.store().read(account::find).await.unwrap().unwrap();
        lies.twists_news(super::news_of(log, twist(annas)));
        let _ = ben.account.sync_all().await;
        lies.is_honest_again();
        Self { anna, ben, lies, log, _world: world }
    }

    async fn is_stopped(&self) -> Option<u64> {
        let stopped = self.ben.stopped(self.log).await;
        let row = self.ben.account.conversation(self.log).await.unwrap();
        assert_eq!(row.map(|row| row.state), stopped.map(|_| LogState::Stopped));
        assert_eq!(self.ben.alarm_codes().await.first().copied(), stopped);
        assert!(self.ben.texts(self.log).await.is_empty());
        // Not even an honest server brings him in by this commit any more.
        self.lies.is_honest_again();
        self.ben.account.sync_all().await.unwrap();
        assert!(self.ben.texts(self.log).await.is_empty());
        stopped
    }
}

fn commit(news: &mut LogNews) -> Option<&mut Entry> {
    let is = |entry: &&mut Entry| Head::parse(&entry.head).unwrap().kind == Kind::Commit;
    news.entries.iter_mut().find(is)
}

fn flip(bytes: &mut [u8], at: usize) {
    bytes[at] ^= 1;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_2_a_changed_commit_brings_nobody_in_by_the_welcome_that_belongs_to_it() {
    // In the base, in a key package and in the path.
    for part in [6, 3, 2] {
        let scene = Scene::shown(move |news| {
            let Some(entry) = commit(news) else { return };
            let mut payload = entry.payload.bytes().unwrap().to_vec();
            let at = payload.len() / part;
            flip(&mut payload, at);
            entry.payload = Payload::Kept(Bytes(payload));
        })
        .await;
        let stopped = scene.is_stopped().await.unwrap();
        assert!(stopped <= Code::Welcome as u64, "{stopped}");
    }
}

/// Anna herself shows Ben another commit for the same Welcome: all that it says of itself fits, and only MLS'
/// own signature does not. Whoever is in the group refuses it, so Ben must not be alone in it.
#[tokio::test(flavor = "multi_thread")]
async fn attacks_2_a_commit_that_fits_itself_brings_nobody_in_by_the_welcome_of_another_one() {
    let scene = Scene::shown_by(|anna| {
        move |news| {
            let Some(entry) = commit(news) else { return };
            let signed: SignedPayload = decode(entry.payload.bytes().unwrap()).unwrap();
            let mut body: CommitBody = decode(&signed.body).unwrap();
            // The tags stand last, of 33 bytes each with their lengths, and before them the signature.
            let at = body.mls_message.len() - 33 - 33 - 20;
            flip(&mut body.mls_message.0, at);
            let before = Follower::begin_again(body.base.as_ref().unwrap()).unwrap();
            let after = before.ahead_unproven(&body.mls_message, Seq(1), entry.t_ms).unwrap();
            assert_ne!(body.ga, after.facts().ga);
            body.ga = after.facts().ga;
            let key = &anna.signing_key;
            let signed = SignedPayload::sign(key, &entry.head, encode(&body), anna.device);
            entry.payload = Payload::Kept(Bytes(encode(&signed)));
        }
    })
    .await;
    assert_eq!(scene.is_stopped().await, Some(Code::Mls as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_welcome_that_its_commit_does_not_name_stops_the_conversation() {
    let scene = Scene::shown(|news| {
        for (_, welcome) in &mut news.welcomes {
            let at = welcome.0.len() / 2;
            flip(&mut welcome.0, at);
        }
    })
    .await;
    assert_eq!(scene.is_stopped().await, Some(Code::Welcome as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_get_his_welcome_follows_the_commit_and_enters_by_himself() {
    let scene = Scene::shown(|news| news.welcomes.clear()).await;
    assert_eq!(scene.ben.alarm_codes().await, [Code::Welcome as u64]);
    scene.ben.settle().await;
    scene.anna.settle().await;
    scene.anna.account.send_text(scene.log, "zwei").await.unwrap();
    scene.anna.settle().await;
    scene.ben.settle().await;
    assert_eq!(scene.ben.texts(scene.log).await.last().map(String::as_str), Some("zwei"));
}
