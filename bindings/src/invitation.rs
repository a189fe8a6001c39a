//! What the app reads of an invitation before it enrols, to show a person where it leads.

use hauspost_protocol::invitation::{Invitation, Trust};

use crate::error::HauspostError;

/// What stands in an invitation, but for its secret.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct InvitationInfo {
    /// The server's address, `https://…`.
    pub server: String,
    /// Which company it is: the hash of its root key, in hexadecimal.
    pub company_pin: String,
    /// Whether the server is trusted by the company's own certificate alone, and not by the public roots.
    pub company_certificate: bool,
    /// Who is invited.
    pub user: String,
}

/// Reads an invitation. Fails with `invitation` when the text was cut, changed, or is something else.
#[uniffi::export]
pub fn read_invitation(text: String) -> Result<InvitationInfo, HauspostError> {
    let invitation: Invitation =
        text.parse().map_err(|error| HauspostError::new("invitation", false, error))?;
    Ok(InvitationInfo {
        company_certificate: matches!(invitation.trust, Trust::CompanyCa(_)),
        company_pin: invitation.pin.to_string(),
        user: invitation.user.to_string(),
        server: invitation.server,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_invitation_is_refused_with_a_sentence_for_people() {
        let HauspostError::Failed { code, retryable, text } =
            read_invitation("hauspost1:AAAA".into()).unwrap_err();
        assert_eq!((code.as_str(), retryable), ("invitation", false));
        assert!(text.contains("invitation"));
    }
}
