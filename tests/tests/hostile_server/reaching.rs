//! A server that is away, or has no time, and comes back: what waits is sent without a longer wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hauspost_core::account::{Account, Link};
use hauspost_core::env::Clock as _;
use hauspost_core::env::seeded::ManualClock;
use hauspost_core::env::system::SystemClock;
use hauspost_core::sync::{NetworkError, Response};
use hauspost_protocol::encoding::encode;
use hauspost_protocol::ids::LogId;
use hauspost_protocol::wire::{Outcome, path};
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{PATIENCE, Phone, World, env};

/// A phone whose waits pass only when its clock is moved, in a conversation with Anna.
struct Waiting {
    _world: World,
    anna: Phone,
    ben: Account,
    log: LogId,
    clock: Arc<ManualClock>,
    lies: Hostile,
}

impl Waiting {
    async fn begin() -> Self {
        let mut world = World::found().await;
        let anna = world.phone("anna").await;
        // Right at the beginning, so that his key packages are fit.
        let clock = Arc::new(ManualClock::at(SystemClock.now_ms()));
        let lies = Hostile::default();
        let mut env = env(lies.network());
        env.clock = clock.clone();
        let (_, invitation) = world.invited("ben").await;
        let ben = world.try_to_enrol("ben", &invitation, env).await.unwrap();
        anna.settle().await;
        let log = anna.account.create_dm(ben.account.user()).await.unwrap();
        anna.settle().await;
        ben.settle().await;
        anna.account.start();
        Self { _world: world, anna, ben: ben.account, log, clock, lies }
    }

    /// Moves Ben's clock until his link is this one.
    async fn time_passes_until(&self, wanted: Link) {
        let mut link = self.ben.link();
        let seen = async {
            while *link.borrow_and_update() != wanted {
                self.clock.advance(1_000);
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.expect("the link is so at last");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_sent_as_soon_as_any_of_the_tasks_finds_the_server_back() {
    let waiting = Waiting::begin().await;
    waiting.ben.start();
    // The waits are drawn at random: in some of the rounds the sender's would have been the longest.
    for round in 0..12 {
        let text = format!("endlich {round}");
        waiting.lies.answers(|_| Some(Err(NetworkError::Unreachable)));
        waiting.time_passes_until(Link::Reconnecting).await;
        waiting.ben.send_text(waiting.log, &text).await.unwrap();
        for _ in 0..200 {
            waiting.clock.advance(1_000);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The clock stands still from the moment on at which the server is asked for news.
        let asked = Arc::new(AtomicBool::new(false));
        let heard = asked.clone();
        waiting.lies.answers(move |request| {
            heard.fetch_or(request.path == path::SYNC, Ordering::SeqCst);
            None
        });
        while !asked.load(Ordering::SeqCst) {
            waiting.clock.advance(1_000);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        waiting.anna.hears(waiting.log, &text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_takes_later_is_offered_again_by_itself() {
    let waiting = Waiting::begin().await;
    let mut refusals = 3;
    waiting.lies.answers(move |request| {
        if request.path != path::APPEND || refusals == 0 {
            return None;
        }
        refusals -= 1;
        Some(Ok(Response { status: 200, body: encode(&vec![Outcome::Quota(0)]) }))
    });
    waiting.ben.start();
    waiting.ben.send_text(waiting.log, "nicht so eilig").await.unwrap();
    let heard = waiting.anna.hears(waiting.log, "nicht so eilig");
    let passing = async {
        loop {
            waiting.clock.advance(1_000);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = heard => {}
        () = passing => {}
    }
}
