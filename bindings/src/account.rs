//! One person's account on this phone: the way in, and the life of an app around it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hauspost_core::account::Account as Core;
use hauspost_core::env::Env;
use hauspost_core::env::system::{SystemClock, SystemRandomness};
use hauspost_core::store::rows::account::{self, AccountState};
use hauspost_core::store::{Store, StoreError};
use hauspost_core::sync::Https;

use crate::alarms::Alarm;
use crate::cancel::{CancelHandle, until_cancelled};
use crate::conversations::Conversations;
use crate::documents::{Documents, MeteredLimits};
use crate::error::HauspostError;
use crate::key_store::{KeyStore, PlatformKeyStore};
use crate::observer::{Observer, Subscription};
use crate::people::People;
use crate::rules::Rules;
use crate::search::Search;
use crate::timeline::Timeline;
use crate::{ids, runtime};

/// How far the enrolment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum AccountStanding {
    /// The server has not answered yet.
    Enrolling,
    /// The phone belongs to the company.
    Active,
    /// The company revoked this phone: nothing is sent or received any more.
    Revoked,
    /// Something that only a newer app knows.
    UpdateApp,
}

/// What an app shows of an account.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct AccountInfo {
    /// The company.
    pub company: String,
    /// The person.
    pub person: String,
    /// This installation.
    pub device: String,
    /// The server's address.
    pub server: String,
    /// How far the enrolment is.
    pub standing: AccountStanding,
}

/// A device of the person.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OwnDevice {
    /// The installation.
    pub device: String,
    /// Whether it is this one.
    pub this_one: bool,
}

/// One person's account on this phone.
#[derive(uniffi::Object)]
pub struct Account(Core);

impl Account {
    pub(crate) fn core(&self) -> Core {
        self.0.clone()
    }
}

#[uniffi::export]
impl Account {
    /// Enrols this phone with an invitation. A person's further phone fails with `needs-approval` until somebody
    /// approved it; its text shows the code, and the same call goes on. The folder is the account's own, and not in any backup.
    ///
    /// Keys are stored before the server hears of them. So whatever happens on the way, the same call with the
    /// same folder and invitation goes on where it was.
    #[uniffi::constructor(default(cancel = None))]
    pub async fn enrol(
        folder: String,
        invitation: String,
        key_store: Arc<dyn KeyStore>,
        cancel: Option<Arc<CancelHandle>>,
    ) -> Result<Arc<Self>, HauspostError> {
        let folder = PathBuf::from(folder);
        let enrol = runtime::run(async move {
            let env = environment(key_store, &folder);
            Ok(Arc::new(Self(Core::enrol(&folder, &invitation, env).await?)))
        });
        until_cancelled(cancel, Box::pin(enrol)).await
    }

    /// Opens the account in this folder. Needs no network. Fails with `not-enrolled` if there is none.
    #[uniffi::constructor]
    pub async fn open(
        folder: String,
        key_store: Arc<dyn KeyStore>,
    ) -> Result<Arc<Self>, HauspostError> {
        let folder = PathBuf::from(folder);
        runtime::run(async move {
            let env = environment(key_store, &folder);
            Ok(Arc::new(Self(Core::open(&folder, env).await?)))
        })
        .await
    }

    /// Who this is.
    pub async fn info(&self) -> Result<AccountInfo, HauspostError> {
        let store = self.0.store().clone();
        runtime::run(async move { Ok(row(&store).await?.into()) }).await
    }

    /// Begins to send and receive, and goes on by itself until `suspend`. Again does nothing.
    pub async fn start(&self) -> Result<(), HauspostError> {
        let core = self.0.clone();
        runtime::run(async move {
            core.start();
            Ok(())
        })
        .await
    }

    /// Stops sending and receiving and closes the database, so that no lock is left: iOS kills a suspended app
    /// that holds one. Until `resume`, calls fail with `suspended`.
    ///
    /// Not undone by cancelling: once begun, the closing goes on. After `deadline_ms` it fails with `deadline`,
    /// and still goes on.
    pub async fn suspend(&self, deadline_ms: u32) -> Result<(), HauspostError> {
        let core = self.0.clone();
        let closing = runtime::start(async move { core.suspend().await })?;
        let deadline = Duration::from_millis(deadline_ms.into());
        runtime::run(async move {
            tokio::time::timeout(deadline, closing)
                .await
                .map_err(|_| HauspostError::deadline())?
                .map_err(|_| HauspostError::internal())
        })
        .await
    }

    /// Opens the database again after `suspend`. Sending and receiving begin with `start`.
    pub async fn resume(&self) -> Result<(), HauspostError> {
        let core = self.0.clone();
        runtime::run(async move { Ok(core.resume().await?) }).await
    }

    /// The person's active devices, this one among them.
    pub async fn devices(&self) -> Result<Vec<OwnDevice>, HauspostError> {
        let core = self.0.clone();
        runtime::run(async move {
            let devices = core.own_devices().await?.into_iter();
            let own = devices.map(|own| (own.device.to_string(), own.is_this));
            Ok(own.map(|(device, this_one)| OwnDevice { device, this_one }).collect())
        })
        .await
    }

    /// How many devices of the person wait to be approved. A reason to ask for the code, never to take one unseen.
    pub async fn devices_waiting(&self) -> Result<u32, HauspostError> {
        let core = self.0.clone();
        runtime::run(async move {
            Ok(u32::try_from(core.waiting_devices().await?.len()).unwrap_or(u32::MAX))
        })
        .await
    }

    /// Lets a further device of the person in, by the code that it shows and the person types. Gives its id.
    pub async fn approve_device(&self, code: String) -> Result<String, HauspostError> {
        let core = self.0.clone();
        runtime::run(async move { Ok(core.approve_device(&code, None).await?.to_string()) }).await
    }

    /// What the person must hear of, at most `limit` rows: first what was not acknowledged, then the newest.
    /// An app shows the first of them until it is acknowledged.
    pub async fn alarms(&self, limit: u32) -> Result<Vec<Alarm>, HauspostError> {
        let core = self.0.clone();
        runtime::run(
            async move { Ok(core.alarms(limit).await?.into_iter().map(Alarm::from).collect()) },
        )
        .await
    }

    /// The person has seen all alarms up to this number. They stay, and admins hear of them all the same.
    pub async fn acknowledge_alarms(&self, up_to: i64) -> Result<(), HauspostError> {
        let core = self.0.clone();
        runtime::run(async move { Ok(core.acknowledge_alarms(up_to).await?) }).await
    }

    /// The list of conversations.
    pub fn conversations(&self) -> Arc<Conversations> {
        Conversations::new(self.0.clone())
    }

    /// One conversation. Whether this phone has it shows the first call on it.
    pub fn timeline(&self, conversation: String) -> Result<Arc<Timeline>, HauspostError> {
        Ok(Timeline::new(self.0.clone(), ids::conversation(&conversation)?))
    }

    /// The documents of one conversation.
    pub fn documents(&self, conversation: String) -> Result<Arc<Documents>, HauspostError> {
        Ok(Documents::new(self.0.clone(), ids::conversation(&conversation)?))
    }

    /// Says whether the network that the phone is on costs by the byte; to be said again after each start.
    pub fn set_metered(&self, metered: bool) {
        self.0.set_metered(metered);
    }

    /// Says that the app is in front, or is not any more: in direct conversations people see that this person is
    /// there, or when he last was, where the company's policy lets them and he does not withhold it. `suspend` says
    /// that it is not.
    pub fn set_in_front(&self, in_front: bool) {
        self.0.set_in_front(in_front);
    }

    /// From which size on documents wait on a metered network.
    pub fn metered_limits(&self) -> MeteredLimits {
        self.0.metered_limits().into()
    }

    /// Changes from which size on documents wait on a metered network. Kept.
    pub async fn set_metered_limits(&self, limits: MeteredLimits) -> Result<(), HauspostError> {
        let core = self.0.clone();
        runtime::run(async move { Ok(core.set_metered_limits(limits.into()).await?) }).await
    }

    /// What fetched documents may take on this phone, in bytes; those not used for longest go first.
    pub fn set_document_cache(&self, bytes: u64) {
        self.0.set_document_cache(bytes);
    }

    /// Search over everything.
    pub fn search(&self) -> Arc<Search> {
        Search::new(self.0.clone())
    }

    /// What the company and the person have decided: policy, quiet hours, receipts, how loud a message is.
    pub fn rules(&self) -> Arc<Rules> {
        Rules::new(self.0.clone())
    }

    /// The company's people.
    pub fn people(&self) -> Arc<People> {
        People::new(self.0.clone())
    }

    /// Tells `observer` of each change from now on, until the subscription is stopped or let go.
    pub fn observe(&self, observer: Arc<dyn Observer>) -> Result<Arc<Subscription>, HauspostError> {
        Subscription::start(self.0.observe(), observer)
    }
}

fn environment(key_store: Arc<dyn KeyStore>, folder: &Path) -> Env {
    let randomness = Arc::new(SystemRandomness);
    Env {
        clock: Arc::new(SystemClock),
        key_store: Arc::new(PlatformKeyStore::new(key_store, folder, randomness.clone())),
        randomness,
        network: Arc::new(Https),
    }
}

async fn row(store: &Store) -> Result<account::Account, StoreError> {
    store.read(|conn| account::find(conn)?.ok_or(StoreError::Missing("account"))).await
}

impl From<account::Account> for AccountInfo {
    fn from(account: account::Account) -> Self {
        Self {
            company: account.company.to_string(),
            person: account.user.to_string(),
            device: account.device.to_string(),
            server: account.server.clone(),
            standing: match account.state {
                AccountState::Enrolling => AccountStanding::Enrolling,
                AccountState::Enrolled => AccountStanding::Active,
                AccountState::Revoked => AccountStanding::Revoked,
                AccountState::Newer => AccountStanding::UpdateApp,
            },
        }
    }
}
