//! The policy as people write it, read it and sign it.
//!
//! [`file`](mod@file) is the file that a person writes, [`words`] what it says and what follows from it, in
//! words. From here the next version goes its way as an [`Approval`]: made and signed by the first holder,
//! signed by the others on machines of their own, appended when the signatures suffice.

pub mod file;
pub mod words;

use hauspost_protocol::company::body::{CompanyBody, PolicyEntry};
use hauspost_protocol::company::policy::{Fault, PolicyDocument, Terms};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::sha256;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::ids::{CompanyId, Digest};

use crate::archive::approval::Approval;

/// Why there is no next version.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Nothing would change.
    #[error("the file says what the policy in force says already")]
    Unchanged,
    /// An item is outside of its limits.
    #[error("{} is outside of its limits", .0.item)]
    Fault(Fault),
    /// The request is about something else.
    #[error("the request is no policy; `hauspost archive sign` shows what it is")]
    NotAPolicy,
    /// The document in the request cannot be read.
    #[error("the document in the request is none that this version can show in words")]
    Unreadable,
    /// Another version was appended since.
    #[error("the request is for version {asked}, and version {in_force} is in force")]
    Version {
        /// The request's version.
        asked: u64,
        /// The version in force.
        in_force: u64,
    },
}

/// A policy's place in the company log, for people to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprints {
    /// SHA-256 of the document.
    pub document: Digest,
    /// SHA-256 of the council part: it stays the same as long as the council was not asked.
    pub council: Digest,
}

impl Fingerprints {
    /// Those of a document as it stands in the log.
    pub fn of(document: &[u8]) -> Self {
        let council = decode::<PolicyDocument>(document).map(|parts| parts.council);
        Self { document: sha256(document), council: sha256(&council.unwrap_or_default()) }
    }
}

/// The next version of the policy, to be signed.
///
/// What a later version of Hauspost put there is handed on, and a council part that says the same keeps
/// its bytes, so that the council is asked only when something changes for it.
pub fn next(company: &Company, id: CompanyId, mut terms: Terms) -> Result<Approval, PolicyError> {
    let now = company.now();
    let in_force = now.terms();
    terms.council.later.clone_from(&in_force.council.later);
    terms.general.later.clone_from(&in_force.general.later);
    if terms == *in_force && now.policy().is_some() {
        return Err(PolicyError::Unchanged);
    }
    if let Some(fault) = terms.faults().into_iter().next() {
        return Err(PolicyError::Fault(fault));
    }
    let mut document = PolicyDocument::of(&terms);
    if let Some(before) = now.policy_document() {
        if in_force.council == terms.council {
            document.council = before.council;
        }
        if in_force.general == terms.general {
            document.rest = before.rest;
        }
    }
    let version = now.policy().map_or(1, |policy| policy.version + 1);
    let document = Bytes(encode(&document));
    Ok(Approval::new(id, PolicyEntry { seen: company.newest(), version, document }))
}

/// What a request to change the policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// The version.
    pub version: u64,
    /// What it says.
    pub terms: Terms,
    /// Its fingerprints.
    pub fingerprints: Fingerprints,
    /// Whether the council must sign, by the policy that is in force.
    pub needs_council: bool,
}

impl Requested {
    /// Reads it from the very bytes that are signed.
    pub fn read(approval: &Approval, company: &Company) -> Result<Self, PolicyError> {
        let CompanyBody::Policy(entry) = approval.body() else {
            return Err(PolicyError::NotAPolicy);
        };
        let now = company.now();
        let in_force = now.policy().map_or(0, |policy| policy.version);
        if entry.version != in_force + 1 {
            return Err(PolicyError::Version { asked: entry.version, in_force });
        }
        let document = readable(&entry.document, now.terms()).ok_or(PolicyError::Unreadable)?;
        let before = now.policy_document().map(|before| before.council).unwrap_or_default();
        Ok(Self {
            version: entry.version,
            terms: document.terms(),
            fingerprints: Fingerprints::of(&entry.document),
            needs_council: document.council != before,
        })
    }
}

/// A document that says nothing but what this version can put into words, or what stood there before.
pub fn readable(document: &[u8], before: &Terms) -> Option<PolicyDocument> {
    let document = decode::<PolicyDocument>(document).ok()?;
    let terms = document.terms();
    let new_to_us =
        terms.council.later != before.council.later || terms.general.later != before.general.later;
    (document.faults().is_empty() && !new_to_us).then_some(document)
}

#[cfg(test)]
mod tests;
