//! What an entry is: head and payload parsed once, within the limits, in the form of its kind.
//!
//! Source: docs/protocol.md §1 "Limits", §2; rule S3, first half.

use crate::body::{
    CapsuleBody, CommitBody, EraseBody, Genesis, GrantBody, InviteBody, ResetBody, RestoreBody,
    SignedPayload, parse_unsigned,
};
use crate::crypto::sha256;
use crate::encoding::{Bytes, FormError, Item, decode};
use crate::entry::{At, Head, Kind, Seen};
use crate::grant;
use crate::ids::CoreHash;
use crate::limits;

/// Why head and payload are not an entry of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormFault {
    /// Not the encoding, or not the form that the kind demands.
    #[error("not the form of an entry: {0}")]
    Form(#[from] FormError),
    /// Above a limit.
    #[error("above a limit")]
    TooLarge,
    /// A kind that only the company log has.
    #[error("a kind of the company log")]
    CompanyKind,
    /// The batch is none of those that begin or continue a conversation.
    #[error("not a batch that the protocol knows")]
    Batch,
}

/// An entry of a conversation, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The head.
    pub head: Head,
    /// The head's bytes, as they were sent; signatures and hashes run over them.
    pub head_bytes: Bytes,
    /// The hash of the sender's half.
    pub core: CoreHash,
    /// What stands in the payload.
    pub payload: ParsedPayload,
}

/// What stands in a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParsedPayload {
    /// The beginning of a conversation.
    Genesis(SignedPayload, Box<Genesis>),
    /// A change of members or keys.
    Commit(SignedPayload, Box<CommitBody>),
    /// A capsule; signed if it stands alone, unsigned in a commit's batch.
    Capsule(Option<SignedPayload>, Box<CapsuleBody>),
    /// A message: sealed, so nothing of it is parsed.
    Record,
    /// The beginning of a generation.
    Reset(SignedPayload, Box<ResetBody>),
    /// An invitation, a leaving, a change of owners.
    Invite(SignedPayload, InviteBody),
    /// Record keys for a device.
    Grant(SignedPayload, Box<GrantBody>),
    /// An erasure, by the server.
    Erase(EraseBody),
    /// A restore, by the server.
    Restore(RestoreBody),
}

impl ParsedPayload {
    /// The author's signature, where there is one.
    pub fn signed(&self) -> Option<&SignedPayload> {
        match self {
            Self::Genesis(signed, _)
            | Self::Commit(signed, _)
            | Self::Reset(signed, _)
            | Self::Invite(signed, _)
            | Self::Grant(signed, _) => Some(signed),
            Self::Capsule(signed, _) => signed.as_ref(),
            Self::Record | Self::Erase(_) | Self::Restore(_) => None,
        }
    }

    /// The newest entry that the author had processed, where the body says so.
    pub fn seen(&self) -> Option<Seen> {
        match self {
            Self::Commit(_, body) => body.seen,
            Self::Reset(_, body) => body.seen,
            Self::Invite(_, body) => body.seen,
            Self::Grant(_, body) => body.seen,
            _ => None,
        }
    }

    /// The company log that the author judged by, where the body says so.
    pub fn at(&self) -> Option<At> {
        match self {
            Self::Genesis(_, body) => Some(body.at),
            Self::Commit(_, body) => Some(body.at),
            Self::Reset(_, body) => Some(body.at),
            Self::Invite(_, body) => Some(body.at),
            Self::Grant(_, body) => Some(body.at),
            _ => None,
        }
    }
}

/// Parses an entry of a conversation.
pub fn parse(head_bytes: &[u8], payload: &[u8]) -> Result<Parsed, FormFault> {
    let head = Head::parse(head_bytes)?;
    let len = payload.len() as u64;
    let limit = match head.kind {
        Kind::Commit => limits::COMMIT_PAYLOAD_BYTES,
        _ => limits::PAYLOAD_BYTES,
    };
    if len > limit {
        return Err(FormFault::TooLarge);
    }
    let core = Head::core(head_bytes, sha256(payload), len);
    let payload = match head.kind {
        Kind::Genesis => signed(payload).map(|(s, b)| ParsedPayload::Genesis(s, Box::new(b)))?,
        Kind::Commit => signed(payload).map(|(s, b)| ParsedPayload::Commit(s, Box::new(b)))?,
        Kind::Reset => signed(payload).map(|(s, b)| ParsedPayload::Reset(s, Box::new(b)))?,
        Kind::Invite => signed(payload).map(|(s, b)| ParsedPayload::Invite(s, b))?,
        Kind::Grant => {
            let (signed, body) = signed::<GrantBody>(payload)?;
            grant::check_ranges(&body.ranges)?;
            if head.blobs.iter().any(|(_, size)| *size > limits::GRANT_BYTES) {
                return Err(FormFault::TooLarge);
            }
            ParsedPayload::Grant(signed, Box::new(body))
        }
        Kind::Capsule => match unsigned(payload) {
            Ok(body) => ParsedPayload::Capsule(None, Box::new(body)),
            Err(_) => signed(payload).map(|(s, b)| ParsedPayload::Capsule(Some(s), Box::new(b)))?,
        },
        Kind::Record => ParsedPayload::Record,
        Kind::Erase => ParsedPayload::Erase(unsigned(payload)?),
        Kind::Restore => ParsedPayload::Restore(unsigned(payload)?),
        _ => return Err(FormFault::CompanyKind),
    };
    Ok(Parsed { head, head_bytes: head_bytes.into(), core, payload })
}

fn signed<T: Item>(payload: &[u8]) -> Result<(SignedPayload, T), FormError> {
    let signed: SignedPayload = decode(payload)?;
    let body = decode(&signed.body)?;
    Ok((signed, body))
}

fn unsigned<T: Item>(payload: &[u8]) -> Result<T, FormError> {
    decode(&parse_unsigned(payload)?)
}

/// A batch in one of the shapes that the protocol knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch<'a> {
    /// The beginning of a conversation.
    Creation {
        /// Genesis.
        genesis: &'a Parsed,
        /// The first commit.
        commit: &'a Parsed,
        /// Its capsule.
        capsule: &'a Parsed,
    },
    /// The beginning of a generation.
    Reset {
        /// The reset.
        reset: &'a Parsed,
        /// The generation's first commit.
        commit: &'a Parsed,
        /// Its capsule.
        capsule: &'a Parsed,
    },
    /// A commit.
    Commit {
        /// The commit.
        commit: &'a Parsed,
        /// Its capsule.
        capsule: &'a Parsed,
    },
    /// Records, capsules that stand alone, invites and grants, in any number and order.
    Others(&'a [Parsed]),
}

/// The shape of a batch; entries that the log knows already are left out before (S2).
pub fn batch(entries: &[Parsed]) -> Result<Batch<'_>, FormFault> {
    use ParsedPayload as P;
    if entries.len() > limits::BATCH_ENTRIES {
        return Err(FormFault::TooLarge);
    }
    let one_log = entries.windows(2).all(|pair| pair[0].head.log == pair[1].head.log);
    match entries {
        _ if !one_log => Err(FormFault::Batch),
        [genesis, commit, capsule]
            if matches!(
                (&genesis.payload, &commit.payload, &capsule.payload),
                (P::Genesis(..), P::Commit(..), P::Capsule(None, _))
            ) =>
        {
            Ok(Batch::Creation { genesis, commit, capsule })
        }
        [reset, commit, capsule]
            if matches!(
                (&reset.payload, &commit.payload, &capsule.payload),
                (P::Reset(..), P::Commit(..), P::Capsule(None, _))
            ) =>
        {
            Ok(Batch::Reset { reset, commit, capsule })
        }
        [commit, capsule]
            if matches!(
                (&commit.payload, &capsule.payload),
                (P::Commit(..), P::Capsule(None, _))
            ) =>
        {
            Ok(Batch::Commit { commit, capsule })
        }
        others
            if others.iter().all(|entry| {
                matches!(
                    entry.payload,
                    P::Record | P::Capsule(Some(_), _) | P::Invite(..) | P::Grant(..)
                )
            }) =>
        {
            Ok(Batch::Others(others))
        }
        _ => Err(FormFault::Batch),
    }
}
