//! What the person was notified of, so that nothing rings twice.

use hauspost_protocol::ids::{LogId, TimeMs};
use rusqlite::{Connection, params};

use super::log::LocalLog;
use super::message::{COLUMNS, Message, read};
use super::{PENDING, key};
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// A message that the person was not notified of.
#[derive(Debug, Clone)]
pub struct New {
    /// The conversation.
    pub log: LogId,
    /// Whether it makes no sound.
    pub muted: bool,
    /// The message.
    pub message: Message,
}

/// Unread messages that the person was not notified of, the newest first.
pub fn new(conn: &Connection, now_ms: TimeMs, limit: u32) -> Result<Vec<New>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT c.log, l.log, ifnull(c.muted_until, 0) > ?1,
             max(ifnull(c.read_seq, -1), ifnull(c.skip_seq, -1)), ifnull(n.key, -1)
         FROM conversation c JOIN log l ON l.id = c.log LEFT JOIN notified n ON n.log = c.log
         WHERE c.unread > 0",
    )?;
    let logs = select.query_map([C(now_ms)], |row| {
        let local = LocalLog { number: row.get(0)?, id: cell(row, 1)? };
        Ok((local, row.get::<_, bool>(2)?, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?))
    })?;
    let logs: Vec<_> = logs.collect::<Result<_, _>>()?;
    let mut rows = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM message m
         WHERE m.key > ?1 AND m.key < ?2 AND m.fate < 2 AND m.again = 0 AND m.handed = 0
             AND m.kind NOT IN (2, 3, 4) AND m.author <> (SELECT user FROM account)
         ORDER BY m.key DESC LIMIT ?3"
    ))?;
    let mut found = Vec::new();
    for (local, muted, read_seq, notified) in logs {
        let after = (key(local, 0) + read_seq).max(notified);
        let messages = rows.query_map(params![after, key(local, PENDING), limit], read)?;
        for message in messages {
            found.push(New { log: local.id, muted, message: message? });
        }
    }
    found.sort_by_key(|new| std::cmp::Reverse((new.message.t_ms, new.message.key)));
    Ok(found)
}

/// The person is notified of all that is there.
pub fn note(tx: &Tx<'_>, log: LogId, up_to: i64) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO notified (log, key) SELECT id, ?2 FROM log WHERE log = ?1
         ON CONFLICT (log) DO UPDATE SET key = max(key, excluded.key)",
    )?
    .execute(params![C(log), up_to])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use hauspost_protocol::content::Control;
    use hauspost_protocol::encoding::encode;
    use hauspost_protocol::ids::{DeviceId, Seq};

    use super::*;
    use crate::store::Store;
    use crate::store::fixture::{ANNA, ME, enrolled, group, text};
    use crate::store::rows::conversation;
    use crate::store::rows::mark::{self, MarkKind, NewMark};
    use crate::store::rows::message::{self, MessageState, NewMessage, Place, Saying};
    use crate::store::rows::seq_key;

    async fn write(
        store: &Store,
        job: impl FnOnce(&Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) {
        store.write(job).await.unwrap();
    }

    async fn told(store: &Store) -> Vec<String> {
        let new = store.read::<_, StoreError, _>(|conn| new(conn, 100, 10)).await.unwrap();
        new.into_iter().map(|new| new.message.text.unwrap()).collect()
    }

    #[tokio::test]
    async fn what_was_taken_back_passed_over_or_written_by_the_person_himself_rings_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = group(&store, 1, "Lager").await;
        let mine = NewMessage { author: ME, device: DeviceId([7; 16]), ..text(3, "meins") };
        let deletion = NewMark {
            place: Place::At(Seq(5)),
            message_id: text(5, "").message_id,
            about: text(4, "").message_id,
            kind: MarkKind::Deletion,
            valid: true,
            author: ANNA,
            device: DeviceId([2; 16]),
            state: MessageState::Received,
            t_ms: 5,
            sent_ms: 5,
            text: None,
            saying: Saying::default(),
            content: encode(&Control::Pin(text(4, "").message_id)),
            record_key: None,
        };
        write(&store, move |tx| {
            // What came before was not readable, and passes for read.
            conversation::skip_unreadable(tx, log, Seq(1))?;
            for message in [text(1, "früher"), text(2, "neu"), mine, text(4, "vertan")] {
                message::insert(tx, log, &message)?;
            }
            mark::insert(tx, log, &deletion).map(|_| ())
        })
        .await;
        assert_eq!(told(&store).await, ["neu"]);
    }

    #[tokio::test]
    async fn what_was_handed_over_to_the_person_rings_nowhere_though_others_are_unread_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = group(&store, 1, "Lager").await;
        write(&store, move |tx| {
            message::insert(tx, log, &text(1, "neu"))?;
            let handed = NewMessage { handed: true, unread: false, ..text(2, "übergeben") };
            message::insert(tx, log, &handed).map(|_| ())
        })
        .await;
        assert_eq!(told(&store).await, ["neu"]);
    }

    #[tokio::test]
    async fn what_the_person_was_told_of_is_not_told_again_whatever_is_noted_late() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = group(&store, 1, "Lager").await;
        write(&store, move |tx| {
            for seq in 1..=3 {
                message::insert(tx, log, &text(seq, &seq.to_string()))?;
            }
            Ok(())
        })
        .await;
        assert_eq!(told(&store).await, ["3", "2", "1"]);
        for seq in [2, 1] {
            write(&store, move |tx| note(tx, log.id, seq_key(log, Seq(seq)))).await;
            assert_eq!(told(&store).await, ["3"]);
        }
    }
}
