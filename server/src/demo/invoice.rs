//! An invoice as a PDF, small and whole, made without anybody's library.

use std::fmt::Write as _;

/// A page of A4 with an invoice, and enough lines that it takes more than one chunk.
pub fn pdf() -> Vec<u8> {
    let mut page = String::from("BT /F1 12 Tf 50 790 Td 14 TL\n(Rechnung 2026-118) Tj T*\n");
    for line in 1..=2_000 {
        let (pieces, cents) = (line % 17 + 1, line * 137 % 10_000);
        let (euros, rest) = (cents / 100, cents % 100);
        writeln!(page, "(Position {line}: {pieces} Paletten, {euros},{rest:02} EUR) Tj T*")
            .expect("writing to a String does not fail");
    }
    page.push_str("ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{page}\nendstream", page.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut pdf = String::from("%PDF-1.4\n");
    let mut places = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        places.push(pdf.len());
        write!(pdf, "{number} 0 obj\n{object}\nendobj\n").expect("as above");
    }
    let table = pdf.len();
    write!(pdf, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).expect("as above");
    for place in places {
        writeln!(pdf, "{place:010} 00000 n ").expect("as above");
    }
    let size = objects.len() + 1;
    write!(pdf, "trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n")
        .expect("as above");
    pdf.into_bytes()
}
