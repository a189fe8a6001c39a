//! A company and a conversation in memory, for the tests of the rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::authorise::{CompanyView, Conversation, DeviceFacts, Judgement};
use crate::body::{
    CapsuleBody, CommitBody, Genesis, HistoryRule, InviteBody, InviteOp, LogType, ResetBody,
    ResetReason, SignedPayload, unsigned_payload,
};
use crate::company::handover::Handover;
use crate::crypto::{PublicKey, sha256};
use crate::encoding::{Bytes, encode};
use crate::entry::{At, Head, Kind, Seen};
use crate::ids::{
    CompanyId, DeviceId, Digest, EntryHash, Epoch, Gen, KeyId, LogId, LogNo, Seq, TimeMs, UserId,
};
use crate::mls::extension::{GroupBinding, context_hash};
use crate::mls::member::Suite;
use crate::mls::public::Follower;
use crate::mls::testing::{COMPANY, Change, OwnCommit, Phone};
use crate::rules::form::{self, Parsed};
use crate::rules::server::{self, AcceptedCommit, AcceptedReset, CommitOffer, Session};
use crate::wire::Outcome;

pub const DAY: TimeMs = crate::limits::DAY_MS;
/// When the tests' conversations begin, far from the clock of the machine.
pub const START: TimeMs = 4_000 * DAY;

/// What the company log says, as the tests put it.
#[derive(Debug, Clone)]
pub struct TestCompany {
    pub size: u64,
    pub devices: BTreeMap<DeviceId, (UserId, PublicKey, Digest)>,
    pub revoked: BTreeSet<DeviceId>,
    pub keys: (KeyId, KeyId),
    /// Until when keys that are not the newest are good.
    pub old_keys_until: TimeMs,
    /// Resets that an admin ordered.
    pub orders: Vec<(Seq, LogId)>,
    /// The suite that the policy names.
    pub suite: Option<Suite>,
    /// By how much the company's clock is ahead of UTC.
    pub ahead_ms: TimeMs,
    /// Whether the policy gives members the past.
    pub gives_past: bool,
    /// The handovers in force.
    pub handovers: Vec<Handover>,
}

impl TestCompany {
    pub fn of(phones: &[&Phone]) -> Self {
        let devices = phones.iter().map(|phone| {
            let facts = phone.certificate.facts();
            (phone.device, (phone.user, facts.signature_key, phone.certificate.hash()))
        });
        Self {
            size: 20,
            devices: devices.collect(),
            revoked: BTreeSet::new(),
            keys: (KeyId([0xA; 16]), KeyId([0xB; 16])),
            old_keys_until: 0,
            orders: Vec::new(),
            suite: None,
            ahead_ms: 0,
            gives_past: false,
            handovers: Vec::new(),
        }
    }

    /// The same with one more entry: these devices revoked.
    pub fn revoking(&self, devices: &[DeviceId]) -> Self {
        let mut next = self.clone();
        next.size += 1;
        next.revoked.extend(devices);
        next
    }

    /// The same with one more entry: a reset of this log ordered.
    pub fn ordering(&self, log: LogId) -> Self {
        let mut next = self.clone();
        next.orders.push((Seq(self.size), log));
        next.size += 1;
        next
    }

    /// The same with one more entry: a policy that names this suite.
    pub fn naming(&self, suite: Option<Suite>) -> Self {
        let mut next = self.clone();
        next.size += 1;
        next.suite = suite;
        next
    }

    /// The same with one more entry: a new archive key of the officers.
    pub fn rekeyed(&self, old_keys_until: TimeMs) -> Self {
        let mut next = self.clone();
        next.size += 1;
        next.keys.0.0[0] ^= 1;
        next.old_keys_until = old_keys_until;
        next
    }

    pub fn at(&self) -> At {
        At { co: self.size, company_hash: self.hash() }
    }
}

impl CompanyView for TestCompany {
    fn size(&self) -> u64 {
        self.size
    }
    fn hash(&self) -> EntryHash {
        EntryHash([self.size as u8; 32])
    }
    fn company(&self) -> Option<CompanyId> {
        Some(COMPANY)
    }
    fn device(&self, device: DeviceId) -> Option<DeviceFacts> {
        let (user, signature_key, _) = *self.devices.get(&device)?;
        Some(DeviceFacts { user, signature_key, active: !self.revoked.contains(&device) })
    }
    fn has_certificate(&self, device: DeviceId, certificate: &Digest) -> bool {
        self.devices.get(&device).is_some_and(|(_, _, known)| known == certificate)
    }
    fn archive_keys(&self) -> Option<(KeyId, KeyId)> {
        Some(self.keys)
    }
    fn archive_keys_good(&self, id_a: KeyId, id_b: KeyId, t_ms: TimeMs) -> bool {
        (id_a, id_b) == self.keys || t_ms < self.old_keys_until
    }
    fn history_for_members(&self) -> bool {
        self.gives_past
    }
    fn handover(&self, seq: Seq) -> Option<&Handover> {
        self.handovers.iter().find(|known| known.seq == seq && seq.0 < self.size)
    }
    fn reset_ordered(&self, log: LogId, from: Seq) -> bool {
        self.orders.iter().any(|(seq, of)| *of == log && *seq >= from)
    }
    fn suite(&self) -> Option<Suite> {
        self.suite
    }
    fn day(&self, t_ms: TimeMs) -> u64 {
        (t_ms + self.ahead_ms) / DAY
    }
}

pub fn judged(company: &TestCompany, t_ms: TimeMs) -> Judgement<'_, TestCompany> {
    Judgement { at: company, link: company, t_ms }
}

pub fn seen(seq: u64) -> Option<Seen> {
    Some(Seen { seq: Seq(seq), hash: EntryHash([1; 32]) })
}

/// A capsule that nobody can open, with what the server looks at.
pub fn capsule_body(ga: Digest, keys: (KeyId, KeyId)) -> CapsuleBody {
    CapsuleBody { ga, id_a: keys.0, id_b: keys.1, c_a: [1; 1120], c_b: [2; 1120], sealed: [3; 48] }
}

/// A batch of commit and capsule as a phone would send it.
pub struct OfferedCommit {
    pub commit: Parsed,
    pub capsule: Parsed,
    pub group_info: Vec<u8>,
    pub welcome: Option<Vec<u8>>,
}

impl OfferedCommit {
    pub fn offer(&self) -> CommitOffer<'_> {
        CommitOffer {
            commit: &self.commit,
            capsule: &self.capsule,
            group_info: &self.group_info,
            welcome: self.welcome.as_deref(),
        }
    }
}

/// A reset's batch as a phone would send it.
pub struct OfferedReset {
    pub reset: Parsed,
    pub first: OfferedCommit,
}

/// A conversation at the server, and who is in the company.
pub struct Room {
    pub company: TestCompany,
    pub conversation: Conversation,
    pub follower: Follower,
    pub next: u64,
    pub t_ms: TimeMs,
}

pub const LOG: LogId = LogId([0x10; 16]);

pub fn genesis(r#type: LogType, creator: &Phone, members: &[&Phone], at: At) -> Genesis {
    Genesis {
        log: LOG,
        log_no: LogNo(7),
        r#type,
        creator: creator.user,
        members: members.iter().map(|phone| phone.user).collect(),
        class: 0,
        history: HistoryRule::Members,
        suite: Suite::Classic.code(),
        archive_keys: (KeyId([0xA; 16]), KeyId([0xB; 16])),
        at,
    }
}

pub fn signed_entry(kind: Kind, epoch: Epoch, phone: &Phone, body: Vec<u8>) -> Parsed {
    entry_of_gen(kind, Gen(0), epoch, phone, body)
}

pub fn entry_of_gen(kind: Kind, r#gen: Gen, epoch: Epoch, phone: &Phone, body: Vec<u8>) -> Parsed {
    let head = encode(&Head::plain(kind, LOG, r#gen, epoch));
    let payload = SignedPayload::sign(&phone.key, &head, body, phone.device);
    form::parse(&head, &encode(&payload)).unwrap()
}

/// The batch's last two entries, with the body as `change` leaves it.
pub fn offered(
    phone: &Phone,
    own: OwnCommit,
    base: Option<Vec<u8>>,
    seen: Option<Seen>,
    at: At,
    change: impl FnOnce(&mut CommitBody, &mut CapsuleBody),
) -> OfferedCommit {
    let group = phone.group.as_ref().unwrap();
    // A commit from outside is merged already.
    let pending = group.pending_commit().map(|pending| pending.group_context());
    let context = pending.unwrap_or(group.public_group().group_context());
    let ga = context_hash(context);
    let binding = GroupBinding::of(context).unwrap();
    let epoch = Epoch(context.epoch().as_u64());
    let mut capsule = capsule_body(ga, (binding.id_a, binding.id_b));
    let mut body = CommitBody {
        seen,
        at,
        mls_message: Bytes(own.commit),
        base: base.map(Bytes),
        ga,
        capsule_hash: capsule.digest(),
        gi_hash: sha256(&own.group_info),
        welcome_hash: own.welcome.as_deref().map(sha256),
    };
    change(&mut body, &mut capsule);
    let head = encode(&Head::plain(Kind::Capsule, LOG, binding.r#gen, epoch));
    OfferedCommit {
        commit: entry_of_gen(Kind::Commit, binding.r#gen, epoch, phone, encode(&body)),
        capsule: form::parse(&head, &unsigned_payload(encode(&capsule))).unwrap(),
        group_info: own.group_info,
        welcome: own.welcome,
    }
}

impl Room {
    /// The creator begins a conversation with these members and adds them all.
    pub fn create(r#type: LogType, creator: &mut Phone, others: &mut [&mut Phone]) -> Self {
        let everybody: Vec<&Phone> =
            [&*creator].into_iter().chain(others.iter().map(|phone| &**phone)).collect();
        let company = TestCompany::of(&everybody);
        let members: Vec<&Phone> = others.iter().map(|phone| &**phone).collect();
        let body = genesis(r#type, creator, &members, company.at());
        Self::begin(body, company, creator, others)
    }

    /// The same, with this genesis.
    pub fn begin(
        body: Genesis,
        company: TestCompany,
        creator: &mut Phone,
        others: &mut [&mut Phone],
    ) -> Self {
        let body_bytes = encode(&body);
        let binding = Conversation::begin(body, &body_bytes).binding();
        let genesis = signed_entry(Kind::Genesis, Epoch(0), creator, body_bytes);
        let base = creator.create(Suite::Classic, &binding);
        let members: Vec<&Phone> = others.iter().map(|phone| &**phone).collect();
        let own = creator.adding(&members, START);
        let welcome = own.welcome.clone();
        let at = company.at();
        let offer = offered(creator, own, Some(base), None, at, |_, _| {});
        let session = Session { device: creator.device, company: &company, t_ms: START };
        let created = server::creation(&genesis, &offer.offer(), &session, &company).unwrap();
        let mut room = Self {
            conversation: created.conversation,
            follower: created.follower,
            company,
            next: 1,
            t_ms: START,
        };
        room.take(created.commit);
        creator.merge_own();
        for phone in others {
            phone.join(welcome.as_ref().unwrap(), &room.follower.tree_bytes());
        }
        room
    }

    /// A commit of this phone as its batch.
    pub fn offer(&self, phone: &mut Phone, change: Change) -> OfferedCommit {
        let own = phone.commit(change);
        offered(phone, own, None, seen(self.next - 1), self.company.at(), |_, _| {})
    }

    /// Whether the server takes a batch from this phone, judged by the company that the room has.
    pub fn judge(&self, phone: &Phone, offer: &OfferedCommit) -> Result<AcceptedCommit, Outcome> {
        let session = Session { device: phone.device, company: &self.company, t_ms: self.t_ms };
        server::commit(&offer.offer(), &self.conversation, &self.follower, &session, &self.company)
    }

    pub fn take(&mut self, accepted: AcceptedCommit) {
        let seq = Seq(self.next);
        self.conversation.begin_epoch(&accepted.authorised, seq, self.t_ms);
        self.follower.merge(accepted.staged, seq, self.t_ms).unwrap();
        self.next += 2;
    }

    /// This phone commits, the server accepts, the phones in `others` follow.
    pub fn commits(&mut self, phone: &mut Phone, change: Change, others: &mut [&mut Phone]) {
        let own = phone.commit(change);
        let message = own.commit.clone();
        let at = self.company.at();
        let offer = offered(phone, own, None, seen(self.next - 1), at, |_, _| {});
        let accepted = self.judge(phone, &offer).unwrap();
        self.take(accepted);
        phone.merge_own();
        for other in others {
            other.process(&message);
        }
    }

    /// A reset that names everybody, but for what `change` makes of it.
    pub fn reset_body(
        &self,
        reason: ResetReason,
        change: impl FnOnce(&mut ResetBody),
    ) -> ResetBody {
        let devices = self.conversation.devices(&self.company);
        let mut body = ResetBody {
            seen: seen(self.next - 1),
            at: self.company.at(),
            reason,
            bad_seq: (reason == ResetReason::Broken).then_some(self.conversation.began),
            roster: devices.into_iter().map(|(device, _)| device).collect(),
            missing: Vec::new(),
        };
        change(&mut body);
        body
    }

    /// The batch of this reset, in which its author adds these phones.
    pub fn offer_reset(
        &self,
        phone: &mut Phone,
        body: &ResetBody,
        adds: &[&Phone],
        suite: Suite,
    ) -> OfferedReset {
        let r#gen = Gen(self.conversation.r#gen.0 + 1);
        let (id_a, id_b) = self.company.keys;
        let binding = GroupBinding { r#gen, id_a, id_b, ..self.conversation.binding() };
        let reset = entry_of_gen(Kind::Reset, r#gen, Epoch(0), phone, encode(body));
        phone.group = None;
        let base = phone.create(suite, &binding);
        let own = phone.adding(adds, self.t_ms);
        let first = offered(phone, own, Some(base), body.seen, body.at, |_, _| {});
        OfferedReset { reset, first }
    }

    /// Whether the server takes a reset from this phone.
    pub fn judge_reset(
        &self,
        phone: &Phone,
        offer: &OfferedReset,
    ) -> Result<AcceptedReset, Outcome> {
        let session = Session { device: phone.device, company: &self.company, t_ms: self.t_ms };
        let (reset, first) = (&offer.reset, offer.first.offer());
        server::reset(reset, &first, &self.conversation, &session, &self.company)
    }

    pub fn take_reset(&mut self, accepted: AcceptedReset) {
        self.conversation = accepted.conversation;
        self.follower = accepted.follower;
        self.next += 1;
        self.take(accepted.commit);
    }

    /// This phone resets the conversation and the others come with its Welcome.
    pub fn resets(&mut self, phone: &mut Phone, reason: ResetReason, others: &mut [&mut Phone]) {
        let body = self.reset_body(reason, |_| {});
        let suite = Suite::from_code(self.conversation.suite).unwrap();
        let adds: Vec<&Phone> = others.iter().map(|phone| &**phone).collect();
        let offer = self.offer_reset(phone, &body, &adds, suite);
        let accepted = self.judge_reset(phone, &offer).unwrap();
        self.take_reset(accepted);
        let secret = phone.merge_own();
        for other in others {
            let welcome = offer.first.welcome.as_ref().unwrap();
            assert_eq!(other.join(welcome, &self.follower.tree_bytes()), secret);
        }
    }

    pub fn invite_entry(&self, phone: &Phone, op: InviteOp, user: UserId, saw: u64) -> Parsed {
        let body = InviteBody { seen: seen(saw), at: self.company.at(), op, user };
        signed_entry(Kind::Invite, self.conversation.epoch, phone, encode(&body))
    }

    /// An invite entry, judged and, if it is accepted, taken.
    pub fn invites(
        &mut self,
        phone: &Phone,
        op: InviteOp,
        user: UserId,
        saw: u64,
    ) -> Result<(), Outcome> {
        let entry = self.invite_entry(phone, op, user, saw);
        let session = Session { device: phone.device, company: &self.company, t_ms: self.t_ms };
        let authorised = server::invite(&entry, &self.conversation, &session, &self.company)?;
        self.conversation.take_invite(&authorised, Seq(self.next));
        self.next += 1;
        Ok(())
    }
}
