//! Documents of a collection that say the same.

use super::super::quality::duplicate::Signature;
use super::Scope;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::store::{Value, View, values};

/// A document that says the same as another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Alike {
    /// Where the other one came from.
    pub source: String,
    /// The Jaccard index of their shingles, 0 to 1; 1 for the same words.
    pub similarity: f64,
}

impl Scope {
    /// A document other than `source` with exactly these words.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn same_words(&self, view: View<'_>, words: &Digest, source: &str) -> Result<Option<Alike>> {
        let sql = "SELECT source FROM document WHERE collection = ?1 AND words = ?2 AND source <> ?3 ORDER BY source LIMIT 1";
        view.first(sql, values![self.id(), *words, source], |row| Ok(Alike { source: row.text(0)?.to_owned(), similarity: 1.0 }))
    }

    /// The document other than `source` that is most alike, of those that share a band and are at least so similar.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn nearest_copy(&self, view: View<'_>, signature: &Signature, source: &str, at_least: f64) -> Result<Option<Alike>> {
        let bands = signature.bands(self.tenant.salt());
        let marks: Vec<String> = (3..bands.len() + 3).map(|i| format!("?{i}")).collect();
        let sql = format!(
            "SELECT d.source, s.minima FROM signature s JOIN document d ON d.id = s.document WHERE d.source <> ?2 AND d.id IN \
             (SELECT document FROM band WHERE collection = ?1 AND hash IN ({})) ORDER BY d.source",
            marks.join(", ")
        );
        let mut values: Vec<Value> = values![self.id(), source].to_vec();
        values.extend(bands.iter().map(|band| Value::from(band.cast_signed())));
        let mut nearest: Option<Alike> = None;
        view.each(&sql, &values, |row| {
            let similarity =
                Signature::from_bytes(&self.tenant.masked(row.blob(1)?)).map_or(0.0, |other| signature.similarity(&other));
            if similarity >= at_least && nearest.as_ref().is_none_or(|n| similarity > n.similarity) {
                nearest = Some(Alike { source: row.text(0)?.to_owned(), similarity });
            }
            Ok(())
        })?;
        Ok(nearest)
    }
}
