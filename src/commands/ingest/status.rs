//! `kf ingest status`: what a tenant's collections hold.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::ingest::table::{Scope, Totals};
use crate::store::{Mode, View, outbox};
use serde::Serialize;

/// Show what the collections of a tenant hold
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf ingest status\n  kf ingest status --tenant acme --format json")]
pub(crate) struct Args {
    /// The tenant (default: `ingest.tenant`)
    #[arg(long, value_name = "NAME")]
    tenant: Option<Name>,
}

#[derive(Serialize)]
struct One {
    collection: Name,
    embedder: String,
    dimensions: usize,
    #[serde(flatten)]
    totals: Totals,
    /// Changes that engines outside the state have not confirmed yet.
    waiting: u64,
}

#[derive(Serialize)]
struct Status {
    tenant: Name,
    collections: Vec<One>,
}

impl Report for Status {
    const SCHEMA: &'static str = "kf.ingest-status/1";

    fn blocks(&self) -> Vec<Block> {
        if self.collections.is_empty() {
            return vec![format!("The tenant {} has no documents yet: `kf ingest PATH` takes some in.", self.tenant).into()];
        }
        let mut t = Table::new(&["collection", ">documents", ">refused", ">chunks", ">size", "languages", "embedder"]);
        for c in &self.collections {
            let languages: Vec<String> = c.totals.languages.iter().map(|(l, n)| format!("{l} {n}")).collect();
            t.row([
                c.collection.to_string(),
                c.totals.documents.to_string(),
                c.totals.refused.values().sum::<i64>().to_string(),
                c.totals.chunks.to_string(),
                Bytes(u64::try_from(c.totals.bytes).unwrap_or(0)).to_string(),
                languages.join(", "),
                c.embedder.clone(),
            ]);
        }
        let waits = |c: &One| (c.waiting > 0).then(|| format!("{}: {}", c.collection, waits(c.waiting)));
        let waiting: Vec<String> = self.collections.iter().filter_map(waits).collect();
        std::iter::once(t.into()).chain((!waiting.is_empty()).then(|| waiting.join("\n").into())).collect()
    }

    fn summary(&self) -> String {
        format!("{} of the tenant {}", count(self.collections.len(), "collection"), self.tenant)
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.collections.iter().filter_map(|c| serde_json::to_value(c).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let tenant = args.tenant.clone().unwrap_or(cx.project()?.project.ingest.tenant.clone());
    let collections = cx.store(Mode::Read)?.read(|view| {
        let scopes = Scope::all(view, &tenant)?;
        scopes.into_iter().map(|scope| one(view, scope)).collect::<Result<Vec<_>>>()
    })?;
    cx.out.emit(&Status { tenant, collections })
}

/// What waits for engines outside the state, and what to type.
pub(crate) fn waits(changes: u64) -> String {
    let changes = count(usize::try_from(changes).unwrap_or(usize::MAX), "change");
    format!("{changes} not confirmed by the engine yet; the next `kf ingest` or `kf index rebuild` tells it again")
}

fn one(view: View<'_>, scope: Scope) -> Result<One> {
    let (totals, waiting) = (scope.totals(view)?, outbox::waiting(view, scope.id())?);
    let collection = scope.collection;
    Ok(One { collection: collection.name, embedder: collection.embedder, dimensions: collection.dimensions, totals, waiting })
}
