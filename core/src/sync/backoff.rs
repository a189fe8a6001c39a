//! How long to wait before the next try.

use rand::RngExt as _;

const FIRST_MS: u64 = 250;
const LONGEST_MS: u64 = 60_000;

/// Waits that double up to a minute, each drawn at random below its bound, so that a thousand
/// phones do not come back in the same second ("full jitter").
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure, in milliseconds.
    pub fn next_ms(&mut self, rng: &mut impl rand::CryptoRng) -> u64 {
        let bound = LONGEST_MS.min(FIRST_MS << self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        FIRST_MS / 2 + rng.random_range(0..=bound)
    }

    /// A success: the next failure waits shortly again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn waits_grow_to_a_minute_and_no_further() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..64).map(|_| backoff.next_ms(&mut rng)).collect();
        assert!(waits[0] <= 2 * FIRST_MS);
        assert!(waits.iter().all(|wait| *wait <= LONGEST_MS + FIRST_MS));
        assert!(waits[20..].iter().any(|wait| *wait > LONGEST_MS / 4));
        backoff.reset();
        assert!(backoff.next_ms(&mut rng) <= 2 * FIRST_MS);
    }
}
