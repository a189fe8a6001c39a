//! The founding ceremony: every key of the company, made away from its server.
//!
//! All keys and the whole request are written before anything is sent, under a name that says so
//! (`founding.cbor`), and the folder appears at once or not at all. A crash before that leaves a
//! draft that nobody used; a crash after it is resumed by the same command, which sends the same
//! bytes again. When the server has them, the file becomes `founded.cbor`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use hauspost_protocol::archive_key::ArchiveSeed;
use hauspost_protocol::company::body::{CompanyBody, Role, company_pin, history_key_hash};
use hauspost_protocol::company::entry::CompanyPayload;
use hauspost_protocol::company::founding::{Founders, Office, log_key};
use hauspost_protocol::company::policy::{GeneralPart, PolicyDocument, Terms, Zone};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::{SigningKey, hash};
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::entry::{Entry, Head, Kind, Payload};
use hauspost_protocol::ids::{CompanyId, Digest, Seq, TimeMs};
use hauspost_protocol::invitation::Trust;
use hauspost_protocol::wire::{Found, Hello, NewEntry};
use hauspost_protocol::xwing::XWingSeed;
use rand::CryptoRng;

use super::card::{self, Card};
use super::client::{Client, ClientError};
use super::key_file::{KeyFile, KeyFileError, Purpose, write_private};
use super::page::page;
use super::sealed;

/// Compliance officers, of whom two open the archive.
pub const OFFICERS: usize = 3;
/// Council members, of whom each holds archive key B.
pub const COUNCIL: usize = 2;

const PENDING: &str = "founding.cbor";
const DONE: &str = "founded.cbor";

/// Why a company is not founded.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// The server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The file system.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The company was founded from this folder.
    #[error("{0} holds the keys of a company that is founded already")]
    Done(PathBuf),
    /// The folder holds something else.
    #[error("{0} is not empty; keys are never written over something else")]
    NotEmpty(PathBuf),
    /// The server belongs to a company already.
    #[error("the server at {0} belongs to a company already")]
    ServerFounded(String),
    /// A founding was begun with another server.
    #[error(
        "{0} holds a founding that was begun with another server, or with an older data folder of it"
    )]
    OtherServer(PathBuf),
    /// The file of a founding that was begun cannot be read.
    #[error("{0} is damaged")]
    Damaged(PathBuf),
    /// The founding token is missing, or is none.
    #[error("the founding token is missing, or the file named holds something else")]
    NoToken,
    /// The entries do not make a company by our own rules.
    #[error("the founding is not valid: {0}")]
    Invalid(String),
}

/// What a founding needs to know.
#[derive(Debug, Clone)]
pub struct Founding<'a> {
    /// The company's name, for people.
    pub name: &'a str,
    /// By what the server's certificate is trusted.
    pub trust: Trust,
    /// The founding token, from the server's data folder; empty if it is gone, which a founding
    /// that the server already has can do without.
    pub token: &'a str,
    /// The folder for the keys; made here.
    pub keys: &'a Path,
}

/// A founded company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founded {
    /// Its id.
    pub company: CompanyId,
    /// What a phone is pinned at.
    pub pin: Digest,
    /// Whether a founding that was begun earlier was completed.
    pub resumed: bool,
    /// The holders, whose folders lie in the folder for the keys.
    pub holders: Vec<String>,
}

/// Founds the company, or completes a founding that was begun.
pub async fn found(
    client: &Client,
    founding: Founding<'_>,
    now_ms: TimeMs,
    rng: &mut impl CryptoRng,
) -> Result<Founded, FoundingError> {
    let keys = founding.keys;
    if keys.join(DONE).exists() {
        return Err(FoundingError::Done(keys.to_owned()));
    }
    let resumed = keys.join(PENDING).exists();
    if !resumed && keys.exists() && !is_empty(keys)? {
        return Err(FoundingError::NotEmpty(keys.to_owned()));
    }
    let hello = client.hello().await?;
    if !resumed {
        if hello.genesis.is_some() {
            return Err(FoundingError::ServerFounded(client.server().to_owned()));
        }
        let ceremony = Ceremony::hold(&hello, rng);
        ceremony.check(now_ms)?;
        ceremony.write(&founding, client.server())?;
    }
    let pending = keys.join(PENDING);
    let bytes = fs::read(&pending).map_err(io_error(&pending))?;
    let found: Found = decode(&bytes).map_err(|_| FoundingError::Damaged(pending.clone()))?;
    if !is_for(&found, &hello) {
        return Err(FoundingError::OtherServer(keys.to_owned()));
    }
    // A server that has this company's genesis has the founding: only its answer was lost.
    if hello.genesis.is_none() {
        client.found(one_line(founding.token).ok_or(FoundingError::NoToken)?, &bytes).await?;
    }
    fs::rename(&pending, keys.join(DONE)).map_err(io_error(&pending))?;
    let pin = pin_of(&found).ok_or(FoundingError::Damaged(pending))?;
    Ok(Founded { company: found.company, pin, resumed, holders: holder_names() })
}

/// A token as it stands in its file: one line.
fn one_line(token: &str) -> Option<&str> {
    let token = token.trim();
    (!token.is_empty() && token.chars().all(|c| c.is_ascii_graphic())).then_some(token)
}

/// The folders of a founding, in the order of the table of holders.
pub fn holder_names() -> Vec<String> {
    let offices = ["root", "admin", "hr", "retention"].map(str::to_owned);
    let officers = (1..=OFFICERS).map(|number| format!("officer-{number}"));
    let council = (1..=COUNCIL).map(|number| format!("council-{number}"));
    offices.into_iter().chain(officers).chain(council).collect()
}

/// A person with a signing key and a history key.
struct Member {
    signing: SigningKey,
    history: XWingSeed,
}

impl Member {
    fn random(rng: &mut impl CryptoRng) -> Self {
        Self { signing: SigningKey::random(rng), history: XWingSeed::random(rng) }
    }

    fn office(&self, role: Role) -> Office<'_> {
        let history_key = Some(history_key_hash(&self.history.public().to_bytes()));
        Office { history_key, ..Office::new(&self.signing, role) }
    }
}

/// Everything that a founding makes, in memory.
pub(crate) struct Ceremony {
    pub(crate) company: CompanyId,
    root: SigningKey,
    /// Each holder's key files.
    files: Vec<(String, Vec<KeyFile>)>,
    /// The holders' public history keys.
    history_keys: Vec<(String, Vec<u8>)>,
    pub(crate) entries: Vec<NewEntry>,
}

impl Ceremony {
    pub(crate) fn hold(server: &Hello, rng: &mut impl CryptoRng) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let company = CompanyId::from_random(id);
        let [root, authority, admin, hr, retention] =
            std::array::from_fn(|_| SigningKey::random(rng));
        let officers: [Member; OFFICERS] = std::array::from_fn(|_| Member::random(rng));
        let council: [Member; COUNCIL] = std::array::from_fn(|_| Member::random(rng));
        let (a, b) = (ArchiveSeed::random(rng), ArchiveSeed::random(rng));
        let shares = a.split(rng);

        let of = |purpose, holder: &str, key: &SigningKey| {
            KeyFile::of_signing_key(purpose, holder, company, key)
        };
        let mut files = vec![
            ("root".to_owned(), vec![of(Purpose::Root, "root", &root)]),
            (
                "admin".to_owned(),
                vec![
                    of(Purpose::Admin, "admin", &admin),
                    of(Purpose::EnrolmentAuthority, "admin", &authority),
                ],
            ),
            ("hr".to_owned(), vec![of(Purpose::Hr, "hr", &hr)]),
            ("retention".to_owned(), vec![of(Purpose::Retention, "retention", &retention)]),
        ];
        let mut history_keys = Vec::new();
        let mut add =
            |holder: String, purpose, member: &Member, sealed: (Purpose, &ArchiveSeed, Vec<u8>)| {
                let public = member.history.public().to_bytes();
                let history_id = hauspost_protocol::company::body::archive_key_id(&public);
                let history = member.history.seed().expose().to_vec();
                let (share_purpose, key, share) = sealed;
                let keys = vec![
                    of(purpose, &holder, &member.signing),
                    KeyFile::new(Purpose::History, &holder, company, history_id, history),
                    KeyFile::new(share_purpose, &holder, company, key.id(), share),
                ];
                history_keys.push((holder.clone(), public.to_vec()));
                files.push((holder, keys));
            };
        for (i, (member, share)) in officers.iter().zip(&shares).enumerate() {
            let sealed = sealed::seal(&member.history.public(), company, a.id(), share, rng);
            add(
                format!("officer-{}", i + 1),
                Purpose::Officer,
                member,
                (Purpose::ArchiveShareA, &a, sealed),
            );
        }
        for (i, member) in council.iter().enumerate() {
            let sealed = sealed::seal(&member.history.public(), company, b.id(), b.seed(), rng);
            add(
                format!("council-{}", i + 1),
                Purpose::Council,
                member,
                (Purpose::ArchiveCopyB, &b, sealed),
            );
        }

        let mut offices = vec![
            Office::new(&admin, Role::Admin),
            Office::new(&hr, Role::Hr),
            Office::new(&retention, Role::Retention),
        ];
        offices.extend(officers.iter().map(|member| member.office(Role::Officer)));
        offices.extend(council.iter().map(|member| member.office(Role::Council)));
        let share_hashes = shares.iter().map(|share| share.hash()).collect();
        let copy_hash = Digest(hash("hauspost/1 share", b.seed().expose()));
        let founders = Founders {
            company,
            root: &root,
            authority: authority.public(),
            offices,
            archive: [(a.public(), share_hashes), (b.public(), vec![copy_hash])],
            policy: Some(first_policy()),
        };
        let entries = founders.entries(server);
        Self { company, root, files, history_keys, entries }
    }

    /// Judges the entries as every phone will.
    fn check(&self, now_ms: TimeMs) -> Result<(), FoundingError> {
        let mut company = Company::new(company_pin(&self.root.public()));
        for (seq, (head, payload)) in (0..).zip(&self.entries) {
            let payload = Payload::Kept(payload.clone());
            let entry = Entry { head: head.clone(), payload, seq: Seq(seq), t_ms: now_ms, co: seq };
            let applied =
                company.apply(&entry).map_err(|error| FoundingError::Invalid(error.to_string()))?;
            if let Some(finding) = applied.finding() {
                return Err(FoundingError::Invalid(format!("entry {seq}: {finding}")));
            }
        }
        Ok(())
    }

    /// Writes all folders under another name, and then gives them theirs.
    pub(crate) fn write(&self, founding: &Founding<'_>, server: &str) -> Result<(), FoundingError> {
        let keys = founding.keys;
        let draft = keys.with_extension("partial");
        // A draft was never used: its keys were sent to nobody.
        if draft.exists() {
            fs::remove_dir_all(&draft).map_err(io_error(&draft))?;
        }
        create_private_dir(&draft)?;
        let pin = company_pin(&self.root.public());
        let card = Card {
            name: founding.name.to_owned(),
            company: self.company,
            pin,
            server: server.to_owned(),
            trust: founding.trust.clone(),
            history_keys: self.history_keys.clone(),
        };
        for (holder, files) in &self.files {
            let folder = draft.join(holder);
            create_private_dir(&folder)?;
            for file in files {
                file.write(&folder)?;
            }
            write_private(&folder.join(card::FILE_NAME), card.to_text().as_bytes())?;
            write_private(
                &folder.join("page.html"),
                page(founding.name, pin, holder, files).as_bytes(),
            )?;
            sync_dir(&folder)?;
        }
        let found =
            Found { company: self.company, entries: self.entries.clone(), people: Vec::new() };
        write_private(&draft.join(PENDING), &encode(&found))?;
        sync_dir(&draft)?;
        if keys.exists() {
            fs::remove_dir(keys).map_err(io_error(keys))?;
        }
        fs::rename(&draft, keys).map_err(io_error(keys))?;
        sync_dir(
            keys.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")),
        )
    }
}

/// The first policy: a handover needs the council, and everything that could watch people is off
/// because nothing turns it on.
fn first_policy() -> PolicyDocument {
    let general = GeneralPart { zone: Some(Zone::berlin()), ..GeneralPart::default() };
    PolicyDocument::of(&Terms { general, ..Terms::default() })
}

/// Whether the founding certifies the keys of this very server.
fn is_for(found: &Found, hello: &Hello) -> bool {
    let names_server = |(head, payload): &NewEntry| {
        let Ok(Head { kind, .. }) = Head::parse(head) else { return false };
        let Ok(payload) = CompanyPayload::parse(kind, payload) else { return false };
        match CompanyBody::parse(kind, &payload.body) {
            Ok(CompanyBody::IssuingKey(body)) => body.key.0 == hello.issuing_key,
            Ok(CompanyBody::LogKey(body)) => body == log_key(hello),
            _ => false,
        }
    };
    let same_company = hello.genesis.as_ref().is_none_or(|genesis| {
        found.entries.first().is_some_and(|(head, payload)| {
            genesis.head == *head && genesis.payload.bytes() == Some(payload.as_ref())
        })
    });
    same_company && found.entries.iter().filter(|entry| names_server(entry)).count() == 2
}

fn pin_of(found: &Found) -> Option<Digest> {
    let (_, payload) = found.entries.first()?;
    let payload = CompanyPayload::parse(Kind::Genesis, payload).ok()?;
    match CompanyBody::parse(Kind::Genesis, &payload.body) {
        Ok(CompanyBody::Genesis(genesis)) => Some(company_pin(&genesis.root)),
        _ => None,
    }
}

fn is_empty(folder: &Path) -> Result<bool, FoundingError> {
    Ok(fs::read_dir(folder).map_err(io_error(folder))?.next().is_none())
}

fn create_private_dir(path: &Path) -> Result<(), FoundingError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(io_error(path))
}

fn sync_dir(path: &Path) -> Result<(), FoundingError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(io_error(path))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> FoundingError + '_ {
    move |source| FoundingError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use hauspost_protocol::encoding::Bytes;

    use super::*;
    use crate::company::holder::{Holder, HolderError};
    use hauspost_protocol::archive_key::combine;
    use hauspost_protocol::crypto::Secret;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    fn hello(byte: u8) -> Hello {
        let key = |byte| SigningKey::from_seed(Secret::new([byte; 32])).public().0;
        Hello {
            genesis: None,
            issuing_key: key(byte),
            log_key: key(byte + 1),
            log_key_pq: Bytes(vec![byte; 1312]),
            t_ms: 1,
        }
    }

    fn founded() -> (tempfile::TempDir, PathBuf, Ceremony) {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let ceremony = Ceremony::hold(&hello(1), &mut StdRng::seed_from_u64(1));
        let founding =
            Founding { name: "Muster GmbH", trust: Trust::PublicRoots, token: "t", keys: &keys };
        ceremony.write(&founding, "https://localhost").unwrap();
        (folder, keys, ceremony)
    }

    #[test]
    fn every_founding_entry_counts_by_the_rules_of_the_company_log() {
        Ceremony::hold(&hello(1), &mut StdRng::seed_from_u64(1)).check(5).unwrap();
    }

    #[test]
    fn two_officers_folders_rebuild_key_a_and_a_council_folder_holds_key_b() {
        let (_folder, keys, ceremony) = founded();
        let mut company = Company::new(company_pin(&ceremony.root.public()));
        for (seq, (head, payload)) in (0..).zip(&ceremony.entries) {
            let payload = Payload::Kept(payload.clone());
            company
                .apply(&Entry { head: head.clone(), payload, seq: Seq(seq), t_ms: 1, co: seq })
                .unwrap();
        }
        let (a, b) = company.now().archive_keys().unwrap();
        let share = |name: &str| Holder::open(&keys.join(name)).unwrap().share().unwrap().1;
        let seed = combine(&[share("officer-1"), share("officer-3")], &a.key, &a.shares).unwrap();
        assert_eq!(seed.id(), a.id);
        for name in ["council-1", "council-2"] {
            let holder = Holder::open(&keys.join(name)).unwrap();
            assert_eq!(holder.council_seed().unwrap().id(), b.id);
            assert_eq!(holder.role_key().unwrap().0, Purpose::Council);
        }
    }

    #[test]
    fn a_share_does_not_open_with_another_holders_key() {
        let (_folder, keys, _) = founded();
        let file = Purpose::ArchiveShareA.file_name();
        fs::copy(keys.join("officer-2").join(&file), keys.join("officer-1").join(&file)).unwrap();
        let refused = Holder::open(&keys.join("officer-1")).unwrap().share();
        assert!(matches!(refused, Err(HolderError::Sealed { .. })));
    }

    #[test]
    fn no_folder_holds_another_holders_secret() {
        let (_folder, keys, ceremony) = founded();
        for (holder, files) in &ceremony.files {
            for (other, _) in ceremony.files.iter().filter(|(other, _)| other != holder) {
                for entry in fs::read_dir(keys.join(other)).unwrap() {
                    let text = fs::read_to_string(entry.unwrap().path()).unwrap();
                    for file in files {
                        let line = file.to_text().lines().nth(5).unwrap().to_owned();
                        assert!(!text.contains(&line), "{other} holds {file:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_pending_founding_fits_its_own_server_only() {
        let (_folder, keys, _) = founded();
        let found: Found = decode(&fs::read(keys.join(PENDING)).unwrap()).unwrap();
        assert!(is_for(&found, &hello(1)));
        assert!(!is_for(&found, &hello(5)));
        let (head, payload) = found.entries[0].clone();
        let genesis = Entry { head, payload: Payload::Kept(payload), seq: Seq(0), t_ms: 1, co: 0 };
        assert!(is_for(&found, &Hello { genesis: Some(genesis.clone()), ..hello(1) }));
        let other = Entry { payload: Payload::Kept(Bytes(vec![1])), ..genesis };
        assert!(!is_for(&found, &Hello { genesis: Some(other), ..hello(1) }));
    }
}
