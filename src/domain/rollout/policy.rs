//! What a canary may do, and how sure one must be: checks, and the numbers of the judge.
//!
//! Invariant: what [`Policy::faults`] finds nothing wrong with can be judged; every limit has a value that breaks it.
//!
//! Where the numbers come from: the limits of the specifications ([`limits`]); a chance of 5 % for a good version to be rolled
//! back, shared by the checks (Bonferroni); the rest are conventions, each beside its constant.

use serde::{Deserialize, Serialize};

/// The chance of ever rolling back a version that keeps to every limit.
pub const ALPHA: f64 = 0.05;
/// Requests that a version must have answered before it goes on: 59 without an error are the first that exclude 5 %.
pub const MIN_REQUESTS: u64 = 200;
/// Judged answers that a version must have before it goes on.
pub const MIN_JUDGED: u64 = 30;
/// Windows in which a rate must be over its limit: one bad minute is an incident, three are a version.
pub const MIN_WINDOWS: u64 = 3;
/// The rate below which a ratio is no harm: 0.05 % against 0 % is infinitely worse and still good.
pub const FLOOR: f64 = 0.005;
/// How many times cheaper and dearer than the baseline a single answer may count as.
pub const COST_SPAN: f64 = 10.0;

/// How it is decided that a limit is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// By evidence: the chance of a false roll-back is at most `alpha` over the whole rollout.
    #[default]
    Evidence,
    /// By the numbers of single windows against the literal limits. Its false alarms are shown beside it.
    Threshold,
}

/// All that the judge goes by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// How it is decided.
    pub mode: Mode,
    /// The chance of ever rolling back a good version, for all checks together.
    pub alpha: f64,
    /// What is checked.
    pub checks: Vec<Check>,
    /// Windows in which a rate must have been over its limit before it rolls back.
    pub min_windows: u64,
    /// Windows without any request of the canary after which it is no data.
    pub blind_windows: u64,
    /// By how much of itself the observed share may be off before traffic counts as wrongly split; `None` where nobody splits it:
    /// of copies only those are made of requests that may be made twice.
    pub share_tolerance: Option<f64>,
    /// In threshold mode: the draws that a window must have to count.
    pub window_min: u64,
    /// In threshold mode: windows in a row over the limit that roll back.
    pub consecutive: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Evidence,
            alpha: ALPHA,
            checks: limits(),
            min_windows: MIN_WINDOWS,
            blind_windows: 2,
            share_tolerance: Some(0.1),
            window_min: 20,
            consecutive: 3,
        }
    }
}

/// One condition on one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name in every report.
    pub name: String,
    /// The metric whose figures it reads.
    pub metric: String,
    /// What must hold.
    pub rule: Rule,
    /// Draws that each arm it looks at must have before the version goes on.
    pub min: u64,
}

/// What must hold of the canary.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "rule")]
pub enum Rule {
    /// Counts: the rate of hits is at most this. "p95 ≤ 1000 ms" is this with a limit of 0.05 on answers over 1000 ms,
    /// "success ≥ 95 %" with 0.05 on failures, "latency ≤ 1.5×" with 0.05 on answers over 1.5 times the baseline's p95.
    Rate {
        /// The highest rate, 0 to 1.
        limit: f64,
    },
    /// Counts: the rate of hits is at most this many times the stable version's.
    Ratio {
        /// The highest ratio.
        factor: f64,
        /// The rate up to which no ratio is a harm.
        floor: f64,
    },
    /// Values: the mean score is at least this.
    Mean {
        /// The lowest mean, in the unit of the score.
        least: f64,
        /// The lowest and the highest score there is.
        range: (f64, f64),
    },
    /// Values: the mean score is at most this much below the stable version's.
    Drop {
        /// The largest drop, in the unit of the score.
        most: f64,
        /// The lowest and the highest score there is.
        range: (f64, f64),
    },
    /// Pairs: the mean of stable − canary on the same questions is at most this.
    Paired {
        /// The largest mean difference, in the unit of the score.
        most: f64,
        /// The largest difference that two scores can have.
        span: f64,
    },
    /// Values (logarithms): the typical cost (geometric mean) is at most this many times the stable version's.
    Cost {
        /// The highest ratio.
        factor: f64,
        /// The lowest and the highest cost that counts, in the unit of the cost; those of [`super::window::logs`].
        range: (f64, f64),
    },
}

impl Rule {
    /// Why it cannot be judged; `None` when it can.
    pub fn fault(&self) -> Option<&'static str> {
        let rises = |(low, high): (f64, f64)| low.is_finite() && high.is_finite() && low < high;
        let (good, why) = match *self {
            Self::Rate { limit } => (limit > 0.0 && limit < 1.0, "a rate's limit lies between 0 and 1, both excluded"),
            Self::Ratio { factor, floor } => (
                factor >= 1.0 && factor.is_finite() && (0.0..1.0).contains(&floor),
                "a ratio is 1 or more, and its floor at least 0 and below 1",
            ),
            Self::Mean { least, range } => {
                (rises(range) && range.0 < least && least < range.1, "the least mean lies inside its range")
            }
            Self::Drop { most, range } => {
                (rises(range) && most >= 0.0 && most < range.1 - range.0, "a drop lies inside its range")
            }
            Self::Paired { most, span } => {
                (span.is_finite() && most >= 0.0 && most < span, "a drop is at least 0 and below the span")
            }
            Self::Cost { factor, range } => (
                rises(range) && range.0 > 0.0 && factor >= 1.0 && factor < range.1 / range.0,
                "a cost ratio is 1 or more and fits into its range, which starts above 0",
            ),
        };
        (!good).then_some(why)
    }
}

impl Policy {
    /// Everything that is wrong with it: the check's name, or the key of the policy, and why.
    pub fn faults(&self) -> Vec<(String, &'static str)> {
        let mut found: Vec<_> = self.checks.iter().filter_map(|c| Some((c.name.clone(), c.rule.fault()?))).collect();
        let twice = |i: usize, c: &&Check| self.checks[..i].iter().any(|other| other.name == c.name);
        let names = self.checks.iter().enumerate().filter(|(i, c)| twice(*i, c));
        found.extend(names.map(|(_, c)| (c.name.clone(), "two checks have this name")));
        let inside = |v: f64| v > 0.0 && v < 1.0;
        for (key, good, why) in [
            ("checks", !self.checks.is_empty(), "there is nothing to judge by"),
            ("alpha", inside(self.alpha), "it is a chance between 0 and 1, both excluded"),
            ("share-tolerance", self.share_tolerance.is_none_or(inside), "it lies between 0 and 1, both excluded"),
            ("blind-windows", self.blind_windows > 0, "at least one window must be empty to be no data"),
            ("consecutive", self.consecutive > 0, "at least one window must be over the limit"),
        ] {
            if !good {
                found.push((key.to_owned(), why));
            }
        }
        found
    }

    /// ln E at which a check is broken: each may be wrong with a chance of `alpha` divided by their number.
    pub fn threshold(&self) -> f64 {
        (self.checks.len().max(1) as f64 / self.alpha).ln()
    }
}

/// The limits of the specifications: errors over 5 % or over 2× stable, p95 over 1000 ms, over 1.5 times the baseline's p95,
/// a median 20 % slower than the baseline's, faithfulness below 0.90, accuracy more than 5 points down. (Success below 95 % is
/// the first one.) The source of `slow` counts answers over 1000 ms, of `slower` those over 1.5 times the frozen p95 of the
/// stable version, of `degraded` those over 1.2 times its frozen median; where
/// nothing is frozen, [`beside`].
pub fn limits() -> Vec<Check> {
    let unit = (0.0, 1.0);
    [
        ("error-rate", "errors", Rule::Rate { limit: 0.05 }, MIN_REQUESTS),
        ("error-ratio", "errors", Rule::Ratio { factor: 2.0, floor: FLOOR }, MIN_REQUESTS),
        ("latency-p95", "slow", Rule::Rate { limit: 0.05 }, MIN_REQUESTS),
        ("latency-ratio", "slower", Rule::Rate { limit: 0.05 }, MIN_REQUESTS),
        ("latency-degradation", "degraded", Rule::Rate { limit: 0.5 }, MIN_REQUESTS),
        ("faithfulness", "faithfulness", Rule::Mean { least: 0.9, range: unit }, MIN_JUDGED),
        ("accuracy", "accuracy", Rule::Drop { most: 0.05, range: unit }, 100),
    ]
    .map(|(name, metric, rule, min)| Check { name: name.to_owned(), metric: metric.to_owned(), rule, min })
    .into()
}

/// The same check where its limit follows from the stable version in the same windows: hits are the answers that pass its mark,
/// and so many times that mark; up to the check's own limit they are no harm.
pub fn beside(check: Check) -> Check {
    let rule = match check.rule {
        Rule::Rate { limit } => Rule::Ratio { factor: 1.0, floor: limit },
        rule => rule,
    };
    Check { rule, ..check }
}

/// The gate on cost: a typical answer at most 1.25 times as dear, around a baseline's cost (in its unit, above 0).
pub fn cost(metric: &str, baseline: f64) -> Check {
    let range = (baseline / COST_SPAN, baseline * COST_SPAN);
    Check { name: "cost".to_owned(), metric: metric.to_owned(), rule: Rule::Cost { factor: 1.25, range }, min: MIN_REQUESTS }
}
