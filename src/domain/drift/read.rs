//! A column of a table read into its profile: numbers, levels, vectors. The cells of one column are in memory at a time.

use super::cloud::compare::compare;
use super::cloud::rule::{Limits, calibrated, specified};
use super::cloud::{CloudProfile, Fit, Refused, Tally};
use super::figures::Figures;
use super::levels::Levels;
use super::policy::Rule;
use super::profile::{Gathered, Numeric};
use crate::base::error::{Error, Kind as Trouble, Result};
use crate::data::{Cells, Column, Table};

/// Draws of rows are always the same.
const SEED: u64 = 20_261_121;

/// The numbers of a column, counted in cells with these edges, or at quantiles of its own.
///
/// # Errors
/// When it cannot be read; as for all below.
pub(super) fn numbers(table: &dyn Table, at: usize, edges: Option<&[f64]>) -> Result<Numeric> {
    let mut gathered = Gathered::with_room(room(table));
    numbers_of(table, at, &mut |run| run.iter().for_each(|cell| gathered.add(*cell)))?;
    gathered.profile(edges).ok_or_else(|| Error::of(Trouble::Bug, "the cells of a stored profile do not ascend"))
}

/// The cells of a column of numbers.
pub(super) fn cells(table: &dyn Table, at: usize) -> Result<Vec<Option<f64>>> {
    let mut cells: Vec<Option<f64>> = Vec::with_capacity(room(table));
    numbers_of(table, at, &mut |run| cells.extend_from_slice(run))?;
    Ok(cells)
}

/// Gives the runs of a column of numbers to `add`.
fn numbers_of(table: &dyn Table, at: usize, add: &mut dyn FnMut(&[Option<f64>])) -> Result<()> {
    table.read(at, &mut |run| match run {
        Cells::Numbers(run) => {
            add(run);
            Ok(())
        }
        Cells::Texts(_) | Cells::Vectors { .. } => Err(unlike(&table.columns()[at])),
    })
}

/// Cells that there is room to be made for at once: a file may name more rows than it has.
fn room(table: &dyn Table) -> usize {
    usize::try_from(table.rows()).unwrap_or(usize::MAX).min(1 << 22)
}

/// The levels of a column.
pub(super) fn levels(table: &dyn Table, at: usize) -> Result<Levels> {
    let mut levels = Levels::default();
    table.read(at, &mut |run| match run {
        Cells::Texts(run) => {
            run.iter().for_each(|cell| levels.add(*cell, 1));
            Ok(())
        }
        Cells::Numbers(run) => {
            // Whole numbers as they are written, so that a code reads alike as a word and as a number.
            run.iter().for_each(|cell| levels.add(cell.map(|v| v.to_string()).as_deref(), 1));
            Ok(())
        }
        Cells::Vectors { .. } => Err(unlike(&table.columns()[at])),
    })?;
    Ok(levels)
}

/// Takes a run of vectors: numbers in each, row after row, which rows are there.
type Add<'a> = &'a mut dyn FnMut(usize, &[f32], &[bool]) -> Result<(), Refused>;

/// Gives the runs of a column of vectors to `add`.
fn vectors(table: &dyn Table, at: usize, add: Add<'_>) -> Result<()> {
    table.read(at, &mut |run| match run {
        Cells::Vectors { width, values, present } => add(width, values, present).map_err(Error::new),
        Cells::Numbers(_) | Cells::Texts(_) => Err(unlike(&table.columns()[at])),
    })
}

/// The vectors of a reference, or why there is no profile of them. `text` is the column that says in words what they stand for.
pub(super) fn reference(
    table: &dyn Table,
    at: usize,
    width: usize,
    text: Option<usize>,
) -> Result<Result<CloudProfile, Refused>> {
    let mut fit = match Fit::new(width, table.rows(), None, SEED) {
        Ok(fit) => fit,
        Err(refused) => return Ok(Err(refused)),
    };
    vectors(table, at, &mut |width, values, present| fit.add(width, values, present))?;
    let mut tally = match fit.frame() {
        Ok(frame) => Tally::reference(frame, table.rows()),
        Err(refused) => return Ok(Err(refused)),
    };
    vectors(table, at, &mut |width, values, present| tally.add(width, values, present))?;
    let mut profile = tally.profile();
    if let Some(text) = text {
        name(table, text, &mut profile)?;
    }
    Ok(Ok(profile.stored()))
}

/// Tells a profile in words what the rows stand for that it would name.
fn name(table: &dyn Table, text: usize, profile: &mut CloudProfile) -> Result<()> {
    let (wanted, mut row) = (profile.wanted(), 0);
    table.read(text, &mut |run| {
        let Cells::Texts(run) = run else { return Err(unlike(&table.columns()[text])) };
        for cell in run {
            if let Some(text) = cell.filter(|_| wanted.contains(&row)) {
                profile.tell(row, text);
            }
            row += 1;
        }
        Ok(())
    })
}

/// New vectors beside those of a reference.
pub(super) fn beside(reference: &CloudProfile, table: &dyn Table, at: usize, rule: Rule) -> Result<Figures> {
    let mut tally = Tally::current(reference, table.rows(), None).map_err(Error::new)?;
    vectors(table, at, &mut |width, values, present| tally.add(width, values, present))?;
    let current = tally.profile();
    let found = compare(reference, &current).map_err(Error::new)?;
    let limits = Limits::default();
    let ruling = match rule {
        Rule::Calibrated => calibrated(&found, None, &limits),
        Rule::Spec => specified(&found, &limits),
    };
    Ok(Figures::of_vectors(reference, &current, &found, &ruling))
}

fn unlike(column: &Column) -> Error {
    Error::of(Trouble::Bug, format!("the column `{}` gives other cells than it says", column.name))
}
