//! `kf dr`: what is done when something is lost, written down before, and tried.

mod exercise;
mod history;
mod plan;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::domain::dr::facts::Facts;
use crate::release::dr::facts;
use crate::store::Mode;

/// Write runbooks for disasters, and go through them before there is one
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf dr plan\n  kf dr plan regional-outage\n  kf dr exercise bad-release --yes\n  kf dr exercise regional-outage --run\n  kf dr history"
)]
pub(crate) enum Command {
    Exercise(exercise::Args),
    History(history::Args),
    Plan(plan::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Exercise(args) => exercise::run(cx, args),
            Self::History(args) => history::run(cx, args),
            Self::Plan(args) => plan::run(cx, args),
        }
    }
}

/// What runbooks name of this repository. They must be had where the state is lost, too: then tenants are those of mlops.toml.
fn known(cx: &Cx) -> Result<Facts> {
    let loaded = cx.project()?;
    match cx.store(Mode::Read) {
        Ok(store) => store.read(|view| facts(&loaded.project, &loaded.root, Some(view))),
        Err(_) => facts(&loaded.project, &loaded.root, None),
    }
}
