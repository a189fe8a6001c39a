//! Shares and copies of archive keys, sealed to their holders (`docs/protocol.md` §9).
//!
//! A share file says nothing without its holder's history key, so the two may travel apart: one on
//! paper, one on a stick.

use hauspost_protocol::encoding::{FormError, Item, decode, encode};
use hauspost_protocol::hpke::{self, Sealed};
use hauspost_protocol::ids::{CompanyId, KeyId};
use hauspost_protocol::xwing::{XWingKey, XWingSeed};
use rand::CryptoRng;
use zeroize::Zeroizing;

const INFO: &str = "hauspost/1 share";

/// Why a sealed share does not open.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// The bytes are not a sealed share.
    #[error("it is not a sealed share: {0}")]
    Form(#[from] FormError),
    /// The history key is another one, or the share was changed.
    #[error("the history key beside it does not open it; do they belong to the same holder?")]
    Key,
}

/// Seals a share of the archive key with this id to its holder.
pub fn seal(
    to: &XWingKey,
    company: CompanyId,
    archive_key: KeyId,
    share: &impl Item,
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let plain = Zeroizing::new(encode(share));
    encode(&hpke::seal(to, INFO, &aad(company, archive_key), &plain, rng))
}

/// Opens a sealed share.
pub fn open(
    history_key: &XWingSeed,
    company: CompanyId,
    archive_key: KeyId,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealedError> {
    let sealed: Sealed = decode(sealed)?;
    hpke::open(history_key, INFO, &aad(company, archive_key), &sealed).map_err(|_| SealedError::Key)
}

fn aad(company: CompanyId, archive_key: KeyId) -> Vec<u8> {
    encode(&(company, archive_key))
}
