//! A poll to vote in.

use hauspost_core::store::rows::message::{Message, ShownCard};
use hauspost_protocol::content::{Card, Choice};
use hauspost_protocol::ids::{LogId, MessageId, UserId};
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::super::event::{Effect, Mark};
use super::super::state::{Ballot, Overlay, State};

/// Shows a poll to vote in, and asks who chose what.
pub(super) fn vote(state: &mut State, log: LogId, row: &Message, effects: &mut Vec<Effect>) {
    let Some(ShownCard { card: Card::Poll(poll), votes }) = &row.card else { return };
    let votes = votes.clone().unwrap_or_default();
    state.overlay = Some(Overlay::Ballot(Ballot {
        log,
        message: row.message_id,
        poll: poll.clone(),
        choice: votes.mine,
        selected: votes.mine.iter().next().unwrap_or_default(),
        voters: Vec::new(),
        is_open: votes.closed_by.is_none(),
    }));
    effects.push(Effect::LoadVoters(log, row.message_id));
}

/// Who chose what has come.
pub(super) fn voters(state: &mut State, of: MessageId, voters: Vec<(UserId, Choice)>) {
    if let Some(Overlay::Ballot(ballot)) = &mut state.overlay
        && ballot.message == of
    {
        ballot.voters = voters;
    }
}

/// What to read again when the conversation changed.
pub(super) fn again(ballot: &Ballot) -> Effect {
    Effect::LoadVoters(ballot.log, ballot.message)
}

pub(super) fn key(state: &mut State, mut ballot: Ballot, key: KeyEvent, effects: &mut Vec<Effect>) {
    let last = ballot.poll.options().len() - 1;
    match key.code {
        KeyCode::Up | KeyCode::Char('k') => ballot.selected = ballot.selected.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => ballot.selected = (ballot.selected + 1).min(last),
        KeyCode::Char(' ') if ballot.is_open => choose(&mut ballot),
        KeyCode::Enter if ballot.is_open => {
            // Who did not choose by space means the option under the bar.
            if ballot.poll.most() == 1 && ballot.choice.is_empty() {
                choose(&mut ballot);
            }
            let mark = Mark::Vote(ballot.choice);
            return effects.push(Effect::Mark(ballot.log, ballot.message, mark));
        }
        KeyCode::Char('x') | KeyCode::Delete if ballot.is_open => {
            let mark = Mark::Vote(Choice::default());
            return effects.push(Effect::Mark(ballot.log, ballot.message, mark));
        }
        _ => {}
    }
    state.overlay = Some(Overlay::Ballot(ballot));
}

/// The option under the bar is chosen, or not any more; of one that may be chosen it takes the place.
fn choose(ballot: &mut Ballot) {
    let toggled = ballot.choice.toggled(ballot.selected);
    if ballot.poll.takes(toggled) {
        ballot.choice = toggled;
    } else if ballot.poll.most() == 1 {
        ballot.choice = Choice::default().toggled(ballot.selected);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use hauspost_core::store::rows::message::MessageKind;
    use hauspost_core::store::rows::poll::Votes;
    use hauspost_protocol::content::{Contact, Poll};

    use super::super::super::event::Event;
    use super::super::super::fixture::{BEN, Client, LOG, room, row};
    use super::*;

    fn lunch(most: u32) -> Poll {
        let options = ["Kantine", "Pizza", "Salat"].map(str::to_owned).to_vec();
        Poll::new("Was essen wir?".to_owned(), options, most).unwrap()
    }

    fn choice(options: &[usize]) -> Choice {
        Choice::of(options.iter().copied()).unwrap()
    }

    /// A client in a dialog with a poll of Ben's in which he chose the second option.
    fn asked(most: u32, votes: Votes) -> (Client, MessageId) {
        let mut client = Client::new(vec![room(9, "Baustelle")]);
        client.press(KeyCode::Enter);
        let poll = Some(ShownCard { card: Card::Poll(lunch(most)), votes: Some(votes) });
        let said = Message { kind: MessageKind::Poll, card: poll, ..row(1, "Was essen wir?") };
        let id = said.message_id;
        client.page(vec![said]);
        client.press(KeyCode::F(8));
        client.press(KeyCode::Char('a'));
        assert!(client.wanted().contains(&Effect::LoadVoters(LOG, id)));
        client.hear(Event::Voters(id, vec![(BEN, choice(&[1]))]));
        (client, id)
    }

    fn ben_voted() -> Votes {
        Votes { voters: 1, counts: vec![0, 1, 0], ..Votes::default() }
    }

    fn voted(client: &mut Client) -> Option<Choice> {
        client.wanted().into_iter().find_map(|effect| match effect {
            Effect::Mark(_, _, Mark::Vote(choice)) => Some(choice),
            _ => None,
        })
    }

    #[test]
    fn who_votes_sees_who_chose_what_and_chooses_by_space_and_enter() {
        let (mut client, _) = asked(1, ben_voted());
        assert!(client.shows("Was essen wir?") && client.shows("Ben Kaya"));
        client.press(KeyCode::Down);
        client.press(KeyCode::Char(' '));
        client.press(KeyCode::Down);
        client.press(KeyCode::Char(' '));
        client.press(KeyCode::Enter);
        assert_eq!(voted(&mut client), Some(choice(&[2])), "one takes the place of the other");
        assert!(client.state.overlay.is_none());
    }

    #[test]
    fn several_options_are_chosen_as_far_as_the_poll_takes_them() {
        let (mut client, _) = asked(2, ben_voted());
        for _ in 0..3 {
            client.press(KeyCode::Char(' '));
            client.press(KeyCode::Down);
        }
        client.press(KeyCode::Enter);
        assert_eq!(voted(&mut client), Some(choice(&[0, 1])));
    }

    #[test]
    fn enter_alone_chooses_what_the_bar_is_on_and_x_takes_the_vote_back() {
        let (mut client, _) = asked(1, ben_voted());
        client.press(KeyCode::Enter);
        assert_eq!(voted(&mut client), Some(choice(&[0])));
        let mine = Votes { mine: choice(&[1]), ..ben_voted() };
        let (mut client, _) = asked(1, mine);
        client.press(KeyCode::Char('x'));
        assert_eq!(voted(&mut client), Some(Choice::default()));
    }

    #[test]
    fn a_closed_poll_is_shown_and_takes_nothing() {
        let (mut client, _) = asked(1, Votes { closed_by: Some(BEN), ..ben_voted() });
        client.press(KeyCode::Char(' '));
        client.press(KeyCode::Enter);
        client.press(KeyCode::Char('x'));
        assert_eq!(voted(&mut client), None);
        assert!(client.state.overlay.is_some());
    }

    #[test]
    fn closing_a_poll_is_asked_for_first() {
        let (mut client, id) = asked(1, ben_voted());
        client.press(KeyCode::Esc);
        client.press(KeyCode::Char('c'));
        assert!(client.shows("Close"));
        client.press(KeyCode::Char('y'));
        assert!(client.wanted().contains(&Effect::Mark(LOG, id, Mark::ClosePoll)));
    }

    #[test]
    fn commands_send_cards_and_recordings_and_a_colleague_must_be_known() {
        let mut client = Client::new(vec![room(9, "Baustelle")]);
        client.press(KeyCode::Enter);
        client.wanted();
        client.types("/contact @BEN");
        client.press(KeyCode::Enter);
        let ben = Box::new(Card::Contact(Contact::Colleague(BEN)));
        assert!(client.wanted().contains(&Effect::SendCard(LOG, ben, "/contact @BEN".into())));
        client.types("/contact @xaver");
        client.press(KeyCode::Enter);
        let sends = |effect: &Effect| matches!(effect, Effect::SendCard(..));
        assert!(!client.wanted().iter().any(sends));
        assert!(client.state.notice.as_ref().is_some_and(|said| said.text().contains("xaver")));
        client.ctrl('u');
        client.types("/voice a.wav");
        client.press(KeyCode::Enter);
        let voice = Effect::SendVoice(LOG, PathBuf::from("a.wav"), "/voice a.wav".into());
        assert!(client.wanted().contains(&voice));
    }
}
