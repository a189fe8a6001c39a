//! Plain text in UTF-8, UTF-16 with its mark, or Windows-1252; XML without its tags.

use encoding_rs::{UTF_8, WINDOWS_1252};

use super::output::Output;
use super::{TextError, xml};

/// Bytes of a document that show whether it is text.
const HEAD_BYTES: usize = 8_192;

/// Whether these bytes are a text: no control characters but those of lines.
pub(super) fn is_text(document: &[u8]) -> bool {
    let head = &document[..document.len().min(HEAD_BYTES)];
    if document.starts_with(&[0xff, 0xfe]) || document.starts_with(&[0xfe, 0xff]) {
        return true;
    }
    !head.iter().any(|byte| matches!(byte, 0..=8 | 11 | 14..=26 | 28..=31 | 127))
}

pub(super) fn read(document: &[u8], out: &mut Output<'_>) -> Result<(), TextError> {
    // By its mark, else UTF-8 if it is that, else what German Windows programs write.
    let (text, _, is_wrong) = UTF_8.decode(document);
    let text = if is_wrong { WINDOWS_1252.decode(document).0 } else { text };
    let start = text.trim_start();
    if start.starts_with("<?xml") || start.starts_with("<!DOCTYPE") || start.starts_with("<html") {
        // A page that is no proper XML is found by its source.
        let mut stripped = Output::beside(out);
        match xml::read(start.as_bytes(), xml::Rule::All, &mut stripped) {
            Err(TextError::Damaged) => {}
            Err(error) if !stripped.is_full() => return Err(error),
            _ => return Ok(out.push(&stripped.into_text())?),
        }
    }
    Ok(out.push(&text)?)
}
