//! How likely a value this extreme is when nothing changed: upper tails of the normal, chi-squared, t and F distributions.
//!
//! Each is computed as a tail, never as 1 minus the other side, so that a chance of 1e-200 keeps its digits. The normal by
//! `libm`'s erfc (statrs' is right to ten digits only), chi-squared by `statrs`, t and F by [`super::beta`]. A tail below
//! the smallest `f64` is 0.

use super::beta::regularised;
use statrs::function::gamma::checked_gamma_ur;
use std::f64::consts::SQRT_2;

/// P(|Z| ≥ |z|) of a standard normal variable. `None` when `z` is NaN.
pub fn normal_two_sided(z: f64) -> Option<f64> {
    (!z.is_nan()).then(|| libm::erfc(z.abs() / SQRT_2))
}

/// More degrees of freedom than this have no tail here: the series would take seconds.
const MOST_DEGREES: f64 = 1e12;

/// P(X ≥ x) of a chi-squared variable with `degrees` of freedom, to 5e-11 up to a thousand of them. `None` when `x` is negative or
/// not finite or `degrees` not above 0 and at most 10¹².
pub fn chi_squared(x: f64, degrees: f64) -> Option<f64> {
    let sound = x >= 0.0 && x.is_finite() && degrees > 0.0 && degrees <= MOST_DEGREES;
    if !sound {
        return None;
    }
    // Half of the smallest numbers is 0, which the gamma function refuses.
    if x / 2.0 == 0.0 {
        return Some(1.0);
    }
    checked_gamma_ur(degrees / 2.0, x / 2.0).ok().filter(|p| p.is_finite()).map(|p| p.clamp(0.0, 1.0))
}

/// The value that a chi-squared variable with `degrees` of freedom passes with the chance `p`: 27.877 for 0.001 and 9. `None`
/// when `p` is not strictly between 0 and 1 or `degrees` as [`chi_squared`] has none.
pub fn chi_squared_critical(p: f64, degrees: f64) -> Option<f64> {
    if !(p > 0.0 && p < 1.0 && degrees > 0.0 && degrees <= MOST_DEGREES) {
        return None;
    }
    passed(p, degrees.max(1.0), |x| chi_squared(x, degrees))
}

/// The value whose magnitude Student's t with `degrees` of freedom passes with the chance `p`: 4.904 for 0.0027 and 6. `None` when
/// `p` is not strictly between 0 and 1, or as [`t_two_sided`].
pub fn t_critical(p: f64, degrees: f64) -> Option<f64> {
    (p > 0.0 && p < 1.0).then_some(())?;
    passed(p, 1.0, |t| t_two_sided(t, degrees))
}

/// Where a falling tail comes down to `p`, by bisection to the last digit from 0 to a multiple of `high`.
fn passed(p: f64, mut high: f64, tail: impl Fn(f64) -> Option<f64>) -> Option<f64> {
    let mut low = 0.0;
    while tail(high)? > p {
        (low, high) = (high, high * 2.0);
    }
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return Some(high);
        }
        if tail(middle)? > p {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// P(|T| ≥ |t|) of Student's t with `degrees` of freedom. `None` when `t` is not finite or `degrees` not positive and finite.
pub fn t_two_sided(t: f64, degrees: f64) -> Option<f64> {
    // T² is F with 1 and `degrees`; a square beyond `f64` has no tail left that could be told from 0.
    f_upper((t * t).min(f64::MAX), 1.0, degrees).filter(|_| t.is_finite())
}

/// P(X ≥ x) of Fisher's F with `above` and `below` degrees of freedom. `None` when `x` is negative or not finite, or degrees
/// are not positive and finite.
pub fn f_upper(x: f64, above: f64, below: f64) -> Option<f64> {
    if !(x >= 0.0 && x.is_finite() && above > 0.0 && below > 0.0) {
        return None;
    }
    // The ratio first: the product of a large x and its degrees could overflow.
    let odds = x * (above / below);
    let (share, rest) = if odds.is_finite() { (1.0 / (1.0 + odds), 1.0 / (1.0 + 1.0 / odds)) } else { (0.0, 1.0) };
    regularised(below / 2.0, above / 2.0, share, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{near, rows};

    /// scipy 1.17.1: `2 * norm.sf`, `chi2.sf`, `2 * t.sf`, `f.sf`; mpmath where scipy has fewer digits.
    #[test]
    fn tails_agree_with_the_reference() {
        for row in rows("tails") {
            let [x, a, b, want] = row.f64s(["x", "a", "b", "want"]);
            let got = match row.text("law") {
                "normal" => normal_two_sided(x),
                "chi2" => chi_squared(x, a),
                "t" => t_two_sided(x, a),
                _ => f_upper(x, a, b),
            };
            near(got, want, 5e-11, &format!("{} at {x} with {a}, {b}", row.text("law")));
        }
    }

    /// scipy 1.17.1: `chi2.isf(p, k)`.
    #[test]
    fn critical_values_agree_with_scipy() {
        for row in rows("critical") {
            let [p, k, want] = row.f64s(["p", "k", "want"]);
            near(chi_squared_critical(p, k), want, 1e-10, &format!("{p} of chi-squared {k}"));
        }
    }

    /// scipy 1.17.1: `t.isf(norm.sf(s), k)`, where the chance of ±3 and ±4 standard deviations is met.
    #[test]
    fn critical_values_of_t_agree_with_scipy() {
        for (sigmas, degrees, want) in
            [(3.0, 6.0, 4.904_064_673_648_373), (4.0, 6.0, 9.844_158_848_981_701), (3.0, 167.0, 3.045_535_234_510_017_3)]
        {
            near(t_critical(normal_two_sided(sigmas).expect("a chance"), degrees), want, 1e-10, "t");
        }
        assert_eq!((t_critical(0.0, 5.0), t_critical(1.0, 5.0), t_critical(0.5, 0.0)), (None, None, None));
    }

    #[test]
    fn what_has_no_tail_is_none() {
        for bad in [f64::NAN, -1.0, f64::INFINITY] {
            assert_eq!((chi_squared(bad, 1.0), chi_squared(1.0, bad), f_upper(bad, 1.0, 1.0)), (None, None, None), "{bad}");
            assert_eq!((f_upper(1.0, bad, 1.0), chi_squared_critical(bad, 1.0)), (None, None), "{bad}");
        }
        assert_eq!((normal_two_sided(f64::NAN), t_two_sided(f64::INFINITY, 3.0)), (None, None));
        assert_eq!((chi_squared_critical(0.0, 1.0), chi_squared_critical(1.0, 1.0)), (None, None));
        assert_eq!((chi_squared(0.0, 5.0), chi_squared(5e-324, 5.0), normal_two_sided(0.0)), (Some(1.0), Some(1.0), Some(1.0)));
        assert_eq!((normal_two_sided(60.0), f_upper(f64::MAX, 2.0, 1e-3).is_some()), (Some(0.0), true));
    }
}
