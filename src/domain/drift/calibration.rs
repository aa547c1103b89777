//! Whether a predicted chance means what it says: reliability by tenths, expected calibration error, Brier score, before and now.
//!
//! The calibration error of few rows is too large by chance alone (0.08 of 200 perfect predictions in ten tenths), so two of them
//! cannot just be subtracted. The difference is held against differences drawn from one reliability for both, that of all rows
//! together, with the rows each side has: what is left of it, its interval and its chance come from there. Seeded: the same rows
//! always say the same.

use super::change::Change;
use super::figures::Sides;
use super::packed;
use super::policy::{Policy, Status};
use super::why::rows_of;
use crate::stats::describe::{mean, quantile_sorted};
use crate::stats::interval::{CONFIDENCE, Interval, wilson};
use crate::stats::rng::Rng;
use serde::{Deserialize, Serialize};

/// Tenths of the predicted chance.
const BINS: usize = 10;
/// With fewer rows in a tenth a side says nothing of it.
const FEW: u64 = 5;
/// Differences that are drawn.
const DRAWS: usize = 2000;
/// Up to this variance a binomial number is drawn exactly, above from the normal law.
const EXACT_VARIANCE: f64 = 100.0;

/// Predicted chances and what came of them, in bounded memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Reliability {
    bins: [Bin; BINS],
    #[serde(with = "packed::one")]
    squares: f64,
    unknown: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bin {
    rows: u64,
    hits: u64,
    #[serde(with = "packed::one")]
    predicted: f64,
}

/// What was stored, before it is believed.
#[derive(Deserialize)]
struct Stored {
    bins: [Bin; BINS],
    #[serde(with = "packed::one")]
    squares: f64,
    unknown: u64,
}

impl TryFrom<Stored> for Reliability {
    type Error = &'static str;

    fn try_from(Stored { bins, squares, unknown }: Stored) -> Result<Self, Self::Error> {
        let counted = bins.iter().try_fold(0_u64, |sum, bin| sum.checked_add(bin.rows)).is_some();
        let sound = bins.iter().all(|bin| bin.hits <= bin.rows && (0.0..=bin.rows as f64).contains(&bin.predicted));
        (counted && sound && squares >= 0.0)
            .then_some(Self { bins, squares, unknown })
            .ok_or("chances come true more often than asked")
    }
}

impl Reliability {
    /// Counts a row: the chance that was predicted for what came true or not. What is no chance is counted as unknown.
    pub fn add(&mut self, chance: f64, came: bool) {
        if !(0.0..=1.0).contains(&chance) {
            self.unknown += 1;
            return;
        }
        // The product is at most 10 and never negative.
        let bin = &mut self.bins[((chance * BINS as f64) as usize).min(BINS - 1)];
        bin.rows += 1;
        bin.hits += u64::from(came);
        bin.predicted += chance;
        self.squares += (chance - f64::from(u8::from(came))).powi(2);
    }

    /// Rows with a chance.
    pub fn rows(&self) -> u64 {
        self.bins.iter().map(|bin| bin.rows).sum()
    }

    /// The mean distance of what came from what was predicted, by tenths, 0 to 1; `None` without rows.
    pub fn error(&self) -> Option<f64> {
        let rows = self.rows();
        (rows > 0).then(|| gap(&self.bins, |bin| bin.hits) / rows as f64)
    }

    /// The mean squared distance of each prediction from what came, 0 to 1; `None` without rows.
    pub fn brier(&self) -> Option<f64> {
        let rows = self.rows();
        (rows > 0).then(|| self.squares / rows as f64)
    }

    fn side(&self) -> Side {
        let tenth = |at: usize| at as f64 / BINS as f64;
        let bins = self.bins.iter().enumerate().map(|(at, bin)| {
            let interval = wilson(bin.hits, bin.rows, CONFIDENCE);
            let of_rows = |sum: f64| (bin.rows > 0).then(|| sum / bin.rows as f64);
            Tenth {
                low: tenth(at),
                high: tenth(at + 1),
                rows: bin.rows,
                predicted: of_rows(bin.predicted),
                observed: of_rows(bin.hits as f64),
                observed_low: interval.map(|i| i.low),
                observed_high: interval.map(|i| i.high),
            }
        });
        Side { rows: self.rows(), unknown: self.unknown, ece: self.error(), brier: self.brier(), bins: bins.collect() }
    }
}

/// Σ |hits − sum of predictions| over bins.
fn gap(bins: &[Bin], hits: impl Fn(&Bin) -> u64) -> f64 {
    bins.iter().map(|bin| (hits(bin) as f64 - bin.predicted).abs()).sum()
}

/// One tenth of the predicted chance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tenth {
    /// Chances from here.
    pub low: f64,
    /// To here.
    pub high: f64,
    /// Rows.
    pub rows: u64,
    /// The mean chance predicted; absent without rows.
    pub predicted: Option<f64>,
    /// The share that came true.
    pub observed: Option<f64>,
    /// The lower end of its 95 % interval.
    pub observed_low: Option<f64>,
    /// The upper end.
    pub observed_high: Option<f64>,
}

/// The reliability of one side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Rows with a chance.
    pub rows: u64,
    /// Rows whose prediction is no chance.
    pub unknown: u64,
    /// The expected calibration error.
    pub ece: Option<f64>,
    /// The Brier score.
    pub brier: Option<f64>,
    /// By tenths.
    pub bins: Vec<Tenth>,
}

/// Both sides, and what is said of the difference of their calibration errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Both.
    pub sides: Sides<Side>,
    /// Its `change`: the difference less what chance makes of it at these rows.
    pub error: Change,
}

/// Compares two reliabilities. A difference counts by the bands of shares where chance does not make it.
pub fn calibration(reference: &Reliability, current: &Reliability, seed: u64, policy: &Policy) -> Calibration {
    let sides = Sides::new(reference.side(), current.side());
    let n = Sides::new(reference.rows(), current.rows());
    let open = Change::open("calibration error", n, format!("{} have a predicted chance", rows_of(n)));
    let (Some(r), Some(c)) = (sides.reference.ece, sides.current.ece) else { return Calibration { sides, error: open } };
    if n.reference.min(n.current) < policy.min_rows {
        let why = format!("{}, {} are the least", open.why, policy.min_rows);
        let needed = Some(n.map(|rows| rows.max(policy.min_rows)));
        return Calibration { sides, error: Change { why, needed, ..open.measured(Sides::new(r, c), c - r, None) } };
    }
    let drawn = differences(reference, current, seed);
    let (by_chance, difference) = (mean(&drawn).unwrap_or(0.0), c - r);
    let end = |q: f64| quantile_sorted(&drawn, q).map(|drawn| difference - drawn);
    let beyond = (1.0 - CONFIDENCE) / 2.0;
    let interval = end(1.0 - beyond).zip(end(beyond)).map(|(low, high)| Interval { low, high });
    // What was seen is one of those possible, so that no chance is 0 (Phipson and Smyth 2010).
    let as_far = drawn.len() - drawn.partition_point(|drawn| *drawn < difference);
    let p = (as_far + 1) as f64 / (drawn.len() + 1) as f64;
    // Half of what may be wrong is that of how much is right.
    let status = if p < policy.alpha / 2.0 { policy.shares.of(difference - by_chance) } else { Status::Ok };
    let why = format!("{c:.3} instead of {r:.3}, of which chance makes {:.3}", by_chance + 0.0);
    let change = open.measured(Sides::new(r, c), difference - by_chance, interval);
    Calibration { sides, error: Change { p: Some(p), status, why, ..change } }
}

/// Differences of calibration errors in ascending order when both sides have one reliability.
fn differences(reference: &Reliability, current: &Reliability, seed: u64) -> Vec<f64> {
    // In each tenth both sides miss their predictions by as much as all rows together do.
    let usual = reference.error().unwrap_or(0.0);
    let miss = |at: usize| {
        let (r, c) = (&reference.bins[at], &current.bins[at]);
        let rows = (r.rows + c.rows) as f64;
        let pooled = if rows > 0.0 { ((r.hits + c.hits) as f64 - r.predicted - c.predicted) / rows } else { 0.0 };
        // Where the reference has next to no rows all rows are the current ones: it says only how far it is off elsewhere.
        if r.rows < FEW { pooled.clamp(-usual, usual) } else { pooled }
    };
    let misses: [f64; BINS] = std::array::from_fn(miss);
    let mut rng = Rng::new(seed);
    let mut error = |side: &Reliability| {
        let of_bin = |(bin, miss): (&Bin, &f64)| {
            if bin.rows == 0 {
                return 0.0;
            }
            let chance = (bin.predicted / bin.rows as f64 + miss).clamp(0.0, 1.0);
            (binomial(&mut rng, bin.rows, chance) - bin.predicted).abs()
        };
        side.bins.iter().zip(&misses).map(of_bin).sum::<f64>() / side.rows() as f64
    };
    let mut drawn: Vec<f64> = (0..DRAWS).map(|_| error(current) - error(reference)).collect();
    drawn.sort_by(f64::total_cmp);
    drawn
}

/// How many of `n` rows come true with the chance `p`.
fn binomial(rng: &mut Rng, n: u64, p: f64) -> f64 {
    let (rows, rare) = (n as f64, p.min(1.0 - p));
    let variance = rows * rare * (1.0 - rare);
    let drawn = if variance > EXACT_VARIANCE {
        (rows * rare + variance.sqrt() * rng.normal()).round().clamp(0.0, rows)
    } else {
        by_inversion(rng.unit(), rows, rare)
    };
    if p > 0.5 { rows - drawn } else { drawn }
}

/// The least number that is not passed with the chance `u`; the smallest chance is above the smallest `f64` at these variances.
fn by_inversion(u: f64, rows: f64, rare: f64) -> f64 {
    let (mut at, mut point) = (0.0, (rows * (-rare).ln_1p()).exp());
    let mut below = point;
    while below < u && at < rows {
        point *= (rows - at) / (at + 1.0) * (rare / (1.0 - rare));
        at += 1.0;
        below += point;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `rows` predictions of any chance; what comes is `off` more likely than predicted.
    fn drawn(rng: &mut Rng, rows: usize, off: f64) -> Reliability {
        let mut reliability = Reliability::default();
        for _ in 0..rows {
            let chance = rng.unit();
            reliability.add(chance, rng.unit() < chance + off);
        }
        reliability
    }

    #[test]
    fn errors_and_scores_are_those_of_their_definitions() {
        let mut of = Reliability::default();
        for (chance, came) in [(0.1, false), (0.15, true), (0.9, true), (1.0, true), (f64::NAN, true), (1.5, false)] {
            of.add(chance, came);
        }
        // Tenths [0.1, 0.2): |1 − 0.25|; [0.9, 1]: |2 − 1.9|; over four rows.
        assert!(of.error().is_some_and(|e| (e - 0.2125).abs() < 1e-12));
        assert!(of.brier().is_some_and(|b| (b - (0.01 + 0.7225 + 0.01) / 4.0).abs() < 1e-12));
        assert_eq!((of.rows(), of.side().unknown, of.side().bins[1].observed), (4, 2, Some(0.5)));
        assert_eq!((Reliability::default().error(), Reliability::default().brier()), (None, None));
    }

    #[test]
    fn what_is_stored_is_read_back_or_refused() {
        let of = drawn(&mut Rng::new(3), 500, 0.1);
        let stored = serde_json::to_value(&of).expect("JSON");
        assert_eq!(serde_json::from_value::<Reliability>(stored.clone()).expect("read back"), of);
        for (key, bad) in [("hits", 9999.into()), ("rows", u64::MAX.into()), ("predicted", f64::NAN.to_bits().into())] {
            let mut changed: serde_json::Value = stored.clone();
            changed["bins"][4][key] = bad;
            assert!(serde_json::from_value::<Reliability>(changed).is_err(), "{key}");
        }
    }

    #[test]
    fn few_rows_are_no_worse_than_many() {
        let mut rng = Rng::new(5);
        let many = drawn(&mut rng, 5000, 0.05);
        let policy = Policy { alpha: 0.05, ..Policy::default() };
        let mut outside = 0;
        for seed in 0..60 {
            let few = calibration(&many, &drawn(&mut rng, 200, 0.05), seed, &policy).error;
            outside += u32::from(few.p.expect("a chance") < 0.05);
        }
        // Binomial with 60 and 0.05: beyond 10 once in a thousand seeds, and these are fixed.
        assert!(outside <= 10, "{outside} of 60");
    }

    #[test]
    fn a_side_that_came_to_exaggerate_is_seen() {
        let mut rng = Rng::new(6);
        let (before, now) = (drawn(&mut rng, 4000, 0.0), drawn(&mut rng, 4000, -0.15));
        let got = calibration(&before, &now, 1, &Policy::default()).error;
        assert_eq!(got.status, Status::Warning, "{got:?}");
        assert!(got.low.is_some_and(|low| low > 0.08) && got.high.is_some_and(|high| high < 0.18), "{got:?}");
        assert_eq!(calibration(&before, &now, 1, &Policy::default()).error, got, "the same seed says the same");
    }

    /// Chances in tenths that the reference never had are held against how right it was elsewhere.
    #[test]
    fn chances_that_moved_elsewhere_are_seen_when_they_do_not_come_true() {
        let mut rng = Rng::new(9);
        let mut of = |low: f64, true_low: f64| {
            let mut reliability = Reliability::default();
            for _ in 0..4000 {
                let step = 0.2 * rng.unit();
                reliability.add(low + step, rng.unit() < true_low + step);
            }
            reliability
        };
        let before = of(0.8, 0.8);
        let (timid, right) = (of(0.4, 0.8), of(0.4, 0.4));
        let said = |now: &Reliability| calibration(&before, now, 1, &Policy::default()).error;
        assert_eq!(said(&timid).status, Status::Critical, "{:?}", said(&timid));
        assert_eq!(said(&right).status, Status::Ok, "{:?}", said(&right));
    }

    #[test]
    fn without_rows_nothing_is_said() {
        let mut rng = Rng::new(7);
        let some = drawn(&mut rng, 500, 0.0);
        for (few, needed) in [(Reliability::default(), None), (drawn(&mut rng, 9, 0.0), Some(Sides::new(500, 30)))] {
            let got = calibration(&some, &few, 1, &Policy::default());
            assert_eq!((got.error.status, got.error.needed), (Status::Inconclusive, needed));
        }
    }

    #[test]
    fn binomial_numbers_have_their_mean_and_variance() {
        let mut rng = Rng::new(8);
        for (n, p) in [(20u64, 0.3), (1_000_000, 0.00002), (1_000_000, 0.7), (30, 0.95), (5, 0.0), (5, 1.0)] {
            let draws: Vec<f64> = (0..4000).map(|_| binomial(&mut rng, n, p)).collect();
            let (want, variance) = (n as f64 * p, n as f64 * p * (1.0 - p));
            let got = mean(&draws).expect("draws");
            let spread = draws.iter().map(|d| (d - want).powi(2)).sum::<f64>() / 4000.0;
            // Four standard errors of 4,000 draws.
            assert!((got - want).abs() <= 4.0 * (variance / 4000.0).sqrt() + 1e-12, "{got} of {n} with {p}");
            assert!((spread - variance).abs() <= 0.15 * variance, "{spread} of {n} with {p}");
        }
    }
}
