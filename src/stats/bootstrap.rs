//! The bootstrap: where a mean lies when nothing is known of the shape of its values.
//!
//! Where the numbers come from: the percentile interval and the bias-corrected and accelerated one (Efron 1987, JASA 82; Efron and
//! Tibshirani 1993, "An Introduction to the Bootstrap", chapter 14; ties of the estimate count half, as scipy has it). Rows that are not
//! independent are drawn together, whole cluster by whole cluster (Davison and Hinkley 1997, §3.8), and the mean of a draw is that of its
//! rows. The seed is the caller's, so the same rows give the same interval everywhere.

use super::describe::{mean, quantile_sorted};
use super::interval::{Interval, finite};
use super::rng::Rng;
use statrs::distribution::{ContinuousCDF, Normal};
use std::collections::BTreeMap;

/// Draws unless somebody asks for more; fewer make the ends of a 95 % interval shake.
pub const DRAWS: usize = 2_000;

/// How an interval is read from the draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The quantiles of the draws.
    Percentile,
    /// The quantiles moved by the bias of the draws and the skew of the values.
    Bca,
}

/// What is drawn: the sum and the number of the values of a cluster.
#[derive(Clone, Copy, Debug)]
struct Unit {
    sum: f64,
    rows: f64,
}

/// The interval of the mean of `values`, of which those with the same number in `clusters` are drawn together (`None`: each alone).
/// `None` for fewer than two clusters, no draws, values that are not finite, or a confidence that is not strictly between 0 and 1; for
/// [`Method::Bca`] also where no draw differs from the estimate, which leaves no bias to correct.
pub fn of_mean(
    values: &[f64],
    clusters: Option<&[usize]>,
    (method, draws, confidence): (Method, usize, f64),
    seed: u64,
) -> Option<Interval> {
    if !(confidence > 0.0 && confidence < 1.0) || draws == 0 {
        return None;
    }
    let estimate = mean(values)?;
    let units = units(values, clusters)?;
    let mut drawn = resampled(&units, draws, &mut Rng::new(seed));
    drawn.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    let (low, high) = match method {
        Method::Percentile => (tail, 1.0 - tail),
        Method::Bca => corrected(&drawn, estimate, &units, tail)?,
    };
    finite(quantile_sorted(&drawn, low)?, quantile_sorted(&drawn, high)?)
}

fn units(values: &[f64], clusters: Option<&[usize]>) -> Option<Vec<Unit>> {
    let alone = || values.iter().map(|v| Unit { sum: *v, rows: 1.0 }).collect::<Vec<_>>();
    let together = |clusters: &[usize]| {
        let mut sums: BTreeMap<usize, Unit> = BTreeMap::new();
        for (value, cluster) in values.iter().zip(clusters) {
            let unit = sums.entry(*cluster).or_insert(Unit { sum: 0.0, rows: 0.0 });
            unit.sum += value;
            unit.rows += 1.0;
        }
        (clusters.len() == values.len()).then(|| sums.into_values().collect())
    };
    clusters.map_or_else(|| Some(alone()), together).filter(|units: &Vec<Unit>| units.len() > 1)
}

fn resampled(units: &[Unit], draws: usize, rng: &mut Rng) -> Vec<f64> {
    // The rows of single units need no counting.
    let single = units.iter().all(|u| u.rows == 1.0);
    let n = units.len();
    (0..draws)
        .map(|_| {
            if single {
                return (0..n).map(|_| units[rng.below(n)].sum).sum::<f64>() / n as f64;
            }
            let (sum, rows) = (0..n).fold((0.0, 0.0), |(sum, rows), _| {
                let unit = units[rng.below(n)];
                (sum + unit.sum, rows + unit.rows)
            });
            sum / rows
        })
        .collect()
}

/// The quantiles to read: Φ(z₀ + (z₀ + z)/(1 − a(z₀ + z))).
fn corrected(sorted: &[f64], estimate: f64, units: &[Unit], tail: f64) -> Option<(f64, f64)> {
    let law = Normal::standard();
    let below = sorted.partition_point(|d| *d < estimate);
    let upto = sorted.partition_point(|d| *d <= estimate);
    let share = (below + upto) as f64 / (2 * sorted.len()) as f64;
    let bias = (share > 0.0 && share < 1.0 && below < sorted.len() && upto > 0).then(|| law.inverse_cdf(share))?;
    let skew = acceleration(units)?;
    let moved = |z: f64| law.cdf(bias + (bias + z) / (1.0 - skew * (bias + z)));
    let z = law.inverse_cdf(tail);
    Some((moved(z), moved(-z))).filter(|(low, high)| low.is_finite() && high.is_finite())
}

/// A sixth of the skew of the means that leave one unit out.
fn acceleration(units: &[Unit]) -> Option<f64> {
    let all = units.iter().fold(Unit { sum: 0.0, rows: 0.0 }, |a, u| Unit { sum: a.sum + u.sum, rows: a.rows + u.rows });
    let without: Vec<f64> = units.iter().map(|u| (all.sum - u.sum) / (all.rows - u.rows)).collect();
    let centre = mean(&without)?;
    let (squares, cubes) = without.iter().fold((0.0, 0.0), |(squares, cubes), v| {
        let d = centre - v;
        (squares + d * d, cubes + d * d * d)
    });
    (squares > 0.0).then(|| cubes / (6.0 * squares.powf(1.5)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::interval::CONFIDENCE;
    use crate::stats::vectors::{ab_rows, near};

    /// scipy 1.17.1, `bootstrap((x,), np.mean, method=…)`, whose indices are those of this generator (`make.py` puts xoshiro256++ and
    /// Lemire's rule, written again in Python, in the place of its own); clusters by the same formulas in numpy.
    #[test]
    fn intervals_agree_with_scipy_on_the_same_draws() {
        for row in ab_rows("bootstrap") {
            let method = if row.text("method") == "bca" { Method::Bca } else { Method::Percentile };
            let clusters: Vec<usize> = row.counts("clusters").into_iter().map(|c| c as usize).collect();
            let clusters = (!clusters.is_empty()).then_some(clusters);
            let how = (method, row.u64("draws") as usize, row.f64("confidence"));
            let found = of_mean(&row.list("values"), clusters.as_deref(), how, row.u64("seed")).expect("an interval");
            near(Some(found.low), row.f64("low"), 1e-9, row.text("method"));
            near(Some(found.high), row.f64("high"), 1e-9, row.text("method"));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_what_cannot_be_had_is_none() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i * 37 % 50) / 50.0).collect();
        let of = |seed, draws| of_mean(&values, None, (Method::Bca, draws, CONFIDENCE), seed);
        assert_eq!(of(1, DRAWS), of(1, DRAWS));
        assert_ne!(of(1, DRAWS), of(2, DRAWS));
        assert_eq!((of(1, 0), of_mean(&[1.0], None, (Method::Percentile, 9, CONFIDENCE), 1)), (None, None));
        assert_eq!(of_mean(&[1.0, f64::NAN], None, (Method::Percentile, 9, CONFIDENCE), 1), None);
        assert_eq!(of_mean(&[0.5; 9], None, (Method::Bca, 99, CONFIDENCE), 1), None, "no spread, no bias");
        assert_eq!(of_mean(&values, Some(&[0; 50]), (Method::Percentile, 9, CONFIDENCE), 1), None, "one cluster");
    }

    /// Rows told twice narrow an interval only where they are drawn apart.
    #[test]
    fn clusters_are_drawn_whole() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i / 2 * 37 % 20) / 20.0).collect();
        let pairs: Vec<usize> = (0..40).map(|i| i / 2).collect();
        let width = |clusters: Option<&[usize]>| {
            let i = of_mean(&values, clusters, (Method::Percentile, 4_000, CONFIDENCE), 3).expect("an interval");
            i.high - i.low
        };
        let (together, apart) = (width(Some(&pairs)), width(None));
        assert!((together / apart - std::f64::consts::SQRT_2).abs() < 0.08, "{together} and {apart}");
    }
}
