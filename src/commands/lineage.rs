//! `kf lineage`: what a version came from, and what came from it.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::reference::Reference;
use crate::base::text::count;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::registry::lineage::{Direction, Graph};
use crate::domain::registry::table;
use crate::release::lineage::graph;
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;

/// Show what a version came from and what came from it
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf lineage support-bot@production\n  kf lineage support-bot --format json\n  kf lineage support-bot --report mermaid=lineage.mmd --report dot=lineage.dot"
)]
pub(crate) struct Args {
    /// The version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    reference: Reference,
    /// Also write the graph to a file: mermaid or dot; again for more
    #[arg(long = "report", value_name = "KIND=PATH", value_parser = report_of)]
    reports: Vec<(Kind, PathBuf)>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Mermaid,
    Dot,
}

fn report_of(text: &str) -> Result<(Kind, PathBuf), String> {
    match text.split_once('=') {
        Some(("mermaid", path)) => Ok((Kind::Mermaid, path.into())),
        Some(("dot", path)) => Ok((Kind::Dot, path.into())),
        _ => Err("expected mermaid=PATH or dot=PATH".to_owned()),
    }
}

#[derive(Serialize)]
struct Lineage {
    version: String,
    graph: Value,
    #[serde(skip)]
    trees: (String, String),
    #[serde(skip)]
    nodes: usize,
}

impl Report for Lineage {
    const SCHEMA: &'static str = "kf.lineage/1";

    fn blocks(&self) -> Vec<Block> {
        let (up, down) = &self.trees;
        vec!["Came from:".into(), Block::Verbatim(up.clone()), "What came from it:".into(), Block::Verbatim(down.clone())]
    }

    fn summary(&self) -> String {
        format!("{}: {}", self.version, count(self.nodes, "node"))
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (graph, id): (Graph, String) = cx.store(Mode::Read)?.read(|view| graph(view, &table::resolve(view, &args.reference)?))?;
    for (kind, path) in &args.reports {
        let text = match kind {
            Kind::Mermaid => graph.mermaid(),
            Kind::Dot => graph.dot(),
        };
        cx.write_output(path, &text)?;
    }
    let trees = (graph.tree(&id, Direction::Up), graph.tree(&id, Direction::Down));
    cx.out.emit(&Lineage { version: id, nodes: graph.nodes().len(), graph: graph.json(), trees })
}
