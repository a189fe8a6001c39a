//! The archive's promises, on a company with real keys, groups and records.

mod announced;
mod cards;

use hauspost_protocol::archive_key::ShareError;
use hauspost_protocol::company::body::{Scope, history_key_hash};
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::entry::{ArchivedEntry, Payload};
use hauspost_protocol::ids::{EntryHash, LeafIndex, LogId, Seq, UserId};
use hauspost_protocol::key_list::{HalfOpening, OpeningRef, open_halves, seal_halves};
use hauspost_protocol::statement::PayloadType;
use hauspost_protocol::xwing::XWingKey;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::export::Export;
use super::opening::{HALVES, Message, Opening, OpeningError};
use super::reading::{Reading, read};
use super::testing::{World, without_records};
use super::verify::{Examined, Pin, Place, examine};

/// Anna (1) and Ben (2) talk, Cem (3) is removed after he left; two rooms.
struct Talk {
    world: World,
    room: LogId,
    other: LogId,
}

fn talk() -> Talk {
    let mut world = World::founded();
    let (mut anna, mut ben, mut cem) = (world.phone(1), world.phone(2), world.phone(3));
    let mut room = world.room(&mut anna, &mut [&mut ben, &mut cem]);
    world.say(&mut room, &mut anna, 0, "Guten Morgen");
    world.say(&mut room, &mut ben, 1, "Moin, der Lieferschein ist da");
    world.say(&mut room, &mut anna, 0, "Danke");
    world.revoke(cem.device());
    world.update(&mut room, &mut anna, vec![LeafIndex(2)]);
    world.say(&mut room, &mut anna, 0, "Cem ist weg");
    world.say(&mut room, &mut ben, 1, "Schade");
    let mut other = world.room(&mut ben, &mut [&mut anna]);
    world.say(&mut other, &mut ben, 0, "Nur unter uns");
    Talk { world, room: room.log, other: other.log }
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(3)
}

fn look(export: &Export, world: &World) -> Examined {
    examine(export.clone(), Pin::Known(world.company.pin()), None, &mut rng())
}

fn whole(log: LogId) -> Scope {
    Scope { logs: vec![(log, Seq(0), None)], ..Scope::default() }
}

/// The findings of an export with one log changed.
fn findings(
    talk: &mut Talk,
    change: impl FnOnce(&mut Vec<ArchivedEntry>),
) -> Vec<(Option<Seq>, String)> {
    let mut export = talk.world.export(None);
    change(export.logs.get_mut(&talk.room).unwrap());
    let examined = look(&export, &talk.world);
    let in_room = |place: &Place| *place == Place::Log(talk.room);
    assert!(examined.report.findings.iter().all(|finding| in_room(&finding.place)));
    examined.report.findings.into_iter().map(|finding| (finding.seq, finding.what)).collect()
}

#[test]
fn an_honest_export_has_no_finding_and_says_what_it_cannot_check() {
    let mut talk = talk();
    let export = talk.world.export(None);
    let report = look(&export, &talk.world).report;
    assert_eq!(report.findings, []);
    assert_eq!((report.logs, report.checkpoint.is_some()), (3, true));
    assert!(report.unchecked.iter().any(|line| line.contains("6 records")));
    let report = look(&without_records(export), &talk.world).report;
    assert_eq!(report.findings, []);
}

#[test]
fn a_removed_entry_is_named() {
    for at in [1, 2, 3, 4, 7] {
        let found = findings(&mut talk(), |log| drop(log.remove(at)));
        let missing = (Some(Seq(at as u64)), format!("entry {at} is missing"));
        assert!(found.contains(&missing), "{at}: {found:?}");
    }
}

#[test]
fn a_changed_payload_is_named_in_every_kind_of_entry() {
    for at in 0..10 {
        let found = findings(&mut talk(), |log| {
            let Payload::Kept(payload) = &mut log[at].entry.payload else { unreachable!() };
            let middle = payload.len() / 2;
            payload.0[middle] ^= 1;
        });
        assert!(found.iter().any(|(seq, _)| *seq == Some(Seq(at as u64))), "{at}: {found:?}");
    }
}

#[test]
fn swapped_payloads_are_named() {
    let found = findings(&mut talk(), |log| {
        let (one, other) = (log[3].entry.payload.clone(), log[5].entry.payload.clone());
        (log[3].entry.payload, log[5].entry.payload) = (other, one);
    });
    let named: Vec<_> = found.iter().filter_map(|(seq, _)| *seq).collect();
    assert_eq!(named, [Seq(3), Seq(5)], "{found:?}");
}

#[test]
fn reordered_entries_are_named() {
    let found = findings(&mut talk(), |log| log.swap(3, 4));
    assert_eq!(found.len(), 1);
    assert!(found[0].1.contains("reordered"), "{found:?}");
}

#[test]
fn a_cut_tail_is_named() {
    let found = findings(&mut talk(), |log| log.truncate(8));
    assert_eq!(found.len(), 1);
    assert!(found[0].1.contains("cut off"), "{found:?}");
}

#[test]
fn a_forged_link_is_named() {
    let found = findings(&mut talk(), |log| log[4].prev = EntryHash([9; 32]));
    assert_eq!(
        found,
        [(Some(Seq(4)), "entry 4 was changed: it names another hash as the one before it".into())]
    );
}

#[test]
fn a_chain_made_anew_is_caught_by_the_checkpoint_and_by_what_a_signer_had_seen() {
    let found = findings(&mut talk(), |log| {
        log[3].entry.payload = Payload::Kept(Bytes(vec![7; 200]));
        for at in 4..log.len() {
            log[at].prev = log[at - 1].entry.hash(log[at - 1].prev);
        }
    });
    assert!(
        found.iter().any(|(_, what)| what.contains("not the one that the checkpoint covers")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|(seq, what)| *seq == Some(Seq(6)) && what.contains("saw another entry 5")),
        "{found:?}"
    );
}

#[test]
fn a_changed_company_entry_is_named_and_blames_no_conversation() {
    let mut talk = talk();
    let mut export = talk.world.export(None);
    let last = export.company.len() - 1;
    let Payload::Kept(payload) = &mut export.company[last].entry.payload else { unreachable!() };
    payload.0[20] ^= 1;
    let report = look(&export, &talk.world).report;
    assert!(report.findings.iter().all(|finding| finding.place == Place::Company), "{report:?}");
    assert!(
        report.findings.iter().any(|finding| finding.seq == Some(Seq(last as u64))),
        "{report:?}"
    );
}

#[test]
fn another_pin_or_a_checkpoint_of_another_key_is_refused() {
    let mut talk = talk();
    let mut export = talk.world.export(None);
    let other = examine(
        export.clone(),
        Pin::Known(hauspost_protocol::ids::Digest([1; 32])),
        None,
        &mut rng(),
    );
    assert!(!other.report.findings.is_empty());
    export.checkpoint = export.checkpoint.replace("\n1\n", "\n2\n");
    let report = look(&export, &talk.world).report;
    assert!(report.findings.iter().any(|finding| finding.place == Place::Checkpoint), "{report:?}");
    assert_eq!(report.checkpoint, None);
}

#[test]
fn an_older_checkpoint_leaves_the_newer_entries_unchecked_and_an_earlier_export_shows_a_set_back() {
    let mut talk = talk();
    let old = talk.world.export(None);
    let mut revoked = talk.world.phone(4);
    let mut third = talk.world.room(&mut revoked, &mut []);
    talk.world.say(&mut third, &mut revoked, 0, "neu");
    let new = talk.world.export(None);

    let older_checkpoint =
        Export { checkpoint: old.checkpoint.clone(), proofs: old.proofs.clone(), ..new.clone() };
    let report = look(&older_checkpoint, &talk.world).report;
    assert!(report.unchecked.iter().any(|line| line.contains("does not cover")), "{report:?}");

    let pin = Pin::Known(talk.world.company.pin());
    assert_eq!(examine(new.clone(), pin, Some(&old), &mut rng()).report.findings, []);
    let back = examine(old.clone(), pin, Some(&new), &mut rng()).report;
    assert!(back.findings.iter().any(|finding| finding.place == Place::Checkpoint), "{back:?}");
    assert!(back.findings.iter().any(|finding| finding.place == Place::Company), "{back:?}");
}

/// What the two sides need for an opening of this scope.
struct Sides {
    talk: Talk,
    opening: Seq,
    officers: Examined,
    council: Examined,
    export: Export,
}

fn sides(scope: impl FnOnce(&Talk) -> Scope) -> Sides {
    Sides::of(talk(), scope)
}

impl Sides {
    fn of(mut talk: Talk, scope: impl FnOnce(&Talk) -> Scope) -> Self {
        let scope = scope(&talk);
        let opening = talk.world.open(scope);
        let export = talk.world.export(Some(opening));
        let officers = look(&export, &talk.world);
        let council = look(&without_records(export.clone()), &talk.world);
        Self { talk, opening, officers, council, export }
    }

    fn halves(&self, officers: &[&str]) -> Result<Message, OpeningError> {
        let shares: Vec<_> =
            officers.iter().map(|name| self.talk.world.holder(name).share().unwrap()).collect();
        let card = self.talk.world.holder("officer-1").card;
        Opening::new(&self.officers, self.opening)?.halves(&shares, &card, &mut rng())
    }

    fn answer(&self, halves: &Message) -> Result<super::opening::Answer, OpeningError> {
        let holder = self.talk.world.holder("council-2");
        let (history, seed) = (holder.history_key().unwrap(), holder.council_seed().unwrap());
        Opening::new(&self.council, self.opening)?.answer(
            halves,
            &history,
            &seed,
            &holder.card,
            &mut rng(),
        )
    }

    /// The texts that officers read in the end, by log.
    fn texts(&self) -> Vec<(LogId, Vec<String>)> {
        let text = |reading: Reading| {
            assert_eq!(reading.findings, []);
            reading.messages.into_iter().filter_map(|message| message.text).collect()
        };
        self.read().into_iter().map(|(log, reading)| (log, text(reading))).collect()
    }

    /// What officers read in the end, by log.
    fn read(&self) -> Vec<(LogId, Reading)> {
        let answer = self.answer(&self.halves(&["officer-1", "officer-3"]).unwrap()).unwrap();
        assert_eq!(answer.unanswered, []);
        let history = self.talk.world.holder("officer-2").history_key().unwrap();
        let opening = Opening::new(&self.officers, self.opening).unwrap();
        let keys = opening.keys(&answer.message, &history).unwrap();
        let reading = |log: &LogId| read(&self.officers, &self.export.people, *log, &keys[log]);
        keys.keys().map(|log| (*log, reading(log))).collect()
    }
}

#[test]
fn officers_and_council_together_read_the_conversation_of_the_scope_and_no_other() {
    let sides = sides(|talk| whole(talk.room));
    let said = ["Guten Morgen", "Moin, der Lieferschein ist da", "Danke", "Cem ist weg", "Schade"];
    assert_eq!(sides.texts(), [(sides.talk.room, said.map(str::to_owned).to_vec())]);
}

/// Anna's room with Ben, who resets it after her commit `bad_seq`, and what both wrote.
fn reset_talk(bad_seq: u64) -> Talk {
    let mut world = World::founded();
    let (mut anna, mut ben) = (world.phone(1), world.phone(2));
    let mut room = world.room(&mut anna, &mut [&mut ben]);
    world.say(&mut room, &mut anna, 0, "Guten Morgen");
    world.reset(&mut room, &mut ben, Seq(bad_seq), &mut [&mut anna]);
    world.say(&mut room, &mut ben, 0, "Neue Gruppe");
    world.say(&mut room, &mut anna, 1, "Geht wieder");
    Talk { world, room: room.log, other: room.log }
}

#[test]
fn a_conversation_is_verified_and_opened_over_its_generations() {
    let sides = Sides::of(reset_talk(1), |talk| whole(talk.room));
    assert_eq!(sides.officers.report.findings, []);
    let epochs = &sides.officers.logs[&sides.talk.room].replay.epochs;
    let places: Vec<_> = epochs.iter().map(|epoch| (epoch.r#gen.0, epoch.epoch.0)).collect();
    assert_eq!(places, [(0, 1), (1, 1)]);
    let said = ["Guten Morgen", "Neue Gruppe", "Geht wieder"];
    assert_eq!(sides.texts(), [(sides.talk.room, said.map(str::to_owned).to_vec())]);
}

#[test]
fn a_reset_without_ground_or_without_its_commit_is_named() {
    let mut other = reset_talk(2);
    let export = other.world.export(None);
    let found = look(&export, &other.world).report.findings;
    assert_eq!(found[0].seq, Some(Seq(4)));
    assert!(found[0].what.contains("rule 18"), "{found:?}");
    let mut cut = reset_talk(1);
    let found = findings(&mut cut, |entries| {
        entries.remove(5);
    });
    assert!(found.iter().any(|(seq, _)| *seq == Some(Seq(5))), "{found:?}");
    let mut changed = reset_talk(1);
    let found = findings(&mut changed, |entries| {
        let Payload::Kept(bytes) = &mut entries[4].entry.payload else { panic!() };
        let last = bytes.0.len() - 1;
        bytes.0[last] ^= 1;
    });
    assert!(found.iter().any(|(seq, _)| *seq == Some(Seq(4))), "{found:?}");
}

#[test]
fn officers_believe_a_record_by_the_rules_that_phones_believe_it_by() {
    let mut world = World::founded();
    let (mut anna, mut ben) = (world.phone(1), world.phone(2));
    let mut room = world.room(&mut anna, &mut [&mut ben]);
    world.say(&mut room, &mut anna, 0, "Guten Morgen");
    world.claim(&mut room, &mut anna, 0, "als Ben", |claim| claim.device = ben.device());
    world.claim(&mut room, &mut anna, 0, "Quittung", |claim| claim.ptype = PayloadType::Receipt);
    world.claim(&mut room, &mut anna, 0, "vor dem Raum", |claim| claim.seen.seq = Seq(0));
    world.claim(&mut room, &mut anna, 0, "anders", |claim| claim.seen.hash = EntryHash([9; 32]));
    world.claim(&mut room, &mut anna, 0, "noch einmal", |claim| claim.dctr = 0);
    world.say(&mut room, &mut anna, 0, "Danke");
    let (log, other) = (room.log, room.log);
    let sides = Sides::of(Talk { world, room: log, other }, |talk| whole(talk.room));
    let (readings, mut places) = (sides.read(), Vec::new());
    let [(_, reading)] = &readings[..] else { panic!("one conversation") };
    for finding in &reading.findings {
        places.push((finding.seq.unwrap().0, finding.what.as_str()));
    }
    let expected = [
        (4, "the statement names another device than the leaf's"),
        (5, "the record's class does not fit what it is"),
        (6, "the author claims to have seen what he cannot have"),
        (7, "the author saw another history"),
        (8, "the author's counter goes back"),
    ];
    assert_eq!(places, expected);
    let texts: Vec<_> = reading.messages.iter().filter_map(|line| line.text.as_deref()).collect();
    assert_eq!(texts, ["Guten Morgen", "Danke"]);
}

#[test]
fn attacks_48_how_people_behave_is_opened_by_nobody_and_hides_nothing() {
    let mut world = World::founded();
    let (mut anna, mut ben) = (world.phone(1), world.phone(2));
    let mut room = world.room(&mut anna, &mut [&mut ben]);
    world.say(&mut room, &mut anna, 0, "Guten Morgen");
    world.behave(&mut room, &mut ben, 1);
    world.say(&mut room, &mut ben, 1, "Danke");
    let (log, other) = (room.log, room.log);
    let sides = Sides::of(Talk { world, room: log, other }, |talk| whole(talk.room));
    let readings = sides.read();
    let [(_, reading)] = &readings[..] else { panic!("one conversation") };
    let texts: Vec<_> = reading.messages.iter().filter_map(|line| line.text.as_deref()).collect();
    assert_eq!(texts, ["Guten Morgen", "Danke"]);
    assert_eq!((reading.messages.len(), reading.without_key), (2, 1), "it is counted");
    assert!(reading.findings.is_empty(), "{:?}", reading.findings);
}

#[test]
fn keys_are_given_for_the_people_entries_and_times_of_the_scope_only() {
    let by_ben = sides(|talk| Scope { users: vec![UserId([2; 16])], ..whole(talk.room) });
    let said = vec!["Moin, der Lieferschein ist da".to_owned(), "Schade".to_owned()];
    assert_eq!(by_ben.texts(), [(by_ben.talk.room, said)]);

    let third =
        sides(|talk| Scope { logs: vec![(talk.room, Seq(5), Some(Seq(5)))], ..Scope::default() });
    assert_eq!(third.texts(), [(third.talk.room, vec!["Danke".to_owned()])]);

    let everything = sides(|_| Scope::default());
    assert_eq!(everything.texts().len(), 2);
}

#[test]
fn one_officer_alone_the_same_officer_twice_and_a_share_of_another_company_open_nothing() {
    let sides = sides(|talk| whole(talk.room));
    for officers in [&["officer-1"][..], &["officer-1", "officer-1"]] {
        let refused = sides.halves(officers).unwrap_err();
        let too_few =
            matches!(refused, OpeningError::Shares { source: ShareError::TooFew { given: 1 }, .. });
        assert!(too_few, "{refused}");
    }
    let (id, share) = sides.talk.world.holder("officer-1").share().unwrap();
    let foreign =
        hauspost_protocol::archive_key::ArchiveSeed::random(&mut StdRng::seed_from_u64(9));
    let [_, other, _] = foreign.split(&mut rng());
    let card = sides.talk.world.holder("officer-1").card;
    let opening = Opening::new(&sides.officers, sides.opening).unwrap();
    let wrong =
        opening.halves(&[(id, share.clone()), (id, other.clone())], &card, &mut rng()).unwrap_err();
    assert!(
        matches!(wrong, OpeningError::Shares { source: ShareError::Foreign { number: 2 }, .. }),
        "{wrong}"
    );
    let old = opening
        .halves(&[(foreign.id(), share), (foreign.id(), other)], &card, &mut rng())
        .unwrap_err();
    assert!(matches!(old, OpeningError::OldKey { .. }), "{old}");
}

#[test]
fn the_council_refuses_a_capsule_that_lies_outside_of_the_logged_scope() {
    let narrow = sides(|talk| whole(talk.room));
    // The officers claim a wider scope: they make the halves of everything and send them for this opening.
    let wide = sides(|_| Scope::default());
    let council = narrow.talk.world.holder("council-2");
    let history = council.history_key().unwrap();
    let reference = |sides: &Sides| OpeningRef {
        seq: sides.opening,
        hash: sides.officers.company.hash_at(sides.opening.0 + 1).unwrap(),
    };
    let wide_halves = wide.halves(&["officer-1", "officer-2"]).unwrap();
    let own = history_key_hash(&history.public().to_bytes());
    let (_, sealed) = wide_halves.sealed.iter().find(|(to, _)| *to == own).unwrap();
    let halves: Vec<HalfOpening> = open_halves(reference(&wide), sealed, &history).unwrap();
    assert!(halves.iter().any(|half| half.log == wide.talk.other));
    let key = XWingKey::parse(&history.public().to_bytes()).unwrap();
    let sealed = seal_halves(reference(&narrow), halves, &key, &mut rng());
    let message =
        Message { kind: HALVES.into(), opening: narrow.opening, sealed: vec![(own, sealed)] };
    let refused = narrow.answer(&message).unwrap_err();
    assert!(
        matches!(refused, OpeningError::Exceeds { log, .. } if log == narrow.talk.other),
        "{refused}"
    );
}

#[test]
fn a_message_for_another_opening_or_another_holder_opens_nothing() {
    let one = sides(|talk| whole(talk.room));
    let other = sides(|talk| whole(talk.other));
    let halves = other.halves(&["officer-1", "officer-2"]).unwrap();
    assert!(matches!(one.answer(&halves), Err(OpeningError::Message(_))));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("halves.cbor");
    halves.write(&path).unwrap();
    assert!(matches!(Message::read(&path, HALVES, Seq(1)), Err(OpeningError::OtherOpening { .. })));
    assert!(matches!(
        Message::read(&path, "answer", one.opening),
        Err(OpeningError::NotTheMessage { .. })
    ));

    let answer = one.answer(&one.halves(&["officer-1", "officer-2"]).unwrap()).unwrap();
    let council = one.talk.world.holder("council-1").history_key().unwrap();
    let opening = Opening::new(&one.officers, one.opening).unwrap();
    assert!(matches!(opening.keys(&answer.message, &council), Err(OpeningError::NotSealedToUs)));
}

#[test]
fn nothing_is_opened_by_an_export_with_a_finding_or_without_the_opening() {
    let mut sides = sides(|talk| whole(talk.room));
    assert!(matches!(
        Opening::new(&sides.officers, Seq(3)).map(|_| ()),
        Err(OpeningError::NoOpening(Seq(3)))
    ));
    sides.export.logs.get_mut(&sides.talk.room).unwrap().remove(4);
    let damaged = look(&sides.export, &sides.talk.world);
    assert!(matches!(
        Opening::new(&damaged, sides.opening).map(|_| ()),
        Err(OpeningError::Findings(_))
    ));
}

#[test]
fn the_council_sees_no_ciphertext_and_the_officers_message_holds_no_epoch() {
    let sides = sides(|talk| whole(talk.room));
    let council = without_records(sides.export.clone());
    let kept = council.logs.values().flatten().filter(|archived| {
        matches!(archived.entry.payload, Payload::Kept(_))
            && hauspost_protocol::entry::Head::parse(&archived.entry.head).unwrap().slot.is_some()
    });
    assert_eq!(kept.count(), 0);
    let answer = sides.answer(&sides.halves(&["officer-1", "officer-2"]).unwrap()).unwrap();
    assert_eq!(answer.opened.counts, [(sides.talk.room, 5)]);
}
