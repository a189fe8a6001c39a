//! `hauspost serve`.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hauspost_protocol::limits::DAY_MS;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::Failure;
use super::terminal::{self, Terminal};
use crate::blobs::s3::{Credentials, S3Settings, SettingsError};
use crate::serve::{Allowance, ConnectionLimits, Documents, Quotas, ServeConfig, ServeError, Tls};

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
    /// Where documents lie: a folder, or s3://BUCKET/PREFIX; the folder `blobs` of the data folder when nothing is named.
    #[arg(long, value_name = "PLACE", env = "HAUSPOST_DOCUMENTS")]
    documents: Option<String>,
    /// The address of the S3-compatible storage; Amazon's of the region when nothing is named.
    #[arg(long, value_name = "URL", env = "HAUSPOST_S3_ENDPOINT")]
    s3_endpoint: Option<String>,
    /// Its region.
    #[arg(long, value_name = "NAME", env = "AWS_REGION", default_value = "us-east-1")]
    s3_region: String,
    /// File with its access key (aws_access_key_id, aws_secret_access_key); the environment's when nothing is named.
    #[arg(long, value_name = "FILE", env = "HAUSPOST_S3_CREDENTIALS")]
    s3_credentials: Option<PathBuf>,
    /// PEM file of the only certificates that the storage is trusted by; the system's when nothing is named.
    #[arg(long, value_name = "FILE", env = "HAUSPOST_S3_CA")]
    s3_ca: Option<PathBuf>,
    /// The largest document, in MiB, if that is less than what the company's policy says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4_000))]
    document_mib: Option<u64>,
    /// What all documents may take, in GiB, if that is less than what the policy says; as much as there is room for when
    /// neither says anything.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    documents_gib: Option<u64>,
    /// How many days an upload is kept that no message names, if that is less than what the policy says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=365))]
    upload_days: Option<u64>,
    /// What one device may have uploaded, or begun to, that no message names yet, in GiB.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    device_upload_gib: u64,
    /// How many such uploads it may have.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    device_uploads: u64,
    /// How many entries a device may append a day, in the long run; a fifth of it at once.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..))]
    device_entries: u64,
    /// How much a device may append a day, in MiB, documents apart; half of it at once.
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = clap::value_parser!(u64).range(8..=1 << 20))]
    device_mib: u64,
    /// How many connections there may be; each phone that is awake holds one.
    #[arg(long, value_name = "N", default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(16..))]
    connections: u32,
    /// How many of them from one address, or one network of 64 bits of IPv6; a whole office may be one.
    #[arg(long, value_name = "N", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..))]
    address_connections: u32,
    /// Write the log as JSON lines.
    #[arg(long)]
    log_json: bool,
}

impl Serve {
    pub async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        start_log(self.log_json);
        // Heard from here on: whoever started the server may stop it at any time.
        let stop_asked = stop_asked();
        let documents = self.documents();
        let mut config = ServeConfig::new(&self.data, self.listen);
        config.checkpoints.after_append = Duration::from_secs(self.checkpoint_seconds);
        config.blobs.document_bytes = self.document_mib.map(|mib| mib << 20);
        config.quotas = Quotas {
            entries: Allowance { at_once: self.device_entries / 5, a_day: self.device_entries },
            bytes: Allowance { at_once: self.device_mib << 19, a_day: self.device_mib << 20 },
            ..Quotas::default()
        };
        config.connections = connections(self.connections, self.address_connections);
        config.blobs.device_bytes = self.device_upload_gib << 30;
        config.blobs.device_uploads = self.device_uploads;
        config.blobs.company_bytes = self.documents_gib.map(|gib| gib << 30);
        config.blobs.unnamed_ms = self.upload_days.map(|days| days * DAY_MS);
        config.tls = match (self.tls_cert, self.tls_key) {
            (Some(certificate), Some(key)) => Tls::Files { certificate, key },
            _ => Tls::CompanyCa { names: self.hosts },
        };
        config.documents = documents?;
        let mut server = crate::serve::run(config).await?;
        terminal::result(format_args!("hauspost serves {}", server.url()));
        if self.data.join("founding-token").exists() {
            terminal::say(format_args!(
                "No company yet. Found it: hauspost admin found --server {} --ca {data}/ca.pem --token {data}/founding-token \
                 --name NAME --keys KEYS",
                server.url(),
                data = self.data.display(),
            ));
        }
        tokio::select! {
            () = stop_asked => {}
            end = server.stopped() => return Ok(end?),
        }
        let stopping = terminal.spinner("stopping …");
        server.shut_down().await?;
        stopping.finish_and_clear();
        Ok(())
    }
}

/// Files that the server may have open beside its connections: the store's, documents', the log.
const OTHER_FILES: u64 = 256;

/// As many connections as asked for, or as the system has files for.
fn connections(total: u32, per_address: u32) -> ConnectionLimits {
    let files = raise_open_files();
    let most = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).max(1);
    let (total, per_address) = (total as usize, per_address as usize);
    if total > most {
        tracing::warn!(
            files,
            connections = most,
            "the system allows fewer connections than asked for"
        );
    }
    ConnectionLimits { total: total.min(most), per_address }
}

/// Raises the number of files that this process may have open as far as the system lets it; how many it
/// is. Service managers begin with 1,024 for the sake of old programs.
fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    // No limit at all is none to keep.
    current.unwrap_or(u64::MAX)
}

impl Serve {
    /// Where documents lie. No credential is ever part of the command line, which everybody on a machine sees.
    fn documents(&self) -> Result<Documents, SettingsError> {
        let Some(place) = &self.documents else { return Ok(Documents::DataFolder) };
        if !place.contains("://") {
            return Ok(Documents::Folder(place.into()));
        }
        let place = place.parse()?;
        let credentials = match &self.s3_credentials {
            Some(path) => Credentials::from_file(path)?,
            None => Credentials::from_environment(|name| std::env::var(name).ok())?,
        };
        let (endpoint, region) = (self.s3_endpoint.clone(), self.s3_region.clone());
        let settings = S3Settings::new(place, endpoint, region, credentials, self.s3_ca.clone())?;
        Ok(Documents::S3(Box::new(settings)))
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::usage(error)
    }
}

pub(super) fn start_log(json: bool) {
    let level = std::env::var("HAUSPOST_LOG").unwrap_or_default();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&level))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start in one process, as tests do, keeps the first log.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}

/// Our own targets down to this level, and INFO when it names none.
fn filter(level: &str) -> EnvFilter {
    // An empty name would be ERROR.
    let level = Some(level).filter(|level| !level.is_empty());
    let level = level.and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    EnvFilter::new(format!("{LOG_TARGETS}={level}"))
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written when our own crates and others speak at every level.
    fn log_at(level: &str) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(level))
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "hyper", "theirs");
            tracing::trace!(target: "openmls::group", "theirs");
            tracing::info!(target: "hauspost::serve", "our info");
            tracing::trace!(target: "hauspost_core::account", "our trace");
        });
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_level_of_the_log_is_ours_alone_and_opens_it_to_no_other_crate() {
        for level in ["", "trace", "TRACE", "hyper=trace", "trace,hyper=trace", "off", "5"] {
            assert!(!log_at(level).contains("theirs"), "{level:?}");
        }
        assert!(log_at("").contains("our info") && !log_at("").contains("our trace"));
        assert!(log_at("trace").contains("our trace"));
        assert!(log_at("hyper=trace").contains("our info"), "what is no level changes nothing");
        assert!(!log_at("off").contains("our info"));
    }
}
