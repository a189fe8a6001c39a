//! A hint: somebody is typing, somebody is there, somebody was last there at this time.
//!
//! A hint is no record and no entry of a log. It is sealed under a key of the epoch that no archive
//! reaches, signed by its author's device, of one size whatever it says, and passed on by the server to
//! who is connected; nobody stores it. What is lost is lost, so nothing may rest on one
//! (docs/attacks.md 33). docs/protocol.md, "Hints", has the bytes and the limits.
//!
//! [`Hint::seal`] makes a [`SealedHint`], [`SealedHint::open`] an [`UnverifiedHint`] of it, the author's
//! signature a [`Hint`]; what one means, and until when, say [`Hint::is_timely`], [`Hint::types`] and
//! [`Hint::presence`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::array_item;
use crate::crypto::{BadSignature, PublicKey, Signature, SigningKey};
use crate::encoding::{Bytes, FormError, decode, encode, write_sized};
use crate::epoch::HintKey;
use crate::ids::{DeviceId, Epoch, Gen, LogId, TimeMs};
use crate::limits::DAY_MS;
use crate::record::{
    NONCE_BYTES, RecordError, TAG_BYTES, open_sealed, read_plain, seal_padded, signed, write_plain,
};

const LABEL: &str = "hauspost/1 hint";
const VERSION: u64 = 1;
/// The plaintext of every hint: room for what a later version says.
const PLAIN_BYTES: usize = 128;
/// A sealed hint, whatever it says.
pub const SEALED_BYTES: usize = NONCE_BYTES + PLAIN_BYTES + TAG_BYTES;
/// The longest line of the live stream that carries a hint, without its end.
pub const LINE_BYTES: usize = 320;

/// While somebody types, one hint in this time at most.
pub const TYPING_EVERY_MS: TimeMs = 4_000;
/// After this time without another one nobody types any more.
pub const TYPING_SHOWN_MS: TimeMs = 6_000;
/// Where more people are nobody says that he types: each word would go to all of them.
pub const TYPING_PEOPLE: usize = 50;
/// While somebody is there, he says so once in this time.
pub const HERE_EVERY_MS: TimeMs = 60_000;
/// Who was heard of within this time is there.
pub const HERE_SHOWN_MS: TimeMs = 90_000;
/// Conversations of two in which a person says that he is there: those in which somebody wrote last.
pub const HERE_LOGS: usize = 32;
/// A hint from further ahead than this says nothing: its author's clock is wrong, or ours.
pub const AHEAD_MS: TimeMs = 2 * 60_000;
/// What says what is so now, and is older than this, says nothing.
pub const LATE_MS: TimeMs = 2 * 60_000;
/// A hint that is older than this says nothing at all, and the server lets go of it.
pub const OLD_MS: TimeMs = DAY_MS;

/// Hints of one request.
pub const AT_ONCE: usize = HERE_LOGS;
/// Devices to which the server passes on one hint.
pub const DEVICES: usize = 256;

/// Its author's app is in front.
const HERE: u64 = 1;
/// Its author writes something.
const TYPING: u64 = 2;
/// Its author's app goes out of sight.
const GOES: u64 = 4;

/// What a hint says; several of it at once, and nothing that is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Said {
    /// The person is there.
    pub here: bool,
    /// The person is writing.
    pub typing: bool,
    /// The person was there until now.
    pub goes: bool,
}

impl Said {
    fn bits(self) -> u64 {
        let bit = |is, bit| if is { bit } else { 0 };
        bit(self.here, HERE) | bit(self.typing, TYPING) | bit(self.goes, GOES)
    }

    /// What a later version says besides is passed over.
    fn from_bits(bits: u64) -> Self {
        let is = |bit| bits & bit != 0;
        Self { here: is(HERE), typing: is(TYPING), goes: is(GOES) }
    }
}

/// A hint whose author is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint {
    /// The author's device.
    pub device: DeviceId,
    /// The author's clock, above that of his device's hint before in any log.
    pub t_ms: TimeMs,
    /// What it says.
    pub said: Said,
}

/// Whether somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// When that was so, never ahead of the reader's clock.
    pub seen_ms: TimeMs,
    /// Until when it is taken to be so still; `seen_ms` if he went.
    pub here_until_ms: TimeMs,
}

impl Hint {
    /// Signs and seals a hint for the members of this epoch of a log.
    pub fn seal(
        &self,
        key: &HintKey,
        (log, r#gen, epoch): (LogId, Gen, Epoch),
        author: &SigningKey,
    ) -> SealedHint {
        let mut sealed = SealedHint { log, r#gen, epoch, sealed: Bytes::default() };
        let head = sealed.head();
        let body = self.to_bytes();
        let signature = author.sign(LABEL, &signed(&head, &body));
        let item = write_sized(PLAIN_BYTES, |to| write_plain(to, &body, &signature));
        sealed.sealed = Bytes(seal_padded(key.sealing(), &head, &item, PLAIN_BYTES));
        sealed
    }

    /// What is signed: [1, device, t_ms, bits].
    fn to_bytes(self) -> Vec<u8> {
        encode(&(VERSION, self.device, self.t_ms, self.said.bits()))
    }

    fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        let (version, device, t_ms, bits): (u64, DeviceId, TimeMs, u64) = decode(bytes)?;
        if version != VERSION {
            return Err(FormError::Unlisted);
        }
        Ok(Self { device, t_ms, said: Said::from_bits(bits) })
    }

    /// Whether it says anything at all at this time of the reader's, after what its device said last in
    /// this log: what was heard before, comes from tomorrow or is of yesterday does not.
    pub fn is_timely(&self, newest_ms: Option<TimeMs>, now_ms: TimeMs) -> bool {
        newest_ms.is_none_or(|newest_ms| self.t_ms > newest_ms)
            && self.t_ms <= now_ms.saturating_add(AHEAD_MS)
            && self.t_ms.saturating_add(OLD_MS) > now_ms
    }

    /// Until when its author is shown to be writing, if he is.
    pub fn types(&self, now_ms: TimeMs) -> Option<TimeMs> {
        let is_now = self.t_ms.saturating_add(LATE_MS) > now_ms;
        (self.said.typing && is_now).then(|| now_ms.saturating_add(TYPING_SHOWN_MS))
    }

    /// Whether its author is there, or when he was.
    pub fn presence(&self, now_ms: TimeMs) -> Option<Presence> {
        let Said { here, goes, .. } = self.said;
        if !here && !goes {
            return None;
        }
        let seen_ms = self.t_ms.min(now_ms);
        let shown_ms = if goes { 0 } else { HERE_SHOWN_MS };
        Some(Presence { seen_ms, here_until_ms: seen_ms.saturating_add(shown_ms) })
    }
}

array_item! {
    /// A hint as it travels: the server sees for whom it is, and nothing else.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct SealedHint {
        /// The conversation's log.
        pub log: LogId,
        /// The generation.
        pub r#gen: Gen,
        /// The epoch whose key seals it.
        pub epoch: Epoch,
        /// The sealed hint, [`SEALED_BYTES`] long.
        pub sealed: Bytes,
    }
}

impl SealedHint {
    /// Whether it has the one length that hints have.
    pub fn fits(&self) -> bool {
        self.sealed.len() == SEALED_BYTES
    }

    /// As a line of the live stream, without its end.
    pub fn to_line(&self) -> String {
        URL_SAFE_NO_PAD.encode(encode(self))
    }

    /// The hint that a line of the live stream carries.
    pub fn from_line(line: &[u8]) -> Result<Self, FormError> {
        if line.len() > LINE_BYTES {
            return Err(FormError::TooLarge);
        }
        let bytes = URL_SAFE_NO_PAD.decode(line).map_err(|_| FormError::Malformed)?;
        let hint: Self = decode(&bytes)?;
        if hint.fits() { Ok(hint) } else { Err(FormError::Malformed) }
    }

    /// Opens it under its epoch's key; the signature is still to be verified.
    pub fn open(&self, key: &HintKey) -> Result<UnverifiedHint, RecordError> {
        if !self.fits() {
            return Err(RecordError::TooLarge);
        }
        let head = self.head();
        let plain = open_sealed(key.sealing(), &head, &self.sealed)?;
        let (body, signature) = read_plain(&plain, |_| PLAIN_BYTES)?;
        Ok(UnverifiedHint { hint: Hint::parse(body)?, signed: signed(&head, body), signature })
    }

    /// What is authenticated with it: in another log, generation or epoch it does not open.
    fn head(&self) -> Vec<u8> {
        encode(&(VERSION, self.log, self.r#gen, self.epoch))
    }
}

/// A hint that opened. Whose it is, is not known before its signature is verified.
#[derive(Debug, Clone)]
pub struct UnverifiedHint {
    hint: Hint,
    signed: Vec<u8>,
    signature: Signature,
}

impl UnverifiedHint {
    /// The device that it says it is from: to look up a key with, and not to be believed.
    pub fn claimed_device(&self) -> DeviceId {
        self.hint.device
    }

    /// Verifies the signature by the key of that device's leaf.
    pub fn verify(self, author: &PublicKey) -> Result<Hint, BadSignature> {
        author.verify(LABEL, &self.signed, &self.signature)?;
        Ok(self.hint)
    }
}

#[cfg(test)]
mod tests;
