//! A company for a table: the real server, a real founding, phones with their own databases.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hauspost::company::client::Client;
use hauspost::company::founding::{Founding, found};
use hauspost::company::holder::Holder;
use hauspost::company::key_file::Purpose;
use hauspost::company::people;
use hauspost::serve::{Allowance, Quotas, ServeConfig, run};
use hauspost_core::account::{Account, AccountError};
use hauspost_core::env::seeded::MemoryKeyStore;
use hauspost_core::env::system::{SystemClock, SystemRandomness};
use hauspost_core::env::{Env, KeyStore};
use hauspost_core::sync::{Https, Network, Server, Session};
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{LogId, UserId};
use hauspost_protocol::invitation::Trust;
use hauspost_protocol::mls::member::Suite;
use hauspost_tests::crowd::{Gate, enrol};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

/// A founded company with its running server.
pub struct World {
    folder: TempDir,
    pub url: String,
    pub trust: Trust,
    server: Option<Child>,
    rng: StdRng,
}

/// A phone of the company.
pub struct Phone {
    pub account: Account,
    pub folder: PathBuf,
    pub key_store: Arc<dyn KeyStore>,
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// The argument that makes this program a server of the folder that follows.
pub const SERVE: &str = "--serve";

/// A server in this process; it prints its URL and runs until it is killed.
pub async fn serve(folder: &Path) {
    let mut server = run(config(folder)).await.unwrap();
    println!("{}", server.url());
    server.stopped().await.unwrap();
}

/// The protocol's own limits only: a bench appends more in a minute than people in a week.
fn config(data: &Path) -> ServeConfig {
    let all = Allowance { at_once: u64::MAX >> 1, a_day: u64::MAX >> 1 };
    let quotas = Quotas { entries: all, bytes: all, looks: all };
    ServeConfig { quotas, ..ServeConfig::new(data, "127.0.0.1:0".parse().unwrap()) }
}

/// A folder in memory, where there is one.
pub fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

impl World {
    /// With the server in this process.
    pub async fn found() -> Self {
        Self::found_in(&std::env::temp_dir()).await
    }

    /// The same, with its files below this folder.
    pub async fn found_in(folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).unwrap();
        let data = folder.path().join("server");
        let server = run(config(&data)).await.unwrap();
        let url = server.url().to_owned();
        Self::begin(folder, url, None).await
    }

    /// With the server in a process of its own.
    pub async fn found_apart() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Command::new(std::env::current_exe().unwrap())
            .arg(SERVE)
            .arg(folder.path().join("server"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self::begin(folder, url.trim().to_owned(), Some(server)).await
    }

    async fn begin(folder: TempDir, url: String, server: Option<Child>) -> Self {
        let data = folder.path().join("server");
        let ca = CertificateDer::from_pem_file(data.join("ca.pem")).unwrap();
        let trust = Trust::CompanyCa(Bytes(ca.to_vec()));
        let token = std::fs::read_to_string(data.join("founding-token")).unwrap();
        let client = Client::new(&url, &trust).unwrap();
        let mut rng = StdRng::from_seed([7; 32]);
        let keys = folder.path().join("keys");
        let founding =
            Founding { name: "Muster GmbH", trust: trust.clone(), token: &token, keys: &keys };
        found(&client, founding, now_ms(), &mut rng).await.unwrap();
        Self { folder, url, trust, server, rng }
    }

    /// The server's process, if it is one of its own.
    pub fn server_id(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// So many people more, whose devices have a key package of each suite and do nothing else.
    pub async fn crowd(&self, of: &Phone, count: usize) -> Vec<UserId> {
        let admin = Holder::open(&self.folder.path().join("keys").join("admin")).unwrap();
        let authority = &admin.signing_key(Purpose::EnrolmentAuthority).unwrap();
        let (url, trust, company) = (&*self.url, &self.trust, of.account.company());
        let gate = Gate { url, trust, company, authority, now_ms: now_ms() };
        enrol(&gate, &Suite::ALL, count).await
    }

    pub async fn phone(&mut self, handle: &str) -> Phone {
        self.phone_over(handle, Arc::new(Https)).await
    }

    /// A phone that reaches the server in this way.
    pub async fn phone_over(&mut self, handle: &str, network: Arc<dyn Network>) -> Phone {
        let admin = Holder::open(&self.folder.path().join("keys").join("admin")).unwrap();
        let client = admin.client(Some(&self.url)).await.unwrap();
        let times = (now_ms(), Duration::from_secs(86_400));
        let rng = &mut self.rng;
        let invitation = people::invite(&admin, &client, handle, Some(handle), times, rng);
        let invitation = invitation.await.unwrap().to_text();
        let folder = self.folder.path().join(handle);
        let key_store: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::new(&SystemRandomness));
        let account = Account::enrol(&folder, &invitation, env(&key_store, network)).await;
        Phone { account: account.unwrap(), folder, key_store }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn env(key_store: &Arc<dyn KeyStore>, network: Arc<dyn Network>) -> Env {
    let (clock, randomness) = (Arc::new(SystemClock), Arc::new(SystemRandomness));
    Env { clock, randomness, key_store: key_store.clone(), network }
}

impl Phone {
    /// Sends everything and pulls everything.
    pub async fn settle(&self) {
        self.account.sync_all().await.unwrap();
        self.account.send_once().await.unwrap();
        self.account.sync_all().await.unwrap();
    }

    /// The phone opened anew from its database: nothing is in memory.
    pub async fn reopen(&self) -> Result<Account, AccountError> {
        self.account.suspend().await;
        Account::open(&self.folder, env(&self.key_store, Arc::new(Https))).await
    }

    /// This phone's session over a connection of its own, beside the account's.
    pub fn server(&self, world: &World) -> Server {
        let connection = Https.connect(&world.url, &world.trust).unwrap();
        let clock = Arc::new(SystemClock);
        let (company, device) = (self.account.company(), self.account.device());
        Server::new(connection, Session::new(company, device, self.key_store.clone(), clock))
    }

    /// A group with these people, known to this phone and the server.
    pub async fn group(&self, title: &str, with: &[&Phone]) -> LogId {
        let users = with.iter().map(|phone| phone.account.user()).collect();
        self.group_of(title, users).await
    }

    /// The same, of people who need not have a phone here.
    pub async fn group_of(&self, title: &str, users: Vec<UserId>) -> LogId {
        let log = self.account.create_group(Some(title), users).await.unwrap();
        self.settle().await;
        log
    }
}
