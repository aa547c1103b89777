//! Taking a prepared document: whether another one says the same, the last word on its quality, and its row.

use super::prepare::{Made, Prepared, Ready};
use super::run::{Fate, Told};
use super::walk::Met;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::domain::ingest::entities::Relation;
use crate::domain::ingest::quality::{Copies, Quality, Rules};
use crate::domain::ingest::reason::Refused;
use crate::domain::ingest::table::{self, Alike, Known, NewDocument, Outcome, Scope, put};
use crate::store::{Tx, View};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// How documents are taken.
pub(super) struct Taking<'a> {
    pub(super) scope: &'a Scope,
    pub(super) pipeline: Digest,
    pub(super) rules: &'a Rules,
    pub(super) meta: &'a BTreeMap<String, String>,
    /// Sources whose files are gone: they leave at the end of the run, so nothing is refused as a copy of them.
    pub(super) gone: &'a BTreeSet<String>,
}

impl Taking<'_> {
    /// Takes a document, or only says what would become of it when there is no transaction.
    pub(super) fn take(&self, view: View<'_>, tx: Option<&Tx<'_>>, met: &Met, prepared: &Prepared) -> Result<Told> {
        let blank = || Told {
            source: met.source.clone(),
            fate: Fate::Unchanged,
            bytes: prepared.bytes,
            chunks: 0,
            quality: None,
            warnings: Vec::new(),
        };
        // Another run may have taken the source since this one began.
        let known = if prepared.changes() { self.scope.known(view, &met.source)? } else { prepared.known };
        let as_now = |k: &Known| k.content == prepared.content && k.pipeline == self.pipeline;
        if known != prepared.known && known.as_ref().is_some_and(as_now) {
            return self.unchanged(view, met, known, blank());
        }
        let (new, told) = match &prepared.made {
            Made::Unchanged => return self.unchanged(view, met, known, blank()),
            Made::Spared(refused) => {
                let kept = Refused::new(refused.reason, format!("{}; what was taken before stays", refused.detail));
                return Ok(Told { fate: fate_of(&kept), ..blank() });
            }
            Made::Failed(e) => {
                return Err(Error::of(e.kind(), e.chain().join(": "))).context(|| format!("cannot embed {}", met.source));
            }
            Made::Refused { format, refused, warnings } => {
                let told = Told { fate: fate_of(refused), warnings: warnings.clone(), ..blank() };
                (self.refused(met, prepared, format.map(|f| f.word()), refused, None, warnings), told)
            }
            Made::Ready(ready) => {
                let (quality, warnings, alike) = self.judge(view, met, ready)?;
                let told = Told { quality: Some(quality.score), warnings: warnings.clone(), ..blank() };
                match &quality.refused {
                    Some(refused) => {
                        let told = Told { fate: fate_of(refused), ..told };
                        if known.is_some_and(|k| as_now(&k) && !k.orphan && k.refused == Some(refused.reason)) {
                            return Ok(told);
                        }
                        let new = self.refused(met, prepared, Some(ready.format.word()), refused, Some(&quality), &warnings);
                        (NewDocument { copy_of: alike.map(|a| a.uid), ..new }, told)
                    }
                    None => {
                        let fate = if known.is_some() { Fate::Replaced } else { Fate::Added };
                        (
                            self.ready(met, prepared, ready, &quality, warnings, alike),
                            Told { fate, chunks: ready.chunks.len(), ..told },
                        )
                    }
                }
            }
        };
        if let Some(tx) = tx {
            put(tx, self.scope, &new, known.map(|k| k.id))?;
        }
        Ok(told)
    }

    /// What was refused before and is as it was is told as refused again: a run does not become good by being repeated.
    fn unchanged(&self, view: View<'_>, met: &Met, known: Option<Known>, told: Told) -> Result<Told> {
        if known.is_some_and(|k| k.refused.is_some())
            && let Some(document) = self.scope.document(view, &met.source)?
            && let Some((reason, detail)) = document.refused
        {
            return Ok(Told { fate: Fate::Refused(reason, detail), ..told });
        }
        Ok(told)
    }

    /// The last word on its quality, what a person should know, and the document that it is a copy or a near copy of.
    fn judge(&self, view: View<'_>, met: &Met, ready: &Ready) -> Result<(Quality, Vec<String>, Option<Alike>)> {
        let mut warnings = ready.document.warnings.clone();
        let (copies, alike) = self.copies(view, met, ready)?;
        let mut quality = ready.quality.clone().with_copies(copies, self.rules);
        if let (Some(refused), Some(alike)) = (&mut quality.refused, &alike) {
            refused.detail = format!("{}: {}", refused.detail, alike.source);
        }
        let alike = alike.filter(|a| quality.refused.is_some() || a.similarity >= self.rules.near_duplicate);
        if let Some(alike) = alike.as_ref().filter(|_| quality.refused.is_none()) {
            warnings.push(format!("a near copy of {} (similarity {:.2})", alike.source, alike.similarity));
        }
        if quality.warning {
            let failed = quality.checks.iter().filter(|c| c.verdict == crate::base::verdict::Verdict::Fail);
            let reasons: Vec<String> = failed.map(|c| format!("{}: {}", c.id.word(), c.reason)).collect();
            warnings.push(format!("quality {:.2}: {}", quality.score, reasons.join("; ")));
        }
        Ok((quality, warnings, alike))
    }

    fn copies(&self, view: View<'_>, met: &Met, ready: &Ready) -> Result<(Copies, Option<Alike>)> {
        let counts = |source: &str| source != met.source && !self.gone.contains(source);
        if let Some(same) = self.scope.same_words(view, &ready.words, &counts)? {
            return Ok((Copies::Exact, Some(same)));
        }
        let Some(signature) = &ready.signature else { return Ok((Copies::Nearest(0.0), None)) };
        let nearest = self.scope.nearest_copy(view, signature, &counts)?;
        Ok((Copies::Nearest(nearest.as_ref().map_or(0.0, |n| n.similarity)), nearest))
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
        alike: Option<Alike>,
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
            copy_of: None,
            outcome: Outcome::Taken(Box::new(table::Made {
                text: document.text.clone(),
                characters: ready.characters,
                title: document.title.clone(),
                language: quality.language.filter(|_| certain).map(str::to_owned),
                pages: document.pages,
                chunks: ready.chunks.clone(),
                words: ready.words,
                bands: ready.signature.as_ref().map(|s| s.bands(self.scope.tenant.salt()).to_vec()).unwrap_or_default(),
                signature: ready.signature.as_ref().map(|s| s.to_bytes()).unwrap_or_default(),
                graph,
            })),
        }
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
