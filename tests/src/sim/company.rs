//! The simulated company: its keys, its founding, and what its offices sign.

use hauspost_protocol::archive_key::{ArchiveKeys, ArchiveSeed};
use hauspost_protocol::company::body::{
    HandoverEntry, PolicyEntry, ResetOrder, RevokeEntry, RevokeReason, Role, Scope, company_pin,
};
use hauspost_protocol::company::entry::company_entry;
use hauspost_protocol::company::founding::{Founders, Office};
use hauspost_protocol::company::policy::{CouncilPart, PolicyDocument, Terms};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::company::voucher::Voucher;
use hauspost_protocol::crypto::{Secret, SigningKey};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::Seen;
use hauspost_protocol::ids::{CompanyId, DeviceId, Digest, LogId, TimeMs, UserId};
use hauspost_protocol::invitation::{Invitation, Trust};
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::wire::{Found, Hello, NewEntry};

/// The company's id.
pub const COMPANY: CompanyId = CompanyId([9; 16]);
/// Where the phones believe the server to be; no name is ever looked up.
pub const SERVER: &str = "https://hauspost.test";

const ROOT: u8 = 100;
const AUTHORITY: u8 = 101;
/// The admin's key.
pub const ADMIN: u8 = 102;
const HR: u8 = 103;
const OFFICERS: [u8; 2] = [104, 105];
const COUNCIL: u8 = 106;

/// A key of the company, by its number.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(Secret::new([number; 32]))
}

/// Archive seeds A and B.
pub fn archive_seeds() -> (ArchiveSeed, ArchiveSeed) {
    (ArchiveSeed::new(Secret::new([1; 32])), ArchiveSeed::new(Secret::new([2; 32])))
}

/// Their public halves.
pub fn archive_keys() -> ArchiveKeys {
    let (a, b) = archive_seeds();
    ArchiveKeys { a: a.public(), b: b.public() }
}

/// What the phones are pinned at.
pub fn pin() -> Digest {
    company_pin(&key(ROOT).public())
}

/// The first entries of the company log. With hints people see who types and who is there.
pub fn founding(hello: &Hello, has_hints: bool) -> Found {
    let council = CouncilPart { typing: true, last_seen: true, ..CouncilPart::default() };
    let terms = Terms { council, ..Terms::default() };

    let office = |number: u8, role| (key(number), UserId([number; 16]), role);
    let offices = [
        office(ADMIN, Role::Admin),
        office(HR, Role::Hr),
        office(OFFICERS[0], Role::Officer),
        office(OFFICERS[1], Role::Officer),
        office(COUNCIL, Role::Council),
    ];
    let offices = offices
        .iter()
        .map(|(key, user, role)| Office { user: Some(*user), ..Office::new(key, *role) })
        .collect();
    let keys = archive_keys();
    let founders = Founders {
        company: COMPANY,
        root: &key(ROOT),
        authority: key(AUTHORITY).public(),
        offices,
        archive: [(keys.a, vec![Digest([1; 32])]), (keys.b, vec![Digest([2; 32])])],
        policy: has_hints.then(|| PolicyDocument::of(&terms)),
    };
    let entries = founders.entries(hello);
    Found { company: COMPANY, entries, people: Vec::new() }
}

/// What MDM delivers to the phone of person `number`, or to their further device.
pub fn invitation(number: u8, is_further: bool, not_after: TimeMs) -> String {
    let seed = Secret::new([number + if is_further { 150 } else { 50 }; 32]);
    let seed_key = SigningKey::from_seed(seed.clone()).public();
    let user = UserId([number; 16]);
    let voucher = Voucher::sign(&key(AUTHORITY), COMPANY, seed_key, Some(user), not_after);
    Invitation {
        server: SERVER.to_owned(),
        pin: pin(),
        trust: Trust::PublicRoots,
        seed,
        voucher: Bytes(encode(&voucher)),
        user,
    }
    .to_text()
}

/// HR's word that a device is out.
pub fn revocation(device: DeviceId, seen: Option<Seen>) -> NewEntry {
    let body = RevokeEntry { seen, device, reason: RevokeReason::Left };
    company_entry(COMPANY, body, &[&key(HR)])
}

/// HR's and the council's word that the past of one person goes to another one.
pub fn handover((from, to): (UserId, UserId), scope: Scope, seen: Option<Seen>) -> NewEntry {
    let body = HandoverEntry { seen, from, to, scope };
    company_entry(COMPANY, body, &[&key(HR), &key(COUNCIL)])
}

/// The next policy, which differs from the one in force by its suite.
pub fn policy(company: &Company, suite: Option<Suite>, seen: Option<Seen>) -> NewEntry {
    let now = company.now();
    let mut terms = now.terms().clone();
    terms.general.suite_code = suite.map(Suite::code);
    let version = now.policy().map_or(1, |policy| policy.version + 1);
    let document = Bytes(encode(&PolicyDocument::of(&terms)));
    let body = PolicyEntry { seen, version, document };
    company_entry(COMPANY, body, &[&key(ADMIN), &key(HR), &key(COUNCIL)])
}

/// An admin's word that a conversation gets a new group.
pub fn reset_order(log: LogId, seen: Option<Seen>) -> NewEntry {
    let body = ResetOrder { seen, log, reason: "so will es die Simulation".to_owned() };
    company_entry(COMPANY, body, &[&key(ADMIN)])
}
