//! Rows that were answered several times: how sure it is that one of k answers passes (pass@k), and that all of k do (pass^k).
//!
//! An answer passes when its score is within the limits that it is held to, or, where a metric only tells right from wrong and has no
//! limit, when it is right. The chance of a row is that of [`crate::stats::attempts`], which needs k answers with a score: a row with
//! fewer counts not at all for this k, and `rows` says how many do. What is told is the mean over rows, rows of one cluster together.

use super::known::known;
use super::marks::Marks;
use super::record::RowScore;
use super::score::Scores;
use crate::stats::{attempts, clustered, describe, interval};
use serde::Serialize;

/// What a score is held to: at least, at most.
pub type Limit = (Option<f64>, Option<f64>);

/// True when a score is within all limits.
pub fn meets(limits: &[Limit], score: f64) -> bool {
    limits.iter().all(|(min, max)| min.is_none_or(|min| score >= min) && max.is_none_or(|max| score <= max))
}

/// What several answers to each row come to by one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attempted {
    /// The metric.
    pub metric: String,
    /// An answer passes with at least this score.
    pub min: Option<f64>,
    /// And with at most this.
    pub max: Option<f64>,
    /// For one answer, for two, and so on up to as many as were given to each row.
    pub of: Vec<OfK>,
}

/// What k answers to each row come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OfK {
    /// How many answers.
    pub k: u64,
    /// Rows with so many scores.
    pub rows: usize,
    /// pass@k: the chance that at least one of them passes.
    pub any: Chance,
    /// pass^k: the chance that all of them do.
    pub all: Chance,
}

/// A mean over rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Chance {
    /// The mean; `None` where no row has so many scores.
    pub mean: Option<f64>,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end of its 95 % interval.
    pub high: Option<f64>,
}

/// Every metric by which answers pass or fail; `limits` gives what a metric is held to. Nothing for rows that were answered once.
pub fn attempted(scores: &Scores, marks: &Marks, limits: &dyn Fn(&str) -> Vec<Limit>) -> Vec<Attempted> {
    let all = || scores.rows.iter().zip(&scores.each);
    let mut metrics: Vec<&str> = all().map(|(row, _)| row.metric.as_str()).collect();
    metrics.sort_unstable();
    metrics.dedup();
    let one = |metric: &str| {
        let mine: Vec<(&RowScore, &[Option<f64>])> =
            all().filter(|(row, _)| row.metric == metric).map(|(row, each)| (row, each.as_slice())).collect();
        let limits = Some(limits(metric)).filter(|l| !l.is_empty()).or_else(|| right_or_wrong(metric, &mine))?;
        let most = mine.iter().map(|(_, each)| each.len()).max().filter(|most| *most > 1)?;
        let tightest = |of: fn(&Limit) -> Option<f64>, better: fn(f64, f64) -> f64| limits.iter().filter_map(of).reduce(better);
        let counted: Vec<(&str, u64, u64)> = mine.iter().map(|(row, each)| counted(&row.row, each, &limits)).collect();
        Some(Attempted {
            metric: metric.to_owned(),
            min: tightest(|l| l.0, f64::max),
            max: tightest(|l| l.1, f64::min),
            of: (1..=most as u64).map(|k| of_k(&counted, marks, k)).collect(),
        })
    };
    metrics.into_iter().filter_map(one).collect()
}

/// The limit of a metric whose scores are all 0 or 1: the better of both.
fn right_or_wrong(metric: &str, rows: &[(&RowScore, &[Option<f64>])]) -> Option<Vec<Limit>> {
    let mut values = rows.iter().flat_map(|(_, each)| each.iter().flatten()).peekable();
    values.peek()?;
    let binary = values.all(|v| *v == 0.0 || *v == 1.0);
    let higher_is_better = known(metric).is_none_or(|m| m.higher_is_better());
    binary.then(|| vec![if higher_is_better { (Some(1.0), None) } else { (None, Some(0.0)) }])
}

/// A row with how many of its answers have a score, and how many of those pass.
fn counted<'a>(row: &'a str, each: &[Option<f64>], limits: &[Limit]) -> (&'a str, u64, u64) {
    let scored = each.iter().flatten();
    (row, scored.clone().count() as u64, scored.filter(|v| meets(limits, **v)).count() as u64)
}

fn of_k(rows: &[(&str, u64, u64)], marks: &Marks, k: u64) -> OfK {
    let over = |chance: fn(u64, u64, u64) -> Option<f64>| {
        let of: Vec<(&str, f64)> = rows.iter().filter_map(|(row, n, passed)| Some((*row, chance(*n, *passed, k)?))).collect();
        let values: Vec<f64> = of.iter().map(|(_, v)| *v).collect();
        let clusters = marks.clusters(of.iter().map(|(row, _)| *row));
        let range = clustered::of_scores(&values, &clusters, (0.0, 1.0), interval::CONFIDENCE);
        Chance { mean: describe::mean(&values), low: range.map(|r| r.low), high: range.map(|r| r.high) }
    };
    let enough = rows.iter().filter(|(_, n, _)| *n >= k).count();
    OfK { k, rows: enough, any: over(attempts::any_of), all: over(attempts::all_of) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(metric: &str, each: &[&[Option<f64>]]) -> Scores {
        let row = |i: usize| RowScore {
            pos: i64::try_from(i).expect("few"),
            row: format!("r{i}"),
            metric: metric.into(),
            value: Some(0.5),
            reason: None,
        };
        let each: Vec<Vec<Option<f64>>> = each.iter().map(|e| e.to_vec()).collect();
        Scores { rows: (0..each.len()).map(row).collect(), each, ..Scores::default() }
    }

    const YES: Option<f64> = Some(1.0);
    const NO: Option<f64> = Some(0.0);

    /// By hand: of three answers 3, 1 and 0 pass; one of two: 1, 2/3, 0; both of two: 1, 0, 0.
    #[test]
    fn chances_are_means_over_rows() {
        let found =
            attempted(&scores("exact-match", &[&[YES, YES, YES], &[NO, YES, NO], &[NO, NO, NO]]), &Marks::default(), &|_| vec![]);
        assert_eq!((found.len(), found[0].min, found[0].max, found[0].of.len()), (1, Some(1.0), None, 3));
        for (k, any, all) in [(1, 4.0 / 9.0, 4.0 / 9.0), (2, 5.0 / 9.0, 1.0 / 3.0), (3, 2.0 / 3.0, 1.0 / 3.0)] {
            let of = found[0].of[k - 1];
            let near = |got: Option<f64>, want: f64| got.is_some_and(|got| (got - want).abs() < 1e-12);
            assert!(of.k == k as u64 && of.rows == 3 && near(of.any.mean, any) && near(of.all.mean, all), "{of:?}");
            assert!(of.any.low < of.any.mean && of.any.mean < of.any.high, "{of:?}");
        }
    }

    #[test]
    fn a_row_with_fewer_scores_than_k_does_not_count() {
        let found = attempted(&scores("exact-match", &[&[YES, None], &[None, None], &[NO, YES]]), &Marks::default(), &|_| vec![]);
        let told: Vec<_> = found[0].of.iter().map(|of| (of.rows, of.any.mean, of.all.mean)).collect();
        assert_eq!(told, [(2, Some(0.75), Some(0.75)), (1, Some(1.0), Some(0.0))]);
        let none = attempted(&scores("exact-match", &[&[None, None]]), &Marks::default(), &|_| vec![(Some(0.5), None)]);
        assert_eq!((none[0].of[1].rows, none[0].of[1].any), (0, Chance::default()));
    }

    #[test]
    fn a_score_passes_by_its_limits_or_as_right_or_wrong() {
        let graded = scores("token-f1", &[&[Some(0.7), Some(0.5)], &[Some(0.9), Some(0.6)]]);
        assert_eq!(attempted(&graded, &Marks::default(), &|_| vec![]), [], "nothing says what passes");
        let limits = |_: &str| vec![(Some(0.6), None), (Some(0.5), Some(0.8))];
        let found = attempted(&graded, &Marks::default(), &limits);
        assert_eq!((found[0].min, found[0].max, found[0].of[0].any.mean), (Some(0.6), Some(0.8), Some(0.5)));
        let lower = attempted(&scores("hallucination", &[&[YES, NO]]), &Marks::default(), &|_| vec![]);
        assert_eq!((lower[0].max, lower[0].of[1].any.mean, lower[0].of[1].all.mean), (Some(0.0), Some(1.0), Some(0.0)));
        assert_eq!(attempted(&scores("exact-match", &[&[YES], &[NO]]), &Marks::default(), &|_| vec![]), [], "answered once");
    }
}
