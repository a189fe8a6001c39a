//! Key files: one secret of one holder, as a text that a person can recognise, copy and print.
//!
//! ```text
//! HAUSPOST KEY 1
//! purpose: officer
//! holder: officer-1
//! company: 0b0ae9f2-…
//! id: 4f1c…                         of the public half: hexadecimal, 16 bytes; of a share: of its archive key
//! secret: q83v…                     base64url without padding
//! check: 9b64f1…                    the first 8 bytes of SHA-256 over all bytes before this line, hexadecimal
//! ```
//!
//! Lines end with one line feed; the order is fixed and nothing else stands in the file. The check
//! finds a slip of a hand that typed the page in; it keeps nothing secret. Files have mode 600.
//! `docs/archive-format.md` describes the format for those who have to read it without us.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hauspost_protocol::crypto::{Secret, SigningKey, sha256};
use hauspost_protocol::ids::{CompanyId, KeyId};
use zeroize::Zeroizing;

const TITLE: &str = "HAUSPOST KEY 1";

/// The largest key file that is read, in bytes; a sealed share is about 2 kB.
const MAX_FILE_BYTES: u64 = 16 * 1024;

/// What a secret is for. One that serves one purpose is refused for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// The company's root: signs issuing keys, log keys and roles.
    Root,
    /// Vouches for invitations.
    EnrolmentAuthority,
    /// Signs as admin.
    Admin,
    /// Signs as HR (Personalabteilung).
    Hr,
    /// Signs expiries of retention periods (Aufbewahrungsfristen).
    Retention,
    /// Signs as compliance officer.
    Officer,
    /// Signs as works council (Betriebsrat).
    Council,
    /// Opens what is sealed to its holder.
    History,
    /// One of three shares of archive key A, sealed to its holder.
    ArchiveShareA,
    /// A copy of archive key B, sealed to its holder.
    ArchiveCopyB,
}

impl Purpose {
    const ALL: [(Self, &'static str); 10] = [
        (Self::Root, "root"),
        (Self::EnrolmentAuthority, "enrolment-authority"),
        (Self::Admin, "admin"),
        (Self::Hr, "hr"),
        (Self::Retention, "retention"),
        (Self::Officer, "officer"),
        (Self::Council, "council"),
        (Self::History, "history"),
        (Self::ArchiveShareA, "archive-share-a"),
        (Self::ArchiveCopyB, "archive-copy-b"),
    ];

    /// Its word in the file.
    pub fn word(self) -> &'static str {
        let (_, word) =
            Self::ALL.iter().find(|(purpose, _)| *purpose == self).expect("all are listed");
        word
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, listed)| *listed == word).map(|(purpose, _)| *purpose)
    }

    /// The name of its file in a holder's folder.
    pub fn file_name(self) -> String {
        match self {
            Self::ArchiveShareA => "archive-a.share".into(),
            Self::ArchiveCopyB => "archive-b.share".into(),
            _ => format!("{}.key", self.word()),
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file exists already and is never overwritten.
    #[error("{0} exists already; a key file is never overwritten")]
    Exists(PathBuf),
    /// The bytes are no key file.
    #[error("{path} is not a key file: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// Which line is wrong.
        reason: &'static str,
    },
    /// The check line does not fit the lines above it.
    #[error("{0}: a character is wrong (the check line does not fit)")]
    Check(PathBuf),
    /// Another key than the one asked for.
    #[error("{path} holds a key for `{found}`, but one for `{wanted}` is needed here")]
    Purpose {
        /// The file.
        path: PathBuf,
        /// What it is for.
        found: Purpose,
        /// What is needed.
        wanted: Purpose,
    },
}

/// One secret of one holder.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// What it is for.
    pub purpose: Purpose,
    /// Whose it is: the name of the holder's folder, such as `officer-1`.
    pub holder: String,
    /// The company that it belongs to.
    pub company: CompanyId,
    /// The id of the public half.
    pub id: KeyId,
    secret: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile({}, {}, {})", self.purpose, self.holder, self.id)
    }
}

impl KeyFile {
    /// A key file of these parts; `secret` is moved in and erased when it goes away.
    pub fn new(
        purpose: Purpose,
        holder: &str,
        company: CompanyId,
        id: KeyId,
        secret: Vec<u8>,
    ) -> Self {
        Self { purpose, holder: holder.into(), company, id, secret: Zeroizing::new(secret) }
    }

    /// The file of a signing key.
    pub fn of_signing_key(
        purpose: Purpose,
        holder: &str,
        company: CompanyId,
        key: &SigningKey,
    ) -> Self {
        Self::new(purpose, holder, company, key.public().id(), key.seed().expose().to_vec())
    }

    /// The secret's bytes. Do not copy them further than needed.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The secret as a seed of 32 bytes, if it is one.
    pub fn seed(&self) -> Option<Secret> {
        self.secret.as_slice().try_into().ok().map(Secret::new)
    }

    /// The file's text.
    pub fn to_text(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(self.secret()));
        let mut text = Zeroizing::new(String::with_capacity(256 + secret.len()));
        for part in [
            TITLE,
            "\npurpose: ",
            self.purpose.word(),
            "\nholder: ",
            &self.holder,
            "\ncompany: ",
            &self.company.to_string(),
            "\nid: ",
            &self.id.to_string(),
            "\nsecret: ",
            &secret,
            "\n",
        ] {
            text.push_str(part);
        }
        let check = check(&text);
        text.push_str(&format!("check: {check}\n"));
        text
    }

    /// Reads a file's text; `path` is only named in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, KeyFileError> {
        let form = |reason| KeyFileError::Form { path: path.to_owned(), reason };
        let mut lines = text.split('\n');
        if lines.next() != Some(TITLE) {
            return Err(form("its first line is not `HAUSPOST KEY 1`"));
        }
        let mut field = |name: &'static str, reason| {
            lines
                .next()
                .and_then(|line| line.strip_prefix(name))
                .and_then(|line| line.strip_prefix(": "))
                .ok_or(form(reason))
        };
        let purpose = field("purpose", "the second line does not say the purpose")?;
        let holder = field("holder", "the third line does not say the holder")?;
        let company = field("company", "the fourth line does not say the company")?;
        let id = field("id", "the fifth line does not say the id")?;
        let secret = field("secret", "the sixth line does not hold the secret")?;
        let found_check = field("check", "the last line does not hold the check")?;
        if lines.next() != Some("") || lines.next().is_some() {
            return Err(form("something follows the check line"));
        }
        let covered = &text[..text.len() - "check: \n".len() - found_check.len()];
        if check(covered) != found_check {
            return Err(KeyFileError::Check(path.to_owned()));
        }
        let id = hex::decode(id).ok().and_then(|id| id.try_into().ok());
        Ok(Self {
            purpose: Purpose::from_word(purpose)
                .ok_or(form("a purpose that this version does not know"))?,
            holder: holder.to_owned(),
            company: company.parse().map_err(|_| form("the company is not a UUID"))?,
            id: KeyId(id.ok_or(form("the id is not 16 bytes in hexadecimal"))?),
            secret: Zeroizing::new(
                URL_SAFE_NO_PAD.decode(secret).map_err(|_| form("the secret is not base64url"))?,
            ),
        })
    }

    /// Reads a key file of the purpose asked for.
    pub fn read(path: &Path, wanted: Purpose) -> Result<Self, KeyFileError> {
        let io = |source| KeyFileError::Io { path: path.to_owned(), source };
        if fs::metadata(path).map_err(io)?.len() > MAX_FILE_BYTES {
            return Err(KeyFileError::Form { path: path.to_owned(), reason: "it is too large" });
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
        let file = Self::parse(&text, path)?;
        if file.purpose != wanted {
            return Err(KeyFileError::Purpose {
                path: path.to_owned(),
                found: file.purpose,
                wanted,
            });
        }
        Ok(file)
    }

    /// Writes the file into a holder's folder, readable for its owner only; returns its path.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, KeyFileError> {
        let path = folder.join(self.purpose.file_name());
        write_private(&path, self.to_text().as_bytes())?;
        Ok(path)
    }
}

/// Writes a new file that only its owner may read, and waits until the disk has it.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), KeyFileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let wrapped = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_owned()),
        _ => KeyFileError::Io { path: path.to_owned(), source },
    };
    let mut file = options.open(path).map_err(wrapped)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(wrapped)
}

fn check(covered: &str) -> String {
    hex::encode(&sha256(covered.as_bytes()).0[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> KeyFile {
        let key = SigningKey::from_seed(Secret::new([7; 32]));
        KeyFile::of_signing_key(
            Purpose::Officer,
            "officer-1",
            CompanyId::from_random([1; 16]),
            &key,
        )
    }

    #[test]
    fn a_key_file_reads_back_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = example().write(folder.path()).unwrap();
        assert_eq!(KeyFile::read(&path, Purpose::Officer).unwrap(), example());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn every_changed_character_is_found() {
        let text = example().to_text();
        for at in 0..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(KeyFile::parse(&changed, Path::new("k")).is_err(), "at {at}");
        }
        assert!(KeyFile::parse(&text[..text.len() - 1], Path::new("k")).is_err());
        assert!(KeyFile::parse(&format!("{}\n", *text), Path::new("k")).is_err());
    }

    #[test]
    fn a_key_for_one_purpose_is_refused_for_another_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = example().write(folder.path()).unwrap();
        let wrong = KeyFile::read(&path, Purpose::Root);
        assert!(matches!(wrong, Err(KeyFileError::Purpose { found: Purpose::Officer, .. })));
        assert!(matches!(example().write(folder.path()), Err(KeyFileError::Exists(_))));
    }

    #[test]
    fn a_secret_shows_in_no_debug_text() {
        let secret = URL_SAFE_NO_PAD.encode(example().secret());
        assert!(!format!("{:?}", example()).contains(&secret));
    }
}
