//! Judging answers: rows and metrics in, scores out, with what it took.
//!
//! Every pair of row and metric is a job whose next question `domain::eval::judged` knows. Jobs are taken up in the order of the rows,
//! no more at a time than keep all judges busy, so that rows are finished one after the other and memory holds what is under way.
//! A question that two jobs have is asked once. What was answered is in the cache before anything else is done with it, so a run
//! that is killed, at any moment, asks again only for what was under way; what nobody could use is taken out again once it was read,
//! so the next run asks for it. A job whose question failed is an error of its row; a judge that takes no question at all (a wrong
//! key) ends the run.

mod cache;
mod driver;
mod estimate;

pub use cache::{CacheMode, Cached};
pub use estimate::{Coming, Estimate, Judges, WRITTEN, estimate, money, tokens};

use crate::adapters::embedder::builtin::builtin;
use crate::adapters::embedder::endpoint::Endpoint;
use crate::adapters::llm;
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::quantity::PicoUsd;
use crate::base::random::Random;
use crate::config::{self, Judge, Project, Statements};
use crate::domain::eval::judged::registry::RANGE;
use crate::domain::eval::judged::{self, Case, Drawing, Judged, JudgedId, Settings, Tally};
use crate::domain::eval::marks::Marks;
use crate::domain::eval::record::RowScore;
use crate::domain::eval::score::{ERROR, Scores, summary};
use crate::domain::golden::{Answer, Row};
use crate::seams::embedder::Embedder;
use crate::seams::model::{About, Model};
use driver::Driver;
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};

/// Who judges, by which metrics, and within which limits.
pub struct Bench<'a> {
    /// The judges, the leading one first; at least one.
    pub models: Vec<Box<dyn Model>>,
    /// How they are asked.
    pub settings: Settings,
    /// What makes vectors.
    pub embedder: &'a dyn Embedder,
    /// By which metrics, each once.
    pub metrics: Vec<JudgedId>,
    /// How often each row is judged; at least once. The mean counts.
    pub repeat: u32,
    /// The share of a row's repeats that must have a score when judging failed in some of them; with less the row is an error.
    pub min_coverage: f64,
    /// What may be spent.
    pub max_cost: Option<PicoUsd>,
    /// What was answered before.
    pub cache: &'a Cached,
}

impl Bench<'_> {
    /// Who judges, as far as it decides what judging takes.
    pub fn judges(&self) -> Judges<'_> {
        Judges { models: &self.models, metrics: &self.metrics, repeat: self.repeat }
    }
}

/// What asking took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Took {
    /// Requests that were answered, or failed after they were sent.
    pub requests: usize,
    /// Tokens read.
    pub tokens_in: u64,
    /// Tokens written.
    pub tokens_out: u64,
    /// What it cost; `None` when a price or a count of tokens is not known.
    pub cost_usd: Option<PicoUsd>,
    /// The time of all answers together, in whole microseconds, so that the order of answers does not show in the sum.
    #[serde(rename = "latency_ms", serialize_with = "milliseconds")]
    pub latency_us: u64,
}

impl Took {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            tokens_in: self.tokens_in + other.tokens_in,
            tokens_out: self.tokens_out + other.tokens_out,
            cost_usd: self.cost_usd.zip(other.cost_usd).map(|(a, b)| a.and(b)),
            latency_us: self.latency_us.saturating_add(other.latency_us),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
#[expect(clippy::cast_precision_loss, reason = "a time that is shown")]
fn milliseconds<S: serde::Serializer>(us: &u64, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(*us as f64 / 1e3)
}

/// The scores with how they came about.
#[derive(Debug)]
pub struct Outcome {
    /// Rows and sums, by metric name.
    pub scores: Scores,
    /// Rows without a score because something went wrong, by metric.
    pub errors: BTreeMap<String, usize>,
    /// Single repeats that went wrong, those of rows that have a score all the same included, by metric.
    pub failed_repeats: BTreeMap<String, usize>,
    /// How judges agreed.
    pub tally: Tally,
    /// Rows and metrics whose repeats did not all give the same.
    pub moved: usize,
    /// What all answers took when they were given, cached ones included.
    pub total: Took,
    /// What was asked now.
    pub asked: Took,
    /// What of it came to nothing: an answer that was cut or declined costs money too.
    pub failed: Took,
    /// True when something was not asked because of the limit of cost.
    pub stopped: bool,
}

/// The settings that `[judge]` in mlops.toml means.
pub fn settings(judge: &Judge) -> Settings {
    let drawing =
        |m: &crate::config::Llm| Drawing { max_tokens: m.max_tokens, temperature: m.temperature, seed: m.seed.map(u64::from) };
    Settings {
        judges: judge.models.iter().map(drawing).collect(),
        sentences: judge.statements == Statements::Sentences,
        questions: usize::try_from(judge.questions).unwrap_or(usize::MAX),
        rubric: judge.rubric.clone(),
    }
}

/// The name of the judge that `mlops.toml` says; `None` when it says none. Nothing is opened for it.
///
/// # Errors
/// When an embedder of a service cannot be named.
pub fn name(project: &Project) -> Result<Option<String>> {
    let Some(judge) = &project.judge else { return Ok(None) };
    let abouts: Vec<About> = judge.models.iter().map(llm::about).collect();
    let abouts: Vec<&About> = abouts.iter().collect();
    judged::name::name(&abouts, &settings(judge), &vectors(&project.embedder)?).map(Some)
}

/// What makes vectors comparable. A model in a folder goes by its path: reading it takes longer than all gates.
fn vectors(embedder: &config::Embedder) -> Result<Digest> {
    Ok(match embedder {
        config::Embedder::Builtin => builtin().model().digest,
        config::Embedder::Directory { path, prefixes } => {
            Digest::of(json!(["directory", path, prefixes.query, prefixes.document]).to_string().as_bytes())
        }
        config::Embedder::Endpoint(endpoint) => Endpoint::new(endpoint, None, Random::System)?.model().digest,
    })
}

/// What of a row and its answer a judge sees.
fn case_of<'r>(row: &'r Row, answer: Option<&'r Answer>) -> Case<'r> {
    Case {
        question: &row.question,
        answer: answer.and_then(|a| a.answer.as_deref()),
        contexts: answer.map_or(&[], |a| &a.contexts),
        references: &row.references,
        answerable: row.answerable,
        rubric: row.extra.get("rubric").and_then(serde_json::Value::as_str),
    }
}

/// Judges all rows; `progress` is called for every row and metric that is done.
///
/// # Errors
/// When a judge takes no request at all, when the cache cannot be used, or when a limit of cost has no prices to go by.
pub fn run(bench: &Bench<'_>, rows: &[Row], answers: &HashMap<String, Answer>, progress: &dyn Fn()) -> Result<Outcome> {
    run_samples(bench, rows, &[answers], progress)
}

/// The same for rows that were answered several times: the first repeat judges the first answers, the second the second, and so on around.
///
/// # Errors
/// As [`run`].
pub fn run_samples(
    bench: &Bench<'_>,
    rows: &[Row],
    samples: &[&HashMap<String, Answer>],
    progress: &dyn Fn(),
) -> Result<Outcome> {
    if bench.max_cost.is_some() {
        priced(&bench.models)?;
    }
    let mut metrics = bench.metrics.clone();
    metrics.sort_by_key(|m| m.word());
    metrics.dedup();
    let given = |row: &Row| samples.iter().map(|answers| answers.get(&row.id)).collect();
    let cases: Vec<(&Row, Vec<Option<&Answer>>)> = rows.iter().map(|row| (row, given(row))).collect();
    let (done, driver) = Driver::new(bench, &cases, &metrics, progress).run()?;
    let mut outcome = Outcome {
        scores: Scores::default(),
        errors: BTreeMap::new(),
        failed_repeats: BTreeMap::new(),
        tally: Tally::default(),
        moved: 0,
        total: driver.total,
        asked: driver.asked,
        failed: driver.failed,
        stopped: driver.stopped,
    };
    let repeat = usize::try_from(bench.repeat.max(1)).unwrap_or(1);
    for (at, samples) in done.chunks(repeat).enumerate() {
        let (row, metric) = (at / metrics.len(), metrics[at % metrics.len()]);
        for (_, tally) in samples {
            outcome.tally.asked += tally.asked;
            outcome.tally.split += tally.split;
            outcome.tally.absent += tally.absent;
        }
        outcome.moved += usize::from(samples.windows(2).any(|pair| pair[0].0 != pair[1].0));
        let (value, reason) = combined(samples, bench.min_coverage);
        let failed = samples.iter().filter(|(judged, _)| matches!(judged, Judged::Error(_))).count();
        if repeat > 1 && failed > 0 {
            *outcome.failed_repeats.entry(metric.word().to_owned()).or_default() += failed;
        }
        if repeat > 1 {
            outcome.scores.each.push(samples.iter().map(|(judged, _)| judged.value()).collect());
        }
        if reason.as_deref().is_some_and(|r| r.starts_with(ERROR)) {
            *outcome.errors.entry(metric.word().to_owned()).or_default() += 1;
        }
        outcome.scores.rows.push(RowScore {
            pos: i64::try_from(row).unwrap_or(i64::MAX),
            row: rows[row].id.clone(),
            metric: metric.word().to_owned(),
            value,
            reason,
        });
    }
    let marks = Marks::of(rows);
    outcome.scores.sums = metrics.iter().map(|m| summary(m.word(), RANGE, &outcome.scores.rows, (&marks, rows.len()))).collect();
    Ok(outcome)
}

/// The mean of the samples that have a score, or why there is none: where judging failed, enough of them must have one.
#[expect(clippy::cast_precision_loss, reason = "counts of repeats, a hundred at most")]
fn combined(samples: &[(Judged, Tally)], min_coverage: f64) -> (Option<f64>, Option<String>) {
    let values: Vec<f64> = samples.iter().filter_map(|(judged, _)| judged.value()).collect();
    let errors: Vec<&String> =
        samples.iter().filter_map(|(judged, _)| if let Judged::Error(why) = judged { Some(why) } else { None }).collect();
    // Where there is nothing to score nobody was asked, so those repeats say nothing of the judge.
    let asked = values.len() + errors.len();
    let enough = errors.is_empty() || values.len() as f64 / asked as f64 >= min_coverage;
    if let Some(mean) = crate::stats::describe::mean(&values).filter(|_| enough) {
        return (Some(mean + 0.0), None);
    }
    let reason = match (errors.first(), samples.first()) {
        (Some(why), _) if values.is_empty() => Some(format!("{ERROR}{why}")),
        (Some(why), _) => Some(format!("{ERROR}judging failed {} of {asked} times: {why}", errors.len())),
        (None, Some((Judged::Unscored(why), _))) => Some(why.clone()),
        (None, _) => None,
    };
    // A state keeps no U+0000, and a reason may repeat what a service said.
    (None, reason.map(|r| r.replace('\0', "\u{fffd}")))
}

/// Refuses a limit of cost where no price says what anything costs.
///
/// # Errors
/// With the model that has none.
pub fn priced(models: &[Box<dyn Model>]) -> Result<()> {
    let one = crate::seams::answerer::Tokens { input: Some(1), output: Some(1) };
    match models.iter().find(|m| m.cost(one).is_none()) {
        None => Ok(()),
        Some(model) => Err(Error::usage(format!("a limit of cost needs the prices of {}", model.about().model))
            .hint("add `price-input` and `price-output`, US dollars for a million tokens, to this model in mlops.toml")),
    }
}

#[cfg(test)]
mod tests;
