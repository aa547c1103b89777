//! What is said of a metric now: its newest sample against what was usual, and its last hours against a limit.
//!
//! What is usual are the samples of the seven days before, without those in which the metric was in an episode: an incident
//! must not become the measure of the next one. Where episodes leave too few of the week, quiet samples of the week before that
//! help out. When an episode has lasted a week, its values are what is usual, and it closes. A sample is judged by those before it
//! only, in the order of their times and not in that of their arrival; what lies after the clock is left aside.

use super::episode::{CALM, CALM_SAMPLES, Kind};
use super::limit;
use super::sample::Labels;
use super::seasonal;
use super::table::Episode;
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::config::{Direction, DriftRule, Method, Watch};
use crate::domain::drift::anomaly::{Anomaly, Severity, anomaly, robust};
use crate::domain::drift::policy::Rule;
use serde::Serialize;

/// The time before a sample that tells what is usual, in microseconds.
pub const WEEK: i64 = 7 * 86_400_000_000;
/// What is usual must span a day, less an hour for clocks and cron: a night says nothing about the morning.
const SPAN_LEAST: i64 = 23 * 3_600_000_000;

/// A sample: microseconds since 1970 and the value.
pub type Point = (i64, f64);

/// What is known of a series.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// Its samples up to now, the oldest first.
    pub points: &'a [Point],
    /// Its episodes.
    pub episodes: &'a [Episode],
    /// The time now.
    pub now: Timestamp,
}

/// What is said of a series in one respect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The metric.
    pub name: Name,
    /// What it was held against.
    pub kind: Kind,
    /// The time of the sample that is judged.
    pub at: Option<Timestamp>,
    /// The value that is judged: the sample, or what its window amounts to.
    pub value: Option<f64>,
    /// The lower end of what is usual.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// How far from the middle of it, in standard deviations; of a limit, what was held against it.
    pub score: Option<f64>,
    /// Samples that this rests on.
    pub samples: usize,
    /// What is said.
    pub severity: Severity,
    /// Why, in one sentence.
    pub why: String,
    /// Since which sample all were well within what is usual, when that is enough to close an episode.
    #[serde(skip)]
    pub calm_since: Option<Timestamp>,
    /// The value farthest from what is usual since an open episode began.
    pub peak: Option<f64>,
}

impl Finding {
    /// A series of which nothing can be said.
    pub fn unknown(name: &Name, kind: Kind, samples: usize, why: String) -> Self {
        Self {
            name: name.clone(),
            kind,
            at: None,
            value: None,
            low: None,
            high: None,
            score: None,
            samples,
            severity: Severity::Unknown,
            why,
            calm_since: None,
            peak: None,
        }
    }
}

/// All that is said of a series; `labels` have no say.
pub fn findings(watch: &Watch, past: &Past<'_>) -> Vec<Finding> {
    kinds(watch).into_iter().map(|kind| finding(watch, kind, past)).collect()
}

/// What a metric is held against.
pub fn kinds(watch: &Watch) -> Vec<Kind> {
    let limit = watch.limit.map(|limit| Kind::from(limit.kind));
    (watch.method != Method::None).then_some(Kind::Anomaly).into_iter().chain(limit).collect()
}

fn finding(watch: &Watch, kind: Kind, past: &Past<'_>) -> Finding {
    let Some((at, value)) = past.points.last().copied() else {
        return Finding::unknown(&watch.name, kind, 0, "nothing was recorded".to_owned());
    };
    let found = match (kind, &watch.limit) {
        (Kind::Anomaly, _) | (_, None) => newest(watch, past),
        (kind, Some(limit)) => limit::finding(watch, kind, limit, past),
    };
    let age = past.now.micros().saturating_sub(at);
    if age > i64::try_from(watch.fresh.as_micros()).unwrap_or(i64::MAX) {
        let why = format!("the newest sample is {} old; `fresh` allows {}", length(age), length_of(watch.fresh));
        return Finding {
            at: Some(Timestamp::from_micros(at)),
            value: Some(value),
            ..Finding::unknown(&watch.name, kind, found.samples, why)
        };
    }
    found
}

fn length_of(duration: std::time::Duration) -> String {
    length(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

/// A length of time as one number with its unit.
pub fn length(micros: i64) -> String {
    let minutes = micros / 60_000_000;
    match minutes {
        m if m >= 2 * 24 * 60 => format!("{} d", m / (24 * 60)),
        m if m >= 120 => format!("{} h", m / 60),
        m => format!("{m} min"),
    }
}

/// The newest sample against what was usual.
fn newest(watch: &Watch, past: &Past<'_>) -> Finding {
    let judged = judged(watch, past, past.points.len());
    let (at, value) = past.points.last().copied().unwrap_or_default();
    // The sample before was judged by what it had before it.
    let calm = (0..CALM_SAMPLES).all(|back| {
        let upto = past.points.len().saturating_sub(back);
        upto > 0 && is_calm(&self::judged(watch, past, upto).anomaly, watch.direction)
    });
    let begun = past.points.len().checked_sub(CALM_SAMPLES).and_then(|i| past.points.get(i));
    let open = past.episodes.iter().find(|e| e.kind == Kind::Anomaly && e.closed.is_none());
    let calm_since = begun.filter(|(at, _)| calm && open.is_none_or(|e| *at > e.since.micros()));
    let Judged { anomaly, middle, reach } = judged;
    Finding {
        name: watch.name.clone(),
        kind: Kind::Anomaly,
        at: Some(Timestamp::from_micros(at)),
        value: Some(value),
        low: middle.zip(reach).map(|(middle, reach)| middle - reach),
        high: middle.zip(reach).map(|(middle, reach)| middle + reach),
        score: score(&anomaly),
        samples: anomaly.points,
        severity: anomaly.severity,
        why: anomaly.why,
        calm_since: calm_since.map(|(at, _)| Timestamp::from_micros(*at)),
        peak: open.zip(middle).and_then(|(open, middle)| peak(past, open, |v| (v - middle).abs())),
    }
}

/// The value since an episode began that is farthest off.
pub(super) fn peak(past: &Past<'_>, open: &Episode, off: impl Fn(f64) -> f64) -> Option<f64> {
    let since = past.points.iter().filter(|(at, _)| *at >= open.since.micros()).map(|(_, value)| *value);
    since.max_by(|a, b| off(*a).total_cmp(&off(*b)))
}

fn score(anomaly: &Anomaly) -> Option<f64> {
    if anomaly.by_median { anomaly.robust } else { anomaly.z }
}

/// Well within what is usual, on the side that counts.
fn is_calm(anomaly: &Anomaly, direction: Direction) -> bool {
    let reach = anomaly.medium.map(|medium| medium * CALM);
    let within = match (score(anomaly), reach) {
        (Some(score), Some(reach)) => match direction {
            Direction::Up => score <= reach,
            Direction::Down => score >= -reach,
            Direction::Both => score.abs() <= reach,
        },
        _ => true,
    };
    anomaly.severity == Severity::Normal && within
}

/// A sample that was judged, with the middle of what is usual and how far that reaches.
struct Judged {
    anomaly: Anomaly,
    middle: Option<f64>,
    reach: Option<f64>,
}

/// Judges the last of the first `upto` samples by those before it.
fn judged(watch: &Watch, past: &Past<'_>, upto: usize) -> Judged {
    let points = &past.points[..upto];
    let Some(((at, value), before)) = points.split_last() else {
        return Judged { anomaly: anomaly(&[], f64::NAN, Rule::Calibrated), middle: None, reach: None };
    };
    let rule = rule_of(watch.rule);
    let settled = settled(before, past.episodes, *at);
    let (expected, usual) = match watch.method {
        Method::Seasonal => {
            let (expected, left) = seasonal::residuals(&settled, *at);
            (expected, usual(&left, before, *at, watch.min_samples))
        }
        Method::Zscore | Method::Robust | Method::None => {
            let quiet = usual(&settled, before, *at, watch.min_samples);
            let known = lacking(&quiet, *at, watch.min_samples).is_none();
            (Some(0.0), if known { quiet } else { since(before, at.saturating_sub(WEEK)).to_vec() })
        }
    };
    let Some(expected) = expected else {
        let mut said = anomaly(&[], *value, rule);
        "nothing is known of this hour in the weeks before: two weeks are needed".clone_into(&mut said.why);
        return Judged { anomaly: said, middle: None, reach: None };
    };
    let values: Vec<f64> = usual.iter().map(|(_, value)| *value).collect();
    let judge = if watch.method == Method::Robust { robust } else { anomaly };
    let mut said = judge(&values, value - expected, rule);
    if let Some(why) = lacking(&usual, *at, watch.min_samples) {
        said = Anomaly { severity: Severity::Unknown, why, ..said };
    }
    let (centre, spread) = match said.by_median {
        true => (said.median, said.spread),
        false => (said.mean, said.sd),
    };
    let one_sided = match (watch.direction, centre) {
        (Direction::Up, Some(centre)) => value - expected < centre,
        (Direction::Down, Some(centre)) => value - expected > centre,
        _ => false,
    };
    if one_sided && said.severity >= Severity::Medium {
        said.severity = Severity::Normal;
        said.why.push_str("; this side is no harm");
    }
    let reach = spread.zip(said.medium).map(|(spread, medium)| spread * medium);
    Judged { middle: centre.map(|centre| centre + expected), reach, anomaly: said }
}

fn rule_of(rule: DriftRule) -> Rule {
    match rule {
        DriftRule::Calibrated => Rule::Calibrated,
        DriftRule::Spec => Rule::Spec,
    }
}

/// Why what is usual is not known, if it is not.
fn lacking(usual: &[Point], at: i64, least: usize) -> Option<String> {
    if usual.len() < least {
        return Some(format!("{} samples in the week before, `min-samples` is {least}", usual.len()));
    }
    let spans = usual.first().map_or(0, |(first, _)| at.saturating_sub(*first));
    (spans < SPAN_LEAST).then(|| format!("the samples before it span {}, a day is needed", length(spans)))
}

/// The samples before a time that may tell what is usual: those in no episode, or since an episode began that has lasted a week.
fn settled(before: &[Point], episodes: &[Episode], at: i64) -> Vec<Point> {
    let lasted = |e: &Episode| e.ended.map_or(at, Timestamp::micros).saturating_sub(e.since.micros()) >= WEEK;
    let (lasting, passing): (Vec<&Episode>, Vec<&Episode>) =
        episodes.iter().filter(|e| e.kind == Kind::Anomaly).partition(|e| lasted(e));
    let from = lasting.iter().map(|e| e.since.micros()).max().unwrap_or(i64::MIN);
    without(since(before, from), &passing)
}

fn since(points: &[Point], from: i64) -> &[Point] {
    &points[points.partition_point(|(t, _)| *t < from)..]
}

/// Of these the ones of the week before a time; those of two weeks when they are too few and all samples of the week would do.
fn usual(settled: &[Point], before: &[Point], at: i64, least: usize) -> Vec<Point> {
    let of = |weeks: i64| since(settled, at.saturating_sub(weeks * WEEK));
    let known = |points: &[Point]| lacking(points, at, least).is_none();
    let helps = !known(of(1)) && known(since(before, at.saturating_sub(WEEK))) && known(of(2));
    of(if helps { 2 } else { 1 }).to_vec()
}

/// The samples that were in no episode of a kind.
pub(super) fn outside(points: &[Point], episodes: &[Episode], kind: Kind) -> Vec<Point> {
    without(points, &episodes.iter().filter(|e| e.kind == kind).collect::<Vec<_>>())
}

fn without(points: &[Point], episodes: &[&Episode]) -> Vec<Point> {
    let within = |at: i64| episodes.iter().any(|e| e.since.micros() <= at && e.ended.is_none_or(|ended| at < ended.micros()));
    points.iter().copied().filter(|(at, _)| !within(*at)).collect()
}

/// What names a series in a list of findings.
pub fn title(name: &Name, labels: &Labels) -> String {
    format!("{name}{labels}")
}

#[cfg(test)]
mod tests;
