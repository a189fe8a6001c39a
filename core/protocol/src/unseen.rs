//! Characters that nobody sees, and that change what is seen.
//!
//! Whoever shows text of others, or writes it into a file's name, has one list of them.

/// Marks, embeddings, overrides and isolates that reorder; separators that break lines; what shows
/// nothing, but for the two joiners that scripts and emoji need ([`is_joiner`]).
pub fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{00AD}'
        | '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}')
}

/// The joiner and the non-joiner. They are part of words and emoji in a text, and of nothing where it
/// matters that two names which look the same are the same.
pub fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_of_direction_is_unseen_and_no_letter_mark_or_emoji_is() {
        let directions = ['\u{061C}', '\u{200E}', '\u{200F}'].into_iter();
        let directions = directions.chain('\u{202A}'..='\u{202E}').chain('\u{2066}'..='\u{2069}');
        assert!(directions.into_iter().all(is_unseen));
        let seen = "Größe e\u{301} 日本 नमस्ते \u{1F469}\u{FE0F} -\t\n";
        assert!(!seen.chars().any(|c| is_unseen(c) || is_joiner(c)));
        assert!(!is_unseen('\u{200D}') && is_joiner('\u{200D}'));
    }
}
