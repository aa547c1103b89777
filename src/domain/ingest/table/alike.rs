//! Documents of a collection that say the same, and which of them is the copy.
//!
//! A document is compared with those whose sources come before its own and that were taken, never with later ones. So what
//! becomes of each is a function of the files alone: the first of several copies is kept, whatever the order of runs, threads
//! and kills. Whatever changes what a later document was compared with marks it as stale in the same transaction: a document
//! that is put in marks those behind it that say the same, one that goes marks those that were compared with it. Stale
//! documents are judged anew by the run that met them, or by the next one.

use super::super::quality::duplicate::Signature;
use super::Scope;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::store::{Tx, Value, View, values};

/// What copies of a document are found by.
#[derive(Clone, Debug, PartialEq)]
pub struct Marks {
    /// The tenant's digest of its normalised words: equal for exact copies.
    pub words: Digest,
    /// By which near copies are found; `None` when there are no words, or when it is itself an exact copy.
    pub signature: Option<Signature>,
    /// The Jaccard index from which on another one is a near copy, 0 to 1.
    pub near: f64,
}

/// A document that says the same as another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Alike {
    /// Where the other one came from.
    pub source: String,
    /// They have the same words, in the same order.
    pub exact: bool,
    /// The Jaccard index of their shingles, 0 to 1; 1 for the same words.
    pub similarity: f64,
}

/// Documents on one side of a source.
#[derive(Clone, Copy)]
enum Side {
    /// Those that it is compared with.
    Before,
    /// Those that are compared with it.
    Behind,
}

impl Scope {
    /// The document that the one of this source is a copy of: the one with the same words, else the most alike of those that
    /// are near, else none. Of others, only those whose sources `counts` are asked.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn copied(&self, view: View<'_>, source: &str, marks: &Marks, counts: &dyn Fn(&str) -> bool) -> Result<Option<Alike>> {
        let sql = "SELECT source FROM document WHERE collection = ?1 AND words = ?2 AND source < ?3 AND reason IS NULL \
            ORDER BY source";
        let same = view.all(sql, values![self.id(), marks.words, source], |row| Ok(row.text(0)?.to_owned()))?;
        if let Some(source) = same.into_iter().find(|source| counts(source)) {
            return Ok(Some(Alike { source, exact: true, similarity: 1.0 }));
        }
        let mut nearest: Option<Alike> = None;
        self.near(view, source, marks, Side::Before, &mut |_, source, similarity| {
            if counts(source) && nearest.as_ref().is_none_or(|n| similarity > n.similarity) {
                nearest = Some(Alike { source: source.to_owned(), exact: false, similarity });
            }
        })?;
        Ok(nearest)
    }

    /// Near copies on one side of a source, in order: number, source, similarity.
    fn near(&self, view: View<'_>, source: &str, marks: &Marks, side: Side, each: &mut dyn FnMut(i64, &str, f64)) -> Result<()> {
        let Some(signature) = &marks.signature else { return Ok(()) };
        let bands = signature.bands(self.tenant.salt());
        let places: Vec<String> = (3..bands.len() + 3).map(|i| format!("?{i}")).collect();
        let side = match side {
            Side::Before => "d.source < ?2 AND d.reason IS NULL",
            Side::Behind => "d.source > ?2",
        };
        let sql = format!(
            "SELECT d.id, d.source, s.minima FROM signature s JOIN document d ON d.id = s.document WHERE {side} AND d.id IN \
             (SELECT document FROM band WHERE collection = ?1 AND hash IN ({})) ORDER BY d.source",
            places.join(", ")
        );
        let mut values: Vec<Value> = values![self.id(), source].to_vec();
        values.extend(bands.iter().map(|band| Value::from(band.cast_signed())));
        view.each(&sql, &values, |row| {
            let other = Signature::from_bytes(&self.tenant.masked(row.blob(2)?));
            let similarity = other.map_or(0.0, |other| signature.similarity(&other));
            if similarity >= marks.near {
                each(row.int(0)?, row.text(1)?, similarity);
            }
            Ok(())
        })
    }
}

/// Marks the documents behind a source that say the same as what was put in there.
pub(super) fn appeared(tx: &Tx<'_>, scope: &Scope, source: &str, marks: &Marks) -> Result<()> {
    let sql = "UPDATE document SET stale = 1 WHERE collection = ?1 AND words = ?2 AND source > ?3";
    tx.execute(sql, values![scope.id(), marks.words, source])?;
    let mut behind = Vec::new();
    scope.near(tx.view(), source, marks, Side::Behind, &mut |id, _, _| behind.push(id))?;
    for id in behind {
        tx.execute("UPDATE document SET stale = 1 WHERE id = ?1", values![id])?;
    }
    Ok(())
}

/// Marks the documents that were found to be copies of the one of this source, which no longer says what it said.
pub(super) fn went(tx: &Tx<'_>, scope: &Scope, source: &str) -> Result<()> {
    let sql = "UPDATE document SET stale = 1 WHERE collection = ?1 AND copy_of = ?2";
    tx.execute(sql, values![scope.id(), source]).map(|_| ())
}
