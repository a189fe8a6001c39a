//! The account: what an app, a terminal or a demo holds.
//!
//! [`enrol`] brings a phone into its company, [`Account::open`] opens it again. [`engine`] owns the
//! state that everything moves under one lock, with no network below it; [`pull`] takes in what is
//! new, [`sealing`] makes records ready, [`push`] sends what is wanted, in its time ([`deferred`]),
//! [`checkpoints`], [`freshness`] and [`gossip`] say whether the server shows the present, and one
//! history. [`report`] tells the company what an admin must hear of, [`way_in`] keeps the door open for
//! those who come, [`tasks`] does all of it by itself after [`Account::start`].
//! [`talk`], [`cards`], [`about`] and [`manage`] are what people do, [`own`] what all their devices
//! agree on, [`behaviour`], [`reach`] and [`hints`] what they may know of each other, [`rooms`] is about
//! conversations of several, [`confirm`] about messages that are to be confirmed, [`unsent`] about what is
//! still here, [`written`] and [`marks`] store what they write and what they say about it, in each of its
//! [`places`] at once, [`documents`] carries what they attach,
//! [`inspect`] reads its text, [`previews`] makes and judges small pictures, [`devices`] says which
//! devices are theirs, [`history`](mod@history), [`give`] and [`given`] carry the past from one to
//! the other, [`handing`] a leaver's to his successor, [`link`] what a status line shows, [`error`] how it fails.

mod about;
mod announce;
mod behaviour;
mod cards;
mod checkpoints;
mod confirm;
mod deferred;
mod devices;
mod documents;
mod engine;
mod enrol;
mod enter;
mod error;
mod freshness;
mod give;
mod given;
mod gossip;
mod handing;
mod hints;
mod history;
mod inspect;
mod link;
mod manage;
mod marks;
mod own;
mod places;
mod position;
mod previews;
mod pull;
mod push;
mod reach;
mod report;
mod reset;
mod rooms;
mod sealing;
mod talk;
mod tasks;
mod unsent;
mod upkeep;
mod way_in;
mod written;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hauspost_protocol::ids::{CompanyId, DeviceId, UserId};

pub use about::{Draft, Shows};
pub use announce::{ANNOUNCED_ROOMS, Announced, Announcement, OwnRoom};
pub use behaviour::PolicyInForce;
pub use checkpoints::{CheckpointState, WitnessState};
pub use confirm::ToConfirm;
pub use devices::{OwnDevice, WaitingCode};
pub use documents::{Attachment, DocumentOrigin, MeteredLimits, Transfer, TransferState};
pub use engine::Core;
pub use error::AccountError;
pub use handing::HandoverInForce;
pub use hints::{LastSeen, Presence};
pub use link::Link;
pub use rooms::{NewRoom, Role, Standing};

use crate::env::Env;
use crate::observe::Observer;
use crate::store::Store;
use crate::store::rows::account::{self, AccountState};
pub use crate::store::rows::presence::Trace;

/// The database's file in an account's folder.
const DATABASE: &str = "hauspost.db";

/// An account on this phone. Cheap to clone; all of it is `Send` and cancel-safe.
#[derive(Clone)]
pub struct Account {
    core: Arc<Core>,
    tasks: Arc<tasks::Tasks>,
}

impl Account {
    /// Enrols this phone by an invitation and keeps the account in `folder`.
    ///
    /// What was begun and broken off goes on where it was: the keys are stored before the server
    /// hears of them, and the same request is sent again.
    pub async fn enrol(folder: &Path, invitation: &str, env: Env) -> Result<Self, AccountError> {
        let store = open_store(folder, &env).await?;
        let core = enrol::enrol(store, folder, invitation, env).await?;
        let account = Self::of(core);
        account.core.tidy_documents().await?;
        account.settle().await?;
        Ok(account)
    }

    /// Opens an account that was enrolled in `folder`. Needs no network.
    pub async fn open(folder: &Path, env: Env) -> Result<Self, AccountError> {
        let store = open_store(folder, &env).await?;
        let account = Self::of(enrol::reopen(store, folder, env).await?);
        account.core.tidy_documents().await?;
        // What cannot be stored now is there after the next start as well.
        if let Err(error) = account.core.tell_untold().await {
            tracing::debug!(code = error.code(), "drafts are not told now");
        }
        Ok(account)
    }

    fn of(core: Core) -> Self {
        Self { core: Arc::new(core), tasks: Arc::default() }
    }

    /// The first pull, and the key packages by which others add this phone.
    async fn settle(&self) -> Result<(), AccountError> {
        self.sync_all().await?;
        self.core.stock_packages().await?;
        self.core.refresh_people().await
    }

    /// The company.
    pub fn company(&self) -> CompanyId {
        self.core.me.company
    }

    /// Whose phone it is.
    pub fn user(&self) -> UserId {
        self.core.me.user
    }

    /// The device.
    pub fn device(&self) -> DeviceId {
        self.core.me.device
    }

    /// Whether this device is not accepted any more.
    pub async fn is_revoked(&self) -> Result<bool, AccountError> {
        let account = self.core.store.read(|conn| Ok::<_, AccountError>(account::find(conn)?));
        Ok(account.await?.is_some_and(|account| account.state == AccountState::Revoked))
    }

    /// The server's address, as the invitation named it.
    pub async fn server(&self) -> Result<String, AccountError> {
        let account = self.core.store.read(|conn| Ok::<_, AccountError>(account::find(conn)?));
        Ok(account.await?.ok_or(AccountError::NotEnrolled)?.server)
    }

    /// How the server is reached, from now on; it moves while the account is started.
    pub fn link(&self) -> tokio::sync::watch::Receiver<Link> {
        self.core.link.watch()
    }

    /// The store, for reading and for simulation.
    pub fn store(&self) -> &Store {
        &self.core.store
    }

    /// Hears of every change from now on, after its commit.
    pub fn observe(&self) -> Observer {
        self.core.store.observe()
    }

    /// Pulls once. Whether there is more to pull.
    pub async fn sync_once(&self) -> Result<bool, AccountError> {
        self.core.pull().await
    }

    /// Pulls until there is no more.
    pub async fn sync_all(&self) -> Result<(), AccountError> {
        Box::pin(self.core.pull_all()).await
    }

    /// Sends what waits, documents too, as far as it can be sent now.
    pub async fn send_once(&self) -> Result<(), AccountError> {
        self.core.push().await?;
        if self.core.upload_all().await? {
            self.core.push().await?;
        }
        Ok(())
    }

    /// Brings the server's stock of this phone's key packages up, if it is low.
    pub async fn stock_packages(&self) -> Result<(), AccountError> {
        self.core.stock_packages().await
    }

    /// Fetches the names of colleagues that changed.
    pub async fn refresh_people(&self) -> Result<(), AccountError> {
        self.core.refresh_people().await
    }

    /// The newest checkpoint that this phone verified, and who vouches for it.
    pub async fn checkpoint(&self) -> Result<Option<CheckpointState>, AccountError> {
        self.core.checkpoint_state().await
    }

    /// Asks what the company's witnesses said of the newest checkpoint.
    pub async fn ask_witnesses(&self) -> Result<(), AccountError> {
        self.core.ask_witnesses().await
    }

    /// Reports alarms to the company log, as far as they are not there yet.
    pub async fn report_alarms(&self) -> Result<(), AccountError> {
        self.core.report().await
    }

    /// Wants those devices added that came after their users were let in.
    pub async fn add_missing(&self) -> Result<(), AccountError> {
        self.core.add_missing().await
    }

    /// Begins the log in which this person's devices agree, if there are several and this one has
    /// something to tell.
    pub async fn agree(&self) -> Result<(), AccountError> {
        self.core.agree().await
    }

    /// Looks whether others could enter this phone's groups, and mends what is wrong (C6).
    pub async fn look_at_ways_in(&self) -> Result<(), AccountError> {
        self.core.look_at_ways_in().await
    }

    /// Puts all messages into a search index that an update emptied; a started account does so by itself.
    pub async fn fill_index(&self) -> Result<(), AccountError> {
        self.core.fill_index().await
    }

    /// Forgets receipts, and when people were last there, if that is older than the policy keeps it, or they
    /// are gone; a started account does so by itself.
    pub async fn forget_behaviour(&self) -> Result<(), AccountError> {
        self.core.forget_behaviour().await
    }

    /// Pulls, sends and listens by itself on the current tokio runtime, until the account is
    /// suspended or dropped. Calling it again does nothing.
    pub fn start(&self) {
        self.tasks.start(&self.core);
    }

    /// Ends the tasks, waits for the running transaction and closes the database: no lock is left.
    pub async fn suspend(&self) {
        Box::pin(self.core.go_out_of_sight()).await;
        self.tasks.end().await;
        self.core.close_documents().await;
        self.core.settle_inspection().await;
        self.core.settle_previews().await;
        self.core.settle_work().await;
        self.core.store.suspend().await;
    }

    /// Opens the database again after [`Account::suspend`]; the tasks are to be started anew.
    pub async fn resume(&self) -> Result<(), AccountError> {
        self.core.forget().await;
        Ok(self.core.store.resume().await?)
    }
}

async fn open_store(folder: &Path, env: &Env) -> Result<Store, AccountError> {
    let path: PathBuf = folder.join(DATABASE);
    let folder = folder.to_owned();
    let key_store = env.key_store.clone();
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder).map_err(|_| AccountError::Folder)?;
        let key = key_store.database_key()?;
        Ok::<_, AccountError>(Store::open(&path, key)?)
    });
    opened.await.map_err(|_| AccountError::Folder)?
}
