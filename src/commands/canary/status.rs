//! `kf canary status`: where a rollout is, what was seen, what is next.

use super::drive::{follow, place_of, stands};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::domain::rollout::machine::Phase;
use crate::domain::rollout::table::{Rollout, select};
use crate::seams::traffic::Ready;
use crate::store::Mode;

/// Show where a rollout is: weight, figures of both versions, evidence, and what is next
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf canary status\n  kf canary status bot --watch\n  kf canary status bot --format json\n\nExits 0 while it goes on and when it is finished, 3 when it was taken back or users have another version since an emergency, 4 when it waits for a person or stands still."
)]
pub(crate) struct Args {
    /// The model, or the end of the rollout's id; not needed when one rollout is under way
    rollout: Option<String>,
    /// Show it all the while, until it ends
    #[arg(long)]
    watch: bool,
}

/// On what a canary waits that is started and not ready: only its target knows.
fn waits(cx: &Cx, of: &Rollout) -> Option<String> {
    if of.state.phase != Phase::WaitingReady {
        return None;
    }
    let weight = of.setup.plan.steps.get(of.state.step)?.weight;
    let target = place_of(cx, of).and_then(|place| cx.traffic(place));
    match target.map(|target| target.ready(&of.setup.arms(), weight)) {
        Ok(Ok(Ready::Yes)) => None,
        Ok(Ok(Ready::NotYet(why) | Ready::Never(why))) => Some(why),
        Ok(Err(fault)) => Some(fault.into_error().to_string()),
        Err(e) => Some(e.to_string()),
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let store = cx.store(Mode::Read)?;
    let of = store.read(|view| select(view, args.rollout.as_deref()))?;
    let stands = if args.watch && of.open {
        follow(cx, &store, &of.uid)?
    } else {
        stands(cx, &store, &of.uid, Vec::new())?.waiting(waits(cx, &of))
    };
    cx.out.emit(&stands)
}
