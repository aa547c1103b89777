//! `kf health`: whether what this system stands on answers.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::monitor::health::{Found, Health, Standing, Status};
use crate::release::backup::health::{in_a_line, told};
use crate::release::health::{Probe, Surroundings, ask, probes, targets};
use crate::store::Mode;

/// Ask what the system stands on whether it answers
///
/// Asked at the same time, and at most for `health.timeout`, are the api (`[system]` of kind `http`), the database that holds the state,
/// the vector_db, the graph_db, the llm_api (the endpoint of `[embedder]`) and the cache, and whatever `[health.checks.NAME]` names:
/// an address (`http://`, `https://`, `tcp://HOST:PORT`) or a program; and as target_NAME the gateway, nginx or Envoy of each
/// `[target.NAME]`. A cluster is asked only by a `[health.checks.target_NAME]`. What is not configured is told as such and is not
/// unhealthy.
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf health\n  kf health --format json\n  kf health -q || echo degraded\n\nExits 3 when something that is configured does not answer. `kf monitor export probes` prints probes for Kubernetes."
)]
pub(crate) struct Args {}

impl Report for Health {
    const SCHEMA: &'static str = "kf.health/1";

    fn blocks(&self) -> Vec<Block> {
        let mut table = Table::new(&["check", "health", "found"]);
        for found in self.found() {
            table.row([found.name.as_str(), found.standing.word(), &found.told]);
        }
        let failing = self.found().iter().filter(|f| f.standing == Standing::Failing);
        let hints: Vec<String> = failing.filter_map(|f| Some(format!("hint: {}: {}", f.name, f.hint.as_ref()?))).collect();
        let mut blocks = vec![Block::from(table)];
        if !hints.is_empty() {
            blocks.push(hints.join("\n").into());
        }
        blocks
    }

    fn summary(&self) -> String {
        self.status.to_string()
    }

    fn exit(&self) -> Exit {
        if self.status == Status::Degraded { Exit::No } else { Exit::Ok }
    }
}

/// Everything that can be asked here but what splits traffic: a gateway asks this about what it stands on.
pub(super) fn probes_of(cx: &Cx) -> Result<Vec<Probe>> {
    found_by(cx, probes)
}

/// Whether backups are made and proven, as the log tells; nothing where nothing says where they go, or the state cannot be read, which is
/// told by itself.
fn backups(cx: &Cx) -> Option<Found> {
    let project = &cx.project().ok()?.project;
    let store = cx.store(Mode::Read).ok()?;
    let all = store.read(|view| told(view, &project.backup, store.now())).ok().filter(|all| !all.is_empty())?;
    let wrong = in_a_line(&all);
    Some(Found {
        name: "backups".into(),
        standing: if wrong.is_none() { Standing::Healthy } else { Standing::Failing },
        told: wrong.unwrap_or_else(|| "made and proven as they should be".to_owned()),
        hint: Some("`kf backup status`".to_owned()),
    })
}

fn found_by(cx: &Cx, find: fn(&Surroundings<'_>) -> Vec<Probe>) -> Result<Vec<Probe>> {
    let loaded = cx.project()?;
    Ok(find(&Surroundings {
        project: &loaded.project,
        root: &loaded.root,
        state: &|| cx.settings_to_read(),
        secret: &|reference| cx.secret(reference),
    }))
}

pub(crate) fn run(cx: &Cx, _: &Args) -> Result<Exit> {
    let mut all = probes_of(cx)?;
    all.extend(found_by(cx, targets)?);
    let mut found = ask(all, cx.project()?.project.health.timeout);
    found.extend(backups(cx));
    cx.out.emit(&Health::of(found, env!("CARGO_PKG_VERSION")))
}
