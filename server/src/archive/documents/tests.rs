use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use hauspost_protocol::crypto::{Secret, sha256};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{Payload, Slot};
use hauspost_protocol::file::CHUNK_BYTES;
use hauspost_protocol::ids::{LeafIndex, RecordIndex};
use hauspost_protocol::statement::FileRole;
use rand::SeedableRng as _;

use super::super::export::tests::export;
use super::super::verify::{Finding, Pin, Place, examine};
use super::*;

const LOG: LogId = LogId([2; 16]);

fn text() -> Vec<u8> {
    (0..2 * CHUNK_BYTES + 9).map(|at| (at % 239) as u8).collect()
}

/// A document as its author signed it, and its ciphertext.
fn document() -> (statement::File, Vec<u8>) {
    let text = text();
    let layout = Layout::of_plain(text.len() as u64).unwrap();
    let key = Secret::new([1; 32]);
    let cipher = FileCipher::new(&key, LOG, layout);
    let (mut leaves, mut stored) = (Leaves::default(), Vec::new());
    for (chunk, plain) in (0..).zip(text.chunks(CHUNK_BYTES)) {
        let mut sealed = plain.to_vec();
        cipher.seal(chunk, &mut sealed).unwrap();
        leaves.push(&sealed);
        stored.extend(sealed);
    }
    let file = statement::File {
        blob_root: leaves.root(),
        blob_size: layout.blob_size(),
        key,
        plain_size: text.len() as u64,
        plain_hash: sha256(&text),
        name: "Rechnung.pdf".to_owned(),
        media_type: "application/pdf".to_owned(),
        role: FileRole::Original,
        of: None,
    };
    (file, stored)
}

/// An export whose third entry is a record with the document.
fn with_document() -> Export {
    let (file, _) = document();
    let mut export = export();
    let entry = &mut export.logs.get_mut(&LOG).unwrap()[2].entry;
    let slot = Slot { leaf: LeafIndex(0), index: RecordIndex(0), cap: Seq(1) };
    let head = Head::parse(&entry.head).unwrap();
    let blobs = vec![(file.blob_root, file.blob_size)];
    entry.head = Bytes(encode(&Head { kind: Kind::Record, slot: Some(slot), blobs, ..head }));
    export
}

/// Writes the export with these bytes as its document.
fn written(folder: &Path, stored: &[u8]) -> PathBuf {
    let (file, _) = document();
    let fetched = folder.join("fetched");
    fs::create_dir_all(fetched.join(LOG.to_string())).unwrap();
    fs::write(fetched.join(LOG.to_string()).join(file.blob_root.to_string()), stored).unwrap();
    let path = folder.join("export");
    with_document().write(&path, Some(&fetched)).unwrap();
    path
}

#[test]
fn a_document_is_in_the_export_byte_for_byte_and_opens_to_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (file, stored) = document();
    let path = written(folder.path(), &stored);
    let read = Export::read(&path).unwrap();
    assert_eq!(read.changed_files, []);
    assert_eq!(read.documents, BTreeSet::from([(LOG, file.blob_root)]));
    assert!(fs::read(path.join(place(LOG, file.blob_root))).unwrap() == stored);
    let out = folder.path().join("out.pdf");
    open(&path, LOG, &file, &out).unwrap();
    assert!(fs::read(&out).unwrap() == text());
    let mode = fs::metadata(&out).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner only");
}

#[test]
fn a_changed_cut_or_swapped_document_is_named_and_gives_no_file() {
    let (file, stored) = document();
    let mut changed = stored.clone();
    changed[70_000] ^= 1;
    let swapped = [
        &stored[SEALED_CHUNK_BYTES..2 * SEALED_CHUNK_BYTES],
        &stored[..SEALED_CHUNK_BYTES],
        &stored[2 * SEALED_CHUNK_BYTES..],
    ]
    .concat();
    for wrong in [changed, stored[..stored.len() - 1].to_vec(), swapped, vec![]] {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), &wrong);
        let read = Export::read(&path).unwrap();
        assert_eq!(read.changed_files[0].path, place(LOG, file.blob_root));
        assert_eq!(read.documents, BTreeSet::new());
        let out = folder.path().join("out.pdf");
        assert!(matches!(open(&path, LOG, &file, &out), Err(DocumentFault::Other)));
        assert!(!out.exists());
    }
}

#[test]
fn a_document_that_was_changed_after_the_export_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (file, mut stored) = document();
    let path = written(folder.path(), &stored);
    stored.push(0);
    fs::write(path.join(place(LOG, file.blob_root)), &stored).unwrap();
    let read = Export::read(&path).unwrap();
    assert_eq!(read.changed_files[0].reason, "its bytes are not those of the manifest");
}

#[test]
fn a_document_that_opens_to_other_bytes_than_were_signed_is_not_given_out() {
    let folder = tempfile::tempdir().unwrap();
    let (file, stored) = document();
    let path = written(folder.path(), &stored);
    let lie = statement::File { plain_hash: Digest([1; 32]), ..file.clone() };
    let out = folder.path().join("out.pdf");
    assert!(matches!(open(&path, LOG, &lie, &out), Err(DocumentFault::Content)));
    assert!(!out.exists());
    fs::write(&out, "there already").unwrap();
    assert!(open(&path, LOG, &file, &out).is_err(), "nothing is overwritten");
    assert_eq!(fs::read_to_string(&out).unwrap(), "there already", "or taken away");
}

#[test]
fn only_the_documents_of_released_records_are_asked_for() {
    let (file, _) = document();
    let mut export = with_document();
    let asked = named(&export);
    assert_eq!(asked.keys().collect::<Vec<_>>(), [&(LOG, file.blob_root)]);
    assert_eq!(asked[&(LOG, file.blob_root)].seq, Seq(2));
    // A later record that names it again is not the one to look at.
    let log = export.logs.get_mut(&LOG).unwrap();
    let mut again = log[2].clone();
    again.entry.seq = Seq(3);
    log.push(again);
    assert_eq!(named(&export)[&(LOG, file.blob_root)].seq, Seq(2));
    let log = export.logs.get_mut(&LOG).unwrap();
    log.pop();
    let entry = &mut log[2].entry;
    entry.payload = Payload::Absent { hash: Digest([0; 32]), len: 8 };
    assert!(named(&export).is_empty());
}

/// The export with so many documents more, each of one chunk; which ones, in the order of fetching.
fn with_more(count: u8) -> (Export, BTreeMap<Digest, Vec<u8>>) {
    let mut export = with_document();
    export.manifest.opening = Some(Seq(1));
    let (file, stored) = document();
    let mut all = BTreeMap::from([(file.blob_root, stored)]);
    let entry = &mut export.logs.get_mut(&LOG).unwrap()[2].entry;
    let mut head = Head::parse(&entry.head).unwrap();
    for number in 0..count {
        let bytes = vec![number; 100 + usize::from(number)];
        let mut leaves = Leaves::default();
        leaves.push(&bytes);
        head.blobs.push((leaves.root(), bytes.len() as u64));
        all.insert(leaves.root(), bytes);
    }
    entry.head = Bytes(encode(&head));
    (export, all)
}

/// How the server treats a document.
#[derive(Debug, Clone, Copy)]
enum Treats {
    Well,
    Loses,
    Cuts,
    Ends,
    Adds,
    Changes,
    BreaksOff,
}

fn served(treats: Treats, stored: &[u8], chunk: usize) -> Result<Vec<u8>, ClientError> {
    let mut chunk = stored.chunks(SEALED_CHUNK_BYTES).nth(chunk).unwrap().to_vec();
    let refused = |status| Err(ClientError::Refused { status, reason: "not here".to_owned() });
    match treats {
        Treats::Well => {}
        Treats::Loses => return refused(404),
        Treats::Cuts => chunk.truncate(chunk.len() / 2),
        Treats::Ends => chunk.clear(),
        Treats::Adds => chunk.push(0),
        Treats::Changes => chunk[9] ^= 1,
        Treats::BreaksOff => {
            let (server, reason) = ("https://here".to_owned(), "closed".to_owned());
            return Err(ClientError::Unreachable { server, reason });
        }
    }
    Ok(chunk)
}

async fn fetched(
    folder: &Path,
    treats: impl Fn(usize) -> Treats,
) -> (Result<Vec<Lacking>, FetchError>, Vec<Digest>) {
    let (export, all) = with_more(6);
    let roots: Vec<Digest> = all.keys().copied().collect();
    let get = async |place: &str| {
        let mut parts = place.rsplit('/');
        let chunk: usize = parts.next().unwrap().parse().unwrap();
        let root = parts.next().unwrap();
        let at = roots.iter().position(|known| known.to_string() == root).unwrap();
        served(treats(at), &all[&roots[at]], chunk)
    };
    let fetched = fetch_by(get, &export, folder, |_, _| {}).await;
    for (root, stored) in &all {
        let path = folder.join(LOG.to_string()).join(root.to_string());
        assert!(fs::read(path).map_or(true, |found| found == *stored), "whole, or not at all");
    }
    (fetched, roots)
}

#[tokio::test]
async fn a_wrong_a_cut_and_a_missing_document_are_named_and_the_others_are_fetched() {
    use Treats::*;
    let treats = [Loses, Cuts, Well, Changes, Adds, Ends, Well];
    let folder = tempfile::tempdir().unwrap();
    let (lacking, roots) = fetched(folder.path(), |at| treats[at]).await;
    let lacking = lacking.unwrap();
    let expected: Vec<_> =
        [(0, Lack::Missing), (1, Lack::Cut), (3, Lack::Other), (4, Lack::Other), (5, Lack::Cut)]
            .map(|(at, why)| Lacking { log: LOG, seq: Seq(2), root: roots[at], why })
            .into();
    assert_eq!(lacking, expected);
    let kept = fs::read_dir(folder.path().join(LOG.to_string())).unwrap().count();
    assert_eq!(kept, 2);
}

#[tokio::test]
async fn a_server_that_breaks_off_now_and_then_is_asked_on_and_one_that_is_gone_is_not() {
    use Treats::*;
    let folder = tempfile::tempdir().unwrap();
    let treats = [BreaksOff, BreaksOff, Well, BreaksOff, BreaksOff, Well, Well];
    let (lacking, _) = fetched(folder.path(), |at| treats[at]).await;
    let why: Vec<_> = lacking.unwrap().iter().map(|lacking| lacking.why).collect();
    assert_eq!(why, [Lack::Cut; 4]);
    let folder = tempfile::tempdir().unwrap();
    let (gone, _) = fetched(folder.path(), |at| if at < 2 { Well } else { BreaksOff }).await;
    assert!(matches!(gone, Err(FetchError::Client(ClientError::Unreachable { .. }))));
}

#[test]
fn the_verifier_names_a_document_that_is_not_there_and_its_record() {
    let (file, _) = document();
    let names_it = |export: Export| {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let examined = examine(export, Pin::OfTheExport, None, &mut rng);
        let what = format!("its document {} is not in the export, or not whole", file.blob_root);
        let finding = Finding { place: Place::Log(LOG), seq: Some(Seq(2)), what };
        examined.report.findings.contains(&finding)
    };
    assert!(names_it(with_document()));
    let documents = BTreeSet::from([(LOG, file.blob_root)]);
    assert!(!names_it(Export { documents, ..with_document() }));
}

#[test]
fn a_written_name_is_unique_safe_and_short() {
    let folder = Path::new("opened");
    assert_eq!(written_path(folder, Seq(7), 0, "../CON"), folder.join("7-0-_CON"));
    let long = written_path(folder, Seq(123), 15, &format!("{}.pdf", "ä".repeat(200)));
    let name = long.file_name().unwrap().to_str().unwrap();
    assert!(name.len() <= 255 && name.starts_with("123-15-") && name.ends_with("ä.pdf"));
}
