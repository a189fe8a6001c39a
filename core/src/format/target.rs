//! Where a stretch of text leads.

use std::ops::Range;

use hauspost_protocol::ids::{CompanyId, LogId, UserId};

/// Where a stretch of text leads.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// An address that a person may open; shown beside the text unless it is the text.
    Address(String),
    /// A person of this company.
    Person(CompanyId, UserId),
    /// Everybody in this conversation.
    Everybody(CompanyId, LogId),
}

/// Schemes of addresses that lead somewhere; others are text.
const SCHEMES: [&str; 5] = ["https", "http", "mailto", "tel", "geo"];
/// Bytes of an address.
const ADDRESS_BYTES: usize = 2_048;

impl Target {
    /// Where a link with this destination leads; `None` if nowhere.
    pub(super) fn parse(destination: &str) -> Option<Self> {
        let (scheme, rest) = destination.split_once(':')?;
        if scheme.eq_ignore_ascii_case("hauspost") {
            let (company, path) = rest.split_once('/')?;
            let company = company.parse().ok()?;
            return match path.strip_prefix("l/") {
                Some(log) => Some(Self::Everybody(company, log.parse().ok()?)),
                None => Some(Self::Person(company, path.parse().ok()?)),
            };
        }
        let is_known = SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known));
        // An address of more than one line, or with signs that turn text around, is a trick.
        let is_clean = |c: char| !c.is_control() && !c.is_whitespace() && !is_bidi(c);
        let fits = destination.len() <= ADDRESS_BYTES && destination.chars().all(is_clean);
        (is_known && fits && !rest.is_empty()).then(|| Self::Address(destination.to_owned()))
    }

    /// Whether a text says by itself where it leads.
    pub fn is_shown_by(&self, text: &str) -> bool {
        match self {
            Self::Address(address) => {
                text == address || address.strip_prefix("mailto:") == Some(text)
            }
            Self::Person(..) | Self::Everybody(..) => false,
        }
    }
}

/// Content is not for logs.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Target(…)")
    }
}

fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The URI by which a text mentions a person.
pub fn person_uri(company: CompanyId, user: UserId) -> String {
    format!("hauspost:{company}/{user}")
}

/// The URI by which a text mentions everybody in a conversation.
pub fn everybody_uri(company: CompanyId, log: LogId) -> String {
    format!("hauspost:{company}/l/{log}")
}

/// The first web address in a text, what stands before it and what behind it.
pub(super) fn first_address(text: &str) -> Option<(&str, &str, &str)> {
    let Range { start, end } = range(text)?;
    Some((&text[..start], &text[start..end], &text[end..]))
}

fn range(text: &str) -> Option<Range<usize>> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find("http")?;
        let rest = &text[start..];
        let scheme = ["https://", "http://"].into_iter().find(|scheme| rest.starts_with(scheme));
        let begins = !text[..start].chars().next_back().is_some_and(char::is_alphanumeric);
        if let Some(scheme) = scheme.filter(|_| begins) {
            let host = &rest[scheme.len()..];
            let len =
                host.find(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c));
            let host = &host[..len.unwrap_or(host.len())];
            // What ends a sentence is not part of the address.
            let host = host.trim_end_matches(|c: char| ".,;:!?)]}'*_".contains(c));
            if !host.is_empty() {
                return Some(start..start + scheme.len() + host.len());
            }
        }
        from = start + "http".len();
    }
}
