//! Who is typing and who is there: said and withheld at random, heard by whoever listens just then, and
//! never about somebody who is not there to be seen.

use hauspost_core::account::{Account, Trace};
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::{log, presence};
use hauspost_protocol::body::LogType;
use rand::RngExt as _;

use super::chaos;
use super::world::World;

/// Somebody types, takes the phone into the hand, puts it down, or withholds that; somebody else hears it.
pub(super) async fn about(world: &mut World, phone: usize) {
    let what = world.dice.random_range(0..8);
    let withheld = world.dice.random_range(0..3) == 0;
    let log = chaos::some_log(world, phone, None).await;
    let _ = world
        .act(phone, "is there", |account| async move {
            match (what, log) {
                (0..2, _) => account.set_in_front(true),
                (2, _) => account.set_in_front(false),
                (3, _) => account.withhold(Trace::Typing, withheld).await?,
                (4, _) => account.withhold(Trace::LastSeen, withheld).await?,
                (_, Some(log)) => account.typing(log),
                (_, None) => {}
            }
            account.say_hints().await
        })
        .await;
    let listener = world.dice.random_range(0..world.phones.len());
    let _ =
        world.act(listener, "listens", |account| async move { account.hear_once().await }).await;
    if let Some(account) = world.wire.account(listener) {
        let seed = world.seed();
        let (wrong, typing) = looks(&account).await.unwrap_or_default();
        world.typing.add(typing);
        assert!(wrong.is_empty(), "seed {seed}, phone {listener}: {}", wrong.join(", "));
    }
}

/// How often somebody was seen to type, so that a course in which nobody ever is does not pass for a good one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Typing {
    /// In a conversation of two.
    pub in_pairs: usize,
    /// In one of several.
    pub in_rooms: usize,
}

impl Typing {
    /// Adds what was seen elsewhere.
    pub fn add(&mut self, more: Self) {
        self.in_pairs += more.in_pairs;
        self.in_rooms += more.in_rooms;
    }
}

/// What a phone shows that it may not, and who types that it shows; a phone that cannot be read shows nothing.
async fn looks(account: &Account) -> Result<(Vec<String>, Typing), StoreError> {
    let read = account.store().read(|conn| {
        let shown = presence::shown(conn)?;
        let mut logs = Vec::new();
        for log in log::all(conn)? {
            logs.push((log.local.id, log.r#type, presence::last_seen(conn, log.local)?));
        }
        Ok::<_, StoreError>((shown, logs))
    });
    let (shown, logs) = read.await?;
    let (mut wrong, mut typing) = (Vec::new(), Typing::default());
    for (log, kind, kept) in logs {
        if kept.is_some() && (!shown.last_seen || kind != LogType::Dm) {
            wrong.push(format!("{log} keeps when somebody was there"));
        }
        let Ok(presence) = account.presence(log).await else { continue };
        if presence.typing.contains(&account.user()) {
            wrong.push(format!("{log} shows the person himself"));
        }
        if !presence.typing.is_empty() && (!shown.typing || kind == LogType::SelfNotes) {
            wrong.push(format!("{log} shows who types"));
        }
        match kind {
            LogType::Dm => typing.in_pairs += presence.typing.len(),
            _ => typing.in_rooms += presence.typing.len(),
        }
        let Ok(people) = account.roles(log).await else { continue };
        let is_there = |user| people.iter().any(|(there, _)| there == user);
        if !presence.typing.iter().all(is_there) {
            wrong.push(format!("{log} shows somebody who is not in it"));
        }
    }
    Ok((wrong, typing))
}
