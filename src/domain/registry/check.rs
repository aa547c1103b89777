//! Whether the registry's rows say what the audit log says: the log is replayed, and what comes out is compared with the rows,
//! both ways. So a row that was edited, added or removed without an event is found, down to a single column.
//!
//! Covered: type of each model; number, digest, files, bytes, Git commit, links, registration, stage and retirement of each
//! version; stage history; aliases; one version in production. Not in the log, hence not covered: metrics, metadata and tags
//! given at registration, and the names of people, which may be erased.

use super::table::{self, Model, VersionRow};
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::name::Stage;
use crate::base::time::Timestamp;
use crate::store::View;
use crate::store::check::{Entry, Finding, restore_fix};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A version as the log tells it.
#[derive(Debug)]
struct Told {
    event: i64,
    at: Timestamp,
    kind: String,
    digest: Option<Digest>,
    files: Option<i64>,
    bytes: Option<i64>,
    commit: Option<String>,
    dirty: Option<bool>,
    links: BTreeSet<(String, String)>,
    stage: String,
    retired: Option<Timestamp>,
}

/// A line of the stage history as the log tells it: event, version, from, to.
type Line = (i64, String, Option<String>, String);

/// The registry as the log tells it.
#[derive(Debug, Default)]
pub struct Replay {
    /// By `name@1.2.0`.
    versions: BTreeMap<String, Told>,
    history: BTreeSet<Line>,
    /// By model and alias: the version and the event.
    aliases: BTreeMap<(String, String), (String, i64)>,
    collected: BTreeSet<Timestamp>,
}

/// The actions that a replay wants to see.
pub const ACTIONS: &[&str] = &["version.", "alias.", "gc."];

impl Replay {
    /// Takes the next entry of the log.
    pub fn take(&mut self, seq: i64, entry: &Entry) {
        let reference = entry.res.version.map(|v| format!("{}@{v}", entry.res.name)).unwrap_or_default();
        match entry.action.as_str() {
            "version.registered" => {
                self.versions.insert(reference, told(seq, entry));
            }
            "alias.set" => {
                let key = (entry.res.name.clone(), entry.text("alias").unwrap_or_default().to_owned());
                self.aliases.insert(key, (reference, seq));
            }
            "alias.removed" => {
                self.aliases.remove(&(entry.res.name.clone(), entry.text("alias").unwrap_or_default().to_owned()));
            }
            "gc.run" => {
                self.collected.insert(entry.at);
            }
            _ => self.moved(seq, entry, &reference),
        }
    }

    /// Whatever moves a version says from where and to where, and what it replaced.
    fn moved(&mut self, seq: i64, entry: &Entry, reference: &str) {
        let (Some(from), Some(to)) = (entry.text("from"), entry.text("to")) else { return };
        self.history.insert((seq, reference.to_owned(), Some(from.to_owned()), to.to_owned()));
        self.stand(reference, to, entry.at);
        let replaced = entry.detail.get("replaced").and_then(|r| r.get("version")).and_then(Value::as_str);
        if let Some(version) = replaced {
            let replaced = format!("{}@{version}", entry.res.name);
            let archived = Stage::Archived.word();
            self.history.insert((seq, replaced.clone(), Some(Stage::Production.word().to_owned()), archived.to_owned()));
            self.stand(&replaced, archived, entry.at);
        }
    }

    fn stand(&mut self, reference: &str, stage: &str, at: Timestamp) {
        if let Some(version) = self.versions.get_mut(reference) {
            version.stage = stage.to_owned();
            version.retired = (stage == Stage::Archived.word()).then_some(at);
        }
    }

    /// Compares the rows with what the log told.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn compare(&self, view: View<'_>) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let (mut seen, mut lines, mut aliases) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for model in table::models(view)? {
            let versions = table::versions(view, model.id, u32::MAX)?;
            findings.extend(check_model(&model, &versions));
            for version in &versions {
                let links = table::links_from(view, version.id)?;
                let links = links.iter().map(|(relation, v)| (relation.clone(), v.reference())).collect();
                findings.extend(self.check_version(version, &links));
                seen.insert(version.reference());
            }
            for change in table::history(view, model.id, u32::MAX)? {
                let reference = format!("{}@{}", model.name, change.version);
                lines.insert((change.event, reference, change.from.map(|s| s.word().to_owned()), change.to.word().to_owned()));
            }
            for (alias, version, _) in table::aliases(view, model.id)? {
                let key = (model.name.to_string(), alias.to_string());
                findings.extend(self.check_alias(&key, &format!("{}@{version}", model.name)));
                aliases.insert(key);
            }
        }
        for (reference, told) in self.versions.iter().filter(|(r, _)| !seen.contains(*r)) {
            let problem = format!("entry {} of the audit log registered it, but its row is gone", told.event);
            findings.push(Finding::new(format!("version {reference}"), problem, restore_fix(Some(told.event))));
        }
        for ((model, alias), (_, event)) in self.aliases.iter().filter(|(k, _)| !aliases.contains(k)) {
            let problem = format!("entry {event} of the audit log set it, but its row is gone");
            findings.push(Finding::new(format!("alias {model}@{alias}"), problem, restore_fix(Some(*event))));
        }
        findings.extend(self.history.difference(&lines).map(|l| line_finding(l, "has no line in the stage history")));
        findings.extend(
            lines.difference(&self.history).map(|l| line_finding(l, "is in the stage history, but no event tells of it")),
        );
        Ok(findings)
    }

    fn check_version(&self, version: &VersionRow, links: &BTreeSet<(String, String)>) -> Option<Finding> {
        let reference = version.reference();
        let subject = format!("version {reference}");
        let Some(told) = self.versions.get(&reference) else {
            let problem = "no event of the audit log registered it";
            return Some(Finding::new(subject, problem, restore_fix(None)));
        };
        let mut wrong = told.differences(version);
        if *links != told.links {
            wrong.push("its links are others".into());
        }
        if let Some(purged) = version.purged.filter(|p| !self.collected.contains(p)) {
            wrong.push(format!("it is marked as removed on {purged}, but no garbage collection ran then"));
        }
        let problem = format!("its row does not say what the audit log says: {}", wrong.join("; "));
        (!wrong.is_empty()).then(|| Finding::new(subject, problem, restore_fix(Some(told.event))))
    }

    fn check_alias(&self, key: &(String, String), version: &str) -> Option<Finding> {
        let problem = match self.aliases.get(key) {
            Some((told, _)) if told == version => return None,
            Some((told, event)) => format!("it points to {version}, entry {event} of the audit log says {told}"),
            None => format!("it points to {version}, but no event of the audit log set it"),
        };
        let event = self.aliases.get(key).map(|(_, event)| *event);
        Some(Finding::new(format!("alias {}@{}", key.0, key.1), problem, restore_fix(event)))
    }
}

fn told(seq: i64, entry: &Entry) -> Told {
    let git = |key: &str| entry.detail.get("git").and_then(|g| g.get(key));
    let link = |l: &Value| Some((l.get("relation")?.as_str()?.to_owned(), l.get("version")?.as_str()?.to_owned()));
    Told {
        event: seq,
        at: entry.at,
        kind: entry.text("type").unwrap_or_default().to_owned(),
        digest: entry.res.digest,
        files: entry.detail.get("files").and_then(Value::as_i64),
        bytes: entry.detail.get("bytes").and_then(Value::as_i64),
        commit: git("commit").and_then(Value::as_str).map(str::to_owned),
        dirty: git("dirty").and_then(Value::as_bool),
        links: entry.detail.get("links").and_then(Value::as_array).into_iter().flatten().filter_map(link).collect(),
        stage: Stage::Development.word().to_owned(),
        retired: None,
    }
}

impl Told {
    /// What the row says otherwise.
    fn differences(&self, row: &VersionRow) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut compare = |what: &str, row: String, told: String| {
            if row != told {
                wrong.push(format!("{what} is {row}, recorded was {told}"));
            }
        };
        let time = |t: Option<Timestamp>| t.map_or("never".to_owned(), |t| t.to_string());
        let digest = |d: Option<Digest>| d.map_or("none".to_owned(), |d| d.to_string());
        let number = |n: Option<i64>| n.map_or("none".to_owned(), |n| n.to_string());
        compare("event", row.event.to_string(), self.event.to_string());
        compare("type", row.kind.to_string(), self.kind.clone());
        compare("digest", digest(Some(row.digest)), digest(self.digest));
        compare("number of files", number(Some(row.files)), number(self.files));
        compare("number of bytes", number(Some(row.bytes)), number(self.bytes));
        compare("time of registration", row.created.to_string(), self.at.to_string());
        compare("stage", row.stage.to_string(), self.stage.clone());
        compare("time of retirement", time(row.retired), time(self.retired));
        let git = |commit: Option<&str>, dirty: Option<bool>| match commit {
            Some(commit) => format!("{commit}{}", if dirty == Some(true) { " with changes" } else { "" }),
            None => "none".to_owned(),
        };
        let git_row = row.git.as_ref();
        compare(
            "Git commit",
            git(git_row.map(|g| g.commit.as_str()), git_row.map(|g| g.dirty)),
            git(self.commit.as_deref(), self.dirty),
        );
        wrong
    }
}

/// What must hold between the versions of one model.
fn check_model(model: &Model, versions: &[VersionRow]) -> Vec<Finding> {
    let subject = format!("model {}", model.name);
    let mut findings = Vec::new();
    let production: Vec<String> =
        versions.iter().filter(|v| v.stage == Stage::Production).map(|v| v.version.to_string()).collect();
    if production.len() > 1 {
        let problem = format!("{} versions are in production: {}", production.len(), production.join(", "));
        findings.push(Finding::new(&subject, problem, restore_fix(None)));
    }
    if versions.is_empty() {
        findings.push(Finding::new(subject, "it has no version: no event of the audit log made it", restore_fix(None)));
    }
    findings
}

fn line_finding((event, reference, from, to): &Line, problem: &str) -> Finding {
    let from = from.as_deref().unwrap_or("nothing");
    let problem = format!("its move from {from} to {to} (entry {event} of the audit log) {problem}");
    Finding::new(format!("version {reference}"), problem, restore_fix(Some(*event)))
}

#[cfg(test)]
mod tests;
