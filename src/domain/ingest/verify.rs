//! Reading everything of a collection and comparing it: documents, texts, chunks, vectors,
//! words and the graph must tell the same.

use super::table::graph::{self, GraphTotals};
use super::table::{Document, Listed, Scope};
use crate::base::error::Result;
use crate::store::{View, fulltext, values};
use serde::Serialize;
use std::collections::BTreeSet;

/// Something that does not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The document, or the index.
    pub subject: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What was read, and what does not agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Documents read, refused ones included.
    pub documents: u64,
    /// Chunks read with their vectors.
    pub chunks: u64,
    /// Bytes of text read.
    pub bytes: u64,
    /// The graph, all of it read.
    pub graph: GraphTotals,
    /// What does not agree.
    pub findings: Vec<Finding>,
}

/// How far the length of a vector may be from 1: what rounding to 32 bits leaves.
const LENGTH_SLACK: f64 = 1e-3;

/// Reads the whole collection.
///
/// # Errors
/// Only those of the state; what does not agree is a finding.
pub fn verify(view: View<'_>, scope: &Scope) -> Result<Verified> {
    let mut verified = Verified::default();
    let mut documents = Vec::new();
    scope.documents(view, Listed::default(), |document| {
        documents.push(document);
        Ok(())
    })?;
    for document in &documents {
        verified.documents += 1;
        one(view, scope, document, &mut verified)?;
    }
    strays(view, scope, &mut verified)?;
    words(view, scope, &mut verified)?;
    let (totals, problems) = graph::strays(view, scope)?;
    verified.graph = totals;
    verified.findings.extend(problems.into_iter().map(|problem| Finding { subject: "graph".to_owned(), problem }));
    Ok(verified)
}

fn one(view: View<'_>, scope: &Scope, document: &Document, verified: &mut Verified) -> Result<()> {
    let mut problems = Vec::new();
    let text = match scope.text(view, document.id) {
        Ok(text) => text,
        Err(e) => {
            problems.push(e.to_string());
            None
        }
    };
    let chunks = scope.chunks(view, document.id)?;
    match (&document.refused, &text) {
        (Some(_), Some(_)) => problems.push("it was refused, yet its text is kept".to_owned()),
        (Some(_), None) if !chunks.is_empty() => problems.push("it was refused, yet it has chunks".to_owned()),
        (Some(_), None) => {}
        (None, None) if problems.is_empty() => problems.push("its text is gone".to_owned()),
        (None, None) => {}
        (None, Some(text)) => {
            verified.bytes += text.len() as u64;
            let characters = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            if characters != document.characters {
                problems.push(format!("its text has {characters} characters, its row says {}", document.characters));
            }
            for chunk in &chunks {
                let order =
                    0 <= chunk.start && chunk.start <= chunk.fresh && chunk.fresh < chunk.stop && chunk.stop <= characters;
                if !order {
                    problems.push(format!("chunk {} is not within its text: {}–{}", chunk.pos, chunk.start, chunk.stop));
                }
            }
        }
    }
    if i64::try_from(chunks.len()).unwrap_or(i64::MAX) != document.chunks {
        problems.push(format!("it has {} chunks, its row says {}", chunks.len(), document.chunks));
    }
    if document.refused.is_none() {
        let found = scope.chunks_digest(chunks.iter().map(|c| c.uid.as_str()));
        if scope.recorded_chunks(view, document.id)? != Some(found) {
            problems.push("its chunks are not those that the audit log recorded".to_owned());
        }
    }
    problems.extend(vectors(view, scope, document, verified)?);
    problems.extend(graph::problems(view, scope, document.id, document.characters)?);
    let subject = || document.source.clone();
    verified.findings.extend(problems.into_iter().map(|problem| Finding { subject: subject(), problem }));
    Ok(())
}

fn vectors(view: View<'_>, scope: &Scope, document: &Document, verified: &mut Verified) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let wanted = scope.collection.dimensions * 4;
    let mut read = Vec::new();
    let sql = "SELECT pos, vector FROM chunk WHERE collection = ?1 AND document = ?2 ORDER BY pos";
    view.each(sql, values![scope.id(), document.id], |row| {
        verified.chunks += 1;
        let vector = row.blob(1)?;
        read.extend_from_slice(vector);
        if vector.len() != wanted {
            problems.push(format!("the vector of chunk {} has {} bytes, {wanted} are right", row.int(0)?, vector.len()));
            return Ok(());
        }
        if !is_unit(vector) {
            problems.push(format!("the vector of chunk {} is not of length 1", row.int(0)?));
        }
        Ok(())
    })?;
    let kept = document.refused.is_none().then(|| scope.tenant.digest_of(std::iter::once(&read[..])));
    if scope.recorded_vectors(view, document.id)? != kept {
        problems.push("its vectors are not those that were kept of it".to_owned());
    }
    Ok(problems)
}

/// Whether a vector as it is kept has the length 1, or 0 as that of a text without a word that its model knows.
pub fn is_unit(vector: &[u8]) -> bool {
    let square: f64 = vector.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b)).powi(2)).sum();
    square == 0.0 || (square.sqrt() - 1.0).abs() <= LENGTH_SLACK
}

/// Chunks of no document.
fn strays(view: View<'_>, scope: &Scope, verified: &mut Verified) -> Result<()> {
    let sql =
        "SELECT count(*) FROM chunk WHERE collection = ?1 AND document NOT IN (SELECT id FROM document WHERE collection = ?1)";
    let n = view.count(sql, values![scope.id()])?;
    if n > 0 {
        let problem = format!("{n} chunks belong to no document");
        verified.findings.push(Finding { subject: "chunks".to_owned(), problem });
    }
    Ok(())
}

/// The index of words and the chunks have the same numbers.
fn words(view: View<'_>, scope: &Scope, verified: &mut Verified) -> Result<()> {
    let indexed = fulltext::numbers(view, scope.id())?;
    let sql = "SELECT number FROM chunk WHERE collection = ?1";
    let chunks: BTreeSet<i64> = view.all(sql, values![scope.id()], |row| row.int(0))?.into_iter().collect();
    let (missing, extra) = (chunks.difference(&indexed).count(), indexed.difference(&chunks).count());
    for (n, problem) in [(missing, "chunks are not in it"), (extra, "entries of it have no chunk")] {
        if n > 0 {
            verified.findings.push(Finding { subject: "index of words".to_owned(), problem: format!("{n} {problem}") });
        }
    }
    Ok(())
}
