use proptest::prelude::*;
use rand::SeedableRng;

use super::*;
use crate::crypto::Secret;
use crate::encoding::{Bytes, encode};
use crate::epoch::{Chain, EpochContext, EpochSecret};
use crate::file::Layout;
use crate::ids::{Digest, Epoch, Gen, LeafIndex, LogId};
use crate::statement::tests::{file, statement};

const HEAD: &[u8] = b"head";

fn chain() -> Chain {
    let context =
        EpochContext { log: LogId([1; 16]), r#gen: Gen(0), epoch: Epoch(1), ga: Digest([2; 32]) };
    EpochSecret::from_exporter(&[9; 32], context).chain(LeafIndex(0))
}

fn author() -> SigningKey {
    SigningKey::from_seed(Secret::new([7; 32]))
}

fn sealed(content: &[u8]) -> (RecordKey, Vec<u8>) {
    let key = chain().key();
    let payload = seal(&key, HEAD, &statement(content).to_bytes().unwrap(), &author());
    (key, payload)
}

/// The plaintext's item: a statement and its signature.
fn item(content: &[u8]) -> Vec<u8> {
    let statement = statement(content).to_bytes().unwrap();
    let signature = author().sign(LABEL, &signed(HEAD, &statement));
    encode(&(Bytes(statement), signature))
}

fn refusal(key: &RecordKey, payload: &[u8]) -> RecordError {
    open(key, HEAD, payload).unwrap_err()
}

#[test]
fn what_was_sealed_opens_to_the_same_statement_by_the_same_author() {
    let (key, payload) = sealed(b"Guten Morgen");
    let record = open(&key, HEAD, &payload).unwrap().verify(&author().public()).unwrap();
    assert_eq!(*record.statement(), statement(b"Guten Morgen"));
}

#[test]
fn sealing_is_deterministic_and_two_texts_under_one_key_share_no_nonce() {
    let (_, first) = sealed(b"ja");
    let (_, again) = sealed(b"ja");
    let (_, other) = sealed(b"no");
    assert_eq!(first, again);
    assert_ne!(first[..NONCE_BYTES], other[..NONCE_BYTES]);
}

/// docs/attacks.md 6: what is authenticated is the sender's half, known before the server orders it.
#[test]
fn a_record_does_not_open_under_another_head() {
    let (key, payload) = sealed(b"x");
    assert_eq!(open(&key, b"Head", &payload).unwrap_err(), RecordError::Sealed);
}

#[test]
fn a_record_does_not_open_under_the_key_of_another_index() {
    let (_, payload) = sealed(b"x");
    let next = chain().advance().1.key();
    assert_eq!(refusal(&next, &payload), RecordError::Sealed);
}

#[test]
fn a_record_with_one_bit_changed_does_not_open() {
    let (key, payload) = sealed(b"x");
    for byte in 0..payload.len() {
        let mut changed = payload.clone();
        changed[byte] ^= 1;
        assert_eq!(refusal(&key, &changed), RecordError::Sealed, "byte {byte}");
    }
}

#[test]
fn a_payload_too_short_for_nonce_and_tag_or_longer_than_its_limit_is_refused() {
    let (key, payload) = sealed(b"x");
    for len in 0..NONCE_BYTES + TAG_BYTES {
        assert_eq!(refusal(&key, &payload[..len]), RecordError::Sealed);
    }
    let too_long = vec![0; limits::PAYLOAD_BYTES as usize + 1];
    assert_eq!(refusal(&key, &too_long), RecordError::TooLarge);
}

/// docs/attacks.md 21: a cipher that does not commit to its key lets an author make one ciphertext
/// that opens under two keys; the nonce is what ties it to one of them.
#[test]
fn a_nonce_that_is_not_the_texts_own_is_refused() {
    let key = chain().key();
    let mut plain = item(b"x");
    plain.resize(padded_len(plain.len()), 0);
    let payload = [&[0; NONCE_BYTES], &plain[..]].concat();
    let own = synthetic_nonce(&key, HEAD, &plain);
    assert!(open(&key, HEAD, &seal_in_place(&key, HEAD, own, payload.clone())).is_ok());
    for bit in [0, 95, 191] {
        let mut nonce = own;
        nonce[bit / 8] ^= 1 << (bit % 8);
        let payload = seal_in_place(&key, HEAD, nonce, payload.clone());
        assert_eq!(refusal(&key, &payload), RecordError::Nonce, "bit {bit}");
    }
}

#[test]
fn padding_that_is_not_zero_is_refused() {
    let key = chain().key();
    let mut plain = item(b"x");
    let len = plain.len();
    assert!(padded_len(len) > len, "the example has padding");
    plain.resize(padded_len(len), 0);
    for at in [len, plain.len() - 1] {
        let mut plain = plain.clone();
        plain[at] = 1;
        let payload = seal_padded(&key, HEAD, &plain, plain.len());
        assert_eq!(refusal(&key, &payload), RecordError::Padding);
    }
}

#[test]
fn padding_that_is_shorter_or_longer_than_the_rules_is_refused() {
    let key = chain().key();
    let item = item(b"x");
    for len in [item.len(), padded_len(item.len()) - 1, padded_len(item.len()) + 32] {
        let payload = seal_padded(&key, HEAD, &item, len);
        assert_eq!(refusal(&key, &payload), RecordError::Padding, "{len} bytes");
    }
}

#[test]
fn a_plaintext_of_another_form_is_refused() {
    let key = chain().key();
    let statement = statement(b"x").to_bytes().unwrap();
    let signature = author().sign(LABEL, &signed(HEAD, &statement));
    let three = encode(&(Bytes(statement.clone()), signature, 0u64));
    let no_statement = encode(&(Bytes(b"x".to_vec()), signature));
    let mut long_length = vec![0x82, 0x5a];
    long_length.extend_from_slice(&(statement.len() as u32).to_be_bytes());
    long_length.extend_from_slice(&statement);
    long_length.extend_from_slice(&encode(&signature));
    let cases = [
        (Vec::new(), FormError::Malformed),
        (three, FormError::Malformed),
        (no_statement, FormError::Malformed),
        (long_length, FormError::NotCanonical),
    ];
    for (item, error) in cases {
        let payload = seal_padded(&key, HEAD, &item, padded_len(item.len()));
        assert_eq!(refusal(&key, &payload), RecordError::Form(error));
    }
}

#[test]
fn a_record_signed_by_another_or_for_another_head_does_not_verify() {
    let key = chain().key();
    let (_, payload) = sealed(b"x");
    let record = open(&key, HEAD, &payload).unwrap();
    let stranger = SigningKey::from_seed(Secret::new([6; 32])).public();
    assert_eq!(record.clone().verify(&stranger), Err(RecordError::Signature));
    assert!(record.verify(&author().public()).is_ok());

    // Whoever has K can seal the statement again, under another head; only the author can sign it.
    let item = item(b"x");
    let moved = seal_padded(&key, b"elsewhere", &item, padded_len(item.len()));
    let record = open(&key, b"elsewhere", &moved).unwrap();
    assert_eq!(record.verify(&author().public()), Err(RecordError::Signature));
}

#[test]
fn one_bad_signature_in_a_batch_spoils_that_record_only() {
    let mut rng = rand::rngs::StdRng::seed_from_u64(1);
    let stranger = SigningKey::from_seed(Secret::new([6; 32])).public();
    for bad in [None, Some(3)] {
        let mut records = Vec::new();
        let mut chain = chain();
        for i in 0..6u8 {
            let (key, next) = chain.advance();
            let payload = seal(&key, HEAD, &statement(&[i]).to_bytes().unwrap(), &author());
            let who = if Some(i) == bad { stranger } else { author().public() };
            records.push((open(&key, HEAD, &payload).unwrap(), who));
            chain = next;
        }
        let results = verify_all(records, &mut rng);
        for (i, result) in (0..).zip(results) {
            match result {
                Ok(record) => assert_eq!(record.into_statement(), statement(&[i])),
                Err(error) => assert_eq!((error, Some(i)), (RecordError::Signature, bad)),
            }
        }
    }
}

/// docs/attacks.md 13: a signature with a component of small order, which some libraries accept in
/// a batch and refuse singly. Ours must say the same both ways; by ZIP-215 it holds.
#[test]
fn a_signature_of_mixed_order_is_judged_alike_singly_and_in_a_batch() {
    let mut rng = rand::rngs::StdRng::seed_from_u64(2);
    let key = chain().key();
    let statement = statement(b"x").to_bytes().unwrap();
    // The key of order 1 and R of each small order: [8]R = [8]kA holds with s = 0.
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut order_two = [0xff; 32];
    order_two[0] = 0xec;
    order_two[31] = 0x7f;
    let order_four = [0; 32];
    for r in [identity, order_two, order_four] {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        let item = encode(&(Bytes(statement.clone()), Signature(signature)));
        let payload = seal_padded(&key, HEAD, &item, padded_len(item.len()));
        let record = open(&key, HEAD, &payload).unwrap();
        let single = record.clone().verify(&PublicKey(identity));
        let batch = verify_all(vec![(record, PublicKey(identity))], &mut rng).remove(0);
        assert_eq!(single, batch);
        assert!(single.is_ok());
    }
}

#[test]
fn a_statement_at_all_its_limits_fits_into_a_payload() {
    let name = "ä".repeat(limits::NAME_BYTES / 2);
    let mut largest = statement(&vec![0; limits::CONTENT_BYTES]);
    largest.files = vec![file(&name); limits::FILES];
    for file in &mut largest.files {
        file.media_type.clone_from(&name);
        file.blob_size = limits::BLOB_BYTES;
        file.plain_size = Layout::of_blob(file.blob_size).unwrap().plain_size();
        file.of = Some(0);
    }
    (largest.t_ms, largest.dctr) = (u64::MAX >> 1, u64::MAX >> 1);
    let payload = seal(&chain().key(), HEAD, &largest.to_bytes().unwrap(), &author());
    assert!(payload.len() as u64 <= limits::PAYLOAD_BYTES, "{} bytes", payload.len());
    assert!(open(&chain().key(), HEAD, &payload).is_ok());
}

#[test]
fn padding_follows_the_table() {
    let table = [
        (1, 32),
        (32, 32),
        (33, 64),
        (512, 512),
        (513, 544),
        (1_000, 1_024),
        (1_025, 1_088),
        (9_000, 9_216),
        (40_000, 40_960),
    ];
    for (len, padded) in table {
        assert_eq!(padded_len(len), padded, "{len} bytes");
    }
}

proptest! {
    #[test]
    fn padding_adds_less_than_a_sixteenth_above_512_bytes_and_is_stable(len in 1usize..70_000) {
        let padded = padded_len(len);
        prop_assert!(padded >= len);
        prop_assert_eq!(padded_len(padded), padded);
        let bound = if len > 512 { len / 16 } else { 31 };
        prop_assert!(padded - len <= bound);
    }

    #[test]
    fn any_content_seals_and_opens(content in proptest::collection::vec(any::<u8>(), 0..3_000)) {
        let (key, payload) = sealed(&content);
        let record = open(&key, HEAD, &payload).unwrap().verify(&author().public()).unwrap();
        prop_assert_eq!(record.into_statement(), statement(&content));
    }

    #[test]
    fn random_bytes_neither_open_nor_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open(&chain().key(), HEAD, &bytes).is_err());
        let _ = Statement::parse(&bytes);
    }

    /// Bytes that a member with the right key sealed: they pass the cipher and meet the decoders.
    #[test]
    fn random_plaintexts_of_a_member_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let key = chain().key();
        let payload = seal_padded(&key, HEAD, &bytes, padded_len(bytes.len().max(1)));
        prop_assert!(matches!(
            open(&key, HEAD, &payload),
            Err(RecordError::Form(_) | RecordError::Padding)
        ));
    }
}
