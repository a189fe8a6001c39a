//! History grants in the embedded store.

use hauspost_protocol::ids::{DeviceId, Digest, LogNo, Seq, TimeMs, UserId};
use rand::rngs::StdRng;
use rusqlite::params;

use super::{SqliteTx, all, change, int, one, uint};
use crate::store::StoreError;
use crate::store::grants::{GrantReads, GrantWrites, NewGrant};

impl<R> GrantReads for SqliteTx<'_, R> {
    fn granted(&self, no: LogNo, device: DeviceId) -> Result<Vec<(Seq, Seq)>, StoreError> {
        let sql = "SELECT from_seq, to_seq FROM grant_ranges WHERE device = ?1 AND no = ?2
                   ORDER BY from_seq, to_seq";
        let of = params![device.0, int(no.0)];
        all(self.main, "read grants", sql, of, |row| Ok((Seq(uint(row, 0)?), Seq(uint(row, 1)?))))
    }

    fn is_granted(&self, no: LogNo, device: DeviceId, seq: Seq) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM grant_ranges
                   WHERE device = ?1 AND no = ?2 AND from_seq <= ?3 AND to_seq >= ?3
                   ORDER BY from_seq DESC LIMIT 1";
        let entry = params![device.0, int(no.0), int(seq.0)];
        Ok(one(self.main, "look up a grant", sql, entry, |_| Ok(()))?.is_some())
    }

    fn is_granted_list(
        &self,
        no: LogNo,
        root: Digest,
        device: DeviceId,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM grant_lists WHERE no = ?1 AND root = ?2 AND device = ?3";
        let list = params![int(no.0), root.0, device.0];
        Ok(one(self.main, "look up a grant", sql, list, |_| Ok(()))?.is_some())
    }

    fn handed_over(&self, user: UserId) -> Result<Vec<(LogNo, u64)>, StoreError> {
        let sql = "SELECT no, size FROM handed_over WHERE user = ?1 ORDER BY no";
        all(self.main, "read what was handed over", sql, [user.0], |row| {
            Ok((LogNo(uint(row, 0)?), uint(row, 1)?))
        })
    }

    fn lists_picked_before(
        &self,
        before_ms: TimeMs,
        most: usize,
    ) -> Result<Vec<(LogNo, Digest)>, StoreError> {
        let sql = "SELECT no, root FROM grant_lists WHERE picked_ms < ?1
                   ORDER BY picked_ms LIMIT ?2";
        let which = params![int(before_ms), int(most as u64)];
        all(self.main, "list grants that were picked up", sql, which, |row| {
            Ok((LogNo(uint(row, 0)?), Digest(row.get(1)?)))
        })
    }
}

impl GrantWrites for SqliteTx<'_, &mut StdRng> {
    fn put_grant(&mut self, no: LogNo, grant: &NewGrant<'_>) -> Result<(), StoreError> {
        const ACTION: &str = "note a grant";
        let (device, root) = (grant.device.0, grant.root.0);
        let sql = "INSERT INTO grant_lists (no, root, device, seq) VALUES (?1, ?2, ?3, ?4)";
        change(self.main, ACTION, sql, params![int(no.0), root, device, int(grant.seq.0)])?;
        let sql = "INSERT OR IGNORE INTO grant_ranges (device, no, from_seq, to_seq)
                   VALUES (?1, ?2, ?3, ?4)";
        for (from, to) in grant.ranges {
            let range = params![device, int(no.0), int(from.0), int(to.0)];
            change(self.main, ACTION, sql, range)?;
        }
        let sql = "UPDATE blobs SET named = 1 WHERE no = ?1 AND root = ?2 AND named = 0";
        change(self.main, ACTION, sql, params![int(no.0), root]).map(|_| ())
    }

    fn hand_over(&mut self, no: LogNo, user: UserId, seq: Seq) -> Result<(), StoreError> {
        let sql = "INSERT INTO handed_over (user, no, size) VALUES (?1, ?2, ?3)
                   ON CONFLICT (user, no) DO UPDATE SET size = excluded.size";
        let row = params![user.0, int(no.0), int(seq.0 + 1)];
        change(self.main, "note what is handed over", sql, row).map(|_| ())
    }

    fn pick_list(&mut self, no: LogNo, root: Digest, now_ms: TimeMs) -> Result<(), StoreError> {
        let sql = "UPDATE grant_lists SET picked_ms = ?3
                   WHERE no = ?1 AND root = ?2 AND picked_ms IS NULL";
        let picked = params![int(no.0), root.0, int(now_ms)];
        change(self.main, "note that a grant was picked up", sql, picked).map(|_| ())
    }

    fn forget_list(&mut self, no: LogNo, root: Digest) -> Result<(), StoreError> {
        let sql = "DELETE FROM grant_lists WHERE no = ?1 AND root = ?2";
        change(self.main, "forget a grant's keys", sql, params![int(no.0), root.0]).map(|_| ())
    }
}
