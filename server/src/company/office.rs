//! What the root signs after the founding: witnesses, and new keys of checkpoints.
//!
//! The root has no session at the server. An admin brings the entry there; what counts is the
//! root's signature on it.

use hauspost_protocol::company::body::{CompanyBody, LogKeyEntry, WitnessEntry};
use hauspost_protocol::company::entry::company_entry;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::PublicKey;
use hauspost_protocol::ids::Seq;
use hauspost_protocol::tree::checkpoint::parse_verifier_key;
use hauspost_protocol::wire::{NextLogKey, path};
use rand::CryptoRng;

use super::client::{Client, ClientError};
use super::holder::{Holder, HolderError};
use super::key_file::Purpose;

/// Why the root's word was not written down.
#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    /// Keys, or the company log.
    #[error(transparent)]
    Holder(#[from] HolderError),
    /// The server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Root and admin are of two companies.
    #[error("the root's folder belongs to another company than the admin's")]
    OtherCompany,
    /// Not a witness's verifier key.
    #[error("that is no verifier key of a witness; `hauspost witness init` prints it")]
    VerifierKey,
    /// No witness of this name is active.
    #[error("there is no active witness `{0}`")]
    NoWitness(String),
    /// Another witness has this name.
    #[error("there is a witness `{0}` already, with another key; end it first")]
    NameTaken(String),
}

/// The admin who brings it and the root who signs it.
pub struct Office<'a> {
    /// The admin.
    pub admin: &'a Holder,
    /// The admin's session.
    pub client: &'a Client,
    /// The root.
    pub root: &'a Holder,
}

impl Office<'_> {
    /// Names a witness by its verifier key (C2SP signed-note); its name and the entry's number.
    pub async fn add_witness(
        &self,
        verifier_key: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<(String, Seq), OfficeError> {
        let (name, key) = parse_verifier_key(verifier_key).ok_or(OfficeError::VerifierKey)?;
        let company = self.admin.company(self.client, rng).await?;
        if company.now().witnesses().any(|known| known.name == name && known.key != key) {
            return Err(OfficeError::NameTaken(name));
        }
        let body = WitnessEntry { seen: company.newest(), name: name.clone(), key, active: true };
        Ok((name, self.append(body.into()).await?))
    }

    /// Ends a witness by its name; the entry's number.
    pub async fn end_witness(
        &self,
        name: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<Seq, OfficeError> {
        let company = self.admin.company(self.client, rng).await?;
        let known = company.now().witnesses().find(|known| known.name == name);
        let known = known.ok_or_else(|| OfficeError::NoWitness(name.to_owned()))?;
        let (name, key) = (known.name.clone(), known.key.clone());
        self.append(WitnessEntry { seen: company.newest(), name, key, active: false }.into()).await
    }

    /// Lets the server draw new keys for checkpoints and names them; the company before it, and the
    /// entry's number.
    ///
    /// After a crash the same command names the same keys.
    pub async fn rotate_log_key(
        &self,
        rng: &mut impl CryptoRng,
    ) -> Result<(Company, Seq), OfficeError> {
        let next: NextLogKey = self.client.post(path::LOG_KEY, &Vec::<u64>::new()).await?;
        let company = self.admin.company(self.client, rng).await?;
        let NextLogKey { ed25519, ml_dsa } = next;
        let body = LogKeyEntry { seen: company.newest(), ed25519: PublicKey(ed25519), ml_dsa };
        let seq = self.append(body.into()).await?;
        Ok((company, seq))
    }

    async fn append(&self, body: CompanyBody) -> Result<Seq, OfficeError> {
        let company = self.admin.card.company;
        if self.root.card.company != company {
            return Err(OfficeError::OtherCompany);
        }
        let key = self.root.signing_key(Purpose::Root)?;
        Ok(self.client.append(company.log(), company_entry(company, body, &[&key])).await?)
    }
}
