//! `hauspost chat`: a terminal client over the same objects that phones use.
//!
//! Events go in, a screen comes out. [`event`] is all that can happen and all that can be wanted;
//! [`update`] makes of [`state`] and an event the next state and its effects, and [`view`] a screen
//! of a state: both are functions without any I/O. [`layout`] says where things lie, [`editor`] is a
//! text being written, [`text`] makes what others wrote harmless, [`words`] is all that the client says
//! itself, in each language, [`asked`] reads the line of a search, [`command`] what is typed behind a
//! slash. [`phone`] carries effects out on
//! the core's account, [`screen`] is the real terminal. [`run`] below ties them together; it draws
//! on any backend, so tests run it without a terminal.

pub mod asked;
pub mod command;
pub mod editor;
pub mod event;
#[cfg(test)]
mod fixture;
pub mod layout;
pub mod phone;
pub mod screen;
pub mod state;
pub mod text;
pub mod update;
pub mod view;
pub mod words;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hauspost_core::account::{Account, AccountError};
use hauspost_core::env::Clock;
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::Backend;
use tokio::sync::mpsc;

use event::{Effect, Event};
use state::State;
use words::Words;

/// What is written is kept this long after the last key.
const DRAFT: Duration = Duration::from_secs(1);
/// How often the clock is looked at, for "today" and "yesterday".
const MINUTE: Duration = Duration::from_secs(60);

/// Coordinated universal time, for a screen that does not depend on where it stands.
pub fn utc() -> TimeZone {
    TimeZone::UTC
}

/// Why the client ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The account failed.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The task that reads and writes the account is gone: a defect.
    #[error("this program has a defect and cannot go on; nothing that was stored is lost")]
    Broken,
    /// The terminal failed.
    #[error("the terminal cannot be used: {0}")]
    Terminal(io::Error),
}

/// What a client takes from where it runs.
pub struct Around {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where the terminal stands.
    pub zone: TimeZone,
    /// What the client says.
    pub words: &'static Words,
    /// Makes the terminal's sound.
    pub bell: Arc<dyn Fn() + Send + Sync>,
}

/// Shows an account on a terminal until the person ends it, or `inputs` does.
///
/// # Errors
/// When the account cannot be read at the beginning, or the terminal cannot be written.
pub async fn run<B>(
    account: &Account,
    terminal: &mut Terminal<B>,
    mut inputs: mpsc::UnboundedReceiver<Event>,
    around: Around,
) -> Result<(), ChatError>
where
    B: Backend,
    B::Error: Send + Sync + 'static,
{
    let Around { clock, zone, words, bell } = around;
    let failed = |error: B::Error| ChatError::Terminal(io::Error::other(error));
    let observer = account.observe();
    let mut link = account.link();
    let (want, wanted) = mpsc::unbounded_channel();
    let (tell, mut told) = mpsc::unbounded_channel();
    let (tell_later, mut later) = mpsc::unbounded_channel();
    let server = tokio::spawn(phone::serve(account.clone(), wanted, tell, tell_later));
    account.start();

    let size = terminal.size().map_err(failed)?;
    let address = account.server().await?;
    let name = address.trim_start_matches("https://").trim_end_matches('/');
    let size = (size.width, size.height);
    let mut state = State::new(account.user(), name, clock.now_ms(), (zone, words), size);
    state.link = *link.borrow_and_update();
    let mut waiting = send(&want, update::begin());
    loop {
        terminal.draw(|frame| view::view(&state, frame)).map_err(failed)?;
        let unsaved = state.dialog.as_ref().is_some_and(|dialog| dialog.is_unsaved);
        let event = tokio::select! {
            input = inputs.recv() => input.unwrap_or(Event::Quit),
            answer = told.recv() => {
                waiting -= 1;
                match answer {
                    Some(Some(event)) => event,
                    Some(None) => continue,
                    // It ends before its wishes do only by a panic.
                    None => return Err(ChatError::Broken),
                }
            }
            Some(event) = later.recv() => event,
            // What changed while readings are under way waits in the observer, each thing once.
            changes = observer.next(), if waiting == 0 => match changes {
                Some(changes) => Event::Changed(changes),
                None => Event::Quit,
            },
            Ok(()) = link.changed() => Event::Link(*link.borrow_and_update()),
            () = tokio::time::sleep(if unsaved { DRAFT } else { MINUTE }) => {
                Event::Clock(clock.now_ms())
            }
        };
        let mut next = Some(event);
        while let Some(event) = next {
            let (after, effects) = update::update(state, event);
            state = after;
            waiting += send(&want, effects);
            // Keys that came meanwhile, as a paste without brackets, are drawn once.
            next = inputs.try_recv().ok();
        }
        if std::mem::take(&mut state.rings) {
            bell();
        }
        if state.is_ending {
            break;
        }
    }
    // The last draft is kept before the database is closed.
    drop(want);
    server.await.map_err(|_| ChatError::Broken)
}

fn send(want: &mpsc::UnboundedSender<Effect>, effects: Vec<Effect>) -> usize {
    // The other end lives as long as this one.
    effects.into_iter().filter(|effect| want.send(effect.clone()).is_ok()).count()
}
