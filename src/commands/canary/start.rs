//! `kf canary start` and `kf deploy`: a rollout begins, when the gates of production pass.

use super::drive::{Counts, Until, drive, stands, survives, with_parts};
use super::next::Here;
use crate::adapters::source::Ranges;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Stage;
use crate::base::reference::Reference;
use crate::cli::arg;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::commands::alert::deliver;
use crate::commands::promote;
use crate::domain::registry::table as registry;
use crate::domain::rollout::record::Because;
use crate::domain::rollout::setup::Strategy;
use crate::release::rollout::plan::configured;
use crate::release::rollout::start::{Outcome, Wanted, place, start};
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;

/// Start to give a version traffic, if the gates of production pass
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf canary start bot@1.1.0 --watch\n  kf canary start bot@1.1.0 --plan two-days --detach --ticket OPS-7\n  kf canary start bot@1.1.0 --dry-run\n\nExits 0 when the version is in production, 3 when it was taken back or a gate fails, 4 when a gate is inconclusive."
)]
pub(crate) struct Args {
    #[command(flatten)]
    release: Release,
}

/// What a release is asked for with.
#[derive(clap::Args, Debug)]
pub(crate) struct Release {
    /// The version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    reference: Reference,
    /// The target: the NAME of a `[target.NAME]`; not needed when the model has one
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// The plan: the NAME of a `[rollout.NAME]`, or four-hours, two-days, ramp
    #[arg(long, value_name = "NAME")]
    plan: Option<String>,
    /// Show where it is all the while
    #[arg(long, conflicts_with = "detach")]
    watch: bool,
    /// Only record it: `kf canary run` or `kf canary tick` drives it
    #[arg(long)]
    detach: bool,
    /// Let regression gates stay open, because nothing is in production to compare with
    #[arg(long)]
    first_release: bool,
    /// The ticket that asks for it
    #[arg(long, value_name = "ID", value_parser = arg::ticket())]
    ticket: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = arg::reason())]
    reason: Option<String>,
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    release(cx, &args.release, Strategy::Canary)
}

/// Starts a rollout, and drives it to its end unless somebody else is to.
pub(crate) fn release(cx: &Cx, args: &Release, strategy: Strategy) -> Result<Exit> {
    let loaded = cx.project()?;
    let store = cx.store(Mode::Write)?;
    let model = store.read(|view| registry::resolve(view, &args.reference))?.name;
    let place = place(&loaded.project, &model, args.target.as_deref())?;
    let wanted = Wanted {
        reference: &args.reference,
        place,
        plan: args.plan.as_deref(),
        strategy,
        first_release: args.first_release,
        because: Because { ticket: args.ticket.as_deref(), reason: args.reason.as_deref() },
    };
    let said = configured(&loaded.project, args.plan.as_deref(), &place.name)?;
    let counts = Counts::Said(&said, Ranges::new());
    let rollout = match with_parts(cx, &store, (place, counts), |loaded, parts| start(parts, loaded, &wanted))? {
        Outcome::Started(rollout) => rollout,
        Outcome::Refused(refused) => return promote::emit(cx, *refused, Stage::Production),
    };
    if store.is_dry_run() {
        let here = Here::of(cx, &store)?;
        let would = store.read(|view| super::doc::Stands::read(view, &rollout, &here, Vec::new()))?;
        return cx.out.emit(&would.planned());
    }
    let judged = strategy != Strategy::Shadow && !rollout.setup.staged;
    if judged && !loaded.project.gates.iter().any(|gate| gate.guards(&model, Stage::Production)) {
        promote::no_gates(cx, Stage::Production);
    }
    if args.detach {
        deliver(cx, &store);
        return cx.out.emit(&stands(cx, &store, &rollout.uid, vec![rollout.reason.clone()])?.done());
    }
    survives(cx, &rollout);
    cx.out.emit(&drive(cx, &store, &rollout, Until::End(None), args.watch)?)
}
