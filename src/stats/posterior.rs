//! Two arms compared by Bayes' rule: how likely the second is the better one, and what is lost on average by taking either.
//!
//! * Of rates: with the uniform prior each rate is Beta(1 + successes, 1 + failures). That the second is higher is a question of order
//!   only: the first rate is the (s₁ + 1)-th smallest of n₁ + 1 numbers drawn evenly from 0 to 1, the second likewise, and which of the two
//!   comes first is decided by how many of the first arm's numbers are among the s₁ + s₂ + 1 smallest of all. So the chance is a tail of the
//!   hypergeometric law (Altham 1969, JRSS B 31), summed outwards from its edge as [`super::fisher`] does: no draws, no quadrature, about
//!   as many steps as √rows, the same digits for 1 and for 10⁷ rows.
//! * Of means: with the reference prior 1/σ in each arm (the limit of the normal-inverse-gamma one without prior rows) a mean is
//!   Student's t about the one seen. The difference of two is Behrens and Fisher's, taken as Student's t with the degrees of freedom of Welch
//!   (1947, Biometrika 34), because arms of an experiment rarely have the same spread and a prior that says so makes the smaller arm too sure. Of
//!   pairs the law is exact: one sample of differences.
//!
//! The loss of taking the second arm is E[max(first − second, 0)] (Stucchi 2015): how much worse on average it would be where it is
//! worse at all. For Beta it is `E[θ₁; θ₁ > θ₂] − E[θ₂; θ₁ > θ₂]`, and each part is the chance of one more success times a mean.

use super::describe::Moments;
use super::fisher::upper_tail;
use super::tail::t_two_sided;
use std::f64::consts::TAU;

/// The second arm against the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posterior {
    /// The chance that the second is higher, 0 to 1.
    pub higher: f64,
    /// What taking the second loses on average if higher is better, in the unit of the values; not negative.
    pub loss_second: f64,
    /// What taking the first loses.
    pub loss_first: f64,
}

impl Posterior {
    /// The same where lower is better: the chance that the second is lower, and the losses of that.
    #[must_use]
    pub fn turned(self) -> Self {
        Self { higher: 1.0 - self.higher, loss_second: self.loss_first, loss_first: self.loss_second }
    }
}

/// The most rows of an arm: counts up to here are exact as `f64`, and so are their sums.
const ROWS_MAX: u64 = 1 << 50;

/// Of two rates, each as (successes, rows); no rows is what the prior says. `None` for more successes than rows, or more than 2⁵⁰ rows.
pub fn of_rates(first: (u64, u64), second: (u64, u64)) -> Option<Posterior> {
    let sound = |(of, all): (u64, u64)| of <= all && all <= ROWS_MAX;
    if !(sound(first) && sound(second)) {
        return None;
    }
    let beta = |(of, all): (u64, u64)| ((of + 1) as f64, (all - of + 1) as f64);
    let (one, two) = (beta(first), beta(second));
    Some(Posterior { higher: chance(one, two), loss_second: excess(one, two), loss_first: excess(two, one) })
}

/// E[max(of − over, 0)] of Beta variables with whole parameters.
fn excess(of: (f64, f64), over: (f64, f64)) -> f64 {
    let mean = |(a, b): (f64, f64)| a / (a + b);
    let more = |(a, b): (f64, f64)| (a + 1.0, b);
    // E[θ; θ > other] is the mean of θ times the chance with one more success.
    (mean(of) * chance(over, more(of)) - mean(over) * chance(more(over), of)).max(0.0)
}

/// P(θ₁ < θ₂) of Beta variables with whole parameters.
fn chance(one: (f64, f64), two: (f64, f64)) -> f64 {
    let (all_one, all_two) = (one.0 + one.1 - 1.0, two.0 + two.1 - 1.0);
    let drawn = one.0 + two.0 - 1.0;
    let rest = all_one + all_two - drawn;
    // The tail beyond the mean is short and keeps its digits; the other side is the same question with the arms changed.
    if one.0 * (all_one + all_two) >= drawn * all_one {
        upper_tail(one.0, all_one, drawn, rest).clamp(0.0, 1.0)
    } else {
        (1.0 - upper_tail(two.0, all_two, drawn, rest)).clamp(0.0, 1.0)
    }
}

/// Of two means. `None` with fewer than two values in an arm, or where no value differs from another in its arm.
pub fn of_means(first: &Moments, second: &Moments) -> Option<Posterior> {
    let (standard_error, degrees) = welch(first, second)?;
    student(second.mean - first.mean, standard_error, degrees)
}

/// Of pairs, each second minus first. `None` with fewer than three, or where no pair differs from another.
pub fn of_pairs(differences: &Moments) -> Option<Posterior> {
    let n = differences.n as f64;
    student(differences.mean, differences.sd / n.sqrt(), n - 1.0)
}

/// The standard error of the difference of two means and its degrees of freedom (Welch 1947). `None` as [`of_means`].
pub fn welch(first: &Moments, second: &Moments) -> Option<(f64, f64)> {
    if first.n < 2 || second.n < 2 {
        return None;
    }
    let part = |m: &Moments| (m.sd * m.sd / m.n as f64, (m.n - 1) as f64);
    let ((one, one_degrees), (two, two_degrees)) = (part(first), part(second));
    let variance = one + two;
    // Shares of the variance first: the square of a small one could be 0.
    let degrees = 1.0 / ((one / variance).powi(2) / one_degrees + (two / variance).powi(2) / two_degrees);
    (variance > 0.0 && variance.is_finite() && degrees.is_finite()).then_some((variance.sqrt(), degrees))
}

/// Of a difference that is Student's about `difference`. The mean of what is lost exists above one degree of freedom only.
fn student(difference: f64, scale: f64, degrees: f64) -> Option<Posterior> {
    if !(scale > 0.0 && degrees > 1.0 && difference.is_finite()) {
        return None;
    }
    let z = difference / scale;
    let tail = t_two_sided(z, degrees)? / 2.0;
    let higher = if z > 0.0 { 1.0 - tail } else { tail };
    // ∫ of the tail: (ν + z²)/(ν − 1) times the density, less z times the chance.
    let peak = scale * (degrees + z * z) / (degrees - 1.0) * density(z, degrees);
    let below = if z > 0.0 { tail } else { 1.0 - tail };
    let loss = |gain: f64, chance: f64| (peak - gain * chance).max(0.0);
    let found = Posterior { higher, loss_second: loss(difference, below), loss_first: loss(-difference, 1.0 - below) };
    (peak.is_finite()).then_some(found)
}

/// The density of Student's t.
fn density(z: f64, degrees: f64) -> f64 {
    // Γ((ν + 1)/2)/(Γ(ν/2)·√(ν/2)): log-gammas lose digits of large ν, its series in 1/ν has none to lose (DLMF 5.11.13).
    let ratio = if degrees < 200.0 {
        (libm::lgamma(f64::midpoint(degrees, 1.0)) - libm::lgamma(degrees / 2.0)).exp() / (degrees / 2.0).sqrt()
    } else {
        let v = 1.0 / degrees;
        1.0 - v / 4.0 * (1.0 - v / 8.0 * (1.0 + v * (5.0 / 4.0 - v * 21.0 / 64.0)))
    };
    ratio / TAU.sqrt() * (-f64::midpoint(degrees, 1.0) * (z * z / degrees).ln_1p()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{ab_rows, near};
    use proptest::prelude::*;

    fn close(got: f64, want: f64, absolute: f64, what: &str) {
        assert!((got - want).abs() <= absolute, "{what}: {got} is not {want}");
    }

    /// mpmath 1.4.1 with 40 digits: Gauss-Legendre quadrature of the density of one rate times the distribution of the other around its
    /// peak, for 0 to 10⁷ successes; where both agree with sums of whole numbers (`fractions`) up to a few hundred rows.
    #[test]
    fn chances_and_losses_of_rates_equal_quadrature() {
        for row in ab_rows("rates") {
            let arm = |k: &str, n: &str| (row.u64(k), row.u64(n));
            let (first, second) = (arm("s1", "n1"), arm("s2", "n2"));
            let found = of_rates(first, second).expect("a posterior");
            let what = format!("{first:?} {second:?}");
            close(found.higher, row.f64("higher"), 1e-11, &what);
            close(found.loss_second, row.f64("loss_second"), 1e-13, &what);
            close(found.loss_first, row.f64("loss_first"), 1e-13, &what);
        }
    }

    /// mpmath 1.4.1 with 40 digits: quadrature of Student's density about the difference with Welch's degrees of freedom.
    #[test]
    fn chances_and_losses_of_means_equal_quadrature() {
        for row in ab_rows("means") {
            let [m1, s1, m2, s2] = row.f64s(["m1", "s1", "m2", "s2"]);
            let (first, second) =
                (Moments { n: row.u64("n1"), mean: m1, sd: s1 }, Moments { n: row.u64("n2"), mean: m2, sd: s2 });
            let found = of_means(&first, &second).expect("a posterior");
            close(found.higher, row.f64("higher"), 1e-10, "higher");
            near(Some(found.loss_second), row.f64("loss_second"), 1e-9, "loss of the second");
            near(Some(found.loss_first), row.f64("loss_first"), 1e-9, "loss of the first");
        }
    }

    #[test]
    fn without_rows_nothing_is_known_and_what_is_no_count_has_none() {
        let none = of_rates((0, 0), (0, 0)).expect("the prior");
        close(none.higher, 0.5, 1e-15, "the prior");
        // E[max(θ₁ − θ₂, 0)] of two even ones is 1/6.
        close(none.loss_first, 1.0 / 6.0, 1e-15, "the prior");
        assert_eq!((of_rates((2, 1), (0, 1)), of_rates((0, u64::MAX), (0, 1))), (None, None));
        let flat = |n, sd| Moments { n, mean: 1.0, sd };
        assert_eq!((of_means(&flat(1, 0.0), &flat(9, 1.0)), of_means(&flat(5, 0.0), &flat(5, 0.0))), (None, None));
        assert_eq!((of_pairs(&flat(2, 1.0)), of_pairs(&flat(5, 0.0)), of_pairs(&flat(0, 0.0))), (None, None, None));
        assert!(of_pairs(&flat(50, 1.0)).is_some_and(|p| p.higher > 0.999));
    }

    proptest! {
        #[test]
        fn arms_and_sides_are_alike(s1 in 0u64..300, f1 in 0u64..300, s2 in 0u64..300, f2 in 0u64..300) {
            let p = of_rates((s1, s1 + f1), (s2, s2 + f2)).expect("one");
            let changed = of_rates((s2, s2 + f2), (s1, s1 + f1)).expect("one");
            let turned = of_rates((f1, s1 + f1), (f2, s2 + f2)).expect("one").turned();
            let mean = |s: u64, f: u64| (s + 1) as f64 / (s + f + 2) as f64;
            prop_assert!((p.higher + changed.higher - 1.0).abs() < 1e-12 && (p.loss_first - changed.loss_second).abs() < 1e-13);
            prop_assert!((p.higher - turned.higher).abs() < 1e-12 && (p.loss_first - turned.loss_first).abs() < 1e-13);
            // What one choice loses and the other does not is the difference of the means.
            prop_assert!((p.loss_second - p.loss_first - (mean(s1, f1) - mean(s2, f2))).abs() < 1e-13);
        }
    }
}
