//! The three primitives that everything else is built from: a labelled hash, a labelled key
//! derivation and a labelled signature.
//!
//! Each label begins with `hauspost/1 ` and stands, with its length, before what is hashed or
//! signed: no input of one use is an input of another, nor of MLS, whose signatures begin with a
//! length byte and `MLS 1.0 ` (RFC 9420 §5.1.2). Signatures are verified by ZIP-215, so that one
//! signature at a time and a whole batch always agree (docs/attacks.md 13).

use ed25519_zebra as zebra;
use hkdf::HkdfExtract;
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::types::SignatureScheme;
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::encoding::{Bytes, FormError, Item, Reader, Writer, encode};
use crate::ids::{Digest, KeyId};

/// A signature of ours does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// SHA-256 without a label; for payloads, files and what another standard hashes.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// `H(label, x)` = SHA-256(u8(len label) ‖ label ‖ x).
pub fn hash(label: &str, bytes: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update([label_len(label)]);
    hasher.update(label.as_bytes());
    hasher.update(bytes);
    hasher.finalize().into()
}

fn label_len(label: &str) -> u8 {
    u8::try_from(label.len()).expect("labels are constants below 256 bytes")
}

/// The second argument of a derivation: a byte string or a number.
#[derive(Clone, Copy)]
pub enum Context<'a> {
    /// A byte string, often the encoding of a list.
    Bytes(&'a [u8]),
    /// A number, such as a record's index.
    Number(u64),
}

/// A 32-byte secret that is erased when it goes away and never shown.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Takes these bytes as a secret.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A fresh random secret.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// HKDF-Extract with SHA-256 (RFC 5869 §2.2).
    pub fn extract(salt: &str, input: &[&[u8]]) -> Self {
        let mut extract = HkdfExtract::<Sha256>::new(Some(salt.as_bytes()));
        for part in input {
            extract.input_ikm(part);
        }
        Self(extract.finalize().0.into())
    }

    /// `KDF(self, label, ctx, 32)`.
    pub fn derive(&self, label: &str, context: Context<'_>) -> Self {
        let mut bytes = [0; 32];
        self.derive_into(label, context, &mut bytes);
        Self(bytes)
    }

    /// `KDF(self, label, ctx, n)` with n = the length of `output`, which stands in the info as well.
    pub fn derive_into(&self, label: &str, context: Context<'_>, output: &mut [u8]) {
        let label = format!("hauspost/1 {label}");
        let len = output.len() as u64;
        let info = match context {
            Context::Bytes(bytes) => encode(&(label, Bytes::from(bytes), len)),
            Context::Number(number) => encode(&(label, number, len)),
        };
        hkdf::Hkdf::<Sha256>::from_prk(&self.0)
            .and_then(|hkdf| hkdf.expand(&info, output).map_err(|_| hkdf::InvalidPrkLength))
            .expect("a 32-byte key and an output of at most 128 bytes are valid for HKDF");
    }

    /// The secret's bytes, for a cipher or a store. Do not copy them further than needed.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Item for Secret {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        <[u8; 32]>::read(from).map(Self)
    }
}

/// An Ed25519 signature (RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signature(pub [u8; 64]);

impl Item for Signature {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        <[u8; 64]>::read(from).map(Self)
    }
}

/// An Ed25519 public key, as 32 bytes; checked when it is used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// `H("hauspost/1 key", pk)[0..16]`.
    pub fn id(&self) -> KeyId {
        let digest = hash("hauspost/1 key", &self.0);
        KeyId(digest[..16].try_into().expect("16 of 32 bytes"))
    }

    /// Verifies by ZIP-215.
    pub fn verify(
        &self,
        label: &str,
        bytes: &[u8],
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        let key = zebra::VerificationKey::try_from(self.0).map_err(|_| BadSignature)?;
        key.verify(&zebra::Signature::from(signature.0), &labelled(label, bytes))
            .map_err(|_| BadSignature)
    }

    /// Verifies a plain Ed25519 signature strictly (RFC 8032), as those do who check notes of C2SP
    /// with a library of their own.
    pub fn verify_note(&self, bytes: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        RustCrypto::default()
            .verify_signature(SignatureScheme::ED25519, bytes, &self.0, &signature.0)
            .map_err(|_| BadSignature)
    }

    /// Whether the key has small order; issuers refuse such keys, since they verify what nobody signed.
    pub fn has_small_order(&self) -> bool {
        let mut y = self.0;
        y[31] &= 0x7f;
        SMALL_ORDER_Y.contains(&y)
    }
}

/// The encodings of the y coordinates of the curve's eight points of small order, little-endian and
/// without the sign of x; the last two are those that are not reduced and that ZIP-215 takes as well.
const SMALL_ORDER_Y: [[u8; 32]; 7] = [
    first_byte(0, 0, 0),
    first_byte(1, 0, 0),
    first_byte(0xec, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    first_byte(0xed, 0xff, 0x7f),
    first_byte(0xee, 0xff, 0x7f),
];

const fn first_byte(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut y = [middle; 32];
    y[0] = first;
    y[31] = last;
    y
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

impl Item for PublicKey {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        <[u8; 32]>::read(from).map(Self)
    }
}

/// An Ed25519 signing key: its 32-byte seed, and what follows from it, so that a signature costs one
/// multiplication and not two.
#[derive(Clone)]
pub struct SigningKey {
    seed: Secret,
    expanded: Zeroizing<zebra::SigningKey>,
}

impl SigningKey {
    /// The key of this seed.
    pub fn from_seed(seed: Secret) -> Self {
        let expanded = Zeroizing::new(zebra::SigningKey::from_bytes(seed.expose()));
        Self { seed, expanded }
    }

    /// A fresh random key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self::from_seed(Secret::random(rng))
    }

    /// The seed, for a store or a file.
    pub fn seed(&self) -> &Secret {
        &self.seed
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(zebra::VerificationKey::from(&*self.expanded).into())
    }

    /// `Sig(self, label, bytes)`.
    pub fn sign(&self, label: &str, bytes: &[u8]) -> Signature {
        self.sign_raw(&labelled(label, bytes))
    }

    /// A plain Ed25519 signature without a label of ours, for what another standard signs: MLS,
    /// X.509 and checkpoint notes.
    pub fn sign_raw(&self, bytes: &[u8]) -> Signature {
        Signature(self.expanded.sign(bytes).into())
    }
}

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.seed == other.seed
    }
}

impl Eq for SigningKey {}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

fn labelled(label: &str, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(1 + label.len() + bytes.len());
    message.push(label_len(label));
    message.extend_from_slice(label.as_bytes());
    message.extend_from_slice(bytes);
    message
}

/// Many signatures checked together; half the cost of one by one.
///
/// A batch only says whether all hold. When one does not, check them singly: ZIP-215 promises that
/// the two ways agree.
#[derive(Default)]
pub struct Batch(zebra::batch::Verifier);

impl Batch {
    /// Adds a signature to check.
    pub fn add(&mut self, key: &PublicKey, label: &str, bytes: &[u8], signature: &Signature) {
        let key = zebra::VerificationKeyBytes::from(key.0);
        let signature = zebra::Signature::from(signature.0);
        self.0.queue((key, signature, &labelled(label, bytes)));
    }

    /// Whether all of them hold.
    pub fn verify(self, rng: &mut impl CryptoRng) -> Result<(), BadSignature> {
        self.0.verify(rng).map_err(|_| BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_label_separates_two_uses_of_the_same_bytes() {
        assert_ne!(hash("hauspost/1 a", b"bc"), hash("hauspost/1 ab", b"c"));
        let key = SigningKey::from_seed(Secret::new([7; 32]));
        let signature = key.sign("hauspost/1 record", b"x");
        assert_eq!(key.public().verify("hauspost/1 record", b"x", &signature), Ok(()));
        assert_eq!(
            key.public().verify("hauspost/1 entry-body", b"x", &signature),
            Err(BadSignature)
        );
    }

    #[test]
    fn a_batch_holds_exactly_when_each_signature_holds() {
        let mut rng = rand_chacha(1);
        let keys: Vec<_> = (0..4).map(|_| SigningKey::random(&mut rng)).collect();
        for broken in [None, Some(2)] {
            let mut batch = Batch::default();
            for (i, key) in keys.iter().enumerate() {
                let text = if Some(i) == broken { b"other" } else { b"texts" };
                batch.add(
                    &key.public(),
                    "hauspost/1 record",
                    text,
                    &key.sign("hauspost/1 record", b"texts"),
                );
            }
            assert_eq!(batch.verify(&mut rng).is_ok(), broken.is_none());
        }
    }

    #[test]
    fn a_key_of_small_order_is_recognised() {
        // With a key A of small order and R = identity, s = 0, ZIP-215's equation [8]R = [8]kA
        // holds for every message; it holds for no other key but with negligible probability.
        let mut nothing = Signature([0; 64]);
        nothing.0[0] = 1;
        let verifies_nothing = |key: &PublicKey| key.verify("any", b"thing", &nothing).is_ok();
        for y in SMALL_ORDER_Y {
            for sign in [0, 0x80] {
                let mut key = PublicKey(y);
                key.0[31] |= sign;
                assert!(key.has_small_order() && verifies_nothing(&key), "{:?}", key.0);
            }
        }
        let honest = SigningKey::from_seed(Secret::new([7; 32])).public();
        assert!(!honest.has_small_order() && !verifies_nothing(&honest));
    }

    fn rand_chacha(seed: u64) -> rand::rngs::StdRng {
        rand::rngs::StdRng::seed_from_u64(seed)
    }
}
