//! Values in rows: the separator is found, the first row is the header, every row becomes one block.

use super::limits::Out;
use crate::data::separator::{SAMPLE_ROWS, SEPARATORS, reader, separator, stated, widths};
use crate::domain::ingest::reason::Refused;

/// The most columns that are kept apart.
const COLUMNS_MAX: usize = 4_096;

/// Reads rows of values.
///
/// # Errors
/// `TooLarge`, `TooSlow`.
pub(super) fn extract(text: &str, out: &mut Out) -> Result<(), Refused> {
    let (separator, text) = stated(text).unwrap_or_else(|| (separator(text), text));
    let mut header = !first_row_is_numbers(text, separator);
    let mut widest = 0;
    for record in reader(text.as_bytes(), separator).records() {
        // With `flexible` and text as input only the impossible fails: not UTF-8, not readable.
        let Ok(record) = record else { break };
        widest = widest.max(record.len());
        let cells: Vec<String> = record.iter().take(COLUMNS_MAX).map(str::to_owned).collect();
        if out.row(header, None, &cells)?.is_some() {
            header = false;
        }
    }
    if widest > COLUMNS_MAX {
        out.canon.warn(format!("rows of {widest} values, cut after {COLUMNS_MAX}"));
    }
    Ok(())
}

/// True for text that can only be values in rows: at least five rows, all of the same three or more values.
pub(super) fn is_unmistakable(sample: &str) -> bool {
    SEPARATORS.iter().any(|separator| {
        let widths = widths(sample, *separator);
        // Sentences hold commas too, but not the same number of them in every line.
        let least = if *separator == b',' { 4 } else { 3 };
        widths.len() >= 5 && widths[0] >= least && widths.iter().all(|w| *w == widths[0])
    }) && !sample.lines().take(SAMPLE_ROWS).any(|l| l.trim_start().starts_with(['|', '+']))
}

/// A first row that holds numbers only is no header.
fn first_row_is_numbers(text: &str, separator: u8) -> bool {
    reader(text.as_bytes(), separator).records().next().is_some_and(|row| {
        row.is_ok_and(|row| {
            row.iter().any(|v| !v.is_empty()) && row.iter().all(|v| v.trim().parse::<f64>().is_ok() || v.is_empty())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn rows_are_read_whatever_separates_them() {
        check("a.csv", "a,b\n1,\"x, y\"\n,2\n", "|# a | b\n| 1 | x, y\n| 2");
        check("a.csv", "a;b\n1,5;2\n3,5;4\n", "|# a | b\n| 1,5 | 2\n| 3,5 | 4");
        check("a.tsv", "a\tb\n1\tx y, z\n", "|# a | b\n| 1 | x y, z");
        check("a.csv", "1,2\n3,4\n", "| 1 | 2\n| 3 | 4");
        check("a.csv", "sep=|\na|b\n", "|# a | b");
        check("a.csv", "a,\"never closed\n1,2", "|# a | never closed 1,2");
    }

    #[test]
    fn rows_are_known_without_a_name() {
        check("a", "a;b;c\n1;2;3\n4;5;6\n7;8;9\n1;2;3\n", "|# a | b | c\n| 1 | 2 | 3\n| 4 | 5 | 6\n| 7 | 8 | 9\n| 1 | 2 | 3");
    }
}
