//! Every text that the client shows, in each language that it speaks; `{}` stands for what is filled
//! in, in order.

use hauspost_core::store::rows::mark::MarkKind;

mod alarms;
mod cards;
mod company;
mod documents;
mod english;
mod enrol;
mod german;
mod presence;
mod rooms;
mod talk;

pub use alarms::AlarmWords;
pub use cards::CardWords;
pub use company::{CompanyWords, Withheld};
pub use documents::DocumentWords;
pub use enrol::EnrolWords;
pub use presence::PresenceWords;
pub use rooms::RoomWords;

/// What the client says, in one language.
#[derive(Debug)]
pub struct Words {
    /// Which of a pair of texts is this language's: English stands before German.
    pub language: usize,
    /// How the server is reached: not yet, yes, no longer, and refused.
    pub link: [&'static str; 4],
    /// The list without rows, and what to do then.
    pub no_rooms: [&'static str; 2],
    /// What stands for the person at the terminal.
    pub you: &'static str,
    /// Somebody whose name is not known.
    pub somebody: &'static str,
    /// A person's own notes.
    pub notes: &'static str,
    /// What stands over the list of conversations that are put away.
    pub archived: &'static str,
    /// A group without a name.
    pub nameless: &'static str,
    /// A draft in the list.
    pub draft: &'static str,
    /// A conversation that the person left, in the list and in its title.
    pub left: [&'static str; 2],
    /// A conversation that was stopped: in its title; because of the server; to be mended.
    pub stopped: [&'static str; 3],
    /// Only a newer version knows it: in the list, as a line, as a message of somebody.
    pub newer: [&'static str; 3],
    /// Something that could not be opened: in the list, and as a line.
    pub gap: [&'static str; 2],
    /// What is not readable on this device yet: in the list, and as a line with its number.
    pub unreadable: [&'static str; 2],
    /// How many of them have come.
    pub coming: &'static str,
    /// An erased message: in the list, and as a line.
    pub erased: [&'static str; 2],
    /// Where older messages are, where newer ones are, and how many not named.
    pub older: &'static str,
    /// See `older`.
    pub below: &'static str,
    /// See `older`.
    pub more: &'static str,
    /// The line before what is new.
    pub new_messages: &'static str,
    /// One message is missing, or several.
    pub missing: [&'static str; 2],
    /// Events of a conversation.
    pub created: &'static str,
    /// See `created`.
    pub joined: &'static str,
    /// See `created`.
    pub added: &'static str,
    /// See `created`.
    pub removed: &'static str,
    /// See `created`.
    pub went: &'static str,
    /// See `created`.
    pub reset: &'static str,
    /// A message that failed, with its reason.
    pub failed: &'static str,
    /// A change that failed, with what it was and its reason.
    pub failed_change: &'static str,
    /// What a failed change was: begin, add, remove, leave, rename, something else.
    pub changes: [&'static str; 6],
    /// About messages.
    pub talk: &'static talk::TalkWords,
    /// About who is typing and who was last there.
    pub presence: &'static PresenceWords,
    /// About groups and announcements.
    pub rooms: &'static RoomWords,
    /// What everybody in a conversation is called behind an @.
    pub everybody: &'static str,
    /// What a failed change of a message was: to change, take back, hide, react, take a reaction back,
    /// pin, take a pin off, vote, close a poll, confirm.
    pub marks: [&'static str; 10],
    /// Why the server did not take something, by its code.
    pub reasons: &'static [(u64, &'static str)],
    /// Another code; none.
    pub refused: [&'static str; 2],
    /// What failed on this device, by its code.
    pub errors: &'static [(&'static str, &'static str)],
    /// A text that was not taken.
    pub not_sent: &'static str,
    /// What is not possible now: writing, without a conversation, without a group.
    pub not_here: &'static str,
    /// See `not_here`.
    pub open_first: &'static str,
    /// See `not_here`.
    pub no_group: &'static str,
    /// The composer when the list has the keys.
    pub write_here: &'static str,
    /// Titles of what lies over list and dialog: keys, search, new group, name, write to, device.
    pub titles: [&'static str; 6],
    /// People of a new group; more people; people of a conversation.
    pub people_of: &'static str,
    /// See `people_of`.
    pub add_people: &'static str,
    /// See `people_of`.
    pub people: &'static str,
    /// What a group is called.
    pub called: &'static str,
    /// Which code another device shows, and that it was let in.
    pub code: &'static str,
    /// See `code`.
    pub approved: &'static str,
    /// The search before a word, without a hit, and while older messages are not in it; where a hit is.
    pub search: [&'static str; 3],
    /// See `search`.
    pub found_in: &'static str,
    /// A filter of a search that cannot be understood: nobody, several, no conversation, no date, no
    /// kind.
    pub search_faults: [&'static str; 5],
    /// Who was chosen, and that nobody fits.
    pub with: &'static str,
    /// See `with`.
    pub nobody: &'static str,
    /// Behind the own name.
    pub is_you: &'static str,
    /// Questions: leave, remove; how to answer, and the letter that means yes.
    pub ask_leave: &'static str,
    /// See `ask_leave`.
    pub ask_remove: &'static str,
    /// See `ask_leave`.
    pub answer: &'static str,
    /// See `ask_leave`.
    pub yes: char,
    /// Today and yesterday.
    pub days: [&'static str; 2],
    /// The days of the week, from Monday on.
    pub weekdays: [&'static str; 7],
    /// The months.
    pub months: [&'static str; 12],
    /// The months, short.
    pub short_months: [&'static str; 12],
    /// What is said while a device enrols.
    pub enrol: &'static EnrolWords,
    /// What it says of alarms.
    pub alarms: &'static AlarmWords,
    /// What it says of the company's policy.
    pub company: &'static CompanyWords,
    /// What it says about documents.
    pub documents: &'static DocumentWords,
    /// What it says about places, contacts, polls and voice messages.
    pub cards: &'static CardWords,
    /// What stands behind the number of a day.
    pub ordinal: &'static str,
    /// The keys at the foot of help, search, title, person, people, members, list and dialog.
    pub foot: [&'static [(&'static str, &'static str)]; 8],
    /// All keys, by where they are.
    pub help: &'static [(&'static str, &'static str)],
}

impl Words {
    /// The words of the first of these settings that names a language, as `LC_ALL`, `LC_MESSAGES` and
    /// `LANG` do; English where none does.
    pub fn of<S: AsRef<str>>(settings: impl IntoIterator<Item = S>) -> &'static Self {
        let named = settings.into_iter().find(|setting| !setting.as_ref().is_empty());
        let german = named.is_some_and(|setting| {
            let language = setting.as_ref().split(['_', '.', '-', '@']).next().unwrap_or_default();
            language.eq_ignore_ascii_case("de")
        });
        if german { &german::WORDS } else { &english::WORDS }
    }

    /// English.
    pub fn english() -> &'static Self {
        &english::WORDS
    }

    /// German.
    pub fn german() -> &'static Self {
        &german::WORDS
    }

    /// Every line of the help.
    pub fn all_help(&self) -> Vec<(&'static str, &'static str)> {
        let of_all = [
            self.help,
            self.talk.help,
            self.documents.help,
            self.cards.help,
            self.rooms.help,
            self.alarms.help,
            self.company.help,
            self.presence.help,
        ];
        of_all.concat()
    }

    /// What a failed change of a message was.
    pub fn change(&self, kind: MarkKind) -> &'static str {
        let number = match kind {
            MarkKind::Edit => 0,
            MarkKind::Deletion => 1,
            MarkKind::Redaction => 2,
            MarkKind::Reaction => 3,
            MarkKind::Unreaction => 4,
            MarkKind::Pin => 5,
            MarkKind::Unpin => 6,
            MarkKind::Vote => 7,
            MarkKind::ClosePoll => 8,
            MarkKind::Acknowledgement => 9,
            MarkKind::Newer => return self.changes[5],
        };
        self.marks[number]
    }

    /// Why the server did not take something.
    pub fn reason(&self, code: Option<u64>) -> String {
        let Some(code) = code else { return self.refused[1].to_owned() };
        let known = self.reasons.iter().find(|(known, _)| *known == code);
        known.map_or_else(
            || fill(self.refused[0], &[&code.to_string()]),
            |(_, text)| (*text).to_owned(),
        )
    }

    /// What failed on this device, by the code of `AccountError`.
    pub fn error(&self, code: &str) -> &'static str {
        let known = self.errors.iter().find(|(known, _)| *known == code);
        known.or(self.errors.last()).map_or("", |(_, text)| text)
    }
}

/// A text with its gaps filled, in order.
pub fn fill(text: &str, with: &[&str]) -> String {
    let mut parts = text.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for (i, part) in parts.enumerate() {
        filled.push_str(with.get(i).unwrap_or(&""));
        filled.push_str(part);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_setting_that_is_set_names_the_language() {
        let german = |settings: &[&str]| std::ptr::eq(Words::of(settings), Words::german());
        assert!(german(&["de_DE.UTF-8"]) && german(&["", "de"]) && german(&["DE-at"]));
        for other in [&[][..], &["C"], &["en_GB.UTF-8", "de_DE"], &["den_CA"], &[""]] {
            assert!(!german(other), "{other:?}");
        }
    }

    #[test]
    fn gaps_are_filled_in_order_and_what_is_filled_in_is_not_looked_at() {
        assert_eq!(fill("{} an {}", &["{}", "b"]), "{} an b");
        assert_eq!(fill("ohne", &["a"]), "ohne");
        assert_eq!(fill("{}{}", &["a"]), "a");
    }

    #[test]
    fn both_languages_fill_the_same_gaps_and_fit_the_same_places() {
        let (english, german) = (Words::english(), Words::german());
        let gaps = |text: &str| text.matches("{}").count();
        let pairs = [
            (english.missing[1], german.missing[1]),
            (english.joined, german.joined),
            (english.added, german.added),
            (english.removed, german.removed),
            (english.went, german.went),
            (english.reset, german.reset),
            (english.created, german.created),
            (english.failed, german.failed),
            (english.enrol.waits, german.enrol.waits),
            (english.enrol.approved, german.enrol.approved),
            (english.failed_change, german.failed_change),
            (english.found_in, german.found_in),
            (english.people_of, german.people_of),
            (english.people, german.people),
            (english.ask_remove, german.ask_remove),
            (english.refused[0], german.refused[0]),
            (english.unreadable[1], german.unreadable[1]),
            (english.coming, german.coming),
            (english.search_faults[0], german.search_faults[0]),
            (english.search_faults[1], german.search_faults[1]),
            (english.search_faults[2], german.search_faults[2]),
            (english.search_faults[3], german.search_faults[3]),
            (english.search_faults[4], german.search_faults[4]),
        ];
        for (one, other) in pairs {
            assert_eq!(gaps(one), gaps(other), "{one} / {other}");
            assert!(gaps(one) > 0, "{one}");
        }
        for (one, other) in english.changes.iter().zip(german.changes) {
            assert_eq!(gaps(one), gaps(other), "{one} / {other}");
        }
        let codes = |words: &Words| words.reasons.iter().map(|(code, _)| *code).collect::<Vec<_>>();
        assert_eq!(codes(english), codes(german));
        let names = |words: &Words| words.errors.iter().map(|(code, _)| *code).collect::<Vec<_>>();
        assert_eq!(names(english), names(german));
        assert_eq!(english.help.len(), german.help.len());
        assert_eq!(english.talk.help.len(), german.talk.help.len());
        assert_eq!(english.presence.help.len(), german.presence.help.len());
        assert_eq!(gaps(english.talk.answering), gaps(german.talk.answering));
        let fits = |(key, what): &(&str, &str)| {
            key.chars().count() <= 24 && 26 + what.chars().count() <= 70
        };
        assert!(german.help.iter().chain(english.help).all(fits));
    }
}
