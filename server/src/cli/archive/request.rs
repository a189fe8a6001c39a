//! `hauspost archive request`, `sign` and `submit`.

use std::path::PathBuf;

use clap::Args;
use hauspost_protocol::company::body::{CompanyBody, OpeningEntry, Scope};
use hauspost_protocol::ids::{LogId, Seq, TimeMs, UserId};

use crate::archive::approval::{Approval, ApprovalError};
use crate::archive::time::{parse_end, parse_start};
use crate::cli::admin::Keys;
use crate::cli::terminal::{self, Terminal};
use crate::cli::{Failure, now_ms, rng};
use crate::company::client::Client;
use crate::company::holder::Holder;

#[derive(Args)]
#[command(
    after_help = "The scope is the smallest one that serves the purpose: conversations, a period, people. The council gives \
    keys for it and for nothing else.\n\n\
    Example:\n  hauspost archive request --purpose \"Claim 4711\" --log 6f1c… --from 2026-05-01 --to 2026-05-31 --user anna \\\n      \
    --notice \"by letter of 2026-06-02\" --keys keys/officer-1 --out request.json"
)]
pub struct Request {
    /// What for.
    #[arg(long)]
    purpose: String,
    /// A conversation, by its log's id; may be repeated.
    #[arg(long = "log", value_name = "LOG", required_unless_present = "all_logs")]
    logs: Vec<LogId>,
    /// All conversations.
    #[arg(long, conflicts_with = "logs")]
    all_logs: bool,
    /// Not before this day (UTC).
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_start)]
    from: Option<TimeMs>,
    /// Not after this day (UTC).
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_end)]
    to: Option<TimeMs>,
    /// Only what this person wrote, by short name or id; may be repeated.
    #[arg(long = "user", value_name = "WHO")]
    users: Vec<String>,
    /// How the person affected is told.
    #[arg(long, required_unless_present = "no_notice_because")]
    notice: Option<String>,
    /// Why the person affected is not told yet.
    #[arg(long, value_name = "REASON", conflicts_with = "notice")]
    no_notice_because: Option<String>,
    #[command(flatten)]
    keys: Keys,
    /// The file for the request.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Args)]
#[command(
    after_help = "Shows what the request says, read from the very bytes that are signed, asks, and adds the signature.\n\n\
    Example:\n  hauspost archive sign request.json --keys keys/council-1"
)]
pub struct Sign {
    /// The request.
    request: PathBuf,
    /// The folder of the holder who signs, such as KEYS/council-1.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// Sign without being asked, where nobody sits at the terminal.
    #[arg(long)]
    yes: bool,
}

#[derive(Args)]
#[command(
    after_help = "An opening takes two officers and the council. Prints the entry's number.\n\n\
    Example:\n  hauspost archive submit request.json --keys keys/officer-1"
)]
pub struct Submit {
    /// The request.
    request: PathBuf,
    #[command(flatten)]
    keys: Keys,
}

impl Request {
    pub async fn run(self) -> Result<(), Failure> {
        let holder = Holder::open(&self.keys.keys)?;
        let (_, key) = holder.role_key()?;
        let client = holder.client(self.keys.server.as_deref()).await?;
        let company = holder.company(&client, &mut rng()).await?;
        let scope = Scope {
            logs: self.logs.iter().map(|log| (*log, Seq(0), None)).collect(),
            t_from: self.from,
            t_to: self.to,
            users: users(&client, &self.users).await?,
        };
        let body = OpeningEntry {
            seen: company.newest(),
            purpose: self.purpose,
            scope,
            notice: self.notice,
            block_reason: self.no_notice_because,
        };
        let mut approval = Approval::new(holder.card.company, CompanyBody::from(body));
        approval.sign(&key);
        approval.write(&self.out)?;
        say(&approval)?;
        terminal::say(
            "Next: a second officer and the council sign it: hauspost archive sign FILE --keys …",
        );
        Ok(())
    }
}

async fn users(client: &Client, named: &[String]) -> Result<Vec<UserId>, Failure> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let people = client.people().await?;
    named
        .iter()
        .map(|name| {
            let known = people.iter().find(|person| person.handle == *name).map(|person| person.user);
            known.or_else(|| name.parse().ok()).ok_or_else(|| {
                Failure::refused(format_args!("there is no person `{name}`"))
                    .next("`hauspost admin list` shows short names; somebody whom the directory forgot is named by id.")
            })
        })
        .collect()
}

impl Sign {
    pub fn run(self) -> Result<(), Failure> {
        let holder = Holder::open(&self.keys)?;
        let mut approval = Approval::read(&self.request)?;
        if approval.company != holder.card.company {
            return Err(Failure::refused("the request is for another company"));
        }
        let (purpose, key) = holder.role_key()?;
        say(&approval)?;
        if !self.yes {
            let question = format_args!("Sign this as {purpose}?");
            let asked = terminal::confirm(question).map_err(Failure::files)?;
            match asked {
                Some(true) => {}
                Some(false) => return Err(Failure::refused("not signed")),
                None => {
                    return Err(Failure::usage("nobody is there to be asked")
                        .next("Read what it says above, and sign with --yes."));
                }
            }
        }
        approval.sign(&key);
        approval.write(&self.request)?;
        terminal::say(format_args!("Signed as {purpose}."));
        Ok(())
    }
}

impl Submit {
    pub async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let holder = Holder::open(&self.keys.keys)?;
        let approval = Approval::read(&self.request)?;
        let working = terminal.spinner("appending to the company log …");
        let client = holder.client(self.keys.server.as_deref()).await?;
        let company = holder.company(&client, &mut rng()).await?;
        approval.check(&company, now_ms())?;
        let seq = client.append(holder.card.company.log(), approval.entry()).await?;
        working.finish_and_clear();
        let name =
            if matches!(approval.body(), CompanyBody::Opening(_)) { "opening" } else { "entry" };
        terminal::result(format_args!("{name} {seq}"));
        Ok(())
    }
}

fn say(approval: &Approval) -> Result<(), ApprovalError> {
    for line in approval.describe()? {
        terminal::say(line);
    }
    let signers: Vec<_> = approval.signers().map(|signer| signer.to_string()).collect();
    terminal::say(format_args!("Signed by {} key(s): {}", signers.len(), signers.join(", ")));
    Ok(())
}

impl From<ApprovalError> for Failure {
    fn from(error: ApprovalError) -> Self {
        let message = error.to_string();
        match error {
            ApprovalError::Io { .. } | ApprovalError::Form { .. } => Self::files(message),
            ApprovalError::Unshown(_) => Self::refused(message)
                .next("Sign only what you can read. A newer version may be able to show it."),
            ApprovalError::NotYet(_) => Self::refused(message)
                .next("An opening takes the signatures of two officers and of the council: hauspost archive sign FILE --keys …"),
        }
    }
}
