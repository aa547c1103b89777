//! Checking new data against the newest baseline of a name, and doing it again.

use super::{Data, OBJECT_MAX, Place, in_order, policy_of, publish, selection_of, tell, texts};
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Stage;
use crate::base::time::Timestamp;
use crate::config::{ActionKind, Drift};
use crate::data::{self, Table};
use crate::domain::drift::action::{self, Last, Step};
use crate::domain::drift::baseline::{Baseline, Selection};
use crate::domain::drift::outcome::{self, Right};
use crate::domain::drift::policy::Policy;
use crate::domain::drift::record::{self, About, NewCheck, Object};
use crate::domain::drift::report::{Found, digest_of, files};
use crate::domain::drift::table::{self, ActionRow, BaselineRow, CheckRow};
use crate::domain::drift::verdict::judge;
use crate::domain::registry;
use crate::release::attest;
use crate::seams::notifier::Act;
use crate::store::objects::Objects;
use crate::store::{Tx, View};

/// A check that was made.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Its id.
    pub uid: String,
    /// What new data was compared with.
    pub baseline: BaselineRow,
    /// What was found.
    pub found: Found,
    /// The object of that.
    pub report: Digest,
    /// The audit event.
    pub event: i64,
    /// When.
    pub at: Timestamp,
    /// What follows.
    pub steps: Vec<Step>,
    /// The actions that were opened.
    pub actions: Vec<ActionRow>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Checks new data; `waiting` is told who holds a lock.
///
/// # Errors
/// When there is no baseline or it is not what was recorded, the data cannot be read at all, or the state cannot be written.
pub fn check(place: &Place<'_>, config: &Drift, data: Data<'_>, waiting: &mut dyn FnMut(&str)) -> Result<Checked> {
    let (row, mut notes) = place.store.read(|view| reference(view, config))?;
    let (found, differs) = compare(place, &row, selection_of(config), &policy_of(config), data)?;
    notes.extend(differs);
    let bytes = found.to_bytes()?;
    let kept = publish(place, &bytes, "drift check", waiting)?;
    let new = New { config, row: &row, found: &found, report: kept.object };
    let (recorded, steps, actions) = place.store.write(|tx| enter(tx, &new))?;
    kept.give_back(place)?;
    Ok(Checked {
        uid: recorded.uid,
        baseline: row,
        found,
        report: kept.object.digest,
        event: recorded.event,
        at: recorded.at,
        steps,
        actions,
        notes,
    })
}

/// The baseline that new data is compared with, and what is to be known of it.
fn reference(view: View<'_>, config: &Drift) -> Result<(BaselineRow, Vec<String>)> {
    let row = table::required_baseline(view, &config.name)?;
    if row.model != config.model {
        return Err(Error::new(format!(
            "the newest baseline `{}` is of {}, and the drift compares the model {}",
            row.name,
            row.reference(),
            config.model
        ))
        .hint(format!("take one of that model: `kf drift baseline {} --data FILE --name {}`", config.model, config.name)));
    }
    attest::baseline(view, &row)?;
    let mut notes = Vec::new();
    let version = registry::table::version_by_id(view, row.version_id)?;
    let take = |reference: &str| format!("`kf drift baseline {reference} --data FILE --name {}` takes another", config.name);
    if let Some(version) = version.filter(|v| v.stage == Stage::Archived) {
        notes.push(format!("the baseline is of {}, which is archived: {}", version.reference(), take(config.model.as_str())));
    } else if let Some(model) = registry::table::find_model(view, &row.model)?
        && let Some(production) = registry::table::in_production(view, model.id)?.filter(|v| v.id != row.version_id)
    {
        let production = production.reference();
        notes.push(format!("the baseline is of {}, and {production} is in production: {}", row.reference(), take(&production)));
    }
    Ok((row, notes))
}

/// Reads the baseline.
///
/// # Errors
/// When the object is missing or damaged, or of a newer format.
pub fn profiles(objects: &Objects, row: &BaselineRow) -> Result<Baseline> {
    let bytes = objects.read(&row.profile, OBJECT_MAX).and_then(|bytes| Baseline::from_bytes(&bytes));
    bytes.context(|| format!("cannot read the baseline `{}` of {}", row.name, row.reference()))
}

/// Reads what a check found.
///
/// # Errors
/// When the object is missing or damaged, or of a newer format.
pub fn found(objects: &Objects, row: &CheckRow) -> Result<Found> {
    let bytes = objects.read(&row.report, OBJECT_MAX).and_then(|bytes| Found::from_bytes(&bytes));
    bytes.context(|| unread(row))
}

/// What a history shows of the answers of a check.
///
/// # Errors
/// When the object is missing or damaged.
pub fn rights(objects: &Objects, row: &CheckRow) -> Result<Vec<Right>> {
    let rights = objects.read(&row.report, OBJECT_MAX).and_then(|bytes| outcome::rights(&bytes));
    rights.context(|| unread(row))
}

fn unread(row: &CheckRow) -> String {
    format!("cannot read what the check {} of `{}` found", row.uid, row.name)
}

fn compare(
    place: &Place<'_>,
    row: &BaselineRow,
    selection: Selection,
    policy: &Policy,
    data: Data<'_>,
) -> Result<(Found, Vec<String>)> {
    let baseline = profiles(place.objects, row)?;
    let mut notes = baseline.said_otherwise(&selection);
    let raw = if data.reference.is_empty() { None } else { Some(whole(row, &baseline, data)?) };
    let table = data::open(data.new, &baseline.expected())?;
    let (tables, how) = ((table.as_ref(), raw.as_deref()), (&selection, policy.rule));
    let meant = texts::meant(place, table.as_ref(), &baseline, how);
    let columns = baseline.compare(tables, how, &meant, &|at, work| in_order(place.jobs, at, work));
    let judgement = outcome::beside(&baseline, table.as_ref(), (&selection, policy), judge(columns, policy));
    let mut found = Found::new(row.profile, &baseline, table.as_ref(), selection, judgement);
    found.whole = raw.is_some();
    if digest_of(&found.data) == row.data {
        notes.push("the new data are the very bytes that the baseline was taken of".to_owned());
    }
    Ok((found, notes))
}

/// The data of the reference, which must be what its profile was taken of.
fn whole(row: &BaselineRow, baseline: &Baseline, data: Data<'_>) -> Result<Box<dyn Table>> {
    let raw = data::open(data.reference, &baseline.expected())?;
    let digest = digest_of(&files(raw.as_ref()));
    if digest == row.data {
        return Ok(raw);
    }
    let (named, taken) = (digest.short(), row.data.short());
    Err(Error::new(format!(
        "the data of `--reference` are {named}, and the baseline `{}` of {} was taken of {taken}",
        row.name,
        row.reference()
    ))
    .hint(format!(
        "name the files of that baseline in their order, or take another: `kf drift baseline {} --data FILE`",
        row.model
    )))
}

/// A check that is to be recorded.
struct New<'a> {
    config: &'a Drift,
    row: &'a BaselineRow,
    found: &'a Found,
    report: Object,
}

type Entered = (record::Recorded, Vec<Step>, Vec<ActionRow>);

/// Records the check and opens what it asks for, as things stand under the writer's lock.
fn enter(tx: &Tx<'_>, new: &New<'_>) -> Result<Entered> {
    let (config, found) = (new.config, new.found);
    let windows = usize::try_from(config.actions.windows).unwrap_or(usize::MAX);
    let before = table::checks(tx.view(), &config.name, config.actions.windows.saturating_mul(LOOKED_BACK))?;
    let check = NewCheck {
        name: &config.name,
        baseline: &new.row.uid,
        data: digest_of(&found.data),
        files: &found.data,
        rows: found.rows,
        report: new.report,
        judgement: &found.judgement,
    };
    let recorded = record::check(tx, &check)?;
    let model = registry::table::model(tx.view(), &config.model)?;
    let verdicts = || std::iter::once(found.judgement.status).chain(before.iter().map(|c| c.verdict));
    let band = action::counts(verdicts(), windows);
    let told = tell::told(tx.view(), &config.name)?;
    let last = |a: ActionRow| Last {
        by: (a.name != config.name).then(|| a.name.to_string()),
        told_over: a.kind == ActionKind::Notify && told.as_ref().is_some_and(|t| t.act == Act::Resolve),
        uid: a.uid,
        kind: a.kind,
        band: a.band,
        state: a.state,
        due: a.due,
        attempts: a.attempts,
        opened: a.opened,
        changed: a.changed,
    };
    let last: Vec<Last> = table::last_actions(tx.view(), &config.name, model.id)?.into_iter().map(last).collect();
    let rules = action::rules_for(found.judgement.accuracy, &config.actions);
    let steps = action::plan(band, &last, &rules, tx.now());
    record::take(tx, About { name: &config.name, model: &model.name, model_id: model.id, check: &recorded }, &steps)?;
    for action in table::actions_of(tx.view(), &recorded.uid)?.iter().filter(|a| a.kind == ActionKind::Notify) {
        tell::begun(tx, config, action, &found.judgement)?;
    }
    if action::is_over(verdicts(), &config.actions) {
        tell::over(tx, config, told, &recorded.uid, &found.judgement)?;
    }
    let opened = table::actions_of(tx.view(), &recorded.uid)?;
    Ok((recorded, steps, opened))
}

/// Checks that said nothing are passed over, so more than `windows` are looked at.
const LOOKED_BACK: u32 = 10;

/// A check that was made again.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The check.
    pub check: CheckRow,
    /// What it found.
    pub before: Found,
    /// What is found now.
    pub now: Found,
    /// The digest of that.
    pub digest: Digest,
    /// What differs, in words; nothing when the digests are the same.
    pub differs: Vec<String>,
}

/// Makes a check again with the settings and the baseline that it had.
///
/// # Errors
/// When there is no such check, or an object or the data cannot be read.
pub fn replay(place: &Place<'_>, wanted: &str, data: Data<'_>) -> Result<Replayed> {
    let (check, row) = place.store.read(|view| {
        let check = table::find_check(view, Some(wanted))?;
        let row = table::baseline_by_id(view, &check.baseline)?;
        Ok((check, row))
    })?;
    let row =
        row.ok_or_else(|| Error::new(format!("the baseline of the check {} is gone", check.uid)).hint("`kf fsck` tells more"))?;
    let before = found(place.objects, &check)?;
    if before.whole && data.reference.is_empty() {
        return Err(Error::usage("the check was made with the data of the reference, not with its profile")
            .hint("name them too: `--reference FILE`"));
    }
    let (now, _) = compare(place, &row, before.selection.clone(), &before.judgement.policy, data)?;
    let digest = Digest::of(&now.to_bytes()?);
    let differs = if digest == check.report { Vec::new() } else { differences(&before, &now) };
    Ok(Replayed { check, before, now, digest, differs })
}

/// Why two runs gave different bytes.
fn differences(before: &Found, now: &Found) -> Vec<String> {
    let mut differs = Vec::new();
    if before.data != now.data {
        let files = |f: &Found| f.data.iter().map(|file| file.digest.short()).collect::<Vec<_>>().join(", ");
        differs.push(format!("the data are others: {} instead of {}", files(now), files(before)));
    }
    if before.kf != now.kf {
        differs.push(format!("kf {} made it, this is kf {}", before.kf, now.kf));
    }
    let of =
        |f: &Found| f.judgement.columns.iter().map(|c| (c.name.clone(), c.clone())).collect::<std::collections::BTreeMap<_, _>>();
    let (old, new) = (of(before), of(now));
    let psi = |v: Option<f64>| v.map_or("no index".to_owned(), |v| format!("PSI {v:.4}"));
    for (name, column) in &old {
        match new.get(name) {
            Some(other) if other == column => {}
            Some(other) => differs.push(format!(
                "{name}: {} ({}) instead of {} ({})",
                other.status,
                psi(other.figures.psi),
                column.status,
                psi(column.figures.psi)
            )),
            None => differs.push(format!("{name} is not compared any more")),
        }
    }
    differs.extend(new.keys().filter(|name| !old.contains_key(*name)).map(|name| format!("{name} was not compared")));
    if differs.is_empty() {
        differs.push("what the files are like".to_owned());
    }
    differs
}
