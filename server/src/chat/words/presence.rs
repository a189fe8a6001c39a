//! What the client says about who is typing and who was last there, in each language.

/// What the client says about the people of a conversation.
#[derive(Debug)]
pub struct PresenceWords {
    /// One types; two do; one and so many others.
    pub typing: [&'static str; 3],
    /// Somebody is there.
    pub here: &'static str,
    /// He was last there: today at, yesterday at, on.
    pub seen: [&'static str; 3],
    /// The bell: it rings for new messages; it does not any more.
    pub bell: [&'static str; 2],
    /// The lines of the help.
    pub help: &'static [(&'static str, &'static str)],
}

/// English.
pub static ENGLISH: PresenceWords = PresenceWords {
    typing: ["{} is typing …", "{} and {} are typing …", "{} and {} others are typing …"],
    here: "there now",
    seen: ["last seen today at {}", "last seen yesterday at {}", "last seen on {}"],
    bell: ["the bell rings for new messages", "the bell does not ring"],
    help: &[
        ("/typing off", "nobody sees that you write, nor you; on"),
        ("/seen off", "nobody sees when you were here, nor you; on"),
        ("/bell off", "no sound for new messages; on"),
    ],
};

/// German.
pub static GERMAN: PresenceWords = PresenceWords {
    typing: ["{} schreibt …", "{} und {} schreiben …", "{} und {} weitere schreiben …"],
    here: "gerade da",
    seen: ["zuletzt heute um {}", "zuletzt gestern um {}", "zuletzt am {}"],
    bell: ["die Klingel läutet bei neuen Nachrichten", "die Klingel läutet nicht"],
    help: &[
        ("/tippt aus", "niemand sieht, dass du schreibst, und du nicht; an"),
        ("/zuletzt aus", "niemand sieht, wann du da warst, und du nicht; an"),
        ("/klingel aus", "kein Ton bei neuen Nachrichten; an"),
    ],
};
