//! The length and the waveform of a recording, read and shown.
//!
//! An app that records knows both; from a terminal comes a file, and of those only the plainest, WAV, is
//! read here. Of others nothing is said.

use std::path::Path;

use hauspost_protocol::content::{VOICE_MS, Voice, WAVEFORM_BYTES};
use hound::{SampleFormat, WavReader};

/// Samples that are read: an hour of a phone's sound. Of what is longer, only the length is said.
const SAMPLES: u64 = 3_600 * 48_000 * 2;
/// Steps of a waveform on a terminal.
const STEPS: usize = 32;
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The length and the waveform of a WAV file; `None` of anything else.
pub fn heard(path: &Path) -> Option<Voice> {
    let mut wav = WavReader::open(path).ok()?;
    let spec = wav.spec();
    let duration_ms = u64::from(wav.duration()) * 1_000 / u64::from(spec.sample_rate.max(1));
    let duration_ms = u32::try_from(duration_ms).ok().filter(|ms| *ms <= VOICE_MS)?;
    let samples = u64::from(wav.len());
    let loudest = if samples == 0 || samples > SAMPLES {
        Vec::new()
    } else {
        match spec.sample_format {
            SampleFormat::Float => {
                let all = wav.samples::<f32>().map_while(Result::ok);
                loudest(all.map(f32::abs), samples)
            }
            SampleFormat::Int => {
                let full = (1_u64 << (u32::from(spec.bits_per_sample).clamp(1, 32) - 1)) as f32;
                let all = wav.samples::<i32>().map_while(Result::ok);
                loudest(all.map(|sample| sample.unsigned_abs() as f32 / full), samples)
            }
        }
    };
    Voice::new(Some(duration_ms), loudest)
}

/// The loudest sample of each bar, silence being 0.
fn loudest(samples: impl Iterator<Item = f32>, count: u64) -> Vec<u8> {
    let bars = count.min(WAVEFORM_BYTES as u64);
    let mut loudest = vec![0_u8; bars as usize];
    for (at, sample) in (0..count).zip(samples) {
        let bar = (at * bars / count) as usize;
        // Out of range, and no number at all, become the nearest byte.
        loudest[bar] = loudest[bar].max((sample * 255.0) as u8);
    }
    loudest
}

/// A length of time, as a clock shows it.
pub fn length(ms: u32) -> String {
    let seconds = ms.div_ceil(1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// A waveform for a terminal, in at most 32 steps.
pub fn waveform(bars: &[u8]) -> String {
    let steps = bars.len().min(STEPS);
    let step = |at: usize| {
        let part = &bars[at * bars.len() / steps..(at + 1) * bars.len() / steps];
        let loudest = part.iter().copied().max().unwrap_or_default();
        HEIGHTS[usize::from(loudest) * (HEIGHTS.len() - 1) / usize::from(u8::MAX)]
    };
    (0..steps).map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(folder: &Path, format: SampleFormat, samples: &[f32]) -> std::path::PathBuf {
        let bits_per_sample = if format == SampleFormat::Float { 32 } else { 16 };
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample,
            sample_format: format,
        };
        let path = folder.join("a.wav");
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for sample in samples {
            match format {
                SampleFormat::Float => writer.write_sample(*sample).unwrap(),
                SampleFormat::Int => writer.write_sample((*sample * 32_767.0) as i16).unwrap(),
            }
        }
        writer.finalize().unwrap();
        path
    }

    #[test]
    fn a_wav_file_says_how_long_and_how_loud_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let samples: Vec<f32> = (0..16_000).map(|at| (at / 4_000) as f32 / 4.0).collect();
        for format in [SampleFormat::Int, SampleFormat::Float] {
            let voice = heard(&wav(folder.path(), format, &samples)).unwrap();
            assert_eq!((voice.duration_ms(), voice.waveform().len()), (Some(2_000), 64));
            let quarters: Vec<u8> = voice.waveform().iter().step_by(16).copied().collect();
            assert_eq!(quarters, [0, 63, 127, 191], "{format:?}");
        }
    }

    #[test]
    fn no_number_no_sample_and_no_wav_file_are_borne() {
        let folder = tempfile::tempdir().unwrap();
        let odd = [f32::NAN, f32::INFINITY, -7.0];
        let voice = heard(&wav(folder.path(), SampleFormat::Float, &odd)).unwrap();
        assert_eq!(voice.waveform(), [0, 255, 255]);
        let none = heard(&wav(folder.path(), SampleFormat::Int, &[])).unwrap();
        assert_eq!((none.duration_ms(), none.waveform().len()), (Some(0), 0));
        let other = folder.path().join("b.wav");
        std::fs::write(&other, b"RIFF\xff\xff\xff\xffWAVEfmt ").unwrap();
        assert_eq!(heard(&other), None);
        assert_eq!(heard(folder.path()), None);
    }

    #[test]
    fn a_length_is_shown_as_a_clock_does() {
        let shown = [0, 1, 59_000, 61_500, 3_600_000, 86_400_000].map(length);
        assert_eq!(shown, ["0:00", "0:01", "0:59", "1:02", "1:00:00", "24:00:00"]);
    }

    #[test]
    fn a_waveform_has_a_step_for_each_bar_or_for_the_loudest_of_several() {
        assert_eq!(waveform(&[]), "");
        assert_eq!(waveform(&[0, 127, 255]), "▁▄█");
        let long: Vec<u8> = (0..64).map(|at| if at % 2 == 0 { 0 } else { 255 }).collect();
        assert_eq!(waveform(&long), "█".repeat(32));
    }
}
