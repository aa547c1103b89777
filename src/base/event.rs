//! What the audit log records: who did what to what, when, why, and how it ended.
//!
//! An [`Event`] is what a command says; `store::Tx` completes it (index, time, actor, host) and hashes the result in the
//! same transaction as the change. Free text that may hold personal data (`reason`) is never hashed itself: only a salted
//! commitment to it is.

use super::digest::Digest;
use super::name::words;
use super::version::Version;
use serde::Serialize;
use serde_json::{Map, Value};

words! {
    /// How the recorded action ended. Refusals and failures are events too.
    Outcome, "outcome" {
        /// It took effect.
        Ok = "ok",
        /// A gate or a policy refused it.
        Denied = "denied",
        /// It was tried and failed.
        Failed = "failed",
    }
}

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// `model`, `version`, `evaluation`, `state`, `config`, …
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its version, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Its digest, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl Resource {
    /// A resource without version.
    pub fn new(kind: &str, name: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), name: name.into(), version: None, digest: None }
    }

    /// A version of a model.
    pub fn version(name: impl Into<String>, version: Version, digest: Digest) -> Self {
        Self { kind: "version".to_owned(), name: name.into(), version: Some(version), digest: Some(digest) }
    }
}

/// One thing to be recorded.
#[derive(Clone, Debug)]
pub struct Event {
    /// `noun.verb-in-past`, such as `version.promoted`.
    pub action: &'static str,
    /// What it was done to.
    pub resource: Resource,
    /// How it ended.
    pub outcome: Outcome,
    /// The ticket that asked for it.
    pub ticket: Option<String>,
    /// Why, in the actor's words; only a commitment to it is hashed.
    pub reason: Option<String>,
    /// Facts about it: canonical JSON without floating-point numbers, digests and names rather than contents.
    pub detail: Map<String, Value>,
}

impl Event {
    /// An event that took effect.
    pub fn new(action: &'static str, resource: Resource) -> Self {
        Self { action, resource, outcome: Outcome::Ok, ticket: None, reason: None, detail: Map::new() }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(key.to_owned(), value.into());
        self
    }

    /// Changes how it ended.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Adds ticket and reason.
    #[must_use]
    pub fn because(mut self, ticket: Option<&str>, reason: Option<&str>) -> Self {
        self.ticket = ticket.map(str::to_owned);
        self.reason = reason.map(str::to_owned);
        self
    }
}
