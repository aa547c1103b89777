//! What the state says of itself in figures, for whoever watches it.
//!
//! Figures alarm people, so what they rest on is compared with the audit log first, like what a gate rests on. Gates of regression are
//! left out: they compare a version with the one in production, which is what is watched.

use super::{attest, gates};
use crate::base::error::Result;
use crate::base::name::{Name, Stage};
use crate::base::time::Timestamp;
use crate::base::verdict::Verdict;
use crate::config::{Project, Rule};
use crate::domain::backup::health::Alarm;
use crate::domain::drift::policy::Status;
use crate::domain::drift::table::{self as drift_table, CheckRow};
use crate::domain::eval::judged;
use crate::domain::eval::known::known;
use crate::domain::eval::metrics::Direction;
use crate::domain::eval::record::{self, Evaluation, Summary};
use crate::domain::eval::score::{COST_PER_QUERY, COVERAGE, ERROR_RATE, LATENCY_P95};
use crate::domain::eval::suite;
use crate::domain::ingest::table::Scope;
use crate::domain::monitor::exposition::Figures;
use crate::domain::monitor::metric;
use crate::domain::monitor::table as monitor_table;
use crate::domain::registry::table::{self, Filter, VersionRow};
use crate::release::backup::health;
use crate::store::{View, log, outbox};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How many evaluations of a version are looked at for the newest of each dataset.
const EVALUATIONS: u32 = 200;

/// Columns of a check whose index is printed, those that moved most: a table may have thousands.
const COLUMNS: usize = 100;

/// Reads all figures; `now` is when.
///
/// # Errors
/// Those of the state, and [`Kind::Broken`](crate::base::error::Kind::Broken) when a row is not what the audit log recorded.
pub fn figures(view: View<'_>, project: &Project, root: &Path, now: Timestamp) -> Result<Figures> {
    let mut figures = Figures::default();
    figures.put(&metric::BUILD, [env!("CARGO_PKG_VERSION")], 1.0);
    figures.put(&metric::READ_AT, [], seconds(now));
    audit_log(view, &mut figures)?;
    for model in table::models(view)? {
        for stage in Stage::ALL {
            let standing = table::count_versions(view, Filter { model: Some(model.id), stage: Some(*stage), tag: None })?;
            figures.put(&metric::VERSIONS, [model.name.as_str(), stage.word()], standing as f64);
        }
    }
    for version in table::overview(view)?.iter().filter(|v| matches!(v.stage, Stage::Staging | Stage::Production)) {
        attest::version(view, version)?;
        let number = version.version.to_string();
        figures.put(&metric::IN_STAGE, [version.name.as_str(), version.stage.word(), &number], 1.0);
        if version.stage == Stage::Production {
            gate_verdicts(view, (project, root), version, &mut figures)?;
            evaluations(view, version, &mut figures)?;
        }
    }
    drift(view, project, now, &mut figures)?;
    episodes(view, &mut figures)?;
    for scope in Scope::everywhere(view)? {
        collection(view, &scope, &mut figures)?;
    }
    backups(view, project, now, &mut figures)?;
    Ok(figures)
}

/// What the log tells of backups: the place may be far away.
fn backups(view: View<'_>, project: &Project, now: Timestamp, figures: &mut Figures) -> Result<()> {
    let limits = health::limits(&project.backup);
    for of in health::told(view, &project.backup, now)? {
        let plan = of.plan.as_str();
        let late = of.alarms.iter().any(|alarm| matches!(alarm, Alarm::Missing | Alarm::Late(_)));
        figures.put(&metric::BACKUP_LATE, [plan], f64::from(u8::from(late)));
        if let Some(last) = of.known.last {
            figures.put(&metric::BACKED_UP, [plan], seconds(last));
        }
        if let Some(proof) = of.known.proof {
            figures.put(&metric::PROVEN, [plan], seconds(proof.at));
            figures.put(&metric::RECOVERY, [plan, "time"], proof.rto_ms as f64 / limits.rto_ms.max(1) as f64);
            figures.put(&metric::RECOVERY, [plan, "point"], proof.rpo_ms as f64 / limits.rpo_ms.max(1) as f64);
        }
    }
    Ok(())
}

fn seconds(at: Timestamp) -> f64 {
    at.micros() as f64 / 1e6
}

fn audit_log(view: View<'_>, figures: &mut Figures) -> Result<()> {
    let size = log::head(view.db())?.frontier.size();
    figures.put(&metric::EVENTS, [], size as f64);
    if let Some(signed) = log::signed_size(view.db())? {
        figures.put(&metric::UNSIGNED, [], size.saturating_sub(signed) as f64);
    }
    Ok(())
}

fn gate_verdicts(view: View<'_>, (project, root): (&Project, &Path), version: &VersionRow, figures: &mut Figures) -> Result<()> {
    let compares =
        |gate: &str| project.gates.iter().any(|g| g.name.as_str() == gate && matches!(g.rule, Rule::Regression { .. }));
    let number = version.version.to_string();
    for judged in gates::judge_all(view, project, root, version, Stage::Production, &[])? {
        if compares(&judged.gate) {
            continue;
        }
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive] {
            let holds = f64::from(u8::from(judged.verdict == verdict));
            figures.put(&metric::GATE, [version.name.as_str(), &number, &judged.gate, verdict.word()], holds);
        }
    }
    Ok(())
}

/// The newest evaluation of a version on each dataset: what was computed, and what was judged.
fn evaluations(view: View<'_>, version: &VersionRow, figures: &mut Figures) -> Result<()> {
    let newest_first = record::of_version(view, version.id, EVALUATIONS)?;
    attest::evaluations(view, version, &newest_first)?;
    let mut seen = BTreeSet::new();
    let whole = newest_first.iter().filter(|e| e.is_whole());
    whole
        .filter(|e| seen.insert((&e.dataset, is_judged(e), suite::of_judge(&e.judge))))
        .for_each(|e| evaluation(version, e, figures));
    Ok(())
}

fn is_judged(e: &Evaluation) -> bool {
    judged::name::of_evaluation(&e.judge).is_some()
}

fn evaluation(version: &VersionRow, found: &Evaluation, figures: &mut Figures) {
    let number = version.version.to_string();
    let of = [version.name.as_str(), number.as_str(), found.dataset.as_str()];
    // What is computed and what is judged are made by one command, so one time is told; a suite is another one.
    if !is_judged(found) && suite::of_judge(&found.judge).is_none() {
        figures.put(&metric::EVALUATED_AT, of, seconds(found.at));
    }
    for sum in &found.metrics {
        let Summary { metric: name, mean, n, .. } = sum;
        let [model, number, dataset] = of;
        let budget = match name.as_str() {
            COST_PER_QUERY => Some((&metric::COST, 1.0)),
            LATENCY_P95 => Some((&metric::LATENCY, 1000.0)),
            ERROR_RATE => Some((&metric::ERRORS, 1.0)),
            COVERAGE => Some((&metric::COVERAGE, 1.0)),
            _ => None,
        };
        // A mean that is unknown is not printed.
        let mean = mean.unwrap_or(f64::NAN);
        if let Some((metric, parts)) = budget {
            figures.put(metric, of, mean / parts);
            continue;
        }
        let better = match known(name).map(|m| m.direction) {
            Some(Direction::LowerIsBetter) => "lower",
            _ => "higher",
        };
        figures.put(&metric::SCORE, [model, number, dataset, name, better], mean);
        figures.put(&metric::SCORED, [model, number, dataset, name], *n as f64);
    }
}

/// The newest check of each drift that has a baseline and a table in `mlops.toml`, and what is to be done about any. Baselines stay in
/// the state: a check of one that nobody watches any more would be an alert that nobody can end.
fn drift(view: View<'_>, project: &Project, now: Timestamp, figures: &mut Figures) -> Result<()> {
    let watched = |name: &Name| project.drift(name.as_str()).is_some();
    let mut seen = BTreeSet::new();
    for baseline in drift_table::baselines(view)?.iter().filter(|b| seen.insert(b.name.clone())) {
        let of = [baseline.name.as_str(), baseline.model.as_str()];
        figures.put(&metric::OVERDUE, of, 0.0);
        if let Some(check) = drift_table::checks(view, &baseline.name, 1)?.first().filter(|_| watched(&baseline.name)) {
            newest_check(view, of, check, figures)?;
        }
    }
    let (mut pending, mut overdue): (BTreeMap<_, u32>, BTreeMap<_, u32>) = Default::default();
    for action in drift_table::pending(view)? {
        if action.due.is_some_and(|due| due < now) {
            *overdue.entry((action.name.clone(), action.model.clone())).or_default() += 1;
        }
        *pending.entry((action.name, action.model, action.kind)).or_default() += 1;
    }
    for ((name, model, kind), n) in pending {
        figures.put(&metric::PENDING, [name.as_str(), model.as_str(), kind.word()], f64::from(n));
    }
    for ((name, model), n) in overdue {
        figures.put(&metric::OVERDUE, [name.as_str(), model.as_str()], f64::from(n));
    }
    Ok(())
}

fn newest_check(view: View<'_>, of: [&str; 2], check: &CheckRow, figures: &mut Figures) -> Result<()> {
    let [name, model] = of;
    for verdict in Status::ALL.iter().filter(|status| status.weight() == **status) {
        let holds = f64::from(u8::from(check.verdict == *verdict));
        figures.put(&metric::DRIFT, [name, model, verdict.word()], holds);
    }
    figures.put(&metric::CHECKED_AT, of, seconds(check.at));
    figures.put(&metric::CHECKED_ROWS, of, check.rows as f64);
    let mut columns: Vec<(String, f64)> =
        drift_table::figures(view, &check.uid)?.into_iter().filter_map(|column| Some((column.column, column.psi?))).collect();
    columns.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (column, psi) in columns.iter().take(COLUMNS) {
        figures.put(&metric::INDEX, [name, model, column], *psi);
    }
    Ok(())
}

/// Open episodes by what they are of; labels are left out, which may be many.
fn episodes(view: View<'_>, figures: &mut Figures) -> Result<()> {
    let mut open: BTreeMap<_, u32> = BTreeMap::new();
    for episode in monitor_table::open(view)? {
        *open.entry((episode.name, episode.kind, episode.severity)).or_default() += 1;
    }
    for ((name, kind, severity), n) in open {
        figures.put(&metric::EPISODES, [name.as_str(), kind.word(), severity.word()], f64::from(n));
    }
    Ok(())
}

fn collection(view: View<'_>, scope: &Scope, figures: &mut Figures) -> Result<()> {
    let of = [scope.tenant.name.as_str(), scope.collection.name.as_str()];
    let totals = scope.totals(view)?;
    figures.put(&metric::DOCUMENTS, of, totals.documents as f64);
    figures.put(&metric::REFUSED, of, totals.refused.values().sum::<i64>() as f64);
    figures.put(&metric::CHUNKS, of, totals.chunks as f64);
    figures.put(&metric::WAITING, of, outbox::waiting(view, scope.id())? as f64);
    Ok(())
}
