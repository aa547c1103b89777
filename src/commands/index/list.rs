//! `kf index list`: the collections that can be searched, and what answers.

use super::stats::{IndexStats, of};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::ingest::table::Scope;
use crate::store::Mode;
use serde::Serialize;

/// List the collections of a tenant and what finds their nearest vectors
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf index list\n  kf index list --tenant acme --format json")]
pub(crate) struct Args {
    /// The tenant (default: `ingest.tenant`)
    #[arg(long, value_name = "NAME")]
    tenant: Option<Name>,
}

#[derive(Serialize)]
struct Indexes {
    tenant: Name,
    indexes: Vec<IndexStats>,
}

impl Report for Indexes {
    const SCHEMA: &'static str = "kf.index-list/1";

    fn blocks(&self) -> Vec<Block> {
        if self.indexes.is_empty() {
            return vec![
                format!("The tenant {} has nothing to search yet: `kf ingest PATH` takes documents in.", self.tenant).into(),
            ];
        }
        let mut t =
            Table::new(&["collection", ">documents", ">chunks", "embedder", ">dimensions", "engine", "graph", ">waiting"]);
        for i in &self.indexes {
            t.row([
                i.collection.to_string(),
                i.documents.to_string(),
                i.chunks.to_string(),
                i.embedder.clone(),
                i.dimensions.to_string(),
                i.engine.to_string(),
                i.graph_engine.to_string(),
                i.waiting.to_string(),
            ]);
        }
        vec![t.into()]
    }

    fn summary(&self) -> String {
        format!("{} of the tenant {}", count(self.indexes.len(), "collection"), self.tenant)
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.indexes.iter().filter_map(|i| serde_json::to_value(i).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let tenant = args.tenant.clone().unwrap_or(cx.project()?.project.ingest.tenant.clone());
    let indexes = cx.store(Mode::Read)?.read(|view| {
        let scopes = Scope::all(view, &tenant)?;
        scopes.iter().map(|scope| of(view, scope)).collect::<Result<Vec<_>>>()
    })?;
    cx.out.emit(&Indexes { tenant, indexes })
}
