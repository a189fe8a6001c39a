//! A company, its server and its phones in one process, under a clock that stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hauspost_core::group::{Member, ScratchProvider, commit, enter, packages, provider};
use hauspost_protocol::archive_key::{ArchiveKey, ArchiveKeys, ArchiveSeed};
use hauspost_protocol::body::{Genesis, HistoryRule, LogType, SignedPayload, genesis_hash};
use hauspost_protocol::capsule;
use hauspost_protocol::company::body::{
    CompanyBody, OpeningEntry, RevokeEntry, RevokeReason, Role, Scope, company_pin,
};
use hauspost_protocol::company::entry::company_entry;
use hauspost_protocol::company::founding::{Founders, Office};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::company::voucher::{Voucher, enrol_request};
use hauspost_protocol::crypto::{Secret, SigningKey};
use hauspost_protocol::encoding::{Bytes, Item, decode, encode};
use hauspost_protocol::entry::{At, Entry, Head, Kind, Seen, Slot};
use hauspost_protocol::epoch::{EpochContext, EpochSecret};
use hauspost_protocol::ids::{
    CompanyId, DeviceId, Digest, EntryHash, Epoch, Gen, LeafIndex, LogId, LogNo, RecordIndex, Seq,
    UserId,
};
use hauspost_protocol::mls::certificate::DeviceCertificate;
use hauspost_protocol::mls::extension::GroupBinding;
use hauspost_protocol::mls::member::{Suite, parse_key_package};
use hauspost_protocol::mls::public::Follower;
use hauspost_protocol::mls::storage::MemoryBackend;
use hauspost_protocol::rules::form::{self, ParsedPayload};
use hauspost_protocol::wire::{
    AppendRequest, EnrolAnswer, EnrolRequest, Found, Hello, NewEntry, Outcome, PackageTaken,
    PackagesPut, PackagesTake, Principal, SESSION_LABEL, SessionAnswer, SessionRequest, SyncAnswer,
    SyncRequest, TOKEN_HEADER, path,
};
use p256::ecdsa::signature::Signer as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::serve::{App, ServeConfig};

pub const COMPANY: CompanyId = CompanyId([9; 16]);
pub const START_MS: u64 = 1_800_000_000_000;

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Secret::new([seed; 32]))
}

/// An archive key by its seed.
fn archive_key(seed: u8) -> ArchiveKey {
    ArchiveSeed::new(Secret::new([seed; 32])).public()
}

/// Role keys, by seed.
pub const ROOT: u8 = 100;
pub const AUTHORITY: u8 = 101;
pub const ADMIN: u8 = 102;
pub const HR: u8 = 103;
pub const OFFICERS: [u8; 2] = [104, 105];
pub const COUNCIL: u8 = 106;

pub struct World {
    pub app: App,
    pub router: Router,
    pub folder: TempDir,
    pub clock: Arc<AtomicU64>,
}

impl World {
    /// A server without a company.
    pub async fn empty() -> Self {
        Self::empty_with(|_| {}).await
    }
    async fn empty_with(change: impl FnOnce(&mut ServeConfig)) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(AtomicU64::new(START_MS)));
        let mut config = config(&folder, &clock);
        change(&mut config);
        let app = App::open(&config).await.unwrap();
        Self { router: app.router(), app, folder, clock }
    }

    /// A founded company.
    pub async fn founded() -> Self {
        Self::founded_with(|_| {}).await
    }

    /// The same at a server that is set up otherwise.
    pub async fn founded_with(change: impl FnOnce(&mut ServeConfig)) -> Self {
        let world = Self::empty_with(change).await;
        let request = world.founding().await;
        let token = world.founding_token();
        let (status, _) = world.post(path::FOUND, Some(&token), &request).await;
        assert_eq!(status, StatusCode::OK);
        world
    }

    pub fn founding_token(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("founding-token")).unwrap_or_default()
    }

    pub async fn founding(&self) -> Found {
        let hello: Hello = self.get(path::HELLO, None).await;
        let keys = [ADMIN, HR, OFFICERS[0], OFFICERS[1], COUNCIL].map(|seed| (seed, key(seed)));
        let roles = [Role::Admin, Role::Hr, Role::Officer, Role::Officer, Role::Council];
        let offices = keys.iter().zip(roles).map(|((seed, key), role)| Office {
            user: Some(UserId([*seed; 16])),
            ..Office::new(key, role)
        });
        let offices = offices.collect();
        let archive = |seed| (archive_key(seed), vec![Digest([seed; 32])]);
        let founders = Founders {
            company: COMPANY,
            root: &key(ROOT),
            authority: key(AUTHORITY).public(),
            offices,
            archive: [archive(1), archive(2)],
            policy: None,
        };
        let entries = founders.entries(&hello);
        Found { company: COMPANY, entries, people: Vec::new() }
    }

    pub async fn send(&self, request: Request<Body>) -> (StatusCode, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
        (status, body.to_vec())
    }

    pub async fn raw(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Vec<u8>,
    ) -> (StatusCode, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(TOKEN_HEADER, token);
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    pub async fn post<T: Item>(
        &self,
        path: &str,
        token: Option<&str>,
        request: &T,
    ) -> (StatusCode, Vec<u8>) {
        self.raw("POST", path, token, encode(request)).await
    }

    /// Posts what must succeed.
    pub async fn ask<T: Item, A: Item>(&self, path: &str, token: &str, request: &T) -> A {
        let (status, body) = self.post(path, Some(token), request).await;
        assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&body));
        decode(&body).unwrap()
    }

    pub async fn get<A: Item>(&self, path: &str, token: Option<&str>) -> A {
        let (status, body) = self.raw("GET", path, token, Vec::new()).await;
        assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&body));
        decode(&body).unwrap()
    }

    pub fn advance(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    pub fn now_ms(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub async fn make_checkpoint(&self) -> Option<u64> {
        self.app.make_checkpoint(Duration::from_secs(300)).await.unwrap()
    }

    /// A role's session.
    pub async fn role(&self, seed: u8) -> String {
        let key = key(seed);
        let principal = Principal::Role(key.public().id());
        let challenge: Bytes = self.get(path::CHALLENGE, None).await;
        let signed = SessionRequest::signed(COMPANY, principal, &challenge);
        let signature = key.sign(SESSION_LABEL, &signed).0;
        self.session(&SessionRequest { principal, challenge, signature }).await.unwrap()
    }

    pub async fn session(&self, request: &SessionRequest) -> Result<String, StatusCode> {
        let (status, body) = self.post(path::SESSION, None, request).await;
        if status != StatusCode::OK {
            return Err(status);
        }
        let answer: SessionAnswer = decode(&body).unwrap();
        Ok(BASE64_URL_SAFE_NO_PAD.encode(&*answer.token))
    }

    /// What an admin's tool sees of the company.
    pub async fn company(&self, token: &str) -> Company {
        let request =
            SyncRequest { since: None, cursors: vec![], company_next: Seq(0), checkpoint: None };
        let answer: SyncAnswer = self.ask(path::SYNC, token, &request).await;
        let mut company = Company::new(company_pin(&key(ROOT).public()));
        company.apply_all(&answer.company, &mut StdRng::seed_from_u64(1)).unwrap();
        assert_eq!(company.findings().count(), 0);
        company
    }

    /// Appends to the company log under an admin's session.
    pub async fn append_company(&self, body: CompanyBody, keys: &[u8]) -> Outcome {
        let token = self.role(ADMIN).await;
        let keys: Vec<_> = keys.iter().map(|seed| key(*seed)).collect();
        let entry = company_entry(COMPANY, body, &keys.iter().collect::<Vec<_>>());
        let request = append_request(COMPANY.log(), vec![entry]);
        let outcomes: Vec<Outcome> = self.ask(path::APPEND, &token, &request).await;
        outcomes.into_iter().next().unwrap()
    }

    pub async fn seen(&self) -> Option<Seen> {
        let token = self.role(ADMIN).await;
        self.company(&token).await.newest()
    }

    pub async fn revoke(&self, device: DeviceId) -> Outcome {
        let body = RevokeEntry { seen: self.seen().await, device, reason: RevokeReason::Left };
        self.append_company(CompanyBody::Revoke(body), &[HR]).await
    }

    pub async fn open_archive(&self, scope: Scope) -> Seq {
        let body = OpeningEntry {
            seen: self.seen().await,
            purpose: "a test".into(),
            scope,
            notice: Some("told".into()),
            block_reason: None,
        };
        let keys = [OFFICERS[0], OFFICERS[1], COUNCIL];
        match self.append_company(CompanyBody::Opening(body), &keys).await {
            Outcome::Ok(seq) => seq,
            other => panic!("{other:?}"),
        }
    }

    /// Enrols a phone with a session and key packages.
    pub async fn phone(&self, number: u8) -> Phone {
        let request = enrol(number, self.now_ms());
        let (status, body) = self.post(path::ENROL, None, &request).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        let answer: EnrolAnswer = decode(&body).unwrap();
        let certificate = DeviceCertificate::parse(&answer.certificate).unwrap();
        let mut phone = Phone {
            number,
            key: key(number),
            certificate,
            stored: MemoryBackend::default(),
            rng: StdRng::seed_from_u64(u64::from(number)),
            token: String::new(),
        };
        phone.token = self.session(&phone.sign_in(self).await).await.unwrap();
        let now_ms = self.now_ms();
        for suite in Suite::ALL {
            let packages = phone.packages(suite, 3, true, now_ms);
            let stock: u64 = self.ask(path::PACKAGES_PUT, &phone.token, &packages).await;
            assert_eq!(stock, 3);
        }
        phone
    }

    /// A phone whose session ended signs in anew.
    pub async fn sign_in_again(&self, mut phone: Phone) -> Phone {
        phone.token = self.session(&phone.sign_in(self).await).await.unwrap();
        phone
    }
}

pub fn config(folder: &TempDir, clock: &Arc<AtomicU64>) -> ServeConfig {
    let mut config = ServeConfig::new(folder.path(), ([127, 0, 0, 1], 0).into());
    let clock = Arc::clone(clock);
    config.clock = Arc::new(move || clock.load(Ordering::SeqCst));
    config.seed = Some([5; 32]);
    config
}

pub fn append_request(log: LogId, entries: Vec<NewEntry>) -> AppendRequest {
    AppendRequest { log, entries, group_info: None, welcome: None }
}

/// The request by which phone `number` enrols.
pub fn enrol(number: u8, now_ms: u64) -> EnrolRequest {
    let seed = Secret::new([number + 50; 32]);
    let seed_key = SigningKey::from_seed(seed.clone()).public();
    let user = UserId([number; 16]);
    let voucher = Voucher::sign(&key(AUTHORITY), COMPANY, seed_key, Some(user), now_ms + 1_000_000);
    enrol_request(
        COMPANY,
        &seed,
        &voucher,
        (user, DeviceId([number; 16])),
        &key(number),
        keystore(number).1,
        &[number; 1_216],
    )
}

/// A phone's keystore key and its public half.
pub fn keystore(number: u8) -> (p256::ecdsa::SigningKey, [u8; 33]) {
    let key = p256::ecdsa::SigningKey::from_slice(&[number; 32]).unwrap();
    let public = key.verifying_key().to_encoded_point(true).as_bytes().try_into().unwrap();
    (key, public)
}

pub struct Phone {
    pub number: u8,
    pub key: SigningKey,
    pub certificate: DeviceCertificate,
    pub stored: MemoryBackend,
    pub rng: StdRng,
    pub token: String,
}

impl Phone {
    pub fn device(&self) -> DeviceId {
        DeviceId([self.number; 16])
    }

    pub fn user(&self) -> UserId {
        UserId([self.number; 16])
    }

    /// A signed challenge.
    pub async fn sign_in(&self, world: &World) -> SessionRequest {
        let challenge: Bytes = world.get(path::CHALLENGE, None).await;
        let principal = Principal::Device(self.device());
        let message = SessionRequest::device_message(COMPANY, principal, &challenge);
        let signature: p256::ecdsa::Signature = keystore(self.number).0.sign(&message);
        SessionRequest { principal, challenge, signature: signature.to_bytes().into() }
    }

    /// The same phone once more, as if its storage was copied.
    pub fn twin(&self) -> Self {
        Self {
            number: self.number,
            key: self.key.clone(),
            certificate: self.certificate.clone(),
            stored: MemoryBackend::from_bytes(&self.stored.to_bytes()).unwrap(),
            rng: StdRng::seed_from_u64(u64::from(self.number) + 1_000),
            token: self.token.clone(),
        }
    }

    pub fn run<T>(
        &mut self,
        operation: impl FnOnce(&ScratchProvider<&MemoryBackend>, Member<'_>) -> T,
    ) -> T {
        let provider = provider(&self.stored, &mut self.rng);
        let member = Member { key: &self.key, certificate: &self.certificate };
        let done = operation(&provider, member);
        provider.backend().take_changes().apply(&self.stored).unwrap();
        done
    }

    pub async fn sync(&self, world: &World, cursors: Vec<(LogId, Seq)>) -> SyncAnswer {
        let company_next = Seq(0);
        let request = SyncRequest { since: None, cursors, company_next, checkpoint: None };
        world.ask(path::SYNC, &self.token, &request).await
    }

    pub async fn append(&self, world: &World, request: &AppendRequest) -> Vec<Outcome> {
        world.ask(path::APPEND, &self.token, request).await
    }

    /// New key packages of this phone.
    pub fn packages(
        &mut self,
        suite: Suite,
        count: u64,
        last_resort: bool,
        made_ms: u64,
    ) -> PackagesPut {
        self.run(|provider, member| {
            packages::make(provider, member, suite, count, last_resort, made_ms).unwrap()
        })
    }

    pub async fn take(&self, world: &World, peers: &[&Phone]) -> Vec<openmls::prelude::KeyPackage> {
        let devices = peers.iter().map(|peer| peer.device()).collect();
        let request = PackagesTake { suite: Suite::Hybrid.code(), devices };
        let taken: Vec<PackageTaken> = world.ask(path::PACKAGES_TAKE, &self.token, &request).await;
        let package = |taken: PackageTaken| parse_key_package(&taken.package.unwrap()).unwrap();
        taken.into_iter().map(package).collect()
    }

    /// The batch that creates a conversation with these peers, and the room that it makes.
    pub async fn draft(
        &mut self,
        world: &World,
        r#type: LogType,
        peers: &[&Phone],
    ) -> (Room, AppendRequest) {
        let log_no: LogNo =
            world.ask(path::RESERVE, &self.token, &crate::serve::answer::Empty).await;
        let names = (log_no, LogId([log_no.0 as u8 + 200; 16]));
        self.draft_as(world, r#type, peers, names).await
    }

    /// The same under this number and with this id.
    pub async fn draft_as(
        &mut self,
        world: &World,
        r#type: LogType,
        peers: &[&Phone],
        (log_no, log): (LogNo, LogId),
    ) -> (Room, AppendRequest) {
        let company = world.company(&self.token).await;
        let archive_keys = company.now().archive_keys().map(|(a, b)| (a.id, b.id)).unwrap();
        let at = At { co: company.size(), company_hash: company.now().hash() };
        let body = encode(&Genesis {
            log,
            log_no,
            r#type,
            creator: self.user(),
            members: peers.iter().map(|peer| peer.user()).collect(),
            class: 0,
            history: HistoryRule::Members,
            suite: Suite::Hybrid.code(),
            archive_keys,
            at,
        });
        let genesis_hash = genesis_hash(&body);
        let head = encode(&Head::plain(Kind::Genesis, log, Gen(0), Epoch(0)));
        let payload = encode(&SignedPayload::sign(&self.key, &head, body, self.device()));
        let genesis = (Bytes(head), Bytes(payload));
        let (id_a, id_b) = archive_keys;
        let binding =
            GroupBinding { log, log_no, r#gen: Gen(0), genesis: genesis_hash, id_a, id_b };
        let base = self.run(|provider, member| {
            commit::create(provider, member, Suite::Hybrid, &binding).unwrap().1
        });
        let mut room = Room { log, binding, epoch: Epoch(0), cap: Seq(2) };
        let adds = self.take(world, peers).await;
        let change = commit::Change { adds, ..Default::default() };
        let mut request = self.commit(&mut room, change, None, at, Some(base));
        request.entries.insert(0, genesis);
        (room, request)
    }

    /// Creates a conversation.
    pub async fn create(&mut self, world: &World, r#type: LogType, peers: &[&Phone]) -> Room {
        let (room, request) = self.draft(world, r#type, peers).await;
        let outcomes = self.append(world, &request).await;
        assert_eq!(outcomes, [Outcome::Ok(Seq(0)), Outcome::Ok(Seq(1)), Outcome::Ok(Seq(2))]);
        room
    }

    /// The batch of a commit, whose pending state is merged at once.
    pub fn commit(
        &mut self,
        room: &mut Room,
        change: commit::Change,
        seen: Option<Seen>,
        at: At,
        base: Option<Bytes>,
    ) -> AppendRequest {
        let group_id = room.binding.group_id();
        let own = self.run(|provider, member| {
            let mut group = commit::load(provider, &group_id).unwrap();
            let own = commit::commit(provider, &mut group, member, change).unwrap();
            commit::merge_own(provider, &mut group).unwrap();
            own
        });
        self.batch(room, own, seen, at, base)
    }

    fn batch(
        &self,
        room: &mut Room,
        own: commit::OwnCommit,
        seen: Option<Seen>,
        at: At,
        base: Option<Bytes>,
    ) -> AppendRequest {
        room.epoch = room.epoch.next();
        let context = EpochContext {
            log: room.log,
            r#gen: room.binding.r#gen,
            epoch: room.epoch,
            ga: own.ga,
        };
        let secret = EpochSecret::from_exporter(&own.exported, context);
        let keys = ArchiveKeys { a: archive_key(1), b: archive_key(2) };
        let capsule = encode(&capsule::seal(&secret, &keys));
        let body = own.body(seen, at, base, &capsule);
        let entries = commit::entries(&context, &body, capsule, (&self.key, self.device()));
        AppendRequest {
            log: room.log,
            entries: entries.to_vec(),
            group_info: Some(own.group_info),
            welcome: own.welcome,
        }
    }
}

impl Phone {
    /// The batch by which this phone enters a room by itself, on one of its GroupInfos. Its group is in
    /// the new epoch at once.
    pub async fn entering(&mut self, world: &World, room: &mut Room) -> AppendRequest {
        let news = self.sync(world, vec![]).await;
        let news = news.logs.into_iter().find(|news| news.log == room.log).unwrap();
        let mut follower = None;
        for entry in &news.entries {
            let payload = entry.payload.bytes().unwrap_or_default();
            let Ok(parsed) = form::parse(&entry.head, payload) else { continue };
            if let ParsedPayload::Commit(_, body) = &parsed.payload {
                if let Some(base) = &body.base {
                    let begun = Follower::begin(base, Suite::Hybrid, &room.binding).unwrap();
                    follower = Some(begun);
                }
                let follower = follower.as_mut().unwrap();
                let staged = follower.stage(&body.mls_message).unwrap();
                follower.merge(staged, entry.seq, entry.t_ms).unwrap();
            }
        }
        let follower = follower.unwrap();
        let path = format!("{}/{}/0/{}", path::GROUP_INFO, room.log, follower.epoch());
        let infos: Vec<Bytes> = world.get(&path, Some(&self.token)).await;
        let own = self.run(|provider, member| {
            enter::enter(provider, member, &follower, infos.last().unwrap()).unwrap()
        });
        let company = world.company(&self.token).await;
        let at = At { co: company.size(), company_hash: company.now().hash() };
        self.batch(room, own, Some(newest(&news.entries)), at, None)
    }

    /// This phone's own GroupInfo of the room's newest epoch.
    pub fn group_info(&mut self, room: &Room) -> Bytes {
        let id = room.binding.group_id();
        self.run(|provider, member| {
            let group = commit::load(provider, &id).unwrap();
            enter::group_info(provider, member, &group).unwrap()
        })
    }
}

/// A conversation as a test sees it.
pub struct Room {
    pub log: LogId,
    pub binding: GroupBinding,
    pub epoch: Epoch,
    pub cap: Seq,
}

impl Room {
    /// A record. What is sealed in it the server cannot know.
    pub fn record(&self, leaf: u32, index: u32, payload: &[u8]) -> NewEntry {
        let slot = Slot { leaf: LeafIndex(leaf), index: RecordIndex(index), cap: self.cap };
        let head = Head {
            slot: Some(slot),
            ..Head::plain(Kind::Record, self.log, self.binding.r#gen, self.epoch)
        };
        (Bytes(encode(&head)), Bytes::from(payload))
    }

    pub fn request(&self, entries: Vec<NewEntry>) -> AppendRequest {
        append_request(self.log, entries)
    }
}

/// The hash of the last of these entries, which are a whole chain.
pub fn newest(entries: &[Entry]) -> Seen {
    let mut hash = EntryHash::ZERO;
    for entry in entries {
        hash = entry.hash(hash);
    }
    Seen { seq: entries.last().unwrap().seq, hash }
}
