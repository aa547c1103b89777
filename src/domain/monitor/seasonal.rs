//! What an hour of the week lets expect: the median of the same hour in up to four weeks before.
//!
//! What is left of a sample after that, its residual, is held against the residuals of the weeks before, made in the same way, so
//! that a metric that is high every noon is not unusual at noon and a noon's value at night is. Hours are those of UTC: when clocks
//! are changed, the days after are judged by the hour beside theirs.

use super::watch::{Point, WEEK};
use crate::stats::describe::quantile;
use std::collections::HashMap;

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;
/// Hours of a week.
const HOURS: i64 = 168;
/// Weeks that are looked back.
const WEEKS: i64 = 4;

/// Values by the hour since 1970.
type Hours = HashMap<i64, Vec<f64>>;

/// What is expected of a sample at a time by the quiet ones before it, and the residuals of two weeks of them; times of the latter are
/// those of their samples.
pub(super) fn residuals(quiet: &[Point], at: i64) -> (Option<f64>, Vec<Point>) {
    let mut hours = Hours::new();
    for (t, value) in quiet {
        hours.entry(t.div_euclid(HOUR)).or_default().push(*value);
    }
    let from = quiet.partition_point(|(t, _)| *t < at.saturating_sub(2 * WEEK));
    let left = quiet[from..].iter().filter_map(|(t, value)| Some((*t, value - expected(&hours, *t)?))).collect();
    (expected(&hours, at), left)
}

fn expected(hours: &Hours, at: i64) -> Option<f64> {
    let hour = at.div_euclid(HOUR);
    let same = (1..=WEEKS).filter_map(|back| hours.get(&(hour - back * HOURS)));
    let values: Vec<f64> = same.filter_map(|values| quantile(values, 0.5)).collect();
    quantile(&values, 0.5)
}
