//! The rules: a room lives through whatever the bytes say, and server and reader judge every entry.
//!
//! The server may refuse what a reader would take (a budget, a conflict). Never the other way round: what the
//! server takes every honest reader takes, and both then hold the same conversation.

use std::collections::HashMap;

use arbitrary::Arbitrary;

use super::draw;
use crate::authorise::testing::{
    LOG, OfferedCommit, Room, TestCompany, entry_of_gen, genesis, offered, seen,
};
use crate::authorise::{Conversation, Judgement};
use crate::body::{CapsuleBody, CommitBody, InviteBody, InviteOp, LogType, ResetReason};
use crate::encoding::{decode, encode};
use crate::entry::{Head, Kind, Slot};
use crate::ids::{Digest, Epoch, LeafIndex, RecordIndex, Seq, TimeMs};
use crate::limits::DAY_MS;
use crate::mls::member::Suite;
use crate::mls::public::Follower;
use crate::mls::testing::{Change, OwnCommit, Phone};
use crate::rules::change;
use crate::rules::client::{SlotFacts, record_slot};
use crate::rules::form::{Parsed, ParsedPayload};
use crate::rules::server::{self, RecordFacts, Session};

/// A room lives through what these bytes say.
pub fn rules(data: &[u8]) {
    let Some(life) = draw::<Life>(data) else { return };
    let mut house = House::new(life.r#type);
    for act in life.acts.iter().take(MOST_ACTS) {
        house.live(act);
    }
}

/// Group commits take milliseconds; more of them in one life find nothing that several lives do not.
const MOST_ACTS: usize = 16;

#[derive(Debug, Arbitrary)]
struct Life {
    r#type: Type,
    acts: Vec<Act>,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Type {
    Dm,
    Group,
    Announce,
    Own,
}

#[derive(Debug, Arbitrary)]
enum Act {
    /// A commit of a member.
    Commit {
        by: u8,
        adds: u8,
        removes: u8,
        rebinds: bool,
        lie: Lie,
        judges: Judges,
    },
    /// A commit from outside.
    Enter {
        by: u8,
        helped_by: u8,
        lie: Lie,
        judges: Judges,
    },
    /// An invitation, a leaving, a change of owners.
    Invite {
        by: u8,
        op: u8,
        user: u8,
        unseen: u8,
        judges: Judges,
    },
    /// A capsule alone.
    Repair {
        by: u8,
        epoch_back: u8,
        wrong: bool,
    },
    /// A record, at any place.
    Record {
        by: u8,
        leaf: u8,
        index: Near,
        cap: Near,
        epoch_back: u8,
    },
    /// A new generation.
    Reset {
        by: u8,
        reason: u8,
        leaves_out: Option<u8>,
        wrong: bool,
    },
    /// An admin orders a reset.
    Order,
    Revoke {
        device: u8,
    },
    Rekey {
        grace_days: u8,
    },
    Wait {
        hours: u16,
    },
}

/// By which company log an author judges.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Judges {
    Now,
    OneBefore,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Near {
    Right,
    Less,
    More,
}

impl Near {
    fn to(self, right: u64) -> u64 {
        match self {
            Self::Right => right,
            Self::Less => right.saturating_sub(1),
            Self::More => right + 1,
        }
    }
}

/// What a commit's batch says other than it does.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Lie {
    None,
    Seen,
    Base,
    Context,
    Capsule,
    CapsuleContext,
    GroupInfo,
    Welcome,
    CompanyHash,
    Bit(u16),
}

impl Lie {
    fn tell(self, body: &mut CommitBody, capsule: &mut CapsuleBody) {
        match self {
            Self::None => {}
            Self::Seen => body.seen = None,
            Self::Base => body.base = Some(body.mls_message.clone()),
            Self::Context => body.ga.0[0] ^= 1,
            Self::Capsule => capsule.sealed[0] ^= 1,
            Self::CapsuleContext => {
                capsule.ga.0[0] ^= 1;
                body.capsule_hash = capsule.digest();
            }
            Self::GroupInfo => body.gi_hash.0[0] ^= 1,
            Self::Welcome => {
                let other = if body.welcome_hash.is_some() { None } else { Some(Digest([1; 32])) };
                body.welcome_hash = other;
            }
            Self::CompanyHash => body.at.company_hash.0[0] ^= 1,
            Self::Bit(bit) => {
                let bits = body.mls_message.len() * 8;
                let bit = usize::from(bit) % bits;
                body.mls_message.0[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}

/// One device that nobody let in, two of one person, two of others.
const PHONES: [(u8, u8); 5] = [(1, 1), (2, 2), (3, 3), (1, 4), (5, 5)];

/// The server's room, a reader of it, and the phones.
struct House {
    room: Room,
    /// The company log before its newest entry.
    before: TestCompany,
    reader: Conversation,
    follower: Follower,
    phones: Vec<Phone>,
    next_index: HashMap<LeafIndex, u64>,
}

fn phone(number: u8) -> Phone {
    let (user, device) = PHONES[usize::from(number) % PHONES.len()];
    Phone::new(user, device)
}

impl House {
    fn new(r#type: Type) -> Self {
        let mut phones: Vec<_> = (0..PHONES.len() as u8).map(phone).collect();
        let company = TestCompany::of(&phones.iter().collect::<Vec<_>>());
        let (creator, others) = phones.split_at_mut(1);
        let (named, added) = match r#type {
            Type::Own => (0, 0),
            Type::Dm => (1, 1),
            Type::Group | Type::Announce => (2, 1),
        };
        let members: Vec<&Phone> = others[..named].iter().collect();
        let r#type = match r#type {
            Type::Own => LogType::SelfNotes,
            Type::Dm => LogType::Dm,
            Type::Group => LogType::Group,
            Type::Announce => LogType::Announce,
        };
        let body = genesis(r#type, &creator[0], &members, company.at());
        let mut joining: Vec<&mut Phone> = others[..added].iter_mut().collect();
        let room = Room::begin(body, company.clone(), &mut creator[0], &mut joining);
        let reader = room.conversation.clone();
        let follower = Follower::from_bytes(&room.follower.to_bytes()).expect("its own bytes");
        Self { before: company, reader, follower, room, phones, next_index: HashMap::new() }
    }

    fn live(&mut self, act: &Act) {
        match *act {
            Act::Commit { by, adds, removes, rebinds, lie, judges } => {
                self.commit(at(by), adds, removes, rebinds, (lie, judges));
            }
            Act::Enter { by, helped_by, lie, judges } => {
                self.enter(at(by), at(helped_by), (lie, judges));
            }
            Act::Invite { by, op, user, unseen, judges } => {
                self.invite(at(by), (op, at(user)), unseen, judges);
            }
            Act::Repair { by, epoch_back, wrong } => self.repair(at(by), epoch_back, wrong),
            Act::Record { by, leaf, index, cap, epoch_back } => {
                self.record(at(by), leaf, (index, cap), epoch_back);
            }
            Act::Reset { by, reason, leaves_out, wrong } => {
                self.reset(at(by), reason, leaves_out, wrong);
            }
            Act::Order => self.company(|company| company.ordering(LOG)),
            Act::Revoke { device } => {
                let device = self.phones[at(device)].device;
                self.company(|company| company.revoking(&[device]));
            }
            Act::Rekey { grace_days } => {
                let until = self.room.t_ms + u64::from(grace_days % 40) * DAY_MS;
                self.company(|company| company.rekeyed(until));
            }
            Act::Wait { hours } => self.room.t_ms += TimeMs::from(hours) * 3_600_000,
        }
        assert_eq!(self.reader, self.room.conversation);
        assert_eq!(decode(&encode(&self.reader)), Ok(self.reader.clone()));
    }

    fn company(&mut self, next: impl FnOnce(&TestCompany) -> TestCompany) {
        let next = next(&self.room.company);
        self.before = std::mem::replace(&mut self.room.company, next);
    }

    fn judged_by(&self, judges: Judges) -> &TestCompany {
        match judges {
            Judges::Now => &self.room.company,
            Judges::OneBefore => &self.before,
        }
    }

    fn commit(&mut self, by: usize, adds: u8, removes: u8, rebinds: bool, how: (Lie, Judges)) {
        let roster = &self.room.conversation.roster;
        let Some(own_leaf) = roster.leaf_of(self.phones[by].device) else { return };
        if self.phones[by].group.is_none() {
            return;
        }
        let wanted = |mask: u8, n: usize| mask & (1 << (n % 8)) != 0;
        let suite = Suite::Classic;
        let new = self.phones.iter().enumerate();
        let new = new.filter(|(n, new)| wanted(adds, *n) && roster.leaf_of(new.device).is_none());
        let adds = new.map(|(_, new)| new.package(suite, self.room.t_ms)).collect();
        let old = roster.iter().map(|(leaf, _)| leaf).filter(|leaf| *leaf != own_leaf);
        let removes = old.filter(|leaf| wanted(removes, leaf.0 as usize)).collect();
        let (id_a, id_b) = self.room.company.keys;
        let binding = self.room.conversation.binding();
        let rebinds =
            rebinds.then_some(crate::mls::extension::GroupBinding { id_a, id_b, ..binding });
        let own = self.phones[by].commit(Change { adds, removes, rebinds });
        if !self.offer(by, own, how) {
            self.phones[by].forget();
        }
    }

    fn enter(&mut self, by: usize, helped_by: usize, how: (Lie, Judges)) {
        let helper = &self.phones[helped_by];
        let is_in = self.room.conversation.roster.leaf_of(helper.device).is_some();
        if by == helped_by || !is_in || helper.group.is_none() {
            return;
        }
        let info = helper.group_info(false);
        let (user, device) = PHONES[by];
        self.phones[by] = Phone::new(user, device);
        let (own, _) = self.phones[by].enter(&info, &self.room.follower.tree_bytes());
        if !self.offer(by, own, how) {
            self.phones[by].group = None;
        }
    }

    /// Offers a commit; whether it was taken. Then the other phones follow.
    fn offer(&mut self, by: usize, own: OwnCommit, (lie, judges): (Lie, Judges)) -> bool {
        let (message, welcome) = (own.commit.clone(), own.welcome.clone());
        let saw = seen(self.room.next - 1);
        let at = self.judged_by(judges).clone();
        let tell = |body: &mut CommitBody, capsule: &mut CapsuleBody| lie.tell(body, capsule);
        let offer = offered(&self.phones[by], own, None, saw, at.at(), tell);
        let session = self.session(by);
        let (conversation, follower) = (&self.room.conversation, &self.room.follower);
        let Ok(accepted) = server::commit(&offer.offer(), conversation, follower, &session, &at)
        else {
            return false;
        };
        self.room.take(accepted);
        self.read_commit(&offer, &at);
        self.follow(by, &message, welcome.as_deref());
        true
    }

    /// The phones follow a commit that the server took.
    fn follow(&mut self, by: usize, message: &[u8], welcome: Option<&[u8]>) {
        self.next_index.clear();
        let roster = &self.room.conversation.roster;
        for (number, phone) in self.phones.iter_mut().enumerate() {
            let is_in = roster.leaf_of(phone.device).is_some();
            match (number == by, is_in, phone.group.is_some()) {
                (true, ..) if phone.group().pending_commit().is_some() => drop(phone.merge_own()),
                (true, ..) => {}
                (_, false, _) => phone.group = None,
                (_, true, true) => drop(phone.process(message)),
                (_, true, false) => {
                    if let Some(welcome) = welcome
                        && roster
                            .leaf_of(phone.device)
                            .and_then(|leaf| roster.member(leaf))
                            .is_some_and(|member| member.entered == self.room.conversation.began)
                    {
                        phone.join(welcome, &self.room.follower.tree_bytes());
                    }
                }
            }
        }
    }

    fn reset(&mut self, by: usize, reason: u8, leaves_out: Option<u8>, wrong: bool) {
        let reason = [ResetReason::Broken, ResetReason::Migrate, ResetReason::Admin]
            [usize::from(reason) % 3];
        let body = self.room.reset_body(reason, |body| {
            if let Some(out) = leaves_out.filter(|_| !body.roster.is_empty()) {
                let out = body.roster.remove(usize::from(out) % body.roster.len());
                body.missing.push(out);
            }
            if wrong {
                body.bad_seq = Some(Seq(1));
            }
        });
        let suite = Suite::from_code(self.room.conversation.suite).expect("a suite of ours");
        let (before, rest) = self.phones.split_at_mut(by);
        let (me, after) = rest.split_first_mut().expect("there is such a phone");
        let others = before.iter().chain(&*after);
        let others: Vec<_> = others.filter(|phone| body.roster.contains(&phone.device)).collect();
        let offer = self.room.offer_reset(me, &body, &others, suite);
        let Ok(accepted) = self.room.judge_reset(me, &offer) else {
            *me = phone(by as u8);
            return;
        };
        self.room.take_reset(accepted);
        let company = self.room.company.clone();
        let judgement = Judgement { at: &company, link: &company, t_ms: self.room.t_ms };
        let read = change::reset(&offer.reset, &self.reader, &judgement)
            .expect("what the server takes a reader takes");
        self.reader.take_reset(&read);
        let ParsedPayload::Commit(_, first) = &offer.first.commit.payload else {
            unreachable!("a commit was offered")
        };
        let base = first.base.as_ref().expect("a first commit has a base");
        self.follower = Follower::begin(base, suite, &self.reader.binding())
            .expect("what the server takes a reader takes");
        self.read_commit(&offer.first, &company);
        // The groups of the generation before are over.
        for (number, phone) in self.phones.iter_mut().enumerate() {
            if number != by {
                phone.group = None;
            }
        }
        self.follow(by, &[], offer.first.welcome.as_deref());
    }

    fn session(&self, by: usize) -> Session<'_, TestCompany> {
        let device = self.phones[by].device;
        Session { device, company: &self.room.company, t_ms: self.room.t_ms }
    }

    fn read_commit(&mut self, offer: &OfferedCommit, at: &TestCompany) {
        let ParsedPayload::Commit(_, body) = &offer.commit.payload else {
            unreachable!("a commit was offered")
        };
        let (seq, t_ms) = (Seq(self.room.next - 2), self.room.t_ms);
        let staged = self.follower.stage(&body.mls_message).expect("the server staged it");
        let judgement = Judgement { at, link: &self.room.company, t_ms };
        let (facts, binding) = (staged.facts(), staged.binding());
        let authorised = change::commit(&offer.commit, &self.reader, facts, binding, &judgement)
            .expect("what the server takes a reader takes");
        self.reader.begin_epoch(&authorised, seq, t_ms);
        self.follower.merge(staged, seq, t_ms).expect("what was staged merges");
        let company = &self.room.company;
        change::capsule(&offer.capsule, seq.next(), t_ms, &self.reader, company)
            .expect("the capsule of a commit that was taken");
        self.follower = Follower::from_bytes(&self.follower.to_bytes()).expect("its own bytes");
        assert_eq!(self.follower.roster(), self.room.follower.roster());
    }

    fn invite(&mut self, by: usize, (op, user): (u8, usize), unseen: u8, judges: Judges) {
        let op = [InviteOp::Invite, InviteOp::Leave, InviteOp::Owner, InviteOp::NoOwner]
            [usize::from(op) % 4];
        let at = self.judged_by(judges).clone();
        let saw = (self.room.next - 1).saturating_sub(u64::from(unseen % 8));
        let user = self.phones[user].user;
        let body = InviteBody { seen: seen(saw), at: at.at(), op, user };
        let (r#gen, epoch) = (self.room.conversation.r#gen, self.room.conversation.epoch);
        let entry = entry_of_gen(Kind::Invite, r#gen, epoch, &self.phones[by], encode(&body));
        let session = self.session(by);
        let taken = server::invite(&entry, &self.room.conversation, &session, &at);
        let Ok(authorised) = taken else { return };
        let judgement = Judgement { at: &at, link: &self.room.company, t_ms: self.room.t_ms };
        let read = change::invite(&entry, &self.reader, &judgement)
            .expect("what the server takes a reader takes");
        let seq = Seq(self.room.next);
        self.room.conversation.take_invite(&authorised, seq);
        self.reader.take_invite(&read, seq);
        self.room.next += 1;
    }

    fn repair(&mut self, by: usize, epoch_back: u8, wrong: bool) {
        let conversation = &self.room.conversation;
        let mut body =
            crate::authorise::testing::capsule_body(conversation.ga, conversation.archive_keys);
        if wrong {
            body.ga.0[0] ^= 1;
        }
        let epoch = back(conversation.epoch, epoch_back);
        let (r#gen, author) = (conversation.r#gen, &self.phones[by]);
        let entry: Parsed = entry_of_gen(Kind::Capsule, r#gen, epoch, author, encode(&body));
        if server::capsule(&entry, conversation, &self.session(by)).is_err() {
            return;
        }
        let (seq, t_ms, company) = (Seq(self.room.next), self.room.t_ms, &self.room.company);
        change::capsule(&entry, seq, t_ms, &self.reader, company)
            .expect("what the server takes a reader takes");
        let device = self.phones[by].device;
        self.room.conversation.add_capsule(&body, device, seq);
        self.reader.add_capsule(&body, device, seq);
        self.room.next += 1;
    }

    fn record(&mut self, by: usize, leaf: u8, (index, cap): (Near, Near), epoch_back: u8) {
        let conversation = &self.room.conversation;
        let own = conversation.roster.leaf_of(self.phones[by].device);
        let leaf = own.filter(|_| leaf & 1 == 0).unwrap_or(LeafIndex(u32::from(leaf % 6)));
        let next = self.next_index.get(&leaf).copied().unwrap_or_default();
        let newest = conversation.capsules.last().map_or(0, |capsule| capsule.seq.0);
        let slot =
            Slot { leaf, index: RecordIndex(index.to(next) as u32), cap: Seq(cap.to(newest)) };
        let epoch = back(conversation.epoch, epoch_back);
        let plain = Head::plain(Kind::Record, conversation.genesis.log, conversation.r#gen, epoch);
        let head = Head { slot: Some(slot), ..plain };
        assert_eq!(Head::parse(&encode(&head)).as_ref(), Ok(&head));
        let (t_ms, company) = (self.room.t_ms, &self.room.company);
        let revoked = conversation.revoked(company);
        let next_index = RecordIndex(next as u32);
        let facts = RecordFacts { next_index, revoked: &revoked, missing_blob: None };
        if server::record(&head, conversation, &self.session(by), &facts).is_err() {
            return;
        }
        let facts = SlotFacts { expected: next_index, capsule: None, revoked: &revoked };
        let author = record_slot(&head, t_ms, &self.reader, company, &facts)
            .expect("what the server takes a reader takes");
        assert_eq!(author.device, self.phones[by].device);
        self.next_index.insert(leaf, next + 1);
        self.room.conversation.take_record(&head);
        self.reader.take_record(&head);
        self.room.next += 1;
    }
}

/// The phone that a number means.
fn at(number: u8) -> usize {
    usize::from(number) % PHONES.len()
}

/// An epoch a little before this one; nothing belongs to epoch 0.
fn back(epoch: Epoch, by: u8) -> Epoch {
    Epoch(epoch.0.saturating_sub(u64::from(by % 3)).max(1))
}
