//! X-Wing, the hybrid of ML-KEM-768 and X25519 (draft-connolly-cfrg-xwing-kem): what is sealed to it
//! today stays sealed when one of the two is broken.
//!
//! Everything that leaves a log's own keys is sealed to such a key: capsules to the archive keys,
//! key lists and grants to history keys.

use x_wing::{Decapsulate, Decapsulator, KeyExport, TryKeyInit};
use x25519_dalek::{PublicKey as X25519Key, StaticSecret};

use crate::crypto::Secret;
use rand::CryptoRng;

/// A public key's length in bytes: ML-KEM-768's 1,184 and X25519's 32.
pub const PUBLIC_KEY_BYTES: usize = x_wing::ENCAPSULATION_KEY_SIZE;
/// A ciphertext's length in bytes: ML-KEM-768's 1,088 and X25519's 32.
pub const CIPHERTEXT_BYTES: usize = x_wing::CIPHERTEXT_SIZE;
/// The randomness of one encapsulation in bytes, ML-KEM's 32 first.
pub const RANDOMNESS_BYTES: usize = x_wing::ENCAPSULATION_RANDOMNESS_SIZE;

const ML_KEM_KEY_BYTES: usize = PUBLIC_KEY_BYTES - 32;

/// Why bytes are no public key that we seal to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadXWingKey {
    /// Not 1,216 bytes.
    #[error("an X-Wing public key has {PUBLIC_KEY_BYTES} bytes")]
    Length,
    /// The ML-KEM part fails the modulus check (FIPS 203 §7.2).
    #[error("the key's ML-KEM part has a coefficient outside its field")]
    Modulus,
    /// The X25519 part has small order, so its secret would be known to everybody.
    #[error("the key's X25519 part has small order")]
    SmallOrder,
}

/// A checked public key.
#[derive(Clone, PartialEq, Eq)]
pub struct XWingKey(Box<x_wing::EncapsulationKey>);

impl XWingKey {
    /// Checks length, modulus and order.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadXWingKey> {
        let bytes: &[u8; PUBLIC_KEY_BYTES] = bytes.try_into().map_err(|_| BadXWingKey::Length)?;
        let key =
            x_wing::EncapsulationKey::new_from_slice(bytes).map_err(|_| BadXWingKey::Modulus)?;
        let x25519: [u8; 32] = *bytes.last_chunk().expect("32 of 1,216 bytes");
        debug_assert_eq!(bytes.len() - x25519.len(), ML_KEM_KEY_BYTES);
        // Every clamped scalar is a multiple of 8, so any of them shows a small order.
        let shared = StaticSecret::from([1; 32]).diffie_hellman(&X25519Key::from(x25519));
        if !shared.was_contributory() {
            return Err(BadXWingKey::SmallOrder);
        }
        Ok(Self(Box::new(key)))
    }

    /// The key's 1,216 bytes.
    pub fn to_bytes(&self) -> [u8; PUBLIC_KEY_BYTES] {
        self.0.to_bytes().into()
    }

    /// A ciphertext and its shared secret, both determined by `randomness`, which nobody may know
    /// and which must never serve twice. A capsule derives it from its epoch's secret, so that every
    /// member can make the capsule again; all others draw it from a generator.
    pub fn encapsulate(
        &self,
        randomness: &[u8; RANDOMNESS_BYTES],
    ) -> ([u8; CIPHERTEXT_BYTES], Secret) {
        let (ciphertext, shared) = self.0.encapsulate_deterministic(randomness.into());
        (ciphertext.into(), Secret::new(shared.into()))
    }
}

impl std::fmt::Debug for XWingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("XWingKey(…)")
    }
}

/// A private key as its 32-byte seed, erased when it goes away.
#[derive(Clone, PartialEq, Eq)]
pub struct XWingSeed(Secret);

impl XWingSeed {
    /// The key of this seed.
    pub fn new(seed: Secret) -> Self {
        Self(seed)
    }

    /// A fresh random key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// The public half.
    pub fn public(&self) -> XWingKey {
        XWingKey(Box::new(self.expanded().encapsulation_key().clone()))
    }

    /// The shared secret of a ciphertext. A changed ciphertext gives another secret, not an error
    /// (FIPS 203 §6.3); what the secret opens decides.
    pub fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_BYTES]) -> Secret {
        Secret::new(self.expanded().decapsulate(ciphertext.into()).into())
    }

    /// The seed, for a store, a file or shares.
    pub fn seed(&self) -> &Secret {
        &self.0
    }

    fn expanded(&self) -> x_wing::DecapsulationKey {
        x_wing::DecapsulationKey::from(*self.0.expose())
    }
}

impl std::fmt::Debug for XWingSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("XWingSeed(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(byte: u8) -> XWingSeed {
        XWingSeed::new(Secret::new([byte; 32]))
    }

    #[test]
    fn both_sides_share_a_secret_and_another_key_does_not() {
        let (ciphertext, shared) = seed(1).public().encapsulate(&[5; RANDOMNESS_BYTES]);
        assert_eq!(seed(1).decapsulate(&ciphertext), shared);
        assert_ne!(seed(2).decapsulate(&ciphertext), shared);
    }

    #[test]
    fn a_public_key_reads_back() {
        let key = seed(1).public();
        assert_eq!(XWingKey::parse(&key.to_bytes()), Ok(key));
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let bytes = seed(1).public().to_bytes();
        assert_eq!(XWingKey::parse(&bytes[1..]), Err(BadXWingKey::Length));
        assert_eq!(XWingKey::parse(&[]), Err(BadXWingKey::Length));
    }

    #[test]
    fn a_key_whose_ml_kem_part_fails_the_modulus_check_is_refused() {
        let mut bytes = seed(1).public().to_bytes();
        // The first coefficient becomes 3,329 = q, the smallest that is not reduced.
        bytes[0] = 0x01;
        bytes[1] = (bytes[1] & 0xf0) | 0x0d;
        assert_eq!(XWingKey::parse(&bytes), Err(BadXWingKey::Modulus));
        bytes[0] = 0x00;
        assert!(XWingKey::parse(&bytes).is_ok(), "3,328 is in the field");
    }

    #[test]
    fn a_key_whose_x25519_part_has_small_order_is_refused() {
        // RFC 7748 §6.1; the points of order 1, 2, 4 and 8, with encodings that are not reduced.
        let points = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        for point in points {
            let mut bytes = seed(1).public().to_bytes();
            bytes[ML_KEM_KEY_BYTES..].copy_from_slice(&hex::decode(point).unwrap());
            assert_eq!(XWingKey::parse(&bytes), Err(BadXWingKey::SmallOrder), "{point}");
        }
    }
}
