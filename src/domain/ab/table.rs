//! The rows of A/B tests. Nobody else queries them.

use super::analyse::{Decision, Seen, Values};
use super::record::GATEWAY;
use super::{Setup, Variant};
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::base::text::did_you_mean;
use crate::base::time::Timestamp;
use crate::stats::describe::Moments;
use crate::store::{Row, View, values};
use std::collections::{BTreeMap, BTreeSet};

/// A test as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What was decided when it began.
    pub setup: Setup,
    /// True until it was stopped.
    pub open: bool,
    /// Batches so far.
    pub batches: i64,
    /// What was decided when it was stopped.
    pub decision: Option<Decision>,
    /// When it began.
    pub created: Timestamp,
    /// When it changed last.
    pub changed: Timestamp,
    /// The audit event of that.
    pub event: i64,
}

/// Values that were recorded together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its number, from 1.
    pub seq: i64,
    /// Where it came from.
    pub source: String,
    /// How many values.
    pub rows: i64,
    /// When.
    pub at: Timestamp,
    /// The audit event.
    pub event: i64,
}

const TEST: &str = "SELECT setup, open, batches, decision, created, changed, event, name FROM ab_test";

fn test(row: &Row<'_>) -> Result<Test> {
    let damaged = || format!("the test {} is damaged: `kf fsck` tells more", row.text(7).unwrap_or("?"));
    Ok(Test {
        setup: serde_json::from_str(row.text(0)?).context(damaged)?,
        open: row.int(1)? != 0,
        batches: row.int(2)?,
        decision: row.opt_text(3)?.map(|word| word.parse().map_err(Error::new).context(damaged)).transpose()?,
        created: row.time(4)?,
        changed: row.time(5)?,
        event: row.int(6)?,
    })
}

/// Every test, the newest first.
///
/// # Errors
/// When the state cannot be read; as for all below.
pub fn all(view: View<'_>) -> Result<Vec<Test>> {
    view.all(&format!("{TEST} ORDER BY created DESC, name"), &[], test)
}

/// A test by its name; `None` when there is none.
pub fn find(view: View<'_>, name: &Name) -> Result<Option<Test>> {
    view.first(&format!("{TEST} WHERE name = ?1"), values![name.as_str()], test)
}

/// A test by its name.
///
/// # Errors
/// When there is none.
pub fn get(view: View<'_>, name: &Name) -> Result<Test> {
    if let Some(found) = find(view, name)? {
        return Ok(found);
    }
    let names = view.all("SELECT name FROM ab_test ORDER BY name", &[], |row| Ok(row.text(0)?.to_owned()))?;
    let hint = did_you_mean(name.as_str(), names.iter().map(String::as_str));
    let hint =
        hint.unwrap_or_else(|| format!("`kf ab create {name} --control MODEL@V --treatment MODEL@V --metric METRIC` begins it"));
    Err(Error::new(format!("there is no A/B test {name}")).hint(hint))
}

/// The batches of a test, the oldest first.
pub fn batches(view: View<'_>, name: &Name) -> Result<Vec<Batch>> {
    let sql = "SELECT seq, source, row_count, at, event FROM ab_batch WHERE test = ?1 ORDER BY seq";
    view.all(sql, values![name.as_str()], |row| {
        Ok(Batch { seq: row.int(0)?, source: row.text(1)?.to_owned(), rows: row.int(2)?, at: row.time(3)?, event: row.int(4)? })
    })
}

/// From where a source is read on.
pub fn cursor(view: View<'_>, name: &Name, source: &str) -> Result<Option<String>> {
    let sql = "SELECT cursor FROM ab_batch WHERE test = ?1 AND source = ?2 AND cursor IS NOT NULL ORDER BY seq DESC LIMIT 1";
    let found = view.first(sql, values![name.as_str(), source], |row| Ok(row.opt_text(0)?.map(str::to_owned)))?;
    Ok(found.flatten())
}

/// The values of one metric, as its rows come in.
#[derive(Default)]
struct Gathered {
    control: Vec<f64>,
    treatment: Vec<f64>,
    pairs: Vec<f64>,
    /// What somebody else counted.
    counted: [Moments; 2],
    repeated: u64,
    fraction: bool,
    /// The unit that is being read: its records of control and of the treatment as (sum, how many).
    unit: Option<(String, [(f64, f64); 2])>,
}

impl Gathered {
    fn take(&mut self, unit: &str, variant: Variant, mean: f64) {
        if self.unit.as_ref().is_none_or(|(known, _)| known != unit) {
            self.close();
            self.unit = Some((unit.to_owned(), [(0.0, 0.0); 2]));
        }
        if let Some((_, sums)) = &mut self.unit {
            let sum = &mut sums[usize::from(variant == Variant::Treatment)];
            *sum = (sum.0 + mean, sum.1 + 1.0);
        }
    }

    /// The unit is whole: its mean is its value.
    fn close(&mut self) {
        let Some((_, sums)) = self.unit.take() else { return };
        self.repeated += u64::from(sums.iter().any(|(_, n)| *n > 1.0));
        let [control, treatment] = sums.map(|(sum, n)| (n > 0.0).then(|| sum / n));
        self.fraction |= [control, treatment].into_iter().flatten().any(|v| v != 0.0 && v != 1.0);
        self.control.extend(control);
        self.treatment.extend(treatment);
        self.pairs.extend(control.zip(treatment).map(|(c, t)| t - c));
    }

    fn values(mut self) -> Option<Values> {
        self.close();
        let [control, treatment] = self.counted;
        Some(Values {
            control: Moments::of(&self.control)?.and(&control),
            treatment: Moments::of(&self.treatment)?.and(&treatment),
            pairs: Moments::of(&self.pairs)?,
            differences: self.pairs,
            binary: !self.fraction,
            repeated: self.repeated,
        })
    }
}

/// The batches whose rows are sums of requests that a gateway counted, and no units. A reading may be of one request, so its rows do not
/// say it themselves.
fn counted(view: View<'_>, name: &Name) -> Result<BTreeSet<i64>> {
    let sql = "SELECT seq FROM ab_batch WHERE test = ?1 AND source = ?2";
    Ok(view.all(sql, values![name.as_str(), GATEWAY], |row| row.int(0))?.into_iter().collect())
}

/// What was seen of a test.
///
/// # Errors
/// When a sum is beyond what numbers hold.
pub fn seen(view: View<'_>, setup: &Setup) -> Result<Seen> {
    let mut gathered: BTreeMap<String, Gathered> = BTreeMap::new();
    let sums = counted(view, &setup.name)?;
    let mut requests = false;
    let sql = "SELECT metric, unit, variant, n, mean, sd, batch FROM ab_value WHERE test = ?1 ORDER BY metric, unit, variant";
    view.each(sql, values![setup.name.as_str()], |row| {
        let name = row.text(0)?;
        if !gathered.contains_key(name) {
            gathered.insert(name.to_owned(), Gathered::default());
        }
        let Some(metric) = gathered.get_mut(name) else { return Ok(()) };
        let variant = row.parsed::<Variant>(2)?;
        if sums.contains(&row.int(6)?) {
            requests = true;
            let moments = Moments { n: row.int(3)?.unsigned_abs(), mean: row.real(4)?, sd: row.real(5)? };
            let sum = &mut metric.counted[usize::from(variant == Variant::Treatment)];
            *sum = sum.and(&moments);
        } else {
            metric.take(row.text(1)?, variant, row.real(4)?);
        }
        Ok(())
    })?;
    let overflown = || Error::new(format!("the values of the test {} are too large to be added up", setup.name));
    let mut of = |name: &str| gathered.remove(name).map_or(Some(Values { binary: true, ..Values::default() }), Gathered::values);
    let values = setup.metrics().map(|m| of(m.name.as_str()).ok_or_else(overflown)).collect::<Result<_>>()?;
    let units = |variant: Variant| -> Result<u64> {
        let sql = "SELECT COUNT(*) FROM (SELECT DISTINCT v.unit FROM ab_value v JOIN ab_batch b ON b.test = v.test AND b.seq = v.batch \
                   WHERE v.test = ?1 AND v.variant = ?2 AND b.source <> ?3) u";
        Ok(view.count(sql, values![setup.name.as_str(), variant.word(), GATEWAY])?.unsigned_abs())
    };
    let (control, treatment) = (units(Variant::Control)?, units(Variant::Treatment)?);
    Ok(Seen { control, treatment, counted: requests, values })
}
