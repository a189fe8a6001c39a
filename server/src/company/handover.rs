//! A handover on its way into the company log: what a leaver had in conversations goes to a successor.
//!
//! HR makes and signs it, the council signs it unless the policy lets HR act alone, each on a machine of
//! his own, and it goes its way as an [`Approval`].

use hauspost_protocol::company::body::{CompanyBody, HandoverEntry, Scope};
use hauspost_protocol::company::handover::Handover;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::ids::{CompanyId, LogId, Seq, TimeMs, UserId};
use hauspost_protocol::limits;
use hauspost_protocol::wire::Person;

use crate::archive::approval::Approval;
use crate::archive::time;

/// Why there is no handover.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// Nobody of this name.
    #[error("there is no person `{0}`")]
    Unknown(String),
    /// To the leaver himself.
    #[error("`{0}` cannot take over from himself")]
    Same(String),
    /// The leaver never had a device, so he was in no conversation.
    #[error("`{0}` never had a device, and so nothing to hand over")]
    NothingLeft(String),
    /// The successor could receive nothing.
    #[error("`{0}` has no active device that could receive anything")]
    NoDevice(String),
    /// The period ends before it begins.
    #[error("the period ends before it begins")]
    Period,
    /// More conversations than one entry names.
    #[error("one handover names at most {} conversations", limits::RANGES)]
    TooMany,
    /// A conversation is named twice.
    #[error("log {0} is named twice")]
    Twice(LogId),
    /// There is none to end.
    #[error("nothing is handed over between these two")]
    NothingToEnd,
    /// The request is about something else.
    #[error("the request is no handover; `hauspost archive sign` shows what it is")]
    NotAHandover,
}

/// What HR wants to hand over.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The conversations; none for all in which the leaver was.
    pub logs: Vec<LogId>,
    /// Not before this time.
    pub since: Option<TimeMs>,
    /// Not after this time.
    pub until: Option<TimeMs>,
    /// Nothing any more: an earlier handover ends.
    pub nothing: bool,
}

/// A period in which nothing was ever said.
const NOTHING: (Option<TimeMs>, Option<TimeMs>) = (Some(1), Some(0));

impl Wanted {
    fn scope(&self) -> Result<Scope, HandoverError> {
        if self.nothing {
            let (t_from, t_to) = NOTHING;
            return Ok(Scope { t_from, t_to, ..Scope::default() });
        }
        if self.since.zip(self.until).is_some_and(|(since, until)| since > until) {
            return Err(HandoverError::Period);
        }
        if self.logs.len() > limits::RANGES {
            return Err(HandoverError::TooMany);
        }
        let mut logs = self.logs.clone();
        logs.sort();
        if let Some(pair) = logs.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(HandoverError::Twice(pair[0]));
        }
        let logs = logs.into_iter().map(|log| (log, Seq(0), None)).collect();
        Ok(Scope { logs, t_from: self.since, t_to: self.until, users: Vec::new() })
    }
}

/// A handover to be signed. People are named by their short names or ids.
pub fn request(
    company: &Company,
    id: CompanyId,
    people: &[Person],
    (from, to): (&str, &str),
    wanted: &Wanted,
) -> Result<Approval, HandoverError> {
    let now = company.now();
    let known = |name: &str| {
        let person = people.iter().find(|person| person.handle == name).map(|person| person.user);
        let person = person.or_else(|| name.parse().ok().filter(|user| now.has_had_device(*user)));
        person.ok_or_else(|| HandoverError::Unknown(name.to_owned()))
    };
    let (leaver, successor) = (known(from)?, known(to)?);
    if leaver == successor {
        return Err(HandoverError::Same(from.to_owned()));
    }
    if !now.has_had_device(leaver) {
        return Err(HandoverError::NothingLeft(from.to_owned()));
    }
    let between = now.handovers().any(|known| (known.from, known.to) == (leaver, successor));
    if wanted.nothing && !between {
        return Err(HandoverError::NothingToEnd);
    }
    if !wanted.nothing && now.devices_of(successor).next().is_none() {
        return Err(HandoverError::NoDevice(to.to_owned()));
    }
    let (seen, scope) = (company.newest(), wanted.scope()?);
    Ok(Approval::new(id, HandoverEntry { seen, from: leaver, to: successor, scope }))
}

/// What a request says, read from the very bytes that are signed.
pub fn read(approval: &Approval) -> Result<&HandoverEntry, HandoverError> {
    match approval.body() {
        CompanyBody::Handover(entry) => Ok(entry),
        _ => Err(HandoverError::NotAHandover),
    }
}

/// Whether it ends what was handed over before.
pub fn ends(scope: &Scope) -> bool {
    scope.t_from.zip(scope.t_to).is_some_and(|(from, to)| from > to)
}

/// A handover in words, line by line.
pub fn words(entry: &HandoverEntry, name: &impl Fn(UserId) -> String) -> Vec<String> {
    let (from, to, scope) = (name(entry.from), name(entry.to), &entry.scope);
    if ends(scope) {
        return vec![format!("Nothing of what {from} had is handed over to {to} any more.")];
    }
    let mut lines = vec![format!("What {from} had in conversations is handed over to {to}:")];
    let stretch = |(log, from, to): &(LogId, Seq, Option<Seq>)| match (from, to) {
        (Seq(0), None) => format!("  log {log}"),
        (from, None) => format!("  log {log}, from entry {from} on"),
        (from, Some(to)) => format!("  log {log}, entries {from} to {to}"),
    };
    lines.extend(scope.logs.iter().map(stretch));
    if scope.logs.is_empty() {
        lines.push(format!("  ALL conversations in which {from} was, but his own notes"));
    }
    if let Some(from) = scope.t_from {
        lines.push(format!("  not before {}", time::show(from)));
    }
    if let Some(to) = scope.t_to {
        lines.push(format!("  not after {}", time::show(to)));
    }
    // Nobody signs such a one; what is shown is what would be signed.
    lines.extend(scope.users.iter().map(|user| format!("  only what {user} wrote")));
    lines.push("Everybody in these conversations sees a line about it.".to_owned());
    lines
}

/// A handover in force as one line: entry, leaver, successor, scope.
pub fn row(known: &Handover, name: &impl Fn(UserId) -> String) -> String {
    let Handover { seq, t_ms, from, to, scope } = known;
    let logs = match scope.logs.len() {
        _ if known.has_ended() => "nothing any more".to_owned(),
        0 => "all conversations".to_owned(),
        count => format!("{count} conversation(s)"),
    };
    format!("{seq}\t{}\t{}\t{}\t{logs}", time::show(*t_ms), name(*from), name(*to))
}

#[cfg(test)]
mod tests;
