//! Other forms of a question that ask the same: typos, case, spacing, punctuation, politeness, synonyms.
//!
//! Invariants: a changed question is never empty and differs from the one before; the same random numbers give the same text; what
//! stands between quotes, in braces or angle brackets, and words with a digit, a sign of code (`_`, `@`, `$`, `/`, a dash before) or capitals
//! inside (names of products, options, codes, acronyms), are left as they are, because another code is another question. Letters with their accents are one (grapheme clusters).
//!
//! Typos are those of a keyboard: two neighbours exchanged, one left out, one doubled, one taken from beside it (the row of a QWERTY
//! keyboard), inside of words of four letters and more, about one in [`LETTERS_A_TYPO`] letters and at most one in a word.

use super::super::proxy::Lang;
use super::phrases;
use crate::stats::rng::Rng;
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation as _;

/// Letters of words that may be mistyped for each typo; studies of typing find one to five in a hundred keystrokes wrong.
const LETTERS_A_TYPO: usize = 25;
/// Shorter words are not mistyped: too often they become another word.
const LETTERS_MIN: usize = 4;

/// A changed text, or why there is none.
pub(super) type Changed = Result<String, &'static str>;

/// Marks that open and close a quotation, or a place to be filled.
const QUOTES: &[(char, char)] =
    &[('"', '"'), ('`', '`'), ('“', '”'), ('„', '“'), ('«', '»'), ('‹', '›'), ('「', '」'), ('{', '}'), ('<', '>')];

/// Marks that a question may lose after a word, or where they stand alone.
const MARKS: &[char] = &['.', ',', ';', ':', '!', '?', '…', '。', '、', '！', '？', '，'];
/// Marks that it may lose before a word; others there belong to it (`.5`, `.gitignore`, `:name`).
const OPENING: &[char] = &['¿', '¡'];
/// What else of a sentence stands around its words.
const AROUND: &[char] = &['(', ')', '"', '\'', '‘', '’', '“', '”', '„', '«', '»', '‹', '›', '「', '」', '—', '–'];
/// Signs that sentences have between no two letters of theirs.
const SIGNS: &[char] = &[
    '_', '@', '/', '\\', '{', '}', '<', '>', '[', ']', '=', '#', '.', ':', '$', '€', '£', '%', '&', '*', '+', '^', '~', '|', '`',
    '§',
];

/// What stands between white space, with whether it may be changed.
struct Token<'a> {
    at: Range<usize>,
    text: &'a str,
    free: bool,
}

/// Bytes of a text that stand in quotes.
pub(super) fn quoted(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut from) = (Vec::new(), 0);
    while let Some((at, open)) = text[from..].char_indices().find(|(_, c)| QUOTES.iter().any(|q| q.0 == *c)) {
        let start = from + at;
        let inside = start + open.len_utf8();
        let ends = QUOTES.iter().filter(|q| q.0 == open).filter_map(|q| Some((text[inside..].find(q.1)?, q.1))).min();
        from = match ends {
            Some((length, close)) => inside + length + close.len_utf8(),
            None => inside,
        };
        if ends.is_some() {
            found.push(start..from);
        }
    }
    found
}

/// True for words that name something by their letters: codes, addresses, paths, options, acronyms, `camelCase`.
fn is_code(word: &str) -> bool {
    let core = word.trim_start_matches(|c| AROUND.contains(&c) || OPENING.contains(&c));
    let core = core.trim_end_matches(|c| AROUND.contains(&c) || MARKS.contains(&c));
    let strange = |c: char| c.is_numeric() || SIGNS.contains(&c);
    let capitals = core.chars().filter(|c| c.is_uppercase()).count();
    let begins = core.starts_with(|c: char| c == '-' || c == '−' || MARKS.contains(&c));
    begins || core.chars().any(strange) || capitals > 1 || (capitals == 1 && !core.starts_with(char::is_uppercase))
}

/// The word without the marks around it that a sentence may lose.
fn bare(word: &str) -> &str {
    let inner = word.trim_start_matches(OPENING);
    // A place in a file system, or a part of a command.
    if matches!(inner, "." | "..") {
        return word;
    }
    let short = inner.trim_end_matches(MARKS);
    let cut = &inner[short.len()..];
    // `std::`, `e.g.`: where signs are inside a word, those at its end may be a part of it.
    let letters = |part: &str| part.chars().count() <= 2 && part.chars().all(char::is_alphabetic);
    let is_abbreviation = cut.starts_with('.') && short.contains('.') && short.split('.').all(letters);
    // `&amp;`
    let is_entity = short.starts_with('&') && cut.starts_with(';');
    let is_operator = cut.starts_with("::") || (is_code(short) && cut.starts_with(".."));
    if is_abbreviation || is_entity || is_operator { inner } else { short }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let quoted = quoted(text);
    let (mut all, mut from) = (Vec::new(), 0);
    for word in text.split_whitespace() {
        let start = from + text[from..].find(word).unwrap_or(0);
        from = start + word.len();
        let inside = quoted.iter().any(|q| q.start < from && start < q.end);
        all.push(Token { at: start..from, text: word, free: !inside && !is_code(word) });
    }
    all
}

/// The text with some ranges replaced, which are in order and apart.
fn replaced(text: &str, parts: &[(Range<usize>, String)]) -> String {
    let (mut out, mut from) = (String::new(), 0);
    for (range, new) in parts {
        out.push_str(&text[from..range.start]);
        out.push_str(new);
        from = range.end;
    }
    out + &text[from..]
}

/// The word inside a token, without what stands around it.
fn core(token: &Token<'_>) -> Range<usize> {
    let left = token.text.len() - token.text.trim_start_matches(|c: char| !c.is_alphanumeric()).len();
    let right = token.text.trim_end_matches(|c: char| !c.is_alphanumeric()).len();
    token.at.start + left..token.at.start + right.max(left)
}

/// Whether a word may be mistyped: letters of a script that has capitals, small but for the first.
fn is_typed(word: &str) -> bool {
    let letters: Vec<&str> = word.graphemes(true).collect();
    let small = |g: &&str| g.chars().next().is_some_and(char::is_lowercase);
    letters.len() >= LETTERS_MIN && letters[1..].iter().all(small) && word.starts_with(char::is_alphabetic)
}

/// The question with a few letters mistyped.
pub(super) fn typos(text: &str, rng: &mut Rng) -> Changed {
    let mut words: Vec<Range<usize>> =
        tokens(text).iter().filter(|t| t.free).map(core).filter(|at| is_typed(&text[at.clone()])).collect();
    if words.is_empty() {
        return Err("no word of it can be mistyped");
    }
    let letters: usize = words.iter().map(|at| text[at.clone()].graphemes(true).count()).sum();
    let few = (letters / LETTERS_A_TYPO).clamp(1, words.len());
    rng.draw(&mut words, few);
    words.truncate(few);
    words.sort_by_key(|at| at.start);
    let parts: Vec<_> = words.into_iter().map(|at| (at.clone(), mistyped(&text[at], rng))).collect();
    Ok(replaced(text, &parts))
}

/// A word of at least [`LETTERS_MIN`] letters with one of them wrong, never the first.
fn mistyped(word: &str, rng: &mut Rng) -> String {
    let mut letters: Vec<String> = word.graphemes(true).map(str::to_owned).collect();
    let at = 1 + rng.below(letters.len() - 2);
    match rng.below(4) {
        0 if letters[at] != letters[at + 1] => letters.swap(at, at + 1),
        1 => drop(letters.remove(at)),
        2 => match beside(&letters[at], rng) {
            Some(key) => letters[at] = key,
            None => letters.insert(at, letters[at].clone()),
        },
        _ => letters.insert(at, letters[at].clone()),
    }
    letters.concat()
}

/// A key beside this one in its row.
fn beside(letter: &str, rng: &mut Rng) -> Option<String> {
    const KEYS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];
    let (row, at) = KEYS.iter().find_map(|row| Some((*row, row.find(letter)?)))?;
    let near: Vec<char> = row.char_indices().filter(|(i, _)| i.abs_diff(at) == 1).map(|(_, c)| c).collect();
    near.get(rng.below(near.len())).map(char::to_string)
}

/// The question in small letters, or in capitals.
pub(super) fn case(text: &str, rng: &mut Rng) -> Changed {
    let all = tokens(text);
    let cased = |how: fn(&str) -> String| {
        let parts: Vec<_> = all.iter().filter(|t| t.free).map(|t| (t.at.clone(), how(t.text))).collect();
        replaced(text, &parts)
    };
    let mut forms = [cased(str::to_lowercase), cased(str::to_uppercase)];
    rng.draw(&mut forms, 1);
    forms.into_iter().find(|form| form != text).ok_or("no word of it has small letters and capitals")
}

/// The question with more white space: before it, after it, and doubled or broken in places.
pub(super) fn spacing(text: &str, rng: &mut Rng) -> Changed {
    let quoted = quoted(text);
    let mut out = String::from(" ");
    for (at, c) in text.char_indices() {
        out.push(c);
        // The two halves of `10 000` are one number.
        let digits = text[..at].ends_with(is_digit) && text[at + c.len_utf8()..].starts_with(is_digit);
        if c == ' ' && !digits && !quoted.iter().any(|q| q.contains(&at)) {
            match rng.below(4) {
                0 => out.push(' '),
                1 => out.push('\n'),
                _ => {}
            }
        }
    }
    out.push_str("  ");
    Ok(out)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// The question without its marks; with one more where it has none.
pub(super) fn punctuation(text: &str, _: &mut Rng) -> Changed {
    let quoted = quoted(text);
    let mut parts = Vec::new();
    for word in tokens(text) {
        if quoted.iter().any(|q| q.start < word.at.end && word.at.start < q.end) {
            continue;
        }
        let bare = bare(word.text);
        // Marks that stand alone go with the space before them.
        let before = if bare.is_empty() { text[..word.at.start].trim_end().len() } else { word.at.start };
        if bare.len() != word.text.len() {
            parts.push((before..word.at.end, bare.to_owned()));
        }
    }
    let without = replaced(text, &parts);
    if parts.is_empty() || without.trim().is_empty() { Ok(format!("{text} ?!")) } else { Ok(without) }
}

/// The question between polite words.
pub(super) fn politeness(text: &str, lang: Lang, rng: &mut Rng) -> Changed {
    let forms = phrases::polite(lang);
    let (before, after) = forms[rng.below(forms.len())];
    Ok(format!("{before} {} {after}", text.trim()))
}

/// The question with other words for the same, as far as the list of its language has any.
pub(super) fn synonyms(text: &str, lang: Lang, _: &mut Rng) -> Changed {
    let pairs = phrases::synonyms(lang);
    let mut parts = Vec::new();
    for token in tokens(text).iter().filter(|t| t.free) {
        let at = core(token);
        let word = text[at.clone()].to_lowercase();
        let Some((_, other)) = pairs.iter().find(|(from, _)| *from == word) else { continue };
        parts.push((at.clone(), like(other, &text[at])));
    }
    if parts.is_empty() { Err("no word of it is in the list of synonyms") } else { Ok(replaced(text, &parts)) }
}

/// The word with a capital where the other one has it.
pub(super) fn like(word: &str, other: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) if other.starts_with(char::is_uppercase) => first.to_uppercase().chain(letters).collect(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::rng::Rng;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization as _;

    fn rng() -> Rng {
        Rng::new(7)
    }

    #[test]
    fn typos_leave_numbers_codes_and_quotations_alone() {
        let text = "Does order AB-1234 of \"Grand Piano\" come within 30 days from example.com?";
        for seed in 0..200 {
            let changed = typos(text, &mut Rng::new(seed)).expect("a typo");
            assert_ne!(changed, text);
            for kept in ["AB-1234", "\"Grand Piano\"", " 30 ", "example.com?"] {
                assert!(changed.contains(kept), "{changed}");
            }
        }
        for without in ["30?", "東京はどこですか", "\"all of it\"", "USB NATO", "a an"] {
            assert!(typos(without, &mut rng()).is_err(), "{without}");
        }
    }

    /// Half of all letters of a long text would be no question any more: about one in 25 is.
    #[test]
    fn a_long_text_has_several_typos_and_few() {
        let text =
            "please explain whether customers without original packaging receive their whole payment after returning something";
        let letters = text.chars().filter(|c| c.is_alphabetic()).count();
        let changed = typos(text, &mut rng()).expect("typos");
        let differ = text.split(' ').zip(changed.split(' ')).filter(|(a, b)| a != b).count();
        assert!(differ >= 3 && differ <= letters / 25, "{differ}: {changed}");
    }

    #[test]
    fn each_form_is_what_it_is_called() {
        let mut forms: Vec<String> = (0..9).filter_map(|s| case("Wie groß ist der iPod 5?", &mut Rng::new(s)).ok()).collect();
        forms.sort();
        forms.dedup();
        assert_eq!(forms, ["WIE GROSS IST DER iPod 5?", "wie groß ist der iPod 5?"]);
        assert!(case("東京 30", &mut rng()).is_err());
        let marks = |text| punctuation(text, &mut rng()).expect("a text");
        assert_eq!(marks("¿Cuánto cuesta, por favor, el 3.5?"), "Cuánto cuesta por favor el 3.5");
        assert_eq!(marks("Combien pour 1,000.5 « a, b » ?"), "Combien pour 1,000.5 « a, b »");
        assert_eq!((marks("How long").as_str(), marks("?").as_str()), ("How long ?!", "? ?!"));
        let spaced = spacing("one two three", &mut rng()).expect("a text");
        assert_eq!(spaced.split_whitespace().collect::<Vec<_>>(), ["one", "two", "three"]);
        assert!(politeness("Wie lange?", Lang::De, &mut rng()).expect("a text").contains("Wie lange?"));
        assert_eq!(synonyms("Begin the Repair!", Lang::En, &mut rng()).as_deref(), Ok("Start the Fix!"));
        assert!(synonyms("Begin \"begin\"", Lang::En, &mut rng()).is_ok_and(|t| t == "Start \"begin\""));
        assert!(synonyms("Qwerty?", Lang::En, &mut rng()).is_err());
    }

    #[test]
    fn marks_before_a_word_belong_to_it() {
        for (text, without) in [
            ("Is .5 mg enough?", "Is .5 mg enough"),
            ("Where is .gitignore, please?", "Where is .gitignore please"),
            ("¡Hola! ¿Dónde está?", "Hola Dónde está"),
            ("Is it in .. or in ./src?", "Is it in .. or in ./src"),
            ("Does std:: come first, e.g. here?", "Does std:: come first e.g. here"),
            ("And :name ...", "And :name"),
        ] {
            assert_eq!(punctuation(text, &mut rng()).as_deref(), Ok(without));
        }
        let spaced: Vec<String> = (0..20).map(|s| spacing("costs 10 000 francs", &mut Rng::new(s)).expect("a text")).collect();
        assert!(spaced.iter().all(|t| t.contains("10 000")), "{spaced:?}");
    }

    /// All forms with the same random numbers.
    fn all(text: &str, seed: u64) -> Vec<Changed> {
        let r = &mut Rng::new(seed);
        let mut forms = vec![typos(text, r), case(text, r), spacing(text, r), punctuation(text, r)];
        forms.extend([Lang::En, Lang::De].into_iter().flat_map(|l| [politeness(text, l, r), synonyms(text, l, r)]));
        forms
    }

    proptest! {
        /// Numbers, places to be filled, options, paths, variables stay letter for letter wherever they stand.
        #[test]
        fn code_and_numbers_stay(
            words in proptest::collection::vec(
                "please|where|repair|begin|[.]5|-18|−18|1,000[.]5|5%|[$]home|[$]5|%s|<[a-z]{3,9}>|[{]{1,2}[a-z]{3,9}[}]{1,2}|[{]{2} user name [}]{2}|--verbose|-v|/help|[.]gitignore|:name|#issue|a_b|x@y[.]org|~/notes|\\[name\\]|&amp;|c[+]{2}|C:/x|v2|2024-05-01",
                1..8,
            ),
            mark in "[?!.]?",
            seed: u64,
        ) {
            let text = format!("{}{mark}", words.join(" "));
            for form in all(&text, seed).into_iter().flatten() {
                let plain = ["please", "where", "repair", "begin"];
                let mut from = 0;
                for word in words.iter().filter(|w| !plain.contains(&w.as_str())) {
                    let found = form[from..].find(word.as_str());
                    prop_assert!(found.is_some(), "{:?} of {:?} in {:?}", word, text, form);
                    from += found.unwrap_or(0) + word.len();
                }
            }
        }

        /// Accents on their own, scripts without capitals, from right to left, signs of several characters.
        #[test]
        fn a_changed_question_is_another_one_and_never_empty(
            words in proptest::collection::vec("[a-zé]{1,9}|[A-ZÄ][a-zß]{2,8}|[0-9]{1,4}|e\u{301}[a-z]{4}|東京都|שלום|مرحبا|👩‍👩‍👧|\"[a-z ]{1,6}\"|.", 1..9),
            seed: u64,
        ) {
            let text = words.join(" ");
            prop_assume!(!text.trim().is_empty());
            for form in all(&text, seed).into_iter().flatten() {
                prop_assert!(!form.trim().is_empty() && form != text, "{:?} from {:?}", form, text);
            }
            prop_assert_eq!(all(&text, seed), all(&text, seed));
        }

        #[test]
        fn typos_keep_digits_and_accents_with_their_letters(text in "([a-z]{2,8}|[0-9]{1,3}|(e\u{301}|n\u{303}|a){5}| ){1,20}", seed: u64) {
            if let Ok(changed) = typos(&text, &mut Rng::new(seed)) {
                let digits = |t: &str| t.chars().filter(char::is_ascii_digit).collect::<String>();
                prop_assert_eq!(digits(&text), digits(&changed));
                // No accent is left without its letter, so composing leaves none alone.
                let marks = |t: &str| t.split_whitespace().any(|w| w.starts_with(['\u{301}', '\u{303}']));
                prop_assert!(!marks(&changed) || marks(&text), "{:?}", changed);
                prop_assert!(changed.nfc().count() > 0);
            }
        }
    }
}
