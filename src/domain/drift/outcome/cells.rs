//! In which cell of a column each row is: its level among those of the reference, or its range.
//!
//! One byte a row, so that several columns can be laid beside each other.

use crate::base::error::{Error, Kind as Trouble, Result};
use crate::base::text::visible;
use crate::data::{Kind, Table};
use crate::domain::drift::baseline::{Profile, told};
use crate::domain::drift::bins::Histogram;
use crate::domain::drift::profile::exact;
use crate::domain::drift::read;
use crate::domain::drift::why::{OTHERS, range};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A row without a value.
pub(super) const NONE: u8 = u8::MAX;
/// Levels that have a cell of their own.
const LEVELS_MAX: usize = 50;

/// The cells of a column as its reference has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Places {
    /// Its largest levels; one more cell is of all others.
    Levels(Vec<String>),
    /// Ranges with these upper edges; one more cell is above.
    Edges(#[serde(with = "exact::list")] Vec<f64>),
}

impl Places {
    /// Those of a profile; `None` of one that has no cells.
    pub(super) fn of(profile: &Profile) -> Option<Self> {
        match profile {
            Profile::Levels(levels) => {
                let mut largest: Vec<(&str, u64)> = levels.counts().collect();
                largest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
                Some(Self::Levels(largest.into_iter().take(LEVELS_MAX).map(|(name, _)| name.to_owned()).collect()))
            }
            Profile::Numbers(numbers) => Some(Self::Edges(numbers.histogram().edges().to_vec())),
            _ => None,
        }
    }

    /// How many there are.
    pub(super) fn cells(&self) -> usize {
        1 + match self {
            Self::Levels(names) => names.len(),
            Self::Edges(edges) => edges.len(),
        }
    }

    /// A cell in words.
    pub(super) fn label(&self, cell: usize) -> String {
        match self {
            Self::Levels(names) => names.get(cell).cloned().unwrap_or_else(|| OTHERS.to_owned()),
            Self::Edges(edges) => range(cell.checked_sub(1).and_then(|i| edges.get(i).copied()), edges.get(cell).copied()),
        }
    }

    /// True for the cell of all levels that have none of their own, which is no slice.
    pub(super) fn is_rest(&self, cell: usize) -> bool {
        matches!(self, Self::Levels(names) if cell >= names.len())
    }

    /// The cell of each row.
    ///
    /// # Errors
    /// When the column cannot be read, or holds something else.
    pub(super) fn read(&self, table: &dyn Table, at: usize) -> Result<Vec<u8>> {
        let byte = |cell: usize| u8::try_from(cell).unwrap_or(NONE);
        match self {
            Self::Levels(names) => {
                let known: HashMap<&str, u8> = names.iter().enumerate().map(|(i, name)| (name.as_str(), byte(i))).collect();
                let rest = byte(names.len());
                let mut cells = Vec::new();
                read::words(table, at, &mut |cell| {
                    cells.push(cell.map_or(NONE, |cell| known.get(cell).copied().unwrap_or(rest)))
                })?;
                Ok(cells)
            }
            Self::Edges(edges) => {
                let histogram = Histogram::empty(edges.clone())
                    .ok_or_else(|| Error::of(Trouble::Bug, "the edges of a stored profile do not ascend"))?;
                let cell = |value: Option<f64>| value.map_or(NONE, |value| byte(histogram.cell(value)));
                Ok(numbers(table, at)?.into_iter().map(cell).collect())
            }
        }
    }
}

/// The number of a column in a table.
pub(super) fn at_of(table: &dyn Table, name: &str) -> Option<usize> {
    table.columns().iter().position(|column| told(&column.name) == name)
}

/// Every finite number of a column.
///
/// # Errors
/// When it cannot be read, or is of words or vectors.
pub(super) fn numbers(table: &dyn Table, at: usize) -> Result<Vec<Option<f64>>> {
    let column = &table.columns()[at];
    if !matches!(column.kind, Kind::Integer | Kind::Number | Kind::Time) {
        return Err(Error::usage(format!("the column `{}` holds no numbers", visible(&column.name, 60))));
    }
    let finite = |cell: Option<f64>| cell.filter(|value| value.is_finite());
    Ok(read::cells(table, at)?.into_iter().map(finite).collect())
}
