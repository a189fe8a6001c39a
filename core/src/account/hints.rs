//! Who is typing, who is there, who was last there: said, heard and forgotten.
//!
//! What is said and heard lies in memory ([`hints`](crate::hints)); here it is sealed, sent, opened and
//! judged (docs/protocol.md, "Hints"). All of it rests while the signed policy does not have it: then
//! nothing is sent, whatever the server offers, and what comes is not opened. Who withholds his own sees
//! nobody's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use hauspost_protocol::body::LogType;
use hauspost_protocol::content::OwnFact;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::hint::{self, AT_ONCE, Hint, Said, SealedHint, TYPING_PEOPLE};
use hauspost_protocol::ids::{LogId, TimeMs, UserId};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::wire::HintsRequest;
use tokio::sync::Notify;

use super::about::conversation;
use super::behaviour::note_policy;
use super::engine::Core;
use super::{Account, AccountError};
use crate::hints::{Gate, Hearing, Line, Lines, Saying};
use crate::observe::Change;
use crate::store::Tx;
use crate::store::rows::log::LogState;
use crate::store::rows::presence::{self, Shown, Trace};
use crate::store::rows::{epoch, log};
use crate::sync::SyncError;

/// Hints that wait to be opened; the oldest goes then.
const WAITING: usize = 64;
/// A phone that is put away waits so long, and no longer, for its last word to go out.
const LAST_WORD_MS: TimeMs = 2_000;

/// What is in memory of hints.
#[derive(Default)]
pub(super) struct Hints {
    saying: Mutex<Saying>,
    hearing: Arc<Mutex<Hearing>>,
    came: Mutex<(VecDeque<SealedHint>, Gate)>,
    to_say: Notify,
    to_hear: Notify,
    /// One speaker at a time: the server keeps what came last, and cannot tell what was said last.
    speaking: tokio::sync::Mutex<()>,
}

/// What is known of the people of a conversation now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presence {
    /// Who is writing something, who began first foremost.
    pub typing: Vec<UserId>,
    /// Whether the other person of a conversation of two is there, or when he last was.
    pub last_seen: Option<LastSeen>,
}

/// When somebody was last there, as his own phone said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSeen {
    /// When; never ahead of this phone's clock.
    pub t_ms: TimeMs,
    /// Whether he is there still.
    pub is_here: bool,
}

impl Account {
    /// The person presses a key in a conversation: the others see that he is writing, where the policy lets
    /// them and he does not withhold it. Call it at every key; one hint goes out in four seconds at most.
    pub fn typing(&self, log: LogId) {
        let hints = &self.core.hints;
        if lock(&hints.saying).types(log, self.core.env.clock.now_ms()) {
            hints.to_say.notify_one();
        }
    }

    /// The app comes to the front, or goes out of sight: the people of conversations of two see it, where
    /// the policy lets them and the person does not withhold it. [`Account::suspend`] goes out of sight too.
    pub fn set_in_front(&self, in_front: bool) {
        let hints = &self.core.hints;
        if lock(&hints.saying).set_in_front(in_front, self.core.env.clock.now_ms()) {
            hints.to_say.notify_one();
        }
    }

    /// Who is typing in a conversation, and when the other person of one of two was last there.
    /// [`Change::Presence`] says when to look again.
    pub async fn presence(&self, log: LogId) -> Result<Presence, AccountError> {
        self.core.presence(log).await
    }

    /// What of it the policy lets people see, and this person shows.
    pub async fn traces_shown(&self) -> Result<Shown, AccountError> {
        self.core.store.read(|conn| Ok(presence::shown(conn)?)).await
    }

    /// Whether this person shows none of it; then he does not see it of others either.
    pub async fn withholds(&self, trace: Trace) -> Result<bool, AccountError> {
        self.core.store.read(move |conn| Ok(presence::is_withheld(conn, trace)?)).await
    }

    /// Shows none of it, or does again; on all of this person's devices.
    pub async fn withhold(&self, trace: Trace, withheld: bool) -> Result<(), AccountError> {
        let name = trace.withheld_as().to_owned();
        let value = withheld.then(|| Bytes(vec![1]));
        self.core
            .tell_own(move |tx, tell| {
                presence::set_withheld(tx, trace, withheld)?;
                tell.push(OwnFact::Setting { name, value });
                Ok(())
            })
            .await?;
        if withheld && trace == Trace::LastSeen {
            lock(&self.core.hints.hearing).forget_seen();
        }
        Ok(())
    }

    /// Takes in the hints that wait at the server, and listens no longer; a started account listens on.
    pub async fn hear_once(&self) -> Result<(), AccountError> {
        let mut stream = self.core.server.live().await?;
        let piece = stream.next().await.transpose().map_err(SyncError::from)?;
        for line in Lines::default().feed(&piece.unwrap_or_default()) {
            if let Line::Hint(hint) = line {
                self.core.take_in_hint(hint).await?;
            }
        }
        Ok(())
    }

    /// Says now what there is to say of typing and being there; a started account does so by itself.
    pub async fn say_hints(&self) -> Result<(), AccountError> {
        self.core.say_hints().await
    }
}

impl Core {
    async fn presence(&self, log: LogId) -> Result<Presence, AccountError> {
        let read = self.store.read(move |conn| {
            let row = log::find(conn, log)?.ok_or(AccountError::NoConversation)?;
            let stored_ms = presence::last_seen(conn, row.local)?;
            Ok::<_, AccountError>((presence::shown(conn)?, row.peer, stored_ms))
        });
        let (shown, peer, stored_ms) = read.await?;
        let now_ms = self.env.clock.now_ms();
        let last_seen = match peer.filter(|_| shown.last_seen) {
            // What was heard is in memory a moment before it is stored.
            Some(peer) if !self.is_gone(peer).await? => {
                let heard = lock(&self.hints.hearing).seen(log, peer, now_ms);
                let seen_ms = stored_ms.max(heard.map(|heard| heard.seen_ms));
                seen_ms.map(|seen_ms| LastSeen {
                    t_ms: seen_ms.min(now_ms),
                    is_here: heard.is_some_and(|heard| heard.is_here),
                })
            }
            _ => None,
        };
        if !shown.last_seen {
            lock(&self.hints.hearing).forget_seen();
        }
        let mut typing = match shown.typing {
            true => lock(&self.hints.hearing).typing(log, now_ms),
            false => Vec::new(),
        };
        if !typing.is_empty() {
            // Somebody may have gone since he was heard.
            let (known, ..) = self.known(log).await?;
            typing.retain(|user| known.as_ref().is_some_and(|known| known.is_member(*user)));
        }
        Ok(Presence { typing, last_seen })
    }

    /// Whether a person has no device in the company any more.
    async fn is_gone(&self, user: UserId) -> Result<bool, AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        Ok(company.now().devices_of(user).next().is_none())
    }

    /// What the person wrote in a conversation is sent.
    pub(super) fn wrote(&self, log: LogId) {
        lock(&self.hints.saying).wrote(log);
    }

    /// Goes out of sight before the phone is put away, and waits for what is being said already; a server
    /// that does not answer holds nobody up.
    pub(super) async fn go_out_of_sight(&self) {
        lock(&self.hints.saying).set_in_front(false, self.env.clock.now_ms());
        tokio::select! {
            said = self.say_hints() => if let Err(error) = said {
                tracing::debug!(code = error.code(), "the last word was not sent");
            },
            () = self.env.clock.sleep(LAST_WORD_MS) => {}
        }
    }

    /// Says what there is to say. What the server does not take is lost, and the next one says the same.
    async fn say_hints(&self) -> Result<(), AccountError> {
        let _speaking = self.hints.speaking.lock().await;
        let (due, in_front) = {
            let mut saying = lock(&self.hints.saying);
            (saying.due(self.env.clock.now_ms()), saying.is_in_front())
        };
        if due.is_nothing() {
            return Ok(());
        }
        let read = self.store.read(|conn| {
            let shown = presence::shown(conn)?;
            let told = if shown.last_seen { presence::told(conn)? } else { Vec::new() };
            Ok::<_, AccountError>((shown, told))
        });
        let (shown, told) = read.await?;
        if shown.is_nothing() {
            return Ok(());
        }
        let mut said = BTreeMap::<LogId, Said>::new();
        if due.here || due.goes {
            said.extend(
                told.iter()
                    .map(|log| (*log, Said { here: due.here, goes: due.goes, typing: false })),
            );
        }
        for log in due.typing {
            if shown.typing && self.may_type(log, self.me.user).await? {
                let said = said.entry(log).or_default();
                said.typing = true;
                // The server keeps one hint of a device in a conversation of two, whatever it says.
                said.here |= in_front && told.contains(&log);
            }
        }
        let hints = self.seal_hints(said).await?;
        if !hints.is_empty() {
            self.server.hints(&HintsRequest { hints }).await?;
        }
        Ok(())
    }

    async fn seal_hints(
        &self,
        said: BTreeMap<LogId, Said>,
    ) -> Result<Vec<SealedHint>, AccountError> {
        if said.is_empty() {
            return Ok(Vec::new());
        }
        let t_ms = lock(&self.hints.saying).time(self.env.clock.now_ms());
        let me = self.me.clone();
        self.store
            .read(move |conn| {
                let mut hints = Vec::with_capacity(said.len());
                for (id, said) in said {
                    let Some(row) = log::find(conn, id)? else { continue };
                    if row.state != LogState::Active || row.own_leaf.is_none() {
                        continue;
                    }
                    let Some((r#gen, epoch, key)) = epoch::hint_key(conn, row.local)? else {
                        continue;
                    };
                    let hint = Hint { device: me.device, t_ms, said };
                    hints.push(hint.seal(&key, (id, r#gen, epoch), &me.key));
                }
                hints.truncate(AT_ONCE);
                Ok::<_, AccountError>(hints)
            })
            .await
    }

    /// Whether a person's typing is said and shown in a conversation: not in notes, not where too many are,
    /// and not of who may not write there.
    async fn may_type(&self, log: LogId, user: UserId) -> Result<bool, AccountError> {
        let (known, r#type, company) = self.known(log).await?;
        let Some(known) = known.filter(|_| r#type != LogType::SelfNotes) else { return Ok(false) };
        let people: BTreeSet<_> = known.roster.iter().map(|(_, member)| member.user).collect();
        Ok(people.len() <= TYPING_PEOPLE && known.may_write(user, &company.now()))
    }

    /// A hint came on the live stream; it is opened when its turn comes.
    pub(super) fn hear(&self, hint: SealedHint) {
        let mut came = lock(&self.hints.came);
        let (waiting, gate) = &mut *came;
        if !gate.opens(self.env.clock.now_ms()) {
            return;
        }
        if waiting.len() >= WAITING {
            waiting.pop_front();
        }
        waiting.push_back(hint);
        drop(came);
        self.hints.to_hear.notify_one();
    }

    /// Opens a hint, and believes what its author may say here.
    async fn take_in_hint(&self, sealed: SealedHint) -> Result<(), AccountError> {
        let log = sealed.log;
        let read = self.store.read(move |conn| {
            let shown = presence::shown(conn)?;
            let Some(row) = log::find(conn, log)?.filter(|_| !shown.is_nothing()) else {
                return Ok(None);
            };
            let Some((r#gen, epoch, key)) = epoch::hint_key(conn, row.local)? else {
                return Ok(None);
            };
            if (r#gen, epoch) != (sealed.r#gen, sealed.epoch) {
                return Ok(None);
            }
            let Ok(opened) = sealed.open(&key) else { return Ok(None) };
            let Some(known) = conversation(conn, log)? else { return Ok(None) };
            let device = opened.claimed_device();
            let author = known.roster.leaf_of(device).and_then(|leaf| known.roster.member(leaf));
            let Some(author) = author else { return Ok(None) };
            let (user, verified) = (author.user, opened.verify(&author.signature_key));
            Ok::<_, AccountError>(verified.ok().map(|hint| (shown, row, user, hint)))
        });
        let Some((shown, row, user, mut hint)) = read.await? else {
            tracing::debug!(%log, "a hint was not to be believed");
            return Ok(());
        };
        if user == self.me.user || self.is_revoked_device(&hint).await? {
            return Ok(());
        }
        let Shown { typing, last_seen } = shown;
        let is_dm = row.r#type == LogType::Dm;
        let says = hint.said;
        hint.said = Said {
            typing: says.typing && typing && self.may_type(log, user).await?,
            here: says.here && last_seen && is_dm,
            goes: says.goes && last_seen && is_dm,
        };
        let now_ms = self.env.clock.now_ms();
        let hearing = self.hints.hearing.clone();
        let hears = move || {
            let mut hearing = lock(&hearing);
            let is_timely = hint.is_timely(hearing.newest_ms(log, hint.device), now_ms);
            if is_timely {
                hearing.heard(log, user, &hint, now_ms);
            }
            is_timely
        };
        let heard = match hint.presence(now_ms) {
            None => hears(),
            // Whoever sees it finds it stored after a restart as well.
            Some(hint::Presence { seen_ms, .. }) => {
                let note = move |tx: &Tx<'_>| {
                    let heard = hears();
                    if heard {
                        presence::note(tx, row.local, seen_ms)?;
                    }
                    Ok::<_, AccountError>(heard)
                };
                self.store.write(note).await?
            }
        };
        if !heard {
            return Ok(());
        }
        self.store.tell(Change::Presence);
        Ok(())
    }

    async fn is_revoked_device(&self, hint: &Hint) -> Result<bool, AccountError> {
        let mut engine = self.engine.lock().await;
        Ok(self.company(&mut engine).await?.now().is_revoked(hint.device))
    }

    /// Whether anybody was heard typing in a conversation.
    pub(super) fn is_anybody_typing(&self, log: LogId) -> bool {
        lock(&self.hints.hearing).is_anybody_typing(log)
    }

    /// Messages of these devices came: what they were writing is written.
    pub(super) fn others_wrote(
        &self,
        log: LogId,
        devices: impl IntoIterator<Item = hauspost_protocol::ids::DeviceId>,
    ) {
        let mut hearing = lock(&self.hints.hearing);
        let ended = devices.into_iter().filter(|device| hearing.wrote(log, *device)).count() > 0;
        drop(hearing);
        if ended {
            self.store.tell(Change::Presence);
        }
    }

    /// Forgets when people were last there: those who are gone, and what is older than the policy keeps
    /// traces of behaviour.
    pub(super) async fn forget_presence(&self) -> Result<(), AccountError> {
        let read = self.store.read(|conn| {
            Ok::<_, AccountError>((presence::is_noted(conn)?, presence::people(conn)?))
        });
        let (is_noted, people) = read.await?;
        if is_noted && people.is_empty() {
            return Ok(());
        }
        let company = {
            let mut engine = self.engine.lock().await;
            self.company(&mut engine).await?
        };
        let now = company.now();
        if !is_noted {
            // A database that knew the policy before it knew of hints.
            let terms = now.terms().clone();
            let note = move |tx: &Tx<'_>| Ok::<_, AccountError>(note_policy(tx, &terms)?);
            self.store.write(note).await?;
        }
        let is_gone = |user: &UserId| now.devices_of(*user).next().is_none();
        let gone: Vec<_> = people.into_iter().filter(is_gone).collect();
        let kept_ms = now.terms().council.behaviour_days.saturating_mul(DAY_MS);
        let before_ms = self.env.clock.now_ms().saturating_sub(kept_ms);
        let forget =
            move |tx: &Tx<'_>| Ok::<_, AccountError>(presence::forget(tx, before_ms, &gone)?);
        self.store.write(forget).await
    }
}

/// Says what there is to say, as long as the account is started.
pub(super) async fn say(core: Arc<Core>) {
    loop {
        let wait_ms = lock(&core.hints.saying).wait_ms(core.env.clock.now_ms());
        tokio::select! {
            () = core.hints.to_say.notified() => {}
            () = wait(&core, wait_ms) => {}
        }
        if let Err(error) = core.say_hints().await {
            tracing::debug!(code = error.code(), "hints are lost");
        }
    }
}

/// Takes in what comes, and tells views when what was heard is not so any more.
pub(super) async fn hear(core: Arc<Core>) {
    let mut told_ms = core.env.clock.now_ms();
    loop {
        let next = lock(&core.hints.came).0.pop_front();
        if let Some(hint) = next {
            if let Err(error) = core.take_in_hint(hint).await {
                tracing::debug!(code = error.code(), "a hint was not heard");
            }
            continue;
        }
        let now_ms = core.env.clock.now_ms();
        let wait_ms = lock(&core.hints.hearing).wait_ms(told_ms, now_ms);
        tokio::select! {
            () = core.hints.to_hear.notified() => {}
            () = wait(&core, wait_ms) => {
                // Read before views look: what ends while they do is told again.
                told_ms = core.env.clock.now_ms();
                core.store.tell(Change::Presence);
            }
        }
    }
}

async fn wait(core: &Core, wait_ms: Option<TimeMs>) {
    match wait_ms {
        Some(wait_ms) => core.env.clock.sleep(wait_ms).await,
        None => std::future::pending().await,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
