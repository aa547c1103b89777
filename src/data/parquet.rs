//! Columns of a Parquet file, read where they are: row groups one after another, a few thousand rows at a time.
//!
//! A file is hashed once when it is opened; its columns are read when they are asked for, and only while the file is still the
//! one that was hashed. What strangers wrote may make the reader panic, which is an error of the file ([`guarded`]).

mod column;
mod shape;

use super::cell::{Class, Dialect};
use super::input::{Hashed, Input, Positioned, Still};
use super::spool::Vectors;
use super::table::{Part, Remarks, absent, unique};
use super::tally::Tally;
use super::{Cells, Each, Kind, Source, Trouble};
use crate::base::error::{Context, Error, Result};
use crate::base::guard::guarded;
use crate::base::time::Timestamp;
use ::parquet::column::reader::ColumnReader;
use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
use column::List;
use shape::{Family, Shape};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// What a Parquet file begins and ends with.
pub(super) const MARK: &[u8] = b"PAR1";
/// How texts in a file are written that says what is a text.
const QUOTED: Dialect = Dialect { decimal_comma: false, bare: false };

/// A Parquet file.
pub(super) struct Parquet {
    name: String,
    file: Arc<File>,
    still: Still,
    reader: SerializedFileReader<Positioned>,
    names: Vec<String>,
    shapes: Vec<Shape>,
    rows: u64,
}

/// Opens a file; columns that hold no cells are told and left out.
///
/// # Errors
/// When it is cut short or broken.
pub(super) fn open(input: &Input, file: File, remarks: &mut Remarks) -> Result<(Parquet, Source)> {
    let failed = || format!("cannot read {}", input.name());
    let still = Still::of(&file).context(failed)?;
    check_end(input, &file, still)?;
    let file = Arc::new(file);
    let (digest, bytes) = Hashed::all(Positioned::new(&file, 0)).context(failed)?;
    let reader = no_panic(input.name(), || SerializedFileReader::new(Positioned::new(&file, 0)))?;
    let groups = reader.metadata().row_groups();
    let rows = groups.iter().map(|g| u64::try_from(g.num_rows()).unwrap_or(0)).fold(0, u64::saturating_add);
    let (mut names, mut shapes) = (Vec::new(), Vec::new());
    for (name, found) in shape::columns(reader.metadata().file_metadata().schema_descr()) {
        match found {
            Ok(shape) => {
                names.push(name);
                shapes.push(shape);
            }
            Err(what) => remarks.add(Trouble::Unread, 0, || format!("`{name}` holds {what}")),
        }
    }
    let source = Source { name: input.name().to_owned(), digest, bytes, rows, format: "Parquet".to_owned() };
    let names = unique(names, remarks);
    Ok((Parquet { name: input.name().to_owned(), file, still, reader, names, shapes, rows }, source))
}

/// A file that was cut short has no mark at its end.
fn check_end(input: &Input, file: &File, still: Still) -> Result<()> {
    let mut end = [0; 4];
    let whole = still.bytes() >= 12 && file.read_exact_at(&mut end, still.bytes() - 4).is_ok();
    match &end {
        mark if whole && *mark == MARK => Ok(()),
        b"PARE" => Err(Error::new(format!("cannot read {}: it is encrypted", input.name())).hint("decrypt it first")),
        _ => Err(Error::new(format!("cannot read {}: it is cut short, its end is not that of a Parquet file", input.name()))
            .hint("wait until it is written, or copy it again")),
    }
}

/// Work of the reader on a file: what it refuses and what it panics at is an error of the file.
fn no_panic<T>(name: &str, work: impl FnOnce() -> ::parquet::errors::Result<T>) -> Result<T> {
    let broken = || format!("cannot read {name}: it is broken, or uses what this kf does not know");
    let hint = || "write it again with another program, or as CSV".to_owned();
    guarded(work).ok_or_else(|| Error::new(broken())).hint(hint)?.context(broken).hint(hint)
}

impl Parquet {
    /// Goes through the row groups: the reader of the column's part and the rows it must have.
    fn groups(&self, shape: Shape, mut each: impl FnMut(ColumnReader, u64) -> Result<u64>) -> Result<()> {
        if Still::of(&self.file).context(|| format!("cannot read {}", self.name))? != self.still {
            return Err(Error::new(format!("{} changed while being read", self.name))
                .hint("wait until nothing writes to it, then run the command again"));
        }
        for at in 0..self.reader.num_row_groups() {
            let rows = self.reader.metadata().row_group(at).num_rows().max(0).unsigned_abs();
            let reader =
                no_panic(&self.name, || self.reader.get_row_group(at).and_then(|group| group.get_column_reader(shape.leaf)))?;
            let read = each(reader, rows)?;
            if read != rows {
                return Err(Error::new(format!("cannot read {}: a column has {read} of {rows} rows", self.name))
                    .hint("write the file again"));
            }
        }
        Ok(())
    }

    fn numbers(&self, shape: Shape, each: &mut dyn FnMut(&[Option<f64>]) -> Result<()>) -> Result<()> {
        self.groups(shape, |reader, _| column::numbers(&self.name, reader, shape, each))
    }

    fn texts(&self, shape: Shape, each: &mut dyn FnMut(&[Option<&str>]) -> Result<()>) -> Result<()> {
        self.groups(shape, |reader, _| column::texts(&self.name, reader, shape, each))
    }

    /// What the texts or lists of a column are, one by one.
    fn looked_at(&self, shape: Shape) -> Result<Tally> {
        let (mut tally, mut row) = (Tally::default(), 0);
        let mut add = |row, class, example: &dyn Fn() -> String| {
            let group = tally.group(class, shape.family() == Family::Text, || (row, example()));
            tally.count(group, 1);
        };
        if shape.list {
            self.groups(shape, |reader, _| {
                column::lists(&self.name, reader, shape, &mut |list| {
                    row += 1;
                    match list {
                        List::Absent => {}
                        List::Broken => add(row, Class::Text, &|| "a list that is empty or has holes".to_owned()),
                        List::Values(values) => add(row, Class::Vector(values.len()), &|| format!("{} numbers", values.len())),
                    }
                    Ok(())
                })
            })?;
        } else {
            self.texts(shape, &mut |run| {
                for cell in run {
                    row += 1;
                    if let Some(cell) = cell {
                        add(row, QUOTED.class(cell), &|| (*cell).to_owned());
                    }
                }
                Ok(())
            })?;
        }
        Ok(tally)
    }
}

impl Part for Parquet {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn tally(&self, column: usize, expected: Option<Kind>) -> Result<Tally> {
        let shape = self.shapes[column];
        let family = shape.family();
        if family == Family::List || (family == Family::Text && expected.is_some_and(|kind| kind != Kind::Text)) {
            return self.looked_at(shape);
        }
        let mut tally = Tally::default();
        if family == Family::Nothing {
            return Ok(tally);
        }
        let class = match shape.kind() {
            Kind::Integer => Class::Whole,
            Kind::Number => Class::Fraction,
            Kind::Time => Class::Time,
            Kind::Boolean => Class::Boolean,
            Kind::Text | Kind::Vector { .. } => Class::Text,
        };
        let group = tally.group(class, family == Family::Text, || (1, format!("the type {:?}", shape.kind())));
        tally.count(group, self.rows);
        Ok(tally)
    }

    fn read(&self, column: usize, kind: Kind, each: Each<'_>) -> Result<()> {
        let shape = self.shapes[column];
        match (shape.family(), kind) {
            (Family::Number, Kind::Integer | Kind::Number) | (Family::Time, Kind::Time) => {
                self.numbers(shape, &mut |run| each(Cells::Numbers(run)))
            }
            (family @ (Family::Number | Family::Time), Kind::Text) => self.numbers(shape, &mut |run| {
                let words: Vec<Option<String>> = run.iter().map(|cell| cell.map(|cell| written(family, cell))).collect();
                each(Cells::Texts(&words.iter().map(Option::as_deref).collect::<Vec<_>>()))
            }),
            (Family::Boolean, Kind::Boolean | Kind::Text) | (Family::Text, Kind::Text) => {
                self.texts(shape, &mut |run| each(Cells::Texts(run)))
            }
            (Family::Text, Kind::Integer | Kind::Number | Kind::Time) => self.texts(shape, &mut |run| {
                each(Cells::Numbers(&run.iter().map(|cell| QUOTED.value(kind, (*cell)?)).collect::<Vec<_>>()))
            }),
            (Family::Text, Kind::Boolean) => self.texts(shape, &mut |run| {
                each(Cells::Texts(&run.iter().map(|cell| QUOTED.text(kind, (*cell)?)).collect::<Vec<_>>()))
            }),
            (Family::Text, Kind::Vector { width }) => self.texts(shape, &mut |run| {
                let mut vectors = Vectors::new(width);
                run.iter().for_each(|cell| vectors.push(cell.unwrap_or_default()));
                each(vectors.cells())
            }),
            (Family::List, Kind::Vector { width }) => self.groups(shape, |reader, _| {
                let mut vectors = Vectors::new(width);
                let rows = column::lists(&self.name, reader, shape, &mut |list| {
                    vectors.add(if let List::Values(values) = list { values } else { &[] });
                    if vectors.is_full() { each(std::mem::replace(&mut vectors, Vectors::new(width)).cells()) } else { Ok(()) }
                })?;
                each(vectors.cells())?;
                Ok(rows)
            }),
            _ => absent(self.rows, kind, each),
        }
    }
}

/// A number or a time as a word.
#[expect(clippy::cast_possible_truncation, reason = "times of a file are far within 2^63 microseconds; others are cut to that")]
fn written(family: Family, value: f64) -> String {
    if family == Family::Time { Timestamp::from_micros((value * 1e6).round() as i64).to_string() } else { value.to_string() }
}

#[cfg(test)]
#[path = "parquet_tests.rs"]
mod tests;
