//! Rows of a query on a database, read into columns as if they were lines of JSON.
//!
//! What is hashed is the text of the query, the names of the columns and every cell in the order in which they came: a query with
//! `ORDER BY` over rows that did not change has the same digest again.

use super::cell::Dialect;
use super::spool::Spill;
use super::table::{Gathered, Remarks, unique};
use super::{Input, Source};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::Result;
use crate::store::db::{Foreign, ForeignCell, Piece};

/// A query on a database.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) place: Foreign,
    pub(super) sql: String,
}

/// Runs a query and reads what it gives.
///
/// # Errors
/// When it is refused, or the columns cannot be kept.
pub(super) fn read(input: &Input, query: &Query, spill: &mut Spill, remarks: &mut Remarks) -> Result<(Gathered, Source)> {
    let mut table = Gathered::new(Vec::new(), Dialect::default());
    let mut canonical = Canonical::new(&query.sql);
    query.place.rows(&query.sql, &mut |piece| {
        match piece {
            Piece::Names(names) => {
                names.iter().for_each(|name| canonical.add(1, name));
                table = Gathered::new(unique(names.to_vec(), remarks), Dialect::default());
            }
            Piece::Row(cells) => {
                for (column, cell) in cells.iter().enumerate() {
                    match cell {
                        ForeignCell::Absent => canonical.add(0, ""),
                        ForeignCell::Bare(text) => {
                            canonical.add(1, text);
                            table.push(column, text, false, spill)?;
                        }
                        ForeignCell::Quoted(text) => {
                            canonical.add(2, text);
                            table.push(column, text, true, spill)?;
                        }
                    }
                }
                table.rows += 1;
            }
        }
        Ok(())
    })?;
    table.finish(spill)?;
    let (digest, bytes) = canonical.finish();
    let format = format!("rows of a query, {}", query.place.engine());
    let source = Source { name: input.name().to_owned(), digest, bytes, rows: table.rows, format };
    Ok((table, source))
}

/// One way to write what a query gave: each text after a byte that tells what it is and its length in eight, little end first.
struct Canonical {
    hasher: Hasher,
    bytes: u64,
}

impl Canonical {
    fn new(sql: &str) -> Self {
        let mut canonical = Self { hasher: Hasher::new(), bytes: 0 };
        canonical.add(1, sql);
        canonical
    }

    fn add(&mut self, what: u8, text: &str) {
        let length = text.len() as u64;
        self.hasher.update(&[what]);
        self.hasher.update(&length.to_le_bytes());
        self.hasher.update(text.as_bytes());
        self.bytes += 9 + length;
    }

    fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.bytes)
    }
}
