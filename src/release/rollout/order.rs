//! What people order: taken under the writer's lock, whoever drives the rollout; the controller goes on from there.

use super::control::restore_stage;
use super::tell;
use crate::base::error::{Error, Result};
use crate::base::weight::Weight;
use crate::domain::rollout::machine::{Event, State, advance};
use crate::domain::rollout::record::{self, Because, decides};
use crate::domain::rollout::table::{self, Rollout};
use crate::store::{Store, Tx};

/// Takes an order; gives the rollout as it stands then and whether it changed.
///
/// # Errors
/// When the state of the rollout does not take the order, or the state of the repository cannot be written.
pub fn order(store: &Store, uid: &str, event: &Event, because: Because<'_>) -> Result<(Rollout, bool)> {
    store.write(|tx| take(tx, uid, event, because))
}

/// The same in a transaction.
pub(in crate::release) fn take(tx: &Tx<'_>, uid: &str, event: &Event, because: Because<'_>) -> Result<(Rollout, bool)> {
    let of = table::find(tx.view(), uid)?.ok_or_else(|| Error::new(format!("there is no rollout {uid}")))?;
    moved(tx, of, event, because)
}

fn moved(tx: &Tx<'_>, of: Rollout, event: &Event, because: Because<'_>) -> Result<(Rollout, bool)> {
    let made = advance(&of.setup.plan, &of.state, event).map_err(|refusal| {
        Error::new(format!("the rollout of {} does not take this: {}", of.setup.reference(), refusal.0))
            .hint(format!("`kf canary status {}` shows where it is", of.short()))
    })?;
    // What was ordered before is only an order once more when a clock starts again by it.
    if !decides(&of.state, &made.state) {
        return Ok((of, false));
    }
    tell::tell(tx, &of, &made)?;
    Ok((record::take(tx, &of, (event, &made), None, because)?, true))
}

/// Records of a rollout under way that it was taken back already, past the state: the order, that its target showed it, and the stage.
pub(in crate::release) fn took_back(tx: &Tx<'_>, uid: &str, why: &str, because: Because<'_>) -> Result<()> {
    let (of, _) = take(tx, uid, &Event::Abort(why.to_owned()), because)?;
    restore_stage(tx, &of)?;
    // Whether its version was stopped, too, nobody wrote down.
    let left = of.state.left.iter().filter(|arm| **arm != of.setup.canary).chain([&of.setup.canary]).cloned().collect();
    let of = Rollout { state: State { left, ..of.state }, ..of };
    moved(tx, of, &Event::Observed(Weight::NONE), because).map(drop)
}
