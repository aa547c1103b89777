//! `kf rollback --emergency` where the state cannot be used, and the entries that it leaves.

use super::canary::drive::rest_of;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::text::count;
use crate::base::version::Version;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::config::Target as Place;
use crate::domain::registry::table as registry;
use crate::domain::rollout::table as rollout;
use crate::release::emergency::act::{Found, Way, go, look_closely, way};
use crate::release::emergency::journal::{self, Entry, Kept, Outcome};
use crate::release::emergency::take_in as taking;
use crate::release::rollout::plan::configured;
use crate::release::rollout::start::place;
use crate::seams::traffic::Target;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// How long a state that somebody else writes is waited for before it is gone past.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same for taking entries in, which every command tries.
const GLANCE: Duration = Duration::from_secs(1);

/// What is asked for.
pub(super) struct Asked<'a> {
    pub(super) name: &'a Name,
    pub(super) to: Option<Version>,
    pub(super) expect: Option<Version>,
    pub(super) target: Option<&'a str>,
    pub(super) ticket: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
    pub(super) max_wait: Duration,
}

/// What was done past the state.
#[derive(Serialize)]
struct Moved {
    model: Name,
    target: Name,
    /// What had the traffic.
    from: Option<Version>,
    /// What has all of it.
    to: Version,
    changed: bool,
    /// Why the state could not be used.
    state: String,
    /// The file that tells of it; absent when nothing changed or no file could be written.
    entry: Option<String>,
    signed: bool,
}

impl Report for Moved {
    const SCHEMA: &'static str = "kf.rollback-emergency/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        let (model, to, target) = (&self.model, self.to, &self.target);
        match self.from.filter(|_| self.changed) {
            Some(from) => format!("{model}@{to} has all of the traffic of {target}, {from} has none"),
            None if self.changed => format!("{model}@{to} has all of the traffic of {target}"),
            None => format!("{model}@{to} has all of the traffic of {target} already"),
        }
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![("version", self.to.to_string())]
    }
}

/// Whether the state can be read and written now, as far as a rollback of the model needs it.
///
/// # Errors
/// Why not.
pub(super) fn usable(cx: &Cx, name: &Name) -> Result<()> {
    let store = cx.store_within(PATIENCE, None)?;
    store.read(|view| {
        rollout::open(view)?;
        let Some(model) = registry::find_model(view, name)? else { return Ok(()) };
        registry::versions(view, model.id, u32::MAX)?;
        registry::history(view, model.id, u32::MAX).map(drop)
    })?;
    store.try_write()
}

/// A target of the model, and what it is to do.
struct Seen<'c> {
    place: &'c Place,
    target: Box<dyn Target>,
    found: Found,
    /// What the state does not know of yet.
    before: Option<Entry>,
}

impl Seen<'_> {
    /// True when its users have what somebody gave them past the state: whoever asks twice goes back once, further back only by name.
    fn went(&self) -> bool {
        self.before.as_ref().is_some_and(|entry| self.found.serves() == Some(entry.to))
    }
}

/// Moves the traffic by what the targets show, and leaves an entry of each for the state; `state` is why that cannot be used.
///
/// # Errors
/// When a target cannot be asked, names nothing to go back to, or does not do it: all others have gone back then.
pub(super) fn go_back(cx: &Cx, asked: &Asked<'_>, state: &Error) -> Result<Exit> {
    let places = places(cx, asked)?;
    cx.warn(&format!("the state cannot be used, so the target is asked what serves: {state}"));
    let (mut seen, mut failed) = (Vec::new(), Vec::new());
    for place in places {
        match look(cx, asked, place) {
            Ok(found) => seen.push(found),
            Err(e) => failed.push(e),
        }
    }
    seen.iter().try_for_each(|seen| expected(asked, &seen.found))?;
    if asked.to.is_none() {
        same(asked.name, &seen)?;
    }
    let mut done: Option<Moved> = None;
    for seen in &seen {
        match goes(cx, asked, seen, state) {
            Ok(moved) => done.replace(moved).iter().for_each(|moved| cx.out.note(&moved.summary())),
            Err(e) => failed.push(e),
        }
    }
    let mut failed = failed.into_iter();
    let Some(first) = failed.next() else { return done.map_or(Ok(Exit::Ok), |moved| cx.out.emit(&moved)) };
    done.iter().for_each(|moved| cx.out.note(&moved.summary()));
    failed.for_each(|e| cx.warn(&e.to_string()));
    Err(first)
}

/// The target that is named, or all of the model.
fn places<'c>(cx: &'c Cx, asked: &Asked<'_>) -> Result<Vec<&'c Place>> {
    let project = &cx.project()?.project;
    let all: Vec<&Place> = project.target.iter().filter(|t| t.model == *asked.name).collect();
    if asked.target.is_none() && all.len() > 1 {
        return Ok(all);
    }
    place(project, asked.name, asked.target).map(|place| vec![place])
}

fn look<'c>(cx: &Cx, asked: &Asked<'_>, place: &'c Place) -> Result<Seen<'c>> {
    let target = cx.traffic(place)?;
    let found = look_closely(target.as_ref(), asked.name)?;
    let before = pending(cx, asked.name, &place.name, found.serves());
    Ok(Seen { place, target, found, before })
}

/// Makes sure that one version is left on all targets that still have to go back: which of several is the bad one only a person
/// can tell while the state cannot be read.
fn same(model: &Name, seen: &[Seen<'_>]) -> Result<()> {
    let leaving: Vec<&Seen<'_>> = seen.iter().filter(|seen| !seen.went()).collect();
    if leaving.windows(2).all(|pair| pair[0].found.leaves() == pair[1].found.leaves()) {
        return Ok(());
    }
    let shows = |seen: &&Seen<'_>| {
        let what = seen.found.leaves().map_or_else(|| "nothing".to_owned(), |v| v.to_string());
        format!("`--target {}` takes {what} back", seen.place.name)
    };
    let each: Vec<String> = leaving.iter().map(shows).collect();
    Err(Error::usage(format!(
        "the targets of {model} have different versions, and the state that knows which is to go cannot be used"
    ))
    .hint(format!("name the target, or with `--to` the version for all of them: {}", each.join(", "))))
}

/// Goes back on one target.
fn goes(cx: &Cx, asked: &Asked<'_>, seen: &Seen<'_>, state: &Error) -> Result<Moved> {
    let Seen { place, target, found, before } = seen;
    let way = way(found, asked.name, asked.to.or_else(|| before.as_ref().map(|entry| entry.to)))?;
    let (from, to) = match way {
        Way::There(to) => (found.serves(), to),
        Way::Back { from, to } => (Some(from), to),
        Way::Over { from, to } => (from, to),
    };
    let (model, named, there) = (asked.name.clone(), place.name.clone(), matches!(way, Way::There(_)));
    let mut moved =
        Moved { model, target: named, from, to, changed: !there, state: state.to_string(), entry: None, signed: false };
    if cx.global.dry_run {
        return Ok(moved);
    }
    if there {
        if let Some(entry) = before.clone().filter(|entry| entry.to == to && entry.outcome != Outcome::Done) {
            keep(cx, &Entry { outcome: Outcome::Done, ..entry }, &mut moved);
        }
        if asked.to.is_none() {
            cx.warn("nothing was changed: `--to VERSION` goes to another version");
        }
        return Ok(moved);
    }
    let id = cx.random.uuid(cx.clock.now()).to_string();
    let mut entry = Entry::begun((id, cx.clock.now(), &cx.who()?), (asked.name, &place.name), (from, to), state);
    (entry.ticket, entry.reason) = (asked.ticket.map(str::to_owned), asked.reason.map(str::to_owned));
    keep(cx, &entry, &mut moved);
    let done = go(target.as_ref(), asked.name, (found, &way), &mut rest_of(&cx.clock, asked.max_wait));
    entry.outcome = done.as_ref().map_or_else(|e| Outcome::Failed(e.to_string()), |()| Outcome::Done);
    keep(cx, &entry, &mut moved);
    done?;
    cx.warn("registry and audit log do not know of it yet: the next command that can write the state takes it in");
    Ok(moved)
}

/// The newest entry about a model on a target that the state does not know of yet. One that failed says where nobody got to, unless
/// that serves all the same.
fn pending(cx: &Cx, model: &Name, target: &Name, serves: Option<Version>) -> Option<Entry> {
    let (files, key) = (folder(cx).and_then(|dir| journal::files(&dir)).ok()?, cx.log_verifier().ok().flatten());
    let read = files.iter().rev().filter_map(|path| journal::read(path, key.as_ref()).ok());
    let came = |entry: &Entry| !matches!(entry.outcome, Outcome::Failed(_)) || serves == Some(entry.to);
    read.map(|kept| kept.entry).find(|entry| entry.model == *model && entry.target == *target && came(entry))
}

fn expected(asked: &Asked<'_>, found: &Found) -> Result<()> {
    let Some(expect) = asked.expect.filter(|expect| found.serves() != Some(*expect)) else { return Ok(()) };
    let serves = found.serves().map_or_else(|| "nothing".to_owned(), |v| format!("{}@{v}", asked.name));
    Err(Error::new(format!("expected {}@{expect} to serve, the target shows {serves}", asked.name))
        .hint("leave `--expect` out to go back all the same"))
}

/// Writes an entry down wherever that can be done: a full disk keeps nobody from going back.
fn keep(cx: &Cx, entry: &Entry, moved: &mut Moved) {
    let signer = cx.log_signer().unwrap_or_else(|e| {
        cx.warn(&format!("the entry is not signed: {e}"));
        None
    });
    let written = folder(cx).and_then(|dir| journal::write(&dir, entry, signer.as_ref().map(|s| s.key())));
    match written {
        Ok(path) => (moved.entry, moved.signed) = (Some(path.display().to_string()), signer.is_some()),
        Err(e) => cx.warn(&format!("{e}: keep this output, the state will not hear of it by itself")),
    }
}

/// Where the entries are.
pub(super) fn folder(cx: &Cx) -> Result<PathBuf> {
    Ok(cx.kf_dir()?.join("emergency"))
}

/// How many entries wait for the state.
///
/// # Errors
/// When their folder cannot be read.
pub(super) fn waiting(cx: &Cx) -> Result<usize> {
    Ok(journal::files(&folder(cx)?)?.len())
}

/// Makes sure that nothing waits for a state that is about to be left.
///
/// # Errors
/// When something does.
pub(super) fn nothing_waits(cx: &Cx) -> Result<()> {
    let files = journal::files(&folder(cx)?)?;
    let Some(first) = files.first() else { return Ok(()) };
    let what = format!("{} not in this state yet, so it is not moved", count(files.len(), "emergency rollback"));
    Err(Error::new(what)
        .hint("`kf status` takes them in, or says why it cannot; then move the state")
        .hint(format!("one that tells nothing is set aside: `mv '{0}' '{0}.aside'`", first.display())))
}

/// Takes in what was done past the state. What cannot be taken in is told of, and keeps no command from its work.
pub(super) fn take_in(cx: &Cx) {
    // Whoever has no repository here has no entries.
    let Ok(files) = folder(cx).and_then(|dir| journal::files(&dir)) else { return };
    if files.is_empty() || cx.global.dry_run {
        return;
    }
    let key = cx.log_verifier().ok().flatten();
    for path in files {
        let taken = journal::read(&path, key.as_ref())
            .map_err(|e| (e, true))
            .and_then(|kept| take_one(cx, &kept).map_err(|e| (e, false)));
        // Somebody else may have taken it in meanwhile.
        if let Err((e, tells_nothing)) = taken
            && path.exists()
        {
            // What is wrong with the state the command says itself, with all that can be done about it.
            let hints: String = e.hints().iter().filter(|_| tells_nothing).map(|hint| format!("; {hint}")).collect();
            cx.warn(&format!("an emergency rollback is not in the state yet: {e}{hints}"));
            // The next one may be about the same traffic: they are taken in in their order.
            if !tells_nothing {
                return;
            }
        }
    }
}

/// In the name of whoever did it.
fn take_one(cx: &Cx, kept: &Kept) -> Result<()> {
    let entry = &kept.entry;
    let project = &cx.project()?.project;
    let alerts = configured(project, None, &entry.target).map(|plan| plan.alerts).unwrap_or_default();
    let store = cx.store_within(GLANCE, Some(entry.identity()))?;
    let left = store.write(|tx| taking::take_in(tx, kept, &alerts))?;
    // Whoever is killed here leaves an entry that is known again.
    journal::remove(kept)?;
    super::alert::deliver(cx, &store);
    let (did, why) = match &entry.outcome {
        Outcome::Done => ("done", String::new()),
        Outcome::Begun => ("begun", String::new()),
        Outcome::Failed(why) => ("tried", format!(", which failed: {why}")),
    };
    let Entry { at, model, to, name, .. } = entry;
    cx.warn(&format!("what was {did} past the state at {at} is in the audit log now: {model}@{to} by {name}{why}"));
    if let Some(left) = left {
        cx.warn(&left);
    }
    Ok(())
}
