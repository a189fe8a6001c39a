//! What a phone does when its server lies: `docs/attacks.md`, row by row, through the real core.
//!
//! Each test lets one phone reach the real server over a network that changes what the server says.
//! A lie must cost the liar: the phone stops the conversation, raises an alarm, shows a gap or
//! refuses, and what people wrote is not lost.

mod answers;
mod chain;
mod company;
mod entering;
mod handover;
mod heads;
mod joining;
mod losing_the_way;
mod present;
mod reaching;
mod refusals;
mod reports;
mod resets;
mod sending;

use hauspost_core::inbound::Code;
use hauspost_protocol::ids::LogId;
use hauspost_protocol::wire::{LogNews, SyncAnswer};
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World};

/// Anna, whose server is honest, and Ben, whose server lies; Anna wrote three messages, and Ben has
/// read the first.
struct Scene {
    world: World,
    anna: Phone,
    ben: Phone,
    lies: Hostile,
    log: LogId,
}

impl Scene {
    async fn open() -> Self {
        Self::open_under(Hostile::default()).await
    }

    /// With a server that lies from the beginning on.
    async fn open_under(lies: Hostile) -> Self {
        let mut world = World::found().await;
        let anna = world.phone("anna").await;
        let ben = world.phone_over("ben", lies.network()).await;
        anna.settle().await;
        let log = anna.account.create_group(None, vec![ben.account.user()]).await.unwrap();
        anna.account.send_text(log, "eins").await.unwrap();
        anna.settle().await;
        ben.settle().await;
        assert_eq!(ben.texts(log).await, ["eins"]);
        anna.account.send_text(log, "zwei").await.unwrap();
        anna.account.send_text(log, "drei").await.unwrap();
        anna.settle().await;
        Self { world, anna, ben, lies, log }
    }

    /// Ben pulls news of the conversation that were changed like this.
    async fn ben_pulls(&self, twist: impl FnMut(&mut LogNews) + Send + 'static) {
        self.lies.twists_news(news_of(self.log, twist));
        let _ = self.ben.account.sync_all().await;
        self.lies.is_honest_again();
    }

    /// The conversation stopped at Ben's phone for this reason, with an alarm, once; what he had
    /// stays readable, and nothing is taken any more, not even from a server that is honest again.
    async fn is_stopped_for(&self, code: Code, texts: &[&str]) {
        assert_eq!(self.ben.stopped(self.log).await, Some(code as u64));
        assert_eq!(self.ben.alarm_codes().await, [code as u64]);
        self.ben.account.sync_all().await.unwrap();
        assert_eq!(self.ben.texts(self.log).await, texts);
        assert_eq!(self.ben.alarm_codes().await, [code as u64]);
        assert!(self.ben.account.send_text(self.log, "hört ihr mich?").await.is_err());
    }

    /// Ben's phone comes back from the background, and so names the cursor of each log, as it does
    /// once an hour anyway.
    async fn ben_names_his_cursors(&self) {
        self.ben.account.suspend().await;
        self.ben.account.resume().await.unwrap();
    }

    /// Ben's server is honest again, and Ben has everything, without a gap or an alarm.
    async fn ends_well(&self, texts: &[&str]) {
        self.lies.is_honest_again();
        self.ben.settle().await;
        self.anna.settle().await;
        assert_eq!(self.ben.texts(self.log).await, texts);
        assert_eq!(self.anna.texts(self.log).await, texts);
        assert_eq!(self.ben.gaps(self.log).await + self.ben.alarms().await, 0);
        assert_eq!(self.ben.stopped(self.log).await, None);
    }
}

fn news_of(
    log: LogId,
    mut twist: impl FnMut(&mut LogNews) + Send + 'static,
) -> impl FnMut(&mut SyncAnswer) + Send + 'static {
    move |answer| answer.logs.iter_mut().filter(|news| news.log == log).for_each(&mut twist)
}
