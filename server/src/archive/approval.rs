//! An entry of the company log on its way from signer to signer.
//!
//! Two officers and the council sign the same opening on machines of their own, so it travels as a
//! file that each signs in turn. What a signer is shown is read from the very bytes that he signs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hauspost_protocol::company::body::{CompanyBody, Scope};
use hauspost_protocol::company::entry::{CompanyPayload, company_head};
use hauspost_protocol::company::policy::Terms;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::SigningKey;
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{Head, Kind};
use hauspost_protocol::ids::{CompanyId, KeyId, TimeMs};
use hauspost_protocol::wire::NewEntry;
use serde::{Deserialize, Serialize};

use crate::company::handover;
use crate::company::policy::{
    self,
    words::{Setting, settings},
};
use crate::harmless::line;

const FORMAT: &str = "hauspost-request-1";

/// Why a request cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no request.
    #[error("{path} is not a request: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nobody can read in words what would be signed.
    #[error("the request is an entry {0:?}, which this version cannot show; it was not signed")]
    Unshown(Kind),
    /// The entry would not count.
    #[error("the company log would not take it: {0}")]
    NotYet(#[from] hauspost_protocol::company::finding::Finding),
}

/// An entry of the company log with the signatures that it has so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The company.
    pub company: CompanyId,
    head: Vec<u8>,
    payload: CompanyPayload,
    body: CompanyBody,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    format: String,
    company: String,
    head: String,
    payload: String,
}

impl Approval {
    /// An entry that nobody signed yet.
    pub fn new(company: CompanyId, body: impl Into<CompanyBody>) -> Self {
        let body = body.into();
        let payload = CompanyPayload { body: Bytes(body.encode()), signatures: Vec::new() };
        Self { company, head: company_head(company, body.kind()), payload, body }
    }

    /// What is signed.
    pub fn body(&self) -> &CompanyBody {
        &self.body
    }

    /// Signs it; a second time by the same key changes nothing.
    pub fn sign(&mut self, key: &SigningKey) {
        self.payload.approve(&self.head, key);
    }

    /// Who signed it so far.
    pub fn signers(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.payload.signatures.iter().map(|(key, _)| *key)
    }

    /// Whether the company log would take it now.
    pub fn check(&self, company: &Company, now_ms: TimeMs) -> Result<(), ApprovalError> {
        let (head, payload) = self.entry();
        Ok(company.check(&head, &payload, now_ms.max(company.t_ms()))?)
    }

    /// Head and payload, to append.
    pub fn entry(&self) -> NewEntry {
        (Bytes(self.head.clone()), Bytes(encode(&self.payload)))
    }

    /// Writes it to a file, over another one if it is there.
    pub fn write(&self, path: &Path) -> Result<(), ApprovalError> {
        let json = Json {
            format: FORMAT.into(),
            company: self.company.to_string(),
            head: URL_SAFE_NO_PAD.encode(&self.head),
            payload: URL_SAFE_NO_PAD.encode(encode(&self.payload)),
        };
        let mut text = serde_json::to_string_pretty(&json).expect("strings have a JSON form");
        text.push('\n');
        fs::write(path, text).map_err(|source| ApprovalError::Io { path: path.to_owned(), source })
    }

    /// Reads it from a file.
    pub fn read(path: &Path) -> Result<Self, ApprovalError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ApprovalError::Io { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|reason| ApprovalError::Form { path: path.to_owned(), reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if json.format != FORMAT {
            return Err("it is of another version".into());
        }
        let company: CompanyId = json.company.parse().map_err(|_| "the company is not a UUID")?;
        let bytes = |text: &str| {
            URL_SAFE_NO_PAD.decode(text).map_err(|_| "its bytes are not base64url".to_owned())
        };
        let (head, payload) = (bytes(&json.head)?, bytes(&json.payload)?);
        let kind = Head::parse(&head).map_err(|error| error.to_string())?.kind;
        if head != company_head(company, kind) {
            return Err("it is for another log than the company's".into());
        }
        let payload = CompanyPayload::parse(kind, &payload).map_err(|error| error.to_string())?;
        let body = CompanyBody::parse(kind, &payload.body).map_err(|error| error.to_string())?;
        Ok(Self { company, head, payload, body })
    }

    /// What a signer has to know, line by line. A kind that this version cannot put into words is
    /// nothing to sign.
    pub fn describe(&self) -> Result<Vec<String>, ApprovalError> {
        match &self.body {
            CompanyBody::Opening(opening) => {
                let mut lines =
                    vec![format!("Opening of the archive, for: {}", line(&opening.purpose))];
                lines.extend(describe_scope(&opening.scope));
                lines.push(match (&opening.notice, &opening.block_reason) {
                    (Some(notice), _) => format!("Notice to the person affected: {}", line(notice)),
                    (None, reason) => {
                        let reason = line(reason.as_deref().unwrap_or("-"));
                        format!("No notice yet, because: {reason}")
                    }
                });
                Ok(lines)
            }
            CompanyBody::Opened(opened) => {
                let first = format!("The archive was opened under entry {}:", opened.opening);
                let count = |(log, count): &(_, _)| format!("  log {log}: {count} record keys");
                Ok([first].into_iter().chain(opened.counts.iter().map(count)).collect())
            }
            CompanyBody::Policy(entry) => {
                let document = policy::readable(&entry.document, Terms::without_policy());
                let document = document.ok_or(ApprovalError::Unshown(Kind::Policy))?;
                let first = format!("Version {} of the policy:", entry.version);
                let settings = settings(&document.terms(), &|user| user.to_string());
                let setting = |said: Setting| format!("  {}: {}", said.key, said.value);
                Ok([first].into_iter().chain(settings.into_iter().map(setting)).collect())
            }
            CompanyBody::Handover(entry) => Ok(handover::words(entry, &|user| user.to_string())),
            other => Err(ApprovalError::Unshown(other.kind())),
        }
    }
}

fn describe_scope(scope: &Scope) -> Vec<String> {
    let mut lines: Vec<_> = scope
        .logs
        .iter()
        .map(|(log, from, to)| match to {
            Some(to) => format!("  log {log}, entries {from} to {to}"),
            None => format!("  log {log}, from entry {from} on"),
        })
        .collect();
    if lines.is_empty() {
        lines.push("  ALL conversations".into());
    }
    if let Some(from) = scope.t_from {
        lines.push(format!("  not before {}", super::time::show(from)));
    }
    if let Some(to) = scope.t_to {
        lines.push(format!("  not after {}", super::time::show(to)));
    }
    lines.extend(scope.users.iter().map(|user| format!("  only what {user} wrote")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use hauspost_protocol::company::body::{OpeningEntry, ReleaseEntry};
    use hauspost_protocol::crypto::Secret;
    use hauspost_protocol::ids::{LogId, Seq};

    fn opening() -> Approval {
        let scope =
            Scope { logs: vec![(LogId([2; 16]), Seq(0), Some(Seq(9)))], ..Scope::default() };
        let body = OpeningEntry {
            seen: None,
            purpose: "Claim 4711".into(),
            scope,
            notice: Some("by letter".into()),
            block_reason: None,
        };
        Approval::new(CompanyId([1; 16]), body)
    }

    #[test]
    fn a_request_collects_signatures_on_its_way_and_signing_twice_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("request.json");
        opening().write(&path).unwrap();
        for seed in [1, 2, 1] {
            let mut approval = Approval::read(&path).unwrap();
            approval.sign(&SigningKey::from_seed(Secret::new([seed; 32])));
            approval.write(&path).unwrap();
        }
        let approval = Approval::read(&path).unwrap();
        assert_eq!(approval.signers().count(), 2);
        assert_eq!(approval.body(), opening().body());
        assert!(approval.describe().unwrap()[0].contains("Claim 4711"));
    }

    #[test]
    fn attacks_44_a_purpose_cannot_hide_or_imitate_the_lines_of_the_scope() {
        let purpose = "Claim\n  log 1, entries 0 to 9\u{1b}[8m";
        let body = OpeningEntry {
            seen: None,
            purpose: purpose.into(),
            scope: Scope::default(),
            notice: None,
            block_reason: Some("\n\u{202e}".into()),
        };
        let lines = Approval::new(CompanyId([1; 16]), body).describe().unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "  ALL conversations");
        assert!(
            lines.iter().flat_map(|line| line.chars()).all(|c| !c.is_control() && c != '\u{202e}')
        );
    }

    #[test]
    fn attacks_44_an_entry_that_no_words_describe_is_nothing_to_sign() {
        let body = ReleaseEntry { seen: None, hold: Seq(4) };
        let approval = Approval::new(CompanyId([1; 16]), body);
        assert!(matches!(approval.describe(), Err(ApprovalError::Unshown(Kind::Release))));
    }

    #[test]
    fn a_request_for_another_company_than_it_says_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("request.json");
        opening().write(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let other = CompanyId([9; 16]).to_string();
        fs::write(&path, text.replace(&CompanyId([1; 16]).to_string(), &other)).unwrap();
        assert!(matches!(Approval::read(&path), Err(ApprovalError::Form { .. })));
    }
}
