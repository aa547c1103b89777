//! The rows of documents as they are given out: to whoever owns them (`kf tenant export`), and as a snapshot of an index.
//!
//! A snapshot has no ids of this state: what hangs on a document names it by its source there. A tenant gets the ids too.

use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::domain::ingest::table::{Chunk, Document, Listed, Scope};
use crate::release::folder::{Lines, Written};
use crate::store::View;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// The documents.
pub(super) const DOCUMENTS: &str = "documents.jsonl";
/// Their chunks.
pub(super) const CHUNKS: &str = "chunks.jsonl";
/// Where they speak of what.
pub(super) const MENTIONS: &str = "mentions.jsonl";
/// What they say of two things.
pub(super) const RELATIONS: &str = "relations.jsonl";
/// The vectors of the chunks.
pub(super) const VECTORS: &str = "vectors.f32";

/// A document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DocumentRow {
    pub(super) source: String,
    pub(super) format: Option<String>,
    pub(super) language: Option<String>,
    pub(super) title: Option<String>,
    pub(super) bytes: u64,
    pub(super) characters: usize,
    pub(super) pages: Option<u32>,
    #[serde(deserialize_with = "exact")]
    pub(super) quality: Option<f64>,
    /// As they stand in the state: the last digit of a number counts for the seal.
    pub(super) checks: Box<RawValue>,
    pub(super) warnings: Vec<String>,
    pub(super) meta: BTreeMap<String, String>,
    pub(super) pipeline: Digest,
    pub(super) copy_of: Option<String>,
    /// Whether it was asked what it speaks of.
    pub(super) graph: bool,
    /// How many.
    pub(super) chunks: usize,
    pub(super) text: Option<String>,
}

/// Reads a number to its last digit, which `serde_json` alone does not promise.
fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let raw = Option::<Box<RawValue>>::deserialize(deserializer)?;
    raw.map(|raw| raw.get().parse().map_err(serde::de::Error::custom)).transpose()
}

/// A chunk of a document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ChunkRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk: Option<String>,
    pub(super) start: usize,
    pub(super) fresh: usize,
    pub(super) stop: usize,
    pub(super) tokens: u32,
    pub(super) pages: Option<(u32, u32)>,
    pub(super) heading: String,
    pub(super) context: String,
    pub(super) text: String,
}

/// What hangs on a document, with the document that it hangs on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Hung<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    collection: Option<Name>,
    /// Its source; of what a tenant gets its id.
    pub(super) document: String,
    #[serde(flatten)]
    pub(super) row: T,
}

/// A document as its tenant gets it.
#[derive(Serialize)]
struct Owned<'a> {
    collection: &'a Name,
    document: &'a str,
    reason: Option<&'static str>,
    detail: Option<&'a str>,
    created: crate::base::time::Timestamp,
    event: i64,
    #[serde(flatten)]
    row: DocumentRow,
}

/// Who gets the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// Whoever restores the index: what was taken, without ids, with vectors.
    Snapshot,
    /// Whom the documents are of: all of them, with their ids.
    Tenant,
}

/// The files that rows are written to.
pub struct Rows {
    whom: For,
    documents: Lines,
    chunks: Lines,
    mentions: Lines,
    relations: Lines,
    vectors: Option<Lines>,
}

impl Rows {
    /// Empty files in a folder, or sums of files that are nowhere.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn create(dir: Option<&Path>, whom: For) -> Result<Self> {
        let lines = |path| Lines::create(dir, path);
        let vectors = if whom == For::Snapshot { Some(lines(VECTORS)?) } else { None };
        let (documents, chunks) = (lines(DOCUMENTS)?, lines(CHUNKS)?);
        Ok(Self { whom, documents, chunks, mentions: lines(MENTIONS)?, relations: lines(RELATIONS)?, vectors })
    }

    /// Writes the documents of a collection and all that hangs on them.
    ///
    /// # Errors
    /// When a text is damaged, or a file cannot be written.
    pub fn collection(&mut self, view: View<'_>, scope: &Scope) -> Result<()> {
        let which = Listed { refused: (self.whom == For::Snapshot).then_some(false) };
        scope.each_document(view, which, |d| self.document(view, scope, &d))
    }

    /// The sums of the files: documents, chunks, mentions, relations, and vectors where they are asked for.
    ///
    /// # Errors
    /// When they cannot be brought to disk.
    pub fn finish(self) -> Result<Vec<Written>> {
        let files = [self.documents, self.chunks, self.mentions, self.relations];
        files.into_iter().chain(self.vectors).map(Lines::finish).collect()
    }

    fn document(&mut self, view: View<'_>, scope: &Scope, d: &Document) -> Result<()> {
        let row = document_row(view, scope, d)?;
        let mut cut = Cut::of(row.text.as_deref().unwrap_or_default());
        let whom = self.whom;
        let name = &scope.collection.name;
        for c in scope.chunks(view, d.id)? {
            let row = chunk_row(&c, &mut cut, whom).context(|| format!("a chunk of {} is not as it was made", d.source))?;
            self.chunks.push(&hung(whom, name, d, row))?;
        }
        let spoken = scope.spoken(view, d.id)?;
        spoken.mentions.into_iter().try_for_each(|m| self.mentions.push(&hung(whom, name, d, m)))?;
        spoken.relations.into_iter().try_for_each(|r| self.relations.push(&hung(whom, name, d, r)))?;
        if let Some(vectors) = &mut self.vectors {
            scope.vectors(view, d.id)?.iter().try_for_each(|vector| vectors.raw(vector))?;
        }
        match whom {
            For::Snapshot => self.documents.push(&row),
            For::Tenant => {
                let (reason, detail) = d.refused.as_ref().map_or((None, None), |(r, detail)| (Some(r.word()), Some(&**detail)));
                let (document, created, event) = (&*d.uid, d.created, d.event);
                self.documents.push(&Owned { collection: name, document, reason, detail, created, event, row })
            }
        }
    }
}

fn hung<T>(whom: For, collection: &Name, d: &Document, row: T) -> Hung<T> {
    match whom {
        For::Snapshot => Hung { collection: None, document: d.source.clone(), row },
        For::Tenant => Hung { collection: Some(collection.clone()), document: d.uid.clone(), row },
    }
}

/// A number of the state, which a damaged one may hold below zero.
fn count<T: TryFrom<i64>>(n: i64, what: &str) -> Result<T> {
    T::try_from(n).map_err(|_| Error::new(format!("{what} is {n}")).hint("run `kf index verify`"))
}

fn document_row(view: View<'_>, scope: &Scope, d: &Document) -> Result<DocumentRow> {
    let damaged = || format!("the row of {} is damaged", d.source);
    Ok(DocumentRow {
        source: d.source.clone(),
        format: d.format.clone(),
        language: d.language.clone(),
        title: d.title.clone(),
        bytes: count(d.bytes, "its size").context(damaged)?,
        characters: count(d.characters, "the length of its text").context(damaged)?,
        pages: d.pages.map(|n| count(n, "the number of its pages")).transpose().context(damaged)?,
        quality: d.quality,
        checks: RawValue::from_string(d.checks.clone()).context(|| "its checks are no JSON").context(damaged)?,
        warnings: d.warnings.clone(),
        meta: scope.meta(view, d.id)?,
        pipeline: d.pipeline,
        copy_of: d.copy_of.clone(),
        graph: d.graph,
        chunks: count(d.chunks, "the number of its chunks").context(damaged)?,
        text: scope.text(view, d.id)?,
    })
}

fn span_of(c: &Chunk) -> Result<(usize, usize)> {
    Ok((count(c.start, "where it begins")?, count(c.stop, "where it ends")?))
}

fn chunk_row(c: &Chunk, cut: &mut Cut<'_>, whom: For) -> Result<ChunkRow> {
    let (start, stop) = span_of(c)?;
    let page = |n| count::<u32>(n, "a page of it");
    Ok(ChunkRow {
        chunk: (whom == For::Tenant).then(|| c.uid.clone()),
        start,
        fresh: count(c.fresh, "where its own text begins")?,
        stop,
        tokens: count(c.tokens, "the number of its tokens")?,
        pages: c.pages.map(|(first, last)| Ok::<_, Error>((page(first)?, page(last)?))).transpose()?,
        heading: c.heading.clone(),
        context: c.context.clone(),
        text: cut.text(start, stop)?.to_owned(),
    })
}

/// Finds characters of a text by the bytes they are at. Chunks begin one behind the other, so it goes on where the last one began:
/// a text of many chunks is read a few times and not once for each.
pub(in crate::release) struct Cut<'t> {
    pub(super) text: &'t str,
    characters: usize,
    bytes: usize,
}

impl<'t> Cut<'t> {
    pub(in crate::release) fn of(text: &'t str) -> Self {
        Self { text, characters: 0, bytes: 0 }
    }

    /// The bytes of the characters `start..stop`; `None` when the text ends before, or they are in no order.
    pub(super) fn span(&mut self, start: usize, stop: usize) -> Option<Range<usize>> {
        if start < self.characters {
            (self.characters, self.bytes) = (0, 0);
        }
        self.bytes = self.after(start - self.characters)?;
        self.characters = start;
        Some(self.bytes..self.after(stop.checked_sub(start)?)?)
    }

    /// The characters `start..stop`.
    fn text(&mut self, start: usize, stop: usize) -> Result<&'t str> {
        let span = self.span(start, stop).map(|span| &self.text[span]);
        span.ok_or_else(|| Error::new("it is not within its text").hint("run `kf index verify`"))
    }

    /// The text of a chunk.
    ///
    /// # Errors
    /// When the chunk is not within the text.
    pub(in crate::release) fn chunk(&mut self, c: &Chunk) -> Result<&'t str> {
        let (start, stop) = span_of(c)?;
        self.text(start, stop)
    }

    /// The byte so many characters behind the last beginning.
    fn after(&self, characters: usize) -> Option<usize> {
        let rest = &self.text[self.bytes..];
        let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
        ends.nth(characters).map(|at| self.bytes + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_found_by_their_bytes_in_any_order() {
        let mut cut = Cut::of("añ€b");
        let mut found = |start, stop| cut.span(start, stop).map(|span| cut.text[span].to_owned());
        let all = [(0, 2, "añ"), (1, 3, "ñ€"), (3, 4, "b"), (0, 4, "añ€b"), (4, 4, ""), (2, 2, "")];
        for (start, stop, text) in all {
            assert_eq!(found(start, stop).as_deref(), Some(text), "{start}..{stop}");
        }
        for (start, stop) in [(0, 5), (5, 5), (3, 2), (usize::MAX, usize::MAX)] {
            assert_eq!(found(start, stop), None, "{start}..{stop}");
        }
    }
}
