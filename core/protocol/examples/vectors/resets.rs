//! docs/protocol.md §7, "Reset": the entry that begins the next generation.

use hauspost_protocol::body::{ResetBody, ResetReason, SignedPayload};
use hauspost_protocol::crypto::{Secret, SigningKey, sha256};
use hauspost_protocol::encoding::encode;
use hauspost_protocol::entry::{At, Head, Kind, Seen};
use hauspost_protocol::ids::{DeviceId, EntryHash, Epoch, Gen, Seq};
use hauspost_protocol::mls::extension::group_id;
use hauspost_protocol::rules::form;
use serde_json::{Value, json};

use super::{DEVICE, LOG, fields, hex};

/// The file `resets.json`.
pub fn resets() -> Value {
    let key = SigningKey::from_seed(Secret::new([0x53; 32]));
    let others = [0x0d, 0x0e, 0x0f].map(|fill| DeviceId([fill; 16]));
    let [ben, clara, dora] = others;
    let body = |reason, bad_seq, roster: &[DeviceId], missing: &[DeviceId]| ResetBody {
        seen: Some(Seen { seq: Seq(41), hash: EntryHash([0x5e; 32]) }),
        at: At { co: 23, company_hash: EntryHash([0xc0; 32]) },
        reason,
        bad_seq,
        roster: roster.to_vec(),
        missing: missing.to_vec(),
    };
    let cases = [
        (1, body(ResetReason::Broken, Some(Seq(39)), &[ben, clara, DEVICE], &[dora])),
        (2, body(ResetReason::Migrate, None, &[ben, clara, dora, DEVICE], &[])),
        (258, body(ResetReason::Admin, None, &[DEVICE], &[ben, clara, dora])),
    ];
    let entries = cases.map(|(r#gen, body)| {
        let head = encode(&Head::plain(Kind::Reset, LOG, Gen(r#gen), Epoch(0)));
        let body = encode(&body);
        let payload = encode(&SignedPayload::sign(&key, &head, body.clone(), DEVICE));
        form::parse(&head, &payload).expect("it has the form of a reset");
        json!({
            "head": { "fields": fields(&head), "bytes": hex(&head) },
            "body": { "fields": fields(&body), "bytes": hex(&body) },
            "payload": hex(&payload),
            "core": hex(&Head::core(&head, sha256(&payload), payload.len() as u64).0),
            "group_id": hex(group_id(LOG, Gen(r#gen)).as_slice()),
        })
    });
    let refused = [
        ("the first generation", Head::plain(Kind::Reset, LOG, Gen(0), Epoch(0))),
        ("an epoch", Head::plain(Kind::Reset, LOG, Gen(1), Epoch(1))),
        (
            "the class of receipts",
            Head { transient: true, ..Head::plain(Kind::Reset, LOG, Gen(1), Epoch(0)) },
        ),
    ];
    json!({
        "signer": { "seed": hex(key.seed().expose()), "device": hex(&DEVICE.0) },
        "entries": entries,
        "refused_heads": refused.map(|(why, head)| {
            let bytes = encode(&head);
            Head::parse(&bytes).expect_err("a reset has no such head");
            json!({ "why": why, "fields": fields(&bytes), "bytes": hex(&bytes) })
        }),
    })
}
