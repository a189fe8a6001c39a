//! What the vectors say. Each file is one subject of docs/protocol.md; each case has its inputs, the
//! steps between that a stranger would like to compare, and the result.
//!
//! Byte strings are hexadecimal. Where a list of ours is shown by its fields, a number is an
//! unsigned integer, `hex:…` a byte string, `text:…` a text string, null null.

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload as Aead};
use hauspost_protocol::archive_key::{ArchiveKeys, ArchiveSeed, Share};
use hauspost_protocol::body::SignedPayload;
use hauspost_protocol::capsule::{self, HalfA, HalfB};
use hauspost_protocol::crypto::{Context, PublicKey, Secret, Signature, SigningKey, hash};
use hauspost_protocol::encoding::{Bytes, Item, decode, encode};
use hauspost_protocol::entry::{Bone, Entry, Head, Kind, Payload, Seen, Skeleton, Slot};
use hauspost_protocol::epoch::{EpochContext, EpochSecret, RecordKey};
use hauspost_protocol::ids::{
    CompanyId, DeviceId, Digest, EntryHash, Epoch, Gen, LeafIndex, LogId, RecordIndex, Seq, UserId,
};
use hauspost_protocol::record::RecordError;
use hauspost_protocol::statement::{File, FileRole, PayloadType, Statement};
use hauspost_protocol::tree::checkpoint::TreeHead;
use hauspost_protocol::xwing::XWingSeed;
use hauspost_protocol::{hpke, record};
use hmac::{Hmac, KeyInit as _, Mac as _};
use minicbor::data::Type;
use rand::rngs::StdRng;
use rand::{SeedableRng, TryCryptoRng, TryRng};
use serde_json::{Value, json};
use sha2::Sha256;

#[path = "company.rs"]
mod company;
#[path = "content.rs"]
mod content;
#[path = "files.rs"]
mod files;
#[path = "grants.rs"]
mod grants;
#[path = "own.rs"]
mod own;
#[path = "policy.rs"]
mod policy;
#[path = "resets.rs"]
mod resets;
#[path = "tree.rs"]
mod tree;

/// All files that are made here, by name.
pub fn files() -> Vec<(&'static str, Value)> {
    vec![
        ("encoding.json", encoding()),
        ("hashes.json", hashes()),
        ("entries.json", entries()),
        ("resets.json", resets::resets()),
        ("keys.json", keys()),
        ("records.json", records()),
        ("capsules.json", capsules()),
        ("content.json", content::content()),
        ("files.json", files::documents()),
        ("shares.json", shares()),
        ("hpke.json", sealed()),
        ("grants.json", grants::grants()),
        ("own.json", own::own()),
        ("company.json", company::company()),
        ("policy.json", policy::policy()),
        ("tree.json", tree::tree()),
    ]
}

const COMPANY: CompanyId = CompanyId([0xc0; 16]);
const USER: UserId = UserId([0x0a; 16]);
const DEVICE: DeviceId = DeviceId([0xde; 16]);
const LOG: LogId = LogId([0x10; 16]);
const T_MS: u64 = 1_795_593_600_000;

/// docs/protocol.md §1: one encoding for one value.
fn encoding() -> Value {
    let values: Vec<(&str, Vec<u8>)> = vec![
        ("the smallest number", encode(&0u64)),
        ("the last number of one byte", encode(&23u64)),
        ("the first number of two bytes", encode(&24u64)),
        ("one byte full", encode(&255u64)),
        ("two bytes", encode(&256u64)),
        ("four bytes", encode(&65_536u64)),
        ("eight bytes", encode(&(1u64 << 32))),
        ("the largest number, 2^63 - 1", encode(&((1u64 << 63) - 1))),
        ("null", encode(&None::<u64>)),
        ("yes and no", encode(&(true, false))),
        ("no bytes", encode(&Bytes::default())),
        ("bytes", encode(&Bytes(vec![1, 2, 3]))),
        ("text", encode(&"Straße".to_owned())),
        ("an empty array", encode(&Vec::<u64>::new())),
        ("arrays in an array", encode(&(vec![1u64, 2], (Bytes(vec![7]), None::<u64>)))),
        (
            "eight arrays around a number",
            vec![0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x01],
        ),
    ];
    let refused = [
        ("1817", "a number in a longer form"),
        ("190017", "a number in a longer form"),
        ("1b8000000000000000", "a number of 2^63"),
        ("20", "a negative number"),
        ("f4", "a boolean"),
        ("f7", "undefined"),
        ("f93c00", "a float"),
        ("a0", "a map"),
        ("c001", "a tag"),
        ("9f01ff", "an array of indefinite length"),
        ("5f4101ff", "a byte string of indefinite length"),
        ("580101", "a length in a longer form"),
        ("61ff", "text that is not UTF-8"),
        ("8201", "an array that ends early"),
        ("0100", "bytes after the item"),
        ("81818181818181818101", "nine arrays around a number"),
        ("", "nothing"),
    ];
    json!({
        "values": values.iter().map(|(what, bytes)| json!({
            "what": what, "fields": fields(bytes), "bytes": hex(bytes),
        })).collect::<Vec<_>>(),
        "refused": refused.map(|(bytes, why)| json!({ "why": why, "bytes": bytes })),
    })
}

/// docs/protocol.md §1: H, KDF, Extract, Sig and the ids of keys.
fn hashes() -> Value {
    let key = SigningKey::from_seed(Secret::new([0x51; 32]));
    let secret = Secret::new([0x5e; 32]);
    let context = encode(&(LOG, Epoch(1)));
    let mut long = [0; 128];
    secret.derive_into("capsule", Context::Bytes(&context), &mut long);
    let signature = key.sign("hauspost/1 record", b"signed");
    json!({
        "hash": [{
            "label": "hauspost/1 core", "input": hex(b"abc"),
            "output": hex(&hash("hauspost/1 core", b"abc")),
        }, {
            "label": "hauspost/1 entry", "input": "",
            "output": hex(&hash("hauspost/1 entry", b"")),
        }],
        "extract": [{
            "salt": "hauspost/1 epoch", "input": hex(&[0x11; 48]),
            "output": hex(Secret::extract("hauspost/1 epoch", &[&[0x11; 48]]).expose()),
        }],
        "derive": [{
            "key": hex(secret.expose()), "label": "chain", "context": hex(&context), "length": 32,
            "output": hex(secret.derive("chain", Context::Bytes(&context)).expose()),
        }, {
            "key": hex(secret.expose()), "label": "enc", "context": "", "length": 32,
            "output": hex(secret.derive("enc", Context::Bytes(&[])).expose()),
        }, {
            "key": hex(secret.expose()), "label": "next", "context": 4_294_967_295u64, "length": 32,
            "output": hex(secret.derive("next", Context::Number(u64::from(u32::MAX))).expose()),
        }, {
            "key": hex(secret.expose()), "label": "capsule", "context": hex(&context), "length": 128,
            "output": hex(&long),
        }],
        "sign": [{
            "seed": hex(key.seed().expose()), "public": hex(&key.public().0),
            "key_id": hex(&key.public().id().0), "label": "hauspost/1 record",
            "input": hex(b"signed"), "signature": hex(&signature.0),
        }],
        "verify": verify_cases(&key, &signature),
    })
}

/// What ZIP-215 says of signatures that libraries disagree about (docs/attacks.md 13).
fn verify_cases(key: &SigningKey, good: &Signature) -> Vec<Value> {
    const LABEL: &str = "hauspost/1 record";
    let identity = {
        let mut point = [0; 32];
        point[0] = 1;
        PublicKey(point)
    };
    let order_two = "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
    let mut nothing = [0; 64];
    nothing[..32].copy_from_slice(&unhex(order_two));
    let mut large_s = good.0;
    add_group_order(&mut large_s[32..]);
    let cases = [
        ("an honest signature", key.public(), "signed", *good),
        ("another text", key.public(), "Signed", *good),
        ("R has a component of order 2", key.public(), "signed", mixed_order()),
        ("a key and an R of small order", identity, "signed", Signature(nothing)),
        ("s is not reduced", key.public(), "signed", Signature(large_s)),
    ];
    cases
        .map(|(what, key, text, signature)| {
            json!({
                "what": what, "public": hex(&key.0), "label": LABEL, "input": hex(text.as_bytes()),
                "signature": hex(&signature.0),
                "valid": key.verify(LABEL, text.as_bytes(), &signature).is_ok(),
            })
        })
        .to_vec()
}

/// A signature over "signed" by the key above, made by hand: R is a point of the group plus the
/// point of order 2. A strict verifier refuses it, dalek's batch takes it, ZIP-215 takes it always.
fn mixed_order() -> Signature {
    Signature(unhex(MIXED_ORDER).try_into().expect("64 bytes"))
}

const MIXED_ORDER: &str = "8834117087ec54c77b791a30528e1a38bab08bbadfac6e5a7b935af962cf7e6be383d03ea2d5588774bf51eef14193a6dbf0144b09ee57f1aadc9d535042c70d";

/// s + L is another number for the same scalar; RFC 8032 and ZIP-215 both refuse it.
fn add_group_order(s: &mut [u8]) {
    let order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0u16;
    for (byte, add) in s.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

/// docs/protocol.md §2: heads, hashes, the chain, an erased payload, a skeleton.
fn entries() -> Value {
    let key = SigningKey::from_seed(Secret::new([0x52; 32]));
    let heads = [
        Head::plain(Kind::Genesis, LOG, Gen(0), Epoch(0)),
        Head::plain(Kind::Commit, LOG, Gen(0), Epoch(1)),
        Head::plain(Kind::Capsule, LOG, Gen(0), Epoch(1)),
        Head { transient: true, blobs: Vec::new(), ..record_head(0) },
        record_head(1),
    ];
    let mut prev = EntryHash::ZERO;
    let mut entries = Vec::new();
    let mut bones = Vec::new();
    for (i, head) in (0..).zip(heads) {
        let head_bytes = encode(&head);
        let body = format!("body {i}").into_bytes();
        let payload = match head.kind {
            Kind::Record => vec![i as u8; 80],
            _ => encode(&SignedPayload::sign(&key, &head_bytes, body, DEVICE)),
        };
        let entry = Entry {
            head: Bytes(head_bytes),
            payload: Payload::Kept(Bytes(payload.clone())),
            seq: Seq(i),
            t_ms: T_MS + i,
            co: 12,
        };
        let (payload_hash, len) = entry.payload.facts();
        let erased =
            Entry { payload: Payload::Absent { hash: payload_hash, len }, ..entry.clone() };
        let core = entry.core();
        bones.push(Bone { seq: entry.seq, t_ms: entry.t_ms, co: entry.co, core });
        let hash = entry.hash(prev);
        entries.push(json!({
            "head": { "fields": fields(&entry.head), "bytes": hex(&entry.head) },
            "payload": hex(&payload), "seq": i, "t_ms": T_MS + i, "co": 12,
            "prev": hex(&prev.0), "core": hex(&core.0), "hash": hex(&hash.0),
            "sent": hex(&encode(&entry)), "sent_erased": hex(&encode(&erased)),
        }));
        prev = hash;
    }
    let skeleton = encode(&Skeleton { prev: EntryHash::ZERO, bones });
    json!({
        "signer": { "seed": hex(key.seed().expose()), "device": hex(&DEVICE.0) },
        "entries": entries,
        "skeleton": { "fields": fields(&skeleton), "bytes": hex(&skeleton) },
    })
}

fn record_head(index: u32) -> Head {
    Head {
        kind: Kind::Record,
        log: LOG,
        r#gen: Gen(0),
        epoch: Epoch(1),
        slot: Some(Slot { leaf: LeafIndex(3), index: RecordIndex(index), cap: Seq(2) }),
        transient: false,
        blobs: vec![(Digest([0xb0; 32]), 116)],
    }
}

fn context() -> EpochContext {
    EpochContext { log: LOG, r#gen: Gen(0), epoch: Epoch(1), ga: Digest([0x6a; 32]) }
}

fn epoch(exported: &[u8]) -> EpochSecret {
    EpochSecret::from_exporter(exported, context())
}

/// E by its formula; the types of the crate do not show it.
fn epoch_secret(exported: &[u8]) -> Secret {
    Secret::extract("hauspost/1 epoch", &[exported])
        .derive("E", Context::Bytes(&encode(&context())))
}

fn secret_of(item: &impl Item) -> Secret {
    decode(&encode(item)).expect("a key's encoding is its 32 bytes")
}

/// docs/protocol.md §4: from the exporter to a record's keys.
fn keys() -> Value {
    let cases = [[0x33; 32].to_vec(), [0x34; 48].to_vec()].map(|exported| {
        let chains = [0u32, 3, 999].map(|leaf| {
            let mut chain = epoch(&exported).chain(LeafIndex(leaf));
            let steps = (0..3).map(|i| {
                let (_, secret): (u64, Secret) = decode(&encode(&chain)).expect("[index, secret]");
                let (key, next) = chain.clone().advance();
                chain = next;
                let key = secret_of(&key);
                json!({
                    "index": i, "chain": hex(secret.expose()), "record": hex(key.expose()),
                    "encryption": hex(key.derive("enc", Context::Bytes(&[])).expose()),
                    "nonce": hex(key.derive("nonce", Context::Bytes(&[])).expose()),
                })
            });
            json!({ "leaf": leaf, "steps": steps.collect::<Vec<_>>() })
        });
        json!({
            "exported": hex(&exported),
            "context": { "fields": fields(&encode(&context())), "bytes": hex(&encode(&context())) },
            "epoch": hex(epoch_secret(&exported).expose()),
            "chains": chains,
        })
    });
    json!({ "cases": cases })
}

/// docs/protocol.md §6: statement, signature, padding, nonce, payload; and what an opener refuses.
fn records() -> Value {
    let author = SigningKey::from_seed(Secret::new([0x53; 32]));
    let key = epoch(&[0x33; 32]).chain(LeafIndex(3)).key();
    let head = encode(&record_head(0));
    let short = statement(b"Guten Morgen".to_vec(), Vec::new());
    let with_file = statement(b"".to_vec(), vec![file()]);
    let long = statement(vec![0x61; 5_000], Vec::new());
    let cases = [("a short text", short), ("a file", with_file), ("5,000 bytes", long)].map(
        |(what, statement)| {
            let bytes = statement.to_bytes().expect("within the limits");
            let payload = record::seal(&key, &head, &bytes, &author);
            json!({
                "what": what,
                "record_key": hex(secret_of(&key).expose()), "head": hex(&head),
                "statement": { "fields": fields(&bytes), "bytes": hex(&bytes) },
                "author": { "seed": hex(author.seed().expose()), "public": hex(&author.public().0) },
                "nonce": hex(&payload[..24]), "payload": hex(&payload),
            })
        },
    );
    let lengths = [1, 31, 32, 33, 512, 513, 1_000, 1_024, 1_025, 4_096, 9_000, 32_000, 43_000];
    json!({
        "cases": cases,
        "padding": lengths.map(|len| json!([len, record::padded_len(len)])),
        "refused": refused(&key, &head, &author),
    })
}

fn refused(key: &RecordKey, head: &[u8], author: &SigningKey) -> Vec<Value> {
    let good = statement(b"x".to_vec(), Vec::new()).to_bytes().expect("within the limits");
    let payload = record::seal(key, head, &good, author);
    let flipped = |at: usize| {
        let mut payload = payload.clone();
        payload[at] ^= 1;
        payload
    };
    let next = epoch(&[0x33; 32]).chain(LeafIndex(3)).advance().1.key();
    let signature =
        author.sign("hauspost/1 record", &encode(&(Bytes::from(head), Bytes(good.clone()))));
    let item = encode(&(Bytes(good), signature));
    let plain = |len: usize| [item.clone(), vec![0; len - item.len()]].concat();
    let right = record::padded_len(item.len());
    let mut not_zero = plain(right);
    not_zero[right - 1] = 1;
    let honest = synthetic_nonce(key, head, &plain(right));
    assert_eq!(seal_by_hand(key, head, honest, plain(right)), payload, "the hand seals alike");
    let mut foreign = honest;
    foreign[23] ^= 1;
    let by_hand =
        |plain: Vec<u8>| seal_by_hand(key, head, synthetic_nonce(key, head, &plain), plain);
    let other_head = encode(&record_head(1));
    let cases = [
        ("one bit of the nonce is changed", key, head, flipped(0)),
        ("one bit of the ciphertext is changed", key, head, flipped(30)),
        ("one bit of the tag is changed", key, head, flipped(payload.len() - 1)),
        ("the key of the next index", &next, head, payload.clone()),
        ("another head", key, &other_head[..], payload.clone()),
        ("shorter than nonce and tag", key, head, payload[..39].to_vec()),
        (
            "a nonce that is not the text's",
            key,
            head,
            seal_by_hand(key, head, foreign, plain(right)),
        ),
        ("padding that is not zero", key, head, by_hand(not_zero)),
        ("padding one step too long", key, head, by_hand(plain(right + 32))),
        ("padding one byte too short", key, head, by_hand(plain(right - 1))),
        ("no padding", key, head, by_hand(plain(item.len()))),
    ];
    cases
        .into_iter()
        .map(|(why, key, head, payload)| {
            let refused = match record::open(key, head, &payload) {
                Err(RecordError::Sealed) => "sealed",
                Err(RecordError::Nonce) => "nonce",
                Err(RecordError::Padding) => "padding",
                other => panic!("{why}: {:?}", other.err()),
            };
            json!({
                "why": why, "refused": refused, "record_key": hex(secret_of(key).expose()), "head": hex(head),
                "payload": hex(&payload),
            })
        })
        .collect()
}

/// Seals as a member could whose software does not follow the rules.
fn seal_by_hand(key: &RecordKey, head: &[u8], nonce: [u8; 24], plain: Vec<u8>) -> Vec<u8> {
    let encryption = secret_of(key).derive("enc", Context::Bytes(&[]));
    let message = Aead { msg: &plain, aad: head };
    let sealed = XChaCha20Poly1305::new(encryption.expose().into())
        .encrypt(&nonce.into(), message)
        .expect("a short plaintext");
    [&nonce, &sealed[..]].concat()
}

fn synthetic_nonce(key: &RecordKey, head: &[u8], plain: &[u8]) -> [u8; 24] {
    let nonce_key = secret_of(key).derive("nonce", Context::Bytes(&[]));
    let mac = Hmac::<Sha256>::new_from_slice(nonce_key.expose())
        .expect("HMAC takes a key of any length")
        .chain_update((head.len() as u64).to_be_bytes())
        .chain_update(head)
        .chain_update(plain)
        .finalize();
    mac.into_bytes()[..24].try_into().expect("24 of 32 bytes")
}

fn statement(content: Vec<u8>, files: Vec<File>) -> Statement {
    Statement {
        device: DEVICE,
        t_ms: T_MS,
        dctr: 41,
        seen: Seen { seq: Seq(7), hash: EntryHash([0x77; 32]) },
        checkpoint: Some(TreeHead { era: 0, size: 19, root: Digest([0x79; 32]) }),
        ptype: PayloadType::Content,
        content: Bytes(content),
        files,
    }
}

fn file() -> File {
    File {
        blob_root: Digest([0xb0; 32]),
        blob_size: 116,
        key: Secret::new([0xfc; 32]),
        plain_size: 100,
        plain_hash: Digest([0xfd; 32]),
        name: "Aufmaß.pdf".to_owned(),
        media_type: "application/pdf".to_owned(),
        role: FileRole::Original,
        of: None,
    }
}

/// docs/protocol.md §5: one capsule with every step between.
fn capsules() -> Value {
    let (a, b) = (archive_seed(0xa0), archive_seed(0xb0));
    let keys = ArchiveKeys { a: a.public(), b: b.public() };
    let (id_a, id_b) = keys.ids();
    let secret = epoch_secret(&[0x33; 32]);
    let context_bytes = Bytes(encode(&context()));
    let mut randomness = [0; 128];
    let bound = encode(&(context_bytes, id_a, id_b));
    secret.derive_into("capsule", Context::Bytes(&bound), &mut randomness);
    let body = capsule::seal(&epoch(&[0x33; 32]), &keys);
    let half_a = HalfA::open(&body, &a).expect("sealed to A");
    let half_b = HalfB::open(&body, &b).expect("sealed to B");
    capsule::open((LOG, Gen(0), Epoch(1)), &body, (&half_a, &half_b), &keys).expect("opens");
    let shared_b = XWingSeed::new(b.seed().clone()).decapsulate(&body.c_b);
    json!({ "cases": [{
        "context": hex(&encode(&context())), "epoch": hex(secret.expose()),
        "a": { "seed": hex(a.seed().expose()), "public": hex(&keys.a.to_bytes()), "id": hex(&id_a.0) },
        "b": { "seed": hex(b.seed().expose()), "public": hex(&keys.b.to_bytes()), "id": hex(&id_b.0) },
        "randomness": hex(&randomness),
        "shared_a": hex(secret_of(&half_a).expose()), "shared_b": hex(shared_b.expose()),
        "body": hex(&encode(&body)), "digest": hex(&body.digest().0),
    }]})
}

fn archive_seed(byte: u8) -> ArchiveSeed {
    ArchiveSeed::new(Secret::new([byte; 32]))
}

/// docs/protocol.md §9: a seed and three shares of it. Which shares a split gives is chance; that
/// any two of them give the seed is what can be checked.
fn shares() -> Value {
    let seed = archive_seed(0xa0);
    let shares = seed.split(&mut StdRng::seed_from_u64(0));
    json!({ "cases": [{
        "seed": hex(seed.seed().expose()),
        "shares": shares.map(|share| json!({ "share": hex(&share_bytes(&share)), "hash": hex(&share.hash().0) })),
    }]})
}

fn share_bytes(share: &Share) -> Vec<u8> {
    decode::<Bytes>(&encode(share)).expect("a share is a byte string").0
}

/// docs/protocol.md §9: HPKE with X-Wing.
fn sealed() -> Value {
    let key = XWingSeed::new(Secret::new([0x41; 32]));
    let randomness = [0x42; 64];
    let (info, aad, plain) = ("hauspost/1 opening", [0x43; 32], b"key list");
    let sealed = hpke::seal(&key.public(), info, &aad, plain, &mut Fixed(0x42));
    let shared = key.public().encapsulate(&randomness).1;
    json!({ "cases": [{
        "seed": hex(key.seed().expose()), "public": hex(&key.public().to_bytes()),
        "randomness": hex(&randomness), "shared": hex(shared.expose()),
        "info": info, "aad": hex(&aad), "plain": hex(plain),
        "enc": hex(&sealed.enc), "ct": hex(&sealed.ct),
    }]})
}

/// A generator that always gives the same byte, so that the vectors can name their randomness.
struct Fixed(u8);

impl TryRng for Fixed {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_ne_bytes([self.0; 4]))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_ne_bytes([self.0; 8]))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).expect("a constant of hexadecimal digits")
}

/// The fields of a list of ours, for reading.
fn fields(bytes: &[u8]) -> Value {
    fn item(from: &mut minicbor::Decoder<'_>) -> Option<Value> {
        Some(match from.datatype().ok()? {
            Type::Null => {
                from.null().ok()?;
                Value::Null
            }
            Type::Bytes => json!(format!("hex:{}", hex(from.bytes().ok()?))),
            Type::String => json!(format!("text:{}", from.str().ok()?)),
            Type::Array => {
                let len = from.array().ok()??;
                Value::Array((0..len).map(|_| item(from)).collect::<Option<_>>()?)
            }
            _ => json!(from.u64().ok()?),
        })
    }
    item(&mut minicbor::Decoder::new(bytes)).expect("a list of ours has five kinds of items")
}
