//! A company for a test: the real server over real TLS, a real founding, and phones with their own
//! databases. A phone's network can be another than the honest one; see [`hostile`](crate::hostile).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hauspost::company::client::Client;
use hauspost::company::devices;
use hauspost::company::founding::{Founding, found};
use hauspost::company::handover::{self, Wanted};
use hauspost::company::history;
use hauspost::company::holder::Holder;
use hauspost::company::key_file::Purpose;
use hauspost::company::{people, policy, reset};
use hauspost::serve::{CheckpointTimes, ServeConfig, Server, run};
use hauspost_core::account::{Account, AccountError};
use hauspost_core::env::Env;
use hauspost_core::env::seeded::MemoryKeyStore;
use hauspost_core::env::system::{SystemClock, SystemRandomness};
use hauspost_core::read::Window;
use hauspost_core::store::rows::message::{MessageKind, MessageState};
use hauspost_core::store::rows::{alarm, log};
use hauspost_core::store::{FaultPoint, StoreError};
use hauspost_core::sync::{Https, Network};
use hauspost_protocol::company::body::{ReportEntry, RevokeReason};
use hauspost_protocol::company::policy::Terms;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{CompanyId, DeviceId, LogId, Seq, UserId};
use hauspost_protocol::invitation::Trust;
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::wire::{Person, path};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

use crate::crowd::{self, Gate};
use crate::hostile::Hostile;

/// How long a test waits for what must come: no promise of speed, but an end to a test that hangs.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A founded company with its running server.
pub struct World {
    folder: TempDir,
    server: Server,
    rng: StdRng,
}

/// A phone that can be switched off and on again.
pub struct Phone {
    /// The account.
    pub account: Account,
    folder: PathBuf,
    env: Env,
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis() as u64
}

impl World {
    /// A founded company without phones.
    pub async fn found() -> Self {
        Self::found_as(7).await
    }

    /// A founded company, whose id and keys are drawn from this seed.
    pub async fn found_as(seed: u8) -> Self {
        Self::found_so(seed, |_| {}).await
    }

    /// A founded company whose server is configured so.
    pub async fn found_with(configure: impl FnOnce(&mut ServeConfig)) -> Self {
        Self::found_so(7, configure).await
    }

    async fn found_so(seed: u8, configure: impl FnOnce(&mut ServeConfig)) -> Self {
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
        configure(&mut config);
        let server = run(config).await.unwrap();
        let ca = CertificateDer::from_pem_file(data.join("ca.pem")).unwrap();
        let trust = Trust::CompanyCa(Bytes(ca.to_vec()));
        let token = std::fs::read_to_string(data.join("founding-token")).unwrap();
        let client = Client::new(server.url(), &trust).unwrap();
        let mut rng = StdRng::from_seed([seed; 32]);
        let keys = folder.path().join("keys");
        let founding = Founding { name: "Muster GmbH", trust, token: &token, keys: &keys };
        found(&client, founding, now_ms(), &mut rng).await.unwrap();
        Self { folder, server, rng }
    }

    /// A founded company, with people of these handles who have a phone each.
    pub async fn of<const N: usize>(handles: [&str; N]) -> (Self, [Phone; N]) {
        let mut world = Self::found().await;
        let mut phones = Vec::new();
        for handle in handles {
            phones.push(world.phone(handle).await);
        }
        let phones = phones.try_into().unwrap_or_else(|_| panic!("a phone for each handle"));
        (world, phones)
    }

    /// The server's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    /// The folder of a person's phone.
    pub fn phone_folder(&self, handle: &str) -> PathBuf {
        self.folder.path().join(handle)
    }

    fn admin(&self) -> Holder {
        Holder::open(&self.folder.path().join("keys").join("admin")).unwrap()
    }

    /// Signs the next version of the policy by everybody who has to, and appends it.
    pub async fn policy(&mut self, terms: Terms) {
        let admin = self.admin();
        let client = admin.client(None).await.unwrap();
        let company = admin.company(&client, &mut self.rng).await.unwrap();
        let mut approval = policy::next(&company, admin.card.company, terms).unwrap();
        for holder in ["admin", "hr", "council-1"] {
            let holder = Holder::open(&self.folder.path().join("keys").join(holder)).unwrap();
            approval.sign(&holder.role_key().unwrap().1);
        }
        client.append(admin.card.company.log(), approval.entry()).await.unwrap();
    }

    /// A handover is made, signed by these holders, each with a folder of his own, and appended; none if the
    /// server refuses it.
    pub async fn hands_over(
        &mut self,
        (from, to): (&str, &str),
        wanted: &Wanted,
        holders: &[&str],
    ) -> Option<Seq> {
        let hr = Holder::open(&self.folder.path().join("keys").join("hr")).unwrap();
        let client = hr.client(Some(self.server.url())).await.unwrap();
        let company = hr.company(&client, &mut self.rng).await.unwrap();
        let people = client.people().await.unwrap();
        let id = hr.card.company;
        let mut approval = handover::request(&company, id, &people, (from, to), wanted).unwrap();
        for holder in holders {
            let holder = Holder::open(&self.folder.path().join("keys").join(holder)).unwrap();
            approval.sign(&holder.role_key().unwrap().1);
        }
        client.append(id.log(), approval.entry()).await.ok()
    }

    /// What phones of this company trust.
    pub fn trust(&self) -> Trust {
        let ca = CertificateDer::from_pem_file(self.data().join("ca.pem")).unwrap();
        Trust::CompanyCa(Bytes(ca.to_vec()))
    }

    /// Invites a person, who gets the name of the handle.
    pub async fn invited(&mut self, handle: &str) -> (UserId, String) {
        self.invited_for(handle, Duration::from_secs(86_400)).await
    }

    /// Invites a person for so long.
    pub async fn invited_for(&mut self, handle: &str, lifetime: Duration) -> (UserId, String) {
        let client = self.admin().client(Some(self.server.url())).await.unwrap();
        let times = (now_ms(), lifetime);
        let invitation =
            people::invite(&self.admin(), &client, handle, Some(handle), times, &mut self.rng)
                .await
                .unwrap();
        (invitation.user, invitation.to_text())
    }

    /// Gives somebody another name in the directory.
    pub async fn renames(&self, user: UserId, handle: &str, name: &str) {
        let client = self.admin().client(Some(self.server.url())).await.unwrap();
        let person = Person { user, handle: handle.to_owned(), name: Some(name.to_owned()) };
        client.put_people(&vec![person]).await.unwrap();
    }

    /// Enrols a phone by an invitation.
    pub async fn enrol(&self, handle: &str, invitation: &str) -> Phone {
        self.try_to_enrol(handle, invitation, env(Arc::new(Https))).await.unwrap()
    }

    /// Enrols a phone that lives in this world, if it can.
    pub async fn try_to_enrol(
        &self,
        handle: &str,
        invitation: &str,
        env: Env,
    ) -> Result<Phone, AccountError> {
        let folder = self.phone_folder(handle);
        let account = Account::enrol(&folder, invitation, env.clone()).await?;
        Ok(Phone { account, folder, env })
    }

    /// Enrols a phone that is switched off while the server's answer is on its way.
    pub async fn enrol_in_two_tries(&self, handle: &str, invitation: &str) -> Phone {
        let network = Hostile::default();
        let env = env(network.network());
        network.loses_answers(path::ENROL);
        let broken = self.try_to_enrol(handle, invitation, env.clone()).await.err().unwrap();
        assert!(broken.is_retryable(), "{broken}");
        network.is_honest_again();
        let folder = self.phone_folder(handle);
        let account = Account::open(&folder, env.clone()).await.unwrap();
        account.sync_all().await.unwrap();
        account.stock_packages().await.unwrap();
        Phone { account, folder, env }
    }

    /// A new person with a phone.
    pub async fn phone(&mut self, handle: &str) -> Phone {
        self.phone_over(handle, Arc::new(Https)).await
    }

    /// A new person with a phone that reaches the server over this network.
    pub async fn phone_over(&mut self, handle: &str, network: Arc<dyn Network>) -> Phone {
        let (_, invitation) = self.invited(handle).await;
        self.try_to_enrol(handle, &invitation, env(network)).await.unwrap()
    }

    /// Makes a checkpoint of everything that the server has.
    pub async fn checkpoint(&self) {
        self.server.app().make_checkpoint(Duration::from_secs(86_400)).await.unwrap();
    }

    /// What devices reported, as the admin reads it.
    pub async fn reports(&self) -> Vec<ReportEntry> {
        let admin = self.admin();
        let client = admin.client(Some(self.server.url())).await.unwrap();
        let log = admin.company_log(&client, &mut StdRng::seed_from_u64(1)).await;
        let (company, entries) = log.unwrap();
        history::reports(&company, &entries).into_iter().map(|report| report.body).collect()
    }

    /// So many people whose devices can be added to groups of these suites and do nothing else.
    pub async fn crowd(&self, company: CompanyId, suites: &[Suite], count: usize) -> Vec<UserId> {
        let authority = self.admin().signing_key(Purpose::EnrolmentAuthority).unwrap();
        let (url, trust, authority) = (self.server.url(), &self.trust(), &authority);
        let gate = Gate { url, trust, company, authority, now_ms: now_ms() };
        crowd::enrol(&gate, suites, count).await
    }

    /// The admin orders a reset of this conversation.
    pub async fn orders_reset(&mut self, log: LogId) {
        let admin = self.admin();
        let client = admin.client(Some(self.server.url())).await.unwrap();
        reset::order(&admin, &client, log, "niemand kommt hinein", &mut self.rng).await.unwrap();
    }

    /// A further phone of a person who has one, approved by that one.
    pub async fn second_phone(&mut self, handle: &str, first: &Phone) -> Phone {
        self.second_phone_over(handle, first, Arc::new(Https)).await
    }

    /// A further phone that reaches the server over this network.
    pub async fn second_phone_over(
        &mut self,
        handle: &str,
        first: &Phone,
        network: Arc<dyn Network>,
    ) -> Phone {
        self.further_phone(handle, &format!("{handle}-2"), first, network).await
    }

    /// A further phone that lives in this folder and reaches the server over this network.
    pub async fn further_phone(
        &mut self,
        handle: &str,
        folder: &str,
        first: &Phone,
        network: Arc<dyn Network>,
    ) -> Phone {
        let (_, invitation) = self.invited(handle).await;
        let env = env(network);
        let code = match self.try_to_enrol(folder, &invitation, env.clone()).await {
            Err(AccountError::NeedsApproval(code)) => code,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("nobody has signed for it"),
        };
        first.account.approve_device(&code, None).await.unwrap();
        self.try_to_enrol(folder, &invitation, env).await.unwrap()
    }

    /// An admin signs for the device that shows this code.
    pub async fn approves(&mut self, code: &str, replaces: Option<DeviceId>) -> bool {
        let admin = self.admin();
        let client = admin.client(Some(self.server.url())).await.unwrap();
        let approved =
            devices::approve(&admin, &client, code, replaces, now_ms(), &mut self.rng).await;
        approved.is_ok()
    }

    /// HR takes a person out.
    pub async fn revoke(&mut self, handle: &str) {
        let holder = Holder::open(&self.folder.path().join("keys").join("hr")).unwrap();
        let client = holder.client(Some(self.server.url())).await.unwrap();
        people::revoke(&holder, &client, handle, RevokeReason::Left, &mut self.rng).await.unwrap();
    }
}

/// The real world of a new phone, but for the network.
pub fn env(network: Arc<dyn Network>) -> Env {
    Env {
        clock: Arc::new(SystemClock),
        randomness: Arc::new(SystemRandomness),
        key_store: Arc::new(MemoryKeyStore::new(&SystemRandomness)),
        network,
    }
}

impl Phone {
    /// Switches the phone off and on: everything in memory is gone.
    pub async fn restart(self) -> Self {
        let Self { account, folder, env } = self;
        // Its tasks may hold the database for a moment longer than the account.
        account.suspend().await;
        drop(account);
        let account = Account::open(&folder, env.clone()).await.unwrap();
        Self { account, folder, env }
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
        let Self { account, folder, env } = self;
        account.suspend().await;
        drop(account);
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::rename(folder.with_extension("backup"), &folder).unwrap();
        let account = Account::open(&folder, env.clone()).await.unwrap();
        Self { account, folder, env }
    }

    /// The folder of its database.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The world that it lives in.
    pub fn env(&self) -> &Env {
        &self.env
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
        tokio::time::timeout(PATIENCE, heard).await.expect("heard at all");
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

    /// Lets the phone's disk have no more room than is used, or a little more.
    pub async fn fills_its_disk(&self) {
        self.limits_its_disk(0).await;
    }

    /// Makes room again.
    pub async fn empties_its_disk(&self) {
        self.limits_its_disk(1 << 30).await;
    }

    async fn limits_its_disk(&self, more_pages: i64) {
        let limited = self.account.store().write(move |tx| {
            let used: i64 = tx.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            let limit = format!("PRAGMA max_page_count = {}", used + more_pages);
            tx.query_row(&limit, [], |_| Ok(()))?;
            Ok::<_, StoreError>(())
        });
        limited.await.unwrap();
    }

    /// How many alarms there are.
    pub async fn alarms(&self) -> usize {
        self.alarm_codes().await.len()
    }

    /// The codes of all alarms, oldest first.
    pub async fn alarm_codes(&self) -> Vec<u64> {
        let alarms = self.account.store().read(alarm::all);
        alarms.await.unwrap().into_iter().map(|(_, alarm)| alarm.code).collect()
    }

    /// The code for which a conversation was stopped, if it was.
    pub async fn stopped(&self, log: LogId) -> Option<u64> {
        let row = self.account.store().read(move |conn| log::find(conn, log)).await.unwrap();
        row.and_then(|row| row.stop_code)
    }

    /// Begins a conversation with somebody by a text, which reaches the server.
    pub async fn writes_first(&self, to: &Phone, text: &str) -> LogId {
        let log = self.account.create_dm(to.account.user()).await.unwrap();
        self.account.send_text(log, text).await.unwrap();
        self.settle().await;
        log
    }

    /// Sends everything and pulls everything.
    pub async fn settle(&self) {
        self.account.sync_all().await.unwrap();
        self.account.agree().await.unwrap();
        self.account.tell_now().await.unwrap();
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
