//! docs/protocol.md §8: documents. The plaintext is byte i = i mod 251; of a chunk that is not short
//! its SHA-256 is shown.

use hauspost_protocol::crypto::{Context, Secret, sha256};
use hauspost_protocol::file::{FileCipher, Layout, Leaves};
use serde_json::{Value, json};

use super::{LOG, hex};

/// The file.
pub fn documents() -> Value {
    let key = Secret::new([0xf1; 32]);
    let document = |size: usize| {
        let plain: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let layout = Layout::of_plain(size as u64).expect("a small document");
        let cipher = FileCipher::new(&key, LOG, layout);
        let (mut leaves, mut chunks, mut at) = (Leaves::default(), Vec::new(), 0);
        for chunk in 0..layout.chunks() {
            let end = at + layout.plain_len(chunk).expect("a chunk of it");
            let mut sealed = plain[at..end].to_vec();
            cipher.seal(chunk, &mut sealed).expect("a chunk of its length");
            leaves.push(&sealed);
            at = end;
            let hash = sha256(&sealed);
            let shown = (sealed.len() <= 64).then(|| hex(&sealed));
            chunks.push(json!({ "length": sealed.len(), "bytes": shown, "sha256": hex(&hash.0) }));
        }
        json!({
            "plain_size": size, "blob_size": layout.blob_size(), "chunks": chunks,
            "blob_root": hex(&leaves.root().0),
        })
    };
    let documents = [0, 5, 65_536, 65_541, 200_000].map(document);
    let key_of_log = key.derive("file", Context::Bytes(&LOG.0));
    json!({
        "file_key": hex(key.expose()), "log": hex(&LOG.0), "chunk_key": hex(key_of_log.expose()),
        "documents": documents,
        "sizes_of_no_document": [0, 15, 65_553, 65_568, (1u64 << 32) + 1],
    })
}
