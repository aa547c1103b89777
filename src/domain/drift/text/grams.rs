//! The words and pieces of a text, and where they are counted.

use unicode_segmentation::UnicodeSegmentation;

/// Places of words and pieces: 2¹⁸. Two that share one count as the same.
pub(super) const PLACES: usize = 1 << 18;
/// Characters of a piece.
const PIECE: std::ops::RangeInclusive<usize> = 3..=5;

/// A word, or a piece of a text that may go over the ends of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gram<'a> {
    Word(&'a str),
    Piece(&'a str),
}

impl<'a> Gram<'a> {
    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Word(text) | Self::Piece(text) => text,
        }
    }

    pub(super) fn is_word(self) -> bool {
        matches!(self, Self::Word(_))
    }

    /// Where it is counted, below [`PLACES`].
    pub(super) fn place(self) -> usize {
        hash(self.text(), u64::from(self.is_word())) as usize % PLACES
    }
}

/// The text in small letters, with one space between words.
pub(super) fn plain(text: &str) -> String {
    text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// The words of a plain text.
pub(super) fn words(plain: &str) -> impl Iterator<Item = &str> {
    plain.unicode_words()
}

/// Its words and its pieces of three to five characters.
pub(super) fn grams(plain: &str) -> impl Iterator<Item = Gram<'_>> {
    let ends: Vec<usize> = plain.char_indices().map(|(at, _)| at).chain([plain.len()]).collect();
    let pieces = PIECE.flat_map(move |size| {
        let spans: Vec<(usize, usize)> = ends.windows(size + 1).map(|w| (w[0], w[size])).collect();
        spans.into_iter().map(|(from, to)| Gram::Piece(&plain[from..to]))
    });
    words(plain).map(Gram::Word).chain(pieces)
}

/// FNV-1a (Fowler, Noll and Vo), its halves mixed because the low bits alone are weak.
pub(super) fn hash(text: &str, kind: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ kind;
    let hash = text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_pieces_of_any_language() {
        let text = plain("  Über\tNacht ");
        assert_eq!(text, "über nacht");
        assert_eq!(words(&text).collect::<Vec<_>>(), ["über", "nacht"]);
        let all: Vec<Gram<'_>> = grams(&text).collect();
        assert!(all.contains(&Gram::Piece("r na")) && all.contains(&Gram::Piece("übe")) && all.contains(&Gram::Word("nacht")));
        assert_eq!(all.len(), 2 + 8 + 7 + 6);
        assert_eq!(grams("").count() + grams("ab").count(), 1);
        assert_eq!(words("東京は").count(), 3);
    }

    /// The published vector of FNV-1a for 64 bits: "foobar" is 85944171f73967e8.
    #[test]
    fn the_hash_is_the_published_one() {
        let whole = 0x8594_4171_f739_67e8u64;
        assert_eq!(hash("foobar", 0), whole ^ (whole >> 32));
        assert_ne!(Gram::Word("abc").place(), Gram::Piece("abc").place());
    }
}
