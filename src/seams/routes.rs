//! What the gateway routes by, what it counted, and what it is asked: the values that its data path, its control path and whoever
//! steers it share.
//!
//! Invariants: a table is never changed, only replaced as a whole; a request is answered by the table that it began with. Counters
//! only rise while a gateway lives; [`Counters::boot`] tells one life from the next.

use crate::base::digest::Digest;
use crate::base::name::{Name, words};
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::base::weight::Weight;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which version gets which requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Table {
    /// Rises with each table; a write that names an older one is refused.
    pub generation: u64,
    /// The model.
    pub model: Name,
    /// What serves; `None` before the first version is there, when requests get 503.
    pub stable: Option<Upstream>,
    /// What is on trial.
    pub canary: Option<Upstream>,
    /// The canary's part.
    pub weight: Weight,
    /// The part of the requests of which the canary gets a copy.
    pub shadow: Weight,
    /// What the buckets of sticky sessions are salted with: new for each pair of versions, so that not always the same users try first.
    pub salt: String,
}

/// Where a version answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Upstream {
    /// The version.
    pub version: Version,
    /// Its addresses, `http://HOST:PORT` or `https://HOST:PORT`; not empty.
    pub endpoints: Vec<String>,
}

/// What the gateway counted since it began, by version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counters {
    /// The same for one life of a gateway.
    pub boot: String,
    /// The generation of the table that requests are answered by.
    pub generation: u64,
    /// By version.
    pub arms: BTreeMap<Version, Counted>,
    /// Copies for a shadow that were dropped because it was slow or they were too long.
    pub shadow_dropped: u64,
    /// Why the canary gets nothing although the table gives it something; gone with the next table.
    pub fuse: Option<Blown>,
    /// The endpoints of the table, with whether they get requests.
    pub endpoints: Vec<EndpointState>,
}

/// The canary failed so often that it was taken out at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Blown {
    /// When.
    pub at: Timestamp,
    /// Why, with the numbers.
    pub why: String,
}

/// Whether an endpoint gets requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EndpointState {
    /// Its version.
    pub version: Version,
    /// Its address, as the table has it.
    pub endpoint: String,
    /// Whether it gets requests; `None` while nobody knows, when only the version that serves uses it.
    pub healthy: Option<bool>,
    /// What it said or did last that was wrong.
    pub trouble: Option<String>,
}

/// What was counted of one version; copies for a shadow are counted under it too, while it has no requests of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counted {
    /// Requests that were answered or given up, failed ones and time-outs too; not those whose client went away first.
    pub requests: u64,
    /// Answers of 5xx, connections refused or broken, time-outs, streams that were cut short.
    pub errors: u64,
    /// Of those, streams that broke after a good status.
    pub cut: u64,
    /// Requests whose client went away before the answer was whole.
    pub aborted: u64,
    /// Attempts that were made again, because the first was never sent or may be made twice.
    pub retries: u64,
    /// Requests that were this version's and that the stable one answered, because no endpoint of this one took them.
    pub diverted: u64,
    /// Copies that it got as a shadow.
    pub shadowed: u64,
    /// Requests that are being answered now.
    pub active: u64,
    /// How long answers took until their last byte, in buckets of which those with none are left out.
    pub latency: Vec<Took>,
    /// How long answers took until their first byte, likewise.
    pub first_byte: Vec<Took>,
}

/// A bucket of durations: those of it are above the first number of seconds and at most the second, which the last bucket has not;
/// and how many there are.
pub type Took = (f64, Option<f64>, u64);

/// What a gateway is asked to route by; it knows itself where each version answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Routes {
    /// What is to serve.
    pub stable: Option<Version>,
    /// What is on trial.
    #[serde(default)]
    pub canary: Option<Version>,
    /// The canary's part, in hundredths of a percent.
    #[serde(default)]
    pub weight: Weight,
    /// The part of the requests of which the canary gets a copy, likewise.
    #[serde(default)]
    pub shadow: Weight,
}

impl Table {
    /// What one would ask for to get this table.
    pub fn routes(&self) -> Routes {
        let version = |upstream: &Option<Upstream>| upstream.as_ref().map(|u| u.version);
        Routes { stable: version(&self.stable), canary: version(&self.canary), weight: self.weight, shadow: self.shadow }
    }
}

/// A table, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Shown {
    /// The table that requests are answered by.
    pub table: Table,
    /// The canary's part as it is, which a blown fuse takes away.
    pub effective: Weight,
    /// Why the canary gets nothing although the table gives it something.
    pub fuse: Option<Blown>,
}

words! {
    /// How a version stands that a gateway has answer.
    Standing, "standing of a version" {
        /// Its program runs, or its address is asked, and it is not ready yet.
        Starting = "starting",
        /// It answers.
        Ready = "ready",
        /// It does not, and why is told; it is tried again.
        Failed = "failed",
        /// It is being stopped.
        Stopping = "stopping",
    }
}

impl Standing {
    /// What a sentence says of it.
    pub fn told(self) -> &'static str {
        match self {
            Self::Starting => "is starting",
            Self::Ready => "is ready",
            Self::Failed => "failed",
            Self::Stopping => "is stopping",
        }
    }
}

/// A version that a gateway has answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Answering {
    /// The version.
    pub version: Version,
    /// The digest of its manifest.
    pub digest: Digest,
    /// How it stands.
    pub standing: Standing,
    /// Where it answers.
    pub endpoint: Option<String>,
    /// Why it is not ready.
    pub why: Option<String>,
    /// How often its program ended by itself.
    pub crashes: u64,
    /// The last lines that its program wrote, when it is not ready.
    pub log: Vec<String>,
}
