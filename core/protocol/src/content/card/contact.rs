//! A contact: somebody of the company by his id, or anybody else as a vCard (RFC 6350).

use std::fmt;

use super::{CardError, URI_LIST, is_line, line};
use crate::ids::{CompanyId, UserId};

pub(super) const MEDIA_TYPE: &str = "text/vcard";

/// Bytes of a vCard; pictures are not for cards.
const VCARD_BYTES: usize = 8 * 1024;
/// Lines of a vCard, unfolded.
const LINES: usize = 256;
/// Numbers of a contact, and addresses.
const MANY: usize = 8;
/// Bytes after which a line is folded (RFC 6350 §3.2).
const FOLD_BYTES: usize = 75;

/// Somebody whom a message tells of.
#[derive(Clone, PartialEq, Eq)]
pub enum Contact {
    /// Somebody of the company. The name is the reader's directory's, never the author's.
    Colleague(UserId),
    /// Anybody else.
    Other(VCard),
}

impl Contact {
    pub(super) fn content(&self, company: CompanyId) -> (&'static str, Vec<u8>) {
        match self {
            Self::Colleague(user) => (URI_LIST, format!("hauspost:{company}/{user}").into_bytes()),
            Self::Other(card) => (MEDIA_TYPE, card.to_text().into_bytes()),
        }
    }

    /// Somebody of this company; of others nobody can say who they are.
    pub(super) fn colleague(uri: &str, company: CompanyId) -> Option<Self> {
        let user = uri.strip_prefix(&format!("hauspost:{company}/"))?;
        user.parse().ok().map(Self::Colleague)
    }
}

/// Of a vCard what people call and write to: name, organisation, title, numbers, addresses. The rest is
/// passed over.
#[derive(Clone, PartialEq, Eq)]
pub struct VCard {
    name: String,
    organisation: Option<String>,
    title: Option<String>,
    phones: Vec<String>,
    emails: Vec<String>,
}

impl VCard {
    /// A contact with these.
    ///
    /// # Errors
    /// One of them is no line of at most 255 bytes, there are more than eight numbers or addresses, or all of it
    /// is more than 8 KiB.
    pub fn new(
        name: String,
        organisation: Option<String>,
        title: Option<String>,
        phones: Vec<String>,
        emails: Vec<String>,
    ) -> Result<Self, CardError> {
        if phones.len() > MANY || emails.len() > MANY {
            return Err(CardError::Contact);
        }
        let line = |text: String| line(text.trim().to_owned());
        let lines = |all: Vec<String>| all.into_iter().map(line).collect::<Result<Vec<_>, _>>();
        let card = Self {
            name: line(name)?,
            organisation: organisation.map(line).transpose()?,
            title: title.map(line).transpose()?,
            phones: lines(phones)?,
            emails: lines(emails)?,
        };
        if card.to_text().len() > VCARD_BYTES { Err(CardError::Contact) } else { Ok(card) }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The organisation.
    pub fn organisation(&self) -> Option<&str> {
        self.organisation.as_deref()
    }

    /// The title, or what the person does there.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Telephone numbers, as they were written.
    pub fn phones(&self) -> &[String] {
        &self.phones
    }

    /// E-mail addresses.
    pub fn emails(&self) -> &[String] {
        &self.emails
    }

    /// What it says in words, a line for each.
    pub(super) fn text(&self) -> String {
        let lines = [Some(&self.name), self.title.as_ref(), self.organisation.as_ref()];
        let lines = lines.into_iter().flatten().chain(&self.phones).chain(&self.emails);
        lines.map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Reads a vCard of version 3 or 4; `None` if it is none, or breaks a limit.
    ///
    /// What stands in it and is no line that people can read is passed over, but for the name.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > VCARD_BYTES {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text).replace("\r\n", "\n");
        // A line that begins with a space goes on with the one before.
        let text = text.replace("\n ", "").replace("\n\t", "");
        let lines: Vec<&str> = text.trim_end_matches('\n').split('\n').collect();
        let is_whole = lines.len() <= LINES
            && lines.first().is_some_and(|line| line.eq_ignore_ascii_case("BEGIN:VCARD"))
            && lines.last().is_some_and(|line| line.eq_ignore_ascii_case("END:VCARD"));
        if !is_whole {
            return None;
        }
        let (mut version, mut name) = (None, None);
        let (mut organisation, mut title) = (None, None);
        let (mut phones, mut emails) = (Vec::new(), Vec::new());
        for line in &lines[1..lines.len() - 1] {
            let Some((property, value)) = property(line) else { continue };
            match property.as_str() {
                // Two cards in one.
                "BEGIN" | "END" => return None,
                "VERSION" if version.is_some() => return None,
                "VERSION" => version = Some(value),
                "FN" => keep(&mut name, unescaped(value)),
                "ORG" => {
                    let units = value_parts(value).into_iter().filter(|unit| !unit.is_empty());
                    keep(&mut organisation, units.collect::<Vec<_>>().join(", "));
                }
                "TITLE" => keep(&mut title, unescaped(value)),
                "TEL" => add(&mut phones, without_scheme(&unescaped(value), "tel:")),
                "EMAIL" => add(&mut emails, without_scheme(&unescaped(value), "mailto:")),
                _ => {}
            }
        }
        if !matches!(version, Some("3.0" | "4.0")) {
            return None;
        }
        Self::new(name?, organisation, title, phones, emails).ok()
    }

    /// As a vCard of version 4.
    pub fn to_text(&self) -> String {
        let mut text = String::from("BEGIN:VCARD\r\nVERSION:4.0\r\n");
        let one = |property, value: Option<&String>| value.map(|value| (property, value.clone()));
        let lines = [("FN", self.name.clone())].into_iter();
        let lines = lines.chain(one("ORG", self.organisation.as_ref()));
        let lines = lines.chain(one("TITLE", self.title.as_ref()));
        let lines = lines.chain(self.phones.iter().map(|phone| ("TEL", phone.clone())));
        let lines = lines.chain(self.emails.iter().map(|email| ("EMAIL", email.clone())));
        for (property, value) in lines {
            fold(&mut text, &format!("{property}:{}", escaped(&value)));
        }
        text.push_str("END:VCARD\r\n");
        text
    }
}

/// The first of several that can be read counts.
fn keep(field: &mut Option<String>, value: String) {
    if field.is_none() && is_line(&value) {
        *field = Some(value);
    }
}

fn add(list: &mut Vec<String>, value: String) {
    if list.len() < MANY && is_line(&value) && !list.contains(&value) {
        list.push(value);
    }
}

/// A line's property, without group and parameters, and its value. A colon in a quoted parameter is none.
fn property(line: &str) -> Option<(String, &str)> {
    let mut quoted = false;
    let colon = line.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == ':' && !quoted).then_some(at)
    })?;
    let name = line[..colon].split(';').next().unwrap_or_default();
    let name = name.rsplit('.').next().unwrap_or_default();
    Some((name.to_ascii_uppercase(), &line[colon + 1..]))
}

/// A value with its escapes undone (RFC 6350 §3.4).
fn unescaped(value: &str) -> String {
    value_parts_by(value, |_| false).concat()
}

/// The parts of a value that semicolons separate.
fn value_parts(value: &str) -> Vec<String> {
    value_parts_by(value, |c| c == ';')
}

fn value_parts_by(value: &str, ends: impl Fn(char) -> bool) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        let letter = match letter {
            '\\' => match letters.next() {
                Some('n' | 'N') => '\n',
                Some(other) => other,
                None => break,
            },
            letter if ends(letter) => {
                parts.push(String::new());
                continue;
            }
            letter => letter,
        };
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, '\\' | ',' | ';') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

fn without_scheme(value: &str, scheme: &str) -> String {
    let mut rest = value.trim();
    while let Some(start) = rest.get(..scheme.len())
        && start.eq_ignore_ascii_case(scheme)
    {
        rest = rest[scheme.len()..].trim();
    }
    rest.to_owned()
}

fn fold(text: &mut String, line: &str) {
    let mut rest = line;
    let mut room = FOLD_BYTES;
    while rest.len() > room {
        let (head, tail) = rest.split_at(rest.floor_char_boundary(room));
        text.push_str(head);
        text.push_str("\r\n ");
        // The space counts.
        (rest, room) = (tail, FOLD_BYTES - 1);
    }
    text.push_str(rest);
    text.push_str("\r\n");
}

/// Content is not for logs.
impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Contact(…)")
    }
}

/// Content is not for logs.
impl fmt::Debug for VCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VCard(…)")
    }
}
