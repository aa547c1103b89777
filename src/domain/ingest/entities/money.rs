//! Sums of money: `$12.5 million`, `1.250,00 €`, `3,2 millones de euros`, `EUR 500`.

use super::Node;
use super::words::Word;

/// Currencies by what stands beside the number, lower case, with the code of ISO 4217. A bare `$` is taken for US dollars.
const CURRENCIES: &[(&str, &str)] = &[
    ("€", "eur"),
    ("eur", "eur"),
    ("euro", "eur"),
    ("euros", "eur"),
    ("$", "usd"),
    ("usd", "usd"),
    ("us$", "usd"),
    ("dollar", "usd"),
    ("dollars", "usd"),
    ("dólares", "usd"),
    ("£", "gbp"),
    ("gbp", "gbp"),
    ("pounds", "gbp"),
    ("chf", "chf"),
    ("franken", "chf"),
    ("¥", "jpy"),
    ("jpy", "jpy"),
    ("yen", "jpy"),
];

/// Words that make a number larger, with the zeros that they stand for. `billion` is taken in its English meaning.
const SCALES: &[(&str, u32)] = &[
    ("million", 6),
    ("millions", 6),
    ("m", 6),
    ("millionen", 6),
    ("mio", 6),
    ("millón", 6),
    ("millones", 6),
    ("billion", 9),
    ("billions", 9),
    ("bn", 9),
    ("milliarde", 9),
    ("milliarden", 9),
    ("mrd", 9),
    ("milliard", 9),
    ("milliards", 9),
];

/// Digits before and after the decimal mark that a sum may have.
const DIGITS_MAX: usize = 15;

fn currency(word: &str) -> Option<&'static str> {
    let lower = word.to_lowercase();
    CURRENCIES.iter().find(|(mark, _)| *mark == lower).map(|(_, code)| *code)
}

/// The sum that begins with the first of these words, and how many words it has.
pub(super) fn sum(words: &[Word<'_>]) -> Option<(usize, Node)> {
    let first = words.first()?;
    let mark = first.text.find(|c: char| c.is_ascii_digit())?;
    let (before, number) = first.text.split_at(mark);
    let digits_end = number.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(number.len());
    let (number, after) = number.split_at(digits_end);
    let mut digits = number.to_owned();
    let mut n = 1;
    if after.is_empty() {
        n += grouped(words, &mut digits);
    }
    let glued = if before.is_empty() { currency(after) } else { currency(before).filter(|_| after.is_empty()) };
    if glued.is_none() && !(before.is_empty() && after.is_empty()) {
        return None;
    }
    let scale = words.get(n).filter(|_| !words[n - 1].closes).and_then(|w| scale(w.text));
    n += usize::from(scale.is_some());
    let (n, code) = match glued {
        Some(code) => (n, code),
        None => {
            let linked = words.get(n).is_some_and(|w| matches!(w.text, "de" | "d")) && scale.is_some();
            let at = n + usize::from(linked);
            (at + 1, currency(words.get(at).filter(|_| !words[at - 1].closes)?.text)?)
        }
    };
    let key = format!("{code} {}", value(&digits, scale.unwrap_or(0))?);
    Some((n, named(words, n, key)))
}

/// The sum that begins with a currency and goes on with a number: `EUR 500`.
pub(super) fn sum_after(words: &[Word<'_>]) -> Option<(usize, Node)> {
    let code = currency(words.first().filter(|w| !w.closes && (w.is_all_capitals() || !w.text.is_ascii()))?.text)?;
    let number = words.get(1)?.text;
    if !number.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',') {
        return None;
    }
    let scale = words.get(2).filter(|_| !words[1].closes).and_then(|w| scale(w.text));
    let n = 2 + usize::from(scale.is_some());
    Some((n, named(words, n, format!("{code} {}", value(number, scale.unwrap_or(0))?))))
}

fn named(words: &[Word<'_>], n: usize, key: String) -> Node {
    let name: Vec<&str> = words[..n].iter().map(|w| w.text).collect();
    Node::new("money", key, &name.join(" "))
}

fn scale(word: &str) -> Option<u32> {
    let lower = word.to_lowercase();
    SCALES.iter().find(|(name, _)| *name == lower).map(|(_, zeros)| *zeros)
}

/// Groups of three digits set apart by spaces, as in French: how many more words the number has.
fn grouped(words: &[Word<'_>], digits: &mut String) -> usize {
    let mut n = 0;
    let small = digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit());
    while let Some(next) = words.get(n + 1).filter(|_| small && !words[n].closes) {
        let group = next.text.get(..3).filter(|g| g.bytes().all(|b| b.is_ascii_digit()));
        let rest = next.text.get(3..).unwrap_or_default();
        if group.is_none() || !(rest.is_empty() || rest.starts_with([',', '.'])) {
            break;
        }
        digits.push_str(next.text);
        n += 1;
        if !rest.is_empty() {
            break;
        }
    }
    n
}

/// A number as written, times ten to the `zeros`, without needless zeros: `1.250,00` → `1250`, `3,2` and 6 → `3200000`.
///
/// The last mark before one, two or more than three digits is the decimal one; before exactly three it sets groups apart.
fn value(written: &str, zeros: u32) -> Option<String> {
    let last = written.rfind(['.', ',']);
    let both = written.contains('.') && written.contains(',');
    let decimal = last.filter(|at| both || (written.len() - at != 4 && written.matches(['.', ',']).count() == 1));
    let (whole, part) = decimal.map_or((written, ""), |at| (&written[..at], &written[at + 1..]));
    let mut whole: String = whole.chars().filter(char::is_ascii_digit).collect();
    let mut part: String = part.to_owned();
    if whole.is_empty() || whole.len() > DIGITS_MAX || part.len() > DIGITS_MAX || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    for _ in 0..zeros {
        whole.push(if part.is_empty() { '0' } else { part.remove(0) });
    }
    let whole = whole.trim_start_matches('0');
    let (whole, part) = (if whole.is_empty() { "0" } else { whole }, part.trim_end_matches('0'));
    Some(if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_language() {
        for (written, zeros, want) in [
            ("12.5", 6, "12500000"),
            ("1.250,00", 0, "1250"),
            ("1,250.75", 0, "1250.75"),
            ("3,2", 6, "3200000"),
            ("1.250", 0, "1250"),
            ("1.234.567", 0, "1234567"),
            ("0.50", 0, "0.5"),
            ("2300,50", 0, "2300.5"),
        ] {
            assert_eq!(value(written, zeros).as_deref(), Some(want), "{written}");
        }
        assert_eq!(value("1234567890123456", 0), None);
        assert_eq!(value("...", 0), None);
    }
}
