//! Reading a snapshot: the files in step, one document at a time, and nothing is believed that can be compared.
//!
//! What is handed out fits together: chunks are the slices of their text that they say they are and cover it in order, vectors have
//! the width and the length of their model's, mentions stand in a chunk, and at the end every byte of every file had the digest
//! that the manifest says.

use super::rows::{CHUNKS, ChunkRow, Cut, DOCUMENTS, DocumentRow, Hung, MENTIONS, RELATIONS, VECTORS};
use super::{Entry, Manifest};
use crate::base::digest::Hasher;
use crate::base::error::{Context, Error, Result};
use crate::domain::ingest::verify::is_unit;
use crate::seams::graph::{Mentioned, Related};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Take};
use std::ops::Range;
use std::path::Path;

/// The files of a snapshot, in the order of its manifest.
const FILES: [&str; 5] = [DOCUMENTS, CHUNKS, MENTIONS, RELATIONS, VECTORS];

/// A chunk with the bytes of the text that it is, and its vector.
pub(super) struct ReadChunk {
    pub(super) row: ChunkRow,
    pub(super) span: Range<usize>,
    pub(super) vector: Vec<f32>,
}

/// A document with all that hangs on it.
pub(super) struct ReadDocument {
    pub(super) row: DocumentRow,
    pub(super) text: String,
    pub(super) chunks: Vec<ReadChunk>,
    pub(super) mentions: Vec<Mentioned>,
    pub(super) relations: Vec<Related>,
}

/// The error for a snapshot that does not fit together.
pub(super) fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(format!("the snapshot is damaged: {what}"))
        .hint("write it again with `kf index export`, or bring a registered one back: `kf checkout REF DIR --force`")
}

/// Reads every byte of a snapshot and compares it with the manifest.
///
/// # Errors
/// When a file is missing or other than the manifest says.
pub(super) fn verify(dir: &Path, manifest: &Manifest) -> Result<()> {
    if !manifest.files.iter().map(|f| f.path.as_str()).eq(FILES) {
        return Err(damaged(format!("its manifest does not name {}", FILES.join(", "))));
    }
    for entry in &manifest.files {
        Input::open(dir, entry)?.finish()?;
    }
    Ok(())
}

/// Hands out the documents of a snapshot in order.
///
/// # Errors
/// When something does not fit, or `each` fails.
pub(super) fn each_document(dir: &Path, manifest: &Manifest, each: &mut dyn FnMut(ReadDocument) -> Result<()>) -> Result<()> {
    let [documents, chunks, mentions, relations, vectors] = &manifest.files[..] else {
        return Err(damaged("its manifest does not name five files"));
    };
    let mut documents = Input::open(dir, documents)?;
    let mut below = Below {
        chunks: Rows::open(dir, chunks)?,
        mentions: Rows::open(dir, mentions)?,
        relations: Rows::open(dir, relations)?,
        vectors: Input::open(dir, vectors)?,
        dimensions: manifest.embedder.dimensions,
    };
    let mut before = String::new();
    while let Some(row) = documents.row::<DocumentRow>()? {
        if row.source <= before {
            return Err(damaged(format!("`{}` does not come after `{before}`", row.source)));
        }
        before.clone_from(&row.source);
        let source = row.source.clone();
        each(below.document(row)?).context(|| format!("cannot take {source} from the snapshot"))?;
    }
    documents.finish_read()?;
    below.finish()
}

/// A file that is summed up while it is read, never further than the manifest says.
struct Input<'m> {
    entry: &'m Entry,
    file: Take<BufReader<File>>,
    hasher: Hasher,
    bytes: u64,
    lines: u64,
}

impl<'m> Input<'m> {
    fn open(dir: &Path, entry: &'m Entry) -> Result<Self> {
        let file = File::open(dir.join(&entry.path)).map_err(|e| damaged(format!("cannot read {}: {e}", entry.path)))?;
        // One byte more, to see that there is no more.
        let file = BufReader::new(file).take(entry.bytes.saturating_add(1));
        Ok(Self { entry, file, hasher: Hasher::new(), bytes: 0, lines: 0 })
    }

    /// The next line, read as one of its rows.
    fn row<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let mut line = Vec::new();
        self.file.read_until(b'\n', &mut line).context(|| format!("cannot read {}", self.entry.path))?;
        if line.is_empty() {
            return Ok(None);
        }
        self.hasher.update(&line);
        self.bytes += line.len() as u64;
        self.lines += 1;
        let at = |e| damaged(format!("line {} of {}: {e}", self.lines, self.entry.path));
        serde_json::from_slice(&line).map(Some).map_err(at)
    }

    /// The next so many bytes, counted as one line.
    fn exactly(&mut self, bytes: usize) -> Result<Vec<u8>> {
        let mut read = Vec::new();
        let mut some = (&mut self.file).take(bytes as u64);
        some.read_to_end(&mut read).context(|| format!("cannot read {}", self.entry.path))?;
        self.hasher.update(&read);
        self.bytes += read.len() as u64;
        self.lines += 1;
        if read.len() == bytes { Ok(read) } else { Err(damaged(format!("{} ends too early", self.entry.path))) }
    }

    /// Reads what is left, and compares all that was read with the manifest.
    fn finish(mut self) -> Result<()> {
        let path = &self.entry.path;
        let mut rest = [0; 1 << 14];
        loop {
            let n = self.file.read(&mut rest).context(|| format!("cannot read {path}"))?;
            if n == 0 {
                break;
            }
            self.hasher.update(&rest[..n]);
            self.bytes += n as u64;
        }
        if self.bytes != self.entry.bytes {
            let more = if self.bytes > self.entry.bytes { "more than " } else { "" };
            return Err(damaged(format!(
                "{path} has {more}{} bytes, {} are right",
                self.bytes.min(self.entry.bytes),
                self.entry.bytes
            )));
        }
        let found = self.hasher.finish();
        if found == self.entry.digest { Ok(()) } else { Err(damaged(format!("{path} is {found}, not {}", self.entry.digest))) }
    }

    /// The same of a file of which every line was read.
    fn finish_read(self) -> Result<()> {
        if self.lines != self.entry.lines {
            return Err(damaged(format!("{} has {} lines, {} are right", self.entry.path, self.lines, self.entry.lines)));
        }
        self.finish()
    }
}

/// Rows that hang on documents, in the order of these.
struct Rows<'m, T> {
    input: Input<'m>,
    next: Option<Hung<T>>,
}

impl<'m, T: DeserializeOwned> Rows<'m, T> {
    fn open(dir: &Path, entry: &'m Entry) -> Result<Self> {
        let mut input = Input::open(dir, entry)?;
        let next = input.row()?;
        Ok(Self { input, next })
    }

    /// The next row when it hangs on this document.
    fn of(&mut self, document: &str) -> Result<Option<T>> {
        let Some(hung) = self.next.take_if(|hung| hung.document == document) else { return Ok(None) };
        self.next = self.input.row()?;
        Ok(Some(hung.row))
    }

    fn all_of(&mut self, document: &str) -> Result<Vec<T>> {
        std::iter::from_fn(|| self.of(document).transpose()).collect()
    }

    fn finish(self) -> Result<()> {
        match self.next {
            None => self.input.finish_read(),
            Some(hung) => Err(damaged(format!("{} has a row of `{}` out of order", self.input.entry.path, hung.document))),
        }
    }
}

struct Below<'m> {
    chunks: Rows<'m, ChunkRow>,
    mentions: Rows<'m, Mentioned>,
    relations: Rows<'m, Related>,
    vectors: Input<'m>,
    dimensions: usize,
}

impl Below<'_> {
    fn document(&mut self, mut row: DocumentRow) -> Result<ReadDocument> {
        let wrong = |what: &str| damaged(format!("{what} of `{}`", row.source));
        let Some(text) = row.text.take() else { return Err(wrong("there is no text")) };
        if text.chars().count() != row.characters {
            return Err(wrong("the text has not the length"));
        }
        let chunks = self.chunks(&row, &text)?;
        let (mentions, relations) = (self.mentions.all_of(&row.source)?, self.relations.all_of(&row.source)?);
        if !(row.graph || mentions.is_empty() && relations.is_empty()) {
            return Err(wrong("nobody asked for mentions and relations, yet there are some"));
        }
        let ascending = mentions.is_sorted_by(|a, b| a.start < b.start);
        if !ascending || mentions.iter().any(|m| !stands(m, &chunks, row.characters)) {
            return Err(wrong("a mention is not within the chunks"));
        }
        let within = |r: &Related| 0 <= r.start && r.start <= r.stop && number(r.stop).is_some_and(|stop| stop <= row.characters);
        if !relations.is_sorted_by(|a, b| place(a) < place(b)) || !relations.iter().all(within) {
            return Err(wrong("a relation is not within the text"));
        }
        Ok(ReadDocument { row, text, chunks, mentions, relations })
    }

    fn chunks(&mut self, row: &DocumentRow, text: &str) -> Result<Vec<ReadChunk>> {
        let mut cut = Cut::of(text);
        let mut chunks: Vec<ReadChunk> = Vec::new();
        while let Some(c) = self.chunks.of(&row.source)? {
            let wrong = |what: &str| damaged(format!("chunk {} of `{}` {what}", chunks.len(), row.source));
            let ordered = c.start <= c.fresh && c.fresh < c.stop && chunks.last().is_none_or(|last| last.row.fresh < c.fresh);
            let span = cut.span(c.start, c.stop).filter(|_| ordered).ok_or_else(|| wrong("is not within its text"))?;
            if text.get(span.clone()) != Some(c.text.as_str()) {
                return Err(wrong("is not the slice of its text that it says it is"));
            }
            let bytes = self.vectors.exactly(self.dimensions.saturating_mul(4))?;
            if !is_unit(&bytes) {
                return Err(wrong("has a vector that is not of length 1"));
            }
            let vector = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            chunks.push(ReadChunk { row: c, span, vector });
        }
        if chunks.len() != row.chunks {
            return Err(damaged(format!("`{}` has {} chunks, its row says {}", row.source, chunks.len(), row.chunks)));
        }
        Ok(chunks)
    }

    fn finish(self) -> Result<()> {
        self.chunks.finish()?;
        self.mentions.finish()?;
        self.relations.finish()?;
        self.vectors.finish_read()
    }
}

/// An offset of a row.
pub(super) fn number(n: i64) -> Option<usize> {
    usize::try_from(n).ok()
}

/// Whether a mention stands in the text and begins in the chunk that holds its place first.
fn stands(m: &Mentioned, chunks: &[ReadChunk], characters: usize) -> bool {
    let (Some(start), Some(stop)) = (number(m.start), number(m.stop)) else { return false };
    let first = chunks.partition_point(|c| c.row.fresh <= start);
    let held = first.checked_sub(1).and_then(|at| chunks.get(at)).is_some_and(|c| start < c.row.stop);
    held && start < stop && stop <= characters
}

/// What makes a relation of a document another one, in the order in which they are written.
fn place(r: &Related) -> (&str, i64, [&str; 4]) {
    (&r.relation, r.start, [&r.subject.kind, &r.subject.key, &r.object.kind, &r.object.key])
}
