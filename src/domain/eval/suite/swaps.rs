//! The person in a question exchanged for another one: by name, gender, origin, age. Nothing else changes, so neither may the answer.
//!
//! What is exchanged are whole words of the lists in `super::people` and `super::origins`, in their language, and all of a question at
//! once, so that pronouns follow their noun; a word keeps its capital, `a` and `an` follow what comes after. What stands in quotes is
//! left alone. Adjectives that agree with a noun of another gender (es, fr) are not in the lists and stay as they are. French `il` and German `er` are
//! exchanged only beside another word that is, because alone they may mean a thing.
//!
//! Questions may be templates: `{person}`, `{country}` and `{age}` are filled from the same lists, drawn by the seed.
//!
//! The side that a swap goes to is kept ([`Side`]), so that a difference means "women minus men" whichever was asked first.

use super::super::proxy::Lang;
use super::perturb::{like, quoted};
use super::{NO_LANGUAGE, ages, lang, origins, people, rng};
use crate::base::name::words;
use crate::domain::golden::Row;
use std::ops::Range;
use std::sync::OnceLock;

words! {
    /// What of a person is exchanged.
    Swap, "swap" {
        /// The first name, for one of a minority or back.
        Names = "names",
        /// The gender.
        Gender = "gender",
        /// Where they come from.
        Origin = "origin",
        /// Whether they are young or old.
        Age = "age",
    }
}

impl Swap {
    /// What a difference is of.
    pub fn between(self) -> &'static str {
        match self {
            Self::Names => "names of minorities minus of the majority",
            Self::Gender => "women minus men",
            Self::Origin => "from minorities minus from the majority",
            Self::Age => "old minus young",
        }
    }
}

/// Which side of a swap a question is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The majority, men, the young.
    First,
    /// A minority, women, the old.
    Second,
}

/// How two words are exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Each for the other.
    Any,
    /// Each for the other, in exactly these letters.
    Exact,
    /// Only the first for the second: the way back has several words.
    Forward,
    /// Only the second for the first.
    Backward,
    /// Each for the other, beside something else that is exchanged.
    Anchored,
    /// The first for the second, beside something else that is exchanged.
    AnchoredForward,
    /// Each for the other before a name.
    Title,
}

struct Entry {
    first: String,
    second: String,
    how: How,
}

/// A question as it is asked first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plain {
    /// What is asked.
    pub question: String,
    /// Right answers to it.
    pub references: Vec<String>,
    /// What its holes were filled with that no list finds again: the word, and the other side's.
    holes: Vec<(Swap, String, String)>,
}

/// A question with another person in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Swapped {
    /// What is asked.
    pub question: String,
    /// Where the swap goes; `None` when the question had both sides in it.
    pub side: Option<Side>,
    pairs: Vec<(String, String)>,
}

impl Swapped {
    /// A text about the first person as one about the other: what was exchanged in the question is exchanged in it.
    pub fn apply(&self, text: &str) -> String {
        let entries: Vec<Entry> =
            self.pairs.iter().map(|(from, to)| Entry { first: from.clone(), second: to.clone(), how: How::Forward }).collect();
        let hits = scan(text, &[], &|rest, at| longest(&entries, rest, &text[..at], None));
        rebuilt(text, &hits, false)
    }
}

const HOLES: [&str; 3] = ["{person}", "{country}", "{age}"];
/// Years that a hole is filled with, young and old; and that an age is exchanged for.
const YEARS: (&str, &str) = ("24", "72");
/// Who is younger is young.
const OLD: u32 = 45;

/// The row's question, with its holes filled.
///
/// # Errors
/// When it has holes and its language has no lists.
pub fn plain(row: &Row, seed: u64) -> Result<Plain, String> {
    let mut plain = Plain { question: row.question.clone(), references: row.references.clone(), holes: Vec::new() };
    if !HOLES.iter().any(|hole| row.question.contains(hole)) {
        return Ok(plain);
    }
    let lang = lang(row).ok_or(NO_LANGUAGE)?;
    let rng = &mut rng(seed, &row.id, "holes");
    let names = people::names(lang);
    let person = names[rng.below(names.len())][rng.below(4)];
    let countries = origins::countries(lang);
    let (one, other) = countries[rng.below(countries.len())];
    let mut sided =
        |(first, second): (&'static str, &'static str)| if rng.below(2) == 0 { (first, second) } else { (second, first) };
    let (country, age) = (sided((one, other)), sided(YEARS));
    let fill = |text: &str| text.replace(HOLES[0], person).replace(HOLES[1], country.0).replace(HOLES[2], age.0);
    let mut hole = |name: &str, swap: Swap, (one, other): (&str, &str)| {
        if row.question.contains(name) {
            plain.holes.push((swap, one.to_owned(), other.to_owned()));
        }
    };
    hole(HOLES[1], Swap::Origin, country);
    hole(HOLES[2], Swap::Age, age);
    plain.question = fill(&row.question);
    plain.references = row.references.iter().map(|r| fill(r)).collect();
    Ok(plain)
}

impl Swap {
    /// The question with another person in it.
    ///
    /// # Errors
    /// With the reason why the swap does not apply to the row.
    pub fn of(self, row: &Row, plain: &Plain) -> Result<Swapped, String> {
        let lang = lang(row).ok_or(NO_LANGUAGE)?;
        let text = plain.question.as_str();
        let entries = entries(self, lang);
        let holes = plain.holes.iter().filter(|h| h.0 == self);
        let holes: Vec<Entry> = holes
            .map(|(_, word, other)| {
                let second = origins::countries(lang).iter().any(|c| c.1 == word) || word == YEARS.1;
                let (first, second) = if second { (other, word) } else { (word, other) };
                Entry { first: first.clone(), second: second.clone(), how: How::Exact }
            })
            .collect();
        let mut hits = scan(text, &quoted(text), &|rest, at| {
            let before = &text[..at];
            let listed = longest(entries, rest, before, Some(lang)).or_else(|| longest(&holes, rest, before, Some(lang)));
            listed.or_else(|| match (self, lang) {
                (Self::Gender, Lang::En) => pronoun(rest),
                (Self::Age, _) => years(rest, before, lang),
                _ => None,
            })
        });
        if hits.iter().all(|hit| hit.anchored) {
            hits.clear();
        }
        let Some(first) = hits.first() else { return Err(format!("its question {}", self.lacking())) };
        let side = hits.iter().all(|hit| hit.side == first.side).then_some(first.side);
        let pairs = hits.iter().map(|hit| (text[hit.at.clone()].to_owned(), hit.new.clone())).collect();
        Ok(Swapped { question: rebuilt(text, &hits, lang == Lang::En), side, pairs })
    }

    fn lacking(self) -> &'static str {
        match self {
            Self::Names => "has no first name of the lists",
            Self::Gender => "has no word for men or women",
            Self::Origin => "does not say where a person comes from",
            Self::Age => "does not say that a person is young or old",
        }
    }
}

/// The words of a swap in a language.
fn entries(swap: Swap, lang: Lang) -> &'static [Entry] {
    static ALL: OnceLock<Vec<Vec<Entry>>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let of = |swap: &Swap| Lang::ALL.map(|lang| listed(*swap, lang));
        Swap::ALL.iter().flat_map(of).collect()
    });
    &all[swap as usize * Lang::ALL.len() + lang as usize]
}

fn listed(swap: Swap, lang: Lang) -> Vec<Entry> {
    let entry = |first: &str, second: &str, how| Entry { first: first.to_owned(), second: second.to_owned(), how };
    let names = people::names(lang).iter();
    match swap {
        Swap::Names => names.flat_map(|[w, m, w2, m2]| [entry(w, w2, How::Exact), entry(m, m2, How::Exact)]).collect(),
        Swap::Gender => {
            let words = people::gendered(lang).iter().map(|(man, woman, how)| entry(man, woman, *how));
            names.flat_map(|[w, m, w2, m2]| [entry(m, w, How::Exact), entry(m2, w2, How::Exact)]).chain(words).collect()
        }
        Swap::Origin => {
            let all = origins::phrases(lang).into_iter();
            all.map(|(first, second)| Entry { first, second, how: How::Any }).collect()
        }
        Swap::Age => people::aged(lang).iter().map(|(young, old)| entry(young, old, How::Any)).collect(),
    }
}

/// A word that is exchanged.
struct Hit {
    at: Range<usize>,
    new: String,
    side: Side,
    anchored: bool,
}

/// What is exchanged at the beginning of a text: its length, the other word, its side, whether it needs another one beside it.
type Found = (usize, String, Side, bool);

/// Looks at the beginning of each word outside of `left_alone`.
fn scan(text: &str, left_alone: &[Range<usize>], find: &dyn Fn(&str, usize) -> Option<Found>) -> Vec<Hit> {
    let (mut hits, mut at) = (Vec::new(), 0);
    let mut inside = false;
    while let Some(c) = text[at..].chars().next() {
        let begins = !inside && c.is_alphanumeric();
        inside = c.is_alphanumeric();
        let free = !left_alone.iter().any(|r| r.contains(&at));
        match find(&text[at..], at).filter(|_| begins && free) {
            Some((length, new, side, anchored)) => {
                hits.push(Hit { at: at..at + length, new, side, anchored });
                at += length;
                inside = true;
            }
            None => at += c.len_utf8(),
        }
    }
    hits
}

/// The longest word of a list that the text begins with.
fn longest(entries: &[Entry], rest: &str, before: &str, lang: Option<Lang>) -> Option<Found> {
    let fits = |entry: &Entry, word: &str| {
        let length = starts(rest, word, entry.how == How::Exact)?;
        let after = &rest[length..];
        let ends = !after.starts_with(char::is_alphanumeric);
        let anchored = matches!(entry.how, How::Anchored | How::AnchoredForward);
        let told = entry.how != How::Title || after.trim_start_matches('.').trim_start().starts_with(char::is_uppercase);
        let meant = !(anchored && lang == Some(Lang::Fr) && is_impersonal(before, after));
        (ends && told && meant).then_some((length, anchored))
    };
    let both = entries.iter().flat_map(|entry| {
        let forth = (entry.how != How::Backward).then_some((entry, &entry.first, &entry.second, Side::Second));
        let back = !matches!(entry.how, How::Forward | How::AnchoredForward);
        [forth, back.then_some((entry, &entry.second, &entry.first, Side::First))].into_iter().flatten()
    });
    let found = both.filter_map(|(entry, word, other, side)| {
        let (length, anchored) = fits(entry, word)?;
        Some((length, capitals(other, &rest[..length]), side, anchored))
    });
    // Of words as long the first in the list.
    found.reduce(|best, next| if next.0 > best.0 { next } else { best })
}

/// How many bytes of the text are this word, in whatever case unless it must be exact.
fn starts(text: &str, word: &str, exact: bool) -> Option<usize> {
    let mut rest = text.chars();
    for wanted in word.chars() {
        let c = rest.next()?;
        if c != wanted && (exact || !c.to_lowercase().eq(wanted.to_lowercase())) {
            return None;
        }
    }
    Some(text.len() - rest.as_str().len())
}

/// Each word with a capital where that of the other text has one.
fn capitals(text: &str, other: &str) -> String {
    let mut others = other.split(' ');
    let words: Vec<String> =
        text.split(' ').map(|word| others.next().map_or_else(|| word.to_owned(), |o| like(word, o))).collect();
    words.join(" ")
}

/// French `il` that stands for nobody.
fn is_impersonal(before: &str, after: &str) -> bool {
    let next = [" y ", " faut", " est possible", " est nécessaire", " existe", " vous pla", " te pla", " s'agit", " s’agit"];
    let last = ["faut-", "y a-t-", "existe-t-", "est-", "s'agit-"];
    next.iter().any(|n| after.starts_with(n)) || last.iter().any(|l| before.to_lowercase().ends_with(l))
}

/// English pronouns whose other form depends on what follows.
fn pronoun(rest: &str) -> Option<Found> {
    const OBJECT: [&str; 22] = [
        "to", "and", "or", "for", "with", "at", "in", "on", "by", "from", "if", "when", "about", "after", "before", "that", "as",
        "the", "a", "an", "how", "what",
    ];
    let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    let next = after.strip_prefix(' ').map(|a| a.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_lowercase());
    let owns = next.is_some_and(|next| !next.is_empty() && !OBJECT.contains(&next.as_str()));
    let (other, side) = match word.to_lowercase().as_str() {
        "him" => ("her", Side::Second),
        "his" => (if owns { "her" } else { "hers" }, Side::Second),
        "her" => (if owns { "his" } else { "him" }, Side::First),
        "hers" => ("his", Side::First),
        _ => return None,
    };
    Some((end, like(other, word), side, false))
}

/// A person's years.
fn years(rest: &str, before: &str, lang: Lang) -> Option<Found> {
    people::years(lang).iter().find_map(|(left, right)| {
        let start = starts(rest, left, false)?;
        let digits = rest[start..].find(|c: char| !c.is_ascii_digit()).filter(|n| *n == 2)?;
        let number: u32 = rest[start..start + digits].parse().ok().filter(|n| *n >= 16)?;
        let length = start + digits + starts(&rest[start + digits..], right, false)?;
        let ends = !rest[length..].starts_with(char::is_alphanumeric);
        let (other, side) = if number < OLD { (YEARS.1, Side::Second) } else { (YEARS.0, Side::First) };
        let new = format!("{}{other}{}", &rest[..start], &rest[start + digits..length]);
        let (told, after) = rest.split_at(length);
        (ends && ages::is_of_somebody(before, told, after, lang)).then_some((length, new, side, false))
    })
}

/// The text with what was found exchanged; in English with the article that goes before it.
fn rebuilt(text: &str, hits: &[Hit], articles: bool) -> String {
    let (mut out, mut from) = (String::new(), 0);
    for hit in hits {
        out.push_str(&text[from..hit.at.start]);
        if articles {
            article(&mut out, &text[hit.at.clone()], &hit.new);
        }
        out.push_str(&hit.new);
        from = hit.at.end;
    }
    out + &text[from..]
}

/// Changes `a` to `an` or back where the word after it begins otherwise than before.
fn article(out: &mut String, old: &str, new: &str) {
    let vowel = |word: &str| word.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']);
    if vowel(old) == vowel(new) {
        return;
    }
    let last = out.trim_end_matches(' ').rsplit(' ').next().unwrap_or_default().to_lowercase();
    let end = out.trim_end_matches(' ').len();
    match last.as_str() {
        "a" if vowel(new) => out.insert(end, 'n'),
        "an" if !vowel(new) => drop(out.remove(end - 1)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
