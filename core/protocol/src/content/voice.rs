//! What a voice message says of its sound, before anybody has fetched it.

use std::fmt;

use super::message::Message;
use crate::encoding::{Bytes, FormError, Item, Reader, Writer};

/// The extension of a message whose document was spoken for it.
const VOICE: &str = "hauspost/voice";
/// Bars of a waveform.
pub const WAVEFORM_BYTES: usize = 64;
/// The longest voice message: a day.
pub const VOICE_MS: u32 = 86_400_000;

/// How long a voice message is and how it looks, as its author's phone says. Neither is checked
/// against the sound.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Voice {
    duration_ms: Option<u32>,
    waveform: Vec<u8>,
}

impl Voice {
    /// A sound of this length whose loudness rises and falls so: at most 64 bars of equal width, 255 being
    /// the loudest, none if that is not known. `None` if it is longer than a day or has more bars.
    pub fn new(duration_ms: Option<u32>, waveform: Vec<u8>) -> Option<Self> {
        let fits = duration_ms.is_none_or(|duration| duration <= VOICE_MS)
            && waveform.len() <= WAVEFORM_BYTES;
        fits.then_some(Self { duration_ms, waveform })
    }

    /// Its length, if that is known.
    pub fn duration_ms(&self) -> Option<u32> {
        self.duration_ms
    }

    /// How loud it is, from its beginning to its end.
    pub fn waveform(&self) -> &[u8] {
        &self.waveform
    }
}

impl Message {
    /// This message as one whose document was spoken for it.
    #[must_use]
    pub fn spoken(self, voice: &Voice) -> Self {
        self.with_extension(VOICE, voice)
    }

    /// What it says of its sound, if its document was spoken for it.
    pub fn voice(&self) -> Option<Voice> {
        self.extension(VOICE)
    }
}

impl Item for Voice {
    fn write(&self, to: &mut Writer) {
        to.array(2);
        self.duration_ms.write(to);
        to.bytes(&self.waveform);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let (duration_ms, waveform): (_, Bytes) =
            from.array(2, |from| Ok((Item::read(from)?, Item::read(from)?)))?;
        Self::new(duration_ms, waveform.0).ok_or(FormError::TooLarge)
    }
}

/// What was said is not for logs.
impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Voice(…)")
    }
}
