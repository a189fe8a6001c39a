//! Whether an entry of the company log counts (C11), judged by the entries before it.

use std::collections::HashMap;

use crate::archive_key::ArchiveKey;
use crate::company::body::{
    ArchiveKeyEntry, CompanyBody, DeviceEntry, EraseReason, RoleEntry, WitnessEntry,
};
use crate::company::checked::{Claim, Signatures};
use crate::company::entry::{CompanyPayload, LABEL};
use crate::company::finding::Finding;
use crate::company::policy::PolicyDocument;
use crate::company::signers::{Signer, required, suffice};
use crate::company::state::{Company, Purpose};
use crate::company::timeline::Timeline;
use crate::company::voucher::{Enrolment, Voucher};
use crate::crypto::{PublicKey, Signature, sha256};
use crate::encoding::decode;
use crate::entry::{Entry, Head, Kind};
use crate::ids::{DeviceId, Digest, KeyId, LogId, Seq, TimeMs, UserId};
use crate::limits;
use crate::tree::checkpoint::is_key_name;

/// Length of an ML-DSA-44 public key in bytes (FIPS 204).
const ML_DSA_KEY_BYTES: usize = 1312;

/// An entry, read but not judged.
pub(crate) struct Offered {
    pub(crate) seq: Seq,
    pub(crate) t_ms: TimeMs,
    pub(crate) kind: Kind,
    pub(crate) log: LogId,
    pub(crate) body: CompanyBody,
    /// SHA-256 of head and body, whatever the signatures.
    pub(crate) digest: Digest,
    signatures: Vec<(KeyId, Signature)>,
    /// What the signatures run over.
    signed: Vec<u8>,
}

impl Offered {
    pub(crate) fn read(
        seq: Seq,
        t_ms: TimeMs,
        head: &[u8],
        payload: &[u8],
    ) -> Result<Self, Finding> {
        let Head { kind, log, .. } = Head::parse(head)?;
        if kind != Kind::Genesis && !kind.is_company() {
            return Err(Finding::Kind);
        }
        let payload = CompanyPayload::parse(kind, payload)?;
        let body = CompanyBody::parse(kind, &payload.body)?;
        let signed = payload.signed(head);
        let digest = sha256(&signed);
        Ok(Self { seq, t_ms, kind, log, body, digest, signatures: payload.signatures, signed })
    }

    pub(crate) fn is_signed_by(&self, key: &PublicKey, signatures: &Signatures) -> bool {
        self.signatures.iter().any(|(id, signature)| {
            *id == key.id() && signatures.hold(key, LABEL, &self.signed, signature)
        })
    }
}

/// Whether the entry counts after those that the company knows.
pub(crate) fn judge(
    company: &Company,
    offered: &Offered,
    signatures: &Signatures,
) -> Result<(), Finding> {
    let judge = Judge { company, offered, signatures };
    judge.is_new()?;
    judge.content()?;
    judge.approvals()
}

struct Judge<'a> {
    company: &'a Company,
    offered: &'a Offered,
    signatures: &'a Signatures,
}

impl Judge<'_> {
    /// Nothing signed can be played again (§2): not the same body, and nothing whose signers had
    /// not seen the newest entry on the same subject.
    fn is_new(&self) -> Result<(), Finding> {
        if self.company.facts.bodies.contains(&self.offered.digest) {
            return Err(Finding::Repeated);
        }
        let seen = self.offered.body.seen();
        match seen {
            None if !self.company.is_founding() => return Err(Finding::SeenMissing),
            Some(seen) if self.company.hash_at(seen.seq.0 + 1) != Some(seen.hash) => {
                return Err(Finding::SeenElsewhere(seen.seq));
            }
            _ => {}
        }
        match self.newest_on_subject() {
            Some(newest) if seen.is_none_or(|seen| seen.seq.0 < newest) => {
                Err(Finding::Replay(Seq(newest)))
            }
            _ => Ok(()),
        }
    }

    fn newest_on_subject(&self) -> Option<u64> {
        let facts = &self.company.facts;
        let device = |id: &DeviceId| {
            let history = facts.devices.get(id)?;
            history.facts.last_seq().max(history.revoked)
        };
        match &self.offered.body {
            CompanyBody::Genesis(_) => None,
            // The root keeps the company's history: genesis is no earlier rotation.
            CompanyBody::RootRotation(_) => facts.roots.last_seq().filter(|seq| *seq > 0),
            CompanyBody::IssuingKey(body) => facts.issuing.get(&body.key)?.last_seq(),
            CompanyBody::EnrolmentAuthority(body) => facts.authorities.get(&body.key)?.last_seq(),
            CompanyBody::LogKey(_) => facts.log_keys.last_seq(),
            CompanyBody::Witness(body) => facts.witnesses.get(&body.key)?.last_seq(),
            CompanyBody::Device(body) => {
                // Whoever signs a further device must know of each earlier revocation of its user:
                // an approval that was held back does not outlive the leaving.
                let siblings = facts.devices_of.get(&body.user).into_iter().flatten();
                let revoked = siblings.filter_map(|id| facts.devices.get(id)?.revoked).max();
                let replaced = body.replaces.as_ref().and_then(device);
                device(&body.device).max(replaced).max(revoked)
            }
            CompanyBody::Revoke(body) => device(&body.device),
            CompanyBody::Role(body) => facts.roles.get(&(body.key.id(), body.role))?.last_seq(),
            CompanyBody::Policy(_) => facts.policies.last_seq(),
            CompanyBody::ArchiveKey(body) => facts.archive[body.side as usize].last_seq(),
            CompanyBody::Release(body) => Some(body.hold.0),
            CompanyBody::Opened(body) => Some(body.opening.0),
            CompanyBody::Handover(body) => facts.handovers.get(&(body.from, body.to))?.last_seq(),
            CompanyBody::Close(body) => device(&body.device),
            CompanyBody::Report(body) => device(&body.device),
            CompanyBody::Opening(_)
            | CompanyBody::Hold(_)
            | CompanyBody::Erase(_)
            | CompanyBody::Rewrap(_)
            | CompanyBody::Restore(_)
            | CompanyBody::Class(_)
            | CompanyBody::ResetOrder(_) => None,
        }
    }

    fn content(&self) -> Result<(), Finding> {
        let facts = &self.company.facts;
        match &self.offered.body {
            CompanyBody::Genesis(_) => Err(Finding::Kind),
            CompanyBody::RootRotation(body) => self.fresh(&body.key),
            CompanyBody::IssuingKey(body) => {
                self.key_for(&body.key, Purpose::Issuing)?;
                ends_something(body.active, facts.issuing.get(&body.key), |active| *active)
            }
            CompanyBody::EnrolmentAuthority(body) => {
                self.key_for(&body.key, Purpose::Authority)?;
                ends_something(body.active, facts.authorities.get(&body.key), |active| *active)
            }
            CompanyBody::LogKey(body) => {
                self.key_for(&body.ed25519, Purpose::Log)?;
                of_length(&body.ml_dsa, ML_DSA_KEY_BYTES)
            }
            CompanyBody::Witness(body) => self.witness(body),
            CompanyBody::Device(body) => self.device(body),
            CompanyBody::Revoke(body) => match facts.devices.get(&body.device) {
                None => Err(Finding::NoDevice(body.device)),
                Some(history) if history.revoked.is_some() => {
                    Err(Finding::DeviceRevoked(body.device))
                }
                Some(_) => Ok(()),
            },
            CompanyBody::Role(body) => self.role(body),
            CompanyBody::Policy(body) => {
                let version = self.company.now().policy().map_or(1, |policy| policy.version + 1);
                if body.version != version {
                    return Err(Finding::PolicyVersion(version));
                }
                decode::<PolicyDocument>(&body.document)?;
                Ok(())
            }
            CompanyBody::ArchiveKey(body) => self.archive_key(body),
            CompanyBody::Opening(body) => {
                consistent(body.notice.is_some() != body.block_reason.is_some())
            }
            CompanyBody::Opened(body) => match facts.events.get(&body.opening.0) {
                Some(CompanyBody::Opening(_)) => Ok(()),
                _ => Err(Finding::NoEntry(body.opening)),
            },
            CompanyBody::Release(body) => match facts.events.get(&body.hold.0) {
                Some(CompanyBody::Hold(_)) if !facts.released.contains(&body.hold) => Ok(()),
                Some(CompanyBody::Hold(_)) => Err(Finding::NothingToEnd),
                _ => Err(Finding::NoEntry(body.hold)),
            },
            CompanyBody::Erase(body) => {
                consistent((body.reason == EraseReason::Expiry) == body.class.is_some())
            }
            CompanyBody::Handover(body) => {
                consistent(body.from != body.to && body.scope.users.is_empty())
            }
            CompanyBody::Restore(body) => match body.seen {
                Some(seen) if seen.seq.0 + 1 == self.offered.seq.0 => Ok(()),
                _ => Err(Finding::RestorePlace),
            },
            CompanyBody::Close(body) => self.known_device(body.device),
            CompanyBody::Report(body) => {
                self.known_device(body.device)?;
                let day = self.offered.t_ms / limits::DAY_MS;
                if facts.reports.contains(&(body.device, body.log, body.code, day)) {
                    return Err(Finding::ReportedToday);
                }
                Ok(())
            }
            CompanyBody::Hold(_)
            | CompanyBody::Rewrap(_)
            | CompanyBody::Class(_)
            | CompanyBody::ResetOrder(_) => Ok(()),
        }
    }

    fn witness(&self, body: &WitnessEntry) -> Result<(), Finding> {
        of_length(&body.key, ML_DSA_KEY_BYTES)?;
        if !is_key_name(&body.name) || body.name.len() > limits::NAME_BYTES {
            return Err(Finding::Name);
        }
        let before = self.company.facts.witnesses.get(&body.key);
        ends_something(body.active, before, |witness| witness.active)
    }

    fn device(&self, body: &DeviceEntry) -> Result<(), Finding> {
        let facts = &self.company.facts;
        self.key_for(&body.signature_key, Purpose::Device(body.device))?;
        if !matches!(body.keystore_key[0], 2 | 3) {
            return Err(Finding::KeyForm);
        }
        if let Some(history) = facts.devices.get(&body.device) {
            if history.revoked.is_some() {
                return Err(Finding::DeviceRevoked(body.device));
            }
            let known = self.company.now().device(body.device);
            if known.is_none_or(|known| {
                known.user != body.user || known.signature_key != body.signature_key
            }) {
                return Err(Finding::DeviceChanged(body.device));
            }
        }
        if let Some(replaced) = body.replaces {
            let now = self.company.now();
            let same_user = now.user_of_device(replaced) == Some(body.user);
            if replaced == body.device || !same_user || !now.is_active(replaced) {
                return Err(Finding::Replaces(replaced));
            }
        }
        match (&body.voucher, &body.seed_signature) {
            (None, None) => Ok(()),
            (Some(voucher), Some(seed_signature)) => self.voucher(body, voucher, seed_signature),
            _ => Err(Finding::VoucherForm),
        }
    }

    fn voucher(
        &self,
        body: &DeviceEntry,
        voucher: &Voucher,
        seed_signature: &Signature,
    ) -> Result<(), Finding> {
        if voucher.user.is_some_and(|user| user != body.user) {
            return Err(Finding::VoucherUser);
        }
        if self.offered.t_ms > voucher.not_after {
            return Err(Finding::VoucherExpired);
        }
        if self.company.facts.seeds.contains(&voucher.seed) {
            return Err(Finding::VoucherUsed);
        }
        if voucher.seed.has_small_order() {
            return Err(Finding::SmallOrder);
        }
        let company = self.company.id().ok_or(Finding::Kind)?;
        let (label, bytes) = voucher.signed(company);
        let vouched =
            self.company.now().authorities().any(|authority| {
                self.signatures.hold(&authority, label, &bytes, &voucher.signature)
            });
        if !vouched {
            return Err(Finding::VoucherAuthority);
        }
        let (label, bytes) = enrolment(company, body).signed();
        if !self.signatures.hold(&voucher.seed, label, &bytes, seed_signature) {
            return Err(Finding::SeedSignature);
        }
        Ok(())
    }

    fn role(&self, body: &RoleEntry) -> Result<(), Finding> {
        self.key_for(&body.key, Purpose::Role(body.user))?;
        let before = self.company.facts.roles.get(&(body.key.id(), body.role));
        ends_something(body.active, before, |holding| holding.active)
    }

    fn archive_key(&self, body: &ArchiveKeyEntry) -> Result<(), Finding> {
        // Members seal every epoch to it; one that they could not seal to would silence all rooms.
        let id = ArchiveKey::parse(&body.key).map_err(|_| Finding::KeyForm)?.id();
        match self.company.now().archive_key(id) {
            Some(_) => Err(Finding::KeyInUse(id)),
            None => Ok(()),
        }
    }

    fn known_device(&self, device: DeviceId) -> Result<(), Finding> {
        match self.company.facts.devices.get(&device) {
            Some(_) => Ok(()),
            None => Err(Finding::NoDevice(device)),
        }
    }

    /// A key that the company has not seen in any part.
    fn fresh(&self, key: &PublicKey) -> Result<(), Finding> {
        match self.company.facts.keys.get(&key.id()) {
            Some(_) => Err(Finding::KeyInUse(key.id())),
            None if key.has_small_order() => Err(Finding::SmallOrder),
            None => Ok(()),
        }
    }

    /// A key that is new, or known for this purpose and no other.
    fn key_for(&self, key: &PublicKey, purpose: Purpose) -> Result<(), Finding> {
        match self.company.facts.keys.get(&key.id()) {
            Some(known) if *known == (*key, purpose) => Ok(()),
            _ => self.fresh(key),
        }
    }

    /// Every signature must be by an active signer and verify; together they must suffice.
    fn approvals(&self) -> Result<(), Finding> {
        let before = self.company.now();
        let signers = self
            .offered
            .signatures
            .iter()
            .map(|(id, signature)| {
                let signer = self.signer(*id)?;
                let bytes = &self.offered.signed;
                if self.signatures.hold(&signer.key, LABEL, bytes, signature) {
                    Ok(signer)
                } else {
                    Err(Finding::BadSignature(*id))
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        if suffice(&signers, &required(&self.offered.body, &before), &before) {
            Ok(())
        } else {
            Err(Finding::Signatures)
        }
    }

    fn signer(&self, id: KeyId) -> Result<Signer, Finding> {
        if let CompanyBody::RootRotation(body) = &self.offered.body
            && body.key.id() == id
        {
            return Ok(Signer { key: body.key, user: None });
        }
        let before = self.company.now();
        let Some((key, purpose)) = self.company.facts.keys.get(&id) else {
            return Err(Finding::UnknownSigner(id));
        };
        let (active, user): (bool, Option<UserId>) = match purpose {
            Purpose::Root => (before.root() == Some(*key), None),
            Purpose::Issuing => (before.is_issuing_key(key), None),
            Purpose::Device(device) => (before.is_active(*device), before.user_of_device(*device)),
            Purpose::Role(user) => (before.role_key(id).is_some(), *user),
            // They sign vouchers and notes, and nothing else.
            Purpose::Authority | Purpose::Log => return Err(Finding::UnknownSigner(id)),
        };
        if active { Ok(Signer { key: *key, user }) } else { Err(Finding::InactiveSigner(id)) }
    }
}

fn enrolment(company: crate::ids::CompanyId, body: &DeviceEntry) -> Enrolment {
    Enrolment {
        company,
        user: body.user,
        device: body.device,
        signature_key: body.signature_key,
        keystore_key: body.keystore_key,
        history_key: body.history_key,
    }
}

fn of_length(key: &[u8], len: usize) -> Result<(), Finding> {
    if key.len() == len { Ok(()) } else { Err(Finding::KeyForm) }
}

fn consistent(holds: bool) -> Result<(), Finding> {
    if holds { Ok(()) } else { Err(Finding::Contradiction) }
}

/// Beginning is always possible; only what is active can end.
fn ends_something<T>(
    active: bool,
    before: Option<&Timeline<T>>,
    was_active: impl Fn(&T) -> bool,
) -> Result<(), Finding> {
    let was_active = before.and_then(|facts| facts.at(u64::MAX)).is_some_and(was_active);
    if active || was_active { Ok(()) } else { Err(Finding::NothingToEnd) }
}

/// The signatures on which these entries rely, as far as their keys are known to the company or
/// named in the entries themselves. Those that are missed here are verified one by one.
pub(crate) fn claims(company: &Company, entries: &[Entry]) -> Vec<Claim> {
    let offered: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            Offered::read(entry.seq, entry.t_ms, &entry.head, entry.payload.bytes()?).ok()
        })
        .collect();
    let named: HashMap<KeyId, PublicKey> = offered
        .iter()
        .filter_map(|offered| key_of(&offered.body))
        .map(|key| (key.id(), key))
        .collect();
    let authorities: Vec<_> = company.now().authorities().collect();
    let mut claims = Vec::with_capacity(3 * offered.len());
    for offered in offered {
        if let (CompanyBody::Device(body), Some(company)) = (&offered.body, company.id())
            && let (Some(voucher), Some(seed_signature)) = (&body.voucher, body.seed_signature)
        {
            if let [authority] = authorities[..] {
                let ((label, bytes), signature) = (voucher.signed(company), voucher.signature);
                claims.push(Claim { key: authority, label, bytes, signature });
            }
            let (label, bytes) = enrolment(company, body).signed();
            claims.push(Claim { key: voucher.seed, label, bytes, signature: seed_signature });
        }
        for (id, signature) in offered.signatures {
            let known = company.facts.keys.get(&id).map(|(key, _)| *key);
            if let Some(key) = known.or_else(|| named.get(&id).copied()) {
                let bytes = offered.signed.clone();
                claims.push(Claim { key, label: LABEL, bytes, signature });
            }
        }
    }
    claims
}

fn key_of(body: &CompanyBody) -> Option<PublicKey> {
    match body {
        CompanyBody::Genesis(body) => Some(body.root),
        CompanyBody::RootRotation(body) => Some(body.key),
        CompanyBody::IssuingKey(body) => Some(body.key),
        CompanyBody::Device(body) => Some(body.signature_key),
        CompanyBody::Role(body) => Some(body.key),
        _ => None,
    }
}
