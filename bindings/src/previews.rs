//! Small pictures of what messages bring.

use hauspost_core::store::rows::preview::{PreviewState as State, ShownPreview};

use crate::error::HauspostError;
use crate::timeline::Timeline;
use crate::{ids, runtime};

/// How far the preview of a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum PreviewState {
    /// It comes by itself.
    Waiting,
    /// `Timeline.previews` gives it.
    Here,
    /// It was not what it has to be, and is not shown; the document may be all right.
    Dropped,
}

impl From<State> for PreviewState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting | State::Newer => Self::Waiting,
            State::Here => Self::Here,
            State::Dropped => Self::Dropped,
        }
    }
}

/// A small picture of a document, encoded on this phone: safe to be given to the platform's decoder.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct Preview {
    /// The message.
    pub message_id: String,
    /// The document's place among the message's.
    pub position: u32,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// `image/jpeg` or `image/png`.
    pub media_type: String,
    /// The picture.
    pub picture: Vec<u8>,
}

impl From<ShownPreview> for Preview {
    fn from(shown: ShownPreview) -> Self {
        let ShownPreview { message_id, position, width, height, media_type, picture } = shown;
        Self { message_id: message_id.to_string(), position, width, height, media_type, picture }
    }
}

#[uniffi::export]
impl Timeline {
    /// The previews of the documents of these messages, as far as they are on this phone: one call for a
    /// page of the timeline.
    pub async fn previews(&self, messages: Vec<String>) -> Result<Vec<Preview>, HauspostError> {
        let messages = messages.iter().map(|id| ids::message(id)).collect::<Result<_, _>>()?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move {
            let shown = core.previews(log, messages).await?;
            Ok(shown.into_iter().map(Preview::from).collect())
        })
        .await
    }
}
