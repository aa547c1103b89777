//! A controller: what is pending is done, and how it went is told to the machine, as far as that goes without waiting.
//!
//! The state says what is to be done, and is committed with its event before it is done; whoever comes after a controller that
//! died reads it, looks at the target, and does it (again). Each write is refused once the lease was taken, and when a person
//! ordered something meanwhile: then it is looked at anew.

use super::last::{self, advised};
use super::traffic::{self, Did, done, failed};
use super::watch::{self, Look};
use super::{Parts, stopping, tell};
use crate::base::error::{Error, Kind, Result};
use crate::base::name::Stage;
use crate::base::reference::{Reference, Selector};
use crate::base::time::Timestamp;
use crate::base::weight::Weight;
use crate::domain::registry::change::{Move as StageMove, Way, move_to};
use crate::domain::registry::table as registry;
use crate::domain::rollout::judge::Judgement;
use crate::domain::rollout::lease::{self, Lease};
use crate::domain::rollout::machine::{Action, Event, Phase, State, advance, pending};
use crate::domain::rollout::record::{self, Because, Note, decides};
use crate::domain::rollout::setup::Strategy;
use crate::domain::rollout::table::{self, Rollout};
use crate::release::promote::{self, Request};
use crate::release::rollback;
use crate::seams::traffic::{Keep, Ready};
use crate::store::Tx;
use std::time::Duration;

/// How long what is waited for outside may take (as long as a deployment of Kubernetes may make no progress by default).
const PATIENCE: Duration = Duration::from_secs(600);
/// How often what is waited for is looked at, at the least.
const LOOK: Duration = Duration::from_secs(1);
/// How soon it is looked at for the first time: a process of this machine is ready before a second is over.
const SOON: Duration = Duration::from_millis(20);
/// How often a target is looked at while a window is collected: what it took back by itself, or somebody moved, is heard by then.
pub(super) const GLANCE: Duration = Duration::from_secs(5);
/// The most that one tick does: more than any plan needs between two waits.
const STEPS_MAX: usize = 200;

/// What a tick came to.
#[derive(Clone, Debug)]
pub struct Ticked {
    /// The rollout as it stands.
    pub rollout: Rollout,
    /// What was decided, in words, in order.
    pub told: Vec<String>,
    /// What is waited for, when something is.
    pub waits: Option<String>,
    /// When to look again.
    pub wait: Duration,
}

/// Drives one rollout while it lives.
pub struct Controller<'a> {
    parts: Parts<'a>,
    uid: String,
    lease: Lease,
    /// The last move that was seen, and when that was first.
    heard: (i64, Timestamp),
}

impl<'a> Controller<'a> {
    /// Takes the lease of a rollout; `gone` says of a machine and a process there whether it is known to be gone.
    ///
    /// # Errors
    /// [`Kind::Locked`] when somebody else drives it.
    pub fn new(parts: Parts<'a>, uid: &str, pid: i64, gone: &dyn Fn(&str, i64) -> bool) -> Result<Self> {
        Ok(Self::with(parts, uid, lease::take(parts.store, uid, pid, gone)?))
    }

    /// The same over the head of whoever has it: what they still do does not count any more.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn instead(parts: Parts<'a>, uid: &str, pid: i64) -> Result<Self> {
        Ok(Self::with(parts, uid, lease::fence(parts.store, uid, pid)?))
    }

    fn with(parts: Parts<'a>, uid: &str, lease: Lease) -> Self {
        Self { parts, uid: uid.to_owned(), lease, heard: (0, parts.store.now()) }
    }

    /// Gives the lease up, so that the next controller need not wait.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn end(self) -> Result<()> {
        lease::give_up(self.parts.store, &self.uid, &self.lease)
    }

    /// Does all that can be done now.
    ///
    /// # Errors
    /// When the state cannot be read or written, or the lease was taken. What the target or the source does not do is no error: the
    /// machine is told, and stands still when that goes on.
    pub fn tick(&mut self) -> Result<Ticked> {
        let mut told = Vec::new();
        for _ in 0..STEPS_MAX {
            self.renew()?;
            let of = self.rollout()?;
            if of.moves != self.heard.0 {
                self.heard = (of.moves, self.parts.store.now());
            }
            if of.state.phase.ended() {
                return Ok(Ticked { rollout: of, told, waits: None, wait: LOOK });
            }
            if let Some(wait) = self.step(&of, &mut told)? {
                let (waits, wait) = wait;
                return Ok(Ticked { rollout: self.rollout()?, told, waits, wait });
            }
        }
        Ok(Ticked { rollout: self.rollout()?, told, waits: None, wait: LOOK })
    }

    /// What it drives with.
    pub(super) fn parts(&self) -> Parts<'a> {
        self.parts
    }

    /// Makes sure that it still has the lease, and that this lasts.
    pub(super) fn renew(&mut self) -> Result<()> {
        self.lease = lease::renew(self.parts.store, &self.uid, &self.lease)?;
        Ok(())
    }

    pub(super) fn rollout(&self) -> Result<Rollout> {
        let found = self.parts.store.read(|view| table::find(view, &self.uid))?;
        found.ok_or_else(|| Error::new(format!("there is no rollout {}", self.uid)))
    }

    /// One thing; for how long to wait when there is nothing more to do now, and for what.
    fn step(&mut self, of: &Rollout, told: &mut Vec<String>) -> Result<Option<(Option<String>, Duration)>> {
        let action = pending(&of.setup.plan, &of.state);
        let window = match watched(of) || action == Some(Action::Observe) {
            true => match self.watch(of, told)? {
                None => return Ok(None),
                wait => wait,
            },
            false => None,
        };
        let began = self.parts.store.now();
        match action {
            None | Some(Action::Observe) => Ok(Some((None, window.map_or(LOOK, |w| w.min(GLANCE))))),
            Some(action) => match self.act(of, action, told)? {
                None => Ok(None),
                Some(Did::NotYet(why)) if self.late(of) => {
                    let why = format!("{why}, and that for {} minutes", PATIENCE.as_secs() / 60);
                    self.happened(of, &Event::Refused(why), told)
                }
                Some(Did::NotYet(why)) => {
                    let soon = self.soon(of, began);
                    Ok(Some((Some(why), window.map_or(soon, |w| w.min(soon)))))
                }
                Some(Did::Happened(event)) => self.happened(of, &event, told),
            },
        }
    }

    /// Takes in what came of what was pending; how long to wait before it is tried again, when it is.
    fn happened(&self, of: &Rollout, event: &Event, told: &mut Vec<String>) -> Result<Option<(Option<String>, Duration)>> {
        let made = advance(&of.setup.plan, &of.state, event);
        let stays = made.is_ok_and(|made| (made.state.phase, made.state.held) == (of.state.phase, of.state.held));
        let refused = stays && matches!(event, Event::Refused(_));
        if refused && of.state.phase == Phase::WaitingReady {
            // What was started and ended, or was changed, does not get ready by waiting.
            let _ = self.parts.target.scale(&of.setup.arms(), traffic::needed(of));
        }
        self.report(of, event, None, told)?;
        Ok((refused || matches!(event, Event::Error(_))).then(|| (None, again(of))))
    }

    /// True when what is waited for should have come.
    fn late(&self, of: &Rollout) -> bool {
        self.waited(of) > PATIENCE && !of.state.phase.leaves()
    }

    /// How long what is pending has been: since its move, or since that was first heard of when a clock that was ahead wrote it down.
    fn waited(&self, of: &Rollout) -> Duration {
        let now = self.parts.store.now();
        let since = if of.changed > now { self.heard.1 } else { of.changed };
        Duration::from_micros(u64::try_from(now.micros() - since.micros()).unwrap_or(0))
    }

    /// When to look again at what did not come yet: after a quarter of the time that it has been waited for, and of what takes long
    /// to look at (a cluster) not more than a tenth of the time.
    fn soon(&self, of: &Rollout, began: Timestamp) -> Duration {
        let took = u64::try_from(self.parts.store.now().micros().saturating_sub(began.micros())).unwrap_or(0);
        (self.waited(of) / 4).max(Duration::from_micros(took.saturating_mul(10))).clamp(SOON, LOOK)
    }

    /// Looks at the target and at the window; how long that lasts yet, or nothing when something happened.
    pub(super) fn watch(&self, of: &Rollout, told: &mut Vec<String>) -> Result<Option<Duration>> {
        let (event, share) = match traffic::look(self.parts.target, of) {
            Ok(seen) => seen,
            Err(fault) => return self.missed(of, fault.into_error(), told),
        };
        if advance(&of.setup.plan, &of.state, &event).is_ok_and(|made| made.state != of.state) {
            return self.report(of, &event, None, told).map(|()| None);
        }
        let id = self.parts.store.read(|view| record::next_tick(view, &of.uid))?;
        match watch::look(&self.parts, of, (share, u64::try_from(id).unwrap_or(0)), &|| self.undisturbed(of)) {
            Ok(Look::GivenUp) => Ok(None),
            Ok(Look::Wait(wait)) => Ok(Some(wait)),
            Ok(Look::Begin(note)) => {
                told.extend(Some(&note.reason).filter(|why| *why != table::BEGINS).cloned());
                self.note(of, (id, &of.state, &note)).map(|()| None)
            }
            Ok(Look::Judged(event)) => self.report(of, &event, None, told).map(|()| None),
            Ok(Look::Over(over)) => {
                let (note, event) = *over;
                self.judged(of, id, &note, &event, told).map(|()| None)
            }
            Err(e) if matches!(e.kind(), Kind::Locked | Kind::Bug | Kind::Broken) => Err(e),
            Err(e) => self.missed(of, e, told),
        }
    }

    /// True while nobody ordered anything of a rollout since it was seen so, and nobody took the lease. What cannot be read now is found
    /// out by whoever comes to write.
    pub(super) fn undisturbed(&self, of: &Rollout) -> bool {
        self.parts.store.read(|view| record::unmoved(view, of, self.lease.fence)).unwrap_or(true)
    }

    /// Something could not be asked: that is counted, and looked at again later.
    fn missed(&self, of: &Rollout, e: Error, told: &mut Vec<String>) -> Result<Option<Duration>> {
        self.report(of, &Event::Error(e.to_string()), None, told)?;
        Ok(Some(again(of)))
    }

    /// Writes a window down and takes in what it means: what only counts with it, a decision as a move of its own.
    fn judged(&self, of: &Rollout, id: i64, note: &Note, event: &Event, told: &mut Vec<String>) -> Result<()> {
        let Ok(made) = advance(&of.setup.plan, &of.state, event) else { return Ok(()) };
        if !decides(&of.state, &made.state) {
            return self.note(of, (id, &made.state, note));
        }
        self.note(of, (id, &of.state, note))?;
        self.report(of, event, note.judgement.as_ref(), told)
    }

    /// Appends what was seen; when a person ordered something meanwhile it is left out, and looked at anew.
    fn note(&self, of: &Rollout, what: (i64, &State, &Note)) -> Result<()> {
        record::note(self.parts.store, of, self.lease.fence, what).map(|_| ())
    }

    /// Writes down what changes nothing of what is decided.
    fn remark(&self, of: &Rollout, state: &State, reason: String) -> Result<()> {
        let id = self.parts.store.read(|view| record::next_tick(view, &of.uid))?;
        self.note(of, (id, state, &Note { reason, ..Note::default() }))
    }

    /// Tells the machine what happened, and writes down what that makes of the rollout.
    fn report(&self, seen: &Rollout, event: &Event, judgement: Option<&Judgement>, told: &mut Vec<String>) -> Result<()> {
        // What was noted since it was seen stays noted.
        let of = &self.rollout()?;
        if of.moves != seen.moves {
            return Ok(());
        }
        let Ok(made) = advance(&of.setup.plan, &of.state, event) else { return Ok(()) };
        if made.state == of.state {
            return Ok(());
        }
        if !decides(&of.state, &made.state) {
            return self.remark(of, &made.state, made.reason);
        }
        let stored = match judgement {
            None => self.parts.store.read(|view| table::last_mark(view, &of.uid, of.moves))?.and_then(|t| t.judgement),
            Some(_) => None,
        };
        let judgement = judgement.or(stored.as_ref()).filter(|_| matches!(event, Event::Judged { .. }));
        let taken = self.write(of, |tx, of| self.take(tx, of, event, judgement))?;
        // The reason why it ends was told when that was decided.
        told.extend(taken.filter(|taken| told.last() != Some(taken)));
        Ok(())
    }

    /// Runs a change under the writer's lock, when the rollout still stands as it was seen; `None` when it does not.
    fn write<T>(&self, seen: &Rollout, change: impl FnOnce(&Tx<'_>, &Rollout) -> Result<T>) -> Result<Option<T>> {
        self.parts.store.write(|tx| {
            let Some(of) = record::held(tx, &self.uid, self.lease.fence)? else { return Err(lease::taken(&self.uid)) };
            if of.moves != seen.moves { Ok(None) } else { change(tx, &of).map(Some) }
        })
    }

    /// The move that an event makes, with what the registry is told by it.
    fn take(&self, tx: &Tx<'_>, of: &Rollout, event: &Event, judgement: Option<&Judgement>) -> Result<String> {
        let made = advance(&of.setup.plan, &of.state, event).map_err(|refusal| Error::new(refusal.0))?;
        if made.state.phase == Phase::RolledBack {
            restore_stage(tx, of)?;
        }
        tell::tell(tx, of, &made)?;
        record::take(tx, of, (event, &made), judgement, Because { ticket: of.setup.ticket.as_deref(), reason: None })?;
        Ok(made.reason)
    }

    /// Does what is pending; `None` when that was taken in already.
    fn act(&mut self, of: &Rollout, action: Action, told: &mut Vec<String>) -> Result<Option<Did>> {
        let (target, arms) = (self.parts.target, of.setup.arms());
        let weight = traffic::needed(of);
        Ok(Some(match action {
            Action::Preflight => self.preflight(of, told)?,
            Action::Scale => done(target.scale(&arms, weight)),
            Action::AwaitReady => match target.ready(&arms, weight) {
                Ok(Ready::Yes) => Did::Happened(Event::Done),
                Ok(Ready::NotYet(why)) => Did::NotYet(why),
                Ok(Ready::Never(why)) => Did::Happened(Event::Refused(why)),
                Err(fault) => failed(fault),
            },
            Action::Test { smoke, load } => return self.test(of, (smoke, load), told),
            Action::SetWeight(weight) => match last::refused(&self.parts, of, weight)? {
                Some(why) => Did::Happened(Event::Refused(why)),
                None => {
                    let did = traffic::set(target, of, weight);
                    if arms.back && matches!(did, Did::Happened(Event::Observed(seen)) if seen == weight) {
                        self.undone_by(of, told)?;
                    }
                    did
                }
            },
            Action::SetStage => return self.set_stage(of, told),
            Action::Retire => {
                let stopped = stopping::stop(target, of, Keep::Canary);
                self.left(of, &stopped, told)?;
                done(stopped.own)
            }
            Action::Clear => {
                let stopped = stopping::clear(target, of);
                self.left(of, &stopped, told)?;
                match stopped.own {
                    Err(fault) if stopping::goes_on(of, &fault) => failed(fault),
                    _ => Did::Happened(Event::Cleared(self.refusal(of)?)),
                }
            }
            Action::Restore => match traffic::set(target, of, Weight::NONE) {
                Did::Happened(Event::Observed(Weight::NONE)) => {
                    // Users are served by now.
                    self.undone_by(of, told)?;
                    self.left(of, &stopping::stop(target, of, Keep::Stable), told)?;
                    Did::Happened(Event::Observed(Weight::NONE))
                }
                other => other,
            },
            Action::Observe => return Ok(None),
        }))
    }

    /// Asks the target whether it can do all of the plan; what it will not be able to tell is said now, but on a way back, which
    /// is not to wait for that.
    fn preflight(&self, of: &Rollout, told: &mut Vec<String>) -> Result<Did> {
        let (target, arms) = (self.parts.target, of.setup.arms());
        let able = traffic::can_be_had(target, of).and_then(|()| target.preflight(&arms));
        match able.and_then(|()| if arms.back { Ok(None) } else { target.doubt(&arms) }) {
            Ok(None) => Ok(done(Ok(()))),
            Ok(Some(doubt)) => {
                self.remark(of, &of.state, doubt.clone())?;
                told.push(doubt);
                Ok(done(Ok(())))
            }
            Err(fault) => Ok(failed(fault)),
        }
    }

    /// Writes down which versions could not be stopped, when these are others than before.
    fn left(&self, of: &Rollout, stopped: &stopping::Stopped, told: &mut Vec<String>) -> Result<()> {
        if stopped.left == of.state.left {
            return Ok(());
        }
        let event = stopping::told(of, stopped);
        if let Event::Left(_, why) = &event {
            told.push(why.clone());
        }
        self.report(of, &event, None, told)
    }

    /// Why a version cannot be released, as its last move says.
    fn refusal(&self, of: &Rollout) -> Result<String> {
        let last = self.parts.store.read(|view| table::moves(view, &of.uid))?.pop();
        Ok(last.map_or_else(|| of.reason.clone(), |last| last.reason))
    }

    /// Says what may yet undo a way back that has arrived, as far as the target can be asked.
    fn undone_by(&self, of: &Rollout, told: &mut Vec<String>) -> Result<()> {
        let Ok(Some(what)) = self.parts.target.undone_by(&of.setup.arms()) else { return Ok(()) };
        self.remark(of, &of.state, what.clone())?;
        told.push(what);
        Ok(())
    }

    /// What the registry is asked for by a way back.
    fn rollback<'r>(of: &'r Rollout, request: &Request<'r>) -> rollback::Request<'r> {
        rollback::Request {
            name: &of.setup.model,
            to: Some(of.setup.canary.version),
            files: request.files,
            // What it leaves is what the target served, which need not have been in production.
            expect: None,
            ticket: request.ticket,
            reason: request.reason,
        }
    }

    /// Moves the version into production, in the transaction of the move.
    fn set_stage(&self, of: &Rollout, told: &mut Vec<String>) -> Result<Option<Did>> {
        let setup = &of.setup;
        let reference = Reference { name: setup.model.clone(), selector: Selector::Version(setup.canary.version) };
        let asked = self.parts.store.read(|view| table::asked_for(view, &of.uid))?;
        let request = Request {
            reference: &reference,
            to: Stage::Production,
            files: &|version| self.parts.reader.require(version),
            first_release: setup.first_release,
            expect: setup.stable.as_ref().map(|stable| stable.version),
            ticket: setup.ticket.as_deref(),
            reason: asked.as_deref(),
        };
        if self.parts.store.read(|view| registry::resolve(view, &reference))?.stage == Stage::Production {
            return Ok(Some(Did::Happened(Event::Done)));
        }
        let Parts { store, project, root, reader, .. } = self.parts;
        let moving = store.read(|view| match setup.strategy {
            Strategy::Rollback => rollback::moving(view, &Self::rollback(of, &request)),
            _ => promote::moving(view, project, root, &request),
        });
        if let Some(version) = moving.ok().flatten() {
            reader.read(&version);
        }
        let done = self.write(of, |tx, of| {
            if setup.strategy == Strategy::Rollback {
                rollback::roll_back(tx, &Self::rollback(of, &request))?;
                return self.take(tx, of, &Event::Done, None);
            }
            let promoted = promote::promote(tx, project, root, &request)?;
            let event = match (&promoted.broken, promoted.changed) {
                (_, true) => Event::Done,
                (Some(broken), _) => Event::Refused(advised(of, &broken.to_string())),
                _ => Event::Refused(advised(of, &format!("the registry does not take it: {}", super::start::why(&promoted)))),
            };
            self.take(tx, of, &event, None)
        });
        match done {
            Ok(taken) => {
                told.extend(taken);
                Ok(None)
            }
            Err(e) if matches!(e.kind(), Kind::Failed | Kind::Usage | Kind::Broken) => {
                Ok(Some(Did::Happened(Event::Refused(advised(of, &e.to_string())))))
            }
            Err(e) => Err(e),
        }
    }
}

/// True of a canary that has traffic and is to keep it: its windows are judged, whatever else is pending. On a way back nothing is
/// judged, and each of its steps looks for itself.
pub(super) fn watched(of: &Rollout) -> bool {
    of.state.observed > Weight::NONE && !of.state.phase.leaves() && of.setup.strategy != Strategy::Rollback
}

/// How long to wait after an error: longer each time, but who is to be taken back, or goes back, is not kept waiting.
fn again(of: &Rollout) -> Duration {
    let longest = if of.state.phase.leaves() || of.setup.plan.back { 5 } else { 30 };
    Duration::from_secs((1 << of.state.errors.min(5)).min(longest))
}

/// Puts the version back into production that was there before the rollout moved its own in, which a shadow never does.
pub(super) fn restore_stage(tx: &Tx<'_>, of: &Rollout) -> Result<()> {
    if of.setup.plan.shadow || of.setup.staged {
        return Ok(());
    }
    let model = registry::model(tx.view(), &of.setup.model)?;
    let now = registry::in_production(tx.view(), model.id)?;
    let (Some(now), Some(stable)) = (now, &of.setup.stable) else { return Ok(()) };
    if now.digest != of.setup.canary.digest {
        return Ok(());
    }
    let Some(before) = registry::find_digest(tx.view(), model.id, &stable.digest)? else { return Ok(()) };
    let (ticket, detail) = (of.setup.ticket.as_deref(), serde_json::Map::new());
    let reason = Some(of.reason.as_str());
    move_to(tx, &before, &StageMove { way: Way::RollBack, to: Stage::Production, ticket, reason, detail }).map(|_| ())
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod control_tests;
