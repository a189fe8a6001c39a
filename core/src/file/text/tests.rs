use futures_util::FutureExt as _;

use super::*;
use crate::file::corpus::{self, pages};

fn text(document: &[u8]) -> Result<Inside, TextError> {
    inside(document, &Stop::default())
}

fn words(document: &[u8]) -> String {
    text(document).map(|inside| inside.text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_pdf_gives_its_lines_and_the_number_of_its_pages() {
    let pages = pages(&[&["Rechnung Nr. 118", "für Müller & Söhne"], &["Größe: 4 m²"]]);
    for pdf in [corpus::pdf(&pages), corpus::packed_pdf(&pages)] {
        let inside = text(&pdf).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(inside.text, "Rechnung Nr. 118\nfür Müller & Söhne\nGröße: 4 m²");
        assert_eq!(inside.pages, Some(2));
    }
}

#[test]
fn a_pdf_of_five_hundred_pages_is_read_to_its_last_page() {
    let page = |number: usize| {
        let line = |line| format!("Seite {number} Zeile {line}: Lieferung an das Lager in Köln");
        (1..=40).map(line).collect::<Vec<_>>()
    };
    let pages: Vec<_> = (1..=500).map(page).collect();
    let inside = text(&corpus::packed_pdf(&pages)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(inside.pages, Some(500));
    assert!(inside.text.ends_with("Seite 500 Zeile 40: Lieferung an das Lager in Köln"));
}

#[test]
fn an_invoice_is_read_as_people_read_it_and_an_xrechnung_by_its_values() {
    let invoice = words(&corpus::invoice_with_xml());
    assert_eq!(
        invoice,
        "Rechnung RE-2026-118\nWeiß & Söhne Ölmühle\nFälliger Betrag: 1.190,00 EUR"
    );
    let xml = words(corpus::xrechnung().as_bytes());
    assert!(xml.contains("RE-2026-118") && xml.contains("Weiß & Söhne Ölmühle"), "{xml}");
    assert!(!xml.contains("IssueDate"), "names of elements are no words: {xml}");
}

#[test]
fn documents_of_office_programs_give_what_people_see_of_them() {
    let docx = words(&corpus::docx(&["Angebot für Groß &amp; Klein", "gültig bis März"]));
    assert_eq!(docx, "Angebot für Groß & Klein\ngültig bis März\nSeite 1");
    let odt = words(&corpus::odt(&["Angebot &#228;hnlich", "zweiter Absatz"]));
    assert_eq!(odt, "Angebot ähnlich\nzweiter Absatz\nein zwei drei");
    let xlsx = words(&corpus::xlsx(&["Artikel", "Stück Öl"], &["4711", "19.99"]));
    assert_eq!(xlsx, "Artikel\nStück Öl\n4711 19.99");
    let slide =
        |text: &str| format!("<p:sld xmlns:p='p' xmlns:a='a'><a:p><a:t>{text}</a:t></a:p></p:sld>");
    let (one, two) = (slide("erste"), slide("zehnte"));
    let slides =
        [("ppt/slides/slide10.xml", two.as_bytes()), ("ppt/slides/slide9.xml", one.as_bytes())];
    assert_eq!(words(&corpus::package(&slides)), "erste\nzehnte");
}

#[test]
fn plain_text_is_read_in_each_encoding_that_german_programs_write() {
    let said = "Grüße aus Köln: 5 €";
    let utf_16 = |order: fn(u16) -> [u8; 2]| {
        let units = std::iter::once(0xfeff).chain(said.encode_utf16());
        units.flat_map(order).collect::<Vec<u8>>()
    };
    let windows = encoding_rs::WINDOWS_1252.encode(said).0.into_owned();
    let marked = [&b"\xef\xbb\xbf"[..], said.as_bytes()].concat();
    for encoded in [
        said.as_bytes().to_vec(),
        marked,
        windows,
        utf_16(u16::to_le_bytes),
        utf_16(u16::to_be_bytes),
    ] {
        assert_eq!(words(&encoded), said, "{encoded:?}");
    }
    assert_eq!(words(b""), "");
    assert_eq!(words(b"a\r\n\r\n\t b\x0c c\xc2\xad\xe2\x80\xae"), "a\nb\nc");
}

#[test]
fn what_is_no_text_is_said_to_be_of_another_kind() {
    let opaque = [
        corpus::heic(),
        corpus::photo(40, 30, 1),
        b"MZ\x90\0\x03\0\0\0".to_vec(),
        corpus::package(&[("fotos/a.jpg", b"\xff\xd8\xff")]),
    ];
    for document in opaque {
        assert_eq!(text(&document).err(), Some(TextError::Kind), "{:?}", &document[..8]);
    }
}

#[test]
fn a_damaged_document_fails_and_nothing_else_happens() {
    let pdf = corpus::packed_pdf(&pages(&[&["Rechnung"]]));
    let docx = corpus::docx(&["Angebot"]);
    let mut half = (0, 0);
    for at in 0..64 {
        for (whole, count) in [(&pdf, &mut half.0), (&docx, &mut half.1)] {
            let mut cut = whole[..whole.len() * at / 64].to_vec();
            *count += usize::from(text(&cut).is_err());
            // The same with a byte of it changed, and its end.
            cut = whole.clone();
            cut[whole.len() * at / 64] ^= 0x55;
            let _ = text(&cut);
        }
    }
    assert!(half.0 > 40 && half.1 > 60, "{half:?}");
    assert_eq!(text(b"%PDF-1.7\nnichts").err(), Some(TextError::Damaged));
    assert_eq!(text(b"PK\x03\x04nichts").err(), Some(TextError::Damaged));
    let open = corpus::package(&[("word/document.xml", b"<a><b></a>")]);
    assert_eq!(text(&open).err(), Some(TextError::Damaged));
}

#[test]
fn a_package_that_would_grow_beyond_the_limit_is_a_bomb_whatever_it_says_of_itself() {
    let big = vec![b' '; 40 << 20];
    let bomb = corpus::package(&[("word/document.xml", &big)]);
    assert!(bomb.len() < 100_000);
    assert_eq!(text(&bomb).err(), Some(TextError::Bomb));
    // The same, with a size of one in both of its headers.
    let mut liar = bomb.clone();
    let size = (big.len() as u32).to_le_bytes();
    let places: Vec<usize> = (0..liar.len() - 4).filter(|at| liar[*at..*at + 4] == size).collect();
    assert!(!places.is_empty());
    for at in places {
        liar[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
    }
    assert!(matches!(text(&liar), Err(TextError::Bomb | TextError::Damaged)));
    // Each entry within its limit, all of them beyond it.
    let part = vec![b' '; 30 << 20];
    let names = ["word/header1.xml", "word/header2.xml", "word/header3.xml"];
    let three = names.map(|name| (name, &part[..]));
    let mut all = vec![("word/document.xml", &b"<p/>"[..])];
    all.extend(three);
    let padded: Vec<_> =
        all.iter().map(|(name, part)| (*name, [b"<p>", *part, b"</p>"].concat())).collect();
    let padded: Vec<_> = padded.iter().map(|(name, part)| (*name, &part[..])).collect();
    assert_eq!(text(&corpus::package(&padded)).err(), Some(TextError::Bomb));
    let deep = "<a>".repeat(1_000);
    let deep = corpus::package(&[("content.xml", deep.as_bytes())]);
    assert_eq!(text(&deep).err(), Some(TextError::Bomb));
    let entities =
        b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><body><p>&b;</p></body>";
    assert_eq!(words(&corpus::package(&[("content.xml", entities)])), "", "none is expanded");
}

#[test]
fn a_pdf_that_would_grow_beyond_the_limit_is_a_bomb() {
    let page = corpus::pdf_with_a_large_page(20 << 20);
    assert!(page.len() < 100_000);
    assert_eq!(text(&page).err(), Some(TextError::Bomb));
    // Each stream within its limit, all of them beyond it.
    let structure = corpus::pdf_with_large_object_streams(12, 7 << 20);
    assert!(structure.len() < 200_000);
    assert_eq!(text(&structure).err(), Some(TextError::Bomb));
    let small = corpus::pdf_with_large_object_streams(2, 7 << 20);
    assert_eq!(words(&small), "x");
}

#[test]
fn of_a_text_beyond_the_limit_the_beginning_is_kept() {
    let long = "Wort ".repeat(TEXT_BYTES / 5 + 10);
    let inside = text(long.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert!(inside.text.len() <= TEXT_BYTES && inside.text.len() > TEXT_BYTES - 10);
    let xml = format!("<?xml version='1.0'?><a>{long}</a>");
    assert!(words(xml.as_bytes()).len() > TEXT_BYTES - 10);
}

#[tokio::test]
async fn a_reader_that_is_told_to_end_ends_and_is_late() {
    let document = corpus::pdf(&vec![vec!["Wort".to_owned(); 200]; 400]);
    let stopped = Stop::default();
    stopped.set();
    assert_eq!(inside(&document, &stopped).err(), Some(TextError::Late));
    let deadline = std::future::pending().boxed();
    assert!(read(document, deadline, ()).await.is_ok());
}
