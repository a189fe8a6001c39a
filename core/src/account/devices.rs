//! The devices of this phone's user: which there are, and a further one that this phone lets in.
//!
//! The server cannot enrol a further device by itself, and this phone does not take its word for
//! which one it is: it checks what the device asked for, and a person types the code that the new
//! device shows (docs/attacks.md 1). The code is of the device's own keys, so a device that somebody
//! put in its place has another.

use hauspost_protocol::company::approval::{Applicant, is_code};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::ids::DeviceId;

use super::engine::Core;
use super::{Account, AccountError};
use crate::sync::SyncError;

/// How often an approval is signed anew because the company log moved on meanwhile.
const TRIES: usize = 3;

/// A device of this phone's user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnDevice {
    /// The device.
    pub device: DeviceId,
    /// Whether it is this phone.
    pub is_this: bool,
}

/// A device that waits for this phone, or another of its user, to sign for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingCode {
    /// The device.
    pub device: DeviceId,
    /// What it shows, if it is the one that it claims to be.
    pub code: String,
}

impl Account {
    /// The active devices of this phone's user, this one among them, as far as this phone knows.
    pub async fn own_devices(&self) -> Result<Vec<OwnDevice>, AccountError> {
        let mut engine = self.core.engine.lock().await;
        let company = self.core.company(&mut engine).await?;
        drop(engine);
        let devices = company.now().devices_of(self.user()).map(|device| device.device);
        Ok(devices.map(|device| OwnDevice { device, is_this: device == self.device() }).collect())
    }

    /// The devices that wait for somebody who signs for them. An app shows them as a reason to ask the
    /// person for the code, and never offers a button that takes one unseen.
    pub async fn waiting_devices(&self) -> Result<Vec<WaitingCode>, AccountError> {
        self.core.pull_all().await?;
        let applicants = self.core.applicants().await?.1;
        let waiting = applicants
            .into_iter()
            .map(|applicant| WaitingCode { device: applicant.device(), code: applicant.code() });
        Ok(waiting.collect())
    }

    /// Signs for the device of this person that shows this code. `replaces` is a device of the person
    /// that is revoked by the same entry: the phone that the new one takes the place of.
    pub async fn approve_device(
        &self,
        code: &str,
        replaces: Option<DeviceId>,
    ) -> Result<DeviceId, AccountError> {
        for _ in 0..TRIES {
            self.core.pull_all().await?;
            let (company, applicants) = self.core.applicants().await?;
            let applicant = applicants.into_iter().find(|one| is_code(&one.code(), code));
            let applicant = applicant.ok_or(AccountError::NoSuchCode)?;
            let entry = applicant.entry(&company, replaces, &self.core.me.key);
            match self.core.server.approve(&entry).await {
                // The company log moved on, and the entry would not count.
                Err(SyncError::Refused(409)) => {}
                approved => {
                    approved?;
                    self.core.pull_all().await?;
                    return Ok(applicant.device());
                }
            }
        }
        Err(SyncError::Refused(409).into())
    }
}

impl Core {
    /// The devices of this user that wait and whose requests hold together, by the company that this
    /// phone knows.
    async fn applicants(&self) -> Result<(std::sync::Arc<Company>, Vec<Applicant>), AccountError> {
        let waiting = self.server.waiting().await?;
        let now_ms = self.server_ms();
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        drop(engine);
        let applicants = waiting
            .iter()
            .filter_map(|waiting| Applicant::check(&company, waiting, now_ms).ok())
            .filter(|applicant| applicant.user() == self.me.user)
            .collect();
        Ok((company, applicants))
    }
}
