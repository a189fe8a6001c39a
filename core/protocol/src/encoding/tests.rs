use proptest::prelude::*;

use super::*;

#[test]
fn a_longer_form_of_a_number_is_refused() {
    assert_eq!(decode::<u64>(&[0x17]), Ok(23));
    assert_eq!(decode::<u64>(&[0x18, 0x17]), Err(FormError::NotCanonical));
}

#[test]
fn numbers_from_two_to_the_63_on_are_refused() {
    let mut bytes = vec![0x1b];
    bytes.extend_from_slice(&UINT_LIMIT.to_be_bytes());
    assert_eq!(decode::<u64>(&bytes), Err(FormError::TooLarge));
}

#[test]
fn bytes_after_the_item_are_refused() {
    assert_eq!(decode::<u64>(&[0x01, 0x00]), Err(FormError::Trailing));
}

#[test]
fn indefinite_lengths_are_refused() {
    assert_eq!(decode::<Vec<u64>>(&[0x9f, 0x01, 0xff]), Err(FormError::NotCanonical));
    assert_eq!(decode::<Bytes>(&[0x5f, 0x41, 0x01, 0xff]), Err(FormError::Malformed));
}

#[test]
fn a_claimed_count_of_two_to_the_62_allocates_nothing() {
    let mut bytes = vec![0x9b];
    bytes.extend_from_slice(&(1u64 << 62).to_be_bytes());
    assert_eq!(decode::<Vec<u64>>(&bytes), Err(FormError::Malformed));
}

#[test]
fn an_item_of_any_kind_is_carried_on_as_it_is_and_only_in_its_deterministic_form() {
    for hex in ["a0", "a2016161026162", "20", "f5", "c11a5c000000", "f93c00", "8301820203a10405"] {
        let bytes = hex::decode(hex).unwrap();
        let any: Any = decode(&bytes).unwrap();
        assert_eq!(any.as_bytes(), bytes, "{hex}");
    }
    let refused = [
        ("a2020101f5", FormError::NotCanonical),
        ("a201000100", FormError::NotCanonical),
        ("1817", FormError::NotCanonical),
        ("1900ff", FormError::NotCanonical),
        ("1a0000ffff", FormError::NotCanonical),
        ("1b00000000ffffffff", FormError::NotCanonical),
        ("f81f", FormError::NotCanonical),
        ("9f01ff", FormError::NotCanonical),
        ("5bffffffffffffffff", FormError::Malformed),
        ("9bffffffffffffffff", FormError::Malformed),
        ("61ff", FormError::Malformed),
        ("818181818181818181a0", FormError::TooDeep),
        ("c1c1c1c1c1c1c1c1c101", FormError::TooDeep),
    ];
    for (hex, error) in refused {
        assert_eq!(decode::<Any>(&hex::decode(hex).unwrap()), Err(error), "{hex}");
    }
}

#[test]
fn null_is_the_absent_value_and_nothing_else_is() {
    assert_eq!(decode::<Option<u64>>(&[0xf6]), Ok(None));
    assert_eq!(decode::<Option<u64>>(&[0xf7]), Err(FormError::Malformed));
}

/// What a decoder takes, it writes again as the same bytes; what it does not take, it refuses.
fn is_read_back_or_refused<T: Item>(bytes: &[u8]) {
    if let Ok(item) = decode::<T>(bytes) {
        assert_eq!(encode(&item), bytes);
    }
}

fn all_decoders(bytes: &[u8]) {
    use crate::{archive_key, body, content, entry, epoch, hpke, key_list, statement};
    is_read_back_or_refused::<Any>(bytes);
    is_read_back_or_refused::<entry::Head>(bytes);
    is_read_back_or_refused::<entry::Entry>(bytes);
    is_read_back_or_refused::<entry::ArchivedEntry>(bytes);
    is_read_back_or_refused::<entry::Skeleton>(bytes);
    is_read_back_or_refused::<body::SignedPayload>(bytes);
    is_read_back_or_refused::<body::CommitBody>(bytes);
    is_read_back_or_refused::<body::CapsuleBody>(bytes);
    is_read_back_or_refused::<body::GrantBody>(bytes);
    is_read_back_or_refused::<statement::Statement>(bytes);
    is_read_back_or_refused::<content::Message>(bytes);
    is_read_back_or_refused::<content::Control>(bytes);
    is_read_back_or_refused::<epoch::Chain>(bytes);
    is_read_back_or_refused::<archive_key::Share>(bytes);
    is_read_back_or_refused::<key_list::KeyList>(bytes);
    is_read_back_or_refused::<Vec<key_list::HalfOpening>>(bytes);
    is_read_back_or_refused::<hpke::Sealed>(bytes);
}

/// Good encodings of what the decoders read, to be changed.
fn samples() -> Vec<Vec<u8>> {
    use crate::content::Message;
    use crate::entry::{Entry, Head, Kind, Payload};
    use crate::ids::{Digest, Epoch, Gen, LogId, MessageId, Seq};
    let head = encode(&Head::plain(Kind::Commit, LogId([1; 16]), Gen(0), Epoch(1)));
    let statement = crate::statement::tests::statement(b"text");
    let with_file = crate::statement::Statement {
        files: vec![crate::statement::tests::file("a.pdf")],
        ..statement.clone()
    };
    let erased = Entry {
        head: Bytes(head.clone()),
        payload: Payload::Absent { hash: Digest([7; 32]), len: 5 },
        seq: Seq(3),
        t_ms: 4,
        co: 4,
    };
    vec![
        encode(&erased),
        encode(&statement),
        encode(&with_file),
        encode(&Message::reaction([1; 16], MessageId([1; 32]), "👍")),
        encode(&vec![(1u64, [2; 32]), (2u64, [3; 32])]),
        head,
    ]
}

proptest! {
    #[test]
    fn random_bytes_make_no_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        all_decoders(&bytes);
    }

    #[test]
    fn a_changed_or_cut_encoding_is_read_back_or_refused(
        sample in 0usize..6,
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = samples().swap_remove(sample);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        all_decoders(&bytes);
    }
}
