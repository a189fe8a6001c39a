//! What is not readable on this device yet, and the grants by which it becomes so; and what other
//! devices ask of this one.

use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::entry::Ranges;
use hauspost_protocol::epoch::RecordKey;
use hauspost_protocol::grant;
use hauspost_protocol::ids::{CoreHash, DeviceId, LogId, Seq, TimeMs};
use hauspost_protocol::limits;
use hauspost_protocol::rules::client::UnreadSlot;
use rusqlite::{Connection, OptionalExtension, params};

use super::log::LocalLog;
use super::{key_seq, keys, message, seq_key};
use crate::observe::Change;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// A record that this device could not open when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread {
    /// Its number.
    pub seq: Seq,
    /// The device at its leaf.
    pub author: DeviceId,
    /// Whether the author wrote there more than answers.
    pub may_write: bool,
    /// Whether the author was an owner there.
    pub owned: bool,
    /// Whether it is somebody else's past, and only handed over to this person.
    pub handed: bool,
}

/// Notes a record that is not readable yet.
pub fn add_unread(tx: &Tx<'_>, log: LocalLog, unread: &Unread) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO unread (key, device, may_write, owned, handed)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let key = seq_key(log, unread.seq);
    let row = params![key, C(unread.author), unread.may_write, unread.owned, unread.handed];
    tx.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// Notes a record that is not readable, nor this person's past: nothing shows it, and nobody is asked for it.
pub fn add_passed(tx: &Tx<'_>, log: LocalLog, passed: &Unread) -> Result<(), StoreError> {
    let sql =
        "INSERT OR IGNORE INTO passed (key, device, may_write, owned) VALUES (?1, ?2, ?3, ?4)";
    let key = seq_key(log, passed.seq);
    let row = params![key, C(passed.author), passed.may_write, passed.owned];
    tx.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// A record that had passed by is handed over: from now on it is not readable yet, and a line says so; nothing
/// if it had not.
pub fn hand_passed(tx: &Tx<'_>, log: LocalLog, seq: Seq, t_ms: TimeMs) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO unread (key, device, may_write, owned, handed)
               SELECT key, device, may_write, owned, 1 FROM passed WHERE key = ?1";
    let key = seq_key(log, seq);
    if tx.prepare_cached(sql)?.execute([key])? > 0 {
        tx.prepare_cached("DELETE FROM passed WHERE key = ?1")?.execute([key])?;
        message::unreadable(tx, log, seq, 1, t_ms)?;
    }
    Ok(())
}

/// How many records of a log are not readable yet.
pub fn count_unread(conn: &Connection, log: LocalLog) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM unread WHERE key BETWEEN ?1 AND ?2";
    let (first, last) = keys(log);
    Ok(conn.prepare_cached(sql)?.query_row([first, last], |row| cell(row, 0))?)
}

/// The newest stretches of records that are not readable, as many as one may ask for.
pub fn unread_ranges(conn: &Connection, log: LocalLog) -> Result<Ranges, StoreError> {
    let sql = "SELECT e.key, u.key IS NOT NULL FROM entry e LEFT JOIN unread u ON u.key = e.key
               WHERE e.key BETWEEN (SELECT min(key) FROM unread WHERE key BETWEEN ?1 AND ?2)
                   AND (SELECT max(key) FROM unread WHERE key BETWEEN ?1 AND ?2) AND e.kind = 3
               ORDER BY e.key DESC";
    let (first, last) = keys(log);
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query([first, last])?;
    let mut runs = Runs::default();
    while let Some(row) = rows.next()? {
        let wanted = row.get::<_, bool>(1)?.then(|| key_seq(row.get(0).unwrap_or(i64::MAX)));
        match wanted.flatten() {
            Some(seq) if runs.fits(seq) => runs.add(seq),
            Some(_) => break,
            None => runs.end(),
        }
    }
    Ok(runs.ascending())
}

/// Stretches that are gathered from the newest number down.
#[derive(Default)]
struct Runs {
    descending: Vec<(Seq, Seq)>,
    open: bool,
}

impl Runs {
    fn fits(&self, _: Seq) -> bool {
        self.open || self.descending.len() < limits::RANGES
    }

    /// The next lower number.
    fn add(&mut self, seq: Seq) {
        match self.descending.last_mut().filter(|_| self.open) {
            Some((from, _)) => *from = seq,
            None => self.descending.push((seq, seq)),
        }
        self.open = true;
    }

    fn end(&mut self) {
        self.open = false;
    }

    fn ascending(mut self) -> Ranges {
        self.descending.reverse();
        self.descending
    }
}

/// A record for which a grant gave a key.
#[derive(Debug, Clone)]
pub struct Granted {
    /// Its number.
    pub seq: Seq,
    /// What is known of its place.
    pub slot: UnreadSlot,
    /// Whether the author was an owner there.
    pub owned: bool,
    /// Whether it is somebody else's past.
    pub handed: bool,
    /// The log's time.
    pub t_ms: TimeMs,
    /// The size of the company log.
    pub co: u64,
    /// K, if the grantor is honest.
    pub key: RecordKey,
    /// The grant.
    pub by: Seq,
}

/// Keeps a key that a grant gave, if the record is not readable yet and has none; whether it was so.
pub fn give_key(
    tx: &Tx<'_>,
    log: LocalLog,
    seq: Seq,
    key: &RecordKey,
    by: Seq,
) -> Result<bool, StoreError> {
    let sql = "UPDATE unread SET record_key = ?2, granted = ?3
               WHERE key = ?1 AND record_key IS NULL";
    let given = tx.prepare_cached(sql)?.execute(params![seq_key(log, seq), C(key), C(by)])?;
    Ok(given > 0)
}

/// A key that opens nothing goes; another grant may bring the right one.
pub fn drop_key(tx: &Tx<'_>, log: LocalLog, seq: Seq) -> Result<(), StoreError> {
    let sql = "UPDATE unread SET record_key = NULL, granted = NULL WHERE key = ?1";
    tx.prepare_cached(sql)?.execute([seq_key(log, seq)])?;
    Ok(())
}

/// The conversations in which records can be read that a grant gave keys for, the newest first.
pub fn granted_logs(conn: &Connection) -> Result<Vec<LogId>, StoreError> {
    let sql = "SELECT l.log FROM conversation c CROSS JOIN log l ON l.id = c.log
               WHERE l.state IN (0, 4) AND EXISTS (
                   SELECT 1 FROM unread u WHERE u.record_key IS NOT NULL
                       AND u.key BETWEEN l.id << 40 AND (l.id + 1 << 40) - 1)
               ORDER BY c.order_ms DESC, c.log DESC";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map([], |row| cell(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The newest records of a log that a grant gave keys for, the newest first.
pub fn granted(conn: &Connection, log: LocalLog, most: u32) -> Result<Vec<Granted>, StoreError> {
    let sql = "SELECT u.key, e.core, u.device, u.may_write, e.t_ms, e.co, u.record_key, u.granted,
                   u.owned, u.handed
               FROM unread u JOIN entry e ON e.key = u.key
               WHERE u.record_key IS NOT NULL AND u.key BETWEEN ?1 AND ?2
               ORDER BY u.key DESC LIMIT ?3";
    let (first, last) = keys(log);
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map(params![first, last, most], |row| {
        let core: CoreHash = cell(row, 1)?;
        Ok(Granted {
            seq: key_seq(row.get(0)?).unwrap_or_default(),
            slot: UnreadSlot { core, author: cell(row, 2)?, may_write: row.get(3)? },
            t_ms: cell(row, 4)?,
            co: cell(row, 5)?,
            key: cell(row, 6)?,
            by: cell(row, 7)?,
            owned: row.get(8)?,
            handed: row.get(9)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A record is readable now, or never will be: the line that counts it counts one less, and moves on
/// if it stands in its place.
pub fn settle(tx: &Tx<'_>, log: LocalLog, seq: Seq) -> Result<(), StoreError> {
    // It may be unread by what another device of the person says.
    tx.recount(log);
    let key = seq_key(log, seq);
    if tx.prepare_cached("DELETE FROM unread WHERE key = ?1")?.execute([key])? == 0 {
        return Ok(());
    }
    let sql = "SELECT min(key) FROM unread WHERE key > ?1 AND key <= ?2";
    let next: Option<i64> =
        tx.prepare_cached(sql)?.query_row([key, keys(log).1], |row| row.get(0))?;
    message::count_readable(tx, log, seq, next.and_then(key_seq))
}

/// Keeps the key of a record that is no message, for a later grant.
pub fn keep_key(
    tx: &Tx<'_>,
    log: LocalLog,
    seq: Seq,
    record_key: &RecordKey,
) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO kept_key (key, record_key) VALUES (?1, ?2)";
    tx.prepare_cached(sql)?.execute(params![seq_key(log, seq), C(record_key)])?;
    Ok(())
}

/// Keeps the key of an own record that is no message, until it stands in the log.
pub fn seal_key(tx: &Tx<'_>, intent: i64, record_key: &RecordKey) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO sealed_key (intent, record_key) VALUES (?1, ?2)";
    tx.prepare_cached(sql)?.execute(params![intent, C(record_key)])?;
    Ok(())
}

/// The own record of this intent stands in the log; `is_ours` unless it stands there in bytes that this
/// phone did not seal.
pub fn keep_sealed(
    tx: &Tx<'_>,
    log: LocalLog,
    intent: i64,
    seq: Seq,
    is_ours: bool,
) -> Result<(), StoreError> {
    if is_ours {
        let sql = "INSERT OR REPLACE INTO kept_key (key, record_key)
                   SELECT ?2, record_key FROM sealed_key WHERE intent = ?1";
        tx.prepare_cached(sql)?.execute([intent, seq_key(log, seq)])?;
    }
    tx.prepare_cached("DELETE FROM sealed_key WHERE intent = ?1")?.execute([intent])?;
    Ok(())
}

/// What one grant can give.
#[derive(Debug, Default)]
pub struct Piece {
    /// The stretches that it covers, ascending.
    pub ranges: Ranges,
    /// A key for each record in them.
    pub keys: Vec<(Seq, RecordKey)>,
}

/// The newest of these records that this device has keys of, as many as one grant gives; of those that
/// `covered` allows by time and size of the company log, as their links say them.
pub fn piece(
    conn: &Connection,
    log: LocalLog,
    ranges: &Ranges,
    covered: &dyn Fn(Seq, TimeMs, u64) -> bool,
) -> Result<Piece, StoreError> {
    let sql = "SELECT e.key, coalesce(k.record_key, m.record_key, a.record_key), e.t_ms, e.co
               FROM entry e LEFT JOIN kept_key k ON k.key = e.key
                   LEFT JOIN message m ON m.key = e.key LEFT JOIN mark a ON a.key = e.key
               WHERE e.key BETWEEN ?1 AND ?2 AND e.kind = 3 ORDER BY e.key DESC";
    let mut select = conn.prepare_cached(sql)?;
    let (mut runs, mut found) = (Runs::default(), Vec::new());
    'ranges: for (from, to) in ranges.iter().rev() {
        runs.end();
        let mut rows = select.query([seq_key(log, *from), seq_key(log, *to)])?;
        while let Some(row) = rows.next()? {
            let (seq, record_key) = (key_seq(row.get(0)?), cell::<Option<RecordKey>>(row, 1)?);
            let (t_ms, co) = (cell(row, 2)?, cell(row, 3)?);
            let seq = seq.filter(|seq| covered(*seq, t_ms, co));
            let Some((seq, record_key)) = seq.zip(record_key) else {
                runs.end();
                continue;
            };
            if found.len() == limits::GRANT_KEYS || !runs.fits(seq) {
                break 'ranges;
            }
            runs.add(seq);
            found.push((seq, record_key));
        }
    }
    Ok(Piece { ranges: runs.ascending(), keys: found })
}

/// A grant to this device came.
pub fn grant_came(tx: &Tx<'_>, log: LocalLog, seq: Seq) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO grant_waiting (key) VALUES (?1)";
    tx.prepare_cached(sql)?.execute([seq_key(log, seq)])?;
    Ok(())
}

/// The next grant whose keys are to be fetched: of the newest conversation the first that came, which
/// brings what is newest there.
pub fn next_grant(conn: &Connection, but: &[LogId]) -> Result<Option<(LocalLog, Seq)>, StoreError> {
    let sql = "SELECT g.key, l.id, l.log FROM grant_waiting g JOIN log l ON l.id = g.key >> 40
                   JOIN conversation c ON c.log = l.id
               WHERE l.state IN (0, 4) ORDER BY c.order_ms DESC, g.key";
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let log = LocalLog { number: row.get(1)?, id: cell(row, 2)? };
        if !but.contains(&log.id) {
            return Ok(key_seq(row.get(0)?).map(|seq| (log, seq)));
        }
    }
    Ok(None)
}

/// The keys of a grant are here, or will never be.
pub fn grant_done(tx: &Tx<'_>, log: LocalLog, seq: Seq) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM grant_waiting WHERE key = ?1")?.execute([seq_key(log, seq)])?;
    Ok(())
}

/// How far a log's past is that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// How many records were not readable when it began.
    pub total: u64,
    /// How often it was asked for without an answer.
    pub attempts: u32,
    /// It is not asked for again before.
    pub next_ms: TimeMs,
}

/// What was asked for in a log.
pub fn asking(conn: &Connection, log: LocalLog) -> Result<Option<Asking>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT total, attempts, next_ms FROM asking WHERE log = ?1")?;
    let found = select.query_row([log.number], |row| {
        Ok(Asking { total: cell(row, 0)?, attempts: cell(row, 1)?, next_ms: cell(row, 2)? })
    });
    Ok(found.optional()?)
}

/// Notes what was asked for; `None` when nothing is missing any more.
pub fn put_asking(tx: &Tx<'_>, log: LocalLog, asking: Option<&Asking>) -> Result<(), StoreError> {
    let Some(asking) = asking else {
        tx.prepare_cached("DELETE FROM asking WHERE log = ?1")?.execute([log.number])?;
        return Ok(());
    };
    let sql = "INSERT INTO asking (log, total, attempts, next_ms) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (log) DO UPDATE SET total = excluded.total,
                   attempts = excluded.attempts, next_ms = excluded.next_ms";
    let row = params![log.number, C(asking.total), asking.attempts, C(asking.next_ms)];
    tx.prepare_cached(sql)?.execute(row)?;
    tx.touch(Change::Log(log.id));
    Ok(())
}

/// The logs of which this device misses something that nobody was asked for lately and that no grant is
/// on its way for, the newest conversation first.
pub fn to_ask(conn: &Connection, now_ms: TimeMs) -> Result<Vec<LogId>, StoreError> {
    let sql = "SELECT l.log FROM conversation c CROSS JOIN log l ON l.id = c.log
                   LEFT JOIN asking a ON a.log = l.id
               WHERE l.state = 0 AND l.own_leaf IS NOT NULL AND ifnull(a.next_ms, 0) <= ?1
                   AND EXISTS (SELECT 1 FROM unread u
                       WHERE u.key BETWEEN l.id << 40 AND (l.id + 1 << 40) - 1)
                   AND NOT EXISTS (SELECT 1 FROM unread u WHERE u.record_key IS NOT NULL
                       AND u.key BETWEEN l.id << 40 AND (l.id + 1 << 40) - 1)
                   AND NOT EXISTS (SELECT 1 FROM grant_waiting g
                       WHERE g.key BETWEEN l.id << 40 AND (l.id + 1 << 40) - 1)
               ORDER BY c.order_ms DESC, c.log DESC";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map([C(now_ms)], |row| cell(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When the next log is to be asked for.
pub fn next_asking(conn: &Connection, after_ms: TimeMs) -> Result<Option<TimeMs>, StoreError> {
    let sql = "SELECT min(next_ms) FROM asking WHERE next_ms > ?1";
    Ok(conn.prepare_cached(sql)?.query_row([C(after_ms)], |row| cell(row, 0))?)
}

/// What another device asks for, or is to get as a successor's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// In which conversation.
    pub log: LocalLog,
    /// Who asks.
    pub device: DeviceId,
    /// The handover by which the device gets it, unless it asks.
    pub handover: Option<Seq>,
    /// For what; what was given meanwhile is not in it any more.
    pub ranges: Ranges,
    /// When this phone gives it; 0 while that is not drawn.
    pub due_ms: TimeMs,
}

/// Another device asks for something; what it asked for before it does not need any more. While it waits,
/// asking again brings it no earlier.
pub fn ask(
    tx: &Tx<'_>,
    log: LocalLog,
    device: DeviceId,
    ranges: &Ranges,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO asked (log, device, handover, ranges, due_ms)
               VALUES (?1, ?2, 0, ?3, 0)
               ON CONFLICT (log, device, handover) DO UPDATE SET ranges = excluded.ranges";
    tx.prepare_cached(sql)?.execute(params![log.number, C(device), encode(ranges)])?;
    Ok(())
}

/// What other devices ask for, in the order in which it is due.
pub fn asked(conn: &Connection) -> Result<Vec<Asked>, StoreError> {
    let sql = "SELECT a.log, l.log, a.device, a.ranges, a.due_ms, a.handover FROM asked a
                   JOIN log l ON l.id = a.log
               ORDER BY a.due_ms, l.last_t_ms DESC, a.log";
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let ranges: Vec<u8> = row.get(3)?;
        found.push(Asked {
            log: LocalLog { number: row.get(0)?, id: cell(row, 1)? },
            device: cell(row, 2)?,
            handover: cell::<Option<Seq>>(row, 5)?.filter(|seq| seq.0 > 0),
            ranges: decode(&ranges).map_err(|_| StoreError::Unreadable("what is asked for"))?,
            due_ms: cell(row, 4)?,
        });
    }
    Ok(found)
}

/// Counts that a device asked; how often it did, from the first time after it was quiet for so long.
pub fn count_ask(
    tx: &Tx<'_>,
    log: LocalLog,
    device: DeviceId,
    now_ms: TimeMs,
    quiet_ms: TimeMs,
) -> Result<u32, StoreError> {
    let sql = "INSERT INTO asked_often (log, device, count, last_ms) VALUES (?1, ?2, 1, ?3)
               ON CONFLICT (log, device) DO UPDATE SET
                   count = iif(last_ms < ?4, 1, min(count + 1, 1000)), last_ms = ?3
               RETURNING count";
    let quiet_since_ms = now_ms.saturating_sub(quiet_ms);
    let asked = params![log.number, C(device), C(now_ms), C(quiet_since_ms)];
    Ok(tx.prepare_cached(sql)?.query_row(asked, |row| row.get(0))?)
}

/// Puts off what a device asks for.
pub fn put_off(tx: &Tx<'_>, asked: &Asked, due_ms: TimeMs) -> Result<(), StoreError> {
    let sql = "UPDATE asked SET due_ms = ?4 WHERE log = ?1 AND device = ?2 AND handover = ?3";
    let handover = asked.handover.unwrap_or_default();
    let row = params![asked.log.number, C(asked.device), C(handover), C(due_ms)];
    tx.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// Somebody gave a device these stretches; what is left is due then at the earliest.
pub fn given(
    tx: &Tx<'_>,
    log: LocalLog,
    device: DeviceId,
    ranges: &Ranges,
    not_before_ms: TimeMs,
) -> Result<(), StoreError> {
    let of_it = asked(tx)?.into_iter().filter(|asked| asked.log == log && asked.device == device);
    for of_it in of_it {
        let left = grant::without(&of_it.ranges, ranges);
        if left.is_empty() {
            give_no_more(tx, &of_it)?;
            continue;
        }
        let sql = "UPDATE asked SET ranges = ?4, due_ms = max(due_ms, ?5)
                   WHERE log = ?1 AND device = ?2 AND handover = ?3";
        let (handover, due_ms) = (of_it.handover.unwrap_or_default(), C(not_before_ms));
        let row = params![log.number, C(device), C(handover), encode(&left), due_ms];
        tx.prepare_cached(sql)?.execute(row)?;
    }
    Ok(())
}

/// There is nothing more to give to a device.
pub fn give_no_more(tx: &Tx<'_>, asked: &Asked) -> Result<(), StoreError> {
    let sql = "DELETE FROM asked WHERE log = ?1 AND device = ?2 AND handover = ?3";
    let handover = asked.handover.unwrap_or_default();
    tx.prepare_cached(sql)?.execute(params![asked.log.number, C(asked.device), C(handover)])?;
    Ok(())
}

#[cfg(test)]
mod tests;
