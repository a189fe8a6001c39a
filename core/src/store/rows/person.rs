//! The directory: names of people. The only table with names, and it can forget.

use hauspost_protocol::ids::UserId;
use hauspost_protocol::wire::Person;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::observe::Change;
use crate::store::cell::{C, cell};
use crate::store::search::folded;
use crate::store::{StoreError, Tx};

/// Stores these people, over those that are there.
pub fn put(tx: &Tx<'_>, people: &[Person]) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT OR REPLACE INTO person (user, handle, name, folded) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for person in people {
        let folded = person.name.as_deref().map(folded).unwrap_or_default();
        insert.execute(params![C(person.user), person.handle, person.name, folded])?;
    }
    if !people.is_empty() {
        tx.touch(Change::People);
        tx.touch(Change::Conversations);
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Person> {
    Ok(Person { user: cell(row, 0)?, handle: cell(row, 1)?, name: cell(row, 2)? })
}

/// One person.
pub fn find(conn: &Connection, user: UserId) -> Result<Option<Person>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT user, handle, name FROM person WHERE user = ?1")?;
    Ok(select.query_row([C(user)], read).optional()?)
}

/// The person whom admins call so.
pub fn by_handle(conn: &Connection, handle: &str) -> Result<Option<Person>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT user, handle, name FROM person WHERE handle = ?1")?;
    Ok(select.query_row([handle], read).optional()?)
}

/// People by name, as a phone book sorts them.
pub fn all(conn: &Connection, limit: u32) -> Result<Vec<Person>, StoreError> {
    let mut select = conn
        .prepare_cached("SELECT user, handle, name FROM person ORDER BY folded, user LIMIT ?1")?;
    let rows = select.query_map([limit], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
