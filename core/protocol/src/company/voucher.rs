//! How a new device proves that it was invited (docs/attacks.md 1).
//!
//! What MDM delivers is a seed, not a bearer string. Its public half stands in a voucher that the
//! enrolment authority signed, whose key is not on the server. The phone signs its keys with the
//! seed, so a server that holds the issuing key still cannot enrol a device of its own.

use crate::array_item;
use crate::company::body::history_key_hash;
use crate::crypto::{BadSignature, PublicKey, Secret, Signature, SigningKey};
use crate::encoding::{Bytes, FormError, decode, encode};
use crate::ids::{CompanyId, DeviceId, Digest, TimeMs, UserId};
use crate::wire::EnrolRequest;

const VOUCHER_LABEL: &str = "hauspost/1 voucher";
const ENROL_LABEL: &str = "hauspost/1 enrol";

array_item! {
    /// The enrolment authority's word for one seed.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Voucher {
        /// The seed's public half. It counts once.
        pub seed: PublicKey,
        /// For whom; null = for any user who has no device yet.
        pub user: Option<UserId>,
        /// The last moment at which a device entry may rely on it, by link.t_ms.
        pub not_after: TimeMs,
        /// `Sig(enrolment authority, "hauspost/1 voucher", CBOR[company, seed pk, user|null, not_after])`.
        pub signature: Signature,
    }
}

impl Voucher {
    /// Vouches for the seed with this public half.
    pub fn sign(
        authority: &SigningKey,
        company: CompanyId,
        seed: PublicKey,
        user: Option<UserId>,
        not_after: TimeMs,
    ) -> Self {
        let signature = authority.sign(VOUCHER_LABEL, &encode(&(company, seed, user, not_after)));
        Self { seed, user, not_after, signature }
    }

    /// What the authority signed.
    pub(crate) fn signed(&self, company: CompanyId) -> (&'static str, Vec<u8>) {
        (VOUCHER_LABEL, encode(&(company, self.seed, self.user, self.not_after)))
    }

    /// Verifies the authority's signature.
    pub fn verify(&self, authority: &PublicKey, company: CompanyId) -> Result<(), BadSignature> {
        let (label, bytes) = self.signed(company);
        authority.verify(label, &bytes, &self.signature)
    }
}

/// What the seed and the new device's own key sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The company.
    pub company: CompanyId,
    /// Whose device it is.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// Its signature key.
    pub signature_key: PublicKey,
    /// Its keystore key.
    pub keystore_key: [u8; 33],
    /// The hash of its history key.
    pub history_key: Digest,
}

impl Enrolment {
    /// CBOR[company, user, device, signature key, keystore key, history key hash].
    pub(crate) fn signed(&self) -> (&'static str, Vec<u8>) {
        let Self { company, user, device, signature_key, keystore_key, history_key } = self;
        let fields = (*company, *user, *device, *signature_key, *keystore_key, *history_key);
        (ENROL_LABEL, encode(&fields))
    }

    /// Signs with the seed, or with the device's own key as proof of possession.
    pub fn sign(&self, key: &SigningKey) -> Signature {
        let (label, bytes) = self.signed();
        key.sign(label, &bytes)
    }

    /// Verifies a signature of the seed or of the device's own key.
    pub fn verify(&self, key: &PublicKey, signature: &Signature) -> Result<(), BadSignature> {
        let (label, bytes) = self.signed();
        key.verify(label, &bytes, signature)
    }
}

/// Why an enrolment is refused before it reaches the company log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnrolError {
    /// The voucher's bytes are not a voucher.
    #[error("the voucher is malformed: {0}")]
    Voucher(FormError),
    /// The device key is of small order.
    #[error("the device's key is of small order")]
    SmallOrder,
    /// The seed did not sign this enrolment.
    #[error("the enrolment is not signed by the voucher's seed")]
    Seed,
    /// The device key did not sign this enrolment.
    #[error("the device does not hold the key that it names")]
    Possession,
    /// The voucher is for another user.
    #[error("the voucher is for another user")]
    User,
    /// The voucher's time is over.
    #[error("the voucher has expired")]
    Expired,
}

/// Makes a new device's request.
///
/// `history_key` is the device's X-Wing public key, 1,216 bytes.
pub fn enrol_request(
    company: CompanyId,
    seed: &Secret,
    voucher: &Voucher,
    (user, device): (UserId, DeviceId),
    device_key: &SigningKey,
    keystore_key: [u8; 33],
    history_key: &[u8],
) -> EnrolRequest {
    let enrolment = Enrolment {
        company,
        user,
        device,
        signature_key: device_key.public(),
        keystore_key,
        history_key: history_key_hash(history_key),
    };
    EnrolRequest {
        user,
        device,
        signature_key: device_key.public().0,
        keystore_key,
        history_key: Bytes::from(history_key),
        voucher: Bytes(encode(voucher)),
        seed_signature: enrolment.sign(&SigningKey::from_seed(seed.clone())).0,
        possession: enrolment.sign(device_key).0,
    }
}

/// What a server needs of a request, once it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedEnrolment {
    /// What was signed.
    pub enrolment: Enrolment,
    /// The voucher.
    pub voucher: Voucher,
    /// The seed's signature.
    pub seed_signature: Signature,
}

/// Checks what a request says about itself: seed, possession, user and time.
///
/// Whether the voucher's authority and the seed are good, the company log decides.
pub fn check_enrol_request(
    company: CompanyId,
    request: &EnrolRequest,
    now_ms: TimeMs,
) -> Result<CheckedEnrolment, EnrolError> {
    let voucher: Voucher = decode(&request.voucher).map_err(EnrolError::Voucher)?;
    let enrolment = Enrolment {
        company,
        user: request.user,
        device: request.device,
        signature_key: PublicKey(request.signature_key),
        keystore_key: request.keystore_key,
        history_key: history_key_hash(&request.history_key),
    };
    if voucher.user.is_some_and(|user| user != request.user) {
        return Err(EnrolError::User);
    }
    if now_ms > voucher.not_after {
        return Err(EnrolError::Expired);
    }
    if enrolment.signature_key.has_small_order() || voucher.seed.has_small_order() {
        return Err(EnrolError::SmallOrder);
    }
    let seed_signature = Signature(request.seed_signature);
    enrolment.verify(&voucher.seed, &seed_signature).map_err(|_| EnrolError::Seed)?;
    enrolment
        .verify(&enrolment.signature_key, &Signature(request.possession))
        .map_err(|_| EnrolError::Possession)?;
    Ok(CheckedEnrolment { enrolment, voucher, seed_signature })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPANY: CompanyId = CompanyId([1; 16]);
    const ANNA: UserId = UserId([2; 16]);
    const PHONE: DeviceId = DeviceId([3; 16]);

    fn request() -> EnrolRequest {
        let seed = Secret::new([4; 32]);
        let seed_public = SigningKey::from_seed(seed.clone()).public();
        let authority = SigningKey::from_seed(Secret::new([5; 32]));
        let voucher = Voucher::sign(&authority, COMPANY, seed_public, Some(ANNA), 1_000);
        assert_eq!(voucher.verify(&authority.public(), COMPANY), Ok(()));
        let device_key = SigningKey::from_seed(Secret::new([6; 32]));
        enrol_request(COMPANY, &seed, &voucher, (ANNA, PHONE), &device_key, [2; 33], &[7; 1216])
    }

    #[test]
    fn an_honest_request_is_accepted_to_the_voucher_s_last_millisecond() {
        assert!(check_enrol_request(COMPANY, &request(), 1_000).is_ok());
        assert_eq!(check_enrol_request(COMPANY, &request(), 1_001), Err(EnrolError::Expired));
    }

    #[test]
    fn each_field_of_a_request_is_bound_to_the_seed() {
        let honest = request();
        let changed: [(&str, EnrolRequest, EnrolError); 6] = [
            ("user", EnrolRequest { user: UserId([9; 16]), ..honest.clone() }, EnrolError::User),
            (
                "device",
                EnrolRequest { device: DeviceId([9; 16]), ..honest.clone() },
                EnrolError::Seed,
            ),
            (
                "keystore",
                EnrolRequest { keystore_key: [3; 33], ..honest.clone() },
                EnrolError::Seed,
            ),
            (
                "history",
                EnrolRequest { history_key: Bytes(vec![8; 1216]), ..honest.clone() },
                EnrolError::Seed,
            ),
            (
                "possession",
                EnrolRequest { possession: honest.seed_signature, ..honest.clone() },
                EnrolError::Possession,
            ),
            (
                "voucher",
                EnrolRequest { voucher: Bytes(vec![0x80]), ..honest.clone() },
                EnrolError::Voucher(FormError::Malformed),
            ),
        ];
        for (field, request, error) in changed {
            assert_eq!(check_enrol_request(COMPANY, &request, 0), Err(error), "{field}");
        }
        let elsewhere = check_enrol_request(CompanyId([9; 16]), &honest, 0);
        assert_eq!(elsewhere, Err(EnrolError::Seed));
    }

    #[test]
    fn a_device_key_of_small_order_is_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let request = EnrolRequest { signature_key: identity, ..request() };
        assert_eq!(check_enrol_request(COMPANY, &request, 0), Err(EnrolError::SmallOrder));
    }
}
