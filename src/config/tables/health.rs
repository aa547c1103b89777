//! `[health]`: what `kf health` asks besides what it finds in the other tables.

use crate::base::name::Name;
use crate::config::check::{Check as _, CheckNamed, CheckOne, Checker};
use crate::config::diag::{Diagnostic, Spot};
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Item, Tables, table};
use std::time::Duration;

table! {
    /// As written.
    RawHealth {
        /// How long everything may take: all is asked at the same time.
        timeout: At<Duration> = "timeout", or Duration::from_secs(5);
        /// What is asked, by name: one of api, database, vector_db, graph_db, llm_api and cache, or another one.
        checks: Tables<RawHealthCheck> = "checks";
    }
}

table! {
    /// As written.
    RawHealthCheck {
        /// An address: `http://` and `https://` must answer 2xx, `tcp://HOST:PORT` must take a connection.
        url: Option<At<String>> = "url";
        /// A bearer token for it, as `env:NAME` or `file:PATH`.
        token: Option<At<SecretRef>> = "token";
        /// A program and its arguments, which must end with 0.
        command: Option<At<Vec<Item<String>>>> = "command";
    }
}

/// What `kf health` asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// How long everything may take; not zero.
    pub timeout: Duration,
    /// What is asked.
    pub checks: Vec<HealthCheck>,
}

/// Something that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Its name.
    pub name: Name,
    /// What is asked.
    pub asks: Asks,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// An address.
    Url {
        /// `http://`, `https://` or `tcp://`, the last with a port.
        url: String,
        /// A bearer token for it.
        token: Option<SecretRef>,
    },
    /// A program and its arguments; not empty.
    Command(Vec<String>),
}

impl CheckOne for RawHealth {
    type Plain = Health;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Health> {
        if self.timeout.value.is_zero() {
            cx.refuse(&self.timeout.spot, "`health.timeout` must not be zero", "write how long an answer may take: `5s`");
        }
        Some(Health { timeout: self.timeout.value, checks: self.checks.check("health.checks", cx)? })
    }
}

impl CheckNamed for RawHealthCheck {
    type Plain = HealthCheck;
    fn check(&self, name: &Name, key: &Spot, cx: &mut Checker<'_>) -> Option<HealthCheck> {
        let command = self.command.as_ref().map(|at| at.value.iter().map(|item| item.value.clone()).collect::<Vec<_>>());
        let asks = match (&self.url, command) {
            (Some(at), None) => self.address(name, at, cx)?,
            (None, Some(argv)) if argv.first().is_some_and(|program| !program.is_empty()) => {
                if let Some(token) = &self.token {
                    cx.refuse(&token.spot, format!("`health.checks.{name}.token` is for `url`"), "take it out");
                }
                Asks::Command(argv)
            }
            _ => {
                let help = "add `url = \"http://localhost:8000/ready\"`, `url = \"tcp://localhost:6379\"` or `command = [\"./check.sh\"]`";
                let title = format!("`[health.checks.{name}]` needs one of `url` and `command`, not both, and no empty one");
                cx.absent(Diagnostic::new(title).at(key).help(help));
                return None;
            }
        };
        Some(HealthCheck { name: name.clone(), asks })
    }
}

impl RawHealthCheck {
    fn address(&self, name: &Name, at: &At<String>, cx: &mut Checker<'_>) -> Option<Asks> {
        let key = format!("health.checks.{name}.url");
        let url = cx.url(&key, at, &["https", "http", "tcp"], "take it out and name it by `token = \"env:NAME\"`")?;
        let tcp = url.starts_with("tcp://");
        if tcp && url::Url::parse(&url).ok()?.port().is_none() {
            cx.refuse(&at.spot, format!("`{key}` has no port"), "write it as `tcp://localhost:6379`");
        }
        if let Some(token) = self.token.as_ref().filter(|_| tcp) {
            cx.refuse(&token.spot, format!("`health.checks.{name}.token` is for `http` and `https`"), "take it out");
        }
        Some(Asks::Url { url, token: self.token.as_ref().map(|at| at.value.clone()) })
    }
}
