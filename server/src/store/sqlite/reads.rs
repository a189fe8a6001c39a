//! Reads of the embedded store.

use hauspost_protocol::company::approval::WaitingDevice;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::entry::{Entry, Kind, Payload};
use hauspost_protocol::ids::{
    CoreHash, DeviceId, Digest, EntryHash, Epoch, Gen, LeafIndex, LogId, LogNo, Seq, UserId,
};
use hauspost_protocol::wire::Person;
use rusqlite::{Row, params};

use super::{SqliteTx, all, backend, int, one, payload, uint};
use crate::store::{
    Budget, ConversationRow, EnrolmentRow, EntryRow, LogRow, Membership, OuterRow, ReadTx,
    Reservation, StoreError, Usage,
};

impl<R> ReadTx for SqliteTx<'_, R> {
    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT value FROM settings WHERE name = ?1";
        one(self.main, "read a setting", sql, [name], |row| row.get(0))
    }

    fn reservation(&self, no: LogNo) -> Result<Option<Reservation>, StoreError> {
        let sql = "SELECT user, log FROM log_numbers WHERE no = ?1";
        one(self.main, "read a reservation", sql, [int(no.0)], |row| {
            let log: Option<[u8; 16]> = row.get(1)?;
            Ok(Reservation { user: UserId(row.get(0)?), log: log.map(LogId) })
        })
    }

    fn open_reservations(&self, user: UserId) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM log_numbers WHERE user = ?1 AND log IS NULL";
        let count = one(self.main, "count reservations", sql, [user.0], |row| uint(row, 0))?;
        Ok(count.unwrap_or(0))
    }

    fn reserved(&self) -> Result<u64, StoreError> {
        let sql = "SELECT ifnull(max(no) + 1, 0) FROM log_numbers";
        let next = one(self.main, "count log numbers", sql, [], |row| uint(row, 0))?;
        Ok(next.unwrap_or(0))
    }

    fn log(&self, log: LogId) -> Result<Option<LogRow>, StoreError> {
        let sql = "SELECT no, log, size, head, t_ms, co FROM logs WHERE log = ?1";
        one(self.main, "read a log", sql, [log.0], log_row)
    }

    fn log_by_no(&self, no: LogNo) -> Result<Option<LogRow>, StoreError> {
        let sql = "SELECT no, log, size, head, t_ms, co FROM logs WHERE no = ?1";
        one(self.main, "read a log", sql, [int(no.0)], log_row)
    }

    fn logs(&self) -> Result<Vec<LogRow>, StoreError> {
        let sql = "SELECT no, log, size, head, t_ms, co FROM logs ORDER BY no";
        all(self.main, "list the logs", sql, [], log_row)
    }

    fn pair(&self, users: (UserId, UserId)) -> Result<Option<LogId>, StoreError> {
        let (low, high) = sorted(users);
        let sql = "SELECT log FROM pairs WHERE low = ?1 AND high = ?2";
        one(self.main, "read a pair", sql, params![low.0, high.0], |row| row.get(0).map(LogId))
    }

    fn entry(&self, no: LogNo, seq: Seq) -> Result<Option<EntryRow>, StoreError> {
        let only = Budget { entries: 1, bytes: 0 };
        let rows = self.entries(no, seq, only, &|_| true)?;
        Ok(rows.into_iter().next().filter(|row| row.entry.seq == seq))
    }

    fn entries(
        &self,
        no: LogNo,
        from: Seq,
        budget: Budget,
        wanted: &dyn Fn(&EntryRow) -> bool,
    ) -> Result<Vec<EntryRow>, StoreError> {
        const ACTION: &str = "read entries";
        let mut statement = self
            .main
            .prepare_cached(
                "SELECT e.seq, e.kind, e.head, e.payload_hash, e.payload_len, e.t_ms, e.co, e.core,
                        e.hash, e.author, p.payload
                 FROM entries e LEFT JOIN payloads p ON p.no = e.no AND p.seq = e.seq
                 WHERE e.no = ?1 AND e.seq >= ?2 ORDER BY e.seq LIMIT ?3",
            )
            .map_err(backend(ACTION))?;
        let mut rows = statement
            .query(params![int(no.0), int(from.0), int(budget.entries as u64)])
            .map_err(backend(ACTION))?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next().map_err(backend(ACTION))? {
            let mut entry = entry_row(row).map_err(backend(ACTION))?;
            if wanted(&entry) {
                let stored: Option<Vec<u8>> = row.get(10).map_err(backend(ACTION))?;
                self.open_payload(no, &mut entry, stored)?;
            }
            bytes += entry.size_bytes();
            if bytes > budget.bytes && !entries.is_empty() {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn seq_of_core(&self, no: LogNo, core: CoreHash) -> Result<Option<Seq>, StoreError> {
        let sql = "SELECT seq FROM entries WHERE core = ?1 AND no = ?2";
        let key = params![core.0, int(no.0)];
        one(self.main, "look up a core", sql, key, |row| uint(row, 0).map(Seq))
    }

    fn conversation(&self, no: LogNo) -> Result<Option<ConversationRow>, StoreError> {
        let sql = "SELECT state, public FROM conversations WHERE no = ?1";
        one(self.main, "read a conversation's state", sql, [int(no.0)], |row| {
            Ok(ConversationRow { state: row.get(0)?, public: row.get(1)? })
        })
    }

    fn conversation_state(&self, no: LogNo) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT state FROM conversations WHERE no = ?1";
        one(self.main, "read a conversation's state", sql, [int(no.0)], |row| row.get(0))
    }

    fn chain(&self, no: LogNo, leaf: LeafIndex) -> Result<u32, StoreError> {
        let sql = "SELECT next FROM chains WHERE no = ?1 AND leaf = ?2";
        let next =
            one(self.main, "read a chain", sql, params![int(no.0), leaf.0], |row| row.get(0))?;
        Ok(next.unwrap_or(0))
    }

    fn newest_change(&self) -> Result<u64, StoreError> {
        let sql = "SELECT ifnull(max(changed), 0) FROM logs";
        let newest = one(self.main, "number a change", sql, [], |row| uint(row, 0))?;
        Ok(newest.unwrap_or(0))
    }

    fn changed_after(&self, change: u64) -> Result<Vec<LogNo>, StoreError> {
        let sql = "SELECT no FROM logs WHERE changed > ?1 ORDER BY no";
        all(self.main, "list the changed logs", sql, [int(change)], |row| Ok(LogNo(uint(row, 0)?)))
    }

    fn size_at(&self, no: LogNo, change: u64) -> Result<u64, StoreError> {
        let sql = "SELECT seq + 1 FROM entries WHERE no = ?1 AND change <= ?2
                   ORDER BY seq DESC LIMIT 1";
        let place = [int(no.0), int(change)];
        let size = one(self.main, "read a log's size", sql, place, |row| uint(row, 0))?;
        Ok(size.unwrap_or(0))
    }

    fn memberships(&self, device: DeviceId) -> Result<Vec<Membership>, StoreError> {
        let sql = "SELECT no, device, from_seq, to_seq FROM members WHERE device = ?1
                   ORDER BY no, from_seq";
        all(self.main, "read memberships", sql, [device.0], membership)
    }

    fn stays(&self, no: LogNo, device: DeviceId) -> Result<Vec<Membership>, StoreError> {
        let sql = "SELECT no, device, from_seq, to_seq FROM members WHERE device = ?1 AND no = ?2
                   ORDER BY from_seq";
        let of = params![device.0, int(no.0)];
        all(self.main, "read memberships", sql, of, membership)
    }

    fn members(&self, no: LogNo) -> Result<Vec<Membership>, StoreError> {
        let sql = "SELECT no, device, from_seq, to_seq FROM members WHERE no = ?1
                   ORDER BY device, from_seq";
        all(self.main, "read members", sql, [int(no.0)], membership)
    }

    fn let_in(&self, user: UserId) -> Result<Vec<(LogNo, Option<u64>)>, StoreError> {
        let sql = "SELECT no, until FROM let_in WHERE user = ?1 ORDER BY no";
        all(self.main, "read who may enter", sql, [user.0], |row| {
            let until: Option<i64> = row.get(1)?;
            Ok((LogNo(uint(row, 0)?), until.map(i64::cast_unsigned)))
        })
    }

    fn is_let_in(&self, no: LogNo, user: UserId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM let_in WHERE user = ?1 AND no = ?2 AND until IS NULL";
        let key = params![user.0, int(no.0)];
        let found = one(self.main, "read who may enter", sql, key, |row| row.get::<_, i64>(0))?;
        Ok(found.is_some())
    }

    fn tree(&self, no: LogNo, hash: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT tree FROM trees WHERE no = ?1 AND hash = ?2";
        one(self.main, "read a tree", sql, params![int(no.0), hash.0], |row| row.get(0))
    }

    fn group_infos(
        &self,
        no: LogNo,
        r#gen: Gen,
        epoch: Epoch,
    ) -> Result<Vec<(DeviceId, Vec<u8>)>, StoreError> {
        let sql = "SELECT device, info FROM group_infos WHERE no = ?1 AND gen = ?2 AND epoch = ?3
                   ORDER BY id";
        let key = params![int(no.0), r#gen.0, int(epoch.0)];
        all(self.main, "read GroupInfos", sql, key, |row| Ok((DeviceId(row.get(0)?), row.get(1)?)))
    }

    fn welcome(&self, no: LogNo, seq: Seq) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT welcome FROM welcomes WHERE no = ?1 AND seq = ?2";
        one(self.main, "read a Welcome", sql, params![int(no.0), int(seq.0)], |row| row.get(0))
    }

    fn packages(&self, device: DeviceId, suite: u16) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM packages WHERE device = ?1 AND suite = ?2";
        let whose = params![device.0, suite];
        let count = one(self.main, "count key packages", sql, whose, |row| uint(row, 0))?;
        Ok(count.unwrap_or(0))
    }

    fn usage(&self, device: DeviceId) -> Result<Usage, StoreError> {
        let sql = "SELECT entries_ms, bytes_ms FROM usage WHERE device = ?1";
        let read = |row: &Row<'_>| Ok(Usage { entries_ms: uint(row, 0)?, bytes_ms: uint(row, 1)? });
        Ok(one(self.main, "find a device's usage", sql, [device.0], read)?.unwrap_or_default())
    }

    fn enrolment(&self, seed: [u8; 32]) -> Result<Option<EnrolmentRow>, StoreError> {
        let sql = "SELECT request, company_seq, certificate FROM enrolments WHERE seed = ?1";
        one(self.main, "read an enrolment", sql, [seed], |row| {
            Ok(EnrolmentRow {
                seed,
                request: Digest(row.get(0)?),
                company_seq: Seq(uint(row, 1)?),
                certificate: row.get(2)?,
            })
        })
    }

    fn waiting(&self, seed: [u8; 32]) -> Result<Option<WaitingDevice>, StoreError> {
        let sql = "SELECT waiting FROM waiting_devices WHERE seed = ?1";
        let found = one(self.main, "read a waiting device", sql, [seed], |row| row.get(0))?;
        found.map(|bytes: Vec<u8>| waiting(&bytes)).transpose()
    }

    fn waiting_of(&self, user: Option<UserId>) -> Result<Vec<WaitingDevice>, StoreError> {
        let sql =
            "SELECT waiting FROM waiting_devices WHERE ?1 IS NULL OR user = ?1 ORDER BY rowid";
        let user = user.map(|user| user.0);
        let found: Vec<Vec<u8>> =
            all(self.main, "read waiting devices", sql, [user], |row| row.get(0))?;
        found.iter().map(|bytes| waiting(bytes)).collect()
    }

    fn history_key(&self, device: DeviceId) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT key FROM history_keys WHERE device = ?1";
        one(self.main, "read a history key", sql, [device.0], |row| row.get(0))
    }

    fn people(&self, version: u64) -> Result<(u64, Vec<Person>), StoreError> {
        let newest = "SELECT ifnull(max(version), 0) FROM people";
        let newest = one(self.main, "read the directory", newest, [], |row| uint(row, 0))?;
        let sql = "SELECT user, handle, name FROM people WHERE version > ?1 ORDER BY version";
        let version = int(version.min(i64::MAX as u64));
        let people = all(self.main, "read the directory", sql, [version], |row| {
            Ok(Person { user: UserId(row.get(0)?), handle: row.get(1)?, name: row.get(2)? })
        })?;
        Ok((newest.unwrap_or(0), people))
    }

    fn outer_size(&self, era: u64) -> Result<u64, StoreError> {
        let sql = "SELECT ifnull(max(idx) + 1, 0) FROM outer_leaves WHERE era = ?1";
        let size = one(self.main, "measure the outer tree", sql, [int(era)], |row| uint(row, 0))?;
        Ok(size.unwrap_or(0))
    }

    fn outer(&self, era: u64, index: u64) -> Result<Option<OuterRow>, StoreError> {
        let sql = "SELECT leaf, note, company FROM outer_leaves WHERE era = ?1 AND idx = ?2";
        one(self.main, "read an outer leaf", sql, params![int(era), int(index)], |row| {
            Ok(OuterRow { leaf: row.get(0)?, note: row.get(1)?, company: row.get(2)? })
        })
    }

    fn outer_node(&self, era: u64, level: u8, index: u64) -> Result<Option<Digest>, StoreError> {
        let sql = "SELECT hash FROM outer_nodes WHERE era = ?1 AND level = ?2 AND idx = ?3";
        let place = params![int(era), level, int(index)];
        one(self.main, "read the outer tree", sql, place, |row| row.get(0).map(Digest))
    }

    fn heads(&self, era: u64, index: u64) -> Result<Vec<(LogNo, Vec<u8>)>, StoreError> {
        // One descent for each log: what a log was long ago costs nothing.
        let sql = "SELECT * FROM (
                       SELECT n.no, (SELECT h.leaf FROM heads h
                                     WHERE h.era = ?1 AND h.no = n.no AND h.idx <= ?2
                                     ORDER BY h.idx DESC LIMIT 1) AS leaf
                       FROM log_numbers n ORDER BY n.no)
                   WHERE leaf IS NOT NULL";
        all(self.main, "read the heads", sql, params![int(era), int(index)], |row| {
            Ok((LogNo(uint(row, 0)?), row.get(1)?))
        })
    }

    fn cosigned(&self, era: u64, witness: Digest) -> Result<Option<(u64, String)>, StoreError> {
        let sql = "SELECT idx, line FROM cosignatures WHERE era = ?1 AND witness = ?2";
        one(self.main, "read a cosignature", sql, params![int(era), witness.0], |row| {
            Ok((uint(row, 0)?, row.get(1)?))
        })
    }
}

impl<R> SqliteTx<'_, R> {
    /// Puts the payload into its entry, if payload and key are still there.
    fn open_payload(
        &self,
        no: LogNo,
        row: &mut EntryRow,
        stored: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let Some(stored) = stored else { return Ok(()) };
        let bytes = if payload::is_sealed(no) {
            let Some(key) = payload::key(self.shred, no, row.entry.seq)? else { return Ok(()) };
            payload::open(&key, row.core, &stored)?
        } else {
            stored
        };
        row.entry.payload = Payload::Kept(Bytes(bytes));
        Ok(())
    }
}

fn waiting(bytes: &[u8]) -> Result<WaitingDevice, StoreError> {
    decode(bytes).map_err(|_| StoreError::Damaged("waiting device"))
}

/// The pair in one order, whoever came first.
pub fn sorted((one, other): (UserId, UserId)) -> (UserId, UserId) {
    if one <= other { (one, other) } else { (other, one) }
}

fn log_row(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    Ok(LogRow {
        no: LogNo(uint(row, 0)?),
        log: LogId(row.get(1)?),
        size: uint(row, 2)?,
        head: EntryHash(row.get(3)?),
        t_ms: uint(row, 4)?,
        co: uint(row, 5)?,
    })
}

fn entry_row(row: &Row<'_>) -> rusqlite::Result<EntryRow> {
    let kind = decode::<Kind>(&encode(&uint(row, 1)?));
    let kind = kind.map_err(|_| rusqlite::Error::IntegralValueOutOfRange(1, -1))?;
    Ok(EntryRow {
        entry: Entry {
            head: Bytes(row.get(2)?),
            payload: Payload::Absent { hash: Digest(row.get(3)?), len: uint(row, 4)? },
            seq: Seq(uint(row, 0)?),
            t_ms: uint(row, 5)?,
            co: uint(row, 6)?,
        },
        kind,
        core: CoreHash(row.get(7)?),
        hash: EntryHash(row.get(8)?),
        author: row.get::<_, Option<[u8; 16]>>(9)?.map(DeviceId),
    })
}

fn membership(row: &Row<'_>) -> rusqlite::Result<Membership> {
    let to: Option<i64> = row.get(3)?;
    Ok(Membership {
        no: LogNo(uint(row, 0)?),
        device: DeviceId(row.get(1)?),
        from: Seq(uint(row, 2)?),
        to: to.map(|_| uint(row, 3).map(Seq)).transpose()?,
    })
}
