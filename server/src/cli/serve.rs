//! `hauspost serve`.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hauspost_protocol::limits::DAY_MS;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::Failure;
use super::terminal::{self, Terminal};
use crate::serve::{ServeConfig, ServeError, Tls};

/// Targets of our own only: no crate of others writes to the log, whatever it would like to say.
const LOG_TARGETS: &str = "off,hauspost";

#[derive(Args)]
#[command(
    after_help = "An empty folder becomes a server that waits for its company: found it with `hauspost admin found`.\n\n\
    Example:\n  hauspost serve --data /srv/hauspost --listen 0.0.0.0:8443 --host hauspost.example.com"
)]
pub struct Serve {
    /// The data folder; made when it is not there.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// A host name or address in the certificate of the company's own authority; may be repeated.
    #[arg(long = "host", value_name = "NAME", conflicts_with = "tls_cert")]
    hosts: Vec<String>,
    /// PEM file of the certificate chain; without it the company's own authority issues one.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The shortest time between two checkpoints, in seconds.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    checkpoint_seconds: u64,
    /// The largest document, in MiB.
    #[arg(long, value_name = "N", default_value_t = 2_048, value_parser = clap::value_parser!(u64).range(1..=4_000))]
    document_mib: u64,
    /// What all documents may take, in GiB; as much as the disk holds when nothing is named.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    documents_gib: Option<u64>,
    /// How many days an upload is kept that no message names.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=365))]
    upload_days: u64,
    /// Write the log as JSON lines.
    #[arg(long)]
    log_json: bool,
}

impl Serve {
    pub async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        start_log(self.log_json);
        // Heard from here on: whoever started the server may stop it at any time.
        let stop_asked = stop_asked();
        let mut config = ServeConfig::new(&self.data, self.listen);
        config.checkpoints.after_append = Duration::from_secs(self.checkpoint_seconds);
        config.blobs.document_bytes = self.document_mib << 20;
        config.blobs.company_bytes = self.documents_gib.map(|gib| gib << 30);
        config.blobs.unnamed_ms = self.upload_days * DAY_MS;
        config.tls = match (self.tls_cert, self.tls_key) {
            (Some(certificate), Some(key)) => Tls::Files { certificate, key },
            _ => Tls::CompanyCa { names: self.hosts },
        };
        let server = crate::serve::run(config).await?;
        terminal::result(format_args!("hauspost serves {}", server.url()));
        if self.data.join("founding-token").exists() {
            terminal::say(format_args!(
                "No company yet. Found it: hauspost admin found --server {} --ca {data}/ca.pem --token {data}/founding-token \
                 --name NAME --keys KEYS",
                server.url(),
                data = self.data.display(),
            ));
        }
        stop_asked.await;
        let stopping = terminal.spinner("stopping …");
        server.shut_down().await?;
        stopping.finish_and_clear();
        Ok(())
    }
}

fn start_log(json: bool) {
    let level = std::env::var("HAUSPOST_LOG").ok().and_then(|level| level.parse().ok());
    let level: LevelFilter = level.unwrap_or(LevelFilter::INFO);
    let filter = EnvFilter::new(format!("{LOG_TARGETS}={level}"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start in one process, as tests do, keeps the first log.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}

/// Ends when the person or the system asks the process to stop; heard from the call on.
pub(super) fn stop_asked() -> impl Future<Output = ()> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt()).ok(), signal(SignalKind::terminate()).ok());
    async move {
        tokio::select! {
            () = heard(&mut interrupt) => {}
            () = heard(&mut terminate) => {}
        }
    }
}

async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        // The system gives no such signal: then it ends the process itself.
        None => std::future::pending().await,
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let failure = Self::files(&error);
        match error {
            ServeError::AddressInUse(_) => {
                failure.next("`--listen 127.0.0.1:0` takes any free port.")
            }
            _ => failure,
        }
    }
}
