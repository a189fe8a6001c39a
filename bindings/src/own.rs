//! What all devices of the person agree on, and nobody else learns: what is put away, on top, silent,
//! begun to be written and set; and the person's notes.

use hauspost_core::account::Account as Core;
use hauspost_protocol::ids::LogId;

use crate::account::Account;
use crate::conversations::{Conversation, ConversationPage, Conversations, PageEnd};
use crate::error::HauspostError;
use crate::timeline::Timeline;
use crate::{ids, runtime};

#[uniffi::export]
impl Timeline {
    /// Keeps what the person wrote on from the draft of this `draft_version`; null or nothing but space forgets
    /// it. If another device changed the draft meanwhile, no words are lost. Call it when the person leaves the
    /// conversation or the app, and only if something was typed.
    pub async fn set_draft_from(
        &self,
        text: Option<String>,
        draft_version: u64,
    ) -> Result<(), HauspostError> {
        let (core, log) = self.parts();
        runtime::run(async move { Ok(core.set_draft_from(log, text, draft_version).await?) }).await
    }

    /// Lets the conversation make no sound until this time, Unix time in milliseconds; null for sound.
    pub async fn mute_until(&self, until_ms: Option<i64>) -> Result<(), HauspostError> {
        let (core, log) = self.parts();
        let until_ms = until_ms.map(|until_ms| u64::try_from(until_ms).unwrap_or(0));
        runtime::run(async move { Ok(core.mute_until(log, until_ms).await?) }).await
    }

    /// Puts the conversation away, or takes it back into the list. It stays there whatever comes.
    pub async fn set_archived(&self, archived: bool) -> Result<(), HauspostError> {
        let (core, log) = self.parts();
        runtime::run(async move { Ok(core.set_archived(log, archived).await?) }).await
    }

    /// Puts the conversation on top of the list, as the last of the favourites, or takes it from there.
    pub async fn set_favourite(&self, favourite: bool) -> Result<(), HauspostError> {
        let (core, log) = self.parts();
        runtime::run(async move { Ok(core.set_favourite(log, favourite).await?) }).await
    }

    /// Moves a favourite right before another one; behind all of them for null.
    pub async fn move_favourite(&self, before: Option<String>) -> Result<(), HauspostError> {
        let before = before.as_deref().map(ids::conversation).transpose()?;
        let (core, log) = self.parts();
        runtime::run(async move { Ok(core.move_favourite(log, before).await?) }).await
    }
}

#[uniffi::export]
impl Conversations {
    /// At most `limit` conversations that the person put away, newest first, after those of the page before.
    pub async fn archived(
        &self,
        after: Option<PageEnd>,
        limit: u32,
    ) -> Result<ConversationPage, HauspostError> {
        let core = self.core();
        runtime::run(async move {
            let rows = core.archived(after.map(Into::into), limit).await?;
            Ok(ConversationPage::of(rows, limit))
        })
        .await
    }

    /// The person's notes to himself, on all devices; in the list from now on.
    pub async fn notes(&self) -> Result<Option<Conversation>, HauspostError> {
        let core = self.core();
        runtime::run(async move {
            let log = core.notes().await?;
            Ok(core.conversation(log).await?.map(Conversation::from))
        })
        .await
    }
}

#[uniffi::export]
impl Account {
    /// The person's own setting of this name (64 bytes at most), the same on all devices; null if it is not set.
    pub async fn setting(&self, name: String) -> Result<Option<Vec<u8>>, HauspostError> {
        let core = self.core();
        runtime::run(async move { Ok(core.own_setting(&name).await?) }).await
    }

    /// Sets the person's own setting of this name, 4 KiB at most; null takes it out. `Change.Account` is told.
    pub async fn set_setting(
        &self,
        name: String,
        value: Option<Vec<u8>>,
    ) -> Result<(), HauspostError> {
        let core = self.core();
        runtime::run(async move { Ok(core.set_own_setting(&name, value).await?) }).await
    }

    /// Lets the other devices of the person hear at once what is gathered for them: call it when the app goes to the
    /// background, before `suspend`.
    pub async fn tell_now(&self) -> Result<(), HauspostError> {
        let core = self.core();
        runtime::run(async move { Ok(core.tell_now().await?) }).await
    }
}

impl Timeline {
    fn parts(&self) -> (Core, LogId) {
        (self.core.clone(), self.log)
    }
}
