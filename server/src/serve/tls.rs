//! TLS: the certificate from files, or from the company's own certificate authority.
//!
//! TLS 1.3 only, with X25519MLKEM768 preferred: whoever records the traffic today shall not read it
//! in ten years. A start without a certificate makes a certificate authority of the company's own
//! in the data folder; an invitation carries its certificate, and a phone trusts what its
//! invitation named and nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hauspost_protocol::ids::TimeMs;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::folder::{Access, DataFolder, FolderError};

/// Where the server's certificate comes from.
#[derive(Debug, Clone)]
pub enum Tls {
    /// PEM files of a certificate chain and its key.
    Files {
        /// The chain, the server's certificate first.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// A certificate authority in the data folder, made at the first start (`ca.pem`).
    CompanyCa {
        /// Host names and addresses under which phones reach the server, beside the loopback ones
        /// and the address that it listens on.
        names: Vec<String>,
    },
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not fit together, or rustls refuses them.
    #[error("the TLS certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// The certificate authority cannot issue, for instance for a malformed host name.
    #[error("the company's certificate authority cannot issue a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

const CA_CERTIFICATE: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const CA_DAYS: u64 = 3_650;
const SERVER_DAYS: u64 = 800;

/// The configuration of all connections.
pub fn server_config(
    tls: &Tls,
    folder: &DataFolder,
    listen: SocketAddr,
    now_ms: TimeMs,
) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, key) = match tls {
        Tls::Files { certificate, key } => read_files(certificate, key)?,
        Tls::CompanyCa { names } => issue(folder, names, listen, now_ms)?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_files(certificate: &PathBuf, key: &PathBuf) -> Result<Identity, TlsError> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|source| TlsError::File { path: certificate.clone(), source })?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|source| TlsError::File { path: key.clone(), source })?;
    Ok((chain, key))
}

/// A fresh server certificate by the company's certificate authority; its key is never stored.
fn issue(
    folder: &DataFolder,
    names: &[String],
    listen: SocketAddr,
    now_ms: TimeMs,
) -> Result<Identity, TlsError> {
    let issuer = authority(folder, now_ms)?;
    let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !listen.ip().is_unspecified() {
        all.push(listen.ip().to_string());
    }
    all.extend_from_slice(names);
    all.sort();
    all.dedup();
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(all)?;
    set_validity(&mut params, now_ms, SERVER_DAYS);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Hauspost server");
    params.use_authority_key_identifier_extension = true;
    params.key_usages.push(KeyUsagePurpose::DigitalSignature);
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    let certificate = params.signed_by(&key, &issuer)?;
    Ok((vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
}

fn authority(folder: &DataFolder, now_ms: TimeMs) -> Result<Issuer<'static, KeyPair>, TlsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    set_validity(&mut params, now_ms, CA_DAYS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Hauspost company CA");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    if let (Some(key), Some(_)) = (folder.read(CA_KEY)?, folder.read(CA_CERTIFICATE)?) {
        let key = String::from_utf8(key).map_err(|_| FolderError::Damaged(folder.file(CA_KEY)))?;
        // What an issuer puts into a certificate is its name and key, and these are always the same.
        return Ok(Issuer::new(params, KeyPair::from_pem(&key)?));
    }
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    folder.write(CA_KEY, key.serialize_pem().as_bytes(), Access::Secret)?;
    folder.write(CA_CERTIFICATE, certificate.pem().as_bytes(), Access::Public)?;
    Ok(Issuer::new(params, key))
}

fn set_validity(params: &mut CertificateParams, now_ms: TimeMs, days: u64) {
    // An hour back, for phones whose clock is behind.
    let from = std::time::Duration::from_millis(now_ms.saturating_sub(3_600_000));
    let days = std::time::Duration::from_secs(days * 86_400);
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + from;
    params.not_after = params.not_before + days;
}
