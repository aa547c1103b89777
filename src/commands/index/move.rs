//! `kf index move`: the index of vectors of a collection goes to another engine.

use super::{home_of, tell};
use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::commands::ingest::Where;
use crate::config::VectorEngine;
use crate::domain::ingest::table::Scope;
use crate::release::index::move_to;
use crate::store::Mode;
use crate::store::vectors::{Home, segment};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

/// Move the index of vectors of a collection to another engine
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf index move --to pgvector\n  kf index move --to embedded --collection manuals\n  kf index move --to qdrant\n\nThe vectors themselves stay in the state, and answers stay the same. New collections begin with `vectors.engine` of mlops.toml."
)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Where,
    /// What finds the nearest vectors from now on
    #[arg(long, value_name = "ENGINE", value_parser = engines())]
    to: VectorEngine,
}

/// The engines by their words, so that help and completions list them.
fn engines() -> impl TypedValueParser<Value = VectorEngine> {
    PossibleValuesParser::new(VectorEngine::ALL.iter().map(|e| e.word()))
        .map(|word| word.parse().expect("a word of those that are possible"))
}

#[derive(Serialize)]
struct IndexMoved {
    tenant: Name,
    collection: Name,
    from: VectorEngine,
    to: VectorEngine,
    moved: bool,
}

impl Report for IndexMoved {
    const SCHEMA: &'static str = "kf.index-move/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        match self.moved {
            true => format!("the vectors of {} are found by {} now, no longer by {}", self.collection, self.to, self.from),
            false => format!("the vectors of {} are found by {} already", self.collection, self.to),
        }
    }
}

/// Nothing moves to a server that does not answer.
fn reachable(cx: &Cx) -> Result<()> {
    let Some(qdrant) = cx.qdrant()? else {
        return Err(Error::usage("no Qdrant server is named")
            .hint("write its address into mlops.toml: `url = \"http://localhost:6333\"` in `[vectors]`"));
    };
    qdrant.version().map(|_| ()).context(|| format!("{} cannot be used", qdrant.describe()))
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    if args.to == VectorEngine::Qdrant {
        reachable(cx)?;
    }
    let store = cx.store(Mode::Write)?;
    let (from, home) = store.write(|tx| {
        let scope = Scope::get(tx.view(), &tenant, &collection)?;
        Ok((move_to(tx, &scope, args.to)?, home_of(cx, tx.view(), &scope)?))
    })?;
    let moved = from != args.to;
    if moved && !store.is_dry_run() {
        segment::forget(Home { folder: &home.0, name: &home.1 })?;
    }
    let told = tell(cx, &store)?;
    let report = cx.out.emit(&IndexMoved { tenant, collection, from, to: args.to, moved })?;
    Ok(report.and(told))
}
