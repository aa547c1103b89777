//! Going back to an earlier version where there is traffic: a rollout of its own, without gates, steps and figures, so that it
//! survives its process like any other. The version is started, gets all of the traffic, and then the stage.

use super::start::{arm, none_open};
use super::{Parts, order, plan};
use crate::base::error::Result;
use crate::base::name::Name;
use crate::base::version::Version;
use crate::config::Target as Place;
use crate::domain::alert::Alert;
use crate::domain::registry::table::{self as registry, VersionRow};
use crate::domain::rollout::machine::Event;
use crate::domain::rollout::measure::Frozen;
use crate::domain::rollout::plan::Plan;
use crate::domain::rollout::policy::Policy;
use crate::domain::rollout::record::{self, Because};
use crate::domain::rollout::setup::{Setup, Strategy, Tests};
use crate::domain::rollout::table::Rollout;
use crate::release::alert::raise;
use crate::release::rollback::{Request, moving};
use crate::seams::notifier::{Act, Severity};
use crate::store::Tx;

/// Plans the way back that is asked for; `None` when the version is in production already.
///
/// # Errors
/// Those of [`rollback::roll_back`](crate::release::rollback::roll_back), and when a rollout of the model is under way.
pub fn plan_back(parts: &Parts<'_>, place: &Place, request: &Request<'_>, because: Because<'_>) -> Result<Option<Rollout>> {
    let Some(version) = parts.store.read(|view| moving(view, request))? else { return Ok(None) };
    parts.reader.read(&version);
    (request.files)(&version)?;
    let alerts = plan::alerts(parts.project, &place.name);
    parts.store.write(|tx| {
        let Some(version) = moving(tx.view(), request)? else { return Ok(None) };
        none_open(tx.view(), &version.name)?;
        let stable = registry::in_production(tx.view(), version.model)?;
        let setup = setup(&version, stable.as_ref(), place, alerts.clone(), because);
        let gone = (stable.map(|s| s.version), version.version);
        tell(tx, (&version.name, &place.name), gone, (&alerts, because.reason))?;
        let planned = record::plan(tx, &setup, because)?;
        order::take(tx, &planned.uid, &Event::Start, because).map(|(started, _)| Some(started))
    })
}

fn setup(version: &VersionRow, stable: Option<&VersionRow>, place: &Place, alerts: Vec<Name>, because: Because<'_>) -> Setup {
    Setup {
        model: version.name.clone(),
        canary: arm(version),
        stable: stable.map(arm),
        target: place.name.clone(),
        named: Strategy::Rollback.word().to_owned(),
        strategy: Strategy::Rollback,
        // The way back is never given up: a target that is gone for an hour is asked again after that.
        plan: Plan { monitor: 0, errors: u64::MAX, ..Plan::at_once() },
        policy: Policy::default(),
        frozen: Frozen::default(),
        unjudged: Vec::new(),
        evaluations: false,
        tests: Tests::default(),
        alerts,
        first_release: false,
        ticket: because.ticket.map(str::to_owned),
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
