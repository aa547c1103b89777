//! `[target.<name>.proxy]`: how the embedded gateway answers requests, apart from where it sends them.

use super::RawTarget;
use super::servers::token;
use crate::base::name::Name;
use crate::config::check::Checker;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Item, table};
use std::num::NonZeroU32;
use std::time::Duration;

const fn at_least_one(n: u32) -> NonZeroU32 {
    match NonZeroU32::new(n) {
        Some(n) => n,
        None => NonZeroU32::MIN,
    }
}

table! {
    /// As written.
    RawProxy {
        /// Whether a cookie is set that keeps a session at its version.
        sessions: At<bool> = "sessions", or true;
        /// How long a browser keeps that cookie.
        session_age: At<Duration> = "session-age", or Duration::from_secs(24 * 3600);
        /// The header that names the tenant of a request.
        tenant_header: Option<At<String>> = "tenant-header";
        /// Tenants that never get a canary.
        stable_tenants: Option<At<Vec<Item<Name>>>> = "stable-tenants";
        /// Tenants that get the canary while there is one.
        canary_tenants: Option<At<Vec<Item<Name>>>> = "canary-tenants";
        /// Whether `X-Forwarded-*` of whoever connects are believed: right only behind a proxy of your own.
        trust_forwarded: At<bool> = "trust-forwarded", or false;
        /// How long a version may take until the first byte of its answer.
        first_byte: At<Duration> = "first-byte", or Duration::from_secs(120);
        /// How long it may take between two pieces of an answer.
        idle: At<Duration> = "idle", or Duration::from_secs(120);
        /// How long a whole request may take.
        total: At<Duration> = "total", or Duration::from_secs(3600);
        /// How long requests may go on when the gateway or their version ends.
        drain: At<Duration> = "drain", or Duration::from_secs(30);
        /// The largest body of a request, in MiB.
        max_body_mib: At<NonZeroU32> = "max-body-mib", or at_least_one(64);
        /// The canary is taken out at once when more than this share of its requests fails; 1 switches that off.
        fuse: At<f64> = "fuse", or 0.5;
        /// The fewest requests of the canary among which that is so.
        fuse_min: At<NonZeroU32> = "fuse-min", or at_least_one(20);
        /// The time within which they were, in whole seconds.
        fuse_window: At<Duration> = "fuse-window", or Duration::from_secs(10);
        /// Beginnings of paths whose requests may be made twice, so that a shadow gets copies of a POST too.
        shadow_paths: Option<At<Vec<Item<String>>>> = "shadow-paths";
        /// The certificate by which users come with TLS: a file in PEM, the server's own first.
        tls_certificate: Option<At<String>> = "tls-certificate";
        /// Its private key in PEM, as `env:NAME` or `file:PATH`.
        tls_key: Option<At<SecretRef>> = "tls-key";
        /// A file of authorities in PEM that versions with `https://` may be signed by, beside the system's.
        upstream_ca: Option<At<String>> = "upstream-ca";
    }
}

/// How the embedded gateway answers requests. Durations are not zero.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyRules {
    /// The header that tells users or sessions apart, in lower case.
    pub sticky_header: Option<String>,
    /// The cookie that keeps a session at its version where the header is absent; `None` when the gateway's own does.
    pub session_cookie: Option<String>,
    /// Whether a cookie is set at all.
    pub sessions: bool,
    /// How long a browser keeps it.
    pub session_age: Duration,
    /// The header that names the tenant of a request, in lower case.
    pub tenant_header: Option<String>,
    /// Tenants that never get a canary.
    pub stable_tenants: Vec<Name>,
    /// Tenants that get the canary while there is one.
    pub canary_tenants: Vec<Name>,
    /// Whether `X-Forwarded-*` of whoever connects are believed.
    pub trust_forwarded: bool,
    /// How long a version may take until the first byte of its answer.
    pub first_byte: Duration,
    /// How long it may take between two pieces of an answer.
    pub idle: Duration,
    /// How long a whole request may take.
    pub total: Duration,
    /// How long requests may go on when the gateway or their version ends.
    pub drain: Duration,
    /// The largest body of a request, in bytes.
    pub max_body: u64,
    /// The share of failed requests, above 0 to 1, over which the canary is taken out at once; 1 is never.
    pub fuse: f64,
    /// Of at least so many requests.
    pub fuse_min: u32,
    /// Within this time, in whole seconds.
    pub fuse_window: Duration,
    /// Beginnings of paths whose requests may be made twice.
    pub shadow_paths: Vec<String>,
    /// Certificate (a path) and key with which users come by TLS.
    pub tls: Option<(String, SecretRef)>,
    /// A file of authorities for versions with `https://`.
    pub upstream_ca: Option<String>,
}

impl RawTarget {
    /// How its gateway answers requests.
    pub(super) fn proxy(&self, name: &Name, cx: &mut Checker<'_>) -> ProxyRules {
        let sticky_header = token(name, "sticky-header", self.sticky_header.as_ref(), "x-session", cx).flatten();
        let session_cookie = token(name, "session-cookie", self.session_cookie.as_ref(), "session", cx).flatten();
        let proxy = &self.proxy.body;
        let tenant_header = token(name, "proxy.tenant-header", proxy.tenant_header.as_ref(), "x-tenant", cx).flatten();
        let lower = |name: Option<String>| name.map(|name| name.to_ascii_lowercase());
        ProxyRules {
            sticky_header: lower(sticky_header),
            session_cookie,
            tenant_header: lower(tenant_header),
            ..proxy.check(name, cx)
        }
    }
}

impl RawProxy {
    /// What stands in the table itself.
    fn check(&self, name: &Name, cx: &mut Checker<'_>) -> ProxyRules {
        let table = format!("target.{name}.proxy");
        self.check_times(&table, cx);
        if !(self.fuse.value > 0.0 && self.fuse.value <= 1.0) {
            let title = format!("`{table}.fuse` must be above 0 and at most 1");
            cx.refuse(&self.fuse.spot, title, "write a share of requests, such as `0.5`; 1 switches the fuse off");
        }
        for path in list(self.shadow_paths.as_ref()).filter(|path| !path.value.starts_with('/')) {
            let title = format!("`{table}.shadow-paths` must be paths");
            cx.refuse(&path.spot, title, "write them from the `/` on: `/v1/answer`");
        }
        let tls = match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => Some((certificate.value.clone(), key.value.clone())),
            (None, None) => None,
            (Some(one), None) => refuse_half(&one.spot, &table, "tls-key", cx),
            (None, Some(one)) => refuse_half(&one.spot, &table, "tls-certificate", cx),
        };
        let names = |at: &Option<At<Vec<Item<Name>>>>| list(at.as_ref()).map(|item| item.value.clone()).collect::<Vec<Name>>();
        let (stable_tenants, canary_tenants) = (names(&self.stable_tenants), names(&self.canary_tenants));
        for item in list(self.canary_tenants.as_ref()).filter(|item| stable_tenants.contains(&item.value)) {
            let title = format!("`{table}` names the tenant `{}` twice", item.value);
            cx.refuse(&item.spot, title, "it gets the canary or it does not: take one of them out");
        }
        ProxyRules {
            sticky_header: None,
            session_cookie: None,
            sessions: self.sessions.value,
            session_age: self.session_age.value,
            tenant_header: None,
            stable_tenants,
            canary_tenants,
            trust_forwarded: self.trust_forwarded.value,
            first_byte: self.first_byte.value,
            idle: self.idle.value,
            total: self.total.value,
            drain: self.drain.value,
            max_body: u64::from(self.max_body_mib.value.get()) << 20,
            fuse: self.fuse.value,
            fuse_min: self.fuse_min.value.get(),
            fuse_window: self.fuse_window.value,
            shadow_paths: list(self.shadow_paths.as_ref()).map(|item| item.value.clone()).collect(),
            tls,
            upstream_ca: self.upstream_ca.as_ref().map(|at| at.value.clone()),
        }
    }

    fn check_times(&self, table: &str, cx: &mut Checker<'_>) {
        for (at, key) in [
            (&self.session_age, "session-age"),
            (&self.first_byte, "first-byte"),
            (&self.idle, "idle"),
            (&self.total, "total"),
            (&self.drain, "drain"),
        ] {
            if at.value.is_zero() {
                cx.refuse(&at.spot, format!("`{table}.{key}` must not be zero"), "write a time: `30s`");
            }
        }
        let window = &self.fuse_window;
        if window.value.is_zero() || window.value.subsec_nanos() > 0 {
            cx.refuse(&window.spot, format!("`{table}.fuse-window` must be whole seconds"), "write it as `10s`");
        }
    }
}

fn refuse_half(spot: &crate::config::diag::Spot, table: &str, other: &str, cx: &mut Checker<'_>) -> Option<(String, SecretRef)> {
    let help = format!("add `{other} = …`: TLS needs a certificate and its key");
    cx.refuse(spot, format!("`{table}` has no `{other}`"), help);
    None
}

fn list<T>(at: Option<&At<Vec<Item<T>>>>) -> impl Iterator<Item = &Item<T>> {
    at.into_iter().flat_map(|at| &at.value)
}
