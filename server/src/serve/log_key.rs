//! The keys that sign checkpoints: drawn here, named by the root, and followed by others.
//!
//! The server signs by the keys that the company log names and by no others, so a key is in force
//! from the very entry that names it. Keys are numbered files; those that were rotated away sign
//! nothing and may be deleted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use hauspost_protocol::company::body::{LogKeyEntry, Role};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::PublicKey;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::tree::checkpoint::LogSigner;
use hauspost_protocol::wire::NextLogKey;
use rand::CryptoRng;

use super::answer::{Answer, Cbor, Empty, Refusal};
use super::folder::{DataFolder, FolderError};
use super::node::Node;
use super::session::Claim;

/// Keys of one server's life, at most.
const KEYS: u32 = 1_000;

/// The keys of checkpoints that this server holds.
pub struct LogKeys(Mutex<Vec<(u32, LogSigner)>>);

impl LogKeys {
    /// Reads them; an empty folder gets its first.
    pub fn open(folder: &DataFolder, rng: &mut impl CryptoRng) -> Result<Self, FolderError> {
        let mut keys = Vec::new();
        for number in 1..=KEYS {
            if folder.file(&names(number)[0]).exists() {
                keys.push((number, read(folder, number, rng)?));
            }
        }
        if keys.is_empty() {
            keys.push((1, read(folder, 1, rng)?));
        }
        Ok(Self(Mutex::new(keys)))
    }

    /// The key that the company log names now, if it is here.
    pub fn named(&self, company: &Company) -> Option<LogSigner> {
        let key = company.now().log_key()?;
        let held = self.keys();
        let mut held = held.iter().map(|(_, signer)| signer);
        held.find(|signer| signer.public() == (key.ed25519, key.ml_dsa.clone())).cloned()
    }

    /// The newest key, for a company that names none yet.
    pub fn newest(&self) -> (PublicKey, Bytes) {
        self.keys().last().map(|(_, signer)| signer.public()).expect("there is always a key")
    }

    /// Whether the key that an entry names is here.
    pub fn holds(&self, entry: &LogKeyEntry) -> bool {
        let named = (entry.ed25519, entry.ml_dsa.clone());
        self.keys().iter().any(|(_, signer)| signer.public() == named)
    }

    /// The key that waits to be named; drawn if the newest one is in force.
    fn next(
        &self,
        company: &Company,
        folder: &DataFolder,
        rng: &mut impl CryptoRng,
    ) -> Result<(PublicKey, Bytes), FolderError> {
        let in_force = company.now().log_key().map(|key| (key.ed25519, key.ml_dsa.clone()));
        let mut keys = self.keys();
        let (number, newest) = keys.last().expect("there is always a key");
        if Some(newest.public()) != in_force {
            return Ok(newest.public());
        }
        let number = number + 1;
        let drawn = read(folder, number, rng)?;
        let public = drawn.public();
        keys.push((number, drawn));
        Ok(public)
    }

    fn keys(&self) -> MutexGuard<'_, Vec<(u32, LogSigner)>> {
        // A key is pushed whole or not at all.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names(number: u32) -> [String; 2] {
    let of = |key: &str| match number {
        1 => format!("keys/log-{key}"),
        number => format!("keys/log-{key}-{number}"),
    };
    [of("ed25519"), of("ml-dsa-44")]
}

fn read(
    folder: &DataFolder,
    number: u32,
    rng: &mut impl CryptoRng,
) -> Result<LogSigner, FolderError> {
    let [ed25519, ml_dsa] = names(number);
    // The file that `open` looks for is written last.
    let ml_dsa = folder.secret(&ml_dsa, rng)?;
    Ok(LogSigner::from_seeds(folder.secret(&ed25519, rng)?, ml_dsa))
}

/// POST: the keys that will sign once the root names them.
pub async fn next(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(Empty): Cbor<Empty>,
) -> Result<Answer<NextLogKey>, Refusal> {
    let company = node
        .read_as(&claim, |_, session| {
            session.must_have(&[Role::Admin])?;
            Ok(Arc::clone(&session.company))
        })
        .await?;
    let next = node.keys.log.next(&company, &node.folder, &mut node.rng()).map_err(|error| {
        tracing::error!(%error, "new log keys cannot be kept");
        Refusal::Busy
    })?;
    Ok(Answer(NextLogKey { ed25519: next.0.0, ml_dsa: next.1 }))
}
