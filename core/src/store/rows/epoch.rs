//! The epoch in force of each log: the capsule that this phone expects, and the chain heads.

use std::collections::BTreeSet;

use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::epoch::{Chain, HintKey};
use hauspost_protocol::ids::{Digest, Epoch, Gen, LeafIndex, Seq};
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::log::LocalLog;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// The epoch in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochRow {
    /// Its generation.
    pub r#gen: Gen,
    /// Its number.
    pub epoch: Epoch,
    /// SHA-256 of the capsule's body as this phone computed it.
    pub capsule_hash: Digest,
    /// The body itself, until an equal one stands in the log.
    pub capsule_body: Option<Vec<u8>>,
    /// Where an equal one stands.
    pub capsule_seq: Option<Seq>,
    /// What seals its hints; none in an epoch that began under an older build.
    pub hints: Option<HintKey>,
}

/// The epoch in force, if one is.
pub fn find(conn: &Connection, log: LocalLog) -> Result<Option<EpochRow>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT gen, epoch, capsule_hash, capsule_body, capsule_seq, hint_key
         FROM epoch WHERE log = ?1",
    )?;
    let found = select.query_row([log.number], |row| {
        Ok(EpochRow {
            r#gen: cell(row, 0)?,
            epoch: cell(row, 1)?,
            capsule_hash: cell(row, 2)?,
            capsule_body: cell(row, 3)?,
            capsule_seq: cell(row, 4)?,
            hints: cell(row, 5)?,
        })
    });
    Ok(found.optional()?)
}

/// The epoch in force and what seals its hints.
pub fn hint_key(
    conn: &Connection,
    log: LocalLog,
) -> Result<Option<(Gen, Epoch, HintKey)>, StoreError> {
    let sql = "SELECT gen, epoch, hint_key FROM epoch WHERE log = ?1 AND hint_key NOT NULL";
    let mut select = conn.prepare_cached(sql)?;
    let found =
        select.query_row([log.number], |row| Ok((cell(row, 0)?, cell(row, 1)?, cell(row, 2)?)));
    Ok(found.optional()?)
}

/// Begins an epoch: it and its chains replace those before.
pub fn begin(
    tx: &Tx<'_>,
    log: LocalLog,
    epoch: &EpochRow,
    chains: &[(LeafIndex, Chain)],
) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT OR REPLACE INTO epoch
             (log, gen, epoch, capsule_hash, capsule_body, capsule_seq, hint_key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    insert.execute(params![
        log.number,
        C(epoch.r#gen),
        C(epoch.epoch),
        C(epoch.capsule_hash),
        epoch.capsule_body,
        C(epoch.capsule_seq),
        C(&epoch.hints),
    ])?;
    // The others are overwritten where they are.
    let kept: BTreeSet<LeafIndex> = chains.iter().map(|(leaf, _)| *leaf).collect();
    for leaf in leaves(tx, log)?.into_iter().filter(|leaf| !kept.contains(leaf)) {
        tx.prepare_cached("DELETE FROM chain WHERE log = ?1 AND leaf = ?2")?
            .execute(params![log.number, C(leaf)])?;
    }
    chains.iter().try_for_each(|(leaf, chain)| put_chain(tx, log, *leaf, chain))
}

fn leaves(conn: &Connection, log: LocalLog) -> Result<Vec<LeafIndex>, StoreError> {
    let mut select = conn.prepare_cached("SELECT leaf FROM chain WHERE log = ?1")?;
    let rows = select.query_map([log.number], |row| cell(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Ends the epoch: its chains are erased.
pub fn end(tx: &Tx<'_>, log: LocalLog) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM epoch WHERE log = ?1")?.execute([log.number])?;
    tx.prepare_cached("DELETE FROM chain WHERE log = ?1")?.execute([log.number])?;
    Ok(())
}

/// An equal capsule stands at this place: the body itself is no longer needed.
pub fn set_capsule_seq(tx: &Tx<'_>, log: LocalLog, seq: Seq) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE epoch SET capsule_seq = ?2, capsule_body = NULL WHERE log = ?1")?
        .execute(params![log.number, C(seq)])?;
    Ok(())
}

/// All chain heads of the epoch in force, by leaf.
pub fn chains(conn: &Connection, log: LocalLog) -> Result<Vec<(LeafIndex, Chain)>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT leaf, chain FROM chain WHERE log = ?1 ORDER BY leaf")?;
    let rows = select.query_map([log.number], |row| {
        Ok((cell(row, 0)?, Zeroizing::new(row.get::<_, Vec<u8>>(1)?)))
    })?;
    rows.map(|row| {
        let (leaf, bytes) = row?;
        Ok((leaf, decode(&bytes).map_err(|_| StoreError::Unreadable("chain head"))?))
    })
    .collect()
}

/// How many chains there are: the leaves of the epoch in force.
pub fn chain_count(conn: &Connection, log: LocalLog) -> Result<u64, StoreError> {
    let mut select = conn.prepare_cached("SELECT count(*) FROM chain WHERE log = ?1")?;
    Ok(select.query_row([log.number], |row| cell(row, 0))?)
}

/// The chain head of one leaf.
pub fn chain(
    conn: &Connection,
    log: LocalLog,
    leaf: LeafIndex,
) -> Result<Option<Chain>, StoreError> {
    let mut select = conn.prepare_cached("SELECT chain FROM chain WHERE log = ?1 AND leaf = ?2")?;
    let bytes = select
        .query_row(params![log.number, C(leaf)], |row| row.get::<_, Vec<u8>>(0))
        .optional()?
        .map(Zeroizing::new);
    bytes.map(|bytes| decode(&bytes).map_err(|_| StoreError::Unreadable("chain head"))).transpose()
}

/// Overwrites the chain heads that moved on.
pub fn put_chains(
    tx: &Tx<'_>,
    log: LocalLog,
    chains: &[(LeafIndex, &Chain)],
) -> Result<(), StoreError> {
    chains.iter().try_for_each(|(leaf, chain)| put_chain(tx, log, *leaf, chain))
}

fn put_chain(tx: &Tx<'_>, log: LocalLog, leaf: LeafIndex, chain: &Chain) -> Result<(), StoreError> {
    let bytes = Zeroizing::new(encode(chain));
    let mut insert = tx.prepare_cached(
        "INSERT INTO chain (log, leaf, chain) VALUES (?1, ?2, ?3)
         ON CONFLICT (log, leaf) DO UPDATE SET chain = excluded.chain",
    )?;
    insert.execute(params![log.number, C(leaf), &bytes[..]])?;
    Ok(())
}
