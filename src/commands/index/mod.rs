//! `kf index`: what is searched.

mod r#move;
mod rebuild;
mod verify;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::domain::ingest::table::Scope;
use crate::release::search::segment_name;
use crate::store::{View, state_id};
use std::path::PathBuf;

/// Verify, rebuild and move what is searched
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf index verify\n  kf index rebuild --collection manuals\n  kf index move --to pgvector"
)]
pub(crate) enum Command {
    Move(r#move::Args),
    Rebuild(rebuild::Args),
    Verify(verify::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Move(args) => r#move::run(cx, args),
            Self::Rebuild(args) => rebuild::run(cx, args),
            Self::Verify(args) => verify::run(cx, args),
        }
    }
}

/// Where the file of vectors of a collection is kept: its folder and its name there.
fn home_of(cx: &Cx, view: View<'_>, scope: &Scope) -> Result<(PathBuf, String)> {
    Ok((cx.vectors_dir()?, segment_name(scope, &state_id(view.db())?)))
}
