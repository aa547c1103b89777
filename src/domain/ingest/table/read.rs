//! Reading documents and chunks of one collection.

use super::super::reason::Refusal;
use super::Scope;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::time::Timestamp;
use crate::store::{Row, View, values};
use flate2::read::ZlibDecoder;
use std::collections::BTreeMap;
use std::io::Read;

/// A document as it is kept, taken or refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its number in the state.
    pub id: i64,
    /// Its public id.
    pub uid: String,
    /// Where it came from: a path below the repository, or an absolute one.
    pub source: String,
    /// What it was read as.
    pub format: Option<String>,
    /// Its language, ISO 639-1; `None` when uncertain.
    pub language: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Bytes of the file.
    pub bytes: i64,
    /// Characters of the canonical text.
    pub characters: i64,
    /// Pages, slides or sheets.
    pub pages: Option<i64>,
    /// Chunks made of it.
    pub chunks: i64,
    /// Its quality, 0 to 1.
    pub quality: Option<f64>,
    /// The checks as JSON.
    pub checks: String,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// Why it was refused, and what was found.
    pub refused: Option<(Refusal, String)>,
    /// When it was taken or refused.
    pub created: Timestamp,
    /// The audit event that says so.
    pub event: i64,
    /// What it was taken by.
    pub pipeline: Digest,
    /// The source of the document that it was found to be a copy of.
    pub copy_of: Option<String>,
    /// Whether it was asked what it speaks of.
    pub graph: bool,
}

/// Documents that are read before any of them is worked on.
const PAGE: usize = 256;

const DOCUMENT: &str = "SELECT id, uid, source, format, language, title, bytes, characters, pages, chunks, quality, checks, \
    warnings, reason, detail, created, event, pipeline, copy_of, graph_digest FROM document";

fn document_of(row: &Row<'_>) -> Result<Document> {
    let json = |i: usize| format!("column {i} of a document holds no JSON");
    let refused = match row.opt_text(13)? {
        None => None,
        Some(word) => {
            let reason = Refusal::of(word)
                .ok_or_else(|| Error::new(format!("a document was refused for a reason that this kf does not know: {word}")))?;
            Some((reason, row.opt_text(14)?.unwrap_or_default().to_owned()))
        }
    };
    Ok(Document {
        id: row.int(0)?,
        uid: row.text(1)?.to_owned(),
        source: row.text(2)?.to_owned(),
        format: row.opt_text(3)?.map(str::to_owned),
        language: row.opt_text(4)?.map(str::to_owned),
        title: row.opt_text(5)?.map(str::to_owned),
        bytes: row.int(6)?,
        characters: row.int(7)?,
        pages: row.opt_int(8)?,
        chunks: row.int(9)?,
        quality: row.opt_real(10)?,
        checks: row.text(11)?.to_owned(),
        warnings: serde_json::from_str(row.text(12)?).context(|| json(12))?,
        refused,
        created: row.time(15)?,
        event: row.int(16)?,
        pipeline: row.digest(17)?,
        copy_of: row.opt_text(18)?.map(str::to_owned),
        graph: row.opt_blob(19)?.is_some(),
    })
}

/// Which documents are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listed {
    /// Only those that were refused, or only those that were taken.
    pub refused: Option<bool>,
}

impl Listed {
    fn condition(self) -> &'static str {
        match self.refused {
            None => "",
            Some(true) => " AND reason IS NOT NULL",
            Some(false) => " AND reason IS NULL",
        }
    }
}

impl Scope {
    /// The documents, by source, one by one.
    ///
    /// # Errors
    /// Only those of the state and of `each`.
    pub fn documents(&self, view: View<'_>, which: Listed, mut each: impl FnMut(Document) -> Result<()>) -> Result<()> {
        let sql = format!("{DOCUMENT} WHERE collection = ?1{} ORDER BY source", which.condition());
        view.each(&sql, values![self.id()], |row| each(document_of(row)?))
    }

    /// The same for work that asks the state for more of each: a few are held at a time, however many there are.
    ///
    /// # Errors
    /// Only those of the state and of `each`.
    pub fn each_document(&self, view: View<'_>, which: Listed, mut each: impl FnMut(Document) -> Result<()>) -> Result<()> {
        let wanted = which.condition();
        let sql = format!("{DOCUMENT} WHERE collection = ?1 AND source > ?2{wanted} ORDER BY source LIMIT {PAGE}");
        let mut after = String::new();
        loop {
            let page = view.all(&sql, values![self.id(), &after], document_of)?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.source);
            page.into_iter().try_for_each(&mut each)?;
        }
    }

    /// The document of this public id or source.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn document(&self, view: View<'_>, named: &str) -> Result<Option<Document>> {
        let sql = format!("{DOCUMENT} WHERE collection = ?1 AND (source = ?2 OR uid = ?2) ORDER BY source LIMIT 1");
        view.first(&sql, values![self.id(), named], document_of)
    }

    /// The document that a chunk is of.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn document_of(&self, view: View<'_>, chunk: &Chunk) -> Result<Option<Document>> {
        view.first(&format!("{DOCUMENT} WHERE collection = ?1 AND id = ?2"), values![self.id(), chunk.document], document_of)
    }

    /// What people noted of a document.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn meta(&self, view: View<'_>, document: i64) -> Result<BTreeMap<String, String>> {
        let sql = "SELECT m.key, m.value FROM document_meta m JOIN document d ON d.id = m.document \
            WHERE d.collection = ?1 AND d.id = ?2";
        let pairs = view.all(sql, values![self.id(), document], |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())))?;
        Ok(pairs.into_iter().collect())
    }

    /// The canonical text of a document; `None` when there is none, as for a refused one.
    ///
    /// # Errors
    /// When what is kept cannot be unpacked.
    pub fn text(&self, view: View<'_>, document: i64) -> Result<Option<String>> {
        let sql = "SELECT t.body FROM document_text t JOIN document d ON d.id = t.document WHERE d.collection = ?1 AND d.id = ?2";
        let Some(packed) = view.first(sql, values![self.id(), document], |row| Ok(row.blob(0)?.to_vec()))? else {
            return Ok(None);
        };
        let mut text = String::new();
        ZlibDecoder::new(&packed[..])
            .read_to_string(&mut text)
            .context(|| format!("the text of document {document} is damaged"))
            .hint(|| "`kf index verify` finds every such document; `kf ingest retry` reads it again".into())?;
        Ok(Some(text))
    }

    /// The chunks of a document, in order.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn chunks(&self, view: View<'_>, document: i64) -> Result<Vec<Chunk>> {
        let sql = format!("{CHUNK} WHERE collection = ?1 AND document = ?2 ORDER BY pos");
        view.all(&sql, values![self.id(), document], chunk_of)
    }

    /// The vectors of the chunks of a document, in order, as they are kept: 32-bit floats, little-endian.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn vectors(&self, view: View<'_>, document: i64) -> Result<Vec<Vec<u8>>> {
        let sql = "SELECT vector FROM chunk WHERE collection = ?1 AND document = ?2 ORDER BY pos";
        view.all(sql, values![self.id(), document], |row| Ok(row.blob(0)?.to_vec()))
    }

    /// One chunk by its number.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn chunk(&self, view: View<'_>, number: i64) -> Result<Option<Chunk>> {
        view.first(&format!("{CHUNK} WHERE collection = ?1 AND number = ?2"), values![self.id(), number], chunk_of)
    }

    /// The digest of a document's chunks, as its row has it from the event.
    ///
    /// # Errors
    /// Only those of the state.
    pub(in crate::domain::ingest) fn recorded_chunks(&self, view: View<'_>, document: i64) -> Result<Option<Digest>> {
        let sql = "SELECT chunks_digest FROM document WHERE collection = ?1 AND id = ?2 AND chunks_digest IS NOT NULL";
        view.first(sql, values![self.id(), document], |row| row.digest(0))
    }

    /// The digest of the vectors of a document, as its row has it.
    ///
    /// # Errors
    /// Only those of the state.
    pub(in crate::domain::ingest) fn recorded_vectors(&self, view: View<'_>, document: i64) -> Result<Option<Digest>> {
        let sql = "SELECT vectors FROM document WHERE collection = ?1 AND id = ?2 AND vectors IS NOT NULL";
        view.first(sql, values![self.id(), document], |row| row.digest(0))
    }

    /// What the collection holds in all.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn totals(&self, view: View<'_>) -> Result<Totals> {
        let mut totals = Totals::default();
        let sql = "SELECT reason, language, count(*), CAST(sum(bytes) AS BIGINT), \
        CAST(sum(chunks) AS BIGINT), CAST(sum(characters) AS BIGINT) FROM document \
            WHERE collection = ?1 GROUP BY reason, language";
        view.each(sql, values![self.id()], |row| {
            let n = row.int(2)?;
            match row.opt_text(0)? {
                Some(word) => *totals.refused.entry(word.to_owned()).or_default() += n,
                None => {
                    totals.documents += n;
                    totals.bytes += row.int(3)?;
                    totals.chunks += row.int(4)?;
                    totals.characters += row.int(5)?;
                    *totals.languages.entry(row.opt_text(1)?.unwrap_or("uncertain").to_owned()).or_default() += n;
                }
            }
            Ok(())
        })?;
        Ok(totals)
    }

    /// How long the chunks of the collection are.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn lengths(&self, view: View<'_>) -> Result<Lengths> {
        let sql = "SELECT COALESCE(min(tokens), 0), COALESCE(max(tokens), 0), CAST(COALESCE(avg(tokens), 0) AS DOUBLE PRECISION) \
            FROM chunk WHERE collection = ?1";
        let found =
            view.first(sql, values![self.id()], |row| Ok(Lengths { least: row.int(0)?, most: row.int(1)?, mean: row.real(2)? }))?;
        Ok(found.unwrap_or_default())
    }
}

/// How long chunks are, in tokens; all zero without chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Lengths {
    /// The shortest.
    pub least: i64,
    /// The longest.
    pub most: i64,
    /// On average.
    pub mean: f64,
}

/// What a collection holds in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Documents taken.
    pub documents: i64,
    /// Bytes of their files.
    pub bytes: i64,
    /// Characters of their texts.
    pub characters: i64,
    /// Their chunks.
    pub chunks: i64,
    /// Documents taken, by language.
    pub languages: BTreeMap<String, i64>,
    /// Documents refused, by reason.
    pub refused: BTreeMap<String, i64>,
}

/// A chunk as it is kept. Offsets count characters of the canonical text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its number in the collection, never given twice.
    pub number: i64,
    /// Its public id.
    pub uid: String,
    /// Its document's number.
    pub document: i64,
    /// Which one of its document, from 0.
    pub pos: i64,
    /// Where it begins.
    pub start: i64,
    /// Where text begins that the chunk before does not hold.
    pub fresh: i64,
    /// Where it ends.
    pub stop: i64,
    /// Its tokens.
    pub tokens: i64,
    /// The pages it is on, first and last.
    pub pages: Option<(i64, i64)>,
    /// The headings above it, outermost first, in one line.
    pub heading: String,
    /// What stands before its slice where it is embedded and searched by words.
    pub context: String,
}

const CHUNK: &str = "SELECT number, uid, document, pos, start, fresh, stop, tokens, page_first, page_last, heading, context \
    FROM chunk";

fn chunk_of(row: &Row<'_>) -> Result<Chunk> {
    Ok(Chunk {
        number: row.int(0)?,
        uid: row.text(1)?.to_owned(),
        document: row.int(2)?,
        pos: row.int(3)?,
        start: row.int(4)?,
        fresh: row.int(5)?,
        stop: row.int(6)?,
        tokens: row.int(7)?,
        pages: row.opt_int(8)?.zip(row.opt_int(9)?),
        heading: row.text(10)?.to_owned(),
        context: row.text(11)?.to_owned(),
    })
}
