//! The one way in which canonical text is written: every format hands its blocks to a [`Canon`], so that line ends, white
//! space, control characters and normalisation are the same whatever the source.

use super::document::{Block, BlockKind, Document, Link};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Builds a document block by block.
#[derive(Default)]
pub struct Canon {
    doc: Document,
}

impl Canon {
    /// An empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of canonical text so far, for limits.
    pub fn len(&self) -> usize {
        self.doc.text.len()
    }

    /// True when nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.doc.text.is_empty()
    }

    /// Appends a block; white space alone appends nothing. Gives the byte where the block begins.
    ///
    /// Paragraphs, headings, items and rows become one line with single spaces; a line end inside them is a space. Code
    /// keeps its lines and indentation.
    pub fn push(&mut self, kind: BlockKind, page: Option<u32>, raw: &str) -> Option<usize> {
        let text = match kind {
            BlockKind::Code => verbatim(raw),
            _ => one_line(raw),
        };
        if text.is_empty() {
            return None;
        }
        if let Some(last) = self.doc.blocks.last() {
            self.doc.text.push_str(separator(last.kind, kind));
        }
        let start = self.doc.text.len();
        if is_nfc_quick(text.chars()) == IsNormalized::Yes {
            self.doc.text.push_str(&text);
        } else {
            self.doc.text.extend(text.nfc());
        }
        self.doc.blocks.push(Block { kind, span: start..self.doc.text.len(), page });
        Some(start)
    }

    /// Notes an address that the text at `at` points to.
    pub fn link(&mut self, target: &str, at: usize) {
        let target = target.trim();
        if !target.is_empty() && target.len() <= 2_048 {
            self.doc.links.push(Link { target: target.to_owned(), at });
        }
    }

    /// Sets the title, unless one is set already.
    pub fn title(&mut self, title: &str) {
        let title = one_line(title);
        if self.doc.title.is_none() && !title.is_empty() {
            self.doc.title = Some(title);
        }
    }

    /// Notes what the document states of itself, unless it is noted already.
    pub fn meta(&mut self, key: &str, value: &str) {
        let value = one_line(value);
        if !value.is_empty() {
            self.doc.meta.entry(key.to_owned()).or_insert(value);
        }
    }

    /// Notes what a person should know though the document is taken.
    pub fn warn(&mut self, warning: impl Into<String>) {
        self.doc.warnings.push(warning.into());
    }

    /// Notes how many pages there are.
    pub fn pages(&mut self, pages: u32) {
        self.doc.pages = Some(pages);
    }

    /// Notes bytes that were no character.
    pub fn undecodable(&mut self, bytes: usize) {
        self.doc.undecodable += bytes;
    }

    /// The document.
    pub fn finish(self) -> Document {
        self.doc
    }
}

/// Between two blocks: rows of a table and items of a list stand close, everything else is set apart.
fn separator(before: BlockKind, after: BlockKind) -> &'static str {
    match (before, after) {
        (BlockKind::TableRow(_), BlockKind::TableRow(_)) | (BlockKind::ListItem, BlockKind::ListItem) => "\n",
        _ => "\n\n",
    }
}

/// Characters that carry no text: controls, soft hyphens, joiners of no width, byte-order marks, non-characters.
fn is_noise(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        || (c.is_control() && !c.is_whitespace())
}

/// One line with single spaces.
fn one_line(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut gap = false;
    for c in raw.chars() {
        if c.is_whitespace() {
            gap = !out.is_empty();
        } else if !is_noise(c) {
            if gap {
                out.push(' ');
                gap = false;
            }
            out.push(c);
        }
    }
    out
}

/// Lines as they are, without white space at their ends and without empty lines at either end of the block. White space
/// before the first line goes too, because a block never begins with any.
fn verbatim(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for line in raw.split(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
        let line: String = line.chars().filter(|c| !is_noise(*c)).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn doc(blocks: &[(BlockKind, &str)]) -> Document {
        let mut canon = Canon::new();
        for (kind, text) in blocks {
            canon.push(*kind, None, text);
        }
        canon.finish()
    }

    #[test]
    fn blocks_are_joined_and_cleaned() {
        let made = doc(&[
            (BlockKind::Heading(1), " A\n title "),
            (BlockKind::Paragraph, "so\u{ad}ft\u{0} hy\u{200b}phen\r\nand e\u{301}"),
            (BlockKind::Paragraph, " \u{a0}\n"),
            (BlockKind::ListItem, "one"),
            (BlockKind::ListItem, "two"),
            (BlockKind::Code, "\n  if x:\n\n    y  \n"),
        ]);
        assert_eq!(made.text, "A title\n\nsoft hyphen and \u{e9}\n\none\ntwo\n\nif x:\n\n    y");
        assert_eq!(made.fault(), None);
        assert_eq!(made.blocks.len(), 5);
    }

    #[test]
    fn headings_lead_to_what_is_below_them() {
        let made = doc(&[
            (BlockKind::Heading(1), "A"),
            (BlockKind::Heading(3), "B"),
            (BlockKind::Paragraph, "x"),
            (BlockKind::Heading(2), "C"),
            (BlockKind::Paragraph, "y"),
        ]);
        assert_eq!(made.heading_paths(), [vec![0], vec![0, 1], vec![0, 1], vec![0, 3], vec![0, 3]]);
    }

    fn any_block() -> impl Strategy<Value = (BlockKind, String)> {
        let kind = prop_oneof![
            (1..=6_u8).prop_map(BlockKind::Heading),
            Just(BlockKind::Paragraph),
            Just(BlockKind::ListItem),
            any::<bool>().prop_map(BlockKind::TableRow),
            Just(BlockKind::Code),
        ];
        (kind, any::<String>())
    }

    proptest! {
        #[test]
        fn any_text_becomes_canonical(blocks in prop::collection::vec(any_block(), 0..8)) {
            let mut canon = Canon::new();
            for (kind, text) in &blocks {
                canon.push(*kind, Some(1), text);
            }
            let made = canon.finish();
            prop_assert_eq!(made.fault(), None);
            let once = made.text.clone();
            prop_assert_eq!(once.nfc().collect::<String>(), made.text);
        }
    }
}
