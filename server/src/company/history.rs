//! The company log in words: what an admin reads of it.

use hauspost_protocol::company::body::{
    ArchiveSide, CompanyBody, KeySwitch, ReportCode, ReportEntry, RevokeReason, Role,
};
use hauspost_protocol::company::entry::CompanyPayload;
use hauspost_protocol::company::finding::Finding;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::entry::{Entry, Head};
use hauspost_protocol::ids::{Seq, TimeMs};

use super::policy::Fingerprints;
use crate::harmless::line;

/// An entry in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number.
    pub seq: Seq,
    /// The server's time.
    pub t_ms: TimeMs,
    /// Its kind's name in the protocol.
    pub kind: &'static str,
    /// What it is about.
    pub about: String,
    /// Why it does not count, if it does not.
    pub finding: Option<Finding>,
}

/// A device's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The entry's number.
    pub seq: Seq,
    /// The server's time.
    pub t_ms: TimeMs,
    /// What it says.
    pub body: ReportEntry,
}

/// All entries in words, oldest first. `company` was built from them.
pub fn lines(company: &Company, entries: &[Entry]) -> Vec<Line> {
    let in_words = |entry: &Entry| {
        let (kind, about) = match body_of(entry) {
            Some(body) => words(company, &body),
            None => ("unknown", "of a kind or form that this version does not know".to_owned()),
        };
        Line { seq: entry.seq, t_ms: entry.t_ms, kind, about, finding: company.finding(entry.seq) }
    };
    entries.iter().map(in_words).collect()
}

/// The reports that count, oldest first.
pub fn reports(company: &Company, entries: &[Entry]) -> Vec<Report> {
    let counted = entries.iter().filter(|entry| company.finding(entry.seq).is_none());
    let report = |entry: &Entry| match body_of(entry)? {
        CompanyBody::Report(body) => Some(Report { seq: entry.seq, t_ms: entry.t_ms, body }),
        _ => None,
    };
    counted.filter_map(report).collect()
}

fn body_of(entry: &Entry) -> Option<CompanyBody> {
    let kind = Head::parse(&entry.head).ok()?.kind;
    let payload = CompanyPayload::parse(kind, entry.payload.bytes()?).ok()?;
    CompanyBody::parse(kind, &payload.body).ok()
}

fn words(company: &Company, body: &CompanyBody) -> (&'static str, String) {
    match body {
        CompanyBody::Genesis(body) => ("genesis", format!("company {}", body.company)),
        CompanyBody::RootRotation(body) => ("root_rotation", format!("key {}", body.key.id())),
        CompanyBody::IssuingKey(body) => ("issuing_key", switched(body)),
        CompanyBody::EnrolmentAuthority(body) => ("enrolment_authority", switched(body)),
        CompanyBody::LogKey(body) => ("log_key", format!("key {}", body.ed25519.id())),
        CompanyBody::Witness(body) => {
            ("witness", format!("{}, {}", line(&body.name), state(body.active)))
        }
        CompanyBody::Device(body) => ("device", format!("device {} of {}", body.device, body.user)),
        CompanyBody::Revoke(body) => {
            ("revoke", format!("device {}, {}", body.device, reason(body.reason)))
        }
        CompanyBody::Role(body) => {
            let (role, state) = (role(body.role), state(body.active));
            ("role", format!("{role}, key {}, {state}", body.key.id()))
        }
        CompanyBody::Policy(body) => {
            let Fingerprints { document, council } = Fingerprints::of(&body.document);
            let version = body.version;
            ("policy", format!("version {version}, {document}, council's part {council}"))
        }
        CompanyBody::ArchiveKey(body) => {
            let side = if body.side == ArchiveSide::A { "A" } else { "B" };
            ("archive_key", format!("{side}, key {}", body.id()))
        }
        CompanyBody::Opening(body) => ("opening", line(&body.purpose)),
        CompanyBody::Opened(body) => {
            let count: u64 = body.counts.iter().map(|(_, count)| count).sum();
            ("opened", format!("opening {}, {count} keys", body.opening))
        }
        CompanyBody::Hold(body) => ("hold", line(&body.reason)),
        CompanyBody::Release(body) => ("release", format!("hold {}", body.hold)),
        CompanyBody::Erase(body) => ("erase", format!("{} entries", body.count)),
        CompanyBody::Handover(body) => ("handover", format!("{} to {}", body.from, body.to)),
        CompanyBody::Rewrap(body) => ("rewrap", format!("{} capsules", body.count)),
        CompanyBody::Restore(body) => ("restore", format!("{} logs", body.count)),
        CompanyBody::Close(body) => {
            ("close", format!("device {}, {} unsent", body.device, body.unsent))
        }
        CompanyBody::Class(body) => ("class", format!("{}, {}", body.class, line(&body.reason))),
        CompanyBody::ResetOrder(body) => {
            ("reset_order", format!("log {}, {}", body.log, line(&body.reason)))
        }
        CompanyBody::Report(body) => ("report", said(company, body)),
    }
}

/// A report as a sentence.
pub fn said(company: &Company, report: &ReportEntry) -> String {
    let ReportEntry { device, log, code, seq, .. } = report;
    let what = match code {
        ReportCode::Fork => "two histories",
        ReportCode::Rollback => "that its own phone was set back or copied",
        ReportCode::ServerBrokeRule => "that the server broke a rule",
        ReportCode::Class => "a record of a class that does not fit what it holds",
        ReportCode::Reset => "a reset",
    };
    let place = match company.id().is_some_and(|company| company.log() == *log) {
        true => "the company log".to_owned(),
        false => format!("log {log}"),
    };
    format!("device {device} reports {what}: {place}, entry {seq}")
}

fn switched(body: &KeySwitch) -> String {
    format!("key {}, {}", body.key.id(), state(body.active))
}

fn state(active: bool) -> &'static str {
    if active { "active" } else { "ended" }
}

fn reason(reason: RevokeReason) -> &'static str {
    match reason {
        RevokeReason::Left => "left",
        RevokeReason::Lost => "lost",
        RevokeReason::Replaced => "replaced",
        RevokeReason::Conflict => "conflict",
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Hr => "HR",
        Role::Officer => "officer",
        Role::Council => "council",
        Role::Scim => "SCIM",
        Role::Retention => "retention",
    }
}
