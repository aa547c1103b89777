//! Makes a backup set: every part as it is, one after the other, then the manifest, then the event.

use super::due::is_due;
use super::lock::{self, Verdict, Worm};
use super::pack::{Packed, archive, scratch, seal};
use super::parts::{Part, Source};
use super::sets::{LOOKED_AT, Sets};
use super::{Place, audit, mirror, scratch as own};
use crate::adapters::age::Recipients;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::event::{Event, Outcome, Resource};
use crate::base::name::Name;
use crate::base::text::count;
use crate::config::BackupPlan;
use crate::domain::audit::query::{self, Filter};
use crate::domain::backup::manifest::{self, Artifacts, Found, Log, Manifest, SETS, Stream};
use crate::seams::backup::{Counts, Dumped};
use crate::store::Store;
use crate::store::lock::{Hold, Lock, Matter};
use crate::store::objects::{Fault, Objects};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The action of the event of a set that was made.
pub const COMPLETED: &str = "backup.completed";
/// The action of the event of one that could not be made.
const FAILED: &str = "backup.failed";

/// What is backed up.
pub struct Request<'a> {
    /// The name of the plan that it is made by.
    pub name: &'a Name,
    /// The plan; `None` for a set that is made on its own.
    pub plan: Option<&'a BackupPlan>,
    /// True when nothing is made unless the plan's time has come.
    pub only_if_due: bool,
    /// What is in it.
    pub parts: &'a [Part],
    /// Who can read it, as written.
    pub recipients: &'a [String],
    /// The objects of versions.
    pub artifacts: &'a Objects,
}

/// A set that was made.
#[derive(Debug)]
pub struct Made {
    /// The set.
    pub found: Found,
    /// Whether locks hold in its place, where the plan has one.
    pub worm: Option<Worm>,
}

/// Entries of the log that are looked at for earlier sets.
const ENTRIES: u64 = 2000;

/// Temporaries in a place that are older than an hour are nobody's.
const HOUR: i64 = 3_600_000_000;

/// How far it is, for people.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// This part is read.
    Part(&'a Name),
    /// So many of so many objects are brought.
    Objects(u64, u64),
}

/// Makes a set; `None` when one was asked for only if it is due, and it is not. That is decided by whoever holds the lock: of two jobs at
/// once the second finds the set of the first.
///
/// # Errors
/// When a part cannot be read whole or the place not be written; then there is no set, and an event tells why.
pub fn run(
    store: &Store,
    place: &Place<'_>,
    request: &Request<'_>,
    waiting: &mut dyn FnMut(&str),
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Option<Made>> {
    let alone = store.lock(Matter::Backup, Hold::Alone, "backup run", waiting)?;
    let sets = Sets::of(place)?;
    if let Some(plan) = request.plan.filter(|_| request.only_if_due)
        && !is_due(store, place, plan, request.parts, &sets)?
    {
        return Ok(None);
    }
    // Objects that rows name must not go between the two.
    let _nobody_removes = store.lock(Matter::Objects, Hold::Shared, "backup run", waiting)?;
    own::sweep(place.scratch)?;
    let _at_work = own::hold(place.scratch)?;
    place.objects.sweep_temporaries(store.now().plus_micros(-HOUR))?;
    let made = made(store, place, request, (&alone, &sets), progress);
    let plan = request.name.as_str();
    let event = |action: &'static str, name: &str| {
        let parts: Vec<&str> = request.parts.iter().map(|part| part.name.as_str()).collect();
        Event::new(action, Resource::new("backup", name)).with("plan", plan).with("components", parts)
    };
    match &made {
        Ok(Made { found, .. }) => {
            let of = &found.manifest;
            let mut event = event(COMPLETED, &of.id).with("manifest", found.digest.to_string()).with("stored", of.stored());
            if let Some(lock) = of.lock {
                event = event.with("locked-until", lock.until.to_string());
            }
            store.write(|tx| Ok(tx.record(event.with("to", place.objects.describe()))))?;
        }
        Err(e) => {
            let event = event(FAILED, plan).outcome(Outcome::Failed).with("why", e.to_string());
            // What could not be written down is told all the same.
            let _ = store.write(|tx| Ok(tx.record(event)));
        }
    }
    made.map(Some)
}

fn made(
    store: &Store,
    place: &Place<'_>,
    request: &Request<'_>,
    (alone, sets): (&Lock, &Sets<'_>),
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Made> {
    let recipients = Recipients::parse(request.recipients)?;
    let began = store.now();
    let mut of = Manifest {
        schema: Manifest::schema(),
        id: manifest::id(began, request.name.as_str(), &store.random().bytes()),
        plan: request.name.clone(),
        began,
        ended: began,
        kf: env!("CARGO_PKG_VERSION").to_owned(),
        recipients: request.recipients.to_vec(),
        log: None,
        components: Vec::new(),
        artifacts: None,
        lock: None,
    };
    // The state first: objects are only ever added, so what comes later has all that it names.
    for part in request.parts {
        progress(Progress::Part(&part.name));
        let what = || format!("cannot back up {}", part.name);
        match &part.source {
            Source::State => {
                let (log, kept) = state(store, place, &recipients).context(what)?;
                of.log = Some(log);
                of.components.push(kept);
            }
            Source::Artifacts => of.artifacts = Some(artifacts(place, request, &recipients, sets, progress).context(what)?),
            Source::Audit => {
                let folder = scratch(place.scratch)?;
                let (log, dumped) = audit::dump(store, place, folder.path()).context(what)?;
                let (stored, counts) = packed(place, &recipients, &dumped).context(what)?;
                let (name, kind) = (part.name.clone(), "audit".to_owned());
                let log = Some(log);
                of.components.push(manifest::Part { name, kind, place: store.describe(), tool: None, stored, counts, log });
            }
            Source::Other(component) => {
                let folder = scratch(place.scratch)?;
                let kind = component.kind();
                let dumped = component.dump(folder.path()).context(what)?;
                let (stored, counts) = packed(place, &recipients, &dumped).context(what)?;
                let (name, tool) = (part.name.clone(), dumped.tool);
                of.components.push(manifest::Part { name, kind: kind.kind, place: kind.place, tool, stored, counts, log: None });
            }
        }
    }
    let lock = request.plan.and_then(|plan| plan.lock);
    let worm = lock.map(|lock| tried(store, place, lock.mode));
    if let Some(asked) = lock.filter(|_| worm.as_ref().is_some_and(|worm| worm.verdict != Verdict::NoLocks)) {
        of.lock = Some(lock::hold(place, &of, lock::asked(asked, began), sets)?);
    }
    of.ended = store.now();
    // Whoever lost the lock on the way may have lost objects to somebody who removes what no set names.
    alone.check()?;
    whole(place, &of)?;
    let (name, text) = (format!("{SETS}/{}", of.id), of.text(place.signer)?);
    let published = match of.lock {
        Some(lock) => place.objects.publish_locked(&name, text.as_bytes(), lock.retention())?,
        None => place.objects.publish(&name, text.as_bytes())?,
    };
    if !published {
        return Err(Error::of(Kind::Locked, format!("there is a backup set {} already", of.id)).hint("run it again"));
    }
    Ok(Made { found: Manifest::read(&of.id, text.as_bytes(), place.known)?, worm })
}

/// All that a set names is still there. The lock is one of the state: whoever has another state with the same place, such as a copy of
/// this one that was restored, holds another, and may have removed what no manifest named yet.
fn whole(place: &Place<'_>, of: &Manifest) -> Result<()> {
    let mut wanted: BTreeMap<Digest, Option<u64>> =
        of.components.iter().map(|part| (part.stored.object, Some(part.stored.size))).collect();
    let gone = |what: String| {
        Error::new(format!("no set is made: {what}")).hint(
            "somebody removes objects there meanwhile, such as `kf backup prune` of another copy of this state: stop that, and run it again",
        )
    };
    if let Some(all) = &of.artifacts {
        wanted.insert(all.index, None);
        let index = match mirror::index(place.objects, all) {
            Err(e) if e.cause::<Fault>().is_some() => {
                return Err(gone(format!("its list of objects is gone from {}", place.objects.describe())));
            }
            index => index?,
        };
        wanted.extend(index.values().map(|stream| (stream.object, Some(stream.size))));
    }
    place.objects.list(&mut |digest, size, _| {
        if wanted.get(&digest).is_some_and(|wanted| wanted.is_none_or(|wanted| wanted == size)) {
            wanted.remove(&digest);
        }
        Ok(())
    })?;
    match wanted.first_key_value() {
        None => Ok(()),
        Some((first, _)) => {
            let (n, is) = (count(wanted.len(), "object"), if wanted.len() == 1 { "is" } else { "are" });
            Err(gone(format!("{n} of it {is} gone from {}, the first {first}", place.objects.describe())))
        }
    }
}

/// How many sets the log tells of that were made in this place, where none of them is there any more; 0 where one is.
///
/// # Errors
/// When the log or the place cannot be read.
pub fn vanished(store: &Store, place: &Place<'_>) -> Result<usize> {
    let there: BTreeSet<String> = Sets::of(place)?.ids().map(str::to_owned).collect();
    let filter = Filter { action: Some(COMPLETED.to_owned()), outcome: Some(Outcome::Ok), ..Filter::default() };
    let (to, mut known) = (place.objects.describe(), 0);
    for entry in store.read(|view| query::log(view, &filter, ENTRIES))? {
        if entry.detail.get("to").and_then(Value::as_str) != Some(to.as_str()) {
            continue;
        }
        if there.contains(&entry.resource.name) {
            return Ok(0);
        }
        known += 1;
    }
    Ok(known)
}

/// Whether locks hold; where that cannot be found out there are none, and a set is made all the same.
fn tried(store: &Store, place: &Place<'_>, mode: crate::config::LockMode) -> Worm {
    lock::probe(store, place, mode).unwrap_or_else(|e| Worm {
        verdict: Verdict::NoLocks,
        found: format!("whether this place has locks cannot be told: {}", e.chain().join(": ")),
    })
}

/// The state as a file of SQLite, whatever engine it is on.
fn state(store: &Store, place: &Place<'_>, recipients: &Recipients) -> Result<(Log, manifest::Part)> {
    let folder = scratch(place.scratch)?;
    let copy = store.snapshot(&folder.path().join("state.db"))?;
    let counts = copy.tables.iter().map(|t| (format!("rows of {}", t.table), t.rows)).collect();
    let dumped = Dumped { root: folder.path().to_owned(), counts, tool: None };
    let (stored, counts) = packed(place, recipients, &dumped)?;
    let name = "state".parse().context(|| "a fixed word is a name")?;
    let log = Log { origin: copy.origin, size: copy.log_size, root: copy.log_root };
    Ok((log, manifest::Part { name, kind: "state".into(), place: store.describe(), tool: None, stored, counts, log: None }))
}

fn packed(place: &Place<'_>, recipients: &Recipients, dumped: &Dumped) -> Result<(Stream, Counts)> {
    let mut found = Packed::default();
    let stored = seal(place, recipients, &mut |to| {
        found = archive(&dumped.root, to)?;
        Ok(())
    })?;
    let mut counts = dumped.counts.clone();
    counts.insert("files".into(), found.files);
    if found.links_out > 0 {
        counts.insert("links that lead out, left out".into(), found.links_out);
    }
    Ok((stored, counts))
}

/// What the newest set has need not be brought again.
fn artifacts(
    place: &Place<'_>,
    request: &Request<'_>,
    recipients: &Recipients,
    sets: &Sets<'_>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Artifacts> {
    // Others may read this one: what was encrypted for somebody else does not do.
    let same = |of: &&Manifest| of.recipients == request.recipients;
    let mut before = mirror::Index::new();
    for set in sets.newest(None).take(LOOKED_AT) {
        let set = set?;
        // Nor does what somebody says who is not known: it would be believed to be what it says.
        let of = set.usable(place).map(|found| &found.manifest).filter(same);
        if let Some(Ok(index)) = of.and_then(|of| of.artifacts).map(|all| mirror::index(place.objects, &all)) {
            before = index;
            break;
        }
    }
    let told = &mut |done, of| progress(Progress::Objects(done, of));
    mirror::mirror(place, request.artifacts, recipients, before, told)
}
