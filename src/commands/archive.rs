//! `kf archive`: retires a version.

use super::moved;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Stage;
use crate::base::reference::Reference;
use crate::cli::arg;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::domain::ab::Arm;
use crate::domain::ab::table::{self as ab, Test};
use crate::domain::registry::change::{Move, Way};
use crate::domain::registry::table::VersionRow;
use crate::domain::rollout::table::{self as rollout, Rollout};
use crate::store::View;
use clap_complete::engine::ArgValueCompleter;

/// Retire a version; its files are kept until its retention ends
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf archive support-bot@1.0.0 --reason \"replaced by 1.2.0\"")]
pub(crate) struct Args {
    /// The version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    reference: Reference,
    /// The ticket that asks for it
    #[arg(long, value_name = "ID", value_parser = arg::ticket())]
    ticket: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = arg::reason())]
    reason: Option<String>,
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let change = Move {
        way: Way::Archive,
        to: Stage::Archived,
        ticket: args.ticket.as_deref(),
        reason: args.reason.as_deref(),
        detail: serde_json::Map::new(),
    };
    moved::run(cx, &args.reference, &change, |view, version| {
        if version.stage == Stage::Production {
            return Err(Error::new(format!("{} is in production", version.reference()))
                .hint(format!("promote another version first, or take it back: `kf rollback {}`", version.name)));
        }
        unused(view, version)
    })
}

/// Refuses a version that a rollout under way gives users, or goes back to, and one that users of a running A/B test get.
fn unused(view: View<'_>, version: &VersionRow) -> Result<()> {
    let used = |r: &Rollout| {
        let setup = &r.setup;
        let mut arms = setup.stable.iter().chain([&setup.canary]);
        setup.model == version.name && arms.any(|arm| arm.digest == version.digest)
    };
    let Some(of) = rollout::open(view)?.into_iter().find(used) else { return untested(view, version) };
    let (reference, of_it, short) = (version.reference(), of.setup.reference(), of.short());
    let part = if of.setup.canary.digest == version.digest { "on trial in" } else { "what serves beside the canary of" };
    Err(Error::new(format!("{reference} is {part} a rollout that is under way ({short}, of {of_it})"))
        .hint(format!("take that back first: `kf canary abort {}`", version.name)))
}

fn untested(view: View<'_>, version: &VersionRow) -> Result<()> {
    let compared = |arm: &Arm| arm.model == version.name && arm.digest == version.digest;
    let used = |test: &Test| test.open && (compared(&test.setup.control) || compared(&test.setup.treatment));
    let Some(test) = ab::all(view)?.into_iter().find(used) else { return Ok(()) };
    let name = &test.setup.name;
    Err(Error::new(format!("{} is compared in the A/B test {name}, which is running", version.reference()))
        .hint(format!("end that first: `kf ab stop {name}`")))
}
