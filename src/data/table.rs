//! Files as one table: their rows one after another, their columns by name.
//!
//! Each file is a [`Part`] that knows what its cells are. The kind of a column is decided over all parts; a part that does not
//! have the column reads as absent there, and a [`Remark`] says so.

use super::cell::Dialect;
use super::decode::Characters;
use super::input::{Opened, Unpacked};
use super::spool::{Spill, Spool};
use super::tally::Tally;
use super::{Cells, Column, EXAMPLE, Each, Input, Kind, Remark, Source, Table, Trouble, csv, jsonl, parquet, query};
use crate::base::error::{Context, Error, Result};
use crate::base::text::{group, visible};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{Read as _, Seek as _};

/// Rows in a run of absent cells.
const RUN: usize = 4_096;
/// The most columns of a file.
pub(super) const COLUMNS_MAX: usize = 65_536;
/// Columns of a file that shows them row by row.
const COLUMNS_GUESSED: usize = 256;

/// The rows of one file.
pub(super) trait Part: Send + Sync {
    /// The columns in the order of the file, each name once.
    fn names(&self) -> &[String];
    fn rows(&self) -> u64;
    /// What the cells of a column are; `expected` when they may have to be looked at one by one for it.
    fn tally(&self, column: usize, expected: Option<Kind>) -> Result<Tally>;
    /// Hands out the cells as a kind.
    fn read(&self, column: usize, kind: Kind, each: Each<'_>) -> Result<()>;
}

/// Opens files as one table. `expected` are the kinds that columns had before: each wins while at most half of the cells of the
/// column are bad as that.
///
/// # Errors
/// A usage error without files; when a file is empty, cannot be read, or is of no format that is known.
pub fn open(inputs: &[Input], expected: &BTreeMap<String, Kind>) -> Result<Box<dyn Table>> {
    if inputs.is_empty() {
        return Err(Error::usage("no data is given").hint("name a file of CSV, JSON lines or Parquet"));
    }
    let mut spill = Spill::default();
    let (mut parts, mut sources, mut remarks) = (Vec::new(), Vec::new(), Vec::new());
    for input in inputs {
        let mut found = Remarks::new(input);
        let (part, mut source) = part(input, &mut spill, &mut found)?;
        source.digest = input.stand_in().unwrap_or(source.digest);
        if part.names().len() > COLUMNS_MAX {
            let (width, most) = (group(part.names().len()), group(COLUMNS_MAX));
            return Err(Error::new(format!("cannot read {}: it has {width} columns, at most {most} can be read", input.name()))
                .hint("split it by columns"));
        }
        parts.push(part);
        sources.push(source);
        remarks.push(found);
    }
    joined(parts, sources, remarks, expected).map(|table| Box::new(table) as Box<dyn Table>)
}

/// Bytes that a format is found in.
const HEAD: u64 = 1_024;
/// What gzip begins with.
const GZIP: &[u8] = b"\x1f\x8b";

/// Bytes by which a format is known.
const FORMATS: &[(&[u8], &str, &str)] = &[
    (GZIP, "gzip within gzip", "unpack it first: `gunzip`"),
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet", "unpack it, or save the sheet as CSV"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unpack it first: `unzstd`"),
    (b"SQLite format 3\0", "an SQLite database", "export the table as CSV"),
    (b"ARROW1\0\0", "an Arrow file", "write it as Parquet"),
];

/// Reads one file, whatever its format, or the rows of a query.
fn part(input: &Input, spill: &mut Spill, remarks: &mut Remarks) -> Result<(Box<dyn Part>, Source)> {
    let mut file = match input.source()? {
        Opened::File(file) => file,
        Opened::Query(query) => {
            let (table, source) = query::read(input, query, spill, remarks)?;
            return Ok((Box::new(table), source));
        }
    };
    let failed = || format!("cannot read {}", input.name());
    let mut head = head(&mut file).context(failed)?;
    let is_gzip = head.starts_with(GZIP);
    if is_gzip {
        head = unpacked_head(&mut file).context(failed).hint(|| "copy it again".to_owned())?;
    }
    if let Some((_, what, hint)) = FORMATS.iter().find(|(mark, _, _)| head.starts_with(mark)) {
        return Err(Error::new(format!("{}: it is {what}", failed())).hint(*hint));
    }
    if is_parquet(&head) {
        if is_gzip {
            return Err(Error::new(format!("{}: it is Parquet within gzip", failed())).hint("unpack it first: `gunzip`"));
        }
        let (file, source) = parquet::open(input, file, remarks)?;
        return Ok((Box::new(file), source));
    }
    let bytes = Unpacked::new(file, is_gzip);
    let read = match json(&head) {
        None => csv::read(input, bytes, spill, remarks),
        Some(is_array) => jsonl::read(input, (bytes, is_array), spill, remarks),
    };
    // What the reader of gzip says comes without one.
    let (table, source) = read.map_err(|e| if e.hints().is_empty() { e.hint("copy it again") } else { e })?;
    Ok((Box::new(table), source))
}

/// True for what begins as Parquet, and not as a table whose first column has that name.
fn is_parquet(head: &[u8]) -> bool {
    let text = |b: &u8| !b.is_ascii_control() || b.is_ascii_whitespace();
    head.strip_prefix(parquet::MARK).is_some_and(|rest| !rest.first().is_some_and(text))
}

/// Whether what begins as JSON is an array of objects, and not lines of them; `None` for what is no JSON.
fn json(head: &[u8]) -> Option<bool> {
    let mut text = Vec::new();
    // Bytes in memory are always read.
    let _ = Characters::new(head, u64::MAX).read_to_end(&mut text);
    let text = text.trim_ascii_start();
    let array = text.strip_prefix(b"[");
    array.map_or(text, <[u8]>::trim_ascii_start).starts_with(b"{").then_some(array.is_some())
}

/// The same of what is packed.
fn unpacked_head(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    Unpacked::new(file.try_clone()?, true).take(HEAD).read_to_end(&mut head)?;
    file.rewind()?;
    Ok(head)
}

/// The first bytes of a file, which is then read from its start again.
fn head(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head)?;
    file.rewind()?;
    Ok(head)
}

/// Columns that were read from a file into spools.
pub(super) struct Gathered {
    names: Vec<String>,
    spools: Vec<Spool>,
    dialect: Dialect,
    /// Whole rows so far.
    pub(super) rows: u64,
}

impl Gathered {
    pub(super) fn new(names: Vec<String>, dialect: Dialect) -> Self {
        let spools = names.iter().map(|_| Spool::new(dialect, names.len())).collect();
        Self { names, spools, dialect, rows: 0 }
    }

    pub(super) fn width(&self) -> usize {
        self.names.len()
    }

    /// Adds a column, absent in all rows so far.
    pub(super) fn add_column(&mut self, name: &str) -> usize {
        self.names.push(name.to_owned());
        self.spools.push(Spool::new(self.dialect, self.names.len().max(COLUMNS_GUESSED)));
        self.names.len() - 1
    }

    /// Adds a cell to the row after the whole ones; of several for one column the first counts.
    pub(super) fn push(&mut self, column: usize, cell: &str, quoted: bool, spill: &mut Spill) -> Result<()> {
        let spool = &mut self.spools[column];
        if spool.rows() > self.rows {
            return Ok(());
        }
        spool.pad(self.rows, spill)?;
        spool.push(cell, quoted, spill)
    }

    /// Ends all columns.
    pub(super) fn finish(&mut self, spill: &mut Spill) -> Result<()> {
        self.spools.iter_mut().try_for_each(|spool| spool.finish(self.rows, spill))
    }
}

impl Part for Gathered {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn tally(&self, column: usize, _: Option<Kind>) -> Result<Tally> {
        Ok(self.spools[column].tally().clone())
    }

    fn read(&self, column: usize, kind: Kind, each: Each<'_>) -> Result<()> {
        self.spools[column].read(kind, each)
    }
}

/// Names of columns, made unique as pandas does it; one that is empty is named by its number.
pub(super) fn unique(written: Vec<String>, remarks: &mut Remarks) -> Vec<String> {
    let mut taken: HashSet<String> = written.iter().cloned().collect();
    let mut seen = HashSet::new();
    let mut names = Vec::with_capacity(written.len());
    for (at, name) in written.into_iter().enumerate() {
        if !name.is_empty() && seen.insert(name.clone()) {
            names.push(name);
            continue;
        }
        let (stem, what) = match name.as_str() {
            "" => (format!("column {}", at + 1), "a column without a name".to_owned()),
            _ => (format!("{name}.1"), format!("another `{}`", visible(&name, EXAMPLE))),
        };
        let more = (2_u64..).map(|n| if name.is_empty() { format!("{stem}.{n}") } else { format!("{name}.{n}") });
        let free = std::iter::once(stem.clone()).chain(more).find(|free| !taken.contains(free));
        let free = free.expect("some number is free");
        remarks.add(Trouble::Renamed, 0, || format!("{what} is read as `{}`", visible(&free, EXAMPLE)));
        taken.insert(free.clone());
        names.push(free);
    }
    names
}

/// What is remarked of one file while it is read.
pub(super) struct Remarks {
    source: String,
    all: BTreeMap<Trouble, (u64, (u64, String))>,
}

impl Remarks {
    pub(super) fn new(input: &Input) -> Self {
        Self { source: input.name().to_owned(), all: BTreeMap::new() }
    }

    /// Counts some trouble at a row of the file; `example` says what was there.
    pub(super) fn add(&mut self, what: Trouble, row: u64, example: impl FnOnce() -> String) {
        self.all.entry(what).or_insert_with(|| (0, (row, example()))).0 += 1;
    }

    fn into_iter(self) -> impl Iterator<Item = Remark> {
        let Self { source, all } = self;
        all.into_iter().map(move |(what, (count, example))| Remark { source: source.clone(), what, count, example })
    }
}

/// Several files as one table.
struct Joined {
    columns: Vec<Column>,
    rows: u64,
    parts: Vec<Box<dyn Part>>,
    /// For each column where it is in each part.
    places: Vec<Vec<Option<usize>>>,
    sources: Vec<Source>,
    remarks: Vec<Remark>,
}

fn joined(
    parts: Vec<Box<dyn Part>>,
    sources: Vec<Source>,
    mut remarks: Vec<Remarks>,
    expected: &BTreeMap<String, Kind>,
) -> Result<Joined> {
    let indexes: Vec<HashMap<&str, usize>> =
        parts.iter().map(|p| p.names().iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect()).collect();
    let mut names: Vec<&str> = Vec::new();
    for (n, part) in parts.iter().enumerate() {
        let is_new = |name: &&str| indexes[..n].iter().all(|index| !index.contains_key(name));
        names.extend(part.names().iter().map(String::as_str).filter(is_new));
    }
    let (mut columns, mut places) = (Vec::new(), Vec::new());
    for name in names {
        let place: Vec<Option<usize>> = indexes.iter().map(|index| index.get(name).copied()).collect();
        let wanted = expected.get(name).copied();
        let (mut tally, mut rows, mut unread) = (Tally::default(), 0, None);
        for ((part, at), remarks) in parts.iter().zip(&place).zip(&mut remarks) {
            match at {
                Some(at) => match part.tally(*at, wanted) {
                    Ok(found) => tally.merge(&found, rows),
                    // One broken column does not take the others with it.
                    Err(e) => unread = unread.or_else(|| Some(e.to_string())),
                },
                None => remarks.add(Trouble::MissingColumn, 0, || format!("`{name}` is not there")),
            }
            rows += part.rows();
        }
        columns.push(Column { unread, ..tally.column(name, wanted) });
        places.push(place);
    }
    let rows = parts.iter().map(|part| part.rows()).sum();
    let remarks = remarks.into_iter().flat_map(Remarks::into_iter).collect();
    Ok(Joined { columns, rows, parts, places, sources, remarks })
}

impl Table for Joined {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn read(&self, column: usize, each: Each<'_>) -> Result<()> {
        let Column { kind, unread, .. } = &self.columns[column];
        if let Some(why) = unread {
            return Err(Error::new(why));
        }
        let kind = *kind;
        for (part, at) in self.parts.iter().zip(&self.places[column]) {
            match at {
                Some(at) => part.read(*at, kind, each)?,
                None => absent(part.rows(), kind, each)?,
            }
        }
        Ok(())
    }

    fn sources(&self) -> &[Source] {
        &self.sources
    }

    fn remarks(&self) -> &[Remark] {
        &self.remarks
    }
}

/// Hands out rows in which nothing is.
pub(super) fn absent(mut rows: u64, kind: Kind, each: Each<'_>) -> Result<()> {
    while rows > 0 {
        let run = rows.min(RUN as u64);
        let n = usize::try_from(run).unwrap_or(RUN);
        match kind {
            Kind::Integer | Kind::Number | Kind::Time => each(Cells::Numbers(&vec![None; n]))?,
            Kind::Boolean | Kind::Text => each(Cells::Texts(&vec![None; n]))?,
            Kind::Vector { width } => {
                each(Cells::Vectors { width, values: &vec![0.0; n * width], present: &vec![false; n] })?;
            }
        }
        rows -= run;
    }
    Ok(())
}

#[cfg(test)]
#[path = "table_tests.rs"]
pub(super) mod tests;
