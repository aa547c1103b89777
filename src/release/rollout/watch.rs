//! The windows of a rollout: from what its source counted since the last one to a row that is written once, with what the judge
//! made of it.
//!
//! A window begins where the one before ended, or after a move where its source stands then. A gap longer than two windows, in
//! which nobody looked, is missing data: what was counted in it is left out, since nobody knows under which weight it was.

use super::Parts;
use crate::base::error::{Context, Result};
use crate::base::time::Timestamp;
use crate::domain::rollout::judge::{Decision, Hold, Judgement, judge_on};
use crate::domain::rollout::machine::{Event, Phase};
use crate::domain::rollout::measure;
use crate::domain::rollout::policy::{Policy, Rule};
use crate::domain::rollout::record::Note;
use crate::domain::rollout::table::{self, Latency, Rollout, Seen, Tick};
use crate::domain::rollout::window::Window;
use crate::release::judged::{self, Cursors};
use crate::seams::metrics::{Ask, Buckets, Reading};
use std::collections::BTreeSet;
use std::time::Duration;

/// How many windows may pass without anybody looking.
const GAP: u64 = 2;

/// Where a window begins and ends, and where its source reads on.
type Span<'a> = (Timestamp, Timestamp, Option<&'a str>);

/// What a look at the windows comes to.
pub(super) enum Look {
    /// The window lasts for so long yet.
    Wait(Duration),
    /// A window begins here.
    Begin(Box<Note>),
    /// A window is over.
    Over(Box<(Note, Event)>),
    /// A window was judged before, and what that means was not taken in.
    Judged(Event),
    /// The source did not answer before something else was to be done.
    GivenUp,
}

/// Looks at the window of a rollout as it stands, when `share` of the traffic goes to the canary; `id` is for a new window. The source
/// is waited for while `goes_on` says so.
pub(super) fn look(parts: &Parts<'_>, of: &Rollout, (share, id): (f64, u64), goes_on: &dyn Fn() -> bool) -> Result<Look> {
    let now = parts.store.now();
    let Some(mark) = parts.store.read(|view| table::last_mark(view, &of.uid, of.moves))? else {
        return begin(parts, of, (now, table::BEGINS.to_owned()), goes_on);
    };
    if let Some(event) = unheard(&mark, of) {
        return Ok(Look::Judged(event));
    }
    let (since, window) = (mark.upto.unwrap_or(mark.at), of.setup.plan.window_in(of.state.phase == Phase::Monitoring));
    if since > now {
        // Whoever waited for it would judge nothing for as long as that clock was ahead.
        let why = format!(
            "the last window began at {since}, which is still to come: a clock was ahead; it is left out, and a new one begins"
        );
        return begin(parts, of, (now, why), goes_on);
    }
    let seconds = u64::try_from(now.micros().saturating_sub(since.micros()) / 1_000_000).unwrap_or(0);
    if seconds < window {
        return Ok(Look::Wait(Duration::from_secs(window - seconds)));
    }
    if seconds > window.saturating_mul(GAP + 1) {
        let why = format!("nobody looked for {seconds} s: what was counted meanwhile is left out");
        return begin(parts, of, (now, why), goes_on);
    }
    let Some(reading) = read(parts, of, (since, now, mark.cursor.as_deref()), goes_on)? else { return Ok(Look::GivenUp) };
    let before = parts.store.read(|view| table::windows(view, &of.uid, of.state.attempt))?;
    let earlier: Vec<&[(f64, u64)]> = before.iter().filter_map(|t| Some(t.latency.as_ref()?.stable.as_slice())).collect();
    let marks = of.setup.frozen.marks(&of.setup.policy, &earlier);
    let measured = measure::window(&reading, &marks, &of.setup.policy, id, share)
        .context(|| format!("{} answered what cannot be", parts.source.describe()))?;
    let left_out = measured.left_out.into_iter().chain(reading.missing.clone()).collect();
    let seen = Seen { attempt: of.state.attempt, step: of.state.step, window: measured.window, left_out };
    let mut judgement = decide(of, before.into_iter().filter_map(|t| t.seen).chain([seen.clone()]).collect());
    if let (Some(missing), Decision::Collect | Decision::Doubt | Decision::Hold(Hold::NoData)) =
        (&reading.missing, judgement.decision)
    {
        // That nobody was counted does not say that nobody came.
        judgement.reason = format!("nothing was counted: {missing}");
    }
    let event = told(id, counted(&seen, seconds), &judgement);
    let note = Note {
        reason: judgement.reason.clone(),
        since: Some(since),
        upto: Some(now),
        cursor: reading.cursor.clone(),
        latency: Some(Latency { stable: buckets(&reading.stable.latency), canary: buckets(&reading.canary.latency) }),
        seen: Some(seen),
        judgement: Some(judgement),
    };
    Ok(Look::Over(Box::new((note, event))))
}

fn told(id: u64, seconds: u64, judgement: &Judgement) -> Event {
    Event::Judged { id, seconds, decision: judgement.decision, reason: judgement.reason.clone() }
}

/// What a window is for the clock of the step: nothing when the canary had no request in it.
fn counted(seen: &Seen, seconds: u64) -> u64 {
    if seen.window.canary > 0 { seconds } else { 0 }
}

/// What the last window means, when whoever wrote it down died before they took it in.
fn unheard(mark: &Tick, of: &Rollout) -> Option<Event> {
    let id = u64::try_from(mark.id).ok().filter(|id| of.state.window.is_none_or(|last| *id > last))?;
    let seconds = u64::try_from(mark.upto?.micros().saturating_sub(mark.since?.micros()) / 1_000_000).unwrap_or(0);
    Some(told(id, counted(mark.seen.as_ref()?, seconds), mark.judgement.as_ref()?))
}

/// Begins a window: what the source has counted up to now is left out, and evaluations that counted in this step.
fn begin(parts: &Parts<'_>, of: &Rollout, (now, reason): (Timestamp, String), goes_on: &dyn Fn() -> bool) -> Result<Look> {
    let Some(reading) = parts.source.read_while(&ask(of, now, now, None), goes_on)? else { return Ok(Look::GivenUp) };
    let mut cursor = reading.cursor;
    if of.setup.evaluations {
        let last = parts.store.read(|view| table::last_window(view, &of.uid))?;
        let same = last.filter(|t| t.seen.as_ref().is_some_and(|s| (s.attempt, s.step) == (of.state.attempt, of.state.step)));
        let counted = Cursors::read(same.as_ref().and_then(|t| t.cursor.as_deref()))?;
        let text = serde_json::to_string(&Cursors { source: cursor, ..counted });
        cursor = Some(text.context(|| "a cursor cannot be written")?);
    }
    Ok(Look::Begin(Box::new(Note { reason, upto: Some(now), cursor, ..Note::default() })))
}

fn ask<'a>(of: &'a Rollout, from: Timestamp, to: Timestamp, cursor: Option<&'a str>) -> Ask<'a> {
    let setup = &of.setup;
    let stable = setup.stable.as_ref().map(|arm| arm.version);
    Ask { model: &setup.model, stable, canary: setup.canary.version, from, to, cursor }
}

/// What was counted since a window began.
fn read(parts: &Parts<'_>, of: &Rollout, (from, to, cursor): Span<'_>, goes_on: &dyn Fn() -> bool) -> Result<Option<Reading>> {
    if !of.setup.evaluations {
        return parts.source.read_while(&ask(of, from, to, cursor), goes_on);
    }
    let cursors = Cursors::read(cursor)?;
    let reading = parts.source.read_while(&ask(of, from, to, cursors.source.as_deref()), goes_on)?;
    let add = |reading| parts.store.read(|view| judged::add(view, &ask(of, from, to, None), reading, cursors));
    reading.map(add).transpose()
}

/// What the windows mean. What takes the canary back may have begun in an earlier step; what lets it go on must be of this one.
pub(super) fn decide(of: &Rollout, all: Vec<Seen>) -> Judgement {
    let policy = &of.setup.policy;
    let timeless = timeless(policy, of.setup.evaluations);
    let step = |seen: &Seen| seen.step == of.state.step;
    let whole: Vec<Window> =
        all.iter().map(|seen| if step(seen) { seen.window.clone() } else { without(seen, &timeless) }).collect();
    let ever = judge_on(policy, &whole);
    if ever.decision == Decision::RollBack {
        return ever;
    }
    let now: Vec<Window> = all.into_iter().filter(step).map(|seen| seen.window).collect();
    judge_on(policy, &now)
}

/// The metrics that are only of their step: whose evidence does not start anew with each window, so that old good days would outvote
/// a new fault, and recorded evaluations, which count once more in each step.
fn timeless(policy: &Policy, evaluations: bool) -> BTreeSet<&str> {
    let of = policy.checks.iter().filter(|check| match check.rule {
        Rule::Drop { .. } | Rule::Cost { .. } => true,
        Rule::Mean { .. } | Rule::Paired { .. } => evaluations,
        Rule::Rate { .. } | Rule::Ratio { .. } => false,
    });
    of.map(|check| check.metric.as_str()).collect()
}

fn without(seen: &Seen, metrics: &BTreeSet<&str>) -> Window {
    let mut window = seen.window.clone();
    window.figures.retain(|metric, _| !metrics.contains(metric.as_str()));
    window
}

fn buckets(of: &Option<Buckets>) -> Vec<(f64, u64)> {
    // A bucket without an end has no number in JSON; its answers took at least as long as it begins.
    let end = |b: &crate::seams::metrics::Bucket| if b.most.is_finite() { b.most } else { b.above };
    of.iter().flat_map(|b| b.counts.iter().filter(|b| b.n > 0).map(|b| (end(b), b.n))).collect()
}
