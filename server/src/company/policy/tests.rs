use std::path::Path;

use hauspost_protocol::company::body::Role;
use hauspost_protocol::company::policy::{
    Callers, CouncilPart, DocumentRule, GeneralPart, QuietPlan, QuietSpan, WhoMayCallAll, Zone,
};
use hauspost_protocol::ids::UserId;
use hauspost_protocol::wire::Person;

use super::file::{FileError, parse, template};
use super::words::{changes, settings};
use super::*;

const ANNA: UserId = UserId([0xa; 16]);

fn people() -> Vec<Person> {
    vec![Person { user: ANNA, handle: "anna".into(), name: Some("Anna Berg".into()) }]
}

fn name_of(user: UserId) -> String {
    user.to_string()
}

/// Terms in which no item has its default.
fn terms() -> Terms {
    let night = QuietSpan { days: 0b001_1111, from_minute: 20 * 60, to_minute: 6 * 60 };
    let sunday = QuietSpan { days: 0b100_0000, from_minute: 0, to_minute: 24 * 60 };
    Terms {
        council: CouncilPart {
            handover_council: false,
            read_receipts: true,
            typing: true,
            last_seen: true,
            statistics: true,
            behaviour_days: 7,
            alarms: Callers { roles: vec![Role::Hr], users: vec![ANNA, UserId([9; 16])] },
            history_for_members: true,
            later: Vec::new(),
        },
        general: GeneralPart {
            documents: Some(DocumentRule {
                blocked: vec!["exe".into()],
                allowed: Some(vec!["pdf".into(), "an \"odd\" \\ one\u{7}".into()]),
            }),
            document_bytes: 5 << 20,
            upload_hours: 24,
            device_bytes: Some(1 << 30),
            company_bytes: Some(1_000_001),
            suite_code: Some(3),
            group_version: Some(1),
            at_all: WhoMayCallAll::Owners,
            zone: Some(Zone::berlin()),
            quiet_hours: QuietPlan(vec![night, sunday]),
            queue_hours: 48,
            later: Vec::new(),
        },
    }
}

fn read(text: &str) -> Result<Terms, FileError> {
    parse(text, &people(), Path::new("/nowhere"))
}

#[test]
fn a_policy_comes_back_from_its_file_and_an_empty_file_is_the_default() {
    for terms in [terms(), Terms::default()] {
        let text = template(&terms, Some(2), &people());
        assert_eq!(read(&text).unwrap(), terms, "{text}");
    }
    assert_eq!(read("").unwrap(), Terms::default());
    assert!(template(&terms(), None, &people()).contains("\"anna\""));
}

#[test]
fn a_file_with_a_word_that_no_policy_has_or_a_wrong_value_is_refused_and_the_line_is_named() {
    for (text, named) in [
        ("[council]\nread_receipt = true", "read_receipt"),
        ("[council]\ntyping = 1", "typing"),
        ("[council.alarms]\nroles = [\"scim\"]", "council.alarms.roles"),
        ("[council.alarms]\npeople = [\"ben\"]", "ben"),
        ("[documents]\nlargest = \"2 GB\"", "documents.largest"),
        ("[documents]\nlargest = \"99999999999 TiB\"", "documents.largest"),
        ("[documents]\ndevice_quota = -1", "device_quota"),
        ("[conversations]\nat_all = \"some\"", "conversations.at_all"),
        ("[conversations]\nsuite = \"none\"", "conversations.suite"),
        ("[time]\nzone = \"Europe/Berlin\"", "Europe/Berlin"),
        ("[time]\nzone = \"../../etc/passwd\"", "passwd"),
        ("[time]\nzone_rule = \"UTC0\"", "time.zone_rule"),
        ("[time]\nzone = \"X\"\nzone_rule = \"no rule\"", "time.zone_rule"),
        ("[[time.quiet]]\ndays = [\"mo\"]\nfrom = \"20:00\"\nto = \"06:00\"", "time.quiet.days"),
        ("[[time.quiet]]\ndays = []\nfrom = \"20:00\"\nto = \"06:00\"", "time.quiet.days"),
        ("[[time.quiet]]\ndays = [\"mon\"]\nfrom = \"24:00\"\nto = \"06:00\"", "time.quiet.from"),
        ("[[time.quiet]]\ndays = [\"mon\"]\nfrom = \"20:00\"\nto = \"24:01\"", "time.quiet.to"),
        ("[[time.quiet]]\ndays = [\"mon\"]\nfrom = \"20:60\"\nto = \"06:00\"", "time.quiet.from"),
        ("[[time.quiet]]\ndays = [\"mon\"]\nfrom = \"8:00\"\nto = \"+9:00\"", "time.quiet.from"),
        ("[council\n", "TOML"),
    ] {
        let error = read(text).expect_err(text).to_string();
        assert!(error.contains(named), "{text}: {error}");
    }
    assert!(matches!(read(&"#".repeat(1024 * 1024 + 1)), Err(FileError::TooLong)));
}

#[test]
fn attacks_44_what_a_file_holds_reaches_no_terminal_as_it_is() {
    let error = read("[conversations]\nat_all = \"\\u001b[2Jnobody\"").unwrap_err().to_string();
    assert!(!error.contains('\u{1b}'), "{error:?}");
    let mut terms = terms();
    let escape = "\u{1b}[2K\r".to_owned();
    terms.general.documents =
        Some(DocumentRule { blocked: vec![escape.clone()], allowed: Some(vec![escape.clone()]) });
    for setting in settings(&terms, &|_| escape.clone()) {
        assert!(!setting.value.contains(['\u{1b}', '\r']), "{}: {:?}", setting.key, setting.value);
    }
}

#[test]
fn a_zone_has_the_rule_of_this_machines_time_zone_data() {
    let zones = tempfile::tempdir().unwrap();
    std::fs::create_dir(zones.path().join("Europe")).unwrap();
    let file = b"TZif2 and then transitions\nCET-1CEST,M3.5.0,M10.5.0/3\n";
    std::fs::write(zones.path().join("Europe/Berlin"), file).unwrap();
    let text = "[time]\nzone = \"Europe/Berlin\"";
    let terms = parse(text, &people(), zones.path()).unwrap();
    assert_eq!(terms.general.zone, Some(Zone::berlin()));

    // Beside the folder, or too large to be one, it is none.
    std::fs::write(zones.path().join("Beside"), file).unwrap();
    let mut large = file.to_vec();
    large.splice(5..5, std::iter::repeat_n(b' ', 64 * 1024));
    std::fs::write(zones.path().join("Europe/Large"), large).unwrap();
    for (name, folder) in [("../Beside", "Europe"), ("Europe/Large", "")] {
        let text = format!("[time]\nzone = \"{name}\"");
        let read = parse(&text, &people(), &zones.path().join(folder));
        assert!(matches!(read, Err(FileError::NoZone(_))), "{name}");
    }
}

#[test]
fn every_setting_that_differs_is_shown_with_its_value_before_and_after() {
    let changed = changes(&Terms::default(), &terms(), &name_of);
    let all = settings(&terms(), &name_of);
    assert!(changed.iter().map(|change| &change.now).eq(all.iter()));
    assert_eq!(
        changed.iter().filter(|change| change.now.council).count(),
        CouncilPart::ITEMS.len()
    );
    assert_eq!(all.len(), CouncilPart::ITEMS.len() + GeneralPart::ITEMS.len());
    assert!(changes(&terms(), &terms(), &name_of).is_empty());
    let receipts = &changed[1];
    assert_eq!((receipts.was.as_str(), receipts.now.value.as_str()), ("off", "on"));
    assert!(receipts.now.means.starts_with("Colleagues see"), "{}", receipts.now.means);
    let without = settings(&Terms::default(), &name_of);
    assert!(without[1].means.starts_with("Nobody sees"), "{}", without[1].means);
}

mod company {
    use hauspost_protocol::company::body::{CompanyGenesis, PolicyEntry, RoleEntry, company_pin};
    use hauspost_protocol::company::entry::company_entry;
    use hauspost_protocol::crypto::{Secret, SigningKey};
    use hauspost_protocol::encoding::Any;
    use hauspost_protocol::entry::{Entry, Payload};
    use hauspost_protocol::ids::Seq;

    use super::*;

    const COMPANY: CompanyId = CompanyId([0xc; 16]);

    struct Founded {
        company: Company,
    }

    fn key(number: u8) -> SigningKey {
        SigningKey::from_seed(Secret::new([number; 32]))
    }

    impl Founded {
        /// Root 1, admin 2, HR 3, council 4.
        fn new() -> Self {
            let mut founded = Self { company: Company::new(company_pin(&key(1).public())) };
            let genesis = CompanyGenesis { company: COMPANY, root: key(1).public() };
            founded.append(genesis.into(), &[1]);
            for (number, role) in [(2, Role::Admin), (3, Role::Hr), (4, Role::Council)] {
                let entry = RoleEntry {
                    seen: None,
                    key: key(number).public(),
                    history_key: None,
                    user: None,
                    role,
                    active: true,
                };
                founded.append(entry.into(), &[1]);
            }
            founded
        }

        fn append(&mut self, body: CompanyBody, signers: &[u8]) {
            let keys: Vec<_> = signers.iter().map(|number| key(*number)).collect();
            let (head, payload) = company_entry(COMPANY, body, &keys.iter().collect::<Vec<_>>());
            self.take(head, payload);
        }

        fn take(&mut self, head: Bytes, payload: Bytes) {
            let seq = self.company.size();
            let payload = Payload::Kept(payload);
            let entry = Entry { head, payload, seq: Seq(seq), t_ms: 1, co: seq };
            assert_eq!(self.company.apply(&entry).unwrap().finding(), None);
        }

        fn policy(&mut self, document: PolicyDocument) {
            let version = self.company.now().policy().map_or(1, |policy| policy.version + 1);
            let document = Bytes(encode(&document));
            let entry = PolicyEntry { seen: self.company.newest(), version, document };
            self.append(entry.into(), &[2, 3, 4]);
        }
    }

    #[test]
    fn a_version_is_made_signed_by_each_and_obeyed() {
        let mut founded = Founded::new();
        let mut approval = next(&founded.company, COMPANY, terms()).unwrap();
        let requested = Requested::read(&approval, &founded.company).unwrap();
        assert_eq!((requested.version, requested.needs_council), (1, true));
        assert_eq!(requested.terms, terms());
        for number in [2, 3] {
            approval.sign(&key(number));
            assert!(approval.check(&founded.company, 1).is_err(), "the council has not signed");
        }
        approval.sign(&key(4));
        approval.check(&founded.company, 1).unwrap();
        let (head, payload) = approval.entry();
        founded.take(head, payload);
        assert_eq!(*founded.company.now().terms(), terms());
        let again = next(&founded.company, COMPANY, terms());
        assert!(matches!(again, Err(PolicyError::Unchanged)));
        let document = founded.company.now().policy().unwrap().document.clone();
        let fingerprints = Fingerprints::of(&document);
        let council = sha256(&PolicyDocument::of(&terms()).council);
        assert_eq!(fingerprints, Fingerprints { document: sha256(&document), council });
    }

    #[test]
    fn the_first_version_may_say_what_holds_without_one() {
        assert!(next(&Founded::new().company, COMPANY, Terms::default()).is_ok());
    }

    #[test]
    fn the_council_is_asked_only_when_something_changes_for_it() {
        let mut founded = Founded::new();
        // A council part that says less than this version writes, in other bytes.
        let short = Bytes(encode(&(true,)));
        founded.policy(PolicyDocument { council: short, rest: Bytes(vec![0x80]) });
        let general = GeneralPart { queue_hours: 5, ..GeneralPart::default() };
        let mut approval =
            next(&founded.company, COMPANY, Terms { general, ..Terms::default() }).unwrap();
        assert!(!Requested::read(&approval, &founded.company).unwrap().needs_council);
        approval.sign(&key(2));
        approval.sign(&key(3));
        approval.check(&founded.company, 1).unwrap();
        // And the other part keeps its bytes when the council's changes.
        let council = CouncilPart { read_receipts: true, ..CouncilPart::default() };
        let approval =
            next(&founded.company, COMPANY, Terms { council, ..Terms::default() }).unwrap();
        let CompanyBody::Policy(entry) = approval.body() else { panic!() };
        let document: PolicyDocument = decode(&entry.document).unwrap();
        assert_eq!(document.rest.0, [0x80]);
    }

    #[test]
    fn what_a_later_version_put_there_is_handed_on() {
        let mut founded = Founded::new();
        let later: Any = decode(&encode(&"later".to_owned())).unwrap();
        let mut before = Terms::default();
        before.general.later.push(later.clone());
        before.council.later.push(later.clone());
        founded.policy(PolicyDocument::of(&before));
        let approval = next(&founded.company, COMPANY, terms()).unwrap();
        let requested = Requested::read(&approval, &founded.company).unwrap();
        assert_eq!(requested.terms.general.later.as_slice(), std::slice::from_ref(&later));
        assert_eq!(requested.terms.council.later, [later]);
    }

    #[test]
    fn attacks_44_a_policy_that_no_words_describe_is_nothing_to_sign() {
        let founded = Founded::new();
        let mut terms = terms();
        terms.council.later.push(decode(&encode(&true)).unwrap());
        let hidden = PolicyDocument::of(&terms);
        let unreadable =
            PolicyDocument { council: Bytes(encode(&(7u64,))), rest: Bytes(vec![0x80]) };
        for document in [hidden, unreadable] {
            let document = Bytes(encode(&document));
            let entry = PolicyEntry { seen: founded.company.newest(), version: 1, document };
            let approval = Approval::new(COMPANY, entry);
            let read = Requested::read(&approval, &founded.company);
            assert!(matches!(read, Err(PolicyError::Unreadable)));
            assert!(approval.describe().is_err());
        }
    }

    #[test]
    fn a_request_for_a_version_that_is_there_already_is_refused() {
        let mut founded = Founded::new();
        let approval = next(&founded.company, COMPANY, terms()).unwrap();
        founded.policy(PolicyDocument::of(&Terms::default()));
        let read = Requested::read(&approval, &founded.company);
        assert!(matches!(read, Err(PolicyError::Version { asked: 1, in_force: 1 })));
    }

    #[test]
    fn what_is_outside_of_its_limits_is_not_made_a_version() {
        let mut terms = terms();
        terms.general.queue_hours = 0;
        let made = next(&Founded::new().company, COMPANY, terms);
        assert!(matches!(made, Err(PolicyError::Fault(fault)) if fault.item == "queue_hours"));
    }
}
