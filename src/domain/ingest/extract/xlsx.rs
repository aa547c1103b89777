//! Workbooks (ECMA-376 part 1, SpreadsheetML): one heading a sheet, one row a block; the page is the sheet's number.
//!
//! Rows are read as they come, so memory is the shared strings and one row. Formulas show their cached values, dates are
//! written as ISO 8601 by the number format of their cell (18.8.30 lists the built-in ones), numbers to the 15 digits that
//! a spreadsheet shows.

use super::limits::{Out, malformed, too_large};
use super::markup::{Piece, Pieces, attribute, decode_entities, local};
use super::xml::{main_part, properties, relations};
use super::zipped::Package;
use crate::domain::ingest::document::BlockKind;
use crate::domain::ingest::reason::Refused;
use std::collections::HashMap;

/// Reads a workbook.
///
/// # Errors
/// `Malformed`, `Encrypted`, `TooLarge`, `TooSlow`.
pub(super) fn extract(bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
    let mut package = Package::open(bytes, out.limits)?;
    let main = main_part(&mut package, "xl/workbook.xml")?;
    properties(&mut package, "docProps/core.xml", out)?;
    let text = package.text(&main)?.ok_or_else(|| malformed("a workbook without its main part"))?;
    let links = relations(&mut package, &main)?;
    let part = |kind: &str| links.iter().find(|l| l.kind == kind).map(|l| l.target.clone());
    let mut book = Book { from_1904: is_from_1904(&text), ..Book::default() };
    if let Some(part) = part("sharedStrings") {
        book.strings = strings(&package.text(&part)?.unwrap_or_default(), out)?;
    }
    if let Some(part) = part("styles") {
        book.moments = moments(&package.text(&part)?.unwrap_or_default());
    }
    let mut number = 0;
    for piece in Pieces::xml(&text) {
        let Piece::Start(tag, attributes, _) = piece else { continue };
        let id = attribute(attributes, "r:id").unwrap_or_default();
        let Some(link) = links.iter().find(|l| local(tag) == "sheet" && l.id == *id) else { continue };
        number += 1;
        if number as usize > out.limits.max_pages {
            return Err(too_large(format!("more than {} sheets", out.limits.max_pages)));
        }
        let mut sheet = Sheet::new(&attribute(attributes, "name").unwrap_or_default(), number);
        let rows = package.text(&link.target)?.unwrap_or_default();
        book.sheet(&rows, &mut sheet, out)?;
    }
    out.canon.pages(number);
    Ok(())
}

/// One sheet that is written.
pub(super) struct Sheet {
    name: Option<String>,
    page: u32,
    rows: usize,
}

impl Sheet {
    /// Columns that are kept apart; what stands further right is left out.
    pub(super) const COLUMNS: usize = 1_024;

    /// A sheet of which nothing is written yet.
    pub(super) fn new(name: &str, page: u32) -> Self {
        Self { name: Some(name.to_owned()), page, rows: 0 }
    }

    /// Writes a row: its cells by column. The first row is the header when it holds only words.
    ///
    /// # Errors
    /// `TooLarge`, `TooSlow`.
    pub(super) fn row(&mut self, cells: &[(usize, String)], out: &mut Out) -> Result<(), Refused> {
        let width = cells.iter().map(|(column, _)| column + 1).filter(|w| *w <= Self::COLUMNS).max().unwrap_or(0);
        let mut row = vec![String::new(); width];
        for (column, text) in cells.iter().filter(|(column, _)| *column < width) {
            row[*column].clone_from(text);
        }
        if row.iter().all(|c| c.trim().is_empty()) {
            return Ok(());
        }
        if let Some(name) = self.name.take() {
            out.push(BlockKind::Heading(1), Some(self.page), &name)?;
        }
        let words = row.iter().filter(|c| !c.is_empty()).all(|c| c.parse::<f64>().is_err());
        out.row(self.rows == 0 && words && cells.len() > 1, Some(self.page), &row)?;
        self.rows += 1;
        Ok(())
    }
}

/// What the cells of a workbook refer to.
#[derive(Default)]
struct Book {
    strings: Vec<String>,
    /// Per cell style: what its numbers are.
    moments: Vec<Moment>,
    from_1904: bool,
}

/// What the numbers of a format are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Moment {
    #[default]
    Number,
    Date,
    Time,
    Both,
}

impl Book {
    fn sheet(&self, text: &str, sheet: &mut Sheet, out: &mut Out) -> Result<(), Refused> {
        let mut cells: Vec<(usize, String)> = Vec::new();
        let (mut column, mut kind, mut style) = (0, String::new(), 0);
        let (mut value, mut taken, mut phonetic) = (String::new(), false, false);
        for piece in Pieces::xml(text) {
            out.tick()?;
            match piece {
                Piece::Start(tag, attributes, empty) => match local(tag) {
                    "row" => (column, cells) = (0, Vec::new()),
                    "c" => {
                        column = attribute(attributes, "r").and_then(|r| column_of(&r)).unwrap_or(column);
                        kind = attribute(attributes, "t").unwrap_or_default().into_owned();
                        style = attribute(attributes, "s").and_then(|s| s.parse().ok()).unwrap_or(0);
                        value.clear();
                        column += usize::from(empty);
                    }
                    "rPh" => phonetic = !empty,
                    "v" | "t" => taken = !empty && !phonetic,
                    _ => {}
                },
                Piece::End(tag) => match local(tag) {
                    "rPh" => phonetic = false,
                    "v" | "t" => taken = false,
                    "c" => {
                        let shown = self.shown(&kind, style, &value);
                        if !shown.trim().is_empty() && cells.len() < Sheet::COLUMNS {
                            cells.push((column, shown));
                        }
                        column += 1;
                    }
                    "row" => sheet.row(&std::mem::take(&mut cells), out)?,
                    _ => {}
                },
                Piece::Text(text) if taken => value.push_str(&decode_entities(text)),
                Piece::Plain(text) if taken => value.push_str(text),
                _ => {}
            }
        }
        Ok(())
    }

    /// The value as a reader sees it.
    fn shown(&self, kind: &str, style: usize, value: &str) -> String {
        match kind {
            "s" => value.trim().parse().ok().and_then(|at: usize| self.strings.get(at)).cloned().unwrap_or_default(),
            "b" => (if value.trim() == "1" { "TRUE" } else { "FALSE" }).to_owned(),
            "inlineStr" | "str" | "e" | "d" => value.to_owned(),
            _ => {
                let Ok(number) = value.trim().parse::<f64>() else { return value.to_owned() };
                let moment = self.moments.get(style).copied().unwrap_or_default();
                written(number, moment, self.from_1904).unwrap_or_else(|| rounded(number))
            }
        }
    }
}

/// `C7` is column 2.
fn column_of(reference: &str) -> Option<usize> {
    let letters = reference.bytes().take_while(u8::is_ascii_alphabetic);
    let number = letters.take(4).fold(0, |all, b| all * 26 + usize::from(b.to_ascii_uppercase() - b'A') + 1);
    number.checked_sub(1)
}

/// A number to 15 digits: 0.30000000000000004 is 0.3.
fn rounded(number: f64) -> String {
    let shown = format!("{number:.14e}").parse::<f64>().unwrap_or(number);
    format!("{shown}")
}

/// A serial number of days as ISO 8601; `None` when it is no moment.
fn written(serial: f64, moment: Moment, from_1904: bool) -> Option<String> {
    if moment == Moment::Number || !(0.0..2_958_466.0).contains(&serial) {
        return None;
    }
    let serial = if from_1904 { serial + 1_462.0 } else { serial };
    let seconds = (serial * 86_400.0).round() as i64;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let time = format!("{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
    // Serial 60 is the 29th of February 1900, which never was; days before count from one later.
    let (year, month, day) = civil(days - 25_569 + i64::from(days < 60));
    let date = format!("{year:04}-{month:02}-{day:02}");
    Some(match moment {
        Moment::Time if days == 0 => time,
        Moment::Date if rest == 0 => date,
        _ => format!("{date} {time}"),
    })
}

/// The date of a day since 1970-01-01 (Howard Hinnant, `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn is_from_1904(workbook: &str) -> bool {
    Pieces::xml(workbook).any(|piece| match piece {
        Piece::Start(tag, attributes, _) if local(tag) == "workbookPr" => {
            attribute(attributes, "date1904").is_some_and(|d| d == "1" || d == "true")
        }
        _ => false,
    })
}

/// The strings that cells share, without their phonetic readings.
fn strings(text: &str, out: &mut Out) -> Result<Vec<String>, Refused> {
    let (mut found, mut value) = (Vec::new(), String::new());
    let (mut taken, mut phonetic) = (false, false);
    for piece in Pieces::xml(text) {
        out.tick()?;
        match piece {
            Piece::Start(tag, _, empty) => match local(tag) {
                "si" if empty => found.push(String::new()),
                "rPh" => phonetic = !empty,
                "t" => taken = !empty && !phonetic,
                _ => {}
            },
            Piece::End(tag) => match local(tag) {
                "si" => found.push(std::mem::take(&mut value)),
                "rPh" => phonetic = false,
                "t" => taken = false,
                _ => {}
            },
            Piece::Text(text) if taken => value.push_str(&decode_entities(text)),
            Piece::Plain(text) if taken => value.push_str(text),
            _ => {}
        }
    }
    Ok(found)
}

/// For each cell style whether its numbers are moments.
fn moments(styles: &str) -> Vec<Moment> {
    let mut own: HashMap<u32, Moment> = HashMap::new();
    let mut found = Vec::new();
    let mut in_cells = false;
    for piece in Pieces::xml(styles) {
        match piece {
            Piece::Start(tag, attributes, _) => {
                let id = attribute(attributes, "numFmtId").and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
                match local(tag) {
                    "numFmt" => {
                        own.insert(id, of_code(&attribute(attributes, "formatCode").unwrap_or_default()));
                    }
                    "cellXfs" => in_cells = true,
                    "xf" if in_cells => found.push(own.get(&id).copied().unwrap_or_else(|| built_in(id))),
                    _ => {}
                }
            }
            Piece::End(tag) if local(tag) == "cellXfs" => in_cells = false,
            _ => {}
        }
    }
    found
}

fn built_in(id: u32) -> Moment {
    match id {
        14..=17 | 27..=31 | 34..=36 | 50..=58 => Moment::Date,
        18..=21 | 32 | 33 | 45..=47 => Moment::Time,
        22 => Moment::Both,
        _ => Moment::Number,
    }
}

/// What a format code makes of a number: letters outside quotes, brackets and escapes tell.
fn of_code(code: &str) -> Moment {
    let (mut date, mut time, mut minutes) = (false, false, false);
    let mut letters = code.split(';').next().unwrap_or_default().chars();
    while let Some(c) = letters.next() {
        match c.to_ascii_lowercase() {
            '"' => letters.by_ref().find(|c| *c == '"').map_or((), drop),
            // `[h]` counts hours; other brackets are colours, conditions and places.
            '[' => {
                let inner: String = letters.by_ref().take_while(|c| *c != ']').collect();
                time |= !inner.is_empty() && inner.chars().all(|c| "hmsHMS".contains(c));
            }
            '\\' | '_' | '*' => letters.next().map_or((), drop),
            'y' | 'd' => date = true,
            'h' | 's' => time = true,
            'm' => minutes = true,
            'g' if code.to_ascii_lowercase().contains("general") => return Moment::Number,
            '0' | '#' | '?' if !time => return Moment::Number,
            _ => {}
        }
    }
    match (date || (minutes && !time), time) {
        (true, true) => Moment::Both,
        (true, false) => Moment::Date,
        (false, true) => Moment::Time,
        (false, false) => Moment::Number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_moments() {
        let check = |serial, moment, expected: &str| assert_eq!(written(serial, moment, false).as_deref(), Some(expected));
        check(1.0, Moment::Date, "1900-01-01");
        check(59.0, Moment::Date, "1900-02-28");
        check(61.0, Moment::Date, "1900-03-01");
        check(45_322.0, Moment::Date, "2024-01-31");
        check(45_322.5, Moment::Both, "2024-01-31 12:00:00");
        check(0.75, Moment::Time, "18:00:00");
        assert_eq!(written(0.0, Moment::Date, true).as_deref(), Some("1904-01-01"));
        assert_eq!(written(-1.0, Moment::Date, false), None);
    }

    #[test]
    fn formats_tell_what_numbers_are() {
        let check = |code: &str, moment| assert_eq!(of_code(code), moment, "{code}");
        check("yyyy\\-mm\\-dd", Moment::Date);
        check("dd/mm/yy hh:mm", Moment::Both);
        check("[h]:mm:ss", Moment::Time);
        check("[$-407]d. mmmm yyyy", Moment::Date);
        check("#,##0.00 \"days\"", Moment::Number);
        check("[Red]0.00", Moment::Number);
        check("General", Moment::Number);
    }

    #[test]
    fn numbers_are_shown_as_spreadsheets_do() {
        assert_eq!(rounded(0.1 + 0.2), "0.3");
        assert_eq!(rounded(1e6), "1000000");
        assert_eq!(rounded(-2.5), "-2.5");
        assert_eq!(column_of("AA10"), Some(26));
    }
}
