//! The simulated world: folders, clocks, phones and the server, and how each is killed and started.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hauspost::serve::{App, ServeConfig};
use hauspost_core::account::{Account, AccountError};
use hauspost_core::env::Env;
use hauspost_core::env::seeded::{ManualClock, MemoryKeyStore, SeededRandomness};
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::{history, outbox};
use hauspost_core::sync::{Method, Request};
use hauspost_protocol::company::body::Scope;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::encoding::{Bytes, Item, decode, encode};
use hauspost_protocol::entry::{Entry, Seen};
use hauspost_protocol::ids::{DeviceId, LogId, Seq, UserId};
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::wire::{
    AppendRequest, Hello, NewEntry, Outcome, Principal, SESSION_LABEL, SessionAnswer,
    SessionRequest, SyncAnswer, SyncRequest, path,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tempfile::TempDir;

use super::announced::Announced;
use super::company::{
    ADMIN, COMPANY, founding, handover, invitation, key, pin, policy, reset_order, revocation,
};
use super::hints::Typing;
use super::network::{SimNetwork, Weather, Wire};
use super::trace::Trace;
use super::{Event, Harm, Plan};

/// When the company is founded.
pub const START_MS: u64 = 1_800_000_000_000;
/// A long holiday of nothing happening is over after this many rounds.
const ROUNDS: usize = 60;
const DAY_MS: u64 = 86_400_000;
const CHECKPOINT_AT_LEAST: Duration = Duration::from_secs(300);

/// A phone, running or not.
pub struct Phone {
    /// The number of the person whose it is.
    pub person: usize,
    /// Whose it is.
    pub user: UserId,
    /// Its device, once it is enrolled.
    pub device: Option<DeviceId>,
    /// Its own clock.
    pub clock: Arc<ManualClock>,
    /// How far its clock is off, in milliseconds.
    pub off_ms: i64,
    /// Whether its enrolment was answered once.
    pub enrolled: bool,
    /// What it shows while it waits for another device of the person.
    pub code: Option<String>,
    /// Whether HR took it out, or it was never let in.
    pub revoked: bool,
    /// Whether its disk is full.
    pub full: bool,
    /// How many texts were promised when its folder was copied, if there is a copy.
    pub backup: Option<usize>,
    /// Whether a copy was put back.
    pub restored: bool,
    folder: PathBuf,
    invitation: String,
    env: Env,
}

/// A text that a phone promised to send.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The phone.
    pub phone: usize,
    /// What it says.
    pub text: String,
    /// Whether the phone was put back to a time before it.
    pub undone: bool,
}

/// The world.
pub struct World {
    /// The plan.
    pub plan: Plan,
    /// What decides about people, phones and operators.
    pub dice: StdRng,
    /// The network.
    pub wire: Arc<Wire>,
    /// The phones.
    pub phones: Vec<Phone>,
    /// What was promised to be sent.
    pub sent: Vec<Sent>,
    /// What was promised to be announced in several rooms.
    pub announced: Vec<Announced>,
    /// How often somebody was seen to type.
    pub typing: Typing,
    /// The server's data folder.
    pub data: PathBuf,
    /// How many texts were written, so that each is another one.
    pub texts: u64,
    seed: u64,
    server: Option<App>,
    now_ms: Arc<AtomicU64>,
    trace: Trace,
    folder: TempDir,
}

impl World {
    /// A founded company with its phones invited, and none enrolled yet.
    pub async fn found(seed: u64, plan: Plan) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the simulation");
        let trace = Trace::default();
        let wire = Wire::new(seed, trace.clone());
        let now_ms = Arc::new(AtomicU64::new(START_MS));
        let data = folder.path().join("server");
        let mut world = Self {
            plan,
            dice: StdRng::seed_from_u64(seed),
            wire,
            phones: Vec::new(),
            sent: Vec::new(),
            announced: Vec::new(),
            typing: Typing::default(),
            data,
            texts: 0,
            seed,
            server: None,
            now_ms,
            trace,
            folder,
        };
        for person in 0..plan.phones {
            world.add_phone(person);
        }
        world.start_server().await;
        let hello: Hello = world.ask(Method::Get, path::HELLO, None, Vec::new()).await;
        let token = std::fs::read_to_string(world.data.join("founding-token"));
        let token = token.expect("an empty server has a founding token");
        let request = encode(&founding(&hello, plan.events.contains(&Event::Hints)));
        let _: Vec<u64> = world.ask(Method::Post, path::FOUND, Some(token), request).await;
        if world.may(Harm::Network) {
            world.wire.set_weather(Weather::Rough(30), world.may(Harm::Kills));
        }
        for phone in 0..world.phones.len() {
            world.start_phone(phone).await;
        }
        world
    }

    /// A further phone of this person, which nobody has started yet; its number.
    pub fn add_phone(&mut self, person: usize) -> usize {
        let number = self.phones.len();
        let is_further = self.phones.iter().any(|phone| phone.person == person);
        let randomness = Arc::new(SeededRandomness::new(self.seed * 100 + number as u64));
        let clock = Arc::new(ManualClock::at(self.now_ms.load(Ordering::SeqCst)));
        let env = Env {
            clock: clock.clone(),
            key_store: Arc::new(MemoryKeyStore::new(&*randomness)),
            randomness,
            network: Arc::new(SimNetwork { wire: self.wire.clone(), phone: number }),
        };
        self.phones.push(Phone {
            person,
            user: user(person),
            device: None,
            clock,
            off_ms: 0,
            enrolled: false,
            code: None,
            revoked: false,
            full: false,
            backup: None,
            restored: false,
            folder: self.folder.path().join(format!("phone-{number}")),
            invitation: invitation(person as u8 + 1, is_further, u64::MAX >> 1),
            env,
        });
        self.wire.add_phone();
        number
    }

    /// Adds a line to the trace.
    pub fn trace(&self, line: impl Into<String>) {
        self.trace.add(line);
    }

    /// The trace's digest and lines.
    pub fn end(&self) -> (String, Vec<String>) {
        self.trace.end()
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What the server's clock says.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    /// Lets time pass for everybody.
    pub fn pass(&mut self, ms: u64) {
        let now_ms = self.now_ms.fetch_add(ms, Ordering::SeqCst) + ms;
        for phone in &self.phones {
            phone.clock.set(now_ms.saturating_add_signed(phone.off_ms));
        }
    }

    async fn start_server(&mut self) {
        let mut config = ServeConfig::new(&self.data, ([127, 0, 0, 1], 0).into());
        let clock = self.now_ms.clone();
        config.clock = Arc::new(move || clock.load(Ordering::SeqCst));
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&self.seed.to_be_bytes());
        seed[8..16].copy_from_slice(&self.now_ms.load(Ordering::SeqCst).to_be_bytes());
        config.seed = Some(seed);
        let app = App::open(&config).await.expect("the server starts on its own folder");
        self.wire.set_server(Some(app.router()));
        self.server = Some(app);
    }

    /// Ends the server.
    pub async fn stop_server(&mut self) {
        self.wire.set_server(None);
        if let Some(server) = self.server.take() {
            server.close().await.expect("the server lets go of its folder");
        }
    }

    /// Ends the server and starts it on the same folder.
    pub async fn restart_server(&mut self) {
        self.stop_server().await;
        self.pass(1);
        self.start_server().await;
    }

    /// Makes a checkpoint if one is due.
    pub async fn checkpoint(&self) {
        if let Some(server) = &self.server {
            let made = server.make_checkpoint(CHECKPOINT_AT_LEAST).await;
            self.trace(format!("  checkpoint {:?}", made.ok().flatten()));
        }
    }

    /// Starts a phone that does not run: opens its account, or enrols it.
    pub async fn start_phone(&mut self, number: usize) {
        let phone = &mut self.phones[number];
        let (folder, env) = (phone.folder.clone(), phone.env.clone());
        let killed = self.wire.killed(number);
        let started = match phone.enrolled {
            true => tokio::select! {
                biased;
                () = killed.notified() => return,
                started = Account::open(&folder, env) => started,
            },
            false => tokio::select! {
                biased;
                () = killed.notified() => return,
                started = Account::enrol(&folder, &phone.invitation, env) => started,
            },
        };
        let code = started.as_ref().map(|_| ()).map_err(AccountError::code);
        self.trace.add(format!("  phone {number} starts {code:?}"));
        if let Err(AccountError::NeedsApproval(code)) = &started {
            phone.code = Some(code.clone());
        }
        if let Ok(account) = started {
            phone.enrolled = true;
            phone.device = Some(account.device());
            phone.code = None;
            phone.full = false;
            self.wire.set_account(number, Some(account));
        }
    }

    /// A device of the person signs for a phone that waits for it.
    pub async fn approve(&mut self, number: usize) {
        let Some(code) = self.phones[number].code.clone() else { return };
        let person = self.phones[number].person;
        let can = |phone: &Phone| phone.person == person && phone.enrolled && !phone.revoked;
        let Some(other) = self.phones.iter().position(can) else {
            self.trace(format!("  nobody is there who lets phone {number} in"));
            self.phones[number].revoked = true;
            return;
        };
        let _ =
            self.act(other, "approves", |account| async move {
                account.approve_device(&code, None).await
            })
            .await;
    }

    /// Copies the files of a phone that is switched off for it, as a backup would.
    pub fn back_up(&mut self, number: usize) {
        self.kill_phone(number);
        let phone = &mut self.phones[number];
        let copy = phone.folder.with_extension("backup");
        let _ = std::fs::remove_dir_all(&copy);
        std::fs::create_dir_all(&copy).expect("a folder for the backup");
        for file in std::fs::read_dir(&phone.folder).expect("an enrolled phone has a folder") {
            let file = file.expect("a folder can be listed");
            std::fs::copy(file.path(), copy.join(file.file_name())).expect("a file is copied");
        }
        phone.backup = Some(self.sent.len());
        self.trace(format!("  phone {number} is backed up"));
    }

    /// Puts the copied files of a phone back.
    pub fn restore(&mut self, number: usize) {
        let Some(promised) = self.phones[number].backup.take() else { return };
        self.kill_phone(number);
        let phone = &mut self.phones[number];
        std::fs::remove_dir_all(&phone.folder).expect("the folder is let go of");
        std::fs::rename(phone.folder.with_extension("backup"), &phone.folder).expect("a backup");
        phone.restored = true;
        for sent in self.sent[promised..].iter_mut().filter(|sent| sent.phone == number) {
            sent.undone = true;
        }
        for announced in self.announced.iter_mut().filter(|one| one.phone == number) {
            announced.undone = true;
        }
        self.trace(format!("  phone {number} is restored"));
    }

    /// Kills a phone: nothing that it has in memory remains.
    pub fn kill_phone(&mut self, number: usize) {
        self.trace(format!("  phone {number} is dead"));
        self.phones[number].full = false;
        self.wire.set_account(number, None);
    }

    /// Lets a phone do something. A phone that dies of it is started again at its next turn.
    pub async fn act<T, F>(
        &mut self,
        number: usize,
        what: &str,
        job: impl FnOnce(Account) -> F,
    ) -> Option<Result<T, AccountError>>
    where
        F: Future<Output = Result<T, AccountError>>,
    {
        if self.wire.account(number).is_none() {
            self.start_phone(number).await;
        }
        let account = self.wire.account(number)?;
        let killed = self.wire.killed(number);
        let done = tokio::select! {
            biased;
            () = killed.notified() => None,
            // What a phone does is large; in a box, who lets it needs no stack for it.
            done = Box::pin(job(account)) => Some(done),
        };
        let code = done.as_ref().map(|done| done.as_ref().map(|_| ()).map_err(AccountError::code));
        self.trace(format!("  phone {number} {what} {code:?}"));
        let dead = match &done {
            None => true,
            Some(Err(error)) => is_dead(error),
            Some(Ok(_)) => false,
        };
        if dead {
            self.kill_phone(number);
        }
        done
    }

    /// HR takes a phone out.
    pub async fn revoke(&mut self, number: usize) -> bool {
        let Some(device) = self.wire.account(number).map(|account| account.device()) else {
            return false;
        };
        self.append_company(|newest| revocation(device, newest)).await;
        self.phones[number].revoked = true;
        true
    }

    /// HR and the council hand the past of one person over to another one, if both ever had a device and
    /// the one who takes over has one still; whether they did.
    pub async fn hand_over(&mut self, (from, to): (UserId, UserId), scope: Scope) -> bool {
        let token = self.admin().await;
        let company = self.company(&token).await;
        let now = company.now();
        let can = now.has_had_device(from) && now.devices_of(to).next().is_some();
        if can {
            self.append_company(|newest| handover((from, to), scope, newest)).await;
        }
        can
    }

    /// The policy names this suite for all groups, or none any more.
    pub async fn name_suite(&mut self, suite: Option<Suite>) {
        let token = self.admin().await;
        let company = self.company(&token).await;
        self.append_company(|newest| policy(&company, suite, newest)).await;
    }

    /// An admin orders a reset of a conversation.
    pub async fn order_reset(&mut self, log: LogId) {
        self.append_company(|newest| reset_order(log, newest)).await;
    }

    /// Appends to the company log what must be taken.
    async fn append_company(&self, entry: impl FnOnce(Option<Seen>) -> NewEntry) {
        let token = self.admin().await;
        let company = self.company(&token).await;
        let request = AppendRequest {
            log: COMPANY.log(),
            entries: vec![entry(company.newest())],
            group_info: None,
            welcome: None,
        };
        let outcomes: Vec<Outcome> =
            self.ask(Method::Post, path::APPEND, Some(token), encode(&request)).await;
        assert!(matches!(outcomes[..], [Outcome::Ok(_)]), "the entry is taken: {outcomes:?}");
    }

    /// The company as its admin sees it.
    pub async fn company(&self, token: &str) -> Company {
        let entries = self.company_log(token).await;
        let mut company = Company::new(pin());
        let applied = company.apply_all(&entries, &mut StdRng::seed_from_u64(1));
        applied.expect("the company log is one chain");
        company
    }

    async fn company_log(&self, token: &str) -> Vec<Entry> {
        let request =
            SyncRequest { since: None, cursors: vec![], company_next: Seq(0), checkpoint: None };
        let token = Some(token.to_owned());
        let answer: SyncAnswer = self.ask(Method::Post, path::SYNC, token, encode(&request)).await;
        answer.company
    }

    /// An admin's session.
    pub async fn admin(&self) -> String {
        let key = key(ADMIN);
        let principal = Principal::Role(key.public().id());
        let challenge: Bytes = self.ask(Method::Get, path::CHALLENGE, None, Vec::new()).await;
        let signed = SessionRequest::signed(COMPANY, principal, &challenge);
        let signature = key.sign(SESSION_LABEL, &signed).0;
        let request = SessionRequest { principal, challenge, signature };
        let answer: SessionAnswer =
            self.ask(Method::Post, path::SESSION, None, encode(&request)).await;
        BASE64_URL_SAFE_NO_PAD.encode(&*answer.token)
    }

    /// Asks the server past the network's weather; what fails here is a defect of the simulation.
    async fn ask<T: Item>(
        &self,
        method: Method,
        path: &str,
        bearer: Option<String>,
        body: Vec<u8>,
    ) -> T {
        let request = Request { method, path: path.to_owned(), bearer, body };
        let answer = self.wire.deliver(request).await.expect("the server runs");
        let said = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "{path}: {said}");
        decode(&answer.body).expect("the server's answers have their form")
    }

    /// Ends all harm and lets every phone pull and send until nothing changes any more. What is then
    /// still wrong is returned.
    pub async fn heal(&mut self) -> Vec<String> {
        self.trace("heal");
        self.wire.set_weather(Weather::Fair, false);
        self.wire.disarm_bombs();
        self.wire.withhold_infos(false);
        if self.server.is_none() {
            self.start_server().await;
        }
        self.wire.deliver_late().await;
        for number in 0..self.phones.len() {
            // A fault that is armed and did not strike goes with the process.
            self.kill_phone(number);
            self.phones[number].off_ms = 0;
        }
        let mut before = String::new();
        let mut quiet = 0;
        // No device makes two new groups of one conversation on a day: one that an admin ordered, and one in the
        // suite that the policy names.
        let mut days = if self.plan.events.contains(&Event::Suite) { 2 } else { 0 };
        for round in 0..ROUNDS {
            let mut failed = Vec::new();
            let mut state = String::new();
            for number in 0..self.phones.len() {
                if self.phones[number].code.is_some() && !self.phones[number].revoked {
                    self.approve(number).await;
                }
                if self.phones[number].revoked {
                    let _ = self.act(number, "pulls", |a| async move { a.sync_all().await }).await;
                    continue;
                }
                let agreed = self.act(number, "agrees", |a| async move { a.agree().await }).await;
                let sent = self.act(number, "sends", |a| async move { a.send_once().await }).await;
                let pulled = self.act(number, "pulls", |a| async move { a.sync_all().await }).await;
                let shared =
                    self.act(number, "shares", |a| async move { a.share_history().await }).await;
                let all = [("agree", agreed), ("send", sent), ("pull", pulled), ("share", shared)];
                for (what, done) in all {
                    match done {
                        Some(Ok(())) => {}
                        Some(Err(error)) => failed.push(format!(
                            "phone {number} cannot {what} in a healed world: {} ({error})",
                            error.code()
                        )),
                        None => failed.push(format!("phone {number} does not start")),
                    }
                }
                state += &self.open_work(number).await;
            }
            self.pass(600_000);
            self.checkpoint().await;
            quiet = if state == before { quiet + 1 } else { 0 };
            before = state;
            if quiet == 2 && days > 0 {
                (days, quiet) = (days - 1, 0);
                self.pass(DAY_MS);
            }
            if quiet == 2 {
                self.trace(format!("quiet after {round} rounds"));
                return failed;
            }
        }
        vec![format!("the company does not come to rest: {before}")]
    }

    /// What a phone still has to do, and how far it has read.
    async fn open_work(&self, number: usize) -> String {
        let Some(account) = self.wire.account(number) else { return String::new() };
        let read = account.store().read(|conn| {
            let logs = hauspost_core::store::rows::log::all(conn)?;
            let mut state = String::new();
            for log in logs {
                let open = outbox::open(conn, log.local.id, 1_000)?.len();
                let unread = history::count_unread(conn, log.local)?;
                state += &format!("{}:{}:{open}:{unread} ", log.local.id, log.next_seq);
            }
            Ok::<_, StoreError>(state)
        });
        read.await.unwrap_or_default()
    }

    /// Whether what a plan says may go wrong includes this.
    pub fn may(&self, harm: Harm) -> bool {
        self.plan.harm >= harm
    }
}

/// The person of this number.
pub fn user(person: usize) -> UserId {
    UserId([person as u8 + 1; 16])
}

/// Whether a phone died of it.
pub fn is_dead(error: &AccountError) -> bool {
    matches!(error, AccountError::Store(StoreError::Fault))
}
