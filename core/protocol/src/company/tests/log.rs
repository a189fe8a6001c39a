//! The log itself: its chain, replays, views at a size, and the ways of applying it.

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::company::body::*;
use crate::company::finding::{Applied, ChainBreak, Finding};
use crate::company::fixture::*;
use crate::company::state::Company;
use crate::encoding::{Bytes, FormError};
use crate::entry::{Entry, Kind, Payload, Seen};
use crate::ids::{CompanyId, Digest, EntryHash, Seq};

const ANNA: u32 = 1;

fn rng() -> StdRng {
    StdRng::seed_from_u64(7)
}

#[test]
fn only_the_genesis_that_the_pin_names_begins_a_company() {
    let founded = Founded::new();
    let genesis = &founded.entries[0];
    assert!(Company::new(founded.company.pin()).apply(genesis).is_ok());
    assert_eq!(Company::new(Digest([1; 32])).apply(genesis), Err(ChainBreak::Pin));

    let mut empty = Founded::new();
    empty.company = Company::new(founded.company.pin());
    let by =
        |root: &crate::crypto::SigningKey, company| CompanyGenesis { company, root: root.public() };
    let (root, other) = (key(1), key(5));
    let table = [
        ("signed by another", empty.entry(by(&root, COMPANY), &[&other])),
        ("of another root", empty.entry(by(&other, COMPANY), &[&other])),
        ("of another company", empty.entry(by(&root, CompanyId([9; 16])), &[&root])),
        ("another kind", founded.entries[1].clone()),
    ];
    for (name, entry) in table {
        let entry = Entry { seq: Seq(0), co: 0, ..entry };
        let mut company = Company::new(founded.company.pin());
        assert_eq!(company.apply(&entry), Err(ChainBreak::Pin), "{name}");
        assert_eq!(company.size(), 0);
    }
}

#[test]
fn an_entry_that_does_not_continue_the_chain_changes_nothing() {
    let mut founded = Founded::new();
    founded.t_ms += 1;
    let root = founded.keys.root.clone();
    let next = founded.entry(holding(founded.seen(), 900, None, Role::Officer, true), &[&root]);
    let size = founded.company.size();
    let (hash, len) = next.payload.facts();
    let foreign = crate::company::entry::company_head(CompanyId([1; 16]), Kind::Role);
    let table = [
        (
            Entry { seq: Seq(size + 1), ..next.clone() },
            ChainBreak::Gap { expected: Seq(size), found: Seq(size + 1) },
        ),
        (
            Entry { seq: Seq(size - 1), ..next.clone() },
            ChainBreak::Gap { expected: Seq(size), found: Seq(size - 1) },
        ),
        (Entry { co: size - 1, ..next.clone() }, ChainBreak::CompanySize(Seq(size))),
        (
            Entry { t_ms: 999_999, ..next.clone() },
            ChainBreak::TimeBack { seq: Seq(size), after: 1_000_000 },
        ),
        (Entry { head: Bytes(foreign), ..next.clone() }, ChainBreak::WrongLog(Seq(size))),
        (
            Entry { payload: Payload::Absent { hash, len }, ..next.clone() },
            ChainBreak::PayloadMissing(Seq(size)),
        ),
    ];
    for (entry, expected) in table {
        assert_eq!(founded.company.apply(&entry), Err(expected));
        assert_eq!(founded.company.size(), size);
    }
    assert!(matches!(founded.company.apply(&next), Ok(Applied::Counts(_))));
}

#[test]
fn what_this_version_cannot_read_is_chained_and_has_no_effect() {
    let founded = Founded::new();
    let root = founded.keys.root.clone();
    let next = founded.entry(holding(founded.seen(), 900, None, Role::Officer, true), &[&root]);
    let mut unknown_kind = next.head.0.clone();
    let place = 3;
    assert_eq!(unknown_kind[place - 1..=place], [0x18, 39], "kind 39 stands here");
    unknown_kind[place] = 54;
    let commit = crate::company::entry::company_head(COMPANY, Kind::Invite);
    let table = [
        (Entry { head: Bytes(unknown_kind), ..next.clone() }, Finding::Form(FormError::Unlisted)),
        (Entry { head: Bytes(commit), ..next.clone() }, Finding::Kind),
        (
            Entry { payload: Payload::Kept(Bytes(vec![0x80])), ..next.clone() },
            Finding::Form(FormError::Malformed),
        ),
    ];
    for (entry, expected) in table {
        let mut company = founded.company.clone();
        assert_eq!(company.apply(&entry).unwrap().finding(), Some(expected));
        assert_eq!(company.finding(entry.seq), Some(expected));
        assert_eq!(company.size(), founded.company.size() + 1);
        assert!(!company.now().has_role(key(900).public().id(), Role::Officer));
    }
}

#[test]
fn nothing_signed_can_be_played_again() {
    let mut founded = Founded::new();
    let root = founded.keys.root.clone();
    let officer = |seen, active| holding(seen, 900, None, Role::Officer, active);
    let first = founded.seen();
    let begins = officer(first, true);
    founded.must(begins.clone(), &[&root]);
    let ends = founded.must(officer(founded.seen(), false), &[&root]);
    // The same body again, and another body of the same time that says the same.
    let again = founded.append(begins.clone(), &[&root]);
    assert_eq!(again.finding(), Some(Finding::Repeated));
    let twin = RoleEntry { history_key: Some(Digest([1; 32])), ..begins };
    assert_eq!(founded.append(twin, &[&root]).finding(), Some(Finding::Replay(ends)));
    assert!(!founded.company.now().has_role(key(900).public().id(), Role::Officer));
    assert_eq!(founded.append(officer(founded.seen(), true), &[&root]).finding(), None);
}

#[test]
fn each_subject_is_guarded_against_replay() {
    let mut founded = Founded::new();
    let keys = &founded.keys;
    let (root, issuing, hr) = (keys.root.clone(), keys.issuing.clone(), keys.hr.clone());
    let (admin, council) = (keys.admins[0].clone(), keys.council[0].clone());
    let [one, two, _] = keys.officers.clone();
    founded.enrol(ANNA, 11);
    // Something newer on every subject, so that what follows was signed before it.
    let old = Some(Seen { seq: Seq(0), hash: founded.company.hash_at(1).unwrap() });
    let new = key(900);
    let witness = |seen, active| WitnessEntry {
        seen,
        name: "w".to_owned(),
        key: Bytes(vec![1; 1312]),
        active,
    };
    founded.must(witness(founded.seen(), true), &[&root]);
    founded.must(RootRotation { seen: founded.seen(), key: new.public() }, &[&root, &new]);
    let newest = key(901);
    let hold = HoldEntry { seen: old, scope: Scope::default(), reason: String::new() };
    let hold = founded.must(hold, &[&one]);
    let revoke = RevokeEntry { seen: old, device: device(11), reason: RevokeReason::Left };
    let renewed = further_device(old, ANNA, 11);
    let switch =
        |key: &crate::crypto::SigningKey| KeySwitch { seen: old, key: key.public(), active: false };
    let log_key =
        LogKeyEntry { seen: old, ed25519: key(902).public(), ml_dsa: Bytes(vec![1; 1312]) };
    type Row<'a> = (CompanyBody, Vec<&'a crate::crypto::SigningKey>);
    let table: Vec<Row<'_>> = vec![
        (RootRotation { seen: old, key: newest.public() }.into(), vec![&new, &newest]),
        (CompanyBody::IssuingKey(switch(&issuing)), vec![&new]),
        (CompanyBody::EnrolmentAuthority(switch(&founded.keys.authority)), vec![&new]),
        (log_key.into(), vec![&new]),
        (witness(old, false).into(), vec![&new]),
        (renewed.into(), vec![&issuing, &admin]),
        (revoke.into(), vec![&hr]),
        (holding(old, HR, Some(user(HR)), Role::Hr, false).into(), vec![&new]),
        (policy(old, 2, b"council", b"new").into(), vec![&admin, &hr]),
        (archive_key(old, ArchiveSide::B, 9).into(), vec![&new, &one, &two, &council]),
        (ReleaseEntry { seen: old, hold }.into(), vec![&one, &two]),
    ];
    for (body, signers) in table {
        let kind = body.kind();
        let entry = founded.entry(body, &signers);
        let found = founded.company.check(&entry.head, entry.payload.bytes().unwrap(), entry.t_ms);
        assert!(matches!(found, Err(Finding::Replay(_))), "{kind:?}: {found:?}");
    }
}

#[test]
fn an_entry_whose_signers_saw_another_history_does_not_count() {
    let mut founded = Founded::new();
    let root = founded.keys.root.clone();
    let newest = founded.seen().unwrap();
    let table = [
        (None, Finding::SeenMissing),
        (Some(Seen { hash: EntryHash([1; 32]), ..newest }), Finding::SeenElsewhere(newest.seq)),
        (Some(Seen { seq: Seq(99), ..newest }), Finding::SeenElsewhere(Seq(99))),
    ];
    // The founding is over as soon as one entry names what its signers saw.
    founded.must(holding(founded.seen(), 900, None, Role::Officer, true), &[&root]);
    for (seen, expected) in table {
        let entry = holding(seen, 901, None, Role::Officer, true);
        assert_eq!(founded.append(entry, &[&root]).finding(), Some(expected));
    }
}

#[test]
fn a_view_of_a_smaller_size_knows_nothing_of_what_came_later() {
    let mut founded = Founded::new();
    let small = founded.company.size();
    let phone = founded.enrol(ANNA, 11);
    let large = founded.company.size();
    let (root, hr) = (founded.keys.root.clone(), founded.keys.hr.clone());
    let revoke =
        RevokeEntry { seen: founded.seen(), device: device(11), reason: RevokeReason::Left };
    founded.must(revoke, &[&hr]);
    let [one, two, _] = founded.keys.officers.clone();
    let council = founded.keys.council[0].clone();
    founded.t_ms += 5;
    let successor = archive_key(founded.seen(), ArchiveSide::A, 0x77);
    founded.must(successor.clone(), &[&root, &one, &two, &council]);

    let company = &founded.company;
    assert!(company.at(small).device(device(11)).is_none());
    assert!(company.at(small).device_of_key(&phone.public()).is_none());
    assert_eq!(company.at(small).devices_of(user(ANNA)).count(), 0);
    assert!(company.at(large).is_active(device(11)));
    assert_eq!(company.at(large).devices_of(user(ANNA)).count(), 1);
    assert!(!company.now().is_active(device(11)) && company.now().is_revoked(device(11)));
    assert_eq!(company.at(large).hash(), company.hash_at(large).unwrap());
    assert_eq!(company.at(u64::MAX).size(), company.size());

    let old = company.at(large).archive_keys().unwrap().0;
    let (new, _) = company.now().archive_keys().unwrap();
    assert_eq!((new.id, new.t_ms), (successor.id(), founded.t_ms));
    let end = founded.t_ms + crate::limits::ARCHIVE_KEY_GRACE_MS;
    let now = company.now();
    assert!(now.archive_key_is_good(ArchiveSide::A, old.id, end - 1));
    assert!(!now.archive_key_is_good(ArchiveSide::A, old.id, end));
    assert!(company.at(large).archive_key_is_good(ArchiveSide::A, old.id, end));
    assert!(!now.archive_key_is_good(ArchiveSide::B, old.id, 0));
    assert!(now.archive_key_is_good(ArchiveSide::A, new.id, u64::MAX));
}

#[test]
fn one_report_a_day_for_each_device_log_and_code() {
    let mut founded = Founded::new();
    let phone = founded.enrol(ANNA, 11);
    let report = |seen, seq, code| ReportEntry {
        seen,
        device: device(11),
        log: crate::ids::LogId([3; 16]),
        code,
        seq: Seq(seq),
        evidence: Digest([5; 32]),
    };
    founded.must(report(founded.seen(), 1, ReportCode::Fork), &[&phone]);
    let same_day = founded.append(report(founded.seen(), 2, ReportCode::Fork), &[&phone]);
    assert_eq!(same_day.finding(), Some(Finding::ReportedToday));
    founded.must(report(founded.seen(), 2, ReportCode::Class), &[&phone]);
    founded.t_ms += crate::limits::DAY_MS;
    founded.must(report(founded.seen(), 3, ReportCode::Fork), &[&phone]);
}

#[test]
fn an_opening_gives_either_a_notice_or_a_reason_for_none() {
    let mut founded = Founded::new();
    let [one, two, _] = founded.keys.officers.clone();
    for (notice, block_reason) in [(None, None), (Some("n".to_owned()), Some("b".to_owned()))] {
        let opening = OpeningEntry {
            seen: founded.seen(),
            purpose: "p".to_owned(),
            scope: Scope::default(),
            notice,
            block_reason,
        };
        let found = founded.append(opening, &[&one, &two]).finding();
        assert_eq!(found, Some(Finding::Contradiction));
    }
}

#[test]
fn what_is_applied_in_batches_one_by_one_or_again_is_judged_alike() {
    let mut founded = Founded::new();
    for number in 0..40 {
        let mut body = founded.first_device(number, number + 20);
        // A few that do not count, of different kinds.
        match number % 8 {
            3 => body.seed_signature = Some(enrolment_of(&body).sign(&key(1))),
            5 => body.voucher.as_mut().unwrap().signature.0[3] ^= 1,
            _ => {}
        }
        let signer =
            if number % 8 == 6 { founded.keys.hr.clone() } else { founded.keys.issuing.clone() };
        let entry = founded.entry(body, &[&signer]);
        let entry = if number % 8 == 7 { with_broken_signature(entry) } else { entry };
        founded.company.apply(&entry).unwrap();
        founded.entries.push(entry);
    }
    let one_by_one: Vec<_> = founded.company.findings().collect();
    assert_eq!(one_by_one.len(), 20);

    let mut batched = Company::new(founded.company.pin());
    let applied = batched.apply_all(&founded.entries, &mut rng()).unwrap();
    assert_eq!(applied.len(), founded.entries.len());
    let mut again = Company::new(founded.company.pin());
    for (entry, applied) in founded.entries.iter().zip(applied) {
        again.reapply(entry, applied.finding().is_none()).unwrap();
    }
    for company in [batched, again] {
        assert_eq!(company.findings().collect::<Vec<_>>(), one_by_one);
        assert_eq!(company.newest(), founded.company.newest());
        assert_eq!(company.now().devices().count(), founded.company.now().devices().count());
    }
}

fn with_broken_signature(entry: Entry) -> Entry {
    let payload = entry.payload.bytes().unwrap();
    let mut payload = crate::company::entry::CompanyPayload::parse(Kind::Device, payload).unwrap();
    payload.signatures[0].1.0[40] ^= 1;
    Entry { payload: Payload::Kept(Bytes(crate::encoding::encode(&payload))), ..entry }
}

proptest::proptest! {
    #[test]
    fn no_payload_makes_the_company_panic(
        kind in 32u8..54,
        payload in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        at in 0usize..400,
        with in proptest::prelude::any::<u8>(),
    ) {
        let founded = Founded::new();
        let mut company = founded.company.clone();
        let root = founded.keys.root.clone();
        let good = founded.entry(holding(founded.seen(), 900, None, Role::Officer, true), &[&root]);
        let mut head = good.head.0.clone();
        head[3] = kind;
        let noise = Entry { head: Bytes(head), payload: Payload::Kept(Bytes(payload)), ..good.clone() };
        proptest::prop_assert!(company.apply(&noise).unwrap().finding().is_some());
        // One byte changed anywhere in a good payload.
        let mut bytes = good.payload.bytes().unwrap().to_vec();
        let at = at % bytes.len();
        proptest::prop_assume!(bytes[at] != with);
        bytes[at] = with;
        let changed = Entry { payload: Payload::Kept(Bytes(bytes)), ..good };
        let mut company = founded.company.clone();
        proptest::prop_assert!(company.apply(&changed).unwrap().finding().is_some());
    }
}

#[test]
fn an_archive_key_that_nobody_could_seal_to_or_that_was_one_before_does_not_count() {
    let founded = Founded::new();
    let keys = &founded.keys;
    let signers = [&keys.root, &keys.officers[0], &keys.officers[1], &keys.council[0]];
    let good = archive_key(founded.seen(), ArchiveSide::A, 0x77);
    let with = |key: Vec<u8>| ArchiveKeyEntry { key: Bytes(key), ..good.clone() };
    let table = [
        ("good", good.clone(), None),
        ("short", with(good.key[1..].to_vec()), Some(Finding::KeyForm)),
        ("coefficients above the modulus", with(vec![0xff; 1216]), Some(Finding::KeyForm)),
        (
            "an X25519 part of small order",
            with([&good.key[..1184], &[0; 32]].concat()),
            Some(Finding::KeyForm),
        ),
        (
            "the other side's key",
            archive_key(founded.seen(), ArchiveSide::A, ArchiveSide::B as u8),
            Some(Finding::KeyInUse(archive_key(None, ArchiveSide::B, 1).id())),
        ),
    ];
    for (name, body, expected) in table {
        let entry = founded.entry(body, &signers);
        let found = founded.company.check(&entry.head, entry.payload.bytes().unwrap(), entry.t_ms);
        assert_eq!(found.err(), expected, "{name}");
    }
}
