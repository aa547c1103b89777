//! From a URL and options to a client. No credentials are read from the environment, and nothing is asked over the network yet.

use super::requests::Requests;
use crate::base::error::{Context, Error, Result};
use crate::config::secret::Secret;
use crate::store::runtime::runtime;
use object_store::path::Path as Key;
use object_store::{Certificate, ClientOptions, ObjectStore};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How to reach an object store. What is not set is left to the machine's own identity, region and trust.
#[derive(Clone, Debug, Default)]
pub struct RemoteOptions {
    /// The server, when it is not the provider's own: `https://minio.example:9000`.
    pub endpoint: Option<String>,
    /// The region of the bucket; `us-east-1` when not set. Only S3 has one.
    pub region: Option<String>,
    /// S3: access key id. Azure: the account's name.
    pub access_key: Option<Secret>,
    /// S3: secret access key. Azure: the account's key. Google: the service account's key (JSON).
    pub secret_key: Option<Secret>,
    /// S3: the token that belongs to temporary credentials.
    pub session_token: Option<Secret>,
    /// Allows an endpoint without TLS.
    pub allow_http: bool,
    /// Certificates (PEM) to trust besides the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// S3: objects are to be locked, and what was deleted is still to be read.
    pub locks: bool,
    /// How long a request waits for a server that says nothing; five minutes when not set.
    pub timeout: Option<Duration>,
}

/// What a place is worked on with.
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    /// What all keys begin with.
    pub(super) prefix: Key,
    /// Where it is, for people.
    pub(super) place: String,
    /// Requests that the client does not know, where they are asked for.
    pub(super) requests: Option<Arc<dyn Requests>>,
}

/// A client, and where it is S3 and asked for, one for the requests that it does not know.
type Client = (Arc<dyn ObjectStore>, Option<Arc<dyn Requests>>);

/// A parsed place: `scheme://bucket/prefix`.
struct Place {
    scheme: String,
    bucket: String,
    prefix: Key,
}

/// Opens a place. `what` the URL is, for errors: `artifacts.url`.
pub(super) fn open(what: &str, url: &str, options: &RemoteOptions) -> Result<Opened> {
    let place = parse(what, url)?;
    check_endpoint(options)?;
    // Clients need the TLS implementation that comes with the runtime.
    runtime()?;
    let client = client_options(options)?;
    let (store, requests) = match place.scheme.as_str() {
        "s3" => s3(&place.bucket, options, client),
        "gs" => gcs(&place.bucket, options, client),
        "az" => azure(&place.bucket, options, client),
        other => Err(Error::usage(format!("`{other}://` is no object store that kf knows"))
            .hint("use `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`")),
    }?;
    let mut words = format!("{}://{}", place.scheme, place.bucket);
    if !place.prefix.as_ref().is_empty() {
        words = format!("{words}/{}", place.prefix);
    }
    if let Some(host) = options.endpoint.as_deref().and_then(|e| Url::parse(e).ok()).as_ref().and_then(host) {
        words = format!("{words} at {host}");
    }
    Ok(Opened { store, prefix: place.prefix, place: words, requests })
}

fn host(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn parse(what: &str, url: &str) -> Result<Place> {
    // The text is not repeated before it is known to hold no password.
    let example = "write it as `s3://bucket/prefix`";
    let parsed = Url::parse(url).context(|| format!("`{what}` is not a URL")).map_err(|e| usage(e, example))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Error::usage(format!("`{what}` holds credentials"))
            .hint("remove them and set `artifacts.access-key` and `artifacts.secret-key`, for example to `env:NAME`"));
    }
    let bucket = parsed.host_str().unwrap_or_default();
    if bucket.is_empty() || parsed.port().is_some() || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(Error::usage(format!("`{url}` names no bucket and prefix")).hint(example));
    }
    let prefix =
        Key::from_url_path(parsed.path()).context(|| format!("`{url}` has a wrong prefix")).map_err(|e| usage(e, example))?;
    Ok(Place { scheme: parsed.scheme().to_owned(), bucket: bucket.to_owned(), prefix })
}

fn usage(e: Error, hint: &str) -> Error {
    e.kind_of(crate::base::error::Kind::Usage).hint(hint)
}

fn check_endpoint(options: &RemoteOptions) -> Result<()> {
    let Some(endpoint) = &options.endpoint else { return Ok(()) };
    let parsed = Url::parse(endpoint).ok().filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
    let Some(parsed) = parsed.filter(|u| u.username().is_empty() && u.password().is_none()) else {
        return Err(Error::usage("`artifacts.endpoint` is not the URL of a server").hint("write it as `https://host:9000`"));
    };
    if parsed.scheme() == "http" && !options.allow_http {
        return Err(Error::usage("`artifacts.endpoint` has no TLS")
            .hint("use `https://`, or set `artifacts.allow-http = true` for a server in your own network"));
    }
    Ok(())
}

/// How long a request waits when nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(300);

fn client_options(options: &RemoteOptions) -> Result<ClientOptions> {
    // A limit on the whole request would break large bodies on slow lines; the waiting for a reply is limited instead.
    let mut client = ClientOptions::new()
        .with_allow_http(options.allow_http)
        .with_timeout_disabled()
        .with_read_timeout(options.timeout.unwrap_or(TIMEOUT))
        .with_connect_timeout(Duration::from_secs(5));
    if let Some(pem) = &options.ca_pem {
        let bundle = Certificate::from_pem_bundle(pem).unwrap_or_default();
        if bundle.is_empty() {
            return Err(Error::usage("AWS_CA_BUNDLE names a file without certificates")
                .hint("give a file with `-----BEGIN CERTIFICATE-----`"));
        }
        client = bundle.into_iter().fold(client, ClientOptions::with_root_certificate);
    }
    Ok(client)
}

/// A client, or what is wrong with its options.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
fn built<S: ObjectStore>(client: object_store::Result<S>, bucket: &str) -> Result<Arc<S>> {
    match client {
        Ok(store) => Ok(Arc::new(store)),
        Err(_) => Err(Error::usage(format!("`artifacts` gives no working connection to {bucket}"))
            .hint("check the names in `artifacts.url` and the certificates of AWS_CA_BUNDLE (PEM)")),
    }
}

/// About half a minute of patience with 5xx and broken connections.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
fn retries() -> object_store::RetryConfig {
    use object_store::{BackoffConfig, RetryConfig};
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(5), base: 2.0 };
    RetryConfig { backoff, max_retries: 8, retry_timeout: Duration::from_secs(30) }
}

#[cfg(feature = "s3")]
fn s3(bucket: &str, options: &RemoteOptions, client: ClientOptions) -> Result<Client> {
    use object_store::aws::AmazonS3Builder;
    let asked = options.locks.then(|| client.clone());
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(options.region.as_deref().unwrap_or("us-east-1"))
        .with_client_options(client)
        .with_retry(retries())
        // Deleting many at once is not offered by every server, and kf deletes one by one.
        .with_disable_bulk_delete(true);
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    match (&options.access_key, &options.secret_key) {
        (Some(id), Some(key)) => builder = builder.with_access_key_id(id.expose()).with_secret_access_key(key.expose()),
        (None, None) => {}
        _ => {
            return Err(Error::usage("only one of `artifacts.access-key` and `artifacts.secret-key` is set")
                .hint("set both, or neither to use the identity of this machine"));
        }
    }
    if let Some(token) = &options.session_token {
        builder = builder.with_token(token.expose());
    }
    let store = built(builder.build(), bucket)?;
    let requests = asked.map(|client| super::signed::Signed::new(&store, bucket, options, &client)).transpose()?;
    Ok((store, requests.map(|requests| Arc::new(requests) as _)))
}

#[cfg(feature = "gcs")]
fn gcs(bucket: &str, options: &RemoteOptions, client: ClientOptions) -> Result<Client> {
    use object_store::gcp::GoogleCloudStorageBuilder;
    let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(bucket).with_client_options(client).with_retry(retries());
    if let Some(key) = &options.secret_key {
        builder = builder.with_service_account_key(key.expose());
    }
    Ok((built(builder.build(), bucket)?, None))
}

#[cfg(feature = "azure")]
fn azure(container: &str, options: &RemoteOptions, client: ClientOptions) -> Result<Client> {
    use object_store::azure::MicrosoftAzureBuilder;
    let mut builder =
        MicrosoftAzureBuilder::new().with_container_name(container).with_client_options(client).with_retry(retries());
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    if let Some(account) = &options.access_key {
        builder = builder.with_account(account.expose());
    }
    if let Some(key) = &options.secret_key {
        builder = builder.with_access_key(key.expose());
    }
    Ok((built(builder.build(), container)?, None))
}

#[cfg(not(feature = "s3"))]
fn s3(_: &str, _: &RemoteOptions, _: ClientOptions) -> Result<Client> {
    Err(built_without("Amazon S3", "s3"))
}

#[cfg(not(feature = "gcs"))]
fn gcs(_: &str, _: &RemoteOptions, _: ClientOptions) -> Result<Client> {
    Err(built_without("Google Cloud Storage", "gcs"))
}

#[cfg(not(feature = "azure"))]
fn azure(_: &str, _: &RemoteOptions, _: ClientOptions) -> Result<Client> {
    Err(built_without("Azure Blob Storage", "azure"))
}

#[cfg(not(all(feature = "s3", feature = "gcs", feature = "azure")))]
fn built_without(service: &str, feature: &str) -> Error {
    Error::usage(format!("this kf was built without {service}"))
        .hint(format!("build it with the cargo feature `{feature}`: `cargo install kf --features {feature}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Kind;
    use crate::config::env::Env;
    use crate::config::secret::SecretRef;
    use proptest::prelude::*;

    const URL: &str = "artifacts.url";

    fn secret(text: &str) -> Secret {
        SecretRef::Env("X".into()).resolve(&Env::new([("X", text)]), std::path::Path::new(".")).unwrap()
    }

    fn refused(url: &str, options: &RemoteOptions) -> Error {
        let e = open(URL, url, options).map(|o| o.place).unwrap_err();
        assert_eq!(e.kind(), Kind::Usage, "{e}");
        assert!(!e.hints().is_empty(), "{e}");
        assert!(!format!("{e} {:?}", e.hints()).contains("hunter2"), "{e}");
        e
    }

    #[test]
    fn what_is_no_place_is_refused_with_a_hint_and_no_password() {
        for bad in ["", "s3", "s3://", "s3:///x", "s3://b?x=1", "s3://b/a//c", "s3://me:hunter2@b", "s3://me:hunter2@b:x"] {
            refused(bad, &RemoteOptions::default());
        }
        let e = refused("ftp://b/x", &RemoteOptions::default());
        assert!(e.to_string().contains("`ftp://`"), "{e}");
    }

    #[test]
    fn wrong_options_are_refused() {
        let with = |change: fn(&mut RemoteOptions)| {
            let mut options = RemoteOptions::default();
            change(&mut options);
            refused("s3://b", &options)
        };
        assert!(with(|o| o.endpoint = Some("http://h:1".into())).hints()[0].contains("allow-http"));
        with(|o| o.endpoint = Some("h:1".into()));
        with(|o| o.endpoint = Some("https://me:hunter2@h".into()));
        with(|o| o.access_key = Some(secret("hunter2")));
        with(|o| o.secret_key = Some(secret("hunter2")));
        with(|o| o.ca_pem = Some(b"no certificate".to_vec()));
        with(|o| o.ca_pem = Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()));
    }

    #[test]
    #[cfg(not(feature = "gcs"))]
    fn a_protocol_that_is_not_built_in_names_its_feature() {
        let e = refused("gs://b/x", &RemoteOptions::default());
        assert!(e.hints()[0].contains("--features gcs"), "{:?}", e.hints());
    }

    #[test]
    fn a_place_is_described_without_credentials() {
        let options = RemoteOptions {
            endpoint: Some("https://minio.example:9000/".into()),
            access_key: Some(secret("hunter2")),
            secret_key: Some(secret("hunter2")),
            ..RemoteOptions::default()
        };
        let Opened { prefix, place: words, .. } = open(URL, "s3://models/team%20a/kf/", &options).unwrap();
        assert_eq!(words, "s3://models/team a/kf at minio.example:9000");
        assert_eq!(prefix.as_ref(), "team a/kf");
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_url_panics(url in "(s3|gs|az|file)?:?/{0,3}.{0,40}") {
            let _ = open(URL, &url, &RemoteOptions::default());
        }
    }
}
