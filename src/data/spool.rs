//! Columns of written cells, kept column by column in bounded memory.
//!
//! Cells are kept as they are written, because what a column is shows only with its last cell. While a column has few levels, a
//! cell is the two bytes of its level's number; after that it is its length and its bytes. Full blocks stay in memory while all
//! columns together have room ([`Spill`]), then go to one temporary file that has no name.

use super::cell::{Dialect, vector};
use super::input::more_room;
use super::tally::Tally;
use super::{Cells, Each, Kind};
use crate::base::error::{Context, Result};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// Memory for the blocks of one table, in bytes.
const ROOM: usize = 64 << 20;
/// Bytes of a full block.
const BLOCK: usize = 64 << 10;
/// The most levels of a column that are kept as numbers.
const LEVELS: usize = 4_096;
/// About what a level takes beside its characters, in bytes.
const LEVEL: usize = 100;
/// A length that does not fit into its byte; four more bytes hold it.
const LONG: u8 = u8::MAX;

/// Where blocks go that have no room in memory.
#[derive(Debug)]
pub(super) struct Spill {
    file: Option<Arc<File>>,
    end: u64,
    room: usize,
}

impl Default for Spill {
    fn default() -> Self {
        Self::with_room(ROOM)
    }
}

impl Spill {
    /// With so many bytes of memory.
    pub(super) fn with_room(room: usize) -> Self {
        Self { file: None, end: 0, room }
    }

    fn keep(&mut self, bytes: Vec<u8>) -> Result<Place> {
        if let Some(left) = self.room.checked_sub(bytes.len()) {
            self.room = left;
            return Ok(Place::Memory(bytes));
        }
        let words = || "cannot keep columns in a temporary file";
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(Arc::new(tempfile::tempfile().context(words).hint(more_room)?)),
        };
        (&**file).write_all(&bytes).context(words).hint(more_room)?;
        let at = self.end;
        self.end += bytes.len() as u64;
        Ok(Place::File { file: Arc::clone(file), at, len: bytes.len() })
    }
}

#[derive(Debug)]
enum Place {
    Memory(Vec<u8>),
    File { file: Arc<File>, at: u64, len: usize },
}

#[derive(Debug)]
struct Block {
    place: Place,
    /// Cells are numbers of levels.
    coded: bool,
}

impl Block {
    /// The bytes; `buffer` holds them when they come from the file.
    fn bytes<'a>(&'a self, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        match &self.place {
            Place::Memory(bytes) => Ok(bytes),
            Place::File { file, at, len } => {
                buffer.resize(*len, 0);
                file.read_exact_at(buffer, *at).context(|| "cannot read columns back from a temporary file")?;
                Ok(buffer)
            }
        }
    }
}

/// The levels of a column while they are few; number 0 is an absent cell.
#[derive(Debug, Default)]
struct Dictionary {
    /// By whether the file says that they are texts.
    numbers: [HashMap<Box<str>, u16>; 2],
    levels: Vec<Box<str>>,
    /// The group of each in the tally.
    groups: Vec<usize>,
    bytes: usize,
}

/// One column.
#[derive(Debug)]
pub(super) struct Spool {
    dialect: Dialect,
    /// Bytes of a full block.
    share: usize,
    /// Levels that are kept as numbers.
    levels_max: usize,
    dictionary: Dictionary,
    coding: bool,
    blocks: Vec<Block>,
    open: Vec<u8>,
    rows: u64,
    tally: Tally,
}

impl Spool {
    /// A column without rows, one of about so many.
    pub(super) fn new(dialect: Dialect, columns: usize) -> Self {
        let share = (ROOM / columns.max(1)).clamp(BLOCK / 16, BLOCK);
        Self {
            dialect,
            share,
            levels_max: (ROOM / 2 / columns.max(1) / LEVEL).clamp(LEVELS / 64, LEVELS),
            dictionary: Dictionary::default(),
            coding: true,
            blocks: Vec::new(),
            open: Vec::new(),
            rows: 0,
            tally: Tally::default(),
        }
    }

    /// What its cells are.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Makes the rows up to `rows` absent that have no cell yet.
    pub(super) fn pad(&mut self, rows: u64, spill: &mut Spill) -> Result<()> {
        while self.rows < rows {
            self.rows += 1;
            self.open.extend_from_slice(if self.coding { &[0, 0] } else { &[0] });
            self.seal(self.share, spill)?;
        }
        Ok(())
    }

    /// Adds the cell of the next row; `quoted` when the file says that it is a text.
    pub(super) fn push(&mut self, cell: &str, quoted: bool, spill: &mut Spill) -> Result<()> {
        self.rows += 1;
        if self.coding {
            let known = self.dictionary.numbers[usize::from(quoted)].get(cell).copied();
            if let Some(number) = known.or_else(|| self.learn(cell, quoted)) {
                self.tally.count(self.dictionary.groups[usize::from(number) - 1], 1);
                self.open.extend_from_slice(&number.to_le_bytes());
                return self.seal(self.share, spill);
            }
            self.seal(1, spill)?;
            self.coding = false;
            self.dictionary.numbers = Default::default();
        }
        let group = self.group(cell, quoted);
        self.tally.count(group, 1);
        match u8::try_from(cell.len() + 1) {
            Ok(length) if length < LONG => self.open.push(length),
            _ => {
                self.open.push(LONG);
                // Rows are shorter than 4 GiB: see `csv::ROW_MAX`.
                self.open.extend_from_slice(&u32::try_from(cell.len()).unwrap_or(u32::MAX).to_le_bytes());
            }
        }
        self.open.extend_from_slice(cell.as_bytes());
        self.seal(self.share, spill)
    }

    fn group(&mut self, cell: &str, quoted: bool) -> usize {
        let row = self.rows;
        self.tally.group(self.dialect.class(cell), quoted, || (row, cell.to_owned()))
    }

    /// The number of a level not seen before; `None` when there is no room for it.
    fn learn(&mut self, cell: &str, quoted: bool) -> Option<u16> {
        if self.dictionary.levels.len() >= self.levels_max || self.dictionary.bytes + cell.len() > 4 * self.share {
            return None;
        }
        let group = self.group(cell, quoted);
        self.dictionary.groups.push(group);
        self.dictionary.levels.push(cell.into());
        self.dictionary.bytes += cell.len();
        let number = u16::try_from(self.dictionary.levels.len()).ok()?;
        self.dictionary.numbers[usize::from(quoted)].insert(cell.into(), number);
        Some(number)
    }

    /// Closes the block when it has `full` bytes.
    fn seal(&mut self, full: usize, spill: &mut Spill) -> Result<()> {
        if self.open.len() >= full {
            let place = spill.keep(std::mem::take(&mut self.open))?;
            self.blocks.push(Block { place, coded: self.coding });
        }
        Ok(())
    }

    /// Ends the column with so many rows.
    pub(super) fn finish(&mut self, rows: u64, spill: &mut Spill) -> Result<()> {
        self.pad(rows, spill)?;
        self.seal(1, spill)?;
        self.dictionary.numbers = Default::default();
        Ok(())
    }

    /// Hands out its cells as a kind.
    pub(super) fn read(&self, kind: Kind, each: Each<'_>) -> Result<()> {
        let levels = &self.dictionary.levels;
        match kind {
            Kind::Integer | Kind::Number | Kind::Time => {
                let known: Vec<Option<f64>> = levels.iter().map(|level| self.dialect.value(kind, level)).collect();
                let mut run = Vec::new();
                self.blocks(|cells| {
                    run.clear();
                    run.extend(cells.map(|cell| match cell {
                        Written::Level(level) => known[level],
                        Written::Cell(cell) => self.dialect.value(kind, cell),
                        Written::Absent => None,
                    }));
                    each(Cells::Numbers(&run))
                })
            }
            Kind::Boolean | Kind::Text => {
                let known: Vec<Option<&str>> = levels.iter().map(|level| self.dialect.text(kind, level)).collect();
                self.blocks(|cells| {
                    let run: Vec<Option<&str>> = cells
                        .map(|cell| match cell {
                            Written::Level(level) => known[level],
                            Written::Cell(cell) => self.dialect.text(kind, cell),
                            Written::Absent => None,
                        })
                        .collect();
                    each(Cells::Texts(&run))
                })
            }
            Kind::Vector { width } => self.blocks(|cells| {
                let mut run = Vectors::new(width);
                cells.for_each(|cell| match cell {
                    Written::Level(level) => run.push(&levels[level]),
                    Written::Cell(cell) => run.push(cell),
                    Written::Absent => run.push(""),
                });
                each(run.cells())
            }),
        }
    }

    /// Goes through the blocks in order.
    fn blocks(&self, mut each: impl FnMut(Reading<'_>) -> Result<()>) -> Result<()> {
        let mut buffer = Vec::new();
        for block in &self.blocks {
            each(Reading { rest: block.bytes(&mut buffer)?, coded: block.coded })?;
        }
        Ok(())
    }
}

/// One cell as it is kept.
enum Written<'a> {
    Absent,
    Level(usize),
    Cell(&'a str),
}

/// The cells of a block.
struct Reading<'a> {
    rest: &'a [u8],
    coded: bool,
}

impl<'a> Iterator for Reading<'a> {
    type Item = Written<'a>;

    fn next(&mut self) -> Option<Written<'a>> {
        if self.coded {
            let (number, rest) = self.rest.split_first_chunk::<2>()?;
            self.rest = rest;
            return Some(usize::from(u16::from_le_bytes(*number)).checked_sub(1).map_or(Written::Absent, Written::Level));
        }
        let (length, mut rest) = self.rest.split_first()?;
        let length = match *length {
            0 => {
                self.rest = rest;
                return Some(Written::Absent);
            }
            LONG => {
                let (long, after) = rest.split_first_chunk::<4>()?;
                rest = after;
                u32::from_le_bytes(*long) as usize
            }
            length => usize::from(length) - 1,
        };
        let (cell, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        // Only whole texts were written.
        Some(std::str::from_utf8(cell).map_or(Written::Absent, Written::Cell))
    }
}

/// A run of vectors that is being filled.
pub(super) struct Vectors {
    width: usize,
    values: Vec<f32>,
    present: Vec<bool>,
}

impl Vectors {
    pub(super) fn new(width: usize) -> Self {
        Self { width, values: Vec::new(), present: Vec::new() }
    }

    /// True when it is long enough to be handed out.
    pub(super) fn is_full(&self) -> bool {
        self.values.len() >= BLOCK
    }

    /// Adds a vector; one of another width is absent.
    pub(super) fn add(&mut self, values: &[f32]) {
        let fits = values.len() == self.width;
        self.present.push(fits);
        if fits { self.values.extend_from_slice(values) } else { self.values.resize(self.values.len() + self.width, 0.0) }
    }

    /// Adds a written vector; one of another width is absent.
    pub(super) fn push(&mut self, cell: &str) {
        let start = self.values.len();
        let whole = vector(cell.trim_ascii(), &mut |value| self.values.push(value));
        let fits = whole && self.values.len() == start + self.width;
        if !fits {
            self.values.truncate(start);
            self.values.resize(start + self.width, 0.0);
        }
        self.present.push(fits);
    }

    pub(super) fn cells(&self) -> Cells<'_> {
        Cells::Vectors { width: self.width, values: &self.values, present: &self.present }
    }
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
