//! The page "What my company can see".

use ratatui::Frame;
use ratatui::style::Style;
use ratatui::text::Line;

use super::super::state::State;
use super::super::text;
use super::overlay::framed;
use super::{put, row};

/// Columns of the page.
const COLUMNS: u16 = 76;

/// Draws its paragraphs from this line on.
pub(super) fn page(state: &State, paragraphs: &[String], at: usize, frame: &mut Frame<'_>) {
    let (columns, rows) = state.size;
    let width = usize::from(columns.min(COLUMNS)).saturating_sub(2);
    let lines: Vec<_> = lines(paragraphs, width).collect();
    let inner = framed(frame, state.words.company.title, COLUMNS, rows.saturating_sub(2));
    let height = usize::from(inner.height);
    let first = at.min(lines.len().saturating_sub(height));
    for (i, line) in lines.into_iter().skip(first).take(height).enumerate() {
        put(frame, row(inner, i), &line);
    }
}

fn lines(paragraphs: &[String], width: usize) -> impl Iterator<Item = Line<'static>> {
    paragraphs.iter().flat_map(move |paragraph| {
        let wrapped = text::wrap(paragraph, width).into_iter();
        let said = wrapped.map(|range| Line::styled(paragraph[range].to_owned(), Style::new()));
        said.chain([Line::default()]).collect::<Vec<_>>()
    })
}
