//! Evidence that may be looked at after every window: e-processes.
//!
//! What is kept is E, a value whose expectation never exceeds 1 while the null hypothesis holds, at any time at which somebody
//! stops to look. So the chance that it *ever* reaches 1/α is at most α (Ville 1939): no correction for many looks is needed.
//! Evidence is kept as ln E.
//!
//! Where the formulas come from: the mixture of likelihood ratios over fixed alternatives (Robbins 1970, "Statistical methods
//! related to the law of the iterated logarithm"); counts of two arms conditioned on their sum (Lindon, Sanden and Shirikian
//! 2022, KDD, "Rapid regression detection in software deployments through sequential testing"); bets on a bounded mean
//! (Waudby-Smith and Ramdas 2024, JRSS B 86) whose product is bounded from below by
//! ln(1 + λξ) ≥ λξ + ξ²(ln(1 − λ) + λ) for ξ ≥ −1 (Fan, Grama and Liu 2015, EJP 20), so that count, mean and spread of a
//! window are enough; a change at a time nobody knows by starting the product anew at every window (Shin, Ramdas and Rinaldo
//! 2022, "E-detectors").
//!
//! Invariants: [`Evidence`] does not depend on how a caller groups its looks, only on the windows in their order; a window
//! without data leaves it as it was. Windows that are not independent inside are tempered by the caller
//! ([`super::cluster`]): a factor to a power below 1 keeps its expectation at or below 1 (Jensen).

use super::describe::Moments;

/// How far the alternatives lie from the null hypothesis, as a factor on the odds or on the ratio.
const FACTORS: [f64; 8] = [1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0];
/// The stakes of bets on one mean, as a share of what may be lost in one draw.
const STAKES: [f64; 8] = [0.01, 0.03, 0.07, 0.15, 0.3, 0.5, 0.7, 0.9];
/// The stakes of bets on a difference: up to ½ the bound of Fan, Grama and Liu rises with ξ over all of −1..=1, which lets a
/// cell of the grid stand for every point in it (its derivative λ + 2ξ(ln(1 − λ) + λ) is positive there).
const STAKES_OF_TWO: [f64; 6] = [0.01, 0.03, 0.07, 0.15, 0.3, 0.5];
/// Cells of 0..=1 in which the unknown mean of the first arm is looked for, and as many more around the two that were seen.
const CELLS: usize = 96;

/// How many alternatives every process mixes.
pub const ALTERNATIVES: usize = 8;
/// What one window adds to ln E under each alternative.
pub type Factors = [f64; ALTERNATIVES];

/// The evidence of a row of windows against a null hypothesis, wherever in the row the trouble began.
///
/// For each alternative j it keeps Σₛ πₛ·Π_{t ≥ s} e_jt with πₛ = 1/(s(s+1)): half the stake on trouble from the start, the
/// rest on a start at each later window.
#[derive(Clone, Debug)]
pub struct Evidence {
    logs: [f64; ALTERNATIVES],
    windows: f64,
}

impl Default for Evidence {
    fn default() -> Self {
        Self { logs: [f64::NEG_INFINITY; ALTERNATIVES], windows: 0.0 }
    }
}

impl Evidence {
    /// Adds a window. `power` within 0..=1 tempers it: 1 for independent draws, 1 / design effect for clumped ones.
    pub fn add(&mut self, window: &Factors, power: f64) {
        self.windows += 1.0;
        let stake = -(self.windows * (self.windows + 1.0)).ln();
        for (log, factor) in self.logs.iter_mut().zip(window) {
            *log = add_logs(*log, stake) + factor * power;
        }
    }

    /// ln E: 0 before the first window; `ln(1/α)` and above has a chance of at most α under the null hypothesis.
    pub fn log(&self) -> f64 {
        // What is staked on starts that are still to come is kept in cash: Σ_{s > t} πₛ = 1/(t + 1).
        add_logs(log_mean(&self.logs), -(self.windows + 1.0).ln())
    }
}

/// ln e of `hits` out of `n` against "the rate is at most `limit`". Nothing (zeros) for a limit that is not strictly between 0
/// and 1, which no count can break.
pub fn of_rate(hits: u64, n: u64, limit: f64) -> Factors {
    if !(limit > 0.0 && limit < 1.0) || hits > n {
        return [0.0; ALTERNATIVES];
    }
    let odds = limit / (1.0 - limit);
    FACTORS.map(|factor| {
        let above = factor * odds / (1.0 + factor * odds);
        likelihood(hits, n - hits, above, limit)
    })
}

/// ln e of the hits of two arms against "the second arm's rate is at most `ratio` times the first's". `share` is the second
/// arm's part of the draws of this window. Zeros for a share that is not strictly between 0 and 1 or a ratio that is not
/// positive. Valid for every rate: of all draws with these means Poisson's, for which E is exactly 1, vary most.
pub fn of_ratio(first: u64, second: u64, share: f64, ratio: f64) -> Factors {
    of_odds(first, second, share, ratio, |factor| ratio * factor)
}

/// ln e against "the second arm's ratio is at least `ratio`", the other side of [`of_ratio`].
pub fn of_ratio_below(first: u64, second: u64, share: f64, ratio: f64) -> Factors {
    of_odds(first, second, share, ratio, |factor| ratio / factor)
}

fn of_odds(first: u64, second: u64, share: f64, ratio: f64, other: impl Fn(f64) -> f64) -> Factors {
    let usable = share > 0.0 && share < 1.0 && ratio > 0.0 && ratio.is_finite();
    let part = |r: f64| r * share / (r * share + 1.0 - share);
    let (null, others) = (part(ratio), FACTORS.map(|factor| part(other(factor))));
    let inside = |p: f64| p > 0.0 && p < 1.0;
    if !usable || !inside(null) || !others.iter().all(|p| inside(*p)) {
        return [0.0; ALTERNATIVES];
    }
    others.map(|p| likelihood(second, first, p, null))
}

/// ln of the likelihood ratio of `hits` and `misses` under two rates strictly between 0 and 1.
fn likelihood(hits: u64, misses: u64, rate: f64, null: f64) -> f64 {
    hits as f64 * (rate / null).ln() + misses as f64 * ((1.0 - rate) / (1.0 - null)).ln()
}

/// ln e of values within 0..=1 against "their mean is at least `limit`". Zeros for a limit that is not strictly between 0 and
/// 1: at 0 nothing can break it, at 1 a single lower value does without any statistic.
pub fn of_low_mean(values: &Moments, limit: f64) -> Factors {
    if values.n == 0 || !(limit > 0.0 && limit < 1.0) {
        return [0.0; ALTERNATIVES];
    }
    let room = 1.0 - limit;
    let (sum, squares) = around(values, limit);
    STAKES.map(|stake| bet(stake, sum / room, squares / (room * room)))
}

/// ln E of all values so far, within 0..=1, against "the second arm's mean is at least the first's less `drop`".
///
/// The first arm's mean is unknown, so E is the smallest over every value it may have of (evidence that the second arm is
/// below it less `drop`) × (evidence that the first arm is above it). A negative drop asks for a second mean that is higher by as much.
/// 0 without values in both arms, or for a drop outside −1..=1.
pub fn of_drop(first: &Moments, second: &Moments, drop: f64) -> f64 {
    if first.n == 0 || second.n == 0 || !(-1.0..=1.0).contains(&drop) {
        return 0.0;
    }
    // Turned over, "the first arm's mean is at most a" is "its mean is at least 1 − a".
    let turned = Moments { mean: 1.0 - first.mean, ..*first };
    let cell = |low: f64, high: f64| two(second, low - drop) + two(&turned, 1.0 - high);
    let seen = [first.mean, second.mean + drop].map(|m| m.clamp(0.0, 1.0));
    let (from, to) = (seen[0].min(seen[1]), seen[0].max(seen[1]));
    let step = |i: usize| i as f64 / CELLS as f64;
    let mut edges: Vec<f64> = (0..=CELLS).flat_map(|i| [step(i), from + (to - from) * step(i)]).collect();
    edges.sort_by(f64::total_cmp);
    edges.windows(2).map(|e| cell(e[0], e[1])).fold(f64::INFINITY, f64::min)
}

/// ln of the mixture of bets against "the mean is at least `limit`" with stakes that every limit allows.
fn two(values: &Moments, limit: f64) -> f64 {
    // A mean is never below 0, so this is the bet of every limit below: the next one up that is within the range. Above 1 the bet
    // against the limit of 1 holds as well.
    let (sum, squares) = around(values, limit.clamp(0.0, 1.0));
    log_mean(&STAKES_OF_TWO.map(|stake| bet(stake, sum, squares)))
}

/// Σ(limit − x) and Σ(limit − x)².
fn around(values: &Moments, limit: f64) -> (f64, f64) {
    let (n, gap) = (values.n as f64, limit - values.mean);
    (n * gap, values.squares() + n * gap * gap)
}

fn bet(stake: f64, sum: f64, squares: f64) -> f64 {
    stake * sum + ((-stake).ln_1p() + stake) * squares
}

/// ln E of factors that are mixed in equal parts and all of one window.
pub fn mixed(factors: &Factors) -> f64 {
    log_mean(factors)
}

/// ln((eᵃ¹ + … + eᵃᵏ) / k).
fn log_mean(logs: &[f64]) -> f64 {
    logs.iter().copied().fold(f64::NEG_INFINITY, add_logs) - (logs.len() as f64).ln()
}

/// ln(eᵃ + eᵇ).
fn add_logs(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
pub(super) mod tests;
