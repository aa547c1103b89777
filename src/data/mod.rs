//! Tables of data as files carry them: typed columns, each read on its own, in bounded memory.
//!
//! A column is read as often as wanted, in runs of cells in the order of the rows, so that the cells of two columns can be laid
//! beside each other. What cannot be read as its column's kind is never dropped in silence: it is counted, and reads as absent.

use crate::base::error::Result;

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers that all are whole, read as `f64`.
    Integer,
    /// Numbers, read as `f64`; NaN and infinities are kept.
    Number,
    /// Points in time, read as seconds since 1970-01-01T00:00:00Z.
    Time,
    /// `true` and `false`, read as these words.
    Boolean,
    /// Words or texts.
    Text,
    /// Vectors of one width.
    Vector {
        /// Numbers in each.
        width: usize,
    },
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name in the header.
    pub name: String,
    /// What its cells are.
    pub kind: Kind,
    /// Cells that are there and cannot be read as this kind; they read as absent.
    pub bad: u64,
    /// The first of them as it is written, shortened, and its row, from 1.
    pub example: Option<(u64, String)>,
}

/// A run of cells of one column, in the order of the rows.
#[derive(Clone, Copy, Debug)]
pub enum Cells<'a> {
    /// Of an integer, number or time column.
    Numbers(&'a [Option<f64>]),
    /// Of a boolean or text column.
    Texts(&'a [Option<&'a str>]),
    /// Of a vector column: `width` numbers a row; an absent row has zeros.
    Vectors {
        /// Numbers in each.
        width: usize,
        /// Row after row.
        values: &'a [f32],
        /// Which rows are there.
        present: &'a [bool],
    },
}

/// Rows and columns that can be read one column at a time.
pub trait Table {
    /// The columns in the order of the file.
    fn columns(&self) -> &[Column];
    /// Rows of every column.
    fn rows(&self) -> u64;
    /// Hands out the cells of a column, run by run.
    ///
    /// # Errors
    /// When the data cannot be read (again), or what `each` returns.
    fn read(&self, column: usize, each: &mut dyn FnMut(Cells<'_>) -> Result<()>) -> Result<()>;
}
