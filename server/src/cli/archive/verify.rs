//! `hauspost archive verify`.

use std::path::{Path, PathBuf};

use clap::Args;
use hauspost_protocol::entry::Head;
use hauspost_protocol::ids::{Digest, LogId};
use hauspost_protocol::tree::chain::walk;

use crate::archive::export::{Export, parse_digest, read_log};
use crate::archive::time;
use crate::archive::verify::{Pin, Report, examine};
use crate::cli::terminal::{self, Terminal};
use crate::cli::{Failure, rng};
use crate::company::card::Card;
use crate::company::handover;

#[derive(Args)]
#[command(
    after_help = "Works offline. Each finding is a line that names log and entry; the exit code is 10 if there is any. What \
    could not be checked is said as well.\n\n\
    Example:\n  hauspost archive verify officers-export --keys keys/officer-1\n  \
    hauspost archive verify officers-export --pin 3f9a… --earlier export-of-last-year"
)]
pub struct Verify {
    /// An export folder, or one log file of it, which is then walked alone.
    export: PathBuf,
    /// The company's pin in hexadecimal, from a printed page.
    #[arg(long, value_name = "HEX", value_parser = parse_pin)]
    pin: Option<Digest>,
    /// A holder's folder, whose company.json holds the pin.
    #[arg(long, value_name = "DIR", conflicts_with = "pin")]
    keys: Option<PathBuf>,
    /// An earlier export: what it covers has to stand unchanged in this one.
    #[arg(long, value_name = "DIR")]
    earlier: Option<PathBuf>,
    /// So many witnesses have to vouch for the checkpoint.
    #[arg(long, value_name = "N", default_value_t = 0)]
    require_witness: usize,
}

fn parse_pin(text: &str) -> Result<Digest, String> {
    parse_digest(text).ok_or_else(|| "not a pin; it is 64 hexadecimal digits".into())
}

impl Verify {
    pub fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        if self.export.is_file() {
            return log_file(&self.export);
        }
        let working = terminal.spinner("verifying …");
        let pin = match (self.pin, &self.keys) {
            (Some(pin), _) => Pin::Known(pin),
            (None, Some(keys)) => Pin::Known(Card::read(keys)?.pin),
            (None, None) => Pin::OfTheExport,
        };
        let export = Export::read(&self.export)?;
        let earlier = self.earlier.as_deref().map(Export::read).transpose()?;
        let mut examined = examine(export, pin, earlier.as_ref(), &mut rng());
        examined.report.require_witnesses(self.require_witness);
        working.finish_and_clear();
        show(&examined.report)
    }
}

fn show(report: &Report) -> Result<(), Failure> {
    for finding in &report.findings {
        terminal::result(format_args!("FINDING {finding}"));
    }
    for unchecked in &report.unchecked {
        terminal::result(format_args!("NOT CHECKED {unchecked}"));
    }
    if let Some((head, t_ms)) = &report.checkpoint {
        terminal::result(format_args!(
            "checkpoint {} of era {}, made {}, signatures good",
            head.size,
            head.era,
            time::show(*t_ms)
        ));
    }
    for witness in &report.witnesses {
        terminal::result(format_args!(
            "witness {} cosigned size {}, {}",
            witness.name,
            witness.size,
            time::show(witness.t_ms)
        ));
    }
    for known in &report.handovers {
        let row = handover::row(known, &|user| user.to_string());
        terminal::result(format_args!("handover\t{row}"));
    }
    terminal::result(format_args!("{} logs, {} entries walked", report.logs, report.entries));
    if report.findings.is_empty() {
        terminal::result("OK: nothing is missing, changed or reordered");
        return Ok(());
    }
    Err(Failure::findings(report.findings.len()))
}

/// A log file alone: its chain, and nothing else.
fn log_file(path: &Path) -> Result<(), Failure> {
    let (entries, damage) = read_log(path)?;
    let count = entries.len();
    // Which log it is, the file itself says; what is of another one does not belong in it.
    let log = entries.iter().find_map(|entry| Some(Head::parse(&entry.entry.head).ok()?.log));
    let walked = walk(log.unwrap_or(LogId([0; 16])), entries, None);
    let name = path.display();
    if let Some(reason) = &damage {
        terminal::result(format_args!("FINDING file {name}: {reason}"));
    }
    for broken in &walked.breaks {
        terminal::result(format_args!("FINDING file {name}, entry {}: {broken}", broken.seq()));
    }
    terminal::result("NOT CHECKED signatures, and where the log ends: that takes the whole export");
    terminal::result(format_args!("1 log, {count} entries walked"));
    let findings = walked.breaks.len() + usize::from(damage.is_some());
    if findings == 0 { Ok(()) } else { Err(Failure::findings(findings)) }
}
