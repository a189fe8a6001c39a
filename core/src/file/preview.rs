//! Small pictures of pictures: made by the sender's phone, believed by nobody else's.
//!
//! [`of`] makes one of a picture that a person sends: the right way up, without what the camera wrote
//! about place and device. [`examine`] looks at one that came from somebody else: what it is says its
//! content, its size is judged before it is decoded, and what is shown is not the bytes that came but
//! the same picture, encoded anew here. So a phone's own decoder never sees what another phone made.
//!
//! A photo of fifty megapixels is decoded at an eighth of its size (`scaled`), so that memory stays bounded
//! whatever a camera makes; of the other formats, which have no such way, one that large has no preview.

use std::fs::File;
use std::io::{BufReader, Cursor, Read as _};
use std::path::Path;

use futures_util::future::BoxFuture;
use hauspost_protocol::content;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, Rgba};

mod scaled;

use super::apart::{self, Broken};

/// The longest edge of a preview, in pixels.
pub const EDGE: u32 = Bounds::PREVIEW.edge;
/// The size of a preview, in bytes.
pub const PREVIEW_BYTES: usize = Bounds::PREVIEW.bytes;

/// How large a small picture may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Its longest edge, in pixels.
    pub edge: u32,
    /// Its size, in bytes.
    pub bytes: usize,
}

impl Bounds {
    /// A preview of a document.
    pub const PREVIEW: Self = Self { edge: 320, bytes: 32 << 10 };
    /// A conversation's picture.
    pub const PICTURE: Self = Self { edge: 512, bytes: content::PICTURE_BYTES as usize };

    /// The memory that one takes when it is decoded, in bytes, at most.
    fn decoded_bytes(self) -> u64 {
        // Sixteen bits and four channels are the most that any of the formats has.
        u64::from(self.edge) * u64::from(self.edge) * 8
    }
}

/// A larger picture gets no preview, in bytes.
const PICTURE_BYTES: u64 = 32 << 20;
/// One that takes more memory when it is decoded gets none, in bytes.
const DECODED_BYTES: u64 = 64 << 20;
/// Memory that decoding it may take besides the pixels, in bytes.
const DECODER_BYTES: u64 = 64 << 20;
/// Qualities that are tried until it is small enough.
const QUALITIES: [u8; 4] = [80, 65, 50, 30];

/// The formats that previews are made of.
const FORMATS: [ImageFormat; 4] =
    [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP];

/// A small picture, encoded by this phone.
#[derive(Clone, PartialEq, Eq)]
pub struct Preview {
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// `image/jpeg`, or `image/png` if it is not opaque everywhere.
    pub media_type: &'static str,
    /// The encoded picture.
    pub picture: Vec<u8>,
}

/// Why a preview that came is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PreviewFault {
    /// It is larger than a preview may be, in bytes or pixels.
    #[error("the preview is too large")]
    TooLarge,
    /// It is no JPEG and no PNG, or not what the statement says that it is.
    #[error("the preview is not of the type that its author named")]
    Type,
    /// It does not decode, or not in time.
    #[error("the preview is damaged")]
    Damaged,
    /// The server does not have it any more.
    #[error("the preview is gone")]
    Gone,
}

/// The preview of a picture that is to be sent; `None` of what is no picture, of one that is too large
/// and of one that does not decode in time.
pub(crate) async fn of(
    path: &Path,
    bounds: Bounds,
    deadline: BoxFuture<'static, ()>,
) -> Option<Preview> {
    let path = path.to_owned();
    apart::run(move |_| make(&path, bounds), deadline, ()).await.ok().flatten()
}

fn make(path: &Path, bounds: Bounds) -> Option<Preview> {
    let (decoded, orientation) = whole_or_scaled(path).ok()?;
    let mut small = match decoded.width().max(decoded.height()) > bounds.edge {
        true => decoded.thumbnail(bounds.edge, bounds.edge),
        false => decoded,
    };
    small.apply_orientation(orientation);
    encode(&small, bounds)
}

/// A picture as far as it is decoded for a preview: whole, or a large photo at a part of its size.
fn whole_or_scaled(path: &Path) -> Result<(DynamicImage, Orientation), PreviewFault> {
    let damaged = |_| PreviewFault::Damaged;
    let mut file = File::open(path).map_err(damaged)?;
    let size = file.metadata().map_err(damaged)?.len();
    let mut head = Vec::new();
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(damaged)?;
    let format = format(&head).filter(|format| FORMATS.contains(format));
    let format = format.ok_or(PreviewFault::Type)?;
    if format == ImageFormat::Jpeg
        && let Some(scaled) =
            scaled::decode(BufReader::new(Cursor::new(head).chain(&mut file)), size)?
    {
        return Ok(scaled);
    }
    if size > PICTURE_BYTES {
        return Err(PreviewFault::TooLarge);
    }
    decode(&std::fs::read(path).map_err(damaged)?, format, DECODED_BYTES, DECODER_BYTES)
}

/// Bytes by which a format is known.
const HEAD_BYTES: u64 = 64;

/// What a preview that came from somebody shows, if it is what its author says and no larger than
/// allowed.
pub(crate) async fn examine(
    picture: Vec<u8>,
    named: String,
    bounds: Bounds,
    deadline: BoxFuture<'static, ()>,
) -> Result<Preview, PreviewFault> {
    match apart::run(move |_| look(&picture, &named, bounds), deadline, ()).await {
        Ok(looked) => looked,
        Err(Broken::Late | Broken::Panicked) => Err(PreviewFault::Damaged),
    }
}

fn look(picture: &[u8], named: &str, bounds: Bounds) -> Result<Preview, PreviewFault> {
    if picture.len() > bounds.bytes {
        return Err(PreviewFault::TooLarge);
    }
    let format = match format(picture) {
        Some(format @ ImageFormat::Jpeg) if named == "image/jpeg" => format,
        Some(format @ ImageFormat::Png) if named == "image/png" => format,
        _ => return Err(PreviewFault::Type),
    };
    let (decoded, _) = decode(picture, format, bounds.decoded_bytes(), 4 << 20)?;
    if decoded.width() > bounds.edge || decoded.height() > bounds.edge {
        return Err(PreviewFault::TooLarge);
    }
    encode(&decoded, bounds).ok_or(PreviewFault::TooLarge)
}

/// The pixels of a picture that this phone encoded, in so many columns and lines: for a screen that shows
/// no pictures. What is transparent is white.
pub fn pixels(picture: &[u8], columns: u32, lines: u32) -> Option<Vec<Vec<[u8; 3]>>> {
    let bytes = Bounds::PICTURE.decoded_bytes();
    let (decoded, _) = decode(picture, format(picture)?, bytes, DECODER_BYTES).ok()?;
    let small = decoded.resize_to_fill(columns, lines, FilterType::Triangle).to_rgba8();
    let shown = |Rgba([red, green, blue, alpha]): &Rgba<u8>| {
        [red, green, blue].map(|colour| {
            let shown = u16::from(*colour) * u16::from(*alpha) / 255 + 255 - u16::from(*alpha);
            u8::try_from(shown).unwrap_or(255)
        })
    };
    Some(small.rows().map(|line| line.map(shown).collect()).collect())
}

/// Whether a document with this beginning is a picture of which previews are made.
pub(crate) fn is_picture(beginning: &[u8]) -> bool {
    format(beginning).is_some_and(|format| FORMATS.contains(&format))
}

fn format(picture: &[u8]) -> Option<ImageFormat> {
    image::guess_format(picture).ok()
}

/// Decodes a picture, the first one of several, whose header says that it takes no more memory than this.
fn decode(
    picture: &[u8],
    format: ImageFormat,
    decoded_bytes: u64,
    beside_bytes: u64,
) -> Result<(DynamicImage, Orientation), PreviewFault> {
    let damaged = |_| PreviewFault::Damaged;
    let mut limits = Limits::default();
    limits.max_alloc = Some(decoded_bytes + beside_bytes);
    let mut reader = ImageReader::with_format(Cursor::new(picture), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(PreviewFault::Damaged);
    }
    if decoder.total_bytes() > decoded_bytes {
        return Err(PreviewFault::TooLarge);
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder).map_err(damaged)?, orientation))
}

/// Encodes a small picture: without anything but its pixels, and within the limit.
fn encode(small: &DynamicImage, bounds: Bounds) -> Option<Preview> {
    let (width, height) = (small.width(), small.height());
    let fits = |picture: &Vec<u8>| picture.len() <= bounds.bytes;
    let mut pixels = small.to_rgba8();
    if pixels.pixels().any(|Rgba([.., alpha])| *alpha < 255) {
        let mut picture = Vec::new();
        pixels.write_with_encoder(PngEncoder::new(&mut picture)).ok()?;
        if fits(&picture) {
            return Some(Preview { width, height, media_type: "image/png", picture });
        }
        // On white, where there is no room for what shines through.
        for Rgba([red, green, blue, alpha]) in pixels.pixels_mut() {
            for colour in [red, green, blue] {
                let shown = u16::from(*colour) * u16::from(*alpha) / 255;
                *colour = u8::try_from(shown + 255 - u16::from(*alpha)).unwrap_or(255);
            }
            *alpha = 255;
        }
    }
    let opaque = DynamicImage::ImageRgba8(pixels).into_rgb8();
    let encoded = QUALITIES.into_iter().find_map(|quality| {
        let mut picture = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut picture, quality);
        opaque.write_with_encoder(encoder).ok()?;
        fits(&picture).then_some(Preview { width, height, media_type: "image/jpeg", picture })
    });
    // What is so rough that it stays too large is shown at half the size.
    let smaller = || encode(&small.thumbnail(width / 2, height / 2), bounds);
    encoded.or_else(|| (width.min(height) > 2).then(smaller).flatten())
}

#[cfg(test)]
mod tests;
