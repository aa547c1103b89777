//! The values of one column in one row group, with the holes where nothing is.

use super::no_panic;
use super::shape::{Nature, Shape};
use crate::base::digest::hex;
use crate::base::error::Result;
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{AsBytes as _, DataType, Int96};
use std::borrow::Cow;

/// Rows that are read at once.
const RUN: usize = 8_192;
/// Lists that are read at once.
const LISTS: usize = 256;

/// One cell of a column of lists.
pub(super) enum List<'a> {
    Absent,
    /// It is empty, or an element is not there.
    Broken,
    Values(&'a [f32]),
}

/// Hands out definition levels, repetition levels and values, run by run; the rows there were.
fn runs<T: DataType>(
    file: &str,
    mut reader: ColumnReaderImpl<T>,
    run: usize,
    mut each: impl FnMut(&[i16], &[i16], &[T::T]) -> Result<()>,
) -> Result<u64> {
    let (mut defined, mut repeated, mut values, mut rows) = (Vec::new(), Vec::new(), Vec::new(), 0);
    loop {
        defined.clear();
        repeated.clear();
        values.clear();
        let read = || reader.read_records(run, Some(&mut defined), Some(&mut repeated), &mut values);
        let (records, _, _) = no_panic(file, read)?;
        if records == 0 {
            return Ok(rows);
        }
        each(&defined, &repeated, &values)?;
        rows += records as u64;
    }
}

/// Values with the holes between them: one cell for each definition level, or for each value when there are none.
fn with_holes<'a, V, O>(
    shape: Shape,
    defined: &'a [i16],
    values: &'a [V],
    convert: impl Fn(&'a V) -> O + 'a,
) -> Box<dyn Iterator<Item = Option<O>> + 'a> {
    if shape.defined == 0 {
        return Box::new(values.iter().map(move |value| Some(convert(value))));
    }
    let mut values = values.iter();
    Box::new(defined.iter().map(move |level| if *level == shape.defined { values.next().map(&convert) } else { None }))
}

/// Hands out the numbers or times of a column; the rows there were.
pub(super) fn numbers(
    file: &str,
    reader: ColumnReader,
    shape: Shape,
    each: &mut dyn FnMut(&[Option<f64>]) -> Result<()>,
) -> Result<u64> {
    converted(file, reader, RUN, shape.nature, &mut |defined, _, values| {
        each(&with_holes(shape, defined, values, |value| *value).collect::<Vec<_>>())
    })
}

/// Hands out the lists of a column one by one; the rows there were.
pub(super) fn lists(file: &str, reader: ColumnReader, shape: Shape, each: &mut dyn FnMut(List<'_>) -> Result<()>) -> Result<u64> {
    converted(file, reader, LISTS, shape.nature, &mut |defined, repeated, values| {
        #[expect(clippy::cast_possible_truncation, reason = "vectors are kept in 32 bits")]
        let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        let (mut from, mut at) = (0, 0);
        while at < repeated.len() {
            let end = repeated[at + 1..].iter().position(|level| *level == 0).map_or(repeated.len(), |more| at + 1 + more);
            let levels = &defined[at..end];
            let there = levels.iter().filter(|level| **level == shape.defined).count();
            let (Some(cell), first) = (values.get(from..from + there), levels[0]) else { break };
            match cell {
                [] if first + 1 < shape.element => each(List::Absent)?,
                cell if there == levels.len() => each(List::Values(cell))?,
                _ => each(List::Broken)?,
            }
            (from, at) = (from + there, end);
        }
        Ok(())
    })
}

type Converted<'a> = &'a mut dyn FnMut(&[i16], &[i16], &[f64]) -> Result<()>;

/// Hands out the values of a column as numbers, whatever they are stored as.
fn converted(file: &str, reader: ColumnReader, run: usize, nature: Nature, each: Converted<'_>) -> Result<u64> {
    /// One physical type.
    fn of<T: DataType>(
        file: &str,
        reader: ColumnReaderImpl<T>,
        run: usize,
        each: Converted<'_>,
        convert: impl Fn(&T::T) -> f64,
    ) -> Result<u64> {
        let mut numbers = Vec::new();
        runs(file, reader, run, |defined, repeated, values| {
            numbers.clear();
            numbers.extend(values.iter().map(&convert));
            each(defined, repeated, &numbers)
        })
    }
    match reader {
        ColumnReader::Int32ColumnReader(r) if nature == Nature::Unsigned => {
            of(file, r, run, each, |value| f64::from(value.cast_unsigned()))
        }
        ColumnReader::Int32ColumnReader(r) => of(file, r, run, each, |value| scaled(nature, f64::from(*value))),
        ColumnReader::Int64ColumnReader(r) if nature == Nature::Unsigned => {
            of(file, r, run, each, |value| value.cast_unsigned() as f64)
        }
        ColumnReader::Int64ColumnReader(r) => of(file, r, run, each, |value| scaled(nature, *value as f64)),
        ColumnReader::Int96ColumnReader(r) => of(file, r, run, each, |value: &Int96| scaled(nature, value.to_micros() as f64)),
        ColumnReader::FloatColumnReader(r) => of(file, r, run, each, |value| f64::from(*value)),
        ColumnReader::DoubleColumnReader(r) => of(file, r, run, each, |value| *value),
        ColumnReader::BoolColumnReader(r) => of(file, r, run, each, |value| f64::from(u8::from(*value))),
        ColumnReader::ByteArrayColumnReader(r) => of(file, r, run, each, |value| of_bytes(nature, value.as_bytes())),
        ColumnReader::FixedLenByteArrayColumnReader(r) => of(file, r, run, each, |value| of_bytes(nature, value.as_bytes())),
    }
}

/// A stored whole number as what it means.
fn scaled(nature: Nature, value: f64) -> f64 {
    match nature {
        Nature::Decimal(scale) => value / 10_f64.powi(scale),
        Nature::Time(unit) | Nature::Span(unit) if unit < 1.0 => value / (1.0 / unit).round(),
        Nature::Time(unit) | Nature::Span(unit) => value * unit,
        _ => value,
    }
}

/// A number that is stored as bytes: of 16 bits, or a decimal (two's complement, the highest byte first).
fn of_bytes(nature: Nature, bytes: &[u8]) -> f64 {
    match (nature, bytes) {
        (Nature::Float, [low, high]) => half(u16::from_le_bytes([*low, *high])),
        (Nature::Decimal(_), [first, ..]) => {
            let negative = if *first >= 0x80 { -1_i128 } else { 0 };
            scaled(nature, bytes.iter().fold(negative, |all, byte| (all << 8) | i128::from(*byte)) as f64)
        }
        _ => f64::NAN,
    }
}

/// A number of 16 bits (IEEE 754 binary16).
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3FF) / 1_024.0;
    sign * match (bits >> 10) & 0x1F {
        0 => fraction * 2_f64.powi(-14),
        0x1F if bits & 0x3FF == 0 => f64::INFINITY,
        0x1F => f64::NAN,
        exponent => (1.0 + fraction) * 2_f64.powi(i32::from(exponent) - 15),
    }
}

/// Hands out the texts or booleans of a column; the rows there were.
pub(super) fn texts(
    file: &str,
    reader: ColumnReader,
    shape: Shape,
    each: &mut dyn FnMut(&[Option<&str>]) -> Result<()>,
) -> Result<u64> {
    /// Stored bytes as words.
    fn words<'a, V: ::parquet::data_type::AsBytes>(
        shape: Shape,
        defined: &'a [i16],
        values: &'a [V],
        each: &mut dyn FnMut(&[Option<&str>]) -> Result<()>,
    ) -> Result<()> {
        let word = move |value: &'a V| word(shape.nature, value.as_bytes());
        let words: Vec<Option<Cow<'_, str>>> = with_holes(shape, defined, values, word).collect();
        each(&words.iter().map(Option::as_deref).collect::<Vec<_>>())
    }
    match reader {
        ColumnReader::BoolColumnReader(r) => runs(file, r, RUN, |defined, _, values| {
            each(&with_holes(shape, defined, values, |value| if *value { "true" } else { "false" }).collect::<Vec<_>>())
        }),
        ColumnReader::ByteArrayColumnReader(r) => runs(file, r, RUN, |defined, _, values| words(shape, defined, values, each)),
        ColumnReader::FixedLenByteArrayColumnReader(r) => {
            runs(file, r, RUN, |defined, _, values| words(shape, defined, values, each))
        }
        // A text is stored as bytes: what else the schema calls one has no cells, and `groups` misses them.
        _ => Ok(0),
    }
}

fn word(nature: Nature, bytes: &[u8]) -> Cow<'_, str> {
    match nature {
        Nature::Uuid => uuid::Uuid::from_slice(bytes).map_or_else(|_| hex(bytes), |id| id.to_string()).into(),
        Nature::Bytes => hex(bytes).into(),
        _ => String::from_utf8_lossy(bytes),
    }
}
