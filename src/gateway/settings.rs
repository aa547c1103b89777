//! How a gateway behaves, apart from what it routes by: fixed for its life.
//!
//! Every default is here. Times are never zero, counts have a least value: [`Settings::check`] says which.

use crate::base::error::{Error, Kind, Result};
use std::collections::BTreeMap;
use std::time::Duration;

/// How a gateway behaves.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Headers and cookies that choose a version.
    pub names: Names,
    /// How long anything may take.
    pub waits: Waits,
    /// How much anything may be.
    pub limits: Limits,
    /// When an endpoint gets requests.
    pub health: Health,
    /// When the canary is taken out at once.
    pub fuse: FuseRule,
    /// What is copied for a shadow.
    pub shadow: Shadowing,
    /// By tenant, as the tenant header names it: what it may get.
    pub tenants: BTreeMap<String, Policy>,
    /// Certificate and key when users come by TLS.
    pub tls: Option<Identity>,
    /// Authorities in PEM that upstreams with `https://` may be signed by, beside the system's.
    pub authorities: Option<Vec<u8>>,
}

impl Settings {
    /// Refuses what nothing can work with.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming the first setting that is none.
    pub fn check(&self) -> Result<()> {
        let (waits, limits, health) = (&self.waits, &self.limits, &self.health);
        let times = [
            ("head", waits.head),
            ("keep-alive", waits.keep_alive),
            ("stall", waits.stall),
            ("connect", waits.connect),
            ("first-byte", waits.first_byte),
            ("idle", waits.idle),
            ("total", waits.total),
            ("health-every", health.every),
            ("health-timeout", health.timeout),
            ("shadow-timeout", self.shadow.timeout),
        ];
        let numbers = [
            ("head-bytes", limits.head >= 8192, "at least 8192"),
            ("connections", limits.connections > 0, "at least 1"),
            ("health-of", (1..=32).contains(&health.of), "1 to 32"),
            ("health-bad", (1..=health.of).contains(&health.bad), "1 to `health-of`"),
            ("health-good", health.good > 0, "at least 1"),
            ("health-strikes", health.strikes > 0, "at least 1"),
            ("fuse-share", (0.0..=1.0).contains(&self.fuse.share), "0 to 1"),
        ];
        let path = health.path.as_ref().is_none_or(|path| path.starts_with('/'));
        let zero = times.iter().find(|(_, time)| time.is_zero()).map(|(name, _)| (*name, "more than no time"));
        let wrong = numbers.iter().find(|(_, right, _)| !right).map(|(name, _, what)| (*name, *what));
        match zero.or(wrong).or((!path).then_some(("health-path", "a path from its `/` on"))) {
            Some((name, what)) => Err(Error::of(Kind::Usage, format_args!("`{name}` of a gateway must be {what}"))),
            None => Ok(()),
        }
    }
}

/// What a tenant may get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Never the canary, not even when asked for.
    StableOnly,
    /// The canary while there is one.
    Canary,
    /// As everybody.
    #[default]
    Weight,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Identity {
    /// The chain in PEM, the server's own first.
    pub certificates: Vec<u8>,
    /// The private key in PEM (PKCS #8, PKCS #1 or SEC 1).
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

/// Headers and cookies that choose a version; names in lower case.
#[derive(Clone, Debug)]
pub struct Names {
    /// The header by which a request names its version (`stable`, `canary`, `1.2.0`), and by which an answer says who gave it.
    pub version_header: String,
    /// The cookie that does the same for a browser.
    pub version_cookie: String,
    /// The cookie that keeps a session at its version; `None` when none is to be set.
    pub session_cookie: Option<String>,
    /// How long a browser keeps it.
    pub session_age: Duration,
    /// The header that tells sessions or users apart in place of the cookie.
    pub sticky_header: Option<String>,
    /// The header that names the tenant.
    pub tenant_header: Option<String>,
    /// Whether `X-Forwarded-*` of whoever connects are believed and added to: right only behind a proxy of one's own.
    pub trust_forwarded: bool,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            version_header: "x-kf-version".into(),
            version_cookie: "kf-version".into(),
            session_cookie: Some("kf-session".into()),
            session_age: Duration::from_secs(24 * 3600),
            sticky_header: None,
            tenant_header: None,
            trust_forwarded: false,
        }
    }
}

/// How long anything may take.
#[derive(Clone, Debug)]
pub struct Waits {
    /// Until a request's head is whole, from its first byte on, and until TLS is agreed on.
    pub head: Duration,
    /// How long a connection of a user may be idle.
    pub keep_alive: Duration,
    /// How long a user may neither send a byte of a body nor take one of an answer.
    pub stall: Duration,
    /// Until an upstream has taken a connection.
    pub connect: Duration,
    /// Until the first byte of an answer, from when the request is whole: a model may think long.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// For a whole request.
    pub total: Duration,
    /// How long a connection to an upstream is kept unused: less than the 5 s after which uvicorn and Node close theirs, because
    /// a POST that meets a connection that is just being closed cannot be sent again.
    pub pooled: Duration,
    /// How long requests may go on after the gateway was told to end.
    pub drain: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            head: seconds(10),
            keep_alive: seconds(75),
            stall: seconds(60),
            connect: seconds(2),
            first_byte: seconds(120),
            idle: seconds(120),
            total: seconds(3600),
            pooled: seconds(4),
            drain: seconds(30),
        }
    }
}

/// How much anything may be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the head of a request or an answer; not under 8192, which hyper needs.
    pub head: usize,
    /// Bytes of the body of a request.
    pub body: u64,
    /// Connections of users at once; more wait until one ends.
    pub connections: usize,
    /// Unused connections that are kept to each endpoint.
    pub pooled: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: 32 << 10, body: 64 << 20, connections: 20_000, pooled: 256 }
    }
}

/// When an endpoint gets requests.
#[derive(Clone, Debug)]
pub struct Health {
    /// The path that answers 2xx when it can take requests; `None` when it is not asked.
    pub path: Option<String>,
    /// How often it is asked.
    pub every: Duration,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// So many bad answers …
    pub bad: u32,
    /// … among so many, at most 32, take it out.
    pub of: u32,
    /// So many good ones in a row bring it back.
    pub good: u32,
    /// So many requests in a row that it did not take or answer take it out, whatever it says when asked.
    pub strikes: u32,
    /// For so long, twice as long each time until 32 times.
    pub out: Duration,
}

impl Default for Health {
    fn default() -> Self {
        let (every, timeout, out) = (Duration::from_secs(1), Duration::from_secs(1), Duration::from_secs(2));
        Self { path: Some("/ready".into()), every, timeout, bad: 2, of: 3, good: 1, strikes: 3, out }
    }
}

/// When the canary is taken out at once, without anybody's decision.
#[derive(Clone, Debug)]
pub struct FuseRule {
    /// More than this share of errors, 0 to 1; 1 never is.
    pub share: f64,
    /// Among at least so many requests.
    pub least: u64,
    /// In the last so many seconds.
    pub seconds: u64,
}

impl Default for FuseRule {
    fn default() -> Self {
        Self { share: 0.5, least: 20, seconds: 10 }
    }
}

/// What is copied for a shadow.
#[derive(Clone, Debug)]
pub struct Shadowing {
    /// Beginnings of paths whose requests may be made twice, whatever their method; GET, HEAD and OPTIONS always may.
    pub paths: Vec<String>,
    /// Bytes of a body; a request with more is not copied.
    pub body: usize,
    /// Copies at once; more are dropped.
    pub at_once: usize,
    /// How long a copy may take.
    pub timeout: Duration,
}

impl Default for Shadowing {
    fn default() -> Self {
        Self { paths: Vec::new(), body: 256 << 10, at_once: 64, timeout: Duration::from_secs(30) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_work_and_what_cannot_is_named() {
        Settings::default().check().expect("the defaults");
        let wrong = |change: fn(&mut Settings), name: &str| {
            let mut settings = Settings::default();
            change(&mut settings);
            let error = settings.check().expect_err(name);
            assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        };
        wrong(|s| s.waits.idle = Duration::ZERO, "idle");
        wrong(|s| s.health.every = Duration::ZERO, "health-every");
        wrong(|s| s.limits.connections = 0, "connections");
        wrong(|s| s.limits.head = 100, "head-bytes");
        wrong(|s| s.health.of = 33, "health-of");
        wrong(|s| s.health.bad = 4, "health-bad");
        wrong(|s| s.health.strikes = 0, "health-strikes");
        wrong(|s| s.fuse.share = f64::NAN, "fuse-share");
        wrong(|s| s.health.path = Some("ready".into()), "health-path");
    }
}
