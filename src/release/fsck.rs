//! Whether everything that makes a state agrees: the engine's files, the audit log, the rows, the manifests, the objects.
//!
//! The log is verified by reading all of it and replayed against the rows; every object that a version names is read again
//! and hashed. A quick check reads the log and the rows too, but only asks for the sizes of objects and does not recompute the
//! digests of row scores: what it saw is called present, never verified. Nothing is changed without `repair`, and even then
//! nothing is deleted but temporaries: what is corrupt is set aside, and storing the same bytes again heals it.

mod content;
mod marks;

use crate::base::digest::Digest;
use crate::base::error::{Error, Kind, Result};
use crate::base::time::Timestamp;
use crate::base::verdict::Verdict;
use crate::domain::audit::key::VerifierKey;
use crate::domain::audit::verify;
use crate::domain::ingest::table::Scope;
use crate::domain::registry::table::{self, Filter, VersionRow};
use crate::domain::{ab, alert, drift, eval, flag, ingest, monitor, registry, rollout};
use crate::release::emergency::check::check as past;
use crate::store::check::{Entry, Finding, Stored, Tile, entries, read_log, restore_fix, shape};
use crate::store::lock::{Hold, Matter};
use crate::store::objects::Objects;
use crate::store::{Store, View};
pub use content::Content;
use content::Named;
use serde::Serialize;
use serde_json::{Map, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Microseconds of a day: what is older and still a temporary belongs to a process that died.
const DAY: i64 = 86_400_000_000;

/// How to check.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Only ask whether objects are there and how large they are.
    pub quick: bool,
    /// Mend what can be mended.
    pub repair: bool,
    /// How many threads read.
    pub jobs: usize,
    /// The public keys that may have signed checkpoints of the log.
    pub keys: &'a [VerifierKey],
    /// Where what was done past the state lies.
    pub journal: Option<&'a Path>,
}

/// The audit log in sum.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Log {
    /// Entries read.
    pub entries: u64,
    /// The root they lead to; `None` when some are missing.
    pub root: Option<Digest>,
    /// How many of them a checkpoint of a known key covers.
    pub signed: u64,
}

/// The rows in sum.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rows {
    /// Versions whose rows were compared with the log.
    pub versions: u64,
    /// Those among them whose files garbage collection removed.
    pub purged: u64,
    /// Evaluations whose rows were compared with the log.
    pub evaluations: u64,
    /// Row scores whose digest was computed again; 0 in a quick check.
    pub scores: u64,
    /// Row scores of evaluations that were never finished; harmless.
    pub unfinished: u64,
    /// Documents whose rows were compared with the log, refused ones included.
    pub documents: u64,
    /// Checks of drift whose rows were compared with the log.
    pub drift_checks: u64,
}

/// What was mended.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Repaired {
    /// Hashes of full tiles of the log that were missing and are there again.
    pub tiles: u64,
    /// Corrupt objects that were set aside; storing the same bytes again heals them.
    pub quarantined: Vec<Digest>,
    /// Objects that are needed and were taken back out of the trash.
    pub restored: Vec<Digest>,
    /// Temporaries of writes that never finished.
    pub temporaries: u64,
    /// The audit event, when something was mended.
    pub event: Option<i64>,
}

/// What checking a state gave.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where the state is.
    pub state: String,
    /// Where the objects are.
    pub artifacts: String,
    /// True when objects were only asked for, not read.
    pub quick: bool,
    /// The audit log.
    pub log: Log,
    /// The rows.
    pub rows: Rows,
    /// The objects.
    pub content: Content,
    /// What was mended.
    pub repaired: Repaired,
    /// What does not agree.
    pub findings: Vec<Finding>,
    /// Pass when nothing was found that is still wrong.
    pub verdict: Verdict,
}

/// Checks a state. `progress` is told how many objects of how many are done, `waiting` who holds a lock.
///
/// # Errors
/// When the state is locked or a repair fails. What cannot be read is a finding.
pub fn check(
    store: &Store,
    objects: &Objects,
    options: Options<'_>,
    progress: &mut dyn FnMut(u64, u64),
    waiting: &mut dyn FnMut(&str),
) -> Result<Report> {
    let now = store.now();
    let mend = options.repair && !store.is_dry_run();
    let _alone = mend.then(|| store.lock(Matter::Work, Hold::Alone, "fsck --repair", waiting)).transpose()?;
    let mut findings = engine(store)?;
    let seen = store.read(|view| see(view, objects, options, &mut findings))?;
    let mut content = contents(store, objects, &seen, options, progress, waiting)?;
    findings.append(&mut content.findings);
    let waiting = |dir| store.read(|view| past(view, dir, options.keys));
    let waiting = part("emergency rollbacks", options.journal.map_or(Ok(Vec::new()), waiting), &mut findings)?;
    findings.extend(waiting);
    let repaired = match mend {
        true => repair(store, objects, &seen.tiles, &content, now)?,
        false => Repaired::default(),
    };
    findings.retain(|f| !repaired.restored.iter().any(|d| content::is_about(f, d)));
    let log = store.read(|view| verify_log(view, options, seen.tiles.len() as u64 > repaired.tiles, &mut findings))?;
    findings.sort();
    findings.dedup();
    let locked = content.sum.locked;
    Ok(Report {
        state: store.describe(),
        artifacts: objects.describe(),
        quick: options.quick,
        log,
        rows: seen.rows,
        content: content.sum,
        repaired,
        verdict: match (findings.is_empty(), locked) {
            (false, _) => Verdict::Fail,
            (true, 0) => Verdict::Pass,
            (true, _) => Verdict::Inconclusive,
        },
        findings,
    })
}

/// Looks at the objects that rows and log name. What does not agree is looked at again while nobody removes objects: garbage
/// that was collected since the rows were read is nothing wrong.
fn contents(
    store: &Store,
    objects: &Objects,
    seen: &Seen,
    options: Options<'_>,
    progress: &mut dyn FnMut(u64, u64),
    waiting: &mut dyn FnMut(&str),
) -> Result<content::Checked> {
    let first = content::check(objects, (&seen.versions, &seen.named), options, &BTreeMap::new(), progress)?;
    if first.findings.is_empty() {
        return Ok(first);
    }
    let _nobody_removes = match store.lock(Matter::Objects, Hold::Shared, "fsck", waiting) {
        Err(e) if e.kind() == Kind::Locked => return Err(e),
        // Whoever may only read the state cannot take a lock there: what is seen now has to do.
        lock => lock.ok(),
    };
    let again = store.read(|view| {
        let mut named = seen.named.clone();
        named.extend(entries(view, "gc.run")?.iter().filter_map(super::gc::list_of).map(list));
        named.extend(drift_objects(view)?);
        Ok((table::all_versions(view, Filter::default(), u32::MAX)?, named))
    });
    match again {
        Ok((versions, named)) => content::check(objects, (&versions, &named), options, &first.sound, progress),
        Err(_) => Ok(first),
    }
}

/// A list of what a collection removed.
fn list(digest: Digest) -> Named {
    let of = "list of what garbage collection removed".to_owned();
    Named { digest, of, again: "nothing else holds it: a backup does".into(), size: None }
}

/// The objects that baselines and checks name.
fn drift_objects(view: View<'_>) -> Result<Vec<Named>> {
    let again = "take the same baseline, or check the same data, again";
    let named = |(digest, of, size)| Named { digest, of, again: again.to_owned(), size: Some(size) };
    Ok(drift::table::objects(view)?.into_iter().map(named).collect())
}

/// Keeps what a part of the check gave, or makes a finding of its failure so that the other parts still run.
fn part<T: Default>(subject: &str, done: Result<T>, findings: &mut Vec<Finding>) -> Result<T> {
    match done {
        Err(e) if matches!(e.kind(), Kind::Locked | Kind::Bug) => Err(e),
        Err(e) => {
            findings.push(unreadable(subject, &e));
            Ok(T::default())
        }
        Ok(done) => Ok(done),
    }
}

fn unreadable(subject: &str, e: &Error) -> Finding {
    let fix = e.hints().first().cloned().filter(|h| !h.contains("kf fsck"));
    Finding::new(subject, format!("it cannot be read: {e}"), fix.unwrap_or_else(|| restore_fix(None)))
}

fn engine(store: &Store) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let problems = part("state", store.db().check(), &mut findings)?;
    findings
        .extend(problems.into_iter().map(|p| Finding::new("state", format!("the database engine says: {p}"), restore_fix(None))));
    Ok(findings)
}

/// What one consistent read of the state gave.
#[derive(Default)]
struct Seen {
    versions: Vec<VersionRow>,
    /// Objects that something other than a version names.
    named: Vec<Named>,
    tiles: Vec<Tile>,
    rows: Rows,
}

fn see(view: View<'_>, objects: &Objects, options: Options<'_>, findings: &mut Vec<Finding>) -> Result<Seen> {
    let mut registry_told = registry::check::Replay::new(part("audit log", super::gc::lists(view, objects), findings)?);
    let mut eval_told = eval::check::Replay::default();
    let mut ingest_told = ingest::check::Replay::default();
    let mut drift_told = drift::check::Replay::default();
    let mut alert_told = alert::check::Replay::default();
    let mut flags_told = flag::check::Replay::default();
    let mut ab_told = ab::check::Replay::default();
    let mut monitor_told = monitor::check::Replay::default();
    let mut rollout_told = rollout::check::Replay::default();
    let mut marks = marks::Replay::default();
    let mut named = Vec::new();
    let actions: Vec<&str> = [
        registry::check::ACTIONS,
        eval::check::ACTIONS,
        ingest::check::ACTIONS,
        drift::check::ACTIONS,
        alert::check::ACTIONS,
        monitor::check::ACTIONS,
        flag::check::ACTIONS,
        ab::check::ACTIONS,
        rollout::check::ACTIONS,
        marks::ACTIONS,
    ]
    .concat();
    let replay = &mut |stored: Stored<'_>| {
        marks.pass(stored.seq);
        let Some(entry) = Entry::governed(stored, &actions) else { return };
        registry_told.take(&entry);
        eval_told.take(&entry);
        ingest_told.take(&entry);
        drift_told.take(&entry);
        alert_told.take(&entry);
        monitor_told.take(&entry);
        flags_told.take(&entry);
        ab_told.take(&entry);
        rollout_told.take(&entry);
        marks.take(&entry);
        named.extend(super::gc::list_of(&entry).map(list));
    };
    let tiles = part("audit log", read_log(view, replay), findings)?;
    let differences = part("registry", registry_told.compare(view), findings)?;
    findings.extend(differences);
    let collections = part("documents", Scope::everywhere(view), findings)?;
    let numbers: Vec<i64> = collections.iter().map(Scope::id).collect();
    let differences = part("state", shape::compare(view, &numbers), findings)?;
    findings.extend(differences);
    let differences = part("state", marks.compare(view), findings)?;
    findings.extend(differences);
    let versions = part("registry", table::all_versions(view, Filter::default(), u32::MAX), findings)?;
    let checked = part("evaluations", eval_told.compare(view, !options.quick), findings)?;
    findings.extend(checked.findings);
    let documents = part("documents", ingest_told.compare(view), findings)?;
    findings.extend(documents.findings);
    let checks = part("drift", drift_told.compare(view), findings)?;
    findings.extend(checks.findings);
    let alerts = part("alerts", alert_told.compare(view), findings)?;
    findings.extend(alerts);
    named.extend(part("drift", drift_objects(view), findings)?);
    let differences = part("monitoring", monitor_told.compare(view), findings)?;
    findings.extend(differences);
    let differences = part("flags", flags_told.compare(view), findings)?;
    findings.extend(differences);
    let differences = part("A/B tests", ab_told.compare(view), findings)?;
    findings.extend(differences);
    let differences = part("rollouts", rollout_told.compare(view), findings)?;
    findings.extend(differences);
    let indexes = if options.quick { Vec::new() } else { part("documents", indexes(view, &collections), findings)? };
    findings.extend(indexes);
    let rows = Rows {
        versions: versions.len() as u64,
        purged: versions.iter().filter(|v| v.purged.is_some()).count() as u64,
        evaluations: checked.evaluations,
        scores: checked.rows,
        unfinished: checked.unfinished,
        documents: documents.documents,
        drift_checks: checks.checks,
    };
    Ok(Seen { versions, named, tiles, rows })
}

/// What `kf index verify` finds in each collection.
fn indexes(view: View<'_>, scopes: &[Scope]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for scope in scopes {
        let (tenant, collection) = (&scope.tenant.name, &scope.collection.name);
        let fix = format!("`kf index rebuild --tenant {tenant} --collection {collection}` makes what is derived again");
        let found = ingest::verify::verify(view, scope)?.findings;
        findings
            .extend(found.into_iter().map(|f| Finding::new(format!("{} in {tenant}/{collection}", f.subject), f.problem, &fix)));
    }
    Ok(findings)
}

fn verify_log(view: View<'_>, options: Options<'_>, can_rebuild: bool, findings: &mut Vec<Finding>) -> Result<Log> {
    let verified = part("audit log", verify::verify(view, options.keys, &[], options.jobs).map(Some), findings)?;
    let Some(verified) = verified else { return Ok(Log::default()) };
    let fix = match can_rebuild {
        true => "`kf fsck --repair` rebuilds missing hashes of tiles; for anything else restore the state from a backup".into(),
        false => format!("`kf audit verify` tells more; {}", restore_fix(None)),
    };
    findings.extend(verified.findings.iter().map(|f| {
        let subject = f.index.map_or("audit log".to_owned(), |i| format!("audit log entry {i}"));
        Finding::new(subject, &f.what, &fix)
    }));
    let untold = verified.finding_count.saturating_sub(verified.findings.len() as u64);
    if untold > 0 {
        findings.push(Finding::new("audit log", format!("{untold} more findings of this kind"), fix));
    }
    Ok(Log { entries: verified.entries, root: verified.root, signed: verified.signed })
}

/// The most objects that the event of a repair names: an entry has 64 KiB.
const NAMED_MAX: usize = 400;

fn repair(store: &Store, objects: &Objects, tiles: &[Tile], content: &content::Checked, now: Timestamp) -> Result<Repaired> {
    let mut repaired = Repaired { tiles: tiles.len() as u64, ..Repaired::default() };
    for digest in &content.corrupt {
        if objects.quarantine(digest, now)? {
            repaired.quarantined.push(*digest);
        }
    }
    for digest in &content.in_trash {
        if objects.untrash(digest)? {
            repaired.restored.push(*digest);
        }
    }
    // Found by several threads, told in one order.
    repaired.quarantined.sort();
    repaired.restored.sort();
    repaired.temporaries = objects.sweep_temporaries(now.plus_micros(-DAY))?;
    let nothing = repaired.tiles + repaired.temporaries == 0 && repaired.quarantined.is_empty() && repaired.restored.is_empty();
    if !nothing {
        let named = |all: &[Digest]| json!({"n": all.len(), "objects": all.iter().take(NAMED_MAX).collect::<Vec<_>>()});
        let mut facts = Map::new();
        facts.insert("quarantined".into(), named(&repaired.quarantined));
        facts.insert("restored".into(), named(&repaired.restored));
        facts.insert("temporaries".into(), repaired.temporaries.into());
        repaired.event = Some(store.record_repair(tiles, facts)?);
    }
    Ok(repaired)
}

#[cfg(test)]
mod tests;
