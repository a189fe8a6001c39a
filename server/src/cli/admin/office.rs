//! `hauspost admin witness` and `hauspost admin log-key`: what the root signs.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::super::terminal::{self, Terminal};
use super::super::{Failure, rng};
use super::Keys;
use crate::company::client::Client;
use crate::company::holder::Holder;
use crate::company::office::{Office, OfficeError};

/// Name and end witnesses.
#[derive(Subcommand)]
pub enum Witness {
    /// Name a witness of checkpoints: a works council or an auditor.
    Add(AddWitness),
    /// End a witness, such as one whose machine was lost.
    End(EndWitness),
}

/// The keys that sign checkpoints.
#[derive(Subcommand)]
pub enum LogKey {
    /// Let the server draw new keys for checkpoints, and name them.
    Rotate(Rotate),
}

/// Who brings it and who signs it.
#[derive(Args)]
struct Signed {
    /// The root's folder, from its safe.
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    #[command(flatten)]
    keys: Keys,
}

#[derive(Args)]
#[command(after_help = "The root signs, an admin brings it to the server.\n\n\
    Example:\n  hauspost admin witness add witness.vkey --root keys/root --keys keys/admin")]
pub struct AddWitness {
    /// The file with the witness's verifier key, as `hauspost witness init` printed it.
    verifier_key: PathBuf,
    #[command(flatten)]
    signed: Signed,
}

#[derive(Args)]
#[command(after_help = "What it cosigned counts no more.\n\n\
    Example:\n  hauspost admin witness end betriebsrat.example/w1 --root keys/root --keys keys/admin")]
pub struct EndWitness {
    /// The witness's name.
    name: String,
    #[command(flatten)]
    signed: Signed,
}

#[derive(Args)]
#[command(
    after_help = "Phones take the next checkpoint by the new keys only. Witnesses have to be told: \
    `hauspost witness init` again.\n\n\
    Example:\n  hauspost admin log-key rotate --root keys/root --keys keys/admin"
)]
pub struct Rotate {
    #[command(flatten)]
    signed: Signed,
}

impl Signed {
    async fn open(&self) -> Result<(Holder, Client, Holder), Failure> {
        let (admin, root) = (Holder::open(&self.keys.keys)?, Holder::open(&self.root)?);
        let client = admin.client(self.keys.server.as_deref()).await?;
        Ok((admin, client, root))
    }
}

impl Witness {
    pub async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(terminal).await,
            Self::End(end) => end.run(terminal).await,
        }
    }
}

impl LogKey {
    pub async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        match self {
            Self::Rotate(rotate) => rotate.run(terminal).await,
        }
    }
}

impl AddWitness {
    async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let verifier_key = read(&self.verifier_key)?;
        let (admin, client, root) = self.signed.open().await?;
        let working = terminal.spinner("naming the witness …");
        let office = Office { admin: &admin, client: &client, root: &root };
        let (name, seq) = office.add_witness(verifier_key.trim(), &mut rng()).await?;
        working.finish_and_clear();
        terminal::result(format_args!("witness {name} by entry {seq} of the company log"));
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::files(format_args!("{}: {error}", path.display())))
}

impl EndWitness {
    async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let (admin, client, root) = self.signed.open().await?;
        let working = terminal.spinner("ending the witness …");
        let office = Office { admin: &admin, client: &client, root: &root };
        let seq = office.end_witness(&self.name, &mut rng()).await?;
        working.finish_and_clear();
        terminal::result(format_args!("{} ended by entry {seq} of the company log", self.name));
        Ok(())
    }
}

impl Rotate {
    async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let (admin, client, root) = self.signed.open().await?;
        let working = terminal.spinner("rotating the log key …");
        let office = Office { admin: &admin, client: &client, root: &root };
        let (company, seq) = office.rotate_log_key(&mut rng()).await?;
        working.finish_and_clear();
        for witness in company.now().witnesses() {
            terminal::say(format_args!("Tell {}: hauspost witness init", witness.name));
        }
        terminal::result(format_args!("log key by entry {seq} of the company log"));
        Ok(())
    }
}

impl From<OfficeError> for Failure {
    fn from(error: OfficeError) -> Self {
        let message = error.to_string();
        match error {
            OfficeError::Holder(error) => error.into(),
            OfficeError::Client(error) => error.into(),
            OfficeError::OtherCompany => Self::files(message),
            OfficeError::VerifierKey => Self::usage(message),
            OfficeError::NoWitness(_) => {
                Self::refused(message).next("`hauspost admin status` shows the witnesses.")
            }
            OfficeError::NameTaken(_) => {
                Self::refused(message).next("`hauspost admin witness end NAME` ends it.")
            }
        }
    }
}
