//! `kf rollback`: puts back the last good production version: in one transaction, and where there is traffic by a rollout that
//! survives its process.

use super::alert::deliver;
use super::canary::doc::Stands;
use super::canary::drive::{BACK_PATIENCE, Counts, WayBack, can_go_back, see_back, stands, with_parts};
use super::canary::next::Here;
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
use crate::config::Target as Place;
use crate::domain::registry::table::{self as registry, VersionRow};
use crate::domain::rollout::machine::{Event, Phase};
use crate::domain::rollout::record::Because;
use crate::domain::rollout::setup::Strategy;
use crate::domain::rollout::table::{self as rollout, Rollout};
use crate::release::intact::Reader;
use crate::release::rollback::{Request, RolledBack as Done, expected, moving, must_have_served, roll_back};
use crate::release::rollout::again::with_traffic as with_traffic_released;
use crate::release::rollout::back::{Back, meant, plan_back};
use crate::release::rollout::order::order;
use crate::release::rollout::serving::{Serving, serving};
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
    /// Only on this target, where the model has several: the NAME of a `[target.NAME]`
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
    let of_it = |r: &Rollout| r.setup.model == args.name && args.target.as_deref().is_none_or(|t| r.setup.target.as_str() == t);
    let under_way: Vec<Rollout> = store.read(rollout::open)?.into_iter().filter(of_it).collect();
    if under_way.is_empty() {
        let released = |version: &VersionRow| with_traffic_released(&loaded.project, version, args.target.as_deref());
        store.read(|view| must_have_served(view, &request, released))?;
    }
    // Where a rollout is under way there is traffic, whatever mlops.toml says by now.
    let said = || args.target.is_some() || loaded.project.target.iter().any(|t| t.model == args.name);
    if !args.no_traffic && (!under_way.is_empty() || said()) {
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

/// What came of one target.
enum OfTarget {
    /// A rollout that went, or was taken, back.
    Rollout(Box<Stands>),
    /// The target showed the version already.
    Registry(Box<RolledBack>),
}

impl OfTarget {
    fn emit(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Rollout(stands) => cx.out.emit(stands.as_ref()),
            Self::Registry(done) => cx.out.emit(done.as_ref()),
        }
    }

    /// The line of a target that is not the last one; how it ended.
    fn tell(&self, cx: &Cx) -> Exit {
        let (line, exit) = match self {
            Self::Rollout(stands) => (stands.summary(), stands.exit()),
            Self::Registry(done) => (done.summary(), done.exit()),
        };
        cx.out.note(&line);
        exit
    }
}

/// What a way back is done with.
struct Doing<'a> {
    cx: &'a Cx,
    store: &'a Store,
    args: &'a Args,
    because: Because<'a>,
}

/// What a target serves, as far as it tells.
struct Seen<'p> {
    place: &'p Place,
    serving: Option<Serving>,
}

/// Takes the rollouts back that are under way, then every other target that serves what they tried; without a rollout all targets that
/// are to, one after the other.
fn with_traffic(cx: &Cx, store: &Store, (args, under_way): (&Args, Vec<Rollout>), request: &Request<'_>) -> Result<Exit> {
    let because = Because { ticket: args.ticket.as_deref(), reason: args.reason.as_deref() };
    let doing = Doing { cx, store, args, because };
    if !under_way.is_empty() {
        store.read(|view| expected(view, request))?;
    }
    under_way.iter().try_for_each(|of| can_go_back(cx, of))?;
    let (mut done, mut left) = (Vec::new(), None);
    for of in &under_way {
        // Nobody is served by a shadow: whoever wants to go back wants it of what is in production.
        let shadow = of.setup.plan.shadow;
        let stands = doing.turned(of, args.to.filter(|_| !shadow))?;
        if !shadow || store.is_dry_run() {
            done.push(Ok(OfTarget::Rollout(Box::new(stands))));
            left = Some(of);
        } else {
            cx.out.note(&stands.summary());
        }
    }
    let ways = match left {
        None => doing.ways(request)?,
        Some(of) => doing.ways_beside(of)?,
    };
    let first = done.is_empty();
    for (at, (seen, to)) in ways.into_iter().enumerate() {
        let request = Request { to: Some(to), expect: request.expect.filter(|_| first && at == 0), ..*request };
        done.push(doing.back(&seen, &request));
    }
    told(cx, done)
}

/// Tells what came of each target, the last one as the report; the exit code is the strongest.
fn told(cx: &Cx, mut done: Vec<Result<OfTarget>>) -> Result<Exit> {
    let Some(last) = done.pop() else { return Ok(Exit::Ok) };
    let (mut exit, mut failed) = (Exit::Ok, None);
    for of in done {
        match of {
            Ok(of) => exit = exit.and(of.tell(cx)),
            Err(e) => failed = failed.or(Some(e)),
        }
    }
    match (last, failed) {
        (Ok(last), None) => Ok(exit.and(last.emit(cx)?)),
        (Ok(last), Some(e)) => {
            last.tell(cx);
            Err(e)
        }
        (Err(e), None) => Err(e),
        (Err(last), Some(e)) => {
            cx.warn(&last.to_string());
            Err(e)
        }
    }
}

impl<'a> Doing<'a> {
    /// Has a rollout under way go back.
    fn turned(&self, of: &Rollout, to: Option<Version>) -> Result<Stands> {
        let of = turn(self.store, of, to, self.because)?;
        if self.store.is_dry_run() { Ok(stands(self.cx, self.store, &of.uid, Vec::new())?.dry()) } else { self.seen_back(&of) }
    }

    fn seen_back(&self, of: &Rollout) -> Result<Stands> {
        see_back(self.cx, self.store, of, WayBack { patience: self.args.max_wait, fenced: self.args.emergency })
    }

    /// Goes back on a target.
    fn back(&self, Seen { place, serving }: &Seen<'_>, request: &Request<'_>) -> Result<OfTarget> {
        let (store, cx) = (self.store, self.cx);
        let planned = with_parts(cx, store, (place, Counts::Nobody), |_, parts| {
            plan_back(parts, (place, *serving), request, self.because)
        })?;
        Ok(match planned {
            Back::Shown(done) => {
                deliver(cx, store);
                OfTarget::Registry(Box::new(report(&done)))
            }
            Back::Planned(of) if !store.is_dry_run() => OfTarget::Rollout(Box::new(self.seen_back(&of)?)),
            Back::Planned(of) => {
                let here = Here::of(cx, store)?;
                OfTarget::Rollout(Box::new(store.read(|view| Stands::read(view, &of, &here, Vec::new()))?.planned()))
            }
        })
    }

    /// The targets of the model, with what they serve; those that answer first.
    fn seen(&self, apart: Option<&Name>) -> Result<Vec<Seen<'a>>> {
        let (project, name) = (&self.cx.project()?.project, &self.args.name);
        let mut all = Vec::new();
        for place in project.target.iter().filter(|t| t.model == *name && apart != Some(&t.name)) {
            let serving = serving(self.cx.traffic(place)?.as_ref(), name).ok().flatten();
            all.push(Seen { place, serving });
        }
        all.sort_by_key(|seen| seen.serving.is_none());
        Ok(all)
    }

    /// Which other targets serve what a rollout tried that was taken back, and what they go back to.
    fn ways_beside(&self, of: &Rollout) -> Result<Vec<(Seen<'a>, Version)>> {
        let is_back = of.setup.strategy == Strategy::Rollback;
        let (tried, before) = (Some(of.setup.canary.version), of.setup.stable.as_ref().map(|s| s.version));
        let (bad, to) = if is_back { (before, tried) } else { (tried, before) };
        let Some(to) = to.filter(|_| self.args.target.is_none()) else { return Ok(Vec::new()) };
        let mut others = self.seen(Some(&of.setup.target))?;
        others.retain(|seen| seen.serving.is_some_and(|s| Some(s.version) == bad || (self.args.to.is_some() && !s.is_all(to))));
        Ok(others.into_iter().map(|seen| (seen, to)).collect())
    }

    /// Which targets go back, and what to.
    fn ways(&self, request: &Request<'_>) -> Result<Vec<(Seen<'a>, Version)>> {
        let (name, args) = (&self.args.name, self.args);
        let named = args.target.as_deref().map(|named| place(&self.cx.project()?.project, name, Some(named))).transpose()?;
        let (asked, others): (Vec<_>, Vec<_>) =
            self.seen(None)?.into_iter().partition(|seen| named.is_none_or(|named| named.name == seen.place.name));
        let served: Vec<Version> = asked.iter().filter_map(|seen| seen.serving.map(|s| s.version)).collect();
        let (to, now) = self.store.read(|view| {
            let to = meant(view, request, &served)?;
            let model = registry::model(view, name)?;
            Ok((to, registry::in_production(view, model.id)?.map(|v| v.version)))
        })?;
        let shows = |seen: &Seen<'_>| seen.serving.is_some_and(|s| s.is_all(to));
        let elsewhere = |seen: &Seen<'_>| seen.serving.is_some_and(|s| Some(s.version) == now);
        if let [seen] = asked.as_slice()
            && args.to.is_none()
            && now != Some(to)
            && shows(seen)
            && let Some(other) = others.iter().find(|other| elsewhere(other))
        {
            let now = now.map(|v| v.to_string()).unwrap_or_default();
            let what = format!("{} serves {name}@{to}, and {now} is in production on {}", seen.place.name, other.place.name);
            return Err(Error::new(format!("there is nothing to take back: {what}"))
                .hint(format!("`kf rollback {name} --target {}` takes {now} back there", other.place.name)));
        }
        let (shown, rest): (Vec<_>, Vec<_>) = asked.into_iter().partition(shows);
        // Of several targets only those leave what they serve that serve the version which is left.
        let leaves = |seen: &Seen<'_>| {
            let other = seen.serving.is_some_and(|s| Some(s.version) != now && s.beside.is_none());
            !other || now == Some(to) || args.to.is_some() || named.is_some()
        };
        let (going, staying): (Vec<_>, Vec<_>) = rest.into_iter().partition(leaves);
        for (seen, serving) in going.iter().filter_map(|seen| Some((seen, seen.serving?))) {
            if now == Some(to) {
                let (on, serves) = (&seen.place.name, serving.version);
                self.cx.out.note(&format!("{on} serves {name}@{serves}, and {to} is in production: it goes back to {to}"));
            }
        }
        for (seen, serving) in staying.iter().filter_map(|seen| Some((seen, seen.serving?))) {
            let (on, serves) = (&seen.place.name, serving.version);
            self.cx
                .out
                .note(&format!("{on} serves {name}@{serves} and is left as it is; `--target {on} --to {to}` changes that"));
        }
        // Where nobody has to be moved only the registry is told.
        let going = if going.is_empty() { shown.into_iter().take(1).collect() } else { going };
        Ok(going.into_iter().map(|seen| (seen, to)).collect())
    }
}
