//! What a person is told when a command cannot do its work.

use std::fmt::Display;
use std::process::ExitCode;

use crate::company::client::ClientError;
use crate::company::key_file::KeyFileError;

/// An error at the surface: what is wrong, what to do next, and the exit code.
#[derive(Debug)]
pub struct Failure {
    message: String,
    next: Option<String>,
    code: u8,
}

impl Failure {
    /// A file, a folder or a key cannot be used.
    pub fn files(message: impl Display) -> Self {
        Self { message: message.to_string(), next: None, code: 1 }
    }

    /// The command line is wrong in a way that only its meaning shows.
    pub fn usage(message: impl Display) -> Self {
        Self { message: message.to_string(), next: None, code: 2 }
    }

    /// The server, or a rule, refuses.
    pub fn refused(message: impl Display) -> Self {
        Self { message: message.to_string(), next: None, code: 4 }
    }

    /// `archive verify` has findings, which were printed.
    pub fn findings(count: usize) -> Self {
        let plural = if count == 1 { "" } else { "s" };
        Self { message: format!("{count} finding{plural}"), next: None, code: 10 }
    }

    /// `archive fetch` got everything but some documents, which were named.
    pub fn incomplete(documents: usize) -> Self {
        let plural = if documents == 1 { " is" } else { "s are" };
        let message = format!("{documents} document{plural} not in the export; the rest is");
        let next = "Fetch again into another folder when the server has its documents back; \
                    `hauspost archive verify` names what is missing as well.";
        Self { message, next: Some(next.to_owned()), code: 10 }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Display) -> Self {
        self.next = Some(next.to_string());
        self
    }

    /// Prints it and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        super::terminal::say_error(&self.message);
        if let Some(next) = &self.next {
            super::terminal::say(next);
        }
        ExitCode::from(self.code)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match &error {
            ClientError::Address(_) => Self::usage(message).next("Write it as https://HOST:PORT."),
            ClientError::Certificate(_) => Self::files(message)
                .next("Name the company's certificate authority with --ca; `hauspost serve` writes it to DATA/ca.pem."),
            ClientError::Unreachable { reason, .. } if reason.contains("certificate") || reason.contains("Issuer") => {
                Self { message, next: None, code: 3 }.next(
                    "Its certificate is not one that we trust here. With a certificate of the company's own name its \
                     authority (--ca DATA/ca.pem), with a public one say --public-roots.",
                )
            }
            ClientError::Unreachable { .. } => Self { message, next: None, code: 3 }
                .next("Is `hauspost serve` running, and is this its address?"),
            ClientError::Refused { status: 401, .. } => Self::refused(message)
                .next("The key is not, or no longer, one of this company; look at `hauspost admin list`."),
            ClientError::Refused { .. } | ClientError::Answer(_) | ClientError::Outcome(_) => Self::refused(message),
        }
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        let failure = Self::files(&error);
        match error {
            KeyFileError::Io { .. } => failure
                .next("--keys names a holder's folder, such as KEYS/admin or KEYS/officer-1."),
            KeyFileError::Check(_) => {
                failure.next("Compare it with the printed page, or copy it again.")
            }
            _ => failure,
        }
    }
}
