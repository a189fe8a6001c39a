//! How an account fails, in words for people and a stable code for programs.

use hauspost_protocol::company::finding::ChainBreak;
use hauspost_protocol::content::CardError;
use hauspost_protocol::invitation::InvitationError;

use crate::env::KeyStoreError;
use crate::file::DocumentError;
use crate::outbox::change::ChangeError;
use crate::store::StoreError;
use crate::sync::SyncError;

/// Why a call on an account did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server did not answer, or refused.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The phone's key store failed.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
    /// The text is no invitation.
    #[error(transparent)]
    Invitation(#[from] InvitationError),
    /// The server does not take the invitation.
    #[error("the invitation was used before, or its time is over; ask for a new one")]
    InvitationRefused,
    /// This is a further device of its user, and nobody signed for it yet. It shows the code; the same
    /// call goes on when somebody has.
    #[error(
        "this device waits until another device of yours, or an admin, approves it by its code {0}"
    )]
    NeedsApproval(String),
    /// No device with this code waits.
    #[error(
        "no device with this code waits; the code on the new device may be another, or its invitation too old"
    )]
    NoSuchCode,
    /// The account's folder cannot be used.
    #[error("the account's folder cannot be used")]
    Folder,
    /// There is no account in this folder.
    #[error("this phone is not enrolled")]
    NotEnrolled,
    /// Another account is in this folder.
    #[error("this phone is enrolled already, for another invitation")]
    OtherAccount,
    /// The server is not that of the company that the invitation names.
    #[error("the server is not that of the company that the invitation names")]
    WrongCompany,
    /// The server's company log is not one history.
    #[error("the company log is broken: {0}")]
    CompanyLog(#[from] ChainBreak),
    /// The certificate that the server gave does not fit this device.
    #[error("the certificate does not fit this device")]
    Certificate,
    /// The message that something is to be said about is not here, or was taken back.
    #[error("this message is not there any more")]
    NoMessage,
    /// It has not reached the server yet.
    #[error("this message is not sent yet; wait until it is")]
    NotSent,
    /// Only its author, or an owner of the conversation, may do that.
    #[error("only the author of a message may change it, and only an owner may hide it")]
    NotAllowed,
    /// Only owners write in this conversation.
    #[error("only owners write here; the others confirm")]
    MayNotWrite,
    /// Nothing of this kind is possible in a conversation of two, or among one's own notes.
    #[error("this is possible in groups and among announcements only")]
    NotHere,
    /// The person named is not in the conversation.
    #[error("this person is not in the conversation")]
    NotThere,
    /// Everybody who was asked has confirmed.
    #[error("everybody who was asked has confirmed")]
    NobodyMissing,
    /// The file is no picture that can be shown.
    #[error("this is no picture that can be shown")]
    Picture,
    /// The person reacts to the message by as many emoji as one may.
    #[error("more reactions to one message are not possible; take another one back first")]
    TooMany,
    /// The message is no poll.
    #[error("this message is no poll")]
    NoPoll,
    /// The poll takes no votes any more.
    #[error("this poll is closed")]
    PollClosed,
    /// A card breaks a limit.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The device was revoked.
    #[error("this device is not accepted any more")]
    Revoked,
    /// No such conversation.
    #[error("there is no such conversation")]
    NoConversation,
    /// No change of this number has failed.
    #[error("there is no such change that failed")]
    NoChange,
    /// The message is empty or too long.
    #[error("the message is empty or too long")]
    Message,
    /// A document cannot be sent or fetched.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A group change cannot be made.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl AccountError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(StoreError::Full) => "disk-full",
            Self::Store(StoreError::InUse) => "in-use",
            Self::Store(StoreError::WrongKey) => "wrong-key",
            Self::Store(StoreError::NewerVersion { .. }) => "newer-version",
            Self::Store(StoreError::Suspended) => "suspended",
            Self::Store(StoreError::Missing("conversation")) => "no-conversation",
            Self::Store(_) => "database",
            Self::Sync(SyncError::Network(_)) => "offline",
            Self::Sync(SyncError::Busy(_)) => "server-busy",
            Self::Sync(SyncError::Session) | Self::Revoked => "revoked",
            Self::Sync(_) => "server-refused",
            Self::KeyStore(_) => "key-store",
            Self::Invitation(_) => "invitation",
            Self::InvitationRefused => "invitation-refused",
            Self::NeedsApproval(_) => "needs-approval",
            Self::NoSuchCode => "no-such-code",
            Self::Folder => "folder",
            Self::NotEnrolled => "not-enrolled",
            Self::OtherAccount => "other-account",
            Self::WrongCompany => "wrong-company",
            Self::CompanyLog(_) => "company-log",
            Self::Certificate => "certificate",
            Self::NoConversation => "no-conversation",
            Self::NoChange => "no-change",
            Self::Message => "message",
            Self::NoMessage => "no-message",
            Self::NotSent => "not-sent",
            Self::NotAllowed => "not-allowed",
            Self::TooMany => "too-many",
            Self::NoPoll => "no-poll",
            Self::PollClosed => "poll-closed",
            Self::Card(_) => "card",
            Self::MayNotWrite => "may-not-write",
            Self::NotHere => "not-here",
            Self::NotThere => "not-there",
            Self::NobodyMissing => "nobody-missing",
            Self::Picture => "picture",
            Self::Document(DocumentError::Full) => "disk-full",
            Self::Document(DocumentError::Folder(_) | DocumentError::Target(_)) => "folder",
            Self::Document(DocumentError::Missing) => "no-document",
            Self::Document(DocumentError::Damaged) => "document-damaged",
            Self::Document(DocumentError::Gone) => "document-gone",
            Self::Document(DocumentError::Blocked) => "document-blocked",
            Self::Document(DocumentError::Metered) => "metered",
            Self::Document(DocumentError::Stopped) => "cancelled",
            Self::Document(DocumentError::Unreadable(_)) => "document-unreadable",
            Self::Document(DocumentError::TooLarge | DocumentError::AboveLimit(_)) => {
                "document-too-large"
            }
            Self::Document(DocumentError::NoSound) => "document-no-sound",
            Self::Document(_) => "document",
            Self::Change(_) => "group",
        }
    }

    /// Whether the same call may succeed later by itself.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Sync(error) => error.is_retryable(),
            Self::Document(error) => matches!(error, DocumentError::Full),
            Self::NeedsApproval(_) => true,
            Self::Store(error) => matches!(error, StoreError::Full | StoreError::Suspended),
            Self::KeyStore(error) => matches!(error, KeyStoreError::Unavailable(_)),
            _ => false,
        }
    }
}
