//! A person's further device, let in by an admin: for somebody whose only phone is lost, or who cannot
//! reach it.
//!
//! The admin's machine checks the device's request itself and signs away from the server; the code is
//! what the person reads out from the new phone (`docs/attacks.md` 1).

use hauspost_protocol::company::approval::{Applicant, WaitingDevice, is_code};
use hauspost_protocol::ids::{DeviceId, Seq, TimeMs};
use hauspost_protocol::wire::path;
use rand::CryptoRng;

use super::client::{Client, ClientError};
use super::holder::{Holder, HolderError};

/// Why a device is not approved.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// The admin's keys or the server.
    #[error(transparent)]
    Holder(#[from] HolderError),
    /// The server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No device with this code waits.
    #[error("no device with the code `{0}` waits")]
    NoSuchCode(String),
    /// The device to be replaced is another person's, or not active.
    #[error("`{0}` is no active device of the same person")]
    Replaces(DeviceId),
}

/// Signs for the device that shows this code; `replaces` is revoked by the same entry.
pub async fn approve(
    holder: &Holder,
    client: &Client,
    code: &str,
    replaces: Option<DeviceId>,
    now_ms: TimeMs,
    rng: &mut impl CryptoRng,
) -> Result<(Applicant, Seq), ApprovalError> {
    let (_, key) = holder.role_key()?;
    let company = holder.company(client, rng).await?;
    let waiting: Vec<WaitingDevice> = client.post(path::WAITING, &Vec::<u64>::new()).await?;
    let mut applicants =
        waiting.iter().filter_map(|waiting| Applicant::check(&company, waiting, now_ms).ok());
    let applicant = applicants.find(|applicant| is_code(&applicant.code(), code));
    let applicant = applicant.ok_or_else(|| ApprovalError::NoSuchCode(code.into()))?;
    if let Some(replaced) = replaces {
        let known = company.now().device(replaced).filter(|_| company.now().is_active(replaced));
        if known.is_none_or(|known| known.user != applicant.user()) {
            return Err(ApprovalError::Replaces(replaced));
        }
    }
    let entry = applicant.entry(&company, replaces, &key);
    let seq = client.post(path::APPROVE, &entry).await?;
    Ok((applicant, seq))
}
