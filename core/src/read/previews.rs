//! The previews that a page of a timeline shows.

use hauspost_protocol::ids::{LogId, MessageId};
use rusqlite::Connection;

use super::PAGE_ROWS;
use crate::store::StoreError;
use crate::store::rows::log;
use crate::store::rows::preview::{self, ShownPreview};

/// The previews of the documents of these messages, as far as they are here; a page's messages at most.
pub fn previews(
    conn: &Connection,
    log: LogId,
    messages: &[MessageId],
) -> Result<Vec<ShownPreview>, StoreError> {
    let log = log::local(conn, log)?.ok_or(StoreError::Missing("conversation"))?;
    let mut shown = Vec::new();
    for message_id in messages.iter().take(PAGE_ROWS as usize) {
        shown.extend(preview::of_message(conn, log.number, *message_id)?);
    }
    Ok(shown)
}
