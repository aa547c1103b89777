//! Single answers to what was counted of a version.

use super::Ranges;
use crate::domain::rollout::window::logs;
use crate::seams::metrics::{Buckets, Counted};
use crate::stats::describe::Moments;
use std::collections::BTreeMap;

/// Costs that count before a typical one is known, in their unit: from where logarithms still say something.
const COSTS: (f64, f64) = (1e-6, 1e9);

/// The moments of scores; in words why they cannot be.
pub(super) fn scores(metric: &str, scores: &[f64]) -> Result<Moments, String> {
    Moments::of(scores).ok_or_else(|| format!("the scores of `{metric}` are not all finite numbers"))
}

/// The moments of the logarithms of costs; in words why they cannot be.
pub(super) fn costs(metric: &str, costs: &[f64], ranges: &Ranges) -> Result<Moments, String> {
    let range = ranges.get(metric).copied().unwrap_or(COSTS);
    let sound = costs.iter().all(|cost| *cost >= 0.0);
    logs(costs, range).filter(|_| sound).ok_or_else(|| format!("the costs of `{metric}` are not all numbers from 0 on"))
}

/// Durations in buckets; in words why they cannot be.
pub(super) fn durations(seconds: &[f64]) -> Result<Buckets, String> {
    Buckets::of(seconds.iter().copied()).ok_or_else(|| "the durations are not all numbers of seconds from 0 on".to_owned())
}

/// Answers of one version, one by one.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Requests.
    pub(super) requests: u64,
    /// Of those, failed ones.
    pub(super) errors: u64,
    /// How long they took, in seconds.
    pub(super) seconds: Vec<f64>,
    /// Scores, by metric.
    pub(super) scores: BTreeMap<String, Vec<f64>>,
    /// Costs, by metric.
    pub(super) costs: BTreeMap<String, Vec<f64>>,
}

impl Tally {
    /// All of them; in words why they cannot be counted.
    pub(super) fn counted(&self, ranges: &Ranges) -> Result<Counted, String> {
        Ok(Counted {
            requests: Some(self.requests),
            errors: Some(self.errors),
            latency: if self.seconds.is_empty() { None } else { Some(durations(&self.seconds)?) },
            counts: BTreeMap::new(),
            values: each(&self.scores, scores)?,
            costs: each(&self.costs, |metric, values| costs(metric, values, ranges))?,
        })
    }
}

/// The moments of each metric.
fn each(
    values: &BTreeMap<String, Vec<f64>>,
    of: impl Fn(&str, &[f64]) -> Result<Moments, String>,
) -> Result<BTreeMap<String, Moments>, String> {
    values.iter().map(|(metric, values)| Ok((metric.clone(), of(metric, values)?))).collect()
}
