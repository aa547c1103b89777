//! OpenDocument spreadsheets (OASIS ODF 1.3): one heading a sheet, one row a block; the page is the sheet's number.
//!
//! Cells show what the office program showed, dates their ISO form. Repetitions are followed only as far as anything
//! stands in them.

use super::limits::{Out, malformed};
use super::markup::{Piece, Pieces, attribute, decode_entities, local};
use super::xlsx::Sheet;
use super::xml::properties;
use super::zipped::Package;
use crate::domain::ingest::reason::Refused;

/// Equal rows that follow each other are written at most this often.
const SAME_ROWS_MAX: usize = 1_000;

/// Reads a spreadsheet.
///
/// # Errors
/// `Malformed`, `Encrypted`, `TooLarge`, `TooSlow`.
pub(super) fn extract(bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
    let mut package = Package::open(bytes, out.limits)?;
    properties(&mut package, "meta.xml", out)?;
    let manifest = package.text("META-INF/manifest.xml")?.unwrap_or_default();
    if manifest.contains("encryption-data") {
        return Err(Refused::new(crate::domain::ingest::reason::Refusal::Encrypted, "the spreadsheet asks for a password"));
    }
    let text = package.text("content.xml")?.ok_or_else(|| malformed("a spreadsheet without content"))?;
    let mut reader = Reader::default();
    for piece in Pieces::xml(&text) {
        out.tick()?;
        match piece {
            Piece::Start(tag, attributes, empty) => {
                reader.start(local(tag), attributes, out)?;
                if empty {
                    reader.end(local(tag), out)?;
                }
            }
            Piece::End(tag) => reader.end(local(tag), out)?,
            Piece::Text(text) if reader.in_text > 0 => reader.cell.push_str(&decode_entities(text)),
            _ => {}
        }
    }
    out.canon.pages(reader.sheets);
    Ok(())
}

/// What is open.
#[derive(Default)]
struct Reader {
    sheets: u32,
    sheet: Option<Sheet>,
    cells: Vec<(usize, String)>,
    column: usize,
    cell: String,
    date: Option<String>,
    times: usize,
    row_times: usize,
    in_text: usize,
    /// A note is no part of its cell.
    in_note: bool,
}

impl Reader {
    fn start(&mut self, tag: &str, attributes: &str, out: &Out) -> Result<(), Refused> {
        let times = |key: &str| attribute(attributes, key).and_then(|n| n.parse::<usize>().ok()).unwrap_or(1);
        match tag {
            "table" => {
                self.sheets += 1;
                if self.sheets as usize > out.limits.max_pages {
                    return Err(super::limits::too_large("more sheets than the limit"));
                }
                self.sheet = Some(Sheet::new(&attribute(attributes, "table:name").unwrap_or_default(), self.sheets));
            }
            "table-row" => {
                self.cells.clear();
                self.column = 0;
                self.row_times = times("table:number-rows-repeated").min(SAME_ROWS_MAX);
            }
            "table-cell" | "covered-table-cell" => {
                self.cell.clear();
                self.date = attribute(attributes, "office:date-value").map(|d| d.into_owned());
                self.times = times("table:number-columns-repeated");
            }
            "p" if !self.in_note => {
                if !self.cell.is_empty() {
                    self.cell.push(' ');
                }
                self.in_text += 1;
            }
            "s" | "tab" | "line-break" if self.in_text > 0 => self.cell.push(' '),
            "annotation" => self.in_note = true,
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, tag: &str, out: &mut Out) -> Result<(), Refused> {
        match tag {
            "annotation" => self.in_note = false,
            "p" => self.in_text = self.in_text.saturating_sub(1),
            "table-cell" | "covered-table-cell" => {
                let text = self.date.take().unwrap_or_else(|| std::mem::take(&mut self.cell));
                if !text.trim().is_empty() {
                    for column in (self.column..).take(self.times.min(Sheet::COLUMNS)) {
                        self.cells.push((column, text.clone()));
                    }
                }
                self.column = self.column.saturating_add(self.times);
            }
            "table-row" => {
                if let Some(sheet) = &mut self.sheet {
                    for _ in 0..if self.cells.is_empty() { 0 } else { self.row_times } {
                        sheet.row(&self.cells, out)?;
                    }
                }
            }
            "table" => self.sheet = None,
            _ => {}
        }
        Ok(())
    }
}
