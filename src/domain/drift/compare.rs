//! The numbers of two columns: one primary index with its law, effect sizes, and what is not a value as findings of their own.
//!
//! The primary test of both kinds of columns is the PSI's chi-squared law; the others are effect sizes and second opinions. Nothing
//! here knows a threshold. Shares of nulls, NaN and infinities are tested apart: they are no values and would otherwise be invisible.

use super::levels::{Laid, Levels, laid};
use super::profile::Numeric;
use crate::stats::contingency::{Contingency, Proportions, contingency, proportions};
use crate::stats::divergence::{Psi, hellinger, jensen_shannon, kullback_leibler, psi, smoothed};
use crate::stats::smirnov::{Smirnov, smirnov};
use crate::stats::wasserstein::{self, Scale};

/// Distances of two rows of counts over the same cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    /// The population stability index, its terms by cell and its law.
    pub psi: Psi,
    /// KL(current ‖ reference) of the smoothed shares, in nats.
    pub kullback_leibler: f64,
    /// The Jensen–Shannon distance of the shares, in nats, 0 to 0.8326.
    pub jensen_shannon: f64,
    /// The Hellinger distance of the shares, 0 to 1.
    pub hellinger: f64,
}

/// How far two samples are from each other along the axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moved {
    /// The Wasserstein distance, in the unit of the values.
    pub distance: f64,
    /// By how much it may be off because a sample is a stored grid; 0 when both are exact.
    pub error: f64,
    /// The distance in units of the reference's scale, and what that is; `None` when the reference is 0 everywhere.
    pub scaled: Option<(f64, Scale)>,
    /// By how much that may be off; 0 when both samples are exact, infinite when nothing is known.
    pub scaled_error: f64,
}

/// Two numeric columns. What needs values of both sides is `None` without.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// Over the reference's cells; `None` when a side has no finite value.
    pub cells: Option<Cells>,
    /// Kolmogorov and Smirnov's test.
    pub smirnov: Option<Smirnov>,
    /// The Wasserstein distance.
    pub moved: Option<Moved>,
    /// The share of nulls among all rows; `None` when a side has no rows at all.
    pub nulls: Option<Proportions>,
    /// The share of NaN and infinities among all rows; `None` likewise.
    pub not_finite: Option<Proportions>,
}

/// Two categorical columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Categories {
    /// The levels laid over each other: names and counts of the cells, levels never seen, levels gone.
    pub laid: Laid,
    /// Over the largest levels and all others; `None` when a side has no rows that are not null.
    pub cells: Option<Cells>,
    /// The test of the 2×K table over the same cells.
    pub contingency: Option<Contingency>,
    /// The share of nulls among all rows; `None` when a side has no rows at all.
    pub nulls: Option<Proportions>,
}

/// Compares two numeric columns. `None` when they are not counted in the same cells.
pub fn numbers(reference: &Numeric, current: &Numeric) -> Option<Numbers> {
    (reference.histogram().edges() == current.histogram().edges()).then_some(())?;
    let samples = reference.sample().zip(current.sample());
    let share = |of: fn(&Numeric) -> u64| proportions((of(reference), reference.rows()), (of(current), current.rows()));
    Some(Numbers {
        cells: cells(reference.histogram().counts(), current.histogram().counts()),
        smirnov: samples.and_then(|(r, c)| smirnov(r, c)),
        moved: samples.and_then(|(r, c)| {
            let distance = wasserstein::distance(r, c)?;
            let (scale, error) = (wasserstein::scale(r), r.shift() + c.shift());
            let scaled = scale.map(|(scale, kind)| (distance / scale, kind)).filter(|(d, _)| d.is_finite());
            let sure = scale.zip(wasserstein::scale_error(r));
            let scaled_error = sure.map_or(0.0, |((scale, _), off)| wasserstein::scaled_error((distance, error), (scale, off)));
            Some(Moved { distance, error, scaled, scaled_error })
        }),
        nulls: share(|column| column.nulls),
        not_finite: share(|column| column.nan.saturating_add(column.infinite)),
    })
}

/// Compares two categorical columns.
pub fn levels(reference: &Levels, current: &Levels) -> Categories {
    let laid = laid(reference, current);
    let all = |levels: &Levels| (levels.nulls(), levels.nulls().saturating_add(levels.rows()));
    Categories {
        cells: cells(&laid.reference, &laid.current),
        contingency: contingency(&laid.reference, &laid.current),
        nulls: proportions(all(reference), all(current)),
        laid,
    }
}

fn cells(reference: &[u64], current: &[u64]) -> Option<Cells> {
    let psi = psi(reference, current)?;
    let (r, c) = smoothed(reference, current)?;
    let shares = |counts: &[u64]| counts.iter().map(|count| *count as f64).collect::<Vec<f64>>();
    let (raw_r, raw_c) = (shares(reference), shares(current));
    Some(Cells {
        psi,
        kullback_leibler: kullback_leibler(&c, &r)?,
        jensen_shannon: jensen_shannon(&raw_r, &raw_c)?,
        hellinger: hellinger(&raw_r, &raw_c)?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::stats::rng::Rng;

    /// Sums of twelve uniform draws, less 6: close to normal.
    pub(in crate::domain::drift) fn draws(seed: u64, n: usize, shift: f64) -> Vec<Option<f64>> {
        let mut rng = Rng::new(seed);
        let mut one = || (0..12).map(|_| rng.below(1 << 30) as f64 / f64::from(1 << 30)).sum::<f64>() - 6.0;
        (0..n).map(|_| Some(one() + shift)).collect()
    }

    fn against(reference: &Numeric, cells: Vec<Option<f64>>) -> Numbers {
        let current = Numeric::of(cells, Some(reference.histogram().edges())).expect("edges");
        numbers(reference, &current).expect("the same cells")
    }

    #[test]
    fn without_drift_the_index_follows_its_law() {
        let reference = Numeric::of(draws(1, 4000, 0.0), None).expect("own edges");
        let p: Vec<f64> =
            (0..200u64).map(|seed| against(&reference, draws(seed + 2, 500, 0.0)).cells.expect("values").psi.p_value).collect();
        // Binomial with 200 and 0.05: outside of 2..=21 once in a thousand seeds, and these are fixed.
        let alarms = p.iter().filter(|p| **p < 0.05).count();
        assert!((2..=21).contains(&alarms), "{alarms} of 200 below 0.05");
    }

    /// Rare levels and far more rows on one side: cells chosen by the reference alone give 0.7 and 0.3 here.
    #[test]
    fn without_drift_the_index_of_many_levels_follows_its_law() {
        let weights: Vec<f64> = (1..=50).map(|k| 1.0 / f64::from(k)).collect();
        let names: Vec<String> = (1..=50).map(|k| k.to_string()).collect();
        let mut rng = Rng::new(3);
        let mut draw = |rows: usize| {
            let mut levels = Levels::default();
            for _ in 0..rows {
                let mut left = rng.below(1 << 30) as f64 / f64::from(1 << 30) * weights.iter().sum::<f64>();
                let at = weights.iter().position(|weight| {
                    left -= weight;
                    left < 0.0
                });
                levels.add(Some(&names[at.unwrap_or(49)]), 1);
            }
            levels
        };
        let p: Vec<f64> = (0..300).map(|_| levels(&draw(200), &draw(3000)).cells.expect("values").psi.p_value).collect();
        let alarms = |level: f64| p.iter().filter(|p| **p < level).count();
        // Binomial with 300 and 0.05, with 300 and 0.001: beyond these once in a thousand seeds, and these are fixed.
        assert!((4..=28).contains(&alarms(0.05)) && alarms(0.001) <= 3, "{} and {}", alarms(0.05), alarms(0.001));
    }

    /// A mean that moves by d standard deviations: PSI ≈ d², KL ≈ d²/2, W = d, JS ≈ d/√8.
    #[test]
    fn a_shift_is_what_theory_says() {
        let reference = Numeric::of(draws(1, 20_000, 0.0), None).expect("own edges");
        let got = against(&reference, draws(2, 20_000, 0.3));
        let cells = got.cells.expect("values");
        let near = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 0.15, "{got} is not about {want}");
        near(cells.psi.value, 0.09);
        near(cells.kullback_leibler, 0.045);
        near(cells.jensen_shannon, 0.106);
        near(got.moved.and_then(|m| m.scaled).expect("a scale").0, 0.3);
        assert!(cells.psi.p_value < 1e-100 && got.smirnov.is_some_and(|s| !s.current_lower && s.p_value < 1e-50));
    }

    #[test]
    fn a_stored_reference_gives_the_same_index_and_says_how_far_the_rest_is_off() {
        let exact = Numeric::of(draws(1, 30_000, 0.0), None).expect("own edges");
        let (full, small) = (against(&exact, draws(2, 900, 0.1)), against(&exact.stored(), draws(2, 900, 0.1)));
        assert_eq!(full.cells, small.cells);
        let (a, b) = (full.moved.expect("values"), small.moved.expect("values"));
        assert!(a.error == 0.0 && b.error > 0.0 && (a.distance - b.distance).abs() <= b.error, "{a:?} {b:?}");
    }

    #[test]
    fn nulls_and_infinities_are_findings() {
        let reference = Numeric::of(draws(1, 200, 0.0), None).expect("own edges");
        let mut cells = draws(2, 200, 0.0);
        cells[..80].fill(None);
        cells[80] = Some(f64::INFINITY);
        let got = against(&reference, cells);
        assert!(got.nulls.is_some_and(|p| p.difference == 0.4 && p.p_value < 1e-20));
        assert!(got.not_finite.is_some_and(|p| p.p_value > 0.05));
    }

    #[test]
    fn empty_and_constant_columns_have_no_nan() {
        let constant = Numeric::of([Some(5.0); 30], None).expect("own edges");
        let same = against(&constant, vec![Some(5.0); 20]);
        assert!(same.cells.is_some_and(|c| c.psi.value == 0.0 && c.psi.p_value == 1.0));
        assert!(against(&constant, vec![Some(4.0); 20]).cells.is_some_and(|c| c.psi.p_value < 1e-6));
        for nothing in [vec![], vec![None; 3]] {
            let got = against(&constant, nothing);
            assert_eq!((got.cells, got.smirnov, got.moved), (None, None, None));
        }
        let elsewhere = Numeric::of([Some(6.0); 30], None).expect("own edges");
        assert_eq!(numbers(&constant, &elsewhere), None);
    }

    #[test]
    fn levels_tell_what_moved() {
        let cells = |a: usize, b: usize, new: usize| {
            Levels::of([vec![Some("a"); a], vec![Some("b"); b], vec![Some("new"); new]].concat())
        };
        let reference = cells(150, 150, 0);
        let quiet = levels(&reference, &cells(148, 151, 1));
        // One unseen row is a finding, not drift.
        assert_eq!(quiet.laid.unseen, [("new".to_owned(), 1)]);
        assert!(quiet.contingency.is_some_and(|c| c.p_value > 0.05) && quiet.cells.is_some_and(|c| c.psi.p_value > 0.001));
        let moved = levels(&reference, &cells(200, 60, 40));
        assert!(moved.contingency.is_some_and(|c| c.p_value < 1e-9 && c.degrees == 2));
        assert!(moved.cells.is_some_and(|c| c.psi.terms.len() == 4 && c.psi.cells == 3 && c.psi.terms[2] > c.psi.terms[0]));
        let nothing = levels(&reference, &Levels::of([None]));
        assert!(nothing.cells.is_none() && nothing.contingency.is_none() && nothing.nulls.is_some_and(|p| p.difference == 1.0));
    }
}
