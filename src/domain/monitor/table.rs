//! The rows of monitoring: series, their samples, episodes. Nobody else queries them.

use super::episode::Kind;
use super::sample::Labels;
use crate::base::error::Result;
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::domain::drift::anomaly::Severity;
use crate::store::{Row, View, values};
use serde::{Serialize, Serializer};

/// A metric with its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its number in the state.
    pub id: i64,
    /// The metric.
    pub name: Name,
    /// Its labels.
    pub labels: Labels,
}

impl Series {
    /// As people read it: `latency{host="a"}`.
    pub fn title(&self) -> String {
        format!("{}{}", self.name, self.labels)
    }
}

/// A time in which a metric was unusual or beyond its limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Episode {
    /// Its id.
    pub uid: String,
    /// The metric.
    pub name: Name,
    /// Its labels.
    #[serde(serialize_with = "labels")]
    pub labels: Labels,
    /// What it was held against.
    pub kind: Kind,
    /// How far it went.
    pub severity: Severity,
    /// The time of the sample that opened it.
    pub since: Timestamp,
    /// The value farthest from what is usual when it last changed.
    pub peak: f64,
    /// When it was noticed.
    pub opened: Timestamp,
    /// The time of the sample from which on it was usual again.
    pub ended: Option<Timestamp>,
    /// When that was noticed.
    pub closed: Option<Timestamp>,
    /// The audit event of its last change.
    pub event: i64,
}

fn labels<S: Serializer>(labels: &Labels, s: S) -> Result<S::Ok, S::Error> {
    labels.map().serialize(s)
}

fn series(row: &Row<'_>) -> Result<Series> {
    Ok(Series { id: row.int(0)?, name: row.parsed(1)?, labels: Labels::kept(row.text(2)?) })
}

/// Every series, by name and labels.
///
/// # Errors
/// When the state cannot be read; as for all below.
pub fn all_series(view: View<'_>) -> Result<Vec<Series>> {
    view.all("SELECT id, name, labels FROM monitor_series ORDER BY name, labels", &[], series)
}

/// The series of this name and labels.
pub fn find_series(view: View<'_>, name: &Name, labels: &Labels) -> Result<Option<Series>> {
    let sql = "SELECT id, name, labels FROM monitor_series WHERE name = ?1 AND labels = ?2";
    view.first(sql, values![name.as_str(), labels.as_str()], series)
}

/// The values of a series from a time up to another and with it, the oldest first: microseconds since 1970 and the value.
pub fn points(view: View<'_>, series: i64, from: Timestamp, upto: Timestamp) -> Result<Vec<(i64, f64)>> {
    let sql = "SELECT at, value FROM monitor_sample WHERE series = ?1 AND at >= ?2 AND at <= ?3 ORDER BY at";
    view.all(sql, values![series, from, upto], |row| Ok((row.int(0)?, row.real(1)?)))
}

/// The first and the last time of a series.
pub fn span(view: View<'_>, series: i64) -> Result<Option<(Timestamp, Timestamp)>> {
    let end = |order: &str| {
        let sql = format!("SELECT at FROM monitor_sample WHERE series = ?1 ORDER BY at {order} LIMIT 1");
        view.first(&sql, values![series], |row| row.time(0))
    };
    Ok(end("ASC")?.zip(end("DESC")?))
}

/// The newest time of a series up to this one.
pub fn newest(view: View<'_>, series: i64, upto: Timestamp) -> Result<Option<Timestamp>> {
    let sql = "SELECT at FROM monitor_sample WHERE series = ?1 AND at <= ?2 ORDER BY at DESC LIMIT 1";
    view.first(sql, values![series, upto], |row| row.time(0))
}

const EPISODE: &str = "SELECT uid, name, labels, kind, severity, since, peak, opened, ended, closed, event FROM monitor_episode";

fn episode(row: &Row<'_>) -> Result<Episode> {
    Ok(Episode {
        uid: row.text(0)?.to_owned(),
        name: row.parsed(1)?,
        labels: Labels::kept(row.text(2)?),
        kind: row.parsed(3)?,
        severity: row.parsed(4)?,
        since: row.time(5)?,
        peak: row.real(6)?,
        opened: row.time(7)?,
        ended: row.opt_int(8)?.map(Timestamp::from_micros),
        closed: row.opt_int(9)?.map(Timestamp::from_micros),
        event: row.int(10)?,
    })
}

/// The episodes that are open, the oldest first.
pub fn open(view: View<'_>) -> Result<Vec<Episode>> {
    view.all(&format!("{EPISODE} WHERE closed IS NULL ORDER BY opened, event"), &[], episode)
}

/// The episodes of a series that were open at a time or began after it, the oldest first.
pub fn since(view: View<'_>, name: &Name, labels: &Labels, from: Timestamp) -> Result<Vec<Episode>> {
    let sql = format!("{EPISODE} WHERE name = ?1 AND labels = ?2 AND (ended IS NULL OR ended >= ?3) ORDER BY since, event");
    view.all(&sql, values![name.as_str(), labels.as_str(), from], episode)
}

/// The episodes that were open at some moment between two times, the oldest first.
pub fn between(view: View<'_>, from: Timestamp, upto: Timestamp) -> Result<Vec<Episode>> {
    let sql = format!("{EPISODE} WHERE opened < ?2 AND (closed IS NULL OR closed >= ?1) ORDER BY opened, event");
    view.all(&sql, values![from, upto], episode)
}

/// How many series there are.
pub fn count_series(view: View<'_>) -> Result<usize> {
    Ok(usize::try_from(view.count("SELECT COUNT(*) FROM monitor_series", &[])?).unwrap_or(usize::MAX))
}

/// How many batches have no sample from this time on.
pub fn expired(view: View<'_>, from: Timestamp) -> Result<i64> {
    view.count("SELECT COUNT(*) FROM monitor_batch WHERE last < ?1", values![from])
}
