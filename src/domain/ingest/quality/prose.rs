//! Running text: the blocks of a document that are sentences. Menus, tables, code and captions say little about the
//! language of a document and spoil every readability formula, so both look at prose alone.

use crate::domain::ingest::document::{BlockKind, Document};

/// A block of fewer words than this is a caption or a menu entry, not prose.
const MIN_WORDS: usize = 8;

/// The blocks that are prose: paragraphs and list items of at least 8 words that end in `.`, `!` or `?`, where closing
/// quotation marks and brackets may follow.
pub(super) fn sentences(doc: &Document) -> Vec<&str> {
    let running = doc.blocks.iter().filter(|b| matches!(b.kind, BlockKind::Paragraph | BlockKind::ListItem));
    running.map(|b| doc.slice(b)).filter(|text| is_prose(text)).collect()
}

/// Every block but code, for documents that hold hardly any prose.
pub(super) fn anything_but_code(doc: &Document) -> Vec<&str> {
    doc.blocks.iter().filter(|b| b.kind != BlockKind::Code).map(|b| doc.slice(b)).collect()
}

fn is_prose(text: &str) -> bool {
    let end = text.trim_end_matches(['"', '\'', ')', ']', '»', '«', '”', '’', '“', '›']);
    end.ends_with(['.', '!', '?']) && text.split_whitespace().nth(MIN_WORDS - 1).is_some()
}

/// At most `limit` bytes of the pieces, a third each from around one sixth, one half and five sixths of them: the beginning
/// and the end of a document are often a menu, a licence or an index. All of them when they are no longer than that.
pub(super) fn sample<'a>(pieces: &[&'a str], limit: usize) -> Vec<&'a str> {
    let total: usize = pieces.iter().map(|p| p.len()).sum();
    if total <= limit {
        return pieces.to_vec();
    }
    let width = limit / 3;
    let mut out = Vec::new();
    for sixth in [1, 3, 5] {
        let from = (total / 6 * sixth).saturating_sub(width / 2);
        window(pieces, from, from + width, &mut out);
    }
    out
}

/// What lies between two byte positions of the pieces laid end to end, cut at characters.
fn window<'a>(pieces: &[&'a str], from: usize, to: usize, out: &mut Vec<&'a str>) {
    let mut at = 0;
    for piece in pieces {
        let (begin, end) = (at, at + piece.len());
        at = end;
        if end <= from || begin >= to {
            continue;
        }
        let first = floor(piece, from.saturating_sub(begin));
        let last = floor(piece, (to - begin).min(piece.len()));
        if first < last {
            out.push(&piece[first..last]);
        }
    }
}

/// The last character boundary at or before a byte.
pub(super) fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ingest::canon::Canon;
    use proptest::prelude::*;

    #[test]
    fn only_sentences_are_prose() {
        let mut canon = Canon::new();
        canon.push(BlockKind::Heading(1), None, "A heading of more than eight words that ends in a stop.");
        canon.push(BlockKind::Paragraph, None, "She said (it was on a sunny afternoon): “we are done.”");
        canon.push(BlockKind::Paragraph, None, "home products prices contact imprint privacy terms help login");
        canon.push(BlockKind::ListItem, None, "Too short for it.");
        canon.push(BlockKind::Code, None, "a b c d e f g h i.");
        assert_eq!(sentences(&canon.finish()), ["She said (it was on a sunny afternoon): “we are done.”"]);
    }

    #[test]
    fn a_sample_comes_from_three_places() {
        let text = "ab".repeat(300);
        let parts = sample(&[&text], 60);
        assert_eq!(parts.len(), 3);
        assert_eq!(parts.iter().map(|p| p.len()).sum::<usize>(), 60);
        assert_eq!(sample(&["one", "two"], 6), ["one", "two"]);
    }

    proptest! {
        #[test]
        fn a_sample_is_never_longer_than_asked(pieces in prop::collection::vec(any::<String>(), 0..20), limit in 0..200_usize) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let total: usize = sample(&pieces, limit).iter().map(|p| p.len()).sum();
            // A cut inside a character takes the character's beginning along.
            prop_assert!(total <= limit + 9);
        }
    }
}
