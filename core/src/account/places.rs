//! Where a message stands: in its conversation, and, as one announcement in several rooms, in each of those.
//!
//! What a person does to an announcement is stored for all its rooms in one transaction, or for none: a phone
//! that dies in the middle leaves no room behind. The room in which he acts has to take it. Another one in which
//! nothing can be said of it any more, since he left it, may not write there, or the message is hidden, holds up
//! no other.

use hauspost_protocol::ids::{LogId, MessageId};

use super::{Account, AccountError};
use crate::store::rows::log;
use crate::store::rows::message::{self, Message, Twin};
use crate::store::rows::outbox::{self, IntentState};

/// A message where it stands.
pub(super) type At = (LogId, MessageId);

impl Account {
    /// A message of this person's in all rooms in which it is one announcement; any other one where it is. This
    /// place comes first.
    pub(super) async fn own_places(
        &self,
        log: LogId,
        message: MessageId,
    ) -> Result<Vec<At>, AccountError> {
        let me = self.user();
        self.places(log, message, move |found| found.author == me).await
    }

    /// A message that is to be confirmed in all rooms in which it is one announcement, whosever it is. This
    /// place comes first.
    pub(super) async fn places_to_confirm(
        &self,
        log: LogId,
        message: MessageId,
    ) -> Result<Vec<At>, AccountError> {
        self.places(log, message, |found| found.asking.is_some()).await
    }

    /// The places of a message of this person's in which it failed.
    pub(super) async fn failed_places(
        &self,
        log: LogId,
        message: MessageId,
    ) -> Result<Vec<At>, AccountError> {
        let places = self.own_places(log, message).await?;
        let read = self.core.store.read(move |conn| {
            let mut failed = Vec::with_capacity(places.len());
            for (log, message) in places {
                let intent = outbox::by_message(conn, log, message)?;
                if intent.is_some_and(|intent| intent.state == IntentState::Failed) {
                    failed.push((log, message));
                }
            }
            Ok::<_, AccountError>(failed)
        });
        read.await
    }

    /// A message, and those that are one announcement with it if it `fits`.
    async fn places(
        &self,
        log: LogId,
        message: MessageId,
        fits: impl Fn(&Message) -> bool + Send + 'static,
    ) -> Result<Vec<At>, AccountError> {
        let here = (log, message);
        let read = self.core.store.read(move |conn| {
            let Some(local) = log::local(conn, log)? else { return Ok(Vec::new()) };
            let found = message::find(conn, local, message)?.filter(|found| fits(found));
            let id = found.as_ref().and_then(|found| found.saying.announcement);
            let Some((found, id)) = found.zip(id) else { return Ok(Vec::new()) };
            Ok::<_, AccountError>(message::twins(conn, found.author, id)?)
        });
        let twins =
            read.await?.into_iter().map(|Twin { log, message_id, .. }| (log.id, message_id));
        Ok(std::iter::once(here).chain(twins.filter(|twin| *twin != here)).collect())
    }
}

/// Does one thing in each place, the one in which the person acts coming first, in the caller's transaction:
/// what fails there, or elsewhere for another reason than that the room refuses it, fails altogether. Who
/// refuses writes nothing.
pub(super) fn in_each<P>(
    places: impl IntoIterator<Item = P>,
    mut one: impl FnMut(P) -> Result<(), AccountError>,
) -> Result<(), AccountError> {
    for (number, place) in places.into_iter().enumerate() {
        match one(place) {
            Err(error) if number > 0 && refuses_for_good(&error) => {}
            done => done?,
        }
    }
    Ok(())
}

/// Whether a room says that nothing can be said of the message there any more.
fn refuses_for_good(error: &AccountError) -> bool {
    matches!(
        error,
        AccountError::NoConversation
            | AccountError::MayNotWrite
            | AccountError::NotAllowed
            | AccountError::NoMessage
    )
}
