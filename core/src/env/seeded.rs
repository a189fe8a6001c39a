//! The world of tests and simulation: a clock that moves when told, randomness from a seed, keys in
//! memory.

use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hauspost_protocol::ids::TimeMs;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;

use super::key_file::DeviceKey;
use super::{Clock, DatabaseKey, KeyStore, KeyStoreError, Randomness};

/// A clock that stands still until it is moved.
pub struct ManualClock(watch::Sender<TimeMs>);

impl ManualClock {
    /// A clock that shows this time.
    pub fn at(now_ms: TimeMs) -> Self {
        Self(watch::Sender::new(now_ms))
    }

    /// Moves the clock forward and ends the sleeps that are over by then.
    pub fn advance(&self, duration_ms: u64) {
        self.0.send_modify(|now| *now += duration_ms);
    }

    /// Puts the clock to any time, as a person with a wrong phone does.
    pub fn set(&self, now_ms: TimeMs) {
        self.0.send_replace(now_ms);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> TimeMs {
        *self.0.borrow()
    }

    fn sleep(&self, duration_ms: u64) -> BoxFuture<'static, ()> {
        let mut time = self.0.subscribe();
        let until = self.now_ms().saturating_add(duration_ms);
        async move {
            // A clock that is gone never reaches the time; then nobody waits for this sleep either.
            if time.wait_for(|now| *now >= until).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }
}

/// Randomness that is the same for the same seed and the same order of calls.
pub struct SeededRandomness(Mutex<StdRng>);

impl SeededRandomness {
    /// The randomness of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Randomness for SeededRandomness {
    fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.0.lock().expect("drawing random bytes does not panic").fill_bytes(&mut seed);
        seed
    }
}

/// A key store in memory. It outlives a simulated crash when the simulation keeps it.
pub struct MemoryKeyStore {
    database: DatabaseKey,
    device: DeviceKey,
}

impl MemoryKeyStore {
    /// A key store whose keys come from this randomness.
    pub fn new(randomness: &dyn Randomness) -> Self {
        let mut rng = randomness.rng();
        Self { database: DatabaseKey::random(&mut rng), device: DeviceKey::random(&mut rng) }
    }
}

impl KeyStore for MemoryKeyStore {
    fn database_key(&self) -> Result<DatabaseKey, KeyStoreError> {
        Ok(self.database.clone())
    }

    fn public_key(&self) -> Result<[u8; 33], KeyStoreError> {
        Ok(self.device.public())
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyStoreError> {
        Ok(self.device.sign(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_keys_and_another_seed_others() {
        let key = |seed| MemoryKeyStore::new(&SeededRandomness::new(seed)).public_key().unwrap();
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
    }

    #[tokio::test]
    async fn a_sleep_ends_when_the_clock_was_moved_past_it_and_not_before() {
        let clock = ManualClock::at(1_000);
        let sleep = clock.sleep(500);
        let mut sleep = std::pin::pin!(sleep);
        clock.advance(499);
        assert!((&mut sleep).now_or_never().is_none());
        clock.advance(1);
        assert!((&mut sleep).now_or_never().is_some());
        assert_eq!(clock.now_ms(), 1_500);
    }
}
