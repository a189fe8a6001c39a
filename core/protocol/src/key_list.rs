//! Record keys that are handed over, and the two messages of an opening.
//!
//! A key list opens the records that it names and no others: not the epoch, not the next record of
//! the same chain. It is what a history grant gives a new phone, and what the council gives the
//! officers (docs/attacks.md 4):
//!
//! ```text
//! officers ── half-openings, sealed to the council ──▶ council      sA for each capsule of the scope
//! officers ◀── key list for each log, sealed ───────── council      K for each record of the scope
//! ```
//!
//! The council never has a record's ciphertext, the officers never have an epoch. Both messages are
//! bound to the company log's entry `opening`, so none serves a second one. docs/protocol.md §9, §10.

use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::array_item;
use crate::capsule::HalfA;
use crate::encoding::{FormError, Item, Reader, Writer, decode, encode};
use crate::epoch::RecordKey;
use crate::hpke::{self, NotSealedToUs, Sealed};
use crate::ids::{EntryHash, LogId, Seq};
use crate::xwing::{XWingKey, XWingSeed};

/// What the messages of an opening are sealed for.
pub const OPENING: &str = "hauspost/1 opening";

/// The keys of some records of one log, by the records' numbers: `[[seq, K]*]`, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyList(Vec<(Seq, RecordKey)>);

impl KeyList {
    /// A list of these keys, in any order; of two for one record the later counts.
    pub fn new(keys: impl IntoIterator<Item = (Seq, RecordKey)>) -> Self {
        let keys: std::collections::BTreeMap<_, _> = keys.into_iter().collect();
        Self(keys.into_iter().collect())
    }

    /// The key of one record.
    pub fn key(&self, seq: Seq) -> Option<&RecordKey> {
        let at = self.0.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
        Some(&self.0[at].1)
    }

    /// The keys in the order of their records.
    pub fn iter(&self) -> impl Iterator<Item = (Seq, &RecordKey)> {
        self.0.iter().map(|(seq, key)| (*seq, key))
    }

    /// How many records the list opens.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it opens none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Item for KeyList {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let keys: Vec<(Seq, RecordKey)> = Item::read(from)?;
        let ascending = keys.is_sorted_by(|(a, _), (b, _)| a < b);
        if ascending { Ok(Self(keys)) } else { Err(FormError::NotCanonical) }
    }
}

/// Why a message of an opening is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyListError {
    /// It belongs to another opening, another holder, or was changed.
    #[error("this was not sealed to us for this opening")]
    NotSealedToUs,
    /// It is not of the form that the protocol has.
    #[error("the message of the opening: {0}")]
    Form(#[from] FormError),
    /// It names another entry `opening` than the one it is sealed for.
    #[error("the message names the opening {named}, not {expected}")]
    OtherOpening {
        /// The entry that it names.
        named: Seq,
        /// The entry that it was offered for.
        expected: Seq,
    },
}

impl From<NotSealedToUs> for KeyListError {
    fn from(_: NotSealedToUs) -> Self {
        Self::NotSealedToUs
    }
}

/// The company log's entry `opening` that the messages belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpeningRef {
    /// Its number.
    pub seq: Seq,
    /// Its hash.
    pub hash: EntryHash,
}

array_item! {
    /// The officers' half of one capsule, for the council.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct HalfOpening {
        /// The company entry `opening`.
        pub opening: Seq,
        /// The conversation's log.
        pub log: LogId,
        /// The capsule's entry.
        pub capsule: Seq,
        /// sA.
        pub half: HalfA,
    }
}

/// The officers' message: their halves, sealed to the council's history key.
pub fn seal_halves(
    opening: OpeningRef,
    halves: Vec<HalfOpening>,
    council: &XWingKey,
    rng: &mut impl CryptoRng,
) -> Sealed {
    seal(opening, &Zeroizing::new(encode(&halves)), council, rng)
}

/// The council reads the officers' halves.
pub fn open_halves(
    opening: OpeningRef,
    sealed: &Sealed,
    council: &XWingSeed,
) -> Result<Vec<HalfOpening>, KeyListError> {
    let halves: Vec<HalfOpening> = decode(&open(opening, sealed, council)?)?;
    match halves.iter().find(|half| half.opening != opening.seq) {
        Some(other) => {
            Err(KeyListError::OtherOpening { named: other.opening, expected: opening.seq })
        }
        None => Ok(halves),
    }
}

/// The council's answer for one log, sealed to an officer's history key.
pub fn seal_keys(
    opening: OpeningRef,
    log: LogId,
    keys: &KeyList,
    officer: &XWingKey,
    rng: &mut impl CryptoRng,
) -> Sealed {
    let plain = Zeroizing::new(encode(&LogKeys { log, keys: keys.clone() }));
    seal(opening, &plain, officer, rng)
}

/// An officer reads the council's answer: the log and its keys.
pub fn open_keys(
    opening: OpeningRef,
    sealed: &Sealed,
    officer: &XWingSeed,
) -> Result<(LogId, KeyList), KeyListError> {
    let LogKeys { log, keys } = decode(&open(opening, sealed, officer)?)?;
    Ok((log, keys))
}

array_item! {
    /// A key list with the log that it is for, so that two answers cannot change places.
    struct LogKeys {
        log: LogId,
        keys: KeyList,
    }
}

fn seal(opening: OpeningRef, plain: &[u8], to: &XWingKey, rng: &mut impl CryptoRng) -> Sealed {
    hpke::seal(to, OPENING, &opening.hash.0, plain, rng)
}

fn open(
    opening: OpeningRef,
    sealed: &Sealed,
    key: &XWingSeed,
) -> Result<Zeroizing<Vec<u8>>, NotSealedToUs> {
    hpke::open(key, OPENING, &opening.hash.0, sealed)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::archive_key::ArchiveKeys;
    use crate::archive_key::tests::seed;
    use crate::capsule::{self, HalfB};
    use crate::crypto::{Secret, SigningKey};
    use crate::epoch::{Chains, EpochContext, EpochSecret};
    use crate::ids::{Digest, Epoch, Gen, LeafIndex, RecordIndex};
    use crate::record::{self, RecordError};
    use crate::statement::tests::statement;

    const LOG: LogId = LogId([1; 16]);
    const OPENED: OpeningRef = OpeningRef { seq: Seq(7), hash: EntryHash([8; 32]) };

    fn epoch() -> EpochSecret {
        let context =
            EpochContext { log: LOG, r#gen: Gen(0), epoch: Epoch(1), ga: Digest([2; 32]) };
        EpochSecret::from_exporter(&[9; 32], context)
    }

    fn key(index: u32) -> RecordKey {
        let mut chains = Chains::new(epoch());
        (0..=index).map(|i| chains.take(LeafIndex(0), RecordIndex(i)).unwrap()).last().unwrap()
    }

    fn history(byte: u8) -> XWingSeed {
        XWingSeed::new(Secret::new([byte; 32]))
    }

    fn rng() -> StdRng {
        StdRng::seed_from_u64(1)
    }

    fn half() -> HalfOpening {
        let keys = ArchiveKeys { a: seed(1).public(), b: seed(2).public() };
        let half = HalfA::open(&capsule::seal(&epoch(), &keys), &seed(1)).unwrap();
        HalfOpening { opening: OPENED.seq, log: LOG, capsule: Seq(2), half }
    }

    /// docs/attacks.md 4: an epoch of years, and one message of May is asked for.
    #[test]
    fn an_opening_reveals_the_records_of_its_scope_and_no_other_of_the_same_epoch() {
        let author = SigningKey::from_seed(Secret::new([7; 32]));
        let records: Vec<_> = (0..5u8)
            .map(|i| {
                let statement = statement(&[i]).to_bytes().unwrap();
                record::seal(&key(i.into()), b"head", &statement, &author)
            })
            .collect();

        // The officers have the ciphertexts and A; the council B and the heads.
        let keys = ArchiveKeys { a: seed(1).public(), b: seed(2).public() };
        let body = capsule::seal(&epoch(), &keys);
        let asked = seal_halves(OPENED, vec![half()], &history(20).public(), &mut rng());
        let halves = open_halves(OPENED, &asked, &history(20)).unwrap();
        let b = HalfB::open(&body, &seed(2)).unwrap();
        let place = (LOG, Gen(0), Epoch(1));
        let opened = capsule::open(place, &body, (&halves[0].half, &b), &keys).unwrap();

        let mut chains = Chains::new(opened);
        let in_scope = KeyList::new((0..5).filter_map(|i| {
            let key = chains.take(LeafIndex(0), RecordIndex(i)).unwrap();
            (i == 2).then_some((Seq(10 + u64::from(i)), key))
        }));
        let answer = seal_keys(OPENED, LOG, &in_scope, &history(21).public(), &mut rng());

        let (log, list) = open_keys(OPENED, &answer, &history(21)).unwrap();
        assert_eq!((log, list.len()), (LOG, 1));
        let given = list.key(Seq(12)).unwrap();
        for (i, payload) in records.iter().enumerate() {
            let result = record::open(given, b"head", payload).map(|_| ());
            assert_eq!(result, if i == 2 { Ok(()) } else { Err(RecordError::Sealed) });
        }
    }

    #[test]
    fn a_message_of_one_opening_does_not_serve_another() {
        let other = OpeningRef { hash: EntryHash([9; 32]), ..OPENED };
        let asked = seal_halves(OPENED, vec![half()], &history(20).public(), &mut rng());
        let error = open_halves(other, &asked, &history(20)).unwrap_err();
        assert_eq!(error, KeyListError::NotSealedToUs);

        let wrong_seq = OpeningRef { seq: Seq(8), ..OPENED };
        let error = open_halves(wrong_seq, &asked, &history(20)).unwrap_err();
        assert_eq!(error, KeyListError::OtherOpening { named: Seq(7), expected: Seq(8) });

        let keys = KeyList::new([(Seq(1), key(0))]);
        let answer = seal_keys(OPENED, LOG, &keys, &history(21).public(), &mut rng());
        let error = open_keys(other, &answer, &history(21)).unwrap_err();
        assert_eq!(error, KeyListError::NotSealedToUs);
        let error = open_keys(OPENED, &answer, &history(20)).unwrap_err();
        assert_eq!(error, KeyListError::NotSealedToUs);
    }

    #[test]
    fn halves_are_not_taken_for_keys_nor_keys_for_halves() {
        let asked = seal_halves(OPENED, vec![half()], &history(20).public(), &mut rng());
        assert!(matches!(open_keys(OPENED, &asked, &history(20)), Err(KeyListError::Form(_))));
        let keys = KeyList::new([(Seq(1), key(0))]);
        let answer = seal_keys(OPENED, LOG, &keys, &history(21).public(), &mut rng());
        assert!(matches!(open_halves(OPENED, &answer, &history(21)), Err(KeyListError::Form(_))));
    }

    #[test]
    fn a_key_list_is_ascending_and_names_each_record_once() {
        let list = KeyList::new([(Seq(5), key(1)), (Seq(3), key(0))]);
        assert_eq!(decode(&encode(&list)), Ok(list.clone()));
        assert_eq!(list.iter().map(|(seq, _)| seq.0).collect::<Vec<_>>(), [3, 5]);
        assert_eq!((list.key(Seq(3)), list.key(Seq(4))), (Some(&key(0)), None));
        for keys in [[(Seq(5), key(1)), (Seq(3), key(0))], [(Seq(3), key(0)), (Seq(3), key(1))]] {
            let bytes = encode(&keys.to_vec());
            assert_eq!(decode::<KeyList>(&bytes), Err(FormError::NotCanonical));
        }
    }
}
