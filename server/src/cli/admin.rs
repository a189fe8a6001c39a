//! `hauspost admin`.

mod handover;
mod office;
mod policy;
mod request;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use hauspost_protocol::company::body::RevokeReason;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{DeviceId, LogId};
use hauspost_protocol::invitation::Trust;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::terminal::{self, Terminal};
use super::{Failure, now_ms, rng};
use crate::company::card::CardError;
use crate::company::client::Client;
use crate::company::devices::{self, ApprovalError};
use crate::company::founding::{self, Founding, FoundingError};
use crate::company::holder::{Holder, HolderError};
use crate::company::page::qr_text;
use crate::company::people::{self, PeopleError};
use crate::company::reset::{self, ResetError};

/// Found the company, invite and revoke people, order resets.
#[derive(Subcommand)]
pub enum Admin {
    /// Found the company: make all its keys away from the server.
    Found(Found),
    /// Invite a person to enrol a phone.
    Invite(Invite),
    /// Sign for a person's further device, by the code that it shows.
    Approve(Approve),
    /// Revoke a person's devices, or one device.
    Revoke(Revoke),
    /// List people and their devices.
    List(List),
    #[command(subcommand)]
    Witness(office::Witness),
    #[command(subcommand)]
    LogKey(office::LogKey),
    #[command(subcommand)]
    Policy(policy::Policy),
    #[command(subcommand)]
    Handover(handover::Handover),
    /// Show the company log in words.
    Log(watch::Log),
    /// Show whether all is well, and what devices report.
    Status(watch::Status),
    /// Order a new group for a conversation that stands still.
    Reset(Reset),
}

#[derive(Args)]
#[command(
    after_help = "Makes a folder for each holder: root, admin, hr, retention, officer-1 to officer-3, council-1 and council-2, \
    each with key files and a page to print. Hand each folder to its holder and keep none together. Prints the \
    company's pin.\n\nAfter a crash the same command goes on where it was.\n\n\
    Example:\n  hauspost admin found --server https://127.0.0.1:8443 --ca server/ca.pem --token server/founding-token \\\n      \
    --name \"Muster GmbH\" --keys keys"
)]
pub struct Found {
    /// The server's address.
    #[arg(long, value_name = "URL")]
    server: String,
    #[command(flatten)]
    trust: TrustArgs,
    /// The file with the founding token, from the server's data folder.
    #[arg(long, value_name = "FILE")]
    token: PathBuf,
    /// The company's name.
    #[arg(long)]
    name: String,
    /// The folder for the keys; made here.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct TrustArgs {
    /// Trust this certificate authority alone; `hauspost serve` writes its own to DATA/ca.pem.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Trust the public certificate authorities.
    #[arg(long)]
    public_roots: bool,
}

/// Whose keys a command uses, and where the server is.
#[derive(Args)]
pub struct Keys {
    /// The folder of the holder who acts, such as KEYS/admin.
    #[arg(long, value_name = "DIR")]
    pub keys: PathBuf,
    /// The server's address, if it is not the one in the folder's company.json.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
}

#[derive(Args)]
#[command(
    after_help = "Prints the invitation, one line for the MDM's managed configuration. It enrols one phone and is a secret \
    until then.\n\nExample:\n  hauspost admin invite anna --name \"Anna Berg\" --keys keys/admin"
)]
pub struct Invite {
    /// The person's short name: letters, digits, `.`, `-`, `_`.
    handle: String,
    /// The name that colleagues see; needed for a person who is new.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    keys: Keys,
    /// For how many days the invitation is good.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=365))]
    days: u32,
    /// Print a QR code as well.
    #[arg(long)]
    qr: bool,
}

#[derive(Args)]
#[command(
    after_help = "A person's second phone enrols by an invitation of its own and then shows a code. The person's other phone \
    approves it, or, if that one is lost, an admin to whom the person reads the code out: by voice, from somebody whom the \
    admin knows.\n\nExample:\n  hauspost admin invite anna --keys keys/admin\n  \
    hauspost admin approve 7K2M-9XQ4-TB0E --keys keys/admin"
)]
pub struct Approve {
    /// The code that the new device shows.
    code: String,
    /// The id of a device of the same person that is revoked by it, as `hauspost admin list` shows it.
    #[arg(long, value_name = "DEVICE")]
    replaces: Option<DeviceId>,
    #[command(flatten)]
    keys: Keys,
}

#[derive(Clone, Copy, ValueEnum)]
enum Reason {
    /// The person left the company.
    Left,
    /// The phone is lost.
    Lost,
}

#[derive(Args)]
#[command(
    after_help = "From the entry on no message is valid for these devices; the next sender in each conversation removes them \
    by itself.\n\nExample:\n  hauspost admin revoke anna --reason left --keys keys/hr"
)]
pub struct Revoke {
    /// A person's short name, or the id of one device.
    who: String,
    /// Why.
    #[arg(long)]
    reason: Reason,
    #[command(flatten)]
    keys: Keys,
}

#[derive(Args)]
#[command(
    after_help = "One line for each device: short name, name, device, state; separated by tabs.\n\n\
    Example:\n  hauspost admin list --keys keys/admin"
)]
pub struct List {
    #[command(flatten)]
    keys: Keys,
}

#[derive(Args)]
#[command(
    after_help = "One of the conversation's phones carries the order out, once: the same conversation goes on in a new group \
    with everybody who is in it. Nothing is lost and nobody is added. Everybody in it sees a line about it.\n\n\
    Example:\n  hauspost admin reset --log 1f8ee0a2-6a1a-4a34-8c54-2d3b7c1d9e55 --reason \"nobody can write\" --keys keys/admin"
)]
pub struct Reset {
    /// The conversation's id.
    #[arg(long, value_name = "ID")]
    log: LogId,
    /// Why, for the company log. Write no names: it is never erased.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    keys: Keys,
}

impl Admin {
    pub async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        match self {
            Self::Found(found) => found.run(terminal).await,
            Self::Invite(invite) => invite.run(terminal).await,
            Self::Approve(approve) => approve.run(terminal).await,
            Self::Revoke(revoke) => revoke.run(terminal).await,
            Self::List(list) => list.run().await,
            Self::Witness(witness) => witness.run(terminal).await,
            Self::LogKey(log_key) => log_key.run(terminal).await,
            Self::Policy(policy) => policy.run(terminal).await,
            Self::Handover(handover) => handover.run(terminal).await,
            Self::Log(log) => log.run().await,
            Self::Status(status) => status.run().await,
            Self::Reset(reset) => reset.run(terminal).await,
        }
    }
}

impl Found {
    async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        // The server deletes the token when it has the founding; then nobody needs it.
        let token = fs::read_to_string(&self.token).unwrap_or_default();
        let trust = self.trust.read()?;
        let client = Client::new(&self.server, &trust)?;
        let founding = Founding { name: &self.name, trust, token: &token, keys: &self.keys };
        let working = terminal.spinner("founding the company …");
        let founded = founding::found(&client, founding, now_ms(), &mut rng()).await?;
        working.finish_and_clear();
        if founded.resumed {
            terminal::say("A founding that was begun earlier is completed.");
        }
        terminal::say(format_args!(
            "The company is founded. Hand each folder in {} to its holder:",
            self.keys.display()
        ));
        for holder in &founded.holders {
            terminal::say(format_args!("  {}", self.keys.join(holder).display()));
        }
        terminal::say(
            "Print each page.html, seal it in an envelope, and keep no two folders together.",
        );
        terminal::say(format_args!(
            "Next: hauspost admin invite anna --name \"Anna Berg\" --keys {}",
            self.keys.join("admin").display()
        ));
        terminal::result(format_args!("company {}", founded.company));
        terminal::result(format_args!("pin {}", founded.pin));
        Ok(())
    }
}

impl TrustArgs {
    fn read(&self) -> Result<Trust, Failure> {
        match &self.ca {
            None => Ok(Trust::PublicRoots),
            Some(path) => read_ca(path),
        }
    }
}

fn read_ca(path: &Path) -> Result<Trust, Failure> {
    let der = CertificateDer::from_pem_file(path).map_err(|error| {
        Failure::files(format_args!("{}: {error}", path.display())).next(
            "--ca names a certificate in PEM form; `hauspost serve` writes its own to DATA/ca.pem.",
        )
    })?;
    Ok(Trust::CompanyCa(Bytes(der.to_vec())))
}

impl Invite {
    async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let holder = Holder::open(&self.keys.keys)?;
        let working = terminal.spinner("inviting …");
        let client = holder.client(self.keys.server.as_deref()).await?;
        let times = (now_ms(), Duration::from_secs(u64::from(self.days) * 86_400));
        let invitation =
            people::invite(&holder, &client, &self.handle, self.name.as_deref(), times, &mut rng())
                .await?;
        working.finish_and_clear();
        let text = invitation.to_text();
        terminal::say(format_args!(
            "Good for one phone and {} days. Give it to the MDM as it is, or to the person on a safe way. \
             A person's second phone shows a code then, to be approved by the first one or by `hauspost admin approve`:",
            self.days
        ));
        terminal::result(&text);
        if self.qr {
            match qr_text(text.as_bytes()) {
                Some(code) => terminal::result(code),
                None => terminal::say("The invitation is too long for a QR code."),
            }
        }
        Ok(())
    }
}

impl Approve {
    async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let holder = Holder::open(&self.keys.keys)?;
        let working = terminal.spinner("approving …");
        let client = holder.client(self.keys.server.as_deref()).await?;
        let (applicant, seq) =
            devices::approve(&holder, &client, &self.code, self.replaces, now_ms(), &mut rng())
                .await?;
        working.finish_and_clear();
        let (device, user) = (applicant.device(), applicant.user());
        terminal::result(format_args!(
            "approved {device} of {user} by entry {seq} of the company log"
        ));
        Ok(())
    }
}

impl From<ApprovalError> for Failure {
    fn from(error: ApprovalError) -> Self {
        let message = error.to_string();
        match error {
            ApprovalError::Holder(error) => error.into(),
            ApprovalError::Client(error) => error.into(),
            ApprovalError::NoSuchCode(_) => Self::refused(message).next(
                "Let the person read the code out once more. A device that shows another code is not the one that asks.",
            ),
            ApprovalError::Replaces(_) => {
                Self::refused(message).next("`hauspost admin list` shows people and devices.")
            }
        }
    }
}

impl Revoke {
    async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let holder = Holder::open(&self.keys.keys)?;
        let working = terminal.spinner("revoking …");
        let client = holder.client(self.keys.server.as_deref()).await?;
        let reason = match self.reason {
            Reason::Left => RevokeReason::Left,
            Reason::Lost => RevokeReason::Lost,
        };
        let revoked = people::revoke(&holder, &client, &self.who, reason, &mut rng()).await?;
        working.finish_and_clear();
        for (device, seq) in revoked {
            terminal::result(format_args!("revoked {device} by entry {seq} of the company log"));
        }
        Ok(())
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let holder = Holder::open(&self.keys.keys)?;
        let client = holder.client(self.keys.server.as_deref()).await?;
        for listed in people::list(&holder, &client, &mut rng()).await? {
            let handle = if listed.person.handle.is_empty() { "-" } else { &listed.person.handle };
            let name = listed.person.name.as_deref().unwrap_or("-");
            if listed.devices.is_empty() {
                terminal::result(format_args!("{handle}\t{name}\t-\tinvited"));
            }
            for (device, active) in listed.devices {
                let state = if active { "active" } else { "revoked" };
                terminal::result(format_args!("{handle}\t{name}\t{device}\t{state}"));
            }
        }
        Ok(())
    }
}

impl Reset {
    async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let holder = Holder::open(&self.keys.keys)?;
        let working = terminal.spinner("ordering the reset …");
        let client = holder.client(self.keys.server.as_deref()).await?;
        let seq = reset::order(&holder, &client, self.log, &self.reason, &mut rng()).await?;
        working.finish_and_clear();
        terminal::result(format_args!("ordered by entry {seq} of the company log"));
        Ok(())
    }
}

impl From<FoundingError> for Failure {
    fn from(error: FoundingError) -> Self {
        let message = error.to_string();
        match error {
            FoundingError::Client(error) => error.into(),
            FoundingError::Key(error) => error.into(),
            FoundingError::Io { .. } => Self::files(message),
            FoundingError::Done(_) => Self::refused(message).next("Go on with `hauspost admin invite`."),
            FoundingError::NotEmpty(_) => Self::refused(message).next("Name a folder that is empty or not there."),
            FoundingError::ServerFounded(_) => Self::refused(message)
                .next("A second company needs a server of its own: `hauspost serve --data ANOTHER-FOLDER`."),
            FoundingError::OtherServer(_) => Self::refused(message).next(
                "Its keys were sent to nobody who kept them. Move the folder away, and found with another --keys folder.",
            ),
            FoundingError::Damaged(_) => {
                Self::files(message).next("Nothing was founded with it; move the folder away and found anew.")
            }
            FoundingError::NoToken => Self::files(message).next(
                "`hauspost serve` writes it to DATA/founding-token as long as there is no company: --token DATA/founding-token",
            ),
            FoundingError::Invalid(_) => Self::refused(message),
        }
    }
}

impl From<CardError> for Failure {
    fn from(error: CardError) -> Self {
        Self::files(error)
            .next("--keys names a holder's folder, such as KEYS/admin or KEYS/officer-1.")
    }
}

impl From<HolderError> for Failure {
    fn from(error: HolderError) -> Self {
        let message = error.to_string();
        match error {
            HolderError::Key(error) => error.into(),
            HolderError::Card(error) => error.into(),
            HolderError::Client(error) => error.into(),
            HolderError::NoKey { .. } => {
                Self::files(message).next("--keys names a holder's folder, such as KEYS/admin or KEYS/officer-1.")
            }
            HolderError::Log { .. } => Self::refused(message)
                .next("Do not go on: the server shows another history than the one that this company was founded with."),
            HolderError::Sealed { .. } | HolderError::OtherCompany(_) | HolderError::NotAKey(_) => Self::files(message),
        }
    }
}

impl From<ResetError> for Failure {
    fn from(error: ResetError) -> Self {
        let message = error.to_string();
        match error {
            ResetError::Holder(error) => error.into(),
            ResetError::Client(error) => error.into(),
            ResetError::Reason => Self::usage(message),
            ResetError::Unknown(_) => Self::refused(message)
                .next("A phone's alarm and its report in the company log name the conversation by its id."),
        }
    }
}

impl From<PeopleError> for Failure {
    fn from(error: PeopleError) -> Self {
        let message = error.to_string();
        match error {
            PeopleError::Holder(error) => error.into(),
            PeopleError::Client(error) => error.into(),
            PeopleError::Handle(_) | PeopleError::Name => Self::usage(message),
            PeopleError::NameNeeded(_) => {
                Self::usage(message).next("Say the person's name: --name \"Anna Berg\".")
            }
            PeopleError::HandleTaken { .. } => {
                Self::refused(message).next("Choose another short name.")
            }
            PeopleError::Unknown(_) | PeopleError::NothingToRevoke(_) => {
                Self::refused(message).next("`hauspost admin list` shows people and devices.")
            }
        }
    }
}
