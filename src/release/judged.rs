//! Recorded evaluations as judged answers of a rollout: the scores of both versions on the same dataset by the same judge.
//!
//! An evaluation counts once: the cursor names those that did. Rows that both have are pairs; each version's rows count as its scores
//! too. A metric that the source of requests judges itself stays as that source has it, since adding up two judges means nothing.
//!
//! How a controller uses it: [`Cursors::read`] of the journal's cursor, the source with [`Cursors::source`], then [`add`] in a view of
//! the state. Evidence that begins anew (another step) begins without a cursor of evaluations: [`Cursors::anew`].

use crate::base::error::{Context, Error, Result};
use crate::base::version::Version;
use crate::domain::eval::record::{self, Evaluation};
use crate::domain::registry::table::{self, VersionRow};
use crate::seams::metrics::{Ask, Reading};
use crate::stats::describe::Moments;
use crate::store::View;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The most evaluations of a version that are looked at, newest first.
const EVALUATIONS_MAX: u32 = 100;

/// What a limit holds to the share of right answers.
const ACCURACY: &str = "accuracy";
/// The share of answers that are the reference's, which is the accuracy where nothing else is recorded as such.
const EXACT_MATCH: &str = "exact-match";

/// Where the source of requests and the evaluations were read to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursors {
    /// The source's own.
    pub source: Option<String>,
    /// The canary's evaluations that counted.
    pub evaluations: BTreeSet<String>,
}

impl Cursors {
    /// From what [`add`] gave as the cursor of a reading; `None` begins.
    ///
    /// # Errors
    /// When it is not one.
    pub fn read(cursor: Option<&str>) -> Result<Self> {
        cursor.map_or_else(
            || Ok(Self::default()),
            |text| serde_json::from_str(text).context(|| "the cursor of evaluations is none"),
        )
    }

    /// The same with all evaluations to be counted again.
    #[must_use]
    pub fn anew(self) -> Self {
        Self { evaluations: BTreeSet::new(), ..self }
    }
}

/// Puts the evaluations that did not count yet into what the source counted.
///
/// # Errors
/// When the state cannot be read, or does not have the versions.
pub fn add(view: View<'_>, ask: &Ask<'_>, mut reading: Reading, cursors: Cursors) -> Result<Reading> {
    let mut seen = cursors.evaluations;
    if let Some(stable) = ask.stable {
        let (stable, canary) = (version(view, ask, stable)?, version(view, ask, ask.canary)?);
        let mut found = Reading::default();
        for evaluation in newest_of_each(view, &canary)? {
            if seen.contains(&evaluation.id) {
                continue;
            }
            let against = record::newest(view, stable.id, &evaluation.dataset_digest, &evaluation.judge)?;
            let Some(against) = against else { continue };
            compare(view, &against, &evaluation, &mut found)?;
            seen.insert(evaluation.id);
        }
        for (own, new) in [
            (&mut reading.stable.values, found.stable.values),
            (&mut reading.canary.values, found.canary.values),
            (&mut reading.pairs, found.pairs),
        ] {
            for (metric, moments) in new {
                own.entry(metric).or_insert(moments);
            }
        }
    }
    let cursors = Cursors { source: reading.cursor.take(), evaluations: seen };
    reading.cursor = Some(serde_json::to_string(&cursors).context(|| "a cursor cannot be written")?);
    Ok(reading)
}

fn version(view: View<'_>, ask: &Ask<'_>, version: Version) -> Result<VersionRow> {
    let model = table::model(view, ask.model)?;
    let found = table::find_version(view, model.id, version)?;
    found.ok_or_else(|| Error::new(format!("there is no version {version} of `{}`", ask.model)))
}

/// The newest evaluation on each dataset by each judge.
fn newest_of_each(view: View<'_>, version: &VersionRow) -> Result<Vec<Evaluation>> {
    let mut known = BTreeSet::new();
    let mut all = record::of_version(view, version.id, EVALUATIONS_MAX)?;
    // Rows of an evaluation of some rows are in that of all rows too, and would count twice.
    all.retain(|e| e.is_whole() && known.insert((e.dataset_digest.hex(), e.judge.clone())));
    Ok(all)
}

fn compare(view: View<'_>, stable: &Evaluation, canary: &Evaluation, into: &mut Reading) -> Result<()> {
    let scored = || canary.metrics.iter().filter(|m| m.n > 0).map(|m| m.metric.as_str());
    let right = (!scored().any(|metric| metric == ACCURACY)).then_some(EXACT_MATCH);
    for metric in scored() {
        let names = [Some(metric), right.filter(|m| *m == metric).map(|_| ACCURACY)].into_iter().flatten();
        let canary = record::scored_rows(view, &canary.id, metric)?;
        let stable = record::scored_rows(view, &stable.id, metric)?;
        let before: HashMap<&str, f64> = stable.iter().map(|(row, value)| (row.as_str(), *value)).collect();
        let differences: Vec<f64> = canary.iter().filter_map(|(row, value)| Some(before.get(row.as_str())? - value)).collect();
        let values = |rows: &[(String, f64)]| rows.iter().map(|(_, value)| *value).collect::<Vec<_>>();
        for name in names {
            put(&mut into.stable.values, name, &values(&stable))?;
            put(&mut into.canary.values, name, &values(&canary))?;
            put(&mut into.pairs, name, &differences)?;
        }
    }
    Ok(())
}

fn put(into: &mut BTreeMap<String, Moments>, metric: &str, values: &[f64]) -> Result<()> {
    if !values.is_empty() {
        let moments = Moments::of(values).ok_or_else(|| Error::new(format!("the scores of `{metric}` are not all finite")))?;
        let sum = into.entry(metric.to_owned()).or_default();
        *sum = sum.and(&moments);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;
    use crate::base::time::Timestamp;
    use crate::release::testing::Bench;
    use crate::seams::metrics::Counted;

    fn ask<'a>(model: &'a crate::base::name::Name, cursor: Option<&'a str>) -> Ask<'a> {
        let version = |text: &str| text.parse().expect("a version");
        let (from, to) = (Timestamp::from_micros(0), Timestamp::from_micros(1));
        Ask { model, stable: Some(version("1.0.0")), canary: version("1.1.0"), from, to, cursor }
    }

    #[test]
    fn an_exact_match_is_a_right_answer_where_nothing_else_says_what_is() {
        let b = Bench::new();
        b.register("bot@1.0.0", &[]);
        let other = b.publish(&[("a.txt", "other")]);
        b.add("bot@1.1.0", &other, &[]);
        let faq = Digest::of(b"faq");
        b.evaluate_by("exact-match", "e1", ("bot@1.0.0", faq), &[Some(1.0), Some(1.0)]);
        b.evaluate_by("exact-match", "e2", ("bot@1.1.0", faq), &[Some(0.0), Some(1.0)]);
        let model = "bot".parse().expect("a name");
        let found = b.store.read(|view| add(view, &ask(&model, None), Reading::default(), Cursors::default())).expect("read");
        assert_eq!(found.pairs["accuracy"], Moments::of(&[1.0, 0.0]).expect("finite"));
        assert_eq!(found.canary.values["accuracy"], found.canary.values["exact-match"]);
    }

    #[test]
    fn evaluations_of_both_count_once_and_pair_by_pair() {
        let b = Bench::new();
        b.register("bot@1.0.0", &[]);
        let other = b.publish(&[("a.txt", "other")]);
        b.add("bot@1.1.0", &other, &[]);
        let (faq, only) = (Digest::of(b"faq"), Digest::of(b"only the canary"));
        b.evaluate_as("e1", "bot@1.0.0", faq, &[Some(0.75), Some(0.5), None, Some(1.0)]);
        b.evaluate_as("e2", "bot@1.1.0", faq, &[Some(0.25), Some(0.5), Some(1.0)]);
        b.evaluate_as("e3", "bot@1.1.0", only, &[Some(0.0)]);
        let model = "bot".parse().expect("a name");
        let read = |reading: Reading, cursor: Option<&str>| {
            let cursors = Cursors::read(cursor).expect("a cursor");
            b.store.read(|view| add(view, &ask(&model, cursor), reading, cursors)).expect("read")
        };
        let own = Moments { n: 3, mean: 0.5, sd: 0.0 };
        let counted = Counted { values: [("judged".to_owned(), own)].into(), ..Counted::default() };
        let first = read(Reading { canary: counted, cursor: Some("17".into()), ..Reading::default() }, None);
        assert_eq!(first.pairs["f1"], Moments::of(&[0.5, 0.0]).expect("finite"));
        assert_eq!(first.stable.values["f1"], Moments::of(&[0.75, 0.5, 1.0]).expect("finite"));
        assert_eq!(first.canary.values["f1"], Moments::of(&[0.25, 0.5, 1.0]).expect("finite"));
        assert_eq!(first.canary.values["judged"], own);
        let cursors = Cursors::read(first.cursor.as_deref()).expect("a cursor");
        assert_eq!((cursors.source.as_deref(), cursors.evaluations.len()), (Some("17"), 1));
        // Nothing new; then a new one; then all of them for evidence that begins anew.
        let second = read(Reading::default(), first.cursor.as_deref());
        assert_eq!((second.pairs.len(), second.canary.values.len()), (0, 0));
        b.evaluate_as("e4", "bot@1.1.0", faq, &[Some(0.5), Some(0.5)]);
        let third = read(Reading::default(), second.cursor.as_deref());
        assert_eq!(third.pairs["f1"], Moments::of(&[0.25, 0.0]).expect("finite"));
        let anew = serde_json::to_string(&Cursors::read(third.cursor.as_deref()).expect("a cursor").anew()).expect("text");
        assert_eq!(read(Reading::default(), Some(&anew)).pairs["f1"].n, 2);
        assert!(Cursors::read(Some("17")).is_err());
    }
}
