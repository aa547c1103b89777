//! Garbage collection: removes the files of versions that nothing needs any more, and objects that nothing names.
//!
//! What is needed is decided by `domain::registry::retention`; the manifests and files of what is kept, the datasets that
//! evaluations of kept versions name, baselines and reports of drift, and the lists of earlier runs stay. Invariants: the rows change, with an event that
//! lists every digest, before a byte moves; bytes go to the trash first and are deleted by a run after the grace period;
//! objects younger than the grace are never touched, so a registration that is under way loses nothing. One that finds old
//! bytes in place and names them while a run decides is covered too: after the move the run takes the writer's lock, and what
//! has come to be needed meanwhile goes back; a registration whose row came later than that looks once more itself
//! ([`give_back_found`]). A run that dies anywhere leaves objects that the next run finds again. On top of that a registration
//! shares the lock of the objects from its first object to its row, and a run holds it alone while it removes something.

use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::event::{Event, Resource};
use crate::base::time::Timestamp;
use crate::domain::ab;
use crate::domain::drift;
use crate::domain::eval::record;
use crate::domain::ingest::table;
use crate::domain::registry::retention::{self, Rules, Sorted};
use crate::domain::registry::table::VersionRow;
use crate::domain::rollout;
use crate::release::checkout::manifest_of;
use crate::release::parallel;
use crate::store::check::{Entry, entries};
use crate::store::lock::{Hold, Matter};
use crate::store::objects::Objects;
use crate::store::{META_STATE_ID, Store, Tx, View, meta};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long objects and trash are left alone when nothing else is said: 14 days.
pub const GRACE: Duration = Duration::from_secs(14 * 24 * 3600);

/// The shortest grace without force: longer than any registration between its first object and its row.
pub const GRACE_MIN: Duration = Duration::from_secs(3600);

/// The longest list that an event carries itself, in bytes; an entry of the log has 65,535.
const INLINE_MAX: usize = 60_000;

/// The longest list that is read again, in bytes.
const LIST_MAX: u64 = 1024 * 1024 * 1024;

/// How to collect.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Which versions are kept.
    pub rules: Rules,
    /// Objects younger than this are not touched, and what is in the trash is deleted after it.
    pub grace: Duration,
    /// Allows a grace below [`GRACE_MIN`]: whoever says so knows that nothing registers at the moment.
    pub force: bool,
    /// False to only tell what would be done.
    pub apply: bool,
}

/// A version that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// `m@1.2.0`.
    pub version: String,
    /// What needs it.
    pub why: String,
}

/// A version whose files go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// `m@1.2.0`.
    pub version: String,
    /// Its digest.
    pub digest: Digest,
    /// Since when it is archived.
    pub retired: Option<Timestamp>,
}

/// An object that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The object.
    pub object: Digest,
    /// Its bytes.
    pub bytes: u64,
}

/// What a run did, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// False when it only tells what would be done.
    pub applied: bool,
    /// Versions that are kept, with the reason.
    pub kept: Vec<Kept>,
    /// Versions whose files go.
    pub expired: Vec<Expired>,
    /// Objects that go to the trash.
    pub removed: Vec<Removed>,
    /// Bytes of those.
    pub bytes: u64,
    /// Objects that nothing needs, left alone because they are younger than the grace.
    pub young: u64,
    /// Objects taken back out of the trash because something needs them.
    pub restored: Vec<Digest>,
    /// Objects deleted for good: they were in the trash for longer than the grace.
    pub deleted: u64,
    /// Temporaries of writes that never finished.
    pub temporaries: u64,
    /// Vectors kept so that no text is embedded twice, dropped because they are older than the grace.
    pub vectors: u64,
    /// The audit event that lists what went.
    pub event: Option<i64>,
}

/// Collects; `waiting` is told who holds a lock.
///
/// # Errors
/// [`Locked`](crate::base::error::Kind::Locked) when other long work or a registration holds the state for too long. When the grace is too short, a manifest of a kept version cannot be read (nothing can then be known to be unneeded), or
/// state or objects cannot be written.
pub fn run(store: &Store, objects: &Objects, options: Options, waiting: &mut dyn FnMut(&str)) -> Result<Report> {
    let grace = grace(options)?;
    let apply = options.apply && !store.is_dry_run();
    let _one_run = apply.then(|| store.lock(Matter::Work, Hold::Alone, "gc", waiting)).transpose()?;
    let now = store.now();
    let old = now.plus_micros(-grace);
    let mut reach = Reach { objects, manifests: BTreeMap::new() };
    let mut stored = Vec::new();
    objects.list(&mut |digest, size, at| {
        stored.push((digest, size, at));
        Ok(())
    })?;
    // Also reads the manifests, so that nobody waits for that when the lock is held.
    let plan = store.read(|view| plan(view, &mut reach, &stored, options.rules, now, old))?;
    if !apply {
        let deleted = objects.trashed()?.iter().filter(|t| t.since < old).count() as u64;
        let vectors = store.read(|view| table::aged(view, old))?;
        return Ok(Report { deleted, vectors, ..plan.report() });
    }
    // What is removed was listed before: objects that are published from now on are none of it.
    let nobody_publishes = store.lock(Matter::Objects, Hold::Alone, "gc", waiting)?;
    let (plan, event) = match plan.is_empty() {
        true => (plan, None),
        false => store.write(|tx| decide(tx, &mut reach, &stored, options, now, old))?,
    };
    nobody_publishes.check()?;
    for removed in &plan.removed {
        objects.trash(&removed.object, now)?;
    }
    let restored = store.write(|tx| give_back(tx.view(), &mut reach, options.rules, now))?;
    let (deleted, vectors) = delete(store, objects, old)?;
    let temporaries = objects.sweep_temporaries(old)?;
    Ok(Report { applied: true, restored, deleted, temporaries, vectors, event, ..plan.report() })
}

/// The grace in microseconds.
fn grace(options: Options) -> Result<i64> {
    if options.grace < GRACE_MIN && !options.force {
        return Err(Error::usage(format!(
            "a grace of {} s is shorter than an hour: a registration that runs now could lose its files",
            options.grace.as_secs()
        ))
        .hint("give `--grace 1h` or more; when nothing registers at the moment, `--force` allows less"));
    }
    i64::try_from(options.grace.as_micros()).context(|| "the grace is longer than time itself")
}

/// What goes and what stays.
struct Plan {
    sorted: Sorted,
    removed: Vec<Removed>,
    young: u64,
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.sorted.expired.is_empty()
    }

    fn report(self) -> Report {
        let kept = |(v, why): (VersionRow, String)| Kept { version: v.reference(), why };
        let expired = |v: VersionRow| Expired { version: v.reference(), digest: v.digest, retired: v.retired };
        Report {
            applied: false,
            kept: self.sorted.kept.into_iter().map(kept).collect(),
            expired: self.sorted.expired.into_iter().map(expired).collect(),
            bytes: self.removed.iter().map(|r| r.bytes).sum(),
            removed: self.removed,
            young: self.young,
            restored: Vec::new(),
            deleted: 0,
            temporaries: 0,
            vectors: 0,
            event: None,
        }
    }
}

type Stored = (Digest, u64, Timestamp);

fn plan(view: View<'_>, reach: &mut Reach<'_>, stored: &[Stored], rules: Rules, now: Timestamp, old: Timestamp) -> Result<Plan> {
    let sorted = retention::sort(view, rules, &held(view)?, now)?;
    let needed = reach.needed(view, &sorted)?;
    let (aged, young): (Vec<&Stored>, Vec<&Stored>) =
        stored.iter().filter(|(digest, ..)| !needed.contains(digest)).partition(|(.., at)| *at < old);
    let removed = aged.into_iter().map(|(object, bytes, _)| Removed { object: *object, bytes: *bytes }).collect();
    Ok(Plan { sorted, removed, young: young.len() as u64 })
}

/// The versions of rollouts and A/B tests that are under way: traffic may go back to what is in no stage any more, and users of a test
/// get both of its versions.
fn held(view: View<'_>) -> Result<retention::Held> {
    let mut held = retention::Held::new();
    for under_way in rollout::table::open(view)? {
        let why = format!("rollout {}", under_way.short());
        held.extend(under_way.setup.stable.iter().map(|stable| (stable.digest, why.clone())));
        held.insert(under_way.setup.canary.digest, why);
    }
    for running in ab::table::all(view)?.into_iter().filter(|test| test.open) {
        let why = format!("A/B test {}", running.setup.name);
        held.extend([running.setup.control, running.setup.treatment].map(|arm| (arm.digest, why.clone())));
    }
    Ok(held)
}

/// Decides anew under the writer's lock, as somebody may have promoted what had expired, and records it.
fn decide(
    tx: &Tx<'_>,
    reach: &mut Reach<'_>,
    stored: &[Stored],
    options: Options,
    now: Timestamp,
    old: Timestamp,
) -> Result<(Plan, Option<i64>)> {
    let plan = plan(tx.view(), reach, stored, options.rules, now, old)?;
    if plan.is_empty() {
        return Ok((plan, None));
    }
    for version in &plan.sorted.expired {
        retention::purge(tx, version)?;
    }
    let event = event_of(tx, reach.objects, &plan, options)?;
    Ok((plan, Some(tx.record(event))))
}

fn event_of(tx: &Tx<'_>, objects: &Objects, plan: &Plan, options: Options) -> Result<Event> {
    let versions: Vec<_> = plan.sorted.expired.iter().map(|v| json!({"version": v.reference(), "digest": v.digest})).collect();
    let gone: Vec<Digest> = plan.removed.iter().map(|r| r.object).collect();
    let name = meta(tx.view().db(), META_STATE_ID)?.unwrap_or_default();
    let event = Event::new("gc.run", Resource::new("state", name))
        .with("bytes", plan.removed.iter().map(|r| r.bytes).sum::<u64>())
        .with("grace-seconds", options.grace.as_secs())
        .with("retention-days", options.rules.retention_days)
        .with("rollback-window", options.rules.rollback_window);
    let inline = json!({"versions": versions, "objects": gone});
    if inline.to_string().len() <= INLINE_MAX {
        return Ok(event.with("versions", versions).with("objects", json!(gone)));
    }
    let lines: String = versions
        .iter()
        .map(|v| format!("{v}\n"))
        .chain(plan.removed.iter().map(|r| format!("{}\n", json!({"object": r.object, "bytes": r.bytes}))))
        .collect();
    // Before the row that names it; should the transaction fail, it is one more object that nothing names.
    let list = objects.put_bytes(lines.as_bytes()).context(|| "cannot store the list of what is collected")?.digest;
    Ok(event.with("list", json!(list)).with("versions", json!({"n": versions.len()})).with("objects", json!({"n": gone.len()})))
}

/// The object in which a run listed what it removed, when the event was too small for that.
pub fn list_of(entry: &Entry) -> Option<Digest> {
    (entry.action == "gc.run").then(|| entry.text("list")?.parse().ok()).flatten()
}

/// The versions that runs listed in objects, by entry; those whose object cannot be read are left out.
///
/// # Errors
/// When the log cannot be read.
pub fn lists(view: View<'_>, objects: &Objects) -> Result<BTreeMap<i64, Vec<String>>> {
    Ok(entries(view, "gc.run")?.iter().filter_map(|entry| Some((entry.seq, listed(objects, entry)?))).collect())
}

fn listed(objects: &Objects, entry: &Entry) -> Option<Vec<String>> {
    let bytes = objects.read(&list_of(entry)?, LIST_MAX).ok()?;
    let version = |line: &[u8]| {
        let line: serde_json::Value = serde_json::from_slice(line).ok()?;
        Some(line.get("version")?.as_str()?.to_owned())
    };
    Some(bytes.split(|b| *b == b'\n').filter_map(version).collect())
}

/// Takes back out of the trash what is needed and not in its place.
fn give_back(view: View<'_>, reach: &mut Reach<'_>, rules: Rules, now: Timestamp) -> Result<Vec<Digest>> {
    let sorted = retention::sort(view, rules, &held(view)?, now)?;
    let needed = reach.needed(view, &sorted)?;
    let trashed: BTreeSet<Digest> = reach.objects.trashed()?.into_iter().map(|t| t.digest).collect();
    let mut restored = Vec::new();
    for digest in trashed.intersection(&needed) {
        if reach.objects.stat(digest)?.is_none() && reach.objects.untrash(digest)? {
            restored.push(*digest);
        }
    }
    Ok(restored)
}

/// For a registration after its row is written: takes back those of the objects it found in place that have gone to the trash
/// since. A run that moves them later sees the row.
///
/// # Errors
/// When the objects cannot be asked or moved.
pub fn give_back_found(objects: &Objects, found: &[Digest], jobs: usize) -> Result<()> {
    let mut failed = None;
    let look = |digest: &Digest| match objects.stat(digest)? {
        Some(_) => Ok(()),
        None => objects.untrash(digest).map(|_| ()),
    };
    parallel::each(found, jobs, &look, &mut |_, done: Result<()>, _| failed = failed.take().or(done.err()));
    failed.map_or(Ok(()), Err)
}

/// Deletes what was in the trash for longer than the grace, and kept vectors as old as that. The digests of the objects are in
/// the events of the runs that put them there.
fn delete(store: &Store, objects: &Objects, old: Timestamp) -> Result<(u64, u64)> {
    let deleted = objects.empty_trash(old)?.len() as u64;
    if deleted == 0 && store.read(|view| table::aged(view, old))? == 0 {
        return Ok((0, 0));
    }
    store.write(|tx| {
        let name = meta(tx.view().db(), META_STATE_ID)?.unwrap_or_default();
        let vectors = table::expire(tx, old)?;
        let event = Event::new("gc.emptied", Resource::new("state", name)).with("objects", deleted);
        tx.record(if vectors > 0 { event.with("vectors", vectors) } else { event });
        Ok((deleted, vectors))
    })
}

/// Finds the objects that versions need. Manifests never change, so each is read once.
struct Reach<'a> {
    objects: &'a Objects,
    manifests: BTreeMap<Digest, Vec<Digest>>,
}

impl Reach<'_> {
    fn needed(&mut self, view: View<'_>, sorted: &Sorted) -> Result<BTreeSet<Digest>> {
        let mut needed = BTreeSet::new();
        for (version, _) in &sorted.kept {
            needed.insert(version.digest);
            needed.extend(self.files(version)?);
            needed.extend(record::of_version(view, version.id, u32::MAX)?.iter().map(|e| e.dataset_digest));
        }
        needed.extend(drift::table::objects(view)?.into_iter().map(|(digest, ..)| digest));
        needed.extend(entries(view, "gc.run")?.iter().filter_map(list_of));
        Ok(needed)
    }

    fn files(&mut self, version: &VersionRow) -> Result<&[Digest]> {
        if !self.manifests.contains_key(&version.digest) {
            let manifest = manifest_of(self.objects, version)
                .context(|| "nothing is collected: it cannot be told what is still needed")
                .hint(|| "run `kf fsck` and mend what it finds first".into())?;
            let files = manifest.files().iter().map(|f| f.digest).collect();
            self.manifests.insert(version.digest, files);
        }
        Ok(self.manifests.get(&version.digest).map(Vec::as_slice).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
