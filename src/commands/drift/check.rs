//! `kf drift check`: new data against the baseline, and what follows.

use super::compat;
use super::data::DataArgs;
use super::doc::{CheckDoc, Entry, action_line, report_of, write};
use super::{config_of, place};
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::alert::deliver;
use crate::commands::gc::waiting;
use crate::config::{Drift, FailOn};
use crate::data::Input;
use crate::domain::drift::action::Step;
use crate::domain::drift::table::{newest_baseline, short};
use crate::release::drift::act;
use crate::release::drift::check::check;
use crate::release::drift::compat::Tool;
use crate::release::drift::{Data, Place};
use crate::release::evaluate::ReportFile;
use crate::store::Mode;
use serde::Serialize;
use std::path::PathBuf;

/// Check new data for drift, and do what mlops.toml says about it
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf drift check support-bot --data today.csv\n  kf drift check                     every [drift.NAME] of mlops.toml, for cron\n  kf drift check queries --fail-on critical --report markdown=drift.md\n\nExits 3 when a check is at or above its band, 4 when one is inconclusive, 1 when data cannot be read."
)]
pub(crate) struct Args {
    /// What is checked (default: every `[drift.NAME]` of mlops.toml)
    names: Vec<Name>,
    #[command(flatten)]
    data: DataArgs,
    /// The data that the baseline was taken of, for exact order statistics in place of those of its profile; again for more files
    #[arg(long, value_name = "FILE")]
    reference: Vec<PathBuf>,
    /// Print the values of another tool (evidently) for these data and `--reference`, and record nothing
    #[arg(long, value_name = "TOOL", conflicts_with_all = ["fail_on", "reports"])]
    compat: Option<Tool>,
    /// The band from which on a check fails: monitor, warning, critical; inconclusive fails for want of data too
    #[arg(long, value_name = "BAND")]
    fail_on: Option<FailOn>,
    /// Also write the report to a file: html (of one check), markdown or json; again for more
    #[arg(long = "report", value_name = "KIND=PATH", value_parser = report_of)]
    reports: Vec<ReportFile>,
}

/// Something of which nothing could be said.
#[derive(Serialize)]
struct Unread {
    name: Name,
    error: String,
    hints: Vec<String>,
}

#[derive(Serialize)]
struct CheckedAll {
    checks: Vec<CheckDoc>,
    failed: Vec<Unread>,
    #[serde(skip)]
    exit: Exit,
}

impl Report for CheckedAll {
    const SCHEMA: &'static str = "kf.drift-check/1";

    fn blocks(&self) -> Vec<Block> {
        if let ([one], []) = (&self.checks[..], &self.failed[..]) {
            return one.blocks();
        }
        let mut t = Table::new(&["name", "version", ">rows", "verdict", "why"]);
        for c in &self.checks {
            t.row([c.name.to_string(), c.version.clone(), c.rows.to_string(), c.verdict.to_string(), c.reason.clone()]);
        }
        for u in &self.failed {
            let hints: String = u.hints.iter().map(|hint| format!("; {hint}")).collect();
            t.row([u.name.to_string(), String::new(), String::new(), "failed".to_owned(), format!("{}{hints}", u.error)]);
        }
        let actions: Vec<String> =
            self.checks.iter().flat_map(|c| c.actions.iter().map(action_line).chain(c.held.clone())).collect();
        let tail: Vec<String> = actions.into_iter().chain([self.summary()]).collect();
        vec![t.into(), tail.join("\n").into()]
    }

    fn summary(&self) -> String {
        match (&self.checks[..], self.failed.len()) {
            ([one], 0) => one.line(),
            (checks, failed) => {
                let moved: Vec<String> =
                    checks.iter().filter(|c| c.verdict.moved()).map(|c| format!("{} {}", c.name, c.verdict)).collect();
                let said = if moved.is_empty() { "none drifted".to_owned() } else { moved.join(", ") };
                let lost = if failed > 0 { format!("; {} could not be made", count(failed, "check")) } else { String::new() };
                format!("{}: {said}{lost}", count(checks.len() + failed, "check"))
            }
        }
    }

    fn exit(&self) -> Exit {
        self.exit
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        let failed = self.failed.iter().map(serde_json::to_value);
        Some(self.checks.iter().map(serde_json::to_value).chain(failed).filter_map(Result::ok).collect())
    }

    fn annotations(&self) -> Vec<(Option<String>, String, String)> {
        let moved = self.checks.iter().filter(|c| c.verdict.moved());
        let moved = moved.map(|c| (None, format!("drift of {}: {}", c.name, c.verdict), c.reason.clone()));
        let failed = self.failed.iter().map(|u| (None, format!("drift of {}: not checked", u.name), u.error.clone()));
        moved.chain(failed).collect()
    }
}

/// A name with its settings and its data, or why there are none.
type Wanted = (Drift, Result<Vec<Input>>);

/// What is checked. Of several names one without data stops no other.
fn wanted(cx: &Cx, args: &Args) -> Result<Vec<Wanted>> {
    let project = &cx.project()?.project;
    let names: Vec<Name> = match args.names.is_empty() {
        true => project.drift.iter().map(|d| d.name.clone()).collect(),
        false => args.names.clone(),
    };
    if names.is_empty() {
        return Err(Error::usage("nothing to check: mlops.toml has no `[drift.NAME]`")
            .hint("name what is checked: `kf drift check NAME --data FILE`"));
    }
    if names.len() > 1 && args.data.is_named() {
        return Err(Error::usage("`--data` and `--sql` are for one name, and several are checked")
            .hint("name one: `kf drift check NAME --data FILE`, or set `data` of each in mlops.toml"));
    }
    let alone = names.len() == 1;
    let one = |name: Name| {
        let config = config_of(cx, &name)?;
        let inputs = inputs(cx, args, &config);
        Ok((config, if alone { Ok(inputs?) } else { inputs }))
    };
    names.into_iter().map(one).collect()
}

/// The data of one name.
fn inputs(cx: &Cx, args: &Args, config: &Drift) -> Result<Vec<Input>> {
    let inputs = if args.data.is_named() { args.data.inputs(cx, config)? } else { args.data.configured(cx, config)? };
    if inputs.is_empty() {
        return Err(Error::usage(format!("no data is named for `{}`", config.name))
            .hint(format!("give `--data FILE`, or set `data` in `[drift.{}]`", config.name)));
    }
    Ok(inputs)
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    if let Some(tool) = args.compat {
        return compat::run(cx, tool, &args.names, &args.data, &args.reference);
    }
    let paths = cx.report_paths(&args.reports)?;
    let wanted = wanted(cx, args)?;
    if wanted.len() > 1 && args.reports.iter().any(|file| file.kind == "html") {
        return Err(
            Error::usage("a page shows one check, and several are made").hint("name one, or write `--report markdown=PATH`")
        );
    }
    let alone = wanted.len() == 1;
    if !alone && !args.reference.is_empty() {
        return Err(
            Error::usage("`--reference` is for one name, and several are checked").hint("name one: `kf drift check NAME`")
        );
    }
    let (store, objects) = (cx.store(Mode::Write)?, cx.objects()?);
    let place = place(cx, &store, &objects, &args.data)?;
    let reference = args.data.files(cx, &args.reference)?;
    let mut all = CheckedAll { checks: Vec::new(), failed: Vec::new(), exit: Exit::Ok };
    for (config, new) in wanted {
        match new.and_then(|new| one(cx, &place, &config, Data { new: &new, reference: &reference })) {
            Ok((doc, acted)) => {
                all.exit = all.exit.and(doc.exit(args.fail_on.unwrap_or(config.fail_on))).and(acted);
                all.checks.push(doc);
            }
            Err(e) if alone => return Err(e),
            Err(e) => {
                all.exit = all.exit.and(Exit::Failed);
                all.failed.push(Unread { name: config.name, error: e.to_string(), hints: e.hints().to_vec() });
            }
        }
    }
    deliver(cx, &store);
    write(cx, (&args.reports, &paths), &all.checks.iter().collect::<Vec<_>>(), &all)?;
    cx.out.emit(&all)
}

/// What mlops.toml says nothing of is about the model that its baseline was taken of.
fn of_its_baseline(place: &Place<'_>, config: &Drift) -> Result<Drift> {
    let baseline = place.store.read(|view| newest_baseline(view, &config.name))?;
    Ok(baseline.map_or_else(|| config.clone(), |row| Drift { model: row.model, ..config.clone() }))
}

/// One check with what follows, and how that ended.
fn one(cx: &Cx, place: &Place<'_>, config: &Drift, data: Data<'_>) -> Result<(CheckDoc, Exit)> {
    let loaded = cx.project()?;
    let config = &match loaded.project.drift(config.name.as_str()) {
        Some(_) => config.clone(),
        None => of_its_baseline(place, config)?,
    };
    let done = check(place, config, data, &mut waiting(cx))?;
    let performed = act::act(place, config, &loaded.root, &done.actions)?;
    let entry = Entry { uid: done.uid, report: done.report, event: done.event, at: done.at };
    let mut doc = CheckDoc::new(place.store, entry, &done.baseline, done.found)?;
    doc.notes = done.notes;
    doc.held = done.steps.iter().filter_map(held).collect();
    doc.actions = done.actions;
    let mut exit = Exit::Ok;
    for p in performed {
        if let Some(why) = &p.why {
            cx.warn(&format!("the action {} ({}) failed, and checks try it five times: {why}", p.kind, short(&p.action)));
            exit = Exit::Partial;
        }
        match doc.actions.iter_mut().find(|a| a.uid == p.action) {
            Some(action) => action.state = p.state,
            None => doc.held.push(format!("action: {} ({}), left by an earlier check: {}", p.kind, p.action, p.state)),
        }
    }
    Ok((doc, exit))
}

fn held(step: &Step) -> Option<String> {
    match step {
        Step::Open { .. } => None,
        Step::Raise { uid, kind, band, due } => {
            let due = due.map(|due| format!(", due {due}")).unwrap_or_default();
            Some(format!("action: {kind} ({uid}): raised to {band}{due}"))
        }
        Step::Hold { kind, uid, why } => Some(format!("action: {kind} ({uid}): {why}")),
    }
}
