//! A metric's last hours against a limit that holds whatever is usual: response times, successes, resources (M3).
//!
//! A limit counts when the whole 95 % interval of the window is beyond it, and is kept when the whole interval is within: between
//! the two an open episode stays open, and a closed one closed.

use super::episode::Kind;
use super::watch::{Finding, Past, Point, WEEK, outside, peak};
use crate::base::time::Timestamp;
use crate::config::{Limit, Watch};
use crate::domain::drift::anomaly::Severity;
use crate::domain::drift::change::Change;
use crate::domain::drift::performance::{Limits, latency, resource, success, success_rates};
use crate::domain::drift::policy::Status;
use crate::domain::drift::upstream::Part;
use crate::stats::ordered::Ordered;

/// Samples that a window must have: with fewer the interval of a median has no end.
const WINDOW_LEAST: usize = 6;

/// The window that ends with the newest sample against its limit.
pub(super) fn finding(watch: &Watch, kind: Kind, limit: &Limit, past: &Past<'_>) -> Finding {
    let end = past.points.last().map_or(0, |(at, _)| *at);
    let window = i64::try_from(limit.window.as_micros()).unwrap_or(i64::MAX);
    let place = |at: i64| past.points.partition_point(|(t, _)| *t <= at);
    let (from, begin) = (place(end.saturating_sub(window)), place(end.saturating_sub(window).saturating_sub(WEEK)));
    let current = values(&past.points[from..]);
    if current.len() < WINDOW_LEAST {
        let why = format!("{} samples in its window, at least {WINDOW_LEAST} are needed", current.len());
        return Finding::unknown(&watch.name, kind, current.len(), why);
    }
    let week = &past.points[begin..from];
    let quiet = outside(week, past.episodes, kind);
    let reference = values(if quiet.len() >= WINDOW_LEAST { &quiet } else { week });
    let Some(change) = change(kind, limit, &reference, &current) else {
        return Finding::unknown(&watch.name, kind, current.len(), "a share of successes is between 0 and 1".to_owned());
    };
    let severity = match change.status {
        Status::Ok => Severity::Normal,
        Status::Inconclusive => Severity::Unknown,
        _ if kind == Kind::SuccessRate => Severity::High,
        _ => Severity::Medium,
    };
    let (low, high) = ends(kind, limit, &change);
    let open = past.episodes.iter().find(|e| e.kind == kind && e.closed.is_none());
    let worst = |v: f64| if kind == Kind::SuccessRate { -v } else { v };
    Finding {
        at: Some(Timestamp::from_micros(end)),
        value: change.current.map(|v| v * limit.scale),
        low,
        high,
        score: change.change,
        severity,
        calm_since: (severity == Severity::Normal).then(|| Timestamp::from_micros(end)),
        peak: open.and_then(|open| peak(past, open, worst)),
        ..Finding::unknown(&watch.name, kind, current.len() + reference.len(), change.why)
    }
}

fn values(points: &[Point]) -> Vec<f64> {
    points.iter().map(|(_, value)| *value).collect()
}

/// What is allowed, in the unit of the samples.
fn ends(kind: Kind, limit: &Limit, change: &Change) -> (Option<f64>, Option<f64>) {
    match kind {
        Kind::SuccessRate => (Some(limit.at), None),
        Kind::Resource => (None, Some(limit.at * limit.scale)),
        Kind::ResponseTime | Kind::Anomaly => (None, change.reference.map(|before| before * (1.0 + limit.at))),
    }
}

/// `None` for shares of successes that are none.
fn change(kind: Kind, limit: &Limit, reference: &[f64], current: &[f64]) -> Option<Change> {
    let limits = Limits::default();
    match kind {
        Kind::SuccessRate => {
            let limits = Limits { success: limit.at, ..limits };
            let shares = reference.iter().chain(current).all(|v| (0.0..=1.0).contains(v));
            let single = reference.iter().chain(current).all(|v| *v == 0.0 || *v == 1.0);
            let part = |of: &[f64]| Part { rows: of.iter().filter(|v| **v == 1.0).count() as u64, of: of.len() as u64 };
            shares.then(|| match single {
                true => success(part(reference), part(current), &limits),
                false => success_rates(reference, current, &limits),
            })
        }
        Kind::Resource => {
            let limits = Limits { resource: limit.at, ..limits };
            Some(resource("resource", reference, current, limit.scale, &limits))
        }
        Kind::ResponseTime | Kind::Anomaly => Some(slower(reference, current, &Limits { response: limit.at, ..limits })),
    }
}

/// The quantile that grew beyond the limit; else the one that did not; else the median, of which too little is known.
fn slower(reference: &[f64], current: &[f64], limits: &Limits) -> Change {
    let sample = |values: &[f64]| Ordered::of(values.to_vec());
    let all = match sample(reference).zip(sample(current)) {
        Some((reference, current)) => latency(&reference, &current, limits),
        None => Vec::new(),
    };
    let judged: Vec<Change> = all.into_iter().filter(|change| change.limit.is_some()).collect();
    let of = |status: Status| judged.iter().find(|change| change.status == status).cloned();
    of(Status::Warning).or_else(|| of(Status::Ok)).or_else(|| judged.first().cloned()).unwrap_or_else(|| {
        let n = crate::domain::drift::figures::Sides::new(reference.len() as u64, current.len() as u64);
        Change::open("latency p50", n, format!("nothing was recorded in the week before: {} samples now", current.len()))
    })
}
