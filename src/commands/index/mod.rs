//! `kf index`: what is searched.

mod rebuild;
mod verify;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;

/// Verify and rebuild what is searched
#[derive(clap::Subcommand, Debug)]
#[command(after_long_help = "Examples:\n  kf index verify\n  kf index rebuild --collection manuals")]
pub(crate) enum Command {
    Rebuild(rebuild::Args),
    Verify(verify::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Rebuild(args) => rebuild::run(cx, args),
            Self::Verify(args) => verify::run(cx, args),
        }
    }
}
