//! Cutting text into tokens, in the ways the metrics are defined on.

use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// White space as Python's `str.split` sees it: Unicode's and the four information separators.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The pieces between white space, none empty: Python's `str.split()`.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|p| !p.is_empty())
}

/// Numbers words, so that comparing them is comparing integers.
#[derive(Default)]
pub(super) struct Vocabulary<'a>(HashMap<&'a str, u32>);

impl<'a> Vocabulary<'a> {
    /// The number of each word; the same word has the same number in every text given to this vocabulary.
    pub(super) fn encode(&mut self, words: impl Iterator<Item = &'a str>) -> Vec<u32> {
        words
            .map(|w| {
                let next = self.0.len() as u32;
                *self.0.entry(w).or_insert(next)
            })
            .collect()
    }

    /// How many words have a number.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }
}

/// The text in composed form and lower case, ready for [`words`].
pub(super) fn folded(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.nfc().collect::<String>().to_lowercase() }
}

/// Runs of letters and digits, with the combining marks inside them; each Han or kana character is a word of its own, because
/// those scripts put no space between words.
pub(super) fn words(folded: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = None;
    for (i, c) in folded.char_indices() {
        let alone = is_cjk(c);
        let inside = !alone && (c.is_alphanumeric() || (start.is_some() && is_combining_mark(c)));
        if inside {
            start.get_or_insert(i);
            continue;
        }
        if let Some(from) = start.take() {
            words.push(&folded[from..i]);
        }
        if alone {
            words.push(&folded[i..i + c.len_utf8()]);
        }
    }
    if let Some(from) = start {
        words.push(&folded[from..]);
    }
    words
}

/// Han ideographs with their iteration marks, hiragana and katakana (Unicode 16 blocks). Hangul is not here: Korean has spaces.
fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{3096}' | '\u{309d}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}'
        | '\u{30fc}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9d}' | '\u{20000}'..='\u{3ffff}')
}

/// The runs of `[a-z0-9]` in a lower-cased text: what google-research's `rouge_score` keeps.
pub(super) fn ascii_words(lower: &str) -> Vec<&str> {
    lower.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit()).filter(|w| !w.is_empty()).collect()
}

/// The mteval-v13a tokenizer as in sacrebleu 2 (`tokenizer_13a.py`, `tokenizer_re.py`): tokens are what [`pieces`] finds in
/// the result.
pub(super) fn thirteen_a(text: &str) -> String {
    let mut line = text.trim_end_matches(is_space).replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    if line.contains('&') {
        line = line.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    }
    let mut spaced = String::with_capacity(line.len() * 2);
    spaced.push(' ');
    for c in line.chars() {
        if matches!(c, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/') {
            spaced.extend([' ', c, ' ']);
        } else {
            spaced.push(c);
        }
    }
    spaced.push(' ');
    let stop = |c: char| c == '.' || c == ',';
    let digit = |c: char| c.is_ascii_digit();
    let spaced = rewrite(&spaced, |a, b| (!digit(a) && stop(b)).then_some([a, ' ', b, ' ']));
    let spaced = rewrite(&spaced, |a, b| (stop(a) && !digit(b)).then_some([' ', a, ' ', b]));
    rewrite(&spaced, |a, b| (digit(a) && b == '-').then_some([a, ' ', b, ' ']))
}

/// Replaces pairs of neighbours from left to right, none overlapping another: `re.sub` of a two-character pattern.
fn rewrite(text: &str, pair: impl Fn(char, char) -> Option<[char; 4]>) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut chars = text.chars().peekable();
    while let Some(a) = chars.next() {
        match chars.peek().and_then(|b| pair(a, *b)) {
            Some(replaced) => {
                chars.next();
                out.extend(replaced);
            }
            None => out.push(a),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_13a(text: &str, tokens: &str) {
        assert_eq!(pieces(&thirteen_a(text)).collect::<Vec<_>>().join(" "), tokens, "{text:?}");
    }

    /// sacrebleu 2.6.0: `BLEU()._preprocess_segment(text)`.
    #[test]
    fn the_13a_tokenizer_agrees_with_sacrebleu() {
        check_13a("Hello, world.", "Hello , world .");
        check_13a("It costs 1,234.56 USD, i.e. 1.2k.", "It costs 1,234.56 USD , i . e . 1.2k .");
        check_13a("Wait... what,,, really?!", "Wait . . . what , , , really ? !");
        check_13a("A 24-month, 2-3 day term.", "A 24 - month , 2 - 3 day term .");
        check_13a("R&amp;D &lt;b&gt; &quot;x&quot; &amp;lt;", "R & D < b > \" x \" <");
        check_13a("trans-\nlation\nhere-\n", "translation here-");
        check_13a("this <skipped>is [fine]", "this is [ fine ]");
        check_13a("it's snake_case{x}/y", "it's snake _ case { x } / y");
        check_13a("“Ünïcode”, 退货。", "“Ünïcode” , 退货。");
    }

    #[test]
    fn words_of_every_script() {
        let check = |text: &str, want: &[&str]| assert_eq!(words(&folded(text)), want, "{text:?}");
        check("The Película, 2nd take!", &["the", "película", "2nd", "take"]);
        check("peli\u{301}cula", &["película"]);
        check("東京の天気はSunny☀️です", &["東", "京", "の", "天", "気", "は", "sunny", "で", "す"]);
        check("हिन्दी में", &["हिन्दी", "में"]);
        check("한국어 문장", &["한국어", "문장"]);
        check("🎉 --", &[]);
    }

    proptest! {
        #[test]
        fn no_text_loses_its_letters(text in ".*") {
            let folded = folded(&text);
            let kept: String = words(&folded).concat();
            let letters = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            prop_assert_eq!(letters(&kept), letters(&folded));
            let marked = |c: &char| !is_space(*c);
            let plain = text.contains("<skipped>") || text.contains('&') || text.contains("-\n");
            prop_assert!(plain || thirteen_a(&text).chars().filter(marked).eq(text.chars().filter(marked)));
        }
    }
}
