//! Episodes: one alarm for as long as a metric is unusual, in the place of one an hour.
//!
//! An episode opens with the first sample that is unusual, is raised when it gets worse, and closes when samples in a row are
//! well within what is usual ([`CALM`]): a value that sways about the limit is one episode and not many. A metric of which nothing can
//! be said stays as it was, since unknown is not usual.

use super::table::Episode;
use super::watch::Finding;
use crate::base::name::words;
use crate::base::time::Timestamp;
use crate::config::LimitKind;
use crate::domain::drift::anomaly::Severity;

words! {
    /// What a metric was held against.
    Kind, "kind of episode" {
        /// What was usual before.
        Anomaly = "anomaly",
        /// Response times of the week before.
        ResponseTime = "response-time",
        /// The least share of successes.
        SuccessRate = "success-rate",
        /// The most use of a resource.
        Resource = "resource",
    }
}

/// Up to this part of the distance that opens an episode a sample is well within what is usual.
pub const CALM: f64 = 2.0 / 3.0;
/// Samples in a row that must be so for an episode to close.
pub const CALM_SAMPLES: usize = 2;

impl Kind {
    /// What to do about it, by the specification: review, investigate, scale.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Anomaly => "find out what changed then",
            Self::ResponseTime => "review what was released or grew since",
            Self::SuccessRate => "investigate what fails",
            Self::Resource => "add to what there is, or use less",
        }
    }
}

impl From<LimitKind> for Kind {
    fn from(limit: LimitKind) -> Self {
        match limit {
            LimitKind::ResponseTime => Self::ResponseTime,
            LimitKind::SuccessRate => Self::SuccessRate,
            LimitKind::Resource => Self::Resource,
        }
    }
}

/// What becomes of an episode.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// One begins.
    Open {
        /// How far the value went.
        severity: Severity,
        /// The time of its sample.
        since: Timestamp,
        /// The value.
        peak: f64,
    },
    /// It gets worse.
    Raise {
        /// The episode as it was.
        episode: Episode,
        /// How far it goes now.
        severity: Severity,
        /// The value farthest from what is usual.
        peak: f64,
    },
    /// It is over.
    Close {
        /// The episode as it was.
        episode: Episode,
        /// The time of the sample from which on values were usual.
        ended: Timestamp,
        /// The value farthest from what is usual.
        peak: f64,
    },
}

/// What follows from a finding, when this is the episode that is open for it.
pub fn plan(finding: &Finding, open: Option<&Episode>) -> Option<Step> {
    let unusual = finding.severity >= Severity::Medium;
    match (open, finding.at.zip(finding.value)) {
        (None, Some((at, value))) if unusual => Some(Step::Open { severity: finding.severity, since: at, peak: value }),
        (Some(episode), Some((_, value))) if finding.severity > episode.severity && unusual => {
            let peak = finding.peak.unwrap_or(value);
            Some(Step::Raise { episode: episode.clone(), severity: finding.severity, peak })
        }
        (Some(episode), _) => {
            let ended = finding.calm_since?;
            Some(Step::Close { episode: episode.clone(), ended, peak: finding.peak.unwrap_or(episode.peak) })
        }
        _ => None,
    }
}
