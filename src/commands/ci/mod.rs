//! `kf ci`: what a pull request is told.

mod comment;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;

/// Tell a pull request what its changes do
#[derive(clap::Subcommand, Debug)]
#[command(after_long_help = "Examples:\n  kf eval --changed --format json > eval.json\n  kf ci comment eval.json -o comment.md")]
pub(crate) enum Command {
    Comment(comment::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Comment(args) => comment::run(cx, args),
        }
    }
}
