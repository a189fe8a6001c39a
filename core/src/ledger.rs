//! One conversation's log as this phone knows it, in memory between two transactions.
//!
//! The database holds the truth; a [`Ledger`] is read from it when a log is first needed, moved on
//! by `inbound` and `outbox`, and stored together with what moved it. When a transaction fails, the
//! state in memory is dropped and read anew.

use std::collections::{BTreeMap, HashMap};

use hauspost_protocol::authorise::Conversation;
use hauspost_protocol::body::LogType;
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::epoch::{Chain, HintKey};
use hauspost_protocol::ids::{DeviceId, Digest, LeafIndex, LogId, RecordIndex, Seq};
use hauspost_protocol::mls::public::{Follower, Member};
use rusqlite::Connection;

use crate::store::rows::author::Author;
use crate::store::rows::epoch::EpochRow;
use crate::store::rows::log::{self, Log, LogPart};
use crate::store::rows::{author, epoch};
use crate::store::{StoreError, Tx};

/// One log, its newest state and what reading on needs.
pub struct Ledger {
    /// What changes with every entry.
    pub row: Log,
    /// What the rules know of the conversation, once its first entry is known.
    pub conversation: Option<Conversation>,
    /// Follows the group from outside while this device has no leaf in it.
    pub follower: Option<Follower>,
    /// The epoch in force, if this device has a leaf in it.
    pub epoch: Option<EpochState>,
    /// What each device said last.
    pub authors: HashMap<DeviceId, Author>,
}

/// The epoch in force as a member reads it.
#[derive(Clone)]
pub struct EpochState {
    /// SHA-256 of the capsule's body that this phone computed.
    pub capsule_hash: Digest,
    /// The body itself, until an equal one stands in the log.
    pub capsule_body: Option<Vec<u8>>,
    /// What seals its hints; none in an epoch that began under an older build.
    pub hints: Option<HintKey>,
    /// One chain for each leaf; the own one stands at the lowest index that was not accepted.
    pub chains: BTreeMap<LeafIndex, Chain>,
}

impl Ledger {
    /// A log of which nothing is known yet.
    pub fn new(id: LogId, r#type: LogType) -> Self {
        Self {
            row: Log::new(id, r#type),
            conversation: None,
            follower: None,
            epoch: None,
            authors: HashMap::new(),
        }
    }

    /// The log as it is stored.
    pub fn load(conn: &Connection, id: LogId) -> Result<Option<Self>, StoreError> {
        let Some(row) = log::find(conn, id)? else { return Ok(None) };
        let part = |part| log::part(conn, row.local, part);
        let conversation = match part(LogPart::Conversation)? {
            Some(bytes) => {
                Some(decode(&bytes).map_err(|_| StoreError::Unreadable("conversation"))?)
            }
            None => None,
        };
        let follower = match part(LogPart::Follower)? {
            Some(bytes) if !bytes.is_empty() => Some(
                Follower::from_bytes(&bytes).map_err(|_| StoreError::Unreadable("public group"))?,
            ),
            _ => None,
        };
        let epoch = match epoch::find(conn, row.local)? {
            Some(stored) => Some(EpochState {
                capsule_hash: stored.capsule_hash,
                capsule_body: stored.capsule_body,
                hints: stored.hints,
                chains: epoch::chains(conn, row.local)?.into_iter().collect(),
            }),
            None => None,
        };
        let authors = author::all(conn, row.local)?;
        let authors = authors.into_iter().map(|author| (author.device, author)).collect();
        Ok(Some(Self { row, conversation, follower, epoch, authors }))
    }

    /// Gives a log that is new its number, under which all of it is stored.
    pub fn begin(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        if self.row.local.number == 0 {
            self.row.local = log::insert(tx, &self.row, None, self.row.last_t_ms)?;
        }
        Ok(())
    }

    /// Stores the small row and the parts named.
    pub fn store(&self, tx: &Tx<'_>, what: &Touched) -> Result<(), StoreError> {
        log::update(tx, &self.row)?;
        let local = self.row.local;
        if what.conversation
            && let Some(conversation) = &self.conversation
        {
            log::put_part(tx, local, LogPart::Conversation, &encode(conversation))?;
        }
        if what.follower {
            let follower = self.follower.as_ref().map(Follower::to_bytes).unwrap_or_default();
            log::put_part(tx, local, LogPart::Follower, &follower)?;
        }
        match &self.epoch {
            Some(state) if what.epoch => {
                let row = EpochRow {
                    r#gen: self.row.r#gen,
                    epoch: self.row.epoch,
                    capsule_hash: state.capsule_hash,
                    capsule_body: state.capsule_body.clone(),
                    capsule_seq: self.right_capsule(),
                    hints: state.hints.clone(),
                };
                let chains: Vec<_> =
                    state.chains.iter().map(|(leaf, chain)| (*leaf, chain.clone())).collect();
                epoch::begin(tx, local, &row, &chains)?;
            }
            Some(state) => {
                let moved = what.chains.iter();
                let moved: Vec<_> =
                    moved.filter_map(|leaf| Some((*leaf, state.chains.get(leaf)?))).collect();
                epoch::put_chains(tx, local, &moved)?;
                if what.conversation
                    && let Some(seq) = self.right_capsule()
                {
                    epoch::set_capsule_seq(tx, local, seq)?;
                }
            }
            None if what.epoch => epoch::end(tx, local)?,
            None => {}
        }
        let authors = what.authors.iter();
        let authors: Vec<_> = authors.filter_map(|id| self.authors.get(id).copied()).collect();
        author::put(tx, local, &authors)
    }

    /// The devices of the newest epoch.
    pub fn members(&self) -> impl Iterator<Item = (LeafIndex, &Member)> {
        self.conversation.iter().flat_map(|conversation| conversation.roster.iter())
    }

    /// The device at this leaf.
    pub fn member(&self, leaf: LeafIndex) -> Option<&Member> {
        self.conversation.as_ref()?.roster.member(leaf)
    }

    /// Where this device sits.
    pub fn leaf_of(&self, device: DeviceId) -> Option<LeafIndex> {
        self.conversation.as_ref()?.roster.leaf_of(device)
    }

    /// The first entry that holds the capsule that this phone expects of the epoch in force.
    pub fn right_capsule(&self) -> Option<Seq> {
        let expected = self.epoch.as_ref()?.capsule_hash;
        let mut capsules = self.conversation.as_ref()?.capsules.iter();
        let right = capsules.find(|capsule| capsule.digest == expected)?;
        // The commit names it before it is seen; nobody may rely on it before.
        Some(right.seq).filter(|seq| *seq < self.row.next_seq)
    }

    /// The own chain moved past what the server accepted.
    pub fn own_accepted(&mut self, index: RecordIndex, touched: &mut Touched) {
        let Some((leaf, epoch)) = self.row.own_leaf.zip(self.epoch.as_mut()) else { return };
        while let Some(chain) = epoch.chains.get(&leaf)
            && chain.index() <= index
        {
            let (_, next) = chain.clone().advance();
            epoch.chains.insert(leaf, next);
            touched.chains.insert(leaf);
        }
        self.row.own_index = epoch.chains.get(&leaf).map(Chain::index).unwrap_or_default();
    }
}

/// Which parts of a state changed and are to be stored.
#[derive(Debug, Default)]
pub struct Touched {
    /// What the rules know of the conversation.
    pub conversation: bool,
    /// The group as it is followed from outside.
    pub follower: bool,
    /// The epoch with all its chains.
    pub epoch: bool,
    /// Single chains, if the epoch is the same.
    pub chains: std::collections::BTreeSet<LeafIndex>,
    /// What these devices said last.
    pub authors: std::collections::BTreeSet<DeviceId>,
}
