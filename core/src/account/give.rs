//! Giving record keys to devices that ask for them: the newest first, in pieces, each a grant in the
//! log (docs/protocol.md §10).
//!
//! What is left to give stands in the database. A piece is a key list of bounded size, sealed under a
//! key of its own, uploaded, and then named by a grant entry; a kill before the entry stands wastes an
//! upload, which the server collects. What is given, by whom ever, is seen in the log, so that of
//! several devices that could give one does, and the next goes on where that one stops.

use hauspost_protocol::body::{GrantBasis, GrantBody, SignedPayload};
use hauspost_protocol::company::body::history_key_hash;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{Head, Kind, Seen};
use hauspost_protocol::grant::{self, SealedList};
use hauspost_protocol::ids::{DeviceId, KeyId, Seq, TimeMs};
use hauspost_protocol::key_list::KeyList;
use hauspost_protocol::limits;
use hauspost_protocol::wire::{AppendRequest, BlobBegin, Outcome};
use hauspost_protocol::xwing::XWingKey;
use rand::RngExt as _;

use super::AccountError;
use super::engine::Core;
use crate::ledger::Ledger;
use crate::outbox::change;
use crate::store::rows::history::{self, Asked, Piece};
use crate::store::rows::log::LogState;
use crate::sync::SyncError;

/// The longest wait for each device that could give as well.
const EACH_MS: TimeMs = 1_000;
/// The longest wait of all.
const LONGEST_MS: TimeMs = 30_000;
/// Colleagues' devices leave the person's own so much time.
const AFTER_OWN_MS: TimeMs = 30_000;
/// What the server does not take now is offered again then.
const LATER_MS: TimeMs = 600_000;

/// So often a device is given what it asks for without delay: a phone that lost its way asks once, and again when
/// nobody answered.
const ASKS_AT_ONCE: u32 = 4;
/// Whoever asks more often waits so long for the next time, then twice as long, …
const AGAIN_MS: TimeMs = 600_000;
/// … up to this.
const AGAIN_LONGEST_MS: TimeMs = limits::DAY_MS;
/// Nothing is put off for longer than this.
const PUT_OFF_LONGEST_MS: TimeMs = 2 * limits::DAY_MS;
/// Asking is counted anew after so long without any.
const QUIET_MS: TimeMs = 7 * limits::DAY_MS;

/// How long a device waits that asks for this time. A phone in the wrong hands could otherwise let all others
/// seal and upload the whole past of a conversation again and again.
fn again_ms(asked: u32) -> TimeMs {
    match asked.checked_sub(ASKS_AT_ONCE + 1) {
        None => 0,
        Some(more) => AGAIN_MS
            .checked_shl(more.min(32))
            .map_or(AGAIN_LONGEST_MS, |wait_ms| wait_ms.min(AGAIN_LONGEST_MS)),
    }
}

/// On what ground this phone gives, and how many others could.
#[derive(Clone, Copy)]
struct Ground {
    basis: GrantBasis,
    /// Devices that could give as well as this one.
    others: u64,
    /// Whether the asking person has devices of his own that could.
    after_own: bool,
}

/// What is needed for one grant.
struct Grantor {
    basis: GrantBasis,
    seen: Seen,
    head: Head,
    company: std::sync::Arc<Company>,
}

impl Core {
    /// Gives what is due; in how many milliseconds the next is. One conversation that fails does not
    /// hold up the others; the first failure is told at the end.
    pub(super) async fn give(&self) -> Result<Option<u64>, AccountError> {
        let mut failed = None;
        loop {
            let asked =
                self.store.read(|conn| Ok::<_, AccountError>(history::asked(conn)?)).await?;
            let now_ms = self.env.clock.now_ms();
            let mut moved = false;
            // What a clock put off that went wrong meanwhile is due as well.
            let is_due = |due_ms| due_ms <= now_ms || due_ms > now_ms + PUT_OFF_LONGEST_MS;
            for asked in asked.iter().filter(|asked| is_due(asked.due_ms)) {
                moved = true;
                if let Err(error) = self.give_one(asked, now_ms).await {
                    tracing::debug!(log = %asked.log.id, code = error.code(), "giving failed");
                    failed.get_or_insert(error);
                    self.put_off(asked, now_ms + LATER_MS).await?;
                }
            }
            if !moved {
                let next = asked.iter().map(|asked| asked.due_ms.saturating_sub(now_ms)).min();
                return failed.map_or(Ok(next), Err);
            }
        }
    }

    /// Draws when this phone gives, or gives one piece.
    async fn give_one(&self, asked: &Asked, now_ms: TimeMs) -> Result<(), AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        let ledger = self.take_ledger(&mut engine, asked.log.id).await?;
        let Some(ledger) = ledger else { return self.give_no_more(asked).await };
        let ground = match asked.handover {
            None => self.ground(&ledger, &company, asked.device),
            Some(seq) => self.ground_of_handover(&ledger, &company, asked.device, seq),
        };
        let grantor = ground.as_ref().map(|ground| Grantor {
            basis: ground.basis,
            seen: crate::outbox::seal::seen(&ledger),
            head: Head::plain(Kind::Grant, asked.log.id, ledger.row.r#gen, ledger.row.epoch),
            company,
        });
        let waits = ledger.row.state != LogState::Active || ledger.row.own_leaf.is_none();
        Self::put_ledger(&mut engine, ledger);
        drop(engine);
        let Some((ground, grantor)) = ground.zip(grantor) else {
            return self.give_no_more(asked).await;
        };
        if waits {
            return self.put_off(asked, now_ms + LATER_MS).await;
        }
        if asked.due_ms == 0 {
            let wait_ms = self.wait_to_give(&ground);
            let asked = asked.clone();
            let drawn = self.store.write(move |tx| {
                // Nobody asks for what is handed over.
                let again_ms = match asked.handover {
                    Some(_) => 0,
                    None => {
                        let (log, device) = (asked.log, asked.device);
                        again_ms(history::count_ask(tx, log, device, now_ms, QUIET_MS)?)
                    }
                };
                let due_ms = now_ms + wait_ms.max(again_ms);
                Ok(history::put_off(tx, &asked, due_ms.max(1))?)
            });
            return drawn.await;
        }
        let (log, ranges) = (asked.log, asked.ranges.clone());
        let handover = asked.handover.and_then(|seq| grantor.company.now().handover(seq).cloned());
        let piece = self.store.read(move |conn| {
            let covered = |seq, t_ms, co| {
                handover.as_ref().is_none_or(|known| known.covers(log.id, seq, t_ms, co))
            };
            Ok(history::piece(conn, log, &ranges, &covered)?)
        });
        let piece: Result<Piece, AccountError> = piece.await;
        let piece = piece?;
        if piece.keys.is_empty() {
            return self.give_no_more(asked).await;
        }
        self.give_piece(asked, grantor, piece, now_ms).await
    }

    /// On what ground this phone may give to a device, if it may.
    fn ground(&self, ledger: &Ledger, company: &Company, device: DeviceId) -> Option<Ground> {
        let conversation = ledger.conversation.as_ref()?;
        let now = company.now();
        let user = now.user_of_device(device).filter(|_| now.is_active(device))?;
        let (mut own, mut theirs) = (0, 0);
        for (_, member) in conversation.roster.iter() {
            let gives = member.device != device && member.device != self.me.device;
            if gives && now.is_active(member.device) {
                let count = if member.user == user { &mut own } else { &mut theirs };
                *count += 1;
            }
        }
        let (others, after_own) = match user == self.me.user {
            true => (own, false),
            false => (theirs, own > 0),
        };
        let by_members = conversation.shares_past(&now);
        let basis = match user == self.me.user {
            true => GrantBasis::Own,
            false if by_members && conversation.is_member(user) => GrantBasis::Member,
            false => return None,
        };
        Some(Ground { basis, others, after_own })
    }

    /// The same by a handover to the person whose device it is. Whoever is in the conversation may give.
    fn ground_of_handover(
        &self,
        ledger: &Ledger,
        company: &Company,
        device: DeviceId,
        seq: Seq,
    ) -> Option<Ground> {
        let (conversation, now) = (ledger.conversation.as_ref()?, company.now());
        let user = now.user_of_device(device).filter(|_| now.is_active(device))?;
        now.handover(seq).filter(|known| known.to == user)?;
        let others = conversation.roster.iter().filter(|(_, member)| {
            let is_this = member.device == device || member.device == self.me.device;
            !is_this && now.is_active(member.device) && conversation.is_member(member.user)
        });
        let others = others.count() as u64;
        Some(Ground { basis: GrantBasis::Handover(seq), others, after_own: false })
    }

    /// Who is the only one that can give does so at once.
    fn wait_to_give(&self, ground: &Ground) -> TimeMs {
        let most_ms = (ground.others * EACH_MS).min(LONGEST_MS);
        let wait_ms = self.env.randomness.rng().random_range(0..=most_ms);
        wait_ms + if ground.after_own { AFTER_OWN_MS } else { 0 }
    }

    async fn give_piece(
        &self,
        asked: &Asked,
        grantor: Grantor,
        piece: Piece,
        now_ms: TimeMs,
    ) -> Result<(), AccountError> {
        let (log, device) = (asked.log, asked.device);
        let grantee = match self.history_key(device, &grantor.company).await? {
            Some(key) => key,
            None => return self.give_no_more(asked).await,
        };
        let mut rng = self.env.randomness.rng();
        let key = Secret::random(&mut rng);
        let sealed = grant::seal_list(&KeyList::new(piece.keys), log.id, &key);
        let SealedList { chunks, leaves, blob } = sealed.map_err(SyncError::from)?;
        let begin = BlobBegin { size: blob.1, leaves };
        match self.server.begin_blob(log.id, blob.0, &begin).await {
            // The quota of unnamed uploads, or a leaf that is gone: later.
            Err(SyncError::Refused(_)) => return self.put_off(asked, now_ms + LATER_MS).await,
            begun => begun?,
        };
        for (number, chunk) in (0..).zip(chunks) {
            self.server.put_chunk(log.id, blob.0, number, chunk).await?;
        }
        let head = encode(&Head { blobs: vec![blob], ..grantor.head });
        let to = grant::seal_key(&key, &head, &grantee, &mut rng);
        let body = GrantBody {
            seen: Some(grantor.seen),
            at: change::at(&grantor.company),
            grantee: KeyId(device.0),
            basis: grantor.basis,
            ranges: piece.ranges.clone(),
            enc: to.enc,
            ct: to.ct,
        };
        let payload =
            encode(&SignedPayload::sign(&self.me.key, &head, encode(&body), self.me.device));
        let entries = vec![(Bytes(head), Bytes(payload))];
        let request = AppendRequest { log: log.id, entries, group_info: None, welcome: None };
        let outcomes = self.server.append(&request).await?;
        match outcomes.first() {
            Some(Outcome::Ok(_) | Outcome::Dup(_)) => {
                self.to_pull.notify_one();
                let ranges = piece.ranges;
                self.store.write(move |tx| Ok(history::given(tx, log, device, &ranges, 0)?)).await
            }
            Some(Outcome::Quota(not_before_ms)) => self.put_off(asked, *not_before_ms).await,
            Some(Outcome::Behind(_)) => {
                self.pull_all().await?;
                self.put_off(asked, now_ms + EACH_MS).await
            }
            // It may not be given any more, or from here.
            Some(Outcome::Authorise(_) | Outcome::Left | Outcome::Leaf | Outcome::Role) => {
                self.give_no_more(asked).await
            }
            _ => self.put_off(asked, now_ms + LATER_MS).await,
        }
    }

    /// The key that grants to a device are sealed to, if the server has the one that the company log
    /// names: one of its own making opens nothing to it.
    async fn history_key(
        &self,
        device: DeviceId,
        company: &Company,
    ) -> Result<Option<XWingKey>, AccountError> {
        let key = match self.server.history_key(device).await {
            Err(SyncError::Refused(_)) => return Ok(None),
            key => key?,
        };
        let named = company.now().device(device).map(|device| device.history_key);
        if named != Some(history_key_hash(&key)) {
            tracing::warn!(%device, "the server's history key is not the device's");
            return Ok(None);
        }
        Ok(XWingKey::parse(&key).ok())
    }

    async fn put_off(&self, asked: &Asked, due_ms: TimeMs) -> Result<(), AccountError> {
        let asked = asked.clone();
        self.store.write(move |tx| Ok(history::put_off(tx, &asked, due_ms)?)).await
    }

    async fn give_no_more(&self, asked: &Asked) -> Result<(), AccountError> {
        let asked = asked.clone();
        self.store.write(move |tx| Ok(history::give_no_more(tx, &asked)?)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_again_and_again_waits_ever_longer_up_to_a_day() {
        assert_eq!((1..=4).map(again_ms).collect::<Vec<_>>(), [0; 4]);
        assert_eq!((5..=7).map(again_ms).collect::<Vec<_>>(), [600_000, 1_200_000, 2_400_000]);
        for asked in [13, 40, 1_000, u32::MAX] {
            assert_eq!(again_ms(asked), AGAIN_LONGEST_MS, "{asked}");
        }
    }
}
