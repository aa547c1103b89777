//! The gates of a stage, judged on what is recorded about exactly this version's digest.
//!
//! A gate reads the newest evaluation of this version on the gate's dataset, byte for byte, that was measured as `[golden]` in
//! `mlops.toml` says: with its `k` and its `map`. These make the judge's name, since others measure something else. What a model
//! judges is an evaluation of its own, under the name of that model and all that it goes by; it counts when people's labels vouch for
//! the judge (`kf judge calibrate`) and when it scored enough of the rows.
//! What is recorded is believed only after it was compared with the audit log.
//! Recorded answers count for production only with `allow-recorded`, because they prove nothing about who gave them.

use crate::base::digest::Digest;
use crate::base::error::{Context as _, Kind, Result};
use crate::base::name::Stage;
use crate::base::verdict::Verdict;
use crate::config::{Bound, Budget, Gate, Golden, Project, Rule};
use crate::domain::eval::gate::{Condition, Judged, Paired, judge_regression, judge_rows, judge_value};
use crate::domain::eval::judged;
use crate::domain::eval::known::known;
use crate::domain::eval::marks::Marks;
use crate::domain::eval::record::{self, Evaluation};
use crate::domain::eval::score::{Scores, is_lost};
use crate::domain::eval::suite;
use crate::domain::golden::Override;
use crate::domain::registry::table::{self, VersionRow};
use crate::release::{attest, calibration, dataset, judging};
use crate::store::View;
use serde_json::json;
use std::borrow::Cow;
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
    /// What names the rows that were asked, when they are not all.
    pub rows: Option<String>,
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
        Ok(Self { k: golden.k, map: golden.map.iter().map(one).collect::<Result<_>>()?, rows: None })
    }

    /// Each column once, in the order of the alphabet.
    fn columns(&self) -> BTreeMap<&str, &'static str> {
        self.map.iter().rev().map(|o| (o.source(), o.field().word())).collect()
    }

    /// The judge's name: `deterministic`, and what differs from the built-in reading.
    pub fn judge(&self) -> String {
        let mut name = "deterministic".to_owned();
        if self.k != Golden::K {
            let _ = write!(name, ";k={}", self.k);
        }
        name + &self.data()
    }

    /// The name of a model that judges (`judging::name`), and what differs from the built-in reading; rankings are none of its business.
    pub fn judge_of(&self, judge: &str) -> String {
        format!("{judge}{}", self.data())
    }

    /// Which data was read, and how.
    fn data(&self) -> String {
        let columns = self.columns();
        let mut name = String::new();
        if !columns.is_empty() {
            let _ = write!(name, ";map={}", Digest::of(json!(columns).to_string().as_bytes()).short());
        }
        if let Some(rows) = &self.rows {
            let _ = write!(name, "{}{rows}", record::PART);
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
        if self.rows != configured.rows {
            differs.push("not all rows of the dataset were asked".to_owned());
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
    /// Which rows must pass each by itself, and which belong together.
    pub marks: &'a Marks,
}

/// How the system of an evaluation ends whose answers were given before, and kept.
pub const FROM_CACHE: &str = ", from the cache";

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
    fresh: &[Fresh<'_>],
) -> Result<Vec<Judged>> {
    judge_as(Subject::Version, (view, project, root), version, stage, fresh)
}

/// The same for a branch, whose version is one of a state that is thrown away: no sentence calls it by a number that means nothing outside.
///
/// # Errors
/// When the state or a dataset cannot be read.
pub fn judge_branch(
    (view, project, root): (View<'_>, &Project, &Path),
    version: &VersionRow,
    stage: Stage,
    fresh: &[Fresh<'_>],
) -> Result<Vec<Judged>> {
    judge_as(Subject::Branch, (view, project, root), version, stage, fresh)
}

fn judge_as(
    subject: Subject,
    (view, project, root): (View<'_>, &Project, &Path),
    version: &VersionRow,
    stage: Stage,
    fresh: &[Fresh<'_>],
) -> Result<Vec<Judged>> {
    let reading = Reading::configured(&project.golden)?;
    let gated = project.gates.iter().any(|gate| gate.guards(&version.name, stage) && is_judged(gate.metric()));
    let model = if gated { judging::name(project)? } else { None };
    let case = Case { subject, view, project, root, version, stage, fresh, reading, model, believed: RefCell::default() };
    project.gates.iter().filter(|gate| gate.guards(&version.name, stage)).map(|gate| judge(&case, gate)).collect()
}

/// The golden datasets that the gates of a stage go by, by name, each with its digest where it can be read.
///
/// # Errors
/// When the state cannot be read.
pub fn datasets(
    view: View<'_>,
    project: &Project,
    root: &Path,
    version: &VersionRow,
    stage: Stage,
) -> Result<BTreeMap<String, Option<Digest>>> {
    let gates = project.gates.iter().filter(|gate| gate.guards(&version.name, stage));
    let named = gates.filter_map(|gate| gate.dataset.as_ref().or(project.golden.dataset.as_ref()));
    let mut found = BTreeMap::new();
    for wanted in named.map(ToString::to_string) {
        let digest = match dataset::identify(view, root, &wanted) {
            Ok((_, digest)) => Some(digest),
            Err(e) if e.kind() == Kind::Broken => return Err(e),
            Err(_) => None,
        };
        found.insert(wanted, digest);
    }
    Ok(found)
}

/// The verdict over all gates.
pub fn overall(judged: &[Judged]) -> Verdict {
    Verdict::all(judged.iter().map(|j| j.verdict))
}

/// What is judged: sentences call it so, and name a command that measures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// A version of the state.
    Version,
    /// What a branch has made of a model.
    Branch,
}

/// What gates are judged on.
struct Case<'a> {
    subject: Subject,
    view: View<'a>,
    project: &'a Project,
    root: &'a Path,
    version: &'a VersionRow,
    stage: Stage,
    fresh: &'a [Fresh<'a>],
    reading: Reading,
    /// The model that judges, when a gate asks for one and `mlops.toml` names it.
    model: Option<String>,
    /// Evaluations that were compared with the log, and whether their row scores were: once is enough for all gates.
    believed: RefCell<BTreeSet<(String, bool)>>,
}

impl Case<'_> {
    /// Whose evaluations have a metric; `None` when a model judges it and none is named.
    fn judge(&self, metric: &str) -> Option<String> {
        if let Some(suite) = suite::of_metric(metric) {
            return Some(self.reading.judge_of(&suite.judge(0)));
        }
        match is_judged(metric) {
            false => Some(self.reading.judge()),
            true => self.model.as_deref().map(|model| self.reading.judge_of(model)),
        }
    }

    /// What a person calls the version.
    fn called(&self) -> String {
        match self.subject {
            Subject::Version => self.version.reference().to_string(),
            Subject::Branch => self.version.name.to_string(),
        }
    }

    /// What a person calls the version that it is compared with.
    fn called_before(&self, production: &VersionRow) -> String {
        match self.subject {
            Subject::Version => format!("{} in production", production.reference()),
            Subject::Branch => "what there was before".to_owned(),
        }
    }

    /// The command that measures it on a dataset.
    fn evaluate(&self, dataset: &str, metric: &str) -> String {
        match self.subject {
            Subject::Version => format!("run `kf eval {} --dataset {dataset}{}`", self.version.reference(), of_suite(metric)),
            Subject::Branch => "run `kf eval --changed`".to_owned(),
        }
    }

    /// The command that measures what it is compared with.
    fn evaluate_before(&self, production: &VersionRow, metric: &str) -> String {
        match self.subject {
            Subject::Version => format!("run `kf eval {}{}`", production.reference(), of_suite(metric)),
            Subject::Branch => "run `kf eval --changed`".to_owned(),
        }
    }

    /// Why there is no evaluation that counts; `others` of the dataset may be there.
    fn unmeasured(&self, others: bool, metric: &str) -> &'static str {
        match (self.subject, others, is_judged(metric)) {
            (Subject::Branch, _, false) => {
                " of all its rows with the `k` and `map` of `[golden]` in mlops.toml: leave out `--sample`, `--limit`, `--k` and `--map`"
            }
            (Subject::Branch, _, true) => " by the judge of `[judge]` in mlops.toml that came to its end on all rows",
            _ if !of_suite(metric).is_empty() => " by this suite",
            (_, false, _) => "",
            (_, true, false) => " with the `k` and `map` of `[golden]` in mlops.toml",
            (_, true, true) => " by the judge of `[judge]` in mlops.toml",
        }
    }

    /// Makes sure that an evaluation is the one that was recorded.
    fn believe(&self, version: &VersionRow, (found, metric): (&Evaluation, &str), scores: bool) -> Result<()> {
        attest::newest_with(self.view, version, found, metric)?;
        let mut believed = self.believed.borrow_mut();
        if !believed.contains(&(found.id.clone(), scores)) {
            attest::recorded(self.view, version, found, scores)?;
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
    let evaluate = case.evaluate(&wanted, metric);
    let Some(by) = case.judge(metric) else {
        return open(format!("a model judges {metric}, and mlops.toml names none: add `[judge]` with `provider` and `model`"));
    };
    let is_it = |f: &&Fresh<'_>| {
        f.evaluation.dataset_digest == digest && f.evaluation.judge == by && f.evaluation.metric(metric).is_some()
    };
    let fresh = fresh.iter().find(is_it).copied();
    let found = match fresh {
        Some(fresh) => Some(fresh.evaluation.clone()),
        None => newest(view, version, (&digest, &by), metric)?,
    };
    let Some(found) = found else {
        let others = record::of_version(view, version.id, OTHERS)?.iter().any(|e| e.dataset_digest == digest);
        let with = case.unmeasured(others, metric);
        return open(format!("{} has no evaluation on {name} ({}){with}: {evaluate}", case.called(), digest.short()));
    };
    if found.system == "recorded" && stage == Stage::Production && !gate.allow_recorded {
        return open(format!(
            "its evaluation used recorded answers: set `allow-recorded = true` in this gate, or answer live and {evaluate}"
        ));
    }
    if found.system.ends_with(FROM_CACHE) && metric == Budget::LatencyP95.word() {
        return open(format!(
            "its answers came from the cache, so their time is that of another run: {evaluate} with `--cache off`"
        ));
    }
    if let Some(why) = unfit(case, gate, &found)? {
        return open(why);
    }
    if let Condition::Regression { .. } = condition {
        let judged = compare(case, (&digest, &by), gate, &condition, (&found, fresh))?;
        return Ok(Judged { evaluation: Some(found.id), dataset: Some(digest), ..judged });
    }
    // Which rows must pass is told among the scores.
    let rows = matches!(condition, Condition::Absolute { .. });
    if fresh.is_none() {
        case.believe(version, (&found, metric), rows)?;
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

/// The newest evaluation that computed a metric, else the newest that did not.
fn newest(view: View<'_>, version: &VersionRow, (dataset, by): (&Digest, &str), metric: &str) -> Result<Option<Evaluation>> {
    match record::newest_of(view, version.id, dataset, by, metric)? {
        None => record::newest(view, version.id, dataset, by),
        found => Ok(found),
    }
}

/// The scores of the rows that must pass.
fn must_pass(view: View<'_>, found: &Evaluation, metric: &str, fresh: Option<Fresh<'_>>) -> Result<Vec<(String, Option<f64>)>> {
    let marks = marks(view, found, fresh)?;
    if marks.must_pass().next().is_none() {
        return Ok(Vec::new());
    }
    let scores: BTreeMap<String, f64> = scores_of(view, found, metric, fresh)?.into_iter().collect();
    let reasons: BTreeMap<String, String> = match fresh {
        None => record::unscored_rows(view, &found.id, metric)?.into_iter().collect(),
        Some(fresh) => {
            let mine = fresh.scores.rows.iter().filter(|r| r.metric == metric);
            mine.filter_map(|r| Some((r.row.clone(), r.reason.clone()?))).collect()
        }
    };
    // A row without a reference can be a row that must pass by another metric, and holds up no gate on this one.
    let counts = |row: &&str| reasons.get(*row).is_none_or(|reason| is_lost(reason));
    Ok(marks.must_pass().filter(counts).map(|row| (row.to_owned(), scores.get(row).copied())).collect())
}

/// What marks the rows of an evaluation have.
fn marks<'a>(view: View<'_>, found: &Evaluation, fresh: Option<Fresh<'a>>) -> Result<Cow<'a, Marks>> {
    fresh.map_or_else(|| Marks::recorded(view, &found.id).map(Cow::Owned), |fresh| Ok(Cow::Borrowed(fresh.marks)))
}

/// The scored rows of an evaluation by one metric.
fn scores_of(view: View<'_>, found: &Evaluation, metric: &str, fresh: Option<Fresh<'_>>) -> Result<Vec<(String, f64)>> {
    let Some(fresh) = fresh else { return record::scored_rows(view, &found.id, metric) };
    let mine = fresh.scores.rows.iter().filter(|r| r.metric == metric);
    Ok(mine.filter_map(|r| Some((r.row.clone(), r.value?))).collect())
}

/// Why no gate goes by what a judge found; `None` when one may, and for metrics that nobody judges.
fn unfit(case: &Case<'_>, gate: &Gate, found: &Evaluation) -> Result<Option<String>> {
    let (metric, Some(judge)) = (gate.metric(), &case.project.judge) else { return Ok(None) };
    if !is_judged(metric) {
        return Ok(None);
    }
    if let Some(sum) = found.metric(metric) {
        #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
        let share = sum.n as f64 / (sum.total.max(1)) as f64;
        if sum.n > 0 && share < judge.min_coverage {
            let needed = judge.min_coverage * 100.0;
            return Ok(Some(format!("{} of {} rows have a score, `judge.min-coverage` asks for {needed} %", sum.n, sum.total)));
        }
    }
    if gate.allow_uncalibrated {
        return Ok(None);
    }
    let name = judged::name::of_evaluation(&found.judge).unwrap_or(&found.judge);
    let why = match calibration::newest(case.view, name, metric)? {
        None => Some("nobody compared it with people's labels".to_owned()),
        Some(calibration) => calibration.agreement.refused(),
    };
    let next = format!("`kf judge calibrate LABELS --metric {metric}`, or `allow-uncalibrated = true` in this gate");
    Ok(why.map(|why| format!("the judge {name} decides no gate: {why}; {next}")))
}

/// How a command line asks for the suite of a metric.
fn of_suite(metric: &str) -> String {
    suite::of_metric(metric).map(|suite| format!(" --suite {suite}")).unwrap_or_default()
}

fn is_judged(metric: &str) -> bool {
    known(metric).is_some_and(|m| m.judged)
}

fn compare(
    case: &Case<'_>,
    (dataset, by): (&Digest, &str),
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
    let (called, evaluate) = (case.called_before(&production), case.evaluate_before(&production, metric));
    let Some(base) = newest(view, &production, (dataset, by), metric)? else {
        return open(format!("{called} has no evaluation on this dataset: {evaluate}"));
    };
    if base.metric(metric).is_none() {
        return open(format!("no evaluation of {called} on this dataset computed {metric}: {evaluate}"));
    }
    if base.system == "recorded" && stage == Stage::Production && !gate.allow_recorded {
        return open(format!(
            "the evaluation of {} used recorded answers: set `allow-recorded = true` in this gate, or answer live",
            case.called_before(&production)
        ));
    }
    attest::version(view, &production)?;
    case.believe(&production, (&base, metric), true)?;
    if fresh.is_none() {
        case.believe(version, (found, metric), true)?;
    }
    let candidate = scores_of(view, found, metric, fresh)?;
    let production = record::scored_rows(view, &base.id, metric)?;
    let marks = marks(view, found, fresh)?;
    let paired = Paired { candidate: &candidate, production: &production, marks: &marks };
    let judged = judge_regression(name, metric, condition, &paired);
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
            let higher_is_better = known(metric).is_none_or(|m| m.higher_is_better());
            Condition::Regression { margin: *margin, higher_is_better }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(k: u32, map: &[(&str, &str)]) -> Reading {
        let map = map.iter().map(|(column, field)| Override::new(column, field).expect("a field")).collect();
        Reading { k: NonZeroU32::new(k).expect("not 0"), map, rows: None }
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
        let some = Reading { rows: Some("5-0123".into()), ..reading(5, &[]) };
        assert!(some.judge().ends_with(";rows=5-0123") && some.ignored(&all[0]).is_some());
        assert_eq!(reading(3, &[("a", "id")]).judge_of("m"), reading(5, &[("a", "id")]).judge_of("m"), "rankings are not judged");
        let told = reading(3, &[]).ignored(&all[0]);
        let wanted = "gates take no notice of this evaluation: mlops.toml says k = 5, set `k = 3` in `[golden]`";
        assert_eq!(told.as_deref(), Some(wanted));
    }
}
