//! Changes of the registry: registering, noting, moving between stages. Each runs inside a `Tx` and records its event.
//!
//! Rules: a version never changes; a new version is higher than the highest of its own MAJOR.MINOR line; one version of a
//! model is in production and the one it replaces is archived; a version whose files were removed goes nowhere.

use super::select;
use super::table::{self, GitFacts, Model, VersionRow};
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::event::{Event, Resource};
use crate::base::name::{ModelType, Name, Stage};
use crate::base::version::{Bump, Version};
use crate::store::{Tx, values};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The relation of a version to the one that it is a variant of; it needs nothing of it.
pub const PARENT: &str = "parent";

/// Which number a new version gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// This one.
    Exactly(Version),
    /// The highest one raised by this part; 1.0.0 for a first version.
    Bumped(Bump),
}

/// A version to be registered; its files are in the object store already.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// The model.
    pub name: Name,
    /// What it is.
    pub kind: ModelType,
    /// Its number.
    pub number: Number,
    /// The digest of its manifest.
    pub digest: Digest,
    /// How many files it has.
    pub files: i64,
    /// How many bytes they have.
    pub bytes: i64,
    /// Where in Git it came from.
    pub git: Option<GitFacts>,
    /// Metrics, finite numbers.
    pub metrics: Vec<(String, f64)>,
    /// Metadata.
    pub meta: Vec<(String, String)>,
    /// Tags.
    pub tags: Vec<String>,
    /// The versions it names, with the relation (`depends`, `dataset`, [`PARENT`]).
    pub links: Vec<(String, VersionRow)>,
    /// The version that the number was advised against; another one by now means the advice is stale.
    pub advised_from: Option<Digest>,
    /// The ticket.
    pub ticket: Option<String>,
    /// The reason.
    pub reason: Option<String>,
}

/// What registering did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The version, new or found.
    pub version: VersionRow,
    /// False when the same bytes were registered before.
    pub changed: bool,
}

/// Registers a version, or finds that its bytes are registered already.
///
/// # Errors
/// When the number is taken, not above its line, or the bytes are registered under another number than the one asked for.
pub fn register(tx: &Tx<'_>, new: &NewVersion) -> Result<Registered> {
    let view = tx.view();
    let model = ensure_model(tx, new)?;
    if let Some(found) = table::find_digest(view, model.id, &new.digest)? {
        if let Number::Exactly(asked) = new.number
            && asked != found.version
        {
            return Err(Error::new(format!("these bytes are registered already as {}", found.reference())).hint(format!(
                "use {}, or change the files before registering {}@{asked}",
                found.reference(),
                new.name
            )));
        }
        return match found.purged {
            Some(_) => refill(tx, &found, new).map(|version| Registered { version, changed: true }),
            None => Ok(Registered { version: found, changed: false }),
        };
    }
    let version = number(tx, &model, new)?;
    let event = tx.record(registered_event(new, version));
    let git = new.git.as_ref();
    let id = tx.insert(
        "INSERT INTO version (model, major, minor, patch, digest, stage, created, author, files, bytes, git_commit, git_branch, git_dirty, event) \
         VALUES (?1, ?2, ?3, ?4, ?5, 'development', ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        values![
            model.id,
            version.major,
            version.minor,
            version.patch,
            new.digest,
            tx.now(),
            tx.pseudonym()?,
            new.files,
            new.bytes,
            git.map(|g| g.commit.as_str()),
            git.and_then(|g| g.branch.as_deref()),
            git.map(|g| g.dirty),
            event
        ],
    )?;
    for (kind, key, value) in notes(new) {
        note(tx, id, kind, key, &value)?;
    }
    for (relation, target) in &new.links {
        let sql = "INSERT INTO version_link (version, relation, target) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        tx.execute(sql, values![id, relation, target.id])?;
    }
    let version = table::version_by_id(view, id)?.ok_or_else(|| Error::new("a version just registered is not there"))?;
    Ok(Registered { version, changed: true })
}

/// The files of a version that garbage collection had removed are there again: it stays archived, and its retention starts anew.
fn refill(tx: &Tx<'_>, version: &VersionRow, new: &NewVersion) -> Result<VersionRow> {
    let archived = Stage::Archived;
    let event = Event::new(Way::Refill.action(), resource(version)).because(new.ticket.as_deref(), new.reason.as_deref());
    let event = tx.record(event.with("from", version.stage.word()).with("to", archived.word()));
    tx.execute("UPDATE version SET purged = NULL WHERE id = ?1", values![version.id])?;
    set_stage(tx, version, archived)?;
    log_change(tx, version, Way::Refill.how(), archived, None, new.ticket.as_deref(), event)?;
    table::version_by_id(tx.view(), version.id)?.ok_or_else(|| Error::new("a version just refilled is not there"))
}

/// What is noted beside the files, as rows hold it: kind, key, value. Of two values of one key the last counts.
pub fn notes(new: &NewVersion) -> impl Iterator<Item = (&'static str, &str, String)> {
    let metrics = new.metrics.iter().map(|(k, v)| ("metric", k.as_str(), v.to_string()));
    let meta = new.meta.iter().map(|(k, v)| ("meta", k.as_str(), v.clone()));
    metrics.chain(meta).chain(new.tags.iter().map(|t| ("tag", t.as_str(), String::new())))
}

/// The event commits to everything that is noted: `metrics` and `meta` by key, `tags` as a list.
fn registered_event(new: &NewVersion, version: Version) -> Event {
    let mut event = Event::new("version.registered", Resource::version(new.name.as_str(), version, new.digest))
        .with("type", new.kind.word())
        .with("files", new.files)
        .with("bytes", new.bytes)
        .because(new.ticket.as_deref(), new.reason.as_deref());
    if let Some(git) = &new.git {
        event = event.with("git", json!({"commit": git.commit, "branch": git.branch, "dirty": git.dirty}));
    }
    if !new.links.is_empty() {
        let links: Vec<_> =
            new.links.iter().map(|(r, v)| json!({"relation": r, "version": v.reference(), "digest": v.digest})).collect();
        event = event.with("links", links);
    }
    let mut noted: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for (kind, key, value) in notes(new) {
        noted.entry(kind).or_default().insert(key.to_owned(), value.into());
    }
    for (kind, keys) in noted {
        event = match kind {
            "tag" => event.with("tags", keys.into_iter().map(|(tag, _)| tag).collect::<Vec<_>>()),
            "metric" => event.with("metrics", keys),
            kind => event.with(kind, keys),
        };
    }
    event
}

fn ensure_model(tx: &Tx<'_>, new: &NewVersion) -> Result<Model> {
    if let Some(model) = table::find_model(tx.view(), &new.name)? {
        if model.kind != new.kind {
            return Err(Error::new(format!("{} is a model of type {}, not {}", model.name, model.kind, new.kind))
                .hint(format!("register it under another name, or with `--type {}`", model.kind)));
        }
        return Ok(model);
    }
    let sql = "INSERT INTO model (name, kind, created) VALUES (?1, ?2, ?3)";
    let id = tx.insert(sql, values![new.name.as_str(), new.kind.word(), tx.now()])?;
    Ok(Model { id, name: new.name.clone(), kind: new.kind, created: tx.now() })
}

/// Asks for single versions: a model may have tens of thousands.
fn number(tx: &Tx<'_>, model: &Model, new: &NewVersion) -> Result<Version> {
    let view = tx.view();
    match new.number {
        Number::Bumped(bump) => {
            let highest = table::versions(view, model.id, 1)?.into_iter().next();
            if new.advised_from != highest.as_ref().map(|v| v.digest) {
                return Err(Error::new(format!("somebody registered another version of {} meanwhile", new.name))
                    .hint("run the command again: its advice is then made against that version"));
            }
            Ok(highest.map_or(Version::FIRST, |v| v.version.bump(bump)))
        }
        Number::Exactly(version) => {
            let highest = table::highest_of_line(view, model.id, version)?;
            if let Some(taken) = table::find_version(view, model.id, version)? {
                return Err(Error::new(format!(
                    "{} exists already with other bytes ({})",
                    taken.reference(),
                    taken.digest.short()
                ))
                .hint(format!(
                    "a version never changes: leave `--version` out, or give it {}",
                    highest.as_ref().unwrap_or(&taken).version.bump(Bump::Patch)
                )));
            }
            match highest {
                Some(highest) if highest.version > version => {
                    let next = highest.version.bump(Bump::Patch);
                    Err(Error::new(format!("{version} is not above {}, the highest of its line", highest.reference()))
                        .hint(format!("register {}@{next} or a higher one", new.name)))
                }
                _ => Ok(version),
            }
        }
    }
}

fn note(tx: &Tx<'_>, version: i64, kind: &str, key: &str, value: &str) -> Result<u64> {
    let sql = "INSERT INTO version_note (version, kind, key, value) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (version, kind, key) DO UPDATE SET value = excluded.value";
    tx.execute(sql, values![version, kind, key, value])
}

/// Adds or removes a tag of a version; true when something changed.
pub fn tag(tx: &Tx<'_>, version: &VersionRow, tag: &str, remove: bool) -> Result<bool> {
    let has = table::notes(tx.view(), version.id)?.tags.iter().any(|t| t == tag);
    if has != remove {
        return Ok(false);
    }
    if remove {
        tx.execute("DELETE FROM version_note WHERE version = ?1 AND kind = 'tag' AND key = ?2", values![version.id, tag])?;
    } else {
        note(tx, version.id, "tag", tag, "")?;
    }
    let action = if remove { "version.untagged" } else { "version.tagged" };
    tx.record(Event::new(action, resource(version)).with("tag", tag));
    Ok(true)
}

/// Points an alias of the model to a version and gives the version it pointed to before.
pub fn set_alias(tx: &Tx<'_>, version: &VersionRow, alias: &Name) -> Result<Option<Version>> {
    let before = table::aliases(tx.view(), version.model)?.into_iter().find(|(a, _, _)| a == alias);
    if before.as_ref().is_some_and(|(_, _, id)| *id == version.id) {
        return Ok(before.map(|(_, v, _)| v));
    }
    let sql = "INSERT INTO alias (model, name, version) VALUES (?1, ?2, ?3) ON CONFLICT (model, name) DO UPDATE SET version = excluded.version";
    tx.execute(sql, values![version.model, alias.as_str(), version.id])?;
    let before = before.map(|(_, v, _)| v);
    tx.record(
        Event::new("alias.set", resource(version)).with("alias", alias.as_str()).with("before", before.map(|v| v.to_string())),
    );
    Ok(before)
}

/// Removes an alias of a model.
///
/// # Errors
/// When there is no such alias.
pub fn remove_alias(tx: &Tx<'_>, model: &Model, alias: &Name) -> Result<()> {
    let removed = tx.execute("DELETE FROM alias WHERE model = ?1 AND name = ?2", values![model.id, alias.as_str()])?;
    if removed == 0 {
        return Err(select::no_alias(tx.view(), model, alias, &format!("`kf show {}` lists the aliases", model.name))?);
    }
    tx.record(Event::new("alias.removed", Resource::new("model", model.name.as_str())).with("alias", alias.as_str()));
    Ok(())
}

/// A way to another stage: what the history calls it, and the action of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through the gates.
    Promote,
    /// Back to what was in production before.
    RollBack,
    /// Out of use.
    Archive,
    /// Back from the archive.
    Restore,
    /// The files that garbage collection removed are there again.
    Refill,
}

impl Way {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Promote, Self::RollBack, Self::Archive, Self::Restore, Self::Refill];

    /// What the stage history calls it.
    pub fn how(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::RollBack => "rollback",
            Self::Archive => "archive",
            Self::Restore => "restore",
            Self::Refill => "refill",
        }
    }

    /// The action of its event.
    pub fn action(self) -> &'static str {
        match self {
            Self::Promote => "version.promoted",
            Self::RollBack => "version.rolled-back",
            Self::Archive => "version.archived",
            Self::Restore => "version.restored",
            Self::Refill => "version.refilled",
        }
    }
}

/// What the stage history calls it when another version takes the place.
pub const REPLACED: &str = "replaced";

/// A move of a version to a stage.
#[derive(Clone, Debug)]
pub struct Move<'a> {
    /// Which way.
    pub way: Way,
    /// Where to.
    pub to: Stage,
    /// The ticket.
    pub ticket: Option<&'a str>,
    /// The reason.
    pub reason: Option<&'a str>,
    /// Facts for the event: gates and their verdicts.
    pub detail: serde_json::Map<String, serde_json::Value>,
}

/// What moving a version did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Where it stood.
    pub from: Stage,
    /// The version that left production for it.
    pub replaced: Option<VersionRow>,
    /// The audit event.
    pub event: i64,
}

/// Moves a version to a stage; into production, the version there is archived in the same transaction.
///
/// # Errors
/// When garbage collection removed the version's files.
pub fn move_to(tx: &Tx<'_>, version: &VersionRow, change: &Move<'_>) -> Result<Moved> {
    if let Some(purged) = version.purged {
        return Err(Error::new(format!(
            "the files of {} were removed on {}, after its retention",
            version.reference(),
            purged.day()
        ))
        .hint(format!("register them again, or choose another version: `kf list {}`", version.name)));
    }
    let replaced = match change.to {
        Stage::Production => table::in_production(tx.view(), version.model)?.filter(|p| p.id != version.id),
        _ => None,
    };
    let mut event = Event::new(change.way.action(), resource(version)).because(change.ticket, change.reason);
    event.detail = change.detail.clone();
    let mut event = event.with("from", version.stage.word()).with("to", change.to.word());
    if let Some(old) = &replaced {
        event = event.with("replaced", json!({"version": old.version, "digest": old.digest}));
    }
    let event = tx.record(event);
    if let Some(old) = &replaced {
        set_stage(tx, old, Stage::Archived)?;
        log_change(tx, old, REPLACED, Stage::Archived, None, change.ticket, event)?;
    }
    set_stage(tx, version, change.to)?;
    log_change(tx, version, change.way.how(), change.to, replaced.as_ref(), change.ticket, event)?;
    Ok(Moved { from: version.stage, replaced, event })
}

fn set_stage(tx: &Tx<'_>, version: &VersionRow, stage: Stage) -> Result<()> {
    let retired = (stage == Stage::Archived).then(|| tx.now());
    tx.execute("UPDATE version SET stage = ?1, retired = ?2 WHERE id = ?3", values![stage.word(), retired, version.id])
        .map(|_| ())
}

fn log_change(
    tx: &Tx<'_>,
    version: &VersionRow,
    how: &str,
    to: Stage,
    replaced: Option<&VersionRow>,
    ticket: Option<&str>,
    event: i64,
) -> Result<()> {
    tx.execute(
        "INSERT INTO stage_change (model, version, how, from_stage, to_stage, replaced, ts, actor, ticket, event) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        values![
            version.model,
            version.id,
            how,
            version.stage.word(),
            to.word(),
            replaced.map(|r| r.id),
            tx.now(),
            tx.pseudonym()?,
            ticket,
            event
        ],
    )
    .map(|_| ())
}

/// The audit resource of a version.
pub fn resource(version: &VersionRow) -> Resource {
    Resource::version(version.name.as_str(), version.version, version.digest)
}
