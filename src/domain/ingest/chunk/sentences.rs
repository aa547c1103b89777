//! Where sentences end, in the languages that documents here are written in.
//!
//! The rules are those of Unicode Standard Annex 29 (a full stop, question or exclamation mark, what closes quotes and
//! brackets after it, white space; no end before a lower-case letter), and what the annex leaves to each language:
//! abbreviations, initials and ordinals of English, Spanish, French and German. A wrong end only moves a cut; it never
//! loses text.

use std::ops::Range;

/// Abbreviations that stand before something else, lower case without their last full stop. Those that end sentences as
/// often ("etc", "usw", "Inc") are left out: a capital after them ends the sentence.
const ABBREVIATIONS: &[&str] = &[
    // Names and titles.
    "mr", "mrs", "ms", "dr", "prof", "st", "rev", "hon", "gen", "col", "capt", "lt", "sgt", "gov", "sen", "rep", "pres", "mt",
    "sr", "sra", "srta", "ud", "uds", "vd", "vds", "dra", "profa", "ing", "lic", "arq", "mme", "mlle", "mgr", "hr", "fr", "frl",
    "dipl", "mag", "hl", // What follows is a number or a place in a text.
    "nos", "nr", "nº", "núm", "num", "vol", "vols", "fig", "figs", "abb", "tab", "eq", "sec", "sect", "ch", "chap", "cap",
    "arts", "abs", "kap", "bd", "pp", "pág", "págs", "pag", "ed", "eds", "approx", "ca", "cca", "aprox", "env", "tel", "tél",
    "tfno", "ext", "ref", "réf", "bzgl", "str", "av", "avda", "bvd", "bd", "apdo", "zzgl", "inkl", "exkl", "ggf", "evtl", "mind",
    "sog", "vgl", "bzw", "bspw", "gem", "lt", "lfd", "allg", "insb", "entspr", "vs", "cf", "al", "ej", "eg", "ie", "viz", "resp",
    "incl", "excl", "dept", "est", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "okt", "nov", "dec",
    "dez", "janv", "févr", "avr", "juil", "déc", "ene", "abr", "ago", "dic",
];

/// Sentences of a text, as bytes of it without white space at either end.
pub(in crate::domain) fn sentences(text: &str) -> Sentences<'_> {
    Sentences { text, at: 0 }
}

/// Walks over the sentences of a text.
pub(in crate::domain) struct Sentences<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Sentences<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let rest = &self.text[self.at..];
        let start = self.at + (rest.len() - rest.trim_start().len());
        if start == self.text.len() {
            return None;
        }
        let end = self.end(start);
        self.at = end;
        Some(start..start + self.text[start..end].trim_end().len())
    }
}

impl Sentences<'_> {
    /// Where the sentence that begins at `start` ends.
    fn end(&self, start: usize) -> usize {
        let mut from = start;
        while let Some(mark) = self.text[from..].find(is_terminator) {
            let at = from + mark;
            let marks = self.text[at..].trim_start_matches(is_terminator);
            let closed = marks.trim_start_matches(is_closing);
            let end = self.text.len() - closed.len();
            if self.ends(start, at, end) {
                return end;
            }
            from = end;
        }
        self.text.len()
    }

    /// Whether a sentence from `start` ends with the marks from `at` to `end`.
    fn ends(&self, start: usize, at: usize, end: usize) -> bool {
        let (marks, after) = (&self.text[at..end], &self.text[end..]);
        if marks.starts_with(is_full_width) || after.is_empty() {
            return true;
        }
        let next = after.trim_start();
        if next.len() == after.len() {
            return false;
        }
        let first = next.trim_start_matches(|c: char| !c.is_alphanumeric() && !c.is_whitespace()).chars().next();
        if first.is_some_and(char::is_lowercase) {
            return false;
        }
        !(marks == "." && self.is_abbreviation(start, at, first.is_some_and(char::is_numeric)))
    }

    /// Whether the word before the full stop at `at` is no end: an abbreviation, an initial, or an ordinal of a day or item.
    /// A short word before a number ("No. 5") is taken for one.
    fn is_abbreviation(&self, start: usize, at: usize, before_number: bool) -> bool {
        let before = &self.text[start..at];
        let word = before.rsplit(|c: char| c.is_whitespace() || "([{\"'’«„“-/".contains(c)).next().unwrap_or_default();
        let (chars, digits) = (word.chars().take(13).count(), word.bytes().all(|b| b.is_ascii_digit()));
        if digits {
            return chars <= 2;
        }
        let initial = chars == 1 || (word.contains('.') && word.split('.').all(|part| part.chars().take(4).count() <= 3));
        initial || (before_number && chars <= 3) || (chars <= 12 && ABBREVIATIONS.contains(&word.to_lowercase().as_str()))
    }
}

fn is_terminator(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '‼' | '⁇' | '⁈' | '⁉' | '؟' | '۔' | '।' | '॥' | '։' | '።' | '။' | '។') || is_full_width(c)
}

/// Marks of scripts that put no space after a sentence.
fn is_full_width(c: char) -> bool {
    matches!(c, '。' | '．' | '！' | '？' | '｡')
}

fn is_closing(c: char) -> bool {
    matches!(c, ')' | ']' | '}' | '"' | '\'' | '»' | '›' | '”' | '’' | '“' | '」' | '』' | '）' | '】' | '*' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, want: &[&str]) {
        let found: Vec<_> = sentences(text).map(|span| &text[span]).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn plain_sentences_end() {
        check("One. Two! Three? (Four.) “Five.” Six", &["One.", "Two!", "Three?", "(Four.)", "“Five.”", "Six"]);
        check("¿Qué? ¡Nada! Bien.", &["¿Qué?", "¡Nada!", "Bien."]);
        check("Wait... He left… Then.", &["Wait...", "He left…", "Then."]);
        check("東京。大阪！「はい。」次", &["東京。", "大阪！", "「はい。」", "次"]);
        check(" \n ", &[]);
    }

    #[test]
    fn what_is_no_end_is_kept() {
        for whole in [
            "Version 3.5 of example.org costs 4.90 euros.",
            "Er kommt, z. B. Dienstag, am 3. Mai zu Dr. Müller.",
            "Siehe Abb. 3 bzw. Kap. 4 und vgl. Nr. 7.",
            "Algunos, p. ej. Juan y la Sra. Gómez, pág. 12.",
            "M. Dupont et Mme. Durand, cf. Annexe 2, env. 30 km.",
            "Mr. J. R. Smith vs. Jones, e.g. Fig. 2.",
            "“Really?” he asked.",
            "The end... of it.",
        ] {
            check(whole, &[whole]);
        }
    }

    #[test]
    fn ambiguous_words_end_before_a_capital() {
        check(
            "Apples, pears etc. They are sold. In 2019. The end.",
            &["Apples, pears etc.", "They are sold.", "In 2019.", "The end."],
        );
    }

    proptest! {
        #[test]
        fn sentences_cover_the_text(text in "[aA1 .!?)\"。é\n-]{0,80}") {
            let mut end = 0;
            for span in sentences(&text) {
                prop_assert!(span.start < span.end && text[end..span.start].trim().is_empty());
                prop_assert_eq!(text[span.clone()].trim(), &text[span.clone()]);
                end = span.end;
            }
            prop_assert!(text[end..].trim().is_empty());
        }
    }
}
