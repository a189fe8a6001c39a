//! A founded company for tests.

use crate::archive_key::{ArchiveKey, ArchiveSeed};
use crate::company::body::*;
use crate::company::entry::company_entry;
use crate::company::finding::Applied;
use crate::company::founding::{Founders, Office};
use crate::company::policy::PolicyDocument;
use crate::company::state::Company;
use crate::company::voucher::{Enrolment, Voucher};
use crate::crypto::{PublicKey, Secret, SigningKey};
use crate::encoding::{Bytes, encode};
use crate::entry::{Entry, Payload, Seen};
use crate::ids::{CompanyId, DeviceId, Digest, Seq, TimeMs, UserId};
use crate::wire::Hello;

pub(crate) const COMPANY: CompanyId = CompanyId([0xc0; 16]);

/// A key by its number.
pub(crate) fn key(number: u32) -> SigningKey {
    let mut seed = [0x5e; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_seed(Secret::new(seed))
}

pub(crate) fn user(number: u32) -> UserId {
    let mut id = [0xaa; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    UserId(id)
}

pub(crate) fn device(number: u32) -> DeviceId {
    let mut id = [0xdd; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    DeviceId(id)
}

/// The company's keys, all of them, which nobody holds in one hand outside of tests.
pub(crate) struct Keys {
    pub(crate) root: SigningKey,
    pub(crate) issuing: SigningKey,
    pub(crate) authority: SigningKey,
    pub(crate) log: SigningKey,
    pub(crate) admins: [SigningKey; 2],
    pub(crate) hr: SigningKey,
    pub(crate) officers: [SigningKey; 3],
    pub(crate) council: [SigningKey; 2],
    pub(crate) scim: SigningKey,
    pub(crate) retention: SigningKey,
}

/// A company and all its keys.
pub(crate) struct Founded {
    pub(crate) company: Company,
    pub(crate) keys: Keys,
    pub(crate) entries: Vec<Entry>,
    pub(crate) t_ms: TimeMs,
}

/// The users of people with roles.
pub(crate) const ADMINS: [u32; 2] = [101, 102];
pub(crate) const HR: u32 = 103;
pub(crate) const OFFICERS: [u32; 3] = [104, 105, 106];
pub(crate) const COUNCIL: [u32; 2] = [107, 108];

impl Founded {
    pub(crate) fn new() -> Self {
        Self::with_log_key(&[0x44; 1312])
    }

    /// With this ML-DSA-44 key for checkpoints.
    pub(crate) fn with_log_key(ml_dsa: &[u8]) -> Self {
        let keys = Keys {
            root: key(1),
            issuing: key(2),
            authority: key(3),
            log: key(4),
            admins: ADMINS.map(key),
            hr: key(HR),
            officers: OFFICERS.map(key),
            council: COUNCIL.map(key),
            scim: key(109),
            retention: key(110),
        };
        let company = Company::new(company_pin(&keys.root.public()));
        let mut founded = Self { company, keys, entries: Vec::new(), t_ms: 1_000_000 };
        founded.found(ml_dsa);
        founded
    }

    fn found(&mut self, ml_dsa: &[u8]) {
        let hello = Hello {
            genesis: None,
            issuing_key: self.keys.issuing.public().0,
            log_key: self.keys.log.public().0,
            log_key_pq: Bytes::from(ml_dsa),
            t_ms: self.t_ms,
        };
        let people = [
            (Role::Admin, ADMINS[0]),
            (Role::Admin, ADMINS[1]),
            (Role::Hr, HR),
            (Role::Officer, OFFICERS[0]),
            (Role::Officer, OFFICERS[1]),
            (Role::Officer, OFFICERS[2]),
            (Role::Council, COUNCIL[0]),
            (Role::Council, COUNCIL[1]),
        ];
        let keys = people.map(|(_, person)| key(person));
        let mut offices: Vec<_> = people
            .iter()
            .zip(&keys)
            .map(|((role, person), key)| Office {
                user: Some(user(*person)),
                ..Office::new(key, *role)
            })
            .collect();
        offices.push(Office::new(&self.keys.scim, Role::Scim));
        offices.push(Office::new(&self.keys.retention, Role::Retention));
        let archive = |side: ArchiveSide| {
            let entry = archive_key(None, side, side as u8);
            (ArchiveKey::parse(&entry.key).unwrap(), entry.shares)
        };
        let document = PolicyDocument {
            council: Bytes::from(&b"council"[..]),
            rest: Bytes::from(&b"rest"[..]),
        };
        let founders = Founders {
            company: COMPANY,
            root: &self.keys.root,
            authority: self.keys.authority.public(),
            offices,
            archive: [archive(ArchiveSide::A), archive(ArchiveSide::B)],
            policy: Some(document),
        };
        for (head, payload) in founders.entries(&hello) {
            let entry = self.placed(head, payload);
            assert_eq!(self.take(entry).finding(), None);
        }
    }

    /// What signers who saw everything say.
    pub(crate) fn seen(&self) -> Option<Seen> {
        self.company.newest()
    }

    /// The next entry.
    pub(crate) fn entry(&self, body: impl Into<CompanyBody>, keys: &[&SigningKey]) -> Entry {
        let (head, payload) = company_entry(COMPANY, body, keys);
        self.placed(head, payload)
    }

    fn placed(&self, head: Bytes, payload: Bytes) -> Entry {
        let seq = self.company.size();
        Entry { head, payload: Payload::Kept(payload), seq: Seq(seq), t_ms: self.t_ms, co: seq }
    }

    /// Appends an entry, whether it counts or not.
    pub(crate) fn append(&mut self, body: impl Into<CompanyBody>, keys: &[&SigningKey]) -> Applied {
        self.take(self.entry(body, keys))
    }

    fn take(&mut self, entry: Entry) -> Applied {
        let applied = self.company.apply(&entry).expect("the entry continues the chain");
        self.entries.push(entry);
        applied
    }

    /// Appends an entry that counts; its number.
    pub(crate) fn must(&mut self, body: impl Into<CompanyBody>, keys: &[&SigningKey]) -> Seq {
        let applied = self.append(body, keys);
        assert_eq!(applied.finding(), None);
        Seq(self.company.size() - 1)
    }

    /// Enrols a user's first device, by voucher. The device's key has the device's number + 1,000,
    /// the seed + 2,000.
    pub(crate) fn enrol(&mut self, person: u32, number: u32) -> SigningKey {
        let body = self.first_device(person, number);
        let issuing = self.keys.issuing.clone();
        self.must(body, &[&issuing]);
        device_key(number)
    }

    /// The entry of a user's device with a voucher.
    pub(crate) fn first_device(&self, person: u32, number: u32) -> DeviceEntry {
        let seed = key(number + 2_000);
        let body = further_device(self.seen(), person, number);
        let voucher = Voucher::sign(
            &self.keys.authority,
            COMPANY,
            seed.public(),
            Some(user(person)),
            self.t_ms + 1_000,
        );
        let seed_signature = Some(enrolment_of(&body).sign(&seed));
        DeviceEntry { voucher: Some(voucher), seed_signature, ..body }
    }
}

pub(crate) fn device_key(number: u32) -> SigningKey {
    key(number + 1_000)
}

/// The entry of a user's device without a voucher.
pub(crate) fn further_device(seen: Option<Seen>, person: u32, number: u32) -> DeviceEntry {
    DeviceEntry {
        seen,
        user: user(person),
        device: device(number),
        signature_key: device_key(number).public(),
        certificate: Digest([number as u8; 32]),
        history_key: Digest([7; 32]),
        keystore_key: [2; 33],
        voucher: None,
        seed_signature: None,
        replaces: None,
    }
}

pub(crate) fn enrolment_of(body: &DeviceEntry) -> Enrolment {
    Enrolment {
        company: COMPANY,
        user: body.user,
        device: body.device,
        signature_key: body.signature_key,
        keystore_key: body.keystore_key,
        history_key: body.history_key,
    }
}

pub(crate) fn holding(
    seen: Option<Seen>,
    number: u32,
    user: Option<UserId>,
    role: Role,
    active: bool,
) -> RoleEntry {
    RoleEntry { seen, key: key(number).public(), history_key: None, user, role, active }
}

pub(crate) fn archive_key(seen: Option<Seen>, side: ArchiveSide, fill: u8) -> ArchiveKeyEntry {
    let shares = vec![Digest([fill; 32]); 3];
    let key = ArchiveSeed::new(Secret::new([fill; 32])).public().to_bytes();
    ArchiveKeyEntry { seen, side, key: Bytes::from(&key[..]), shares }
}

pub(crate) fn policy(seen: Option<Seen>, version: u64, council: &[u8], rest: &[u8]) -> PolicyEntry {
    let document = PolicyDocument { council: Bytes::from(council), rest: Bytes::from(rest) };
    PolicyEntry { seen, version, document: Bytes(encode(&document)) }
}

/// A key that verifies what nobody signed.
pub(crate) fn small_order() -> PublicKey {
    let mut identity = [0; 32];
    identity[0] = 1;
    PublicKey(identity)
}
