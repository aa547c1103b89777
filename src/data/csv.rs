//! Rows of text: the encoding, the separator and the header are found, and every cell goes to the spool of its column.

use super::cell::{Dialect, is_absent};
use super::decode::Characters;
use super::input::{Input, Unpacked};
use super::separator::{reader, separator, stated};
use super::spool::Spill;
use super::table::{Gathered, Remarks, unique};
use super::{EXAMPLE, Source, Trouble};
use crate::base::error::{Context, Error, Result};
use crate::base::text::{count, visible};
use csv::ByteRecord;
use std::borrow::Cow;
use std::io::{Cursor, Read};

/// The largest row, in bytes.
pub(super) const ROW_MAX: u64 = 64 << 20;
/// Bytes that the separator is found in.
const SAMPLE: u64 = 64 << 10;
/// What separates the values of a single column: nothing that is written.
const NOTHING: u8 = 0x1F;

type Rows = csv::Reader<std::io::Chain<Cursor<Vec<u8>>, Characters<Unpacked>>>;

/// Reads a file of rows.
///
/// # Errors
/// When it is empty, cannot be read, or most of its rows are not as wide as its header.
pub(super) fn read(input: &Input, bytes: Unpacked, spill: &mut Spill, remarks: &mut Remarks) -> Result<(Gathered, Source)> {
    let failed = || format!("cannot read {}", input.name());
    let mut characters = Characters::new(bytes, ROW_MAX);
    let mut sample = Vec::new();
    characters.by_ref().take(SAMPLE).read_to_end(&mut sample).context(failed)?;
    let (separator, skipped) = separated_by(&String::from_utf8_lossy(&sample));
    sample.drain(..skipped.min(sample.len()));
    let mut rows = reader(Cursor::new(sample).chain(characters), separator);
    let mut record = ByteRecord::new();
    if !rows.read_byte_record(&mut record).context(failed)? {
        return Err(Error::new(format!("{}: it is empty", failed())).hint("give a file with a header and rows"));
    }
    let dialect = Dialect { decimal_comma: separator == b';', bare: true };
    let header = !is_all_numbers(&record, dialect);
    let names = names(&record, header, remarks);
    let mut table = Gathered::new(names, dialect);
    let (mut ragged, mut lines) = (0, 0);
    let mut at = u64::from(!header);
    loop {
        if at > 0 {
            ragged += u64::from(!add(&record, at, &mut table, spill, remarks)?);
            lines = lines_in_last(&record);
        }
        at += 1;
        rows.get_mut().get_mut().1.row_ends();
        if !rows.read_byte_record(&mut record).context(failed)? {
            break;
        }
    }
    if lines > 0 && rows.get_ref().get_ref().1.is_quote_open() {
        remarks.add(Trouble::OpenQuote, at - 1, || format!("{} in one cell", count(lines + 1, "line")));
    }
    check_ragged(input, ragged, &table)?;
    table.finish(spill)?;
    let source = source(input, rows, separator, table.rows);
    Ok((table, source))
}

/// The separator, and the bytes of the line that states it.
fn separated_by(text: &str) -> (u8, usize) {
    if let Some((separator, rest)) = stated(text) {
        return (separator, text.len() - rest.len());
    }
    let found = separator(text);
    let single = reader(text.as_bytes(), found).records().flatten().next().is_none_or(|header| header.len() == 1);
    (if single { NOTHING } else { found }, 0)
}

/// A first row that holds numbers only is no header.
fn is_all_numbers(row: &ByteRecord, dialect: Dialect) -> bool {
    let is_number = |cell: &[u8]| std::str::from_utf8(cell).is_ok_and(|c| dialect.number(c).is_some_and(f64::is_finite));
    row.iter().all(is_number)
}

/// The names of the columns: those of the header, made unique as pandas does it.
fn names(row: &ByteRecord, header: bool, remarks: &mut Remarks) -> Vec<String> {
    if !header {
        remarks.add(Trouble::NoHeader, 0, || shown(row));
        return (1..=row.len()).map(|n| format!("column {n}")).collect();
    }
    let written: Vec<String> = row.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
    unique(written, remarks)
}

fn shown(row: &ByteRecord) -> String {
    visible(&row.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(" | "), EXAMPLE)
}

/// Adds a row to the table; false when its width is wrong.
fn add(row: &ByteRecord, at: u64, table: &mut Gathered, spill: &mut Spill, remarks: &mut Remarks) -> Result<bool> {
    let width = table.width();
    // A blank line of a wide table, and separators at the end of every line, lose nothing.
    if width > 1 && row.len() == 1 && row[0].trim_ascii().is_empty() {
        return Ok(true);
    }
    if row.len() < width || row.iter().skip(width).any(|cell| !cell.is_empty()) {
        remarks.add(Trouble::RaggedRow, at, || format!("{} instead of {}: {}", count(row.len(), "cell"), width, shown(row)));
        return Ok(false);
    }
    let mut broken = false;
    for (column, cell) in row.iter().take(width).enumerate() {
        let cell = String::from_utf8_lossy(cell);
        broken |= matches!(cell, Cow::Owned(_));
        if !is_absent(&cell) {
            table.push(column, &cell, false, spill)?;
        }
    }
    if broken {
        remarks.add(Trouble::Undecodable, at, || shown(row));
    }
    table.rows += 1;
    Ok(true)
}

/// Ends of lines in the last cell of a row, which is where a quote that is never closed puts all that follows.
fn lines_in_last(row: &ByteRecord) -> usize {
    row.iter().next_back().map_or(0, |cell| memchr::memchr_iter(b'\n', cell).count())
}

/// A few rows may be broken; when most are, what was taken for the header or the separator is none.
fn check_ragged(input: &Input, ragged: u64, table: &Gathered) -> Result<()> {
    if ragged <= table.rows {
        return Ok(());
    }
    let width = count(table.width(), "column");
    let all = ragged + table.rows;
    Err(Error::new(format!("cannot read {}: {ragged} of its {all} rows do not have the {width} of its header", input.name()))
        .hint("write a header with one name for each column, and quotes around values that hold the separator"))
}

fn source(input: &Input, rows: Rows, separator: u8, count: u64) -> Source {
    let (_, characters) = rows.into_inner().into_inner();
    let between = match separator {
        NOTHING => String::new(),
        b'\t' => ", separated by tabs".to_owned(),
        separator => format!(", separated by {}", char::from(separator).escape_default()),
    };
    let encoding = characters.encoding();
    let bytes = characters.into_bytes();
    let format = format!("CSV, {encoding}{between}{}", bytes.packing());
    let (digest, bytes) = bytes.finish();
    Source { name: input.name().to_owned(), digest, bytes, rows: count, format }
}
