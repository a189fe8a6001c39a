//! docs/protocol.md §12: signatures of the company log, a voucher and an enrolment.

use hauspost_protocol::company::body::{
    CompanyBody, CompanyGenesis, DeviceEntry, KeySwitch, company_pin, history_key_hash,
};
use hauspost_protocol::company::entry::company_entry;
use hauspost_protocol::company::voucher::{Enrolment, Voucher};
use hauspost_protocol::crypto::{Secret, SigningKey};
use hauspost_protocol::entry::Seen;
use hauspost_protocol::ids::{Digest, EntryHash, Seq};
use serde_json::{Value, json};

use super::{COMPANY, DEVICE, T_MS, USER, fields, hex};

/// The file `company.json`.
pub fn company() -> Value {
    let (root, issuing, authority, seed, phone) = (key(1), key(2), key(3), key(4), key(5));
    let genesis = CompanyGenesis { company: COMPANY, root: root.public() };
    let switch = KeySwitch { seen: None, key: issuing.public(), active: true };
    let history_key = vec![6; 1216];
    let mut keystore_key = [7; 33];
    keystore_key[0] = 2;
    let enrolment = Enrolment {
        company: COMPANY,
        user: USER,
        device: DEVICE,
        signature_key: phone.public(),
        keystore_key,
        history_key: history_key_hash(&history_key),
    };
    let voucher = Voucher::sign(&authority, COMPANY, seed.public(), Some(USER), T_MS);
    let device = DeviceEntry {
        seen: Some(Seen { seq: Seq(1), hash: EntryHash([8; 32]) }),
        user: USER,
        device: DEVICE,
        signature_key: phone.public(),
        certificate: Digest([9; 32]),
        history_key: enrolment.history_key,
        keystore_key,
        voucher: Some(voucher),
        seed_signature: Some(enrolment.sign(&seed)),
        replaces: None,
    };
    let entries: Vec<(CompanyBody, Vec<&SigningKey>)> = vec![
        (genesis.into(), vec![&root]),
        (CompanyBody::IssuingKey(switch), vec![&root]),
        (device.into(), vec![&issuing, &root, &phone]),
    ];
    let entries: Vec<_> = entries
        .into_iter()
        .map(|(body, signers)| {
            let (head, payload) = company_entry(COMPANY, body, &signers);
            let seeds: Vec<_> = signers.iter().map(|key| hex(key.seed().expose())).collect();
            json!({
                "head": shown(&head), "payload": shown(&payload), "seeds": seeds,
            })
        })
        .collect();
    json!({
        "company": hex(&COMPANY.0),
        "pin": company_pin(&root.public()).to_string(),
        "history_key": hex(&history_key),
        "authority_seed": hex(authority.seed().expose()),
        "enrolment_seed": hex(seed.seed().expose()),
        "entries": entries,
    })
}

fn key(fill: u8) -> SigningKey {
    SigningKey::from_seed(Secret::new([fill; 32]))
}

fn shown(bytes: &[u8]) -> Value {
    json!({ "fields": fields(bytes), "bytes": hex(bytes) })
}
