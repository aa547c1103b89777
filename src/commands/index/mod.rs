//! `kf index`: what is searched.

mod export;
mod import;
mod list;
mod r#move;
mod rebuild;
mod stats;
mod verify;

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::domain::ingest::table::{NEO4J, QDRANT, Scope};
use crate::release::{graph, remote};
use crate::store::{Store, View, outbox, state_id};
use std::path::PathBuf;

/// List, measure, verify, rebuild, move, export and import what is searched
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf index list\n  kf index verify\n  kf index rebuild --collection manuals\n  kf index move --to pgvector\n  kf index export build/handbook --collection handbook"
)]
pub(crate) enum Command {
    Export(export::Args),
    Import(import::Args),
    List(list::Args),
    Move(r#move::Args),
    Rebuild(rebuild::Args),
    Stats(stats::Args),
    Verify(verify::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Export(args) => export::run(cx, args),
            Self::Import(args) => import::run(cx, args),
            Self::List(args) => list::run(cx, args),
            Self::Move(args) => r#move::run(cx, args),
            Self::Rebuild(args) => rebuild::run(cx, args),
            Self::Stats(args) => stats::run(cx, args),
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
    let mut exit = Exit::Ok;
    for (name, engine, else_) in
        [(QDRANT, "vectors", "answers do not depend on it"), (NEO4J, "graphs", "until then `kf graph` answers as it was before")]
    {
        if store.is_dry_run() || !waiting.contains_key(name) {
            continue;
        }
        if name == QDRANT && cx.project()?.project.vectors.qdrant.is_none() && !store.read(remote::is_used)? {
            // Whoever gave the server up need not hear of it as a failure for ever.
            cx.out.note(
                "note: `vectors.url` is not set, so what left Qdrant is not taken out there; set, the next command does it",
            );
            continue;
        }
        let told = match name {
            QDRANT => cx.qdrant().and_then(|qdrant| remote::tell(store, qdrant.as_ref())),
            _ => cx.neo4j().and_then(|neo4j| graph::tell(store, neo4j.as_ref())),
        };
        if let Err(e) = told {
            let hints = e.hints().iter().map(|hint| format!("\nhint: {hint}"));
            let told = format!("{}{}", e.chain().join(": "), hints.collect::<String>());
            let again = "the next `kf ingest` or `kf index rebuild` tells it again";
            cx.warn(&format!("the engine of {engine} has not confirmed all changes: {told}\nhint: {again}; {else_}"));
            exit = Exit::Partial;
        }
    }
    Ok(exit)
}
