//! Where the storage is, and with what credentials: read once at the start, named clearly when it is wrong.

use std::fmt;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path as FilePath, PathBuf};
use std::str::FromStr;

use http::Uri;
use object_store::path::Path;
use zeroize::Zeroizing;

/// A longer prefix is refused, in bytes.
const PREFIX_BYTES: usize = 512;
/// A larger file of credentials is refused, in bytes.
const FILE_BYTES: u64 = 16 << 10;

/// What a server needs to know of its storage.
#[derive(Clone)]
pub struct S3Settings {
    /// The bucket and the beginning of all names in it.
    pub place: Place,
    /// `https://HOST[:PORT]`; Amazon's of the region when nothing is named.
    pub endpoint: Option<String>,
    /// The region, which is part of each signature.
    pub region: String,
    /// With what each request is signed.
    pub credentials: Credentials,
    /// PEM file of the only certificates to trust; the system's when nothing is named.
    pub roots: Option<PathBuf>,
}

/// A bucket, and the beginning of all names in it: `s3://BUCKET/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    bucket: String,
    prefix: Path,
}

/// An access key. Neither printed nor logged.
#[derive(Clone)]
pub struct Credentials {
    pub(super) key_id: Zeroizing<String>,
    pub(super) secret: Zeroizing<String>,
    pub(super) token: Option<Zeroizing<String>>,
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It is no place.
    #[error(
        "{0:?} is no place for documents: write s3://BUCKET or s3://BUCKET/PREFIX, of letters, digits, - _ . and /"
    )]
    Place(String),
    /// It is no address, or one over which documents would travel in the clear.
    #[error(
        "{0:?} is no address of a storage: write https://HOST[:PORT]; http:// only to this machine itself"
    )]
    Endpoint(String),
    /// It is no region.
    #[error("{0:?} is no region: lower-case letters, digits and -")]
    Region(String),
    /// There are none.
    #[error(
        "no credentials for the storage: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file with --s3-credentials"
    )]
    NoCredentials,
    /// The file cannot be read.
    #[error("cannot read the credentials in {path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl S3Settings {
    /// The settings, once they make sense.
    pub fn new(
        place: Place,
        endpoint: Option<String>,
        region: String,
        credentials: Credentials,
        roots: Option<PathBuf>,
    ) -> Result<Self, SettingsError> {
        let is_region =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if region.is_empty() || region.len() > 63 || !region.bytes().all(is_region) {
            return Err(SettingsError::Region(region));
        }
        if let Some(endpoint) = endpoint.as_ref().filter(|endpoint| !is_endpoint(endpoint)) {
            return Err(SettingsError::Endpoint(endpoint.clone()));
        }
        Ok(Self { place, endpoint, region, credentials, roots })
    }

    /// Whether the storage is spoken to without TLS: on this machine itself only.
    pub(super) fn is_plain(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"))
    }
}

fn is_endpoint(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else { return false };
    let has_more = uri.path_and_query().is_some_and(|rest| rest != "/");
    let names_a_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || bare.parse().is_ok_and(|host: IpAddr| host.is_loopback());
    let is_safe = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => is_here,
        _ => false,
    };
    is_safe && !has_more && !names_a_user
}

impl Place {
    /// The bucket.
    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// An object's name behind the prefix.
    pub(super) fn object(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    /// The beginning of all names.
    pub(super) fn prefix(&self) -> &Path {
        &self.prefix
    }
}

impl FromStr for Place {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let wrong = || SettingsError::Place(text.to_owned());
        let rest = text.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let in_bucket =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(in_bucket) {
            return Err(wrong());
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        // "." and ".." are names as well; the storage's own form of a path has no room for them.
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(in_name);
        let is_prefix = prefix.is_empty() || prefix.split('/').all(is_name);
        if !is_prefix || prefix.len() > PREFIX_BYTES {
            return Err(wrong());
        }
        let prefix = Path::parse(prefix).map_err(|_| wrong())?;
        Ok(Self { bucket: bucket.to_owned(), prefix })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix.is_root() {
            true => write!(out, "s3://{}", self.bucket),
            false => write!(out, "s3://{}/{}", self.bucket, self.prefix),
        }
    }
}

impl Credentials {
    /// An access key.
    pub fn new(key_id: String, secret: String, token: Option<String>) -> Self {
        let token = token.map(Zeroizing::new);
        Self { key_id: Zeroizing::new(key_id), secret: Zeroizing::new(secret), token }
    }

    /// As the environment names them, by the names that Amazon's tools use.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        match (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
            (Some(key_id), Some(secret)) => Ok(Self::new(key_id, secret, set("AWS_SESSION_TOKEN"))),
            _ => Err(SettingsError::NoCredentials),
        }
    }

    /// As a file names them, in the form that Amazon's tools use: the first section counts.
    pub fn from_file(path: &FilePath) -> Result<Self, SettingsError> {
        let wrong = |why: &dyn fmt::Display| SettingsError::File {
            path: path.to_owned(),
            why: why.to_string(),
        };
        let known = std::fs::metadata(path).map_err(|error| wrong(&error))?;
        if known.permissions().mode() & 0o007 != 0 {
            return Err(wrong(&"everybody on this machine may use it; chmod 600 it"));
        }
        if known.len() > FILE_BYTES {
            return Err(wrong(&"it is too large"));
        }
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|error| wrong(&error))?;
        let lines =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let lines = lines.skip_while(|line| line.starts_with('['));
        let find = |name: &str, line: &str| {
            let (key, value) = line.split_once('=')?;
            (key.trim().eq_ignore_ascii_case(name)).then(|| value.trim().to_owned())
        };
        let (mut key_id, mut secret, mut token) = (None, None, None);
        for line in lines.take_while(|line| !line.starts_with('[')) {
            key_id = key_id.or_else(|| find("aws_access_key_id", line));
            secret = secret.or_else(|| find("aws_secret_access_key", line));
            token = token.or_else(|| find("aws_session_token", line));
        }
        match (key_id, secret) {
            (Some(key_id), Some(secret)) => Ok(Self::new(key_id, secret, token)),
            _ => Err(wrong(&"aws_access_key_id or aws_secret_access_key is not in it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_and_a_prefix_and_nothing_that_leads_elsewhere() {
        for (text, shown) in [
            ("s3://muster-gmbh", "s3://muster-gmbh"),
            ("s3://muster-gmbh/", "s3://muster-gmbh"),
            ("s3://muster/hauspost/prod_1", "s3://muster/hauspost/prod_1"),
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "muster",
            "s3://",
            "s3:///prefix",
            "s3://ab",
            "s3://Muster",
            "s3://muster/../x",
            "s3://muster/./x",
            "s3://muster/..",
            "s3://muster//x",
            "s3://muster/a b",
            "s3://mus/ter?x",
            "https://muster/x",
            "s3://mü-ster",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
        assert!(format!("s3://muster/{}", "x".repeat(513)).parse::<Place>().is_err());
    }

    fn settings(endpoint: &str, region: &str) -> Result<S3Settings, SettingsError> {
        let credentials = Credentials::new("key".into(), "secret".into(), None);
        let place = "s3://muster/x".parse().unwrap();
        S3Settings::new(place, Some(endpoint.into()), region.into(), credentials, None)
    }

    #[test]
    fn documents_travel_in_the_clear_on_this_machine_only() {
        for endpoint in [
            "https://s3.example.com",
            "https://10.0.0.9:9000/",
            "http://127.0.0.1:9000",
            "http://localhost:9000",
            "http://[::1]:9000",
        ] {
            assert!(settings(endpoint, "eu-central-1").is_ok(), "{endpoint}");
        }
        for endpoint in [
            "http://s3.example.com",
            "http://10.0.0.9:9000",
            "s3.example.com",
            "ftp://s3.example.com",
            "https://",
            "https://s3.example.com/bucket",
            "https://key:secret@s3.example.com",
            "http://localhost.example.com",
        ] {
            assert!(settings(endpoint, "eu-central-1").is_err(), "{endpoint}");
        }
        assert!(settings("https://s3.example.com", "").is_err());
        assert!(settings("https://s3.example.com", "eu/../x").is_err());
    }

    #[test]
    fn credentials_come_from_the_environment_both_or_none() {
        let from = |key_id: &str, secret: &str| {
            Credentials::from_environment(|name| match name {
                "AWS_ACCESS_KEY_ID" => Some(key_id.to_owned()),
                "AWS_SECRET_ACCESS_KEY" => Some(secret.to_owned()),
                _ => None,
            })
        };
        let found = from("key", "secret").unwrap();
        assert_eq!((&**found.key_id, &**found.secret), ("key", "secret"));
        assert!(found.token.is_none());
        for (key_id, secret) in [("", ""), ("key", ""), ("", "secret")] {
            assert!(matches!(from(key_id, secret), Err(SettingsError::NoCredentials)));
        }
    }

    #[test]
    fn credentials_come_from_the_first_section_of_a_file_that_is_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let write = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Credentials::from_file(&path)
        };
        let text = "# ours\n[default]\naws_access_key_id = key\nAWS_SECRET_ACCESS_KEY=s=ecret \n\
                    [other]\naws_session_token = theirs\n";
        let found = write(text, 0o600).unwrap();
        assert_eq!((&**found.key_id, &**found.secret), ("key", "s=ecret"));
        assert!(found.token.is_none(), "another section's");
        let open = write(text, 0o604).err().unwrap().to_string();
        assert!(open.contains("everybody") && !open.contains("ecret"), "{open}");
        let half = write("aws_access_key_id = key\n", 0o600).err().unwrap().to_string();
        assert!(half.contains("aws_secret_access_key"), "{half}");
        let large = write(&format!("{text}{}", "#".repeat(FILE_BYTES as usize)), 0o600);
        assert!(large.err().unwrap().to_string().contains("too large"));
        assert!(Credentials::from_file(&folder.path().join("none")).is_err());
    }
}
