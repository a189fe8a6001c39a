//! The export folder: a part of the archive as files that need nobody's program.
//!
//! | file | what |
//! | --- | --- |
//! | `README.txt` | how to read the folder, for whoever finds it in ten years |
//! | `manifest.json` | what the folder is, and the SHA-256 of every other file |
//! | `company.log` | the company log |
//! | `logs/<log id>.log` | one file for each conversation |
//! | `checkpoint.note` | the signed checkpoint (C2SP tlog-checkpoint) |
//! | `proofs.cbor` | what ties the logs to the checkpoint |
//! | `documents/<log id>/<root>` | documents' ciphertexts, each under its tree hash |
//! | `people.json` | names, as far as the directory knew them; may be missing |
//!
//! A log file is the line `HAUSPOST-LOG-1` and then, for each entry, its length as u32 (big-endian)
//! and its bytes, the `ArchivedEntry` of `docs/protocol.md` §2. `docs/archive-format.md` is the
//! reference. A folder is written whole under another name and then renamed: what is there is
//! complete.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use hauspost_protocol::array_item;
use hauspost_protocol::crypto::sha256;
use hauspost_protocol::encoding::{Bytes, FormError, decode, encode};
use hauspost_protocol::entry::ArchivedEntry;
use hauspost_protocol::ids::{CompanyId, Digest, LogId, LogNo, Seq, TimeMs, UserId};
use hauspost_protocol::limits;
use hauspost_protocol::wire::Witnessed;
use serde::{Deserialize, Serialize};

use super::documents;

const MANIFEST: &str = "manifest.json";
const COMPANY_LOG: &str = "company.log";
const LOGS: &str = "logs";
const CHECKPOINT: &str = "checkpoint.note";
const PROOFS: &str = "proofs.cbor";
const PEOPLE: &str = "people.json";
const README: &str = "README.txt";

const FORMAT: &str = "hauspost-export-1";
const LOG_MAGIC: &[u8] = b"HAUSPOST-LOG-1\n";

/// The longest entry of a log file, in bytes: a commit's payload and what stands around it.
const MAX_ENTRY_BYTES: u32 = limits::COMMIT_PAYLOAD_BYTES as u32 + 64 * 1024;

/// Why an export cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder is there already and is never overwritten.
    #[error("{0} exists already; an export is never overwritten")]
    Exists(PathBuf),
    /// The folder is no export of this version.
    #[error("{path} is not an export: {reason}")]
    Form {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ExportError + '_ {
    move |source| ExportError::Io { path: path.to_owned(), source }
}

array_item! {
    /// What ties the logs to the checkpoint.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Proofs = 1 {
        /// The newest outer leaf that the checkpoint covers.
        pub outer_leaf: Bytes,
        /// Its inclusion in the outer tree; its position is size − 1.
        pub inclusion: Vec<Digest>,
        /// The place of each exported log in the heads tree of that leaf.
        pub heads: Vec<HeadPlace>,
        /// Older checkpoints with cosignatures of witnesses.
        pub witnessed: Vec<Witnessed>,
    }
}

array_item! {
    /// One log's place in the heads tree.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct HeadPlace {
        /// The log.
        pub log: LogId,
        /// The log's number, which is the leaf's position.
        pub position: LogNo,
        /// The heads leaf.
        pub leaf: Bytes,
        /// Its inclusion proof under heads_root.
        pub path: Vec<Digest>,
    }
}

/// What the folder says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The company.
    pub company: CompanyId,
    /// The pin by which whoever exported it knew the company.
    pub pin: Digest,
    /// When it was exported, Unix time in milliseconds.
    pub made_t_ms: TimeMs,
    /// The company entry `opening` under which payloads of records are in it.
    pub opening: Option<Seq>,
    /// Each file with its SHA-256 and its size in bytes.
    pub files: BTreeMap<String, (Digest, u64)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonManifest {
    format: String,
    company: String,
    pin: String,
    made_t_ms: TimeMs,
    opening: Option<u64>,
    files: Vec<JsonFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonFile {
    path: String,
    sha256: String,
    bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonPerson {
    user: String,
    name: String,
}

/// A part of the archive: what an export folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// What it says of itself; the list of files is filled when it is written or read.
    pub manifest: Manifest,
    /// The company log.
    pub company: Vec<ArchivedEntry>,
    /// The conversations.
    pub logs: BTreeMap<LogId, Vec<ArchivedEntry>>,
    /// The checkpoint's note.
    pub checkpoint: String,
    /// What ties the logs to it.
    pub proofs: Proofs,
    /// Documents whose bytes are those that their name says.
    pub documents: BTreeSet<(LogId, Digest)>,
    /// Names of people.
    pub people: BTreeMap<UserId, String>,
    /// Files whose bytes are not those that the manifest names, or that it does not name; found on reading.
    pub changed_files: Vec<ChangedFile>,
}

/// A file that is not as the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Its path in the folder.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Export {
    /// Writes the folder, whole or not at all. The documents are moved there from a folder of their
    /// own beside it, `fetched`, if there are any.
    pub fn write(&self, folder: &Path, fetched: Option<&Path>) -> Result<(), ExportError> {
        if folder.exists() {
            return Err(ExportError::Exists(folder.to_owned()));
        }
        let draft = folder.with_extension("partial");
        if draft.exists() {
            fs::remove_dir_all(&draft).map_err(io_error(&draft))?;
        }
        let logs = draft.join(LOGS);
        fs::create_dir_all(&logs).map_err(io_error(&logs))?;
        let mut files = BTreeMap::new();
        let mut put = |name: String, bytes: Vec<u8>| {
            let path = draft.join(&name);
            write_durably(&path, &bytes)?;
            files.insert(name, (sha256(&bytes), bytes.len() as u64));
            Ok(())
        };
        put(README.into(), README_TEXT.into())?;
        put(COMPANY_LOG.into(), log_file(&self.company))?;
        for (log, entries) in &self.logs {
            put(format!("{LOGS}/{log}.log"), log_file(entries))?;
        }
        put(CHECKPOINT.into(), self.checkpoint.clone().into_bytes())?;
        put(PROOFS.into(), encode(&self.proofs))?;
        if !self.people.is_empty() {
            put(PEOPLE.into(), people_file(&self.people))?;
        }
        if let Some(fetched) = fetched.filter(|fetched| fetched.exists()) {
            let documents = draft.join(documents::FOLDER);
            fs::rename(fetched, &documents).map_err(io_error(&documents))?;
            for (log, root) in documents::named(self).into_keys() {
                let name = documents::place(log, root);
                let path = draft.join(&name);
                if path.exists() {
                    files.insert(name, documents::measure(&path).map_err(io_error(&path))?);
                }
            }
        }
        let manifest = Manifest { files, ..self.manifest.clone() };
        write_durably(&draft.join(MANIFEST), &manifest.to_bytes())?;
        fs::rename(&draft, folder).map_err(io_error(folder))
    }

    /// Reads a folder. What can be read of a damaged one is there; what cannot is in `changed_files`.
    pub fn read(folder: &Path) -> Result<Self, ExportError> {
        let manifest = Manifest::read(folder)?;
        let mut reading = Reading { folder, manifest: &manifest, changed: Vec::new() };
        let company = reading.log(COMPANY_LOG);
        let (mut logs, mut documents) = (BTreeMap::new(), BTreeSet::new());
        for name in manifest.files.keys() {
            if let Some(place) = name.strip_prefix("documents/") {
                documents.extend(reading.document(name, place));
            }
            let id = name.strip_prefix("logs/").and_then(|name| name.strip_suffix(".log"));
            let Some(id) = id else { continue };
            match id.parse() {
                Ok(log) => {
                    logs.insert(log, reading.log(name));
                }
                Err(_) => reading.change(name, "its name is not the id of a log"),
            }
        }
        let checkpoint = reading
            .bytes(CHECKPOINT)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .unwrap_or_default();
        let proofs = reading.bytes(PROOFS).map(|bytes| decode::<Proofs>(&bytes));
        let proofs = match proofs {
            Some(Ok(proofs)) => proofs,
            Some(Err(error)) => {
                reading.change(PROOFS, &error.to_string());
                Proofs::none()
            }
            None => Proofs::none(),
        };
        let people =
            if manifest.files.contains_key(PEOPLE) { reading.people() } else { BTreeMap::new() };
        reading.bytes(README);
        let changed_files = reading.changed;
        Ok(Self { manifest, company, logs, checkpoint, proofs, documents, people, changed_files })
    }
}

impl Proofs {
    fn none() -> Self {
        Self {
            outer_leaf: Bytes::default(),
            inclusion: Vec::new(),
            heads: Vec::new(),
            witnessed: Vec::new(),
        }
    }
}

impl Manifest {
    fn to_bytes(&self) -> Vec<u8> {
        let json = JsonManifest {
            format: FORMAT.into(),
            company: self.company.to_string(),
            pin: self.pin.to_string(),
            made_t_ms: self.made_t_ms,
            opening: self.opening.map(|seq| seq.0),
            files: self
                .files
                .iter()
                .map(|(path, (sha256, bytes))| JsonFile {
                    path: path.clone(),
                    sha256: sha256.to_string(),
                    bytes: *bytes,
                })
                .collect(),
        };
        let mut text =
            serde_json::to_string_pretty(&json).expect("strings and lists have a JSON form");
        text.push('\n');
        text.into_bytes()
    }

    /// Reads a folder's manifest.
    pub fn read(folder: &Path) -> Result<Self, ExportError> {
        let path = folder.join(MANIFEST);
        let form = |reason: String| ExportError::Form { path: path.clone(), reason };
        let text = fs::read_to_string(&path).map_err(io_error(&path))?;
        let json: JsonManifest =
            serde_json::from_str(&text).map_err(|error| form(error.to_string()))?;
        if json.format != FORMAT {
            return Err(form(format!("its format is not {FORMAT}")));
        }
        let mut files = BTreeMap::new();
        for file in json.files {
            let inside =
                file.path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
            if !inside || file.path.contains('\\') {
                return Err(form("it names a file outside of the folder".into()));
            }
            let digest =
                parse_digest(&file.sha256).ok_or_else(|| form("a SHA-256 is not one".into()))?;
            files.insert(file.path, (digest, file.bytes));
        }
        Ok(Self {
            company: json.company.parse().map_err(|_| form("the company is not a UUID".into()))?,
            pin: parse_digest(&json.pin)
                .ok_or_else(|| form("the pin is not 32 bytes in hexadecimal".into()))?,
            made_t_ms: json.made_t_ms,
            opening: json.opening.map(Seq),
            files,
        })
    }
}

/// 32 bytes in hexadecimal.
pub fn parse_digest(text: &str) -> Option<Digest> {
    hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok()).map(Digest)
}

/// Reads a log file; the entries before a damaged place are given with the reason.
pub fn read_log(path: &Path) -> Result<(Vec<ArchivedEntry>, Option<String>), ExportError> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(io_error(path))?;
    Ok(parse_log(&bytes))
}

/// Writes a log file, over another one if it is there.
pub fn write_log(path: &Path, entries: &[ArchivedEntry]) -> Result<(), ExportError> {
    write_durably(path, &log_file(entries))
}

/// A log file's bytes.
pub fn log_file(entries: &[ArchivedEntry]) -> Vec<u8> {
    let mut bytes = LOG_MAGIC.to_vec();
    for entry in entries {
        let entry = encode(entry);
        let len = u32::try_from(entry.len()).expect("an entry is far below 4 GiB");
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&entry);
    }
    bytes
}

fn parse_log(bytes: &[u8]) -> (Vec<ArchivedEntry>, Option<String>) {
    let mut entries = Vec::new();
    let Some(mut rest) = bytes.strip_prefix(LOG_MAGIC) else {
        return (entries, Some("it does not begin as a log file does".into()));
    };
    while !rest.is_empty() {
        match parse_frame(rest) {
            Ok((entry, after)) => {
                entries.push(entry);
                rest = after;
            }
            Err(error) => {
                return (
                    entries.clone(),
                    Some(format!("item {} cannot be read: {error}", entries.len())),
                );
            }
        }
    }
    (entries, None)
}

fn parse_frame(bytes: &[u8]) -> Result<(ArchivedEntry, &[u8]), FormError> {
    let (len, rest) = bytes.split_first_chunk::<4>().ok_or(FormError::Malformed)?;
    let len = u32::from_be_bytes(*len);
    if len > MAX_ENTRY_BYTES {
        return Err(FormError::TooLarge);
    }
    let (entry, rest) = rest.split_at_checked(len as usize).ok_or(FormError::Malformed)?;
    Ok((decode(entry)?, rest))
}

fn people_file(people: &BTreeMap<UserId, String>) -> Vec<u8> {
    let people: Vec<_> = people
        .iter()
        .map(|(user, name)| JsonPerson { user: user.to_string(), name: name.clone() })
        .collect();
    serde_json::to_vec_pretty(&people).expect("strings and lists have a JSON form")
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(io_error(path))
}

struct Reading<'a> {
    folder: &'a Path,
    manifest: &'a Manifest,
    changed: Vec<ChangedFile>,
}

impl Reading<'_> {
    fn change(&mut self, path: &str, reason: &str) {
        self.changed.push(ChangedFile { path: path.to_owned(), reason: reason.to_owned() });
    }

    fn bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        let bytes = match fs::read(self.folder.join(name)) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.change(name, &error.to_string());
                return None;
            }
        };
        match self.manifest.files.get(name) {
            None => self.change(name, "the manifest does not name it"),
            Some((digest, _)) if *digest != sha256(&bytes) => {
                self.change(name, "its bytes are not those of the manifest")
            }
            Some(_) => {}
        }
        Some(bytes)
    }

    fn log(&mut self, name: &str) -> Vec<ArchivedEntry> {
        let Some(bytes) = self.bytes(name) else { return Vec::new() };
        let (entries, damage) = parse_log(&bytes);
        if let Some(reason) = damage {
            self.change(name, &reason);
        }
        entries
    }

    /// A document, if its bytes are those that manifest and name say.
    fn document(&mut self, name: &str, place: &str) -> Option<(LogId, Digest)> {
        let place = place.split_once('/');
        let place = place.and_then(|(log, root)| Some((log.parse().ok()?, parse_digest(root)?)));
        let Some((log, root)) = place else {
            self.change(name, "its name is not that of a document");
            return None;
        };
        let path = self.folder.join(name);
        let fault = match (documents::measure(&path), documents::root(&path)) {
            (Ok(measured), Ok(found)) => {
                let changed = self.manifest.files.get(name) != Some(&measured);
                match (changed, found == root) {
                    (false, true) => return Some((log, root)),
                    (true, _) => "its bytes are not those of the manifest".to_owned(),
                    (false, false) => "it is not the document of this name".to_owned(),
                }
            }
            (Err(error), _) | (_, Err(error)) => error.to_string(),
        };
        self.change(name, &fault);
        None
    }

    fn people(&mut self) -> BTreeMap<UserId, String> {
        let Some(bytes) = self.bytes(PEOPLE) else { return BTreeMap::new() };
        let people: Option<Vec<JsonPerson>> = serde_json::from_slice(&bytes).ok();
        let people = people.map(|people| {
            people
                .into_iter()
                .map(|person| person.user.parse().map(|user| (user, person.name)))
                .collect()
        });
        match people {
            Some(Ok(people)) => people,
            _ => {
                self.change(PEOPLE, "it is not a list of people");
                BTreeMap::new()
            }
        }
    }
}

const README_TEXT: &str = include_str!("readme.txt");

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use hauspost_protocol::entry::{Entry, Head, Kind, Payload};
    use hauspost_protocol::ids::{EntryHash, Epoch, Gen};

    /// A chain of `len` entries without meaning.
    pub(crate) fn chain(log: LogId, len: u64) -> Vec<ArchivedEntry> {
        let mut prev = EntryHash::ZERO;
        let mut entries = Vec::new();
        for seq in 0..len {
            let entry = Entry {
                head: encode(&Head::plain(Kind::Invite, log, Gen(0), Epoch(1))).into(),
                payload: Payload::Kept(Bytes(seq.to_be_bytes().to_vec())),
                seq: Seq(seq),
                t_ms: 1_000 * seq,
                co: 1,
            };
            let hash = entry.hash(prev);
            entries.push(ArchivedEntry { entry, prev });
            prev = hash;
        }
        entries
    }

    pub(crate) fn export() -> Export {
        let log = LogId([2; 16]);
        Export {
            manifest: Manifest {
                company: CompanyId([1; 16]),
                pin: Digest([9; 32]),
                made_t_ms: 5,
                opening: None,
                files: BTreeMap::new(),
            },
            company: chain(CompanyId([1; 16]).log(), 3),
            logs: BTreeMap::from([(log, chain(log, 6))]),
            checkpoint: "note\n".into(),
            proofs: Proofs {
                outer_leaf: Bytes(vec![1]),
                inclusion: vec![Digest([1; 32])],
                heads: vec![HeadPlace {
                    log,
                    position: LogNo(1),
                    leaf: Bytes(vec![2]),
                    path: Vec::new(),
                }],
                witnessed: Vec::new(),
            },
            documents: BTreeSet::new(),
            people: BTreeMap::from([(UserId([3; 16]), "Anna Berg".to_owned())]),
            changed_files: Vec::new(),
        }
    }

    #[test]
    fn an_export_reads_back_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export");
        let export = export();
        export.write(&path, None).unwrap();
        let mut read = Export::read(&path).unwrap();
        assert_eq!(read.manifest.files.len(), 6);
        read.manifest.files.clear();
        assert_eq!(read, export);
        assert!(matches!(export.write(&path, None), Err(ExportError::Exists(_))));
    }

    #[test]
    fn a_changed_a_missing_and_a_cut_file_are_named_and_the_rest_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export");
        export().write(&path, None).unwrap();
        fs::write(path.join(CHECKPOINT), "other\n").unwrap();
        fs::remove_file(path.join(PROOFS)).unwrap();
        let company = fs::read(path.join(COMPANY_LOG)).unwrap();
        fs::write(path.join(COMPANY_LOG), &company[..company.len() - 1]).unwrap();
        let read = Export::read(&path).unwrap();
        let changed: Vec<_> = read.changed_files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(changed, [COMPANY_LOG, COMPANY_LOG, CHECKPOINT, PROOFS]);
        assert_eq!(read.company.len(), 2);
        assert_eq!(read.logs, export().logs);
    }

    #[test]
    fn a_manifest_that_points_outside_of_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export");
        export().write(&path, None).unwrap();
        let manifest = fs::read_to_string(path.join(MANIFEST)).unwrap();
        fs::write(path.join(MANIFEST), manifest.replace("logs/", "../logs/")).unwrap();
        assert!(matches!(Export::read(&path), Err(ExportError::Form { .. })));
    }

    #[test]
    fn a_frame_that_claims_four_gigabytes_allocates_nothing() {
        let bytes = [LOG_MAGIC, &[0xff; 8]].concat();
        let (entries, damage) = parse_log(&bytes);
        assert!(entries.is_empty() && damage.is_some());
    }
}
