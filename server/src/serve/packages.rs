//! Log numbers and key packages: what a device stocks and takes before it appends.

use std::sync::Arc;

use axum::extract::State;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{DeviceId, LogNo, TimeMs};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::mls::certificate::DeviceCertificate;
use hauspost_protocol::mls::extension::Age;
use hauspost_protocol::mls::member::parse_key_package;
use hauspost_protocol::wire::{PackageTaken, PackagesPut, Principal};

use super::answer::{Answer, Cbor, Empty, Refusal};
use super::limits::{OPEN_RESERVATIONS, PACKAGE_BYTES, PACKAGES, TAKEN_AT_ONCE};
use super::node::Node;
use super::session::Claim;
use crate::store::{StoreError, Tx};

/// POST: reserves a log number for the session's user.
pub async fn reserve(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(Empty): Cbor<Empty>,
) -> Result<Answer<LogNo>, Refusal> {
    node.write_as(&claim, |tx, session| {
        let user = session.device()?.user;
        if tx.open_reservations(user)? >= OPEN_RESERVATIONS {
            return Err(Refusal::Busy);
        }
        Ok(Answer(tx.reserve(user)?))
    })
    .await
}

/// POST: adds key packages to the device's stock; answers with how many one-time ones it has.
pub async fn put(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(request): Cbor<PackagesPut>,
) -> Result<Answer<u64>, Refusal> {
    let mut all = request.packages.iter().chain(&request.last_resort);
    let count = request.packages.len() as u64;
    if count > PACKAGES || all.any(|package| package.len() > PACKAGE_BYTES) {
        return Err(Refusal::TooLarge);
    }
    let Principal::Device(owner) = claim.principal else { return Err(Refusal::Role) };
    let mut all = request.packages.iter().chain(&request.last_resort);
    if !all.all(|package| is_package_of(package, owner)) {
        return Err(Refusal::Form);
    }
    node.write_as(&claim, move |tx, session| {
        let device = session.device()?.device;
        // A new last resort comes with a whole new stock: what lies there grows old with it.
        if request.last_resort.is_some() {
            tx.drop_packages(device)?;
        }
        if tx.packages(device)? + request.packages.len() as u64 > PACKAGES {
            return Err(Refusal::TooLarge);
        }
        let packages: Vec<&[u8]> = request.packages.iter().map(|package| &**package).collect();
        tx.put_packages(device, &packages)?;
        if let Some(package) = &request.last_resort {
            tx.put_last_resort(device, package)?;
        }
        Ok(Answer(tx.packages(device)?))
    })
    .await
}

/// Whether these bytes are a key package with this device's certificate: what those who add it
/// would refuse is not stocked. Whether the certificate counts they see in the company log.
fn is_package_of(package: &[u8], owner: DeviceId) -> bool {
    let package = parse_key_package(package).ok();
    let certificate = package.and_then(|package| {
        DeviceCertificate::from_credential(package.leaf_node().credential()).ok()
    });
    certificate.is_some_and(|certificate| certificate.facts().device == owner)
}

/// POST: takes a key package of each device. One that is not active, or has none, gets null, so
/// that one bad member does not fail the whole add (`docs/attacks.md` 41).
pub async fn take(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(devices): Cbor<Vec<DeviceId>>,
) -> Result<Answer<Vec<PackageTaken>>, Refusal> {
    if devices.len() > TAKEN_AT_ONCE {
        return Err(Refusal::TooLarge);
    }
    let now_ms = node.now_ms();
    node.write_as(&claim, move |tx, session| {
        session.device()?;
        let view = session.company.now();
        let mut taken = Vec::with_capacity(devices.len());
        for device in &devices {
            let package = match view.is_active(*device) {
                true => take_fit(tx, *device, now_ms)?,
                false => None,
            };
            taken.push(PackageTaken { device: *device, package: package.map(Bytes) });
        }
        Ok(Answer(taken))
    })
    .await
}

/// The oldest package by which a commit may add now, and for a day from now: one that is not fit goes,
/// since whoever took it would have his whole commit refused.
fn take_fit(
    tx: &mut dyn Tx,
    device: DeviceId,
    now_ms: TimeMs,
) -> Result<Option<Vec<u8>>, StoreError> {
    loop {
        let one_time = tx.packages(device)? > 0;
        let Some(package) = tx.take_package(device)? else { return Ok(None) };
        let age = parse_key_package(&package).ok().and_then(|package| Age::of(&package).ok());
        if age.is_some_and(|age| age.is_fit_at(now_ms) && age.is_fit_at(now_ms + DAY_MS)) {
            return Ok(Some(package));
        }
        if !one_time {
            // That was the last resort, which stays until its owner replaces it.
            return Ok(None);
        }
    }
}
