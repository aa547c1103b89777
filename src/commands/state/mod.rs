//! `kf state`: the state as a whole.

mod r#move;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;

/// Move the state to another engine
#[derive(clap::Subcommand, Debug)]
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
