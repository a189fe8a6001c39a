//! The company's card: what everybody may know, in a file beside each holder's keys.
//!
//! `company.json` names the company and its pin, where the server is and by what its certificate is
//! trusted, and the public keys of the holders. The keys in it are only a convenience: before one
//! is used to seal something, its hash is compared with the company log's, which the pin anchors.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{CompanyId, Digest};
use hauspost_protocol::invitation::Trust;
use serde::{Deserialize, Serialize};

/// The card's name in a holder's folder.
pub const FILE_NAME: &str = "company.json";

const FORMAT: &str = "hauspost-company-1";

/// Why a card cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not a card of this version.
    #[error("{path} is not a company card: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What everybody may know of a company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The company's name, for people.
    pub name: String,
    /// Its id.
    pub company: CompanyId,
    /// `H("hauspost/1 root", root pk)`.
    pub pin: Digest,
    /// Where the server is.
    pub server: String,
    /// By what its certificate is trusted.
    pub trust: Trust,
    /// The holders of history keys: folder name and X-Wing public key, 1,216 bytes.
    pub history_keys: Vec<(String, Vec<u8>)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    format: String,
    name: String,
    company: String,
    pin: String,
    server: String,
    /// DER in base64url; null = the public roots.
    company_ca: Option<String>,
    history_keys: Vec<JsonHistoryKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonHistoryKey {
    holder: String,
    key: String,
}

impl Card {
    /// The card's text.
    pub fn to_text(&self) -> String {
        let json = Json {
            format: FORMAT.into(),
            name: self.name.clone(),
            company: self.company.to_string(),
            pin: self.pin.to_string(),
            server: self.server.clone(),
            company_ca: match &self.trust {
                Trust::PublicRoots => None,
                Trust::CompanyCa(der) => Some(URL_SAFE_NO_PAD.encode(&**der)),
            },
            history_keys: self
                .history_keys
                .iter()
                .map(|(holder, key)| JsonHistoryKey {
                    holder: holder.clone(),
                    key: URL_SAFE_NO_PAD.encode(key),
                })
                .collect(),
        };
        let mut text =
            serde_json::to_string_pretty(&json).expect("strings and lists have a JSON form");
        text.push('\n');
        text
    }

    /// Reads a card's text; `path` is only named in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, CardError> {
        let form =
            |reason: &str| CardError::Form { path: path.to_owned(), reason: reason.to_owned() };
        let json: Json = serde_json::from_str(text).map_err(|error| form(&error.to_string()))?;
        if json.format != FORMAT {
            return Err(form("it is of another version"));
        }
        let bytes =
            |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| form("a key is not base64url"));
        let pin = hex::decode(&json.pin).ok().and_then(|pin| pin.try_into().ok());
        Ok(Self {
            name: json.name,
            company: json.company.parse().map_err(|_| form("the company is not a UUID"))?,
            pin: Digest(pin.ok_or(form("the pin is not 32 bytes in hexadecimal"))?),
            server: json.server,
            trust: match json.company_ca {
                None => Trust::PublicRoots,
                Some(der) => Trust::CompanyCa(Bytes(bytes(&der)?)),
            },
            history_keys: json
                .history_keys
                .into_iter()
                .map(|key| Ok((key.holder, bytes(&key.key)?)))
                .collect::<Result<_, CardError>>()?,
        })
    }

    /// Reads the card in a holder's folder.
    pub fn read(folder: &Path) -> Result<Self, CardError> {
        let path = folder.join(FILE_NAME);
        let text = fs::read_to_string(&path)
            .map_err(|source| CardError::Io { path: path.clone(), source })?;
        Self::parse(&text, &path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_reads_back_and_refuses_what_it_does_not_know() {
        let card = Card {
            name: "Muster GmbH".into(),
            company: CompanyId::from_random([1; 16]),
            pin: Digest([2; 32]),
            server: "https://localhost:8443".into(),
            trust: Trust::CompanyCa(Bytes(vec![3; 40])),
            history_keys: vec![("officer-1".into(), vec![4; 1216])],
        };
        let text = card.to_text();
        assert_eq!(Card::parse(&text, Path::new("c")).unwrap(), card);
        for (from, to) in [("company-1", "company-2"), ("\"server\"", "\"servant\"")] {
            let changed = text.replace(from, to);
            assert!(Card::parse(&changed, Path::new("c")).is_err(), "{from}");
        }
    }
}
