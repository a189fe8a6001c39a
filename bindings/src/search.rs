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
    /// A part of its text around the first word found, or its beginning.
    pub snippet: Vec<SnippetPart>,
    /// The document in which words were found that its text has not.
    pub document: Option<FoundDocument>,
}

/// A document in which something was found.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FoundDocument {
    /// Its place among the message's documents.
    pub position: u32,
    /// Its name.
    pub name: Vec<SnippetPart>,
    /// A part of its text around the first word found; empty if all that was found is its name.
    pub inside: Vec<SnippetPart>,
}

/// What messages must be besides having the words; nothing of it if it is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, uniffi::Record)]
pub struct SearchFilter {
    /// Only this conversation's.
    #[uniffi(default = None)]
    pub conversation: Option<String>,
    /// Only this person's.
    #[uniffi(default = None)]
    pub person: Option<String>,
    /// Only of this kind.
    #[uniffi(default = None)]
    pub kind: Option<SearchKind>,
    /// Only with a document, whatever it is.
    #[uniffi(default = false)]
    pub has_document: bool,
    /// Only from this time on: Unix time in milliseconds.
    #[uniffi(default = None)]
    pub from_ms: Option<i64>,
    /// Only before this time: Unix time in milliseconds.
    #[uniffi(default = None)]
    pub before_ms: Option<i64>,
}

/// What a message is, as a search may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum SearchKind {
    /// A text without a document.
    Text,
    /// With a picture.
    Picture,
    /// With a sound: a voice message, music.
    Sound,
    /// With a moving picture.
    Video,
    /// With a document that is none of these.
    Document,
    /// A place.
    Place,
    /// A contact.
    Contact,
    /// A poll.
    Poll,
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
    /// Whether all messages were looked through. After some updates the older ones come into the search in their turn;
    /// an app says so, and searches again.
    pub is_whole: bool,
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
    /// At most `limit` messages. Each word of `text` must begin a word of the message: of its text, a
    /// document's name or what stands in a document; umlauts are found in each of their spellings. Without words, everything that
    /// passes the filter.
    ///
    /// A search that was cancelled before it began does not run, so that typing ahead costs nothing.
    #[uniffi::method(default(filter = None, after = None, limit = 50, cancel = None))]
    pub async fn find(
        &self,
        text: String,
        filter: Option<SearchFilter>,
        after: Option<i64>,
        limit: u32,
        cancel: Option<Arc<CancelHandle>>,
    ) -> Result<SearchPage, HauspostError> {
        let wanted = filter.unwrap_or_default().query(text)?;
        let store = self.0.store().clone();
        let search = runtime::run(async move {
            let page = store.read(move |conn| read::search(conn, &wanted, after, limit)).await?;
            Ok(SearchPage {
                hits: page.hits.into_iter().map(SearchHit::from).collect(),
                next: page.next,
                is_whole: page.is_whole,
            })
        });
        until_cancelled(cancel, search).await
    }
}

impl SearchFilter {
    fn query(self, words: String) -> Result<read::SearchQuery, HauspostError> {
        Ok(read::SearchQuery {
            words,
            conversation: self.conversation.as_deref().map(ids::conversation).transpose()?,
            person: self.person.as_deref().map(ids::user).transpose()?,
            kind: self.kind.map(|kind| match kind {
                SearchKind::Text => read::SearchKind::Text,
                SearchKind::Picture => read::SearchKind::Picture,
                SearchKind::Sound => read::SearchKind::Sound,
                SearchKind::Video => read::SearchKind::Video,
                SearchKind::Document => read::SearchKind::Document,
                SearchKind::Place => read::SearchKind::Place,
                SearchKind::Contact => read::SearchKind::Contact,
                SearchKind::Poll => read::SearchKind::Poll,
            }),
            has_document: self.has_document,
            // Before 1970 there is nothing.
            from_ms: self.from_ms.map(|ms| ms.max(0).unsigned_abs()),
            before_ms: self.before_ms.map(|ms| ms.max(0).unsigned_abs()),
        })
    }
}

fn parts(parts: Vec<read::SnippetPart>) -> Vec<SnippetPart> {
    let part = |part: read::SnippetPart| SnippetPart { text: part.text, found: part.found };
    parts.into_iter().map(part).collect()
}

impl From<read::SearchHit> for SearchHit {
    fn from(hit: read::SearchHit) -> Self {
        Self {
            conversation: hit.log.to_string(),
            message_id: hit.message_id.to_string(),
            seq: hit.seq.map(|seq| seq.0),
            author: hit.author.to_string(),
            time_ms: hit.t_ms as i64,
            snippet: parts(hit.snippet),
            document: hit.document.map(|document| FoundDocument {
                position: document.position,
                name: parts(document.name),
                inside: parts(document.inside),
            }),
        }
    }
}
