//! A group as it is seen from outside, made anew from the log: for a device that was removed and may
//! come back, and for one that lost its way and enters anew (C7, C9).

use hauspost_protocol::authorise::Conversation;
use hauspost_protocol::body::{CommitBody, SignedPayload};
use hauspost_protocol::encoding::decode;
use hauspost_protocol::entry::Kind;
use hauspost_protocol::ids::{Seq, TimeMs};
use hauspost_protocol::mls::MlsError;
use hauspost_protocol::mls::extension::GroupBinding;
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::mls::public::Follower;
use rusqlite::Connection;

use super::{Code, Halt, Walk};
use crate::ledger::Ledger;
use crate::store::StoreError;
use crate::store::rows::entry;

/// A commit of the log: number, time, payload.
type Commit = (Seq, TimeMs, Vec<u8>);

/// The group at the newest entry that is stored; none if the stored commits do not make it.
pub fn outside(conn: &Connection, ledger: &Ledger) -> Result<Option<Follower>, StoreError> {
    match replay(stored(conn, ledger)?) {
        Ok(follower) => Ok(Some(follower)),
        Err(Halt::Store(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

impl Walk<'_> {
    /// The group before entry `until`: all commits before it, replayed.
    pub(super) fn follow_again(
        &self,
        conn: &Connection,
        ledger: &Ledger,
        until: Seq,
    ) -> Result<Follower, Halt> {
        let mut commits = stored(conn, ledger)?;
        for (row, held) in &self.changes.entries {
            if let Some((_, payload)) = held.as_ref().filter(|_| row.kind == Kind::Commit.code()) {
                commits.push((row.seq, row.t_ms, payload.clone()));
            }
        }
        commits.retain(|(seq, ..)| *seq < until);
        replay(commits)
    }
}

fn stored(conn: &Connection, ledger: &Ledger) -> Result<Vec<Commit>, StoreError> {
    let rows = entry::commits(conn, ledger.row.local)?.into_iter();
    let commits = rows.map(|row| {
        let held = entry::held(conn, ledger.row.local, row.seq)?;
        let (_, payload) = held.ok_or(StoreError::Missing("commit"))?;
        Ok((row.seq, row.t_ms, payload))
    });
    commits.collect()
}

/// Follows commits that this phone believed when it took them in.
fn replay(commits: Vec<Commit>) -> Result<Follower, Halt> {
    let mut follower = None;
    for (seq, t_ms, payload) in commits {
        let signed: SignedPayload = decode(&payload).map_err(|_| Halt::Stop(Code::Form))?;
        let body: CommitBody = decode(&signed.body).map_err(|_| Halt::Stop(Code::Form))?;
        if let Some(base) = &body.base {
            follower = Some(Follower::begin_again(base).map_err(|_| Halt::Stop(Code::Mls))?);
        }
        let known: Follower = follower.take().ok_or(Halt::Stop(Code::Mismatch))?;
        let next = known.ahead_unproven(&body.mls_message, seq, t_ms);
        follower = Some(next.map_err(|_| Halt::Stop(Code::Mls))?.believed());
    }
    follower.ok_or(Halt::Stop(Code::Mismatch))
}

/// The follower of a generation that begins.
pub(super) fn begin(conversation: &Conversation, base: &[u8]) -> Result<Follower, Halt> {
    begin_by(Follower::begin, conversation, base)
}

/// The same with the base's signatures unchecked, for a commit that proves itself.
pub(super) fn begin_unproven(conversation: &Conversation, base: &[u8]) -> Result<Follower, Halt> {
    begin_by(Follower::begin_unproven, conversation, base)
}

fn begin_by(
    how: impl Fn(&[u8], Suite, &GroupBinding) -> Result<Follower, MlsError>,
    conversation: &Conversation,
    base: &[u8],
) -> Result<Follower, Halt> {
    let suite = Suite::from_code(conversation.suite).ok_or(Halt::Stop(Code::Mismatch))?;
    how(base, suite, &conversation.binding()).map_err(|_| Halt::Stop(Code::Mls))
}
