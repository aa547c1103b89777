//! `kf index stats`: how large what is searched is.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::ingest::Where;
use crate::config::{GraphEngine, VectorEngine};
use crate::domain::ingest::table::{GraphTotals, Lengths, Scope};
use crate::store::{Mode, View, outbox};
use serde::Serialize;

/// Show how large a collection's index is: chunks and their lengths, vectors, graph
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf index stats\n  kf index stats --tenant acme --collection manuals --format json")]
pub(crate) struct Args {
    #[command(flatten)]
    place: Where,
}

/// One collection as it is searched.
#[derive(Serialize)]
pub(super) struct IndexStats {
    pub(super) collection: Name,
    /// Documents taken.
    pub(super) documents: i64,
    pub(super) chunks: i64,
    pub(super) embedder: String,
    pub(super) dimensions: usize,
    pub(super) engine: VectorEngine,
    pub(super) graph_engine: GraphEngine,
    /// Tokens of chunks.
    tokens: Lengths,
    /// Bytes of the vectors, four for each number.
    vector_bytes: u64,
    /// Characters of the documents' texts.
    characters: i64,
    graph: GraphTotals,
    /// Changes that engines outside the state have not confirmed yet.
    pub(super) waiting: u64,
}

/// How large the index of a collection is.
///
/// # Errors
/// Only those of the state.
pub(super) fn of(view: View<'_>, scope: &Scope) -> Result<IndexStats> {
    let (totals, tokens) = (scope.totals(view)?, scope.lengths(view)?);
    let collection = &scope.collection;
    let numbers = u64::try_from(totals.chunks).unwrap_or(0).saturating_mul(collection.dimensions as u64);
    Ok(IndexStats {
        collection: collection.name.clone(),
        documents: totals.documents,
        chunks: totals.chunks,
        embedder: collection.embedder.clone(),
        dimensions: collection.dimensions,
        engine: collection.engine,
        graph_engine: collection.graph,
        tokens,
        vector_bytes: numbers.saturating_mul(4),
        characters: totals.characters,
        graph: scope.graph_totals(view)?,
        waiting: outbox::waiting(view, scope.id())?,
    })
}

impl Report for IndexStats {
    const SCHEMA: &'static str = "kf.index-stats/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["what", ">value"]);
        let mut row = |what: &str, value: String| {
            t.row([what.to_owned(), value]);
        };
        row("documents", self.documents.to_string());
        row("chunks", self.chunks.to_string());
        row("tokens of a chunk, least", self.tokens.least.to_string());
        row("tokens of a chunk, mean", format!("{:.1}", self.tokens.mean));
        row("tokens of a chunk, most", self.tokens.most.to_string());
        row("characters of text", self.characters.to_string());
        row("embedder", self.embedder.clone());
        row("numbers in a vector", self.dimensions.to_string());
        row("vectors", Bytes(self.vector_bytes).to_string());
        row("engine of vectors", self.engine.to_string());
        row("engine of the graph", self.graph_engine.to_string());
        row("things, mentions, relations", format!("{}, {}, {}", self.graph.entities, self.graph.mentions, self.graph.relations));
        row("changes not confirmed", self.waiting.to_string());
        vec![t.into()]
    }

    fn summary(&self) -> String {
        let n = |n: i64, what| count(usize::try_from(n).unwrap_or(0), what);
        format!("{}: {}, {}", self.collection, n(self.documents, "document"), n(self.chunks, "chunk"))
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let stats = cx.store(Mode::Read)?.read(|view| of(view, &Scope::get(view, &tenant, &collection)?))?;
    cx.out.emit(&stats)
}
