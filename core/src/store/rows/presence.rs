//! Who was last there, and whether people see it of each other, or who is typing.
//!
//! Both are traces of behaviour (legal.md L-24). They come and go only while the policy lets them, and each
//! is shown only to who shows his own.

use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::hint::HERE_LOGS;
use hauspost_protocol::ids::{LogId, TimeMs, UserId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::account;
use super::log::LocalLog;
use crate::observe::Change;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// Under which name it is noted whether the policy lets people see who types, and who was last there.
const POLICY: &str = "presence-policy";

/// What people may see of each other besides what they read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trace {
    /// That somebody is writing just now.
    Typing,
    /// That somebody is there, or when he last was.
    LastSeen,
}

impl Trace {
    /// Under which name it is noted that the person shows none of it.
    pub(crate) fn withheld_as(self) -> &'static str {
        match self {
            Self::Typing => "typing-withheld",
            Self::LastSeen => "last-seen-withheld",
        }
    }

    /// The one that is noted under this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Typing, Self::LastSeen].into_iter().find(|trace| trace.withheld_as() == name)
    }
}

/// What this person shows, and therefore sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown {
    /// Who is writing.
    pub typing: bool,
    /// Who is or was there.
    pub last_seen: bool,
}

impl Shown {
    /// Whether it is nothing.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// Notes what the policy says now. What was kept under one that said otherwise goes.
pub fn set_policy(tx: &Tx<'_>, typing: bool, last_seen: bool) -> Result<(), StoreError> {
    let policy = encode(&(typing, last_seen));
    if account::fact(tx, POLICY)?.is_some_and(|known| known == policy) {
        return Ok(());
    }
    account::put_fact(tx, POLICY, &policy)?;
    if !last_seen {
        tx.execute("DELETE FROM last_seen", [])?;
    }
    tx.touch(Change::Presence);
    Ok(())
}

/// Whether it is noted what the policy says.
pub fn is_noted(conn: &Connection) -> Result<bool, StoreError> {
    Ok(account::fact(conn, POLICY)?.is_some())
}

/// The person shows none of it, or does again. Of what he does not show he sees nothing either.
pub fn set_withheld(tx: &Tx<'_>, trace: Trace, withheld: bool) -> Result<(), StoreError> {
    if !withheld {
        account::forget_fact(tx, trace.withheld_as())?;
    } else {
        account::put_fact(tx, trace.withheld_as(), &[1])?;
        if trace == Trace::LastSeen {
            tx.execute("DELETE FROM last_seen", [])?;
        }
    }
    tx.touch(Change::Presence);
    Ok(())
}

/// Whether the person shows none of it.
pub fn is_withheld(conn: &Connection, trace: Trace) -> Result<bool, StoreError> {
    Ok(account::fact(conn, trace.withheld_as())?.is_some())
}

/// What the policy lets people see, and this person does not withhold.
pub fn shown(conn: &Connection) -> Result<Shown, StoreError> {
    let Some(policy) = account::fact(conn, POLICY)? else { return Ok(Shown::default()) };
    let unreadable = |_| StoreError::Unreadable("presence policy");
    let (typing, last_seen) = decode::<(bool, bool)>(&policy).map_err(unreadable)?;
    Ok(Shown {
        typing: typing && !is_withheld(conn, Trace::Typing)?,
        last_seen: last_seen && !is_withheld(conn, Trace::LastSeen)?,
    })
}

/// The other person of a dm was there at this time, if he may be seen. It does not go back.
pub fn note(tx: &Tx<'_>, log: LocalLog, t_ms: TimeMs) -> Result<(), StoreError> {
    if !shown(tx)?.last_seen {
        return Ok(());
    }
    tx.prepare_cached(
        "INSERT INTO last_seen (log, t_ms) VALUES (?1, ?2)
         ON CONFLICT (log) DO UPDATE SET t_ms = excluded.t_ms WHERE excluded.t_ms > t_ms",
    )?
    .execute(params![log.number, C(t_ms)])?;
    tx.touch(Change::Presence);
    Ok(())
}

/// When the other person of a dm was last there.
pub fn last_seen(conn: &Connection, log: LocalLog) -> Result<Option<TimeMs>, StoreError> {
    let mut select = conn.prepare_cached("SELECT t_ms FROM last_seen WHERE log = ?1")?;
    Ok(select.query_row([log.number], |row| cell(row, 0)).optional()?)
}

/// Whose time is kept.
pub fn people(conn: &Connection) -> Result<Vec<UserId>, StoreError> {
    let sql = "SELECT l.peer FROM last_seen s JOIN log l ON l.id = s.log WHERE l.peer NOT NULL";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map([], |row| cell(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Forgets what is older than this time, and all about these people.
pub fn forget(tx: &Tx<'_>, before_ms: TimeMs, gone: &[UserId]) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM last_seen WHERE t_ms < ?1")?.execute([C(before_ms)])?;
    for user in gone {
        let sql = "DELETE FROM last_seen WHERE log IN (SELECT id FROM log WHERE peer = ?1)";
        tx.prepare_cached(sql)?.execute([C(user)])?;
        tx.touch(Change::Presence);
    }
    Ok(())
}

/// The conversations of two in which a person says that he is there: those in which somebody wrote last.
pub fn told(conn: &Connection) -> Result<Vec<LogId>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT l.log FROM conversation c JOIN log l ON l.id = c.log
         WHERE l.type = 0 AND l.state = 0 ORDER BY c.last_ms DESC LIMIT ?1",
    )?;
    let rows = select.query_map([HERE_LOGS as i64], |row| cell(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use hauspost_protocol::body::LogType;

    use super::*;
    use crate::store::fixture::enrolled;
    use crate::store::rows::log::{self, Log, LogState};

    /// The conversation with this person, in which somebody wrote last at this time.
    fn dm(tx: &Tx<'_>, number: u8, last_ms: TimeMs) -> Result<LocalLog, StoreError> {
        let mut row = Log::new(LogId([number; 16]), LogType::Dm);
        row.peer = Some(UserId([number; 16]));
        let local = log::insert(tx, &row, None, last_ms)?;
        let sql = "UPDATE conversation SET last_ms = ?2 WHERE log = ?1";
        tx.execute(sql, params![local.number, C(last_ms)])?;
        Ok(local)
    }

    async fn within(job: impl FnOnce(&Tx<'_>) -> Result<(), StoreError> + Send + 'static) {
        let folder = tempfile::tempdir().unwrap();
        enrolled(folder.path()).await.write(move |tx| job(tx)).await.unwrap();
    }

    #[tokio::test]
    async fn who_is_there_says_so_in_the_newest_conversations_of_two_that_go_on_and_in_so_many() {
        within(|tx| {
            for number in 1..=HERE_LOGS as u8 + 2 {
                dm(tx, number, u64::from(number))?;
            }
            let group = log::insert(tx, &Log::new(LogId([200; 16]), LogType::Group), None, 900)?;
            let mut left = Log::new(LogId([201; 16]), LogType::Dm);
            left.local = dm(tx, 201, 901)?;
            left.state = LogState::Left;
            log::update(tx, &left)?;
            let told = told(tx)?;
            assert!(!told.contains(&group.id) && !told.contains(&left.local.id));
            let newest = (3..=HERE_LOGS as u8 + 2).rev().map(|number| LogId([number; 16]));
            assert_eq!(told, newest.collect::<Vec<_>>());
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn when_somebody_was_last_there_is_kept_while_it_may_be_seen_and_does_not_go_back() {
        within(|tx| {
            let ben = dm(tx, 1, 1)?;
            note(tx, ben, 500)?;
            assert_eq!(last_seen(tx, ben)?, None, "no policy says so");
            set_policy(tx, true, true)?;
            note(tx, ben, 500)?;
            note(tx, ben, 400)?;
            assert_eq!(last_seen(tx, ben)?, Some(500));
            set_withheld(tx, Trace::Typing, true)?;
            assert_eq!(last_seen(tx, ben)?, Some(500), "typing is another thing");
            set_withheld(tx, Trace::LastSeen, true)?;
            set_withheld(tx, Trace::LastSeen, false)?;
            assert_eq!(last_seen(tx, ben)?, None, "who withheld it begins anew");
            note(tx, ben, 600)?;
            set_policy(tx, false, true)?;
            assert_eq!(last_seen(tx, ben)?, Some(600));
            set_policy(tx, true, false)?;
            set_policy(tx, true, true)?;
            assert_eq!(last_seen(tx, ben)?, None, "and so does a policy");
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_older_than_it_is_kept_goes_and_all_of_who_is_gone() {
        within(|tx| {
            set_policy(tx, true, true)?;
            let (anna, ben, carla) = (dm(tx, 1, 1)?, dm(tx, 2, 2)?, dm(tx, 3, 3)?);
            for (log, t_ms) in [(anna, 100), (ben, 500), (carla, 900)] {
                note(tx, log, t_ms)?;
            }
            forget(tx, 500, &[UserId([3; 16])])?;
            let left = [anna, ben, carla].map(|log| last_seen(tx, log).unwrap());
            assert_eq!(left, [None, Some(500), None]);
            assert_eq!(people(tx)?, [UserId([2; 16])]);
            Ok(())
        })
        .await;
    }
}
