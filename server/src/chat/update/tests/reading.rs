//! What is read of a timeline and of a list, when, and where a dialog stands.

use hauspost_core::read::ConversationRow;
use hauspost_core::store::rows::log::LogState;
use hauspost_core::store::rows::message::Message;

use super::super::super::fixture::room;
use super::*;

fn page(rows: Vec<Message>, more_before: bool, more_after: bool) -> TimelinePage {
    TimelinePage { rows, more_before, more_after, history: None }
}

fn rows(seqs: std::ops::RangeInclusive<u64>) -> Vec<Message> {
    seqs.map(|seq| row(seq, &format!("Nr {seq}"))).collect()
}

fn seqs(client: &Client) -> (u64, u64, usize) {
    let rows = &client.state.dialog.as_ref().unwrap().rows;
    let seq = |row: Option<&Message>| row.unwrap().seq.unwrap().0;
    (seq(rows.first()), seq(rows.last()), rows.len())
}

#[test]
fn a_part_that_comes_when_the_dialog_stands_elsewhere_is_not_added() {
    let mut client = opened();
    client.hear(Event::Timeline(LOG, Span::Newest(100), page(rows(101..=200), true, true)));
    // They were asked for before the dialog was read anew.
    client.hear(Event::Timeline(LOG, Span::Before(51), page(rows(1..=50), true, false)));
    client.hear(Event::Timeline(LOG, Span::After(150), page(rows(151..=250), false, true)));
    assert_eq!(seqs(&client), (101, 200, 100));
    client.hear(Event::Timeline(LOG, Span::Before(101), page(rows(51..=100), true, false)));
    client.hear(Event::Timeline(LOG, Span::After(200), page(rows(201..=250), false, true)));
    assert_eq!(seqs(&client), (51, 250, 200));
}

#[test]
fn no_more_than_five_hundred_rows_are_kept_and_the_others_are_read_again() {
    let mut client = opened();
    client.hear(Event::Timeline(LOG, Span::Newest(100), page(rows(1_001..=1_450), true, false)));
    client.hear(Event::Timeline(LOG, Span::Before(1_001), page(rows(901..=1_000), true, false)));
    assert_eq!(seqs(&client), (901, 1_400, 500));
    assert!(client.state.dialog.as_ref().unwrap().more_after);
    client.hear(Event::Timeline(LOG, Span::After(1_400), page(rows(1_401..=1_500), false, false)));
    assert_eq!(seqs(&client), (1_001, 1_500, 500));
    assert!(client.state.dialog.as_ref().unwrap().more_before);
}

#[test]
fn a_dialog_whose_unread_messages_fit_follows_its_end() {
    let unread = ConversationRow { unread: 1, read_seq: Some(Seq(39)), ..room(9, "Lager") };
    let mut client = Client::new(vec![unread]);
    client.press(KeyCode::Enter);
    client.page(rows(1..=40));
    assert_eq!(client.state.dialog.as_ref().unwrap().scroll, Scroll::Follow);
    assert!(client.shows("new messages") && client.shows("Nr 40"));
}

#[test]
fn a_page_that_does_not_fill_the_screen_is_followed_by_the_one_before_it() {
    let mut client = opened();
    client.hear(Event::Timeline(LOG, Span::Newest(100), page(rows(101..=103), true, false)));
    assert!(client.wanted().contains(&Effect::LoadTimeline(LOG, Span::Before(101))));
}

#[test]
fn whoever_writes_while_he_looks_at_the_past_is_shown_the_end() {
    let mut client = opened();
    client.hear(Event::Timeline(LOG, Span::Newest(100), page(rows(1..=100), false, true)));
    client.types("ja");
    client.wanted();
    client.press(KeyCode::Enter);
    let newest = Effect::LoadTimeline(LOG, Span::Newest(100));
    assert_eq!(client.wanted().last(), Some(&newest));
}

#[test]
fn where_nothing_can_be_written_any_more_a_text_stays_and_is_not_sent() {
    let left = ConversationRow { state: LogState::Left, ..room(9, "Lager") };
    let mut client = Client::new(vec![left]);
    client.press(KeyCode::Enter);
    client.types("noch da?");
    client.wanted();
    client.press(KeyCode::Enter);
    assert_eq!(client.wanted(), []);
    assert!(client.shows("nothing can be written here any more") && client.shows("› noch da?"));
}

#[test]
fn the_end_of_the_list_reads_more_of_it_if_there_is_more() {
    let mut client = Client::new(vec![room(1, "Nord"), room(2, "Süd")]);
    client.wanted();
    client.press(KeyCode::Down);
    assert_eq!(client.wanted(), []);
    client.hear(Event::Rooms(vec![room(1, "Nord"), room(2, "Süd")], true));
    client.press(KeyCode::Down);
    assert_eq!(client.wanted(), [Effect::LoadRooms(200)]);
}

#[test]
fn the_last_hit_of_a_search_asks_for_those_behind_it_once() {
    let mut client = Client::new(Vec::new());
    client.press(KeyCode::F(3));
    client.types("l");
    let asked = Box::new(SearchQuery::words("l"));
    let hit = |seq: u64| SearchHit {
        log: LOG,
        message_id: MessageId([seq as u8; 32]),
        seq: Some(Seq(seq)),
        author: BEN,
        t_ms: 0,
        snippet: Vec::new(),
        document: None,
    };
    let found = SearchPage { hits: vec![hit(2), hit(1)], next: Some(1), is_whole: false };
    client.hear(Event::Found(asked.clone(), found, false));
    client.wanted();
    let filling = client.state.words.search[2];
    assert!(client.shows(filling), "an update emptied the index");
    client.press(KeyCode::Down);
    assert_eq!(client.wanted(), [Effect::Search(asked, Some(1))]);
    client.press(KeyCode::Down);
    assert_eq!(client.wanted(), []);
    let whole = SearchPage { hits: Vec::new(), next: None, is_whole: true };
    client.hear(Event::Found(Box::new(SearchQuery::words("l")), whole, true));
    assert!(!client.shows(filling));
}

#[test]
fn up_and_down_move_within_what_is_written_before_they_scroll() {
    let mut client = opened();
    client.page(rows(1..=60));
    client.hear(Event::Paste("eins\nzwei".to_owned()));
    client.press(KeyCode::Up);
    assert_eq!(client.state.dialog.as_ref().unwrap().scroll, Scroll::Follow);
    client.types("!");
    assert_eq!(client.state.dialog.as_ref().unwrap().composer.text(), "eins!\nzwei");
    client.press(KeyCode::Up);
    assert_ne!(client.state.dialog.as_ref().unwrap().scroll, Scroll::Follow);
}

#[test]
fn a_key_that_is_let_go_writes_nothing_and_altgr_writes_its_character() {
    let mut client = opened();
    let key = |kind, modifiers| {
        let key = KeyEvent::new_with_kind(KeyCode::Char('@'), modifiers, kind);
        Event::Key(key)
    };
    client.hear(key(KeyEventKind::Release, KeyModifiers::NONE));
    let written =
        |client: &Client| client.state.dialog.as_ref().unwrap().composer.text().to_owned();
    assert_eq!(written(&client), "");
    client.hear(key(KeyEventKind::Press, KeyModifiers::CONTROL | KeyModifiers::ALT));
    assert_eq!(written(&client), "@");
    client.hear(key(KeyEventKind::Press, KeyModifiers::CONTROL));
    assert_eq!(written(&client), "@", "that is a command, and none that is known");
}
