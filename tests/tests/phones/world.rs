//! A company for a test: the real server, a real founding, and phones with their own databases.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use hauspost::company::client::Client;
use hauspost::company::founding::{Founding, found};
use hauspost::company::holder::Holder;
use hauspost::company::people;
use hauspost::serve::{CheckpointTimes, ServeConfig, Server, run};
use hauspost_core::account::Account;
use hauspost_core::env::seeded::MemoryKeyStore;
use hauspost_core::env::system::{SystemClock, SystemRandomness};
use hauspost_core::env::{Env, KeyStore};
use hauspost_core::read::Window;
use hauspost_core::store::FaultPoint;
use hauspost_core::store::rows::alarm;
use hauspost_core::store::rows::message::{MessageKind, MessageState};
use hauspost_core::sync::{Connection, Hints, Https, Network, NetworkError, Request, Response};
use hauspost_protocol::company::body::RevokeReason;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::entry::Entry;
use hauspost_protocol::ids::{LogId, UserId};
use hauspost_protocol::invitation::Trust;
use hauspost_protocol::wire::{SyncAnswer, path};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

/// A founded company with its running server.
pub struct World {
    folder: TempDir,
    server: Server,
    rng: StdRng,
}

/// A phone that can be switched off and on again.
pub struct Phone {
    pub account: Account,
    folder: PathBuf,
    key_store: Arc<dyn KeyStore>,
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis() as u64
}

impl World {
    pub async fn found() -> Self {
        if std::env::var("RUST_LOG").is_ok() {
            let _ = tracing_subscriber::fmt()
                .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
                .with_test_writer()
                .try_init();
        }
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("server");
        let mut config = ServeConfig::new(&data, "127.0.0.1:0".parse().unwrap());
        config.checkpoints = CheckpointTimes {
            after_append: Duration::from_millis(50),
            at_least_every: Duration::from_secs(60),
        };
        let server = run(config).await.unwrap();
        let ca = CertificateDer::from_pem_file(data.join("ca.pem")).unwrap();
        let trust = Trust::CompanyCa(Bytes(ca.to_vec()));
        let token = std::fs::read_to_string(data.join("founding-token")).unwrap();
        let client = Client::new(server.url(), &trust).unwrap();
        let mut rng = StdRng::from_seed([7; 32]);
        let keys = folder.path().join("keys");
        let founding = Founding { name: "Muster GmbH", trust, token: &token, keys: &keys };
        found(&client, founding, now_ms(), &mut rng).await.unwrap();
        Self { folder, server, rng }
    }

    fn admin(&self) -> Holder {
        Holder::open(&self.folder.path().join("keys").join("admin")).unwrap()
    }

    /// Invites a person, who gets the name of the handle.
    pub async fn invited(&mut self, handle: &str) -> (UserId, String) {
        let client = self.admin().client(Some(self.server.url())).await.unwrap();
        let times = (now_ms(), Duration::from_secs(86_400));
        let invitation =
            people::invite(&self.admin(), &client, handle, Some(handle), times, &mut self.rng)
                .await
                .unwrap();
        (invitation.user, invitation.to_text())
    }

    /// Enrols a phone by an invitation.
    pub async fn enrol(&self, handle: &str, invitation: &str) -> Phone {
        let folder = self.folder.path().join(handle);
        let key_store: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::new(&SystemRandomness));
        let account = Account::enrol(&folder, invitation, env(&key_store)).await.unwrap();
        Phone { account, folder, key_store }
    }

    /// Enrols a phone that is switched off while the server's answer is on its way.
    pub async fn enrol_in_two_tries(&self, handle: &str, invitation: &str) -> Phone {
        let folder = self.folder.path().join(handle);
        let key_store: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::new(&SystemRandomness));
        let deaf = Env { network: Arc::new(Deaf), ..env(&key_store) };
        let broken = Account::enrol(&folder, invitation, deaf).await.err().unwrap();
        assert!(broken.is_retryable(), "{broken}");
        let account = Account::open(&folder, env(&key_store)).await.unwrap();
        account.sync_all().await.unwrap();
        account.stock_packages().await.unwrap();
        Phone { account, folder, key_store }
    }

    pub async fn phone(&mut self, handle: &str) -> Phone {
        let (_, invitation) = self.invited(handle).await;
        self.enrol(handle, &invitation).await
    }

    pub async fn revoke(&mut self, handle: &str) {
        let holder = Holder::open(&self.folder.path().join("keys").join("hr")).unwrap();
        let client = holder.client(Some(self.server.url())).await.unwrap();
        people::revoke(&holder, &client, handle, RevokeReason::Left, &mut self.rng).await.unwrap();
    }
}

fn env(key_store: &Arc<dyn KeyStore>) -> Env {
    Env {
        clock: Arc::new(SystemClock),
        randomness: Arc::new(SystemRandomness),
        key_store: key_store.clone(),
        network: Arc::new(Https),
    }
}

impl Phone {
    /// Switches the phone off and on: everything in memory is gone.
    pub async fn restart(self) -> Self {
        let Self { account, folder, key_store } = self;
        drop(account);
        let account = Account::open(&folder, env(&key_store)).await.unwrap();
        Self { account, folder, key_store }
    }

    /// Switches the phone off and on; from now on somebody changes the news that it gets.
    pub async fn lied_to(self, lie: Lie) -> Self {
        let Self { account, folder, key_store } = self;
        drop(account);
        let env = Env { network: Arc::new(Liar(lie)), ..env(&key_store) };
        let account = Account::open(&folder, env).await.unwrap();
        Self { account, folder, key_store }
    }

    /// Copies the phone's files, as a backup would.
    pub async fn backed_up(self) -> Self {
        self.account.suspend().await;
        let copy = self.folder.with_extension("backup");
        std::fs::create_dir_all(&copy).unwrap();
        for file in std::fs::read_dir(&self.folder).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
        self.restart().await
    }

    /// Puts the copied files back.
    pub async fn restored(self) -> Self {
        let Self { account, folder, key_store } = self;
        account.suspend().await;
        drop(account);
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::rename(folder.with_extension("backup"), &folder).unwrap();
        let account = Account::open(&folder, env(&key_store)).await.unwrap();
        Self { account, folder, key_store }
    }

    /// Kills the phone's process at the `nth` write from now.
    pub fn kill_at(&self, nth: u64, point: FaultPoint) {
        self.account.store().fail_at(nth, point);
    }

    /// Whether it was killed.
    pub async fn is_dead(&self) -> bool {
        self.account.is_revoked().await.is_err()
    }

    /// Waits until this text stands in the conversation; the phone works by itself.
    pub async fn hears(&self, log: LogId, text: &str) {
        let observer = self.account.observe();
        let heard = async {
            while self.texts_if_there(log).await.iter().all(|known| known != text) {
                observer.next().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), heard).await.expect("heard in time");
    }

    async fn texts_if_there(&self, log: LogId) -> Vec<String> {
        match self.account.conversation(log).await.unwrap() {
            Some(_) => self.texts(log).await,
            None => Vec::new(),
        }
    }

    /// As [`Phone::settle`], for a phone that may die on the way.
    pub async fn try_to_settle(&self) {
        let _ = self.account.sync_all().await;
        let _ = self.account.send_once().await;
        let _ = self.account.sync_all().await;
    }

    /// Whether anything was alarming.
    pub async fn alarms(&self) -> usize {
        let alarms = self.account.store().read(alarm::unreported);
        alarms.await.unwrap().len()
    }

    /// Sends everything and pulls everything.
    pub async fn settle(&self) {
        self.account.sync_all().await.unwrap();
        self.account.send_once().await.unwrap();
        self.account.sync_all().await.unwrap();
    }

    /// The texts of a conversation, oldest first.
    pub async fn texts(&self, log: LogId) -> Vec<String> {
        let page = self.account.timeline(log, Window::Newest, 500).await.unwrap();
        page.rows.into_iter().filter_map(|row| row.text).collect()
    }

    /// How many gaps a conversation shows.
    pub async fn gaps(&self, log: LogId) -> usize {
        let page = self.account.timeline(log, Window::Newest, 500).await.unwrap();
        page.rows.iter().filter(|row| row.kind == MessageKind::Gap).count()
    }

    /// How many messages the timeline shows as missing.
    pub async fn missing(&self, log: LogId) -> u64 {
        let page = self.account.timeline(log, Window::Newest, 200).await.unwrap();
        page.rows.iter().map(|row| row.missing).sum()
    }

    /// The state of the message with this text.
    pub async fn state(&self, log: LogId, text: &str) -> Option<MessageState> {
        let page = self.account.timeline(log, Window::Newest, 500).await.unwrap();
        let row = page.rows.into_iter().find(|row| row.text.as_deref() == Some(text));
        row.map(|row| row.state)
    }

    /// The only conversation of this phone.
    pub async fn only_log(&self) -> LogId {
        let rows = self.account.conversations(None, 10).await.unwrap();
        assert_eq!(rows.len(), 1, "one conversation");
        rows[0].log
    }
}

/// A network that loses the answer to an enrolment, after the server acted on it.
struct Deaf;

struct DeafConnection(Arc<dyn Connection>);

impl Network for Deaf {
    fn connect(&self, server: &str, trust: &Trust) -> Result<Arc<dyn Connection>, NetworkError> {
        Ok(Arc::new(DeafConnection(Https.connect(server, trust)?)))
    }
}

impl Connection for DeafConnection {
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Response, NetworkError>> {
        let lost = request.path == path::ENROL;
        let answer = self.0.request(request);
        Box::pin(async move {
            match answer.await {
                Ok(_) if lost => Err(NetworkError::Broken),
                answer => answer,
            }
        })
    }

    fn stream(&self, request: Request) -> BoxFuture<'_, Result<Hints, NetworkError>> {
        self.0.stream(request)
    }
}

/// What is done to a log's news.
pub type Lie = fn(&mut Vec<Entry>);

/// A network that changes what the server says.
struct Liar(Lie);

struct LiarConnection(Arc<dyn Connection>, Lie);

impl Network for Liar {
    fn connect(&self, server: &str, trust: &Trust) -> Result<Arc<dyn Connection>, NetworkError> {
        Ok(Arc::new(LiarConnection(Https.connect(server, trust)?, self.0)))
    }
}

impl Connection for LiarConnection {
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Response, NetworkError>> {
        let news = request.path == path::SYNC;
        let (answer, lie) = (self.0.request(request), self.1);
        Box::pin(async move {
            let mut answer = answer.await?;
            if news && answer.status == 200 {
                let mut told: SyncAnswer = decode(&answer.body).unwrap();
                told.logs.iter_mut().for_each(|log| lie(&mut log.entries));
                answer.body = encode(&told);
            }
            Ok(answer)
        })
    }

    fn stream(&self, request: Request) -> BoxFuture<'_, Result<Hints, NetworkError>> {
        self.0.stream(request)
    }
}
