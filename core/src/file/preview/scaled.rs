//! Large photos, decoded at a half, a quarter or an eighth of their size: a JPEG is made of blocks of eight by
//! eight pixels, of which the average, or a few waves more, can be computed alone.
//!
//! By `jpeg-decoder`, since the decoder of `image` has no such way. A photo that comes line by line takes
//! a few megabytes whatever its size; one that comes in passes (progressive) is held in memory as a
//! whole before it is decoded, and so has a limit of its own.

use std::io::Read;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_decoder::{CodingProcess, Decoder, PixelFormat};

use super::{DECODED_BYTES, EDGE, PreviewFault};

/// A larger photo gets no preview, in bytes.
const PHOTO_BYTES: u64 = 128 << 20;
/// One with more pixels gets none.
const PHOTO_PIXELS: u64 = 250_000_000;
/// What a pixel takes of a photo that comes in passes: three numbers of sixteen bits.
const PASSES_BYTES: u64 = 6;
/// Smaller ones are decoded whole, in pixels.
const WHOLE_PIXELS: u64 = 2_000_000;
/// The shorter edge at which scaling stops, so that what is made of it is as sharp as of the whole.
const SHARP_EDGE: u16 = 2 * EDGE as u16;

/// A photo of this size in bytes at a part of its size in pixels, and which way up it is; `None` of one that is
/// small enough to be decoded whole.
pub(super) fn decode(
    photo: impl Read,
    size_bytes: u64,
) -> Result<Option<(DynamicImage, Orientation)>, PreviewFault> {
    let damaged = |_| PreviewFault::Damaged;
    let mut decoder = Decoder::new(photo);
    decoder.read_info().map_err(damaged)?;
    let info = decoder.info().ok_or(PreviewFault::Damaged)?;
    let pixels = u64::from(info.width) * u64::from(info.height);
    if pixels <= WHOLE_PIXELS {
        return Ok(None);
    }
    let takes = match info.coding_process {
        CodingProcess::DctSequential => 0,
        CodingProcess::DctProgressive => pixels * PASSES_BYTES,
        CodingProcess::Lossless => return Err(PreviewFault::Type),
    };
    if size_bytes > PHOTO_BYTES || pixels > PHOTO_PIXELS || takes > DECODED_BYTES {
        return Err(PreviewFault::TooLarge);
    }
    // What comes out is at least this large, and less than twice.
    let shorter = info.width.min(info.height);
    let scale = |edge: u16| {
        let scaled = u32::from(edge) * u32::from(SHARP_EDGE) / u32::from(shorter.max(1));
        u16::try_from(scaled).unwrap_or(edge).clamp(1, edge)
    };
    let scaled = decoder.scale(scale(info.width), scale(info.height)).map_err(damaged)?;
    // Three colours, once by themselves and once side by side.
    if u64::from(scaled.0) * u64::from(scaled.1) * 6 > DECODED_BYTES {
        return Err(PreviewFault::TooLarge);
    }
    let decoded = decoder.decode().map_err(damaged)?;
    let orientation = decoder.exif_data().and_then(Orientation::from_exif_chunk);
    let info = decoder.info().ok_or(PreviewFault::Damaged)?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let picture = match info.pixel_format {
        PixelFormat::RGB24 => {
            RgbImage::from_raw(width, height, decoded).map(DynamicImage::ImageRgb8)
        }
        PixelFormat::L8 => {
            GrayImage::from_raw(width, height, decoded).map(DynamicImage::ImageLuma8)
        }
        // For printers.
        PixelFormat::CMYK32 | PixelFormat::L16 => return Err(PreviewFault::Type),
    };
    let picture = picture.ok_or(PreviewFault::Damaged)?;
    Ok(Some((picture, orientation.unwrap_or(Orientation::NoTransforms))))
}
