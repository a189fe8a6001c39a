//! Where a fuzzer begins: what honest software writes. Most of it is in the test vectors; the rest is made
//! here.

use serde_json::Value;

use super::rng;
use crate::authorise::testing::{Room, START};
use crate::body::LogType;
use crate::company::body::CompanyBody;
use crate::company::fixture::{COMPANY, Founded, key, user};
use crate::company::voucher::Voucher;
use crate::encoding::{Bytes, Item, decode, encode};
use crate::entry::{Entry, Kind, Payload};
use crate::hpke::Sealed;
use crate::ids::*;
use crate::invitation::{Invitation, Trust};
use crate::key_list::{KeyList, OpeningRef, seal_keys};
use crate::mls::member::{Suite, key_package_bytes};
use crate::mls::public::Follower;
use crate::mls::testing::{Change, Phone, binding};
use crate::wire::*;
use crate::xwing::XWingSeed;

/// The seeds of the target with this name.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "entries" => entries(),
        "records" => strings(&[VECTORS.records, VECTORS.content, VECTORS.files]),
        "company" => company(),
        "trees" => {
            let mut seeds = strings(&[VECTORS.tree, VECTORS.entries]);
            seeds.extend(noise(64));
            seeds
        }
        "wire" => wire(),
        "invitations" => invitations(),
        "archive" => archive(),
        "mls" => mls(),
        "rules" => noise(48),
        _ => Vec::new(),
    }
}

struct Vectors {
    capsules: &'static str,
    company: &'static str,
    content: &'static str,
    encoding: &'static str,
    entries: &'static str,
    files: &'static str,
    grants: &'static str,
    keys: &'static str,
    policy: &'static str,
    records: &'static str,
    shares: &'static str,
    tree: &'static str,
}

macro_rules! vectors {
    ($($name:ident),+) => {
        Vectors { $($name: include_str!(concat!("../../../../tests/vectors/", stringify!($name), ".json"))),+ }
    };
}

const VECTORS: Vectors = vectors!(
    capsules, company, content, encoding, entries, files, grants, keys, policy, records, shares,
    tree
);

/// Every string in these vectors: as bytes if it is hexadecimal, else as text.
fn strings(vectors: &[&str]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for vectors in vectors {
        let value = serde_json::from_str(vectors).expect("the vectors are JSON");
        collect(&value, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn collect(value: &Value, found: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => found.push(hex::decode(text).unwrap_or(text.as_bytes().to_vec())),
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
        _ => {}
    }
}

/// Bytes of nothing in particular, for targets that build their case themselves.
fn noise(count: usize) -> Vec<Vec<u8>> {
    use rand::{Rng as _, RngExt as _};
    let mut rng = rng();
    (0..count)
        .map(|_| {
            let mut bytes = vec![0; rng.random_range(16..400)];
            rng.fill_bytes(&mut bytes);
            bytes
        })
        .collect()
}

fn joined(head: &[u8], payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(head.len()).expect("a head is short");
    [&len.to_be_bytes()[..], head, payload].concat()
}

fn entries() -> Vec<Vec<u8>> {
    let mut seeds = strings(&[VECTORS.entries, VECTORS.encoding, VECTORS.capsules, VECTORS.grants]);
    let (mut anna, mut ben) = (Phone::new(1, 1), Phone::new(2, 2));
    let room = Room::create(LogType::Group, &mut anna, &mut [&mut ben]);
    let offer = room.offer(&mut anna, Change::default());
    let invite = room.invite_entry(&ben, crate::body::InviteOp::Invite, user(3), 2);
    for parsed in [&offer.commit, &invite] {
        let signed = encode(parsed.payload.signed().expect("both are signed"));
        seeds.push(joined(&parsed.head_bytes, &signed));
        seeds.push(signed);
    }
    seeds
}

fn company() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let kinds = (0..64).filter_map(|code| decode::<Kind>(&encode::<u64>(&code)).ok());
    let kinds: Vec<_> = kinds.collect();
    for body in strings(&[VECTORS.company]) {
        let fits = |kind: &&Kind| CompanyBody::parse(**kind, &body).is_ok();
        for kind in kinds.iter().filter(fits) {
            seeds.push([&[kind.code() as u8, 0xff], &body[..]].concat());
        }
    }
    seeds.extend(strings(&[VECTORS.policy]));
    let founded = Founded::new();
    for entry in &founded.entries {
        let Payload::Kept(payload) = &entry.payload else { continue };
        let payload: crate::company::entry::CompanyPayload =
            decode(payload).expect("a founded company's entry");
        let kind = crate::entry::Head::parse(&entry.head).expect("its head").kind;
        seeds.push([&[kind.code() as u8, 0xff], &payload.body[..]].concat());
    }
    let body = CompanyBody::from(founded.first_device(1, 1));
    seeds.push([&[Kind::Device.code() as u8, 2][..], &body.encode()].concat());
    seeds
}

fn invitation() -> Invitation {
    let seed = crate::crypto::Secret::new([5; 32]);
    let public = crate::crypto::SigningKey::from_seed(seed.clone()).public();
    let voucher = Voucher::sign(&key(3), COMPANY, public, Some(user(1)), 1_900_000_000_000);
    Invitation {
        server: "https://hauspost.example:8443".into(),
        pin: Digest([9; 32]),
        trust: Trust::CompanyCa(Bytes(vec![0x30, 3, 2, 1, 5])),
        seed,
        voucher: encode(&voucher).into(),
        user: user(1),
    }
}

fn invitations() -> Vec<Vec<u8>> {
    let one = invitation();
    let other = Invitation { trust: Trust::PublicRoots, ..one.clone() };
    [one, other].iter().map(|invitation| invitation.to_text().into_bytes()).collect()
}

fn archive() -> Vec<Vec<u8>> {
    let mut seeds = strings(&[VECTORS.capsules, VECTORS.keys, VECTORS.shares]);
    let keys = KeyList::new((0..3).map(|seq| (Seq(seq), super::slot_key())));
    let own = XWingSeed::new(crate::crypto::Secret::new([8; 32])).public();
    let opening = OpeningRef { seq: Seq(1), hash: EntryHash([2; 32]) };
    let sealed: Sealed = seal_keys(opening, LogId([3; 16]), &keys, &own, &mut rng());
    seeds.extend([encode(&keys), encode(&sealed)]);
    seeds
}

/// A room's group as the server follows it.
pub(super) fn follower() -> Follower {
    let (mut anna, mut ben) = (Phone::new(1, 1), Phone::new(2, 2));
    Room::create(LogType::Group, &mut anna, &mut [&mut ben]).follower
}

fn mls() -> Vec<Vec<u8>> {
    let (mut anna, mut ben) = (Phone::new(1, 1), Phone::new(2, 2));
    let room = Room::create(LogType::Group, &mut anna, &mut [&mut ben]);
    let package = key_package_bytes(&ben.package(Suite::Classic, START));
    let own = anna.commit(Change::default());
    let mut seeds = vec![
        package,
        own.commit,
        own.group_info,
        anna.group_info(true),
        room.follower.tree_bytes(),
        room.follower.to_bytes(),
        anna.certificate.der().to_vec(),
        encode(&binding()),
    ];
    let removing = ben.removing(&[0]);
    seeds.extend([removing.commit, removing.group_info]);
    seeds
}

fn wire() -> Vec<Vec<u8>> {
    fn push<T: Item>(seeds: &mut Vec<Vec<u8>>, item: T) {
        seeds.push(encode(&item));
    }
    let some = || Bytes(vec![7; 5]);
    let entry = Entry {
        head: some(),
        payload: Payload::Kept(some()),
        seq: Seq(3),
        t_ms: 1_800_000_000_000,
        co: 9,
    };
    let (hash, len) = entry.payload.facts();
    let without = Entry { payload: Payload::Absent { hash, len }, ..entry.clone() };
    let proof = HeadsProof {
        leaf: some(),
        position: LogNo(4),
        path: vec![Digest([1; 32]), Digest([2; 32])],
    };
    let checkpoint = CheckpointNews {
        note: "hauspost/…\n7\n".into(),
        leaf: some(),
        inclusion: vec![Digest([3; 32])],
        consistency: vec![Digest([4; 32])],
        company: proof.clone(),
    };
    let news = LogNews {
        log: LogId([5; 16]),
        entries: vec![entry.clone(), without],
        welcomes: vec![(Seq(3), some())],
        size: 4,
    };
    let person = Person { user: user(1), handle: "anna".into(), name: Some("Anna Weiß".into()) };
    let device = Principal::Device(DeviceId([6; 16]));
    let mut seeds = Vec::new();
    let all = &mut seeds;
    push(
        all,
        Hello {
            genesis: Some(entry.clone()),
            issuing_key: [1; 32],
            log_key: [2; 32],
            log_key_pq: some(),
            t_ms: 5,
        },
    );
    push(
        all,
        Found {
            company: CompanyId([1; 16]),
            entries: vec![(some(), some())],
            people: vec![person.clone()],
        },
    );
    push(
        all,
        EnrolRequest {
            user: user(1),
            device: DeviceId([6; 16]),
            signature_key: [1; 32],
            keystore_key: [2; 33],
            history_key: some(),
            voucher: some(),
            seed_signature: [3; 64],
            possession: [4; 64],
        },
    );
    push(all, EnrolAnswer { certificate: some(), company_seq: Some(Seq(20)) });
    push(all, Principal::Role(KeyId([7; 16])));
    push(all, SessionRequest { principal: device, challenge: some(), signature: [1; 64] });
    push(all, SessionAnswer { token: some(), not_after: 9, t_ms: 8 });
    push(
        all,
        AppendRequest {
            log: LogId([5; 16]),
            entries: vec![(some(), some())],
            group_info: Some(some()),
            welcome: None,
        },
    );
    push(
        all,
        vec![
            Outcome::Ok(Seq(1)),
            Outcome::Stale(Gen(0), Epoch(2)),
            Outcome::RemoveFirst(vec![4, 5]),
            Outcome::Blob(Digest([6; 32])),
            Outcome::Authorise(7),
        ],
    );
    push(
        all,
        SyncRequest {
            since: Some(12),
            cursors: vec![(LogId([5; 16]), Seq(3))],
            company_next: Seq(20),
            checkpoint: Some((0, 7)),
        },
    );
    push(
        all,
        SyncAnswer {
            company: vec![entry.clone()],
            company_size: 21,
            now: Some(13),
            logs: vec![news],
            checkpoint: Some(checkpoint.clone()),
            t_ms: 1_800_000_000_000,
            more: true,
        },
    );
    push(all, PackagesPut { suite: 3, packages: vec![some()], last_resort: Some(some()) });
    push(all, PackagesTake { suite: 3, devices: vec![DeviceId([6; 16])] });
    push(all, NextLogKey { ed25519: [1; 32], ml_dsa: some() });
    push(all, WitnessedRequest { era: 0, size: 7 });
    push(all, vec![Witnessed { note: "hauspost/…".into(), consistency: vec![Digest([4; 32])] }]);
    push(all, vec![PackageTaken { device: DeviceId([6; 16]), package: None }]);
    push(all, HeadsProofRequest { era: 0, size: 7, logs: vec![LogId([5; 16])] });
    push(all, vec![proof.clone()]);
    push(all, ConsistencyRequest { era: 0, old: 3, new: 7 });
    push(all, Directory { version: 4, people: vec![person] });
    push(all, ArchiveRequest { opening: Some(Seq(21)), log: LogId([5; 16]), from: Seq(0) });
    push(
        all,
        ArchiveAnswer {
            entries: vec![entry],
            size: 4,
            checkpoint: Some(checkpoint),
            proof: Some(proof),
        },
    );
    push(all, vec![LogPlace { position: LogNo(4), log: LogId([5; 16]), size: 4 }]);
    seeds
}
