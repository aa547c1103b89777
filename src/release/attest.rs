//! Whether what a decision rests on is what the audit log recorded. Rows are quick to read and quick to edit; before a version
//! is released on them, they are compared with the entries that made them, and those with the head of the log.

use crate::base::error::{Context, Error, Kind, Result};
use crate::base::name::Name;
use crate::domain::audit::prove;
use crate::domain::drift::check::differs;
use crate::domain::drift::table::BaselineRow;
use crate::domain::eval;
use crate::domain::eval::record::Evaluation;
use crate::domain::registry::check::{change_differs, told_meta, version_differs};
use crate::domain::registry::table::{self, StageChange, VersionRow};
use crate::store::View;
use crate::store::check::{self, Entry, restore_fix};
use serde_json::Value;

/// The entry that a row says made it.
fn entry(view: View<'_>, event: i64, of: &str) -> Result<Entry> {
    let index = u64::try_from(event).map_err(|_| broken(of, event, &[format!("there is no entry {event}")]))?;
    prove::logged(view, index).context(|| format!("{of} cannot be believed"))
}

fn broken(of: &str, event: i64, wrong: &[String]) -> Error {
    Error::of(Kind::Broken, format!("{of} is not what entry {event} of the audit log recorded: {}", wrong.join("; ")))
        .hint("somebody changed the state: `kf fsck` finds everything that was changed")
        .hint(restore_fix(Some(event)))
}

fn judged(of: &str, event: i64, wrong: &[String]) -> Result<()> {
    if wrong.is_empty() { Ok(()) } else { Err(broken(of, event, wrong)) }
}

/// Makes sure that an evaluation of a version is the one that was recorded, and the newest of its kind; with `scores` its row scores too.
///
/// # Errors
/// [`Kind::Broken`] when it is not.
pub fn evaluation(view: View<'_>, version: &VersionRow, found: &Evaluation, scores: bool) -> Result<()> {
    compared(view, version, found, (scores, true))
}

/// Makes sure that an evaluation of a version is one that was recorded; with `scores` its row scores too.
///
/// # Errors
/// As [`evaluation`].
pub fn recorded(view: View<'_>, version: &VersionRow, found: &Evaluation, scores: bool) -> Result<()> {
    compared(view, version, found, (scores, false))
}

/// Makes sure that no newer evaluation of its kind that computed a metric was taken away.
///
/// # Errors
/// As [`evaluation`].
pub fn newest_with(view: View<'_>, version: &VersionRow, found: &Evaluation, metric: &str) -> Result<()> {
    let wrong: Vec<String> = newer(view, version, found, Newest::With(metric))?.into_iter().collect();
    told(version, found, &wrong)
}

/// Among which evaluations of its kind one is the newest.
#[derive(Clone, Copy)]
enum Newest<'a> {
    OfAll,
    With(&'a str),
}

fn told(version: &VersionRow, found: &Evaluation, wrong: &[String]) -> Result<()> {
    let of = format!("evaluation {} of {}, on {},", found.id, version.reference(), found.dataset);
    judged(&of, found.event, wrong).hint(|| format!("or evaluate it again: `kf eval {}`", version.reference()))
}

/// The same, with the row scores or not, and as the newest of its kind or as any.
fn compared(view: View<'_>, version: &VersionRow, found: &Evaluation, (scores, newest): (bool, bool)) -> Result<()> {
    let of = format!("evaluation {} of {}", found.id, version.reference());
    let entry = entry(view, found.event, &of)?;
    let mut wrong = eval::check::differs(view, found, &version.reference(), &entry, scores)?;
    if newest {
        wrong.extend(newer(view, version, found, Newest::OfAll)?);
    }
    told(version, found, &wrong)
}

/// Makes sure that evaluations of a version, newest first, are those that were recorded, and that no newer one of their kind
/// was taken away.
///
/// # Errors
/// [`Kind::Broken`] when they are not.
pub fn evaluations(view: View<'_>, version: &VersionRow, found: &[Evaluation]) -> Result<()> {
    found.iter().enumerate().try_for_each(|(i, e)| {
        let newest = !found[..i].iter().any(|before| before.dataset_digest == e.dataset_digest && before.judge == e.judge);
        compared(view, version, e, (false, newest))
    })
}

/// An evaluation that came later and whose row is gone: what it found must not be hidden by taking it away.
fn newer(view: View<'_>, version: &VersionRow, found: &Evaluation, of: Newest<'_>) -> Result<Option<String>> {
    let later = check::later(view, "evaluation.recorded", ("version", version.name.as_str()), found.event)?;
    let same = |e: &&Entry| {
        let dataset = e.detail.get("dataset").and_then(|d| d.get("digest")).and_then(Value::as_str);
        let computed = match of {
            Newest::OfAll => true,
            Newest::With(metric) => e.detail.get("metrics").and_then(|m| m.get(metric)).is_some(),
        };
        computed
            && e.res.digest == Some(version.digest)
            && e.text("judge") == Some(&found.judge)
            && dataset == Some(found.dataset_digest.to_string().as_str())
    };
    Ok(later.iter().rfind(same).map(|e| format!("entry {} recorded a newer one, whose row is gone", e.seq)))
}

/// Makes sure that a version is the one that was registered, and stands where it was moved last.
///
/// # Errors
/// [`Kind::Broken`] when it is not.
pub fn version(view: View<'_>, version: &VersionRow) -> Result<()> {
    let of = format!("version {}", version.reference());
    let mut entries = vec![entry(view, version.event, &of)?];
    if let Some(event) = table::last_change(view, version.id)? {
        entries.push(entry(view, event, &of)?);
    }
    judged(&of, version.event, &version_differs(version, &entries))
}

/// Makes sure that a line of a model's stage history is what was recorded.
///
/// # Errors
/// [`Kind::Broken`] when it is not.
pub fn change(view: View<'_>, model: &Name, change: &StageChange) -> Result<()> {
    let of = format!("the move of {model}@{} to {}", change.version, change.to);
    let entry = entry(view, change.event, &of)?;
    judged(&of, change.event, &change_differs(model, change, entry))
}

/// Makes sure that a baseline is the one that was recorded, and the newest of its name.
///
/// # Errors
/// [`Kind::Broken`] when it is not.
pub fn baseline(view: View<'_>, found: &BaselineRow) -> Result<()> {
    let of = format!("baseline {} of {}", found.name, found.reference());
    let mut wrong = differs(found, &entry(view, found.event, &of)?);
    let later = check::later(view, "drift.baseline-set", ("version", found.model.as_str()), found.event)?;
    let newer = later.iter().rfind(|e| e.text("name") == Some(found.name.as_str()));
    wrong.extend(newer.map(|e| format!("entry {} recorded a newer one, whose row is gone", e.seq)));
    judged(&of, found.event, &wrong)
}

/// Makes sure that metadata of a version is what it was registered with.
///
/// # Errors
/// [`Kind::Broken`] when it is not.
pub fn meta(view: View<'_>, version: &VersionRow, key: &str, value: &str) -> Result<()> {
    let of = format!("`{key}` of {}", version.reference());
    let told = told_meta(&entry(view, version.event, &of)?, key);
    let wrong =
        (told.as_deref() != Some(value)).then(|| format!("it is {value}, recorded was {}", told.as_deref().unwrap_or("nothing")));
    judged(&of, version.event, &wrong.into_iter().collect::<Vec<_>>())
}
