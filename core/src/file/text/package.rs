//! Documents of office programs: XML in a ZIP package (ECMA-376, ISO/IEC 26300).
//!
//! Only entries with text are decompressed, each and all of them within a limit that counts what
//! really comes out, whatever the package says about itself.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;
use zip::result::ZipError;

use super::output::Output;
use super::xml::{self, Rule};
use super::{DECOMPRESSED_BYTES, TextError};

/// Entries of a package; a book with a picture on each page has about a thousand.
const ENTRIES: usize = 20_000;
/// What begins an entry in the directory (APPNOTE 4.3.12).
const DIRECTORY_ENTRY: &[u8] = b"PK\x01\x02";
/// Decompressed bytes of one entry.
const ENTRY_BYTES: usize = 32 << 20;

pub(super) fn read(document: &[u8], out: &mut Output<'_>) -> Result<(), TextError> {
    // Before the directory is read into memory.
    let entries = document.windows(DIRECTORY_ENTRY.len()).filter(|four| *four == DIRECTORY_ENTRY);
    if entries.take(ENTRIES + 1).count() > ENTRIES {
        return Err(TextError::Bomb);
    }
    let mut package = ZipArchive::new(Cursor::new(document)).map_err(fault)?;
    let parts = parts(&package);
    if parts.is_empty() {
        return Err(TextError::Kind);
    }
    let mut left = DECOMPRESSED_BYTES;
    for (name, rule) in parts {
        let mut entry = package.by_name(&name).map_err(fault)?;
        let limit = left.min(ENTRY_BYTES);
        if entry.encrypted() {
            return Err(TextError::Locked);
        }
        if entry.size() > limit as u64 {
            return Err(TextError::Bomb);
        }
        let mut part = Vec::new();
        let read = (&mut entry).take(limit as u64 + 1).read_to_end(&mut part);
        read.map_err(|_| TextError::Damaged)?;
        if part.len() > limit {
            return Err(TextError::Bomb);
        }
        left -= part.len();
        xml::read(&part, rule, out)?;
        out.line();
    }
    Ok(())
}

/// The entries with text, in the order in which people read them.
fn parts(package: &ZipArchive<Cursor<&[u8]>>) -> Vec<(String, Rule)> {
    let mut parts: Vec<_> = package
        .file_names()
        .filter_map(|name| {
            let name = name.ok()?.into_owned();
            let (order, rule) = part(&name)?;
            // Slide 10 comes after slide 9.
            Some(((order, name.len(), name), rule))
        })
        .collect();
    parts.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    parts.into_iter().map(|((_, _, name), rule)| (name, rule)).collect()
}

/// Where the text of an entry comes, and which of its elements hold it.
fn part(name: &str) -> Option<(u8, Rule)> {
    let numbered = |folder: &str| name.starts_with(folder) && name.ends_with(".xml");
    Some(match name {
        "word/document.xml" | "xl/sharedStrings.xml" => (0, Rule::Runs),
        "content.xml" => (0, Rule::Body),
        "word/footnotes.xml" | "word/endnotes.xml" | "word/comments.xml" => (2, Rule::Runs),
        _ if numbered("word/header") || numbered("word/footer") => (1, Rule::Runs),
        _ if numbered("xl/worksheets/sheet") => (1, Rule::Cells),
        _ if numbered("ppt/slides/slide") => (0, Rule::Runs),
        _ => return None,
    })
}

fn fault(error: ZipError) -> TextError {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => TextError::Locked,
        _ => TextError::Damaged,
    }
}
