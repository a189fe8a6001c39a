//! The known-answer vectors under `tests/vectors`: what the code makes today is what was written down.

use std::fs;
use std::path::PathBuf;

use hauspost_protocol::crypto::{Batch, PublicKey, Secret, Signature};
use hauspost_protocol::xwing::{XWingKey, XWingSeed};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

#[path = "../examples/vectors/make.rs"]
mod make;

fn committed(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// A difference is a change of the protocol. If it is meant, the vectors are written anew with
/// `cargo run -p hauspost-protocol --example vectors -- tests/vectors`, and the version changes.
#[test]
fn the_committed_vectors_are_what_the_code_makes() {
    for (name, made) in make::files() {
        assert!(committed(name) == made, "{name} differs from what the code makes");
    }
}

/// docs/attacks.md 13: among the cases is one that ed25519-dalek's batch accepts and its single
/// check refuses. Members check in batches, the archive may check singly; both must say the same.
#[test]
fn a_signature_is_judged_alike_singly_and_in_a_batch() {
    let mut rng = StdRng::seed_from_u64(1);
    let vectors = committed("hashes.json");
    for case in vectors["verify"].as_array().expect("cases") {
        let text = |name: &str| case[name].as_str().expect("a string");
        let bytes = |name: &str| hex::decode(text(name)).expect("hexadecimal");
        let key = PublicKey(bytes("public").try_into().expect("32 bytes"));
        let signature = Signature(bytes("signature").try_into().expect("64 bytes"));
        let (label, input) = (text("label"), bytes("input"));
        let mut batch = Batch::default();
        batch.add(&key, label, &input, &signature);
        let valid = case["valid"].as_bool().expect("a boolean");
        assert_eq!(key.verify(label, &input, &signature).is_ok(), valid, "{}", text("what"));
        assert_eq!(batch.verify(&mut rng).is_ok(), valid, "{} in a batch", text("what"));
    }
}

/// The vectors of draft-connolly-cfrg-xwing-kem itself.
#[test]
fn our_x_wing_is_the_drafts() {
    let vectors = committed("xwing.json");
    let cases = vectors["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let bytes = |name: &str| hex::decode(case[name].as_str().unwrap()).unwrap();
        let seed = XWingSeed::new(Secret::new(bytes("seed").try_into().unwrap()));
        assert_eq!(seed.public().to_bytes().to_vec(), bytes("pk"));
        let randomness = bytes("eseed").try_into().unwrap();
        let (ciphertext, shared) = XWingKey::parse(&bytes("pk")).unwrap().encapsulate(&randomness);
        assert_eq!(ciphertext.to_vec(), bytes("ct"));
        assert_eq!(shared.expose().to_vec(), bytes("ss"));
        assert_eq!(seed.decapsulate(&ciphertext), shared);
    }
}
