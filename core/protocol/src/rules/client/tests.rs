use super::*;
use crate::authorise::testing::{DAY, LOG, Room, START, TestCompany};
use crate::body::LogType;
use crate::encoding::{Bytes, encode};
use crate::entry::{Payload, Seen, Slot};
use crate::ids::{Epoch, Gen, MessageId};
use crate::mls::testing::Phone;
use proptest::prelude::*;

fn room(r#type: LogType) -> Room {
    let (mut anna, mut ben) = (Phone::new(1, 1), Phone::new(2, 2));
    Room::create(r#type, &mut anna, &mut [&mut ben])
}

fn entry(seq: u64, kind: Kind) -> (Entry, Head) {
    let head = Head::plain(kind, LOG, Gen(0), Epoch(1));
    let payload = Payload::Kept(Bytes(vec![seq as u8]));
    let entry = Entry { head: encode(&head).into(), payload, seq: Seq(seq), t_ms: seq, co: seq };
    (entry, head)
}

/// A chain after entries 0 … 2.
fn chain() -> Chain {
    let mut chain = Chain::begin(LOG);
    for seq in 0..3 {
        let (entry, head) = entry(seq, Kind::Invite);
        chain = chain.step(&entry, &head, 9, |_| false).unwrap().chain;
    }
    chain
}

#[test]
fn a_chain_goes_on_and_each_rule_stops_the_entry_that_breaks_it() {
    type Break = fn(&mut Entry, &mut Head, &mut u64, &mut bool);
    let table: [(&str, Break, Option<ChainFault>); 9] = [
        ("nothing", |_, _, _, _| {}, None),
        ("log", |_, h, _, _| h.log = LogId([9; 16]), Some(ChainFault::OtherLog)),
        ("left out", |e, _, _, _| e.seq = Seq(4), Some(ChainFault::Number(Seq(3)))),
        ("again", |e, _, _, _| e.seq = Seq(2), Some(ChainFault::Number(Seq(3)))),
        ("time back", |e, _, _, _| e.t_ms = 1, Some(ChainFault::WentBack)),
        ("company back", |e, _, _, _| e.co = 1, Some(ChainFault::WentBack)),
        ("company ahead", |_, _, size, _| *size = 2, Some(ChainFault::CompanyAhead(3))),
        ("repeated", |_, _, _, known| *known = true, Some(ChainFault::Repeated)),
        (
            "a record's core is not looked up",
            |_, h, _, known| {
                h.kind = Kind::Record;
                *known = true;
            },
            None,
        ),
    ];
    for (name, broken, expected) in table {
        let (mut entry, mut head) = entry(3, Kind::Invite);
        let (mut size, mut known) = (9, false);
        broken(&mut entry, &mut head, &mut size, &mut known);
        assert_eq!(chain().step(&entry, &head, size, |_| known).err(), expected, "{name}");
    }
}

#[test]
fn a_changed_entry_gives_another_hash_and_is_seen_as_a_fork() {
    let (good, head) = entry(3, Kind::Invite);
    let good = chain().step(&good, &head, 9, |_| false).unwrap().chain.hash;
    let (mut bad, head) = entry(3, Kind::Invite);
    bad.payload = Payload::Kept(Bytes(vec![99]));
    let bad = chain().step(&bad, &head, 9, |_| false).unwrap().chain.hash;
    assert_eq!(same_history(good, good), Ok(()));
    assert_eq!(same_history(good, bad), Err(ChainFault::Fork));
}

fn record_head() -> Head {
    Head {
        slot: Some(Slot { leaf: LeafIndex(1), index: RecordIndex(4), cap: Seq(2) }),
        ..Head::plain(Kind::Record, LOG, Gen(0), Epoch(1))
    }
}

#[test]
fn a_slot_is_right_and_each_rule_refuses_the_one_that_breaks_it() {
    let room = room(LogType::Group);
    let capsule = Some(room.conversation.capsules[0].digest);
    type Break = fn(&mut Head, &mut SlotFacts<'_>, &mut Conversation, &mut TestCompany);
    let table: [(&str, Break, Option<SlotFault>, bool); 11] = [
        ("nothing", |_, _, _, _| {}, None, true),
        ("no slot", |h, _, _, _| h.slot = None, Some(SlotFault::Leaf), false),
        ("epoch", |h, _, _, _| h.epoch = Epoch(2), Some(SlotFault::Epoch), false),
        ("ended", |_, _, c, _| c.end_epoch(), Some(SlotFault::Epoch), false),
        (
            "leaf",
            |h, _, _, _| h.slot.as_mut().unwrap().leaf = LeafIndex(7),
            Some(SlotFault::Leaf),
            false,
        ),
        (
            "index",
            |_, f, _, _| f.expected = RecordIndex(3),
            Some(SlotFault::Index(RecordIndex(3))),
            false,
        ),
        ("revoked", |_, f, _, _| f.revoked = &[LeafIndex(0)], Some(SlotFault::Revoked), true),
        (
            "another's capsule",
            |_, f, _, _| f.capsule = Some(Digest([1; 32])),
            Some(SlotFault::Capsule),
            true,
        ),
        ("a capsule that only members can judge", |_, f, _, _| f.capsule = None, None, true),
        (
            "no capsule",
            |h, _, _, _| h.slot.as_mut().unwrap().cap = Seq(1),
            Some(SlotFault::Capsule),
            true,
        ),
        ("old keys", |_, _, _, c| *c = c.rekeyed(START), Some(SlotFault::ArchiveKeys), true),
    ];
    for (name, broken, expected, uses_slot) in table {
        let mut head = record_head();
        let mut facts = SlotFacts { expected: RecordIndex(4), capsule, revoked: &[] };
        let (mut conversation, mut company) = (room.conversation.clone(), room.company.clone());
        broken(&mut head, &mut facts, &mut conversation, &mut company);
        let verdict = record_slot(&head, START, &conversation, &company, &facts);
        assert_eq!(verdict.err(), expected, "{name}");
        assert_eq!(verdict.map_or_else(SlotFault::uses_slot, |_| true), uses_slot, "{name}");
    }
}

#[test]
fn attacks_15_a_record_after_a_revocation_is_not_believed_whatever_the_server_says() {
    let room = room(LogType::Group);
    let capsule = Some(room.conversation.capsules[0].digest);
    let judge = |company: &TestCompany| {
        let revoked = room.conversation.revoked(company);
        let facts = SlotFacts { expected: RecordIndex(4), capsule, revoked: &revoked };
        record_slot(&record_head(), START, &room.conversation, company, &facts).err()
    };
    assert_eq!(judge(&room.company), None);
    let revoked = room.company.revoking(&[DeviceId([1; 16])]);
    assert_eq!(judge(&revoked), Some(SlotFault::Revoked));
}

fn statement() -> Statement {
    Statement {
        device: DeviceId([2; 16]),
        t_ms: START,
        dctr: 7,
        seen: Seen { seq: Seq(5), hash: EntryHash([5; 32]) },
        checkpoint: None,
        ptype: PayloadType::Content,
        content: Bytes(b"text".to_vec()),
        files: Vec::new(),
    }
}

#[test]
fn attacks_39_content_fits_its_head_and_each_rule_refuses_the_one_that_breaks_it() {
    type Break = fn(&mut Head, &mut Statement);
    let table: [(&str, Break, Option<ContentFault>); 7] = [
        ("nothing", |_, _| {}, None),
        ("device", |_, s| s.device = DeviceId([1; 16]), Some(ContentFault::Device)),
        ("a contract as transient", |h, _| h.transient = true, Some(ContentFault::Class)),
        (
            "a receipt for ten years",
            |_, s| s.ptype = PayloadType::Receipt,
            Some(ContentFault::Class),
        ),
        (
            "a receipt",
            |h, s| {
                h.transient = true;
                s.ptype = PayloadType::Receipt;
            },
            None,
        ),
        (
            "what was read, for ten years",
            |_, s| s.ptype = PayloadType::OwnState,
            Some(ContentFault::Class),
        ),
        ("files", |h, _| h.blobs = vec![(Digest([1; 32]), 1)], Some(ContentFault::Files)),
    ];
    for (name, broken, expected) in table {
        let (mut head, mut statement) = (record_head(), statement());
        broken(&mut head, &mut statement);
        let verdict = record_content(&head, &statement, DeviceId([2; 16]), true);
        assert_eq!(verdict.err(), expected, "{name}");
    }
}

#[test]
fn attacks_39_what_a_persons_devices_agree_on_hides_nothing_in_other_conversations() {
    for r#type in [LogType::Dm, LogType::Group, LogType::Announce] {
        let verdict = own_state_at_home(PayloadType::OwnState, r#type);
        assert_eq!(verdict, Err(ContentFault::Class));
        assert_eq!(own_state_at_home(PayloadType::Content, r#type), Ok(()));
    }
    assert_eq!(own_state_at_home(PayloadType::OwnState, LogType::SelfNotes), Ok(()));
}

#[test]
fn attacks_42_in_announcements_others_than_owners_only_acknowledge() {
    let room = room(LogType::Announce);
    let judge = |leaf: u32, ptype, content: Vec<u8>| {
        let author = room.conversation.roster.member(LeafIndex(leaf)).unwrap();
        let device = author.device;
        let statement = Statement { device, ptype, content: Bytes(content), ..statement() };
        let head = Head { transient: ptype == PayloadType::Receipt, ..record_head() };
        let may_write = room.conversation.may_write(author.user, &room.company);
        record_content(&head, &statement, device, may_write)
    };
    let refused = Err(ContentFault::Announcement);
    let acknowledge = encode(&Control::Acknowledge(MessageId([1; 32])));
    let redact = encode(&Control::Redact(MessageId([1; 32])));
    assert_eq!(judge(0, PayloadType::Content, b"text".to_vec()), Ok(()));
    assert_eq!(judge(1, PayloadType::Content, b"text".to_vec()), refused);
    assert_eq!(judge(1, PayloadType::Control, acknowledge), Ok(()));
    assert_eq!(judge(1, PayloadType::Control, redact), refused);
    let nothing = crate::content::Choice::default();
    let vote = encode(&Control::Vote(MessageId([1; 32]), nothing));
    let close = encode(&Control::ClosePoll(MessageId([1; 32])));
    assert_eq!(judge(1, PayloadType::Control, vote), Ok(()));
    assert_eq!(judge(1, PayloadType::Control, close), refused);
    assert_eq!(judge(1, PayloadType::Receipt, Vec::new()), Ok(()));
}

const HELD: Option<EntryHash> = Some(EntryHash([5; 32]));

fn place() -> AuthorPlace {
    AuthorPlace { device: DeviceId([2; 16]), next_dctr: 7, seen: Seq(4) }
}

#[test]
fn an_author_keeps_his_order_and_each_rule_refuses_what_breaks_it() {
    let judge = |statement: &Statement, place: Option<&AuthorPlace>, earliest, held| {
        order(statement, Seq(9), place, Seq(earliest), held).map(|order| order.missing)
    };
    let good = statement();
    assert_eq!(judge(&good, Some(&place()), 2, HELD), Ok(0));
    assert_eq!(judge(&good, None, 5, HELD), Ok(0), "the first value seen is taken");
    let later = Statement { dctr: 9, ..statement() };
    assert_eq!(judge(&later, Some(&place()), 2, HELD), Ok(2), "two of his are missing");
    let earlier = Statement { dctr: 6, ..statement() };
    assert_eq!(judge(&earlier, Some(&place()), 2, HELD), Err(OrderFault::Counter));
    assert_eq!(judge(&good, Some(&place()), 6, HELD), Err(OrderFault::SeenRange));
    let future = Statement { seen: Seen { seq: Seq(9), ..good.seen }, ..statement() };
    assert_eq!(judge(&future, Some(&place()), 2, HELD), Err(OrderFault::SeenRange));
    let knows_more = AuthorPlace { seen: Seq(6), ..place() };
    assert_eq!(judge(&good, Some(&knows_more), 2, HELD), Err(OrderFault::SeenBack));
    let other = Some(EntryHash([6; 32]));
    assert_eq!(judge(&good, Some(&place()), 2, other), Err(OrderFault::Fork));
    assert_eq!(judge(&good, Some(&place()), 2, None), Err(OrderFault::Fork));
}

proptest! {
    /// Attacks 7: of any records taken away, no matter how the server chooses them, the reader knows
    /// the number once a later one arrives.
    #[test]
    fn attacks_7_what_the_server_drops_is_counted(kept in proptest::collection::vec(any::<bool>(), 1..40)) {
        let mut place: Option<AuthorPlace> = None;
        let (mut missing, mut first) = (0, None);
        for (dctr, kept) in kept.iter().enumerate() {
            if !kept {
                continue;
            }
            first = first.or(Some(dctr));
            let statement = Statement { dctr: dctr as u64, ..statement() };
            let order = order(&statement, Seq(9), place.as_ref(), Seq(2), HELD).unwrap();
            missing += order.missing;
            place = Some(order.place);
        }
        if let (Some(place), Some(first)) = (place, first) {
            let last = place.next_dctr as usize;
            let dropped = kept[first..last].iter().filter(|kept| !**kept).count();
            prop_assert_eq!(missing as usize, dropped);
        }
    }

    /// A quarantined record that used up its slot counts one, so that the next is in order.
    #[test]
    fn after_a_quarantined_record_the_next_is_in_order(dctr in 0u64..1_000_000) {
        let place = AuthorPlace { next_dctr: dctr, ..place() }.after_quarantine();
        let next = Statement { dctr: dctr + 1, ..statement() };
        let order = order(&next, Seq(9), Some(&place), Seq(2), HELD).unwrap();
        prop_assert_eq!(order.missing, 0);
    }
}

#[test]
fn the_grace_of_an_old_archive_key_is_thirty_days_for_readers_too() {
    let room = room(LogType::Group);
    let capsule = Some(room.conversation.capsules[0].digest);
    let company = room.company.rekeyed(START + 30 * DAY);
    let facts = SlotFacts { expected: RecordIndex(4), capsule, revoked: &[] };
    let judge = |t_ms| record_slot(&record_head(), t_ms, &room.conversation, &company, &facts);
    assert!(judge(START + 30 * DAY - 1).is_ok());
    assert_eq!(judge(START + 30 * DAY).err(), Some(SlotFault::ArchiveKeys));
}
