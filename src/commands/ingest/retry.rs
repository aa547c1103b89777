//! `kf ingest retry`: reads documents again.

use super::Where;
use super::rm::unknown;
use super::run::Run;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::text::did_you_mean;
use crate::cli::cx::Cx;
use crate::domain::ingest::reason::Refusal;
use crate::domain::ingest::table::{Document, Listed, Scope};
use crate::release::ingest::run::Which;
use crate::store::{Mode, View};
use std::collections::BTreeMap;

/// Read refused documents again, also when their files are as they were
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf ingest retry                      all that were refused\n  kf ingest retry --reason crashed     only those that a parser died on\n  kf ingest retry docs/returns.md      this one, refused or not"
)]
pub(crate) struct Args {
    /// Documents, by path or id, refused or not (default: all that were refused)
    #[arg(value_name = "DOC")]
    documents: Vec<String>,
    /// Only documents that were refused for this reason
    #[arg(long, value_name = "REASON", value_parser = reason_of, conflicts_with = "documents")]
    reason: Option<Refusal>,
    #[command(flatten)]
    place: Where,
}

/// A reason by its word.
pub(super) fn reason_of(word: &str) -> Result<Refusal, String> {
    Refusal::of(word).ok_or_else(|| {
        let words = || Refusal::ALL.iter().map(|r| r.word());
        did_you_mean(word, words()).unwrap_or_else(|| format!("the reasons are {}", words().collect::<Vec<_>>().join(", ")))
    })
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let store = cx.store(Mode::Write)?;
    let groups = store.read(|view| groups(view, &Scope::get(view, &tenant, &collection)?, args))?;
    let mut run = Run::new(cx, tenant, collection)?;
    for (meta, sources) in &groups {
        run.take(&store, meta, Which::Again(sources))?;
    }
    run.emit(&store)
}

/// The sources to read again, by what was noted of them: each keeps its own.
fn groups(view: View<'_>, scope: &Scope, args: &Args) -> Result<BTreeMap<BTreeMap<String, String>, Vec<String>>> {
    let mut documents: Vec<Document> = Vec::new();
    if args.documents.is_empty() {
        scope.documents(view, Listed { refused: Some(true) }, |document| {
            let reason = document.refused.as_ref().map(|(reason, _)| *reason);
            if args.reason.is_none() || args.reason == reason {
                documents.push(document);
            }
            Ok(())
        })?;
    }
    for named in &args.documents {
        documents.push(scope.document(view, named)?.ok_or_else(|| unknown(named, scope))?);
    }
    let mut groups: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for document in documents {
        groups.entry(scope.meta(view, document.id)?).or_default().push(document.source);
    }
    Ok(groups)
}
