//! Appends to a conversation.

use hauspost_protocol::ids::TimeMs;
use hauspost_protocol::wire::{AppendRequest, Outcome};

use super::append::{Appended, Known, Stop};
use super::session::Session;
use crate::store::Tx;

/// Appends a batch.
pub fn write(
    _tx: &mut dyn Tx,
    _session: &Session,
    request: &AppendRequest,
    _now_ms: TimeMs,
) -> Result<Appended, Stop> {
    Err(Known::nothing(&request.entries).refused(&Outcome::NoLog))
}
