//! What views show: the list of conversations, a page of a timeline, hits of a search.
//!
//! Each call is one query on a snapshot and gives plain records, a page at a time; a view hears from
//! [`observe`](crate::observe) when to ask again. Nothing here writes.

mod about;
mod alarms;
mod confirmations;
mod conversations;
mod documents;
mod failures;
mod history;
mod previews;
mod reach;
mod search;
mod snippet;
mod timeline;

pub use self::about::{Version, pinned, reactions, starred, versions, voters};
pub use self::alarms::{AlarmKind, AlarmReport, AlarmRow, alarms};
pub use self::confirmations::{
    Confirmations, Confirmed, Confirming, confirmations, confirmations_of,
};
pub use self::conversations::{
    ConversationCursor, ConversationRow, LastLine, archived, conversation, conversations,
    unread_total,
};
pub use self::documents::{DocumentKind, DocumentPage, DocumentRow, documents};
pub use self::failures::{FailedChange, WantedChange, failed_changes};
pub use self::history::History;
pub use self::previews::previews;
pub use self::search::{FoundDocument, SearchHit, SearchKind, SearchPage, SearchQuery, search};
pub use self::snippet::SnippetPart;
pub use self::timeline::{TimelinePage, Window, timeline};

/// Rows of a page, at most; who asks for more gets as many.
pub const PAGE_ROWS: u32 = 500;

#[cfg(test)]
mod tests;
