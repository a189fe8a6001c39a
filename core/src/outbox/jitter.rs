//! How long a phone waits before it changes a group that nobody asked it to change.
//!
//! What one phone sees to be done, all see at once: a device that came and is to be added, a commit
//! behind which all lost the way. In a large group each would commit, one would win, and the others
//! would have worked for nothing (docs/attacks.md 26). So each waits at random, and longer the larger the group is; who wakes up
//! and finds it done has nothing to do. What a person waits for does not wait for this.

use hauspost_protocol::ids::TimeMs;
use rand::{CryptoRng, RngExt as _};

/// Up to this size nobody waits.
const SMALL: usize = 16;
/// The longest wait for each doubling of the group beyond that.
const DOUBLING_MS: u64 = 2_000;

/// A wait of 0 to 2 s × log2(n / 16) in a group of n devices.
pub fn wait_ms(devices: usize, rng: &mut impl CryptoRng) -> TimeMs {
    let doublings = (devices as f64 / SMALL as f64).log2().max(0.0);
    rng.random_range(0..=(doublings * DOUBLING_MS as f64) as u64)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn attacks_26_the_larger_the_group_the_longer_its_phones_spread_and_small_ones_do_not_wait() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut longest = |devices| (0..1_000).map(|_| wait_ms(devices, &mut rng)).max().unwrap();
        assert_eq!([longest(1), longest(16)], [0, 0]);
        assert!((1_900..=2_000).contains(&longest(32)));
        assert!((11_500..=12_000).contains(&longest(1_000)));
    }

    #[test]
    fn attacks_26_of_two_hundred_phones_few_commit_before_they_hear_of_the_first() {
        let mut rng = StdRng::seed_from_u64(2);
        let waits: Vec<_> = (0..200).map(|_| wait_ms(200, &mut rng)).collect();
        let first = waits.iter().min().unwrap();
        // A commit, its answer and the hint take about 200 ms.
        let at_once = waits.iter().filter(|wait| **wait < first + 200).count();
        assert!(at_once < 20, "{at_once}");
    }
}
