//! Taking a prepared document: whether another one says the same, the last word on its quality, and its row.

use super::prepare::{Made, Prepared, Ready};
use super::told::{Fate, Told};
use super::walk::Met;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::domain::ingest::entities::Relation;
use crate::domain::ingest::quality::{Copies, Quality, Rules};
use crate::domain::ingest::reason::Refused;
use crate::domain::ingest::table::{self, Alike, Known, Marks, NewDocument, Outcome, Scope, forget, put};
use crate::store::{Tx, View};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Why a document leaves that nobody took out.
pub(super) const GONE: &str = "its file is gone";

/// How documents are taken.
pub(super) struct Taking<'a> {
    pub(super) scope: &'a Scope,
    pub(super) pipeline: Digest,
    pub(super) rules: &'a Rules,
    pub(super) meta: &'a BTreeMap<String, String>,
    /// Sources whose files are gone: they leave with the first document that says the same, or at the end of the run.
    pub(super) gone: &'a BTreeSet<String>,
    /// What was found in each document that was refused before the run, by its number.
    pub(super) details: &'a HashMap<i64, String>,
}

impl Taking<'_> {
    /// What is told of a file that changes nothing; `None` of one that is to be taken. What was refused before and is as it was
    /// is told as refused again: a run does not become good by being repeated.
    pub(super) fn as_before(&self, met: &Met, prepared: &Prepared) -> Option<Told> {
        let fate = match (&prepared.made, prepared.known) {
            (Made::Unchanged, Some(Known { id, refused: Some(reason), .. })) => {
                Fate::Refused(reason, self.details.get(&id).cloned().unwrap_or_default())
            }
            (Made::Unchanged, _) => Fate::Unchanged,
            (Made::Spared(refused), _) => {
                Fate::Refused(refused.reason, format!("{}; what was taken before stays", refused.detail))
            }
            _ => return None,
        };
        Some(Told { fate, ..blank(met, prepared) })
    }

    /// Takes a document, or only says what would become of it when there is no transaction.
    pub(super) fn take(&self, view: View<'_>, tx: Option<&Tx<'_>>, met: &Met, prepared: &Prepared) -> Result<Told> {
        if let Some(told) = self.as_before(met, prepared) {
            return Ok(told);
        }
        let blank = || blank(met, prepared);
        // Another run may have taken the source since this one began.
        let known = self.scope.known(view, &met.source)?;
        let as_now = |k: &Known| k.content == prepared.content && k.pipeline == self.pipeline;
        if known != prepared.known && known.as_ref().is_some_and(as_now) {
            return self.taken_by_another(view, met, blank());
        }
        let (new, told) = match &prepared.made {
            Made::Unchanged | Made::Spared(_) => return Ok(blank()),
            Made::Failed(e) => {
                return Err(Error::of(e.kind(), e.chain().join(": "))).context(|| format!("cannot embed {}", met.source));
            }
            Made::Refused { format, refused, warnings } => {
                let told = Told { fate: fate_of(refused), warnings: warnings.clone(), ..blank() };
                (self.refused(met, prepared, format.map(|f| f.word()), refused, None, warnings), told)
            }
            Made::Ready(ready) => {
                let (quality, warnings, alike) = self.judge(view, tx, met, ready)?;
                let exact = alike.as_ref().is_some_and(|a| a.exact);
                let marks = Marks { signature: ready.marks.signature.clone().filter(|_| !exact), ..ready.marks.clone() };
                let told = Told { quality: Some(quality.score), warnings: warnings.clone(), ..blank() };
                match &quality.refused {
                    Some(refused) => {
                        let told = Told { fate: fate_of(refused), ..told };
                        if known.is_some_and(|k| as_now(&k) && !k.stale && k.refused == Some(refused.reason)) {
                            return Ok(told);
                        }
                        let new = self.refused(met, prepared, Some(ready.format.word()), refused, Some(&quality), &warnings);
                        (NewDocument { copy_of: alike.map(|a| a.source), marks: Some(marks), ..new }, told)
                    }
                    None => {
                        let fate = if known.is_some() { Fate::Replaced } else { Fate::Added };
                        let new = self.ready(met, prepared, ready, &quality, warnings, alike.as_ref());
                        let new = NewDocument { copy_of: alike.map(|a| a.source), marks: Some(marks), ..new };
                        (new, Told { fate, chunks: ready.chunks.len(), ..told })
                    }
                }
            }
        };
        if let Some(tx) = tx {
            put(tx, self.scope, &new, known.map(|k| k.id))?;
        }
        Ok(told)
    }

    /// What another run made of the same file meanwhile.
    fn taken_by_another(&self, view: View<'_>, met: &Met, told: Told) -> Result<Told> {
        let refused = self.scope.document(view, &met.source)?.and_then(|document| document.refused);
        Ok(refused.map_or(told.clone(), |(reason, detail)| Told { fate: Fate::Refused(reason, detail), ..told }))
    }

    /// The last word on its quality, what a person should know, and the document that it is a copy or a near copy of.
    fn judge(
        &self,
        view: View<'_>,
        tx: Option<&Tx<'_>>,
        met: &Met,
        ready: &Ready,
    ) -> Result<(Quality, Vec<String>, Option<Alike>)> {
        let mut warnings = ready.document.warnings.clone();
        let alike = self.copied(view, tx, met, ready)?;
        let copies = match &alike {
            Some(alike) if alike.exact => Copies::Exact,
            alike => Copies::Nearest(alike.as_ref().map_or(0.0, |a| a.similarity)),
        };
        let mut quality = ready.quality.clone().with_copies(copies, self.rules);
        if let (Some(refused), Some(alike)) = (&mut quality.refused, &alike) {
            refused.detail = format!("{}: {}", refused.detail, alike.source);
        } else if let Some(alike) = &alike {
            warnings.push(format!("a near copy of {} (similarity {:.2})", alike.source, alike.similarity));
        }
        if quality.warning {
            let failed = quality.checks.iter().filter(|c| c.verdict == crate::base::verdict::Verdict::Fail);
            let reasons: Vec<String> = failed.map(|c| format!("{}: {}", c.id.word(), c.reason)).collect();
            warnings.push(format!("quality {:.2}: {}", quality.score, reasons.join("; ")));
        }
        Ok((quality, warnings, alike))
    }

    /// The document that it is a copy of. One whose file is gone leaves in the transaction that takes what says the same.
    fn copied(&self, view: View<'_>, tx: Option<&Tx<'_>>, met: &Met, ready: &Ready) -> Result<Option<Alike>> {
        let counts = |source: &str| tx.is_some() || !self.gone.contains(source);
        loop {
            let alike = self.scope.copied(view, &met.source, &ready.marks, &counts)?;
            let (Some(tx), Some(gone)) = (tx, alike.as_ref().filter(|a| self.gone.contains(&a.source))) else { return Ok(alike) };
            let Some(document) = self.scope.document(view, &gone.source)? else { return Ok(None) };
            forget(tx, self.scope, &document, GONE)?;
        }
    }

    fn refused(
        &self,
        met: &Met,
        prepared: &Prepared,
        format: Option<&'static str>,
        refused: &Refused,
        quality: Option<&Quality>,
        warnings: &[String],
    ) -> NewDocument {
        NewDocument {
            source: met.source.clone(),
            content: prepared.content,
            pipeline: self.pipeline,
            format,
            bytes: prepared.bytes,
            quality: quality.map(|q| q.score),
            checks: quality.map_or_else(|| "[]".to_owned(), checks),
            meta: self.meta.clone(),
            warnings: warnings.to_vec(),
            marks: None,
            copy_of: None,
            outcome: Outcome::Refused(refused.clone()),
        }
    }

    fn ready(
        &self,
        met: &Met,
        prepared: &Prepared,
        ready: &Ready,
        quality: &Quality,
        mut warnings: Vec<String>,
        alike: Option<&Alike>,
    ) -> NewDocument {
        let document = &ready.document;
        let mut graph = ready.graph.clone();
        if let Some(found) = &mut graph {
            found.relations.extend(alike.map(|a| Relation::near_copy(&met.source, &a.source, a.similarity)));
            if found.dropped > 0 {
                warnings.push(format!("of what it speaks of, the last {} mentions are not kept", found.dropped));
            }
        }
        let certain =
            quality.checks.iter().any(|c| c.id.word() == "language" && c.verdict != crate::base::verdict::Verdict::Inconclusive);
        NewDocument {
            source: met.source.clone(),
            content: prepared.content,
            pipeline: self.pipeline,
            format: Some(ready.format.word()),
            bytes: prepared.bytes,
            quality: Some(quality.score),
            checks: checks(quality),
            meta: self.meta.clone(),
            warnings,
            marks: None,
            copy_of: None,
            outcome: Outcome::Taken(Box::new(table::Made {
                text: document.text.clone(),
                characters: ready.characters,
                title: document.title.clone(),
                language: quality.language.filter(|_| certain).map(str::to_owned),
                pages: document.pages,
                chunks: ready.chunks.clone(),
                graph,
            })),
        }
    }
}

fn blank(met: &Met, prepared: &Prepared) -> Told {
    Told {
        source: met.source.clone(),
        fate: Fate::Unchanged,
        bytes: prepared.bytes,
        chunks: 0,
        quality: None,
        warnings: Vec::new(),
    }
}

fn fate_of(refused: &Refused) -> Fate {
    Fate::Refused(refused.reason, refused.detail.clone())
}

/// The checks as JSON, findings of personal data by kind and place, never by value.
fn checks(quality: &Quality) -> String {
    let checks: Vec<_> = quality
        .checks
        .iter()
        .map(|c| json!({"check": c.id.word(), "verdict": c.verdict, "value": c.value, "limit": c.limit, "reason": c.reason}))
        .collect();
    json!(checks).to_string()
}
