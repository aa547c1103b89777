//! Restores a set where it harms nobody, and tells whether all of it is there: the only proof that a backup is one.
//!
//! It works on copies in a folder of its own, which is removed whatever happens; servers that it starts listen on a socket or a loopback
//! port in it. It is given nothing by which it could reach what is in use but the place of the backups.

use super::answers;
use super::due::OURS;
use super::erasures::{self, Asked, Erased};
use super::pack::{open, scratch};
use super::parts::{Part, Source};
use super::restore::{BESIDE, restore_into};
use super::scratch::room;
use super::{Place, audit};
use crate::adapters::process::Program;
use crate::base::error::{Context, Error, Result};
use crate::base::event::{Event, Outcome, Resource};
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::text::{self, count};
use crate::base::time::Timestamp;
use crate::base::verdict::Verdict;
use crate::domain::audit::query::{self, Filter};
use crate::domain::audit::verify::Anchor;
use crate::domain::backup::erasure::{What, heard_of, of_state};
use crate::domain::backup::manifest::{self, Found};
use crate::domain::backup::proof::{DRILLS, Proof, Step};
use crate::domain::ingest::table::Tenant;
use crate::release::fsck;
use crate::seams::backup::{Component, difference};
use crate::store::objects::{Objects, atomic};
use crate::store::{Store, log};
use std::path::Path;
use std::time::{Duration, Instant};

/// The action of the event of a drill.
pub const DRILLED: &str = "backup.drilled";

/// How long a smoke test may take; then it is killed with all that it started.
const SMOKE: Duration = Duration::from_secs(600);

/// What a drill is done with.
pub struct Drill<'a> {
    /// The set.
    pub set: &'a Found,
    /// The components as they are configured now, which know how to count.
    pub parts: &'a [Part],
    /// Opens the state of a file, to read and write.
    pub open: &'a dyn Fn(&Path) -> Result<Store>,
    /// A program that must end with 0 in what was restored.
    pub smoke: Option<&'a [String]>,
    /// Checkpoints of the log from elsewhere.
    pub anchors: &'a [Anchor],
}

/// Drills a set, and writes down what was found: beside the sets, and in the log.
///
/// # Errors
/// When there is no key, or what was found cannot be written down.
pub fn drill(store: &Store, place: &Place<'_>, of: &Drill<'_>, told: &mut dyn FnMut(&str)) -> Result<Proof> {
    place.readable()?;
    let (at, began) = (store.now(), Instant::now());
    let folder = room(place.scratch)?;
    let mut steps = Steps { all: Vec::new(), told };
    let mut lost = Lost::default();
    let to = folder.path().join("restored");
    steps.of("restore", || {
        std::fs::create_dir(&to).context(|| format!("cannot make {}", to.display()))?;
        let back = restore_into(place, of.set, &[], &to, &mut |_, _| {})?;
        let objects = usize::try_from(back.objects).unwrap_or(usize::MAX);
        Ok(format!("{}, {}, {}", count(back.components.len(), "component"), count(objects, "object"), Bytes(back.bytes)))
    });
    if of.set.manifest.log.is_some() {
        steps.of("state", || state(place, of, &to));
        let restored = |ask: &dyn Fn(&Store) -> Result<String>| ask(&(of.open)(&to.join(".kf/state.db"))?);
        let size = of.set.manifest.log.as_ref().map_or(0, |log| log.size);
        steps.of("audit log", || restored(&|copy| answers::anchored(copy, (place.known, of.anchors), size, place.jobs)));
        steps.of("names and reasons", || restored(&|copy| answers::named(copy)));
        if of.set.manifest.artifacts.is_some() {
            let (objects, out) = (to.join(".kf/objects"), folder.path().join("production"));
            steps.of("production", || restored(&|copy| answers::production(copy, &Objects::files(&objects)?, &out)));
        }
        lost = lost_since(store, of, &to).unwrap_or_default();
        steps.of("erasures", || forgotten(store, of, &to));
        let nothing = || "nothing is searched".to_owned();
        steps.of("search", || restored(&|copy| Ok(copy.read(answers::searched)?.unwrap_or_else(nothing))));
    }
    for part in &of.set.manifest.components {
        let known = of.parts.iter().find(|p| p.name == part.name);
        if let Some(log) = &part.log {
            steps.of(part.name.as_str(), || audit::proven(&to.join(BESIDE).join(part.name.as_str()), log, place.known));
        }
        if let Some(Part { source: Source::Other(component), .. }) = known {
            steps.of(part.name.as_str(), || counted(component.as_ref(), part, (&to, folder.path())));
        }
    }
    if let Some(argv) = of.smoke {
        steps.of("smoke test", || {
            let program = Program::from_argv(argv)?.dir(&to).bare().env("HOME", folder.path()).env("KF_DIR", &to);
            let program = program.env("KF_STATE_URL", "sqlite").env("KF_ARTIFACTS_URL", ".kf/objects").timeout(SMOKE);
            let out = program.output(b"")?;
            Ok(String::from_utf8_lossy(&out).lines().last().unwrap_or("it ended with 0").to_owned())
        });
    }
    let rto = began.elapsed();
    steps.of("an altered copy is refused", || altered(place, of.set, folder.path()));
    let steps = steps.all;
    let proof = Proof {
        schema: Proof::schema(),
        set: of.set.manifest.id.clone(),
        manifest: of.set.digest,
        at,
        passed: steps.iter().all(|step| step.failed.is_none()),
        rto_ms: u64::try_from(rto.as_millis()).unwrap_or(u64::MAX),
        rpo_ms: u64::try_from(at.micros().saturating_sub(of.set.manifest.began.micros()) / 1000).unwrap_or(0),
        newest_event: lost.newest,
        lost_events: lost.events,
        steps,
    };
    record(store, place, &proof, &of.set.manifest.plan)?;
    Ok(proof)
}

/// What would be lost.
#[derive(Default)]
struct Lost {
    newest: Option<Timestamp>,
    events: Option<u64>,
}

/// How much of the log in use is not in the set; what it tells of backups is no loss.
fn lost_since(store: &Store, of: &Drill<'_>, to: &Path) -> Result<Lost> {
    let copy = (of.open)(&to.join(".kf/state.db"))?;
    let newest = copy.read(|view| query::log(view, &Filter::default(), 1))?.first().map(|entry| entry.at);
    let kept = of.set.manifest.log.as_ref();
    let head = store.read(|view| log::head(view.db()))?;
    let kept = kept.filter(|log| log.origin == head.origin && log.size <= head.frontier.size());
    let events = kept.map(|log| store.read(|view| log::count_others_since(view.db(), log.size, OURS))).transpose()?;
    Ok(Lost { newest, events })
}

/// What is to be forgotten since is forgotten in the copy, and all agrees after it.
fn forgotten(store: &Store, of: &Drill<'_>, to: &Path) -> Result<String> {
    match erasures::in_folder(Asked::Live(store), of.set, to, of.open)? {
        Erased::None | Erased::Again(0) => Ok("none that the set does not know of".to_owned()),
        Erased::Unknown(why) => Err(Error::new(format!("nobody can say what was erased since: {why}"))),
        Erased::Again(n) => {
            let copy = (of.open)(&to.join(".kf/state.db"))?;
            let heard = copy.read(heard_of)?;
            let missing = store.read(of_state)?.into_iter().find(|erasure| {
                let there = copy.read(|view| Tenant::find(view, &erasure.tenant)).is_ok_and(|tenant| tenant.is_some());
                there && !heard.contains(&erasure.id) && erasure.what == What::All
            });
            match missing {
                Some(erasure) => {
                    Err(Error::new(format!("the erasure of {} on {} was not done again", erasure.tenant, erasure.at)))
                }
                None => Ok(format!("{n} done again")),
            }
        }
    }
}

/// What was tried so far.
struct Steps<'a> {
    all: Vec<Step>,
    told: &'a mut dyn FnMut(&str),
}

impl Steps<'_> {
    fn of(&mut self, what: &str, step: impl FnOnce() -> Result<String>) {
        (self.told)(what);
        let began = Instant::now();
        let (found, failed) = match step() {
            Ok(found) => (found, None),
            Err(e) => (String::new(), Some(e.chain().join(": "))),
        };
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.all.push(Step { what: what.to_owned(), failed, found, took_ms });
    }
}

/// The state opens, has the log that the manifest names, and all that it names is there: what `kf fsck` checks.
fn state(place: &Place<'_>, of: &Drill<'_>, to: &Path) -> Result<String> {
    let store = (of.open)(&to.join(".kf/state.db"))?;
    let objects = Objects::files(&to.join(".kf/objects"))?;
    let options = fsck::Options {
        quick: of.set.manifest.artifacts.is_none(),
        repair: false,
        jobs: place.jobs,
        keys: place.known,
        journal: None,
    };
    let report = fsck::check(&store, &objects, options, &mut |_, _| {}, &mut |_| {})?;
    if report.verdict != Verdict::Pass {
        let first = report.findings.first().map(|f| format!("{}: {}", f.subject, f.problem)).unwrap_or_default();
        return Err(Error::new(format!("{} things do not agree, the first: {first}", report.findings.len())));
    }
    let log = of.set.manifest.log.as_ref().map(|log| (log.size, log.root));
    if log != report.log.root.map(|root| (report.log.entries, root)) {
        return Err(Error::new(format!("its log has {} entries and another root than the manifest says", report.log.entries)));
    }
    let entries = text::counted(report.log.entries, "entries");
    Ok(format!("{entries} of the log, {}, nothing that does not agree", text::counted(report.rows.versions, "versions")))
}

/// What a component has is as much as was kept.
fn counted(component: &dyn Component, part: &manifest::Part, (to, beside): (&Path, &Path)) -> Result<String> {
    let files = to.join(BESIDE).join(part.name.as_str());
    let own = scratch(beside)?;
    let Some(found) = component.count(&files, own.path())? else {
        return Ok("its files are there; what would count what is in them is not on this machine".to_owned());
    };
    match difference(&part.counts, &found.counts) {
        Some(wrong) => Err(Error::new(wrong)),
        None => {
            let counts = found.counts.iter().map(|(name, n)| text::counted(*n, name)).collect::<Vec<_>>().join(", ");
            Ok(format!("{counts} ({})", found.by))
        }
    }
}

/// One byte of one stream is changed, in a copy of it: that must be found.
fn altered(place: &Place<'_>, set: &Found, folder: &Path) -> Result<String> {
    let Some(part) = set.manifest.components.first() else { return Ok("there is no component to alter".to_owned()) };
    let copy = Objects::files(&folder.join("altered"))?;
    let (file, hex) = (folder.join("altered.stream"), part.stored.object.hex());
    place.objects.copy_to(&part.stored.object, &file)?;
    let mut bytes = std::fs::read(&file).context(|| "cannot read a copy")?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let at = folder.join("altered/sha256").join(&hex[..2]);
    std::fs::create_dir_all(&at).context(|| "cannot make a folder")?;
    atomic::write_file(&at.join(&hex[2..]), &bytes, 0o600)?;
    match open((&copy, folder), (place.readable()?, &part.stored), &mut |_| Ok(())) {
        Err(_) => Ok(format!("of component {}, with byte {middle} changed", part.name)),
        Ok(()) => Err(Error::new(format!("component {} with byte {middle} changed was taken for right", part.name))),
    }
}

fn record(store: &Store, place: &Place<'_>, proof: &Proof, plan: &Name) -> Result<()> {
    let name = format!("{}.{}", proof.set, manifest::stamp(proof.at, &store.random().bytes()));
    let text = proof.text(place.signer)?;
    place.objects.publish(&format!("{DRILLS}/{name}"), text.as_bytes())?;
    let failed: Vec<&str> = proof.steps.iter().filter(|s| s.failed.is_some()).map(|s| s.what.as_str()).collect();
    let event = Event::new(DRILLED, Resource::new("backup", &proof.set))
        .with("manifest", proof.manifest.to_string())
        .with("plan", plan.as_str())
        .with("rto-ms", proof.rto_ms)
        .with("rpo-ms", proof.rpo_ms)
        .with("report", text)
        .with("failed", failed)
        .outcome(if proof.passed { Outcome::Ok } else { Outcome::Failed });
    store.write(|tx| Ok(tx.record(event)))?;
    Ok(())
}
