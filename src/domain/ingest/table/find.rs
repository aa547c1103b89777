//! Which chunks are looked at: their vectors, and the filters that a query sets.

use super::Scope;
use crate::base::error::{Error, Result};
use crate::base::text::{did_you_mean, visible};
use crate::store::vectors::Truth;
use crate::store::{Row, Value, View, values};
use std::collections::{HashMap, HashSet};

/// How many numbers one statement names.
const AT_ONCE: usize = 500;

/// The vectors of one collection, as a search reads them.
pub struct Vectors<'a> {
    /// The state.
    pub view: View<'a>,
    /// The collection.
    pub scope: &'a Scope,
}

impl Truth for Vectors<'_> {
    fn after(&self, after: i64, most: usize, each: &mut dyn FnMut(i64, &[u8]) -> Result<()>) -> Result<()> {
        let sql = "SELECT number, vector FROM chunk WHERE collection = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.view.each(sql, values![self.scope.id(), after, most], |row| each(row.int(0)?, row.blob(1)?))
    }

    fn these(&self, numbers: &[i64], each: &mut dyn FnMut(i64, &[u8]) -> Result<()>) -> Result<()> {
        let select = "SELECT c.number, c.vector FROM chunk c";
        self.scope.of_chunks(self.view, select, numbers, &mut |row| each(row.int(0)?, row.blob(1)?))
    }
}

/// One condition of a query: `language=de`, `format=pdf`, `source=manuals/`, or anything noted with `--meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// What is asked about.
    pub key: String,
    /// What it must be; for `source` what it must begin with.
    pub value: String,
}

impl std::str::FromStr for Filter {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self { key: key.to_owned(), value: value.to_owned() }),
            _ => {
                Err(Error::usage(format!("`{}` is not a filter", visible(text, 40)))
                    .hint("write KEY=VALUE, such as `language=de`"))
            }
        }
    }
}

/// What every document can be filtered by.
const BUILT_IN: [&str; 3] = ["language", "format", "source"];

/// Where a chunk stands among all of its collection: the source of its document, and which one of it.
pub type Position = (String, i64);

impl Scope {
    /// Where chunks stand, by their numbers; those that are gone are left out. Numbers tell when a chunk was made, positions only
    /// what it is.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn positions(&self, view: View<'_>, numbers: &[i64]) -> Result<HashMap<i64, Position>> {
        let mut positions = HashMap::with_capacity(numbers.len());
        let select = "SELECT c.number, d.source, c.pos FROM chunk c JOIN document d ON d.id = c.document";
        self.of_chunks(view, select, numbers, &mut |row| {
            positions.insert(row.int(0)?, (row.text(1)?.to_owned(), row.int(2)?));
            Ok(())
        })?;
        Ok(positions)
    }

    /// The rows of a query over chunks `c` for these numbers, a few hundred a statement.
    fn of_chunks(
        &self,
        view: View<'_>,
        select: &str,
        numbers: &[i64],
        each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        for some in numbers.chunks(AT_ONCE) {
            let marks: Vec<String> = (2..some.len() + 2).map(|i| format!("?{i}")).collect();
            let sql = format!("{select} WHERE c.collection = ?1 AND c.number IN ({})", marks.join(", "));
            let values: Vec<Value> = std::iter::once(self.id()).chain(some.iter().copied()).map(Value::from).collect();
            view.each(&sql, &values, &mut *each)?;
        }
        Ok(())
    }

    /// The numbers of the chunks whose documents meet all filters; `None` when there is no filter.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn filtered(&self, view: View<'_>, filters: &[Filter]) -> Result<Option<HashSet<i64>>> {
        let mut left: Option<HashSet<i64>> = None;
        for filter in filters {
            let meeting = self.meeting(view, filter)?;
            left = Some(left.map_or_else(|| meeting.clone(), |left| left.intersection(&meeting).copied().collect()));
        }
        Ok(left)
    }

    /// Filters by what no document of the collection has noted, each with the word that may have been meant.
    ///
    /// # Errors
    /// Only those of the state.
    pub fn misnamed(&self, view: View<'_>, filters: &[Filter]) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT m.key FROM document_meta m JOIN document d ON d.id = m.document WHERE d.collection = ?1 ORDER BY m.key";
        let noted = view.all(sql, values![self.id()], |row| row.text(0).map(str::to_owned))?;
        let known = || BUILT_IN.into_iter().chain(noted.iter().map(String::as_str));
        let wrong = filters.iter().filter(|f| !known().any(|k| k == f.key));
        let told = |f: &Filter| {
            let near = did_you_mean(&f.key, known()).map_or_else(String::new, |hint| format!(": {hint}"));
            format!("no document of {} has `{}` noted{near}", self.collection.name, visible(&f.key, 40))
        };
        Ok(wrong.map(told).collect())
    }

    fn meeting(&self, view: View<'_>, filter: &Filter) -> Result<HashSet<i64>> {
        let chunks = "SELECT c.number FROM chunk c JOIN document d ON d.id = c.document";
        let (sql, value) = match filter.key.as_str() {
            "language" | "format" => (
                format!("{chunks} WHERE d.collection = ?1 AND d.{} = ?2", filter.key),
                values![self.id(), &filter.value].to_vec(),
            ),
            "source" => {
                // The cast tells PostgreSQL which `length` is meant; both engines count characters.
                let sql = format!(
                    "{chunks} WHERE d.collection = ?1 AND substr(d.source, 1, length(CAST(?2 AS TEXT))) = CAST(?2 AS TEXT)"
                );
                (sql, values![self.id(), &filter.value].to_vec())
            }
            key => {
                let sql = format!(
                    "{chunks} JOIN document_meta m ON m.document = d.id WHERE d.collection = ?1 AND m.key = ?2 AND m.value = ?3"
                );
                (sql, values![self.id(), key, &filter.value].to_vec())
            }
        };
        Ok(view.all(&sql, &value, |row| row.int(0))?.into_iter().collect())
    }
}
