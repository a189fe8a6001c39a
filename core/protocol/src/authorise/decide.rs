//! The verdicts themselves.

use crate::authorise::Rule;
use crate::authorise::conversation::Conversation;
use crate::authorise::view::CompanyView;
use crate::body::{
    CommitBody, Genesis, GrantBasis, GrantBody, InviteBody, InviteOp, LogType, SignedPayload,
};
use crate::entry::{At, Ranges};
use crate::ids::{DeviceId, Digest, LogId, Seq, TimeMs, UserId};
use crate::limits;
use crate::mls::extension::Age;
use crate::mls::member::Suite;
use crate::mls::public::{CommitFacts, NewLeaf};

/// By what an entry is judged: the company log at the size that its author named, the same at the
/// size that the server stamps, and the server's time.
#[derive(Debug, Clone, Copy)]
pub struct Judgement<'a, V> {
    /// The company log at `at.co`.
    pub at: &'a V,
    /// The company log at `link.co`.
    pub link: &'a V,
    /// `link.t_ms`; for the author himself, before he sends, his own clock.
    pub t_ms: TimeMs,
}

/// A commit that may take effect. Only [`commit`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorisedCommit {
    pub(crate) facts: CommitFacts,
    pub(crate) capsule: Digest,
    pub(crate) removed_users: Vec<UserId>,
}

impl AuthorisedCommit {
    /// What it does.
    pub fn facts(&self) -> &CommitFacts {
        &self.facts
    }

    /// SHA-256 of the body of the capsule that comes right after it.
    pub fn capsule(&self) -> Digest {
        self.capsule
    }

    /// Who is no longer let in by it: those who left, and those whom an owner removed.
    pub fn removed_users(&self) -> &[UserId] {
        &self.removed_users
    }
}

/// An invite, leave or change of owners that may take effect. Only [`invite`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorisedInvite {
    pub(crate) op: InviteOp,
    pub(crate) user: UserId,
}

/// Record keys that may be handed over. Only [`grant`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorisedGrant {
    by: DeviceId,
    grantee: DeviceId,
    basis: GrantBasis,
    ranges: Ranges,
}

impl AuthorisedGrant {
    /// Whose keys they are.
    pub fn by(&self) -> DeviceId {
        self.by
    }

    /// Who gets them.
    pub fn grantee(&self) -> DeviceId {
        self.grantee
    }

    /// On what ground.
    pub fn basis(&self) -> GrantBasis {
        self.basis
    }

    /// Of which entries.
    pub fn ranges(&self) -> &Ranges {
        &self.ranges
    }
}

/// Whether a conversation may begin so: the author is the creator's, the form is its type's, the
/// archive keys are the newest. Number and id of the log are the server's to check.
pub fn creation<V: CompanyView>(
    head: &[u8],
    log: LogId,
    signed: &SignedPayload,
    genesis: &Genesis,
    judgement: &Judgement<'_, V>,
) -> Result<(), Rule> {
    let author = author(head, signed, genesis.at, judgement)?;
    let mut users: Vec<_> = genesis.members.iter().chain([&genesis.creator]).collect();
    users.sort();
    users.dedup();
    let distinct = users.len() == genesis.members.len() + 1;
    let fits = match genesis.r#type {
        LogType::Dm => genesis.members.len() == 1,
        LogType::SelfNotes => genesis.members.is_empty(),
        LogType::Group | LogType::Announce => genesis.members.len() <= limits::LEAVES,
    };
    let suite = Suite::from_code(genesis.suite);
    if genesis.log != log || author != genesis.creator || !distinct || !fits || suite.is_none() {
        return Err(Rule::Genesis);
    }
    both(judgement, |company| company.archive_keys() == Some(genesis.archive_keys), Rule::Rebind)
}

/// Whether a commit may take effect.
pub fn commit<V: CompanyView>(
    conversation: &Conversation,
    head: &[u8],
    signed: &SignedPayload,
    body: &CommitBody,
    facts: &CommitFacts,
    judgement: &Judgement<'_, V>,
) -> Result<AuthorisedCommit, Rule> {
    let author = author(head, signed, body.at, judgement)?;
    let committer = &facts.committer;
    if committer.certificate.device != signed.device {
        return Err(Rule::Committer);
    }
    let first_of_log = conversation.epoch.0 == 0 && conversation.r#gen.0 == 0;
    if first_of_log {
        if facts.external || author != conversation.genesis.creator {
            return Err(Rule::Committer);
        }
    } else if conversation.epoch.0 == 0 {
        conversation.resets.due.as_ref().ok_or(Rule::Committer)?.is_done_by(facts)?;
    } else if !facts.external {
        let own = conversation.roster.member(committer.leaf);
        if own.is_none_or(|own| own.device != signed.device) {
            return Err(Rule::Committer);
        }
        if conversation.person(author).gone {
            return Err(Rule::NotMember);
        }
    }
    let leaves = || [committer].into_iter().chain(facts.adds.iter().map(|(leaf, _)| leaf));
    for leaf in leaves() {
        both(judgement, |company| leaf_rule(leaf, company, judgement.t_ms), Rule::Leaf)?;
    }
    one_leaf_per_device(conversation, facts)?;
    for (leaf, made_t_ms) in &facts.adds {
        if !conversation.may_enter(leaf.certificate.user) {
            return Err(Rule::Enter);
        }
        key_package_age(*made_t_ms, judgement.t_ms)?;
    }
    if let Some(binding) = &facts.rebinds {
        let same_but_keys = {
            let mut other = conversation.binding();
            (other.id_a, other.id_b) = (binding.id_a, binding.id_b);
            other == *binding
        };
        let keys = Some((binding.id_a, binding.id_b));
        let newest = |company: &V| same_but_keys && company.archive_keys() == keys;
        both(judgement, newest, Rule::Rebind)?;
    }
    let seen = body.seen.map_or(Seq(0), |seen| seen.seq);
    let removed_users = if facts.external {
        enter_from_outside(conversation, facts)?;
        Vec::new()
    } else {
        may_remove(conversation, author, seen, facts, judgement.link)?;
        may_remove(conversation, author, seen, facts, judgement.at)?
    };
    Ok(AuthorisedCommit { facts: facts.clone(), capsule: body.capsule_hash, removed_users })
}

/// Whether an invitation, a leaving or a change of owners may take effect.
pub fn invite<V: CompanyView>(
    conversation: &Conversation,
    head: &[u8],
    signed: &SignedPayload,
    body: &InviteBody,
    judgement: &Judgement<'_, V>,
) -> Result<AuthorisedInvite, Rule> {
    let author = author(head, signed, body.at, judgement)?;
    let person = conversation.person(body.user);
    let is_in = |user| conversation.may_enter(user);
    let seen = body.seen.map_or(Seq(0), |seen| seen.seq);
    if body.op != InviteOp::Leave && conversation.roster.leaf_of(signed.device).is_none() {
        return Err(Rule::NotMember);
    }
    let newest = match body.op {
        InviteOp::Invite => {
            both(judgement, |company| conversation.may_invite(author, company), Rule::Invite)?;
            person.membership_seq
        }
        InviteOp::Leave => {
            let own = conversation.genesis.r#type == LogType::SelfNotes;
            if own || author != body.user || !is_in(author) {
                return Err(Rule::Leave);
            }
            person.membership_seq
        }
        InviteOp::Owner | InviteOp::NoOwner => {
            both(judgement, |company| conversation.is_owner(author, company), Rule::Owner)?;
            if body.op == InviteOp::Owner && !is_in(body.user) {
                return Err(Rule::Enter);
            }
            person.owner_seq.max(person.membership_seq)
        }
    };
    // Nothing signed can be played again: who did not see the newest word does not overrule it.
    if seen < newest {
        return Err(Rule::Outdated);
    }
    Ok(AuthorisedInvite { op: body.op, user: body.user })
}

/// Whether a grant may take effect: its author has a leaf, and gives to another active device of his
/// own user, to a member's where the conversation gives members its past, or to a successor's by a
/// handover that is in force and names these stretches (docs/protocol.md §10).
///
/// Which entries the author could read himself is the server's to check
/// ([`rules::server::grant`](crate::rules::server::grant)): readers believe nothing of a grant but that
/// its keys open what stands in the log.
pub fn grant<V: CompanyView>(
    conversation: &Conversation,
    head: &[u8],
    signed: &SignedPayload,
    body: &GrantBody,
    judgement: &Judgement<'_, V>,
) -> Result<AuthorisedGrant, Rule> {
    let author = author(head, signed, body.at, judgement)?;
    let has_leaf = conversation.roster.leaf_of(signed.device).is_some();
    if !has_leaf || !conversation.is_member(author) {
        return Err(Rule::NotMember);
    }
    let grantee = DeviceId(body.grantee.0);
    both(judgement, |company| company.is_active(grantee), Rule::Grant)?;
    let user = judgement.at.device(grantee).ok_or(Rule::Grant)?.user;
    let shares_past = |company: &V| conversation.shares_past(company);
    let grounded = match body.basis {
        GrantBasis::Own => user == author,
        GrantBasis::Member => {
            both(judgement, shares_past, Rule::Grant)?;
            conversation.is_member(user)
        }
        GrantBasis::Handover(seq) => {
            let log = conversation.genesis.log;
            let hands_over = |company: &V| {
                let handover = company.handover(seq);
                handover.is_some_and(|known| known.to == user && known.names(log, &body.ranges))
            };
            both(judgement, hands_over, Rule::Grant)?;
            conversation.genesis.r#type != LogType::SelfNotes
        }
        // Its keys go another way: to the officers alone, in the council's answer (§9).
        GrantBasis::Opening(_) => false,
    };
    if !grounded || grantee == signed.device {
        return Err(Rule::Grant);
    }
    let ranges = body.ranges.clone();
    Ok(AuthorisedGrant { by: signed.device, grantee, basis: body.basis, ranges })
}

/// The leaf rule (docs/protocol.md §3): the certificate is the device's in the company log, its key
/// is the leaf's, the device is active, the certificate good at this time.
pub fn leaf_rule(leaf: &NewLeaf, company: &impl CompanyView, t_ms: TimeMs) -> bool {
    let certificate = &leaf.certificate;
    let known = company.device(certificate.device).is_some_and(|device| {
        device.active
            && device.user == certificate.user
            && device.signature_key == certificate.signature_key
    });
    known
        && company.company() == Some(certificate.company)
        && company.has_certificate(certificate.device, &leaf.certificate_hash)
        && certificate.is_valid_at(t_ms)
}

/// The user whose device signed the entry.
pub(crate) fn author<V: CompanyView>(
    head: &[u8],
    signed: &SignedPayload,
    at: At,
    judgement: &Judgement<'_, V>,
) -> Result<UserId, Rule> {
    if at.co != judgement.at.size() || at.company_hash != judgement.at.hash() {
        return Err(Rule::At);
    }
    both(judgement, |company| company.is_active(signed.device), Rule::Author)?;
    let device = judgement.at.device(signed.device).ok_or(Rule::Author)?;
    signed.verify(&device.signature_key, head).map_err(|_| Rule::Signature)?;
    Ok(device.user)
}

pub(crate) fn both<V>(
    judgement: &Judgement<'_, V>,
    holds: impl Fn(&V) -> bool,
    rule: Rule,
) -> Result<(), Rule> {
    if holds(judgement.at) && holds(judgement.link) { Ok(()) } else { Err(rule) }
}

fn one_leaf_per_device(conversation: &Conversation, facts: &CommitFacts) -> Result<(), Rule> {
    let removed = |leaf| facts.removes.iter().any(|(removed, _)| *removed == leaf);
    let committer = facts.committer.leaf;
    let stay = conversation.roster.iter();
    let mut devices: Vec<DeviceId> = stay
        .filter(|(leaf, _)| !removed(*leaf) && *leaf != committer)
        .map(|(_, member)| member.device)
        .collect();
    devices.extend(facts.adds.iter().map(|(leaf, _)| leaf.certificate.device));
    devices.push(facts.committer.certificate.device);
    devices.sort();
    if devices.windows(2).any(|pair| pair[0] == pair[1]) { Err(Rule::LeafTwice) } else { Ok(()) }
}

fn key_package_age(made_t_ms: TimeMs, t_ms: TimeMs) -> Result<(), Rule> {
    if (Age { made_t_ms }).is_fit_at(t_ms) { Ok(()) } else { Err(Rule::KeyPackageAge) }
}

/// An external commit brings in a device of somebody who may enter, or the same device again (C9 c),
/// and empties no other leaf than that device's own.
fn enter_from_outside(conversation: &Conversation, facts: &CommitFacts) -> Result<(), Rule> {
    let committer = &facts.committer.certificate;
    if facts.removes.iter().any(|(_, member)| member.device != committer.device) {
        return Err(Rule::ExternalRemove);
    }
    if conversation.may_enter(committer.user) { Ok(()) } else { Err(Rule::Enter) }
}

/// Whether each removal has a ground; returns the users who are thereby out.
fn may_remove(
    conversation: &Conversation,
    author: UserId,
    seen: Seq,
    facts: &CommitFacts,
    company: &impl CompanyView,
) -> Result<Vec<UserId>, Rule> {
    let mut out: Vec<UserId> = Vec::new();
    for (_, member) in &facts.removes {
        if !company.is_active(member.device) || member.user == author {
            continue;
        }
        let person = conversation.person(member.user);
        if !person.gone && !conversation.is_owner(author, company) {
            return Err(Rule::Remove);
        }
        if seen < person.membership_seq {
            return Err(Rule::Outdated);
        }
        out.push(member.user);
    }
    out.sort();
    out.dedup();
    let removed = |leaf| facts.removes.iter().any(|(removed, _)| *removed == leaf);
    out.retain(|user| {
        let mut stay = conversation.roster.iter().filter(|(leaf, _)| !removed(*leaf));
        !stay.any(|(_, member)| member.user == *user)
    });
    Ok(out)
}
