//! Tables of data as files and queries carry them: typed columns, each read on its own, in bounded memory.
//!
//! A column is read as often as wanted, in runs of cells in the order of the rows, so that the cells of two columns can be laid
//! beside each other (their runs may end at different rows). What cannot be read as its column's kind is never dropped in
//! silence: it is counted, and reads as absent. What was wrong with a file beyond single cells is a [`Remark`].
//!
//! CSV, JSON and the rows of a query are read once, into a spool of columns; columns of Parquet stay where they are. The rules of
//! reading are in `docs/drift.md#data`.

mod array;
mod cell;
mod csv;
mod decode;
mod input;
mod jsonl;
mod parquet;
mod query;
pub mod separator;
mod spool;
mod table;
mod tally;

pub use input::{EachBytes, Input};
pub use table::open;

use crate::base::digest::Digest;
use crate::base::error::Result;
use std::fmt;

/// Characters of an example.
const EXAMPLE: usize = 60;

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
    /// What its cells are read as: the kind that was expected of it, while at most half of its cells are bad as that; else `own`.
    pub kind: Kind,
    /// What its cells are when nothing is expected of them. Another family than `kind` (words for numbers) is a change of the schema.
    pub own: Kind,
    /// Cells that are there and cannot be read as this kind; they read as absent.
    pub bad: u64,
    /// The first of them as it is written, shortened, and its row, from 1.
    pub example: Option<(u64, String)>,
    /// Why its cells cannot be read at all; reading them gives that error.
    pub unread: Option<String>,
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

/// Takes runs of cells; an error ends the reading.
pub type Each<'a> = &'a mut dyn FnMut(Cells<'_>) -> Result<()>;

/// One file that a table was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, for people.
    pub name: String,
    /// The digest of all its bytes as they were read, or what stands in for it.
    pub digest: Digest,
    /// Their number.
    pub bytes: u64,
    /// Rows that it gave to the table.
    pub rows: u64,
    /// How it was read: `CSV, UTF-8, separated by ;`, `Parquet`.
    pub format: String,
}

/// What was wrong with a file beyond single cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The name of the [`Source`].
    pub source: String,
    /// What it was.
    pub what: Trouble,
    /// How often.
    pub count: u64,
    /// The first: its row in the file, from 1 after the header (0 is the header), and in a few words what was there.
    pub example: (u64, String),
}

/// Kinds of trouble with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// A row has fewer or more cells than the header; it was left out.
    RaggedRow,
    /// A quote is never closed: all that follows it is in one cell.
    OpenQuote,
    /// A line is no object of JSON; it was left out.
    NotAnObject,
    /// A row holds bytes that are no characters; they read as U+FFFD.
    Undecodable,
    /// A column has no name, or one that another column has; it got a name of its own.
    Renamed,
    /// There is no header; columns are named by their numbers.
    NoHeader,
    /// A column holds what no cell can be: maps, lists of anything but numbers; it was left out.
    Unread,
    /// A column of another file of the table is not in this one; its cells read as absent.
    MissingColumn,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RaggedRow => "rows left out, because they have fewer or more cells than the header",
            Self::OpenQuote => "quotes that are never closed, so that all that follows is in one cell",
            Self::NotAnObject => "lines left out, because they are no objects of JSON",
            Self::Undecodable => "rows with bytes that are no characters",
            Self::Renamed => "columns named by kf, because their names are empty or taken",
            Self::NoHeader => "no header: columns are named by their numbers",
            Self::Unread => "columns left out, because they hold maps or lists of anything but numbers",
            Self::MissingColumn => "columns absent, because the file does not have them",
        })
    }
}

/// Rows and columns that can be read one column at a time, by several threads if need be.
pub trait Table: Send + Sync {
    /// The columns in the order of the file.
    fn columns(&self) -> &[Column];
    /// Rows of every column.
    fn rows(&self) -> u64;
    /// Hands out the cells of a column, run by run.
    ///
    /// # Errors
    /// When the data cannot be read (again), or what `each` returns.
    fn read(&self, column: usize, each: Each<'_>) -> Result<()>;
    /// The files that it was read from.
    fn sources(&self) -> &[Source] {
        &[]
    }
    /// What was wrong with them beyond single cells.
    fn remarks(&self) -> &[Remark] {
        &[]
    }
}
