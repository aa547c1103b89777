//! `kf tenant list`: all tenants of a state, for whoever works on it as a whole.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::ingest::table::{Scope, Tenant};
use crate::store::{Mode, View};
use serde::Serialize;

/// Show the tenants of this state and how much is kept of each
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf tenant list\n  kf tenant list --format json")]
pub(crate) struct Args {}

#[derive(Serialize)]
struct One {
    tenant: Name,
    collections: usize,
    documents: i64,
    refused: i64,
    chunks: i64,
    bytes: i64,
}

#[derive(Serialize)]
struct Tenants {
    tenants: Vec<One>,
}

impl Report for Tenants {
    const SCHEMA: &'static str = "kf.tenant-list/1";

    fn blocks(&self) -> Vec<Block> {
        if self.tenants.is_empty() {
            return vec!["No tenants yet: `kf ingest PATH --tenant NAME` makes one.".into()];
        }
        let mut t = Table::new(&["tenant", ">collections", ">documents", ">refused", ">chunks", ">size"]);
        for one in &self.tenants {
            t.row([
                one.tenant.to_string(),
                one.collections.to_string(),
                one.documents.to_string(),
                one.refused.to_string(),
                one.chunks.to_string(),
                Bytes(u64::try_from(one.bytes).unwrap_or(0)).to_string(),
            ]);
        }
        vec![t.into()]
    }

    fn summary(&self) -> String {
        count(self.tenants.len(), "tenant")
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.tenants.iter().filter_map(|t| serde_json::to_value(t).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, _: &Args) -> Result<Exit> {
    let tenants = cx
        .store(Mode::Read)?
        .read(|view| Tenant::all(view)?.into_iter().map(|tenant| one(view, tenant)).collect::<Result<Vec<_>>>())?;
    cx.out.emit(&Tenants { tenants })
}

fn one(view: View<'_>, tenant: Tenant) -> Result<One> {
    let mut one = One { tenant: tenant.name, collections: 0, documents: 0, refused: 0, chunks: 0, bytes: 0 };
    for scope in Scope::all(view, &one.tenant)? {
        let totals = scope.totals(view)?;
        one.collections += 1;
        one.documents += totals.documents;
        one.refused += totals.refused.values().sum::<i64>();
        one.chunks += totals.chunks;
        one.bytes += totals.bytes;
    }
    Ok(one)
}
