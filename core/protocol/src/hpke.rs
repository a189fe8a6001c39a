//! HPKE (RFC 9180) in base mode with X-Wing, HKDF-SHA256 and ChaCha20-Poly1305: how key lists,
//! grants and shares reach exactly one holder.
//!
//! The KEM is X-Wing under its registered number 0x647a (draft-connolly-cfrg-xwing-kem), with the
//! same keys as everywhere else here; its shared secret enters RFC 9180's key schedule as it is. The
//! library does the schedule and the sealing; the encapsulation is ours, so that its randomness
//! comes in as a parameter.

use hpke_rs::{Hpke, Mode, hpke_types};
use hpke_rs_rust_crypto::HpkeRustCrypto;
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::array_item;
use crate::crypto::Secret;
use crate::encoding::Bytes;
use crate::xwing::{RANDOMNESS_BYTES, XWingKey, XWingSeed};

array_item! {
    /// Something sealed to one key.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Sealed {
        /// The encapsulated key, 1,120 bytes.
        pub enc: Bytes,
        /// The ciphertext.
        pub ct: Bytes,
    }
}

/// It was not sealed to this key, for this purpose and this context, or it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this was not sealed to this key for this purpose")]
pub struct NotSealedToUs;

/// Seals `plain` to a key. `info` names the purpose, as a label; `aad` what it belongs to.
pub fn seal(
    to: &XWingKey,
    info: &str,
    aad: &[u8],
    plain: &[u8],
    rng: &mut impl CryptoRng,
) -> Sealed {
    let mut randomness = Zeroizing::new([0; RANDOMNESS_BYTES]);
    rng.fill_bytes(&mut *randomness);
    let (enc, shared) = to.encapsulate(&randomness);
    let ct =
        context(&shared, info).seal(aad, plain).expect("a fresh context seals its first message");
    Sealed { enc: enc.as_slice().into(), ct: ct.into() }
}

/// Opens what was sealed to this key with the same `info` and `aad`.
pub fn open(
    key: &XWingSeed,
    info: &str,
    aad: &[u8],
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, NotSealedToUs> {
    let enc = sealed.enc.as_ref().try_into().map_err(|_| NotSealedToUs)?;
    context(&key.decapsulate(enc), info)
        .open(aad, &sealed.ct)
        .map(Zeroizing::new)
        .map_err(|_| NotSealedToUs)
}

/// RFC 9180 §5.1, KeySchedule in base mode.
fn context(shared: &Secret, info: &str) -> hpke_rs::Context<HpkeRustCrypto> {
    Hpke::<HpkeRustCrypto>::new(
        Mode::Base,
        hpke_types::KemAlgorithm::XWingDraft06,
        hpke_types::KdfAlgorithm::HkdfSha256,
        hpke_types::AeadAlgorithm::ChaCha20Poly1305,
    )
    .key_schedule(shared.expose(), info.as_bytes(), &[], &[])
    .expect("base mode without a PSK is a valid schedule")
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::encoding::{decode, encode};

    fn key(byte: u8) -> XWingSeed {
        XWingSeed::new(Secret::new([byte; 32]))
    }

    fn sealed() -> Sealed {
        seal(&key(1).public(), "purpose", b"aad", b"text", &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn what_was_sealed_opens_for_its_key_purpose_and_context_and_for_no_other() {
        let sealed = sealed();
        let text = open(&key(1), "purpose", b"aad", &sealed);
        assert_eq!(text.as_deref().map(Vec::as_slice), Ok(b"text".as_slice()));
        for (key, info, aad) in
            [(key(2), "purpose", b"aad"), (key(1), "other", b"aad"), (key(1), "purpose", b"???")]
        {
            assert_eq!(open(&key, info, aad, &sealed), Err(NotSealedToUs));
        }
    }

    #[test]
    fn what_was_changed_or_cut_does_not_open() {
        let good = sealed();
        let mut enc = good.clone();
        enc.enc.0[5] ^= 1;
        let mut ct = good.clone();
        ct.ct.0[0] ^= 1;
        let short_enc = Sealed { enc: good.enc[1..].into(), ..good.clone() };
        let short_ct = Sealed { ct: good.ct[..3].into(), ..good };
        for sealed in [enc, ct, short_enc, short_ct] {
            assert_eq!(open(&key(1), "purpose", b"aad", &sealed), Err(NotSealedToUs));
        }
    }

    #[test]
    fn the_same_text_sealed_twice_looks_different() {
        let mut rng = StdRng::seed_from_u64(1);
        let [one, two] = [(); 2].map(|()| seal(&key(1).public(), "i", b"", b"text", &mut rng));
        assert_ne!(one, two);
        assert_eq!(decode(&encode(&one)), Ok(one));
    }

    /// The number stands in the key schedule, so both sides have to mean the same KEM.
    #[test]
    fn the_kem_is_x_wing_under_its_registered_number() {
        assert_eq!(hpke_types::KemAlgorithm::XWingDraft06 as u16, 0x647a);
    }
}
