//! Who this phone is, and small facts by name.

use hauspost_protocol::crypto::{Secret, SigningKey};
use hauspost_protocol::ids::{CompanyId, DeviceId, Digest, TimeMs, UserId};
use rusqlite::{Connection, OptionalExtension, params};

use crate::observe::Change;
use crate::store::cell::{C, cell, code_cell};
use crate::store::{StoreError, Tx};

code_cell! {
    /// How far the enrolment is.
    pub enum AccountState {
        /// Keys are drawn and stored; the server has not answered.
        Enrolling = 0,
        /// The device is in the company log.
        Enrolled = 1,
        /// The device was revoked.
        Revoked = 2,
    }
}

/// The account's one row.
pub struct Account {
    /// The company.
    pub company: CompanyId,
    /// The person.
    pub user: UserId,
    /// This installation.
    pub device: DeviceId,
    /// The server's address.
    pub server: String,
    /// Whom TLS trusts, as the invitation encoded it.
    pub trust: Vec<u8>,
    /// The company pin: H("hauspost/1 root", root pk).
    pub pin: Digest,
    /// The device's signature key, for MLS as well.
    pub signing_key: SigningKey,
    /// The seed of the device's X-Wing history key.
    pub history_seed: Secret,
    /// How far the enrolment is.
    pub state: AccountState,
    /// The enrolment request, sent again until it is answered.
    pub enrolment: Option<Vec<u8>>,
    /// The device's certificate, DER.
    pub certificate: Option<Vec<u8>>,
    /// When the account was made, by the phone's clock.
    pub made_ms: TimeMs,
}

/// The account, if there is one.
pub fn find(conn: &Connection) -> Result<Option<Account>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT company, user, device, server, trust, pin, signing_seed, history_seed, state,
                enrolment, certificate, made_ms
         FROM account",
    )?;
    let account = select.query_row([], |row| {
        Ok(Account {
            company: cell(row, 0)?,
            user: cell(row, 1)?,
            device: cell(row, 2)?,
            server: cell(row, 3)?,
            trust: cell(row, 4)?,
            pin: cell(row, 5)?,
            signing_key: cell(row, 6)?,
            history_seed: cell(row, 7)?,
            state: cell(row, 8)?,
            enrolment: cell(row, 9)?,
            certificate: cell(row, 10)?,
            made_ms: cell(row, 11)?,
        })
    });
    Ok(account.optional()?)
}

/// Stores the account, over the one that is there.
pub fn put(tx: &Tx<'_>, account: &Account) -> Result<(), StoreError> {
    tx.flush();
    let mut insert = tx.prepare_cached(
        "INSERT OR REPLACE INTO account
             (id, company, user, device, server, trust, pin, signing_seed, history_seed, state,
              enrolment, certificate, made_ms)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    insert.execute(params![
        C(account.company),
        C(account.user),
        C(account.device),
        account.server,
        account.trust,
        C(account.pin),
        C(&account.signing_key),
        C(&account.history_seed),
        C(account.state),
        account.enrolment,
        account.certificate,
        C(account.made_ms),
    ])?;
    tx.touch(Change::Account);
    Ok(())
}

/// The fact of this name.
pub fn fact(conn: &Connection, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let mut select = conn.prepare_cached("SELECT value FROM fact WHERE name = ?1")?;
    Ok(select.query_row([name], |row| row.get(0)).optional()?)
}

/// Stores the fact of this name, over the one that is there.
pub fn put_fact(tx: &Tx<'_>, name: &str, value: &[u8]) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT OR REPLACE INTO fact (name, value) VALUES (?1, ?2)")?
        .execute(params![name, value])?;
    Ok(())
}

/// Forgets the fact of this name.
pub fn forget_fact(tx: &Tx<'_>, name: &str) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM fact WHERE name = ?1")?.execute([name])?;
    Ok(())
}
