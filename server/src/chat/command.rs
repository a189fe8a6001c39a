//! What a person types behind a slash: documents sent, saved, opened, given up; places, contacts, polls;
//! what is to be confirmed; a conversation's picture.

use std::path::PathBuf;

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
    /// Send a text that everybody is to confirm, with these files.
    Ask(Vec<PathBuf>, String),
    /// Give the conversation this picture, or none.
    Picture(Option<PathBuf>),
}

/// The command that a text is, if it is one: the text of another is sent as it stands. An error names
/// how it is written.
pub fn read(text: &str) -> Option<Result<Command, &'static str>> {
    let word = text.split_whitespace().next()?;
    let rest = &text[text.find(word)? + word.len()..];
    Some(match word {
        "/file" => file(rest).ok_or("/file PATH… [-- TEXT]"),
        "/save" => save(rest).ok_or("/save [1…] [DIR]"),
        "/open" => number(rest.trim()).map(Command::Open).ok_or("/open [1…]"),
        "/stop" if rest.trim().is_empty() => Ok(Command::Stop),
        "/stop" => Err("/stop"),
        "/voice" | "/sprache" => voice(rest).ok_or("/voice PATH"),
        "/place" | "/ort" => cards::place(rest).ok_or("/place 52.52, 13.405 [NAME]"),
        "/contact" | "/kontakt" => cards::contact(rest).ok_or("/contact @ben, NAME; +49…; a@b"),
        "/poll" | "/umfrage" => cards::poll(rest, false).ok_or("/poll WHAT?; THIS; THAT"),
        "/poll*" | "/umfrage*" => cards::poll(rest, true).ok_or("/poll* WHICH?; THIS; THAT"),
        "/alarm" if !rest.trim().is_empty() => Ok(Command::Alarm(rest.trim().to_owned())),
        "/alarm" => Err("/alarm TEXT"),
        "/company" | "/firma" if rest.trim().is_empty() => Ok(Command::Company),
        "/quiet" | "/ruhe" => quiet(rest.trim()).ok_or("/quiet 20:00-06:00 | off | policy"),
        "/receipts" | "/gelesen" => match rest.trim() {
            "on" | "an" => Ok(Command::Receipts(true)),
            "off" | "aus" => Ok(Command::Receipts(false)),
            _ => Err("/receipts on | off"),
        },
        "/ask" => ask(rest).ok_or("/ask TEXT, /ask /file PATH… [-- TEXT]"),
        "/picture" => picture(rest).ok_or("/picture [PATH]"),
        _ => return None,
    })
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
    match read(rest) {
        Some(Ok(Command::File(paths, text))) => Some(Command::Ask(paths, text)),
        Some(_) => None,
        None => {
            let text = rest.trim().to_owned();
            (!text.is_empty()).then_some(Command::Ask(Vec::new(), text))
        }
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

    fn files(paths: &[&str], text: &str) -> Option<Result<Command, &'static str>> {
        Some(Ok(Command::File(paths.iter().map(PathBuf::from).collect(), text.to_owned())))
    }

    #[test]
    fn paths_are_parted_as_a_shell_does_and_the_text_stands_behind_them() {
        for (text, expected) in [
            ("/file a.pdf", files(&["a.pdf"], "")),
            ("  /file  a.pdf   b.png ", files(&["a.pdf", "b.png"], "")),
            ("/file \"Rechnung März.pdf\" 'b c'", files(&["Rechnung März.pdf", "b c"], "")),
            ("/file Rechnung\\ 7.pdf -- bitte prüfen", files(&["Rechnung 7.pdf"], "bitte prüfen")),
            ("/file a.pdf\nZwei\nZeilen", files(&["a.pdf"], "Zwei\nZeilen")),
            ("/file a--b.pdf --c", files(&["a--b.pdf", "--c"], "")),
            ("/file it's.pdf", Some(Err("/file PATH… [-- TEXT]"))),
            ("/file", Some(Err("/file PATH… [-- TEXT]"))),
            ("/file -- nur Text", Some(Err("/file PATH… [-- TEXT]"))),
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
        assert_eq!(read("/save 2 a b"), Some(Err("/save [1…] [DIR]")));
        assert_eq!(read("/open"), Some(Ok(Command::Open(1))));
        assert_eq!(read("/open 4"), Some(Ok(Command::Open(4))));
        assert_eq!(read("/open 0"), Some(Err("/open [1…]")));
        assert_eq!(read("/stop"), Some(Ok(Command::Stop)));
        assert_eq!(read("/stop it"), Some(Err("/stop")));
        let voice = |path: &str| Some(Ok(Command::Voice(PathBuf::from(path))));
        assert_eq!(read("/voice \"Notiz 1.wav\""), voice("Notiz 1.wav"));
        assert_eq!(read("/sprache a.wav b.wav"), Some(Err("/voice PATH")));
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
        assert_eq!(read("/receipts"), Some(Err("/receipts on | off")));
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

    #[test]
    fn what_is_no_command_is_a_text() {
        for text in ["", "file a.pdf", "/filed a.pdf", "/ file", "/etc/passwd", "//file a"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
