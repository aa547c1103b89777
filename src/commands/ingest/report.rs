//! `kf ingest report`: which documents were refused, and why.

use super::Where;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::ingest::table::{Listed, Scope, Totals};
use crate::store::Mode;
use serde::Serialize;

/// Show which documents were refused, and why
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf ingest report\n  kf ingest report --tenant acme --format csv > refused.csv")]
pub(crate) struct Args {
    #[command(flatten)]
    place: Where,
    /// Only documents that were refused for this reason
    #[arg(long, value_name = "REASON", value_parser = super::retry::reason_of)]
    reason: Option<crate::domain::ingest::reason::Refusal>,
}

#[derive(Serialize)]
struct Refusal {
    source: String,
    document: String,
    reason: &'static str,
    detail: String,
    event: i64,
}

#[derive(Serialize)]
struct Refusals {
    tenant: Name,
    collection: Name,
    totals: Totals,
    refused: Vec<Refusal>,
}

impl Report for Refusals {
    const SCHEMA: &'static str = "kf.ingest-report/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        if !self.totals.languages.is_empty() {
            let mut t = Table::new(&["language", ">documents"]).titled("taken");
            for (language, n) in &self.totals.languages {
                t.row([language.clone(), n.to_string()]);
            }
            blocks.push(t.into());
        }
        if !self.refused.is_empty() {
            let mut t = Table::new(&["reason", "document", "what was found", ">event"]).titled("refused");
            for r in &self.refused {
                t.row([r.reason.to_owned(), r.source.clone(), r.detail.clone(), r.event.to_string()]);
            }
            blocks.push(t.into());
        }
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        let taken = usize::try_from(self.totals.documents).unwrap_or(0);
        let refused: i64 = self.totals.refused.values().sum();
        let reasons: Vec<String> = self.totals.refused.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        match refused {
            0 => format!("{}: {}, none refused", self.collection, count(taken, "document")),
            _ => format!("{}: {}, {refused} refused: {}", self.collection, count(taken, "document"), reasons.join(", ")),
        }
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.refused.iter().filter_map(|r| serde_json::to_value(r).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let report = cx.store(Mode::Read)?.read(|view| {
        let scope = Scope::get(view, &tenant, &collection)?;
        let totals = scope.totals(view)?;
        let mut refused = Vec::new();
        scope.documents(view, Listed { refused: Some(true) }, |d| {
            if let Some((reason, detail)) = d.refused
                && args.reason.is_none_or(|wanted| wanted == reason)
            {
                refused.push(Refusal { source: d.source, document: d.uid, reason: reason.word(), detail, event: d.event });
            }
            Ok(())
        })?;
        Ok(Refusals { tenant, collection, totals, refused })
    })?;
    cx.out.emit(&report)
}
