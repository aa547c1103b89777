//! Changes of the rows of monitoring, each with its event: batches of samples, and what becomes of episodes.
//!
//! A batch is what was recorded together and was not there before: its event has the number of samples and the digest over them, so
//! that telemetry costs one entry and not one a sample, and `kf fsck` can still tell that a sample was changed. Batches are given
//! up as a whole, once all of their samples are too old.

use super::episode::{Kind, Step};
use super::sample::{Labels, Sample};
use super::table::{self, Episode, Series};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Error, Result};
use crate::base::event::{Event, Resource};
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::store::check::rows::real;
use crate::store::{Tx, values};
use serde_json::json;
use std::collections::BTreeMap;

/// Series that a state holds at most: labels are for what a repository declares, not for what users send.
pub const SERIES_MAX: usize = 10_000;

/// What came of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recorded {
    /// Samples that are new.
    pub new: u64,
    /// Samples that were there with the same value.
    pub known: u64,
    /// Samples that were there with another value, which stays.
    pub differing: u64,
    /// Samples that are older than what is kept, and are left out.
    pub old: u64,
    /// Samples that were given up because of their age.
    pub pruned: u64,
    /// The audit event, when something changed.
    pub event: Option<i64>,
}

impl Recorded {
    /// The sum of two; the event is that of the later one.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        Self {
            new: self.new + later.new,
            known: self.known + later.known,
            differing: self.differing + later.differing,
            old: self.old + later.old,
            pruned: self.pruned + later.pruned,
            event: later.event.or(self.event),
        }
    }
}

/// Samples by series and time; a later one for the same moment does not count.
type Sorted = BTreeMap<(Name, Labels), BTreeMap<i64, f64>>;

/// The digest over samples in the order of their series and times.
#[derive(Default)]
pub(super) struct Sum(Hasher);

impl Sum {
    /// Takes the next sample.
    pub(super) fn add(&mut self, name: &str, labels: &str, at: i64, value: f64) {
        for text in [name, labels] {
            self.0.update(&(text.len() as u64).to_be_bytes());
            self.0.update(text.as_bytes());
        }
        self.0.update(&at.to_be_bytes());
        // The engines do not keep the sign of a zero.
        self.0.update(&(value + 0.0).to_bits().to_be_bytes());
    }

    /// The digest.
    pub(super) fn finish(self) -> Digest {
        self.0.finish()
    }
}

/// Records samples that are not older than `from`, and gives up what is.
///
/// # Errors
/// When there would be too many series, or the state cannot be written; as for all below.
pub fn batch(tx: &Tx<'_>, samples: Vec<Sample>, from: Timestamp) -> Result<Recorded> {
    let (fresh, mut done) = fresh(tx, samples, from)?;
    let event = tx.next_event();
    let expired = table::expired(tx.view(), from)?;
    if done.new == 0 && expired == 0 {
        return Ok(done);
    }
    let (mut sum, mut last) = (Sum::default(), from.micros());
    for ((name, labels), points) in &fresh {
        for (at, value) in points {
            sum.add(name.as_str(), labels.as_str(), *at, *value);
            last = last.max(*at);
        }
    }
    let digest = sum.finish();
    // What goes is told by the time that it was older than, so that the log need not name every sample.
    let told = Event::new("monitor.recorded", Resource::new("monitor", "samples"))
        .with("samples", done.new)
        .with("digest", json!(digest))
        .with("last", last)
        .with("before", from.micros())
        .with("series", fresh.len());
    if done.new > 0 {
        let sql = "INSERT INTO monitor_batch (event, samples, last, digest) VALUES (?1, ?2, ?3, ?4)";
        tx.execute(sql, values![event, i64::try_from(done.new).unwrap_or(i64::MAX), last, digest])?;
    }
    for ((name, labels), points) in fresh {
        let series = series(tx, &name, &labels)?;
        let rows = points.into_iter().map(|(at, value)| values![series.id, at, value, event].to_vec());
        tx.insert_all("monitor_sample", &["series", "at", "value", "event"], rows)?;
    }
    if expired > 0 {
        done.pruned = prune(tx, from)?;
    }
    done.event = Some(tx.record(told));
    Ok(done)
}

/// The samples that are neither too old nor there already.
fn fresh(tx: &Tx<'_>, samples: Vec<Sample>, from: Timestamp) -> Result<(Sorted, Recorded)> {
    let (mut sorted, mut done) = (Sorted::new(), Recorded::default());
    for sample in samples {
        if sample.at < from {
            done.old += 1;
            continue;
        }
        let points = sorted.entry((sample.name, sample.labels)).or_default();
        match points.get(&sample.at.micros()) {
            Some(value) if *value == sample.value => done.known += 1,
            Some(_) => done.differing += 1,
            None => {
                points.insert(sample.at.micros(), sample.value);
            }
        }
    }
    for ((name, labels), points) in &mut sorted {
        let ends = points.first_key_value().zip(points.last_key_value()).map(|((first, _), (last, _))| (*first, *last));
        let Some((first, last)) = ends else { continue };
        let Some(series) = table::find_series(tx.view(), name, labels)? else { continue };
        let there = table::points(tx.view(), series.id, Timestamp::from_micros(first), Timestamp::from_micros(last))?;
        for (at, value) in there {
            match points.remove(&at) {
                Some(again) if again == value => done.known += 1,
                Some(_) => done.differing += 1,
                None => {}
            }
        }
    }
    sorted.retain(|_, points| !points.is_empty());
    done.new = sorted.values().map(|points| points.len() as u64).sum();
    Ok((sorted, done))
}

/// The series of this name and labels, made when it is not there.
fn series(tx: &Tx<'_>, name: &Name, labels: &Labels) -> Result<Series> {
    if let Some(found) = table::find_series(tx.view(), name, labels)? {
        return Ok(found);
    }
    if table::count_series(tx.view())? >= SERIES_MAX {
        let what = format!("{name}{labels} would be one series more than the {SERIES_MAX} that are kept");
        return Err(Error::new(what).hint("take labels out that differ with every sample: a user, a request, a time"));
    }
    let sql = "INSERT INTO monitor_series (name, labels) VALUES (?1, ?2)";
    let id = tx.insert(sql, values![name.as_str(), labels.as_str()])?;
    Ok(Series { id, name: name.clone(), labels: labels.clone() })
}

/// Gives up the batches whose newest sample is older than this, and series that have none left.
fn prune(tx: &Tx<'_>, from: Timestamp) -> Result<u64> {
    let mut pruned = 0;
    for series in table::all_series(tx.view())? {
        let sql = "DELETE FROM monitor_sample WHERE series = ?1 AND at < ?2 \
             AND event IN (SELECT event FROM monitor_batch WHERE last < ?2)";
        pruned += tx.execute(sql, values![series.id, from])?;
    }
    tx.execute("DELETE FROM monitor_batch WHERE last < ?1", values![from])?;
    let sql = "DELETE FROM monitor_series WHERE NOT EXISTS (SELECT 1 FROM monitor_sample s WHERE s.series = monitor_series.id)";
    tx.execute(sql, &[])?;
    Ok(pruned)
}

/// Takes a step of an episode of this series and gives the episode as it is then.
pub fn take(tx: &Tx<'_>, (name, labels, kind): (&Name, &Labels, Kind), step: &Step) -> Result<Episode> {
    match step {
        Step::Open { severity, since, peak } => {
            let episode = Episode {
                uid: tx.uuid().to_string(),
                name: name.clone(),
                labels: labels.clone(),
                kind,
                severity: *severity,
                since: *since,
                peak: *peak,
                opened: tx.now(),
                ended: None,
                closed: None,
                event: tx.next_event(),
            };
            insert(tx, &episode)?;
            tx.record(
                about("monitor.episode-opened", &episode).with("since", since.micros()).with("peak", json!(real(Some(*peak)))),
            );
            Ok(episode)
        }
        Step::Raise { episode, severity, peak } => {
            let event = tx.next_event();
            let raised = Episode { severity: *severity, peak: *peak, event, ..episode.clone() };
            tx.record(about("monitor.episode-raised", &raised).with("peak", json!(real(Some(*peak)))));
            let sql = "UPDATE monitor_episode SET severity = ?2, peak = ?3, event = ?4 WHERE uid = ?1";
            tx.execute(sql, values![&raised.uid, severity.word(), *peak, event])?;
            Ok(raised)
        }
        Step::Close { episode, ended, peak } => {
            let event = tx.next_event();
            let closed = Episode { ended: Some(*ended), closed: Some(tx.now()), peak: *peak, event, ..episode.clone() };
            let told = about("monitor.episode-closed", &closed).with("ended", ended.micros());
            tx.record(told.with("peak", json!(real(Some(*peak)))));
            let sql = "UPDATE monitor_episode SET ended = ?2, closed = ?3, peak = ?4, event = ?5 WHERE uid = ?1";
            tx.execute(sql, values![&closed.uid, *ended, tx.now(), *peak, event])?;
            Ok(closed)
        }
    }
}

fn about(action: &'static str, episode: &Episode) -> Event {
    Event::new(action, Resource::new("metric", episode.name.as_str()))
        .with("episode", episode.uid.as_str())
        .with("labels", episode.labels.as_str())
        .with("kind", episode.kind.word())
        .with("severity", episode.severity.word())
}

fn insert(tx: &Tx<'_>, e: &Episode) -> Result<()> {
    let sql = "INSERT INTO monitor_episode (uid, name, labels, kind, severity, since, peak, opened, event) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let row =
        values![&e.uid, e.name.as_str(), e.labels.as_str(), e.kind.word(), e.severity.word(), e.since, e.peak, e.opened, e.event];
    tx.execute(sql, row).map(|_| ())
}
