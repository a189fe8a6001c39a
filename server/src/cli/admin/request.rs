//! A request that several holders sign, each on a machine of his own, before it is appended to the company log:
//! a policy, a handover.

use std::path::PathBuf;

use clap::Args;
use hauspost_protocol::ids::Seq;

use super::Keys;
use super::policy::Desk;
use crate::archive::approval::Approval;
use crate::cli::terminal::Terminal;
use crate::cli::{Failure, now_ms};

/// Whose request is signed.
#[derive(Args)]
pub struct Sign {
    /// The request.
    request: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// Sign without being asked, where nobody sits at the terminal.
    #[arg(long)]
    yes: bool,
}

/// Whose request is appended.
#[derive(Args)]
pub struct Submit {
    /// The request.
    request: PathBuf,
    #[command(flatten)]
    keys: Keys,
}

impl Sign {
    /// Shows by `say` what the request asks for, asks, and adds the signature.
    pub(super) async fn run<T>(
        self,
        say: impl FnOnce(&Desk, &Approval) -> Result<T, Failure>,
    ) -> Result<(), Failure> {
        let desk = self.keys.desk().await?;
        let approval = Approval::read(&self.request)?;
        if approval.company != desk.holder.card.company {
            return Err(Failure::refused("the request is for another company"));
        }
        say(&desk, &approval)?;
        desk.sign(approval, &self.request, self.yes)
    }
}

impl Submit {
    /// Appends the request; its entry's number. `read` refuses what is no such request, and says what to do
    /// where signatures are missing.
    pub(super) async fn run<T>(
        self,
        terminal: &Terminal,
        read: impl FnOnce(&Desk, &Approval) -> Result<(T, String), Failure>,
    ) -> Result<(T, Seq), Failure> {
        let working = terminal.spinner("appending to the company log …");
        let desk = self.keys.desk().await?;
        let approval = Approval::read(&self.request)?;
        let (requested, takes) = read(&desk, &approval)?;
        let checked = approval.check(&desk.company, now_ms());
        checked.map_err(|error| Failure::refused(error).next(takes))?;
        let seq = desk.client.append(desk.holder.card.company.log(), approval.entry()).await?;
        working.finish_and_clear();
        Ok((requested, seq))
    }
}
