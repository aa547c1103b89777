//! Drift from files to rows: taking baselines, checking new data, doing what follows.
//!
//! An object is published before the row that names it, both under the shared lock of the objects. A check, what is said of its
//! columns and the actions that it asks for commit together; what crosses to the outside is done after that and recorded as done
//! or failed, so a kill between leaves an open action that a later check finishes.

pub mod act;
pub mod check;
pub mod compat;
pub mod index;
mod tell;
mod texts;

use super::gc::give_back_found;
use super::parallel;
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::name::{Name, Stage};
use crate::base::reference::Reference;
use crate::base::text::{did_you_mean, visible};
use crate::config::Drift;
use crate::data::{self, Input, Table};
use crate::domain::drift::baseline::{Baseline, Selection, take};
use crate::domain::drift::outcome::Answers;
use crate::domain::drift::policy::{Bands, Policy, Rule};
use crate::domain::drift::record::{self, NewBaseline, Object};
use crate::domain::drift::report::{digest_of, files};
use crate::domain::drift::table;
use crate::domain::registry;
use crate::seams::embedder::Embedder;
use crate::store::Store;
use crate::store::lock::{Hold, Lock, Matter};
use crate::store::objects::Objects;

/// Where drift is looked for.
pub struct Place<'a> {
    /// The state.
    pub store: &'a Store,
    /// The objects.
    pub objects: &'a Objects,
    /// How many threads to use.
    pub jobs: usize,
    /// Fetches what makes vectors of texts.
    pub embedder: Box<dyn Fn() -> Result<Box<dyn Embedder>> + 'a>,
    /// The tenant with whose vectors costly ones are kept.
    pub tenant: Name,
}

/// What a check reads.
#[derive(Clone, Copy)]
pub struct Data<'a> {
    /// The new data.
    pub new: &'a [Input],
    /// The data that the baseline was taken of, for exact order statistics; empty for those of its profile.
    pub reference: &'a [Input],
}

/// The largest object that is read again, in bytes: some thousands of columns.
const OBJECT_MAX: u64 = 1 << 30;

/// How the columns are taken.
pub fn selection_of(config: &Drift) -> Selection {
    Selection {
        columns: config.columns.clone(),
        exclude: config.exclude.clone(),
        kinds: config.kinds.iter().map(|(column, kind)| (column.clone(), kind.word().to_owned())).collect(),
        prediction: config.prediction.clone(),
        label: config.label.clone(),
        score: config.score.clone(),
        slices: config.slices.clone(),
        stream: config.stream.clone(),
        time: config.time.clone(),
        digests: !config.keep_texts,
    }
}

/// What numbers are held against.
pub fn policy_of(config: &Drift) -> Policy {
    let bands = |[monitor, warning, critical]: [f64; 3]| Bands { monitor, warning, critical };
    let rule = match config.rule {
        crate::config::DriftRule::Calibrated => Rule::Calibrated,
        crate::config::DriftRule::Spec => Rule::Spec,
    };
    Policy {
        rule,
        psi: bands(config.psi),
        psi_flag: config.psi[1],
        accuracy: bands(config.accuracy),
        min_rows: config.min_rows.into(),
        ..Policy::default()
    }
}

/// A baseline that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its id.
    pub uid: String,
    /// `faq@1.0.0`.
    pub version: String,
    /// Rows.
    pub rows: u64,
    /// What is kept of the columns.
    pub baseline: Baseline,
    /// The object of it.
    pub profile: Digest,
    /// False when it was taken before.
    pub changed: bool,
    /// The audit event.
    pub event: i64,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Takes the baseline of a version; `waiting` is told who holds a lock.
///
/// # Errors
/// When the reference names nothing or another model than the drift compares, the data cannot be read or has no rows, or the
/// state cannot be written.
pub fn baseline(
    place: &Place<'_>,
    config: &Drift,
    reference: &Reference,
    inputs: &[Input],
    waiting: &mut dyn FnMut(&str),
) -> Result<Taken> {
    let version = place.store.read(|view| registry::table::resolve(view, reference))?;
    if version.name != config.model {
        return Err(Error::usage(format!(
            "the drift `{}` compares the model {}, and {} is another",
            config.name,
            config.model,
            version.reference()
        ))
        .hint(format!(
            "give it another name with `--name NAME`, or set `model = \"{}\"` in `[drift.{}]`",
            version.name, config.name
        )));
    }
    let selection = selection_of(config);
    let table = data::open(inputs, &selection.expected())?;
    known(&selection, table.as_ref(), config)?;
    let mut baseline = take(table.as_ref(), &selection, &|at, work| in_order(place.jobs, at, work))?;
    texts::learn(place, table.as_ref(), &selection, &mut baseline)?;
    let (files, bytes) = (files(table.as_ref()), baseline.to_bytes()?);
    let data = digest_of(&files);
    let kept = publish(place, &bytes, "drift baseline", waiting)?;
    let (known, mut notes) = place.store.read(|view| {
        let last =
            table::newest_baseline(view, &config.name)?.filter(|b| b.version_id == version.id && b.profile == kept.object.digest);
        let swapped = table::check_of(view, &config.name, &data)?;
        Ok((last, swapped.map(|check| swapped_note(&check)).into_iter().collect::<Vec<_>>()))
    })?;
    notes.extend(baseline.together.answers.as_ref().and_then(Answers::doubt));
    notes.extend((version.stage == Stage::Archived).then(|| format!("{} is archived", version.reference())));
    let (uid, event, changed) = match known {
        Some(row) => (row.uid, row.event, false),
        None => {
            let new = NewBaseline {
                name: &config.name,
                version: &version,
                profile: kept.object,
                data,
                files: &files,
                rows: baseline.rows,
                columns: baseline.columns.len(),
            };
            let (uid, event) = place.store.write(|tx| record::baseline(tx, &new))?;
            (uid, event, true)
        }
    };
    kept.give_back(place)?;
    Ok(Taken {
        uid,
        version: version.reference(),
        rows: baseline.rows,
        profile: kept.object.digest,
        baseline,
        changed,
        event,
        notes,
    })
}

fn swapped_note(check: &table::CheckRow) -> String {
    format!(
        "these data were checked as new data on {}, and found {}: were reference and new data swapped?",
        check.at, check.verdict
    )
}

/// A column that `mlops.toml` names and the data does not have is a slip.
fn known(selection: &Selection, table: &dyn Table, config: &Drift) -> Result<()> {
    let Some(unknown) = selection.unknown(table.columns()).first().copied() else { return Ok(()) };
    let names: Vec<&str> = table.columns().iter().map(|c| c.name.as_str()).collect();
    let e = Error::usage(format!(
        "`[drift.{}]` names the column `{}`, which the data does not have",
        config.name,
        visible(unknown, 60)
    ));
    Err(did_you_mean(unknown, names.iter().copied()).into_iter().fold(e, Error::hint))
}

/// Does `work` on columns by several threads, with the answers in their order.
fn in_order<T: Send>(jobs: usize, columns: &[usize], work: &(dyn Fn(usize) -> T + Sync)) -> Vec<T> {
    let numbered: Vec<(usize, usize)> = columns.iter().copied().enumerate().collect();
    let mut found: Vec<Option<T>> = numbered.iter().map(|_| None).collect();
    parallel::each(&numbered, jobs, &|(_, column)| work(*column), &mut |(at, _), answer, _| found[*at] = Some(answer));
    found.into_iter().flatten().collect()
}

/// An object that was stored for a row that is not there yet.
struct Kept {
    object: Object,
    /// It was there before, so somebody may be collecting it.
    found: Option<Digest>,
    _uncollected: Option<Lock>,
}

/// Stores an object, which is kept from being collected until this is dropped; a dry run only tells its digest.
fn publish(place: &Place<'_>, bytes: &[u8], who: &str, waiting: &mut dyn FnMut(&str)) -> Result<Kept> {
    let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
    if place.store.is_dry_run() {
        return Ok(Kept { object: Object { digest, bytes: size }, found: None, _uncollected: None });
    }
    let lock = place.store.lock(Matter::Objects, Hold::Shared, who, waiting)?;
    let stored = place.objects.put_bytes(bytes)?;
    Ok(Kept {
        object: Object { digest: stored.digest, bytes: size },
        found: (!stored.new).then_some(stored.digest),
        _uncollected: Some(lock),
    })
}

impl Kept {
    /// For after the row is written: a collection may have decided before.
    fn give_back(&self, place: &Place<'_>) -> Result<()> {
        give_back_found(place.objects, self.found.as_slice(), place.jobs)
    }
}
