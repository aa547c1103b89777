//! A request that can be sent again, and its answer.

use super::wait;
use crate::adapters::redact::{Hidden, Redactor};
use crate::base::error::{Context, Error, Result};
use crate::config::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use url::Url;

/// The shortest part of a secret that is looked for in what a service says; shorter ones would hit ordinary words.
const SECRET_MIN: usize = 6;
/// The shortest that is taken out of answers too, which are data: a header may be secret and hold an ordinary word.
const KEY_MIN: usize = 16;

/// A request.
#[derive(Clone)]
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
    path_is_secret: bool,
    /// Secrets of the body.
    hidden: Vec<Secret>,
    /// What takes its secrets out of texts, once it was needed; the same for all copies that have the same secrets.
    redactors: Arc<Redactors>,
    pub(super) timeout: Option<Duration>,
}

/// What takes secrets out of texts for people, and out of answers, which are data.
#[derive(Default)]
struct Redactors {
    texts: OnceLock<Redactor>,
    answers: OnceLock<Redactor>,
}

impl Request {
    /// A request without a body.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Vec::new(),
            path_is_secret: false,
            hidden: Vec::new(),
            redactors: Arc::default(),
            timeout: None,
        }
    }

    /// A POST to this address.
    ///
    /// # Errors
    /// When it is no address.
    pub fn post(url: &str) -> Result<Self> {
        Self::to(Method::POST, url)
    }

    /// A GET of this address.
    ///
    /// # Errors
    /// When it is no address.
    pub fn get(url: &str) -> Result<Self> {
        Self::to(Method::GET, url)
    }

    fn to(method: Method, url: &str) -> Result<Self> {
        Ok(Self::new(method, url.parse().context(|| format!("`{url}` is no address"))?))
    }

    /// Adds to the query of the address.
    #[must_use]
    pub fn query(mut self, pairs: &[(&str, &str)]) -> Self {
        self.url.query_pairs_mut().extend_pairs(pairs);
        self.with_other_secrets()
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Sets a JSON value as the body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body(body.to_string().into_bytes())
    }

    /// Sets a header.
    ///
    /// # Errors
    /// When the name or the value cannot be one (RFC 9110 §5).
    pub fn header(mut self, name: &str, value: &str) -> Result<Self> {
        let (name, value) = header(name, value)?;
        self.headers.insert(name, value);
        Ok(self.with_other_secrets())
    }

    /// Sets a header whose value is secret: it is in no error and no log.
    ///
    /// # Errors
    /// When the name or the value cannot be one (RFC 9110 §5).
    pub fn secret_header(self, name: &str, value: &Secret) -> Result<Self> {
        self.hidden_header(name, value.expose())
    }

    pub(super) fn hidden_header(mut self, name: &str, value: &str) -> Result<Self> {
        let (name, mut value) = header(name, value)?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self.with_other_secrets())
    }

    /// How long it may take, in place of the client's limit.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Keeps the path out of errors too, for addresses that are secrets themselves (webhooks).
    #[must_use]
    pub fn secret_path(mut self) -> Self {
        self.path_is_secret = true;
        self.with_other_secrets()
    }

    /// Keeps a secret that the body carries out of what a service says.
    #[must_use]
    pub fn hide(mut self, secret: &Secret) -> Self {
        self.hidden.push(secret.clone());
        self.with_other_secrets()
    }

    fn with_other_secrets(self) -> Self {
        Self { redactors: Arc::default(), ..self }
    }

    /// Method and address as errors may show them.
    pub(super) fn what(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map(|p| format!(":{p}")).unwrap_or_default();
        let path = if self.path_is_secret { "/…" } else { self.url.path() };
        format!("{} {}://{host}{port}{path}", self.method, self.url.scheme())
    }

    /// The text with every secret of this request taken out. It is called before a text is cut: half a key is a secret too.
    pub(in crate::adapters) fn redacted(&self, text: &str) -> String {
        self.texts().text(text)
    }

    /// The same for every text of an answer that is no success, names of fields included.
    pub(in crate::adapters) fn redacted_json(&self, answer: Value) -> Value {
        json_without(answer, self.texts())
    }

    /// An answer that counts, in which only what must be a key is taken out: ordinary words stay, whatever headers hold.
    pub(in crate::adapters) fn without_keys(&self, answer: Value) -> Value {
        let keys = || Redactor::of(&self.secrets(KEY_MIN).into_iter().map(Hidden::unless_words).collect::<Vec<_>>());
        json_without(answer, self.redactors.answers.get_or_init(keys))
    }

    fn texts(&self) -> &Redactor {
        self.redactors.texts.get_or_init(|| Redactor::of(&self.secrets(SECRET_MIN)))
    }

    /// The secrets of this request that have so many bytes.
    fn secrets(&self, min: usize) -> Vec<Hidden> {
        let mut secrets: Vec<Hidden> = Vec::new();
        for value in self.headers.values().filter(|v| v.is_sensitive()) {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            // A service repeats the token of `Bearer TOKEN` rather than the whole value, and the password of `Basic TOKEN`.
            secrets.extend(value.split_ascii_whitespace().map(Hidden::key));
            secrets.extend(password(&value).map(Hidden::key));
            secrets.push(Hidden::whole(value));
        }
        secrets.extend(self.url.password().map(Hidden::key));
        secrets.extend(self.hidden.iter().map(|secret| Hidden::key(secret.expose())));
        if self.path_is_secret {
            // A service may repeat the token of an address rather than all of it.
            secrets.extend(self.url.path_segments().into_iter().flatten().map(Hidden::key));
            secrets.extend(self.url.query_pairs().map(|(_, value)| Hidden::key(value)));
            secrets.extend(self.url.query().map(Hidden::whole));
            secrets.push(Hidden::whole(self.url.path()));
        }
        secrets.retain(|s| s.len() >= min);
        secrets
    }

    pub(super) fn build(&self, client: &Client) -> RequestBuilder {
        client.request(self.method.clone(), self.url.clone()).headers(self.headers.clone()).body(self.body.clone())
    }
}

/// The password in the value of a header `Basic TOKEN` (RFC 7617).
fn password(value: &str) -> Option<String> {
    let (scheme, token) = value.split_once(' ')?;
    let token = STANDARD.decode(token.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    String::from_utf8(token).ok()?.split_once(':').map(|(_, password)| password.to_owned())
}

fn json_without(value: Value, secrets: &Redactor) -> Value {
    match value {
        Value::String(text) => Value::String(secrets.text(&text)),
        Value::Array(all) => all.into_iter().map(|one| json_without(one, secrets)).collect(),
        Value::Object(all) => all.into_iter().map(|(name, one)| (secrets.text(&name), json_without(one, secrets))).collect(),
        other => other,
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).context(|| format!("`{name}` cannot be the name of a header"))?;
    // The value may be a secret, so no cause and no text of it.
    let value = HeaderValue::from_str(value)
        .map_err(|_| Error::new(format!("the value of the header `{name}` has control characters")))?;
    Ok((parsed, value))
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// How long the attempt took that brought it, without attempts and waits before.
    pub elapsed: Duration,
}

impl Response {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).context(|| "the answer is not JSON")
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// How long the service asks to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let text = |name: &str| self.headers.get(name).and_then(|v| v.to_str().ok());
        wait::retry_after(text("retry-after")?, text("date"))
    }
}
