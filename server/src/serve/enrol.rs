//! A new device: voucher, seed, possession; certificate and place in the company log.
//!
//! The server issues the certificate, but cannot enrol a device of its own: the entry counts only
//! with a voucher of the enrolment authority and the seed's signature, and the authority's key is
//! not here (`docs/attacks.md` 1). The same request again gets the same answer; another request
//! under the same voucher is refused.
//!
//! A person's further device waits: its entry counts only if an active device of the person or an admin
//! signs it too. The server passes on what the device asked for and the certificate that it made; who
//! signs checks both, and a person compares the device's code. So a server, or somebody with a stolen
//! invitation, cannot slip in a device of its own.

use std::sync::Arc;

use axum::extract::State;
use hauspost_protocol::company::approval::{Applicant, WaitingDevice};
use hauspost_protocol::company::body::{CompanyBody, DeviceEntry, Role};
use hauspost_protocol::company::entry::{CompanyPayload, company_entry};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::company::voucher::{CheckedEnrolment, check_enrol_request};
use hauspost_protocol::crypto::{SigningKey, sha256};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::Kind;
use hauspost_protocol::ids::{CompanyId, DeviceId, Seq, TimeMs, UserId};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::mls::certificate::{CertificateFacts, DeviceCertificate, SERIAL_BYTES};
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::wire::{EnrolAnswer, EnrolRequest, NewEntry};

use super::answer::{Answer, Cbor, Empty, Refusal};
use super::company;
use super::node::Node;
use super::session::Claim;
use crate::store::{EnrolmentRow, StoreError, Tx};

/// How long a certificate is good. Its end stops the device's new commits and key packages only.
const CERTIFICATE_MS: TimeMs = 1_826 * DAY_MS;
/// A phone's clock may be this far behind.
const SKEW_MS: TimeMs = 3_600_000;
/// Length of an X-Wing public key in bytes.
const HISTORY_KEY_BYTES: usize = 1_216;

/// POST: enrols a device.
pub async fn enrol(
    State(node): State<Arc<Node>>,
    Cbor(request): Cbor<EnrolRequest>,
) -> Result<Answer<EnrolAnswer>, Refusal> {
    let (now_ms, serial) = (node.now_ms(), node.random::<SERIAL_BYTES>());
    if request.history_key.len() != HISTORY_KEY_BYTES
        || p256::ecdsa::VerifyingKey::from_sec1_bytes(&request.keystore_key).is_err()
    {
        return Err(Refusal::Form);
    }
    let device = request.device;
    let shared = Arc::clone(&node);
    let (answer, came) = node
        .database
        .write(move |tx| {
            let company = shared.company.write(tx)?;
            let id = company.id().ok_or(Refusal::NotFounded)?;
            let checked = check_enrol_request(id, &request, now_ms);
            let checked = checked.map_err(|error| Refusal::conflict(error.to_string()))?;
            let digest = sha256(&encode(&request));
            if let Some(row) = tx.enrolment(checked.voucher.seed.0)? {
                return if row.request == digest {
                    Ok((answer(row), Enrolled::Before))
                } else {
                    Err(Refusal::conflict("the voucher was used before"))
                };
            }
            if company.now().has_had_device(checked.enrolment.user) {
                let waiting = wait(tx, &shared.keys.issuing, &company, &request, now_ms, serial)?;
                let answer = EnrolAnswer { certificate: waiting, company_seq: None };
                return Ok((answer, Enrolled::Waits(devices_of(&company, request.user))));
            }
            let certificate = issue(&shared.keys.issuing, id, &checked, now_ms, serial)?;
            let row = EnrolmentRow {
                seed: checked.voucher.seed.0,
                request: digest,
                company_seq: Seq(company.size()),
                certificate: certificate.der().to_vec(),
            };
            enter(tx, &company, &shared.keys.issuing, checked, &certificate, now_ms)?;
            tx.put_enrolment(&row)?;
            tx.put_history_key(device, &request.history_key)?;
            Ok((answer(row), Enrolled::Now))
        })
        .await?;
    match came {
        Enrolled::Before => {}
        Enrolled::Waits(devices) => node.live.hint(devices),
        Enrolled::Now => tell(&node, device),
    }
    Ok(Answer(answer))
}

/// What became of a request.
enum Enrolled {
    /// It was enrolled before.
    Before,
    /// It waits; these devices may sign for it.
    Waits(Vec<DeviceId>),
    /// It is enrolled.
    Now,
}

fn tell(node: &Node, device: DeviceId) {
    node.metrics.appended(1);
    node.live.hint_all();
    tracing::info!(%device, "a device is enrolled");
}

fn devices_of(company: &Company, user: UserId) -> Vec<DeviceId> {
    company.now().devices_of(user).map(|device| device.device).collect()
}

fn answer(row: EnrolmentRow) -> EnrolAnswer {
    EnrolAnswer { certificate: Bytes(row.certificate), company_seq: Some(row.company_seq) }
}

/// Keeps a further device until somebody signs for it; gives its certificate.
fn wait(
    tx: &mut dyn Tx,
    issuing: &SigningKey,
    company: &Company,
    request: &EnrolRequest,
    now_ms: TimeMs,
    serial: [u8; SERIAL_BYTES],
) -> Result<Bytes, Refusal> {
    let id = company.id().ok_or(Refusal::NotFounded)?;
    let refused = |error: &dyn std::fmt::Display| Refusal::conflict(error.to_string());
    let checked = check_enrol_request(id, request, now_ms).map_err(|error| refused(&error))?;
    let seed = checked.voucher.seed.0;
    if let Some(known) = tx.waiting(seed)? {
        return if known.request == *request {
            Ok(known.certificate)
        } else {
            Err(Refusal::conflict("the voucher was used before"))
        };
    }
    let certificate = issue(issuing, id, &checked, now_ms, serial)?;
    let certificate = Bytes(certificate.der().to_vec());
    let waiting = WaitingDevice { request: request.clone(), certificate: certificate.clone() };
    // Nobody would sign for one that does not hold together, so it does not wait either.
    Applicant::check(company, &waiting, now_ms).map_err(|error| refused(&error))?;
    tx.put_waiting(seed, &waiting)?;
    Ok(certificate)
}

/// POST: the devices that wait for the session's user, or all of them for an admin.
pub async fn waiting(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(Empty): Cbor<Empty>,
) -> Result<Answer<Vec<WaitingDevice>>, Refusal> {
    let now_ms = node.now_ms();
    node.read_as(&claim, move |tx, session| {
        let user = match session.has_role(&[Role::Admin]) {
            true => None,
            false => Some(session.device()?.user),
        };
        let mut waiting = tx.waiting_of(user)?;
        waiting.retain(|waiting| Applicant::check(&session.company, waiting, now_ms).is_ok());
        Ok(Answer(waiting))
    })
    .await
}

/// POST: the entry of a waiting device, with the signature of who approves it. Whoever brings it, its
/// signatures decide; the issuing key signs for no other device than the one that waits.
pub async fn approve(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor((head, payload)): Cbor<NewEntry>,
) -> Result<Answer<Seq>, Refusal> {
    let now_ms = node.now_ms();
    let shared = Arc::clone(&node);
    let (seq, device, fresh) = node
        .write_as(&claim, move |tx, session| {
            let mut approved = CompanyPayload::parse(Kind::Device, &payload)?;
            let CompanyBody::Device(body) = CompanyBody::parse(Kind::Device, &approved.body)?
            else {
                return Err(Refusal::Form);
            };
            let seed = body.voucher.as_ref().ok_or(Refusal::Form)?.seed.0;
            let Some(waiting) = tx.waiting(seed)? else {
                let known = tx.enrolment(seed)?.ok_or(Refusal::NotFound)?;
                return Ok((known.company_seq, body.device, false));
            };
            let applicant = Applicant::check(&session.company, &waiting, now_ms)
                .map_err(|error| Refusal::conflict(error.to_string()))?;
            if !applicant.is_meant_by(&body) {
                return Err(Refusal::Form);
            }
            approved.approve(&head, &shared.keys.issuing);
            let entry = (head.clone(), Bytes(encode(&approved)));
            let mut company = Company::clone(&session.company);
            let seq = company::append(tx, &mut company, &entry, now_ms)?
                .map_err(|finding| Refusal::conflict(finding.to_string()))?;
            tx.put_enrolment(&EnrolmentRow {
                seed,
                request: sha256(&encode(&waiting.request)),
                company_seq: seq,
                certificate: waiting.certificate.0,
            })?;
            tx.put_history_key(body.device, &waiting.request.history_key)?;
            tx.drop_waiting(seed)?;
            if let Some(replaced) = body.replaces {
                let mut suites = Suite::ALL.iter();
                suites.try_for_each(|suite| tx.drop_packages(replaced, suite.code()))?;
            }
            Ok((seq, body.device, true))
        })
        .await?;
    if fresh {
        tell(&node, device);
    }
    Ok(Answer(seq))
}

fn issue(
    issuing: &SigningKey,
    company: CompanyId,
    checked: &CheckedEnrolment,
    now_ms: TimeMs,
    serial: [u8; SERIAL_BYTES],
) -> Result<DeviceCertificate, Refusal> {
    let enrolment = &checked.enrolment;
    let facts = CertificateFacts {
        company,
        user: enrolment.user,
        device: enrolment.device,
        signature_key: enrolment.signature_key,
        serial,
        not_before_s: now_ms.saturating_sub(SKEW_MS) / 1_000,
        not_after_s: (now_ms + CERTIFICATE_MS) / 1_000,
    };
    DeviceCertificate::issue(issuing, facts).map_err(|error| {
        tracing::error!(%error, "a certificate cannot be issued");
        StoreError::Defect.into()
    })
}

/// Appends the `device` entry, signed by the issuing key.
fn enter(
    tx: &mut dyn Tx,
    company: &Company,
    issuing: &SigningKey,
    checked: CheckedEnrolment,
    certificate: &DeviceCertificate,
    now_ms: TimeMs,
) -> Result<(), Refusal> {
    let CheckedEnrolment { enrolment, voucher, seed_signature } = checked;
    let body = DeviceEntry {
        seen: company.newest(),
        user: enrolment.user,
        device: enrolment.device,
        signature_key: enrolment.signature_key,
        certificate: certificate.hash(),
        history_key: enrolment.history_key,
        keystore_key: enrolment.keystore_key,
        voucher: Some(voucher),
        seed_signature: Some(seed_signature),
        replaces: None,
    };
    let entry = company_entry(enrolment.company, body, &[issuing]);
    company::append_last(tx, company, &entry, now_ms)?
        .map_err(|finding| Refusal::conflict(finding.to_string()))
        .map(|_| ())
}
