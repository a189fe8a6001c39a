//! Texts as a company writes them: twenty thousand words, some often.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// A source of texts under a seed.
pub struct Texts {
    pub words: Vec<String>,
    pub rng: StdRng,
}

impl Texts {
    pub fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let words = (0..20_000).map(|_| word(&mut rng)).collect();
        Self { words, rng }
    }

    /// A text of about so many bytes.
    pub fn text(&mut self, size: usize) -> String {
        let mut text = String::new();
        while text.len() + 5 < size {
            // Word n comes about 1/n as often as the first, as in any language.
            let rank = (self.words.len() as f64).powf(self.rng.random::<f64>()) as usize - 1;
            text.push_str(&self.words[rank.min(self.words.len() - 1)]);
            text.push(' ');
        }
        text
    }
}

fn word(rng: &mut StdRng) -> String {
    const PARTS: [&str; 24] = [
        "ver", "lie", "fer", "schein", "auf", "trag", "straße", "mül", "ler", "bau", "stel", "le",
        "größe", "mor", "gen", "kun", "de", "an", "ge", "bot", "rech", "nung", "zeit", "plan",
    ];
    (0..rng.random_range(1..5)).map(|_| PARTS[rng.random_range(0..PARTS.len())]).collect()
}
