//! `[artifacts]`: where the bytes of versions are kept.

use crate::config::check::{CheckOne, Checker};
use crate::config::diag::{Diagnostic, Spot};
use crate::config::path::RepoPath;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Item, Part as _, table};
use std::path::PathBuf;
use std::time::Duration;

/// Where artifacts are when nothing else is said, relative to the repository.
const LOCAL: &str = ".kf/objects";

/// How long a request waits: storing the end of a large object takes a server its time.
pub(in crate::config) const TIMEOUT: Duration = Duration::from_secs(300);

table! {
    /// As written.
    RawArtifacts {
        /// A folder of the repository, `file:///FOLDER`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.
        url: At<String> = "url", or LOCAL.to_owned();
        /// Address of an S3-compatible service that is not AWS, such as `https://minio.example.org`.
        endpoint: Option<At<String>> = "endpoint";
        /// Region of the bucket.
        region: Option<At<String>> = "region";
        /// Access key of S3, as `env:NAME` or `file:PATH`.
        access_key: Option<At<SecretRef>> = "access-key";
        /// Secret key of S3, as `env:NAME` or `file:PATH`.
        secret_key: Option<At<SecretRef>> = "secret-key";
        /// Allow an endpoint without TLS.
        allow_http: At<bool> = "allow-http", or false;
        /// How long a request to S3 waits for a server that says nothing.
        timeout: At<Duration> = "timeout", or TIMEOUT;
        /// Whom objects are encrypted for where they lie: age public keys (`age1…`) or SSH public keys (`ssh-ed25519 …`).
        encrypt: At<Vec<Item<String>>> = "encrypt", or Vec::new();
        /// A key that reads encrypted objects, as `file:PATH` or `env:NAME`; a host that only stores needs none.
        identity: Option<At<SecretRef>> = "identity";
    }
}

/// The most recipients: their header is read to know what an object is, so it has to be small.
const RECIPIENTS_MAX: usize = 16;

/// Where the bytes of versions are kept, and who can read them there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where.
    pub place: Artifacts,
    /// Whom they are encrypted for, as written; nobody when they are not encrypted.
    pub encrypt: Vec<String>,
    /// A key that reads them.
    pub identity: Option<SecretRef>,
}

/// Where the bytes of versions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Artifacts {
    /// A folder; relative to the repository unless absolute.
    Local(PathBuf),
    /// An S3 bucket.
    S3(S3),
    /// A bucket of Google Cloud Storage.
    Gcs {
        /// The bucket.
        bucket: String,
        /// Prepended to every key, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// A container of Azure Blob Storage.
    Azure {
        /// The container.
        container: String,
        /// Prepended to every key, without slashes at its ends; may be empty.
        prefix: String,
    },
}

/// An S3 bucket and how to reach it; what is missing is taken from the `AWS_*` variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// Prepended to every key, without slashes at its ends; may be empty.
    pub prefix: String,
    /// Address of the service when it is not AWS.
    pub endpoint: Option<String>,
    /// Region of the bucket.
    pub region: Option<String>,
    /// Access key and secret key.
    pub keys: Option<(SecretRef, SecretRef)>,
    /// True when the endpoint may be without TLS.
    pub allow_http: bool,
    /// How long a request waits for a server that says nothing.
    pub timeout: Duration,
}

impl CheckOne for RawArtifacts {
    type Plain = Kept;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Kept> {
        let (place, encrypt) = (self.place("artifacts", cx), recipients("artifacts.encrypt", &self.encrypt, cx));
        Some(Kept { place: place?, encrypt: encrypt?, identity: self.identity.as_ref().map(|at| at.value.clone()) })
    }
}

impl RawArtifacts {
    /// The place, in words of the table that it is written in.
    pub(in crate::config) fn place(&self, table: &'static str, cx: &mut Checker<'_>) -> Option<Artifacts> {
        Reader { raw: self, table }.read(cx)
    }
}

/// The public keys in a list, each of which must be one.
pub(in crate::config) fn recipients(name: &str, list: &At<Vec<Item<String>>>, cx: &mut Checker<'_>) -> Option<Vec<String>> {
    let mut good = true;
    for item in &list.value {
        let Some((what, help)) = wrong_recipient(&item.value) else { continue };
        if is_private(&item.value) {
            cx.diags.hide(&item.spot);
        }
        cx.refuse(&item.spot, format!("`{name}` holds {what}"), help);
        good = false;
    }
    if list.value.len() > RECIPIENTS_MAX {
        let title = format!("`{name}` names more than {RECIPIENTS_MAX} keys");
        cx.refuse(&list.spot, title, "share a key among those who read, or let a service that has one read for them");
        good = false;
    }
    good.then(|| list.value.iter().map(|item| item.value.clone()).collect())
}

/// True for a text that was meant to be a private key.
fn is_private(text: &str) -> bool {
    ["SECRET", "PRIVATE"].iter().any(|word| text.to_ascii_uppercase().contains(word))
}

/// What is wrong with a public key, and what to write instead.
fn wrong_recipient(text: &str) -> Option<(&'static str, &'static str)> {
    let key = text.trim();
    let fits = match key.starts_with("ssh-") {
        true => key.parse::<age::ssh::Recipient>().is_ok(),
        false => key.parse::<age::x25519::Recipient>().is_ok(),
    };
    if fits {
        return None;
    }
    Some(match is_private(key) {
        true => (
            "a private key",
            "write the public key (`age1…`, or a line of `~/.ssh/id_ed25519.pub`); a private key that was committed must be replaced",
        ),
        false => (
            "what is no public key of age or SSH",
            "write `age1…` (from `kf backup keygen` or `age-keygen`), or a line of `~/.ssh/id_ed25519.pub`",
        ),
    })
}

/// Reads a place that some table describes.
struct Reader<'a> {
    raw: &'a RawArtifacts,
    table: &'static str,
}

impl Reader<'_> {
    fn read(&self, cx: &mut Checker<'_>) -> Option<Artifacts> {
        let (scheme, rest) = self.raw.url.value.split_once("://").unwrap_or(("", &self.raw.url.value));
        if scheme != "s3" {
            self.only_for_s3(cx);
        }
        match scheme {
            "" => self.folder(cx).map(Artifacts::Local),
            "file" => self.file(rest, cx).map(Artifacts::Local),
            "s3" => self.s3(rest, cx).map(Artifacts::S3),
            "gs" => self.bucket(rest, cx).map(|(bucket, prefix)| Artifacts::Gcs { bucket, prefix }),
            "az" => self.bucket(rest, cx).map(|(container, prefix)| Artifacts::Azure { container, prefix }),
            _ => {
                self.hide_credentials(cx);
                let help = "write a folder, `file:///FOLDER`, `s3://BUCKET/PREFIX`, `gs://…` or `az://…`";
                cx.refuse(&self.raw.url.spot, format!("`{}.url` names no store that kf knows", self.table), help);
                None
            }
        }
    }
}

impl Reader<'_> {
    fn only_for_s3(&self, cx: &mut Checker<'_>) {
        for (given, key) in [
            (self.raw.endpoint.given(), "endpoint"),
            (self.raw.region.given(), "region"),
            (self.raw.access_key.given(), "access-key"),
            (self.raw.secret_key.given(), "secret-key"),
            (self.raw.allow_http.given(), "allow-http"),
            (self.raw.timeout.given(), "timeout"),
        ] {
            cx.unused(given, &self.raw.url, format!("`{}.{key}` is for `s3://…` only", self.table));
        }
    }

    /// Whatever is wrong with a URL, a password in it is not for the screen.
    fn hide_credentials(&self, cx: &mut Checker<'_>) {
        if self.raw.url.value.contains(['@', '?']) {
            cx.diags.hide(&self.raw.url.spot);
        }
    }

    fn folder(&self, cx: &mut Checker<'_>) -> Option<PathBuf> {
        if self.raw.url.value == LOCAL {
            return Some(PathBuf::from(LOCAL));
        }
        match self.raw.url.value.parse::<RepoPath>() {
            Ok(path) => Some(PathBuf::from(path.as_str())),
            Err(e) => {
                cx.refuse(&self.raw.url.spot, e.to_string(), "write `file:///FOLDER` for a folder outside the repository");
                None
            }
        }
    }

    fn file(&self, rest: &str, cx: &mut Checker<'_>) -> Option<PathBuf> {
        let path = url::Url::parse(&self.raw.url.value).ok().and_then(|url| url.to_file_path().ok());
        if path.is_none() || !rest.starts_with('/') {
            cx.refuse(
                &self.raw.url.spot,
                format!("`{}.url` is not the URL of a folder", self.table),
                "write `file:///` and an absolute folder",
            );
            return None;
        }
        path
    }

    fn bucket(&self, rest: &str, cx: &mut Checker<'_>) -> Option<(String, String)> {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let parts = prefix.is_empty() || prefix.split('/').all(|p| !matches!(p, "" | "." | "..") && p.chars().all(plain));
        if bucket.is_empty() || !bucket.chars().all(plain) || !parts {
            self.hide_credentials(cx);
            let help = "write SCHEME://BUCKET/PREFIX with letters, digits, `-`, `_` and `.`; credentials have their own keys";
            cx.refuse(&self.raw.url.spot, format!("`{}.url` is not a bucket and a prefix", self.table), help);
            return None;
        }
        Some((bucket.to_owned(), prefix.to_owned()))
    }

    fn s3(&self, rest: &str, cx: &mut Checker<'_>) -> Option<S3> {
        let bucket = self.bucket(rest, cx);
        let endpoint = self.raw.endpoint.as_ref().map(|at| self.address(at, cx));
        let keys = match (&self.raw.access_key, &self.raw.secret_key) {
            (Some(access), Some(secret)) => Some((access.value.clone(), secret.value.clone())),
            (Some(one), None) => {
                half(self.table, &one.key, ["access-key", "secret-key"], cx);
                None
            }
            (None, Some(one)) => {
                half(self.table, &one.key, ["secret-key", "access-key"], cx);
                None
            }
            (None, None) => None,
        };
        let (bucket, prefix) = bucket?;
        let endpoint = match endpoint {
            Some(checked) => Some(checked?),
            None => None,
        };
        let region = self.raw.region.as_ref().map(|r| r.value.clone());
        if self.raw.timeout.value.is_zero() {
            let title = format!("`{}.timeout` must not be zero", self.table);
            cx.refuse(&self.raw.timeout.spot, title, "write how long a server may say nothing: `5m`");
            return None;
        }
        let (allow_http, timeout) = (self.raw.allow_http.value, self.raw.timeout.value);
        Some(S3 { bucket, prefix, endpoint, region, keys, allow_http, timeout })
    }

    fn address(&self, at: &At<String>, cx: &mut Checker<'_>) -> Option<String> {
        let help = format!("take it out and add `access-key` and `secret-key` to `[{}]`", self.table);
        let url = cx.url(&format!("{}.endpoint", self.table), at, &["https", "http"], &help)?;
        if url.to_ascii_lowercase().starts_with("http:") && !self.raw.allow_http.value {
            cx.refuse(&at.spot, format!("`{}.endpoint` has no TLS", self.table), "use `https://`, or add `allow-http = true`");
            return None;
        }
        Some(url)
    }
}

/// Of the two keys of S3 only one is there.
fn half(table: &str, at: &Spot, [key, other]: [&str; 2], cx: &mut Checker<'_>) {
    let problem = Diagnostic::new(format!("`{table}.{key}` needs `{other}` beside it")).at(at);
    cx.absent(problem.help(format!("add `{other} = \"env:NAME\"`")));
}
