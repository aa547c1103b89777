//! `kf ingest rm`: takes a document out.

use super::Where;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::commands::index::tell;
use crate::domain::ingest::table::{Scope, forget};
use crate::store::Mode;
use serde::Serialize;

/// Take documents out: their text, chunks, vectors and words
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf ingest rm docs/old.md\n  kf ingest rm docs/old.md --tenant acme --dry-run")]
pub(crate) struct Args {
    /// Documents, by path or id
    #[arg(required = true, value_name = "DOC")]
    documents: Vec<String>,
    #[command(flatten)]
    place: Where,
}

#[derive(Serialize)]
struct Removed {
    removed: Vec<String>,
}

impl Report for Removed {
    const SCHEMA: &'static str = "kf.ingest-rm/1";

    fn blocks(&self) -> Vec<Block> {
        sentences(self.removed.iter().map(|source| format!("{source} is taken out")))
    }

    fn summary(&self) -> String {
        format!("{} taken out", self.removed.join(", "))
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let store = cx.store(Mode::Write)?;
    let removed = store.write(|tx| {
        let scope = Scope::get(tx.view(), &tenant, &collection)?;
        let mut removed = Vec::new();
        for named in &args.documents {
            let document = scope.document(tx.view(), named)?.ok_or_else(|| unknown(named, &scope))?;
            forget(tx, &scope, &document, "asked for")?;
            removed.push(document.source);
        }
        Ok(removed)
    })?;
    let told = tell(cx, &store)?;
    Ok(cx.out.emit(&Removed { removed })?.and(told))
}

/// The error for a document that is not there.
pub(super) fn unknown(named: &str, scope: &Scope) -> Error {
    Error::new(format!("the collection {} has no document `{named}`", scope.collection.name))
        .hint("name it by its path below the repository, or by its id: `kf search` and `kf ingest report` show both")
}
