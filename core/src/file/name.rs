//! Names that somebody else chose, as this phone may write them.

use hauspost_protocol::unseen::{is_joiner, is_unseen};

/// Bytes of a file's name in every file system that we meet.
const NAME_BYTES: usize = 255;

/// Names that Windows gives to devices, whatever follows the first dot.
const DEVICES: [&str; 22] = [
    "CON", "PRN", "AUX", "NUL", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8",
    "COM9", "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9",
];

/// A name under which a document may be written into a folder: one part of a path, without what
/// hides or reorders characters, without what a file system reads in its own way, and short enough.
/// The ending stays, since it is what opens the document.
pub fn safe(name: &str) -> String {
    numbered(name, 1)
}

/// A safe name with ` (2)`, ` (3)` and so on before its ending, from the second on.
pub fn numbered(name: &str, number: u32) -> String {
    let behind = if number > 1 { format!(" ({number})") } else { String::new() };
    let name: String = name.chars().filter_map(safe_char).collect();
    let name = name.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if name.is_empty() {
        return format!("document{behind}");
    }
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if ending.len() <= 16 && !stem.is_empty() => {
            (stem, format!(".{ending}"))
        }
        _ => (name, String::new()),
    };
    let first = name.split('.').next().unwrap_or_default().trim_end();
    let device = DEVICES.iter().any(|device| device.eq_ignore_ascii_case(first));
    let before = if device { "_" } else { "" };
    let room = NAME_BYTES - before.len() - behind.len() - ending.len();
    let stem = &stem[..stem.floor_char_boundary(room)];
    format!("{before}{stem}{behind}{ending}")
}

fn safe_char(c: char) -> Option<char> {
    match c {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => Some('_'),
        c if c.is_control() => None,
        // Marks of direction and width, which make "gpj.exe" of "exe.jpg".
        c if is_unseen(c) || is_joiner(c) => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_system_would_read_in_its_own_way_is_taken_out() {
        for (name, expected) in [
            ("Rechnung März 2026.pdf", "Rechnung März 2026.pdf"),
            ("😀.png", "😀.png"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("..\\..\\boot.ini", "_.._boot.ini"),
            ("/", "_"),
            ("", "document"),
            ("...", "document"),
            (" . ", "document"),
            (".bashrc", "bashrc"),
            ("Angebot.pdf. .", "Angebot.pdf"),
            ("CON", "_CON"),
            ("con.txt", "_con.txt"),
            ("Lpt1.tar.gz", "_Lpt1.tar.gz"),
            ("CONTRACT.pdf", "CONTRACT.pdf"),
            ("C:evil.exe", "C_evil.exe"),
            ("a\0b\nc\u{1b}[2Jd.txt", "abc[2Jd.txt"),
            ("Rechnung\u{202e}fdp.exe", "Rechnungfdp.exe"),
            ("soft\u{ad}\u{3164}\u{fffa}.pdf", "soft.pdf"),
            ("zero\u{200b}width\u{feff}.pdf", "zerowidth.pdf"),
        ] {
            assert_eq!(safe(name), expected, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_ending_and_breaks_no_character() {
        let safe_name = safe(&format!("{}.pdf", "ä".repeat(300)));
        assert!(safe_name.len() <= NAME_BYTES && safe_name.ends_with("ä.pdf"));
        assert_eq!(safe(&"x".repeat(400)).len(), NAME_BYTES);
        let ending = safe(&format!("x.{}", "y".repeat(400)));
        assert_eq!(ending.len(), NAME_BYTES);
    }

    #[test]
    fn a_number_stands_before_the_ending_and_keeps_the_name_short_enough() {
        assert_eq!(numbered("a.pdf", 1), "a.pdf");
        assert_eq!(numbered("a.pdf", 2), "a (2).pdf");
        assert_eq!(numbered("../", 3), "_ (3)");
        assert_eq!(numbered("...", 3), "document (3)");
        let long = numbered(&format!("{}.pdf", "ä".repeat(300)), 12);
        assert!(long.len() <= NAME_BYTES && long.ends_with("ä (12).pdf"));
    }

    #[test]
    fn a_safe_name_is_safe_already() {
        for name in ["../x", "CON", "a:b.pdf", "\u{202e}", "  .. "] {
            assert_eq!(safe(&safe(name)), safe(name));
        }
    }
}
