//! Search over everything that this phone has.

use std::sync::Arc;

use hauspost_core::account::Account as Core;
use hauspost_core::read;

use crate::cancel::{CancelHandle, until_cancelled};
use crate::error::HauspostError;
use crate::{ids, runtime};

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SearchHit {
    /// Its conversation.
    pub conversation: String,
    /// Its id.
    pub message_id: String,
    /// Its number, to open the timeline around it; null while it waits for the server.
    pub seq: Option<u64>,
    /// Who wrote it.
    pub author: String,
    /// When: Unix time in milliseconds.
    pub time_ms: i64,
    /// A part of its text around the first word found.
    pub snippet: Vec<SnippetPart>,
}

/// A piece of a snippet.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SnippetPart {
    /// The text.
    pub text: String,
    /// Whether it is a word that was asked for.
    pub found: bool,
}

/// A page of hits.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SearchPage {
    /// The hits, newest first.
    pub hits: Vec<SearchHit>,
    /// What to ask the next page with; null at the end.
    pub next: Option<i64>,
}

/// Search.
#[derive(uniffi::Object)]
pub struct Search(Core);

impl Search {
    pub(crate) fn new(core: Core) -> Arc<Self> {
        Arc::new(Self(core))
    }
}

#[uniffi::export]
impl Search {
    /// At most `limit` messages of all conversations or of one. Each word of `text` must begin a word of the
    /// message; umlauts are found in each of their spellings.
    ///
    /// A search that was cancelled before it began does not run, so that typing ahead costs nothing.
    #[uniffi::method(default(conversation = None, after = None, limit = 50, cancel = None))]
    pub async fn find(
        &self,
        text: String,
        conversation: Option<String>,
        after: Option<i64>,
        limit: u32,
        cancel: Option<Arc<CancelHandle>>,
    ) -> Result<SearchPage, HauspostError> {
        let only = conversation.as_deref().map(ids::conversation).transpose()?;
        let store = self.0.store().clone();
        let search = runtime::run(async move {
            let page =
                store.read(move |conn| read::search(conn, &text, only, after, limit)).await?;
            Ok(SearchPage {
                hits: page.hits.into_iter().map(SearchHit::from).collect(),
                next: page.next,
            })
        });
        until_cancelled(cancel, search).await
    }
}

impl From<read::SearchHit> for SearchHit {
    fn from(hit: read::SearchHit) -> Self {
        let snippet = hit.snippet.into_iter();
        Self {
            conversation: hit.log.to_string(),
            message_id: hit.message_id.to_string(),
            seq: hit.seq.map(|seq| seq.0),
            author: hit.author.to_string(),
            time_ms: hit.t_ms as i64,
            snippet: snippet
                .map(|part| SnippetPart { text: part.text, found: part.found })
                .collect(),
        }
    }
}
