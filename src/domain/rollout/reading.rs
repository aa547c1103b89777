//! One check read over windows: point estimates, and the evidence that its limit is broken. Numbers only; [`super::judge`]
//! says what follows.
//!
//! Invariants: a figure of another kind than the rule reads, or with numbers that cannot be (more hits than draws, a mean
//! outside its range), is left out and counted as `refused`; a window without draws adds nothing; nothing here depends on how
//! often somebody looks.

use super::policy::{Check, Rule};
use super::window::{Figure, Window};
use crate::stats::cluster::{correlation, design_effect};
use crate::stats::describe::{Counts, Moments};
use crate::stats::evidence::{Evidence, Factors, of_drop, of_low_mean, of_rate, of_ratio};

/// How far rounding may carry a mean out of its range, as a share of the range.
const ROUNDING: f64 = 1e-9;

/// ln of the likelihood ratio from which on one window counts against a version: four of 30 at a limit of 5 %.
const STRONG: f64 = 1.5;

/// The figures that a check can read, in the order of their windows, and how many it cannot.
pub(super) fn figures(check: &Check, windows: &[Window]) -> (Vec<Figure>, u64) {
    let all: Vec<Figure> = windows.iter().filter_map(|w| w.figures.get(&check.metric).copied()).collect();
    let kept: Vec<Figure> = all.iter().copied().filter(|f| readable(&check.rule, f)).collect();
    let refused = (all.len() - kept.len()) as u64;
    (kept, refused)
}

fn readable(rule: &Rule, figure: &Figure) -> bool {
    let counts = |c: &Counts| c.hits <= c.n;
    let values = |m: &Moments| {
        let m = m.scaled(scale(rule));
        m.n == 0 || ((-ROUNDING..=1.0 + ROUNDING).contains(&m.mean) && (0.0..=1.0).contains(&m.sd))
    };
    match (rule, figure) {
        (Rule::Rate { .. } | Rule::Ratio { .. }, Figure::Counts { stable, canary }) => counts(stable) && counts(canary),
        (Rule::Mean { .. } | Rule::Drop { .. } | Rule::Cost { .. }, Figure::Values { stable, canary }) => {
            values(stable) && values(canary)
        }
        (Rule::Paired { .. }, Figure::Pairs { differences }) => values(differences),
        _ => false,
    }
}

/// What counts as the worst (0) and as the best (1) value of a rule, in the unit of its figures.
fn scale(rule: &Rule) -> (f64, f64) {
    match *rule {
        Rule::Mean { range, .. } | Rule::Drop { range, .. } => range,
        Rule::Cost { range, .. } => (range.1.ln(), range.0.ln()),
        Rule::Paired { span, .. } => (span, -span),
        Rule::Rate { .. } | Rule::Ratio { .. } => (0.0, 1.0),
    }
}

/// Point estimates of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    /// Draws of the canary (pairs, for a paired check).
    pub(super) n: u64,
    /// Draws of the stable version, when the rule compares with it.
    pub(super) against: Option<u64>,
    /// The canary's figure, in the unit of the limit.
    pub(super) estimate: Option<f64>,
    /// The same figure of the stable version, where it has one.
    pub(super) stable: Option<f64>,
    /// The limit, in the unit of the estimate; of a ratio what it comes to with the stable version's rate.
    pub(super) limit: Option<f64>,
    /// True when the canary's estimate breaks the limit.
    pub(super) beyond: bool,
    /// True when the stable version breaks the same limit.
    pub(super) stable_beyond: bool,
}

/// The estimates over all figures together.
pub(super) fn point(rule: &Rule, figures: &[Figure]) -> Point {
    let Some(total) = figures.iter().copied().try_fold(None, |sum: Option<Figure>, f| match sum {
        None => Some(Some(f)),
        Some(sum) => sum.and(f).map(Some),
    }) else {
        return Point::default();
    };
    match (*rule, total) {
        (Rule::Rate { limit }, Some(Figure::Counts { stable, canary })) => {
            let over = |c: Counts| c.rate().is_some_and(|r| r > limit);
            let (beyond, stable_beyond) = (over(canary), over(stable));
            let (estimate, stable) = (canary.rate(), stable.rate());
            Point { n: canary.n, against: None, estimate, stable, limit: Some(limit), beyond, stable_beyond }
        }
        (Rule::Ratio { factor, floor }, Some(Figure::Counts { stable, canary })) => {
            let limit = stable.rate().map(|r| (factor * r).max(floor));
            let beyond = canary.rate().zip(limit).is_some_and(|(r, limit)| r > limit);
            let (estimate, rate) = (canary.rate(), stable.rate());
            Point { n: canary.n, against: Some(stable.n), estimate, stable: rate, limit, beyond, stable_beyond: false }
        }
        (_, Some(Figure::Values { stable, canary })) => of_values(rule, &stable, &canary),
        (Rule::Paired { most, .. }, Some(Figure::Pairs { differences })) => {
            let estimate = mean(&differences);
            let beyond = estimate.is_some_and(|d| d > most);
            Point { n: differences.n, estimate, limit: Some(most), beyond, ..Point::default() }
        }
        _ => Point::default(),
    }
}

fn of_values(rule: &Rule, stable: &Moments, canary: &Moments) -> Point {
    let both = mean(canary).zip(mean(stable));
    let (estimate, limit, own) = match *rule {
        Rule::Mean { least, .. } => {
            let low = |m: &Moments| mean(m).is_some_and(|v| v < least);
            let point =
                Point { n: canary.n, estimate: mean(canary), stable: mean(stable), limit: Some(least), ..Point::default() };
            return Point { beyond: low(canary), stable_beyond: low(stable), ..point };
        }
        Rule::Drop { most, .. } => (both.map(|(c, s)| s - c), most, mean(stable)),
        Rule::Cost { factor, .. } => (both.map(|(c, s)| (c - s).exp()), factor, mean(stable).map(f64::exp)),
        _ => return Point::default(),
    };
    let beyond = estimate.is_some_and(|e| e > limit);
    let limit = Some(limit);
    Point { n: canary.n, against: Some(stable.n), estimate, stable: own, limit, beyond, stable_beyond: false }
}

fn mean(values: &Moments) -> Option<f64> {
    (values.n > 0).then_some(values.mean)
}

/// ln E that the canary breaks the limit; how clumped counts are is learnt from the stable version's in `learnt`.
pub(super) fn evidence(rule: &Rule, figures: &[Figure], learnt: &[Figure]) -> f64 {
    match *rule {
        Rule::Rate { limit } => of_counts((figures, learnt), |_, canary| of_rate(canary.hits, canary.n, limit)),
        Rule::Ratio { factor, .. } => of_counts((figures, learnt), |stable, canary| {
            let share = canary.n as f64 / (canary.n as f64 + stable.n as f64);
            of_ratio(stable.hits, canary.hits, share, factor)
        }),
        Rule::Mean { least, range } => {
            let limit = (least - range.0) / (range.1 - range.0);
            of_means(rule, figures, limit)
        }
        Rule::Paired { most, span } => of_means(rule, figures, (1.0 - most / span) / 2.0),
        Rule::Drop { most, range } => of_difference(rule, figures, most / (range.1 - range.0)),
        Rule::Cost { factor, range } => of_difference(rule, figures, factor.ln() / (range.1 / range.0).ln()),
    }
}

/// Counts window by window, tempered by how far the stable version's hits come in clumps.
fn of_counts((figures, learnt): (&[Figure], &[Figure]), factors: impl Fn(Counts, Counts) -> Factors) -> f64 {
    let counts = |f: &Figure| if let Figure::Counts { stable, canary } = f { Some((*stable, *canary)) } else { None };
    let calm: Vec<(u64, u64)> = learnt.iter().filter_map(counts).map(|(stable, _)| (stable.hits, stable.n)).collect();
    let alike = correlation(&calm).unwrap_or(0.0);
    let mut evidence = Evidence::default();
    for (stable, canary) in figures.iter().filter_map(counts).filter(|(_, canary)| canary.n > 0) {
        evidence.add(&factors(stable, canary), 1.0 / design_effect(canary.n, alike));
    }
    evidence.log()
}

/// The canary's values, or the differences of pairs, window by window.
fn of_means(rule: &Rule, figures: &[Figure], limit: f64) -> f64 {
    let mut evidence = Evidence::default();
    for figure in figures {
        let (Figure::Values { canary: values, .. } | Figure::Pairs { differences: values }) = figure else { continue };
        if values.n > 0 {
            evidence.add(&of_low_mean(&values.scaled(scale(rule)), limit), 1.0);
        }
    }
    evidence.log()
}

/// All values of both arms; where in time they fell does not matter here.
fn of_difference(rule: &Rule, figures: &[Figure], drop: f64) -> f64 {
    let sum = |arm: fn(&Figure) -> Option<Moments>| figures.iter().filter_map(arm).fold(Moments::default(), |a, b| a.and(&b));
    let first = sum(|f| if let Figure::Values { stable, .. } = f { Some(*stable) } else { None });
    let second = sum(|f| if let Figure::Values { canary, .. } = f { Some(*canary) } else { None });
    of_drop(&first.scaled(scale(rule)), &second.scaled(scale(rule)), drop)
}

/// True when one window speaks against both versions by more than a good one shows now and then.
pub(super) fn breaks_both(rule: &Rule, figure: &Figure) -> bool {
    let strong = |factors: Factors| factors.iter().any(|log| *log >= STRONG);
    match (*rule, *figure) {
        (Rule::Rate { limit }, Figure::Counts { stable, canary }) => {
            [stable, canary].iter().all(|c| strong(of_rate(c.hits, c.n, limit)))
        }
        (Rule::Mean { least, range }, Figure::Values { stable, canary }) => {
            let limit = (least - range.0) / (range.1 - range.0);
            [stable, canary].iter().all(|m| strong(of_low_mean(&m.scaled(scale(rule)), limit)))
        }
        _ => false,
    }
}

/// The figures of those windows in which the canary breaks the limit.
pub(super) fn troubled(rule: &Rule, figures: &[Figure]) -> Vec<Figure> {
    figures.iter().copied().filter(|f| point(rule, &[*f]).beyond).collect()
}

/// True for counts, which come in clumps; scores are drawn one by one.
pub(super) fn are_counts(figures: &[Figure]) -> bool {
    figures.iter().any(|f| matches!(f, Figure::Counts { .. }))
}
