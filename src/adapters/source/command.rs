//! A program that counts: it prints one document, `kf.counted/1` (`docs/schemas/counted.json`).
//!
//! It is told by its environment what is asked: `KF_MODEL`, `KF_STABLE` (absent when nothing serves yet), `KF_CANARY`, `KF_FROM`,
//! `KF_TO` (RFC 3339), and `KF_CURSOR`, what it gave as `cursor` the last time. What the document does not have is absent, what it
//! has and kf does not know is refused: a misspelt key would be a metric that nobody looks at.

use super::{Ranges, tally};
use crate::adapters::process::{Ended, Program};
use crate::base::error::{Context, Error, Result};
use crate::base::quantity::Bytes;
use crate::seams::metrics::{Ask, Buckets, Counted, MetricSource, Reading};
use crate::stats::describe::{Counts, Moments};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// The name of the document.
const SCHEMA: &str = "kf.counted/1";
/// The longest document.
const OUTPUT_MAX: Bytes = Bytes(64 << 20);

/// A program.
#[derive(Clone, Debug)]
pub(super) struct Source {
    program: Program,
    ranges: Ranges,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    #[serde(default)]
    stable: Arm,
    #[serde(default)]
    canary: Arm,
    #[serde(default)]
    pairs: BTreeMap<String, Scores>,
    cursor: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Arm {
    requests: Option<u64>,
    errors: Option<u64>,
    seconds: Option<Vec<f64>>,
    latency: Option<Vec<Bucket>>,
    counts: BTreeMap<String, Hits>,
    scores: BTreeMap<String, Scores>,
    costs: BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bucket {
    /// Absent for the last one, which has no end.
    most: Option<f64>,
    n: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hits {
    hits: u64,
    n: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scores {
    All(Vec<f64>),
    Sum(Sum),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sum {
    n: u64,
    mean: f64,
    sd: f64,
}

impl Source {
    /// The program and its arguments, run in a folder, for at most so long.
    ///
    /// # Errors
    /// When the list is empty.
    pub(super) fn new(argv: &[String], dir: &Path, timeout: Duration, ranges: Ranges) -> Result<Self> {
        let program = Program::from_argv(argv)?.dir(dir).timeout(timeout).output_max(OUTPUT_MAX);
        Ok(Self { program, ranges })
    }
}

impl MetricSource for Source {
    fn describe(&self) -> String {
        format!("the program `{}`", self.program.name())
    }

    fn read(&self, ask: &Ask<'_>) -> Result<Reading> {
        let found = self.read_while(ask, &|| true)?;
        found.ok_or_else(|| Error::new(format!("{} was given up", self.describe())))
    }

    fn read_while(&self, ask: &Ask<'_>, goes_on: &dyn Fn() -> bool) -> Result<Option<Reading>> {
        let told = [
            ("KF_MODEL", Some(ask.model.to_string())),
            ("KF_STABLE", ask.stable.map(|v| v.to_string())),
            ("KF_CANARY", Some(ask.canary.to_string())),
            ("KF_FROM", Some(ask.from.to_string())),
            ("KF_TO", Some(ask.to.to_string())),
            ("KF_CURSOR", ask.cursor.map(str::to_owned)),
        ];
        let program = told.into_iter().fold(self.program.clone(), |program, (name, value)| match value {
            Some(value) => program.env(name, value),
            None => program.unset(name),
        });
        let cannot = || format!("{} cannot count", self.describe());
        let done = program.run_while(&[], &mut || goes_on()).context(cannot)?;
        if done.ended == Ended::GivenUp {
            return Ok(None);
        }
        let printed = done.printed(&program.name()).context(cannot)?;
        reading(&printed, &self.ranges)
            .map(Some)
            .map_err(|why| {
                Error::new(why).hint("`docs/schemas/counted.json` says what it prints; what it does not have it leaves out")
            })
            .context(|| format!("{} printed what is no count", self.describe()))
    }
}

/// In words, why a document is none.
fn reading(printed: &[u8], ranges: &Ranges) -> std::result::Result<Reading, String> {
    let document: Document = serde_json::from_slice(printed).map_err(|e| e.to_string())?;
    if document.schema != SCHEMA {
        return Err(format!("its `schema` is not `{SCHEMA}`"));
    }
    let pairs = document.pairs.into_iter().map(|(metric, s)| Ok((metric.clone(), moments(&metric, &s)?)));
    Ok(Reading {
        pairs: pairs.collect::<std::result::Result<_, String>>()?,
        stable: counted(document.stable, ranges).map_err(|why| format!("stable: {why}"))?,
        canary: counted(document.canary, ranges).map_err(|why| format!("canary: {why}"))?,
        cursor: document.cursor,
        missing: None,
    })
}

fn counted(arm: Arm, ranges: &Ranges) -> std::result::Result<Counted, String> {
    let latency = match (arm.seconds, arm.latency) {
        (Some(_), Some(_)) => return Err("it has `seconds` and `latency`, which are two ways to say the same".to_owned()),
        (Some(seconds), None) => Some(tally::durations(&seconds)?),
        (None, buckets) => buckets.map(|b| Buckets::dense(b.iter().map(|b| (b.most.unwrap_or(f64::INFINITY), b.n)))),
    };
    let values = arm.scores.iter().map(|(metric, s)| Ok((metric.clone(), moments(metric, s)?)));
    let costs = arm.costs.iter().map(|(metric, c)| Ok((metric.clone(), tally::costs(metric, c, ranges)?)));
    Ok(Counted {
        requests: arm.requests,
        errors: arm.errors,
        latency,
        values: values.collect::<std::result::Result<_, String>>()?,
        costs: costs.collect::<std::result::Result<_, String>>()?,
        counts: arm.counts.into_iter().map(|(metric, Hits { hits, n })| (metric, Counts { hits, n })).collect(),
    })
}

fn moments(metric: &str, scores: &Scores) -> std::result::Result<Moments, String> {
    match scores {
        Scores::All(values) => tally::scores(metric, values),
        Scores::Sum(Sum { n, mean, sd }) => Ok(Moments { n: *n, mean: *mean, sd: *sd }),
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
