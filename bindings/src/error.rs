//! What went wrong, as an app needs it: a code to decide by, whether trying again can help, and a sentence
//! for people. Never a debug string, never content.

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

impl HauspostError {
    pub(crate) fn new(code: &str, retryable: bool, text: impl ToString) -> Self {
        Self::Failed { code: code.into(), retryable, text: text.to_string() }
    }
}
