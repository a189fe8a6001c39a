//! `hauspost chat`.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hauspost_core::account::{Account, AccountError};
use hauspost_core::env::system::{SystemClock, SystemRandomness};
use hauspost_core::env::{Env, FileKeyStore};
use hauspost_core::sync::Https;
use jiff::tz::TimeZone;

use super::Failure;
use super::terminal::{self, Terminal};
use crate::chat::event::Event;
use crate::chat::words::{EnrolWords, Words, fill};
use crate::chat::{self, ChatError, screen};

/// An invitation is shorter than this, in bytes.
const INVITATION_BYTES: u64 = 64 * 1024;

/// Chat in this terminal, as a phone does.
#[derive(Args)]
#[command(
    after_help = "The first start needs the invitation that `hauspost admin invite` printed; later starts need the folder only.\n\n\
    Example:\n  hauspost admin invite anna --name \"Anna Berg\" --keys keys/admin | hauspost chat --profile anna --invitation -\n  \
    hauspost chat --profile anna\n\n\
    A person's second device enrols by an invitation of its own, shows a code, and waits until the first one approves it:\n  \
    hauspost chat --profile anna --approve 7K2M-9XQ4-TB0E"
)]
pub struct Chat {
    /// The folder of this account, its database and its keys; made when it is not there.
    #[arg(long, value_name = "DIR")]
    profile: PathBuf,
    /// The invitation, or - to read it from standard input; asked for when it is needed.
    #[arg(long, value_name = "TEXT")]
    invitation: Option<String>,
    /// Approve another device of yours by the code that it shows, and end.
    #[arg(long, value_name = "CODE", conflicts_with = "invitation")]
    approve: Option<String>,
    /// The language: de or en; without it, that of the environment (LC_ALL, LC_MESSAGES, LANG).
    #[arg(long, value_name = "LANG")]
    lang: Option<String>,
}

/// How often a device that waits for its approval asks whether somebody signed for it.
const ASK_EVERY: Duration = Duration::from_secs(2);

impl Chat {
    pub async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        if let Some(code) = &self.approve {
            return self.approve(code).await;
        }
        if !io::stdout().is_terminal() {
            return Err(Failure::usage("`hauspost chat` needs a terminal to draw on"));
        }
        let account = self.account(terminal).await?;
        let result = Box::pin(self.show(&account)).await;
        account.suspend().await;
        result
    }

    /// Signs for another device of this person.
    async fn approve(&self, code: &str) -> Result<(), Failure> {
        let account = Account::open(&self.profile, env(&self.profile)).await;
        let account = account.map_err(|error| failure(&error))?;
        let approved = account.approve_device(code, None).await;
        account.suspend().await;
        let device = approved.map_err(|error| failure(&error))?;
        terminal::result(fill(self.words().enrol.approved, &[&device.to_string()]));
        Ok(())
    }

    fn words(&self) -> &'static Words {
        let environment =
            ["LC_ALL", "LC_MESSAGES", "LANG"].map(|name| std::env::var(name).unwrap_or_default());
        Words::of(self.lang.iter().chain(&environment))
    }

    /// Opens the account, or enrols it.
    async fn account(&self, terminal: &Terminal) -> Result<Account, Failure> {
        let env = env(&self.profile);
        let words = self.words().enrol;
        match until_approved(words, || Account::open(&self.profile, env.clone())).await {
            Ok(account) => {
                if self.invitation.is_some() {
                    terminal::say(words.unused);
                }
                return Ok(account);
            }
            Err(AccountError::NotEnrolled) => {}
            Err(error) => return Err(failure(&error)),
        }
        let invitation = invitation(words, self.invitation.as_deref())?;
        let waiting = terminal.spinner(words.enrolling);
        let enrol = || Account::enrol(&self.profile, invitation.trim(), env.clone());
        let enrolled = until_approved(words, enrol).await;
        waiting.finish_and_clear();
        enrolled.map_err(|error| failure(&error))
    }

    async fn show(&self, account: &Account) -> Result<(), Failure> {
        let mut screen = screen::Screen::open()
            .map_err(|error| Failure::usage(format!("the terminal cannot be used: {error}")))?;
        let mut keys = screen::inputs();
        let (tell, inputs) = tokio::sync::mpsc::unbounded_channel();
        // A terminal that is closed and a `kill` end the client as `q` does.
        let reading = tokio::spawn(async move {
            let stopped = super::serve::stop_asked();
            tokio::pin!(stopped);
            loop {
                let event = tokio::select! {
                    key = keys.recv() => key.unwrap_or(Event::Quit),
                    () = &mut stopped => Event::Quit,
                };
                let is_last = matches!(event, Event::Quit);
                if tell.send(event).is_err() || is_last {
                    break;
                }
            }
        });
        let around = chat::Around {
            clock: Arc::new(SystemClock),
            zone: TimeZone::system(),
            words: self.words(),
            bell: Arc::new(screen::ring),
        };
        let result = chat::run(account, &mut screen.terminal, inputs, around).await;
        reading.abort();
        drop(screen);
        result.map_err(|error| match error {
            ChatError::Account(error) => failure(&error),
            ChatError::Terminal(_) | ChatError::Broken => Failure::files(error),
        })
    }
}

/// Tries again as long as nobody has signed for this device; its code is shown once.
async fn until_approved<F>(
    words: &EnrolWords,
    begin: impl Fn() -> F,
) -> Result<Account, AccountError>
where
    F: Future<Output = Result<Account, AccountError>>,
{
    let mut shown = false;
    loop {
        match begin().await {
            Err(AccountError::NeedsApproval(code)) => {
                if !shown {
                    terminal::say(fill(words.waits, &[&code, &code]));
                    shown = true;
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
            done => return done,
        }
    }
}

fn env(profile: &Path) -> Env {
    let randomness = Arc::new(SystemRandomness);
    Env {
        clock: Arc::new(SystemClock),
        key_store: Arc::new(FileKeyStore::new(profile.join("keystore"), randomness.clone())),
        randomness,
        network: Arc::new(Https),
    }
}

fn invitation(words: &EnrolWords, given: Option<&str>) -> Result<String, Failure> {
    let unreadable = |error: io::Error| Failure::files(format!("no invitation was read: {error}"));
    let mut text = String::new();
    match given {
        Some("-") => {
            let mut limited = io::stdin().lock().take(INVITATION_BYTES);
            limited.read_to_string(&mut text).map_err(unreadable)?;
        }
        Some(given) => return Ok(given.to_owned()),
        None if io::stdin().is_terminal() => {
            terminal::say(words.paste);
            let mut limited = io::stdin().lock().take(INVITATION_BYTES);
            limited.read_line(&mut text).map_err(unreadable)?;
        }
        None => {}
    }
    if text.trim().is_empty() {
        return Err(Failure::usage("this profile is new and needs an invitation").next(
            "Give it with --invitation TEXT, or --invitation - to read it from standard input.",
        ));
    }
    Ok(text)
}

fn failure(error: &AccountError) -> Failure {
    let failure = match error {
        AccountError::Sync(_) | AccountError::Revoked => Failure::refused(error),
        _ => Failure::files(error),
    };
    match error.code() {
        "offline" => {
            failure.next("Is the company's server running, and can this machine reach it?")
        }
        "in-use" => failure.next("Another program has this profile open; end it first."),
        "invitation" => failure.next("An invitation is one line that begins with hauspost1:"),
        "no-such-code" => failure.next("Type the code as the new device shows it now."),
        "other-account" => failure.next("Name another --profile for it."),
        "server-refused" => {
            failure.next("The invitation may have been used, or be too old; ask for a new one.")
        }
        _ => failure,
    }
}
