use super::*;
use crate::crypto::Secret;
use crate::epoch::EpochContext;
use crate::ids::Digest;

const LOG: LogId = LogId([1; 16]);
const PLACE: (LogId, Gen, Epoch) = (LOG, Gen(0), Epoch(3));
const NOW_MS: TimeMs = 1_800_000_000_000;

fn key_of((log, r#gen, epoch): (LogId, Gen, Epoch)) -> HintKey {
    HintKey::from_exporter(&[9; 32], &EpochContext { log, r#gen, epoch, ga: Digest([2; 32]) })
}

fn signing(seed: u8) -> SigningKey {
    SigningKey::from_seed(Secret::new([seed; 32]))
}

fn hint(said: Said) -> Hint {
    Hint { device: DeviceId([7; 16]), t_ms: NOW_MS, said }
}

fn typing() -> Hint {
    hint(Said { typing: true, ..Said::default() })
}

fn here() -> Hint {
    hint(Said { here: true, ..Said::default() })
}

fn opened(sealed: &SealedHint, key: &HintKey) -> Result<Hint, RecordError> {
    Ok(sealed.open(key)?.verify(&signing(1).public())?)
}

#[test]
fn what_was_sealed_comes_out_whatever_it_says_and_nobody_sees_by_its_length_what_it_says() {
    for bits in 0..8 {
        let hint = hint(Said::from_bits(bits));
        let sealed = hint.seal(&key_of(PLACE), PLACE, &signing(1));
        assert_eq!(sealed.sealed.len(), SEALED_BYTES);
        assert_eq!(opened(&sealed, &key_of(PLACE)).unwrap(), hint);
    }
    let later = Hint { t_ms: (1 << 63) - 1, ..typing() };
    assert_eq!(later.seal(&key_of(PLACE), PLACE, &signing(1)).sealed.len(), SEALED_BYTES);
}

#[test]
fn a_line_carries_a_hint_of_any_place_and_a_longer_one_is_not_read() {
    let place = (LOG, Gen(u16::MAX), Epoch((1 << 63) - 1));
    let sealed = typing().seal(&key_of(place), place, &signing(1));
    let line = sealed.to_line();
    assert!(line.len() <= LINE_BYTES, "{}", line.len());
    assert_eq!(SealedHint::from_line(line.as_bytes()).unwrap(), sealed);
    let long = SealedHint { sealed: Bytes(vec![0; SEALED_BYTES + 100]), ..sealed.clone() };
    assert_eq!(SealedHint::from_line(long.to_line().as_bytes()), Err(FormError::TooLarge));
    for len in [0, SEALED_BYTES - 1, SEALED_BYTES + 1] {
        let other = SealedHint { sealed: Bytes(vec![0; len]), ..sealed.clone() };
        assert_eq!(SealedHint::from_line(other.to_line().as_bytes()), Err(FormError::Malformed));
        assert_eq!(other.open(&key_of(place)).unwrap_err(), RecordError::TooLarge);
    }
    assert!(SealedHint::from_line(b"no hint").is_err());
}

#[test]
fn attacks_33_a_hint_opens_in_its_own_log_generation_and_epoch_only() {
    let sealed = typing().seal(&key_of(PLACE), PLACE, &signing(1));
    let places =
        [(LogId([2; 16]), Gen(0), Epoch(3)), (LOG, Gen(1), Epoch(3)), (LOG, Gen(0), Epoch(4))];
    for place in places {
        let (log, r#gen, epoch) = place;
        let moved = SealedHint { log, r#gen, epoch, sealed: sealed.sealed.clone() };
        // Under the key that it was sealed with, as the server would move it; and of the other place.
        assert_eq!(opened(&moved, &key_of(PLACE)), Err(RecordError::Sealed));
        assert_eq!(opened(&moved, &key_of(place)), Err(RecordError::Sealed));
    }
}

#[test]
fn attacks_33_a_member_of_both_who_seals_anothers_hint_anew_elsewhere_is_found_by_its_signature() {
    let key = key_of(PLACE);
    let sealed = typing().seal(&key, PLACE, &signing(1));
    let plain = open_sealed(key.sealing(), &sealed.head(), &sealed.sealed).unwrap();
    let place = (LogId([2; 16]), Gen(0), Epoch(1));
    let mut moved = SealedHint { log: place.0, r#gen: place.1, epoch: place.2, ..sealed };
    moved.sealed = Bytes(seal_padded(key_of(place).sealing(), &moved.head(), &plain, PLAIN_BYTES));
    assert_eq!(opened(&moved, &key_of(place)), Err(RecordError::Signature));
}

#[test]
fn attacks_33_a_hint_in_anothers_name_is_found_by_its_signature() {
    // Whoever is in the epoch has its key and may name any device.
    let forged = typing().seal(&key_of(PLACE), PLACE, &signing(2));
    assert_eq!(opened(&forged, &key_of(PLACE)), Err(RecordError::Signature));
}

#[test]
fn any_changed_byte_and_any_padding_that_says_something_is_refused() {
    let key = key_of(PLACE);
    let sealed = typing().seal(&key, PLACE, &signing(1));
    for at in 0..SEALED_BYTES {
        let mut changed = sealed.clone();
        changed.sealed.0[at] ^= 1;
        assert_eq!(opened(&changed, &key), Err(RecordError::Sealed), "byte {at}");
    }
    let mut plain = open_sealed(key.sealing(), &sealed.head(), &sealed.sealed).unwrap();
    *plain.last_mut().unwrap() = 1;
    let covert = Bytes(seal_padded(key.sealing(), &sealed.head(), &plain, PLAIN_BYTES));
    let covert = SealedHint { sealed: covert, ..sealed };
    assert_eq!(opened(&covert, &key), Err(RecordError::Padding));
}

#[test]
fn what_a_later_version_says_besides_is_passed_over_and_a_later_version_is_refused() {
    let body = |version: u64, bits: u64| encode(&(version, typing().device, NOW_MS, bits));
    assert_eq!(Hint::parse(&body(1, TYPING | 0xF000)).unwrap(), typing());
    assert_eq!(Hint::parse(&body(2, TYPING)), Err(FormError::Unlisted));
}

#[test]
fn attacks_33_a_hint_counts_once_and_only_near_its_time() {
    let hint = here();
    assert!(hint.is_timely(None, NOW_MS));
    assert!(hint.is_timely(Some(NOW_MS - 1), NOW_MS));
    assert!(!hint.is_timely(Some(NOW_MS), NOW_MS), "it was heard before");
    assert!(!hint.is_timely(Some(NOW_MS + 1), NOW_MS), "a later one was heard before");
    assert!(hint.is_timely(None, NOW_MS - AHEAD_MS));
    assert!(!hint.is_timely(None, NOW_MS - AHEAD_MS - 1), "from a clock that is ahead");
    assert!(!hint.is_timely(None, NOW_MS - DAY_MS));
    assert!(hint.is_timely(None, NOW_MS + OLD_MS - 1));
    assert!(!hint.is_timely(None, NOW_MS + OLD_MS), "from a clock that is a day behind");
}

#[test]
fn who_types_is_shown_for_six_seconds_of_the_readers_clock_and_not_if_it_comes_late() {
    assert_eq!(typing().types(NOW_MS), Some(NOW_MS + TYPING_SHOWN_MS));
    assert_eq!(typing().types(NOW_MS + LATE_MS - 1), Some(NOW_MS + LATE_MS - 1 + TYPING_SHOWN_MS));
    assert_eq!(typing().types(NOW_MS + LATE_MS), None);
    assert_eq!(here().types(NOW_MS), None);
}

#[test]
fn who_is_there_is_so_for_a_minute_and_a_half_and_nobody_was_there_in_the_future() {
    let seen = |hint: Hint, now_ms| {
        hint.presence(now_ms).map(|presence| (presence.seen_ms, presence.here_until_ms))
    };
    assert_eq!(seen(here(), NOW_MS), Some((NOW_MS, NOW_MS + HERE_SHOWN_MS)));
    let early = NOW_MS - 60_000;
    assert_eq!(seen(here(), early), Some((early, early + HERE_SHOWN_MS)));
    let late = NOW_MS + 3_600_000;
    assert_eq!(seen(here(), late), Some((NOW_MS, NOW_MS + HERE_SHOWN_MS)), "not here any more");
    let goes = hint(Said { goes: true, ..Said::default() });
    assert_eq!(seen(goes, NOW_MS), Some((NOW_MS, NOW_MS)));
    assert_eq!(seen(typing(), NOW_MS), None);
}

#[test]
fn the_bytes_of_a_hint_are_those_that_were_written_down() {
    let sealed = here().seal(&key_of(PLACE), PLACE, &signing(1));
    assert_eq!(here().to_bytes()[..3], [0x84, 0x01, 0x50]);
    assert_eq!(sealed.head()[..3], [0x84, 0x01, 0x50]);
    let digest = crate::crypto::sha256(&encode(&sealed));
    assert_eq!(digest.to_string(), DIGEST);
}

/// SHA-256 of the hint above: whoever changes a byte of it, or of the keys' derivation, changes this.
const DIGEST: &str = "6395d9f983d87a337ed96a9da521f405afd2284751ae1c0d03de7226e879b369";
