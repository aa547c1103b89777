//! `kf rollback`: puts back the last good production version: in one transaction, and where there is traffic by a rollout that
//! survives its process.

use super::canary::doc::Stands;
use super::canary::drive::{BACK_PATIENCE, Counts, WayBack, can_go_back, see_back, stands, with_parts};
use super::emergency;
use super::version_doc::VersionDoc;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::version::Version;
use crate::cli::arg;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::domain::rollout::machine::{Event, Phase};
use crate::domain::rollout::record::Because;
use crate::domain::rollout::setup::Strategy;
use crate::domain::rollout::table::{self as rollout, Rollout};
use crate::release::intact::Reader;
use crate::release::rollback::{Request, RolledBack as Done, expected, moving, roll_back};
use crate::release::rollout::back::plan_back;
use crate::release::rollout::order::order;
use crate::release::rollout::start::place;
use crate::store::{Mode, Store};
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;
use std::time::Duration;

/// Put back the last good production version, and the traffic with it
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf rollback support-bot --reason \"answers in the wrong language\" --ticket INC-42\n  kf rollback support-bot --to 1.1.0\n  kf rollback support-bot --emergency\n\nA rollout of the model that is under way is taken back; of a shadow, which serves nobody, the copies end first. Exits 0 once the target shows it."
)]
pub(crate) struct Args {
    /// The model
    #[arg(add = ArgValueCompleter::new(complete::models))]
    name: Name,
    /// Put back this version instead
    #[arg(long, value_name = "VERSION", add = ArgValueCompleter::new(complete::versions))]
    to: Option<Version>,
    /// Fail unless this version is in production now
    #[arg(long, value_name = "VERSION")]
    expect: Option<Version>,
    /// Where the model has several targets: the NAME of a `[target.NAME]`
    #[arg(long, value_name = "NAME", conflicts_with = "no_traffic")]
    target: Option<String>,
    /// Leave the traffic where it is
    #[arg(long)]
    no_traffic: bool,
    /// Do not wait for whoever drives a rollout of the model, nor for a state that cannot be read or written: then the target says
    /// what serves, and the state hears of it later
    #[arg(long)]
    emergency: bool,
    /// How long a target that does not do it is tried
    #[arg(long, value_name = "DURATION", value_parser = crate::config::duration, default_value = BACK_PATIENCE)]
    max_wait: Duration,
    /// The ticket that asks for it
    #[arg(long, value_name = "ID", value_parser = arg::ticket())]
    ticket: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = arg::reason())]
    reason: Option<String>,
}

impl Args {
    fn asked(&self) -> emergency::Asked<'_> {
        emergency::Asked {
            name: &self.name,
            to: self.to,
            expect: self.expect,
            target: self.target.as_deref(),
            ticket: self.ticket.as_deref(),
            reason: self.reason.as_deref(),
            max_wait: self.max_wait,
        }
    }
}

#[derive(Serialize)]
struct RolledBack {
    version: VersionDoc,
    replaced: Option<VersionDoc>,
    event: Option<i64>,
    changed: bool,
}

impl Report for RolledBack {
    const SCHEMA: &'static str = "kf.rollback/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        let v = self.version.reference();
        match &self.replaced {
            Some(old) => format!("{v} is in production again; {} is archived", old.version),
            None if self.changed => format!("{v} is in production again"),
            None => format!("{v} is in production already"),
        }
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![("version", self.version.version.to_string())]
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    if args.emergency
        && !args.no_traffic
        && let Err(state) = emergency::usable(cx, &args.name)
    {
        return emergency::go_back(cx, &args.asked(), &state);
    }
    let objects = cx.objects()?;
    let bar = progress::bytes(&cx.out, "verifying", 0);
    let told = |total, read| {
        bar.set_length(total);
        bar.inc(read);
    };
    let reader = Reader::new(&objects, cx.jobs(), &told);
    let request = Request {
        files: &|version| reader.require(version),
        name: &args.name,
        to: args.to,
        expect: args.expect,
        ticket: args.ticket.as_deref(),
        reason: args.reason.as_deref(),
    };
    let store = cx.store(Mode::Write)?;
    let under_way = store.read(rollout::open)?.into_iter().find(|r| r.setup.model == args.name);
    // Where a rollout is under way there is traffic, whatever mlops.toml says by now.
    if !args.no_traffic && (under_way.is_some() || loaded.project.target.iter().any(|t| t.model == args.name)) {
        return with_traffic(cx, &store, (args, under_way), &request);
    }
    if let Some(version) = store.read(|view| moving(view, &request))? {
        reader.read(&version);
    }
    let done = store.write(|tx| roll_back(tx, &request));
    bar.finish_and_clear();
    cx.out.emit(&report(&done?))
}

fn report(done: &Done) -> RolledBack {
    RolledBack {
        version: (&done.version).into(),
        replaced: done.replaced.as_ref().map(VersionDoc::from),
        event: done.event,
        changed: done.event.is_some(),
    }
}

/// Has a rollout that is under way go back: one that gives users another version is taken back, one that is a way back itself goes on.
fn turn(store: &Store, of: &Rollout, to: Option<Version>, because: Because<'_>) -> Result<Rollout> {
    let is_back = of.setup.strategy == Strategy::Rollback;
    let comes = if is_back { Some(of.setup.canary.version) } else { of.setup.stable.as_ref().map(|s| s.version) };
    let (reference, name, phase) = (of.setup.reference(), &of.setup.model, of.state.phase);
    if let Some(to) = to.filter(|to| Some(*to) != comes) {
        let what = format!("a rollout of {reference} is under way, which goes back to another version than {to}");
        return Err(Error::new(what).hint(format!("take it back first: `kf canary abort {name}`")));
    }
    if !is_back {
        return order(store, &of.uid, &Event::Abort("rolled back by order".to_owned()), because).map(|(of, _)| of);
    }
    if phase == Phase::RollingBack {
        return Err(Error::new(format!("the way back to {reference} was aborted, and that is under way"))
            .hint(format!("`kf canary run {name}` sees it to its end; then ask again")));
    }
    if of.state.held.is_none() {
        return Ok(of.clone());
    }
    order(store, &of.uid, &Event::Resume, because).map(|(of, _)| of)
}

/// Takes a rollout of the model back that is under way; without one, or when another version is asked for, gives all of the traffic
/// to the version that is to come back, and then the stage.
fn with_traffic(cx: &Cx, store: &Store, (args, under_way): (&Args, Option<Rollout>), request: &Request<'_>) -> Result<Exit> {
    let project = &cx.project()?.project;
    let because = Because { ticket: args.ticket.as_deref(), reason: args.reason.as_deref() };
    let way = WayBack { patience: args.max_wait, fenced: args.emergency };
    if let Some(of) = under_way {
        store.read(|view| expected(view, request))?;
        // Nobody is served by a shadow: whoever wants to go back wants it of what is in production.
        let shadow = of.setup.plan.shadow;
        can_go_back(cx, &of)?;
        let of = turn(store, &of, args.to.filter(|_| !shadow), because)?;
        let stands = if store.is_dry_run() { stands(store, &of.uid, Vec::new())? } else { see_back(cx, store, &of, way)? };
        if !shadow || store.is_dry_run() {
            return cx.out.emit(&stands);
        }
        cx.out.note(&stands.summary());
    }
    let place = place(project, &args.name, args.target.as_deref())?;
    let planned = with_parts(cx, store, (place, Counts::Nobody), |_, parts| plan_back(parts, place, request, because))?;
    match planned {
        Some(of) if !store.is_dry_run() => cx.out.emit(&see_back(cx, store, &of, way)?),
        Some(of) => {
            let now = store.now();
            cx.out.emit(&store.read(|view| Stands::read(view, &of, now, Vec::new()))?.done())
        }
        None => {
            let done = store.write(|tx| roll_back(tx, request))?;
            cx.out.emit(&report(&done))
        }
    }
}
