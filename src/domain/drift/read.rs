//! A column of a table read into its profile: numbers, levels, vectors. The cells of one column are in memory at a time.

use super::cloud::compare::compare;
use super::cloud::rule::{Limits, calibrated, specified};
use super::cloud::{CloudProfile, Fit, Refused, Tally};
use super::figures::Figures;
use super::levels::Levels;
use super::policy::Rule;
use super::profile::{Gathered, Numeric};
use super::texts::told;
use crate::base::error::{Error, Kind as Trouble, Result};
use crate::data::{Cells, Column, Table};

/// Draws of rows are always the same.
pub(super) const SEED: u64 = 20_261_121;

/// The numbers of a column, counted in cells with these edges, or at quantiles of its own.
///
/// # Errors
/// When it cannot be read; as for all below.
pub(super) fn numbers(table: &dyn Table, at: usize, edges: Option<&[f64]>) -> Result<Numeric> {
    let mut gathered = Gathered::with_room(room(table));
    numbers_of(table, at, &mut |run| run.iter().for_each(|cell| gathered.add(*cell)))?;
    whole(gathered.profile(edges))
}

/// The same of a reference, with cells of its own, and whether its numbers go one way: each is there, and is above or each is below the
/// one of the row before.
pub(super) fn numbers_one_way(table: &dyn Table, at: usize) -> Result<(Numeric, bool)> {
    let mut gathered = Gathered::with_room(room(table));
    let (mut before, mut up, mut down) = (None, 0, 0);
    numbers_of(table, at, &mut |run| {
        for cell in run {
            if let Some((before, now)) = before.zip(*cell) {
                up += u64::from(now > before);
                down += u64::from(now < before);
            }
            before = *cell;
            gathered.add(*cell);
        }
    })?;
    let steps = table.rows().saturating_sub(1);
    Ok((whole(gathered.profile(None))?, steps > 0 && (up == steps || down == steps)))
}

fn whole(profile: Option<Numeric>) -> Result<Numeric> {
    profile.ok_or_else(|| Error::of(Trouble::Bug, "the cells of a stored profile do not ascend"))
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
    words(table, at, &mut |cell| levels.add(cell, 1))?;
    Ok(levels)
}

/// Every cell of a column as a word: numbers as they are written, so that a code reads alike as a word and as a number; NaN is none.
pub(super) fn words(table: &dyn Table, at: usize, each: &mut dyn FnMut(Option<&str>)) -> Result<()> {
    table.read(at, &mut |run| match run {
        Cells::Texts(run) => {
            run.iter().for_each(|cell| each(*cell));
            Ok(())
        }
        Cells::Numbers(run) => {
            run.iter().for_each(|cell| each(cell.filter(|v| !v.is_nan()).map(|v| v.to_string()).as_deref()));
            Ok(())
        }
        Cells::Vectors { .. } => Err(unlike(&table.columns()[at])),
    })
}

/// Gives the runs of a column of texts to `add`, whose error ends the reading.
pub(super) fn texts(table: &dyn Table, at: usize, add: &mut dyn FnMut(&[Option<&str>]) -> Result<()>) -> Result<()> {
    table.read(at, &mut |run| match run {
        Cells::Texts(run) => add(run),
        Cells::Numbers(_) | Cells::Vectors { .. } => Err(unlike(&table.columns()[at])),
    })
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

/// The vectors of a reference, or why there is no profile of them. `text` is the column that says what they stand for, and whether by digests.
pub(super) fn reference(
    table: &dyn Table,
    at: usize,
    width: usize,
    text: Option<(usize, bool)>,
) -> Result<Result<CloudProfile, Refused>> {
    let mut profile = match learnt(width, table.rows(), None, &|add| vectors(table, at, add))? {
        Ok(profile) => profile,
        Err(refused) => return Ok(Err(refused)),
    };
    if let Some((text, digests)) = text {
        name(table, text, digests, &mut profile)?;
    }
    Ok(Ok(profile.stored()))
}

/// The profile of about `rows` vectors of a reference, which `give` gives as often as it is asked, or why there is none.
pub(super) fn learnt(
    width: usize,
    rows: u64,
    model: Option<&str>,
    give: &dyn Fn(Add<'_>) -> Result<()>,
) -> Result<Result<CloudProfile, Refused>> {
    let mut fit = match Fit::new(width, rows, model, SEED) {
        Ok(fit) => fit,
        Err(refused) => return Ok(Err(refused)),
    };
    give(&mut |width, values, present| fit.add(width, values, present))?;
    let mut tally = match fit.frame() {
        Ok(frame) => Tally::reference(frame, rows),
        Err(refused) => return Ok(Err(refused)),
    };
    give(&mut |width, values, present| tally.add(width, values, present))?;
    Ok(Ok(tally.profile()))
}

/// Tells a profile in words, or by digests, what the rows stand for that it would name.
fn name(table: &dyn Table, text: usize, digests: bool, profile: &mut CloudProfile) -> Result<()> {
    let (wanted, mut row) = (profile.wanted(), 0);
    texts(table, text, &mut |run| {
        for cell in run {
            if let Some(text) = cell.filter(|_| wanted.contains(&row)) {
                profile.tell(row, &told(text, digests));
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
    ruled(reference, &tally.profile(), rule)
}

/// The figures of two profiles as a rule reads them.
pub(super) fn ruled(reference: &CloudProfile, current: &CloudProfile, rule: Rule) -> Result<Figures> {
    let found = compare(reference, current).map_err(Error::new)?;
    let limits = Limits::default();
    let ruling = match rule {
        Rule::Calibrated => calibrated(&found, None, &limits),
        Rule::Spec => specified(&found, &limits),
    };
    Ok(Figures::of_vectors(reference, current, &found, &ruling))
}

fn unlike(column: &Column) -> Error {
    Error::of(Trouble::Bug, format!("the column `{}` gives other cells than it says", column.name))
}
