//! Tables, and the way from each version of them to the next.

use rusqlite::Connection;

use super::backend;
use crate::store::StoreError;

/// The main database, one step a version. A step that was released never changes.
pub const MAIN: &[&str] = &[
    r"
    CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

    -- log numbers are dense and never used again; the company log is number 0
    CREATE TABLE log_numbers (
        no INTEGER PRIMARY KEY, user BLOB NOT NULL, log BLOB UNIQUE
    ) STRICT;
    CREATE INDEX open_reservations ON log_numbers (user) WHERE log IS NULL;
    CREATE TABLE logs (
        no INTEGER PRIMARY KEY REFERENCES log_numbers (no), log BLOB NOT NULL UNIQUE,
        size INTEGER NOT NULL, head BLOB NOT NULL, t_ms INTEGER NOT NULL, co INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE pairs (
        low BLOB NOT NULL, high BLOB NOT NULL, log BLOB NOT NULL, PRIMARY KEY (low, high)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE entries (
        no INTEGER NOT NULL REFERENCES logs (no), seq INTEGER NOT NULL, kind INTEGER NOT NULL,
        head BLOB NOT NULL, payload_hash BLOB NOT NULL, payload_len INTEGER NOT NULL,
        t_ms INTEGER NOT NULL, co INTEGER NOT NULL, core BLOB NOT NULL, hash BLOB NOT NULL,
        author BLOB, PRIMARY KEY (no, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX entries_by_core ON entries (core, no);
    -- sealed under the shred key of the same place, but for the company log
    CREATE TABLE payloads (
        no INTEGER NOT NULL, seq INTEGER NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (no, seq)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE conversations (
        no INTEGER PRIMARY KEY REFERENCES logs (no), state BLOB NOT NULL, public BLOB NOT NULL
    ) STRICT;
    CREATE TABLE chains (
        no INTEGER NOT NULL, leaf INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (no, leaf)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE members (
        device BLOB NOT NULL, no INTEGER NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER,
        PRIMARY KEY (device, no, from_seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX members_by_log ON members (no);

    CREATE TABLE trees (
        no INTEGER NOT NULL, hash BLOB NOT NULL, tree BLOB NOT NULL, PRIMARY KEY (no, hash)
    ) STRICT;
    CREATE TABLE group_infos (
        id INTEGER PRIMARY KEY AUTOINCREMENT, no INTEGER NOT NULL, gen INTEGER NOT NULL,
        epoch INTEGER NOT NULL, device BLOB NOT NULL, info BLOB NOT NULL,
        UNIQUE (no, gen, epoch, device)
    ) STRICT;
    CREATE TABLE welcomes (
        no INTEGER NOT NULL, seq INTEGER NOT NULL, welcome BLOB NOT NULL, PRIMARY KEY (no, seq)
    ) STRICT;

    CREATE TABLE packages (
        id INTEGER PRIMARY KEY AUTOINCREMENT, device BLOB NOT NULL, package BLOB NOT NULL
    ) STRICT;
    CREATE INDEX packages_by_device ON packages (device, id);
    CREATE TABLE last_resorts (device BLOB PRIMARY KEY, package BLOB NOT NULL) STRICT;

    CREATE TABLE enrolments (
        seed BLOB PRIMARY KEY, request BLOB NOT NULL, company_seq INTEGER NOT NULL,
        certificate BLOB NOT NULL
    ) STRICT;
    CREATE TABLE history_keys (device BLOB PRIMARY KEY, key BLOB NOT NULL) STRICT;

    CREATE TABLE people (
        user BLOB PRIMARY KEY, handle TEXT NOT NULL, name TEXT, version INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX people_by_version ON people (version);

    CREATE TABLE outer_leaves (
        era INTEGER NOT NULL, idx INTEGER NOT NULL, leaf BLOB NOT NULL, note TEXT NOT NULL,
        company BLOB NOT NULL,
        PRIMARY KEY (era, idx)
    ) STRICT;
    CREATE TABLE outer_nodes (
        era INTEGER NOT NULL, level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL,
        PRIMARY KEY (era, level, idx)
    ) STRICT, WITHOUT ROWID;
    -- a heads leaf holds from this outer leaf on until the next one of its log
    CREATE TABLE heads (
        era INTEGER NOT NULL, no INTEGER NOT NULL, idx INTEGER NOT NULL, leaf BLOB NOT NULL,
        PRIMARY KEY (era, no, idx)
    ) STRICT, WITHOUT ROWID;
    -- of each witness the newest; it vouches for everything before
    CREATE TABLE cosignatures (
        era INTEGER NOT NULL, witness BLOB NOT NULL, idx INTEGER NOT NULL, line TEXT NOT NULL,
        PRIMARY KEY (era, witness)
    ) STRICT;
",
    r"
    -- each suite has a stock of its own; phones bring theirs up when they next look after it
    DROP TABLE packages;
    DROP TABLE last_resorts;
    CREATE TABLE packages (
        id INTEGER PRIMARY KEY AUTOINCREMENT, device BLOB NOT NULL, suite INTEGER NOT NULL,
        made_ms INTEGER NOT NULL, package BLOB NOT NULL
    ) STRICT;
    CREATE INDEX packages_by_device ON packages (device, suite, id);
    CREATE TABLE last_resorts (
        device BLOB NOT NULL, suite INTEGER NOT NULL, made_ms INTEGER NOT NULL,
        package BLOB NOT NULL, PRIMARY KEY (device, suite)
    ) STRICT, WITHOUT ROWID;
",
    r"
    CREATE TABLE blobs (
        no INTEGER NOT NULL REFERENCES logs (no), root BLOB NOT NULL, id BLOB NOT NULL UNIQUE,
        size INTEGER NOT NULL, uploader BLOB NOT NULL, begun_ms INTEGER NOT NULL,
        -- the bitmap of the chunks that are there; none when all are
        present BLOB,
        -- whether a record names it; one that none names is garbage after a while
        named INTEGER NOT NULL, PRIMARY KEY (no, root)
    ) STRICT;
    CREATE INDEX unnamed_blobs ON blobs (uploader, size) WHERE named = 0;
    CREATE INDEX abandoned_blobs ON blobs (begun_ms) WHERE named = 0;
    -- the hashes of 128 chunks in a row
    CREATE TABLE blob_leaves (
        id BLOB NOT NULL, piece INTEGER NOT NULL, leaves BLOB NOT NULL, PRIMARY KEY (id, piece)
    ) STRICT;
    CREATE TABLE blob_names (
        no INTEGER NOT NULL, root BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (no, root, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE blob_totals (blobs INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
    INSERT INTO blob_totals (blobs, bytes) VALUES (0, 0);
",
    r"
    -- whose devices may enter a conversation by themselves, with a leaf or without
    CREATE TABLE let_in (
        user BLOB NOT NULL, no INTEGER NOT NULL, PRIMARY KEY (user, no)
    ) STRICT, WITHOUT ROWID;
",
    r"
    -- further devices of people that wait for somebody who signs for them
    CREATE TABLE waiting_devices (
        seed BLOB PRIMARY KEY, user BLOB NOT NULL, waiting BLOB NOT NULL
    ) STRICT;
    CREATE INDEX waiting_by_user ON waiting_devices (user);
",
    r"
    -- each append is a change of its own; what was there before this version is older than all
    ALTER TABLE logs ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX logs_by_change ON logs (changed);
    ALTER TABLE entries ADD COLUMN change INTEGER NOT NULL DEFAULT 0;
",
    r"
    -- when what a device has appended will be paid off
    CREATE TABLE usage (
        device BLOB PRIMARY KEY, entries_ms INTEGER NOT NULL, bytes_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    r"
    -- the log's size when its user left or was removed: devices without a leaf are told of it; none
    -- while they may enter
    ALTER TABLE let_in ADD COLUMN until INTEGER;
",
    r"
    -- the key lists of history grants, until they are erased after they were picked up
    CREATE TABLE grant_lists (
        no INTEGER NOT NULL REFERENCES logs (no), root BLOB NOT NULL, device BLOB NOT NULL,
        seq INTEGER NOT NULL, picked_ms INTEGER, PRIMARY KEY (no, root)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX grant_lists_picked ON grant_lists (picked_ms) WHERE picked_ms IS NOT NULL;
    -- which entries a device may read by grants, for as long as its person may read the log
    CREATE TABLE grant_ranges (
        device BLOB NOT NULL, no INTEGER NOT NULL REFERENCES logs (no),
        from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL,
        PRIMARY KEY (device, no, from_seq, to_seq)
    ) STRICT, WITHOUT ROWID;
",
    r"
    -- what a device has uploaded, named or not
    CREATE INDEX device_blobs ON blobs (uploader, size);
    CREATE INDEX oldest_unnamed_blob ON blobs (uploader, begun_ms) WHERE named = 0;
",
    r"
    -- how far a successor without a leaf reads a log that was handed over to him
    CREATE TABLE handed_over (
        user BLOB NOT NULL, no INTEGER NOT NULL REFERENCES logs (no), size INTEGER NOT NULL,
        PRIMARY KEY (user, no)
    ) STRICT, WITHOUT ROWID;
",
];

/// The shred keys, in a file with backups of its own that live for at most 30 days.
pub const SHRED: &[&str] = &[
    r"
    CREATE TABLE shred_keys (
        no INTEGER NOT NULL, seq INTEGER NOT NULL, key BLOB NOT NULL, PRIMARY KEY (no, seq)
    ) STRICT, WITHOUT ROWID;
",
    r"
    CREATE TABLE blob_keys (id BLOB PRIMARY KEY, key BLOB NOT NULL) STRICT, WITHOUT ROWID;
",
];

/// Brings a database to the newest version, each step in a transaction of its own.
pub fn migrate(connection: &Connection, steps: &[&str]) -> Result<(), StoreError> {
    let failed = backend("bring the database to the newest version");
    let known = steps.len() as u32;
    let found: u32 =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(&failed)?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (step, version) in steps.iter().zip(1u32..).skip(found as usize) {
        let sql = format!("BEGIN IMMEDIATE; {step}; PRAGMA user_version = {version}; COMMIT");
        connection.execute_batch(&sql).map_err(&failed)?;
    }
    Ok(())
}
