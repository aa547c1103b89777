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
    let rows = (reach()? * sd / difference).powi(2).ceil();
    // 2⁵³ rows and more are "never" and not countable in `f64` either.
    (rows < 9_007_199_254_740_992.0).then_some((rows as u64).max(2))
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
    // The two-sided quantile of 2·power − 1 is the one-sided quantile of the power.
    Some(z_quantile(1.0 - ALPHA)? + z_quantile(2.0 * POWER - 1.0)?)
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
