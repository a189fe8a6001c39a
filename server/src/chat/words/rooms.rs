//! What the client says about groups and announcements, and about what is to be confirmed, in each language.

/// What the client says about conversations of several people.
#[derive(Debug)]
pub struct RoomWords {
    /// Where the composer would be, for whoever only reads.
    pub read_only: &'static str,
    /// What is to begin: a group, a room for announcements; Tab changes it.
    pub kinds: [&'static str; 2],
    /// Whether those who come later see what was said before: no, yes; the second key changes it.
    pub past: [&'static str; 2],
    /// Lines of a dialog: made an owner, no owner any more, named so, without a name, given a picture, without
    /// a picture.
    pub lines: [&'static str; 6],
    /// A past that was handed over: the line about it, whose it is in the list, and in its title.
    pub handed: [&'static str; 3],
    /// Behind the name of an owner.
    pub owner: &'static str,
    /// What a failed change was: name an owner, withdraw one.
    pub changes: [&'static str; 2],
    /// Under a message that asks: that it does, that one has, and that this is not sent yet.
    pub asks: [&'static str; 3],
    /// Under one's own, or to an owner: so many of so many have.
    pub count: &'static str,
    /// In the list: so many are to be confirmed.
    pub due: &'static str,
    /// Title of the list of who has confirmed; so many of so many are filled in.
    pub title: &'static str,
    /// What is said of a person in it: not yet, came later and not yet, left before, when he has, and that
    /// it was an earlier text.
    pub standing: [&'static str; 5],
    /// Behind who came later and has.
    pub later: &'static str,
    /// What a reminder says before it calls those whom it is for.
    pub remind: &'static str,
    /// That those were reminded, and where the list was written to.
    pub done: [&'static str; 2],
    /// What is asked before an owner is withdrawn who is oneself.
    pub ask_withdraw: &'static str,
    /// The keys at the foot of that list.
    pub foot: &'static [(&'static str, &'static str)],
    /// The lines of the help.
    pub help: &'static [(&'static str, &'static str)],
}

/// English.
pub static ENGLISH: RoomWords = RoomWords {
    read_only: "only owners write here; F8 and c confirm a message",
    kinds: ["a group: everybody writes", "announcements: only owners write, the others confirm"],
    past: ["who comes later sees nothing from before", "who comes later sees what was said before"],
    lines: [
        "{} made {} an owner",
        "{} ended this ownership: {}",
        "{} called this conversation “{}”",
        "{} took this conversation's name away",
        "{} changed the picture",
        "{} took the picture away",
    ],
    handed: [
        "{}'s past here was handed over to {} (signed {})",
        "handed over from {}",
        "handed over from {}: to be read only",
    ],
    owner: " · owner",
    changes: ["make {} an owner", "let {} be no owner any more"],
    asks: ["please confirm: F8, then c", "confirmed ✓", "confirmed …"],
    count: "{} of {} confirmed · F8, then l: who",
    due: "! {} to confirm",
    title: "Confirmed: {} of {}",
    standing: ["not yet", "came later, not yet", "left before", "{}", "{}, an earlier text"],
    later: " (came later)",
    remind: "Please confirm:",
    done: ["reminded", "written to {}"],
    ask_withdraw: "Let {} be no owner any more?",
    foot: &[("↑↓", "scroll"), ("r", "remind"), ("e", "export"), ("Esc", "close")],
    help: &[
        ("Groups, announcements", ""),
        ("/ask TEXT", "a message that everybody is to confirm"),
        ("/ask /file PATH -- TEXT", "the same with documents"),
        ("F8, then c", "confirm a message"),
        ("F8, then l", "who has confirmed; r reminds, e exports"),
        ("/announce A; B | TEXT", "to be confirmed in several rooms; *: all"),
        ("/picture [PATH]", "the conversation's picture, or none"),
        ("F5, then o", "make somebody an owner, or not any more"),
    ],
};

/// German.
pub static GERMAN: RoomWords = RoomWords {
    read_only: "hier schreiben nur Eigentümer; F8 und c bestätigt eine Nachricht",
    kinds: ["eine Gruppe: alle schreiben", "Ankündigungen: nur Eigentümer schreiben"],
    past: ["wer später kommt, sieht nichts Früheres", "wer später kommt, sieht auch Früheres"],
    lines: [
        "{}: zum Eigentümer gemacht: {}",
        "{}: nicht mehr Eigentümer: {}",
        "{}: neuer Name „{}“",
        "{}: Name entfernt",
        "{}: neues Bild",
        "{}: Bild entfernt",
    ],
    handed: [
        "Vergangenheit hier übergeben: {} → {} (unterschrieben {})",
        "übergeben von {}",
        "übergeben von {}: nur zum Lesen",
    ],
    owner: " · Eigentümer",
    changes: ["{} zum Eigentümer machen", "{} nicht mehr Eigentümer sein lassen"],
    asks: ["bitte bestätigen: F8, dann c", "bestätigt ✓", "bestätigt …"],
    count: "{} von {} bestätigt · F8, dann l: wer",
    due: "! {} zu bestätigen",
    title: "Bestätigt: {} von {}",
    standing: [
        "noch nicht",
        "kam später, noch nicht",
        "vorher ausgetreten",
        "{}",
        "{}, frühere Fassung",
    ],
    later: " (kam später)",
    remind: "Bitte noch bestätigen:",
    done: ["erinnert", "geschrieben nach {}"],
    ask_withdraw: "{} nicht mehr Eigentümer sein lassen?",
    foot: &[("↑↓", "blättern"), ("r", "erinnern"), ("e", "Liste speichern"), ("Esc", "zu")],
    help: &[
        ("Gruppen, Ankündigungen", ""),
        ("/fragen TEXT", "eine Nachricht, die alle bestätigen sollen"),
        ("/fragen /datei PFAD", "dasselbe mit Dokumenten"),
        ("F8, dann c", "eine Nachricht bestätigen"),
        ("F8, dann l", "wer bestätigt hat; r erinnert, e speichert"),
        ("/aushang A; B | TEXT", "zu bestätigen in mehreren Räumen; *: alle"),
        ("/bild [PFAD]", "das Bild der Unterhaltung, oder keines"),
        ("F5, dann o", "jemanden zum Eigentümer machen, oder nicht"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_fill_the_same_gaps() {
        let texts = |words: &'static RoomWords| {
            let lists = [&words.lines[..], &words.changes, &words.standing, &words.done];
            let one = [words.count, words.due, words.title, words.ask_withdraw];
            lists.concat().into_iter().chain(one).map(|text| text.matches("{}").count())
        };
        assert!(texts(&ENGLISH).eq(texts(&GERMAN)));
        assert_eq!(ENGLISH.help.len(), GERMAN.help.len());
        let fits = |(key, what): &(&str, &str)| {
            key.chars().count() <= 24 && 26 + what.chars().count() <= 70
        };
        assert!(ENGLISH.help.iter().chain(GERMAN.help).all(fits));
    }
}
