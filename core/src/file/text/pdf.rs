//! What the pages of a PDF show (ISO 32000-2 §9), as far as its fonts say which letters they are.
//!
//! Letters are taken in the order in which they are drawn, and a move of the pen ends a word; that is
//! no layout, but finds words. `lopdf` bounds what each stream becomes; what all of them become
//! together is bounded here.

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::ZlibDecoder;
use lopdf::{Dictionary, Document, Encoding, LoadOptions, Object, ObjectId, content::Content};

use super::output::Output;
use super::{DECOMPRESSED_BYTES, TextError};

/// Pages that are looked at.
const PAGES: usize = 5_000;
/// Decompressed bytes of one stream of the document's structure, or of one page.
const STREAM_BYTES: usize = 8 << 20;
/// Drawings within drawings.
const FORM_LEVELS: usize = 4;
/// A step back of so many thousandths of the font's size within a line parts two words.
const WORD_STEP: f32 = -180.0;

/// The number of pages, without a look at any of them; none if it cannot be read.
pub(super) fn pages(document: &[u8]) -> Option<u32> {
    let pages = opened(document).ok()?.page_iter().take(PAGES).count();
    u32::try_from(pages).ok().filter(|pages| *pages > 0)
}

fn opened(document: &[u8]) -> Result<Document, TextError> {
    check_structure(document)?;
    let options =
        LoadOptions { max_decompressed_size: Some(STREAM_BYTES), ..LoadOptions::default() };
    let pdf = Document::load_mem_with_options(document, options).map_err(fault)?;
    if pdf.is_encrypted() { Err(TextError::Locked) } else { Ok(pdf) }
}

/// The number of pages.
pub(super) fn read(document: &[u8], out: &mut Output<'_>) -> Result<Option<u32>, TextError> {
    let pdf = opened(document)?;
    let (mut pages, mut left) = (0, DECOMPRESSED_BYTES);
    for page in pdf.page_iter().take(PAGES) {
        pages += 1;
        out.check()?;
        // A page that cannot be read does not hide the others.
        let limit = left.min(STREAM_BYTES);
        let content = match pdf.get_page_content_with_limit(page, limit) {
            Ok(content) => content,
            Err(error) => match fault(error) {
                TextError::Bomb => return Err(TextError::Bomb),
                _ => continue,
            },
        };
        left -= content.len().min(left);
        let fonts = pdf.get_page_fonts(page).unwrap_or_default();
        let forms = forms(&pdf, resources(&pdf, page));
        let mut show = Show { pdf: &pdf, out, left: &mut left, levels: FORM_LEVELS };
        show.content(&content, &fonts, &forms)?;
        out.line();
    }
    if pages == 0 {
        return Err(TextError::Damaged);
    }
    Ok(u32::try_from(pages).ok())
}

/// Whether the streams that make up the document's structure, which are read into memory all
/// together, stay within the limit: those that begin with numbers, as streams of objects do
/// (ISO 32000-2 §7.5.7).
fn check_structure(document: &[u8]) -> Result<(), TextError> {
    let (mut left, mut from) = (DECOMPRESSED_BYTES, 0);
    let mut buffer = vec![0; 1 << 16];
    while let Some(at) = document[from..].windows(6).position(|six| six == b"stream") {
        from += at + 6;
        let data = &document[from..];
        let line = data.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let mut decoder = ZlibDecoder::new(&data[line.min(2)..]);
        let mut is_first = true;
        while let Ok(count @ 1..) = decoder.read(&mut buffer) {
            let head = &buffer[..count.min(24)];
            let is_numbers =
                head.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_whitespace());
            if std::mem::take(&mut is_first) && !is_numbers {
                break;
            }
            left = left.checked_sub(count).ok_or(TextError::Bomb)?;
        }
    }
    Ok(())
}

fn fault(error: lopdf::Error) -> TextError {
    match error {
        lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. }) => {
            TextError::Bomb
        }
        lopdf::Error::Decryption(_) | lopdf::Error::InvalidPassword => TextError::Locked,
        _ => TextError::Damaged,
    }
}

type Fonts<'d> = BTreeMap<Vec<u8>, &'d Dictionary>;
type Forms<'d> = BTreeMap<Vec<u8>, &'d lopdf::Stream>;

fn resources(pdf: &Document, page: ObjectId) -> Vec<&Dictionary> {
    let Ok((own, inherited)) = pdf.get_page_resources(page) else { return Vec::new() };
    let inherited = inherited.into_iter().filter_map(|id| pdf.get_dictionary(id).ok());
    own.into_iter().chain(inherited).collect()
}

/// The drawings that may be shown by name.
fn forms<'d>(pdf: &'d Document, resources: Vec<&'d Dictionary>) -> Forms<'d> {
    let mut forms = Forms::new();
    for resources in resources {
        let Ok(named) = resources.get_deref(b"XObject", pdf).and_then(Object::as_dict) else {
            continue;
        };
        for (name, object) in named {
            let stream =
                pdf.dereference(object).ok().and_then(|(_, object)| object.as_stream().ok());
            let is_form = |stream: &&lopdf::Stream| {
                stream
                    .dict
                    .get(b"Subtype")
                    .and_then(Object::as_name)
                    .is_ok_and(|kind| kind == b"Form")
            };
            if let Some(form) = stream.filter(is_form) {
                forms.insert(name.clone(), form);
            }
        }
    }
    forms
}

/// Shows content into an output.
struct Show<'d, 'o, 's> {
    pdf: &'d Document,
    out: &'o mut Output<'s>,
    left: &'o mut usize,
    levels: usize,
}

impl<'d> Show<'d, '_, '_> {
    fn content(
        &mut self,
        content: &[u8],
        fonts: &Fonts<'d>,
        forms: &Forms<'d>,
    ) -> Result<(), TextError> {
        // The encoding of a font is looked up when it is first used.
        let mut encodings: BTreeMap<&[u8], Option<Encoding<'d>>> = BTreeMap::new();
        let mut font: Option<&[u8]> = None;
        let mut line = 0.0;
        // What cannot be read ends the content, as in any reader of PDF.
        for operation in Content::decode_iter(content).map_while(Result::ok) {
            self.out.check()?;
            let operands = &operation.operands;
            match operation.operator.as_str() {
                "Tf" => {
                    let named = operands.first().and_then(|name| name.as_name().ok());
                    let known = named.and_then(|name| fonts.get_key_value(name));
                    font = known.map(|(name, _)| name.as_slice());
                    if let Some((name, dictionary)) = known
                        && !encodings.contains_key(name.as_slice())
                    {
                        let limit = (*self.left).min(STREAM_BYTES);
                        let found = dictionary.get_font_encoding_with_limit(self.pdf, limit);
                        let found = match found.map_err(fault) {
                            Err(TextError::Bomb) => return Err(TextError::Bomb),
                            found => found.ok(),
                        };
                        encodings.insert(name, found);
                    }
                }
                operator @ ("Tj" | "TJ" | "'" | "\"") => {
                    if matches!(operator, "'" | "\"") {
                        self.out.line();
                    }
                    let encoding =
                        font.and_then(|font| encodings.get(font)).and_then(Option::as_ref);
                    if let Some(encoding) = encoding {
                        self.string(encoding, operands, 0)?;
                    }
                }
                "T*" | "ET" => self.out.line(),
                "Td" | "TD" => self.moved(number(operands, 1) != 0.0),
                "Tm" => {
                    let to = number(operands, 5);
                    self.moved(to != line);
                    line = to;
                }
                "Do" if self.levels > 0 => {
                    let named = operands.first().and_then(|name| name.as_name().ok());
                    if let Some(form) = named.and_then(|name| forms.get(name)) {
                        self.form(form, fonts)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn moved(&mut self, is_line: bool) {
        if is_line { self.out.line() } else { self.out.space() }
    }

    fn string(
        &mut self,
        encoding: &Encoding<'_>,
        operands: &[Object],
        depth: u8,
    ) -> Result<(), TextError> {
        for operand in operands {
            match operand {
                Object::String(bytes, _) => {
                    if let Ok(text) = encoding.bytes_to_string(bytes) {
                        self.out.push(&text)?;
                    }
                }
                // TJ has one array, of strings and steps.
                Object::Array(parts) if depth == 0 => self.string(encoding, parts, 1)?,
                Object::Integer(step) if (*step as f32) < WORD_STEP => self.out.space(),
                Object::Real(step) if *step < WORD_STEP => self.out.space(),
                _ => {}
            }
        }
        Ok(())
    }

    fn form(&mut self, form: &'d lopdf::Stream, around: &Fonts<'d>) -> Result<(), TextError> {
        let limit = (*self.left).min(STREAM_BYTES);
        let content = match form.decompressed_content_with_limit(limit) {
            Ok(content) => content,
            Err(error) => match fault(error) {
                TextError::Bomb => return Err(TextError::Bomb),
                // A stream without a filter is its own content.
                _ if form.content.len() <= limit => form.content.clone(),
                _ => return Ok(()),
            },
        };
        *self.left -= content.len().min(*self.left);
        let own = form.dict.get_deref(b"Resources", self.pdf).and_then(Object::as_dict).ok();
        let mut fonts = around.clone();
        let named = own.and_then(|own| own.get_deref(b"Font", self.pdf).ok()?.as_dict().ok());
        for (name, font) in named.into_iter().flatten() {
            let font = self.pdf.dereference(font).ok().and_then(|(_, font)| font.as_dict().ok());
            fonts.extend(font.map(|font| (name.clone(), font)));
        }
        let forms = forms(self.pdf, own.into_iter().collect());
        self.levels -= 1;
        let shown = self.content(&content, &fonts, &forms);
        self.levels += 1;
        shown
    }
}

fn number(operands: &[Object], at: usize) -> f32 {
    operands.get(at).and_then(|number| number.as_float().ok()).unwrap_or_default()
}
