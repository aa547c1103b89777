//! Changes of A/B tests, each with its event: a beginning, batches of values, an end.
//!
//! A batch is what was recorded together and was not there before: its event has the number of values and the digest over them. What is
//! there already counts once; another value for it does not replace it.

use super::analyse::{Analysis, Decision};
use super::table::{self, Test};
use super::{Design, Setup, Variant};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Result};
use crate::base::event::{Event, Resource};
use crate::base::name::Name;
use crate::stats::describe::Moments;
use crate::store::{Tx, View, values};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};

/// The action of a test that began.
pub(super) const CREATED: &str = "ab.created";
/// The action of a batch.
pub(super) const RECORDED: &str = "ab.recorded";
/// The action of a test that was stopped.
pub(super) const STOPPED: &str = "ab.stopped";

/// The source of values that a gateway counted: requests, and no units.
pub const GATEWAY: &str = "gateway";

/// The source of scores of recorded evaluations.
pub const EVALUATIONS: &str = "evaluations";

/// A value that is to be recorded, with its ids as they came.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// The record's id.
    pub id: String,
    /// Whose it is.
    pub unit: String,
    /// What the unit got.
    pub variant: Variant,
    /// The metric's name.
    pub metric: Name,
    /// The value; of what somebody else counted, of how many.
    pub moments: Moments,
}

/// What came of values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Values that are new.
    pub new: u64,
    /// Values that were there.
    pub known: u64,
    /// Values that were there with another number, which stays.
    pub differing: u64,
    /// The audit event, when something changed.
    pub event: Option<i64>,
}

/// JSON as a row keeps it.
fn text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).context(|| "cannot write an A/B test as JSON")
}

fn event(action: &'static str, name: &Name) -> Event {
    Event::new(action, Resource::new("ab-test", name.as_str())).with("test", name.as_str())
}

/// Begins a test.
///
/// # Errors
/// When there is one of this name, or the state cannot be written; as for all below.
pub fn create(tx: &Tx<'_>, setup: &Setup) -> Result<()> {
    if table::find(tx.view(), &setup.name)?.is_some() {
        return Err(Error::new(format!("there is an A/B test {} already", setup.name)).hint(format!(
            "`kf ab show {}` tells of it; give the new one another name: what was seen of one test proves nothing in another",
            setup.name
        )));
    }
    let kept = text(setup)?;
    let event = tx.record(
        event(CREATED, &setup.name)
            .with("control", setup.control.reference())
            .with("treatment", setup.treatment.reference())
            .with("metric", setup.metric.name.as_str())
            .with("rule", setup.rule.word())
            .with("split", setup.split.hundredths())
            .with("setup", json!(Digest::of(kept.as_bytes()))),
    );
    let sql =
        "INSERT INTO ab_test (name, setup, open, batches, created, changed, actor, event) VALUES (?1, ?2, 1, 0, ?3, ?4, ?5, ?6)";
    let now = tx.now();
    tx.execute(sql, values![setup.name.as_str(), kept, now, now, tx.pseudonym()?, event])?;
    Ok(())
}

/// Refuses a test that was stopped.
fn still_open(test: &Test) -> Result<()> {
    if test.open {
        return Ok(());
    }
    let said = test.decision.map_or("", Decision::word);
    Err(Error::new(format!("the A/B test {} was stopped: {said}", test.setup.name))
        .hint("begin another one with `kf ab create`: what comes after the end must not change it"))
}

/// The units of a test that got another variant than these say, with what they got; their order is that of the units given.
///
/// # Errors
/// When the state cannot be read.
pub fn elsewhere(view: View<'_>, setup: &Setup, units: &[(&str, Variant)]) -> Result<Vec<Option<Variant>>> {
    if setup.design == Design::Paired {
        return Ok(vec![None; units.len()]);
    }
    let mut known: HashMap<String, Variant> = HashMap::new();
    let sql = "SELECT DISTINCT unit, variant FROM ab_value WHERE test = ?1";
    view.each(sql, values![setup.name.as_str()], |row| {
        known.insert(row.text(0)?.to_owned(), row.parsed(1)?);
        Ok(())
    })?;
    let other = |(unit, variant): &(&str, Variant)| known.get(&setup.pseudonym(unit)).copied().filter(|had| had != variant);
    Ok(units.iter().map(other).collect())
}

/// Where values came from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// In words: a file's name, `evaluations`, `gateway`.
    pub name: &'a str,
    /// From where it is read on.
    pub cursor: Option<&'a str>,
}

/// The digest over values in the order of their variant, id and metric.
#[derive(Default)]
pub(super) struct Sum(Hasher, i64);

impl Sum {
    /// Takes the next value: its variant, id, unit and metric.
    pub(super) fn add(&mut self, texts: [&str; 4], moments: &Moments) {
        for text in texts {
            self.0.update(&(text.len() as u64).to_be_bytes());
            self.0.update(text.as_bytes());
        }
        self.0.update(&moments.n.to_be_bytes());
        // The engines do not keep the sign of a zero.
        for number in [moments.mean, moments.sd] {
            self.0.update(&(number + 0.0).to_bits().to_be_bytes());
        }
        self.1 += 1;
    }

    /// How many there were, and the digest.
    pub(super) fn finish(self) -> (i64, Digest) {
        (self.1, self.0.finish())
    }
}

/// What a value is known by: variant, digest of its unit and id, metric.
type Key = (&'static str, String, Name);

/// Values that are to be recorded, by what they are known by.
#[derive(Default)]
struct Fresh {
    /// Their units and numbers.
    values: BTreeMap<Key, (String, Moments)>,
    /// The same by the digest of the id alone, and the unit: so rows have it that were recorded when ids were of the whole test. Ids of
    /// evaluations are of one unit whatever it is called, and have none here.
    before: BTreeMap<(Key, Option<String>), Key>,
}

impl Fresh {
    fn of(setup: &Setup, source: &str, given: &[Value]) -> Self {
        let mut fresh = Self::default();
        for v in given {
            let unit = setup.pseudonym(&v.unit);
            let key = |id: String| (v.variant.word(), id, v.metric.clone());
            let known = key(setup.record_pseudonym(&v.unit, &v.id));
            let of = (source != EVALUATIONS).then(|| unit.clone());
            fresh.before.insert((key(setup.pseudonym(&v.id)), of), known.clone());
            fresh.values.insert(known, (unit, v.moments));
        }
        fresh
    }

    /// Takes out the value that a row has.
    fn remove(&mut self, key: Key, unit: &str) -> Option<Moments> {
        let found = self.values.remove(&key).or_else(|| {
            let known = self.before.get(&(key.clone(), Some(unit.to_owned()))).or_else(|| self.before.get(&(key, None)))?;
            self.values.remove(known)
        });
        found.map(|(_, moments)| moments)
    }
}

/// Records values that are not there yet.
///
/// # Errors
/// When the test was stopped.
pub fn batch(tx: &Tx<'_>, name: &Name, source: Source<'_>, given: &[Value]) -> Result<Recorded> {
    let test = table::get(tx.view(), name)?;
    still_open(&test)?;
    let mut fresh = Fresh::of(&test.setup, source.name, given);
    let mut done = Recorded::default();
    let sql = "SELECT variant, id, metric, n, mean, sd, unit FROM ab_value WHERE test = ?1";
    tx.view().each(sql, values![name.as_str()], |row| {
        let key = (row.parsed::<Variant>(0)?.word(), row.text(1)?.to_owned(), row.parsed(2)?);
        let Some(moments) = fresh.remove(key, row.text(6)?) else { return Ok(()) };
        let same = row.int(3)?.unsigned_abs() == moments.n && row.real(4)? == moments.mean && row.real(5)? == moments.sd;
        *(if same { &mut done.known } else { &mut done.differing }) += 1;
        Ok(())
    })?;
    let fresh = fresh.values;
    done.new = fresh.len() as u64;
    if fresh.is_empty() && source.cursor.is_none() {
        return Ok(done);
    }
    let mut sum = Sum::default();
    for ((variant, id, metric), (unit, moments)) in &fresh {
        sum.add([variant, id, unit, metric.as_str()], moments);
    }
    let (rows, digest) = sum.finish();
    let seq = test.batches + 1;
    let recorded = event(RECORDED, name)
        .with("batch", seq)
        .with("source", source.name)
        .with("cursor", json!(source.cursor.map(|c| Digest::of(c.as_bytes()))))
        .with("rows", rows)
        .with("digest", json!(digest));
    let event = tx.record(recorded);
    let sql = "INSERT INTO ab_batch (test, seq, source, cursor, row_count, digest, at, actor, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let digest = digest.to_string();
    tx.execute(sql, values![name.as_str(), seq, source.name, source.cursor, rows, digest, tx.now(), tx.pseudonym()?, event])?;
    let rows = fresh.into_iter().map(|((variant, id, metric), (unit, m))| {
        let n = i64::try_from(m.n).unwrap_or(i64::MAX);
        values![name.as_str(), seq, variant, id, unit, metric.as_str(), n, m.mean, m.sd].to_vec()
    });
    tx.insert_all("ab_value", &["test", "batch", "variant", "id", "unit", "metric", "n", "mean", "sd"], rows)?;
    let sql = "UPDATE ab_test SET batches = ?2, changed = ?3, event = ?4 WHERE name = ?1";
    tx.execute(sql, values![name.as_str(), seq, tx.now(), event])?;
    done.event = Some(event);
    Ok(done)
}

/// Stops a test with what is decided then, and gives the index of its event.
///
/// # Errors
/// When it was stopped already.
pub fn stop(tx: &Tx<'_>, name: &Name, analysis: &Analysis, because: (Option<&str>, Option<&str>)) -> Result<i64> {
    still_open(&table::get(tx.view(), name)?)?;
    let kept = text(analysis)?;
    let stopped = event(STOPPED, name)
        .with("decision", analysis.decision.word())
        .with("analysis", json!(Digest::of(kept.as_bytes())))
        .because(because.0, because.1);
    let event = tx.record(stopped);
    let sql = "UPDATE ab_test SET open = 0, decision = ?2, analysis = ?3, changed = ?4, event = ?5 WHERE name = ?1";
    tx.execute(sql, values![name.as_str(), analysis.decision.word(), kept, tx.now(), event])?;
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ab::tests::setup;

    /// A state that an older version wrote has ids that were of the whole test: the same file again is nothing new, another unit's record
    /// with the same id is.
    #[test]
    fn a_row_is_known_by_its_unit_and_id_and_as_it_was_known_before() {
        let setup = setup("converted", &[]);
        let value = |unit: &str, id: &str| Value {
            id: id.into(),
            unit: unit.into(),
            variant: Variant::Control,
            metric: setup.metric.name.clone(),
            moments: Moments { n: 1, mean: 1.0, sd: 0.0 },
        };
        let row = |id: String| (Variant::Control.word(), id, setup.metric.name.clone());
        let mut fresh = Fresh::of(&setup, "a.csv", &[value("a", "1"), value("d", "1"), value("e", "e")]);
        assert_eq!(fresh.values.len(), 3);
        let left = |fresh: &Fresh| fresh.values.values().map(|(unit, _)| unit.clone()).collect::<Vec<_>>();
        assert!(fresh.remove(row(setup.pseudonym("1")), &setup.pseudonym("a")).is_some(), "as it was before");
        assert!(fresh.remove(row(setup.pseudonym("1")), &setup.pseudonym("a")).is_none(), "once");
        assert!(fresh.remove(row(setup.pseudonym("e")), &setup.pseudonym("e")).is_some(), "without an id of its own");
        assert_eq!(left(&fresh), [setup.pseudonym("d")], "another unit");
        assert!(fresh.remove(row(setup.record_pseudonym("d", "1")), &setup.pseudonym("d")).is_some(), "as it is now");
        // The row of an evaluation is that row, whatever its unit was called.
        let mut fresh = Fresh::of(&setup, EVALUATIONS, &[value("golden.jsonl:q1", "e1:q1")]);
        assert!(
            fresh.remove(row(setup.pseudonym("e1:q1")), &setup.pseudonym("sha256:0:q1")).is_some() && fresh.values.is_empty()
        );
    }
}
