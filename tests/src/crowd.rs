//! Who fills a large group: devices that are enrolled at the real server and have key packages
//! there, and do nothing else. They have no database, so that there can be a thousand of them.

use std::sync::Arc;

use hauspost_core::env::seeded::MemoryKeyStore;
use hauspost_core::env::system::{SystemClock, SystemRandomness};
use hauspost_core::env::{Clock as _, KeyStore};
use hauspost_core::group::{Member, packages, provider};
use hauspost_core::sync::{Https, Network as _, Server, Session};
use hauspost_protocol::company::voucher::{Voucher, enrol_request};
use hauspost_protocol::crypto::{Secret, SigningKey};
use hauspost_protocol::ids::{CompanyId, DeviceId, TimeMs, UserId};
use hauspost_protocol::invitation::Trust;
use hauspost_protocol::mls::certificate::DeviceCertificate;
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::mls::storage::MemoryBackend;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// What it takes to enrol somebody.
pub struct Gate<'a> {
    /// The server's address.
    pub url: &'a str,
    /// What its certificate is checked by.
    pub trust: &'a Trust,
    /// The company.
    pub company: CompanyId,
    /// Its enrolment authority.
    pub authority: &'a SigningKey,
    /// The time of the server.
    pub now_ms: TimeMs,
}

/// Enrols so many people, each with a device that has a key package of these suites at the server.
pub async fn enrol(gate: &Gate<'_>, suites: &[Suite], count: usize) -> Vec<UserId> {
    let mut rng = StdRng::from_seed([11; 32]);
    let connection = Https.connect(gate.url, gate.trust).unwrap();
    let mut users = Vec::with_capacity(count);
    for _ in 0..count {
        let (mut user, mut device) = ([0; 16], [0; 16]);
        rng.fill_bytes(&mut user);
        rng.fill_bytes(&mut device);
        let (user, device) = (UserId::from_random(user), DeviceId::from_random(device));
        let (seed, key) = (Secret::random(&mut rng), SigningKey::random(&mut rng));
        let seed_key = SigningKey::from_seed(seed.clone()).public();
        let not_after = gate.now_ms + 86_400_000;
        let voucher = Voucher::sign(gate.authority, gate.company, seed_key, Some(user), not_after);
        let key_store = Arc::new(MemoryKeyStore::new(&SystemRandomness));
        let keystore_key = key_store.public_key().unwrap();
        let who = (user, device);
        let request =
            enrol_request(gate.company, &seed, &voucher, who, &key, keystore_key, &[1; 1_216]);
        let enrolled = Server::unknown(connection.clone()).enrol(&request).await.unwrap();
        let certificate = DeviceCertificate::parse(&enrolled.certificate).unwrap();
        let stored = MemoryBackend::default();
        let member = Member { key: &key, certificate: &certificate };
        let now_ms = SystemClock.now_ms();
        let session = Session::new(gate.company, device, key_store, Arc::new(SystemClock));
        let server = Server::new(connection.clone(), session);
        for suite in suites {
            let made = {
                let provider = provider(&stored, &mut rng);
                packages::make(&provider, member, *suite, 1, false, now_ms).unwrap()
            };
            assert_eq!(server.put_packages(&made).await.unwrap(), 1);
        }
        users.push(user);
    }
    users
}
