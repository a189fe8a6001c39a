//! The witness itself: a folder with a key, and a memory that only moves forward.
//!
//! | file | what |
//! | --- | --- |
//! | `lock` | held as long as a witness runs on the folder |
//! | `key` | the seed of its ML-DSA-44 key |
//! | `company.json` | whose log it watches, where the server is and by what it is trusted |
//! | `witness.json` | its name, the era and the key of the checkpoints that it takes |
//! | `cosigned-<era>.json` | the newest tree that it cosigned; without it the witness does not run |
//! | `evidence-…` | requests that show two histories, as they came |
//!
//! A folder that was restored from a backup has forgotten what it signed. It must not run again: end
//! the witness in the company log and make another one.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hauspost_protocol::company::state::LogKey;
use hauspost_protocol::crypto::{PublicKey, sha256};
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{Digest, Seq, TimeMs};
use hauspost_protocol::limits;
use hauspost_protocol::tree::checkpoint::{CosigningKey, TreeHead, is_key_name};
use hauspost_protocol::tree::witness::{AddCheckpoint, Refused, Watched, judge};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::company::card::{self, Card, CardError};
use crate::serve::folder::{Access, DataFolder, FolderError};

const KEY: &str = "key";
const SETTINGS: &str = "witness.json";

/// Why a witness cannot be made or run.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The witness of the folder runs, and knows best.
    #[error("the witness in {0} is running; what it does is in its log")]
    Runs(PathBuf),
    /// The card in it.
    #[error(transparent)]
    Card(#[from] CardError),
    /// No witness was made there.
    #[error("there is no witness in {0}")]
    None(String),
    /// The name cannot stand in a note.
    #[error("`{0}` is no name of a witness: no spaces, no `+`, at most 255 bytes")]
    Name(String),
    /// The folder belongs to a witness of another name or company.
    #[error("the folder holds the witness {0} of another company or name")]
    Other(String),
    /// The era is older than the one that this witness watches.
    #[error(
        "the server shows era {shown}, and this witness watches era {watched}: it was set back"
    )]
    EraBack {
        /// The era shown.
        shown: u64,
        /// The era watched.
        watched: u64,
    },
    /// The company log names no log key.
    #[error("the company log names no key of checkpoints")]
    NoLogKey,
}

/// Why a request is not answered with a cosignature.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// By the rules.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The memory could not be written; nothing was signed.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// What a witness is told once, and again after a rotation of the log key or a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its key name.
    pub name: String,
    /// What it watches.
    pub watched: Watched,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsJson {
    name: String,
    era: u64,
    log_key: String,
    log_key_pq: String,
    entered: u64,
}

/// The newest tree that was cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cosigned {
    /// The tree.
    pub tree: TreeHead,
    /// When, by the witness's clock.
    pub t_ms: TimeMs,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CosignedJson {
    size: u64,
    root: String,
    t_ms: TimeMs,
}

/// A witness that runs on a folder of its own.
pub struct Keeper {
    folder: DataFolder,
    key: CosigningKey,
    /// Whose log it watches.
    pub card: Card,
    /// What it was told.
    pub settings: Settings,
    /// Judging, storing and signing are one step for each request.
    cosigned: Mutex<Option<Cosigned>>,
}

impl Keeper {
    /// Makes a witness in a folder, or tells the one that is there of a new log key or era.
    ///
    /// `view` is the company as its log says, checked from the card's pin on.
    pub fn init(
        path: &Path,
        name: &str,
        card: &Card,
        (era, key): (u64, Option<&LogKey>),
        rng: &mut impl CryptoRng,
    ) -> Result<Self, KeeperError> {
        if !is_key_name(name) || name.len() > limits::NAME_BYTES {
            return Err(KeeperError::Name(name.to_owned()));
        }
        let key = key.ok_or(KeeperError::NoLogKey)?.clone();
        let folder = DataFolder::open(path)?;
        if let Some(known) = read_settings(&folder, card)? {
            if known.name != name {
                return Err(KeeperError::Other(known.name));
            }
            if known.watched.era > era {
                return Err(KeeperError::EraBack { shown: era, watched: known.watched.era });
            }
        }
        folder.secret(KEY, rng)?;
        folder.write(card::FILE_NAME, card.to_text().as_bytes(), Access::Public)?;
        // The memory comes first: settings without a memory are a damaged witness.
        if folder.read(&memory(era))?.is_none() {
            write_memory(&folder, era, None)?;
        }
        let json = SettingsJson {
            name: name.to_owned(),
            era,
            log_key: hex::encode(key.ed25519.0),
            log_key_pq: hex::encode(&*key.ml_dsa),
            entered: key.entered.0,
        };
        write_json(&folder, SETTINGS, &json)?;
        drop(folder);
        Self::open(path)
    }

    /// Opens the witness of a folder, alone.
    pub fn open(path: &Path) -> Result<Self, KeeperError> {
        let none = || KeeperError::None(path.display().to_string());
        if !path.join(SETTINGS).exists() {
            return Err(none());
        }
        let folder = DataFolder::open(path).map_err(|error| match error {
            FolderError::InUse(path) => KeeperError::Runs(path),
            error => error.into(),
        })?;
        let card = Card::read(path)?;
        let settings = read_settings(&folder, &card)?.ok_or_else(none)?;
        let era = settings.watched.era;
        let name = memory(era);
        let damaged = || FolderError::Damaged(folder.file(&name));
        let bytes = folder.read(&name)?.ok_or_else(damaged)?;
        let json: Option<CosignedJson> = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let cosigned = match json {
            None => None,
            Some(CosignedJson { size, root, t_ms }) => {
                let root = hex_bytes(&root).map(Digest).ok_or_else(damaged)?;
                Some(Cosigned { tree: TreeHead { era, size, root }, t_ms })
            }
        };
        // Drawn by `init`; a lost key is not replaced by another one of the same name.
        if folder.read(KEY)?.is_none() {
            return Err(FolderError::Damaged(folder.file(KEY)).into());
        }
        let key = CosigningKey::from_seed(folder.secret(KEY, &mut rand::rng())?);
        Ok(Self { folder, key, card, settings, cosigned: Mutex::new(cosigned) })
    }

    /// Its public key, 1,312 bytes, as the company log names it.
    pub fn public(&self) -> Bytes {
        self.key.public()
    }

    /// The newest tree that it cosigned.
    pub fn cosigned(&self) -> Option<Cosigned> {
        *self.cosigned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder, for what belongs beside it.
    pub fn folder(&self) -> &DataFolder {
        &self.folder
    }

    /// Answers `add-checkpoint`: the lines of the cosignature, after the tree is on disk.
    pub fn answer(&self, request: &AddCheckpoint, now_ms: TimeMs) -> Result<String, AnswerError> {
        let mut cosigned = self.cosigned.lock().unwrap_or_else(PoisonError::into_inner);
        let Watched { company, era, .. } = self.settings.watched;
        let last = cosigned.map(|cosigned| cosigned.tree);
        let tree = match judge(request, &self.settings.watched, last) {
            Ok(tree) => tree,
            Err(refused) => {
                if matches!(refused, Refused::Fork(_) | Refused::Proof) {
                    self.keep_evidence(request)?;
                }
                return Err(refused.into());
            }
        };
        let new = Cosigned { tree, t_ms: now_ms };
        write_memory(&self.folder, era, Some(&new))?;
        *cosigned = Some(new);
        Ok(self.key.cosign(&self.settings.name, company, &tree, now_ms / 1_000))
    }

    /// The log's key signed it, and it does not continue what was cosigned: kept as it came.
    fn keep_evidence(&self, request: &AddCheckpoint) -> Result<(), FolderError> {
        let text = request.to_text();
        let name = format!("evidence-{}.txt", hex::encode(&sha256(text.as_bytes()).0[..8]));
        tracing::error!(file = %name, "the log shows two histories; the request is kept");
        self.folder.write(&name, text.as_bytes(), Access::Public)
    }
}

fn memory(era: u64) -> String {
    format!("cosigned-{era}.json")
}

fn write_memory(
    folder: &DataFolder,
    era: u64,
    cosigned: Option<&Cosigned>,
) -> Result<(), FolderError> {
    let json = cosigned.map(|cosigned| CosignedJson {
        size: cosigned.tree.size,
        root: cosigned.tree.root.to_string(),
        t_ms: cosigned.t_ms,
    });
    write_json(folder, &memory(era), &json)
}

fn write_json(folder: &DataFolder, name: &str, json: &impl Serialize) -> Result<(), FolderError> {
    let text = serde_json::to_vec_pretty(json).expect("strings and numbers have a JSON form");
    folder.write(name, &text, Access::Public)
}

fn read_settings(folder: &DataFolder, card: &Card) -> Result<Option<Settings>, KeeperError> {
    let Some(bytes) = folder.read(SETTINGS)? else { return Ok(None) };
    let damaged = || FolderError::Damaged(folder.file(SETTINGS));
    let json: SettingsJson = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
    let known = Card::read(folder.path())?;
    if known.company != card.company || known.pin != card.pin {
        return Err(KeeperError::Other(json.name));
    }
    let ed25519 = PublicKey(hex_bytes(&json.log_key).ok_or_else(damaged)?);
    let ml_dsa = Bytes(hex::decode(&json.log_key_pq).map_err(|_| damaged())?);
    let key = LogKey { ed25519, ml_dsa, entered: Seq(json.entered) };
    let watched = Watched { company: card.company, era: json.era, key };
    Ok(Some(Settings { name: json.name, watched }))
}

fn hex_bytes(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}
