//! A holder's page: what to print, seal in an envelope and lock away.
//!
//! One HTML file without anything from elsewhere: for each secret a QR code of the key file's whole
//! text and the text itself, and the words that a person needs who finds the page in ten years.

use std::fmt::Write as _;

use hauspost_protocol::ids::Digest;
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use zeroize::Zeroizing;

use super::key_file::{KeyFile, Purpose};

/// The page of one holder.
pub fn page(company_name: &str, pin: Digest, holder: &str, keys: &[KeyFile]) -> Zeroizing<String> {
    let mut html = Zeroizing::new(String::with_capacity(64 * 1024));
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"de\"><head><meta charset=\"utf-8\">\n\
         <title>Hauspost · {holder}</title>\n<style>{STYLE}</style></head><body>\n\
         <h1>Hauspost-Schlüssel: {holder}</h1>\n\
         <p>Firma / company: <b>{name}</b><br>Pin: <code>{pin}</code></p>\n\
         <p><b>Vertraulich.</b> Wer diese Seite liest, kann handeln wie ihr Inhaber. Ausdrucken, in einem versiegelten \
         Umschlag verwahren, die Datei danach an einen Ort legen, den nur der Inhaber öffnet.</p>\n\
         <p lang=\"en\"><b>Secret.</b> Whoever reads this page can act as its holder. Print it, keep it in a sealed envelope, \
         and keep the file where only the holder can open it. Each code holds the whole text beside it; saved as a file \
         with the name above it, it is the key again.</p>\n",
        holder = escape(holder),
        name = escape(company_name),
    );
    for key in keys {
        let (german, english) = explain(key.purpose);
        let text = key.to_text();
        let _ = write!(
            html,
            "<section><h2>{file}</h2><p>{german}</p><p lang=\"en\">{english}</p>\n<div class=\"key\">{code}<pre>{text}</pre></div></section>\n",
            file = key.purpose.file_name(),
            code = qr_svg(text.as_bytes()).unwrap_or_default(),
            text = escape(&text),
        );
    }
    html.push_str("</body></html>\n");
    html
}

/// A QR code as SVG; nothing if the text is too long for one.
pub fn qr_svg(text: &[u8]) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let drawing = code.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
    // Inside HTML an SVG has no XML declaration of its own.
    Some(drawing.split_once("?>").map_or(drawing.clone(), |(_, svg)| svg.to_owned()))
}

/// A QR code as text for a terminal; nothing if the text is too long for one.
pub fn qr_text(text: &[u8]) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    Some(code.render::<qrcode::render::unicode::Dense1x2>().build())
}

const STYLE: &str = "body{font:11pt/1.45 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}\
    section{break-inside:avoid;border-top:1px solid #888;margin-top:1.5rem}\
    .key{display:flex;gap:1rem;align-items:flex-start}pre{white-space:pre-wrap;word-break:break-all;font-size:9pt}\
    [lang=en]{color:#444}";

fn explain(purpose: Purpose) -> (&'static str, &'static str) {
    match purpose {
        Purpose::Root => (
            "Wurzelschlüssel der Firma. Er wird fast nie gebraucht: für neue Rollen und neue Serverschlüssel. Getrennt von allen anderen verwahren.",
            "The company's root. Almost never needed: for new roles and new server keys. Keep it apart from all others.",
        ),
        Purpose::EnrolmentAuthority => {
            ("Bürgt für Einladungen neuer Telefone.", "Vouches for the invitations of new phones.")
        }
        Purpose::Admin => (
            "Unterschreibt als Administration: Verzeichnis, Einladungen, Sperren.",
            "Signs as admin: directory, invitations, revocations.",
        ),
        Purpose::Hr => (
            "Unterschreibt als Personalabteilung: Sperren, Übergaben.",
            "Signs as HR: revocations, handovers.",
        ),
        Purpose::Retention => (
            "Unterschreibt das Löschen nach Ablauf der Aufbewahrungsfrist.",
            "Signs the erasure of what its retention period has ended for.",
        ),
        Purpose::Officer => (
            "Unterschreibt als Compliance-Beauftragte oder -Beauftragter. Eine Archivöffnung braucht zwei davon und den Betriebsrat.",
            "Signs as compliance officer. Opening the archive takes two of them and the works council.",
        ),
        Purpose::Council => (
            "Unterschreibt als Betriebsrat. Ohne ihn öffnet niemand das Archiv.",
            "Signs as works council. Nobody opens the archive without it.",
        ),
        Purpose::History => (
            "Öffnet, was an diese Person versiegelt ist, auch den Archivanteil auf dieser Seite.",
            "Opens what is sealed to its holder, the archive share on this page included.",
        ),
        Purpose::ArchiveShareA => (
            "Einer von drei Anteilen des Archivschlüssels A; zwei werden gebraucht. Aufheben, bis alte Epochen neu versiegelt sind: bis zu zehn Jahre.",
            "One of three shares of archive key A; two are needed. Keep it until old epochs were sealed anew: up to ten years.",
        ),
        Purpose::ArchiveCopyB => (
            "Eine von zwei Kopien des Archivschlüssels B. Sie verlässt den Rechner des Betriebsrats nie.",
            "One of two copies of archive key B. It never leaves the works council's machine.",
        ),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hauspost_protocol::crypto::{Secret, SigningKey};
    use hauspost_protocol::ids::CompanyId;

    #[test]
    fn a_page_holds_every_key_as_code_and_text_and_loads_nothing() {
        let key = SigningKey::from_seed(Secret::new([7; 32]));
        let company = CompanyId::from_random([1; 16]);
        let keys = [
            KeyFile::of_signing_key(Purpose::Officer, "officer-1", company, &key),
            KeyFile::new(
                Purpose::ArchiveShareA,
                "officer-1",
                company,
                key.public().id(),
                vec![5; 1200],
            ),
        ];
        let html = page("Müller & Söhne <GmbH>", Digest([3; 32]), "officer-1", &keys);
        assert_eq!(html.matches("<svg").count(), 2);
        assert!(html.contains("Müller &amp; Söhne &lt;GmbH&gt;"));
        assert!(html.contains(&escape(&keys[0].to_text())));
        assert!(
            !html.contains("http://")
                || html.matches("http://").count() == html.matches("http://www.w3.org").count()
        );
        assert!(!html.contains("src=") && !html.contains("href="));
    }
}
