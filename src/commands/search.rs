//! `kf search`: what the documents say about something, with where they say it.

use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::text::{count, ellipsis};
use crate::cli::arg::told_in_a_line;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::ingest::Where;
use crate::domain::ingest::table::{Filter, Scope};
use crate::release::search::{Hit, Request, Searcher};
use crate::store::Mode;
use serde::Serialize;

/// Find what the documents say, with where they say it
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf search \"how do I return a parcel\"\n  kf search \"Rückgabe\" --hybrid -k 3 --filter language=de\n  kf search \"error E1042\" --filter source=manuals/ --format json"
)]
pub(crate) struct Args {
    /// What to look for
    query: String,
    #[command(flatten)]
    place: Where,
    /// How many hits
    #[arg(short, long, visible_alias = "limit", default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    k: u16,
    /// Only documents with this: `language=de`, `format=pdf`, `source=manuals/` (the start of the path), or what `--meta` noted; again for more
    #[arg(long = "filter", value_name = "K=V", value_parser = filter_of)]
    filters: Vec<Filter>,
    /// Look for the words as well as for the meaning
    #[arg(long)]
    hybrid: bool,
}

fn filter_of(text: &str) -> Result<Filter, String> {
    text.parse().map_err(|e| told_in_a_line(&e))
}

/// The weight of words in a hybrid search: as much as meaning.
const HYBRID: f64 = 0.5;

#[derive(Serialize)]
struct Found {
    rank: usize,
    source: String,
    title: Option<String>,
    document: String,
    chunk: String,
    pages: Option<[i64; 2]>,
    heading: String,
    start: i64,
    stop: i64,
    language: Option<String>,
    score: f64,
    cosine: Option<f64>,
    text: String,
}

#[derive(Serialize)]
struct Searched {
    query: String,
    tenant: Name,
    collection: Name,
    hits: Vec<Found>,
}

impl Report for Searched {
    const SCHEMA: &'static str = "kf.search/1";

    fn blocks(&self) -> Vec<Block> {
        if self.hits.is_empty() {
            return vec!["Nothing was found.".into()];
        }
        self.hits.iter().map(|h| Block::Text(h.lines())).collect()
    }

    fn summary(&self) -> String {
        format!("{} in {}", count(self.hits.len(), "hit"), self.collection)
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.hits.iter().filter_map(|h| serde_json::to_value(h).ok()).collect())
    }
}

impl Found {
    fn lines(&self) -> String {
        let page = match self.pages {
            None => String::new(),
            Some([first, last]) if first == last => format!(", page {first}"),
            Some([first, last]) => format!(", pages {first}–{last}"),
        };
        let heading = if self.heading.is_empty() { String::new() } else { format!("  {}\n", self.heading) };
        let cosine = self.cosine.map(|c| format!("  {c:.3}")).unwrap_or_default();
        let text = ellipsis(&self.text, 300);
        format!("{}. {}{page}, characters {}–{}{cosine}\n{heading}  {text}", self.rank, self.source, self.start, self.stop)
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let embedder = cx.embedder()?;
    let cache = cx.vectors_dir()?;
    let request = Request {
        query: &args.query,
        k: usize::from(args.k),
        filters: &args.filters,
        words: if args.hybrid { HYBRID } else { 0.0 },
    };
    let store = &cx.store(Mode::Read)?;
    let scope = store.read(|view| Scope::get(view, &tenant, &collection))?;
    let qdrant = cx.qdrant_for(&scope)?;
    let searcher = Searcher {
        store,
        embedder: embedder.as_ref(),
        cache: &cache,
        qdrant: qdrant.as_ref(),
        tenant: &tenant,
        collection: &collection,
    };
    let found = searcher.search(&request)?;
    cx.tell_of_engine(found.note.as_deref());
    if found.hits.is_empty() {
        for hint in store.read(|view| scope.misnamed(view, &args.filters))? {
            cx.out.note(&hint);
        }
    }
    let hits = (1..).zip(found.hits).map(|(rank, hit)| told(rank, hit)).collect();
    cx.out.emit(&Searched { query: args.query.clone(), tenant, collection, hits })
}

fn told(rank: usize, hit: Hit) -> Found {
    let chunk = hit.chunk;
    Found {
        rank,
        source: hit.source,
        title: hit.title,
        document: hit.document,
        chunk: chunk.uid,
        pages: chunk.pages.map(|(first, last)| [first, last]),
        heading: chunk.heading,
        start: chunk.start,
        stop: chunk.stop,
        language: hit.language,
        score: hit.score,
        cosine: hit.cosine,
        text: hit.text,
    }
}
