//! `kf config`: what mlops.toml means here.

mod check;
mod schema;
mod show;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;

/// Check mlops.toml, and show where each value comes from
#[derive(clap::Subcommand, Debug)]
#[command(after_long_help = "Examples:\n  kf config check\n  kf config show --origin\n  kf config schema > mlops.schema.json")]
pub(crate) enum Command {
    Check(check::Args),
    Schema(schema::Args),
    Show(show::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Check(args) => check::run(cx, args),
            Self::Schema(args) => schema::run(cx, args),
            Self::Show(args) => show::run(cx, args),
        }
    }
}
