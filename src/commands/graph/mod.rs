//! `kf graph`: what documents speak of, and how it hangs together.

mod neighbors;
mod path;
mod show;

use crate::adapters::neo4j::Neo4j;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::text::mermaid;
use crate::cli::cx::Cx;
use crate::domain::ingest::entities::KINDS;
use crate::domain::ingest::roam::Roamed;
use crate::domain::ingest::table::{Embedded, Scope};
use crate::release::graph;
use crate::seams::graph::{Edge, Graph, Thing};
use crate::store::View;
use crate::store::objects::atomic;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Ask what documents speak of and how it hangs together
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf ingest docs/ --skeleton\n  kf graph show\n  kf graph show \"ISO 27001\"\n  kf graph neighbors docs/returns.md --kind law\n  kf graph path \"Kestrel Systems\" \"Plover Analytics\""
)]
pub(crate) enum Command {
    Neighbors(neighbors::Args),
    Path(path::Args),
    Show(show::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Neighbors(args) => neighbors::run(cx, args),
            Self::Path(args) => path::run(cx, args),
            Self::Show(args) => show::run(cx, args),
        }
    }
}

/// The graph of a collection, in the engine that `mlops.toml` names.
fn graph_of<'a>(neo4j: Option<&'a Neo4j>, view: View<'a>, scope: &'a Scope) -> Result<Box<dyn Graph + 'a>> {
    match neo4j {
        Some(neo4j) => Ok(Box::new(graph::open(neo4j, view, scope)?)),
        None => Ok(Box::new(Embedded { scope, view })),
    }
}

/// A thing that a walk came to, for reports.
#[derive(Serialize)]
struct Step {
    #[serde(flatten)]
    thing: Thing,
    distance: usize,
    /// The key of the thing that the walk came from.
    from: Option<String>,
    #[serde(flatten)]
    edge: Option<Edge>,
}

/// A walk as a report tells it.
fn steps(walk: &[Roamed]) -> Vec<Step> {
    let step = |r: &Roamed| Step {
        thing: r.thing.clone(),
        distance: r.distance,
        from: r.from.as_ref().and_then(|(i, _)| walk.get(*i)).map(|f| f.thing.key.clone()),
        edge: r.from.as_ref().map(|(_, edge)| edge.clone()),
    };
    walk.iter().map(step).collect()
}

/// How an edge reads from the nearer thing to the farther one.
fn arrow(edge: &Edge) -> String {
    match (edge.relation.as_str(), edge.forward) {
        ("together-with", _) => "— together-with —".to_owned(),
        (relation, true) => format!("— {relation} →"),
        (relation, false) => format!("← {relation} —"),
    }
}

/// The walk as a Mermaid flowchart (<https://mermaid.js.org/syntax/flowchart.html>).
fn drawing(walk: &[Roamed]) -> String {
    let mut out = "flowchart LR\n".to_owned();
    for (i, r) in walk.iter().enumerate() {
        let _ = writeln!(out, "    n{i}[\"{}: {}\"]", mermaid(&r.thing.kind), mermaid(&r.thing.name));
    }
    for (i, r) in walk.iter().enumerate() {
        if let Some((from, edge)) = &r.from {
            let line = if edge.relation == "together-with" { "---" } else { "-->" };
            let (a, b) = if edge.forward { (*from, i) } else { (i, *from) };
            let _ = writeln!(out, "    n{a} {line}|\"{}\"| n{b}", mermaid(&edge.relation));
        }
    }
    out
}

/// Also writes the drawing to a file.
#[derive(clap::Args, Debug)]
struct Drawn {
    /// Also draw it into a file, for Mermaid
    #[arg(long = "report", value_name = "KIND=PATH", value_parser = report_of)]
    reports: Vec<PathBuf>,
}

fn report_of(text: &str) -> Result<PathBuf, String> {
    match text.split_once('=') {
        Some(("mermaid", path)) if !path.is_empty() => Ok(path.into()),
        _ => Err("expected mermaid=PATH".to_owned()),
    }
}

impl Drawn {
    fn write(&self, cx: &Cx, walk: &[Roamed]) -> Result<()> {
        for path in &self.reports {
            atomic::write_file(&cx.output_path(path)?, drawing(walk).as_bytes(), 0o644)?;
        }
        Ok(())
    }
}

/// Refuses a kind that no thing of the collection has; a gazetteer may name kinds of its own.
fn check_kind(kind: Option<&str>, graph: &dyn Graph) -> Result<()> {
    let Some(kind) = kind else { return Ok(()) };
    if KINDS.contains(&kind) || !graph.most(Some(kind), 1)?.is_empty() {
        return Ok(());
    }
    let error = Error::usage(format!("nothing here is of the kind `{kind}`"));
    Err(match crate::base::text::did_you_mean(kind, KINDS) {
        Some(hint) => error.hint(hint),
        None => error.hint("`kf graph show` lists what there is"),
    })
}
