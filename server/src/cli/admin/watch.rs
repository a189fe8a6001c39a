//! `hauspost admin log` and `status`: what happened, and whether all is well.

use clap::Args;

use super::super::{Failure, now_ms, rng, terminal};
use super::Keys;
use crate::archive::time;
use crate::company::client::Client;
use crate::company::history;
use crate::company::holder::Holder;
use crate::company::policy::Fingerprints;
use crate::harmless;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::ids::Seq;
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::tree::proof::{TreeError, believe};
use hauspost_protocol::tree::witness::seen_by;
use hauspost_protocol::wire::{Witnessed, WitnessedRequest, path};

/// How long `status` shows a report, in days.
const REPORT_DAYS: u64 = 30;

#[derive(Args)]
#[command(
    after_help = "One line for each entry: number, time, kind, what it is about, and why it does not count if it does not; \
    separated by tabs.\n\nExample:\n  hauspost admin log --reports --keys keys/admin"
)]
pub struct Log {
    /// Only what devices report.
    #[arg(long)]
    reports: bool,
    /// Only the newest so many.
    #[arg(long, value_name = "NUMBER")]
    last: Option<usize>,
    #[command(flatten)]
    keys: Keys,
}

#[derive(Args)]
#[command(
    after_help = "Shows the size of the company log, entries in it that do not count, the newest checkpoint with its witnesses, and what \
    devices reported in the last 30 days.\n\nExample:\n  hauspost admin status --keys keys/admin"
)]
pub struct Status {
    #[command(flatten)]
    keys: Keys,
}

impl Log {
    pub async fn run(self) -> Result<(), Failure> {
        let holder = Holder::open(&self.keys.keys)?;
        let client = holder.client(self.keys.server.as_deref()).await?;
        let (company, entries) = holder.company_log(&client, &mut rng()).await?;
        let mut lines = history::lines(&company, &entries);
        lines.retain(|line| !self.reports || line.kind == "report");
        let first = self.last.map_or(0, |last| lines.len().saturating_sub(last));
        for line in lines.drain(first..) {
            let (seq, time) = (line.seq, time::show(line.t_ms));
            let finding = line.finding.map(|finding| format!("\tdoes not count: {finding}"));
            let finding = finding.unwrap_or_default();
            terminal::result(format_args!("{seq}\t{time}\t{}\t{}{finding}", line.kind, line.about));
        }
        Ok(())
    }
}

impl Status {
    pub async fn run(self) -> Result<(), Failure> {
        let holder = Holder::open(&self.keys.keys)?;
        let client = holder.client(self.keys.server.as_deref()).await?;
        let (company, entries) = holder.company_log(&client, &mut rng()).await?;
        terminal::result(format_args!("company {} at {}", holder.card.company, client.server()));
        let (size, devices) = (company.size(), company.now().devices().count());
        terminal::result(format_args!("company log: {size} entries, {devices} active devices"));
        if let Some(policy) = company.now().policy() {
            let Fingerprints { document, council } = Fingerprints::of(&policy.document);
            terminal::result(format_args!(
                "policy version {} by entry {}: {document}, council's part {council}",
                policy.version, policy.entered
            ));
        }
        for (seq, finding) in company.findings() {
            terminal::result(format_args!("entry {seq} does not count: {finding}"));
        }
        show_checkpoint(&client, &company).await?;
        let since = now_ms().saturating_sub(REPORT_DAYS * DAY_MS);
        let mut reports = history::reports(&company, &entries);
        reports.retain(|report| report.t_ms >= since);
        if reports.is_empty() {
            terminal::result(format_args!("no reports in {REPORT_DAYS} days"));
        }
        for report in reports {
            let said = history::said(&company, &report.body);
            terminal::result(format_args!("{}: {said}", time::show(report.t_ms)));
        }
        Ok(())
    }
}

/// The newest checkpoint, and what each witness said of it.
async fn show_checkpoint(client: &Client, company: &Company) -> Result<(), Failure> {
    let news = client.checkpoint(Seq(company.size())).await?;
    let believed = match news.as_ref().map(|news| believe(news, company, None)) {
        Some(Ok(believed)) => believed,
        // The log went on meanwhile; the next look shows it.
        Some(Err(TreeError::CompanyAhead(_))) | None => {
            terminal::result("no checkpoint yet");
            return Ok(());
        }
        Some(Err(error)) => {
            return Err(
                Failure::refused(error).next("Do not go on: the server shows another history.")
            );
        }
    };
    let (tree, made) = (believed.tree, time::show(believed.outer.t_ms));
    terminal::result(format_args!("checkpoint {} of era {}, made {made}", tree.size, tree.era));
    let request = WitnessedRequest { era: tree.era, size: tree.size };
    let witnessed: Vec<Witnessed> = client.post(path::WITNESSED, &request).await?;
    let seen = seen_by(&witnessed, &tree, &company.now());
    for witness in company.now().witnesses() {
        let name = harmless::line(&witness.name);
        match seen.iter().find(|seen| seen.witness.key == witness.key) {
            Some(seen) => {
                let time = time::show(seen.time_s.saturating_mul(1_000));
                terminal::result(format_args!(
                    "witness {name} cosigned size {}, {time}",
                    seen.size
                ));
            }
            None => terminal::result(format_args!("witness {name} cosigned nothing yet")),
        }
    }
    Ok(())
}
