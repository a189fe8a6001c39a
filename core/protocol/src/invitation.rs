//! What a new phone is given to find its company: one string, by MDM or from `hauspost admin invite`.
//!
//! `hauspost1:` and base64url of CBOR[1, server URL, company pin, trust, seed, bstr voucher, user].
//! The seed enrols one phone, so an invitation is a secret until it is used.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::array_item;
use crate::company::voucher::Voucher;
use crate::crypto::{Secret, sha256};
use crate::encoding::{Bytes, FormError, Item, Reader, Writer, decode, encode};
use crate::ids::{Digest, UserId};

const PREFIX: &str = "hauspost1:";
const MAX_BYTES: usize = 16 * 1024;

/// By what the phone trusts the server's TLS certificate: one or the other, never both.
#[derive(Clone, PartialEq, Eq)]
pub enum Trust {
    /// The public roots.
    PublicRoots,
    /// The company's own CA alone: its certificate's DER.
    CompanyCa(Bytes),
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PublicRoots => f.write_str("PublicRoots"),
            Self::CompanyCa(der) => write!(f, "CompanyCa({})", sha256(der)),
        }
    }
}

impl Item for Trust {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::PublicRoots => (0u64,).write(to),
            Self::CompanyCa(der) => (1u64, sha256(der), der.clone()).write(to),
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.list(|from, len| match (from.uint()?, len) {
            (0, 1) => Ok(Self::PublicRoots),
            (1, 3) => {
                let hash = Digest::read(from)?;
                let der = Bytes::read(from)?;
                if sha256(&der) == hash {
                    Ok(Self::CompanyCa(der))
                } else {
                    Err(FormError::Malformed)
                }
            }
            _ => Err(FormError::Unlisted),
        })
    }
}

array_item! {
    /// All that a phone needs to enrol.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Invitation = 1 {
        /// Where the server is, `https://…`.
        pub server: String,
        /// `H("hauspost/1 root", root pk)`: which company it is.
        pub pin: Digest,
        /// By what its TLS certificate is trusted.
        pub trust: Trust,
        /// The enrolment key's seed.
        pub seed: Secret,
        /// The voucher's encoding.
        pub voucher: Bytes,
        /// Who is invited.
        pub user: UserId,
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation")
            .field("server", &self.server)
            .field("pin", &self.pin)
            .field("trust", &self.trust)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Why a string is not an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// It does not begin as an invitation does.
    #[error("an invitation begins with \"hauspost1:\"")]
    Prefix,
    /// A character is wrong, or the string was cut.
    #[error("the invitation was cut or changed on its way; ask for it again")]
    Text,
    /// It is longer than any invitation.
    #[error("the text is longer than any invitation")]
    TooLong,
    /// It decodes to something else.
    #[error("the invitation is not of the expected form: {0}")]
    Form(FormError),
    /// The voucher in it is not a voucher, or for somebody else.
    #[error("the invitation's voucher does not fit it")]
    Voucher,
    /// The server's address is not an https URL.
    #[error("the invitation's server address is not an https URL")]
    Server,
}

impl Invitation {
    /// The one string that is handed over.
    pub fn to_text(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(encode(self)))
    }

    /// The voucher in it.
    pub fn voucher(&self) -> Result<Voucher, InvitationError> {
        decode(&self.voucher).map_err(|_| InvitationError::Voucher)
    }
}

impl FromStr for Invitation {
    type Err = InvitationError;

    /// Reads an invitation; white space around it and line breaks in it, as mail leaves them, are ignored.
    fn from_str(text: &str) -> Result<Self, InvitationError> {
        if text.len() > 2 * MAX_BYTES {
            return Err(InvitationError::TooLong);
        }
        let text: String = text.split_ascii_whitespace().collect();
        let text = text.strip_prefix(PREFIX).ok_or(InvitationError::Prefix)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvitationError::Text)?;
        let invitation: Self = decode(&bytes).map_err(|error| match error {
            FormError::Malformed => InvitationError::Text,
            other => InvitationError::Form(other),
        })?;
        let host = invitation.server.strip_prefix("https://").ok_or(InvitationError::Server)?;
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(InvitationError::Server);
        }
        let voucher = invitation.voucher()?;
        let seed = crate::crypto::SigningKey::from_seed(invitation.seed.clone()).public();
        if voucher.seed != seed || voucher.user.is_some_and(|user| user != invitation.user) {
            return Err(InvitationError::Voucher);
        }
        Ok(invitation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SigningKey;
    use crate::ids::CompanyId;

    fn invitation(trust: Trust) -> Invitation {
        let seed = Secret::new([0xab; 32]);
        let user = UserId([2; 16]);
        let authority = SigningKey::from_seed(Secret::new([5; 32]));
        let public = SigningKey::from_seed(seed.clone()).public();
        let voucher = Voucher::sign(&authority, CompanyId([1; 16]), public, Some(user), 9);
        Invitation {
            server: "https://localhost:8443".to_owned(),
            pin: Digest([3; 32]),
            trust,
            seed,
            voucher: Bytes(encode(&voucher)),
            user,
        }
    }

    #[test]
    fn an_invitation_reads_back_also_when_mail_broke_its_line() {
        for trust in [Trust::PublicRoots, Trust::CompanyCa(Bytes(vec![7; 500]))] {
            let invitation = invitation(trust);
            let text = invitation.to_text();
            assert_eq!(text.parse(), Ok(invitation.clone()));
            let broken = format!("  {}\r\n  {}\n", &text[..60], &text[60..]);
            assert_eq!(broken.parse(), Ok(invitation));
        }
    }

    #[test]
    fn what_is_not_an_invitation_says_why() {
        let good = invitation(Trust::PublicRoots);
        let text = good.to_text();
        let server = Invitation { server: "http://localhost".to_owned(), ..good.clone() };
        let voucher = Invitation { seed: Secret::new([1; 32]), ..good.clone() };
        let other_user = Invitation { user: UserId([8; 16]), ..good };
        let table = [
            ("hello".to_owned(), InvitationError::Prefix),
            (text[..text.len() - 7].to_owned(), InvitationError::Text),
            (text.replace('A', "*"), InvitationError::Text),
            (format!("{PREFIX}{}", "A".repeat(40_000)), InvitationError::TooLong),
            (format!("{PREFIX}AAAA"), InvitationError::Text),
            (server.to_text(), InvitationError::Server),
            (voucher.to_text(), InvitationError::Voucher),
            (other_user.to_text(), InvitationError::Voucher),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<Invitation>(), Err(error), "{text:.40}");
        }
    }

    #[test]
    fn debug_output_holds_neither_seed_nor_voucher() {
        let shown = format!("{:?}", invitation(Trust::PublicRoots));
        assert!(
            !shown.contains("171, 171") && !shown.contains("abab") && !shown.contains("voucher")
        );
    }
}
