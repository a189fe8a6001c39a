//! Documents: sealing, opening, and carrying a gigabyte, with the memory that it takes.

use std::fs::File as StdFile;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use chacha20poly1305::aead::AeadInPlace as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hauspost_core::file::source::Source;
use hauspost_core::file::vault::{Fetching, Vault};
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::file::{CHUNK_BYTES, FileCipher, Layout};
use hauspost_protocol::ids::LogId;
use hauspost_protocol::statement::{File, FileRole};
use image::{ImageFormat, Rgb, RgbImage};
use sha2::{Digest as _, Sha256};

use crate::table::{remark, row, title};
use crate::world::World;

const SIZE: u64 = 1 << 30;
const LOG: LogId = LogId([3; 16]);

pub async fn print() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gigabyte");
    write(&path);
    title("A document of 1 GiB on one phone", &["MB/s", "of alone", "goal"]);
    let aead = alone(&[], false);
    let seal = alone(&[()], false);
    let open = alone(&[()], true);
    row("alone: XChaCha20-Poly1305, 64 KiB each", &[speed(aead)]);
    row("alone: the same and SHA-256 of it, sealing", &[speed(seal)]);
    row("alone: the same and SHA-256 of it, opening", &[speed(open)]);
    let (file, sealing) = sealed(&path);
    let share = |took: Duration, alone: Duration| {
        format!("{:.0} %", alone.as_secs_f64() / took.as_secs_f64() * 100.0)
    };
    row(
        "sealing: reading, AEAD, hash of plaintext, hash of each chunk",
        &[speed(sealing), share(sealing, seal), "≥ 70 %".into()],
    );
    let (taking, opening) = opened(&path, folder.path(), &file);
    row("taking in: hash, open, hash, seal for this phone, write", &[speed(taking)]);
    row(
        "opening what is kept, to the last byte",
        &[speed(opening), share(opening, aead), "≥ 70 %".into()],
    );
    carried(&path).await;
    previews(folder.path()).await;
}

/// What a preview of a large picture takes, made as its message is written.
async fn previews(folder: &Path) {
    let mut world = World::found().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = anna.group("Baustelle", &[&ben]).await;
    title("A message with a large picture, its preview made", &["ms", "MiB more", "of the file"]);
    for (name, width, height, format) in [
        ("JPEG, 12 megapixels", 4_000, 3_000, ImageFormat::Jpeg),
        ("JPEG, 50 megapixels", 8_660, 5_774, ImageFormat::Jpeg),
        ("JPEG, 200 megapixels", 16_320, 12_240, ImageFormat::Jpeg),
        ("PNG, 12 megapixels", 4_000, 3_000, ImageFormat::Png),
        ("PNG, 50 megapixels: none", 8_660, 5_774, ImageFormat::Png),
    ] {
        let path = folder.join("picture");
        let picture = RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x / 16) as u8, (y / 16) as u8, (x ^ y) as u8 & 31])
        });
        picture.save_with_format(&path, format).unwrap();
        drop(picture);
        let size = path.metadata().unwrap().len();
        let idle = resident_kib("VmRSS");
        reset_peak();
        let began = Instant::now();
        anna.account.send_file(log, &path, "picture", "image/jpeg", "").await.unwrap();
        let took = began.elapsed();
        let memory = resident_kib("VmHWM").saturating_sub(idle);
        row(
            name,
            &[
                format!("{:.0}", took.as_secs_f64() * 1e3),
                format!("{:.1}", memory as f64 / 1024.0),
                format!("{:.1} MB", size as f64 / 1e6),
            ],
        );
    }
    remark(
        "memory: the most above what the process had before; the goal is that it does not grow with the picture",
    );
}

/// A file that no two chunks are alike in.
fn write(path: &Path) {
    let mut out = BufWriter::with_capacity(1 << 20, StdFile::create(path).unwrap());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..SIZE / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.write_all(&state.to_le_bytes()).unwrap();
    }
    out.into_inner().unwrap().sync_all().unwrap();
}

fn speed(took: Duration) -> String {
    format!("{:.0}", SIZE as f64 / took.as_secs_f64() / 1e6)
}

/// The AEAD over chunks in memory, and one hash of them for each of `hashes`.
fn alone(hashes: &[()], opens: bool) -> Duration {
    let cipher = XChaCha20Poly1305::new(&[3; 32].into());
    let nonce = XNonce::from([4; 24]);
    let mut hash = Sha256::new();
    let mut buffer = vec![5; CHUNK_BYTES];
    let tag = cipher.encrypt_in_place_detached(&nonce, b"", &mut buffer).unwrap();
    let sealed = buffer.clone();
    let began = Instant::now();
    for _ in 0..SIZE / CHUNK_BYTES as u64 {
        if opens {
            buffer.copy_from_slice(&sealed);
            cipher.decrypt_in_place_detached(&nonce, b"", &mut buffer, &tag).unwrap();
        } else {
            cipher.encrypt_in_place_detached(&nonce, b"", &mut buffer).unwrap();
        }
        hashes.iter().for_each(|()| hash.update(&buffer));
    }
    let took = began.elapsed();
    std::hint::black_box(hash.finalize());
    took
}

/// What the statement says of the file, and how long it took to find out: the first pass of a sender.
fn sealed(path: &Path) -> (File, Duration) {
    let layout = Layout::of_plain(SIZE).unwrap();
    let key = Secret::new([1; 32]);
    let source = Source::open(path, layout, FileCipher::new(&key, LOG, layout)).unwrap();
    source.read_through().unwrap();
    let began = Instant::now();
    let read = source.read_through().unwrap();
    let took = began.elapsed();
    let file = File {
        blob_root: read.leaves.root(),
        blob_size: layout.blob_size(),
        key,
        plain_size: SIZE,
        plain_hash: read.plain_hash,
        name: String::new(),
        media_type: String::new(),
        role: FileRole::Original,
        of: None,
    };
    (file, took)
}

/// How long a receiver takes for all chunks once they are here, and for reading them again.
fn opened(path: &Path, folder: &Path, file: &File) -> (Duration, Duration) {
    let layout = Layout::of_plain(SIZE).unwrap();
    let source = Source::open(path, layout, FileCipher::new(&file.key, LOG, layout)).unwrap();
    let read = source.read_through().unwrap();
    let vault = Vault::new(folder);
    let open = || vault.open(1, &Secret::new([2; 32]), layout).unwrap();
    let mut fetching = Fetching::resume(open(), file, LOG).unwrap();
    let mut taking = Duration::ZERO;
    for chunk in 0..layout.chunks() {
        let sealed = source.sealed(&read.leaves, chunk).unwrap();
        let began = Instant::now();
        fetching.take(sealed).unwrap();
        taking += began.elapsed();
    }
    let began = Instant::now();
    fetching.finish(file).unwrap();
    taking += began.elapsed();
    let kept = open();
    let began = Instant::now();
    for chunk in 0..layout.chunks() {
        std::hint::black_box(kept.chunk(chunk).unwrap());
    }
    (taking, began.elapsed())
}

/// Over TLS on loopback to a server in a process of its own, which flushes to its disk.
async fn carried(path: &Path) {
    let mut world = World::found_apart().await;
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = anna.group("Baustelle", &[&ben]).await;
    ben.settle().await;
    anna.account.send_text(log, "gleich").await.unwrap();
    anna.settle().await;
    let idle = resident_kib("VmRSS");
    reset_peak();
    let id = anna.account.send_file(log, path, "gigabyte", "", "").await.unwrap();
    let began = Instant::now();
    anna.account.upload_once().await.unwrap();
    let up = began.elapsed();
    let up_memory = resident_kib("VmHWM").saturating_sub(idle);
    anna.settle().await;
    ben.settle().await;
    let idle = resident_kib("VmRSS");
    reset_peak();
    let began = Instant::now();
    ben.account.fetch_file(log, id, 0).await.unwrap();
    let down = began.elapsed();
    let down_memory = resident_kib("VmHWM").saturating_sub(idle);
    title("A document of 1 GiB over TLS on loopback", &["MB/s", "goal", "MiB more", "goal"]);
    let memory = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
    let goal = || "≥ 150".to_owned();
    row(
        "up: both passes, the server's flushes too",
        &[speed(up), goal(), memory(up_memory), "≤ 16".into()],
    );
    row(
        "down: verified, sealed and written on the phone",
        &[speed(down), goal(), memory(down_memory), "≤ 16".into()],
    );
    remark("memory: the most that this process had meanwhile, above what it had before");
}

/// A figure of this process that the kernel keeps, in KiB.
fn resident_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

/// Lets the kernel forget the most that this process had.
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
