//! What one document speaks of as it is kept, read whole: for comparing it, handing it out, and telling other engines.

use super::Scope;
use crate::base::error::Result;
use crate::store::{Row, View, values};
use serde::{Deserialize, Serialize};

/// A thing by what makes it the same everywhere in a collection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Named {
    /// What it is.
    pub kind: String,
    /// What makes it the same thing.
    pub key: String,
    /// As it was written first.
    pub name: String,
}

/// Where the document speaks of a thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mentioned {
    /// The thing.
    #[serde(flatten)]
    pub thing: Named,
    /// Characters of the document's text.
    pub start: i64,
    /// Characters of the document's text.
    pub stop: i64,
    /// Which of its chunks holds it first.
    pub chunk: i64,
    /// What found it.
    pub method: String,
    /// 0 to 100.
    pub confidence: i64,
    /// That the chunk is there and holds it.
    #[serde(skip)]
    pub held: bool,
}

/// What the document says of two things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// The one.
    pub subject: Named,
    /// What is said.
    pub relation: String,
    /// The other.
    pub object: Named,
    /// Characters of the document's text that say so.
    pub start: i64,
    /// Characters of the document's text that say so.
    pub stop: i64,
    /// What found it.
    pub method: String,
    /// 0 to 100.
    pub confidence: i64,
}

/// All that a document speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// Where it speaks of what, by place.
    pub mentions: Vec<Mentioned>,
    /// What it says of two things, by relation and place.
    pub relations: Vec<Related>,
}

impl Spoken {
    /// Every thing, as often as it occurs.
    pub fn things(&self) -> impl Iterator<Item = &Named> {
        let related = self.relations.iter().flat_map(|r| [&r.subject, &r.object]);
        self.mentions.iter().map(|m| &m.thing).chain(related)
    }
}

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
        let sql = "SELECT e.kind, e.key, e.name, m.start, m.stop, m.chunk_pos, m.method, m.confidence, c.pos FROM mention m \
            JOIN entity e ON e.id = m.entity AND e.collection = m.collection \
            LEFT JOIN chunk c ON c.document = m.document AND c.pos = m.chunk_pos AND c.fresh <= m.start AND m.start < c.stop \
            WHERE m.collection = ?1 AND m.document = ?2 ORDER BY m.start";
        let mentions = view.all(sql, values![self.id(), document], |row| {
            let (method, held) = (row.text(6)?.to_owned(), row.opt_int(8)?.is_some());
            let (start, stop, chunk, confidence) = (row.int(3)?, row.int(4)?, row.int(5)?, row.int(7)?);
            Ok(Mentioned { thing: named(row, 0)?, start, stop, chunk, method, confidence, held })
        })?;
        let sql = "SELECT s.kind, s.key, s.name, g.relation, o.kind, o.key, o.name, g.start, g.stop, g.method, g.confidence \
            FROM edge g JOIN entity s ON s.id = g.subject AND s.collection = g.collection \
            JOIN entity o ON o.id = g.object AND o.collection = g.collection WHERE g.collection = ?1 AND g.document = ?2 \
            ORDER BY g.relation, g.start, s.kind, s.key, o.kind, o.key";
        let relations = view.all(sql, values![self.id(), document], |row| {
            let (relation, method) = (row.text(3)?.to_owned(), row.text(9)?.to_owned());
            let (start, stop, confidence) = (row.int(7)?, row.int(8)?, row.int(10)?);
            Ok(Related { subject: named(row, 0)?, relation, object: named(row, 4)?, start, stop, method, confidence })
        })?;
        Ok(Spoken { mentions, relations })
    }
}
