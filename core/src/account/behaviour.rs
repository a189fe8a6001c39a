//! What people may know of each other: who read what, how far a message has come, when it is quiet; and
//! what the company can see.
//!
//! Receipts and everything like them exist only while the policy turns them on (legal.md L-24), and whoever
//! withholds his own sees nobody's.

use hauspost_protocol::company::policy::{CouncilPart, QuietPlan, Terms};
use hauspost_protocol::content::{self, OwnFact};
use hauspost_protocol::crypto::sha256;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::ids::{Digest, LogId, MessageId, Seq, TimeMs};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::statement::PayloadType;
use hauspost_protocol::wire::DeliveredRequest;

use super::engine::Core;
use super::handing::HandoverInForce;
use super::{Account, AccountError, Draft, Shows};
use crate::ledger::Ledger;
use crate::notify::{Notification, Occasion, QuietHours};
use crate::outbox::intent::Say;
use crate::outbox::{REASON_TOO_OLD, outcome};
use crate::store::rows::outbox::{self, IntentState, NewIntent};
use crate::store::rows::{account, delivered, log, notified, own, presence, receipt};
use crate::store::{StoreError, Tx};

/// Messages of a conversation of which is asked how far they have come.
const MESSAGES: u32 = 20;
/// Between two receipts of a conversation.
const RECEIPTS_EVERY_MS: TimeMs = 5_000;
/// The same of a conversation of more than two.
const GROUP_RECEIPTS_EVERY_MS: TimeMs = 30_000;
/// In a conversation of more people nobody says what he read: each message would make as many receipts.
const RECEIPT_PEOPLE: usize = 50;
/// Under which name the person's own quiet hours are kept.
const QUIET: &str = "quiet";

/// The policy in force, as this phone knows it: what a page "What my company can see" shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInForce {
    /// Its version; none while there is no policy, and what holds without one is shown.
    pub version: Option<u64>,
    /// SHA-256 of the signed document.
    pub fingerprint: Digest,
    /// SHA-256 of the part that the works council signed.
    pub council_fingerprint: Digest,
    /// The entry of the company log.
    pub entry: Option<Seq>,
    /// What it says.
    pub terms: Terms,
    /// How many keys of officers and of the council there are, with which the archive is opened by two and one.
    pub officers: u64,
    /// The council's.
    pub council: u64,
    /// How often the archive was opened.
    pub openings: u64,
    /// The handovers in force that concern this person.
    pub handovers: Vec<HandoverInForce>,
}

impl Account {
    /// The policy in force.
    pub async fn policy(&self) -> Result<PolicyInForce, AccountError> {
        use hauspost_protocol::company::body::{CompanyBody, Role};
        let mut engine = self.core.engine.lock().await;
        let company = self.core.company(&mut engine).await?;
        drop(engine);
        let now = company.now();
        let document = now.policy().map(|policy| policy.document.0.clone()).unwrap_or_default();
        let council = now.policy_document().map(|parts| parts.council).unwrap_or_default();
        let keys = |role| now.role_keys().filter(|holding| holding.role == role).count() as u64;
        let openings = now.entries().filter(|(_, body)| matches!(body, CompanyBody::Opening(_)));
        let handovers = self.core.handovers_of_mine(&now).await?;
        Ok(PolicyInForce {
            handovers,
            version: now.policy().map(|policy| policy.version),
            fingerprint: sha256(&document),
            council_fingerprint: sha256(&council),
            entry: now.policy().map(|policy| policy.entered),
            terms: now.terms().clone(),
            officers: keys(Role::Officer),
            council: keys(Role::Council),
            openings: openings.count() as u64,
        })
    }

    /// The person's quiet hours.
    pub async fn quiet_hours(&self) -> Result<QuietHours, AccountError> {
        let terms = self.policy().await?.terms;
        let own = self.core.store.read(|conn| Ok::<_, AccountError>(own_quiet(conn)?)).await?;
        let zone = terms.general.zone().clone();
        Ok(QuietHours { own, by_policy: terms.general.quiet_hours, zone })
    }

    /// Sets quiet hours of the person's own, on all of his devices; none lets those of the policy hold.
    pub async fn set_quiet_hours(&self, plan: Option<QuietPlan>) -> Result<(), AccountError> {
        if plan.as_ref().is_some_and(|plan| !plan.fits()) {
            return Err(AccountError::Message);
        }
        self.set_own_setting(QUIET, plan.map(|plan| encode(&plan))).await
    }

    /// Whether this person withholds what he read; then he does not see what others read either.
    pub async fn withholds_receipts(&self) -> Result<bool, AccountError> {
        self.core.store.read(|conn| Ok(receipt::is_withheld(conn)?)).await
    }

    /// Withholds what this person reads, or does not any more; on all of his devices.
    pub async fn withhold_receipts(&self, withheld: bool) -> Result<(), AccountError> {
        let (name, value) = (receipt::WITHHELD.to_owned(), withheld.then(|| Bytes(vec![1])));
        self.core
            .tell_own(move |tx, tell| {
                receipt::set_withheld(tx, withheld)?;
                tell.push(OwnFact::Setting { name, value });
                Ok(())
            })
            .await
    }

    /// The new messages that the person was not told of, the newest first and `limit` of each conversation at
    /// most, and how loud each is. They are not given again.
    pub async fn take_notifications(&self, limit: u32) -> Result<Vec<Notification>, AccountError> {
        let now_ms = self.core.env.clock.now_ms();
        let quiet = self.quiet_hours().await?.is_quiet(now_ms);
        self.core
            .store
            .write(move |tx| {
                let new = notified::new(tx, now_ms, limit.min(crate::read::PAGE_ROWS))?;
                for new in &new {
                    notified::note(tx, new.log, new.message.key)?;
                }
                let told = new.into_iter().map(|notified::New { log, muted, message }| {
                    let mentions_me = message.mentions_me;
                    let alarm = message.saying.alarm;
                    let loudness = Occasion { alarm, mentions_me, muted, quiet }.loudness();
                    Notification { log, message, loudness }
                });
                Ok::<_, AccountError>(told.collect())
            })
            .await
    }

    /// Writes a text as it was typed, as an alarm, which rings in everybody's quiet hours. Only whom the policy names
    /// may do so.
    pub async fn send_alarm(&self, log: LogId, text: &str) -> Result<MessageId, AccountError> {
        let company = {
            let mut engine = self.core.engine.lock().await;
            self.core.company(&mut engine).await?
        };
        let now = company.now();
        if !now.terms().council.alarms.include(self.user(), &now) {
            return Err(AccountError::NotAllowed);
        }
        let (text, form) = self.typed(log, text).await?;
        self.send(log, Draft { form, shows: Shows::Alarm, ..Draft::plain(&text) }).await
    }

    /// Asks the server how far this person's newest messages of a conversation have come; whether any is
    /// still under way to somebody.
    pub async fn ask_delivered(&self, log: LogId) -> Result<bool, AccountError> {
        self.core.ask_delivered(log).await
    }
}

impl Core {
    pub(super) async fn ask_delivered(&self, log: LogId) -> Result<bool, AccountError> {
        let seqs = self.store.read(move |conn| {
            let local = log::local(conn, log)?.ok_or(AccountError::NoConversation)?;
            Ok::<_, AccountError>(delivered::under_way(conn, local, MESSAGES)?)
        });
        let seqs = seqs.await?;
        if seqs.is_empty() {
            return Ok(false);
        }
        let asked = DeliveredRequest { log, seqs };
        let answer = self.server.delivered(&asked).await?;
        let answered: Vec<_> =
            answer.into_iter().filter(|told| asked.seqs.contains(&told.seq)).collect();
        let is_under_way = answered.iter().any(|told| told.count < told.of);
        self.store
            .write(move |tx| {
                let Some(local) = log::local(tx, log)? else { return Ok(()) };
                for told in &answered {
                    delivered::note(tx, local, told.seq, (told.count, told.of))?;
                }
                Ok::<_, AccountError>(())
            })
            .await?;
        Ok(is_under_way)
    }

    /// Makes intents of the receipts that are due; the conversations that now have something to send.
    pub(super) async fn want_receipts(
        &self,
        due: Vec<receipt::Due>,
        now_ms: TimeMs,
    ) -> Result<Vec<LogId>, AccountError> {
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let job = move |tx: &Tx<'_>| {
            let mut logs = Vec::new();
            for due in due {
                let Some(ledger) = Ledger::load(tx, due.log)? else { continue };
                let local = ledger.row.local;
                let mut people: Vec<_> = ledger.members().map(|(_, member)| member.user).collect();
                people.sort_unstable();
                people.dedup();
                let (are_said, every_ms) = receipts_among(people.len());
                receipt::said(tx, local, due.key, now_ms.saturating_add(every_ms))?;
                if !are_said {
                    continue;
                }
                let content = Bytes(content::receipt(vec![due.message_id]));
                let say = Say { ptype: PayloadType::Receipt, content };
                let intent = NewIntent::saying(due.log, None, encode(&say), now_ms);
                outbox::insert(tx, &intent)?;
                logs.push(due.log);
            }
            Ok::<_, AccountError>(logs)
        };
        self.store.write(job).await
    }

    /// Ends what has waited longer than the policy lets it: its author hears of it, and may send it again.
    pub(super) async fn end_overdue(&self, overdue: Vec<i64>) -> Result<(), AccountError> {
        if overdue.is_empty() {
            return Ok(());
        }
        let job = move |tx: &Tx<'_>| {
            for id in overdue {
                let Some(intent) = outbox::find(tx, id)? else { continue };
                let Some(local) = log::local(tx, intent.log)? else { continue };
                if intent.state == IntentState::Queued {
                    outcome::fail(tx, local, &intent, REASON_TOO_OLD)?;
                }
            }
            Ok::<_, AccountError>(())
        };
        self.store.write(job).await
    }

    /// Forgets receipts that are older than the policy keeps them, by the server's clock.
    pub(super) async fn forget_behaviour(&self) -> Result<(), AccountError> {
        self.forget_receipts().await.and(self.forget_presence().await)
    }

    async fn forget_receipts(&self) -> Result<(), AccountError> {
        let server_ms = self.server_ms();
        let forget = move |tx: &Tx<'_>| {
            if let Some(days) = receipt::policy(tx)? {
                receipt::forget(tx, server_ms.saturating_sub(days.saturating_mul(DAY_MS)))?;
            }
            Ok::<_, AccountError>(())
        };
        self.store.write(forget).await
    }
}

/// Whether people say in a conversation of so many what they have read, and how often at most.
fn receipts_among(people: usize) -> (bool, TimeMs) {
    let every_ms = if people > 2 { GROUP_RECEIPTS_EVERY_MS } else { RECEIPTS_EVERY_MS };
    (people <= RECEIPT_PEOPLE, every_ms)
}

/// Under which name it is kept for how many hours something may wait to be sent.
const QUEUE: &str = "queue-hours";
const HOUR_MS: TimeMs = 3_600_000;

/// Messages that have waited longer than the policy lets them.
pub(super) fn overdue(conn: &rusqlite::Connection, now_ms: TimeMs) -> Result<Vec<i64>, StoreError> {
    let hours = account::fact(conn, QUEUE)?.and_then(|hours| decode::<u64>(&hours).ok());
    let hours = hours.unwrap_or(Terms::without_policy().general.queue_hours);
    outbox::overdue(conn, now_ms.saturating_sub(hours.saturating_mul(HOUR_MS)))
}

/// What of the policy the database has to know.
pub(super) fn note_policy(tx: &Tx<'_>, terms: &Terms) -> Result<(), StoreError> {
    let hours = encode(&terms.general.queue_hours);
    if account::fact(tx, QUEUE)?.is_none_or(|known| known != hours) {
        account::put_fact(tx, QUEUE, &hours)?;
    }
    let CouncilPart { read_receipts, typing, last_seen, behaviour_days, .. } = &terms.council;
    presence::set_policy(tx, *typing, *last_seen)?;
    receipt::set_policy(tx, *read_receipts, *behaviour_days)
}

fn own_quiet(conn: &rusqlite::Connection) -> Result<Option<QuietPlan>, StoreError> {
    // What a newer app set means nothing here.
    let plan = own::setting(conn, QUIET)?.and_then(|plan| decode::<QuietPlan>(&plan).ok());
    Ok(plan.filter(QuietPlan::fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_33_among_fifty_people_receipts_are_rare_and_among_more_there_are_none() {
        assert_eq!(receipts_among(2), (true, 5_000));
        assert_eq!(receipts_among(3), (true, 30_000));
        assert!(receipts_among(50).0 && !receipts_among(51).0);
    }
}
