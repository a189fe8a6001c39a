//! Text on the screen: measured, wrapped and folded. What others wrote passes [`harmless`] or
//! [`line()`] first.

use hauspost_protocol::unseen::is_unseen;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

pub use crate::harmless::{harmless, line};

/// What a person typed or pasted, without what no keyboard types: control characters and those
/// that are not seen.
pub fn typed(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', "    ");
    text.chars().filter(|c| *c == '\n' || !(c.is_control() || is_unseen(*c))).collect()
}

/// Text in which words are looked for: without capitals, and with umlauts as two letters.
pub fn folded(text: &str) -> String {
    let small = text.to_lowercase();
    small.replace('ä', "ae").replace('ö', "oe").replace('ü', "ue").replace('ß', "ss")
}

/// Columns that a text without line breaks takes.
pub fn width(text: &str) -> usize {
    text.graphemes(true).map(|grapheme| grapheme.width()).sum()
}

/// The beginning of a line that fits into so many columns, with `…` where it was cut.
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut fitting = String::new();
    let mut used = 1;
    for grapheme in text.graphemes(true) {
        used += grapheme.width();
        if used > columns {
            break;
        }
        fitting.push_str(grapheme);
    }
    if columns > 0 {
        fitting.push('…');
    }
    fitting
}

/// A number of bytes, as people say it.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let (mut size, mut unit) = (bytes as f64 / 1_000.0, 0);
    while size >= 999.5 && unit + 1 < UNITS.len() {
        (size, unit) = (size / 1_000.0, unit + 1);
    }
    match bytes {
        0..1_000 => format!("{bytes} B"),
        _ if size < 9.95 => format!("{size:.1} {}", UNITS[unit]),
        _ => format!("{size:.0} {}", UNITS[unit]),
    }
}

/// A line of a wrapped text: a range of its bytes. The space at which it broke is in none.
pub type Row = std::ops::Range<usize>;

/// Wraps a text at spaces, and inside words that are longer than a line. There is always a row.
pub fn wrap(text: &str, columns: usize) -> Vec<Row> {
    let columns = columns.max(1);
    let mut rows = Vec::new();
    let mut at = 0;
    for paragraph in text.split('\n') {
        wrap_paragraph(paragraph, at, columns, &mut rows);
        at += paragraph.len() + 1;
    }
    rows
}

fn wrap_paragraph(text: &str, offset: usize, columns: usize, rows: &mut Vec<Row>) {
    let mut start = 0;
    let mut used = 0;
    // The last space of the row: where it begins, where it ends, and the columns up to its end.
    let mut space: Option<(usize, usize, usize)> = None;
    for (at, grapheme) in text.grapheme_indices(true) {
        let wide = grapheme.width();
        if used + wide > columns && at > start {
            let (end, next, gone) = match space {
                _ if grapheme == " " => (at, at + 1, used + 1),
                Some(space) => space,
                None => (at, at, used),
            };
            rows.push(offset + start..offset + end);
            start = next;
            used -= gone.min(used);
            space = None;
            if grapheme == " " && next > at {
                continue;
            }
        }
        used += wide;
        if grapheme == " " {
            space = Some((at, at + 1, used));
        }
    }
    rows.push(offset + start..offset + text.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, columns: usize) -> Vec<&str> {
        wrap(text, columns).into_iter().map(|row| &text[row]).collect()
    }

    #[test]
    fn bytes_are_said_as_people_say_them() {
        for (size, said) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (12_345, "12 kB"),
            (999_600, "1.0 MB"),
            (2 << 30, "2.1 GB"),
        ] {
            assert_eq!(bytes(size), said);
        }
    }

    #[test]
    fn text_wraps_at_spaces_by_the_columns_that_it_takes() {
        assert_eq!(wrapped("eins zwei drei", 9), ["eins zwei", "drei"]);
        assert_eq!(wrapped("eins zwei drei", 8), ["eins", "zwei", "drei"]);
        assert_eq!(wrapped("Straßenbahnhaltestelle", 10), ["Straßenbah", "nhaltestel", "le"]);
        assert_eq!(wrapped("日本語", 4), ["日本", "語"]);
        assert_eq!(wrapped("ä ö\n\nü", 3), ["ä ö", "", "ü"]);
        assert_eq!(wrapped("", 5), [""]);
        assert_eq!(wrapped("日", 1), ["日"], "what never fits is not lost");
    }

    #[test]
    fn no_row_is_wider_than_asked_and_nothing_but_single_spaces_is_lost() {
        let text = "Der Lieferschein für Weiß & Söhne liegt im Büro 📦📦📦, bitte   mitnehmen! Ko\u{308}ln";
        for columns in 2..60 {
            let rows = wrapped(text, columns);
            assert!(rows.iter().all(|row| width(row) <= columns), "{columns}: {rows:?}");
            let kept: String = rows.concat();
            assert_eq!(kept.replace(' ', ""), text.replace(' ', ""), "{columns}");
        }
    }

    #[test]
    fn what_does_not_fit_ends_in_an_ellipsis() {
        assert_eq!(fit("Lieferschein", 12), "Lieferschein");
        assert_eq!(fit("Lieferschein", 6), "Liefe…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("abc", 0), "");
    }

    #[test]
    fn what_is_typed_or_pasted_holds_no_escape() {
        assert_eq!(typed("a\x1b[2Jb\r\nc\td\re"), "a[2Jb\nc    d\ne");
    }
}
