//! Signatures of many entries, checked in one batch.
//!
//! A batch says whether all hold; when one does not, the batch is halved until the bad ones are
//! alone. ZIP-215 promises that single and batch verification agree, so the outcome is the same
//! as one by one (docs/attacks.md 13).

use std::collections::HashSet;

use rand::CryptoRng;
use sha2::{Digest as _, Sha256};

use crate::crypto::{Batch, PublicKey, Signature};

/// A signature that an entry relies on.
pub(crate) struct Claim {
    pub(crate) key: PublicKey,
    pub(crate) label: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) signature: Signature,
}

/// How signatures are checked while an entry is judged.
pub(crate) enum Signatures {
    /// Those known to be good, by fingerprint; all others are verified when asked for.
    Verified(HashSet<[u8; 32]>),
    /// The entry was judged before, by this very code, and its verdict kept.
    Trusted,
}

impl Signatures {
    /// Nothing is known yet.
    pub(crate) fn unknown() -> Self {
        Self::Verified(HashSet::new())
    }

    /// Checks all claims together.
    pub(crate) fn check(claims: &[Claim], rng: &mut impl CryptoRng) -> Self {
        let mut good = HashSet::with_capacity(claims.len());
        halve(claims, rng, &mut good);
        Self::Verified(good)
    }

    /// Whether this signature holds.
    pub(crate) fn hold(
        &self,
        key: &PublicKey,
        label: &str,
        bytes: &[u8],
        signature: &Signature,
    ) -> bool {
        match self {
            Self::Trusted => true,
            Self::Verified(good) => {
                (!good.is_empty() && good.contains(&fingerprint(key, label, bytes, signature)))
                    || key.verify(label, bytes, signature).is_ok()
            }
        }
    }
}

fn halve(claims: &[Claim], rng: &mut impl CryptoRng, good: &mut HashSet<[u8; 32]>) {
    let mut batch = Batch::default();
    for claim in claims {
        batch.add(&claim.key, claim.label, &claim.bytes, &claim.signature);
    }
    if batch.verify(rng).is_ok() {
        good.extend(
            claims
                .iter()
                .map(|claim| fingerprint(&claim.key, claim.label, &claim.bytes, &claim.signature)),
        );
    } else if claims.len() > 1 {
        let (left, right) = claims.split_at(claims.len() / 2);
        halve(left, rng, good);
        halve(right, rng, good);
    }
}

fn fingerprint(key: &PublicKey, label: &str, bytes: &[u8], signature: &Signature) -> [u8; 32] {
    // Key and signature have fixed lengths and no label holds a zero byte: the parts cannot shift.
    let mut hasher = Sha256::new();
    hasher.update(key.0);
    hasher.update(signature.0);
    hasher.update(label.as_bytes());
    hasher.update([0]);
    hasher.update(bytes);
    hasher.finalize().into()
}
