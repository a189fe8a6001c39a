//! A payload under its shred key.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload as AeadPayload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::ids::{CoreHash, LogNo, Seq};
use rusqlite::{Connection, params};

use super::{change, int, one};
use crate::store::StoreError;

/// The company log is clear and never erased; its payloads need no key.
pub fn is_sealed(no: LogNo) -> bool {
    no != LogNo(0)
}

/// A key seals one payload and no other, so that a fixed nonce is right.
const NONCE: [u8; 12] = [0; 12];

/// Seals a payload in its place.
pub fn seal(key: &Secret, core: CoreHash, payload: &[u8]) -> Vec<u8> {
    let plain = AeadPayload { msg: payload, aad: &core.0 };
    ChaCha20Poly1305::new(key.expose().into())
        .encrypt(Nonce::from_slice(&NONCE), plain)
        .expect("a payload is far below the cipher's limit")
}

/// Opens a payload.
pub fn open(key: &Secret, core: CoreHash, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let sealed = AeadPayload { msg: sealed, aad: &core.0 };
    ChaCha20Poly1305::new(key.expose().into())
        .decrypt(Nonce::from_slice(&NONCE), sealed)
        .map_err(|_| StoreError::Damaged("payload"))
}

/// Keeps a key. One that a crash left behind at this place is replaced.
pub fn put_key(shred: &Connection, no: LogNo, seq: Seq, key: &Secret) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO shred_keys (no, seq, key) VALUES (?1, ?2, ?3)";
    let row = params![int(no.0), int(seq.0), key.expose()];
    change(shred, "keep a shred key", sql, row).map(|_| ())
}

/// The key of a place, if it was not deleted.
pub fn key(shred: &Connection, no: LogNo, seq: Seq) -> Result<Option<Secret>, StoreError> {
    let sql = "SELECT key FROM shred_keys WHERE no = ?1 AND seq = ?2";
    let place = params![int(no.0), int(seq.0)];
    one(shred, "read a shred key", sql, place, |row| row.get(0).map(Secret::new))
}
