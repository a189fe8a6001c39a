//! What the client says about messages that are answered, changed and reacted to, in each language.

/// What the client says about messages.
#[derive(Debug)]
pub struct TalkWords {
    /// What stands for a message: taken back by its author, hidden by an owner.
    pub hidden: [&'static str; 2],
    /// Behind a message: changed, pinned.
    pub edited: &'static str,
    /// See `edited`.
    pub pinned: &'static str,
    /// Over a message that is passed on; the author is filled in.
    pub passed_on: &'static str,
    /// A quote whose original is gone, and one that is not here.
    pub quotes: [&'static str; 2],
    /// Over the composer: an answer to somebody, and a change.
    pub answering: &'static str,
    /// See `answering`.
    pub changing: &'static str,
    /// Title of what a message said before, and of who reacts.
    pub history: [&'static str; 2],
    /// Titles of the choice of an emoji and of a conversation to pass a message on to.
    pub titles: [&'static str; 2],
    /// What to type for an emoji.
    pub which_emoji: &'static str,
    /// Question before a message is taken back, and before one is hidden.
    pub ask: [&'static str; 2],
    /// A message was passed on.
    pub was_passed_on: &'static str,
    /// The keys at the foot when a message is chosen.
    pub foot: &'static [(&'static str, &'static str)],
    /// The lines of the help.
    pub help: &'static [(&'static str, &'static str)],
}

/// English.
pub static ENGLISH: TalkWords = TalkWords {
    hidden: ["taken back by its author", "hidden by an owner of the group"],
    edited: "(edited)",
    pinned: "(pinned)",
    passed_on: "↪ passed on from {}",
    quotes: ["the original is gone", "the original is not on this device"],
    answering: "── to {}: {} · Esc: no answer ",
    changing: "── changing a message · Esc: leave it ",
    history: ["What it said", "Who reacts"],
    titles: ["React", "Pass on to"],
    which_emoji: "one emoji",
    ask: ["Take this message back? y/n", "Hide this message from everybody? y/n"],
    was_passed_on: "passed on",
    foot: &[
        ("r", "answer"),
        ("e", "change"),
        ("d", "take back"),
        ("1-6 +", "react"),
        ("w", "pass on"),
        ("v", "history"),
        ("Esc", "done"),
    ],
    help: &[
        ("A message", ""),
        ("F8, Alt-↑", "choose one; ↑ ↓ go on, Enter to what it answers"),
        ("r e d", "answer, change, take back"),
        ("1-6 +", "react: 👍 ❤️ 😂 😮 😢 🙏, or another; again: not"),
        ("w p s v", "pass on, pin, star, what it said and who reacts"),
        ("h", "hide a message of somebody, as an owner"),
        ("@anna, @all", "mentions; Tab completes a name"),
        ("**bold** *italic* `code`", "formats, as do lists and > quotes"),
    ],
};

/// German.
pub static GERMAN: TalkWords = TalkWords {
    hidden: ["zurückgenommen", "von einem Eigentümer der Gruppe verborgen"],
    edited: "(geändert)",
    pinned: "(angeheftet)",
    passed_on: "↪ weitergeleitet, von {}",
    quotes: ["das Original ist nicht mehr da", "das Original ist nicht auf diesem Gerät"],
    answering: "── an {}: {} · Esc: keine Antwort ",
    changing: "── Nachricht ändern · Esc: so lassen ",
    history: ["Was da stand", "Wer reagiert"],
    titles: ["Reagieren", "Weiterleiten an"],
    which_emoji: "ein Emoji",
    ask: ["Diese Nachricht zurücknehmen? j/n", "Diese Nachricht vor allen verbergen? j/n"],
    was_passed_on: "weitergeleitet",
    foot: &[
        ("r", "antworten"),
        ("e", "ändern"),
        ("d", "zurück"),
        ("1-6 +", "reagieren"),
        ("w", "weiter"),
        ("v", "Verlauf"),
        ("Esc", "fertig"),
    ],
    help: &[
        ("Eine Nachricht", ""),
        ("F8, Alt-↑", "wählen; ↑ ↓ weiter, Enter zum Original"),
        ("r e d", "antworten, ändern, zurücknehmen"),
        ("1-6 +", "reagieren: 👍 ❤️ 😂 😮 😢 🙏, +; nochmals: weg"),
        ("w p s v", "weiterleiten, anheften, Stern, Verlauf"),
        ("h", "als Eigentümer jemandes Nachricht verbergen"),
        ("@anna, @alle", "Erwähnungen; Tab ergänzt den Namen"),
        ("**fett** *kursiv* `Code`", "formatiert, auch Listen und > Zitate"),
    ],
};
