//! What every place for documents must hold.

use hauspost::blobs::BlobError;

use super::*;

#[test]
fn chunks_come_in_any_order_and_more_than_once_and_are_read_in_their_places() {
    in_each(|open| {
        let blobs = open();
        blobs.create(ONE).unwrap();
        for (number, bytes) in [(2, chunk(2, 9)), (0, full(0)), (2, chunk(2, 9)), (1, full(1))] {
            blobs.write(ONE, number, &bytes).unwrap();
            assert!(blobs.read(ONE, number, bytes.len()).unwrap() == bytes, "at once");
        }
        blobs.create(ONE).unwrap();
        blobs.sync(ONE).unwrap();
        blobs.sync(ONE).unwrap();
        for blobs in [blobs, open()] {
            for (number, bytes) in [(0, full(0)), (1, full(1)), (2, chunk(2, 9))] {
                assert!(blobs.read(ONE, number, bytes.len()).unwrap() == bytes, "{number}");
            }
            assert_eq!(blobs.found(ONE).unwrap(), [0, 1, 2]);
        }
    });
}

#[test]
fn a_long_document_is_read_whole_whether_it_was_written_at_once_or_in_pieces() {
    in_each(|open| {
        let last = 150_u32;
        let bytes = |number| if number == last { chunk(number, 17) } else { full(number) };
        let blobs = open();
        blobs.create(ONE).unwrap();
        for number in (0..=last).rev() {
            blobs.write(ONE, number, &bytes(number)).unwrap();
            if number.is_multiple_of(37) {
                blobs.sync(ONE).unwrap();
            }
        }
        blobs.sync(ONE).unwrap();
        let other = open();
        assert_eq!(other.found(ONE).unwrap(), (0..=last).collect::<Vec<_>>());
        for number in 0..=last {
            let expected = bytes(number);
            assert!(other.read(ONE, number, expected.len()).unwrap() == expected, "{number}");
        }
    });
}

#[test]
fn two_nodes_that_take_chunks_of_one_upload_both_have_all_of_them() {
    in_each(|open| {
        let (one, other) = (open(), open());
        one.create(ONE).unwrap();
        other.create(ONE).unwrap();
        for number in 0..10_u32 {
            let by_both = number == 4;
            if number.is_multiple_of(2) || by_both {
                one.write(ONE, number, &full(number)).unwrap();
            }
            if number % 2 == 1 || by_both {
                other.write(ONE, number, &full(number)).unwrap();
            }
        }
        one.sync(ONE).unwrap();
        assert!(other.read(ONE, 0, STORED_CHUNK_BYTES).unwrap() == full(0));
        other.sync(ONE).unwrap();
        for blobs in [one, other] {
            for number in 0..10 {
                assert!(blobs.read(ONE, number, STORED_CHUNK_BYTES).unwrap() == full(number));
            }
            assert_eq!(blobs.found(ONE).unwrap(), (0..10).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_chunk_that_is_not_there_is_damage_and_no_other_error() {
    in_each(|open| {
        let blobs = open();
        assert!(matches!(blobs.read(ONE, 0, 4), Err(BlobError::Damaged)));
        assert!(blobs.found(ONE).unwrap().is_empty());
        blobs.create(ONE).unwrap();
        blobs.write(ONE, 0, b"four").unwrap();
        assert!(matches!(blobs.read(ONE, 0, 5), Err(BlobError::Damaged)), "not durable yet");
        assert_eq!(
            (blobs.read(ONE, 0, 4).unwrap(), blobs.found(ONE).unwrap()),
            (b"four".into(), vec![0])
        );
        blobs.sync(ONE).unwrap();
        for blobs in [blobs, open()] {
            assert!(matches!(blobs.read(ONE, 1, 4), Err(BlobError::Damaged)), "another chunk");
            assert!(matches!(blobs.read(ONE, 0, 5), Err(BlobError::Damaged)), "a longer one");
            assert!(matches!(blobs.read(TWO, 0, 4), Err(BlobError::Damaged)), "another blob");
            assert_eq!(blobs.read(ONE, 0, 4).unwrap(), b"four");
        }
    });
}

#[test]
fn what_was_removed_is_gone_for_every_node_and_may_be_removed_again() {
    in_each(|open| {
        let (one, other) = (open(), open());
        assert_eq!(one.list().unwrap(), []);
        for blob in [TWO, ONE] {
            one.create(blob).unwrap();
            for number in [0, 1, 64, 128] {
                one.write(blob, number, &full(number)).unwrap();
            }
            one.sync(blob).unwrap();
        }
        assert_eq!(other.list().unwrap(), [ONE, TWO]);
        one.read(ONE, 0, STORED_CHUNK_BYTES).unwrap();
        other.remove(ONE).unwrap();
        one.remove(ONE).unwrap();
        for blobs in [&one, &other] {
            assert_eq!(blobs.list().unwrap(), [TWO]);
            assert!(blobs.found(ONE).unwrap().is_empty());
            assert!(matches!(blobs.read(ONE, 0, STORED_CHUNK_BYTES), Err(BlobError::Damaged)));
        }
        for blobs in [&one, &other] {
            let read = blobs.read(ONE, 1, STORED_CHUNK_BYTES);
            assert!(matches!(read, Err(BlobError::Damaged)), "what was read beside it");
        }
        one.remove(TWO).unwrap();
        assert_eq!(other.list().unwrap(), []);
        // What is removed before it is durable is gone as well.
        one.create(ONE).unwrap();
        one.write(ONE, 0, b"four").unwrap();
        one.remove(ONE).unwrap();
        assert!(one.found(ONE).unwrap().is_empty());
        assert!(matches!(one.read(ONE, 0, 4), Err(BlobError::Damaged)));
    });
}
