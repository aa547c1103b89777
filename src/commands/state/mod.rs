//! `kf state`: the state as a whole.

mod r#move;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;

/// Move the state to another engine
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf state move --to postgres://kf@db.example.com/kf --password env:PGPASSWORD --dry-run\n  kf state move --to sqlite"
)]
pub(crate) enum Command {
    Move(r#move::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Move(args) => r#move::run(cx, args),
        }
    }
}
