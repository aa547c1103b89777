//! A rollout as reports show it: where it is, what was seen, what is next.

use super::next::{Here, Next};
use super::ordered::Halt;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::{count, fixed};
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::base::weight::Weight;
use crate::cli::report::{Block, Report};
use crate::domain::rollout::judge::{Finding, Standing};
use crate::domain::rollout::machine::{Held, Phase};
use crate::domain::rollout::setup::Strategy;
use crate::domain::rollout::table::{self, MoveRow, Rollout};
use crate::release::emergency::apart::{self, Given};
use crate::store::View;
use serde::Serialize;

/// A rollout in a report.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct RolloutDoc {
    pub(crate) rollout: String,
    pub(crate) model: Name,
    pub(crate) version: Version,
    digest: Digest,
    stable: Option<Version>,
    target: Name,
    strategy: Strategy,
    plan: String,
    pub(crate) phase: Phase,
    pub(super) held: Option<Held>,
    /// Counted from 1.
    step: usize,
    steps: Vec<StepDoc>,
    /// Percent that the target showed last.
    weight: f64,
    /// Seconds with data in this step, and in all.
    clock_seconds: u64,
    spent_seconds: u64,
    errors: u64,
    attempt: u64,
    /// Versions that could not be stopped.
    left: Vec<Version>,
    open: bool,
    pub(crate) reason: String,
    created: Timestamp,
    changed: Timestamp,
    event: i64,
    /// Why it was taken back, when it was.
    cause: Option<String>,
    /// What an emergency past the state gave users in its place.
    #[serde(skip)]
    after: Option<After>,
    #[serde(skip)]
    short: String,
    /// Weights are parts of the requests that are copied.
    #[serde(skip)]
    pub(super) shadow: bool,
    /// Seconds for which it is watched once it has all of the traffic.
    #[serde(skip)]
    monitor: u64,
}

/// An emergency past the state after a rollout had ended, in words.
#[derive(Clone, Debug)]
struct After {
    what: String,
    /// What to type, while the registry says something else.
    next: Option<String>,
}

impl After {
    fn read(view: View<'_>, r: &Rollout) -> Result<Option<Self>> {
        let released = r.state.phase == Phase::Finished && !r.setup.plan.shadow;
        let given = if released { apart::after(view, r)? } else { None };
        let Some(given) = given else { return Ok(None) };
        let apart = apart::all(view)?.into_iter().find(|a| a.model == given.model && a.target == given.target);
        let Given { model, target, to, at, .. } = given;
        Ok(Some(match apart {
            Some(apart) => Self { what: apart.words(), next: Some(apart.next()) },
            None => Self { what: format!("the emergency at {at} gave the traffic of {target} to {model}@{to}"), next: None },
        }))
    }
}

/// A step of a plan.
#[derive(Serialize, Clone, Debug)]
struct StepDoc {
    weight: f64,
    hold_seconds: u64,
    analysis: bool,
    approval: bool,
    smoke: bool,
    load: bool,
}

impl RolloutDoc {
    /// As it stands in the state.
    pub(crate) fn read(view: View<'_>, r: &Rollout) -> Result<Self> {
        let back = if r.state.observed == Weight::NONE { turned_back(view, r)? } else { None };
        let cause = back.map(|m| -> Result<String> {
            let said = table::said(view, &r.uid, m.seq)?;
            Ok(said.map_or_else(|| m.reason.clone(), |said| format!("{}: {said}", m.reason)))
        });
        let mut doc = Self { after: After::read(view, r)?, ..Self::of(r, cause.transpose()?) };
        // Windows go on while it stands still; what it was refused for tells what to do.
        if r.state.held == Some(Held::Refused)
            && let Some(refused) = table::moves(view, &r.uid)?.pop()
        {
            doc.reason = refused.reason;
        }
        Ok(doc)
    }

    /// What to type where an emergency left the registry and the target apart.
    pub(super) fn put_right(&self) -> Option<String> {
        self.after.as_ref().and_then(|after| after.next.clone())
    }

    fn of(r: &Rollout, cause: Option<String>) -> Self {
        let step = |s: &crate::domain::rollout::plan::Step| StepDoc {
            weight: s.weight.percent(),
            hold_seconds: s.hold,
            analysis: s.analysis,
            approval: s.approval,
            smoke: s.smoke,
            load: s.load,
        };
        Self {
            rollout: r.uid.clone(),
            model: r.setup.model.clone(),
            version: r.setup.canary.version,
            digest: r.setup.canary.digest,
            stable: r.setup.stable.as_ref().map(|s| s.version),
            target: r.setup.target.clone(),
            strategy: r.setup.strategy,
            plan: r.setup.named.clone(),
            phase: r.state.phase,
            held: r.state.held,
            step: r.state.step + 1,
            steps: r.setup.plan.steps.iter().map(step).collect(),
            weight: r.state.observed.percent(),
            clock_seconds: r.state.clock,
            spent_seconds: r.state.spent,
            errors: r.state.errors,
            attempt: r.state.attempt,
            left: r.state.left.iter().map(|arm| arm.version).collect(),
            open: r.open,
            reason: r.reason.clone(),
            created: r.created,
            changed: r.changed,
            event: r.event,
            cause,
            after: None,
            short: r.short().to_owned(),
            shadow: r.setup.plan.shadow,
            monitor: r.setup.plan.monitor,
        }
    }
}

/// A word of kf's JSON, for people.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('-', " "),
        Ok(serde_json::Value::Object(of)) => of.iter().map(|(_, v)| word(v)).collect(),
        _ => String::new(),
    }
}

/// A length of time in whole seconds: `1h 30m`.
pub(super) fn lasting(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let parts = [(hours, "h"), (minutes, "m"), (seconds, "s")].into_iter().filter(|(n, _)| *n > 0);
    let text = parts.map(|(n, unit)| format!("{n}{unit}")).collect::<Vec<_>>().join(" ");
    if text.is_empty() { "0s".to_owned() } else { text }
}

impl RolloutDoc {
    /// `bot@1.1.0`.
    pub(crate) fn reference(&self) -> String {
        format!("{}@{}", self.model, self.version)
    }

    /// Why it stands where it does, or was taken back.
    pub(super) fn why(&self) -> &str {
        self.cause.as_deref().unwrap_or(&self.reason)
    }

    /// True of a way back to a version that served before.
    pub(super) fn is_back(&self) -> bool {
        self.strategy == Strategy::Rollback
    }

    /// What commands call it.
    pub(super) fn short(&self) -> &str {
        &self.short
    }

    /// Where it is, in a line.
    pub(crate) fn told(&self) -> String {
        let reference = self.reference();
        if let Some(After { what, .. }) = &self.after {
            return format!("{reference} was released to {}; {what}", self.target);
        }
        match self.phase {
            Phase::Finished if self.shadow => {
                format!("{reference} kept to its limits on copies of requests to {}; nobody got its answers", self.target)
            }
            Phase::RolledBack if self.shadow => format!("the shadow of {reference} was ended: {}", self.why()),
            Phase::Finished => format!("{reference} is in production with all of the traffic of {}", self.target),
            Phase::RolledBack => format!("{reference} was taken back: {}", self.why()),
            Phase::Failed => format!("{reference} could not be released: {}", self.reason),
            _ => format!("{reference}: {}", self.place()),
        }
    }

    /// How far one is that has not ended.
    pub(super) fn place(&self) -> String {
        let held = self.held.map(|h| format!(", held ({})", word(&h))).unwrap_or_default();
        let of = self.steps.len();
        let what = if self.shadow { " in copies" } else { "" };
        let Self { phase, step, weight, target, .. } = self;
        format!("{}{held}, step {step} of {of}, {weight} % of {target}{what}", word(phase))
    }

    /// What it is held against.
    pub(super) fn against(&self) -> String {
        self.stable.map_or_else(|| "nothing yet".to_owned(), |v| format!("{}@{v}", self.model))
    }

    /// What it stands on, for people; what is not in the state has no id.
    fn lines(&self, planned: bool) -> Vec<String> {
        let Self { strategy, plan, short, .. } = self;
        let id = if planned { String::new() } else { format!(", rollout {short}") };
        let mut lines = vec![format!("{strategy} {} against {}, plan {plan}{id}", self.reference(), self.against())];
        lines.push(self.told());
        lines.extend(self.open.then(|| self.since_when()).flatten());
        if !self.left.is_empty() {
            let names: Vec<String> = self.left.iter().map(|version| format!("{}@{version}", self.model)).collect();
            lines.push(format!("not stopped: {}; the next rollout on {} tries again", names.join(", "), self.target));
        }
        lines
    }

    /// How long it has been where it is, as far as that is counted there, and why it is.
    fn since_when(&self) -> Option<String> {
        let step = self.steps.get(self.step - 1)?;
        let (clock, hold) = (lasting(self.clock_seconds), lasting(step.hold_seconds));
        let counted = match self.phase {
            Phase::AwaitingApproval if step.hold_seconds > 0 => format!("{hold} with data are over; "),
            Phase::Monitoring => format!("watched for {clock} of {} with data; ", lasting(self.monitor)),
            phase if phase.leaves() || matches!(phase, Phase::AwaitingApproval | Phase::Promoting | Phase::Retiring) => {
                String::new()
            }
            _ => format!("in this step for {clock} of {hold} with data; "),
        };
        Some(format!("{counted}{}", self.reason))
    }
}

/// How a command that asked where a rollout is ends.
pub(super) fn exit_of(r: &Rollout, ordered: bool) -> Exit {
    match r.state.phase {
        Phase::Finished => Exit::Ok,
        Phase::RolledBack if ordered => Exit::Ok,
        Phase::RolledBack | Phase::Failed => Exit::No,
        _ if r.state.phase == Phase::AwaitingApproval || r.state.held.is_some() => Exit::Inconclusive,
        _ => Exit::Ok,
    }
}

/// The move that turned a rollout back in its last attempt.
fn turned_back(view: View<'_>, r: &Rollout) -> Result<Option<MoveRow>> {
    let moves = table::moves(view, &r.uid)?;
    let turned = |pair: &[MoveRow]| pair[0].state.phase != Phase::RollingBack && pair[1].state.phase == Phase::RollingBack;
    let last = moves.windows(2).rposition(turned).filter(|at| moves[at + 1].state.attempt == r.state.attempt);
    Ok(last.and_then(|at| moves.into_iter().nth(at + 1)))
}

/// What the judge found in the newest window, and who had how many requests in it.
#[derive(Serialize, Clone, Debug, Default)]
pub(super) struct LastWindow {
    since: Option<Timestamp>,
    upto: Option<Timestamp>,
    canary_requests: u64,
    stable_requests: u64,
    left_out: Vec<String>,
    findings: Vec<Finding>,
}

/// Where a rollout is: what `start`, `status`, `tick`, `run` and every order report.
#[derive(Serialize)]
pub(crate) struct Stands {
    #[serde(flatten)]
    pub(super) of: RolloutDoc,
    window: Option<LastWindow>,
    /// Limits that are not judged, with the reason.
    unjudged: Vec<String>,
    /// With what of the stable version durations are compared.
    compared: Vec<String>,
    /// Who drives it.
    driven_by: Option<String>,
    /// On what a canary waits that is not ready, as its target says now.
    waits: Option<String>,
    /// Since when and why it stands still, when only a person lets it go on.
    halt: Option<Halt>,
    /// What this command changed, in words.
    told: Vec<String>,
    /// What there is to type next.
    #[serde(skip)]
    next: Next,
    /// True when nobody has to be sent for to drive it.
    #[serde(skip)]
    dry: bool,
    /// True when it is not in the state.
    #[serde(skip)]
    planned: bool,
    #[serde(skip)]
    exit: Exit,
}

impl Stands {
    /// As it stands in the state; `told` is what a command changed.
    pub(crate) fn read(view: View<'_>, r: &Rollout, here: &Here<'_>, told: Vec<String>) -> Result<Self> {
        let window = table::last_window(view, &r.uid)?.map(|tick| {
            let seen = tick.seen.map(|s| (s.window.canary, s.window.stable, s.left_out)).unwrap_or_default();
            LastWindow {
                since: tick.since,
                upto: tick.upto,
                canary_requests: seen.0,
                stable_requests: seen.1,
                left_out: seen.2,
                findings: tick.judgement.map(|j| j.findings).unwrap_or_default(),
            }
        });
        let driven_by = here.driver(view, r)?;
        let ordered = r.state.phase == Phase::RolledBack && turned_back(view, r)?.is_some_and(|m| m.what == "abort");
        let of = RolloutDoc::read(view, r)?;
        let exit = if of.put_right().is_some() { Exit::No } else { exit_of(r, ordered) };
        Ok(Self {
            of,
            window,
            unjudged: r.setup.unjudged.clone(),
            compared: r.setup.compared(),
            driven_by,
            waits: None,
            halt: Halt::read(view, r)?,
            told,
            next: Next::read(view, r, here)?,
            dry: false,
            planned: false,
            exit,
        })
    }

    /// The same for a command that only shows what it would do, and would drive it.
    pub(crate) fn dry(self) -> Self {
        Self { dry: true, exit: Exit::Ok, ..self }
    }

    /// The same of a rollout that is not in the state.
    pub(crate) fn planned(self) -> Self {
        Self { planned: true, ..self.dry() }
    }

    /// The same with what the canary waits for.
    pub(super) fn waiting(self, waits: Option<String>) -> Self {
        Self { waits, ..self }
    }

    /// The same for a command that was asked for just this.
    pub(crate) fn done(self) -> Self {
        Self { exit: Exit::Ok, ..self }
    }
}

impl Report for Stands {
    const SCHEMA: &'static str = "kf.canary/1";

    fn blocks(&self) -> Vec<Block> {
        let halt = self.halt.as_ref().map(Halt::told);
        let mut blocks: Vec<Block> =
            vec![self.of.lines(self.planned).into_iter().chain(halt).collect::<Vec<_>>().join("\n").into()];
        if let Some(window) = &self.window {
            blocks.push(findings(&window.findings).into());
            let seen = format!(
                "last window: {} of the {}, {} of the stable version",
                count(usize::try_from(window.canary_requests).unwrap_or(usize::MAX), "request"),
                if self.of.shadow { "canary, which are copies" } else { "canary" },
                window.stable_requests
            );
            let left = window.left_out.iter().map(|l| format!("\nleft out: {l}"));
            blocks.push(format!("{seen}{}", left.collect::<String>()).into());
        }
        let mut lines: Vec<String> = self.compared.iter().map(|l| format!("compared: {l}")).collect();
        lines.extend(self.unjudged.iter().map(|l| format!("not judged: {l}")));
        lines.extend(self.waits.iter().map(|on| format!("waits for: {on}")));
        let next = self.next.told(&self.of, self.driven_by.is_some() || self.dry);
        lines.extend(next.map(|next| format!("hint: {next}")));
        if !lines.is_empty() {
            blocks.push(lines.join("\n").into());
        }
        blocks
    }

    fn summary(&self) -> String {
        self.of.told()
    }

    fn exit(&self) -> Exit {
        self.exit
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![("rollout", self.of.rollout.clone()), ("phase", word(&self.of.phase)), ("weight", self.of.weight.to_string())]
    }
}

/// What the judge found, as a table.
pub(super) fn findings(all: &[Finding]) -> Table {
    let mut t = Table::new(&["check", ">canary", ">stable", ">limit", ">n", ">evidence", ">needed", "verdict", "needs"]);
    let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| fixed(v, 4));
    for f in all {
        // What is compared with a version that has no requests does not wait for more of the canary's.
        let alone = f.is_alone();
        let verdict = match f.standing {
            Standing::Good => "inside",
            Standing::TooFew if alone => "nothing to compare with",
            Standing::TooFew => "too few",
            Standing::Beyond => "outside, not proven",
            Standing::Broken => "broken",
            Standing::BothBroken => "both broken",
        };
        let evidence = if f.evidence.is_finite() { fixed(f.evidence, 2) } else { "-".to_owned() };
        t.row([
            f.check.clone(),
            number(f.estimate),
            number(f.stable),
            number(f.limit),
            f.n.to_string(),
            evidence,
            fixed(f.needed, 2),
            verdict.to_owned(),
            f.needs.filter(|_| !alone).map(|n| format!("about {n} more")).unwrap_or_default(),
        ]);
    }
    t
}
