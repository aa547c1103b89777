//! Requests to a bucket that `object_store` does not know: those about versions and locks.

use super::{Key, Remote, StoreError, errors};
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderMap;

/// A request.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask<'a> {
    pub(super) method: &'static str,
    /// What it is about; the bucket when there is none.
    pub(super) key: Option<&'a Key>,
    /// Without a value where that is empty.
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Ask<'_> {
    /// The body's digest in a header: a server takes nothing about locks without one.
    pub(super) fn with_checksum(mut self) -> Self {
        self.headers.push(("x-amz-sdk-checksum-algorithm", "SHA256".to_owned()));
        self.headers.push(("x-amz-checksum-sha256", STANDARD.encode(Digest::of(&self.body).as_bytes())));
        self
    }
}

/// What the server said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The server's own time.
    pub(super) fn date(&self) -> Option<Timestamp> {
        Timestamp::from_http(self.header("date")?)
    }
}

/// Sends requests, signed, and again when the server or the connection fails.
pub(super) trait Requests: Send + Sync {
    /// The answer, whatever its status.
    ///
    /// # Errors
    /// What the connection or the credentials failed with.
    fn send(&self, ask: &Ask<'_>) -> Result<Result<Answer, StoreError>>;
}

impl Remote {
    /// The answer to a request; `what` was to be done, for errors.
    pub(super) fn ask(&self, ask: &Ask<'_>, what: &str) -> Result<Answer> {
        let Some(requests) = &self.requests else { return Err(super::super::lock::none(self.place.clone())) };
        requests.send(ask)?.map_err(|e| self.worded(e, what))
    }

    /// The same, which must succeed.
    pub(super) fn done(&self, ask: &Ask<'_>, what: &str) -> Result<Answer> {
        let answer = self.ask(ask, what)?;
        if answer.is_success() { Ok(answer) } else { Err(self.refused(&answer, what)) }
    }

    /// What an answer says in words.
    pub(super) fn refused(&self, answer: &Answer, what: &str) -> Error {
        let source = format!("the server answered {}: {}", answer.status, answer.text());
        let e = match answer.status {
            403 if answer.body.is_empty() => StoreError::PermissionDenied { path: String::new(), source: source.into() },
            _ => StoreError::Generic { store: "S3", source: source.into() },
        };
        errors::worded(&e, what, &self.place)
    }
}
