//! Rolling back a model: the registry's part, in one transaction.

use super::attest;
use crate::base::error::{Error, Result};
use crate::base::name::{Name, Stage};
use crate::base::version::Version;
use crate::domain::registry::change::{Move, Way, move_to};
use crate::domain::registry::rollback::last_good;
use crate::domain::registry::table::{self, StageChange, VersionRow};
use crate::store::{Tx, View};

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The model.
    pub name: &'a Name,
    /// The version to put back; the last good one when not given.
    pub to: Option<Version>,
    /// Whether the version's files are what was registered.
    pub files: &'a dyn Fn(&VersionRow) -> Result<()>,
    /// The version that must be in production now.
    pub expect: Option<Version>,
    /// The ticket.
    pub ticket: Option<&'a str>,
    /// The reason.
    pub reason: Option<&'a str>,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct RolledBack {
    /// The version in production now.
    pub version: VersionRow,
    /// The version it took the place of.
    pub replaced: Option<VersionRow>,
    /// The audit event; `None` when the version was there already.
    pub event: Option<i64>,
}

/// The version that would come back as things stand: its files are best read before the writer's lock is taken.
///
/// # Errors
/// Those of [`roll_back`].
pub fn moving(view: View<'_>, request: &Request<'_>) -> Result<Option<VersionRow>> {
    Ok(Some(target(view, request)?).filter(|v| v.stage != Stage::Production))
}

/// Puts a version back into production.
///
/// # Errors
/// When there is no earlier good version, the version was never in production, or production is not what was expected.
pub fn roll_back(tx: &Tx<'_>, request: &Request<'_>) -> Result<RolledBack> {
    let view = tx.view();
    let target = target(view, request)?;
    if target.stage == Stage::Production {
        return Ok(RolledBack { version: target, replaced: None, event: None });
    }
    (request.files)(&target)?;
    let change = Move {
        way: Way::RollBack,
        to: Stage::Production,
        ticket: request.ticket,
        reason: request.reason,
        detail: serde_json::Map::new(),
    };
    let moved = move_to(tx, &target, &change)?;
    let version = table::version_by_id(view, target.id)?.unwrap_or(target);
    Ok(RolledBack { version, replaced: moved.replaced, event: Some(moved.event) })
}

/// The version to put back, which the audit log knows to have been in production; or the one that is there already.
///
/// # Errors
/// Those of [`roll_back`].
pub fn target(view: View<'_>, request: &Request<'_>) -> Result<VersionRow> {
    let model = table::model(view, request.name)?;
    let now = table::in_production(view, model.id)?;
    expect(request, now.as_ref())?;
    let history = table::history(view, model.id, u32::MAX)?;
    let target = match request.to {
        Some(version) => table::find_version(view, model.id, version)?.ok_or_else(|| {
            Error::new(format!("there is no {}@{version}", model.name))
                .hint(format!("`kf history {}` shows what was in production", model.name))
        })?,
        None => last_good(&history, now.as_ref())
            .and_then(|id| table::version_by_id(view, id).transpose())
            .transpose()?
            .ok_or_else(|| {
                Error::new(format!("{} has no earlier good production version", model.name)).hint(format!(
                    "`kf history {0}` shows what was in production; `kf rollback {0} --to VERSION` chooses one",
                    model.name
                ))
            })?,
    };
    if target.stage == Stage::Production {
        return Ok(target);
    }
    attest::version(view, &target)?;
    let Some(served) = served(&history, &target) else {
        return Err(never_served(&target, &format!("`kf promote {} --to production`", target.reference())));
    };
    attest::change(view, &model.name, served)?;
    Ok(target)
}

/// When a version was in production last.
fn served<'h>(history: &'h [StageChange], version: &VersionRow) -> Option<&'h StageChange> {
    history.iter().find(|c| c.version_id == version.id && c.to == Stage::Production)
}

fn never_served(version: &VersionRow, released: &str) -> Error {
    Error::new(format!("{} was never in production, so it is nothing to roll back to", version.reference()))
        .hint(format!("release it with its gates: {released}"))
}

/// Refuses a version that was never in production, of a model whose versions are released in another way than by a promotion:
/// `released` says how, or nothing where it has none.
///
/// # Errors
/// When that is so, and production is as expected.
pub fn must_have_served(view: View<'_>, request: &Request<'_>, released: impl Fn(&VersionRow) -> Option<String>) -> Result<()> {
    expected(view, request)?;
    let model = table::model(view, request.name)?;
    let version = request.to.map(|version| table::find_version(view, model.id, version)).transpose()?.flatten();
    let Some(version) = version.filter(|v| v.stage != Stage::Production) else { return Ok(()) };
    let Some(released) = released(&version) else { return Ok(()) };
    match served(&table::history(view, model.id, u32::MAX)?, &version) {
        None => Err(never_served(&version, &released)),
        Some(_) => Ok(()),
    }
}

/// Whether production has the version that was expected there.
///
/// # Errors
/// When it has another; when there is no such model.
pub fn expected(view: View<'_>, request: &Request<'_>) -> Result<()> {
    let model = table::model(view, request.name)?;
    expect(request, table::in_production(view, model.id)?.as_ref())
}

fn expect(request: &Request<'_>, now: Option<&VersionRow>) -> Result<()> {
    match request.expect {
        Some(version) if now.map(|v| v.version) != Some(version) => {
            let found = now.map_or("nothing".to_owned(), VersionRow::reference);
            Err(Error::new(format!("expected {}@{version} in production, found {found}", request.name))
                .hint(format!("somebody changed it meanwhile: look at `kf history {}` before trying again", request.name)))
        }
        _ => Ok(()),
    }
}
