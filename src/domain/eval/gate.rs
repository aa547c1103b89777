//! Gates: conditions on recorded evaluations, judged in three values.
//!
//! * `absolute`: the metric's mean, or the confidence bound that counts, against a minimum or maximum. With the bound, the
//!   whole interval beyond the threshold passes, the whole interval short of it fails, an interval across it is inconclusive.
//! * `regression`: paired with the version in production on the same rows: the interval of the mean difference against the
//!   margin (non-inferiority): wholly above −margin passes, wholly below fails, across is inconclusive. Rows of one cluster are
//!   not independent: where there are any the interval is that of clusters.
//! * `budget`: a cost, a time or a share that has no interval, against its limit.
//!
//! No evaluation, no scored row, or nothing to compare with is inconclusive and says what to do. Pure: numbers in, verdict out.

use super::compare::Pairs;
use super::known::known;
use super::marks::Marks;
use super::record::Summary;
use crate::base::digest::Digest;
use crate::base::text::{count, visible};
use crate::base::verdict::Verdict;
use crate::stats::power;
use serde::Serialize;
use std::collections::HashMap;

/// What has to hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A value against fixed limits.
    Absolute {
        /// At least this.
        min: Option<f64>,
        /// At most this.
        max: Option<f64>,
        /// True when the confidence bound counts, false when the mean does.
        by_interval: bool,
    },
    /// Not worse than production by more than the margin.
    Regression {
        /// The margin, in the metric's unit.
        margin: f64,
        /// True when higher is better.
        higher_is_better: bool,
    },
    /// A value without interval against fixed limits.
    Budget {
        /// At least this.
        min: Option<f64>,
        /// At most this.
        max: Option<f64>,
    },
}

/// A gate's answer, with what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// The gate's name in `mlops.toml`.
    pub gate: String,
    /// The metric.
    pub metric: String,
    /// What was measured: a mean, a difference or a value.
    pub measured: Option<f64>,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end of its 95 % interval.
    pub high: Option<f64>,
    /// The condition in words: `≥ 0.8`.
    pub threshold: String,
    /// The answer.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Rows it rests on.
    pub n: i64,
    /// About how many rows would decide it, when it is inconclusive for want of rows.
    pub needed: Option<i64>,
    /// The evaluation it rests on.
    pub evaluation: Option<String>,
    /// The digest of the golden dataset.
    pub dataset: Option<Digest>,
    /// The evaluation of the version in production that it was compared with.
    pub against: Option<String>,
    /// True when it is inconclusive only because nothing is in production to compare with.
    pub first_release: bool,
}

/// Two versions' scores of one metric on one dataset, by row id.
pub struct Paired<'a> {
    /// The candidate's.
    pub candidate: &'a [(String, f64)],
    /// Production's.
    pub production: &'a [(String, f64)],
    /// Which rows belong together.
    pub marks: &'a Marks,
}

impl Judged {
    /// An answer that cannot be given yet.
    pub fn open(gate: &str, metric: &str, condition: &Condition, reason: impl Into<String>) -> Self {
        Self {
            gate: gate.to_owned(),
            metric: metric.to_owned(),
            measured: None,
            low: None,
            high: None,
            threshold: condition.words(),
            verdict: Verdict::Inconclusive,
            reason: reason.into(),
            n: 0,
            needed: None,
            evaluation: None,
            dataset: None,
            against: None,
            first_release: false,
        }
    }
}

impl Condition {
    /// The condition in words.
    pub fn words(&self) -> String {
        match self {
            Self::Absolute { min, max, .. } | Self::Budget { min, max } => match (min, max) {
                (Some(min), Some(max)) => format!("{min} … {max}"),
                (Some(min), None) => format!("≥ {min}"),
                (None, Some(max)) => format!("≤ {max}"),
                (None, None) => "no limit".to_owned(),
            },
            Self::Regression { margin, .. } => format!("not worse than production by {margin}"),
        }
    }
}

/// Judges a condition on a value against fixed limits.
pub fn judge_value(gate: &str, metric: &str, condition: &Condition, found: &Summary) -> Judged {
    let mut judged = Judged { n: found.n, ..Judged::open(gate, metric, condition, "") };
    let (Condition::Absolute { min, max, .. } | Condition::Budget { min, max }) = condition else {
        judged.reason = "a regression gate compares two versions".into();
        return judged;
    };
    let Some(mean) = found.mean else {
        let why = found.unscored.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        judged.reason = format!("none of {} rows could be scored{why}", found.total);
        return judged;
    };
    judged.measured = Some(mean);
    (judged.low, judged.high) = (found.low, found.high);
    if matches!(condition, Condition::Budget { .. }) && found.n < found.total {
        judged.reason = format!("it is known for {} of {} rows only", found.n, found.total);
        return judged;
    }
    let by_interval = matches!(condition, Condition::Absolute { by_interval: true, .. });
    let (low, high) = if by_interval { (found.low, found.high) } else { (Some(mean), Some(mean)) };
    let (Some(low), Some(high)) = (low, high) else {
        judged.reason = format!("{} of {} rows scored: too few for an interval", found.n, found.total);
        return judged;
    };
    let above = min.map(|m| against(low, high, m));
    let below = max.map(|m| against(-high, -low, -m));
    judged.verdict = Verdict::all(above.into_iter().chain(below));
    judged.reason = value_reason(judged.verdict, by_interval, low, high, found);
    if judged.verdict == Verdict::Inconclusive {
        let limit = min.filter(|_| above == Some(Verdict::Inconclusive)).or(*max).unwrap_or(mean);
        judged.needed = rows_needed(mean, limit, low, high, found.n);
    }
    judged
}

/// Rows that must pass fail a gate by themselves, whatever the mean says: each score is held against the limits of an absolute gate alone.
/// `rows` are theirs, `None` for one that is unscored, which leaves a gate open that nothing else fails.
pub fn judge_rows(judged: Judged, condition: &Condition, rows: &[(String, Option<f64>)]) -> Judged {
    let Condition::Absolute { min, max, .. } = condition else { return judged };
    if rows.is_empty() {
        return judged;
    }
    let short = |v: f64| min.is_some_and(|m| v < m) || max.is_some_and(|m| v > m);
    let ids = |those: &dyn Fn(&Option<f64>) -> bool| -> Vec<String> {
        rows.iter().filter(|(_, v)| those(v)).map(|(id, _)| visible(id, ID_MAX)).collect()
    };
    let (failed, open) = (ids(&|v| v.is_some_and(short)), ids(&|v| v.is_none()));
    let told = |ids: &[String]| match ids {
        [ids @ .., _] if ids.len() >= ROWS_TOLD => {
            format!("{} and {} more", ids[..ROWS_TOLD].join(", "), ids.len() + 1 - ROWS_TOLD)
        }
        ids => ids.join(", "),
    };
    let all = rows.len();
    if !failed.is_empty() {
        let reason = format!("{} of {all} rows that must pass miss the limit: {}", failed.len(), told(&failed));
        return Judged { verdict: Verdict::Fail, reason, needed: None, ..judged };
    }
    if !open.is_empty() && judged.verdict != Verdict::Fail {
        let reason = format!("{} of {all} rows that must pass are unscored: {}", open.len(), told(&open));
        return Judged { verdict: Verdict::Inconclusive, reason, needed: None, ..judged };
    }
    let reason = format!("{}; each of {all} rows that must pass meets it", judged.reason);
    Judged { reason, ..judged }
}

/// Rows that a reason names.
const ROWS_TOLD: usize = 3;
/// Characters of a row's id that a reason shows.
const ID_MAX: usize = 80;

/// The verdict on an interval that must lie at or above a limit.
fn against(low: f64, high: f64, limit: f64) -> Verdict {
    if low >= limit {
        Verdict::Pass
    } else if high < limit {
        Verdict::Fail
    } else {
        Verdict::Inconclusive
    }
}

fn value_reason(verdict: Verdict, by_interval: bool, low: f64, high: f64, found: &Summary) -> String {
    let unscored = found.total - found.n;
    let tail = if unscored > 0 { format!("; {unscored} of {} rows unscored", found.total) } else { String::new() };
    let body = match (verdict, by_interval) {
        (Verdict::Pass, true) => "the whole 95 % interval meets it".to_owned(),
        (Verdict::Fail, true) => "the whole 95 % interval misses it".to_owned(),
        (Verdict::Inconclusive, _) => format!("the 95 % interval {low:.4} … {high:.4} lies across the limit"),
        (Verdict::Pass, false) => "it meets the limit".to_owned(),
        (Verdict::Fail, false) => "it misses the limit".to_owned(),
    };
    body + &tail
}

/// About how many rows narrow an interval across a limit enough to decide: the part of it on that side of the mean shrinks with √n.
fn rows_needed(mean: f64, limit: f64, low: f64, high: f64, n: i64) -> Option<i64> {
    let half = if limit < mean { mean - low } else { high - mean };
    let distance = (mean - limit).abs();
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    let rows = (half / distance).powi(2) * n as f64;
    rounded_rows(rows)
}

fn rounded_rows(rows: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be finite and small")]
    (rows.is_finite() && rows < 1e9).then(|| rows.ceil() as i64)
}

/// Judges a regression gate on paired scores.
pub fn judge_regression(gate: &str, metric: &str, condition: &Condition, paired: &Paired<'_>) -> Judged {
    let mut judged = Judged::open(gate, metric, condition, "");
    let Condition::Regression { margin, higher_is_better } = *condition else {
        judged.reason = "only a regression gate compares two versions".into();
        return judged;
    };
    let (pairs, rows) = pairs(paired);
    judged.n = i64::try_from(rows).unwrap_or(i64::MAX);
    let unscored = paired.production.len() - rows;
    if unscored > 0 {
        judged.reason = format!("{unscored} of {} rows that production scored are unscored here", paired.production.len());
        return judged;
    }
    let span = known(metric).map(|m| m.span());
    let found = pairs.spanning(span).guarded();
    let clusters = found.and_then(|found| found.clusters);
    let of = clusters.map_or(String::new(), |clusters| format!(" in {}", count(clusters, "cluster")));
    if clusters.unwrap_or(rows) < ROWS_MIN {
        judged.reason = format!("{rows} rows{of} are scored in both versions, at least {ROWS_MIN} are needed");
        judged.needed = i64::try_from(ROWS_MIN).ok().filter(|_| clusters.is_none());
        return judged;
    }
    let Some((found, range)) = found.and_then(|found| Some((found, found.interval?))) else {
        judged.reason = format!("{rows} rows{of} are scored in both versions: they tell no spread to compare by");
        return judged;
    };
    let range = span.map_or(range, |span| range.within(-span, span));
    // From here on positive means better.
    let (difference, low, high) =
        if higher_is_better { (found.difference, range.low, range.high) } else { (-found.difference, -range.high, -range.low) };
    judged.measured = Some(difference);
    (judged.low, judged.high) = (Some(low), Some(high));
    judged.verdict = against(low, high, -margin);
    judged.reason = match judged.verdict {
        Verdict::Pass => format!("paired with production{of}, the loss is surely within the margin"),
        Verdict::Fail => format!("paired with production{of}, the loss is surely beyond the margin"),
        Verdict::Inconclusive => format!("the paired difference{of} {low:+.4} … {high:+.4} lies across −{margin}"),
    };
    if judged.verdict == Verdict::Inconclusive {
        // Where hardly a row differs their spread says nothing, and the interval does.
        let by_spread = found.sd.and_then(|sd| power::rows_needed(sd, difference + margin)).and_then(|n| i64::try_from(n).ok());
        let by_width = || rows_needed(difference, -margin, low, high, judged.n);
        judged.needed = by_spread.filter(|n| *n > judged.n).or_else(by_width);
    }
    judged
}

/// The fewest rows that a comparison rests on: with fewer, equal scores prove nothing.
const ROWS_MIN: usize = 5;

/// (production, candidate) on the rows that both have, and how many these are.
fn pairs(paired: &Paired<'_>) -> (Pairs, usize) {
    let production: HashMap<&str, f64> = paired.production.iter().map(|(id, v)| (id.as_str(), *v)).collect();
    let both = || paired.candidate.iter().filter_map(|(id, v)| Some((id.as_str(), *production.get(id.as_str())?, *v)));
    let clusters = paired.marks.clusters(both().map(|(id, ..)| id));
    let scores: Vec<(f64, f64)> = both().map(|(_, before, now)| (before, now)).collect();
    let rows = scores.len();
    (Pairs::numbered(scores, clusters), rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::golden::Row;
    use Verdict::{Fail, Inconclusive, Pass};

    fn summary(mean: f64, low: f64, high: f64) -> Summary {
        Summary { metric: "m".into(), mean: Some(mean), low: Some(low), high: Some(high), n: 100, total: 100, unscored: None }
    }

    fn absolute(min: Option<f64>, max: Option<f64>, by_interval: bool) -> Condition {
        Condition::Absolute { min, max, by_interval }
    }

    #[test]
    fn an_interval_across_the_limit_is_inconclusive_and_says_how_many_rows_would_decide() {
        let s = summary(0.8, 0.7, 0.9);
        let judge = |c| judge_value("g", "m", &c, &s);
        assert_eq!(judge(absolute(Some(0.7), None, true)).verdict, Pass);
        assert_eq!(judge(absolute(Some(0.91), None, true)).verdict, Fail);
        let open = judge(absolute(Some(0.75), None, true));
        assert_eq!((open.verdict, open.needed), (Inconclusive, Some(400)));
        // An interval near the end of the range reaches further to one side than to the other.
        let skewed = judge_value("g", "m", &absolute(Some(0.5), None, true), &summary(0.75, 0.49, 0.8));
        assert_eq!((skewed.verdict, skewed.needed), (Inconclusive, Some(109)), "(0.26 / 0.25)² · 100");
        assert_eq!(judge(absolute(Some(0.75), None, false)).verdict, Pass);
        assert_eq!(judge(absolute(Some(0.81), None, false)).verdict, Fail);
        assert_eq!(judge(absolute(None, Some(0.95), true)).verdict, Pass);
        assert_eq!(judge(absolute(None, Some(0.6), true)).verdict, Fail);
        assert_eq!(judge(absolute(Some(0.1), Some(0.6), true)).verdict, Fail);
    }

    #[test]
    fn nothing_scored_is_never_a_pass() {
        let why = Some("the row has no reference answer".to_owned());
        let none = Summary { mean: None, low: None, high: None, n: 0, total: 40, unscored: why, ..summary(0.0, 0.0, 0.0) };
        for c in [absolute(Some(0.0), None, true), Condition::Budget { min: None, max: Some(1.0) }] {
            let judged = judge_value("g", "m", &c, &none);
            assert_eq!((judged.verdict, judged.measured), (Inconclusive, None));
            assert_eq!(judged.reason, "none of 40 rows could be scored: the row has no reference answer");
        }
    }

    #[test]
    fn a_row_that_must_pass_fails_a_gate_alone() {
        let condition = absolute(Some(0.5), None, false);
        let judge = |rows: &[(&str, Option<f64>)]| {
            let rows: Vec<(String, Option<f64>)> = rows.iter().map(|(id, v)| ((*id).to_owned(), *v)).collect();
            let judged = judge_rows(judge_value("g", "m", &condition, &summary(0.8, 0.7, 0.9)), &condition, &rows);
            (judged.verdict, judged.reason)
        };
        assert_eq!(judge(&[]), (Pass, "it meets the limit".to_owned()));
        assert_eq!(judge(&[("a", Some(0.5))]), (Pass, "it meets the limit; each of 1 rows that must pass meets it".to_owned()));
        let (verdict, why) = judge(&[("a", Some(0.5)), ("b", Some(0.49)), ("c", None)]);
        assert_eq!((verdict, why.as_str()), (Fail, "1 of 3 rows that must pass miss the limit: b"));
        let (verdict, why) = judge(&[("a", Some(0.5)), ("c", None)]);
        assert_eq!((verdict, why.as_str()), (Inconclusive, "1 of 2 rows that must pass are unscored: c"));
        let many: Vec<(&str, Option<f64>)> = ["a", "b", "c", "d", "e"].map(|id| (id, Some(0.1))).to_vec();
        assert_eq!(judge(&many).1, "5 of 5 rows that must pass miss the limit: a, b, c and 2 more");
        // A mean that misses the limit is not saved by its rows, nor hidden by one that is unscored.
        let low = judge_value("g", "m", &condition, &summary(0.3, 0.2, 0.4));
        assert_eq!(judge_rows(low, &condition, &[("a".into(), None)]).verdict, Fail);
    }

    /// Equal scores of few rows do not show that nothing is lost; so many that no row in fifty can be lost do.
    #[test]
    fn equal_scores_of_few_rows_are_inconclusive() {
        let judge = |n: usize| {
            let rows: Vec<(String, f64)> = (0..n).map(|i| (format!("r{i}"), 0.7)).collect();
            let condition = Condition::Regression { margin: 0.02, higher_is_better: true };
            judge_regression(
                "g",
                "token-f1",
                &condition,
                &Paired { candidate: &rows, production: &rows, marks: &Marks::default() },
            )
        };
        let few = judge(5);
        assert_eq!(few.verdict, Inconclusive, "{few:?}");
        assert!(few.needed.is_some_and(|n| n > 5) && few.low.is_some_and(|low| low < -0.5), "{few:?}");
        assert_eq!((judge(182).verdict, judge(183).verdict), (Inconclusive, Pass), "1 - 0.025^(1/183) < 0.02");
    }

    /// Six conversations of 50 answers each are six, not 300: what 300 independent rows would prove they leave open.
    #[test]
    fn rows_of_a_cluster_prove_what_their_clusters_do() {
        let rows = |shift: &dyn Fn(u32) -> f64| -> Vec<(String, f64)> {
            (0..300).map(|i| (format!("r{i}"), 0.5 + f64::from(i % 5) / 50.0 + shift(i / 50))).collect()
        };
        let in_clusters = |size: u32| {
            let row = |i: u32| Row { id: format!("r{i}"), cluster: Some(format!("c{}", i / size)), ..Row::default() };
            Marks::of(&(0..300).map(row).collect::<Vec<_>>())
        };
        let condition = Condition::Regression { margin: 0.05, higher_is_better: true };
        let judge = |candidate: &[(String, f64)], marks: &Marks| {
            judge_regression("g", "token-f1", &condition, &Paired { candidate, production: &rows(&|_| 0.0), marks })
        };
        // Two conversations went wrong, four right.
        let mixed = rows(&|cluster| if cluster % 3 == 0 { -0.2 } else { 0.1 });
        assert_eq!(judge(&mixed, &Marks::default()).verdict, Pass);
        let six = judge(&mixed, &in_clusters(50));
        assert_eq!(six.verdict, Inconclusive);
        assert!(six.reason.starts_with("the paired difference in 6 clusters "), "{}", six.reason);
        assert!(six.needed.is_some_and(|n| n > 300), "{six:?}");
        let few = judge(&mixed, &in_clusters(100));
        assert_eq!(few.reason, "300 rows in 3 clusters are scored in both versions, at least 5 are needed");
        let many = judge(&rows(&|_| 0.01), &in_clusters(2));
        assert_eq!(
            (many.verdict, many.reason.as_str()),
            (Pass, "paired with production in 150 clusters, the loss is surely within the margin")
        );
    }

    #[test]
    fn regression_pairs_rows_by_id() {
        let rows = |shift: f64| -> Vec<(String, f64)> {
            (0..50).map(|i| (format!("r{i}"), 0.5 + f64::from(i % 5) / 10.0 + shift)).collect()
        };
        let judge = |candidate: &[(String, f64)], higher| {
            let condition = Condition::Regression { margin: 0.01, higher_is_better: higher };
            judge_regression("g", "m", &condition, &Paired { candidate, production: &rows(0.0), marks: &Marks::default() })
        };
        assert_eq!(judge(&rows(0.0), true).verdict, Pass);
        assert_eq!(judge(&rows(-0.05), true).verdict, Fail);
        assert_eq!(judge(&rows(-0.05), false).verdict, Pass);
        assert_eq!(judge(&[], true).verdict, Inconclusive);
        let noisy: Vec<_> =
            rows(0.0).into_iter().enumerate().map(|(i, (id, v))| (id, v + if i % 2 == 0 { 0.3 } else { -0.3 })).collect();
        let open = judge(&noisy, true);
        assert_eq!(open.verdict, Inconclusive);
        assert!(open.needed.is_some_and(|n| n > 50), "{open:?}");
    }
}
