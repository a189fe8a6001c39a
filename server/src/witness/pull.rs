//! Asking: the witness goes to the server, so that it needs no address of its own.

use std::time::Duration;

use hauspost_protocol::ids::TimeMs;
use hauspost_protocol::tree::witness::{AddCheckpoint, Refused};

use super::keeper::{AnswerError, Cosigned, Keeper};
use crate::company::client::{Client, ClientError};
use crate::serve::Clock;

/// Why nothing was cosigned.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The witness refuses.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The server has less than what was cosigned.
    #[error(
        "the server shows a log of size {shown}; this witness cosigned size {cosigned}: it was set back"
    )]
    SetBack {
        /// The size that the server shows.
        shown: String,
        /// The size cosigned.
        cosigned: u64,
    },
}

impl PullError {
    /// Whether it says something against the log, and not only that it was not reached.
    pub fn is_alarming(&self) -> bool {
        match self {
            Self::SetBack { .. } => true,
            Self::Answer(AnswerError::Refused(refused)) => !matches!(refused, Refused::Conflict(_)),
            Self::Client(_) | Self::Answer(_) => false,
        }
    }
}

/// Asks once: what the witness now vouches for.
pub async fn once(
    keeper: &Keeper,
    client: &Client,
    now_ms: TimeMs,
) -> Result<Option<Cosigned>, PullError> {
    let cosigned = keeper.cosigned().map_or(0, |cosigned| cosigned.tree.size);
    let text = match client.witness_checkpoint(cosigned).await {
        Err(ClientError::Refused { status: 409, reason }) if cosigned > 0 => {
            return Err(PullError::SetBack { shown: reason, cosigned });
        }
        text => text?,
    };
    let request = AddCheckpoint::parse(&text).map_err(AnswerError::Refused)?;
    let lines = keeper.answer(&request, now_ms)?;
    if let Some(new) = keeper.cosigned() {
        client.witness_cosignature(&new.tree, &lines).await?;
    }
    Ok(keeper.cosigned())
}

/// Asks again and again. What goes wrong is told and tried again; a witness never gives up by itself.
pub async fn keep_asking(
    keeper: &Keeper,
    client: &Client,
    clock: Clock,
    every: Duration,
    mut told: impl FnMut(&Result<Option<Cosigned>, PullError>),
) {
    loop {
        told(&once(keeper, client, clock()).await);
        tokio::time::sleep(every).await;
    }
}
