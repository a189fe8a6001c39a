//! The list of a conversation's documents.

use hauspost_core::read::{DocumentKind, DocumentRow};
use hauspost_core::store::rows::file::DocumentId;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::layout::{dim, document_state, short_time};
use super::super::state::{Documents, State};
use super::super::text;
use super::overlay::{chosen, first_shown, framed};
use super::{ends, put, row};

pub(super) fn draw(state: &State, documents: &Documents, frame: &mut Frame<'_>) {
    let words = state.words.documents;
    let title = words.titles[match documents.kind {
        DocumentKind::All => 0,
        DocumentKind::Pictures => 1,
        DocumentKind::Files => 2,
    }];
    let (columns, rows) = state.size;
    let (columns, rows) = (columns.saturating_sub(4).min(100), rows.saturating_sub(4));
    let inner = framed(frame, title, columns, rows);
    if documents.rows.is_empty() {
        put(frame, row(inner, 0), &Line::styled(words.none, dim()));
    }
    let shown = usize::from(inner.height / 2).max(1);
    let first = first_shown(documents.selected, shown);
    for (i, document) in documents.rows.iter().skip(first).take(shown).enumerate() {
        let style = chosen(first + i == documents.selected);
        let [head, below] = lines(state, documents, document, first + i + 1, inner);
        put(frame, row(inner, 2 * i), &head.style(style));
        put(frame, row(inner, 2 * i + 1), &below.style(style));
    }
}

fn lines(
    state: &State,
    documents: &Documents,
    document: &DocumentRow,
    number: usize,
    area: Rect,
) -> [Line<'static>; 2] {
    let columns = usize::from(area.width);
    let (message_id, position) = (document.message_id, document.file.position);
    let which = DocumentId { log: documents.log, message_id, position };
    let name = format!("{number:>3} {}", text::line(&document.file.name));
    let standing = document_state(state, which, &document.file);
    let (left, right) = ends(&name, &standing, columns);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let head = Line::from(vec![Span::styled(left, bold), Span::raw(right)]);
    let who =
        format!("    {} · {}", state.name(document.author), text::line(&document.file.media_type));
    let (left, right) = ends(&who, &short_time(document.t_ms, state), columns);
    [head, Line::from(vec![Span::styled(left, dim()), Span::styled(right, dim())])]
}
