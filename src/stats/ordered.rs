//! A sample in order, exact or thinned to a few thousand points, with what the thinning can have changed.
//!
//! The points are distinct values in ascending order, each with the number of rows at most that large. Thinned, a row stands at the
//! next value kept above it: every value kept is a true order statistic with its true rank, and both errors are known, not
//! estimated: [`Ordered::rank_error`] bounds any share of rows read off it (and so a Kolmogorov–Smirnov statistic),
//! [`Ordered::shift`] the Wasserstein distance to the sample it came from. Merging adds them up, so samples of parts make one of the
//! whole. A column with no more distinct values than points kept stays exact however long it is.

use super::describe::quantile_sorted;

/// Points that a stored sample keeps: 4,096 steps, 64 kB; the rank error is at most 1/4,096.
pub const GRID: usize = 4_097;

/// A sample in order. Invariant: at least one point, values finite and strictly ascending, counts strictly ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered {
    /// Values, each with how many rows are at most it.
    points: Vec<(f64, u64)>,
    /// By how many rows a count may be off.
    slack: u64,
    /// The mean distance rows were moved, in the unit of the values.
    shift: f64,
}

impl Ordered {
    /// The sample of these values, exact; −0 is 0. `None` for no values or values that are not finite.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        // Counted first, because growing copies, and there are two numbers for each value.
        let distinct = usize::from(!values.is_empty()) + values.windows(2).filter(|pair| pair[0] != pair[1]).count();
        Self::of_sorted(values.into_iter().map(|v| (v, 1)), distinct)
    }

    /// The sample of values that were each seen so often, in any order: the buckets of a histogram, for one. A value may come twice,
    /// one that was never seen is left out. `None` for no values, values that are not finite, or more rows than can be counted.
    pub fn of_counted(values: impl IntoIterator<Item = (f64, u64)>) -> Option<Self> {
        let mut values: Vec<(f64, u64)> = values.into_iter().filter(|(_, times)| *times > 0).collect();
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let most = values.len();
        Self::of_sorted(values.into_iter(), most)
    }

    /// From values in ascending order, with room for so many distinct ones.
    fn of_sorted(values: impl Iterator<Item = (f64, u64)>, room: usize) -> Option<Self> {
        let mut points: Vec<(f64, u64)> = Vec::with_capacity(room);
        let mut upto = 0u64;
        for (value, times) in values {
            if !value.is_finite() {
                return None;
            }
            upto = upto.checked_add(times)?;
            match points.last_mut() {
                // Equal as numbers, so that −0 and 0 are one point.
                Some(last) if last.0 == value => last.1 = upto,
                _ => points.push((value + 0.0, upto)),
            }
        }
        (!points.is_empty()).then_some(Self { points, slack: 0, shift: 0.0 })
    }

    /// A sample from what [`Self::points`], [`Self::slack`] and [`Self::shift`] told. `None` when that is not a sample.
    pub fn from_parts(points: Vec<(f64, u64)>, slack: u64, shift: f64) -> Option<Self> {
        let ascending = points.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1);
        let sound = points.first()?.1 > 0 && points.iter().all(|(v, _)| v.is_finite()) && shift >= 0.0 && shift.is_finite();
        (ascending && sound && slack <= points.last()?.1).then_some(Self { points, slack, shift })
    }

    /// Distinct values in ascending order, each with the number of rows at most that large.
    pub fn points(&self) -> &[(f64, u64)] {
        &self.points
    }

    /// How many rows the sample has, 1 or more.
    pub fn rows(&self) -> u64 {
        self.points.last().map_or(0, |last| last.1)
    }

    /// By how many rows a count read off it may be off; 0 when exact.
    pub fn slack(&self) -> u64 {
        self.slack
    }

    /// How far a share of rows read off it can be from the true one, 0 (exact) to 1.
    pub fn rank_error(&self) -> f64 {
        self.slack as f64 / self.rows() as f64
    }

    /// The most that the Wasserstein distance to the true sample can be, in the unit of the values; 0 when exact.
    pub fn shift(&self) -> f64 {
        self.shift
    }

    /// How many rows are at most `x`.
    pub fn at_most(&self, x: f64) -> u64 {
        counted(&self.points, self.points.partition_point(|p| p.0 <= x))
    }

    /// How many rows are less than `x`.
    pub fn below(&self, x: f64) -> u64 {
        counted(&self.points, self.points.partition_point(|p| p.0 < x))
    }

    /// The `q`-quantile by linear interpolation (type 7: numpy's default), of a thinned sample within its rank error. `None`
    /// when `q` is outside 0..=1.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if !(0.0..=1.0).contains(&q) {
            return None;
        }
        let at = q * (self.rows() - 1) as f64;
        let value = |rank: f64| self.points[self.points.partition_point(|p| p.1 <= rank as u64).min(self.points.len() - 1)].0;
        quantile_sorted(&[value(at.floor()), value(at.ceil())], at - at.floor())
    }

    /// Mean and standard deviation (divisor n − 1; 0 for a single row), in the unit of the values. `None` beyond `f64`.
    pub fn moments(&self) -> Option<(f64, f64)> {
        let rows = self.rows() as f64;
        // Offset by the median, so that a far origin costs no digits.
        let origin = self.quantile(0.5)?;
        let weighted = |f: &dyn Fn(f64) -> f64| self.weights().map(|(v, w)| f(v - origin) * w as f64).sum::<f64>();
        let mean = weighted(&|v| v) / rows;
        let squares = weighted(&|v| (v - mean).powi(2));
        let sd = if rows > 1.0 { (squares / (rows - 1.0)).sqrt() } else { 0.0 };
        Some((origin + mean, sd)).filter(|(mean, sd)| mean.is_finite() && sd.is_finite())
    }

    /// The same sample on at most `most` points (at least 2), least and greatest value kept. Unchanged when it has no more.
    #[must_use]
    pub fn thinned(&self, most: usize) -> Self {
        let most = most.max(2);
        if self.points.len() <= most {
            return self.clone();
        }
        let (rows, steps) = (u128::from(self.rows()), most as u128 - 1);
        let mut kept: Vec<(f64, u64)> = Vec::with_capacity(most);
        let (mut gap, mut moved) = (0u64, 0.0f64);
        // How many rows the last point kept stands for, and the first point after it.
        let (mut before, mut from) = (0u64, 0usize);
        for (i, (value, upto)) in self.points.iter().enumerate() {
            // Kept: the first, and each that reaches the next step of ranks.
            let step = |upto: u64| (u128::from(upto.saturating_sub(1)) * steps).checked_div(rows - 1).unwrap_or(0);
            if i > 0 && i + 1 < self.points.len() && step(*upto) == step(before) {
                continue;
            }
            let own = counted(&self.points, i);
            gap = gap.max(own - before);
            let mut last = before;
            for (lower, lower_upto) in &self.points[from..i] {
                moved += (value - lower) * (lower_upto - last) as f64;
                last = *lower_upto;
            }
            kept.push((*value, *upto));
            (before, from) = (*upto, i + 1);
        }
        let shift = (self.shift + moved / self.rows() as f64).min(f64::MAX);
        Self { points: kept, slack: (self.slack + gap).min(self.rows()), shift }
    }

    /// The sample of both; its errors are the sums of theirs. `None` beyond 2⁶⁴ rows.
    pub fn merged(&self, other: &Self) -> Option<Self> {
        let rows = self.rows().checked_add(other.rows())?;
        let points = together(self, other).map(|(value, a, b)| (value, a + b)).collect();
        let weight = self.rows() as f64 / rows as f64;
        let shift = self.shift * weight + other.shift * (1.0 - weight);
        Some(Self { points, slack: self.slack + other.slack, shift })
    }

    /// Distinct values in ascending order, each with how many rows have it.
    pub fn weights(&self) -> impl Iterator<Item = (f64, u64)> {
        let before = std::iter::once(0).chain(self.points.iter().map(|p| p.1));
        self.points.iter().zip(before).map(|((value, upto), before)| (*value, upto - before))
    }
}

/// Every distinct value of two samples in ascending order, with the rows of each that are at most it.
pub(super) fn together<'a>(a: &'a Ordered, b: &'a Ordered) -> impl Iterator<Item = (f64, u64, u64)> + 'a {
    let (mut i, mut j) = (0, 0);
    std::iter::from_fn(move || {
        if i == a.points.len() && j == b.points.len() {
            return None;
        }
        let value = smaller(a.points.get(i), b.points.get(j));
        i += usize::from(a.points.get(i).is_some_and(|p| p.0 == value));
        j += usize::from(b.points.get(j).is_some_and(|p| p.0 == value));
        Some((value, counted(&a.points, i), counted(&b.points, j)))
    })
}

fn smaller(a: Option<&(f64, u64)>, b: Option<&(f64, u64)>) -> f64 {
    let value = |point: Option<&(f64, u64)>| point.map_or(f64::INFINITY, |p| p.0);
    value(a).min(value(b))
}

/// The rows at most the value before index `next`.
fn counted(points: &[(f64, u64)], next: usize) -> u64 {
    next.checked_sub(1).map_or(0, |last| points[last].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_their_rows() {
        let rows = Ordered::of(vec![2.0, -0.0, 5.0, 2.0, 0.0, 2.0]);
        assert!(rows.is_some());
        assert_eq!(Ordered::of_counted([(5.0, 1), (2.0, 2), (0.0, 1), (9.0, 0), (-0.0, 1), (2.0, 1)]), rows);
        for bad in [&[][..], &[(1.0, 0)], &[(f64::NAN, 1)], &[(f64::INFINITY, 3)], &[(1.0, u64::MAX), (2.0, 2)]] {
            assert_eq!(Ordered::of_counted(bad.iter().copied()), None, "{bad:?}");
        }
    }
    use crate::stats::describe::{mean, quantile, sd};
    use crate::stats::rng::Rng;
    use crate::stats::wasserstein::distance;
    use proptest::prelude::*;

    fn ordered(values: &[f64]) -> Ordered {
        Ordered::of(values.to_vec()).expect("a sample")
    }

    #[test]
    fn ties_and_both_zeros_are_one_point() {
        let sample = ordered(&[2.0, -0.0, 0.0, 2.0, 1.0]);
        assert_eq!(sample.points(), [(0.0, 2), (1.0, 3), (2.0, 5)]);
        assert!(sample.points()[0].0.is_sign_positive());
        assert_eq!((sample.at_most(-1.0), sample.at_most(0.0), sample.at_most(1.5), sample.at_most(9.0)), (0, 2, 3, 5));
    }

    #[test]
    fn what_is_no_sample_is_none() {
        assert!(
            Ordered::of(vec![]).is_none() && Ordered::of(vec![f64::NAN]).is_none() && Ordered::of(vec![f64::INFINITY]).is_none()
        );
        for bad in [vec![], vec![(1.0, 0)], vec![(1.0, 1), (1.0, 2)], vec![(1.0, 2), (2.0, 2)], vec![(f64::NAN, 1)]] {
            assert!(Ordered::from_parts(bad.clone(), 0, 0.0).is_none(), "{bad:?}");
        }
        assert!(
            Ordered::from_parts(vec![(1.0, 1)], 2, 0.0).is_none() && Ordered::from_parts(vec![(1.0, 1)], 0, f64::NAN).is_none()
        );
    }

    #[test]
    fn few_distinct_values_stay_exact() {
        let sample = ordered(&(0..50_000).map(|i| f64::from(i % 300)).collect::<Vec<_>>());
        let thin = sample.thinned(GRID);
        assert_eq!((thin.slack(), thin.shift(), &thin), (0, 0.0, &sample));
    }

    #[test]
    fn a_grid_is_off_by_less_than_one_step() {
        let mut rng = Rng::new(3);
        let sample = ordered(&(0..100_000).map(|_| rng.below(1 << 40) as f64).collect::<Vec<_>>());
        let thin = sample.thinned(GRID);
        assert!(
            thin.points().len() <= GRID && thin.rank_error() <= 1.0 / 4096.0 && thin.rank_error() > 0.0,
            "{}",
            thin.rank_error()
        );
        assert_eq!(thin.points()[0].0, sample.points()[0].0);
        assert_eq!((thin.rows(), thin.points().last()), (100_000, sample.points().last()));
    }

    proptest! {
        #[test]
        fn exact_samples_tell_what_the_values_tell(v in proptest::collection::vec(-50i32..50, 2..60), q in 0.0f64..=1.0) {
            let values: Vec<f64> = v.into_iter().map(f64::from).collect();
            let sample = ordered(&values);
            prop_assert_eq!(sample.quantile(q), quantile(&values, q));
            let (m, s) = sample.moments().expect("moments");
            prop_assert!((m - mean(&values).expect("one")).abs() < 1e-12 && (s - sd(&values).expect("one")).abs() < 1e-12);
        }

        #[test]
        fn errors_of_thinned_and_merged_samples_hold(
            a in proptest::collection::vec(-1e3f64..1e3, 1..200), b in proptest::collection::vec(-1e3f64..1e3, 1..200), most in 2usize..20,
        ) {
            let whole = ordered(&[a.clone(), b.clone()].concat());
            let parts = ordered(&a).thinned(most).merged(&ordered(&b).thinned(most)).expect("rows").thinned(most);
            prop_assert!(parts.points().len() <= most && parts.rows() == whole.rows());
            for (value, _) in whole.points() {
                prop_assert!(whole.at_most(*value).abs_diff(parts.at_most(*value)) <= parts.slack(), "at {}", value);
            }
            prop_assert!(distance(&whole, &parts).expect("finite") <= parts.shift() * (1.0 + 1e-9) + 1e-9);
            prop_assert_eq!(Ordered::from_parts(parts.points().to_vec(), parts.slack(), parts.shift()), Some(parts));
        }
    }
}
