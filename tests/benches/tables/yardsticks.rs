//! What the parts cost alone: signatures, the AEAD, SQLCipher, the disk.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hauspost_protocol::crypto::{Batch, PublicKey, Signature, SigningKey};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rusqlite::Connection;

use crate::table::measure;

const LABEL: &str = "hauspost/1 bench";

/// One Ed25519 signature over so many bytes.
pub fn sign(size: usize) -> Duration {
    let key = SigningKey::random(&mut StdRng::seed_from_u64(1));
    let message = vec![7; size];
    measure(500, |_| _ = key.sign(LABEL, &message)).median()
}

/// One Ed25519 verification, alone and in a batch of 1,000.
pub fn verify(size: usize) -> (Duration, Duration) {
    let mut rng = StdRng::seed_from_u64(1);
    let keys: Vec<SigningKey> = (0..4).map(|_| SigningKey::random(&mut rng)).collect();
    let signed: Vec<(PublicKey, Vec<u8>, Signature)> = (0..1_000)
        .map(|number| {
            let mut message = vec![0; size];
            rng.fill_bytes(&mut message);
            let key = &keys[number % keys.len()];
            let signature = key.sign(LABEL, &message);
            (key.public(), message, signature)
        })
        .collect();
    let one = measure(500, |number| {
        let (key, message, signature) = &signed[number];
        key.verify(LABEL, message, signature).unwrap();
    });
    let batch = measure(10, |_| {
        let mut batch = Batch::default();
        for (key, message, signature) in &signed {
            batch.add(key, LABEL, message, signature);
        }
        batch.verify(&mut rng).unwrap();
    });
    (one.median(), batch.median() / 1_000)
}

/// XChaCha20-Poly1305: opening so many bytes.
pub fn open(size: usize) -> Duration {
    let cipher = XChaCha20Poly1305::new(&[3; 32].into());
    let nonce = XNonce::from([4; 24]);
    let sealed = cipher.encrypt(&nonce, vec![5; size].as_slice()).unwrap();
    measure(2_000, |_| drop(cipher.decrypt(&nonce, sealed.as_slice()).unwrap())).median()
}

/// SQLCipher with the phone's settings and nothing of ours: one table, and a full-text row each.
pub struct PlainSqlcipher(Connection);

impl PlainSqlcipher {
    pub fn create(path: &Path) -> Self {
        let conn = Connection::open(path).unwrap();
        let key = format!("x'{}{}'", "07".repeat(32), "08".repeat(16));
        conn.key(None::<&str>, key, false).unwrap();
        conn.execute_batch(
            "PRAGMA cipher_hmac_algorithm = HMAC_SHA256; PRAGMA cipher_memory_security = OFF;
             PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE message (id INTEGER PRIMARY KEY, log INTEGER, unique_id BLOB, text TEXT);
             CREATE INDEX message_log ON message (log, id);
             CREATE VIRTUAL TABLE search USING fts5
                 (words, content = '', columnsize = 0, detail = none, prefix = '1 2 3');",
        )
        .unwrap();
        Self(conn)
    }

    /// Inserts the texts, so many in a transaction; the mean time of one.
    pub fn insert(&mut self, texts: &[String], batch: usize, indexed: bool) -> Duration {
        let mut rng = StdRng::seed_from_u64(2);
        let began = Instant::now();
        for batch in texts.chunks(batch) {
            let tx = self.0.transaction().unwrap();
            for text in batch {
                let mut unique = [0; 32];
                rng.fill_bytes(&mut unique);
                tx.prepare_cached("INSERT INTO message (log, unique_id, text) VALUES (?1, ?2, ?3)")
                    .unwrap()
                    .execute(rusqlite::params![rng.random_range(0..1_000), unique, text])
                    .unwrap();
                if indexed {
                    let id = tx.last_insert_rowid();
                    tx.prepare_cached("INSERT INTO search (rowid, words) VALUES (?1, ?2)")
                        .unwrap()
                        .execute(rusqlite::params![id, text])
                        .unwrap();
                }
            }
            tx.commit().unwrap();
        }
        began.elapsed() / texts.len() as u32
    }
}

/// Writing a page and syncing it to the disk of this folder.
pub fn sync_to_disk(folder: &Path) -> Duration {
    let mut file = std::fs::File::create(folder.join("synced")).unwrap();
    measure(100, |_| {
        file.write_all(&[1; 4096]).unwrap();
        file.sync_data().unwrap();
    })
    .median()
}
