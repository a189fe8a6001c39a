//! Tests of grants as server and readers judge them, and of records that a grant opens.

use crate::authorise::testing::{DAY, LOG, Room, START, TestCompany, judged, seen};
use crate::authorise::{Judgement, Rule};
use crate::body::{GrantBasis, GrantBody, HistoryRule, InviteOp, LogType, SignedPayload};
use crate::company::body::Scope;
use crate::company::handover::Handover;
use crate::content::Control;
use crate::encoding::{Bytes, FormError, decode, encode};
use crate::entry::{Entry, Head, Kind, Payload, Slot};
use crate::epoch::{Chains, EpochContext, EpochSecret, RecordKey};
use crate::ids::{
    DeviceId, Digest, Epoch, Gen, KeyId, LeafIndex, LogId, RecordIndex, Seq, TimeMs, UserId,
};
use crate::limits;
use crate::mls::testing::Phone;
use crate::record::{self, RecordError};
use crate::rules::change::{self, ChangeFault};
use crate::rules::client::{ContentFault, GrantedFault, UnreadSlot, granted_record};
use crate::rules::form::{self, FormFault, Parsed};
use crate::rules::server::{self, GrantFacts, Session};
use crate::statement::tests::statement;
use crate::statement::{PayloadType, Statement};
use crate::wire::Outcome;

/// Anna with a tablet that has no leaf yet, and Ben.
fn company() -> (Room, [Phone; 3]) {
    let [mut anna, mut ben] = [Phone::new(1, 1), Phone::new(2, 2)];
    let mut room = Room::create(LogType::Group, &mut anna, &mut [&mut ben]);
    let tablet = Phone::new(1, 3);
    room.company.devices.extend(TestCompany::of(&[&tablet]).devices);
    (room, [anna, ben, tablet])
}

fn body(room: &Room, grantee: DeviceId) -> GrantBody {
    GrantBody {
        seen: seen(room.next - 1),
        at: room.company.at(),
        grantee: KeyId(grantee.0),
        basis: GrantBasis::Own,
        ranges: vec![(Seq(0), Seq(1))],
        enc: Bytes(vec![1; 1120]),
        ct: Bytes(vec![2; 48]),
    }
}

fn parse(by: &Phone, blob_size: u64, body: &GrantBody) -> Result<Parsed, FormFault> {
    let blobs = vec![(Digest([7; 32]), blob_size)];
    let head = Head { blobs, ..Head::plain(Kind::Grant, LOG, Gen(0), Epoch(1)) };
    let head = encode(&head);
    form::parse(&head, &encode(&SignedPayload::sign(&by.key, &head, encode(body), by.device)))
}

fn entry(by: &Phone, body: &GrantBody) -> Parsed {
    parse(by, 100, body).unwrap()
}

const READABLE: &[(Seq, Seq)] = &[(Seq(0), Seq(9))];
/// The links of the two ends of what the grants name: in order, and before the handover.
const ENDS: [(TimeMs, u64); 2] = [(START, 10), (START + 50, 12)];
const FACTS: GrantFacts<'_> = GrantFacts {
    readable: READABLE,
    handed: READABLE,
    ends: Some(ENDS),
    missing_blob: None,
    own_blob: true,
};

fn server(room: &Room, by: &Phone, body: &GrantBody, facts: &GrantFacts<'_>) -> Option<Outcome> {
    let session = Session { device: by.device, company: &room.company, t_ms: room.t_ms };
    server::grant(&entry(by, body), &room.conversation, &session, &room.company, facts).err()
}

fn reader(room: &Room, by: &Phone, body: &GrantBody) -> Result<(), ChangeFault> {
    let judgement = judged(&room.company, START);
    change::grant(&entry(by, body), Seq(room.next), &room.conversation, &judgement).map(|_| ())
}

#[test]
fn a_grant_needs_its_ground_and_server_and_readers_agree_on_it() {
    let (room, [anna, ben, tablet]) = company();
    type Break = fn(&mut Room, &mut GrantBody);
    let to_ben = |_: &mut Room, body: &mut GrantBody| body.grantee = KeyId([2; 16]);
    assert_eq!(ben.device, DeviceId([2; 16]), "as the table names him");
    let table: [(&str, Break, Option<Rule>); 13] = [
        ("to the own tablet", |_, _| {}, None),
        ("own, to another's", to_ben, Some(Rule::Grant)),
        ("member", |_, b| (b.grantee, b.basis) = (KeyId([2; 16]), GrantBasis::Member), None),
        ("member, of one's own", |_, b| b.basis = GrantBasis::Member, None),
        (
            "a conversation that gives no past",
            |r, b| {
                r.conversation.genesis.history = HistoryRule::None;
                (b.grantee, b.basis) = (KeyId([2; 16]), GrantBasis::Member);
            },
            Some(Rule::Grant),
        ),
        (
            "the same, where the policy gives it",
            |r, b| {
                r.conversation.genesis.history = HistoryRule::None;
                r.company.gives_past = true;
                (b.grantee, b.basis) = (KeyId([2; 16]), GrantBasis::Member);
            },
            None,
        ),
        ("to oneself", |_, b| b.grantee = KeyId([1; 16]), Some(Rule::Grant)),
        ("to nobody", |_, b| b.grantee = KeyId([9; 16]), Some(Rule::Grant)),
        (
            "a handover that is not there",
            |_, b| b.basis = GrantBasis::Handover(Seq(1)),
            Some(Rule::Grant),
        ),
        ("opening", |_, b| b.basis = GrantBasis::Opening(Seq(1)), Some(Rule::Grant)),
        (
            "to a revoked device",
            |r, b| {
                r.company = r.company.revoking(&[DeviceId([3; 16])]);
                b.at = r.company.at();
            },
            Some(Rule::Grant),
        ),
        (
            "by a revoked device",
            |r, b| {
                r.company = r.company.revoking(&[DeviceId([1; 16])]);
                b.at = r.company.at();
            },
            Some(Rule::Author),
        ),
        ("by another company log", |_, b| b.at.co = 3, Some(Rule::At)),
    ];
    for (name, broken, expected) in table {
        let (mut room, [anna, _, tablet]) = company();
        let mut body = body(&room, tablet.device);
        broken(&mut room, &mut body);
        let fault = expected.map(ChangeFault::Rule);
        assert_eq!(reader(&room, &anna, &body).err(), fault, "{name}");
        let outcome = match expected {
            Some(Rule::At) => Some(Outcome::Behind(room.company.size)),
            expected => expected.map(Outcome::from),
        };
        assert_eq!(server(&room, &anna, &body, &FACTS), outcome, "{name}");
    }
    // Who has no leaf has nothing to give, whoever he is.
    let to_anna = GrantBody { grantee: KeyId(anna.device.0), ..body(&room, anna.device) };
    let refused = Some(Outcome::from(Rule::NotMember));
    assert_eq!(server(&room, &tablet, &to_anna, &FACTS), refused);
}

const BEN: UserId = UserId([2; 16]);
const DORA: UserId = UserId([4; 16]);

/// Ben's past goes to Dora, who is not in the conversation, by entry 15 of the company log.
fn handing_over(scope: Scope) -> (Room, [Phone; 3]) {
    let (mut room, [anna, ben, _]) = company();
    let dora = Phone::new(4, 4);
    room.company.devices.extend(TestCompany::of(&[&dora]).devices);
    room.company.handovers =
        vec![Handover { seq: Seq(15), t_ms: START, from: BEN, to: DORA, scope }];
    (room, [anna, ben, dora])
}

fn to_dora(room: &Room) -> GrantBody {
    GrantBody { basis: GrantBasis::Handover(Seq(15)), ..body(room, DeviceId([4; 16])) }
}

fn of_logs(logs: &[(LogId, u64, Option<u64>)]) -> Scope {
    let logs = logs.iter().map(|(log, from, to)| (*log, Seq(*from), to.map(Seq))).collect();
    Scope { logs, ..Scope::default() }
}

#[test]
fn a_successor_without_a_leaf_is_given_what_a_handover_in_force_names_and_nobody_else_is() {
    type Break = fn(&mut Room, &mut GrantBody);
    let table: [(&str, Break, bool); 10] = [
        ("to the successor", |_, _| {}, true),
        ("to the leaver", |_, b| b.grantee = KeyId([2; 16]), false),
        ("to another member", |_, b| b.grantee = KeyId([3; 16]), false),
        ("by another entry", |_, b| b.basis = GrantBasis::Handover(Seq(14)), false),
        ("by an entry that is still to come", |r, _| r.company.handovers[0].seq = Seq(90), false),
        ("of this log", |r, _| r.company.handovers[0].scope = of_logs(&[(LOG, 0, Some(1))]), true),
        (
            "of more than it names",
            |r, b| {
                r.company.handovers[0].scope = of_logs(&[(LOG, 0, Some(1))]);
                b.ranges = vec![(Seq(0), Seq(2))];
            },
            false,
        ),
        (
            "of another log",
            |r, _| {
                r.company.handovers[0].scope = of_logs(&[(LogId([99; 16]), 0, None)]);
            },
            false,
        ),
        (
            "of a person's own notes",
            |r, _| r.conversation.genesis.r#type = LogType::SelfNotes,
            false,
        ),
        (
            "to a device that was revoked since",
            |r, b| {
                r.company = r.company.revoking(&[DeviceId([4; 16])]);
                b.at = r.company.at();
            },
            false,
        ),
    ];
    for (name, broken, allowed) in table {
        let (mut room, [anna, ..]) = handing_over(Scope::default());
        let mut body = to_dora(&room);
        broken(&mut room, &mut body);
        let expected = if allowed { None } else { Some(ChangeFault::Rule(Rule::Grant)) };
        assert_eq!(reader(&room, &anna, &body).err(), expected, "{name}");
        let refused = if allowed { None } else { Some(Outcome::from(Rule::Grant)) };
        assert_eq!(server(&room, &anna, &body, &FACTS), refused, "{name}");
    }
    let (room, [_, _, dora]) = handing_over(Scope::default());
    let own = GrantBody { basis: GrantBasis::Own, ..to_dora(&room) };
    assert_eq!(reader(&room, &dora, &own), Err(Rule::NotMember.into()), "she gives nothing on");
}

#[test]
fn a_handover_that_ended_between_at_and_link_gives_nothing_any_more() {
    let (room, [anna, ..]) = handing_over(Scope::default());
    let mut after = room.company.clone();
    after.size += 1;
    after.handovers.clear();
    let entry = entry(&anna, &to_dora(&room));
    let judgement = Judgement { at: &room.company, link: &after, t_ms: START };
    let verdict = change::grant(&entry, Seq(9), &room.conversation, &judgement);
    assert_eq!(verdict.err(), Some(Rule::Grant.into()));
}

#[test]
fn the_server_hands_over_only_what_was_said_while_the_leaver_was_there_before_it_and_in_its_period()
{
    let period = Scope { t_from: Some(START), t_to: Some(START + 50), ..Scope::default() };
    let (room, [anna, ..]) = handing_over(period);
    let body = to_dora(&room);
    assert_eq!(server(&room, &anna, &body, &FACTS), None);
    let refused = Some(Outcome::from(Rule::GrantRange));
    let [first, last] = ENDS;
    for ends in [
        None,
        Some([(START - 1, 10), last]),
        Some([first, (START + 51, 12)]),
        Some([first, (START + 50, 16)]),
    ] {
        let facts = GrantFacts { ends, ..FACTS };
        assert_eq!(server(&room, &anna, &body, &facts), refused, "{ends:?}");
    }
    for handed in [&[][..], &[(Seq(1), Seq(9))], &[(Seq(0), Seq(0))]] {
        let facts = GrantFacts { handed, ..FACTS };
        assert_eq!(server(&room, &anna, &body, &facts), refused, "{handed:?}");
    }
    // The stretches of a leaver bind no grant on another ground.
    let own = anna_to_her_tablet(&room);
    let facts = GrantFacts { handed: &[], ends: None, ..FACTS };
    assert_eq!(server(&room, &anna, &own, &facts), None);
}

/// Anna gives her tablet its own past.
fn anna_to_her_tablet(room: &Room) -> GrantBody {
    body(room, DeviceId([3; 16]))
}

#[test]
fn who_left_gives_nothing_and_is_given_nothing() {
    let (mut room, [anna, ben, tablet]) = company();
    room.invites(&ben, InviteOp::Leave, ben.user, room.next - 1).unwrap();
    let member = GrantBody { basis: GrantBasis::Member, ..body(&room, ben.device) };
    assert_eq!(reader(&room, &anna, &member), Err(Rule::Grant.into()));
    let member = GrantBody { basis: GrantBasis::Member, ..body(&room, tablet.device) };
    assert_eq!(reader(&room, &ben, &member), Err(Rule::NotMember.into()));
}

#[test]
fn a_device_that_is_revoked_between_at_and_link_is_given_nothing() {
    let (room, [anna, _, tablet]) = company();
    let body = body(&room, tablet.device);
    let after = room.company.revoking(&[tablet.device]);
    let judgement = Judgement { at: &room.company, link: &after, t_ms: START };
    let verdict = change::grant(&entry(&anna, &body), Seq(9), &room.conversation, &judgement);
    assert_eq!(verdict.err(), Some(Rule::Grant.into()));
    let session = Session { device: anna.device, company: &after, t_ms: START };
    let (entry, conversation) = (entry(&anna, &body), &room.conversation);
    let refused = server::grant(&entry, conversation, &session, &room.company, &FACTS);
    assert_eq!(refused.err(), Some(Outcome::Behind(after.size)));
}

#[test]
fn the_server_lets_nobody_give_what_he_could_not_read_or_call_a_document_a_key_list() {
    let (room, [anna, _, tablet]) = company();
    let body = body(&room, tablet.device);
    for readable in [&[][..], &[(Seq(1), Seq(9))], &[(Seq(0), Seq(0)), (Seq(2), Seq(9))]] {
        let facts = GrantFacts { readable, ..FACTS };
        let refused = Some(Outcome::from(Rule::GrantRange));
        assert_eq!(server(&room, &anna, &body, &facts), refused);
    }
    let root = Digest([7; 32]);
    let facts = GrantFacts { missing_blob: Some(root), ..FACTS };
    assert_eq!(server(&room, &anna, &body, &facts), Some(Outcome::Blob(root)));
    let facts = GrantFacts { own_blob: false, ..FACTS };
    assert_eq!(server(&room, &anna, &body, &facts), Some(Outcome::Policy));
}

#[test]
fn a_grant_names_earlier_entries_in_one_form_and_one_small_blob() {
    let (room, [anna, _, tablet]) = company();
    let base = body(&room, tablet.device);
    let ranges = |ranges: &[(u64, u64)]| {
        let ranges = ranges.iter().map(|(from, to)| (Seq(*from), Seq(*to))).collect();
        parse(&anna, 100, &GrantBody { ranges, ..base.clone() }).err()
    };
    assert_eq!(ranges(&[(0, 1), (2, 2)]), None);
    for wrong in [&[][..], &[(1, 0)], &[(0, 1), (1, 2)]] {
        assert_eq!(ranges(wrong), Some(FormFault::Form(FormError::Malformed)));
    }
    let many: Vec<_> = (0..=limits::RANGES as u64).map(|at| (2 * at, 2 * at)).collect();
    assert_eq!(ranges(&many), Some(FormFault::Form(FormError::TooLarge)));
    let large = parse(&anna, limits::GRANT_BYTES + 1, &base).err();
    assert_eq!(large, Some(FormFault::TooLarge));
    let late = GrantBody { ranges: vec![(Seq(0), Seq(room.next))], ..base.clone() };
    assert_eq!(reader(&room, &anna, &late), Err(ChangeFault::Form));
    let unseen = GrantBody { seen: None, ..base };
    assert_eq!(reader(&room, &anna, &unseen), Err(ChangeFault::Form));
    assert_eq!(server(&room, &anna, &unseen, &FACTS), Some(Outcome::Form));
}

#[test]
fn what_a_device_asks_for_has_the_form_of_a_grants_ranges() {
    let ask = Control::Ask(vec![(Seq(3), Seq(7))]);
    assert_eq!(decode(&encode(&ask)), Ok(ask));
    let none = decode::<Control>(&encode(&Control::Ask(Vec::new())));
    assert_eq!(none, Err(FormError::Malformed));
}

fn keys<const N: usize>(byte: u8) -> [RecordKey; N] {
    let context = EpochContext { log: LOG, r#gen: Gen(0), epoch: Epoch(1), ga: Digest([2; 32]) };
    let mut chains = Chains::new(EpochSecret::from_exporter(&[byte; 32], context));
    std::array::from_fn(|i| chains.take(LeafIndex(1), RecordIndex(i as u32)).unwrap())
}

/// A record of Ben's, under his leaf.
fn record(by: &Phone, key: &RecordKey, statement: &Statement) -> Entry {
    let slot = Slot { leaf: LeafIndex(1), index: RecordIndex(0), cap: Seq(2) };
    let head = Head { slot: Some(slot), ..Head::plain(Kind::Record, LOG, Gen(0), Epoch(1)) };
    let head = encode(&head);
    let payload = record::seal(key, &head, &statement.to_bytes().unwrap(), &by.key);
    let payload = Payload::Kept(Bytes(payload));
    Entry { head: head.into(), payload, seq: Seq(3), t_ms: START + DAY, co: 20 }
}

#[test]
fn attacks_25_a_granted_record_is_believed_only_if_everything_but_the_key_is_the_logs_own() {
    let (room, [anna, ben, _]) = company();
    let [key, other] = keys(9);
    let said = Statement { device: ben.device, ..statement(b"x") };
    let honest = record(&ben, &key, &said);
    let slot = UnreadSlot { core: honest.core(), author: ben.device, may_write: true };
    let open = |entry: &Entry, key: &RecordKey, slot: &UnreadSlot| {
        granted_record(entry, key, slot, &room.company).map(|record| record.into_statement())
    };
    assert_eq!(open(&honest, &key, &slot), Ok(said.clone()));
    // The grantor gives another key.
    assert_eq!(open(&honest, &other, &slot), Err(GrantedFault::Key(RecordError::Sealed)));
    // The server hands out another entry, or keeps the payload.
    let elsewhere = record(&ben, &key, &Statement { dctr: 8, ..said.clone() });
    assert_eq!(open(&elsewhere, &key, &slot), Err(GrantedFault::Entry));
    let mut kept_back = honest.clone();
    let (hash, len) = honest.payload.facts();
    kept_back.payload = Payload::Absent { hash, len };
    assert_eq!(open(&kept_back, &key, &slot), Err(GrantedFault::Entry));
    // What stands in the log was not signed by whom it names, or not by whose leaf it is under.
    let forged = record(&anna, &key, &said);
    let in_log = UnreadSlot { core: forged.core(), ..slot };
    assert_eq!(open(&forged, &key, &in_log), Err(GrantedFault::Record(RecordError::Signature)));
    let annas = record(&anna, &key, &Statement { device: anna.device, ..said.clone() });
    let in_log = UnreadSlot { core: annas.core(), ..slot };
    let fault = GrantedFault::Content(ContentFault::Device);
    assert_eq!(open(&annas, &key, &in_log), Err(fault));
    let unknown = record(&ben, &key, &Statement { device: DeviceId([9; 16]), ..said });
    let in_log = UnreadSlot { core: unknown.core(), ..slot };
    assert_eq!(open(&unknown, &key, &in_log), Err(GrantedFault::Author));
    let announced = UnreadSlot { may_write: false, ..slot };
    let fault = GrantedFault::Content(ContentFault::Announcement);
    assert_eq!(open(&honest, &key, &announced), Err(fault));
}

#[test]
fn who_only_reads_announcements_asks_for_their_past_all_the_same() {
    let (room, [_, ben, _]) = company();
    let [key] = keys(9);
    let content = Bytes(encode(&Control::Ask(vec![(Seq(3), Seq(7))])));
    let ptype = PayloadType::Control;
    let asks = Statement { device: ben.device, ptype, content, ..statement(b"") };
    let entry = record(&ben, &key, &asks);
    let slot = UnreadSlot { core: entry.core(), author: ben.device, may_write: false };
    assert!(granted_record(&entry, &key, &slot, &room.company).is_ok());
}
