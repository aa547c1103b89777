//! What happened on a day: from the audit log, the actions about drift, the episodes and the samples of metrics.

use crate::base::error::{Error, Result};
use crate::base::time::Timestamp;
use crate::domain::audit::entry::Entry;
use crate::domain::audit::query::{self, Filter};
use crate::domain::drift::table::pending;
use crate::domain::monitor::daily::{Daily, Happened, MetricDay};
use crate::domain::monitor::table;
use crate::domain::monitor::watch::WEEK;
use crate::stats::describe::quantile;
use crate::store::View;
use serde_json::Value;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// Entries of a kind that a report lists, the newest of the day.
const ENTRIES_MAX: u64 = 1_000;

/// The day of UTC that `within` lies in; `now` is when it is asked.
///
/// # Errors
/// When the day has not begun, or the state cannot be read.
pub fn daily(view: View<'_>, project: &str, within: Timestamp, now: Timestamp) -> Result<Daily> {
    let from = Timestamp::from_micros(within.micros().div_euclid(DAY).saturating_mul(DAY));
    let until = from.plus_micros(DAY);
    if from > now {
        return Err(
            Error::usage(format!("{} has not begun: it is {now}", from.day())).hint("name a day that was, or none for today")
        );
    }
    let of = |action: &str| -> Result<Vec<Happened>> {
        let filter = Filter { action: Some(action.to_owned()), since: Some(from), until: Some(until), ..Filter::default() };
        let mut entries = query::log(view, &filter, ENTRIES_MAX)?;
        entries.reverse();
        Ok(entries.iter().map(happened).collect())
    };
    // What was due by the end of the day, or is by now.
    let by = until.min(now);
    let overdue = pending(view)?.into_iter().filter(|a| a.due.is_some_and(|due| due < by) && a.opened < until);
    Ok(Daily {
        project: project.to_owned(),
        day: from.day(),
        releases: of("version.")?,
        evaluations: of("evaluation.")?,
        drift: of("drift.")?,
        overdue: overdue.collect(),
        episodes: table::between(view, from, until)?,
        metrics: metrics(view, from, until)?,
    })
}

fn happened(entry: &Entry) -> Happened {
    Happened {
        at: entry.at,
        what: entry.action.clone(),
        of: entry.resource.to_string(),
        by: entry.actor.clone(),
        said: said(entry),
    }
}

/// What of an entry's facts a person wants first.
fn said(entry: &Entry) -> String {
    let text = |key: &str| entry.detail.get(key).and_then(Value::as_str);
    let number = |key: &str| entry.detail.get(key).and_then(Value::as_i64);
    let mut said: Vec<String> = ["verdict", "kind", "band"].iter().filter_map(|key| text(key)).map(str::to_owned).collect();
    said.extend(text("to").map(|stage| format!("to {stage}")));
    said.extend(entry.detail.get("dataset").and_then(|d| d.get("name")).and_then(Value::as_str).map(|name| format!("on {name}")));
    said.extend(number("rows").map(|rows| format!("{rows} rows")));
    said.extend((entry.outcome != crate::base::event::Outcome::Ok).then(|| entry.outcome.to_string()));
    said.extend(entry.reason.clone());
    said.join(", ")
}

fn metrics(view: View<'_>, from: Timestamp, until: Timestamp) -> Result<Vec<MetricDay>> {
    let mut all = Vec::new();
    let last = until.plus_micros(-1);
    for series in table::all_series(view)? {
        let points = table::points(view, series.id, from.plus_micros(-WEEK), last)?;
        let at = points.partition_point(|(at, _)| *at < from.micros());
        let values = |points: &[(i64, f64)]| points.iter().map(|(_, value)| *value).collect::<Vec<f64>>();
        let (week, day) = (values(&points[..at]), values(&points[at..]));
        let Some(((low, median), high)) = quantile(&day, 0.0).zip(quantile(&day, 0.5)).zip(quantile(&day, 1.0)) else { continue };
        let (labels, samples) = (series.labels.map(), day.len());
        all.push(MetricDay { name: series.name, labels, samples, low, median, high, week: quantile(&week, 0.5) });
    }
    Ok(all)
}
