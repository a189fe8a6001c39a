//! Who has to sign a company entry: the signature table of `docs/protocol.md §12`.
//!
//! A kind needs one of several lists of parts. Each part of a list is played by a different key of
//! a different user; a key without a user counts as a user of its own. More signatures are allowed.

use crate::company::body::{CompanyBody, EraseReason, Role};
use crate::company::policy::PolicyDocument;
use crate::company::view::CompanyAt;
use crate::crypto::PublicKey;
use crate::encoding::decode;
use crate::ids::{DeviceId, UserId};

/// A part that a signature plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The root key.
    Root,
    /// A key that the body itself names: the next root.
    Named(PublicKey),
    /// An active issuing key.
    Issuing,
    /// An active key of a role.
    Role(Role),
    /// An active device of a user.
    DeviceOf(UserId),
    /// This device, while it is active.
    Device(DeviceId),
}

/// A signature's key and whose it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signer {
    /// The key.
    pub(crate) key: PublicKey,
    /// Its user, if it has one.
    pub(crate) user: Option<UserId>,
}

/// Roles that people hold. The two others are keys on the server, which together would otherwise
/// be "two different roles" of whoever owns the server.
const PEOPLE: [Role; 4] = [Role::Admin, Role::Hr, Role::Officer, Role::Council];

/// The lists of parts, any of which suffices for this body after the entries of `before`.
pub(crate) fn required(body: &CompanyBody, before: &CompanyAt<'_>) -> Vec<Vec<Part>> {
    use Part::{Device, DeviceOf, Issuing, Named, Root};
    let role = Part::Role;
    match body {
        CompanyBody::Genesis(body) => vec![vec![Named(body.root)]],
        CompanyBody::RootRotation(body) => vec![vec![Root, Named(body.key)]],
        CompanyBody::IssuingKey(_)
        | CompanyBody::EnrolmentAuthority(_)
        | CompanyBody::LogKey(_)
        | CompanyBody::Witness(_) => vec![vec![Root]],
        CompanyBody::Device(body) => {
            if body.voucher.is_some() && !before.has_had_device(body.user) {
                vec![vec![Issuing]]
            } else {
                vec![vec![Issuing, DeviceOf(body.user)], vec![Issuing, role(Role::Admin)]]
            }
        }
        CompanyBody::Revoke(_) => {
            vec![vec![role(Role::Hr)], vec![role(Role::Admin)], vec![role(Role::Scim)]]
        }
        CompanyBody::Role(body) => match body.role {
            Role::Admin | Role::Hr => vec![vec![Root], vec![role(Role::Admin); 2]],
            Role::Council if before.anyone_is(Role::Council) => {
                vec![vec![Root, role(Role::Council)]]
            }
            _ => vec![vec![Root]],
        },
        CompanyBody::Policy(body) => {
            let mut parts = vec![role(Role::Admin), role(Role::Hr)];
            if changes_council_part(&body.document, before) {
                parts.push(role(Role::Council));
            }
            vec![parts]
        }
        CompanyBody::ArchiveKey(_) => {
            vec![vec![Root, role(Role::Officer), role(Role::Officer), role(Role::Council)]]
        }
        CompanyBody::Opening(_) => {
            vec![vec![role(Role::Officer), role(Role::Officer), role(Role::Council)]]
        }
        CompanyBody::Release(_) => vec![vec![role(Role::Officer); 2]],
        CompanyBody::Opened(_) => vec![vec![role(Role::Council)]],
        CompanyBody::Hold(_) => vec![vec![role(Role::Officer)]],
        CompanyBody::Erase(body) => match body.reason {
            EraseReason::Expiry => vec![vec![role(Role::Retention)]],
            EraseReason::Early => two_different_roles(),
            EraseReason::Rewrap => vec![vec![role(Role::Officer), role(Role::Council)]],
        },
        CompanyBody::Handover(_) => {
            if before.terms().council.handover_council {
                vec![vec![role(Role::Hr), role(Role::Council)]]
            } else {
                vec![vec![role(Role::Hr)]]
            }
        }
        CompanyBody::Rewrap(_) => vec![vec![role(Role::Officer), role(Role::Council)]],
        CompanyBody::Restore(_) => vec![vec![role(Role::Admin), role(Role::Officer)]],
        CompanyBody::Close(body) => {
            vec![vec![Device(body.device)], vec![role(Role::Hr)], vec![role(Role::Officer)]]
        }
        CompanyBody::Class(body) => match body.class {
            0 => vec![vec![role(Role::Officer)]],
            _ => two_different_roles(),
        },
        CompanyBody::ResetOrder(_) => vec![vec![role(Role::Admin)]],
        CompanyBody::Report(body) => vec![vec![Device(body.device)]],
    }
}

fn two_different_roles() -> Vec<Vec<Part>> {
    let pairs = PEOPLE.iter().enumerate().flat_map(|(i, one)| {
        PEOPLE[i + 1..].iter().map(|other| vec![Part::Role(*one), Part::Role(*other)])
    });
    pairs.collect()
}

fn changes_council_part(document: &[u8], before: &CompanyAt<'_>) -> bool {
    let new = decode::<PolicyDocument>(document).map(|document| document.council);
    let old = before.policy_document().map(|document| document.council);
    new.is_ok_and(|new| new != old.unwrap_or_default())
}

/// Whether these signers play all parts of one of the lists.
pub(crate) fn suffice(signers: &[Signer], required: &[Vec<Part>], before: &CompanyAt<'_>) -> bool {
    required.iter().any(|parts| cast(parts, signers, &mut Vec::new(), before))
}

/// Whether the remaining parts can be cast from signers that are not taken yet, by trying each.
/// At most four parts and eight signers.
fn cast(
    parts: &[Part],
    signers: &[Signer],
    taken: &mut Vec<usize>,
    before: &CompanyAt<'_>,
) -> bool {
    let Some((part, rest)) = parts.split_first() else { return true };
    for (i, signer) in signers.iter().enumerate() {
        let same_person = taken.iter().any(|&other| {
            other == i || (signer.user.is_some() && signer.user == signers[other].user)
        });
        if same_person || !plays(signer, *part, before) {
            continue;
        }
        taken.push(i);
        if cast(rest, signers, taken, before) {
            return true;
        }
        taken.pop();
    }
    false
}

fn plays(signer: &Signer, part: Part, before: &CompanyAt<'_>) -> bool {
    let active_device =
        || before.device_of_key(&signer.key).filter(|device| before.is_active(device.device));
    match part {
        Part::Root => before.root() == Some(signer.key),
        Part::Named(key) => signer.key == key,
        Part::Issuing => before.is_issuing_key(&signer.key),
        Part::Role(role) => before.has_role(signer.key.id(), role),
        Part::DeviceOf(user) => active_device().is_some_and(|device| device.user == user),
        Part::Device(named) => active_device().is_some_and(|device| device.device == named),
    }
}
