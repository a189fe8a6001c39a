use super::*;
use crate::ids::Seq;

const COMPANY: CompanyId = CompanyId([0xc0; 16]);
const HEAD: TreeHead = TreeHead { era: 0, size: 20_852_163, root: Digest([0x5a; 32]) };

fn signer() -> LogSigner {
    LogSigner::from_seeds(Secret::new([1; 32]), Secret::new([2; 32]))
}

fn log_key(signer: &LogSigner) -> LogKey {
    let (ed25519, ml_dsa) = signer.public();
    LogKey { ed25519, ml_dsa, entered: Seq(3) }
}

fn witness(key: &CosigningKey) -> Witness {
    Witness {
        name: "council.example/w".to_owned(),
        key: key.public(),
        active: true,
        entered: Seq(4),
    }
}

#[test]
fn a_signed_checkpoint_reads_back_and_is_believed() {
    let note = signer().sign(COMPANY, &HEAD, 1_700_000_000);
    let begin = "hauspost/c0c0c0c0-c0c0-c0c0-c0c0-c0c0c0c0c0c0/0\n20852163\n\
        WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n\n\u{2014} hauspost/";
    assert!(note.starts_with(begin), "{note:.200}");
    let checkpoint = Checkpoint::parse(&note).unwrap();
    assert_eq!(checkpoint.verify(COMPANY, &log_key(&signer())), Ok(HEAD));
    let elsewhere = checkpoint.verify(CompanyId([1; 16]), &log_key(&signer()));
    assert_eq!(elsewhere, Err(CheckpointError::Company));
}

#[test]
fn both_signatures_of_the_log_are_required() {
    let note = signer().sign(COMPANY, &HEAD, 1_700_000_000);
    let lines: Vec<&str> = note.split_inclusive('\n').collect();
    let key = log_key(&signer());
    let without = |left_out: usize| {
        let kept = lines.iter().enumerate().filter(|(i, _)| *i != left_out).map(|(_, line)| *line);
        Checkpoint::parse(&kept.collect::<String>()).unwrap().verify(COMPANY, &key)
    };
    assert_eq!(without(4), Err(CheckpointError::Ed25519));
    assert_eq!(without(5), Err(CheckpointError::MlDsa));
    let other = LogSigner::from_seeds(Secret::new([9; 32]), Secret::new([2; 32]));
    let checkpoint = Checkpoint::parse(&note).unwrap();
    assert_eq!(checkpoint.verify(COMPANY, &log_key(&other)), Err(CheckpointError::Ed25519));
    let other = LogSigner::from_seeds(Secret::new([1; 32]), Secret::new([9; 32]));
    assert_eq!(checkpoint.verify(COMPANY, &log_key(&other)), Err(CheckpointError::MlDsa));
}

#[test]
fn another_text_under_the_same_signatures_is_not_believed() {
    let note = signer().sign(COMPANY, &HEAD, 1_700_000_000);
    let (_, signatures) = note.split_once("\n\n").unwrap();
    for head in
        [TreeHead { size: HEAD.size + 1, ..HEAD }, TreeHead { root: Digest([0x5b; 32]), ..HEAD }]
    {
        let forged = format!("{}\n{signatures}", head.text(COMPANY));
        let verified = Checkpoint::parse(&forged).unwrap().verify(COMPANY, &log_key(&signer()));
        assert_eq!(verified, Err(CheckpointError::Ed25519));
        // The Ed25519 key alone, as a quantum computer would have it, does not do.
        let name = origin(COMPANY, 0);
        let classic = signer().ed25519.sign_raw(head.text(COMPANY).as_bytes());
        let id = key_id(&name, ED25519, &signer().ed25519.public().0);
        let classic = NoteSignature::line(&name, id, &[&classic.0]);
        let ml_dsa = signatures.split_inclusive('\n').nth(1).unwrap();
        let forged = format!("{}\n{classic}{ml_dsa}", head.text(COMPANY));
        let verified = Checkpoint::parse(&forged).unwrap().verify(COMPANY, &log_key(&signer()));
        assert_eq!(verified, Err(CheckpointError::MlDsa));
    }
    // An era is part of the origin, and the origin is the key's name.
    let other_era = note.replace("/0", "/1");
    let verified = Checkpoint::parse(&other_era).unwrap().verify(COMPANY, &log_key(&signer()));
    assert_eq!(verified, Err(CheckpointError::Ed25519));
}

#[test]
fn a_witness_cosigns_under_its_own_name_and_unknown_lines_are_ignored() {
    let key = CosigningKey::from_seed(Secret::new([3; 32]));
    let mut note = signer().sign(COMPANY, &HEAD, 1_700_000_000);
    let alone = Checkpoint::parse(&note).unwrap();
    assert_eq!(alone.verify_witness(&witness(&key)), Err(CheckpointError::Witness));
    note += &key.cosign("council.example/w", COMPANY, &HEAD, 1_700_000_003);
    note += "\u{2014} stranger AAAAAAAA\n";
    let checkpoint = Checkpoint::parse(&note).unwrap();
    assert_eq!(checkpoint.verify_witness(&witness(&key)), Ok(1_700_000_003));
    assert_eq!(checkpoint.verify(COMPANY, &log_key(&signer())), Ok(HEAD));
    let renamed = Witness { name: "other".to_owned(), ..witness(&key) };
    assert_eq!(checkpoint.verify_witness(&renamed), Err(CheckpointError::Witness));
    // A second line of the same key that does not verify spoils the first.
    let stale = TreeHead { size: 1, ..HEAD };
    note += &key.cosign("council.example/w", COMPANY, &stale, 1_700_000_003);
    let checkpoint = Checkpoint::parse(&note).unwrap();
    assert_eq!(checkpoint.verify_witness(&witness(&key)), Err(CheckpointError::Witness));
}

#[test]
fn a_note_of_any_other_form_is_refused() {
    let note = signer().sign(COMPANY, &HEAD, 1);
    let line = "\u{2014} stranger AAAAAAAA\n";
    let table = [
        (note.replace("\n\n", "\nextension\n\n"), NoteError::Lines),
        (note.replace("\n\n", "\n"), NoteError::Lines),
        (note.replacen('\n', "\r\n", 1), NoteError::Lines),
        (note.trim_end().to_owned(), NoteError::Lines),
        (String::new(), NoteError::Lines),
        (note.replacen("hauspost/c0", "hauspost/C0", 1), NoteError::Origin),
        (note.replacen("/0\n", "/00\n", 1), NoteError::Origin),
        (note.replacen("hauspost", "other", 1), NoteError::Origin),
        (note.replacen("20852163", "020852163", 1), NoteError::Size),
        (note.replacen("20852163", "+20852163", 1), NoteError::Size),
        (note.replacen("20852163", "9223372036854775808", 1), NoteError::Size),
        (note.replacen("lo=\n", "lp=\n", 1), NoteError::Root),
        (note.replacen("lo=\n", "lo\n", 1), NoteError::Root),
        (note.replacen("Wlpa", "", 1), NoteError::Root),
        (format!("{}\n", note.split_once("\n\n").unwrap().0) + "\n", NoteError::SignatureLine),
        (format!("{note}\n"), NoteError::SignatureLine),
        (format!("{note}-- stranger AAAAAAAA\n"), NoteError::SignatureLine),
        (format!("{note}\u{2014} stranger AAA=\n"), NoteError::SignatureLine),
        (format!("{note}\u{2014} a+b AAAAAAAA\n"), NoteError::SignatureLine),
        (format!("{note}{}", line.repeat(11)), NoteError::TooLong),
        (format!("{note}\u{2014} stranger {}\n", "AAAA".repeat(20_000)), NoteError::TooLong),
    ];
    for (i, (note, error)) in table.into_iter().enumerate() {
        assert_eq!(Checkpoint::parse(&note), Err(error), "row {i}: {note:.150}");
    }
    assert!(Checkpoint::parse(&format!("{note}{}", line.repeat(10))).is_ok());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*", cut in 0usize..4000, with in proptest::prelude::any::<char>()) {
        let _ = Checkpoint::parse(&text);
        let mut note = signer().sign(COMPANY, &HEAD, 1);
        let cut = (0..=cut.min(note.len())).rev().find(|at| note.is_char_boundary(*at)).unwrap();
        note.insert(cut, with);
        if let Ok(checkpoint) = Checkpoint::parse(&note) {
            let verified = checkpoint.verify(COMPANY, &log_key(&signer()));
            proptest::prop_assert!(verified.is_err() || checkpoint.head == HEAD);
        }
    }
}

#[test]
fn a_verifier_key_reads_back_and_a_changed_one_does_not() {
    let key = CosigningKey::from_seed(Secret::new([7; 32])).public();
    let text = verifier_key("council.example/w", &key);
    assert_eq!(parse_verifier_key(&text), Some(("council.example/w".to_owned(), key)));
    for bad in ["", "a+b", &text.replace("council", "counsel"), &text[..text.len() - 8], &text[1..]]
    {
        assert_eq!(parse_verifier_key(bad), None, "{bad:.40}");
    }
}
