//! Words inside documents, between two phones over the real server.

use std::path::PathBuf;

use hauspost::demo::invoice;
use hauspost_core::account::Attachment;
use hauspost_core::read::{DocumentKind, SearchHit, SearchQuery, Window};
use hauspost_core::store::{FaultPoint, StoreError, Tx};
use hauspost_protocol::content::Message;
use hauspost_protocol::ids::{LogId, MessageId};
use hauspost_tests::real::{Phone, World};

async fn two() -> (World, Phone, Phone, LogId) {
    let mut world = World::found().await;
    let (anna, ben) = (world.phone("anna").await, world.phone("ben").await);
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    (world, anna, ben, log)
}

async fn send(world: &World, from: &Phone, log: LogId, name: &str, bytes: &[u8]) -> MessageId {
    let path: PathBuf = world.data().parent().unwrap().join(name);
    std::fs::write(&path, bytes).unwrap();
    let id = from.account.send_file(log, &path, name, "", "").await.unwrap();
    from.settle().await;
    id
}

async fn hits(phone: &Phone, words: &str) -> Vec<SearchHit> {
    phone.account.inspect_documents().await.unwrap();
    phone.account.search(SearchQuery::words(words), None, 9).await.unwrap().hits
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sent_a_pdf_and_who_fetched_it_find_it_by_a_word_inside() {
    let (world, anna, ben, log) = two().await;
    let id = send(&world, &anna, log, "RE-118.pdf", &invoice::pdf()).await;
    ben.settle().await;
    let sent = hits(&anna, "paletten").await;
    assert_eq!((sent.len(), sent[0].message_id), (1, id));
    assert_eq!(hits(&ben, "paletten").await, [], "it is not on his phone");
    assert_eq!(hits(&ben, "re 118").await.len(), 1, "its name is");
    ben.account.fetch_file(log, id, 0).await.unwrap();
    let fetched = hits(&ben, "paletten").await;
    let inside = &fetched[0].document.as_ref().unwrap().inside;
    assert!(inside.iter().any(|part| part.found && part.text == "Paletten"), "{inside:?}");
    // Everything that is known of it outlives a restart, and is not read again.
    let ben = ben.restart().await;
    let again = ben.account.search(SearchQuery::words("paletten"), None, 9).await.unwrap();
    assert_eq!(again.hits, fetched);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_xrechnung_is_found_by_what_it_names_and_not_by_the_names_of_its_elements() {
    let (world, anna, ben, log) = two().await;
    let invoice = r#"<?xml version="1.0" encoding="UTF-8"?>
<ubl:Invoice xmlns:ubl="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"
  xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
  xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">
  <cbc:CustomizationID>urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0</cbc:CustomizationID>
  <cbc:ID>RE-2026-118</cbc:ID>
  <cac:AccountingSupplierParty><cac:Party><cac:PartyName><cbc:Name>Weiß &amp; Söhne Ölmühle</cbc:Name></cac:PartyName></cac:Party></cac:AccountingSupplierParty>
  <cac:InvoiceLine><cac:Item><cbc:Name>Rapsöl, Fass 200 l</cbc:Name></cac:Item></cac:InvoiceLine>
</ubl:Invoice>"#;
    let id = send(&world, &anna, log, "xrechnung.xml", invoice.as_bytes()).await;
    ben.settle().await;
    ben.account.fetch_file(log, id, 0).await.unwrap();
    for words in ["weiss soehne", "oelmühle", "rapsöl fass", "RE 2026 118"] {
        let found = hits(&ben, words).await;
        assert_eq!((found.len(), found[0].message_id), (1, id), "{words}");
    }
    assert_eq!(hits(&ben, "partyname").await, []);
}

/// A PDF of so many empty pages, as programs write it.
fn pdf(pages: usize) -> Vec<u8> {
    let kids: String = (0..pages).map(|page| format!("{} 0 R ", page + 3)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{kids}] /Count {pages} >>"),
    ];
    objects.extend((0..pages).map(|_| {
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << >> >>".to_owned()
    }));
    let mut pdf = "%PDF-1.4\n".to_owned();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in (1..).zip(&objects) {
        table.push_str(&format!("{:010} 00000 n \n", pdf.len()));
        pdf.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let (size, start) = (objects.len() + 1, pdf.len());
    pdf.push_str(&table);
    pdf.push_str(&format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"));
    pdf.into_bytes()
}

async fn pages(phone: &Phone, log: LogId, id: MessageId) -> Vec<Option<u32>> {
    let page = phone.account.timeline(log, Window::Newest, 50).await.unwrap();
    let row = page.rows.into_iter().find(|row| row.message_id == id).unwrap();
    row.files.iter().map(|file| file.pages).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_pdf_are_seen_at_once_by_who_sends_it_and_by_who_has_not_fetched_it() {
    let (world, anna, ben, log) = two().await;
    let attached = |name: &str, bytes: &[u8]| {
        let path: PathBuf = world.data().parent().unwrap().join(name);
        std::fs::write(&path, bytes).unwrap();
        Attachment::path(path)
    };
    let all = vec![
        attached("notiz.txt", "drei Seiten".as_bytes()),
        attached("angebot.pdf", &pdf(3)),
        attached("kaputt.pdf", b"%PDF-1.7\nnichts"),
        attached("prüfbuch.pdf", &pdf(500)),
    ];
    let id = anna.account.send_files(log, all, "anbei").await.unwrap();
    let known = [None, Some(3), None, Some(500)];
    assert_eq!(pages(&anna, log, id).await, known, "before anything of it has left");
    anna.settle().await;
    ben.settle().await;
    assert_eq!(pages(&ben, log, id).await, known, "before anything of it is here");
    let listed = ben.account.documents(log, DocumentKind::Files, None, 9).await.unwrap();
    let listed: Vec<_> = listed.rows.iter().filter_map(|row| row.file.pages).collect();
    assert_eq!(listed.len(), 2, "{listed:?}");
    // Passed on unfetched, it says the same.
    let again = ben.account.forward(log, id, log).await.unwrap();
    assert_eq!(pages(&ben, log, again).await, known);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_45_what_ended_the_process_when_it_was_to_be_sent_is_sent_without_a_look_into_it() {
    let (world, anna, _ben, log) = two().await;
    let attached = |name: &str, bytes: &[u8]| {
        let path: PathBuf = world.data().parent().unwrap().join(name);
        std::fs::write(&path, bytes).unwrap();
        Attachment::path(path)
    };
    let mut picture = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(900, 600).write_to(&mut picture, image::ImageFormat::Png).unwrap();
    let mut anna = anna;
    let hostile = [attached("angebot.pdf", &pdf(3)), attached("lageplan.png", picture.get_ref())];
    for one in hostile {
        let both = || vec![one.clone(), attached("anderes.pdf", &pdf(4))];
        // The process ends between the note that it is worked on and the end of that.
        anna.kill_at(2, FaultPoint::BeforeCommit);
        anna.account.send_files(log, both(), "").await.unwrap_err();
        anna = anna.restart().await;
        let id = anna.account.send_files(log, both(), "").await.unwrap();
        assert_eq!(pages(&anna, log, id).await, [None, Some(4)], "and the other one as ever");
        anna.settle().await;
    }
    // What was broken off without an end of the process is worked on again.
    let fresh = vec![attached("neu.pdf", &pdf(5))];
    let mut sending = Box::pin(anna.account.send_files(log, fresh.clone(), ""));
    let _ = futures_util::poll!(&mut sending);
    drop(sending);
    anna.account.suspend().await;
    anna.account.resume().await.unwrap();
    let id = anna.account.send_files(log, fresh, "").await.unwrap();
    assert_eq!(pages(&anna, log, id).await, [Some(5)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patched_phones_count_of_pages_gives_way_to_what_is_counted_here() {
    let (world, anna, ben, log) = two().await;
    let id = send(&world, &anna, log, "angebot.pdf", &pdf(3)).await;
    ben.settle().await;
    // As if it had lied: the row says something else than the document.
    let lie = move |tx: &Tx<'_>| {
        let sql = "SELECT content FROM message WHERE message_id = ?1";
        let content: Vec<u8> = tx.query_row(sql, [&id.0[..]], |row| row.get(0))?;
        let said = Message::parse(&content).unwrap().with_pages(&[Some(9_999)]);
        let row = (said.to_bytes().unwrap(), &id.0[..]);
        tx.execute("UPDATE message SET content = ?1 WHERE message_id = ?2", row)?;
        Ok::<_, StoreError>(())
    };
    ben.account.store().write(lie).await.unwrap();
    assert_eq!(pages(&ben, log, id).await, [Some(9_999)]);
    ben.account.fetch_file(log, id, 0).await.unwrap();
    ben.account.inspect_documents().await.unwrap();
    assert_eq!(pages(&ben, log, id).await, [Some(3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_documents_fail_and_the_next_one_is_found_all_the_same() {
    let (world, anna, ben, log) = two().await;
    let hostile: [(&str, Vec<u8>); 4] = [
        ("a.pdf", b"%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 1 0 R/Kids[1 0 R]>>\nendobj".to_vec()),
        ("b.docx", b"PK\x03\x04word/document.xml".to_vec()),
        ("c.pdf", [b"%PDF-1.4\n".as_slice(), &b"<<[".repeat(200_000)].concat()),
        ("d.xml", [b"<?xml version='1.0'?>".as_slice(), &b"<a>".repeat(100_000)].concat()),
    ];
    let mut ids = Vec::new();
    for (name, bytes) in &hostile {
        ids.push(send(&world, &anna, log, name, bytes).await);
    }
    ids.push(send(&world, &anna, log, "notiz.txt", "Grüße vom Hafen".as_bytes()).await);
    ben.settle().await;
    for id in &ids {
        ben.account.fetch_file(log, *id, 0).await.unwrap();
    }
    let found = hits(&ben, "gruesse hafen").await;
    assert_eq!(found.iter().map(|hit| hit.message_id).collect::<Vec<_>>(), ids[4..]);
}
