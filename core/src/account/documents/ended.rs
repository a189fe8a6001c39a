//! Over which documents this phone's process ended, so that none of them ends it again.
//!
//! What is in a message has a row that says how often it was begun. Before there is a message, a preview is
//! made and pages are counted: what is worked on then is noted first, and let go of at the end, however
//! that comes out. Whatever is noted when the phone starts is sent without them.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Mutex;

use hauspost_protocol::crypto::sha256;
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::ids::Digest;

use super::{blocking, lock};
use crate::account::AccountError;
use crate::account::engine::Core;
use crate::file::kind::LOOKED_AT;
use crate::file::source;
use crate::store::rows::account;
use crate::store::{StoreError, Tx};

/// The fact that holds what is worked on, the newest last.
const WORKED_ON: &str = "worked-on";
/// So many documents are kept apart; behind them the oldest may be tried again.
const KEPT: usize = 32;

/// What this process has begun.
#[derive(Default)]
pub(super) struct Begun(Mutex<HashSet<Digest>>);

/// A document that is to be worked on: its size and its beginning tell it from others.
pub(in crate::account) struct Worked {
    /// The first bytes, a few thousand at most.
    pub beginning: Vec<u8>,
    known_as: Digest,
}

impl Worked {
    fn of(size: u64, beginning: Vec<u8>) -> Self {
        let known_as = sha256(&[&size.to_be_bytes(), &beginning[..]].concat());
        Self { beginning, known_as }
    }

    /// One in memory.
    pub fn bytes(document: &[u8]) -> Self {
        Self::of(document.len() as u64, document[..document.len().min(LOOKED_AT)].to_vec())
    }

    /// One in a file.
    pub async fn path(path: PathBuf) -> Result<Self, AccountError> {
        let (size, beginning) = blocking(move || source::look(&path)).await?;
        Ok(Self::of(size, beginning))
    }
}

impl Core {
    /// Works on a document that is to be sent; nothing comes of one over which this phone's process ended.
    pub(in crate::account) async fn work_on<T>(
        &self,
        document: &Worked,
        work: impl Future<Output = Option<T>>,
    ) -> Result<Option<T>, AccountError> {
        let known_as = document.known_as;
        // What this process broke off by itself did not end it.
        let is_own = !lock(&self.documents.begun.0).insert(known_as);
        let begin = move |tx: &Tx<'_>| Ok::<_, AccountError>(begin(tx, known_as, is_own)?);
        if !self.store.write(begin).await? {
            lock(&self.documents.begun.0).remove(&known_as);
            tracing::warn!("a document is left alone over which the process ended");
            return Ok(None);
        }
        let done = work.await;
        let end = move |tx: &Tx<'_>| Ok::<_, AccountError>(end(tx, &[known_as])?);
        self.store.write(end).await?;
        lock(&self.documents.begun.0).remove(&known_as);
        Ok(done)
    }

    /// Lets go of what was worked on when this account was suspended: no document is to blame for that.
    pub(in crate::account) async fn settle_work(&self) {
        let begun: Vec<_> = lock(&self.documents.begun.0).drain().collect();
        if begun.is_empty() {
            return;
        }
        let end = move |tx: &Tx<'_>| Ok::<_, AccountError>(end(tx, &begun)?);
        if let Err(error) = self.store.write(end).await {
            tracing::debug!(code = error.code(), "documents stay begun");
        }
    }
}

/// Notes that a document is worked on; `false` if it is noted from before, and not by this process.
fn begin(tx: &Tx<'_>, document: Digest, is_own: bool) -> Result<bool, StoreError> {
    let mut noted = noted(tx)?;
    if noted.contains(&document) {
        return Ok(is_own);
    }
    noted.push(document);
    let surplus = noted.len().saturating_sub(KEPT);
    account::put_fact(tx, WORKED_ON, &encode(&noted.split_off(surplus)))?;
    Ok(true)
}

fn end(tx: &Tx<'_>, documents: &[Digest]) -> Result<(), StoreError> {
    let mut noted = noted(tx)?;
    noted.retain(|noted| !documents.contains(noted));
    match noted.is_empty() {
        true => account::forget_fact(tx, WORKED_ON),
        false => account::put_fact(tx, WORKED_ON, &encode(&noted)),
    }
}

fn noted(tx: &Tx<'_>) -> Result<Vec<Digest>, StoreError> {
    let noted = account::fact(tx, WORKED_ON)?;
    noted.map_or(Ok(Vec::new()), |bytes| {
        decode(&bytes).map_err(|_| StoreError::Unreadable("documents that are worked on"))
    })
}
