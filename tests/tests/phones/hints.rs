//! Who is typing, who is there, who was last there: only where the signed policy lets people see it, only to
//! who shows it himself, and nothing that a server, a member or a leaver makes up.

use std::sync::Arc;

use hauspost_core::account::{LastSeen, NewRoom, Presence, Trace};
use hauspost_core::env::seeded::ManualClock;
use hauspost_core::observe::{Change, Observer};
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::{epoch, log, presence};
use hauspost_protocol::body::HistoryRule;
use hauspost_protocol::company::policy::{CouncilPart, Terms};
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::hint::{
    HERE_EVERY_MS, HERE_SHOWN_MS, Hint, LINE_BYTES, Said, SealedHint, TYPING_EVERY_MS,
    TYPING_SHOWN_MS,
};
use hauspost_protocol::ids::{DeviceId, Epoch, Gen, LogId, TimeMs, UserId};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::wire::{HintsRequest, path};
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{PATIENCE, Phone, World, env};

mod shown;

/// The policy that turns both on.
fn with_hints() -> Terms {
    let council = CouncilPart { typing: true, last_seen: true, ..CouncilPart::default() };
    Terms { council, ..Terms::default() }
}

const TYPING: Said = Said { typing: true, here: false, goes: false };
const HERE: Said = Said { typing: false, here: true, goes: false };
const GOES: Said = Said { typing: false, here: false, goes: true };

/// A phone whose clock moves when it is told, behind somebody who may say what he likes to it.
struct Watched {
    phone: Phone,
    clock: Arc<ManualClock>,
    network: Hostile,
}

impl Watched {
    async fn of(world: &mut World, handle: &str) -> Self {
        let network = Hostile::default();
        let clock = Arc::new(ManualClock::at(now_ms()));
        let env = hauspost_core::env::Env { clock: clock.clone(), ..env(network.network()) };
        let (_, invitation) = world.invited(handle).await;
        let phone = world.try_to_enrol(handle, &invitation, env).await.unwrap();
        Self { phone, clock, network }
    }

    fn user(&self) -> UserId {
        self.phone.account.user()
    }

    /// Lets the phone work by itself, until the server has its live stream.
    async fn starts(&self) {
        self.phone.account.start();
        self.network.listens().await;
    }

    async fn presence(&self, log: LogId) -> Presence {
        self.phone.account.presence(log).await.unwrap()
    }

    async fn typing(&self, log: LogId) -> Vec<UserId> {
        self.presence(log).await.typing
    }

    /// Waits until the conversation shows this.
    async fn sees(&self, log: LogId, what: impl Fn(&Presence) -> bool) -> Presence {
        let observer = self.phone.account.observe();
        let seen = async {
            loop {
                let presence = self.presence(log).await;
                if what(&presence) {
                    return presence;
                }
                observer.next().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.expect("seen at all")
    }

    /// Waits until views are told to look at this again.
    async fn is_told(&self, observer: &Observer, of: Change) {
        let told = async { while !observer.next().await.unwrap().contains(&of) {} };
        tokio::time::timeout(PATIENCE, told).await.expect("told at all");
    }

    async fn types(&self, log: LogId) {
        self.phone.account.typing(log);
        self.phone.account.say_hints().await.unwrap();
    }

    async fn comes_to_the_front(&self) {
        self.phone.account.set_in_front(true);
        self.phone.account.say_hints().await.unwrap();
    }

    /// A hint as this phone could send it, in whosever name, sealed for this conversation.
    async fn seals(&self, log: LogId, device: DeviceId, t_ms: TimeMs, said: Said) -> SealedHint {
        let key = self.phone.account.store().read(move |conn| {
            let local = log::local(conn, log)?.unwrap();
            epoch::hint_key(conn, local)
        });
        let (r#gen, epoch, key) = key.await.unwrap().unwrap();
        let account = self.phone.account.store().read(|conn| {
            Ok::<_, StoreError>(hauspost_core::store::rows::account::find(conn)?.unwrap())
        });
        let signing = account.await.unwrap().signing_key;
        Hint { device, t_ms, said }.seal(&key, (log, r#gen, epoch), &signing)
    }

    /// Whether the phone shows that somebody types after the server said this to it. What it hears after it,
    /// from this friend, shows that it has heard it.
    async fn believes(&self, line: &str, friend: &Watched, log: LogId) -> Vec<UserId> {
        self.network.says(line);
        let now_ms = self.phone.env().clock.now_ms();
        let sentinel = friend.seals(log, friend.phone.account.device(), now_ms, TYPING).await;
        self.network.says(&sentinel.to_line());
        let seen = self.sees(log, |shown| shown.typing.contains(&friend.user())).await;
        // The next question begins with nobody typing.
        [self, friend].iter().for_each(|phone| phone.clock.advance(TYPING_SHOWN_MS + 1));
        seen.typing
    }
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis() as u64
}

/// Three phones in a group, two of them in a conversation of their own; all work by themselves.
async fn three(terms: Terms) -> (World, [Watched; 3], LogId, LogId) {
    let mut world = World::found().await;
    world.policy(terms).await;
    let anna = Watched::of(&mut world, "anna").await;
    let ben = Watched::of(&mut world, "ben").await;
    let carla = Watched::of(&mut world, "carla").await;
    let dm = anna.phone.writes_first(&ben.phone, "Guten Morgen").await;
    let group = anna.phone.account.create_group(None, vec![ben.user(), carla.user()]).await;
    let group = group.unwrap();
    anna.phone.account.send_text(group, "Wer kommt?").await.unwrap();
    for phone in [&anna, &ben, &carla, &anna] {
        phone.phone.settle().await;
    }
    for phone in [&anna, &ben, &carla] {
        phone.starts().await;
    }
    (world, [anna, ben, carla], dm, group)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_types_is_shown_to_the_others_until_he_stops_or_sends_it() {
    let (_world, [anna, ben, carla], _, group) = three(with_hints()).await;
    ben.types(group).await;
    anna.sees(group, |shown| shown.typing == [ben.user()]).await;
    carla.types(group).await;
    anna.sees(group, |shown| shown.typing == [ben.user(), carla.user()]).await;
    carla.sees(group, |shown| shown.typing == [ben.user()]).await;
    assert!(ben.typing(group).await.iter().all(|user| *user == carla.user()), "never himself");

    // Six seconds without another hint, by the reader's own clock, and views are told so.
    let observer = anna.phone.account.observe();
    anna.clock.advance(TYPING_SHOWN_MS);
    anna.is_told(&observer, Change::Presence).await;
    assert!(anna.typing(group).await.is_empty());

    // The next key within four seconds says nothing; after that it does, and the message ends it.
    let asked = ben.network.asked(path::HINTS);
    ben.types(group).await;
    assert_eq!(ben.network.asked(path::HINTS), asked);
    ben.clock.advance(TYPING_EVERY_MS);
    ben.types(group).await;
    anna.sees(group, |shown| shown.typing == [ben.user()]).await;
    let observer = anna.phone.account.observe();
    ben.phone.account.send_text(group, "Ich komme").await.unwrap();
    anna.is_told(&observer, Change::Presence).await;
    anna.sees(group, |shown| shown.typing.is_empty()).await;
    anna.phone.hears(group, "Ich komme").await;
    // What he writes next is another message.
    ben.types(group).await;
    anna.sees(group, |shown| shown.typing == [ben.user()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_there_is_shown_in_conversations_of_two_and_when_he_last_was_after_a_restart_too() {
    let (_world, [anna, ben, carla], dm, group) = three(with_hints()).await;
    assert_eq!(ben.presence(dm).await, Presence::default(), "she was not there yet");
    anna.comes_to_the_front().await;
    let came_ms = anna.phone.env().clock.now_ms();
    let seen = ben.sees(dm, |shown| shown.last_seen.is_some()).await.last_seen.unwrap();
    assert!(seen.is_here && seen.t_ms.abs_diff(came_ms) <= HERE_EVERY_MS, "{seen:?}");
    assert_eq!(ben.presence(group).await.last_seen, None);
    assert_eq!(carla.presence(group).await, Presence::default());

    // A minute later she says so again by herself; then she puts the phone away.
    [&anna, &ben].iter().for_each(|phone| phone.clock.advance(HERE_EVERY_MS));
    ben.sees(dm, |shown| shown.last_seen.is_some_and(|next| next.t_ms > seen.t_ms)).await;
    anna.phone.account.suspend().await;
    let gone = ben.sees(dm, |shown| shown.last_seen.is_some_and(|seen| !seen.is_here)).await;
    let left_ms = gone.last_seen.unwrap().t_ms;
    assert!(left_ms > seen.t_ms);

    // Whoever is put away says nothing at all, whatever the app does.
    let asked = anna.network.asked(path::HINTS);
    anna.phone.account.typing(dm);
    anna.phone.account.set_in_front(true);
    anna.clock.advance(10 * HERE_EVERY_MS);
    assert!(anna.phone.account.say_hints().await.is_err());
    assert_eq!(anna.network.asked(path::HINTS), asked);

    let Watched { phone, clock, network } = ben;
    let ben = Watched { phone: phone.restart().await, clock, network };
    let after = ben.presence(dm).await.last_seen;
    assert_eq!(after, Some(LastSeen { t_ms: left_ms, is_here: false }));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_heard_of_any_more_is_not_there_and_views_are_told_so() {
    let (_world, [anna, ben, _], dm, _) = three(with_hints()).await;
    anna.comes_to_the_front().await;
    ben.sees(dm, |shown| shown.last_seen.is_some_and(|seen| seen.is_here)).await;
    let observer = ben.phone.account.observe();
    ben.clock.advance(HERE_SHOWN_MS + 1);
    ben.is_told(&observer, Change::Presence).await;
    assert!(ben.presence(dm).await.last_seen.is_some_and(|seen| !seen.is_here));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_switched_on_later_learns_when_the_other_was_last_there() {
    let (_world, [anna, ben, _], dm, _) = three(with_hints()).await;
    ben.phone.account.suspend().await;
    anna.comes_to_the_front().await;
    // What she types there does not take the place of it.
    anna.types(dm).await;
    anna.phone.account.suspend().await;
    ben.phone.account.resume().await.unwrap();
    ben.phone.account.start();
    let seen = ben.sees(dm, |shown| shown.last_seen.is_some()).await.last_seen.unwrap();
    assert!(!seen.is_here, "she has gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_said_in_its_order_and_who_is_put_away_has_said_it_all() {
    let (_world, [anna, ben, _], dm, _) = three(with_hints()).await;
    ben.phone.account.suspend().await;
    // That she is there is under way for long, and nothing overtakes it.
    let held = anna.network.holds(path::HINTS);
    anna.phone.account.set_in_front(true);
    held.came().await;
    let said = anna.phone.account.say_hints();
    let put_away = anna.phone.account.suspend();
    tokio::pin!(said, put_away);
    assert!(futures_util::poll!(&mut said).is_pending());
    assert!(futures_util::poll!(&mut put_away).is_pending());
    held.release();
    let (said, ()) = tokio::join!(said, put_away);
    said.unwrap();
    ben.phone.account.resume().await.unwrap();
    ben.phone.account.start();
    let seen = ben.sees(dm, |shown| shown.last_seen.is_some()).await.last_seen.unwrap();
    assert!(!seen.is_here, "she has gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_33_nobody_learns_who_types_or_is_there_until_the_policy_says_so() {
    let (mut world, [anna, ben, carla], dm, group) = three(Terms::default()).await;
    for phone in [&anna, &ben] {
        phone.comes_to_the_front().await;
        phone.types(dm).await;
    }
    // A server that passes on what it likes makes no phone show it, or answer.
    for (log, said) in [(dm, HERE), (dm, TYPING), (group, TYPING)] {
        let hint = ben.seals(log, ben.phone.account.device(), now_ms(), said).await;
        anna.network.says(&hint.to_line());
    }
    let next_ms = |phone: &Watched| phone.clock.advance(TYPING_EVERY_MS + HERE_EVERY_MS);
    [&anna, &ben].into_iter().for_each(next_ms);
    anna.types(dm).await;
    for phone in [&anna, &ben, &carla] {
        assert_eq!(phone.network.asked(path::HINTS), 0, "nothing was sent");
        assert_eq!(phone.presence(dm_or(group, phone, dm).await).await, Presence::default());
    }

    world.policy(with_hints()).await;
    for phone in [&anna, &ben, &carla] {
        phone.phone.account.sync_all().await.unwrap();
    }
    [&anna, &ben].into_iter().for_each(next_ms);
    ben.types(dm).await;
    let seen = anna.sees(dm, |shown| !shown.typing.is_empty()).await;
    assert!(seen.last_seen.is_some(), "{seen:?}");

    // The policy takes it back, and what was known goes.
    world.policy(Terms::default()).await;
    for phone in [&anna, &ben] {
        phone.phone.account.sync_all().await.unwrap();
    }
    assert_eq!(anna.presence(dm).await, Presence::default());
    let kept = anna.phone.account.store().read(presence::people);
    assert!(kept.await.unwrap().is_empty());
    let asked = ben.network.asked(path::HINTS);
    [&anna, &ben].into_iter().for_each(next_ms);
    ben.types(dm).await;
    assert_eq!(ben.network.asked(path::HINTS), asked);
}

/// The conversation of two for who is in it, the group for who is not.
async fn dm_or(group: LogId, phone: &Watched, dm: LogId) -> LogId {
    match phone.phone.account.conversation(dm).await.unwrap() {
        Some(_) => dm,
        None => group,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_33_who_withholds_his_own_sees_nobodys_and_each_for_itself() {
    let (mut world, [anna, ben, carla], dm, group) = three(with_hints()).await;
    ben.comes_to_the_front().await;
    anna.comes_to_the_front().await;
    ben.sees(dm, |shown| shown.last_seen.is_some()).await;
    for withheld in [true, false] {
        ben.phone.account.withhold(Trace::LastSeen, withheld).await.unwrap();
    }
    assert_eq!(ben.presence(dm).await.last_seen, None, "what he knew went");
    ben.phone.account.withhold(Trace::LastSeen, true).await.unwrap();
    let asked = ben.network.asked(path::HINTS);
    ben.clock.advance(HERE_EVERY_MS);
    ben.phone.account.say_hints().await.unwrap();
    assert_eq!(ben.network.asked(path::HINTS), asked, "he says nothing of it");
    // Typing he shows all the same, and without a word of where he is.
    anna.clock.advance(HERE_EVERY_MS);
    ben.types(dm).await;
    let seen = anna.sees(dm, |shown| shown.typing == [ben.user()]).await;
    assert!(seen.last_seen.is_some_and(|seen| seen.t_ms < anna.phone.env().clock.now_ms()));
    anna.types(dm).await;
    ben.sees(dm, |shown| shown.typing == [anna.user()] && shown.last_seen.is_none()).await;

    ben.phone.account.withhold(Trace::Typing, true).await.unwrap();
    assert!(ben.typing(dm).await.is_empty());
    let asked = ben.network.asked(path::HINTS);
    ben.clock.advance(TYPING_EVERY_MS);
    ben.types(group).await;
    assert_eq!(ben.network.asked(path::HINTS), asked);
    carla.types(group).await;
    anna.sees(group, |shown| shown.typing == [carla.user()]).await;
    assert!(ben.typing(group).await.is_empty());

    // His other phone withholds it too.
    let other = world.second_phone("ben", &ben.phone).await;
    for _ in 0..3 {
        ben.phone.settle().await;
        other.settle().await;
    }
    for trace in [Trace::Typing, Trace::LastSeen] {
        assert!(other.account.withholds(trace).await.unwrap(), "{trace:?}");
    }
    ben.phone.account.withhold(Trace::Typing, false).await.unwrap();
    assert!(!ben.phone.account.withholds(Trace::Typing).await.unwrap());
    ben.clock.advance(TYPING_EVERY_MS);
    ben.types(group).await;
    anna.sees(group, |shown| shown.typing.contains(&ben.user())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_33_hints_that_are_forged_played_again_moved_or_of_another_time_show_nothing() {
    let (_world, [anna, ben, carla], dm, group) = three(with_hints()).await;
    let bens = ben.phone.account.device();
    let only_carla = vec![carla.user()];
    let now = || ben.phone.env().clock.now_ms();

    // Carla is in the group and has its key; she cannot speak for Ben.
    let forged = carla.seals(group, bens, now(), TYPING).await.to_line();
    assert_eq!(anna.believes(&forged, &carla, group).await, only_carla);
    // Nor does anybody see himself, whatever the server brings back.
    let annas = anna.phone.account.device();
    let own = anna.seals(group, annas, anna.phone.env().clock.now_ms(), TYPING).await.to_line();
    assert_eq!(anna.believes(&own, &carla, group).await, only_carla);
    // Where more than two are, whoever says that he is there or goes is not listened to.
    for said in [HERE, GOES] {
        let seen = ben.seals(group, bens, anna.phone.env().clock.now_ms(), said).await.to_line();
        assert_eq!(anna.believes(&seen, &carla, group).await, only_carla);
    }
    let noted = anna.phone.account.store().read(move |conn| {
        let local = log::local(conn, group)?.unwrap();
        presence::last_seen(conn, local)
    });
    assert_eq!(noted.await.unwrap(), None);

    // What the server heard of Ben once, it plays again.
    ben.clock.set(anna.phone.env().clock.now_ms());
    ben.types(group).await;
    anna.sees(group, |shown| shown.typing == [ben.user()]).await;
    let line = anna.network.lines_said().pop().unwrap();
    [&anna, &carla].iter().for_each(|phone| phone.clock.advance(TYPING_SHOWN_MS + 1));
    assert_eq!(anna.believes(&line, &carla, group).await, only_carla);

    // It carries one from the conversation of two into the group, under every epoch's number.
    let moved = ben.seals(dm, bens, anna.phone.env().clock.now_ms(), TYPING).await;
    for epoch in 0..4 {
        let moved = SealedHint { log: group, epoch: Epoch(epoch), ..moved.clone() };
        assert_eq!(anna.believes(&moved.to_line(), &carla, group).await, only_carla);
        let moved = SealedHint { r#gen: Gen(1), ..moved };
        assert_eq!(anna.believes(&moved.to_line(), &carla, group).await, only_carla);
    }

    // From a clock that is a day off, either way.
    let now_ms = anna.phone.env().clock.now_ms();
    for t_ms in [now_ms + DAY_MS, now_ms - DAY_MS - 1] {
        let said = Said { typing: true, here: true, goes: false };
        let off = ben.seals(dm, bens, t_ms, said).await.to_line();
        anna.network.says(&off);
        assert_eq!(anna.believes(&off, &carla, group).await, only_carla);
        assert_eq!(anna.presence(dm).await, Presence::default());
    }
    // One of an hour ago says when he was there, and not that he writes.
    let said = Said { typing: true, here: true, goes: false };
    let old = ben.seals(dm, bens, anna.phone.env().clock.now_ms() - 3_600_000, said).await;
    anna.network.says(&old.to_line());
    let seen = anna.sees(dm, |shown| shown.last_seen.is_some()).await;
    assert!(seen.typing.is_empty() && !seen.last_seen.unwrap().is_here, "{seen:?}");
    // And one that is a minute ahead never says later than now.
    let ahead = ben.seals(dm, bens, anna.phone.env().clock.now_ms() + 60_000, HERE).await;
    anna.network.says(&ahead.to_line());
    let seen = anna.sees(dm, |shown| shown.last_seen.is_some_and(|seen| seen.is_here)).await;
    assert!(seen.last_seen.unwrap().t_ms <= anna.phone.env().clock.now_ms());
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_33_a_server_that_floods_or_says_too_much_is_passed_over() {
    let (_world, [anna, ben, carla], dm, group) = three(with_hints()).await;
    let long = "x".repeat(2 * LINE_BYTES);
    let huge = "A".repeat(1 << 20);
    for line in [long.as_str(), huge.as_str(), "", "kein Hinweis", "%%%"] {
        assert_eq!(anna.believes(line, &carla, group).await, [carla.user()]);
    }
    let bens = ben.phone.account.device();
    let forged = carla.seals(group, bens, ben.phone.env().clock.now_ms(), TYPING).await.to_line();
    (0..2_000).for_each(|_| anna.network.says(&forged));
    let now_ms = anna.phone.env().clock.now_ms();
    anna.network.says(&ben.seals(dm, bens, now_ms, HERE).await.to_line());
    anna.network.was_heard().await;
    // What comes in the flood is lost with it; afterwards all is as before.
    ben.phone.account.send_text(group, "Es geht weiter").await.unwrap();
    anna.phone.hears(group, "Es geht weiter").await;
    [&anna, &carla].iter().for_each(|phone| phone.clock.advance(20_000));
    assert_eq!(anna.believes("", &carla, group).await, [carla.user()]);
    assert_eq!(anna.presence(dm).await.last_seen, None, "he said so in the flood");
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_33_a_leaver_is_not_heard_and_what_was_known_of_him_is_forgotten() {
    let (mut world, [anna, ben, carla], dm, group) = three(with_hints()).await;
    ben.comes_to_the_front().await;
    anna.sees(dm, |shown| shown.last_seen.is_some()).await;
    world.revoke("ben").await;
    anna.phone.account.sync_all().await.unwrap();
    assert_eq!(anna.presence(dm).await.last_seen, None);
    anna.phone.account.forget_behaviour().await.unwrap();
    let kept = anna.phone.account.store().read(presence::people);
    assert!(kept.await.unwrap().is_empty());
    let now_ms = anna.phone.env().clock.now_ms();
    for (log, said) in [(dm, HERE), (group, TYPING)] {
        // He has the epoch's key still, and a server that helps him.
        let hint = ben.seals(log, ben.phone.account.device(), now_ms + 10, said).await;
        assert_eq!(anna.believes(&hint.to_line(), &carla, group).await, [carla.user()]);
    }
    assert_eq!(anna.presence(dm).await, Presence::default());
    // Nobody but the test says anything on a phone that was not started.
    let ben = ben.phone.restart().await;
    ben.account.set_in_front(true);
    assert!(ben.account.say_hints().await.is_err(), "the server does not take it");
}

#[tokio::test(flavor = "multi_thread")]
async fn among_announcements_who_may_not_write_is_not_shown_typing() {
    let mut world = World::found().await;
    world.policy(with_hints()).await;
    let anna = Watched::of(&mut world, "anna").await;
    let ben = Watched::of(&mut world, "ben").await;
    let room = NewRoom {
        title: Some("Sicherheit".to_owned()),
        people: vec![ben.user()],
        announces: true,
        history: HistoryRule::None,
    };
    let log = anna.phone.account.create_room(room).await.unwrap();
    anna.phone.settle().await;
    ben.phone.settle().await;
    for phone in [&anna, &ben] {
        phone.starts().await;
    }
    ben.types(log).await;
    assert_eq!(ben.network.asked(path::HINTS), 0);
    // A phone that was changed says so all the same, and nobody shows it.
    let now_ms = ben.phone.env().clock.now_ms();
    let hint = ben.seals(log, ben.phone.account.device(), now_ms, TYPING).await;
    anna.network.says(&hint.to_line());
    anna.types(log).await;
    ben.sees(log, |shown| shown.typing == [anna.user()]).await;
    assert!(anna.typing(log).await.is_empty());
    let notes = anna.phone.account.notes().await.unwrap();
    let asked = anna.network.asked(path::HINTS);
    anna.types(notes).await;
    assert_eq!(anna.network.asked(path::HINTS), asked, "in notes nobody is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_carries_no_more_than_its_place_and_is_of_one_size() {
    let (_world, [anna, ben, _], dm, group) = three(with_hints()).await;
    let sent = Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = sent.clone();
    ben.network.changes_requests(path::HINTS, move |request| {
        keep.lock().unwrap().push(request.body.clone());
    });
    ben.types(group).await;
    ben.comes_to_the_front().await;
    anna.sees(dm, |shown| shown.last_seen.is_some()).await;
    let bodies = sent.lock().unwrap().clone();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0].len(), bodies[1].len(), "typing and being there look the same");
    for body in &bodies {
        let HintsRequest { hints } = decode(body).unwrap();
        assert!(hints.iter().all(SealedHint::fits));
        let device: Bytes = Bytes(ben.phone.account.device().0.to_vec());
        assert!(!body.windows(16).any(|window| window == &device[..]), "not even whose it is");
        assert_eq!(encode(&HintsRequest { hints }), *body);
    }
}
