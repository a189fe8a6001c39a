//! What the client says about documents, in each language.

use std::io::ErrorKind;

/// What the client says about documents.
#[derive(Debug)]
pub struct DocumentWords {
    /// How a document is: on this device, on its way to the server, on its way here, waiting for another
    /// network. Of those on their way the share is filled in.
    pub states: [&'static str; 4],
    /// Its pages, one or several, and that its preview was not what it has to be.
    pub looked: [&'static str; 3],
    /// Titles of the list: all, pictures, files.
    pub titles: [&'static str; 3],
    /// The list without rows.
    pub none: &'static str,
    /// A document was saved, opened; where is filled in.
    pub saved: &'static str,
    /// See `saved`.
    pub opened: &'static str,
    /// Why nothing was saved in a folder, which is filled in: there is none, it is none, it may not be
    /// written, names are used up, something else.
    pub not_saved: [&'static str; 5],
    /// Nothing was sent, since this is no file or cannot be read.
    pub no_file: &'static str,
    /// What is given up: so many documents, or none.
    pub stopped: [&'static str; 2],
    /// How a command is written.
    pub usage: &'static str,
    /// There is no such command.
    pub no_command: &'static str,
    /// The keys at the foot of the list.
    pub foot: &'static [(&'static str, &'static str)],
    /// The lines of the help.
    pub help: &'static [(&'static str, &'static str)],
}

impl DocumentWords {
    /// Why nothing was saved in a folder, which is to be filled in.
    pub fn not_saved(&self, why: ErrorKind) -> &'static str {
        self.not_saved[match why {
            ErrorKind::NotFound => 0,
            ErrorKind::NotADirectory => 1,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => 2,
            ErrorKind::AlreadyExists => 3,
            _ => 4,
        }]
    }
}

/// English.
pub static ENGLISH: DocumentWords = DocumentWords {
    states: ["here", "↑ {} %", "↓ {} %", "waits for another network"],
    looked: ["{} page", "{} pages", "its preview was refused"],
    titles: ["Documents: all", "Documents: pictures and videos", "Documents: files"],
    none: "no documents",
    saved: "saved: {}",
    opened: "opened until this program ends: {}",
    not_saved: [
        "not saved: there is no folder {}",
        "not saved: {} is no folder",
        "not saved: you may not write in {}",
        "not saved: too many documents of this name are in {}",
        "not saved: {} cannot be written",
    ],
    no_file: "not sent: {} is no file that can be read; a text stands behind --",
    stopped: ["given up: {}", "nothing is under way"],
    usage: "written like this: {}",
    no_command: "no such command, and nothing was sent (a blank before it sends it as it is)",
    foot: &[
        ("↑↓", "choose"),
        ("Enter", "save"),
        ("o", "open"),
        ("x", "give up"),
        ("Tab", "kind"),
        ("Esc", "close"),
    ],
    help: &[
        ("Documents", ""),
        ("F7, Ctrl-O", "list: save, open, give up"),
        ("/file PATH… -- TEXT", "send files; names with spaces in \"…\""),
        ("/save [n] [DIR]", "save the newest, or the n-th"),
        ("/open [n]   /stop", "open it; give up what is under way"),
    ],
};

/// German.
pub static GERMAN: DocumentWords = DocumentWords {
    states: ["hier", "↑ {} %", "↓ {} %", "wartet auf ein anderes Netz"],
    looked: ["{} Seite", "{} Seiten", "Vorschau abgelehnt"],
    titles: ["Dokumente: alle", "Dokumente: Bilder und Videos", "Dokumente: Dateien"],
    none: "keine Dokumente",
    saved: "gespeichert: {}",
    opened: "bis zum Ende dieses Programms geöffnet: {}",
    not_saved: [
        "nicht gespeichert: den Ordner {} gibt es nicht",
        "nicht gespeichert: {} ist kein Ordner",
        "nicht gespeichert: in {} darf nicht geschrieben werden",
        "nicht gespeichert: zu viele Dokumente dieses Namens liegen in {}",
        "nicht gespeichert: in {} lässt sich nichts schreiben",
    ],
    no_file: "nicht gesendet: {} ist keine lesbare Datei; ein Text steht hinter --",
    stopped: ["aufgegeben: {}", "nichts ist unterwegs"],
    usage: "so geschrieben: {}",
    no_command: "diesen Befehl gibt es nicht, nichts wurde gesendet (mit einem Leerzeichen davor doch)",
    foot: &[
        ("↑↓", "wählen"),
        ("Enter", "speichern"),
        ("o", "öffnen"),
        ("x", "aufgeben"),
        ("Tab", "Art"),
        ("Esc", "zu"),
    ],
    help: &[
        ("Dokumente", ""),
        ("F7, Strg-O", "Liste: speichern, öffnen, aufgeben"),
        ("/datei PFAD… -- TEXT", "Dateien senden; mit Leerzeichen: \"…\""),
        ("/sichern [n] [ORDNER]", "das neueste oder n-te speichern"),
        ("/öffnen [n]   /stop", "öffnen; Laufendes aufgeben"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_fill_the_same_gaps_and_fit_the_same_places() {
        let gaps = |text: &str| text.matches("{}").count();
        let all = |words: &DocumentWords| {
            let mut all = words.states.to_vec();
            all.extend(words.looked);
            all.extend(words.not_saved);
            all.extend([words.saved, words.opened, words.usage, words.stopped[0], words.no_file]);
            all.iter().map(|text| gaps(text)).collect::<Vec<_>>()
        };
        assert_eq!(all(&ENGLISH), all(&GERMAN));
        assert_eq!(all(&ENGLISH), [0, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(ENGLISH.help.len(), GERMAN.help.len());
        for (key, what) in ENGLISH.help.iter().chain(GERMAN.help) {
            assert!(key.chars().count() <= 22 && 24 + what.chars().count() <= 66, "{key}");
        }
    }
}
