//! `hauspost archive`.

mod open;
mod request;
mod verify;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use hauspost_protocol::ids::{LogId, Seq};

use super::admin::Keys;
use super::terminal::{self, Terminal};
use super::{Failure, now_ms, rng};
use crate::archive::documents::{self, Lacking};
use crate::archive::export::{Export, ExportError};
use crate::archive::fetch::{FetchError, Wanted, fetch};
use crate::archive::opening::{Opening, OpeningError};
use crate::archive::verify::{Examined, Pin, examine};
use crate::company::holder::Holder;

/// How long a fetch waits for a checkpoint that covers what it is for.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(90);
/// How often it asks.
const CHECKPOINT_POLL: Duration = Duration::from_millis(500);

/// Open, export and verify the archive.
#[derive(Subcommand)]
#[command(
    after_help = "An opening, from request to reading. Each step runs on the machine of whoever holds the keys:\n\n  \
    officer 1   hauspost archive request --purpose … --log … --notice … --keys officer-1 --out request.json\n  \
    officer 2   hauspost archive sign request.json --keys officer-2\n  \
    council     hauspost archive sign request.json --keys council-1\n  \
    officer 1   hauspost archive submit request.json --keys officer-1              → opening 17\n  \
    officer 1   hauspost archive fetch --opening 17 --keys officer-1 --out officers-export\n  \
    officers    hauspost archive halves officers-export --keys officer-1 --keys officer-2 --out halves.cbor\n  \
    council     hauspost archive fetch --opening 17 --keys council-1 --out council-export\n  \
    council     hauspost archive answer council-export --halves halves.cbor --keys council-1 --out answer.cbor\n  \
    officer 1   hauspost archive open officers-export --answer answer.cbor --keys officer-1"
)]
pub enum Archive {
    /// Write a request to open a part of the archive, signed by its first officer.
    Request(request::Request),
    /// Sign a request, after reading what it says.
    Sign(request::Sign),
    /// Append a request that all have signed to the company log.
    Submit(request::Submit),
    /// Fetch logs from the server into an export folder.
    Fetch(Fetch),
    /// Officers: the half of each capsule that key A opens, sealed to the council.
    Halves(open::Halves),
    /// Council: the keys of the records in the scope, and of no others, sealed to the officers.
    Answer(open::Answer),
    /// Officers: read the conversations with the council's answer.
    Open(open::Open),
    /// Verify an export offline, and name what is missing or changed.
    Verify(verify::Verify),
}

#[derive(Args)]
#[command(
    after_help = "Officers get the records' ciphertexts of the opening's scope, the council gets none. Without --opening: \
    chains, commits and capsules of all logs, no record's payload.\n\n\
    Example:\n  hauspost archive fetch --opening 17 --keys keys/officer-1 --out officers-export"
)]
pub struct Fetch {
    #[command(flatten)]
    keys: Keys,
    /// The entry `opening` of the company log, as `archive submit` printed it.
    #[arg(long, value_name = "ENTRY")]
    opening: Option<u64>,
    /// A conversation; may be repeated. Without it those of the opening, else all.
    #[arg(long = "log", value_name = "LOG")]
    logs: Vec<LogId>,
    /// The folder for the export; made here.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Archive {
    pub async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        match self {
            Self::Request(request) => request.run().await,
            Self::Sign(sign) => sign.run(),
            Self::Submit(submit) => submit.run(terminal).await,
            Self::Fetch(fetch) => fetch.run(terminal).await,
            Self::Halves(halves) => halves.run(),
            Self::Answer(answer) => answer.run(terminal).await,
            Self::Open(open) => open.run(),
            Self::Verify(verify) => verify.run(terminal),
        }
    }
}

/// The folder that documents are fetched into, before they move into the export; gone in the end.
struct Fetched(PathBuf);

impl Fetched {
    fn new(export: &Path) -> Result<Self, Failure> {
        let folder = export.with_extension("documents");
        if folder.exists() {
            return Err(ExportError::Exists(folder).into());
        }
        Ok(Self(folder))
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Fetch {
    async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        if self.out.exists() {
            return Err(ExportError::Exists(self.out).into());
        }
        let holder = Holder::open(&self.keys.keys)?;
        let client = holder.client(self.keys.server.as_deref()).await?;
        let company = holder.company(&client, &mut rng()).await?;
        let opening = self.opening.map(Seq);
        let mut logs = self.logs;
        if let Some(seq) = opening {
            let body = company.now().opening(seq);
            let body = body.ok_or_else(|| Failure::from(OpeningError::NoOpening(seq)))?;
            if logs.is_empty() {
                logs = body.scope.logs.iter().map(|(log, ..)| *log).collect();
            }
        }
        let company_size = opening.map_or(0, |seq| seq.0 + 1);
        let wanted = Wanted { opening, logs, company_size };
        let waiting = terminal.spinner("waiting for a checkpoint that covers it …");
        let give_up = tokio::time::Instant::now() + CHECKPOINT_PATIENCE;
        let export = loop {
            let bar = terminal.bar("fetching logs", 0);
            let progress = |done, total| {
                bar.set_length(total);
                bar.set_position(done);
            };
            match fetch(&client, &holder.card, &wanted, now_ms(), progress).await {
                Err(FetchError::NotCovered) if tokio::time::Instant::now() < give_up => {
                    tokio::time::sleep(CHECKPOINT_POLL).await;
                }
                other => break other?,
            }
        };
        waiting.finish_and_clear();
        let fetched = Fetched::new(&self.out)?;
        let bar = terminal.bar("fetching documents", 0);
        let progress = |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let lacking = documents::fetch(&client, &export, &fetched.0, progress).await?;
        bar.finish_and_clear();
        export.write(&self.out, Some(&fetched.0))?;
        let entries: usize = export.logs.values().map(Vec::len).sum();
        let conversations = match export.logs.len() {
            1 => "1 conversation".to_owned(),
            count => format!("{count} conversations"),
        };
        terminal::result(format_args!(
            "{conversations}, {entries} entries, company log of {} entries, in {}",
            export.company.len(),
            self.out.display()
        ));
        for Lacking { log, seq, root, why } in &lacking {
            terminal::result(format_args!("log {log}, entry {seq}: document {root}: {why}"));
        }
        if lacking.is_empty() { Ok(()) } else { Err(Failure::incomplete(lacking.len())) }
    }
}

/// An export that a holder works on: read, and examined by his card's pin.
struct Work {
    export: Export,
    examined: Examined,
}

impl Work {
    fn read(folder: &Path, holder: &Holder) -> Result<Self, Failure> {
        let export = Export::read(folder)?;
        let examined = examine(export.clone(), Pin::Known(holder.card.pin), None, &mut rng());
        Ok(Self { export, examined })
    }

    fn opening(&self, folder: &Path) -> Result<Opening<'_>, Failure> {
        let seq = self.export.manifest.opening.ok_or_else(|| {
            Failure::files(format_args!("{} was fetched without an opening", folder.display()))
                .next("Fetch it again with `hauspost archive fetch --opening ENTRY`.")
        })?;
        Ok(Opening::new(&self.examined, seq)?)
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        let failure = Self::files(&error);
        match error {
            ExportError::Exists(_) => failure.next("Name a folder that is not there yet."),
            ExportError::Form { .. } | ExportError::Io { .. } => {
                failure.next("An export is a folder that `hauspost archive fetch` wrote.")
            }
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        let message = error.to_string();
        match error {
            FetchError::Client(error) => error.into(),
            FetchError::NotCovered => Self::refused(message)
                .next("The server makes checkpoints within a minute of an entry. Does it run, and does the log exist?"),
            FetchError::Export(error) => error.into(),
            FetchError::Inconsistent(_) => Self::refused(message),
        }
    }
}

impl From<OpeningError> for Failure {
    fn from(error: OpeningError) -> Self {
        let message = error.to_string();
        match error {
            OpeningError::Io { .. } | OpeningError::NotTheMessage { .. } => Self::files(message),
            OpeningError::Findings(_) => Self::refused(message).next("`hauspost archive verify` names each of them."),
            OpeningError::NoOpening(_) => Self::refused(message)
                .next("`hauspost archive submit` prints the entry's number; sign the request with two officers and the council first."),
            OpeningError::Shares { .. } => {
                Self::refused(message).next("Two different officers' folders are needed: --keys officer-1 --keys officer-2.")
            }
            OpeningError::OldKey { .. } => Self::refused(message)
                .next("That capsule is older than the keys. Take the share or copy from before the keys were changed; it has to be kept."),
            OpeningError::NotSealedToUs => {
                Self::refused(message).next("Is this the folder of the holder for whom the file was made?")
            }
            OpeningError::Exceeds { .. } => Self::refused(message)
                .next("Nothing was given. What the officers ask for has to lie in the scope of the opening in the company log."),
            _ => Self::refused(message),
        }
    }
}
