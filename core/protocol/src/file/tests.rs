use proptest::prelude::*;

use super::*;
use crate::encoding::{decode, encode};

const LOG: LogId = LogId([3; 16]);

fn key() -> Secret {
    Secret::new([9; 32])
}

fn plain(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

fn sealed(plain: &[u8], key: &Secret, log: LogId) -> (Layout, Vec<Vec<u8>>) {
    let layout = Layout::of_plain(plain.len() as u64).unwrap();
    let cipher = FileCipher::new(key, log, layout);
    let mut at = 0;
    let chunks = (0..layout.chunks()).map(|chunk| {
        let len = layout.plain_len(chunk).unwrap();
        let mut buffer = plain[at..at + len].to_vec();
        at += len;
        cipher.seal(chunk, &mut buffer).unwrap();
        buffer
    });
    (layout, chunks.collect())
}

#[test]
fn a_document_of_any_size_comes_back_whole() {
    for size in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let text = plain(size);
        let (layout, chunks) = sealed(&text, &key(), LOG);
        let total: usize = chunks.iter().map(Vec::len).sum();
        assert_eq!(total as u64, layout.blob_size(), "{size}");
        assert_eq!(Layout::of_blob(total as u64), Some(layout), "{size}");
        let cipher = FileCipher::new(&key(), LOG, layout);
        let mut opened = Vec::new();
        for (chunk, mut bytes) in (0..).zip(chunks) {
            cipher.open(chunk, &mut bytes).unwrap();
            opened.extend(bytes);
        }
        assert_eq!(opened, text, "{size}");
    }
}

#[test]
fn an_empty_document_is_one_chunk_and_no_empty_chunk_follows_a_full_one() {
    assert_eq!(Layout::of_plain(0).unwrap().chunks(), 1);
    assert_eq!(Layout::of_plain(0).unwrap().blob_size(), 16);
    assert_eq!(Layout::of_plain(65_536).unwrap().chunks(), 1);
    assert_eq!(Layout::of_blob(65_552 + 16), None);
}

#[test]
fn a_ciphertext_of_a_size_that_no_document_has_is_refused() {
    for size in [0, 15, 65_552 + 1, 65_552 + 15, 65_552 + 16, limits::BLOB_BYTES + 1, u64::MAX] {
        assert_eq!(Layout::of_blob(size), None, "{size}");
    }
    assert!(Layout::of_blob(65_552 + 17).is_some());
}

#[test]
fn the_largest_document_is_the_last_whose_ciphertext_keeps_the_limit() {
    let largest = Layout::of_blob(limits::BLOB_BYTES).unwrap().plain_size();
    assert!(Layout::of_plain(largest).is_some());
    assert_eq!(Layout::of_plain(largest + 1), None);
    assert_eq!(Layout::of_plain(u64::MAX), None);
}

/// docs/attacks.md 31: a chunk belongs to one place of one document of one conversation.
#[test]
fn attacks_31_a_chunk_opens_at_its_own_place_and_nowhere_else() {
    let (layout, chunks) = sealed(&plain(200_000), &key(), LOG);
    let opens =
        |cipher: &FileCipher, chunk, bytes: &[u8]| cipher.open(chunk, &mut bytes.to_vec()).is_ok();
    let own = FileCipher::new(&key(), LOG, layout);
    assert!(opens(&own, 1, &chunks[1]));
    assert!(!opens(&own, 0, &chunks[1]), "moved");
    assert!(!opens(&own, 4, &chunks[1]), "a chunk more");
    assert!(!opens(&FileCipher::new(&key(), LogId([4; 16]), layout), 1, &chunks[1]), "other log");
    assert!(
        !opens(&FileCipher::new(&Secret::new([1; 32]), LOG, layout), 1, &chunks[1]),
        "other key"
    );
    let mut changed = chunks[1].clone();
    changed[70] ^= 1;
    assert!(!opens(&own, 1, &changed));
    assert!(!opens(&own, 1, &chunks[1][1..]), "shorter");
    // A tail that was cut off: the chunk before it does not pass for the last.
    let cut = Layout::of_plain(131_072).unwrap();
    assert!(!opens(&FileCipher::new(&key(), LOG, cut), 1, &chunks[1]));
}

#[test]
fn a_plaintext_of_another_length_than_its_chunk_is_not_sealed() {
    let layout = Layout::of_plain(65_540).unwrap();
    let cipher = FileCipher::new(&key(), LOG, layout);
    for (chunk, len) in [(0, 65_535), (0, 0), (1, 5), (2, 0), (u32::MAX, 4)] {
        assert_eq!(cipher.seal(chunk, &mut plain(len)), Err(FileError::Shape(chunk)));
    }
}

#[test]
fn the_chunks_of_another_ciphertext_are_noticed_each_by_itself() {
    let (layout, chunks) = sealed(&plain(200_000), &key(), LOG);
    let mut leaves = Leaves::default();
    chunks.iter().for_each(|chunk| leaves.push(chunk));
    assert!(leaves.are_of(leaves.root(), layout));
    assert!(!leaves.are_of(leaves.root(), Layout::of_plain(65_536).unwrap()));
    assert!(!leaves.are_of(Digest([0; 32]), layout));
    assert!(leaves.is_chunk(2, &chunks[2]));
    assert!(!leaves.is_chunk(1, &chunks[2]));
    assert!(!leaves.is_chunk(9, &chunks[2]));
    let mut swapped = Leaves::default();
    [1, 0, 2, 3].iter().for_each(|chunk: &usize| swapped.push(&chunks[*chunk]));
    assert_ne!(swapped.root(), leaves.root());
}

#[test]
fn a_list_of_hashes_has_one_form_and_a_limit() {
    let mut leaves = Leaves::default();
    leaves.push(b"a");
    leaves.push(b"b");
    assert_eq!(decode::<Leaves>(&encode(&leaves)), Ok(leaves));
    let refused = |len: usize| decode::<Leaves>(&encode(&crate::encoding::Bytes(vec![7; len])));
    assert_eq!(refused(0), Err(FormError::Malformed));
    assert_eq!(refused(33), Err(FormError::Malformed));
    assert_eq!(refused(32 * 65_522), Err(FormError::TooLarge));
}

proptest! {
    #[test]
    fn every_layout_is_found_again_by_its_ciphertexts_size(size in 0..limits::BLOB_BYTES) {
        if let Some(layout) = Layout::of_plain(size) {
            prop_assert_eq!(Layout::of_blob(layout.blob_size()), Some(layout));
            let last = layout.chunks() - 1;
            prop_assert_eq!(layout.plain_len(layout.chunks()), None);
            let full = u64::from(last) * CHUNK_BYTES as u64;
            prop_assert_eq!(full + layout.plain_len(last).unwrap() as u64, size);
            prop_assert!(size == 0 || layout.plain_len(last).unwrap() > 0);
        }
    }
}
