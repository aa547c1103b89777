//! Rows of a query on a database that is not the state's: a warehouse, the file of another program.
//!
//! Nothing is written there: on PostgreSQL a transaction reads only, an SQLite file is opened for reading only, and a query is one
//! statement that gives rows. All rows are of one moment. One row is in memory at a time, and no error shows an address with
//! its password.

use super::{postgres, sqlite};
use crate::base::error::{Context, Result};
use crate::config::secret::Secret;
use std::path::{Path, PathBuf};

/// Where the rows are.
#[derive(Clone, Debug)]
pub enum Foreign {
    /// In an SQLite file.
    Sqlite(PathBuf),
    /// On a PostgreSQL server: `postgres://…`, with a password or without.
    Postgres(Secret),
}

/// One cell of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignCell<'a> {
    /// NULL.
    Absent,
    /// A number, a time, `true` or `false`, or a vector (`[1,2]`), as it is written.
    Bare(&'a str),
    /// A text.
    Quoted(&'a str),
}

/// What a query gives, in this order.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// First the names of the columns, which need not differ.
    Names(&'a [String]),
    /// Then each row.
    Row(&'a [ForeignCell<'a>]),
}

/// Takes what a query gives; an error ends it.
pub type EachPiece<'a> = &'a mut dyn FnMut(Piece<'_>) -> Result<()>;

impl Foreign {
    /// The database of an address that was kept as a secret; `root` is where a relative path begins. `None` when it is none.
    pub fn of_address(address: Secret, root: &Path) -> Option<Self> {
        let text = address.expose();
        if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Some(Self::Sqlite(root.join(path)));
        }
        let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
        is_url.then_some(Self::Postgres(address))
    }

    /// What it is, for people; never with a password.
    pub fn describe(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("SQLite {}", path.display()),
            Self::Postgres(url) => postgres::server(url.expose()),
        }
    }

    /// The engine: `PostgreSQL`, `SQLite`.
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Runs a query and hands out what it gives.
    ///
    /// # Errors
    /// When the database cannot be reached, refuses the query, or the query gives no rows by its kind or writes; and what `each`
    /// returns.
    pub fn rows(&self, sql: &str, each: EachPiece<'_>) -> Result<()> {
        let read = match self {
            Self::Sqlite(path) => sqlite::query::rows(path, sql, each),
            Self::Postgres(url) => postgres::copy::rows(url, sql, each),
        };
        read.context(|| format!("cannot read the rows of the query from {}", self.describe()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_described_without_its_password() {
        let root = Path::new("/shop");
        let of = |text: &str| Foreign::of_address(Secret::new(text.to_owned()), root).map(|place| place.describe());
        assert_eq!(of("sqlite:data/shop.db").as_deref(), Some("SQLite /shop/data/shop.db"));
        assert_eq!(of("postgres://me:hunter2@db:5433/shop").as_deref(), Some("PostgreSQL db:5433/shop"));
        for text in ["", "sqlite:", "hunter2", "mysql://me:hunter2@db/shop"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
