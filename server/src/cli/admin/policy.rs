//! `hauspost admin policy`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use hauspost_protocol::company::policy::Terms;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::ids::UserId;
use hauspost_protocol::wire::Person;

use super::Keys;
use super::request::{Sign, Submit};
use crate::archive::approval::Approval;
use crate::cli::terminal::{self, Terminal};
use crate::cli::{Failure, rng};
use crate::company::holder::Holder;
use crate::company::policy::file::{self, FileError};
use crate::company::policy::words::{changes, settings};
use crate::company::policy::{self, Fingerprints, PolicyError, Requested};

/// Where this machine keeps time zones.
const ZONES: &str = "/usr/share/zoneinfo";

/// Show, change and sign the company's policy.
#[derive(Subcommand)]
pub enum Policy {
    /// Print the policy in force as a file to change.
    Template(Template),
    /// Show the policy in force in words, with its version and fingerprints.
    Show(Show),
    /// Make the next version from a file, and sign it.
    Set(Set),
    /// Sign the next version, after reading what it changes.
    #[command(
        after_help = "Shows what the request changes against the policy in force, read from the very bytes that are signed, asks, \
    and adds the signature.\n\nExample:\n  hauspost admin policy sign policy-2.json --keys keys/council-1"
    )]
    Sign(Sign),
    /// Append a version that all have signed.
    #[command(
        after_help = "Server and phones obey it from its entry on. Prints the entry's number.\n\n\
    Example:\n  hauspost admin policy submit policy-2.json --keys keys/admin"
    )]
    Submit(Submit),
}

#[derive(Args)]
#[command(after_help = "The file is TOML with an explanation of every line.\n\n\
    Example:\n  hauspost admin policy template --keys keys/admin > policy.toml")]
pub struct Template {
    #[command(flatten)]
    keys: Keys,
}

#[derive(Args)]
#[command(
    after_help = "The fingerprint of the council's part stays the same as long as nobody asked the works council: compare it \
    with the one noted at the last change.\n\nExample:\n  hauspost admin policy show --keys keys/council-1"
)]
pub struct Show {
    #[command(flatten)]
    keys: Keys,
}

#[derive(Args)]
#[command(
    after_help = "Checks the file, shows what changes and what follows from it, asks, and writes a request with the first \
    signature. A policy takes the signatures of an admin and of HR, and, if it changes what can watch people, of the works council.\n\n\
    Example:\n  hauspost admin policy set policy.toml --keys keys/admin --out policy-2.json\n  \
    hauspost admin policy sign policy-2.json --keys keys/hr\n  \
    hauspost admin policy sign policy-2.json --keys keys/council-1\n  \
    hauspost admin policy submit policy-2.json --keys keys/admin"
)]
pub struct Set {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// The file for the request.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Sign without being asked, where nobody sits at the terminal.
    #[arg(long)]
    yes: bool,
}

/// What a command works with: the holder, the directory, the company as its log says.
pub(super) struct Desk {
    pub(super) holder: Holder,
    pub(super) client: crate::company::client::Client,
    pub(super) people: Vec<Person>,
    pub(super) company: Company,
}

impl Policy {
    pub async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        match self {
            Self::Template(template) => template.run().await,
            Self::Show(show) => show.run().await,
            Self::Set(set) => set.run().await,
            Self::Sign(sign) => sign.run(Desk::say).await,
            Self::Submit(submit) => submitted(submit, terminal).await,
        }
    }
}

impl Keys {
    pub(super) async fn desk(&self) -> Result<Desk, Failure> {
        let holder = Holder::open(&self.keys)?;
        let client = holder.client(self.server.as_deref()).await?;
        let company = holder.company(&client, &mut rng()).await?;
        let people = client.people().await?;
        Ok(Desk { holder, client, people, company })
    }
}

impl Desk {
    pub(super) fn name_of(&self) -> impl Fn(UserId) -> String + '_ {
        |user| {
            let known = self.people.iter().find(|person| person.user == user);
            let handle =
                known.map(|person| person.handle.clone()).filter(|handle| !handle.is_empty());
            handle.unwrap_or_else(|| user.to_string())
        }
    }

    pub(super) fn terms(&self) -> &Terms {
        self.company.now().terms()
    }

    /// Says what a request changes; what it asks for.
    fn say(&self, approval: &Approval) -> Result<Requested, Failure> {
        let requested = Requested::read(approval, &self.company)?;
        terminal::say(format_args!("Version {} of the policy:", requested.version));
        for change in changes(self.terms(), &requested.terms, &self.name_of()) {
            let council = if change.now.council { " (works council)" } else { "" };
            terminal::say(format_args!(
                "  {}{council}: {} -> {}\n      {}",
                change.now.key, change.was, change.now.value, change.now.means
            ));
        }
        if requested.needs_council {
            terminal::say("It changes what can watch people: the works council signs it too.");
        }
        let Fingerprints { document, council } = requested.fingerprints;
        terminal::say(format_args!("Fingerprint {document}, council's part {council}"));
        let signers: Vec<_> = approval.signers().map(|signer| signer.to_string()).collect();
        terminal::say(format_args!("Signed by {} key(s): {}", signers.len(), signers.join(", ")));
        Ok(requested)
    }

    /// Asks, signs and writes the request.
    pub(super) fn sign(
        &self,
        mut approval: Approval,
        path: &Path,
        yes: bool,
    ) -> Result<(), Failure> {
        let (purpose, key) = self.holder.role_key()?;
        if !yes {
            let asked = terminal::confirm(format_args!("Sign this as {purpose}?"));
            match asked.map_err(Failure::files)? {
                Some(true) => {}
                Some(false) => return Err(Failure::refused("not signed")),
                None => {
                    return Err(Failure::usage("nobody is there to be asked")
                        .next("Read what it says above, and sign with --yes."));
                }
            }
        }
        approval.sign(&key);
        approval.write(path)?;
        terminal::say(format_args!("Signed as {purpose}."));
        Ok(())
    }
}

impl Template {
    async fn run(self) -> Result<(), Failure> {
        let desk = self.keys.desk().await?;
        let version = desk.company.now().policy().map(|policy| policy.version);
        terminal::result(file::template(desk.terms(), version, &desk.people).trim_end());
        Ok(())
    }
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        let desk = self.keys.desk().await?;
        let now = desk.company.now();
        match now.policy() {
            None => terminal::result("There is no policy yet; this holds without one."),
            Some(policy) => {
                let Fingerprints { document, council } = Fingerprints::of(&policy.document);
                let (version, entered) = (policy.version, policy.entered);
                terminal::result(format_args!(
                    "policy\tversion {version}, entry {entered} of the company log"
                ));
                terminal::result(format_args!("fingerprint\t{document}"));
                terminal::result(format_args!("council's part\t{council}"));
            }
        }
        for setting in settings(desk.terms(), &desk.name_of()) {
            terminal::result(format_args!("{}\t{}\t{}", setting.key, setting.value, setting.means));
        }
        let later = desk.terms().council.later.len() + desk.terms().general.later.len();
        if later > 0 {
            terminal::result(format_args!(
                "{later} settings of a later version, which this version does not know"
            ));
        }
        Ok(())
    }
}

impl Set {
    async fn run(self) -> Result<(), Failure> {
        let desk = self.keys.desk().await?;
        let text = fs::read_to_string(&self.file)
            .map_err(|error| Failure::files(format_args!("{}: {error}", self.file.display())))?;
        let terms = file::parse(&text, &desk.people, Path::new(ZONES))
            .map_err(|error| in_file(&self.file, &error))?;
        let approval = policy::next(&desk.company, desk.holder.card.company, terms)?;
        let requested = desk.say(&approval)?;
        desk.sign(approval, &self.out, self.yes)?;
        let council = if requested.needs_council { " and the works council" } else { "" };
        terminal::say(format_args!(
            "Next: admin, HR{council} sign it, each with a folder of their own: hauspost admin policy sign {} --keys …",
            self.out.display()
        ));
        Ok(())
    }
}

fn in_file(path: &Path, error: &FileError) -> Failure {
    Failure::files(format_args!("{}: {error}", path.display()))
        .next("`hauspost admin policy template` prints a file with an explanation of every line.")
}

/// Appends a version that all have signed.
async fn submitted(submit: Submit, terminal: &Terminal) -> Result<(), Failure> {
    let read = |desk: &Desk, approval: &Approval| {
        let requested = Requested::read(approval, &desk.company)?;
        let council = if requested.needs_council { " and of the works council" } else { "" };
        let takes = format!(
            "A policy takes the signatures of an admin and of HR{council}: hauspost admin policy sign FILE --keys …"
        );
        Ok((requested.version, takes))
    };
    let (version, seq) = submit.run(terminal, read).await?;
    terminal::result(format_args!("policy version {version} by entry {seq} of the company log"));
    Ok(())
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        let message = error.to_string();
        match error {
            PolicyError::Unchanged => Self::refused(message),
            PolicyError::Fault(_) => Self::files(message)
                .next("`hauspost admin policy template` prints the limits beside each line."),
            PolicyError::NotAPolicy | PolicyError::Unreadable => Self::refused(message)
                .next("Sign only what you can read. A newer version may be able to show it."),
            PolicyError::Version { .. } => Self::refused(message)
                .next("Make it anew from the policy in force: hauspost admin policy set …"),
        }
    }
}
