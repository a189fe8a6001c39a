//! An admin orders a conversation's reset, which one of its phones then makes (R1).

use hauspost_protocol::company::body::ResetOrder;
use hauspost_protocol::company::entry::company_entry;
use hauspost_protocol::ids::{LogId, Seq};
use hauspost_protocol::limits::NAME_BYTES;
use hauspost_protocol::wire::{LogPlace, path};
use rand::CryptoRng;

use super::client::{Client, ClientError};
use super::holder::{Holder, HolderError};

/// Why no reset is ordered.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// The admin's keys or the server.
    #[error(transparent)]
    Holder(#[from] HolderError),
    /// The server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No such conversation.
    #[error("there is no conversation {0}")]
    Unknown(LogId),
    /// Not a reason.
    #[error("a reason has 1 to {NAME_BYTES} bytes and no control characters")]
    Reason,
}

/// Signs the order and appends it to the company log; gives its number.
pub async fn order(
    holder: &Holder,
    client: &Client,
    log: LogId,
    reason: &str,
    rng: &mut impl CryptoRng,
) -> Result<Seq, ResetError> {
    let fits = !reason.trim().is_empty()
        && reason.len() <= NAME_BYTES
        && !reason.chars().any(char::is_control);
    if !fits {
        return Err(ResetError::Reason);
    }
    let (_, key) = holder.role_key()?;
    let company = holder.company(client, rng).await?;
    let logs: Vec<LogPlace> = client.post(path::ARCHIVE_LOGS, &Vec::<u64>::new()).await?;
    if !logs.iter().any(|place| place.log == log) {
        return Err(ResetError::Unknown(log));
    }
    let body = ResetOrder { seen: company.newest(), log, reason: reason.to_owned() };
    let entry = company_entry(holder.card.company, body, &[&key]);
    Ok(client.append(holder.card.company.log(), entry).await?)
}
