//! Whether the system serves as it did: response times, successes, errors and resources against the days before.
//!
//! The specification's limits (response time +20 %, success below 95 %, resources above 80 % of their scale), each held against
//! an interval: quantiles of times by order statistics, and their ratio by the intervals of both on the scale of its logarithm
//! (MOVER: Zou and Donner 2008, Statistics in Medicine 27); shares by Wilson; means by Student's t. A limit inside the interval
//! is `inconclusive`.

use super::change::{Change, could_decide};
use super::figures::Sides;
use super::policy::Status;
use super::upstream::Part;
use super::why::{number, percent, rows_of, share};
use crate::stats::describe::mean;
use crate::stats::fisher::fisher;
use crate::stats::interval::{CONFIDENCE, Interval, of_mean, wilson};
use crate::stats::ordered::Ordered;
use crate::stats::rank::{quantile_interval, rows_for_upper_end};
use serde::{Deserialize, Serialize};

/// What performance may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// By what part response times may grow.
    pub response: f64,
    /// The share of requests that succeed at least.
    pub success: f64,
    /// The share of a resource's scale that may be used.
    pub resource: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { response: 0.20, success: 0.95, resource: 0.80 }
    }
}

/// The quantiles of response times, and whether each is held against the limit: the last one is too seldom for that, and shown.
const QUANTILES: [(f64, &str, bool); 3] = [(0.5, "latency p50", true), (0.95, "latency p95", true), (0.99, "latency p99", false)];

/// Response times in any unit, above 0: p50, p95 and p99, each `change` being by what part it grew.
pub fn latency(reference: &Ordered, current: &Ordered, limits: &Limits) -> Vec<Change> {
    QUANTILES
        .iter()
        .map(|(q, name, judged)| {
            let grown = grown(name, *q, reference, current);
            if *judged { response(grown, *q, limits.response) } else { Change { status: Status::Ok, ..grown } }
        })
        .collect()
}

fn grown(name: &str, q: f64, reference: &Ordered, current: &Ordered) -> Change {
    let n = Sides::new(reference.rows(), current.rows());
    let open = Change::open(name, n, format!("{} have times above 0", rows_of(n)));
    let value = |sample: &Ordered| sample.quantile(q).filter(|value| *value > 0.0);
    let (Some(r), Some(c)) = (value(reference), value(current)) else { return open };
    let ends = |sample: &Ordered, value: f64| {
        let (low, high) = quantile_interval(sample, q, CONFIDENCE);
        // How far the truth may be below and above, as logarithms.
        (low.filter(|low| *low > 0.0).map(|low| (value / low).ln()), high.map(|high| (high / value).ln()))
    };
    let ((r_low, r_high), (c_low, c_high)) = (ends(reference, r), ends(current, c));
    let by = (c / r).ln();
    let part = |log: f64| Some(log.exp() - 1.0).filter(|part| part.is_finite());
    let words = format!("{} instead of {}", number(c), number(r));
    Change {
        low: c_low.zip(r_high).and_then(|(c, r)| part(by - c.hypot(r))),
        high: c_high.zip(r_low).and_then(|(c, r)| part(by + c.hypot(r))),
        why: words,
        ..open.measured(Sides::new(r, c), by.exp() - 1.0, None)
    }
}

fn response(change: Change, q: f64, limit: f64) -> Change {
    let Some(by) = change.change else { return change };
    let status = change.against(limit, Status::Warning);
    let needed = (status == Status::Inconclusive).then(|| {
        let half = |end: Option<f64>| end.map(|end| (end.ln_1p() - by.ln_1p()).abs());
        let toward = if by > limit { half(change.low) } else { half(change.high) };
        match toward {
            Some(half) => narrower(change.n, half, (by.ln_1p() - limit.ln_1p()).abs(), Narrow::Both),
            None => rows_for_upper_end(q, CONFIDENCE).map(|rows| change.n.map(|n| n.max(rows))),
        }
    });
    let needed = needed.flatten();
    let grown = format!("{}: grown by {}", change.why, percent(by));
    judged(change, limit, status, needed, grown)
}

/// Which sides are to have more rows.
#[derive(Clone, Copy)]
enum Narrow {
    Both,
    Current,
}

/// Rows with which an interval whose half is `half` would be narrower than `distance`: it shrinks with their root.
fn narrower(n: Sides<u64>, half: f64, distance: f64, which: Narrow) -> Option<Sides<u64>> {
    let factor = (half / distance).powi(2);
    let more = |rows: u64| {
        let wanted = (rows as f64 * factor).ceil();
        (wanted.is_finite() && wanted < 1e15).then(|| (wanted as u64).max(rows))
    };
    let reference = match which {
        Narrow::Both => more(n.reference)?,
        Narrow::Current => n.reference,
    };
    let wanted = Sides::new(reference, more(n.current)?);
    (wanted != n).then_some(wanted)
}

fn judged(change: Change, limit: f64, status: Status, needed: Option<Sides<u64>>, words: String) -> Change {
    let why = match status {
        Status::Inconclusive => format!("{words}, {} is inside the interval{}", percent(limit), could_decide(needed)),
        _ => format!("{words}, limit {}", percent(limit)),
    };
    Change { limit: Some(limit), status, needed, why, ..change }
}

/// The share of requests that succeed; its `change` is the share that does not, held against what may fail.
pub fn success(reference: Part, current: Part, limits: &Limits) -> Change {
    let n = Sides::new(reference.of, current.of);
    let open = Change::open("success rate", n, format!("{} are requests", rows_of(n)));
    let Some(interval) = wilson(current.rows, current.of, CONFIDENCE) else { return open };
    let shares = Sides::new(reference, current).map(|part| share(part.rows, part.of));
    let limit = 1.0 - limits.success;
    let failing = Interval { low: 1.0 - interval.high, high: 1.0 - interval.low };
    let p = fisher((reference.rows, reference.of), (current.rows, current.of));
    let before = (reference.of > 0).then_some(shares.reference);
    let change = Change { p, reference: before, ..open.measured(shares, 1.0 - shares.current, Some(failing)) };
    let status = change.against(limit, Status::Warning);
    let wide = || narrower(n, (failing.high - failing.low) / 2.0, (1.0 - shares.current - limit).abs(), Narrow::Current);
    let needed = if status == Status::Inconclusive { wide() } else { None };
    let words = format!("{} of requests fail", percent(1.0 - shares.current));
    judged(change, limit, status, needed, words)
}

/// Shares of requests that succeeded, each of some requests, such as one an hour: the mean share that fails against what may fail.
pub fn success_rates(reference: &[f64], current: &[f64], limits: &Limits) -> Change {
    let n = Sides::new(reference.len() as u64, current.len() as u64);
    let open = Change::open("success rate", n, format!("{} are shares of requests", rows_of(n)));
    let failing: Vec<f64> = current.iter().map(|share| 1.0 - share).collect();
    let change = of_mean_share(open, &failing, 1.0 - limits.success, |now| format!("{} of requests fail", percent(now)));
    // What is shown is what succeeds, as of counted requests.
    Change { reference: mean(reference), current: mean(current), ..change }
}

/// The mean of shares against what it may not pass.
fn of_mean_share(open: Change, current: &[f64], limit: f64, words: impl Fn(f64) -> String) -> Change {
    let Some(now) = mean(current) else { return open };
    let interval = of_mean(current, CONFIDENCE);
    let change = open.measured(Sides::new(now, now), now, interval);
    let status = change.against(limit, Status::Warning);
    let half = interval.map(|i| (i.high - i.low) / 2.0);
    let wide = || narrower(change.n, half?, (now - limit).abs(), Narrow::Current);
    let needed = if status == Status::Inconclusive { wide() } else { None };
    judged(change, limit, status, needed, words(now))
}

/// The mean use of a resource as a share of its `scale` (what there is of it, in the unit of the values), against its limit.
pub fn resource(name: &str, reference: &[f64], current: &[f64], scale: f64, limits: &Limits) -> Change {
    let n = Sides::new(reference.len() as u64, current.len() as u64);
    let open = Change::open(name, n, format!("{} and a scale above 0 are needed", rows_of(n)));
    let used = |values: &[f64]| values.iter().map(|value| value / scale).filter(|_| scale > 0.0).collect::<Vec<_>>();
    let words = |now| format!("{} of the scale is used", percent(now));
    let change = of_mean_share(open, &used(current), limits.resource, words);
    Change { reference: mean(&used(reference)), ..change }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times whose quantiles grow like those of an exponential law.
    fn times(n: u32, scale: f64) -> Ordered {
        let at = |i: u32| -(1.0 - (f64::from(i) + 0.5) / f64::from(n)).ln() * scale;
        Ordered::of((0..n).map(at).collect()).expect("times")
    }

    fn statuses(n: u32, scale: f64) -> Vec<Status> {
        latency(&times(n, 100.0), &times(n, 100.0 * scale), &Limits::default()).into_iter().map(|c| c.status).collect()
    }

    #[test]
    fn slower_counts_when_the_whole_interval_is_beyond_the_limit() {
        use Status::{Inconclusive, Ok, Warning};
        assert_eq!(statuses(20_000, 1.3), [Warning, Warning, Ok]);
        assert_eq!(statuses(20_000, 1.1), [Ok, Ok, Ok]);
        assert_eq!(statuses(100, 1.3), [Inconclusive, Inconclusive, Ok]);
        let few = &latency(&times(30, 100.0), &times(30, 100.0), &Limits::default())[1];
        assert_eq!((few.status, few.high, few.needed), (Inconclusive, None, Some(Sides::new(72, 72))));
        let across = &latency(&times(500, 100.0), &times(500, 130.0), &Limits::default())[1];
        let rows = u32::try_from(across.needed.expect("a number").current).expect("few");
        let again = &latency(&times(rows * 11 / 10, 100.0), &times(rows * 11 / 10, 130.0), &Limits::default())[1];
        assert_eq!(again.status, Warning, "{across:?} {again:?}");
    }

    #[test]
    fn times_of_nothing_say_nothing() {
        let zeros = Ordered::of(vec![0.0; 50]).expect("times");
        let got = latency(&zeros, &times(50, 1.0), &Limits::default());
        assert!(got.iter().take(2).all(|c| c.status == Status::Inconclusive && c.change.is_none()), "{got:?}");
    }

    #[test]
    fn failures_count_when_they_surely_are_too_many() {
        let of = |good, all| success(Part { rows: 990, of: 1000 }, Part { rows: good, of: all }, &Limits::default());
        let said = |good, all| of(good, all).status;
        assert_eq!((said(9000, 10_000), said(9900, 10_000)), (Status::Warning, Status::Ok));
        assert_eq!((said(18, 20), said(0, 0)), (Status::Inconclusive, Status::Inconclusive));
        let open = of(186, 200);
        let rows = open.needed.expect("a number").current;
        assert_eq!((open.status, said(rows * 93 / 100, rows * 105 / 100)), (Status::Inconclusive, Status::Warning), "{rows}");
        let fresh = success(Part::default(), Part { rows: 10_000, of: 10_000 }, &Limits::default());
        assert_eq!((fresh.status, fresh.reference, fresh.p), (Status::Ok, None, None));
    }

    #[test]
    fn shares_of_every_hour_count_like_requests() {
        let day = |share: f64| (0..24).map(|i| share + f64::from(i % 3) * 0.01).collect::<Vec<_>>();
        let of = |share| success_rates(&day(0.97), &day(share), &Limits::default());
        let bad = of(0.90);
        assert_eq!((of(0.97).status, bad.status, of(0.94).status), (Status::Ok, Status::Warning, Status::Inconclusive));
        assert!(bad.current.is_some_and(|share| (share - 0.91).abs() < 1e-12), "{bad:?}");
        assert!(bad.reference.is_some_and(|share| (share - 0.98).abs() < 1e-12), "{bad:?}");
        assert_eq!(success_rates(&[], &[], &Limits::default()).status, Status::Inconclusive);
    }

    #[test]
    fn resources_are_held_against_what_there_is() {
        let week: Vec<f64> = (0..168).map(|i| 60.0 + f64::from(i % 7)).collect();
        let of = |shift: f64, scale| {
            resource("memory", &week, &week.iter().map(|v| v + shift).collect::<Vec<_>>(), scale, &Limits::default())
        };
        assert_eq!((of(0.0, 100.0).status, of(25.0, 100.0).status), (Status::Ok, Status::Warning));
        for open in [of(17.0, 100.0), of(0.0, 0.0), of(0.0, f64::NAN)] {
            assert_eq!(open.status, Status::Inconclusive, "{open:?}");
        }
        let one = resource("cpu", &[], &[90.0], 100.0, &Limits::default());
        assert_eq!((one.status, one.current, one.reference), (Status::Inconclusive, Some(0.9), None));
    }
}
