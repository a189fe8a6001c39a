//! docs/protocol.md §10: a key list, its blob, the entry that hands it over, and the control that asks.

use hauspost_protocol::body::{GrantBasis, GrantBody, SignedPayload};
use hauspost_protocol::content::Control;
use hauspost_protocol::crypto::{Secret, SigningKey, sha256};
use hauspost_protocol::encoding::encode;
use hauspost_protocol::entry::{At, Head, Kind, Seen};
use hauspost_protocol::epoch::{Chains, EpochContext, EpochSecret};
use hauspost_protocol::grant;
use hauspost_protocol::ids::{Digest, EntryHash, Epoch, Gen, KeyId, LeafIndex, RecordIndex, Seq};
use hauspost_protocol::key_list::KeyList;
use hauspost_protocol::rules::form;
use hauspost_protocol::xwing::XWingSeed;
use serde_json::{Value, json};

use super::{DEVICE, Fixed, LOG, fields, hex};

/// The file `grants.json`.
pub fn grants() -> Value {
    let signer = SigningKey::from_seed(Secret::new([0x53; 32]));
    let grantee = XWingSeed::new(Secret::new([0x6e; 32]));
    let context = EpochContext { log: LOG, r#gen: Gen(0), epoch: Epoch(3), ga: Digest([2; 32]) };
    let mut chains = Chains::new(EpochSecret::from_exporter(&[9; 32], context));
    let mut key = |index| chains.take(LeafIndex(4), RecordIndex(index)).expect("the next key");
    let keys = [(30, key(0)), (31, key(1)), (35, key(2)), (300, key(3))];
    let keys = KeyList::new(keys.map(|(seq, key)| (Seq(seq), key)));
    let file_key = Secret::new([0xf1; 32]);
    let sealed = grant::seal_list(&keys, LOG, &file_key).expect("a short list");
    let ranges = vec![(Seq(30), Seq(35)), (Seq(300), Seq(300))];

    let blobs = vec![sealed.blob];
    let head = Head { blobs, ..Head::plain(Kind::Grant, LOG, Gen(0), Epoch(7)) };
    let head = encode(&head);
    let to = grant::seal_key(&file_key, &head, &grantee.public(), &mut Fixed(0x42));
    let body = encode(&GrantBody {
        seen: Some(Seen { seq: Seq(410), hash: EntryHash([0x5e; 32]) }),
        at: At { co: 23, company_hash: EntryHash([0xc0; 32]) },
        grantee: KeyId([0x0f; 16]),
        basis: GrantBasis::Own,
        ranges: ranges.clone(),
        enc: to.enc,
        ct: to.ct,
    });
    let payload = encode(&SignedPayload::sign(&signer, &head, body.clone(), DEVICE));
    form::parse(&head, &payload).expect("it has the form of a grant");
    let ask = encode(&Control::Ask(ranges));
    json!({
        "signer": { "seed": hex(signer.seed().expose()), "device": hex(&DEVICE.0) },
        "grantee": { "seed": hex(&[0x6e; 32]), "randomness": hex(&[0x42; 64]) },
        "log": hex(&LOG.0),
        "keys": keys.iter().map(|(seq, key)| json!({ "seq": seq.0, "key": hex(&encode(key)[2..]) }))
            .collect::<Vec<_>>(),
        "file_key": hex(file_key.expose()),
        "chunk": hex(&sealed.chunks[0]),
        "head": { "fields": fields(&head), "bytes": hex(&head) },
        "body": { "fields": fields(&body), "bytes": hex(&body) },
        "payload": hex(&payload),
        "core": hex(&Head::core(&head, sha256(&payload), payload.len() as u64).0),
        "ask": { "fields": fields(&ask), "bytes": hex(&ask) },
    })
}
