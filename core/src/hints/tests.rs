use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::hint::{HERE_SHOWN_MS, LINE_BYTES, SEALED_BYTES, Said};
use hauspost_protocol::ids::{Epoch, Gen};

use super::*;

const LOG: LogId = LogId([1; 16]);
const OTHER: LogId = LogId([2; 16]);
const NOW_MS: TimeMs = 1_000_000;
const ANNA: UserId = UserId([1; 16]);
const BEN: UserId = UserId([2; 16]);

fn said(typing: bool, here: bool) -> Said {
    Said { typing, here, goes: false }
}

fn hint(device: u8, t_ms: TimeMs, said: Said) -> Hint {
    Hint { device: DeviceId([device; 16]), t_ms, said }
}

#[test]
fn who_types_says_so_at_the_first_key_and_then_once_in_four_seconds() {
    let mut saying = Saying::default();
    let mut told = Vec::new();
    for ms in (0..=9_000).step_by(100) {
        if saying.types(LOG, NOW_MS + ms) {
            assert_eq!(saying.due(NOW_MS + ms).typing, [LOG]);
            told.push(ms);
        }
        assert!(saying.due(NOW_MS + ms).is_nothing(), "it is said once");
    }
    assert_eq!(told, [0, TYPING_EVERY_MS, 2 * TYPING_EVERY_MS]);
    assert!(saying.types(OTHER, NOW_MS + 9_100), "elsewhere it is the first key");
    saying.due(NOW_MS + 9_100);
    assert!(!saying.types(LOG, NOW_MS + 9_100));
    saying.wrote(LOG);
    assert!(saying.types(LOG, NOW_MS + 9_200), "the next message");
    saying.wrote(LOG);
    assert!(saying.due(NOW_MS + 9_200).is_nothing(), "who sent it at once said nothing");
    saying.types(LOG, NOW_MS + 9_300);
    assert!(saying.due(NOW_MS + 9_300 + TYPING_EVERY_MS).is_nothing(), "not when it is long over");
    assert!(saying.types(LOG, 5_000), "a clock that was set back holds nothing up");
}

#[test]
fn what_is_said_late_is_the_last_word_for_four_seconds_from_then_on() {
    let mut saying = Saying::default();
    assert!(saying.types(LOG, NOW_MS));
    assert_eq!(saying.due(NOW_MS + 3_000).typing, [LOG]);
    assert!(!saying.types(LOG, NOW_MS + TYPING_EVERY_MS), "it went out a second ago");
    assert!(saying.types(LOG, NOW_MS + 3_000 + TYPING_EVERY_MS));
}

#[test]
fn who_types_everywhere_is_held_in_sixteen_conversations_and_no_more() {
    let mut saying = Saying::default();
    let said = (0..=255).filter(|log| saying.types(LogId([*log; 16]), NOW_MS)).count();
    assert_eq!(said, TYPED);
}

#[test]
fn who_is_there_says_so_at_once_then_every_minute_and_when_he_goes_and_nothing_after_that() {
    let mut saying = Saying::default();
    assert_eq!(saying.wait_ms(NOW_MS), None, "who never came says nothing");
    assert!(saying.set_in_front(true, NOW_MS));
    assert!(!saying.set_in_front(true, NOW_MS), "he is there already");
    assert_eq!(saying.wait_ms(NOW_MS), Some(0));
    assert!(saying.due(NOW_MS).here);
    assert_eq!(saying.wait_ms(NOW_MS + 1_000), Some(HERE_EVERY_MS - 1_000));
    for over_ms in [NOW_MS + 2 * HERE_EVERY_MS, 10_000] {
        assert_eq!(saying.wait_ms(over_ms), Some(0), "now, and after a clock was set back too");
    }
    assert!(saying.due(NOW_MS + HERE_EVERY_MS - 1).is_nothing());
    assert!(saying.due(NOW_MS + HERE_EVERY_MS).here);
    assert!(saying.due(10_000).here, "a clock that was set back holds nothing up");
    assert!(saying.set_in_front(false, NOW_MS + 70_000));
    let due = saying.due(NOW_MS + 70_000);
    assert!(due.goes && !due.here);
    assert!(saying.due(NOW_MS + 10 * HERE_EVERY_MS).is_nothing());
    assert_eq!(saying.wait_ms(NOW_MS + 10 * HERE_EVERY_MS), None);
    assert!(!saying.set_in_front(false, NOW_MS), "he was not there");
}

#[test]
fn who_comes_back_before_he_has_said_that_he_goes_says_only_that_he_is_there() {
    let mut saying = Saying::default();
    saying.set_in_front(true, NOW_MS);
    saying.due(NOW_MS);
    saying.set_in_front(false, NOW_MS + 1_000);
    saying.set_in_front(true, NOW_MS + 2_000);
    assert_eq!(saying.due(NOW_MS + 2_000), Due { here: true, ..Due::default() });
}

#[test]
fn the_times_of_hints_rise_and_a_clock_that_was_days_ahead_does_not_silence_its_phone() {
    let mut saying = Saying::default();
    assert_eq!(saying.time(NOW_MS), NOW_MS);
    assert_eq!(saying.time(NOW_MS), NOW_MS + 1);
    assert_eq!(saying.time(NOW_MS - 5_000), NOW_MS + 2);
    assert_eq!(saying.time(NOW_MS + 86_400_000), NOW_MS + 86_400_000);
    assert_eq!(saying.time(NOW_MS), NOW_MS);
}

#[test]
fn typing_shows_who_began_first_foremost_and_ends_by_itself_or_with_the_message() {
    let mut hearing = Hearing::default();
    hearing.heard(LOG, BEN, &hint(2, NOW_MS, said(true, false)), NOW_MS);
    hearing.heard(LOG, ANNA, &hint(1, NOW_MS, said(true, false)), NOW_MS + 100);
    // A second device of his, and a second hint of the first, are the same person, who began then.
    hearing.heard(LOG, BEN, &hint(3, NOW_MS, said(true, false)), NOW_MS + 200);
    hearing.heard(LOG, BEN, &hint(2, NOW_MS + 4_000, said(true, false)), NOW_MS + 4_000);
    assert_eq!(hearing.typing(LOG, NOW_MS + 4_100), [BEN, ANNA]);
    assert!(hearing.typing(OTHER, NOW_MS + 4_100).is_empty());
    assert_eq!(hearing.wait_ms(NOW_MS + 4_100, NOW_MS + 4_100), Some(TYPING_SHOWN_MS - 4_000));
    // What ended before anybody looked is told at once, whenever it is looked at; and once.
    let told_ms = NOW_MS + 4_100;
    assert_eq!(hearing.wait_ms(told_ms, NOW_MS + 500_000), Some(0));
    assert_eq!(hearing.wait_ms(NOW_MS + 500_000, NOW_MS + 500_000), None);
    assert_eq!(hearing.wait_ms(NOW_MS + 500_000, told_ms), Some(TYPING_SHOWN_MS - 4_000));
    assert_eq!(hearing.typing(LOG, NOW_MS + 100 + TYPING_SHOWN_MS), [BEN]);
    assert!(hearing.wrote(LOG, DeviceId([2; 16])));
    assert!(!hearing.wrote(LOG, DeviceId([2; 16])));
    assert!(hearing.typing(LOG, NOW_MS + 6_300).is_empty());
    assert_eq!(hearing.wait_ms(NOW_MS + 6_300, NOW_MS + 6_300), None);
    hearing.heard(LOG, BEN, &hint(2, NOW_MS + 7_000, said(true, false)), NOW_MS + 7_000);
    assert!(
        hearing.typing(LOG, 5_000).is_empty(),
        "a clock that was set back shows nothing for ever"
    );
}

#[test]
fn a_hint_without_typing_ends_it_and_one_of_there_says_so_until_it_is_over() {
    let mut hearing = Hearing::default();
    hearing.heard(LOG, BEN, &hint(2, NOW_MS, said(true, true)), NOW_MS);
    hearing.heard(LOG, BEN, &hint(2, NOW_MS + 1, said(false, true)), NOW_MS + 1);
    assert!(hearing.typing(LOG, NOW_MS + 2).is_empty());
    let seen = |seen_ms, is_here| Some(Seen { seen_ms, is_here });
    assert_eq!(hearing.seen(LOG, BEN, NOW_MS + HERE_SHOWN_MS), seen(NOW_MS + 1, true));
    assert_eq!(hearing.seen(LOG, ANNA, NOW_MS + 1), None);
    assert_eq!(hearing.seen(LOG, BEN, NOW_MS + 1 + HERE_SHOWN_MS), seen(NOW_MS + 1, false));
    assert_eq!(hearing.seen(LOG, BEN, NOW_MS + 2 + HERE_SHOWN_MS), None, "it is stored");
    let goes = Said { goes: true, ..Said::default() };
    hearing.heard(LOG, BEN, &hint(2, NOW_MS + 2, goes), NOW_MS + 3);
    assert_eq!(hearing.seen(LOG, BEN, NOW_MS + 4), seen(NOW_MS + 2, false));
    hearing.heard(LOG, BEN, &hint(3, NOW_MS + 1, said(true, true)), NOW_MS + 5);
    assert_eq!(hearing.seen(LOG, BEN, NOW_MS + 5), seen(NOW_MS + 2, true), "on another device");
    hearing.forget_seen();
    assert_eq!(hearing.seen(LOG, BEN, NOW_MS + 5), None);
    assert_eq!(hearing.typing(LOG, NOW_MS + 5), [BEN]);
    assert_eq!(
        hearing.newest_ms(LOG, DeviceId([2; 16])),
        Some(NOW_MS + 2),
        "it is not played again"
    );
}

#[test]
fn nobody_is_there_for_ever_whose_reader_set_his_clock_back() {
    let mut hearing = Hearing::default();
    hearing.heard(LOG, BEN, &hint(2, NOW_MS, said(false, true)), NOW_MS);
    // He said so a moment before, by the clock of then; by that of now he says so far ahead.
    let early_ms = NOW_MS - HERE_SHOWN_MS;
    assert_eq!(hearing.seen(LOG, BEN, early_ms), Some(Seen { seen_ms: NOW_MS, is_here: false }));
}

#[test]
fn who_begins_to_type_anew_comes_after_those_who_went_on_and_each_types_where_he_does() {
    let mut hearing = Hearing::default();
    hearing.heard(LOG, BEN, &hint(2, NOW_MS, said(true, false)), NOW_MS);
    hearing.heard(OTHER, BEN, &hint(2, NOW_MS, said(true, true)), NOW_MS);
    assert!(hearing.typing(LogId([0; 16]), NOW_MS).is_empty());
    assert_eq!(hearing.seen(LOG, BEN, NOW_MS), None, "that he said elsewhere");
    let later_ms = NOW_MS + TYPING_SHOWN_MS;
    hearing.heard(LOG, ANNA, &hint(1, later_ms, said(true, false)), later_ms);
    hearing.heard(LOG, BEN, &hint(2, later_ms + 1, said(true, false)), later_ms + 1);
    assert_eq!(hearing.typing(LOG, later_ms + 1), [ANNA, BEN]);
}

#[test]
fn of_devices_that_are_heard_so_many_are_remembered_and_no_more() {
    let mut hearing = Hearing::default();
    for number in 0..HEARD as u64 + 10 {
        let mut device = [0; 16];
        device[..8].copy_from_slice(&number.to_be_bytes());
        let hint =
            Hint { device: DeviceId(device), t_ms: NOW_MS + number, said: said(true, false) };
        hearing.heard(LOG, BEN, &hint, NOW_MS);
    }
    assert_eq!(hearing.devices.len(), HEARD);
    assert_eq!(hearing.newest_ms(LOG, DeviceId([0; 16])), None, "the oldest went");
    let (_, known) = *hearing.devices.last_key_value().unwrap().0;
    let again = Hint { device: known, t_ms: NOW_MS + 90_000, said: said(true, false) };
    hearing.heard(LOG, BEN, &again, NOW_MS);
    assert_eq!(hearing.devices.len(), HEARD, "for one of them nobody has to go");
}

#[test]
fn attacks_33_a_server_that_floods_is_listened_to_so_often_and_no_more() {
    let mut gate = Gate::default();
    let opened = (0..10_000).filter(|_| gate.opens(NOW_MS)).count() as u64;
    assert_eq!(opened, OPENED);
    assert!(!gate.opens(NOW_MS + OPENED_EVERY_MS - 1));
    assert!(gate.opens(NOW_MS + OPENED_EVERY_MS));
    assert!(!gate.opens(NOW_MS + OPENED_EVERY_MS));
    assert!(gate.opens(5_000), "a clock that was set back holds nothing up");
}

#[test]
fn lines_are_read_in_whatever_pieces_they_come_and_what_is_no_hint_is_a_word_of_news() {
    let sealed = SealedHint {
        log: LOG,
        r#gen: Gen(0),
        epoch: Epoch(1),
        sealed: Bytes(vec![7; SEALED_BYTES]),
    };
    let text = format!("\n{}\n\n\nno hint\n{}\n", sealed.to_line(), sealed.to_line());
    let hint = || Line::Hint(sealed.clone());
    assert_eq!(Lines::default().feed(text.as_bytes()), [Line::News, hint(), hint()]);
    let mut lines = Lines::default();
    let one_by_one: Vec<_> =
        text.as_bytes().chunks(1).flat_map(|piece| lines.feed(piece)).collect();
    assert_eq!(one_by_one, [Line::News, hint(), Line::News, Line::News, Line::News, hint()]);
}

#[test]
fn attacks_33_a_line_without_an_end_takes_no_room() {
    let mut lines = Lines::default();
    for _ in 0..10_000 {
        assert!(lines.feed(&[b'x'; 1_000]).is_empty());
        assert!(lines.begun.capacity() <= 2 * LINE_BYTES, "{}", lines.begun.capacity());
    }
    assert_eq!(lines.feed(b"\n\n"), [Line::News]);
    let hint = SealedHint {
        log: LOG,
        r#gen: Gen(0),
        epoch: Epoch(1),
        sealed: Bytes(vec![7; SEALED_BYTES]),
    };
    let line = hint.to_line() + "\n";
    let next = Line::Hint(hint.clone());
    assert_eq!(lines.feed(line.as_bytes()), [next], "the next line is whole again");
    // What stands before the rest that is passed over is no line of its own.
    assert!(lines.feed(hint.to_line().as_bytes()).is_empty());
    assert!(lines.feed(&[b'x'; LINE_BYTES]).is_empty());
    assert_eq!(lines.feed(b"\n"), [Line::News]);
}
