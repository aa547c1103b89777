//! Whether the registry's rows say what the audit log says: the log is replayed, and what comes out is compared with the rows,
//! both ways and column by column. So a row that was edited, added or removed without an event is found.
//!
//! Covered: every column of `model`, `version`, `version_note`, `version_link`, `alias` and `stage_change`. Only `id` has no
//! meaning of its own: what refers to it is compared by name.

use super::change::{REPLACED, Way};
use super::table::{StageChange, VersionRow};
use crate::base::error::Result;
use crate::base::name::{Name, Stage};
use crate::store::View;
use crate::store::check::rows::{self, Cell, Cells, Rows, Told};
use crate::store::check::{Entry, Finding, restore_fix};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The registry as the log tells it.
#[derive(Debug, Default)]
pub struct Replay {
    told: Rows<Told>,
    /// By model, the event that made it.
    models: BTreeMap<String, i64>,
    /// What garbage collections removed whose entries only name an object with the list, by entry.
    lists: BTreeMap<i64, Vec<String>>,
    /// Times of garbage collections of which there is no list.
    unlisted: BTreeSet<i64>,
}

/// The actions that a replay wants to see.
pub const ACTIONS: &[&str] = &["version.", "alias.", "gc.run"];

fn text(value: impl ToString) -> Cell {
    Some(value.to_string())
}

impl Replay {
    /// A replay that knows what garbage collections removed whose entries only name an object with the list.
    pub fn new(lists: BTreeMap<i64, Vec<String>>) -> Self {
        Self { lists, ..Self::default() }
    }

    /// Takes the next entry of the log.
    pub fn take(&mut self, entry: &Entry) {
        let reference = entry.reference().unwrap_or_default();
        let told = |cells: Vec<(&'static str, Cell)>| Told { event: entry.seq, cells: cells.into_iter().collect() };
        let alias = || format!("alias {}@{}", entry.res.name, entry.text("alias").unwrap_or_default());
        let tag = || format!("tag {} of {reference}", entry.text("tag").unwrap_or_default());
        match entry.action.as_str() {
            "version.registered" => self.registered(entry, &reference),
            "version.tagged" => {
                self.told.insert(tag(), told(vec![("value", text(""))]));
            }
            "version.untagged" => {
                self.told.remove(&tag());
            }
            "alias.set" => {
                self.told.insert(alias(), told(vec![("version", Some(reference))]));
            }
            "alias.removed" => {
                self.told.remove(&alias());
            }
            "gc.run" => self.collected(entry),
            _ => self.moved(entry, &reference),
        }
    }

    fn registered(&mut self, entry: &Entry, reference: &str) {
        let event = entry.seq;
        let mut tell = |subject: String, cells: Vec<(&'static str, Cell)>| {
            self.told.insert(subject, Told { event, cells: cells.into_iter().collect() });
        };
        if !self.models.contains_key(&entry.res.name) {
            self.models.insert(entry.res.name.clone(), event);
            let kind = entry.text("type").map(str::to_owned);
            tell(format!("model {}", entry.res.name), vec![("kind", kind), ("created", text(entry.at.micros()))]);
        }
        let fact = |key: &str| entry.detail.get(key).and_then(Value::as_i64).map(|n| n.to_string());
        let git = |key: &str| entry.detail.get("git").and_then(|g| g.get(key));
        let git_text = |key: &str| git(key).and_then(Value::as_str).map(str::to_owned);
        let version = vec![
            ("digest", entry.res.digest.map(|d| d.to_string())),
            ("stage", text(Stage::Development)),
            ("created", text(entry.at.micros())),
            ("author", text(&entry.actor.id)),
            ("files", fact("files")),
            ("bytes", fact("bytes")),
            ("git_commit", git_text("commit")),
            ("git_branch", git_text("branch")),
            ("git_dirty", git("dirty").and_then(Value::as_bool).map(|dirty| i64::from(dirty).to_string())),
            ("retired", None),
            ("purged", None),
            ("event", text(event)),
        ];
        tell(format!("version {reference}"), version);
        for (fact, kind) in [("metrics", "metric"), ("meta", "meta")] {
            for (key, value) in entry.detail.get(fact).and_then(Value::as_object).into_iter().flatten() {
                tell(format!("{kind} {key} of {reference}"), vec![("value", value.as_str().map(str::to_owned))]);
            }
        }
        let list = |fact: &str| entry.detail.get(fact).and_then(Value::as_array).into_iter().flatten();
        for tag in list("tags").filter_map(Value::as_str) {
            tell(format!("tag {tag} of {reference}"), vec![("value", text(""))]);
        }
        let part = |link: &Value, key: &str| link.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        for link in list("links") {
            tell(format!("link {} {} of {reference}", part(link, "relation"), part(link, "version")), Vec::new());
        }
    }

    /// Whatever moves a version says from where and to where, and what it replaced.
    fn moved(&mut self, entry: &Entry, reference: &str) {
        // Only versions move between stages; collections move between engines.
        if reference.is_empty() {
            return;
        }
        let (Some(from), Some(to)) = (entry.text("from"), entry.text("to")) else { return };
        let replaced = entry.detail.get("replaced").and_then(|r| r.get("version")).and_then(Value::as_str);
        let replaced = replaced.map(|version| format!("{}@{version}", entry.res.name));
        if let Some(old) = &replaced {
            self.moved_one(entry, old, REPLACED, (Stage::Production.word(), Stage::Archived.word()), None);
        }
        let way = Way::ALL.into_iter().find(|w| w.action() == entry.action);
        self.moved_one(entry, reference, way.map_or("", Way::how), (from, to), replaced);
    }

    fn moved_one(&mut self, entry: &Entry, reference: &str, how: &str, (from, to): (&str, &str), replaced: Cell) {
        let cells = [
            ("model", text(&entry.res.name)),
            ("how", text(how)),
            ("from_stage", text(from)),
            ("to_stage", text(to)),
            ("replaced", replaced),
            ("ts", text(entry.at.micros())),
            ("actor", text(&entry.actor.id)),
            ("ticket", entry.ticket.clone()),
        ];
        self.told.insert(move_of(reference, entry.seq), Told { event: entry.seq, cells: cells.into() });
        let retired = (to == Stage::Archived.word()).then(|| entry.at.micros().to_string());
        let filled = how == Way::Refill.how();
        if let Some(version) = self.told.get_mut(&format!("version {reference}")) {
            version.cells.extend([("stage", text(to)), ("retired", retired)]);
            if filled {
                version.cells.insert("purged", None);
            }
        }
    }

    fn collected(&mut self, entry: &Entry) {
        let listed = self.lists.remove(&entry.seq);
        let inline = || {
            let versions = entry.detail.get("versions")?.as_array()?;
            Some(versions.iter().filter_map(|v| Some(v.get("version")?.as_str()?.to_owned())).collect())
        };
        match inline().or(listed) {
            None => drop(self.unlisted.insert(entry.at.micros())),
            Some(versions) => {
                for reference in versions {
                    if let Some(version) = self.told.get_mut(&format!("version {reference}")) {
                        version.cells.insert("purged", text(entry.at.micros()));
                    }
                }
            }
        }
    }

    /// Compares the rows with what the log told.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn compare(mut self, view: View<'_>) -> Result<Vec<Finding>> {
        let stored = stored(view)?;
        self.believe_unlisted(&stored);
        let mut findings = rows::compare(&stored, &self.told);
        findings.extend(in_production_twice(&stored));
        Ok(findings)
    }

    /// The list of a garbage collection that cannot be read is a finding of its own; a version that says it was removed then is
    /// not another one.
    fn believe_unlisted(&mut self, stored: &Rows<Vec<Cells>>) {
        for (subject, told) in self.told.iter_mut().filter(|(subject, _)| subject.starts_with("version ")) {
            let purged = stored.get(subject).and_then(|rows| rows.first()?.get("purged")?.clone());
            let then = purged.as_ref().and_then(|at| at.parse().ok());
            if then.is_some_and(|at| self.unlisted.contains(&at)) {
                told.cells.insert("purged", purged);
            }
        }
    }
}

/// What of a version differs from what these entries tell of it: the one that registered it, and the last that moved it.
pub fn version_differs(version: &VersionRow, entries: &[Entry]) -> Vec<String> {
    let told = told(entries);
    let Some(told) = told.get(&format!("version {}", version.reference())) else {
        return vec![format!("entry {} registered no such version", version.event)];
    };
    let git = version.git.as_ref();
    let row = Cells::from([
        ("digest", text(version.digest)),
        ("stage", text(version.stage)),
        ("created", text(version.created.micros())),
        ("files", text(version.files)),
        ("bytes", text(version.bytes)),
        ("git_commit", git.map(|g| g.commit.clone())),
        ("git_branch", git.and_then(|g| g.branch.clone())),
        ("git_dirty", git.map(|g| i64::from(g.dirty).to_string())),
        ("event", text(version.event)),
    ]);
    rows::differences_read(&row, &told.cells)
}

/// What of a line of the stage history differs from what its entry tells of it.
pub fn change_differs(model: &Name, change: &StageChange, entry: Entry) -> Vec<String> {
    let reference = format!("{model}@{}", change.version);
    let event = entry.seq;
    let told = told(&[entry]);
    let Some(told) = told.get(&move_of(&reference, event)) else {
        return vec![format!("entry {event} does not move {reference}")];
    };
    let row = Cells::from([("how", text(&change.how)), ("to_stage", text(change.to))]);
    rows::differences_read(&row, &told.cells)
}

/// The metadata that an entry registered under a key.
pub fn told_meta(entry: &Entry, key: &str) -> Option<String> {
    entry.detail.get("meta")?.get(key)?.as_str().map(str::to_owned)
}

fn told(entries: &[Entry]) -> Rows<Told> {
    let mut replay = Replay::default();
    entries.iter().for_each(|entry| replay.take(entry));
    replay.told
}

fn move_of(reference: &str, event: i64) -> String {
    format!("move of {reference} by entry {event}")
}

/// The numbers of a table's rows with what they stand for.
type Ids = BTreeMap<String, String>;

/// What a number stands for; a number that stands for nothing stays.
fn name(ids: &Ids, row: &Cells, column: &str) -> String {
    let id = row.get(column).cloned().flatten().unwrap_or_default();
    ids.get(&id).cloned().unwrap_or_else(|| format!("#{id}"))
}

/// `name@1.2.0` of each version by its number.
///
/// # Errors
/// When the rows cannot be read.
pub fn references(view: View<'_>) -> Result<Ids> {
    let models = by_id(rows::stored(view, "model")?, |row| value(row, "name"));
    Ok(by_id(rows::stored(view, "version")?, |row| reference(&models, row)))
}

fn by_id(rows: Vec<Cells>, name: impl Fn(&Cells) -> String) -> Ids {
    rows.iter().map(|row| (value(row, "id"), name(row))).collect()
}

fn value(row: &Cells, column: &str) -> String {
    row.get(column).cloned().flatten().unwrap_or_default()
}

fn reference(models: &Ids, row: &Cells) -> String {
    format!("{}@{}.{}.{}", name(models, row, "model"), value(row, "major"), value(row, "minor"), value(row, "patch"))
}

/// Every row of the registry by what it is about.
fn stored(view: View<'_>) -> Result<Rows<Vec<Cells>>> {
    let mut all: Rows<Vec<Cells>> = BTreeMap::new();
    let mut put = |subject: String, row: Cells| all.entry(subject).or_default().push(row);
    let models = by_id(rows::stored(view, "model")?, |row| value(row, "name"));
    let versions = references(view)?;
    for row in rows::stored(view, "model")? {
        put(format!("model {}", value(&row, "name")), row);
    }
    for row in rows::stored(view, "version")? {
        put(format!("version {}", reference(&models, &row)), row);
    }
    for row in rows::stored(view, "version_note")? {
        put(format!("{} {} of {}", value(&row, "kind"), value(&row, "key"), name(&versions, &row, "version")), row);
    }
    for row in rows::stored(view, "version_link")? {
        let target = name(&versions, &row, "target");
        put(format!("link {} {target} of {}", value(&row, "relation"), name(&versions, &row, "version")), row);
    }
    for mut row in rows::stored(view, "alias")? {
        row.insert("version", Some(name(&versions, &row, "version")));
        put(format!("alias {}@{}", name(&models, &row, "model"), value(&row, "name")), row);
    }
    for mut row in rows::stored(view, "stage_change")? {
        let subject = format!("move of {} by entry {}", name(&versions, &row, "version"), value(&row, "event"));
        row.insert("model", Some(name(&models, &row, "model")));
        if row.get("replaced").is_some_and(Option::is_some) {
            row.insert("replaced", Some(name(&versions, &row, "replaced")));
        }
        put(subject, row);
    }
    Ok(all)
}

/// Models with more than one version in production, which no command leaves behind.
fn in_production_twice(stored: &Rows<Vec<Cells>>) -> Vec<Finding> {
    let mut serving: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (subject, rows) in stored {
        let Some((model, version)) = subject.strip_prefix("version ").and_then(|r| r.rsplit_once('@')) else { continue };
        let production = Some(Stage::Production.word().to_owned());
        if rows.iter().any(|row| row.get("stage") == Some(&production)) {
            serving.entry(model).or_default().push(version);
        }
    }
    let twice = serving.into_iter().filter(|(_, versions)| versions.len() > 1);
    twice
        .map(|(model, versions)| {
            let problem = format!("{} versions are in production: {}", versions.len(), versions.join(", "));
            Finding::new(format!("model {model}"), problem, restore_fix(None))
        })
        .collect()
}

#[cfg(test)]
mod tests;
