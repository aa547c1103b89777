//! What people's labels say of a judge, as the audit log has it.
//!
//! A calibration changes no row of the state: it is an event, and whoever decides by it reads the event itself, after making sure
//! that it leads to the head of the log. Kept are counts and not figures, so that the figures are computed anew by whoever asks.

use crate::base::error::{Context, Result};
use crate::base::event::{Event, Resource};
use crate::domain::audit::prove;
use crate::domain::eval::judged::calibrate::{Agreement, Confusion};
use crate::store::check::{self, Entry};
use crate::store::{Tx, View};
use serde::Serialize;
use serde_json::{Value, json};

/// The event of a calibration.
const ACTION: &str = "judge.calibrated";
/// The kind of what it is about.
const KIND: &str = "judge";

/// A calibration that was recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// The judge's name.
    pub judge: String,
    /// The metric that it gave.
    pub metric: String,
    /// The score from which on a row counts as good; up to which, where less is better.
    pub threshold: String,
    /// How it agrees with people.
    pub agreement: Agreement,
    /// The entry of the audit log.
    pub event: i64,
}

/// Records that a judge was compared with labels.
pub fn record(tx: &Tx<'_>, (judge, metric): (&str, &str), threshold: &str, labels: &Value, found: &Confusion) -> i64 {
    tx.record(
        Event::new(ACTION, Resource::new(KIND, judge))
            .with("metric", metric)
            .with("threshold", threshold)
            .with("labels", labels.clone())
            .with("confusion", json!(found)),
    )
}

/// The newest calibration of a judge by a metric.
///
/// # Errors
/// When the log cannot be read, or its newest calibration does not lead to its head.
pub fn newest(view: View<'_>, judge: &str, metric: &str) -> Result<Option<Calibration>> {
    let all = check::later(view, ACTION, (KIND, judge), -1)?;
    let Some(entry) = all.iter().rev().find(|e| e.text("metric") == Some(metric)) else { return Ok(None) };
    let index = u64::try_from(entry.seq).unwrap_or(u64::MAX);
    let entry = prove::logged(view, index).context(|| format!("the calibration of {judge} cannot be believed"))?;
    Ok(read(&entry, judge, metric))
}

fn read(entry: &Entry, judge: &str, metric: &str) -> Option<Calibration> {
    let confusion: Confusion = serde_json::from_value(entry.detail.get("confusion")?.clone()).ok()?;
    Some(Calibration {
        judge: judge.to_owned(),
        metric: metric.to_owned(),
        threshold: entry.text("threshold")?.to_owned(),
        agreement: confusion.agreement(),
        event: entry.seq,
    })
}
