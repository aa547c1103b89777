//! WordPiece as `bert-base-uncased` counts it: clean, split at white space, punctuation and ideographs, strip accents,
//! lower-case, then the longest known piece from the left.
//!
//! It equals the Hugging Face `tokenizers` crate with `BertNormalizer {clean_text, handle_chinese_chars, lowercase}` and
//! `BertPreTokenizer`, whose character classes come from the same crate (`unicode_categories`). Special tokens written out in
//! a text (`[SEP]`) are text here, which is what a document means by them.
//!
//! A word that is a token by itself, as four of five are, is one look-up by its hash. The vocabulary is else walked as a trie
//! kept in one open-addressing table, so the longest match needs no second try. Counts of the last words are remembered.

use crate::seams::embedder::Tokens;
use std::sync::atomic::{AtomicU64, Ordering};
use unicode_categories::UnicodeCategories;
use unicode_normalization::char::decompose_canonical;

/// Characters of a word above which BERT gives up on it: one unknown token.
pub const WORD_CHARS_MAX: usize = 100;
/// Bytes that [`WORD_CHARS_MAX`] characters can take.
const WORD_BYTES_MAX: usize = WORD_CHARS_MAX * 4;
/// Words whose counts are remembered (256 kB).
const MEMO: usize = 1 << 15;
/// The bits of a hash below those that choose the place.
const MEMO_BITS_BELOW: u32 = 12;
/// The bits of a remembered word that are its count.
const COUNT_MASK: u64 = 127;
/// Where words begin and where `##` pieces begin.
const ROOT_WORD: u32 = 0;
const ROOT_PIECE: u32 = 1;
/// Node numbers share 32 bits with a byte; tokens of a vocabulary that would need more are not known.
const NODES_MAX: u32 = 1 << 24;
/// No token ends here, no such edge.
const NONE: u32 = u32::MAX;

/// A vocabulary ready to be matched.
pub struct WordPiece {
    trie: Trie,
    whole: Whole,
    /// The last words that were counted: 57 bits of hash and 7 of count, in one number so that threads never see half a change.
    memo: Vec<AtomicU64>,
    unknown: u32,
}

impl WordPiece {
    /// Reads a vocabulary: one token a line, its number the line's, pieces inside words begin with `##`. A vocabulary without
    /// `[UNK]` answers unknown words with a number past its end.
    pub fn new(vocabulary: &str) -> Self {
        let (mut trie, mut whole) = (Trie::new(), Whole::for_tokens(vocabulary.lines().count()));
        let mut unknown = None;
        let mut tokens = 0;
        for (token, id) in vocabulary.lines().zip(0_u32..) {
            match token.strip_prefix("##").filter(|piece| !piece.is_empty()) {
                Some(piece) => trie.insert(ROOT_PIECE, piece.as_bytes(), id),
                None => {
                    trie.insert(ROOT_WORD, token.as_bytes(), id);
                    whole.insert(token.as_bytes(), id);
                }
            }
            if token == "[UNK]" {
                unknown = Some(id);
            }
            tokens = id + 1;
        }
        let memo = std::iter::repeat_with(AtomicU64::default).take(MEMO).collect();
        Self { trie, whole, memo, unknown: unknown.unwrap_or(tokens) }
    }

    /// The number of the unknown token.
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    /// Token numbers of a text, without those that a model puts around it.
    pub fn ids(&self, text: &str) -> Vec<u32> {
        let (mut ids, mut room) = (Vec::new(), [0; WORD_CHARS_MAX]);
        words(text, |word, chars| ids.extend_from_slice(self.pieces(word, chars, &mut room)));
        ids
    }

    /// The token that a whole normalised word is, if it is one.
    pub fn token(&self, word: &[u8]) -> Option<u32> {
        self.whole.get(word)
    }

    /// The tokens of a word as [`words`] gives it: its pieces, or the unknown token when some part of it is unknown or it has
    /// over 100 characters.
    pub fn pieces<'a>(&'a self, word: &[u8], chars: usize, room: &'a mut [u32; WORD_CHARS_MAX]) -> &'a [u32] {
        let unknown = std::slice::from_ref(&self.unknown);
        if chars > WORD_CHARS_MAX {
            return unknown;
        }
        if let Some(id) = self.token(word) {
            room[0] = id;
            return &room[..1];
        }
        let (mut at, mut n, mut root) = (0, 0, ROOT_WORD);
        while at < word.len() {
            let Some((id, len)) = self.trie.longest(root, &word[at..]) else { return unknown };
            let Some(slot) = room.get_mut(n) else { return unknown };
            *slot = id;
            (at, n, root) = (at + len, n + 1, ROOT_PIECE);
        }
        &room[..n]
    }

    /// How many tokens a word is; asked anew only when another word took its place among the last ones.
    fn count_one(&self, word: &[u8], chars: usize) -> u32 {
        let hash = Whole::hash(word);
        let Some(memo) = self.memo.get(hash as usize >> MEMO_BITS_BELOW & (self.memo.len() - 1)) else { return 1 };
        let (key, known) = (hash | COUNT_MASK, memo.load(Ordering::Relaxed));
        if chars <= WORD_CHARS_MAX && known | COUNT_MASK == key && known & COUNT_MASK > 0 {
            return (known & COUNT_MASK) as u32;
        }
        let count = self.pieces(word, chars, &mut [0; WORD_CHARS_MAX]).len();
        if chars <= WORD_CHARS_MAX {
            memo.store(key & !COUNT_MASK | count as u64, Ordering::Relaxed);
        }
        count as u32
    }
}

impl Tokens for WordPiece {
    fn count_word(&self, word: &str) -> u32 {
        self.count(word)
    }

    fn count(&self, text: &str) -> u32 {
        let mut total = 0_u32;
        words(text, |word, chars| total = total.saturating_add(self.count_one(word, chars)));
        total
    }
}

/// The word that is being read: its first bytes and how many characters it has.
struct Word {
    bytes: [u8; WORD_BYTES_MAX],
    len: usize,
    chars: usize,
}

impl Word {
    fn push(&mut self, c: char) {
        self.chars += 1;
        if let Some(room) = self.bytes.get_mut(self.len..self.len + c.len_utf8()) {
            c.encode_utf8(room);
            self.len += c.len_utf8();
        }
    }

    fn flush(&mut self, each: &mut impl FnMut(&[u8], usize)) {
        if self.chars > 0 {
            each(&self.bytes[..self.len], self.chars);
        }
        (self.len, self.chars) = (0, 0);
    }

    /// A normalised character: white space ends the word, punctuation is a word of its own.
    fn take(&mut self, c: char, each: &mut impl FnMut(&[u8], usize)) {
        if c.is_whitespace() {
            self.flush(each);
        } else if is_punctuation(c) {
            self.alone(c, each);
        } else {
            self.push(c);
        }
    }

    fn alone(&mut self, c: char, each: &mut impl FnMut(&[u8], usize)) {
        self.flush(each);
        self.push(c);
        self.flush(each);
    }
}

/// Normalises a text and cuts it into words and single marks: calls `each` with the word as the model reads it (lower case, no
/// accents) and its number of characters. Of words over 100 characters only the first bytes come.
pub fn words(text: &str, mut each: impl FnMut(&[u8], usize)) {
    let mut word = Word { bytes: [0; WORD_BYTES_MAX], len: 0, chars: 0 };
    for c in text.chars() {
        match c {
            'a'..='z' | '0'..='9' | 'A'..='Z' => word.push(c.to_ascii_lowercase()),
            ' ' | '\t' | '\n' | '\r' => word.flush(&mut each),
            '\0'..='\x1f' | '\x7f' => {}
            '\0'..='\x7f' => word.alone(c, &mut each),
            _ => other(c, &mut word, &mut each),
        }
    }
    word.flush(&mut each);
}

/// A character outside ASCII.
fn other(c: char, word: &mut Word, each: &mut impl FnMut(&[u8], usize)) {
    if c.is_whitespace() && !c.is_control() {
        return word.flush(each);
    }
    if c == '\u{fffd}' || (!c.is_alphanumeric() && c.is_other()) {
        return;
    }
    let ideograph = is_ideograph(c);
    if ideograph {
        word.flush(each);
    }
    decompose_canonical(c, |part| {
        if !is_mark(part) {
            part.to_lowercase().for_each(|c| word.take(c, each));
        }
    });
    if ideograph {
        word.flush(each);
    }
}

/// Marks that are stripped with the accents (category Mn).
fn is_mark(c: char) -> bool {
    !matches!(c, '\0'..='\u{2ff}' | '\u{370}'..='\u{482}' | '\u{48a}'..='\u{590}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
        && c.is_mark_nonspacing()
}

/// Punctuation that stands alone: everything of ASCII that is no letter, digit or space, and the P categories.
fn is_punctuation(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_punctuation() } else { !c.is_alphanumeric() && c.is_punctuation() }
}

/// The blocks of ideographs that BERT sets apart.
fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c),
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x20000..=0x2A6DF | 0x2A700..=0x2B73F | 0x2B740..=0x2B81F | 0x2B920..=0x2CEAF
        | 0xF900..=0xFAFF | 0x2F800..=0x2FA1F)
}

/// Tokens that are whole words, by 64 bits of hash, with linear probing. Two words of one hash would be taken for each other;
/// for a word met by chance that is one in 10^14.
struct Whole {
    /// Hash and token; a token of [`NONE`] is an empty slot.
    slots: Vec<(u64, u32)>,
}

impl Whole {
    fn for_tokens(tokens: usize) -> Self {
        Self { slots: vec![(0, NONE); (tokens * 2 + 1).next_power_of_two()] }
    }

    /// Eight bytes at a time; the length keeps a word apart from itself followed by zeros.
    fn hash(word: &[u8]) -> u64 {
        let mut h = word.len() as u64;
        for part in word.chunks(8) {
            let mut eight = [0; 8];
            eight[..part.len()].copy_from_slice(part);
            h = (h.rotate_left(29) ^ u64::from_le_bytes(eight)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            h ^= h >> 32;
        }
        h
    }

    /// Where a hash is, or the empty slot where it belongs. Half the slots at least are empty.
    fn slot(&self, hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (hash >> 20) as usize & mask;
        while self.slots[at].1 != NONE && self.slots[at].0 != hash {
            at = (at + 1) & mask;
        }
        at
    }

    fn insert(&mut self, token: &[u8], id: u32) {
        let hash = Self::hash(token);
        let at = self.slot(hash);
        if self.slots[at].1 == NONE && !token.is_empty() {
            self.slots[at] = (hash, id);
        }
    }

    fn get(&self, word: &[u8]) -> Option<u32> {
        let hash = Self::hash(word);
        Some(self.slots[self.slot(hash)].1).filter(|id| *id != NONE)
    }
}

/// A trie whose edges (node, byte) → node are kept in one table with linear probing.
struct Trie {
    /// Edge and the node it leads to; a node of [`NONE`] is an empty slot.
    slots: Vec<(u32, u32)>,
    /// The token that ends at each node.
    ends: Vec<u32>,
}

impl Trie {
    fn new() -> Self {
        Self { slots: vec![(0, NONE); 1 << 10], ends: vec![NONE; 2] }
    }

    /// Where an edge is, or the empty slot where it belongs. Half the slots at least are empty.
    fn slot(&self, edge: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (u64::from(edge).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & mask;
        while self.slots[at].1 != NONE && self.slots[at].0 != edge {
            at = (at + 1) & mask;
        }
        at
    }

    fn insert(&mut self, root: u32, token: &[u8], id: u32) {
        let mut node = root;
        for byte in token {
            let edge = node << 8 | u32::from(*byte);
            let at = self.slot(edge);
            let known = self.slots[at].1;
            node = if known == NONE { self.add(edge) } else { known };
            if node == NONE {
                return;
            }
        }
        if !token.is_empty() && self.ends[node as usize] == NONE {
            self.ends[node as usize] = id;
        }
    }

    /// A new node at the end of a new edge; [`NONE`] when node numbers no longer fit beside a byte.
    fn add(&mut self, edge: u32) -> u32 {
        let node = u32::try_from(self.ends.len()).unwrap_or(NONE);
        if node >= NODES_MAX {
            return NONE;
        }
        if self.ends.len() * 2 > self.slots.len() {
            let larger = vec![(0, NONE); self.slots.len() * 2];
            for (edge, node) in std::mem::replace(&mut self.slots, larger).into_iter().filter(|slot| slot.1 != NONE) {
                let at = self.slot(edge);
                self.slots[at] = (edge, node);
            }
        }
        let at = self.slot(edge);
        self.slots[at] = (edge, node);
        self.ends.push(NONE);
        node
    }

    /// The longest token that a text begins with: its number and its bytes.
    fn longest(&self, root: u32, text: &[u8]) -> Option<(u32, usize)> {
        let (mut node, mut best) = (root, None);
        for (byte, len) in text.iter().zip(1..) {
            node = self.slots[self.slot(node << 8 | u32::from(*byte))].1;
            if node == NONE {
                break;
            }
            let end = self.ends[node as usize];
            if end != NONE {
                best = Some((end, len));
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCABULARY: &str = include_str!("builtin/vocab.txt");

    /// Reference: Hugging Face `tokenizers` on the same texts, made by `tests/fixtures/wordpiece/make.py`.
    #[test]
    fn tokens_are_those_of_the_reference() {
        #[derive(serde::Deserialize)]
        struct Row {
            text: String,
            ids: Vec<u32>,
        }
        let pieces = WordPiece::new(VOCABULARY);
        let rows: Vec<Row> =
            serde_json::from_str(include_str!("../../../tests/fixtures/wordpiece/vectors.json")).expect("valid vectors");
        assert!(rows.len() > 30);
        for row in rows {
            assert_eq!(pieces.ids(&row.text), row.ids, "{:?}", row.text);
            // The second count comes from what is remembered.
            for _ in 0..2 {
                assert_eq!(pieces.count(&row.text) as usize, row.ids.len(), "{:?}", row.text);
            }
        }
    }

    #[test]
    fn a_small_vocabulary_says_what_happens() {
        let pieces = WordPiece::new("[UNK]\nun\n##aff\n##able\nunder\n.\n");
        let check = |text: &str, want: &[u32]| assert_eq!(pieces.ids(text), want, "{text}");
        check("Unaffable.", &[1, 2, 3, 5]);
        check("under", &[4]);
        check("unaffables", &[0]);
        check("un ##aff", &[1, 0, 0, 0]);
        assert_eq!(WordPiece::new("").ids("x"), [0]);
    }

    #[test]
    fn words_come_as_the_model_reads_them() {
        let mut seen = Vec::new();
        words("L'Été…", |word, _| seen.push(String::from_utf8_lossy(word).into_owned()));
        assert_eq!(seen, ["l", "'", "ete", "…"]);
    }
}
