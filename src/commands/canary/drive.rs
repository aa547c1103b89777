//! Driving a rollout from a command, and showing how it goes.

use super::doc::Stands;
use super::next::Here;
use super::ordered::let_on;
use crate::adapters::source::Ranges;
use crate::base::error::{Error, Kind, Result};
use crate::base::time::{Clock, Timestamp};
use crate::cli::cx::Cx;
use crate::cli::report;
use crate::commands::alert::beside::Beside;
use crate::config::{Loaded, Rollout as Plan, Target as Place};
use crate::domain::rollout::measure;
use crate::domain::rollout::setup::Strategy;
use crate::domain::rollout::table::{self, Rollout};
use crate::release::intact::Reader;
use crate::release::rollout::Parts;
use crate::release::rollout::control::Controller;
use crate::release::rollout::plan::configured;
use crate::seams::metrics::{Ask, MetricSource, Reading};
use crate::store::Store;
use std::io::IsTerminal as _;
use std::time::Duration;

/// How often somebody looks who only watches.
const LOOK: Duration = Duration::from_secs(1);
/// How often whoever drives looks whether something was ordered.
const HEAR: Duration = Duration::from_millis(50);
/// How often whoever ordered a way back looks whether it was done.
const SEE: Duration = Duration::from_millis(20);
/// The shortest time-out of a target that is told how long a way back may take.
const CALL_MIN: Duration = Duration::from_secs(1);
/// How long a target that does not take a canary back is tried, unless something else is said.
pub(crate) const BACK_PATIENCE: &str = "1m";
/// How long a target that has taken a way back on, and does not show it yet, is waited for at least: it may have to start pods.
const SLOW: Duration = Duration::from_secs(600);

/// Who counts.
pub(crate) enum Counts<'a> {
    /// Nobody is asked.
    Nobody,
    /// As this plan says; where costs are cut off.
    Said(&'a Plan, Ranges),
    /// As a rollout's plan says.
    Of(&'a Rollout),
}

/// For what is not judged.
struct Nobody;

impl MetricSource for Nobody {
    fn describe(&self) -> String {
        "nobody".to_owned()
    }

    fn read(&self, _: &Ask<'_>) -> Result<Reading> {
        Ok(Reading::default())
    }
}

/// What a plan names, and could not be had: whoever asks is told why, and a way back, which asks nobody, goes on.
struct Unopened(String);

impl MetricSource for Unopened {
    fn describe(&self) -> String {
        "nobody".to_owned()
    }

    fn read(&self, _: &Ask<'_>) -> Result<Reading> {
        Err(Error::new(self.0.clone()))
    }
}

/// Gives what driving a rollout on a target needs.
pub(crate) fn with_parts<T>(
    cx: &Cx,
    store: &Store,
    (place, counts): (&Place, Counts<'_>),
    act: impl FnOnce(&Loaded, &Parts<'_>) -> Result<T>,
) -> Result<T> {
    let loaded = cx.project()?;
    let objects = cx.objects()?;
    let reader = Reader::new(&objects, cx.jobs(), &|_, _| {});
    let target = cx.traffic(place)?;
    let source = match counts {
        Counts::Nobody => Box::new(Nobody),
        Counts::Said(said, ranges) => cx.counts(place, &said.source, ranges)?,
        Counts::Of(of) => {
            let said = configured(&loaded.project, Some(&of.setup.named), &place.name);
            let opened = said.and_then(|said| cx.counts(place, &said.source, measure::ranges(&of.setup.policy)));
            opened.unwrap_or_else(|e| Box::new(Unopened(e.to_string())))
        }
    };
    let parts = Parts {
        store,
        project: &loaded.project,
        root: &loaded.root,
        target: target.as_ref(),
        source: source.as_ref(),
        reader: &reader,
    };
    act(loaded, &parts)
}

/// The target of a rollout, as `mlops.toml` says it now.
pub(super) fn place_of<'c>(cx: &'c Cx, of: &Rollout) -> Result<&'c Place> {
    let project = &cx.project()?.project;
    project.target(of.setup.target.as_str()).ok_or_else(|| {
        Error::usage(format!("mlops.toml has no `[target.{}]` any more, on which {} runs", of.setup.target, of.setup.reference()))
            .hint("put it back: a rollout goes on where it began")
    })
}

/// Makes sure that a rollout can be taken back from here, before that is ordered.
///
/// # Errors
/// When its target is no longer said, or what it says cannot be used.
pub(crate) fn can_go_back(cx: &Cx, of: &Rollout) -> Result<()> {
    place_of(cx, of).and_then(|place| cx.traffic(place)).map(drop).map_err(|e| {
        let (reference, weight) = (of.setup.reference(), of.state.observed);
        e.hint(format!("nothing was changed: when the target was looked at last, {reference} had {weight} of the traffic"))
    })
}

/// How long to drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// As far as it goes without waiting.
    Now,
    /// To its end; `Some` gives up when a person was waited for for so long.
    End(Option<Duration>),
    /// To its end, which is a way back.
    Back(WayBack),
}

/// How a way back is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WayBack {
    /// How long a target that does not do it is tried.
    pub(crate) patience: Duration,
    /// Over the head of whoever drives the rollout.
    pub(crate) fenced: bool,
}

impl WayBack {
    /// Given up when it has not come on for too long, with what stands in the way; `since` is the last move, and when that was.
    fn still(&self, of: &Rollout, waits: Option<&str>, (since, now): (&mut (i64, Timestamp), Timestamp)) -> Result<()> {
        if since.0 != of.moves {
            *since = (of.moves, now);
        }
        let in_vain = of.state.errors > 0 || of.state.wants_a_person();
        if of.state.phase.ended() || !(in_vain || waits.is_some()) {
            return Ok(());
        }
        let patience = if in_vain { self.patience } else { self.patience.max(SLOW) };
        if passed(since.1, now) < patience {
            return Ok(());
        }
        let (reference, target) = (of.setup.reference(), &of.setup.target);
        let what = match of.setup.strategy {
            Strategy::Rollback => format!("the target {target} did not give the traffic to {reference}"),
            _ => format!("the target {target} did not take {reference} back"),
        };
        let why = waits.unwrap_or(&of.reason);
        let on = match of.state.held {
            // Whoever drives it leaves it held; whoever asks for the way back once more lets it go on.
            Some(_) => format!("`kf rollback {}` goes on with it when that is put right", of.setup.model),
            None if of.setup.plan.back => {
                let (short, model) = (of.short(), &of.setup.model);
                format!(
                    "`kf canary run {short}` or `kf rollback {model}` goes on with it when that is put right, `kf canary abort {short}` gives it up"
                )
            }
            None => format!("`kf canary run {}` goes on with it as soon as the target answers", of.short()),
        };
        Err(Error::new(format!("{what} within {} s: {why}", patience.as_secs()))
            .hint(format!(
                "the order is recorded, and {reference} had {} of the traffic when that was seen last",
                of.state.observed
            ))
            .hint(on))
    }
}

/// Drives a rollout, and gives how it stands then.
///
/// # Errors
/// [`Kind::Locked`] when somebody else drives it.
pub(super) fn drive(cx: &Cx, store: &Store, of: &Rollout, until: Until, watch: bool) -> Result<Stands> {
    let mut alerts = Beside::new(cx);
    let driven = drive_beside(cx, store, of, (until, watch), &mut alerts);
    alerts.end(store);
    // A way back that did not arrive says so itself.
    driven.map_err(|e| if matches!(until, Until::Back(_)) { e } else { stopped(store, of, e) })
}

/// The same while alerts are sent.
fn drive_beside(cx: &Cx, store: &Store, of: &Rollout, (until, watch): (Until, bool), alerts: &mut Beside<'_>) -> Result<Stands> {
    let place = bounded(place_of(cx, of)?, until);
    let pid = i64::from(std::process::id());
    let (here, host) = (Here::of(cx, store)?, store.identity().host.clone());
    let gone = |there: &str, other: i64| (there == host && other == pid) || here.is_gone(there, other);
    let fenced = matches!(until, Until::Back(WayBack { fenced: true, .. }));
    let counts = if of.setup.strategy == Strategy::Rollback || fenced { Counts::Nobody } else { Counts::Of(of) };
    with_parts(cx, store, (&place, counts), |_, parts| {
        let mut controller = match fenced {
            true => Controller::instead(*parts, &of.uid, pid)?,
            false => Controller::new(*parts, &of.uid, pid, &gone)?,
        };
        let mut screen = Screen::new(cx, watch);
        let (mut told, mut waited, mut since) = (Vec::new(), Duration::ZERO, (of.moves, store.now()));
        alerts.look(store);
        loop {
            let ticked = controller.tick()?;
            alerts.look(store);
            screen.show(store, &ticked.rollout, &ticked.told, ticked.waits.as_deref())?;
            told.extend(ticked.told);
            waited = if ticked.rollout.state.wants_a_person() { waited + ticked.wait } else { Duration::ZERO };
            let enough = match until {
                Until::Now => true,
                Until::End(longest) => longest.is_some_and(|longest| waited > longest),
                Until::Back(way) => match way.still(&ticked.rollout, ticked.waits.as_deref(), (&mut since, store.now())) {
                    Ok(()) => false,
                    Err(e) => return controller.end().and(Err(e)),
                },
            };
            if ticked.rollout.state.phase.ended() || enough {
                break;
            }
            screen.ask(&ticked.rollout);
            let left = match until {
                Until::Back(way) => way.patience.checked_sub(passed(since.1, store.now())).filter(|left| !left.is_zero()),
                Until::Now | Until::End(_) => None,
            };
            let wait = left.map_or(ticked.wait, |left| ticked.wait.min(left));
            rest(wait, &mut || changed(store, &ticked.rollout))?;
        }
        controller.end()?;
        stands(cx, store, &of.uid, told)
    })
}

/// What users get when nobody can drive any more, as when the disk is full, and how it goes on.
fn stopped(store: &Store, of: &Rollout, e: Error) -> Error {
    if matches!(e.kind(), Kind::Locked | Kind::Usage) {
        return e;
    }
    let (model, reference) = (&of.setup.model, of.setup.reference());
    let now = store.read(|view| table::find(view, &of.uid)).ok().flatten();
    let seen =
        now.map_or_else(String::new, |now| format!(", which had {} when the target was last looked at", now.state.observed));
    e.hint(format!("users are served as before: nothing changes the traffic of {reference}{seen}"))
        .hint(format!("`kf canary run {model}` goes on where it stopped, `kf canary abort {model}` takes it back"))
}

/// The target, none of whose calls takes longer than a way back may.
fn bounded(place: &Place, until: Until) -> Place {
    let longest = match until {
        Until::Back(way) => way.patience.max(CALL_MIN),
        Until::Now | Until::End(_) => place.timeout,
    };
    Place { timeout: place.timeout.min(longest), ..place.clone() }
}

/// Waits a moment each time that it is called, and tells whether there is time left of so much from now.
pub(crate) fn rest_of(clock: &Clock, patience: Duration) -> impl FnMut() -> bool {
    let micros = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
    let until = clock.now().plus_micros(micros);
    move || {
        std::thread::sleep(LOOK / 4);
        clock.now() < until
    }
}

fn passed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(now.micros().saturating_sub(since.micros())).unwrap_or(0))
}

/// Sleeps until it is time, or somebody ordered something.
fn rest(wait: Duration, ordered: &mut dyn FnMut() -> Result<bool>) -> Result<()> {
    let mut left = wait;
    while !left.is_zero() {
        let nap = left.min(HEAR);
        std::thread::sleep(nap);
        left -= nap;
        if !left.is_zero() && ordered()? {
            return Ok(());
        }
    }
    Ok(())
}

fn changed(store: &Store, before: &Rollout) -> Result<bool> {
    Ok(store.read(|view| table::moves_made(view, &before.uid))? != before.moves)
}

fn find(store: &Store, uid: &str) -> Result<Rollout> {
    let found = store.read(|view| table::find(view, uid))?;
    found.ok_or_else(|| Error::new(format!("there is no rollout {uid}")))
}

/// How a rollout stands.
pub(crate) fn stands(cx: &Cx, store: &Store, uid: &str, told: Vec<String>) -> Result<Stands> {
    let (of, here) = (find(store, uid)?, Here::of(cx, store)?);
    store.read(|view| Stands::read(view, &of, &here, told))
}

/// Follows a rollout that somebody else drives, to its end; a way back no longer than it may come to nothing, or than somebody drives
/// it: then there is nothing to tell yet.
fn followed(cx: &Cx, store: &Store, uid: &str, back: Option<WayBack>) -> Result<Option<Stands>> {
    let mut screen = Screen::new(cx, true);
    let mut before: Option<(Rollout, Option<String>)> = None;
    let mut since = (0, store.now());
    let nap = if back.is_some() { SEE } else { LOOK };
    loop {
        let (of, here) = (find(store, uid)?, Here::of(cx, store)?);
        let driver = store.read(|view| here.driver(view, &of))?;
        let (moved, left) = match &before {
            Some((b, by)) => (b.moves != of.moves, by.is_some() && driver.is_none()),
            None => (true, driver.is_none()),
        };
        let mut told: Vec<String> = moved.then(|| of.reason.clone()).into_iter().collect();
        told.extend((left && of.open && back.is_none()).then(|| format!("nobody drives it: `kf canary run {}`", of.short())));
        let seen = Some((of, driver));
        if let Some((of, driver)) = seen.as_ref().filter(|_| before != seen) {
            screen.show(store, of, &told, None)?;
            if of.state.phase.ended() {
                return stands(cx, store, uid, Vec::new()).map(Some);
            }
            if back.is_some() && driver.is_none() {
                return Ok(None);
            }
        }
        before = seen;
        if let (Some(way), Some((of, _))) = (back, &before) {
            way.still(of, None, (&mut since, store.now()))?;
        }
        std::thread::sleep(nap);
    }
}

/// Follows a rollout that somebody else drives, to its end.
pub(super) fn follow(cx: &Cx, store: &Store, uid: &str) -> Result<Stands> {
    followed(cx, store, uid, None)?.map_or_else(|| stands(cx, store, uid, Vec::new()), Ok)
}

/// Tells what becomes of a rollout whose process ends early.
pub(super) fn survives(cx: &Cx, of: &Rollout) {
    let (short, reference) = (of.short(), of.setup.reference());
    cx.out.note(&format!("rollout {short} of {reference}: it is in the state, so `kf canary run` goes on when this ends early"));
}

/// Sees a rollout to its end that was told to go back: whoever drives it does, else this process; when it is fenced this process
/// in any case.
///
/// # Errors
/// When the target does not do it for too long: what is ordered stays so.
pub(crate) fn see_back(cx: &Cx, store: &Store, of: &Rollout, way: WayBack) -> Result<Stands> {
    survives(cx, of);
    let mut alerts = Beside::new(cx);
    let done = loop {
        match drive_beside(cx, store, of, (Until::Back(way), false), &mut alerts) {
            // Where whoever drives it dies on the way, this process goes on.
            Err(e) if e.kind() == Kind::Locked && !way.fenced => {
                alerts.look(store);
                if let Some(done) = followed(cx, store, &of.uid, Some(way)).transpose() {
                    break done;
                }
            }
            done => break done,
        }
    };
    alerts.end(store);
    done
}

/// What a person sees while it goes on: a screen on a terminal, else a line for each decision.
struct Screen<'a> {
    cx: &'a Cx,
    live: bool,
    /// What was last said to be waited for: it is told once.
    waited: Option<String>,
    /// What was last told to be in the way: once, however often it comes again.
    trouble: Option<String>,
    /// What a person was last asked to type: they are asked once.
    asked: Option<String>,
}

impl<'a> Screen<'a> {
    fn new(cx: &'a Cx, watch: bool) -> Self {
        let live = watch && !cx.out.quiet && std::io::stdout().is_terminal();
        Self { cx, live, waited: None, trouble: None, asked: None }
    }

    /// Asks for the person whom a rollout waits for; a screen says it already.
    fn ask(&mut self, of: &Rollout) {
        let orders = let_on(of.setup.model.as_str(), of.state.phase, of.state.held);
        if let Some(orders) = orders.as_ref().filter(|_| !self.live && self.asked != orders) {
            self.cx.out.note(&format!("it stands still until somebody lets it go on: {orders}"));
        }
        self.asked = orders;
    }

    fn show(&mut self, store: &Store, of: &Rollout, told: &[String], waits: Option<&str>) -> Result<()> {
        if self.live {
            let stands = stands(self.cx, store, &of.uid, Vec::new())?;
            let text = report::render(&stands, self.cx.out.format, None)?;
            let waits = waits.map(|w| format!("\nwaits: {w}\n")).unwrap_or_default();
            return self.cx.out.print(&format!("\u{1b}[2J\u{1b}[H{text}{}", report::clean(&waits)));
        }
        let trouble = (of.state.errors > 0 && of.state.held.is_none()).then(|| of.reason.clone());
        let what = trouble.as_deref().map(uncounted).map(str::to_owned);
        let fresh = trouble.filter(|why| what != self.trouble && !told.contains(why));
        self.trouble = what;
        let waits = waits.map(|w| format!("waits: {w}"));
        let new = waits.clone().filter(|w| self.waited.as_ref() != Some(w));
        for line in told.iter().chain(&fresh).chain(&new) {
            self.cx.out.note(&report::clean(line));
        }
        self.waited = waits;
        Ok(())
    }
}

/// What an error says, without how often it came in a row.
fn uncounted(why: &str) -> &str {
    why.strip_prefix("error ").and_then(|rest| rest.split_once(" in a row: ")).map_or(why, |(_, what)| what)
}
