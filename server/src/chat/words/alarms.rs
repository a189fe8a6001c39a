//! What the client says of a server that breaks its promises, and of devices that were set back, in each
//! language: what happened, what that means, what to do.

use hauspost_core::read::{AlarmKind, AlarmReport};

/// What the client says of alarms.
#[derive(Debug)]
pub struct AlarmWords {
    /// The line over everything: one alarm, which is filled in, and several, with their number and the
    /// gravest.
    pub line: [&'static str; 2],
    /// Title of the list.
    pub title: &'static str,
    /// The list without rows.
    pub none: &'static str,
    /// Behind an alarm: in which conversation, how often since when, that it was seen.
    pub in_room: &'static str,
    /// See `in_room`.
    pub times: &'static str,
    /// See `in_room`.
    pub seen: &'static str,
    /// Before what to do.
    pub to_do: &'static str,
    /// The number of a rule, for whoever looks into it.
    pub code: &'static str,
    /// Whether an admin knows: yes, and not yet.
    pub reports: [&'static str; 2],
    /// Of each kind what happened, what it means and what to do.
    pub kinds: [[&'static str; 3]; 9],
    /// The keys at the foot of the list.
    pub foot: &'static [(&'static str, &'static str)],
    /// The lines of the help.
    pub help: &'static [(&'static str, &'static str)],
}

impl AlarmWords {
    /// What happened, what it means and what to do.
    pub fn of(&self, kind: AlarmKind) -> [&'static str; 3] {
        self.kinds[match kind {
            AlarmKind::TwoHistories => 0,
            AlarmKind::Checkpoint => 1,
            AlarmKind::Past => 2,
            AlarmKind::Copied => 3,
            AlarmKind::CompanyLog => 4,
            AlarmKind::BrokenRule => 5,
            AlarmKind::Colleague => 6,
            AlarmKind::Reset => 7,
            AlarmKind::Newer => 8,
        }]
    }

    /// Whether an admin knows, where he is to know.
    pub fn report(&self, report: AlarmReport) -> Option<&'static str> {
        match report {
            AlarmReport::Made => Some(self.reports[0]),
            AlarmReport::Waits => Some(self.reports[1]),
            AlarmReport::None => None,
        }
    }
}

/// English.
pub static ENGLISH: AlarmWords = AlarmWords {
    line: [" ! {} · F9: what to do", " ! {} warnings: {} · F9: what to do"],
    title: "Warnings",
    none: "nothing is wrong",
    in_room: "in “{}”",
    times: "{} times since {}",
    seen: "seen",
    to_do: "What to do: ",
    code: "For whoever looks into it: number {}",
    reports: [
        "The administration knows: the company log has it.",
        "The administration does not know yet: the report has not been taken. Tell them yourself.",
    ],
    kinds: [
        [
            "The server shows two different histories",
            "What this device was shown does not fit what others were shown, or what it saw before. \
             That is how it looks when somebody at the server leaves messages out or changes them.",
            "Write nothing confidential here. Tell the works council or the administration, in person \
             or by telephone and not by this app. Keep this device as it is: it holds the evidence.",
        ],
        [
            "The server's seals are not right",
            "The server signs every minute where all conversations stand. What it showed now does not \
             fit what this device knows of it.",
            "Write nothing confidential here. Tell the works council or the administration, in person \
             or by telephone and not by this app.",
        ],
        [
            "The server shows an old state, or holds something back",
            "Messages to you may be missing, though you are connected. After an outage of the server \
             that passes by itself.",
            "If it is urgent, ask in another way. If it lasts longer than an hour, tell the \
             administration.",
        ],
        [
            "This device was set back or copied",
            "Somebody wrote with this device's keys, or it was put back from a backup. It has drawn new \
             keys by itself before it sends again.",
            "If it was not you who put it back, tell the administration at once: the device has to be \
             locked out.",
        ],
        [
            "The company's log holds something that nobody has signed",
            "An entry about devices, rights or keys of the company is not valid. This device did not \
             obey it.",
            "Tell the administration and the works council.",
        ],
        [
            "The server took something that it has to refuse",
            "This device did not take it over; a conversation may show a gap or stand still.",
            "Tell the administration, with the number below.",
        ],
        [
            "What another person's device sent does not fit",
            "Mostly a fault, or a device that was put back from a backup. The conversation finds its \
             way back by itself.",
            "Nothing, unless it comes again and again: then tell the administration.",
        ],
        [
            "This device made a conversation's keys anew",
            "Nobody could follow the conversation any more. It goes on with the same people, and \
             nothing is lost.",
            "Nothing. If it happens often, tell the administration.",
        ],
        [
            "Something here is known to a newer version only",
            "A conversation waits until this app can read it.",
            "Update the app.",
        ],
    ],
    foot: &[("↑↓", "scroll"), ("a", "seen, all of it"), ("Esc", "close")],
    help: &[("F9, !", "warnings: what happened, what to do")],
};

/// German.
pub static GERMAN: AlarmWords = AlarmWords {
    line: [" ! {} · F9: was tun", " ! {} Warnungen: {} · F9: was tun"],
    title: "Warnungen",
    none: "alles in Ordnung",
    in_room: "in „{}“",
    times: "{} Mal seit {}",
    seen: "gesehen",
    to_do: "Was tun: ",
    code: "Für die, die es untersuchen: Nummer {}",
    reports: [
        "Die Administration weiß davon: es steht im Firmenprotokoll.",
        "Die Administration weiß noch nichts: die Meldung kam nicht an. Sag es selbst.",
    ],
    kinds: [
        [
            "Der Server zeigt zwei verschiedene Verläufe",
            "Was dieses Gerät zu sehen bekam, passt nicht zu dem, was andere sahen oder was es selbst \
             früher sah. So sieht es aus, wenn jemand am Server Nachrichten unterschlägt oder ändert.",
            "Schreib hier nichts Vertrauliches. Sag es dem Betriebsrat oder der Administration, \
             persönlich oder am Telefon und nicht über diese App. Lass dieses Gerät, wie es ist: es \
             bewahrt den Beweis auf.",
        ],
        [
            "Die Siegel des Servers stimmen nicht",
            "Der Server unterschreibt jede Minute, wie weit alle Gespräche sind. Was er jetzt zeigte, \
             passt nicht zu dem, was dieses Gerät davon weiß.",
            "Schreib hier nichts Vertrauliches. Sag es dem Betriebsrat oder der Administration, \
             persönlich oder am Telefon und nicht über diese App.",
        ],
        [
            "Der Server zeigt einen alten Stand oder hält etwas zurück",
            "Nachrichten an dich können fehlen, obwohl die Verbindung steht. Nach einer Störung des \
             Servers vergeht das von selbst.",
            "Frag nach auf anderem Weg, wenn es eilt. Dauert es länger als eine Stunde, sag der \
             Administration Bescheid.",
        ],
        [
            "Dieses Gerät wurde zurückgesetzt oder kopiert",
            "Jemand schrieb mit den Schlüsseln dieses Geräts, oder es kam aus einer Sicherung zurück. \
             Bevor es wieder sendet, zieht es von selbst neue Schlüssel.",
            "Hast du es nicht selbst zurückgespielt, sag es sofort der Administration: das Gerät muss \
             gesperrt werden.",
        ],
        [
            "Im Firmenprotokoll steht etwas, das niemand unterschrieben hat",
            "Ein Eintrag über Geräte, Rechte oder Schlüssel der Firma gilt nicht. Dieses Gerät hat ihn \
             nicht befolgt.",
            "Sag der Administration und dem Betriebsrat Bescheid.",
        ],
        [
            "Der Server nahm etwas an, das er ablehnen muss",
            "Dieses Gerät hat es nicht übernommen; in einem Gespräch kann eine Lücke stehen, oder es \
             steht still.",
            "Sag der Administration Bescheid, mit der Nummer unten.",
        ],
        [
            "Was das Gerät von jemand anderem schickte, passt nicht",
            "Meist ein Fehler, oder ein Gerät, das aus einer Sicherung kam. Das Gespräch findet von \
             selbst zurück.",
            "Nichts, außer es kommt immer wieder: dann sag der Administration Bescheid.",
        ],
        [
            "Dieses Gerät hat ein Gespräch auf neue Schlüssel gestellt",
            "Niemand konnte dem Gespräch mehr folgen. Es geht mit denselben Leuten weiter, und nichts \
             ist verloren.",
            "Nichts. Geschieht es oft, sag der Administration Bescheid.",
        ],
        [
            "Etwas hier kennt erst eine neuere Version",
            "Ein Gespräch wartet, bis diese App es lesen kann.",
            "Bring die App auf den neuen Stand.",
        ],
    ],
    foot: &[("↑↓", "blättern"), ("a", "alles gesehen"), ("Esc", "zu")],
    help: &[("F9, !", "Warnungen: was war, was zu tun ist")],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_fill_the_same_gaps_and_fit_the_same_places() {
        let gaps = |words: &AlarmWords| {
            let [one, several] = words.line;
            let all = [one, several, words.in_room, words.times, words.code];
            all.map(|text| text.matches("{}").count())
        };
        assert_eq!((gaps(&ENGLISH), gaps(&GERMAN)), ([1, 2, 1, 2, 1], [1, 2, 1, 2, 1]));
        for words in [&ENGLISH, &GERMAN] {
            for [what, means, to_do] in words.kinds {
                // The line over everything holds it on 80 columns.
                assert!(what.chars().count() <= 62 && !what.ends_with('.'), "{what}");
                assert!(means.ends_with('.') && to_do.ends_with('.'), "{what}");
            }
            for (key, what) in words.help {
                assert!(key.chars().count() <= 24 && 26 + what.chars().count() <= 70);
            }
        }
    }
}
