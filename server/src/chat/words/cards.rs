//! What the client says about places, contacts, polls and voice messages, in each language.

use hauspost_core::store::rows::message::MessageKind;

/// What the client says about cards.
#[derive(Debug)]
pub struct CardWords {
    /// A place, a contact and a poll in the list of conversations.
    pub list: [&'static str; 3],
    /// Behind a person of the company.
    pub colleague: &'static str,
    /// How far a place may be off; the metres are filled in.
    pub accuracy: &'static str,
    /// Nobody voted, one did, so many did.
    pub voters: [&'static str; 3],
    /// The poll takes votes, which everybody sees.
    pub open: &'static str,
    /// It does not any more; who closed it is filled in.
    pub closed: &'static str,
    /// The same, where there is a vote to be cast.
    pub is_closed: &'static str,
    /// Question before a poll is closed.
    pub ask_close: &'static str,
    /// Over a poll to vote in.
    pub title: &'static str,
    /// The keys at the foot over a poll to vote in, and when a poll is chosen.
    pub ballot_foot: &'static [(&'static str, &'static str)],
    /// See `ballot_foot`.
    pub poll_foot: &'static [(&'static str, &'static str)],
    /// A voice message whose length nobody said.
    pub no_duration: &'static str,
    /// The lines of the help.
    pub help: &'static [(&'static str, &'static str)],
}

impl CardWords {
    /// A card in the list of conversations.
    pub fn list(&self, kind: MessageKind) -> &'static str {
        match kind {
            MessageKind::Place => self.list[0],
            MessageKind::Contact => self.list[1],
            _ => self.list[2],
        }
    }
}

/// English.
pub static ENGLISH: CardWords = CardWords {
    list: ["Place: {}", "Contact: {}", "Poll: {}"],
    colleague: "(colleague)",
    accuracy: " ± {} m",
    voters: ["nobody has voted", "1 person has voted", "{} people have voted"],
    open: "all see who chose what",
    closed: "closed by {}",
    is_closed: "closed; no more votes",
    ask_close: "Close this poll for everybody? y/n",
    title: "Vote",
    ballot_foot: &[("Space", "choose"), ("Enter", "vote"), ("x", "take back"), ("Esc", "close")],
    poll_foot: &[
        ("a", "vote"),
        ("c", "close the poll"),
        ("r", "answer"),
        ("d", "take back"),
        ("1-6 +", "react"),
        ("Esc", "done"),
    ],
    no_duration: "?:??",
    help: &[
        ("Places, polls, voice", ""),
        ("/place 52.5, 13.4 NAME", "send a place"),
        ("/contact @ben", "a colleague, or NAME; +49…; a@b; FIRM"),
        ("/poll WHAT?; A; B", "ask all; /poll* lets them choose several"),
        ("/voice PATH", "send a recording as a voice message"),
        ("F8, then a c o", "vote in a poll, close it, open a document"),
    ],
};

/// German.
pub static GERMAN: CardWords = CardWords {
    list: ["Ort: {}", "Kontakt: {}", "Umfrage: {}"],
    colleague: "(aus dem Haus)",
    accuracy: " ± {} m",
    voters: ["noch keine Stimme", "1 Person hat abgestimmt", "{} Personen haben abgestimmt"],
    open: "alle sehen, wer was wählt",
    closed: "geschlossen von {}",
    is_closed: "geschlossen; keine Stimmen mehr",
    ask_close: "Diese Umfrage für alle schließen? j/n",
    title: "Abstimmen",
    ballot_foot: &[
        ("Leertaste", "wählen"),
        ("Enter", "abstimmen"),
        ("x", "zurücknehmen"),
        ("Esc", "zu"),
    ],
    poll_foot: &[
        ("a", "abstimmen"),
        ("c", "schließen"),
        ("r", "antworten"),
        ("d", "zurück"),
        ("1-6 +", "reagieren"),
        ("Esc", "fertig"),
    ],
    no_duration: "?:??",
    help: &[
        ("Orte, Umfragen, Ton", ""),
        ("/ort 52.5, 13.4 NAME", "einen Ort senden"),
        ("/kontakt @ben", "aus dem Haus, oder NAME; +49…; a@b; FIRMA"),
        ("/umfrage WAS?; A; B", "alle fragen; /umfrage* für mehrere Antworten"),
        ("/sprache PFAD", "eine Aufnahme als Sprachnachricht senden"),
        ("F8, dann a c o", "abstimmen, schließen, ein Dokument öffnen"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_fill_the_same_gaps_and_fit_the_same_places() {
        let gaps = |words: &CardWords| {
            let mut all = words.list.to_vec();
            all.extend(words.voters);
            all.extend([words.accuracy, words.closed]);
            all.iter().map(|text| text.matches("{}").count()).collect::<Vec<_>>()
        };
        assert_eq!(gaps(&ENGLISH), [1, 1, 1, 0, 0, 1, 1, 1]);
        assert_eq!(gaps(&ENGLISH), gaps(&GERMAN));
        assert_eq!(ENGLISH.help.len(), GERMAN.help.len());
        for (key, what) in ENGLISH.help.iter().chain(GERMAN.help) {
            assert!(key.chars().count() <= 22 && 24 + what.chars().count() <= 70, "{key}");
        }
    }
}
