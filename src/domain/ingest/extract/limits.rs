//! What one document may cost, and the writer that holds every format to it.
//!
//! Numbers: 256 MiB inflated and 200:1 are what real office files and PDFs stay far below (a page of 300,000 table cells
//! deflates about 30:1); depth 1,000 is beyond any layout that a person wrote.

use crate::domain::ingest::canon::Canon;
use crate::domain::ingest::document::{BlockKind, Document};
use crate::domain::ingest::reason::{Refusal, Refused};

/// How many blocks or steps pass between two looks at the clock.
const STEPS_A_LOOK: u32 = 256;

/// What one document may cost.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// The most bytes of the file.
    pub max_bytes: usize,
    /// The most bytes that its parts unpack to together; also the most bytes of its text.
    pub max_inflated: usize,
    /// The most bytes that one packed byte may unpack to, for parts over 1 MiB.
    pub max_ratio: usize,
    /// The deepest nesting that is followed; what lies deeper is read flat.
    pub max_depth: usize,
    /// The most pages, slides or sheets.
    pub max_pages: usize,
    /// True when the document has had its time; asked in every loop.
    pub late: &'a dyn Fn() -> bool,
}

impl<'a> Limits<'a> {
    /// The usual limits: 256 MiB of file, 256 MiB inflated, 200:1, depth 1,000, 20,000 pages.
    pub fn new(late: &'a dyn Fn() -> bool) -> Self {
        Self { max_bytes: 256 << 20, max_inflated: 256 << 20, max_ratio: 200, max_depth: 1_000, max_pages: 20_000, late }
    }
}

/// Writes the canonical text of one document within its limits.
pub(super) struct Out<'a> {
    pub(super) canon: Canon,
    pub(super) limits: &'a Limits<'a>,
    steps: u32,
}

impl<'a> Out<'a> {
    /// A writer of nothing yet.
    pub(super) fn new(limits: &'a Limits<'a>) -> Self {
        Self { canon: Canon::new(), limits, steps: 0 }
    }

    /// One step of any loop; an error when time is up.
    pub(super) fn tick(&mut self) -> Result<(), Refused> {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(STEPS_A_LOOK) && (self.limits.late)() {
            return Err(Refused::new(Refusal::TooSlow, "it took longer than a file may take"));
        }
        Ok(())
    }

    /// Appends a block; white space alone appends nothing.
    pub(super) fn push(&mut self, kind: BlockKind, page: Option<u32>, raw: &str) -> Result<Option<usize>, Refused> {
        self.tick()?;
        if self.canon.len() + raw.len() > self.limits.max_inflated {
            return Err(too_large(format!("its text passes {} bytes", self.limits.max_inflated)));
        }
        Ok(self.canon.push(kind, page, raw))
    }

    /// Appends a row of a table: cells joined by ` | `, empty ones kept between others so that columns stay.
    pub(super) fn row(&mut self, header: bool, page: Option<u32>, cells: &[String]) -> Result<Option<usize>, Refused> {
        let filled = cells.iter().rposition(|c| !c.trim().is_empty()).map_or(0, |last| last + 1);
        self.push(BlockKind::TableRow(header), page, &cells[..filled].join(" | "))
    }

    /// The document.
    pub(super) fn finish(self) -> Document {
        self.canon.finish()
    }
}

/// Larger than a limit.
pub(super) fn too_large(detail: impl Into<String>) -> Refused {
    Refused::new(Refusal::TooLarge, detail)
}

/// Breaks the rules of its own format.
pub(super) fn malformed(detail: impl Into<String>) -> Refused {
    Refused::new(Refusal::Malformed, detail)
}
