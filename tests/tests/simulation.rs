//! Whole companies under seeds. A seed that fails is printed; `HAUSPOST_SEED=<seed>` plays it alone,
//! with everything that happened, and `make soak SEEDS=<n>` plays many.

use hauspost_core::store::StoreError;
use hauspost_tests::sim::hints::Typing;
use hauspost_tests::sim::world::World;
use hauspost_tests::sim::{Course, Event, Harm, Plan, chaos, check, run};

const SMALL: Plan = Plan { phones: 2, steps: 60, harm: Harm::Network, events: &[] };
const LARGE: Plan = Plan { phones: 4, steps: 120, harm: Harm::All, events: &[] };
const ALL: [Event; 12] = [
    Event::Device,
    Event::Restore,
    Event::Bomb,
    Event::LockedOut,
    Event::Talk,
    Event::Own,
    Event::Rooms,
    Event::Hints,
    Event::Several,
    Event::Handover,
    Event::Insider,
    Event::Suite,
];

fn play(seed: u64, plan: Plan) -> Course {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime of one thread");
    runtime.block_on(run(seed, plan))
}

fn play_all(seeds: impl Iterator<Item = u64>, plan: Plan) -> Typing {
    let mut failed = Vec::new();
    let (mut sent, mut records, mut typing) = (0, 0, Typing::default());
    for seed in seeds {
        let course = play(seed, plan);
        sent += course.sent;
        records += course.records;
        typing.add(course.typing);
        if !course.broken.is_empty() {
            failed.push(format!("seed {seed} of {plan:?}:\n  {}", course.broken.join("\n  ")));
        }
    }
    assert!(failed.is_empty(), "{} seeds failed\n{}", failed.len(), failed.join("\n"));
    assert!(sent > 0 && records > 0, "something was said");
    typing
}

#[test]
fn a_company_in_fair_weather_keeps_every_promise() {
    play_all(0..8, Plan { harm: Harm::None, ..SMALL });
}

#[test]
fn a_network_that_loses_doubles_and_delays_breaks_no_promise() {
    play_all(0..20, SMALL);
}

#[test]
fn phones_killed_between_any_two_writes_lose_and_double_nothing() {
    play_all(100..120, Plan { phones: 3, steps: 80, harm: Harm::Kills, events: &[] });
}

#[test]
fn a_company_in_which_everything_goes_wrong_keeps_every_promise() {
    play_all(200..212, LARGE);
}

#[test]
fn a_person_s_further_device_enters_every_conversation_and_misses_nothing() {
    play_all(300..306, Plan { phones: 3, steps: 80, events: &[Event::Device], ..LARGE });
}

#[test]
fn a_phone_put_back_to_a_backup_sends_nothing_twice_and_loses_nothing_for_others() {
    // In the last two a phone has sent what waits in its backup, and cannot read it any more.
    let seeds = (400..406).chain([2037, 2043]);
    play_all(seeds, Plan { phones: 3, steps: 80, events: &[Event::Restore], ..LARGE });
}

#[test]
fn a_conversation_goes_on_after_commit_bombs_and_says_what_was_missed() {
    play_all(500..512, Plan { steps: 80, events: &[Event::Bomb], ..LARGE });
}

#[test]
fn a_conversation_that_nobody_can_enter_anew_goes_on_in_a_new_group() {
    play_all(600..608, Plan { steps: 80, events: &[Event::LockedOut], ..LARGE });
}

#[test]
fn what_is_said_about_messages_is_the_same_on_all_phones_and_in_the_archive() {
    play_all(700..708, Plan { phones: 3, steps: 100, events: &[Event::Talk], ..LARGE });
}

#[test]
fn all_devices_of_a_person_agree_on_what_he_read_wrote_silenced_and_put_away() {
    let events = &[Event::Device, Event::Own];
    play_all(800..808, Plan { phones: 3, steps: 100, events, ..LARGE });
}

#[test]
fn who_is_asked_to_confirm_and_who_has_is_the_same_on_all_phones_and_in_the_archive() {
    play_all(900..908, Plan { phones: 3, steps: 100, events: &[Event::Rooms], ..LARGE });
}

#[test]
fn who_types_and_who_is_there_is_shown_of_those_who_are_and_disturbs_nothing() {
    let plan = Plan { phones: 3, steps: 100, events: &[Event::Hints], ..LARGE };
    let typing = play_all(1000..1008, plan);
    assert!(typing.in_pairs > 0 && typing.in_rooms > 0, "{typing:?}");
}

#[test]
fn one_announcement_in_several_rooms_is_new_found_and_due_once_and_the_same_in_all_of_them() {
    play_all(1100..1108, Plan { phones: 3, steps: 100, events: &[Event::Several], ..LARGE });
    let events = &[Event::Several, Event::Device, Event::Own];
    play_all(1108..1112, Plan { phones: 3, steps: 100, events, ..LARGE });
    // In this one a device has a leaf, and is put out before it gets the keys.
    let events = &[Event::Device, Event::Own, Event::Several];
    play_all([6008].into_iter(), Plan { events, ..LARGE });
}

#[test]
fn a_successor_reads_what_was_handed_over_to_him_and_nothing_else() {
    // In the last one a phone takes in a conversation and its new group at once.
    let seeds = (1200..1205).chain([3]);
    play_all(seeds, Plan { phones: 4, steps: 100, events: &[Event::Handover], ..LARGE });
    // In these a grant comes when its handover has ended, and a wrong clock puts off what is due.
    play_all([5000, 5011, 5015].into_iter(), Plan { events: &[Event::Handover], ..LARGE });
    let events = &[Event::Handover, Event::Device, Event::Talk];
    play_all(1208..1211, Plan { phones: 4, steps: 100, events, ..LARGE });
}

#[test]
fn a_successor_who_comes_goes_and_comes_again_reads_what_was_handed_over_to_him_all_the_same() {
    play_all(1300..1304, Plan { phones: 4, steps: 100, events: &[Event::Insider], ..LARGE });
    // In this one a successor gives on what he was given together with what he had himself.
    let events = &[Event::Handover, Event::Insider];
    play_all([20002].into_iter(), Plan { phones: 4, steps: 100, events, ..LARGE });
    let events = &[Event::Insider, Event::Handover, Event::Device, Event::Several];
    play_all(1304..1307, Plan { phones: 4, steps: 100, events, ..LARGE });
}

#[test]
fn groups_move_to_the_suite_that_the_policy_names_and_lose_and_double_nothing() {
    play_all(1400..1408, Plan { phones: 3, steps: 80, events: &[Event::Suite], ..LARGE });
    // In this one the only device that may move a group has made it anew on that day already.
    play_all([8054].into_iter(), Plan { events: &[Event::Suite], ..LARGE });
    let events = &[Event::Suite, Event::Device, Event::Talk, Event::Several];
    play_all(1408..1412, Plan { events, ..LARGE });
}

#[test]
fn one_seed_is_one_course() {
    let plan = Plan { events: &ALL, ..LARGE };
    let (first, second) = (play(7, plan), play(7, plan));
    for (one, other) in first.lines.iter().zip(&second.lines) {
        assert_eq!(one, other);
    }
    assert_eq!(first.digest, second.digest);
    assert_ne!(first.digest, play(8, plan).digest);
}

/// A check that cannot fail is none: each of these is done to one phone behind the core's back.
#[test]
fn what_is_lost_changed_moved_or_alarming_on_a_phone_is_noticed() {
    let first = "(SELECT min(key) FROM message WHERE kind = 0 AND state IN (0, 2, 3))";
    for damage in [
        format!("DELETE FROM message WHERE key = {first}"),
        format!("UPDATE message SET text = 'Sonst etwas' WHERE key = {first}"),
        format!("UPDATE message SET key = key + 1000 WHERE key = {first}"),
        format!("UPDATE message SET missing = 1 WHERE key = {first}"),
        "UPDATE message SET state = 1 WHERE state IN (2, 3)".into(),
        "UPDATE entry SET hash = zeroblob(32) WHERE key = (SELECT min(key) FROM entry)".into(),
        "INSERT INTO alarm (code, t_ms) VALUES (0, 0)".into(),
        "UPDATE log SET state = 3".into(),
        format!("UPDATE message SET fate = 2, text = NULL WHERE key = {first}"),
        format!("UPDATE message SET message_id = zeroblob(32) WHERE key = {first}"),
    ] {
        assert!(!damaged(damage.clone()).is_empty(), "nobody noticed: {damage}");
    }
}

fn damaged(damage: String) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime of one thread").block_on(async {
        let mut world = World::found(3, Plan { harm: Harm::None, ..SMALL }).await;
        for _ in 0..40 {
            chaos::step(&mut world).await;
        }
        assert_eq!(world.heal().await, Vec::<String>::new());
        let account = world.wire.account(0).unwrap();
        let done = account.store().write(move |tx| Ok::<_, StoreError>(tx.execute(&damage, [])?));
        assert!(done.await.unwrap() > 0, "there is something to damage");
        check::all(&mut world).await.0
    })
}

/// What `HAUSPOST_EVENTS` names, a bit for each.
fn events(named: u64) -> &'static [Event] {
    let named = ALL.into_iter().enumerate().filter(|(bit, _)| named >> bit & 1 == 1);
    Vec::leak(named.map(|(_, event)| event).collect())
}

/// `HAUSPOST_SEEDS=<n>` plays so many more courses, from `HAUSPOST_FROM` on; see `make soak`.
#[test]
fn as_many_companies_as_hauspost_seeds_says_keep_every_promise() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let Some(count) = number("HAUSPOST_SEEDS") else { return };
    let from = number("HAUSPOST_FROM").unwrap_or(1_000);
    let events = events(number("HAUSPOST_EVENTS").unwrap_or(u64::MAX));
    let (phones, steps) = (number("HAUSPOST_PHONES"), number("HAUSPOST_STEPS"));
    let plan = Plan {
        phones: phones.map_or(LARGE.phones, |phones| phones as usize),
        steps: steps.map_or(LARGE.steps, |steps| steps as usize),
        events,
        ..LARGE
    };
    play_all(from..from + count, plan);
}

/// `HAUSPOST_SEED=<seed>` replays one course and shows it with `--nocapture`; `HAUSPOST_HARM` is 0 to
/// 3, `HAUSPOST_PHONES` and `HAUSPOST_STEPS` are how many, `HAUSPOST_EVENTS` has a bit for each event.
#[test]
fn the_seed_named_by_hauspost_seed_keeps_every_promise() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let Some(seed) = number("HAUSPOST_SEED") else { return };
    let harms = [Harm::None, Harm::Network, Harm::Kills, Harm::All];
    let plan = Plan {
        phones: number("HAUSPOST_PHONES").unwrap_or(4) as usize,
        steps: number("HAUSPOST_STEPS").unwrap_or(120) as usize,
        harm: harms[number("HAUSPOST_HARM").unwrap_or(3).min(3) as usize],
        events: events(number("HAUSPOST_EVENTS").unwrap_or(0)),
    };
    let course = play(seed, plan);
    println!("{}", course.lines.join("\n"));
    println!("{} texts were promised, the archive has {} records", course.sent, course.records);
    assert!(course.broken.is_empty(), "{}", course.broken.join("\n"));
}
