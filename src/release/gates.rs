//! The gates of a stage, judged on what is recorded about exactly this version's digest.
//!
//! A gate reads the newest evaluation of this version on the gate's dataset, byte for byte, by the deterministic judge.
//! What is recorded is believed only after it was compared with the audit log. Recorded answers count for production only with `allow-recorded`, because they prove nothing about who gave them.

use crate::base::digest::Digest;
use crate::base::error::{Kind, Result};
use crate::base::name::Stage;
use crate::base::verdict::Verdict;
use crate::config::{Bound, Budget, Gate, Project, Rule};
use crate::domain::eval::gate::{Condition, Judged, Paired, judge_regression, judge_value};
use crate::domain::eval::metrics;
use crate::domain::eval::record::{self, Evaluation};
use crate::domain::eval::score::Scores;
use crate::domain::registry::table::{self, VersionRow};
use crate::release::{attest, dataset};
use crate::store::View;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

/// The judge of metrics that are computed, not asked for.
pub const DETERMINISTIC: &str = "deterministic";

/// An evaluation that was just made; in a dry run it is not kept, so gates cannot find it in the state.
#[derive(Clone, Copy)]
pub struct Fresh<'a> {
    /// Its sums.
    pub evaluation: &'a Evaluation,
    /// Its rows.
    pub scores: &'a Scores,
}

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
    let case = Case { view, project, root, version, stage, fresh, believed: RefCell::default() };
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
    let fits = |f: &Fresh<'_>| f.evaluation.dataset_digest == digest && f.evaluation.judge == DETERMINISTIC;
    let fresh = fresh.filter(fits);
    let found = match fresh {
        Some(fresh) => Some(fresh.evaluation.clone()),
        None => newest(view, version, &digest)?,
    };
    let Some(found) = found else {
        return open(format!("{} has no evaluation on {name} ({}): {evaluate}", version.reference(), digest.short()));
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
    if fresh.is_none() {
        case.believe(version, &found, false)?;
    }
    match found.metric(metric) {
        Some(summary) => {
            let judged = judge_value(name_of_gate, metric, &condition, summary);
            Ok(Judged { evaluation: Some(found.id.clone()), dataset: Some(digest), ..judged })
        }
        None => open(format!("no row of its evaluation has a {metric}: see why with `--rows --format json`, and {evaluate}")),
    }
}

fn newest(view: View<'_>, version: &VersionRow, dataset: &Digest) -> Result<Option<Evaluation>> {
    record::newest(view, version.id, dataset, DETERMINISTIC)
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
    let Some(base) = newest(view, &production, dataset)? else {
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
