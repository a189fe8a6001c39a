//! Documents of an export: their ciphertexts as the server kept them, and, once their records are
//! opened, the very bytes that their authors sent.
//!
//! A document lies in the export as `documents/<log id>/<root>`, its chunks one after another. Its
//! name is the tree hash of its chunks, which the record's head names and the entry's hash covers; so
//! whether it is the right one shows without any key. What it says opens with the key in the record.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use hauspost_protocol::entry::{Head, Kind};
use hauspost_protocol::file::{FileCipher, Layout, Leaves, PlainHash, SEALED_CHUNK_BYTES};
use hauspost_protocol::ids::{Digest, LogId, Seq};
use hauspost_protocol::statement;
use hauspost_protocol::wire::path;

use super::export::{Export, ExportError};
use super::fetch::FetchError;
use crate::company::client::{Client, ClientError};

/// The folder of an export that holds them.
pub const FOLDER: &str = "documents";

/// A document that a record in an export names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The first record that names it.
    pub seq: Seq,
    /// The ciphertext's layout.
    pub layout: Layout,
}

/// The path of a document in an export.
pub fn place(log: LogId, root: Digest) -> String {
    format!("{FOLDER}/{log}/{root}")
}

/// The documents that an export should hold: those of the records that came with their payloads.
pub fn named(export: &Export) -> BTreeMap<(LogId, Digest), Named> {
    let mut named = BTreeMap::new();
    for (log, entries) in &export.logs {
        for entry in entries.iter().map(|archived| &archived.entry) {
            let released = entry.payload.bytes().and_then(|_| Head::parse(&entry.head).ok());
            for (root, size) in released
                .filter(|head| head.kind == Kind::Record)
                .iter()
                .flat_map(|head| &head.blobs)
            {
                if let Some(layout) = Layout::of_blob(*size) {
                    named.entry((*log, *root)).or_insert(Named { seq: entry.seq, layout });
                }
            }
        }
    }
    named
}

/// Why a document is not in an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// The server says that it has it not, or not whole any more.
    #[error("the server does not have it")]
    Missing,
    /// The server's answer ended before the document did.
    #[error("what the server gave is cut off")]
    Cut,
    /// The server gave other bytes.
    #[error("what the server gave is not what the record names")]
    Other,
}

/// A document that an export should hold and does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lacking {
    /// The conversation.
    pub log: LogId,
    /// The first record that names it.
    pub seq: Seq,
    /// The document.
    pub root: Digest,
    /// Why it is not there.
    pub why: Lack,
}

/// The server is given up after it broke off over so many documents in a row.
const BROKEN_OFF: usize = 3;

/// Fetches the documents of an export into a folder, each whole or not at all; which ones the server has
/// not, or not as their records name them. The rest is there: what a company still has is worth more the
/// more of it is lost.
pub async fn fetch(
    client: &Client,
    export: &Export,
    folder: &Path,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<Lacking>, FetchError> {
    fetch_by(async |place| client.bytes(path::ARCHIVE_BLOB, place).await, export, folder, progress)
        .await
}

async fn fetch_by(
    get: impl AsyncFn(&str) -> Result<Vec<u8>, ClientError>,
    export: &Export,
    folder: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<Vec<Lacking>, FetchError> {
    let Some(opening) = export.manifest.opening else { return Ok(Vec::new()) };
    let all = named(export);
    let total = all.len() as u64;
    let (mut lacking, mut broken_off) = (Vec::new(), 0);
    for (done, ((log, root), document)) in (1..).zip(all) {
        let path = folder.join(log.to_string()).join(root.to_string());
        let parent = path.parent().expect("a document lies in a folder");
        fs::create_dir_all(parent).map_err(io_error(parent))?;
        let mut file = File::create(&path).map_err(io_error(&path))?;
        let mut leaves = Leaves::default();
        let (mut why, mut ends) = (Lack::Other, None);
        for chunk in 0..document.layout.chunks() {
            let bytes = match get(&format!("/{opening}/{log}/{root}/{chunk}")).await {
                Ok(bytes) => bytes,
                Err(ClientError::Answer(_)) => break,
                Err(ClientError::Refused { status: 404 | 503, .. }) => {
                    why = Lack::Missing;
                    break;
                }
                Err(error) => {
                    broken_off += 1;
                    let may_go_on = matches!(error, ClientError::Unreachable { .. });
                    ends = (!may_go_on || broken_off == BROKEN_OFF).then_some(error);
                    why = Lack::Cut;
                    break;
                }
            };
            broken_off = 0;
            leaves.push(&bytes);
            let whole = document.layout.sealed_len(chunk);
            if whole.is_none_or(|whole| bytes.len() != whole) {
                why = if whole > Some(bytes.len()) { Lack::Cut } else { Lack::Other };
                break;
            }
            file.write_all(&bytes).map_err(io_error(&path))?;
        }
        if leaves.are_of(root, document.layout) {
            file.sync_all().map_err(io_error(&path))?;
        } else {
            fs::remove_file(&path).map_err(io_error(&path))?;
            lacking.push(Lacking { log, seq: document.seq, root, why });
        }
        if let Some(error) = ends {
            return Err(error.into());
        }
        progress(done, total);
    }
    Ok(lacking)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ExportError + '_ {
    move |source| ExportError::Io { path: path.to_owned(), source }
}

/// The tree hash of a stored document, read chunk by chunk.
pub fn root(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let (mut leaves, mut chunk) = (Leaves::default(), Vec::with_capacity(SEALED_CHUNK_BYTES));
    while next(&mut file, &mut chunk)? {
        leaves.push(&chunk);
    }
    Ok(leaves.root())
}

/// Reads the next chunk; none is left when it says so.
fn next(file: &mut File, chunk: &mut Vec<u8>) -> io::Result<bool> {
    chunk.clear();
    file.take(SEALED_CHUNK_BYTES as u64).read_to_end(chunk)?;
    Ok(!chunk.is_empty())
}

/// SHA-256 and size of a file, in memory of one piece.
pub fn measure(path: &Path) -> io::Result<(Digest, u64)> {
    let (mut file, mut hash, mut size) = (File::open(path)?, PlainHash::default(), 0);
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((hash.finish(), size));
        }
        hash.update(&piece[..read]);
        size += read as u64;
    }
}

/// Why a document of an export cannot be given out.
#[derive(Debug, thiserror::Error)]
pub enum DocumentFault {
    /// It is not there, or cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not what the record names.
    #[error("it is not the document that the record names")]
    Other,
    /// It opens to other bytes than its author signed.
    #[error("it does not open to what its author signed")]
    Content,
}

/// Opens a document of an export and writes what its author sent, byte for byte, into a new file
/// that only its owner may read. What does not verify leaves no file.
pub fn open(
    export: &Path,
    log: LogId,
    file: &statement::File,
    to: &Path,
) -> Result<(), DocumentFault> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let from = export.join(place(log, file.blob_root));
    // What stands there already is not touched, whatever becomes of this.
    let out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let written = write_opened(&from, log, file, out);
    if written.is_err() {
        let _ = fs::remove_file(to);
    }
    written
}

fn write_opened(
    from: &Path,
    log: LogId,
    file: &statement::File,
    mut out: File,
) -> Result<(), DocumentFault> {
    let layout = Layout::of_blob(file.blob_size).ok_or(DocumentFault::Other)?;
    let cipher = FileCipher::new(&file.key, log, layout);
    let mut stored = File::open(from)?;
    let (mut leaves, mut hash) = (Leaves::default(), PlainHash::default());
    let (mut chunk, mut number) = (Vec::with_capacity(SEALED_CHUNK_BYTES), 0);
    while next(&mut stored, &mut chunk)? {
        leaves.push(&chunk);
        cipher.open(number, &mut chunk).map_err(|_| DocumentFault::Other)?;
        hash.update(&chunk);
        out.write_all(&chunk)?;
        number += 1;
    }
    if !leaves.are_of(file.blob_root, layout) {
        return Err(DocumentFault::Other);
    }
    if hash.finish() != file.plain_hash {
        return Err(DocumentFault::Content);
    }
    Ok(out.sync_all()?)
}

/// Where a document is written out: unique by its record and place, and safe whatever it is called.
pub fn written_path(folder: &Path, seq: Seq, position: usize, name: &str) -> PathBuf {
    let before = format!("{seq}-{position}-");
    let name = hauspost_core::file::name::safe(name);
    // The number in front keeps the whole within what a file system takes.
    let mut from = (before.len() + name.len()).saturating_sub(255);
    while !name.is_char_boundary(from) {
        from += 1;
    }
    folder.join(format!("{before}{}", &name[from..]))
}

#[cfg(test)]
mod tests;
