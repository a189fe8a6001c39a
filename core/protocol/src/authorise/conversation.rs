//! A conversation as its accepted entries make it: who is let in, who is in, who owns it, which
//! epoch is in force. Server and phones keep one for each log; the verifier makes it anew.
//!
//! It changes with genesis, commits, capsules, invites, resets and restores. What a record changes
//! (the next index of its leaf) is a counter of the store's, but for one fact: that somebody else than
//! the newest commit's author writes in its epoch. That one changes once an epoch.

use std::collections::BTreeMap;

use crate::array_item;
use crate::authorise::decide::{AuthorisedCommit, AuthorisedInvite};
use crate::authorise::reset::{AuthorisedReset, Resets};
use crate::authorise::view::CompanyView;
use crate::body::{CapsuleBody, Genesis, HistoryRule, InviteOp, LogType, genesis_hash};
use crate::entry::Head;
use crate::ids::{DeviceId, Digest, Epoch, Gen, KeyId, LeafIndex, Seq, TimeMs, UserId};
use crate::mls::extension::GroupBinding;
use crate::mls::public::{Member, Roster};

array_item! {
    /// What the log says of a user.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Person {
        /// Whether the user's devices may enter: by genesis, an invite or a reset.
        pub let_in: bool,
        /// Whether the user left or was removed and was not let in again.
        pub gone: bool,
        /// Whether the user is an owner.
        pub owner: bool,
        /// The newest entry that let the user in, or by which he left or was removed.
        pub membership_seq: Seq,
        /// The newest entry on being an owner.
        pub owner_seq: Seq,
    }
}

array_item! {
    /// A capsule of the epoch in force.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct KnownCapsule {
        /// The entry.
        pub seq: Seq,
        /// Who appended it: the committer, or who repaired it.
        pub device: DeviceId,
        /// SHA-256 of its body.
        pub digest: Digest,
    }
}

array_item! {
    /// A conversation.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Conversation {
        /// Its beginning.
        pub genesis: Genesis,
        /// `H("hauspost/1 genesis", genesis body)`.
        pub genesis_hash: Digest,
        /// The newest generation.
        pub r#gen: Gen,
        /// The MLS cipher suite of its group (RFC 9420 §17.1).
        pub suite: u16,
        /// Its newest epoch; 0 before its first commit.
        pub epoch: Epoch,
        /// Whether that epoch is in force: begun, and not ended by a reset or restore.
        pub in_force: bool,
        /// The commit that began it.
        pub began: Seq,
        /// When that was, by the log's clock.
        pub began_t_ms: TimeMs,
        /// SHA-256 of the epoch's context.
        pub ga: Digest,
        /// The archive keys of the epoch, A and B.
        pub archive_keys: (KeyId, KeyId),
        /// Its capsules, in their order.
        pub capsules: Vec<KnownCapsule>,
        /// Whether a user other than its committer has written in it: then it is no commit that
        /// nobody can process, and no reason for a reset (R1).
        pub answered: bool,
        /// The devices in it.
        pub roster: Roster,
        /// What earlier resets leave to be minded.
        pub(crate) resets: Resets,
        people: Vec<(UserId, Person)>,
    }
}

impl Conversation {
    /// A conversation that has only its genesis; `body` are the bytes of `genesis`.
    pub fn begin(genesis: Genesis, body: &[u8]) -> Self {
        let owned = matches!(genesis.r#type, LogType::Group | LogType::Announce);
        let let_in = Person { let_in: true, ..Person::default() };
        let mut people: BTreeMap<_, _> =
            genesis.members.iter().map(|user| (*user, let_in)).collect();
        people.insert(genesis.creator, Person { owner: owned, ..let_in });
        Self {
            genesis_hash: genesis_hash(body),
            r#gen: Gen(0),
            suite: genesis.suite,
            epoch: Epoch(0),
            in_force: false,
            began: Seq(0),
            began_t_ms: 0,
            ga: Digest([0; 32]),
            archive_keys: genesis.archive_keys,
            capsules: Vec::new(),
            answered: false,
            roster: Roster::default(),
            resets: Resets::default(),
            people: people.into_iter().collect(),
            genesis,
        }
    }

    /// The generation and epoch whose records are accepted (S4).
    pub fn in_force(&self) -> Option<(Gen, Epoch)> {
        self.in_force.then_some((self.r#gen, self.epoch))
    }

    /// The binding that the MLS group of the newest epoch has.
    pub fn binding(&self) -> GroupBinding {
        GroupBinding {
            log: self.genesis.log,
            log_no: self.genesis.log_no,
            r#gen: self.r#gen,
            genesis: self.genesis_hash,
            id_a: self.archive_keys.0,
            id_b: self.archive_keys.1,
        }
    }

    /// What the log says of a user; nothing is known of others than those it names.
    pub fn person(&self, user: UserId) -> Person {
        match self.people.binary_search_by_key(&user, |(user, _)| *user) {
            Ok(at) => self.people[at].1,
            Err(_) => Person::default(),
        }
    }

    /// Everybody whom the log names, by ascending user.
    pub fn people(&self) -> impl Iterator<Item = (UserId, &Person)> {
        self.people.iter().map(|(user, person)| (*user, person))
    }

    fn person_mut(&mut self, user: UserId) -> &mut Person {
        let at = match self.people.binary_search_by_key(&user, |(user, _)| *user) {
            Ok(at) => at,
            Err(at) => {
                self.people.insert(at, (user, Person::default()));
                at
            }
        };
        &mut self.people[at].1
    }

    /// Whether a device of this user may get a leaf (C9 a, b, d): he has one, or was let in, and has
    /// not left since.
    pub fn may_enter(&self, user: UserId) -> bool {
        let person = self.person(user);
        !person.gone && (person.let_in || self.roster.has_user(user))
    }

    /// Whether the user was in the conversation and left, or was removed, and was not let in since.
    pub fn is_gone(&self, user: UserId) -> bool {
        self.person(user).gone
    }

    /// Whether the user has a leaf and has not left.
    pub fn is_member(&self, user: UserId) -> bool {
        !self.person(user).gone && self.roster.has_user(user)
    }

    /// Whether the user may invite.
    pub fn may_invite(&self, user: UserId, company: &impl CompanyView) -> bool {
        match self.genesis.r#type {
            LogType::Group => self.is_member(user),
            LogType::Announce => self.is_owner(user, company),
            LogType::Dm | LogType::SelfNotes => false,
        }
    }

    /// Whether the user is an owner: by name, or because no owner has an active device left and he
    /// is a member. Pairs and a person's own notes have no owners.
    pub fn is_owner(&self, user: UserId, company: &impl CompanyView) -> bool {
        if !matches!(self.genesis.r#type, LogType::Group | LogType::Announce) {
            return false;
        }
        let active = |owner: UserId| {
            let mut devices = self.roster.iter();
            devices.any(|(_, member)| member.user == owner && company.is_active(member.device))
        };
        let anyone = self.people.iter().any(|(user, person)| person.owner && active(*user));
        if anyone { self.person(user).owner } else { self.is_member(user) }
    }

    /// Whether the user writes here more than answers (C3): in announcements only owners do.
    pub fn may_write(&self, user: UserId, company: &impl CompanyView) -> bool {
        self.genesis.r#type != LogType::Announce || self.is_owner(user, company)
    }

    /// Whether members get what was said before they came: by genesis or by the policy.
    pub fn shares_past(&self, company: &impl CompanyView) -> bool {
        self.genesis.history == HistoryRule::Members || company.history_for_members()
    }

    /// The leaves of devices that are revoked (S7). While there are any, no record is valid.
    pub fn revoked(&self, company: &impl CompanyView) -> Vec<LeafIndex> {
        let members = self.roster.iter();
        members
            .filter(|(_, member)| !company.is_active(member.device))
            .map(|(leaf, _)| leaf)
            .collect()
    }

    /// The capsule entry with this number, if it belongs to the epoch in force.
    pub fn capsule(&self, seq: Seq) -> Option<&KnownCapsule> {
        self.capsules.iter().find(|capsule| capsule.seq == seq)
    }

    /// The device that made the newest commit, while its epoch is in force.
    pub fn committer(&self) -> Option<&Member> {
        let device = self.capsules.first()?.device;
        self.roster.member(self.roster.leaf_of(device)?)
    }

    /// Takes the head of a record that stands in the log; whether anything changed. It depends on
    /// the head alone, whatever becomes of the record, so that all readers agree: the first record of
    /// each leaf has index 0.
    pub fn take_record(&mut self, head: &Head) -> bool {
        let Some(slot) = head.slot.filter(|slot| slot.index.0 == 0) else { return false };
        if self.answered || self.in_force() != Some((head.r#gen, head.epoch)) {
            return false;
        }
        let author = self.roster.member(slot.leaf).map(|member| member.user);
        let committer = self.committer().map(|member| member.user);
        self.answered = author.is_some() && author != committer;
        self.answered
    }

    /// Takes an authorised commit as entry `seq`, and the capsule that it names as the one after it.
    pub fn begin_epoch(&mut self, commit: &AuthorisedCommit, seq: Seq, t_ms: TimeMs) {
        let facts = &commit.facts;
        self.epoch = facts.epoch;
        self.in_force = true;
        self.began = seq;
        self.began_t_ms = t_ms;
        self.ga = facts.ga;
        if let Some(binding) = &facts.rebinds {
            self.archive_keys = (binding.id_a, binding.id_b);
        }
        let device = facts.committer.certificate.device;
        self.capsules = vec![KnownCapsule { seq: seq.next(), device, digest: commit.capsule }];
        self.answered = false;
        self.roster.apply(facts, seq, t_ms);
        self.resets.begin_epoch(&self.roster);
        for user in &commit.removed_users {
            let person = self.person_mut(*user);
            *person = Person {
                gone: true,
                membership_seq: seq,
                owner_seq: if person.owner { seq } else { person.owner_seq },
                ..Person::default()
            };
        }
    }

    /// Takes a capsule that stands alone.
    pub fn add_capsule(&mut self, body: &CapsuleBody, device: DeviceId, seq: Seq) {
        self.capsules.push(KnownCapsule { seq, device, digest: body.digest() });
    }

    /// Takes an authorised invite.
    pub fn take_invite(&mut self, invite: &AuthorisedInvite, seq: Seq) {
        let person = self.person_mut(invite.user);
        match invite.op {
            InviteOp::Invite => {
                person.let_in = true;
                person.gone = false;
                person.membership_seq = seq;
            }
            InviteOp::Leave => {
                let owner_seq = if person.owner { seq } else { person.owner_seq };
                *person =
                    Person { gone: true, membership_seq: seq, owner_seq, ..Person::default() };
            }
            InviteOp::Owner | InviteOp::NoOwner => {
                person.owner = invite.op == InviteOp::Owner;
                person.owner_seq = seq;
            }
        }
    }

    /// Takes an authorised reset: the epoch ends, and the next generation begins with the commit
    /// that comes right after. Whoever the reset names may enter, now or later by himself (C9 d).
    pub fn take_reset(&mut self, reset: &AuthorisedReset) {
        self.end_epoch();
        self.r#gen = reset.r#gen;
        self.suite = reset.suite.code();
        self.epoch = Epoch(0);
        self.archive_keys = reset.archive_keys;
        self.roster = Roster::default();
        for (_, user) in &reset.devices {
            self.person_mut(*user).let_in = true;
        }
        self.resets.take(reset);
    }

    /// Ends the epoch without beginning another, as a restore does.
    pub fn end_epoch(&mut self) {
        self.in_force = false;
        self.answered = false;
        self.capsules.clear();
    }
}
