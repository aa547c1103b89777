//! What a server is to do with the traffic of a model.

use crate::base::error::{Context, Result};
use crate::base::version::Version;
use crate::base::weight::Weight;
use crate::seams::traffic::Arm;
use serde::{Deserialize, Serialize};

/// The header by which kf asks what answers, with the name of the target as its value.
pub(super) const PROBE: &str = "x-kf-probe";
/// The header by which that is answered, with a [`Split`] as JSON.
pub(super) const GENERATION: &str = "x-kf-generation";
/// The header by which a request names its version (`stable`, `canary`, `1.2.0`), and an answer who gave it.
pub(super) const VERSION_HEADER: &str = "x-kf-version";
/// The cookie by which a request does so.
pub(super) const VERSION_COOKIE: &str = "kf-version";

/// Who gets what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Rises with every file that kf writes.
    pub generation: u64,
    /// What serves; `None` before the first version.
    pub stable: Option<Version>,
    /// What is on trial.
    pub canary: Option<Version>,
    /// The canary's part, in hundredths of a percent.
    pub weight: Weight,
    /// The part of the requests of which the canary gets a copy, likewise.
    pub shadow: Weight,
    /// What served before the stable version, for who has to go back to it and cannot ask the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Arm>,
}

/// What a file says.
#[derive(Clone, Debug)]
pub struct Written {
    /// The split.
    pub(super) split: Split,
    /// True when it is not as kf wrote it.
    pub(super) edited: bool,
    /// The digest of the file.
    pub(super) guard: String,
    /// All of it.
    pub(super) text: String,
}

impl Split {
    /// All of the traffic to one version.
    pub(super) fn of(stable: Option<Version>) -> Self {
        Self { generation: 0, stable, canary: None, weight: Weight::NONE, shadow: Weight::NONE, replaced: None }
    }

    /// The generation after both of these.
    pub(super) fn after(written: Option<&Self>, running: Option<&Self>) -> u64 {
        [written, running].into_iter().flatten().map(|split| split.generation).max().unwrap_or(0).saturating_add(1)
    }

    /// The part of the traffic that a version gets.
    pub(super) fn part_of(&self, version: Version) -> Weight {
        let rest = Weight::FULL.hundredths() - self.weight.hundredths();
        match (self.canary == Some(version), self.stable == Some(version)) {
            (true, _) => self.weight,
            (false, true) => Weight::from_hundredths(rest).unwrap_or(Weight::NONE),
            (false, false) => Weight::NONE,
        }
    }

    /// What gets none of the weight of a canary: the canary itself before the first version is there.
    pub(super) fn rest(&self) -> Option<Version> {
        self.stable.or_else(|| self.canary.filter(|_| self.weight > Weight::NONE))
    }

    /// What a request may name: a shadow, whose answers nobody is to get, only by having copies made.
    pub(super) fn named(&self) -> Option<Version> {
        self.canary.filter(|_| self.shadow == Weight::NONE || self.weight > Weight::NONE)
    }

    /// By what the buckets of sessions are salted: new for each pair of versions, so that not always the same users try first.
    pub(super) fn salt(&self) -> String {
        let word = |version: Option<Version>| version.map_or_else(|| "none".to_owned(), |v| v.to_string());
        format!("{}-{}", word(self.stable), word(self.canary))
    }

    /// The versions in it, the stable one first.
    pub(super) fn versions(&self) -> Vec<Version> {
        self.stable.into_iter().chain(self.canary).collect()
    }

    /// As one line of JSON.
    pub(super) fn line(&self) -> String {
        serde_json::to_string(self).expect("numbers and text are JSON")
    }

    /// From that line.
    ///
    /// # Errors
    /// When it is another one.
    pub(super) fn from_line(line: &str) -> Result<Self> {
        serde_json::from_str(line).context(|| "what it says of itself is not kf's")
    }
}
