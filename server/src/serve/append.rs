//! Appends: a batch for one log, all or nothing but for what the log has already (S2).

use std::sync::Arc;

use axum::extract::State;
use hauspost_protocol::company::body::CompanyBody;
use hauspost_protocol::company::entry::CompanyPayload;
use hauspost_protocol::company::finding::Finding;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::sha256;
use hauspost_protocol::encoding::FormError;
use hauspost_protocol::entry::{Head, Kind};
use hauspost_protocol::ids::{DeviceId, LogNo, TimeMs};
use hauspost_protocol::limits::{BATCH_BYTES, BATCH_ENTRIES};
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::wire::{AppendRequest, NewEntry, Outcome, Principal};

use super::answer::{Answer, Cbor, Refusal};
use super::company::{self, COMPANY_LOG};
use super::conversation;
use super::node::{Node, ServerKeys};
use super::session::{Claim, Session};
use crate::store::{ReadTx, StoreError, Tx};

/// POST: appends.
pub async fn append(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(request): Cbor<AppendRequest>,
) -> Result<Answer<Vec<Outcome>>, Refusal> {
    let sizes = request.entries.iter().map(|(head, payload)| head.len() + payload.len());
    let beside = request.group_info.iter().chain(&request.welcome).map(|bytes| bytes.len());
    if request.entries.len() > BATCH_ENTRIES || sizes.chain(beside).sum::<usize>() > BATCH_BYTES {
        return Err(Refusal::TooLarge);
    }
    let twice = |(place, entry)| request.entries[..place].contains(entry);
    if request.entries.is_empty() || request.entries.iter().enumerate().any(twice) {
        return Err(Refusal::Form);
    }
    let now_ms = node.now_ms();
    let mut ahead = conversation::ahead::stage(&node, &claim, &request).await?;
    let shared = Arc::clone(&node);
    let written = node
        .write_as(&claim, move |tx, session| {
            if request.log == session.company_id()?.log() {
                write_company(tx, &shared.keys, session, &request.entries, now_ms)
            } else {
                conversation::write(tx, session, &request, ahead.take(), &shared.quotas, now_ms)
            }
        })
        .await;
    match written {
        Ok(appended) => {
            node.metrics.appended(appended.count());
            if let Principal::Device(device) = claim.principal {
                node.live.awaits_checkpoint(device);
            }
            match appended.wake {
                Wake::Everyone => {
                    node.live.hint_all();
                    if let Ok(company) = node.company().await {
                        node.hints.follow(company.now().terms());
                    }
                }
                Wake::Devices(devices) => node.live.hint(devices),
            }
            Ok(Answer(appended.outcomes))
        }
        Err(Stop::Batch(outcomes)) => Ok(Answer(outcomes)),
        Err(Stop::Request(refusal)) => Err(refusal),
    }
}

/// A batch that was appended, or was there already.
pub struct Appended {
    /// One outcome for each entry.
    pub outcomes: Vec<Outcome>,
    /// Whom to tell.
    pub wake: Wake,
}

impl Appended {
    fn count(&self) -> u64 {
        self.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Ok(_))).count() as u64
    }
}

/// Who gets a live hint after the commit.
pub enum Wake {
    /// All devices: the company log grew.
    Everyone,
    /// These.
    Devices(Vec<DeviceId>),
}

/// Nothing of a batch is appended.
pub enum Stop {
    /// The rules refuse it: one outcome for each entry.
    Batch(Vec<Outcome>),
    /// The request itself is refused.
    Request(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Request(refusal)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Request(error.into())
    }
}

/// What the log has of a batch already (S2).
pub struct Known(Vec<Option<Outcome>>);

impl Known {
    /// Looks up each entry's core.
    pub fn look_up(tx: &dyn ReadTx, no: LogNo, entries: &[NewEntry]) -> Result<Self, StoreError> {
        let known = entries.iter().map(|(head, payload)| {
            let core = Head::core(head, sha256(payload), payload.len() as u64);
            Ok(tx.seq_of_core(no, core)?.map(Outcome::Dup))
        });
        known.collect::<Result<_, _>>().map(Self)
    }

    /// A log that has nothing yet.
    pub fn nothing(entries: &[NewEntry]) -> Self {
        Self(vec![None; entries.len()])
    }

    /// The places in the batch that are new.
    pub fn fresh(&self) -> Vec<usize> {
        (0..self.0.len()).filter(|place| self.0[*place].is_none()).collect()
    }

    /// The outcomes when every fresh entry was appended, in order.
    pub fn accepted(self, fresh: impl IntoIterator<Item = Outcome>) -> Vec<Outcome> {
        let mut fresh = fresh.into_iter();
        let place = |known: Option<Outcome>| known.or_else(|| fresh.next());
        self.0.into_iter().filter_map(place).collect()
    }

    /// The outcomes when one fresh entry is at fault: none of them is appended.
    pub fn refused(self, fault: &Outcome) -> Stop {
        let place = |known: Option<Outcome>| known.unwrap_or_else(|| fault.clone());
        Stop::Batch(self.0.into_iter().map(place).collect())
    }
}

/// The kinds that are served today. A device enters by enrolling only.
fn is_served(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::RootRotation
            | Kind::IssuingKey
            | Kind::EnrolmentAuthority
            | Kind::LogKey
            | Kind::Witness
            | Kind::Revoke
            | Kind::Role
            | Kind::Policy
            | Kind::ArchiveKey
            | Kind::Opening
            | Kind::Opened
            | Kind::Handover
            | Kind::Close
            | Kind::ResetOrder
            | Kind::Report
    )
}

/// Appends to the company log. Whoever brings an entry, its own signatures decide.
fn write_company(
    tx: &mut dyn Tx,
    keys: &ServerKeys,
    session: &Session,
    entries: &[NewEntry],
    now_ms: TimeMs,
) -> Result<Appended, Stop> {
    let known = Known::look_up(tx, COMPANY_LOG, entries)?;
    let mut company = Arc::clone(&session.company);
    let mut accepted = Vec::new();
    let fresh = known.fresh();
    for place in &fresh {
        let entry = &entries[*place];
        let outcome = match Head::parse(&entry.0) {
            Err(FormError::TooLarge) => Outcome::TooLarge,
            Err(_) => Outcome::Form,
            Ok(head) if !is_served(head.kind) => Outcome::Role,
            // With a key that is not here there would be no checkpoint any more.
            Ok(head) if head.kind == Kind::LogKey && !holds_log_key(keys, entry) => Outcome::Policy,
            Ok(head) if head.kind == Kind::Report && !reports_own_log(tx, &company, entry)? => {
                Outcome::NoLog
            }
            Ok(_) => {
                let size = company.size();
                // A copy of the company is made for those that others of the batch stand on.
                let appended = if Some(place) == fresh.last() {
                    company::append_last(tx, &company, entry, now_ms)?
                } else {
                    company::append(tx, Arc::make_mut(&mut company), entry, now_ms)?
                };
                match appended {
                    Ok(seq) => Outcome::Ok(seq),
                    Err(finding) => outcome_of(finding, size),
                }
            }
        };
        if !matches!(outcome, Outcome::Ok(_)) {
            return Err(known.refused(&outcome));
        }
        drop_revoked(tx, entry)?;
        accepted.push(outcome);
    }
    let wake = if accepted.is_empty() { Wake::Devices(Vec::new()) } else { Wake::Everyone };
    Ok(Appended { outcomes: known.accepted(accepted), wake })
}

fn holds_log_key(keys: &ServerKeys, (_, payload): &NewEntry) -> bool {
    let payload = CompanyPayload::parse(Kind::LogKey, payload).ok();
    let body = payload.and_then(|payload| CompanyBody::parse(Kind::LogKey, &payload.body).ok());
    // What is malformed is refused for that.
    !matches!(body, Some(CompanyBody::LogKey(entry)) if !keys.log.holds(&entry))
}

/// Whether a report is about the company log, or about a log in which its device has or had a leaf: a
/// device has so many reports a day, and cannot fill the company log with them.
fn reports_own_log(
    tx: &dyn ReadTx,
    company: &Company,
    (_, payload): &NewEntry,
) -> Result<bool, StoreError> {
    let payload = CompanyPayload::parse(Kind::Report, payload).ok();
    let body = payload.and_then(|payload| CompanyBody::parse(Kind::Report, &payload.body).ok());
    let Some(CompanyBody::Report(report)) = body else { return Ok(true) };
    if company.id().is_some_and(|company| company.log() == report.log) {
        return Ok(true);
    }
    let Some(log) = tx.log(report.log)? else { return Ok(false) };
    Ok(tx.memberships(report.device)?.iter().any(|stay| stay.no == log.no))
}

/// Nobody shall add a revoked device: its key packages go.
fn drop_revoked(tx: &mut dyn Tx, (_, payload): &NewEntry) -> Result<(), StoreError> {
    let payload = CompanyPayload::parse(Kind::Revoke, payload).ok();
    let body = payload.and_then(|payload| CompanyBody::parse(Kind::Revoke, &payload.body).ok());
    match body {
        Some(CompanyBody::Revoke(revoke)) => {
            Suite::ALL.iter().try_for_each(|suite| tx.drop_packages(revoke.device, suite.code()))
        }
        _ => Ok(()),
    }
}

/// Why an entry would not count, as the code of an answer; `size` is the company log's.
fn outcome_of(finding: Finding, size: u64) -> Outcome {
    match finding {
        Finding::Form(FormError::TooLarge) => Outcome::TooLarge,
        Finding::Form(_) | Finding::Kind => Outcome::Form,
        Finding::SeenMissing | Finding::SeenElsewhere(_) | Finding::Replay(_) => {
            Outcome::Behind(size)
        }
        Finding::UnknownSigner(_)
        | Finding::InactiveSigner(_)
        | Finding::BadSignature(_)
        | Finding::Signatures => Outcome::Role,
        _ => Outcome::Policy,
    }
}
