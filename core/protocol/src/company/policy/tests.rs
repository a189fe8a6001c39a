use proptest::prelude::*;

use super::*;
use crate::company::body::{HandoverEntry, PolicyEntry, Role, Scope};
use crate::company::finding::Finding;
use crate::company::fixture::{ADMINS, COUNCIL, Founded, HR, key, user};
use crate::company::policy::quiet::DAY_MINUTES;
use crate::encoding::{Any, FormError, decode, encode};
use crate::ids::{TimeMs, UserId};

/// Thursday, 26 November 2026, 04:00 UTC.
const NOW: TimeMs = 1_795_665_600_000;
const HOUR: TimeMs = 3_600_000;

fn any<T: crate::encoding::Item>(item: T) -> Any {
    decode(&encode(&item)).unwrap()
}

#[test]
fn a_policy_that_says_nothing_watches_nobody() {
    let document = PolicyDocument { council: Bytes(vec![0x80]), rest: Bytes(vec![0x80]) };
    assert_eq!(document.faults(), []);
    let Terms { council, general } = document.terms();
    assert_eq!(Terms { council: council.clone(), general }, *Terms::without_policy());
    let watching = [council.read_receipts, council.typing, council.last_seen, council.statistics];
    assert_eq!(watching, [false; 4]);
    assert!(council.handover_council && council.alarms.is_empty());
    assert!(!council.history_for_members, "nobody reads the past unasked");
}

#[test]
fn what_a_policy_says_is_read_as_it_was_written() {
    let terms = terms();
    let document = PolicyDocument::of(&terms);
    assert_eq!(document.faults(), []);
    assert_eq!(document.terms(), terms);
}

#[test]
fn an_old_reader_takes_what_he_knows_and_hands_on_what_he_does_not() {
    let mut terms = terms();
    terms.council.later = vec![any("of version 7".to_owned()), any((1u64, 2u64))];
    terms.general.later = vec![any(Some(5u64))];
    let document = PolicyDocument::of(&terms);
    assert_eq!(document.faults(), []);
    assert_eq!(document.terms(), terms);
    assert_eq!(PolicyDocument::of(&document.terms()), document);
}

#[test]
fn a_part_that_ends_early_has_defaults_for_the_rest() {
    let part = encode(&(false, true));
    let (council, faults) = CouncilPart::read(&part);
    assert_eq!(faults, []);
    let said = CouncilPart { handover_council: false, read_receipts: true, ..Default::default() };
    assert_eq!(council, said);
}

#[test]
fn an_item_that_cannot_be_read_has_its_default_and_takes_nothing_else_with_it() {
    let part = encode(&("yes".to_owned(), true, 2u64, true, true, 400u64));
    let (council, faults) = CouncilPart::read(&part);
    assert!(council.handover_council && !council.typing);
    assert!(council.read_receipts && council.last_seen && council.statistics);
    assert_eq!(council.behaviour_days, 30);
    let form = |item, form: FormError| Fault { item, problem: form.into() };
    let expected = [
        form("handover_council", FormError::Malformed),
        form("typing", FormError::Unlisted),
        Fault { item: "behaviour_days", problem: Problem::Limit },
    ];
    assert_eq!(faults, expected);
}

#[test]
fn a_part_that_is_no_list_or_too_long_a_one_says_nothing() {
    let long = encode(&vec![1u64; 257]);
    let mut trailing = encode(&(false,));
    trailing.push(0);
    for part in [b"council".as_slice(), b"", &[0x81], &[0xa0], &long, &trailing] {
        let (council, faults) = CouncilPart::read(part);
        assert_eq!(council, CouncilPart::default(), "{part:02x?}");
        assert_eq!(faults.len(), 1, "{part:02x?}");
        assert_eq!(faults[0].item, "CouncilPart");
    }
}

#[test]
fn every_limit_is_named_when_it_is_passed() {
    type Spoil = fn(&mut Terms);
    let rule = |words| Some(DocumentRule { blocked: words, allowed: None });
    let spoiled: [(&str, Spoil); 18] = [
        ("behaviour_days", |terms| terms.council.behaviour_days = 0),
        ("document_bytes", |terms| terms.general.document_bytes = 1 << 32),
        ("upload_hours", |terms| terms.general.upload_hours = 0),
        ("device_bytes", |terms| terms.general.device_bytes = Some(u64::MAX >> 1)),
        ("company_bytes", |terms| terms.general.company_bytes = Some((1 << 60) + 1)),
        ("suite_code", |terms| terms.general.suite_code = Some(1)),
        ("group_version", |terms| terms.general.group_version = Some(0)),
        ("zone", |terms| {
            let zone = Zone { name: "Europe/Berlin".into(), rule: "no-rule".into() };
            terms.general.zone = Some(zone);
        }),
        ("quiet_hours", |terms| {
            let never = QuietSpan { days: 0, from_minute: 0, to_minute: 60 };
            terms.general.quiet_hours = QuietPlan(vec![never]);
        }),
        ("zone", |terms| {
            let zone = Zone { name: "Berlin, Büro".into(), rule: "UTC0".into() };
            terms.general.zone = Some(zone);
        }),
        ("zone", |terms| {
            // A zone's abbreviation may be long in POSIX, and a rule in the policy not.
            let rule = format!("<{}>0", "A".repeat(62));
            terms.general.zone = Some(Zone { name: "A".into(), rule });
        }),
        ("zone", |terms| {
            terms.general.zone = Some(Zone { name: String::new(), rule: "UTC0".into() });
        }),
        ("quiet_hours", |terms| {
            let span = QuietSpan { days: 1, from_minute: DAY_MINUTES, to_minute: 60 };
            terms.general.quiet_hours = QuietPlan(vec![span]);
        }),
        ("quiet_hours", |terms| {
            let span = QuietSpan { days: 1, from_minute: 0, to_minute: DAY_MINUTES + 1 };
            terms.general.quiet_hours = QuietPlan(vec![span]);
        }),
        ("quiet_hours", |terms| {
            let span = QuietSpan { days: 1, from_minute: 0, to_minute: 60 };
            terms.general.quiet_hours = QuietPlan(vec![span; 65]);
        }),
        ("quiet_hours", |terms| {
            let span = QuietSpan { days: 128, from_minute: 0, to_minute: 60 };
            terms.general.quiet_hours = QuietPlan(vec![span]);
        }),
        ("queue_hours", |terms| terms.general.queue_hours = 2_161),
        ("alarms", |terms| terms.council.alarms.users = vec![UserId([1; 16]); 1_025]),
    ];
    for (item, spoil) in spoiled {
        let mut terms = terms();
        spoil(&mut terms);
        assert_eq!(terms.faults(), [Fault { item, problem: Problem::Limit }]);
    }
    for words in [vec!["pdf".to_owned(); 4_097], vec!["x".repeat(256)]] {
        let mut terms = terms();
        terms.general.documents = rule(words);
        assert_eq!(terms.faults(), [Fault { item: "documents", problem: Problem::Limit }]);
    }
}

#[test]
fn a_clock_whose_rule_cannot_be_read_shows_utc() {
    for rule in ["no rule".to_owned(), format!("<{}>-9", "A".repeat(62))] {
        let zone = Zone { name: "Tokyo".into(), rule };
        assert_eq!(zone.local(NOW), Zone::utc().local(NOW));
    }
}

#[test]
fn a_rule_about_documents_knows_a_word_however_it_is_written_and_an_empty_list_allows_nothing() {
    let rule = |blocked: &[&str], allowed: Option<&[&str]>| {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        DocumentRule { blocked: words(blocked), allowed: allowed.map(words) }
    };
    assert!(rule(&["EXE"], None).blocks(&["exe", "application/x-msdownload"]));
    assert!(!rule(&["exe"], None).blocks(&["pdf", "application/pdf"]));
    assert!(rule(&[], Some(&["Image/JPEG"])).allows(&["jpg", "image/jpeg"]));
    assert!(!rule(&[], Some(&["image/jpeg"])).allows(&["png", "image/png"]));
    assert!(rule(&[], None).allows(&["pdf"]) && !rule(&[], Some(&[])).allows(&["pdf"]));
}

#[test]
fn a_policy_that_is_none_is_not_taken_into_the_company_log() {
    let mut founded = Founded::new();
    let signers = [key(ADMINS[0]), key(HR), key(COUNCIL[0])];
    let document = Bytes(encode(&(1u64, 2u64)));
    let policy = PolicyEntry { seen: founded.seen(), version: 2, document };
    let taken = founded.append(policy, &signers.iter().collect::<Vec<_>>());
    assert!(matches!(taken.finding(), Some(Finding::Form(_))));
}

#[test]
fn the_company_obeys_a_policy_from_its_entry_on() {
    let mut founded = Founded::new();
    let before = founded.company.size();
    let policy = |version| {
        let document = Bytes(encode(&PolicyDocument::of(&terms())));
        PolicyEntry { seen: founded.seen(), version, document }
    };
    let signers = [key(ADMINS[0]), key(HR), key(COUNCIL[0])];
    let signers: Vec<_> = signers.iter().collect();
    founded.must(policy(2), &signers);
    assert_eq!(*founded.company.at(before).terms(), Terms::default());
    assert_eq!(*founded.company.now().terms(), terms());
}

#[test]
fn alarms_are_for_those_whom_the_policy_names_while_they_hold_the_role() {
    let mut founded = Founded::new();
    let callers = Callers { roles: vec![Role::Council], users: vec![user(7)] };
    let may = |founded: &Founded, person| callers.include(user(person), &founded.company.now());
    assert!(may(&founded, COUNCIL[0]) && may(&founded, 7));
    assert!(!may(&founded, HR) && !may(&founded, 8));
    let ends = crate::company::fixture::holding(
        founded.seen(),
        COUNCIL[0],
        Some(user(COUNCIL[0])),
        Role::Council,
        false,
    );
    founded.must(ends, &[&key(1), &key(COUNCIL[1])]);
    assert!(!may(&founded, COUNCIL[0]));
}

#[test]
fn a_handover_goes_by_the_councils_part_and_by_nothing_else() {
    let mut founded = Founded::new();
    let mut terms = terms();
    terms.council.handover_council = false;
    let document = Bytes(encode(&PolicyDocument::of(&terms)));
    let policy = PolicyEntry { seen: founded.seen(), version: 2, document };
    founded.must(policy, &[&key(ADMINS[0]), &key(HR), &key(COUNCIL[0])]);
    let seen = founded.seen();
    let handover = HandoverEntry { seen, from: user(1), to: user(2), scope: Scope::default() };
    assert_eq!(founded.append(handover, &[&key(ADMINS[0])]).finding(), Some(Finding::Signatures));
    let handover = HandoverEntry { seen, from: user(1), to: user(2), scope: Scope::default() };
    founded.must(handover, &[&key(HR)]);
}

#[test]
fn the_clock_on_the_wall_knows_summer_and_winter() {
    let berlin = Zone::berlin();
    assert!(berlin.fits());
    // 04:00 UTC in November is 05:00 in Berlin, a Thursday.
    let local = berlin.local(NOW);
    assert_eq!((local.weekday(), local.minute), (3, 5 * 60));
    // 1 July 2026, 22:30 UTC is half past midnight on the 2nd, a Thursday too.
    let july = 1_782_945_000_000;
    let (utc, local) = (Zone::utc().local(july), berlin.local(july));
    assert_eq!((local.weekday(), local.minute), (3, 30));
    assert_eq!(local.day, utc.day + 1);
}

#[test]
fn quiet_hours_pass_midnight_and_end_by_the_clock_on_the_wall() {
    let nights = QuietSpan { days: 0b001_1111, from_minute: 20 * 60, to_minute: 6 * 60 };
    let weekend = QuietSpan { days: 0b110_0000, from_minute: 0, to_minute: DAY_MINUTES };
    let plan = QuietPlan(vec![nights, weekend]);
    assert!(plan.fits());
    let (berlin, utc) = (Zone::berlin(), Zone::utc());
    assert!(plan.is_quiet(&berlin, NOW), "Thursday, 05:00");
    assert!(plan.is_quiet(utc, NOW), "Thursday, 04:00");
    assert!(!plan.is_quiet(&berlin, NOW + HOUR), "Thursday, 06:00");
    assert_eq!(plan.ends(&berlin, NOW + 59_999), Some(NOW + HOUR));
    assert_eq!(plan.ends(utc, NOW), Some(NOW + 2 * HOUR));
    assert_eq!(plan.ends(&berlin, NOW + HOUR), None);
    // Friday, 21:00, until Monday, 00:00: no night begins on Sunday.
    let friday = NOW + 40 * HOUR;
    assert_eq!(plan.ends(&berlin, friday), Some(friday + 51 * HOUR));
    assert!(!plan.is_quiet(&berlin, friday + 52 * HOUR));
    let always = QuietSpan { days: QuietSpan::EVERY_DAY, from_minute: 0, to_minute: 0 };
    assert_eq!(QuietPlan(vec![always]).ends(&berlin, NOW), None);
    assert!(QuietPlan(vec![always]).is_quiet(&berlin, NOW));
}

#[test]
fn an_hour_that_comes_twice_is_quiet_twice_and_one_that_is_left_out_not_at_all() {
    let two_to_three = QuietSpan { days: QuietSpan::EVERY_DAY, from_minute: 120, to_minute: 180 };
    let plan = QuietPlan(vec![two_to_three]);
    let berlin = Zone::berlin();
    // 25 October 2026: 02:00 to 03:00 is there twice, from 00:00 UTC to 02:00 UTC.
    let october = 1_792_886_400_000;
    assert!(!plan.is_quiet(&berlin, october - 1));
    assert_eq!(plan.ends(&berlin, october), Some(october + 2 * HOUR));
    // 29 March 2026: 01:00 UTC is 03:00 at once.
    let march = 1_774_746_000_000;
    assert!(!plan.is_quiet(&berlin, march - 1) && !plan.is_quiet(&berlin, march));
}

/// Terms in which no item has its default.
fn terms() -> Terms {
    let night = QuietSpan { days: 0b001_1111, from_minute: 20 * 60, to_minute: 6 * 60 };
    Terms {
        council: CouncilPart {
            handover_council: false,
            read_receipts: true,
            typing: true,
            last_seen: true,
            statistics: true,
            behaviour_days: 7,
            alarms: Callers { roles: vec![Role::Hr], users: vec![UserId([9; 16])] },
            history_for_members: true,
            later: Vec::new(),
        },
        general: GeneralPart {
            documents: Some(DocumentRule { blocked: vec!["exe".into()], allowed: None }),
            document_bytes: 1 << 20,
            upload_hours: 24,
            device_bytes: Some(1 << 30),
            company_bytes: Some(1 << 40),
            suite_code: Some(3),
            group_version: Some(1),
            at_all: WhoMayCallAll::Owners,
            zone: Some(Zone::berlin()),
            quiet_hours: QuietPlan(vec![night]),
            queue_hours: 48,
            later: Vec::new(),
        },
    }
}

proptest! {
    #[test]
    fn what_is_read_of_any_bytes_is_written_and_read_as_the_same(
        council in proptest::collection::vec(0u8..=255, 0..200),
        rest in proptest::collection::vec(0u8..=255, 0..200),
    ) {
        let read = PolicyDocument { council: Bytes(council), rest: Bytes(rest) }.terms();
        let written = PolicyDocument::of(&read);
        prop_assert_eq!(written.faults(), vec![]);
        prop_assert_eq!(written.terms(), read);
    }

    #[test]
    fn quiet_hours_end_when_it_is_quiet_no_more(
        spans in proptest::collection::vec((1u64..128, 0u64..1_440, 0u64..=1_440), 0..4),
        t_ms in 0u64..4_102_444_800_000,
    ) {
        let span = |(days, from_minute, to_minute)| QuietSpan { days, from_minute, to_minute };
        let plan = QuietPlan(spans.into_iter().map(span).collect());
        let zone = Zone::berlin();
        match plan.ends(&zone, t_ms) {
            Some(end) => {
                prop_assert!(plan.is_quiet(&zone, t_ms) && plan.is_quiet(&zone, end - 1));
                prop_assert!(!plan.is_quiet(&zone, end));
            }
            None => prop_assert!(!plan.is_quiet(&zone, t_ms) || plan.is_quiet(&zone, t_ms + 7 * 24 * HOUR)),
        }
    }
}
