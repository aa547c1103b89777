//! What every format has in common: hostile files, formats found by content, and rules that no mutation may break.

use super::*;
use crate::domain::ingest::document::BlockKind;

/// Extracts with the usual limits; whatever comes out keeps the rules of canonical text.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Extracted, Refused> {
    let made = extract(bytes, name, &Limits::new(&|| false));
    if let Ok(made) = &made {
        assert_eq!(made.document.fault(), None, "{name}");
    }
    made
}

/// The blocks of a document in short: `# heading`, `- item`, `| row`, `|# header row`, and code after three ticks.
pub(super) fn show(document: &Document) -> String {
    let blocks = document.blocks.iter().map(|block| {
        let text = document.slice(block);
        match block.kind {
            BlockKind::Heading(level) => format!("{} {text}", "#".repeat(level.into())),
            BlockKind::Paragraph => text.to_owned(),
            BlockKind::ListItem => format!("- {text}"),
            BlockKind::TableRow(true) => format!("|# {text}"),
            BlockKind::TableRow(false) if text.starts_with('|') => text.to_owned(),
            BlockKind::TableRow(false) => format!("| {text}"),
            BlockKind::Code => format!("``` {text}"),
        }
    });
    blocks.collect::<Vec<_>>().join("\n")
}

/// The blocks that a text file of this name has.
pub(super) fn check(name: &str, text: &str, expected: &str) {
    assert_eq!(show(&read(name, text.as_bytes()).unwrap().document), expected);
}
