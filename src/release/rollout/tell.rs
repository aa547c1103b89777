//! What people are told of a rollout, in the transaction of the move: one condition for each model.

use crate::base::error::Result;
use crate::base::name::Name;
use crate::domain::alert::Alert;
use crate::domain::alert::table::last_about;
use crate::domain::rollout::machine::{Move, Notice, Phase, State};
use crate::domain::rollout::setup::Strategy;
use crate::domain::rollout::table::Rollout;
use crate::release::alert::raise;
use crate::seams::notifier::{Act, Severity};
use crate::store::Tx;

/// Raises what a move has to tell; whoever was told that something is wrong is told when it is over.
pub(super) fn tell(tx: &Tx<'_>, of: &Rollout, made: &Move) -> Result<()> {
    // Of a way back was told when it began, and that it came to its end ends no incident.
    if of.setup.strategy == Strategy::Rollback && made.state.phase == Phase::Finished {
        return Ok(());
    }
    let alert = alert(of, &made.state, &made.reason);
    let told = last_about(tx.view(), &alert.about)?.filter(|(row, _)| row.alert.act == Act::Trigger);
    let over =
        made.state.phase == Phase::Finished || (of.state.held.is_some() && made.state.held.is_none() && made.notice.is_none());
    let channels: Vec<Name> = match (over, told) {
        (true, Some((_, told))) => told.into_iter().filter(|c| of.setup.alerts.contains(c)).collect(),
        (true, None) if made.state.phase != Phase::Finished => return Ok(()),
        (false, _) if made.notice.is_none() => return Ok(()),
        _ => of.setup.alerts.clone(),
    };
    if channels.is_empty() {
        return Ok(());
    }
    let (act, severity) = match made.notice {
        _ if over => (Act::Resolve, Severity::Info),
        Some(Notice::Approval) => (Act::Trigger, Severity::Info),
        Some(Notice::Held) => (Act::Trigger, Severity::Warning),
        _ => (Act::Trigger, Severity::Critical),
    };
    raise(tx, &channels, &Alert { act, severity, ..alert }).map(|_| ())
}

fn alert(of: &Rollout, state: &State, why: &str) -> Alert {
    let reference = of.setup.reference();
    let head = match state.phase {
        Phase::Finished if of.setup.plan.shadow => format!("the shadow of {reference} kept to its limits"),
        Phase::RolledBack if of.setup.plan.shadow => format!("the shadow of {reference} was ended"),
        Phase::RollingBack if of.setup.plan.shadow => format!("the shadow of {reference} is being ended"),
        Phase::Finished => format!("{reference} is in production"),
        Phase::RolledBack => format!("{reference} was taken back"),
        Phase::Failed => format!("{reference} could not be released"),
        Phase::RollingBack => format!("{reference} is being taken back"),
        Phase::AwaitingApproval => format!("{reference} waits for approval at {}", state.observed),
        _ if state.held.is_some() => format!("the rollout of {reference} stands still at {}", state.observed),
        _ => format!("the rollout of {reference} goes on"),
    };
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Alert {
        about: format!("rollout/{}", of.setup.model),
        act: Act::Trigger,
        severity: Severity::Warning,
        title: head,
        body: format!("{why}\n`kf canary explain {}` says why, with numbers", of.short()),
        facts: vec![
            fact("rollout", &of.uid),
            fact("model", of.setup.model.as_str()),
            fact("version", &of.setup.canary.version.to_string()),
            fact("target", of.setup.target.as_str()),
            fact("weight", &state.observed.percent().to_string()),
        ],
    }
}
