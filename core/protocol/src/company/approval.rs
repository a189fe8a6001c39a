//! A further device of a person: who signs for it, and what he checks before (docs/attacks.md 1).
//!
//! The server certifies devices and passes their requests on, and it may lie in both. What it cannot
//! do is sign for an active device of the person or for an admin, so whoever of them signs looks at
//! everything himself: the voucher of the enrolment authority and for whom it is, the seed's signature
//! over the device's keys, the certificate. And a person compares the [code](Applicant::code) of the
//! new device with the one that it shows: so neither a server nor somebody who got hold of the
//! invitation puts a device of his own in its place.

use crate::array_item;
use crate::company::body::DeviceEntry;
use crate::company::entry::company_entry;
use crate::company::state::Company;
use crate::company::voucher::{CheckedEnrolment, EnrolError, Enrolment, check_enrol_request};
use crate::crypto::{SigningKey, hash};
use crate::encoding::Bytes;
use crate::entry::Seen;
use crate::ids::{DeviceId, Digest, TimeMs, UserId};
use crate::mls::certificate::DeviceCertificate;
use crate::wire::{EnrolRequest, NewEntry};

const CODE_LABEL: &str = "hauspost/1 device-code";
/// Letters of a code, each of 5 bits: whoever wants the code of another device for his own has 2⁶⁰
/// keys to try.
const CODE_LETTERS: usize = 12;
/// Crockford's alphabet: no letter looks like another or like a number.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

array_item! {
    /// A device that waits for somebody who signs for it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct WaitingDevice {
        /// What it asked for.
        pub request: EnrolRequest,
        /// The certificate that the server made for it, X.509 v3, DER.
        pub certificate: Bytes,
    }
}

/// Why nobody should sign for a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// The request does not hold together.
    #[error(transparent)]
    Request(#[from] EnrolError),
    /// The voucher names no person; such a one is for a person's first device.
    #[error("the voucher is not for this person's further devices")]
    NoUser,
    /// The voucher is not the enrolment authority's.
    #[error("the voucher is not signed by an active enrolment authority")]
    Authority,
    /// The certificate is not this device's.
    #[error("the certificate does not fit the device")]
    Certificate,
    /// The company is not known yet.
    #[error("the company log is not there yet")]
    NoCompany,
}

/// A device whose request holds together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applicant {
    checked: CheckedEnrolment,
    certificate: Digest,
}

impl Applicant {
    /// Checks what the server says of a waiting device, against the company log.
    pub fn check(
        company: &Company,
        waiting: &WaitingDevice,
        now_ms: TimeMs,
    ) -> Result<Self, ApprovalError> {
        let id = company.id().ok_or(ApprovalError::NoCompany)?;
        let checked = check_enrol_request(id, &waiting.request, now_ms)?;
        if checked.voucher.user.is_none() {
            return Err(ApprovalError::NoUser);
        }
        let vouched =
            company.now().authorities().any(|key| checked.voucher.verify(&key, id).is_ok());
        if !vouched {
            return Err(ApprovalError::Authority);
        }
        let certificate = DeviceCertificate::parse(&waiting.certificate)
            .map_err(|_| ApprovalError::Certificate)?;
        let (facts, enrolment) = (certificate.facts(), &checked.enrolment);
        let fits = facts.company == id
            && facts.user == enrolment.user
            && facts.device == enrolment.device
            && facts.signature_key == enrolment.signature_key
            && facts.is_valid_at(now_ms);
        if !fits {
            return Err(ApprovalError::Certificate);
        }
        Ok(Self { certificate: certificate.hash(), checked })
    }

    /// Whose device it would be.
    pub fn user(&self) -> UserId {
        self.checked.enrolment.user
    }

    /// The device.
    pub fn device(&self) -> DeviceId {
        self.checked.enrolment.device
    }

    /// What the new device shows, and what a person compares.
    pub fn code(&self) -> String {
        code(&self.checked.enrolment)
    }

    /// Whether this entry is the device's: but for whom it replaces, and what its signers had seen,
    /// nothing is left to them.
    pub fn is_meant_by(&self, body: &DeviceEntry) -> bool {
        *body == self.body(body.seen, body.replaces)
    }

    /// The company entry by which the device enters, signed by `key`. It lacks the issuing key's
    /// signature, which the server adds. `replaces` is revoked by it.
    pub fn entry(
        &self,
        company: &Company,
        replaces: Option<DeviceId>,
        key: &SigningKey,
    ) -> NewEntry {
        let body = self.body(company.newest(), replaces);
        company_entry(self.checked.enrolment.company, body, &[key])
    }

    fn body(&self, seen: Option<Seen>, replaces: Option<DeviceId>) -> DeviceEntry {
        let CheckedEnrolment { enrolment, voucher, seed_signature } = self.checked.clone();
        DeviceEntry {
            seen,
            user: enrolment.user,
            device: enrolment.device,
            signature_key: enrolment.signature_key,
            certificate: self.certificate,
            history_key: enrolment.history_key,
            keystore_key: enrolment.keystore_key,
            voucher: Some(voucher),
            seed_signature: Some(seed_signature),
            replaces,
        }
    }
}

/// The code of a device: twelve letters in groups of four, of the hash of everything that its seed
/// signed. The new device computes it of its own keys, whoever signs of what the server passed on.
pub fn code(enrolment: &Enrolment) -> String {
    let (_, signed) = enrolment.signed();
    let hash = hash(CODE_LABEL, &signed);
    let bits = hash[..8].iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    let letters: Vec<u8> =
        (0..CODE_LETTERS).map(|at| ALPHABET[(bits >> (59 - 5 * at) & 31) as usize]).collect();
    let groups: Vec<&str> =
        letters.chunks(4).map(|group| str::from_utf8(group).unwrap_or_default()).collect();
    groups.join("-")
}

/// Whether somebody typed this code: small letters, gaps and what is easily confused do not matter.
pub fn is_code(code: &str, typed: &str) -> bool {
    let plain = |text: &str| -> String {
        let letters = text.chars().filter(|letter| !matches!(letter, '-' | ' '));
        letters
            .map(|letter| match letter.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                letter => letter,
            })
            .collect()
    };
    plain(code) == plain(typed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::company::fixture::{COMPANY, Founded};
    use crate::company::voucher::{Voucher, enrol_request};
    use crate::crypto::Secret;
    use crate::mls::certificate::CertificateFacts;

    const ANNA: UserId = UserId([61; 16]);
    const TABLET: DeviceId = DeviceId([62; 16]);

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(Secret::new([seed; 32]))
    }

    fn waiting(authority: &SigningKey, user: Option<UserId>, keystore: u8) -> WaitingDevice {
        let seed = Secret::new([70; 32]);
        let voucher = Voucher::sign(authority, COMPANY, key(70).public(), user, u64::MAX >> 1);
        let request = enrol_request(
            COMPANY,
            &seed,
            &voucher,
            (ANNA, TABLET),
            &key(71),
            [keystore; 33],
            &[7; 1_216],
        );
        let certificate = DeviceCertificate::issue(&key(72), facts()).unwrap();
        WaitingDevice { request, certificate: Bytes(certificate.der().to_vec()) }
    }

    fn facts() -> CertificateFacts {
        CertificateFacts {
            company: COMPANY,
            user: ANNA,
            device: TABLET,
            signature_key: key(71).public(),
            serial: [1; 16],
            not_before_s: 0,
            not_after_s: 2_000_000_000,
        }
    }

    #[test]
    fn attacks_1_who_signs_for_a_device_sees_voucher_seed_and_certificate_himself() {
        let office = Founded::new();
        let authority = &office.keys.authority;
        let check = |waiting: &WaitingDevice| Applicant::check(&office.company, waiting, 1_000_000);
        let good = waiting(authority, Some(ANNA), 2);
        assert_eq!(check(&good).unwrap().device(), TABLET);
        assert_eq!(check(&waiting(&key(9), Some(ANNA), 2)), Err(ApprovalError::Authority));
        assert_eq!(check(&waiting(authority, None, 2)), Err(ApprovalError::NoUser));
        let mut other_key = good.clone();
        other_key.request.keystore_key = [3; 33];
        assert_eq!(check(&other_key), Err(EnrolError::Seed.into()));
        for wrong in [
            CertificateFacts { user: UserId([9; 16]), ..facts() },
            CertificateFacts { device: DeviceId([9; 16]), ..facts() },
            CertificateFacts { signature_key: key(9).public(), ..facts() },
            CertificateFacts { not_after_s: 999, ..facts() },
        ] {
            let certificate = DeviceCertificate::issue(&key(72), wrong).unwrap();
            let swapped =
                WaitingDevice { certificate: Bytes(certificate.der().to_vec()), ..good.clone() };
            assert_eq!(check(&swapped), Err(ApprovalError::Certificate));
        }
    }

    #[test]
    fn a_code_is_of_all_that_the_seed_signed_and_is_typed_as_people_type() {
        let office = Founded::new();
        let authority = &office.keys.authority;
        let code = |keystore| {
            let waiting = waiting(authority, Some(ANNA), keystore);
            Applicant::check(&office.company, &waiting, 1_000_000).unwrap().code()
        };
        let first = code(2);
        assert_eq!(first.len(), 14);
        assert_ne!(first, code(3));
        assert!(is_code(&first, &first.to_lowercase().replace('-', " ")));
        assert!(is_code("01AB-CDEF-GHJK", "oiab cdef ghjk"));
        assert!(!is_code(&first, &first[..13]));
        assert!(!is_code(&first, ""));
    }
}
