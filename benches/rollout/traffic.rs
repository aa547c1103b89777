//! Windows of two versions' requests as they come in practice: a share for the canary, loads that swing over a day, errors that
//! come in clumps.

use kf::domain::rollout::window::{Figure, Window};
use kf::stats::describe::Counts;
use kf::stats::rng::Rng;
use std::f64::consts::TAU;

/// What users send and how often each version fails.
#[derive(Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) title: &'static str,
    /// Requests a second, both versions together, on average.
    pub(crate) rps: f64,
    /// The chance that the stable version fails a request.
    pub(crate) stable: f64,
    /// That of the canary.
    pub(crate) canary: f64,
    /// The intraclass correlation of errors within a window; 0 for errors that know nothing of each other.
    pub(crate) clumps: f64,
    /// By how much of itself the load swings, 0 to 1, with a period of 24 windows.
    pub(crate) swing: f64,
}

impl Traffic {
    /// The window of this id, `seconds` long, while the canary has `share` of the requests.
    pub(crate) fn window(&self, rng: &mut Rng, id: u64, seconds: f64, share: f64) -> Window {
        let load = 1.0 + self.swing * (TAU * id as f64 / 24.0).sin();
        let requests = (self.rps * seconds * load).round() as u64;
        // Which version a request gets is drawn too.
        let canary = hits(rng, requests, share);
        let arm = |rng: &mut Rng, n: u64, rate: f64| {
            let rate = if self.clumps > 0.0 { beta(rng, rate, self.clumps) } else { rate };
            Counts { hits: hits(rng, n, rate), n }
        };
        let figure = Figure::Counts { stable: arm(rng, requests - canary, self.stable), canary: arm(rng, canary, self.canary) };
        Window { id, share, stable: requests - canary, canary, figures: [("errors".to_owned(), figure)].into() }
    }
}

/// How many of `n` draws are hits, by the distances from one hit to the next, which are geometric.
fn hits(rng: &mut Rng, n: u64, rate: f64) -> u64 {
    if rate <= 0.0 {
        return 0;
    }
    if rate > 0.5 {
        return n - hits(rng, n, 1.0 - rate);
    }
    let (mut at, mut found) = (0.0, 0);
    loop {
        at += (rng.unit().ln() / (1.0 - rate).ln()).floor() + 1.0;
        if at > n as f64 {
            return found;
        }
        found += 1;
    }
}

/// A rate with this mean, so that draws at it correlate by `alike`.
fn beta(rng: &mut Rng, mean: f64, alike: f64) -> f64 {
    let size = 1.0 / alike - 1.0;
    let (a, b) = (gamma(rng, mean * size), gamma(rng, (1.0 - mean) * size));
    if a + b > 0.0 { a / (a + b) } else { mean }
}

/// A gamma number of this shape (Marsaglia and Tsang 2000; below 1 by their §6).
fn gamma(rng: &mut Rng, shape: f64) -> f64 {
    if shape < 1.0 {
        return gamma(rng, shape + 1.0) * rng.unit().powf(1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = rng.normal();
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && rng.unit().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}
