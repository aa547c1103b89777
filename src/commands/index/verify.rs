//! `kf index verify`: reads everything and compares it.

use super::home_of;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::count;
use crate::base::verdict::Verdict;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::ingest::{Where, waits};
use crate::config::VectorEngine;
use crate::domain::ingest::table::Scope;
use crate::domain::ingest::verify::{Verified, verify};
use crate::release::graph::differences;
use crate::release::index::verify_vectors;
use crate::store::vectors::Home;
use crate::store::{Mode, outbox};
use serde::Serialize;

/// Read everything of a collection and compare: documents, texts, chunks, vectors and words
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf index verify\n  kf index verify --tenant acme --collection manuals")]
pub(crate) struct Args {
    #[command(flatten)]
    place: Where,
}

#[derive(Serialize)]
struct IndexVerified {
    tenant: Name,
    collection: Name,
    engine: VectorEngine,
    verdict: Verdict,
    #[serde(flatten)]
    verified: Verified,
    /// Changes that engines outside the state have not confirmed yet.
    waiting: u64,
}

impl Report for IndexVerified {
    const SCHEMA: &'static str = "kf.index-verify/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        if !self.verified.findings.is_empty() {
            let mut t = Table::new(&["what", "problem"]);
            for f in &self.verified.findings {
                t.row([f.subject.clone(), f.problem.clone()]);
            }
            blocks.push(t.into());
        }
        if self.waiting > 0 {
            blocks.push(waits(self.waiting).into());
        }
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        let v = &self.verified;
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let read = format!(
            "{}, {}, {} of text",
            count(number(v.documents), "document"),
            count(number(v.chunks), "chunk"),
            Bytes(v.bytes)
        );
        match v.findings.len() {
            0 => format!("{}: everything agrees ({read})", self.collection),
            n => format!(
                "{}: {} ({read}); `kf index rebuild` mends the indexes, `kf ingest` with --rehash the documents",
                self.collection,
                count(n, "finding")
            ),
        }
    }

    fn exit(&self) -> Exit {
        if self.verdict == Verdict::Pass { Exit::Ok } else { Exit::No }
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let (verified, engine, waiting) = cx.store(Mode::Read)?.read(|view| {
        let scope = Scope::get(view, &tenant, &collection)?;
        let mut verified = verify(view, &scope)?;
        let (folder, name) = home_of(cx, view, &scope)?;
        let home = Home { folder: &folder, name: &name };
        let qdrant = cx.qdrant_for(&scope)?;
        let (engine, findings) = verify_vectors(view, &scope, (home, qdrant.as_ref()), verified.chunks)?;
        verified.findings.extend(findings);
        if let Some(neo4j) = cx.neo4j()? {
            verified.findings.extend(differences(view, &scope, &neo4j)?);
        }
        Ok((verified, engine, outbox::waiting(view, scope.id())?))
    })?;
    let verdict = if verified.findings.is_empty() { Verdict::Pass } else { Verdict::Fail };
    cx.out.emit(&IndexVerified { tenant, collection, engine, verdict, verified, waiting })
}
