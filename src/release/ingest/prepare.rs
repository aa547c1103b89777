//! From a file to all that is kept of it, by any number of threads at once: read, extract, check, cut, embed.
//!
//! Nothing here asks the state or changes it. Whether another document says the same is found out when the document is taken.

use super::open::{self, Stat};
use super::run::How;
use super::seen::Seen;
use super::walk::Met;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::guard::guarded;
use crate::domain::ingest::chunk::{self, Chunk, Settings};
use crate::domain::ingest::document::Document;
use crate::domain::ingest::entities::{Found, extract};
use crate::domain::ingest::extract::Format;
use crate::domain::ingest::quality::duplicate;
use crate::domain::ingest::quality::{self, Copies, Quality};
use crate::domain::ingest::reason::{Refusal, Refused};
use crate::domain::ingest::table::{Known, Marks, NewChunk, Scope};
use crate::seams::embedder::Purpose;
use std::collections::HashMap;

/// What threads share.
pub(super) struct Work<'a> {
    pub(super) how: &'a How<'a>,
    pub(super) scope: &'a Scope,
    pub(super) known: &'a HashMap<String, Known>,
    pub(super) pipeline: Digest,
    /// What files looked like when they were last read; `None` when looks are not to be trusted.
    pub(super) seen: Option<&'a Seen>,
    /// Read anew also what is as it was.
    pub(super) anew: bool,
}

/// A file after its preparation.
pub(super) struct Prepared {
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// What it looked like and its digest, when it was read or need not be.
    pub(super) looks: Option<(Stat, Digest)>,
    /// The tenant's digest of the file; of nothing when it could not be read.
    pub(super) content: Digest,
    /// What is known of its source.
    pub(super) known: Option<Known>,
    /// What was made of it.
    pub(super) made: Made,
}

/// What was made of a file.
pub(super) enum Made {
    /// It is as it was.
    Unchanged,
    /// It cannot be read now, for a reason that may pass, and an earlier version of it was taken, which stays.
    Spared(Refused),
    /// It cannot be used.
    Refused { format: Option<Format>, refused: Refused, warnings: Vec<String> },
    /// It can be taken, unless another document says the same.
    Ready(Box<Ready>),
    /// It could not be embedded: no fault of the document, so the run ends.
    Failed(crate::base::error::Error),
}

/// A document that can be taken.
pub(super) struct Ready {
    pub(super) format: Format,
    pub(super) document: Document,
    pub(super) characters: usize,
    pub(super) quality: Quality,
    pub(super) chunks: Vec<NewChunk>,
    pub(super) marks: Marks,
    pub(super) graph: Option<Found>,
}

impl Prepared {
    /// True when taking it changes the state.
    pub(super) fn changes(&self) -> bool {
        !matches!(self.made, Made::Unchanged | Made::Spared(_))
    }
}

/// Prepares a file.
pub(super) fn prepare(work: &Work<'_>, met: &Met) -> Prepared {
    let known = work.known.get(&met.source).copied();
    let nothing = work.scope.tenant.digest(b"");
    let refused = |refused: Refused, bytes| {
        let made = refusal(known, work.pipeline, nothing, None, refused, Vec::new());
        Prepared { bytes, looks: None, content: nothing, known, made }
    };
    let stat = match &met.found {
        Ok(stat) => *stat,
        Err(r) => return refused(r.clone(), 0),
    };
    let as_before =
        |content: Digest| !work.anew && known.is_some_and(|k| k.content == content && k.pipeline == work.pipeline && !again(&k));
    if let Some(content) = work.seen.and_then(|seen| seen.digest(&met.source, &stat)).filter(|c| as_before(*c)) {
        return Prepared { bytes: stat.size, looks: Some((stat, content)), content, known, made: Made::Unchanged };
    }
    let (bytes, stat) = match open::read(&met.path, work.how.settings.max_file) {
        Ok(read) => read,
        Err(r) => return refused(r, stat.size),
    };
    let content = work.scope.tenant.digest(&bytes);
    let made = if as_before(content) { Made::Unchanged } else { made(work, &met.source, &bytes, content, known) };
    Prepared { bytes: stat.size, looks: Some((stat, content)), content, known, made }
}

/// True of a document that may end otherwise though its file is the same.
fn again(known: &Known) -> bool {
    known.stale || known.refused.is_some_and(|reason| reason.may_pass_later())
}

/// A refusal; nothing changes when the same was refused for the same reason before.
fn refusal(
    known: Option<Known>,
    pipeline: Digest,
    content: Digest,
    format: Option<Format>,
    refused: Refused,
    warnings: Vec<String>,
) -> Made {
    let same = |k: Known| k.content == content && k.pipeline == pipeline && k.refused == Some(refused.reason);
    if known.is_some_and(same) {
        Made::Unchanged
    } else if refused.reason.may_pass_later() && known.is_some_and(|k| k.refused.is_none()) {
        Made::Spared(refused)
    } else {
        Made::Refused { format, refused, warnings }
    }
}

/// Makes what is kept of a file; a panic on the way is the document's fault and nobody else's.
fn made(work: &Work<'_>, source: &str, bytes: &[u8], content: Digest, known: Option<Known>) -> Made {
    guarded(|| make(work, source, bytes, content, known)).unwrap_or_else(|| {
        let crashed = Refused::new(Refusal::Crashed, "checking or cutting it panicked");
        refusal(known, work.pipeline, content, None, crashed, Vec::new())
    })
}

fn make(work: &Work<'_>, source: &str, bytes: &[u8], content: Digest, known: Option<Known>) -> Made {
    let extracted = match work.how.extractor.extract(bytes, source) {
        Ok(extracted) => extracted,
        Err(refused) => return refusal(known, work.pipeline, content, None, refused, Vec::new()),
    };
    let (document, format) = (extracted.document, extracted.format);
    let quality = quality::check(&document, work.how.rules, Copies::NotCompared);
    if let Some(refused) = quality.refused {
        return refusal(known, work.pipeline, content, Some(format), refused, document.warnings);
    }
    match chunks(work, &document, content) {
        Err(e) => Made::Failed(e),
        Ok(chunks) => Made::Ready(Box::new(Ready {
            format,
            characters: document.text.chars().count(),
            marks: Marks {
                words: work.scope.tenant.digest(duplicate::exact(&document.text).as_bytes()),
                signature: duplicate::signature(&document.text),
                near: work.how.rules.near_duplicate,
            },
            graph: work.how.graph.map(|names| extract(&document, source, quality.language, names)),
            quality,
            chunks,
            document,
        })),
    }
}

/// The chunks of a document with their vectors; those of a costly embedder come later.
fn chunks(work: &Work<'_>, document: &Document, content: Digest) -> Result<Vec<NewChunk>> {
    let how = work.how;
    let settings = Settings { limit: how.settings.chunk_tokens, overlap: how.settings.chunk_overlap, ..Settings::default() };
    let cut = chunk::chunk(document, &settings, how.tokens, how.sentences);
    let most = how.embedder.model().max_tokens;
    let contexts: Vec<String> = cut.iter().map(|c| chunk::context(c, document, how.tokens, most)).collect();
    let words: Vec<String> = cut.iter().zip(&contexts).map(|(c, context)| chunk::embed_text(context, c.text(document))).collect();
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    // Costly vectors are made when the document is taken: only there can be asked which are known, and can be kept what is made.
    let vectors = match how.embedder.is_costly() {
        true => vec![Vec::new(); texts.len()],
        false => how.embedder.embed(&texts, Purpose::Document)?,
    };
    let offsets = Offsets::new(&document.text, &cut);
    let tenant = work.scope.tenant.name.as_str();
    let new = |(((chunk, context), words), vector): (((&Chunk, String), String), Vec<f32>)| NewChunk {
        uid: chunk.id(tenant, &content).to_string(),
        start: offsets.characters(chunk.span.start),
        fresh: offsets.characters(chunk.overlap_end),
        stop: offsets.characters(chunk.span.end),
        tokens: chunk.tokens,
        pages: chunk.pages,
        heading: chunk.heading_path(document),
        context,
        words,
        vector,
    };
    Ok(cut.iter().zip(contexts).zip(words).zip(vectors).map(new).collect())
}

/// Characters before some bytes of a text, counted in one pass.
struct Offsets(HashMap<usize, usize>);

impl Offsets {
    fn new(text: &str, chunks: &[Chunk]) -> Self {
        let mut wanted: Vec<usize> = chunks.iter().flat_map(|c| [c.span.start, c.overlap_end, c.span.end]).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let (mut found, mut at, mut characters) = (HashMap::with_capacity(wanted.len()), 0, 0);
        for byte in wanted {
            characters += text.get(at..byte).map_or(0, |between| between.chars().count());
            at = byte;
            found.insert(byte, characters);
        }
        Self(found)
    }

    fn characters(&self, byte: usize) -> usize {
        self.0.get(&byte).copied().unwrap_or(0)
    }
}
