use hauspost_core::account::NewRoom;
use hauspost_core::observe::Change;
use hauspost_core::read::{
    ConversationRow, SearchHit, SearchPage, SearchQuery, SnippetPart, TimelinePage,
};
use hauspost_core::store::rows::message::MessageState;
use hauspost_protocol::body::HistoryRule;
use hauspost_protocol::ids::{MessageId, UserId};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::super::fixture::{BEN, Client, LOG, ME, members, own, person, room, row};
use super::*;

mod reading;

fn opened() -> Client {
    let mut client = Client::new(Vec::new());
    client.hear(Event::Begun(LOG));
    client.wanted();
    client
}

#[test]
fn a_line_is_sent_by_enter_and_the_composer_is_empty_again() {
    let mut client = opened();
    client.types("Grüße, Ben ");
    client.press(KeyCode::Enter);
    assert_eq!(
        client.wanted(),
        [Effect::Send(LOG, "Grüße, Ben".to_owned()), Effect::SaveDraft(LOG, None, 0)]
    );
    client.press(KeyCode::Enter);
    assert_eq!(client.wanted(), [], "nothing is never sent");
}

#[test]
fn a_line_break_is_written_by_alt_enter_and_by_ctrl_j() {
    let mut client = opened();
    client.types("a");
    client.hear(Event::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::ALT)));
    client.types("b");
    client.ctrl('j');
    client.types("c");
    assert_eq!(client.state.dialog.unwrap().composer.text(), "a\nb\nc");
}

#[test]
fn a_draft_is_kept_by_the_clock_by_leaving_and_at_the_end() {
    let halb = || Some("halb".to_owned());
    for leave in [Event::Key(KeyCode::Esc.into()), Event::Quit] {
        let mut client = opened();
        client.types("halb");
        client.hear(Event::Clock(1));
        assert_eq!(client.wanted(), [Effect::NoteDraft(LOG, halb(), 0)], "on this device");
        client.hear(Event::Clock(2));
        assert_eq!(client.wanted(), [], "it is kept once");
        client.hear(leave);
        assert_eq!(client.wanted(), [Effect::SaveDraft(LOG, halb(), 0)], "and told to the others");
        client.hear(Event::Clock(3));
        assert_eq!(client.wanted(), [], "once");
    }
}

#[test]
fn a_draft_of_another_device_comes_unless_something_is_being_written() {
    let elsewhere = |text: &str, draft_version| {
        let draft = Some(text.to_owned());
        Event::Room(LOG, Some(Box::new(ConversationRow { draft, draft_version, ..room(9, "x") })))
    };
    let written =
        |client: &Client| client.state.dialog.as_ref().unwrap().composer.text().to_owned();
    let mut client = opened();
    client.hear(elsewhere("vom Tablet", 1));
    assert_eq!(written(&client), "vom Tablet");
    client.types("!");
    client.hear(elsewhere("anderes", 2));
    assert_eq!(written(&client), "vom Tablet!");
    client.hear(Event::Key(KeyCode::Esc.into()));
    let kept = Effect::SaveDraft(LOG, Some("vom Tablet!".to_owned()), 1);
    assert_eq!(client.wanted(), [kept], "the core is told what it was made from");
}

#[test]
fn favourites_and_the_archive_are_reached_by_keys() {
    let on_top = |number, rank| ConversationRow { favourite: Some(rank), ..room(number, "x") };
    let mut client = Client::new(vec![on_top(1, 5), on_top(2, 6), room(3, "y")]);
    client.wanted();
    let (first, second, third) = (LogId([1; 16]), LogId([2; 16]), LogId([3; 16]));
    let shifted = |code| Event::Key(KeyEvent::new(code, KeyModifiers::SHIFT));
    client.hear(shifted(KeyCode::Down));
    assert_eq!(client.wanted(), [Effect::MoveFavourite(first, None)]);
    client.types("f");
    assert_eq!(client.wanted(), [Effect::Favourite(first, false)]);
    client.types("j");
    client.hear(shifted(KeyCode::Up));
    assert_eq!(client.wanted(), [Effect::MoveFavourite(second, Some(first))]);
    client.types("ja");
    assert_eq!(client.wanted(), [Effect::Archive(third, true)]);
    client.types("A");
    assert_eq!(client.wanted(), [Effect::LoadArchived(100)]);
    client.hear(Event::Rooms(vec![room(3, "im Archiv?")], false));
    assert!(client.state.rooms.rows.is_empty(), "the list that was left came late");
    client.hear(Event::Rooms(vec![ConversationRow { archived: true, ..room(3, "fertig") }], false));
    assert!(client.shows("fertig") && client.shows("Archive"));
    client.types("a");
    assert_eq!(client.wanted(), [Effect::Archive(third, false)]);
    client.types("AN");
    assert_eq!(client.wanted(), [Effect::LoadRooms(100), Effect::Notes]);
}

#[test]
fn a_text_that_was_not_taken_comes_back_unless_another_was_begun() {
    let mut client = opened();
    client.hear(Event::NotSent(LOG, "verloren?".to_owned(), "message"));
    assert_eq!(client.state.dialog.as_ref().unwrap().composer.text(), "verloren?");
    client.hear(Event::NotSent(LOG, "anderes".to_owned(), "message"));
    assert_eq!(client.state.dialog.as_ref().unwrap().composer.text(), "verloren?");
    assert!(client.state.notice.as_ref().unwrap().text().contains("too long"));
}

#[test]
fn what_is_on_the_screen_is_marked_as_read_once() {
    let mut client = opened();
    client.page(vec![row(1, "eins"), row(2, "zwei")]);
    assert_eq!(client.wanted(), [Effect::MarkRead(LOG, Seq(2))]);
    client.page(vec![row(1, "eins"), row(2, "zwei")]);
    assert_eq!(client.wanted(), []);
}

#[test]
fn what_is_below_the_screen_or_behind_an_overlay_is_not_read() {
    let mut client = opened();
    client.press(KeyCode::F(1));
    client.page((1..=40).map(|seq| row(seq, "x")).collect());
    assert_eq!(client.wanted(), []);
    client.press(KeyCode::Esc);
    assert_eq!(client.wanted(), [Effect::MarkRead(LOG, Seq(40))]);
    client.press(KeyCode::PageUp);
    client.page((1..=42).map(|seq| row(seq, "x")).collect());
    assert_eq!(client.wanted(), [], "two came below what is looked at");
    client.press(KeyCode::PageDown);
    client.press(KeyCode::PageDown);
    assert_eq!(client.wanted(), [Effect::MarkRead(LOG, Seq(42))]);
}

#[test]
fn scrolling_up_stays_at_its_place_when_messages_come_and_pages_older_ones() {
    let mut client = opened();
    let page =
        |rows, more_before| TimelinePage { rows, more_before, more_after: false, history: None };
    let newer: Vec<_> = (101..=200).map(|seq| row(seq, &format!("Nr {seq}"))).collect();
    client.hear(Event::Timeline(LOG, Span::Newest(100), page(newer.clone(), true)));
    client.press(KeyCode::PageUp);
    let seen = client.screen();
    let more = newer.iter().cloned().chain([row(201, "neu")]).collect();
    client.hear(Event::Timeline(LOG, Span::Again(101, 150), page(more, true)));
    assert_eq!(client.screen()[2..20], seen[2..20]);
    client.wanted();
    client.hear(Event::Key(KeyEvent::new(KeyCode::Home, KeyModifiers::CONTROL)));
    assert_eq!(client.wanted(), [Effect::LoadTimeline(LOG, Span::Before(101))]);
    client.press(KeyCode::PageUp);
    assert_eq!(client.wanted(), [], "one page at a time");
    let older = (1..=100).map(|seq| row(seq, &format!("Nr {seq}"))).collect();
    client.hear(Event::Timeline(LOG, Span::Before(101), page(older, false)));
    assert!(client.shows("Nr 101"));
    client.press(KeyCode::PageUp);
    assert!(client.shows("Nr 99") && !client.shows("Nr 130"));
}

#[test]
fn changes_make_only_what_they_name_be_read_again() {
    let other = LogId([8; 16]);
    let table: [(Change, Vec<Effect>); 8] = [
        (
            Change::Log(LOG),
            vec![
                Effect::LoadStanding(LOG),
                Effect::LoadTransfers,
                Effect::LoadTimeline(LOG, Span::Newest(100)),
            ],
        ),
        (Change::Log(other), vec![]),
        (
            Change::Conversations,
            vec![Effect::LoadRooms(100), Effect::LoadRoom(LOG), Effect::TakeNotifications(true)],
        ),
        (Change::People, vec![Effect::LoadPeople, Effect::LoadRooms(100), Effect::LoadRoom(LOG)]),
        (Change::Company, vec![Effect::LoadStanding(LOG)]),
        (Change::Outbox, vec![Effect::LoadFailedChanges(LOG)]),
        (Change::Alarms, vec![Effect::LoadAlarms]),
        (Change::Presence, vec![Effect::LoadPresence(LOG)]),
    ];
    for (change, effects) in table {
        let mut client = opened();
        client.hear(Event::Changed(vec![change]));
        assert_eq!(client.wanted(), effects, "{change:?}");
    }
}

#[test]
fn a_person_is_picked_by_a_part_of_the_name() {
    let mut client = Client::new(Vec::new());
    client.ctrl('n');
    client.types("kay");
    client.press(KeyCode::Enter);
    assert_eq!(client.wanted(), [Effect::CreateDm(BEN)]);
    client.ctrl('n');
    client.types("anna");
    client.press(KeyCode::Enter);
    assert_eq!(client.wanted(), [], "nobody writes to himself");
}

#[test]
fn a_group_is_begun_by_title_and_people() {
    let mut client = Client::new(Vec::new());
    client.press(KeyCode::Char('g'));
    client.types("Tour Nord");
    client.press(KeyCode::Enter);
    client.press(KeyCode::Tab);
    client.press(KeyCode::Enter);
    let room = NewRoom {
        title: Some("Tour Nord".to_owned()),
        people: vec![BEN],
        announces: false,
        history: HistoryRule::None,
    };
    assert_eq!(client.wanted(), [Effect::CreateRoom(room)]);
}

#[test]
fn people_of_a_group_are_chosen_by_space_by_tab_or_by_their_name_and_enter() {
    let carla = UserId([9; 16]);
    let begun = |choose: &dyn Fn(&mut Client)| {
        let mut client = Client::new(Vec::new());
        let people =
            [(ME, "anna", "Anna Berg"), (BEN, "ben", "Ben Kaya"), (carla, "carla", "Carla Lindt")];
        let people = people.map(|(user, short, name)| person(user, short, name));
        client.hear(Event::People(people.to_vec()));
        client.press(KeyCode::Char('g'));
        client.types("Tour Nord");
        client.press(KeyCode::Enter);
        choose(&mut client);
        client.press(KeyCode::Enter);
        match client.wanted().as_slice() {
            [Effect::CreateRoom(room)] => room.people.clone(),
            other => panic!("{other:?}"),
        }
    };
    let both = vec![BEN, carla];
    let by_space = |client: &mut Client| {
        client.press(KeyCode::Char(' '));
        client.press(KeyCode::Down);
        client.press(KeyCode::Char(' '));
    };
    assert_eq!(begun(&by_space), both);
    let by_name = |client: &mut Client| {
        client.types("ben k");
        client.press(KeyCode::Tab);
        client.types("carla");
    };
    assert_eq!(begun(&by_name), both);
    let taken_back = |client: &mut Client| {
        client.press(KeyCode::Char(' '));
        client.press(KeyCode::Char(' '));
        client.types("carla");
    };
    assert_eq!(begun(&taken_back), [carla]);
}

fn words(words: &str) -> Box<SearchQuery> {
    Box::new(SearchQuery::words(words))
}

#[test]
fn a_filter_that_is_not_understood_is_said_and_nothing_is_searched_for_until_it_is() {
    let mut client = Client::new(Vec::new());
    client.press(KeyCode::Char('/'));
    client.hear(Event::Paste("Rechnung".to_owned()));
    assert_eq!(client.wanted(), [Effect::Search(words("Rechnung"), None)]);
    client.hear(Event::Paste(" von:k".to_owned()));
    let by_ben = SearchQuery { person: Some(BEN), ..SearchQuery::words("Rechnung") };
    assert_eq!(client.wanted(), [Effect::Search(Box::new(by_ben.clone()), None)]);
    client.types("x");
    assert_eq!(client.wanted(), []);
    assert!(client.shows("nobody is called “kx”"));
    client.hear(Event::Found(
        Box::new(by_ben.clone()),
        SearchPage { hits: vec![], next: None, is_whole: true },
        false,
    ));
    assert!(!client.shows("nothing found"), "that was the answer to another line");
    client.press(KeyCode::Backspace);
    assert_eq!(client.wanted(), [Effect::Search(Box::new(by_ben), None)]);
    assert!(!client.shows("nobody"));
}

#[test]
fn a_hit_of_a_search_opens_its_conversation_around_it() {
    let mut client = Client::new(Vec::new());
    client.press(KeyCode::Char('/'));
    client.types("li");
    assert_eq!(
        client.wanted(),
        [Effect::Search(words("l"), None), Effect::Search(words("li"), None)]
    );
    let hit = SearchHit {
        log: LOG,
        message_id: MessageId([5; 32]),
        seq: Some(Seq(5)),
        author: BEN,
        t_ms: 1,
        snippet: vec![SnippetPart { text: "Lieferschein".to_owned(), found: true }],
        document: None,
    };
    let page = |hits| SearchPage { hits, next: None, is_whole: true };
    client.hear(Event::Found(words("l"), page(vec![hit.clone(), hit.clone()]), false));
    client.press(KeyCode::Enter);
    assert_eq!(client.wanted(), [], "an answer to other words is not taken");
    client.hear(Event::Found(words("li"), page(vec![hit]), false));
    assert!(client.shows("Lieferschein"));
    client.press(KeyCode::Enter);
    assert_eq!(
        client.wanted(),
        [
            Effect::LoadRoom(LOG),
            Effect::LoadTimeline(LOG, Span::Around(Seq(5))),
            Effect::LoadFailedChanges(LOG),
            Effect::LoadStanding(LOG),
            Effect::LoadPresence(LOG),
        ]
    );
    assert_eq!(client.state.dialog.unwrap().hit, Some(MessageId([5; 32])));
}

#[test]
fn what_failed_is_sent_again_or_taken_back() {
    let mut client = opened();
    let failed = own(3, "nein", MessageState::Failed);
    let id = failed.message_id;
    client.page(vec![own(1, "ja", MessageState::Sent), failed]);
    client.wanted();
    client.ctrl('r');
    client.ctrl('x');
    assert_eq!(client.wanted(), [Effect::Retry(LOG, id), Effect::Discard(LOG, id)]);
}

#[test]
fn a_dialog_with_many_unread_messages_is_read_from_the_first_of_them() {
    let table = [
        (60, Some(Seq(7)), Span::Newest(100)),
        (61, Some(Seq(7)), Span::Around(Seq(8))),
        (61, None, Span::Around(Seq(0))),
    ];
    for (unread, read_seq, span) in table {
        let mut group = room(9, "Tour Nord");
        (group.unread, group.read_seq) = (unread, read_seq);
        let mut client = Client::new(vec![group]);
        client.press(KeyCode::Enter);
        assert!(
            client.wanted().contains(&Effect::LoadTimeline(LOG, span)),
            "{unread} {read_seq:?}"
        );
    }
}

#[test]
fn a_dialog_of_two_cannot_be_left() {
    let mut client = opened();
    client.ctrl('p');
    assert_eq!(client.wanted(), [Effect::LoadMembers(LOG), Effect::LoadPicture(LOG)]);
    client.hear(members(&[ME, BEN]));
    client.press(KeyCode::Char('l'));
    assert!(client.shows("not a group"));
}

#[test]
fn the_keys_of_a_group_are_made_anew_from_the_list_of_its_people() {
    let group = room(9, "Tour Nord");
    let mut client = Client::new(vec![group.clone()]);
    client.hear(Event::Begun(LOG));
    client.hear(Event::Room(LOG, Some(Box::new(group))));
    client.ctrl('p');
    client.wanted();
    client.press(KeyCode::Char('k'));
    assert_eq!(client.wanted(), [Effect::ChangeSuite(LOG)]);
}

#[test]
fn leaving_and_removing_ask_first() {
    let mut group = room(9, "Tour Nord");
    group.log = LOG;
    let mut client = Client::new(vec![group]);
    client.press(KeyCode::Enter);
    client.ctrl('p');
    client.hear(members(&[BEN, ME]));
    client.wanted();
    client.press(KeyCode::Char('r'));
    assert_eq!(client.wanted(), [], "nobody removes himself");
    client.press(KeyCode::Down);
    client.press(KeyCode::Char('r'));
    assert!(client.shows("Remove Ben Kaya?"));
    client.press(KeyCode::Char('n'));
    client.press(KeyCode::Char('l'));
    assert_eq!(client.wanted(), []);
    client.press(KeyCode::Char('y'));
    assert_eq!(client.wanted(), [Effect::Leave(LOG)]);
    client.ctrl('p');
    client.hear(members(&[BEN, ME]));
    client.wanted();
    client.press(KeyCode::Down);
    client.press(KeyCode::Char('r'));
    client.press(KeyCode::Char('y'));
    assert_eq!(client.wanted(), [Effect::Remove(LOG, BEN)]);
}

#[test]
fn the_client_ends_by_ctrl_c_everywhere_and_by_q_in_the_list_only() {
    let mut client = opened();
    client.types("q");
    assert!(!client.state.is_ending);
    client.press(KeyCode::Esc);
    client.press(KeyCode::Char('q'));
    assert!(client.state.is_ending);
    let mut client = opened();
    client.press(KeyCode::F(3));
    client.ctrl('c');
    assert!(client.state.is_ending);
}
