use hauspost_core::account::LastSeen;
use hauspost_protocol::ids::{Seq, UserId};
use ratatui::crossterm::event::KeyCode;

use super::super::super::event::Event;
use super::super::super::fixture::{BEN, Client, LOG, NOON, members, room, row};
use super::*;

const BOTH: Shown = Shown { typing: true, last_seen: true };

fn typing(users: &[UserId]) -> Presence {
    Presence { typing: users.to_vec(), last_seen: None }
}

fn seen(t_ms: u64, is_here: bool) -> Presence {
    Presence { typing: Vec::new(), last_seen: Some(LastSeen { t_ms, is_here }) }
}

fn client() -> Client {
    let mut client = Client::new(vec![room(9, "Tour Nord")]);
    client.press(KeyCode::Enter);
    client.hear(members(&[BEN]));
    client.wanted();
    client
}

#[test]
fn who_types_and_who_was_last_there_stands_beside_the_title() {
    let mut client = client();
    let carla = UserId([3; 16]);
    for (presence, says) in [
        (typing(&[BEN]), "Ben Kaya is typing …"),
        (typing(&[BEN, carla]), "Ben Kaya and somebody are typing …"),
        (typing(&[BEN, carla, UserId([4; 16])]), "Ben Kaya and 2 others are typing …"),
        (seen(NOON, true), "there now"),
        (seen(NOON - 3_600_000, false), "last seen today at 11:00"),
        (seen(NOON - 86_400_000, false), "last seen yesterday at 12:00"),
        (seen(NOON - 10 * 86_400_000, false), "last seen on 15 Nov"),
    ] {
        client.hear(Event::Presence(LOG, presence, BOTH));
        assert!(client.shows(says), "{says}:\n{}", client.screen().join("\n"));
    }
    client.hear(Event::Presence(LOG, Presence::default(), BOTH));
    assert!(!client.shows("last seen"));
    client.hear(Event::Presence(LogId([7; 16]), typing(&[BEN]), BOTH));
    assert!(!client.shows("typing"), "that is another conversation");
}

#[test]
fn attacks_33_keys_are_told_only_where_that_is_to_be_seen_and_only_of_messages() {
    let mut client = client();
    client.types("ab");
    assert!(!client.wanted().contains(&Effect::Typing(LOG)), "nobody is to see it");
    client.hear(Event::Presence(LOG, Presence::default(), BOTH));
    client.types("c");
    assert_eq!(client.wanted(), [Effect::Typing(LOG)]);
    client.press(KeyCode::Left);
    assert_eq!(client.wanted(), [], "nothing was written");
    client.press(KeyCode::Enter);
    assert!(!client.wanted().contains(&Effect::Typing(LOG)), "it is sent");
    client.types("/quiet off");
    assert!(!client.wanted().contains(&Effect::Typing(LOG)), "a command is nobody's business");
}

#[test]
fn the_bell_rings_for_what_is_to_be_heard_and_not_for_what_is_looked_at() {
    let other = LogId([8; 16]);
    for (log, loudness, focused, rings) in [
        (other, Loudness::Loud, true, true),
        (other, Loudness::Silent, true, false),
        (other, Loudness::Counted, true, false),
        (other, Loudness::Alarm, true, true),
        (LOG, Loudness::Loud, true, false),
        (LOG, Loudness::Loud, false, true),
        (LOG, Loudness::Alarm, true, true),
    ] {
        let mut client = client();
        client.hear(Event::Focus(focused));
        assert_eq!(client.wanted(), [Effect::SetInFront(focused)]);
        client.hear(Event::Notified(vec![(log, loudness)]));
        assert_eq!(client.state.rings, rings, "{loudness:?} {focused}");
    }
}

#[test]
fn a_bell_that_is_switched_off_does_not_ring_and_that_is_kept() {
    let mut client = client();
    client.types("/bell off");
    client.press(KeyCode::Enter);
    assert!(client.wanted().contains(&Effect::SetBell(false)));
    client.hear(Event::Bell(false, true));
    assert!(client.shows("the bell does not ring"));
    client.hear(Event::Notified(vec![(LogId([8; 16]), Loudness::Alarm)]));
    assert!(!client.state.rings);
    client.hear(Event::Bell(true, false));
    client.hear(Event::Notified(vec![(LogId([8; 16]), Loudness::Alarm)]));
    assert!(client.state.rings);
}

#[test]
fn what_comes_while_nobody_looks_is_read_when_he_does() {
    let mut client = client();
    client.hear(Event::Focus(false));
    client.wanted();
    client.page(vec![row(1, "Wer ist da?")]);
    assert!(client.shows("Wer ist da?"));
    assert!(!client.wanted().iter().any(|effect| matches!(effect, Effect::MarkRead(..))));
    client.hear(Event::Focus(true));
    assert_eq!(client.wanted(), [Effect::SetInFront(true), Effect::MarkRead(LOG, Seq(1))]);
}
