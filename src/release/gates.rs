//! The gates of a stage, judged on what is recorded about exactly this version's digest.
//!
//! A gate reads the newest evaluation of this version on the gate's dataset, byte for byte, that was measured as `[golden]` in
//! `mlops.toml` says: with its `k` and its `map`. These make the judge's name, since others measure something else.
//! What is recorded is believed only after it was compared with the audit log.
//! Recorded answers count for production only with `allow-recorded`, because they prove nothing about who gave them.

use crate::base::digest::Digest;
use crate::base::error::{Context as _, Kind, Result};
use crate::base::name::Stage;
use crate::base::verdict::Verdict;
use crate::config::{Bound, Budget, Gate, Golden, Project, Rule};
use crate::domain::eval::gate::{Condition, Judged, Paired, judge_regression, judge_rows, judge_value};
use crate::domain::eval::metrics;
use crate::domain::eval::record::{self, Evaluation};
use crate::domain::eval::score::Scores;
use crate::domain::golden::Override;
use crate::domain::registry::table::{self, VersionRow};
use crate::release::{attest, dataset};
use crate::store::View;
use serde_json::json;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::Path;

/// How an evaluation reads its data: what the judge's name is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How much of a ranking counts.
    pub k: NonZeroU32,
    /// Which column is which field; of two for one column the first counts.
    pub map: Vec<Override>,
}

impl Reading {
    /// What `mlops.toml` says, and gates go by.
    ///
    /// # Errors
    /// When a column is mapped to a field that there is not.
    pub fn configured(golden: &Golden) -> Result<Self> {
        let one = |(column, field): (&String, &String)| {
            Override::new(column, field).context(|| format!("`golden.map.{column}` in mlops.toml is wrong"))
        };
        Ok(Self { k: golden.k, map: golden.map.iter().map(one).collect::<Result<_>>()? })
    }

    /// Each column once, in the order of the alphabet.
    fn columns(&self) -> BTreeMap<&str, &'static str> {
        self.map.iter().rev().map(|o| (o.source(), o.field().word())).collect()
    }

    /// The judge's name: `deterministic`, and what differs from the built-in reading.
    pub fn judge(&self) -> String {
        let columns = self.columns();
        let mut name = "deterministic".to_owned();
        if self.k != Golden::K {
            let _ = write!(name, ";k={}", self.k);
        }
        if !columns.is_empty() {
            let _ = write!(name, ";map={}", Digest::of(json!(columns).to_string().as_bytes()).short());
        }
        name
    }

    /// Why gates take no notice of an evaluation that was read so, and how to make them; `None` when they do.
    pub fn ignored(&self, configured: &Self) -> Option<String> {
        let mut differs = Vec::new();
        if self.k != configured.k {
            differs.push(format!("mlops.toml says k = {}, set `k = {}` in `[golden]`", configured.k, self.k));
        }
        if self.columns() != configured.columns() {
            differs.push("mlops.toml maps other columns, set `--map` in `[golden] map`".to_owned());
        }
        (!differs.is_empty()).then(|| format!("gates take no notice of this evaluation: {}", differs.join("; ")))
    }
}

/// An evaluation that was just made; in a dry run it is not kept, so gates cannot find it in the state.
#[derive(Clone, Copy)]
pub struct Fresh<'a> {
    /// Its sums.
    pub evaluation: &'a Evaluation,
    /// Its rows.
    pub scores: &'a Scores,
    /// The rows that must pass each by itself.
    pub must_pass: &'a BTreeSet<String>,
}

/// How many evaluations are looked at to tell why none counts.
const OTHERS: u32 = 20;

/// Judges every gate of a stage for a version, in the order of their names.
///
/// # Errors
/// When the state or a dataset cannot be read.
pub fn judge_all(
    view: View<'_>,
    project: &Project,
    root: &Path,
    version: &VersionRow,
    stage: Stage,
    fresh: Option<Fresh<'_>>,
) -> Result<Vec<Judged>> {
    let judge_asked = Reading::configured(&project.golden)?.judge();
    let case = Case { view, project, root, version, stage, fresh, judge: judge_asked, believed: RefCell::default() };
    project.gates.iter().filter(|gate| gate.guards(&version.name, stage)).map(|gate| judge(&case, gate)).collect()
}

/// The verdict over all gates.
pub fn overall(judged: &[Judged]) -> Verdict {
    Verdict::all(judged.iter().map(|j| j.verdict))
}

/// What gates are judged on.
struct Case<'a> {
    view: View<'a>,
    project: &'a Project,
    root: &'a Path,
    version: &'a VersionRow,
    stage: Stage,
    fresh: Option<Fresh<'a>>,
    judge: String,
    /// Evaluations that were compared with the log, and whether their row scores were: once is enough for all gates.
    believed: RefCell<BTreeSet<(String, bool)>>,
}

impl Case<'_> {
    /// Makes sure that an evaluation is the one that was recorded.
    fn believe(&self, version: &VersionRow, found: &Evaluation, scores: bool) -> Result<()> {
        let mut believed = self.believed.borrow_mut();
        if !believed.contains(&(found.id.clone(), scores)) {
            attest::evaluation(self.view, version, found, scores)?;
            believed.insert((found.id.clone(), scores));
        }
        Ok(())
    }
}

fn judge(case: &Case<'_>, gate: &Gate) -> Result<Judged> {
    let Case { view, project, root, version, stage, fresh, .. } = *case;
    let condition = condition_of(gate);
    let (name_of_gate, metric) = (gate.name.as_str(), gate.metric());
    let open = |reason: String| Ok(Judged::open(name_of_gate, metric, &condition, reason));
    let Some(wanted) = gate.dataset.as_ref().or(project.golden.dataset.as_ref()).map(ToString::to_string) else {
        return open("no golden dataset is named: set `[golden] dataset` in mlops.toml, or `dataset` in this gate".into());
    };
    let (name, digest) = match dataset::identify(view, root, &wanted) {
        Ok(found) => found,
        Err(e) if e.kind() == Kind::Broken => return Err(e),
        Err(e) => return open(format!("the golden dataset {wanted} cannot be read: {e}")),
    };
    let evaluate = format!("run `kf eval {} --dataset {wanted}`", version.reference());
    let fresh = fresh.filter(|f| f.evaluation.dataset_digest == digest && f.evaluation.judge == case.judge);
    let found = match fresh {
        Some(fresh) => Some(fresh.evaluation.clone()),
        None => newest(case, version, &digest)?,
    };
    let Some(found) = found else {
        let others = record::of_version(view, version.id, OTHERS)?.iter().any(|e| e.dataset_digest == digest);
        let with = if others { " with the `k` and `map` of `[golden]` in mlops.toml" } else { "" };
        return open(format!("{} has no evaluation on {name} ({}){with}: {evaluate}", version.reference(), digest.short()));
    };
    if found.system == "recorded" && stage == Stage::Production && !gate.allow_recorded {
        return open(format!(
            "its evaluation used recorded answers: set `allow-recorded = true` in this gate, or answer live and {evaluate}"
        ));
    }
    if let Condition::Regression { .. } = condition {
        let judged = compare(case, &digest, gate, &condition, (&found, fresh))?;
        return Ok(Judged { evaluation: Some(found.id), dataset: Some(digest), ..judged });
    }
    // Which rows must pass is told among the scores.
    let rows = matches!(condition, Condition::Absolute { .. });
    if fresh.is_none() {
        case.believe(version, &found, rows)?;
    }
    match found.metric(metric) {
        Some(summary) => {
            let must = if rows { must_pass(view, &found, metric, fresh)? } else { Vec::new() };
            let judged = judge_rows(judge_value(name_of_gate, metric, &condition, summary), &condition, &must);
            Ok(Judged { evaluation: Some(found.id.clone()), dataset: Some(digest), ..judged })
        }
        None => open(format!("its newest evaluation did not compute {metric}: {evaluate}")),
    }
}

/// The scores of the rows that must pass.
fn must_pass(view: View<'_>, found: &Evaluation, metric: &str, fresh: Option<Fresh<'_>>) -> Result<Vec<(String, Option<f64>)>> {
    if let Some(Fresh { scores, must_pass, .. }) = fresh {
        let mine = scores.rows.iter().filter(|r| r.metric == metric && must_pass.contains(&r.row));
        return Ok(mine.map(|r| (r.row.clone(), r.value)).collect());
    }
    let marked = record::scored_rows(view, &found.id, record::MUST_PASS)?;
    if marked.is_empty() {
        return Ok(Vec::new());
    }
    let scores: BTreeMap<String, f64> = record::scored_rows(view, &found.id, metric)?.into_iter().collect();
    Ok(marked.into_iter().map(|(row, _)| (row.clone(), scores.get(&row).copied())).collect())
}

fn newest(case: &Case<'_>, version: &VersionRow, dataset: &Digest) -> Result<Option<Evaluation>> {
    record::newest(case.view, version.id, dataset, &case.judge)
}

fn compare(
    case: &Case<'_>,
    dataset: &Digest,
    gate: &Gate,
    condition: &Condition,
    (found, fresh): (&Evaluation, Option<Fresh<'_>>),
) -> Result<Judged> {
    let Case { view, version, stage, .. } = *case;
    let (name, metric) = (gate.name.as_str(), gate.metric());
    let open = |reason: String| Ok(Judged::open(name, metric, condition, reason));
    let Some(production) = table::in_production(view, version.model)? else {
        let reason = format!("no version of {} is in production to compare with yet", version.name);
        return Ok(Judged { first_release: true, ..Judged::open(name, metric, condition, reason) });
    };
    let Some(base) = newest(case, &production, dataset)? else {
        return open(format!(
            "{} in production has no evaluation on this dataset: run `kf eval {}`",
            production.reference(),
            production.reference()
        ));
    };
    if base.system == "recorded" && stage == Stage::Production && !gate.allow_recorded {
        return open(format!(
            "the evaluation of {} used recorded answers: set `allow-recorded = true` in this gate, or answer live",
            production.reference()
        ));
    }
    attest::version(view, &production)?;
    case.believe(&production, &base, true)?;
    let candidate = match fresh {
        Some(fresh) => {
            fresh.scores.rows.iter().filter(|r| r.metric == metric).filter_map(|r| Some((r.row.clone(), r.value?))).collect()
        }
        None => {
            case.believe(version, found, true)?;
            record::scored_rows(view, &found.id, metric)?
        }
    };
    let production = record::scored_rows(view, &base.id, metric)?;
    let judged = judge_regression(name, metric, condition, &Paired { candidate: &candidate, production: &production });
    Ok(Judged { against: Some(base.id), ..judged })
}

fn condition_of(gate: &Gate) -> Condition {
    match &gate.rule {
        Rule::Absolute { min, max, .. } => {
            Condition::Absolute { min: *min, max: *max, by_interval: gate.bound == Bound::Interval }
        }
        Rule::Budget { metric: Budget::Coverage, limit } => Condition::Budget { min: Some(*limit), max: None },
        Rule::Budget { limit, .. } => Condition::Budget { min: None, max: Some(*limit) },
        Rule::Regression { metric, margin, .. } => {
            let higher_is_better = metrics::find(metric).is_none_or(|m| m.direction == metrics::Direction::HigherIsBetter);
            Condition::Regression { margin: *margin, higher_is_better }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(k: u32, map: &[(&str, &str)]) -> Reading {
        let map = map.iter().map(|(column, field)| Override::new(column, field).expect("a field")).collect();
        Reading { k: NonZeroU32::new(k).expect("not 0"), map }
    }

    #[test]
    fn a_judge_is_named_by_what_is_measured() {
        let plain = reading(5, &[]);
        assert_eq!((plain.judge().as_str(), reading(3, &[]).judge().as_str()), ("deterministic", "deterministic;k=3"));
        let mapped = reading(5, &[("a", "id"), ("b", "question")]);
        assert!(mapped.judge().starts_with("deterministic;map="), "{}", mapped.judge());
        assert_eq!(mapped.judge(), reading(5, &[("B", "question"), ("a", "id"), ("a", "split")]).judge(), "the first counts");
        assert_ne!(mapped.judge(), reading(5, &[("a", "question"), ("b", "id")]).judge());
    }

    #[test]
    fn gates_ignore_exactly_what_has_another_judge() {
        let all = [reading(5, &[]), reading(3, &[]), reading(3, &[("a", "id")]), reading(5, &[("a", "id")])];
        for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
            assert_eq!(a.ignored(b).is_none(), a.judge() == b.judge(), "{a:?} {b:?}");
        }
        let told = reading(3, &[]).ignored(&all[0]);
        let wanted = "gates take no notice of this evaluation: mlops.toml says k = 5, set `k = 3` in `[golden]`";
        assert_eq!(told.as_deref(), Some(wanted));
    }
}
