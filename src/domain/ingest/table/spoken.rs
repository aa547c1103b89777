//! What one document speaks of as it is kept, read whole: for comparing it, handing it out, and telling other engines.

use super::Scope;
use crate::base::error::Result;
use crate::seams::graph::{Mentioned, Named, Related, Spoken};
use crate::store::{Row, View, values};

fn named(row: &Row<'_>, first: usize) -> Result<Named> {
    let text = |i: usize| row.text(first + i).map(str::to_owned);
    Ok(Named { kind: text(0)?, key: text(1)?, name: text(2)? })
}

impl Scope {
    /// What a document speaks of; rows whose thing is gone are left out.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn spoken(&self, view: View<'_>, document: i64) -> Result<Spoken> {
        let sql = "SELECT e.kind, e.key, e.name, m.start, m.stop, m.chunk_pos, m.method, m.confidence FROM mention m \
            JOIN entity e ON e.id = m.entity AND e.collection = m.collection WHERE m.collection = ?1 AND m.document = ?2";
        let mentions = view.all(sql, values![self.id(), document], |row| {
            let (start, stop, chunk, confidence) = (row.int(3)?, row.int(4)?, row.int(5)?, row.int(7)?);
            Ok(Mentioned { start, stop, thing: named(row, 0)?, chunk, method: row.text(6)?.to_owned(), confidence })
        })?;
        let sql = "SELECT s.kind, s.key, s.name, g.relation, o.kind, o.key, o.name, g.start, g.stop, g.method, g.confidence \
            FROM edge g JOIN entity s ON s.id = g.subject AND s.collection = g.collection \
            JOIN entity o ON o.id = g.object AND o.collection = g.collection WHERE g.collection = ?1 AND g.document = ?2";
        let relations = view.all(sql, values![self.id(), document], |row| {
            let (relation, method) = (row.text(3)?.to_owned(), row.text(9)?.to_owned());
            let (start, stop, confidence) = (row.int(7)?, row.int(8)?, row.int(10)?);
            Ok(Related { relation, start, stop, subject: named(row, 0)?, object: named(row, 4)?, method, confidence })
        })?;
        Ok(Spoken { mentions, relations }.sorted())
    }
}
