//! A text as a person types it: names behind an @ become mentions, and mentions names again.

use hauspost_protocol::content::TextForm;

use super::{is_formatted, plain};

/// What becomes of a text as it was typed: the text, and how it is to be read.
///
/// `uri` gives the URI of the person, or of everybody, who is called by a name; a name that it does not
/// know is a text like any other. A text that mentions somebody and asks for no formatting itself gets
/// none: what CommonMark would take for markup is escaped.
pub fn typed(text: &str, uri: impl Fn(&str) -> Option<String>) -> (String, TextForm) {
    let formatted = is_formatted(text);
    let literal = |part: &str| if formatted { part.to_owned() } else { escaped(part) };
    let (mut composed, mut rest, mut mentions) = (String::new(), text, false);
    while let Some(at) = rest.find('@') {
        let begins = !rest[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        let name = name(&rest[at + 1..]);
        match uri(name).filter(|_| begins) {
            Some(uri) => {
                mentions = true;
                composed.push_str(&literal(&rest[..at]));
                composed.push_str(&mention(name, &uri));
            }
            None => composed.push_str(&literal(&rest[..at + 1 + name.len()])),
        }
        rest = &rest[at + 1 + name.len()..];
    }
    composed.push_str(&literal(rest));
    match (formatted, mentions) {
        (false, false) => (text.to_owned(), TextForm::Plain),
        _ => (composed, TextForm::Markdown),
    }
}

/// A text that mentions these, each by a name and its URI, behind what it says.
pub fn calling<'n>(text: &str, called: impl IntoIterator<Item = (&'n str, String)>) -> String {
    let mut composed = escaped(text);
    for (name, uri) in called {
        composed.push(' ');
        composed.push_str(&mention(name, &uri));
    }
    composed
}

fn mention(name: &str, uri: &str) -> String {
    format!("[@{}]({uri})", escaped(name))
}

/// A Markdown text as a person would have typed it, to be changed.
pub fn retyped(markdown: &str) -> String {
    const SCHEME: &str = "](hauspost:";
    let (mut typed, mut rest) = (String::new(), markdown);
    while let Some(at) = rest.find(SCHEME) {
        let label = rest[..at].rfind("[@");
        let end = rest[at..].find(')').map(|len| at + len);
        let (Some(label), Some(end)) = (label, end) else { break };
        typed.push_str(&rest[..label]);
        typed.push_str(&plain(&rest[label + 1..at], TextForm::Markdown));
        rest = &rest[end + 1..];
    }
    typed.push_str(rest);
    // What was escaped because it asked for nothing asks for nothing now either.
    if is_formatted(&typed) { typed } else { plain(&typed, TextForm::Markdown) }
}

/// The name at the start of a text: letters, digits, and what handles have between them.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && !"._-".contains(c));
    text[..end.unwrap_or(text.len())].trim_end_matches(['.', '_', '-'])
}

/// The text so that CommonMark reads it as it stands.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        // A slash, a colon or a comma means nothing alone, and escaped would tear an address apart.
        if c.is_ascii_punctuation() && !"/:,;?!@%\"'=$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use hauspost_protocol::ids::{CompanyId, UserId};

    use super::super::{BlockKind, TextForm, blocks, person_uri};
    use super::*;

    fn uri(name: &str) -> Option<String> {
        let known = ["anna", "ben.kaya", "alle"];
        known.contains(&name.to_lowercase().as_str()).then(address)
    }

    fn address() -> String {
        person_uri(CompanyId([1; 16]), UserId([2; 16]))
    }

    #[test]
    fn names_become_mentions_and_what_asks_for_nothing_stays_as_it_is() {
        assert_eq!(typed("Moin", uri), ("Moin".to_owned(), TextForm::Plain));
        assert_eq!(typed("an @dora, a@anna.de", uri).1, TextForm::Plain);
        let (text, form) = typed("@Anna und @ben.kaya: 2*3*4 \\\\server\\x", uri);
        assert_eq!(form, TextForm::Markdown);
        let uri = address();
        assert!(text.starts_with(&format!("[@Anna]({uri}) und [@ben\\.kaya]({uri})")));
        assert_eq!(plain(&text, form), "@Anna und @ben.kaya: 2*3*4 \\\\server\\x");
        let (text, _) = typed("**wichtig** @alle", self::uri);
        assert_eq!(text, format!("**wichtig** [@alle]({uri})"));
        assert!(blocks(&text, TextForm::Markdown)[0].spans[0].bold);
    }

    #[test]
    fn a_text_calls_people_by_names_that_format_nothing() {
        let called = [("*anna*", address()), ("alle", address())];
        let text = calling("Bitte noch _bestätigen_:", called);
        let plain = plain(&text, TextForm::Markdown);
        assert_eq!(plain, "Bitte noch _bestätigen_: @*anna* @alle");
    }

    #[test]
    fn what_was_typed_comes_back_to_be_changed() {
        let texts = [
            "@Anna, 2*3*4 & `x",
            "**wichtig** @alle!",
            "1. @anna\n2. Ben",
            "- kein Punkt @anna",
            "# Titel @anna",
            "Ende mit @anna.",
        ];
        for text in texts {
            assert_eq!(retyped(&typed(text, uri).0), text);
        }
    }

    #[test]
    fn an_escaped_text_is_one_paragraph_whatever_it_begins_with() {
        for text in ["1. @anna", "> @anna", "--- @anna", "+ @anna", "<b>@anna</b>", "&lt; @anna"] {
            if is_formatted(text) {
                continue;
            }
            let (composed, form) = typed(text, uri);
            let blocks = blocks(&composed, form);
            assert!(blocks.len() == 1 && blocks[0].kind == BlockKind::Text, "{text}");
            assert_eq!(plain(&composed, form), text);
        }
    }
}
