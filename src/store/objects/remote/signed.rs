//! Requests signed with AWS Signature Version 4, by the signer and with the credentials of the client.

use super::StoreError;
use super::open::RemoteOptions;
use super::requests::{Answer, Ask, Requests};
use crate::base::error::{Context, Error, Result};
use crate::store::runtime::block_on;
use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector as _, HttpErrorKind, HttpRequest, ReqwestConnector};
use reqwest::header::{HeaderName, HeaderValue};
use std::time::Duration;
use url::Url;

/// How often a request is sent at most, when the server or the connection fails.
const ATTEMPTS: u32 = 5;

/// A bucket, and how it is asked.
pub(super) struct Signed {
    client: HttpClient,
    credentials: AwsCredentialProvider,
    bucket: Url,
    region: String,
}

impl Signed {
    pub(super) fn new(store: &AmazonS3, bucket: &str, options: &RemoteOptions, client: &ClientOptions) -> Result<Self> {
        let failed = || "cannot set up requests about locks".to_owned();
        let region = options.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        let server = options.endpoint.clone().unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let bucket = Url::parse(&format!("{}/{bucket}", server.trim_end_matches('/'))).context(failed)?;
        let client = ReqwestConnector::default().connect(client).context(failed)?;
        Ok(Self { client, credentials: store.credentials().clone(), bucket, region })
    }

    fn url(&self, ask: &Ask<'_>) -> Url {
        let mut url = self.bucket.clone();
        if let (Some(key), Ok(mut path)) = (ask.key, url.path_segments_mut()) {
            path.extend(key.as_ref().split('/'));
        }
        if !ask.query.is_empty() {
            let mut query = url.query_pairs_mut();
            for (name, value) in &ask.query {
                if value.is_empty() {
                    query.append_key_only(name)
                } else {
                    query.append_pair(name, value)
                };
            }
        }
        url
    }

    async fn once(&self, ask: &Ask<'_>) -> Result<Result<Answer, StoreError>> {
        let failed = || "cannot make a request about locks".to_owned();
        let mut request = HttpRequest::new(ask.body.clone().into());
        *request.method_mut() = ask.method.parse().context(failed)?;
        *request.uri_mut() = self.url(ask).as_str().parse().context(failed)?;
        for (name, value) in &ask.headers {
            request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_str(value).context(failed)?);
        }
        let credential = match self.credentials.get_credential().await {
            Ok(credential) => credential,
            Err(e) => return Ok(Err(e)),
        };
        let signer = AwsAuthorizer::new(&credential, "s3", &self.region);
        signer.try_authorize(&mut request, None).context(failed)?;
        let generic = |source| StoreError::Generic { store: "S3", source };
        let (parts, body) = match self.client.execute(request).await {
            Ok(answer) => answer.into_parts(),
            Err(e) => return Ok(Err(generic(Box::new(e)))),
        };
        match body.bytes().await {
            Ok(body) => Ok(Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.to_vec() })),
            Err(e) => Ok(Err(generic(Box::new(e)))),
        }
    }
}

impl Requests for Signed {
    fn send(&self, ask: &Ask<'_>) -> Result<Result<Answer, StoreError>> {
        for attempt in 1.. {
            let got = block_on(self.once(ask))??;
            let again = match &got {
                Ok(answer) => answer.status >= 500 || answer.status == 429,
                Err(StoreError::Generic { source, .. }) => {
                    let lost = source.downcast_ref::<object_store::client::HttpError>();
                    lost.is_some_and(|e| e.kind() != HttpErrorKind::Decode)
                }
                Err(_) => false,
            };
            if !again || attempt == ATTEMPTS {
                return Ok(got);
            }
            std::thread::sleep(Duration::from_millis(100 << attempt));
        }
        Err(Error::new("a request about locks was never sent"))
    }
}
