//! Checkpoints that colleagues named: each has to lie on the tree that the server shows here
//! (docs/attacks.md 8).
//!
//! A colleague's signed statement names the newest checkpoint that his phone verified. If the server
//! shows two histories, a proof that both are one does not exist. What is not proven within a day of
//! the server's own clock is alarming, whatever the reason.

use hauspost_protocol::encoding::encode;
use hauspost_protocol::ids::TimeMs;
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::tree::checkpoint::TreeHead;
use hauspost_protocol::tree::merkle::verify_consistency;
use hauspost_protocol::wire::ConsistencyRequest;
use rusqlite::Connection;

use super::AccountError;
use super::checkpoints::tree;
use super::engine::Core;
use crate::inbound::Code;
use crate::store::StoreError;
use crate::store::rows::alarm::{self, Alarm};
use crate::store::rows::checkpoint::{self, CheckpointRow};
use crate::sync::SyncError;

/// The newest checkpoint is named again in a log when it is so much newer than the one named before.
const AGAIN_MS: u64 = 3_600_000;

/// What is known of a checkpoint that somebody named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It lies on this tree, or in an era that is over.
    Proven,
    /// It does not lie on this tree, or was not proven for a day.
    Alarming,
    /// The proof is still to come.
    Waits,
}

/// The checkpoint that a statement names, and its time: the newest one verified, in the first record of
/// an epoch and then hourly at most. `named_ms` is the time of the one that this log was told last.
pub(super) fn to_name(
    conn: &Connection,
    named_ms: Option<TimeMs>,
    first_of_epoch: bool,
) -> Result<Option<(TreeHead, TimeMs)>, StoreError> {
    let newest = checkpoint::newest(conn)?;
    let due = |newest: &CheckpointRow| {
        let due_ms = named_ms.map(|named| named.saturating_add(AGAIN_MS));
        first_of_epoch || due_ms.is_none_or(|due_ms| newest.t_ms >= due_ms)
    };
    Ok(newest.filter(due).map(|newest| (tree(&newest), newest.t_ms)))
}

impl Core {
    /// Proves what colleagues named, by the newest checkpoint.
    pub(super) async fn prove_gossip(&self) -> Result<(), AccountError> {
        let named =
            self.store.read(|conn| Ok::<_, AccountError>(checkpoint::unproven(conn)?)).await?;
        if named.is_empty() {
            return Ok(());
        }
        let Some(newest) = self.newest_checkpoint().await? else { return Ok(()) };
        for named in named {
            let verdict = match self.examine(&named, &newest).await? {
                Verdict::Waits if newest.t_ms > named.t_ms.saturating_add(DAY_MS) => {
                    Verdict::Alarming
                }
                verdict => verdict,
            };
            if verdict != Verdict::Waits {
                self.note_verdict(named, &newest, verdict).await?;
            }
        }
        Ok(())
    }

    async fn examine(
        &self,
        named: &CheckpointRow,
        newest: &CheckpointRow,
    ) -> Result<Verdict, AccountError> {
        // Between eras there is nothing to prove; the `restore` entry says what became of them.
        if named.era < newest.era {
            return Ok(Verdict::Proven);
        }
        if named.era > newest.era || named.size > newest.size {
            return Ok(Verdict::Waits);
        }
        let proof = if named.size == newest.size {
            Vec::new()
        } else {
            let (era, old, new) = (named.era, named.size, newest.size);
            match self.server.consistency(&ConsistencyRequest { era, old, new }).await {
                Ok(proof) => proof,
                Err(SyncError::Refused(_)) => return Ok(Verdict::Waits),
                Err(error) => return Err(error.into()),
            }
        };
        let (old, new) = ((named.size, named.root), (newest.size, newest.root));
        Ok(match verify_consistency(old, new, &proof) {
            Ok(()) => Verdict::Proven,
            Err(_) => Verdict::Alarming,
        })
    }

    async fn note_verdict(
        &self,
        named: CheckpointRow,
        newest: &CheckpointRow,
        verdict: Verdict,
    ) -> Result<(), AccountError> {
        let alarming = verdict == Verdict::Alarming;
        if alarming {
            tracing::warn!(size = named.size, "a colleague's checkpoint is not proven");
        }
        let evidence = Some(encode(&(tree(&named), tree(newest))));
        let (code, t_ms) = (Code::Gossip as u64, self.env.clock.now_ms());
        let alarm = Alarm { log: None, code, seq: None, evidence, t_ms };
        self.store
            .write(move |tx| {
                if alarming {
                    alarm::raise(tx, &alarm)?;
                }
                Ok::<_, AccountError>(checkpoint::forget(tx, named.era, named.size, named.root)?)
            })
            .await
    }
}
