//! Live completion: names of models, versions, stages and aliases come from the state, read-only, those of targets, plans and
//! channels from mlops.toml; empty on any error or when the state does not answer at once: pressing Tab never fails, never changes
//! anything and never makes anybody wait.

use super::cx::Cx;
use super::{Cli, Global, offers};
use crate::base::error::Result;
use crate::base::name::{Name, Stage};
use crate::config::PlanPreset;
use crate::config::env::Env;
use crate::domain::ingest::table::{Scope, Tenant};
use crate::domain::registry::table::{self, Filter};
use crate::store::{Mode, View};
use clap::CommandFactory as _;
use clap_complete::engine::CompletionCandidate;
use std::ffi::{OsStr, OsString};
use std::sync::mpsc::channel;
use std::time::Duration;

/// The variable through which a shell asks for completions.
pub(crate) const VARIABLE: &str = "KF_COMPLETE";

/// Answers a shell that asks for completions; returns when none does.
pub(crate) fn serve(env: &Env) {
    if env.is_set(VARIABLE) {
        clap_complete::CompleteEnv::with_factory(|| offers::with_offers(Cli::command())).var(VARIABLE).complete();
    }
}

/// Names of models.
pub(crate) fn models(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |view| Ok(table::models(view)?.into_iter().map(|m| (m.name.to_string(), m.kind.to_string())).collect()))
}

/// References: names, and after an `@` versions, aliases and stages.
pub(crate) fn references(current: &OsStr) -> Vec<CompletionCandidate> {
    let text = current.to_string_lossy().into_owned();
    let Some((name, _)) = text.split_once('@') else { return models(current) };
    let name = name.to_owned();
    candidates(current, move |view| {
        let Some(model) = name.parse().ok().map(|n| table::find_model(view, &n)).transpose()?.flatten() else {
            return Ok(Vec::new());
        };
        let mut found: Vec<(String, String)> = table::versions(view, model.id, VERSIONS_MAX)?
            .into_iter()
            .map(|v| (v.reference(), format!("{} {}", v.stage, v.digest.short())))
            .collect();
        found.extend(table::aliases(view, model.id)?.into_iter().map(|(a, v, _)| (format!("{name}@{a}"), v.to_string())));
        found.extend(Stage::ALL.iter().map(|s| (format!("{name}@{s}"), "stage".to_owned())));
        found.push((format!("{name}@latest"), "highest version".to_owned()));
        Ok(found)
    })
}

/// Versions of the model that stands before on the command line are not known here, so versions of all models.
pub(crate) fn versions(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |view| {
        let all = table::all_versions(view, Filter::default(), VERSIONS_MAX)?;
        Ok(all.into_iter().map(|v| (v.version.to_string(), v.name.to_string())).collect())
    })
}

/// Stages that a version can be promoted to.
pub(crate) fn stages(current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let stages = Stage::RELEASE.map(Stage::word);
    stages.into_iter().filter(|s| s.starts_with(&*current)).map(CompletionCandidate::new).collect()
}

/// The channels of mlops.toml.
pub(super) fn channels(current: &OsStr) -> Vec<CompletionCandidate> {
    offered(current, |cx| Ok(cx.project()?.project.alerts.iter().map(|a| (a.name.to_string(), a.kind().to_string())).collect()))
}

/// The targets of mlops.toml.
pub(super) fn targets(current: &OsStr) -> Vec<CompletionCandidate> {
    offered(current, |cx| Ok(cx.project()?.project.target.iter().map(|t| (t.name.to_string(), t.model.to_string())).collect()))
}

/// The plans of mlops.toml, and those of the specifications.
pub(super) fn plans(current: &OsStr) -> Vec<CompletionCandidate> {
    offered(current, |cx| {
        let own = cx.project()?.project.rollout.iter().map(|r| (r.name.to_string(), "of mlops.toml".to_owned()));
        Ok(own.chain(PlanPreset::ALL.iter().map(|p| (p.word().to_owned(), "of the specifications".to_owned()))).collect())
    })
}

/// Names of tenants.
pub(super) fn tenants(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, |view| Ok(Tenant::all(view)?.into_iter().map(|t| (t.name.to_string(), String::new())).collect()))
}

/// Names of the collections of the tenant that is typed, or else configured; never of another.
pub(super) fn collections(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates_for(current, |cx, view| {
        let tenant: Name = match value_typed(std::env::args_os(), "--tenant").map(|typed| typed.parse()) {
            Some(Ok(typed)) => typed,
            Some(Err(_)) => return Ok(Vec::new()),
            None => cx.project()?.project.ingest.tenant.clone(),
        };
        let named = |scope: Scope| (scope.collection.name.to_string(), scope.collection.embedder);
        Ok(Scope::all(view, &tenant)?.into_iter().map(named).collect())
    })
}

/// How many versions a completion lists at most.
const VERSIONS_MAX: u32 = 200;

/// How long a person who pressed Tab is made to wait for a state on a server that is far away, or gone.
const PATIENCE: Duration = Duration::from_millis(400);

/// What `list` reads from the state, as far as it begins with what is typed.
pub(super) fn candidates(
    current: &OsStr,
    list: impl FnOnce(View<'_>) -> Result<Vec<(String, String)>> + Send + 'static,
) -> Vec<CompletionCandidate> {
    candidates_for(current, |_, view| list(view))
}

/// The same with the context, for what also depends on mlops.toml.
fn candidates_for(
    current: &OsStr,
    list: impl FnOnce(&Cx, View<'_>) -> Result<Vec<(String, String)>> + Send + 'static,
) -> Vec<CompletionCandidate> {
    offered(current, |cx| {
        let store = cx.store(Mode::Read)?;
        store.read(|view| list(cx, view))
    })
}

/// What `list` gives, as far as it begins with what is typed; nothing when it fails or takes too long.
fn offered(
    current: &OsStr,
    list: impl FnOnce(&Cx) -> Result<Vec<(String, String)>> + Send + 'static,
) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let (sender, answer) = channel();
    // A thread that is still waiting for the state ends with the process.
    std::thread::spawn(move || {
        let read = || -> Option<Vec<(String, String)>> {
            let cx = Cx::new(typed(std::env::args_os()), Env::from_process()).ok()?;
            list(&cx).ok()
        };
        let _ = sender.send(read());
    });
    let mut found = answer.recv_timeout(PATIENCE).ok().flatten().unwrap_or_default();
    found.sort();
    found.dedup();
    found
        .into_iter()
        .filter(|(value, _)| value.starts_with(&*current))
        .map(|(value, help)| CompletionCandidate::new(value).help((!help.is_empty()).then(|| help.into())))
        .collect()
}

/// The global flags of the command line that is being completed, as far as they say where its state is.
fn typed(args: impl Iterator<Item = OsString>) -> Global {
    let mut global = Global::for_completion();
    let mut words = words_typed(args);
    while let Some(word) = words.next() {
        if let Some(dir) = word.strip_prefix("-C") {
            global.dir = if dir.is_empty() { words.next() } else { Some(dir.to_owned()) }.map(Into::into);
        } else if let Some(profile) = word.strip_prefix("--profile") {
            global.profile = profile.strip_prefix('=').map(str::to_owned).or_else(|| words.next());
        }
    }
    global
}

/// The words of the command line that is being completed.
fn words_typed(args: impl Iterator<Item = OsString>) -> impl Iterator<Item = String> {
    args.skip_while(|a| a != "--").skip(1).map(|a| a.to_string_lossy().into_owned())
}

/// What is typed as the value of a flag.
fn value_typed(args: impl Iterator<Item = OsString>, flag: &str) -> Option<String> {
    let mut words = words_typed(args);
    while let Some(word) = words.next() {
        match word.strip_prefix(flag) {
            Some("") => return words.next(),
            Some(rest) if rest.starts_with('=') => return Some(rest[1..].to_owned()),
            _ => {}
        }
    }
    None
}
