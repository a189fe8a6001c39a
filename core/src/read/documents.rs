//! The documents of a conversation: its gallery, and the list of its files.

use hauspost_protocol::ids::{LogId, MessageId, Seq, TimeMs, UserId};
use hauspost_protocol::statement::FileRole;
use rusqlite::{Connection, params};

use super::PAGE_ROWS;
use crate::store::StoreError;
use crate::store::cell::cell;
use crate::store::rows::file::{self, ShownFile};
use crate::store::rows::log;
use crate::store::rows::{key_seq, keys};

/// Messages that one page looks at, at most: of ten thousand documents two may be pictures.
const LOOKED_AT: u32 = 5_000;

/// Which documents are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// All of them.
    All,
    /// Pictures and videos.
    Pictures,
    /// Everything else.
    Files,
}

impl DocumentKind {
    fn holds(self, media_type: &str) -> bool {
        let is_picture = media_type.starts_with("image/") || media_type.starts_with("video/");
        match self {
            Self::All => true,
            Self::Pictures => is_picture,
            Self::Files => !is_picture,
        }
    }
}

/// A document with the message that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRow {
    /// The message's key in the timeline.
    pub key: i64,
    /// Its number in the log, once the server ordered it.
    pub seq: Option<Seq>,
    /// The message.
    pub message_id: MessageId,
    /// Who sent it.
    pub author: UserId,
    /// The log's time; the phone's own while pending.
    pub t_ms: TimeMs,
    /// The document.
    pub file: ShownFile,
}

/// A page of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPage {
    /// The documents, those of the newest message first. A message's stay together, so that there may be
    /// a few more than asked for.
    pub rows: Vec<DocumentRow>,
    /// What to ask the next page with; nothing at the end.
    pub next: Option<i64>,
}

/// At most `limit` documents of a conversation, of messages before that of `before`. Previews are not
/// among them, since they are shown with what they belong to, nor what was taken back or hidden.
pub fn documents(
    conn: &Connection,
    log: LogId,
    kind: DocumentKind,
    before: Option<i64>,
    limit: u32,
) -> Result<DocumentPage, StoreError> {
    let local = log::local(conn, log)?.ok_or(StoreError::Missing("conversation"))?;
    let limit = limit.clamp(1, PAGE_ROWS) as usize;
    let (first, last) = keys(local);
    let before = before.unwrap_or(last + 1).clamp(first, last + 1);
    let mut select = conn.prepare_cached(
        "SELECT key, message_id, author, t_ms FROM message
         WHERE key >= ?1 AND key < ?2 AND kind = 5 AND fate < 2 ORDER BY key DESC LIMIT ?3",
    )?;
    let messages = select.query_map(params![first, before, LOOKED_AT + 1], |row| {
        Ok((row.get::<_, i64>(0)?, cell(row, 1)?, cell(row, 2)?, cell(row, 3)?))
    })?;
    let mut rows: Vec<DocumentRow> = Vec::new();
    let mut seen = None;
    for (count, message) in (0..).zip(messages) {
        let (key, message_id, author, t_ms) = message?;
        if rows.len() >= limit || count == LOOKED_AT {
            return Ok(DocumentPage { rows, next: seen });
        }
        seen = Some(key);
        let files = file::shown(conn, local.number, message_id)?.into_iter();
        let wanted =
            |file: &ShownFile| file.role == FileRole::Original && kind.holds(&file.media_type);
        rows.extend(files.filter(wanted).map(|file| DocumentRow {
            key,
            seq: key_seq(key),
            message_id,
            author,
            t_ms,
            file,
        }));
    }
    Ok(DocumentPage { rows, next: None })
}
