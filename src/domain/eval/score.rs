//! From rows and answers to scores: every metric on every row, then each metric in sum. Pure; rows are shared out over threads,
//! and the result does not depend on how many.

use super::marks::Marks;
use super::metrics::contexts::Alike;
use super::metrics::{self, MetricId};
use super::record::{RowScore, Summary, unstated, why_unscored};
use crate::domain::golden::{Answer, Row};
use crate::stats::{clustered, describe, interval};
use std::collections::{BTreeMap, HashMap};

/// The budget metrics, which look at answers rather than at what they say.
pub const COST_PER_QUERY: &str = "cost-per-query";
/// The 95th percentile of the latency, in milliseconds.
pub const LATENCY_P95: &str = "latency-p95";
/// The share of questions that the system failed on.
pub const ERROR_RATE: &str = "error-rate";
/// The share of questions that have an answer to score.
pub const COVERAGE: &str = "coverage";

/// How the reason of a row begins that has no score because something went wrong, rather than because there is nothing to score.
pub const ERROR: &str = "error: ";

/// How the reason of a row begins that the system did not answer.
pub const FAILED: &str = "the system failed";

/// True when a row has no score because something went wrong, or was not done, rather than because it has nothing that a metric could score
/// (no reference, no name to exchange).
pub fn is_lost(reason: &str) -> bool {
    let lost =
        [FAILED, ERROR, "the row has no answer", "the row has no retrieved contexts", "the judge's answer", "it was not asked"];
    lost.iter().any(|start| reason.starts_with(start))
}

/// Scores of a whole dataset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Every row by every metric, in the order of rows and then of metric names.
    pub rows: Vec<RowScore>,
    /// Every metric asked for and every budget, by name; those that could not be had with the reason.
    pub sums: Vec<Summary>,
    /// What of each of `rows` every answer scored, in the order in which they were given; empty where rows were answered once.
    pub each: Vec<Vec<Option<f64>>>,
}

/// What metrics need beside the row.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// How much of a ranking counts.
    pub k: usize,
    /// The vectors that proxies compare by.
    pub near: Option<metrics::Near<'a>>,
}

impl From<usize> for How<'_> {
    fn from(k: usize) -> Self {
        Self { k, near: None }
    }
}

/// Scores all rows. `k` is how much of a ranking counts, where no vectors are needed.
pub fn score_all<'a>(
    rows: &[Row],
    answers: &HashMap<String, Answer>,
    wanted: &[MetricId],
    k: impl Into<How<'a>>,
    jobs: usize,
) -> Scores {
    score_samples(rows, &[answers], wanted, k, jobs)
}

/// Scores rows that were answered several times, once in each of `samples`. A row's score is the mean over those of its answers that have
/// one, so the spread of rows is what they differ by and what is left of the spread of answers, (between + within / K) / n in a mean.
pub fn score_samples<'a>(
    rows: &[Row],
    samples: &[&HashMap<String, Answer>],
    wanted: &[MetricId],
    k: impl Into<How<'a>>,
    jobs: usize,
) -> Scores {
    let k = k.into();
    let mut wanted = wanted.to_vec();
    wanted.sort_by_key(|m| m.word());
    wanted.dedup();
    let (scored, each) = mean_of(samples.iter().map(|answers| score_rows(rows, answers, &wanted, k, jobs)));
    let marks = Marks::of(rows);
    let of = |m: &MetricId| summary(m.word(), metrics::info(*m).range, &scored, (&marks, rows.len()));
    let mut sums: Vec<Summary> = wanted.iter().map(of).collect();
    sums.extend(budgets(rows, samples));
    sums.sort_by(|a, b| a.metric.cmp(&b.metric));
    Scores { rows: scored, sums, each }
}

/// One score for each row and metric out of those of several answers, which stand in the same order, and what each of them scored.
fn mean_of(samples: impl Iterator<Item = Vec<RowScore>>) -> (Vec<RowScore>, Vec<Vec<Option<f64>>>) {
    let mut all: Vec<Vec<RowScore>> = samples.collect();
    if all.len() < 2 {
        return (all.pop().unwrap_or_default(), Vec::new());
    }
    let each = (0..all[0].len()).map(|at| all.iter().map(|sample| sample[at].value).collect()).collect();
    let one = |at: usize| {
        let values: Vec<f64> = all.iter().filter_map(|sample| sample[at].value).collect();
        match describe::mean(&values) {
            Some(mean) => RowScore { value: Some(mean + 0.0), reason: None, ..all[0][at].clone() },
            None => all[0][at].clone(),
        }
    };
    ((0..all[0].len()).map(one).collect(), each)
}

fn score_rows(rows: &[Row], answers: &HashMap<String, Answer>, wanted: &[MetricId], k: How<'_>, jobs: usize) -> Vec<RowScore> {
    let share = rows.len().div_ceil(jobs.max(1)).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = rows
            .chunks(share)
            .enumerate()
            .map(|(i, part)| {
                scope.spawn(move || {
                    let number = |j: usize| i64::try_from(i * share + j).unwrap_or(i64::MAX);
                    part.iter().enumerate().flat_map(|(j, row)| score_row(number(j), row, answers, wanted, k)).collect::<Vec<_>>()
                })
            })
            .collect();
        parts.into_iter().flat_map(|p| p.join().expect("scoring does not panic")).collect()
    })
}

fn score_row(pos: i64, row: &Row, answers: &HashMap<String, Answer>, wanted: &[MetricId], k: How<'_>) -> Vec<RowScore> {
    let answer = answers.get(&row.id);
    let contexts: &[String] = answer.map_or(&[], |a| &a.contexts);
    // Two metrics read it, and nothing else takes as long.
    let needs_alike = wanted.iter().any(|m| matches!(m, MetricId::ContextPrecision | MetricId::ContextRecall));
    let alike = needs_alike.then(|| Alike::of(contexts, &row.reference_contexts));
    let view = metrics::Row {
        answer: answer.and_then(|a| a.answer.as_deref()),
        references: &row.references,
        contexts,
        reference_contexts: &row.reference_contexts,
        context_ids: answer.map_or(&[], |a| &a.context_ids),
        reference_context_ids: &row.reference_context_ids,
        relevance: row.relevance.as_ref(),
        answerable: row.answerable,
        alike: alike.as_ref(),
        question: &row.question,
        near: k.near,
    };
    let failed = answer.and_then(|a| a.error.as_deref().filter(|_| a.answer.is_none()));
    let one = |metric: &MetricId| {
        let score = match failed {
            Some(error) => metrics::Score::Unscored(format!("{FAILED}: {error}").into()),
            None => metrics::score(*metric, &view, k.k),
        };
        RowScore {
            pos,
            row: row.id.clone(),
            metric: metric.word().to_owned(),
            // SQLite keeps no negative zero, and the digest that seals the rows must be that of what is read back.
            value: score.value().map(|v| v + 0.0),
            reason: score.reason().map(str::to_owned),
        }
    };
    wanted.iter().map(one).collect()
}

/// A metric of a range in sum, of so many rows that are marked so. The interval counts rows of one cluster together.
pub fn summary(metric: &str, range: (f64, f64), rows: &[RowScore], (marks, total): (&Marks, usize)) -> Summary {
    let mine = || rows.iter().filter(|r| r.metric == metric);
    let scored = || mine().filter_map(|r| Some((r.row.as_str(), r.value?)));
    let values: Vec<f64> = scored().map(|(_, value)| value).collect();
    let clusters = marks.clusters(scored().map(|(row, _)| row));
    let range = clustered::of_scores(&values, &clusters, range, interval::CONFIDENCE);
    Summary {
        metric: metric.to_owned(),
        mean: describe::mean(&values),
        low: range.map(|i| i.low),
        high: range.map(|i| i.high),
        n: count(values.len()),
        total: count(total),
        unscored: if values.is_empty() { most_frequent(mine().filter_map(|r| r.reason.as_deref())) } else { None },
    }
}

/// The reason given most often, the first of them in the order of the alphabet, and for how many others there are.
fn most_frequent<'a>(reasons: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut counted: BTreeMap<&str, i64> = BTreeMap::new();
    reasons.for_each(|reason| *counted.entry(reason).or_default() += 1);
    why_unscored(counted.into_iter().map(|(reason, n)| (reason.to_owned(), n)))
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn budgets(rows: &[Row], samples: &[&HashMap<String, Answer>]) -> Vec<Summary> {
    let given: Vec<&Answer> = samples.iter().flat_map(|answers| rows.iter().filter_map(|r| answers.get(&r.id))).collect();
    let latencies: Vec<f64> = given.iter().filter_map(|a| a.latency_ms).collect();
    let costs: Vec<f64> = given.iter().filter_map(|a| a.cost_usd).collect();
    // Rows of which every answer says it: a gate asks whether all do.
    let stated = |says: &dyn Fn(&Answer) -> bool| {
        rows.iter().filter(|r| samples.iter().all(|answers| answers.get(&r.id).is_some_and(says))).count()
    };
    let plain = |metric: &str, mean: Option<f64>, n: usize| Summary {
        metric: metric.to_owned(),
        mean,
        low: None,
        high: None,
        n: count(n),
        total: count(rows.len()),
        unscored: if mean.is_none() { unstated(metric) } else { None },
    };
    let answered = given.iter().filter(|a| a.answer.is_some()).count();
    let asked = rows.len() * samples.len();
    let failed = asked - answered;
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    let share = |n: usize| (asked > 0).then(|| n as f64 / asked as f64);
    vec![
        plain(COST_PER_QUERY, describe::mean(&costs), stated(&|a| a.cost_usd.is_some())),
        plain(LATENCY_P95, describe::quantile(&latencies, 0.95), stated(&|a| a.latency_ms.is_some())),
        plain(ERROR_RATE, share(failed), rows.len()),
        plain(COVERAGE, share(answered), rows.len()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize) -> (Vec<Row>, HashMap<String, Answer>) {
        let rows: Vec<Row> = (0..n)
            .map(|i| Row {
                id: format!("r{i}"),
                question: "q".into(),
                references: vec!["one two three four".into()],
                ..Row::default()
            })
            .collect();
        let answer =
            |i: usize| Answer { answer: (i % 4 != 3).then(|| "one two".into()), latency_ms: Some(100.0), ..Answer::default() };
        let answers = rows.iter().enumerate().map(|(i, r)| (r.id.clone(), answer(i))).collect();
        (rows, answers)
    }

    #[test]
    fn what_has_no_answer_is_unscored_and_counted() {
        let (rows, answers) = rows(8);
        let scores = score_all(&rows, &answers, &[MetricId::TokenF1], 5, 2);
        let f1 = scores.sums.iter().find(|s| s.metric == "token-f1").expect("a sum");
        assert_eq!((f1.n, f1.total), (6, 8));
        assert!((f1.mean.expect("a mean") - 2.0 / 3.0).abs() < 1e-12, "zeros of unscored rows would lower it");
        let of = |m: &str| scores.sums.iter().find(|s| s.metric == m).and_then(|s| s.mean);
        assert_eq!(
            (of(COVERAGE), of(ERROR_RATE), of(LATENCY_P95), of(COST_PER_QUERY)),
            (Some(0.75), Some(0.25), Some(100.0), None)
        );
    }

    #[test]
    fn a_metric_without_a_scored_row_is_there_and_says_why() {
        let (mut rows, answers) = rows(8);
        rows.iter_mut().for_each(|r| r.references.clear());
        let scores = score_all(&rows, &answers, &[MetricId::TokenF1], 5, 1);
        let told: Vec<_> = scores.sums.iter().map(|s| (s.metric.as_str(), s.n, s.total, s.unscored.as_deref())).collect();
        assert_eq!(
            told,
            [
                (COST_PER_QUERY, 0, 8, Some("no answer says what it cost")),
                (COVERAGE, 8, 8, None),
                (ERROR_RATE, 8, 8, None),
                (LATENCY_P95, 8, 8, None),
                ("token-f1", 0, 8, Some("the row has no reference answer (6 of 8 rows)")),
            ]
        );
    }

    /// Worked out by hand: three answers, of which one of a row is missing.
    #[test]
    fn several_answers_to_a_row_are_one_score() {
        let rows: Vec<Row> = ["a", "b"].map(|id| Row { id: id.into(), references: vec!["x".into()], ..Row::default() }).into();
        let said = |text: Option<&str>, ms: Option<f64>| Answer {
            answer: text.map(str::to_owned),
            error: text.is_none().then(|| "away".to_owned()),
            latency_ms: ms,
            cost_usd: text.map(|_| 0.5),
            ..Answer::default()
        };
        let sample = |a: Answer, b: Answer| HashMap::from([("a".to_owned(), a), ("b".to_owned(), b)]);
        let all = [
            sample(said(Some("x"), Some(10.0)), said(Some("y"), Some(30.0))),
            sample(said(None, None), said(Some("x"), Some(30.0))),
            sample(said(Some("x"), Some(10.0)), said(Some("y"), Some(30.0))),
        ];
        let samples: Vec<&HashMap<String, Answer>> = all.iter().collect();
        let found = score_samples(&rows, &samples, &[MetricId::ExactMatch], 5, 1);
        let values: Vec<Option<f64>> = found.rows.iter().map(|r| r.value).collect();
        assert_eq!(values, [Some(1.0), Some(1.0 / 3.0)]);
        assert_eq!(found.each, [[Some(1.0), None, Some(1.0)], [Some(0.0), Some(1.0), Some(0.0)]]);
        let of = |m: &str| found.sums.iter().find(|s| s.metric == m).map(|s| (s.mean, s.n)).expect("a sum");
        assert_eq!((of("exact-match"), of(COVERAGE)), ((Some(2.0 / 3.0), 2), (Some(5.0 / 6.0), 2)));
        assert_eq!((of(ERROR_RATE).0, of(COST_PER_QUERY), of(LATENCY_P95).1), (Some(1.0 / 6.0), (Some(0.5), 1), 1));
        assert_eq!(
            score_samples(&rows, &samples[1..2], &[MetricId::ExactMatch], 5, 1).rows[0].reason.as_deref(),
            Some("the system failed: away")
        );
        assert_eq!(
            score_samples(&rows, &samples[..1], &[MetricId::ExactMatch], 5, 1),
            score_all(&rows, &all[0], &[MetricId::ExactMatch], 5, 1)
        );
    }

    #[test]
    fn no_score_is_a_negative_zero() {
        let row = Row { id: "r".into(), question: "q".into(), references: vec!["one two".into()], ..Row::default() };
        let row = Row { relevance: Some(BTreeMap::from([("d1".into(), 1.0)])), answerable: Some(true), ..row };
        let answer = Answer { answer: Some("three".into()), context_ids: vec!["d2".into()], ..Answer::default() };
        let answers = HashMap::from([("r".to_owned(), answer)]);
        let scores = score_all(&[row], &answers, MetricId::ALL, 5, 1);
        let zeros: Vec<f64> = scores.rows.iter().filter_map(|r| r.value).filter(|v| *v == 0.0).collect();
        assert!(zeros.len() > 5, "{zeros:?}");
        assert!(zeros.iter().all(|v| v.is_sign_positive()), "{:?}", scores.rows);
    }

    #[test]
    fn threads_do_not_change_the_result() {
        let (rows, answers) = rows(101);
        let wanted = [MetricId::TokenF1, MetricId::Bleu];
        assert_eq!(score_all(&rows, &answers, &wanted, 5, 1), score_all(&rows, &answers, &wanted, 5, 7));
    }
}
