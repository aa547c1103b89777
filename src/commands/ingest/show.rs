//! `kf ingest show`: one document, its checks and its chunks.

use super::Where;
use super::rm::unknown;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::{count, ellipsis};
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::ingest::table::{Chunk, Document, Scope};
use crate::release::search::slice;
use crate::store::Mode;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Show a document: what was read, how good it is, its chunks
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Examples:\n  kf ingest show docs/returns.md\n  kf ingest show docs/returns.md --text > returns.txt")]
pub(crate) struct Args {
    /// The document, by path or id
    #[arg(value_name = "DOC")]
    document: String,
    /// Print its canonical text, which all offsets point into, and nothing else
    #[arg(long)]
    text: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(Serialize)]
struct ChunkDoc {
    chunk: String,
    start: i64,
    fresh: i64,
    stop: i64,
    tokens: i64,
    pages: Option<[i64; 2]>,
    heading: String,
    text: String,
}

#[derive(Serialize)]
struct Shown {
    document: String,
    source: String,
    state: &'static str,
    reason: Option<&'static str>,
    detail: Option<String>,
    format: Option<String>,
    language: Option<String>,
    title: Option<String>,
    bytes: i64,
    characters: i64,
    pages: Option<i64>,
    quality: Option<f64>,
    checks: Box<RawValue>,
    meta: BTreeMap<String, String>,
    warnings: Vec<String>,
    created: Timestamp,
    event: i64,
    chunks: Vec<ChunkDoc>,
}

impl Report for Shown {
    const SCHEMA: &'static str = "kf.ingest-show/1";

    fn blocks(&self) -> Vec<Block> {
        let mut lines = vec![format!("{}  {}", self.source, self.document)];
        let mut facts = vec![Bytes(u64::try_from(self.bytes).unwrap_or(0)).to_string()];
        facts.splice(0..0, self.format.clone());
        facts.extend(self.language.clone());
        facts.extend(self.pages.map(|n| count(usize::try_from(n).unwrap_or(0), "page")));
        facts.extend(self.quality.map(|q| format!("quality {q:.2}")));
        lines.push(format!("{} ({}), {}, event {}", self.state, facts.join(", "), self.created, self.event));
        lines.extend(self.reason.map(|reason| format!("{reason}: {}", self.detail.as_deref().unwrap_or_default())));
        lines.extend(self.warnings.iter().map(|w| format!("warning: {w}")));
        lines.extend(self.meta.iter().map(|(key, value)| format!("{key} = {value}")));
        let mut blocks = vec![Block::Text(lines.join("\n"))];
        if !self.chunks.is_empty() {
            let mut t = Table::new(&[">from", ">to", ">tokens", "page", "heading", "text"]);
            for c in &self.chunks {
                t.row([
                    c.start.to_string(),
                    c.stop.to_string(),
                    c.tokens.to_string(),
                    c.pages.map(|[first, _]| first.to_string()).unwrap_or_default(),
                    c.heading.clone(),
                    ellipsis(&c.text, 60),
                ]);
            }
            blocks.push(t.into());
        }
        blocks
    }

    fn summary(&self) -> String {
        format!("{}: {}, {}", self.source, self.state, count(self.chunks.len(), "chunk"))
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    if args.text {
        cx.only_formats("the text of a document", &[Format::Table])?;
    }
    let (tenant, collection) = args.place.names(cx)?;
    let (document, meta, text, chunks) = cx.store(Mode::Read)?.read(|view| {
        let scope = Scope::get(view, &tenant, &collection)?;
        let document = scope.document(view, &args.document)?.ok_or_else(|| unknown(&args.document, &scope))?;
        let text = scope.text(view, document.id)?.unwrap_or_default();
        let chunks = if args.text { Vec::new() } else { scope.chunks(view, document.id)? };
        Ok((scope.meta(view, document.id)?, text, chunks, document)).map(|(meta, text, chunks, d)| (d, meta, text, chunks))
    })?;
    if args.text {
        cx.out.print(&text)?;
        return Ok(Exit::Ok);
    }
    cx.out.emit(&shown(document, meta, &text, chunks)?)
}

fn shown(d: Document, meta: BTreeMap<String, String>, text: &str, chunks: Vec<Chunk>) -> Result<Shown> {
    let chunks = chunks.into_iter().map(|c| chunk_doc(c, text)).collect::<Result<Vec<_>>>()?;
    let (reason, detail) = d.refused.map_or((None, None), |(reason, detail)| (Some(reason.word()), Some(detail)));
    Ok(Shown {
        document: d.uid,
        source: d.source,
        state: if reason.is_some() { "refused" } else { "taken" },
        reason,
        detail,
        format: d.format,
        language: d.language,
        title: d.title,
        bytes: d.bytes,
        characters: d.characters,
        pages: d.pages,
        quality: d.quality,
        checks: RawValue::from_string(d.checks).unwrap_or_else(|_| RawValue::NULL.to_owned()),
        meta,
        warnings: d.warnings,
        created: d.created,
        event: d.event,
        chunks,
    })
}

fn chunk_doc(c: Chunk, text: &str) -> Result<ChunkDoc> {
    Ok(ChunkDoc {
        text: slice(text, c.start, c.stop)?,
        chunk: c.uid,
        start: c.start,
        fresh: c.fresh,
        stop: c.stop,
        tokens: c.tokens,
        pages: c.pages.map(|(first, last)| [first, last]),
        heading: c.heading,
    })
}
