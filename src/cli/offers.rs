//! What Tab offers for the values of flags and for arguments that are no references: words that kf knows, names from the state,
//! files. All in one place, by command and name, so that a command need not know how it is completed.

use super::complete::{candidates, channels, collections, models, plans, references, targets, tenants};
use crate::base::event::Outcome;
use crate::base::format::Format;
use crate::base::name::{ModelType, Stage};
use crate::config::FailOn;
use crate::domain::audit::query::{self, Filter};
use crate::domain::drift;
use crate::domain::eval::metrics;
use crate::domain::registry::table;
use crate::domain::rollout::{self, setup::Strategy};
use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _};
use std::ffi::OsStr;

/// How many of the newest entries of the audit log are offered.
const ENTRIES: u64 = 20;
/// How many of the newest rollouts are offered.
const ROLLOUTS: u32 = 20;

/// The command with what is offered for its flags and arguments.
pub(super) fn with_offers(root: Command) -> Command {
    below(root, "")
}

fn below(command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let command = command.mut_args(|arg| with_offer(arg, path));
    names.into_iter().fold(command, |command, name| {
        let path = format!("{path} {name}").trim_start().to_owned();
        command.mut_subcommand(name, |c| below(c, &path))
    })
}

/// An argument with what is offered for it, unless its command says so itself.
fn with_offer(arg: Arg, path: &str) -> Arg {
    if arg.get::<ArgValueCompleter>().is_some() {
        return arg;
    }
    let offer = match (path, arg.get_long().unwrap_or(arg.get_id().as_str())) {
        (_, "stage") => ArgValueCompleter::new(|c: &OsStr| words(c, Stage::ALL.iter().map(|s| s.word()))),
        (_, "format") if path.is_empty() => ArgValueCompleter::new(|c: &OsStr| words(c, Format::ALL.iter().map(|f| f.word()))),
        (_, "type") => ArgValueCompleter::new(|c: &OsStr| words(c, ModelType::ALL.iter().map(|t| t.word()))),
        (_, "metric") => ArgValueCompleter::new(|c: &OsStr| words(c, metrics::all().iter().map(|m| m.name))),
        ("eval", "dataset") => ArgValueCompleter::new(datasets),
        ("eval", "report") => ArgValueCompleter::new(|c: &OsStr| words(c, ["junit=", "html=", "markdown=", "json="].into_iter())),
        ("drift check" | "drift report", "report") => {
            ArgValueCompleter::new(|c: &OsStr| words(c, ["html=", "markdown=", "json="].into_iter()))
        }
        ("drift check", "fail-on") => ArgValueCompleter::new(|c: &OsStr| words(c, FailOn::ALL.iter().map(|f| f.word()))),
        ("drift check" | "drift history" | "drift explain", "names" | "name") | ("drift report" | "drift replay", "check") => {
            ArgValueCompleter::new(drifts)
        }
        ("canary start" | "deploy" | "rollback", "target") => ArgValueCompleter::new(targets),
        ("canary start" | "deploy", "plan") => ArgValueCompleter::new(plans),
        ("deploy", "strategy") => ArgValueCompleter::new(|c: &OsStr| {
            words(c, Strategy::ALL.iter().filter(|s| **s != Strategy::Rollback).map(|s| s.word()))
        }),
        (path, "rollout") if path.starts_with("canary ") => ArgValueCompleter::new(rollouts),
        ("alert test", "name") => ArgValueCompleter::new(channels),
        ("drift close", "action") => ArgValueCompleter::new(actions),
        ("alias", "alias") => ArgValueCompleter::new(aliases),
        ("audit log", "outcome") => ArgValueCompleter::new(|c: &OsStr| words(c, Outcome::ALL.iter().map(|o| o.word()))),
        ("audit log", "resource") => ArgValueCompleter::new(models),
        (_, "tenant") => ArgValueCompleter::new(tenants),
        (_, "collection") => ArgValueCompleter::new(collections),
        ("audit show", "index") => ArgValueCompleter::new(entries),
        _ => return arg,
    };
    arg.add(offer)
}

fn words<'a>(current: &OsStr, words: impl Iterator<Item = &'a str>) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    words.filter(|w| w.starts_with(&*current)).map(CompletionCandidate::new).collect()
}

/// A golden dataset is a file or a registered one.
fn datasets(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = PathCompleter::file().complete(current);
    found.extend(references(current));
    found
}

/// The aliases that any model has: an alias is mostly moved.
fn aliases(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |view| {
        let mut found = Vec::new();
        for model in table::models(view)? {
            found.extend(table::aliases(view, model.id)?.into_iter().map(|(alias, ..)| (alias.to_string(), String::new())));
        }
        Ok(found)
    })
}

/// Names of drift that have a baseline.
fn drifts(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |view| {
        Ok(drift::table::baselines(view)?.into_iter().map(|b| (b.name.to_string(), b.reference())).collect())
    })
}

/// Rollouts, by the name of their model and by their id.
fn rollouts(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |view| {
        let all = rollout::table::newest(view, None, ROLLOUTS)?;
        let open = all.iter().filter(|r| r.open).map(|r| (r.setup.model.to_string(), r.setup.reference()));
        Ok(open.chain(all.iter().map(|r| (r.short().to_owned(), r.setup.reference()))).collect())
    })
}

/// Actions that are open.
fn actions(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |view| {
        Ok(drift::table::pending(view)?.into_iter().map(|a| (a.uid, format!("{} of {}", a.kind, a.name))).collect())
    })
}

fn entries(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |view| {
        let newest = query::log(view, &Filter::default(), ENTRIES)?;
        Ok(newest.into_iter().map(|e| (e.index.to_string(), format!("{} {}", e.action, e.resource))).collect())
    })
}
