//! Proper names by their capitals.
//!
//! In English, Spanish and French a capital inside a sentence marks a name; the first word of a sentence counts only in front
//! of another capital, and not when the document also writes it small. German writes every noun with a capital, so a name
//! needs a legal form behind it or a title before it; so does every language that is not known.

use super::words::{Word, is_common};
use super::{Node, Taken};
use std::collections::HashSet;

/// Forms of companies, without full stops.
const FORMS: &[&str] = &[
    "GmbH", "AG", "SE", "KG", "OHG", "UG", "mbH", "KGaA", "e.V", "Ltd", "Inc", "LLC", "PLC", "Corp", "SARL", "SAS", "S.A", "SL",
    "S.L",
];
/// What stands before the name of a person.
const TITLES: &[&str] =
    &["Herr", "Herrn", "Frau", "Dr", "Prof", "Mr", "Mrs", "Ms", "Sr", "Sra", "Mme", "Monsieur", "Madame", "Don", "Doña"];
/// Small words inside names.
const PARTICLES: &[&str] = &["of", "de", "del", "de la", "du", "des", "la", "von", "van", "der", "da", "di", "zu", "&", "the"];
/// Words of a name, at most.
const WORDS_MAX: usize = 6;

/// Finds names in a sentence.
pub(super) fn find(words: &[Word<'_>], language: Option<&str>, lower: &HashSet<&str>, taken: &mut Taken) {
    let capitals_tell = matches!(language, Some("en" | "es" | "fr"));
    let mut at = 0;
    while at < words.len() {
        let n = run(words, at, taken);
        if n == 0 {
            at += 1;
            continue;
        }
        let titles = words[at..at + n].iter().take_while(|w| TITLES.contains(&w.text)).count();
        let skipped = if titles > 0 { titles } else { words[at..at + n].iter().take_while(|w| is_common(&w.lower())).count() };
        let (from, mut len) = (at + skipped, n - skipped);
        let initial = from == 0;
        let form = words[from..from + len].iter().position(|w| FORMS.contains(&w.text));
        let ruled = form.is_some_and(|i| i > 0) || titles > 0;
        if let Some(form) = form.filter(|_| !capitals_tell && titles == 0) {
            len = form + 1;
        }
        let first = words.get(from).map(|w| w.lower());
        // "Pumpen GmbH" is one; "Invoices", "When Alice" are not.
        let weak = initial && (len == 1 || first.is_some_and(|f| lower.contains(f.as_str())));
        if len > 0 && (ruled || (capitals_tell && !weak)) && !(len == 1 && words[from].is_all_capitals()) {
            let text: Vec<&str> = words[from..from + len].iter().map(|w| w.text).collect();
            let name = text.join(" ");
            let confidence = if ruled { 90 } else { 60 + 10 * u8::from(len > 1) };
            taken.take(words, from..from + len, Node::new("name", name.to_lowercase(), &name), "name", confidence);
        }
        at += n;
    }
}

/// How many words from here may be one name: capitals, with small words between them, not over punctuation.
fn run(words: &[Word<'_>], at: usize, taken: &Taken) -> usize {
    let fits = |i: usize| words.get(i).is_some_and(|w| !taken.used[i] && w.is_capital());
    if !fits(at) {
        return 0;
    }
    let mut n = 1;
    while n < WORDS_MAX {
        let last = &words[at + n - 1];
        // "Dr. Sommer": the full stop of a title does not end a name.
        if (last.closes && !TITLES.contains(&last.text)) || words.get(at + n).is_some_and(|w| w.opens) {
            break;
        }
        if fits(at + n) {
            n += 1;
        } else if words.get(at + n).is_some_and(|w| PARTICLES.contains(&w.text) && !w.closes)
            && !is_common(&last.lower())
            && fits(at + n + 1)
        {
            n += 2;
        } else {
            break;
        }
    }
    n
}
