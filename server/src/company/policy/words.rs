//! A policy in words: what it says, what changes, and what follows for people.
//!
//! Whoever signs reads this and not the file, so it is made from the bytes that are signed.

use hauspost_protocol::company::body::Role;
use hauspost_protocol::company::policy::{Callers, DocumentRule, QuietPlan, Terms, WhoMayCallAll};
use hauspost_protocol::ids::UserId;
use hauspost_protocol::mls::member::Suite;

use crate::harmless::line;

/// The days as the file names them, in the order of their bits.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// One setting in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the file.
    pub key: &'static str,
    /// Whether the works council signs it.
    pub council: bool,
    /// Its value.
    pub value: String,
    /// What follows from it.
    pub means: &'static str,
}

/// A setting that is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The value before.
    pub was: String,
    /// The setting as it will be.
    pub now: Setting,
}

/// Everything that a policy says. `name_of` names people, by short name where they have one.
pub fn settings(terms: &Terms, name_of: &dyn Fn(UserId) -> String) -> Vec<Setting> {
    let (council, general) = (&terms.council, &terms.general);
    let of_council = |key, value: String, means| Setting { key, council: true, value, means };
    let of_rest = |key, value: String, means| Setting { key, council: false, value, means };
    let switch = |key, on: bool, means_on, means_off| {
        of_council(key, if on { "on" } else { "off" }.into(), if on { means_on } else { means_off })
    };
    vec![
        switch(
            "council.handover_council",
            council.handover_council,
            "HR hands a leaver's conversations to a successor only together with the works council.",
            "HR alone hands a leaver's conversations to a successor; the works council is not asked.",
        ),
        switch(
            "council.read_receipts",
            council.read_receipts,
            "Colleagues see when a person read their messages. Who withholds that sees it of nobody.",
            "Nobody sees whether a message was read.",
        ),
        switch(
            "council.typing",
            council.typing,
            "Colleagues see that a person is writing to them just now. Whoever withholds it does not see it either.",
            "Nobody sees that somebody is writing.",
        ),
        switch(
            "council.last_seen",
            council.last_seen,
            "In conversations of two the other one sees whether a person is there or when he last was. Whoever withholds it does not see it either.",
            "Nobody sees when somebody was last there.",
        ),
        switch(
            "council.statistics",
            council.statistics,
            "The company may count what single people do; this version counts nothing.",
            "Nothing is counted for single people.",
        ),
        of_council(
            "council.behaviour_days",
            format!("{} days", council.behaviour_days),
            "For so long phones keep who read what; then they forget it.",
        ),
        of_council(
            "council.alarms",
            callers(&council.alarms, name_of),
            "Their alarms ring in everybody's quiet hours; each is written down.",
        ),
        switch(
            "council.history_for_members",
            council.history_for_members,
            "Whoever joins any conversation gets to read what was written before.",
            "Whoever joins reads what was written before only where the conversation says so.",
        ),
        of_rest(
            "documents",
            general.documents.as_ref().map_or("no rule".into(), rule),
            if general.documents.is_some() {
                "What is blocked, or not on the list of the allowed, is neither sent nor opened."
            } else {
                "Everything is sent; programs are saved but not opened."
            },
        ),
        of_rest(
            "documents.largest",
            bytes_in_words(general.document_bytes),
            "Nothing larger is sent.",
        ),
        of_rest(
            "documents.unfinished_hours",
            format!("{} hours", general.upload_hours),
            "After that an upload that no message names is removed.",
        ),
        of_rest(
            "documents.device_quota",
            quota(general.device_bytes),
            "More a phone cannot upload.",
        ),
        of_rest("documents.company_quota", quota(general.company_bytes), "More nobody can upload."),
        of_rest(
            "conversations.at_all",
            match general.at_all {
                WhoMayCallAll::Everyone => "everyone",
                WhoMayCallAll::Owners => "owners",
                WhoMayCallAll::Nobody => "nobody",
            }
            .into(),
            "Who may call everybody in a conversation at once.",
        ),
        of_rest(
            "conversations.queue_hours",
            format!("{} hours", general.queue_hours),
            "What waits longer to be sent fails, and its author is told.",
        ),
        of_rest(
            "conversations.suite",
            match general.suite() {
                Some(Suite::Hybrid) => "hybrid",
                Some(Suite::Classic) => "classic",
                None => "by size",
            }
            .into(),
            if general.suite() == Some(Suite::Classic) {
                "New groups, small ones too, are NOT safe from a quantum computer that reads recordings later."
            } else {
                "Groups of up to 100 devices, or all, are safe from a quantum computer that reads recordings later."
            },
        ),
        of_rest(
            "conversations.group_version",
            general.group_version.map_or("the newest".into(), |version| version.to_string()),
            "Groups of another version are made anew, once.",
        ),
        of_rest(
            "time.zone",
            general.zone.as_ref().map_or("UTC".into(), |zone| {
                format!("{} ({})", line(&zone.name), line(&zone.rule))
            }),
            "Days, years and quiet hours go by this clock.",
        ),
        of_rest(
            "time.quiet",
            plan(&general.quiet_hours),
            "Phones of those who set no quiet hours of their own stay silent then, but for alarms.",
        ),
    ]
}

/// What changes from one policy to the next.
pub fn changes(before: &Terms, after: &Terms, name_of: &dyn Fn(UserId) -> String) -> Vec<Change> {
    let pairs = settings(before, name_of).into_iter().zip(settings(after, name_of));
    pairs
        .filter(|(was, now)| was.value != now.value)
        .map(|(was, now)| Change { was: was.value, now })
        .collect()
}

/// A size as the file writes it: with the largest unit that leaves a whole number.
pub fn bytes_in_words(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = |(shift, _): &(u32, &str)| bytes > 0 && bytes.trailing_zeros() >= *shift;
    match units.into_iter().find(whole) {
        Some((shift, unit)) => format!("{} {unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// A minute of the day as `06:00`.
pub fn minute_in_words(minute: u64) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn quota(bytes: Option<u64>) -> String {
    bytes.map_or("no limit by policy".into(), bytes_in_words)
}

fn callers(callers: &Callers, name_of: &dyn Fn(UserId) -> String) -> String {
    if callers.is_empty() {
        return "nobody".into();
    }
    let roles = callers.roles.iter().map(|role| match role {
        Role::Admin => "every admin".to_owned(),
        Role::Hr => "HR".to_owned(),
        Role::Officer => "every compliance officer".to_owned(),
        Role::Council => "the works council".to_owned(),
        Role::Scim => "the directory service".to_owned(),
        Role::Retention => "the retention service".to_owned(),
    });
    let users = callers.users.iter().map(|user| line(&name_of(*user)));
    roles.chain(users).collect::<Vec<_>>().join(", ")
}

fn rule(rule: &DocumentRule) -> String {
    let words = |words: &[String]| {
        let words: Vec<_> = words.iter().map(|word| line(word)).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(" ") }
    };
    let allowed = rule.allowed.as_ref().map_or("all others".into(), |allowed| words(allowed));
    format!("blocked: {}; allowed: {allowed}", words(&rule.blocked))
}

fn plan(plan: &QuietPlan) -> String {
    if plan.0.is_empty() {
        return "none".into();
    }
    let spans = plan.0.iter().map(|span| {
        let days = DAYS.iter().enumerate().filter(|(place, _)| span.days >> place & 1 == 1);
        let days: Vec<_> = days.map(|(_, day)| *day).collect();
        let (from, to) = (minute_in_words(span.from_minute), minute_in_words(span.to_minute));
        format!("{} {from}–{to}", days.join(" "))
    });
    spans.collect::<Vec<_>>().join(", ")
}
