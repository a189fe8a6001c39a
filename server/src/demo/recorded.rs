//! What a phone's camera and microphone would have given: a photo and a recording, both small.

use std::io::Cursor;

use hound::{SampleFormat, WavSpec, WavWriter};
use image::codecs::jpeg::JpegEncoder;
use image::{ImageEncoder as _, Rgb, RgbImage};

/// Exif (TIFF, little-endian) with one entry: the camera was held upright, so the picture is to be turned by a
/// quarter.
const EXIF: &[u8] = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";

/// A gate under an evening sky, taken upright, as a JPEG with Exif.
pub fn photo() -> Vec<u8> {
    let picture = RgbImage::from_fn(480, 320, |x, y| {
        // Lying on its side: down is to the right.
        let (down, across) = (x, y);
        let is_gate = (200..420).contains(&down) && (60..260).contains(&across);
        match (is_gate, down) {
            (true, _) if across % 20 < 2 || down % 40 < 2 => Rgb([40, 44, 52]),
            (true, _) => Rgb([110, 120, 134]),
            (false, 0..330) => Rgb([70 + (down / 3) as u8, 90 + (down / 4) as u8, 160]),
            (false, _) => Rgb([64, 60 + (across % 7) as u8, 58]),
        }
    });
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 85);
    encoder.set_exif_metadata(EXIF.to_vec()).expect("a JPEG has room for Exif");
    picture.write_with_encoder(encoder).expect("a picture of this size is a JPEG");
    jpeg
}

/// Three seconds that grow louder and fade, as a WAV file.
pub fn voice() -> Vec<u8> {
    let spec = WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut wav = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut wav, spec).expect("writing to memory does not fail");
    let samples = 3 * spec.sample_rate;
    for at in 0..samples {
        let place = at as f32 / samples as f32;
        // Syllables: a swell over all, and four beats a second in it.
        let swell = (place * std::f32::consts::PI).sin();
        let beat = (place * 12.0 * std::f32::consts::PI).sin().abs();
        let tone = (at as f32 * 0.17).sin() * 0.7 + (at as f32 * 0.41).sin() * 0.3;
        let sample = (tone * swell * beat * f32::from(i16::MAX)) as i16;
        writer.write_sample(sample).expect("as above");
    }
    writer.finalize().expect("as above");
    wav.into_inner()
}
