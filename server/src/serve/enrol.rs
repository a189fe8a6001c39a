//! A new device: voucher, seed, possession; certificate and place in the company log.
//!
//! The server issues the certificate, but cannot enrol a device of its own: the entry counts only
//! with a voucher of the enrolment authority and the seed's signature, and the authority's key is
//! not here (`docs/attacks.md` 1). The same request again gets the same answer; another request
//! under the same voucher is refused.

use std::sync::Arc;

use axum::extract::State;
use hauspost_protocol::company::body::DeviceEntry;
use hauspost_protocol::company::entry::company_entry;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::company::voucher::{CheckedEnrolment, check_enrol_request};
use hauspost_protocol::crypto::{SigningKey, sha256};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::ids::{CompanyId, Seq, TimeMs};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::mls::certificate::{CertificateFacts, DeviceCertificate, SERIAL_BYTES};
use hauspost_protocol::wire::{EnrolAnswer, EnrolRequest};

use super::answer::{Answer, Cbor, Refusal};
use super::company;
use super::node::Node;
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
    let (answer, fresh) = node
        .database
        .write(move |tx| {
            let company = shared.company.write(tx)?;
            let id = company.id().ok_or(Refusal::NotFounded)?;
            let checked = check_enrol_request(id, &request, now_ms);
            let checked = checked.map_err(|error| Refusal::conflict(error.to_string()))?;
            let digest = sha256(&encode(&request));
            if let Some(row) = tx.enrolment(checked.voucher.seed.0)? {
                let known = row.request == digest;
                let answer = answer(row);
                return if known {
                    Ok((answer, false))
                } else {
                    Err(Refusal::conflict("the voucher was used before"))
                };
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
            Ok((answer(row), true))
        })
        .await?;
    if fresh {
        node.metrics.appended(1);
        node.live.hint_all();
        tracing::info!(%device, "a device is enrolled");
    }
    Ok(Answer(answer))
}

fn answer(row: EnrolmentRow) -> EnrolAnswer {
    EnrolAnswer { certificate: Bytes(row.certificate), company_seq: row.company_seq }
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
