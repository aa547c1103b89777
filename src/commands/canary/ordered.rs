//! Who made a move of a rollout and why, in the words of its entry of the audit log; and on whose word one waits that stands still.

use crate::base::error::Result;
use crate::base::time::Timestamp;
use crate::domain::audit::entry::Reader;
use crate::domain::rollout::machine::{Held, Phase};
use crate::domain::rollout::table::{self, MoveRow, Rollout};
use crate::store::View;
use serde::Serialize;

/// What people order; all else kf does.
const ORDERS: [&str; 8] = ["start", "pause", "resume", "approve", "promote", "promote-full", "abort", "retry"];

/// Whether a person ordered a move that is called so.
pub(super) fn is_order(what: &str) -> bool {
    ORDERS.contains(&what)
}

/// Who made a move, and why.
#[derive(Serialize, Clone, Debug, Default)]
pub(super) struct By {
    /// The name, or the pseudonym when the name was erased.
    pub(super) actor: String,
    pub(super) ticket: Option<String>,
    pub(super) reason: Option<String>,
}

impl By {
    pub(super) fn read(reader: &mut Reader<'_>, of: &MoveRow) -> Result<Self> {
        let entry = u64::try_from(of.event).ok().map(|event| reader.entry(event)).transpose()?.flatten();
        Ok(entry.map_or_else(
            || Self { actor: of.actor.clone(), ..Self::default() },
            |(entry, _)| Self { actor: entry.actor, ticket: entry.ticket, reason: entry.reason },
        ))
    }
}

/// Since when a rollout stands still that only a person lets go on, and why.
#[derive(Serialize, Clone, Debug)]
pub(super) struct Halt {
    since: Timestamp,
    why: String,
    /// Who ordered it, when a person did.
    by: Option<By>,
}

impl Halt {
    /// That of a rollout that is held by anything but its judge, who lets it go on by himself.
    pub(super) fn read(view: View<'_>, of: &Rollout) -> Result<Option<Self>> {
        let Some(held) = of.state.held.filter(|held| of.open && !matches!(held, Held::Judge(_))) else { return Ok(None) };
        let moves = table::moves(view, &of.uid)?;
        let before = moves.iter().rposition(|m| m.state.held != Some(held)).map_or(0, |at| at + 1);
        let Some(began) = moves.get(before) else { return Ok(None) };
        let by = is_order(&began.what).then(|| By::read(&mut Reader::new(view), began)).transpose()?;
        Ok(Some(Self { since: began.at, why: began.reason.clone(), by }))
    }

    /// In a line.
    pub(super) fn told(&self) -> String {
        let by = self.by.as_ref().map(|by| {
            let ticket = by.ticket.as_ref().map(|ticket| format!(", {ticket}")).unwrap_or_default();
            let reason = by.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!(" by {}{ticket}{reason}", by.actor)
        });
        format!("stands still since {}: {}{}", self.since, self.why, by.unwrap_or_default())
    }
}

/// What a person types to let a rollout go on that waits for one, or to end it; `named` is what orders call it.
pub(super) fn let_on(named: &str, phase: Phase, held: Option<Held>) -> Option<String> {
    let order = match (phase, held) {
        (_, Some(Held::Judge(_))) => return None,
        (Phase::Monitoring, Some(Held::Inconclusive)) => {
            return Some(format!(
                "`kf canary promote {named}` keeps it, `kf canary abort {named}` takes it back, `kf canary resume {named}` watches on"
            ));
        }
        (_, Some(_)) => "resume",
        (Phase::AwaitingApproval, None) => "approve",
        _ => return None,
    };
    Some(format!("`kf canary {order} {named}` or `kf canary abort {named}`"))
}
