//! A Prometheus server that counts: PromQL templates, each asked once a version for the end of the window, all at the same time.
//!
//! `{model}`, `{version}`, `{arm}` (`stable` or `canary`) and `{window}` (`60s`) are put in. A query counts by `increase(…[{window}])`:
//! the server then takes restarts of counters into account and stretches what it scraped to the whole window, so numbers are not
//! whole; they are rounded here. What gives no series is absent. One number is expected, of a latency one a bucket (`le`).
//!
//! Because `increase` stretches each series by itself (functions.go, `extrapolatedRate`: not below where a counter would have been
//! 0), the buckets of one histogram may fall by a little and errors may be more than requests by a little; so much is evened out
//! and more is an error. With a warning (a remote part that did not answer, series of two kinds) an answer may lack a part: it is
//! none.

use crate::adapters::prometheus::{Answered, Prometheus};
use crate::base::error::{Context, Error, Result};
use crate::base::text::visible;
use crate::base::version::Version;
use crate::config::{LatencyUnit, Queries};
use crate::seams::metrics::{Ask, Buckets, Counted, MetricSource, Reading};
use crate::stats::describe::Moments;

/// By how much of itself, besides one, a stretched number may be off another one.
const STRETCH: f64 = 0.02;
/// Beyond this a double is no whole number any more.
const COUNT_MAX: f64 = 9_007_199_254_740_992.0;

/// A server and what it is asked.
#[derive(Debug)]
pub(super) struct Source {
    server: Prometheus,
    queries: Queries,
}

impl Source {
    pub(super) fn new(server: Prometheus, queries: Queries) -> Self {
        Self { server, queries }
    }

    /// The templates with their names, in the order in which [`counted`] takes the answers.
    fn templates(&self) -> Vec<(String, &str)> {
        let q = &self.queries;
        let mut all = vec![("requests".to_owned(), q.requests.as_str())];
        all.extend(q.errors.as_deref().map(|query| ("errors".to_owned(), query)));
        all.extend(q.latency.as_deref().map(|query| ("latency".to_owned(), query)));
        for score in &q.scores {
            all.push((format!("scores.{}.sum", score.metric), &score.sum));
            all.push((format!("scores.{}.count", score.metric), &score.count));
        }
        all
    }
}

impl MetricSource for Source {
    fn describe(&self) -> String {
        format!("Prometheus at {}", self.queries.server.url)
    }

    fn read(&self, ask: &Ask<'_>) -> Result<Reading> {
        let found = self.read_while(ask, &|| true)?;
        found.ok_or_else(|| Error::new(format!("{} was given up", self.describe())))
    }

    fn read_while(&self, ask: &Ask<'_>, goes_on: &dyn Fn() -> bool) -> Result<Option<Reading>> {
        // Whoever only wants to know where a reading begins asks for no time, in which nothing is counted.
        let Some(window) = window(ask)? else { return Ok(Some(Reading::default())) };
        let arms: Vec<(&str, Version)> =
            ask.stable.map(|stable| ("stable", stable)).into_iter().chain([("canary", ask.canary)]).collect();
        let templates = self.templates();
        let filled = |arm: &str, version: Version, template: &str| {
            let (model, version) = (ask.model.to_string(), version.to_string());
            let put = [("{model}", model.as_str()), ("{version}", &version), ("{arm}", arm), ("{window}", &window)];
            put.iter().fold(template.to_owned(), |query, (place, value)| query.replace(place, value))
        };
        let queries: Vec<String> =
            arms.iter().flat_map(|(arm, version)| templates.iter().map(|(_, t)| filled(arm, *version, t))).collect();
        let answers = self.server.queries_while(&queries, ask.to, goes_on);
        let Some(answers) = answers.context(|| format!("cannot ask {}", self.describe()))? else { return Ok(None) };
        let mut reading = Reading::default();
        for ((arm, _), answers) in arms.iter().zip(answers.chunks(templates.len())) {
            let named = templates.iter().map(|(name, _)| format!("`{name}` of {arm}")).zip(answers);
            let counted = counted(&self.queries, named)?;
            if *arm == "stable" { reading.stable = counted } else { reading.canary = counted }
        }
        Ok(Some(reading))
    }
}

/// The length of the window as PromQL has it; `None` for less than a millisecond, which it cannot tell.
fn window(ask: &Ask<'_>) -> Result<Option<String>> {
    let micros = ask.to.micros().saturating_sub(ask.from.micros());
    if micros < 0 {
        return Err(Error::new(format!("a window ends at {}, before it begins at {}", ask.to, ask.from)));
    }
    Ok(match micros / 1000 {
        0 => None,
        millis if millis % 1000 == 0 => Some(format!("{}s", millis / 1000)),
        millis => Some(format!("{millis}ms")),
    })
}

/// What the answers of one version come to, which are in the order of the templates.
fn counted<'a>(queries: &Queries, mut named: impl Iterator<Item = (String, &'a Answered)>) -> Result<Counted> {
    let mut next = || named.next().expect("each template has an answer");
    let (name, answer) = next();
    let requests = one(&name, answer)?;
    let mut found = Counted { requests: requests.map(f64::round).map(|n| n as u64), ..Counted::default() };
    if queries.errors.is_some() {
        let (name, answer) = next();
        let errors = one(&name, answer)?;
        // More errors than requests by what stretching does are as many.
        let stretched = errors.zip(requests).filter(|(e, r)| *e <= r + 1.0 + r * STRETCH).map(|(e, r)| e.min(r));
        found.errors = stretched.or(errors).map(|n| n.round() as u64);
    }
    if queries.latency.is_some() {
        let (name, answer) = next();
        found.latency = buckets(&name, answer, queries.unit)?;
    }
    for score in &queries.scores {
        let (sum, count) = (next(), next());
        let Some((total, n)) = one(&sum.0, sum.1)?.zip(one(&count.0, count.1)?) else { continue };
        let moments = of_unit(total, n).ok_or_else(|| {
            let what = format!("{} is {total} over {n}, and the mean of scores from 0 to 1 is one of them", sum.0);
            Error::new(what).hint("scores on another scale are divided in the query")
        })?;
        found.values.insert(score.metric.to_string(), moments);
    }
    Ok(found)
}

/// The moments of scores from 0 to 1 of which only the sum is known: with the largest deviation that they can have, since a
/// smaller one would be evidence that nobody has (Bhatia and Davis 2000).
fn of_unit(total: f64, n: f64) -> Option<Moments> {
    let whole = n.round();
    if whole < 1.0 {
        return Some(Moments::default());
    }
    let mean = total / n;
    let inside = (-STRETCH..=1.0 + STRETCH).contains(&mean);
    let mean = mean.clamp(0.0, 1.0);
    let sd = if whole < 2.0 { 0.0 } else { (mean * (1.0 - mean) * whole / (whole - 1.0)).sqrt() };
    inside.then_some(Moments { n: whole as u64, mean, sd })
}

/// The only number of an answer; `None` when it has none.
fn one(name: &str, answer: &Answered) -> Result<Option<f64>> {
    whole(name, answer)?;
    match answer.values.as_slice() {
        [] => Ok(None),
        [only] => number(name, only.value).map(Some),
        several => Err(Error::new(format!("{name} is {} series, not one number", several.len()))
            .hint("put them together in the query: `sum(…)`")),
    }
}

fn number(name: &str, value: f64) -> Result<f64> {
    if (0.0..=COUNT_MAX).contains(&value) {
        return Ok(value);
    }
    Err(Error::new(format!("{name} is {value}, which is no count")).hint("count by `increase(…[{window}])`"))
}

/// # Errors
/// For an answer of which a part is missing.
fn whole(name: &str, answer: &Answered) -> Result<()> {
    if let Some(why) = answer.left_out.first() {
        return Err(
            Error::new(format!("{name}: {why}")).hint("a query without data gives no series; one that divides by 0 gives NaN")
        );
    }
    let warning = answer.warnings.first();
    warning.map_or(Ok(()), |w| Err(Error::new(format!("{name} may lack a part: the server warns: {}", visible(w, 300)))))
}

/// Durations by `le`; `None` when there is no series.
fn buckets(name: &str, answer: &Answered, unit: LatencyUnit) -> Result<Option<Buckets>> {
    whole(name, answer)?;
    let scale = match unit {
        LatencyUnit::Seconds => 1.0,
        LatencyUnit::Milliseconds => 1000.0,
    };
    let mut ends: Vec<(f64, f64)> = Vec::new();
    for found in &answer.values {
        let end = found.labels.get("le").and_then(|le| le.parse::<f64>().ok()).filter(|end| *end > 0.0);
        let others = found.labels.len() > 1;
        let Some(end) = end.filter(|_| !others) else {
            let labels = found.labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
            let what = format!("{name} has a series {{{}}}, not one a bucket", visible(&labels, 80));
            return Err(Error::new(what).hint("ask for `sum by (le) (increase(NAME_bucket{version=\"{version}\"}[{window}]))`"));
        };
        ends.push((end / scale, number(name, found.value)?));
    }
    let Some(last) = ends.iter().map(|e| e.0).max_by(f64::total_cmp) else { return Ok(None) };
    if last.is_finite() {
        return Err(Error::new(format!("{name} has no bucket `+Inf`")).hint("leave no bucket out in the query"));
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = 0.0_f64;
    let mut counts = Vec::new();
    for (end, upto) in ends {
        if upto < below - 1.0 - below * STRETCH {
            return Err(Error::new(format!("{name} falls from {below} to {upto} at le={}, and buckets add up", end * scale)));
        }
        let upto = upto.max(below);
        counts.push((end, (upto.round() - below.round()) as u64));
        below = upto;
    }
    Ok(Some(Buckets::dense(counts)))
}

#[cfg(test)]
#[path = "prometheus_tests.rs"]
mod tests;
