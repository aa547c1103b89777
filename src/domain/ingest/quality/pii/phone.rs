//! Telephone numbers: international ones, and the national forms of Spain, France, Germany, Austria, the United Kingdom and
//! North America. They have no check digit, so the form must be one in which nothing else is written, or a word before must
//! say that it is a number to call.

use super::runs::{Candidate, Match, Sep};
use super::{Kind, LABEL};

const WORDS: &[&str] = &[
    "tel",
    "tél",
    "phone",
    "fon",
    "mobil",
    "móvil",
    "movil",
    "portable",
    "handy",
    "cell",
    "fax",
    "call",
    "llam",
    "appel",
    "anruf",
    "rufnummer",
    "whatsapp",
    "sms",
    "hotline",
];

pub(super) fn judge(c: &Candidate) -> Option<Match> {
    if !c.all_digits() || c.joined.len() > 17 {
        return None;
    }
    let rule = if is_international(c) {
        "phone-international"
    } else if !c.stands_alone() {
        return None;
    } else if is_north_american(c) {
        "phone-us"
    } else if is_french(c) {
        "phone-fr"
    } else if is_spanish(c) {
        "phone-es"
    } else if is_zero_led(c) {
        "phone-de-uk"
    } else {
        return None;
    };
    Some((Kind::Phone, rule, false))
}

/// Country codes of two digits (ITU-T E.164, list of 2016 with amendments); 1 and 7 have one digit, the others three.
const TWO_DIGITS: &[u8] = &[
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62, 63, 64,
    65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];

/// Digits of a national number, from and to, of countries that have a fixed length (their numbering plans).
const LENGTHS: &[(&[u8], usize, usize)] = &[
    (b"1", 10, 10),
    (b"33", 9, 9),
    (b"34", 9, 9),
    (b"39", 6, 12),
    (b"41", 9, 9),
    (b"43", 4, 13),
    (b"44", 9, 10),
    (b"49", 5, 13),
    (b"32", 8, 9),
    (b"31", 9, 9),
    (b"351", 9, 9),
];

/// `+` or `00`, a country code and a national number, 8 to 15 digits in all; `(0)` after the country code does not count.
fn is_international(c: &Candidate) -> bool {
    let before = &c.text[..c.start()];
    let plus = before.ends_with('+') || before.ends_with("+(");
    let zeros = c.joined.starts_with(b"00")
        && c.groups[0].len > 1
        && c.groups.len() > 1
        && !c.has_shape(&[&[4, 4, 4]])
        && c.stands_alone();
    if !(plus || zeros) || (plus && before.trim_end_matches(['+', '(']).ends_with(char::is_alphanumeric)) {
        return false;
    }
    let mut digits = [0; 20];
    let mut len = 0;
    let mut at = 0;
    for (i, group) in c.groups.iter().enumerate() {
        let part = &c.joined[at..at + usize::from(group.len)];
        at += usize::from(group.len);
        let trunk = i > 0 && part == b"0" && group.sep == Sep::Bracket;
        if !trunk {
            digits[len..len + part.len()].copy_from_slice(part);
            len += part.len();
        }
    }
    let number = digits.get(if zeros { 2 } else { 0 }..len).unwrap_or_default();
    let code = code_length(number);
    let national = number.len().saturating_sub(code);
    let lengths = LENGTHS.iter().find(|row| number.get(..code) == Some(row.0)).map_or((6, 13), |row| (row.1, row.2));
    let ends = c.after.is_none_or(|a| !a.is_number() || matches!(a.sep, Sep::Wide | Sep::Bracket));
    code > 0 && (8..=15).contains(&number.len()) && (lengths.0..=lengths.1).contains(&national) && ends
}

fn code_length(number: &[u8]) -> usize {
    match number {
        [b'1' | b'7', ..] => 1,
        [b'2'..=b'9', second, ..] => {
            let two = (number[0] - b'0') * 10 + second.saturating_sub(b'0');
            if TWO_DIGITS.contains(&two) { 2 } else { 3 }
        }
        _ => 0,
    }
}

/// North American Numbering Plan: area and exchange begin with 2 to 9 and are no service codes.
fn is_north_american(c: &Candidate) -> bool {
    let shaped = c.has_shape(&[&[3, 3, 4], &[1, 3, 3, 4]]);
    // `252.227-7013` is a paragraph of a law.
    let mut seps = c.seps().filter(|sep| *sep != Sep::Bracket);
    let even = seps.next().is_none_or(|first| first != Sep::Slash && seps.all(|sep| sep == first));
    let marked = even && c.seps().any(|sep| sep != Sep::Space);
    let Some(number) = c.joined.len().checked_sub(10).map(|from| &c.joined[from..]) else { return false };
    let service = |code: &[u8]| !matches!(code[0], b'2'..=b'9') || code[1..] == *b"11";
    let one = c.joined.len() == 10 || c.joined.starts_with(b"1");
    let known = (shaped && marked) || ((shaped || c.has_shape(&[&[10]])) && c.named(LABEL, WORDS));
    known && one && !service(&number[..3]) && !service(&number[3..6]) && number[1] != b'9'
}

/// Ten digits from 01 to 09 in pairs.
fn is_french(c: &Candidate) -> bool {
    let pairs = c.has_shape(&[&[2, 2, 2, 2, 2], &[4, 2, 2, 2], &[1, 1, 2, 2, 2, 2]]);
    let known = pairs || (c.has_shape(&[&[10]]) && c.named(LABEL, WORDS));
    known && c.joined.len() == 10 && c.joined[0] == b'0' && c.joined[1] != b'0' && !c.seps().any(|sep| sep == Sep::Slash)
}

/// Nine digits from 6 to 9.
fn is_spanish(c: &Candidate) -> bool {
    let grouped = c.has_shape(&[&[3, 3, 3], &[3, 2, 2, 2], &[2, 3, 2, 2]]) && c.seps().all(|sep| sep != Sep::Slash);
    // `612.345.678` and `612 345 678` are also how amounts are written.
    let amount = c.has_shape(&[&[3, 3, 3]]) && c.seps().all(|sep| matches!(sep, Sep::Dot | Sep::Space));
    let known = (grouped && !amount) || ((grouped || c.has_shape(&[&[9]])) && c.named(LABEL, WORDS));
    known && matches!(c.joined[0], b'6'..=b'9') && c.joined[1..].iter().any(|d| *d != b'0')
}

/// A trunk zero and an area code of two to four digits, then the number: Germany, Austria, the United Kingdom, Italy.
fn is_zero_led(c: &Candidate) -> bool {
    let trunk = c.joined[0] == b'0' && c.joined[1] != b'0' && (9..=12).contains(&c.joined.len());
    let area = (3..=5).contains(&c.groups[0].len) && (2..=5).contains(&c.groups.len());
    let rest = c.groups[1..].iter().all(|g| g.len >= 2) && !c.seps().any(|sep| sep == Sep::Dot);
    // `078-05-1120` and `02110-1301` have the shape of other numbers (social security, postal code), equal fours that of codes.
    let hyphens = c.seps().all(|sep| sep == Sep::Hyphen);
    let other = c.has_shape(&[&[4, 4, 4]])
        || (hyphens && c.has_shape(&[&[3, 2, 4], &[5, 4]]))
        || c.seps().skip(1).any(|sep| sep == Sep::Slash);
    trunk && ((area && rest && !other) || (c.groups.len() == 1 && c.named(LABEL, WORDS)))
}
