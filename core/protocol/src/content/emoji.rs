//! What a reaction may be: one emoji.

use unicode_properties::UnicodeEmoji as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Bytes of an emoji. The longest that are in use (families of four with skin tones, flags of
/// regions) have about fifty.
const EMOJI_BYTES: usize = 64;
/// Draws the character before it as a key (UTS #51): what makes an emoji of a digit.
const KEYCAP: char = '\u{20e3}';

/// Whether a text is one emoji: one character as people count them (UAX #29), with a pictograph in it
/// (UTS #51), and not long.
pub fn is_emoji(text: &str) -> bool {
    let mut graphemes = text.graphemes(true);
    let (Some(one), None) = (graphemes.next(), graphemes.next()) else { return false };
    // Digits, # and * are pictographs in a key only.
    let is_pictograph = |c: char| c.is_emoji_char() && !c.is_ascii();
    one.len() <= EMOJI_BYTES && one.chars().any(|c| is_pictograph(c) || c == KEYCAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emoji_is_one_character_as_people_count_them() {
        for emoji in ["👍", "👍🏽", "❤️", "🇩🇪", "👨‍👩‍👧‍👦", "3️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "✅", "😀"]
        {
            assert!(is_emoji(emoji), "{emoji}");
        }
        for other in ["", "a", "3", "#", "👍👍", "👍 ", "ja", "ä", "\u{202e}", "\u{200d}", "\n"]
        {
            assert!(!is_emoji(other), "{other:?}");
        }
    }

    #[test]
    fn an_emoji_with_a_heap_of_marks_is_none() {
        let heap = format!("👍{}", "\u{301}".repeat(10_000));
        assert_eq!(heap.graphemes(true).count(), 1);
        assert!(!is_emoji(&heap));
    }
}
