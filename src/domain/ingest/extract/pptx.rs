//! Presentations (ECMA-376 part 1, PresentationML): slides in the order they are shown, titles as headings, notes after
//! their slide. The page is the slide's number.

use super::limits::{Out, malformed, too_large};
use super::markup::{Piece, Pieces, attribute, decode_entities, local};
use super::xml::{Relation, main_part, properties, relations};
use super::zipped::Package;
use crate::domain::ingest::document::BlockKind;
use crate::domain::ingest::reason::Refused;

/// Reads a presentation.
///
/// # Errors
/// `Malformed`, `Encrypted`, `TooLarge`, `TooSlow`.
pub(super) fn extract(bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
    let mut package = Package::open(bytes, out.limits)?;
    let main = main_part(&mut package, "ppt/presentation.xml")?;
    properties(&mut package, "docProps/core.xml", out)?;
    let text = package.text(&main)?.ok_or_else(|| malformed("a presentation without its main part"))?;
    let links = relations(&mut package, &main)?;
    let slides: Vec<&str> = Pieces::xml(&text)
        .filter_map(|piece| match piece {
            Piece::Start(tag, attributes, _) if local(tag) == "sldId" => attribute(attributes, "r:id"),
            _ => None,
        })
        .filter_map(|id| links.iter().find(|l| l.id == *id).map(|l| l.target.as_str()))
        .collect();
    if slides.len() > out.limits.max_pages {
        return Err(too_large(format!("{} slides, the limit is {}", slides.len(), out.limits.max_pages)));
    }
    out.canon.pages(u32::try_from(slides.len()).unwrap_or(u32::MAX));
    for (number, part) in (1..).zip(slides) {
        let Some(text) = package.text(part)? else {
            out.canon.warn(format!("slide {number} is missing"));
            continue;
        };
        let links = relations(&mut package, part)?;
        Slide::new(number, &links, false).read(&text, out)?;
        for kind in ["diagramData", "notesSlide"] {
            for part in links.iter().filter(|l| l.kind == kind) {
                let text = package.text(&part.target)?.unwrap_or_default();
                Slide::new(number, &[], kind == "notesSlide").read(&text, out)?;
            }
        }
    }
    Ok(())
}

/// The parts of one slide that are open.
struct Slide<'a> {
    page: Option<u32>,
    links: &'a [Relation],
    /// Only the body counts: a page of notes repeats the slide's number and picture.
    notes: bool,
    /// The kind of the shape's place: `title`, `body`, empty for a text box.
    place: Option<String>,
    blocks: Vec<(BlockKind, String, Vec<String>)>,
    text: String,
    targets: Vec<String>,
    in_text: bool,
    bulleted: bool,
    cells: Option<Vec<String>>,
    rows: usize,
    first_row: bool,
}

impl<'a> Slide<'a> {
    fn new(number: u32, links: &'a [Relation], notes: bool) -> Self {
        Self {
            page: Some(number),
            links,
            notes,
            place: None,
            blocks: Vec::new(),
            text: String::new(),
            targets: Vec::new(),
            in_text: false,
            bulleted: false,
            cells: None,
            rows: 0,
            first_row: false,
        }
    }

    fn read(mut self, text: &str, out: &mut Out) -> Result<(), Refused> {
        for piece in Pieces::xml(text) {
            out.tick()?;
            match piece {
                Piece::Start(tag, attributes, empty) => {
                    self.start(local(tag), attributes);
                    if empty {
                        self.end(local(tag));
                    }
                }
                Piece::End(tag) => self.end(local(tag)),
                Piece::Text(text) if self.in_text => self.text.push_str(&decode_entities(text)),
                Piece::Plain(text) if self.in_text => self.text.push_str(text),
                _ => {}
            }
        }
        // The title is read first, wherever it stands in the file.
        self.blocks.sort_by_key(|(kind, _, _)| !matches!(kind, BlockKind::Heading(_)));
        for (kind, text, targets) in &self.blocks {
            if let Some(start) = out.push(*kind, self.page, text)? {
                targets.iter().for_each(|t| out.canon.link(t, start));
            }
        }
        Ok(())
    }

    fn start(&mut self, tag: &str, attributes: &str) {
        match tag {
            "sp" | "graphicFrame" => self.place = None,
            "ph" => self.place = Some(attribute(attributes, "type").map_or_else(|| "body".to_owned(), |t| t.into_owned())),
            "p" => {
                if self.cells.is_none() {
                    self.text.clear();
                }
                self.bulleted = false;
            }
            "buChar" | "buAutoNum" => self.bulleted = true,
            "t" => self.in_text = true,
            "br" => self.text.push('\n'),
            "tab" => self.text.push('\t'),
            "hlinkClick" => {
                let id = attribute(attributes, "r:id").unwrap_or_default();
                self.targets.extend(self.links.iter().find(|l| l.id == id && l.kind == "hyperlink").map(|l| l.target.clone()));
            }
            "tbl" => self.rows = 0,
            "tblPr" => self.first_row = attribute(attributes, "firstRow").is_some_and(|f| f == "1" || f == "true"),
            "tr" => self.cells = Some(Vec::new()),
            "tc" => self.text.clear(),
            _ => {}
        }
    }

    fn end(&mut self, tag: &str) {
        match tag {
            "t" => self.in_text = false,
            "p" if self.cells.is_some() => self.text.push(' '),
            "p" => self.finish(),
            "tc" => {
                let text = std::mem::take(&mut self.text);
                self.cells.as_mut().into_iter().for_each(|cells| cells.push(text.trim().to_owned()));
            }
            "tr" => {
                let cells = self.cells.take().unwrap_or_default();
                let kind = BlockKind::TableRow(self.rows == 0 && self.first_row);
                self.rows += 1;
                self.blocks.push((kind, cells.join(" | "), std::mem::take(&mut self.targets)));
            }
            _ => {}
        }
    }

    fn finish(&mut self) {
        let text = std::mem::take(&mut self.text);
        let targets = std::mem::take(&mut self.targets);
        let place = self.place.as_deref();
        if text.trim().is_empty() || (self.notes && place != Some("body")) {
            return;
        }
        let kind = match place {
            Some("sldNum" | "dt" | "ftr" | "hdr") => return,
            Some("title" | "ctrTitle") => BlockKind::Heading(1),
            Some("body") if !self.notes => BlockKind::ListItem,
            _ if self.bulleted => BlockKind::ListItem,
            _ => BlockKind::Paragraph,
        };
        self.blocks.push((kind, text, targets));
    }
}
