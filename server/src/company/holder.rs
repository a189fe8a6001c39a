//! A holder's folder: the card and the keys of one person, or of one office.

use std::path::{Path, PathBuf};

use hauspost_protocol::archive_key::{ArchiveSeed, Share};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::SigningKey;
use hauspost_protocol::encoding::{Item, decode};
use hauspost_protocol::entry::Entry;
use hauspost_protocol::ids::{CompanyId, KeyId, Seq};
use hauspost_protocol::xwing::XWingSeed;
use rand::CryptoRng;

use super::card::{Card, CardError};
use super::client::{Client, ClientError};
use super::key_file::{KeyFile, KeyFileError, Purpose};
use super::sealed::{self, SealedError};

/// Why a holder cannot act.
#[derive(Debug, thiserror::Error)]
pub enum HolderError {
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The card.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A sealed share.
    #[error("{path}: {source}")]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why it does not open.
        source: SealedError,
    },
    /// The folder holds no key of the kind that is needed.
    #[error("{folder} holds no key for `{wanted}`")]
    NoKey {
        /// The folder.
        folder: PathBuf,
        /// What is needed.
        wanted: &'static str,
    },
    /// A key file belongs to another company than the card.
    #[error("{0} belongs to another company")]
    OtherCompany(PathBuf),
    /// A key file's secret is not what its purpose demands.
    #[error("{0} does not hold a key of this kind")]
    NotAKey(PathBuf),
    /// The company log that the server gave is not this company's.
    #[error("the server's company log is not the one of {company}: {reason}")]
    Log {
        /// The company on the card.
        company: CompanyId,
        /// What does not fit.
        reason: String,
    },
}

/// The purposes whose key opens a session, in the order in which they are looked for.
const SIGNERS: [Purpose; 4] = [Purpose::Admin, Purpose::Hr, Purpose::Officer, Purpose::Council];

/// A holder's folder.
#[derive(Debug)]
pub struct Holder {
    folder: PathBuf,
    /// What everybody may know of the company.
    pub card: Card,
}

impl Holder {
    /// Opens a holder's folder.
    pub fn open(folder: &Path) -> Result<Self, HolderError> {
        Ok(Self { folder: folder.to_owned(), card: Card::read(folder)? })
    }

    /// Whether the folder has a key for this purpose.
    pub fn has(&self, purpose: Purpose) -> bool {
        self.folder.join(purpose.file_name()).exists()
    }

    /// The signing key for this purpose.
    pub fn signing_key(&self, purpose: Purpose) -> Result<SigningKey, HolderError> {
        let (path, file) = self.key_file(purpose)?;
        let key = SigningKey::from_seed(file.seed().ok_or(HolderError::NotAKey(path.clone()))?);
        if key.public().id() == file.id { Ok(key) } else { Err(HolderError::NotAKey(path)) }
    }

    /// The key by which this holder signs: as admin, HR, officer or council.
    pub fn role_key(&self) -> Result<(Purpose, SigningKey), HolderError> {
        let purpose = SIGNERS.into_iter().find(|purpose| self.has(*purpose));
        let wanted = "a role that signs (admin, hr, officer, council)";
        let purpose = purpose.ok_or(HolderError::NoKey { folder: self.folder.clone(), wanted })?;
        Ok((purpose, self.signing_key(purpose)?))
    }

    /// The key that opens what is sealed to this holder.
    pub fn history_key(&self) -> Result<XWingSeed, HolderError> {
        let (path, file) = self.key_file(Purpose::History)?;
        file.seed().map(XWingSeed::new).ok_or(HolderError::NotAKey(path))
    }

    /// This officer's share of archive key A, and the id of that key.
    pub fn share(&self) -> Result<(KeyId, Share), HolderError> {
        self.unsealed(Purpose::ArchiveShareA)
    }

    /// This council member's copy of archive key B.
    pub fn council_seed(&self) -> Result<ArchiveSeed, HolderError> {
        let (_, seed) = self.unsealed(Purpose::ArchiveCopyB)?;
        Ok(ArchiveSeed::new(seed))
    }

    /// A client of the company's server with this holder's session; `server` takes the place of
    /// the card's address.
    pub async fn client(&self, server: Option<&str>) -> Result<Client, HolderError> {
        let (_, key) = self.role_key()?;
        let mut client = Client::new(server.unwrap_or(&self.card.server), &self.card.trust)?;
        client.sign_in(self.card.company, &key).await?;
        Ok(client)
    }

    /// The company as its log says, checked from the card's pin on.
    pub async fn company(
        &self,
        client: &Client,
        rng: &mut impl CryptoRng,
    ) -> Result<Company, HolderError> {
        self.company_log(client, rng).await.map(|(company, _)| company)
    }

    /// The company, and the entries of its log.
    pub async fn company_log(
        &self,
        client: &Client,
        rng: &mut impl CryptoRng,
    ) -> Result<(Company, Vec<Entry>), HolderError> {
        let entries = client.company_log(Seq(0)).await?;
        let log = |reason: String| HolderError::Log { company: self.card.company, reason };
        let mut company = Company::new(self.card.pin);
        company.apply_all(&entries, rng).map_err(|broken| log(broken.to_string()))?;
        if company.id() != Some(self.card.company) {
            return Err(log("it is empty".into()));
        }
        Ok((company, entries))
    }

    fn unsealed<T: Item>(&self, purpose: Purpose) -> Result<(KeyId, T), HolderError> {
        let (path, file) = self.key_file(purpose)?;
        let plain = sealed::open(&self.history_key()?, self.card.company, file.id, file.secret())
            .map_err(|source| HolderError::Sealed { path: path.clone(), source })?;
        let item = decode(&plain).map_err(|_| HolderError::NotAKey(path))?;
        Ok((file.id, item))
    }

    fn key_file(&self, purpose: Purpose) -> Result<(PathBuf, KeyFile), HolderError> {
        let path = self.folder.join(purpose.file_name());
        let file = KeyFile::read(&path, purpose)?;
        if file.company != self.card.company {
            return Err(HolderError::OtherCompany(path));
        }
        Ok((path, file))
    }
}
