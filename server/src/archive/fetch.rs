//! From the server into an export: what a role may see, tied to one checkpoint.
//!
//! The logs are fetched after the checkpoint, so they reach at least as far as it covers; what is
//! newer is left out. An export so ends exactly where its checkpoint does, in every log.

use std::collections::{BTreeMap, BTreeSet};

use hauspost_protocol::encoding::decode;
use hauspost_protocol::entry::{ArchivedEntry, Entry};
use hauspost_protocol::ids::{EntryHash, LogId, Seq, TimeMs};
use hauspost_protocol::tree::checkpoint::Checkpoint;
use hauspost_protocol::tree::heads::HeadsLeaf;
use hauspost_protocol::wire::{
    ArchiveAnswer, ArchiveRequest, CheckpointNews, HeadsProof, HeadsProofRequest, LogPlace,
    WitnessedRequest, path,
};

use super::export::{Export, ExportError, HeadPlace, Manifest, Proofs};
use crate::company::card::Card;
use crate::company::client::{Client, ClientError};

/// What is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The opening under which officers get payloads of records.
    pub opening: Option<Seq>,
    /// The conversations; empty for all.
    pub logs: Vec<LogId>,
    /// The size that the company log has to have under the checkpoint.
    pub company_size: u64,
}

/// Why an export is not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file cannot be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// No checkpoint covers what is wanted yet; ask again in some seconds.
    #[error("no checkpoint covers it yet")]
    NotCovered,
    /// The server's answers do not fit together.
    #[error("the server's answers do not fit together: {0}")]
    Inconsistent(&'static str),
}

/// Fetches an export; `progress` is told how many of how many logs are there.
pub async fn fetch(
    client: &Client,
    card: &Card,
    wanted: &Wanted,
    now_ms: TimeMs,
    mut progress: impl FnMut(u64, u64),
) -> Result<Export, FetchError> {
    let company_log = card.company.log();
    let newest = stretch(client, wanted, company_log, Seq(0)).await?.checkpoint;
    let CheckpointNews { note, leaf, inclusion, .. } = newest.ok_or(FetchError::NotCovered)?;
    let head = Checkpoint::parse(&note)
        .map_err(|_| FetchError::Inconsistent("the checkpoint is not a note"))?
        .head;

    let all: Vec<LogPlace> = client.post(path::ARCHIVE_LOGS, &Vec::<u64>::new()).await?;
    let asked =
        |log: &LogId| *log != company_log && (wanted.logs.is_empty() || wanted.logs.contains(log));
    let logs: Vec<LogId> = all.into_iter().map(|place| place.log).filter(asked).collect();
    let mut names = vec![company_log];
    names.extend(&logs);
    let places = heads(client, (head.era, head.size), &names).await?;

    let mut company = Vec::new();
    let mut fetched = BTreeMap::new();
    let (mut done, total) = (0, places.len() as u64);
    for (log, size, _) in &places {
        let entries = archived(client, wanted, *log, *size).await?;
        if *log == company_log {
            company = entries;
        } else {
            fetched.insert(*log, entries);
        }
        done += 1;
        progress(done, total);
    }
    if (company.len() as u64) < wanted.company_size
        || wanted.logs.iter().any(|log| !fetched.contains_key(log))
    {
        return Err(FetchError::NotCovered);
    }
    let request = WitnessedRequest { era: head.era, size: head.size };
    let witnessed = client.post(path::WITNESSED, &request).await?;
    let people = client
        .people()
        .await?
        .into_iter()
        .filter_map(|person| Some((person.user, person.name?)))
        .collect();
    let heads = places.into_iter().map(|(_, _, place)| place).collect();
    Ok(Export {
        manifest: Manifest {
            company: card.company,
            pin: card.pin,
            made_t_ms: now_ms,
            opening: wanted.opening,
            files: BTreeMap::new(),
        },
        company,
        logs: fetched,
        checkpoint: note,
        proofs: Proofs { outer_leaf: leaf, inclusion, heads, witnessed },
        documents: BTreeSet::new(),
        people,
        changed_files: Vec::new(),
    })
}

async fn stretch(
    client: &Client,
    wanted: &Wanted,
    log: LogId,
    from: Seq,
) -> Result<ArchiveAnswer, FetchError> {
    let request = ArchiveRequest { opening: wanted.opening, log, from };
    Ok(client.post(path::ARCHIVE, &request).await?)
}

/// The places of logs under a checkpoint, with how much of each it covers; logs begun after it are
/// left out.
async fn heads(
    client: &Client,
    (era, size): (u64, u64),
    logs: &[LogId],
) -> Result<Vec<(LogId, u64, HeadPlace)>, FetchError> {
    let mut places = Vec::new();
    for log in logs {
        // One by one: a log without a place must not hide the others.
        let request = HeadsProofRequest { era, size, logs: vec![*log] };
        let proofs: Vec<HeadsProof> = match client.post(path::PROOF_HEADS, &request).await {
            Err(ClientError::Refused { status: 404, .. }) => continue,
            other => other?,
        };
        let proof =
            proofs.into_iter().next().ok_or(FetchError::Inconsistent("a proof is missing"))?;
        let leaf: HeadsLeaf =
            decode(&proof.leaf).map_err(|_| FetchError::Inconsistent("a head is not one"))?;
        let covered = leaf.log.filter(|head| head.log == *log).map(|head| head.size);
        let covered = covered.ok_or(FetchError::Inconsistent("a proof is for another log"))?;
        let place =
            HeadPlace { log: *log, position: proof.position, leaf: proof.leaf, path: proof.path };
        places.push((*log, covered, place));
    }
    Ok(places)
}

/// A log's first `size` entries, each with the hash of the one before it.
async fn archived(
    client: &Client,
    wanted: &Wanted,
    log: LogId,
    size: u64,
) -> Result<Vec<ArchivedEntry>, FetchError> {
    let mut entries: Vec<Entry> = Vec::new();
    while (entries.len() as u64) < size {
        let next = Seq(entries.len() as u64);
        let page = stretch(client, wanted, log, next).await?.entries;
        if page.first().is_none_or(|entry| entry.seq != next) {
            return Err(FetchError::Inconsistent("a log ends before the checkpoint says"));
        }
        entries.extend(page);
    }
    entries.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let mut prev = EntryHash::ZERO;
    let link = |entry: Entry| {
        let archived = ArchivedEntry { prev, entry };
        prev = archived.entry.hash(archived.prev);
        archived
    };
    Ok(entries.into_iter().map(link).collect())
}
