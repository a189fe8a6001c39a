//! Device certificates: the MLS credential of a leaf.
//!
//! A certificate of ours is X.509 v3 in exactly one form: Ed25519, empty subject, one alternative
//! name `hauspost:<company>/<user>/<device>`, key usage digitalSignature, no name of a person
//! anywhere (docs/attacks.md 29). [`DeviceCertificate::parse`] reads the few fields that vary, builds the
//! certificate from them anew and refuses every difference, so that nothing else in it can matter.
//!
//! A certificate counts because its hash stands in the company log; its signature by the issuing
//! key is checked where it is issued and enrolled. Expiry stops a device's new commits and key
//! packages and nothing else (docs/attacks.md 16).
//!
//! Source: docs/protocol.md §3; RFC 5280; RFC 8410; RFC 9420 §5.3.

use std::ops::Range;
use std::sync::LazyLock;

use openmls::prelude::{Credential, CredentialType, CredentialWithKey};
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::types::SignatureScheme;
use tls_codec::{Serialize as _, VLBytes};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::certificate::{Certificate, TbsCertificate, Version};
use x509_cert::der::asn1::{
    BitString, GeneralizedTime, Ia5String, OctetString, SetOfVec, UtcTime, Utf8StringRef,
};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Any, DateTime, Decode as _, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, KeyUsage, KeyUsages, SubjectAltName};
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

use crate::crypto::{PublicKey, Signature, SigningKey, sha256};
use crate::ids::{CompanyId, DeviceId, Digest, KeyId, TimeMs, UserId};

/// Ed25519 (RFC 8410 §3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Common name (RFC 5280 appendix A.1); the issuer's is its key id, never a name.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// The scheme of our URIs.
const SCHEME: &str = "hauspost:";
/// The longest certificate that is read, in bytes; ours have about 420.
const MAX_BYTES: usize = 1_024;
/// From when on a time is a GeneralizedTime (RFC 5280 §4.1.2.5).
const YEAR_2050_S: u64 = 2_524_608_000;
/// Length of a serial number in bytes.
pub const SERIAL_BYTES: usize = 16;

/// What a certificate says, and what varies between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The company.
    pub company: CompanyId,
    /// Whose device it is.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// The device's Ed25519 key, which is its leaf's signature key too.
    pub signature_key: PublicKey,
    /// A random number; its first bit is made 0 and its second 1, so that it is positive and of
    /// one length.
    pub serial: [u8; SERIAL_BYTES],
    /// From when it is good, in whole seconds of Unix time.
    pub not_before_s: u64,
    /// Until when it is good, in whole seconds of Unix time.
    pub not_after_s: u64,
}

impl CertificateFacts {
    /// Whether it is good at this time.
    pub fn is_valid_at(&self, t_ms: TimeMs) -> bool {
        (self.not_before_s..=self.not_after_s).contains(&(t_ms / 1_000))
    }
}

/// Why a certificate is not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not an X.509 certificate.
    #[error("not an X.509 certificate")]
    Malformed,
    /// An X.509 certificate, but not in the one form that ours have.
    #[error("not in the form of our certificates")]
    Form,
    /// The alternative name is not one well-formed URI of ours.
    #[error("the certificate's URI is not ours")]
    Uri,
    /// A time that a certificate cannot hold.
    #[error("a time that a certificate cannot hold")]
    Time,
    /// The signature is not the issuing key's.
    #[error("the certificate's signature is not the issuing key's")]
    Signature,
    /// The credential of a leaf is not X.509 with exactly one certificate.
    #[error("the credential is not one X.509 certificate")]
    Credential,
}

/// A certificate in our form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCertificate {
    facts: CertificateFacts,
    issuer: KeyId,
    /// Where in `der` the signed part is.
    signed: Range<usize>,
    signature: Signature,
    der: Vec<u8>,
}

impl DeviceCertificate {
    /// Issues a certificate.
    pub fn issue(
        issuing_key: &SigningKey,
        mut facts: CertificateFacts,
    ) -> Result<Self, CertificateError> {
        facts.serial[0] = facts.serial[0] & 0x7f | 0x40;
        let issuer = issuing_key.public().id();
        let unsigned = Self::assemble(facts, issuer, Signature([0; 64]))?;
        let signature = issuing_key.sign_raw(&unsigned.der[unsigned.signed]);
        Self::assemble(facts, issuer, signature)
    }

    /// Reads a certificate; the issuing key's signature is for [`verify`](Self::verify).
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_BYTES {
            return Err(CertificateError::Malformed);
        }
        let (facts, issuer, signature) = Form::of(der)?.read(der)?;
        let rebuilt = Self::assemble(facts, issuer, signature)?;
        if *rebuilt.der == *der { Ok(rebuilt) } else { Err(CertificateError::Form) }
    }

    /// The certificate in a leaf's credential.
    pub fn from_credential(credential: &Credential) -> Result<Self, CertificateError> {
        if credential.credential_type() != CredentialType::X509 {
            return Err(CertificateError::Credential);
        }
        let one: VLBytes = credential.deserialized().map_err(|_| CertificateError::Credential)?;
        Self::parse(one.as_slice())
    }

    /// Whether this issuing key signed it.
    ///
    /// By strict RFC 8032, as X.509 libraries do.
    pub fn verify(&self, issuing_key: &PublicKey) -> Result<(), CertificateError> {
        if self.issuer != issuing_key.id() {
            return Err(CertificateError::Signature);
        }
        RustCrypto::default()
            .verify_signature(
                SignatureScheme::ED25519,
                &self.der[self.signed.clone()],
                &issuing_key.0,
                &self.signature.0,
            )
            .map_err(|_| CertificateError::Signature)
    }

    /// What it says.
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }

    /// The id of the issuing key that it names.
    pub fn issuer(&self) -> KeyId {
        self.issuer
    }

    /// Its DER encoding.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The hash that the company log knows it by.
    pub fn hash(&self) -> Digest {
        sha256(&self.der)
    }

    /// The MLS credential with this certificate, and no other, in it (RFC 9420 §5.3).
    pub fn credential(&self) -> CredentialWithKey {
        let chain = VLBytes::new(self.der.clone()).tls_serialize_detached();
        let chain = chain.expect("a certificate is shorter than 2^30 bytes");
        CredentialWithKey {
            credential: Credential::new(CredentialType::X509, chain),
            signature_key: self.facts.signature_key.0.to_vec().into(),
        }
    }

    fn assemble(
        facts: CertificateFacts,
        issuer: KeyId,
        signature: Signature,
    ) -> Result<Self, CertificateError> {
        let form = Form::for_times(facts.not_before_s, facts.not_after_s);
        let der = form.fill(&facts, issuer, &signature)?;
        Ok(Self { facts, issuer, signed: form.signed.clone(), signature, der })
    }
}

/// The alternative name of a device.
pub fn device_uri(company: CompanyId, user: UserId, device: DeviceId) -> String {
    format!("{SCHEME}{company}/{user}/{device}")
}

fn parse_uri(uri: &str) -> Option<(CompanyId, UserId, DeviceId)> {
    let mut parts = uri.strip_prefix(SCHEME)?.split('/');
    let ids =
        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(ids)
}

/// A certificate of ours, and where in it stands what varies: X.509 is needed once for each pair of
/// time formats, not once for each leaf of a group.
struct Form {
    der: Vec<u8>,
    signed: Range<usize>,
    serial: Range<usize>,
    issuer: Range<usize>,
    not_before: Range<usize>,
    not_after: Range<usize>,
    key: Range<usize>,
    authority: Range<usize>,
    uri: Range<usize>,
    signature: Range<usize>,
}

impl Form {
    /// The form of a certificate with these two times.
    fn for_times(not_before_s: u64, not_after_s: u64) -> &'static Self {
        &FORMS[usize::from(not_before_s >= YEAR_2050_S)][usize::from(not_after_s >= YEAR_2050_S)]
    }

    /// The form that a certificate of this length, and with this first time, would have.
    fn of(der: &[u8]) -> Result<&'static Self, CertificateError> {
        let mut forms = FORMS.iter().flatten().filter(|form| form.der.len() == der.len());
        let fits = |form: &&Self| der[form.not_before.start] == form.der[form.not_before.start];
        forms.find(fits).ok_or(CertificateError::Form)
    }

    /// The form with everything that varies filled in by X.509, and found again in it.
    fn new(not_before_s: u64, not_after_s: u64) -> Self {
        let facts = CertificateFacts {
            company: CompanyId([0xa1; 16]),
            user: UserId([0xa2; 16]),
            device: DeviceId([0xa3; 16]),
            signature_key: PublicKey([0xa4; 32]),
            serial: [0x45; SERIAL_BYTES],
            not_before_s,
            not_after_s,
        };
        let (issuer, signature) = (KeyId([0xa6; 16]), [0xa7; 64]);
        let built = || {
            let tbs_certificate = tbs(&facts, issuer)?;
            let encode = |time: &Time| time.to_der().map_err(|_| CertificateError::Time);
            let (not_before, not_after) =
                (&tbs_certificate.validity.not_before, &tbs_certificate.validity.not_after);
            let times = (encode(not_before)?, encode(not_after)?);
            let signed = tbs_certificate.to_der().map_err(|_| CertificateError::Form)?;
            let certificate = Certificate {
                tbs_certificate,
                signature_algorithm: ed25519(),
                signature: bits(&signature)?,
            };
            let der = certificate.to_der().map_err(|_| CertificateError::Form)?;
            Ok::<_, CertificateError>((der, signed, times))
        };
        let (der, signed, (not_before, not_after)) =
            built().expect("these facts are those of a certificate");
        let find = |part: &[u8]| {
            let mut places = (0..der.len()).filter(|at| der[*at..].starts_with(part));
            let place = places.next().expect("each fact stands in the certificate");
            assert!(places.next().is_none(), "each fact stands in the certificate once");
            place..place + part.len()
        };
        Self {
            signed: find(&signed),
            serial: find(&facts.serial),
            issuer: find(issuer.to_string().as_bytes()),
            not_before: find(&not_before),
            not_after: find(&not_after),
            key: find(&facts.signature_key.0),
            authority: find(&issuer.0),
            uri: find(device_uri(facts.company, facts.user, facts.device).as_bytes()),
            signature: find(&signature),
            der,
        }
    }

    /// Reads what varies. Everything else is compared by building the certificate anew.
    fn read(&self, der: &[u8]) -> Result<(CertificateFacts, KeyId, Signature), CertificateError> {
        fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], CertificateError> {
            bytes.try_into().map_err(|_| CertificateError::Form)
        }
        let unix_s = |place: &Range<usize>| {
            let time = Time::from_der(&der[place.clone()]).map_err(|_| CertificateError::Time)?;
            Ok(time.to_unix_duration().as_secs())
        };
        let uri = std::str::from_utf8(&der[self.uri.clone()]).ok().and_then(parse_uri);
        let (company, user, device) = uri.ok_or(CertificateError::Uri)?;
        let facts = CertificateFacts {
            company,
            user,
            device,
            signature_key: PublicKey(array(&der[self.key.clone()])?),
            serial: array(&der[self.serial.clone()])?,
            not_before_s: unix_s(&self.not_before)?,
            not_after_s: unix_s(&self.not_after)?,
        };
        let issuer = KeyId(array(&der[self.authority.clone()])?);
        Ok((facts, issuer, Signature(array(&der[self.signature.clone()])?)))
    }

    /// The certificate with these facts.
    fn fill(
        &self,
        facts: &CertificateFacts,
        issuer: KeyId,
        signature: &Signature,
    ) -> Result<Vec<u8>, CertificateError> {
        // DER has one form of a positive number: no zero in front, and no sign.
        if !(0x01..0x80).contains(&facts.serial[0]) {
            return Err(CertificateError::Form);
        }
        let encode = |unix_s| time(unix_s)?.to_der().map_err(|_| CertificateError::Time);
        let mut der = self.der.clone();
        let mut put = |place: &Range<usize>, bytes: &[u8]| match bytes.len() == place.len() {
            true => {
                der[place.clone()].copy_from_slice(bytes);
                Ok(())
            }
            false => Err(CertificateError::Form),
        };
        put(&self.serial, &facts.serial)?;
        put(&self.issuer, issuer.to_string().as_bytes())?;
        put(&self.not_before, &encode(facts.not_before_s)?)?;
        put(&self.not_after, &encode(facts.not_after_s)?)?;
        put(&self.key, &facts.signature_key.0)?;
        put(&self.authority, &issuer.0)?;
        put(&self.uri, device_uri(facts.company, facts.user, facts.device).as_bytes())?;
        put(&self.signature, &signature.0)?;
        Ok(der)
    }
}

/// By whether the first time, and the second, is of 2050 or later.
static FORMS: LazyLock<[[Form; 2]; 2]> = LazyLock::new(|| {
    let times = |t| [YEAR_2050_S - 1 - t, YEAR_2050_S + t];
    times(1).map(|not_before| times(0).map(|not_after| Form::new(not_before, not_after)))
});

/// The one form of the signed part.
fn tbs(facts: &CertificateFacts, issuer: KeyId) -> Result<TbsCertificate, CertificateError> {
    let form = |_| CertificateError::Form;
    let uri = device_uri(facts.company, facts.user, facts.device);
    let uri = GeneralName::UniformResourceIdentifier(Ia5String::new(&uri).map_err(form)?);
    let authority = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(issuer.0).map_err(form)?),
        ..Default::default()
    };
    Ok(TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(&facts.serial).map_err(form)?,
        signature: ed25519(),
        issuer: issuer_name(issuer)?,
        validity: Validity {
            not_before: time(facts.not_before_s)?,
            not_after: time(facts.not_after_s)?,
        },
        subject: RdnSequence::default(),
        subject_public_key_info: SubjectPublicKeyInfoOwned {
            algorithm: ed25519(),
            subject_public_key: bits(&facts.signature_key.0)?,
        },
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(vec![
            extension(&authority, false)?,
            extension(&KeyUsage(KeyUsages::DigitalSignature.into()), true)?,
            // Critical, since the subject is empty (RFC 5280 §4.2.1.6).
            extension(&SubjectAltName(vec![uri]), true)?,
        ]),
    })
}

fn ed25519() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: ED25519, parameters: None }
}

fn bits(bytes: &[u8]) -> Result<BitString, CertificateError> {
    BitString::from_bytes(bytes).map_err(|_| CertificateError::Form)
}

fn extension<T: Encode + AssociatedOid>(
    value: &T,
    critical: bool,
) -> Result<Extension, CertificateError> {
    let value = value.to_der().and_then(OctetString::new).map_err(|_| CertificateError::Form)?;
    Ok(Extension { extn_id: T::OID, critical, extn_value: value })
}

/// CN = the issuing key's id in hexadecimal, since an issuer's name must not be empty (RFC 5280
/// §4.1.2.4).
fn issuer_name(issuer: KeyId) -> Result<RdnSequence, CertificateError> {
    let form = |_| CertificateError::Form;
    let text = issuer.to_string();
    let value = Any::from(Utf8StringRef::new(&text).map_err(form)?);
    let name = SetOfVec::try_from(vec![AttributeTypeAndValue { oid: COMMON_NAME, value }]);
    Ok(RdnSequence(vec![RelativeDistinguishedName(name.map_err(form)?)]))
}

/// UTCTime through 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5).
fn time(unix_s: u64) -> Result<Time, CertificateError> {
    let at = DateTime::from_unix_duration(std::time::Duration::from_secs(unix_s))
        .map_err(|_| CertificateError::Time)?;
    Ok(match UtcTime::from_date_time(at) {
        Ok(utc) => Time::UtcTime(utc),
        Err(_) => Time::GeneralTime(GeneralizedTime::from_date_time(at)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Secret;

    fn issuing_key() -> SigningKey {
        SigningKey::from_seed(Secret::new([1; 32]))
    }

    fn facts() -> CertificateFacts {
        CertificateFacts {
            company: CompanyId([1; 16]),
            user: UserId([2; 16]),
            device: DeviceId([3; 16]),
            signature_key: SigningKey::from_seed(Secret::new([2; 32])).public(),
            serial: [0xff; SERIAL_BYTES],
            not_before_s: 1_700_000_000,
            // 2051: the other of the two time formats.
            not_after_s: 2_556_000_000,
        }
    }

    #[test]
    fn a_certificate_reads_back_and_its_issuer_is_checked() {
        let made = DeviceCertificate::issue(&issuing_key(), facts()).unwrap();
        let read = DeviceCertificate::parse(made.der()).unwrap();
        assert_eq!(read, made);
        assert_eq!(read.facts().user, facts().user);
        assert_eq!(read.verify(&issuing_key().public()), Ok(()));
        let other = SigningKey::from_seed(Secret::new([9; 32]));
        assert_eq!(read.verify(&other.public()), Err(CertificateError::Signature));
        assert!(made.der().len() < 450, "{} bytes", made.der().len());
    }

    #[test]
    fn every_changed_byte_is_refused_by_form_or_by_signature() {
        let made = DeviceCertificate::issue(&issuing_key(), facts()).unwrap();
        for at in 0..made.der().len() {
            let mut der = made.der().to_vec();
            der[at] ^= 1;
            let verdict = DeviceCertificate::parse(&der)
                .and_then(|read| read.verify(&issuing_key().public()));
            assert!(verdict.is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_certificate_with_anything_more_in_it_is_refused() {
        let made = DeviceCertificate::issue(&issuing_key(), facts()).unwrap();
        let mut read = Certificate::from_der(made.der()).unwrap();
        read.tbs_certificate.subject = issuer_name(KeyId([5; 16])).unwrap();
        let named = read.to_der().unwrap();
        assert_eq!(DeviceCertificate::parse(&named), Err(CertificateError::Form));
        let mut read = Certificate::from_der(made.der()).unwrap();
        let mut more = read.tbs_certificate.extensions.unwrap();
        more.push(more[0].clone());
        read.tbs_certificate.extensions = Some(more);
        assert!(DeviceCertificate::parse(&read.to_der().unwrap()).is_err());
    }

    #[test]
    fn a_credential_holds_exactly_one_certificate() {
        let made = DeviceCertificate::issue(&issuing_key(), facts()).unwrap();
        let credential = made.credential().credential;
        assert_eq!(DeviceCertificate::from_credential(&credential), Ok(made));
        let twice = [credential.serialized_content(), credential.serialized_content()].concat();
        let twice = Credential::new(CredentialType::X509, twice);
        let refused = Err(CertificateError::Credential);
        assert_eq!(DeviceCertificate::from_credential(&twice), refused);
        let basic = Credential::new(CredentialType::Basic, b"anna".to_vec());
        assert_eq!(DeviceCertificate::from_credential(&basic), refused);
    }

    #[test]
    fn what_is_filled_in_is_what_x509_would_encode() {
        let late = YEAR_2050_S + 86_400;
        for (not_before_s, not_after_s) in [(0, 1), (86_400, late), (late, late + 1), (late, 0)] {
            let facts = CertificateFacts { not_before_s, not_after_s, ..facts() };
            let made = DeviceCertificate::issue(&issuing_key(), facts).unwrap();
            let encoded = Certificate {
                tbs_certificate: tbs(made.facts(), made.issuer()).unwrap(),
                signature_algorithm: ed25519(),
                signature: bits(&made.signature.0).unwrap(),
            };
            assert_eq!(made.der(), encoded.to_der().unwrap(), "{not_before_s} {not_after_s}");
            assert_eq!(DeviceCertificate::parse(made.der()), Ok(made));
        }
    }

    #[test]
    fn a_certificate_is_good_from_its_first_to_its_last_second() {
        let made = DeviceCertificate::issue(&issuing_key(), facts()).unwrap();
        assert!(!made.facts().is_valid_at(1_699_999_999_999));
        assert!(made.facts().is_valid_at(1_700_000_000_000));
        assert!(made.facts().is_valid_at(2_556_000_000_999));
        assert!(!made.facts().is_valid_at(2_556_000_001_000));
    }
}
