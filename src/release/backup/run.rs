//! Makes a backup set: every part as it is, one after the other, then the manifest, then the event.

use super::pack::{Packed, archive, scratch, seal};
use super::parts::{Part, Source};
use super::{Place, audit, mirror, sets};
use crate::adapters::age::Recipients;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::event::{Event, Outcome, Resource};
use crate::base::name::Name;
use crate::domain::backup::manifest::{self, Artifacts, Found, Log, Manifest, SETS, Stream};
use crate::seams::backup::{Counts, Dumped};
use crate::store::Store;
use crate::store::lock::{Hold, Matter};
use crate::store::objects::Objects;

/// The action of the event of a set that was made.
pub const COMPLETED: &str = "backup.completed";
/// The action of the event of one that could not be made.
const FAILED: &str = "backup.failed";

/// What is backed up.
pub struct Request<'a> {
    /// The plan that it is made by.
    pub plan: &'a Name,
    /// What is in it.
    pub parts: &'a [Part],
    /// Who can read it, as written.
    pub recipients: &'a [String],
    /// The objects of versions.
    pub artifacts: &'a Objects,
}

/// How far it is, for people.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// This part is read.
    Part(&'a Name),
    /// So many of so many objects are brought.
    Objects(u64, u64),
}

/// Makes a set.
///
/// # Errors
/// When a part cannot be read whole or the place not be written; then there is no set, and an event tells why.
pub fn run(
    store: &Store,
    place: &Place<'_>,
    request: &Request<'_>,
    waiting: &mut dyn FnMut(&str),
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Found> {
    let _alone = store.lock(Matter::Backup, Hold::Alone, "backup run", waiting)?;
    // Objects that rows name must not go between the two.
    let _nobody_removes = store.lock(Matter::Objects, Hold::Shared, "backup run", waiting)?;
    let made = made(store, place, request, progress);
    let event = |action: &'static str, name: &str| {
        let parts: Vec<&str> = request.parts.iter().map(|part| part.name.as_str()).collect();
        Event::new(action, Resource::new("backup", name)).with("plan", request.plan.as_str()).with("components", parts)
    };
    match &made {
        Ok(found) => {
            let of = &found.manifest;
            let event = event(COMPLETED, &of.id).with("manifest", found.digest.to_string()).with("stored", of.stored());
            store.write(|tx| Ok(tx.record(event.with("to", place.objects.describe()))))?;
        }
        Err(e) => {
            let event = event(FAILED, request.plan.as_str()).outcome(Outcome::Failed).with("why", e.to_string());
            // What could not be written down is told all the same.
            let _ = store.write(|tx| Ok(tx.record(event)));
        }
    }
    made
}

fn made(store: &Store, place: &Place<'_>, request: &Request<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Found> {
    let recipients = Recipients::parse(request.recipients)?;
    let began = store.now();
    let mut of = Manifest {
        schema: Manifest::schema(),
        id: manifest::id(began, &store.random().bytes()),
        plan: request.plan.clone(),
        began,
        ended: began,
        kf: env!("CARGO_PKG_VERSION").to_owned(),
        recipients: request.recipients.to_vec(),
        log: None,
        components: Vec::new(),
        artifacts: None,
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
            Source::Artifacts => of.artifacts = Some(artifacts(place, request, &recipients, progress).context(what)?),
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
    of.ended = store.now();
    let text = of.text(place.signer)?;
    if !place.objects.publish(&format!("{SETS}/{}", of.id), text.as_bytes())? {
        return Err(Error::of(Kind::Locked, format!("there is a backup set {} already", of.id)).hint("run it again"));
    }
    Manifest::read(&of.id, text.as_bytes(), place.known)
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
    let stored = seal(place.objects, place.scratch, recipients, &mut |to| {
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
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Artifacts> {
    let sets = sets::all(place)?;
    // Others may read this one: what was encrypted for somebody else does not do.
    let same = |of: &&Manifest| of.recipients == request.recipients;
    let manifests = sets.iter().filter_map(|set| set.found.as_ref().ok()).map(|found| &found.manifest).filter(same);
    let before = manifests.filter_map(|of| of.artifacts).find_map(|all| mirror::index(place.objects, &all).ok());
    let told = &mut |done, of| progress(Progress::Objects(done, of));
    mirror::mirror(place, request.artifacts, recipients, before.unwrap_or_default(), told)
}
