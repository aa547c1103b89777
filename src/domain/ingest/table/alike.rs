//! Documents of a collection that say the same.

use super::super::quality::duplicate::Signature;
use super::Scope;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::store::{Value, View, values};

/// A document that says the same as another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Alike {
    /// The public id of the other one.
    pub uid: String,
    /// Where the other one came from.
    pub source: String,
    /// The Jaccard index of their shingles, 0 to 1; 1 for the same words.
    pub similarity: f64,
}

impl Scope {
    /// A document with exactly these words, of those whose sources `counts`.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn same_words(&self, view: View<'_>, words: &Digest, counts: &dyn Fn(&str) -> bool) -> Result<Option<Alike>> {
        let sql = "SELECT source, uid FROM document WHERE collection = ?1 AND words = ?2 ORDER BY source";
        let mut found = None;
        view.each(sql, values![self.id(), *words], |row| {
            let source = row.text(0)?;
            if found.is_none() && counts(source) {
                found = Some(Alike { uid: row.text(1)?.to_owned(), source: source.to_owned(), similarity: 1.0 });
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The document that is most alike, of those that share a band and whose sources `counts`.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn nearest_copy(&self, view: View<'_>, signature: &Signature, counts: &dyn Fn(&str) -> bool) -> Result<Option<Alike>> {
        let bands = signature.bands(self.tenant.salt());
        let marks: Vec<String> = (2..bands.len() + 2).map(|i| format!("?{i}")).collect();
        let sql = format!(
            "SELECT d.source, d.uid, s.minima FROM signature s JOIN document d ON d.id = s.document WHERE d.id IN \
             (SELECT document FROM band WHERE collection = ?1 AND hash IN ({})) ORDER BY d.source",
            marks.join(", ")
        );
        let mut values: Vec<Value> = values![self.id()].to_vec();
        values.extend(bands.iter().map(|band| Value::from(band.cast_signed())));
        let mut nearest: Option<Alike> = None;
        view.each(&sql, &values, |row| {
            let source = row.text(0)?;
            if !counts(source) {
                return Ok(());
            }
            let similarity =
                Signature::from_bytes(&self.tenant.masked(row.blob(2)?)).map_or(0.0, |other| signature.similarity(&other));
            if nearest.as_ref().is_none_or(|n| similarity > n.similarity) {
                nearest = Some(Alike { uid: row.text(1)?.to_owned(), source: source.to_owned(), similarity });
            }
            Ok(())
        })?;
        Ok(nearest)
    }
}
