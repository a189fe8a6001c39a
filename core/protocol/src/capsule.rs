//! The epoch's secret, sealed to the archive keys A and B at once.
//!
//! A capsule is a function of the epoch's secret and the two public keys, nothing else: every member
//! makes the same one and compares, so nobody writes past the archive, and any member can repair
//! what a bad committer posted (docs/attacks.md 5). Opening takes a half from each side:
//!
//! ```text
//! officers   A's seed, capsule ─▶ HalfA ─┐
//!                                        ├─▶ open ─▶ E, believed only after the capsule was made again
//! council    B's seed, capsule ─▶ HalfB ─┘
//! ```
//!
//! What it does not prevent: members whose phones are all patched can agree on a covert code, or on
//! another secret than the one in the capsule, and talk past the archive. No rule stops that; the
//! audit of random capsules detects the second (docs/attacks.md 27). docs/protocol.md §5.

use chacha20poly1305::{AeadInPlace, ChaCha20Poly1305, KeyInit as _};
use zeroize::Zeroizing;

use crate::archive_key::{ArchiveKeys, ArchiveSeed};
use crate::body::{CAPSULE_BOX_BYTES, CapsuleBody};
use crate::crypto::{Context, Secret, sha256};
use crate::encoding::{FormError, Item, Reader, Writer, encode};
use crate::epoch::{EpochContext, EpochSecret, encoded};
use crate::ids::{Epoch, Gen, KeyId, LogId};
use crate::xwing::{CIPHERTEXT_BYTES, RANDOMNESS_BYTES};

const SECRET_BYTES: usize = 32;

/// Why a capsule does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CapsuleError {
    /// It is sealed to another key of this side: an older or newer one, or the other side's.
    #[error("the capsule is sealed to archive key {sealed_to}, this is {given}")]
    OtherKey {
        /// The key that the capsule names.
        sealed_to: KeyId,
        /// The key that was offered.
        given: KeyId,
    },
    /// The halves do not open it: one is of another capsule, or the capsule was changed.
    #[error("the two halves do not open the capsule")]
    Sealed,
    /// It opened, but is not the capsule that its secret makes: whoever made it did not follow the rule.
    #[error("the capsule is not the one that its own secret makes")]
    NotTheSecrets,
}

/// The one capsule of an epoch.
pub fn seal(epoch: &EpochSecret, keys: &ArchiveKeys) -> CapsuleBody {
    let (id_a, id_b) = keys.ids();
    let context = encode(&(encoded(epoch.context()), id_a, id_b));
    let mut randomness = Zeroizing::new([0; 2 * RANDOMNESS_BYTES]);
    epoch.secret().derive_into("capsule", Context::Bytes(&context), &mut *randomness);
    let (for_a, for_b) = randomness.split_first_chunk().expect("64 of 128 bytes");
    let for_b = for_b.try_into().expect("the other 64 bytes");
    let (c_a, s_a) = keys.a.encapsulate(for_a);
    let (c_b, s_b) = keys.b.encapsulate(for_b);

    let mut sealed = [0; CAPSULE_BOX_BYTES];
    let (secret, tag) = sealed.split_at_mut(SECRET_BYTES);
    secret.copy_from_slice(epoch.secret().expose());
    tag.copy_from_slice(
        &box_cipher(epoch.context(), (id_a, id_b), (&c_a, &c_b), (&s_a, &s_b))
            .encrypt_in_place_detached(&[0; 12].into(), &[], secret)
            .expect("32 bytes are far below the cipher's limit"),
    );
    CapsuleBody { ga: epoch.context().ga, id_a, id_b, c_a, c_b, sealed }
}

/// The officers' half-opening of one capsule, sA. It says nothing without the council's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HalfA(Secret);

impl HalfA {
    /// Decapsulates with A.
    pub fn open(body: &CapsuleBody, a: &ArchiveSeed) -> Result<Self, CapsuleError> {
        decapsulate(a, body.id_a, &body.c_a).map(Self)
    }
}

/// The council's half-opening of one capsule, sB. It never leaves the council's machine.
#[derive(Debug)]
pub struct HalfB(Secret);

impl HalfB {
    /// Decapsulates with B.
    pub fn open(body: &CapsuleBody, b: &ArchiveSeed) -> Result<Self, CapsuleError> {
        decapsulate(b, body.id_b, &body.c_b).map(Self)
    }
}

impl Item for HalfA {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        Secret::read(from).map(Self)
    }
}

/// Opens a capsule from its two halves, and believes the secret only if it makes this very capsule.
///
/// Log, generation and epoch are those of the capsule entry's head, `keys` the public keys that the
/// body names. Nothing else of the conversation is needed.
pub fn open(
    (log, r#gen, epoch): (LogId, Gen, Epoch),
    body: &CapsuleBody,
    (a, b): (&HalfA, &HalfB),
    keys: &ArchiveKeys,
) -> Result<EpochSecret, CapsuleError> {
    for (sealed_to, given) in [(body.id_a, keys.a.id()), (body.id_b, keys.b.id())] {
        if sealed_to != given {
            return Err(CapsuleError::OtherKey { sealed_to, given });
        }
    }
    let context = EpochContext { log, r#gen, epoch, ga: body.ga };
    let (secret, tag) = body.sealed.split_first_chunk().expect("32 of 48 bytes");
    let mut secret: Zeroizing<[u8; SECRET_BYTES]> = Zeroizing::new(*secret);
    let tag: [u8; CAPSULE_BOX_BYTES - SECRET_BYTES] = tag.try_into().expect("the other 16 bytes");
    box_cipher(&context, (body.id_a, body.id_b), (&body.c_a, &body.c_b), (&a.0, &b.0))
        .decrypt_in_place_detached(&[0; 12].into(), &[], &mut *secret, &tag.into())
        .map_err(|_| CapsuleError::Sealed)?;
    let opened = EpochSecret::from_capsule(Secret::new(*secret), context);
    if seal(&opened, keys) == *body { Ok(opened) } else { Err(CapsuleError::NotTheSecrets) }
}

fn decapsulate(
    seed: &ArchiveSeed,
    sealed_to: KeyId,
    ciphertext: &[u8; CIPHERTEXT_BYTES],
) -> Result<Secret, CapsuleError> {
    if seed.id() != sealed_to {
        return Err(CapsuleError::OtherKey { sealed_to, given: seed.id() });
    }
    Ok(seed.decapsulate(ciphertext))
}

/// The cipher of the box, whose key holds everything that the box belongs to and is used once.
fn box_cipher(
    context: &EpochContext,
    (id_a, id_b): (KeyId, KeyId),
    (c_a, c_b): (&[u8], &[u8]),
    (s_a, s_b): (&Secret, &Secret),
) -> ChaCha20Poly1305 {
    let bound = (encoded(context), id_a, id_b, sha256(&[c_a, c_b].concat()));
    let key = Secret::extract("hauspost/1 capsule", &[s_a.expose(), s_b.expose()])
        .derive("box", Context::Bytes(&encode(&bound)));
    ChaCha20Poly1305::new(key.expose().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive_key::tests::seed;
    use crate::encoding::decode;
    use crate::ids::{Digest, LeafIndex};

    const PLACE: (LogId, Gen, Epoch) = (LogId([1; 16]), Gen(2), Epoch(3));

    fn epoch(exported: u8) -> EpochSecret {
        let (log, r#gen, epoch) = PLACE;
        EpochSecret::from_exporter(
            &[exported; 32],
            EpochContext { log, r#gen, epoch, ga: Digest([4; 32]) },
        )
    }

    fn keys() -> ArchiveKeys {
        ArchiveKeys { a: seed(1).public(), b: seed(2).public() }
    }

    fn open_with(body: &CapsuleBody, halves: &CapsuleBody) -> Result<EpochSecret, CapsuleError> {
        let a = HalfA::open(halves, &seed(1)).unwrap();
        let b = HalfB::open(halves, &seed(2)).unwrap();
        open(PLACE, body, (&a, &b), &keys())
    }

    #[test]
    fn officers_and_council_together_reach_the_keys_that_the_members_had() {
        let body = seal(&epoch(9), &keys());
        let opened = open_with(&body, &body).unwrap();
        assert_eq!(opened.chain(LeafIndex(5)), epoch(9).chain(LeafIndex(5)));
    }

    /// docs/attacks.md 5: since all members make the same capsule, each can replace a wrong one.
    #[test]
    fn every_member_makes_the_same_capsule_and_another_epoch_another() {
        let body = seal(&epoch(9), &keys());
        assert_eq!(seal(&epoch(9), &keys()).digest(), body.digest());
        assert_ne!(seal(&epoch(8), &keys()).digest(), body.digest());
        assert_eq!(decode::<CapsuleBody>(&encode(&body)), Ok(body));
    }

    /// docs/attacks.md 3: one side alone has half of what the box needs.
    #[test]
    fn neither_side_opens_a_capsule_with_its_half_twice() {
        let both_a = ArchiveKeys { a: seed(1).public(), b: seed(1).public() };
        let body = seal(&epoch(9), &keys());
        assert_eq!(
            HalfB::open(&body, &seed(1)).unwrap_err(),
            CapsuleError::OtherKey { sealed_to: keys().b.id(), given: keys().a.id() }
        );
        let a = HalfA::open(&body, &seed(1)).unwrap();
        let guess = HalfB(a.0.clone());
        assert_eq!(open(PLACE, &body, (&a, &guess), &keys()).unwrap_err(), CapsuleError::Sealed);
        assert!(matches!(
            open(PLACE, &body, (&a, &guess), &both_a).unwrap_err(),
            CapsuleError::OtherKey { .. }
        ));
    }

    #[test]
    fn halves_of_another_capsule_do_not_open_this_one() {
        let body = seal(&epoch(9), &keys());
        let other = seal(&epoch(8), &keys());
        assert_eq!(open_with(&body, &other).unwrap_err(), CapsuleError::Sealed);
    }

    #[test]
    fn a_capsule_does_not_open_in_another_place() {
        let body = seal(&epoch(9), &keys());
        let (a, b) = (HalfA::open(&body, &seed(1)).unwrap(), HalfB::open(&body, &seed(2)).unwrap());
        let (log, r#gen, epoch) = PLACE;
        let elsewhere =
            [(LogId([7; 16]), r#gen, epoch), (log, Gen(0), epoch), (log, r#gen, Epoch(4))];
        for place in elsewhere {
            assert_eq!(
                open(place, &body, (&a, &b), &keys()).unwrap_err(),
                CapsuleError::Sealed,
                "{place:?}"
            );
        }
        let moved = CapsuleBody { ga: Digest([5; 32]), ..body.clone() };
        assert_eq!(open_with(&moved, &body).unwrap_err(), CapsuleError::Sealed);
    }

    #[test]
    fn a_capsule_with_one_bit_changed_does_not_open() {
        let body = seal(&epoch(9), &keys());
        let mut changed = [(); 5].map(|()| body.clone());
        changed[0].c_a[0] ^= 1;
        changed[1].c_a[CIPHERTEXT_BYTES - 1] ^= 1;
        changed[2].c_b[0] ^= 1;
        changed[3].c_b[CIPHERTEXT_BYTES - 1] ^= 1;
        changed[4].sealed[0] ^= 1;
        for body in &changed {
            assert_eq!(open_with(body, body).unwrap_err(), CapsuleError::Sealed);
        }
    }

    /// The box opens, but the ciphertexts were not derived from the secret in it: members would have
    /// refused this capsule, and the archive must not believe it either.
    #[test]
    fn a_capsule_made_with_randomness_of_ones_own_is_not_believed() {
        let honest = epoch(9);
        let (ids, keys) = (keys().ids(), keys());
        let (c_a, s_a) = keys.a.encapsulate(&[5; RANDOMNESS_BYTES]);
        let (c_b, s_b) = keys.b.encapsulate(&[6; RANDOMNESS_BYTES]);
        let mut sealed = honest.secret().expose().to_vec();
        box_cipher(honest.context(), ids, (&c_a, &c_b), (&s_a, &s_b))
            .encrypt_in_place(&[0; 12].into(), &[], &mut sealed)
            .unwrap();
        let body = CapsuleBody {
            ga: honest.context().ga,
            id_a: ids.0,
            id_b: ids.1,
            c_a,
            c_b,
            sealed: sealed.try_into().unwrap(),
        };
        assert_eq!(open_with(&body, &body).unwrap_err(), CapsuleError::NotTheSecrets);
    }

    #[test]
    fn a_capsule_for_a_key_that_was_rotated_away_names_the_key_it_needs() {
        let body = seal(&epoch(9), &keys());
        let error = HalfA::open(&body, &seed(7)).unwrap_err();
        let (sealed_to, given) = (keys().a.id(), seed(7).id());
        assert_eq!(error, CapsuleError::OtherKey { sealed_to, given });
    }
}
