//! An evaluation as its reports show it: plain values, worked out elsewhere, that the renderers only lay out.

use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::base::verdict::Verdict;

/// Which values of a metric are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Higher ones.
    Higher,
    /// Lower ones.
    Lower,
}

impl Direction {
    /// `higher` or `lower`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
        }
    }
}

/// An evaluation of one version on one dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalView {
    /// The model's name.
    pub model: String,
    /// Its version.
    pub version: String,
    /// The version's digest.
    pub digest: Digest,
    /// The dataset's name or path.
    pub dataset: String,
    /// The digest of the dataset's bytes.
    pub dataset_digest: Digest,
    /// Who judged: `deterministic` or a judge's id.
    pub judge: String,
    /// How the answers came: `recorded`, `command` or `http`.
    pub system: String,
    /// The metrics in sum, in the order to show them.
    pub metrics: Vec<MetricView>,
    /// The rows, in the dataset's order.
    pub rows: Vec<RowView>,
    /// The gates that were asked.
    pub gates: Vec<GateView>,
    /// The comparison with production, when there was one.
    pub comparison: Option<Vec<CompareView>>,
    /// When.
    pub at: Timestamp,
}

/// A metric in sum.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricView {
    /// Its name.
    pub name: String,
    /// What it is shown with: `retrieval`, `generation`, `cost` …
    pub group: String,
    /// Which values are better.
    pub direction: Direction,
    /// The mean over the scored rows; `None` when none was scored.
    pub mean: Option<f64>,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval.
    pub high: Option<f64>,
    /// Rows scored.
    pub n: i64,
    /// Rows in the dataset.
    pub total: i64,
    /// Why no row was scored, when none was.
    pub unscored: Option<String>,
}

/// A row of the dataset with its scores.
#[derive(Clone, Debug, PartialEq)]
pub struct RowView {
    /// The row's id.
    pub id: String,
    /// The question.
    pub question: String,
    /// The answer, or why there is none.
    pub answer: Result<String, String>,
    /// The scores, one a metric.
    pub scores: Vec<ScoreView>,
}

/// The score of a row by a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreView {
    /// The metric's name.
    pub metric: String,
    /// The score; `None` when unscored.
    pub value: Option<f64>,
    /// Why it is unscored, or what the judge said.
    pub reason: Option<String>,
}

/// A gate with its verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct GateView {
    /// The gate's name.
    pub name: String,
    /// The metric it looks at.
    pub metric: String,
    /// What was measured; `None` when it could not be.
    pub measured: Option<f64>,
    /// The condition in words: `at least 0.85`.
    pub threshold: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
}

/// A metric of the candidate against production, on the same rows.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareView {
    /// The metric's name.
    pub metric: String,
    /// The candidate's mean.
    pub candidate: Option<f64>,
    /// Production's mean.
    pub production: Option<f64>,
    /// The mean difference, candidate minus production.
    pub diff: Option<f64>,
    /// Lower end of the 95 % interval of the difference.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval of the difference.
    pub high: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// Rows needed for a verdict, when it is inconclusive for too few.
    pub needed: Option<u64>,
}

impl EvalView {
    /// The groups of the metrics, each once, in order.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        for m in &self.metrics {
            if !groups.contains(&m.group.as_str()) {
                groups.push(&m.group);
            }
        }
        groups
    }

    /// The rows, worst first: those without an answer, then by the mean of their standings, unscored ones last; otherwise
    /// in the dataset's order. A standing is the share of a metric's scores that are worse, equal ones counting half, so
    /// that metrics of different scales weigh the same.
    pub fn worst_first(&self) -> Vec<&RowView> {
        let columns: Vec<Column<'_>> = self.metrics.iter().map(|m| self.column(m)).collect();
        let mut rows: Vec<(u8, f64, &RowView)> = self
            .rows
            .iter()
            .map(|row| {
                let standings: Vec<f64> = row.scores.iter().filter_map(|s| standing(&columns, s)).collect();
                #[expect(clippy::cast_precision_loss, reason = "a number of metrics")]
                let mean = standings.iter().sum::<f64>() / standings.len() as f64;
                match (&row.answer, standings.is_empty()) {
                    (Err(_), _) => (0, 0.0, row),
                    (Ok(_), false) => (1, mean, row),
                    (Ok(_), true) => (2, 0.0, row),
                }
            })
            .collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        rows.into_iter().map(|(.., row)| row).collect()
    }

    /// All scores of a metric as goodness, sorted.
    fn column<'a>(&self, metric: &'a MetricView) -> Column<'a> {
        let scores = self.rows.iter().flat_map(|r| &r.scores).filter(|s| s.metric == metric.name);
        let mut values: Vec<f64> = scores.filter_map(|s| goodness(metric, s)).collect();
        values.sort_by(f64::total_cmp);
        Column { metric, values }
    }
}

struct Column<'a> {
    metric: &'a MetricView,
    values: Vec<f64>,
}

/// The score turned so that more is better.
fn goodness(metric: &MetricView, score: &ScoreView) -> Option<f64> {
    let value = score.value.filter(|v| v.is_finite())?;
    Some(if metric.direction == Direction::Higher { value } else { -value })
}

#[expect(clippy::cast_precision_loss, reason = "numbers of rows")]
fn standing(columns: &[Column<'_>], score: &ScoreView) -> Option<f64> {
    let column = columns.iter().find(|c| c.metric.name == score.metric)?;
    let mine = goodness(column.metric, score)?;
    let worse = column.values.partition_point(|v| *v < mine);
    let not_better = column.values.partition_point(|v| *v <= mine);
    Some((worse + not_better) as f64 / (2 * column.values.len()) as f64)
}

/// A number for people: four significant digits, never fewer than the whole part has.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "not a number".to_owned();
    }
    let decimals = match value.abs() {
        v if v >= 1000.0 => 0,
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        v if v >= 0.01 || v == 0.0 => 3,
        _ => 6,
    };
    let text = format!("{value:.decimals$}");
    // Rounding may leave a zero with a sign.
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|b| b == b'0' || b == b'.') => rest.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::domain::eval) fn score(metric: &str, value: Option<f64>, reason: Option<&str>) -> ScoreView {
        ScoreView { metric: metric.into(), value, reason: reason.map(str::to_owned) }
    }

    fn metric(name: &str, group: &str, direction: Direction, mean: Option<f64>) -> MetricView {
        let (low, high) = (mean.map(|m| m * 0.9), mean.map(|m| m * 1.1));
        MetricView {
            name: name.into(),
            group: group.into(),
            direction,
            mean,
            low,
            high,
            n: if mean.is_some() { 2 } else { 0 },
            total: 4,
            unscored: mean.is_none().then(|| "the judge <gave> no score".to_owned()),
        }
    }

    fn gate(name: &str, verdict: Verdict, measured: Option<f64>, reason: &str) -> GateView {
        let (name, metric, threshold) = (name.into(), "faithfulness".into(), "at least 0.85".into());
        GateView { name, metric, measured, threshold, verdict, reason: reason.into() }
    }

    fn row(id: &str, answer: Result<&str, &str>, scores: Vec<ScoreView>) -> RowView {
        let answer = answer.map(str::to_owned).map_err(str::to_owned);
        RowView { id: id.into(), question: format!("Question {id} <b>?"), answer, scores }
    }

    /// An evaluation with one of everything, and hostile text where users' text goes.
    pub(in crate::domain::eval) fn example() -> EvalView {
        EvalView {
            model: "support-bot".into(),
            version: "1.2.0".into(),
            digest: Digest::of(b"version"),
            dataset: "golden & friends".into(),
            dataset_digest: Digest::of(b"dataset"),
            judge: "deterministic".into(),
            system: "recorded".into(),
            metrics: vec![
                metric("faithfulness", "generation", Direction::Higher, Some(0.5)),
                metric("latency_ms", "cost", Direction::Lower, Some(900.0)),
                metric("relevancy", "generation", Direction::Higher, None),
            ],
            rows: vec![
                row(
                    "good",
                    Ok("An \u{1b}[31manswer"),
                    vec![score("faithfulness", Some(0.9), None), score("latency_ms", Some(100.0), None)],
                ),
                row(
                    "bad",
                    Ok("<script>alert(1)</script>"),
                    vec![
                        score("faithfulness", Some(0.1), Some("claim 2 is \"made up\"")),
                        score("latency_ms", Some(1700.0), None),
                    ],
                ),
                row("unscored", Ok("Hm"), vec![score("faithfulness", None, Some("the judge answered no JSON"))]),
                row("lost", Err("gave up after 5 attempts"), vec![score("faithfulness", None, Some("no answer"))]),
            ],
            gates: vec![
                gate("faith", Verdict::Fail, Some(0.5), "0.45 is below 0.85"),
                gate("few", Verdict::Inconclusive, None, "2 of 4 rows are scored"),
                gate("fast", Verdict::Pass, Some(900.0), "below 1000"),
            ],
            comparison: Some(vec![CompareView {
                metric: "faithfulness".into(),
                candidate: Some(0.5),
                production: Some(0.52),
                diff: Some(-0.02),
                low: Some(-0.1),
                high: Some(0.06),
                verdict: Verdict::Inconclusive,
                needed: Some(340),
            }]),
            at: "2026-11-21T08:00:00Z".parse().expect("a time"),
        }
    }

    #[test]
    fn the_worst_come_first() {
        let view = example();
        let ids: Vec<&str> = view.worst_first().iter().map(|r| r.id.as_str()).collect();
        assert_eq!(ids, ["lost", "bad", "good", "unscored"]);
        assert_eq!(view.groups(), ["generation", "cost"]);
    }

    #[test]
    fn a_lower_is_better_metric_counts_as_such() {
        let mut view = example();
        view.rows.iter_mut().for_each(|r| r.scores.retain(|s| s.metric == "latency_ms"));
        assert_eq!(view.worst_first()[1].id, "bad");
        view.metrics[1].direction = Direction::Higher;
        assert_eq!(view.worst_first()[1].id, "good");
    }

    #[test]
    fn numbers_are_short_and_honest() {
        let check = |value: f64, text: &str| assert_eq!(number(value), text);
        check(0.85, "0.850");
        check(0.000_123_4, "0.000123");
        check(-0.000_000_1, "0.000000");
        check(12.345, "12.35");
        check(1234.5, "1234");
        check(0.0, "0.000");
        check(f64::NAN, "not a number");
    }
}
