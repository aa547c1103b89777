//! Looking for a better version: variants are tried on some rows of a golden dataset, and the best of them judged on others.
//!
//! A variant that is better is registered as every version is, with the version that it was made from, its evaluation is kept, and it goes to
//! staging through the gates that guard it. The files of the repository are left alone: variants live in scratch folders, and a winner in the
//! registry.

pub mod enter;
pub mod given;
pub mod lab;
mod plan;
mod purse;
pub mod review;
pub mod search;

pub use plan::{Plan, Size, plan};
pub use purse::Purse;

use crate::adapters::embedder::builtin::builtin;
use crate::base::error::{Error, Result};
use crate::base::name::Stage;
use crate::base::verdict::Verdict;
use crate::config::{Project, Rule};
use crate::domain::eval::known::known;
use crate::domain::eval::record::RowScore;
use crate::domain::golden::{Answer, Row};
use crate::domain::optimize::decide::{self, Finalist, Judged, MARGIN, Measured};
use crate::domain::optimize::vary::{self, EXAMPLES, Reads};
use crate::domain::optimize::{Files, Variant};
use crate::domain::registry::parts::{Layout, Parts, parse_parts};
use crate::domain::registry::table::VersionRow;
use crate::release::checkout::manifest_of;
use crate::seams::embedder::{Embedder as _, Purpose};
use crate::stats::describe::mean as mean_of;
use crate::store::objects::Objects;
use lab::{Lab, Player};
use search::{Came, Runner};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// The largest file of a version that can be varied, in bytes.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// The files of a version.
///
/// # Errors
/// When one is missing, damaged, or larger than 16 MiB.
pub fn files_of(objects: &Objects, version: &VersionRow) -> Result<Files> {
    let manifest = manifest_of(objects, version)?;
    manifest.files().iter().map(|f| Ok((f.path.clone(), objects.read(&f.digest, FILE_MAX)?))).collect()
}

/// What the files of a version say.
///
/// # Errors
/// What cannot be read.
pub fn parts_of(version: &VersionRow, files: &Files, layout: &Layout) -> Result<Parts> {
    let borrowed: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    parse_parts(version.kind, layout, &borrowed).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::new(format!("the files of {} cannot be read:\n{}", version.reference(), lines.join("\n")))
    })
}

/// The variants that need nobody: settings of retrieval, the prompt otherwise, examples of the rows at `dev`.
///
/// # Errors
/// When a file cannot be written anew.
pub fn deterministic(files: &Files, parts: &Parts, reads: Reads, (rows, dev): (&[Row], &[usize])) -> Result<Vec<Variant>> {
    let mut found = vary::retrieval(files, parts, reads)?;
    let Some(prompt) = vary::asked(parts, reads) else { return Ok(found) };
    found.extend(vary::prompts(files, prompt)?);
    let examples: Vec<_> = dev.iter().map(|i| &rows[*i]).filter(|row| vary::is_example(row)).collect();
    let questions: Vec<&str> = examples.iter().map(|row| row.question.as_str()).collect();
    // Which rows are examples asks no service, whatever finds the passages.
    let vectors = if questions.is_empty() { Vec::new() } else { builtin().embed(&questions, Purpose::Query)? };
    for n in EXAMPLES.into_iter().filter(|n| *n < examples.len()) {
        let shown: Vec<_> = vary::central(&vectors, n).into_iter().map(|i| examples[i]).collect();
        found.push(vary::demonstrations(files, prompt, &shown)?);
    }
    Ok(found)
}

/// What must not get worse: the metrics that gates of a model look at, beside what decides, with how much of each may be lost.
pub fn guards(project: &Project, version: &VersionRow, target: &str) -> BTreeMap<String, f64> {
    let stages = [Stage::Staging, Stage::Production];
    let guarding = project.gates.iter().filter(|gate| stages.iter().any(|stage| gate.guards(&version.name, *stage)));
    let mut found: BTreeMap<String, f64> = BTreeMap::new();
    for gate in guarding.filter(|gate| gate.metric() != target && known(gate.metric()).is_some()) {
        let margin = if let Rule::Regression { margin, .. } = &gate.rule { Some(*margin) } else { None };
        let least = found.get(gate.metric()).copied().unwrap_or(MARGIN);
        found.insert(gate.metric().to_owned(), margin.map_or(least, |margin| least.min(margin)));
    }
    found
}

/// A variant that was judged on the rows that decide.
#[derive(Serialize)]
pub struct Decided {
    /// What it is called.
    pub name: String,
    /// What came of it.
    #[serde(flatten)]
    pub judged: Judged,
    /// Rows, their mean time in milliseconds and cost in US dollars with the parent and with the variant, where they are stated.
    pub latency_ms: [Option<f64>; 2],
    /// The mean cost.
    pub cost_usd: [Option<f64>; 2],
    /// The mean length of an answer in words.
    pub words: [Option<f64>; 2],
}

/// Judges the finalists on the rows at `holdout`, which the parent has answered. Gives them as they came in.
///
/// # Errors
/// When nobody can be asked.
pub fn decide(
    lab: &Lab<'_>,
    parent: &mut Player,
    runners: &mut [Runner],
    holdout: &[usize],
    guards: &BTreeMap<String, f64>,
) -> Result<Vec<Decided>> {
    let before = rows_of(parent, lab, holdout, guards)?;
    let (mut finalists, mut found) = (Vec::new(), Vec::new());
    for runner in runners.iter_mut().filter(|r| r.trial.came == Came::Finalist) {
        runner.player.ask(lab, holdout)?;
        let now = rows_of(&mut runner.player, lab, holdout, guards)?;
        let measured = |metric: &str, margin| measured(lab, metric, margin, holdout, (&before, &now));
        let target = measured(lab.target.word(), 0.0);
        finalists.push(Finalist { target, guards: guards.iter().map(|(metric, margin)| measured(metric, *margin)).collect() });
        let (a, b) = (figures(lab, parent, holdout), figures(lab, &runner.player, holdout));
        found.push((runner.trial.name.clone(), [a[0], b[0]], [a[1], b[1]], [a[2], b[2]]));
    }
    let judged = decide::decide(&finalists);
    let whole = |((name, latency_ms, cost_usd, words), judged)| Decided { name, judged, latency_ms, cost_usd, words };
    Ok(found.into_iter().zip(judged).map(whole).collect())
}

type Rows = HashMap<(String, String), f64>;

/// The scores of rows by metric and row.
fn rows_of(player: &mut Player, lab: &Lab<'_>, at: &[usize], guards: &BTreeMap<String, f64>) -> Result<Rows> {
    let (computed, judged) = player.scores(lab, at)?;
    let wanted = |r: &RowScore| r.metric == lab.target.word() || guards.contains_key(&r.metric);
    let rows = computed.rows.into_iter().chain(judged.into_iter().flat_map(|s| s.rows)).filter(wanted);
    Ok(rows.filter_map(|r| Some(((r.metric, r.row), r.value?))).collect())
}

fn measured(lab: &Lab<'_>, metric: &str, margin: f64, at: &[usize], (before, now): (&Rows, &Rows)) -> Measured {
    let mut found = Measured { metric: metric.to_owned(), pairs: Vec::new(), lost: 0, margin };
    for row in at.iter().map(|i| &lab.rows[*i]) {
        let key = (metric.to_owned(), row.id.clone());
        match (before.get(&key), now.get(&key)) {
            (Some(before), Some(now)) => found.pairs.push((*before, *now, row.cluster.clone())),
            (Some(_), None) => found.lost += 1,
            (None, _) => {}
        }
    }
    found
}

/// Mean time, cost and length of answers.
fn figures(lab: &Lab<'_>, player: &Player, at: &[usize]) -> [Option<f64>; 3] {
    let answers: Vec<_> = at.iter().filter_map(|i| player.answers.get(&lab.rows[*i].id)).collect();
    let mean = |of: &dyn Fn(&Answer) -> Option<f64>| {
        let values: Vec<f64> = answers.iter().filter_map(|a| of(a)).collect();
        mean_of(&values)
    };
    [
        mean(&|a| a.latency_ms),
        mean(&|a| a.cost_usd),
        mean(&|a| a.answer.as_ref().map(|text| text.split_whitespace().count() as f64)),
    ]
}

/// Of those with this verdict the one that gains most; of several the one that was better in the search.
pub fn best(decided: &[Decided], verdict: Verdict) -> Option<&Decided> {
    let gain = |d: &Decided| d.judged.gain.unwrap_or(f64::MIN);
    // `max_by` takes the last of equals, and they come in the order of the search.
    decided.iter().rev().filter(|d| d.judged.verdict == verdict).max_by(|a, b| gain(a).total_cmp(&gain(b)))
}
