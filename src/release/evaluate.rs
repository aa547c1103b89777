//! Evaluating a version: a golden dataset, answers, scores, and what is recorded about them.

use super::attest;
use super::checkout::{check_out, manifest_of};
use super::dataset::{self, Dataset};
use crate::adapters::embedder::builtin::builtin;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::base::text::{did_you_mean, visible};
use crate::base::time::Timestamp;
use crate::config::{Gate, Project};
use crate::domain::eval::compare::Pairs;
use crate::domain::eval::judged::{self, JudgedId};
use crate::domain::eval::known::known;
use crate::domain::eval::marks::Marks;
use crate::domain::eval::metrics::{self, MetricId, Near};
use crate::domain::eval::record::{self, Evaluation, NewEvaluation, RowScore, Summary};
use crate::domain::eval::score::{How, Scores, score_samples};
use crate::domain::eval::slice::{self, Sliced};
use crate::domain::golden::{self, Answer, Mapping, Override, Problems, Unmatched};
use crate::domain::registry::table::{self, VersionRow};
use crate::seams::answerer::{self, Answerer, Question, Tokens};
use crate::stats::power;
use crate::store::objects::Objects;
use crate::store::{Store, View};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// The golden dataset, read, with what identifies it.
pub struct Loaded {
    /// Name and digest.
    pub dataset: Dataset,
    /// The rows.
    pub golden: golden::Dataset,
}

/// Reads a golden dataset.
///
/// # Errors
/// When it is not there, or with every problem found in it.
pub fn load(store: &Store, objects: &Objects, root: &Path, wanted: &str, map: &[Override]) -> Result<Loaded> {
    let dataset = store.read(|view| dataset::load(view, objects, root, wanted))?;
    let golden = golden::read(&dataset.file, &dataset.bytes, map).map_err(|p| refused("dataset", &dataset.name, &p))?;
    Ok(Loaded { dataset, golden })
}

fn refused(what: &str, name: &str, found: &Problems) -> Error {
    Error::new(format!("the {what} {name} cannot be used:\n{found}"))
        .hint("mend these lines; `--map COLUMN=FIELD` says which column is which field")
}

/// The answers that stand beside the questions.
///
/// # Errors
/// When there is none.
pub fn answers_in_dataset(loaded: &Loaded) -> Result<HashMap<String, Answer>> {
    let mut answers: HashMap<String, Answer> =
        loaded.golden.rows.iter().filter_map(|r| Some((r.id.clone(), Answer::of_row(r)?))).collect();
    if answers.is_empty() {
        return Err(Error::new(format!("{} holds no answers, and nothing says how a version answers", loaded.dataset.name))
            .hint(
                "give recorded answers with `--answers FILE`, or set `[system] kind = \"command\"`, \"http\" or \"builtin\" in mlops.toml",
            ));
    }
    fill(&mut answers, loaded, &loaded.dataset.name);
    Ok(answers)
}

/// A row that nobody answered is one that the system failed on: a file that leaves out the hard questions must not look better for it.
fn fill(answers: &mut HashMap<String, Answer>, loaded: &Loaded, file: &str) {
    for row in &loaded.golden.rows {
        let missing = || Answer { error: Some(format!("{file} has no answer to it")), ..Answer::default() };
        answers.entry(row.id.clone()).or_insert_with(missing);
    }
}

/// Answers that were recorded in a file of their own.
pub struct Recorded {
    /// By row id.
    pub answers: HashMap<String, Answer>,
    /// How the file's fields were read.
    pub mapping: Mapping,
    /// Answers that belong to no row: the line, the id or question that they name, and why.
    pub unmatched: Vec<(usize, String, Unmatched)>,
}

/// Answers from a file.
///
/// # Errors
/// When it cannot be read, with every problem found in it, or when a row is answered twice.
pub fn answers_from_file(path: &Path, loaded: &Loaded, map: &[Override]) -> Result<Recorded> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).context(|| format!("cannot read the answers {name}"))?;
    let file = golden::read_answers(&name, &bytes, map).map_err(|p| refused("file of answers", &name, &p))?;
    let joined = golden::join(&loaded.golden.rows, &file.answers);
    file.check_once(&name, &joined).map_err(|p| {
        Error::new(format!("the file of answers {name} cannot be used:\n{p}")).hint("leave one answer for each row")
    })?;
    let mut answers: HashMap<String, Answer> =
        joined.pairs.iter().filter_map(|(row, answer)| Some((row.id.clone(), (*answer)?.clone()))).collect();
    if answers.is_empty() {
        return Err(Error::new(format!("no answer in {name} belongs to a row of {}", loaded.dataset.name))
            .hint("answers are joined by `id`, or by `question` where they have no id"));
    }
    fill(&mut answers, loaded, &path.file_name().unwrap_or_default().to_string_lossy());
    let unmatched = joined.unmatched.iter().map(|(i, why)| (file.lines[*i], file.answers[*i].names().to_owned(), *why)).collect();
    Ok(Recorded { answers, mapping: file.mapping, unmatched })
}

/// What a system answered to every question once.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// The answers by row id; one that did not come is there with its error.
    pub answers: HashMap<String, Answer>,
    /// When those were given that nobody was asked for now, where that is known.
    pub kept: Vec<Option<Timestamp>>,
}

/// Asks a system the questions of some rows for the `sample`-th time, from 0.
///
/// # Errors
/// When the system cannot be asked at all; a question that fails is an answer with its error.
pub fn round(system: &dyn Answerer, rows: &[golden::Row], sample: u32, progress: &dyn Fn()) -> Result<Round> {
    let question = |r: &golden::Row| Question {
        id: r.id.clone(),
        question: r.question.clone(),
        contexts: None,
        meta: r.extra.clone(),
        sample,
    };
    let questions: Vec<Question> = rows.iter().map(question).collect();
    let mut round = Round::default();
    system.answer(&questions, &mut |answered| {
        progress();
        if let Ok(a) = &answered.outcome {
            round.kept.extend(a.kept.map(|kept| kept.at));
        }
        round.answers.insert(answered.id, answer_of(answered.outcome));
        Ok(())
    })?;
    Ok(round)
}

/// What became of a question, as answers are scored.
pub(super) fn answer_of(outcome: std::result::Result<answerer::Answer, String>) -> Answer {
    match outcome {
        Ok(a) => Answer {
            answer: Some(a.text),
            contexts: a.contexts.unwrap_or_default(),
            context_ids: a.context_ids.unwrap_or_default(),
            latency_ms: a.latency_ms,
            cost_usd: a.cost.map(crate::base::quantity::MicroUsd::usd),
            tokens: total(a.tokens),
            ..Answer::default()
        },
        // It becomes the reason why a row has no score, and a state keeps no U+0000.
        Err(error) => Answer { error: Some(error.replace('\0', "\u{fffd}")), ..Answer::default() },
    }
}

/// Tokens in and out; unknown when the system stated only one of them.
fn total(tokens: Tokens) -> Option<u64> {
    tokens.input?.checked_add(tokens.output?)
}

/// Writes a version's files into a scratch folder, for a system that answers with them.
///
/// # Errors
/// When an object is missing or damaged.
pub fn unpack(objects: &Objects, version: &VersionRow) -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir().context(|| "cannot make a scratch folder")?;
    check_out(objects, &manifest_of(objects, version)?, dir.path(), false)?;
    Ok(dir)
}

/// The metrics asked for by name: those that are computed, and those that are judged. When none that is computed is named, all are but
/// the proxies; these are computed where they are asked for by name, here or by a gate.
///
/// # Errors
/// When a name is no metric.
pub fn metrics_of(names: &[String], gates: &[Gate]) -> Result<(Vec<MetricId>, Vec<JudgedId>)> {
    let all = || metrics::all().iter().map(|m| m.name).chain(judged::all().iter().map(|m| m.name));
    let (mut computed, mut asked) = (Vec::new(), Vec::new());
    for name in names {
        match (metrics::find(name), judged::find(name)) {
            (Some(m), _) => computed.push(m.id),
            (None, Some(m)) => asked.push(m.id),
            (None, None) => {
                let e = Error::usage(format!("there is no metric `{}`", visible(name, 40)));
                return Err(did_you_mean(name, all()).into_iter().fold(e, Error::hint));
            }
        }
    }
    if computed.is_empty() {
        let gated = |m: &metrics::MetricInfo| gates.iter().any(|g| g.metric() == m.name);
        computed = metrics::all().iter().filter(|m| !m.id.is_proxy() || gated(m)).map(|m| m.id).collect();
    }
    Ok((computed, asked))
}

/// The judged metrics of every evaluation of a model: those of `[judge]` and those that its gates name.
pub fn judged_of(project: &Project, model: &Name) -> Vec<JudgedId> {
    let Some(judge) = &project.judge else { return Vec::new() };
    let guards = |gate: &&Gate| gate.models.as_ref().is_none_or(|models| models.contains(model));
    let gated = project.gates.iter().filter(guards).map(Gate::metric);
    let named: BTreeSet<&str> = judge.metrics.iter().map(String::as_str).chain(gated).collect();
    named.into_iter().filter_map(judged::find).map(|m| m.id).collect()
}

/// Scores the answers; of several to each question the mean counts.
pub fn score(loaded: &Loaded, answers: &[&HashMap<String, Answer>], wanted: &[MetricId], k: NonZeroU32, jobs: usize) -> Scores {
    score_rows(&loaded.golden.rows, answers, wanted, k, jobs)
}

/// Scores the answers to some rows, as [`score`].
pub fn score_rows(
    rows: &[golden::Row],
    answers: &[&HashMap<String, Answer>],
    wanted: &[MetricId],
    k: NonZeroU32,
    jobs: usize,
) -> Scores {
    let k = usize::try_from(k.get()).unwrap_or(usize::MAX);
    score_samples(rows, answers, wanted, How { k, near: Some(Near(builtin())) }, jobs)
}

/// Records an evaluation: rows first, then the sums with their event. A kill between the two leaves rows that nothing names.
///
/// # Errors
/// When the state cannot be written.
pub fn keep(
    store: &Store,
    version: &VersionRow,
    loaded: &Loaded,
    (judge, system): (&str, &str),
    scores: &Scores,
) -> Result<Evaluation> {
    let id = store.random().uuid(store.now()).to_string();
    let rows = Marks::of(&loaded.golden.rows).with(&scores.rows);
    let new = NewEvaluation {
        id: id.clone(),
        version: version.clone(),
        dataset: loaded.dataset.name.clone(),
        dataset_digest: loaded.dataset.digest,
        judge: judge.into(),
        system: system.into(),
        rows: i64::try_from(loaded.golden.rows.len()).unwrap_or(i64::MAX),
        rows_digest: record::digest_of(&rows)?,
        metrics: scores.sums.clone(),
    };
    store.feed(|feed| record::append_rows(feed, &id, &rows))?;
    store.write(|tx| {
        let event = record::record(tx, &new)?;
        Ok(Evaluation {
            id: id.clone(),
            digest: version.digest,
            dataset: new.dataset.clone(),
            dataset_digest: new.dataset_digest,
            judge: new.judge.clone(),
            system: new.system.clone(),
            rows: new.rows,
            rows_digest: new.rows_digest,
            at: tx.now(),
            actor: tx.actor().to_owned(),
            event,
            metrics: new.metrics.clone(),
        })
    })
}

/// A metric of two versions, paired by row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The metric.
    pub metric: String,
    /// The candidate's mean over the rows that both have.
    pub candidate: f64,
    /// Production's.
    pub production: f64,
    /// Candidate minus production.
    pub difference: f64,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end of its 95 % interval.
    pub high: Option<f64>,
    /// Rows that both have.
    pub n: usize,
    /// Clusters of them, where rows share one: only these are independent.
    pub clusters: Option<usize>,
    /// The least difference that so many rows show with power 0.8; `None` where their spread is not known.
    pub detectable: Option<f64>,
    /// `better`, `worse` or `inconclusive`.
    pub verdict: &'static str,
    /// About how many rows would decide it, when it is inconclusive.
    pub needed: Option<u64>,
    /// The two-sided chance of so large a difference when there is none, for whoever corrects it for other tests.
    #[serde(skip)]
    pub p_value: f64,
}

/// What the version in production scored, by metric and row.
type Before = HashMap<String, HashMap<String, f64>>;

/// The version in production, with the scores of its newest evaluations on the same dataset that computed these metrics; `None` when there
/// is none.
fn against(view: View<'_>, version: &VersionRow, evaluation: &Evaluation) -> Result<Option<(VersionRow, Before)>> {
    let Some(production) = table::in_production(view, version.model)?.filter(|p| p.id != version.id) else { return Ok(None) };
    let (mut before, mut believed) = (Before::new(), BTreeSet::new());
    for sum in &evaluation.metrics {
        let (dataset, judge) = (&evaluation.dataset_digest, &evaluation.judge);
        let Some(base) = record::newest_of(view, production.id, dataset, judge, &sum.metric)? else { continue };
        if believed.is_empty() {
            attest::version(view, &production)?;
        }
        if believed.insert(base.id.clone()) {
            attest::recorded(view, &production, &base, true)?;
        }
        attest::newest_with(view, &production, &base, &sum.metric)?;
        before.insert(sum.metric.clone(), record::scored_rows(view, &base.id, &sum.metric)?.into_iter().collect());
    }
    Ok((!before.is_empty()).then_some((production, before)))
}

/// Compares an evaluation with the newest one of the version in production on the same dataset; `None` when there is none.
///
/// # Errors
/// When the state cannot be read, or what it holds of that version is not what the audit log recorded.
pub fn compare(
    store: &Store,
    version: &VersionRow,
    evaluation: &Evaluation,
    (loaded, scores): (&Loaded, &Scores),
) -> Result<Option<(VersionRow, Vec<Compared>)>> {
    let clusters = clusters_of(loaded);
    store.read(|view| {
        let Some((production, before)) = against(view, version, evaluation)? else { return Ok(None) };
        let one = |sum: &Summary| {
            let before = before.get(&sum.metric)?;
            compare_metric(&sum.metric, &|row| before.get(row).copied(), &scores.rows, &clusters)
        };
        Ok(Some((production, evaluation.metrics.iter().filter_map(one).collect())))
    })
}

/// Compares scores of the same rows that nobody recorded: those of before with those of now.
pub fn paired(loaded: &Loaded, before: &Scores, now: &Scores) -> Vec<Compared> {
    let clusters = clusters_of(loaded);
    let scored = |r: &&RowScore| r.value.is_some();
    let old: HashMap<(&str, &str), Option<f64>> =
        before.rows.iter().filter(scored).map(|r| ((r.metric.as_str(), r.row.as_str()), r.value)).collect();
    let one = |metric: &str| compare_metric(metric, &|row| old.get(&(metric, row)).copied().flatten(), &now.rows, &clusters);
    now.sums.iter().filter_map(|sum| one(&sum.metric)).collect()
}

/// The cluster of each row that is in one.
fn clusters_of(loaded: &Loaded) -> HashMap<&str, &str> {
    loaded.golden.rows.iter().filter_map(|r| Some((r.id.as_str(), r.cluster.as_deref()?))).collect()
}

/// One metric on the rows that have a score before and now.
fn compare_metric(
    metric: &str,
    before: &dyn Fn(&str) -> Option<f64>,
    now: &[RowScore],
    clusters: &HashMap<&str, &str>,
) -> Option<Compared> {
    let now = now.iter().filter(|r| r.metric == metric);
    let pair = |r: &RowScore| Some((before(&r.row)?, r.value?, clusters.get(r.row.as_str()).copied()));
    compare_pairs(metric, Pairs::of(now.filter_map(pair)))
}

/// Every metric in every slice of the dataset, against production where there is one.
///
/// # Errors
/// As [`compare`].
pub fn slices(
    store: &Store,
    version: &VersionRow,
    evaluation: &Evaluation,
    (loaded, scores): (&Loaded, &Scores),
) -> Result<Vec<Sliced>> {
    let mut production = HashMap::new();
    store.read(|view| {
        let Some((_, before)) = against(view, version, evaluation)? else { return Ok(()) };
        for (metric, rows) in before {
            production.extend(rows.into_iter().map(|(row, value)| ((metric.clone(), row), value)));
        }
        Ok(())
    })?;
    Ok(slice::table(&loaded.golden.rows, &scores.rows, &production))
}

fn compare_pairs(metric: &str, pairs: Pairs) -> Option<Compared> {
    // Which is better is what the exact test decides, so the interval need not also count what rows not seen may do.
    let info = known(metric);
    let pairs = pairs.spanning(info.map(|m| m.span()));
    let found = pairs.compared()?;
    let scores = pairs.scores();
    let higher_is_better = info.is_none_or(|m| m.higher_is_better());
    let interval = found.interval.map(|i| info.map_or(i, |m| i.within(-m.span(), m.span())));
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    let n = scores.len() as f64;
    let verdict = match interval {
        // A few rows that all differ by the same have an interval without width; the exact test knows what they prove.
        _ if found.p_value > power::ALPHA => None,
        Some(i) if i.low > 0.0 => Some(higher_is_better),
        Some(i) if i.high < 0.0 => Some(!higher_is_better),
        _ => None,
    };
    let needed = || found.sd.and_then(|sd| power::rows_needed(sd, found.difference)).filter(|rows| *rows > scores.len() as u64);
    Some(Compared {
        metric: metric.to_owned(),
        candidate: scores.iter().map(|p| p.1).sum::<f64>() / n,
        production: scores.iter().map(|p| p.0).sum::<f64>() / n,
        difference: found.difference,
        low: interval.map(|i| i.low),
        high: interval.map(|i| i.high),
        n: scores.len(),
        clusters: found.clusters,
        detectable: found.detectable(scores.len()),
        verdict: match verdict {
            Some(true) => "better",
            Some(false) => "worse",
            None => "inconclusive",
        },
        needed: if verdict.is_none() { needed() } else { None },
        p_value: found.p_value,
    })
}

/// Where a file of a report goes: `KIND=PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFile {
    /// `junit`, `html`, `markdown` or `json`.
    pub kind: String,
    /// The file.
    pub path: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pairs: &[(f64, f64)]) -> (&'static str, Option<u64>) {
        let pairs = Pairs::of(pairs.iter().map(|(before, now)| (*before, *now, None)));
        let c = compare_pairs("token-f1", pairs).expect("a comparison");
        assert!(c.low.is_none_or(|l| l >= -1.0) && c.high.is_none_or(|h| h <= 1.0), "{c:?}");
        (c.verdict, c.needed)
    }

    /// With n rows that all differ by the same the sign-flip test gives p = 2 / 2ⁿ: below 0.05 from six rows on.
    #[test]
    fn few_rows_that_agree_decide_nothing() {
        let same = |n: usize| vec![(0.5, 0.75); n];
        assert_eq!(
            (verdict(&same(2)), verdict(&same(5)), verdict(&same(6))),
            (("inconclusive", None), ("inconclusive", None), ("better", None))
        );
        let worse: Vec<_> = same(6).into_iter().map(|(a, b)| (b, a)).collect();
        assert_eq!(verdict(&worse).0, "worse");
        assert_eq!(verdict(&[(0.0, 0.9), (0.9, 0.1)]).0, "inconclusive");
        let open = [(0.5, 0.9), (0.5, 0.2), (0.5, 0.8), (0.5, 0.4), (0.5, 0.9), (0.5, 0.3)];
        assert!(matches!(verdict(&open), ("inconclusive", Some(n)) if n > 6), "{:?}", verdict(&open));
    }
}
