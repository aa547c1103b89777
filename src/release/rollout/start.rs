//! Starting a rollout: the gates of production first, then everything that will not change while it lasts.

use super::plan::Scores;
use super::serving::{Serving, serving};
use super::{Parts, order, plan};
use crate::base::error::{Error, Kind, Result};
use crate::base::name::{Name, Stage};
use crate::base::reference::{Reference, Selector};
use crate::base::time::Timestamp;
use crate::base::verdict::Verdict;
use crate::config::{Loaded, Project, Rollout as Said, Target as Place};
use crate::domain::registry::table::{self as registry, VersionRow};
use crate::domain::rollout::machine::{Event, Phase};
use crate::domain::rollout::measure::Frozen;
use crate::domain::rollout::record::{self, Because};
use crate::domain::rollout::setup::{Setup, Strategy};
use crate::domain::rollout::table::{self, Rollout};
use crate::release::freeze;
use crate::release::promote::{self, Promotion, Request};
use crate::seams::metrics::{Ask, Reading};
use crate::seams::traffic::Arm;
use crate::store::{Tx, View};

/// How far back the stable version is looked at for what the canary is held against, in microseconds: an hour.
const BEFORE: i64 = 3_600_000_000;

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The version.
    pub reference: &'a Reference,
    /// Where.
    pub place: &'a Place,
    /// The name of the plan; `None` for the one that belongs to the target.
    pub plan: Option<&'a str>,
    /// How.
    pub strategy: Strategy,
    /// True when nothing is in production to compare with.
    pub first_release: bool,
    /// Who asks, and why.
    pub because: Because<'a>,
}

/// What came of it.
pub enum Outcome {
    /// The gates say no; the refusal is recorded.
    Refused(Box<Promotion>),
    /// It is planned, and nothing was done yet.
    Started(Box<Rollout>),
}

/// The target of a model: the one that is named, or the only one that it has.
///
/// # Errors
/// When there is none, or there are several.
pub fn place<'p>(project: &'p Project, model: &Name, named: Option<&str>) -> Result<&'p Place> {
    let of_model: Vec<&Place> = project.target.iter().filter(|t| t.model == *model).collect();
    let names = || of_model.iter().map(|t| format!("`{}`", t.name)).collect::<Vec<_>>().join(", ");
    let Some(named) = named else {
        return match of_model.as_slice() {
            [one] => Ok(one),
            [] => Err(Error::usage(format!("mlops.toml has no target for {model}"))
                .hint(format!("add `[target.local]` with `kind = \"gateway\"` and `model = \"{model}\"`"))),
            _ => Err(Error::usage(format!("{model} has several targets")).hint(format!("name one: `--target` {}", names()))),
        };
    };
    let found = project.target(named).ok_or_else(|| {
        let hint = crate::base::text::did_you_mean(named, project.target.iter().map(|t| t.name.as_str()));
        Error::usage(format!("mlops.toml has no `[target.{}]`", crate::base::text::visible(named, 60)))
            .hint(hint.unwrap_or_else(|| format!("`{model}` has: {}", names())))
    })?;
    if found.model != *model {
        return Err(Error::usage(format!("`target.{named}` is for {}, not for {model}", found.model)).hint("name another target"));
    }
    Ok(found)
}

/// Judges the gates and records the rollout.
///
/// # Errors
/// When the version cannot be released, another rollout of the model is under way, what is said of rollouts is wrong, or the source
/// of metrics cannot be asked.
pub fn start(parts: &Parts<'_>, loaded: &Loaded, wanted: &Wanted<'_>) -> Result<Outcome> {
    let Parts { store, project, root, reader, .. } = *parts;
    let said = plan::configured(project, wanted.plan, &wanted.place.name)?;
    plan::report(loaded, &said)?;
    // What passed the gates of production is not asked again on the next target, whose own version it is held against.
    let staged = store.read(|view| registry::resolve(view, wanted.reference))?.stage == Stage::Production;
    let seen = if staged { serving(parts.target, &wanted.reference.name).ok().flatten() } else { None };
    let (version, stable) = store.read(|view| versions(view, wanted, seen))?;
    let reference = Reference { name: version.name.clone(), selector: Selector::Version(version.version) };
    let request = Request {
        reference: &reference,
        to: Stage::Production,
        files: &|version| reader.require(version),
        first_release: wanted.first_release,
        expect: stable.as_ref().map(|s| s.version),
        ticket: wanted.because.ticket,
        reason: wanted.because.reason,
    };
    // Whoever is not let through need not have a target that answers.
    if !staged && let Some(refused) = store.write(|tx| promote::refused(tx, project, root, &request))? {
        return Ok(Outcome::Refused(Box::new(refused)));
    }
    reader.read(&version);
    let setup = frozen(parts, wanted, &said, (&version, stable.as_ref()))?;
    store.write(|tx| {
        if !staged && let Some(refused) = promote::refused(tx, project, root, &request)? {
            return Ok(Outcome::Refused(Box::new(refused)));
        }
        (request.files)(&version)?;
        begin(tx, &setup, wanted.because).map(|rollout| Outcome::Started(Box::new(rollout)))
    })
}

/// All that does not change any more, with the limits that follow from what the stable version did before.
fn frozen(
    parts: &Parts<'_>,
    wanted: &Wanted<'_>,
    said: &Said,
    (version, stable): (&VersionRow, Option<&VersionRow>),
) -> Result<Setup> {
    let before = before(parts, version, stable, parts.store.now())?;
    let mut frozen = plan::freeze(said, Frozen::of(&before.stable)?);
    let shadow = wanted.strategy == Strategy::Shadow;
    if stable.is_none() || !matches!(wanted.strategy, Strategy::Canary | Strategy::Shadow) {
        // Beside a version that has all of the traffic at once there is none.
        frozen.beside.clear();
    }
    // Scores of what users were answered say nothing of a version that answers nobody.
    let scores = match said.source.evaluations || !before.pairs.is_empty() {
        true => Scores::There,
        false if shadow => Scores::OfNobody,
        false if before.stable.values.is_empty() => Scores::Missing,
        false => Scores::There,
    };
    let (mut policy, unjudged) = plan::policy(said, &frozen, scores);
    if shadow {
        // Copies are made of requests that may be made twice, whose part of all nobody sets.
        policy.share_tolerance = None;
    }
    // With nothing to compare with, and nothing to go back to, steps would only leave users without an answer.
    let strategy = if stable.is_some() { wanted.strategy } else { Strategy::AllAtOnce };
    Ok(Setup {
        model: version.name.clone(),
        canary: arm(version),
        stable: stable.map(arm),
        target: wanted.place.name.clone(),
        named: said.name.to_string(),
        strategy,
        plan: plan::plan(said, strategy)?,
        policy,
        frozen,
        unjudged,
        evaluations: said.source.evaluations,
        tests: plan::tests(said),
        alerts: said.alerts.clone(),
        first_release: wanted.first_release,
        ticket: wanted.because.ticket.map(str::to_owned),
        staged: version.stage == Stage::Production,
    })
}

/// The version that is to serve and the one that does: what is in production, or where the version is that itself, what the target
/// serves instead of it.
fn versions(view: View<'_>, wanted: &Wanted<'_>, seen: Option<Serving>) -> Result<(VersionRow, Option<VersionRow>)> {
    let version = registry::resolve(view, wanted.reference)?;
    let mut stable = registry::in_production(view, version.model)?;
    if stable.as_ref().is_some_and(|s| s.id == version.id) {
        let other = seen.map(|seen| seen.version).filter(|seen| *seen != version.version);
        stable = other.map(|other| registry::find_version(view, version.model, other)).transpose()?.flatten();
    }
    if stable.is_none() && version.stage == Stage::Production {
        return Err(Error::new(format!("{} is in production already", version.reference()))
            .hint(format!("`kf list {}` shows the versions that are not", version.name)));
    }
    if stable.is_none() && wanted.strategy == Strategy::Shadow {
        return Err(Error::new(format!("nothing of {} is in production whose requests could be copied", version.name))
            .hint(format!("`kf deploy {}` makes it the first version that serves", version.reference())));
    }
    none_open(view, &version.name, None)?;
    Ok((version, stable))
}

/// Refuses while a rollout of the model is under way; a way back asks only about its own target.
pub(super) fn none_open(view: View<'_>, model: &Name, on: Option<&Name>) -> Result<()> {
    let same = |r: &Rollout| r.setup.model == *model && on.is_none_or(|on| r.setup.target == *on);
    let Some(other) = table::open(view)?.into_iter().find(same) else { return Ok(()) };
    let what = format!("a rollout of {} is under way ({})", other.setup.reference(), other.short());
    Err(Error::of(Kind::Failed, what)
        .hint(format!("`kf canary status {model}` shows it, `kf canary abort {model}` takes it back")))
}

pub(super) fn arm(version: &VersionRow) -> Arm {
    Arm { version: version.version, digest: version.digest }
}

/// What was counted before.
fn before(parts: &Parts<'_>, version: &VersionRow, stable: Option<&VersionRow>, now: Timestamp) -> Result<Reading> {
    let (stable, canary, from) = (stable.map(|s| s.version), version.version, now.plus_micros(-BEFORE));
    parts.source.read(&Ask { model: &version.name, stable, canary, from, to: now, cursor: None })
}

/// Records the rollout, and that it was started.
fn begin(tx: &Tx<'_>, setup: &Setup, because: Because<'_>) -> Result<Rollout> {
    none_open(tx.view(), &setup.model, None)?;
    let planned = record::plan(tx, setup, because)?;
    order::take(tx, &planned.uid, &Event::Start, because).map(|(started, _)| started)
}

/// Why a promotion was refused, in words.
pub fn why(refused: &Promotion) -> String {
    let frozen = refused.frozen.iter().map(freeze::Frozen::told);
    let gates = refused.gates.iter().filter(|g| g.verdict != Verdict::Pass).map(|g| format!("gate {} {}", g.gate, g.verdict));
    let all: Vec<String> = frozen.chain(gates).collect();
    if all.is_empty() { "it is not what the audit log recorded".to_owned() } else { all.join("; ") }
}

/// Refuses a promotion to production past the traffic: where a model has a target, a version gets there by a rollout.
///
/// # Errors
/// When the model has a target and a version in production, and no rollout of this version is finished.
pub fn require_finished(view: View<'_>, project: &Project, reference: &Reference, to: Stage) -> Result<()> {
    if to != Stage::Production || !project.target.iter().any(|t| t.model == reference.name) {
        return Ok(());
    }
    let version = registry::resolve(view, reference)?;
    let all = table::newest(view, Some(&reference.name), 1000)?;
    let finished =
        |r: &Rollout| r.setup.canary.digest == version.digest && r.state.phase == Phase::Finished && !r.setup.plan.shadow;
    // Before anything is in production there is no traffic that could be left behind: a gateway begins with what is.
    let first = registry::in_production(view, version.model)?.is_none();
    if first || version.stage == Stage::Production || all.iter().any(finished) {
        return Ok(());
    }
    let reference = version.reference();
    Err(Error::new(format!("{reference} has not finished a rollout, and {} has traffic", version.name))
        .hint(format!("`kf canary start {reference}` releases it to users step by step, and moves it to production at the end"))
        .hint("`--no-traffic` moves it all the same and leaves the traffic where it is"))
}
