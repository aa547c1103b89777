//! What was read out of a document: its canonical text and the blocks that give it structure.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// What a stretch of text is. Headings carry their level, 1 the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BlockKind {
    /// A heading of this level, 1 to 6.
    Heading(u8),
    /// Running text.
    Paragraph,
    /// One item of a list.
    ListItem,
    /// One row of a table, cells joined by ` | `; `true` on the header row.
    TableRow(bool),
    /// Program text and other verbatim lines; white space is kept.
    Code,
}

/// A stretch of the canonical text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// Bytes of the canonical text; never empty, never white space at either end, in ascending order without overlap.
    pub span: Range<usize>,
    /// The page, slide or sheet it begins on, counting from 1, where the format has any.
    pub page: Option<u32>,
}

/// Where a document points to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// The address as written.
    pub target: String,
    /// The byte of the canonical text where its words begin.
    pub at: usize,
}

/// What was read out of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The canonical text: UTF-8 in NFC, `\n` line ends, no control characters but `\n` and `\t`, blocks joined by line ends.
    pub text: String,
    /// Its blocks; what no block covers is white space.
    pub blocks: Vec<Block>,
    /// Its title, where it states one.
    pub title: Option<String>,
    /// What else it states of itself: `author`, `created`, `language`, `subject`, in the format's own words.
    pub meta: BTreeMap<String, String>,
    /// Pages, slides or sheets; `None` where the format has none.
    pub pages: Option<u32>,
    /// Where it points to.
    pub links: Vec<Link>,
    /// What a person should know though the document was taken: `2 of 14 pages hold no text`.
    pub warnings: Vec<String>,
    /// Bytes that were no character in the encoding found, each shown as U+FFFD in the text.
    pub undecodable: usize,
}

impl Document {
    /// The text of a block.
    pub fn slice(&self, block: &Block) -> &str {
        self.text.get(block.span.clone()).unwrap_or_default()
    }

    /// The headings above each block, outermost first, a heading's own path including itself.
    pub fn heading_paths(&self) -> Vec<Vec<usize>> {
        let mut open: Vec<(u8, usize)> = Vec::new();
        let mut paths = Vec::with_capacity(self.blocks.len());
        for (i, block) in self.blocks.iter().enumerate() {
            if let BlockKind::Heading(level) = block.kind {
                open.retain(|(above, _)| *above < level);
                open.push((level, i));
            }
            paths.push(open.iter().map(|(_, at)| *at).collect());
        }
        paths
    }

    /// The first rule of the canonical text that this document breaks; the tests of every format ask.
    pub fn fault(&self) -> Option<String> {
        if let Some(c) = self.text.chars().find(|c| c.is_control() && *c != '\n' && *c != '\t') {
            return Some(format!("the text holds the control character U+{:04X}", u32::from(c)));
        }
        let mut end = 0;
        for block in &self.blocks {
            let Some(text) = self.text.get(block.span.clone()).filter(|t| !t.is_empty()) else {
                return Some(format!("{:?} is no stretch of the text", block.span));
            };
            if text.trim() != text {
                return Some(format!("{:?} begins or ends with white space", block.span));
            }
            let Some(between) = self.text.get(end..block.span.start) else {
                return Some(format!("{:?} overlaps the block before", block.span));
            };
            if !between.trim().is_empty() {
                return Some(format!("`{}` is in no block", between.trim()));
            }
            end = block.span.end;
        }
        let rest = self.text.get(end..).unwrap_or_default();
        (!rest.trim().is_empty()).then(|| format!("`{}` is in no block", rest.trim()))
    }
}
