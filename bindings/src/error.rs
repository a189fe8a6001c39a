//! What went wrong, as an app needs it: a code to decide by, whether trying again can help, and a sentence
//! for people. Never a debug string, never content.

use hauspost_core::account::AccountError;
use hauspost_core::file::{DocumentError, size};
use hauspost_core::outbox::{
    REASON_DEFECT, REASON_LEFT, REASON_MAY_NOT_WRITE, REASON_MAYBE_SENT, REASON_NOBODY,
    REASON_TOO_OLD,
};
use hauspost_core::store::StoreError;

/// Why a call failed.
///
/// UniFFI makes exceptions of enums, so this one has a single case. Codes are stable; an app treats
/// one that it does not know by `retryable` and `text`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum HauspostError {
    /// The call failed.
    #[error("{text}")]
    Failed {
        /// What happened, for the app: stable, in lower case with hyphens.
        code: String,
        /// Whether the same call can succeed later without anybody doing anything.
        retryable: bool,
        /// What happened, for people.
        text: String,
    },
}

/// Why a message or a change was not sent.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Failure {
    /// What happened, for the app: stable, in lower case with hyphens.
    pub code: String,
    /// What happened, for people.
    pub text: String,
}

impl Failure {
    /// By the code of docs/protocol.md §7, "Results".
    pub(crate) fn of(reason: Option<u64>) -> Self {
        let (code, text) = match reason {
            Some(7 | 12) => ("revoked", "This phone may not send any more."),
            Some(9) => ("too-large", "The message is too large."),
            Some(10) => ("quota", "The server takes no more from this phone for now."),
            Some(110) => ("document-changed", "The document was changed while it was sent."),
            Some(111) => ("document-unreadable", "The document cannot be read any more."),
            Some(113) => ("policy", "The company does not let documents of this kind be sent."),
            Some(112) => ("given-up", "You gave the upload up."),
            Some(11) => ("no-conversation", "The server does not know this conversation."),
            Some(20) => ("policy", "The company's policy does not allow this."),
            Some(103) => ("full", "A conversation has no room for so many devices."),
            Some(21 | REASON_LEFT) => ("left", "You are no longer in this conversation."),
            Some(REASON_NOBODY) => {
                ("nobody", "None of these people has a phone that can be added yet.")
            }
            Some(REASON_MAY_NOT_WRITE) => ("may-not-write", "Only owners write here."),
            Some(REASON_MAYBE_SENT) => (
                "maybe-sent",
                "This phone was put back to a backup. It may have sent this already.",
            ),
            Some(REASON_TOO_OLD) => ("too-old", "This waited too long for the server."),
            Some(REASON_DEFECT) => ("defect", "The app could not make this."),
            _ => ("refused", "The server did not take this."),
        };
        Self { code: code.into(), text: text.into() }
    }
}

impl HauspostError {
    pub(crate) fn new(code: &str, retryable: bool, text: impl ToString) -> Self {
        Self::Failed { code: code.into(), retryable, text: text.to_string() }
    }

    pub(crate) fn internal() -> Self {
        Self::new("internal", false, "A defect in the app stopped this step. Nothing was lost.")
    }

    pub(crate) fn cancelled() -> Self {
        Self::new("cancelled", true, "The step was cancelled.")
    }

    pub(crate) fn no_threads() -> Self {
        Self::new("no-threads", true, "The phone gives the app no more threads. Close other apps.")
    }

    pub(crate) fn deadline() -> Self {
        Self::new("deadline", true, "The app did not come to rest in time.")
    }

    pub(crate) fn bad_input(text: impl ToString) -> Self {
        Self::new("bad-input", false, text)
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> &str {
        let Self::Failed { code, .. } = self;
        code
    }
}

impl From<AccountError> for HauspostError {
    fn from(error: AccountError) -> Self {
        let code = error.code();
        if let AccountError::Document(DocumentError::AboveLimit(most)) = &error {
            let text = format!(
                "The file is too large. Your company lets people send {} at most.",
                size(*most)
            );
            return Self::new(code, false, text);
        }
        if let AccountError::NeedsApproval(shown) = &error {
            let text = format!("Approve this device on your other one. Its code is {shown}.");
            return Self::new(code, true, text);
        }
        Self::new(code, error.is_retryable(), text_of(code))
    }
}

impl From<StoreError> for HauspostError {
    fn from(error: StoreError) -> Self {
        AccountError::from(error).into()
    }
}

/// What a code of the core says to people. The core's own texts are for its log.
fn text_of(code: &str) -> &'static str {
    match code {
        "disk-full" => "The phone's storage is full.",
        "in-use" => "The messages are open in another process.",
        "wrong-key" => "The phone's key does not open its messages. Nothing was changed.",
        "newer-version" => "A newer version of the app was here. Update the app.",
        "suspended" => "The app is asleep.",
        "database" => "The phone could not read or store this. Nothing was changed.",
        "offline" => "The company's server cannot be reached.",
        "server-busy" => "The company's server is busy.",
        "revoked" => "The company does not accept this phone any more.",
        "server-refused" => "The company's server did not take this.",
        "key-store" => "The phone's key store is not available. Unlock the phone.",
        "invitation" => "This is no invitation, or it was changed on its way. Ask for it again.",
        "no-message" => "This message is not there any more.",
        "not-sent" => "This message is not sent yet. Please wait until it is.",
        "not-allowed" => "Only the author of a message may do that, or an owner of the group.",
        "may-not-write" => "Only owners write here. The others confirm.",
        "not-here" => "This is possible in groups and announcements only.",
        "not-there" => "This person is not in the conversation.",
        "nobody-missing" => "Everybody who was asked has confirmed.",
        "picture" => "This is no picture that can be shown.",
        "too-many" => "More reactions to one message are not possible.",
        "no-poll" => "This message is no poll.",
        "poll-closed" => "This poll is closed.",
        "card" => {
            "A line is empty, too long or not readable, or there are too few or too many of them."
        }
        "document-no-sound" => "The file is not a sound that a voice message can have.",
        "no-such-code" => "No device with this code is waiting. Look at the new device once more.",
        "folder" => "The app's folder cannot be used.",
        "not-enrolled" => "This phone is not enrolled.",
        "other-account" => "This phone is enrolled already, by another invitation.",
        "wrong-company" => "The server is not that of the company that the invitation names.",
        "company-log" => "The server shows a history that cannot be true. Tell your admin.",
        "certificate" => "The server gave a certificate that does not fit this phone.",
        "no-conversation" => "There is no such conversation, or it does not go on.",
        "no-change" => "There is no such change that failed.",
        "message" => "The message or name is empty or too long.",
        "no-document" => "There is no such document.",
        "document-gone" => "The company's server does not have this document.",
        "document-damaged" => "What the server has is not what was sent. Tell your admin.",
        "document-blocked" => {
            "Documents of this kind are not opened, since a phone could run them."
        }
        "document-unreadable" => "The file cannot be read.",
        "document-too-large" => "The file is too large.",
        "document" => "A name is too long, or there are more than sixteen documents.",
        "metered" => "This waits for a network that does not cost by the byte.",
        "group" => "The group cannot be changed like this.",
        "checkpoint" => {
            "The server shows a history that is not signed as it must be. Tell your admin."
        }
        _ => "This did not work.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_database_says_what_to_do_and_nothing_of_what_is_in_it() {
        let damaged = StoreError::Damaged("page 7: \"Hallo Anna\"".into());
        let HauspostError::Failed { code, retryable, text } = damaged.into();
        assert_eq!((code.as_str(), retryable), ("database", false));
        assert!(!text.contains("Anna"));
    }
}
