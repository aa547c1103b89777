//! What a stretch of text costs in tokens, and how a stretch that costs too much is cut.
//!
//! The cost is what the model's tokenizer counts, but never less than a token for every 16 bytes: WordPiece calls any word
//! over 100 characters one unknown token, and without this floor a megabyte of base64 would be a chunk of three tokens.
//! A cost is thus never below the tokenizer's count, and equal to it on ordinary text.

use crate::seams::embedder::Tokens;
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// Bytes that one token may stand for.
pub(super) const BYTES_A_TOKEN: usize = 16;
/// Characters of an unbroken run of letters that are kept together where a word has to be cut: BERT's longest word, so that a
/// part never costs less than it does in the whole.
const RUN_CHARS: usize = 100;

/// The cost of a text in tokens; at least 1.
pub fn cost(text: &str, tokens: &dyn Tokens) -> u32 {
    let floor = u32::try_from(text.len().div_ceil(BYTES_A_TOKEN)).unwrap_or(u32::MAX);
    tokens.count(text).max(floor).max(1)
}

/// A part of a text with its cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Bytes of the text, without white space at either end.
    pub span: Range<usize>,
    /// Its cost in tokens, as [`cost`] counts the words in it.
    pub cost: u32,
}

/// Cuts a text into parts of at most `most` tokens: after a clause mark or a line where one stands in the second half, else
/// at white space, else between runs of letters and marks, else between characters as a reader sees them.
///
/// A single run of letters may cost more than `most` when that is less than what 100 characters can cost; it is then cut
/// between characters until it fits or is one character long.
pub fn cut(text: &str, most: u32, tokens: &dyn Tokens) -> Vec<Part> {
    let mut cutter = Cutter { text, most: most.max(1), parts: Vec::new(), open: None };
    let mut at = 0;
    for word in text.split_whitespace() {
        let start = at + text[at..].find(word).unwrap_or_default();
        let line = text[at..start].contains('\n');
        at = start + word.len();
        cutter.word(start..at, line, tokens);
    }
    cutter.close();
    cutter.parts
}

/// What has been gathered since the last cut.
struct Open {
    span: Range<usize>,
    cost: u32,
    /// Where the last clause mark ended and what stood before it cost.
    clause: Option<(usize, u32)>,
}

struct Cutter<'a> {
    text: &'a str,
    most: u32,
    parts: Vec<Part>,
    open: Option<Open>,
}

impl Cutter<'_> {
    fn word(&mut self, span: Range<usize>, line: bool, tokens: &dyn Tokens) {
        if line {
            self.mark();
        }
        let cost = cost(&self.text[span.clone()], tokens);
        if cost <= self.most {
            self.push(span.clone(), cost);
        } else {
            self.runs(span.clone(), tokens);
        }
        if self.text[span].ends_with([',', ';', ':', ')', ']', '|', '–', '—', '，', '；', '：', '、', '.', '!', '?', '。'])
        {
            self.mark();
        }
    }

    /// A word that is too long by itself: runs of letters and digits, and what stands between them.
    fn runs(&mut self, span: Range<usize>, tokens: &dyn Tokens) {
        let word = &self.text[span.clone()];
        let (mut start, mut chars, mut kind) = (0, 0, None);
        for (at, grapheme) in word.grapheme_indices(true) {
            let now = grapheme.chars().next().map(char::is_alphanumeric);
            let many = grapheme.chars().take(RUN_CHARS + 1).count();
            if at > start && (now != kind || chars + many > RUN_CHARS) {
                self.run(span.start + start..span.start + at, tokens);
                (start, chars) = (at, 0);
            }
            (kind, chars) = (now, chars + many);
        }
        self.run(span.start + start..span.end, tokens);
    }

    /// One run; halved at a character while it costs too much, which 100 characters cannot do for long.
    fn run(&mut self, span: Range<usize>, tokens: &dyn Tokens) {
        let mut rest = vec![span];
        while let Some(span) = rest.pop() {
            let text = &self.text[span.clone()];
            let cost = cost(text, tokens);
            let half = text.len() / 2;
            let middle = (half..text.len()).chain((1..half).rev()).find(|at| *at > 0 && text.is_char_boundary(*at));
            match middle {
                Some(middle) if cost > self.most => {
                    rest.push(span.start + middle..span.end);
                    rest.push(span.start..span.start + middle);
                }
                _ => self.push(span, cost),
            }
        }
    }

    /// Takes the next stretch, closing what is open where both do not fit.
    fn push(&mut self, span: Range<usize>, cost: u32) {
        if self.open.as_ref().is_some_and(|open| open.cost.saturating_add(cost) > self.most) {
            self.close_at_clause(span.start);
        }
        if self.open.as_ref().is_some_and(|open| open.cost.saturating_add(cost) > self.most) {
            self.close();
        }
        match &mut self.open {
            Some(open) => (open.span.end, open.cost) = (span.end, open.cost + cost),
            None => self.open = Some(Open { span, cost, clause: None }),
        }
    }

    /// Notes that a clause ends here.
    fn mark(&mut self) {
        if let Some(open) = &mut self.open {
            open.clause = Some((open.span.end, open.cost));
        }
    }

    /// Closes at the last clause mark if it stands in the second half, else at `here`; what follows the mark stays open.
    fn close_at_clause(&mut self, here: usize) {
        let Some(open) = self.open.take() else { return };
        match open.clause.filter(|(end, cost)| *cost >= self.most / 2 && *end < open.span.end) {
            Some((end, cost)) => {
                self.parts.push(Part { span: open.span.start..end, cost });
                let gap = self.text[end..here].len() - self.text[end..here].trim_start().len();
                self.open = Some(Open { span: end + gap..open.span.end, cost: open.cost - cost, clause: None });
            }
            None => self.parts.push(Part { span: open.span, cost: open.cost }),
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.parts.push(Part { span: open.span, cost: open.cost });
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One token for every four bytes of a word: simple enough to count by hand.
    pub(crate) struct Fours;

    impl Tokens for Fours {
        fn count_word(&self, word: &str) -> u32 {
            u32::try_from(word.len().div_ceil(4)).expect("short words")
        }
    }

    fn cuts(text: &str, most: u32) -> Vec<&str> {
        cut(text, most, &Fours).into_iter().map(|part| &text[part.span]).collect()
    }

    #[test]
    fn a_cost_has_a_floor() {
        struct Blind;
        impl Tokens for Blind {
            fn count_word(&self, _: &str) -> u32 {
                0
            }
        }
        assert_eq!(cost("", &Blind), 1);
        assert_eq!(cost(&"x".repeat(1_600), &Blind), 100);
        assert_eq!(cost("four more words here", &Fours), 5);
    }

    #[test]
    fn clauses_then_spaces_then_characters() {
        assert_eq!(cuts("aaaa bbbb, cccc dddd eeee", 4), ["aaaa bbbb,", "cccc dddd eeee"]);
        assert_eq!(cuts("aaaa bbbb cccc dddd eeee", 4), ["aaaa bbbb cccc dddd", "eeee"]);
        assert_eq!(cuts("aaaa bbbb\ncccc dddd eeee", 4), ["aaaa bbbb", "cccc dddd eeee"]);
        assert_eq!(cuts("aaaabbbbcccc/ddddeeee", 3), ["aaaabbbbcccc", "/ddddeeee"]);
        assert_eq!(cuts("e\u{301}e\u{301}e\u{301}e\u{301}", 1), ["e\u{301}", "e\u{301}", "e\u{301}", "e\u{301}"]);
    }

    proptest! {
        #[test]
        fn parts_cover_the_text_and_fit(text in "[a-zé,.;\n 漢👩🏽\u{301}-]{0,200}", most in 1_u32..40) {
            let mut end = 0;
            for part in cut(&text, most, &Fours) {
                let slice = &text[part.span.clone()];
                prop_assert_eq!(slice.trim(), slice);
                prop_assert!(!slice.is_empty());
                prop_assert!(text[end..part.span.start].trim().is_empty());
                prop_assert!(part.cost <= most || slice.chars().count() == 1, "{:?} costs {}", slice, part.cost);
                end = part.span.end;
            }
            prop_assert!(text[end..].trim().is_empty());
        }
    }
}
