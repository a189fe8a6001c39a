use hauspost_core::store::rows::message::{Fate, MessageState, Saying};
use hauspost_core::store::rows::reaction::Tally;
use hauspost_protocol::ids::Seq;
use ratatui::crossterm::event::KeyModifiers;

use super::super::super::event::Event;
use super::super::super::fixture::{BEN, Client, LOG, ME, own, room, row};
use super::*;

fn opened(rows: Vec<Message>) -> Client {
    let mut client = Client::new(vec![room(9, "Lager"), room(7, "Tour")]);
    client.hear(Event::Begun(LOG));
    client.page(rows);
    client.wanted();
    client
}

fn id(seq: u8) -> MessageId {
    MessageId([seq; 32])
}

#[test]
fn a_message_is_chosen_and_answered_and_the_answer_can_be_dropped() {
    let mut client = opened(vec![row(1, "Montag?"), row(2, "oder Dienstag?")]);
    client.press(KeyCode::F(8));
    client.press(KeyCode::Up);
    client.press(KeyCode::Char('r'));
    assert!(client.shows("to Ben Kaya: Montag?"));
    client.types("ja");
    client.press(KeyCode::Enter);
    let sent = Effect::Reply(LOG, id(1), "ja".to_owned());
    assert_eq!(client.wanted(), [sent, Effect::SaveDraft(LOG, None, 0)]);
    client.press(KeyCode::F(8));
    client.press(KeyCode::Char('r'));
    client.press(KeyCode::Esc);
    client.types("nein");
    client.press(KeyCode::Enter);
    assert_eq!(client.wanted()[0], Effect::Send(LOG, "nein".to_owned()));
}

#[test]
fn an_own_message_is_changed_as_it_was_typed_and_nobody_elses() {
    let mut formatted = own(2, "fett", MessageState::Sent);
    formatted.saying.markdown = Some("**fett**".to_owned());
    let mut client = opened(vec![row(1, "Montag?"), formatted]);
    client.hear(Event::Key(KeyEvent::new(KeyCode::Up, KeyModifiers::ALT)));
    client.press(KeyCode::Char('e'));
    assert!(client.shows("› **fett**") && client.shows("changing a message"));
    client.types("!");
    client.hear(Event::Clock(1));
    assert_eq!(client.wanted(), [Effect::NoteDraft(LOG, None, 0)], "a change is no draft");
    client.press(KeyCode::Enter);
    assert_eq!(client.wanted()[0], Effect::Edit(LOG, id(2), "**fett**!".to_owned()));
    client.press(KeyCode::F(8));
    client.press(KeyCode::Up);
    client.press(KeyCode::Char('e'));
    assert!(client.shows("only its author may do that"));
}

#[test]
fn taking_back_and_hiding_are_asked_about_first() {
    let mut client = opened(vec![own(1, "weg damit", MessageState::Sent)]);
    for (key, mark) in [('d', Mark::Delete), ('h', Mark::Redact)] {
        client.press(KeyCode::F(8));
        client.press(KeyCode::Char(key));
        client.press(KeyCode::Char('n'));
        assert_eq!(client.wanted(), []);
        client.press(KeyCode::Char(key));
        client.press(KeyCode::Char('y'));
        assert_eq!(client.wanted(), [Effect::Mark(LOG, id(1), mark)]);
        client.press(KeyCode::Esc);
    }
}

#[test]
fn a_reaction_is_one_key_and_the_same_key_takes_it_back() {
    let mut liked = row(1, "Feierabend");
    liked.reactions =
        vec![Tally { emoji: "👍".to_owned(), count: 3, mine: true, is_waiting: false }];
    let mut client = opened(vec![liked]);
    assert!(client.shows("👍 3"));
    client.press(KeyCode::F(8));
    client.press(KeyCode::Char('1'));
    client.press(KeyCode::Char('2'));
    client.press(KeyCode::Char('+'));
    client.hear(Event::Paste("🎉".to_owned()));
    client.press(KeyCode::Enter);
    let mark = |mark| Effect::Mark(LOG, id(1), mark);
    let wanted = [
        mark(Mark::Unreact("👍".to_owned())),
        mark(Mark::React("❤️".to_owned())),
        mark(Mark::React("🎉".to_owned())),
    ];
    assert_eq!(client.wanted(), wanted);
}

#[test]
fn a_message_is_passed_on_to_a_conversation_that_is_found_by_its_name() {
    let mut client = opened(vec![row(1, "Achtung")]);
    client.press(KeyCode::F(8));
    client.press(KeyCode::Char('w'));
    client.types("tou");
    client.press(KeyCode::Enter);
    let to = LogId([7; 16]);
    assert_eq!(client.wanted(), [Effect::Mark(LOG, id(1), Mark::PassOn(to))]);
}

#[test]
fn what_became_of_messages_is_shown() {
    let mut answer = row(3, "passt");
    answer.quote = Some(Quote::Known {
        message_id: id(1),
        seq: Some(Seq(1)),
        author: ME,
        text: Some("Montag\n?".to_owned()),
    });
    let edited = Message { fate: Fate::Edited, is_pinned: true, ..row(4, "Dienstag") };
    let deleted = Message { fate: Fate::Deleted, text: None, ..row(5, "") };
    let hidden = Message { fate: Fate::Redacted, text: None, ..row(6, "") };
    let gone = Message { quote: Some(Quote::Gone), ..row(7, "dazu: ja") };
    let mut passed = row(8, "Anna, alle, Dora");
    passed.saying = Saying { origin: Some(ME), ..Saying::default() };
    let mut client = opened(vec![answer, edited, deleted, hidden, gone, passed]);
    client.hear(Event::Resize(100, 30));
    for shown in [
        "│ you: Montag ?",
        "Dienstag (edited) (pinned)",
        "taken back by its author",
        "hidden by an owner",
        "│ the original is gone",
        "↪ passed on from you",
    ] {
        assert!(client.shows(shown), "{shown}: {:#?}", client.screen());
    }
    client.press(KeyCode::F(8));
    (0..5).for_each(|_| client.press(KeyCode::Up));
    client.press(KeyCode::Enter);
    assert_eq!(client.wanted().pop(), Some(Effect::LoadTimeline(LOG, Span::Around(Seq(1)))));
}

#[test]
fn a_formatted_text_shows_marks_and_where_its_links_lead() {
    let mut said = row(1, "");
    let markdown = "> so\n\n- **a**\n- [hier](https://a.de)\n\n`\u{1b}[2J`";
    said.saying.markdown = Some(markdown.to_owned());
    let client = opened(vec![said]);
    for shown in ["│ so", "• a", "• hier (https://a.de)", "␛[2J"] {
        assert!(client.shows(shown), "{shown}: {:#?}", client.screen());
    }
}

#[test]
fn a_name_behind_an_at_is_completed_by_tab() {
    let mut client = opened(Vec::new());
    client.types("an @be");
    client.press(KeyCode::Tab);
    assert_eq!(client.state.dialog.as_ref().unwrap().composer.text(), "an @ben ");
    client.types("und @x");
    client.press(KeyCode::Tab);
    assert!(matches!(client.state.focus, super::super::super::state::Focus::List));
    assert_eq!(client.state.people.name(BEN), "Ben Kaya");
}

#[test]
fn what_it_said_and_who_reacts_is_listed() {
    let mut client = opened(vec![row(1, "Dienstag")]);
    client.press(KeyCode::F(8));
    client.press(KeyCode::Char('v'));
    assert_eq!(client.wanted(), [Effect::LoadHistory(LOG, id(1))]);
    let version = |text: &str| Version {
        seq: Some(Seq(1)),
        t_ms: 0,
        text: Some(text.to_owned()),
        markdown: None,
    };
    let versions = vec![version("Montag\u{1b}"), version("Dienstag")];
    client.hear(Event::History(versions, vec![(BEN, "👍".to_owned())]));
    assert!(client.shows("Montag␛") && client.shows("👍 Ben Kaya"));
}
