//! What is handed over to successors: where this phone can give something, what was given, and which
//! conversations this person reads as somebody's successor (docs/protocol.md §10).

use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::entry::Ranges;
use hauspost_protocol::ids::{DeviceId, Seq, TimeMs, UserId};
use rusqlite::{Connection, OptionalExtension, params};

use super::log::LocalLog;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// A conversation in which a leaver was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The conversation.
    pub log: LocalLog,
    /// From which entry to which the leaver was there; none: still.
    pub stays: Vec<(Seq, Option<Seq>)>,
    /// The newest entry.
    pub newest: Seq,
}

/// The conversations with others in which this device has a leaf and its own past, and in which this
/// person ever was.
pub fn conversations_of(conn: &Connection, user: UserId) -> Result<Vec<Left>, StoreError> {
    let sql = "SELECT l.id, l.log, l.next_seq, s.from_seq, s.to_seq
               FROM log l JOIN stay s ON s.log = l.id AND s.user = ?1
               WHERE l.state = 0 AND l.own_leaf IS NOT NULL AND l.type <> 3
                   AND NOT EXISTS (SELECT 1 FROM asking a WHERE a.log = l.id)
               ORDER BY l.last_t_ms DESC, l.id, s.from_seq";
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query([C(user)])?;
    let mut found: Vec<Left> = Vec::new();
    while let Some(row) = rows.next()? {
        let log = LocalLog { number: row.get(0)?, id: cell(row, 1)? };
        let stay = (cell(row, 3)?, cell(row, 4)?);
        match found.last_mut().filter(|known| known.log == log) {
            Some(known) => known.stays.push(stay),
            None => {
                let next: Seq = cell(row, 2)?;
                let newest = Seq(next.0.saturating_sub(1));
                found.push(Left { log, stays: vec![stay], newest });
            }
        }
    }
    Ok(found)
}

/// Whether this device knows a conversation with others in which this person ever was.
pub fn is_known(conn: &Connection, user: UserId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM stay s JOIN log l ON l.id = s.log
                   WHERE s.user = ?1 AND l.type <> 3)";
    Ok(conn.prepare_cached(sql)?.query_row([C(user)], |row| row.get(0))?)
}

/// Up to which entry this phone has looked what it can give to a device by a handover, if it has.
pub fn looked(
    conn: &Connection,
    log: LocalLog,
    (handover, device): (Seq, DeviceId),
) -> Result<Option<Seq>, StoreError> {
    let sql = "SELECT up_to FROM handover_looked WHERE log = ?1 AND handover = ?2 AND device = ?3";
    let row = params![log.number, C(handover), C(device)];
    let found = conn.prepare_cached(sql)?.query_row(row, |row| cell(row, 0));
    Ok(found.optional()?)
}

/// What this phone is to give to a device by a handover still.
pub fn waiting(
    conn: &Connection,
    log: LocalLog,
    (handover, device): (Seq, DeviceId),
) -> Result<Ranges, StoreError> {
    let sql = "SELECT ranges FROM asked WHERE log = ?1 AND handover = ?2 AND device = ?3";
    let row = params![log.number, C(handover), C(device)];
    let found = conn.prepare_cached(sql)?.query_row(row, |row| row.get::<_, Vec<u8>>(0));
    let Some(bytes) = found.optional()? else { return Ok(Vec::new()) };
    decode(&bytes).map_err(|_| StoreError::Unreadable("what is to be given"))
}

/// Notes what this phone is to give to a device by a handover, of the entries up to this one; nothing if that
/// is empty. What waits to be given is due when it was.
pub fn look(
    tx: &Tx<'_>,
    log: LocalLog,
    (handover, device): (Seq, DeviceId),
    up_to: Seq,
    ranges: &Ranges,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO handover_looked (log, handover, device, up_to) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (log, handover, device) DO UPDATE SET up_to = excluded.up_to";
    tx.prepare_cached(sql)?.execute(params![log.number, C(handover), C(device), C(up_to)])?;
    if ranges.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO asked (log, device, handover, ranges, due_ms) VALUES (?1, ?2, ?3, ?4, 0)
               ON CONFLICT (log, device, handover) DO UPDATE SET ranges = excluded.ranges";
    let row = params![log.number, C(device), C(handover), encode(ranges)];
    tx.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// Notes that a grant handed something over.
pub fn note_given(
    tx: &Tx<'_>,
    log: LocalLog,
    seq: Seq,
    (handover, device): (Seq, DeviceId),
    ranges: &Ranges,
) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO handover_given (log, seq, handover, device, ranges)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let row = params![log.number, C(seq), C(handover), C(device), encode(ranges)];
    tx.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// Whether anything was given in a log by this handover.
pub fn is_begun(conn: &Connection, log: LocalLog, handover: Seq) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM handover_given WHERE log = ?1 AND handover = ?2)";
    let row = params![log.number, C(handover)];
    Ok(conn.prepare_cached(sql)?.query_row(row, |row| row.get(0))?)
}

/// The stretches of a log that were given to a device of a successor, each grant by itself.
pub fn given_to(
    conn: &Connection,
    log: LocalLog,
    device: DeviceId,
) -> Result<Vec<Ranges>, StoreError> {
    let sql = "SELECT ranges FROM handover_given WHERE log = ?1 AND device = ?2";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map(params![log.number, C(device)], |row| row.get::<_, Vec<u8>>(0))?;
    rows.map(|bytes| decode(&bytes?).map_err(|_| StoreError::Unreadable("what was given")))
        .collect()
}

/// Whose past in a conversation this person reads, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handed {
    /// The leaver.
    pub from: UserId,
    /// The other one, where the conversation is of two.
    pub with: Option<UserId>,
    /// When it was handed over, by the company log's clock.
    pub t_ms: TimeMs,
}

/// Notes whose past it is.
pub fn put(tx: &Tx<'_>, log: LocalLog, handed: &Handed) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO handed (log, from_user, with_user, t_ms)
               VALUES (?1, ?2, ?3, ?4)";
    let row = params![log.number, C(handed.from), C(handed.with), C(handed.t_ms)];
    tx.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// Whose past it is, if it is anybody's.
pub fn find(conn: &Connection, log: LocalLog) -> Result<Option<Handed>, StoreError> {
    let sql = "SELECT from_user, with_user, t_ms FROM handed WHERE log = ?1";
    let found = conn.prepare_cached(sql)?.query_row([log.number], |row| {
        Ok(Handed { from: cell(row, 0)?, with: cell(row, 1)?, t_ms: cell(row, 2)? })
    });
    Ok(found.optional()?)
}

/// The link of an entry: its time and its size of the company log.
pub fn link(
    conn: &Connection,
    log: LocalLog,
    seq: Seq,
) -> Result<Option<(TimeMs, u64)>, StoreError> {
    let sql = "SELECT t_ms, co FROM entry WHERE key = ?1";
    let key = super::seq_key(log, seq);
    let found =
        conn.prepare_cached(sql)?.query_row([key], |row| Ok((cell(row, 0)?, cell(row, 1)?)));
    Ok(found.optional()?)
}
