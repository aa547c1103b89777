//! A/B tests fed by what kf knows itself: recorded evaluations of both versions, and what a gateway counted.
//!
//! * Evaluations: each row of a dataset that both versions were evaluated on is a unit that both answered, so the test must be paired; rows
//!   of one cluster are one unit. A dataset that changed is the same one: its newest common evaluation counts, and a row that is in both is
//!   one unit. An evaluation is believed only after it was compared with the audit log, and counts once.
//! * A gateway counts requests and not users: `error-rate` and `latency-ms` from one reading to the next. Users who send many requests make
//!   such counts look surer than they are, and nothing can be said of their split; reports say so.

use super::attest;
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::text::{count, visible};
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::domain::ab::metric::LATENCY_MS;
use crate::domain::ab::record::Value;
use crate::domain::ab::{Arm, Design, Kind, Metric, Setup, Variant};
use crate::domain::eval::marks::Marks;
use crate::domain::eval::metrics;
use crate::domain::eval::record::{self, Evaluation};
use crate::domain::eval::score::ERROR_RATE;
use crate::domain::registry::table::{self, VersionRow};
use crate::seams::metrics::{Ask, Buckets, Counted, MetricSource};
use crate::stats::describe::Moments;
use crate::store::View;
use std::collections::BTreeSet;

/// The most evaluations of a version that are looked at, newest first.
const EVALUATIONS_MAX: u32 = 100;

/// What a feed gave.
#[derive(Debug, Default)]
pub struct Fed {
    /// The values.
    pub values: Vec<Value>,
    /// From where it is read on.
    pub cursor: Option<String>,
    /// What is left out because one of the two versions has no score of it, each with what to do.
    pub lacking: Vec<String>,
}

fn version(view: View<'_>, arm: &Arm) -> Result<VersionRow> {
    let model = table::model(view, &arm.model)?;
    let found = table::find_version(view, model.id, arm.version)?;
    let found = found.ok_or_else(|| Error::new(format!("there is no version {} any more", arm.reference())))?;
    if found.digest != arm.digest {
        return Err(Error::new(format!("{} is not what it was when the test began", arm.reference())).hint("run `kf fsck`"));
    }
    Ok(found)
}

/// The scores of both versions on the same datasets: of each dataset, whatever its bytes were before, and each judge those of the newest two
/// evaluations on the same bytes.
///
/// # Errors
/// When the test is not paired, there is no such pair of evaluations, or they are not what the audit log recorded.
pub fn from_evaluations(view: View<'_>, setup: &Setup) -> Result<Fed> {
    if setup.design == Design::Split {
        return Err(Error::usage(
            "the rows of an evaluation are answered by both versions, and this test gives each unit one of them",
        )
        .hint("begin a test with `kf ab create … --paired`"));
    }
    let (control, treatment) = (version(view, &setup.control)?, version(view, &setup.treatment)?);
    let (mut fed, mut seen) = (Fed::default(), BTreeSet::new());
    for of_treatment in record::of_version(view, treatment.id, EVALUATIONS_MAX)? {
        // One dataset may have other bytes and the same name, or another name and the same bytes.
        let names = [unversioned(&of_treatment.dataset).to_owned(), of_treatment.dataset_digest.hex()];
        let of = names.map(|name| (name, of_treatment.judge.clone()));
        if of.iter().any(|known| seen.contains(known)) {
            continue;
        }
        let of_control = record::newest(view, control.id, &of_treatment.dataset_digest, &of_treatment.judge)?;
        let Some(of_control) = of_control else { continue };
        let both = Both::of(view, [&of_control, &of_treatment])?;
        seen.extend(of);
        for (version, evaluation) in [(&control, &of_control), (&treatment, &of_treatment)] {
            attest::evaluation(view, version, evaluation, true)?;
        }
        for metric in setup.metrics() {
            paired(view, setup, metric, &both, &mut fed)?;
        }
    }
    if fed.values.is_empty() {
        return Err(nothing(setup, &fed.lacking));
    }
    for metric in setup.metrics().filter(|m| !fed.values.iter().any(|v| v.metric == m.name)) {
        // Where one version alone has scores of it, that is said already.
        let name = format!("`{}`", metric.name);
        if !fed.lacking.iter().any(|said| said.contains(&name)) {
            let (c, t) = (setup.control.reference(), setup.treatment.reference());
            fed.lacking.push(format!("{name}: neither {c} nor {t} has a score of it: metrics are named as `kf eval` names them"));
        }
    }
    Ok(fed)
}

/// The name of a dataset without its version: `faq` of `faq@1.2.0`; a path is itself.
fn unversioned(dataset: &str) -> &str {
    dataset.rsplit_once('@').filter(|(_, version)| version.parse::<Version>().is_ok()).map_or(dataset, |(name, _)| name)
}

/// Evaluations of both versions on the same rows.
struct Both<'a> {
    control: &'a Evaluation,
    treatment: &'a Evaluation,
    marks: Marks,
}

impl<'a> Both<'a> {
    fn of(view: View<'_>, [control, treatment]: [&'a Evaluation; 2]) -> Result<Self> {
        let marks = Marks::recorded(view, &treatment.id)?;
        // An evaluation of before clusters were kept has none: those of the other one hold, which is of the same bytes.
        let marks = if marks.has_no_cluster() { Marks::recorded(view, &control.id)? } else { marks };
        Ok(Self { control, treatment, marks })
    }

    /// The unit of each row: a row of a dataset of this name, or all rows of a cluster, which are records of it: what was asked together is
    /// not as many answers.
    fn units(&self) -> impl Fn(&str) -> String + '_ {
        let (dataset, heads) = (unversioned(&self.treatment.dataset), self.marks.heads());
        move |row| format!("{dataset}:{}", heads.get(row).copied().unwrap_or(row))
    }
}

/// That no score is there that could be recorded.
fn nothing(setup: &Setup, lacking: &[String]) -> Error {
    let (c, t) = (setup.control.reference(), setup.treatment.reference());
    let names: Vec<&str> = setup.metrics().map(|m| m.name.as_str()).collect();
    let none = Error::new(format!("{c} and {t} have no evaluation on the same dataset with a score of {}", names.join(", ")));
    if lacking.is_empty() {
        return none.hint(format!("run `kf eval {c}` and `kf eval {t}`; metrics are named as `kf eval` names them"));
    }
    lacking.iter().fold(none, Error::hint)
}

/// Takes the scores of a metric from an evaluation of either version; what only one of them has is left out, and told.
fn paired(view: View<'_>, setup: &Setup, metric: &Metric, both: &Both<'_>, fed: &mut Fed) -> Result<()> {
    let (mut values, mut without) = (Vec::new(), Vec::new());
    let unit = both.units();
    for (variant, evaluation) in [(Variant::Control, both.control), (Variant::Treatment, both.treatment)] {
        let found = scores(view, setup, metric, (variant, evaluation), &unit)?;
        if found.is_empty() {
            without.push((variant, evaluation));
        }
        values.extend(found);
    }
    match without.as_slice() {
        [(variant, evaluation)] => fed.lacking.push(lacking(setup, metric, *variant, evaluation, values.len())),
        _ => fed.values.extend(values),
    }
    Ok(())
}

/// The name under which `kf eval` keeps a metric: of a proxy the one with blanks, which is no name of a test's metric.
fn kept(metric: &Metric) -> &str {
    metrics::find(metric.name.as_str()).map_or(metric.name.as_str(), |m| m.name)
}

/// That the evaluation of one version has no score where that of the other one has some.
fn lacking(setup: &Setup, metric: &Metric, without: Variant, evaluation: &Evaluation, n: usize) -> String {
    let other = if without == Variant::Control { Variant::Treatment } else { Variant::Control };
    let (without, other) = (setup.arm(without).reference(), setup.arm(other).reference());
    let what = format!("`{}`: {other} has {} on {}, and {without} none", metric.name, count(n, "score"), evaluation.dataset);
    match evaluation.metric(kept(metric)).and_then(|m| m.unscored.as_deref()) {
        Some(why) => format!("{what} ({why}), so nothing of it is recorded"),
        None => {
            // An evaluation takes the place of the one before, so it has to have every metric of the test.
            let all: String = setup.metrics().map(|m| format!(" --metric {}", m.name)).collect();
            format!("{what}, so nothing of it is recorded: run `kf eval {without} --dataset {}{all}`", evaluation.dataset)
        }
    }
}

/// The scores of a metric in an evaluation.
///
/// # Errors
/// When one of them is not of the metric's kind, which a file would be refused for.
fn scores(
    view: View<'_>,
    setup: &Setup,
    metric: &Metric,
    (variant, evaluation): (Variant, &Evaluation),
    unit: &dyn Fn(&str) -> String,
) -> Result<Vec<Value>> {
    let rows = record::scored_rows(view, &evaluation.id, kept(metric))?;
    let bad: Vec<(&str, String)> =
        rows.iter().filter_map(|(row, score)| Some((row.as_str(), metric.value(*score, score).err()?))).collect();
    if let Some((row, what)) = bad.first() {
        let others = if bad.len() > 1 { format!(" and {} more", count(bad.len() - 1, "row")) } else { String::new() };
        return Err(unfit(
            setup,
            metric,
            variant,
            &format!("row {}{others} of evaluation {}: {what}", visible(row, 40), evaluation.id),
        ));
    }
    let value = |(row, score): (String, f64)| Value {
        id: format!("{}:{row}", evaluation.id),
        unit: unit(&row),
        variant,
        metric: metric.name.clone(),
        moments: Moments { n: 1, mean: score, sd: 0.0 },
    };
    Ok(rows.into_iter().map(value).collect())
}

/// That scores are not what the test says that they are; a test never changes, so only another one can take them.
fn unfit(setup: &Setup, metric: &Metric, variant: Variant, what: &str) -> Error {
    let wider = if metric.kind == Kind::Rate { Kind::Score } else { Kind::Mean };
    let name = &metric.name;
    Error::new(format!("nothing of the evaluations is recorded: {}, {what}", setup.arm(variant).reference())).hint(format!(
        "begin a test of `{name}:{wider}:{}` with `kf ab create`: what a test compares never changes",
        metric.better
    ))
}

/// What was counted since the cursor; the first reading only begins.
///
/// # Errors
/// When the versions are not of one model, no metric of the test is counted, or the source does not answer.
pub fn from_counts(setup: &Setup, source: &dyn MetricSource, now: Timestamp, cursor: Option<&str>) -> Result<Fed> {
    if setup.control.model != setup.treatment.model {
        return Err(Error::usage("a gateway splits the requests of one model, and this test compares two"));
    }
    if setup.design == Design::Paired {
        return Err(Error::usage("a gateway gives each request to one version, and this test is paired"));
    }
    if !setup.metrics().any(|m| [ERROR_RATE, LATENCY_MS].contains(&m.name.as_str())) {
        return Err(Error::usage("a gateway counts no metric of this test")
            .hint(format!("it counts `{ERROR_RATE}` and `{LATENCY_MS}`; what answers were worth comes from a file")));
    }
    let ask = Ask {
        model: &setup.control.model,
        stable: Some(setup.control.version),
        canary: setup.treatment.version,
        from: now,
        to: now,
        cursor,
    };
    let reading = source.read(&ask)?;
    let Some(cursor) = reading.cursor else { return Ok(Fed::default()) };
    let mark = Digest::of(cursor.as_bytes()).hex();
    let mut fed = Fed { cursor: Some(cursor), ..Fed::default() };
    for (variant, counted) in [(Variant::Control, &reading.stable), (Variant::Treatment, &reading.canary)] {
        for metric in setup.metrics() {
            let moments = match metric.name.as_str() {
                ERROR_RATE => errors(counted),
                LATENCY_MS => counted.latency.as_ref().and_then(latency),
                _ => None,
            };
            let (id, unit) = (mark.clone(), format!("{mark}:{variant}"));
            fed.values.extend(moments.map(|moments| Value { id, unit, variant, metric: metric.name.clone(), moments }));
        }
    }
    Ok(fed)
}

/// Requests as zeros, failed ones as ones.
fn errors(counted: &Counted) -> Option<Moments> {
    let (n, failed) = (counted.requests.filter(|n| *n > 0)?, counted.errors?);
    let mean = failed as f64 / n as f64;
    let sd = if n > 1 { (mean * (1.0 - mean) * n as f64 / (n - 1) as f64).sqrt() } else { 0.0 };
    Some(Moments { n, mean, sd })
}

/// Of buckets 2 % wide, each taken at its middle; what lies beyond the last end counts as that end.
fn latency(buckets: &Buckets) -> Option<Moments> {
    let at =
        |b: &crate::seams::metrics::Bucket| 1000.0 * if b.most.is_finite() { f64::midpoint(b.above, b.most) } else { b.above };
    let sum = buckets.counts.iter().fold(Moments::default(), |sum, b| sum.and(&Moments { n: b.n, mean: at(b), sd: 0.0 }));
    (sum.n > 0).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seams::metrics::{Bucket, Reading};

    struct Counts(Reading);

    impl MetricSource for Counts {
        fn describe(&self) -> String {
            "counts".into()
        }

        fn read(&self, ask: &Ask<'_>) -> Result<Reading> {
            assert_eq!((ask.stable.map(|v| v.to_string()).as_deref(), ask.canary.to_string().as_str()), (Some("1.0.0"), "1.1.0"));
            Ok(self.0.clone())
        }
    }

    fn setup(metric: &str) -> Setup {
        let arm = |version: &str| Arm {
            model: "bot".parse().expect("a name"),
            version: version.parse().expect("a version"),
            digest: Digest::of(b"v"),
        };
        Setup {
            name: "t".parse().expect("a name"),
            control: arm("1.0.0"),
            treatment: arm("1.1.0"),
            metric: metric.parse().expect("a metric"),
            guardrails: vec!["latency-ms:mean:lower=5".parse().expect("one")],
            split: crate::base::weight::Weight::from_hundredths(5000).expect("a part"),
            design: Design::Split,
            rule: crate::domain::ab::Rule::Both,
            aim: None,
            salt: String::new(),
        }
    }

    #[test]
    fn a_dataset_has_one_name_in_all_its_versions() {
        let told = ["faq@1.2.0", "data/faq.jsonl", "a@b.jsonl", "faq@production"].map(unversioned);
        assert_eq!(told, ["faq", "data/faq.jsonl", "a@b.jsonl", "faq@production"]);
    }

    #[test]
    fn counts_are_sums_of_requests() {
        let bucket = |above, most, n| Bucket { above, most, n };
        let latency = Buckets { counts: vec![bucket(0.01, 0.03, 2), bucket(1.0, f64::INFINITY, 1)] };
        let counted = Counted { requests: Some(4), errors: Some(1), latency: Some(latency), ..Counted::default() };
        let none = Counted { requests: Some(0), errors: Some(0), ..Counted::default() };
        let reading = Reading { stable: counted, canary: none, cursor: Some("c".into()), ..Reading::default() };
        let now = Timestamp::from_micros(0);
        let fed = from_counts(&setup("error-rate:lower"), &Counts(reading.clone()), now, None).expect("counts");
        let told: Vec<_> = fed.values.iter().map(|v| (v.variant, v.metric.as_str(), v.moments)).collect();
        assert_eq!(told[0], (Variant::Control, "error-rate", Moments { n: 4, mean: 0.25, sd: 0.5 }));
        assert_eq!((told.len(), told[1].1, told[1].2.n, told[1].2.mean.round()), (2, "latency-ms", 3, 347.0));
        assert_eq!(fed.cursor.as_deref(), Some("c"));
        let waiting = from_counts(&setup("error-rate:lower"), &Counts(Reading::default()), now, None).expect("nothing yet");
        assert!(waiting.values.is_empty() && waiting.cursor.is_none());
        let quality = Setup { guardrails: Vec::new(), ..setup("quality:score") };
        let e = from_counts(&quality, &Counts(reading), now, None).expect_err("no such count");
        assert!(e.to_string().contains("counts no metric of this test"), "{e}");
    }
}
