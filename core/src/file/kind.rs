//! What a document is: by its bytes, then by its name's ending, then by what an app said.
//!
//! A name is what somebody typed. The statement says what the content shows, so that an executable
//! that is called an invoice is told as what it is, and what a phone opens is judged by both
//! ([`Rule::allows`]).

use hauspost_protocol::company::policy::DocumentRule;
use hauspost_protocol::limits;

use super::name;

/// Bytes from the beginning that are looked at.
pub const LOOKED_AT: usize = 8_192;

/// What nothing is known of.
const UNKNOWN: &str = "application/octet-stream";
const TEXT: &str = "text/plain";
/// A document with pages.
pub const PDF: &str = "application/pdf";

/// Endings, what they stand for, and whether the content always shows it: a `.pdf` without a PDF's
/// beginning is none.
const ENDINGS: &[(&str, &str, bool)] = &[
    ("pdf", PDF, true),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", true),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", true),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation", true),
    ("odt", "application/vnd.oasis.opendocument.text", true),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet", true),
    ("odp", "application/vnd.oasis.opendocument.presentation", true),
    ("doc", "application/msword", true),
    ("xls", "application/vnd.ms-excel", true),
    ("ppt", "application/vnd.ms-powerpoint", true),
    ("msg", "application/vnd.ms-outlook", true),
    ("zip", "application/zip", true),
    ("jar", "application/java-archive", true),
    ("apk", "application/vnd.android.package-archive", true),
    ("7z", "application/x-7z-compressed", true),
    ("gz", "application/gzip", true),
    ("tar", "application/x-tar", true),
    ("png", "image/png", true),
    ("jpg", "image/jpeg", true),
    ("jpeg", "image/jpeg", true),
    ("gif", "image/gif", true),
    ("webp", "image/webp", true),
    ("heic", "image/heic", true),
    ("tif", "image/tiff", true),
    ("tiff", "image/tiff", true),
    ("dwg", "image/vnd.dwg", true),
    ("mp4", "video/mp4", true),
    ("mov", "video/quicktime", true),
    ("m4a", "audio/mp4", false),
    ("mp3", "audio/mpeg", false),
    ("ogg", "audio/ogg", true),
    ("opus", "audio/ogg", true),
    ("wav", "audio/wav", true),
    ("svg", "image/svg+xml", false),
    ("html", "text/html", false),
    ("htm", "text/html", false),
    ("xml", "application/xml", false),
    ("json", "application/json", false),
    ("csv", "text/csv", false),
    ("md", "text/markdown", false),
    ("txt", TEXT, false),
    ("log", TEXT, false),
    ("ics", "text/calendar", false),
    ("vcf", "text/vcard", false),
    ("eml", "message/rfc822", false),
    ("dxf", "image/vnd.dxf", false),
    ("rtf", "application/rtf", true),
    ("p7m", "application/pkcs7-mime", false),
];

/// Containers whose content shows the container only: what lies in them says the ending.
const CONTAINERS: &[(&str, &[&str])] = &[
    ("application/zip", &["docx", "xlsx", "pptx", "odt", "ods", "odp", "jar", "apk"]),
    ("application/x-ole-storage", &["doc", "xls", "ppt", "msg"]),
    ("image/heif", &["heic"]),
    // What phones record is a film without pictures.
    ("video/mp4", &["m4a"]),
    ("text/xml", &["svg", "xml", "html", "htm"]),
    ("text/html", &["html", "htm", "md"]),
];

/// Names of [`infer`] that are not the registered ones.
const REGISTERED: &[(&str, &str)] = &[
    ("text/xml", "application/xml"),
    ("audio/x-wav", "audio/wav"),
    ("audio/m4a", "audio/mp4"),
    ("audio/opus", "audio/ogg"),
    ("audio/x-flac", "audio/flac"),
];

/// The media type of a document that begins with these bytes, under this name; `said` is what the app
/// was told, and counts where neither content nor name says anything.
pub fn media_type(beginning: &[u8], called: &str, said: Option<&str>) -> String {
    let beginning = &beginning[..beginning.len().min(LOOKED_AT)];
    let ending = ending(called);
    let named = ENDINGS.iter().find(|(known, ..)| *known == ending);
    if let Some(seen) = infer::get(beginning) {
        return seen_as(seen.mime_type(), &ending, named.map(|(_, named, _)| *named)).to_owned();
    }
    if beginning.is_empty() {
        return named.map_or(UNKNOWN, |(_, named, _)| named).to_owned();
    }
    let is_text = is_text(beginning);
    match (named, said) {
        (Some((.., true)), _) if is_text => TEXT.to_owned(),
        (Some((.., true)), _) => UNKNOWN.to_owned(),
        (Some((_, named, _)), _) => (*named).to_owned(),
        (None, Some(said)) if is_media_type(said) => said.to_owned(),
        (None, _) if is_text => TEXT.to_owned(),
        (None, _) => UNKNOWN.to_owned(),
    }
}

fn seen_as<'a>(seen: &'a str, ending: &str, named: Option<&'a str>) -> &'a str {
    let contained = CONTAINERS.iter().find(|(container, _)| *container == seen);
    if let Some((_, endings)) = contained
        && endings.contains(&ending)
        && let Some(named) = named
    {
        return named;
    }
    REGISTERED.iter().find(|(known, _)| *known == seen).map_or(seen, |(_, registered)| registered)
}

/// The ending of a name as a phone would write it, in small letters; empty if there is none.
fn ending(called: &str) -> String {
    let safe = name::safe(called);
    safe.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_lowercase())
}

/// Whether these bytes are the beginning of a UTF-8 text.
fn is_text(beginning: &[u8]) -> bool {
    let whole = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // A character may be cut at the end.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !whole.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}'))
}

/// Whether a text is a media type: two words with a slash between.
fn is_media_type(said: &str) -> bool {
    let word = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
        !part.is_empty() && part.chars().all(fits)
    };
    said.len() <= limits::NAME_BYTES
        && said.split_once('/').is_some_and(|(kind, of)| word(kind) && word(of))
}

/// Endings of what a system runs when it is opened.
const RUNS: &[&str] = &[
    "apk", "app", "appimage", "appx", "bash", "bat", "bin", "chm", "cmd", "com", "command", "cpl",
    "deb", "desktop", "dll", "dmg", "exe", "gadget", "hta", "img", "inf", "ipa", "iso", "jar",
    "js", "jse", "lnk", "mjs", "msi", "msix", "msp", "pif", "pkg", "ps1", "psm1", "py", "reg",
    "rpm", "run", "scf", "scr", "sh", "url", "vb", "vbe", "vbs", "vhd", "vhdx", "ws", "wsf", "wsh",
    "xll",
];

/// Content of which the same is true, whatever it is called.
const RUNNING: &[&str] = &[
    "application/java",
    "application/vnd.android.dex",
    "application/vnd.android.dey",
    "application/vnd.debian.binary-package",
    "application/vnd.microsoft.portable-executable",
    "application/wasm",
    "application/x-executable",
    "application/x-google-chrome-extension",
    "application/x-llvm",
    "application/x-mach-binary",
    "application/x-rpm",
    "text/x-shellscript",
];

/// Which documents a phone sends and opens, by the company's policy or, without one, by what every system runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which kinds.
    pub kinds: Option<DocumentRule>,
    /// The largest one that is sent, in bytes.
    pub most_bytes: u64,
}

impl Default for Rule {
    fn default() -> Self {
        Self { kinds: None, most_bytes: u64::MAX }
    }
}

impl Rule {
    /// Whether a document may be opened that is called so and begins with these bytes.
    pub fn allows(&self, called: &str, beginning: &[u8]) -> bool {
        let ending = ending(called);
        let seen = infer::get(&beginning[..beginning.len().min(LOOKED_AT)]);
        let runs = seen.is_some_and(|seen| RUNNING.contains(&seen.mime_type()));
        let Some(rule) = &self.kinds else { return !runs && !RUNS.contains(&&*ending) };
        let named = ENDINGS.iter().find(|(known, ..)| *known == ending).map(|(_, named, _)| *named);
        let (seen_type, seen_ending) = match seen {
            None => (named.unwrap_or_default(), ""),
            Some(seen) => match seen_as(seen.mime_type(), &ending, named) {
                shown if Some(shown) == named => (shown, &*ending),
                shown => (shown, seen.extension()),
            },
        };
        if rule.blocks(&[&ending, seen_type, seen_ending]) {
            return false;
        }
        // What runs is not made harmless by an ending.
        let ending = if runs { "" } else { &*ending };
        rule.allows(&[ending, seen_type, seen_ending])
    }

    /// Whether the policy lets a document of this name be sent. Without one all are.
    pub fn lets_send(&self, called: &str, beginning: &[u8]) -> bool {
        self.kinds.is_none() || self.allows(called, beginning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PDF: &[u8] = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n";
    const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\x08\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const EXE: &[u8] = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0";

    #[test]
    fn what_the_content_shows_counts_more_than_the_name_and_that_more_than_what_was_said() {
        for (bytes, called, said, expected) in [
            (PDF, "Rechnung.pdf", None, "application/pdf"),
            (PDF, "Rechnung.txt", Some("text/plain"), "application/pdf"),
            (b"\x89PNG\r\n\x1a\n", "Foto.jpg", None, "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "Foto", None, "image/jpeg"),
            (EXE, "Rechnung.pdf", None, "application/vnd.microsoft.portable-executable"),
            (b"#!/bin/sh\nrm -rf /", "Liste.csv", None, "text/x-shellscript"),
            (b"a;b;c\n1;2;3\n", "Liste.csv", None, "text/csv"),
            ("Grüße".as_bytes(), "Notiz", None, "text/plain"),
            (b"kein PDF", "Rechnung.pdf", Some("application/pdf"), "text/plain"),
            (b"\0\x01\x02\x03", "Rechnung.pdf", None, "application/octet-stream"),
            (b"\0\x01\x02\x03", "Teil.step9", Some("model/step"), "model/step"),
            (b"\0\x01\x02\x03", "Teil.step9", Some("kein Typ"), "application/octet-stream"),
            (b"", "leer.txt", None, "text/plain"),
            (b"", "leer", None, "application/octet-stream"),
            (b"<?xml version=\"1.0\"?><Invoice/>", "xrechnung.xml", None, "application/xml"),
            (b"<?xml version=\"1.0\"?><svg/>", "Plan.svg", None, "image/svg+xml"),
        ] {
            assert_eq!(media_type(bytes, called, said), expected, "{called}");
        }
    }

    #[test]
    fn of_a_container_the_ending_says_what_lies_in_it_only_if_that_can_be() {
        let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        assert_eq!(media_type(ZIP, "Angebot.docx", None), docx);
        assert_eq!(media_type(ZIP, "Angebot.pdf", None), "application/zip");
        assert_eq!(media_type(PDF, "Angebot.docx", None), "application/pdf");
    }

    #[test]
    fn a_text_whose_last_character_is_cut_is_one() {
        let text = "ä".repeat(LOOKED_AT);
        assert_eq!(media_type(&text.as_bytes()[..LOOKED_AT - 1], "x", None), "text/plain");
        assert_eq!(media_type(b"\xe4hnlich wie Latin-1 \xff", "x", None), UNKNOWN);
    }

    #[test]
    fn what_a_system_runs_is_not_opened_by_name_or_by_content() {
        let rule = Rule::default();
        for (called, bytes) in [
            ("setup.EXE", &b"anything"[..]),
            ("Rechnung.pdf.exe", PDF),
            ("Rechnung\u{202e}fdp.scr", PDF),
            ("Rechnung.pdf", EXE),
            ("Foto.jpg", b"#!/bin/sh\n"),
            ("a.exe.", PDF),
        ] {
            assert!(!rule.allows(called, bytes), "{called}");
            assert!(rule.lets_send(called, bytes));
        }
        for (called, bytes) in [("Rechnung.pdf", PDF), ("exe", PDF), ("", b""), ("a.docx", ZIP)] {
            assert!(rule.allows(called, bytes), "{called}");
        }
    }

    #[test]
    fn a_policy_replaces_the_list_and_counts_for_sending_too() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let rule = |blocked: &[&str], allowed: Option<&[&str]>| Rule {
            kinds: Some(DocumentRule { blocked: words(blocked), allowed: allowed.map(words) }),
            ..Rule::default()
        };
        let blocks = rule(&["xlsm", "application/zip"], None);
        assert!(!blocks.allows("Plan.XLSM", b"") && !blocks.lets_send("a.dat", ZIP));
        assert!(blocks.allows("a.docx", ZIP), "more than a ZIP");
        assert!(blocks.allows("setup.exe", EXE), "the company's list, and no other");
        assert!(!rule(&["exe"], None).allows("a.pdf", EXE), "by content");
        let only = rule(&["exe"], Some(&["pdf", "png"]));
        assert!(only.allows("a.pdf", PDF) && !only.allows("a.docx", ZIP));
        assert!(!only.allows("a.pdf", EXE), "its content is not on the list");
        assert!(!only.allows("ohne", b"text"));
    }
}
