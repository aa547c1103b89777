//! Going back to an earlier version where there is traffic: a rollout of its own, without gates, steps and figures, so that it
//! survives its process like any other. The version is started, gets all of the traffic, and then the stage.

use super::serving::{Serving, serving};
use super::start::{arm, none_open};
use super::{Parts, order, plan};
use crate::base::error::Result;
use crate::base::name::{Name, Stage};
use crate::base::version::Version;
use crate::config::Target as Place;
use crate::domain::alert::Alert;
use crate::domain::registry::rollback::back_to;
use crate::domain::registry::table::{self as registry, VersionRow};
use crate::domain::rollout::machine::Event;
use crate::domain::rollout::measure::Frozen;
use crate::domain::rollout::plan::Plan;
use crate::domain::rollout::policy::Policy;
use crate::domain::rollout::record::{self, Because};
use crate::domain::rollout::setup::{Setup, Strategy, Tests};
use crate::domain::rollout::table::Rollout;
use crate::release::alert::raise;
use crate::release::emergency::apart;
use crate::release::rollback::{Request, RolledBack, expected, roll_back, target};
use crate::seams::notifier::{Act, Severity};
use crate::store::{Tx, View};

/// What came of asking for a way back.
pub enum Back {
    /// It is planned, and nothing was done yet.
    Planned(Box<Rollout>),
    /// The target gives all of its users the version already: only the registry had to be told, if anybody.
    Shown(Box<RolledBack>),
}

/// Plans the way back that is asked for, from what the target really serves: as it was seen a moment ago, or else it is asked.
///
/// # Errors
/// Those of [`rollback::roll_back`](crate::release::rollback::roll_back), and when a rollout of the model is under way on this target;
/// where the version is in production already, also when the target does not say what it serves.
pub fn plan_back(
    parts: &Parts<'_>,
    (place, seen): (&Place, Option<Serving>),
    request: &Request<'_>,
    because: Because<'_>,
) -> Result<Back> {
    let version = parts.store.read(|view| target(view, request))?;
    let staged = version.stage == Stage::Production;
    let seen = match seen.map_or_else(|| serving(parts.target, request.name), |seen| Ok(Some(seen))) {
        // A target that is gone is waited for; but of one that may have nothing to do that cannot be told.
        Err(e) if staged => {
            let hint = format!("nothing was changed: {} is in production already", version.reference());
            return Err(e.hint(hint));
        }
        seen => seen.ok().flatten(),
    };
    let shows = |version: Version| seen.is_some_and(|seen| seen.is_all(version));
    if !(staged && shows(version.version)) {
        parts.reader.read(&version);
    }
    let alerts = plan::alerts(parts.project, &place.name);
    parts.store.write(|tx| {
        let view = tx.view();
        let version = target(view, request)?;
        let now = registry::in_production(view, version.model)?;
        if shows(version.version) {
            apart::confirm(tx, &version.name, &place.name, version.version)?;
            let done = roll_back(tx, request)?;
            if done.event.is_some() {
                let gone = (now.map(|v| v.version), version.version);
                tell(tx, (&version.name, &place.name), gone, (&alerts, because.reason))?;
            }
            return Ok(Back::Shown(Box::new(done)));
        }
        (request.files)(&version)?;
        none_open(view, &version.name, Some(&place.name))?;
        let leaves = leaves(view, &version, seen, now)?;
        let setup = setup(&version, leaves.as_ref(), place, alerts.clone(), because);
        let gone = (leaves.map(|v| v.version), version.version);
        tell(tx, (&version.name, &place.name), gone, (&alerts, because.reason))?;
        let planned = record::plan(tx, &setup, because)?;
        let (started, _) = order::take(tx, &planned.uid, &Event::Start, because)?;
        Ok(Back::Planned(Box::new(started)))
    })
}

/// The version that users are taken from: what the target shows; where it shows nothing that is known, what is in production.
fn leaves(view: View<'_>, to: &VersionRow, seen: Option<Serving>, now: Option<VersionRow>) -> Result<Option<VersionRow>> {
    let shown = seen.and_then(|seen| if seen.version == to.version { seen.beside } else { Some(seen.version) });
    let known = shown.map(|version| registry::find_version(view, to.model, version)).transpose()?.flatten();
    Ok(known.or(now).filter(|v| v.id != to.id))
}

/// The version that a model goes back to, given what its targets serve, each that tells.
///
/// # Errors
/// When there is none, or production is not as expected.
pub fn meant(view: View<'_>, request: &Request<'_>, served: &[Version]) -> Result<Version> {
    expected(view, request)?;
    let model = registry::model(view, request.name)?;
    let now = registry::in_production(view, model.id)?;
    let history = registry::history(view, model.id, u32::MAX)?;
    let mut ids = Vec::new();
    for version in served {
        // What nobody registered is no version to stay with, but it is not the one in production either.
        ids.push(registry::find_version(view, model.id, *version)?.map_or(-1, |v| v.id));
    }
    let to = match back_to(&history, now.as_ref(), &ids) {
        Some(id) if request.to.is_none() => registry::version_by_id(view, id)?,
        _ => None,
    };
    // Without one of its own, the request says why there is none.
    to.map_or_else(|| target(view, request).map(|v| v.version), |v| Ok(v.version))
}

fn setup(version: &VersionRow, stable: Option<&VersionRow>, place: &Place, alerts: Vec<Name>, because: Because<'_>) -> Setup {
    Setup {
        model: version.name.clone(),
        canary: arm(version),
        stable: stable.map(arm),
        target: place.name.clone(),
        named: Strategy::Rollback.word().to_owned(),
        strategy: Strategy::Rollback,
        plan: Plan::way_back(),
        policy: Policy::default(),
        frozen: Frozen::default(),
        unjudged: Vec::new(),
        evaluations: false,
        tests: Tests::default(),
        alerts,
        first_release: false,
        ticket: because.ticket.map(str::to_owned),
        staged: version.stage == Stage::Production,
    }
}

/// Pages whoever is told of rollouts that a model went back on a target: that somebody had to is an incident, which is not over with
/// that.
pub(in crate::release) fn tell(
    tx: &Tx<'_>,
    (model, target): (&Name, &Name),
    (from, to): (Option<Version>, Version),
    (alerts, reason): (&[Name], Option<&str>),
) -> Result<()> {
    if alerts.is_empty() {
        return Ok(());
    }
    let from = from.map_or_else(String::new, |from| format!(" from {from}"));
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let alert = Alert {
        about: format!("rollback/{model}"),
        act: Act::Trigger,
        severity: Severity::Critical,
        title: format!("{model} is rolled back{from} to {to}"),
        body: reason.unwrap_or("no reason was given").to_owned(),
        facts: vec![fact("model", model.as_str()), fact("version", &to.to_string()), fact("target", target.as_str())],
    };
    raise(tx, alerts, &alert).map(|_| ())
}
