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
