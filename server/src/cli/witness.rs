//! `hauspost witness`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use clap::{Args, Subcommand};
use hauspost_protocol::tree::checkpoint::verifier_key;

use super::serve::{start_log, stop_asked};
use super::terminal::{self, Terminal};
use super::{Failure, rng};
use crate::archive::time;
use crate::company::client::Client;
use crate::company::holder::Holder;
use crate::serve::door::Door;
use crate::serve::folder::Access;
use crate::serve::{Tls, socket, system_clock, tls};
use crate::witness::endpoint;
use crate::witness::keeper::{Cosigned, Keeper, KeeperError};
use crate::witness::pull::{PullError, keep_asking};

/// What the last try said, for `status`.
const PROBLEM: &str = "problem";

/// Vouch that the company's log of all logs only grows.
#[derive(Subcommand)]
pub enum Witness {
    /// Make a witness on this machine, or tell it of a new log key.
    Init(Init),
    /// Ask the server for its checkpoints and cosign them, until stopped.
    Run(Run),
    /// Show what the witness saw last.
    Status(Status),
}

#[derive(Args)]
#[command(
    after_help = "Reads the company log with the holder's session and keeps the key of its checkpoints; the holder's keys are \
    not copied. Prints the witness's verifier key, which the root names: hauspost admin witness add.\n\n\
    Example:\n  hauspost witness init --data witness --name betriebsrat.example/w1 --keys keys/council-1 > witness.vkey"
)]
pub struct Init {
    /// The witness's own folder; made here.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The witness's name, such as betriebsrat.example/w1.
    #[arg(long)]
    name: String,
    /// The folder of a holder who may read the company log.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// The server's address, if it is not the one in the folder's company.json.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

#[derive(Args)]
#[command(
    after_help = "The witness asks by itself, so its machine needs no address that the server can reach. With --listen it also \
    answers add-checkpoint (C2SP tlog-witness) over TLS, for logs that push.\n\n\
    Example:\n  hauspost witness run --data witness"
)]
pub struct Run {
    /// The witness's folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Seconds between two questions.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    /// Answer add-checkpoint on this address, too.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// A host name or address in the certificate for --listen; may be repeated.
    #[arg(long = "host", value_name = "NAME", requires = "listen")]
    hosts: Vec<String>,
    /// Ask once and end.
    #[arg(long, conflicts_with = "listen")]
    once: bool,
}

#[derive(Args)]
#[command(
    after_help = "A running witness says in its log what it does; this shows one that was stopped.\n\n\
    Example:\n  hauspost witness status --data witness"
)]
pub struct Status {
    /// The witness's folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

impl Witness {
    pub async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        match self {
            Self::Init(init) => init.run(terminal).await,
            Self::Run(run) => run.run().await,
            Self::Status(status) => status.run(),
        }
    }
}

impl Init {
    async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let holder = Holder::open(&self.keys)?;
        let working = terminal.spinner("reading the company log …");
        let client = holder.client(self.server.as_deref()).await?;
        let company = holder.company(&client, &mut rng()).await?;
        working.finish_and_clear();
        let mut card = holder.card.clone();
        card.server = client.server().to_owned();
        let view = company.now();
        let watched = (view.era(), view.log_key());
        let keeper = Keeper::init(&self.data, &self.name, &card, watched, &mut rng())?;
        keeper.folder().remove(PROBLEM).map_err(KeeperError::from)?;
        terminal::say("Give this line to whoever keeps the root (hauspost admin witness add):");
        terminal::result(verifier_key(&self.name, &keeper.public()));
        Ok(())
    }
}

impl Run {
    async fn run(self) -> Result<(), Failure> {
        let keeper = Arc::new(Keeper::open(&self.data)?);
        let client = Client::new(&keeper.card.server, &keeper.card.trust)?;
        if self.once {
            let asked = crate::witness::pull::once(&keeper, &client, super::now_ms()).await;
            note(&keeper, &asked);
            show(asked?);
            return Ok(());
        }
        start_log(false);
        if let Some(listen) = self.listen {
            self.answer(&keeper, listen)?;
        }
        let every = Duration::from_secs(self.every);
        let told = |asked: &Result<_, PullError>| match asked {
            Ok(_) => note(&keeper, asked),
            Err(error) if error.is_alarming() => {
                tracing::error!(%error, "this witness does not cosign");
                note(&keeper, asked);
            }
            Err(error) => tracing::warn!(%error, "asked in vain; it is tried again"),
        };
        tokio::select! {
            () = keep_asking(&keeper, &client, system_clock(), every, told) => {}
            () = stop_asked() => {}
        }
        Ok(())
    }

    /// Answers `add-checkpoint` beside asking.
    fn answer(&self, keeper: &Arc<Keeper>, listen: SocketAddr) -> Result<(), Failure> {
        let names = Tls::CompanyCa { names: self.hosts.clone() };
        let config = tls::server_config(&names, keeper.folder(), listen, super::now_ms());
        let config = config.map_err(Failure::files)?;
        let taken = |error| Failure::files(format_args!("cannot listen on {listen}: {error}"));
        let listener = std::net::TcpListener::bind(listen).map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let door = Door::new(endpoint::CONNECTIONS);
        let server = socket::server(listener, config, &door, Handle::new()).map_err(taken)?;
        let router = endpoint::router(Arc::clone(keeper), system_clock());
        terminal::result(format_args!("hauspost witness answers https://{address}"));
        tokio::spawn(async move {
            if let Err(error) = server.serve(router.into_make_service()).await {
                tracing::error!(%error, "add-checkpoint is not answered any more");
            }
        });
        Ok(())
    }
}

/// Keeps what goes wrong for `status`, and forgets it when all is well.
fn note(keeper: &Keeper, asked: &Result<Option<Cosigned>, PullError>) {
    let folder = keeper.folder();
    let kept = match asked {
        Ok(_) => folder.remove(PROBLEM),
        Err(error) => folder.write(PROBLEM, error.to_string().as_bytes(), Access::Public),
    };
    if let Err(error) = kept {
        tracing::warn!(%error, "what went wrong cannot be kept");
    }
}

fn show(cosigned: Option<Cosigned>) {
    match cosigned {
        Some(Cosigned { tree, t_ms }) => terminal::result(format_args!(
            "cosigned size {} of era {} at {}, root {}",
            tree.size,
            tree.era,
            time::show(t_ms),
            tree.root
        )),
        None => terminal::result("cosigned nothing yet"),
    }
}

impl Status {
    fn run(self) -> Result<(), Failure> {
        let keeper = Keeper::open(&self.data)?;
        terminal::result(format_args!("witness {}", keeper.settings.name));
        let (card, watched) = (&keeper.card, &keeper.settings.watched);
        terminal::result(format_args!("company {} at {}", card.company, card.server));
        terminal::result(format_args!("log key {}", watched.key.ed25519.id()));
        show(keeper.cosigned());
        let problem = keeper.folder().read(PROBLEM).map_err(KeeperError::from)?;
        if let Some(problem) = problem {
            let problem = String::from_utf8_lossy(&problem).into_owned();
            return Err(Failure::refused(problem));
        }
        Ok(())
    }
}

impl From<KeeperError> for Failure {
    fn from(error: KeeperError) -> Self {
        let message = error.to_string();
        match error {
            KeeperError::Card(error) => error.into(),
            KeeperError::None(_) => Self::files(message).next(
                "Make one: hauspost witness init --data DIR --name NAME --keys KEYS/council-1",
            ),
            KeeperError::Name(_) => Self::usage(message),
            KeeperError::Folder(_) | KeeperError::Other(_) | KeeperError::Runs(_) => {
                Self::files(message)
            }
            KeeperError::EraBack { .. } | KeeperError::NoLogKey => Self::refused(message),
        }
    }
}

impl From<PullError> for Failure {
    fn from(error: PullError) -> Self {
        let message = error.to_string();
        match error {
            PullError::Client(error) => error.into(),
            PullError::SetBack { .. } => Self::refused(message)
                .next("Tell the works council and the auditor; keep this witness's folder."),
            PullError::Answer(_) => Self::refused(message)
                .next("After a rotation of the log key: hauspost witness init, again."),
        }
    }
}
