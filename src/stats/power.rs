//! How many rows a comparison needs, and what a number of rows can show.
//!
//! The normal approximation n = ((z₁₋α⸝₂ + z₁₋β) · sd / δ)² for a paired comparison at α = 0.05 two-sided and power
//! 1 − β = 0.8 (Miller 2024, "Adding error bars to evals"; Cohen 1988). It is a little low under about 20 rows.

use super::interval::z_quantile;

/// The chance of calling a difference that is not there, two-sided.
pub const ALPHA: f64 = 0.05;
/// The chance of seeing a difference that is there.
pub const POWER: f64 = 0.8;

/// The rows needed to resolve a mean difference of `difference` when per-row differences have the standard deviation `sd`
/// (same unit). At least 2, without which there is no spread. `None` when the difference is 0 or a number is not finite or
/// `sd` is negative: then no number of rows would do.
pub fn rows_needed(sd: f64, difference: f64) -> Option<u64> {
    if !sd.is_finite() || sd < 0.0 || !difference.is_finite() || difference == 0.0 {
        return None;
    }
    whole((reach()? * sd / difference).powi(2))
}

/// The smallest mean difference that `n` rows resolve when per-row differences have the standard deviation `sd`, in the unit
/// of `sd`. `None` for fewer than two rows, or an `sd` that is negative or not finite.
pub fn detectable_difference(sd: f64, n: usize) -> Option<f64> {
    if n < 2 || !sd.is_finite() || sd < 0.0 {
        return None;
    }
    Some(reach()? * sd / (n as f64).sqrt()).filter(|d| d.is_finite())
}

/// z₁₋α⸝₂ + z₁₋β: how many standard errors a difference must measure.
fn reach() -> Option<f64> {
    Goal::default().reach()
}

/// What a plan promises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// The chance of calling a difference that is not there, two-sided.
    pub alpha: f64,
    /// The chance of seeing a difference that is there; above one half.
    pub power: f64,
}

impl Default for Goal {
    fn default() -> Self {
        Self { alpha: ALPHA, power: POWER }
    }
}

impl Goal {
    /// z₁₋α⸝₂ and z₁₋β.
    fn quantiles(self) -> Option<(f64, f64)> {
        // The two-sided quantile of 2·power − 1 is the one-sided quantile of the power.
        (self.power > 0.5).then(|| Some((z_quantile(1.0 - self.alpha)?, z_quantile(2.0 * self.power - 1.0)?))).flatten()
    }

    fn reach(self) -> Option<f64> {
        self.quantiles().map(|(alpha, beta)| alpha + beta)
    }
}

/// The variance of what is compared on one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The variance between rows of the true differences, in the unit squared.
    pub difference: f64,
    /// The variance within a row of the baseline's repeats, and how many there are of a row.
    pub baseline: (f64, f64),
    /// The same of the candidate.
    pub candidate: (f64, f64),
}

/// The rows needed when each is asked more than once: (z₁₋α⸝₂ + z₁₋β)²·(σ² + σ_A²/K_A + σ_B²/K_B)/δ² (Miller 2024, §5). `None` as
/// [`rows_needed`], or for a goal that is no chance.
pub fn rows_needed_repeated(spread: &Spread, difference: f64, goal: Goal) -> Option<u64> {
    let part = |(variance, repeats): (f64, f64)| variance / repeats;
    let variance = spread.difference + part(spread.baseline) + part(spread.candidate);
    let sound = variance.is_finite() && variance >= 0.0 && difference.is_finite() && difference != 0.0;
    let rows = (goal.reach()? / difference).powi(2) * variance;
    sound.then(|| whole(rows)).flatten()
}

/// The rows of the first arm, and of the second with `ratio` times as many, that tell a rate of `baseline` from one that is `difference`
/// higher: (z₁₋α⸝₂·√(p̄q̄(1 + 1/r)) + z₁₋β·√(p₁q₁ + p₂q₂/r))²/δ² (Fleiss, Levin and Paik 2003, §4.2, without continuity
/// correction). `None` for rates that are not within 0 to 1, no difference, or a ratio that is not positive.
pub fn rows_for_rates(baseline: f64, difference: f64, ratio: f64, goal: Goal) -> Option<(u64, u64)> {
    let other = baseline + difference;
    let rate = |p: f64| (0.0..=1.0).contains(&p);
    if !(rate(baseline) && rate(other) && difference != 0.0 && ratio > 0.0 && ratio.is_finite()) {
        return None;
    }
    let (alpha, beta) = goal.quantiles()?;
    let of = |p: f64| p * (1.0 - p);
    let pooled = of((baseline + ratio * other) / (1.0 + ratio)) * (1.0 + 1.0 / ratio);
    let apart = of(baseline) + of(other) / ratio;
    let rows = ((alpha * pooled.sqrt() + beta * apart.sqrt()) / difference).powi(2);
    Some((whole(rows)?, whole(rows * ratio)?))
}

/// The same of means with the standard deviation `sd` in both arms: (z₁₋α⸝₂ + z₁₋β)²·σ²(1 + 1/r)/δ².
pub fn rows_for_means(sd: f64, difference: f64, ratio: f64, goal: Goal) -> Option<(u64, u64)> {
    let sound = sd >= 0.0 && sd.is_finite() && difference != 0.0 && difference.is_finite() && ratio > 0.0 && ratio.is_finite();
    let rows = (goal.reach()? * sd / difference).powi(2) * (1.0 + 1.0 / ratio);
    if !sound {
        return None;
    }
    Some((whole(rows)?, whole(rows * ratio)?))
}

/// At least two rows; 2⁵³ and more are "never", and not countable in `f64` either.
fn whole(rows: f64) -> Option<u64> {
    (rows < 9_007_199_254_740_992.0).then_some((rows.ceil() as u64).max(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// scipy 1.17.1: `ceil(((norm.ppf(.975) + norm.ppf(.8)) * sd / d) ** 2)`.
    #[test]
    fn rows_agree_with_scipy() {
        for (sd, difference, rows) in [(0.2, 0.01, 3140), (0.2, 0.04, 197), (0.5, -0.1, 197), (0.35, 0.05, 385), (0.0, 0.1, 2)] {
            assert_eq!(rows_needed(sd, difference), Some(rows), "sd {sd}, difference {difference}");
        }
    }

    /// statsmodels 0.15.0: `samplesize_proportions_2indep_onetail(diff, p, power, ratio, alpha)` and `NormalIndPower().solve_power` (one tail
    /// of two, as the formulas have it); the repeats by the formula in Python.
    #[test]
    fn arms_agree_with_statsmodels() {
        use crate::stats::vectors::ab_rows;
        for row in ab_rows("sizes") {
            let goal = Goal { alpha: row.f64("alpha"), power: row.f64("power") };
            let [base, difference, ratio] = row.f64s(["base", "difference", "ratio"]);
            let found = match row.text("of") {
                "rates" => rows_for_rates(base, difference, ratio, goal),
                _ => rows_for_means(base, difference, ratio, goal),
            };
            assert_eq!(found, Some((row.u64("first"), row.u64("second"))), "{} {base} {difference} {ratio}", row.text("of"));
        }
        // (1.959964 + 0.841621)² · (0.03 + 0.02/4 + 0.01/2)/0.02² = 784.9.
        let spread = Spread { difference: 0.03, baseline: (0.02, 4.0), candidate: (0.01, 2.0) };
        assert_eq!(rows_needed_repeated(&spread, 0.02, Goal::default()), Some(785));
        let once = Spread { difference: 0.04, baseline: (0.0, 1.0), candidate: (0.0, 1.0) };
        assert_eq!(rows_needed_repeated(&once, 0.01, Goal::default()), rows_needed(0.2, 0.01));
    }

    #[test]
    fn a_plan_that_cannot_be_is_none() {
        let goal = Goal::default();
        assert_eq!((rows_for_rates(0.9, 0.2, 1.0, goal), rows_for_rates(0.5, 0.0, 1.0, goal)), (None, None));
        assert_eq!((rows_for_means(1.0, 0.0, 1.0, goal), rows_for_means(-1.0, 0.1, 1.0, goal)), (None, None));
        assert_eq!((rows_for_means(1.0, 0.1, 0.0, goal), rows_for_rates(0.1, 0.1, f64::NAN, goal)), (None, None));
        for bad in [Goal { alpha: 0.0, power: 0.8 }, Goal { alpha: 0.05, power: 0.5 }, Goal { alpha: 0.05, power: 1.0 }] {
            assert_eq!(rows_for_means(1.0, 0.1, 1.0, bad), None, "{bad:?}");
        }
        let spread = Spread { difference: f64::NAN, baseline: (0.0, 1.0), candidate: (0.0, 1.0) };
        assert_eq!(rows_needed_repeated(&spread, 0.1, goal), None);
    }

    #[test]
    fn no_number_of_rows_shows_nothing() {
        for (sd, difference) in [(0.2, 0.0), (f64::NAN, 0.1), (-1.0, 0.1), (0.2, f64::INFINITY), (1.0, 1e-300)] {
            assert_eq!(rows_needed(sd, difference), None, "sd {sd}, difference {difference}");
        }
        assert_eq!((detectable_difference(0.2, 1), detectable_difference(f64::NAN, 9)), (None, None));
    }

    proptest! {
        #[test]
        fn the_rows_needed_resolve_the_difference_and_one_fewer_do_not(sd in 0.05f64..1.0, difference in 0.005f64..0.1) {
            let n = rows_needed(sd, difference).expect("a number") as usize;
            prop_assert!(detectable_difference(sd, n).expect("one") <= difference * (1.0 + 1e-9));
            prop_assert!(n == 2 || detectable_difference(sd, n - 1).is_none_or(|d| d > difference * (1.0 - 1e-9)));
        }
    }
}
