//! Places, contacts, polls and voice messages as lines. Nothing is fetched for them.

use hauspost_core::store::rows::message::ShownCard;
use hauspost_core::store::rows::poll::Votes;
use hauspost_protocol::content::{Card, Contact, Place, Poll, VCard, Voice};
use ratatui::style::{Color, Modifier, Style};

use super::super::state::State;
use super::super::text;
use super::super::words::fill;
use super::message::Styled;
use super::{dim, warning};
use crate::sound;

/// Columns of a bar that stands for everybody who voted.
const BAR: u64 = 16;

pub(super) fn said(said: &mut Styled, state: &State, shown: &ShownCard) {
    match &shown.card {
        Card::Place(place) => self::place(said, state, place),
        Card::Contact(Contact::Colleague(user)) => {
            said.push(&format!("☻ {}", state.people.name(*user)), bold());
            said.push(&format!(" {}", state.words.cards.colleague), dim());
        }
        Card::Contact(Contact::Other(card)) => contact(said, card),
        Card::Poll(poll) => {
            self::poll(said, state, poll, shown.votes.as_ref().unwrap_or(&Votes::default()));
        }
    }
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn place(said: &mut Styled, state: &State, place: &Place) {
    let coordinates = place.coordinates();
    said.push(&format!("⌖ {}", place.name().unwrap_or(&coordinates)), bold());
    said.line();
    let bare = Place::new(place.latitude(), place.longitude(), None, None);
    let uri = bare.map(|bare| bare.uri()).unwrap_or_default();
    said.push(&uri, Style::new().add_modifier(Modifier::UNDERLINED));
    if let Some(metres) = place.accuracy_m() {
        said.push(&fill(state.words.cards.accuracy, &[&metres.to_string()]), dim());
    }
}

fn contact(said: &mut Styled, card: &VCard) {
    said.push(&format!("☎ {}", card.name()), bold());
    let about: Vec<&str> = [card.title(), card.organisation()].into_iter().flatten().collect();
    if !about.is_empty() {
        said.push(&format!(" {}", about.join(", ")), dim());
    }
    for way in card.phones().iter().chain(card.emails()) {
        said.line();
        said.push(&format!("  {way}"), Style::new());
    }
}

fn poll(said: &mut Styled, state: &State, poll: &Poll, votes: &Votes) {
    let words = state.words.cards;
    said.push(&format!("? {}", poll.question()), bold());
    let room = poll.options().iter().map(|option| text::width(&text::line(option))).max();
    let room = room.unwrap_or_default().min(28);
    for (place, option) in poll.options().iter().enumerate() {
        said.line();
        let (is_mine, count) = (votes.mine.has(place), u64::from(votes.count(place)));
        let style = if is_mine { Style::new().fg(Color::Yellow) } else { Style::new() };
        let option = text::line(option);
        let gap = " ".repeat(room.saturating_sub(text::width(&option)));
        said.push(&format!("{} {option}{gap} ", mark(poll, is_mine)), style);
        said.push(&format!("{} {count}", bar(count, votes.voters)), style);
    }
    said.line();
    let voters = match votes.voters {
        0 => words.voters[0].to_owned(),
        1 => words.voters[1].to_owned(),
        count => fill(words.voters[2], &[&count.to_string()]),
    };
    said.push(&voters, dim());
    if votes.is_waiting {
        said.push(" …", dim());
    }
    if let Some(by) = votes.closed_by {
        said.push(&format!(" · {}", fill(words.closed, &[state.name(by)])), warning());
    } else {
        said.push(&format!(" · {}", words.open), dim());
    }
}

/// What stands before an option: a circle where one may be chosen, a box where several may.
pub fn mark(poll: &Poll, is_chosen: bool) -> char {
    match (poll.most(), is_chosen) {
        (1, false) => '○',
        (1, true) => '●',
        (_, false) => '☐',
        (_, true) => '☑',
    }
}

/// A bar as long as the share of those who voted.
fn bar(count: u64, voters: u64) -> String {
    let eighths = (count * BAR * 8).checked_div(voters).unwrap_or_default().min(BAR * 8);
    let (whole, rest) = (eighths / 8, eighths % 8);
    let mut bar: String = (0..whole).map(|_| '█').collect();
    if rest > 0 {
        let parts = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
        bar.extend(parts.get(usize::try_from(rest - 1).unwrap_or_default()));
    }
    bar
}

pub(super) fn voice(said: &mut Styled, state: &State, voice: &Voice, standing: &str) {
    let duration = match voice.duration_ms() {
        Some(ms) => sound::length(ms),
        None => state.words.cards.no_duration.to_owned(),
    };
    said.push(&format!("▶ {duration} "), bold());
    said.push(&sound::waveform(voice.waveform()), Style::new().fg(Color::Cyan));
    said.push(&format!(" ({standing})"), dim());
}

#[cfg(test)]
mod tests {
    use hauspost_core::store::rows::file::ShownFile;
    use hauspost_core::store::rows::message::{Message, MessageKind};
    use hauspost_protocol::content::Choice;
    use hauspost_protocol::statement::FileRole;
    use ratatui::crossterm::event::KeyCode;

    use super::super::super::event::Event;
    use super::super::super::fixture::{BEN, Client, room, row};
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_the_share_of_those_who_voted() {
        assert_eq!(bar(0, 0), "");
        assert_eq!(bar(0, 3), "");
        assert_eq!(bar(3, 3), "█".repeat(16));
        assert_eq!(bar(1, 2), "█".repeat(8));
        assert_eq!(bar(1, 1_000), "");
        assert_eq!(bar(10, 1_000), "▏");
        assert_eq!(bar(u64::from(u32::MAX), 1), "█".repeat(16), "counts that cannot be");
    }

    #[test]
    fn a_dialog_shows_cards_and_voice_messages_in_words_and_bars() {
        let mut client = Client::new(vec![room(9, "Baustelle")]);
        client.press(KeyCode::Enter);
        let shows = |seq, kind, card, votes| Message {
            kind,
            card: Some(ShownCard { card, votes }),
            ..row(seq, "x")
        };
        let gate = Place::new(52_520_000, 13_405_000, Some(12), Some("Tor 3".into())).unwrap();
        let glazier =
            VCard::new("Eva".into(), Some("Glas".into()), None, vec!["+49 30".into()], Vec::new());
        let glazier = Contact::Other(glazier.unwrap());
        let options = vec!["ja".to_owned(), "vielleicht".to_owned()];
        let asked = Poll::new("Kommst du?".into(), options, 1).unwrap();
        let mine = Choice::of([0]).unwrap();
        let votes = Votes { voters: 4, counts: vec![3, 1], mine, ..Votes::default() };
        let closed = Votes { closed_by: Some(BEN), ..votes.clone() };
        let sound = ShownFile {
            position: 0,
            name: "a.wav".to_owned(),
            media_type: "audio/wav".to_owned(),
            size: 2_000,
            role: FileRole::Original,
            is_here: false,
            pages: None,
            preview: None,
        };
        let voice = Message {
            kind: MessageKind::File,
            files: vec![sound],
            voice: Voice::new(Some(42_000), vec![0, 127, 255]),
            ..row(6, "a.wav")
        };
        client.page(vec![
            shows(1, MessageKind::Place, Card::Place(gate), None),
            shows(2, MessageKind::Contact, Card::Contact(Contact::Colleague(BEN)), None),
            shows(3, MessageKind::Contact, Card::Contact(glazier), None),
            shows(4, MessageKind::Poll, Card::Poll(asked.clone()), Some(votes)),
            shows(5, MessageKind::Poll, Card::Poll(asked), Some(closed)),
            voice,
        ]);
        client.hear(Event::Resize(80, 40));
        for part in [
            "⌖ Tor 3",
            "geo:52.52,13.405 ± 12 m",
            "☻ Ben Kaya (colleague)",
            "☎ Eva Glas",
            "+49 30",
            "? Kommst du?",
            "● ja         ████████████ 3",
            "○ vielleicht ████ 1",
            "4 people have voted · all see",
            "4 people have voted · closed by Ben Kaya",
            "▶ 0:42 ▁▄█ (2.0 kB)",
        ] {
            assert!(client.shows(part), "{part}\n{}", client.screen().join("\n"));
        }
    }
}
