//! Documents in the embedded store.

use hauspost_protocol::crypto::Secret;
use hauspost_protocol::file::{Layout, Present};
use hauspost_protocol::ids::{DeviceId, Digest, LogNo, Seq, TimeMs};
use rand::Rng as _;
use rand::rngs::StdRng;
use rusqlite::{Row, params};

use super::{SqliteTx, all, change, int, one, uint};
use crate::blobs::BlobId;
use crate::store::StoreError;
use crate::store::blobs::{BlobReads, BlobRow, BlobSum, BlobWrites, NewBlob};

/// Hashes of chunks in one row: 4 KiB, so that a chunk's check reads no more.
const PIECE: u32 = 128;

impl<R> BlobReads for SqliteTx<'_, R> {
    fn blob(&self, no: LogNo, root: Digest) -> Result<Option<BlobRow>, StoreError> {
        let sql = "SELECT id, size, uploader, begun_ms, present, named FROM blobs
                   WHERE no = ?1 AND root = ?2";
        let stored = one(self.main, "read a document", sql, params![int(no.0), root.0], stored)?;
        stored.map(Stored::parse).transpose()
    }

    fn blob_leaf(&self, blob: BlobId, chunk: u32) -> Result<Option<Digest>, StoreError> {
        let sql = "SELECT leaves FROM blob_leaves WHERE id = ?1 AND piece = ?2";
        let place = params![blob.0, chunk / PIECE];
        let piece: Option<Vec<u8>> =
            one(self.main, "read a chunk's hash", sql, place, |row| row.get(0))?;
        let at = (chunk % PIECE) as usize;
        Ok(piece.and_then(|piece| piece.as_chunks::<32>().0.get(at).copied()).map(Digest))
    }

    fn blob_key(&self, blob: BlobId) -> Result<Option<Secret>, StoreError> {
        let sql = "SELECT key FROM blob_keys WHERE id = ?1";
        one(self.shred, "read a shred key", sql, [blob.0], |row| row.get(0).map(Secret::new))
    }

    fn is_blob_named(
        &self,
        no: LogNo,
        root: Digest,
        from: Seq,
        to: Option<Seq>,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM blob_names
                   WHERE no = ?1 AND root = ?2 AND seq BETWEEN ?3 AND ?4 LIMIT 1";
        let to = to.map_or(i64::MAX, |to| int(to.0));
        let range = params![int(no.0), root.0, int(from.0), to];
        Ok(one(self.main, "look up a document's records", sql, range, |_| Ok(()))?.is_some())
    }

    fn blob_names(&self, no: LogNo, root: Digest) -> Result<Vec<Seq>, StoreError> {
        let sql = "SELECT seq FROM blob_names WHERE no = ?1 AND root = ?2 ORDER BY seq";
        let blob = params![int(no.0), root.0];
        all(self.main, "list a document's records", sql, blob, |row| uint(row, 0).map(Seq))
    }

    fn unnamed_blobs(&self, uploader: DeviceId) -> Result<BlobSum, StoreError> {
        let sql = "SELECT count(*), ifnull(sum(size), 0) FROM blobs
                   WHERE uploader = ?1 AND named = 0";
        let found = one(self.main, "sum up uploads", sql, [uploader.0], sum)?;
        Ok(found.unwrap_or_default())
    }

    fn oldest_unnamed_blob(&self, uploader: DeviceId) -> Result<Option<TimeMs>, StoreError> {
        let sql = "SELECT begun_ms FROM blobs WHERE uploader = ?1 AND named = 0
                   ORDER BY begun_ms LIMIT 1";
        one(self.main, "look for an upload", sql, [uploader.0], |row| uint(row, 0))
    }

    fn blobs_of(&self, uploader: DeviceId) -> Result<BlobSum, StoreError> {
        let sql = "SELECT count(*), ifnull(sum(size), 0) FROM blobs WHERE uploader = ?1";
        let found = one(self.main, "sum up a device's documents", sql, [uploader.0], sum)?;
        Ok(found.unwrap_or_default())
    }

    fn all_blobs(&self) -> Result<BlobSum, StoreError> {
        let sql = "SELECT blobs, bytes FROM blob_totals";
        let found = one(self.main, "sum up documents", sql, [], sum)?;
        Ok(found.unwrap_or_default())
    }

    fn abandoned_blobs(
        &self,
        before_ms: TimeMs,
        most: usize,
    ) -> Result<Vec<(LogNo, Digest)>, StoreError> {
        let sql = "SELECT no, root FROM blobs WHERE named = 0 AND begun_ms < ?1
                   ORDER BY begun_ms LIMIT ?2";
        let which = params![int(before_ms), int(most as u64)];
        all(self.main, "list abandoned uploads", sql, which, |row| {
            Ok((LogNo(uint(row, 0)?), Digest(row.get(1)?)))
        })
    }
}

impl BlobWrites for SqliteTx<'_, &mut StdRng> {
    fn begin_blob(&mut self, no: LogNo, blob: &NewBlob<'_>) -> Result<BlobId, StoreError> {
        const ACTION: &str = "begin a document";
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        let key = Secret::random(self.rng);
        let sql = "INSERT INTO blob_keys (id, key) VALUES (?1, ?2)";
        change(self.shred, ACTION, sql, params![id, key.expose()])?;
        let sql = "INSERT INTO blobs (no, root, id, size, uploader, begun_ms, present, named)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)";
        let size = int(blob.layout.blob_size());
        let present = Present::none(blob.layout);
        let row = params![
            int(no.0),
            blob.root.0,
            id,
            size,
            blob.uploader.0,
            int(blob.begun_ms),
            present.as_bytes(),
        ];
        change(self.main, ACTION, sql, row)?;
        let sql = "INSERT INTO blob_leaves (id, piece, leaves) VALUES (?1, ?2, ?3)";
        let leaves: Vec<u8> = blob.leaves.iter().flat_map(|leaf| leaf.0).collect();
        for (piece, leaves) in (0u32..).zip(leaves.chunks(PIECE as usize * 32)) {
            change(self.main, ACTION, sql, params![id, piece, leaves])?;
        }
        let sql = "UPDATE blob_totals SET blobs = blobs + 1, bytes = bytes + ?1";
        change(self.main, ACTION, sql, [size])?;
        Ok(BlobId(id))
    }

    fn resume_blob(&mut self, no: LogNo, root: Digest, now_ms: TimeMs) -> Result<(), StoreError> {
        let sql = "UPDATE blobs SET begun_ms = max(begun_ms, ?3) WHERE no = ?1 AND root = ?2";
        let row = params![int(no.0), root.0, int(now_ms)];
        change(self.main, "resume a document", sql, row).map(|_| ())
    }

    fn put_chunks(&mut self, no: LogNo, root: Digest, chunks: &[u32]) -> Result<(), StoreError> {
        let mut row = self.blob(no, root)?.ok_or(StoreError::Damaged("document"))?;
        if chunks.iter().all(|chunk| row.present.has(*chunk)) {
            return Ok(());
        }
        chunks.iter().for_each(|chunk| row.present.add(*chunk));
        let present = (!row.is_complete()).then(|| row.present.as_bytes());
        let sql = "UPDATE blobs SET present = ?3 WHERE no = ?1 AND root = ?2";
        let change_to = params![int(no.0), root.0, present];
        change(self.main, "note chunks", sql, change_to).map(|_| ())
    }

    fn name_blob(&mut self, no: LogNo, root: Digest, seq: Seq) -> Result<(), StoreError> {
        const ACTION: &str = "name a document";
        let sql = "INSERT OR IGNORE INTO blob_names (no, root, seq) VALUES (?1, ?2, ?3)";
        change(self.main, ACTION, sql, params![int(no.0), root.0, int(seq.0)])?;
        let sql = "UPDATE blobs SET named = 1 WHERE no = ?1 AND root = ?2 AND named = 0";
        change(self.main, ACTION, sql, params![int(no.0), root.0]).map(|_| ())
    }

    fn drop_blob(&mut self, no: LogNo, root: Digest) -> Result<Option<BlobId>, StoreError> {
        const ACTION: &str = "forget a document";
        let sql = "DELETE FROM blobs WHERE no = ?1 AND root = ?2 RETURNING id, size";
        let gone = one(self.main, ACTION, sql, params![int(no.0), root.0], |row| {
            Ok((row.get::<_, [u8; 16]>(0)?, uint(row, 1)?))
        })?;
        let Some((id, size)) = gone else { return Ok(None) };
        change(self.shred, ACTION, "DELETE FROM blob_keys WHERE id = ?1", [id])?;
        change(self.main, ACTION, "DELETE FROM blob_leaves WHERE id = ?1", [id])?;
        let sql = "UPDATE blob_totals SET blobs = blobs - 1, bytes = bytes - ?1";
        change(self.main, ACTION, sql, [int(size)])?;
        Ok(Some(BlobId(id)))
    }

    fn drop_idle_keys(
        &mut self,
        after: Option<BlobId>,
        most: usize,
    ) -> Result<(usize, Option<BlobId>), StoreError> {
        const ACTION: &str = "drop keys without a document";
        let sql = "SELECT id FROM blob_keys WHERE id > ?1 ORDER BY id LIMIT ?2";
        let after = after.map(|after| after.0.to_vec()).unwrap_or_default();
        let keys = params![after, int(most as u64)];
        let keys: Vec<[u8; 16]> = all(self.shred, ACTION, sql, keys, |row| row.get(0))?;
        let mut dropped = 0;
        for id in &keys {
            let sql = "SELECT 1 FROM blobs WHERE id = ?1";
            if one(self.main, ACTION, sql, [id], |_| Ok(()))?.is_none() {
                change(self.shred, ACTION, "DELETE FROM blob_keys WHERE id = ?1", [id])?;
                dropped += 1;
            }
        }
        let next = keys.last().filter(|_| keys.len() == most).map(|id| BlobId(*id));
        Ok((dropped, next))
    }
}

/// A row as it is stored; without a bitmap all chunks are there.
struct Stored {
    id: [u8; 16],
    size: u64,
    uploader: [u8; 16],
    begun_ms: u64,
    present: Option<Vec<u8>>,
    named: bool,
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get(0)?,
        size: uint(row, 1)?,
        uploader: row.get(2)?,
        begun_ms: uint(row, 3)?,
        present: row.get(4)?,
        named: row.get(5)?,
    })
}

impl Stored {
    fn parse(self) -> Result<BlobRow, StoreError> {
        let damaged = StoreError::Damaged("document");
        let layout = Layout::of_blob(self.size).ok_or(damaged.clone())?;
        let present = match self.present {
            Some(bytes) => Present::from_bytes(bytes, layout).ok_or(damaged)?,
            None => Present::all(layout),
        };
        Ok(BlobRow {
            id: BlobId(self.id),
            layout,
            uploader: DeviceId(self.uploader),
            begun_ms: self.begun_ms,
            present,
            is_named: self.named,
        })
    }
}

fn sum(row: &Row<'_>) -> rusqlite::Result<BlobSum> {
    Ok(BlobSum { count: uint(row, 0)?, bytes: uint(row, 1)? })
}
