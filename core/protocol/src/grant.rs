//! History grants: how a device that may read, but could not, gets the keys of earlier records.
//!
//! A device asks in the conversation ([`Ask`](crate::content::Control::Ask)), and one that has the keys
//! answers with a grant:
//!
//! ```text
//! grantor ── key list, sealed under FK ──▶ server      a blob of the log, 40 bytes a record
//!         ── grant entry: ranges, FK ────▶ log         FK sealed to the grantee's history key
//! grantee ◀─ blob, original entries ────── server      to this device only
//! ```
//!
//! The grantee believes the grantor in nothing but K: that a key is the right one shows when it opens
//! what stands in the log ([`granted_record`](crate::rules::client::granted_record)). A list is small
//! and its log long, so a long past comes in several grants, the newest first. docs/protocol.md §10.

use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::crypto::Secret;
use crate::encoding::{FormError, decode, encode};
use crate::entry::{BlobRef, Ranges};
use crate::file::{CHUNK_BYTES, FileCipher, Layout, Leaves};
use crate::hpke::{self, Sealed};
use crate::ids::{LogId, Seq};
use crate::key_list::KeyList;
use crate::limits;
use crate::xwing::{XWingKey, XWingSeed};

/// What the key of a key list is sealed for.
pub const GRANT: &str = "hauspost/1 grant";

/// A key list, sealed as a file of its log.
#[derive(Debug)]
pub struct SealedList {
    /// The chunks, each with its tag.
    pub chunks: Vec<Vec<u8>>,
    /// Their hashes.
    pub leaves: Leaves,
    /// What the grant's head names.
    pub blob: BlobRef,
}

/// Seals a key list under `key`, which was drawn for it alone.
///
/// # Errors
/// It has more keys than one grant hands over.
pub fn seal_list(keys: &KeyList, log: LogId, key: &Secret) -> Result<SealedList, FormError> {
    if keys.len() > limits::GRANT_KEYS {
        return Err(FormError::TooLarge);
    }
    let plain = Zeroizing::new(encode(keys));
    let layout = Layout::of_plain(plain.len() as u64).ok_or(FormError::TooLarge)?;
    let cipher = FileCipher::new(key, log, layout);
    let (mut chunks, mut leaves) = (Vec::new(), Leaves::default());
    for (number, piece) in (0..layout.chunks()).zip(plain.chunks(CHUNK_BYTES)) {
        let mut sealed = piece.to_vec();
        cipher.seal(number, &mut sealed).map_err(|_| FormError::Malformed)?;
        leaves.push(&sealed);
        chunks.push(sealed);
    }
    let blob = (leaves.root(), layout.blob_size());
    Ok(SealedList { chunks, leaves, blob })
}

/// Seals the key of a key list to the grantee, for the entry that has this head.
pub fn seal_key(key: &Secret, head: &[u8], grantee: &XWingKey, rng: &mut impl CryptoRng) -> Sealed {
    hpke::seal(grantee, GRANT, head, key.expose(), rng)
}

/// Why a grant gives its grantee nothing. Its author is to blame for all of it but for
/// [`Blob`](Self::Blob), which may be the server's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The list's key is not sealed to this device, or for this entry.
    #[error("the grant's key is not sealed to this device")]
    NotSealedToUs,
    /// The bytes are not those that the head names.
    #[error("the grant's blob is not the one that its head names")]
    Blob,
    /// The blob does not open under its key.
    #[error("the grant's blob does not open")]
    Sealed,
    /// It is no key list.
    #[error("the grant's key list: {0}")]
    Form(#[from] FormError),
}

/// The key of a key list, from the grant with this head.
pub fn open_key(own: &XWingSeed, head: &[u8], sealed: &Sealed) -> Result<Secret, GrantError> {
    let opened = hpke::open(own, GRANT, head, sealed).map_err(|_| GrantError::NotSealedToUs)?;
    let key = opened.as_slice().try_into().map_err(|_| GrantError::NotSealedToUs)?;
    Ok(Secret::new(key))
}

/// The key list that lies in these chunks.
pub fn open_list(
    chunks: Vec<Vec<u8>>,
    blob: BlobRef,
    log: LogId,
    key: &Secret,
) -> Result<KeyList, GrantError> {
    let layout = Layout::of_blob(blob.1).filter(|_| blob.1 <= limits::GRANT_BYTES);
    let layout = layout.ok_or(GrantError::Form(FormError::TooLarge))?;
    let mut leaves = Leaves::default();
    chunks.iter().for_each(|chunk| leaves.push(chunk));
    if !leaves.are_of(blob.0, layout) {
        return Err(GrantError::Blob);
    }
    let cipher = FileCipher::new(key, log, layout);
    let mut plain = Zeroizing::new(Vec::with_capacity(blob.1 as usize));
    for (number, mut chunk) in (0..).zip(chunks) {
        cipher.open(number, &mut chunk).map_err(|_| GrantError::Sealed)?;
        plain.extend_from_slice(&chunk);
        zeroize::Zeroize::zeroize(&mut chunk);
    }
    let keys: KeyList = decode(&plain)?;
    if keys.len() > limits::GRANT_KEYS { Err(FormError::TooLarge.into()) } else { Ok(keys) }
}

/// Whether these are stretches as entries name them: some, not too many, ascending and disjoint.
pub fn check_ranges(ranges: &[(Seq, Seq)]) -> Result<(), FormError> {
    if ranges.len() > limits::RANGES {
        return Err(FormError::TooLarge);
    }
    let each = ranges.iter().all(|(from, to)| from <= to);
    let apart = ranges.windows(2).all(|pair| pair[0].1 < pair[1].0);
    if ranges.is_empty() || !each || !apart { Err(FormError::Malformed) } else { Ok(()) }
}

/// Whether one of the stretches holds this entry.
pub fn names(ranges: &[(Seq, Seq)], seq: Seq) -> bool {
    let after = ranges.partition_point(|(from, _)| *from <= seq);
    after.checked_sub(1).is_some_and(|at| seq <= ranges[at].1)
}

/// Whether every entry of the stretches lies in one of the others, which may overlap.
pub fn are_within(ranges: &[(Seq, Seq)], others: &[(Seq, Seq)]) -> bool {
    ranges.iter().all(|(from, to)| {
        let mut next = *from;
        while next <= *to {
            let around = others.iter().filter(|(from, to)| *from <= next && next <= *to);
            let Some(end) = around.map(|(_, to)| *to).max() else { return false };
            next = end.next();
        }
        true
    })
}

/// The stretches without what the others hold.
pub fn without(ranges: &[(Seq, Seq)], others: &[(Seq, Seq)]) -> Ranges {
    let mut left = Vec::with_capacity(ranges.len());
    for (from, to) in ranges {
        let mut next = *from;
        for (other_from, other_to) in others {
            if *other_to < next || *other_from > *to {
                continue;
            }
            if *other_from > next {
                left.push((next, Seq(other_from.0 - 1)));
            }
            next = other_to.next();
        }
        if next <= *to {
            left.push((next, *to));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::epoch::{Chains, EpochContext, EpochSecret};
    use crate::ids::{Digest, Epoch, Gen, LeafIndex, RecordIndex};

    const LOG: LogId = LogId([1; 16]);

    fn list(keys: u32) -> KeyList {
        let context =
            EpochContext { log: LOG, r#gen: Gen(0), epoch: Epoch(1), ga: Digest([2; 32]) };
        let mut chains = Chains::new(EpochSecret::from_exporter(&[9; 32], context));
        KeyList::new((0..keys).map(|i| {
            (Seq((1 << 40) + u64::from(i)), chains.take(LeafIndex(0), RecordIndex(i)).unwrap())
        }))
    }

    fn grantee() -> XWingSeed {
        XWingSeed::new(Secret::new([3; 32]))
    }

    #[test]
    fn the_largest_list_reaches_its_grantee_and_fits_into_a_grant() {
        let (keys, key) = (list(limits::GRANT_KEYS as u32), Secret::new([4; 32]));
        let sealed = seal_list(&keys, LOG, &key).unwrap();
        assert!(sealed.blob.1 <= limits::GRANT_BYTES);
        let head = b"head".as_slice();
        let to = seal_key(&key, head, &grantee().public(), &mut StdRng::seed_from_u64(1));
        let opened = open_key(&grantee(), head, &to).unwrap();
        assert_eq!(open_list(sealed.chunks, sealed.blob, LOG, &opened), Ok(keys));
        assert_eq!(open_key(&grantee(), b"other", &to).err(), Some(GrantError::NotSealedToUs));
        let other = XWingSeed::new(Secret::new([5; 32]));
        assert_eq!(open_key(&other, head, &to).err(), Some(GrantError::NotSealedToUs));
    }

    #[test]
    fn a_list_that_was_changed_moved_or_is_too_long_is_refused() {
        let key = Secret::new([4; 32]);
        let sealed = || seal_list(&list(3), LOG, &key).unwrap();
        let mut changed = sealed();
        changed.chunks[0][0] ^= 1;
        let error = open_list(changed.chunks, changed.blob, LOG, &key).unwrap_err();
        assert_eq!(error, GrantError::Blob);
        let moved = open_list(sealed().chunks, sealed().blob, LogId([2; 16]), &key);
        assert_eq!(moved.unwrap_err(), GrantError::Sealed);
        let error = seal_list(&list(limits::GRANT_KEYS as u32 + 1), LOG, &key).unwrap_err();
        assert_eq!(error, FormError::TooLarge);
        let large = (sealed().blob.0, limits::GRANT_BYTES + 1);
        let error = open_list(sealed().chunks, large, LOG, &key).unwrap_err();
        assert_eq!(error, GrantError::Form(FormError::TooLarge));
    }

    #[test]
    fn stretches_have_one_form() {
        let ranges = |ranges: &[(u64, u64)]| {
            let ranges: Ranges = ranges.iter().map(|(from, to)| (Seq(*from), Seq(*to))).collect();
            check_ranges(&ranges)
        };
        assert_eq!(ranges(&[(0, 0), (1, 4), (9, 9)]), Ok(()));
        for wrong in [&[][..], &[(2, 1)], &[(0, 3), (3, 4)], &[(5, 6), (1, 2)]] {
            assert_eq!(ranges(wrong), Err(FormError::Malformed));
        }
        let many: Vec<_> = (0..=limits::RANGES as u64).map(|at| (2 * at, 2 * at)).collect();
        assert_eq!(ranges(&many), Err(FormError::TooLarge));
    }

    fn stretches() -> impl Strategy<Value = Ranges> {
        prop::collection::btree_set(0..60u64, 0..30).prop_map(|seqs| {
            let mut ranges: Ranges = Vec::new();
            for seq in seqs {
                match ranges.last_mut() {
                    Some((_, to)) if to.0 + 1 == seq => *to = Seq(seq),
                    _ => ranges.push((Seq(seq), Seq(seq))),
                }
            }
            ranges
        })
    }

    fn all(ranges: &Ranges) -> BTreeSet<u64> {
        ranges.iter().flat_map(|(from, to)| from.0..=to.0).collect()
    }

    proptest! {
        #[test]
        fn stretches_are_sets(one in stretches(), other in stretches()) {
            let (a, b) = (all(&one), all(&other));
            prop_assert_eq!(all(&without(&one, &other)), &a - &b);
            prop_assert_eq!(are_within(&one, &other), a.is_subset(&b));
            for seq in 0..60 {
                prop_assert_eq!(names(&one, Seq(seq)), a.contains(&seq));
            }
        }
    }
}
