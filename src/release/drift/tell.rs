//! What people are told of drift: that it began, and that it is over.
//!
//! One condition a name, `drift/NAME`: a later message about the same drift, and the one that it is over, go to the same place.

use crate::base::error::Result;
use crate::base::name::Name;
use crate::base::text::count;
use crate::config::Drift;
use crate::domain::alert::Alert;
use crate::domain::alert::table::last_about;
use crate::domain::drift::policy::Status;
use crate::domain::drift::record::{Turn, turn};
use crate::domain::drift::table::{ActionRow, short};
use crate::domain::drift::verdict::Judgement;
use crate::release::alert::raise;
use crate::seams::notifier::{Act, Severity};
use crate::store::{Tx, View};

/// How many columns a message names with their reasons.
const MOVED_SHOWN: usize = 10;

/// What people were told last.
pub(super) struct Told {
    /// That it began, or that it is over.
    pub(super) act: Act,
    channels: Vec<Name>,
}

fn about(name: &Name) -> String {
    format!("drift/{name}")
}

/// What people were told last of the drift of this name.
pub(super) fn told(view: View<'_>, name: &Name) -> Result<Option<Told>> {
    Ok(last_about(view, &about(name))?.map(|(row, channels)| Told { act: row.alert.act, channels }))
}

/// Raises the alert that a `notify` asks for, with which that is done: from now on the alert is what is to be sent.
pub(super) fn begun(tx: &Tx<'_>, config: &Drift, action: &ActionRow, judgement: &Judgement) -> Result<()> {
    raise(tx, &config.actions.alerts, &alert(action, judgement))?;
    turn(tx, action, Turn::Done, None).map(|_| ())
}

/// Raises the alert that what was told is over, to those who were told and are still to be told; nothing when nobody was, or that was
/// told already.
pub(super) fn over(tx: &Tx<'_>, config: &Drift, told: Option<Told>, check: &str, judgement: &Judgement) -> Result<()> {
    let Some(told) = told.filter(|told| told.act == Act::Trigger) else { return Ok(()) };
    let channels: Vec<Name> = told.channels.into_iter().filter(|c| config.actions.alerts.contains(c)).collect();
    if channels.is_empty() {
        return Ok(());
    }
    let band = judgement.status.weight();
    let alert = Alert {
        about: about(&config.name),
        act: Act::Resolve,
        severity: Severity::Info,
        title: format!("drift of {} is over: {band}: {}", config.name, judgement.reason),
        body: more(&config.name, check),
        facts: facts([
            ("drift", config.name.as_str()),
            ("model", config.model.as_str()),
            ("band", band.word()),
            ("check", check),
        ]),
    };
    raise(tx, &channels, &alert).map(|_| ())
}

fn facts<const N: usize>(of: [(&str, &str); N]) -> Vec<(String, String)> {
    of.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn more(name: &Name, check: &str) -> String {
    format!("`kf drift explain {name}` tells more (check {})", short(check))
}

fn severity(band: Status) -> Severity {
    match band.weight() {
        Status::Critical => Severity::Critical,
        Status::Warning => Severity::Warning,
        _ => Severity::Info,
    }
}

/// What an action says to whom it tells.
pub(super) fn alert(action: &ActionRow, judgement: &Judgement) -> Alert {
    let columns: Vec<_> = judgement.columns.iter().filter(|c| c.status.moved()).collect();
    let mut lines: Vec<String> =
        columns.iter().take(MOVED_SHOWN).map(|c| format!("{}: {}: {}", c.name, c.status, c.why)).collect();
    let rest = columns.len().checked_sub(MOVED_SHOWN).filter(|n| *n > 0);
    lines.extend(rest.map(|n| format!("and {} more", count(n, "column"))));
    let answers = judgement.outcome.iter().flat_map(|outcome| outcome.changes()).filter(|change| change.status.moved());
    lines.extend(answers.map(|change| format!("{}: {}: {}", change.name, change.status, change.why)));
    lines.push(more(&action.name, &action.check));
    let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    Alert {
        about: about(&action.name),
        act: Act::Trigger,
        severity: severity(action.band),
        title: format!("drift of {}: {}: {}", action.name, action.band, judgement.reason),
        body: lines.join("\n"),
        facts: facts([
            ("drift", action.name.as_str()),
            ("model", action.model.as_str()),
            ("band", action.band.word()),
            ("check", &action.check),
            // The names of what is told of texts have a comma in them.
            ("columns", &names.join("; ")),
        ]),
    }
}
