//! The language of a document: whatlang 0.18 on its prose.
//!
//! The detector knows 70 languages and is not told which ones are wanted: with a closed list, Czech becomes the wanted
//! language that looks most like it. 2,000 bytes of prose are taken from three places, and 4,000 when those leave a doubt; a
//! word with a digit, a slash or an underscore in it is a name or a path and belongs to no language. In a short text, or when
//! the best language is hardly ahead, whichlang 0.1.1 is asked too, and where they differ the answer is uncertain.
//!
//! Measured on 600 manual pages of Debian 12 (`manpages` 6.03, `manpages-de`, `-es`, `-fr` 4.18.1): 593 as their package says;
//! of the 7 others 5 are English in the Spanish package and 2 are half English.

use super::prose;
use crate::domain::ingest::document::Document;

/// Bytes of prose that are looked at first, and when they leave a doubt.
const SAMPLE: usize = 2_000;
const LARGE_SAMPLE: usize = 4_000;

/// Below this confidence the larger sample is taken.
const SURE: f64 = 0.9;

/// Below this confidence the second detector is asked: of the manual pages above, half of such answers were wrong.
const HARDLY: f64 = 0.3;

/// A text with fewer characters is judged by two detectors.
const SHORT: usize = 200;

/// With fewer letters nobody can tell.
const LEAST: usize = 24;

/// Two-letter codes (ISO 639-1) of the detectors' three-letter ones (ISO 639-3).
const CODES: &str = "epo eo eng en rus ru cmn zh spa es por pt ita it ben bn fra fr deu de ukr uk kat ka ara ar hin hi jpn ja \
                     heb he yid yi pol pl amh am jav jv kor ko nob nb dan da swe sv fin fi tur tr nld nl hun hu ces cs ell el \
                     bul bg bel be mar mr kan kn ron ro slv sl hrv hr srp sr mkd mk lit lt lav lv est et tam ta vie vi urd ur \
                     tha th guj gu uzb uz pan pa aze az ind id tel te pes fa mal ml ori or mya my nep ne sin si khm km tuk tk \
                     aka ak zul zu sna sn afr af lat la slk sk cat ca tgl tl hye hy cym cy";

/// The language found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Language {
    /// Two letters (ISO 639-1): `en`.
    pub code: &'static str,
    /// How far the best language is ahead, 0 to 1, as whatlang gives it.
    pub confidence: f64,
    /// False when two detectors differ on a short or mixed text.
    pub certain: bool,
}

/// The language of a document; `None` when it holds too few letters to tell.
pub fn detect(doc: &Document) -> Option<Language> {
    let mut pieces = prose::sentences(doc);
    if pieces.iter().map(|p| p.len()).sum::<usize>() < SHORT {
        pieces = prose::anything_but_code(doc);
    }
    let first = of_text(&prose::sample(&pieces, SAMPLE));
    if first.is_some_and(|l| l.certain && l.confidence >= SURE) {
        return first;
    }
    of_text(&prose::sample(&pieces, LARGE_SAMPLE)).or(first)
}

/// The language of some text.
pub fn of_text(pieces: &[&str]) -> Option<Language> {
    let words = words(pieces);
    let letters = words.chars().filter(|c| c.is_alphabetic()).count();
    if letters < LEAST {
        return None;
    }
    let found = whatlang::detect(&words)?;
    let code = short_code(found.lang().code());
    let doubtful = words.chars().nth(SHORT).is_none() || found.confidence() < HARDLY;
    let certain = !doubtful || short_code(whichlang::detect_language(&words).three_letter_code()) == code;
    Some(Language { code, confidence: found.confidence(), certain })
}

/// The words that a language can be told from, with the punctuation around them.
fn words(pieces: &[&str]) -> String {
    let mut out = String::new();
    for word in pieces.iter().flat_map(|p| p.split_whitespace()) {
        let strange =
            |c: char| c.is_numeric() || matches!(c, '_' | '/' | '\\' | '=' | '@' | '<' | '>' | '{' | '}' | '|' | '$' | '%');
        if !word.contains(strange) {
            out.push_str(word);
            out.push(' ');
        }
    }
    out
}

/// The two letters of a three-letter code; what has none keeps its own.
fn short_code(code: &'static str) -> &'static str {
    let mut list = CODES.split_whitespace();
    while let (Some(long), Some(short)) = (list.next(), list.next()) {
        if long == code {
            return short;
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(of_text(&[text]).map(|l| l.code), Some(want), "{text}");
    }

    /// Article 1 of the Universal Declaration of Human Rights (United Nations, public domain).
    #[test]
    fn the_declaration_is_told_apart() {
        check(
            "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience.",
            "en",
        );
        check("Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón.", "es");
        check("Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison.", "fr");
        check("Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft begabt.", "de");
        check("Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione.", "it");
        check("Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím.", "cs");
        check("Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом.", "ru");
    }

    #[test]
    fn names_and_numbers_have_no_language() {
        assert_eq!(of_text(&["/usr/share/doc x_y_z 12.5 user@host a=b", "0x1f 1/2"]), None);
        assert_eq!(of_text(&[]), None);
        assert_eq!(of_text(&["Just a word"]), None);
    }

    #[test]
    fn every_code_of_both_detectors_is_known() {
        for lang in whatlang::Lang::all() {
            assert_eq!(short_code(lang.code()).len(), 2, "{lang}");
        }
        for lang in whichlang::LANGUAGES {
            assert_eq!(short_code(lang.three_letter_code()).len(), 2);
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_language_or_none(text in any::<String>()) {
            if let Some(found) = of_text(&[&text]) {
                prop_assert!((0.0..=1.0).contains(&found.confidence));
            }
        }
    }
}
