//! The past of a device that came later, or lost its way: asked for in each conversation, given by those
//! who have it, read as it comes, the newest first (docs/protocol.md §10).
//!
//! Each step ends in one transaction and begins anew after a kill where the last one ended: which
//! records are not readable stands in the database, then which keys came, then the messages. Memory
//! holds one key list or one page of entries, whatever the conversation's length. [`give`](super::give)
//! is the other side.

use hauspost_protocol::body::{GrantBody, SignedPayload};
use hauspost_protocol::company::view::CompanyAt;
use hauspost_protocol::content::Control;
use hauspost_protocol::encoding::{Bytes, FormError, decode, encode};
use hauspost_protocol::entry::Head;
use hauspost_protocol::file::Layout;
use hauspost_protocol::grant::{self, GrantError};
use hauspost_protocol::hpke::Sealed;
use hauspost_protocol::ids::{DeviceId, LogId, Seq, TimeMs};
use hauspost_protocol::key_list::KeyList;
use hauspost_protocol::limits;
use hauspost_protocol::statement::PayloadType;
use hauspost_protocol::wire::HistoryRequest;
use hauspost_protocol::xwing::XWingSeed;
use tokio::sync::{Mutex, Notify};

use super::engine::Core;
use super::given::Given;
use super::{Account, AccountError};
use crate::inbound::{self, Code, Reader};
use crate::ledger::Ledger;
use crate::outbox::intent::Say;
use crate::read::History;
use crate::store::rows::alarm::{self, Alarm};
use crate::store::rows::history::{self, Asking};
use crate::store::rows::log::{self, LocalLog};
use crate::store::rows::outbox::{self, IntentKind, NewIntent};
use crate::store::rows::{account, entry};
use crate::store::{StoreError, Tx};
use crate::sync::SyncError;

/// Records that are fetched and read at once.
const PIECE: u32 = 256;
/// After the first, second … time that nobody answered, it is asked again then.
const ASK_AGAIN_MS: [TimeMs; 4] = [600_000, 3_600_000, 6 * 3_600_000, limits::DAY_MS];
/// So often a device asks by itself.
const ASK_AT_MOST: u32 = 14;

/// What an account knows of its past while it is open.
#[derive(Default)]
pub(super) struct Past {
    /// One round at a time.
    pub(super) one: Mutex<()>,
    /// Something may be there to ask for, to give or to read.
    pub(super) to_look: Notify,
}

impl Account {
    /// How far the past of a conversation is on this device.
    pub async fn history(&self, log: LogId) -> Result<History, AccountError> {
        self.core
            .store
            .read(move |conn| {
                let local = log::local(conn, log)?.ok_or(AccountError::NoConversation)?;
                Ok(History::of(conn, local)?)
            })
            .await
    }

    /// Asks for what is not readable in a conversation at the next occasion, also if nobody answered
    /// before.
    pub async fn ask_again(&self, log: LogId) -> Result<(), AccountError> {
        self.core
            .store
            .write(move |tx| {
                let local = log::local(tx, log)?.ok_or(AccountError::NoConversation)?;
                if let Some(asking) = history::asking(tx, local)? {
                    let again = Asking { attempts: 0, next_ms: 0, ..asking };
                    history::put_asking(tx, local, Some(&again))?;
                }
                Ok::<_, AccountError>(())
            })
            .await?;
        self.core.past.to_look.notify_one();
        Ok(())
    }

    /// Reads what grants opened, asks for what is missing, and gives what others ask for, as far as it
    /// can be done now.
    pub async fn share_history(&self) -> Result<(), AccountError> {
        Box::pin(self.core.share_history()).await.map(|_| ())
    }
}

/// What failed in a round; one conversation does not hold up the others.
#[derive(Default)]
struct Round {
    failed: Vec<LogId>,
    error: Option<AccountError>,
}

impl Round {
    fn note(&mut self, log: LogId, error: AccountError) {
        tracing::debug!(%log, code = error.code(), "the past of a conversation waits");
        self.failed.push(log);
        self.error.get_or_insert(error);
    }
}

/// A grant whose keys are to be fetched.
struct Waiting {
    head: Vec<u8>,
    body: GrantBody,
    by: DeviceId,
    seed: XWingSeed,
}

impl Core {
    /// One round; in how many milliseconds the next one is due by itself.
    pub(super) async fn share_history(&self) -> Result<Option<u64>, AccountError> {
        let _one = self.past.one.lock().await;
        if !self.pulled.load(std::sync::atomic::Ordering::Acquire) {
            self.pull_all().await?;
        }
        let mut round = Round::default();
        Box::pin(self.read_past(&mut round)).await?;
        self.look_what_is_handed_over().await?;
        self.ask_for_past().await?;
        let due_ms = Box::pin(self.give()).await;
        let now_ms = self.env.clock.now_ms();
        let next = self.store.read(move |conn| Ok(history::next_asking(conn, now_ms)?));
        let next: Result<_, AccountError> = next.await;
        let next = next?.map(|next| next.saturating_sub(now_ms));
        match (round.error, due_ms) {
            (Some(error), _) | (None, Err(error)) => Err(error),
            (None, Ok(due_ms)) => Ok(due_ms.into_iter().chain(next).min()),
        }
    }

    /// Fetches the keys of one grant after the other, and reads what each opens before the next.
    async fn read_past(&self, round: &mut Round) -> Result<(), AccountError> {
        loop {
            let logs: Vec<LogId> =
                self.store.read(|conn| Ok::<_, AccountError>(history::granted_logs(conn)?)).await?;
            for log in
                logs.into_iter().filter(|log| !round.failed.contains(log)).collect::<Vec<_>>()
            {
                loop {
                    match self.read_piece(log).await {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => {
                            round.note(log, error);
                            break;
                        }
                    }
                }
            }
            let but = round.failed.clone();
            let next = self.store.read(move |conn| Ok(history::next_grant(conn, &but)?));
            let next: Result<_, AccountError> = next.await;
            let Some((log, seq)) = next? else { return Ok(()) };
            if let Err(error) = self.take_keys(log, seq).await {
                round.note(log.id, error);
            }
        }
    }

    /// Fetches the key list of a grant and keeps its keys. What cannot be read is told, once.
    async fn take_keys(&self, log: LocalLog, seq: Seq) -> Result<(), AccountError> {
        let waiting = self
            .store
            .read(move |conn| {
                let (head, payload) =
                    entry::held(conn, log, seq)?.ok_or(StoreError::Missing("grant"))?;
                let signed: SignedPayload =
                    decode(&payload).map_err(|_| StoreError::Unreadable("grant"))?;
                let body = decode(&signed.body).map_err(|_| StoreError::Unreadable("grant"))?;
                let stored = account::find(conn)?.ok_or(AccountError::NotEnrolled)?;
                let seed = XWingSeed::new(stored.history_seed);
                Ok::<_, AccountError>(Waiting { head, body, by: signed.device, seed })
            })
            .await?;
        let opened = match self.fetch_keys(log.id, &waiting).await {
            // It was erased after it was picked up, or never whole.
            Err(AccountError::Sync(SyncError::Refused(404))) => Ok(KeyList::default()),
            Err(error) => return Err(error),
            Ok(opened) => opened,
        };
        let now_ms = self.env.clock.now_ms();
        let by_handover = self.by_handover(&waiting.body).await?;
        self.store
            .write(move |tx| {
                let given = Given { by: seq, ranges: &waiting.body.ranges, by_handover };
                let honest = match &opened {
                    Ok(keys) => given.keep(tx, log, keys)?,
                    Err(_) => false,
                };
                if !honest {
                    tracing::warn!(log = %log.id, seq = seq.0, by = %waiting.by, "a grant gives nothing");
                    let (code, seq) = (Code::Grant as u64, Some(seq));
                    let alarm =
                        Alarm { log: Some(log.id), code, seq, evidence: None, t_ms: now_ms };
                    alarm::raise_once(tx, &alarm)?;
                }
                if let Some(asking) = history::asking(tx, log)?.filter(|_| honest) {
                    // Somebody answers; the next piece may be on its way.
                    let next_ms = now_ms + ASK_AGAIN_MS[0];
                    history::put_asking(tx, log, Some(&Asking { attempts: 1, next_ms, ..asking }))?;
                }
                Ok::<_, AccountError>(history::grant_done(tx, log, seq)?)
            })
            .await
    }

    async fn fetch_keys(
        &self,
        log: LogId,
        waiting: &Waiting,
    ) -> Result<Result<KeyList, GrantError>, AccountError> {
        let head = Head::parse(&waiting.head).map_err(SyncError::from)?;
        let [blob] = head.blobs[..] else { return Ok(Err(FormError::Malformed.into())) };
        let sealed = Sealed { enc: waiting.body.enc.clone(), ct: waiting.body.ct.clone() };
        let key = match grant::open_key(&waiting.seed, &waiting.head, &sealed) {
            Ok(key) => key,
            Err(error) => return Ok(Err(error)),
        };
        let layout = Layout::of_blob(blob.1).filter(|_| blob.1 <= limits::GRANT_BYTES);
        let Some(layout) = layout else { return Ok(Err(FormError::TooLarge.into())) };
        let mut chunks = Vec::with_capacity(layout.chunks() as usize);
        for chunk in 0..layout.chunks() {
            chunks.push(self.server.chunk(log, blob.0, chunk).await?);
        }
        match grant::open_list(chunks, blob, log, &key) {
            // Not the grantor's word: what the server sent is not what the head names.
            Err(GrantError::Blob) => Err(SyncError::Form(FormError::Malformed).into()),
            opened => Ok(opened),
        }
    }

    /// Fetches the newest records of a log that keys came for, and reads them; whether there are more.
    async fn read_piece(&self, log: LogId) -> Result<bool, AccountError> {
        let granted = self
            .store
            .read(move |conn| {
                let local = log::local(conn, log)?.ok_or(AccountError::NoConversation)?;
                Ok::<_, AccountError>(history::granted(conn, local, PIECE)?)
            })
            .await?;
        if granted.is_empty() {
            return Ok(false);
        }
        let seqs = granted.iter().map(|row| row.seq).collect();
        let entries = self.server.history(&HistoryRequest { log, seqs }).await?;
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        let Some(mut ledger) = self.take_ledger(&mut engine, log).await? else { return Ok(false) };
        let me = self.me.clone();
        let (rng, now_ms) = (self.env.randomness.rng(), self.env.clock.now_ms());
        let inherited = self.inherited;
        let (mut ledger, changes) = self
            .store
            .read(move |conn| {
                let mut reader =
                    Reader { conn, me: &me, company: &company, rng, now_ms, inherited };
                let changes = inbound::take_granted(&mut reader, &mut ledger, &granted, &entries)?;
                Ok::<_, AccountError>((ledger, changes))
            })
            .await?;
        let settled = changes.settles_any();
        let me = self.me.clone();
        ledger = self
            .store
            .write(move |tx| {
                changes.store(tx, &me, &mut ledger)?;
                let local = ledger.row.local;
                if history::count_unread(tx, local)? == 0 {
                    history::put_asking(tx, local, None)?;
                }
                Ok::<_, AccountError>(ledger)
            })
            .await?;
        Self::put_ledger(&mut engine, ledger);
        if settled {
            Ok(true)
        } else {
            // The server keeps back, or changed, all of it; the keys wait for another day.
            Err(SyncError::Form(FormError::Malformed).into())
        }
    }

    /// Asks for what is missing, where somebody may have it.
    async fn ask_for_past(&self) -> Result<(), AccountError> {
        let now_ms = self.env.clock.now_ms();
        let logs =
            self.store.read(move |conn| Ok::<_, AccountError>(history::to_ask(conn, now_ms)?));
        let logs: Vec<LogId> = logs.await?;
        for log in logs {
            let mut engine = self.engine.lock().await;
            let company = self.company(&mut engine).await?;
            let Some(ledger) = self.take_ledger(&mut engine, log).await? else { continue };
            let somebody = self.may_be_given(&ledger, &company.now());
            let local = ledger.row.local;
            Self::put_ledger(&mut engine, ledger);
            drop(engine);
            self.store.write(move |tx| ask(tx, local, somebody, now_ms)).await?;
            self.to_send.notify_one();
        }
        Ok(())
    }

    /// Whether a device in the conversation may give this one its past.
    fn may_be_given(&self, ledger: &Ledger, company: &CompanyAt<'_>) -> bool {
        let is_active = |device| company.is_active(device);
        let Some(conversation) = &ledger.conversation else { return false };
        let by_members = conversation.shares_past(company);
        conversation.roster.iter().any(|(_, member)| {
            let other = member.device != self.me.device && is_active(member.device);
            other && (by_members || member.user == self.me.user)
        })
    }
}

/// Writes down that the past of a log is asked for, and the record that asks.
fn ask(tx: &Tx<'_>, log: LocalLog, somebody: bool, now_ms: TimeMs) -> Result<(), AccountError> {
    let missing = history::count_unread(tx, log)?;
    let before = history::asking(tx, log)?;
    let before = before.unwrap_or(Asking { total: missing, attempts: 0, next_ms: 0 });
    let last = ASK_AGAIN_MS.len() - 1;
    let wait_ms = ASK_AGAIN_MS[(before.attempts as usize).min(last)];
    let asks = somebody && before.attempts < ASK_AT_MOST;
    let asking = Asking {
        // More may have come to be missing since.
        total: before.total.max(missing),
        attempts: before.attempts + u32::from(asks),
        next_ms: now_ms + if asks { wait_ms } else { ASK_AGAIN_MS[0] },
    };
    if !asks {
        // Nobody is asked, so nothing is on its way; somebody may come.
        return Ok(history::put_asking(tx, log, Some(&Asking { total: 0, ..asking }))?);
    }
    let ranges = history::unread_ranges(tx, log)?;
    let content = Bytes(encode(&Control::Ask(ranges)));
    let body = encode(&Say { ptype: PayloadType::Control, content });
    let kind = IntentKind::Record;
    let intent = NewIntent { log: log.id, kind, message_id: None, body, made_ms: now_ms };
    outbox::insert(tx, &intent)?;
    Ok(history::put_asking(tx, log, Some(&asking))?)
}
