use super::*;
use crate::config::{Limit, LimitKind};
use crate::domain::monitor::episode::{Step, plan};
use crate::stats::rng::Rng;
use std::f64::consts::TAU;
use std::time::Duration;

const HOUR: i64 = 3_600_000_000;
/// A Monday, midnight.
const START: i64 = 1_794_787_200_000_000;

fn watch(method: Method) -> Watch {
    Watch { method, ..Watch::named(&"latency".parse().expect("a name")) }
}

/// One sample an hour.
fn hourly(values: impl IntoIterator<Item = f64>) -> Vec<Point> {
    (0..).map(|hour| START + hour * HOUR).zip(values).collect()
}

fn now(points: &[Point]) -> Timestamp {
    Timestamp::from_micros(points.last().map_or(START, |(at, _)| at + HOUR / 60))
}

/// Checks after every sample, as cron does, and keeps track of episodes; gives all that were opened.
fn run(watch: &Watch, points: &[Point], from: usize) -> Vec<Episode> {
    let mut episodes: Vec<Episode> = Vec::new();
    for upto in from..=points.len() {
        let points = &points[..upto];
        let past = Past { points, episodes: &episodes, now: now(points) };
        for finding in findings(watch, &past) {
            let open = episodes.iter().find(|e| e.kind == finding.kind && e.closed.is_none());
            let Some(step) = plan(&finding, open) else { continue };
            take(&mut episodes, &finding, step, now(points));
        }
    }
    episodes
}

fn take(episodes: &mut Vec<Episode>, finding: &Finding, step: Step, now: Timestamp) {
    let uid = episodes.len().to_string();
    let mut put = |episode: Episode| match episodes.iter_mut().find(|e| e.uid == episode.uid) {
        Some(there) => *there = episode,
        None => episodes.push(episode),
    };
    match step {
        Step::Open { severity, since, peak } => put(Episode {
            uid,
            name: finding.name.clone(),
            labels: Labels::default(),
            kind: finding.kind,
            severity,
            since,
            peak,
            opened: now,
            ended: None,
            closed: None,
            event: 0,
        }),
        Step::Raise { episode, severity, peak } => put(Episode { severity, peak, ..episode }),
        Step::Close { episode, ended, peak } => put(Episode { ended: Some(ended), closed: Some(now), peak, ..episode }),
    }
}

fn last(watch: &Watch, points: &[Point]) -> Finding {
    let past = Past { points, episodes: &[], now: now(points) };
    findings(watch, &past).into_iter().next().expect("a finding")
}

fn noise(seed: u64, hours: usize) -> Vec<f64> {
    let mut rng = Rng::new(seed);
    (0..hours).map(|_| 100.0 + 5.0 * rng.normal()).collect()
}

#[test]
fn a_point_is_held_against_the_week_before_it() {
    let mut values = noise(1, 200);
    values.push(170.0);
    let found = last(&watch(Method::Zscore), &hourly(values.clone()));
    assert_eq!((found.severity, found.samples), (Severity::High, 168), "{found:?}");
    let (low, high) = (found.low.expect("a range"), found.high.expect("a range"));
    assert!((80.0..90.0).contains(&low) && (110.0..120.0).contains(&high), "{found:?}");
    for method in [Method::Robust, Method::Zscore] {
        assert_eq!(last(&watch(method), &hourly(values[..200].to_vec())).severity, Severity::Normal);
    }
    let down = Watch { direction: Direction::Down, ..watch(Method::Zscore) };
    let harmless = last(&down, &hourly(values));
    assert!(harmless.severity == Severity::Normal && harmless.why.ends_with("this side is no harm"), "{harmless:?}");
}

#[test]
fn too_little_is_not_usual() {
    let of = |points: &[Point]| last(&watch(Method::Zscore), points);
    let none = of(&[]);
    assert_eq!((none.severity, none.why.as_str()), (Severity::Unknown, "nothing was recorded"));
    let few = of(&hourly(noise(1, 5)));
    assert_eq!((few.severity, few.why.as_str()), (Severity::Unknown, "4 samples in the week before, `min-samples` is 7"));
    let short = of(&hourly(noise(1, 20)));
    assert_eq!((short.severity, short.why.as_str()), (Severity::Unknown, "the samples before it span 19 h, a day is needed"));
    // Seven days of one sample each are enough, with the limits that so few need.
    let days: Vec<Point> = noise(1, 8).into_iter().enumerate().map(|(i, v)| (START + i as i64 * 24 * HOUR, v)).collect();
    let daily = of(&days);
    assert!(daily.severity == Severity::Normal && daily.samples == 7, "{daily:?}");
}

#[test]
fn a_silent_source_is_unknown_and_not_usual() {
    let points = hourly(noise(1, 100));
    let now = now(&points).plus_micros(5 * HOUR);
    let found = findings(&watch(Method::Zscore), &Past { points: &points, episodes: &[], now });
    assert_eq!((found[0].severity, found[0].value), (Severity::Unknown, Some(points[99].1)));
    assert_eq!(found[0].why, "the newest sample is 5 h old; `fresh` allows 3 h");
}

#[test]
fn what_never_varied_is_unusual_when_it_moves() {
    let still = hourly([3.0; 60]);
    assert_eq!(last(&watch(Method::Zscore), &still).severity, Severity::Normal);
    for method in [Method::Zscore, Method::Robust] {
        let moved = hourly([3.0; 60].into_iter().chain([4.0]));
        assert_eq!(last(&watch(method), &moved).severity, Severity::High, "{method}");
    }
}

/// An outage of six hours is one episode, and neither its values nor the next outage are judged by it.
#[test]
fn an_incident_is_one_episode_and_no_measure_of_the_next() {
    let mut values = noise(3, 200);
    values.extend([180.0; 6]);
    values.extend(noise(4, 20));
    values.extend([150.0; 3]);
    values.extend(noise(5, 20));
    let points = hourly(values);
    let episodes = run(&watch(Method::Zscore), &points, 190);
    let of: Vec<(i64, Option<i64>, Severity)> = episodes
        .iter()
        .map(|e| ((e.since.micros() - START) / HOUR, e.ended.map(|t| (t.micros() - START) / HOUR), e.severity))
        .collect();
    // The second ends an hour or two late, when the noise after it is within two standard deviations.
    assert_eq!(of, [(200, Some(206), Severity::High), (226, Some(231), Severity::High)], "{episodes:#?}");
    assert_eq!((episodes[0].peak, episodes[1].peak), (180.0, 150.0));
}

/// A value that sways about the limit opens one episode, not one an hour.
#[test]
fn an_episode_closes_well_within_what_is_usual_only() {
    let mut values = noise(3, 200);
    for _ in 0..10 {
        values.extend([125.0, 112.0]);
    }
    values.extend([100.0, 101.0]);
    let episodes = run(&watch(Method::Zscore), &hourly(values), 190);
    assert_eq!(episodes.len(), 1, "{episodes:#?}");
    assert_eq!(episodes[0].ended.map(|t| (t.micros() - START) / HOUR), Some(220));
}

/// A level that stays is told once, and after a week it is what is usual.
#[test]
fn a_new_level_becomes_usual_after_a_week() {
    let values = noise(3, 200).into_iter().chain(noise(4, 250).into_iter().map(|v| v + 60.0));
    let episodes = run(&watch(Method::Zscore), &hourly(values), 190);
    assert_eq!(episodes.len(), 1, "{episodes:#?}");
    let lasted = (episodes[0].ended.expect("it ended").micros() - episodes[0].since.micros()) / HOUR;
    assert!((140..=175).contains(&lasted), "{lasted} hours");
}

/// One sample a day: a week has seven, so what an episode takes of them is made up for by the week before.
#[test]
fn a_level_of_days_is_not_usual_before_a_week() {
    let daily = Watch { fresh: Duration::from_secs(36 * 3600), ..watch(Method::Zscore) };
    let of = |values: Vec<f64>, from: usize| {
        let points: Vec<Point> = (0..).map(|day| START + day * 24 * HOUR).zip(values).collect();
        let days = |at: Timestamp| (at.micros() - START) / HOUR / 24;
        let all = run(&daily, &points, from);
        all.iter().map(|e| (days(e.since), e.ended.map(days))).collect::<Vec<_>>()
    };
    let shifted = |days: usize| noise(3, 7).into_iter().chain([190.0; 20].into_iter().take(days)).collect::<Vec<f64>>();
    assert_eq!(of(shifted(7), 8), [(7, None)]);
    assert_eq!(of(shifted(20), 8), [(7, Some(14))], "it is told once, and is what is usual then");
    // One odd day is no measure of the next.
    let mut values = noise(3, 14);
    values[8] = 400.0;
    values[12] = 390.0;
    assert_eq!(of(values, 8), [(8, Some(9)), (12, None)]);
}

/// The same by the hour of the week, which needs two weeks of the new level.
#[test]
fn a_new_level_ends_an_episode_by_the_hour_of_the_week_too() {
    let values = noise(3, 34 * 24).into_iter().chain(noise(4, 15 * 24).into_iter().map(|v| v + 60.0));
    let episodes = run(&watch(Method::Seasonal), &hourly(values), 34 * 24 - 5);
    assert_eq!(episodes.len(), 1, "{episodes:#?}");
    let lasted = (episodes[0].ended.expect("it ended").micros() - episodes[0].since.micros()) / HOUR;
    assert!((168..=14 * 24).contains(&lasted), "{lasted} hours");
}

/// A metric that swings with the day: a noon's value at night is seen by the hour of the week only.
#[test]
fn the_hour_of_the_week_tells_night_from_noon() {
    let mut rng = Rng::new(7);
    let swing = |hour: usize| 100.0 + 50.0 * (TAU * hour as f64 / 24.0).sin();
    let mut values: Vec<f64> = (0..35 * 24).map(|hour| swing(hour) + rng.normal()).collect();
    // Hour 18 of a day is the lowest.
    values.truncate(34 * 24 + 18);
    values.push(140.0);
    let points = hourly(values);
    let of = |method| last(&watch(method), &points).severity;
    assert_eq!((of(Method::Zscore), of(Method::Seasonal)), (Severity::Normal, Severity::High));
    let usual = last(&watch(Method::Seasonal), &points[..points.len() - 1]);
    assert_eq!(usual.severity, Severity::Normal);
    let early = last(&watch(Method::Seasonal), &points[..100]);
    assert!(early.severity == Severity::Unknown && early.why.contains("two weeks are needed"), "{early:?}");
}

/// Metrics without any change, checked every hour for four weeks: episodes are about as rare as ±3 standard deviations, 0.27 % of
/// checks (drift.md 2.4: by the literal 3 over daily points they are 3.1 %), with a metric's own noise and with a daily swing.
#[test]
fn quiet_metrics_open_few_episodes() {
    let swinging = |seed: u64, hours: usize| -> Vec<f64> {
        let swing = |hour: usize| 20.0 * (TAU * hour as f64 / 24.0).sin();
        noise(seed, hours).into_iter().enumerate().map(|(hour, v)| v + swing(hour)).collect()
    };
    for (method, weeks, most) in [(Method::Zscore, 9, 0.004), (Method::Robust, 9, 0.006), (Method::Seasonal, 10, 0.006)] {
        let (mut checks, mut episodes) = (0usize, 0usize);
        for seed in 0..2 {
            let values = if method == Method::Seasonal { swinging(seed, weeks * 168) } else { noise(seed, weeks * 168) };
            let from = values.len() - 4 * 168;
            checks += values.len() - from;
            episodes += run(&watch(method), &hourly(values), from).len();
        }
        let rate = episodes as f64 / checks as f64;
        assert!(rate <= most, "{method}: {episodes} of {checks}");
    }
}

fn limited(kind: LimitKind, at: f64, scale: f64) -> Watch {
    let limit = Limit { kind, at, scale, window: Duration::from_secs(24 * 3600) };
    Watch { limit: Some(limit), ..watch(Method::None) }
}

#[test]
fn response_times_may_grow_by_a_fifth() {
    let slow = limited(LimitKind::ResponseTime, 0.2, 1.0);
    let series = |by: f64| hourly(noise(1, 200).into_iter().chain(noise(2, 24).into_iter().map(|v| v * by)));
    let of = |by: f64| last(&slow, &series(by));
    assert_eq!((of(1.0).severity, of(1.5).severity), (Severity::Normal, Severity::Medium), "{:?}", of(1.5));
    assert_eq!(of(1.2).severity, Severity::Unknown);
    let found = of(1.5);
    assert!(found.why.contains("grown by") && found.high.is_some_and(|h| (110.0..130.0).contains(&h)), "{found:?}");
    let few = last(&slow, &hourly([100.0; 4]));
    assert_eq!(few.why, "4 samples in its window, at least 6 are needed");
    let new = last(&slow, &hourly([100.0; 12]));
    assert!(new.severity == Severity::Unknown && !new.why.is_empty(), "{new:?}");
    let episodes = run(&slow, &series(1.5), 195);
    assert_eq!(episodes.len(), 1, "{episodes:#?}");
}

#[test]
fn successes_and_resources_have_limits_of_their_own() {
    let success = limited(LimitKind::SuccessRate, 0.95, 1.0);
    let rates = |mean: f64| hourly((0..100).map(|i| mean + f64::from(i % 3) * 0.005));
    let of = |mean: f64| last(&success, &rates(mean));
    assert_eq!((of(0.98).severity, of(0.90).severity), (Severity::Normal, Severity::High), "{:?}", of(0.9));
    assert_eq!((of(0.98).low, of(0.98).high), (Some(0.95), None));
    // Single requests are counted.
    let single = |bad: usize| hourly((0..24).map(move |i| if i < bad { 0.0 } else { 1.0 }));
    assert_eq!((last(&success, &single(12)).severity, last(&success, &single(0)).severity), (Severity::High, Severity::Unknown));
    let wrong = last(&success, &hourly([97.0; 30]));
    assert_eq!((wrong.severity, wrong.why.as_str()), (Severity::Unknown, "a share of successes is between 0 and 1"));

    let memory = limited(LimitKind::Resource, 0.8, 16.0);
    let used = |of: f64| last(&memory, &hourly((0..100).map(|i| of + f64::from(i % 3) * 0.1)));
    assert_eq!((used(8.0).severity, used(14.0).severity), (Severity::Normal, Severity::Medium));
    assert_eq!(used(14.0).high, Some(12.8));
}

#[test]
fn a_metric_may_be_watched_in_two_respects() {
    let both = Watch { method: Method::Zscore, ..limited(LimitKind::ResponseTime, 0.2, 1.0) };
    let points = hourly(noise(1, 200));
    let kinds: Vec<Kind> =
        findings(&both, &Past { points: &points, episodes: &[], now: now(&points) }).into_iter().map(|f| f.kind).collect();
    assert_eq!(kinds, [Kind::Anomaly, Kind::ResponseTime]);
}
