//! `kf index`: what is searched.

mod export;
mod import;
mod r#move;
mod rebuild;
mod verify;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::domain::ingest::table::{QDRANT, Scope};
use crate::release::remote;
use crate::store::{Store, View, outbox, state_id};
use std::path::PathBuf;

/// Verify, rebuild, move, export and import what is searched
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf index verify\n  kf index rebuild --collection manuals\n  kf index move --to pgvector\n  kf index export build/handbook --collection handbook"
)]
pub(crate) enum Command {
    Export(export::Args),
    Import(import::Args),
    Move(r#move::Args),
    Rebuild(rebuild::Args),
    Verify(verify::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Export(args) => export::run(cx, args),
            Self::Import(args) => import::run(cx, args),
            Self::Move(args) => r#move::run(cx, args),
            Self::Rebuild(args) => rebuild::run(cx, args),
            Self::Verify(args) => verify::run(cx, args),
        }
    }
}

/// Where the file of vectors of a collection is kept: its folder and its name there.
fn home_of(cx: &Cx, view: View<'_>, scope: &Scope) -> Result<(PathBuf, String)> {
    Ok((cx.vectors_dir()?, scope.place_name(&state_id(view.db())?)))
}

/// Tells engines outside the state what they have not confirmed yet. The state is right without them: what cannot be told now
/// is a warning, and part of the work that is left.
///
/// # Errors
/// When the state cannot be read.
pub(super) fn tell(cx: &Cx, store: &Store) -> Result<Exit> {
    let waiting = store.read(outbox::waiting_by_engine)?;
    if store.is_dry_run() || !waiting.contains_key(QDRANT) {
        return Ok(Exit::Ok);
    }
    if cx.project()?.project.vectors.qdrant.is_none() && !store.read(remote::is_used)? {
        // Whoever gave the server up need not hear of it as a failure for ever.
        cx.out.note("note: `vectors.url` is not set, so what left Qdrant is not taken out there; set, the next command does it");
        return Ok(Exit::Ok);
    }
    let Err(e) = cx.qdrant().and_then(|qdrant| remote::tell(store, qdrant.as_ref())) else { return Ok(Exit::Ok) };
    let hints = e.hints().iter().map(|hint| format!("\nhint: {hint}"));
    let told = format!("{}{}", e.chain().join(": "), hints.collect::<String>());
    cx.warn(&format!("the engine of vectors has not confirmed all changes: {told}\nhint: {TOLD_AGAIN}"));
    Ok(Exit::Partial)
}

/// What tells an engine again.
const TOLD_AGAIN: &str = "the next `kf ingest` or `kf index rebuild` tells it again; answers do not depend on it";
