//! Documents as offices and phones make them, and as an attacker would, for tests.
//!
//! Made by libraries where there is one: PDF by `lopdf`, packages by `zip`, pictures by `image`. The
//! invoices are written out by hand: an XRechnung after EN 16931 in UBL, with the elements that people
//! search for, and the same XML embedded in a PDF as ZUGFeRD does, without a claim of PDF/A-3.

use std::io::{Cursor, Write as _};

use encoding_rs::WINDOWS_1252;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageEncoder as _, ImageFormat, Rgb, RgbImage};
use lopdf::content::{Content, Operation};
use lopdf::{Dictionary, Document, Object, SaveOptions, Stream, dictionary};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A PDF with these lines on each page, in WinAnsi as most programs write it.
pub(crate) fn pdf(pages: &[Vec<String>]) -> Vec<u8> {
    saved(pdf_document(pages), &SaveOptions::default())
}

/// The same with streams of objects and compressed pages, as newer programs write it.
pub(crate) fn packed_pdf(pages: &[Vec<String>]) -> Vec<u8> {
    let mut document = pdf_document(pages);
    document.compress();
    let options = SaveOptions::builder().use_object_streams(true).use_xref_streams(true).build();
    saved(document, &options)
}

pub(crate) fn pages(pages: &[&[&str]]) -> Vec<Vec<String>> {
    pages.iter().map(|page| page.iter().map(|line| (*line).to_owned()).collect()).collect()
}

fn saved(mut document: Document, options: &SaveOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    document.save_with_options(&mut bytes, options.clone()).unwrap();
    bytes
}

fn pdf_document(pages: &[Vec<String>]) -> Document {
    let mut document = Document::with_version("1.7");
    let tree = document.new_object_id();
    let font = document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica",
        "Encoding" => "WinAnsiEncoding",
    });
    let resources = document.add_object(dictionary! { "Font" => dictionary! { "F1" => font } });
    let kids: Vec<Object> = pages
        .iter()
        .map(|lines| {
            let mut operations = vec![
                Operation::new("BT", vec![]),
                Operation::new("Tf", vec!["F1".into(), 11.into()]),
                Operation::new("Td", vec![50.into(), 790.into()]),
            ];
            for line in lines {
                let text = WINDOWS_1252.encode(line).0.into_owned();
                operations.push(Operation::new("Tj", vec![Object::string_literal(text)]));
                operations.push(Operation::new("Td", vec![0.into(), (-14).into()]));
            }
            operations.push(Operation::new("ET", vec![]));
            let content = Content { operations }.encode().unwrap();
            let content = document.add_object(Stream::new(Dictionary::new(), content));
            let page = dictionary! {
                "Type" => "Page", "Parent" => tree, "Contents" => content, "Resources" => resources,
                "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()],
            };
            document.add_object(page).into()
        })
        .collect();
    let count = i64::try_from(kids.len()).unwrap();
    let tree_node = dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count };
    document.objects.insert(tree, tree_node.into());
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => tree });
    document.trailer.set("Root", catalog);
    document
}

/// A PDF whose one page becomes so many bytes.
pub(crate) fn pdf_with_a_large_page(bytes: usize) -> Vec<u8> {
    let mut document = pdf_document(&pages(&[&["x"]]));
    let page = document.page_iter().next().unwrap();
    let content = document.get_page_contents(page)[0];
    let mut stream = Stream::new(Dictionary::new(), vec![b' '; bytes]);
    stream.compress().unwrap();
    document.objects.insert(content, stream.into());
    saved(document, &SaveOptions::default())
}

/// A PDF with so many streams of objects that each become so many bytes. They stand before all else,
/// so that its table of objects is wrong and readers look for objects by themselves.
pub(crate) fn pdf_with_large_object_streams(streams: usize, bytes: usize) -> Vec<u8> {
    let pdf = pdf(&pages(&[&["x"]]));
    let head = pdf.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let content = b"9 0 ".iter().copied().cycle().take(bytes).collect();
    let mut stream = Stream::new(Dictionary::new(), content);
    stream.compress().unwrap();
    let mut bomb = pdf[..head].to_vec();
    for number in 0..streams {
        let length = stream.content.len();
        let dict = format!(
            "{} 0 obj\n<</Type/ObjStm/N 1/First 4/Filter/FlateDecode/Length {length}>>\nstream\n",
            100 + number
        );
        bomb.extend(dict.as_bytes());
        bomb.extend(&stream.content);
        bomb.extend(b"\nendstream\nendobj\n");
    }
    bomb.extend(&pdf[head..]);
    bomb
}

/// An electronic invoice (XRechnung, EN 16931 in UBL 2.1).
pub(crate) fn xrechnung() -> String {
    r#"<?xml version="1.0" encoding="UTF-8"?>
<ubl:Invoice xmlns:ubl="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"
  xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
  xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">
  <cbc:CustomizationID>urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0</cbc:CustomizationID>
  <cbc:ID>RE-2026-118</cbc:ID>
  <cbc:IssueDate>2026-11-25</cbc:IssueDate>
  <cbc:BuyerReference>04011000-12345-34</cbc:BuyerReference>
  <cac:AccountingSupplierParty><cac:Party><cac:PartyName><cbc:Name>Weiß &amp; Söhne Ölmühle</cbc:Name></cac:PartyName></cac:Party></cac:AccountingSupplierParty>
  <cac:LegalMonetaryTotal><cbc:PayableAmount currencyID="EUR">1190.00</cbc:PayableAmount></cac:LegalMonetaryTotal>
  <cac:InvoiceLine><cbc:ID>1</cbc:ID><cac:Item><cbc:Name>Rapsöl, Fass 200 l</cbc:Name></cac:Item></cac:InvoiceLine>
</ubl:Invoice>
"#
    .to_owned()
}

/// An invoice that people read, with the one that programs read embedded.
pub(crate) fn invoice_with_xml() -> Vec<u8> {
    let lines = ["Rechnung RE-2026-118", "Weiß & Söhne Ölmühle", "Fälliger Betrag: 1.190,00 EUR"];
    let mut document = pdf_document(&pages(&[&lines]));
    let dict = dictionary! { "Type" => "EmbeddedFile", "Subtype" => "text/xml" };
    let embedded = document.add_object(Stream::new(dict, xrechnung().into_bytes()));
    let file = document.add_object(dictionary! {
        "Type" => "Filespec", "F" => Object::string_literal("factur-x.xml"),
        "AFRelationship" => "Alternative", "EF" => dictionary! { "F" => embedded },
    });
    let catalog = document.catalog_mut().unwrap();
    catalog.set("AF", vec![Object::from(file)]);
    saved(document, &SaveOptions::default())
}

/// A ZIP package of these entries.
pub(crate) fn package(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut package = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        package.start_file(*name, SimpleFileOptions::default()).unwrap();
        package.write_all(content).unwrap();
    }
    package.finish().unwrap().into_inner()
}

const TYPES: &[u8] = b"<?xml version=\"1.0\"?><Types/>";

/// A text document of Office Open XML with these paragraphs, each cut into two runs.
pub(crate) fn docx(paragraphs: &[&str]) -> Vec<u8> {
    let paragraph = |text: &&str| {
        let (one, other) = text.split_at(text.floor_char_boundary(text.len() / 2));
        format!("<w:p><w:r><w:t>{one}</w:t></w:r><w:r><w:t>{other}</w:t></w:r></w:p>")
    };
    let body: String = paragraphs.iter().map(paragraph).collect();
    let xml = format!(
        "<?xml version=\"1.0\"?><w:document xmlns:w=\"urn:w\"><w:body>{body}\
         <w:p><w:r><w:instrText>HYPERLINK versteckt</w:instrText></w:r></w:p></w:body></w:document>"
    );
    let footer = b"<w:ftr xmlns:w=\"urn:w\"><w:p><w:r><w:t>Seite 1</w:t></w:r></w:p></w:ftr>";
    package(&[
        ("[Content_Types].xml", TYPES),
        ("word/footer1.xml", footer),
        ("word/document.xml", xml.as_bytes()),
    ])
}

/// A text document of OpenDocument.
pub(crate) fn odt(paragraphs: &[&str]) -> Vec<u8> {
    let body: String = paragraphs.iter().map(|text| format!("<text:p>{text}</text:p>")).collect();
    let xml = format!(
        "<office:document-content xmlns:office=\"urn:o\" xmlns:text=\"urn:t\"><office:styles>Stil\
         </office:styles><office:body><office:text>{body}<text:p>ein<text:tab/>zwei<text:s/>drei\
         </text:p></office:text></office:body></office:document-content>"
    );
    let mimetype = b"application/vnd.oasis.opendocument.text";
    package(&[("mimetype", mimetype), ("content.xml", xml.as_bytes())])
}

/// A workbook with a row of shared strings and a row of numbers.
pub(crate) fn xlsx(strings: &[&str], numbers: &[&str]) -> Vec<u8> {
    let shared: String = strings.iter().map(|text| format!("<si><t>{text}</t></si>")).collect();
    let shared = format!("<sst xmlns=\"urn:x\">{shared}</sst>");
    let cells: String =
        (0..strings.len()).map(|at| format!("<c t=\"s\"><v>777{at}</v></c>")).collect();
    let values: String = numbers.iter().map(|value| format!("<c><v>{value}</v></c>")).collect();
    let sheet = format!(
        "<worksheet xmlns=\"urn:x\"><sheetData><row>{cells}</row><row>{values}</row></sheetData></worksheet>"
    );
    package(&[
        ("[Content_Types].xml", TYPES),
        ("xl/workbook.xml", b"<workbook/>"),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ("xl/sharedStrings.xml", shared.as_bytes()),
    ])
}

/// A photo of this size as a JPEG: red at the left, blue at the right, black at the bottom; and what
/// a phone says about how it was held (EXIF orientation, 1 to 8).
pub(crate) fn photo(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        if y > height * 3 / 4 {
            Rgb([0, 0, 0])
        } else if x < width / 2 {
            Rgb([230, 20, 20])
        } else {
            Rgb([20, 20, 230])
        }
    });
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    encoder.set_exif_metadata(exif).unwrap();
    encoder.encode_image(&picture).unwrap();
    bytes
}

/// A picture that no compression makes small, in this format.
pub(crate) fn noise(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut state = 1_u32;
    let picture = RgbImage::from_fn(width, height, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [a, b, c, _] = state.to_be_bytes();
        Rgb([a, b, c])
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// The beginning of a HEIC file: the box of its type, and bytes that nobody here reads.
pub(crate) fn heic() -> Vec<u8> {
    let mut bytes = b"\0\0\0\x24ftypheic\0\0\0\0mif1heic".to_vec();
    bytes.resize(4_000, 0);
    bytes
}
