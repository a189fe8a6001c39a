use hauspost_core::read::{FailedChange, WantedChange};
use hauspost_core::store::rows::message::{Message, MessageState};
use hauspost_protocol::ids::{MessageId, UserId};
use hauspost_protocol::wire::Person;
use ratatui::crossterm::event::KeyCode;

use super::super::event::{Effect, Event};
use super::super::fixture::{BEN, Client, LOG, ME, NOON, members, own, room, row};
use super::super::words::Words;
use super::*;

const ESCAPE: &str = "\u{1b}[31m\u{1b}]0;besessen\u{7}\u{9b}2J\u{202E}böse\r\n\tfort";

fn opened(rows: Vec<Message>) -> Client {
    let mut client = Client::new(Vec::new());
    client.hear(Event::Begun(LOG));
    client.page(rows);
    client
}

#[test]
fn a_dialog_shows_days_authors_times_and_how_far_own_messages_are() {
    let mut yesterday = row(1, "Guten Morgen");
    yesterday.t_ms = NOON - 86_400_000;
    let mut failed = own(6, "zu spät", MessageState::Failed);
    failed.reason = Some(21);
    let client = opened(vec![
        yesterday,
        row(2, "Größe 📦 passt"),
        row(3, "noch eine"),
        own(4, "gestellt", MessageState::Secured),
        own(5, "gespeichert", MessageState::Sent),
        failed,
        own(7, "unterwegs", MessageState::Queued),
    ]);
    let screen = client.screen();
    let right: Vec<_> = screen[2..20]
        .iter()
        .map(|row| row.split_once('│').unwrap().1.trim_end_matches('─').trim_end())
        .collect();
    assert_eq!(right[0], "── yesterday");
    assert_eq!(right[1..3], ["Ben Kaya", "12:00 Guten Morgen"]);
    assert_eq!(right[3], "── today");
    assert_eq!(right[4..7], ["Ben Kaya", "12:00 Größe 📦 passt", "12:00 noch eine"]);
    assert_eq!(right[7], "you");
    assert!(right[8].starts_with("12:00 gestellt") && right[8].ends_with(" ✓✓"));
    assert!(right[9].starts_with("12:00 gespeichert") && right[9].ends_with(" ✓"));
    assert!(right[10].starts_with("12:00 zu spät") && right[10].ends_with(" ✗"));
    assert!(right[11].contains("not sent: you are not in this conversation any more"));
    assert!(right[13].starts_with("12:00 unterwegs") && right[13].ends_with(" …"));
}

#[test]
fn the_line_before_the_first_unread_message_stands_once() {
    let mut client = opened(Vec::new());
    client.state.dialog.as_mut().unwrap().new_after = Some(Some(hauspost_protocol::ids::Seq(1)));
    client.page(vec![
        row(1, "alt"),
        own(2, "meins", MessageState::Sent),
        row(3, "neu"),
        row(4, "neuer"),
    ]);
    let screen = client.screen();
    let at: Vec<_> = (0..screen.len()).filter(|i| screen[*i].contains("new messages")).collect();
    assert_eq!(at.len(), 1);
    assert!(screen[at[0] + 2].contains("neu") && screen[at[0] - 1].contains("meins"));
}

#[test]
fn gaps_and_what_a_newer_version_wrote_are_named() {
    let of = |kind, seq| Message { kind, text: None, ..row(seq, "") };
    let mut missing = row(3, "da");
    missing.missing = 2;
    let mut client = opened(vec![of(MessageKind::Gap, 1), of(MessageKind::Unknown, 2), missing]);
    client.hear(Event::Resize(120, 24));
    assert!(client.shows("something of Ben Kaya is here that could not be opened"));
    assert!(client.shows("Ben Kaya wrote what this version cannot show: update the app"));
    assert!(client.shows("2 messages are missing here"));
}

#[test]
fn escapes_in_a_message_a_name_and_a_title_are_shown_and_not_obeyed() {
    let mut client = opened(vec![row(1, ESCAPE)]);
    let evil = Person { user: BEN, handle: "b\u{7f}n".to_owned(), name: Some(ESCAPE.to_owned()) };
    client.hear(Event::People(vec![evil]));
    client.hear(Event::Paste(ESCAPE.to_owned()));
    // What the terminal's library takes out by itself, it is not left to.
    assert!(client.state.people.name(BEN).starts_with("␛[31m␛]0;besessen␇"));
    let draft = ConversationRow { draft: Some(ESCAPE.to_owned()), ..room(9, "Lager") };
    let mut begun = Client::new(vec![draft]);
    begun.press(KeyCode::Enter);
    assert!(begun.shows("› [31m]0;besessen"), "a draft holds nothing that no keyboard types");
    // `screen` asserts that no cell holds a control character.
    assert!(client.shows("␛[31m␛]0;besessen␇"));
    assert!(!client.screen().concat().contains('\u{202E}'));
    for key in [KeyCode::F(2), KeyCode::F(4)] {
        client.press(KeyCode::Esc);
        client.press(key);
        client.hear(Event::Paste(ESCAPE.to_owned()));
        client.screen();
        client.press(KeyCode::Enter);
        client.screen();
    }
}

#[test]
fn the_list_shows_name_last_line_time_unread_draft_and_standing() {
    let with_draft = ConversationRow { draft: Some("halb".to_owned()), ..room(1, "Tour Nord") };
    let left = ConversationRow { state: LogState::Left, ..room(2, "Alte Tour") };
    let unread = ConversationRow { unread: 120, ..room(3, "Lager") };
    let evil = room(4, ESCAPE);
    let client = Client::new(vec![with_draft, left, unread, evil]);
    let screen = client.screen();
    let list: Vec<_> = screen.iter().map(|row| row.split('│').next().unwrap().trim_end()).collect();
    assert_eq!(list[1], "▌# Tour Nord        12:00");
    assert_eq!(list[2..4], ["▌draft: halb", " # Alte Tour        12:00"]);
    assert_eq!(list[4], " left");
    assert_eq!(list[6], " Ben Kaya: gute Fa… (99+)");
    assert!(list[7].starts_with(" # ␛[31m"));
}

#[test]
fn every_screen_is_drawn_at_every_size_without_a_panic() {
    let rows: Vec<_> = (1..=30).map(|seq| row(seq, "Straßenbahnhaltestelle 👩‍👩‍👧 日本語")).collect();
    let keys =
        [KeyCode::Null, KeyCode::F(1), KeyCode::F(2), KeyCode::F(3), KeyCode::F(4), KeyCode::F(5)];
    for key in keys {
        let mut client = opened(rows.clone());
        client.hear(Event::Paste("eins\nzwei\ndrei ".repeat(9)));
        client.press(key);
        for columns in [1, 2, 3, 5, 10, 22, 40, 63, 64, 80, 200] {
            for height in [1, 2, 3, 5, 8, 9, 24, 60] {
                client.hear(Event::Resize(columns, height));
                client.screen();
            }
        }
    }
}

#[test]
fn a_narrow_screen_shows_list_or_dialog_and_a_wide_one_both() {
    let mut client = opened(vec![row(1, "hallo")]);
    assert!(client.shows("hallo") && client.shows("No conversations yet."));
    client.hear(Event::Resize(40, 12));
    assert!(client.shows("hallo") && !client.shows("No conversations yet."));
    client.press(KeyCode::Esc);
    assert!(!client.shows("hallo") && client.shows("No conversations yet."));
}

#[test]
fn the_status_line_says_how_the_server_is_reached() {
    let mut client = Client::new(Vec::new());
    let table = [
        (Link::Online, "online"),
        (Link::Reconnecting, "reconnecting"),
        (Link::Refused, "not accepted any more"),
    ];
    for (link, words) in table {
        client.hear(Event::Link(link));
        assert!(client.screen()[0].contains(words));
        assert!(client.screen()[0].contains("Anna Berg"));
    }
}

#[test]
fn the_help_names_every_key_that_the_footer_names_and_scrolls() {
    let mut client = Client::new(Vec::new());
    client.press(KeyCode::F(1));
    assert!(client.shows("Ctrl-C"));
    (0..30).for_each(|_| client.press(KeyCode::Down));
    assert!(client.shows("not sent, with the reason below"));
}

#[test]
fn a_notice_looks_like_what_it_says() {
    let mut client = Client::new(Vec::new());
    for (event, colour) in [
        (Event::Approved, Color::Green),
        (Event::PassedOn, Color::Green),
        (Event::Stopped(2), Color::Green),
        (Event::Stopped(0), Color::Yellow),
        (Event::Failed("disk-full"), Color::Red),
    ] {
        client.hear(event.clone());
        assert_eq!(client.colour(23), colour, "{event:?}");
    }
    client.press(KeyCode::F(5));
    assert_eq!(client.colour(23), Color::Yellow, "open a conversation first");
}

#[test]
fn a_stranger_is_somebody_and_the_person_at_the_terminal_is_you() {
    let mut other = row(1, "wer bin ich");
    other.author = UserId([7; 16]);
    let client = opened(vec![other, Message { author: ME, ..row(2, "ich") }]);
    assert!(client.shows("somebody") && client.shows("you"));
}

#[test]
fn the_client_speaks_german_where_it_is_wanted() {
    let mut client = Client::new(vec![room(9, "Lager")]);
    client.state.words = Words::german();
    client.press(KeyCode::Enter);
    client.page(vec![
        row(1, "Moin"),
        own(2, "verloren", MessageState::Failed),
        Message { t_ms: NOON - 2 * 86_400_000, ..row(3, "vorgestern") },
    ]);
    for text in ["heute", "nicht gesendet", "Montag, 23. November 2026", "Enter senden", "du"] {
        assert!(client.shows(text), "{text}\n{}", client.screen().join("\n"));
    }
    client.ctrl('p');
    client.hear(members(&[ME, BEN]));
    assert!(client.shows("Teilnehmer (2)") && client.shows("Anna Berg (du)"));
    client.press(KeyCode::Char('l'));
    assert!(client.shows("Diese Gruppe verlassen?"));
    client.wanted();
    client.press(KeyCode::Char('y'));
    assert_eq!(client.wanted(), [], "yes is j");
    client.press(KeyCode::Char('l'));
    client.press(KeyCode::Char('j'));
    assert_eq!(client.wanted(), [Effect::Leave(LOG)]);
    client.hear(Event::Failed("disk-full"));
    assert!(client.shows("der Speicher ist voll"));
    client.press(KeyCode::F(1));
    assert!(client.shows("Überall") && client.shows("jemandem schreiben"));
}

#[test]
fn a_change_that_failed_stands_at_the_end_and_is_tried_again_or_put_aside() {
    let mut client = Client::new(vec![room(9, "Lager")]);
    client.press(KeyCode::Enter);
    client.page(vec![row(1, "Moin"), own(2, "verloren", MessageState::Failed)]);
    let failed = |id, wanted| FailedChange { id, wanted, reason: 20, made_ms: NOON };
    let add = failed(7, WantedChange::Add(vec![BEN]));
    let name = failed(8, WantedChange::Rename("Halle".to_owned()));
    client.hear(Event::FailedChanges(LOG, vec![add, name.clone()]));
    let screen = client.screen().join(" ");
    assert!(screen.contains("not done: add Ben Kaya: the company's policy"), "{screen}");
    assert!(screen.contains("not done: call it “Halle”"), "{screen}");
    client.wanted();
    client.ctrl('x');
    client.hear(Event::FailedChanges(LOG, vec![name]));
    client.ctrl('r');
    client.hear(Event::FailedChanges(LOG, Vec::new()));
    client.ctrl('r');
    let lost = MessageId([2; 32]);
    assert_eq!(
        client.wanted(),
        [Effect::Dismiss(LOG, 8), Effect::TryAgain(LOG, 8), Effect::Retry(LOG, lost)]
    );
}

#[test]
fn a_group_is_named_anew_and_a_conversation_muted() {
    let mut client = Client::new(vec![room(9, "Lager")]);
    client.wanted();
    client.press(KeyCode::Char('m'));
    assert_eq!(client.wanted(), [Effect::Mute(LOG, true)]);
    let mut muted = room(9, "Lager");
    muted.muted_until = Some(NOON + 1);
    client.hear(Event::Rooms(vec![muted], false));
    assert!(client.shows("∅"));
    client.press(KeyCode::Char('m'));
    assert_eq!(client.wanted(), [Effect::Mute(LOG, false)]);
    client.press(KeyCode::Enter);
    client.hear(Event::Room(LOG, Some(Box::new(room(9, "Lager")))));
    client.ctrl('p');
    client.press(KeyCode::Char('n'));
    assert!(client.shows("Another name") && client.shows("› Lager"));
    client.types(" Nord");
    client.wanted();
    client.press(KeyCode::Enter);
    assert_eq!(client.wanted(), [Effect::Rename(LOG, "Lager Nord".to_owned())]);
}

#[test]
fn the_list_says_what_happened_to_a_conversation_last() {
    let mut line = room(9, "Lager");
    let last = line.last.as_mut().unwrap();
    last.kind = MessageKind::Event;
    last.text = None;
    last.event = Some(Happened::Titled("Lager Nord".to_owned()));
    let client = Client::new(vec![line]);
    assert!(client.shows("Ben Kaya called"));
}

#[test]
fn another_device_is_let_in_by_the_code_that_it_shows() {
    let mut client = Client::new(Vec::new());
    client.wanted();
    client.press(KeyCode::Char('d'));
    assert!(client.shows("Another device of yours"));
    client.press(KeyCode::Enter);
    assert!(client.shows("The code on the screen"), "nothing is approved without a code");
    client.types("7k2m 9xq4 tb0e");
    client.press(KeyCode::Enter);
    assert_eq!(client.wanted(), [Effect::Approve("7k2m 9xq4 tb0e".to_owned())]);
    client.hear(Event::Failed("no-such-code"));
    assert!(client.shows("no device of yours with this code waits"));
    client.hear(Event::Approved);
    assert!(client.shows("your other device is let in"));
}
