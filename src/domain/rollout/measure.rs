//! From what a source counted to what the judge reads: durations become answers over a limit, and nothing that cannot be gets in.
//!
//! * **Frozen limits** ([`Frozen`]): what durations are held against, taken from the stable version before a rollout begins. A
//!   version that makes its neighbour slow too does not move its own limit.
//! * **Limits beside the stable version** ([`Beside`]), where nobody counted before: how many of its answers pass a mark, and how
//!   many of the canary's pass so many times that mark, in the same windows. The mark is a quantile of the stable version in the
//!   windows before, so no window moves its own; where it lies decides how soon a slow canary is found, and not whether a good
//!   one is taken back: that one passes its mark no more often, wherever it is.
//! * **A limit inside a bucket**: the bucket counts as over the limit only when all of it is. That can hide answers between the
//!   limit and the end of its bucket and never invents one, for both arms alike; narrow buckets, or one that ends at the limit,
//!   hide none. What the last, endless bucket hides is not told at all: the metric is left out.
//! * **Failures without a duration** (time-outs, broken connections): requests that are in no bucket, as many of them as failed,
//!   took longer than every limit.
//! * **Absent is not zero**: a metric that neither arm has is not in the window; one that only one arm has has no draws in the other.
//!
//! Only metrics that a check reads are kept. A window has one figure a metric, so where two checks read one metric by rules of
//! different kinds the first whose kind the source has is kept, and that is told.

use super::policy::{MIN_REQUESTS, Policy, Rule};
use super::window::{Figure, Window};
use crate::base::error::{Error, Result};
use crate::seams::metrics::{Bucket, Buckets, Counted, Reading};
use crate::stats::describe::{Counts, Moments};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The metric of failed requests.
pub const ERRORS: &str = "errors";
/// The metrics that count durations over a limit.
pub const DURATIONS: [&str; 3] = ["slow", "slower", "degraded"];
/// An answer that takes longer is slow, in seconds (specification: p95 at most 1000 ms).
pub const SLOW: f64 = 1.0;
/// So many times the stable version's p95 is slower (specification).
const SLOWER: f64 = 1.5;
/// So many times its median is degraded (specification: 20 %).
const DEGRADED: f64 = 1.2;
/// The fewest durations from which limits are taken: with fewer a p95 rests on less than ten answers.
const BASELINE_MIN: u64 = MIN_REQUESTS;
/// From so many of the last windows a mark is taken: a load that changes over the day moves it.
const MARK_WINDOWS: usize = 10;
/// So many seconds more than the mark are no harm, whatever the ratio: answers of a millisecond scatter by more than that.
const MARGIN: f64 = 0.005;

/// What a canary is held against while its rollout lasts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Frozen {
    /// The seconds that an answer may take, by the metric that counts those that take longer.
    pub seconds: BTreeMap<String, f64>,
    /// What an answer of the stable version typically costs (geometric mean), by metric, in its unit; above 0.
    pub costs: BTreeMap<String, f64>,
    /// What follows from the stable version in the same windows, by metric, where too little was counted of it before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, Beside>,
}

/// A limit that moves with the stable version: so many times one of its quantiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// The quantile, 0 to 1.
    pub quantile: f64,
    /// How many times it.
    pub factor: f64,
}

/// What the durations of one window are held against, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marks {
    /// The mark that the stable version's are counted over.
    pub stable: f64,
    /// That of the canary's.
    pub canary: f64,
}

impl Frozen {
    /// From what the stable version did before. Without at least 200 durations, or where a quantile lies in a bucket without an
    /// end, `slower` and `degraded` follow from it in the same windows.
    ///
    /// # Errors
    /// For figures that cannot be.
    pub fn of(stable: &Counted) -> Result<Self> {
        check("stable", stable)?;
        let (mut seconds, mut beside) = (BTreeMap::from([("slow".to_owned(), SLOW)]), BTreeMap::new());
        for (metric, q, factor) in [("slower", 0.95, SLOWER), ("degraded", 0.5, DEGRADED)] {
            let ends = stable.latency.as_ref().map(|b| b.counts.iter().map(|b| (b.most, b.n)).collect::<Vec<_>>());
            match ends.and_then(|ends| quantile(&ends, q, BASELINE_MIN)) {
                Some(baseline) => drop(seconds.insert(metric.to_owned(), baseline * factor)),
                None => drop(beside.insert(metric.to_owned(), Beside { quantile: q, factor })),
            }
        }
        let typical = |m: &Moments| Some(m.mean.exp()).filter(|cost| m.n > 0 && cost.is_finite() && *cost > 0.0);
        let costs = stable.costs.iter().filter_map(|(metric, m)| Some((metric.clone(), typical(m)?))).collect();
        Ok(Self { seconds, costs, beside })
    }

    /// What the durations of the next window are held against. `earlier` is how long the stable version's answers took in each
    /// window before it, (end of the bucket in seconds, how many): without as many as a check asks for there is no mark yet.
    pub fn marks(&self, policy: &Policy, earlier: &[&[(f64, u64)]]) -> BTreeMap<String, Marks> {
        let fixed = self.seconds.iter().map(|(metric, s)| (metric.clone(), Marks { stable: *s, canary: *s }));
        let moving = self.beside.iter().filter_map(|(metric, of)| {
            let least = policy.checks.iter().find(|check| check.metric == *metric)?.min.max(1);
            let stable = quantile(&latest(earlier, least), of.quantile, least)?;
            Some((metric.clone(), Marks { stable, canary: (stable * of.factor).max(stable + MARGIN) }))
        });
        fixed.chain(moving).collect()
    }
}

/// The durations of the last windows that have any, of more where those have fewer than `least`.
fn latest(earlier: &[&[(f64, u64)]], least: u64) -> Vec<(f64, u64)> {
    let (mut all, mut n) = (Vec::new(), 0_u64);
    for (i, window) in earlier.iter().rev().filter(|window| !window.is_empty()).enumerate() {
        if i >= MARK_WINDOWS && n >= least {
            break;
        }
        n = window.iter().fold(n, |sum, (_, n)| sum.saturating_add(*n));
        all.extend_from_slice(window);
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

/// The lowest and the highest cost that counts, by metric, for whoever takes the logarithms.
pub fn ranges(policy: &Policy) -> BTreeMap<String, (f64, f64)> {
    let range = |rule: &Rule| if let Rule::Cost { range, .. } = rule { Some(*range) } else { None };
    policy.checks.iter().filter_map(|check| Some((check.metric.clone(), range(&check.rule)?))).collect()
}

/// The end of the bucket in which a quantile lies, of buckets `(end, how many)` that rise; `None` with fewer than `least`
/// durations, and when it has none.
fn quantile(buckets: &[(f64, u64)], q: f64, least: u64) -> Option<f64> {
    let all = buckets.iter().fold(0_u64, |sum, (_, n)| sum.saturating_add(*n));
    let rank = (q * all as f64).ceil().max(1.0) as u64;
    let mut below = 0_u64;
    let at = buckets.iter().find(|(_, n)| {
        below = below.saturating_add(*n);
        below >= rank
    })?;
    Some(at.0).filter(|end| end.is_finite() && all >= least)
}

/// A window, and what it could not have.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The window.
    pub window: Window,
    /// What the source has and the window has not, each in words.
    pub left_out: Vec<String>,
}

/// The window of a reading, for the checks of a policy and what durations are held against; `id` and `share` are those of [`Window`].
///
/// # Errors
/// For figures that cannot be: more errors than requests, buckets that overlap, numbers that are not finite.
pub fn window(reading: &Reading, marks: &BTreeMap<String, Marks>, policy: &Policy, id: u64, share: f64) -> Result<Measured> {
    check("stable", &reading.stable)?;
    check("canary", &reading.canary)?;
    for (metric, differences) in &reading.pairs {
        moments(&format!("`{metric}` of pairs"), differences)?;
    }
    let mut window =
        Window { id, share, stable: requests(&reading.stable), canary: requests(&reading.canary), figures: BTreeMap::new() };
    let mut left_out = Vec::new();
    for wanted in &policy.checks {
        let metric = wanted.metric.as_str();
        let found = match wanted.rule {
            Rule::Rate { .. } | Rule::Ratio { .. } => counts(reading, marks, metric),
            Rule::Mean { .. } | Rule::Drop { .. } => Ok(values(reading, |arm| arm.values.get(metric))),
            Rule::Cost { .. } => Ok(values(reading, |arm| arm.costs.get(metric))),
            Rule::Paired { .. } => Ok(reading.pairs.get(metric).map(|differences| Figure::Pairs { differences: *differences })),
        };
        match (found, window.figures.get(metric)) {
            (Err(why), _) if !left_out.contains(&why) => left_out.push(why),
            (Ok(Some(figure)), None) => {
                window.figures.insert(metric.to_owned(), figure);
            }
            (Ok(Some(figure)), Some(kept)) if *kept != figure => {
                left_out.push(format!("`{metric}` as `{}` reads it: another check reads it otherwise", wanted.name));
            }
            _ => {}
        }
    }
    Ok(Measured { window, left_out })
}

/// Requests of an arm; of one whose requests nobody counts the most draws that it has.
fn requests(arm: &Counted) -> u64 {
    let durations = arm.latency.as_ref().map(Buckets::n);
    let draws = arm.counts.values().map(|c| c.n).chain(arm.values.values().map(|m| m.n)).max();
    arm.requests.or(durations).or(draws).unwrap_or_default()
}

/// # Errors
/// In words, why a metric cannot be told.
fn counts(reading: &Reading, marks: &BTreeMap<String, Marks>, metric: &str) -> std::result::Result<Option<Figure>, String> {
    let marks = marks.get(metric);
    let of = |arm: &Counted, name: &str, limit: Option<f64>| {
        match limit {
        Some(limit) => arm.latency.as_ref().map(|b| over(arm, b, limit)).transpose().map_err(|hidden| {
            format!("`{metric}`: {hidden} durations of {name} lie in a bucket without an end, in which the limit of {limit} s lies too")
        }),
        None if metric == ERRORS => Ok(arm.errors.zip(arm.requests).map(|(hits, n)| Counts { hits, n })),
        None => Ok(arm.counts.get(metric).copied()),
    }
    };
    let stable = of(&reading.stable, "stable", marks.map(|m| m.stable))?;
    let canary = of(&reading.canary, "the canary", marks.map(|m| m.canary))?;
    Ok((stable.is_some() || canary.is_some())
        .then(|| Figure::Counts { stable: stable.unwrap_or_default(), canary: canary.unwrap_or_default() }))
}

fn values<'r>(reading: &'r Reading, of: impl Fn(&'r Counted) -> Option<&'r Moments>) -> Option<Figure> {
    let (stable, canary) = (of(&reading.stable), of(&reading.canary));
    (stable.is_some() || canary.is_some())
        .then(|| Figure::Values { stable: stable.copied().unwrap_or_default(), canary: canary.copied().unwrap_or_default() })
}

/// Answers over a limit in seconds.
///
/// # Errors
/// How many may be over it and nobody can tell.
fn over(arm: &Counted, latency: &Buckets, limit: f64) -> std::result::Result<Counts, u64> {
    let sum =
        |kept: &dyn Fn(&Bucket) -> bool| latency.counts.iter().filter(|b| kept(b)).fold(0_u64, |sum, b| sum.saturating_add(b.n));
    let hidden = sum(&|b| b.most.is_infinite() && b.above < limit);
    if hidden > 0 {
        return Err(hidden);
    }
    let timed = latency.n();
    let lost = arm.requests.unwrap_or(timed).saturating_sub(timed).min(arm.errors.unwrap_or_default());
    Ok(Counts { hits: sum(&|b| b.above >= limit).saturating_add(lost), n: timed.saturating_add(lost) })
}

/// # Errors
/// For figures that cannot be.
fn check(name: &str, arm: &Counted) -> Result<()> {
    let refused = |what: String| Error::new(what).hint("look at what the source of metrics counts, and over which time");
    if let Some((errors, requests)) = arm.errors.zip(arm.requests).filter(|(errors, requests)| errors > requests) {
        return Err(refused(format!("{errors} errors of {requests} requests were counted of {name}")));
    }
    if let Some((metric, c)) = arm.counts.iter().find(|(_, c)| c.hits > c.n) {
        return Err(refused(format!("{} hits of {} draws were counted of `{metric}` of {name}", c.hits, c.n)));
    }
    let buckets = arm.latency.as_ref().map_or(&[] as &[_], |b| b.counts.as_slice());
    let sound = |b: &Bucket| b.above >= 0.0 && b.above.is_finite() && b.most > b.above;
    if let Some(b) = buckets.iter().find(|b| !sound(b)) {
        return Err(refused(format!("the latency of {name} has a bucket from {} to {} seconds", b.above, b.most)));
    }
    if let Some(pair) = buckets.windows(2).find(|pair| pair[1].above < pair[0].most) {
        let what = format!("the latency of {name} has a bucket to {} s and one from {} s", pair[0].most, pair[1].above);
        return Err(refused(what));
    }
    for (metric, m) in arm.values.iter().chain(&arm.costs) {
        moments(&format!("`{metric}` of {name}"), m)?;
    }
    Ok(())
}

/// # Errors
/// For moments that no sample has.
fn moments(what: &str, m: &Moments) -> Result<()> {
    if m.mean.is_finite() && m.sd.is_finite() && m.sd >= 0.0 {
        return Ok(());
    }
    let told = format!("{what} has a mean of {} and a standard deviation of {} over {} values", m.mean, m.sd, m.n);
    Err(Error::new(told).hint("look at what the source of metrics counts: a figure that it does not have is left out"))
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
