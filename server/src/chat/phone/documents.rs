//! Documents saved, opened and given up. They may have to be fetched first, so this goes on beside
//! everything else.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use hauspost_core::account::{Account, AccountError};
use hauspost_core::file::DocumentError;
use hauspost_core::read::{Confirmations, DocumentKind};
use hauspost_core::store::rows::file::DocumentId;
use hauspost_protocol::ids::LogId;
use tokio::sync::mpsc;

use super::super::event::{Effect, Event};

/// Something that may wait for the network.
pub(super) struct Waits {
    which: Which,
    /// The folder in which it is saved; it is opened if that is nothing.
    folder: Option<PathBuf>,
}

enum Which {
    This(DocumentId),
    Nth(LogId, usize),
}

/// The effect, if it may wait for the network; else the effect as it was.
pub(super) fn beside(effect: Effect) -> Result<Waits, Box<Effect>> {
    let (which, folder) = match effect {
        Effect::Save(which) => (Which::This(which), Some(usual_folder())),
        Effect::SaveNth(log, number, folder) => {
            (Which::Nth(log, number), Some(folder.unwrap_or_else(usual_folder)))
        }
        Effect::Open(which) => (Which::This(which), None),
        Effect::OpenNth(log, number) => (Which::Nth(log, number), None),
        other => return Err(Box::new(other)),
    };
    Ok(Waits { which, folder })
}

impl Waits {
    pub(super) async fn carry_out(self, account: Account, later: mpsc::UnboundedSender<Event>) {
        let folder = self.folder.clone();
        let event = match (self.done(&account).await, folder) {
            (Ok(event), _) => event,
            (Err(AccountError::Document(DocumentError::Target(error))), Some(folder)) => {
                Event::NotSaved(folder, error.kind())
            }
            (Err(error), _) => Event::Failed(error.code()),
        };
        // Nobody listens any more when the client ends.
        let _ = later.send(event);
    }

    async fn done(self, account: &Account) -> Result<Event, AccountError> {
        let DocumentId { log, message_id, position } = match self.which {
            Which::This(which) => which,
            Which::Nth(log, number) => nth(account, log, number).await?,
        };
        Ok(match self.folder {
            Some(folder) => {
                Event::Saved(account.save_file_in(log, message_id, position, &folder).await?)
            }
            None => Event::Opened(account.open_file(log, message_id, position).await?),
        })
    }
}

/// The document of this number, counted from the newest, from one on.
async fn nth(account: &Account, log: LogId, number: usize) -> Result<DocumentId, AccountError> {
    let mut before = None;
    let mut passed = 0;
    loop {
        let page = account.documents(log, DocumentKind::All, before, 100).await?;
        if let Some(row) = page.rows.get(number - 1 - passed) {
            let (message_id, position) = (row.message_id, row.file.position);
            return Ok(DocumentId { log, message_id, position });
        }
        passed += page.rows.len();
        before = page.next;
        if before.is_none() {
            return Err(DocumentError::Missing.into());
        }
    }
}

/// The first of these that is no file or cannot be opened: a text behind the files was perhaps taken for one.
pub(super) async fn no_file(paths: &[PathBuf]) -> Option<PathBuf> {
    for path in paths {
        let opened = async { tokio::fs::File::open(path).await?.metadata().await };
        if !opened.await.is_ok_and(|file| file.is_file()) {
            return Some(path.clone());
        }
    }
    None
}

/// Where documents are saved unless somebody says otherwise: in the person's downloads, if there is such
/// a folder, else where the program was started.
fn usual_folder() -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    ["Downloads", "Download"]
        .map(|name| home.join(name))
        .into_iter()
        .find(|folder| !home.as_os_str().is_empty() && folder.is_dir())
        .unwrap_or_else(|| PathBuf::from("."))
}

/// Writes who has confirmed a message into the usual folder, as a table and as JSON; gives the table's
/// place. A list that is there already is not overwritten.
pub(super) async fn write_list(list: &Confirmations) -> Result<PathBuf, AccountError> {
    let folder = usual_folder();
    let name = format!("confirmed-{}", &list.message_id.to_string()[..12]);
    let (csv, json) = (list.to_csv(), list.to_json());
    let written = tokio::task::spawn_blocking(move || {
        for number in 1.. {
            let name = if number == 1 { name.clone() } else { format!("{name}-{number}") };
            let table = folder.join(format!("{name}.csv"));
            let create = |path: &Path, text: &str| {
                let mut file = File::options().write(true).create_new(true).open(path)?;
                file.write_all(text.as_bytes())
            };
            match create(&table, &csv) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
                Ok(()) => {}
            }
            std::fs::write(folder.join(format!("{name}.json")), &json)?;
            return Ok(table);
        }
        Err(ErrorKind::AlreadyExists.into())
    });
    let written = written.await.map_err(|_| AccountError::Folder)?;
    written.map_err(|_| AccountError::Folder)
}

/// Gives up what of a conversation is on its way, or one document of it. How many it were.
pub(super) async fn stop(account: &Account, which: Option<DocumentId>, log: LogId) -> usize {
    let mut stopped = 0;
    for transfer in account.transfers() {
        let DocumentId { message_id, position, .. } = transfer.document;
        if transfer.document.log != log || which.is_some_and(|which| which != transfer.document) {
            continue;
        }
        if transfer.is_upload {
            // Another document of the same message may have given it up already.
            let _ = account.give_up_upload(log, message_id).await;
        } else {
            account.stop_fetch(log, message_id, position);
        }
        stopped += 1;
    }
    stopped
}
