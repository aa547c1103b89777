//! Threshold mode: the limits of a specification taken by their word, window by window, and what that costs in false alarms.
//!
//! A window counts when it has the policy's least number of draws; one with fewer neither counts nor ends a row.
//!
//! Where the numbers come from: the chance of a window over the limit is the binomial tail at the stable version's rate, that
//! of a row of such windows the recurrence of runs (Feller 1968, "An Introduction to Probability Theory", §XIII.7).

use super::policy::{Policy, Rule};
use super::reading;
use super::window::Figure;
use crate::stats::describe::Counts;
use statrs::distribution::{Binomial, DiscreteCDF};

/// Windows over the limit in a row, up to the last one that counts.
pub(super) fn in_a_row(policy: &Policy, rule: &Rule, figures: &[Figure]) -> u64 {
    let points = figures.iter().rev().map(|f| reading::point(rule, std::slice::from_ref(f)));
    let counting = points.filter(|p| p.n >= policy.window_min.max(1) && p.against.is_none_or(|n| n >= policy.window_min));
    counting.take_while(|p| p.beyond).count() as u64
}

/// The chance that a version with the stable version's own rate of hits is rolled back within as many windows as were seen,
/// each of the canary's average size. `None` for what is no rate, and without draws of both.
pub(super) fn false_alarm(policy: &Policy, rule: &Rule, figures: &[Figure]) -> Option<f64> {
    let Rule::Rate { limit } = *rule else { return None };
    let (mut stable, mut canary, mut windows) = (Counts::default(), Counts::default(), 0);
    for figure in figures {
        if let Figure::Counts { stable: s, canary: c } = *figure
            && c.n >= policy.window_min.max(1)
        {
            (stable, canary, windows) = (stable.and(s), canary.and(c), windows + 1);
        }
    }
    let size = canary.n.checked_div(windows)?;
    of_run(over(stable.rate()?, size, limit)?, windows, policy.consecutive.max(1))
}

/// The chance that more than `limit` of `n` draws are hits.
fn over(rate: f64, n: u64, limit: f64) -> Option<f64> {
    Some(Binomial::new(rate, n).ok()?.sf((limit * n as f64).floor() as u64))
}

/// The chance of `run` hits in a row somewhere in `n` draws of chance `p`.
fn of_run(p: f64, n: u64, run: u64) -> Option<f64> {
    let run = usize::try_from(run).ok()?;
    if n < run as u64 {
        return Some(0.0);
    }
    // still[i]: the last i draws were hits, and no run has been complete.
    let mut still = vec![0.0; run];
    still[0] = 1.0;
    for _ in 0..n {
        let all: f64 = still.iter().sum();
        still.rotate_right(1);
        still.iter_mut().for_each(|s| *s *= p);
        still[0] = all * (1.0 - p);
    }
    Some(1.0 - still.iter().sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of three heads in 10 fair tosses: 520 of 1024 (Feller; 1024 less the tribonacci number 504).
    #[test]
    fn runs_agree_with_feller() {
        let near = |got: Option<f64>, want: f64| assert!(got.is_some_and(|g| (g - want).abs() < 1e-12), "{got:?} is not {want}");
        near(of_run(0.5, 10, 3), 520.0 / 1024.0);
        near(of_run(0.25, 1, 1), 0.25);
        near(of_run(0.5, 2, 3), 0.0);
        near(of_run(1.0, 5, 5), 1.0);
    }

    /// 1 % of errors, 30 requests a window, 60 windows: one window over 5 % is what 89 % of good versions show
    /// (scipy 1.17.1: `1 - binom.cdf(1, 30, .01) ** 60` = 0.890195).
    #[test]
    fn one_bad_window_is_what_most_good_versions_have() {
        let p = over(0.01, 30, 0.05).expect("a chance");
        let got = of_run(p, 60, 1).expect("a chance");
        assert!((got - 0.890_195).abs() < 1e-6, "{got}");
        assert!(of_run(p, 60, 3).is_some_and(|g| g < 0.005));
    }
}
