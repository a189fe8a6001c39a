use futures_util::FutureExt as _;
use image::RgbaImage;

use super::*;
use crate::file::corpus;

fn written(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn preview(picture: &[u8]) -> Option<Preview> {
    let (_keep, path) = written(picture);
    make(&path, Bounds::PREVIEW)
}

fn shown(preview: &Preview) -> image::RgbImage {
    image::load_from_memory(&preview.picture).unwrap().into_rgb8()
}

fn is_dark(pixel: &image::Rgb<u8>) -> bool {
    pixel.0.iter().all(|colour| *colour < 60)
}

#[test]
fn a_photo_stands_the_right_way_up_however_the_phone_was_held() {
    // Where the black bottom of the photo is shown, for each of EXIF's orientations.
    for (orientation, is_turned, dark) in [
        (1, false, (160, 230)),
        (2, false, (160, 230)),
        (3, false, (160, 8)),
        (4, false, (160, 8)),
        (5, true, (230, 160)),
        (6, true, (8, 160)),
        (7, true, (8, 160)),
        (8, true, (230, 160)),
    ] {
        let preview = preview(&corpus::photo(1_280, 960, orientation)).unwrap();
        let size = if is_turned { (240, 320) } else { (320, 240) };
        assert_eq!((preview.width, preview.height), size, "{orientation}");
        let picture = shown(&preview);
        assert_eq!(picture.dimensions(), size);
        assert!(is_dark(picture.get_pixel(dark.0, dark.1)), "{orientation}");
        let other = (size.0 - 1 - dark.0, size.1 - 1 - dark.1);
        assert!(!is_dark(picture.get_pixel(other.0, other.1)), "{orientation}");
    }
}

#[test]
fn a_preview_says_nothing_of_place_and_device() {
    let photo = corpus::photo(400, 300, 6);
    assert!(photo.windows(4).any(|four| four == b"Exif"));
    let preview = preview(&photo).unwrap();
    assert!(!preview.picture.windows(4).any(|four| four == b"Exif"));
}

#[test]
fn a_preview_is_small_in_every_format_and_never_larger_than_its_picture() {
    for format in FORMATS {
        let preview = preview(&corpus::noise(1_000, 700, format)).unwrap();
        assert_eq!((preview.width, preview.height), (320, 224), "{format:?}");
        assert!(preview.picture.len() <= PREVIEW_BYTES, "{format:?}");
    }
    let icon = preview(&corpus::noise(20, 10, ImageFormat::Png)).unwrap();
    assert_eq!((icon.width, icon.height), (20, 10));
    let line = preview(&corpus::noise(4_000, 1, ImageFormat::Png)).unwrap();
    assert_eq!((line.width, line.height), (320, 1));
}

#[test]
fn what_shines_through_stays_so_where_there_is_room() {
    let png = |picture: &RgbaImage| {
        let mut bytes = Vec::new();
        picture.write_with_encoder(PngEncoder::new(&mut bytes)).unwrap();
        bytes
    };
    let plain = RgbaImage::from_pixel(600, 600, Rgba([10, 20, 30, 128]));
    assert_eq!(preview(&png(&plain)).unwrap().media_type, "image/png");
    let mut state = 1_u32;
    let rough = RgbaImage::from_fn(320, 320, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgba(state.to_be_bytes())
    });
    assert_eq!(preview(&png(&rough)).unwrap().media_type, "image/jpeg");
}

#[test]
fn what_is_no_picture_of_these_formats_has_no_preview() {
    let cut = corpus::photo(400, 300, 1)[..300].to_vec();
    for other in [corpus::heic(), Vec::new(), b"%PDF-1.7".to_vec(), b"GIF89a".to_vec(), cut] {
        assert!(preview(&other).is_none(), "{:?}", &other[..other.len().min(8)]);
    }
}

/// A PNG whose header claims this size, with the checksum that it needs.
fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut png = corpus::noise(8, 8, ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&png[12..29]);
    png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    png
}

#[test]
fn a_picture_that_would_grow_beyond_the_limit_is_not_decoded() {
    assert!(preview(&png_claiming(60_000, 60_000)).is_none());
    let decoded =
        decode(&png_claiming(8_000, 8_000), ImageFormat::Png, DECODED_BYTES, DECODER_BYTES);
    assert_eq!(decoded.err(), Some(PreviewFault::TooLarge), "64 million pixels");
}

#[test]
fn a_large_photo_is_decoded_at_a_part_of_its_size_and_looks_as_one_that_was_decoded_whole() {
    for (width, height, orientation) in [(2_400, 1_600, 1), (1_500, 4_500, 6), (9_000, 300, 3)] {
        let photo = corpus::photo(width, height, orientation);
        let scaled = scaled::decode(&photo[..], photo.len() as u64).unwrap();
        let (part, found) = scaled.expect("more than two million pixels");
        assert!(part.width() < width && part.height() < height || height == 300);
        let (whole, _) = decode(&photo, ImageFormat::Jpeg, u64::MAX >> 1, DECODER_BYTES).unwrap();
        assert_eq!(found, Orientation::from_exif(orientation).unwrap());
        let (small, expected) = (part.thumbnail(64, 64), whole.thumbnail(64, 64));
        assert_eq!((small.width(), small.height()), (expected.width(), expected.height()));
        let (small, expected) = (small.into_rgb8(), expected.into_rgb8());
        let differs = small.iter().zip(expected.iter()).map(|(one, other)| one.abs_diff(*other));
        let differs = differs.map(u64::from).sum::<u64>() / small.len() as u64;
        assert!(differs < 6, "{width} × {height}: {differs}");
    }
    let small = corpus::photo(1_000, 1_000, 1);
    assert!(scaled::decode(&small[..], small.len() as u64).unwrap().is_none());
}

/// A JPEG whose header claims this size, to be decoded in the way of this marker.
fn jpeg_claiming(marker: u8, width: u16, height: u16) -> Vec<u8> {
    let mut jpeg = vec![0xff, 0xd8, 0xff, marker, 0, 17, 8];
    jpeg.extend(height.to_be_bytes());
    jpeg.extend(width.to_be_bytes());
    jpeg.extend([3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 0xff, 0xd9]);
    jpeg
}

#[test]
fn a_photo_that_would_take_too_much_memory_or_is_for_other_machines_is_not_decoded() {
    const SEQUENTIAL: u8 = 0xc0;
    const PROGRESSIVE: u8 = 0xc2;
    const LOSSLESS: u8 = 0xc3;
    let table = [
        (jpeg_claiming(SEQUENTIAL, 60_000, 60_000), PreviewFault::TooLarge),
        (jpeg_claiming(PROGRESSIVE, 4_000, 4_000), PreviewFault::TooLarge),
        (jpeg_claiming(LOSSLESS, 4_000, 4_000), PreviewFault::Type),
        (jpeg_claiming(SEQUENTIAL, 8_000, 6_000), PreviewFault::Damaged),
        (jpeg_claiming(PROGRESSIVE, 3_000, 3_000), PreviewFault::Damaged),
        (corpus::photo(3_000, 1_000, 1)[..9_000].to_vec(), PreviewFault::Damaged),
    ];
    for (number, (photo, fault)) in table.into_iter().enumerate() {
        let decoded = scaled::decode(&photo[..], photo.len() as u64);
        assert_eq!(decoded.err(), Some(fault), "row {number}");
        assert!(preview(&photo).is_none());
    }
    let photo = corpus::photo(3_000, 1_000, 1);
    assert_eq!(scaled::decode(&photo[..], u64::MAX).err(), Some(PreviewFault::TooLarge));
}

#[test]
fn a_preview_that_came_is_shown_as_this_phone_encodes_it() {
    let sent = preview(&corpus::photo(1_000, 800, 1)).unwrap();
    let looked = look(&sent.picture, "image/jpeg", Bounds::PREVIEW).unwrap();
    assert_eq!((looked.width, looked.height), (320, 256));
    let mut tail = sent.picture.clone();
    tail.extend(b"<script>");
    let looked = look(&tail, "image/jpeg", Bounds::PREVIEW).unwrap();
    assert!(!looked.picture.ends_with(b"<script>"), "what stands behind the picture is left out");
}

#[test]
fn a_preview_that_lies_about_its_type_or_size_is_refused() {
    let jpeg = preview(&corpus::photo(300, 200, 1)).unwrap().picture;
    let png = corpus::noise(40, 30, ImageFormat::Png);
    let table = [
        (jpeg.clone(), "image/png", PreviewFault::Type),
        (png.clone(), "image/jpeg", PreviewFault::Type),
        (jpeg.clone(), "application/pdf", PreviewFault::Type),
        (corpus::noise(10, 10, ImageFormat::Gif), "image/gif", PreviewFault::Type),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            "image/svg+xml",
            PreviewFault::Type,
        ),
        (Vec::new(), "image/jpeg", PreviewFault::Type),
        (corpus::photo(321, 20, 1), "image/jpeg", PreviewFault::TooLarge),
        (corpus::photo(20, 321, 1), "image/jpeg", PreviewFault::TooLarge),
        (png_claiming(60_000, 60_000), "image/png", PreviewFault::TooLarge),
        (corpus::noise(300, 300, ImageFormat::Png), "image/png", PreviewFault::TooLarge),
        (png[..png.len() / 2].to_vec(), "image/png", PreviewFault::Damaged),
        (png_claiming(300, 300), "image/png", PreviewFault::Damaged),
    ];
    for (number, (picture, named, fault)) in table.into_iter().enumerate() {
        assert_eq!(look(&picture, named, Bounds::PREVIEW).err(), Some(fault), "row {number}");
    }
}

#[tokio::test]
async fn a_preview_is_not_waited_for_beyond_its_deadline() {
    let (_keep, path) = written(&corpus::photo(2_000, 1_500, 1));
    assert!(of(&path, Bounds::PREVIEW, std::future::pending().boxed()).await.is_some());
    let picture = corpus::noise(30, 30, ImageFormat::Png);
    let named = "image/png".to_owned();
    let looked = examine(picture, named, Bounds::PREVIEW, std::future::pending().boxed()).await;
    assert!(looked.is_ok());
}
