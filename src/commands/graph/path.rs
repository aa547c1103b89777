//! `kf graph path`: how two things hang together.

use super::{Drawn, Step, arrow, graph_of, steps};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::text::count;
use crate::base::verdict::Verdict;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::ingest::Where;
use crate::domain::ingest::roam;
use crate::domain::ingest::table::Scope;
use crate::store::Mode;
use serde::Serialize;

/// Find the shortest way from one thing to another
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf graph path \"Kestrel Systems\" \"Plover Analytics\"\n  kf graph path docs/returns.md \"law:§ 312g bgb\" --depth 3"
)]
pub(crate) struct Args {
    /// Where the way begins: a thing by its name, or KIND:NAME, or a document by its path
    from: String,
    /// Where it ends
    to: String,
    /// How many steps it may have
    #[arg(long, default_value_t = 6, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=12))]
    depth: u8,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    drawn: Drawn,
}

#[derive(Serialize)]
struct Way {
    tenant: Name,
    collection: Name,
    from: String,
    to: String,
    verdict: Verdict,
    path: Vec<Step>,
}

impl Report for Way {
    const SCHEMA: &'static str = "kf.graph-path/1";

    fn blocks(&self) -> Vec<Block> {
        if self.path.is_empty() {
            return vec![self.summary().into()];
        }
        let line = |s: &Step| match &s.edge {
            None => format!("{}: {}", s.thing.kind, s.thing.name),
            Some(edge) => format!("{} {}: {}", arrow(edge), s.thing.kind, s.thing.name),
        };
        vec![Block::Verbatim(self.path.iter().map(line).collect::<Vec<_>>().join("\n"))]
    }

    fn summary(&self) -> String {
        match self.verdict {
            Verdict::Pass => format!("{} to {}: {}", self.from, self.to, count(self.path.len() - 1, "step")),
            Verdict::Fail => format!("No way leads from {} to {}.", self.from, self.to),
            Verdict::Inconclusive => format!("No way from {} to {} was found among the nearest things.", self.from, self.to),
        }
    }

    fn exit(&self) -> Exit {
        match self.verdict {
            Verdict::Pass => Exit::Ok,
            Verdict::Fail => Exit::No,
            Verdict::Inconclusive => Exit::Inconclusive,
        }
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.path.iter().filter_map(|s| serde_json::to_value(s).ok()).collect())
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let (tenant, collection) = args.place.names(cx)?;
    let neo4j = cx.neo4j()?;
    let (from, to, (way, cut)) = cx.store(Mode::Read)?.read(|view| {
        let scope = Scope::get(view, &tenant, &collection)?;
        let graph = graph_of(neo4j.as_ref(), view, &scope)?;
        let thing = |named: &str| roam::thing(graph.as_ref(), scope.collection.name.as_str(), named);
        let (from, to) = (thing(&args.from)?, thing(&args.to)?);
        let found = roam::path(graph.as_ref(), &from, &to, usize::from(args.depth))?;
        Ok((from.name, to.name, found))
    })?;
    let verdict = match (&way, cut) {
        (Some(_), _) => Verdict::Pass,
        (None, false) => Verdict::Fail,
        (None, true) => Verdict::Inconclusive,
    };
    let walk = way.unwrap_or_default();
    args.drawn.write(cx, &walk)?;
    cx.out.emit(&Way { tenant, collection, from, to, verdict, path: steps(&walk) })
}
