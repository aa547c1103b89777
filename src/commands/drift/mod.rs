//! `kf drift`: how new data differ from what a model was accepted on, and what is done about it.

mod baseline;
mod check;
mod close;
mod compat;
mod data;
mod doc;
mod due;
mod explain;
mod history;
mod list;
mod replay;
mod report;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::cli::cx::Cx;
use crate::config::Drift;
use crate::release::drift::Place;
use crate::store::Store;
use crate::store::objects::Objects;
use data::DataArgs;

/// Compare new data with what a model was accepted on, and act on what moved
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf drift baseline support-bot@1.2.0 --data accepted.csv\n  kf drift check support-bot --data today.csv\n  kf drift explain support-bot\n  kf drift due"
)]
pub(crate) enum Command {
    Baseline(baseline::Args),
    Check(check::Args),
    Close(close::Args),
    Due(due::Args),
    Explain(explain::Args),
    History(history::Args),
    List(list::Args),
    Replay(replay::Args),
    Report(report::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Baseline(args) => baseline::run(cx, args),
            Self::Check(args) => check::run(cx, args),
            Self::Close(args) => close::run(cx, args),
            Self::Due(args) => due::run(cx, args),
            Self::Explain(args) => explain::run(cx, args),
            Self::History(args) => history::run(cx, args),
            Self::List(args) => list::run(cx, args),
            Self::Replay(args) => replay::run(cx, args),
            Self::Report(args) => report::run(cx, args),
        }
    }
}

/// What `mlops.toml` says under a name, or what holds when it says nothing.
fn config_of(cx: &Cx, name: &Name) -> Result<Drift> {
    Ok(cx.project()?.project.drift(name.as_str()).cloned().unwrap_or_else(|| Drift::named(name)))
}

fn place<'a>(cx: &'a Cx, store: &'a Store, objects: &'a Objects, data: &DataArgs) -> Result<Place<'a>> {
    Ok(Place { store, objects, jobs: cx.jobs(), embedder: Box::new(|| cx.embedder()), tenant: data.tenant(cx)? })
}

/// A number of rows, bytes or columns for [`crate::base::text::count`].
fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
