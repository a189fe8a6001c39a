//! An export of a company whose server lost documents, or has them damaged.

use hauspost_core::account::Attachment;

use super::*;

/// The files of all documents below a folder.
fn stored(folder: &Path) -> Vec<PathBuf> {
    let children = fs::read_dir(folder).unwrap().map(|child| child.unwrap().path());
    let (folders, mut files): (Vec<_>, Vec<_>) = children.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| stored(folder)));
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_names_the_documents_that_are_lost_cut_or_damaged_keeps_the_rest_and_says_so() {
    let company = Company::founded();
    let anna = company.phone("anna", "Anna Berg").await;
    let ben = company.phone("ben", "Ben Kurz").await;
    let log = anna.create_dm(ben.user()).await.unwrap();
    settle(&[&anna, &ben]).await;
    for name in ["a.txt", "b.txt", "c.txt", "d.txt"] {
        let path = company.path(name);
        fs::write(&path, name.repeat(40_000)).unwrap();
        anna.send_files(log, vec![Attachment::path(&path)], "anbei").await.unwrap();
        settle(&[&anna, &ben]).await;
    }
    let [lost, cut, damaged, whole] = &stored(&company.path("server/blobs"))[..] else {
        panic!("one for each document")
    };
    fs::remove_file(lost).unwrap();
    fs::OpenOptions::new().write(true).open(cut).unwrap().set_len(70_000).unwrap();
    let mut bytes = fs::read(damaged).unwrap();
    bytes[70_000] ^= 1;
    fs::write(damaged, bytes).unwrap();
    assert!(whole.exists());

    let log = log.to_string();
    let opening = company.opening(&log, &[]);
    let out = company.path("export");
    let arguments = ["--opening", &opening, "--out", out.to_str().unwrap()];
    let fetched = company.run("officer-1", &["archive", "fetch"], &arguments);
    let said = String::from_utf8(fetched.stdout).unwrap();
    let wrong = String::from_utf8(fetched.stderr).unwrap();
    assert_eq!(fetched.status.code(), Some(10), "{said}{wrong}");
    assert!(said.starts_with("1 conversation, "), "{said}");
    assert!(wrong.contains("3 documents are not in the export; the rest is"), "{wrong}");
    let named: Vec<_> = said.lines().skip(1).collect();
    assert_eq!(named.len(), 3, "{said}");
    for line in &named {
        assert!(line.starts_with(&format!("log {log}, entry ")) && line.contains(": document "));
        assert!(line.ends_with(": the server does not have it"), "{line}");
    }
    assert_eq!(stored(&out.join("documents")).len(), 1, "the fourth is there");
    assert!(!out.with_extension("documents").exists(), "nothing is left beside it");

    // The verifier names the same ones, and the one that is there is the one that was sent.
    let verified = company.run("officer-2", &["archive", "verify", out.to_str().unwrap()], NONE);
    assert_eq!(verified.status.code(), Some(10));
    let found = String::from_utf8(verified.stdout).unwrap();
    for line in named {
        let root = line.split(' ').nth(5).unwrap().trim_end_matches(':');
        assert!(found.contains(&format!("its document {root} is not in the export")), "{found}");
    }

    // What people said is read all the same, and so is the document that is there.
    let council = company.fetch("council-1", &opening, "council");
    let path = |name: &str| company.path(name).to_str().unwrap().to_owned();
    let (export, halves, answer, read) =
        (path("export"), path("halves.cbor"), path("answer.cbor"), path("read"));
    let second = company.keys("officer-2");
    let both = ["--keys", second.to_str().unwrap(), "--out", &halves];
    company.must("officer-1", &["archive", "halves", &export], &both);
    let council = council.to_str().unwrap();
    let given = ["--halves", &halves, "--out", &answer];
    company.must("council-1", &["archive", "answer", council], &given);
    let opened = ["--answer", &answer, "--out", &read];
    let opened = company.run("officer-1", &["archive", "open", &export], &opened);
    let found = String::from_utf8(opened.stdout).unwrap();
    assert_eq!(opened.status.code(), Some(10), "{found}");
    assert_eq!(found.matches("FINDING").count(), 3, "{found}");
    let text = fs::read_to_string(Path::new(&read).join(format!("{log}.txt"))).unwrap();
    assert_eq!(text.matches("anbei").count(), 4, "{text}");
    let sent: Vec<Vec<u8>> =
        ["a.txt", "b.txt", "c.txt", "d.txt"].map(|name| name.repeat(40_000).into_bytes()).into();
    let documents = stored(Path::new(&read)).into_iter().map(|path| fs::read(path).unwrap());
    assert_eq!(documents.filter(|document| sent.contains(document)).count(), 1);
}
