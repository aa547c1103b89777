//! Monitoring from samples to episodes: recording what was measured, saying what is unusual, keeping track of since when.
//!
//! Samples are recorded in batches of one transaction each, so that a stream of any length takes little memory and no writer waits
//! long for another; what a run that died had recorded is passed over by the next. A check reads first and takes the writer's lock
//! only when an episode begins, worsens or ends: then it judges again, as things stand under the lock.

use super::alert::raise;
use crate::base::error::{Error, Result};
use crate::base::name::Name;
use crate::base::text::did_you_mean;
use crate::base::time::Timestamp;
use crate::config::{FailFrom, Method, Monitor, Watch};
use crate::domain::alert::Alert;
use crate::domain::alert::table::last_about;
use crate::domain::drift::anomaly::Severity;
use crate::domain::drift::why::number;
use crate::domain::monitor::episode::{Step, plan};
use crate::domain::monitor::record::{self, Recorded};
use crate::domain::monitor::sample::{Labels, Sample};
use crate::domain::monitor::table::{self, Episode, Series};
use crate::domain::monitor::watch::{Finding, Past, WEEK, findings, kinds, title};
use crate::seams::notifier::{Act, Severity as Urgency};
use crate::store::{Store, Tx, View};
use std::time::Duration;

/// Samples of one batch: some ten megabytes, and a second or two for the writer's lock.
const BATCH: usize = 200_000;
/// How far a sample may be ahead of this clock, in microseconds: clocks differ.
const AHEAD: i64 = 300_000_000;

/// Takes samples one after another and records them in batches.
pub struct Recorder<'a> {
    store: &'a Store,
    keep: i64,
    waiting: Vec<Sample>,
    done: Recorded,
}

impl<'a> Recorder<'a> {
    /// A recorder that keeps samples so long.
    pub fn new(store: &'a Store, keep: Duration) -> Self {
        Self { store, keep: micros(keep), waiting: Vec::new(), done: Recorded::default() }
    }

    /// Takes a sample.
    ///
    /// # Errors
    /// When it is of the future, or a batch cannot be recorded.
    pub fn take(&mut self, sample: Sample) -> Result<()> {
        let now = self.store.now();
        if sample.at > now.plus_micros(AHEAD) {
            let what = format!("{}{} of {} is of the future: it is {now}", sample.name, sample.labels, sample.at);
            return Err(Error::new(what).hint("set the clock of the machine, or the time of the sample, right"));
        }
        self.waiting.push(sample);
        if self.waiting.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// What was recorded so far.
    pub fn done(&self) -> Recorded {
        self.done
    }

    /// Records what is left and says what came of all.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub fn finish(mut self) -> Result<Recorded> {
        self.flush()?;
        Ok(self.done)
    }

    fn flush(&mut self) -> Result<()> {
        let (samples, keep) = (std::mem::take(&mut self.waiting), self.keep);
        if samples.is_empty() {
            return Ok(());
        }
        let done = self.store.write(|tx| record::batch(tx, samples, tx.now().plus_micros(-keep)))?;
        self.done = self.done.and(done);
        Ok(())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// What became of an episode in a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// It began.
    Opened,
    /// It got worse.
    Raised,
    /// It ended.
    Closed,
}

/// A finding with the episode that it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The labels of the series.
    pub labels: Labels,
    /// What is said.
    pub finding: Finding,
    /// The episode that is open, or was closed by this.
    pub episode: Option<Episode>,
    /// What became of it.
    pub became: Option<Became>,
}

impl Told {
    /// The episode that is open after this check.
    pub fn open(&self) -> Option<&Episode> {
        self.episode.as_ref().filter(|e| e.closed.is_none())
    }

    /// Whether its open episode is at least so severe.
    pub fn fails(&self, from: FailFrom) -> bool {
        let least = match from {
            FailFrom::Medium => Severity::Medium,
            FailFrom::High => Severity::High,
        };
        self.open().is_some_and(|e| e.severity >= least)
    }
}

/// A watched metric, with one of its series when it was ever recorded.
#[derive(Clone, Debug)]
pub struct Watched {
    /// How it is watched.
    pub watch: Watch,
    /// The series.
    pub series: Option<Series>,
}

/// What is watched: what `mlops.toml` names, or all that was recorded when it names nothing; of these only `names` when there are any.
///
/// # Errors
/// When a name is not watched.
pub fn watched(view: View<'_>, config: &Monitor, names: &[Name]) -> Result<Vec<Watched>> {
    let series = table::all_series(view)?;
    let mut watches: Vec<Watch> = match config.metrics.is_empty() {
        true => series.iter().map(|s| Watch::named(&s.name)).collect(),
        false => config.metrics.clone(),
    };
    watches.dedup_by(|a, b| a.name == b.name);
    for name in names {
        if !watches.iter().any(|w| w.name == *name) {
            let known = watches.iter().map(|w| w.name.as_str()).collect::<Vec<_>>();
            let hint = did_you_mean(name.as_str(), known.iter().copied());
            let hint = hint.unwrap_or_else(|| {
                format!("record a value: `kf monitor record {name}=VALUE`, or add `[monitor.metrics.{name}]`")
            });
            return Err(Error::usage(format!("the metric `{name}` is not watched")).hint(hint));
        }
    }
    watches.retain(|w| names.is_empty() || names.contains(&w.name));
    let mut all = Vec::new();
    for watch in watches {
        let of: Vec<&Series> = series.iter().filter(|s| s.name == watch.name).collect();
        if of.is_empty() {
            all.push(Watched { watch: watch.clone(), series: None });
        }
        all.extend(of.into_iter().map(|s| Watched { watch: watch.clone(), series: Some(s.clone()) }));
    }
    Ok(all)
}

/// How far back what is usual is looked for: five weeks for hours of the week, else the week before the last samples and their window.
fn reach(watch: &Watch) -> i64 {
    let window = watch.limit.map_or(0, |limit| micros(limit.window));
    match watch.method {
        Method::Seasonal => 6 * WEEK,
        _ => 2 * WEEK + window,
    }
}

/// A finding with the episode that is open for it.
type Seen = (Labels, Finding, Option<Episode>);

fn see(view: View<'_>, watched: &[Watched], now: Timestamp) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for Watched { watch, series } in watched {
        let Some(series) = series else {
            let past = Past { points: &[], episodes: &[], now };
            seen.extend(findings(watch, &past).into_iter().map(|finding| (Labels::default(), finding, None)));
            continue;
        };
        // A metric that was silent for long is judged by what was before its newest sample.
        let end = table::newest(view, series.id, now)?.unwrap_or(now);
        let from = end.plus_micros(-reach(watch));
        let points = table::points(view, series.id, from, now)?;
        let episodes = table::since(view, &series.name, &series.labels, from)?;
        for finding in findings(watch, &Past { points: &points, episodes: &episodes, now }) {
            let open = episodes.iter().find(|e| e.kind == finding.kind && e.closed.is_none()).cloned();
            seen.push((series.labels.clone(), finding, open));
        }
    }
    Ok(seen)
}

/// The findings of what is watched; where it is all of it, also what nobody watches any more, whose episodes would stay open for ever.
fn look(view: View<'_>, config: &Monitor, names: &[Name], now: Timestamp) -> Result<Vec<Seen>> {
    let watched = watched(view, config, names)?;
    let mut seen = see(view, &watched, now)?;
    if names.is_empty() {
        let is_watched = |e: &Episode| watched.iter().any(|w| w.watch.name == e.name && kinds(&w.watch).contains(&e.kind));
        let left = table::open(view)?.into_iter().filter(|e| !is_watched(e));
        seen.extend(left.map(|episode| {
            let unknown = Finding::unknown(&episode.name, episode.kind, 0, "it is not watched any more".to_owned());
            let over = Finding { severity: Severity::Normal, calm_since: Some(now), ..unknown };
            (episode.labels.clone(), over, Some(episode))
        }));
    }
    Ok(seen)
}

/// Judges what is watched, and opens, raises and closes episodes; whoever `alerts` names is told in the same transaction.
///
/// # Errors
/// When a name is not watched, or the state cannot be read or written.
pub fn check(store: &Store, config: &Monitor, names: &[Name]) -> Result<Vec<Told>> {
    let now = store.now();
    let seen = store.read(|view| look(view, config, names, now))?;
    let calm = |(_, finding, open): &Seen| plan(finding, open.as_ref()).is_none();
    if seen.iter().all(calm) {
        let told = |(labels, finding, episode)| Told { labels, finding, episode, became: None };
        return Ok(seen.into_iter().map(told).collect());
    }
    store.write(|tx| {
        let seen = look(tx.view(), config, names, tx.now())?;
        seen.into_iter().map(|(labels, finding, open)| step(tx, &config.alerts, labels, finding, open)).collect()
    })
}

fn step(tx: &Tx<'_>, channels: &[Name], labels: Labels, finding: Finding, open: Option<Episode>) -> Result<Told> {
    let Some(step) = plan(&finding, open.as_ref()) else {
        return Ok(Told { labels, finding, episode: open, became: None });
    };
    let became = match step {
        Step::Open { .. } => Became::Opened,
        Step::Raise { .. } => Became::Raised,
        Step::Close { .. } => Became::Closed,
    };
    let episode = record::take(tx, (&finding.name, &labels, finding.kind), &step)?;
    tell(tx, channels, &finding, &episode)?;
    Ok(Told { labels, finding, episode: Some(episode), became: Some(became) })
}

/// Raises the alert that an episode began, worsened or ended. Who was not told that it began is not told that it is over.
fn tell(tx: &Tx<'_>, channels: &[Name], finding: &Finding, episode: &Episode) -> Result<()> {
    let alert = alert(finding, episode);
    let told = last_about(tx.view(), &alert.about)?;
    let told: Vec<Name> = match alert.act {
        Act::Trigger => channels.to_vec(),
        Act::Resolve => {
            let before = told.filter(|(row, _)| row.alert.act == Act::Trigger).map(|(_, told)| told).unwrap_or_default();
            before.into_iter().filter(|channel| channels.contains(channel)).collect()
        }
    };
    if told.is_empty() { Ok(()) } else { raise(tx, &told, &alert).map(|_| ()) }
}

/// What an episode says to whom it is told; one condition for each metric and what it is held against.
fn alert(finding: &Finding, episode: &Episode) -> Alert {
    let name = title(&episode.name, &episode.labels);
    let now = finding.value.map_or_else(|| "unknown".to_owned(), number);
    let over = episode.closed.is_some();
    let (act, severity) = match episode.severity {
        _ if over => (Act::Resolve, Urgency::Info),
        Severity::High => (Act::Trigger, Urgency::Critical),
        _ => (Act::Trigger, Urgency::Warning),
    };
    let head = match over {
        true if finding.value.is_none() => format!("{name} is not watched any more"),
        true => format!("{name} is usual again: {now}"),
        false => format!("{name} is {}: {now}", episode.severity),
    };
    let peak = number(episode.peak);
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Alert {
        about: format!("monitor/{name}/{}", episode.kind),
        act,
        severity,
        title: head,
        body: format!(
            "{}\nsince {}, farthest {peak}\n{}: `kf monitor check {}`",
            finding.why,
            episode.since,
            episode.kind.advice(),
            episode.name
        ),
        facts: vec![
            fact("metric", episode.name.as_str()),
            fact("kind", episode.kind.word()),
            fact("severity", episode.severity.word()),
            fact("value", &now),
            fact("since", &episode.since.to_string()),
            fact("episode", &episode.uid),
        ],
    }
}
