//! The two archive keys and A's shares.
//!
//! A belongs to the compliance officers, as shares of which two of three rebuild it; B belongs to
//! the works council. Every capsule needs both, and they never meet: whoever keeps one for ever still
//! needs the other side for every opening (docs/attacks.md 3). docs/protocol.md §9.

use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::company::body::archive_key_id;
use crate::crypto::{Secret, hash};
use crate::encoding::{FormError, Item, Reader, Writer};
use crate::ids::{Digest, KeyId};
use crate::xwing::{BadXWingKey, CIPHERTEXT_BYTES, PUBLIC_KEY_BYTES, RANDOMNESS_BYTES};
use crate::xwing::{XWingKey, XWingSeed};

/// Shares that A is split into.
pub const SHARES: usize = 3;
/// Shares that rebuild A.
pub const SHARES_NEEDED: usize = 2;

/// The public half of an archive key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveKey {
    key: XWingKey,
    id: KeyId,
}

impl ArchiveKey {
    /// Checks and takes a public key of 1,216 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadXWingKey> {
        XWingKey::parse(bytes).map(Self::new)
    }

    fn new(key: XWingKey) -> Self {
        let id = archive_key_id(&key.to_bytes());
        Self { key, id }
    }

    /// `H("hauspost/1 archive-key", pk)[0..16]`.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key's bytes.
    pub fn to_bytes(&self) -> [u8; PUBLIC_KEY_BYTES] {
        self.key.to_bytes()
    }

    pub(crate) fn encapsulate(
        &self,
        randomness: &[u8; RANDOMNESS_BYTES],
    ) -> ([u8; CIPHERTEXT_BYTES], Secret) {
        self.key.encapsulate(randomness)
    }
}

/// The archive keys of an epoch: to whom its capsule is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveKeys {
    /// The officers'.
    pub a: ArchiveKey,
    /// The council's.
    pub b: ArchiveKey,
}

impl ArchiveKeys {
    /// The ids of A and B.
    pub fn ids(&self) -> (KeyId, KeyId) {
        (self.a.id, self.b.id)
    }
}

/// The private half of an archive key, a seed that is erased when it goes away.
///
/// A's is rebuilt in the officers' memory for one opening; B's never leaves the council's machine.
#[derive(Debug)]
pub struct ArchiveSeed {
    seed: XWingSeed,
    id: KeyId,
}

impl ArchiveSeed {
    /// The key of this seed.
    pub fn new(seed: Secret) -> Self {
        let seed = XWingSeed::new(seed);
        let id = archive_key_id(&seed.public().to_bytes());
        Self { seed, id }
    }

    /// A fresh random key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self::new(Secret::random(rng))
    }

    /// The public half.
    pub fn public(&self) -> ArchiveKey {
        ArchiveKey::new(self.seed.public())
    }

    /// The id of the public half.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The seed, for the council's file.
    pub fn seed(&self) -> &Secret {
        self.seed.seed()
    }

    /// Splits the seed into [`SHARES`], of which [`SHARES_NEEDED`] rebuild it and one says nothing.
    ///
    /// Shamir over GF(2⁸) with the polynomial of AES, each byte by itself; a share is its number
    /// (1 to 3) and one byte for each byte of the seed.
    pub fn split(&self, rng: &mut impl CryptoRng) -> [Share; SHARES] {
        let shares = vsss_rs::Gf256::split_bytes(SHARES_NEEDED, SHARES, self.seed().expose(), rng)
            .expect("2 of 3 and a seed of 32 bytes are valid parameters");
        let shares: Vec<_> = shares
            .into_iter()
            .map(Zeroizing::new)
            .map(|bytes| Share::from_slice(&bytes).expect("a share is a number and 32 bytes"))
            .collect();
        shares.try_into().expect("as many shares as asked for")
    }

    pub(crate) fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_BYTES]) -> Secret {
        self.seed.decapsulate(ciphertext)
    }
}

const SHARE_BYTES: usize = 33;

/// One officer's share of A's seed, erased when it goes away.
#[derive(Clone, PartialEq, Eq)]
pub struct Share(Zeroizing<[u8; SHARE_BYTES]>);

impl Share {
    /// Takes a share's 33 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, FormError> {
        let bytes: [u8; SHARE_BYTES] = bytes.try_into().map_err(|_| FormError::Malformed)?;
        if (1..=SHARES).contains(&usize::from(bytes[0])) {
            Ok(Self(Zeroizing::new(bytes)))
        } else {
            Err(FormError::Unlisted)
        }
    }

    /// Which of the shares it is, from 1.
    pub fn number(&self) -> u8 {
        self.0[0]
    }

    /// `H("hauspost/1 share", share)`, which stands in the company entry of the key.
    pub fn hash(&self) -> Digest {
        Digest(hash("hauspost/1 share", &*self.0))
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Share({}, …)", self.number())
    }
}

impl Item for Share {
    fn write(&self, to: &mut Writer) {
        to.bytes(&*self.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        Self::from_slice(from.bytes()?)
    }
}

/// Why shares do not rebuild the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// Fewer than [`SHARES_NEEDED`] different shares.
    #[error("{given} different shares given, {SHARES_NEEDED} are needed")]
    TooFew {
        /// How many there were.
        given: usize,
    },
    /// A share that does not belong to this key, by the hashes in the company log.
    #[error("share number {number} does not belong to this archive key")]
    Foreign {
        /// The number that the share carries.
        number: u8,
    },
    /// The shares rebuild another key than the one expected.
    #[error("the shares do not rebuild this archive key")]
    OtherKey,
}

/// Rebuilds A's seed from shares, and believes it only if its public half is `key`.
///
/// `hashes` are those of the key's company entry; a share that is not among them is named, since
/// then the officer whose it is looks for the right paper. The same share twice counts once.
pub fn combine(
    shares: &[Share],
    key: &ArchiveKey,
    hashes: &[Digest],
) -> Result<ArchiveSeed, ShareError> {
    if let Some(foreign) = shares.iter().find(|share| !hashes.contains(&share.hash())) {
        return Err(ShareError::Foreign { number: foreign.number() });
    }
    let mut different = Zeroizing::new(Vec::<Vec<u8>>::with_capacity(SHARES));
    for share in shares {
        if different.iter().all(|known| known[0] != share.number()) {
            different.push(share.0.to_vec());
        }
    }
    if different.len() < SHARES_NEEDED {
        return Err(ShareError::TooFew { given: different.len() });
    }
    let combined = vsss_rs::Gf256::combine_bytes(different)
        .map(Zeroizing::new)
        .map_err(|_| ShareError::OtherKey)?;
    let seed: [u8; 32] = combined.as_slice().try_into().map_err(|_| ShareError::OtherKey)?;
    let seed = ArchiveSeed::new(Secret::new(seed));
    if seed.id == key.id { Ok(seed) } else { Err(ShareError::OtherKey) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    pub(crate) fn seed(byte: u8) -> ArchiveSeed {
        ArchiveSeed::new(Secret::new([byte; 32]))
    }

    fn split(byte: u8) -> (ArchiveKey, [Share; SHARES], Vec<Digest>) {
        let shares = seed(byte).split(&mut StdRng::seed_from_u64(u64::from(byte)));
        let hashes = shares.iter().map(Share::hash).collect();
        (seed(byte).public(), shares, hashes)
    }

    #[test]
    fn any_two_of_three_shares_and_all_three_rebuild_the_key() {
        let (key, [one, two, three], hashes) = split(1);
        let sets = [
            vec![one.clone(), two.clone()],
            vec![three.clone(), one.clone()],
            vec![two.clone(), three.clone()],
            vec![one, two, three],
        ];
        for shares in sets {
            let rebuilt = combine(&shares, &key, &hashes).unwrap();
            assert_eq!(rebuilt.seed(), seed(1).seed());
        }
    }

    #[test]
    fn one_share_is_too_few_and_so_is_the_same_share_twice() {
        let (key, [one, ..], hashes) = split(1);
        let twice = [one.clone(), one.clone()];
        for (shares, given) in [(&[][..], 0), (&[one][..], 1), (&twice[..], 1)] {
            let error = combine(shares, &key, &hashes).unwrap_err();
            assert_eq!(error, ShareError::TooFew { given });
        }
    }

    #[test]
    fn a_share_of_another_key_or_a_changed_one_is_named() {
        let (key, [one, two, _], hashes) = split(1);
        let (_, [_, _, foreign], _) = split(2);
        let error = combine(&[one.clone(), foreign], &key, &hashes).unwrap_err();
        assert_eq!(error, ShareError::Foreign { number: 3 });

        let mut changed = two;
        changed.0[20] ^= 1;
        let error = combine(&[one, changed], &key, &hashes).unwrap_err();
        assert_eq!(error, ShareError::Foreign { number: 2 });
    }

    #[test]
    fn shares_that_rebuild_another_key_are_refused_whatever_the_hashes_say() {
        let (key, [one, ..], mut hashes) = split(1);
        let (_, [_, two, _], _) = split(2);
        hashes.push(two.hash());
        let error = combine(&[one, two], &key, &hashes).unwrap_err();
        assert_eq!(error, ShareError::OtherKey);
    }

    #[test]
    fn a_share_has_one_form_and_shows_its_number_only() {
        let (_, [one, ..], _) = split(1);
        assert_eq!(Share::from_slice(&[4; 33]), Err(FormError::Unlisted));
        assert_eq!(Share::from_slice(&[0; 33]), Err(FormError::Unlisted));
        assert_eq!(Share::from_slice(&[1; 32]), Err(FormError::Malformed));
        assert_eq!(format!("{one:?}"), "Share(1, …)");
    }
}
