use hauspost_protocol::file::Leaves;
use hauspost_protocol::ids::Digest;
use hauspost_protocol::statement::FileRole;

use super::*;

const LOG: LogId = LogId([5; 16]);
const SIZE: usize = 3 * CHUNK_BYTES + 10;

fn local_key() -> Secret {
    Secret::new([8; 32])
}

/// A document as its author signed it, and its chunks as the server has them.
fn document() -> (statement::File, Vec<Vec<u8>>, Vec<u8>) {
    let text: Vec<u8> = (0..SIZE).map(|at| (at % 241) as u8).collect();
    let layout = Layout::of_plain(SIZE as u64).unwrap();
    let key = Secret::new([1; 32]);
    let cipher = FileCipher::new(&key, LOG, layout);
    let mut leaves = Leaves::default();
    let chunks = (0u32..).zip(text.chunks(CHUNK_BYTES)).map(|(chunk, plain)| {
        let mut sealed = plain.to_vec();
        cipher.seal(chunk, &mut sealed).unwrap();
        leaves.push(&sealed);
        sealed
    });
    let chunks = chunks.collect();
    let file = statement::File {
        blob_root: leaves.root(),
        blob_size: layout.blob_size(),
        key,
        plain_size: SIZE as u64,
        plain_hash: hauspost_protocol::crypto::sha256(&text),
        name: "Rechnung.pdf".to_owned(),
        media_type: "application/pdf".to_owned(),
        role: FileRole::Original,
        of: None,
    };
    (file, chunks, text)
}

fn vault() -> (tempfile::TempDir, Vault) {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::new(folder.path());
    (folder, vault)
}

fn open(vault: &Vault) -> Kept {
    vault.open(7, &local_key(), Layout::of_plain(SIZE as u64).unwrap()).unwrap()
}

fn fetch_all(
    vault: &Vault,
    file: &statement::File,
    chunks: &[Vec<u8>],
) -> Result<(), DocumentError> {
    let mut fetching = Fetching::resume(open(vault), file, LOG)?;
    for sealed in chunks {
        fetching.take(sealed.clone())?;
    }
    fetching.finish(file)
}

#[test]
fn a_fetch_goes_on_after_every_chunk_and_ends_with_the_document() {
    let (_keep, vault) = vault();
    let (file, chunks, text) = document();
    for (chunk, sealed) in (0..).zip(&chunks) {
        // Each time as after a kill: nothing but the file is left.
        let mut fetching = Fetching::resume(open(&vault), &file, LOG).unwrap();
        assert_eq!(fetching.next(), chunk);
        fetching.take(sealed.clone()).unwrap();
    }
    Fetching::resume(open(&vault), &file, LOG).unwrap().finish(&file).unwrap();
    let read: Vec<u8> = (0..4).flat_map(|chunk| open(&vault).chunk(chunk).unwrap()).collect();
    assert!(read == text);
}

#[test]
fn a_swapped_cut_or_changed_chunk_is_not_taken_and_the_right_one_still_is() {
    let (_keep, vault) = vault();
    let (file, chunks, _) = document();
    let mut changed = chunks[0].clone();
    changed[100] ^= 1;
    for wrong in [chunks[1].clone(), chunks[0][1..].to_vec(), changed, vec![]] {
        let mut fetching = Fetching::resume(open(&vault), &file, LOG).unwrap();
        assert!(matches!(fetching.take(wrong), Err(DocumentError::Damaged)));
    }
    fetch_all(&vault, &file, &chunks).unwrap();
}

#[test]
fn a_document_whose_root_or_hash_is_not_the_one_signed_is_damaged() {
    let (file, chunks, _) = document();
    let other = Digest([1; 32]);
    for lie in [
        statement::File { blob_root: other, ..file.clone() },
        statement::File { plain_hash: other, ..file.clone() },
    ] {
        let (_keep, vault) = vault();
        assert!(matches!(fetch_all(&vault, &lie, &chunks), Err(DocumentError::Damaged)));
    }
    let (_keep, vault) = vault();
    assert!(matches!(fetch_all(&vault, &file, &chunks[..3]), Err(DocumentError::Damaged)));
}

#[test]
fn a_copy_is_no_plaintext_and_opens_under_its_own_key_only() {
    let (keep, vault) = vault();
    let (file, chunks, text) = document();
    fetch_all(&vault, &file, &chunks).unwrap();
    let stored = fs::read(keep.path().join("documents/7")).unwrap();
    assert!(!stored.windows(64).any(|part| part == &text[..64]));
    assert!(!stored.windows(64).any(|part| part == &chunks[0][..64]), "nor the server's bytes");
    let layout = Layout::of_plain(SIZE as u64).unwrap();
    let kept = vault.open(7, &Secret::new([9; 32]), layout).unwrap();
    assert!(matches!(kept.chunk(0), Err(DocumentError::Damaged)));
}

#[test]
fn a_document_is_written_out_under_a_safe_name_and_gone_with_the_next_start() {
    let (keep, vault) = vault();
    let (file, chunks, text) = document();
    fetch_all(&vault, &file, &chunks).unwrap();
    let path = vault.write_out(&open(&vault), 7, "../../CON").unwrap();
    assert!(path.starts_with(keep.path().join("opened/7")));
    assert_eq!(path.file_name().unwrap(), "_.._CON");
    assert!(fs::read(&path).unwrap() == text);
    vault.tidy(&[7]).unwrap();
    assert!(!path.exists() && !keep.path().join("opened").exists());
    assert!(open(&vault).chunk(0).is_ok(), "the copy stays");
    vault.tidy(&[8]).unwrap();
    assert!(!keep.path().join("documents/7").exists(), "a copy that nobody knows goes");
}

#[test]
fn a_folder_that_is_not_there_or_is_none_is_told_apart_from_the_vaults_own() {
    let (keep, vault) = vault();
    let (file, chunks, _) = document();
    fetch_all(&vault, &file, &chunks).unwrap();
    let save = |folder: &str| open(&vault).save_in(&keep.path().join(folder), "a.pdf");
    fs::write(keep.path().join("datei"), b"").unwrap();
    for (folder, why) in
        [("nirgendwo", io::ErrorKind::NotFound), ("datei", io::ErrorKind::NotADirectory)]
    {
        let Err(DocumentError::Target(error)) = save(folder) else { panic!("{folder}") };
        assert_eq!(error.kind(), why);
    }
    assert_eq!(save("").unwrap(), keep.path().join("a.pdf"));
}
