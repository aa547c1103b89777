//! Words of a sentence with what punctuation stands around them, and the small closed lists of words that rules ask for.

use std::ops::Range;

/// A word without the punctuation around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word<'t> {
    /// Its letters.
    pub(super) text: &'t str,
    /// Bytes of the document.
    pub(super) span: Range<usize>,
    /// Punctuation stands before it.
    pub(super) opens: bool,
    /// Punctuation stands after it.
    pub(super) closes: bool,
}

impl Word<'_> {
    /// In lower case.
    pub(super) fn lower(&self) -> String {
        self.text.to_lowercase()
    }

    /// Begins with a capital and has another letter.
    pub(super) fn is_capital(&self) -> bool {
        let mut chars = self.text.chars();
        chars.next().is_some_and(char::is_uppercase) && chars.next().is_some_and(|c| c.is_alphabetic() || c == '.' || c == '&')
    }

    /// Has two capitals or more and no lower-case letter.
    pub(super) fn is_all_capitals(&self) -> bool {
        self.text.chars().filter(|c| c.is_uppercase()).count() >= 2 && !self.text.chars().any(char::is_lowercase)
    }
}

/// Elided words before an apostrophe have at most so many letters: `l'`, `d'`, `qu'`.
const ELIDED: usize = 2;

/// The words of `text`, which begins at byte `at` of the document.
pub(super) fn words(text: &str, at: usize) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(first) = text[rest..].find(|c: char| !c.is_whitespace()) {
        let start = rest + first;
        let stop = text[start..].find(char::is_whitespace).map_or(text.len(), |n| start + n);
        push(text, start..stop, at, &mut found);
        rest = stop;
    }
    found
}

fn push<'t>(text: &'t str, raw: Range<usize>, at: usize, found: &mut Vec<Word<'t>>) {
    let whole = &text[raw.clone()];
    let core = whole.trim_start_matches(is_opening);
    let start = raw.start + whole.len() - core.len();
    let core = core.trim_end_matches(is_closing);
    if core.is_empty() {
        if let Some(last) = found.last_mut() {
            last.closes = true;
        }
        return;
    }
    let (opens, closes) = (start > raw.start, start + core.len() < raw.end);
    let word = |range: Range<usize>, opens, closes| Word {
        text: &text[range.clone()],
        span: at + range.start..at + range.end,
        opens,
        closes,
    };
    let elision = core.char_indices().take(ELIDED + 1).find(|(i, c)| matches!(c, '\'' | '’') && *i > 0);
    match elision.map(|(i, c)| (start + i, start + i + c.len_utf8())) {
        Some((before, after)) if after < start + core.len() => {
            found.push(word(start..before, opens, false));
            found.push(word(after..start + core.len(), false, closes));
        }
        _ => found.push(word(start..start + core.len(), opens, closes)),
    }
}

fn is_opening(c: char) -> bool {
    matches!(c, '(' | '[' | '{' | '"' | '\'' | '«' | '„' | '“' | '”' | '‚' | '‘' | '<' | '¿' | '¡' | '*' | '|' | '–' | '—' | '-')
}

fn is_closing(c: char) -> bool {
    matches!(
        c,
        '.' | ','
            | ';'
            | ':'
            | '!'
            | '?'
            | ')'
            | ']'
            | '}'
            | '"'
            | '\''
            | '»'
            | '“'
            | '”'
            | '’'
            | '…'
            | '>'
            | '*'
            | '|'
            | '–'
            | '—'
            | '-'
    )
}

/// Months by number − 1: how they begin sentences' dates in English, Spanish, French and German.
const MONTHS: [&[&str]; 12] = [
    &["january", "jan", "enero", "janvier", "januar", "jänner"],
    &["february", "feb", "febrero", "février", "februar"],
    &["march", "mar", "marzo", "mars", "märz"],
    &["april", "apr", "abril", "avril"],
    &["may", "mayo", "mai"],
    &["june", "jun", "junio", "juin", "juni"],
    &["july", "jul", "julio", "juillet", "juli"],
    &["august", "aug", "agosto", "août"],
    &["september", "sep", "sept", "septiembre", "septembre"],
    &["october", "oct", "octubre", "octobre", "oktober", "okt"],
    &["november", "nov", "noviembre", "novembre"],
    &["december", "dec", "diciembre", "décembre", "dezember", "dez"],
];

/// The number of a month, 1 to 12.
pub(super) fn month(word: &str) -> Option<u32> {
    let lower = word.to_lowercase();
    (1..).zip(MONTHS).find(|(_, names)| names.contains(&lower.as_str())).map(|(n, _)| n)
}

/// Words that begin sentences with a capital and are no names, and days of the week; lower case, sorted by language.
const COMMON: &[&str] = &[
    "a",
    "about",
    "after",
    "all",
    "also",
    "although",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "because",
    "before",
    "both",
    "but",
    "by",
    "can",
    "do",
    "does",
    "during",
    "each",
    "every",
    "for",
    "from",
    "he",
    "her",
    "here",
    "his",
    "how",
    "however",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "last",
    "most",
    "my",
    "new",
    "next",
    "no",
    "not",
    "note",
    "now",
    "of",
    "on",
    "once",
    "one",
    "only",
    "or",
    "other",
    "our",
    "over",
    "please",
    "see",
    "she",
    "since",
    "so",
    "some",
    "such",
    "that",
    "the",
    "their",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "through",
    "to",
    "today",
    "two",
    "under",
    "until",
    "use",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "why",
    "will",
    "with",
    "without",
    "you",
    "your",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday", // Spanish.
    "al",
    "algunos",
    "antes",
    "así",
    "aunque",
    "cada",
    "como",
    "con",
    "cuando",
    "de",
    "del",
    "desde",
    "después",
    "donde",
    "el",
    "ella",
    "ellos",
    "en",
    "entre",
    "es",
    "esta",
    "estas",
    "este",
    "esto",
    "estos",
    "está",
    "hasta",
    "hay",
    "la",
    "las",
    "lo",
    "los",
    "más",
    "nuestra",
    "nuestro",
    "o",
    "otra",
    "otro",
    "para",
    "pero",
    "por",
    "que",
    "quien",
    "según",
    "ser",
    "si",
    "sin",
    "sobre",
    "su",
    "sus",
    "también",
    "tras",
    "un",
    "una",
    "y",
    "ya",
    "lunes",
    "martes",
    "miércoles",
    "jueves",
    "viernes",
    "sábado",
    "domingo",
    // French.
    "après",
    "au",
    "aussi",
    "aux",
    "avant",
    "avec",
    "c",
    "ce",
    "ces",
    "cette",
    "chaque",
    "comme",
    "d",
    "dans",
    "depuis",
    "des",
    "dès",
    "du",
    "elle",
    "elles",
    "est",
    "et",
    "il",
    "ils",
    "j",
    "je",
    "l",
    "le",
    "les",
    "leur",
    "leurs",
    "lors",
    "mais",
    "n",
    "nos",
    "notre",
    "nous",
    "on",
    "ou",
    "où",
    "par",
    "pour",
    "pendant",
    "qu",
    "quand",
    "qui",
    "quoi",
    "s",
    "sans",
    "selon",
    "ses",
    "son",
    "sont",
    "sous",
    "sur",
    "toute",
    "tous",
    "tout",
    "une",
    "vos",
    "votre",
    "vous",
    "lundi",
    "mardi",
    "mercredi",
    "jeudi",
    "vendredi",
    "samedi",
    "dimanche", // German.
    "alle",
    "als",
    "am",
    "an",
    "auch",
    "auf",
    "aus",
    "bei",
    "beim",
    "bis",
    "bitte",
    "da",
    "damit",
    "dann",
    "das",
    "dass",
    "dem",
    "den",
    "der",
    "des",
    "die",
    "dies",
    "diese",
    "dieser",
    "dieses",
    "doch",
    "durch",
    "ein",
    "eine",
    "einem",
    "einen",
    "einer",
    "er",
    "es",
    "für",
    "gegen",
    "hat",
    "hier",
    "ich",
    "ihr",
    "ihre",
    "im",
    "ist",
    "jede",
    "jeder",
    "jedes",
    "kein",
    "keine",
    "können",
    "man",
    "mit",
    "nach",
    "nicht",
    "noch",
    "nun",
    "nur",
    "ob",
    "oder",
    "ohne",
    "seit",
    "sie",
    "sind",
    "so",
    "sofern",
    "um",
    "und",
    "uns",
    "unser",
    "unsere",
    "unter",
    "vom",
    "von",
    "vor",
    "wann",
    "war",
    "was",
    "weil",
    "wenn",
    "wer",
    "werden",
    "wie",
    "wir",
    "wird",
    "wo",
    "wurde",
    "während",
    "zu",
    "zum",
    "zur",
    "zwischen",
    "über",
    "montag",
    "dienstag",
    "mittwoch",
    "donnerstag",
    "freitag",
    "samstag",
    "sonntag",
];

/// A word that is no name though it may have a capital.
pub(super) fn is_common(lower: &str) -> bool {
    COMMON.contains(&lower) || month(lower).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_know_what_stands_around_them() {
        let text = "See (EU) 2016/679, l'atelier – now!";
        let found = words(text, 10);
        let seen: Vec<_> = found.iter().map(|w| (w.text, w.opens, w.closes)).collect();
        let want = [
            ("See", false, false),
            ("EU", true, true),
            ("2016/679", false, true),
            ("l", false, false),
            ("atelier", false, true),
            ("now", false, true),
        ];
        assert_eq!(seen, want);
        assert!(found.iter().all(|w| &text[w.span.start - 10..w.span.end - 10] == w.text));
        assert_eq!(words(" -- ", 0), []);
    }
}
