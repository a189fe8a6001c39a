//! What a person types behind a slash: documents sent, saved, opened, given up; places, contacts, polls;
//! what is to be confirmed; a conversation's picture.

use std::path::PathBuf;

use hauspost_core::account::Trace;
use hauspost_protocol::company::policy::{QuietPlan, QuietSpan};
use hauspost_protocol::content::Card;

mod cards;

/// What is to be done in the open conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Send these files with this text, which may be empty.
    File(Vec<PathBuf>, String),
    /// Save the document of this number, counted from the newest, in this folder or the usual one.
    Save(usize, Option<PathBuf>),
    /// Open the document of this number.
    Open(usize),
    /// Give up what is being sent and fetched.
    Stop,
    /// Send this place, contact or poll.
    Card(Box<Card>),
    /// Send the contact of the colleague who is called so.
    Colleague(String),
    /// Send this recording as a voice message.
    Voice(PathBuf),
    /// Send this text as an alarm.
    Alarm(String),
    /// Show what the company can see.
    Company,
    /// Set quiet hours of this person's own; nothing lets those of the policy hold.
    Quiet(Option<QuietPlan>),
    /// Whether others see what this person reads.
    Receipts(bool),
    /// Whether others see that this person types, or when he was last there.
    Trace(Trace, bool),
    /// Whether the bell rings.
    Bell(bool),
    /// Send a text that everybody is to confirm, with these files.
    Ask(Vec<PathBuf>, String),
    /// Write a text that everybody is to confirm into these rooms for announcements, as one; none for all of this
    /// person's.
    Announce(Vec<String>, String),
    /// Give the conversation this picture, or none.
    Picture(Option<PathBuf>),
}

/// How a command is written, in English and in German.
pub type Usage = [&'static str; 2];

/// Why a text behind a slash is no command, and is not sent either: what was sent stays in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is written otherwise.
    Written(Usage),
    /// There is none of this name.
    Unknown,
}

const FILE: Usage = ["/file PATH… [-- TEXT]", "/datei PFAD… [-- TEXT]"];
const SAVE: Usage = ["/save [1…] [DIR]", "/sichern [1…] [ORDNER]"];
const OPEN: Usage = ["/open [1…]", "/öffnen [1…]"];
const STOP: Usage = ["/stop", "/stop"];
const VOICE: Usage = ["/voice PATH", "/sprache PFAD"];
const PLACE: Usage = ["/place 52.52, 13.405 [NAME]", "/ort 52.52, 13.405 [NAME]"];
const CONTACT: Usage = ["/contact @ben, NAME; +49…; a@b", "/kontakt @ben, NAME; +49…; a@b"];
const POLL: Usage = ["/poll WHAT?; THIS; THAT", "/umfrage WAS?; DIES; DAS"];
const POLL_OF_SEVERAL: Usage = ["/poll* WHICH?; THIS; THAT", "/umfrage* WELCHE?; DIESE; JENE"];
const ALARM: Usage = ["/alarm TEXT", "/alarm TEXT"];
const COMPANY: Usage = ["/company", "/firma"];
const QUIET: Usage = ["/quiet 20:00-06:00 | off | policy", "/ruhe 20:00-06:00 | aus | firma"];
const RECEIPTS: Usage = ["/receipts on | off", "/gelesen an | aus"];
const TYPING: Usage = ["/typing on | off", "/tippt an | aus"];
const SEEN: Usage = ["/seen on | off", "/zuletzt an | aus"];
const BELL: Usage = ["/bell on | off", "/klingel an | aus"];
const ASK: Usage =
    ["/ask TEXT, /ask /file PATH… [-- TEXT]", "/fragen TEXT, /fragen /datei PFAD… [-- TEXT]"];
const ANNOUNCE: Usage = [
    "/announce ROOM; ROOM | TEXT, /announce * | TEXT",
    "/aushang RAUM; RAUM | TEXT, /aushang * | TEXT",
];
const PICTURE: Usage = ["/picture [PATH]", "/bild [PFAD]"];

/// The command that a text is, if it begins like one. Whatever does not, and all that begins with a
/// blank, is sent as it stands.
pub fn read(text: &str) -> Option<Result<Command, Refusal>> {
    let word = text.split(char::is_whitespace).next()?;
    let name = word.strip_prefix('/')?;
    let rest = &text[word.len()..];
    let (read, usage) = match name {
        "file" | "datei" => (file(rest), FILE),
        "save" | "sichern" => (save(rest), SAVE),
        "open" | "öffnen" => (number(rest.trim()).map(Command::Open), OPEN),
        "stop" => (rest.trim().is_empty().then_some(Command::Stop), STOP),
        "voice" | "sprache" => (voice(rest), VOICE),
        "place" | "ort" => (cards::place(rest), PLACE),
        "contact" | "kontakt" => (cards::contact(rest), CONTACT),
        "poll" | "umfrage" => (cards::poll(rest, false), POLL),
        "poll*" | "umfrage*" => (cards::poll(rest, true), POLL_OF_SEVERAL),
        "alarm" => (said(rest).map(Command::Alarm), ALARM),
        "company" | "firma" => (rest.trim().is_empty().then_some(Command::Company), COMPANY),
        "quiet" | "ruhe" => (quiet(rest.trim()), QUIET),
        "receipts" | "gelesen" => (switch(rest).map(Command::Receipts), RECEIPTS),
        "typing" | "tippt" => (switch(rest).map(|on| Command::Trace(Trace::Typing, on)), TYPING),
        "seen" | "zuletzt" => (switch(rest).map(|on| Command::Trace(Trace::LastSeen, on)), SEEN),
        "bell" | "klingel" => (switch(rest).map(Command::Bell), BELL),
        "ask" | "fragen" => (ask(rest), ASK),
        "announce" | "aushang" => (announce(rest), ANNOUNCE),
        "picture" | "bild" => (picture(rest), PICTURE),
        // A path, a number or a slash alone is what somebody wants to say.
        other
            if other.is_empty()
                || !other.trim_end_matches('*').chars().all(char::is_alphabetic) =>
        {
            return None;
        }
        _ => return Some(Err(Refusal::Unknown)),
    };
    Some(read.ok_or(Refusal::Written(usage)))
}

/// A text that is none of nothing.
fn said(rest: &str) -> Option<String> {
    let text = rest.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn switch(rest: &str) -> Option<bool> {
    match rest.trim() {
        "on" | "an" => Some(true),
        "off" | "aus" => Some(false),
        _ => None,
    }
}

/// Rooms by their names, and what is announced in all of them. `*` are all of this person's.
fn announce(rest: &str) -> Option<Command> {
    let (rooms, text) = rest.split_once('|')?;
    let rooms: Vec<_> = rooms.split(';').map(str::trim).map(str::to_owned).collect();
    let fits = !text.trim().is_empty() && rooms.iter().all(|room| !room.is_empty());
    let rooms = if rooms == ["*"] { Vec::new() } else { rooms };
    fits.then(|| Command::Announce(rooms, text.trim().to_owned()))
}

/// Quiet hours of every day, none, or those of the policy.
fn quiet(words: &str) -> Option<Command> {
    let plan = match words {
        "off" | "aus" => Some(QuietPlan::default()),
        "policy" | "firma" => None,
        words => {
            let (from, to) = words.split_once(['-', '–'])?;
            let (from_minute, to_minute) = (minute(from)?, minute(to)?);
            let span = QuietSpan { days: QuietSpan::EVERY_DAY, from_minute, to_minute };
            Some(QuietPlan(span.fits().then_some(vec![span])?))
        }
    };
    Some(Command::Quiet(plan))
}

/// A time of day as `20:00` or `7`, in minutes.
fn minute(text: &str) -> Option<u64> {
    let (hour, minute) = text.trim().split_once(':').unwrap_or((text.trim(), "0"));
    let number = |text: &str, below: u64| {
        let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|number| is_digits && *number < below)
    };
    Some(number(hour, 24)? * 60 + number(minute, 60)?)
}

/// Paths up to the end of the line or ` -- `; what follows is the text.
fn file(rest: &str) -> Option<Command> {
    let (first, others) = rest.split_once('\n').unwrap_or((rest, ""));
    let (words, said) = words(first)?;
    let text = [said.trim(), others.trim()].into_iter().filter(|part| !part.is_empty());
    let text = text.collect::<Vec<_>>().join("\n");
    (!words.is_empty()).then(|| Command::File(words.iter().map(|word| path(word)).collect(), text))
}

/// A text, or files with one.
fn ask(rest: &str) -> Option<Command> {
    match read(rest.trim_start()) {
        Some(Ok(Command::File(paths, text))) => Some(Command::Ask(paths, text)),
        Some(_) => None,
        None => said(rest).map(|text| Command::Ask(Vec::new(), text)),
    }
}

fn picture(rest: &str) -> Option<Command> {
    let (words, said) = words(rest)?;
    let is_one = words.len() <= 1 && said.is_empty();
    is_one.then(|| Command::Picture(words.first().map(|word| path(word))))
}

fn save(rest: &str) -> Option<Command> {
    let (mut words, said) = words(rest)?;
    if !said.is_empty() {
        return None;
    }
    let first = words.first().and_then(|word| number(word));
    if first.is_some() && !words.is_empty() {
        words.remove(0);
    }
    let folder = words.first().map(|word| path(word));
    (words.len() <= 1).then(|| Command::Save(first.unwrap_or(1), folder))
}

fn voice(rest: &str) -> Option<Command> {
    let (words, said) = words(rest)?;
    let [path] = &words[..] else { return None };
    said.is_empty().then(|| Command::Voice(self::path(path)))
}

/// A number from one on; nothing is one.
fn number(word: &str) -> Option<usize> {
    match word {
        "" => Some(1),
        word => word.parse().ok().filter(|number| *number > 0),
    }
}

/// The words of a line as a shell would part them, with `"`, `'` and `\`, and what stands behind
/// `--`. Nothing, if a quote is not closed.
fn words(line: &str) -> Option<(Vec<String>, &str)> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\\', None | Some('"')) => word.get_or_insert_default().push(chars.next()?.1),
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            ('-', None) if word.is_none() && is_end(&line[at..]) => {
                return Some((words, &line[at + 2..]));
            }
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some((words, ""))
}

fn is_end(rest: &str) -> bool {
    let behind = rest.strip_prefix("--");
    behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(char::is_whitespace))
}

/// A path as it was typed; `~/` is the person's own folder.
fn path(typed: &str) -> PathBuf {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    match (typed.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => PathBuf::from(home).join(below),
        _ => PathBuf::from(typed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str], text: &str) -> Option<Result<Command, Refusal>> {
        Some(Ok(Command::File(paths.iter().map(PathBuf::from).collect(), text.to_owned())))
    }

    fn wrong(usage: Usage) -> Option<Result<Command, Refusal>> {
        Some(Err(Refusal::Written(usage)))
    }

    #[test]
    fn a_command_that_does_not_exist_is_not_sent_and_what_looks_like_none_is() {
        for text in ["/pol Mittag?; A; B", "/filed a.pdf", "/umfrag*", "/ÖFFNE"] {
            assert_eq!(read(text), Some(Err(Refusal::Unknown)), "{text}");
        }
        for text in [
            " /pol",
            " /file a.pdf",
            "",
            "file a.pdf",
            "/",
            "/ file",
            "//file a",
            "/srv/daten ist voll",
            "/5 der Leute",
            "a /b",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn paths_are_parted_as_a_shell_does_and_the_text_stands_behind_them() {
        for (text, expected) in [
            ("/file a.pdf", files(&["a.pdf"], "")),
            ("/datei  a.pdf   b.png ", files(&["a.pdf", "b.png"], "")),
            ("/file \"Rechnung März.pdf\" 'b c'", files(&["Rechnung März.pdf", "b c"], "")),
            ("/file Rechnung\\ 7.pdf -- bitte prüfen", files(&["Rechnung 7.pdf"], "bitte prüfen")),
            ("/file a.pdf\nZwei\nZeilen", files(&["a.pdf"], "Zwei\nZeilen")),
            ("/file a--b.pdf --c", files(&["a--b.pdf", "--c"], "")),
            ("/file it's.pdf", wrong(FILE)),
            ("/file", wrong(FILE)),
            ("/file -- nur Text", wrong(FILE)),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_number_and_a_folder_may_be_named_or_not() {
        let save = |number, folder: Option<&str>| {
            Some(Ok(Command::Save(number, folder.map(PathBuf::from))))
        };
        assert_eq!(read("/save"), save(1, None));
        assert_eq!(read("/save 3"), save(3, None));
        assert_eq!(read("/save /tmp"), save(1, Some("/tmp")));
        assert_eq!(read("/save 2 \"Meine Ablage\""), save(2, Some("Meine Ablage")));
        assert_eq!(read("/save 2 a b"), wrong(SAVE));
        assert_eq!(read("/open"), Some(Ok(Command::Open(1))));
        assert_eq!(read("/open 4"), Some(Ok(Command::Open(4))));
        assert_eq!(read("/open 0"), wrong(OPEN));
        assert_eq!(read("/stop"), Some(Ok(Command::Stop)));
        assert_eq!(read("/stop it"), wrong(STOP));
        let voice = |path: &str| Some(Ok(Command::Voice(PathBuf::from(path))));
        assert_eq!(read("/voice \"Notiz 1.wav\""), voice("Notiz 1.wav"));
        assert_eq!(read("/sprache a.wav b.wav"), wrong(VOICE));
    }

    #[test]
    fn quiet_hours_are_written_as_people_say_them() {
        let quiet = |text| match read(text) {
            Some(Ok(Command::Quiet(plan))) => plan,
            other => panic!("{text}: {other:?}"),
        };
        let span = |from_minute, to_minute| {
            let days = QuietSpan::EVERY_DAY;
            Some(QuietPlan(vec![QuietSpan { days, from_minute, to_minute }]))
        };
        assert_eq!(quiet("/quiet 20:00-06:30"), span(1_200, 390));
        assert_eq!(quiet("/ruhe 22 – 6"), span(1_320, 360));
        assert_eq!(quiet("/quiet off"), Some(QuietPlan::default()));
        assert_eq!(quiet("/ruhe firma"), None);
        for wrong in ["/quiet", "/quiet 25-6", "/quiet 20:60-6", "/quiet 20", "/quiet +1-2"] {
            assert!(matches!(read(wrong), Some(Err(_))), "{wrong}");
        }
        assert_eq!(read("/company"), Some(Ok(Command::Company)));
        assert_eq!(read("/gelesen aus"), Some(Ok(Command::Receipts(false))));
        assert_eq!(read("/receipts"), wrong(RECEIPTS));
        let seen = |on| Some(Ok(Command::Trace(Trace::LastSeen, on)));
        assert_eq!((read("/seen off"), read("/zuletzt an")), (seen(false), seen(true)));
        let typing = |on| Some(Ok(Command::Trace(Trace::Typing, on)));
        assert_eq!((read("/typing on"), read("/tippt aus")), (typing(true), typing(false)));
        assert_eq!(read("/klingel aus"), Some(Ok(Command::Bell(false))));
        assert_eq!(read("/bell laut"), wrong(BELL));
    }

    #[test]
    fn an_announcement_names_its_rooms_and_never_guesses_them() {
        let rooms = vec!["Halle 3".to_owned(), "Büro".to_owned()];
        let wanted = Command::Announce(rooms, "Achtung: Montag | Dienstag".to_owned());
        assert_eq!(read("/announce Halle 3; Büro | Achtung: Montag | Dienstag"), Some(Ok(wanted)));
        let all = Command::Announce(Vec::new(), "an alle".to_owned());
        assert_eq!(read("/aushang * | an alle"), Some(Ok(all)));
        for wrong in ["/announce an alle", "/announce | x", "/announce * |", "/announce a;; b | x"]
        {
            assert!(matches!(read(wrong), Some(Err(_))), "{wrong}");
        }
    }

    #[test]
    fn what_is_to_be_confirmed_is_a_text_or_files_with_one() {
        let ask = |paths: &[&str], text: &str| {
            let paths = paths.iter().map(PathBuf::from).collect();
            Some(Ok(Command::Ask(paths, text.to_owned())))
        };
        assert_eq!(read("/ask Helme tragen!"), ask(&[], "Helme tragen!"));
        assert_eq!(read("/ask /file a.pdf -- lesen"), ask(&["a.pdf"], "lesen"));
        for bad in ["/ask", "/ask /file", "/ask /stop"] {
            assert!(matches!(read(bad), Some(Err(_))), "{bad}");
        }
        assert_eq!(read("/picture"), Some(Ok(Command::Picture(None))));
        let picture = Command::Picture(Some(PathBuf::from("a b.png")));
        assert_eq!(read("/picture 'a b.png'"), Some(Ok(picture)));
        assert!(matches!(read("/picture a b"), Some(Err(_))));
    }
}
