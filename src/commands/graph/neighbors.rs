//! `kf graph neighbors`: what hangs together with a thing.

use super::{Drawn, Step, arrow, check_kind, graph_of, steps};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::ingest::Where;
use crate::domain::ingest::roam::{self, Roamed};
use crate::domain::ingest::table::Scope;
use crate::store::Mode;
use serde::Serialize;

/// List what hangs together with a thing or a document, nearest first
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf graph neighbors \"ISO 27001\"\n  kf graph neighbors docs/returns.md --kind law --depth 2\n  kf graph neighbors name:acme --report mermaid=acme.mmd"
)]
pub(crate) struct Args {
    /// A thing by its name, or KIND:NAME, or a document by its path
    entity: String,
    /// How many steps away
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=6))]
    depth: u8,
    /// Only things of this kind: name, term, standard, law, date, document …, or one of the gazetteer
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    drawn: Drawn,
}

#[derive(Serialize)]
struct Neighbors {
    tenant: Name,
    collection: Name,
    entity: Step,
    neighbors: Vec<Step>,
    /// True when there were more than a walk sees.
    truncated: bool,
}

impl Report for Neighbors {
    const SCHEMA: &'static str = "kf.graph-neighbors/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&[">steps", "from", "relation", "kind", "name", ">times"]);
        for s in &self.neighbors {
            let relation = s.edge.as_ref().map(arrow).unwrap_or_default();
            let times = s.edge.as_ref().map_or(0, |e| e.times);
            let (from, thing) = (s.from.clone().unwrap_or_default(), &s.thing);
            t.row([s.distance.to_string(), from, relation, thing.kind.clone(), thing.name.clone(), times.to_string()]);
        }
        if t.is_empty() { vec![self.summary().into()] } else { vec![t.into(), self.summary().into()] }
    }

    fn summary(&self) -> String {
        let more = if self.truncated { ", and more that are not shown" } else { "" };
        format!("{}: {}{more}", self.entity.thing.name, count(self.neighbors.len(), "neighbor"))
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.neighbors.iter().filter_map(|s| serde_json::to_value(s).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let neo4j = cx.neo4j()?;
    let (walk, truncated) = cx.store(Mode::Read)?.read(|view| {
        let scope = Scope::get(view, &tenant, &collection)?;
        let graph = graph_of(neo4j.as_ref(), view, &scope)?;
        check_kind(args.kind.as_deref(), graph.as_ref())?;
        let thing = roam::thing(graph.as_ref(), scope.collection.name.as_str(), &args.entity)?;
        roam::neighbors(graph.as_ref(), &thing, usize::from(args.depth))
    })?;
    let wanted = |r: &Roamed| args.kind.as_ref().is_none_or(|kind| *kind == r.thing.kind);
    args.drawn.write(cx, &with_ways(&walk, &wanted))?;
    let mut all = steps(&walk);
    let entity = all.remove(0);
    let neighbors = all.into_iter().zip(&walk[1..]).filter(|(_, r)| wanted(r)).map(|(s, _)| s).collect();
    cx.out.emit(&Neighbors { tenant, collection, entity, neighbors, truncated })
}

/// What is wanted of a walk, with the ways that lead there.
fn with_ways(walk: &[Roamed], wanted: &dyn Fn(&Roamed) -> bool) -> Vec<Roamed> {
    let mut kept = vec![false; walk.len()];
    for (i, _) in walk.iter().enumerate().filter(|(i, r)| *i == 0 || wanted(r)) {
        let mut at = Some(i);
        while let Some(here) = at.filter(|here| !kept[*here]) {
            kept[here] = true;
            at = walk[here].from.as_ref().map(|(from, _)| *from);
        }
    }
    let place = |i: usize| kept[..i].iter().filter(|k| **k).count();
    let moved = |r: &Roamed| {
        let from = r.from.as_ref().map(|(from, edge)| (place(*from), edge.clone()));
        Roamed { from, ..r.clone() }
    };
    walk.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(r, _)| moved(r)).collect()
}
