//! `hauspost serve` whose documents lie in S3-compatible storage, behind TLS with an authority of its own.

#[path = "../../../tests/src/s3.rs"]
#[allow(dead_code, reason = "what other tests do with it")]
mod s3;

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;

use axum_server::accept::Accept as _;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hauspost_core::account::Attachment;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use self::s3::{BUCKET, KEY_ID, REGION, S3Server, SECRET};
use super::*;

/// An authority in a file, and what it issues.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let pem = folder.join(name);
        fs::write(&pem, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A storage at 127.0.0.1 with a certificate of this authority.
    async fn storage(&self) -> S3Server {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let tls = RustlsConfig::from_der(vec![certificate.der().to_vec()], key.serialize_der());
        let acceptor = RustlsAcceptor::new(tls.await.unwrap());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        S3Server::start_behind(address, move |stream| {
            let accepted = acceptor.accept(stream, ());
            async { accepted.await.ok().map(|(stream, _)| stream) }
        })
        .await
    }
}

/// How a server is told of its storage.
struct Told<'t> {
    storage: &'t S3Server,
    place: &'t str,
    secret: &'t str,
    ca: &'t Path,
}

impl Told<'_> {
    fn serve(&self, folder: &Path) -> Command {
        let credentials = folder.join("credentials");
        let _ = fs::remove_file(&credentials);
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&credentials);
        let text = format!(
            "[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {}\n",
            self.secret
        );
        std::io::Write::write_all(file.as_mut().unwrap(), text.as_bytes()).unwrap();
        let mut command = hauspost();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--checkpoint-seconds", "1"])
            .arg("--data")
            .arg(folder.join("server"))
            .args(["--documents", self.place, "--s3-region", REGION, "--s3-endpoint"])
            .arg(format!("https://{}", self.storage.address()))
            .arg("--s3-credentials")
            .arg(&credentials)
            .arg("--s3-ca")
            .arg(self.ca);
        command
    }
}

fn place() -> String {
    format!("s3://{BUCKET}/hauspost")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_keeps_documents_in_a_storage_behind_tls_of_an_authority_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "storage-ca.pem");
    let storage = authority.storage().await;
    let place = place();
    let told = Told { storage: &storage, place: &place, secret: SECRET, ca: &authority.pem };
    let company = Company::of(folder, |folder| told.serve(folder));
    assert!(company.found("keys").status.success());
    let anna = company.phone("anna", "Anna Berg").await;
    let ben = company.phone("ben", "Ben Kaya").await;
    let log = anna.create_dm(ben.user()).await.unwrap();
    settle(&[&anna, &ben]).await;
    let source = company.path("Angebot.txt");
    let text = "Zwölf Paletten, frei Haus. ".repeat(10_000);
    fs::write(&source, &text).unwrap();
    let id = anna.send_files(log, vec![Attachment::path(&source)], "anbei").await.unwrap();
    settle(&[&anna, &ben]).await;
    let opened = ben.open_file(log, id, 0).await.unwrap();
    assert!(fs::read_to_string(opened).unwrap() == text);
    assert!(storage.names().len() > 1, "{:?}", storage.names());
    storage.change(|objects| {
        let has_text = |object: &Vec<u8>| object.windows(8).any(|bytes| bytes == b"Paletten");
        assert!(!objects.values().any(has_text), "what lies there says nothing");
    });
    assert!(!company.path("server/blobs").exists(), "nothing of them lies beside the database");
}

/// What a server says that ends by itself; one that serves is ended, and fails the test.
fn ended(mut serve: Command) -> Output {
    let mut server = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if !line.is_empty() {
        server.kill().unwrap();
    }
    let ended = server.wait_with_output().unwrap();
    assert_eq!(line, "", "it serves: {}", String::from_utf8_lossy(&ended.stderr));
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_cannot_be_used_is_named_at_the_start_and_nothing_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "storage-ca.pem");
    let other = Authority::new(folder.path(), "other-ca.pem");
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let storage = authority.storage().await;
    let (there, elsewhere) = (place(), "s3://no-such-bucket/hauspost");
    let told = |place, secret, ca| Told { storage: &storage, place, secret, ca };
    for (told, says) in [
        (told(&there, SECRET, &other.pem), "certificate that is not trusted here"),
        (told(&there, SECRET, &empty), "no certificate in it"),
        (told(&there, "another secret", &authority.pem), "refuses these credentials"),
        (told(elsewhere, SECRET, &authority.pem), "the bucket of s3://no-such-bucket/hauspost"),
    ] {
        let ended = ended(told.serve(folder.path()));
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(!said.contains("another secret") && !said.contains(KEY_ID), "{said}");
    }
    assert!(storage.names().is_empty());
}
