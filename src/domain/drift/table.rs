//! The rows of drift: baselines, checks, what history shows of their columns, actions. Nobody else queries them.

use super::action::ActionState;
use super::policy::Status;
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::name::Name;
use crate::base::text::did_you_mean;
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::config::ActionKind as Kind;
use crate::store::{Row, View, values};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a model was accepted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BaselineRow {
    /// Its id.
    pub uid: String,
    /// The name of the drift.
    pub name: Name,
    /// The number of its version in the state.
    #[serde(skip)]
    pub version_id: i64,
    /// The model.
    pub model: Name,
    /// Its version.
    pub version: Version,
    /// The object that holds the profiles.
    pub profile: Digest,
    /// Its bytes.
    pub profile_bytes: u64,
    /// Over the files that it was taken of.
    pub data: Digest,
    /// Rows.
    pub rows: u64,
    /// Columns.
    pub columns: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// The audit event.
    pub event: i64,
}

impl BaselineRow {
    /// `faq@1.0.0`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.model, self.version)
    }
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckRow {
    /// Its id.
    pub uid: String,
    /// The name of the drift.
    pub name: Name,
    /// The id of its baseline.
    pub baseline: String,
    /// Over the files that were read.
    pub data: Digest,
    /// Rows.
    pub rows: u64,
    /// The sum of what was said.
    pub verdict: Status,
    /// The object that holds what was found.
    pub report: Digest,
    /// Its bytes.
    pub report_bytes: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// The audit event.
    pub event: i64,
}

/// What history shows of a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FigureRow {
    /// The column.
    pub column: String,
    /// What was said.
    pub status: Status,
    /// Its index, when it had one.
    pub psi: Option<f64>,
    /// Rows that held a value.
    pub n: i64,
}

/// What is to be done, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActionRow {
    /// Its id.
    pub uid: String,
    /// The name of the drift.
    pub name: Name,
    /// The model.
    pub model: Name,
    /// The id of the check that asked for it first.
    pub check: String,
    /// What it is.
    pub kind: Kind,
    /// The band that asked for it.
    pub band: Status,
    /// How far it is.
    pub state: ActionState,
    /// When it is to be done by.
    pub due: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: i64,
    /// Since when it is there.
    pub opened: Timestamp,
    /// When it changed last.
    pub changed: Timestamp,
    /// The audit event of that.
    pub event: i64,
}

/// The end of an id, by which people tell things apart.
pub fn short(uid: &str) -> &str {
    uid.get(uid.len().saturating_sub(SHORT)..).unwrap_or(uid)
}

const SHORT: usize = 8;

const BASELINE: &str = "SELECT b.uid, b.name, b.version, m.name, v.major, v.minor, v.patch, b.profile, b.profile_bytes, b.data, \
     b.row_count, b.column_count, b.created, COALESCE(p.name, b.actor), b.event FROM baseline b JOIN version v ON v.id = b.version \
     JOIN model m ON m.id = v.model LEFT JOIN pseudonym p ON p.id = b.actor";

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn baseline(row: &Row<'_>) -> Result<BaselineRow> {
    let part = |i: usize| row.int(i).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    Ok(BaselineRow {
        uid: row.text(0)?.to_owned(),
        name: row.parsed(1)?,
        version_id: row.int(2)?,
        model: row.parsed(3)?,
        version: Version::new(part(4)?, part(5)?, part(6)?),
        profile: row.digest(7)?,
        profile_bytes: unsigned(row.int(8)?),
        data: row.digest(9)?,
        rows: unsigned(row.int(10)?),
        columns: unsigned(row.int(11)?),
        at: row.time(12)?,
        actor: row.name(13)?,
        event: row.int(14)?,
    })
}

/// Every baseline, the newest of each name first.
///
/// # Errors
/// When the state cannot be read; as for all below.
pub fn baselines(view: View<'_>) -> Result<Vec<BaselineRow>> {
    view.all(&format!("{BASELINE} ORDER BY b.name, b.event DESC"), &[], baseline)
}

/// The newest baseline of a name.
pub fn newest_baseline(view: View<'_>, name: &Name) -> Result<Option<BaselineRow>> {
    view.first(&format!("{BASELINE} WHERE b.name = ?1 ORDER BY b.event DESC LIMIT 1"), values![name.as_str()], baseline)
}

/// The baseline of this id.
pub fn baseline_by_id(view: View<'_>, uid: &str) -> Result<Option<BaselineRow>> {
    view.first(&format!("{BASELINE} WHERE b.uid = ?1"), values![uid], baseline)
}

/// The newest baseline of a name.
///
/// # Errors
/// When there is none; names the nearest.
pub fn required_baseline(view: View<'_>, name: &Name) -> Result<BaselineRow> {
    if let Some(found) = newest_baseline(view, name)? {
        return Ok(found);
    }
    let mut names: Vec<String> = baselines(view)?.into_iter().map(|b| b.name.to_string()).collect();
    names.dedup();
    let e = Error::new(format!("there is no baseline `{name}`"));
    let near = crate::base::text::nearest(name.as_str(), names.iter().map(String::as_str));
    Err(match near {
        Some(near) => e.hint(format!("did you mean `{near}`?")),
        None => e.hint(format!("take one of what the model was accepted on: `kf drift baseline {name} --data FILE`")),
    })
}

const CHECK: &str = "SELECT c.uid, c.name, c.baseline, c.data, c.row_count, c.verdict, c.report, c.report_bytes, c.created, \
     COALESCE(p.name, c.actor), c.event FROM drift_check c LEFT JOIN pseudonym p ON p.id = c.actor";

fn check(row: &Row<'_>) -> Result<CheckRow> {
    Ok(CheckRow {
        uid: row.text(0)?.to_owned(),
        name: row.parsed(1)?,
        baseline: row.text(2)?.to_owned(),
        data: row.digest(3)?,
        rows: unsigned(row.int(4)?),
        verdict: row.parsed(5)?,
        report: row.digest(6)?,
        report_bytes: unsigned(row.int(7)?),
        at: row.time(8)?,
        actor: row.name(9)?,
        event: row.int(10)?,
    })
}

/// The checks of a name, newest first, at most `limit`.
pub fn checks(view: View<'_>, name: &Name, limit: u32) -> Result<Vec<CheckRow>> {
    view.all(&format!("{CHECK} WHERE c.name = ?1 ORDER BY c.event DESC LIMIT ?2"), values![name.as_str(), limit], check)
}

/// The newest check of a name that read these data.
pub fn check_of(view: View<'_>, name: &Name, data: &Digest) -> Result<Option<CheckRow>> {
    let sql = format!("{CHECK} WHERE c.name = ?1 AND c.data = ?2 ORDER BY c.event DESC LIMIT 1");
    view.first(&sql, values![name.as_str(), *data], check)
}

/// A check by its id, the end of its id, or the name whose newest it is; without, the newest of all.
///
/// # Errors
/// When there is none, or the end fits several.
pub fn find_check(view: View<'_>, wanted: Option<&str>) -> Result<CheckRow> {
    let Some(wanted) = wanted else {
        let newest = view.first(&format!("{CHECK} ORDER BY c.event DESC LIMIT 1"), &[], check)?;
        return newest
            .ok_or_else(|| Error::new("nothing was checked yet").hint("`kf drift check NAME --data FILE` checks new data"));
    };
    if let Some(found) = wanted.parse::<Name>().ok().map(|name| checks(view, &name, 1)).transpose()?.and_then(|mut all| all.pop())
    {
        return Ok(found);
    }
    let sql = format!("{CHECK} WHERE c.uid LIKE ?1 ESCAPE '\\' ORDER BY c.event DESC LIMIT 2");
    let found = view.all(&sql, values![ending(wanted)], check)?;
    one(found, wanted, "check", "`kf drift history` lists checks").or_else(|e| named(view, wanted, e))
}

/// The error for a word that names no check, with the name that was likely meant.
fn named(view: View<'_>, wanted: &str, e: Error) -> Result<CheckRow> {
    let mut names = view.all("SELECT DISTINCT name FROM drift_check ORDER BY name", &[], |r| Ok(r.text(0)?.to_owned()))?;
    names.retain(|name| crate::base::text::nearest(wanted, [name.as_str()]).is_some());
    match did_you_mean(wanted, names.iter().map(String::as_str)) {
        Some(hint) => Err(e.without_hints().hint(hint)),
        None => Err(e),
    }
}

/// What LIKE finds the end of an id by; `\` stands before what is meant literally.
fn ending(wanted: &str) -> String {
    let literal: String =
        wanted.chars().flat_map(|c| matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain([c])).collect();
    format!("%{literal}")
}

/// The fewest characters of an id that name something.
const ENDING_MIN: usize = 4;

fn one<T>(mut found: Vec<T>, wanted: &str, what: &str, hint: &str) -> Result<T> {
    let shown = crate::base::text::visible(wanted, 40);
    match (found.len(), found.pop()) {
        (1, Some(one)) if wanted.len() >= ENDING_MIN => Ok(one),
        (2.., _) => Err(Error::new(format!("`{shown}` fits several {what}s")).hint("give more of the id")),
        _ => Err(Error::new(format!("there is no {what} `{shown}`")).hint(hint)),
    }
}

/// What history shows of the columns of a check, in their order.
pub fn figures(view: View<'_>, check: &str) -> Result<Vec<FigureRow>> {
    let sql = "SELECT column_name, status, psi, n FROM drift_figure WHERE drift_check = ?1 ORDER BY pos";
    view.all(sql, values![check], |r| {
        Ok(FigureRow { column: r.text(0)?.to_owned(), status: r.parsed(1)?, psi: r.opt_real(2)?, n: r.int(3)? })
    })
}

/// The index of columns in the checks of a name before an event, the oldest first, at most `limit` of them.
pub fn history(view: View<'_>, name: &Name, before: i64, limit: u32) -> Result<BTreeMap<String, Vec<f64>>> {
    let sql = "SELECT f.column_name, f.psi FROM drift_figure f JOIN drift_check c ON c.uid = f.drift_check WHERE f.psi IS NOT NULL \
         AND c.uid IN (SELECT o.uid FROM drift_check o WHERE o.name = ?1 AND o.event < ?2 ORDER BY o.event DESC LIMIT ?3) \
         ORDER BY c.event, f.pos";
    let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    view.each(sql, values![name.as_str(), before, limit], |r| {
        all.entry(r.text(0)?.to_owned()).or_default().push(r.real(1)?);
        Ok(())
    })?;
    Ok(all)
}

const ACTION: &str = "SELECT a.uid, a.name, m.name, a.drift_check, a.kind, a.band, a.state, a.due, a.attempts, a.opened, a.changed, a.event \
     FROM drift_action a JOIN model m ON m.id = a.model";

fn action(row: &Row<'_>) -> Result<ActionRow> {
    Ok(ActionRow {
        uid: row.text(0)?.to_owned(),
        name: row.parsed(1)?,
        model: row.parsed(2)?,
        check: row.text(3)?.to_owned(),
        kind: row.parsed(4)?,
        band: row.parsed(5)?,
        state: row.parsed(6)?,
        due: row.opt_int(7)?.map(Timestamp::from_micros),
        attempts: row.int(8)?,
        opened: row.time(9)?,
        changed: row.time(10)?,
        event: row.int(11)?,
    })
}

/// The newest action of each kind that a name, or a model, ever had.
pub fn last_actions(view: View<'_>, name: &Name, model: i64) -> Result<Vec<ActionRow>> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let (by, value): (_, crate::store::Value) = match kind.is_of_model() {
            true => ("a.model", model.into()),
            false => ("a.name", name.as_str().into()),
        };
        let sql = format!("{ACTION} WHERE {by} = ?1 AND a.kind = ?2 ORDER BY a.event DESC LIMIT 1");
        all.extend(view.first(&sql, &[value, kind.word().into()], action)?);
    }
    Ok(all)
}

/// Actions that are open or failed, by their deadline, then age.
pub fn pending(view: View<'_>) -> Result<Vec<ActionRow>> {
    let sql = format!("{ACTION} WHERE a.state IN ('open', 'failed') ORDER BY a.due IS NULL, a.due, a.opened, a.event");
    view.all(&sql, &[], action)
}

/// The actions that a check asked for first.
pub fn actions_of(view: View<'_>, check: &str) -> Result<Vec<ActionRow>> {
    view.all(&format!("{ACTION} WHERE a.drift_check = ?1 ORDER BY a.opened, a.event"), values![check], action)
}

/// An action by its id, the end of it, or the name that has one open action.
///
/// # Errors
/// When there is none, or it fits several.
pub fn find_action(view: View<'_>, wanted: &str) -> Result<ActionRow> {
    let hint = "`kf drift due` lists those that are open";
    let mut of_name = pending(view)?;
    of_name.retain(|action| action.name.as_str() == wanted);
    if of_name.len() > 1 {
        return Err(
            Error::new(format!("`{wanted}` has {} open actions", of_name.len())).hint(format!("name one by its id: {hint}"))
        );
    }
    if let Some(only) = of_name.pop() {
        return Ok(only);
    }
    let sql = format!("{ACTION} WHERE a.uid LIKE ?1 ESCAPE '\\' ORDER BY a.uid LIMIT 2");
    one(view.all(&sql, values![ending(wanted)], action)?, wanted, "action", hint)
}

/// The digests of all objects that rows name, with what each is, the one of the newest row last, and its bytes.
pub fn objects(view: View<'_>) -> Result<Vec<(Digest, String, u64)>> {
    let named = |of: &'static str| move |r: &Row<'_>| Ok((r.digest(0)?, format!("{of} of {}", r.text(1)?), unsigned(r.int(2)?)));
    let mut all = view.all("SELECT profile, name, profile_bytes FROM baseline ORDER BY event", &[], named("baseline"))?;
    all.extend(view.all("SELECT report, name, report_bytes FROM drift_check ORDER BY event", &[], named("report of a check"))?);
    Ok(all)
}
