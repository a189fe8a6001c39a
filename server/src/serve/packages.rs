//! Log numbers and key packages: what a device stocks and takes before it appends.

use std::sync::Arc;

use axum::extract::State;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{DeviceId, LogNo, TimeMs};
use hauspost_protocol::limits::{CLOCK_SKEW_MS, DAY_MS, KEY_PACKAGE_AGE_MS};
use hauspost_protocol::mls::certificate::DeviceCertificate;
use hauspost_protocol::mls::extension::Age;
use hauspost_protocol::mls::member::{Suite, parse_key_package};
use hauspost_protocol::wire::{PackageTaken, PackagesPut, PackagesTake, Principal};

use super::answer::{Answer, Cbor, Empty, Refusal};
use super::limits::{OPEN_RESERVATIONS, PACKAGE_BYTES, PACKAGES, TAKEN_AT_ONCE};
use super::node::Node;
use super::session::Claim;
use crate::store::NewPackage;

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

/// POST: adds key packages to the device's stock of a suite; answers with how many one-time ones it
/// has of it.
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
    let suite = suite(request.suite)?;
    let made_ms = |package: &Bytes| made_by(package, owner, suite).ok_or(Refusal::Form);
    let made_ms: Vec<TimeMs> = request.packages.iter().map(made_ms).collect::<Result<_, _>>()?;
    let last_resort = match request.last_resort {
        Some(package) => Some((made_by(&package, owner, suite).ok_or(Refusal::Form)?, package)),
        None => None,
    };
    let suite = suite.code();
    node.write_as(&claim, move |tx, session| {
        let device = session.device()?.device;
        // A new last resort comes with a whole new stock: what lies there grows old with it.
        if last_resort.is_some() {
            tx.drop_packages(device, suite)?;
        }
        if tx.packages(device, suite)? + request.packages.len() as u64 > PACKAGES {
            return Err(Refusal::TooLarge);
        }
        let packages = request.packages.iter().zip(&made_ms);
        let packages: Vec<_> =
            packages.map(|(package, made_ms)| NewPackage { package, made_ms: *made_ms }).collect();
        tx.put_packages(device, suite, &packages)?;
        if let Some((made_ms, package)) = &last_resort {
            tx.put_last_resort(device, suite, NewPackage { package, made_ms: *made_ms })?;
        }
        Ok(Answer(tx.packages(device, suite)?))
    })
    .await
}

fn suite(code: u16) -> Result<Suite, Refusal> {
    Suite::from_code(code).ok_or(Refusal::Form)
}

/// When this key package was made, if it is one of the suite with this device's certificate: what
/// those who add it would refuse is not stocked. Whether the certificate counts they see in the
/// company log.
fn made_by(package: &[u8], owner: DeviceId, suite: Suite) -> Option<TimeMs> {
    let package = parse_key_package(package).ok()?;
    let credential = package.leaf_node().credential();
    let certificate = DeviceCertificate::from_credential(credential).ok()?;
    let ours = certificate.facts().device == owner && package.ciphersuite() == suite.ciphersuite();
    Age::of(&package).ok().filter(|_| ours).map(|age| age.made_t_ms)
}

/// POST: takes a key package of each device. One that is not active, or has none, gets null, so
/// that one bad member does not fail the whole add (`docs/attacks.md` 41).
pub async fn take(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(request): Cbor<PackagesTake>,
) -> Result<Answer<Vec<PackageTaken>>, Refusal> {
    if request.devices.len() > TAKEN_AT_ONCE {
        return Err(Refusal::TooLarge);
    }
    let suite = suite(request.suite)?.code();
    // Fit now and for a day from now: whoever took another would have his whole commit refused.
    let now_ms = node.now_ms();
    let oldest = (now_ms + DAY_MS).saturating_sub(KEY_PACKAGE_AGE_MS);
    let newest = now_ms + CLOCK_SKEW_MS;
    node.write_as(&claim, move |tx, session| {
        session.device()?;
        let view = session.company.now();
        let mut taken = Vec::with_capacity(request.devices.len());
        for device in &request.devices {
            let package = match view.is_active(*device) {
                true => tx.take_package(*device, suite, oldest..=newest)?,
                false => None,
            };
            taken.push(PackageTaken { device: *device, package: package.map(Bytes) });
        }
        Ok(Answer(taken))
    })
    .await
}
