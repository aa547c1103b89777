//! Whether what is right changed: how often the model is right, or how far it is off, before and now.
//!
//! Bands of what was lost count only when an interval excludes 0 (Newcombe 1998 for shares): 19 of 20 and then 17 of 20 is ten
//! points and noise. It is wider than the one that is told, so that a check without a loss says one in at most [`Policy::alpha`] / 2
//! of cases: at 95 % one check of forty would. A loss of the first band that these rows could not have shown is `inconclusive`, not `ok`. Errors of
//! numbers are compared as a ratio, on the scale of its logarithm with the delta method; the same bands hold for what they grew.

use super::change::{Change, could_decide, rows_for};
use super::figures::Sides;
use super::policy::{Policy, Rule, Status};
use super::upstream::{Finding, Part, What};
use super::why::{about, percent, rows_of, share};
use crate::stats::contingency::{newcombe, proportions};
use crate::stats::interval::{CONFIDENCE, Interval, z_quantile};
use crate::stats::moments::Moments;
use serde::{Deserialize, Serialize};

/// The share of right answers.
pub const ACCURACY: &str = "accuracy";
/// The mean of absolute errors.
pub const ABSOLUTE: &str = "mean absolute error";
/// The root of the mean of squared ones.
pub const SQUARED: &str = "root mean squared error";

/// Answers held against what is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Right ones.
    pub correct: u64,
    /// Rows with both.
    pub rows: u64,
    /// Rows whose label or prediction is not there: neither right nor wrong.
    pub unknown: u64,
}

impl Tally {
    /// Counts a row.
    pub fn add<T: PartialEq + ?Sized>(&mut self, label: Option<&T>, prediction: Option<&T>) {
        match (label, prediction) {
            (Some(label), Some(prediction)) => {
                self.rows += 1;
                self.correct += u64::from(label == prediction);
            }
            _ => self.unknown += 1,
        }
    }
}

/// The share of right answers before and now; its `change` is what was lost, 0.02 for two points.
pub fn accuracy(reference: Part, current: Part, policy: &Policy) -> Change {
    let n = Sides::new(reference.of, current.of);
    let open = Change::open(ACCURACY, n, format!("{} have a label and a prediction", rows_of(n)));
    let (r, c) = ((reference.rows, reference.of), (current.rows, current.of));
    let (Some(test), Some(gained)) = (proportions(r, c), newcombe(r, c, CONFIDENCE)) else { return open };
    let shares = Sides::new(share(r.0, r.1), share(c.0, c.1));
    // 0.95 − 0.90 is a little less than 0.05.
    let lost = (-test.difference * 1e12).round() / 1e12;
    let change = open.measured(shares, lost, Some(Interval { low: -gained.high, high: -gained.low }));
    // One side: only a loss is asked for.
    let p = if test.z < 0.0 { test.p_value / 2.0 } else { 1.0 - test.p_value / 2.0 };
    let needed = |target: f64, z: f64| {
        // Half a row more, so that shares of 0 and 1 have a spread too.
        let pooled = (r.0 as f64 + c.0 as f64 + 0.5) / (r.1 as f64 + c.1 as f64 + 1.0);
        rows_for(target.powi(2) / (z.powi(2) * pooled * (1.0 - pooled)), n.reference, n.current)
    };
    let surely = newcombe(r, c, sure(policy)).is_some_and(|gained| gained.high < 0.0);
    let words = format!("{} are right instead of {}", percent(shares.current), percent(shares.reference));
    banded(Change { p: Some(p), ..change }, words, (surely, needed), policy)
}

/// Mean errors before and now, of their absolute values or (`squared`) of their squares, whose root is told; `change` is by what
/// part they grew, 0.02 for two percent.
pub fn errors(reference: &Moments, current: &Moments, squared: bool, policy: &Policy) -> Change {
    let name = if squared { SQUARED } else { ABSOLUTE };
    let n = Sides::new(reference.rows, current.rows);
    let open = Change::open(name, n, format!("{} have a label and a prediction, and some error", rows_of(n)));
    let root = if squared { 0.5 } else { 1.0 };
    let log = |side: &Moments| {
        let relative = side.sd()? / side.mean;
        (side.mean > 0.0).then(|| (root * side.mean.ln(), (root * relative).powi(2)))
    };
    let (Some((log_r, of_r)), Some((log_c, of_c)), Some(z)) = (log(reference), log(current), z_quantile(CONFIDENCE)) else {
        return open;
    };
    let (by, spread) = (log_c - log_r, (of_r / n.reference as f64 + of_c / n.current as f64).sqrt());
    let half = z * spread;
    let sides = Sides::new(log_r.exp(), log_c.exp());
    let change =
        open.measured(sides, by.exp() - 1.0, Some(Interval { low: (by - half).exp() - 1.0, high: (by + half).exp() - 1.0 }));
    let needed = |target: f64, z: f64| rows_for((target.ln_1p() / z).powi(2) / f64::midpoint(of_r, of_c), n.reference, n.current);
    let surely = z_quantile(sure(policy)).is_some_and(|z| by > z * spread);
    let words = format!("the {name} is {} instead of {}", about(sides.current), about(sides.reference));
    banded(change, words, (surely, needed), policy)
}

/// The confidence of the interval that must exclude 0. Only one of its ends is asked for, and calibration is asked too.
fn sure(policy: &Policy) -> f64 {
    1.0 - policy.alpha
}

/// The band of what was lost, if that is sure; else how many rows would show it, given what is to be shown and how surely.
fn banded(
    change: Change,
    words: String,
    (surely, needed): (bool, impl Fn(f64, f64) -> Option<Sides<u64>>),
    policy: &Policy,
) -> Change {
    let limit = policy.accuracy.monitor;
    let (Some(lost), Some(low), Some(high)) = (change.change, change.low, change.high) else { return change };
    let band = policy.accuracy.of(lost);
    // Where nothing was lost the interval says what would have shown.
    let shows = high < limit || lost - low < limit;
    let decided = surely || (band == Status::Ok && shows);
    let ends = format!("{words}: a loss of {} … {}", percent(low), percent(high));
    if policy.rule == Rule::Spec || decided {
        return Change { limit: Some(limit), status: band, why: ends, ..change };
    }
    let confidence = if band == Status::Ok { CONFIDENCE } else { sure(policy) };
    let needed = z_quantile(confidence).and_then(|z| needed(lost.max(limit), z));
    Change { limit: Some(limit), needed, why: format!("{ends} may be chance{}", could_decide(needed)), ..change }
}

/// The same, knowing what broke upstream: then nothing can be said of what is right. Nor when the columns of `answers`, what was said
/// and what is right, hold words that they never held: they are written in another way now.
#[must_use]
pub fn after(change: Change, findings: &[Finding], answers: &[&str]) -> Change {
    let renamed = |finding: &Finding| {
        matches!(finding.what, What::Unseen | What::Cardinality)
            && finding.column.as_deref().is_some_and(|column| answers.contains(&column))
    };
    let mut heavy = findings.iter().filter(|finding| finding.status >= Status::Warning);
    let broken = heavy.find(|finding| finding.what.breaks() || renamed(finding));
    let Some(finding) = broken.filter(|_| change.status.moved()) else { return change };
    let why = format!("{}; first see to what broke upstream: {}", change.why, finding.words);
    Change { status: Status::Inconclusive, needed: None, why, ..change }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn of(reference: (u64, u64), current: (u64, u64)) -> Change {
        let part = |(rows, of)| Part { rows, of };
        accuracy(part(reference), part(current), &Policy::default())
    }

    /// M2: 2 points are watched, 5 act within 24 hours, more than 10 now.
    #[test]
    fn bands_begin_where_the_specification_says() {
        let many = |lost: u64| of((900_000, 1_000_000), (900_000 - lost, 1_000_000)).status;
        let cases = [
            (0, Status::Ok),
            (19_999, Status::Ok),
            (20_000, Status::Monitor),
            (49_999, Status::Monitor),
            (50_000, Status::Warning),
            (100_000, Status::Warning),
            (100_001, Status::Critical),
        ];
        for (lost, want) in cases {
            assert_eq!(many(lost), want, "{lost}");
        }
        assert_eq!(of((900_000, 1_000_000), (950_000, 1_000_000)).status, Status::Ok);
    }

    #[test]
    fn ten_points_of_twenty_rows_are_noise() {
        let noise = of((19, 20), (17, 20));
        // statsmodels 0.15.0: confint_proportions_2indep(17, 20, 19, 20, method="newcomb"), in tests/fixtures too.
        assert!(
            (noise.low.expect("an end") + 0.110_182).abs() < 1e-5 && (noise.high.expect("an end") - 0.314_399).abs() < 1e-5,
            "{noise:?}"
        );
        assert_eq!((noise.status, noise.change), (Status::Inconclusive, Some(0.1)));
        let rows = noise.needed.expect("a number");
        let twenties = |rows: u64| rows * 5 / 4 / 20 + 1;
        let (r, c) = (twenties(rows.reference), twenties(rows.current));
        assert_eq!(of((19 * r, 20 * r), (17 * c, 20 * c)).status, Status::Warning, "{rows:?}");
        assert_eq!(of((0, 0), (5, 9)).status, Status::Inconclusive);
        assert_eq!(of((9, 8), (5, 9)).status, Status::Inconclusive);
        let literal =
            accuracy(Part { rows: 19, of: 20 }, Part { rows: 17, of: 20 }, &Policy { rule: Rule::Spec, ..Policy::default() });
        assert_eq!(literal.status, Status::Warning);
    }

    #[test]
    fn ok_needs_rows_that_would_have_shown_a_loss() {
        let few = of((180, 200), (180, 200));
        assert_eq!(few.status, Status::Inconclusive);
        let rows = few.needed.expect("a number").reference;
        let at = |rows: u64| of((rows * 9 / 10, rows), (rows * 9 / 10, rows)).status;
        assert_eq!((at(rows * 11 / 10), at(rows * 9 / 10)), (Status::Ok, Status::Inconclusive));
        // Better than before, so surely no loss of two points.
        assert_eq!(of((150, 200), (190, 200)).status, Status::Ok);
    }

    #[test]
    fn a_loss_behind_a_break_is_no_drift_of_the_concept() {
        let lost = of((950, 1000), (700, 1000));
        assert_eq!(lost.status, Status::Critical);
        let finding =
            |what, status| Finding { column: None, what, status, words: "age is missing".into(), shares: None, p: None, q: None };
        let behind = after(lost.clone(), &[finding(What::Missing, Status::Critical)], &[]);
        assert!(behind.status == Status::Inconclusive && behind.why.ends_with("age is missing"), "{behind:?}");
        assert_eq!(after(lost.clone(), &[finding(What::New, Status::Monitor)], &[]), lost);
        let unseen = |column: &str| Finding { column: Some(column.into()), ..finding(What::Unseen, Status::Critical) };
        assert_eq!(after(lost.clone(), &[unseen("land")], &["answer", "label"]), lost);
        assert_eq!(after(lost.clone(), &[unseen("label")], &["answer", "label"]).status, Status::Inconclusive);
    }

    #[test]
    fn labels_that_are_not_there_are_neither_right_nor_wrong() {
        let mut tally = Tally::default();
        for (label, prediction) in [(Some("a"), Some("a")), (Some("a"), Some("b")), (None, Some("a")), (Some("a"), None)] {
            tally.add(label, prediction);
        }
        assert_eq!(tally, Tally { correct: 1, rows: 2, unknown: 2 });
    }

    /// Without a loss one is said in at most one check of two hundred, half of what the data may be wrong in all.
    #[test]
    fn a_loss_that_is_none_is_hardly_ever_said() {
        let mut rng = crate::stats::rng::Rng::new(7);
        let mut said = |checks: u32, moved: &mut dyn FnMut(&mut dyn FnMut() -> f64) -> bool| {
            (0..checks).filter(|_| moved(&mut || rng.unit())).count() as f64 / f64::from(checks)
        };
        for rows in [200_u64, 1000] {
            let lost = said(4000, &mut |unit| {
                let mut right = || (0..rows).filter(|_| unit() < 0.85).count() as u64;
                of((right(), rows), (right(), rows)).status.moved()
            });
            assert!(lost < 0.005, "{lost} with {rows} rows");
        }
        let grown = said(1000, &mut |unit| {
            let mut sample = || Moments::of(&(0..1000).map(|_| -unit().max(1e-12).ln()).collect::<Vec<_>>()).expect("moments");
            errors(&sample(), &sample(), false, &Policy::default()).status.moved()
        });
        assert!(grown < 0.008, "{grown}");
    }

    #[test]
    fn errors_that_grew_are_seen() {
        let sample =
            |scale: f64, n: u32| Moments::of(&(0..n).map(|i| f64::from(i % 10) * scale).collect::<Vec<_>>()).expect("moments");
        let policy = Policy::default();
        let grown = |scale, n| errors(&sample(1.0, 4000), &sample(scale, n), false, &policy);
        assert_eq!((grown(1.2, 4000).status, grown(1.2, 20).status), (Status::Critical, Status::Inconclusive));
        assert!(grown(1.2, 4000).change.is_some_and(|by| (by - 0.2).abs() < 1e-9));
        assert_eq!(errors(&sample(0.0, 50), &sample(1.0, 50), true, &policy).status, Status::Inconclusive);
        assert_eq!(errors(&sample(1.0, 1), &sample(1.0, 1), false, &policy).status, Status::Inconclusive);
        let squares = errors(&sample(1.0, 40_000), &sample(1.44, 40_000), true, &policy);
        assert!(squares.change.is_some_and(|by| (by - 0.2).abs() < 1e-9), "{squares:?}");
    }
}
