//! What was read before: what later messages are about, and how polls stand.

use std::collections::{BTreeMap, HashMap};

use hauspost_protocol::content::{Card, Choice, Contact, Message, Poll};
use hauspost_protocol::ids::{CompanyId, UserId};
use serde::Serialize;

use super::Readable;
use crate::harmless::line;

/// Messages by their ids.
pub(super) type Known = HashMap<String, Before>;

/// A message that was read before.
pub(super) struct Before {
    seq: u64,
    user: String,
    is_card: bool,
    ballot: Option<Ballot>,
}

/// A poll while its votes are counted.
struct Ballot {
    poll: Poll,
    /// Its place among the messages.
    at: usize,
    votes: BTreeMap<String, Choice>,
    closed_seq: Option<u64>,
}

/// How a poll stands, as far as its votes were opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PollResult {
    /// How many people chose anything.
    pub voters: usize,
    /// How many chose each option.
    pub options: Vec<OptionResult>,
    /// The entry that closed it, if any did.
    pub closed_seq: Option<u64>,
}

/// How many people chose an option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OptionResult {
    /// The option.
    pub text: String,
    /// How many.
    pub count: usize,
}

impl PollResult {
    pub(super) fn line(&self) -> String {
        let options = self.options.iter();
        let counts = options.map(|option| format!("{} {}", line(&option.text), option.count));
        let counts = counts.collect::<Vec<_>>().join(", ");
        let closed = self.closed_seq.map_or(String::new(), |seq| format!("; closed by {seq}"));
        format!(" [votes as far as opened: {counts}{closed}]")
    }
}

/// Notes a message that stands at this place among those that were read.
pub(super) fn note(known: &mut Known, readable: &Readable, at: usize) {
    let Some(id) = &readable.message_id else { return };
    let ballot = readable.poll.clone().map(|poll| Ballot {
        poll,
        at,
        votes: BTreeMap::new(),
        closed_seq: None,
    });
    let before = Before {
        seq: readable.seq,
        user: readable.user.clone(),
        is_card: matches!(readable.kind, "place" | "contact" | "poll"),
        ballot,
    };
    known.insert(id.clone(), before);
}

/// Says at each poll how it stands.
pub(super) fn count(known: Known, messages: &mut [Readable]) {
    for ballot in known.into_values().filter_map(|before| before.ballot) {
        let chose = |option| ballot.votes.values().filter(|choice| choice.has(option)).count();
        let options = ballot.poll.options().iter().enumerate();
        let options =
            options.map(|(at, text)| OptionResult { text: text.clone(), count: chose(at) });
        messages[ballot.at].result = Some(PollResult {
            voters: ballot.votes.len(),
            options: options.collect(),
            closed_seq: ballot.closed_seq,
        });
    }
}

impl Readable {
    /// What a card shows, in the place of the text that older apps show.
    pub(super) fn show(
        &mut self,
        message: &Message,
        company: CompanyId,
        people: &BTreeMap<UserId, String>,
    ) {
        let Some(card) = message.card(company) else { return };
        let shown = match (&card, card.text()) {
            (Card::Contact(Contact::Colleague(user)), _) => {
                people.get(user).cloned().unwrap_or_else(|| user.to_string())
            }
            (_, text) => text.unwrap_or_default(),
        };
        self.kind = match card {
            Card::Place(_) => "place",
            Card::Contact(_) => "contact",
            Card::Poll(poll) => {
                self.poll = Some(poll);
                "poll"
            }
        };
        let text = self.text.replace(shown);
        self.alternative = text.filter(|text| Some(text) != self.text.as_ref());
    }

    /// Names the entry that it is about, and whether its author might say so.
    pub(super) fn place(&mut self, known: &mut Known, is_owner: bool) {
        let id = self.replaces.as_ref().or(self.about.as_ref());
        let before = id.and_then(|id| known.get_mut(id));
        self.about_seq = before.as_ref().map(|before| before.seq);
        let is_anothers = before.as_ref().is_some_and(|before| before.user != self.user);
        let changes_card = self.kind == "text" && before.as_ref().is_some_and(|it| it.is_card);
        self.is_void = self.replaces.is_some() && (is_anothers || changes_card)
            || self.kind == "redaction" && !is_owner;
        match (self.kind, before) {
            ("vote", before) => self.vote(before),
            ("poll-close", Some(before)) => {
                let may = is_owner || !is_anothers;
                match before.ballot.as_mut().filter(|_| may) {
                    Some(ballot) => {
                        ballot.closed_seq.get_or_insert(self.seq);
                    }
                    None => self.is_void = true,
                }
            }
            _ => {}
        }
    }

    /// Counts a vote, or says why it does not.
    fn vote(&mut self, before: Option<&mut Before>) {
        let choice = self.choice.unwrap_or_default();
        let numbered = |choice: Choice| {
            choice.iter().map(|option| format!("option {}", option + 1)).collect::<Vec<_>>()
        };
        let Some(before) = before else {
            self.text = Some(numbered(choice).join(", "));
            return;
        };
        let Some(ballot) = &mut before.ballot else {
            self.text = Some(numbered(choice).join(", "));
            self.is_void = true;
            return;
        };
        let counts = ballot.poll.takes(choice) && ballot.closed_seq.is_none();
        let named = choice.iter().map(|option| match ballot.poll.options().get(option) {
            Some(option) => option.clone(),
            None => format!("option {}", option + 1),
        });
        self.text = Some(named.collect::<Vec<_>>().join(", "));
        self.is_void = !counts;
        if !counts {
            return;
        }
        if choice.is_empty() {
            ballot.votes.remove(&self.user);
        } else {
            ballot.votes.insert(self.user.clone(), choice);
        }
    }
}
