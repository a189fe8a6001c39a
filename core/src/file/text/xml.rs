//! Text of XML, by the names of its elements. Entities that a document defines are not expanded.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::TextError;
use super::output::Output;

/// Elements within elements; office programs write about thirty.
const DEPTH: usize = 256;

/// Which elements hold the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// All of them.
    All,
    /// `t`, as in word processing and presentations of Office Open XML, and in shared strings.
    Runs,
    /// As [`Rule::Runs`], and `v` in cells that are no reference to a shared string.
    Cells,
    /// Everything in `body`, as in OpenDocument.
    Body,
}

impl Rule {
    fn holds_text(self, element: &BytesStart<'_>, in_shared_cell: bool) -> bool {
        match (self, element.local_name().as_ref()) {
            (Self::All, _) | (Self::Runs | Self::Cells, "t") | (Self::Body, "body") => true,
            (Self::Cells, "v") => !in_shared_cell,
            _ => false,
        }
    }
}

/// Whether a line ends where this element does.
fn is_line(name: &str) -> bool {
    matches!(name, "p" | "h" | "si" | "row" | "table-row" | "br" | "line-break")
}

/// Whether words end where this element does.
fn is_space(name: &str) -> bool {
    matches!(name, "tab" | "s" | "c" | "tc" | "table-cell" | "note" | "noteReference")
}

pub(super) fn read(xml: &[u8], rule: Rule, out: &mut Output<'_>) -> Result<(), TextError> {
    let mut reader = Reader::from_reader(xml);
    // For each open element, whether it holds text.
    let mut open: Vec<bool> = Vec::new();
    let (mut holding, mut in_shared_cell) = (0_usize, false);
    let end = |name: &str, out: &mut Output<'_>| match name {
        name if is_line(name) => out.line(),
        name if is_space(name) || rule == Rule::All => out.space(),
        _ => {}
    };
    loop {
        out.check()?;
        match reader.read_event().map_err(|_| TextError::Damaged)? {
            Event::Start(element) => {
                if element.local_name().as_ref() == "c" {
                    let kind = element.try_get_attribute("t").map_err(|_| TextError::Damaged)?;
                    in_shared_cell = kind.is_some_and(|kind| kind.value.as_ref() == "s");
                }
                let holds = rule.holds_text(&element, in_shared_cell);
                holding += usize::from(holds);
                open.push(holds);
                if open.len() > DEPTH {
                    return Err(TextError::Bomb);
                }
            }
            Event::End(element) => {
                holding -= usize::from(open.pop().unwrap_or_default());
                end(element.local_name().as_ref(), out);
            }
            Event::Empty(element) => end(element.local_name().as_ref(), out),
            Event::Text(text) if holding > 0 => out.push(&text.xml10_content())?,
            Event::CData(text) if holding > 0 => out.push(&text.xml10_content())?,
            Event::GeneralRef(entity) if holding > 0 => {
                out.push(letter(&entity)?.encode_utf8(&mut [0; 4]))?;
            }
            Event::Eof if open.is_empty() => return Ok(()),
            Event::Eof => return Err(TextError::Damaged),
            _ => {}
        }
    }
}

/// A character that is written as a reference; one that the document defines itself is a space.
fn letter(entity: &BytesRef<'_>) -> Result<char, TextError> {
    if let Some(letter) = entity.resolve_char_ref().map_err(|_| TextError::Damaged)? {
        return Ok(letter);
    }
    Ok(match entity.xml10_content().as_ref() {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => ' ',
    })
}
