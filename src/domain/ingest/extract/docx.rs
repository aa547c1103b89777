//! Word documents (ECMA-376 part 1, WordprocessingML): what a reader sees with all changes accepted.
//!
//! Insertions are text, deletions and moved-away text are not. Text boxes follow their paragraph; foot- and endnotes follow
//! the body; headers and footers come last, each once. The main part is found by reference, not by name.

use super::limits::{Out, malformed};
use super::markup::{Piece, Pieces, attribute, decode_entities, local};
use super::styles::{Styles, level};
use super::xml::{Relation, main_part, properties, relations};
use super::zipped::Package;
use crate::domain::ingest::document::BlockKind;
use crate::domain::ingest::reason::Refused;
use std::collections::HashSet;

/// Paragraphs inside paragraphs (text boxes) and tables inside tables that are told apart.
const NESTED_MAX: usize = 32;
/// A cell longer than this, in bytes, is layout rather than data.
const CELL_MAX: usize = 2_000;

/// Reads a Word document.
///
/// # Errors
/// `Malformed`, `Encrypted`, `TooLarge`, `TooSlow`.
pub(super) fn extract(bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
    let mut package = Package::open(bytes, out.limits)?;
    let main = main_part(&mut package, "word/document.xml")?;
    let core = relations(&mut package, "")?.into_iter().find(|r| r.kind == "core-properties");
    properties(&mut package, core.as_ref().map_or("docProps/core.xml", |r| &r.target), out)?;
    let body = package.text(&main)?.ok_or_else(|| malformed("a Word document without its main part"))?;
    let links = relations(&mut package, &main)?;
    let styles = match links.iter().find(|r| r.kind == "styles") {
        Some(part) => Styles::read(&package.text(&part.target)?.unwrap_or_default()),
        None => Styles::default(),
    };
    Reader::new(&styles, &links).read(&body, out)?;
    let mut seen: HashSet<String> = HashSet::new();
    for kind in ["footnotes", "endnotes", "header", "footer"] {
        for part in links.iter().filter(|r| r.kind == kind) {
            let text = package.text(&part.target)?.unwrap_or_default();
            // Sections repeat their heads.
            if seen.insert(text.clone()) {
                let own = relations(&mut package, &part.target)?;
                Reader::new(&styles, &own).read(&text, out)?;
            }
        }
    }
    Ok(())
}

/// A paragraph that is open.
#[derive(Default)]
struct Paragraph {
    text: String,
    heading: Option<u8>,
    item: bool,
    title: bool,
    links: Vec<(usize, String)>,
}

/// A table that is open.
#[derive(Default)]
struct Table {
    cells: Vec<String>,
    cell: Option<String>,
    rows: usize,
    header: bool,
    first_row: bool,
}

struct Reader<'a> {
    styles: &'a Styles,
    links: &'a [Relation],
    paragraph: Paragraph,
    outer: Vec<Paragraph>,
    tables: Vec<Table>,
    /// Elements open whose text does not count.
    muted: usize,
    in_text: bool,
}

/// Elements whose content is not what a reader sees.
const MUTED: &[&str] = &["del", "moveFrom", "Fallback", "rPrChange", "pPrChange", "sectPrChange", "tblPrChange"];

impl<'a> Reader<'a> {
    fn new(styles: &'a Styles, links: &'a [Relation]) -> Self {
        Self { styles, links, paragraph: Paragraph::default(), outer: Vec::new(), tables: Vec::new(), muted: 0, in_text: false }
    }

    fn read(&mut self, text: &str, out: &mut Out) -> Result<(), Refused> {
        for piece in Pieces::xml(text) {
            out.tick()?;
            match piece {
                Piece::Start(tag, attributes, empty) => {
                    self.start(local(tag), attributes, empty, out)?;
                    if empty {
                        self.end(local(tag), true, out)?;
                    }
                }
                Piece::End(tag) => self.end(local(tag), false, out)?,
                Piece::Text(text) if self.in_text && self.muted == 0 => self.paragraph.text.push_str(&decode_entities(text)),
                Piece::Plain(text) if self.in_text && self.muted == 0 => self.paragraph.text.push_str(text),
                _ => {}
            }
        }
        self.finish_paragraph(out)?;
        while !self.tables.is_empty() {
            self.end_row(out)?;
            self.tables.pop();
        }
        Ok(())
    }

    fn start(&mut self, tag: &str, attributes: &str, empty: bool, out: &mut Out) -> Result<(), Refused> {
        if MUTED.contains(&tag) {
            self.muted += usize::from(!empty);
            return Ok(());
        }
        if self.muted > 0 {
            return Ok(());
        }
        let value = || attribute(attributes, "w:val").unwrap_or_default();
        match tag {
            "t" => self.in_text = true,
            "tab" | "ptab" if !self.paragraph.text.is_empty() => self.paragraph.text.push('\t'),
            "br" | "cr" => self.paragraph.text.push('\n'),
            "noBreakHyphen" => self.paragraph.text.push('-'),
            "p" => self.paragraph = Paragraph::default(),
            "pStyle" => {
                let meaning = self.styles.meaning(&value());
                self.paragraph.heading = meaning.heading;
                self.paragraph.item |= meaning.item;
                self.paragraph.title = meaning.title;
            }
            "outlineLvl" => self.paragraph.heading = value().parse().ok().and_then(level),
            "numId" => self.paragraph.item = value() != "0",
            "hyperlink" => {
                let id = attribute(attributes, "r:id").unwrap_or_default();
                if let Some(link) = self.links.iter().find(|l| l.id == id && l.kind == "hyperlink") {
                    self.paragraph.links.push((self.paragraph.text.len(), link.target.clone()));
                }
            }
            "txbxContent" if self.outer.len() < NESTED_MAX && !empty => self.outer.push(std::mem::take(&mut self.paragraph)),
            "tbl" => self.start_table(out)?,
            "tblLook" => {
                let bits = u32::from_str_radix(&value(), 16).unwrap_or(0);
                let first = attribute(attributes, "w:firstRow").map_or(bits & 0x20 != 0, |f| f == "1" || f == "true");
                self.tables.last_mut().into_iter().for_each(|t| t.first_row = first);
            }
            "tblHeader" => self.tables.last_mut().into_iter().for_each(|t| t.header = true),
            "tc" => self.tables.last_mut().into_iter().for_each(|t| t.cell = Some(String::new())),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, tag: &str, empty: bool, out: &mut Out) -> Result<(), Refused> {
        if MUTED.contains(&tag) {
            self.muted = self.muted.saturating_sub(usize::from(!empty));
            return Ok(());
        }
        if self.muted > 0 {
            return Ok(());
        }
        match tag {
            "t" => self.in_text = false,
            "p" => self.finish_paragraph(out)?,
            "txbxContent" => {
                self.finish_paragraph(out)?;
                self.paragraph = self.outer.pop().unwrap_or_default();
            }
            "tc" => {
                if let Some(table) = self.tables.last_mut() {
                    table.cells.extend(table.cell.take());
                }
            }
            "tr" => self.end_row(out)?,
            "tbl" => {
                self.end_row(out)?;
                self.tables.pop();
            }
            _ => {}
        }
        Ok(())
    }

    /// A table within a cell: what the outer row holds so far comes first.
    fn start_table(&mut self, out: &mut Out) -> Result<(), Refused> {
        if self.tables.last().is_some_and(|t| t.cell.is_some()) {
            let cell = self.tables.last_mut().and_then(|t| t.cell.take());
            self.end_row(out)?;
            out.push(BlockKind::Paragraph, None, &cell.unwrap_or_default())?;
        }
        if self.tables.len() < NESTED_MAX {
            self.tables.push(Table::default());
        }
        Ok(())
    }

    fn end_row(&mut self, out: &mut Out) -> Result<(), Refused> {
        let Some(table) = self.tables.last_mut() else { return Ok(()) };
        table.cells.extend(table.cell.take());
        let cells = std::mem::take(&mut table.cells);
        let header = std::mem::take(&mut table.header) || (table.first_row && table.rows == 0);
        if !cells.is_empty() {
            table.rows += 1;
            out.row(header, None, &cells)?;
        }
        Ok(())
    }

    fn finish_paragraph(&mut self, out: &mut Out) -> Result<(), Refused> {
        let paragraph = std::mem::take(&mut self.paragraph);
        if paragraph.text.trim().is_empty() {
            return Ok(());
        }
        if let Some(cell) = self.tables.last_mut().and_then(|t| t.cell.as_mut())
            && paragraph.heading.is_none()
            && cell.len() <= CELL_MAX
        {
            if !cell.is_empty() {
                cell.push(' ');
            }
            cell.push_str(&paragraph.text);
            let at = out.canon.len();
            paragraph.links.iter().for_each(|(_, target)| out.canon.link(target, at));
            return Ok(());
        }
        self.leave_cell(out)?;
        if paragraph.title {
            out.canon.title(&paragraph.text);
        }
        let kind = match paragraph.heading {
            Some(level) => BlockKind::Heading(level),
            None if paragraph.item => BlockKind::ListItem,
            None => BlockKind::Paragraph,
        };
        let lead = paragraph.text.len() - paragraph.text.trim_start().len();
        if let Some(start) = out.push(kind, None, &paragraph.text)? {
            for (at, target) in paragraph.links {
                let at = (start + at.saturating_sub(lead)).min(out.canon.len());
                out.canon.link(&target, at);
            }
        }
        Ok(())
    }

    /// A cell that holds a heading or very much is layout: its text so far stands for itself.
    fn leave_cell(&mut self, out: &mut Out) -> Result<(), Refused> {
        let Some(table) = self.tables.last_mut().filter(|t| t.cell.is_some()) else { return Ok(()) };
        let cells = std::mem::take(&mut table.cells);
        let text = table.cell.replace(String::new()).unwrap_or_default();
        out.row(false, None, &cells)?;
        out.push(BlockKind::Paragraph, None, &text)?;
        Ok(())
    }
}
