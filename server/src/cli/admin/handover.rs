//! `hauspost admin handover`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hauspost_protocol::ids::{LogId, TimeMs};

use super::Keys;
use super::policy::Desk;
use super::request::{Sign, Submit};
use crate::archive::approval::Approval;
use crate::archive::time::{parse_end, parse_start};
use crate::cli::Failure;
use crate::cli::terminal::{self, Terminal};
use crate::company::handover::{self, HandoverError, Wanted};

/// Hand what a leaver had in conversations to a successor.
#[derive(Subcommand)]
#[command(
    after_help = "HR makes and signs the request, the works council signs it unless the policy's `handover_council` says no, \
    each on a machine of their own:\n\n  \
    HR       hauspost admin handover request --from ben --to anna --keys keys/hr --out handover.json\n  \
    council  hauspost admin handover sign handover.json --keys keys/council-1\n  \
    HR       hauspost admin handover submit handover.json --keys keys/hr"
)]
pub enum Handover {
    /// Write a request, signed by HR.
    Request(Request),
    /// Sign a request, after reading what it says.
    #[command(
        after_help = "Shows what the request says, read from the very bytes that are signed, asks, and adds the signature.\n\n\
    Example:\n  hauspost admin handover sign handover.json --keys keys/council-1"
    )]
    Sign(Sign),
    /// Append a request that all have signed.
    #[command(
        after_help = "From its entry on the phones in the leaver's conversations give the successor what it names. Prints the \
    entry's number.\n\nExample:\n  hauspost admin handover submit handover.json --keys keys/hr"
    )]
    Submit(Submit),
    /// Show what is handed over.
    List(List),
}

#[derive(Args)]
#[command(
    after_help = "It is about the past: what was said before its entry in the company log, while the leaver was in the \
    conversation. The phones of those who are there give it, and everybody there sees a line. A leaver's notes to himself are \
    never handed over. A second request between the same two takes the place of the first: name less, or --nothing.\n\n\
    Example:\n  hauspost admin handover request --from ben --to anna --since 2025-01-01 --keys keys/hr --out handover.json\n  \
    hauspost admin handover request --from ben --to anna --log 1f8ee0a2-6a1a-4a34-8c54-2d3b7c1d9e55 --keys keys/hr --out handover.json\n  \
    hauspost admin handover request --from ben --to anna --nothing --keys keys/hr --out end.json"
)]
pub struct Request {
    /// Who leaves: a short name or an id.
    #[arg(long, value_name = "WHO")]
    from: String,
    /// Who takes over: a short name or an id.
    #[arg(long, value_name = "WHO")]
    to: String,
    /// Only this conversation, by its id; may be repeated.
    #[arg(long = "log", value_name = "ID")]
    logs: Vec<LogId>,
    /// Nothing from before this day (UTC).
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_start)]
    since: Option<TimeMs>,
    /// Nothing from after this day (UTC).
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_end)]
    until: Option<TimeMs>,
    /// End an earlier handover between the two: what was not given yet stays where it is.
    #[arg(long, conflicts_with_all = ["logs", "since", "until"])]
    nothing: bool,
    #[command(flatten)]
    keys: Keys,
    /// The file for the request.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Sign without being asked, where nobody sits at the terminal.
    #[arg(long)]
    yes: bool,
}

#[derive(Args)]
#[command(
    after_help = "One line for the newest handover between each two: entry, time, leaver, successor, extent, or that nothing is handed over any more; separated by tabs.\n\n\
    Example:\n  hauspost admin handover list --keys keys/council-1"
)]
pub struct List {
    #[command(flatten)]
    keys: Keys,
}

impl Handover {
    pub async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        match self {
            Self::Request(request) => request.run().await,
            Self::Sign(sign) => sign.run(say).await,
            Self::Submit(submit) => submitted(submit, terminal).await,
            Self::List(list) => list.run().await,
        }
    }
}

/// Says what a request asks for.
fn say(desk: &Desk, approval: &Approval) -> Result<(), Failure> {
    for line in handover::words(handover::read(approval)?, &desk.name_of()) {
        terminal::say(line);
    }
    let signers: Vec<_> = approval.signers().map(|signer| signer.to_string()).collect();
    terminal::say(format_args!("Signed by {} key(s): {}", signers.len(), signers.join(", ")));
    Ok(())
}

/// Who signs, by the policy in force.
fn who_signs(desk: &Desk) -> &'static str {
    match desk.terms().council.handover_council {
        true => "HR and the works council",
        false => "HR",
    }
}

impl Request {
    async fn run(self) -> Result<(), Failure> {
        let desk = self.keys.desk().await?;
        let wanted =
            Wanted { logs: self.logs, since: self.since, until: self.until, nothing: self.nothing };
        let (id, people) = (desk.holder.card.company, &desk.people);
        let between = (self.from.as_str(), self.to.as_str());
        let approval = handover::request(&desk.company, id, people, between, &wanted)?;
        say(&desk, &approval)?;
        desk.sign(approval, &self.out, self.yes)?;
        terminal::say(format_args!(
            "Next: {} sign it, each with a folder of their own: hauspost admin handover sign {} --keys …",
            who_signs(&desk),
            self.out.display()
        ));
        Ok(())
    }
}

/// Appends a request that all have signed.
async fn submitted(submit: Submit, terminal: &Terminal) -> Result<(), Failure> {
    let read = |desk: &Desk, approval: &Approval| {
        handover::read(approval)?;
        let takes = format!(
            "A handover takes the signatures of {}: hauspost admin handover sign FILE --keys …",
            who_signs(desk)
        );
        Ok(((), takes))
    };
    let ((), seq) = submit.run(terminal, read).await?;
    terminal::result(format_args!("handed over by entry {seq} of the company log"));
    Ok(())
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let desk = self.keys.desk().await?;
        let mut known: Vec<_> = desk.company.now().handovers().collect();
        known.sort_by_key(|known| known.seq);
        for known in known {
            terminal::result(handover::row(known, &desk.name_of()));
        }
        Ok(())
    }
}

impl From<HandoverError> for Failure {
    fn from(error: HandoverError) -> Self {
        let message = error.to_string();
        match error {
            HandoverError::Unknown(_)
            | HandoverError::NoDevice(_)
            | HandoverError::NothingLeft(_) => {
                Self::refused(message).next("`hauspost admin list` shows people and devices.")
            }
            HandoverError::Same(_)
            | HandoverError::Period
            | HandoverError::TooMany
            | HandoverError::Twice(_) => Self::usage(message),
            HandoverError::NothingToEnd => Self::refused(message)
                .next("`hauspost admin handover list` shows what is handed over."),
            HandoverError::NotAHandover => Self::refused(message)
                .next("Sign only what you can read. A newer version may be able to show it."),
        }
    }
}
