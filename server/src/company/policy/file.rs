//! The file that a person writes: TOML, with the whole policy in it.
//!
//! What the file does not say has its default, so that it reads the same next year. `hauspost admin policy
//! template` writes the policy in force with an explanation of every line.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use hauspost_protocol::company::body::Role;
use hauspost_protocol::company::policy::{
    Callers, CouncilPart, DocumentRule, GeneralPart, QuietPlan, QuietSpan, Terms, WhoMayCallAll,
    Zone,
};
use hauspost_protocol::ids::UserId;
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::wire::Person;
use serde::Deserialize;

use super::words::{DAYS, bytes_in_words, minute_in_words};
use crate::harmless::line;

/// The longest file that is read, in bytes.
const MAX_BYTES: usize = 1024 * 1024;
/// The longest description of a time zone that is read, in bytes.
const MAX_ZONE_BYTES: u64 = 64 * 1024;

/// Why a file is no policy.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Longer than any policy.
    #[error("a policy has at most {MAX_BYTES} bytes")]
    TooLong,
    /// Not TOML, or with words that no policy has.
    #[error("{0}")]
    Form(String),
    /// A value that its line does not allow.
    #[error("{key}: `{value}` is not {expected}")]
    Value {
        /// The line's key.
        key: &'static str,
        /// What stands there.
        value: String,
        /// What should.
        expected: &'static str,
    },
    /// Nobody of this name.
    #[error("council.alarms.people: there is no person `{0}`")]
    NoPerson(String),
    /// The zone's rule is not known on this machine.
    #[error(
        "time.zone: this machine knows no rule for `{0}`; name it as time.zone_rule, as POSIX writes it"
    )]
    NoZone(String),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    council: Council,
    documents: Documents,
    conversations: Conversations,
    time: Time,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Council {
    handover_council: Option<bool>,
    read_receipts: Option<bool>,
    typing: Option<bool>,
    last_seen: Option<bool>,
    statistics: Option<bool>,
    behaviour_days: Option<u64>,
    history_for_members: Option<bool>,
    alarms: Alarms,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Alarms {
    roles: Vec<String>,
    people: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Documents {
    blocked: Option<Vec<String>>,
    allowed: Option<Vec<String>>,
    largest: Option<Size>,
    unfinished_hours: Option<u64>,
    device_quota: Option<Size>,
    company_quota: Option<Size>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Conversations {
    at_all: Option<String>,
    queue_hours: Option<u64>,
    suite: Option<String>,
    group_version: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Time {
    zone: Option<String>,
    zone_rule: Option<String>,
    quiet: Vec<Quiet>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quiet {
    days: Vec<String>,
    from: String,
    to: String,
}

/// A number of bytes, or such a number with a unit.
#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Bytes(u64),
    Text(String),
}

/// What the file says. `people` is the directory; `zones` the folder of time zones of this machine.
pub fn parse(text: &str, people: &[Person], zones: &Path) -> Result<Terms, FileError> {
    if text.len() > MAX_BYTES {
        return Err(FileError::TooLong);
    }
    let file: File = toml::from_str(text).map_err(|error| FileError::Form(error.to_string()))?;
    Ok(Terms {
        council: council(file.council, people)?,
        general: general(file.documents, file.conversations, file.time, zones)?,
    })
}

fn council(file: Council, people: &[Person]) -> Result<CouncilPart, FileError> {
    let default = CouncilPart::default();
    let roles = file.alarms.roles.iter().map(|role| read_role(role)).collect::<Result<_, _>>()?;
    let person = |name: &String| {
        let known = people.iter().find(|person| person.handle == *name).map(|person| person.user);
        known.or_else(|| name.parse().ok()).ok_or_else(|| FileError::NoPerson(name.clone()))
    };
    let users = file.alarms.people.iter().map(person).collect::<Result<_, _>>()?;
    Ok(CouncilPart {
        handover_council: file.handover_council.unwrap_or(default.handover_council),
        read_receipts: file.read_receipts.unwrap_or(default.read_receipts),
        typing: file.typing.unwrap_or(default.typing),
        last_seen: file.last_seen.unwrap_or(default.last_seen),
        statistics: file.statistics.unwrap_or(default.statistics),
        behaviour_days: file.behaviour_days.unwrap_or(default.behaviour_days),
        alarms: Callers { roles, users },
        history_for_members: file.history_for_members.unwrap_or(default.history_for_members),
        later: Vec::new(),
    })
}

fn general(
    documents: Documents,
    conversations: Conversations,
    time: Time,
    zones: &Path,
) -> Result<GeneralPart, FileError> {
    let default = GeneralPart::default();
    let rule = match (documents.blocked, documents.allowed) {
        (None, None) => None,
        (blocked, allowed) => Some(DocumentRule { blocked: blocked.unwrap_or_default(), allowed }),
    };
    let spans = time.quiet.iter().map(read_span).collect::<Result<_, _>>()?;
    Ok(GeneralPart {
        documents: rule,
        document_bytes: read_size("documents.largest", documents.largest)?
            .unwrap_or(default.document_bytes),
        upload_hours: documents.unfinished_hours.unwrap_or(default.upload_hours),
        device_bytes: read_size("documents.device_quota", documents.device_quota)?,
        company_bytes: read_size("documents.company_quota", documents.company_quota)?,
        suite_code: conversations.suite.as_deref().map(read_suite).transpose()?.map(Suite::code),
        group_version: conversations.group_version,
        at_all: conversations.at_all.as_deref().map_or(Ok(default.at_all), read_at_all)?,
        zone: read_zone(time.zone, time.zone_rule, zones)?,
        quiet_hours: QuietPlan(spans),
        queue_hours: conversations.queue_hours.unwrap_or(default.queue_hours),
        later: Vec::new(),
    })
}

fn value(key: &'static str, value: &str, expected: &'static str) -> FileError {
    FileError::Value { key, value: line(value), expected }
}

/// Roles of people; the two keys on the server send nothing.
const ROLES: [(&str, Role); 4] = [
    ("admin", Role::Admin),
    ("hr", Role::Hr),
    ("officer", Role::Officer),
    ("council", Role::Council),
];

fn read_role(text: &str) -> Result<Role, FileError> {
    let known = ROLES.iter().find(|(name, _)| *name == text).map(|(_, role)| *role);
    known.ok_or_else(|| value("council.alarms.roles", text, "one of admin, hr, officer, council"))
}

fn role_name(role: Role) -> &'static str {
    ROLES.iter().find(|(_, known)| *known == role).map_or("unknown", |(name, _)| name)
}

fn read_suite(text: &str) -> Result<Suite, FileError> {
    match text {
        "hybrid" => Ok(Suite::Hybrid),
        "classic" => Ok(Suite::Classic),
        other => Err(value("conversations.suite", other, "hybrid or classic")),
    }
}

fn read_at_all(text: &str) -> Result<WhoMayCallAll, FileError> {
    match text {
        "everyone" => Ok(WhoMayCallAll::Everyone),
        "owners" => Ok(WhoMayCallAll::Owners),
        "nobody" => Ok(WhoMayCallAll::Nobody),
        other => Err(value("conversations.at_all", other, "one of everyone, owners, nobody")),
    }
}

fn read_size(key: &'static str, size: Option<Size>) -> Result<Option<u64>, FileError> {
    let text = match size {
        None => return Ok(None),
        Some(Size::Bytes(bytes)) => return Ok(Some(bytes)),
        Some(Size::Text(text)) => text,
    };
    let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
    let shift = match unit {
        "" => Some(0),
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        "TiB" => Some(40),
        _ => None,
    };
    let bytes = number.parse::<u64>().ok().zip(shift);
    let bytes = bytes.and_then(|(number, shift)| number.checked_mul(1 << shift));
    bytes.map(Some).ok_or_else(|| value(key, &text, "a size such as \"2 GiB\""))
}

fn read_span(quiet: &Quiet) -> Result<QuietSpan, FileError> {
    let mut days = 0;
    for day in &quiet.days {
        let place = DAYS.iter().position(|known| known == day);
        let place = place.ok_or_else(|| {
            value("time.quiet.days", day, "one of mon, tue, wed, thu, fri, sat, sun")
        })?;
        days |= 1 << place;
    }
    if days == 0 {
        return Err(value("time.quiet.days", "[]", "a list with at least one day"));
    }
    Ok(QuietSpan {
        days,
        from_minute: read_minute("time.quiet.from", &quiet.from, 23)?,
        to_minute: read_minute("time.quiet.to", &quiet.to, 24)?,
    })
}

fn read_minute(key: &'static str, text: &str, last_hour: u64) -> Result<u64, FileError> {
    let two = |text: &str| {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    let read = text.split_once(':').and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)));
    let fits = |(hour, minute): &(u64, u64)| {
        *minute < 60 && *hour <= last_hour && (*hour < 24 || *minute == 0)
    };
    let read = read.filter(fits).map(|(hour, minute)| hour * 60 + minute);
    read.ok_or_else(|| value(key, text, "a time of day such as \"06:00\""))
}

fn read_zone(
    name: Option<String>,
    rule: Option<String>,
    zones: &Path,
) -> Result<Option<Zone>, FileError> {
    let Some(name) = name else {
        return match rule {
            None => Ok(None),
            Some(rule) => Err(value("time.zone_rule", &rule, "of use without time.zone")),
        };
    };
    let rule = match rule {
        Some(rule) => rule,
        None => machine_rule(&name, zones).ok_or_else(|| FileError::NoZone(line(&name)))?,
    };
    let zone = Zone { name, rule };
    if zone.fits() {
        Ok(Some(zone))
    } else {
        Err(value("time.zone_rule", &zone.rule, "a POSIX rule such as CET-1CEST,M3.5.0,M10.5.0/3"))
    }
}

/// The rule for the years to come that this machine's time zone data holds: the last line of the zone's
/// file (RFC 9636 §3.3).
fn machine_rule(name: &str, zones: &Path) -> Option<String> {
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    if !name.split('/').all(part) {
        return None;
    }
    let path = zones.join(name);
    if fs::metadata(&path).ok()?.len() > MAX_ZONE_BYTES {
        return None;
    }
    let file = fs::read(&path).ok()?;
    let footer = file.strip_suffix(b"\n").filter(|_| file.starts_with(b"TZif"))?;
    let begin = footer.iter().rposition(|byte| *byte == b'\n')? + 1;
    String::from_utf8(footer[begin..].to_vec()).ok()
}

/// The policy as a file, every line explained.
pub fn template(terms: &Terms, version: Option<u64>, people: &[Person]) -> String {
    let (council, general) = (&terms.council, &terms.general);
    let title = match version {
        Some(version) => format!("# The policy, version {version}."),
        None => "# The policy: there is none yet, this is what holds without one.".to_owned(),
    };
    let mut text = format!(
        "{title} What a file does not say has its default.\n\
         # Change it, then: hauspost admin policy set FILE --keys KEYS/admin --out REQUEST\n\n\
         # What can watch people. The works council signs each change of this part.\n[council]\n"
    );
    let mut say = |key: &str, value: String, means: &str| {
        let _ = writeln!(text, "# {means}\n{key} = {value}");
    };
    say(
        "handover_council",
        council.handover_council.to_string(),
        "A successor gets a leaver's conversations only with the council's signature.",
    );
    say(
        "read_receipts",
        council.read_receipts.to_string(),
        "People see that their messages were read.",
    );
    say(
        "typing",
        council.typing.to_string(),
        "People see that somebody is writing to them just now.",
    );
    say(
        "last_seen",
        council.last_seen.to_string(),
        "People see whether the other one of a conversation of two is there, or when he last was.",
    );
    say(
        "statistics",
        council.statistics.to_string(),
        "Anything may be counted for each person. This version counts nothing.",
    );
    say(
        "behaviour_days",
        council.behaviour_days.to_string(),
        "Days for which receipts are kept, 1 to 365.",
    );
    say(
        "history_for_members",
        council.history_for_members.to_string(),
        "New members get the past of every conversation, whatever the conversation says.",
    );
    let _ = writeln!(
        text,
        "\n# Whose alarms break through quiet hours: roles (admin, hr, officer, council) and people by short name.\n[council.alarms]"
    );
    let roles = council.alarms.roles.iter().map(|role| role_name(*role).to_owned());
    let _ = writeln!(text, "roles = {}", list(roles));
    let _ = writeln!(
        text,
        "people = {}",
        list(council.alarms.users.iter().map(|user| handle(*user, people)))
    );
    text.push_str("\n[documents]\n");
    text.push_str("# Endings without dot, or media types. Without both lists everything is sent, and what a system would run\n# is not opened.\n");
    match &general.documents {
        None => text.push_str(
            "# blocked = [\"exe\", \"js\"]\n# allowed = [\"pdf\", \"docx\", \"image/jpeg\"]\n",
        ),
        Some(rule) => {
            let _ = writeln!(text, "blocked = {}", list(rule.blocked.iter().cloned()));
            match &rule.allowed {
                Some(allowed) => {
                    let _ = writeln!(text, "allowed = {}", list(allowed.iter().cloned()));
                }
                None => text.push_str("# allowed = [\"pdf\"]\n"),
            }
        }
    }
    let size = |bytes: u64| quoted(&bytes_in_words(bytes));
    let _ = writeln!(
        text,
        "# The largest document, up to 4 GiB less 1 MiB.\nlargest = {}",
        size(general.document_bytes)
    );
    let _ = writeln!(
        text,
        "# Hours for which the server keeps an upload that no message names, 1 to 2160.\nunfinished_hours = {}",
        general.upload_hours
    );
    for (key, bytes, means) in [
        (
            "device_quota",
            general.device_bytes,
            "What the documents of one phone may take at the server.",
        ),
        ("company_quota", general.company_bytes, "What all documents may take at the server."),
    ] {
        let _ = match bytes {
            Some(bytes) => writeln!(text, "# {means}\n{key} = {}", size(bytes)),
            None => writeln!(text, "# {means}\n# {key} = \"50 GiB\""),
        };
    }
    text.push_str("\n[conversations]\n");
    let at_all = match general.at_all {
        WhoMayCallAll::Everyone => "everyone",
        WhoMayCallAll::Owners => "owners",
        WhoMayCallAll::Nobody => "nobody",
    };
    let _ = writeln!(
        text,
        "# Who may call everybody by @all: everyone, owners, nobody.\nat_all = \"{at_all}\""
    );
    let _ = writeln!(
        text,
        "# Hours for which something may wait to be sent before it fails, 1 to 2160.\nqueue_hours = {}",
        general.queue_hours
    );
    let _ = match general.suite() {
        Some(suite) => writeln!(
            text,
            "# The cipher suite of new groups, hybrid or classic; without it their size decides.\nsuite = \"{}\"",
            if suite == Suite::Hybrid { "hybrid" } else { "classic" }
        ),
        None => writeln!(
            text,
            "# The cipher suite of new groups, hybrid or classic; without it their size decides.\n# suite = \"hybrid\""
        ),
    };
    let _ = match general.group_version {
        Some(version) => writeln!(
            text,
            "# The protocol's version that groups move to.\ngroup_version = {version}"
        ),
        None => writeln!(
            text,
            "# The protocol's version that groups move to; without it the newest.\n# group_version = 1"
        ),
    };
    text.push_str(
        "\n# The company's clock, for days, years and quiet hours; without a zone UTC.\n[time]\n",
    );
    match &general.zone {
        Some(zone) => {
            let _ =
                writeln!(text, "zone = {}\nzone_rule = {}", quoted(&zone.name), quoted(&zone.rule));
        }
        None => text.push_str("# zone = \"Europe/Berlin\"\n"),
    }
    text.push_str("\n# Quiet hours of whoever has set none: phones stay silent, but for alarms.\n");
    if general.quiet_hours.0.is_empty() {
        text.push_str("# [[time.quiet]]\n# days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\n# from = \"20:00\"\n# to = \"06:00\"\n");
    }
    for span in &general.quiet_hours.0 {
        let days = DAYS.iter().enumerate().filter(|(place, _)| span.days >> place & 1 == 1);
        let days = list(days.map(|(_, day)| (*day).to_owned()));
        let (from, to) = (minute_in_words(span.from_minute), minute_in_words(span.to_minute));
        let _ = writeln!(text, "[[time.quiet]]\ndays = {days}\nfrom = \"{from}\"\nto = \"{to}\"");
    }
    text
}

fn handle(user: UserId, people: &[Person]) -> String {
    let known = people.iter().find(|person| person.user == user && !person.handle.is_empty());
    known.map_or_else(|| user.to_string(), |person| person.handle.clone())
}

fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<_> = words.map(|word| quoted(&word)).collect();
    format!("[{}]", words.join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
