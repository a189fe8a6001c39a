//! Changes of the embedded store.

use std::ops::RangeInclusive;

use hauspost_protocol::company::approval::WaitingDevice;
use hauspost_protocol::crypto::{Secret, sha256};
use hauspost_protocol::encoding::encode;
use hauspost_protocol::ids::{
    DeviceId, Digest, EntryHash, Epoch, Gen, LeafIndex, LogId, LogNo, Seq, TimeMs, UserId,
};
use hauspost_protocol::wire::Person;
use rand::rngs::StdRng;
use rusqlite::params;

use super::reads::sorted;
use super::{SqliteTx, change, int, one, payload, uint};
use crate::store::{
    ConversationRow, EnrolmentRow, NewPackage, NewRow, OuterRow, ReadTx as _, StoreError, Tx, Usage,
};

impl Tx for SqliteTx<'_, &mut StdRng> {
    fn put_setting(&mut self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO settings (name, value) VALUES (?1, ?2)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        change(self.main, "keep a setting", sql, params![name, value]).map(|_| ())
    }

    fn reserve(&mut self, user: UserId) -> Result<LogNo, StoreError> {
        let no = self.reserved()?;
        let sql = "INSERT INTO log_numbers (no, user) VALUES (?1, ?2)";
        change(self.main, "reserve a log number", sql, params![int(no), user.0])?;
        Ok(LogNo(no))
    }

    fn create_log(&mut self, no: LogNo, log: LogId) -> Result<(), StoreError> {
        const ACTION: &str = "create a log";
        let sql = "UPDATE log_numbers SET log = ?2 WHERE no = ?1 AND log IS NULL";
        if change(self.main, ACTION, sql, params![int(no.0), log.0])? != 1 {
            return Err(StoreError::Damaged("log number"));
        }
        let sql = "INSERT INTO logs (no, log, size, head, t_ms, co) VALUES (?1, ?2, 0, ?3, 0, 0)";
        change(self.main, ACTION, sql, params![int(no.0), log.0, EntryHash::ZERO.0]).map(|_| ())
    }

    fn put_pair(&mut self, users: (UserId, UserId), log: LogId) -> Result<(), StoreError> {
        let (low, high) = sorted(users);
        let sql = "INSERT OR IGNORE INTO pairs (low, high, log) VALUES (?1, ?2, ?3)";
        change(self.main, "note a pair", sql, params![low.0, high.0, log.0]).map(|_| ())
    }

    fn append(&mut self, no: LogNo, entry: &NewRow<'_>) -> Result<(), StoreError> {
        const ACTION: &str = "append an entry";
        let link = &entry.link;
        let hash = link.hash(entry.core);
        // The place must be the next one: a chain has no gap, whatever a caller believes.
        let number = self.newest_change()? + 1;
        let sql = "UPDATE logs SET size = size + 1, head = ?2, t_ms = ?3, co = ?4, changed = ?7
                   WHERE no = ?1 AND size = ?5 AND head = ?6 AND t_ms <= ?3 AND co <= ?4";
        let row = params![
            int(no.0),
            hash.0,
            int(link.t_ms),
            int(link.co),
            int(link.seq.0),
            link.prev.0,
            int(number),
        ];
        if change(self.main, ACTION, sql, row)? != 1 {
            return Err(StoreError::Damaged("place in the chain"));
        }
        let sql = "INSERT INTO entries
                       (no, seq, kind, head, payload_hash, payload_len, t_ms, co, core, hash,
                        author, change)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let row = params![
            int(no.0),
            int(link.seq.0),
            int(entry.kind.code()),
            entry.head,
            sha256(entry.payload).0,
            int(entry.payload.len() as u64),
            int(link.t_ms),
            int(link.co),
            entry.core.0,
            hash.0,
            entry.author.map(|device| device.0),
            int(number),
        ];
        change(self.main, ACTION, sql, row)?;
        let sql = "INSERT INTO payloads (no, seq, payload) VALUES (?1, ?2, ?3)";
        let place = (int(no.0), int(link.seq.0));
        if payload::is_sealed(no) {
            let key = Secret::random(self.rng);
            payload::put_key(self.shred, no, link.seq, &key)?;
            let sealed = payload::seal(&key, entry.core, entry.payload);
            change(self.main, ACTION, sql, params![place.0, place.1, sealed])?;
        } else {
            change(self.main, ACTION, sql, params![place.0, place.1, entry.payload])?;
        }
        Ok(())
    }

    fn shred(&mut self, no: LogNo, seq: Seq) -> Result<(), StoreError> {
        const ACTION: &str = "shred a payload";
        let place = params![int(no.0), int(seq.0)];
        change(self.shred, ACTION, "DELETE FROM shred_keys WHERE no = ?1 AND seq = ?2", place)?;
        let place = params![int(no.0), int(seq.0)];
        let sql = "DELETE FROM payloads WHERE no = ?1 AND seq = ?2";
        change(self.main, ACTION, sql, place).map(|_| ())
    }

    fn put_conversation(&mut self, no: LogNo, row: &ConversationRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO conversations (no, state, public) VALUES (?1, ?2, ?3)
                   ON CONFLICT (no) DO UPDATE SET state = excluded.state, public = excluded.public";
        let row = params![int(no.0), row.state, row.public];
        change(self.main, "keep a conversation's state", sql, row).map(|_| ())
    }

    fn put_conversation_state(&mut self, no: LogNo, state: &[u8]) -> Result<(), StoreError> {
        let sql = "UPDATE conversations SET state = ?2 WHERE no = ?1";
        change(self.main, "keep a conversation's state", sql, params![int(no.0), state]).map(|_| ())
    }

    fn advance_chain(&mut self, no: LogNo, leaf: LeafIndex) -> Result<(), StoreError> {
        let sql = "INSERT INTO chains (no, leaf, next) VALUES (?1, ?2, 1)
                   ON CONFLICT (no, leaf) DO UPDATE SET next = next + 1";
        change(self.main, "advance a chain", sql, params![int(no.0), leaf.0]).map(|_| ())
    }

    fn restart_chains(&mut self, no: LogNo) -> Result<(), StoreError> {
        let sql = "DELETE FROM chains WHERE no = ?1";
        change(self.main, "restart the chains", sql, [int(no.0)]).map(|_| ())
    }

    fn join(&mut self, no: LogNo, device: DeviceId, from: Seq) -> Result<(), StoreError> {
        let sql = "INSERT INTO members (device, no, from_seq) VALUES (?1, ?2, ?3)";
        let row = params![device.0, int(no.0), int(from.0)];
        change(self.main, "note a member", sql, row).map(|_| ())
    }

    fn leave(&mut self, no: LogNo, device: DeviceId, to: Seq) -> Result<(), StoreError> {
        let sql = "UPDATE members SET to_seq = ?3
                   WHERE device = ?1 AND no = ?2 AND to_seq IS NULL";
        let row = params![device.0, int(no.0), int(to.0)];
        change(self.main, "end a membership", sql, row).map(|_| ())
    }

    fn set_let_in(
        &mut self,
        no: LogNo,
        user: UserId,
        until: Option<u64>,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO let_in (user, no, until) VALUES (?1, ?2, ?3)
                   ON CONFLICT (user, no) DO UPDATE SET until = excluded.until";
        let row = params![user.0, int(no.0), until.map(int)];
        change(self.main, "note who may enter", sql, row).map(|_| ())
    }

    fn put_tree(&mut self, no: LogNo, hash: Digest, tree: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO trees (no, hash, tree) VALUES (?1, ?2, ?3)";
        change(self.main, "keep a tree", sql, params![int(no.0), hash.0, tree]).map(|_| ())
    }

    fn drop_tree(&mut self, no: LogNo, hash: Digest) -> Result<(), StoreError> {
        let sql = "DELETE FROM trees WHERE no = ?1 AND hash = ?2";
        change(self.main, "forget a tree", sql, params![int(no.0), hash.0]).map(|_| ())
    }

    fn put_group_info(
        &mut self,
        no: LogNo,
        r#gen: Gen,
        epoch: Epoch,
        device: DeviceId,
        info: &[u8],
    ) -> Result<(), StoreError> {
        // What a device puts again is the newest.
        let sql = "INSERT OR REPLACE INTO group_infos (no, gen, epoch, device, info)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let row = params![int(no.0), r#gen.0, int(epoch.0), device.0, info];
        change(self.main, "keep a GroupInfo", sql, row).map(|_| ())
    }

    fn drop_group_info(
        &mut self,
        no: LogNo,
        r#gen: Gen,
        epoch: Epoch,
        device: DeviceId,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM group_infos
                   WHERE no = ?1 AND gen = ?2 AND epoch = ?3 AND device = ?4";
        let key = params![int(no.0), r#gen.0, int(epoch.0), device.0];
        change(self.main, "forget a GroupInfo", sql, key).map(|_| ())
    }

    fn put_welcome(&mut self, no: LogNo, seq: Seq, welcome: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO welcomes (no, seq, welcome) VALUES (?1, ?2, ?3)";
        let row = params![int(no.0), int(seq.0), welcome];
        change(self.main, "keep a Welcome", sql, row).map(|_| ())
    }

    fn put_packages(
        &mut self,
        device: DeviceId,
        suite: u16,
        packages: &[NewPackage<'_>],
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO packages (device, suite, made_ms, package) VALUES (?1, ?2, ?3, ?4)";
        for new in packages {
            let row = params![device.0, suite, int(new.made_ms), new.package];
            change(self.main, "keep a key package", sql, row)?;
        }
        Ok(())
    }

    fn put_last_resort(
        &mut self,
        device: DeviceId,
        suite: u16,
        new: NewPackage<'_>,
    ) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO last_resorts (device, suite, made_ms, package)
                   VALUES (?1, ?2, ?3, ?4)";
        let row = params![device.0, suite, int(new.made_ms), new.package];
        change(self.main, "keep a key package", sql, row).map(|_| ())
    }

    fn take_package(
        &mut self,
        device: DeviceId,
        suite: u16,
        made: RangeInclusive<TimeMs>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        const ACTION: &str = "take a key package";
        let (from, to) = (int(*made.start()), int(*made.end()));
        let fit = params![device.0, suite, from, to];
        let sql = "DELETE FROM packages
                   WHERE device = ?1 AND suite = ?2 AND made_ms NOT BETWEEN ?3 AND ?4";
        change(self.main, ACTION, sql, fit)?;
        let sql = "DELETE FROM packages
                   WHERE id = (SELECT min(id) FROM packages WHERE device = ?1 AND suite = ?2)
                   RETURNING package";
        let one_time = one(self.main, ACTION, sql, params![device.0, suite], |row| row.get(0))?;
        if one_time.is_some() {
            return Ok(one_time);
        }
        let sql = "SELECT package FROM last_resorts
                   WHERE device = ?1 AND suite = ?2 AND made_ms BETWEEN ?3 AND ?4";
        one(self.main, ACTION, sql, fit, |row| row.get(0))
    }

    fn drop_packages(&mut self, device: DeviceId, suite: u16) -> Result<(), StoreError> {
        const ACTION: &str = "drop key packages";
        let whose = params![device.0, suite];
        let sql = "DELETE FROM packages WHERE device = ?1 AND suite = ?2";
        change(self.main, ACTION, sql, whose)?;
        let sql = "DELETE FROM last_resorts WHERE device = ?1 AND suite = ?2";
        change(self.main, ACTION, sql, whose).map(|_| ())
    }

    fn put_usage(&mut self, device: DeviceId, usage: Usage) -> Result<(), StoreError> {
        let sql = "INSERT INTO usage (device, entries_ms, bytes_ms) VALUES (?1, ?2, ?3)
                   ON CONFLICT (device) DO UPDATE SET
                       entries_ms = excluded.entries_ms, bytes_ms = excluded.bytes_ms";
        let row = params![device.0, int(usage.entries_ms), int(usage.bytes_ms)];
        change(self.main, "note a device's usage", sql, row).map(|_| ())
    }

    fn put_enrolment(&mut self, row: &EnrolmentRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO enrolments (seed, request, company_seq, certificate)
                   VALUES (?1, ?2, ?3, ?4)";
        let row = params![row.seed, row.request.0, int(row.company_seq.0), row.certificate];
        change(self.main, "note an enrolment", sql, row).map(|_| ())
    }

    fn put_waiting(&mut self, seed: [u8; 32], waiting: &WaitingDevice) -> Result<(), StoreError> {
        let sql =
            "INSERT OR REPLACE INTO waiting_devices (seed, user, waiting) VALUES (?1, ?2, ?3)";
        let row = params![seed, waiting.request.user.0, encode(waiting)];
        change(self.main, "keep a waiting device", sql, row).map(|_| ())
    }

    fn drop_waiting(&mut self, seed: [u8; 32]) -> Result<(), StoreError> {
        let sql = "DELETE FROM waiting_devices WHERE seed = ?1";
        change(self.main, "forget a waiting device", sql, [seed]).map(|_| ())
    }

    fn put_history_key(&mut self, device: DeviceId, key: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO history_keys (device, key) VALUES (?1, ?2)";
        change(self.main, "keep a history key", sql, params![device.0, key]).map(|_| ())
    }

    fn put_person(&mut self, person: &Person) -> Result<u64, StoreError> {
        const ACTION: &str = "change the directory";
        let sql = "INSERT INTO people (user, handle, name, version)
                   VALUES (?1, ?2, ?3, (SELECT ifnull(max(version), 0) + 1 FROM people))
                   ON CONFLICT (user) DO UPDATE SET
                       handle = excluded.handle, name = excluded.name, version = excluded.version
                   RETURNING version";
        let row = params![person.user.0, person.handle, person.name];
        one(self.main, ACTION, sql, row, |row| uint(row, 0))?
            .ok_or(StoreError::Damaged("directory"))
    }

    fn put_outer(
        &mut self,
        era: u64,
        index: u64,
        row: &OuterRow,
        nodes: &[(u8, u64, Digest)],
        heads: &[(LogNo, Vec<u8>)],
    ) -> Result<(), StoreError> {
        const ACTION: &str = "append to the outer tree";
        let sql = "INSERT INTO outer_leaves (era, idx, leaf, note, company)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let row = params![int(era), int(index), row.leaf, row.note, row.company];
        change(self.main, ACTION, sql, row)?;
        let sql = "INSERT INTO outer_nodes (era, level, idx, hash) VALUES (?1, ?2, ?3, ?4)";
        for (level, at, hash) in nodes {
            change(self.main, ACTION, sql, params![int(era), level, int(*at), hash.0])?;
        }
        let sql = "INSERT INTO heads (era, no, idx, leaf) VALUES (?1, ?2, ?3, ?4)";
        for (no, leaf) in heads {
            change(self.main, ACTION, sql, params![int(era), int(no.0), int(index), leaf])?;
        }
        Ok(())
    }

    fn put_cosignature(
        &mut self,
        era: u64,
        index: u64,
        witness: Digest,
        line: &str,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO cosignatures (era, witness, idx, line) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (era, witness) DO UPDATE SET idx = excluded.idx, line = excluded.line
                       WHERE excluded.idx >= cosignatures.idx";
        let row = params![int(era), witness.0, int(index), line];
        change(self.main, "keep a cosignature", sql, row).map(|_| ())
    }
}
