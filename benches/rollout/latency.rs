//! Durations of two versions of which nothing is known from before the start: each window through the real counting, held against
//! the stable version in the same windows.

use kf::domain::rollout::judge::{Decision, judge};
use kf::domain::rollout::measure::{self, Frozen};
use kf::domain::rollout::policy::{Policy, beside, limits};
use kf::seams::metrics::{Buckets, Counted, Reading};
use kf::stats::rng::Rng;
use std::f64::consts::TAU;

/// How long answers take, and how that scatters.
#[derive(Clone, Copy)]
pub(crate) struct Durations {
    pub(crate) title: &'static str,
    /// True when it breaks a limit.
    pub(crate) bad: bool,
    /// How many times as long each answer of the canary takes.
    pub(crate) times: f64,
    /// The part of its answers that take three times as long besides.
    pub(crate) tail: f64,
    /// The standard deviation of the logarithms of single answers.
    pub(crate) scatter: f64,
    /// By how much of itself everything takes longer and shorter over 24 windows, for both versions.
    pub(crate) swing: f64,
    /// The standard deviation of the logarithm by which a version has slow windows of its own.
    pub(crate) pauses: f64,
}

/// Requests of both versions in a window.
const REQUESTS: u64 = 300;
/// The median of an answer of the stable version, in seconds.
const MEDIAN: f64 = 0.2;

/// The checks that compare durations, and nothing else.
fn policy() -> Policy {
    let checks = limits().into_iter().filter(|c| c.metric == "slower" || c.metric == "degraded").map(beside).collect();
    Policy { checks, ..Policy::default() }
}

impl Durations {
    /// The window, from 1, in which the canary is taken back, and whether it is ready at the end.
    pub(crate) fn run(&self, seed: u64, windows: u64, share: f64) -> (Option<usize>, bool) {
        let (mut rng, policy) = (Rng::new(seed), policy());
        let Ok(frozen) = Frozen::of(&Counted::default()) else { return (None, false) };
        let (mut earlier, mut seen, mut ready): (Vec<Vec<(f64, u64)>>, Vec<_>, bool) = (Vec::new(), Vec::new(), false);
        for id in 0..windows {
            let (stable, canary) = self.window(&mut rng, id, share);
            let marks = frozen.marks(&policy, &earlier.iter().map(Vec::as_slice).collect::<Vec<_>>());
            earlier.push(stable.latency.iter().flat_map(|b| b.counts.iter().map(|b| (b.most, b.n))).collect());
            let reading = Reading { stable, canary, ..Reading::default() };
            let Ok(measured) = measure::window(&reading, &marks, &policy, id, share) else { return (None, false) };
            seen.push(measured.window);
            let decision = judge(&policy, &seen).decision;
            if decision == Decision::RollBack {
                return (Some(seen.len()), false);
            }
            ready = decision == Decision::Ready;
        }
        (None, ready)
    }

    fn window(&self, rng: &mut Rng, id: u64, share: f64) -> (Counted, Counted) {
        let canary = (0..REQUESTS).filter(|_| rng.unit() < share).count() as u64;
        let load = 1.0 + self.swing * (TAU * id as f64 / 24.0).sin();
        let mut arm = |n: u64, times: f64, tail: f64| {
            let typical = MEDIAN * load * times * (self.pauses * rng.normal()).exp();
            let seconds: Vec<f64> = (0..n)
                .map(|_| {
                    let long = if rng.unit() < tail { 3.0 } else { 1.0 };
                    typical * long * (self.scatter * rng.normal()).exp()
                })
                .collect();
            Counted { requests: Some(n), errors: Some(0), latency: Buckets::of(seconds), ..Counted::default() }
        };
        (arm(REQUESTS - canary, 1.0, 0.0), arm(canary, self.times, self.tail))
    }
}
