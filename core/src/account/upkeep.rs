//! What a phone does besides: key packages, names, devices that come later.

use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::ids::TimeMs;
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::wire::PackagesPut;

use super::AccountError;
use super::engine::Core;
use crate::group::{self, GroupError, packages};
use crate::inbound::Snapshot;
use crate::ledger::Ledger;
use crate::outbox::change::ChangeError;
use crate::outbox::intent::Add;
use crate::outbox::jitter;
use crate::store::rows::log::{self, LogState};
use crate::store::rows::mls::MlsTable;
use crate::store::rows::outbox::{IntentKind, NewIntent};
use crate::store::rows::{account, index, outbox, person};

const DIRECTORY: &str = "directory";
/// A package of last resort is made anew after this time.
const LAST_RESORT_MS: u64 = 28 * hauspost_protocol::limits::DAY_MS;

/// Under which name it is noted when this suite's package of last resort was made.
fn last_resort_fact(suite: Suite) -> &'static str {
    match suite {
        Suite::Hybrid => "last-resort-hybrid",
        Suite::Classic => "last-resort-classic",
    }
}

impl Core {
    /// Brings the server's stock of key packages of each suite up, if it is low, and the packages of
    /// last resort up to date.
    ///
    /// Packages say when they were made by the server's clock, by which everybody judges their age: a
    /// phone whose own clock is off by years can be added all the same.
    pub(super) async fn stock_packages(&self) -> Result<(), AccountError> {
        for suite in Suite::ALL {
            self.stock_packages_of(suite).await?;
        }
        Ok(())
    }

    /// The private halves are stored before the server gets the public ones.
    async fn stock_packages_of(&self, suite: Suite) -> Result<(), AccountError> {
        let now_ms = self.server_now().await?;
        let nothing = PackagesPut { suite: suite.code(), packages: Vec::new(), last_resort: None };
        let stock = self.server.put_packages(&nothing).await?;
        let fact = last_resort_fact(suite);
        let made =
            self.store.read(move |conn| Ok::<_, AccountError>(account::fact(conn, fact)?)).await?;
        let made_ms = made.and_then(|bytes| decode::<u64>(&bytes).ok());
        // A server that lied about its clock must not have the last word for years.
        let last_resort = made_ms.is_none_or(|made| made.abs_diff(now_ms) > LAST_RESORT_MS);
        if stock >= packages::LOW_WATER && !last_resort {
            return Ok(());
        }
        // The server drops the old ones when a new last resort comes, so that none grows too old.
        let count =
            if last_resort { packages::STOCK } else { packages::STOCK.saturating_sub(stock) };
        let me = self.me.clone();
        let mut rng = self.env.randomness.rng();
        let (put, mls) = self
            .store
            .read(move |conn| {
                let provider = group::provider(Snapshot(conn), &mut rng);
                let put = packages::make(&provider, me.member(), suite, count, last_resort, now_ms)
                    .map_err(|error| ChangeError::Group(GroupError::from(error)))?;
                Ok::<_, AccountError>((put, provider.backend().take_changes()))
            })
            .await?;
        self.store
            .write(move |tx| {
                tx.flush();
                Ok::<_, AccountError>(mls.apply(&MlsTable(tx))?)
            })
            .await?;
        self.server.put_packages(&put).await?;
        if last_resort {
            let made = encode(&now_ms);
            self.store
                .write(move |tx| Ok::<_, AccountError>(account::put_fact(tx, fact, &made)?))
                .await?;
        }
        Ok(())
    }

    /// The server's clock; asked for if nothing was pulled yet.
    async fn server_now(&self) -> Result<TimeMs, AccountError> {
        match self.server_ms() {
            0 => Ok(self.server.hello().await?.t_ms),
            told => Ok(told),
        }
    }

    /// Puts messages into a search index that an update emptied, until it is whole. Between two pieces
    /// everything else that is to be stored has its turn.
    pub(super) async fn fill_index(&self) -> Result<(), AccountError> {
        while self.store.write(|tx| Ok::<_, AccountError>(index::fill_piece(tx)?)).await? {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Fetches the names that changed.
    pub(super) async fn refresh_people(&self) -> Result<(), AccountError> {
        let _one = self.naming.lock().await;
        let known =
            self.store.read(|conn| Ok::<_, AccountError>(account::fact(conn, DIRECTORY)?)).await?;
        let known = known.and_then(|bytes| decode::<u64>(&bytes).ok()).unwrap_or_default();
        let news = self.server.directory(known).await?;
        self.store
            .write(move |tx| {
                person::put(tx, &news.people)?;
                Ok::<_, AccountError>(account::put_fact(tx, DIRECTORY, &encode(&news.version))?)
            })
            .await
    }

    /// Adds devices that came after their users were let in: a second phone, or somebody who had none
    /// when the conversation began. The creator's phones do it for all, the others for their own
    /// user, so that not everybody commits at once.
    pub(super) async fn add_missing(&self) -> Result<(), AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        drop(engine);
        let (me, now_ms) = (self.me.clone(), self.env.clock.now_ms());
        let missing = self
            .store
            .read(move |conn| {
                let mut missing = Vec::new();
                for row in log::all(conn)? {
                    if row.state != LogState::Active || row.own_leaf.is_none() {
                        continue;
                    }
                    let Some(ledger) = Ledger::load(conn, row.local.id)? else { continue };
                    let Some(conversation) = &ledger.conversation else { continue };
                    if !outbox::open(conn, row.local.id, 1)?.is_empty() {
                        continue;
                    }
                    let creator = conversation.genesis.creator == me.user;
                    let let_in = conversation.people().map(|(user, _)| user);
                    let mine = let_in.filter(|user| creator || *user == me.user);
                    let now = company.now();
                    let users: Vec<_> = mine
                        .filter(|user| conversation.may_enter(*user))
                        .filter(|user| {
                            let mut devices = now.devices_of(*user);
                            devices.any(|device| ledger.leaf_of(device.device).is_none())
                        })
                        .collect();
                    if !users.is_empty() {
                        missing.push((row.local.id, users, ledger.members().count()));
                    }
                }
                Ok::<_, AccountError>(missing)
            })
            .await?;
        if missing.is_empty() {
            return Ok(());
        }
        let mut rng = self.env.randomness.rng();
        self.store
            .write(move |tx| {
                for (log, users, devices) in missing {
                    let body = encode(&Add { users, by_itself: true, packages: None });
                    let (kind, message_id) = (IntentKind::Add, None);
                    let wanted = NewIntent { log, kind, message_id, body, made_ms: now_ms };
                    let id = outbox::insert(tx, &wanted)?;
                    let wait_ms = jitter::wait_ms(devices, &mut rng);
                    if wait_ms > 0 {
                        outbox::put_off(tx, id, now_ms + wait_ms)?;
                    }
                }
                Ok::<_, AccountError>(())
            })
            .await?;
        self.to_send.notify_one();
        Ok(())
    }
}
