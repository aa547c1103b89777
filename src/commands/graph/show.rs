//! `kf graph show`: what documents speak of most, or one thing with where they do.

use super::{check_kind, graph_of};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::{count, ellipsis};
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::ingest::Where;
use crate::domain::ingest::roam;
use crate::domain::ingest::table::Scope;
use crate::seams::graph::{Graph, Place, Thing};
use crate::store::{Mode, View};
use serde::Serialize;
use std::collections::HashMap;

/// Show what documents speak of, or one thing with the places where they do
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf graph show\n  kf graph show --kind standard\n  kf graph show \"ISO 27001\"\n  kf graph show term:sla --format json"
)]
pub(crate) struct Args {
    /// A thing by its name, or KIND:NAME, or a document by its path; without one, what most documents speak of
    entity: Option<String>,
    /// Only things of this kind: name, term, standard, law, date …, or one of the gazetteer
    #[arg(long, value_name = "KIND", conflicts_with = "entity")]
    kind: Option<String>,
    /// How many things or places
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    place: Where,
}

#[derive(Serialize)]
struct Things {
    tenant: Name,
    collection: Name,
    entities: Vec<Thing>,
}

impl Report for Things {
    const SCHEMA: &'static str = "kf.graph-entities/1";

    fn blocks(&self) -> Vec<Block> {
        if self.entities.is_empty() {
            return vec!["Nothing is known of what documents speak of; `kf ingest PATH --skeleton` finds it.".into()];
        }
        let mut t = Table::new(&["kind", "name", ">documents", ">mentions"]);
        for e in &self.entities {
            t.row([e.kind.clone(), e.name.clone(), e.documents.to_string(), e.mentions.to_string()]);
        }
        vec![t.into()]
    }

    fn summary(&self) -> String {
        format!("{}: {}", self.collection, count(self.entities.len(), "thing"))
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.entities.iter().filter_map(|e| serde_json::to_value(e).ok()).collect())
    }
}

/// A place with the words that stand there.
#[derive(Serialize)]
struct Said {
    source: String,
    start: i64,
    stop: i64,
    method: String,
    confidence: i64,
    text: String,
}

/// What documents say of this thing and another one.
#[derive(Serialize)]
struct Related {
    relation: String,
    forward: bool,
    kind: String,
    name: String,
    evidence: Vec<Said>,
}

#[derive(Serialize)]
struct Shown {
    tenant: Name,
    collection: Name,
    entity: Thing,
    relations: Vec<Related>,
    places: Vec<Said>,
}

impl Report for Shown {
    const SCHEMA: &'static str = "kf.graph-show/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = vec![self.summary().into()];
        let mut lines = Vec::new();
        for r in &self.relations {
            let (arrow, back) = if r.forward { ("", "") } else { ("← ", " of") };
            lines.push(format!("{arrow}{}{back} {}: {}", r.relation, r.kind, r.name));
            lines.extend(r.evidence.iter().filter(|e| !e.text.is_empty()).map(line));
        }
        if !lines.is_empty() {
            blocks.push(lines.join("\n").into());
        }
        if !self.places.is_empty() {
            blocks.push(self.places.iter().map(line).collect::<Vec<_>>().join("\n").into());
        }
        blocks
    }

    fn summary(&self) -> String {
        let e = &self.entity;
        let n = |n: i64| usize::try_from(n).unwrap_or(0);
        format!("{} {}: {} in {}", e.kind, e.name, count(n(e.mentions), "mention"), count(n(e.documents), "document"))
    }
}

fn line(said: &Said) -> String {
    format!("  {}, characters {}–{}: {}", said.source, said.start, said.stop, ellipsis(&said.text, 160))
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let neo4j = cx.neo4j()?;
    let limit = usize::from(args.limit);
    let store = cx.store(Mode::Read)?;
    let Some(named) = &args.entity else {
        let entities = store.read(|view| {
            let scope = Scope::get(view, &tenant, &collection)?;
            let graph = graph_of(neo4j.as_ref(), view, &scope)?;
            check_kind(args.kind.as_deref(), graph.as_ref())?;
            graph.most(args.kind.as_deref(), limit)
        })?;
        return cx.out.emit(&Things { tenant, collection, entities });
    };
    let (entity, relations, places) = store.read(|view| {
        let scope = Scope::get(view, &tenant, &collection)?;
        let graph = graph_of(neo4j.as_ref(), view, &scope)?;
        let thing = roam::thing(graph.as_ref(), scope.collection.name.as_str(), named)?;
        let mut texts = Texts { view, scope: &scope, read: HashMap::new() };
        let places = graph.places(&thing.id, limit)?;
        let places = places.into_iter().map(|p| texts.said(p, AROUND)).collect::<Result<Vec<_>>>()?;
        Ok((thing.clone(), related(graph.as_ref(), &thing, limit, &mut texts)?, places))
    })?;
    cx.out.emit(&Shown { tenant, collection, entity, relations, places })
}

/// Relations of which a person wants to see the evidence, at most.
const EVIDENCE: usize = 3;

fn related(graph: &dyn Graph, thing: &Thing, limit: usize, texts: &mut Texts<'_>) -> Result<Vec<Related>> {
    let (walk, _) = roam::neighbors(graph, thing, 1)?;
    let mut relations = Vec::new();
    for roamed in walk.iter().skip(1) {
        let Some((_, edge)) = &roamed.from else { continue };
        if matches!(edge.relation.as_str(), "mentions" | "cites" | "together-with") || relations.len() >= limit {
            continue;
        }
        let evidence = graph.evidence(&thing.id, &roamed.thing.id, EVIDENCE)?;
        let evidence = evidence.into_iter().map(|p| texts.said(p, 0)).collect::<Result<Vec<_>>>()?;
        let (relation, forward) = (edge.relation.clone(), edge.forward);
        relations.push(Related { relation, forward, kind: roamed.thing.kind.clone(), name: roamed.thing.name.clone(), evidence });
    }
    Ok(relations)
}

/// Characters that are shown on each side of a mention.
const AROUND: usize = 60;

/// Texts of documents, each read once.
struct Texts<'a> {
    view: View<'a>,
    scope: &'a Scope,
    read: HashMap<String, String>,
}

impl Texts<'_> {
    fn said(&mut self, place: Place, around: usize) -> Result<Said> {
        if !self.read.contains_key(&place.document) {
            let document = self.scope.document(self.view, &place.document)?;
            let text = document.map(|d| self.scope.text(self.view, d.id)).transpose()?.flatten().unwrap_or_default();
            self.read.insert(place.document.clone(), text);
        }
        let text = self.read.get(&place.document).map(String::as_str).unwrap_or_default();
        let from = usize::try_from(place.start).unwrap_or(0).saturating_sub(around);
        let to = if place.start == place.stop { from } else { usize::try_from(place.stop).unwrap_or(0) + around };
        let shown: String = text.chars().skip(from).take(to - from.min(to)).collect();
        let Place { source, start, stop, method, confidence, .. } = place;
        Ok(Said { source, start, stop, method, confidence, text: shown.trim().to_owned() })
    }
}
