//! A sentence as words: folded, told apart into words with content and words without, with the language they are in.
//!
//! Folding is lower case without accents (`ß` is `ss`), so that lists need one form of a word. Lists of each language are in
//! `lists`; a text whose language is told by none of them is read with all of them.

use super::lists::{self, Lang};
use super::quantity::{self, Quantity};
use crate::seams::embedder::SentenceVectors;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What stands between white space and marks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    /// Lower case without accents.
    pub folded: String,
    /// It begins with a capital and is not the first word.
    pub capital: bool,
    /// It is written as names of things are: in capitals, with a capital inside, or of letters and digits.
    pub marked: bool,
    /// Which clause of the sentence it stands in, from 0.
    pub clause: usize,
    /// Nothing but digits and the marks inside a number.
    pub digits: bool,
    /// Whether a hyphen ties it to the token before.
    pub tied: bool,
}

/// Cuts a sentence into tokens; signs of percent and currencies are tokens of their own.
pub(super) fn tokens(sentence: &str) -> Vec<Token> {
    let chars: Vec<char> = sentence.nfc().collect();
    let mut out: Vec<Token> = Vec::new();
    let (mut at, mut clause, mut tied) = (0, 0, false);
    while at < chars.len() {
        let c = chars[at];
        let end = match c {
            c if c.is_ascii_digit() => number_end(&chars, at),
            '-' | '−' | '–' | '.' | ',' if number_lead(&chars, at) > 0 => number_end(&chars, at + number_lead(&chars, at)),
            c if c.is_alphanumeric() => word_end(&chars, at),
            '%' | '€' | '$' | '£' | '°' | '¥' => at + 1,
            _ => {
                clause += usize::from(is_clause_end(&chars, at) && !out.is_empty());
                tied = matches!(c, '-' | '\u{2011}');
                at += 1;
                continue;
            }
        };
        let raw: String = chars[at..end].iter().collect();
        out.push(token(&raw, out.is_empty(), clause, tied));
        (at, tied) = (end, false);
    }
    contractions(&mut out);
    out
}

fn token(raw: &str, first: bool, clause: usize, tied: bool) -> Token {
    let upper = raw.chars().filter(|c| c.is_uppercase()).count();
    let digits = raw.trim_start_matches(LEADS).starts_with(|c: char| c.is_ascii_digit());
    let letters = raw.chars().filter(|c| c.is_alphabetic()).count();
    let capital = raw.starts_with(char::is_uppercase);
    Token {
        folded: raw.strip_prefix(['−', '–']).map_or_else(|| fold(raw), |number| format!("-{number}")),
        capital: capital && !first,
        marked: !digits && letters > 0 && (upper > usize::from(capital) || raw.chars().any(|c| c.is_ascii_digit())),
        clause,
        digits,
        tied,
    }
}

/// Lower case without accents.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        match c {
            'ß' => out.push_str("ss"),
            'œ' => out.push_str("oe"),
            'æ' => out.push_str("ae"),
            c => out.push(c),
        }
    }
    out
}

/// What a number may begin with before its digits: a sign, a decimal mark, or both.
const LEADS: [char; 5] = ['-', '−', '–', '.', ','];

/// How many characters of a sign and a decimal mark stand before the digits of a number; 0 where it is none, as inside of `10-20`,
/// `2024-05-01` and `AES-256`.
fn number_lead(chars: &[char], at: usize) -> usize {
    let is_digit = |at: usize| chars.get(at).is_some_and(char::is_ascii_digit);
    let signed = usize::from(matches!(chars[at], '-' | '−' | '–'));
    let marked = usize::from(matches!(chars.get(at + signed), Some('.' | ',')));
    let before = at.checked_sub(1).map(|b| chars[b]);
    let opens = before.is_none_or(|c| {
        c.is_whitespace() || matches!(c, '(' | '[' | '/' | '=' | '$' | '€' | '£' | '¥' | '"' | '“' | '„' | '«' | '~' | '<' | '>')
    });
    // "10 -20" are two ends of a range.
    let last = chars[..at].iter().rev().find(|c| !c.is_whitespace());
    let ranges = signed > 0 && last.is_some_and(|c| c.is_ascii_digit() || matches!(c, '%' | '°'));
    if opens && !ranges && is_digit(at + signed + marked) { signed + marked } else { 0 }
}

fn word_end(chars: &[char], from: usize) -> usize {
    let inside = |c: &char| c.is_alphanumeric() || is_combining_mark(*c);
    from + chars[from..].iter().take_while(|c| inside(c)).count()
}

/// Digits with single marks between them; a space counts when three digits follow it and up to three stood before.
fn number_end(chars: &[char], from: usize) -> usize {
    let digits = |at: usize| chars[at..].iter().take_while(|c| c.is_ascii_digit()).count();
    let mut end = from + digits(from);
    let mut last = end - from;
    while end + 1 < chars.len() {
        let more = digits(end + 1);
        let joined = match chars[end] {
            '.' | ',' | ':' | '\'' | '’' => more > 0,
            ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' => more == 3 && last <= 3 && !chars[from..end].contains(&':'),
            _ => false,
        };
        if !joined {
            break;
        }
        (last, end) = (more, end + 1 + more);
    }
    end
}

fn is_clause_end(chars: &[char], at: usize) -> bool {
    matches!(chars[at], ',' | ';' | ':' | '(' | ')' | '—' | '–' | '\n') && chars.get(at + 1).is_none_or(|c| c.is_whitespace())
        || chars[at] == '('
}

/// `don't` is `do not`: the `t` after an apostrophe takes the place of a negation.
fn contractions(tokens: &mut [Token]) {
    for at in 1..tokens.len() {
        let (before, this) = tokens.split_at_mut(at);
        let (Some(before), Some(this)) = (before.last_mut(), this.first_mut()) else { continue };
        if this.folded == "t" && before.folded.ends_with('n') && before.folded.len() > 2 {
            "not".clone_into(&mut this.folded);
            if before.folded != "can" {
                before.folded.pop();
            }
        }
    }
}

/// A word with content.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// Its token in the sentence.
    pub at: usize,
    /// Its vector of unit length, or zeros.
    pub vector: Vec<f32>,
}

/// A sentence ready to be compared.
#[derive(Clone, Debug)]
pub(super) struct Sentence {
    /// All tokens.
    pub tokens: Vec<Token>,
    /// The words with content that are in no quantity, in order.
    pub words: Vec<Word>,
    /// The quantities, in order.
    pub quantities: Vec<Quantity>,
    /// The language it is read in; `None` for all.
    pub lang: Option<Lang>,
}

impl Sentence {
    /// Reads a sentence; `lang` is that of the text around it, for a sentence that does not tell its own.
    pub(super) fn of(text: &str, lang: Option<Lang>, near: &dyn SentenceVectors) -> Self {
        let mut tokens = tokens(text);
        let lang = language(tokens.iter().map(|t| t.folded.as_str())).or(lang);
        conjunctions(&mut tokens, lang);
        let quantities = quantity::quantities(&tokens, lang);
        let counted = |at: usize| quantities.iter().any(|q| (q.at..q.end).contains(&at));
        let content = |t: &Token| !t.digits && t.folded.chars().any(char::is_alphabetic) && !lists::is_stop(&t.folded, lang);
        let word = |(at, t): (usize, &Token)| {
            let mut vector = vec![0.0; near.dimensions()];
            near.sentence_vector(&t.folded, &mut vector);
            Word { at, vector }
        };
        let words = tokens.iter().enumerate().filter(|(at, t)| content(t) && !counted(*at)).map(word).collect();
        Self { tokens, words, quantities, lang }
    }

    /// The token of a word.
    pub(super) fn token(&self, word: usize) -> &Token {
        &self.tokens[self.words[word].at]
    }
}

/// A conjunction that sets two statements against each other begins a clause.
fn conjunctions(tokens: &mut [Token], lang: Option<Lang>) {
    let mut added = 0;
    for token in tokens {
        added += usize::from(lists::begins_clause(&token.folded, lang));
        token.clause += added;
    }
}

/// The statements that a sentence joins by a conjunction or a comma, when each has enough words to be one; none of a sentence that is
/// one statement.
pub(super) fn statements(text: &str, lang: Option<Lang>) -> Vec<&str> {
    let content = |part: &str| tokens(part).iter().filter(|t| !t.digits && !lists::is_stop(&t.folded, lang)).count();
    let (mut parts, mut from) = (Vec::new(), 0);
    for (at, word) in text.match_indices(' ').map(|(at, _)| (at, text[at + 1..].split(' ').next().unwrap_or_default())) {
        let joined = lists::joins(word) || text[..at].ends_with([',', ';']);
        if joined && at > from && content(&text[from..at]) >= STATEMENT && content(&text[at..]) >= STATEMENT {
            parts.push(&text[from..at]);
            from = at + 1;
        }
    }
    if from > 0 {
        parts.push(&text[from..]);
    }
    parts
}

/// Words with content that make a statement: who, what, whom.
const STATEMENT: usize = 3;

/// The language whose words without content are most of the text's; `None` when two have as many.
pub(super) fn language<'a>(words: impl Iterator<Item = &'a str>) -> Option<Lang> {
    let mut hits = [0_u32; Lang::ALL.len()];
    for word in words {
        lists::stops_in(word, |lang| hits[lang as usize] += 1);
    }
    let best = hits.iter().copied().max().filter(|best| *best > 0)?;
    let mut with_best = Lang::ALL.iter().zip(hits).filter(|(_, hit)| *hit == best);
    let found = with_best.next().map(|(lang, _)| *lang);
    if with_best.next().is_some() { None } else { found }
}

/// Endings that inflect or derive a word in one of the four languages; what two forms of one word differ by.
const ENDINGS: &[&str] = &[
    "", "s", "es", "e", "en", "er", "ern", "em", "n", "t", "te", "ten", "tet", "st", "et", "ed", "d", "ing", "ings", "ly", "y",
    "ies", "ied", "ier", "al", "a", "o", "as", "os", "an", "ar", "ara", "aran", "aron", "ado", "ada", "ados", "adas", "ida",
    "ido", "idos", "idas", "ir", "ira", "re", "r", "ra", "ent", "ont", "ons", "ez", "ee", "ees", "ait", "ement", "ements",
    "ment", "ments", "mente", "ung", "ungen", "ion", "ions", "ation", "ations", "acion", "aciones", "cion", "ciones", "ant",
    "ante", "ance", "eur", "euse", "lich", "liche", "lichen", "ig", "ige", "igen", "end", "ende", "enden", "z", "ne", "nen",
    "in", "innen", "able", "ables", "ability", "ible", "bar", "able", "al", "ales", "aux", "if", "ive", "ives", "ant", "or",
    "ors", "ora", "ores", "amos", "emos", "imos", "io", "ieron", "iendo", "ando", "anse", "arse", "se", "le", "ion", "tion", "x",
    "nt",
];

/// Whether two words are forms of one: they begin alike, and what is left of each is an ending.
pub(super) fn related(a: &str, b: &str) -> bool {
    let shared: usize = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
    let shortest = a.len().min(b.len());
    shared >= 3 && 5 * shared >= 3 * shortest && ENDINGS.contains(&&a[shared..]) && ENDINGS.contains(&&b[shared..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|t| t.folded).collect()
    }

    #[test]
    fn words_numbers_and_signs_are_told_apart() {
        assert_eq!(read("Don't pay 1.234,50 € (9:00–17:30)!"), ["do", "not", "pay", "1.234,50", "€", "9:00", "17:30"]);
        assert_eq!(read("50 000 €, 12 345 678 and 2023 100"), ["50 000", "€", "12 345 678", "and", "2023", "100"]);
        assert_eq!(read("-18, −.5 (–3) .5 ,5 $.50"), ["-18", "-.5", "-3", ".5", ",5", "$", ".50"]);
        assert_eq!(
            read("10-20, 10 -20 2024-05-01 AES-256 a.5"),
            ["10", "20", "10", "20", "2024", "05", "01", "aes", "256", "a", "5"]
        );
        assert_eq!(read("L’été, STRASSE Straße"), ["l", "ete", "strasse", "strasse"]);
        let marked: Vec<bool> = tokens("Use USB macOS AES-256 H2O Rome").iter().map(|t| t.marked).collect();
        assert_eq!(marked, [false, true, true, true, false, true, false]);
    }

    #[test]
    fn forms_of_one_word_are_related() {
        for (a, b) in [("refund", "refunded"), ("month", "monthly"), ("tablette", "tabletten"), ("devolver", "devolvera")] {
            assert!(related(a, b), "{a} {b}");
        }
        for (a, b) in [("contract", "contrast"), ("red", "green"), ("international", "internet")] {
            assert!(!related(a, b), "{a} {b}");
        }
    }

    #[test]
    fn the_language_is_that_of_the_small_words() {
        for (text, lang) in [
            ("The fee is not paid", Some(Lang::En)),
            ("Die Gebühr wird nicht bezahlt", Some(Lang::De)),
            ("Los gastos no se reembolsan", Some(Lang::Es)),
            ("Les frais ne sont pas remboursés", Some(Lang::Fr)),
            ("42", None),
        ] {
            assert_eq!(language(read(text).iter().map(String::as_str)), lang, "{text}");
        }
    }
}
