//! Numbers as people write them: digits with the marks of a language, and words from zero to billions in four languages.

use super::lists::Lang;
use std::collections::HashMap;
use std::sync::OnceLock;

/// What a number written in digits may be; two values where the mark is read in one way here and in another there.
pub(super) fn digits(raw: &str, lang: Option<Lang>) -> Option<(f64, Option<f64>)> {
    let plain: String = raw.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | ',')).collect();
    let marks: Vec<(usize, char)> = plain.char_indices().filter(|(_, c)| !c.is_ascii_digit()).collect();
    let without = |drop: &[char]| plain.replace(drop, "").parse::<f64>().ok();
    let decimal = |mark: char| plain.replace(if mark == ',' { '.' } else { ',' }, "").replace(mark, ".").parse::<f64>().ok();
    let value = match marks.as_slice() {
        [] => (without(&[])?, None),
        [.., (_, last)] if marks.iter().any(|(_, c)| c != last) => (decimal(*last)?, None),
        [_, _, ..] => (without(&['.', ','])?, None),
        [(at, mark)] => {
            let grouped = plain.len() - at == 4 && *at <= 3 && *at > 0 && !plain.starts_with('0');
            match (grouped, (*mark == ',') == matches!(lang, Some(Lang::En) | None)) {
                (true, true) => (without(&['.', ','])?, decimal(*mark)),
                (true, false) => (decimal(*mark)?, without(&['.', ','])),
                (false, _) => (decimal(*mark)?, None),
            }
        }
    };
    value.0.is_finite().then_some(value)
}

/// What a word does to a number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    /// Is added.
    Add(f64),
    /// Multiplies what came before.
    Times(f64),
}

/// Words with their numbers, each once; looked up by a map that is made when first asked.
struct Numbers {
    words: &'static [(&'static str, f64)],
    by_word: OnceLock<HashMap<&'static str, f64>>,
}

impl Numbers {
    const fn new(words: &'static [(&'static str, f64)]) -> Self {
        Self { words, by_word: OnceLock::new() }
    }
}

static EN: Numbers = Numbers::new(&[
    ("zero", 0.0),
    ("one", 1.0),
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("thirteen", 13.0),
    ("fourteen", 14.0),
    ("fifteen", 15.0),
    ("sixteen", 16.0),
    ("seventeen", 17.0),
    ("eighteen", 18.0),
    ("nineteen", 19.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
    ("once", 1.0),
    ("twice", 2.0),
]);
static ES: Numbers = Numbers::new(&[
    ("cero", 0.0),
    ("un", 1.0),
    ("uno", 1.0),
    ("una", 1.0),
    ("dos", 2.0),
    ("tres", 3.0),
    ("cuatro", 4.0),
    ("cinco", 5.0),
    ("seis", 6.0),
    ("siete", 7.0),
    ("ocho", 8.0),
    ("nueve", 9.0),
    ("diez", 10.0),
    ("once", 11.0),
    ("doce", 12.0),
    ("trece", 13.0),
    ("catorce", 14.0),
    ("quince", 15.0),
    ("dieciseis", 16.0),
    ("diecisiete", 17.0),
    ("dieciocho", 18.0),
    ("diecinueve", 19.0),
    ("veinte", 20.0),
    ("veintiun", 21.0),
    ("veintiuno", 21.0),
    ("veintidos", 22.0),
    ("veintitres", 23.0),
    ("veinticuatro", 24.0),
    ("veinticinco", 25.0),
    ("veintiseis", 26.0),
    ("veintisiete", 27.0),
    ("veintiocho", 28.0),
    ("veintinueve", 29.0),
    ("treinta", 30.0),
    ("cuarenta", 40.0),
    ("cincuenta", 50.0),
    ("sesenta", 60.0),
    ("setenta", 70.0),
    ("ochenta", 80.0),
    ("noventa", 90.0),
    ("cien", 100.0),
    ("ciento", 100.0),
    ("doscientos", 200.0),
    ("trescientos", 300.0),
    ("cuatrocientos", 400.0),
    ("quinientos", 500.0),
    ("seiscientos", 600.0),
    ("setecientos", 700.0),
    ("ochocientos", 800.0),
    ("novecientos", 900.0),
]);
static FR: Numbers = Numbers::new(&[
    ("zero", 0.0),
    ("un", 1.0),
    ("une", 1.0),
    ("deux", 2.0),
    ("trois", 3.0),
    ("quatre", 4.0),
    ("cinq", 5.0),
    ("six", 6.0),
    ("sept", 7.0),
    ("huit", 8.0),
    ("neuf", 9.0),
    ("dix", 10.0),
    ("onze", 11.0),
    ("douze", 12.0),
    ("treize", 13.0),
    ("quatorze", 14.0),
    ("quinze", 15.0),
    ("seize", 16.0),
    ("vingt", 20.0),
    ("vingts", 20.0),
    ("trente", 30.0),
    ("quarante", 40.0),
    ("cinquante", 50.0),
    ("soixante", 60.0),
    ("septante", 70.0),
    ("huitante", 80.0),
    ("nonante", 90.0),
]);
static DE: Numbers = Numbers::new(&[
    ("null", 0.0),
    ("ein", 1.0),
    ("eins", 1.0),
    ("eine", 1.0),
    ("einen", 1.0),
    ("einem", 1.0),
    ("einer", 1.0),
    ("eines", 1.0),
    ("zwei", 2.0),
    ("drei", 3.0),
    ("vier", 4.0),
    ("funf", 5.0),
    ("sechs", 6.0),
    ("sieben", 7.0),
    ("acht", 8.0),
    ("neun", 9.0),
    ("zehn", 10.0),
    ("elf", 11.0),
    ("zwolf", 12.0),
    ("dreizehn", 13.0),
    ("vierzehn", 14.0),
    ("funfzehn", 15.0),
    ("sechzehn", 16.0),
    ("siebzehn", 17.0),
    ("achtzehn", 18.0),
    ("neunzehn", 19.0),
    ("zwanzig", 20.0),
    ("dreissig", 30.0),
    ("vierzig", 40.0),
    ("funfzig", 50.0),
    ("sechzig", 60.0),
    ("siebzig", 70.0),
    ("achtzig", 80.0),
    ("neunzig", 90.0),
    ("anderthalb", 1.5),
]);
/// Words that multiply; they are so long or so rare that all languages share them.
static TIMES: Numbers = Numbers::new(&[
    ("hundred", 1e2),
    ("hundert", 1e2),
    ("cent", 1e2),
    ("cents", 1e2),
    ("thousand", 1e3),
    ("tausend", 1e3),
    ("mil", 1e3),
    ("mille", 1e3),
    ("million", 1e6),
    ("millions", 1e6),
    ("millionen", 1e6),
    ("millon", 1e6),
    ("millones", 1e6),
    ("mio", 1e6),
    ("milliarde", 1e9),
    ("milliarden", 1e9),
    ("milliard", 1e9),
    ("milliards", 1e9),
    ("mrd", 1e9),
    ("billion", 1e9),
    ("billions", 1e9),
    ("bn", 1e9),
    ("dozen", 12.0),
    ("dutzend", 12.0),
    ("docena", 12.0),
    ("douzaine", 12.0),
]);
/// "and a half".
const HALF: &[&str] = &["half", "media", "medio", "demi", "demie"];
const AND: &[&str] = &["and", "y", "et", "a"];

fn find(list: &Numbers, word: &str) -> Option<f64> {
    list.by_word.get_or_init(|| list.words.iter().copied().collect()).get(word).copied()
}

fn add(word: &str, lang: Lang) -> Option<f64> {
    match lang {
        Lang::En => find(&EN, word),
        Lang::Es => find(&ES, word),
        Lang::Fr => find(&FR, word),
        Lang::De => find(&DE, word).or_else(|| german(word)),
    }
}

/// German numbers are one word: `dreihundertfünfundzwanzig`, `viermal`, `zweieinhalb`.
fn german(word: &str) -> Option<f64> {
    if let Some(often) = word.strip_suffix("mal") {
        return german(often).or_else(|| find(&DE, often));
    }
    if let Some(whole) = word.strip_suffix("einhalb") {
        return Some(find(&DE, whole)? + 0.5);
    }
    for (name, times) in [("tausend", 1e3), ("hundert", 1e2)] {
        if let Some((before, after)) = word.split_once(name) {
            let factor = if before.is_empty() { 1.0 } else { german(before).or_else(|| find(&DE, before))? };
            let rest = after.strip_prefix("und").unwrap_or(after);
            let rest = if rest.is_empty() { 0.0 } else { german(rest).or_else(|| find(&DE, rest))? };
            return Some(factor * times + rest);
        }
    }
    let (unit, tens) = word.split_once("und")?;
    let (unit, tens) = (find(&DE, unit)?, find(&DE, tens)?);
    (unit < 10.0 && tens >= 20.0).then_some(unit + tens)
}

/// Whether a word that says a number says how often: "twice", "viermal".
pub(super) fn says_how_often(word: &str, lang: Option<Lang>) -> bool {
    let of = |one: Lang| lang.is_none_or(|lang| lang == one);
    word == "twice" && of(Lang::En) || word.ends_with("mal") && of(Lang::De)
}

fn part(word: &str, lang: Option<Lang>) -> Option<Part> {
    let times = || find(&TIMES, word).filter(|_| !(word == "mil" && lang != Some(Lang::Es))).map(Part::Times);
    let found = match lang {
        Some(lang) => add(word, lang),
        None => Lang::ALL.into_iter().find_map(|lang| add(word, lang)),
    };
    found.map(Part::Add).or_else(times)
}

/// What a word multiplies a number before it by: `million` in "3.4 million".
pub(super) fn magnitude(word: &str) -> Option<f64> {
    find(&TIMES, word).filter(|by| *by >= 1e3)
}

/// The number that words from the first on say, and how many words it takes; `None` when the first says none.
pub(super) fn words(words: &[&str], lang: Option<Lang>) -> Option<(f64, usize)> {
    let (mut total, mut open, mut last, mut used) = (0.0, 0.0, f64::INFINITY, 0);
    while let Some(word) = words.get(used) {
        match part(word, lang) {
            Some(Part::Add(20.0)) if lang == Some(Lang::Fr) && open == 4.0 => (open, last) = (80.0, 80.0),
            // A number that goes on has ever smaller parts.
            Some(Part::Add(value)) if used == 0 || fits(value, last) || is_french_teen(value, last, lang) => {
                (open, last) = (open + value, value)
            }
            Some(Part::Times(by)) if used > 0 || by == 1e2 || by == 1e3 => {
                if by < 1e3 {
                    (open, last) = (f64::max(open, 1.0) * by, by);
                } else {
                    (total, open, last) = (total + f64::max(open, 1.0) * by, 0.0, by);
                }
            }
            _ => match halved(&words[used..]) {
                Some(more) if used > 0 => return Some((total + open + 0.5, used + more)),
                _ if used > 0 && AND.contains(word) && goes_on(words.get(used + 1), last, lang) => {}
                _ => break,
            },
        }
        used += 1;
    }
    (used > 0).then_some((total + open, used))
}

fn fits(value: f64, last: f64) -> bool {
    match last {
        l if l >= 100.0 => value < l,
        l if l >= 20.0 => value < 20.0,
        _ => false,
    }
}

/// How many words "and a half" takes at the front of these.
pub(super) fn halved(words: &[&str]) -> Option<usize> {
    let first = words.first().filter(|w| AND.contains(w))?;
    let article = usize::from(*first == "and" && words.get(1) == Some(&"a"));
    words.get(1 + article).filter(|w| HALF.contains(w)).map(|_| 2 + article)
}

/// Seventeen to nineteen are "dix-sept" to "dix-neuf".
fn is_french_teen(value: f64, last: f64, lang: Option<Lang>) -> bool {
    lang == Some(Lang::Fr) && last == 10.0 && (7.0..10.0).contains(&value)
}

fn goes_on(next: Option<&&str>, last: f64, lang: Option<Lang>) -> bool {
    last >= 20.0 && next.is_some_and(|w| matches!(part(w, lang), Some(Part::Add(v)) if fits(v, last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, lang: Lang) -> Option<(f64, usize)> {
        words(&text.split(' ').collect::<Vec<_>>(), Some(lang))
    }

    #[test]
    fn words_say_numbers_in_four_languages() {
        for (text, lang, value, used) in [
            ("twenty one days", Lang::En, 21.0, 2),
            ("three hundred and five", Lang::En, 305.0, 4),
            ("two and a half hours", Lang::En, 2.5, 4),
            ("two million", Lang::En, 2e6, 2),
            ("two and eight", Lang::En, 2.0, 1),
            ("treinta y cinco euros", Lang::Es, 35.0, 3),
            ("dos mil quinientos", Lang::Es, 2500.0, 3),
            ("quatre vingts km", Lang::Fr, 80.0, 2),
            ("quatre vingt dix sept", Lang::Fr, 97.0, 4),
            ("soixante et onze", Lang::Fr, 71.0, 3),
            ("funfundzwanzig", Lang::De, 25.0, 1),
            ("dreihundertzwei", Lang::De, 302.0, 1),
            ("zweitausendfunfhundert euro", Lang::De, 2500.0, 1),
            ("zweieinhalb stunden", Lang::De, 2.5, 1),
            ("funfundzwanzigmal", Lang::De, 25.0, 1),
        ] {
            assert_eq!(said(text, lang), Some((value, used)), "{text}");
        }
        assert_eq!((said("normal", Lang::De), said("manchmal", Lang::De)), (None, None));
        assert_eq!((said("house", Lang::En), said("hund", Lang::De), said("million", Lang::En)), (None, None, None));
    }

    #[test]
    fn marks_are_read_as_the_language_does() {
        let value = |raw, lang| digits(raw, Some(lang)).map(|(v, _)| v);
        assert_eq!([value("1,200", Lang::En), value("1.200", Lang::De), value("1 200", Lang::Fr)], [Some(1200.0); 3]);
        assert_eq!([value("1.000,5", Lang::De), value("1,000.5", Lang::En), value("1,000.5", Lang::De)], [Some(1000.5); 3]);
        assert_eq!(
            [value("2,25", Lang::De), value("2.25", Lang::De), value("0.125", Lang::De)],
            [Some(2.25), Some(2.25), Some(0.125)]
        );
        assert_eq!(digits("1.500", Some(Lang::En)), Some((1.5, Some(1500.0))));
        assert_eq!(value("1.234.567", Lang::En), Some(1_234_567.0));
    }
}
