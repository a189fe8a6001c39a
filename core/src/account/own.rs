//! What a person does that all of his devices are to know, and nobody else: how far he has read, what he
//! began to write, what he silenced, put away, starred and set; and his notes to himself.
//!
//! Each of it shows here at once. A person with one device tells nobody; with several it goes into the
//! log of his own devices ([`own`](crate::own)), gathered for five seconds so that reading on does not
//! become a stream of records.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hauspost_protocol::body::{HistoryRule, LogType};
use hauspost_protocol::content::{FOR_EVER, OwnFact};
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{LogId, Seq, TimeMs};
use hauspost_protocol::limits::{DRAFT_BYTES, SETTING_BYTES, SETTING_NAME_BYTES};
use tokio::sync::Notify;

use super::engine::Core;
use super::talk::found;
use super::{Account, AccountError};
use crate::own::{self, When};
use crate::store::Tx;
use crate::store::rows::{conversation, log, own as rows, receipt};

/// Between two records of own state passes at least so much time.
const GATHER_MS: TimeMs = 5_000;
/// Between the ranks of two favourites there is room for others.
const RANKS: u64 = 1 << 20;

/// What an account keeps in memory of what is to be agreed on.
#[derive(Default)]
pub(super) struct Own {
    /// When the newest record of own state was due.
    last_ms: AtomicU64,
    /// Whether the person has several devices.
    several: AtomicBool,
    /// There is something to tell and no log to tell it in.
    pub(super) to_agree: Notify,
}

/// What a transaction finds that is to be told.
pub(super) type Told = Vec<OwnFact>;

impl Core {
    /// Stores what the person did, with the record that tells it to his other devices.
    pub(super) async fn tell_own<T, F>(&self, job: F) -> Result<T, AccountError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>, &mut Told) -> Result<T, AccountError> + Send + 'static,
    {
        let now_ms = self.env.clock.now_ms();
        let last_ms = self.own.last_ms.load(Ordering::Acquire);
        // A clock that was set back does not hold anything up.
        let due_ms = match last_ms.saturating_add(GATHER_MS) {
            due_ms if due_ms <= now_ms.saturating_add(GATHER_MS) => due_ms.max(now_ms),
            _ => now_ms,
        };
        let (value, began, alone) = self
            .store
            .write(move |tx| {
                let mut told = Told::new();
                let value = job(tx, &mut told)?;
                let is_any = !told.is_empty();
                let mut began = false;
                for fact in told {
                    began |= own::say(tx, fact, When { now_ms, due_ms })?;
                }
                let alone = is_any && !began && log::own(tx)?.is_none();
                Ok::<_, AccountError>((value, began, alone))
            })
            .await?;
        if began {
            self.own.last_ms.store(due_ms, Ordering::Release);
            self.to_send.notify_one();
        }
        if alone && self.own.several.load(Ordering::Acquire) {
            self.own.to_agree.notify_one();
        }
        Ok(value)
    }

    /// Begins the person's own log, if he has several devices and this one has something to tell. The
    /// server keeps the first of two; the other device finds it in its next pull.
    pub(super) async fn agree(&self) -> Result<(), AccountError> {
        let company = {
            let mut engine = self.engine.lock().await;
            self.company(&mut engine).await?
        };
        let several = company.now().devices_of(self.me.user).count() > 1;
        self.own.several.store(several, Ordering::Release);
        if !several {
            return Ok(());
        }
        let wanted = self
            .store
            .read(|conn| Ok::<_, AccountError>(log::own(conn)?.is_none() && rows::is_any(conn)?));
        if wanted.await? {
            self.begin_own().await?;
        }
        Ok(())
    }

    /// What was being written when the phone was killed is told now.
    pub(super) async fn tell_untold(&self) -> Result<(), AccountError> {
        let untold = self
            .store
            .read(|conn| Ok::<_, AccountError>(conversation::untold_drafts(conn)?))
            .await?;
        if untold.is_empty() { Ok(()) } else { self.tell_drafts(untold).await }
    }

    /// Tells what was written in these conversations and nobody was told of. What another device wrote
    /// meanwhile, without knowing it, stays beside it.
    async fn tell_drafts(&self, logs: Vec<LogId>) -> Result<(), AccountError> {
        let now_ms = self.env.clock.now_ms();
        self.tell_own(move |tx, tell| {
            for log in logs {
                let local = found(tx, log)?;
                let kept = conversation::draft(tx, local)?;
                let Some(based) = kept.based else { continue };
                let theirs = match based == kept.version {
                    true => None,
                    false => rows::draft(tx, log)?,
                };
                let text = match (theirs, kept.text) {
                    (Some(theirs), Some(mine)) => Some(own::merged(&theirs, &mine)),
                    (theirs, mine) => mine.or(theirs),
                };
                conversation::set_draft(tx, local, text.as_deref(), None, now_ms)?;
                // A longer one stays on this phone; the others keep what they have.
                if text.as_ref().is_none_or(|text| text.len() <= DRAFT_BYTES) {
                    tell.push(OwnFact::Draft { log, text, based: Seq(0) });
                }
            }
            Ok(())
        })
        .await
    }

    async fn begin_own(&self) -> Result<LogId, AccountError> {
        let (r#type, history) = (LogType::SelfNotes, HistoryRule::None);
        self.create(r#type, Vec::new(), None, history).await
    }
}

impl Account {
    /// The person's notes to himself, on all of his devices; in the list from now on.
    pub async fn notes(&self) -> Result<LogId, AccountError> {
        let log = self.core.begin_own().await?;
        self.core
            .store
            .write(move |tx| Ok::<_, AccountError>(conversation::show(tx, found(tx, log)?)?))
            .await?;
        Ok(log)
    }

    /// Lets what is gathered for the person's other devices go with the next sending: the app is left,
    /// or the other device lies beside this one.
    pub async fn tell_now(&self) -> Result<(), AccountError> {
        self.core.own.last_ms.store(0, Ordering::Release);
        self.core.store.write(|tx| Ok::<_, AccountError>(rows::hurry(tx)?)).await?;
        self.core.to_send.notify_one();
        Ok(())
    }

    /// Marks everything up to this entry as read.
    pub async fn mark_read(&self, log: LogId, up_to: Seq) -> Result<(), AccountError> {
        let now_ms = self.core.env.clock.now_ms();
        self.core
            .tell_own(move |tx, tell| {
                let local = found(tx, log)?;
                if conversation::mark_read(tx, local, up_to)? {
                    tell.push(OwnFact::Read { log, below: up_to.next() });
                }
                Ok(receipt::want(tx, local, up_to, now_ms)?)
            })
            .await?;
        self.core.to_send.notify_one();
        Ok(())
    }

    /// Keeps what was begun to be written, in the place of what was kept, and tells it to the person's
    /// other devices: to be called when he leaves the conversation or the app, not for each key.
    pub async fn set_draft(&self, log: LogId, text: Option<String>) -> Result<(), AccountError> {
        self.keep_draft(log, text, None).await?;
        self.tell_draft(log).await
    }

    /// As [`Account::set_draft`], of a text that was made from the draft of this
    /// [version](crate::read::ConversationRow::draft_version). If another device has changed the draft
    /// since then, no words are lost: both stand there.
    pub async fn set_draft_from(
        &self,
        log: LogId,
        text: Option<String>,
        version: u64,
    ) -> Result<(), AccountError> {
        self.keep_draft(log, text, Some(version)).await?;
        self.tell_draft(log).await
    }

    /// Keeps what is being written on this phone, so that a kill does not lose it. What other devices
    /// write meanwhile does not take its place. [`Account::tell_draft`] tells it to them.
    pub async fn note_draft(
        &self,
        log: LogId,
        text: Option<String>,
        version: u64,
    ) -> Result<(), AccountError> {
        self.keep_draft(log, text, Some(version)).await
    }

    async fn keep_draft(
        &self,
        log: LogId,
        text: Option<String>,
        version: Option<u64>,
    ) -> Result<(), AccountError> {
        let now_ms = self.core.env.clock.now_ms();
        self.core
            .store
            .write(move |tx| {
                let local = found(tx, log)?;
                let kept = conversation::draft(tx, local)?;
                let based = version.or(kept.based).unwrap_or(kept.version);
                Ok(conversation::set_draft(tx, local, text.as_deref(), Some(based), now_ms)?)
            })
            .await
    }

    /// Tells the person's other devices what was written on this one.
    pub async fn tell_draft(&self, log: LogId) -> Result<(), AccountError> {
        self.core.tell_drafts(vec![log]).await
    }

    /// Whether a conversation makes no sound. Nobody else learns it.
    pub async fn set_muted(&self, log: LogId, muted: bool) -> Result<(), AccountError> {
        self.mute_until(log, muted.then_some(FOR_EVER)).await
    }

    /// Lets a conversation make no sound until this time of the phone's clock; `None` for sound.
    pub async fn mute_until(
        &self,
        log: LogId,
        until_ms: Option<TimeMs>,
    ) -> Result<(), AccountError> {
        let until_ms = until_ms.map(|until_ms| until_ms.clamp(1, FOR_EVER));
        self.core
            .tell_own(move |tx, tell| {
                conversation::set_muted(tx, found(tx, log)?, until_ms)?;
                tell.push(OwnFact::Muted { log, until_ms: until_ms.unwrap_or_default() });
                Ok(())
            })
            .await
    }

    /// Puts a conversation away, or takes it back into the list. It stays there whatever comes.
    pub async fn set_archived(&self, log: LogId, archived: bool) -> Result<(), AccountError> {
        self.core
            .tell_own(move |tx, tell| {
                conversation::set_archived(tx, found(tx, log)?, archived)?;
                tell.push(OwnFact::Archived { log, archived });
                Ok(())
            })
            .await
    }

    /// Puts a conversation on top of the list, as the last of the favourites, or takes it from there.
    pub async fn set_favourite(&self, log: LogId, favourite: bool) -> Result<(), AccountError> {
        self.core
            .tell_own(move |tx, tell| {
                let local = found(tx, log)?;
                let others = conversation::favourites(tx)?;
                let is_one = others.iter().any(|(other, _)| *other == log);
                if is_one == favourite {
                    return Ok(());
                }
                let last = others.last().map_or(0, |(_, rank)| *rank);
                let rank = favourite.then(|| last.saturating_add(RANKS).min(FOR_EVER));
                conversation::set_favourite(tx, local, rank)?;
                tell.push(OwnFact::Favourite { log, rank });
                Ok(())
            })
            .await
    }

    /// Moves a favourite right before another one, or behind all if there is none named.
    pub async fn move_favourite(
        &self,
        log: LogId,
        before: Option<LogId>,
    ) -> Result<(), AccountError> {
        self.core
            .tell_own(move |tx, tell| {
                found(tx, log)?;
                let mut order = conversation::favourites(tx)?;
                order.retain(|(other, _)| *other != log);
                let at = order.iter().position(|(other, _)| Some(*other) == before);
                if at.is_none() && before.is_some() {
                    return Err(AccountError::NoConversation);
                }
                for (log, rank) in placed(order, log, at) {
                    conversation::set_favourite(tx, found(tx, log)?, Some(rank))?;
                    tell.push(OwnFact::Favourite { log, rank: Some(rank) });
                }
                Ok(())
            })
            .await
    }

    /// The person's own setting of this name, as his newest device set it.
    pub async fn own_setting(&self, name: &str) -> Result<Option<Vec<u8>>, AccountError> {
        let name = name.to_owned();
        self.core.store.read(move |conn| Ok(rows::setting(conn, &name)?)).await
    }

    /// Sets a setting of the person's own, on all of his devices.
    pub async fn set_own_setting(
        &self,
        name: &str,
        value: Option<Vec<u8>>,
    ) -> Result<(), AccountError> {
        let is_long = value.as_ref().is_some_and(|value| value.len() > SETTING_BYTES);
        if name.is_empty() || name.len() > SETTING_NAME_BYTES || is_long {
            return Err(AccountError::Message);
        }
        let fact = OwnFact::Setting { name: name.to_owned(), value: value.map(Bytes) };
        self.core
            .tell_own(move |tx, tell| {
                tx.touch(crate::observe::Change::Account);
                tell.push(fact);
                Ok(())
            })
            .await
    }
}

/// The ranks to be set so that `log` stands at this place of the others; behind them if there is none.
/// Mostly its own alone.
fn placed(mut order: Vec<(LogId, u64)>, log: LogId, at: Option<usize>) -> Vec<(LogId, u64)> {
    let at = at.unwrap_or(order.len());
    let low = at.checked_sub(1).map_or(0, |before| order[before].1);
    let high = order.get(at).map_or(low.saturating_add(2 * RANKS), |(_, rank)| *rank);
    let between = low + high.saturating_sub(low) / 2;
    if between > low && between < high && between < FOR_EVER {
        return vec![(log, between)];
    }
    order.insert(at, (log, 0));
    order.iter().zip(1..).map(|((log, _), place)| (*log, place * RANKS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn log(id: u8) -> LogId {
        LogId([id; 16])
    }

    #[test]
    fn a_favourite_takes_its_place_by_its_own_rank_alone_while_there_is_room() {
        let order = vec![(log(1), RANKS), (log(2), 2 * RANKS)];
        assert_eq!(placed(order.clone(), log(9), Some(1)), [(log(9), RANKS + RANKS / 2)]);
        assert_eq!(placed(order.clone(), log(9), Some(0)), [(log(9), RANKS / 2)]);
        assert_eq!(placed(order, log(9), None), [(log(9), 3 * RANKS)]);
        assert_eq!(placed(Vec::new(), log(9), None), [(log(9), RANKS)]);
    }

    #[test]
    fn without_room_between_two_all_favourites_get_new_ranks() {
        let order = vec![(log(1), 4), (log(2), 5), (log(3), u64::MAX / 2)];
        let ranks = placed(order, log(9), Some(1));
        let expected =
            [(log(1), RANKS), (log(9), 2 * RANKS), (log(2), 3 * RANKS), (log(3), 4 * RANKS)];
        assert_eq!(ranks, expected);
    }
}
