//! The words of a question as the numbers by which the narrow rows know them.

use super::Filter;
use crate::base::error::Result;
use crate::base::event::Outcome;
use crate::store::View;
use crate::store::log::outcome_number;
use crate::values;

/// Separates kind and name of a resource in the dictionary.
const UNIT: char = '\u{1f}';

/// A question in numbers. `None` asks for anything; a list is never empty.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) actors: Option<Vec<i64>>,
    pub(super) actions: Option<Vec<i64>>,
    pub(super) resources: Option<Vec<i64>>,
    pub(super) ticket: Option<i64>,
    pub(super) outcome: Option<i64>,
    /// Microseconds, the end excluded.
    pub(super) since: Option<i64>,
    pub(super) until: Option<i64>,
    /// The first and the last index within that time.
    pub(super) range: Option<(i64, i64)>,
    /// All actions there are, when a search by actor alone needs them.
    pub(super) all_actions: Vec<i64>,
    /// The version or digest asked for with the resource.
    pub(super) version: Option<String>,
}

/// Looks the words up; `None` when one of them does not occur in the log, so that nothing fits.
pub(super) fn numbers(view: View<'_>, filter: &Filter) -> Result<Option<Numbers>> {
    let mut n = Numbers {
        since: filter.since.map(|t| t.micros()),
        until: filter.until.map(|t| t.micros()),
        outcome: filter.outcome.map(outcome_number),
        ..Numbers::default()
    };
    if let Some(actor) = &filter.actor {
        n.actors = Some(actors(view, actor)?);
        n.all_actions = words(view, "action", "", None)?;
    }
    if let Some(action) = &filter.action {
        n.actions = Some(actions(view, action)?);
    }
    if let Some(resource) = &filter.resource {
        let (ids, version) = resources(view, resource)?;
        (n.resources, n.version) = (Some(ids), version);
    }
    if let Some(ticket) = &filter.ticket {
        let Some(id) = word(view, "ticket", ticket)? else { return Ok(None) };
        n.ticket = Some(id);
    }
    if n.since.is_some() || n.until.is_some() {
        let Some(range) = range(view, n.since.unwrap_or(i64::MIN), n.until.unwrap_or(i64::MAX))? else { return Ok(None) };
        n.range = Some(range);
    }
    let empty = [&n.actors, &n.actions, &n.resources].iter().any(|list| list.as_ref().is_some_and(Vec::is_empty));
    Ok((!empty).then_some(n))
}

/// The indexes between which all entries of a span of time lie. Clocks can be set back, so this is not just the first and the
/// last by time.
fn range(view: View<'_>, since: i64, until: i64) -> Result<Option<(i64, i64)>> {
    let sql = "SELECT min(seq), max(seq) FROM ev WHERE ts >= ?1 AND ts < ?2";
    let range = view.first(sql, values![since, until], |row| Ok(row.opt_int(0)?.zip(row.opt_int(1)?)))?;
    Ok(range.flatten())
}

fn word(view: View<'_>, kind: &str, text: &str) -> Result<Option<i64>> {
    view.first("SELECT id FROM dict WHERE kind = ?1 AND text = ?2", values![kind, text], |row| row.int(0))
}

/// Words of a kind from `from` on, up to but without `to`.
fn words(view: View<'_>, kind: &str, from: &str, to: Option<&str>) -> Result<Vec<i64>> {
    let id = |row: &crate::store::Row<'_>| row.int(0);
    match to {
        Some(to) => view.all("SELECT id FROM dict WHERE kind = ?1 AND text >= ?2 AND text < ?3", values![kind, from, to], id),
        None => view.all("SELECT id FROM dict WHERE kind = ?1 AND text >= ?2", values![kind, from], id),
    }
}

fn actors(view: View<'_>, actor: &str) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM pseudonym WHERE name = ?1 OR id = ?1 ORDER BY id";
    let mut ids = view.all(sql, values![actor], |row| Ok(row.text(0)?.to_owned()))?;
    // What is encrypted cannot be asked for by name.
    let sealed = "SELECT id, name FROM pseudonym WHERE name >= 'kf-sealed:' AND name < 'kf-sealed;' ORDER BY id";
    view.each(sealed, values![], |row| {
        if row.name(1)? == actor {
            ids.push(row.text(0)?.to_owned());
        }
        Ok(())
    })?;
    // A pseudonym stays in the log when the row that names its person was erased.
    if !ids.iter().any(|id| id == actor) {
        ids.push(actor.to_owned());
    }
    let mut found = Vec::new();
    for id in ids {
        found.extend(word(view, "actor", &id)?);
    }
    Ok(found)
}

fn actions(view: View<'_>, action: &str) -> Result<Vec<i64>> {
    match action.strip_suffix("*").unwrap_or(action).strip_suffix('.') {
        // `/` follows `.` in ASCII.
        Some(noun) => words(view, "action", &format!("{noun}."), Some(&format!("{noun}/"))),
        None => Ok(word(view, "action", action)?.into_iter().collect()),
    }
}

/// Resources that the text names, and the version of them that it asks for.
fn resources(view: View<'_>, text: &str) -> Result<(Vec<i64>, Option<String>)> {
    let kinds = resource_kinds(view)?;
    let named = |name: &str| {
        let mut ids = Vec::new();
        for kind in &kinds {
            ids.extend(word(view, "res", &format!("{kind}{UNIT}{name}"))?);
        }
        Ok::<_, crate::base::error::Error>(ids)
    };
    let of = |text: &str| match text.split_once(':') {
        Some((kind, name)) if kinds.iter().any(|k| k == kind) => {
            Ok(word(view, "res", &format!("{kind}{UNIT}{name}"))?.into_iter().collect())
        }
        _ => named(text),
    };
    let ids = of(text)?;
    if !ids.is_empty() {
        return Ok((ids, None));
    }
    match text.split_once('@') {
        Some((name, version)) => Ok((of(name)?, Some(version.to_owned()))),
        None => Ok((ids, None)),
    }
}

/// The kinds of resources that occur, jumping from one to the next in the index.
fn resource_kinds(view: View<'_>) -> Result<Vec<String>> {
    let mut kinds: Vec<String> = Vec::new();
    let mut from = String::new();
    let sql = "SELECT text FROM dict WHERE kind = 'res' AND text >= ?1 ORDER BY text LIMIT 1";
    while let Some(text) = view.first(sql, values![&from], |row| Ok(row.text(0)?.to_owned()))? {
        let kind = text.split(UNIT).next().unwrap_or_default().to_owned();
        // A space is what follows the separator.
        from = format!("{kind} ");
        kinds.push(kind);
    }
    Ok(kinds)
}

/// The number of the outcome that has no index of its own, as most entries have it.
pub(super) fn usual() -> i64 {
    outcome_number(Outcome::Ok)
}
