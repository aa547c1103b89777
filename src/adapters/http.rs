//! One HTTP client for every service that kf talks to: retried with care, bounded in time and size, silent about secrets.
//!
//! Invariants: TLS is rustls with *ring* and the system's certificates (`SSL_CERT_FILE`, `SSL_CERT_DIR`); proxies come from
//! `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; a redirect is followed only within one origin and only when it
//! keeps the method (307, 308), so headers never go to a stranger. Queries, user names and passwords of addresses never
//! come up in an error, and neither does the value of a secret header, even if the service repeats it.
//!
//! Retried are connections that fail or break, and the statuses 429, 500, 502, 503, 504 and 529 (Anthropic's "overloaded").
//! The wait is drawn evenly between zero and a limit that doubles ("full jitter", Brooker 2015), and is at least what
//! `Retry-After` says (RFC 9110 §10.2.3). A request that ran out of time is not repeated: it may have been carried out, and
//! the next one would take as long. When a service has not been reached many times in a row, waiting for it ends.

mod pace;
mod request;
mod stream;
mod wait;

pub use pace::Pace;
pub use request::{Request, Response};

use crate::base::error::{Context, Error, Result};
use crate::base::quantity::Bytes;
use crate::base::random::Random;
use crate::base::text::ellipsis;
use reqwest::redirect;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use wait::Backoff;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Redirects that are followed.
const REDIRECTS_MAX: usize = 5;

/// How patient the client is.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How often a request is sent at most; at least once.
    pub attempts: u32,
    /// The limit of the first wait; it doubles with every further one.
    pub first_wait: Duration,
    /// The limit of all waits; a service that asks for more is given up.
    pub longest_wait: Duration,
    /// How long a request may take, to the last byte of its answer.
    pub timeout: Duration,
    /// The largest answer.
    pub body_max: Bytes,
    /// So long is waited for the body of a success, which is cut where it is too large or does not come; `None` when all of it counts.
    pub body_wait: Option<Duration>,
}

impl Default for Policy {
    /// Five attempts of at most 60 s each, waits that grow from half a second to at most a minute, answers of 16 MiB.
    fn default() -> Self {
        Self {
            attempts: 5,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            timeout: Duration::from_secs(60),
            body_max: Bytes(16 << 20),
            body_wait: None,
        }
    }
}

/// The client of one service: its patience with a service that is away is shared by all requests. It keeps connections open.
#[derive(Debug)]
pub struct Http {
    client: reqwest::Client,
    policy: Policy,
    random: Random,
    /// Attempts in a row that did not reach a service.
    unreached: AtomicU32,
}

/// An answer with a status that is not success; found with [`Error::cause`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status code.
    pub status: u16,
    /// How long the service asks to wait before another attempt.
    pub retry_after: Option<Duration>,
    message: String,
}

impl Refused {
    /// Whether another attempt may be answered otherwise.
    pub fn is_temporary(&self) -> bool {
        wait::is_temporary(self.status)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Refused {}

/// Why an attempt gave no answer.
enum Failure {
    /// Connecting failed, or the connection broke: worth another attempt.
    Unreached(Error),
    /// Another attempt would end the same.
    Final(Error),
}

impl Http {
    /// A client; `random` spreads the waits.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(policy: Policy, random: Random) -> Result<Self> {
        Self::from_builder(builder()?, policy, random)
    }

    /// A client that goes to services itself, whatever proxies the environment names: for those of this machine.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn direct(policy: Policy, random: Random) -> Result<Self> {
        Self::from_builder(builder()?.no_proxy(), policy, random)
    }

    fn from_builder(builder: reqwest::ClientBuilder, policy: Policy, random: Random) -> Result<Self> {
        let client = builder.build().context(|| "cannot set up the HTTP client")?;
        Ok(Self { client, policy, random, unreached: AtomicU32::new(0) })
    }

    /// Sends a request until it succeeds or patience ends.
    ///
    /// # Errors
    /// When the service is not reached, takes too long or answers too much; for a status other than success, with
    /// [`Refused`] as its cause.
    pub async fn send(&self, request: &Request) -> Result<Response> {
        self.send_at(&Pace::default(), request).await
    }

    /// The same at a pace that others share: every attempt waits for its turn, and a wait that the service asks for is everybody's. While it
    /// asks for a longer one than the client has patience for, nothing is sent.
    ///
    /// # Errors
    /// As [`Http::send`], and when everybody is to wait too long.
    pub async fn send_at(&self, pace: &Pace, request: &Request) -> Result<Response> {
        let mut backoff = Backoff::new(&self.policy, &self.random);
        loop {
            let attempt = backoff.attempt();
            let tried = |e: Error| if attempt > 1 { again(e, attempt) } else { e };
            if let Err(held) = pace.turn(self.policy.longest_wait).await {
                let what = format!("{}: not sent: the service asks everybody to wait, {} s more", request.what(), held.as_secs());
                return Err(Error::new(what));
            }
            match self.once(request).await {
                Ok(response) if response.is_success() => {
                    self.unreached.store(0, Ordering::Relaxed);
                    return Ok(response);
                }
                Ok(response) => {
                    self.unreached.store(0, Ordering::Relaxed);
                    let refused = || tried(refused(request, &response));
                    if !wait::is_temporary(response.status) {
                        return Err(refused());
                    }
                    // Whether or not this request is sent again, the others wait too.
                    response.retry_after().into_iter().for_each(|asked| pace.hold(asked));
                    match backoff.after(response.retry_after()) {
                        Some(wait) => tokio::time::sleep(wait).await,
                        None => return Err(refused()),
                    }
                }
                Err(Failure::Final(e)) => return Err(tried(e)),
                Err(Failure::Unreached(e)) => {
                    let in_a_row = self.unreached.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                    let hopeless = in_a_row >= self.policy.attempts.saturating_mul(3);
                    match backoff.after(None).filter(|_| !hopeless) {
                        Some(wait) => tokio::time::sleep(wait).await,
                        None => return Err(tried(e)),
                    }
                }
            }
        }
    }

    /// Sends a request once and gives the answer, whatever its status.
    ///
    /// # Errors
    /// When the service is not reached, takes too long or answers too much.
    pub async fn answer(&self, request: &Request) -> Result<Response> {
        self.once(request).await.map_err(|failure| match failure {
            Failure::Unreached(e) | Failure::Final(e) => e,
        })
    }

    async fn once(&self, request: &Request) -> Result<Response, Failure> {
        let limit = request.timeout.unwrap_or(self.policy.timeout);
        let started = Instant::now();
        let sent = request.build(&self.client).timeout(limit).send().await;
        let mut answer = sent.map_err(|e| failure(request, e, limit))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut body = Vec::new();
        let reading = self.read((request, limit), &mut answer, &mut body);
        match self.policy.body_wait.filter(|_| (200..300).contains(&status)) {
            // What was taken stays taken, whatever comes of the rest of the answer.
            Some(wait) => drop(tokio::time::timeout(wait, reading).await),
            None => reading.await?,
        }
        Ok(Response { status, headers, body, elapsed: started.elapsed() })
    }

    /// Reads the body as far as it comes.
    async fn read(
        &self,
        (request, limit): (&Request, Duration),
        answer: &mut reqwest::Response,
        body: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let too_large = || {
            let message = format!("{}: the answer is larger than {}", request.what(), self.policy.body_max);
            Failure::Final(Error::new(message))
        };
        if answer.content_length().is_some_and(|n| n > self.policy.body_max.0) {
            return Err(too_large());
        }
        while let Some(piece) = answer.chunk().await.map_err(|e| failure(request, e, limit))? {
            if (body.len() + piece.len()) as u64 > self.policy.body_max.0 {
                return Err(too_large());
            }
            body.extend_from_slice(&piece);
        }
        Ok(())
    }
}

/// A client with everything but the time limits, which are the requests' own.
fn builder() -> Result<reqwest::ClientBuilder> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    // Without any certificate plain HTTP still works; HTTPS then fails with a hint on where certificates come from.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context(|| "cannot set up TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let same_origin = redirect::Policy::custom(|attempt| {
        let keeps_method = matches!(attempt.status().as_u16(), 307 | 308);
        let at_home = attempt.previous().last().is_some_and(|from| from.origin() == attempt.url().origin());
        if keeps_method && at_home && attempt.previous().len() <= REDIRECTS_MAX { attempt.follow() } else { attempt.stop() }
    });
    Ok(reqwest::Client::builder()
        .user_agent(concat!("kf/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(same_origin)
        .referer(false)
        .retry(reqwest::retry::never()))
}

/// Words why there was no answer.
fn failure(request: &Request, e: reqwest::Error, limit: Duration) -> Failure {
    let what = request.what();
    let connecting = e.is_connect();
    let timed_out = e.is_timeout();
    let e = e.without_url();
    let cause = request.redacted(&innermost(&e));
    if is_certificate(&e) {
        let error = Error::new(format!("{what}: the certificate of the service is not trusted: {cause}"));
        return Failure::Final(
            error.hint("name the file with your authority's certificate: `export SSL_CERT_FILE=/path/ca.pem`"),
        );
    }
    if timed_out && !connecting {
        return Failure::Final(Error::new(format!("{what}: no answer within {} s", limit.as_secs_f64())));
    }
    if connecting {
        let error = Error::new(format!("{what}: cannot connect: {cause}"));
        return Failure::Unreached(
            error.hint("check the address and that the service runs; a proxy is taken from HTTPS_PROXY, HTTP_PROXY and NO_PROXY"),
        );
    }
    // Nothing is decoded here: what reqwest calls so is a body that ended too early.
    if e.is_request() || e.is_body() || e.is_decode() {
        return Failure::Unreached(Error::new(format!("{what}: the connection broke: {cause}")));
    }
    Failure::Final(Error::new(format!("{what}: {cause}")))
}

fn innermost(e: &reqwest::Error) -> String {
    let mut last: &dyn StdError = e;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// True when TLS failed because of a certificate, which no retry changes.
fn is_certificate(e: &(dyn StdError + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = e.downcast_ref() {
        return true;
    }
    // The source of an I/O error is the source of what it wraps; what it wraps is found only by asking for it.
    let wrapped = e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.map(|w| w as &(dyn StdError + 'static)).or(e.source()).is_some_and(is_certificate)
}

/// Words a status that is not success.
fn refused(request: &Request, response: &Response) -> Error {
    let reason = reqwest::StatusCode::from_u16(response.status).ok().and_then(|s| s.canonical_reason()).unwrap_or_default();
    let mut message = format!("status {} {reason}", response.status).trim_end().to_owned();
    let said = String::from_utf8_lossy(&response.body);
    if !said.trim().is_empty() {
        // Redacted before it is cut, or the start of a secret would stay.
        message.push_str(&format!(": {}", ellipsis(request.redacted(&said).trim(), 300)));
    }
    if let Some(wait) = response.retry_after() {
        message.push_str(&format!(" (it asks to wait {} s)", wait.as_secs()));
    }
    let error = the_error(
        Err(Refused { status: response.status, retry_after: response.retry_after(), message }).context(|| request.what()),
    );
    match response.status {
        300..=399 => error.hint("the service redirects to another place: configure that address"),
        401 | 403 => error.hint("check the key or token that is configured for this service"),
        _ => error,
    }
}

fn again(e: Error, attempts: u32) -> Error {
    the_error(Err(e).context(|| format!("gave up after {attempts} attempts")))
}

fn the_error(failed: Result<Infallible>) -> Error {
    match failed {
        Err(e) => e,
        Ok(never) => match never {},
    }
}

#[cfg(test)]
pub(in crate::adapters) mod tests;
