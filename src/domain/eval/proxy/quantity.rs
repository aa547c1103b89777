//! Quantities of a sentence, in units that can be compared: 21 days are three weeks, 0.5 litres 500 ml, 9:00 is nine.

use super::lists::{self, Lang, Limit};
use super::numerals;
use super::often::{often, once};
use super::units::{calendar, is_one, rate, unit};
use super::words::Token;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Nothing that is known as a unit.
    Plain,
    /// How often: "twice", "three times".
    Often,
    /// Seconds.
    Time,
    /// Minutes after midnight.
    Clock,
    /// Month of the year.
    Month,
    /// Day of the week.
    Weekday,
    /// Hundredths.
    Percent,
    /// Money, by currency.
    Money(u8),
    /// Grams.
    Mass,
    /// Metres.
    Length,
    /// Litres.
    Volume,
    /// Bytes.
    Data,
    /// Degrees.
    Degrees,
    /// Watts or watt hours.
    Power,
    /// A version of something: its parts are counted each for itself.
    Version,
}

/// A number with its unit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantity {
    /// The token it begins with.
    pub at: usize,
    /// The token after its last.
    pub end: usize,
    /// In the basic unit.
    pub value: f64,
    /// As written, in the unit as written.
    pub written: f64,
    /// Another reading of the same digits, as written.
    pub other: Option<f64>,
    /// What is counted.
    pub unit: Unit,
    /// It is a rate or an article ("a month", "yearly"): not stated for its own sake.
    pub soft: bool,
    /// Whether it is given as a limit.
    pub limit: Option<Limit>,
}

/// The quantities of a sentence, in order.
pub(super) fn quantities(tokens: &[Token], lang: Option<Lang>) -> Vec<Quantity> {
    let words: Vec<&str> = tokens.iter().map(|t| t.folded.as_str()).collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let (found, used) = one(tokens, &words, at, lang);
        let used = used.max(1);
        out.extend(found.map(|q| Quantity { end: at + used, ..q }));
        at += used;
    }
    out
}

fn plain(at: usize, value: f64) -> Quantity {
    Quantity { at, end: at + 1, value, written: value, other: None, unit: Unit::Plain, soft: false, limit: None }
}

/// The quantity that begins at a token, and how many tokens it takes.
fn one(tokens: &[Token], words: &[&str], at: usize, lang: Option<Lang>) -> (Option<Quantity>, usize) {
    let word = words[at];
    if let Some(used) = once(tokens, words, at, lang) {
        return (Some(Quantity { unit: Unit::Often, ..plain(at, 1.0) }), used);
    }
    if tokens[at].digits {
        return digits(tokens, words, at, lang);
    }
    if let Some(found) = minus(tokens, words, at, lang) {
        return found;
    }
    if let Some((unit, value)) = calendar(&tokens[at], lang) {
        return (Some(Quantity { unit, ..plain(at, value) }), 1);
    }
    if let Some(value) = rate(word) {
        return (Some(Quantity { unit: Unit::Time, written: 1.0, soft: true, ..plain(at, value) }), 1);
    }
    if let Some((unit, factor)) =
        words.get(at + 1).filter(|_| is_one(word)).and_then(|w| unit(w)).filter(|(u, _)| *u == Unit::Time)
    {
        // "one month" states a length, "a month" mostly a rate.
        let soft =
            !matches!(word, "one") && !matches!(lang, Some(Lang::De)) || matches!(word, "pro" | "jede" | "jeden" | "jedes");
        let half = numerals::halved(words.get(at + 2..).unwrap_or_default());
        let value = if half.is_some() { 1.5 } else { 1.0 };
        return (
            Some(Quantity { unit, written: value, soft: soft && half.is_none(), ..plain(at, value * factor) }),
            2 + half.unwrap_or(0),
        );
    }
    if let ("halb", Some((hour, 1))) = (word, words.get(at + 1..).and_then(|w| numerals::words(w, lang))) {
        return (Some(Quantity { unit: Unit::Clock, ..plain(at, hour * 60.0 - 30.0) }), 2);
    }
    let lang = often(words.get(at + 1)).or(lang);
    match numerals::words(&words[at..], lang) {
        // "One", "un", "eine" alone are articles and pronouns.
        Some((value, 1)) if value <= 1.0 && words.get(at + 1).and_then(|w| unit(w)).is_none() => (None, 1),
        Some((value, 1)) if numerals::says_how_often(word, lang) => (Some(Quantity { unit: Unit::Often, ..plain(at, value) }), 1),
        Some((value, used)) => {
            let (quantity, more) = with_unit(tokens, words, plain(at, value), at + used, lang);
            (Some(quantity), used + more)
        }
        None => (None, 1),
    }
}

fn digits(tokens: &[Token], words: &[&str], at: usize, lang: Option<Lang>) -> (Option<Quantity>, usize) {
    let raw = words[at];
    if let Some((hours, minutes)) = raw.split_once(':') {
        return (clock(at, hours, minutes.split(':').next().unwrap_or_default(), words.get(at + 1)), 1);
    }
    let Some((value, other)) = numerals::digits(raw, lang) else { return (None, 1) };
    if let Some(version) = version(tokens, words, at) {
        return (Some(Quantity { unit: Unit::Version, written: value, ..plain(at, version) }), 1);
    }
    let sign = if raw.starts_with('-') { -1.0 } else { 1.0 };
    let (value, other) = (sign * value, other.map(|o| sign * o));
    // 17h30 and "17 h 30".
    if let [_, "h" | "uhr", minutes, ..] = &words[at..]
        && minutes.len() == 2
        && tokens[at + 2].digits
    {
        return (clock(at, raw, minutes, None), 3);
    }
    let (quantity, more) = with_unit(tokens, words, Quantity { other, ..plain(at, value) }, at + 1, lang);
    (Some(quantity), 1 + more)
}

/// Words before the number of a version.
const VERSION: &[&str] = &["version", "versions", "versionen", "versiones", "release", "releases", "v"];

/// The parts of the number of a version, a product or a section ("Python 3.10") as one number, in which 3.10 is not 3.1.
fn version(tokens: &[Token], words: &[&str], at: usize) -> Option<f64> {
    let before = at.checked_sub(1)?;
    let named = before > 0 && tokens[before].capital && words[at].contains('.');
    let counts = words.get(at + 1).is_some_and(|w| unit(w).is_some() || numerals::magnitude(w).is_some());
    let parts: Vec<f64> = words[at].split('.').map(|part| part.parse::<u16>().ok().map(f64::from)).collect::<Option<_>>()?;
    ((named || VERSION.contains(&words[before])) && !counts && parts.len() <= 3)
        .then(|| parts.iter().chain([0.0; 3].iter()).take(3).fold(0.0, |all, part| all * 65_536.0 + part))
}

/// Words that take a number below zero.
const MINUS: &[&str] = &["minus", "menos", "moins"];
/// Words before them that make "at least", "less" or a difference of it.
const NO_MINUS: &[&str] = &["al", "lo", "au", "du", "le", "plus", "ou", "y", "o", "h", "heure", "heures", "uhr"];

/// The quantity that a "minus" begins. In Spanish and French, where the word is "less" as well, only of a temperature.
fn minus(tokens: &[Token], words: &[&str], at: usize, lang: Option<Lang>) -> Option<(Option<Quantity>, usize)> {
    if !MINUS.contains(&words[at]) || at + 1 == words.len() || at > 0 && tokens[at - 1].digits {
        return None;
    }
    let (found, used) = one(tokens, words, at + 1, lang);
    let found = found.filter(|q| !q.soft && q.value > 0.0 && q.at == at + 1)?;
    let before = at.checked_sub(1).map_or("", |b| words[b]);
    let is_temperature = found.unit == Unit::Degrees && !NO_MINUS.contains(&before);
    (words[at] == "minus" || is_temperature).then(|| (Some(Quantity { at, ..below_zero(found) }), used + 1))
}

fn below_zero(q: Quantity) -> Quantity {
    Quantity { value: -q.value, written: -q.written, other: q.other.map(|o| -o), ..q }
}

/// What says after a temperature that it is below zero.
const BELOW: &[&[&str]] = &[
    &["below", "zero"],
    &["below", "freezing"],
    &["under", "zero"],
    &["unter", "null"],
    &["bajo", "cero"],
    &["sous", "zero"],
    &["au", "dessous", "de", "zero"],
    &["en", "dessous", "de", "zero"],
];

fn clock(at: usize, hours: &str, minutes: &str, next: Option<&&str>) -> Option<Quantity> {
    let (mut hours, minutes): (f64, f64) = (hours.parse().ok()?, minutes.parse().ok()?);
    match next {
        Some(&"pm") if hours < 12.0 => hours += 12.0,
        Some(&"am") if hours == 12.0 => hours = 0.0,
        _ => {}
    }
    Some(Quantity { unit: Unit::Clock, written: hours, ..plain(at, hours * 60.0 + minutes) })
}

/// Reads magnitude, half and unit after a number, or the currency before it; how many tokens they take.
fn with_unit(tokens: &[Token], words: &[&str], mut found: Quantity, from: usize, lang: Option<Lang>) -> (Quantity, usize) {
    let mut at = from;
    // "Two times", as "twice".
    if often(words.get(at)).is_some() {
        return (Quantity { unit: Unit::Often, ..found }, 1);
    }
    if let Some(by) = words.get(at).and_then(|w| numerals::magnitude(w)).filter(|_| words[at] != "mil" || lang == Some(Lang::Es))
    {
        (found.value, found.written, found.other) = (found.value * by, found.written * by, found.other.map(|o| o * by));
        at += 1;
    }
    if matches!(words.get(at), Some(&"de" | &"d")) {
        at += usize::from(words.get(at + 1).and_then(|w| unit(w)).is_some());
    }
    if let (Some(&("por" | "pour" | "per")), Some(&("ciento" | "cent"))) = (words.get(at), words.get(at + 1)) {
        found.unit = Unit::Percent;
        return (found, at + 2 - from);
    }
    // "five working days": a word may stand between a number and a time.
    let near = [(at, true), (at + 1, false)].into_iter().find_map(|(at, next)| {
        let found = unit(words.get(at)?)?;
        let one_letter = words[at].len() == 1 && words[at].is_ascii();
        (next || (found.0 == Unit::Time && !one_letter && !tokens[at - 1].digits)).then_some((at, found))
    });
    let before = found.at.checked_sub(1).and_then(|b| unit(words[b])).filter(|(u, _)| matches!(u, Unit::Money(_)));
    match (near, before) {
        (_, Some((money, _))) => found.unit = money,
        (Some((end, (Unit::Clock, _))), _) => {
            let hours = match words[end] {
                "pm" if found.value < 12.0 => found.value + 12.0,
                _ => found.value,
            };
            (found.unit, found.written, found.value, at) = (Unit::Clock, hours, hours * 60.0, end + 1);
        }
        (Some((end, (kind, factor))), _) => {
            found.unit = kind;
            found.value *= factor;
            at = end + 1;
            if let Some(more) = numerals::halved(&words[at..]) {
                (found.value, found.written, at) = (found.value + factor / 2.0, found.written + 0.5, at + more);
            }
        }
        (None, None) => {}
    }
    let scale = at + usize::from(found.unit == Unit::Degrees && matches!(words.get(at), Some(&("c" | "f" | "celsius"))));
    let rest = words.get(scale..).unwrap_or_default();
    if let Some(below) = BELOW.iter().find(|b| matches!(found.unit, Unit::Degrees | Unit::Plain) && rest.starts_with(b)) {
        return (below_zero(found), scale + below.len() - from);
    }
    (found, at - from)
}

/// How a quantity of the answer stands to one of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Match {
    /// Another.
    No,
    /// The same but for its sign.
    Sign,
    /// The same number of something else.
    OtherUnit,
    /// The same.
    Same,
}

/// Compares two quantities.
pub(super) fn compare(a: &Quantity, b: &Quantity) -> Match {
    if (a.value < 0.0) != (b.value < 0.0) {
        let there =
            |q: &Quantity| Quantity { value: q.value.abs(), written: q.written.abs(), other: q.other.map(f64::abs), ..q.clone() };
        return if compare(&there(a), &there(b)) == Match::Same { Match::Sign } else { Match::No };
    }
    let same = |x: f64, y: f64, within: f64| (x - y).abs() <= within * x.abs().max(y.abs()) + 1e-9;
    let written = [Some(a.written), a.other]
        .iter()
        .flatten()
        .any(|x| [Some(b.written), b.other].iter().flatten().any(|y| same(*x, *y, 1e-9)));
    let hours =
        |clock: &Quantity, other: f64| same(clock.value, other * 60.0, 1e-9) || same(clock.value, (other + 12.0) * 60.0, 1e-9);
    match (a.unit, b.unit) {
        // "Once" is no "a day".
        (Unit::Often, Unit::Time) | (Unit::Time, Unit::Often) if a.soft || b.soft => Match::No,
        // A month is 30 or 31 days.
        (Unit::Time, Unit::Time) if same(a.value, b.value, 0.02) => Match::Same,
        (Unit::Version, Unit::Version) => {
            if a.value.total_cmp(&b.value).is_eq() {
                Match::Same
            } else {
                Match::No
            }
        }
        (x, y) if x == y && same(a.value, b.value, 1e-9) => Match::Same,
        // Digits that may be read in two ways; the factor of the unit is in the value.
        (x, y) if x == y && written && same(a.value / a.written, b.value / b.written, 1e-9) => Match::Same,
        (Unit::Clock, Unit::Plain | Unit::Time) if hours(a, b.written) => Match::Same,
        (Unit::Plain | Unit::Time, Unit::Clock) if hours(b, a.written) => Match::Same,
        (Unit::Clock, Unit::Clock) if same((a.value - b.value).abs(), 720.0, 1e-9) && a.value.min(b.value) < 720.0 => {
            Match::OtherUnit
        }
        (Unit::Month | Unit::Weekday, _) | (_, Unit::Month | Unit::Weekday) => Match::No,
        (Unit::Plain | Unit::Often, _) | (_, Unit::Plain | Unit::Often) if written => Match::Same,
        _ if written => Match::OtherUnit,
        _ => Match::No,
    }
}

/// Says of each quantity whether the words before it make it a limit; gives the negations that are part of a limit.
pub(super) fn limits(found: &mut [Quantity], words: &[&str], lang: Option<Lang>) -> Vec<usize> {
    let mut spent = Vec::new();
    for quantity in found.iter_mut().filter(|q| !q.soft && !matches!(q.unit, Unit::Month | Unit::Weekday)) {
        let from = quantity.at.saturating_sub(4);
        let limit_at = |at: usize| lists::limit(words[at], at.checked_sub(1).map_or("", |b| words[b]), lang);
        let Some(word) = (from..quantity.at).rev().find(|at| limit_at(*at).is_some()) else { continue };
        let far = word.saturating_sub(4);
        let denied = (far..word).rev().find(|at| lists::is_negation(words[*at], lang));
        quantity.limit = match denied {
            Some(at) if lists::compares(words[word], lang) => {
                spent.push(at);
                Some(Limit::Most)
            }
            _ => limit_at(word),
        };
    }
    spent
}

#[cfg(test)]
mod tests {
    use super::super::words::tokens;
    use super::*;

    fn read(text: &str, lang: Lang) -> Vec<Quantity> {
        quantities(&tokens(text), Some(lang))
    }

    fn first(text: &str, lang: Lang) -> Quantity {
        read(text, lang).into_iter().next().unwrap_or_else(|| panic!("a quantity in {text}"))
    }

    #[test]
    fn the_same_in_other_words_is_the_same() {
        use Lang::{De, En, Es, Fr};
        for (a, la, b, lb) in [
            ("within 21 days", En, "in three weeks", En),
            ("24 months", En, "zwei Jahre", De),
            ("30 days", En, "un mes", Es),
            ("at 9:00", En, "at nine", En),
            ("at 5:30 pm", En, "à 17 h 30", Fr),
            ("15 Uhr", De, "3 pm", En),
            ("halb fünf", De, "4:30", En),
            ("0,5 Liter", De, "500 ml", En),
            ("two and a half hours", En, "quatre heures et demie", Fr),
            ("1.000,5 kg", De, "1,000.5 kg", En),
            ("$3.4 billion", En, "3.4 billion dollars", En),
            ("1,2 Milliarden Euro", De, "1.200 Millionen €", De),
            ("12 percent", En, "doce por ciento", Es),
            ("50 000 €", Fr, "50.000 Euro", De),
            ("five working days", En, "5 días hábiles", Es),
            ("cinco euros", Es, "5 €", Fr),
            ("monthly", En, "pro Monat", De),
            ("1 500 pages", Fr, "1.500 páginas", Es),
            ("at −18 °C", En, "minus 18 Grad", De),
            ("18 degrees below zero", En, "-18 degrés", Fr),
            ("a menos 18 grados", Es, "moins 18 degrés", Fr),
            (".5 mg", En, "0,5 mg", De),
            ("twice", En, "zwei Mal", De),
            ("dreimal", De, "tres veces", Es),
            ("three times", En, "trois fois", Fr),
            ("once a day", En, "einmal täglich", De),
            ("una vez al mes", Es, "une fois par mois", Fr),
            ("tres veces", Fr, "three times", En),
            ("al menos 18 grados", Es, "18 degrees", En),
            ("au moins 18 degrés", Fr, "18 Grad", De),
        ] {
            let same = compare(&first(a, la), &first(b, lb));
            let differ = (a, b) == ("two and a half hours", "quatre heures et demie");
            assert_eq!(same == Match::Same, !differ, "{a} {b}: {:?} {:?}", first(a, la), first(b, lb));
        }
    }

    #[test]
    fn what_differs_is_told_from_what_only_has_another_unit() {
        let check = |a, b| compare(&first(a, Lang::En), &first(b, Lang::En));
        assert_eq!([check("30 days", "60 days"), check("in March", "in May"), check("17.5 %", "1.75 %")], [Match::No; 3]);
        assert_eq!([check("200 g", "200 mg"), check("20 hours", "20 minutes"), check("5 €", "5 $")], [Match::OtherUnit; 3]);
        assert_eq!(check("30", "30 days"), Match::Same);
        assert_eq!([check("-18 °C", "18 °C"), check("-200 euros", "200 euros"), check("-18", "18 degrees")], [Match::Sign; 3]);
        assert_eq!([check(".5 mg", "5 mg"), check("-18 °C", "19 °C"), check("twice", "three times")], [Match::No; 3]);
        assert_eq!([check("once a day", "twice a day"), check("version 2.10", "version 2.1")], [Match::No; 2]);
        assert_eq!([check("version 2.1", "v. 2.1"), check("release 3.10", "3.10")], [Match::Same; 2]);
        assert_eq!([check("on Python 3.10", "on Python 3.1"), check("costs 3.10 €", "costs 3.1 €")], [Match::No, Match::Same]);
        assert_eq!(check("once a day", "a day"), Match::No);
        // Ranges and dates are no negatives.
        for text in ["10-20 euros", "10 – 20 euros", "10 -20 euros", "2024-05-01"] {
            assert!(read(text, Lang::En).iter().all(|q| q.value > 0.0), "{text}");
        }
    }

    #[test]
    fn words_that_are_no_numbers_are_none() {
        assert_eq!(read("One may use it as one likes", Lang::En), []);
        assert_eq!(read("Eine Rückgabe ist mit einer Quittung möglich", Lang::De), []);
    }

    #[test]
    fn limits_are_told_with_the_negation_they_spend() {
        for (text, lang, limit, spent) in [
            ("at least 60 days", Lang::En, Some(Limit::Least), 0),
            ("no more than 6 tablets", Lang::En, Some(Limit::Most), 1),
            ("No tome más de dos comprimidos", Lang::Es, Some(Limit::Most), 1),
            ("höchstens sechs Stunden", Lang::De, Some(Limit::Most), 0),
            ("au minimum 4 comprimés", Lang::Fr, Some(Limit::Least), 0),
            ("it takes 4 hours", Lang::En, None, 0),
        ] {
            let tokens = tokens(text);
            let words: Vec<&str> = tokens.iter().map(|t| t.folded.as_str()).collect();
            let mut found = quantities(&tokens, Some(lang));
            let negations = limits(&mut found, &words, Some(lang));
            assert_eq!((found[0].limit, negations.len()), (limit, spent), "{text}");
        }
    }
}
